//! Parts of resources: <https://hl7.org/fhir/R4/search.html#summary>, `#elements`.

use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::{Baton, each, on_each_store};

async fn prepare(baton: &Baton) {
    let mut anna = patient("anna", "Aalto");
    anna["photo"] = json!([{ "url": "http://example.org/p" }]);
    anna["text"] = json!({
        "status": "generated",
        "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">Anna</div>",
    });
    baton.put("/Patient/anna", &anna).await.expect(201);
    let observation = json!({
        "resourceType": "Observation", "id": "o", "status": "final", "code": { "text": "c" },
        "subject": { "reference": "Patient/anna" }, "note": [{ "text": "n" }],
    });
    baton.put("/Observation/o", &observation).await.expect(201);
}

fn keys(resource: &Value) -> String {
    let keys: Vec<&str> = resource
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.join(" ")
}

fn is_marked(resource: &Value) -> bool {
    let codes: Vec<&Value> = each(&resource["meta"], "tag")
        .map(|tag| &tag["code"])
        .collect();
    codes == ["SUBSETTED"]
}

#[tokio::test]
async fn a_read_returns_the_part_that_was_asked_for() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let whole = "resourceType id meta name photo text";
        for (query, expected) in [
            ("_summary=true", "resourceType id meta name"),
            ("_summary=text", "resourceType id meta text"),
            ("_summary=data", "resourceType id meta name photo"),
            ("_summary=false", whole),
            ("_elements=photo", "resourceType id meta photo"),
        ] {
            for path in ["/Patient/anna", "/Patient/anna/_history/1"] {
                let answer = baton.get(&format!("{path}?{query}")).await;
                assert_eq!(answer.header("etag"), Some("W/\"1\""));
                let found = answer.expect(200);
                assert_eq!(keys(&found), expected, "{path}?{query}");
                assert_eq!(is_marked(&found), expected != whole, "{path}?{query}");
                assert_eq!(found["meta"]["versionId"], "1");
            }
        }
        for query in ["_summary=count", "_summary=some"] {
            let refusal = baton.get(&format!("/Patient/anna?{query}")).await.refusal();
            assert!(refusal.starts_with("400 value"), "{query}: {refusal}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_search_and_a_history_return_parts_of_their_entries() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let resources = async |path: &str| {
            let bundle = baton.get(path).await.expect(200);
            assert!(each(&bundle, "link").next().is_some(), "{path}");
            let entries = each(&bundle, "entry").map(|entry| entry["resource"].clone());
            entries.collect::<Vec<_>>()
        };
        let found = resources("/Patient?_summary=true").await;
        assert_eq!(keys(&found[0]), "resourceType id meta name");
        let found = resources("/Patient/_history?_elements=photo").await;
        assert_eq!(keys(&found[0]), "resourceType id meta photo");
        let found = resources("/Observation?_elements=subject&_include=Observation:subject").await;
        assert_eq!(keys(&found[0]), "resourceType id meta status code subject");
        assert_eq!(keys(&found[1]), "resourceType id meta name photo text");
        assert!(is_marked(&found[0]) && !is_marked(&found[1]));
        let found = resources("/Observation?_summary=true&_include=Observation:subject").await;
        assert_eq!(keys(&found[0]), "resourceType id meta status code subject");
        assert_eq!(keys(&found[1]), "resourceType id meta name");
        let refusal = baton
            .get("/Observation?_summary=text&_include=Observation:subject")
            .await
            .refusal();
        assert!(refusal.starts_with("400 invalid"), "{refusal}");
        let form = baton.request("POST /Patient/_search");
        let form = form.text("application/x-www-form-urlencoded", "_elements=photo");
        let bundle = form.send().await.expect(200);
        let found = &bundle["entry"][0]["resource"];
        assert_eq!(keys(found), "resourceType id meta photo");
        let count = baton
            .get("/Patient/_history?_summary=count")
            .await
            .expect(200);
        assert_eq!((&count["total"], count.get("entry")), (&json!(1), None));
    })
    .await;
}

#[tokio::test]
async fn a_part_is_a_part_in_xml_too() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let part = baton.get("/Patient/anna?_elements=photo&_format=xml").await;
        assert_eq!(part.status, 200);
        assert!(part.text.contains("<photo>"), "{}", part.text);
        assert!(part.text.contains("<code value=\"SUBSETTED\"/>"));
        assert!(!part.text.contains("<name>"), "{}", part.text);
    })
    .await;
}

#[tokio::test]
async fn reads_in_a_bundle_return_parts_too() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for kind in ["batch", "transaction"] {
            let get = |url: &str| json!({ "request": { "method": "GET", "url": url } });
            let entries = [
                get("Patient/anna?_summary=true"),
                get("Patient?_elements=photo"),
            ];
            let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": entries });
            let answer = baton.post("", &bundle).await.expect(200);
            let read = &answer["entry"][0]["resource"];
            assert_eq!(keys(read), "resourceType id meta name", "{kind}");
            let found = &answer["entry"][1]["resource"]["entry"][0]["resource"];
            assert_eq!(keys(found), "resourceType id meta photo", "{kind}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_part_is_not_stored_as_the_whole() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let part = baton.read("/Patient/anna?_summary=true").await;
        let refusal = baton.put("/Patient/anna", &part).await.refusal();
        assert!(refusal.starts_with("422 business-rule"), "{refusal}");
        let refusal = baton.post("/Patient", &part).await.refusal();
        assert!(refusal.starts_with("422 business-rule"), "{refusal}");
        baton.check_effects("/Patient/anna", &["create 1"]).await;
    })
    .await;
}
