//! The hierarchy of a code system: nesting, and the properties `parent`, `child` and `subsumedBy`.
//!
//! Standard: <https://hl7.org/fhir/R4/codesystem.html#hierachy>. Whether to be under a concept means
//! to be one ([`HierarchyMeaning`]) is for the caller to judge.

use std::collections::HashSet;

use super::{CodeSystem, Concept, ConceptId, HierarchyMeaning};
use crate::definition::Definitions;

impl CodeSystem {
    /// Whether a concept under another one is one of its kind, as far as the definition says.
    pub fn is_subsumption(&self) -> bool {
        matches!(self.hierarchy_meaning, None | Some(HierarchyMeaning::IsA))
    }
}

impl Definitions {
    /// The concepts right above one: that which it is nested in, then others.
    pub fn parent_concepts(&self, concept: ConceptId) -> impl Iterator<Item = ConceptId> {
        let up = self.concept_of(concept).up;
        let nested = (up > 0).then(|| ConceptId(concept.0 - up));
        let further = edges(&self.terminology.further_parents, concept);
        nested.into_iter().chain(further)
    }

    /// The concepts right under one: those nested in it, then others.
    pub fn child_concepts(&self, concept: ConceptId) -> impl Iterator<Item = ConceptId> {
        let end = concept.0 + self.concept_of(concept).below;
        let first = (concept.0 < end).then_some(concept.0 + 1);
        let next = move |row: &u32| {
            let next = row + 1 + self.concept_of(ConceptId(*row)).below;
            (next <= end).then_some(next)
        };
        std::iter::successors(first, next)
            .map(ConceptId)
            .chain(edges(&self.terminology.further_children, concept))
    }

    /// Whether a concept is above another one, at any distance; none is above itself.
    pub fn is_above(&self, ancestor: ConceptId, descendant: ConceptId) -> bool {
        let mut seen = HashSet::new();
        let mut pending: Vec<ConceptId> = self.parent_concepts(descendant).collect();
        while let Some(concept) = pending.pop() {
            if concept == ancestor {
                return true;
            }
            if seen.insert(concept) {
                pending.extend(self.parent_concepts(concept));
            }
        }
        false
    }

    /// Whether a concept has others under it.
    pub fn is_leaf(&self, concept: ConceptId) -> bool {
        self.child_concepts(concept).next().is_none()
    }
}

impl Concept {
    /// How many concepts are nested in this one, at all levels; they follow it.
    pub fn nested_count(&self) -> usize {
        self.below as usize
    }
}

/// The other ends of a concept's edges in a sorted table.
fn edges(table: &[(u32, u32)], concept: ConceptId) -> impl Iterator<Item = ConceptId> {
    let first = table.partition_point(|(from, _)| *from < concept.0);
    table
        .get(first..)
        .unwrap_or_default()
        .iter()
        .take_while(move |(from, _)| *from == concept.0)
        .map(|(_, to)| ConceptId(*to))
}
