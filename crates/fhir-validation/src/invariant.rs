//! Invariants: `ElementDefinition.constraint`, a rule in `FHIRPath` and in words.
//! <https://hl7.org/fhir/R4/conformance-rules.html#constraints>
//!
//! An expression is compiled when it is first needed, and kept. One that cannot be compiled or
//! evaluated is never an error of the resource. Advice (`bestpractice`) is left out.

use std::sync::OnceLock;

use fhir_model::definition::{
    Constraint, ConstraintId, Definitions, ElementId, Severity as Weight, TypeId,
};
use fhir_model::element::Element;
use fhir_model::issue::{IssueType, Severity};
use fhirpath::{Context, Expression, Item};

use crate::finding::{About, Finding};
use crate::walk::Walk;

/// Constraints that are not evaluated, each with the reason.
const NOT_EVALUATED: &[(&str, &str)] = &[
    (
        "ele-1",
        "checked by the walk: what has neither value nor content",
    ),
    (
        "ext-1",
        "checked with extensions: either a value or extensions",
    ),
    (
        "ref-1",
        "checked with references: a contained target that is not there",
    ),
];

/// Constraints for which an empty result means that they are broken: `max.toInteger() > 0` for a
/// `max` that is no number.
///
/// Elsewhere what is empty is not known, and so no error: `start <= end` of `2026-03-02` and
/// `2026-03`, `fullUrl.contains('/_history/').not()` where there is no `fullUrl`.
const EMPTY_IS_BROKEN: &[&str] = &["eld-3", "md-1"];

/// The expressions of all constraints, compiled on demand.
#[derive(Debug)]
pub(crate) struct Expressions(Box<[OnceLock<Option<Expression>>]>);

impl Expressions {
    pub(crate) fn new(definitions: &Definitions) -> Self {
        Self(definitions.constraints().map(|_| OnceLock::new()).collect())
    }

    /// The expression of a constraint, compiled for the type that it is first met on; it can be
    /// evaluated on others as well.
    fn get(
        &self,
        definitions: &Definitions,
        id: ConstraintId,
        root: TypeId,
    ) -> Option<&Expression> {
        let compile = || {
            let text = definitions.constraint(id).expression?;
            Expression::compile(definitions.text(text), definitions, Some(root)).ok()
        };
        self.0.get(id.index())?.get_or_init(compile).as_ref()
    }
}

/// The constraints of an element that are evaluated there: those with an expression that are more
/// than advice, but for those that `elsewhere` lists.
pub(crate) fn constraints(
    definitions: &Definitions,
    element: ElementId,
    elsewhere: &[ElementId],
) -> Box<[ConstraintId]> {
    let of = |element: ElementId| definitions.constraints_of(definitions.element(element));
    let is_own = |id: &ConstraintId| !elsewhere.iter().any(|other| of(*other).contains(id));
    let is_evaluated = |id: &ConstraintId| {
        let constraint = definitions.constraint(*id);
        let key = definitions.text(constraint.key);
        constraint.expression.is_some()
            && !constraint.is_best_practice
            && !NOT_EVALUATED.iter().any(|(other, _)| *other == key)
    };
    of(element)
        .iter()
        .copied()
        .filter(|id| is_evaluated(id) && is_own(id))
        .collect()
}

impl<'a> Walk<'a> {
    /// The constraints of an element, if they are to be evaluated.
    pub(crate) fn invariants(
        &mut self,
        element: Element<'a>,
        type_id: TypeId,
        constraints: &[ConstraintId],
    ) {
        if constraints.is_empty() || !self.options.invariants {
            return;
        }
        let mut context = Context::new(self.definitions);
        context.resource.clone_from(&self.resource);
        context.root_resource.clone_from(&self.root);
        let item = Item::node(element, type_id);
        for id in constraints {
            let constraint = self.definitions.constraint(*id);
            let expression = self.rules.expressions.get(self.definitions, *id, type_id);
            let truth =
                expression.map(|expression| expression.evaluate_truth(&context, item.clone()));
            match truth {
                Some(Ok(Some(false))) => self.broken_invariant(element, constraint),
                Some(Ok(None)) if self.is_broken_if_empty(constraint) => {
                    self.broken_invariant(element, constraint);
                }
                Some(Ok(Some(true) | None)) => {}
                Some(Err(_)) | None => self.invariant_not_checked(element, constraint),
            }
        }
    }

    fn is_broken_if_empty(&self, constraint: &Constraint) -> bool {
        EMPTY_IS_BROKEN.contains(&self.definitions.text(constraint.key))
    }

    fn broken_invariant(&mut self, element: Element<'a>, constraint: &Constraint) {
        let severity = match constraint.severity {
            Weight::Error => Severity::Error,
            Weight::Warning => Severity::Warning,
        };
        self.findings.push_once(Finding {
            node: element.node(),
            severity,
            code: IssueType::Invariant,
            about: About::Rule,
            rule: self.definitions.text(constraint.key).to_owned(),
            text: self.definitions.text(constraint.human).to_owned(),
        });
    }

    fn invariant_not_checked(&mut self, element: Element<'a>, constraint: &Constraint) {
        if !self.options.report_unchecked {
            return;
        }
        self.findings.push_once(Finding {
            node: element.node(),
            severity: Severity::Information,
            code: IssueType::NotSupported,
            about: About::Rule,
            rule: self.definitions.text(constraint.key).to_owned(),
            text: format!("Not checked: {}", self.definitions.text(constraint.human)),
        });
    }
}
