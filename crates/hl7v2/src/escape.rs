//! Escape sequences in values (HL7 v2.9, section 2.6).
//!
//! Delimiters, hexadecimal data and the formatting commands of the FT type are turned into plain
//! text. What is unknown, local (`\Zxx\`) or switches character sets (`\Cxxyy\`, `\Mxxyyzz\`)
//! stays as it was written, so that nothing is lost.

use std::borrow::Cow;

use crate::charset::Charset;
use crate::delimiter::Delimiters;

/// The largest count that `\.sp<n>\` and `\.sk<n>\` may ask for.
const FORMAT_COUNT_MAX: usize = 99;

/// Replaces the escape sequences of a raw value. `charset` is what `\Xhh\` stands in.
pub fn unescape<'t>(raw: &'t str, delimiters: &Delimiters, charset: Charset) -> Cow<'t, str> {
    let Some(escape) = delimiters.escape else {
        return Cow::Borrowed(raw);
    };
    let Some(first) = memchr::memchr(escape, raw.as_bytes()) else {
        return Cow::Borrowed(raw);
    };
    let (before, mut rest) = raw.split_at(first);
    let mut text = String::with_capacity(raw.len());
    text.push_str(before);
    let escape = char::from(escape);
    while let Some((plain, after)) = rest.split_once(escape) {
        text.push_str(plain);
        let sequence = after
            .split_once(escape)
            .filter(|(name, _)| is_sequence(name));
        let Some((name, beyond)) = sequence else {
            text.push(escape); // a lone escape character
            rest = after;
            continue;
        };
        if let Some(meaning) = meaning(name, delimiters, charset) {
            text.push_str(&meaning);
        } else {
            text.push(escape);
            text.push_str(name);
            text.push(escape);
        }
        rest = beyond;
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Whether the text between two escape characters can be the name of a sequence; a blank in it
/// means that the escape characters stand there by mistake.
fn is_sequence(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_whitespace)
}

/// What a sequence stands for; `None` when it is to stay as it is.
fn meaning(name: &str, delimiters: &Delimiters, charset: Charset) -> Option<Cow<'static, str>> {
    let delimiter = |byte: Option<u8>| byte.map(|byte| Cow::Owned(char::from(byte).to_string()));
    match name {
        "F" => delimiter(Some(delimiters.field)),
        "S" => delimiter(Some(delimiters.component)),
        "R" => delimiter(Some(delimiters.repetition.unwrap_or(b'~'))),
        "T" => delimiter(Some(delimiters.subcomponent.unwrap_or(b'&'))),
        "E" => delimiter(delimiters.escape),
        "P" => delimiter(Some(delimiters.truncation.unwrap_or(b'#'))),
        "H" | "N" => Some(Cow::Borrowed("")), // highlighting on and off
        _ => match name.strip_prefix('.') {
            Some(command) => formatting(command),
            None => hexadecimal(name.strip_prefix('X')?, charset).map(Cow::Owned),
        },
    }
}

/// The formatting commands of section 2.6.6; margins and alignment have no meaning in plain text.
fn formatting(command: &str) -> Option<Cow<'static, str>> {
    let (name, argument) = command.split_at_checked(2)?;
    let count = match argument.trim_start_matches('+') {
        "" => Some(1),
        digits => digits
            .parse()
            .ok()
            .filter(|count| *count <= FORMAT_COUNT_MAX),
    };
    match name {
        "br" | "ce" if argument.is_empty() => Some(Cow::Borrowed("\n")),
        "fi" | "nf" if argument.is_empty() => Some(Cow::Borrowed("")),
        "sp" => Some(Cow::Owned("\n".repeat(count?))),
        "sk" => Some(Cow::Owned(" ".repeat(count?))),
        "in" | "ti" => Some(Cow::Borrowed("")),
        _ => None,
    }
}

/// The bytes of `\Xhh..\` as text: in the message's character set, else UTF-8; `None` when they
/// are not text.
fn hexadecimal(digits: &str, charset: Charset) -> Option<String> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect();
    let bytes = bytes?;
    [charset, Charset::UTF_8]
        .into_iter()
        .find_map(|charset| charset.decode_strictly(&bytes).map(Cow::into_owned))
}

/// Hides in `text` what would have a meaning in a message: the delimiters, and control characters,
/// which would end a segment or a frame.
///
/// In a message that declares no escape character a blank takes their place.
pub fn escape<'t>(text: &'t str, delimiters: &Delimiters) -> Cow<'t, str> {
    if text
        .chars()
        .all(|character| sequence(character, delimiters).is_none())
    {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match (sequence(character, delimiters), delimiters.escape) {
            (None, _) => escaped.push(character),
            (Some(_), None) => escaped.push(' '),
            (Some(name), Some(escape)) => {
                escaped.push(char::from(escape));
                escaped.push_str(&name);
                escaped.push(char::from(escape));
            }
        }
    }
    Cow::Owned(escaped)
}

/// The name of the sequence that stands for `character`; `None` when it stands for itself.
fn sequence(character: char, delimiters: &Delimiters) -> Option<Cow<'static, str>> {
    let byte = u8::try_from(character).ok().filter(u8::is_ascii)?;
    let names = [
        (Some(delimiters.field), "F"),
        (Some(delimiters.component), "S"),
        (delimiters.repetition, "R"),
        (delimiters.escape, "E"),
        (delimiters.subcomponent, "T"),
        (delimiters.truncation, "P"),
    ];
    match names.iter().find(|(delimiter, _)| *delimiter == Some(byte)) {
        Some((_, name)) => Some(Cow::Borrowed(name)),
        None if byte.is_ascii_control() => Some(Cow::Owned(format!("X{byte:02X}"))),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: &str) {
        let text = unescape(raw, &Delimiters::RECOMMENDED, Charset::WINDOWS_1252);
        assert_eq!(text, expected, "{raw}");
    }

    #[test]
    fn known_sequences_are_replaced() {
        check(r"plain", "plain");
        check(r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f");
        check(r"\P\", "#");
        check(r"\H\bold\N\", "bold");
        check(
            r"one\.br\two\.sp2\three\.sk3\four",
            "one\ntwo\n\nthree   four",
        );
        check(r"\.in+4\text\.ce\middle\.fi\\.nf\", "text\nmiddle");
        check(r"\X21\", "!");
        check(r"\XFC\", "ü");
        check(r"\x21\", r"\x21\");
    }

    #[test]
    fn unknown_sequences_stay() {
        for raw in [
            r"\Z99\",
            r"\C2842\",
            r"\M824041\",
            r"\X2\",
            r"\XZZ\",
            r"\X\",
            r"\.xx\",
            r"\.sp100\",
            r"\.b\",
            r"C:\temp\file",
            r"\",
            r"\\",
            r"end\",
            r"a \ b",
            r"\F",
            r"\.é\",
            r"\Xé0\",
        ] {
            check(raw, raw);
        }
        check(r"A\ B \T\ C", r"A\ B & C");
        check(r"\Zx\F\F\", r"\Zx\F|");
    }

    #[test]
    fn hexadecimal_data_is_in_the_character_set_of_the_message() {
        let text = unescape(r"\XC3BC\", &Delimiters::RECOMMENDED, Charset::UTF_8);
        assert_eq!(text, "ü");
    }

    #[test]
    fn values_are_escaped() {
        let escaped = escape("a|b^c~d\\e&f#\r\u{b}ü", &Delimiters::RECOMMENDED);
        assert_eq!(escaped, r"a\F\b\S\c\R\d\E\e\T\f#\X0D\\X0B\ü");
        let bare = Delimiters {
            escape: None,
            ..Delimiters::RECOMMENDED
        };
        assert_eq!(escape("a|b\rc", &bare), "a b c");
    }
}
