//! Extensions: known and unknown, modifiers, where they may stand, what they consist of.
//! <https://hl7.org/fhir/R4/extensibility.html>

use std::sync::OnceLock;

use fhir_validation::{Options, UnknownExtensions, Validator};
use serde_json::{Value, json};

use crate::support::{core_with, errors, parse, profile, quiet};

const ANYWHERE: &str = "http://example.org/StructureDefinition/anywhere";
const ON_NAME: &str = "http://example.org/StructureDefinition/on-name";
const ON_TYPE: &str = "http://example.org/StructureDefinition/on-type";
const ON_HOME: &str = "http://example.org/StructureDefinition/on-home";
const WITHIN: &str = "http://example.org/StructureDefinition/within";
const CONDITIONAL: &str = "http://example.org/StructureDefinition/conditional";
const NEGATED: &str = "http://example.org/StructureDefinition/negated";
const COMPLEX: &str = "http://example.org/StructureDefinition/complex";

/// An extension with a string that may stand in these contexts.
fn extension(url: &str, contexts: &[(&str, &str)], more: &Value) -> String {
    let elements = [
        json!({"path": "Extension", "min": 0, "max": "*", "isModifier": more["isModifier"]}),
        json!({"path": "Extension.extension", "min": 0, "max": "0", "type": [{"code": "Extension"}]}),
        json!({"path": "Extension.url", "min": 1, "max": "1", "type": [{"code": "uri"}], "fixedUri": url}),
        json!({"path": "Extension.value[x]", "min": 1, "max": "1", "type": [{"code": "string"}]}),
    ];
    definition(url, contexts, more, &elements)
}

fn definition(url: &str, contexts: &[(&str, &str)], more: &Value, elements: &[Value]) -> String {
    let mut found: Value = serde_json::from_str(&profile(url, "Extension", elements)).unwrap();
    let contexts = contexts
        .iter()
        .map(|(kind, expression)| json!({"type": kind, "expression": expression}));
    found["context"] = contexts.collect();
    if let Some(invariant) = more["contextInvariant"].as_str() {
        found["contextInvariant"] = json!([invariant]);
    }
    found.to_string()
}

/// With a required part `a`, a part `b` and no others.
fn complex() -> String {
    let part = |name: &str, min: u32| {
        let id = format!("Extension.extension:{name}");
        [
            json!({"id": id, "path": "Extension.extension", "sliceName": name, "min": min, "max": "1", "type": [{"code": "Extension"}]}),
            json!({"id": format!("{id}.url"), "path": "Extension.extension.url", "min": 1, "max": "1", "type": [{"code": "uri"}], "fixedUri": name}),
        ]
    };
    let mut elements = vec![
        json!({"path": "Extension", "min": 0, "max": "*"}),
        json!({"path": "Extension.extension", "min": 1, "max": "*", "type": [{"code": "Extension"}],
            "slicing": {"discriminator": [{"type": "value", "path": "url"}], "rules": "closed"}}),
    ];
    elements.extend(part("a", 1));
    elements.extend(part("b", 0));
    elements.push(json!({"path": "Extension.value[x]", "min": 0, "max": "0"}));
    definition(COMPLEX, &[("element", "Element")], &Value::Null, &elements)
}

fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| {
        let none = Value::Null;
        let resources = [
            extension(ANYWHERE, &[("element", "Element")], &none),
            extension(
                ON_NAME,
                &[
                    ("element", "Patient.name"),
                    ("element", "Patient.contact.name"),
                    ("element", "Observation.component.code"),
                ],
                &none,
            ),
            extension(
                ON_TYPE,
                &[
                    ("element", "HumanName"),
                    ("element", "date"),
                    ("element", "DomainResource"),
                    ("element", "Observation.value[x]"),
                ],
                &none,
            ),
            extension(
                ON_HOME,
                &[("fhirpath", "Patient.address.where(use = 'home')")],
                &none,
            ),
            extension(
                WITHIN,
                &[("extension", COMPLEX), ("extension", ANYWHERE)],
                &none,
            ),
            extension(
                CONDITIONAL,
                &[("element", "HumanName")],
                &json!({"contextInvariant": "family.exists() and %extension.value.length() > 2"}),
            ),
            extension(
                NEGATED,
                &[("element", "Element")],
                &json!({"isModifier": true}),
            ),
            complex(),
        ];
        core_with(&resources.each_ref().map(String::as_str))
    })
}

#[track_caller]
fn check(resource: &Value, expected: &[&str]) {
    let tree = parse(validator(), &resource.to_string());
    let resource_type = tree.resource_type().unwrap();
    let issues = validator().validate(tree.root(), &resource_type, &[], &quiet());
    assert_eq!(errors(&issues), expected, "{issues:#?}");
}

fn with(url: &str) -> Value {
    json!([{"url": url, "valueString": "text"}])
}

const OUT_OF_PLACE: &str = "StructureDefinition.context";

#[test]
fn an_extension_stands_in_the_elements_that_it_is_for() {
    let patient = |property: &str, value: Value| {
        let mut resource = json!({"resourceType": "Patient"});
        resource[property] = value;
        resource
    };
    check(&patient("extension", with(ANYWHERE)), &[]);
    check(
        &patient("name", json!([{"text": "A", "extension": with(ON_NAME)}])),
        &[],
    );
    check(
        &patient(
            "contact",
            json!([{"name": {"text": "A", "extension": with(ON_NAME)}}]),
        ),
        &[],
    );
    let at = |location: &str| format!("{location} {OUT_OF_PLACE}");
    check(
        &patient("extension", with(ON_NAME)),
        &[&at("Patient.extension[0]")],
    );
    check(
        &patient(
            "contact",
            json!([{"gender": "male", "name": {"text": "x"}, "extension": with(ON_NAME)}]),
        ),
        &[&at("Patient.contact[0].extension[0]")],
    );
    let component = |code: Value| json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "component": [{"code": code, "valueString": "y"}]});
    check(
        &component(json!({"text": "x", "extension": with(ON_NAME)})),
        &[],
    );
    check(
        &component(json!({"coding": [{"code": "x", "extension": with(ON_NAME)}]})),
        &[&at("Observation.component[0].code.coding[0].extension[0]")],
    );
}

#[test]
fn an_extension_stands_in_values_of_the_types_that_it_is_for() {
    check(
        &json!({"resourceType": "Practitioner", "name": [{"text": "A", "extension": with(ON_TYPE)}]}),
        &[],
    );
    check(
        &json!({"resourceType": "Patient", "_birthDate": {"extension": with(ON_TYPE)}}),
        &[],
    );
    check(
        &json!({"resourceType": "Patient", "extension": with(ON_TYPE)}),
        &[],
    );
    check(
        &json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueQuantity": {"value": 1, "extension": with(ON_TYPE)}}),
        &[],
    );
    check(
        &json!({"resourceType": "Patient", "_active": {"extension": with(ON_TYPE)}}),
        &["Patient.active.extension[0] StructureDefinition.context"],
    );
}

#[test]
fn an_extension_stands_where_an_expression_leads_or_in_another_extension() {
    let address = |kind: &str| json!({"resourceType": "Patient", "address": [{"use": "work", "city": "A"}, {"use": kind, "city": "B", "extension": with(ON_HOME)}]});
    check(&address("home"), &[]);
    check(
        &address("temp"),
        &["Patient.address[1].extension[0] StructureDefinition.context"],
    );
    let part = json!([{"url": "a", "valueString": "x"}, {"url": WITHIN, "valueString": "text"}]);
    check(
        &json!({"resourceType": "Patient", "extension": [{"url": COMPLEX, "extension": part}]}),
        &["Patient.extension[0].extension[1] Extension.extension"],
    );
    let on_value =
        json!({"url": ANYWHERE, "valueString": "x", "_valueString": {"extension": with(WITHIN)}});
    check(
        &json!({"resourceType": "Patient", "extension": [on_value]}),
        &[],
    );
    check(
        &json!({"resourceType": "Patient", "extension": with(WITHIN)}),
        &["Patient.extension[0] StructureDefinition.context"],
    );
}

#[test]
fn the_conditions_of_an_extension_hold_where_it_stands() {
    let name = |name: Value| json!({"resourceType": "Patient", "name": [name]});
    let condition = "Patient.name[0].extension[0] StructureDefinition.contextInvariant";
    check(
        &name(json!({"family": "A", "extension": with(CONDITIONAL)})),
        &[],
    );
    check(
        &name(json!({"text": "A", "extension": with(CONDITIONAL)})),
        &[condition],
    );
    check(
        &name(json!({"family": "A", "extension": [{"url": CONDITIONAL, "valueString": "x"}]})),
        &[condition],
    );
}

#[test]
fn modifiers_are_written_as_such() {
    check(
        &json!({"resourceType": "Patient", "modifierExtension": with(NEGATED)}),
        &[],
    );
    check(
        &json!({"resourceType": "Patient", "extension": with(NEGATED)}),
        &["Patient.extension[0] Extension"],
    );
    check(
        &json!({"resourceType": "Patient", "modifierExtension": with(ANYWHERE)}),
        &["Patient.modifierExtension[0] Extension"],
    );
    check(
        &json!({"resourceType": "Patient", "modifierExtension": with("http://example.org/unknown")}),
        &["Patient.modifierExtension[0] Extension.url"],
    );
}

#[test]
fn a_complex_extension_has_its_parts() {
    let patient = |parts: Value| json!({"resourceType": "Patient", "extension": [{"url": COMPLEX, "extension": parts}]});
    let part = |url: &str| json!({"url": url, "valueString": "x"});
    check(&patient(json!([part("a"), part("b")])), &[]);
    check(
        &patient(json!([part("b")])),
        &["Patient.extension[0] Extension.extension:a"],
    );
    check(
        &patient(json!([part("a"), part("a")])),
        &["Patient.extension[0].extension[1] Extension.extension:a"],
    );
    check(
        &patient(json!([part("a"), part("c")])),
        &["Patient.extension[0].extension[1] Extension.extension"],
    );
}

#[test]
fn a_url_is_absolute_and_has_no_version() {
    check(
        &json!({"resourceType": "Patient", "extension": with("nickname")}),
        &["Patient.extension[0].url Extension.url"],
    );
    let mut versioned = serde_json::from_str::<Value>(&extension(
        ANYWHERE,
        &[("element", "Element")],
        &Value::Null,
    ))
    .unwrap();
    versioned["version"] = json!("1.0.0");
    let validator = core_with(&[&versioned.to_string()]);
    let patient =
        json!({"resourceType": "Patient", "extension": with(&format!("{ANYWHERE}|1.0.0"))});
    let tree = parse(&validator, &patient.to_string());
    let issues = validator.validate(tree.root(), "Patient", &[], &quiet());
    assert_eq!(
        errors(&issues),
        ["Patient.extension[0].url Extension.url"],
        "{issues:#?}"
    );
}

#[test]
fn what_is_said_of_unknown_extensions_is_a_policy() {
    let twice = json!([{"url": "http://example.org/x", "valueString": "a"}, {"url": "http://example.org/x", "valueString": "b"}]);
    let patient = json!({"resourceType": "Patient", "extension": twice}).to_string();
    for (policy, expected) in [
        (UnknownExtensions::Ignore, &[][..]),
        (UnknownExtensions::Information, &["information"]),
        (UnknownExtensions::Warning, &["warning"]),
        (UnknownExtensions::Error, &["error", "error"]),
    ] {
        let options = Options {
            unknown_extensions: policy,
            ..Options::default()
        };
        let tree = parse(validator(), &patient);
        let issues = validator().validate(tree.root(), "Patient", &[], &options);
        let found: Vec<_> = issues.iter().map(|issue| issue.severity.code()).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_value_has_the_type_of_the_definition_and_no_other() {
    const CODED: &str = "http://example.org/StructureDefinition/coded";
    let elements = [
        json!({"path": "Extension", "min": 0, "max": "*"}),
        json!({"path": "Extension.extension", "min": 0, "max": "0", "type": [{"code": "Extension"}]}),
        json!({"path": "Extension.url", "min": 1, "max": "1", "type": [{"code": "uri"}], "fixedUri": CODED}),
        json!({"path": "Extension.value[x]", "min": 1, "max": "1", "type": [{"code": "code"}]}),
    ];
    let definition = definition(CODED, &[("element", "Patient")], &Value::Null, &elements);
    let validator = core_with(&[definition.as_str()]);
    for (name, is_right) in [
        ("valueCode", true),
        ("valueString", false),
        ("valueId", false),
    ] {
        let patient = json!({"resourceType": "Patient", "extension": [{"url": CODED, name: "a"}]});
        let tree = parse(&validator, &patient.to_string());
        let issues = validator.validate(tree.root(), "Patient", &[], &Options::default());
        let is_wrong = issues.iter().any(fhir_model::issue::Issue::is_error);
        assert_eq!(!is_wrong, is_right, "{name}: {issues:?}");
    }
}
