//! What the targets share: the R4 definitions, compiled once per process.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use fhir_model::definition::{Builder, Definitions};

/// The files of the R4 core package.
const FILES: [&str; 2] = [
    "r4-core-structures.ndjson.zst",
    "r4-core-terminology.ndjson.zst",
];

static DEFINITIONS: LazyLock<Arc<Definitions>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fhir-profiles/hl7.fhir.r4.core-4.0.1");
    let mut builder = Builder::new();
    for file in FILES {
        let file = File::open(folder.join(file)).expect("the package is part of the repository");
        let decoder = ruzstd::decoding::StreamingDecoder::new(file).expect("it is compressed");
        for line in BufReader::new(decoder).lines() {
            let line = line.expect("it is text");
            builder.add_json(&line).expect("each line is a resource");
        }
    }
    Arc::new(builder.finish().0)
});

/// The definitions of the R4 core package.
pub fn definitions() -> Arc<Definitions> {
    Arc::clone(&DEFINITIONS)
}
