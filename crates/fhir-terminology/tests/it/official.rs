//! The official terminology cases (`tx.tgz`, HL7/fhir-tx-ecosystem-ig) that concern these operations.
//!
//! A case agrees if the same codes are listed, or the same is said of a code: result, code, system,
//! version, display, and issues by severity, kind and place. Texts are our own. Whole suites of
//! another mode or operation are left out by name; cases that do not agree are listed with the
//! reason, and the list is checked both ways.

use std::collections::{BTreeMap, BTreeSet};

use fhir_model::definition::{Builder, Definitions};
use fhir_terminology::expand::Stamp;
use fhir_terminology::validate_code::Scope;
use fhir_terminology::{Error, Parameters, expand, lookup, validate_code};
use serde_json::Value;

use crate::official::known::{DISAGREE, LEFT_OUT, MODE};
use crate::shared::archive;

mod known;

type Files = BTreeMap<String, Value>;

const STAMP: Stamp<'static> = Stamp {
    identifier: "urn:uuid:6f0f1f10-4f3b-4f4e-8f3f-2f0f1f104f3b",
    timestamp: "2026-03-02T10:00:00Z",
};

#[test]
fn the_official_cases_agree_or_are_explained() {
    let Some(files) = files() else { return };
    let suites = files.get("test-cases.json").unwrap();
    let (mut agree, mut left_out) = (0, 0);
    let mut wrong = Vec::new();
    for suite in list(suites, "suites") {
        let definitions = definitions(&files, suite);
        for case in list(suite, "tests") {
            let name = text(case, "name");
            if is_left_out(suite, case) {
                left_out += 1;
                continue;
            }
            let difference = differs(&definitions, &files, case);
            let is_known = DISAGREE.iter().any(|(known, _)| *known == name);
            match (difference, is_known) {
                (None, false) => agree += 1,
                (Some(_), true) => {}
                (Some(difference), false) => wrong.push(format!("{name}: {difference}")),
                (None, true) => wrong.push(format!("{name} agrees and is listed as if it did not")),
            }
        }
    }
    println!(
        "{agree} agree, {} are explained, {left_out} left out",
        DISAGREE.len()
    );
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn files() -> Option<Files> {
    let is_json = |path: &str| {
        std::path::Path::new(path)
            .extension()
            .is_some_and(|it| it == "json")
    };
    let files = archive("tx.tgz", is_json)?;
    let parsed = files.into_iter().map(|(path, text)| {
        let text = text.trim_start_matches('\u{feff}');
        let name = path.strip_prefix("tx/").unwrap_or(&path).to_owned();
        (name, serde_json::from_str(text).unwrap_or_default())
    });
    Some(parsed.collect())
}

fn definitions(files: &Files, suite: &Value) -> Definitions {
    let mut builder = Builder::new();
    for file in list(suite, "setup") {
        let resource = file.as_str().and_then(|file| files.get(file)).unwrap();
        builder.add(resource.clone());
    }
    builder.finish().0
}

fn is_left_out(suite: &Value, case: &Value) -> bool {
    let mode = |value: &Value| {
        let mode = value.get("mode").and_then(Value::as_str);
        mode.is_some_and(|mode| mode != MODE)
    };
    let names = [text(suite, "name"), text(case, "operation")];
    let is_named = LEFT_OUT.iter().any(|(name, _)| names.contains(name));
    mode(suite) || mode(case) || is_named
}

/// How the answer differs from the expected one.
fn differs(definitions: &Definitions, files: &Files, case: &Value) -> Option<String> {
    let file = |name: &str| files.get(text(case, name));
    let mut request = Parameters::from_resource(file("request")?).unwrap();
    for parameter in file("profile")
        .into_iter()
        .flat_map(|it| list(it, "parameter"))
    {
        if let Some((_, value)) = parameter
            .as_object()
            .and_then(|members| members.iter().find(|(key, _)| key.starts_with("value")))
        {
            let name = text(parameter, "name");
            if name != "uuid" {
                request.push(name, value.clone());
            }
        }
    }
    let answer = match text(case, "operation") {
        "expand" => expand(definitions, &request, &STAMP),
        "validate-code" => validate_code(definitions, Scope::ValueSet, &request),
        "cs-validate-code" => validate_code(definitions, Scope::CodeSystem, &request),
        "lookup" => lookup(definitions, &request),
        other => return Some(format!("there is no operation {other}")),
    };
    let expected = file("response")?;
    compare(expected, answer)
}

fn compare(expected: &Value, answer: Result<Value, Error>) -> Option<String> {
    let is_error = text(expected, "resourceType") == "OperationOutcome";
    let answer = match answer {
        Err(_) if is_error => return None,
        Err(error) => return Some(format!("refused: {error}")),
        Ok(answer) if is_error => return Some(format!("not refused: {answer}")),
        Ok(answer) => answer,
    };
    let (wanted, found) = if text(expected, "resourceType") == "ValueSet" {
        (listed(expected), listed(&answer))
    } else {
        (said(expected, &answer), said(&answer, &answer))
    };
    let difference = |left: &BTreeSet<String>, right: &BTreeSet<String>| {
        left.difference(right)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ")
    };
    (wanted != found).then(|| {
        format!(
            "lacks [{}], has [{}]",
            difference(&wanted, &found),
            difference(&found, &wanted)
        )
    })
}

/// The codes of an expansion, each with what it is nested in.
fn listed(value_set: &Value) -> BTreeSet<String> {
    fn walk(contains: &[Value], within: &str, all: &mut BTreeSet<String>) {
        for entry in contains {
            let flags: Vec<String> = ["abstract", "inactive"]
                .iter()
                .filter(|name| entry.get(**name) == Some(&Value::Bool(true)))
                .map(|name| format!(" {name}"))
                .collect();
            let designations: BTreeSet<&str> = list(entry, "designation")
                .iter()
                .map(|it| text(it, "value"))
                .collect();
            let code = text(entry, "code");
            all.insert(format!(
                "{within}{}#{code} {:?}{} {designations:?}",
                text(entry, "system"),
                text(entry, "display"),
                flags.concat(),
            ));
            walk(list(entry, "contains"), &format!("{within}{code}/"), all);
        }
    }
    let mut all = BTreeSet::new();
    let Some(expansion) = value_set.get("expansion") else {
        return all;
    };
    walk(list(expansion, "contains"), "", &mut all);
    if let Some(total) = expansion.get("total") {
        all.insert(format!("total {total}"));
    }
    all
}

/// What `Parameters` say, as far as it can be expected to be the same.
fn said(parameters: &Value, answer: &Value) -> BTreeSet<String> {
    const COMPARED: &[&str] = &[
        "result", "code", "system", "display", "inactive", "name", "version",
    ];
    let has = |name: &str| {
        list(answer, "parameter")
            .iter()
            .any(|it| text(it, "name") == name)
    };
    let mut all = BTreeSet::new();
    for parameter in list(parameters, "parameter") {
        let name = text(parameter, "name");
        let is_optional = parameter.get("$optional$").is_some() && !has(name);
        if COMPARED.contains(&name) && !is_optional {
            let value = parameter.as_object().unwrap().iter();
            let value = value.clone().find(|(key, _)| key.starts_with("value"));
            all.insert(format!("{name} {}", value.unwrap().1));
        }
        let outcome = parameter.get("resource").filter(|_| name == "issues");
        for issue in outcome.into_iter().flat_map(|it| list(it, "issue")) {
            let details = issue.get("details").unwrap_or(&Value::Null);
            let kind = list(details, "coding")
                .first()
                .map_or("", |it| text(it, "code"));
            let place = list(issue, "expression").first().and_then(Value::as_str);
            all.insert(format!(
                "issue {} {} {kind} {}",
                text(issue, "severity"),
                text(issue, "code"),
                place.unwrap_or_default()
            ));
        }
    }
    all
}

fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    let list = object.get(name).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}
