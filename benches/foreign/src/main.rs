//! The FHIRPath engine of this repository beside another, on the same work in the same run.
//!
//! `BATON_SHARED_DATA=… cargo run --release --manifest-path benches/foreign/Cargo.toml`. The work is
//! that of `crates/fhirpath/benches/invariants.rs`: all invariants of seven resource types on each
//! element of their official examples. Both engines compile before the clock runs; the other one,
//! rh-fhirpath (MIT or Apache-2.0), is given its JSON values before too. What it cannot parse or
//! evaluate is left to neither, and counted. Needs the official examples of `tests/data`.

use std::collections::BTreeMap;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fhir_model::definition::{Builder, ConstraintId, Definitions, ElementId, TypeId};
use fhir_model::element::Element;
use fhir_model::tree::{Limits, Tree};
use fhirpath::{Context, Expression, Item};
use rh_fhirpath::{EvaluationContext, FhirPathEvaluator, FhirPathExpression, FhirPathParser};
use serde_json::Value;

/// The files of the R4 core package.
const FILES: [&str; 2] = [
    "r4-core-structures.ndjson.zst",
    "r4-core-terminology.ndjson.zst",
];

/// How long one measurement runs.
const RUN: Duration = Duration::from_millis(1000);

/// The best of this many measurements counts: others use the machine too.
const RUNS: usize = 5;

/// One evaluation to make.
struct Work<'t> {
    constraint: ConstraintId,
    element: Element<'t>,
    type_id: TypeId,
    /// The resource that it is in.
    resource: usize,
}

/// Collects what is to be evaluated.
struct Walk<'t> {
    definitions: &'t Definitions,
    work: Vec<Work<'t>>,
    resources: Vec<Item<'t>>,
}

fn main() {
    let definitions = definitions();
    let trees = trees(&definitions);
    let mut walk = Walk {
        definitions: &definitions,
        work: Vec::new(),
        resources: Vec::new(),
    };
    for tree in &trees {
        let item = Item::resource(tree.element(), &definitions).expect("an R4 resource");
        walk.resource(item);
    }
    let own = own(&walk);
    let parser = FhirPathParser::new();
    let evaluator = FhirPathEvaluator::new();
    let parsed: BTreeMap<ConstraintId, FhirPathExpression> = own
        .keys()
        .filter_map(|id| Some((*id, parser.parse(&text(&definitions, *id)).ok()?)))
        .collect();
    let contexts: Vec<Context<'_>> = walk
        .resources
        .iter()
        .map(|resource| Context {
            resource: Some(resource.clone()),
            ..Context::new(&definitions)
        })
        .collect();
    let resources: Vec<Value> = walk.resources.iter().map(|item| json(item, &definitions)).collect();
    let mut rows = Vec::new();
    let mut left_out = 0;
    for work in &walk.work {
        let Some(ours) = own.get(&work.constraint) else {
            continue;
        };
        let value = json(&Item::node(work.element, work.type_id), &definitions);
        let theirs_context =
            EvaluationContext::new(resources[work.resource].clone()).with_current(value);
        match parsed.get(&work.constraint) {
            Some(theirs) if evaluator.evaluate(theirs, &theirs_context).is_ok() => {
                rows.push((ours, work, theirs, theirs_context));
            }
            _ => left_out += 1,
        }
    }
    println!(
        "{} evaluations on {} examples; {left_out} more that the other engine cannot make",
        rows.len(),
        trees.len()
    );
    let ours = best(|| {
        for (expression, work, _, _) in &rows {
            let item = Item::node(work.element, work.type_id);
            let truth = expression.evaluate_bool(&contexts[work.resource], black_box(item));
            black_box(truth.expect("it was evaluated before"));
        }
    });
    let theirs = best(|| {
        for (_, _, expression, context) in &rows {
            black_box(evaluator.evaluate(expression, black_box(context)).is_ok());
        }
    });
    let rate = |ns: f64| rows.len() as f64 * 1e9 / ns;
    println!("ours:        {:>12.0} evaluations/s", rate(ours));
    println!("rh-fhirpath: {:>12.0} evaluations/s", rate(theirs));
    println!("ratio:       {:>12.1}", theirs / ours);
}

/// The definitions of the R4 core package.
fn definitions() -> Definitions {
    let folder = root().join("fhir-profiles/hl7.fhir.r4.core-4.0.1");
    let mut builder = Builder::new();
    for file in FILES {
        let file = File::open(folder.join(file)).expect("the package is part of the repository");
        let decoder = ruzstd::decoding::StreamingDecoder::new(file).expect("it is compressed");
        for line in BufReader::new(decoder).lines() {
            builder
                .add_json(&line.expect("it is text"))
                .expect("each line is a resource");
        }
    }
    builder.finish().0
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The official examples of the seven types.
fn trees(definitions: &Definitions) -> Vec<Tree> {
    let folder = root().join("tests/data/resources/r4-spec");
    let files = std::fs::read_dir(folder).expect("the examples are part of the repository");
    let files = files.map(|file| file.expect("it can be listed").path());
    files
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("it is text");
            Tree::parse(text, definitions.names(), &Limits::default()).expect("it is JSON")
        })
        .collect()
}

fn text(definitions: &Definitions, id: ConstraintId) -> String {
    let expression = definitions.constraint(id).expression;
    expression.map_or_else(String::new, |text| definitions.text(text).to_owned())
}

/// The invariants by our engine.
fn own(walk: &Walk<'_>) -> BTreeMap<ConstraintId, Expression> {
    let definitions = walk.definitions;
    walk.work
        .iter()
        .filter(|work| definitions.constraint(work.constraint).expression.is_some())
        .map(|work| {
            let text = text(definitions, work.constraint);
            let expression = Expression::compile(&text, definitions, None);
            (work.constraint, expression.expect("an invariant of R4"))
        })
        .collect()
}

fn json(item: &Item<'_>, definitions: &Definitions) -> Value {
    let mut text = String::new();
    item.write_json(definitions, &mut text);
    serde_json::from_str(&text).expect("it was JSON")
}

/// The nanoseconds that the processor has worked for this thread; where the system does not say,
/// those on the wall.
fn worked_ns(start: Instant) -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let worked = schedule.and_then(|text| text.split(' ').next()?.parse().ok());
    worked.unwrap_or_else(|| start.elapsed().as_secs_f64() * 1e9)
}

/// The nanoseconds that work takes once: the best of several averages.
fn best(work: impl Fn()) -> f64 {
    let average = |_| {
        let start = Instant::now();
        let worked = worked_ns(start);
        let mut rounds = 0.0;
        while start.elapsed() < RUN {
            work();
            rounds += 1.0;
        }
        (worked_ns(start) - worked) / rounds
    };
    (0..RUNS).map(average).fold(f64::INFINITY, f64::min)
}

impl<'t> Walk<'t> {
    fn resource(&mut self, resource: Item<'t>) {
        let Item::Node { element, type_id } = resource else {
            return;
        };
        let place = self.resources.len();
        self.resources.push(resource);
        let own = self.definitions.type_of(type_id).element;
        self.constraints(element, type_id, own, place);
        self.children(element, type_id, place);
    }

    fn children(&mut self, element: Element<'t>, type_id: TypeId, place: usize) {
        for child in element.all_children() {
            let Some(property) = self.definitions.property(type_id, child.name()) else {
                continue;
            };
            if let Some(inner) = Item::resource(child, self.definitions) {
                self.resource(inner);
                continue;
            }
            self.constraints(child, property.type_id, Some(property.element), place);
            self.children(child, property.type_id, place);
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
