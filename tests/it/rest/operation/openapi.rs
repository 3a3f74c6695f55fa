//! `/openapi.json`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rest::NOW;
use crate::support::server::{Baton, each, on_each_store};

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// Longer a description is no help to anybody.
const BYTES_MAX: usize = 1 << 20;

async fn document(baton: &Baton) -> Value {
    let url = baton.base().replace("/fhir", "/openapi.json");
    let answer = baton.request(&format!("GET {url}")).send().await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.text.len() < BYTES_MAX, "{}", answer.text.len());
    answer.expect(200)
}

/// Every operation with its path and method.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods
            .iter()
            .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// What a `$ref` means, or the value itself.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        None => value,
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap();
            let found = document.pointer(pointer);
            found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
    }
}

/// The rules of the specification for what this document has:
/// <https://spec.openapis.org/oas/v3.1.0>.
#[tokio::test]
async fn the_description_keeps_the_rules_of_openapi() {
    on_each_store("", NOW, async |baton| {
        let document = document(baton).await;
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
        for name in ["title", "version"] {
            assert!(document["info"][name].is_string());
        }
        assert_eq!(document["servers"][0]["url"], baton.base());
        let mut ids = BTreeSet::new();
        for (path, method, operation) in operations(&document) {
            let place = format!("{method} {path}");
            assert!(
                path.starts_with('/') && METHODS.contains(&method),
                "{place}"
            );
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "{place}"
            );
            let mut in_path = BTreeSet::new();
            let mut names = BTreeSet::new();
            for parameter in each(operation, "parameters") {
                let parameter = resolved(&document, parameter);
                let (name, at) = (parameter["name"].as_str(), parameter["in"].as_str());
                assert!(
                    names.insert((name.unwrap(), at.unwrap())),
                    "{place} {name:?} twice"
                );
                assert!(parameter["schema"].is_object(), "{place} {name:?}");
                if at == Some("path") {
                    assert_eq!(parameter["required"], true, "{place}");
                    in_path.insert(name.unwrap().to_owned());
                }
            }
            let of_path: BTreeSet<String> = path
                .split(['{', '}'])
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect();
            assert_eq!(in_path, of_path, "{place}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(!responses.is_empty());
            for response in responses.values() {
                let response = resolved(&document, response);
                assert!(response["description"].is_string(), "{place}");
                check_content(&document, &response["content"]);
            }
            if let Some(body) = operation.get("requestBody") {
                assert_ne!(method, "get", "{place}");
                assert!(body["content"].is_object(), "{place}");
                check_content(&document, &body["content"]);
            }
        }
    })
    .await;
}

fn check_content(document: &Value, content: &Value) {
    for (mime, media) in content.as_object().into_iter().flatten() {
        assert!(mime.contains('/'), "{mime}");
        if let Some(schema) = media.get("schema") {
            assert!(resolved(document, schema).is_object());
        }
    }
}

#[tokio::test]
async fn the_description_says_what_the_statement_claims() {
    on_each_store("", NOW, async |baton| {
        let document = document(baton).await;
        let statement = baton.read("/metadata").await;
        let known: BTreeSet<(&str, &str)> = operations(&document)
            .map(|(path, method, _)| (path, method))
            .collect();
        for (code, path, method) in [
            ("read", "/{type}/{id}", "get"),
            ("patch", "/{type}/{id}", "patch"),
            ("search-type", "/Patient", "get"),
            ("create", "/Patient", "post"),
            ("history-type", "/Task/_history", "get"),
        ] {
            let patient = each(&statement["rest"][0], "resource")
                .find(|resource| resource["type"] == "Patient")
                .unwrap();
            let is_claimed = each(patient, "interaction").any(|it| it["code"] == code);
            assert_eq!(known.contains(&(path, method)), is_claimed, "{code}");
        }
        for operation in [
            ("/Patient/{id}/$everything", "get"),
            ("/Patient/$match", "post"),
            ("/{type}/{id}/$meta-add", "post"),
            ("/ValueSet/$expand", "get"),
            ("/$meta", "get"),
        ] {
            assert!(known.contains(&operation), "{operation:?}");
        }
        assert!(!known.contains(&("/{type}/{id}/$meta-add", "get")));
        assert!(!known.contains(&("/{type}/{id}/$purge", "post")));
        let search = &document["paths"]["/Patient"]["get"];
        let names: Vec<&Value> = each(search, "parameters").map(|it| &it["name"]).collect();
        assert!(names.iter().any(|name| **name == "birthdate"));
    })
    .await;
}
