//! Bundles, narratives and attachments: rules that stand in the text of the specification.

use fhir_validation::Options;
use serde_json::{Value, json};

use crate::support::{core, validate};

/// The resource has these errors: location and rule.
#[track_caller]
fn check(resource: &Value, expected: &[&str]) {
    let issues = validate(core(), &resource.to_string(), &Options::default());
    let found: Vec<String> = issues
        .iter()
        .filter(|issue| issue.is_error())
        .map(|issue| {
            format!(
                "{} {}",
                issue.location,
                issue.rule.as_deref().unwrap_or_default()
            )
        })
        .collect();
    assert_eq!(found, expected, "{issues:#?}");
}

fn patient(id: &str) -> Value {
    json!({"resourceType": "Patient", "id": id, "active": true})
}

fn url(type_name: &str, id: &str) -> String {
    format!("http://example.org/fhir/{type_name}/{id}")
}

#[test]
fn the_url_of_an_entry_does_not_disagree_with_its_resource() {
    let bundle = |url: &str, resource: Value| json!({"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": url, "resource": resource}]});
    let wrong = &["Bundle.entry[0].fullUrl Bundle.entry.fullUrl"];
    check(&bundle(&url("Patient", "1"), patient("1")), &[]);
    check(&bundle(&url("Patient", "2"), patient("1")), wrong);
    check(&bundle(&url("Group", "1"), patient("1")), wrong);
    check(&bundle("Patient/1", patient("1")), wrong);
    let without_id = json!({"resourceType": "Patient", "active": true});
    check(&bundle(&url("Patient", "1"), without_id.clone()), wrong);
    check(
        &bundle("urn:uuid:5d9588d8-3cd6-4b32-8fb7-ad13694e069d", without_id),
        &[],
    );
    check(&bundle("http://example.org/anything/1", patient("2")), &[]);
}

fn document(subject: &str, further: &[Value]) -> Value {
    let composition = json!({
        "resourceType": "Composition", "id": "c", "status": "final", "date": "2026-03-02",
        "type": {"text": "Discharge summary"}, "title": "Discharge summary",
        "subject": {"reference": subject}, "author": [{"display": "A. Author"}],
    });
    let mut entries = vec![json!({"fullUrl": url("Composition", "c"), "resource": composition})];
    entries.extend_from_slice(further);
    json!({"resourceType": "Bundle", "type": "document", "timestamp": "2026-03-02T10:00:00Z",
        "identifier": {"system": "http://example.org/ids", "value": "1"}, "entry": entries})
}

#[test]
fn a_document_holds_what_its_composition_names_and_nothing_else() {
    let entry = |resource: Value| {
        let type_name = resource["resourceType"].as_str().unwrap().to_owned();
        let id = resource["id"].as_str().unwrap().to_owned();
        json!({"fullUrl": url(&type_name, &id), "resource": resource})
    };
    check(&document("Patient/1", &[entry(patient("1"))]), &[]);
    check(
        &document("Patient/2", &[entry(patient("1"))]),
        &[
            "Bundle.entry[0].resource.subject.reference Composition.subject",
            "Bundle.entry[1] Bundle.entry",
        ],
    );
    check(
        &document("Patient/1", &[entry(patient("1")), entry(patient("2"))]),
        &["Bundle.entry[2] Bundle.entry"],
    );
    let list = json!({"resourceType": "List", "id": "l", "status": "current", "mode": "working",
        "subject": {"reference": "Patient/1"}});
    check(
        &document("Patient/1", &[entry(patient("1")), entry(list)]),
        &[],
    );
    let no_url = json!({"resource": patient("1")});
    check(
        &document("Patient/1", &[no_url]),
        &[
            "Bundle.entry[1] Bundle.entry.fullUrl",
            "Bundle.entry[0].resource.subject.reference Composition.subject",
        ],
    );
    let mut styled = document("Patient/1", &[entry(patient("1"))]);
    styled["link"] = json!([{"relation": "stylesheet", "url": "Binary/css"}]);
    check(&styled, &["Bundle.link[0].url Bundle.link.url"]);
}

#[test]
fn a_message_holds_what_it_is_about() {
    let message = |focus: &str| {
        let header = json!({"resourceType": "MessageHeader", "id": "h", "eventUri": "http://example.org/event",
            "source": {"endpoint": "http://example.org/fhir"}, "focus": [{"reference": focus}]});
        json!({"resourceType": "Bundle", "type": "message", "entry": [
            {"fullUrl": url("MessageHeader", "h"), "resource": header},
            {"fullUrl": url("Patient", "1"), "resource": patient("1")}]})
    };
    check(&message("Patient/1"), &[]);
    check(
        &message("Patient/2"),
        &["Bundle.entry[0].resource.focus[0].reference MessageHeader.focus"],
    );
}

#[test]
fn a_request_fits_the_resource() {
    let transaction = |method: &str, url: &str| {
        json!({"resourceType": "Bundle", "type": "transaction",
            "entry": [{"resource": patient("1"), "request": {"method": method, "url": url}}]})
    };
    let wrong = &["Bundle.entry[0].request.url Bundle.entry.request.url"];
    for (method, url, expected) in [
        ("PUT", "Patient/1", &[] as &[&str]),
        ("PUT", "Patient?identifier=a", &[]),
        ("PUT", "Patient/2", wrong),
        ("PUT", "Group/1", wrong),
        ("POST", "Patient", &[]),
        ("POST", "Group", wrong),
        ("POST", "Patient/$match", &[]),
    ] {
        check(&transaction(method, url), expected);
    }
    check(
        &json!({"resourceType": "Bundle", "type": "transaction",
            "entry": [{"request": {"method": "POST", "url": "Patient"}}]}),
        &["Bundle.entry[0] Bundle.entry.resource"],
    );
}

#[test]
fn a_narrative_is_plain_xhtml() {
    let with = |div: &str| {
        json!({"resourceType": "Patient", "active": true, "text": {"status": "generated",
            "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{div}</div>")}})
    };
    check(&with("<p>a</p>"), &[]);
    check(&with(""), &[]);
    for wrong in [
        "<script>go()</script>",
        "<p onclick=\"go()\">a</p>",
        "a&nbsp;b",
        "<a href=\"javascript:go()\">a</a>",
        "<p>a",
    ] {
        check(&with(wrong), &["Patient.text.div txt-1"]);
    }
}

#[test]
fn the_size_of_an_attachment_is_that_of_its_data() {
    let with = |size: u32| {
        json!({"resourceType": "Patient", "active": true,
            "photo": [{"contentType": "image/png", "data": "aGVsbG8=", "size": size}]})
    };
    check(&with(5), &[]);
    check(&with(6), &["Patient.photo[0].size Attachment.size"]);
}

#[test]
fn definitions_are_consistent() {
    let parameter = |kind: &str, derived_from: &str| {
        json!({"resourceType": "SearchParameter", "url": "http://example.org/sp", "name": "Own",
            "status": "draft", "description": "Own", "code": "own", "base": ["Patient"],
            "type": kind, "expression": "Patient.birthDate", "derivedFrom": derived_from})
    };
    let birthdate = "http://hl7.org/fhir/SearchParameter/individual-birthdate";
    check(&parameter("date", birthdate), &[]);
    check(
        &parameter("token", birthdate),
        &["SearchParameter.derivedFrom SearchParameter.derivedFrom"],
    );
    check(
        &parameter("composite", "http://example.org/other"),
        &["SearchParameter SearchParameter.component"],
    );
    let structure = |type_name: &str| {
        json!({"resourceType": "StructureDefinition", "url": "http://example.org/sd", "name": "Own",
            "status": "draft", "kind": "logical", "abstract": false, "type": type_name,
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Element", "derivation": "specialization",
            "differential": {"element": [{"id": "Own", "path": "Own"}]}})
    };
    check(&structure("http://example.org/sd"), &[]);
    for wrong in ["Own", "Element"] {
        check(
            &structure(wrong),
            &["StructureDefinition.type StructureDefinition.type"],
        );
    }
}
