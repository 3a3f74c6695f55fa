//! Code systems, value sets and concept maps: what the packages say of codes.
//!
//! A code system is a run of concepts in preorder, with their properties and designations. A value
//! set is kept as its composition ([`value_set`]), which is answered from the code systems at hand;
//! a code system that arrives later makes what lacked it answerable. What cannot be enumerated here
//! (SNOMED CT, LOINC, media types, …) is kept as a reason, so that a code is
//! [`Membership::Unknown`] only where it could be in such a part.
//!
//! Standard: <https://hl7.org/fhir/R4/codesystem.html>. Grammars and the operations are left to
//! `fhir-terminology`, what a binding makes of the answer to the validator.

use serde::{Deserialize, Serialize};

use super::concept_map::ConceptMapTables;
use super::{CanonicalIndex, Definitions, Span, Text, is_version};

pub mod hierarchy;
pub mod value_set;

use value_set::{Component, Filter, Import, Listed};
pub use value_set::{
    Expansion, Member, Membership, NotEnumerable, Question, Reason, ValueSet, ValueSetId,
};

/// A code system by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CodeSystemId(pub(crate) u32);

/// A concept by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConceptId(pub(crate) u32);

impl ConceptId {
    /// The number, to compare with.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A `CodeSystem`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeSystem {
    /// The URI that codings carry as their system.
    pub url: Text,
    /// The business version.
    pub version: Option<Text>,
    /// The computer-friendly name.
    pub name: Text,
    /// The human-friendly name.
    pub title: Option<Text>,
    /// The publication status, `draft` or another.
    pub status: Option<Text>,
    /// Whether it is for trying out only.
    pub is_experimental: bool,
    /// The language of its displays.
    pub language: Option<Text>,
    /// How much of it is here.
    pub content: CodeSystemContent,
    /// Whether codes that differ in case differ; taken as true where the definition is silent.
    pub is_case_sensitive: bool,
    /// What it means that a concept is under another one, if the definition says it.
    pub hierarchy_meaning: Option<HierarchyMeaning>,
    /// The value set of all its codes.
    pub value_set: Option<Text>,
    /// The code system that a supplement adds to.
    pub supplements: Option<Text>,
    /// How many concepts there are, here or not.
    pub count: Option<u32>,
    pub(crate) properties: Span,
    pub(crate) concepts: Span,
    /// Row numbers of concepts: sorted by the number of the code, or by its letters without regard
    /// to case where case does not matter.
    pub(crate) by_code: Span,
}

/// `CodeSystem.content`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the code of that name")]
pub enum CodeSystemContent {
    NotPresent,
    Example,
    Fragment,
    Complete,
    Supplement,
}

/// `CodeSystem.hierarchyMeaning`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the code of that name")]
pub enum HierarchyMeaning {
    GroupedBy,
    IsA,
    PartOf,
    ClassifiedWith,
}

/// A property that concepts of a code system may have: `CodeSystem.property`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyDefinition {
    /// The code that concepts name it by.
    pub code: Text,
    /// The URI that says what it means.
    pub uri: Option<Text>,
}

/// A concept of a code system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concept {
    /// The code.
    pub code: Text,
    /// What to show to a person.
    pub display: Option<Text>,
    /// What it means, in words.
    pub definition: Option<Text>,
    /// How deep it is nested; a concept's children follow it.
    pub depth: u8,
    /// Whether it only groups others and should not be used (`notSelectable`).
    pub is_abstract: bool,
    /// Whether it is not to be used any more (`inactive`, or a `status` that says so).
    pub is_inactive: bool,
    /// How many rows before it its parent is; 0 if it is nested in none.
    pub(crate) up: u32,
    /// How many concepts are nested in it, at all levels.
    pub(crate) below: u32,
    pub(crate) properties: Span,
    pub(crate) designations: Span,
}

/// A property of a concept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConceptProperty {
    /// Which property it is.
    pub code: Text,
    /// The type of its value.
    pub kind: ConceptPropertyKind,
    /// Its value as text; of a Coding, its JSON.
    pub value: Text,
}

/// The type of the value of a [`ConceptProperty`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the type of that name")]
pub enum ConceptPropertyKind {
    Code,
    Coding,
    String,
    Integer,
    Boolean,
    DateTime,
    Decimal,
}

/// Another text for a concept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Designation {
    /// The language of the text.
    pub language: Option<Text>,
    /// What the text is for: a Coding, as JSON.
    pub use_coding: Option<Text>,
    /// The text.
    pub value: Text,
}

/// The tables behind the terminology.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TerminologyTables {
    pub(crate) code_systems: Vec<CodeSystem>,
    pub(crate) systems_by_url: CanonicalIndex,
    pub(crate) supplements_by_url: CanonicalIndex,
    pub(crate) property_definitions: Vec<PropertyDefinition>,
    /// Those of a code system in preorder.
    pub(crate) concepts: Vec<Concept>,
    pub(crate) concept_properties: Vec<ConceptProperty>,
    pub(crate) designations: Vec<Designation>,
    /// Concepts with one that is under them though not nested in them; sorted.
    pub(crate) further_children: Vec<(u32, u32)>,
    /// The same the other way round: concepts with one that is above them; sorted.
    pub(crate) further_parents: Vec<(u32, u32)>,
    pub(crate) concepts_by_code: Vec<u32>,
    pub(crate) value_sets: Vec<ValueSet>,
    pub(crate) sets_by_url: CanonicalIndex,
    pub(crate) components: Vec<Component>,
    pub(crate) imports: Vec<Import>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) listed: Vec<Listed>,
    /// Row numbers of `listed`; those of a list are in the same place, sorted by code number.
    pub(crate) listed_by_code: Vec<u32>,
    /// Runs of rows of `concepts` that pass the filters of a component: first and past the last.
    pub(crate) runs: Vec<(u32, u32)>,
    pub(crate) not_enumerable: Vec<NotEnumerable>,
    pub(crate) maps: ConceptMapTables,
}

#[expect(
    clippy::indexing_slicing,
    reason = "a number is only given out by the set it is of"
)]
impl Definitions {
    /// The code system with this number.
    ///
    /// # Panics
    ///
    /// If the number is of another set of definitions.
    pub fn code_system_of(&self, code_system: CodeSystemId) -> &CodeSystem {
        &self.terminology.code_systems[code_system.0 as usize]
    }

    /// The concept with this number.
    ///
    /// # Panics
    ///
    /// If the number is of another set of definitions.
    pub fn concept_of(&self, concept: ConceptId) -> &Concept {
        &self.terminology.concepts[concept.0 as usize]
    }
}

impl Definitions {
    /// The code system with this URI, `url` or `url|version`.
    pub fn code_system(&self, url: &str) -> Option<&CodeSystem> {
        self.code_system_id(url).map(|id| self.code_system_of(id))
    }

    /// The number of the code system with this URI, `url` or `url|version`.
    pub fn code_system_id(&self, url: &str) -> Option<CodeSystemId> {
        let number = self.terminology.systems_by_url.find(&self.pool, url)?;
        Some(CodeSystemId(number))
    }

    /// The version of a code system that is meant: exactly this one, where a part `x` stands for any;
    /// the last one loaded if none is named.
    pub fn code_system_version(&self, url: &str, version: Option<&str>) -> Option<CodeSystemId> {
        let index = &self.terminology.systems_by_url;
        let number = index.find_version(&self.pool, url, version, is_version)?;
        Some(CodeSystemId(number))
    }

    /// All versions of a code system, in the order of loading.
    pub fn code_system_versions(&self, url: &str) -> impl Iterator<Item = &CodeSystem> {
        let index = &self.terminology.systems_by_url;
        let numbers = index.all(&self.pool, url);
        numbers.map(|number| self.code_system_of(CodeSystemId(number)))
    }

    /// Whether this URL is that of a supplement, which is no code system itself.
    pub fn is_supplement(&self, url: &str) -> bool {
        let index = &self.terminology.supplements_by_url;
        index.all(&self.pool, url).next().is_some()
    }

    /// All code systems, in the order of loading.
    pub fn code_systems(&self) -> &[CodeSystem] {
        &self.terminology.code_systems
    }

    /// The concepts of a code system, each followed by its children.
    pub fn concepts(&self, code_system: &CodeSystem) -> &[Concept] {
        code_system.concepts.of(&self.terminology.concepts)
    }

    /// The numbers of the concepts of a code system, in the same order.
    pub fn concept_ids(&self, code_system: &CodeSystem) -> impl Iterator<Item = ConceptId> + use<> {
        let Span { start, len } = code_system.concepts;
        (start..start + len).map(ConceptId)
    }

    /// The concept of a code system with this code.
    pub fn concept(&self, code_system: &CodeSystem, code: &str) -> Option<&Concept> {
        self.concept_id(code_system, code)
            .map(|id| self.concept_of(id))
    }

    /// The number of the concept of a code system with this code.
    pub fn concept_id(&self, code_system: &CodeSystem, code: &str) -> Option<ConceptId> {
        let rows = code_system.by_code.of(&self.terminology.concepts_by_code);
        let code_of = |row: &u32| self.concept_of(ConceptId(*row)).code;
        let at = if code_system.is_case_sensitive {
            let code = self.find_text(code)?;
            rows.binary_search_by_key(&code, code_of).ok()?
        } else {
            rows.binary_search_by(|row| compare_folded(self.text(code_of(row)), code))
                .ok()?
        };
        rows.get(at).copied().map(ConceptId)
    }

    /// The properties that a code system declares.
    pub fn property_definitions(&self, code_system: &CodeSystem) -> &[PropertyDefinition] {
        code_system
            .properties
            .of(&self.terminology.property_definitions)
    }

    /// The properties of a concept.
    pub fn concept_properties(&self, concept: &Concept) -> &[ConceptProperty] {
        concept.properties.of(&self.terminology.concept_properties)
    }

    /// Other texts for a concept.
    pub fn designations(&self, concept: &Concept) -> &[Designation] {
        concept.designations.of(&self.terminology.designations)
    }
}

/// Compares codes whose case does not matter.
pub(crate) fn compare_folded(left: &str, right: &str) -> std::cmp::Ordering {
    let fold = |byte: u8| byte.to_ascii_lowercase();
    left.bytes().map(fold).cmp(right.bytes().map(fold))
}
