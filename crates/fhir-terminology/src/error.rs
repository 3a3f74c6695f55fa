//! Why an operation gives no answer. What HTTP makes of it is written beside each variant, and in
//! the table of `docs/API.md`; an answer is never a success with an error in it.

use fhir_model::definition::Reason;

/// Why an operation gives no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The value set, code system, concept map or code is not known here: 404 `not-found`.
    #[error("{0}")]
    NotFound(String),
    /// A parameter is missing, cannot be read or contradicts another: 400 `invalid`.
    #[error("{0}")]
    Invalid(String),
    /// A parameter of the operation that is not supported here: 400 `not-supported`.
    #[error("{0}")]
    NotSupported(String),
    /// There are more codes than are sent at once: 422 `too-costly`.
    #[error("{0}")]
    TooCostly(String),
    /// The definition cannot be worked with: 422 `processing`.
    #[error("{0}")]
    Unusable(String),
}

/// Why the codes of a value set cannot be listed.
pub(crate) fn not_enumerable(value_set: &str, system: Option<&str>, reason: Reason) -> Error {
    let system = system.unwrap_or("a code system");
    match reason {
        Reason::Grammar => Error::TooCostly(format!(
            "{value_set} cannot be listed: {system} is defined by a grammar and has no end"
        )),
        Reason::CodeSystemNotHere => Error::NotFound(format!(
            "{value_set} cannot be listed: {system} is not here, not in the version asked for, or \
             not completely"
        )),
        Reason::ValueSetNotHere => Error::NotFound(format!(
            "{value_set} cannot be listed: a value set that it imports is not here, or it has no \
             content"
        )),
        Reason::ImportCut => Error::Unusable(format!(
            "{value_set} cannot be listed: value sets that it imports import one another in a \
             circle, or too deeply"
        )),
        Reason::Filter => Error::Unusable(format!(
            "{value_set} cannot be listed: a filter on {system} is not complete, or needs more than \
             is known of it"
        )),
    }
}
