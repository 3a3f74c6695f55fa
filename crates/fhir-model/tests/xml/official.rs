//! The XML of the official cases: twins in JSON where there are some, else that it is read.
//!
//! <https://github.com/FHIR/fhir-test-cases>.

use fhir_model::tree::Limits;
use fhir_model::xml;
use serde_json::Value;

use crate::definitions;
use crate::shared::{archived, file_named};

/// Files that are no resources, or broken on purpose, and what is said of them.
const REFUSED: &[(&str, &str)] = &[
    (
        "fhirpath/tests-fhir-r4.xml",
        "the element 'tests' is not in the namespace http://hl7.org/fhir",
    ),
    (
        "snapshot-generation/r4b/manifest.xml",
        "the element 'snapshot-generation-tests' is not in the namespace http://hl7.org/fhir",
    ),
    (
        "snapshot-generation/rX/manifest.xml",
        "the element 'snapshot-generation-tests' is not in the namespace http://hl7.org/fhir",
    ),
    (
        // The file is Shift JIS, whatever its name says.
        "validator/japanese-utf8-ok.xml",
        "the text is not UTF-8, as FHIR wants it",
    ),
    (
        "validator/xml-bad-entities.xml",
        "the entity 'reg' is not defined; write the character itself",
    ),
];

#[test]
fn the_resources_of_the_cases_are_read() {
    let definitions = definitions();
    for archive in ["fhirpath.tgz", "validator.tgz", "snapshot-generation.tgz"] {
        let files = archived(archive, ".xml");
        for (path, text) in &files {
            let said = xml::parse(text, &definitions, &Limits::default())
                .map_err(|error| error.kind.to_string())
                .err();
            let expected = REFUSED.iter().find(|(file, _)| file == path);
            assert_eq!(said.as_deref(), expected.map(|(_, said)| *said), "{path}");
        }
        eprintln!(
            "{} files of {archive} are read or refused as they should",
            files.len()
        );
    }
}

#[test]
fn the_inputs_of_fhirpath_are_their_json_twins() {
    let json = archived("fhirpath.tgz", ".json");
    let xml = archived("fhirpath.tgz", ".xml");
    let mut twins = 0;
    for (path, text) in xml.iter().filter(|(path, _)| path.contains("/input/")) {
        let name = path.rsplit('/').next().unwrap().replace(".xml", ".json");
        let twin = file_named(&json, &name).unwrap();
        assert_same(
            &String::from_utf8_lossy(text),
            &serde_json::from_slice(twin).unwrap(),
            path,
        );
        twins += 1;
    }
    eprintln!("{twins} inputs of FHIRPath are their JSON twins");
}

#[test]
fn the_resources_of_patch_are_their_json_twins() {
    let xml = archived("patch.tgz", ".xml");
    let Some(xml) = file_named(&xml, "fhir-patch-tests.xml") else {
        return;
    };
    let xml = String::from_utf8_lossy(xml);
    let json = archived("patch.tgz", ".json");
    let cases: Vec<Value> =
        serde_json::from_slice(file_named(&json, "fhir-patch-tests.json").unwrap()).unwrap();
    let mut sources = xml.split("<case ").skip(1);
    for case in &cases {
        let source = sources.next().unwrap();
        let name = case.get("name").and_then(Value::as_str).unwrap();
        assert!(source.starts_with(&format!("name=\"{name}\"")), "{name}");
        for part in ["input", "diff", "output"] {
            let Some(resource) = between(source, part) else {
                assert!(case.get(part).is_none_or(Value::is_null), "{name}: {part}");
                continue;
            };
            assert_same(
                resource,
                case.get(part).unwrap(),
                &format!("{name}: {part}"),
            );
        }
    }
    assert!(sources.next().is_none());
    eprintln!(
        "{} cases of FHIRPath Patch are their JSON twins",
        cases.len()
    );
}

/// What stands in an element.
fn between<'a>(text: &'a str, element: &str) -> Option<&'a str> {
    let (_, from) = text.split_once(&format!("<{element}>"))?;
    let (content, _) = from.split_once(&format!("</{element}>"))?;
    Some(content.trim())
}

#[track_caller]
fn assert_same(xml: &str, twin: &Value, name: &str) {
    let read = xml::to_json(xml, &definitions()).unwrap_or_else(|error| panic!("{name}: {error}"));
    // The twins were made by a tool that wrote the quotes in narratives anew.
    let read = read.replace("&#39;", "'").replace("&quot;", "\\\"");
    let read: Value = serde_json::from_str(&read).unwrap();
    assert_eq!(read, *twin, "{name}");
}
