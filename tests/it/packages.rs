//! FHIR packages at run time, and definitions that change while the server runs.

mod guides;
mod registry;
mod stored;

use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// Where the clock stands in these tests.
const NOW: &str = "2026-03-06T16:10:00Z";

/// A package as a registry sends it.
fn archive(manifest: &Value, resources: &[Value]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut push = |name: &str, content: &Value| {
        let bytes = content.to_string().into_bytes();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len().try_into().unwrap());
        header.set_mode(0o644);
        let path = format!("package/{name}.json");
        builder
            .append_data(&mut header, path, bytes.as_slice())
            .unwrap();
    };
    push("package", manifest);
    for resource in resources {
        let [resource_type, id] = ["resourceType", "id"].map(|key| resource[key].as_str().unwrap());
        push(&format!("{resource_type}-{id}"), resource);
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn manifest(name: &str, version: &str, dependencies: &Value) -> Value {
    json!({
        "name": name,
        "version": version,
        "fhirVersions": ["4.0.1"],
        "dependencies": dependencies,
    })
}

/// A value set with one code of its own code system, in which the version is.
fn value_set(version: &str, code: &str) -> Value {
    json!({
        "resourceType": "ValueSet", "id": "shade", "status": "active",
        "url": "http://example.org/ValueSet/shade", "version": version, "name": "Shade",
        "compose": { "include": [{
            "system": "http://example.org/CodeSystem/shade",
            "concept": [{ "code": code }],
        }] },
    })
}

/// A profile of Basic that binds its code to that value set, without saying which version of it.
fn profile(id: &str, version: &str) -> Value {
    let element = |id: &str, min: u32, max: &str| {
        json!({
            "id": id, "path": id, "definition": "x", "min": min, "max": max,
            "base": { "path": id, "min": min, "max": max },
        })
    };
    let mut code = element("Basic.code", 1, "1");
    code["type"] = json!([{ "code": "CodeableConcept" }]);
    code["binding"] = json!({
        "strength": "required",
        "valueSet": "http://example.org/ValueSet/shade",
    });
    json!({
        "resourceType": "StructureDefinition", "id": id, "status": "draft", "kind": "resource",
        "url": format!("http://example.org/StructureDefinition/{id}"),
        "version": version, "name": "Shaded", "abstract": false, "type": "Basic",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Basic",
        "derivation": "constraint",
        "snapshot": { "element": [element("Basic", 0, "*"), code] },
    })
}

/// A Basic with this code that claims a profile.
fn basic(profile: &str, code: &str) -> Value {
    json!({
        "resourceType": "Basic",
        "meta": { "profile": [profile] },
        "code": { "coding": [{ "system": "http://example.org/CodeSystem/shade", "code": code }] },
    })
}

/// Writes a package as an archive into a folder.
fn publish(folder: &Path, name: &str, version: &str, dependencies: &Value, resources: &[Value]) {
    let bytes = archive(&manifest(name, version, dependencies), resources);
    std::fs::write(folder.join(format!("{name}-{version}.tgz")), bytes).unwrap();
}
