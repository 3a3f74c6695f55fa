//! Reading an acknowledgement that answers a message of ours.

use std::borrow::Cow;

use crate::acknowledgement::{AckCode, ErrorCondition, ErrorSeverity};
use crate::location::{Location, SegmentId};
use crate::message::{Element, Message, Segment};
use crate::segment::{Msa, SegmentView};

/// An acknowledgement that was received.
#[derive(Clone, Debug)]
pub struct Answer<'m> {
    /// MSA-1.
    pub code: AckCode,
    /// MSA-2 exactly as it was written: MSH-10 of the message it answers.
    pub control_id: &'m str,
    /// MSA-3.
    pub text: Option<Cow<'m, str>>,
    /// What the receiver says went wrong: ERR, and where there is none MSA-6.
    pub errors: Vec<ReportedError<'m>>,
}

/// An error that an acknowledgement reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedError<'m> {
    /// The code as it was written.
    pub code: Option<Cow<'m, str>>,
    /// The code as a row of table 0357.
    pub condition: Option<ErrorCondition>,
    /// Where.
    pub location: Option<Location>,
    /// How bad it is.
    pub severity: Option<ErrorSeverity>,
    /// ERR-8, ERR-7 or the text of the code.
    pub text: Option<Cow<'m, str>>,
}

/// Why a message cannot be read as an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It has no MSA segment.
    #[error("there is no MSA segment")]
    NotAnAcknowledgement,
    /// MSA-1 is not in table 0008.
    #[error("MSA-1 is not an acknowledgement code")]
    UnknownCode,
}

/// Reads a received acknowledgement.
pub fn read(message: &Message) -> Result<Answer<'_>, AnswerError> {
    let msa = message
        .view::<Msa>()
        .ok_or(AnswerError::NotAnAcknowledgement)?;
    let code = msa.acknowledgement_code().value();
    let code = code
        .and_then(|code| AckCode::read(&code))
        .ok_or(AnswerError::UnknownCode)?;
    let mut errors: Vec<_> = message
        .segments("ERR")
        .flat_map(|err| reported(&err))
        .collect();
    if errors.is_empty() {
        errors.extend(from_code(msa.segment().field(6), Element::component, None));
    }
    Ok(Answer {
        code,
        control_id: msa.control_id().raw(),
        text: msa
            .text_message()
            .is_valued()
            .then(|| msa.text_message().text()),
        errors,
    })
}

fn reported<'m>(err: &Segment<'m>) -> Vec<ReportedError<'m>> {
    if !err.field(3).is_valued() {
        let listed = err.field(1).repetitions();
        return listed
            .filter_map(|place| from_code(place.component(4), Element::subcomponent, at(place)))
            .collect();
    }
    let text = [8, 7]
        .map(|field| err.field(field))
        .into_iter()
        .find(Element::is_valued);
    let severity = err
        .field(4)
        .value()
        .and_then(|text| ErrorSeverity::read(&text));
    let coded = from_code(err.field(3), Element::component, at(err.field(2)));
    let with_words = coded.map(|error| ReportedError {
        severity,
        text: text.map(|text| text.text()).or(error.text.clone()),
        ..error
    });
    with_words.into_iter().collect()
}

/// Reads a coded value; `part` takes its parts out of `code`.
fn from_code<'m>(
    code: Element<'m>,
    part: fn(&Element<'m>, usize) -> Element<'m>,
    location: Option<Location>,
) -> Option<ReportedError<'m>> {
    let value = part(&code, 1).value();
    let text = part(&code, 2).value();
    if value.is_none() && text.is_none() && location.is_none() {
        return None;
    }
    let condition = value.as_deref().and_then(ErrorCondition::read);
    Some(ReportedError {
        code: value,
        condition,
        location,
        severity: None,
        text,
    })
}

/// Reads the place in ERR-1 or ERR-2; the first three components are the same.
fn at(place: Element<'_>) -> Option<Location> {
    let number = |component| {
        let number = place.component(component).number()?;
        usize::try_from(number).ok().filter(|number| *number > 0)
    };
    let segment = SegmentId::new(&place.component(1).value()?)?;
    let field = number(3);
    Some(Location {
        occurrence: number(2).unwrap_or(1),
        field,
        ..Location::segment(segment)
    })
}
