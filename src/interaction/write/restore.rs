//! Resources put back as they were: with the version and the instant that they say of themselves.
//!
//! For imports by an operator. Versions must follow one another, as they do in every history; what
//! is there already is left alone, so a history can be restored again and again.

use std::collections::HashMap;
use std::sync::Arc;

use fhir_model::issue::IssueType;
use fhir_model::key::{ResourceKey, VersionId};
use fhir_model::tree::Node;

use crate::clock::Instant;
use crate::error::Error;
use crate::interaction::write::step::Step;
use crate::interaction::write::{Change, Document, Outcome, Prepared, Written};
use crate::interaction::{Context, invalid};
use crate::store::{AuditRow, ChangeKind, NewVersion, Rows, Stored, Transaction};

/// Applies prepared updates and deletions inside a transaction, in their order, keeping `meta`.
///
/// # Errors
/// [`Error::Conflict`] when a version does not follow the one before, or is another than the one
/// that is there; [`Error::Invalid`] when a resource does not say which version it is.
pub async fn restore(
    transaction: &mut Transaction<'_>,
    context: &Context,
    changes: &[&Prepared],
    cause: &Arc<str>,
) -> Result<Vec<Written>, Error> {
    let keys: Vec<ResourceKey> = changes.iter().filter_map(|change| key(change)).collect();
    let found = transaction.read(&keys).await?.into_iter();
    let found = keys.into_iter().zip(found);
    let mut current: HashMap<ResourceKey, Stored> = found
        .filter_map(|(key, stored)| Some((key, stored?)))
        .collect();
    let mut rows = Rows::default();
    let mut written = Vec::with_capacity(changes.len());
    for prepared in changes {
        let Some(key) = key(prepared) else {
            return Err(Error::NotSupported(
                "only updates and deletions by id are restored".to_owned(),
            ));
        };
        let step = Step {
            context,
            prepared,
            key: &key,
            before: current.get(&key).cloned(),
            cause,
        };
        let result = one(step, &mut rows)?;
        if let Some(stored) = &result.stored {
            current.insert(key, stored.clone());
        }
        written.push(result);
    }
    transaction.append(rows);
    Ok(written)
}

fn key(prepared: &Prepared) -> Option<ResourceKey> {
    match &prepared.change {
        Change::Update { key, .. } | Change::Delete { key, .. } => Some(key.clone()),
        _ => None,
    }
}

fn one(step: Step<'_>, rows: &mut Rows) -> Result<Written, Error> {
    match &step.prepared.change {
        Change::Update { document, .. } => put(&step, document, rows),
        Change::Delete {
            expected: Some(expected),
            ..
        } if step
            .before
            .as_ref()
            .is_some_and(|it| it.version > *expected) =>
        {
            Ok(Written::new(Outcome::Absent, step.before))
        }
        _ => step.take(rows),
    }
}

fn put(step: &Step<'_>, document: &Document, rows: &mut Rows) -> Result<Written, Error> {
    let (version, at) = own_meta(document)?;
    let text: Arc<str> = document.stamped(step.key, version, at).into();
    if let Some(before) = &step.before {
        let is_older = version < before.version;
        if is_older || (version == before.version && before.text.as_deref() == Some(&*text)) {
            return Ok(Written::new(Outcome::Unchanged, Some(before.clone())));
        }
    }
    let before = step.before.as_ref();
    let next = before.map_or(VersionId::FIRST, |before| before.version.next());
    if version != next {
        let key = step.key;
        return Err(Error::Conflict(format!(
            "{key} would be at version {next} next; version {version} does not follow"
        )));
    }
    let is_live = before.is_some_and(Stored::is_live);
    let (kind, outcome, interaction) = if is_live {
        (ChangeKind::Update, Outcome::Updated, "update")
    } else {
        (ChangeKind::Create, Outcome::Created, "create")
    };
    rows.audit.push(AuditRow {
        at: step.context.services.clock.now(),
        caller: Arc::clone(&step.context.caller.name),
        interaction,
        key: step.key.clone(),
        version,
    });
    rows.versions.push(NewVersion {
        key: step.key.clone(),
        version,
        last_updated: at,
        kind,
        text: Some(Arc::clone(&text)),
        values: step.prepared.values.clone(),
        patients: step.prepared.patients.with(&step.key.id),
        cause: Arc::clone(step.cause),
    });
    let stored = Stored {
        row: before.map_or(0, |before| before.row),
        key: step.key.clone(),
        version,
        last_updated: at,
        kind,
        text: Some(text),
    };
    Ok(Written::new(outcome, Some(stored)))
}

/// The version and the instant that a resource says of itself.
fn own_meta(document: &Document) -> Result<(VersionId, Instant), Error> {
    let meta = document.node().get_str("meta");
    let text = |name: &str| meta?.get_str(name).and_then(Node::as_str);
    let version = text("versionId").and_then(|text| VersionId::parse(&text).ok());
    let at = text("lastUpdated").and_then(|text| text.parse::<Instant>().ok());
    version.zip(at).ok_or_else(|| {
        invalid(
            IssueType::Required,
            "a resource that keeps its meta needs versionId, a number, and lastUpdated",
        )
    })
}
