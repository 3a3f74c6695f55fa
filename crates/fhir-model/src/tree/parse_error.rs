//! What a document may cost, and why and where a text is refused.

use std::string::FromUtf8Error;

use crate::tree::{NONE, text};

/// What a document may cost at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How deep objects and arrays may nest; never more than [`Limits::DEPTH_CEILING`].
    pub depth_max: u32,
    /// How many bytes the text may have; never more than [`Limits::BYTES_CEILING`].
    pub bytes_max: usize,
    /// How many JSON values there may be.
    pub nodes_max: u32,
}

impl Limits {
    /// No tree is deeper than this, so whoever walks one may recurse.
    pub const DEPTH_CEILING: u32 = 512;

    /// No text is longer than this: offsets are 32 bits, and edits need room behind the source.
    pub const BYTES_CEILING: usize = 1 << 31;

    /// As much as a tree can hold: for text that we wrote ourselves.
    pub const CEILING: Self = Self {
        depth_max: Self::DEPTH_CEILING,
        bytes_max: Self::BYTES_CEILING,
        nodes_max: NONE - 1,
    };
}

impl Default for Limits {
    /// Room for a Bundle with tens of thousands of entries.
    fn default() -> Self {
        Self {
            depth_max: 128,
            bytes_max: 64 << 20,
            nodes_max: 8 << 20,
        }
    }
}

/// Why a text is not a JSON object that we take.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseErrorKind {
    /// There is no text.
    #[error("there is no JSON text")]
    Empty,
    /// The text is longer than the limit.
    #[error("the text is longer than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// Objects and arrays nest deeper than the limit.
    #[error("objects and arrays nest deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: u32,
    },
    /// There are more values than the limit.
    #[error("there are more than {limit} JSON values")]
    TooManyNodes {
        /// The limit.
        limit: u32,
    },
    /// A byte sequence that is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The value at the top is not an object.
    #[error("a JSON object is expected, starting with '{{'")]
    NotAnObject,
    /// The text ends inside the object.
    #[error("the text ends before the object does")]
    UnexpectedEnd,
    /// Something that is not a JSON value.
    #[error("a JSON value is expected")]
    ValueExpected,
    /// An object goes on with something that is not a property name.
    #[error("a property name in double quotes is expected")]
    KeyExpected,
    /// No `:` after a property name.
    #[error("':' is expected after the property name")]
    ColonExpected,
    /// No `,` or end after an item or member.
    #[error("',' or '{close}' is expected")]
    CommaExpected {
        /// What would end this array or object.
        close: char,
    },
    /// A property that this object already has.
    #[error("the property \"{key}\" is given twice in one object")]
    DuplicateKey {
        /// The property.
        key: String,
    },
    /// Not a JSON number: a leading zero or `+`, no digit where one must be.
    #[error("this is not a JSON number")]
    InvalidNumber,
    /// A backslash with something after it that JSON does not know.
    #[error("this is not a JSON escape sequence")]
    InvalidEscape,
    /// Half of a surrogate pair: no character.
    #[error("this escape sequence is half of a surrogate pair")]
    LoneSurrogate,
    /// A control character inside a string.
    #[error("the control character U+{code:04X} must be escaped in a string")]
    ControlCharacter {
        /// The character.
        code: u8,
    },
    /// Text after the object.
    #[error("there is text after the end of the object")]
    TrailingData,
}

/// Why and where a text is not a JSON object that we take.
///
/// `Display` quotes nothing of the text but property names.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind} (line {line}, column {column}{})", at_path(path))]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// The byte where it is wrong.
    pub offset: usize,
    /// The line of that byte, from 1.
    pub line: u32,
    /// The character in that line, from 1.
    pub column: u32,
    /// The property or item, as a FHIRPath from the resource: `Patient.name[0].given`.
    pub path: String,
}

fn at_path(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    format!(", at {path}")
}

impl ParseError {
    pub(super) fn new(kind: ParseErrorKind, bytes: &[u8], offset: usize, path: String) -> Self {
        let place = text::line_column(bytes, offset);
        Self {
            kind,
            offset,
            line: place.line,
            column: place.column,
            path,
        }
    }

    pub(super) fn not_utf8(error: &FromUtf8Error) -> Self {
        let offset = error.utf8_error().valid_up_to();
        Self::new(
            ParseErrorKind::NotUtf8,
            error.as_bytes(),
            offset,
            String::new(),
        )
    }
}
