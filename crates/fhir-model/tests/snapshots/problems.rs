//! What is said of structures that are wrong, circular, or too much.

use fhir_model::snapshot::MAX_DEPTH;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::example::{generate, profile};

/// Checks what is said of a wrong differential.
#[track_caller]
fn check_problem(base: &str, differential: &Value, expected: &str) {
    let problem = match generate(&profile(base, differential), &[]) {
        Err(problem) => problem,
        Ok(generated) => generated.problems.first().expect("a problem").clone(),
    };
    let words = problem.to_string();
    assert_eq!(
        words.strip_prefix("http://example.org/profile").unwrap(),
        expected
    );
}

#[test]
fn wrong_differentials_are_told() {
    let of = |elements: Value, expected: &str| check_problem("Patient", &elements, expected);
    of(
        json!([{ "path": "Patient.colour" }]),
        ", element Patient.colour: the base has no such element",
    );
    of(
        json!([{ "path": "Patient.gender.colour" }]),
        ", element Patient.gender.colour: the base has no such element",
    );
    of(
        json!([{ "path": "Observation.code" }]),
        ", element Observation.code: Observation.code is not a path",
    );
    of(
        json!([{ "path": "Patient..gender" }]),
        ", element Patient..gender: Patient..gender is not a path",
    );
    of(
        json!([{ "path": "Patient.gender", "max": "2" }]),
        ", element Patient.gender: the maximum 2 is greater than that of the base, 1",
    );
    of(
        json!([{ "path": "Patient.link.other", "min": 0 }]),
        ", element Patient.link.other: the minimum 0 is less than that of the base, 1",
    );
    of(
        json!([{ "path": "Patient.gender", "type": [{ "code": "string" }] }]),
        ", element Patient.gender: type string is not among those of the base: code",
    );
    of(
        json!([{ "path": "Patient.managingOrganization", "type": [{ "code": "Reference",
            "targetProfile": ["http://hl7.org/fhir/StructureDefinition/Device"] }] }]),
        ", element Patient.managingOrganization: http://hl7.org/fhir/StructureDefinition/Device is \
         not derived from a target that the base allows",
    );
    of(
        json!([{ "path": "Patient.gender", "binding": { "strength": "example" } }]),
        ", element Patient.gender: the binding is example, but that of the base is required",
    );
    of(
        json!([{ "path": "Patient.name", "sliceName": "official" }]),
        ", element Patient.name: it is a slice, but nothing says how it is sliced",
    );
    of(
        json!([{ "path": "Patient.name" }, { "path": "Patient.name" }]),
        ", element Patient.name: the element is there again without the name of a slice",
    );
    of(
        json!([{ "path": "Patient.gender" }, { "path": "Patient.active" }]),
        ", element Patient.gender: it stands in another order than in the base",
    );
    of(
        json!([{ "path": "Patient", "type": [{ "code": "Patient" }] }]),
        ", element Patient: the root element has a type",
    );
    of(
        json!([{ "path": "Patient.extension", "sliceName": "x", "type": [{
            "code": "Extension", "profile": ["http://example.org/unknown"] }] }]),
        ", element Patient.extension: the profile http://example.org/unknown is not known",
    );
    of(
        json!([{ "path": "Patient.deceased[x]", "slicing": { "rules": "open",
            "discriminator": [{ "type": "value", "path": "$this" }] } },
            { "path": "Patient.deceasedBoolean" }]),
        ", element Patient.deceased[x]: the types of an element are sliced by $this in any order, \
         and nothing else",
    );
}

#[test]
fn structures_that_cannot_be_read_are_told() {
    let check = |change: fn(&mut Value), expected: &str| {
        let mut structure = profile("Patient", &json!([]));
        change(&mut structure);
        assert_eq!(generate(&structure, &[]).unwrap_err().to_string(), expected);
    };
    check(
        |structure| structure["baseDefinition"] = json!("http://example.org/unknown"),
        "http://example.org/profile: its base http://example.org/unknown is not known",
    );
    check(
        |structure| structure["type"] = json!("Observation"),
        "http://example.org/profile: it constrains Observation, but its base is of type Patient",
    );
    check(
        |structure| structure["type"] = json!(7),
        "http://example.org/profile: type is missing or has no usable value",
    );
}

#[test]
fn structures_that_need_each_other_are_told() {
    let chain = |index: usize, base: usize| {
        let mut structure = profile("Patient", &json!([]));
        structure["url"] = json!(format!("http://example.org/{index}"));
        structure["baseDefinition"] = json!(format!("http://example.org/{base}"));
        structure
    };
    let cycle = [chain(1, 2), chain(2, 1)];
    let expected = "http://example.org/1: its snapshot would need itself: http://example.org/1 \
                    needs http://example.org/2 needs http://example.org/1";
    assert_eq!(
        generate(&cycle[0], &cycle).unwrap_err().to_string(),
        expected
    );
    let long: Vec<Value> = (0..=MAX_DEPTH)
        .map(|index| chain(index, index + 1))
        .collect();
    let problem = generate(&long[0], &long).unwrap_err().to_string();
    assert!(
        problem.ends_with(&format!("nest deeper than {MAX_DEPTH}")),
        "{problem}"
    );
}

#[test]
fn nesting_ends_somewhere() {
    let nested = |depth: usize| {
        let path = format!("Questionnaire{}.text", ".item".repeat(depth));
        generate(
            &profile("Questionnaire", &json!([{ "path": path, "min": 1 }])),
            &[],
        )
    };
    assert_eq!(nested(MAX_DEPTH - 3).unwrap().problems, []);
    let problem = nested(MAX_DEPTH).unwrap_err().to_string();
    assert!(
        problem.ends_with(&format!("nest deeper than {MAX_DEPTH}")),
        "{problem}"
    );
}

#[test]
fn a_snapshot_has_no_more_elements_than_it_may() {
    let slicing = json!({ "discriminator": [{ "type": "value", "path": "id" }], "rules": "open" });
    let mut elements = vec![json!({ "path": "Patient.contact", "slicing": slicing })];
    let slice = |index: usize| json!({ "path": "Patient.contact", "sliceName": index.to_string() });
    elements.extend((0..6_000).map(slice));
    let problem = generate(&profile("Patient", &json!(elements)), &[]).unwrap_err();
    let words = "http://example.org/profile: the snapshot has more than 50000 elements";
    assert_eq!(problem.to_string(), words);
}

/// Elements as nobody would write them.
fn any_element() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "identifier",
        "extension",
        "value[x]",
        "valueQuantity",
        "code",
        "component",
        "item",
        "id",
        "type",
        "system",
        "effectiveDateTime",
        "subject",
        "contained",
        "coding",
        "text",
        "",
    ]);
    let path = prop::collection::vec(name, 0..5);
    let slice = prop::option::of(prop::sample::select(vec![
        "a",
        "b",
        "a/b",
        "valueQuantity",
        "",
    ]));
    let more = prop::sample::select(vec![
        json!({}),
        json!({ "min": 1, "max": "3" }),
        json!({ "min": -1, "max": "x" }),
        json!({ "min": u64::MAX }),
        json!({ "max": "0" }),
        json!({ "slicing": { "rules": "closed" } }),
        json!({ "slicing": "no" }),
        json!({ "type": [{ "code": "Quantity" }] }),
        json!({ "type": [{ "code": "Extension", "profile": ["http://example.org/profile"] }] }),
        json!({ "type": [{ "code": "Identifier" }, {}], "constraint": [{}], "binding": [] }),
        json!({ "contentReference": "#Observation.component", "type": "none" }),
        json!({ "short": 7, "definition": "...", "extension": [{}], "_short": null }),
    ]);
    (path, slice, more).prop_map(|(path, slice, mut more)| {
        let path: Vec<&str> = std::iter::once("Observation").chain(path).collect();
        more["path"] = json!(path.join("."));
        if let Some(slice) = slice {
            more["sliceName"] = json!(slice);
        }
        more
    })
}

proptest! {
    #[test]
    fn whatever_a_differential_says_is_answered(
        elements in prop::collection::vec(any_element(), 0..12),
    ) {
        let structure = profile("Observation", &json!(elements));
        if let Ok(generated) = generate(&structure, std::slice::from_ref(&structure)) {
            let elements = generated.structure["snapshot"]["element"].as_array().unwrap();
            for element in elements {
                let id = element["id"].as_str().unwrap();
                let names = id.split('.').map(|part| part.split(':').next().unwrap());
                prop_assert!(names.eq(element["path"].as_str().unwrap().split('.')), "{id}");
                prop_assert!(element["base"]["path"].is_string(), "{id}");
            }
        }
    }
}
