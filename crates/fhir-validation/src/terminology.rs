//! Codes in expressions: `memberOf()` and `subsumes()` of invariants.
//! <https://hl7.org/fhir/R4/fhirpath.html#functions>

use std::borrow::Cow;

use fhir_model::definition::{CodeSystemId, ConceptId};
use fhir_model::tree::Node;
use fhir_terminology::subsumes::relation;
use fhir_terminology::{Coded, Verdict};
use fhirpath::{Item, Terminology};

use crate::coded::{Answer, Set};
use crate::rules::CodedForm;
use crate::surroundings::Surroundings;

impl Terminology for Surroundings<'_, '_> {
    fn member_of(&self, item: &Item<'_>, value_set: &str) -> Option<bool> {
        let walk = self.0;
        let value_set = walk.definitions.value_set(value_set)?;
        let answer = if let Some((node, form)) = self.form(item) {
            walk.ask(node, form, Set::Loaded(value_set))
        } else {
            let code = code_of(item)?;
            let coded = Coded {
                code: &code,
                ..Coded::default()
            };
            Answer::Code(walk.verdict(Set::Loaded(value_set), &coded))
        };
        match answer {
            Answer::Code(Verdict::Member(_)) => Some(true),
            Answer::Code(Verdict::NotChecked(_)) => None,
            Answer::Code(_) | Answer::Missing | Answer::Excused => Some(false),
        }
    }

    /// Whether one of the first codes is above, or is, one of the second.
    fn subsumes(&self, ancestor: &Item<'_>, descendant: &Item<'_>) -> Option<bool> {
        let (ancestors, descendants) = (self.concepts(ancestor)?, self.concepts(descendant)?);
        let definitions = self.0.definitions;
        let is_above = |(system, first): &(CodeSystemId, ConceptId)| {
            let code_system = definitions.code_system_of(*system);
            descendants
                .iter()
                .filter(|(other, _)| other == system)
                .map(|(_, second)| relation(definitions, code_system, *first, *second))
                .any(|relation| matches!(relation, "subsumes" | "equivalent"))
        };
        Some(ancestors.iter().any(is_above))
    }
}

/// A bare code.
fn code_of<'i>(item: &'i Item<'_>) -> Option<Cow<'i, str>> {
    match item {
        Item::String(text) => Some(Cow::Borrowed(text)),
        Item::Node { element, .. } => element.value_text(),
        _ => None,
    }
}

impl Surroundings<'_, '_> {
    /// The node of a Coding or `CodeableConcept`.
    fn form<'i>(&self, item: &Item<'i>) -> Option<(Node<'i>, CodedForm)> {
        let Item::Node { element, type_id } = item else {
            return None;
        };
        let walk = self.0;
        let form = walk.rules.known.coded_form(walk.definitions, *type_id)?;
        let node = element.value()?;
        Some((node, form)).filter(|_| form != CodedForm::Code)
    }

    /// The concepts that the codings of a value stand for. `None` if one cannot be found.
    fn concepts(&self, item: &Item<'_>) -> Option<Vec<(CodeSystemId, ConceptId)>> {
        let walk = self.0;
        let names = &walk.rules.known.names;
        let (node, form) = self.form(item)?;
        let concept = |coding: Node<'_>| {
            let system = coding.get(names.system).and_then(Node::as_str)?;
            let code = coding.get(names.code).and_then(Node::as_str)?;
            let id = walk.definitions.code_system_id(&system)?;
            let code_system = walk.definitions.code_system_of(id);
            Some((id, walk.definitions.concept_id(code_system, &code)?))
        };
        match form {
            CodedForm::CodeableConcept => {
                let codings = node.get(names.coding)?;
                codings.items().map(concept).collect()
            }
            _ => concept(node).map(|found| vec![found]),
        }
    }
}
