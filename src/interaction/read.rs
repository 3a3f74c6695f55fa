//! The `read` and `vread` interactions: <https://hl7.org/fhir/R4/http.html#read>, `#vread`.

use fhir_model::key::{ResourceKey, VersionId};

use crate::error::Error;
use crate::interaction::Services;
use crate::store::Stored;

/// The current version of a resource.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Gone`] after its deletion.
pub async fn read(services: &Services, key: &ResourceKey) -> Result<Stored, Error> {
    let stored = services
        .store
        .read(key)
        .await?
        .ok_or_else(|| Error::NotFound(key.clone()))?;
    present(stored)
}

/// One version of a resource.
///
/// # Errors
/// [`Error::NotFound`], [`Error::VersionNotFound`], or [`Error::Gone`] when the version is a
/// deletion.
pub async fn vread(
    services: &Services,
    key: &ResourceKey,
    version: VersionId,
) -> Result<Stored, Error> {
    match services.store.vread(key, version).await? {
        Some(stored) => present(stored),
        None if services.store.read(key).await?.is_some() => {
            Err(Error::VersionNotFound(key.clone(), version))
        }
        None => Err(Error::NotFound(key.clone())),
    }
}

/// A version that is a resource, not the mark of its deletion.
///
/// # Errors
/// [`Error::Gone`] for a deletion.
pub fn present(stored: Stored) -> Result<Stored, Error> {
    if stored.text.is_none() {
        return Err(Error::Gone {
            key: stored.key,
            version: stored.version,
        });
    }
    Ok(stored)
}
