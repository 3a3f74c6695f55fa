//! Base64: <https://www.rfc-editor.org/rfc/rfc4648>, both alphabets, with padding.

/// Which characters stand for 62 and 63.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// `+` and `/`
    Standard,
    /// `-` and `_`
    Url,
}

impl Alphabet {
    const fn last(self) -> (u8, u8) {
        match self {
            Self::Standard => (b'+', b'/'),
            Self::Url => (b'-', b'_'),
        }
    }

    fn character(self, value: u32) -> char {
        let value = u8::try_from(value & 63).unwrap_or_default();
        char::from(match value {
            0..26 => b'A' + value,
            26..52 => b'a' + value - 26,
            52..62 => b'0' + value - 52,
            62 => self.last().0,
            _ => self.last().1,
        })
    }

    fn value(self, character: u8) -> Option<u32> {
        Some(u32::from(match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            _ if character == self.last().0 => 62,
            _ if character == self.last().1 => 63,
            _ => return None,
        }))
    }
}

pub(super) fn encode_base64(bytes: &[u8], alphabet: Alphabet) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let sum = group
            .iter()
            .chain([0; 2].iter())
            .take(3)
            .fold(0, |sum, byte| (sum << 8) | u32::from(*byte));
        for place in 0..4 {
            text.push(if place <= group.len() {
                alphabet.character(sum >> (18 - 6 * place))
            } else {
                '='
            });
        }
    }
    text
}

pub(super) fn decode_base64(text: &str, alphabet: Alphabet) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.as_bytes().chunks(4) {
        let mut sum = 0;
        for digit in group {
            sum = (sum << 6) | alphabet.value(*digit)?;
        }
        sum <<= 6 * (4 - group.len());
        let [_, first, second, third] = sum.to_be_bytes();
        bytes.extend([first, second, third].iter().take(group.len() - 1));
    }
    Some(bytes)
}
