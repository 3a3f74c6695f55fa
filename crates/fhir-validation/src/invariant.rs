//! Invariants: `ElementDefinition.constraint`, a rule in `FHIRPath` and in words.
//! <https://hl7.org/fhir/R4/conformance-rules.html#constraints>
//!
//! An expression is compiled when it is first needed, and kept. One that cannot be compiled or
//! evaluated is never an error of the resource, but it is said that it was not checked. Advice
//! (`bestpractice`) is left out, unless the options ask for it.

use std::sync::OnceLock;

use fhir_model::definition::{
    Constraint, ConstraintId, Definitions, ElementId, Severity as Weight, TypeId,
};
use fhir_model::element::Element;
use fhir_model::issue::{IssueType, Severity};
use fhirpath::{Expression, Item};

use crate::finding::{About, Finding};
use crate::surroundings::Surroundings;
use crate::walk::Walk;

/// Constraints that are not evaluated, each with the reason.
const NOT_EVALUATED: &[(&str, &str)] = &[
    (
        "dom-3",
        "checked with contained resources: that they are referred to",
    ),
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
    ("txt-1", "checked with narratives, to say what is wrong"),
    ("txt-2", "checked with narratives"),
];

/// Constraints for which an empty result means that they are broken: `max.toInteger() > 0` for a
/// `max` that is no number.
///
/// Elsewhere what is empty is not known, and so no error: `start <= end` of `2026-03-02` and
/// `2026-03`, `fullUrl.contains('/_history/').not()` where there is no `fullUrl`.
const EMPTY_IS_BROKEN: &[&str] = &["eld-3", "md-1"];

/// As many constraints are evaluated at once: a bit for each.
const VERDICTS_MAX: usize = 64;

/// What became of some constraints, by their place in the list.
#[derive(Default)]
struct Verdicts {
    broken: u64,
    not_checked: u64,
}

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

/// The constraints of an element that are evaluated there: those with an expression, but for
/// those that `elsewhere` lists. A snapshot may repeat them in other words.
pub(crate) fn constraints(
    definitions: &Definitions,
    element: ElementId,
    elsewhere: &[ElementId],
) -> Box<[ConstraintId]> {
    let of = |element: ElementId| definitions.constraints_of(definitions.element(element));
    let is_same = |id: &ConstraintId, other: &ConstraintId| {
        let (one, other) = (definitions.constraint(*id), definitions.constraint(*other));
        one.key == other.key && (one.expression == other.expression || one.source == other.source)
    };
    let is_own = |id: &ConstraintId| {
        let mut others = elsewhere.iter().flat_map(|other| of(*other));
        !others.any(|other| id == other || is_same(id, other))
    };
    let is_evaluated = |id: &ConstraintId| {
        let constraint = definitions.constraint(*id);
        let key = definitions.text(constraint.key);
        constraint.expression.is_some() && !NOT_EVALUATED.iter().any(|(other, _)| *other == key)
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
        for some in constraints.chunks(VERDICTS_MAX) {
            let verdicts = self.verdicts(element, type_id, some);
            if verdicts.broken | verdicts.not_checked != 0 {
                self.tell(element, some, &verdicts);
            }
        }
    }

    /// Evaluates constraints; nothing is said yet, because they look at all that was said.
    fn verdicts(
        &self,
        element: Element<'a>,
        type_id: TypeId,
        constraints: &[ConstraintId],
    ) -> Verdicts {
        let surroundings = Surroundings(self);
        let context = self.expression_context(&surroundings);
        let item = Item::node(element, type_id);
        let mut verdicts = Verdicts::default();
        for (at, id) in constraints.iter().enumerate() {
            let constraint = self.definitions.constraint(*id);
            if constraint.is_best_practice && !self.options.best_practice {
                continue;
            }
            let expression = self.rules.expressions.get(self.definitions, *id, type_id);
            let truth =
                expression.map(|expression| expression.evaluate_truth(&context, item.clone()));
            match truth {
                Some(Ok(Some(false))) => verdicts.broken |= 1 << at,
                Some(Ok(None)) if self.is_broken_if_empty(constraint) => verdicts.broken |= 1 << at,
                Some(Ok(Some(true) | None)) => {}
                Some(Err(_)) | None => verdicts.not_checked |= 1 << at,
            }
        }
        verdicts
    }

    fn tell(&mut self, element: Element<'a>, constraints: &[ConstraintId], verdicts: &Verdicts) {
        for (at, id) in constraints.iter().enumerate() {
            let constraint = self.definitions.constraint(*id);
            if verdicts.broken & (1 << at) != 0 {
                self.broken_invariant(element, constraint);
            } else if verdicts.not_checked & (1 << at) != 0 {
                self.invariant_not_checked(element, constraint);
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
        let key = self.definitions.text(constraint.key);
        let text = format!(
            "Not checked, as the expression of {key} cannot be evaluated: {}",
            self.definitions.text(constraint.human)
        );
        // A constraint that cannot be evaluated is named once, however many elements have it.
        if self.findings.is_said(&text) {
            return;
        }
        self.findings.push_once(Finding {
            node: element.node(),
            severity: Severity::Information,
            code: IssueType::NotSupported,
            about: About::Rule,
            rule: key.to_owned(),
            text,
        });
    }
}
