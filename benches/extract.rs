//! Microseconds to take the search values out of an official example, by resource type; the first
//! time, when expressions are compiled, on average, and out of a resource with nothing in it.
//!
//! `cargo bench --bench extract`. The examples are not part of the repository;
//! `conformance/README.md` says where they come from. Parsing is not measured.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints what it measures and may panic"
)]

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baton::definitions::embedded;
use baton::search::extract::Extractor;
use baton::search::value::SearchValues;
use fhir_model::reference::BaseUrl;
use fhir_model::tree::{Limits, Tree};
use flate2::read::GzDecoder;

/// The resource types that transitional care lives on.
const TYPES: &[&str] = &[
    "CarePlan",
    "Condition",
    "Encounter",
    "Observation",
    "Patient",
    "ServiceRequest",
    "Task",
];

/// How long each type is measured.
const MEASURED: Duration = Duration::from_millis(300);

fn main() {
    let definitions = embedded();
    let examples = examples();
    println!(
        "{:<16}{:>9}{:>9}{:>12}{:>12}{:>12}",
        "type", "examples", "values", "first us", "each us", "empty us"
    );
    for name in TYPES {
        let trees: Vec<Tree> = examples
            .iter()
            .filter(|(path, _)| path.contains(&format!("/{name}-")))
            .map(|(_, text)| {
                let text = text.as_str();
                Tree::parse(text, definitions.names(), &Limits::default()).unwrap()
            })
            .collect();
        let type_id = definitions.resource_type(name).unwrap();
        let extractor = Extractor::new(Arc::clone(&definitions), BaseUrl::new("http://localhost"));
        let empty = format!(r#"{{"resourceType":"{name}"}}"#);
        let empty = Tree::parse(empty, definitions.names(), &Limits::default()).unwrap();
        let once = || {
            let extracted = trees
                .iter()
                .map(|tree| extractor.extract(tree.element(), type_id));
            extracted
                .map(|extracted| count(&extracted.values))
                .sum::<usize>()
        };
        if trees.is_empty() {
            continue;
        }
        let started = Instant::now();
        let values = black_box(once());
        let first = started.elapsed();
        let each = measured(|| black_box(once())) / f64::from(u32::try_from(trees.len()).unwrap());
        let nothing = measured(|| count(&extractor.extract(empty.element(), type_id).values));
        println!(
            "{name:<16}{:>9}{values:>9}{:>12.1}{each:>12.2}{nothing:>12.2}",
            trees.len(),
            first.as_secs_f64() * 1e6,
        );
    }
}

/// Microseconds that something takes.
fn measured(mut what: impl FnMut() -> usize) -> f64 {
    let started = Instant::now();
    let mut rounds = 0_u32;
    while started.elapsed() < MEASURED {
        black_box(what());
        rounds += 1;
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
}

fn count(values: &SearchValues) -> usize {
    values.tokens.len()
        + values.strings.len()
        + values.dates.len()
        + values.references.len()
        + values.quantities.len()
        + values.numbers.len()
        + values.uris.len()
}

/// The examples of the specification by name; none where they are not at hand.
fn examples() -> Vec<(String, String)> {
    #[expect(clippy::disallowed_methods, reason = "where the data to measure are")]
    let folder = std::env::var("BATON_SHARED_DATA").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let Ok(archive) = File::open(folder.join("tests/ig-examples.tgz")) else {
        println!("The examples of the specification are not at hand.");
        return Vec::new();
    };
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let mut examples = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if path.contains("/r4-spec/") {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            examples.push((path, text));
        }
    }
    examples
}
