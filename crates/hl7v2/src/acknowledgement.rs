//! Acknowledgements: whether to answer, with which code, and the answer itself (HL7 v2.9, sections
//! 2.9.2 and 2.9.3, tables 0008, 0155, 0357).
//!
//! When a message is safe enough to be accepted is the caller's decision, as are the time and the
//! identifier of the answer. No text here comes from a message, except what must be echoed.

use std::borrow::Cow;

use crate::charset::Charset;
use crate::delimiter::Delimiters;
use crate::escape::escape;
use crate::location::{Location, SegmentId};
use crate::message::{Element, Message, Version};
use crate::segment::{Msa, SegmentView};
use crate::timestamp::Timestamp;

/// Acknowledgement code, MSA-1, table 0008.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// Application accept.
    AA,
    /// Application error: may be corrected and sent again.
    AE,
    /// Application reject: will never work.
    AR,
    /// Commit accept: safely stored.
    CA,
    /// Commit error: could not be stored.
    CE,
    /// Commit reject: will never be stored.
    CR,
}

/// One row per code: its text, and the code for the same message when it could not be accepted.
const ACK_CODES: &[(&str, AckCode, AckCode)] = &[
    ("AA", AckCode::AA, AckCode::AE),
    ("AE", AckCode::AE, AckCode::AE),
    ("AR", AckCode::AR, AckCode::AR),
    ("CA", AckCode::CA, AckCode::CE),
    ("CE", AckCode::CE, AckCode::CE),
    ("CR", AckCode::CR, AckCode::CR),
];

impl AckCode {
    /// Reads MSA-1.
    pub fn read(text: &str) -> Option<Self> {
        let row = ACK_CODES.iter().find(|(name, ..)| *name == text.trim());
        row.map(|(_, code, _)| *code)
    }

    /// The code as it is written.
    pub fn as_str(self) -> &'static str {
        let row = ACK_CODES.iter().find(|(_, code, _)| *code == self);
        row.map_or("AE", |(name, ..)| name)
    }

    /// Whether the sender may forget the message.
    pub fn is_positive(self) -> bool {
        self.negative() != self
    }

    /// The error of the same mode for a positive code; any other code as it is.
    fn negative(self) -> Self {
        let row = ACK_CODES.iter().find(|(_, code, _)| *code == self);
        row.map_or(Self::AE, |(.., negative)| *negative)
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is ours now: stored so that it cannot be lost.
    Accepted,
    /// It was not taken; sending it again, perhaps corrected, may help.
    Error,
    /// It was not taken and never will be.
    Rejected,
}

/// When an acknowledgement is wanted, MSH-15 and MSH-16, table 0155.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `AL`: always.
    Always,
    /// `NE`: never.
    Never,
    /// `ER`: on error or reject only.
    Error,
    /// `SU`: on success only.
    Success,
}

impl Condition {
    /// Reads MSH-15 or MSH-16.
    pub fn read(text: &str) -> Option<Self> {
        match text.trim() {
            "AL" => Some(Self::Always),
            "NE" => Some(Self::Never),
            "ER" => Some(Self::Error),
            "SU" => Some(Self::Success),
            _ => None,
        }
    }

    fn holds(self, disposition: Disposition) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Error => disposition != Disposition::Accepted,
            Self::Success => disposition == Disposition::Accepted,
        }
    }
}

/// Which acknowledgements a source gets, whatever its messages ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AckPolicy {
    /// What MSH-15 and MSH-16 ask for.
    #[default]
    AsAsked,
    /// One application acknowledgement (AA, AE, AR): many senders ask for none and wait for it.
    Application,
    /// One commit acknowledgement (CA, CE, CR).
    Commit,
    /// None.
    Silent,
}

/// The two ways of acknowledging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckMode {
    /// MSH-15 and MSH-16 are empty: one application acknowledgement.
    Original,
    /// At least one of them is valued: a commit and an application acknowledgement, each as asked.
    Enhanced,
}

/// Which acknowledgements a message gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckPlan {
    /// The way of acknowledging.
    pub mode: AckMode,
    /// When a commit acknowledgement is sent.
    pub commit: Condition,
    /// When an application acknowledgement is sent.
    pub application: Condition,
    /// MSH-15 or MSH-16 has a value that is not in table 0155; it was taken as empty.
    pub unknown_condition: bool,
}

impl AckPlan {
    const fn of(mode: AckMode, commit: Condition, application: Condition) -> Self {
        Self {
            mode,
            commit,
            application,
            unknown_condition: false,
        }
    }

    /// The code to answer with at once, on the connection that the message came by: the commit
    /// acknowledgement if one is wanted, else the application acknowledgement.
    pub fn immediate(self, disposition: Disposition) -> Option<AckCode> {
        self.commit_code(disposition)
            .or_else(|| self.application_code(disposition))
    }

    /// The code of an application acknowledgement that is sent later, as a message of its own:
    /// only when both kinds are wanted, because one alone is sent at once.
    pub fn deferred(self, disposition: Disposition) -> Option<AckCode> {
        self.commit_code(disposition)
            .and_then(|_| self.application_code(disposition))
    }

    fn commit_code(self, disposition: Disposition) -> Option<AckCode> {
        self.commit.holds(disposition).then_some(match disposition {
            Disposition::Accepted => AckCode::CA,
            Disposition::Error => AckCode::CE,
            Disposition::Rejected => AckCode::CR,
        })
    }

    fn application_code(self, disposition: Disposition) -> Option<AckCode> {
        self.application
            .holds(disposition)
            .then_some(match disposition {
                Disposition::Accepted => AckCode::AA,
                Disposition::Error => AckCode::AE,
                Disposition::Rejected => AckCode::AR,
            })
    }
}

/// Decides which acknowledgements a message gets. An acknowledgement never gets one.
pub fn mode(message: &Message, policy: AckPolicy) -> AckPlan {
    use Condition::{Always, Never};
    if is_acknowledgement(message) {
        return AckPlan::of(AckMode::Original, Never, Never);
    }
    match policy {
        AckPolicy::AsAsked => as_asked(message),
        AckPolicy::Application => AckPlan::of(AckMode::Original, Never, Always),
        AckPolicy::Commit => AckPlan::of(AckMode::Enhanced, Always, Never),
        AckPolicy::Silent => AckPlan::of(AckMode::Enhanced, Never, Never),
    }
}

fn as_asked(message: &Message) -> AckPlan {
    let asked = [15, 16].map(|field| message.header().field(field).value());
    let [commit, application] =
        [0, 1].map(|index: usize| Condition::read(asked.get(index)?.as_deref()?));
    let known = [commit, application].into_iter().flatten().count();
    let unknown_condition = asked.iter().flatten().count() > known;
    let plan = match (commit, application) {
        (None, None) => AckPlan::of(AckMode::Original, Condition::Never, Condition::Always),
        _ => AckPlan::of(
            AckMode::Enhanced,
            commit.unwrap_or(Condition::Never),
            application.unwrap_or(Condition::Never),
        ),
    };
    AckPlan {
        unknown_condition,
        ..plan
    }
}

/// Whether a message is itself an acknowledgement or another answer, which must not be answered.
pub fn is_acknowledgement(message: &Message) -> bool {
    message.message_code().as_deref() == Some("ACK") || message.view::<Msa>().is_some()
}

/// What went wrong, ERR-3, table 0357.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCondition {
    /// 0: nothing did.
    MessageAccepted,
    /// 100: segments in a wrong order, or a required one missing.
    SegmentSequenceError,
    /// 101: a required field is empty.
    RequiredFieldMissing,
    /// 102: a field has a value of a wrong type.
    DataTypeError,
    /// 103: a code is not in its table.
    TableValueNotFound,
    /// 104: a value is too long.
    ValueTooLong,
    /// 198: too many or too few.
    NonConformantCardinality,
    /// 199: any other offence against HL7.
    OtherHl7Error,
    /// 200: MSH-9.1 is not supported.
    UnsupportedMessageType,
    /// 201: MSH-9.2 is not supported.
    UnsupportedEventCode,
    /// 202: MSH-11 is not supported.
    UnsupportedProcessingId,
    /// 203: MSH-12 is not supported.
    UnsupportedVersionId,
    /// 204: the patient, order or other thing referred to is not known.
    UnknownKeyIdentifier,
    /// 205: it is known already.
    DuplicateKeyIdentifier,
    /// 206: it is locked.
    ApplicationRecordLocked,
    /// 207: any other fault of ours.
    ApplicationInternalError,
}

/// Table 0357.
const TABLE_0357: &[(ErrorCondition, &str, &str)] = &[
    (ErrorCondition::MessageAccepted, "0", "Message accepted"),
    (
        ErrorCondition::SegmentSequenceError,
        "100",
        "Segment sequence error",
    ),
    (
        ErrorCondition::RequiredFieldMissing,
        "101",
        "Required field missing",
    ),
    (ErrorCondition::DataTypeError, "102", "Data type error"),
    (
        ErrorCondition::TableValueNotFound,
        "103",
        "Table value not found",
    ),
    (ErrorCondition::ValueTooLong, "104", "Value too long"),
    (
        ErrorCondition::NonConformantCardinality,
        "198",
        "Non-Conformant Cardinality",
    ),
    (ErrorCondition::OtherHl7Error, "199", "Other HL7 Error"),
    (
        ErrorCondition::UnsupportedMessageType,
        "200",
        "Unsupported message type",
    ),
    (
        ErrorCondition::UnsupportedEventCode,
        "201",
        "Unsupported event code",
    ),
    (
        ErrorCondition::UnsupportedProcessingId,
        "202",
        "Unsupported processing id",
    ),
    (
        ErrorCondition::UnsupportedVersionId,
        "203",
        "Unsupported version id",
    ),
    (
        ErrorCondition::UnknownKeyIdentifier,
        "204",
        "Unknown key identifier",
    ),
    (
        ErrorCondition::DuplicateKeyIdentifier,
        "205",
        "Duplicate key identifier",
    ),
    (
        ErrorCondition::ApplicationRecordLocked,
        "206",
        "Application record locked",
    ),
    (
        ErrorCondition::ApplicationInternalError,
        "207",
        "Application internal error",
    ),
];

impl ErrorCondition {
    /// Finds a condition by its code.
    pub fn read(code: &str) -> Option<Self> {
        let row = TABLE_0357.iter().find(|(_, row, _)| *row == code.trim());
        row.map(|(condition, ..)| *condition)
    }

    /// The code: `101`.
    pub fn code(self) -> &'static str {
        self.row().1
    }

    /// The text of the table: `Required field missing`.
    pub fn text(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (Self, &'static str, &'static str) {
        let row = TABLE_0357.iter().find(|(condition, ..)| *condition == self);
        row.copied()
            .unwrap_or((self, "207", "Application internal error"))
    }
}

/// How bad an error is, ERR-4, table 0516.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorSeverity {
    /// `I`.
    Information,
    /// `W`.
    Warning,
    /// `E`.
    Error,
    /// `F`.
    Fatal,
}

impl ErrorSeverity {
    /// Reads ERR-4.
    pub fn read(text: &str) -> Option<Self> {
        match text.trim() {
            "I" => Some(Self::Information),
            "W" => Some(Self::Warning),
            "E" => Some(Self::Error),
            "F" => Some(Self::Fatal),
            _ => None,
        }
    }

    /// The code as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Information => "I",
            Self::Warning => "W",
            Self::Error => "E",
            Self::Fatal => "F",
        }
    }
}

/// One error that an acknowledgement reports. Its text is fixed, so that it cannot contain
/// anything about a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckError {
    /// What went wrong.
    pub condition: ErrorCondition,
    /// Where.
    pub location: Option<Location>,
    /// How bad it is.
    pub severity: ErrorSeverity,
    /// For the people who read it; without it, the text of the table.
    pub text: Option<&'static str>,
}

impl AckError {
    /// An error at no particular place.
    pub fn new(condition: ErrorCondition) -> Self {
        Self {
            condition,
            location: None,
            severity: ErrorSeverity::Error,
            text: None,
        }
    }

    /// An error at a place.
    pub fn at(condition: ErrorCondition, location: Location) -> Self {
        Self {
            location: Some(location),
            ..Self::new(condition)
        }
    }

    /// The same error in other words.
    #[must_use]
    pub fn saying(self, text: &'static str) -> Self {
        Self {
            text: Some(text),
            ..self
        }
    }

    fn words(&self) -> &'static str {
        self.text.unwrap_or(self.condition.text())
    }
}

/// An acknowledgement to be written.
#[derive(Clone, Debug)]
pub struct Acknowledgement<'a> {
    /// MSA-1. A positive code becomes the error of the same mode when the message has no MSH-10
    /// that could be echoed: the sender could not tell which message was accepted.
    pub code: AckCode,
    /// MSH-10 of the answer, unique among all that we send.
    pub control_id: &'a str,
    /// MSH-7 of the answer.
    pub created: Timestamp,
    /// What went wrong.
    pub errors: &'a [AckError],
}

/// The version that an answer to an unreadable message is written in.
const VERSION_DEFAULT: &str = "2.5.1";
/// The first version with a place for the event in MSH-9.
const EVENT_SINCE: Version = Version::new(2, 3, 0);
/// The first version with a place for the structure in MSH-9.
const STRUCTURE_SINCE: Version = Version::new(2, 3, 1);
/// The first version with an ERR segment.
const ERR_SINCE: Version = Version::new(2, 2, 0);
/// The first version with MSA-6.
const MSA_6_SINCE: Version = Version::new(2, 3, 0);
/// The first version whose ERR segment has a field for each fact.
const ERR_FIELDS_SINCE: Version = Version::new(2, 5, 0);
/// The first version without MSA-3.
const MSA_3_UNTIL: Version = Version::new(2, 7, 0);

/// What an answer takes from the message it answers, as it was written there.
struct Echo<'m> {
    delimiters: Delimiters,
    charset: Charset,
    /// MSH-3 to MSH-6.
    parties: [&'m str; 4],
    event: &'m str,
    control_id: &'m str,
    processing_id: &'m str,
    version_id: &'m str,
    version: Version,
    character_set: &'m str,
}

impl<'m> Echo<'m> {
    fn of(message: &'m Message) -> Self {
        let header = message.header();
        let raw = |field| header.field(field).raw();
        let own_event = header.field(9).component(2);
        let evn = message.segment("EVN").map(|evn| evn.field(1).component(1));
        let event = if own_event.is_valued() {
            Some(own_event)
        } else {
            evn
        };
        Self {
            delimiters: *message.delimiters(),
            charset: message.charset(),
            parties: [3, 4, 5, 6].map(raw),
            event: event
                .filter(Element::is_valued)
                .map_or("", |event| event.raw()),
            control_id: raw(10),
            processing_id: raw(11),
            version_id: raw(12),
            version: message.version().unwrap_or(ERR_FIELDS_SINCE),
            character_set: raw(18),
        }
    }

    /// For a message without a header.
    fn of_nothing() -> Self {
        Self {
            delimiters: Delimiters::RECOMMENDED,
            charset: Charset::UTF_8,
            parties: [""; 4],
            event: "",
            control_id: "",
            processing_id: "P",
            version_id: VERSION_DEFAULT,
            version: ERR_FIELDS_SINCE,
            character_set: "",
        }
    }
}

impl Acknowledgement<'_> {
    /// The answer to a message, in its delimiters, version and character set.
    pub fn answer(&self, message: &Message) -> Vec<u8> {
        self.write(&Echo::of(message))
    }

    /// The answer to a frame in which no header could be read; never positive.
    pub fn answer_unreadable(&self) -> Vec<u8> {
        self.write(&Echo::of_nothing())
    }

    fn write(&self, echo: &Echo<'_>) -> Vec<u8> {
        let mut segments = vec![self.header(echo), self.msa(echo)];
        segments.extend(self.err(echo));
        let mut text = String::new();
        for segment in segments {
            text.push_str(&segment);
            text.push('\r');
        }
        // What was echoed must not be able to end the frame.
        text.retain(|character| !matches!(character, '\u{b}' | '\u{1c}'));
        echo.charset.encode(&text).into_owned()
    }

    fn header(&self, echo: &Echo<'_>) -> String {
        let separator = char::from(echo.delimiters.field);
        let component = char::from(echo.delimiters.component);
        let [application, facility, own_application, own_facility] = echo.parties;
        let message_type = match echo.event {
            event if event.is_empty() || echo.version < EVENT_SINCE => "ACK".to_owned(),
            event if echo.version < STRUCTURE_SINCE => format!("ACK{component}{event}"),
            event => format!("ACK{component}{event}{component}ACK"),
        };
        let control_id = escape(self.control_id, &echo.delimiters);
        let created = self.created.to_string();
        let mut header = format!("MSH{separator}{}", echo.delimiters.encoding_characters());
        for field in [
            own_application,
            own_facility,
            application,
            facility,
            &created,
            "",
            &message_type,
            &control_id,
            echo.processing_id,
            echo.version_id,
        ] {
            header.push(separator);
            header.push_str(field);
        }
        if !echo.control_id.is_ascii() || !echo.parties.iter().all(|party| party.is_ascii()) {
            // MSH-18: the answer is not in ASCII either.
            header.extend(std::iter::repeat_n(separator, 6));
            header.push_str(echo.character_set);
        }
        header
    }

    fn msa(&self, echo: &Echo<'_>) -> String {
        let can_be_matched = !matches!(echo.control_id, "" | "\"\"");
        let code = if can_be_matched {
            self.code
        } else {
            self.code.negative()
        };
        let first = self.errors.first();
        let words = first
            .filter(|_| echo.version < MSA_3_UNTIL)
            .map_or("", AckError::words);
        let condition = first
            .filter(|_| (MSA_6_SINCE..ERR_FIELDS_SINCE).contains(&echo.version))
            .map_or_else(String::new, |error| {
                coded(error.condition, echo.delimiters.component)
            });
        let words = escape(words, &echo.delimiters);
        let fields = [
            "MSA",
            code.as_str(),
            echo.control_id,
            &words,
            "",
            "",
            &condition,
        ];
        join(&fields, echo.delimiters.field)
    }

    fn err(&self, echo: &Echo<'_>) -> Vec<String> {
        if self.errors.is_empty() || echo.version < ERR_SINCE {
            return Vec::new();
        }
        if echo.version < ERR_FIELDS_SINCE {
            return vec![self.err_as_list(echo)];
        }
        let component = echo.delimiters.component;
        let segment = |error: &AckError| {
            let location = error
                .location
                .map_or_else(String::new, |at| erl(&at, component));
            let condition = coded(error.condition, component);
            let words = escape(error.words(), &echo.delimiters);
            let severity = error.severity.as_str();
            let fields = [
                "ERR", "", &location, &condition, severity, "", "", "", &words,
            ];
            join(&fields, echo.delimiters.field)
        };
        self.errors.iter().map(segment).collect()
    }

    /// ERR-1 before version 2.5: segment, sequence, field and code, repeating for each error.
    fn err_as_list(&self, echo: &Echo<'_>) -> String {
        let mut segment = format!("ERR{}", char::from(echo.delimiters.field));
        // Without a repetition separator there is room for one error only.
        let room = if echo.delimiters.repetition.is_some() {
            self.errors.len()
        } else {
            1
        };
        for (index, error) in self.errors.iter().take(room).enumerate() {
            if index > 0 {
                segment.extend(echo.delimiters.repetition.map(char::from));
            }
            let place = error.location.map(|at| {
                let field = at.field.map_or_else(String::new, |field| field.to_string());
                (at.segment.to_string(), at.occurrence.to_string(), field)
            });
            let (name, sequence, field) = place.unwrap_or_default();
            let code = match echo.delimiters.subcomponent {
                Some(subcomponent) => coded(error.condition, subcomponent),
                None => error.condition.code().to_owned(),
            };
            segment.push_str(&join(
                &[&name, &sequence, &field, &code],
                echo.delimiters.component,
            ));
        }
        segment
    }
}

/// A condition as a coded value: `101^Required field missing^HL70357`.
fn coded(condition: ErrorCondition, separator: u8) -> String {
    join(&[condition.code(), condition.text(), "HL70357"], separator)
}

/// A location as data type ERL.
fn erl(location: &Location, component: u8) -> String {
    let number = |number: Option<usize>| number.map_or_else(String::new, |n| n.to_string());
    let repetition = location.field.map(|_| location.repetition);
    let parts = [
        location.segment.to_string(),
        location.occurrence.to_string(),
        number(location.field),
        number(repetition),
        number(location.component),
        number(location.subcomponent),
    ];
    join(&parts.each_ref().map(String::as_str), component)
}

/// The parts between separators, without separators at the end.
fn join(parts: &[&str], separator: u8) -> String {
    let separator = char::from(separator);
    let mut text = String::new();
    let used = parts
        .iter()
        .rposition(|part| !part.is_empty())
        .map_or(0, |last| last + 1);
    for (index, part) in parts.iter().take(used).enumerate() {
        if index > 0 {
            text.push(separator);
        }
        text.push_str(part);
    }
    text
}

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

fn reported<'m>(err: &crate::message::Segment<'m>) -> Vec<ReportedError<'m>> {
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
