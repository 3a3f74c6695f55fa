//! Which concepts of a code system pass the filters of a value set.
//!
//! Standard: <https://hl7.org/fhir/R4/valueset.html#compositions> and the value set
//! `filter-operator`; `child-of` and `descendent-leaf` are R5's. Where a filter needs more than the
//! code system says, nothing is claimed.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};

use crate::definition::terminology::value_set::Filter;
use crate::definition::terminology::{CodeSystem, CodeSystemId, ConceptId, PropertyDefinition};
use crate::definition::{Definitions, Text};

/// How large a compiled regular expression may get.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Properties that a concept of any code system may have.
const COMMON_PROPERTIES: &[&str] = &[
    "concept",
    "code",
    "display",
    "definition",
    "parent",
    "child",
    "inactive",
    "notSelectable",
    "status",
];

/// What separates the codes of `in` and `not-in`.
const LIST_SEPARATOR: char = ',';

/// Runs of concepts that pass all filters: the first row and that past the last. `None` if that
/// cannot be said.
pub(super) fn runs(
    definitions: &Definitions,
    code_system: CodeSystemId,
    filters: &[Filter],
) -> Option<Vec<(u32, u32)>> {
    let code_system = definitions.code_system_of(code_system);
    let tests: Option<Vec<Test<'_>>> = filters
        .iter()
        .map(|filter| Test::new(definitions, code_system, filter))
        .collect();
    let tests = tests?;
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for id in definitions.concept_ids(code_system) {
        if !tests.iter().all(|test| test.passes(definitions, id)) {
            continue;
        }
        match runs.last_mut() {
            Some((_, end)) if *end == id.0 => *end += 1,
            _ => runs.push((id.0, id.0 + 1)),
        }
    }
    Some(runs)
}

/// A filter that can be held against concepts.
enum Test<'a> {
    /// One of these concepts.
    Among(BTreeSet<ConceptId>),
    /// None of these concepts.
    NotAmong(BTreeSet<ConceptId>),
    /// The property has one of these values.
    Equals(Name<'a>, Vec<&'a str>),
    /// The property has none of these values.
    Differs(Name<'a>, Vec<&'a str>),
    /// The property has a value that matches as a whole.
    Matches(Name<'a>, Box<Regex>),
    /// The property has a value, or has none.
    Exists(Name<'a>, bool),
}

/// A property by the code that a value set uses, and as the code system declares it.
struct Name<'a> {
    code: &'a str,
    declared: Option<Text>,
}

impl<'a> Test<'a> {
    fn new(
        definitions: &'a Definitions,
        code_system: &CodeSystem,
        filter: &Filter,
    ) -> Option<Self> {
        let property = definitions.text(filter.property?);
        let value = definitions.text(filter.value?);
        let operator = definitions.text(filter.operator?);
        if let Some(test) = Self::by_hierarchy(definitions, code_system, operator, value) {
            return matches!(property, "concept" | "code").then_some(test);
        }
        let name = Name::new(definitions, code_system, property)?;
        let list = || {
            value
                .split(LIST_SEPARATOR)
                .map(str::trim)
                .collect::<Vec<_>>()
        };
        match operator {
            "=" => Some(Self::Equals(name, vec![value])),
            "in" => Some(Self::Equals(name, list())),
            "not-in" => Some(Self::Differs(name, list())),
            "regex" => Some(Self::Matches(name, Box::new(whole(value)?))),
            "exists" => Some(Self::Exists(name, value == "true")),
            _ => None,
        }
    }

    fn by_hierarchy(
        definitions: &Definitions,
        code_system: &CodeSystem,
        operator: &str,
        value: &str,
    ) -> Option<Self> {
        let root = definitions.concept_id(code_system, value);
        let below = || root.map(|root| descendants(definitions, root));
        let with_root = |mut found: BTreeSet<ConceptId>| {
            found.extend(root);
            found
        };
        match operator {
            "is-a" => Some(Self::Among(with_root(below().unwrap_or_default()))),
            "descendent-of" => Some(Self::Among(below().unwrap_or_default())),
            "is-not-a" => Some(Self::NotAmong(with_root(below().unwrap_or_default()))),
            "generalizes" => {
                let above = root.map(|root| ancestors(definitions, root));
                Some(Self::Among(with_root(above.unwrap_or_default())))
            }
            "child-of" => {
                let children = root.map(|root| definitions.child_concepts(root).collect());
                Some(Self::Among(children.unwrap_or_default()))
            }
            "descendent-leaf" => {
                let mut found = below().unwrap_or_default();
                found.retain(|concept| definitions.is_leaf(*concept));
                Some(Self::Among(found))
            }
            _ => None,
        }
    }

    fn passes(&self, definitions: &Definitions, id: ConceptId) -> bool {
        match self {
            Self::Among(found) => found.contains(&id),
            Self::NotAmong(found) => !found.contains(&id),
            Self::Equals(name, wanted) => name.any(definitions, id, |it| wanted.contains(&it)),
            Self::Differs(name, other) => !name.any(definitions, id, |it| other.contains(&it)),
            Self::Matches(name, pattern) => name.any(definitions, id, |it| pattern.is_match(it)),
            Self::Exists(name, expected) => name.any(definitions, id, |_| true) == *expected,
        }
    }
}

/// A regular expression that matches a value as a whole.
fn whole(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .ok()
}

impl<'a> Name<'a> {
    /// `None` if concepts of the code system cannot have such a property.
    fn new(definitions: &Definitions, code_system: &CodeSystem, code: &'a str) -> Option<Self> {
        let declared = definitions.property_definitions(code_system);
        let means = |it: &&PropertyDefinition| {
            definitions.text(it.code) == code
                || it
                    .uri
                    .is_some_and(|uri| definitions.text(uri).rsplit('#').next() == Some(code))
        };
        let declared = declared.iter().find(means).map(|found| found.code);
        let is_used = || {
            let concepts = definitions.concepts(code_system).iter();
            let mut properties = concepts.flat_map(|it| definitions.concept_properties(it));
            properties.any(|property| definitions.text(property.code) == code)
        };
        let is_known = COMMON_PROPERTIES.contains(&code) || declared.is_some() || is_used();
        is_known.then_some(Self { code, declared })
    }

    /// Whether a value of this property of a concept satisfies the condition.
    fn any(&self, definitions: &Definitions, id: ConceptId, holds: impl Fn(&str) -> bool) -> bool {
        let concept = definitions.concept_of(id);
        let text = |text: Option<Text>| text.is_some_and(|text| holds(definitions.text(text)));
        let code_of = |id: ConceptId| holds(definitions.text(definitions.concept_of(id).code));
        let in_properties = || {
            definitions
                .concept_properties(concept)
                .iter()
                .filter(|it| {
                    Some(it.code) == self.declared || definitions.text(it.code) == self.code
                })
                .any(|property| holds(definitions.text(property.value)))
        };
        match self.code {
            "concept" | "code" => holds(definitions.text(concept.code)),
            "display" => text(concept.display),
            "definition" => text(concept.definition),
            "parent" => definitions.parent_concepts(id).any(code_of),
            "child" => definitions.child_concepts(id).any(code_of),
            "inactive" => holds(if concept.is_inactive { "true" } else { "false" }),
            _ => in_properties(),
        }
    }
}

/// The concepts under one.
fn descendants(definitions: &Definitions, root: ConceptId) -> BTreeSet<ConceptId> {
    reach(root, |concept| definitions.child_concepts(concept))
}

/// The concepts above one.
fn ancestors(definitions: &Definitions, root: ConceptId) -> BTreeSet<ConceptId> {
    reach(root, |concept| definitions.parent_concepts(concept))
}

/// All that is reached by steps; ends because each is stepped on once.
fn reach<I: Iterator<Item = ConceptId>>(
    from: ConceptId,
    steps: impl Fn(ConceptId) -> I,
) -> BTreeSet<ConceptId> {
    let mut found = BTreeSet::new();
    let mut pending = vec![from];
    while let Some(concept) = pending.pop() {
        pending.extend(steps(concept).filter(|next| found.insert(*next)));
    }
    found
}
