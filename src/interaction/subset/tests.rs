//! Which elements a part has, by the definitions of R4.

use super::*;
use crate::definitions;

const PATIENT: &str = concat!(
    r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"1","tag":[{"code":"x"}]},"#,
    r#""implicitRules":"http://r","text":{"status":"empty"},"#,
    r#""contained":[{"resourceType":"Organization","id":"o","text":{"status":"empty"},"active":true}],"#,
    r#""extension":[{"url":"http://e","valueString":"x"}],"active":true,"#,
    r#""name":[{"family":"Aalto","_family":{"id":"f"},"extension":[{"url":"http://e"}]}],"#,
    r#""photo":[{"url":"http://p"}],"deceasedBoolean":false,"#,
    r#""link":[{"other":{"reference":"Patient/b"},"type":"seealso"}]}"#
);

const OBSERVATION: &str = concat!(
    r#"{"resourceType":"Observation","id":"o","meta":{"versionId":"1"},"status":"final","#,
    r#""code":{"text":"c"},"valueQuantity":{"value":1.00},"note":[{"text":"n"}],"#,
    r#""component":[{"code":{"text":"d"},"valueInteger":1,"referenceRange":[{"text":"r"}]}]}"#
);

/// The keys of what is left at the top, and whether it is marked.
#[track_caller]
fn check(query: &str, resource: &str, expected: &str, is_marked: bool) -> String {
    let subset = Subset::of(query).unwrap().unwrap();
    let cut = subset
        .cut(&definitions::embedded(), resource.as_bytes())
        .unwrap();
    let value: serde_json::Value = serde_json::from_str(&cut).unwrap();
    let keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys.join(" "), expected, "{query}");
    assert_eq!(cut.contains("SUBSETTED"), is_marked, "{query}");
    cut
}

#[test]
fn a_summary_has_what_the_definitions_mark() {
    let cut = check(
        "_summary=true",
        PATIENT,
        "resourceType id meta implicitRules active name deceasedBoolean link",
        true,
    );
    assert!(
        cut.contains(r#""name":[{"family":"Aalto","_family":{"id":"f"}}]"#),
        "{cut}"
    );
    let cut = check(
        "_summary=true",
        OBSERVATION,
        "resourceType id meta status code valueQuantity component",
        true,
    );
    assert!(cut.contains(r#""valueQuantity":{"value":1.00}"#), "{cut}");
    assert!(
        cut.contains(r#""component":[{"code":{"text":"d"},"valueInteger":1}]"#),
        "{cut}"
    );
}

#[test]
fn text_and_data_share_a_resource_among_them() {
    check(
        "_summary=text",
        PATIENT,
        "resourceType id meta implicitRules text active deceasedBoolean link",
        true,
    );
    check(
        "_summary=text",
        OBSERVATION,
        "resourceType id meta status code",
        true,
    );
    let cut = check(
        "_summary=data",
        PATIENT,
        "resourceType id meta implicitRules contained extension active name photo deceasedBoolean link",
        true,
    );
    assert!(!cut.contains(r#""text":"#), "{cut}");
    check(
        "_summary=data",
        OBSERVATION,
        "resourceType id meta status code valueQuantity note component",
        false,
    );
}

#[test]
fn elements_bring_what_is_mandatory_or_modifies_with_them() {
    check(
        "_elements=value,note",
        OBSERVATION,
        "resourceType id meta status code valueQuantity note",
        true,
    );
    for query in [
        "_elements=valueQuantity",
        "_elements=value[x]",
        "_elements=Observation.value",
        "_elements=value&_elements=Patient.name",
        "_elements=value&_summary=true",
    ] {
        let expected = "resourceType id meta status code valueQuantity";
        check(query, OBSERVATION, expected, true);
    }
    let whole = "resourceType id meta status code valueQuantity note component";
    check("_elements=Patient.name", OBSERVATION, whole, false);
}

#[test]
fn tags_that_are_there_stay() {
    let cut = check(
        "_elements=name",
        PATIENT,
        "resourceType id meta implicitRules active name deceasedBoolean link",
        true,
    );
    assert!(cut.contains(r#""tag":[{"code":"x"},{"system""#), "{cut}");
}

#[test]
fn entries_of_an_answer_are_cut_each() {
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"searchset","total":2,"entry":[{{"fullUrl":"u","resource":{OBSERVATION},"search":{{"mode":"match"}}}},{{"resource":{PATIENT},"search":{{"mode":"include"}}}},{{"resource":{{"resourceType":"OperationOutcome","issue":[]}},"search":{{"mode":"outcome"}}}}]}}"#
    );
    let cut = |query: &str| {
        let subset = Subset::of(query).unwrap().unwrap();
        subset
            .cut(&definitions::embedded(), bundle.as_bytes())
            .unwrap()
    };
    let elements = cut("_elements=value");
    assert!(!elements.contains("note"), "{elements}");
    assert!(elements.contains(PATIENT), "what is included is whole");
    assert!(elements.contains(r#"{"resourceType":"OperationOutcome","issue":[]}"#));
    assert_eq!(elements.matches("SUBSETTED").count(), 1);
    assert_eq!(cut("_summary=true").matches("SUBSETTED").count(), 2);
    assert_eq!(
        cut("_summary=count"),
        r#"{"resourceType":"Bundle","type":"searchset","total":2}"#
    );
}

#[test]
fn whole_resources_need_no_cut() {
    assert_eq!(Subset::of("_summary=false&name=x").unwrap(), None);
    assert_eq!(Subset::of("_elements=").unwrap(), None);
    assert!(Subset::of("_summary=some").is_err());
    let count = Subset::of("_summary=count").unwrap().unwrap();
    assert!(
        count
            .cut(&definitions::embedded(), PATIENT.as_bytes())
            .is_err()
    );
}
