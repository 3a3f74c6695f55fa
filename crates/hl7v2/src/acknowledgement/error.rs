//! What an acknowledgement says went wrong: table 0357 and the facts of an ERR segment (HL7 v2.9,
//! section 2.14.5).

use crate::location::{Location, SegmentId};
use crate::parse::{IssueCode, ParseError};

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
pub(crate) const TABLE_0357: &[(ErrorCondition, &str, &str)] = &[
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

/// Issues that forbid a positive answer: what they are in table 0357, and their field of MSH.
const ISSUE_ERRORS: &[(IssueCode, ErrorCondition, Option<usize>)] = &[
    (
        IssueCode::EncodingCharactersInvalid,
        ErrorCondition::DataTypeError,
        Some(2),
    ),
    (
        IssueCode::MessageTypeMissing,
        ErrorCondition::RequiredFieldMissing,
        Some(9),
    ),
    (
        IssueCode::ControlIdMissing,
        ErrorCondition::RequiredFieldMissing,
        Some(10),
    ),
    (
        IssueCode::SecondHeader,
        ErrorCondition::SegmentSequenceError,
        None,
    ),
];

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

    /// The error behind an issue of a message; `None` when the issue forbids nothing.
    pub fn of_issue(issue: IssueCode) -> Option<Self> {
        let (_, condition, field) = ISSUE_ERRORS.iter().find(|(code, ..)| *code == issue)?;
        let location = Location {
            field: *field,
            ..Location::segment(SegmentId::MSH)
        };
        Some(Self::at(*condition, location))
    }

    /// The error behind bytes that are no message.
    pub fn of_parse_error(error: ParseError) -> Self {
        match error {
            ParseError::Empty | ParseError::HeaderMissing => {
                Self::new(ErrorCondition::SegmentSequenceError)
                    .saying("The message does not begin with MSH")
            }
            ParseError::Batch => Self::new(ErrorCondition::UnsupportedMessageType)
                .saying("Batches are not accepted here"),
            ParseError::TooManySegments { .. } => {
                Self::new(ErrorCondition::NonConformantCardinality).saying("Too many segments")
            }
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

    pub(crate) fn words(&self) -> &'static str {
        self.text.unwrap_or(self.condition.text())
    }
}
