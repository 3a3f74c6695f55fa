//! How long one parse takes, beside what `serde_json` takes for the same text in the same run.
//!
//! `cargo bench -p fhir-model --bench parse`. `Value` is what a tree replaces; `IgnoredAny` only
//! checks the text and keeps nothing, so it is about the least that reading can cost.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints, and may panic"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use fhir_model::name::Names;
use fhir_model::tree::{Kind, Limits, Stamp, Tree};
use serde_json::Value;
use serde_json::de::Deserializer;

/// How long one measurement runs.
const RUN: Duration = Duration::from_millis(300);

/// The best of this many measurements counts: others use the machine too.
const RUNS: usize = 7;

/// As many names as the definitions of R4 have, so that the table is as large as in the server.
const NAMES: usize = 3_000;

fn main() {
    let patient: Value = serde_json::from_str(include_str!("patient.json")).unwrap();
    let names = names(&patient);
    let pretty = serde_json::to_string_pretty(&patient).unwrap();
    let compact = patient.to_string();
    let entries = vec![format!("{{\"resource\":{compact}}}"); 1_000].join(",");
    let bundle = format!("{{\"resourceType\":\"Bundle\",\"entry\":[{entries}]}}");
    for (title, text) in [
        ("Patient, indented", &pretty),
        ("Patient, compact", &compact),
        ("Bundle of 1000, compact", &bundle),
    ] {
        parsing(title, text, &names);
    }
    using(
        &Tree::parse(pretty.as_str(), &names, &Limits::default()).unwrap(),
        &names,
    );
}

fn parsing(title: &str, text: &str, names: &Names) {
    let limits = Limits::default();
    let bytes = text.as_bytes();
    println!("{title}: {} bytes", text.len());
    report("Tree::parse", text.len(), || {
        black_box(Tree::parse(black_box(bytes), names, &limits).unwrap());
    });
    report("serde_json::Value", text.len(), || {
        black_box(serde_json::from_slice::<Value>(black_box(bytes)).unwrap());
    });
    report("serde_json IgnoredAny", text.len(), || {
        let mut reader = Deserializer::from_slice(black_box(bytes));
        black_box(serde::de::Deserialize::deserialize(&mut reader))
            .map(|_: serde::de::IgnoredAny| ())
            .unwrap();
    });
}

fn using(tree: &Tree, names: &Names) {
    println!(
        "Using the tree of the indented Patient: {} nodes",
        tree.node_count()
    );
    let len = tree.source().len();
    let mut out = String::with_capacity(2 * len);
    let stamp = Stamp {
        id: Some("4711"),
        last_updated: Some("2026-03-02T10:00:00Z"),
        ..Stamp::default()
    };
    report("write_stamped", len, || {
        out.clear();
        tree.write_stamped(tree.root().id(), stamp, &mut out);
        black_box(&out);
    });
    report("walk all elements", len, || {
        black_box(count(tree.element()));
    });
    let (name, given) = (names.get("name").unwrap(), names.get("given").unwrap());
    report("Patient.name.given", len, || {
        let given = tree
            .element()
            .children(name)
            .flat_map(|name| name.children(given));
        black_box(
            given
                .filter_map(fhir_model::element::Element::value_text)
                .count(),
        );
    });
}

fn count(element: fhir_model::element::Element<'_>) -> usize {
    1 + element.all_children().map(count).sum::<usize>()
}

/// The names of the sample among as many others as R4 has.
fn names(sample: &Value) -> Names {
    let tree = Tree::from_value(sample, &Names::default()).unwrap();
    let keys = tree
        .root()
        .descendants()
        .filter(|node| node.kind() != Kind::Null);
    let mut texts: Vec<String> = keys.map(|node| node.name_text().into_owned()).collect();
    texts.extend((0..NAMES).map(|number| format!("elementName{number}")));
    Names::new(texts.iter().map(String::as_str))
}

fn report(what: &str, bytes: usize, mut work: impl FnMut()) {
    let best = (0..RUNS)
        .map(|_| seconds_each(&mut work))
        .fold(f64::INFINITY, f64::min);
    let micros = best * 1e6;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a size in bytes is exact in a float"
    )]
    let megabytes_per_second = bytes as f64 / best / 1e6;
    println!("  {what:24} {micros:10.2} µs  {megabytes_per_second:7.0} MB/s");
}

fn seconds_each(work: &mut impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut times = 0_u32;
    while started.elapsed() < RUN {
        for _ in 0..8 {
            work();
        }
        times += 8;
    }
    started.elapsed().as_secs_f64() / f64::from(times)
}
