//! The official cases of JSON Patch and `FHIRPath` Patch, in JSON and XML; those of XML Patch, which
//! is not offered, are left out.
//!
//! They come from the shared data folder (`$BATON_SHARED_DATA`, else `../shared/data`); where it is
//! missing, the tests say so and pass.

use std::collections::HashMap;
use std::io::Read as _;

use baton::definitions;
use baton::patch::Patch;
use fhir_model::format::Format;
use fhir_model::tree::{Limits, Tree};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::support::shared;

/// How many cases there are, so that none gets lost.
const JSON_PATCH_CASES: usize = 8;
const FHIRPATH_PATCH_CASES: usize = 19;

fn files() -> Option<HashMap<String, String>> {
    let data = shared::folder();
    let Ok(file) = std::fs::File::open(data.join("tests/patch.tgz")) else {
        shared::say("left out: the official cases of patches are not there");
        return None;
    };
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut files = HashMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        let name = path.file_name().unwrap_or_default();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.insert(name.to_string_lossy().into_owned(), text);
    }
    Some(files)
}

fn parse(format: Format, text: &str) -> Tree {
    format
        .parse(text, &definitions::embedded(), &Limits::default())
        .unwrap()
}

/// Applies a patch and compares; `None` means that it must be refused.
#[track_caller]
fn check(name: &str, input: &Tree, patch: &Patch, expected: Option<&Tree>) {
    let outcome = patch.apply(input, &definitions::embedded());
    match (outcome, expected) {
        (Ok(found), Some(expected)) => {
            let [found, expected] = [&found, expected].map(|tree| tree.to_value(tree.root().id()));
            assert_eq!(found, expected, "{name}");
        }
        (Err(_), None) => {}
        (Ok(_), None) => panic!("{name}: it must be refused"),
        (Err(error), Some(_)) => panic!("{name}: {error}"),
    }
}

#[test]
fn the_official_cases_of_json_patch_pass() {
    let Some(files) = files() else { return };
    let cases: Vec<Value> = serde_json::from_str(&files["json-patch-tests.json"]).unwrap();
    assert_eq!(cases.len(), JSON_PATCH_CASES);
    for case in &cases {
        let tree = |key: &str| parse(Format::Json, &case[key].to_string());
        let patch = case["patch"].to_string();
        let patch = Patch::json(patch.as_bytes(), &Limits::default()).unwrap();
        let expected = case.get("expected").map(|_| tree("expected"));
        assert_eq!(expected.is_none(), case.get("error").is_some());
        let name = case["comment"].as_str().unwrap();
        check(name, &tree("doc"), &patch, expected.as_ref());
    }
}

#[test]
fn the_official_cases_of_fhirpath_patch_pass_in_json() {
    let Some(files) = files() else { return };
    let cases: Vec<Value> = serde_json::from_str(&files["fhir-patch-tests.json"]).unwrap();
    assert_eq!(cases.len(), FHIRPATH_PATCH_CASES);
    for case in &cases {
        let tree = |key: &str| parse(Format::Json, &case[key].to_string());
        let expected = case["error"].is_null().then(|| tree("output"));
        let patch = Patch::fhirpath(tree("diff")).unwrap();
        let name = case["name"].as_str().unwrap();
        check(name, &tree("input"), &patch, expected.as_ref());
    }
}

#[test]
fn the_official_cases_of_fhirpath_patch_pass_in_xml() {
    let Some(files) = files() else { return };
    let xml = &files["fhir-patch-tests.xml"];
    let cases: Vec<&str> = xml.split("<case ").skip(1).collect();
    assert_eq!(cases.len(), FHIRPATH_PATCH_CASES);
    for case in cases {
        let tree = |part: &str| between(case, part).map(|text| parse(Format::Xml, text));
        let patch = Patch::fhirpath(tree("diff").unwrap()).unwrap();
        let name = case.split('"').nth(1).unwrap();
        check(
            name,
            &tree("input").unwrap(),
            &patch,
            tree("output").as_ref(),
        );
    }
}

/// What stands in an element.
fn between<'a>(text: &'a str, element: &str) -> Option<&'a str> {
    let (_, from) = text.split_once(&format!("<{element}>"))?;
    let (content, _) = from.split_once(&format!("</{element}>"))?;
    Some(content.trim())
}
