//! The embedded structures as JSON: what snapshots of other structures are generated from.
//!
//! They lie in the program compressed, are unpacked when the first one is asked for, and parsed
//! one by one. A server that is sent snapshots never pays for them.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, LazyLock};

use ruzstd::decoding::StreamingDecoder;
use serde::Deserialize;
use serde_json::Value;

use crate::definitions::own_resources;

/// Published resources, one a line, compressed with zstd: those files that hold structures.
static FILES: &[&[u8]] = include!(concat!(env!("OUT_DIR"), "/structure_files.rs"));

/// The texts of the structures, by canonical URL.
static TEXTS: LazyLock<HashMap<String, String>> = LazyLock::new(texts);

/// What is read of a resource to know which one it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    resource_type: String,
    url: Option<String>,
}

/// The embedded structure with this canonical URL.
pub fn structure(url: &str) -> Option<Arc<Value>> {
    let text = TEXTS.get(url)?;
    serde_json::from_str(text).ok().map(Arc::new)
}

fn texts() -> HashMap<String, String> {
    let mut texts = HashMap::new();
    for file in FILES {
        let mut lines = String::new();
        StreamingDecoder::new(*file)
            .expect("the file was read by the build of this program")
            .read_to_string(&mut lines)
            .expect("the file was read by the build of this program");
        for line in lines.lines() {
            add(&mut texts, line);
        }
    }
    for own in own_resources() {
        add(&mut texts, own.json);
    }
    texts
}

fn add(texts: &mut HashMap<String, String>, text: &str) {
    if let Ok(head) = serde_json::from_str::<Head>(text)
        && head.resource_type == "StructureDefinition"
        && let Some(url) = head.url
    {
        texts.insert(url, text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_structure_is_found_with_its_snapshot() {
        for url in [
            "http://hl7.org/fhir/StructureDefinition/Patient",
            "http://hl7.org/fhir/StructureDefinition/HumanName",
            "http://hl7.org/fhir/StructureDefinition/string",
        ] {
            let found = structure(url).unwrap();
            assert_eq!(found["url"], url);
            assert!(found["snapshot"]["element"][0]["id"].is_string());
        }
        assert!(own_resources().iter().any(|own| {
            let own: Value = serde_json::from_str(own.json).unwrap();
            own["resourceType"] == "StructureDefinition"
                && structure(own["url"].as_str().unwrap()).is_some()
        }));
        assert!(structure("http://example.org/unknown").is_none());
    }
}
