//! Invariants: `ElementDefinition.constraint`, a rule in `FHIRPath` and in words.
//!
//! This file chooses which constraints are evaluated where, and words what comes of it. Evaluation
//! itself is behind [`Invariants`]: it needs an engine for `FHIRPath`, which compiles an expression
//! once and finds it again by the number of its constraint.
//! <https://hl7.org/fhir/R4/conformance-rules.html#constraints>

use std::fmt;

use fhir_model::definition::{ConstraintId, Definitions, ElementId, Severity as Weight, TypeId};
use fhir_model::element::Element;
use fhir_model::issue::{IssueType, Severity};

use crate::finding::{About, Finding};
use crate::walk::Walk;

/// Evaluates the expressions of constraints.
pub trait Invariants: fmt::Debug + Send + Sync {
    /// Whether a constraint holds. Must answer for every constraint of the validator's
    /// definitions, within limits of its own.
    fn evaluate(&self, constraint: ConstraintId, focus: Focus<'_>) -> Outcome;
}

/// What an invariant is evaluated on.
#[derive(Clone, Copy, Debug)]
pub struct Focus<'a> {
    /// `$this` and `%context`.
    pub element: Element<'a>,
    /// The type of the element.
    pub type_id: TypeId,
    /// `%resource`: the resource that the element is of.
    pub resource: Element<'a>,
    /// `%rootResource`: the same, or the one that contains it.
    pub root: Element<'a>,
}

/// What became of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The constraint holds.
    Holds,
    /// It does not.
    Broken,
    /// It could not be evaluated: the expression is wrong or needs what is not here.
    Unknown,
}

/// Constraints that are checked without an expression, each with where that is.
const CHECKED_ELSEWHERE: &[(&str, &str)] = &[
    ("ele-1", "walk: what has neither value nor content"),
    ("ext-1", "extension: either a value or extensions"),
    (
        "ref-1",
        "reference_target: a contained target that is not there",
    ),
];

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
            && !CHECKED_ELSEWHERE.iter().any(|(other, _)| *other == key)
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
        let Some(invariants) = self.invariants.filter(|_| self.options.invariants) else {
            return;
        };
        let focus = Focus {
            element,
            type_id,
            resource: Element::of(self.resource),
            root: Element::of(self.container),
        };
        for constraint in constraints {
            match invariants.evaluate(*constraint, focus) {
                Outcome::Holds => {}
                Outcome::Broken => self.broken_invariant(element, *constraint),
                Outcome::Unknown => self.invariant_not_checked(element, *constraint),
            }
        }
    }

    fn broken_invariant(&mut self, element: Element<'a>, id: ConstraintId) {
        let constraint = self.definitions.constraint(id);
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

    fn invariant_not_checked(&mut self, element: Element<'a>, id: ConstraintId) {
        if !self.options.report_unchecked {
            return;
        }
        let constraint = self.definitions.constraint(id);
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
