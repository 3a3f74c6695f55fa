//! The definitions that the program is born with: the R4 core and our own package.
//!
//! `build.rs` compiles the packages of `fhir-profiles/` into an image; here it is read, once. Our
//! own conformance resources are at hand as JSON too, to be served, and because `PlanDefinition`s
//! are read as resources. Packages that an operator installs extend these definitions at run
//! time ([`fhir_model::definition::Builder::extending`]); keeping the current set is left to the
//! server.

pub mod json;

use std::sync::{Arc, OnceLock};

use fhir_model::definition::Definitions;

/// What `build.rs` compiled.
static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/definitions.image"));

static EMBEDDED: OnceLock<Arc<Definitions>> = OnceLock::new();

/// A package that is compiled into the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddedPackage {
    /// `hl7.fhir.r4.core`.
    pub name: &'static str,
    /// `4.0.1`.
    pub version: &'static str,
}

/// Sorted by name.
static PACKAGES: &[EmbeddedPackage] = include!(concat!(env!("OUT_DIR"), "/packages.rs"));

/// Changes with the embedded image and with the compiler of definitions: what was compiled by
/// another one is not to be read.
pub const COMPILER: &str = env!("BATON_COMPILER");

/// A conformance resource of our own package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnResource {
    /// The resource type: `PlanDefinition`.
    pub resource_type: &'static str,
    /// The logical id: `tcm-30`.
    pub id: &'static str,
    /// The resource, as in the package.
    pub json: &'static str,
}

/// Sorted by type and id.
static OWN_RESOURCES: &[OwnResource] = include!(concat!(env!("OUT_DIR"), "/own_resources.rs"));

/// The definitions that the program is born with; read from the image at the first call.
pub fn embedded() -> Arc<Definitions> {
    Arc::clone(EMBEDDED.get_or_init(|| Arc::new(read())))
}

/// Whether these are the definitions that [`embedded`] gives.
pub fn is_embedded(definitions: &Arc<Definitions>) -> bool {
    EMBEDDED
        .get()
        .is_some_and(|embedded| Arc::ptr_eq(embedded, definitions))
}

/// The same, read anew: for who needs them once and then no more.
///
/// # Panics
///
/// Never: the image was written by the build of this program.
pub fn read() -> Definitions {
    let definitions = Definitions::from_image(IMAGE);
    definitions.expect("the image was written by the build of this program")
}

/// The published packages that are compiled into the program.
pub fn packages() -> &'static [EmbeddedPackage] {
    PACKAGES
}

/// Our own conformance resources, sorted by type and id.
pub fn own_resources() -> &'static [OwnResource] {
    OWN_RESOURCES
}

/// Our own conformance resource with this type and id.
pub fn own_resource(resource_type: &str, id: &str) -> Option<&'static OwnResource> {
    let key = (resource_type, id);
    let at = OWN_RESOURCES
        .binary_search_by_key(&key, |own| (own.resource_type, own.id))
        .ok()?;
    OWN_RESOURCES.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_holds_the_r4_core() {
        let started = std::time::Instant::now();
        let definitions = embedded();
        println!("{} bytes read in {:?}", IMAGE.len(), started.elapsed());
        assert_eq!(definitions.resource_types().count(), 148);
        let patient = "http://hl7.org/fhir/StructureDefinition/Patient|4.0.1";
        assert!(definitions.structure(patient).is_some());
        assert!(
            definitions
                .value_set("http://hl7.org/fhir/ValueSet/task-status")
                .is_some()
        );
    }

    #[test]
    fn our_own_resources_are_found_and_compiled() {
        assert!(own_resources().is_sorted_by_key(|own| (own.resource_type, own.id)));
        let definitions = embedded();
        for own in own_resources() {
            assert_eq!(own_resource(own.resource_type, own.id), Some(own));
            let resource: serde_json::Value = serde_json::from_str(own.json).unwrap();
            let url = resource.get("url").and_then(|url| url.as_str()).unwrap();
            let is_compiled = match own.resource_type {
                "StructureDefinition" => definitions.structure(url).is_some(),
                "ValueSet" => definitions.value_set(url).is_some(),
                "CodeSystem" => definitions.code_system(url).is_some(),
                "SearchParameter" => definitions.search_parameter_by_url(url).is_some(),
                _ => true,
            };
            assert!(is_compiled, "{url}");
        }
        assert_eq!(own_resource("PlanDefinition", "no-such-plan"), None);
    }
}
