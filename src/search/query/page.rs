//! The token that a link to another page carries: where a page ended, and the moment it is about.
//!
//! A token is signed together with the search that it belongs to: one that was changed, or is taken
//! to another search or database, is refused. Nothing is kept for it, and it gives nothing away that
//! the page did not show.

use sha2::{Digest as _, Sha256};

use crate::search::expression::{Cursor, Snapshot, SortValue};

/// The most characters that a token may have.
pub const PAGE_TOKEN_CHARS_MAX: usize = 8192;

const FORMAT: u8 = 2;

/// Bytes of the signature: half a SHA-256, as RFC 2104 (section 5) allows.
const SIGNATURE_BYTES: usize = 16;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What signs the tokens of a database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PageKey(pub [u8; 32]);

/// The key itself is nobody's business.
impl std::fmt::Debug for PageKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PageKey")
    }
}

impl PageKey {
    /// A token with this content, for `subject` only.
    pub fn seal(&self, subject: &str, mut content: Vec<u8>) -> String {
        content.extend(self.signature(subject, &content));
        base64(&content)
    }

    /// The content of a token that was sealed with this key for this subject.
    pub fn open(&self, subject: &str, token: &str) -> Option<Vec<u8>> {
        let mut content = from_base64(token)?;
        let signature = content.split_off(content.len().checked_sub(SIGNATURE_BYTES)?);
        let wanted = self.signature(subject, &content);
        // without telling by the time it takes how much of it is right
        let differences = wanted.iter().zip(&signature);
        let difference = differences.fold(0, |all, (one, other)| all | (one ^ other));
        (difference == 0).then_some(content)
    }

    fn signature(&self, subject: &str, content: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let length = subject.len().to_le_bytes();
        let code = hmac(&self.0, &[&length, subject.as_bytes(), content]);
        let mut signature = [0; SIGNATURE_BYTES];
        signature.copy_from_slice(code.split_at(SIGNATURE_BYTES).0);
        signature
    }
}

/// HMAC-SHA256 with a key of at most a block: RFC 2104.
fn hmac(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(to, from)| *to ^= from);
        Sha256::new().chain_update(block)
    };
    let inner = message.iter().fold(pad(0x36), Sha256::chain_update);
    pad(0x5c).chain_update(inner.finalize()).finalize().into()
}

/// The token for the page at `cursor` of the search that `subject` names.
pub(super) fn encode(cursor: &Cursor, key: &PageKey, subject: &str) -> String {
    let mut bytes = vec![FORMAT, u8::from(cursor.is_backward)];
    bytes.extend(cursor.key.to_le_bytes());
    bytes.push(u8::from(cursor.snapshot.is_some()));
    if let Some(snapshot) = &cursor.snapshot {
        push_snapshot(&mut bytes, snapshot);
    }
    for value in &cursor.values {
        push_value(&mut bytes, value.as_ref());
    }
    key.seal(subject, bytes)
}

fn push_snapshot(bytes: &mut Vec<u8>, snapshot: &Snapshot) {
    bytes.extend(snapshot.before.to_le_bytes());
    bytes.extend(snapshot.end.to_le_bytes());
    let count = u16::try_from(snapshot.running.len()).unwrap_or(u16::MAX);
    bytes.extend(count.to_le_bytes());
    for running in snapshot.running.iter().take(usize::from(count)) {
        // those that run began soon after one another
        let distance = u32::try_from(running - snapshot.before).unwrap_or(u32::MAX);
        bytes.extend(distance.to_le_bytes());
    }
}

fn push_value(bytes: &mut Vec<u8>, value: Option<&SortValue>) {
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

/// Where to go on, if the token is one of this search.
pub(super) fn decode(
    token: &str,
    key: &PageKey,
    subject: &str,
    sort_keys: usize,
) -> Option<Cursor> {
    let bytes = key.open(subject, token)?;
    let mut reader = Reader(&bytes);
    let [format, is_backward] = reader.take()?;
    if format != FORMAT {
        return None;
    }
    let key = i64::from_le_bytes(reader.take()?);
    let [has_snapshot] = reader.take()?;
    let snapshot = match has_snapshot {
        0 => None,
        _ => Some(reader.snapshot()?),
    };
    let mut values = Vec::new();
    while !reader.0.is_empty() {
        values.push(reader.value()?);
    }
    (values.len() == sort_keys).then_some(Cursor {
        values,
        key,
        is_backward: is_backward != 0,
        snapshot,
    })
}

/// The bytes still to be read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn snapshot(&mut self) -> Option<Snapshot> {
        let before = i64::from_le_bytes(self.take()?);
        let end = i64::from_le_bytes(self.take()?);
        let count = u16::from_le_bytes(self.take()?);
        let mut running = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            running.push(before + i64::from(u32::from_le_bytes(self.take()?)));
        }
        Some(Snapshot {
            before,
            end,
            running,
        })
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
        let is_canonical = whole.iter().skip(chunk.len()).all(|byte| *byte == 0);
        if chunk.len() == 1 || !is_canonical {
            return None;
        }
        bytes.extend(whole.get(1..chunk.len())?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use proptest::prelude::*;

    fn sort_value() -> impl Strategy<Value = Option<SortValue>> {
        proptest::option::of(prop_oneof![
            any::<i64>().prop_map(SortValue::Integer),
            any::<u64>().prop_map(SortValue::Real),
            "\\PC{0,20}".prop_map(SortValue::Text),
        ])
    }

    fn snapshot() -> impl Strategy<Value = Option<Snapshot>> {
        let running = proptest::collection::vec(0_i64..1 << 30, 0..5);
        let snapshot = (0_i64..1 << 50, 0_i64..1 << 30, running);
        proptest::option::of(snapshot.prop_map(|(before, length, running)| {
            Snapshot {
                before,
                end: before + length,
                running: running
                    .into_iter()
                    .map(|running| before + running)
                    .collect(),
            }
        }))
    }

    proptest! {
        #[test]
        fn a_token_reads_as_it_was_written(
            values in proptest::collection::vec(sort_value(), 0..4),
            key: i64,
            is_backward: bool,
            snapshot in snapshot(),
            secret: [u8; 32],
            place: usize,
            letter: u8,
        ) {
            let cursor = Cursor { values, key, is_backward, snapshot };
            let keys = cursor.values.len();
            let secret = PageKey(secret);
            let token = encode(&cursor, &secret, "Patient?name=x");
            let decode = |token: &str, subject| decode(token, &secret, subject, keys);
            prop_assert_eq!(decode(&token, "Patient?name=x"), Some(cursor));
            prop_assert_eq!(decode(&token, "Patient?name="), None);
            prop_assert_eq!(super::decode(&token, &PageKey([0; 32]), "Patient?name=x", keys), None);
            let mut changed = token.clone().into_bytes();
            let place = place % changed.len();
            let letter = ALPHABET[usize::from(letter) % 64];
            prop_assume!(changed[place] != letter);
            changed[place] = letter;
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_eq!(decode(&changed, "Patient?name=x"), None);
        }

        #[test]
        fn any_text_is_a_token_or_none(text in "[A-Za-z0-9_-]{0,60}|\\PC{0,30}") {
            let _ = decode(&text, &PageKey([1; 32]), "", 1);
            let token = PageKey([1; 32]).seal("", text.into_bytes());
            let _ = decode(&token, &PageKey([1; 32]), "", 1);
        }
    }

    #[test]
    fn the_signature_is_that_of_the_rfc() {
        // RFC 4231, test cases 1 and 2.
        let hex = |code: [u8; 32]| {
            code.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        };
        assert_eq!(
            hex(hmac(&[0x0b; 20], &[b"Hi There"])),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
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
