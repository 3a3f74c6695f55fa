//! `$meta`, `$meta-add`, `$meta-delete`.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::parameters;
use crate::rest::{NOW, patient};
use crate::support::server::{Baton, each, on_each_store};

fn labels(meta: &Value) -> Value {
    parameters(&[("meta", "valueMeta", meta.clone())])
}

fn returned(answer: &Value) -> Value {
    assert_eq!(answer["resourceType"], "Parameters");
    assert_eq!(answer["parameter"][0]["name"], "return");
    answer["parameter"][0]["valueMeta"].clone()
}

async fn change(baton: &Baton, path: &str, meta: &Value) -> Value {
    returned(&baton.post(path, &labels(meta)).await.expect(200))
}

#[tokio::test]
async fn labels_are_read_added_and_taken_off() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Miller"))
            .await
            .expect(201);
        let tag = json!({ "system": "urn:s", "code": "a", "display": "A" });
        let added = change(baton, "/Patient/anna/$meta-add", &json!({ "tag": [tag] })).await;
        assert_eq!(added["tag"], json!([tag]));
        assert_eq!(added["versionId"], "2");
        // what is there already makes no version
        let same = json!({ "tag": [{ "system": "urn:s", "code": "a" }] });
        let again = change(baton, "/Patient/anna/$meta-add", &same).await;
        assert_eq!(again, added);
        assert_eq!(returned(&baton.read("/Patient/anna/$meta").await), added);
        assert_eq!(baton.search("Patient?_tag=urn:s|a").await.len(), 1);
        let first = baton.read("/Patient/anna/_history/1/$meta").await;
        assert_eq!(returned(&first)["tag"], Value::Null);
        let taken = change(baton, "/Patient/anna/$meta-delete", &same).await;
        assert_eq!(taken["tag"], Value::Null);
        assert_eq!(taken["versionId"], "3");
        assert!(baton.search("Patient?_tag=urn:s|a").await.is_empty());
        baton
            .check_effects("/Patient/anna", &["create 1", "update 2", "update 3"])
            .await;
        baton.delete("/Patient/anna").await.expect(204);
        let gone = baton.post("/Patient/anna/$meta-add", &labels(&same)).await;
        assert_eq!(gone.status, 410);
        let never = baton.post("/Patient/never/$meta-add", &labels(&same)).await;
        assert_eq!(never.status, 404);
        let nothing = baton
            .post("/Patient/anna/$meta-add", &parameters(&[]))
            .await;
        assert_eq!(
            nothing.refusal(),
            "400 required Parameters with a parameter \"meta\" (valueMeta) are expected"
        );
    })
    .await;
}

#[tokio::test]
async fn labels_in_use_are_listed() {
    on_each_store("", NOW, async |baton| {
        let before = returned(&baton.read("/Goal/$meta").await);
        assert_eq!(before, json!({}));
        for (id, tags) in [("a", vec!["x", "y"]), ("b", vec!["y"]), ("c", vec![])] {
            let tags: Vec<Value> = tags
                .iter()
                .map(|code| json!({ "system": "urn:s", "code": code }))
                .collect();
            let mut patient = patient(id, "Miller");
            patient["meta"] = json!({ "tag": tags });
            if id == "c" {
                patient["meta"] = json!({ "security": [{ "system": "urn:s", "code": "R" }] });
            }
            baton
                .put(&format!("/Patient/{id}"), &patient)
                .await
                .expect(201);
        }
        let of_type = returned(&baton.read("/Patient/$meta").await);
        let mut codes: Vec<&str> = each(&of_type, "tag")
            .map(|tag| tag["code"].as_str().unwrap())
            .collect();
        codes.sort_unstable();
        assert_eq!(codes, ["x", "y"]);
        assert_eq!(of_type["security"][0]["code"], "R");
        assert_eq!(of_type["versionId"], Value::Null);
        let of_system = returned(&baton.read("/$meta").await);
        assert_eq!(each(&of_system, "security").count(), 1);
    })
    .await;
}

#[tokio::test]
async fn nobody_s_label_is_lost() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Miller"))
            .await
            .expect(201);
        let adding = (0..16).map(|number| async move {
            let tag = json!({ "tag": [{ "system": "urn:s", "code": format!("t{number}") }] });
            change(baton, "/Patient/anna/$meta-add", &tag).await
        });
        join_all(adding).await;
        let meta = returned(&baton.read("/Patient/anna/$meta").await);
        assert_eq!(each(&meta, "tag").count(), 16);
        assert_eq!(meta["versionId"], "17");
    })
    .await;
}
