//! What cannot be served is refused with an OperationOutcome that says why:
//! <https://hl7.org/fhir/R4/http.html#summary>.

use crate::rest::NOW;
use crate::support::server::on_each_store;

const BODY_BYTES_MAX: usize = 65_536;
const LIMITS: &str = "[rest]\nbody_bytes_max = 65536\ndepth_max = 32\n";
const FHIR: &str = "application/fhir+json";

/// A Patient whose extensions nest so deep.
fn nested(levels: usize) -> String {
    let open = r#""extension":[{"url":"urn:x","#.repeat(levels);
    let close = "}]".repeat(levels);
    format!(r#"{{"resourceType":"Patient",{open}"valueString":"x"{close}}}"#)
}

fn padded(bytes: usize) -> String {
    format!(
        r#"{{"resourceType":"Patient","language":"{}"}}"#,
        "x".repeat(bytes)
    )
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused() {
    on_each_store(LIMITS, NOW, async |baton| {
        let versions = baton.version_count().await;
        for (body, expected) in [
            (String::new(), "400 structure"),
            ("not json".to_owned(), "400 structure"),
            ("[]".to_owned(), "400 structure"),
            (r#"{"resourceType":"Patient""#.to_owned(), "400 structure"),
            (r#"{"resourceType":"Patient",}"#.to_owned(), "400 structure"),
            (
                r#"{"resourceType":"Patient"} {}"#.to_owned(),
                "400 structure",
            ),
            (
                r#"{"resourceType":"Patient","active":true,"active":false}"#.to_owned(),
                "400 structure the property \"active\" is given twice",
            ),
            (
                nested(40),
                "400 structure objects and arrays nest deeper than 32",
            ),
            (padded(BODY_BYTES_MAX), "413 too-long"),
        ] {
            let shown: String = body.chars().take(60).collect();
            let request = baton.request("POST /Patient").text(FHIR, body);
            let refusal = request.send().await.refusal();
            assert!(refusal.starts_with(expected), "{shown}: {refusal}");
        }
        let bytes = [
            b"{\"resourceType\":\"Patient\",\"language\":\"".as_slice(),
            b"\xff\"}",
        ];
        let request = baton.request("POST /Patient").text(FHIR, bytes.concat());
        let refusal = request.send().await.refusal();
        assert!(
            refusal.starts_with("400 structure the text is not UTF-8"),
            "{refusal}"
        );
        assert_eq!(baton.version_count().await, versions);
    })
    .await;
}

#[tokio::test]
async fn what_is_within_the_limits_is_taken() {
    on_each_store(LIMITS, NOW, async |baton| {
        let request = baton.request("POST /Patient").text(FHIR, nested(10));
        request.send().await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn a_format_that_is_not_of_fhir_is_refused() {
    on_each_store("", NOW, async |baton| {
        for (content_type, expected) in [
            ("application/fhir+turtle", "415 not-supported"),
            ("text/plain", "415 not-supported"),
        ] {
            let request = baton.request("POST /Patient");
            let body = r#"{"resourceType":"Patient"}"#;
            let refusal = request.text(content_type, body).send().await.refusal();
            assert!(refusal.starts_with(expected), "{content_type}: {refusal}");
        }
        for content_type in ["application/json", "application/fhir+json; charset=UTF-8"] {
            let request = baton.request("POST /Patient");
            let body = r#"{"resourceType":"Patient"}"#;
            request.text(content_type, body).send().await.expect(201);
        }
        let request = baton
            .request("GET /metadata")
            .header("Accept", "application/fhir+turtle");
        let refusal = request.send().await.refusal();
        assert!(refusal.starts_with("406 not-supported"), "{refusal}");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    on_each_store("", NOW, async |baton| {
        let root = baton.base().replace("/fhir", "");
        for (line, expected) in [
            ("GET /Patient/a/b/c/d/e".to_owned(), "404 not-found"),
            (format!("GET {root}/elsewhere"), "404 not-found"),
            ("PATCH /metadata".to_owned(), "405 not-supported"),
            ("PUT /metadata".to_owned(), "405 not-supported"),
            ("DELETE /".to_owned(), "405 not-supported"),
            ("POST /Patient/anna".to_owned(), "405 not-supported"),
            ("GET /Patient/%ff".to_owned(), "400 value"),
            ("GET /%ff/_history".to_owned(), "400 value"),
            ("GET /Location/x/Encounter".to_owned(), "501 not-supported"),
        ] {
            let refusal = baton.request(&line).send().await.refusal();
            assert!(refusal.starts_with(expected), "{line}: {refusal}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_base_is_the_same_with_a_slash() {
    on_each_store(LIMITS, NOW, async |baton| {
        for path in ["", "/", "/$clock"] {
            let request = baton.request(&format!("POST {path}"));
            let refusal = request.text(FHIR, padded(BODY_BYTES_MAX)).send().await;
            let refusal = refusal.refusal();
            assert!(refusal.starts_with("413 too-long"), "{path}: {refusal}");
        }
    })
    .await;
}
