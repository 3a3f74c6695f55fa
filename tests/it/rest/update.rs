//! `update`, also as create, and `If-Match`: <https://hl7.org/fhir/R4/http.html#update>,
//! <https://hl7.org/fhir/R4/http.html#concurrency>.

use futures_util::future::join_all;
use serde_json::json;

use crate::rest::{NOW, NOW_HTTP, patient};
use crate::support::server::on_each_store;

#[tokio::test]
async fn an_update_creates_and_then_adds_versions() {
    on_each_store("", NOW, async |baton| {
        let created = baton.put("/Patient/anna", &patient("anna", "Aalto")).await;
        let location = |version| format!("{}/Patient/anna/_history/{version}", baton.base());
        assert_eq!(created.header("location"), Some(location(1).as_str()));
        created.expect(201);

        baton.clock("2026-03-06T16:10:01Z").await;
        let updated = baton.put("/Patient/anna", &patient("anna", "Berg")).await;
        assert_eq!(updated.header("etag"), Some("W/\"2\""));
        assert_eq!(
            updated.header("last-modified"),
            Some("Fri, 06 Mar 2026 16:10:01 GMT")
        );
        let updated = updated.expect(200);
        assert_eq!(updated["name"][0]["family"], "Berg");
        assert_eq!(baton.read("/Patient/anna").await, updated);
        assert!(baton.search("Patient?family=aalto").await.is_empty());
        assert_eq!(baton.search("Patient?family=berg").await, [updated]);
        let first = baton.get("/Patient/anna/_history/1").await;
        assert_eq!(first.header("last-modified"), Some(NOW_HTTP));
        assert_eq!(first.expect(200)["name"][0]["family"], "Aalto");
        baton
            .check_effects("/Patient/anna", &["create 1", "update 2"])
            .await;
    })
    .await;
}

#[tokio::test]
async fn an_update_that_changes_nothing_adds_no_version() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        baton.clock("2026-03-06T16:11:00Z").await;
        let again = baton.put("/Patient/anna", &patient("anna", "Aalto")).await;
        assert_eq!(again.header("etag"), Some("W/\"1\""));
        assert_eq!(again.expect(200)["meta"]["versionId"], "1");
        baton.check_effects("/Patient/anna", &["create 1"]).await;
    })
    .await;
}

#[tokio::test]
async fn the_version_of_the_client_must_be_the_current_one() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        let put = async |tag: &str, id: &str, family: &str| {
            let request = baton
                .request(&format!("PUT /Patient/{id}"))
                .header("If-Match", tag);
            request.json(&patient(id, family)).send().await
        };
        put("W/\"1\"", "anna", "Berg").await.expect(200);
        let refusal = put("W/\"1\"", "anna", "Carlsen").await.refusal();
        assert!(refusal.starts_with("412 conflict"), "{refusal}");
        let refusal = put("latest", "anna", "Carlsen").await.refusal();
        assert!(refusal.starts_with("400 value"), "{refusal}");
        let status = put("W/\"1\"", "never", "Dahl").await.status;
        assert!([404, 412].contains(&status), "{status}");
        baton
            .check_effects("/Patient/anna", &["create 1", "update 2"])
            .await;
        assert_eq!(baton.get("/Patient/never").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_updates_of_one_version_one_wins() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        let updates = (0..16).map(|number| async move {
            let request = baton
                .request("PUT /Patient/anna")
                .header("If-Match", "W/\"1\"");
            request
                .json(&patient("anna", &format!("Berg{number}")))
                .send()
                .await
                .status
        });
        let mut statuses = join_all(updates).await;
        statuses.sort_unstable();
        assert_eq!(statuses[0], 200);
        assert!(
            statuses[1..]
                .iter()
                .all(|status| [409, 412].contains(status)),
            "{statuses:?}"
        );
        baton
            .check_effects("/Patient/anna", &["create 1", "update 2"])
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn updates_without_a_condition_come_one_after_another() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        let updates = (0..16).map(|number| async move {
            baton
                .put("/Patient/anna", &patient("anna", &format!("Berg{number}")))
                .await
                .status
        });
        assert_eq!(join_all(updates).await, [200; 16]);
        let expected: Vec<String> = std::iter::once("create 1".to_owned())
            .chain((2..=17).map(|version| format!("update {version}")))
            .collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        baton.check_effects("/Patient/anna", &expected).await;
    })
    .await;
}

#[tokio::test]
async fn the_body_must_be_the_resource_of_the_url() {
    on_each_store("", NOW, async |baton| {
        for (body, expected) in [
            (patient("bert", "Aalto"), "400 invalid"),
            (json!({ "resourceType": "Patient" }), "400 required"),
            (
                json!({ "resourceType": "Person", "id": "anna" }),
                "400 invalid",
            ),
        ] {
            let refusal = baton.put("/Patient/anna", &body).await.refusal();
            assert!(refusal.starts_with(expected), "{body}: {refusal}");
        }
        assert_eq!(baton.get("/Patient/anna").await.status, 404);
    })
    .await;
}
