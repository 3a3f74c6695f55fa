//! Small structures, and the snapshots that the core package makes of them.

use std::sync::{Arc, LazyLock};

use fhir_model::snapshot::{Generator, Snapshot, SnapshotProblem};
use serde_json::{Value, json};

use crate::packages::{Package, Stack, find};
use crate::r4_core;

pub(crate) static CORE: LazyLock<Arc<Package>> = LazyLock::new(|| {
    let lines = r4_core::lines("r4-core-structures.ndjson.zst");
    let structures = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let is_structure = |structure: &Value| structure["resourceType"] == "StructureDefinition";
    Arc::new(Package::new(structures.filter(is_structure).collect()))
});

/// A profile on a type of the standard.
pub(crate) fn profile(base: &str, elements: &Value) -> Value {
    json!({
        "resourceType": "StructureDefinition",
        "url": "http://example.org/profile",
        "kind": "resource",
        "type": base,
        "baseDefinition": format!("http://hl7.org/fhir/StructureDefinition/{base}"),
        "derivation": "constraint",
        "differential": { "element": elements },
    })
}

/// Generates a snapshot by the core package and these structures.
pub(crate) fn generate(structure: &Value, others: &[Value]) -> Result<Snapshot, SnapshotProblem> {
    let stack: Stack = vec![Arc::new(Package::new(others.to_vec())), Arc::clone(&CORE)];
    let source = |canonical: &str| find(&stack, canonical);
    Generator::new(&source).generate(structure)
}
