//! Conditional create, update and delete: <https://hl7.org/fhir/R4/http.html#ccreate>, `#cond-update`.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::rest::NOW;
use crate::support::server::{Answer, Baton, on_each_store};

fn numbered(number: &str, family: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{ "system": "urn:mrn", "value": number }],
        "name": [{ "family": family }],
    })
}

async fn create_unless(baton: &Baton, condition: &str, body: &Value) -> Answer {
    let request = baton
        .request("POST /Patient")
        .header("If-None-Exist", condition);
    request.json(body).send().await
}

/// Two patients with the number 7.
async fn twins(baton: &Baton) {
    for family in ["Castor", "Pollux"] {
        baton.create(&numbered("7", family)).await;
    }
}

#[tokio::test]
async fn a_conditional_create_creates_once() {
    on_each_store("", NOW, async |baton| {
        let condition = "identifier=urn:mrn|1";
        let first = create_unless(baton, condition, &numbered("1", "Aalto")).await;
        let place = first.header("location").unwrap().to_owned();
        let created = first.expect(201);
        let second = create_unless(baton, condition, &numbered("1", "Berg")).await;
        assert_eq!(second.header("location"), Some(place.as_str()));
        assert_eq!(second.header("etag"), Some("W/\"1\""));
        assert_eq!(second.expect(200)["name"][0]["family"], "Aalto");
        let path = format!("/Patient/{}", created["id"].as_str().unwrap());
        baton.check_effects(&path, &["create 1"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_conditional_creates_one_creates() {
    on_each_store("", NOW, async |baton| {
        let creates = (0..64).map(|number| async move {
            let body = numbered("1", &format!("Aalto{number}"));
            create_unless(baton, "identifier=urn:mrn|1", &body)
                .await
                .status
        });
        let mut statuses = join_all(creates).await;
        statuses.sort_unstable();
        assert_eq!(statuses[..63], [200; 63]);
        assert_eq!(statuses[63], 201);
        assert_eq!(baton.search("Patient?identifier=urn:mrn|1").await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_conditional_updates_one_creates() {
    on_each_store("", NOW, async |baton| {
        let updates = (0..32).map(|number| async move {
            let body = numbered("1", &format!("Aalto{number}"));
            baton
                .put("/Patient?identifier=urn:mrn|1", &body)
                .await
                .status
        });
        let mut statuses = join_all(updates).await;
        statuses.sort_unstable();
        assert_eq!(statuses[..31], [200; 31]);
        assert_eq!(statuses[31], 201);
        let found = baton.search("Patient?identifier=urn:mrn|1").await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["meta"]["versionId"], "32");
    })
    .await;
}

#[tokio::test]
async fn a_condition_that_means_nobody_in_particular_is_refused() {
    on_each_store("", NOW, async |baton| {
        twins(baton).await;
        let versions = baton.version_count().await;
        let seven = numbered("7", "Aalto");
        for (condition, expected) in [
            ("identifier=urn:mrn|7", "412 multiple-matches"),
            ("", "400 required"),
            ("_count=1", "400 required"),
            ("identifer=urn:mrn|7", "400 not-supported"),
            ("_colour=red", "400 not-supported"),
        ] {
            let create = create_unless(baton, condition, &seven).await.refusal();
            assert!(create.starts_with(expected), "create {condition}: {create}");
            let update = baton
                .put(&format!("/Patient?{condition}"), &seven)
                .await
                .refusal();
            assert!(update.starts_with(expected), "update {condition}: {update}");
            let delete = baton
                .delete(&format!("/Patient?{condition}"))
                .await
                .refusal();
            assert!(delete.starts_with(expected), "delete {condition}: {delete}");
        }
        assert_eq!(baton.version_count().await, versions);
    })
    .await;
}

#[tokio::test]
async fn a_conditional_update_creates_then_updates() {
    on_each_store("", NOW, async |baton| {
        let path = "/Patient?identifier=urn:mrn|1";
        let created = baton.put(path, &numbered("1", "Aalto")).await.expect(201);
        let id = created["id"].as_str().unwrap();
        let updated = baton.put(path, &numbered("1", "Berg")).await.expect(200);
        assert_eq!(updated["id"], id);
        let mut body = numbered("1", "Carlsen");
        body["id"] = json!(id);
        baton.put(path, &body).await.expect(200);
        body["id"] = json!("another");
        let refusal = baton.put(path, &body).await.refusal();
        assert!(refusal.starts_with("400"), "{refusal}");
        let effects = ["create 1", "update 2", "update 3"];
        baton
            .check_effects(&format!("/Patient/{id}"), &effects)
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_conditional_update_may_give_the_id() {
    on_each_store("", NOW, async |baton| {
        let mut body = numbered("1", "Aalto");
        body["id"] = json!("anna");
        let created = baton
            .put("/Patient?identifier=urn:mrn|1", &body)
            .await
            .expect(201);
        assert_eq!(created["id"], "anna");
        baton.check_effects("/Patient/anna", &["create 1"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_conditional_delete_deletes_the_one() {
    on_each_store("", NOW, async |baton| {
        let created = baton.create(&numbered("1", "Aalto")).await;
        for _ in 0..2 {
            baton
                .delete("/Patient?identifier=urn:mrn|1")
                .await
                .expect(204);
        }
        let path = format!("/Patient/{}", created["id"].as_str().unwrap());
        baton.check_effects(&path, &["create 1", "delete 2"]).await;
    })
    .await;
}

/// The body names somebody whom the condition does not single out: an update would write over them.
#[tokio::test]
async fn a_conditional_update_does_not_write_over_another() {
    on_each_store("", NOW, async |baton| {
        let mut other = numbered("1", "Aalto");
        other["id"] = json!("anna");
        baton.put("/Patient/anna", &other).await.expect(201);
        let mut body = numbered("2", "Berg");
        body["id"] = json!("anna");
        let path = "/Patient?identifier=urn:mrn|2";
        let refusal = baton.put(path, &body).await.refusal();
        assert!(refusal.starts_with("409 conflict"), "{refusal}");
        baton.check_effects("/Patient/anna", &["create 1"]).await;
        baton.delete("/Patient/anna").await.expect(204);
        baton.put(path, &body).await.expect(201);
    })
    .await;
}

/// Whoever comes second does not meet the condition any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_condition_holds_when_its_resource_is_changed() {
    on_each_store("", NOW, async |baton| {
        for round in 0..8 {
            let mut body = numbered("1", "Aalto");
            let id = format!("anna{round}");
            let path = format!("/Patient/{id}");
            body["id"] = json!(id);
            body["active"] = json!(false);
            baton.put(&path, &body).await.expect(201);
            body["active"] = json!(true);
            let condition = format!("/Patient?_id={id}&active=false");
            let (kept, deleted) = tokio::join!(baton.put(&path, &body), baton.delete(&condition));
            assert_eq!(deleted.status, 204);
            // Created anew after the deletion, or never deleted: active in any case.
            assert!([200, 201].contains(&kept.status), "{}", kept.status);
            assert_eq!(baton.read(&path).await["active"], true);
        }
    })
    .await;
}

#[tokio::test]
async fn a_condition_that_cannot_be_read_is_not_left_out() {
    on_each_store("", NOW, async |baton| {
        let versions = baton.version_count().await;
        let create = async |condition: &[u8]| {
            let request = baton.request("POST /Patient");
            let request = request.header_bytes("If-None-Exist", condition);
            request.json(&numbered("1", "M\u{fc}ller")).send().await
        };
        let refusal = create(b"family=M\xfcller").await.refusal();
        assert!(refusal.starts_with("400 value"), "{refusal}");
        let request = baton.request("PUT /Patient/anna");
        let request = request.header_bytes("If-Match", b"W/\"\xff\"");
        let refusal = request.json(&numbered("1", "Aalto")).send().await.refusal();
        assert!(refusal.starts_with("400 value"), "{refusal}");
        assert_eq!(baton.version_count().await, versions);
        create("family=M\u{fc}ller".as_bytes()).await.expect(201);
        create("family=M\u{fc}ller".as_bytes()).await.expect(200);
    })
    .await;
}
