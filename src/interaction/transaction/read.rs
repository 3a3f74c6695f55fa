//! `GET` and `HEAD` in a batch or transaction: read, vread, search, history, capabilities.
//!
//! A batch reads from the store, a transaction from within itself; what is read is the same.

use std::sync::atomic::{AtomicUsize, Ordering};

use fhir_model::issue::IssueType;
use fhir_model::key::{ResourceKey, VersionId};

use crate::error::Error;
use crate::interaction::history::{self, Asked};
use crate::interaction::search::Scope;
use crate::interaction::subset::Subset;
use crate::interaction::transaction::answer::Answer;
use crate::interaction::transaction::request::{Read, Request, Verb};
use crate::interaction::write::version_of;
use crate::interaction::{Services, capabilities, invalid, read, search};
use crate::search::expression::Search;
use crate::search::query::Handling;
use crate::store::{
    HistoryPage, HistoryQuery, HistoryScope, SearchPage, Store, Stored, Transaction,
};

/// Bytes of all that the reads of one Bundle are answered with.
const READ_BYTES_MAX: usize = 64 << 20;

/// How much the reads of a Bundle have been answered with.
#[derive(Debug, Default)]
pub(super) struct Budget(AtomicUsize);

impl Budget {
    fn take(&self, bytes: usize) -> Result<(), Error> {
        let taken = self.0.fetch_add(bytes, Ordering::Relaxed);
        if taken.saturating_add(bytes) <= READ_BYTES_MAX {
            return Ok(());
        }
        Err(Error::TooLarge(format!(
            "what the Bundle reads is more than {READ_BYTES_MAX} bytes; ask for less at once"
        )))
    }
}

/// Where is read.
pub(super) enum Source<'s, 't> {
    Store(&'s Store),
    Transaction(&'s mut Transaction<'t>),
}

impl Source<'_, '_> {
    async fn read(&mut self, key: &ResourceKey) -> Result<Option<Stored>, Error> {
        Ok(match self {
            Self::Store(store) => store.read(key).await?,
            Self::Transaction(transaction) => {
                let found = transaction.read(std::slice::from_ref(key)).await?;
                found.into_iter().next().flatten()
            }
        })
    }

    async fn vread(
        &mut self,
        key: &ResourceKey,
        version: VersionId,
    ) -> Result<Option<Stored>, Error> {
        Ok(match self {
            Self::Store(store) => store.vread(key, version).await?,
            Self::Transaction(transaction) => transaction.vread(key, version).await?,
        })
    }

    pub(super) async fn search(&mut self, search: &Search) -> Result<SearchPage, Error> {
        Ok(match self {
            Self::Store(store) => store.search(search).await?,
            Self::Transaction(transaction) => transaction.search(search).await?,
        })
    }

    async fn history(&mut self, query: &HistoryQuery) -> Result<HistoryPage, Error> {
        Ok(match self {
            Self::Store(store) => store.history(query).await?,
            Self::Transaction(transaction) => transaction.history(query).await?,
        })
    }
}

/// What a read is answered with.
///
/// # Errors
/// What refuses it, with its place.
pub(super) async fn answer(
    services: &Services,
    source: &mut Source<'_, '_>,
    request: &Request,
    handling: Handling,
    budget: &Budget,
) -> Result<Answer, Error> {
    let Verb::Read(read) = &request.verb else {
        return Err(Error::Internal("an entry that writes is no read".into()));
    };
    let found = found(services, source, read, handling).await;
    let answer = found.and_then(|answer| {
        let answer = part(services, read, answer)?;
        budget.take(answer.size())?;
        Ok(answer)
    });
    let answer = answer.map_err(|error| error.of_entry(request.index))?;
    Ok(if read.is_head { answer.head() } else { answer })
}

/// The part of an answer that `_summary` or `_elements` asks for.
fn part(services: &Services, read: &Read, answer: Answer) -> Result<Answer, Error> {
    let query = read.url.split_once('?').map_or("", |(_, query)| query);
    let Some(subset) = Subset::of(query)? else {
        return Ok(answer);
    };
    let cut = |text: &str| subset.cut(&services.definitions, text.as_bytes());
    Ok(match answer {
        Answer::Found(text) => Answer::Found(cut(&text)?),
        Answer::Read(stored) => Answer::Read(Stored {
            text: stored.text.as_deref().map(cut).transpose()?.map(Into::into),
            ..stored
        }),
        other => other,
    })
}

async fn found(
    services: &Services,
    source: &mut Source<'_, '_>,
    read: &Read,
    handling: Handling,
) -> Result<Answer, Error> {
    let (path, query) = read.url.split_once('?').unwrap_or((&read.url, ""));
    let segments: Vec<&str> = path.split('/').collect();
    match segments.as_slice() {
        ["metadata"] => Ok(Answer::Found(capabilities::capabilities(services))),
        ["_history"] => history_of(services, source, HistoryScope::System, query).await,
        [resource_type, "_history"] => {
            let scope = HistoryScope::Type(services.resource_type(resource_type)?);
            history_of(services, source, scope, query).await
        }
        [resource_type, id, "_history"] => {
            let scope = HistoryScope::Instance(services.key(resource_type, id)?);
            history_of(services, source, scope, query).await
        }
        [resource_type, id, "_history", version] => {
            let key = services.key(resource_type, id)?;
            let version = VersionId::parse(version)
                .map_err(|error| invalid(IssueType::Value, error.to_string()))?;
            let stored = source.vread(&key, version).await?;
            let stored = stored.ok_or(Error::VersionNotFound(key, version))?;
            read::present(stored).map(Answer::Read)
        }
        [""] => search_in(services, source, &Scope::ALL, query, handling).await,
        [resource_type] => {
            let scope = Scope::of_type(services.resource_type(resource_type)?);
            search_in(services, source, &scope, query, handling).await
        }
        [resource_type, id] => {
            let key = services.key(resource_type, id)?;
            let stored = source.read(&key).await?;
            let stored = read::present(stored.ok_or(Error::NotFound(key))?)?;
            Ok(if is_known(read, &stored) {
                Answer::NotModified(stored)
            } else {
                Answer::Read(stored)
            })
        }
        [compartment, id, member] => {
            let scope = Scope::within(services, compartment, id, member)?;
            search_in(services, source, &scope, query, handling).await
        }
        _ => Err(Error::NotSupported(format!(
            "GET {path} is not supported in a Bundle"
        ))),
    }
}

/// Whether the client has this version already.
fn is_known(read: &Read, stored: &Stored) -> bool {
    match (&read.known, read.known_since) {
        (Some(tags), _) => tags
            .split(',')
            .any(|tag| tag.trim() == "*" || version_of(tag) == Some(stored.version)),
        (None, Some(since)) => stored.last_updated <= since,
        (None, None) => false,
    }
}

async fn search_in(
    services: &Services,
    source: &mut Source<'_, '_>,
    scope: &Scope,
    query: &str,
    handling: Handling,
) -> Result<Answer, Error> {
    let query = search::parse_within(services, scope, query, handling)?;
    let page = source.search(&query.search).await?;
    let bundle = search::bundle(services, &scope.path(), &query, &page);
    Ok(Answer::Found(bundle))
}

async fn history_of(
    services: &Services,
    source: &mut Source<'_, '_>,
    scope: HistoryScope,
    query: &str,
) -> Result<Answer, Error> {
    let asked = Asked::parse(services, scope, query)?;
    let page = source.history(&asked.query).await?;
    if let HistoryScope::Instance(key) = &asked.query.scope
        && page.versions.is_empty()
        && source.read(key).await?.is_none()
    {
        return Err(Error::NotFound(key.clone()));
    }
    Ok(Answer::Found(history::bundle(services, &asked, &page)))
}
