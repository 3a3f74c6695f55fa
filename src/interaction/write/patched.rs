//! A patch meeting the version that is current: what comes out goes the way of an update.
//!
//! <https://hl7.org/fhir/R4/http.html#patch>. This runs inside the transaction, when the resource is
//! locked, so that a patch is never applied to a version that is no longer current.

use fhir_model::issue::{Issue, IssueType};
use fhir_model::key::ResourceKey;
use fhir_model::tree::{Limits, Tree};

use crate::error::Error;
use crate::interaction::write::{Change, Document, Prepared, prepare};
use crate::interaction::{Context, Services, codes, invalid};
use crate::patch::{Patch, PatchError};
use crate::store::Stored;

/// The update that a patch comes to; nothing for a change that is no patch.
///
/// # Errors
/// When there is nothing to patch, the version is not the expected one, the patch cannot be applied,
/// or what comes out is refused.
pub(super) fn patched(
    context: &Context,
    prepared: &Prepared,
    key: &ResourceKey,
    before: Option<&Stored>,
) -> Result<Option<Prepared>, Error> {
    let (Change::Patch {
        patch, expected, ..
    }
    | Change::PatchWhere {
        patch, expected, ..
    }) = &prepared.change
    else {
        return Ok(None);
    };
    let Some(before) = before else {
        return Err(Error::NotFound(key.clone()));
    };
    if let Some(expected) = expected
        && !expected.admits(Some(before))
    {
        return Err(Error::VersionConflict {
            key: key.clone(),
            expected: expected.to_string(),
            current: Some(before.version),
        });
    }
    let update = Change::Update {
        key: key.clone(),
        document: document(&context.services, patch, before)?,
        expected: None,
    };
    prepare(context, update).map(Some)
}

/// What a patch makes of a version.
fn document(services: &Services, patch: &Patch, before: &Stored) -> Result<Document, Error> {
    let Some(text) = before.text.as_deref() else {
        return Err(Error::Gone {
            key: before.key.clone(),
            version: before.version,
        });
    };
    let definitions = &services.definitions;
    let stored = Tree::parse(text, definitions.names(), &Limits::CEILING)
        .map_err(|error| Error::Internal(error.into()))?;
    let document = Document::new(patch.apply(&stored, definitions)?);
    let resource_type = document.resource_type(services).ok();
    if resource_type.as_ref() != Some(&before.key.resource_type)
        || document.id().as_deref() != Some(before.key.id.as_str())
    {
        return Err(unprocessable(format!(
            "a patch changes neither type nor id: what comes out must be {}",
            before.key
        )));
    }
    Ok(document)
}

/// Asks for the codes that the outcome of a patch will be validated with, as far as it can be
/// foreseen.
pub(super) async fn foresee(context: &Context, change: &Change) -> Result<(), Error> {
    let services = &context.services;
    let Change::Patch { key, patch, .. } = change else {
        return Ok(());
    };
    if services.terminology_server.is_none() {
        return Ok(());
    }
    if let Ok(Some(stored)) = services.store.read(key).await
        && let Ok(document) = document(services, patch, &stored)
    {
        codes::foresee(services, &document, None, &context.policy.options()).await?;
    }
    Ok(())
}

fn unprocessable(text: String) -> Error {
    Error::Unprocessable(vec![Issue::error(IssueType::Processing, text)])
}

/// What HTTP makes of a patch that cannot be applied: RFC 5789, section 2.2.
impl From<PatchError> for Error {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::Malformed(text) => invalid(IssueType::Invalid, text),
            PatchError::Conflict(text) => Self::Conflict(text),
            PatchError::Unprocessable(text) => unprocessable(text),
        }
    }
}
