//! How long the validation of official examples takes, beside the parsing that comes before it.
//!
//! `cargo bench -p fhir-validation`. One resource after the other on one core; of each, the best
//! of several runs counts, because others use the machine too. Needs the shared data.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement prints, and may panic"
)]

#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use fhir_model::tree::{Limits, Tree};
use fhir_validation::{Level, Options, Validator};

use crate::support::{core, core_with_packages, examples, parse, quiet, validate};

/// The resource types of care management that Baton knows best.
const TYPES: &[&str] = &[
    "Patient",
    "RelatedPerson",
    "PlanDefinition",
    "CarePlan",
    "RiskAssessment",
    "ServiceRequest",
    "Task",
];

/// The profiles that the examples of US Core claim.
const US_CORE: &[&str] = &[
    "extensions-5.3.0-ballot-tc1.ndjson.zst",
    "us-core-6.1.0.ndjson.zst",
];

/// How often each resource is measured.
const RUNS: u32 = 15;

/// How often it is validated in one measurement.
const REPEATS: u32 = 20;

/// Entries of the Bundle.
const ENTRIES: usize = 1_000;

fn main() {
    let start = Instant::now();
    let validator = core();
    println!("definitions compiled in {:?}", start.elapsed());
    let all = examples("r4-spec/");
    println!(
        "type             examples   bytes   parse    base  invariants  profile   (median µs)"
    );
    let mut every = Vec::new();
    for type_name in TYPES {
        let prefix = format!("r4-spec/{type_name}-");
        let of_type = all.iter().filter(|(name, _)| name.starts_with(&prefix));
        let rows: Vec<Row> = of_type.map(|(_, json)| measure(validator, json)).collect();
        print(type_name, &rows);
        every.extend(rows);
    }
    print("all", &every);
    if let Some(validator) = core_with_packages(US_CORE) {
        let examples = examples("us-core-6.1.0/");
        let rows: Vec<Row> = examples
            .values()
            .map(|json| measure(&validator, json))
            .collect();
        print("US Core 6.1.0", &rows);
    }
    if !all.is_empty() {
        let options = quiet();
        let sound = |json: &&str| validate(validator, json, &options).is_empty();
        bundle(validator, all.values().map(String::as_str).filter(sound));
    }
}

/// Bytes, and microseconds of parsing, of validation against the base without and with
/// invariants, and against the profiles too.
type Row = [f64; 5];

fn measure(validator: &Validator, json: &str) -> Row {
    let names = validator.definitions().names();
    let limits = Limits::default();
    let tree = parse(validator, json);
    let resource_type = tree.resource_type().unwrap();
    let validate = |level, invariants| {
        let options = Options {
            level,
            invariants,
            ..Options::default()
        };
        move |tree: &Tree| validator.validate(tree.root(), &resource_type.clone(), &[], &options)
    };
    let base = validate.clone()(Level::Base, false);
    let invariants = validate.clone()(Level::Base, true);
    let profile = validate(Level::Profile, true);
    [
        f64::from(u32::try_from(json.len()).unwrap()),
        best(|| Tree::parse(black_box(json.as_bytes()), names, &limits)),
        best(|| base(black_box(&tree))),
        best(|| invariants(black_box(&tree))),
        best(|| profile(black_box(&tree))),
    ]
}

/// The least time that one call takes, in microseconds.
fn best<T>(call: impl Fn() -> T) -> f64 {
    let run = |_| {
        let start = Instant::now();
        for _ in 0..REPEATS {
            black_box(call());
        }
        start.elapsed() / REPEATS
    };
    let least = (0..RUNS).map(run).min().unwrap_or(Duration::ZERO);
    least.as_secs_f64() * 1e6
}

fn print(title: &str, rows: &[Row]) {
    let median = |column: usize| {
        let mut values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    println!(
        "{title:<16} {:>8} {:>7.0} {:>7.1} {:>7.1} {:>11.1} {:>8.1}",
        rows.len(),
        median(0),
        median(1),
        median(2),
        median(3),
        median(4),
    );
}

fn bundle<'a>(validator: &Validator, resources: impl Iterator<Item = &'a str> + Clone) {
    let entries: Vec<String> = resources
        .filter(|json| json.len() < 10_000)
        .cycle()
        .take(ENTRIES)
        .map(|json| format!("{{\"resource\":{json}}}"))
        .collect();
    let json = format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{}]}}",
        entries.join(",")
    );
    let [bytes, parse, base, invariants, profile] = measure(validator, &json);
    println!(
        "Bundle of {ENTRIES}: {:.1} MB, parse {:.1} ms, base {:.1} ms, invariants {:.1} ms, profile {:.1} ms",
        bytes / 1e6,
        parse / 1e3,
        base / 1e3,
        invariants / 1e3,
        profile / 1e3
    );
}
