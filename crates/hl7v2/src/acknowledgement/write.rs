//! Writing an acknowledgement in the delimiters, version and character set of its message.
//!
//! Versions differ in what MSH-9 holds and in where errors are told: MSA-3 and MSA-6, ERR-1, or
//! from 2.5 the fields ERR-2 to ERR-8.

use crate::acknowledgement::{AckCode, AckError, ErrorCondition};
use crate::charset::Charset;
use crate::delimiter::Delimiters;
use crate::escape::escape;
use crate::location::Location;
use crate::message::{Element, Message, Version};
use crate::timestamp::Timestamp;

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
    let repetition = location.field.map(|_| location.repetition.unwrap_or(1));
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
