//! The examples of the specification are accepted, stored, and come back equal, decimals to the
//! digit.

use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::support::server::on_each_store;

/// How many examples R4 publishes of the seven types: none may get lost from the folder.
const EXAMPLES: usize = 42;

#[tokio::test]
async fn every_example_of_the_seven_types_comes_back_as_it_was_sent() {
    let examples = examples();
    assert_eq!(examples.len(), EXAMPLES);
    on_each_store("", "2026-01-05T12:00:00Z", async |baton| {
        for path in &examples {
            let sent = std::fs::read_to_string(path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy();
            let resource: Map<String, Value> = serde_json::from_str(&sent).unwrap();
            let [resource_type, id] =
                ["resourceType", "id"].map(|key| resource[key].as_str().unwrap());
            let url = format!("/{resource_type}/{id}");
            let put = baton
                .request(&format!("PUT {url}"))
                .text("application/fhir+json", sent.clone())
                .send()
                .await;
            assert_eq!(put.status, 201, "{name}: {}", put.text);
            let read = baton.get(&url).await;
            assert_eq!(read.status, 200, "{name}");
            assert_eq!(tokens(&read.text), tokens(&sent), "{name}");
        }
    })
    .await;
}

pub(crate) fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/resources/r4-spec");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut examples: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    examples.sort();
    examples
}

/// Every value with its path, numbers as they are written, in the order of the text; without what a
/// server stamps.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    walk("", serde_json::from_str(text).unwrap(), &mut tokens);
    tokens.retain(|token| {
        !token.starts_with(".meta.versionId ") && !token.starts_with(".meta.lastUpdated ")
    });
    // Where a resource has no meta, the server adds one that holds nothing but its stamp.
    tokens.retain(|token| token != ".meta {");
    tokens
}

fn walk(path: &str, raw: &RawValue, tokens: &mut Vec<String>) {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            tokens.push(format!("{path} {{"));
            // A map of raw values keeps the order of its keys and the digits of its numbers.
            let members: Vec<(String, Box<RawValue>)> = members(text);
            for (key, value) in members {
                walk(&format!("{path}.{key}"), &value, tokens);
            }
        }
        Some(b'[') => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
            tokens.push(format!("{path} [{}", items.len()));
            for (index, item) in items.iter().enumerate() {
                walk(&format!("{path}[{index}]"), item, tokens);
            }
        }
        Some(b'"') => {
            let string: String = serde_json::from_str(text).unwrap();
            tokens.push(format!("{path} {string:?}"));
        }
        _ => tokens.push(format!("{path} {text}")),
    }
}

fn members(object: &str) -> Vec<(String, Box<RawValue>)> {
    struct Members(Vec<(String, Box<RawValue>)>);

    impl<'de> serde::Deserialize<'de> for Members {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Visitor)
        }
    }

    struct Visitor;

    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Members;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(Members(members))
        }
    }

    serde_json::from_str::<Members>(object).unwrap().0
}
