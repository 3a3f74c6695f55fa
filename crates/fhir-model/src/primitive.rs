//! The primitive types of R4 and the forms of their values:
//! <https://hl7.org/fhir/R4/datatypes.html#primitive>.
//!
//! The checks follow the regular expressions of that page, and beyond them what it says in words
//! (a day must exist, a string must not be empty). Bindings and invariants are the business of
//! validation.

pub mod date;
pub mod decimal;

use crate::key;
use crate::primitive::date::{DateTime, Precision, Time};
use crate::tree::Kind;

/// The most characters of a string: datatypes.html#string.
pub const STRING_CHARS_MAX: usize = 1024 * 1024;

/// The greatest value of `integer`, `unsignedInt` and `positiveInt`, and beyond zero the least.
const INTEGER_MAX: u32 = i32::MAX.unsigned_abs();

/// Why a value is not of its primitive type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PrimitiveError {
    /// The type is another kind of JSON value.
    #[error("{primitive} is a JSON {}, not {}", expected.word(), actual.word())]
    Kind {
        /// The code of the type.
        primitive: &'static str,
        /// What it should be.
        expected: Kind,
        /// What it is.
        actual: Kind,
    },
    /// The text does not have the form of the type.
    #[error("the value does not have the form of {primitive}: {form}")]
    Form {
        /// The code of the type.
        primitive: &'static str,
        /// The form, in words.
        form: &'static str,
    },
}

/// Which JSON value a type is, what its form is in words, and what checks it.
struct Rule {
    code: &'static str,
    kind: Kind,
    form: &'static str,
    is_form: fn(&str) -> bool,
}

/// The enum, the list of all, and the rules, from one table.
macro_rules! primitives {
    ($($(#[$doc:meta])+ $variant:ident = $code:literal, $kind:ident, $form:literal, $check:expr;)+) => {
        /// A primitive type of R4.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Primitive {
            $($(#[$doc])+ $variant,)+
        }

        impl Primitive {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            const fn rule(self) -> Rule {
                match self {
                    $(Self::$variant => Rule {
                        code: $code,
                        kind: Kind::$kind,
                        form: $form,
                        is_form: $check,
                    },)+
                }
            }
        }
    };
}

primitives! {
    /// `true` or `false`
    Boolean = "boolean", Boolean, "true or false", |text| matches!(text, "true" | "false");
    /// A signed 32-bit integer.
    Integer = "integer", Number, "a whole number of 32 bits without leading zeros", is_integer;
    /// 0 to 2,147,483,647
    UnsignedInt = "unsignedInt", Number, "a whole number from 0 to 2147483647", |text| is_integer_from(text, 0);
    /// 1 to 2,147,483,647
    PositiveInt = "positiveInt", Number, "a whole number from 1 to 2147483647", |text| is_integer_from(text, 1);
    /// A rational number with a precision.
    Decimal = "decimal", Number, "a JSON number", is_decimal;
    /// Text.
    String = "string", String, "text that is not empty, of at most 1048576 characters, without control characters other than tab and line breaks", is_string;
    /// Text that may be Markdown.
    Markdown = "markdown", String, "text that is not empty, of at most 1048576 characters, without control characters other than tab and line breaks", is_string;
    /// A word from a set that is controlled elsewhere.
    Code = "code", String, "text without white space around it and with single spaces inside", is_code;
    /// A logical id.
    Id = "id", String, "1 to 64 letters, digits, '-' and '.'", key::is_logical_id;
    /// A URI.
    Uri = "uri", String, "a URI, which has no white space and, if it is urn:uuid: or urn:oid:, a UUID or an OID", is_uri_or_urn;
    /// A URL.
    Url = "url", String, "a URL, which has no white space", is_uri;
    /// The URL of a definition.
    Canonical = "canonical", String, "a URL, which has no white space, with |version if one is meant", is_uri;
    /// An OID as a URI.
    Oid = "oid", String, "urn:oid: and numbers with dots between them", is_oid;
    /// A UUID as a URI.
    Uuid = "uuid", String, "urn:uuid: and a UUID in lower case", is_uuid;
    /// Bytes.
    Base64Binary = "base64Binary", String, "base64 in groups of four characters", is_base64;
    /// A day, month or year.
    Date = "date", String, "YYYY, YYYY-MM or YYYY-MM-DD of a day that exists", is_date;
    /// A date, or a time of a day with seconds and offset.
    DateTime = "dateTime", String, "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with Z or an offset", is_date_time;
    /// A time of a day with at least seconds.
    Instant = "instant", String, "YYYY-MM-DDThh:mm:ss with Z or an offset", is_instant;
    /// A time of day.
    Time = "time", String, "hh:mm:ss", is_time;
    /// A narrative.
    Xhtml = "xhtml", String, "one div element", is_xhtml;
}

impl Primitive {
    /// The code of the type: `unsignedInt`.
    pub const fn code(self) -> &'static str {
        self.rule().code
    }

    /// The type with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }

    /// Which kind of JSON value the type is.
    pub const fn json_kind(self) -> Kind {
        self.rule().kind
    }

    /// Whether a value is of this type: its kind in JSON, and its text without escapes.
    pub fn check(self, actual: Kind, text: &str) -> Result<(), PrimitiveError> {
        let rule = self.rule();
        if actual != rule.kind {
            return Err(PrimitiveError::Kind {
                primitive: rule.code,
                expected: rule.kind,
                actual,
            });
        }
        self.check_text(text)
    }

    /// Whether a text has the form of this type, as in XML or a search.
    pub fn check_text(self, text: &str) -> Result<(), PrimitiveError> {
        let rule = self.rule();
        if (rule.is_form)(text) {
            return Ok(());
        }
        Err(PrimitiveError::Form {
            primitive: rule.code,
            form: rule.form,
        })
    }
}

/// `[0]|[-+]?[1-9][0-9]*`, of 32 bits; JSON has no `+`.
fn is_integer(text: &str) -> bool {
    match text.strip_prefix('-') {
        Some(digits) => {
            magnitude(digits).is_some_and(|value| (1..=INTEGER_MAX + 1).contains(&value))
        }
        None => is_integer_from(text, 0),
    }
}

fn is_integer_from(text: &str, min: u32) -> bool {
    magnitude(text).is_some_and(|value| (min..=INTEGER_MAX).contains(&value))
}

/// The value of digits without leading zeros.
fn magnitude(digits: &str) -> Option<u32> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| is_plain)
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`: what JSON calls a number, of any length.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (integer, fraction) = match mantissa.split_once('.') {
        Some((integer, fraction)) => (integer, Some(fraction)),
        None => (mantissa, None),
    };
    let integer = integer.strip_prefix('-').unwrap_or(integer);
    are_digits(integer)
        && (integer == "0" || !integer.starts_with('0'))
        && fraction.is_none_or(are_digits)
        && exponent.is_none_or(|exponent| {
            are_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
        })
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `[ \r\n\t\S]+`, without control characters, of at most [`STRING_CHARS_MAX`].
fn is_string(text: &str) -> bool {
    let is_allowed = |byte: u8| byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r');
    let is_short = text.len() <= STRING_CHARS_MAX || text.chars().count() <= STRING_CHARS_MAX;
    !text.is_empty() && is_short && text.bytes().all(is_allowed)
}

/// `[^\s]+(\s[^\s]+)*`
fn is_code(text: &str) -> bool {
    text.split(char::is_whitespace).all(|word| !word.is_empty()) && is_string(text)
}

/// `\S*`, and not empty, as no string in JSON may be.
fn is_uri(text: &str) -> bool {
    !text.is_empty() && !text.contains(|next: char| next.is_whitespace() || next.is_control())
}

/// A URI; a URN of an OID or a UUID is of the form that these types have, if perhaps in upper case.
fn is_uri_or_urn(text: &str) -> bool {
    let of_form = |prefix: &str, is_form: &dyn Fn() -> bool| !text.starts_with(prefix) || is_form();
    is_uri(text)
        && of_form("urn:oid:", &|| is_oid(text))
        && of_form("urn:uuid:", &|| is_uuid(&text.to_ascii_lowercase()))
}

/// `urn:oid:[0-2](\.(0|[1-9][0-9]*))+`
fn is_oid(text: &str) -> bool {
    let Some((root, rest)) = text
        .strip_prefix("urn:oid:")
        .and_then(|oid| oid.split_once('.'))
    else {
        return false;
    };
    let is_arc = |arc: &str| are_digits(arc) && (arc == "0" || !arc.starts_with('0'));
    matches!(root, "0" | "1" | "2") && rest.split('.').all(is_arc)
}

/// `urn:uuid:` and 8-4-4-4-12 hexadecimal digits in lower case.
fn is_uuid(text: &str) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let Some(uuid) = text.strip_prefix("urn:uuid:") else {
        return false;
    };
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    uuid.split('-').map(str::len).eq(GROUPS)
        && uuid.bytes().all(|byte| is_digit(byte) || byte == b'-')
}

/// Groups of four characters, white space between any of them, `=` only at the end.
fn is_base64(text: &str) -> bool {
    let mut len = 0_usize;
    let mut padding = 0_usize;
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        match byte {
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return false,
        }
        len += 1;
    }
    len > 0 && len.is_multiple_of(4) && padding <= 2
}

fn is_date(text: &str) -> bool {
    DateTime::parse(text).is_some_and(|date| date.precision <= Precision::Day)
}

/// A time needs seconds and an offset.
fn is_date_time(text: &str) -> bool {
    is_date(text) || is_instant(text)
}

fn is_instant(text: &str) -> bool {
    DateTime::parse(text)
        .is_some_and(|date| date.precision >= Precision::Second && date.offset_minutes.is_some())
}

fn is_time(text: &str) -> bool {
    Time::parse(text).is_some_and(|time| time.precision >= Precision::Second)
}

/// One `div`, by its start and end only; what may be inside is for a reader of XML.
fn is_xhtml(text: &str) -> bool {
    let text = text.trim();
    let Some(rest) = text.strip_prefix("<div") else {
        return false;
    };
    rest.starts_with(['>', '/', ' ', '\t', '\r', '\n'])
        && (text.ends_with("</div>") || (text.ends_with("/>") && text.matches('<').count() == 1))
}

#[cfg(test)]
mod tests;
