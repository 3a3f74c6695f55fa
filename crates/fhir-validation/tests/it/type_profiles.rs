//! Profiles of types: a value satisfies one of those that its type may have.
//! <https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.type.profile>

use std::sync::OnceLock;

use fhir_validation::{Options, Validator};
use serde_json::{Value, json};

use crate::support::{core, core_with, errors, parse, profile, quiet};

const PERSON: &str = "http://example.org/StructureDefinition/person";
const HOME: &str = "http://example.org/StructureDefinition/home-address";
const WORK: &str = "http://example.org/StructureDefinition/work-address";
const VALUES: &str = "http://example.org/StructureDefinition/values";
const GRAMS: &str = "http://example.org/StructureDefinition/grams";
const TEXT: &str = "http://example.org/StructureDefinition/text-concept";
const LETTER: &str = "http://example.org/StructureDefinition/letter";
const NAMED: &str = "http://example.org/StructureDefinition/named-patient";
const BORN: &str = "http://example.org/StructureDefinition/born-patient";
const TREE: &str = "http://example.org/StructureDefinition/tree";

fn address(url: &str, kind: &str, required: &str) -> String {
    profile(
        url,
        "Address",
        &[
            json!({"path": "Address", "min": 0, "max": "*"}),
            json!({"path": "Address.use", "min": 1, "max": "1", "type": [{"code": "code"}], "fixedCode": kind}),
            json!({"path": format!("Address.{required}"), "min": 1, "max": "1", "type": [{"code": "string"}]}),
        ],
    )
}

fn requiring(url: &str, type_name: &str, element: &str) -> String {
    profile(
        url,
        type_name,
        &[
            json!({"path": type_name, "min": 0, "max": "*"}),
            json!({"path": format!("{type_name}.{element}"), "min": 1, "max": "*"}),
        ],
    )
}

fn person() -> String {
    profile(
        PERSON,
        "Person",
        &[
            json!({"path": "Person", "min": 0, "max": "*"}),
            json!({"path": "Person.address", "min": 0, "max": "*", "type": [{"code": "Address", "profile": [HOME, WORK]}]}),
            json!({"path": "Person.photo", "min": 0, "max": "1", "type": [{"code": "Attachment", "profile": ["http://example.org/nobody-knows"]}]}),
        ],
    )
}

fn values() -> String {
    let types = json!([{"code": "Quantity", "profile": [GRAMS]}, {"code": "CodeableConcept", "profile": [TEXT]}, {"code": "string"}]);
    profile(
        VALUES,
        "Observation",
        &[
            json!({"path": "Observation", "min": 0, "max": "*"}),
            json!({"path": "Observation.value[x]", "min": 0, "max": "1", "type": types}),
        ],
    )
}

fn letter() -> String {
    let types = json!([{"code": "Patient", "profile": [NAMED]}, {"code": "Patient", "profile": [BORN]}, {"code": "Organization"}]);
    profile(
        LETTER,
        "Bundle",
        &[
            json!({"path": "Bundle", "min": 0, "max": "*"}),
            json!({"path": "Bundle.entry", "min": 0, "max": "*", "type": [{"code": "BackboneElement"}]}),
            json!({"path": "Bundle.entry.resource", "min": 1, "max": "1", "type": types}),
        ],
    )
}

/// Items have a prefix, and so have the items within.
fn tree() -> String {
    profile(
        TREE,
        "Questionnaire",
        &[
            json!({"path": "Questionnaire", "min": 0, "max": "*"}),
            json!({"path": "Questionnaire.item", "min": 0, "max": "*", "type": [{"code": "BackboneElement"}]}),
            json!({"path": "Questionnaire.item.prefix", "min": 1, "max": "1", "type": [{"code": "string"}]}),
            json!({"path": "Questionnaire.item.item", "min": 0, "max": "*", "contentReference": "#Questionnaire.item"}),
        ],
    )
}

fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| {
        let resources = [
            person(),
            address(HOME, "home", "city"),
            address(WORK, "work", "country"),
            values(),
            requiring(GRAMS, "Quantity", "unit"),
            requiring(TEXT, "CodeableConcept", "text"),
            letter(),
            requiring(NAMED, "Patient", "name"),
            requiring(BORN, "Patient", "birthDate"),
            tree(),
        ];
        core_with(&resources.each_ref().map(String::as_str))
    })
}

#[track_caller]
fn check(resource: &Value, profile: &str, expected: &[&str]) {
    let tree = parse(validator(), &resource.to_string());
    let resource_type = tree.resource_type().unwrap();
    let issues = validator().validate(tree.root(), &resource_type, &[profile], &quiet());
    assert_eq!(errors(&issues), expected, "{issues:#?}");
}

#[test]
fn one_of_several_profiles_is_enough_and_none_is_one_issue() {
    let person = |address: Value| json!({"resourceType": "Person", "address": [address]});
    check(
        &person(json!({"use": "home", "city": "Essen"})),
        PERSON,
        &[],
    );
    check(
        &person(json!({"use": "work", "country": "DE"})),
        PERSON,
        &[],
    );
    check(
        &person(json!({"use": "temp", "text": "x"})),
        PERSON,
        &["Person.address[0] Person.address"],
    );
    check(
        &person(json!({"use": "work", "city": "Essen"})),
        PERSON,
        &["Person.address[0] Person.address"],
    );
}

#[test]
fn the_issue_names_the_profiles_and_what_the_nearest_lacks() {
    let person = json!({"resourceType": "Person", "address": [{"use": "work", "city": "Essen"}]});
    let tree = parse(validator(), &person.to_string());
    let issues = validator().validate(tree.root(), "Person", &[PERSON], &quiet());
    assert_eq!(
        issues[0].text,
        format!(
            "none of the profiles {HOME} or {WORK} is satisfied; the nearest is {HOME}: \
             This must be exactly \"home\" (Person.address[0].use)"
        )
    );
}

#[test]
fn each_type_of_a_choice_has_its_own_profiles() {
    let observation = |name: &str, value: Value| {
        let mut resource =
            json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}});
        resource[name] = value;
        resource
    };
    check(
        &observation("valueQuantity", json!({"value": 1, "unit": "g"})),
        VALUES,
        &[],
    );
    check(
        &observation("valueQuantity", json!({"value": 1})),
        VALUES,
        &["Observation.value Quantity.unit"],
    );
    check(
        &observation("valueCodeableConcept", json!({"coding": [{"code": "a"}]})),
        VALUES,
        &["Observation.value CodeableConcept.text"],
    );
    check(&observation("valueString", json!("x")), VALUES, &[]);
    check(
        &observation("valueBoolean", json!(true)),
        VALUES,
        &["Observation.value Observation.value[x]"],
    );
}

#[test]
fn each_type_of_resource_has_its_own_profiles() {
    let bundle = |resource: Value| json!({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]});
    check(
        &bundle(json!({"resourceType": "Patient", "name": [{"text": "A"}]})),
        LETTER,
        &[],
    );
    check(
        &bundle(json!({"resourceType": "Patient", "birthDate": "1970"})),
        LETTER,
        &[],
    );
    check(
        &bundle(json!({"resourceType": "Organization", "name": "A"})),
        LETTER,
        &[],
    );
    check(
        &bundle(json!({"resourceType": "Patient", "active": true})),
        LETTER,
        &["Bundle.entry[0].resource Bundle.entry.resource"],
    );
    check(
        &bundle(json!({"resourceType": "Basic", "code": {"text": "x"}})),
        LETTER,
        &["Bundle.entry[0].resource Bundle.entry.resource"],
    );
}

#[test]
fn a_profile_that_is_not_loaded_is_said_to_be_not_checked() {
    let photos = json!({"resourceType": "Person", "photo": {"title": "x"}});
    let tree = parse(validator(), &photos.to_string());
    let issues = validator().validate(tree.root(), "Person", &[PERSON], &quiet());
    assert_eq!(issues.len(), 1, "{issues:#?}");
    assert!(!issues[0].is_error());
    assert_eq!(
        issues[0].text,
        "Not checked: the profile http://example.org/nobody-knows is not loaded"
    );
}

#[test]
fn a_content_reference_brings_the_rules_of_the_profile() {
    let item = |id: &str, more: Value| {
        let mut item = json!({"linkId": id, "type": "group", "text": "x"});
        item.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        item
    };
    let inner = item("3", json!({"type": "string"}));
    let middle = item("2", json!({"prefix": "2", "item": [inner]}));
    let outer = item("1", json!({"prefix": "1", "item": [middle]}));
    let questionnaire =
        json!({"resourceType": "Questionnaire", "status": "draft", "item": [outer]});
    check(
        &questionnaire,
        TREE,
        &["Questionnaire.item[0].item[0].item[0] Questionnaire.item.prefix"],
    );
}

#[test]
fn a_requested_profile_that_is_not_loaded_is_an_error() {
    let resource = |profiles: Value| {
        json!({"resourceType": "Patient", "active": true, "meta": {"profile": profiles}})
            .to_string()
    };
    let severities = |json: &str, asked: &[&str]| -> Vec<&'static str> {
        let tree = parse(core(), json);
        let issues = core().validate(tree.root(), "Patient", asked, &Options::default());
        issues.iter().map(|issue| issue.severity.code()).collect()
    };
    let nobody = "http://example.org/nobody-knows";
    assert_eq!(severities(&resource(json!([nobody])), &[]), ["warning"]);
    assert_eq!(
        severities(r#"{"resourceType": "Patient", "active": true}"#, &[nobody]),
        ["error"]
    );
    // A profile of another version of FHIR, and one of ours that is named by its version.
    let versioned = |version: &str| {
        json!([format!(
            "http://hl7.org/fhir/{version}/StructureDefinition/Patient"
        )])
    };
    assert_eq!(
        severities(&resource(versioned("5.0")), &[]),
        ["information"]
    );
    assert_eq!(severities(&resource(versioned("4.0")), &[]), [""; 0]);
}
