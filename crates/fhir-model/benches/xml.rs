//! How long it takes to make XML of a tree and JSON of XML, over the examples of the repository.
//!
//! `cargo bench -p fhir-model --bench xml`. Beside them stands the parse of the same resources as
//! JSON, which reading XML adds to: [`xml::parse`] is both.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints, and may panic"
)]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use fhir_model::tree::{Limits, Tree};
use fhir_model::xml;

#[path = "../tests/support/r4_core.rs"]
mod r4_core;

/// How long one measurement runs.
const RUN: Duration = Duration::from_millis(300);

/// The best of this many measurements counts: others use the machine too.
const RUNS: usize = 7;

fn main() {
    let definitions = r4_core::definitions();
    let limits = Limits::default();
    let texts = texts();
    let parse = |text: &String| Tree::parse(text.as_str(), definitions.names(), &limits).unwrap();
    let trees: Vec<Tree> = texts.iter().map(parse).collect();
    let documents: Vec<String> = trees
        .iter()
        .map(|tree| xml::from_tree(tree.root(), &definitions).unwrap())
        .collect();
    println!("{} examples, each:", texts.len());
    report("Tree::parse (JSON)", &texts, |text| {
        black_box(parse(black_box(text)));
    });
    report("xml::from_tree", &trees, |tree| {
        black_box(xml::from_tree(tree.root(), &definitions).unwrap());
    });
    report("xml::to_json", &documents, |document| {
        black_box(xml::to_json(black_box(document), &definitions).unwrap());
    });
    report("xml::parse", &documents, |document| {
        black_box(xml::parse(black_box(document), &definitions, &limits).unwrap());
    });
}

/// The examples of the repository, compact, as a server stores them.
fn texts() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/resources/r4-spec");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            value.to_string()
        })
        .collect()
}

fn report<T>(what: &str, inputs: &[T], work: impl Fn(&T)) {
    let best = (0..RUNS)
        .map(|_| seconds_each(inputs, &work))
        .fold(f64::INFINITY, f64::min);
    println!("  {what:20} {:8.2} µs", best * 1e6);
}

fn seconds_each<T>(inputs: &[T], work: impl Fn(&T)) -> f64 {
    let started = Instant::now();
    let mut times = 0_u32;
    while started.elapsed() < RUN {
        for input in inputs {
            work(input);
            times += 1;
        }
    }
    started.elapsed().as_secs_f64() / f64::from(times)
}
