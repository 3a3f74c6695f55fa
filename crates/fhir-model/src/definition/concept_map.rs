//! Concept maps: from the codes of one system to those of another.
//!
//! Standard: <https://hl7.org/fhir/R4/conceptmap.html>. Translating, with maps that refer to other
//! maps and from the target back, is left to `fhir-terminology`.

use serde::{Deserialize, Serialize};

use super::{CanonicalIndex, Definitions, Span, Text};

/// A concept map by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConceptMapId(pub(crate) u32);

/// A `ConceptMap`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConceptMap {
    /// The canonical URL, without a version.
    pub url: Text,
    /// The business version.
    pub version: Option<Text>,
    /// The computer-friendly name.
    pub name: Text,
    /// The value set of the codes that are mapped.
    pub source: Option<Text>,
    /// The value set of the codes that they are mapped to.
    pub target: Option<Text>,
    pub(crate) groups: Span,
}

/// The part of a concept map between two code systems.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapGroup {
    /// The code system of the codes that are mapped.
    pub source: Option<Text>,
    /// The code system of the codes that they are mapped to.
    pub target: Option<Text>,
    /// What is to be done with a code that no element maps.
    pub unmapped: Option<Unmapped>,
    pub(crate) elements: Span,
}

/// What is to be done with a code that no element maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unmapped {
    /// It stays as it is.
    Provided,
    /// It becomes this code.
    Fixed {
        /// The code.
        code: Text,
        /// What to show to a person.
        display: Option<Text>,
    },
    /// This map is asked.
    OtherMap(Text),
}

/// A code that is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapElement {
    /// The code.
    pub code: Text,
    /// What to show to a person.
    pub display: Option<Text>,
    pub(crate) targets: Span,
}

/// What a code is mapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MapTarget {
    /// The code; none if there is no equivalent.
    pub code: Option<Text>,
    /// What to show to a person.
    pub display: Option<Text>,
    /// How the target relates to the source.
    pub equivalence: Equivalence,
    /// What is to be known about it.
    pub comment: Option<Text>,
    /// What the mapping depends on: a list, as JSON.
    pub depends_on: Option<Text>,
    /// What else the mapping says: a list, as JSON.
    pub product: Option<Text>,
}

/// `ConceptMap.group.element.target.equivalence`: what the target is to the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the code of that name")]
pub enum Equivalence {
    RelatedTo,
    Equivalent,
    Equal,
    Wider,
    Subsumes,
    Narrower,
    Specializes,
    Inexact,
    Unmatched,
    Disjoint,
}

/// The codes of the equivalences.
pub(crate) const EQUIVALENCES: &[(&str, Equivalence)] = &[
    ("relatedto", Equivalence::RelatedTo),
    ("equivalent", Equivalence::Equivalent),
    ("equal", Equivalence::Equal),
    ("wider", Equivalence::Wider),
    ("subsumes", Equivalence::Subsumes),
    ("narrower", Equivalence::Narrower),
    ("specializes", Equivalence::Specializes),
    ("inexact", Equivalence::Inexact),
    ("unmatched", Equivalence::Unmatched),
    ("disjoint", Equivalence::Disjoint),
];

impl Equivalence {
    /// The code.
    pub fn code(self) -> &'static str {
        let found = EQUIVALENCES.iter().find(|(_, own)| *own == self);
        found.map_or("relatedto", |(code, _)| code)
    }

    /// Whether it says that there is a target.
    pub const fn is_match(self) -> bool {
        !matches!(self, Self::Unmatched | Self::Disjoint)
    }

    /// What the source is to the target.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Wider => Self::Narrower,
            Self::Narrower => Self::Wider,
            Self::Subsumes => Self::Specializes,
            Self::Specializes => Self::Subsumes,
            other => other,
        }
    }
}

/// The tables behind the concept maps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConceptMapTables {
    pub(crate) maps: Vec<ConceptMap>,
    pub(crate) by_url: CanonicalIndex,
    pub(crate) groups: Vec<MapGroup>,
    /// Those of a group are sorted by code number.
    pub(crate) elements: Vec<MapElement>,
    pub(crate) targets: Vec<MapTarget>,
}

impl Definitions {
    /// The concept map with this number.
    ///
    /// # Panics
    ///
    /// If the number is of another set of definitions.
    #[expect(
        clippy::indexing_slicing,
        reason = "a number is only given out by the set it is of"
    )]
    pub fn concept_map_of(&self, map: ConceptMapId) -> &ConceptMap {
        &self.terminology.maps.maps[map.0 as usize]
    }

    /// The concept map that a canonical means: `url` (the last one loaded) or `url|version`.
    pub fn concept_map(&self, canonical: &str) -> Option<ConceptMapId> {
        let tables = &self.terminology.maps;
        tables.by_url.find(&self.pool, canonical).map(ConceptMapId)
    }

    /// All concept maps, with their numbers, in the order of loading.
    pub fn concept_maps(&self) -> impl Iterator<Item = (ConceptMapId, &ConceptMap)> {
        (0..).map(ConceptMapId).zip(&self.terminology.maps.maps)
    }

    /// The groups of a concept map.
    pub fn map_groups(&self, map: &ConceptMap) -> &[MapGroup] {
        map.groups.of(&self.terminology.maps.groups)
    }

    /// The elements of a group, sorted by the number of their code.
    pub fn map_elements(&self, group: &MapGroup) -> &[MapElement] {
        group.elements.of(&self.terminology.maps.elements)
    }

    /// The elements of a group that map this code.
    pub fn map_elements_for(&self, group: &MapGroup, code: &str) -> &[MapElement] {
        let elements = self.map_elements(group);
        let Some(code) = self.find_text(code) else {
            return &[];
        };
        let start = elements.partition_point(|element| element.code < code);
        let end = elements.partition_point(|element| element.code <= code);
        elements.get(start..end).unwrap_or_default()
    }

    /// What a code is mapped to.
    pub fn map_targets(&self, element: &MapElement) -> &[MapTarget] {
        element.targets.of(&self.terminology.maps.targets)
    }
}
