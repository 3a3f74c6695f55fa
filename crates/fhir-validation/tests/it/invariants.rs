//! Invariants of types, of elements and of profiles: where they are evaluated and what is said.

use fhir_model::issue::Severity;
use fhir_validation::Options;
use serde_json::{Value, json};

use crate::support::{core, core_with, validate};

/// The resource has exactly these issues: location and rule.
#[track_caller]
fn check(resource: &Value, expected: &[(&str, &str)]) {
    let issues = validate(core(), &resource.to_string(), &Options::default());
    let found: Vec<_> = issues
        .iter()
        .map(|issue| (issue.location.as_str(), issue.rule.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(found, expected, "{issues:#?}");
}

fn patient(property: &str, value: Value) -> Value {
    let mut resource = json!({"resourceType": "Patient"});
    resource[property] = value;
    resource
}

fn observation(property: &str, value: Value) -> Value {
    let mut resource = json!({
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "valueQuantity": {"value": 70},
    });
    resource[property] = value;
    resource
}

#[test]
fn invariants_of_data_types_and_nested_elements() {
    check(
        &patient(
            "telecom",
            json!([{"system": "phone", "value": "1"}, {"value": "2"}]),
        ),
        &[("Patient.telecom[1]", "cpt-2")],
    );
    check(
        &patient("contact", json!([{"gender": "male"}])),
        &[("Patient.contact[0]", "pat-1")],
    );
    check(
        &observation("valueQuantity", json!({"value": 70, "code": "kg"})),
        &[("Observation.value", "qty-3")],
    );
    check(
        &observation("referenceRange", json!([{"type": {"text": "normal"}}])),
        &[("Observation.referenceRange[0]", "obs-3")],
    );
}

#[test]
fn invariants_of_resources() {
    check(
        &json!({"resourceType": "Organization", "active": true}),
        &[("Organization", "org-1")],
    );
    check(
        &observation("dataAbsentReason", json!({"text": "lost"})),
        &[("Observation", "obs-6")],
    );
    let component = json!([{
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "valueInteger": 1,
    }]);
    check(
        &observation("component", component),
        &[("Observation", "obs-7")],
    );
    check(
        &patient(
            "contained",
            json!([{"resourceType": "Basic", "id": "b", "code": {"text": "x"}}]),
        ),
        &[("Patient.contained[0]", "dom-3")],
    );
    check(
        &json!({"resourceType": "Bundle", "type": "transaction", "total": 1}),
        &[("Bundle", "bdl-1")],
    );
    check(
        &json!({"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": {"resourceType": "Patient", "active": true}}]}),
        &[("Bundle", "bdl-3")],
    );
}

#[test]
fn invariants_of_elements_that_are_not_of_their_types() {
    let organization = |property: &str, value: Value| {
        let mut resource = json!({"resourceType": "Organization", "name": "Clinic"});
        resource[property] = value;
        resource
    };
    check(
        &organization(
            "address",
            json!([{"city": "Essen"}, {"use": "home", "city": "Essen"}]),
        ),
        &[("Organization.address[1]", "org-2")],
    );
    check(
        &organization(
            "telecom",
            json!([{"system": "phone", "use": "home", "value": "1"}]),
        ),
        &[("Organization.telecom[0]", "org-3")],
    );
}

#[test]
fn a_contained_resource_is_held_to_its_own() {
    let resource = json!({
        "resourceType": "Observation",
        "contained": [{"resourceType": "Patient", "id": "p", "contact": [{"gender": "male"}]}],
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": "#p"},
    });
    check(
        &resource,
        &[("Observation.contained[0].contact[0]", "pat-1")],
    );
}

#[test]
fn periods_are_compared_as_far_as_they_are_known() {
    let period = |start: &str, end: &str| {
        patient(
            "name",
            json!([{"family": "A", "period": {"start": start, "end": end}}]),
        )
    };
    check(&period("2026-03-01", "2026-03-02"), &[]);
    check(&period("2026-03-02", "2026-03"), &[]);
    check(
        &period("2026-03-02", "2026-03-01"),
        &[("Patient.name[0].period", "per-1")],
    );
}

#[test]
fn what_has_the_wrong_shape_is_not_held_to_invariants() {
    check(
        &json!({"resourceType": "Organization", "telecom": [{"system": "telephone"}]}),
        &[("Organization.telecom[0].system", "ContactPoint.system")],
    );
}

#[test]
fn invariants_can_be_left_out() {
    let resource = json!({"resourceType": "Organization", "active": true}).to_string();
    let options = Options {
        invariants: false,
        ..Options::default()
    };
    assert_eq!(validate(core(), &resource, &options), []);
}

#[test]
fn advice_is_given_on_request() {
    let patient = json!({"resourceType": "Patient", "active": true}).to_string();
    let asked = |best_practice: bool| {
        let options = Options {
            best_practice,
            ..Options::default()
        };
        let issues = validate(core(), &patient, &options);
        let found = issues.into_iter().map(|issue| (issue.severity, issue.rule));
        found.collect::<Vec<_>>()
    };
    assert_eq!(asked(false), []);
    let narrative = (Severity::Warning, Some("dom-6".to_owned()));
    assert_eq!(asked(true), [narrative]);
}

#[test]
fn a_profile_adds_invariants_where_it_says() {
    const URL: &str = "http://example.org/StructureDefinition/reachable";
    let constraint = |key: &str, severity: &str, expression: &str| json!([{"key": key, "severity": severity, "human": "Words", "expression": expression, "source": URL}]);
    let profile = json!({
        "resourceType": "StructureDefinition", "url": URL, "name": "Reachable", "status": "draft",
        "kind": "resource", "abstract": false, "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "snapshot": {"element": [
            {"id": "Patient", "path": "Patient", "min": 0, "max": "*",
                "constraint": constraint("own-1", "error", "telecom.exists() or contact.exists()")},
            {"id": "Patient.name", "path": "Patient.name", "min": 0, "max": "*", "type": [{"code": "HumanName"}],
                "constraint": constraint("own-2", "warning", "family.exists()")},
            {"id": "Patient.gender", "path": "Patient.gender", "min": 0, "max": "1", "type": [{"code": "code"}],
                "constraint": constraint("own-3", "error", "$this in ('male' | 'female')")},
            {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 0, "max": "1", "type": [{"code": "date"}],
                "constraint": constraint("own-4", "error", "this is no expression")},
        ]},
    });
    let validator = core_with(&[&profile.to_string()]);
    let resource = json!({
        "resourceType": "Patient", "meta": {"profile": [URL]}, "gender": "other",
        "name": [{"text": "Anna"}, {"family": "Example"}], "birthDate": "1970",
    });
    let issues = validate(&validator, &resource.to_string(), &Options::default());
    let found: Vec<_> = issues
        .iter()
        .map(|issue| {
            (
                issue.severity,
                issue.location.as_str(),
                issue.rule.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (Severity::Warning, "Patient.name[0]", Some("own-2")),
            (Severity::Error, "Patient.gender", Some("own-3")),
            (Severity::Information, "Patient.birthDate", Some("own-4")),
            (Severity::Error, "Patient", Some("own-1")),
        ]
    );
    let unchecked = "Not checked, as the expression of own-4 cannot be evaluated: Words";
    let texts: Vec<_> = issues.iter().map(|issue| issue.text.as_str()).collect();
    assert_eq!(texts, ["Words", "Words", unchecked, "Words"]);
}
