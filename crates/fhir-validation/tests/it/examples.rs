//! The examples of the specification have nothing wrong with them, and those of the guides fit
//! the base.

use fhir_validation::Options;

use crate::support::{core, examples, validate};

/// Examples that break a rule: the file, the rule and why the example is wrong.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "r4-spec/DeviceUseStatement-example.json",
        "DeviceUseStatement.reasonReference",
        "leads to a Procedure, which is not among the target types",
    ),
    (
        "r4-spec/MedicationRequest-medrx0301.json",
        "MedicationRequest.dispenseRequest.performer",
        "leads to a Practitioner, and only an Organization may dispense",
    ),
    (
        "r4-spec/Observation-clinical-gender.json",
        "Observation.performer",
        "leads to an Encounter, which performs nothing",
    ),
    (
        "r4-spec/Questionnaire-qs1.json",
        "Questionnaire.item.linkId",
        "its items of type display have no linkId, which is required",
    ),
];

#[track_caller]
fn check(guide: &str) {
    let examples = examples(guide);
    let options = Options::default();
    let mut wrong = Vec::new();
    for (name, json) in &examples {
        let issues = validate(core(), json, &options);
        let is_expected = |rule: Option<&str>| {
            EXCEPTIONS
                .iter()
                .any(|(file, broken, _)| name == file && rule == Some(broken))
        };
        wrong.extend(
            issues
                .iter()
                .filter(|issue| issue.is_error() && !is_expected(issue.rule.as_deref()))
                .map(|issue| format!("{name}: {issue}")),
        );
    }
    println!("{guide}: {} examples", examples.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_of_the_specification_is_valid() {
    check("r4-spec/");
}
