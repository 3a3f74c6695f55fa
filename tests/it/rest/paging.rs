//! The links between the pages of a search: signed, isolated, in both directions; and how a search
//! is run. <https://hl7.org/fhir/R4/http.html#paging>.

use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::{Baton, link, on_each_store};

async fn prepare(baton: &Baton) {
    for (id, family) in [
        ("a", "Abel"),
        ("b", "Bach"),
        ("c", "Cook"),
        ("d", "Dunn"),
        ("e", "East"),
    ] {
        baton
            .put(&format!("/Patient/{id}"), &patient(id, family))
            .await
            .expect(201);
    }
}

async fn get(baton: &Baton, url: &str, status: u16) -> Value {
    baton
        .request(&format!("GET {url}"))
        .send()
        .await
        .expect(status)
}

/// `a Abel, b Bach`.
fn shown(bundle: &Value) -> String {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let shown: Vec<String> = entries
        .iter()
        .map(|entry| &entry["resource"])
        .map(|found| {
            let (id, family) = (&found["id"], &found["name"][0]["family"]);
            format!("{} {}", id.as_str().unwrap(), family.as_str().unwrap())
        })
        .collect();
    shown.join(", ")
}

#[tokio::test]
async fn pages_are_left_and_come_back_to_as_they_were() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let first = baton
            .get("/Patient?_sort=family&_count=2")
            .await
            .expect(200);
        assert_eq!(shown(&first), "a Abel, b Bach");
        assert_eq!(
            (link(&first, "previous"), link(&first, "first")),
            (None, None)
        );
        baton.delete("/Patient/a").await.expect(204);
        baton
            .put("/Patient/c", &patient("c", "Aaron"))
            .await
            .expect(200);
        baton
            .put("/Patient/f", &patient("f", "Aaron"))
            .await
            .expect(201);
        let second = get(baton, link(&first, "next").unwrap(), 200).await;
        assert_eq!(shown(&second), "c Cook, d Dunn");
        let third = get(baton, link(&second, "next").unwrap(), 200).await;
        assert_eq!(
            (shown(&third).as_str(), link(&third, "next")),
            ("e East", None)
        );
        let back = get(baton, link(&third, "previous").unwrap(), 200).await;
        assert_eq!(shown(&back), "c Cook, d Dunn");
        let back = get(baton, link(&back, "previous").unwrap(), 200).await;
        assert_eq!(
            (shown(&back).as_str(), link(&back, "previous")),
            ("a Abel, b Bach", None)
        );
        let anew = get(baton, link(&back, "first").unwrap(), 200).await;
        assert_eq!(shown(&anew), "c Aaron, f Aaron");
    })
    .await;
}

#[tokio::test]
async fn a_token_that_was_changed_or_belongs_to_another_search_is_refused() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let first = baton.get("/Patient?_count=2").await.expect(200);
        let next = link(&first, "next").unwrap().to_owned();
        get(baton, &next, 200).await;
        let (url, token) = next.split_once("_page=").unwrap();
        let other = if token.starts_with('A') { "B" } else { "A" };
        for wrong in [
            format!("{url}_page={other}{}", &token[1..]),
            format!("{url}_page=x"),
            next.replace("_count=2", "_count=2&gender=male"),
        ] {
            let outcome = get(baton, &wrong, 400).await;
            let text = outcome["issue"][0]["details"]["text"].as_str();
            let text = text
                .or(outcome["issue"][0]["diagnostics"].as_str())
                .unwrap();
            assert!(
                text.contains("is not of a page of this search, or was changed"),
                "{text}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_search_is_explained() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let told = baton
            .get("/Patient?family=abel&gender=male&__explain=true")
            .await
            .expect(200);
        assert_eq!(told["resourceType"], json!("Parameters"));
        let parameters = told["parameter"].as_array().unwrap();
        for name in ["filter", "probe", "branch", "statement", "value", "step"] {
            let is_said = parameters.iter().any(|parameter| parameter["name"] == name);
            assert!(is_said, "{name}: {told}");
        }
    })
    .await;
}
