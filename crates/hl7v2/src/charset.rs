//! Character sets: MSH-18 and HL7 table 0211 (HL7 v2.9, section 2.14.9.18).
//!
//! Bytes never become U+FFFD here: when the declared character set cannot be right, the text is
//! read by a fallback that always succeeds, and the [`Decision`] says so. Keeping the original
//! bytes, so that a wrong decision can be repeated with another setting, is left to the caller.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::delimiter::Delimiters;

/// A character set that we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

/// Table 0211 as senders write it. ASCII is not in the table: see [`Charset::named`].
///
/// Missing, because no sender in reach uses them: ISO IR159 (JIS X 0212), CNS 11643-1992, UTF-32.
const TABLE_0211: &[(&str, &Encoding)] = &[
    ("8859/1", WINDOWS_1252), // a superset of its printable characters, and what is meant
    ("8859/2", encoding_rs::ISO_8859_2),
    ("8859/3", encoding_rs::ISO_8859_3),
    ("8859/4", encoding_rs::ISO_8859_4),
    ("8859/5", encoding_rs::ISO_8859_5),
    ("8859/6", encoding_rs::ISO_8859_6),
    ("8859/7", encoding_rs::ISO_8859_7),
    ("8859/8", encoding_rs::ISO_8859_8),
    ("8859/9", encoding_rs::WINDOWS_1254),
    ("8859/10", encoding_rs::ISO_8859_10),
    ("8859/11", encoding_rs::WINDOWS_874),
    ("8859/13", encoding_rs::ISO_8859_13),
    ("8859/14", encoding_rs::ISO_8859_14),
    ("8859/15", encoding_rs::ISO_8859_15),
    ("8859/16", encoding_rs::ISO_8859_16),
    ("ISO IR14", encoding_rs::SHIFT_JIS), // JIS X 0201 is its single-byte part
    ("ISO IR87", encoding_rs::ISO_2022_JP),
    ("GB 18030-2000", encoding_rs::GB18030),
    ("KS X 1001", encoding_rs::EUC_KR),
    ("BIG-5", encoding_rs::BIG5),
    ("UNICODE", UTF_8), // deprecated; whoever sends it over MLLP means UTF-8
    ("UNICODE UTF-8", UTF_8),
    ("UNICODE UTF-16", UTF_16BE),
];

/// Names of seven-bit ASCII: what these declare cannot have a byte above 0x7F.
const ASCII_NAMES: &[&str] = &["", "ASCII", "US-ASCII", "ISO IR6"];

fn is_ascii_name(name: &str) -> bool {
    ASCII_NAMES
        .iter()
        .any(|ascii| name.trim().eq_ignore_ascii_case(ascii))
}

impl Charset {
    /// UTF-8.
    pub const UTF_8: Self = Self(UTF_8);
    /// Windows-1252, the fallback: it gives every byte a character.
    pub const WINDOWS_1252: Self = Self(WINDOWS_1252);

    /// Finds a character set by its name in table 0211 or by its MIME name (`iso-8859-1`).
    ///
    /// ASCII, which an empty name means too, is answered as UTF-8, of which it is a part.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        if is_ascii_name(name) {
            return Some(Self::UTF_8);
        }
        let row = TABLE_0211
            .iter()
            .find(|(row, _)| row.eq_ignore_ascii_case(name));
        match row {
            Some((_, encoding)) => Some(Self(encoding)),
            None => Encoding::for_label_no_replacement(name.as_bytes()).map(Self),
        }
    }

    /// The MIME name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Text in this character set. UTF-16 is only read, never written: it becomes UTF-8.
    pub fn encode(self, text: &str) -> Cow<'_, [u8]> {
        self.0.encode(text).0
    }

    /// The text of `bytes`; `None` when there is a byte that this character set does not have.
    pub fn decode_strictly(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        self.0
            .decode_without_bom_handling_and_without_replacement(bytes)
    }
}

/// Why a character set was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The caller knew it from outside the message (an HTTP header).
    Forced,
    /// A byte order mark, or the zero bytes of UTF-16.
    Recognised,
    /// The first repetition of MSH-18.
    Declared,
    /// A later repetition of MSH-18.
    Alternate,
    /// MSH-18 is empty, and the caller has a default for this sender.
    SourceDefault,
    /// MSH-18 is empty, and the bytes are ASCII or UTF-8.
    Undeclared,
    /// Nothing else fitted: UTF-8 if the bytes are UTF-8, else Windows-1252.
    Fallback,
}

/// What makes a decision doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// MSH-18 names a character set that we do not know.
    UnknownName,
    /// The bytes are not in the character set that was declared or forced.
    InvalidBytes,
    /// The bytes are in the declared single-byte character set, as any bytes are; but they would
    /// also be UTF-8, which does not happen by chance.
    LooksLikeUtf8,
}

/// Which character set a message was read in, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The character set that was used.
    pub charset: Charset,
    /// Why it was chosen.
    pub basis: Basis,
    /// What speaks against it.
    pub doubt: Option<Doubt>,
}

/// What the caller knows about the character set of a sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Knowledge {
    /// Holds whatever MSH-18 says: the `charset` of HL7 over HTTP.
    pub forced: Option<Charset>,
    /// Holds when MSH-18 is empty.
    pub default: Option<Charset>,
}

/// Turns the bytes of a message into text, without a byte order mark.
pub fn decode<'b>(bytes: &'b [u8], knowledge: &Knowledge) -> (Cow<'b, str>, Decision) {
    let (bytes, recognised) = recognise(bytes);
    let known = recognised
        .map(|charset| (charset, Basis::Recognised))
        .or(knowledge.forced.map(|charset| (charset, Basis::Forced)));
    if let Some((charset, basis)) = known {
        return match charset.decode_strictly(bytes) {
            Some(text) => (
                text,
                Decision {
                    charset,
                    basis,
                    doubt: None,
                },
            ),
            None => fall_back(bytes, Some(Doubt::InvalidBytes)),
        };
    }
    let declared = declared(bytes);
    if declared.iter().all(u8::is_ascii_whitespace) {
        undeclared(bytes, knowledge.default)
    } else {
        by_declaration(bytes, declared)
    }
}

/// A byte order mark (taken away) or the zero bytes that UTF-16 puts between the letters of MSH.
fn recognise(bytes: &[u8]) -> (&[u8], Option<Charset>) {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return (
            bytes.get(length..).unwrap_or_default(),
            Some(Charset(encoding)),
        );
    }
    match bytes {
        [b'M', 0, b'S', 0, ..] => (bytes, Some(Charset(UTF_16LE))),
        [0, b'M', 0, b'S', ..] => (bytes, Some(Charset(UTF_16BE))),
        _ => (bytes, None),
    }
}

/// MSH-18 as bytes; every character set of the table but UTF-16 writes the header in ASCII.
fn declared(bytes: &[u8]) -> &[u8] {
    const MSH_18: usize = 18;
    let Some(start) = bytes.iter().position(u8::is_ascii_alphanumeric) else {
        return &[];
    };
    let message = bytes.get(start..).unwrap_or_default();
    let end = memchr::memchr2(b'\r', b'\n', message).unwrap_or(message.len());
    let header = message.get(..end).unwrap_or_default();
    match header {
        [b'M', b'S', b'H', field, ..] if Delimiters::is_field_separator(*field) => {
            // MSH-1 is the separator itself, so MSH-18 is the eighteenth part.
            header
                .split(|byte| byte == field)
                .nth(MSH_18 - 1)
                .unwrap_or_default()
        }
        _ => &[],
    }
}

fn undeclared(bytes: &[u8], default: Option<Charset>) -> (Cow<'_, str>, Decision) {
    let candidates = [
        (default, Basis::SourceDefault),
        (Some(Charset::UTF_8), Basis::Undeclared),
    ];
    for (charset, basis) in candidates {
        let Some(charset) = charset else { continue };
        if let Some(text) = charset.decode_strictly(bytes) {
            return (
                text,
                Decision {
                    charset,
                    basis,
                    doubt: None,
                },
            );
        }
    }
    fall_back(bytes, None)
}

/// Tries the repetitions of MSH-18 in their order.
///
/// Character sets that are switched on by escape sequences (ISO IR87) come first when there are
/// such sequences: without them these bytes would also be ASCII.
fn by_declaration<'b>(bytes: &'b [u8], declared: &[u8]) -> (Cow<'b, str>, Decision) {
    /// Each is tried on the whole message; no sender needs more.
    const NAMES_MAX: usize = 8;
    const ESC: u8 = 0x1B;
    let repetition = header_delimiters(bytes).repetition;
    let mut names: Vec<(Basis, Cow<'_, str>)> = declared
        .split(|byte| Some(*byte) == repetition)
        .take(NAMES_MAX)
        .zip(std::iter::once(Basis::Declared).chain(std::iter::repeat(Basis::Alternate)))
        .map(|(name, basis)| (basis, String::from_utf8_lossy(name)))
        .collect();
    if memchr::memchr(ESC, bytes).is_some() {
        let switched = Some(Charset(encoding_rs::ISO_2022_JP));
        names.sort_by_key(|(_, name)| Charset::named(name) != switched);
    }
    let mut doubt = None;
    for (basis, name) in names {
        match read_as(bytes, &name) {
            Ok((text, charset)) => {
                let doubt = doubt.or_else(|| misdeclared(bytes, charset));
                return (
                    text,
                    Decision {
                        charset,
                        basis,
                        doubt,
                    },
                );
            }
            Err(found) => doubt = doubt.or(Some(found)),
        }
    }
    fall_back(bytes, doubt)
}

fn read_as<'b>(bytes: &'b [u8], name: &str) -> Result<(Cow<'b, str>, Charset), Doubt> {
    let charset = Charset::named(name).ok_or(Doubt::UnknownName)?;
    if is_ascii_name(name) && !bytes.is_ascii() {
        return Err(Doubt::InvalidBytes);
    }
    let text = charset.decode_strictly(bytes).ok_or(Doubt::InvalidBytes)?;
    Ok((text, charset))
}

fn misdeclared(bytes: &[u8], charset: Charset) -> Option<Doubt> {
    let looks_like_utf_8 =
        charset.0.is_single_byte() && !bytes.is_ascii() && str::from_utf8(bytes).is_ok();
    looks_like_utf_8.then_some(Doubt::LooksLikeUtf8)
}

/// The delimiters of the header, for the repetitions of MSH-18.
fn header_delimiters(bytes: &[u8]) -> Delimiters {
    let header = memchr::memmem::find(bytes, b"MSH").and_then(|start| bytes.get(start + 3..));
    let Some((&field, rest)) = header.and_then(<[u8]>::split_first) else {
        return Delimiters::RECOMMENDED;
    };
    let end = memchr::memchr3(field, b'\r', b'\n', rest).unwrap_or(rest.len());
    Delimiters::read(field, rest.get(..end).unwrap_or_default())
        .unwrap_or_else(|| Delimiters::recommended_under(field))
}

fn fall_back(bytes: &[u8], doubt: Option<Doubt>) -> (Cow<'_, str>, Decision) {
    for charset in [Charset::UTF_8, Charset::WINDOWS_1252] {
        if let Some(text) = charset.decode_strictly(bytes) {
            return (
                text,
                Decision {
                    charset,
                    basis: Basis::Fallback,
                    doubt,
                },
            );
        }
    }
    // Windows-1252 has a character for every byte, so the loop has returned.
    let charset = Charset::WINDOWS_1252;
    let (text, _) = charset.0.decode_without_bom_handling(bytes);
    (
        text,
        Decision {
            charset,
            basis: Basis::Fallback,
            doubt,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with `name` in MSH-18 and `family` in PID-5.
    fn message(name: &str, family: &[u8]) -> Vec<u8> {
        let head = format!("MSH|^~\\&|A|B|C|D|2025||ADT^A01|1|P|2.5||||||{name}\rPID|||||");
        [head.as_bytes(), family].concat()
    }

    #[track_caller]
    fn check(name: &str, family: &[u8], expected: &str, basis: Basis, doubt: Option<Doubt>) {
        let bytes = message(name, family);
        let (text, decision) = decode(&bytes, &Knowledge::default());
        assert!(text.ends_with(&format!("|{expected}")), "{name}: {text}");
        assert_eq!((decision.basis, decision.doubt), (basis, doubt), "{name}");
    }

    #[test]
    fn the_declared_character_set_is_used() {
        check("ASCII", b"Muller", "Muller", Basis::Declared, None);
        check("8859/1", b"M\xFCller", "Müller", Basis::Declared, None);
        check("8859/2", b"Luk\xB9", "Lukš", Basis::Declared, None);
        check("8859/15", b"\xA4", "€", Basis::Declared, None);
        check(
            "UNICODE UTF-8",
            "Müller".as_bytes(),
            "Müller",
            Basis::Declared,
            None,
        );
        check(
            "unicode utf-8",
            "Müller".as_bytes(),
            "Müller",
            Basis::Declared,
            None,
        );
        check(
            "UTF-8",
            "Müller".as_bytes(),
            "Müller",
            Basis::Declared,
            None,
        );
        check("iso-8859-5", b"\xB0", "А", Basis::Declared, None);
        check("GB 18030-2000", b"\xCD\xF5", "王", Basis::Declared, None);
        check("BIG-5", b"\xA4\xFD", "王", Basis::Declared, None);
        check("KS X 1001", b"\xB1\xE8", "김", Basis::Declared, None);
    }

    #[test]
    fn repetitions_are_alternates() {
        check(
            "ASCII~8859/1",
            b"M\xFCller",
            "Müller",
            Basis::Alternate,
            Some(Doubt::InvalidBytes),
        );
        check(
            "~ISO IR87",
            b"\x1B$B;3ED\x1B(B",
            "山田",
            Basis::Alternate,
            None,
        );
        check("~ISO IR87", b"Yamada", "Yamada", Basis::Declared, None);
        check(
            "KLINGON~8859/1",
            b"M\xFCller",
            "Müller",
            Basis::Alternate,
            Some(Doubt::UnknownName),
        );
    }

    #[test]
    fn only_some_alternates_are_tried() {
        let invalid = Some(Doubt::InvalidBytes);
        let names = "ASCII~".repeat(7);
        check(
            &format!("{names}8859/2"),
            b"Luk\xB9",
            "Lukš",
            Basis::Alternate,
            invalid,
        );
        let names = "ASCII~".repeat(8);
        check(
            &format!("{names}8859/2"),
            b"Luk\xB9",
            "Luk¹",
            Basis::Fallback,
            invalid,
        );
    }

    #[test]
    fn an_undeclared_character_set_is_utf_8_or_windows_1252() {
        check("", "Müller".as_bytes(), "Müller", Basis::Undeclared, None);
        check("", b"M\xFCller", "Müller", Basis::Fallback, None);
        check("", b"\x80", "€", Basis::Fallback, None);
    }

    #[test]
    fn a_wrong_declaration_falls_back_and_is_doubted() {
        let invalid = Some(Doubt::InvalidBytes);
        check(
            "UNICODE UTF-8",
            b"M\xFCller",
            "Müller",
            Basis::Fallback,
            invalid,
        );
        check(
            "ASCII",
            "Müller".as_bytes(),
            "Müller",
            Basis::Fallback,
            invalid,
        );
        check("ASCII", b"M\xFCller", "Müller", Basis::Fallback, invalid);
        check(
            "KLINGON",
            b"M\xFCller",
            "Müller",
            Basis::Fallback,
            Some(Doubt::UnknownName),
        );
    }

    #[test]
    fn a_misdeclared_character_set_is_doubted() {
        let looks = Some(Doubt::LooksLikeUtf8);
        check(
            "8859/1",
            "Müller".as_bytes(),
            "MÃ¼ller",
            Basis::Declared,
            looks,
        );
    }

    #[test]
    fn a_byte_order_mark_wins_over_msh_18() {
        let bytes = [
            b"\xEF\xBB\xBF".as_slice(),
            &message("8859/1", "Müller".as_bytes()),
        ]
        .concat();
        let (text, decision) = decode(&bytes, &Knowledge::default());
        assert!(text.starts_with("MSH") && text.ends_with("Müller"));
        assert_eq!(decision.basis, Basis::Recognised);
        let utf_16: Vec<u8> = "MSH|ü".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&utf_16, &Knowledge::default()).0, "MSH|ü");
    }

    #[test]
    fn what_the_caller_knows_is_used() {
        let latin_2 = Charset::named("8859/2");
        let bytes = message("", b"Luk\xB9");
        let (text, decision) = decode(
            &bytes,
            &Knowledge {
                forced: None,
                default: latin_2,
            },
        );
        assert!(text.ends_with("Lukš"));
        assert_eq!(decision.basis, Basis::SourceDefault);
        let bytes = message("8859/1", b"Luk\xB9");
        let (text, decision) = decode(
            &bytes,
            &Knowledge {
                forced: latin_2,
                default: None,
            },
        );
        assert!(text.ends_with("Lukš"));
        assert_eq!(decision.basis, Basis::Forced);
    }
}
