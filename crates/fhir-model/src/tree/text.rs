//! The text of JSON strings (RFC 8259, section 7): where they end, escapes on and off.

use std::fmt::Write as _;

use crate::tree::LineColumn;

const QUOTE: u8 = b'"';
const BACKSLASH: u8 = b'\\';
/// Everything below must be escaped in a string.
const FIRST_PRINTABLE: u8 = 0x20;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Where the first byte stands that does not simply belong to a string: a quote, a backslash or a
/// control character; the length if there is none.
#[inline]
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let special = |byte: &u8| *byte == QUOTE || *byte == BACKSLASH || *byte < FIRST_PRINTABLE;
    at + rest.iter().position(special).unwrap_or(rest.len())
}

/// The high bit of each byte that is special. Borrows can mark bytes after the first special one,
/// never before it, and only the first is used.
#[inline]
const fn special_bytes(word: u64) -> u64 {
    let quote = word ^ (ONES * QUOTE as u64);
    let backslash = word ^ (ONES * BACKSLASH as u64);
    ((quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash)
        | (word.wrapping_sub(ONES * FIRST_PRINTABLE as u64) & !word))
        & HIGH_BITS
}

/// Where the closing quote of a well-formed string stands, from the start of its content.
#[inline]
pub(super) fn end_of_string(content: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += plain_len(content.get(at..).unwrap_or_default());
        match content.get(at) {
            Some(&BACKSLASH) => at += 2,
            Some(&QUOTE) | None => return at.min(content.len()),
            Some(_) => at += 1,
        }
    }
}

/// The content of a well-formed JSON string with its escapes resolved.
pub(super) fn unescape(raw: &str) -> String {
    let mut plain = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, escape)) = rest.split_once('\\') {
        plain.push_str(before);
        let (character, len) = escaped_char(escape);
        plain.push(character);
        rest = escape.get(len..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// The character that an escape stands for and its length, from after the backslash.
fn escaped_char(escape: &str) -> (char, usize) {
    match escape.as_bytes().first() {
        Some(b'b') => ('\u{8}', 1),
        Some(b'f') => ('\u{c}', 1),
        Some(b'n') => ('\n', 1),
        Some(b'r') => ('\r', 1),
        Some(b't') => ('\t', 1),
        Some(b'u') => unicode_escape(escape),
        Some(&byte) => (char::from(byte), 1),
        None => (char::REPLACEMENT_CHARACTER, 0),
    }
}

/// `u0041`, or a pair of surrogates `uD83D\uDE00`.
fn unicode_escape(escape: &str) -> (char, usize) {
    let unit = |from: usize| {
        let digits = escape.get(from..from + 4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(1).unwrap_or_default();
    let second = unit(7).unwrap_or_default();
    match char::decode_utf16([first, second]).next() {
        Some(Ok(character)) => (character, if character.len_utf16() == 2 { 11 } else { 5 }),
        _ => (char::REPLACEMENT_CHARACTER, 5),
    }
}

/// Appends text as a JSON string, quotes included, with the escapes that RFC 8259 requires.
pub fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

/// Appends text with the escapes that RFC 8259 requires; whether there were any.
pub(super) fn push_escaped(out: &mut String, text: &str) -> bool {
    let mut rest = text;
    let mut is_escaped = false;
    loop {
        let plain = plain_len(rest.as_bytes());
        // Special bytes are ASCII, so both cuts are between characters.
        out.push_str(rest.get(..plain).unwrap_or_default());
        let Some(&byte) = rest.as_bytes().get(plain) else {
            return is_escaped;
        };
        push_escape(out, byte);
        is_escaped = true;
        rest = rest.get(plain + 1..).unwrap_or_default();
    }
}

fn push_escape(out: &mut String, byte: u8) {
    let letter = match byte {
        QUOTE | BACKSLASH => char::from(byte),
        0x8 => 'b',
        0xc => 'f',
        b'\n' => 'n',
        b'\r' => 'r',
        b'\t' => 't',
        _ => {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{byte:04x}");
            return;
        }
    };
    out.push('\\');
    out.push(letter);
}

/// The length of a byte order mark at the start.
pub(crate) fn mark_len(bytes: &[u8]) -> usize {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if bytes.starts_with(MARK) {
        MARK.len()
    } else {
        0
    }
}

/// The number of characters that begin in a text.
pub(crate) fn char_count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// The line and column of a byte offset; a byte order mark at the start has no column.
pub(crate) fn line_column(bytes: &[u8], offset: usize) -> LineColumn {
    let before = bytes.get(..offset).unwrap_or(bytes);
    let before = before.get(mark_len(before)..).unwrap_or_default();
    let is_newline = |byte: &&u8| **byte == b'\n';
    let lines = before.iter().filter(is_newline).count();
    let line_start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let columns = char_count(before.get(line_start..).unwrap_or_default());
    LineColumn {
        line: u32::try_from(lines + 1).unwrap_or(u32::MAX),
        column: u32::try_from(columns + 1).unwrap_or(u32::MAX),
    }
}
