//! JSON → XML → JSON is the identity on every example, and the XML is valid by the official schema.

use std::path::{Path, PathBuf};
use std::process::Command;

use fhir_model::definition::Definitions;
use fhir_model::tree::{Limits, Tree};
use fhir_model::xml;
use serde_json::Value;

use crate::definitions;
use crate::shared::{archived, folder};

/// What the schema rightly says of the content of some examples; how it is written is not at fault.
const FAULTS_OF_EXAMPLES: &[(&str, &str)] = &[
    (
        "{http://www.w3.org/1999/xhtml}",
        "narratives of tools have ids with slashes and repeat them",
    ),
    (
        "'{http://hl7.org/fhir}uri-primitive'",
        "URLs of extensions have brackets: value[x]",
    ),
    (
        "Expected is one of ( {http://hl7.org/fhir}extension, \
         {http://hl7.org/fhir}modifierExtension, {http://hl7.org/fhir}linkId )",
        "items of a response have no linkId",
    ),
];

/// The examples of the repository and, where they are at hand, those of the specification and of
/// the implementation guides.
fn examples() -> Vec<(String, Vec<u8>)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/resources/r4-spec");
    let files = std::fs::read_dir(own)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        });
    let read = |path: PathBuf| (path.display().to_string(), std::fs::read(&path).unwrap());
    let mut examples: Vec<(String, Vec<u8>)> = files.map(read).collect();
    assert!(!examples.is_empty());
    examples.extend(archived("ig-examples.tgz", ".json"));
    examples
}

/// The XML of an example, if it comes back as the same JSON.
fn there_and_back(json: &[u8], definitions: &Definitions) -> Result<String, String> {
    let sent = Tree::parse(json, definitions.names(), &Limits::default())
        .map_err(|error| error.to_string())?;
    let written = xml::from_tree(sent.root(), definitions).map_err(|error| error.to_string())?;
    let pretty = xml::from_tree_pretty(sent.root(), definitions).unwrap();
    // Compared with the digits of numbers; the order of properties is that of XML afterwards.
    let value: Value = serde_json::from_slice(json).unwrap();
    for text in [&written, &pretty] {
        let back = xml::to_json(text, definitions).map_err(|error| error.to_string())?;
        let back: Value = serde_json::from_str(&back).map_err(|error| error.to_string())?;
        if back != value {
            return Err("it comes back different".to_owned());
        }
    }
    Ok(written)
}

#[test]
fn every_example_comes_back_the_same_and_is_valid_xml() {
    let definitions = definitions();
    let examples = examples();
    let (mut written, mut failures) = (Vec::new(), Vec::new());
    for (path, json) in &examples {
        match there_and_back(json, &definitions) {
            Ok(xml) => written.push((path, xml)),
            Err(reason) => failures.push(format!("{path}: {reason}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    eprintln!("{} examples come back the same", written.len());
    validate(&written);
}

/// Judges documents by the official schema, with `xmllint` where the machine has it.
fn validate(written: &[(&String, String)]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("xml-examples");
    std::fs::create_dir_all(&folder).unwrap();
    let Some(schema) = schema(&folder) else {
        return;
    };
    for (number, (_, xml)) in written.iter().enumerate() {
        std::fs::write(folder.join(format!("{number}.xml")), xml).unwrap();
    }
    let xmllint = Command::new("xmllint")
        .current_dir(&folder)
        .args(["--noout", "--nonet", "--huge", "--schema", schema])
        .args((0..written.len()).map(|number| format!("{number}.xml")))
        .output();
    let Ok(output) = xmllint else {
        eprintln!("left out: there is no xmllint, so the official schema was not asked");
        return;
    };
    let report = String::from_utf8_lossy(&output.stderr);
    let is_fault_of_example = |line: &str| {
        FAULTS_OF_EXAMPLES
            .iter()
            .any(|(fault, _)| line.contains(fault))
            || line.ends_with(".xml fails to validate")
    };
    let (valid, complaints): (Vec<&str>, Vec<&str>) = report
        .lines()
        .filter(|line| !is_fault_of_example(line))
        .partition(|line| line.ends_with(".xml validates"));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(valid.len() > written.len() / 10 * 9, "{report}");
    eprintln!(
        "{} of {} documents are valid by the official schema",
        valid.len(),
        written.len()
    );
}

/// Unpacks the official schema, if it is at hand.
fn schema(folder: &Path) -> Option<&'static str> {
    let archive = self::folder().map(|shared| shared.join("schemas/fhir-r4-xsd.tar.zst"));
    let Some(archive) = archive.filter(|archive| archive.is_file()) else {
        eprintln!("left out: the official schema is not at hand");
        return None;
    };
    let file = std::fs::File::open(archive).unwrap();
    let decoder = ruzstd::decoding::StreamingDecoder::new(file).unwrap();
    tar::Archive::new(decoder).unpack(folder).unwrap();
    Some("fhir-single.xsd")
}
