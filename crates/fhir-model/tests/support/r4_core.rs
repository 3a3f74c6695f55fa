//! The definitions of the R4 core package, compiled once per test program.
//!
//! The server embeds an image of them; the pure crates below it compile the package when they are
//! tested. Included by `#[path = "../../fhir-model/tests/support/r4_core.rs"] mod r4_core;`, with
//! `ruzstd` among the dev-dependencies.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use fhir_model::definition::compile::is_example;
use fhir_model::definition::{Builder, Definitions, Problem};

/// The files of the package.
const FILES: [&str; 2] = [
    "r4-core-structures.ndjson.zst",
    "r4-core-terminology.ndjson.zst",
];

static COMPILED: LazyLock<(Arc<Definitions>, Vec<Problem>)> = LazyLock::new(|| {
    let mut builder = Builder::new();
    for file in FILES {
        for line in lines(file) {
            let resource = serde_json::from_str(&line).unwrap();
            if !is_example(&resource) {
                builder.add(resource);
            }
        }
    }
    let (definitions, problems) = builder.finish();
    (Arc::new(definitions), problems)
});

/// The definitions.
pub(crate) fn definitions() -> Arc<Definitions> {
    Arc::clone(&compiled().0)
}

/// The definitions, and what the compiler could not use of the package.
pub(crate) fn compiled() -> &'static (Arc<Definitions>, Vec<Problem>) {
    &COMPILED
}

/// The lines of a file of the package: a conformance resource each.
pub(crate) fn lines(file: &str) -> impl Iterator<Item = String> {
    let package = "../../fhir-profiles/hl7.fhir.r4.core-4.0.1";
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(package)
        .join(file);
    let decoder = ruzstd::decoding::StreamingDecoder::new(File::open(path).unwrap()).unwrap();
    BufReader::with_capacity(1 << 20, decoder)
        .lines()
        .map(Result::unwrap)
}
