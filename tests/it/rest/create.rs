//! `create`: <https://hl7.org/fhir/R4/http.html#create>.

use serde_json::json;

use crate::rest::{NOW, NOW_HTTP, patient};
use crate::support::server::on_each_store;

#[tokio::test]
async fn a_create_gives_an_id_and_a_place() {
    on_each_store("", NOW, async |baton| {
        let answer = baton.post("/Patient", &patient("mine", "Aalto")).await;
        let location = answer.header("location").unwrap().to_owned();
        assert_eq!(answer.header("etag"), Some("W/\"1\""));
        assert_eq!(answer.header("last-modified"), Some(NOW_HTTP));
        let created = answer.expect(201);
        let id = created["id"].as_str().unwrap();
        assert_ne!(id, "mine", "the id is the server's");
        assert_eq!(
            location,
            format!("{}/Patient/{id}/_history/1", baton.base())
        );
        assert_eq!(created["meta"]["versionId"], "1");
        assert_eq!(created["meta"]["lastUpdated"], "2026-03-06T16:10:00.000Z");
        assert_eq!(baton.read(&format!("/Patient/{id}")).await, created);
        assert_eq!(
            baton.search("Patient?family=aalto").await,
            std::slice::from_ref(&created)
        );
        baton
            .check_effects(&format!("/Patient/{id}"), &["create 1"])
            .await;
    })
    .await;
}

#[tokio::test]
async fn the_client_says_what_it_wants_back() {
    on_each_store("", NOW, async |baton| {
        for (prefer, expected) in [
            ("return=representation", "Patient"),
            ("return=OperationOutcome", "OperationOutcome"),
            ("return=minimal", ""),
            ("respond-async; return=minimal", ""),
        ] {
            let request = baton.request("POST /Patient").header("Prefer", prefer);
            let answer = request.json(&patient("x", "Aalto")).send().await;
            assert_eq!(answer.status, 201, "{prefer}");
            assert!(answer.header("location").is_some(), "{prefer}");
            let body = answer.json();
            assert_eq!(
                body["resourceType"].as_str().unwrap_or_default(),
                expected,
                "{prefer}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_a_resource_of_the_type_is_not_created() {
    on_each_store("", NOW, async |baton| {
        let versions = baton.version_count().await;
        for (path, body, expected) in [
            (
                "/Patient",
                json!({ "resourceType": "Person" }),
                "400 invalid",
            ),
            (
                "/Patient",
                json!({ "resourceType": "Pacient" }),
                "404 not-supported",
            ),
            ("/Patient", json!({ "name": [] }), "400"),
            (
                "/Patient",
                json!({ "resourceType": "Patient", "surname": "x" }),
                "422 ",
            ),
            (
                "/Observation",
                json!({ "resourceType": "Observation" }),
                "422 required",
            ),
            (
                "/Pacient",
                json!({ "resourceType": "Patient" }),
                "404 not-supported",
            ),
        ] {
            let refusal = baton.post(path, &body).await.refusal();
            assert!(refusal.starts_with(expected), "{path} {body}: {refusal}");
        }
        assert_eq!(baton.version_count().await, versions);
    })
    .await;
}
