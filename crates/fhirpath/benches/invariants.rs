//! How many invariants of the specification are evaluated in a second, on one thread.
//!
//! `cargo bench -p fhirpath --bench invariants`. All invariants of seven resource types, those of
//! their elements and data types among them, over the official examples of these types. Walking
//! to the elements is done before the clock runs; what is measured is evaluation alone, in the time
//! that the processor works for us, as others use the machine too. The yardstick of the same run is
//! a bare walk over all elements of the examples. Needs the official examples; prints what it left
//! out. Other engines are measured by `benches/foreign`.

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
        path.contains("/r4-spec/") && !path.ends_with('/')
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
    let each_ns = best(|| evaluate(&work, &walk.contexts)) / count(work.len());
    println!(
        "all: {each_ns:.0} ns each, {:.2} million evaluations/s",
        1e3 / each_ns
    );
    let elements: usize = trees.iter().map(|tree| visited(tree.element())).sum();
    let walk_ns = best(|| {
        for tree in &trees {
            black_box(visited(black_box(tree.element())));
        }
    });
    let element_ns = walk_ns / count(elements);
    println!(
        "yardstick: {element_ns:.1} ns for each of {elements} elements of a bare walk; \
         an evaluation is {:.1} of them",
        each_ns / element_ns
    );
}

/// How many elements there are below, each looked at.
fn visited(element: Element<'_>) -> usize {
    element.all_children().map(|child| 1 + visited(child)).sum()
}

/// The nanoseconds that the processor has worked for this thread; where the system does not say,
/// those on the wall.
fn worked_ns(start: Instant) -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let worked = schedule.and_then(|text| text.split(' ').next()?.parse().ok());
    worked.unwrap_or_else(|| start.elapsed().as_secs_f64() * 1e9)
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
            (once(|| evaluate(group, contexts)), group.len(), key)
        })
        .collect();
    rows.sort_by(|left, right| right.0.total_cmp(&left.0));
    for (all_ns, evaluations, key) in rows.iter().take(12) {
        let each_ns = all_ns / count(*evaluations);
        println!("{key:>8}: {evaluations:>6} evaluations, {each_ns:.0} ns each");
    }
}

/// The nanoseconds that work takes once, averaged over a short while.
fn once(work: impl Fn()) -> f64 {
    average(work, RUN / 20)
}

/// The nanoseconds that work takes once: the best of several averages.
fn best(work: impl Fn()) -> f64 {
    let averages = (0..RUNS).map(|_| average(&work, RUN));
    averages.fold(f64::INFINITY, f64::min)
}

fn average(work: impl Fn(), run: Duration) -> f64 {
    let start = Instant::now();
    let worked = worked_ns(start);
    let mut rounds = 0;
    while rounds == 0 || start.elapsed() < run {
        work();
        rounds += 1;
    }
    (worked_ns(start) - worked) / count(rounds)
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
