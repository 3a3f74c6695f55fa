//! `package.json`: what a package says of itself.

use serde_json::Value;

use crate::package::content::Content;
use crate::package::{Coordinate, Error};

/// The version of FHIR that Baton works by, and those of it that need the same: `4.0.1`.
const FHIR_VERSION: &str = "4.0";

/// What a package says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Its name and version.
    pub(super) coordinate: Coordinate,
    /// What its resources refer to.
    pub(super) dependencies: Vec<Coordinate>,
}

impl Manifest {
    /// Reads the manifest of a package.
    pub(super) fn read(content: &Content) -> Result<Self, Error> {
        let broken = |reason: &str| content.broken(reason.to_owned());
        let bytes = content
            .file("package.json")?
            .ok_or_else(|| broken("it has no package/package.json"))?;
        let json: Value = serde_json::from_slice(&bytes)
            .map_err(|error| content.broken(format!("package.json: {error}")))?;
        let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
        let coordinate = Coordinate::new(text("name"), text("version"))
            .ok_or_else(|| broken("package.json has no usable name and version"))?;
        let fhir_versions = fhir_versions(&json);
        let is_ours = |version: &&str| {
            let rest = version.strip_prefix(FHIR_VERSION);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if !fhir_versions.is_empty() && !fhir_versions.iter().any(is_ours) {
            return Err(Error::FhirVersion {
                package: coordinate,
                versions: fhir_versions.join(", "),
            });
        }
        let dependencies = json.get("dependencies").and_then(Value::as_object);
        let dependencies = dependencies.into_iter().flatten();
        Ok(Self {
            coordinate,
            dependencies: dependencies
                .filter_map(|(name, version)| Coordinate::new(name, version.as_str()?))
                .collect(),
        })
    }
}

/// The versions of FHIR that a package is for; older ones call the list `fhir-version-list`.
fn fhir_versions(json: &Value) -> Vec<&str> {
    ["fhirVersions", "fhir-version-list"]
        .iter()
        .filter_map(|name| json.get(name)?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}
