//! Profiles: what each of their rules finds, and what it leaves alone.
//!
//! The profiles here have no more of a snapshot than the rules that a test is about.

use std::sync::OnceLock;

use fhir_validation::{Level, Options, Validator};
use serde_json::{Value, json};

use crate::support::{core, core_with, parse, profile, quiet, validate};

const PATIENT: &str = "http://example.org/StructureDefinition/panel-patient";
const WEIGHT: &str = "http://example.org/StructureDefinition/weight";
const FEED: &str = "http://example.org/StructureDefinition/feed";
const RISK: &str = "http://example.org/StructureDefinition/risk";
const GENDERS: &str = "http://example.org/ValueSet/genders";

fn panel_patient() -> String {
    let string = json!([{"code": "string"}]);
    profile(
        PATIENT,
        "Patient",
        &[
            json!({"path": "Patient", "min": 0, "max": "*"}),
            json!({"path": "Patient.extension", "min": 1, "max": "*", "type": [{"code": "Extension"}],
                "slicing": {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}}),
            json!({"id": "Patient.extension:risk", "path": "Patient.extension", "sliceName": "risk", "min": 1, "max": "1",
                "type": [{"code": "Extension", "profile": [RISK]}]}),
            json!({"path": "Patient.identifier", "min": 1, "max": "*", "type": [{"code": "Identifier"}],
                "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}}),
            json!({"id": "Patient.identifier:mrn", "path": "Patient.identifier", "sliceName": "mrn", "min": 1, "max": "1",
                "type": [{"code": "Identifier"}]}),
            json!({"id": "Patient.identifier:mrn.system", "path": "Patient.identifier.system", "min": 1, "max": "1",
                "type": [{"code": "uri"}], "fixedUri": "http://example.org/mrn"}),
            json!({"id": "Patient.identifier:mrn.value", "path": "Patient.identifier.value", "min": 1, "max": "1",
                "type": string, "maxLength": 6}),
            json!({"path": "Patient.active", "min": 0, "max": "1", "type": [{"code": "boolean"}], "fixedBoolean": true}),
            json!({"path": "Patient.telecom", "min": 0, "max": "2", "type": [{"code": "ContactPoint"}],
                "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": "closed"}}),
            json!({"id": "Patient.telecom:phone", "path": "Patient.telecom", "sliceName": "phone", "min": 0, "max": "*",
                "type": [{"code": "ContactPoint"}]}),
            json!({"id": "Patient.telecom:phone.system", "path": "Patient.telecom.system", "min": 1, "max": "1",
                "type": [{"code": "code"}], "patternCode": "phone"}),
            json!({"path": "Patient.gender", "min": 0, "max": "1", "type": [{"code": "code"}],
                "binding": {"strength": "required", "valueSet": GENDERS}}),
            json!({"path": "Patient.birthDate", "min": 1, "max": "1", "type": [{"code": "date"}]}),
            json!({"path": "Patient.deceased[x]", "min": 0, "max": "1", "type": [{"code": "boolean"}]}),
            json!({"path": "Patient.maritalStatus", "min": 0, "max": "1", "type": [{"code": "CodeableConcept"}],
                "patternCodeableConcept": {"coding": [{"system": "http://example.org/marital", "code": "M"}]}}),
            json!({"path": "Patient.photo", "min": 0, "max": "0", "type": [{"code": "Attachment"}]}),
            json!({"path": "Patient.generalPractitioner", "min": 0, "max": "*", "type": [{"code": "Reference",
                "targetProfile": ["http://hl7.org/fhir/StructureDefinition/Practitioner"]}]}),
        ],
    )
}

fn risk() -> String {
    profile(
        RISK,
        "Extension",
        &[
            json!({"path": "Extension", "min": 0, "max": "*"}),
            json!({"path": "Extension.url", "min": 1, "max": "1", "type": [{"code": "uri"}], "fixedUri": RISK}),
            json!({"path": "Extension.value[x]", "min": 1, "max": "1", "type": [{"code": "integer"}]}),
        ],
    )
}

fn weight() -> String {
    let value = json!([{"code": "Quantity"}, {"code": "string"}]);
    profile(
        WEIGHT,
        "Observation",
        &[
            json!({"path": "Observation", "min": 0, "max": "*"}),
            json!({"path": "Observation.value[x]", "min": 0, "max": "1", "type": value,
                "slicing": {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"}}),
            json!({"id": "Observation.value[x]:valueQuantity", "path": "Observation.value[x]", "sliceName": "valueQuantity",
                "min": 0, "max": "1", "type": [{"code": "Quantity"}]}),
            json!({"id": "Observation.value[x]:valueQuantity.code", "path": "Observation.value[x].code", "min": 1, "max": "1",
                "type": [{"code": "code"}], "fixedCode": "kg"}),
            json!({"path": "Observation.component", "min": 0, "max": "*", "type": [{"code": "BackboneElement"}],
                "slicing": {"discriminator": [{"type": "pattern", "path": "code"}], "rules": "open"}}),
            json!({"id": "Observation.component:net", "path": "Observation.component", "sliceName": "net", "min": 1, "max": "1",
                "type": [{"code": "BackboneElement"}]}),
            json!({"id": "Observation.component:net.code", "path": "Observation.component.code", "min": 1, "max": "1",
                "type": [{"code": "CodeableConcept"}], "patternCodeableConcept": {"coding": [{"code": "net"}]}}),
            json!({"id": "Observation.component:net.value[x]", "path": "Observation.component.value[x]", "min": 1, "max": "1",
                "type": [{"code": "Quantity"}]}),
        ],
    )
}

fn feed() -> String {
    profile(
        FEED,
        "Bundle",
        &[
            json!({"path": "Bundle", "min": 0, "max": "*"}),
            json!({"path": "Bundle.type", "min": 1, "max": "1", "type": [{"code": "code"}], "fixedCode": "collection"}),
            json!({"path": "Bundle.entry", "min": 0, "max": "*", "type": [{"code": "BackboneElement"}],
                "slicing": {"discriminator": [{"type": "type", "path": "resource"}], "rules": "closed"}}),
            json!({"id": "Bundle.entry:patient", "path": "Bundle.entry", "sliceName": "patient", "min": 1, "max": "1",
                "type": [{"code": "BackboneElement"}]}),
            json!({"id": "Bundle.entry:patient.resource", "path": "Bundle.entry.resource", "min": 1, "max": "1",
                "type": [{"code": "Patient", "profile": [PATIENT]}]}),
            json!({"id": "Bundle.entry:task", "path": "Bundle.entry", "sliceName": "task", "min": 0, "max": "*",
                "type": [{"code": "BackboneElement"}]}),
            json!({"id": "Bundle.entry:task.resource", "path": "Bundle.entry.resource", "min": 1, "max": "1",
                "type": [{"code": "Task"}]}),
        ],
    )
}

fn genders() -> String {
    json!({
        "resourceType": "ValueSet", "url": GENDERS, "name": "Genders", "status": "draft",
        "compose": {"include": [{
            "system": "http://hl7.org/fhir/administrative-gender",
            "concept": [{"code": "male"}, {"code": "female"}],
        }]},
    })
    .to_string()
}

fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| {
        let resources = [panel_patient(), risk(), weight(), feed(), genders()];
        core_with(&resources.each_ref().map(String::as_str))
    })
}

/// The resource has these errors by this profile: location and the element that makes the rule.
#[track_caller]
fn check(resource: &Value, profile: &str, expected: &[(&str, &str)]) {
    let tree = parse(validator(), &resource.to_string());
    let resource_type = tree.resource_type().unwrap();
    let options = quiet();
    let issues = validator().validate(tree.root(), &resource_type, &[profile], &options);
    let found: Vec<_> = issues
        .iter()
        .filter(|issue| issue.is_error())
        .map(|issue| {
            let rule = issue.rule.as_deref().unwrap_or_default();
            let element = rule.split_once('#').map_or(rule, |(_, element)| element);
            (issue.location.as_str(), element)
        })
        .collect();
    assert_eq!(found, expected, "{issues:#?}");
}

fn anna() -> Value {
    json!({
        "resourceType": "Patient",
        "extension": [{"url": RISK, "valueInteger": 7}, {"url": "http://example.org/other", "valueString": "x"}],
        "identifier": [{"system": "http://example.org/other", "value": "123456789"}, {"system": "http://example.org/mrn", "value": "17"}],
        "active": true,
        "telecom": [{"system": "phone", "value": "1"}],
        "gender": "female",
        "birthDate": "1970",
        "deceasedBoolean": false,
        "maritalStatus": {"coding": [{"system": "http://example.org/other", "code": "x"}, {"system": "http://example.org/marital", "code": "M", "display": "Married"}], "text": "married"},
        "generalPractitioner": [{"reference": "Practitioner/1"}],
    })
}

/// Anna with one property replaced; removed, if it is null.
#[track_caller]
fn check_anna(property: &str, value: Value, expected: &[(&str, &str)]) {
    let mut patient = anna();
    if value.is_null() {
        patient.as_object_mut().unwrap().shift_remove(property);
    } else {
        patient[property] = value;
    }
    check(&patient, PATIENT, expected);
}

#[test]
fn cardinality_fixed_values_patterns_types_and_bindings() {
    check(&anna(), PATIENT, &[]);
    check_anna(
        "birthDate",
        Value::Null,
        &[("Patient", "Patient.birthDate")],
    );
    check_anna(
        "active",
        json!(false),
        &[("Patient.active", "Patient.active")],
    );
    check_anna(
        "gender",
        json!("other"),
        &[("Patient.gender", "Patient.gender")],
    );
    check_anna("gender", Value::Null, &[]);
    check_anna(
        "photo",
        json!([{"title": "x"}]),
        &[("Patient.photo[0]", "Patient.photo")],
    );
    check_anna(
        "maritalStatus",
        json!({"coding": [{"system": "http://example.org/marital", "code": "S"}]}),
        &[("Patient.maritalStatus", "Patient.maritalStatus")],
    );
    check_anna(
        "generalPractitioner",
        json!([{"reference": "Practitioner/1"}, {"reference": "Organization/1"}]),
        &[(
            "Patient.generalPractitioner[1].reference",
            "Patient.generalPractitioner",
        )],
    );
    check_anna("deceasedBoolean", Value::Null, &[]);
    check_anna(
        "telecom",
        json!([{"system": "phone"}, {"system": "phone"}, {"system": "phone"}]),
        &[("Patient.telecom[2]", "Patient.telecom")],
    );
    let mut patient = anna();
    patient
        .as_object_mut()
        .unwrap()
        .shift_remove("deceasedBoolean");
    patient["deceasedDateTime"] = json!("2026");
    check(
        &patient,
        PATIENT,
        &[("Patient.deceased", "Patient.deceased[x]")],
    );
}

#[test]
fn slices_are_told_apart_and_counted() {
    let mrn = |value: &str| json!({"system": "http://example.org/mrn", "value": value});
    check_anna(
        "identifier",
        json!([{"system": "http://example.org/other", "value": "1"}]),
        &[("Patient", "Patient.identifier:mrn")],
    );
    check_anna(
        "identifier",
        json!([mrn("1"), mrn("2")]),
        &[("Patient.identifier[1]", "Patient.identifier:mrn")],
    );
    check_anna(
        "identifier",
        json!([{"system": "http://example.org/mrn"}]),
        &[("Patient.identifier[0]", "Patient.identifier:mrn.value")],
    );
    check_anna(
        "identifier",
        json!([mrn("1234567")]),
        &[(
            "Patient.identifier[0].value",
            "Patient.identifier:mrn.value",
        )],
    );
    check_anna(
        "telecom",
        json!([{"system": "phone"}, {"system": "email"}]),
        &[("Patient.telecom[1]", "Patient.telecom")],
    );
    check_anna(
        "extension",
        json!([{"url": "http://example.org/other", "valueString": "x"}]),
        &[("Patient", "Patient.extension:risk")],
    );
    check_anna(
        "extension",
        json!([{"url": RISK, "valueString": "x"}]),
        &[("Patient.extension[0].value", "Extension.value[x]")],
    );
}

#[test]
fn slices_by_type_and_by_pattern() {
    let net = json!({"code": {"coding": [{"code": "net"}]}, "valueQuantity": {"value": 70}});
    let weight = |value: (&str, Value), component: Value| {
        let mut resource =
            json!({"resourceType": "Observation", "status": "final", "code": {"text": "weight"}});
        resource[value.0] = value.1;
        resource["component"] = component;
        resource
    };
    let kg = (
        "valueQuantity",
        json!({"value": 71, "system": "http://unitsofmeasure.org", "code": "kg"}),
    );
    let pounds = (
        "valueQuantity",
        json!({"value": 71, "system": "http://unitsofmeasure.org", "code": "[lb_av]"}),
    );
    let words = ("valueString", json!("heavy"));
    check(&weight(kg.clone(), json!([net])), WEIGHT, &[]);
    check(&weight(words, json!([net])), WEIGHT, &[]);
    check(
        &weight(pounds, json!([net])),
        WEIGHT,
        &[(
            "Observation.value.code",
            "Observation.value[x]:valueQuantity.code",
        )],
    );
    check(
        &weight(("valueBoolean", json!(true)), json!([net])),
        WEIGHT,
        &[("Observation.value", "Observation.value[x]")],
    );
    check(
        &weight(kg.clone(), json!([{"code": {"text": "tare"}}])),
        WEIGHT,
        &[("Observation", "Observation.component:net")],
    );
    check(
        &weight(
            kg,
            json!([{"code": {"text": "tare"}}, {"code": {"coding": [{"code": "net"}]}}]),
        ),
        WEIGHT,
        &[(
            "Observation.component[1]",
            "Observation.component:net.value[x]",
        )],
    );
}

#[test]
fn entries_of_a_bundle_are_sliced_by_their_resource() {
    let task = json!({"resource": {"resourceType": "Task", "status": "draft", "intent": "order"}});
    let feed =
        |entry: Value| json!({"resourceType": "Bundle", "type": "collection", "entry": entry});
    check(&feed(json!([{"resource": anna()}, task, task])), FEED, &[]);
    check(
        &feed(json!([task])),
        FEED,
        &[("Bundle", "Bundle.entry:patient")],
    );
    let basic = json!({"resource": {"resourceType": "Basic", "code": {"text": "x"}}});
    check(
        &feed(json!([{"resource": anna()}, basic])),
        FEED,
        &[("Bundle.entry[1]", "Bundle.entry")],
    );
    let mut nameless = anna();
    nameless.as_object_mut().unwrap().shift_remove("birthDate");
    check(
        &feed(json!([{"resource": nameless}])),
        FEED,
        &[("Bundle.entry[0].resource", "Patient.birthDate")],
    );
}

#[test]
fn the_base_and_the_profile_do_not_say_the_same_twice() {
    check_anna(
        "gender",
        json!("F"),
        &[("Patient.gender", "Patient.gender")],
    );
    check_anna(
        "active",
        json!("true"),
        &[("Patient.active", "Patient.active")],
    );
    check_anna(
        "identifier",
        json!([]),
        &[("Patient.identifier", "Patient.identifier")],
    );
    check_anna(
        "maritalStatus",
        json!("M"),
        &[("Patient.maritalStatus", "CodeableConcept")],
    );
    let claimed = json!({"profile": [PATIENT, PATIENT]});
    let mut patient = anna();
    patient["meta"] = claimed;
    patient["active"] = json!(false);
    check(&patient, PATIENT, &[("Patient.active", "Patient.active")]);
}

#[test]
fn claimed_profiles_are_checked_if_the_level_says_so() {
    let json = json!({"resourceType": "Patient", "meta": {"profile": [PATIENT]}}).to_string();
    let at = |level| {
        let options = Options {
            level,
            ..Options::default()
        };
        validate(validator(), &json, &options).len()
    };
    assert_eq!(at(Level::Off), 0);
    assert_eq!(at(Level::Base), 0);
    // extension, its slice, identifier, its slice, birthDate
    assert_eq!(at(Level::Profile), 5);
}

#[test]
fn an_unknown_profile_is_a_warning_and_one_of_another_type_an_error() {
    let json = |profile: &str| {
        json!({"resourceType": "Patient", "meta": {"profile": [profile]}}).to_string()
    };
    let issues = validate(
        core(),
        &json("http://example.org/nobody-knows"),
        &Options::default(),
    );
    assert_eq!(issues.len(), 1);
    assert!(!issues[0].is_error());
    assert_eq!(issues[0].location, "Patient.meta.profile[0]");
    let vital_signs = "http://hl7.org/fhir/StructureDefinition/vitalsigns";
    let issues = validate(core(), &json(vital_signs), &Options::default());
    assert_eq!(issues.len(), 1);
    assert!(issues[0].is_error());
    assert_eq!(issues[0].location, "Patient.meta.profile[0]");
}

#[test]
fn a_binding_that_cannot_be_checked_is_reported_on_demand() {
    let total = json!({"value": 1, "currency": "CHF"});
    let json = json!({"resourceType": "Invoice", "status": "draft", "totalNet": total});
    let silent = validate(core(), &json.to_string(), &Options::default());
    assert_eq!(silent, []);
    let options = Options {
        report_unchecked: true,
        ..Options::default()
    };
    let issues = validate(core(), &json.to_string(), &options);
    assert_eq!(issues.len(), 1, "{issues:?}");
    assert!(!issues[0].is_error());
    assert_eq!(issues[0].location, "Invoice.totalNet.currency");
}
