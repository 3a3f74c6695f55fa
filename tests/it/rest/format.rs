//! JSON and XML, in requests and in answers: <https://hl7.org/fhir/R4/http.html#mime-type>.
//!
//! How XML is read and written is tested with the transcoder; here, that every door takes and gives
//! it, and that what is stored is the same.

use fhir_model::xml;
use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::{Answer, Baton, each, on_each_store};

const XML: &str = "application/fhir+xml";

const ANNA: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Patient xmlns="http://hl7.org/fhir">
  <id value="anna"/>
  <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">Anna <b>A</b> &amp; B</div></text>
  <active value="true"/>
  <name><family value="Aalto"/><given value="Anna"/><given id="g"><extension url="urn:x"><valueCode value="c"/></extension></given></name>
</Patient>"#;

/// The answer's resource, which must be XML of this MIME type.
#[track_caller]
fn of_xml(baton: &Baton, answer: &Answer, mime: &str) -> Value {
    let expected = format!("{mime};charset=utf-8");
    assert_eq!(
        answer.header("content-type"),
        Some(expected.as_str()),
        "{}",
        answer.text
    );
    let json = xml::to_json(&answer.text, &baton.services().definitions).unwrap();
    serde_json::from_str(&json).unwrap()
}

async fn get(baton: &Baton, path: &str, accept: &str) -> Answer {
    let request = baton.request(&format!("GET {path}"));
    request.header("Accept", accept).send().await
}

#[tokio::test]
async fn what_comes_as_xml_is_stored_as_json() {
    on_each_store("", NOW, async |baton| {
        let request = baton.request("PUT /Patient/anna").text(XML, ANNA);
        request.send().await.expect(201);
        let mut stored = baton.read("/Patient/anna").await;
        stored.as_object_mut().unwrap().remove("meta");
        let expected = json!({
            "resourceType": "Patient",
            "id": "anna",
            "text": {
                "status": "generated",
                "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">Anna <b>A</b> &amp; B</div>",
            },
            "active": true,
            "name": [{
                "family": "Aalto",
                "given": ["Anna", null],
                "_given": [null, { "id": "g", "extension": [{ "url": "urn:x", "valueCode": "c" }] }],
            }],
        });
        assert_eq!(stored, expected);
        for content_type in ["application/xml", "text/xml; charset=utf-8"] {
            let request = baton.request("PUT /Patient/anna").text(content_type, ANNA);
            let again = request.send().await.expect(200);
            assert_eq!(again["meta"]["versionId"], "1", "nothing changed");
        }
    })
    .await;
}

#[tokio::test]
async fn every_answer_can_be_xml() {
    on_each_store("", NOW, async |baton| {
        let request = baton.request("POST /Patient?_format=xml").text(XML, ANNA);
        let created = request.send().await;
        assert_eq!(created.status, 201);
        assert!(created.header("location").is_some());
        let created = of_xml(baton, &created, XML);
        let path = format!("/Patient/{}", created["id"].as_str().unwrap());
        assert_eq!(baton.read(&path).await, created);
        for (path, resource_type) in [
            (path.as_str(), "Patient"),
            (&format!("{path}/_history/1"), "Patient"),
            (&format!("{path}/_history"), "Bundle"),
            ("/Patient?family=aalto", "Bundle"),
            ("/metadata", "CapabilityStatement"),
            ("/$clock", "Parameters"),
        ] {
            let answer = get(baton, path, XML).await;
            assert_eq!(answer.status, 200, "{path}");
            let (mut sent, mut twin) = (of_xml(baton, &answer, XML), baton.read(path).await);
            assert_eq!(sent["resourceType"], resource_type);
            if resource_type == "Bundle" {
                // Each has an id of its own.
                sent["id"] = Value::Null;
                twin["id"] = Value::Null;
            }
            assert_eq!(sent, twin, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_transaction_and_a_validation_go_both_ways() {
    on_each_store("", NOW, async |baton| {
        let bundle = format!(
            r#"<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/><entry><resource>{}</resource><request><method value="PUT"/><url value="Patient/anna"/></request></entry></Bundle>"#,
            ANNA.split_once('\n').unwrap().1,
        );
        let request = baton.request("POST ").header("Accept", XML).text(XML, bundle);
        let answer = of_xml(baton, &request.send().await, XML);
        assert_eq!(answer["type"], "transaction-response");
        assert_eq!(answer["entry"][0]["response"]["status"], "201 Created");
        baton.get("/Patient/anna").await.expect(200);
        let wrong = r#"<Patient xmlns="http://hl7.org/fhir"><birthDate value="yesterday"/></Patient>"#;
        let request = baton.request("POST /Patient/$validate").header("Accept", XML);
        let outcome = of_xml(baton, &request.text(XML, wrong).send().await, XML);
        assert!(each(&outcome, "issue").any(|issue| issue["expression"][0] == "Patient.birthDate"));
    })
    .await;
}

#[tokio::test]
async fn a_search_by_post_says_its_format_in_the_form() {
    on_each_store("", NOW, async |baton| {
        let form = "application/x-www-form-urlencoded";
        let request = baton.request("POST /Patient/_search");
        let answer = request.text(form, "_id=anna&_format=xml").send().await;
        assert_eq!(of_xml(baton, &answer, XML)["type"], "searchset");
        let request = baton.request("POST /Patient/_search");
        let refusal = request.text(form, "_format=html").send().await.refusal();
        assert!(refusal.starts_with("406 not-supported"), "{refusal}");
    })
    .await;
}

#[tokio::test]
async fn an_error_comes_in_the_format_that_was_asked_for() {
    on_each_store("", NOW, async |baton| {
        for (line, status) in [
            ("GET /Patient/never?_format=xml", 404),
            ("GET /Patient/a/b/c/d/e?_format=xml", 404),
            ("PATCH /metadata?_format=xml", 405),
            ("GET /Patient?colour=red&_format=xml", 400),
        ] {
            let answer = baton.request(line).send().await;
            assert_eq!(answer.status, status, "{line}");
            assert_eq!(
                of_xml(baton, &answer, XML)["resourceType"],
                "OperationOutcome"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn xml_that_cannot_be_read_is_refused_with_its_place() {
    on_each_store("[rest]\nbody_bytes_max = 65536\ndepth_max = 32\n", NOW, async |baton| {
        let versions = baton.version_count().await;
        let nested = "<extension url='u'>".repeat(40);
        for (content, expected) in [
            ("\n  <nam/>", "400 structure the element 'nam' is not defined here"),
            ("<name>", "400 structure this is not well-formed XML"),
            ("<active value='yes'/>", "400 value the value does not have the form of boolean"),
            (nested.as_str(), "400 structure elements nest deeper than 32 levels"),
        ] {
            let body = format!(r#"<Patient xmlns="http://hl7.org/fhir">{content}</Patient>"#);
            let answer = baton.request("POST /Patient").text(XML, body).send().await;
            if content.contains("nam/") {
                let issue = &answer.json()["issue"][0];
                assert_eq!(issue["diagnostics"], "line 2, column 3");
                assert_eq!(issue["expression"][0], "Patient");
            }
            let refusal = answer.refusal();
            assert!(refusal.starts_with(expected), "{refusal}");
        }
        let doctype = r#"<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Patient xmlns="http://hl7.org/fhir"/>"#;
        let refusal = baton.request("POST /Patient").text(XML, doctype).send().await.refusal();
        assert!(refusal.starts_with("400 structure a document type declaration"), "{refusal}");
        let large = format!("{ANNA}{}", " ".repeat(65_536));
        let refusal = baton.request("POST /Patient").text(XML, large).send().await.refusal();
        assert!(refusal.starts_with("413 too-long"), "{refusal}");
        assert_eq!(baton.version_count().await, versions);
    })
    .await;
}

#[tokio::test]
async fn a_human_reader_gets_lines() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        let xml = get(baton, "/Patient/anna?_pretty=true", "text/xml").await;
        assert_eq!(of_xml(baton, &xml, "text/xml")["id"], "anna");
        assert!(
            xml.text.contains("\n  <id value=\"anna\"/>\n"),
            "{}",
            xml.text
        );
        let json = baton.get("/Patient/anna?_pretty=true").await.text;
        assert!(json.contains("\n  \"id\": \"anna\","), "{json}");
        let generic = get(baton, "/Patient/anna", "application/json").await;
        assert_eq!(
            generic.header("content-type"),
            Some("application/json;charset=utf-8")
        );
        let head = baton.request("HEAD /Patient/anna?_format=xml").send().await;
        assert_eq!(
            head.header("content-type"),
            Some("application/fhir+xml;charset=utf-8")
        );
        assert_eq!((head.status, head.text.as_str()), (200, ""));
    })
    .await;
}

/// JSON has a spelling for characters that XML 1.0 has not.
#[tokio::test]
async fn what_xml_has_no_form_for_is_sent_as_json() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "\u{ffff}"))
            .await
            .expect(201);
        let answer = get(baton, "/Patient/anna", XML).await;
        let content_type = answer.header("content-type").unwrap();
        assert!(
            content_type.starts_with("application/fhir+json"),
            "{content_type}"
        );
        assert_eq!(answer.expect(200)["name"][0]["family"], "\u{ffff}");
    })
    .await;
}
