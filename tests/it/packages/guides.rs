//! Implementation guides as they are published: loaded together, each one's own examples are valid
//! against the profiles that they declare, in the version that they were made with.
//!
//! `conformance/packages.md` tells the result. Packages and examples lie outside the repository.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Instant;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::packages::NOW;
use crate::support::server::{Baton, each};
use crate::support::shared;

/// The guides: the folder of their examples, their package, and what their canonicals begin with.
const GUIDES: &[(&str, &str, &str)] = &[
    (
        "us-core-6.1.0",
        "hl7.fhir.us.core@6.1.0",
        "http://hl7.org/fhir/us/core/",
    ),
    (
        "us-core-7.0.0",
        "hl7.fhir.us.core@7.0.0",
        "http://hl7.org/fhir/us/core/",
    ),
    (
        "sdoh-clinicalcare-3.0.0",
        "hl7.fhir.us.sdoh-clinicalcare@3.0.0",
        "http://hl7.org/fhir/us/sdoh-clinicalcare/",
    ),
    (
        "mcc-1.0.0",
        "hl7.fhir.us.mcc@1.0.0",
        "http://hl7.org/fhir/us/mcc/",
    ),
    (
        "mcc-1.0.0-bundle",
        "hl7.fhir.us.mcc@1.0.0",
        "http://hl7.org/fhir/us/mcc/",
    ),
    (
        "davinci-alerts-1.1.0",
        "hl7.fhir.us.davinci-alerts@1.1.0",
        "http://hl7.org/fhir/us/davinci-alerts/",
    ),
    (
        "sdc-4.0.0-ballot",
        "hl7.fhir.uv.sdc@4.0.0-ballot",
        "http://hl7.org/fhir/uv/sdc/",
    ),
];

/// Examples that are wrong by their own profiles: what is found, and why that is right.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "us-core-6.1.0/Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2",
        OTHER_ID,
        ENTRY_NAMES_OTHER_ID,
    ),
    (
        "us-core-6.1.0/Bundle-docref-example-2",
        OTHER_ID,
        ENTRY_NAMES_OTHER_ID,
    ),
    (
        "us-core-6.1.0/Questionnaire-hunger-vital-sign-example",
        SDC_4,
        MADE_WITH_SDC_3,
    ),
    (
        "us-core-6.1.0/Questionnaire-phq-9-example",
        SDC_4,
        MADE_WITH_SDC_3,
    ),
    (
        "us-core-6.1.0/Questionnaire-prapare-example",
        SDC_4,
        MADE_WITH_SDC_3,
    ),
    (
        "us-core-7.0.0/Questionnaire-hunger-vital-sign-example",
        SDC_4,
        MADE_WITH_SDC_3,
    ),
    (
        "us-core-7.0.0/Questionnaire-phq-9-example",
        SDC_4,
        MADE_WITH_SDC_3,
    ),
    (
        "us-core-7.0.0/Questionnaire-prapare-example",
        SDC_4,
        MADE_WITH_SDC_3,
    ),
];

const OTHER_ID: &str = "names another id than the resource has";
const ENTRY_NAMES_OTHER_ID: &str = "The fullUrl of an entry ends in another id than its resource \
    has, which the specification forbids (Bundle.entry.fullUrl)";
const SDC_4: &str = "If version is present, versionAlgorithm must be present";
const MADE_WITH_SDC_3: &str = "It claims sdc-questionnaire without a version and was made with SDC \
    3.0.0; only 4.0.0-ballot is loaded, which has this invariant (sdc-2)";

/// The examples of the guides, by `folder/name`.
fn examples() -> BTreeMap<String, Value> {
    let path = shared::folder().join("tests/ig-examples.tgz");
    let file = std::fs::File::open(path).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut examples = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut parts = path.trim_start_matches("./").rsplit('/');
        let (Some(file), Some(folder)) = (parts.next(), parts.next()) else {
            continue;
        };
        let is_wanted = GUIDES.iter().any(|(wanted, ..)| *wanted == folder);
        if is_wanted && let Some(name) = file.strip_suffix(".json") {
            let name = format!("{folder}/{name}");
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            examples.insert(name, serde_json::from_str(&text).unwrap());
        }
    }
    examples
}

/// Says of each claimed profile of the guide which version is meant: two of them are loaded.
fn pin(value: &mut Value, canonical: &str, version: &str) {
    match value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| pin(item, canonical, version)),
        Value::Object(object) => {
            let claimed = object
                .get_mut("meta")
                .and_then(|meta| meta.get_mut("profile"));
            for profile in claimed.and_then(Value::as_array_mut).into_iter().flatten() {
                if let Value::String(profile) = profile
                    && profile.starts_with(canonical)
                    && !profile.contains('|')
                {
                    *profile = format!("{profile}|{version}");
                }
            }
            object
                .values_mut()
                .for_each(|value| pin(value, canonical, version));
        }
        _ => {}
    }
}

/// The errors that `$validate` finds, a line each.
async fn errors(baton: &Baton, resource: &Value) -> Vec<String> {
    let resource_type = resource["resourceType"].as_str().unwrap();
    let outcome = baton
        .post(&format!("/{resource_type}/$validate"), resource)
        .await
        .expect(200);
    let is_error = |issue: &&Value| matches!(issue["severity"].as_str(), Some("error" | "fatal"));
    let errors = each(&outcome, "issue").filter(is_error);
    let line = |issue: &Value| {
        let text = issue["details"]["text"].as_str().unwrap_or_default();
        let place = issue["expression"][0].as_str().unwrap_or_default();
        format!("{place}: {text}")
    };
    errors.map(line).collect()
}

#[tokio::test]
async fn the_examples_of_the_guides_are_valid() {
    if !shared::folder().join("packages").is_dir() {
        shared::say(&format!(
            "guides left out: no packages in {}",
            shared::folder().display()
        ));
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut packages: Vec<&str> = GUIDES.iter().map(|(_, package, _)| *package).collect();
    packages.dedup();
    let settings = format!(
        "packages = {packages:?}\npackage_folder = {:?}\npackage_cache = {:?}\n",
        shared::folder().join("packages"),
        home.path().join("cache"),
    );
    let database = format!("sqlite:{}", home.path().join("baton.sqlite").display());
    for state in ["compiled", "from its image"] {
        let started = Instant::now();
        let baton = Baton::start(&database, &settings, NOW).await;
        shared::say(&format!("six guides {state}: {:?}", started.elapsed()));
        if state == "compiled" {
            baton.stop().await;
            continue;
        }
        check_all(&baton).await;
        baton.stop().await;
    }
}

async fn check_all(baton: &Baton) {
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (name, mut example) in examples() {
        let (folder, _) = name.split_once('/').unwrap();
        let (folder, package, canonical) =
            GUIDES.iter().find(|(known, ..)| *known == folder).unwrap();
        let (_, version) = package.split_once('@').unwrap();
        pin(&mut example, canonical, version);
        let errors = errors(baton, &example).await;
        let count = counts.entry(folder).or_default();
        count.0 += 1;
        count.1 += usize::from(errors.is_empty());
        let expected = WRONG.iter().find(|(wrong, ..)| *wrong == name);
        match (expected, errors.as_slice()) {
            (None, []) => {}
            (Some((_, text, _)), [error]) if error.contains(text) => {}
            (Some((_, text, _)), errors) => {
                wrong.push(format!("{name}: {errors:#?}, and not only {text}"));
            }
            (None, errors) => wrong.push(format!("{name}: {errors:#?}")),
        }
    }
    shared::say(&format!("examples, and those without errors: {counts:?}"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
