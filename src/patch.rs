//! Patches: what a client sends instead of a whole resource, and what becomes of a resource by them.
//!
//! <https://hl7.org/fhir/R4/http.html#patch>. [`Patch`] is read once, before anything is looked at,
//! and applied to the version that is current inside a transaction. Everything here is pure: which
//! version that is, and whether what comes out is a valid resource, is left to
//! `interaction::write`.

use fhir_model::definition::Definitions;
use fhir_model::tree::{Limits, Tree};

mod draft;
mod fhirpath;
mod json;
mod merge;

/// The MIME type of JSON Patch.
pub const JSON_PATCH: &str = "application/json-patch+json";

/// The most operations of one patch.
pub const OPERATIONS_MAX: usize = 1000;

/// A patch that was read.
#[derive(Debug)]
pub enum Patch {
    /// JSON Patch: <https://www.rfc-editor.org/rfc/rfc6902>.
    Json(json::JsonPatch),
    /// `FHIRPath` Patch: <https://hl7.org/fhir/R4/fhirpatch.html>.
    Fhirpath(fhirpath::FhirpathPatch),
    /// JSON Merge Patch: <https://www.rfc-editor.org/rfc/rfc7396>.
    Merge(merge::MergePatch),
}

/// Why a patch gives no resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch is none, whatever it would be applied to.
    #[error("{0}")]
    Malformed(String),
    /// The resource is not as the patch counts on: a `test` fails, or a place is not there.
    #[error("{0}")]
    Conflict(String),
    /// What would come out is no resource.
    #[error("{0}")]
    Unprocessable(String),
}

impl PatchError {
    /// The same, with the operation that is at fault.
    fn of_operation(self, number: usize, name: &str) -> Self {
        let told = |text: String| format!("operation {number} ({name}): {text}");
        match self {
            Self::Malformed(text) => Self::Malformed(told(text)),
            Self::Conflict(text) => Self::Conflict(told(text)),
            Self::Unprocessable(text) => Self::Unprocessable(told(text)),
        }
    }
}

impl Patch {
    /// Reads a JSON Patch document.
    ///
    /// # Errors
    /// [`PatchError::Malformed`] when it is none.
    pub fn json(text: &[u8], limits: &Limits) -> Result<Self, PatchError> {
        json::JsonPatch::parse(text, limits).map(Self::Json)
    }

    /// A JSON Merge Patch document: any object.
    pub const fn merge(document: Tree) -> Self {
        Self::Merge(merge::MergePatch::new(document))
    }

    /// Reads the operations of a Parameters resource.
    ///
    /// # Errors
    /// [`PatchError::Malformed`] when they are none.
    pub fn fhirpath(parameters: Tree) -> Result<Self, PatchError> {
        fhirpath::FhirpathPatch::read(parameters).map(Self::Fhirpath)
    }

    /// What becomes of a resource. Elements that are left without any content disappear.
    ///
    /// # Errors
    /// The first operation that cannot be done; nothing is done then.
    pub fn apply(&self, resource: &Tree, definitions: &Definitions) -> Result<Tree, PatchError> {
        match self {
            Self::Json(patch) => {
                let text = patch.apply_to_resource(resource)?;
                parsed(text, definitions)
            }
            Self::Fhirpath(patch) => patch.apply(resource, definitions),
            Self::Merge(patch) => parsed(patch.apply(resource), definitions),
        }
    }
}

/// What a patch made of a resource, as a tree again.
fn parsed(text: String, definitions: &Definitions) -> Result<Tree, PatchError> {
    Tree::parse(text, definitions.names(), &Limits::default())
        .map_err(|error| PatchError::Unprocessable(format!("what comes out is refused: {error}")))
}
