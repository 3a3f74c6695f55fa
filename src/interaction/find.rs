//! Looking resources up inside a transaction, as JSON: what engines decide by.

use fhir_model::key::ResourceKey;
use serde_json::Value;

use crate::error::Error;
use crate::interaction::Services;
use crate::search::expression::{
    Criterion, Filter, ReferenceCriterion, Search, TokenCriterion, Total,
};
use crate::search::value::ParameterId;
use crate::store::{Stored, Transaction};

/// Resources that a look-up reads at once.
const RESOURCES_PER_PAGE: u32 = 1000;

/// Resources of one look-up at most: more belong to no patient and no visit, and an engine that
/// decided by a part of them would decide wrongly.
const RESOURCES_MAX: usize = 50_000;

/// A search for the resources of which a parameter has one of these values.
///
/// # Errors
/// [`Error::UnknownType`] when R4 has no such type.
pub fn by(
    services: &Services,
    resource_type: &str,
    parameter: &str,
    criteria: Vec<Criterion>,
) -> Result<Search, Error> {
    Ok(Search {
        types: services.resource_type(resource_type)?.into(),
        filters: vec![any(resource_type, parameter, criteria)],
        sort: Vec::new(),
        count: RESOURCES_PER_PAGE,
        after: None,
        includes: Vec::new(),
        revincludes: Vec::new(),
        total: Total::None,
    })
}

/// A search for all resources of a type.
///
/// # Errors
/// As [`by`].
pub fn every(services: &Services, resource_type: &str) -> Result<Search, Error> {
    Ok(Search {
        filters: Vec::new(),
        ..by(services, resource_type, "_id", Vec::new())?
    })
}

/// The condition that a parameter has one of these values.
pub fn any(resource_type: &str, parameter: &str, criteria: Vec<Criterion>) -> Filter {
    Filter::Any {
        parameter: ParameterId::new(resource_type, parameter),
        criteria,
        negated: false,
    }
}

/// The value `system|code` of a token parameter.
pub fn token(system: &str, code: &str) -> Criterion {
    Criterion::Token(TokenCriterion::SystemAndCode(
        system.to_owned(),
        code.to_owned(),
    ))
}

/// A search for the resources with an identifier.
///
/// # Errors
/// As [`by`].
pub fn by_identifier(
    services: &Services,
    resource_type: &str,
    system: &str,
    value: &str,
) -> Result<Search, Error> {
    by(
        services,
        resource_type,
        "identifier",
        vec![token(system, value)],
    )
}

/// A search for the resources that refer to `target/id` by a parameter.
///
/// # Errors
/// As [`by`], or [`Error::Invalid`] when the id is none.
pub fn by_reference(
    services: &Services,
    resource_type: &str,
    parameter: &str,
    target: &str,
    id: &str,
) -> Result<Search, Error> {
    let key = services.key(target, id)?;
    let criterion = ReferenceCriterion::Local(key.resource_type, key.id);
    by(
        services,
        resource_type,
        parameter,
        vec![Criterion::Reference(criterion)],
    )
}

/// All matches of a search, inside a transaction.
///
/// # Errors
/// When the store fails, and when there are more than `RESOURCES_MAX`.
pub async fn matches(
    transaction: &mut Transaction<'_>,
    search: &Search,
) -> Result<Vec<Value>, Error> {
    let mut search = search.clone();
    let mut found = Vec::new();
    loop {
        let page = transaction.search(&search).await?;
        for stored in &page.matches {
            found.extend(value(stored)?);
        }
        if page.next.is_none() {
            return Ok(found);
        }
        if found.len() >= RESOURCES_MAX {
            return Err(Error::Internal("a look-up has no end".into()));
        }
        search.after = page.next;
    }
}

/// A resource as it now is, inside a transaction; `None` when there is none or it was deleted.
///
/// # Errors
/// When the store fails.
pub async fn current(
    transaction: &mut Transaction<'_>,
    key: &ResourceKey,
) -> Result<Option<Value>, Error> {
    let found = transaction.read(std::slice::from_ref(key)).await?;
    found
        .into_iter()
        .flatten()
        .next()
        .map_or(Ok(None), |stored| value(&stored))
}

/// The text of a version as JSON; `None` for a deletion.
///
/// # Errors
/// [`Error::Internal`]: what is stored is always JSON.
pub fn value(stored: &Stored) -> Result<Option<Value>, Error> {
    let text = stored.text.as_deref();
    text.map(|text| serde_json::from_str(text).map_err(|error| Error::Internal(error.into())))
        .transpose()
}
