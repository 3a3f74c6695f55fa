//! Our value sets against HL7's own expansions of R4 (package `hl7.fhir.r4.expansions`).
//!
//! The package may not be distributed with this project, for it contains extracts of SNOMED CT
//! and LOINC; it is looked for in `$BATON_SHARED_DATA`, else beside the project.

#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use fhir_model::definition::{Definitions, Expansion, Membership, ValueSetId};
use serde_json::Value;

#[path = "support/r4_core.rs"]
mod r4_core;

/// How many of HL7's 553 expansions are the same set of codes as ours. Most others need code
/// systems of others; some leave out deprecated codes or stop at a thousand; one pins a version of a
/// code system that the package does not have.
const SAME: usize = 479;

type Codes = BTreeSet<(String, String)>;

fn file() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("BATON_SHARED_DATA").map_or(beside, PathBuf::from);
    data.join("embed/r4-expansions.ndjson.zst")
}

/// The codes that HL7 lists, at all levels.
fn listed(expansion: &Value, codes: &mut Codes) {
    for entry in expansion
        .get("contains")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        codes.extend(text("system").zip(text("code")));
        listed(entry, codes);
    }
}

fn ours(definitions: &Definitions, value_set: ValueSetId) -> Codes {
    let text = |text| definitions.text(text).to_owned();
    let members = definitions.members(value_set);
    members
        .map(|(system, member)| (text(system), text(member.code)))
        .collect()
}

#[test]
fn every_code_that_hl7_lists_is_a_member() {
    let Ok(file) = File::open(file()) else {
        println!("left out: there is no package of HL7's expansions here");
        return;
    };
    let decoder = ruzstd::decoding::StreamingDecoder::new(file).unwrap();
    let definitions = r4_core::definitions();
    let mut same = 0;
    for line in BufReader::new(decoder).lines() {
        let expanded: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let url = expanded.get("url").and_then(Value::as_str).unwrap();
        let Some(value_set) = definitions.value_set(url) else {
            continue;
        };
        let mut theirs = Codes::new();
        listed(expanded.get("expansion").unwrap(), &mut theirs);
        for (system, code) in &theirs {
            let found = definitions.membership(value_set, Some(system), code);
            assert_ne!(found, Membership::NotMember, "{url}: {system}#{code}");
        }
        let is_complete = definitions.expansion(value_set) == Expansion::Codes;
        same += usize::from(is_complete && ours(&definitions, value_set) == theirs);
    }
    println!("{same} expansions are the same");
    assert!(same >= SAME, "{same}");
}
