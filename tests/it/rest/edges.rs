//! What holds for every request: heads and bodies, conditions, methods, browsers.
//! <https://hl7.org/fhir/R4/http.html#Http-Headers>, `#concurrency`, `#cread`, `#custom`.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rest::{NOW, NOW_HTTP, patient};
use crate::support::server::{Baton, on_each_store};

const FHIR: &str = "application/fhir+json";

async fn anna(baton: &Baton) {
    baton
        .put("/Patient/anna", &patient("anna", "Aalto"))
        .await
        .expect(201);
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        for path in [
            "/Patient/anna",
            "/Patient/anna/_history/1",
            "/Patient?family=aalto",
            "/Patient/anna/_history",
            "/metadata",
            "/Patient/never",
            "/Patient?wrong=1",
            "/Patient/anna?_format=xml",
        ] {
            let get = baton.get(path).await;
            let head = baton.request(&format!("HEAD {path}")).send().await;
            assert_eq!(head.status, get.status, "{path}");
            assert!(head.text.is_empty() && !get.text.is_empty(), "{path}");
            for header in ["content-type", "etag", "last-modified"] {
                assert_eq!(head.header(header), get.header(header), "{path}: {header}");
            }
        }
        let head = baton.request("HEAD /Patient/anna").send().await;
        let length = baton.get("/Patient/anna").await.text.len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()));
    })
    .await;
}

#[tokio::test]
async fn a_slash_at_the_end_changes_nothing() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        for path in [
            "/Patient/anna/",
            "/Patient/",
            "/metadata/",
            "/Patient/anna/_history/",
        ] {
            assert_eq!(baton.get(path).await.status, 200, "{path}");
        }
        let created = baton.post("/Patient/", &patient("x", "Berg")).await;
        created.expect(201);
    })
    .await;
}

#[tokio::test]
async fn a_method_that_is_not_there_names_those_that_are() {
    on_each_store("", NOW, async |baton| {
        for (line, allowed) in [
            ("DELETE /metadata", vec!["GET"]),
            ("POST /Patient/anna", vec!["GET", "PUT", "PATCH", "DELETE"]),
            ("PUT /Patient/anna/_history/1", vec!["GET"]),
        ] {
            let answer = baton.request(line).send().await;
            let allow = answer.header("allow").unwrap_or_default().to_owned();
            for method in allowed {
                assert!(allow.contains(method), "{line}: {allow}");
            }
            let refusal = answer.refusal();
            assert!(
                refusal.starts_with("405 not-supported"),
                "{line}: {refusal}"
            );
        }
        let options = baton.request("OPTIONS /Patient/anna").send().await;
        assert_eq!((options.status, options.text.as_str()), (204, ""));
        assert!(options.header("allow").unwrap().contains("PATCH"));
    })
    .await;
}

#[tokio::test]
async fn a_conditional_read_has_an_order_of_precedence() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        let later = "Fri, 06 Mar 2026 17:00:00 GMT";
        let earlier = "Fri, 06 Mar 2026 15:00:00 GMT";
        for (none_match, since, expected) in [
            (Some("W/\"9\""), Some(later), 200),
            (Some("W/\"1\""), Some(earlier), 304),
            (Some("\"1\""), None, 304),
            (Some("W/\"7\", \"1\""), None, 304),
            (Some("*"), None, 304),
            (None, Some(NOW_HTTP), 304),
            (None, Some("Friday, 06-Mar-26 16:10:00 GMT"), 304),
            (None, Some("Fri Mar  6 16:10:00 2026"), 304),
            (None, Some(earlier), 200),
            (None, Some("yesterday"), 200),
        ] {
            let mut request = baton.request("GET /Patient/anna");
            for (name, value) in [("If-None-Match", none_match), ("If-Modified-Since", since)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
            let status = request.send().await.status;
            assert_eq!(status, expected, "{none_match:?} {since:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_update_may_demand_what_is_there() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        for (id, header, value, expected) in [
            ("anna", "If-Match", "*", 200),
            ("never", "If-Match", "*", 412),
            ("anna", "If-Match", "W/\"1\", \"2\"", 200),
            ("anna", "If-Match", "W/\"1\", \"2\"", 412),
            ("anna", "If-None-Match", "*", 412),
            ("bert", "If-None-Match", "*", 201),
        ] {
            let count = baton.version_count().await;
            let request = baton.request(&format!("PUT /Patient/{id}"));
            let request = request.header(header, value);
            let body = patient(id, &format!("Berg{count}"));
            let status = request.json(&body).send().await.status;
            assert_eq!(status, expected, "{id} {header}: {value}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_history_says_how_each_version_came_about() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        baton
            .put("/Patient/anna", &patient("anna", "Berg"))
            .await
            .expect(200);
        baton.delete("/Patient/anna").await.expect(204);
        anna(baton).await;
        let created = baton.create(&patient("x", "Carlsen")).await;
        let id = created["id"].as_str().unwrap();
        let requests = async |path: &str| {
            let versions = baton.versions(path).await;
            let requests = versions.iter().map(|entry| {
                let [method, url] = ["method", "url"].map(|key| &entry["request"][key]);
                format!("{} {}", method.as_str().unwrap(), url.as_str().unwrap())
            });
            requests.collect::<Vec<_>>()
        };
        assert_eq!(
            requests("/Patient/anna").await,
            [
                "PUT Patient/anna",
                "PUT Patient/anna",
                "DELETE Patient/anna",
                "PUT Patient/anna"
            ]
        );
        assert_eq!(requests(&format!("/Patient/{id}")).await, ["POST Patient"]);
    })
    .await;
}

#[tokio::test]
async fn a_deletion_tells_what_it_did_when_asked() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        for expected in ["anna is deleted", "nothing to delete"] {
            let request = baton.request("DELETE /Patient/anna");
            let request = request.header("Prefer", "return=OperationOutcome");
            let refusal = request.send().await.refusal();
            assert!(refusal.starts_with("200 informational"), "{refusal}");
            assert!(refusal.contains(expected), "{refusal}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_may_be_compressed_within_the_limit() {
    on_each_store("[rest]\nbody_bytes_max = 65536\n", NOW, async |baton| {
        let put = async |encoding: &str, body: Vec<u8>| {
            let request = baton.request("PUT /Patient/anna");
            let request = request.header("Content-Encoding", encoding);
            request.text(FHIR, body).send().await
        };
        let body = patient("anna", "Aalto").to_string();
        put("gzip", gzipped(&body)).await.expect(201);
        let bomb = format!(
            r#"{{"resourceType":"Patient","id":"anna","language":"{}"}}"#,
            "x".repeat(1 << 20)
        );
        for (encoding, body, expected) in [
            ("gzip", gzipped(&bomb), "413 too-long"),
            ("gzip", body.clone().into_bytes(), "400 structure"),
            ("br", body.clone().into_bytes(), "415 not-supported"),
        ] {
            let refusal = put(encoding, body).await.refusal();
            assert!(refusal.starts_with(expected), "{encoding}: {refusal}");
        }
        let request = baton
            .request("GET /metadata")
            .header("Accept-Encoding", "gzip");
        let answer = request.send().await;
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
    })
    .await;
}

#[tokio::test]
async fn a_version_of_fhir_may_be_named_if_it_is_r4() {
    on_each_store("", NOW, async |baton| {
        for (parameter, read, write) in [
            ("fhirVersion=4.0", 200, 200),
            ("fhirVersion=\"4.0.1\"", 200, 200),
            ("charset=UTF-8", 200, 200),
            ("fhirVersion=3.0", 406, 415),
            ("fhirVersion=5.0", 406, 415),
            ("charset=iso-8859-1", 406, 415),
        ] {
            baton
                .put("/Patient/anna", &patient("anna", "Aalto"))
                .await
                .json();
            let mime = format!("{FHIR}; {parameter}");
            let request = baton.request("GET /Patient/anna").header("Accept", &mime);
            assert_eq!(request.send().await.status, read, "{mime}");
            let request = baton.request("PUT /Patient/anna");
            let body = patient("anna", "Aalto").to_string();
            let answer = request.text(&mime, body).send().await;
            assert_eq!(answer.status, write, "{mime}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    on_each_store("", NOW, async |baton| {
        let long = "x".repeat(17 << 10);
        let refusal = baton
            .get(&format!("/Patient?family={long}"))
            .await
            .refusal();
        assert!(refusal.starts_with("414 too-long"), "{refusal}");
        let request = baton.request("GET /Patient").header("X-Long", &long);
        let refusal = request.send().await.refusal();
        assert!(refusal.starts_with("431 too-long"), "{refusal}");
    })
    .await;
}

#[tokio::test]
async fn every_answer_has_the_id_of_its_request() {
    on_each_store("", NOW, async |baton| {
        let request = baton.request("GET /Patient/never");
        let request = request.header("X-Request-Id", "r-1");
        let answer = request.header("X-Correlation-Id", "c-1").send().await;
        assert_eq!(answer.header("x-request-id"), Some("r-1"));
        assert_eq!(answer.header("x-correlation-id"), Some("c-1"));
        let answer = baton.get("/Patient").await;
        assert!(
            answer
                .header("x-request-id")
                .is_some_and(|id| !id.is_empty())
        );
        assert_eq!(answer.header("x-correlation-id"), None);
    })
    .await;
}

#[tokio::test]
async fn pages_of_other_origins_are_let_in_only_when_configured() {
    let ask = async |baton: &Baton, line: &str| {
        let request = baton
            .request(line)
            .header("Origin", "https://app.example.org");
        let request = request.header("Access-Control-Request-Method", "PATCH");
        let request = request.header("Access-Control-Request-Headers", "if-match");
        request.send().await
    };
    on_each_store("", NOW, async |baton| {
        for line in ["GET /metadata", "OPTIONS /Patient/anna"] {
            let answer = ask(baton, line).await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{line}");
        }
    })
    .await;
    let settings = "[rest]\ncors_origins = [\"https://app.example.org\"]\n";
    on_each_store(settings, NOW, async |baton| {
        let answer = ask(baton, "GET /metadata").await;
        let origin = answer.header("access-control-allow-origin");
        assert_eq!(origin, Some("https://app.example.org"));
        let exposed = answer.header("access-control-expose-headers").unwrap();
        for header in ["etag", "location", "last-modified", "content-location"] {
            assert!(exposed.contains(header), "{exposed}");
        }
        let preflight = ask(baton, "OPTIONS /Patient/anna").await;
        assert_eq!(preflight.status, 200);
        let methods = preflight.header("access-control-allow-methods").unwrap();
        assert!(methods.contains("PATCH"), "{methods}");
        assert_eq!(
            preflight.header("access-control-allow-headers"),
            Some("if-match")
        );
    })
    .await;
}

#[tokio::test]
async fn connections_are_bounded_in_number_and_in_time() {
    let settings = "[rest]\nconnections_max = 2\nheader_timeout_secs = 1\n";
    on_each_store(settings, NOW, async |baton| {
        let address = baton.base().replace("http://", "").replace("/fhir", "");
        let mut slow = Vec::new();
        for _ in 0..2 {
            let mut connection = TcpStream::connect(&address).await.unwrap();
            connection
                .write_all(b"GET /fhir/metadata HTTP/1.1\r\nX")
                .await
                .unwrap();
            slow.push(connection);
        }
        // All places are taken until those that say nothing have lost theirs.
        assert_eq!(baton.get("/Patient").await.status, 200);
        for mut connection in slow {
            let mut rest = Vec::new();
            let _ = connection.read_to_end(&mut rest).await;
            assert!(!rest.starts_with(b"HTTP/1.1 200"));
        }
    })
    .await;
}

#[tokio::test]
async fn an_id_of_the_client_is_only_for_updates() {
    on_each_store("", NOW, async |baton| {
        let created = baton.post("/Patient", &patient("mine", "Aalto")).await;
        let location = created.header("location").unwrap().to_owned();
        let created = created.expect(201);
        assert_ne!(created["id"], "mine");
        let place = format!(
            "{}/Patient/{}/_history/1",
            baton.base(),
            created["id"].as_str().unwrap()
        );
        assert_eq!(location, place);
        let twice = r#"{"resourceType":"Patient","id":"a","id":"a"}"#;
        let request = baton.request("PUT /Patient/a").text(FHIR, twice);
        let refusal = request.send().await.refusal();
        assert!(refusal.starts_with("400 structure"), "{refusal}");
        let body = json!({ "resourceType": "Patient", "id": "a", "meta": {
            "versionId": "7", "lastUpdated": "2001-01-01T00:00:00Z",
        }});
        let stored = baton.put("/Patient/a", &body).await.expect(201);
        assert_eq!(stored["meta"]["versionId"], "1");
        assert_eq!(stored["meta"]["lastUpdated"], "2026-03-06T16:10:00.000Z");
    })
    .await;
}
