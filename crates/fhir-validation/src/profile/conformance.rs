//! Whether a value satisfies a profile, where that is a question and not yet a demand: one of
//! several profiles of a type (<https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.type.profile>),
//! a slice by profile, the target of a reference, `conformsTo()`.
//!
//! What is found in such a trial is no issue. That nothing fits is one, and tells what is wrong by
//! the profile that comes nearest. Each answer is kept; a question that comes up while it is being
//! answered (two resources that refer to each other) is taken for answered with yes, and so is one
//! that is asked too deep within others.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use fhir_model::definition::{
    Definitions, Derivation, ElementId, ElementType, StructureId, TypeId, TypeKind,
};
use fhir_model::element::Element;
use fhir_model::issue::{IssueType, Severity};
use fhir_model::tree::{Node, NodeId, Tree};
use fhirpath::Item;

use crate::beside::Beside;
use crate::finding::{About, Finding, Findings, any_of, location};
use crate::profile::OneOf;
use crate::walk::Walk;

/// How many questions may be open within one another: a chain of references, each to be checked
/// with its target.
const OPEN_MAX: usize = 16;

/// More than the first few problems do not help to choose among profiles.
const TRIAL_ISSUES_MAX: usize = 20;

/// What was asked, and the answer; yes, while it is being worked out.
#[derive(Debug, Default)]
pub(crate) struct Conformance {
    answers: HashMap<(*const Tree, NodeId, StructureId), bool>,
    open: usize,
}

impl OneOf {
    /// The profiles that these types together demand. A type without profiles demands nothing, and
    /// neither does the definition of the type itself.
    pub(crate) fn compile<'d>(
        definitions: &Definitions,
        element_types: impl Iterator<Item = &'d ElementType> + Clone,
    ) -> Self {
        let is_free = |found: &ElementType| definitions.profiles(found).is_empty();
        if element_types.clone().any(is_free) {
            return Self::default();
        }
        let is_type = |structure: StructureId, type_id: TypeId| {
            let found = definitions.structure_of(structure);
            found.derivation != Some(Derivation::Constraint) && found.type_id == type_id
        };
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for found in element_types {
            for canonical in definitions.profiles(found) {
                match definitions.structure(definitions.text(*canonical)) {
                    Some(structure) if is_type(structure, found.type_id) => return Self::default(),
                    Some(structure) => known.push(structure),
                    None => unknown.push(*canonical),
                }
            }
        }
        Self {
            known: known.into_boxed_slice(),
            unknown: unknown.into_boxed_slice(),
        }
    }
}

impl<'a> Walk<'a> {
    /// A value of which one of some profiles is demanded.
    pub(crate) fn one_of(&mut self, value: Node<'a>, profiles: &OneOf, element: ElementId) {
        match (&*profiles.known, &*profiles.unknown) {
            ([], []) => {}
            ([only], []) if self.is_of_type_of(value, *only) => self.apply(value, *only),
            (known, []) => {
                if let Some(failure) = self.best_of(value, known) {
                    self.broken(value, IssueType::Structure, element, failure);
                }
            }
            (known, unknown) => {
                let fits = known.iter().any(|profile| self.satisfies(value, *profile));
                if !fits {
                    let unknown = unknown
                        .iter()
                        .map(|canonical| self.definitions.text(*canonical));
                    let text =
                        format!("Not checked: the profile {} is not loaded", any_of(unknown));
                    self.not_checked(value, element, text);
                }
            }
        }
    }

    /// Takes the first profile that the value satisfies, with the warnings that come with it. If
    /// there is none: why.
    fn best_of(&mut self, value: Node<'a>, profiles: &[StructureId]) -> Option<String> {
        let fitting = profiles
            .iter()
            .find(|profile| self.satisfies(value, **profile));
        match fitting {
            Some(profile) => {
                self.apply(value, *profile);
                None
            }
            None => Some(self.failure(value, profiles)),
        }
    }

    /// Why the target of a reference satisfies none of the profiles that are for its type.
    pub(crate) fn target_satisfies(
        &mut self,
        resource: Node<'a>,
        is_contained: bool,
        profiles: &[StructureId],
    ) -> Option<String> {
        self.within_target(resource, is_contained, |walk| {
            let fits = profiles
                .iter()
                .any(|profile| walk.satisfies(resource, *profile));
            (!fits).then(|| walk.failure(resource, profiles))
        })
    }

    /// Does something with a value; if it is a resource, as seen from there.
    pub(crate) fn within_value<T>(
        &mut self,
        value: Node<'a>,
        type_id: TypeId,
        action: impl FnOnce(&mut Self) -> T,
    ) -> T {
        if self.definitions.type_of(type_id).kind != TypeKind::Resource {
            return action(self);
        }
        let is_contained = value.name() == self.rules.known.names.contained;
        self.within_target(value, is_contained, action)
    }

    /// Does something with the resource that a reference leads to, as seen from there.
    pub(crate) fn within_target<T>(
        &mut self,
        resource: Node<'a>,
        is_contained: bool,
        action: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let outer = (
            self.container,
            self.resource.clone(),
            self.root.clone(),
            self.beside.clone(),
        );
        self.resource = Item::resource(Element::of(resource), self.definitions);
        if !is_contained {
            self.container = resource;
            self.root.clone_from(&self.resource);
        }
        if !std::ptr::eq(resource.tree(), outer.0.tree()) {
            self.beside = None::<Rc<Beside<'a>>>;
        }
        let result = action(self);
        (self.container, self.resource, self.root, self.beside) = outer;
        result
    }

    /// Whether a value satisfies a profile.
    pub(crate) fn satisfies(&mut self, value: Node<'a>, structure: StructureId) -> bool {
        let key = (std::ptr::from_ref(value.tree()), value.id(), structure);
        if let Some(answer) = self.conformance.answers.get(&key) {
            return *answer;
        }
        if self.conformance.open == OPEN_MAX {
            return true;
        }
        self.conformance.answers.insert(key, true);
        let answer = !self.trial(value, structure).has_errors();
        self.conformance.answers.insert(key, answer);
        answer
    }

    /// What there is to say of a value by a profile, without saying it.
    fn trial(&mut self, value: Node<'a>, structure: StructureId) -> Findings<'a> {
        let outer = std::mem::replace(&mut self.findings, Findings::new(TRIAL_ISSUES_MAX));
        let applied = std::mem::take(&mut self.applied);
        self.conformance.open += 1;
        if self.is_of_type_of(value, structure) {
            self.apply(value, structure);
        } else {
            self.other_type_than(value, structure);
        }
        self.conformance.open -= 1;
        self.applied = applied;
        std::mem::replace(&mut self.findings, outer)
    }

    /// Whether a resource is of the type that a profile is for; all else is.
    fn is_of_type_of(&self, value: Node<'a>, structure: StructureId) -> bool {
        let wanted = self.definitions.structure_of(structure).type_id;
        self.definitions.type_of(wanted).kind != TypeKind::Resource
            || self
                .actual_type(value, wanted)
                .is_some_and(|actual| self.definitions.is_subtype_of(actual, wanted))
    }

    /// The type that a resource says it has; of what is no resource, that of its property.
    pub(crate) fn actual_type(&self, value: Node<'a>, type_id: TypeId) -> Option<TypeId> {
        if self.definitions.type_of(type_id).kind != TypeKind::Resource {
            return Some(type_id);
        }
        let name = value.get(self.rules.known.names.resource_type)?.as_str()?;
        self.definitions.resource_type(&name)
    }

    fn other_type_than(&mut self, value: Node<'a>, structure: StructureId) {
        let definitions = self.definitions;
        let structure = definitions.structure_of(structure);
        let text = format!(
            "it is for {}, and this is none",
            definitions.type_name(structure.type_id)
        );
        let rule = definitions.text(structure.url);
        self.findings.error(value, IssueType::Structure, rule, text);
    }

    /// Which profiles a value does not satisfy, and what is wrong by the nearest.
    fn failure(&mut self, value: Node<'a>, profiles: &[StructureId]) -> String {
        let definitions = self.definitions;
        let url = |profile: StructureId| definitions.text(definitions.structure_of(profile).url);
        // Within a trial nobody reads it.
        if self.conformance.open > 0 {
            return String::new();
        }
        let trials = profiles
            .iter()
            .map(|profile| (*profile, self.trial(value, *profile)));
        let Some((nearest, found)) = trials.min_by_key(|(_, found)| found.error_count()) else {
            return String::new();
        };
        let mut text = match profiles {
            [only] => format!("the profile {} is not satisfied", url(*only)),
            _ => format!(
                "none of the profiles {} is satisfied; the nearest is {}",
                any_of(profiles.iter().map(|profile| url(*profile))),
                url(nearest)
            ),
        };
        if let Some(first) = found.first_error() {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {}", first.text);
            if first.node != value && std::ptr::eq(first.node.tree(), value.tree()) {
                let _ = write!(text, " ({})", location(definitions, first.node));
            }
        }
        text
    }

    /// Says, as information, that a rule could not be checked on a value; once for all values.
    pub(crate) fn not_checked(&mut self, value: Node<'a>, element: ElementId, text: String) {
        if self.findings.is_said(&text) {
            return;
        }
        self.findings.push(Finding {
            node: value,
            severity: Severity::Information,
            code: IssueType::NotSupported,
            about: About::Rule,
            rule: self.rule_of(element),
            text,
        });
    }
}
