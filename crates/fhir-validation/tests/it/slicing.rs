//! Slicing: which occurrence belongs to which slice, and what follows from it.
//! <https://hl7.org/fhir/R4/profiling.html#slicing>

use fhir_validation::{Options, Validator};
use serde_json::{Value, json};

use crate::support::{core_with, errors, parse, profile, quiet, short};

const URL: &str = "http://example.org/StructureDefinition/test";
const PARENT: &str = "http://example.org/StructureDefinition/parent";
const NICKNAME: &str = "http://example.org/StructureDefinition/nickname";

/// A validator by a profile of a type with these elements; those that only name a path and a
/// slice get what else they need.
fn validator(type_name: &str, elements: &[Value]) -> Validator {
    let mut all = vec![json!({"path": type_name, "min": 0, "max": "*"})];
    all.extend(elements.iter().cloned());
    let parent = profile(
        PARENT,
        "Patient",
        &[
            json!({"path": "Patient", "min": 0, "max": "*"}),
            json!({"path": "Patient.contact", "min": 1, "max": "*", "type": [{"code": "BackboneElement"}]}),
            json!({"path": "Patient.gender", "min": 0, "max": "1", "type": [{"code": "code"}], "fixedCode": "female"}),
        ],
    );
    let nickname = profile(
        NICKNAME,
        "Extension",
        &[
            json!({"path": "Extension", "min": 0, "max": "*"}),
            json!({"path": "Extension.url", "min": 1, "max": "1", "type": [{"code": "uri"}], "fixedUri": NICKNAME}),
            json!({"path": "Extension.value[x]", "min": 1, "max": "1", "type": [{"code": "string"}]}),
        ],
    );
    core_with(&[&profile(URL, type_name, &all), &parent, &nickname])
}

#[track_caller]
fn check(validator: &Validator, resource: &Value, expected: &[&str]) {
    let tree = parse(validator, &resource.to_string());
    let resource_type = tree.resource_type().unwrap();
    let issues = validator.validate(tree.root(), &resource_type, &[URL], &quiet());
    assert_eq!(errors(&issues), expected, "{issues:#?}");
}

/// A sliced element, and its slices: name, cardinality, and what each says of a path below.
fn sliced(path: &str, slicing: &Value, slices: &[(&str, u32, &str, &[Value])]) -> Vec<Value> {
    let mut elements = vec![json!({"path": path, "min": 0, "max": "*", "slicing": slicing})];
    for (name, min, max, below) in slices {
        let id = format!("{path}:{name}");
        elements.push(json!({"id": id, "path": path, "sliceName": name, "min": min, "max": max}));
        for child in *below {
            let mut child = child.clone();
            let end = child["path"].as_str().unwrap().to_owned();
            if end.is_empty() {
                let slice = elements.last_mut().unwrap().as_object_mut().unwrap();
                child.as_object_mut().unwrap().shift_remove("path");
                slice.extend(child.as_object().unwrap().clone());
                continue;
            }
            child["id"] = json!(format!("{id}.{end}"));
            child["path"] = json!(format!("{path}.{end}"));
            elements.push(child);
        }
    }
    elements
}

fn by(kind: &str, path: &str, rules: &str, is_ordered: bool) -> Value {
    json!({"discriminator": [{"type": kind, "path": path}], "rules": rules, "ordered": is_ordered})
}

fn fixed_code(path: &str, code: &str) -> Value {
    json!({"path": path, "min": 1, "max": "1", "type": [{"code": "code"}], "fixedCode": code})
}

fn telecom(systems: &[&str]) -> Value {
    let points: Vec<Value> = systems
        .iter()
        .map(|system| json!({"system": system, "value": "1"}))
        .collect();
    json!({"resourceType": "Patient", "telecom": points})
}

fn phone_and_email(rules: &str, is_ordered: bool) -> Validator {
    let slices: [(&str, u32, &str, &[Value]); 2] = [
        ("phone", 0, "2", &[fixed_code("system", "phone")]),
        ("email", 0, "1", &[fixed_code("system", "email")]),
    ];
    validator(
        "Patient",
        &sliced(
            "Patient.telecom",
            &by("value", "system", rules, is_ordered),
            &slices,
        ),
    )
}

#[test]
fn open_closed_and_open_at_end() {
    let resource = telecom(&["phone", "fax", "email"]);
    check(&phone_and_email("open", false), &resource, &[]);
    check(
        &phone_and_email("closed", false),
        &resource,
        &["Patient.telecom[1] Patient.telecom"],
    );
    check(
        &phone_and_email("openAtEnd", false),
        &resource,
        &["Patient.telecom[2] Patient.telecom:email"],
    );
    check(
        &phone_and_email("openAtEnd", false),
        &telecom(&["email", "phone", "fax"]),
        &[],
    );
}

#[test]
fn ordered_slices_come_in_order() {
    check(
        &phone_and_email("open", true),
        &telecom(&["phone", "fax", "phone", "email"]),
        &[],
    );
    check(
        &phone_and_email("open", true),
        &telecom(&["email", "phone"]),
        &["Patient.telecom[1] Patient.telecom:phone"],
    );
    check(
        &phone_and_email("open", false),
        &telecom(&["email", "phone"]),
        &[],
    );
    check(
        &phone_and_email("open", false),
        &telecom(&["email", "email"]),
        &["Patient.telecom[1] Patient.telecom:email"],
    );
}

#[test]
fn a_default_slice_takes_the_others() {
    let slices: [(&str, u32, &str, &[Value]); 2] = [
        ("phone", 0, "*", &[fixed_code("system", "phone")]),
        (
            "@default",
            1,
            "1",
            &[json!({"path": "use", "min": 1, "max": "1", "type": [{"code": "code"}]})],
        ),
    ];
    let validator = validator(
        "Patient",
        &sliced(
            "Patient.telecom",
            &by("value", "system", "closed", false),
            &slices,
        ),
    );
    check(
        &validator,
        &telecom(&["phone"]),
        &["Patient Patient.telecom:@default"],
    );
    check(
        &validator,
        &telecom(&["phone", "fax"]),
        &["Patient.telecom[1] Patient.telecom:@default.use"],
    );
}

#[test]
fn a_slice_is_sliced_again() {
    let mut elements = sliced(
        "Patient.telecom",
        &by("value", "system", "open", false),
        &[("phone", 0, "*", &[fixed_code("system", "phone")])],
    );
    elements[1]["slicing"] = by("value", "use", "closed", false);
    for (name, code) in [("phone/home", "home"), ("phone/work", "work")] {
        let id = format!("Patient.telecom:{name}");
        elements.push(
            json!({"id": id, "path": "Patient.telecom", "sliceName": name, "min": 1, "max": "1"}),
        );
        elements.push(json!({"id": format!("{id}.system"), "path": "Patient.telecom.system", "min": 1, "max": "1", "fixedCode": "phone"}));
        elements.push(json!({"id": format!("{id}.use"), "path": "Patient.telecom.use", "min": 1, "max": "1", "fixedCode": code}));
    }
    let validator = validator("Patient", &elements);
    let phones = |uses: &[&str]| {
        let mut points: Vec<Value> = uses
            .iter()
            .map(|kind| json!({"system": "phone", "use": kind, "value": "1"}))
            .collect();
        points.push(json!({"system": "email", "use": "temp", "value": "1"}));
        json!({"resourceType": "Patient", "telecom": points})
    };
    check(&validator, &phones(&["home", "work"]), &[]);
    check(
        &validator,
        &phones(&["home"]),
        &["Patient Patient.telecom:phone/work"],
    );
    check(
        &validator,
        &phones(&["home", "work", "work"]),
        &["Patient.telecom[2] Patient.telecom:phone/work"],
    );
    check(
        &validator,
        &phones(&["home", "work", "mobile"]),
        &["Patient.telecom[2] Patient.telecom:phone"],
    );
}

#[test]
fn several_discriminators_hold_together() {
    let slicing = json!({"discriminator": [{"type": "value", "path": "system"}, {"type": "exists", "path": "period"}], "rules": "closed"});
    let with_period = json!({"path": "period", "min": 1, "max": "1", "type": [{"code": "Period"}]});
    let without = json!({"path": "period", "min": 0, "max": "0", "type": [{"code": "Period"}]});
    let slices: [(&str, u32, &str, &[Value]); 2] = [
        ("old", 0, "*", &[fixed_code("system", "phone"), with_period]),
        ("now", 0, "1", &[fixed_code("system", "phone"), without]),
    ];
    let validator = validator("Patient", &sliced("Patient.telecom", &slicing, &slices));
    let point = |system: &str, period: bool| {
        let mut point = json!({"system": system, "value": "1"});
        if period {
            point["period"] = json!({"end": "2026"});
        }
        point
    };
    let patient = |points: Value| json!({"resourceType": "Patient", "telecom": points});
    check(
        &validator,
        &patient(json!([
            point("phone", true),
            point("phone", true),
            point("phone", false)
        ])),
        &[],
    );
    check(
        &validator,
        &patient(json!([point("phone", false), point("phone", false)])),
        &["Patient.telecom[1] Patient.telecom:now"],
    );
    check(
        &validator,
        &patient(json!([point("email", true)])),
        &["Patient.telecom[0] Patient.telecom"],
    );
}

#[test]
fn values_are_found_where_a_pattern_further_up_gives_them() {
    let pattern = json!({"path": "code", "min": 1, "max": "1", "type": [{"code": "CodeableConcept"}],
        "patternCodeableConcept": {"coding": [{"system": "http://example.org/c", "code": "net"}]}});
    let slices: [(&str, u32, &str, &[Value]); 1] = [("net", 1, "1", &[pattern])];
    let validator = validator(
        "Observation",
        &sliced(
            "Observation.component",
            &by("value", "code.coding.code", "open", false),
            &slices,
        ),
    );
    let observation = |code: &str| {
        json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "component": [{"code": {"coding": [{"system": "http://example.org/c", "code": code}]}, "valueString": "y"}]})
    };
    check(&validator, &observation("net"), &[]);
    check(
        &validator,
        &observation("tare"),
        &["Observation Observation.component:net"],
    );
}

#[test]
fn types_behind_references_tell_slices_apart() {
    let item = |type_name: &str| {
        json!({"path": "item", "min": 1, "max": "1", "type": [{"code": "Reference",
        "targetProfile": [format!("http://hl7.org/fhir/StructureDefinition/{type_name}")]}]})
    };
    let slices: [(&str, u32, &str, &[Value]); 2] = [
        ("who", 1, "1", &[item("Patient")]),
        ("what", 0, "*", &[item("Device")]),
    ];
    let validator = validator(
        "List",
        &sliced(
            "List.entry",
            &by("type", "item.resolve()", "closed", false),
            &slices,
        ),
    );
    let list = |items: &[&str]| {
        let entries: Vec<Value> = items
            .iter()
            .map(|item| json!({"item": {"reference": item}}))
            .collect();
        json!({"resourceType": "List", "status": "current", "mode": "working", "entry": entries,
            "contained": [{"resourceType": "Patient", "id": "p", "active": true}], "subject": {"reference": "#p"}})
    };
    check(
        &validator,
        &list(&["Patient/1", "Device/1", "Device/2"]),
        &[],
    );
    check(&validator, &list(&["#p", "Device/1"]), &[]);
    check(&validator, &list(&["Device/1"]), &["List List.entry:who"]);
    check(
        &validator,
        &list(&["Patient/1", "Group/1"]),
        &["List.entry[1] List.entry"],
    );
    // It may be the patient that is needed.
    check(
        &validator,
        &list(&["urn:uuid:5d9588d8-3cd6-4b32-8fb7-ad13694e069d"]),
        &[],
    );
}

#[test]
fn profiles_behind_references_tell_slices_apart() {
    let item = json!({"path": "item", "min": 1, "max": "1", "type": [{"code": "Reference", "targetProfile": [PARENT]}]});
    let slices: [(&str, u32, &str, &[Value]); 1] = [("parent", 1, "1", &[item])];
    let elements = sliced(
        "List.entry",
        &by("profile", "item.resolve()", "open", false),
        &slices,
    );
    let validator = validator("List", &elements);
    let list = |patient: Value| {
        json!({"resourceType": "List", "status": "current", "mode": "working",
        "contained": [patient], "entry": [{"item": {"reference": "#p"}}]})
    };
    let contact = json!([{"name": {"text": "x"}}]);
    check(
        &validator,
        &list(
            json!({"resourceType": "Patient", "id": "p", "gender": "female", "contact": contact}),
        ),
        &[],
    );
    check(
        &validator,
        &list(json!({"resourceType": "Patient", "id": "p", "gender": "male", "contact": contact})),
        &["List List.entry:parent"],
    );
}

#[test]
fn resources_are_told_apart_by_what_their_profiles_fix() {
    let resource = json!({"path": "resource", "min": 1, "max": "1", "type": [{"code": "Patient", "profile": [PARENT]}]});
    let slices: [(&str, u32, &str, &[Value]); 1] = [("mother", 1, "1", &[resource])];
    let elements = sliced(
        "Bundle.entry",
        &by("value", "resource.gender", "open", false),
        &slices,
    );
    let validator = validator("Bundle", &elements);
    let bundle = |gender: &str, contact: Value| {
        json!({"resourceType": "Bundle", "type": "collection",
        "entry": [{"resource": {"resourceType": "Patient", "gender": gender, "contact": contact}}]})
    };
    let contact = json!([{"name": {"text": "x"}}]);
    check(&validator, &bundle("female", contact.clone()), &[]);
    check(
        &validator,
        &bundle("male", contact),
        &["Bundle Bundle.entry:mother"],
    );
}

#[test]
fn extensions_are_sliced_by_their_url_whether_that_is_said_or_not() {
    let mut elements = sliced(
        "Patient.extension",
        &Value::Null,
        &[(
            "nickname",
            1,
            "1",
            &[json!({"path": "", "type": [{"code": "Extension", "profile": [NICKNAME]}]})],
        )],
    );
    elements[0].as_object_mut().unwrap().shift_remove("slicing");
    let validator = validator("Patient", &elements);
    let patient = |url: &str| json!({"resourceType": "Patient", "extension": [{"url": url, "valueString": "x"}]});
    check(&validator, &patient(NICKNAME), &[]);
    check(
        &validator,
        &patient("http://example.org/other"),
        &["Patient Patient.extension:nickname"],
    );
}

#[test]
fn an_extension_tells_slices_apart() {
    let extension = json!({"path": "extension", "min": 0, "max": "*", "type": [{"code": "Extension"}],
        "slicing": {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}});
    let mut elements = sliced(
        "Patient.name",
        &by(
            "exists",
            &format!("extension('{NICKNAME}').value"),
            "open",
            false,
        ),
        &[("nick", 0, "1", &[extension])],
    );
    elements.push(json!({"id": "Patient.name:nick.extension:nickname", "path": "Patient.name.extension", "sliceName": "nickname",
        "min": 1, "max": "1", "type": [{"code": "Extension", "profile": [NICKNAME]}]}));
    let validator = validator("Patient", &elements);
    let nick = json!({"text": "x", "extension": [{"url": NICKNAME, "valueString": "y"}]});
    let patient = |names: Value| json!({"resourceType": "Patient", "name": names});
    check(&validator, &patient(json!([nick, {"text": "z"}])), &[]);
    check(
        &validator,
        &patient(json!([nick, nick])),
        &["Patient.name[1] Patient.name:nick"],
    );
}

#[test]
fn choices_are_sliced_by_type_in_either_spelling() {
    for path in ["Observation.value[x]", "Observation.valueQuantity"] {
        let elements = [
            json!({"path": "Observation.value[x]", "min": 0, "max": "1"}),
            json!({"id": "Observation.value[x]:valueQuantity", "path": path, "sliceName": "valueQuantity", "min": 0, "max": "1", "type": [{"code": "Quantity"}]}),
            json!({"id": "Observation.value[x]:valueQuantity.unit", "path": format!("{path}.unit"), "min": 1, "max": "1", "type": [{"code": "string"}]}),
        ];
        let validator = validator("Observation", &elements);
        let observation = |name: &str, value: Value| {
            let mut resource =
                json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}});
            resource[name] = value;
            resource
        };
        check(&validator, &observation("valueString", json!("x")), &[]);
        check(
            &validator,
            &observation("valueQuantity", json!({"value": 1, "unit": "g"})),
            &[],
        );
        check(
            &validator,
            &observation("valueQuantity", json!({"value": 1})),
            &["Observation.value Observation.value[x]:valueQuantity.unit"],
        );
    }
}

#[test]
fn a_part_of_a_choice_tells_slices_apart() {
    let value = json!({"path": "value[x]", "min": 1, "max": "1", "type": [{"code": "Quantity"}]});
    let code = json!({"path": "value[x].code", "min": 1, "max": "1", "type": [{"code": "code"}], "fixedCode": "kg"});
    let slices: [(&str, u32, &str, &[Value]); 1] = [("mass", 1, "1", &[value, code])];
    let elements = sliced(
        "Observation.component",
        &by("value", "value.ofType(Quantity).code", "open", false),
        &slices,
    );
    let validator = validator("Observation", &elements);
    let observation = |code: &str| {
        json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "component": [{"code": {"text": "y"}, "valueQuantity": {"value": 1, "system": "http://unitsofmeasure.org", "code": code}}]})
    };
    check(&validator, &observation("kg"), &[]);
    check(
        &validator,
        &observation("m"),
        &["Observation Observation.component:mass"],
    );
}

#[test]
fn what_a_content_reference_brings_is_sliced_too() {
    let item = [
        json!({"path": "Questionnaire.item", "min": 0, "max": "*", "type": [{"code": "BackboneElement"}]}),
        json!({"path": "Questionnaire.item.item", "min": 0, "max": "*", "contentReference": "#Questionnaire.item",
            "slicing": {"discriminator": [{"type": "value", "path": "linkId"}], "rules": "closed"}}),
        json!({"id": "Questionnaire.item.item:first", "path": "Questionnaire.item.item", "sliceName": "first", "min": 1, "max": "1", "contentReference": "#Questionnaire.item"}),
        json!({"id": "Questionnaire.item.item:first.linkId", "path": "Questionnaire.item.item.linkId", "min": 1, "max": "1", "type": [{"code": "string"}], "fixedString": "1.1"}),
    ];
    let validator = validator("Questionnaire", &item);
    let question = |id: &str| json!({"linkId": id, "type": "string", "text": "x"});
    let questionnaire = |inner: Value| {
        json!({"resourceType": "Questionnaire", "status": "draft",
        "item": [{"linkId": "1", "type": "group", "text": "x", "item": inner}]})
    };
    // The content of the inner items is that of the outer ones, so they need an item 1.1 as well.
    check(
        &validator,
        &questionnaire(json!([question("1.2")])),
        &[
            "Questionnaire.item[0].item[0] Questionnaire.item.item:first",
            "Questionnaire.item[0].item[0] Questionnaire.item.item",
            "Questionnaire.item[0] Questionnaire.item.item:first",
        ],
    );
}

#[test]
fn what_cannot_be_evaluated_is_said_to_be_not_checked() {
    let slices: [(&str, u32, &str, &[Value]); 1] =
        [("phone", 1, "1", &[fixed_code("system", "phone")])];
    for (path, reason) in [
        (
            "where(use = 'home').system",
            "where() is no part of a discriminator",
        ),
        ("use", "nothing tells phone from others"),
        ("nobody", "no type has an element nobody"),
    ] {
        let validator = validator(
            "Patient",
            &sliced(
                "Patient.telecom",
                &by("value", path, "closed", false),
                &slices,
            ),
        );
        let tree = parse(&validator, &telecom(&["email", "phone"]).to_string());
        let issues = validator.validate(tree.root(), "Patient", &[URL], &Options::default());
        let found: Vec<_> = issues
            .iter()
            .map(|issue| (issue.severity.code(), short(issue), issue.text.as_str()))
            .collect();
        let text = format!("Not checked which slice this is: {reason}");
        assert_eq!(
            found,
            [(
                "information",
                "Patient.telecom[0] Patient.telecom".to_owned(),
                text.as_str()
            )]
        );
    }
}
