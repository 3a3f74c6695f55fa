//! What the options let pass or refuse.

use fhir_validation::{Doubtful, Options};
use serde_json::json;

use crate::support::{core, core_with, errors, quiet, validate};

#[test]
fn wrong_displays_are_errors_if_they_are_refused() {
    let coding = |display: &str| {
        json!({"resourceType": "Basic", "code": {"coding": [
            {"system": "http://hl7.org/fhir/item-type", "code": "string", "display": display}]}})
    };
    let wrong = vec!["Basic.code.coding[0] Coding".to_owned()];
    for (display, wrong_displays, expected) in [
        ("String", Doubtful::Refuse, &vec![]),
        ("string", Doubtful::Refuse, &vec![]),
        ("Australia", Doubtful::Admit, &vec![]),
        ("Australia", Doubtful::Refuse, &wrong),
    ] {
        let options = Options {
            wrong_displays,
            ..quiet()
        };
        let issues = validate(core(), &coding(display).to_string(), &options);
        assert_eq!(&errors(&issues), expected, "{display}: {issues:#?}");
    }
}

#[test]
fn relative_canonicals_are_errors_if_they_are_refused() {
    let wrong = vec!["Measure.library[0] Measure.library".to_owned()];
    for (library, relative_canonicals, expected) in [
        ("http://example.org/Library/a", Doubtful::Refuse, &vec![]),
        ("Library/a", Doubtful::Admit, &vec![]),
        ("Library/a", Doubtful::Refuse, &wrong),
    ] {
        let options = Options {
            relative_canonicals,
            ..quiet()
        };
        let measure = json!({"resourceType": "Measure", "status": "active", "library": [library]});
        let issues = validate(core(), &measure.to_string(), &options);
        assert_eq!(&errors(&issues), expected, "{library}: {issues:#?}");
    }
}

/// A supplement is no code system, even if it says of its content that it is complete.
#[test]
fn a_supplement_is_no_system_of_a_coding() {
    const URL: &str = "http://example.org/CodeSystem/more";
    for content in ["supplement", "complete"] {
        let supplement = json!({"resourceType": "CodeSystem", "url": URL, "status": "active",
            "content": content, "supplements": "http://hl7.org/fhir/item-type",
            "concept": [{"code": "string"}]});
        let validator = core_with(&[&supplement.to_string()]);
        let basic = json!({"resourceType": "Basic",
            "code": {"coding": [{"system": URL, "code": "string"}]}});
        let issues = validate(&validator, &basic.to_string(), &quiet());
        assert_eq!(
            errors(&issues),
            ["Basic.code.coding[0] Coding"],
            "{content}"
        );
    }
}
