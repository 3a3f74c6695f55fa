//! How long the snapshots of a whole guide take.
//!
//! `cargo bench -p fhir-model --bench snapshot`. All profiles of US Core 6.1.0 are generated from
//! their differentials with an empty generator: without any snapshot of the guide, and with the
//! trees of core types still to be made. Parsing JSON is not measured.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints, and may panic"
)]

#[path = "../tests/snapshots/packages.rs"]
mod packages;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fhir_model::snapshot::Generator;
use packages::{Package, Packages, Stack, find};
use serde_json::Value;

const GUIDE: &str = "hl7.fhir.us.core-6.1.0";

/// What the guide builds on.
const OTHERS: &[&str] = &[
    "hl7.fhir.uv.extensions.r4-5.3.0-ballot-tc1",
    "hl7.fhir.uv.sdc-4.0.0-ballot",
    "hl7.fhir.r4.core-4.0.1",
];

/// The best of this many measurements counts: others use the machine too.
const RUNS: usize = 20;

fn main() {
    let Some(mut packages) = Packages::new() else {
        return;
    };
    let guide = Arc::new(without_snapshots(&packages.package(GUIDE)));
    let mut stack: Stack = vec![Arc::clone(&guide)];
    stack.extend(packages.stack(OTHERS));
    let best = (0..RUNS).map(|_| generate(&guide, &stack)).min();
    println!(
        "{GUIDE}: {} profiles in {:.1} ms",
        guide.structures.len(),
        best.unwrap_or_default().as_secs_f64() * 1_000.0
    );
}

fn generate(guide: &Package, stack: &Stack) -> Duration {
    let source = |canonical: &str| find(stack, canonical);
    let start = Instant::now();
    let mut generator = Generator::new(&source);
    for structure in &guide.structures {
        black_box(generator.generate(structure).unwrap());
    }
    start.elapsed()
}

fn without_snapshots(package: &Package) -> Package {
    let stripped = |structure: &Arc<Value>| {
        let mut structure = Value::clone(structure);
        if let Some(object) = structure.as_object_mut() {
            object.shift_remove("snapshot");
        }
        structure
    };
    Package::new(package.structures.iter().map(stripped).collect())
}
