//! What can go wrong, in the terms a client can act on.
//!
//! From floor 5 upward every failure is one of these; `rest::outcome` alone turns them into HTTP.
//! `Display` never repeats the source; [`chain`] prints a failure with all its causes, for the log.

use std::error::Error as StdError;
use std::fmt::Write as _;

use fhir_model::issue::Issue;
use fhir_model::key::{ResourceKey, VersionId};

use crate::store;

/// A cause that the client is not shown.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Why an interaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was sent cannot be read, or asks for something that makes no sense.
    #[error("the request is invalid")]
    Invalid(Vec<Issue>),
    /// The resource breaks the rules of its type or of a profile.
    #[error("the resource breaks the rules of its type or of a profile")]
    Unprocessable(Vec<Issue>),
    /// No R4 resource type has this name.
    #[error("{0} is not a resource type of FHIR R4")]
    UnknownType(String),
    /// No operation has this name, here or on this type.
    #[error("there is no operation {0} here; /fhir/metadata says which there are")]
    UnknownOperation(String),
    /// A terminology operation gives no answer.
    #[error(transparent)]
    Terminology(fhir_terminology::Error),
    /// No such resource.
    #[error("{0} is not known")]
    NotFound(ResourceKey),
    /// No resource meets a condition that must single one out.
    #[error("no {0} meets the condition")]
    NoMatch(String),
    /// The resource exists, this version does not.
    #[error("{0} has no version {1}")]
    VersionNotFound(ResourceKey, VersionId),
    /// The resource, or this version of it, was deleted.
    #[error("{key} was deleted")]
    Gone {
        /// The resource.
        key: ResourceKey,
        /// The version that is the deletion.
        version: VersionId,
    },
    /// `If-Match` names another version than the current one.
    #[error("{key} is at {}, and {expected} is expected", place(*.current))]
    VersionConflict {
        /// The resource.
        key: ResourceKey,
        /// What the client expects.
        expected: String,
        /// What is current; `None` when the resource never existed.
        current: Option<VersionId>,
    },
    /// A condition that must single out one resource matches several.
    #[error("the condition matches more than one {0}")]
    MultipleMatches(String),
    /// A search takes longer than it may.
    #[error(
        "the search takes longer than search.deadline_ms allows; narrow it by a parameter that few \
         resources match, such as patient, identifier or date, by _lastUpdated, or leave out _sort"
    )]
    TooCostly,
    /// A search cannot go on where a page ended: what it was about is no longer there.
    #[error("{0}")]
    Expired(String),
    /// The request contradicts what is stored.
    #[error("{0}")]
    Conflict(String),
    /// A setting of this server withholds it.
    #[error("{0}")]
    Forbidden(String),
    /// Baton does not do this.
    #[error("{0}")]
    NotSupported(String),
    /// More was sent, or asked for, than is taken at once; the text names the limit.
    #[error("{0}")]
    TooLarge(String),
    /// Entries of a Bundle were refused, each at its place.
    #[error("entries of the Bundle were refused")]
    Entries(Vec<EntryError>),
    /// The store does not answer; trying again may help.
    #[error("the store is not available")]
    Unavailable(#[source] Cause),
    /// A bug or a broken store. The client learns nothing but that.
    #[error("internal error")]
    Internal(#[source] Cause),
}

/// Why an entry of a Bundle was refused; none of these is a defect, whose cause would be lost here.
#[derive(Debug)]
pub struct EntryError {
    /// Its place: `Bundle.entry[3]`.
    pub place: String,
    /// Why.
    pub error: Error,
}

impl Error {
    /// The error of an entry; what is no fault of the entry stays as it is.
    #[must_use]
    pub fn of_entry(self, index: usize) -> Self {
        match self {
            Self::Internal(_) | Self::Unavailable(_) | Self::Entries(_) => self,
            error => {
                let place = format!("Bundle.entry[{index}]");
                Self::Entries(vec![EntryError { place, error }])
            }
        }
    }
}

fn place(current: Option<VersionId>) -> String {
    current.map_or_else(
        || "no version".to_owned(),
        |version| format!("version {version}"),
    )
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        if error.is_passing() {
            return Self::Unavailable(error.into());
        }
        match error {
            store::Error::Conflict => {
                Self::Conflict("somebody else changed the resource at the same time".to_owned())
            }
            store::Error::TooLarge => Self::TooLarge(
                "the request writes more than one transaction takes; send it in parts".to_owned(),
            ),
            store::Error::TooCostly => Self::TooCostly,
            store::Error::Expired => Self::Expired(
                "too much was changed since the first page, or its history is no longer kept; \
                 start the search again"
                    .to_owned(),
            ),
            store::Error::Database(_)
            | store::Error::TooSlow
            | store::Error::Closed
            | store::Error::InUse
            | store::Error::NotHeld
            | store::Error::NewerSchema { .. }
            | store::Error::Migration(_)
            | store::Error::Url
            | store::Error::Writer(_)
            | store::Error::Dictionary
            | store::Error::Corrupt(_) => Self::Internal(error.into()),
        }
    }
}

/// An error with its causes, each once: `internal error: the database failed: disk is full`.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_chain_has_every_cause_once() {
        let error = Error::from(store::Error::Database(Arc::new(sqlx::Error::PoolTimedOut)));
        let chain = chain(&error);
        assert!(
            chain.starts_with("the store is not available: the database failed: "),
            "{chain}"
        );
        assert_eq!(chain.matches("the database failed").count(), 1);
    }
}
