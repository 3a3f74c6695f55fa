//! Interned JSON property names: one small number for every property that R4 can spell.
//!
//! The names come from the definitions (`birthDate`, `valueQuantity`, `resourceType`), in the form
//! that JSON uses, so a choice element appears once per type. The leading `_` of a primitive's
//! sibling (<https://hl7.org/fhir/R4/json.html#primitive>) is not part of a name: the reader of JSON
//! takes it off first. Which type has which property is the business of [`crate::definition`].

use std::fmt;

/// A property name by its number in [`Names`].
///
/// Numbers are given in the order in which the names were added and never change afterwards, so
/// that a number from a base set is valid in every set layered on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u16);

impl Name {
    /// Stands for a name that no definition knows.
    pub const UNKNOWN: Self = Self(u16::MAX);

    /// The name with this number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number of this name.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The number of this name, to index with.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether a definition knows this name.
    pub const fn is_known(self) -> bool {
        self.0 != Self::UNKNOWN.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_known() {
            write!(formatter, "Name({})", self.0)
        } else {
            formatter.write_str("Name(unknown)")
        }
    }
}

/// The most names that a set can hold: every number but that of [`Name::UNKNOWN`].
pub const MAX_NAMES: usize = u16::MAX as usize;

/// Smallest number of slots; a power of two.
const MIN_SLOTS: usize = 16;

/// The set of names: text to number in a few nanoseconds, number to text by index.
#[derive(Clone, Default)]
pub struct Names {
    /// All names, one after another.
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<u32>,
    /// Open addressing with linear probing; a power of two, at most half full.
    slots: Vec<Slot>,
}

/// One place of the hash table. `tag` is part of the hash, so that most misses read no text.
#[derive(Clone, Copy)]
struct Slot {
    tag: u16,
    name: Name,
}

impl Slot {
    const FREE: Self = Self {
        tag: 0,
        name: Name::UNKNOWN,
    };
}

impl Names {
    /// The set of these names; a name given twice is taken once.
    ///
    /// Names beyond [`MAX_NAMES`] are left out and thus unknown.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::default();
        for name in names {
            set.add(name);
        }
        set
    }

    /// The number of a name, given to it now if it has none. [`Name::UNKNOWN`] if the set is full.
    pub fn add(&mut self, name: &str) -> Name {
        if let Some(known) = self.get(name) {
            return known;
        }
        let (Ok(number), Ok(end)) = (
            u16::try_from(self.ends.len()),
            u32::try_from(self.text.len() + name.len()),
        ) else {
            return Name::UNKNOWN;
        };
        let added = Name(number);
        if !added.is_known() {
            return Name::UNKNOWN;
        }
        self.text.push_str(name);
        self.ends.push(end);
        if self.ends.len() * 2 > self.slots.len() {
            self.rebuild();
        } else {
            self.occupy(hash(name), added);
        }
        added
    }

    /// The number of a name, if a definition knows it.
    #[inline]
    pub fn get(&self, name: &str) -> Option<Name> {
        let hash = hash(name);
        let tag = tag(hash);
        let mut at = start(hash);
        loop {
            let slot = self.slots.get(at & self.slots.len().wrapping_sub(1))?;
            if !slot.name.is_known() {
                return None;
            }
            if slot.tag == tag && self.text(slot.name) == name {
                return Some(slot.name);
            }
            at = at.wrapping_add(1);
        }
    }

    /// The text of a name; empty for [`Name::UNKNOWN`] and for numbers that are not of this set.
    #[inline]
    pub fn text(&self, name: Name) -> &str {
        let index = name.index();
        let from = match index.checked_sub(1) {
            None => 0,
            Some(previous) => match self.ends.get(previous) {
                Some(end) => *end as usize,
                None => return "",
            },
        };
        let to = self.ends.get(index).map_or(from, |end| *end as usize);
        self.text.get(from..to).unwrap_or_default()
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All names in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Name, &str)> {
        (0..u16::MAX)
            .take(self.len())
            .map(|number| (Name(number), self.text(Name(number))))
    }

    /// Makes room and puts every name into its slot again.
    fn rebuild(&mut self) {
        let wanted = (self.ends.len() * 4).next_power_of_two().max(MIN_SLOTS);
        self.slots = vec![Slot::FREE; wanted];
        for number in (0..u16::MAX).take(self.ends.len()) {
            let name = Name(number);
            self.occupy(hash(self.text(name)), name);
        }
    }

    /// Puts a name that is not there yet into the next free slot; there always is one.
    fn occupy(&mut self, hash: u64, name: Name) {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = start(hash) & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if !slot.name.is_known() {
                *slot = Slot {
                    tag: tag(hash),
                    name,
                };
                return;
            }
            at = at.wrapping_add(1) & mask;
        }
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.ends == other.ends
    }
}

impl Eq for Names {}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Names({})", self.len())
    }
}

/// Multiplicative hash of the kind rustc uses: the set is fixed by the definitions and a client
/// only looks names up, so there is nothing to defend by a keyed hash.
#[inline]
fn hash(name: &str) -> u64 {
    const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
    let (words, rest) = name.as_bytes().as_chunks::<8>();
    let mut state = name.len() as u64;
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
    usize::try_from(hash >> 44).unwrap_or_default()
}

/// The bits of a hash that are compared before the text is.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "only these bits are wanted"
)]
fn tag(hash: u64) -> u16 {
    (hash >> 24) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_text_and_text_by_name() {
        let names = Names::new([
            "resourceType",
            "birthDate",
            "valueQuantity",
            "birthDate",
            "id",
        ]);
        assert_eq!(names.len(), 4);
        for (name, text) in names.iter() {
            assert_eq!(names.get(text), Some(name));
            assert_eq!(names.text(name), text);
        }
        assert_eq!(names.get("birthDat"), None);
        assert_eq!(names.get("_birthDate"), None);
        assert_eq!(names.get(""), None);
        assert_eq!(names.text(Name::UNKNOWN), "");
    }

    #[test]
    fn an_empty_set_knows_nothing() {
        let names = Names::default();
        assert_eq!(names.get("id"), None);
        assert_eq!(names.text(Name::new(0)), "");
        assert!(names.is_empty());
    }

    #[test]
    fn a_number_stays_when_names_are_added() {
        let mut names = Names::new(["id", "meta"]);
        let meta = names.get("meta");
        for number in 0..5_000 {
            names.add(&format!("name{number}"));
        }
        assert_eq!(names.get("meta"), meta);
        assert_eq!(names.get("name4999"), Some(Name::new(5_001)));
        assert_eq!(names.add("name0"), Name::new(2));
    }

    #[test]
    fn a_full_set_refuses_more_names() {
        let texts: Vec<String> = (0..MAX_NAMES).map(|number| number.to_string()).collect();
        let mut names = Names::new(texts.iter().map(String::as_str));
        assert_eq!(names.len(), MAX_NAMES);
        assert_eq!(names.add("one more"), Name::UNKNOWN);
        assert_eq!(names.get("one more"), None);
        assert_eq!(names.get("65534"), Some(Name::new(65_534)));
    }
}
