//! What a transaction has appended and not sent yet.
//!
//! Reads look here first. A work of a group that fails takes its rows out again.

use std::collections::{BTreeMap, HashMap};

use fhir_model::key::{ResourceKey, VersionId};

use crate::search::expression::{Filter, Search};
use crate::store::batch::{Batches, Table};
use crate::store::entries::Entries;
use crate::store::{AuditRow, MessageState, NewVersion, StoredMessage, Timer, VisitMessage};

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) row: Option<i64>,
    pub(super) version: NewVersion,
    pub(super) entries: Entries,
    pub(super) previous: Option<usize>,
}

#[derive(Debug)]
pub(super) enum TimerChange {
    Set(Timer),
    Cancel(String),
}

impl TimerChange {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Set(timer) => &timer.name,
            Self::Cancel(name) => name,
        }
    }
}

/// How a message of the inbox stands after one more attempt.
#[derive(Debug)]
pub(super) struct StateChange {
    pub(super) row: i64,
    pub(super) state: MessageState,
    pub(super) reason: String,
}

#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) versions: Vec<Pending>,
    pub(super) latest: HashMap<ResourceKey, usize>,
    pub(super) audit: Vec<AuditRow>,
    pub(super) timers: Vec<TimerChange>,
    pub(super) places: Vec<VisitMessage>,
    pub(super) states: Vec<StateChange>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) versions: usize,
    pub(super) audit: usize,
    pub(super) timers: usize,
    pub(super) places: usize,
    pub(super) states: usize,
}

impl Buffer {
    pub(super) fn mark(&self) -> Mark {
        Mark {
            versions: self.versions.len(),
            audit: self.audit.len(),
            timers: self.timers.len(),
            places: self.places.len(),
            states: self.states.len(),
        }
    }

    pub(super) fn push(&mut self, row: Option<i64>, version: NewVersion, entries: Entries) {
        let previous = self.latest.insert(version.key.clone(), self.versions.len());
        self.versions.push(Pending {
            row,
            version,
            entries,
            previous,
        });
    }

    pub(super) fn latest(&self, key: &ResourceKey) -> Option<&Pending> {
        self.latest
            .get(key)
            .and_then(|index| self.versions.get(*index))
    }

    pub(super) fn latest_timer(&self, name: &str) -> Option<&TimerChange> {
        self.timers
            .iter()
            .rev()
            .find(|change| change.name() == name)
    }

    /// A message as the buffer says that it stands.
    pub(super) fn with_state(&self, mut stored: StoredMessage) -> StoredMessage {
        for change in self.states.iter().filter(|change| change.row == stored.row) {
            stored.message.state = change.state;
            stored.message.reason.clone_from(&change.reason);
            stored.attempts += 1;
        }
        stored
    }

    /// Whether what is buffered may change what a search finds. Most conditional creates find that
    /// it does not, and so leave their neighbours' rows to be written together.
    pub(super) fn may_change(&self, search: &Search) -> bool {
        let includes = !search.includes.is_empty() || !search.revincludes.is_empty();
        let reaches_further = includes || search.filters.iter().any(Filter::looks_further);
        let is_concerned = |pending: &Pending| {
            let is_new = pending.version.version == VersionId::FIRST;
            let is_of_type = search.types.contains(&pending.version.key.resource_type);
            let may_match = !is_new || matches_all(&pending.entries, &search.filters);
            reaches_further || (is_of_type && may_match)
        };
        self.versions.iter().any(is_concerned)
    }

    pub(super) fn truncate(&mut self, mark: Mark) {
        while self.versions.len() > mark.versions {
            let Some(pending) = self.versions.pop() else {
                break;
            };
            match pending.previous {
                Some(previous) => self.latest.insert(pending.version.key, previous),
                None => self.latest.remove(&pending.version.key),
            };
        }
        self.audit.truncate(mark.audit);
        self.timers.truncate(mark.timers);
        self.places.truncate(mark.places);
        self.states.truncate(mark.states);
    }

    /// Takes the rows before `mark` out; those after it stay.
    pub(super) fn take_before(&mut self, mark: Mark) -> Self {
        let after = Self {
            versions: self.versions.split_off(mark.versions),
            latest: HashMap::new(),
            audit: self.audit.split_off(mark.audit),
            timers: self.timers.split_off(mark.timers),
            places: self.places.split_off(mark.places),
            states: self.states.split_off(mark.states),
        };
        let before = std::mem::replace(self, after);
        for (index, pending) in self.versions.iter_mut().enumerate() {
            pending.previous = self.latest.insert(pending.version.key.clone(), index);
        }
        before
    }
}

fn matches_all(entries: &Entries, filters: &[Filter]) -> bool {
    filters.iter().all(|filter| entries.may_match(filter))
}

/// Only the last word on each timer is written.
pub(super) fn add_timers(changes: Vec<TimerChange>, batches: &mut Batches) {
    let last: BTreeMap<String, TimerChange> = changes
        .into_iter()
        .map(|change| (change.name().to_owned(), change))
        .collect();
    for (name, change) in last {
        match change {
            TimerChange::Cancel(_) => batches.timers_cancelled.push(name),
            TimerChange::Set(timer) => batches.insert(
                Table::Timer,
                vec![
                    name.into(),
                    timer.due.timestamp_micros().into(),
                    timer.subject.resource_type.as_str().into(),
                    timer.subject.id.as_str().into(),
                    timer.kind.into(),
                ],
            ),
        }
    }
}

/// Each message once: its last state, after as many attempts as there were changes.
pub(super) fn add_states(changes: Vec<StateChange>, batches: &mut Batches) {
    let mut last: BTreeMap<i64, (i64, StateChange)> = BTreeMap::new();
    for change in changes {
        let attempts = last.get(&change.row).map_or(0, |(attempts, _)| *attempts);
        last.insert(change.row, (attempts + 1, change));
    }
    for (row, (attempts, change)) in last {
        batches.message_states.push(vec![
            row.into(),
            change.state.code().into(),
            attempts.into(),
            change.reason.into(),
        ]);
    }
}
