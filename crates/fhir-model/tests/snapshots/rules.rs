//! The rules of snapshots, one by one: <https://hl7.org/fhir/R4/profiling.html#snapshot>.

use serde_json::{Value, json};

use crate::example::{CORE, generate, profile};

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
