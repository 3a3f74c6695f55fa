//! `capabilities`: what the statement claims is served: <https://hl7.org/fhir/R4/http.html#capabilities>.

use serde_json::{Value, json};

use crate::rest::NOW;
use crate::support::server::{Baton, each, on_each_store};

/// The resource types of R4: 148, two of them abstract.
const TYPES: usize = 146;

/// Every interaction that the statement claims of a type.
const CLAIMED: [&str; 8] = [
    "create",
    "delete",
    "history-instance",
    "history-type",
    "read",
    "search-type",
    "update",
    "vread",
];

/// A value that a parameter of this type can have; a year can be anything.
fn value(name: &str, kind: &str) -> &'static str {
    match kind {
        "composite" if name.ends_with("-coordinate") => "2026$2026$2026",
        "composite" => "2026$2026",
        "date" => "2026-01-01",
        "number" | "quantity" => "1",
        "uri" => "urn:x",
        _ => "x",
    }
}

async fn batch(baton: &Baton, requests: &[(&str, String)]) -> Vec<(String, String)> {
    let entries: Vec<Value> = requests
        .iter()
        .map(|(method, url)| json!({ "request": { "method": method, "url": url } }))
        .collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": entries });
    let answer = baton.post("", &bundle).await.expect(200);
    let statuses = each(&answer, "entry").map(|entry| {
        let outcome = &entry["response"]["outcome"];
        let text = outcome["issue"][0]["details"]["text"]
            .as_str()
            .unwrap_or_default();
        (
            entry["response"]["status"].as_str().unwrap().to_owned(),
            text.to_owned(),
        )
    });
    statuses.collect()
}

#[tokio::test]
async fn the_statement_says_who_it_is() {
    on_each_store("", NOW, async |baton| {
        let statement = baton.read("/metadata").await;
        assert_eq!(statement["resourceType"], "CapabilityStatement");
        assert_eq!(statement["status"], "active");
        assert_eq!(statement["kind"], "instance");
        assert_eq!(statement["fhirVersion"], "4.0.1");
        assert_eq!(statement["implementation"]["url"], baton.base());
        assert!(each(&statement, "format").any(|format| format == "application/fhir+json"));
        let rest = &statement["rest"][0];
        assert_eq!(rest["mode"], "server");
        assert_eq!(each(rest, "resource").count(), TYPES);
        for resource in each(rest, "resource") {
            let mut interactions: Vec<&str> = each(resource, "interaction")
                .map(|interaction| interaction["code"].as_str().unwrap())
                .collect();
            interactions.sort_unstable();
            assert_eq!(interactions, CLAIMED, "{}", resource["type"]);
        }
        let outcome = baton
            .post("/CapabilityStatement/$validate", &statement)
            .await
            .expect(200);
        let is_wrong = each(&outcome, "issue").any(|issue| issue["severity"] == "error");
        assert!(!is_wrong, "{outcome}");
    })
    .await;
}

#[tokio::test]
async fn every_claimed_search_parameter_and_include_is_served() {
    on_each_store("", NOW, async |baton| {
        let statement = baton.read("/metadata").await;
        let mut requests = Vec::new();
        for resource in each(&statement["rest"][0], "resource") {
            let resource_type = resource["type"].as_str().unwrap();
            for parameter in each(resource, "searchParam") {
                let (name, kind) = (&parameter["name"], parameter["type"].as_str().unwrap());
                let name = name.as_str().unwrap();
                requests.push((
                    "GET",
                    format!("{resource_type}?{name}={}", value(name, kind)),
                ));
            }
            for include in each(resource, "searchInclude") {
                let include = include.as_str().unwrap();
                requests.push((
                    "GET",
                    format!("{resource_type}?_include={include}&_count=1"),
                ));
            }
        }
        assert!(requests.len() > TYPES * 3, "{}", requests.len());
        let answers = batch(baton, &requests).await;
        let refused: Vec<String> = requests
            .iter()
            .zip(answers)
            .filter(|(_, (status, _))| status != "200 OK")
            .map(|((_, url), (status, text))| format!("{url}: {status} {text}"))
            .collect();
        assert!(refused.is_empty(), "{}", refused.join("\n"));
    })
    .await;
}

#[tokio::test]
async fn every_type_is_read_searched_and_remembered() {
    on_each_store("", NOW, async |baton| {
        let statement = baton.read("/metadata").await;
        for resource in each(&statement["rest"][0], "resource") {
            let resource_type = resource["type"].as_str().unwrap();
            for (path, expected) in [
                (format!("/{resource_type}/never"), 404),
                (format!("/{resource_type}/never/_history/1"), 404),
                (format!("/{resource_type}/never/_history"), 404),
                (format!("/{resource_type}/_history"), 200),
                (format!("/{resource_type}"), 200),
            ] {
                let status = baton.get(&path).await.status;
                assert_eq!(status, expected, "{path}");
            }
        }
    })
    .await;
}

/// A bare resource of each type is a whole one where nothing is required; where something is, the
/// answer says what.
#[tokio::test]
async fn every_type_is_written() {
    on_each_store("", NOW, async |baton| {
        let statement = baton.read("/metadata").await;
        let mut created = 0;
        for resource in each(&statement["rest"][0], "resource") {
            let resource_type = resource["type"].as_str().unwrap();
            let path = format!("/{resource_type}/x");
            let mut body = json!({ "resourceType": resource_type, "id": "x", "language": "en" });
            let answer = baton.put(&path, &body).await;
            if answer.status == 422 {
                let refusal = answer.refusal();
                let is_told = refusal.contains("required") || refusal.contains("invariant");
                assert!(is_told, "{resource_type}: {refusal}");
                continue;
            }
            assert_eq!(answer.status, 201, "{resource_type}: {}", answer.text);
            created += 1;
            body["language"] = json!("de");
            baton.put(&path, &body).await.expect(200);
            assert_eq!(baton.read(&path).await["language"], "de");
            assert_eq!(baton.get(&format!("{path}/_history/1")).await.status, 200);
            let found = baton.search(&format!("{resource_type}?_id=x")).await;
            assert_eq!(found.len(), 1, "{resource_type}");
            baton.delete(&path).await.expect(204);
            assert_eq!(baton.versions(&path).await.len(), 3, "{resource_type}");
            baton
                .post(&format!("/{resource_type}"), &body)
                .await
                .expect(201);
        }
        assert!(created > 30, "{created}");
    })
    .await;
}
