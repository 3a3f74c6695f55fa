//! Codes of value sets that are not here are asked of a terminology server: a stand-in that knows one
//! of LOINC's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Value, json};

use crate::rest::NOW;
use crate::support::server::{Baton, each, on_each_store};

/// How often it was asked.
type Count = Arc<AtomicUsize>;

async fn validate_code(State(count): State<Count>, RawQuery(query): RawQuery) -> impl IntoResponse {
    count.fetch_add(1, Ordering::SeqCst);
    let is_member = query.unwrap_or_default().contains("code=right");
    let answer = json!({ "resourceType": "Parameters",
        "parameter": [{ "name": "result", "valueBoolean": is_member }] });
    (
        [(CONTENT_TYPE, "application/fhir+json")],
        answer.to_string(),
    )
}

/// A stand-in; its base and how often it was asked.
#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in is no task of the server under test"
)]
async fn stand_in() -> (String, Count) {
    let count = Count::default();
    let router = Router::new()
        .route("/fhir/ValueSet/$validate-code", get(validate_code))
        .with_state(Arc::clone(&count));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/fhir", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (base, count)
}

/// A Task that must have its code from a value set of a code system that nobody has loaded.
fn task(code: &str) -> Value {
    json!({ "resourceType": "Task", "status": "requested", "intent": "order",
        "meta": { "profile": ["http://example.com/StructureDefinition/coded-task"] },
        "code": { "coding": [{ "system": "http://loinc.org", "code": code }] } })
}

/// The profile and its value set.
async fn upload(baton: &Baton) {
    baton
        .create(&json!({ "resourceType": "ValueSet", "status": "active",
            "url": "http://example.com/ValueSet/loinc",
            "compose": { "include": [{ "system": "http://loinc.org" , "filter": [
                { "property": "CLASS", "op": "=", "value": "SURVEY" }] }] } }))
        .await;
    baton
        .create(
            &json!({ "resourceType": "StructureDefinition", "name": "CodedTask",
            "url": "http://example.com/StructureDefinition/coded-task", "status": "active",
            "kind": "resource", "abstract": false, "type": "Task",
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Task",
            "derivation": "constraint",
            "differential": { "element": [
                { "id": "Task", "path": "Task" },
                { "id": "Task.code", "path": "Task.code", "binding": {
                    "strength": "required",
                    "valueSet": "http://example.com/ValueSet/loinc" } }] } }),
        )
        .await;
}

#[tokio::test]
async fn a_terminology_server_is_asked_once_for_what_is_not_known_here() {
    let (base, count) = stand_in().await;
    let settings = format!("[terminology]\nserver = \"{base}\"\ndeadline_ms = 20000");
    on_each_store(&settings, NOW, async |baton| {
        count.store(0, Ordering::SeqCst);
        upload(baton).await;
        for _ in 0..2 {
            baton.create(&task("right")).await;
            let refusal = baton.post("/Task", &task("wrong")).await;
            assert_eq!(refusal.status, 422);
            let outcome = refusal.json();
            assert!(
                each(&outcome, "issue").any(|issue| issue["code"] == "code-invalid"
                    && issue["expression"] == json!(["Task.code"])),
                "{outcome}"
            );
        }
        assert_eq!(count.load(Ordering::SeqCst), 2, "each code once");
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            { "resource": task("right"), "request": { "method": "POST", "url": "Task" } },
            { "resource": task("other"), "request": { "method": "POST", "url": "Task" } }] });
        let refusal = baton.post("/", &bundle).await.refusal();
        assert!(refusal.starts_with("422"), "{refusal}");
        let outcome = baton
            .post("/Task/$validate", &task("odd"))
            .await
            .expect(200);
        assert!(each(&outcome, "issue").any(|issue| issue["severity"] == "error"));
    })
    .await;
}

#[tokio::test]
async fn what_a_terminology_server_does_not_say_is_not_checked() {
    let settings = "[terminology]\nserver = \"http://127.0.0.1:1/fhir\"";
    on_each_store(settings, NOW, async |baton| {
        upload(baton).await;
        baton.create(&task("wrong")).await;
    })
    .await;
}
