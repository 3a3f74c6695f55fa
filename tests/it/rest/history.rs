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
            ("/Patient/_history?_at=soon", "400 value"),
            ("/Patient/_history?_at=ap2026", "400 value"),
            ("/Patient/_history?_list=mine", "400 not-supported"),
            ("/Patient/_history?_sort=_lastUpdated", "400 not-supported"),
            ("/Patient/_history?family=aalto", "400 not-supported"),
            ("/Patient/_history?_page=x", "400 value"),
        ] {
            let refusal = baton.get(path).await.refusal();
            assert!(refusal.starts_with(expected), "{path}: {refusal}");
        }
    })
    .await;
}

/// "Only include resource versions that were current at some point during the time period
/// specified in the date time value"
#[tokio::test]
async fn a_history_shows_what_was_current_at_a_time() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let [bert_deleted, anna_changed, bert, anna] = ALL;
        for (at, expected) in [
            ("2026-03-06T17:00:00Z", vec![anna]),
            ("2026-03-06T17:00:01Z", vec![bert, anna]),
            ("2026-03-06T17:00:02Z", vec![anna_changed, bert]),
            ("2026-03-06T17:00:03Z", vec![bert_deleted, anna_changed]),
            ("2026-03-06T17:00:04Z", vec![anna_changed]),
            ("2026-03-06T18:00:02%2B01:00", vec![anna_changed, bert]),
            ("2026-03-06T18:00:02+01:00", vec![anna_changed, bert]),
            ("2026-03-06T17:00", ALL.to_vec()),
            ("2026-03", ALL.to_vec()),
            ("2026-02", vec![]),
            ("2027", vec![anna_changed]),
            (
                "ge2026-03-06T17:00:02Z",
                vec![bert_deleted, anna_changed, bert],
            ),
            ("lt2026-03-06T17:00:02Z", vec![bert, anna]),
            ("le2026-03-06T17:00:00Z", vec![anna]),
            ("gt2026-03-06T17:00:03Z", vec![anna_changed]),
        ] {
            let bundle = baton
                .get(&format!("/Patient/_history?_at={at}"))
                .await
                .expect(200);
            assert_eq!(lines(&bundle), expected, "{at}");
            assert_eq!(bundle["total"], expected.len(), "{at}");
            let system = baton
                .get(&format!("/_history?_at={at}&_count=100"))
                .await
                .expect(200);
            let of_patients = lines(&system)
                .into_iter()
                .filter(|line| line.starts_with("Patient/"));
            assert_eq!(of_patients.collect::<Vec<_>>(), expected, "{at}");
            for id in ["anna", "bert"] {
                let path = format!("/Patient/{id}/_history?_at={at}");
                let bundle = baton.get(&path).await.expect(200);
                let of_id = |line: &&&str| line.starts_with(&format!("Patient/{id} "));
                let expected: Vec<_> = expected.iter().filter(of_id).copied().collect();
                assert_eq!(lines(&bundle), expected, "{path}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_entry_tells_the_request_that_made_the_version() {
    on_each_store("", NOW, async |baton| {
        let anna = baton.create(&patient("x", "Aalto")).await;
        let anna = format!("Patient/{}", anna["id"].as_str().unwrap());
        let path = format!("/{anna}");
        let mut changed = patient(anna.trim_start_matches("Patient/"), "Berg");
        baton.put(&path, &changed).await.expect(200);
        baton.delete(&path).await.expect(204);
        changed["active"] = true.into();
        baton.put(&path, &changed).await.expect(201);
        baton
            .put("/Patient/bert", &patient("bert", "Berg"))
            .await
            .expect(201);
        let told = |bundle: &Value| -> Vec<String> {
            let line = |entry: &Value| {
                let part = |part: &str, name: &str| entry[part][name].as_str().unwrap().to_owned();
                let url = part("request", "url");
                format!(
                    "{} {url} {}",
                    part("request", "method"),
                    part("response", "status")
                )
            };
            each(bundle, "entry").map(line).collect()
        };
        let history = baton.get(&format!("{path}/_history")).await.expect(200);
        let expected = [
            format!("PUT {anna} 201 Created"),
            format!("DELETE {anna} 204 No Content"),
            format!("PUT {anna} 200 OK"),
            "POST Patient 201 Created".to_owned(),
        ];
        assert_eq!(told(&history), expected);
        let history = baton.get("/Patient/bert/_history").await.expect(200);
        assert_eq!(told(&history), ["PUT Patient/bert 201 Created"]);
    })
    .await;
}

/// The pages after the first repeat what it counted, also while others write.
#[tokio::test]
async fn a_total_is_that_of_the_first_page() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for path in ["/Patient/_history", "/Patient/anna/_history"] {
            let first = baton.get(&format!("{path}?_count=1")).await.expect(200);
            let total = first["total"].clone();
            assert_eq!(link(&first, "first"), link(&first, "self"));
            let newer = patient("anna", &format!("Carlsen{}", path.len()));
            baton.put("/Patient/anna", &newer).await.expect(200);
            let next = link(&first, "next").unwrap();
            let next = baton
                .request(&format!("GET {next}"))
                .send()
                .await
                .expect(200);
            assert_eq!(next["total"], total, "{path}");
            assert_eq!(link(&next, "first"), link(&first, "self"), "{path}");
        }
        let counted = baton
            .get("/Patient/bert/_history?_count=0")
            .await
            .expect(200);
        assert_eq!(counted["total"], 2);
        assert_eq!(each(&counted, "entry").count(), 0);
        assert_eq!(link(&counted, "next"), None);
    })
    .await;
}
