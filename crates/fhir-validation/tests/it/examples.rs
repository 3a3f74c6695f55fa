//! The examples of the specification have nothing wrong with them, and those of the guides fit
//! the base.

use fhir_validation::{Options, Validator};

use crate::support::{core, core_with_packages, examples, validate};

/// Examples that break a rule: the file, the rule and why the example is wrong.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "r4-spec/Basic-referral.json",
        "Extension.url",
        "its modifier extensions are made up, and nothing defines them",
    ),
    (
        "r4-spec/Bundle-hla-1.json",
        "Extension.extension",
        "writes the parts of hla-genotyping-results-allele-database as \"uri\" instead of \"url\"",
    ),
    (
        "smart-app-launch-2.2.0/Bundle-example1.json",
        "Coding",
        "laboratory is not a code of organization-type",
    ),
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
    (
        "us-core-6.1.0/Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2.json",
        "Bundle.entry.fullUrl",
        "the URL of an entry ends in Endpoint-71, and the id is 71",
    ),
    (
        "us-core-6.1.0/Bundle-docref-example-2.json",
        "Bundle.entry.fullUrl",
        "the URL of an entry ends in discharge-summary789, and the id is discharge",
    ),
];

/// The examples of a guide have no errors by this validator, but for the exceptions.
#[track_caller]
fn check(validator: &Validator, guide: &str) {
    let examples = examples(guide);
    let options = Options::default();
    let mut wrong = Vec::new();
    for (name, json) in &examples {
        let issues = validate(validator, json, &options);
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
    check(core(), "r4-spec/");
}

/// Packages that go together, and the guides whose examples claim their profiles.
const GUIDES: &[(&[&str], &[&str])] = &[
    (
        &[
            "extensions-5.3.0-ballot-tc1.ndjson.zst",
            "us-core-6.1.0.ndjson.zst",
            "ips-2.0.0.ndjson.zst",
            "care-igs.ndjson.zst",
        ],
        &[
            "us-core-6.1.0/",
            "ips-2.0.0/",
            "mcc-1.0.0",
            "sdoh-clinicalcare-3.0.0/",
            "davinci-alerts-1.1.0/",
            "davinci-hrex-1.2.0/",
            "pacio-pfe-2.0.0-ballot/",
            "subscriptions-backport-r4-1.1.0/",
            "bulkdata-3.0.0/",
            "smart-app-launch-2.2.0/",
        ],
    ),
    (
        &[
            "extensions-5.3.0-ballot-tc1.ndjson.zst",
            "sdc-4.0.0-ballot.ndjson.zst",
        ],
        &["sdc-4.0.0-ballot/"],
    ),
    (&["us-core-7.0.0.ndjson.zst"], &["us-core-7.0.0/"]),
    (&["us-core-8.0.0.ndjson.zst"], &["us-core-8.0.0/"]),
];

#[test]
fn every_example_of_the_guides_is_valid_by_their_profiles() {
    for (files, guides) in GUIDES {
        if let Some(validator) = core_with_packages(files) {
            for guide in *guides {
                check(&validator, guide);
            }
        }
    }
}
