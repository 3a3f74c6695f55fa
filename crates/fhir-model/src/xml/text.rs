//! The characters of XML 1.0: which there are, references to them, escapes in attributes.
//!
//! <https://www.w3.org/TR/xml/#charsets>, <https://www.w3.org/TR/xml/#sec-references>,
//! <https://www.w3.org/TR/xml/#AVNormalize>. There is no DTD, so XML's own five entities are all.

use crate::xml::error::XmlErrorKind;

/// What is wrong with a text, and at which of its bytes.
pub(super) type TextFault = (usize, XmlErrorKind);

/// White space between elements.
pub(super) fn is_blank(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

/// The first character that XML 1.0 does not allow, and where it stands.
pub(super) fn illegal_character(text: &str) -> Option<(usize, char)> {
    let is_control = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    // U+FFFE and U+FFFF are EF BF BE and EF BF BF; nothing else that is not allowed is UTF-8.
    let is_suspect = |byte: u8| is_control(byte) || byte == 0xef;
    if !text.bytes().any(is_suspect) {
        return None;
    }
    text.char_indices().find(|(_, char)| !is_allowed(*char))
}

const fn is_allowed(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Whether an attribute's text is its value as it stands.
pub(super) fn is_plain(raw: &str) -> bool {
    !raw.bytes()
        .any(|byte| matches!(byte, b'&' | b'<' | b'\t' | b'\n' | b'\r'))
}

/// Appends the value of an attribute: references are resolved, line ends and tabs are spaces.
pub(super) fn decode(raw: &str, out: &mut String) -> Result<(), TextFault> {
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '<', '\t', '\n', '\r']) {
        let (before, special) = rest.split_at(at);
        out.push_str(before);
        let offset = raw.len() - special.len();
        let (char, len) = match special.as_bytes().first() {
            Some(b'&') => reference(special).map_err(|kind| (offset, kind))?,
            Some(b'<') => return Err((offset, ill_formed("'<' in an attribute"))),
            _ if special.starts_with("\r\n") => (' ', 2),
            _ => (' ', 1),
        };
        out.push(char);
        rest = special.get(len..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(())
}

/// Checks the references of a text that stays as it is.
pub(super) fn check_references(raw: &str) -> Result<(), TextFault> {
    for (at, _) in raw.match_indices('&') {
        reference(raw.get(at..).unwrap_or_default()).map_err(|kind| (at, kind))?;
    }
    Ok(())
}

/// The longest reference that is looked at: `&#x0010FFFF;` has twelve bytes.
const REFERENCE_BYTES_MAX: usize = 32;

/// The character that a reference stands for and how long it is; the text starts with its `&`.
fn reference(text: &str) -> Result<(char, usize), XmlErrorKind> {
    let end = text
        .bytes()
        .take(REFERENCE_BYTES_MAX)
        .position(|byte| byte == b';')
        .ok_or_else(|| ill_formed("'&' that starts no reference"))?;
    let name = text.get(1..end).unwrap_or_default();
    Ok((named(name)?, end + 1))
}

/// The character of a reference, by what stands between `&` and `;`.
pub(super) fn named(name: &str) -> Result<char, XmlErrorKind> {
    match name {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        _ => match name.strip_prefix('#') {
            Some(number) => numbered(number),
            None => Err(XmlErrorKind::Entity {
                name: name.to_owned(),
            }),
        },
    }
}

fn numbered(number: &str) -> Result<char, XmlErrorKind> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    if !is_number {
        return Err(ill_formed("a character reference without a number"));
    }
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    char::from_u32(code)
        .filter(|char| is_allowed(*char))
        .ok_or(XmlErrorKind::Character { code })
}

/// Breaks the grammar of XML.
#[expect(
    clippy::needless_pass_by_value,
    reason = "so that it is a function to map errors by"
)]
pub(super) fn ill_formed(reason: impl ToString) -> XmlErrorKind {
    XmlErrorKind::NotWellFormed {
        reason: reason.to_string(),
    }
}

/// Appends a value with the escapes that an attribute in double quotes needs to be read back the
/// same: also for line ends and tabs, which would become spaces.
pub(super) fn push_escaped(out: &mut String, value: &str) {
    let is_special = |byte: u8| byte < b' ' || matches!(byte, b'&' | b'<' | b'>' | b'"');
    let mut rest = value;
    while let Some(at) = rest.bytes().position(is_special) {
        let (before, special) = rest.split_at(at);
        out.push_str(before);
        out.push_str(match special.as_bytes().first() {
            Some(b'&') => "&amp;",
            Some(b'<') => "&lt;",
            Some(b'>') => "&gt;",
            Some(b'"') => "&quot;",
            Some(b'\t') => "&#9;",
            Some(b'\n') => "&#10;",
            // Other control characters were refused.
            _ => "&#13;",
        });
        rest = special.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
}
