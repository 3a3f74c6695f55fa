//! One change meeting what is stored: version numbers, no-op updates, the rows that it writes.

use std::sync::Arc;

use fhir_model::key::{ResourceKey, VersionId};

use crate::clock::Instant;
use crate::error::Error;
use crate::interaction::Context;
use crate::interaction::write::{Change, Document, Outcome, Prepared, Written};
use crate::search::value::SearchValues;
use crate::store::{AuditRow, ChangeKind, NewVersion, Rows, Stored};

/// One change meeting what is stored.
pub(super) struct Step<'a> {
    pub(super) context: &'a Context,
    pub(super) prepared: &'a Prepared,
    pub(super) key: &'a ResourceKey,
    pub(super) before: Option<Stored>,
    pub(super) cause: &'a Arc<str>,
}

impl Step<'_> {
    /// Decides what becomes of the change, and adds its rows.
    pub(super) fn take(self, rows: &mut Rows) -> Result<Written, Error> {
        match &self.prepared.change {
            Change::Create { document, .. } => Ok(self.put(document, rows)),
            Change::Update {
                document, expected, ..
            }
            | Change::UpdateWhere {
                document, expected, ..
            } => {
                self.expect(*expected)?;
                Ok(self
                    .unchanged(document)
                    .unwrap_or_else(|| self.put(document, rows)))
            }
            Change::Delete { expected, .. } => {
                self.expect(*expected)?;
                Ok(self.delete(rows))
            }
            Change::DeleteWhere { .. } => Ok(self.delete(rows)),
        }
    }

    fn expect(&self, expected: Option<VersionId>) -> Result<(), Error> {
        let Some(expected) = expected else {
            return Ok(());
        };
        match &self.before {
            Some(stored) if stored.version == expected => Ok(()),
            Some(stored) => Err(Error::VersionConflict {
                key: self.key.clone(),
                expected,
                current: Some(stored.version),
            }),
            None => Err(Error::VersionConflict {
                key: self.key.clone(),
                expected,
                current: None,
            }),
        }
    }

    /// A no-op update writes nothing: the current version stands.
    fn unchanged(&self, document: &Document) -> Option<Written> {
        let before = self.before.as_ref()?;
        let text = before.text.as_deref()?;
        let same = document.stamped(self.key, before.version, before.last_updated) == text;
        same.then(|| Written::new(Outcome::Unchanged, Some(before.clone())))
    }

    fn put(&self, document: &Document, rows: &mut Rows) -> Written {
        let live = self.before.as_ref().is_some_and(Stored::is_live);
        let (kind, outcome, interaction) = if live {
            (ChangeKind::Update, Outcome::Updated, "update")
        } else if matches!(self.prepared.change, Change::Create { .. }) {
            (ChangeKind::Create, Outcome::Created, "create")
        } else {
            (ChangeKind::CreateByUpdate, Outcome::Created, "create")
        };
        let version = self.next_version();
        let now = self.context.services.clock.now();
        let text: Arc<str> = document.stamped(self.key, version, now).into();
        rows.versions.push(NewVersion {
            key: self.key.clone(),
            version,
            last_updated: now,
            kind,
            text: Some(Arc::clone(&text)),
            values: self.prepared.values.clone(),
            patients: self.prepared.patients.with(&self.key.id),
            cause: Arc::clone(self.cause),
        });
        self.record(interaction, version, now, rows);
        Written::new(outcome, Some(self.stored(version, now, kind, Some(text))))
    }

    fn delete(&self, rows: &mut Rows) -> Written {
        if !self.before.as_ref().is_some_and(Stored::is_live) {
            return Written::new(Outcome::Absent, self.before.clone());
        }
        let version = self.next_version();
        let now = self.context.services.clock.now();
        rows.versions.push(NewVersion {
            key: self.key.clone(),
            version,
            last_updated: now,
            kind: ChangeKind::Delete,
            text: None,
            values: SearchValues::default(),
            patients: Vec::new(),
            cause: Arc::clone(self.cause),
        });
        self.record("delete", version, now, rows);
        let stored = self.stored(version, now, ChangeKind::Delete, None);
        Written::new(Outcome::Deleted, Some(stored))
    }

    fn next_version(&self) -> VersionId {
        self.before
            .as_ref()
            .map_or(VersionId::FIRST, |stored| stored.version.next())
    }

    fn record(&self, interaction: &'static str, version: VersionId, at: Instant, rows: &mut Rows) {
        rows.audit.push(AuditRow {
            at,
            caller: Arc::clone(&self.context.caller.name),
            interaction,
            key: self.key.clone(),
            version,
        });
    }

    fn stored(
        &self,
        version: VersionId,
        last_updated: Instant,
        kind: ChangeKind,
        text: Option<Arc<str>>,
    ) -> Stored {
        let row = self.before.as_ref().map_or(0, |stored| stored.row);
        Stored {
            row,
            key: self.key.clone(),
            version,
            last_updated,
            kind,
            text,
        }
    }
}
