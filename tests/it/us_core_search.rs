//! Every search that US Core 6.1.0 asks of a server, on the patients that Inferno tests with,
//! against an oracle that filters in memory.
//!
//! Which parameters and combinations there are says the guide's CapabilityStatement. The oracle
//! evaluates the expressions of the guide's own `SearchParameters` on what is stored and compares by
//! the rules of <https://hl7.org/fhir/R4/search.html>; it shares nothing with `baton::search`.
//! Package and bundles lie outside the repository.

mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::support::server::{Baton, each, on_each_store};
use crate::support::shared;
use oracle::{Oracle, Question};

const NOW: &str = "2026-03-06T16:10:00Z";

/// The bundles, and how many resources of each are stored.
const BUNDLES: &[(&str, usize)] = &[
    ("uscore_bundle_patient_85", 267),
    ("uscore_bundle_patient_355", 473),
    ("uscore_bundle_patient_907", 3),
    ("uscore_bundle_patient_908", 3),
    ("uscore_bundle_patient_client_test", 54),
];

/// Resources of each type that questions are made from.
const ASKED_OF_MAX: usize = 8;

/// Questions without which something is wrong with this test.
const QUESTIONS_MIN: usize = 1_000;

/// The JSON files of an archive by their names without folder and ending.
fn archive(path: &Path) -> Option<BTreeMap<String, Value>> {
    let file = std::fs::File::open(path).ok()?;
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        if path.extension().is_some_and(|ending| ending == "json") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            if let Ok(value) = serde_json::from_str(&text) {
                found.insert(name, value);
            }
        }
    }
    Some(found)
}

/// What the guide demands of one type of resource.
struct Demand {
    resource_type: String,
    /// Parameters that are searched by together.
    combinations: BTreeSet<Vec<String>>,
    /// `_include` and `_revinclude`, with their values.
    includes: Vec<(&'static str, String)>,
}

fn demands(statement: &Value) -> Vec<Demand> {
    each(&statement["rest"][0], "resource")
        .map(|resource| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let singles = each(resource, "searchParam").map(|one| vec![text(&one["name"])]);
            let combined = each(resource, "extension")
                .filter(|extension| text(&extension["url"]).ends_with("-combination"))
                .map(|extension| {
                    each(extension, "extension")
                        .filter(|part| part["url"] == "required")
                        .map(|part| text(&part["valueString"]))
                        .collect()
                });
            let include = each(resource, "searchInclude").map(|value| ("_include", text(value)));
            let reverse =
                each(resource, "searchRevInclude").map(|value| ("_revinclude", text(value)));
            Demand {
                resource_type: text(&resource["type"]),
                combinations: singles.chain(combined).collect(),
                includes: include.chain(reverse).collect(),
            }
        })
        .collect()
}

/// Resource type and code → the expression and the type of the parameter.
fn parameters(package: &BTreeMap<String, Value>) -> BTreeMap<(String, String), (String, String)> {
    let is_parameter = |value: &&Value| value["resourceType"] == "SearchParameter";
    package
        .values()
        .filter(is_parameter)
        .map(|parameter| {
            let text = |name: &str| parameter[name].as_str().unwrap().to_owned();
            let base = parameter["base"][0].as_str().unwrap().to_owned();
            ((base, text("code")), (text("expression"), text("type")))
        })
        .collect()
}

#[tokio::test]
async fn every_search_of_us_core_finds_what_the_oracle_finds() {
    let package = archive(&shared::folder().join("packages/hl7.fhir.us.core-6.1.0.tgz"));
    let bundles = archive(&shared::folder().join("tests/inferno-us-core.tgz"));
    let (Some(package), Some(bundles)) = (package, bundles) else {
        shared::say("searches of US Core left out: package or bundles are missing");
        return;
    };
    let demands = demands(&package["CapabilityStatement-us-core-server"]);
    let parameters = parameters(&package);
    // Patient 355 has `Period.stop`, which R4 has not, and its like: it is taken as it is.
    let settings = format!(
        "packages = [\"hl7.fhir.us.core@6.1.0\"]\npackage_folder = \"{}\"\n\
         package_cache = \"/nonexistent\"\npackage_dependencies = \"warn\"\n\
         [validation]\non_failure = \"warn\"",
        shared::folder().join("packages").display()
    );
    on_each_store(&settings, NOW, async |baton| {
        for (name, count) in BUNDLES {
            let answer = baton.post("", &bundles[*name]).await.expect(200);
            let statuses = each(&answer, "entry").map(|entry| &entry["response"]["status"]);
            let made = statuses.filter(|status| status.as_str().unwrap().starts_with("201"));
            assert_eq!(made.count(), *count, "{name}");
        }
        let mut asked = 0;
        let mut wrong = Vec::new();
        for demand in &demands {
            let oracle = Oracle::of(baton, &demand.resource_type, &parameters).await;
            for question in oracle.questions(&demand.combinations, ASKED_OF_MAX) {
                asked += 1;
                check(baton, &oracle, &question, &mut wrong).await;
            }
            for (name, value) in &demand.includes {
                check_include(baton, &demand.resource_type, name, value, &mut wrong).await;
            }
        }
        shared::say(&format!("US Core: {asked} searches beside the oracle"));
        assert!(asked > QUESTIONS_MIN, "{asked} questions only");
        assert!(
            wrong.is_empty(),
            "{} wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    })
    .await;
}

/// Asks the server and the oracle the same.
async fn check(baton: &Baton, oracle: &Oracle, question: &Question, wrong: &mut Vec<String>) {
    let url = question.url();
    let found = ids(&baton.search(&url).await);
    let expected = oracle.answer(question);
    if found != expected {
        let beyond: Vec<_> = found.difference(&expected).collect();
        let missed: Vec<_> = expected.difference(&found).collect();
        wrong.push(format!("{url}: beyond {beyond:?}, missed {missed:?}"));
    }
}

fn ids(resources: &[Value]) -> BTreeSet<String> {
    let ids = resources.iter().map(|resource| resource["id"].as_str());
    ids.map(|id| id.unwrap().to_owned()).collect()
}

/// A search of everything with an include: what is there beside the matches is what the references
/// say, read here from the resources themselves.
async fn check_include(
    baton: &Baton,
    resource_type: &str,
    name: &str,
    value: &str,
    wrong: &mut Vec<String>,
) {
    let url = format!("/{resource_type}?_count=1000&{name}={value}");
    let bundle = baton.read(&url).await;
    let with_mode = |mode: &'static str| {
        each(&bundle, "entry")
            .filter(move |entry| entry["search"]["mode"] == mode)
            .map(|entry| entry["resource"].clone())
            .collect::<Vec<_>>()
    };
    let key = |resource: &Value| {
        let part = |name: &str| resource[name].as_str().unwrap().to_owned();
        format!("{}/{}", part("resourceType"), part("id"))
    };
    let matches: BTreeSet<String> = with_mode("match").iter().map(key).collect();
    let included: BTreeSet<String> = with_mode("include").iter().map(key).collect();
    let mut parts = value.split(':');
    let (source, code, target) = (parts.next().unwrap(), parts.next().unwrap(), parts.next());
    let sources = baton.search(&format!("{source}?_count=1000")).await;
    let mut expected = BTreeSet::new();
    for resource in &sources {
        for reference in oracle::references(source, code, resource) {
            let is_wanted =
                target.is_none_or(|target| reference.starts_with(&format!("{target}/")));
            if name == "_include" && is_wanted {
                expected.insert(reference);
            } else if name == "_revinclude" && matches.contains(&reference) {
                expected.insert(key(resource));
            }
        }
    }
    let mut there = BTreeSet::new();
    for reference in expected {
        let is_match = matches.contains(&reference);
        if !is_match && baton.get(&format!("/{reference}")).await.status == 200 {
            there.insert(reference);
        }
    }
    if included != there {
        wrong.push(format!("{url}: included {included:?}, expected {there:?}"));
    }
}
