//! The rules of snapshots, one by one: <https://hl7.org/fhir/R4/profiling.html#snapshot>.

use std::sync::{Arc, LazyLock};

use fhir_model::snapshot::{Generator, MAX_DEPTH, Snapshot, SnapshotProblem};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::packages::{Package, Stack, find};
use crate::r4_core;

static CORE: LazyLock<Arc<Package>> = LazyLock::new(|| {
    let lines = r4_core::lines("r4-core-structures.ndjson.zst");
    let structures = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let is_structure = |structure: &Value| structure["resourceType"] == "StructureDefinition";
    Arc::new(Package::new(structures.filter(is_structure).collect()))
});

/// A profile on a type of the standard.
fn profile(base: &str, elements: &Value) -> Value {
    json!({
        "resourceType": "StructureDefinition",
        "url": "http://example.org/profile",
        "kind": "resource",
        "type": base,
        "baseDefinition": format!("http://hl7.org/fhir/StructureDefinition/{base}"),
        "derivation": "constraint",
        "differential": { "element": elements },
    })
}

/// Generates a snapshot by the core package and these structures.
fn generate(structure: &Value, others: &[Value]) -> Result<Snapshot, SnapshotProblem> {
    let stack: Stack = vec![Arc::new(Package::new(others.to_vec())), Arc::clone(&CORE)];
    let source = |canonical: &str| find(&stack, canonical);
    Generator::new(&source).generate(structure)
}

/// The elements of the generated snapshot whose ids start so.
fn elements(base: &str, differential: &Value, start: &str) -> Vec<Value> {
    let generated = generate(&profile(base, differential), &[]).unwrap();
    assert_eq!(generated.problems, []);
    let all = generated.structure["snapshot"]["element"]
        .as_array()
        .unwrap()
        .iter();
    let starts = |element: &&Value| element["id"].as_str().unwrap().starts_with(start);
    all.filter(starts).cloned().collect()
}

/// Checks the ids of a part of a snapshot.
#[track_caller]
fn check_ids(base: &str, differential: &Value, start: &str, expected: &[&str]) {
    let elements = elements(base, differential, start);
    let ids: Vec<&str> = elements
        .iter()
        .map(|element| element["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, expected);
}

/// Checks some properties of an element of a snapshot.
#[track_caller]
fn check(base: &str, differential: &Value, id: &str, expected: &Value) {
    let elements = elements(base, differential, id);
    let element = elements.iter().find(|element| element["id"] == id);
    let element = element.unwrap_or_else(|| panic!("there is no {id}"));
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&element[name], value, "{name}");
    }
}

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
fn nothing_said_changes_nothing() {
    for structure in CORE
        .structures
        .iter()
        .filter(|structure| structure["kind"] == "resource")
    {
        let type_name = structure["type"].as_str().unwrap();
        if structure["derivation"] != "specialization" {
            continue;
        }
        let generated = generate(&profile(type_name, &json!([])), &[]).unwrap();
        let ids = |structure: &Value| -> Vec<Value> {
            let elements = structure["snapshot"]["element"].as_array().unwrap();
            elements
                .iter()
                .map(|element| element["id"].clone())
                .collect()
        };
        assert_eq!(ids(&generated.structure), ids(structure), "{type_name}");
        assert_eq!(generated.problems, []);
    }
}

#[test]
fn what_is_said_is_laid_over_what_is_inherited() {
    let change = |more: Value| {
        let mut element = json!({ "id": "Patient.gender", "path": "Patient.gender" });
        element
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!([element])
    };
    let of_gender = |more: Value, expected: Value| {
        check("Patient", &change(more), "Patient.gender", &expected);
    };
    of_gender(
        json!({ "min": 1 }),
        json!({
            "min": 1,
            "max": "1",
            "base": { "path": "Patient.gender", "min": 0, "max": "1" },
            "isSummary": true,
        }),
    );
    of_gender(
        json!({ "short": "Sex" , "mustSupport": true }),
        json!({ "short": "Sex", "mustSupport": true, "path": "Patient.gender" }),
    );
    of_gender(
        json!({ "binding": { "strength": "required", "valueSet": "http://example.org/sexes" } }),
        json!({ "binding": { "strength": "required", "valueSet": "http://example.org/sexes" } }),
    );
    of_gender(
        json!({ "fixedCode": "female", "isModifier": true }),
        json!({ "fixedCode": "female", "isModifier": false }),
    );
    of_gender(
        json!({ "condition": ["x-1"], "alias": ["Sex"] }),
        json!({ "condition": ["x-1"], "alias": ["Sex"] }),
    );
}

#[test]
fn constraints_add_up_and_say_where_they_are_from() {
    let own = json!({ "key": "x-1", "severity": "error", "human": "x", "expression": "true" });
    let again = json!({ "key": "ele-1", "severity": "error", "human": "x", "expression": "true" });
    let differential = json!([{ "path": "Patient.gender", "constraint": [own, again] }]);
    let elements = elements("Patient", &differential, "Patient.gender");
    let constraints = elements[0]["constraint"].as_array().unwrap();
    let keys: Vec<&Value> = constraints
        .iter()
        .map(|constraint| &constraint["key"])
        .collect();
    assert_eq!(keys, ["ele-1", "x-1"]);
    assert_ne!(constraints[0]["expression"], "true");
    assert!(constraints[0]["source"].as_str().is_some());
}

#[test]
fn types_are_unfolded_where_the_differential_goes_into_them() {
    check_ids(
        "Patient",
        &json!([]),
        "Patient.maritalStatus",
        &["Patient.maritalStatus"],
    );
    let differential = json!([{ "path": "Patient.maritalStatus.coding.code", "min": 1 }]);
    check_ids(
        "Patient",
        &differential,
        "Patient.maritalStatus",
        &[
            "Patient.maritalStatus",
            "Patient.maritalStatus.id",
            "Patient.maritalStatus.extension",
            "Patient.maritalStatus.coding",
            "Patient.maritalStatus.coding.id",
            "Patient.maritalStatus.coding.extension",
            "Patient.maritalStatus.coding.system",
            "Patient.maritalStatus.coding.version",
            "Patient.maritalStatus.coding.code",
            "Patient.maritalStatus.coding.display",
            "Patient.maritalStatus.coding.userSelected",
            "Patient.maritalStatus.text",
        ],
    );
    let base = json!({ "path": "Coding.code", "min": 0, "max": "1" });
    let expected = json!({ "min": 1, "base": base });
    check(
        "Patient",
        &differential,
        "Patient.maritalStatus.coding.code",
        &expected,
    );
}

#[test]
fn content_references_are_unfolded_as_what_they_mean() {
    let differential = json!([{ "path": "Questionnaire.item.item.text", "min": 1 }]);
    let text = json!({
        "min": 1,
        "base": { "path": "Questionnaire.item.text", "min": 0, "max": "1" },
    });
    check(
        "Questionnaire",
        &differential,
        "Questionnaire.item.item.text",
        &text,
    );
    let item = json!({ "type": [{ "code": "BackboneElement" }], "contentReference": null });
    check(
        "Questionnaire",
        &differential,
        "Questionnaire.item.item",
        &item,
    );
    let content = "http://hl7.org/fhir/StructureDefinition/Questionnaire#Questionnaire.item";
    let deeper = json!({ "contentReference": content });
    check(
        "Questionnaire",
        &differential,
        "Questionnaire.item.item.item",
        &deeper,
    );
}

#[test]
fn a_slice_starts_as_the_element_of_the_base() {
    let slicing =
        json!({ "discriminator": [{ "type": "value", "path": "system" }], "rules": "open" });
    let differential = json!([
        { "path": "Patient.telecom", "slicing": slicing, "min": 1, "mustSupport": true },
        { "path": "Patient.telecom", "sliceName": "phone", "max": "2" },
        { "path": "Patient.telecom.system", "fixedCode": "phone" },
        { "path": "Patient.telecom", "sliceName": "email" },
    ]);
    let ids = [
        "",
        ":phone",
        ":phone.id",
        ":phone.extension",
        ":phone.system",
        ":phone.value",
    ];
    let rest = [":phone.use", ":phone.rank", ":phone.period", ":email"];
    let ids: Vec<String> = ids
        .iter()
        .chain(&rest)
        .map(|end| format!("Patient.telecom{end}"))
        .collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    check_ids("Patient", &differential, "Patient.telecom", &ids);
    let base = json!({ "path": "Patient.telecom", "min": 0, "max": "*" });
    check(
        "Patient",
        &differential,
        "Patient.telecom",
        &json!({ "min": 1, "slicing": slicing }),
    );
    let phone = json!({
        "path": "Patient.telecom", "sliceName": "phone", "min": 0, "max": "2", "base": base,
        "slicing": null, "mustSupport": null,
    });
    check("Patient", &differential, "Patient.telecom:phone", &phone);
    check(
        "Patient",
        &differential,
        "Patient.telecom:phone.system",
        &json!({ "fixedCode": "phone" }),
    );
}

#[test]
fn what_holds_for_the_children_of_all_slices_is_written_into_each() {
    let slicing =
        json!({ "discriminator": [{ "type": "value", "path": "system" }], "rules": "open" });
    let differential = json!([
        { "path": "Patient.identifier", "slicing": slicing },
        { "path": "Patient.identifier.value", "min": 1 },
        { "path": "Patient.identifier", "sliceName": "mrn" },
        { "path": "Patient.identifier.system", "min": 1 },
    ]);
    check(
        "Patient",
        &differential,
        "Patient.identifier:mrn.value",
        &json!({ "min": 1 }),
    );
    check(
        "Patient",
        &differential,
        "Patient.identifier:mrn.system",
        &json!({ "min": 1 }),
    );
    check(
        "Patient",
        &differential,
        "Patient.identifier.system",
        &json!({ "min": 0 }),
    );
}

#[test]
fn a_slice_of_a_slice_stands_behind_it() {
    let slicing = json!({ "discriminator": [{ "type": "value", "path": "use" }], "rules": "open" });
    let differential = json!([
        { "path": "Patient.telecom", "slicing": slicing },
        { "path": "Patient.telecom", "sliceName": "phone", "max": "3", "slicing": slicing },
        { "path": "Patient.telecom", "sliceName": "email" },
        { "path": "Patient.telecom", "sliceName": "phone/home", "max": "1" },
    ]);
    let ids = ["", ":phone", ":phone/home", ":email"].map(|end| format!("Patient.telecom{end}"));
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    check_ids("Patient", &differential, "Patient.telecom", &ids);
}

#[test]
fn extensions_are_sliced_by_url_and_start_as_their_definitions() {
    let of_type = json!([{
        "code": "Extension",
        "profile": ["http://hl7.org/fhir/StructureDefinition/patient-birthPlace"],
    }]);
    let differential =
        json!([{ "path": "Patient.extension", "sliceName": "place", "type": of_type, "min": 1 }]);
    let unsliced = json!({
        "min": 1,
        "slicing": {
            "discriminator": [{ "type": "value", "path": "url" }],
            "ordered": false,
            "rules": "open",
        },
    });
    check("Patient", &differential, "Patient.extension", &unsliced);
    let slice = json!({
        "min": 1, "max": "1", "type": of_type, "sliceName": "place",
        "short": "Place of Birth for patient",
    });
    check("Patient", &differential, "Patient.extension:place", &slice);
}

#[test]
fn both_spellings_of_a_slice_for_a_type_are_one() {
    let slicing = json!({
        "discriminator": [{ "type": "type", "path": "$this" }],
        "ordered": false,
        "rules": "open",
    });
    for (path, name) in [
        ("valueQuantity", Value::Null),
        ("value[x]", json!("valueQuantity")),
    ] {
        let mut slice =
            json!({ "path": format!("Observation.{path}"), "type": [{ "code": "Quantity" }] });
        if !name.is_null() {
            slice["sliceName"] = name;
        }
        let child = json!({ "path": format!("Observation.{path}.code"), "min": 1 });
        let differential = json!([slice, child]);
        check(
            "Observation",
            &differential,
            "Observation.value[x]",
            &json!({ "slicing": slicing }),
        );
        let of_type = json!({
            "path": "Observation.value[x]", "sliceName": "valueQuantity", "min": 0, "max": "1",
            "type": [{ "code": "Quantity" }],
        });
        check(
            "Observation",
            &differential,
            "Observation.value[x]:valueQuantity",
            &of_type,
        );
        let code = "Observation.value[x]:valueQuantity.code";
        check("Observation", &differential, code, &json!({ "min": 1 }));
    }
}

#[test]
fn a_mandatory_slice_for_a_type_leaves_no_other() {
    let differential = json!([{ "path": "Observation.valueQuantity", "min": 1 }]);
    let expected = json!({ "min": 1, "type": [{ "code": "Quantity" }] });
    check(
        "Observation",
        &differential,
        "Observation.value[x]",
        &expected,
    );
}

#[test]
fn a_new_type_has_what_it_inherits_before_what_it_defines() {
    let model = json!({
        "resourceType": "StructureDefinition",
        "url": "http://example.org/Dose",
        "kind": "logical",
        "type": "http://example.org/Dose",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/BackboneElement",
        "derivation": "specialization",
        "differential": { "element": [
            { "path": "Dose", "short": "A dose" },
            { "path": "Dose.part", "min": 0, "max": "*", "type": [{ "code": "BackboneElement" }] },
            { "path": "Dose.part.amount", "min": 1, "max": "1", "type": [{ "code": "Quantity" }] },
        ] },
    });
    let generated = generate(&model, &[]).unwrap();
    assert_eq!(generated.problems, []);
    let elements = generated.structure["snapshot"]["element"]
        .as_array()
        .unwrap();
    let ids: Vec<&str> = elements
        .iter()
        .map(|element| element["id"].as_str().unwrap())
        .collect();
    let expected = [
        "Dose",
        "Dose.id",
        "Dose.extension",
        "Dose.modifierExtension",
        "Dose.part",
        "Dose.part.id",
        "Dose.part.extension",
        "Dose.part.modifierExtension",
        "Dose.part.amount",
    ];
    assert_eq!(ids, expected);
    assert_eq!(elements[0]["short"], "A dose");
    assert_eq!(
        elements[8]["base"],
        json!({ "path": "Dose.part.amount", "min": 1, "max": "1" })
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
fn a_base_without_a_snapshot_is_generated_first() {
    let differential = json!([{ "path": "Patient.gender", "min": 1 }]);
    let base = profile("Patient", &differential);
    let mut derived = profile(
        "Patient",
        &json!([{ "path": "Patient.gender", "short": "Sex" }]),
    );
    derived["url"] = json!("http://example.org/derived");
    derived["baseDefinition"] = base["url"].clone();
    let generated = generate(&derived, &[base]).unwrap().structure;
    let elements = generated["snapshot"]["element"].as_array().unwrap();
    let gender = elements
        .iter()
        .find(|element| element["id"] == "Patient.gender")
        .unwrap();
    assert_eq!(
        (&gender["min"], &gender["short"]),
        (&json!(1), &json!("Sex"))
    );
}

#[test]
fn a_text_that_begins_with_dots_is_appended() {
    let defined = |text: &str| json!([{ "path": "Patient.gender", "definition": text }]);
    let base = profile("Patient", &defined("One."));
    let mut derived = profile("Patient", &defined("...Two."));
    derived["url"] = json!("http://example.org/derived");
    derived["baseDefinition"] = base["url"].clone();
    let generated = generate(&derived, &[base]).unwrap().structure;
    let elements = generated["snapshot"]["element"].as_array().unwrap();
    let gender = elements
        .iter()
        .find(|element| element["id"] == "Patient.gender")
        .unwrap();
    assert_eq!(gender["definition"], "One.\r\nTwo.");
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
fn an_extension_may_nest_itself() {
    let url = "http://example.org/nests";
    let mut extension = profile(
        "Extension",
        &json!([
            { "path": "Extension", "short": "Nests" },
            { "path": "Extension.extension", "sliceName": "self", "type": [{ "code": "Extension", "profile": [url] }] },
        ]),
    );
    extension["url"] = json!(url);
    extension["kind"] = json!("complex-type");
    let generated = generate(&extension, &[extension.clone()]).unwrap();
    assert_eq!(generated.problems, []);
    let elements = generated.structure["snapshot"]["element"]
        .as_array()
        .unwrap();
    let nested = elements
        .iter()
        .find(|element| element["id"] == "Extension.extension:self");
    assert_eq!(nested.unwrap()["short"], "Nests");
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
