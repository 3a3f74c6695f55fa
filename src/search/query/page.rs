//! The token that a `next` link carries: where a page ended, opaque to clients.
//!
//! A token belongs to one search: a fingerprint of the search is part of it, so that it cannot be
//! taken to another by mistake. It gives nothing away that the page did not show.

use crate::search::expression::{Cursor, SortValue};

/// The most characters that a token may have.
pub const PAGE_TOKEN_CHARS_MAX: usize = 8192;

const FORMAT: u8 = 1;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The token for the page after `cursor`.
pub(super) fn encode(cursor: &Cursor, fingerprint: u32) -> String {
    let mut bytes = vec![FORMAT];
    bytes.extend(fingerprint.to_le_bytes());
    bytes.extend(cursor.key.to_le_bytes());
    for value in &cursor.values {
        match value {
            None => bytes.push(b'-'),
            Some(SortValue::Integer(integer)) => {
                bytes.push(b'i');
                bytes.extend(integer.to_le_bytes());
            }
            Some(SortValue::Real(bits)) => {
                bytes.push(b'r');
                bytes.extend(bits.to_le_bytes());
            }
            Some(SortValue::Text(text)) => {
                bytes.push(b't');
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                bytes.extend(length.to_le_bytes());
                bytes.extend(text.as_bytes());
            }
        }
    }
    base64(&bytes)
}

/// Where the page before ended, if the token is one of this search.
pub(super) fn decode(token: &str, fingerprint: u32, sort_keys: usize) -> Option<Cursor> {
    let bytes = from_base64(token)?;
    let mut reader = Reader(&bytes);
    let [format] = reader.take()?;
    if format != FORMAT || u32::from_le_bytes(reader.take()?) != fingerprint {
        return None;
    }
    let key = i64::from_le_bytes(reader.take()?);
    let mut values = Vec::new();
    while !reader.0.is_empty() {
        values.push(reader.value()?);
    }
    (values.len() == sort_keys).then_some(Cursor { values, key })
}

/// The bytes still to be read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    #[expect(
        clippy::option_option,
        reason = "outside: whether it can be read; inside: whether the match had a value"
    )]
    fn value(&mut self) -> Option<Option<SortValue>> {
        let [kind] = self.take()?;
        match kind {
            b'-' => Some(None),
            b'i' => Some(Some(SortValue::Integer(i64::from_le_bytes(self.take()?)))),
            b'r' => Some(Some(SortValue::Real(u64::from_le_bytes(self.take()?)))),
            b't' => {
                let length = usize::try_from(u32::from_le_bytes(self.take()?)).ok()?;
                let (text, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                let text = String::from_utf8(text.to_vec()).ok()?;
                Some(Some(SortValue::Text(text)))
            }
            _ => None,
        }
    }
}

/// Base 64 for URLs, without padding: RFC 4648, section 5.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let sextet = (group >> (18 - 6 * place)) & 63;
            let letter = usize::try_from(sextet).ok().and_then(|at| ALPHABET.get(at));
            text.extend(letter.map(|letter| char::from(*letter)));
        }
    }
    text
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut group = 0_u32;
        for letter in chunk {
            let sextet = ALPHABET.iter().position(|known| known == letter)?;
            group = group << 6 | u32::try_from(sextet).ok()?;
        }
        group <<= 6 * (4 - chunk.len());
        let whole = group.to_be_bytes();
        bytes.extend(whole.get(1..chunk.len())?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sort_value() -> impl Strategy<Value = Option<SortValue>> {
        proptest::option::of(prop_oneof![
            any::<i64>().prop_map(SortValue::Integer),
            any::<u64>().prop_map(SortValue::Real),
            "\\PC{0,20}".prop_map(SortValue::Text),
        ])
    }

    proptest! {
        #[test]
        fn a_token_reads_as_it_was_written(
            values in proptest::collection::vec(sort_value(), 0..4),
            key: i64,
            fingerprint: u32,
        ) {
            let cursor = Cursor { values, key };
            let token = encode(&cursor, fingerprint);
            let decode = |fingerprint, keys| decode(&token, fingerprint, keys);
            prop_assert_eq!(decode(fingerprint, cursor.values.len()), Some(cursor.clone()));
            prop_assert_eq!(decode(fingerprint, cursor.values.len() + 1), None);
            prop_assert_eq!(decode(!fingerprint, cursor.values.len()), None);
        }

        #[test]
        fn any_text_is_a_token_or_none(text in "[A-Za-z0-9_-]{0,60}|\\PC{0,30}") {
            let _ = decode(&text, 0, 1);
        }
    }

    #[test]
    fn base_64_is_that_of_the_rfc() {
        // RFC 4648, section 10, without padding.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(from_base64(text).unwrap(), bytes.as_bytes());
        }
    }
}
