//! Rules of types that stand in the text of the specification, not in its definitions.
//!
//! Each type that has such rules has a row here and, mostly, a file of its own.

use std::fmt;

use fhir_model::definition::{Definitions, TypeId};
use fhir_model::tree::Node;

use crate::walk::Walk;

/// Holds an instance of the right shape to such rules.
type Rule = for<'a> fn(&mut Walk<'a>, Node<'a>);

/// The types that have such rules.
const RULES: &[(&str, Rule)] = &[
    ("Attachment", |walk, node| walk.attachment(node)),
    ("Bundle", |walk, node| walk.bundle(node)),
    ("Narrative", |walk, node| walk.narrative(node)),
    ("Questionnaire", |walk, node| walk.questionnaire(node)),
    ("QuestionnaireResponse", |walk, node| {
        walk.questionnaire_response(node);
    }),
    ("SearchParameter", |walk, node| walk.search_parameter(node)),
    ("StructureDefinition", |walk, node| {
        walk.structure_definition(node);
    }),
    ("ValueSet", |walk, node| walk.value_set(node)),
];

/// The rules by the types of a set of definitions.
pub(crate) struct Beyond(Box<[Option<Rule>]>);

impl Beyond {
    pub(crate) fn new(definitions: &Definitions) -> Self {
        let mut rules: Box<[Option<Rule>]> = definitions.types().map(|_| None).collect();
        for (name, rule) in RULES {
            let type_id = definitions.type_named(name);
            if let Some(slot) = type_id.and_then(|type_id| rules.get_mut(type_id.index())) {
                *slot = Some(*rule);
            }
        }
        Self(rules)
    }
}

impl fmt::Debug for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = RULES.iter().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

impl<'a> Walk<'a> {
    /// An object of a type against the rules that the type has beyond its definition.
    #[inline]
    pub(crate) fn beyond(&mut self, object: Node<'a>, type_id: TypeId) {
        if let Some(Some(rule)) = self.rules.beyond.0.get(type_id.index()) {
            rule(self, object);
        }
    }
}
