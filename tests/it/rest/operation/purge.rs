//! `$purge`: for operators, where a setting allows it.

use serde_json::json;

use super::parameters;
use crate::rest::{NOW, patient};
use crate::support::server::{each, on_each_store};

#[tokio::test]
async fn purging_needs_a_setting() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Miller"))
            .await
            .expect(201);
        let refused = baton.request("POST /Patient/anna/$purge").send().await;
        assert_eq!(
            refused.refusal(),
            "403 forbidden $purge is not offered: it needs a setting of this server"
        );
        let statement = baton.read("/metadata").await;
        for resource in each(&statement["rest"][0], "resource") {
            assert!(each(resource, "operation").all(|operation| operation["name"] != "purge"));
        }
        baton.read("/Patient/anna").await;
    })
    .await;
}

#[tokio::test]
async fn what_is_purged_is_gone_and_the_trail_says_so() {
    on_each_store("[rest]\npurge = true\n", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Miller"))
            .await
            .expect(201);
        baton
            .put("/Patient/anna", &patient("anna", "Smith"))
            .await
            .expect(200);
        let goal = json!({
            "resourceType": "Goal", "id": "g", "lifecycleStatus": "active",
            "description": { "text": "walk" }, "subject": { "reference": "Patient/anna" },
        });
        baton.put("/Goal/g", &goal).await.expect(201);
        let history = parameters(&[("history", "valueBoolean", json!(true))]);
        let purged = baton
            .post("/Patient/anna/$purge", &history)
            .await
            .expect(200);
        assert_eq!(
            purged["issue"][0]["details"]["text"],
            "Patient/anna: 1 versions are purged"
        );
        assert_eq!(baton.get("/Patient/anna/_history/1").await.status, 404);
        assert_eq!(
            baton.read("/Patient/anna").await["name"][0]["family"],
            "Smith"
        );
        let refused = baton
            .request("POST /Patient/anna/$purge")
            .send()
            .await
            .refusal();
        assert!(
            refused.starts_with("409 conflict Goal/g refers to Patient/anna"),
            "{refused}"
        );
        let total = baton.version_count().await;
        baton
            .request("POST /Patient/anna/$purge?force=true")
            .send()
            .await
            .expect(200);
        assert_eq!(baton.get("/Patient/anna").await.status, 404);
        assert_eq!(baton.get("/Patient/anna/_history").await.status, 404);
        assert_eq!(baton.version_count().await, total - 1);
        assert!(baton.search("Patient?family=Smith").await.is_empty());
        let trail = baton.services().store.audit_after(0, 10_000).await.unwrap();
        let purges = trail.iter().filter(|row| row.interaction == "purge");
        assert_eq!(
            purges
                .filter(|row| row.key.to_string() == "Patient/anna")
                .count(),
            2
        );
        let never = baton.request("POST /Patient/never/$purge").send().await;
        assert_eq!(never.status, 404);
        let again = baton.request("POST /Goal/g/$purge").send().await;
        again.expect(200);
    })
    .await;
}

#[tokio::test]
async fn definitions_in_force_are_not_purged() {
    on_each_store("[rest]\npurge = true\n", NOW, async |baton| {
        let code_system = json!({
            "resourceType": "CodeSystem", "id": "s", "url": "urn:s", "status": "active",
            "content": "complete", "concept": [{ "code": "a" }],
        });
        baton.put("/CodeSystem/s", &code_system).await.expect(201);
        let refused = baton
            .request("POST /CodeSystem/s/$purge")
            .send()
            .await
            .refusal();
        assert!(
            refused.starts_with("409 conflict definitions are made of CodeSystem/s"),
            "{refused}"
        );
        baton.delete("/CodeSystem/s").await.expect(204);
        baton
            .request("POST /CodeSystem/s/$purge")
            .send()
            .await
            .expect(200);
        assert_eq!(baton.get("/CodeSystem/s").await.status, 404);
    })
    .await;
}
