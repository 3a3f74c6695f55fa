//! What a `ValueSet` draws from code systems: <https://hl7.org/fhir/R4/valueset.html#compositions>.

use fhir_validation::Validator;
use serde_json::{Value, json};

use crate::support::{core_with, errors, quiet, validate};

const COLOURS: &str = "http://example.org/CodeSystem/colours";
const SHAPES: &str = "http://example.org/CodeSystem/shapes";
const PARAMETER: &str = "http://hl7.org/fhir/tools/StructureDefinition/valueset-parameter";
const EXPRESSION: &str = "http://hl7.org/fhir/StructureDefinition/cqf-expression";

/// A code system of colours, and one of shapes that have a colour.
fn validator() -> Validator {
    let colours = json!({"resourceType": "CodeSystem", "url": COLOURS, "status": "active",
        "content": "complete", "concept": [{"code": "red"}, {"code": "blue"}]});
    let shapes = json!({"resourceType": "CodeSystem", "url": SHAPES, "status": "active",
        "content": "complete", "property": [{"code": "colour", "type": "Coding"}, {"code": "size", "type": "string"}],
        "concept": [{"code": "square", "property": [
            {"code": "colour", "valueCoding": {"system": COLOURS, "code": "red"}},
            {"code": "size", "valueString": "a#b"}]}]});
    core_with(&[&colours.to_string(), &shapes.to_string()])
}

/// The errors of a value set with this, and of one that excludes it.
#[track_caller]
fn check(part: &Value, extension: &Value, expected: &[&str]) {
    let validator = validator();
    for name in ["include", "exclude"] {
        let mut set = json!({"resourceType": "ValueSet", "status": "active", "compose": {
            "include": [{"system": SHAPES}]}});
        set["compose"][name] = json!([part]);
        if !extension.is_null() {
            set["extension"] = json!([extension]);
        }
        let expected: Vec<String> = expected
            .iter()
            .map(|place| format!("ValueSet.compose.{name}[0].{place}"))
            .collect();
        let issues = validate(&validator, &set.to_string(), &quiet());
        assert_eq!(errors(&issues), expected, "{part}: {issues:#?}");
    }
}

#[test]
fn listed_codes_are_in_their_code_system() {
    let rule = "ValueSet.compose.include.concept.code";
    let wrong = format!("concept[1].code {rule}");
    for (system, codes, expected) in [
        (SHAPES, ["square", "square"], vec![]),
        (SHAPES, ["square", "round"], vec![wrong.as_str()]),
        ("http://example.org/elsewhere", ["square", "round"], vec![]),
    ] {
        let concepts = codes.map(|code| json!({"code": code}));
        let part = json!({"system": system, "concept": concepts});
        check(&part, &Value::Null, &expected);
    }
}

#[test]
fn codings_that_filters_ask_for_are_in_their_code_system() {
    let wrong = ["filter[0].value ValueSet.compose.include.filter.value"];
    for (property, value, expected) in [
        ("colour", format!("{COLOURS}#red"), &[][..]),
        ("colour", format!("{COLOURS}|blue"), &[]),
        ("colour", format!("{COLOURS}#green"), &wrong),
        (
            "colour",
            "http://example.org/elsewhere#green".to_owned(),
            &[],
        ),
        ("colour", "green".to_owned(), &[]),
        ("size", format!("{COLOURS}#green"), &[]),
        ("weight", format!("{COLOURS}#green"), &[]),
    ] {
        let filter = json!({"property": property, "op": "=", "value": value});
        let part = json!({"system": SHAPES, "filter": [filter]});
        check(&part, &Value::Null, expected);
    }
}

#[test]
fn filters_ask_for_parameters_that_are_declared() {
    let wrong = ["filter[0].value.extension[0].value ValueSet.compose.include.filter.value"];
    let declared = json!({"url": PARAMETER, "extension": [
        {"url": "name", "valueCode": "p-size"}, {"url": "documentation", "valueMarkdown": "x"}]});
    for (language, expression, extension, expected) in [
        ("text/fhirpath", "%p-size", &declared, &[][..]),
        ("text/fhirpath", "%p-size + 'x'", &declared, &[]),
        ("text/fhirpath", "%p-weight", &declared, &wrong),
        ("text/cql", "%p-size", &declared, &wrong),
        ("text/cql", "%p-size", &Value::Null, &[]),
    ] {
        let value = json!({"extension": [{"url": EXPRESSION,
            "valueExpression": {"language": language, "expression": expression}}]});
        let filter = json!({"property": "size", "op": "=", "_value": value});
        let part = json!({"system": SHAPES, "filter": [filter]});
        check(&part, extension, expected);
    }
}
