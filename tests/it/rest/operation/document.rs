//! `Composition/$document`.

use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::{Baton, each, on_each_store};

fn composition(entry: &str) -> Value {
    json!({
        "resourceType": "Composition",
        "id": "c",
        "status": "final",
        "type": { "text": "Discharge summary" },
        "subject": { "reference": "Patient/anna" },
        "date": "2026-03-06",
        "author": [{ "reference": "Practitioner/p" }],
        "title": "Discharge summary",
        "custodian": { "reference": "Organization/o" },
        "section": [
            { "title": "Findings", "entry": [{ "reference": entry }] },
            { "title": "Again", "entry": [{ "reference": "Observation/x" }] },
        ],
    })
}

async fn record(baton: &Baton) {
    let resources = [
        json!({ "resourceType": "Organization", "id": "o", "name": "House" }),
        json!({ "resourceType": "Organization", "id": "far", "name": "Far" }),
        json!({ "resourceType": "Practitioner", "id": "p" }),
        patient("anna", "Miller"),
        json!({
            "resourceType": "Observation", "id": "x", "status": "final",
            "code": { "text": "weight" },
            "subject": { "reference": "Patient/anna" },
            "performer": [{ "reference": "Organization/far" }, { "reference": "Practitioner/none" }],
        }),
        composition("Observation/x"),
    ];
    for resource in resources {
        let (name, id) = (&resource["resourceType"], &resource["id"]);
        let path = format!("/{}/{}", name.as_str().unwrap(), id.as_str().unwrap());
        baton.put(&path, &resource).await.expect(201);
    }
}

async fn is_valid(baton: &Baton, bundle: &Value) {
    let outcome = baton.post("/Bundle/$validate", bundle).await.expect(200);
    let errors = each(&outcome, "issue").filter(|issue| issue["severity"] == "error");
    assert_eq!(errors.count(), 0, "{outcome}");
}

#[tokio::test]
async fn a_document_has_all_that_its_composition_leads_to() {
    on_each_store("", NOW, async |baton| {
        record(baton).await;
        let bundle = baton.read("/Composition/c/$document").await;
        assert_eq!(bundle["type"], "document");
        assert_eq!(bundle["timestamp"], "2026-03-06T16:10:00.000Z");
        assert_eq!(bundle["identifier"]["system"], "urn:ietf:rfc:3986");
        let keys: Vec<&str> = each(&bundle, "entry")
            .map(|entry| entry["fullUrl"].as_str().unwrap())
            .map(|url| url.strip_prefix(&format!("{}/", baton.base())).unwrap())
            .collect();
        let expected = [
            "Composition/c",
            "Patient/anna",
            "Practitioner/p",
            "Organization/o",
            "Observation/x",
            "Organization/far",
        ];
        assert_eq!(keys, expected);
        is_valid(baton, &bundle).await;
        let by_id = baton.read("/Composition/$document?id=c").await;
        assert_eq!(each(&by_id, "entry").count(), expected.len());
        let before = baton.search("Bundle").await.len();
        assert_eq!(before, 0);
    })
    .await;
}

#[tokio::test]
async fn a_document_is_stored_when_it_is_to_be() {
    on_each_store("", NOW, async |baton| {
        record(baton).await;
        let answer = baton.get("/Composition/c/$document?persist=true").await;
        let location = answer.header("location").unwrap().to_owned();
        let bundle = answer.expect(200);
        assert!(location.ends_with(&format!("/Bundle/{}", bundle["id"].as_str().unwrap())));
        let stored = baton
            .request(&format!("GET {location}"))
            .send()
            .await
            .expect(200);
        assert_eq!(stored, bundle);
        is_valid(baton, &stored).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_missing_is_named() {
    on_each_store("", NOW, async |baton| {
        record(baton).await;
        for (entry, expected) in [
            (
                "Observation/none",
                "422 not-found Observation/none is referred to and is not here",
            ),
            (
                "http://elsewhere.example/fhir/Observation/1",
                "422 not-supported http://elsewhere.example/fhir/Observation/1 is not of this \
                 server, which gets nothing from others",
            ),
        ] {
            baton
                .put("/Composition/c", &composition(entry))
                .await
                .expect(200);
            let answer = baton.get("/Composition/c/$document").await;
            let place = answer.json()["issue"][0]["expression"][0].clone();
            assert_eq!(place, "Composition.section[0].entry[0].reference");
            assert_eq!(answer.refusal(), expected);
        }
        for (query, expected) in [
            (
                "/Composition/$document",
                "400 required which composition? Composition/[id]/$document, or the parameter id",
            ),
            (
                "/Composition/c/$document?id=c",
                "400 invalid the composition is named in the URL already: id is not allowed here",
            ),
            (
                "/Composition/none/$document",
                "404 not-found Composition/none is not known",
            ),
            (
                "/Composition/c/$document?graph=urn:x",
                "400 not-supported graph is not supported: a document has all that its composition \
                 leads to",
            ),
            (
                "/Composition/c/$document?persist=perhaps",
                "400 value persist is no boolean: true or false",
            ),
        ] {
            assert_eq!(baton.get(query).await.refusal(), expected, "{query}");
        }
    })
    .await;
}
