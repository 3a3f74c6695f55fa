//! Values of resources: by hand for each type, then of all examples of the specification.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use fhir_model::key::ResourceType;
use fhir_model::tree::{Limits, Tree};
use flate2::read::GzDecoder;
use serde_json::Value;

use super::*;
use crate::definitions::embedded;
use crate::search::matching::{Candidate, matches};
use crate::search::query::{Context, Handling, escape, parse};
use crate::search::value::{DateRange, Quantity};

const BASE_URL: &str = "https://baton.example/fhir";

static EXTRACTOR: LazyLock<Extractor> =
    LazyLock::new(|| Extractor::new(embedded(), BaseUrl::new(BASE_URL)));

fn extract(json: &str) -> (String, Extracted) {
    let definitions = embedded();
    let tree = Tree::parse(json, definitions.names(), &Limits::default()).unwrap();
    let resource = tree.element();
    let name = resource.resource_type().unwrap().into_owned();
    let type_id = definitions.resource_type(&name).unwrap();
    (name, EXTRACTOR.extract(resource, type_id))
}

fn micros(at: i64) -> String {
    match at {
        i64::MIN | i64::MAX => "*".to_owned(),
        at => {
            let at = DateTime::from_timestamp_micros(at).unwrap();
            at.format("%Y-%m-%dT%H:%M:%S%.f").to_string()
        }
    }
}

fn end(number: f64) -> String {
    let is_open = number.abs() >= f64::MAX;
    if is_open {
        "*".to_owned()
    } else {
        number.to_string()
    }
}

fn describe_target(target: &Target) -> String {
    match target {
        Target::Local(resource_type, id) => format!("{resource_type}/{id}"),
        Target::Url(url) => url.clone(),
    }
}

/// The values of one parameter, in words.
fn describe(values: &SearchValues, parameter: ParameterId) -> Vec<String> {
    let mut words = Vec::new();
    let of = |id: ParameterId| id == parameter;
    let tokens = values.tokens.iter().filter(|value| of(value.parameter));
    words.extend(tokens.map(|token| format!("{}|{}", token.system, token.code)));
    let strings = values.strings.iter().filter(|value| of(value.parameter));
    words.extend(strings.map(|text| format!("{} = {}", text.normalised, text.exact)));
    let dates = values.dates.iter().filter(|value| of(value.parameter));
    words.extend(dates.map(|date| format!("{} {}", micros(date.low), micros(date.high))));
    let references = values.references.iter().filter(|value| of(value.parameter));
    words.extend(references.map(|reference| describe_target(&reference.target)));
    let quantities = values.quantities.iter().filter(|value| of(value.parameter));
    words.extend(quantities.map(|quantity| {
        let (low, high) = (end(quantity.low), end(quantity.high));
        format!("{low} {high} {}|{}", quantity.system, quantity.code)
    }));
    let numbers = values.numbers.iter().filter(|value| of(value.parameter));
    words.extend(numbers.map(|number| format!("{} {}", end(number.low), end(number.high))));
    let uris = values.uris.iter().filter(|value| of(value.parameter));
    words.extend(uris.map(|uri| uri.uri.clone()));
    words
}

#[track_caller]
fn check(json: &str, code: &str, expected: &[&str]) {
    let (resource_type, extracted) = extract(json);
    assert_eq!(extracted.problems, []);
    let parameter = ParameterId::new(&resource_type, code);
    assert_eq!(
        describe(&extracted.values, parameter),
        expected,
        "{code} of {json}"
    );
}

#[test]
fn tokens_of_each_type() {
    let patient = r#"{"resourceType": "Patient", "active": true, "gender": "male",
        "meta": {"tag": [{"system": "urn:t", "code": "x"}]},
        "identifier": [{"system": "urn:mrn", "value": "42"}, {"value": "B"}, {"system": "urn:none"}],
        "telecom": [{"system": "phone", "value": "555-1"}, {"system": "email", "value": "Eve@A.org"}],
        "communication": [{"language": {"text": "none", "coding": [
            {"system": "urn:ietf:bcp:47", "code": "de"}, {"code": "gsw"}, {"display": "none"}]}}],
        "deceasedDateTime": "2020-01-01"}"#;
    check(patient, "active", &["|true"]);
    check(patient, "gender", &["|male"]);
    check(patient, "_tag", &["urn:t|x"]);
    check(patient, "identifier", &["|B", "urn:mrn|42"]);
    check(patient, "telecom", &["|555-1", "|eve@a.org"]);
    check(patient, "email", &["|eve@a.org"]);
    check(patient, "phone", &["|555-1"]);
    check(patient, "language", &["|gsw", "urn:ietf:bcp:47|de"]);
    check(patient, "deceased", &["|true"]);
    let patient = r#"{"resourceType": "Patient", "deceasedBoolean": false}"#;
    check(patient, "deceased", &["|false"]);
    check(r#"{"resourceType": "Patient"}"#, "deceased", &["|false"]);
}

#[test]
fn strings_of_each_type() {
    let patient = r#"{"resourceType": "Patient",
        "name": [{"text": "Dr. Ève  O'Hara", "family": "O'Hara", "given": ["Ève", "Ada"],
                  "prefix": ["Dr."]}, {"family": "Ohara"}],
        "address": [{"line": ["1 Main St"], "city": "Ulm", "postalCode": "89073", "use": "home"}]}"#;
    check(
        patient,
        "name",
        &[
            "ada = Ada",
            "dr. = Dr.",
            "dr. eve o'hara = Dr. Ève  O'Hara",
            "eve = Ève",
            "eve ada o'hara = Ève Ada O'Hara",
            "o'hara = O'Hara",
            "ohara = Ohara",
        ],
    );
    check(patient, "family", &["o'hara = O'Hara", "ohara = Ohara"]);
    check(
        patient,
        "address",
        &["1 main st = 1 Main St", "89073 = 89073", "ulm = Ulm"],
    );
    check(patient, "address-city", &["ulm = Ulm"]);
    check(patient, "address-use", &["|home"]);
    // A primitive that has only an extension has no value.
    let patient = r#"{"resourceType": "Patient", "name": [{"_family": {"id": "a"}}]}"#;
    check(patient, "name", &[]);
}

#[test]
fn dates_of_each_type() {
    check(
        r#"{"resourceType": "Patient", "birthDate": "1970-03"}"#,
        "birthdate",
        &["1970-03-01T00:00:00 1970-04-01T00:00:00"],
    );
    let observation =
        |effective: &str| format!(r#"{{"resourceType": "Observation", {effective}}}"#);
    check(
        &observation(r#""effectiveDateTime": "2013-01-14T10:00:00+01:00""#),
        "date",
        &["2013-01-14T09:00:00 2013-01-14T09:00:01"],
    );
    check(
        &observation(r#""effectivePeriod": {"start": "2013-01", "end": "2013-02-03"}"#),
        "date",
        &["2013-01-01T00:00:00 2013-02-04T00:00:00"],
    );
    check(
        &observation(r#""effectivePeriod": {"start": "2013-01"}"#),
        "date",
        &["2013-01-01T00:00:00 *"],
    );
    check(
        &observation(r#""effectivePeriod": {"end": "2013-01"}"#),
        "date",
        &["* 2013-02-01T00:00:00"],
    );
    check(
        &observation(r#""effectivePeriod": {"id": "x"}"#),
        "date",
        &[],
    );
    check(
        &observation(
            r#""effectiveTiming": {"event": ["2013-03-24", "2013-01-31"],
                "repeat": {"boundsPeriod": {"start": "2013-02-01", "end": "2013-04-01"}}}"#,
        ),
        "date",
        &["2013-01-31T00:00:00 2013-04-02T00:00:00"],
    );
    check(
        &observation(r#""effectiveInstant": "2015-02-07T13:28:17.239Z""#),
        "date",
        &["2015-02-07T13:28:17.239 2015-02-07T13:28:17.240"],
    );
}

#[test]
fn references_of_each_type() {
    let observation = |subject: &str| {
        format!(r#"{{"resourceType": "Observation", "subject": {{"reference": "{subject}"}}}}"#)
    };
    for (reference, subject, patient) in [
        ("Patient/1", "Patient/1", true),
        ("Patient/1/_history/2", "Patient/1", true),
        ("https://baton.example/fhir/Patient/1", "Patient/1", true),
        (
            "http://a.org/fhir/Patient/1",
            "http://a.org/fhir/Patient/1",
            true,
        ),
        ("Group/1", "Group/1", false),
        (
            "urn:uuid:0b2c0b2c-0000-4000-8000-000000000001",
            "urn:uuid:0b2c0b2c-0000-4000-8000-000000000001",
            false,
        ),
    ] {
        check(&observation(reference), "subject", &[subject]);
        let expected: &[&str] = if patient { &[subject] } else { &[] };
        check(&observation(reference), "patient", expected);
    }
    check(&observation("#contained"), "subject", &[]);
    check(
        r#"{"resourceType": "Observation", "subject": {"identifier": {"value": "1"}}}"#,
        "subject",
        &[],
    );
    check(
        r#"{"resourceType": "CarePlan", "instantiatesCanonical": ["http://a.org/p|2", "http://a.org/q"]}"#,
        "instantiates-canonical",
        &["http://a.org/p", "http://a.org/p|2", "http://a.org/q"],
    );
}

#[test]
fn quantities_and_numbers_of_each_type() {
    let observation = |value: &str| format!(r#"{{"resourceType": "Observation", {value}}}"#);
    check(
        &observation(
            r#""valueQuantity": {"value": 5.40, "unit": "mg", "system": "urn:u", "code": "mg_"}"#,
        ),
        "value-quantity",
        &["5.4 5.4 urn:u|mg_"],
    );
    check(
        &observation(r#""valueQuantity": {"value": 3, "comparator": "<=", "unit": "mg"}"#),
        "value-quantity",
        &["* 3 |mg"],
    );
    check(
        &observation(r#""valueQuantity": {"unit": "mg"}"#),
        "value-quantity",
        &[],
    );
    check(
        r#"{"resourceType": "Invoice", "totalGross": {"value": 48, "currency": "EUR"}}"#,
        "totalgross",
        &["48 48 urn:iso:std:iso:4217|EUR"],
    );
    check(
        r#"{"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": 0.02}]}"#,
        "probability",
        &["0.02 0.02"],
    );
    check(
        r#"{"resourceType": "RiskAssessment", "prediction": [{"probabilityRange": {"high": {"value": 10}}}]}"#,
        "probability",
        &["* 10"],
    );
    check(
        r#"{"resourceType": "MolecularSequence", "coordinateSystem": 1, "variant": [{"start": 128273724}]}"#,
        "variant-start",
        &["128273724 128273724"],
    );
}

#[test]
fn uris_of_each_type() {
    let plan = r#"{"resourceType": "PlanDefinition", "url": "http://a.org/P",
        "meta": {"profile": ["http://a.org/s|1"], "source": "urn:feed:a"}}"#;
    check(plan, "url", &["http://a.org/P"]);
    check(plan, "_profile", &["http://a.org/s", "http://a.org/s|1"]);
    check(plan, "_source", &["urn:feed:a"]);
}

#[track_caller]
fn check_patients(json: &str, expected: &[&str]) {
    let (_, extracted) = extract(json);
    assert_eq!(extracted.patients, expected, "{json}");
}

#[test]
fn a_resource_is_in_the_compartments_of_its_patients() {
    check_patients(r#"{"resourceType": "Patient", "id": "a"}"#, &["a"]);
    check_patients(
        r#"{"resourceType": "Patient", "id": "a",
            "link": [{"type": "replaces", "other": {"reference": "Patient/b"}}]}"#,
        &["a", "b"],
    );
    check_patients(
        r#"{"resourceType": "Observation", "subject": {"reference": "Patient/a"},
            "performer": [{"reference": "Patient/a"}, {"reference": "Practitioner/b"}],
            "focus": [{"reference": "Patient/c"}]}"#,
        &["a"],
    );
    check_patients(
        r#"{"resourceType": "Observation", "subject": {"reference": "http://a.org/Patient/a"}}"#,
        &[],
    );
    check_patients(r#"{"resourceType": "Organization", "id": "a"}"#, &[]);
}

#[test]
fn every_expression_of_every_type_compiles() {
    let definitions = embedded();
    let types: Vec<TypeId> = definitions.concrete_resource_types().collect();
    assert_eq!(types.len(), 146);
    for type_id in types {
        let plan = EXTRACTOR.plan(type_id).unwrap();
        assert_eq!(plan.problems, [], "{}", definitions.type_name(type_id));
        let count = parameter::all(&definitions, type_id).count();
        assert_eq!(plan.parameters.len(), count);
    }
}

/// The examples of the specification by name; none, with a word why, where they are not at hand.
fn examples() -> Vec<(String, String)> {
    #[expect(clippy::disallowed_methods, reason = "where the data for tests are")]
    let folder = std::env::var("BATON_SHARED_DATA").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let Ok(archive) = File::open(folder.join("tests/ig-examples.tgz")) else {
        println!("left out: the examples of the specification are not at hand");
        return Vec::new();
    };
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let mut examples = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if path.contains("/r4-spec/") && !path.ends_with('/') {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            examples.push((path, text));
        }
    }
    assert!(examples.len() > 300);
    examples
}

#[test]
fn every_example_is_found_by_its_values() {
    let (mut resources, mut values, mut asked) = (0, 0, 0);
    for (path, text) in examples() {
        let (resource_type, extracted) = extract(&text);
        assert_eq!(extracted.problems, [], "{path}");
        let queries = queries(&resource_type, &extracted.values);
        resources += 1;
        values += queries.len();
        for (parameter, query) in queries {
            assert!(
                finds(&resource_type, &extracted, parameter, &query),
                "{path}: {query:?}"
            );
            asked += 1;
        }
    }
    println!("{resources} resources, {values} values, {asked} queries");
}

/// For each value a query that names it: parameter and value.
fn queries(resource_type: &str, values: &SearchValues) -> Vec<(ParameterId, String)> {
    let mut queries = Vec::new();
    for token in &values.tokens {
        let value = match token.system.as_str() {
            "" => escape(&token.code),
            system => format!("{}|{}", escape(system), escape(&token.code)),
        };
        queries.push((token.parameter, value));
    }
    for text in &values.strings {
        queries.push((text.parameter, escape(&text.exact)));
    }
    for date in &values.dates {
        queries.extend(date_query(date).map(|value| (date.parameter, value)));
    }
    for reference in &values.references {
        queries.push((
            reference.parameter,
            escape(&describe_target(&reference.target)),
        ));
    }
    for quantity in &values.quantities {
        queries.extend(quantity_query(quantity).map(|value| (quantity.parameter, value)));
    }
    let numbers = values.numbers.iter();
    for number in numbers.filter(|number| is_point(number.low, number.high)) {
        queries.push((number.parameter, number.low.to_string()));
    }
    for uri in &values.uris {
        queries.push((uri.parameter, escape(&uri.uri)));
    }
    assert!(
        queries.iter().all(|(_, value)| !value.is_empty()),
        "{resource_type}"
    );
    queries
}

fn is_point(low: f64, high: f64) -> bool {
    low.total_cmp(&high).is_eq()
}

/// A query for the beginning of an interval.
fn date_query(date: &DateRange) -> Option<String> {
    let low = DateTime::from_timestamp_micros(date.low)?;
    Some(format!("ge{}", low.format("%Y-%m-%dT%H:%M:%S%.6fZ"))).filter(|_| date.low != i64::MIN)
}

fn quantity_query(quantity: &Quantity) -> Option<String> {
    let number = is_point(quantity.low, quantity.high).then_some(quantity.low)?;
    Some(match (quantity.system.as_str(), quantity.code.as_str()) {
        ("", "") => number.to_string(),
        (system, code) => format!("{number}|{}|{}", escape(system), escape(code)),
    })
}

/// Whether a resource is among the matches of a search by one of its own values.
fn finds(resource_type: &str, extracted: &Extracted, parameter: ParameterId, value: &str) -> bool {
    let definitions = embedded();
    let type_id = definitions.resource_type(resource_type).unwrap();
    let code = parameter::all(&definitions, type_id)
        .find(|found| found.id == parameter)
        .unwrap()
        .code;
    let context = Context {
        definitions: &definitions,
        unindexed: &HashSet::new(),
        base_url: &BaseUrl::new(BASE_URL),
        handling: Handling::Strict,
        count_default: 20,
        count_max: 20,
        now: DateTime::<Utc>::UNIX_EPOCH,
    };
    let searched = ResourceType::parse(resource_type).unwrap();
    let pairs = [(code.to_owned(), value.to_owned())];
    let parsed = parse(&context, &searched.clone().into(), &pairs)
        .unwrap_or_else(|issues| panic!("{issues:?}"));
    let id = LogicalId::parse("a").unwrap();
    let candidate = Candidate {
        resource_type: &searched,
        id: &id,
        last_updated: 0,
        patients: &extracted.patients,
        values: &extracted.values,
    };
    parsed
        .search
        .filters
        .iter()
        .all(|filter| matches(candidate, filter, &[]))
}

/// Reference parameters whose expression is a path without choices: a walk along the JSON finds
/// the same.
const PLAIN_REFERENCES: &[(&str, &str, &str)] = &[
    ("Appointment", "actor", "participant.actor"),
    ("CarePlan", "goal", "goal"),
    ("CarePlan", "part-of", "partOf"),
    ("CarePlan", "subject", "subject"),
    ("CareTeam", "participant", "participant.member"),
    ("Claim", "care-team", "careTeam.provider"),
    ("Condition", "evidence-detail", "evidence.detail"),
    ("DiagnosticReport", "result", "result"),
    ("Encounter", "diagnosis", "diagnosis.condition"),
    ("Encounter", "location", "location.location"),
    ("Encounter", "participant", "participant.individual"),
    ("Group", "member", "member.entity"),
    ("List", "item", "entry.item"),
    ("Observation", "encounter", "encounter"),
    ("Observation", "has-member", "hasMember"),
    ("Observation", "performer", "performer"),
    ("Patient", "general-practitioner", "generalPractitioner"),
    ("Patient", "link", "link.other"),
    ("Provenance", "target", "target"),
    ("Task", "focus", "focus"),
    ("Task", "owner", "owner"),
];

#[test]
fn references_are_those_that_a_walk_along_the_json_finds() {
    let mut found = 0;
    for (path, text) in examples() {
        let json: Value = serde_json::from_str(&text).unwrap();
        let resource_type = json["resourceType"].as_str().unwrap();
        let plain = PLAIN_REFERENCES.iter().filter(|row| row.0 == resource_type);
        let mut extracted = None;
        for (_, code, steps) in plain {
            let (_, extracted) = extracted.get_or_insert_with(|| extract(&text));
            let parameter = ParameterId::new(resource_type, code);
            let actual: BTreeSet<String> =
                describe(&extracted.values, parameter).into_iter().collect();
            let expected = walk(&json, &steps.split('.').collect::<Vec<_>>());
            found += expected.len();
            assert_eq!(actual, expected, "{code} of {path}");
        }
    }
    println!("{found} references");
}

/// The literal references at the end of a path, without contained ones and versions.
fn walk(value: &Value, steps: &[&str]) -> BTreeSet<String> {
    if let Value::Array(items) = value {
        return items.iter().flat_map(|item| walk(item, steps)).collect();
    }
    let Some((step, rest)) = steps.split_first() else {
        let text = value["reference"]
            .as_str()
            .filter(|text| !text.starts_with('#'));
        let text = text.map(|text| text.split("/_history/").next().unwrap_or(text).to_owned());
        return text.into_iter().collect();
    };
    walk(&value[*step], rest)
}
