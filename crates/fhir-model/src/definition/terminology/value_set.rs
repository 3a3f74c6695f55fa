//! Value sets as their compositions, and which codes these admit.
//!
//! Standard: <https://hl7.org/fhir/R4/valueset.html#compositions>: an include draws codes from a
//! system or from other value sets, from all of them at once if it names several; an exclude takes
//! codes away. The compiler has found what a component refers to and which concepts pass its
//! filters; here it is only looked up. It has also cut imports that form a circle, and those beyond
//! its limits, so that the recursion here ends.
//!
//! Abstract concepts (`notSelectable`) are no members unless they are asked for, or a value set
//! lists them by code.

use serde::{Deserialize, Serialize};

use super::{CodeSystemId, Concept, ConceptId, Designation, compare_folded};
use crate::definition::{Definitions, Span, Text, is_version};

/// A value set by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ValueSetId(pub(crate) u32);

/// A `ValueSet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueSet {
    /// The canonical URL, without a version.
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
    /// Whether it admits inactive codes; `None` if it does not say.
    pub admits_inactive: Option<bool>,
    /// Whether it is answered from the expansion that it came with, as its composition cannot be.
    pub is_expanded: bool,
    /// Includes, then excludes.
    pub(crate) composition: Span,
    /// The same for the expansion that it came with; none if it is not complete.
    pub(crate) expansion: Span,
    pub(crate) not_enumerable: Span,
}

/// An include or exclude.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Component {
    pub(crate) is_exclude: bool,
    pub(crate) system: Option<Text>,
    pub(crate) version: Option<Text>,
    pub(crate) source: Source,
    pub(crate) filters: Span,
    pub(crate) imports: Span,
    /// The code system, if it is here.
    pub(crate) code_system: Option<CodeSystemId>,
    /// Why there may be more codes than are found here.
    pub(crate) unknown: Option<Reason>,
}

/// Which codes of its system a component has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Source {
    /// It names no system.
    None,
    /// All.
    System,
    /// Those listed, in the order of the definition.
    Listed(Span),
    /// Those that pass all filters, as runs of concepts.
    Filtered(Span),
}

/// Another value set that a component takes codes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Import {
    pub(crate) canonical: Text,
    /// The value set, if it is here and was not cut.
    pub(crate) value_set: Option<ValueSetId>,
    /// Whether it is not followed, because it leads back to the one that imports it or too far.
    pub(crate) is_cut: bool,
}

impl Import {
    /// Why its codes are not known, if they are not.
    pub(crate) const fn reason(&self) -> Reason {
        if self.is_cut {
            Reason::ImportCut
        } else {
            Reason::ValueSetNotHere
        }
    }
}

/// A condition on concepts: `ValueSet.compose.include.filter`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Filter {
    pub(crate) property: Option<Text>,
    pub(crate) operator: Option<Text>,
    pub(crate) value: Option<Text>,
}

/// A code that a value set lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) code: Text,
    pub(crate) display: Option<Text>,
    pub(crate) designations: Span,
}

/// A code of a value set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The code.
    pub code: Text,
    /// What to show to a person: by the value set, else by the code system.
    pub display: Option<Text>,
    /// The concept, if its code system is here.
    pub concept: Option<ConceptId>,
    /// The code system, if it is here.
    pub code_system: Option<CodeSystemId>,
    /// The version of the code system that the value set asks for.
    pub version: Option<Text>,
    /// Whether the value set lists it by code.
    pub is_listed: bool,
    designations: Span,
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
    /// The code system, its version or its content is not in the packages.
    CodeSystemNotHere,
    /// The value set, or one that it imports, is not in the packages.
    ValueSetNotHere,
    /// Value sets import one another in a circle, or too deeply.
    ImportCut,
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

impl Membership {
    /// In both. What is not in one is not in both, whatever is not known of the other.
    fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::NotMember => self,
            Self::Member => other(),
            Self::Unknown(_) => match other() {
                Self::NotMember => Self::NotMember,
                _ => self,
            },
        }
    }

    /// In one of these.
    fn any(mut all: impl Iterator<Item = Self>) -> Self {
        let mut found = Self::NotMember;
        for membership in all.by_ref() {
            match membership {
                Self::Member => return Self::Member,
                Self::NotMember => {}
                unknown @ Self::Unknown(_) => found = unknown,
            }
        }
        found
    }

    /// In this one without what is in the other.
    fn without(self, excluded: Self) -> Self {
        match (self, excluded) {
            (Self::NotMember, _) | (_, Self::Member) => Self::NotMember,
            (Self::Member, Self::Unknown(reason)) => Self::Unknown(reason),
            (own, _) => own,
        }
    }
}

impl From<bool> for Membership {
    fn from(is_member: bool) -> Self {
        if is_member {
            Self::Member
        } else {
            Self::NotMember
        }
    }
}

/// Whether a code system that is not enumerated here, by its URL, has a code; `None` if the one
/// asked does not know the code system either.
pub type Grammars<'a> = &'a dyn Fn(&str, &str) -> Option<bool>;

/// What is asked of a value set.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The system of the code. Without one (an element of type `code`) the code may be of any
    /// system that the value set draws from.
    pub system: Option<&'a str>,
    /// The version of the system, if it matters.
    pub version: Option<&'a str>,
    /// The code.
    pub code: &'a str,
    /// Whether abstract concepts count.
    pub admits_abstract: bool,
    /// Who knows of code systems that are not enumerated here.
    pub grammars: Option<Grammars<'a>>,
}

/// Whether all codes of a value set are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expansion<'a> {
    /// All are; [`Definitions::members`] lists them.
    Codes,
    /// Some are not, for these reasons.
    NotEnumerable(&'a [NotEnumerable]),
}

impl Definitions {
    /// The value set with this number.
    ///
    /// # Panics
    ///
    /// If the number is of another set of definitions.
    #[expect(
        clippy::indexing_slicing,
        reason = "a number is only given out by the set it is of"
    )]
    pub fn value_set_of(&self, value_set: ValueSetId) -> &ValueSet {
        &self.terminology.value_sets[value_set.0 as usize]
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

    /// Whether all codes of a value set are known.
    pub fn expansion(&self, value_set: ValueSetId) -> Expansion<'_> {
        let rest = self.value_set_of(value_set).not_enumerable;
        match rest.of(&self.terminology.not_enumerable) {
            [] => Expansion::Codes,
            reasons => Expansion::NotEnumerable(reasons),
        }
    }

    /// The code systems that a value set draws codes from itself: URL, version, and which it is.
    pub fn systems_of(
        &self,
        value_set: ValueSetId,
    ) -> impl Iterator<Item = (Text, Option<Text>, Option<CodeSystemId>)> {
        self.components_of(value_set)
            .iter()
            .filter(|component| !component.is_exclude)
            .filter_map(|it| Some((it.system?, it.version, it.code_system)))
    }

    /// The value sets that a value set takes codes from: how it names them, and which they are.
    pub fn imports_of(
        &self,
        value_set: ValueSetId,
    ) -> impl Iterator<Item = (Text, Option<ValueSetId>)> {
        self.components_of(value_set)
            .iter()
            .flat_map(|component| component.imports.of(&self.terminology.imports))
            .map(|import| (import.canonical, import.value_set))
    }

    /// The version of its code system that a value set takes a code from: which it is, and the
    /// version that the value set asks for. `None` if no include is known to have the code.
    pub fn included_from(
        &self,
        value_set: ValueSetId,
        question: &Question<'_>,
    ) -> Option<(Option<CodeSystemId>, Option<Text>)> {
        let includes = self.components_of(value_set).iter();
        let mut includes = includes.filter(|component| {
            !component.is_exclude
                && self.component_answer(component, question, true) == Membership::Member
        });
        let component = includes.next()?;
        if component.system.is_some() {
            return Some((component.code_system, component.version));
        }
        let imports = component.imports.of(&self.terminology.imports).iter();
        let mut imports = imports.filter_map(|import| import.value_set);
        imports.find_map(|import| self.included_from(import, question))
    }

    /// Whether a code is in a value set, abstract concepts and grammars left out of account.
    pub fn membership(
        &self,
        value_set: ValueSetId,
        system: Option<&str>,
        code: &str,
    ) -> Membership {
        let question = Question {
            system,
            version: None,
            code,
            admits_abstract: false,
            grammars: None,
        };
        self.answer(value_set, &question)
    }

    /// Whether a code is in a value set.
    pub fn answer(&self, value_set: ValueSetId, question: &Question<'_>) -> Membership {
        let components = self.components_of(value_set);
        if components.is_empty() {
            return Membership::Unknown(Reason::ValueSetNotHere);
        }
        let any = |is_exclude: bool| {
            let components = components.iter();
            let those = components.filter(move |component| component.is_exclude == is_exclude);
            let admits_inactive = self.value_set_of(value_set).admits_inactive != Some(false);
            Membership::any(those.map(move |component| {
                self.component_answer(component, question, admits_inactive || is_exclude)
            }))
        };
        match any(false) {
            Membership::NotMember => Membership::NotMember,
            included => included.without(any(true)),
        }
    }

    fn component_answer(
        &self,
        component: &Component,
        question: &Question<'_>,
        admits_inactive: bool,
    ) -> Membership {
        let own = self.source_answer(component, question, admits_inactive);
        let imports = component.imports.of(&self.terminology.imports);
        let imported = |import: &Import| match import.value_set {
            Some(value_set) => self.answer(value_set, question),
            None => Membership::Unknown(import.reason()),
        };
        imports
            .iter()
            .fold(own, |found, import| found.and(|| imported(import)))
    }

    fn source_answer(
        &self,
        component: &Component,
        question: &Question<'_>,
        admits_inactive: bool,
    ) -> Membership {
        let Some(system) = component.system else {
            return Membership::Member;
        };
        if question
            .system
            .is_some_and(|wanted| self.text(system) != wanted)
        {
            return Membership::NotMember;
        }
        if let Some(wanted) = question.version
            && !self.is_of_version(component, wanted)
        {
            return Membership::NotMember;
        }
        let concept = || self.component_concept(component, question.code);
        let is_admitted = |concept: &Concept| {
            (question.admits_abstract || !concept.is_abstract)
                && (admits_inactive || !concept.is_inactive)
        };
        let found = match component.source {
            Source::None => true,
            Source::Listed(listed) => {
                self.is_listed(component, listed, question.code)
                    && (admits_inactive
                        || concept().is_none_or(|id| is_admitted(self.concept_of(id))))
            }
            Source::System => concept().is_some_and(|id| is_admitted(self.concept_of(id))),
            Source::Filtered(runs) => concept()
                .is_some_and(|id| self.is_in_runs(runs, id) && is_admitted(self.concept_of(id))),
        };
        match component.unknown.filter(|_| !found) {
            None => found.into(),
            Some(reason) => self.grammar_answer(component, system, question, reason),
        }
    }

    /// What is not enumerated here may be known to others, but for filters.
    fn grammar_answer(
        &self,
        component: &Component,
        system: Text,
        question: &Question<'_>,
        reason: Reason,
    ) -> Membership {
        let known = question
            .grammars
            .filter(|_| component.source == Source::System)
            .and_then(|knows| knows(self.text(system), question.code));
        known.map_or(Membership::Unknown(reason), Membership::from)
    }

    /// Whether a component draws from this version of its system.
    fn is_of_version(&self, component: &Component, wanted: &str) -> bool {
        let here = component.code_system.map(|id| self.code_system_of(id));
        let version = here.and_then(|system| system.version).or(component.version);
        version.is_none_or(|version| is_version(self.text(version), wanted))
    }

    fn component_concept(&self, component: &Component, code: &str) -> Option<ConceptId> {
        self.concept_id(self.code_system_of(component.code_system?), code)
    }

    fn is_in_runs(&self, runs: Span, concept: ConceptId) -> bool {
        let runs = runs.of(&self.terminology.runs);
        let at = runs.partition_point(|(_, end)| *end <= concept.0);
        runs.get(at).is_some_and(|(start, _)| *start <= concept.0)
    }

    fn is_listed(&self, component: &Component, listed: Span, code: &str) -> bool {
        let tables = &self.terminology;
        let code_of = |row: &u32| tables.listed.get(*row as usize).map(|member| member.code);
        let exact = self.find_text(code).is_some_and(|code| {
            listed
                .of(&tables.listed_by_code)
                .binary_search_by(|row| code_of(row).cmp(&Some(code)))
                .is_ok()
        });
        exact || (self.ignores_case(component) && self.is_listed_folded(listed, code))
    }

    fn ignores_case(&self, component: &Component) -> bool {
        let here = component.code_system.map(|id| self.code_system_of(id));
        here.is_some_and(|system| !system.is_case_sensitive)
    }

    fn is_listed_folded(&self, listed: Span, code: &str) -> bool {
        let mut listed = listed.of(&self.terminology.listed).iter();
        listed.any(|it| compare_folded(self.text(it.code), code).is_eq())
    }

    /// The known codes of a value set that can be used, in the order of its definition, each with
    /// its system.
    pub fn members(&self, value_set: ValueSetId) -> impl Iterator<Item = (Text, Member)> {
        self.members_with_abstract(value_set)
            .filter(|(_, member)| member.is_listed || !self.is_abstract(member))
    }

    /// The known codes of a value set, those included that only group others.
    pub fn members_with_abstract(
        &self,
        value_set: ValueSetId,
    ) -> Box<dyn Iterator<Item = (Text, Member)> + '_> {
        let components = self.components_of(value_set);
        let has_excludes = components.iter().any(|component| component.is_exclude);
        let admits_inactive = self.value_set_of(value_set).admits_inactive != Some(false);
        let includes = components.iter().filter(|component| !component.is_exclude);
        Box::new(includes.enumerate().flat_map(move |(at, component)| {
            let earlier = components.get(..at).unwrap_or_default();
            self.component_members(component)
                .filter(move |(system, member)| {
                    let is_refused = !admits_inactive && self.is_inactive(member);
                    let is_excluded =
                        || has_excludes && self.is_in_any(components, true, *system, member);
                    let is_listed_before = || self.is_in_any(earlier, false, *system, member);
                    !is_refused && !is_listed_before() && !is_excluded()
                })
        }))
    }

    /// The displays and designations that a value set itself gives for a code, wherever it lists it.
    pub fn listed_displays(
        &self,
        value_set: ValueSetId,
        system: Option<&str>,
        code: &str,
    ) -> impl Iterator<Item = Text> {
        let tables = &self.terminology;
        let code = self.find_text(code);
        let lists = self.components_of(value_set).iter().filter(move |it| {
            let own = it.system.map(|own| self.text(own));
            !it.is_exclude && (system.is_none() || own == system)
        });
        let listed = lists.flat_map(move |component| match component.source {
            Source::Listed(listed) => listed.of(&tables.listed),
            _ => &[],
        });
        listed
            .filter(move |it| Some(it.code) == code)
            .flat_map(|it| {
                let designations = it.designations.of(&tables.designations).iter();
                it.display
                    .into_iter()
                    .chain(designations.map(|it| it.value))
            })
    }

    /// Other texts that a value set gives for a code that it lists.
    pub fn member_designations(&self, member: &Member) -> &[Designation] {
        member.designations.of(&self.terminology.designations)
    }

    fn is_abstract(&self, member: &Member) -> bool {
        let concept = member.concept.map(|id| self.concept_of(id));
        concept.is_some_and(|concept| concept.is_abstract)
    }

    fn is_inactive(&self, member: &Member) -> bool {
        let concept = member.concept.map(|id| self.concept_of(id));
        concept.is_some_and(|concept| concept.is_inactive)
    }

    /// Whether one of these components has a code, or may have it: a code that may be excluded is
    /// not listed.
    fn is_in_any(
        &self,
        components: &[Component],
        is_exclude: bool,
        system: Text,
        member: &Member,
    ) -> bool {
        let question = Question {
            system: Some(self.text(system)),
            version: None,
            code: self.text(member.code),
            admits_abstract: true,
            grammars: None,
        };
        components
            .iter()
            .filter(|component| component.is_exclude == is_exclude)
            .filter(|it| it.system.is_none_or(|own| own == system))
            .filter(|it| !is_other_version(self, it, member))
            .any(
                |component| match self.component_answer(component, &question, true) {
                    Membership::Member => true,
                    Membership::NotMember => false,
                    Membership::Unknown(_) => is_exclude,
                },
            )
    }

    /// The codes of one include: those of its system, or of the first value set that it names, as
    /// far as all others have them.
    fn component_members(
        &self,
        component: &Component,
    ) -> Box<dyn Iterator<Item = (Text, Member)> + '_> {
        let imports = component.imports.of(&self.terminology.imports);
        let (first, rest) = match (component.system, imports) {
            (Some(_), imports) => (self.source_members(component), imports),
            (None, [first, rest @ ..]) => {
                let members = first.value_set.map(|it| self.members_with_abstract(it));
                (
                    members.unwrap_or_else(|| Box::new(std::iter::empty())),
                    rest,
                )
            }
            (None, []) => return Box::new(std::iter::empty()),
        };
        Box::new(first.filter(move |(system, member)| {
            let question = Question {
                system: Some(self.text(*system)),
                version: None,
                code: self.text(member.code),
                admits_abstract: true,
                grammars: None,
            };
            rest.iter().all(|import| {
                let set = import.value_set;
                set.is_some_and(|set| self.answer(set, &question) == Membership::Member)
            })
        }))
    }

    fn source_members(
        &self,
        component: &Component,
    ) -> Box<dyn Iterator<Item = (Text, Member)> + '_> {
        let component = *component;
        let Some(system) = component.system else {
            return Box::new(std::iter::empty());
        };
        let code_system = component.code_system;
        let of_concept = move |id: ConceptId| {
            let concept = self.concept_of(id);
            let member = Member {
                code: concept.code,
                display: concept.display,
                concept: Some(id),
                code_system,
                version: component.version,
                is_listed: false,
                designations: Span::default(),
            };
            (system, member)
        };
        match component.source {
            Source::None => Box::new(std::iter::empty()),
            Source::System => {
                let ids = code_system.map(|id| self.concept_ids(self.code_system_of(id)));
                Box::new(ids.into_iter().flatten().map(of_concept))
            }
            Source::Filtered(runs) => {
                let runs = runs.of(&self.terminology.runs).iter();
                let rows = runs.flat_map(|(start, end)| *start..*end);
                Box::new(rows.map(ConceptId).map(of_concept))
            }
            Source::Listed(listed) => {
                let listed = listed.of(&self.terminology.listed).iter();
                Box::new(listed.map(move |it| (system, self.listed_member(&component, it))))
            }
        }
    }

    fn listed_member(&self, component: &Component, listed: &Listed) -> Member {
        let concept = self.component_concept(component, self.text(listed.code));
        let display = || self.concept_of(concept?).display;
        Member {
            code: listed.code,
            display: listed.display.or_else(display),
            concept,
            code_system: component.code_system,
            version: component.version,
            is_listed: true,
            designations: listed.designations,
        }
    }

    pub(crate) fn components_of(&self, value_set: ValueSetId) -> &[Component] {
        self.value_set_of(value_set)
            .components()
            .of(&self.terminology.components)
    }
}

impl ValueSet {
    /// What it is answered from.
    pub(crate) fn components(&self) -> Span {
        if self.is_expanded {
            self.expansion
        } else {
            self.composition
        }
    }
}

/// Whether a component draws from another version of its system than a code is of.
fn is_other_version(definitions: &Definitions, component: &Component, member: &Member) -> bool {
    if let (Some(own), Some(theirs)) = (component.code_system, member.code_system) {
        return own != theirs;
    }
    let version = component.version.zip(member.version);
    version.is_some_and(|(own, theirs)| definitions.text(own) != definitions.text(theirs))
}
