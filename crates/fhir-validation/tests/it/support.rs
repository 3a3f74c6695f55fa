//! The R4 definitions, compiled once for all tests, and the official examples.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use fhir_model::definition::{Builder, Definitions};
use fhir_model::issue::Issue;
use fhir_model::tree::{Limits, Tree};
use fhir_validation::{Options, UnknownExtensions, Validator};
use serde_json::{Value, json};

const CORE: &str = "hl7.fhir.r4.core-4.0.1";

/// The files of the R4 core package that stand in the repository.
const CORE_FILES: &[&str] = &[
    "r4-core-structures.ndjson.zst",
    "r4-core-terminology.ndjson.zst",
];

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

pub(crate) fn read_zstd(path: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    ruzstd::decoding::StreamingDecoder::new(file)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// The definitions of the R4 core package, compiled now.
pub(crate) fn core_definitions() -> Definitions {
    let mut builder = Builder::new();
    for file in CORE_FILES {
        add_file(
            &mut builder,
            &root().join("fhir-profiles").join(CORE).join(file),
        );
    }
    builder.finish().0
}

fn add_file(builder: &mut Builder, path: &Path) {
    for line in read_zstd(path).lines() {
        builder.add_json(line).unwrap();
    }
}

/// A validator by the R4 core package and these files of the shared data, if it is there.
pub(crate) fn core_with_packages(files: &[&str]) -> Option<Validator> {
    let folder = shared_data()?.join("embed");
    let mut builder = Builder::extending(core().definitions());
    for file in files {
        add_file(&mut builder, &folder.join(file));
    }
    Some(Validator::new(Arc::new(builder.finish().0)))
}

/// A validator by the R4 core package.
pub(crate) fn core() -> &'static Validator {
    static CORE_VALIDATOR: OnceLock<Validator> = OnceLock::new();
    CORE_VALIDATOR.get_or_init(|| Validator::new(Arc::new(core_definitions())))
}

/// A validator by the R4 core package and these resources.
pub(crate) fn core_with(resources: &[&str]) -> Validator {
    let mut builder = Builder::extending(core().definitions());
    for resource in resources {
        assert!(builder.add_json(resource).unwrap());
    }
    let (definitions, problems) = builder.finish();
    assert!(problems.is_empty(), "{problems:?}");
    Validator::new(Arc::new(definitions))
}

/// Errors, each as `location rule`, the rule without the canonical of the profile.
pub(crate) fn errors(issues: &[Issue]) -> Vec<String> {
    let errors = issues.iter().filter(|issue| issue.is_error());
    errors.map(short).collect()
}

/// Where an issue is and by which rule.
pub(crate) fn short(issue: &Issue) -> String {
    let rule = issue.rule.as_deref().unwrap_or_default();
    let element = rule.split_once('#').map_or(rule, |(_, element)| element);
    format!("{} {element}", issue.location)
}

/// A profile of a type with these elements, each given without its id.
pub(crate) fn profile(url: &str, type_name: &str, elements: &[Value]) -> String {
    let elements: Vec<Value> = elements
        .iter()
        .map(|element| {
            let mut element = element.clone();
            if element.get("id").is_none() {
                element["id"] = element["path"].clone();
            }
            element
        })
        .collect();
    let is_resource = core().definitions().resource_type(type_name).is_some();
    json!({
        "resourceType": "StructureDefinition",
        "url": url,
        "name": "Test",
        "status": "draft",
        "kind": if is_resource { "resource" } else { "complex-type" },
        "abstract": false,
        "type": type_name,
        "baseDefinition": format!("http://hl7.org/fhir/StructureDefinition/{type_name}"),
        "derivation": "constraint",
        "snapshot": {"element": elements},
    })
    .to_string()
}

pub(crate) fn parse(validator: &Validator, json: &str) -> Tree {
    let names = validator.definitions().names();
    Tree::parse(json, names, &Limits::default()).unwrap()
}

/// What is checked where extensions that are not known are none of the test's business.
pub(crate) fn quiet() -> Options {
    Options {
        unknown_extensions: UnknownExtensions::Ignore,
        ..Options::default()
    }
}

/// The issues of a resource, as the type that it says it is.
pub(crate) fn validate(validator: &Validator, json: &str, options: &Options) -> Vec<Issue> {
    let tree = parse(validator, json);
    let resource_type = tree.resource_type().unwrap_or_default();
    validator.validate(tree.root(), &resource_type, &[], options)
}

/// Where the shared data is, if it is there.
pub(crate) fn shared_data() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
    let folder = std::env::var("BATON_SHARED_DATA")
        .map_or_else(|_| root().join("../shared/data"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// The JSON examples of the guides whose names start so, by guide and file name; nothing, and a
/// word about it, where they are not there.
pub(crate) fn examples(guide: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Some(folder) = shared_data() else {
        println!("left out: the examples of {guide}, as there is no shared data");
        return found;
    };
    let file = std::fs::File::open(folder.join("tests/ig-examples.tgz")).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let Some((_, name)) = path.split_once('/') else {
            continue;
        };
        let is_json = Path::new(name).extension().is_some_and(|end| end == "json");
        if name.starts_with(guide) && is_json {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.insert(name.to_owned(), text);
        }
    }
    found
}
