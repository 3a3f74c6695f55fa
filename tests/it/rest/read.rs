//! `read` and `vread`: <https://hl7.org/fhir/R4/http.html#read>.

use crate::rest::{NOW, NOW_HTTP, patient};
use crate::support::server::{Answer, Baton, on_each_store};

/// Anna at her second version, and one who is gone at his.
async fn prepare(baton: &Baton) {
    baton
        .put("/Patient/anna", &patient("anna", "Aalto"))
        .await
        .expect(201);
    baton
        .put("/Patient/anna", &patient("anna", "Berg"))
        .await
        .expect(200);
    baton
        .put("/Patient/gone", &patient("gone", "Aalto"))
        .await
        .expect(201);
    baton.delete("/Patient/gone").await.expect(204);
}

/// Status and entity tag; where it is refused, status and code.
fn line(answer: &Answer) -> String {
    match answer.header("etag") {
        Some(etag) if answer.status < 400 => format!("{} {etag}", answer.status),
        _ => format!("{} {}", answer.status, answer.json()["issue"][0]["code"]),
    }
}

#[tokio::test]
async fn a_read_gives_the_version_or_says_why_not() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (path, expected) in [
            ("/Patient/anna", r#"200 W/"2""#),
            ("/Patient/anna/_history/1", r#"200 W/"1""#),
            ("/Patient/anna/_history/2", r#"200 W/"2""#),
            ("/Patient/anna/_history/3", r#"404 "not-found""#),
            ("/Patient/anna/_history/x", r#"404 "not-found""#),
            ("/Patient/gone", r#"410 "deleted""#),
            ("/Patient/gone/_history/1", r#"200 W/"1""#),
            ("/Patient/gone/_history/2", r#"410 "deleted""#),
            ("/Patient/never", r#"404 "not-found""#),
            ("/Patient/never/_history/1", r#"404 "not-found""#),
            ("/Patient/a_b", r#"400 "value""#),
            ("/Person/anna", r#"404 "not-found""#),
            ("/Pacient/anna", r#"404 "not-supported""#),
        ] {
            assert_eq!(line(&baton.get(path).await), expected, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_read_says_which_version_it_is_and_since_when() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let answer = baton.get("/Patient/anna").await;
        assert_eq!(answer.header("etag"), Some("W/\"2\""));
        assert_eq!(answer.header("last-modified"), Some(NOW_HTTP));
        let content_type = answer.header("content-type").unwrap();
        assert!(
            content_type.starts_with("application/fhir+json"),
            "{content_type}"
        );
        let found = answer.expect(200);
        assert_eq!(found["meta"]["versionId"], "2");
        assert_eq!(found["meta"]["lastUpdated"], "2026-03-06T16:10:00.000Z");
        assert_eq!(found["name"][0]["family"], "Berg");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_has_the_version_is_not_sent_it_again() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (header, value, expected) in [
            ("If-None-Match", "W/\"2\"", 304),
            ("If-None-Match", "W/\"1\", W/\"2\"", 304),
            ("If-None-Match", "*", 304),
            ("If-None-Match", "W/\"1\"", 200),
            ("If-Modified-Since", NOW_HTTP, 304),
            ("If-Modified-Since", "Fri, 06 Mar 2026 16:09:59 GMT", 200),
        ] {
            let request = baton.request("GET /Patient/anna").header(header, value);
            let answer = request.send().await;
            assert_eq!(answer.status, expected, "{header}: {value}");
            assert_eq!(answer.header("etag"), Some("W/\"2\""));
            assert_eq!(answer.text.is_empty(), expected == 304);
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_written_is_read_to_the_letter() {
    let written = concat!(
        r#"{"resourceType":"Observation","id":"o","status":"final","_status":{"id":"s"},"#,
        r#""code":{"text":"Gewicht \u00e4 \"x\" 体重"},"valueQuantity":{"value":1.00,"unit":"kg"},"#,
        r#""component":[{"code":{"text":"c"},"valueQuantity":{"value":1.2E+2}},"#,
        r#"{"valueQuantity":{"value":-0.0},"code":{"text":"d"}}]}"#
    );
    on_each_store("", NOW, async |baton| {
        let request = baton
            .request("PUT /Observation/o")
            .text("application/fhir+json", written);
        request.send().await.expect(201);
        let read = baton.get("/Observation/o").await;
        for part in [
            r#""value":1.00,"#,
            r#""value":1.2E+2}"#,
            r#"{"valueQuantity":{"value":-0.0},"code":{"text":"d"}}"#,
            r#""_status":{"id":"s"}"#,
            "体重",
        ] {
            assert!(read.text.contains(part), "{part} in {}", read.text);
        }
        let mut found = read.json();
        found.as_object_mut().unwrap().shift_remove("meta");
        let sent: serde_json::Value = serde_json::from_str(written).unwrap();
        assert_eq!(found, sent);
    })
    .await;
}

#[tokio::test]
async fn a_client_chooses_how_the_answer_looks() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let pretty = baton.get("/Patient/anna?_pretty=true").await;
        assert!(
            pretty.text.contains("\n  \"id\": \"anna\""),
            "{}",
            pretty.text
        );
        assert_eq!(pretty.json(), baton.read("/Patient/anna").await);
        for (query, accept, expected) in [
            ("", "application/fhir+json", 200),
            ("", "application/json", 200),
            ("", "text/html, */*;q=0.1", 200),
            ("", "application/fhir+xml", 200),
            ("", "application/fhir+turtle", 406),
            ("?_format=json", "application/fhir+turtle", 200),
            (
                "?_format=application/fhir%2Bjson",
                "application/fhir+turtle",
                200,
            ),
            ("?_format=ttl", "application/fhir+json", 406),
        ] {
            let request = baton.request(&format!("GET /Patient/anna{query}"));
            let answer = request.header("Accept", accept).send().await;
            assert_eq!(answer.status, expected, "{query} {accept}");
        }
        let head = baton.request("HEAD /Patient/anna").send().await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        assert_eq!(head.header("etag"), Some("W/\"2\""));
    })
    .await;
}
