//! Whatever JSON comes, the validator answers, within its limits.

use fhir_validation::{Level, Options, UnknownExtensions};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{core, parse, root, validate};

/// Property names that lead somewhere, and some that do not.
const NAMES: &[&str] = &[
    "active",
    "_active",
    "birthDate",
    "_birthDate",
    "name",
    "given",
    "_given",
    "contact",
    "telecom",
    "contained",
    "extension",
    "modifierExtension",
    "url",
    "valueString",
    "valueQuantity",
    "value",
    "valueReference",
    "reference",
    "type",
    "identifier",
    "coding",
    "code",
    "system",
    "meta",
    "profile",
    "entry",
    "resource",
    "resourceType",
    "parameter",
    "part",
    "item",
    "id",
    "status",
    "text",
    "div",
    "subject",
    "component",
    "Ünknown",
    "",
];

const STRINGS: &[&str] = &[
    "",
    "Patient",
    "Bundle",
    "2026-03-02",
    "#a",
    "a",
    "Patient/a",
    "http://loinc.org",
    "\u{0}",
    "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
    "http://hl7.org/fhir/StructureDefinition/vitalsigns",
    "final",
    "🩺",
];

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        prop::sample::select(STRINGS).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES), inner), 0..6).prop_map(|members| {
                let members = members.into_iter();
                Value::Object(
                    members
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

fn any_resource() -> impl Strategy<Value = Value> {
    let types = prop::sample::select(
        &[
            "Patient",
            "Observation",
            "Bundle",
            "Parameters",
            "Questionnaire",
            "Basic",
            "Nothing",
        ][..],
    );
    let members = prop::collection::vec((prop::sample::select(NAMES), any_value()), 0..8);
    (types, members).prop_map(|(resource_type, members)| {
        let mut object = Map::new();
        object.insert("resourceType".to_owned(), json!(resource_type));
        for (name, value) in members {
            object.entry(name).or_insert(value);
        }
        Value::Object(object)
    })
}

proptest! {
    #[test]
    fn any_resource_gets_an_answer(resource in any_resource()) {
        let options = Options { report_unchecked: true, ..Options::default() };
        for issue in validate(core(), &resource.to_string(), &options) {
            prop_assert!(!issue.text.is_empty());
            prop_assert!(issue.place.is_some());
        }
    }

    /// A place of an official example, replaced by something else: an issue, or still sound.
    #[test]
    fn any_change_of_an_example_gets_an_answer(at in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), value in any_value()) {
        let examples = small_examples();
        let mut resource = at.get(examples).clone();
        let count = count(&resource);
        replace(&mut resource, &mut place.index(count), &value);
        validate(core(), &resource.to_string(), &Options::default());
    }
}

/// The examples of the specification that stand in the repository, but for the long ones.
fn small_examples() -> &'static [Value] {
    static EXAMPLES: std::sync::OnceLock<Vec<Value>> = std::sync::OnceLock::new();
    EXAMPLES.get_or_init(|| {
        let folder = root().join("tests/data/resources/r4-spec");
        let paths = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let texts = paths
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .map(|path| std::fs::read_to_string(path).unwrap());
        let small = texts.filter(|json| json.len() < 4_000);
        small
            .map(|json| serde_json::from_str(&json).unwrap())
            .collect()
    })
}

/// How many values there are below.
fn count(value: &Value) -> usize {
    let below: usize = match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    };
    below + 1
}

/// Replaces the value that `countdown` comes to, the root excepted.
fn replace(value: &mut Value, countdown: &mut usize, with: &Value) {
    let below: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(members) => members.values_mut().collect(),
        _ => return,
    };
    for child in below {
        if *countdown == 0 {
            *child = with.clone();
        }
        *countdown = countdown.wrapping_sub(1);
        replace(child, countdown, with);
    }
}

#[test]
fn issues_are_counted_out() {
    let many = vec![json!({"wrong": 1}); 10_000];
    let json = json!({"resourceType": "Patient", "contact": many}).to_string();
    let options = Options {
        issues_max: 10,
        ..Options::default()
    };
    let issues = validate(core(), &json, &options);
    assert_eq!(issues.len(), 11);
    assert_eq!(
        issues[10].text,
        "There are more than 10 issues; the rest was not checked"
    );
    assert!(!issues[10].is_error());
}

#[test]
fn warnings_do_not_keep_an_error_from_being_found() {
    let unknown =
        |number: usize| json!({"url": format!("http://example.org/{number}"), "valueInteger": 1});
    let patient = json!({
        "resourceType": "Patient",
        "extension": (0..20).map(unknown).collect::<Vec<Value>>(),
        "active": "yes",
    });
    let options = Options {
        issues_max: 10,
        unknown_extensions: UnknownExtensions::Warning,
        ..Options::default()
    };
    let issues = validate(core(), &patient.to_string(), &options);
    assert_eq!(issues.len(), 12);
    assert!(!issues[9].is_error());
    assert!(issues[10].is_error());
    assert_eq!(issues[10].location, "Patient.active");
    assert_eq!(
        issues[11].text,
        "There are more than 10 issues; further warnings are left out"
    );
}

#[test]
fn a_profile_that_nobody_knows_is_named_once() {
    let patient = json!({
        "resourceType": "Patient",
        "meta": {"profile": ["http://example.org/nobody-knows"]},
    });
    let entries = vec![json!({"resource": patient}); 5];
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": entries});
    let issues = validate(core(), &bundle.to_string(), &Options::default());
    assert_eq!(issues.len(), 1);
    assert_eq!(
        issues[0].location,
        "Bundle.entry[0].resource.meta.profile[0]"
    );
}

#[test]
fn a_deep_resource_is_walked_to_its_end() {
    const LEVELS: usize = 60;
    let opening = r#"{"item":["#.repeat(LEVELS);
    let closing = "]}".repeat(LEVELS);
    let json = format!(r#"{{"resourceType":"QuestionnaireResponse","item":[{opening}{closing}]}}"#);
    let issues = validate(core(), &json, &Options::default());
    // Every item lacks its linkId, the innermost is an empty array.
    assert!(issues.len() > LEVELS, "{}", issues.len());
}

#[test]
fn nothing_is_checked_at_level_off() {
    let tree = parse(core(), r#"{"resourceType": "Nothing"}"#);
    let options = Options {
        level: Level::Off,
        ..Options::default()
    };
    let issues = core().validate(tree.root(), "Patient", &["http://example.org/p"], &options);
    assert_eq!(issues, []);
}
