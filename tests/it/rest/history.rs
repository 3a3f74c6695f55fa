//! `history`: <https://hl7.org/fhir/R4/http.html#history>.

use serde_json::Value;

use crate::rest::{NOW, patient};
use crate::support::server::{Baton, each, link, on_each_store};

/// Anna is created and updated, Bert created and deleted, a second after each other.
async fn prepare(baton: &Baton) {
    baton.clock("2026-03-06T17:00:00Z").await;
    baton
        .put("/Patient/anna", &patient("anna", "Aalto"))
        .await
        .expect(201);
    baton.clock("2026-03-06T17:00:01Z").await;
    baton
        .put("/Patient/bert", &patient("bert", "Aalto"))
        .await
        .expect(201);
    baton.clock("2026-03-06T17:00:02Z").await;
    baton
        .put("/Patient/anna", &patient("anna", "Berg"))
        .await
        .expect(200);
    baton.clock("2026-03-06T17:00:03Z").await;
    baton.delete("/Patient/bert").await.expect(204);
}

/// `method url status`, newest first.
fn lines(bundle: &Value) -> Vec<String> {
    assert_eq!(bundle["type"], "history");
    let base = |entry: &Value| entry["fullUrl"].as_str().unwrap().to_owned();
    each(bundle, "entry")
        .map(|entry| {
            let full_url = base(entry);
            let (_, key) = full_url.split_once("/fhir/").unwrap();
            let etag = entry["response"]["etag"].as_str().unwrap();
            format!(
                "{key} {etag} {}",
                entry["response"]["status"].as_str().unwrap()
            )
        })
        .collect()
}

const ALL: [&str; 4] = [
    r#"Patient/bert W/"2" 204 No Content"#,
    r#"Patient/anna W/"2" 200 OK"#,
    r#"Patient/bert W/"1" 201 Created"#,
    r#"Patient/anna W/"1" 201 Created"#,
];

#[tokio::test]
async fn a_history_has_every_version_the_newest_first() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (path, expected) in [
            ("/Patient/_history", ALL.to_vec()),
            ("/Patient/anna/_history", vec![ALL[1], ALL[3]]),
            ("/Patient/bert/_history", vec![ALL[0], ALL[2]]),
            ("/_history?_since=2026-03-06T17:00:00Z", ALL.to_vec()),
            (
                "/Patient/_history?_since=2026-03-06T17:00:02Z",
                ALL[..2].to_vec(),
            ),
            (
                "/Patient/_history?_since=2026-03-06T18:00:03+01:00",
                vec![ALL[0]],
            ),
            (
                "/Patient/_history?_since=2026-03-06T12:00:03-05:00",
                vec![ALL[0]],
            ),
            ("/Patient/_history?_since=2026-03-06T17:00:04Z", vec![]),
            ("/Person/_history", vec![]),
        ] {
            let bundle = baton.get(path).await.expect(200);
            assert_eq!(lines(&bundle), expected, "{path}");
            assert_eq!(bundle["total"], expected.len(), "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_entry_tells_what_happened() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let bundle = baton.get("/Patient/_history").await.expect(200);
        let deletion = &bundle["entry"][0];
        assert_eq!(deletion["request"]["method"], "DELETE");
        assert_eq!(deletion["request"]["url"], "Patient/bert");
        assert_eq!(deletion.get("resource"), None);
        assert_eq!(
            deletion["response"]["lastModified"],
            "2026-03-06T17:00:03.000Z"
        );
        let update = &bundle["entry"][1];
        assert_eq!(update["request"]["method"], "PUT");
        assert_eq!(update["request"]["url"], "Patient/anna");
        assert_eq!(update["resource"]["name"][0]["family"], "Berg");
    })
    .await;
}

#[tokio::test]
async fn a_history_is_paged_to_its_end() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let mut url = format!("{}/Patient/_history?_count=1", baton.base());
        let mut found = Vec::new();
        for _ in 0..ALL.len() {
            let page = baton
                .request(&format!("GET {url}"))
                .send()
                .await
                .expect(200);
            assert_eq!(link(&page, "self"), Some(url.as_str()));
            found.extend(lines(&page));
            let Some(next) = link(&page, "next") else {
                break;
            };
            url = next.to_owned();
            // What is written meanwhile does not move the pages.
            let newer = patient("carl", &format!("Carlsen{}", found.len()));
            baton.put("/Patient/carl", &newer).await;
        }
        assert_eq!(found, ALL);
    })
    .await;
}

#[tokio::test]
async fn a_history_that_cannot_be_is_refused() {
    on_each_store("", NOW, async |baton| {
        for (path, expected) in [
            ("/Patient/never/_history", "404 not-found"),
            ("/Pacient/_history", "404 not-supported"),
            ("/Patient/_history?_count=-1", "400 value"),
            ("/Patient/_history?_count=many", "400 value"),
            ("/Patient/_history?_since=yesterday", "400 value"),
            ("/Patient/_history?_at=2026", "400 not-supported"),
        ] {
            let refusal = baton.get(path).await.refusal();
            assert!(refusal.starts_with(expected), "{path}: {refusal}");
        }
    })
    .await;
}
