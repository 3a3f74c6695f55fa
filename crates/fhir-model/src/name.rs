//! Interned JSON property names: one small number for every property that R4 can spell.
//!
//! The names come from the definitions (`birthDate`, `valueQuantity`, `resourceType`), in the form
//! that JSON uses, so a choice element appears once per type. The leading `_` of a primitive's
//! sibling (<https://hl7.org/fhir/R4/json.html#primitive>) is not part of a name: the reader of JSON
//! takes it off first. Which type has which property is the business of [`crate::definition`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pool::{Pool, Text};

/// A property name by its number in [`Names`].
///
/// Numbers are given in the order in which the names were added and never change afterwards, so
/// that a number from a base set is valid in every set layered on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

/// The set of names: text to number in a few nanoseconds, number to text by index.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    pool: Pool,
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
        if self.len() >= MAX_NAMES {
            return Name::UNKNOWN;
        }
        self.pool
            .intern(name)
            .and_then(to_name)
            .unwrap_or(Name::UNKNOWN)
    }

    /// The number of a name, if a definition knows it.
    #[inline]
    pub fn get(&self, name: &str) -> Option<Name> {
        self.pool.find(name).and_then(to_name)
    }

    /// The text of a name; empty for [`Name::UNKNOWN`] and for numbers that are not of this set.
    #[inline]
    pub fn text(&self, name: Name) -> &str {
        self.pool.text(Text::new(u32::from(name.0)))
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.pool.len()
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All names in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Name, &str)> {
        (0..u16::MAX)
            .take(self.len())
            .map(|number| (Name(number), self.text(Name(number))))
    }

    /// Makes the names findable by text again after they were deserialised.
    pub(crate) fn index(&mut self) {
        self.pool.index();
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Names({})", self.len())
    }
}

/// The set holds at most [`MAX_NAMES`], so that the number of a text in it is that of a name.
#[inline]
fn to_name(text: Text) -> Option<Name> {
    u16::try_from(text.number()).ok().map(Name)
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
