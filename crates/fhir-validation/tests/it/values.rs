//! Values: fixed and pattern, the smallest and the largest, lengths.
//! <https://hl7.org/fhir/R4/elementdefinition.html>

use fhir_validation::{Options, Validator};
use fhirpath::Temporal;
use serde_json::{Value, json};

use crate::support::{core_with, errors, parse, profile, quiet};

const URL: &str = "http://example.org/StructureDefinition/test";

/// A profile of one element of a type, which says this.
fn one_rule(type_name: &str, path: &str, rule: &Value) -> Validator {
    let mut element = json!({"path": path, "min": 0, "max": "*"});
    element
        .as_object_mut()
        .unwrap()
        .extend(rule.as_object().unwrap().clone());
    let root = json!({"path": type_name, "min": 0, "max": "*"});
    core_with(&[&profile(URL, type_name, &[root, element])])
}

/// By the rule, the first values are right and the others wrong.
#[track_caller]
fn check(base: &Value, path: &str, rule: &Value, (right, wrong): (&[Value], &[Value])) {
    let type_name = base["resourceType"].as_str().unwrap();
    let validator = one_rule(type_name, path, rule);
    let location = path.replace("[x]", "");
    for (values, expected) in [(right, vec![]), (wrong, vec![format!("{location} {path}")])] {
        for value in values {
            let mut resource = base.clone();
            let object = resource.as_object_mut().unwrap();
            object.extend(value.as_object().unwrap().clone());
            let tree = parse(&validator, &resource.to_string());
            let issues = validator.validate(tree.root(), type_name, &[URL], &quiet());
            assert_eq!(errors(&issues), expected, "{value}: {issues:#?}");
        }
    }
}

fn observation() -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}})
}

fn patient() -> Value {
    json!({"resourceType": "Patient"})
}

#[test]
fn fixed_is_exactly_the_value() {
    let extended = json!({"extension": [{"url": "http://example.org/why", "valueString": "x"}]});
    check(
        &patient(),
        "Patient.active",
        &json!({"type": [{"code": "boolean"}], "fixedBoolean": true}),
        (
            &[json!({"active": true}), json!({"_gender": extended})],
            &[
                json!({"active": false}),
                json!({"_active": extended}),
                json!({"active": true, "_active": extended}),
            ],
        ),
    );
    check(
        &patient(),
        "Patient.maritalStatus",
        &json!({"type": [{"code": "CodeableConcept"}], "fixedCodeableConcept": {"text": "married"}}),
        (
            &[json!({"maritalStatus": {"text": "married"}})],
            &[
                json!({"maritalStatus": {"text": "married", "id": "a"}}),
                json!({"maritalStatus": {"text": "Married"}}),
            ],
        ),
    );
}

#[test]
fn pattern_is_at_least_the_value() {
    check(
        &observation(),
        "Observation.value[x]",
        &json!({"type": [{"code": "Quantity"}], "patternQuantity": {"value": 1.0, "unit": "g"}}),
        (
            &[
                json!({"valueQuantity": {"value": 1.0, "unit": "g"}}),
                json!({"valueQuantity": {"value": 1, "unit": "g", "comparator": "<"}}),
            ],
            &[
                json!({"valueQuantity": {"value": 1.01, "unit": "g"}}),
                json!({"valueQuantity": {"value": 1.0}}),
            ],
        ),
    );
    check(
        &patient(),
        "Patient.maritalStatus",
        &json!({"type": [{"code": "CodeableConcept"}], "patternCodeableConcept": {"coding": [{"code": "M"}]}}),
        (
            &[json!({"maritalStatus": {"coding": [{"code": "x"}, {"code": "M", "display": "y"}]}})],
            &[json!({"maritalStatus": {"coding": [{"code": "x"}], "text": "M"}})],
        ),
    );
}

#[test]
fn least_and_greatest_values() {
    check(
        &observation(),
        "Observation.value[x]",
        &json!({"type": [{"code": "Quantity"}], "minValueQuantity": {"value": 1, "system": "http://unitsofmeasure.org", "code": "kg"}}),
        (
            &[
                json!({"valueQuantity": {"value": 1000, "system": "http://unitsofmeasure.org", "code": "g"}}),
                json!({"valueQuantity": {"value": 1, "system": "http://unitsofmeasure.org", "code": "kg"}}),
                json!({"valueQuantity": {"value": 0, "unit": "lumps"}}),
            ],
            &[
                json!({"valueQuantity": {"value": 999.9, "system": "http://unitsofmeasure.org", "code": "g"}}),
            ],
        ),
    );
    check(
        &patient(),
        "Patient.birthDate",
        &json!({"type": [{"code": "date"}], "maxValueDate": "2026-03-02"}),
        (
            &[
                json!({"birthDate": "2026-03-02"}),
                json!({"birthDate": "2026"}),
                json!({"birthDate": "1970-01"}),
            ],
            &[
                json!({"birthDate": "2026-03-03"}),
                json!({"birthDate": "2027"}),
            ],
        ),
    );
    check(
        &patient(),
        "Patient.multipleBirth[x]",
        &json!({"type": [{"code": "integer"}], "minValueInteger": 1, "maxValueInteger": 4}),
        (
            &[
                json!({"multipleBirthInteger": 1}),
                json!({"multipleBirthInteger": 4}),
            ],
            &[
                json!({"multipleBirthInteger": 0}),
                json!({"multipleBirthInteger": 5}),
            ],
        ),
    );
}

#[test]
fn lengths_are_counted_in_characters() {
    let rule = json!({"type": [{"code": "string"}], "maxLength": 4,
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/minLength", "valueInteger": 2}]});
    check(
        &observation(),
        "Observation.value[x]",
        &rule,
        (
            &[json!({"valueString": "äöüß"}), json!({"valueString": "ab"})],
            &[json!({"valueString": "a"}), json!({"valueString": "abcde"})],
        ),
    );
}

#[test]
fn a_value_that_must_be_there_is_not_replaced_by_an_extension() {
    let rule = json!({"type": [{"code": "date"}],
        "extension": [{"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.mustHaveValue", "valueBoolean": true}]});
    let unknown = json!({"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]});
    check(
        &patient(),
        "Patient.birthDate",
        &rule,
        (
            &[json!({"birthDate": "1970"}), json!({"active": true})],
            &[json!({"_birthDate": unknown})],
        ),
    );
}

/// A duration limits a point in time as counted from now: the least is so long ago, the greatest so
/// far ahead.
#[test]
fn durations_limit_points_in_time_from_now() {
    let years =
        |value: u32| json!({"value": value, "system": "http://unitsofmeasure.org", "code": "a"});
    let validator = one_rule(
        "Patient",
        "Patient.birthDate",
        &json!({"type": [{"code": "date"}], "minValueDuration": years(100), "maxValueQuantity": years(1)}),
    );
    let wrong = vec!["Patient.birthDate Patient.birthDate".to_owned()];
    let now = Temporal::parse_date_time("2026-03-02T10:00:00Z");
    for (date, now, expected) in [
        ("1926-03-03", now, &vec![]),
        ("1926-03-01", now, &wrong),
        ("1850", now, &wrong),
        ("2027-03-01", now, &vec![]),
        ("2027-03-03", now, &wrong),
        // Somewhere in the year, so it may be right.
        ("1926", now, &vec![]),
        ("1850", None, &vec![]),
    ] {
        let options = Options { now, ..quiet() };
        let patient = json!({"resourceType": "Patient", "birthDate": date});
        let tree = parse(&validator, &patient.to_string());
        let issues = validator.validate(tree.root(), "Patient", &[URL], &options);
        assert_eq!(&errors(&issues), expected, "{date}: {issues:#?}");
    }
}
