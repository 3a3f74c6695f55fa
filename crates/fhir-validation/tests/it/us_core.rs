//! The unit tests of the invariants of US Core: each file passes or fails the invariant that the
//! index names.

use fhir_model::definition::{Definitions, Structure};
use fhir_validation::Options;
use serde_json::Value;

use crate::official::unpack;
use crate::support::{core_with_packages, parse, quiet, shared_data};

/// The invariants are of US Core 9; those that earlier versions have too are in 8.
const PACKAGES: &[&str] = &[
    "extensions-5.3.0-ballot-tc1.ndjson.zst",
    "us-core-8.0.0.ndjson.zst",
];

/// The profiles of a type that have an invariant: not every case says which.
fn profiles_with<'d>(definitions: &'d Definitions, type_name: &str, key: &str) -> Vec<&'d str> {
    let has = |structure: &Structure| {
        definitions
            .elements(structure)
            .flat_map(|(_, element)| definitions.constraints_of(element))
            .any(|id| definitions.text(definitions.constraint(*id).key) == key)
    };
    definitions
        .structures()
        .map(|(_, structure)| structure)
        .filter(|structure| definitions.type_name(structure.type_id) == type_name && has(structure))
        .map(|structure| definitions.text(structure.url))
        .collect()
}

/// Invariants that US Core 8 does not have as the tests mean them.
const NEWER: &[(&str, &str)] = &[(
    "us-core-26",
    "it admits a value together with a reason why there is none, which US Core 9 does not",
)];

#[test]
fn the_invariants_of_us_core_hold_and_break_as_the_index_says() {
    let Some(folder) = shared_data() else {
        println!("left out: the unit tests of US Core, as there is no shared data");
        return;
    };
    let validator = core_with_packages(PACKAGES).unwrap();
    let archive = std::fs::File::open(folder.join("tests/us-core-invariants.tgz")).unwrap();
    let files = unpack(archive, "us-core-invariants/");
    let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    let options = Options {
        best_practice: true,
        ..quiet()
    };
    let mut wrong = Vec::new();
    for case in index.as_array().unwrap() {
        let (file, key) = (
            case["file"].as_str().unwrap(),
            case["invariant"].as_str().unwrap(),
        );
        let tree = parse(&validator, std::str::from_utf8(&files[file]).unwrap());
        let resource_type = tree.resource_type().unwrap();
        let profiles = profiles_with(validator.definitions(), &resource_type, key);
        assert!(
            !profiles.is_empty(),
            "no profile of {resource_type} has {key}"
        );
        let issues = validator.validate(tree.root(), &resource_type, &profiles, &options);
        let is_broken = issues
            .iter()
            .any(|issue| issue.rule.as_deref() == Some(key));
        let is_expected = case["expect"] == "fail";
        let is_newer = NEWER.iter().any(|(newer, _)| *newer == key);
        if is_broken != is_expected && !is_newer {
            wrong.push(format!("{file}: {key} {}: {issues:?}", case["expect"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
