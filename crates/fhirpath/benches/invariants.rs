//! How many invariants of the specification are evaluated in a second, on one thread.
//!
//! `cargo bench -p fhirpath --bench invariants`. All invariants of seven resource types, those of
//! their elements and data types among them, over the official examples of these types. Walking
//! to the elements is done before the clock runs; what is measured is evaluation alone. Needs the
//! official examples; prints what it left out.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints, and may panic"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use fhir_model::definition::{ConstraintId, Definitions, ElementId, TypeId};
use fhir_model::element::Element;
use fhir_model::tree::{Limits, Tree};
use fhirpath::{Context, Expression, Item};

#[path = "../../fhir-model/tests/support/r4_core.rs"]
mod r4_core;
#[path = "../tests/support/shared.rs"]
mod shared;

const TYPES: &[&str] = &[
    "Patient",
    "CarePlan",
    "Goal",
    "ServiceRequest",
    "Task",
    "QuestionnaireResponse",
    "Condition",
];

/// How long one measurement runs.
const RUN: Duration = Duration::from_millis(500);

/// The best of this many measurements counts: others use the machine too.
const RUNS: usize = 7;

/// One evaluation to make.
struct Work<'t> {
    constraint: ConstraintId,
    element: Element<'t>,
    type_id: TypeId,
    /// The resource that it is in.
    resource: usize,
}

fn main() {
    let Some(files) = shared::archive("ig-examples.tgz", |path| {
        path.contains("/r4-spec/") && path.ends_with(".json")
    }) else {
        return;
    };
    let definitions = r4_core::definitions();
    let trees: Vec<Tree> = files
        .into_iter()
        .map(|(_, text)| Tree::parse(text, definitions.names(), &Limits::default()).unwrap())
        .filter(|tree| TYPES.contains(&&*tree.resource_type().unwrap()))
        .collect();
    let mut walk = Walk {
        definitions: &definitions,
        work: Vec::new(),
        contexts: Vec::new(),
    };
    for tree in &trees {
        let item = Item::resource(tree.element(), &definitions).unwrap();
        walk.resource(&item, &item);
    }
    let expressions: BTreeMap<ConstraintId, Expression> = definitions
        .constraints()
        .filter_map(|(id, constraint)| {
            let text = definitions.text(constraint.expression?);
            Some((id, Expression::compile(text, &definitions, None).unwrap()))
        })
        .collect();
    let work: Vec<(&Expression, &Work<'_>)> = walk
        .work
        .iter()
        .filter_map(|work| Some((expressions.get(&work.constraint)?, work)))
        .collect();
    println!(
        "{} invariants on the elements of {} examples",
        work.len(),
        trees.len()
    );
    by_invariant(&work, &walk.contexts, &definitions);
    let seconds = best(&work, &walk.contexts);
    let each_ns = seconds * 1e9 / count(work.len());
    println!(
        "all: {each_ns:.0} ns each, {:.2} million evaluations/s",
        1e3 / each_ns
    );
}

/// What each invariant takes, those that take most in total first.
fn by_invariant(
    work: &[(&Expression, &Work<'_>)],
    contexts: &[Context<'_>],
    definitions: &Definitions,
) {
    let mut groups: BTreeMap<ConstraintId, Vec<(&Expression, &Work<'_>)>> = BTreeMap::new();
    for row in work {
        groups.entry(row.1.constraint).or_default().push(*row);
    }
    let mut rows: Vec<(f64, usize, &str)> = groups
        .iter()
        .map(|(id, group)| {
            let key = definitions.text(definitions.constraint(*id).key);
            (once(group, contexts), group.len(), key)
        })
        .collect();
    rows.sort_by(|left, right| right.0.total_cmp(&left.0));
    for (seconds, evaluations, key) in rows.iter().take(12) {
        let each_ns = seconds * 1e9 / count(*evaluations);
        println!("{key:>8}: {evaluations:>6} evaluations, {each_ns:.0} ns each");
    }
}

/// The seconds that all of it takes once, averaged over a short while.
fn once(work: &[(&Expression, &Work<'_>)], contexts: &[Context<'_>]) -> f64 {
    let start = Instant::now();
    let mut rounds = 0;
    while rounds == 0 || start.elapsed() < RUN / 20 {
        evaluate(work, contexts);
        rounds += 1;
    }
    start.elapsed().as_secs_f64() / count(rounds)
}

fn best(work: &[(&Expression, &Work<'_>)], contexts: &[Context<'_>]) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut rounds = 0;
        while start.elapsed() < RUN {
            evaluate(work, contexts);
            rounds += 1;
        }
        best = best.min(start.elapsed().as_secs_f64() / count(rounds));
    }
    best
}

fn evaluate(work: &[(&Expression, &Work<'_>)], contexts: &[Context<'_>]) {
    for (expression, work) in work {
        let item = Item::node(work.element, work.type_id);
        let context = contexts.get(work.resource).unwrap();
        black_box(expression.evaluate_bool(context, black_box(item)).unwrap());
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a measurement is not that exact"
)]
fn count(number: usize) -> f64 {
    number as f64
}

/// Collects what is to be evaluated.
struct Walk<'t> {
    definitions: &'t Definitions,
    work: Vec<Work<'t>>,
    contexts: Vec<Context<'t>>,
}

impl<'t> Walk<'t> {
    fn resource(&mut self, resource: &Item<'t>, root: &Item<'t>) {
        let Item::Node { element, type_id } = resource else {
            return;
        };
        let place = self.contexts.len();
        self.contexts.push(Context {
            resource: Some(resource.clone()),
            root_resource: Some(root.clone()),
            ..Context::new(self.definitions)
        });
        let own = self.definitions.type_of(*type_id).element;
        self.constraints(*element, *type_id, own, place);
        self.children(*element, *type_id, root, place);
    }

    fn children(&mut self, element: Element<'t>, type_id: TypeId, root: &Item<'t>, place: usize) {
        for child in element.all_children() {
            let Some(property) = self.definitions.property(type_id, child.name()) else {
                continue;
            };
            if let Some(inner) = Item::resource(child, self.definitions) {
                self.resource(&inner, root);
                continue;
            }
            self.constraints(child, property.type_id, Some(property.element), place);
            self.children(child, property.type_id, root, place);
        }
    }

    fn constraints(
        &mut self,
        element: Element<'t>,
        type_id: TypeId,
        definition: Option<ElementId>,
        resource: usize,
    ) {
        let Some(definition) = definition else { return };
        let definition = self.definitions.element(definition);
        for constraint in self.definitions.constraints_of(definition) {
            self.work.push(Work {
                constraint: *constraint,
                element,
                type_id,
                resource,
            });
        }
    }
}
