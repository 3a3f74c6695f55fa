//! `delete`: <https://hl7.org/fhir/R4/http.html#delete>.

use crate::rest::{NOW, patient};
use crate::support::server::on_each_store;

#[tokio::test]
async fn what_is_deleted_is_gone_but_not_forgotten() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        baton.delete("/Patient/anna").await.expect(204);
        let refusal = baton.get("/Patient/anna").await.refusal();
        assert!(refusal.starts_with("410 deleted"), "{refusal}");
        assert!(baton.search("Patient?family=aalto").await.is_empty());
        assert!(baton.search("Patient?_id=anna").await.is_empty());
        assert_eq!(baton.get("/Patient/anna/_history/1").await.status, 200);
        baton
            .check_effects("/Patient/anna", &["create 1", "delete 2"])
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_second_deletion_has_no_effect() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        for _ in 0..2 {
            baton.delete("/Patient/anna").await.expect(204);
        }
        baton.delete("/Patient/never").await.expect(204);
        baton
            .check_effects("/Patient/anna", &["create 1", "delete 2"])
            .await;
        assert_eq!(baton.get("/Patient/never").await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn an_update_brings_back_what_was_deleted() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        baton.delete("/Patient/anna").await.expect(204);
        let back = baton.put("/Patient/anna", &patient("anna", "Aalto")).await;
        assert_eq!(back.header("etag"), Some("W/\"3\""));
        let back = back.expect(201);
        assert_eq!(baton.read("/Patient/anna").await, back);
        assert_eq!(baton.search("Patient?family=aalto").await, [back]);
        baton
            .check_effects("/Patient/anna", &["create 1", "delete 2", "create 3"])
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_deletion_may_name_the_version() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        baton
            .put("/Patient/anna", &patient("anna", "Berg"))
            .await
            .expect(200);
        let stale = baton
            .request("DELETE /Patient/anna")
            .header("If-Match", "W/\"1\"");
        assert_eq!(stale.send().await.status, 412);
        let current = baton
            .request("DELETE /Patient/anna")
            .header("If-Match", "W/\"2\"");
        assert_eq!(current.send().await.status, 204);
        let expected = ["create 1", "update 2", "delete 3"];
        baton.check_effects("/Patient/anna", &expected).await;
    })
    .await;
}
