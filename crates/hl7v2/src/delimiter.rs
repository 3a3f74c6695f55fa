//! The delimiters that a message declares in MSH-1 and MSH-2 (HL7 v2.9, section 2.5.4).
//!
//! Reading them from a header is here; using them to take a message apart is in `message`, and
//! hiding them inside a value is in `escape`.

/// The delimiters of one message. A delimiter that MSH-2 leaves out is `None`: the character
/// then has no special meaning in that message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiters {
    /// Between fields: MSH-1, usually `|`.
    pub field: u8,
    /// Between components: usually `^`.
    pub component: u8,
    /// Between repetitions of a field: usually `~`.
    pub repetition: Option<u8>,
    /// Begins and ends an escape sequence: usually `\`.
    pub escape: Option<u8>,
    /// Between subcomponents: usually `&`.
    pub subcomponent: Option<u8>,
    /// Marks a truncated value, from version 2.7: usually `#`.
    pub truncation: Option<u8>,
}

impl Delimiters {
    /// The delimiters that the standard recommends: `|^~\&`.
    pub const RECOMMENDED: Self = Self {
        field: b'|',
        component: b'^',
        repetition: Some(b'~'),
        escape: Some(b'\\'),
        subcomponent: Some(b'&'),
        truncation: None,
    };

    /// The most encoding characters that MSH-2 can hold.
    const ENCODING_CHARACTERS_MAX: usize = 5;

    /// Whether `byte` can stand as MSH-1: printable ASCII that cannot be part of a segment name.
    pub(crate) fn is_field_separator(byte: u8) -> bool {
        byte.is_ascii_punctuation()
    }

    /// Reads MSH-2 under the field separator `field`.
    ///
    /// `None` when MSH-2 cannot be what it should be: empty, too long, with a letter, a digit, a
    /// blank or a character twice. Such a header has most often lost its MSH-2.
    pub fn read(field: u8, encoding_characters: &[u8]) -> Option<Self> {
        let count = encoding_characters.len();
        let distinct = encoding_characters
            .iter()
            .enumerate()
            .all(|(position, byte)| {
                byte.is_ascii_punctuation()
                    && *byte != field
                    && !encoding_characters
                        .iter()
                        .take(position)
                        .any(|earlier| earlier == byte)
            });
        if count > Self::ENCODING_CHARACTERS_MAX || !distinct {
            return None;
        }
        let at = |position: usize| encoding_characters.get(position).copied();
        Some(Self {
            field,
            component: at(0)?,
            repetition: at(1),
            escape: at(2),
            subcomponent: at(3),
            truncation: at(4),
        })
    }

    /// The recommended encoding characters under another field separator.
    pub(crate) fn recommended_under(field: u8) -> Self {
        Self {
            field,
            ..Self::RECOMMENDED
        }
    }

    /// MSH-2 as text, in the order of the standard.
    pub fn encoding_characters(&self) -> String {
        [
            Some(self.component),
            self.repetition,
            self.escape,
            self.subcomponent,
            self.truncation,
        ]
        .into_iter()
        .flatten()
        .map(char::from)
        .collect()
    }
}

/// The part number `number` (from 1) of `text` between delimiters.
pub(crate) fn part(text: &str, delimiter: Option<u8>, number: usize) -> Option<&str> {
    let skipped = number.checked_sub(1)?;
    let Some(delimiter) = delimiter else {
        return (skipped == 0).then_some(text);
    };
    // Delimiters stand so close together that a plain loop finds them faster than `memchr`.
    let bytes = text.bytes().enumerate();
    let mut ends = bytes
        .filter(|(_, byte)| *byte == delimiter)
        .map(|(position, _)| position);
    let start = match skipped.checked_sub(1) {
        None => 0,
        Some(before) => ends.nth(before)? + 1,
    };
    text.get(start..ends.next().unwrap_or(text.len()))
}

/// All parts of `text` between delimiters; one part when there is no delimiter.
pub(crate) fn parts(text: &str, delimiter: Option<u8>) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = delimiter.and_then(|delimiter| memchr::memchr(delimiter, text.as_bytes()));
        rest = end.and_then(|end| text.get(end + 1..));
        text.get(..end.unwrap_or(text.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(encoding_characters: &str, expected: Option<&str>) {
        let read = Delimiters::read(b'|', encoding_characters.as_bytes());
        assert_eq!(
            read.map(|read| read.encoding_characters()).as_deref(),
            expected
        );
    }

    #[test]
    fn encoding_characters_are_read_or_refused() {
        check("^~\\&", Some("^~\\&"));
        check("^~\\&#", Some("^~\\&#"));
        check("!@%*", Some("!@%*"));
        check("^~", Some("^~"));
        check("", None);
        check("SENDER", None);
        check("^~^&", None); // a character twice
        check("^~|&", None); // the field separator again
        check("^~ &", None); // a blank
        check("^~\\&#$", None); // too many
        check("^~\\ü", None); // not ASCII
    }

    #[test]
    fn parts_are_counted_from_one() {
        let all: Vec<_> = parts("a^^b", Some(b'^')).collect();
        assert_eq!(all, ["a", "", "b"]);
        for (number, expected) in [
            (0, None),
            (1, Some("a")),
            (2, Some("")),
            (3, Some("b")),
            (4, None),
        ] {
            assert_eq!(part("a^^b", Some(b'^'), number), expected);
        }
        assert_eq!(part("a^b", None, 1), Some("a^b"));
        assert_eq!(part("a^b", None, 2), None);
    }
}
