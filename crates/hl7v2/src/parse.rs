//! Bytes of one message → [`Message`] and what was wrong with it (HL7 v2.9, section 2.6).
//!
//! Reading is lenient and loses nothing: whatever stands between two segment ends is a segment,
//! and what is odd about it is an [`Issue`]. Only what has no readable header is an error. Whether
//! the segments make up the right message is left to the caller.

use std::borrow::Cow;

use crate::charset::{self, Basis, Decision, Doubt, Knowledge};
use crate::delimiter::Delimiters;
use crate::location::SegmentId;
use crate::message::{Message, Span};

/// The most segments of one message.
pub const SEGMENTS_MAX: usize = 100_000;

/// The most issues that are reported of one message.
pub const ISSUES_MAX: usize = 100;

/// A message and what was wrong with it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The message.
    pub message: Message,
    /// What was odd about it; at most [`ISSUES_MAX`].
    pub issues: Vec<Issue>,
}

impl Parsed {
    /// Whether an issue forbids a positive acknowledgement.
    pub fn has_errors(&self) -> bool {
        self.issues
            .iter()
            .any(|issue| issue.code.severity() == Severity::Error)
    }
}

/// Something odd in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issue {
    /// What is odd.
    pub code: IssueCode,
    /// The segment it was found in, by its index from 0.
    pub segment: usize,
}

/// How bad an issue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The message can be used.
    Warning,
    /// The message must not be acknowledged positively.
    Error,
}

/// What can be odd in a message that can still be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IssueCode {
    /// MSH-18 names a character set that we do not know.
    CharsetUnknown,
    /// The bytes are not in the character set that was declared.
    CharsetInvalid,
    /// The bytes were read as MSH-18 says, but they look like UTF-8.
    CharsetMisdeclared,
    /// Nothing was declared, and the bytes are neither ASCII nor UTF-8.
    CharsetGuessed,
    /// MSH-2 cannot hold encoding characters; the recommended ones were assumed.
    EncodingCharactersInvalid,
    /// MSH-10 is empty: an acknowledgement could not be told to belong to this message.
    ControlIdMissing,
    /// MSH-9 is empty, so that the message has no type.
    MessageTypeMissing,
    /// A second MSH: two messages in one frame.
    SecondHeader,
    /// Segments end in different ways (CR, LF, CR LF).
    SegmentEndsMixed,
    /// Blanks stood before the name of a segment.
    SegmentIndented,
    /// A segment does not begin with a name; perhaps a line end stood inside a value.
    SegmentNameInvalid,
}

/// One row per issue: its name in reports, and how bad it is.
pub(crate) const ISSUES: &[(IssueCode, &str, Severity)] = &[
    (
        IssueCode::CharsetUnknown,
        "charset-unknown",
        Severity::Warning,
    ),
    (
        IssueCode::CharsetInvalid,
        "charset-invalid",
        Severity::Warning,
    ),
    (
        IssueCode::CharsetMisdeclared,
        "charset-misdeclared",
        Severity::Warning,
    ),
    (
        IssueCode::CharsetGuessed,
        "charset-guessed",
        Severity::Warning,
    ),
    (
        IssueCode::EncodingCharactersInvalid,
        "encoding-characters-invalid",
        Severity::Error,
    ),
    (
        IssueCode::ControlIdMissing,
        "control-id-missing",
        Severity::Error,
    ),
    (
        IssueCode::MessageTypeMissing,
        "message-type-missing",
        Severity::Error,
    ),
    (IssueCode::SecondHeader, "second-header", Severity::Error),
    (
        IssueCode::SegmentEndsMixed,
        "segment-ends-mixed",
        Severity::Warning,
    ),
    (
        IssueCode::SegmentIndented,
        "segment-indented",
        Severity::Warning,
    ),
    (
        IssueCode::SegmentNameInvalid,
        "segment-name-invalid",
        Severity::Warning,
    ),
];

impl IssueCode {
    /// A name for reports and records.
    pub fn code(self) -> &'static str {
        self.row().1
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        self.row().2
    }

    fn row(self) -> (Self, &'static str, Severity) {
        let row = ISSUES.iter().find(|(code, ..)| *code == self);
        row.copied().unwrap_or((self, "unknown", Severity::Error))
    }
}

/// Why bytes cannot be read as a message at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// There is nothing but blanks.
    #[error("the message is empty")]
    Empty,
    /// It does not begin with MSH and a field separator.
    #[error("the message does not begin with an MSH segment")]
    HeaderMissing,
    /// It begins with FHS or BHS: `batch` splits it into messages.
    #[error("this is a batch, not a message")]
    Batch,
    /// More than [`SEGMENTS_MAX`] segments.
    #[error("the message has more than {limit} segments")]
    TooManySegments {
        /// The limit it met.
        limit: usize,
    },
}

/// What the caller knows about a message before it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// Its character set.
    pub charset: Knowledge,
}

/// Reads a message about which nothing else is known.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    parse_with(bytes, &ParseOptions::default())
}

/// Reads a message.
pub fn parse_with(bytes: &[u8], options: &ParseOptions) -> Result<Parsed, ParseError> {
    let (text, decision) = charset::decode(bytes, &options.charset);
    let start = header_start(&text)?;
    let (delimiters, delimiters_are_read) = delimiters(text.get(start..).unwrap_or_default());
    let mut issues = Issues::default();
    if let Some(code) = doubt(decision) {
        issues.add(code, 0);
    }
    if !delimiters_are_read {
        issues.add(IssueCode::EncodingCharactersInvalid, 0);
    }
    let segments = split(&text, start, delimiters.field, &mut issues)?;
    let message = Message {
        text: Cow::into_owned(text),
        delimiters,
        segments,
        decision,
    };
    check_header(&message, &mut issues);
    Ok(Parsed {
        message,
        issues: issues.found,
    })
}

#[derive(Default)]
struct Issues {
    found: Vec<Issue>,
}

impl Issues {
    fn add(&mut self, code: IssueCode, segment: usize) {
        if self.found.len() < ISSUES_MAX {
            self.found.push(Issue { code, segment });
        }
    }
}

fn doubt(decision: Decision) -> Option<IssueCode> {
    match (decision.doubt, decision.basis) {
        (Some(Doubt::UnknownName), _) => Some(IssueCode::CharsetUnknown),
        (Some(Doubt::InvalidBytes), _) => Some(IssueCode::CharsetInvalid),
        (Some(Doubt::LooksLikeUtf8), _) => Some(IssueCode::CharsetMisdeclared),
        (None, Basis::Fallback) => Some(IssueCode::CharsetGuessed),
        (None, _) => None,
    }
}

/// Characters that stand around a message without belonging to it: blanks, line ends, the
/// framing of MLLP in files, zero bytes, a byte order mark.
fn is_wrapping(character: char) -> bool {
    matches!(
        character,
        ' ' | '\t' | '\r' | '\n' | '\u{b}' | '\u{1c}' | '\0' | '\u{feff}'
    )
}

/// Where MSH begins.
fn header_start(text: &str) -> Result<usize, ParseError> {
    let message = text.trim_start_matches(is_wrapping);
    let name = message.get(..3).unwrap_or_default();
    let separator = message.as_bytes().get(3).copied();
    let is_segment = separator.is_some_and(Delimiters::is_field_separator);
    match name {
        _ if message.is_empty() => Err(ParseError::Empty),
        "MSH" if is_segment => Ok(text.len() - message.len()),
        "FHS" | "BHS" if is_segment => Err(ParseError::Batch),
        _ => Err(ParseError::HeaderMissing),
    }
}

/// The delimiters of the header, and whether MSH-2 could be read.
fn delimiters(message: &str) -> (Delimiters, bool) {
    let header = message.as_bytes().get(3..).unwrap_or_default();
    let Some((&field, rest)) = header.split_first() else {
        return (Delimiters::RECOMMENDED, false);
    };
    let end = memchr::memchr3(field, b'\r', b'\n', rest).unwrap_or(rest.len());
    match Delimiters::read(field, rest.get(..end).unwrap_or_default()) {
        Some(delimiters) => (delimiters, true),
        None => (Delimiters::recommended_under(field), false),
    }
}

/// The ways in which a segment can end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SegmentEnd {
    Cr,
    Lf,
    CrLf,
}

fn split(
    text: &str,
    start: usize,
    field: u8,
    issues: &mut Issues,
) -> Result<Vec<Span>, ParseError> {
    let bytes = text.as_bytes();
    // The end of the message, without the framing of MLLP in files.
    let end = text.trim_end_matches(['\r', '\n', '\u{1c}', '\0']).len();
    let mut segments = Vec::with_capacity(16);
    let mut ends: Option<SegmentEnd> = None;
    let mut ends_are_mixed = false;
    let mut next = start;
    while next < end {
        let rest = bytes.get(next..end).unwrap_or_default();
        let length = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let line = Span {
            start: next,
            end: next + length,
        };
        let (segment_end, end_length) = match (rest.get(length), rest.get(length + 1)) {
            (Some(b'\r'), Some(b'\n')) => (Some(SegmentEnd::CrLf), 2),
            (Some(b'\r'), _) => (Some(SegmentEnd::Cr), 1),
            (Some(_), _) => (Some(SegmentEnd::Lf), 1),
            (None, _) => (None, 0),
        };
        next = line.end + end_length;
        if let Some(span) = unindented(bytes, line) {
            if segments.len() == SEGMENTS_MAX {
                return Err(ParseError::TooManySegments {
                    limit: SEGMENTS_MAX,
                });
            }
            if span.start > line.start {
                issues.add(IssueCode::SegmentIndented, segments.len());
            }
            check_name(bytes, span, field, segments.len(), issues);
            segments.push(span);
            ends_are_mixed |= ends.is_some() && segment_end.is_some() && ends != segment_end;
            ends = ends.or(segment_end);
        }
    }
    if ends_are_mixed {
        issues.add(IssueCode::SegmentEndsMixed, 0);
    }
    Ok(segments)
}

/// The line without the blanks before it; `None` when it has nothing else.
fn unindented(bytes: &[u8], line: Span) -> Option<Span> {
    let content = bytes.get(line.start..line.end)?;
    let blanks = content
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t'))?;
    Some(Span {
        start: line.start + blanks,
        end: line.end,
    })
}

fn check_name(bytes: &[u8], span: Span, field: u8, index: usize, issues: &mut Issues) {
    let segment = bytes.get(span.start..span.end).unwrap_or_default();
    let name_ends = segment.get(3).is_none_or(|byte| *byte == field);
    let name = segment
        .get(..3)
        .filter(|_| name_ends)
        .and_then(|name| str::from_utf8(name).ok());
    if name.and_then(SegmentId::new).is_none() {
        issues.add(IssueCode::SegmentNameInvalid, index);
    } else if name == Some("MSH") && index > 0 {
        issues.add(IssueCode::SecondHeader, index);
    }
}

fn check_header(message: &Message, issues: &mut Issues) {
    let header = message.header();
    if !header.field(10).is_valued() {
        issues.add(IssueCode::ControlIdMissing, 0);
    }
    if !header.field(9).is_valued() {
        issues.add(IssueCode::MessageTypeMissing, 0);
    }
}

#[cfg(test)]
mod tests;
