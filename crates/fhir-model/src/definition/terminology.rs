//! Code systems and value sets, as far as the packages enumerate them.
//!
//! A value set is answered from parts: whole code systems, which share the system's own table,
//! and lists of codes. What cannot be enumerated here (SNOMED CT, LOINC, media types, …) is kept
//! as a reason, so that a code is [`Membership::Unknown`] only where it could be in such a part.
//! Abstract concepts (`notSelectable`) are no members unless a value set lists them by code.
//!
//! Standard: <https://hl7.org/fhir/R4/valueset.html#compositions>. What a binding makes of the
//! answer is left to the validator.

use serde::{Deserialize, Serialize};

use super::{CanonicalIndex, Definitions, Span, Text};

/// A code system by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CodeSystemId(pub(crate) u32);

/// A value set by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ValueSetId(pub(crate) u32);

/// A `CodeSystem`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeSystem {
    /// The URI that codings carry as their system.
    pub url: Text,
    /// The business version.
    pub version: Option<Text>,
    /// The computer-friendly name.
    pub name: Text,
    /// How much of it is here.
    pub content: CodeSystemContent,
    /// Whether codes that differ in case differ; taken as true where the definition is silent.
    pub is_case_sensitive: bool,
    pub(crate) concepts: Span,
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

/// A concept of a code system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concept {
    /// The code.
    pub code: Text,
    /// What to show to a person.
    pub display: Option<Text>,
    /// How deep it is nested; a concept's children follow it.
    pub depth: u8,
    /// Whether it only groups others and should not be used (`notSelectable`).
    pub is_abstract: bool,
    /// Whether it is not to be used any more (`inactive`, or a `status` that says so).
    pub is_inactive: bool,
}

impl Concept {
    /// The concept as a member of a value set.
    pub(crate) fn member(&self) -> Member {
        Member {
            code: self.code,
            display: self.display,
        }
    }
}

/// A `ValueSet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueSet {
    /// The canonical URL, without a version.
    pub url: Text,
    /// The business version.
    pub version: Option<Text>,
    /// The computer-friendly name.
    pub name: Text,
    pub(crate) parts: Span,
    pub(crate) not_enumerable: Span,
}

/// A part of a value set whose codes are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Part {
    /// Every code of a system.
    System(CodeSystemId),
    /// Some codes of a system, in the order of the definition, and the same sorted by code.
    List {
        system: Text,
        members: Span,
        by_code: Span,
    },
}

/// A code of a value set that lists codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The code.
    pub code: Text,
    /// What to show to a person.
    pub display: Option<Text>,
}

/// Why a part of a value set is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotEnumerable {
    /// The code system concerned; `None` if it could be any.
    pub system: Option<Text>,
    /// The reason.
    pub reason: Reason,
}

/// The reason of a [`NotEnumerable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The code system is defined by a grammar: media types, languages, units.
    Grammar,
    /// The code system, or its content, is not in the packages.
    CodeSystemNotHere,
    /// The value set that it imports is not in the packages, or imports itself.
    ValueSetNotHere,
    /// The filter needs more than the packages say.
    Filter,
}

/// What a value set says of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Membership {
    /// It is in the value set.
    Member,
    /// It is not in the value set.
    NotMember,
    /// It could be: that part of the value set is not known here.
    Unknown(Reason),
}

/// Whether all codes of a value set are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expansion<'a> {
    /// All are; [`Definitions::members`] lists them.
    Codes,
    /// Some are not, for these reasons.
    NotEnumerable(&'a [NotEnumerable]),
}

/// The tables behind the terminology.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TerminologyTables {
    pub(crate) code_systems: Vec<CodeSystem>,
    pub(crate) systems_by_url: CanonicalIndex,
    /// Those of a code system in preorder.
    pub(crate) concepts: Vec<Concept>,
    /// Concepts with one that is under them though not nested in them; sorted.
    pub(crate) further_children: Vec<(u32, u32)>,
    /// Row numbers of `concepts`; those of a code system are sorted by code number.
    pub(crate) concepts_by_code: Vec<u32>,
    pub(crate) value_sets: Vec<ValueSet>,
    pub(crate) sets_by_url: CanonicalIndex,
    pub(crate) parts: Vec<Part>,
    pub(crate) members: Vec<Member>,
    /// Row numbers of `members`; those of a part are sorted by code number.
    pub(crate) members_by_code: Vec<u32>,
    pub(crate) not_enumerable: Vec<NotEnumerable>,
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

    /// The value set with this number.
    ///
    /// # Panics
    ///
    /// If the number is of another set of definitions.
    pub fn value_set_of(&self, value_set: ValueSetId) -> &ValueSet {
        &self.terminology.value_sets[value_set.0 as usize]
    }
}

impl Definitions {
    /// The code system with this URI, `url` or `url|version`.
    pub fn code_system(&self, url: &str) -> Option<&CodeSystem> {
        let number = self.terminology.systems_by_url.find(&self.pool, url)?;
        Some(self.code_system_of(CodeSystemId(number)))
    }

    /// The concept of a code system with this code.
    pub fn concept(&self, code_system: &CodeSystem, code: &str) -> Option<&Concept> {
        let exact = self
            .find_text(code)
            .and_then(|code| self.concept_by_text(code_system, code));
        if exact.is_some() || code_system.is_case_sensitive {
            return exact;
        }
        self.concepts(code_system)
            .iter()
            .find(|concept| self.text(concept.code).eq_ignore_ascii_case(code))
    }

    pub(crate) fn concept_by_text(&self, code_system: &CodeSystem, code: Text) -> Option<&Concept> {
        let tables = &self.terminology;
        let concept = |row: &u32| tables.concepts.get(*row as usize);
        let by_code = code_system.by_code.of(&tables.concepts_by_code);
        let at = by_code.partition_point(|row| concept(row).is_some_and(|found| found.code < code));
        by_code
            .get(at)
            .and_then(concept)
            .filter(|found| found.code == code)
    }

    /// The concepts of a code system, each followed by its children.
    pub fn concepts(&self, code_system: &CodeSystem) -> &[Concept] {
        code_system.concepts.of(&self.terminology.concepts)
    }

    /// The value set that a canonical means: `url` (the last one loaded) or `url|version`.
    pub fn value_set(&self, canonical: &str) -> Option<ValueSetId> {
        self.terminology
            .sets_by_url
            .find(&self.pool, canonical)
            .map(ValueSetId)
    }

    /// All value sets, with their numbers, in the order of loading.
    pub fn value_sets(&self) -> impl Iterator<Item = (ValueSetId, &ValueSet)> {
        (0..).map(ValueSetId).zip(&self.terminology.value_sets)
    }

    /// All code systems, in the order of loading.
    pub fn code_systems(&self) -> &[CodeSystem] {
        &self.terminology.code_systems
    }

    /// Whether all codes of a value set are known.
    pub fn expansion(&self, value_set: ValueSetId) -> Expansion<'_> {
        let rest = self.value_set_of(value_set).not_enumerable;
        match rest.of(&self.terminology.not_enumerable) {
            [] => Expansion::Codes,
            reasons => Expansion::NotEnumerable(reasons),
        }
    }

    /// Whether a code is in a value set. Without a system (an element of type `code`), the code
    /// may be of any system that the value set draws from.
    pub fn membership(
        &self,
        value_set: ValueSetId,
        system: Option<&str>,
        code: &str,
    ) -> Membership {
        let found = self.value_set_of(value_set);
        let parts = found.parts.of(&self.terminology.parts);
        if parts
            .iter()
            .any(|part| self.is_in_part(*part, system, code))
        {
            return Membership::Member;
        }
        let unknown = found.not_enumerable.of(&self.terminology.not_enumerable);
        let concerns = |rest: &&NotEnumerable| match (rest.system, system) {
            (Some(theirs), Some(ours)) => self.text(theirs) == ours,
            _ => true,
        };
        unknown
            .iter()
            .find(concerns)
            .map_or(Membership::NotMember, |rest| {
                Membership::Unknown(rest.reason)
            })
    }

    /// The known codes of a value set in the order of its definition: system, code, display.
    pub fn members(&self, value_set: ValueSetId) -> impl Iterator<Item = (Text, Member)> {
        let tables = &self.terminology;
        let parts = self.value_set_of(value_set).parts.of(&tables.parts);
        parts.iter().flat_map(|part| self.part_members(*part))
    }

    pub(crate) fn part_members(&self, part: Part) -> impl Iterator<Item = (Text, Member)> {
        let tables = &self.terminology;
        let (system, concepts, members): (_, &[Concept], &[Member]) = match part {
            Part::System(code_system) => {
                let code_system = self.code_system_of(code_system);
                (code_system.url, self.concepts(code_system), &[])
            }
            Part::List {
                system, members, ..
            } => (system, &[], members.of(&tables.members)),
        };
        concepts
            .iter()
            .filter(|concept| !concept.is_abstract)
            .map(Concept::member)
            .chain(members.iter().copied())
            .map(move |member| (system, member))
    }

    fn is_in_part(&self, part: Part, system: Option<&str>, code: &str) -> bool {
        match part {
            Part::System(code_system) => {
                let code_system = self.code_system_of(code_system);
                self.is_system(code_system.url, system)
                    && self
                        .concept(code_system, code)
                        .is_some_and(|found| !found.is_abstract)
            }
            Part::List {
                system: listed,
                members,
                by_code,
            } => {
                self.is_system(listed, system)
                    && (self.is_listed(by_code, code)
                        || self.is_listed_in_other_case(listed, members, code))
            }
        }
    }

    fn is_system(&self, system: Text, wanted: Option<&str>) -> bool {
        wanted.is_none_or(|wanted| self.text(system) == wanted)
    }

    fn is_listed(&self, by_code: Span, code: &str) -> bool {
        let Some(code) = self.find_text(code) else {
            return false;
        };
        let tables = &self.terminology;
        let code_of = |row: &u32| tables.members.get(*row as usize).map(|member| member.code);
        by_code
            .of(&tables.members_by_code)
            .binary_search_by(|row| code_of(row).cmp(&Some(code)))
            .is_ok()
    }

    /// A list from a code system that does not tell cases apart.
    fn is_listed_in_other_case(&self, system: Text, members: Span, code: &str) -> bool {
        self.code_system(self.text(system))
            .is_some_and(|system| !system.is_case_sensitive)
            && members
                .of(&self.terminology.members)
                .iter()
                .any(|member| self.text(member.code).eq_ignore_ascii_case(code))
    }
}
