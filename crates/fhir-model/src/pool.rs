//! Interned text: each string once, found by text or by number in a few nanoseconds.
//!
//! The pool only grows and a number never changes, so that a set of definitions can be extended
//! while everything that refers to it stays valid. What is interned comes from definitions, not
//! from requests; a request only looks up.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A string of a set of definitions, by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Text(u32);

impl Text {
    /// The string with this number.
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number, to index with.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The number.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Text({})", self.0)
    }
}

/// The most strings that a pool can hold; the last number marks a free slot.
pub(crate) const MAX_TEXTS: usize = u32::MAX as usize;

/// Smallest number of slots; a power of two.
const MIN_SLOTS: usize = 16;

/// The strings.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Pool {
    /// All strings, one after another.
    text: String,
    /// Where each string ends in `text`.
    ends: Vec<u32>,
    /// Open addressing with linear probing; a power of two, at most half full.
    #[serde(skip)]
    slots: Vec<Slot>,
}

/// One place of the hash table. `tag` is part of the hash, so that most misses read no text.
#[derive(Clone, Copy)]
struct Slot {
    tag: u32,
    number: u32,
}

impl Slot {
    const FREE: Self = Self {
        tag: 0,
        number: u32::MAX,
    };

    const fn is_free(self) -> bool {
        self.number == u32::MAX
    }
}

impl Pool {
    /// The number of a string, given to it now if it has none.
    ///
    /// `None` if the pool is full: by count or because the texts reach 4 GiB.
    pub(crate) fn intern(&mut self, text: &str) -> Option<Text> {
        if let Some(known) = self.find(text) {
            return Some(known);
        }
        let number = u32::try_from(self.ends.len()).ok()?;
        let end = u32::try_from(self.text.len() + text.len()).ok()?;
        if self.ends.len() >= MAX_TEXTS {
            return None;
        }
        self.text.push_str(text);
        self.ends.push(end);
        if self.ends.len() * 2 > self.slots.len() {
            self.index();
        } else {
            self.occupy(hash(text), number);
        }
        Some(Text(number))
    }

    /// The number of a string, if it is here.
    #[inline]
    pub(crate) fn find(&self, text: &str) -> Option<Text> {
        let hash = hash(text);
        let tag = tag(hash);
        let mut at = start(hash);
        loop {
            let slot = self.slots.get(at & self.slots.len().wrapping_sub(1))?;
            if slot.is_free() {
                return None;
            }
            // Bytes, as it is known already that the place of a string holds whole characters.
            if slot.tag == tag
                && self.text.as_bytes().get(self.place(Text(slot.number))) == Some(text.as_bytes())
            {
                return Some(Text(slot.number));
            }
            at = at.wrapping_add(1);
        }
    }

    /// The string with this number; empty for a number that is not of this pool.
    #[inline]
    pub(crate) fn text(&self, text: Text) -> &str {
        self.text.get(self.place(text)).unwrap_or_default()
    }

    /// Where the string with this number is in `text`.
    #[inline]
    fn place(&self, text: Text) -> Range<usize> {
        let end = |index: usize| self.ends.get(index).map_or(0, |end| *end as usize);
        let from = text.index().checked_sub(1).map_or(0, end);
        from..end(text.index()).max(from)
    }

    /// How many strings there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Builds the hash table, half full at most. Needed after deserialising.
    pub(crate) fn index(&mut self) {
        let wanted = (self.ends.len() * 2).next_power_of_two().max(MIN_SLOTS);
        self.slots = vec![Slot::FREE; wanted];
        let mut from = 0;
        for number in 0..self.ends.len() {
            let to = self.ends.get(number).map_or(from, |end| *end as usize);
            let hash = hash(self.text.get(from..to).unwrap_or_default());
            self.occupy(hash, u32::try_from(number).unwrap_or(u32::MAX));
            from = to;
        }
    }

    /// Puts a string that is not there yet into the next free slot; there always is one.
    fn occupy(&mut self, hash: u64, number: u32) {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = start(hash) & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.is_free() {
                *slot = Slot {
                    tag: tag(hash),
                    number,
                };
                return;
            }
            at = at.wrapping_add(1) & mask;
        }
    }
}

impl PartialEq for Pool {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.ends == other.ends
    }
}

impl Eq for Pool {}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Pool({} texts, {} bytes)",
            self.ends.len(),
            self.text.len()
        )
    }
}

/// Multiplicative hash of the kind rustc uses: the pool is filled from definitions and a client
/// only looks up, so there is nothing to defend by a keyed hash.
#[inline]
fn hash(text: &str) -> u64 {
    const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let mut state = text.len() as u64;
    for word in words {
        state = (state.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
    }
    let mut last = 0_u64;
    for byte in rest {
        last = (last << 8) | u64::from(*byte);
    }
    (state.rotate_left(5) ^ last).wrapping_mul(FACTOR)
}

/// The bits of a hash that choose the first slot: the high ones, which the product mixed best.
#[inline]
fn start(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or_default()
}

/// The bits of a hash that are compared before the text is.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "only these bits are wanted"
)]
fn tag(hash: u64) -> u32 {
    (hash >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_found_by_text_and_by_number() {
        let mut pool = Pool::default();
        let texts = [
            "",
            "a",
            "http://hl7.org/fhir/StructureDefinition/Patient",
            "ü",
            "a",
        ];
        let numbers: Vec<_> = texts
            .iter()
            .map(|text| pool.intern(text).unwrap())
            .collect();
        assert_eq!(pool.len(), 4);
        for (text, number) in texts.iter().zip(&numbers) {
            assert_eq!(pool.text(*number), *text);
            assert_eq!(pool.find(text), Some(*number));
        }
        assert_eq!(pool.find("b"), None);
        assert_eq!(pool.text(Text::new(4)), "");
        assert_eq!(pool.text(Text::new(u32::MAX)), "");
    }

    #[test]
    fn numbers_stay_while_the_pool_grows() {
        let mut pool = Pool::default();
        let first = pool.intern("first");
        for number in 0..10_000 {
            pool.intern(&format!("http://example.org/{number}"));
        }
        assert_eq!(pool.find("first"), first);
        let last = pool.find("http://example.org/9999").unwrap();
        assert_eq!(pool.text(last), "http://example.org/9999");
    }
}
