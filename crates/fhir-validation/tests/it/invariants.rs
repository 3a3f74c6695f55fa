//! Where invariants are evaluated, and what is said of those that are broken.

use std::sync::{Arc, Mutex};

use fhir_model::definition::{ConstraintId, Definitions};
use fhir_validation::{Focus, Invariants, Options, Outcome, Validator};

use crate::support::{core, validate};

/// What was evaluated: the constraint, the element, its type and its resource.
type Log = Arc<Mutex<Vec<String>>>;

/// Evaluates nothing, but says that the constraints with these keys are broken.
#[derive(Debug)]
struct Scripted {
    definitions: Arc<Definitions>,
    broken: &'static [&'static str],
    log: Log,
}

impl Invariants for Scripted {
    fn evaluate(&self, constraint: ConstraintId, focus: Focus<'_>) -> Outcome {
        let key = self
            .definitions
            .text(self.definitions.constraint(constraint).key);
        let line = format!(
            "{key} {} {} {}/{}",
            focus.element.location(),
            self.definitions.type_name(focus.type_id),
            focus.root.resource_type().unwrap_or_default(),
            focus.resource.resource_type().unwrap_or_default(),
        );
        self.log.lock().unwrap().push(line);
        match key {
            key if self.broken.contains(&key) => Outcome::Broken,
            "dom-4" => Outcome::Unknown,
            _ => Outcome::Holds,
        }
    }
}

fn scripted(broken: &'static [&'static str]) -> (Validator, Log) {
    let definitions = Arc::clone(core().definitions());
    let log = Log::default();
    let invariants = Scripted {
        definitions: Arc::clone(&definitions),
        broken,
        log: Arc::clone(&log),
    };
    let validator = Validator::new(definitions).with_invariants(Box::new(invariants));
    (validator, log)
}

const ORGANIZATION: &str = r#"{
  "resourceType": "Organization",
  "contained": [{"resourceType": "Patient", "contact": [{"gender": "male"}]}],
  "name": "Clinic",
  "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}],
  "address": [{"city": "Essen"}]
}"#;

#[test]
fn each_invariant_is_evaluated_once_where_it_belongs() {
    let (validator, log) = scripted(&[]);
    let issues = validate(&validator, ORGANIZATION, &Options::default());
    assert_eq!(issues, []);
    let mut log = log.lock().unwrap().clone();
    log.retain(|line| !line.starts_with("dom-"));
    log.sort();
    assert_eq!(
        log,
        [
            "cpt-2 Organization.telecom[0] ContactPoint Organization/Organization",
            "cpt-2 Organization.telecom[1] ContactPoint Organization/Organization",
            "org-1 Organization Organization Organization/Organization",
            "org-2 Organization.address[0] Address Organization/Organization",
            "org-3 Organization.telecom[0] ContactPoint Organization/Organization",
            "org-3 Organization.telecom[1] ContactPoint Organization/Organization",
            "pat-1 Organization.contained[0].contact[0] Patient.contact Organization/Patient",
        ]
    );
}

#[test]
fn a_broken_invariant_is_an_issue_with_its_key_and_words() {
    let (validator, _) = scripted(&["pat-1", "org-2"]);
    let issues = validate(&validator, ORGANIZATION, &Options::default());
    let found: Vec<_> = issues.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "error at Organization.contained[0].contact[0]: SHALL at least contain a contact's \
             details or a reference to an organization (pat-1, line 3, column 57)",
            "error at Organization.address[0]: An address of an organization can never be of use \
             'home' (org-2, line 6, column 15)",
        ]
    );
}

#[test]
fn what_has_the_wrong_shape_is_not_held_to_invariants() {
    let (validator, _) = scripted(&["cpt-2", "org-1"]);
    let json = r#"{"resourceType": "Organization", "telecom": [{"system": "telephone"}]}"#;
    let issues = validate(&validator, json, &Options::default());
    assert_eq!(issues.len(), 1, "{issues:?}");
    assert_eq!(issues[0].location, "Organization.telecom[0].system");
}

#[test]
fn invariants_can_be_left_out_and_those_not_evaluated_reported() {
    let (validator, log) = scripted(&["org-1"]);
    let off = Options {
        invariants: false,
        ..Options::default()
    };
    assert_eq!(validate(&validator, ORGANIZATION, &off), []);
    assert!(log.lock().unwrap().is_empty());
    let report = Options {
        report_unchecked: true,
        ..Options::default()
    };
    let (validator, _) = scripted(&[]);
    let issues = validate(&validator, ORGANIZATION, &report);
    let rules: Vec<_> = issues
        .iter()
        .filter_map(|issue| issue.rule.as_deref())
        .collect();
    assert_eq!(rules, ["dom-4", "dom-4"]);
    assert!(issues.iter().all(|issue| !issue.is_error()));
}
