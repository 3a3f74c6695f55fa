//! Two opinions on structure: our validator and a JSON Schema that is made from the same definitions
//! and judged by another library. They agree on the official examples and on each broken copy.
//!
//! Copies are made systematically: each place of an example is changed in each way of a list; a
//! change of the same element in the same way is made once, whatever the example.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;

use baton::definitions;
use fhir_model::definition::Definitions;
use fhir_model::definition::json_schema::Nested;
use fhir_model::issue::{Issue, IssueType};
use fhir_model::tree::{Limits, Tree};
use fhir_validation::{Level, Options, Validator};
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

use crate::examples::examples;
use crate::support::shared;

/// The kinds of issues that say that the structure is wrong.
const STRUCTURAL: &[IssueType] = &[
    IssueType::Structure,
    IssueType::Required,
    IssueType::Value,
    IssueType::CodeInvalid,
];

/// What the validator counts to the structure and a schema cannot know: the rule, if it is one, and
/// words of the issue.
const UNKNOWN_TO_SCHEMAS: &[(&str, &str)] = &[
    ("Coding", "is not a code of the code system"),
    ("Coding", "named by an absolute URI"),
    ("Signature.targetFormat", "Mime Types"),
    ("Signature.sigFormat", "Mime Types"),
    // The codes of a CodeableConcept, one of which suffices.
    ("Condition.clinicalStatus", "value set"),
    ("Condition.verificationStatus", "value set"),
    // What a reference leads to.
    ("Reference.type", "but the reference leads to"),
    ("", "leads to a resource of type"),
    ("", "is no reference; it is written as"),
    ("Bundle.entry.fullUrl", "names another id than the resource"),
    // What the definition of an extension says of its values.
    ("", "The profile admits the type"),
];

/// How many broken copies there are at least: fewer, and the changes have lost their grip.
const BROKEN_MIN: usize = 1_000;

/// A place in a resource: the keys and numbers that lead there.
type Path = Vec<String>;

/// What is done to the value at a place; nothing where it cannot be done.
struct Change {
    name: &'static str,
    apply: fn(&Value, &mut Map<String, Value>, &str) -> Option<()>,
}

/// The changes of a member of an object: the value, the object, the key.
const CHANGES: &[Change] = &[
    Change {
        name: "taken away",
        apply: |_, object, key| object.remove(key).map(|_| ()),
    },
    Change {
        name: "renamed",
        apply: |value, object, key| {
            object.remove(key);
            object.insert(format!("{key}X"), value.clone());
            Some(())
        },
    },
    Change {
        name: "made null",
        apply: |_, object, key| put(object, key, Value::Null),
    },
    Change {
        name: "put into an array",
        apply: |value, object, key| put(object, key, json!([value])),
    },
    Change {
        name: "taken out of its array",
        apply: |value, object, key| put(object, key, value.as_array()?.first()?.clone()),
    },
    Change {
        name: "made an empty array",
        apply: |_, object, key| put(object, key, json!([])),
    },
    Change {
        name: "made an empty object",
        apply: |_, object, key| put(object, key, json!({})),
    },
    Change {
        name: "made an object with an id only",
        apply: |_, object, key| put(object, key, json!({"id": "x"})),
    },
    Change {
        name: "made an empty string",
        apply: |_, object, key| put(object, key, json!("")),
    },
    Change {
        name: "made a string with white space around it",
        apply: |_, object, key| put(object, key, json!(" a ")),
    },
    Change {
        name: "made a word",
        apply: |_, object, key| put(object, key, json!("word")),
    },
    Change {
        name: "made a month that does not exist",
        apply: |_, object, key| put(object, key, json!("2026-13-01")),
    },
    Change {
        name: "made a number",
        apply: |_, object, key| put(object, key, json!(-7)),
    },
    Change {
        name: "made a number with a fraction",
        apply: |_, object, key| put(object, key, json!(1.5)),
    },
    Change {
        name: "made a truth",
        apply: |_, object, key| put(object, key, json!(true)),
    },
    Change {
        name: "made a string of its text",
        apply: |value, object, key| match value {
            Value::Number(_) | Value::Bool(_) => put(object, key, json!(value.to_string())),
            _ => None,
        },
    },
    Change {
        name: "put beside a second choice",
        apply: |_, object, key| {
            let choice = key.find(char::is_uppercase)?;
            let (name, _) = key.split_at_checked(choice)?;
            for (ending, value) in [("String", json!("a")), ("Boolean", json!(true))] {
                object.entry(format!("{name}{ending}")).or_insert(value);
            }
            Some(())
        },
    },
    Change {
        name: "put beside a sibling with nothing in it",
        apply: |_, object, key| put(object, &format!("_{key}"), json!({})),
    },
    Change {
        name: "put beside a sibling with an extension",
        apply: |_, object, key| {
            let extension =
                json!({"extension": [{"url": "http://example.org/a", "valueCode": "b"}]});
            put(object, &format!("_{key}"), extension)
        },
    },
];

#[expect(
    clippy::unnecessary_wraps,
    reason = "so that a change is one expression"
)]
fn put(object: &mut Map<String, Value>, key: &str, value: Value) -> Option<()> {
    object.insert(key.to_owned(), value);
    Some(())
}

/// Both judges.
struct Judges {
    definitions: std::sync::Arc<Definitions>,
    validator: Validator,
    schema: jsonschema::Validator,
}

impl Judges {
    fn new() -> Self {
        let definitions = definitions::embedded();
        let mut schema = definitions
            .json_schema("Patient", Nested::Described)
            .unwrap();
        // The definitions are those of all types: start with whichever the resource is of.
        schema["$ref"] = json!("#/$defs/Resource");
        Self {
            validator: Validator::new(definitions.clone()),
            schema: jsonschema::validator_for(&schema).unwrap(),
            definitions,
        }
    }

    /// What our validator has against the structure of a resource.
    fn structural_issues(&self, resource: &Value) -> Vec<Issue> {
        let text = resource.to_string();
        let tree = match Tree::parse(text, self.definitions.names(), &Limits::default()) {
            Ok(tree) => tree,
            Err(error) => return vec![Issue::from(&error)],
        };
        let options = Options {
            level: Level::Base,
            invariants: false,
            ..Options::default()
        };
        let resource_type = tree.resource_type().unwrap_or_default();
        let issues = self
            .validator
            .validate(tree.root(), &resource_type, &[], &options);
        issues
            .into_iter()
            .filter(|issue| issue.is_error() && is_structural(issue))
            .collect()
    }

    /// What each has against a resource, if only one of them has anything.
    fn disagreement(&self, resource: &Value) -> Result<bool, String> {
        let own = self.structural_issues(resource);
        match (own.first(), self.schema.is_valid(resource)) {
            (None, true) => Ok(true),
            (Some(_), false) => Ok(false),
            (Some(own), true) => Err(format!("only we say: {own}")),
            (None, false) => {
                let other = self.schema.iter_errors(resource).next().unwrap();
                let place = other.instance_path();
                Err(format!("only the schema says: {other} at {place}"))
            }
        }
    }
}

/// Whether a schema could say it too.
fn is_structural(issue: &Issue) -> bool {
    let rule = issue.rule.as_deref();
    let is_unknown = UNKNOWN_TO_SCHEMAS
        .iter()
        .any(|(key, words)| (key.is_empty() || rule == Some(key)) && issue.text.contains(words));
    STRUCTURAL.contains(&issue.code) && !is_unknown
}

#[test]
fn a_schema_agrees_with_the_validator_on_the_structure_of_each_broken_copy() {
    let judges = Judges::new();
    let mut made: BTreeSet<(String, &str)> = BTreeSet::new();
    let mut broken: BTreeMap<&str, usize> = BTreeMap::new();
    let mut disagreements = Vec::new();
    for path in examples() {
        let text = std::fs::read_to_string(&path).unwrap();
        let example: Value = serde_json::from_str(&text).unwrap();
        let shown = path.file_name().unwrap().to_string_lossy();
        assert_eq!(judges.disagreement(&example), Ok(true), "{shown}");
        for place in places(&example) {
            for change in CHANGES {
                let kind = (kind_of(&example, &place), change.name);
                if made.contains(&kind) {
                    continue;
                }
                let Some(copy) = changed(&example, &place, change) else {
                    continue;
                };
                match judges.disagreement(&copy) {
                    Ok(is_sound) => {
                        *broken.entry(change.name).or_default() += usize::from(!is_sound);
                    }
                    Err(reason) => disagreements.push(format!(
                        "{shown}: {} {}: {reason}",
                        place.join("/"),
                        change.name
                    )),
                }
                made.insert(kind);
            }
        }
    }
    println!("{} copies, of which broken: {broken:#?}", made.len());
    assert!(
        disagreements.is_empty(),
        "{} disagreements:\n{}",
        disagreements.len(),
        disagreements.join("\n")
    );
    assert!(broken.values().sum::<usize>() >= BROKEN_MIN, "{broken:#?}");
    for change in CHANGES {
        assert!(
            broken.contains_key(change.name),
            "{} breaks nothing",
            change.name
        );
    }
}

/// The examples of the specification and of guides, if they are at hand: both opinions are the same,
/// whatever the type.
#[test]
fn a_schema_agrees_with_the_validator_on_the_examples_of_guides() {
    let data = shared::folder();
    let Ok(file) = File::open(data.join("tests/ig-examples.tgz")) else {
        shared::say("examples of guides left out: the shared data folder is missing");
        return;
    };
    let judges = Judges::new();
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let (mut sound, mut wrong) = (0, 0);
    let mut disagreements = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut text = String::new();
        if entry.read_to_string(&mut text).is_err() {
            continue;
        }
        let Ok(resource @ Value::Object(_)) = serde_json::from_str(&text) else {
            continue;
        };
        match judges.disagreement(&resource) {
            Ok(true) => sound += 1,
            Ok(false) => wrong += 1,
            Err(reason) => disagreements.push(format!("{path}: {reason}")),
        }
    }
    println!("{sound} examples are sound, {wrong} are not");
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
    assert!(sound > 300, "{sound}");
}

/// The places of all members, outer ones first.
fn places(resource: &Value) -> Vec<Path> {
    let mut places = Vec::new();
    let mut pending: Vec<(Path, &Value)> = vec![(Vec::new(), resource)];
    while let Some((path, value)) = pending.pop() {
        let below = |step: String| path.iter().cloned().chain([step]).collect::<Path>();
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    places.push(below(key.clone()));
                    pending.push((below(key.clone()), member));
                }
            }
            Value::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    pending.push((below(number.to_string()), item));
                }
            }
            _ => {}
        }
    }
    places
}

/// How many names tell a place from others: its own, and that of what it is in.
const NAMES: usize = 2;

/// What tells a place from others where a change has the same effect: the last names of its path
/// from the type of the resource down, without numbers.
fn kind_of(resource: &Value, place: &Path) -> String {
    let steps = place.iter().map(String::as_str);
    let is_name = |step: &&str| !step.bytes().all(|byte| byte.is_ascii_digit());
    let names: Vec<&str> = resource["resourceType"]
        .as_str()
        .into_iter()
        .chain(steps.filter(is_name))
        .collect();
    names[names.len().saturating_sub(NAMES)..].join(".")
}

/// A copy with the member at a place changed.
fn changed(resource: &Value, place: &Path, change: &Change) -> Option<Value> {
    let (key, above) = place.split_last()?;
    let mut copy = resource.clone();
    let mut object = &mut copy;
    for step in above {
        object = match object {
            Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?)?,
            other => other.get_mut(step)?,
        };
    }
    let object = object.as_object_mut()?;
    let value = object.get(key)?.clone();
    (change.apply)(&value, object, key)?;
    Some(copy)
}
