//! Purging: a resource, or its earlier versions, taken away for ever; for operators.
//!
//! Deleting is not enough where the law wants data gone: a deleted resource stays in its history.
//! What is purged leaves no version, no search value and no row of the change feed; the audit trail
//! says that and by whom it was purged, never what it was. No interaction of the standard does this;
//! `baton purge` always does, `[type]/[id]/$purge` where `rest.purge` allows it.

use std::sync::Arc;

use fhir_model::definition::Definitions;
use fhir_model::issue::{Issue, IssueType, OperationOutcome};
use fhir_model::key::ResourceKey;

use crate::access::Caller;
use crate::clock::Instant;
use crate::error::Error;
use crate::interaction::operations::On;
use crate::interaction::{conformance, invalid};
use crate::operation::call::{Answer, Call};
use crate::search::expression::ValueKind;
use crate::search::parameter;
use crate::search::value::ParameterId;
use crate::store::{self, AuditRow, Purge, Rows, Store, Stored, Transaction, Work};

/// What is to be purged.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which resource.
    pub key: ResourceKey,
    /// How much of it.
    pub what: Purge,
    /// Also when others refer to it.
    pub force: bool,
    /// On whose behalf.
    pub caller: Caller,
    /// When.
    pub at: Instant,
}

/// `[type]/[id]/$purge`.
///
/// # Errors
/// As [`purge`].
pub async fn by_rest(call: Call) -> Result<Answer, Error> {
    let On::Instance(key) = &call.on else {
        return Err(invalid(
            IssueType::Invalid,
            "a resource is named in the URL",
        ));
    };
    let services = &call.context.services;
    let request = Request {
        key: key.clone(),
        what: if call.input.boolean("history")?.unwrap_or(false) {
            Purge::History
        } else {
            Purge::Everything
        },
        force: call.input.boolean("force")?.unwrap_or(false),
        caller: call.context.caller.clone(),
        at: services.clock.now(),
    };
    let count = purge(&services.store, &services.definitions, request).await?;
    let text = format!("{key}: {count} versions are purged");
    let issue = Issue::information(IssueType::Informational, text);
    Ok(Answer::Resource(
        OperationOutcome::new(vec![issue]).to_json(),
    ))
}

/// Purges; returns how many versions that were.
///
/// # Errors
/// [`Error::NotFound`] when there is nothing; [`Error::Conflict`] when others refer to it, unless
/// it is forced, and for a conformance resource that is in force.
pub async fn purge(
    store: &Store,
    definitions: &Definitions,
    request: Request,
) -> Result<u64, Error> {
    let work = Purging {
        parameters: referring(definitions, &request.key),
        request,
    };
    store.transact(work).await
}

struct Purging {
    request: Request,
    /// The parameters by which others may refer to the resource.
    parameters: Vec<ParameterId>,
}

impl Work for Purging {
    type Output = u64;
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<u64, Error> {
        let key = &self.request.key;
        let found = transaction.read(std::slice::from_ref(key)).await?;
        let Some(stored) = found.into_iter().next().flatten() else {
            return Err(Error::NotFound(key.clone()));
        };
        if self.request.what == Purge::Everything {
            self.refuse(transaction, &stored).await?;
        }
        let count = transaction.purge(key, self.request.what).await?;
        transaction.append(Rows {
            audit: vec![AuditRow {
                at: self.request.at,
                caller: Arc::clone(&self.request.caller.name),
                interaction: "purge",
                key: key.clone(),
                version: stored.version,
            }],
            ..Rows::default()
        });
        Ok(count)
    }
}

impl Purging {
    /// Refuses what others still need.
    async fn refuse(
        &self,
        transaction: &mut Transaction<'_>,
        stored: &Stored,
    ) -> Result<(), Error> {
        let key = &self.request.key;
        if stored.is_live() && conformance::is_conformance(key) {
            return Err(Error::Conflict(format!(
                "definitions are made of {key}: delete it before it is purged"
            )));
        }
        if self.request.force {
            return Ok(());
        }
        let referring: Result<_, store::Error> = transaction.referring(key, &self.parameters).await;
        match referring? {
            None => Ok(()),
            Some(other) => Err(Error::Conflict(format!(
                "{other} refers to {key}, perhaps others do, too: purge by force leaves such \
                 references without a target"
            ))),
        }
    }
}

/// The reference parameters of all types that can point at a resource of this type.
fn referring(definitions: &Definitions, key: &ResourceKey) -> Vec<ParameterId> {
    let types = definitions.concrete_resource_types();
    let references = types.flat_map(|type_id| {
        let all = parameter::all(definitions, type_id);
        all.filter(|parameter| parameter.kind == ValueKind::Reference)
    });
    references
        .filter(|parameter| {
            let targets = parameter.targets(definitions);
            targets.is_empty() || targets.contains(&key.resource_type)
        })
        .map(|parameter| parameter.id)
        .collect()
}
