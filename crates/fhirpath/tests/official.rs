//! The official cases for R4: every one passes, or is listed with the reason why it does not.
//!
//! `fhirpath/tests-fhir-r4` of <https://github.com/FHIR/fhir-test-cases>.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failing test may panic, and says what it left out"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fhir_model::definition::Definitions;
use fhir_model::tree::{Limits, Tree};
use fhir_model::xml;
use fhirpath::{Context, Expression, Item, Options, Temporal, TypeInfo};
use serde_json::Value;

#[path = "../../fhir-model/tests/support/r4_core.rs"]
mod r4_core;
#[path = "support/shared.rs"]
mod shared;

/// Cases that do not pass, and why. The list may only shrink.
const KNOWN_FAILURES: &[(&str, &str)] = &[
    (
        "LowBoundaryDecimal15",
        "expects -0.0, which is greater than the -0.00345 that it should bound: \
         <http://hl7.org/fhirpath/#lowboundaryprecision-integer-decimal--date--datetime--time>",
    ),
    (
        "HighBoundaryDecimal15",
        "expects 0.0, which is less than the 0.00345 that it should bound: \
         <http://hl7.org/fhirpath/#highboundaryprecision-integer-decimal--date--datetime--time>",
    ),
];

#[test]
fn official_cases_pass() {
    let Some(files) = shared::archive("fhirpath.tgz", |path| !path.ends_with('/')) else {
        return;
    };
    let files: HashMap<String, String> = files
        .into_iter()
        .map(|(path, text)| (path.rsplit('/').next().unwrap().to_owned(), text))
        .collect();
    let definitions = r4_core::definitions();
    let cases: Vec<Value> = serde_json::from_str(&files["tests-fhir-r4.json"]).unwrap();
    let mut failures = BTreeMap::new();
    for case in &cases {
        if let Err(reason) = check(case, &files, &definitions) {
            failures.insert(case["name"].as_str().unwrap().to_owned(), reason);
        }
    }
    println!(
        "{} of {} official cases pass",
        cases.len() - failures.len(),
        cases.len()
    );
    let known: BTreeSet<&str> = KNOWN_FAILURES.iter().map(|(name, _)| *name).collect();
    let mut is_as_known = true;
    for (name, reason) in &failures {
        if !known.contains(name.as_str()) {
            println!("{name} fails: {reason}");
            is_as_known = false;
        }
    }
    for name in known {
        if !failures.contains_key(name) {
            println!("{name} passes: take it off the list");
            is_as_known = false;
        }
    }
    assert!(is_as_known);
}

fn check(
    case: &Value,
    files: &HashMap<String, String>,
    definitions: &Definitions,
) -> Result<(), String> {
    let text = case["expression"].as_str().unwrap();
    let input = case["inputfile"].as_str();
    let source = input.map_or(r#"{"resourceType":"Basic"}"#, |name| files[name].as_str());
    let tree = Tree::parse(source, definitions.names(), &Limits::default()).unwrap();
    let item = Item::resource(tree.element(), definitions).unwrap();
    let found = evaluate(text, &item, definitions);
    if let Some(twin) = input.and_then(|name| files.get(&name.replace(".json", ".xml"))) {
        let tree = xml::parse(twin, definitions, &Limits::default()).unwrap();
        let item = Item::resource(tree.element(), definitions).unwrap();
        let of_twin = evaluate(text, &item, definitions);
        if of_twin != found {
            return Err(format!("{text}: {found:?} from JSON, {of_twin:?} from XML"));
        }
    }
    let expected: Vec<(Option<&str>, &str)> = case["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| (output["type"].as_str(), output["value"].as_str().unwrap()))
        .collect();
    match (case["invalid"].as_str(), found) {
        (Some(_), Err(_)) => Ok(()),
        (Some(kind), Ok(found)) => Err(format!("{text}: {kind} error expected, found {found:?}")),
        (None, Err(error)) => Err(format!("{text}: {error}")),
        (None, Ok(found)) => {
            let is_same = found.len() == expected.len()
                && found.iter().zip(&expected).all(|(found, expected)| {
                    found.1 == expected.1 && expected.0.is_none_or(|kind| kind == found.0)
                });
            if is_same {
                return Ok(());
            }
            Err(format!("{text}: {expected:?} expected, found {found:?}"))
        }
    }
}

/// What an expression gives: types and values as the cases write them.
fn evaluate(
    text: &str,
    item: &Item<'_>,
    definitions: &Definitions,
) -> Result<Vec<(String, String)>, String> {
    let Item::Node { type_id, .. } = item else {
        return Err("the input is no resource".to_owned());
    };
    let options = Options {
        root: Some(*type_id),
        check: true,
        exact: true,
        json_names: false,
    };
    let expression =
        Expression::compile_with(text, definitions, &options).map_err(|error| error.to_string())?;
    let context = Context {
        now: Temporal::parse_date_time("2026-03-02T10:00:00.000+01:00"),
        ..Context::new(definitions)
    };
    let items = expression
        .evaluate(&context, item.clone())
        .map_err(|error| error.to_string())?;
    Ok(items.iter().map(|item| output(item, definitions)).collect())
}

fn output(item: &Item<'_>, definitions: &Definitions) -> (String, String) {
    let type_name = item.type_name(definitions);
    let kind = match item {
        Item::Node { .. } => type_name.to_owned(),
        _ => type_name[..1].to_lowercase() + &type_name[1..],
    };
    let value = match item {
        Item::Node { element, .. } => {
            let text = element.value_text().unwrap_or_default();
            match kind.as_str() {
                "date" | "dateTime" | "instant" => format!("@{text}"),
                "time" => format!("@T{text}"),
                _ => text.into_owned(),
            }
        }
        Item::String(text) => text.to_string(),
        Item::Type(TypeInfo::System(_)) => type_name.to_owned(),
        _ => format!("{item:?}"),
    };
    (kind, value)
}
