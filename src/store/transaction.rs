//! The transaction that a [`Work`](crate::store::Work) runs in, the same for both engines.
//!
//! What a work appends is buffered: reads look into the buffer first, a search sends it, and
//! whatever is left goes out before the commit. On SQLite one transaction holds a group of works;
//! a work that only appends needs no savepoint, because forgetting its rows is enough.

mod buffer;
mod engine;
mod fence;
mod inbox;
mod job;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use fhir_model::key::{LogicalId, ResourceKey, VersionId};

use crate::search::expression::Search;
use crate::search::value::{ParameterId, SearchValues};
use crate::store::batch::{Batches, Table};
use crate::store::entries::Entries;
use crate::store::keys::Keys;
use crate::store::process::Fence;
use crate::store::shape;
use crate::store::sql::{Bind, Connection, Dialect, Row, Sql};
use crate::store::text::Texts;
use crate::store::transaction::buffer::{
    Buffer, Mark, Pending, TimerChange, add_states, add_timers,
};
use crate::store::{
    AuditRow, Claim, Error, HistoryPage, HistoryQuery, NewVersion, Purge, Rows,
    SEQUENCES_PER_TRANSACTION_BITS, SearchPage, Span, Stored, check, compartment, find, read,
};

/// A transaction: reads, appends, and is kept as a whole or not at all.
#[derive(Debug)]
pub struct Transaction<'t> {
    connection: Connection<'t>,
    keys: &'t Keys,
    texts: &'t Texts,
    /// PostgreSQL: what is added to a transaction id to make a sequence.
    epoch: i64,
    buffer: Buffer,
    /// Where the rows of the present work start in the buffer.
    mark: Mark,
    savepoint: Savepoint,
    known: HashMap<ResourceKey, Option<Base>>,
    claims: Vec<String>,
    ordinal: i64,
    has_changes: bool,
    /// What the present work made sure of.
    fence: Option<Arc<Fence>>,
    /// The versions that it appended, where it is a step of a job.
    made: Vec<(ResourceKey, VersionId)>,
    /// The present work met this error; it cannot be kept.
    failure: Option<Error>,
    /// Something outside the present work failed; the whole transaction cannot be kept.
    is_broken: bool,
}

/// The one savepoint that SQLite has open at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Savepoint {
    None,
    /// That of an earlier work, to be released before the next is made.
    Earlier,
    /// That of the present work.
    Present,
}

/// The row of `resource` before what is in the buffer.
#[derive(Debug, Clone)]
struct Base {
    stored: Stored,
    entries: String,
}

impl<'t> Transaction<'t> {
    pub(crate) fn new(
        connection: Connection<'t>,
        keys: &'t Keys,
        texts: &'t Texts,
        epoch: i64,
    ) -> Self {
        Self {
            connection,
            keys,
            texts,
            epoch,
            buffer: Buffer::default(),
            mark: Mark::default(),
            savepoint: Savepoint::None,
            known: HashMap::new(),
            claims: Vec::new(),
            ordinal: 0,
            has_changes: false,
            fence: None,
            made: Vec::new(),
            failure: None,
            is_broken: false,
        }
    }

    /// The current versions of these resources, locked until the end, with what was appended.
    pub async fn read(&mut self, keys: &[ResourceKey]) -> Result<Vec<Option<Stored>>, Error> {
        let unknown = keys.iter().filter(|key| {
            !self.known.contains_key(key)
                && self
                    .buffer
                    .latest(key)
                    .is_none_or(|pending| pending.row.is_none())
        });
        let unknown = unknown.cloned().collect();
        self.load(unknown).await?;
        Ok(keys.iter().map(|key| self.current(key)).collect())
    }

    fn current(&self, key: &ResourceKey) -> Option<Stored> {
        let base = self.known.get(key).and_then(Option::as_ref);
        let Some(pending) = self.buffer.latest(key) else {
            return base.map(|base| base.stored.clone());
        };
        let row = pending.row.or_else(|| base.map(|base| base.stored.row))?;
        Some(stored(row, &pending.version))
    }

    /// One version of a resource, with what was appended.
    pub async fn vread(
        &mut self,
        key: &ResourceKey,
        version: VersionId,
    ) -> Result<Option<Stored>, Error> {
        self.expose().await?;
        let found = read::vread(&mut self.connection, key, version).await;
        self.noted(found)
    }

    /// A page of a history, with what was appended.
    pub async fn history(&mut self, query: &HistoryQuery) -> Result<HistoryPage, Error> {
        self.expose().await?;
        let found = read::history(&mut self.connection, query).await;
        self.noted(found)
    }

    /// Reads and locks the rows of these resources.
    async fn load(&mut self, mut keys: Vec<ResourceKey>) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        keys.sort_unstable();
        keys.dedup();
        let sql = read::for_update(self.connection.dialect(), &keys);
        let rows = self.fetch(sql).await?;
        for key in keys {
            self.known.insert(key, None);
        }
        for row in rows {
            let stored = self.noted(read::stored(&row))?;
            let entries = row.text(read::STORED_WIDTH)?.to_owned();
            self.known
                .insert(stored.key.clone(), Some(Base { stored, entries }));
        }
        Ok(())
    }

    /// Searches, with what was appended.
    pub async fn search(&mut self, search: &Search) -> Result<SearchPage, Error> {
        if self.buffer.may_change(search) {
            self.expose().await?;
        }
        let found = find::search(&mut self.connection, search, None).await;
        self.noted(found)
    }

    /// Takes claims: whoever has one goes on, others wait here for the end of that transaction.
    pub async fn claim(&mut self, claims: &[Claim]) -> Result<(), Error> {
        if self.connection.dialect() == Dialect::Sqlite || claims.is_empty() {
            return Ok(()); // the one writer runs one work after the other
        }
        // A digest, because a key of an index has a largest size and a condition may be of any.
        let mut names: Vec<String> = claims.iter().map(Claim::digest).collect();
        names.sort_unstable();
        names.dedup();
        let column = names.iter().map(|name| Some(Arc::from(name.as_str())));
        let column = column.collect();
        self.claims.extend(names);
        let text = "INSERT INTO claim (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING";
        self.write(Sql::fixed(Dialect::Postgres, text, [Bind::Texts(column)]))
            .await
    }

    /// Adds rows to write; they are seen by later reads and searches of this transaction.
    pub fn append(&mut self, rows: Rows) {
        let is_step = matches!(self.fence.as_deref(), Some(Fence::Job(_, Some(_))));
        for mut version in rows.versions {
            if is_step {
                self.made.push((version.key.clone(), version.version));
            }
            let entries = Entries::new(&std::mem::take(&mut version.values), &version.patients);
            let row = match self.buffer.latest(&version.key) {
                Some(pending) => pending.row,
                None if version.version == VersionId::FIRST => {
                    Some(self.next_key(version.last_updated))
                }
                None => None,
            };
            self.buffer.push(row, version, entries);
        }
        self.buffer.audit.extend(rows.audit);
        self.buffer
            .timers
            .extend(rows.timers_cancelled.into_iter().map(TimerChange::Cancel));
        self.buffer
            .timers
            .extend(rows.timers.into_iter().map(TimerChange::Set));
    }

    /// Adds a dictionary for texts; one that is there stays.
    pub(crate) async fn add_dictionary(
        &mut self,
        id: u32,
        lesson: u32,
        bytes: Vec<u8>,
    ) -> Result<(), Error> {
        let text = "INSERT INTO text_dictionary (id, lesson, bytes) VALUES ($1, $2, $3) \
                    ON CONFLICT (id) DO NOTHING";
        let binds = [
            i64::from(id).into(),
            i64::from(lesson).into(),
            Bind::Bytes(bytes),
        ];
        self.write(Sql::fixed(self.connection.dialect(), text, binds))
            .await
    }

    /// Makes a resource be found by these values; its version stays. One that has another version
    /// by now is left alone, as whoever wrote that has found its values.
    pub async fn reindex(
        &mut self,
        key: &ResourceKey,
        version: VersionId,
        values: &SearchValues,
        patients: &[LogicalId],
    ) -> Result<(), Error> {
        self.expose().await?;
        if !self.known.contains_key(key) {
            self.load(vec![key.clone()]).await?;
        }
        let Some(Some(base)) = self.known.get_mut(key) else {
            return Ok(());
        };
        let entries = Entries::new(values, patients);
        let json = entries.to_json()?;
        let old = Entries::from_json(&base.entries)?;
        if base.stored.version != version || entries == old {
            return Ok(());
        }
        let row = base.stored.row;
        base.entries.clone_from(&json);
        let mut batches = Batches::default();
        let new = base.stored.text.is_some().then_some(&entries);
        shape::note(&mut batches, &key.resource_type, row, Some(&old), new);
        entries.replace(old, row, &mut batches);
        self.send_batches(batches).await?;
        self.set_entries(row, json).await
    }

    /// What is wrong with the rows that resources are found by; see [`check::compare`].
    pub(crate) async fn compare(&mut self, range: &Span) -> Result<check::Comparison, Error> {
        self.expose().await?;
        let found = check::compare(&mut self.connection, range).await;
        self.noted(found)
    }

    /// Sends rows that the buffer does not hold.
    pub(crate) async fn send_batches(&mut self, batches: Batches) -> Result<(), Error> {
        let (savepoint, before) = self.savepoint();
        let sent = batches.send(&mut self.connection, self.epoch, before).await;
        self.opened(savepoint, &sent);
        self.noted(sent).map(|_| ())
    }

    /// Puts another document of search values beside a resource.
    pub(crate) async fn set_entries(&mut self, row: i64, json: String) -> Result<(), Error> {
        let text = match self.connection.dialect() {
            Dialect::Sqlite => "UPDATE resource SET entries = $2 WHERE row_key = $1",
            Dialect::Postgres => "UPDATE resource SET entries = $2::jsonb WHERE row_key = $1",
        };
        self.write(Sql::fixed(
            self.connection.dialect(),
            text,
            [row.into(), json.into()],
        ))
        .await
    }

    /// Whether a resource refers to this one by one of these parameters, other than itself.
    pub async fn referring(
        &mut self,
        target: &ResourceKey,
        parameters: &[ParameterId],
    ) -> Result<Option<ResourceKey>, Error> {
        self.expose().await?;
        let mut sql = Sql::new(self.connection.dialect());
        sql.push("SELECT ").push(read::STORED_COLUMNS);
        sql.push(" FROM resource r WHERE r.row_key IN (SELECT s.row_key ");
        compartment::push_referring(&mut sql, target, parameters);
        sql.push(") AND NOT (r.resource_type = ");
        sql.bind(target.resource_type.as_str());
        sql.push(" AND r.id = ").bind(target.id.as_str());
        sql.push(") LIMIT 1");
        let rows = self.fetch(sql).await?;
        let found = rows.first().map(read::stored).transpose()?;
        Ok(found.map(|stored| stored.key))
    }

    /// Takes versions of a resource away for ever, with all that is found by them and their rows of
    /// the feed. Returns how many; audit rows stay.
    pub async fn purge(&mut self, key: &ResourceKey, what: Purge) -> Result<u64, Error> {
        self.expose().await?;
        if !self.known.contains_key(key) {
            self.load(vec![key.clone()]).await?;
        }
        let Some(Some(base)) = self.known.get(key) else {
            return Ok(0);
        };
        let row = base.stored.row;
        let old = Entries::from_json(&base.entries)?;
        let count = self.count_versions(row).await?;
        for text in PURGE_HISTORY {
            self.purge_by(text, row).await?;
        }
        if what == Purge::History {
            return Ok(count);
        }
        let mut batches = Batches::default();
        shape::note(&mut batches, &key.resource_type, row, Some(&old), None);
        Entries::default().replace(old, row, &mut batches);
        let (savepoint, before) = self.savepoint();
        let sent = batches.send(&mut self.connection, self.epoch, before).await;
        self.opened(savepoint, &sent);
        self.noted(sent)?;
        for text in PURGE_CURRENT {
            self.purge_by(text, row).await?;
        }
        self.known.insert(key.clone(), None);
        Ok(count + 1)
    }

    async fn count_versions(&mut self, row: i64) -> Result<u64, Error> {
        let text = "SELECT count(*) FROM resource_version WHERE row_key = $1";
        let sql = Sql::fixed(self.connection.dialect(), text, [row.into()]);
        let rows = self.fetch(sql).await?;
        let count = rows.first().map_or(Ok(0), |row| row.integer(0))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn purge_by(&mut self, text: &str, row: i64) -> Result<(), Error> {
        let sql = Sql::fixed(self.connection.dialect(), text, [row.into()]);
        self.write(sql).await
    }

    async fn fetch(&mut self, sql: Sql) -> Result<Vec<Row>, Error> {
        let result = self.connection.fetch(sql).await;
        self.noted(result)
    }

    /// Runs a statement that the buffer does not hold back.
    async fn write(&mut self, sql: Sql) -> Result<(), Error> {
        self.settle_earlier().await?;
        let (savepoint, text) = self.savepoint();
        let result = self.connection.execute(sql.after(text)).await;
        self.opened(savepoint, &result);
        self.noted(result)
    }

    /// Runs a statement that the buffer does not hold back, and gives the rows that it returns.
    async fn write_fetching(&mut self, sql: Sql) -> Result<Vec<Row>, Error> {
        self.settle_earlier().await?;
        let (savepoint, text) = self.savepoint();
        let result = self.connection.fetch(sql.after(text)).await;
        self.opened(savepoint, &result);
        self.noted(result)
    }

    /// Remembers an error, so that a work that overlooks it is not kept.
    fn noted<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.failure = Some(error.again());
        }
        result
    }

    /// Sends what the buffer holds, so that statements see it.
    async fn expose(&mut self) -> Result<(), Error> {
        self.settle_earlier().await?;
        if self.buffer.mark() == Mark::default() {
            return Ok(());
        }
        let (savepoint, text) = self.savepoint();
        let own = std::mem::take(&mut self.buffer);
        let sent = self.send(own, text).await;
        self.opened(savepoint, &sent);
        self.noted(sent)
    }

    /// Sends the rows of earlier works of the group. A failure is none of the present work.
    async fn settle_earlier(&mut self) -> Result<(), Error> {
        if self.mark == Mark::default() {
            return Ok(());
        }
        let earlier = self.buffer.take_before(std::mem::take(&mut self.mark));
        let sent = self.send(earlier, "").await;
        self.is_broken |= sent.is_err();
        self.noted(sent)
    }

    /// Whether the present work needs a savepoint before its first statement, and the text that makes
    /// it: sent with that statement, because each trip to the driver's thread costs.
    fn savepoint(&self) -> (bool, &'static str) {
        match (self.connection.dialect(), self.savepoint) {
            (Dialect::Postgres, _) | (_, Savepoint::Present) => (false, ""),
            (Dialect::Sqlite, Savepoint::None) => (true, "SAVEPOINT work; "),
            (Dialect::Sqlite, Savepoint::Earlier) => (true, "RELEASE work; SAVEPOINT work; "),
        }
    }

    /// Notes that a statement went out behind the text of [`Transaction::savepoint`]. When it fails
    /// nobody knows how far it came, and each work of the group is tried alone.
    fn opened<T>(&mut self, savepoint: bool, result: &Result<T, Error>) {
        if savepoint {
            self.is_broken |= result.is_err();
            self.savepoint = Savepoint::Present;
        }
    }

    async fn command(&mut self, text: &'static str) -> Result<(), Error> {
        self.connection
            .execute(Sql::fixed(self.connection.dialect(), text, []))
            .await
    }

    /// Starts the next work of a group.
    pub(crate) fn start_work(&mut self) {
        self.mark = self.buffer.mark();
        self.failure = None;
        self.fence = None;
        self.made.clear();
    }

    /// Ends a work of a group: keeps what it did, or undoes it.
    pub(crate) async fn end_work(&mut self, keep: bool) -> Result<(), Error> {
        if !keep {
            self.buffer.truncate(self.mark);
        }
        if self.savepoint != Savepoint::Present {
            return Ok(());
        }
        self.savepoint = Savepoint::Earlier;
        if keep {
            return Ok(());
        }
        self.known.clear();
        self.command("ROLLBACK TO work").await
    }

    /// The error that the present work must not overlook.
    pub(crate) fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Whether the present work met no error.
    pub(crate) fn may_be_kept(&self) -> bool {
        self.failure.is_none()
    }

    /// Whether the transaction as a whole cannot be kept.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether a change row was written.
    pub(crate) fn has_changes(&self) -> bool {
        self.has_changes
    }

    /// Sends what is left, before the commit.
    pub(crate) async fn finish(&mut self) -> Result<(), Error> {
        let rest = std::mem::take(&mut self.buffer);
        let sent = self.send(rest, "").await;
        self.noted(sent)?;
        if self.claims.is_empty() {
            return Ok(());
        }
        let names = self
            .claims
            .drain(..)
            .map(|name| Some(name.into()))
            .collect();
        let text = "DELETE FROM claim WHERE name = ANY($1)";
        let released = self
            .connection
            .execute(Sql::fixed(Dialect::Postgres, text, [Bind::Texts(names)]))
            .await;
        self.noted(released)
    }

    pub(super) fn next_key(&self, instant: DateTime<Utc>) -> i64 {
        match self.connection.dialect() {
            Dialect::Sqlite => self.keys.count(),
            Dialect::Postgres => self.keys.next(instant),
        }
    }

    fn next_sequence(&mut self) -> Result<i64, Error> {
        if self.connection.dialect() == Dialect::Sqlite {
            return Ok(self.keys.next_sequence());
        }
        self.ordinal += 1;
        if self.ordinal >> SEQUENCES_PER_TRANSACTION_BITS > 0 {
            return Err(Error::TooLarge);
        }
        Ok(self.ordinal)
    }

    /// Sends rows, behind a text of statements that bind nothing.
    async fn send(&mut self, buffer: Buffer, before: &'static str) -> Result<(), Error> {
        let unknown = buffer.versions.iter().filter(|pending| {
            pending.row.is_none() && !self.known.contains_key(&pending.version.key)
        });
        let unknown = unknown.map(|pending| pending.version.key.clone()).collect();
        self.load(unknown).await?;
        let mut batches = Batches::default();
        self.add_versions(buffer.versions, &mut batches)?;
        for audit in buffer.audit {
            let sequence = self.next_sequence()?;
            batches.insert(Table::Audit, audit_row(sequence, audit)?);
        }
        add_timers(buffer.timers, &mut batches);
        for place in buffer.places {
            batches.insert(
                Table::VisitMessage,
                vec![place.visit.into(), place.row.into()],
            );
        }
        add_states(buffer.states, &mut batches);
        let superseded_later = batches
            .send(&mut self.connection, self.epoch, before)
            .await?;
        if superseded_later {
            Err(Error::Conflict)
        } else {
            Ok(())
        }
    }

    /// Turns versions into rows, resource by resource.
    fn add_versions(&mut self, versions: Vec<Pending>, batches: &mut Batches) -> Result<(), Error> {
        let mut places: HashMap<ResourceKey, usize> = HashMap::with_capacity(versions.len());
        let mut chains: Vec<Vec<(i64, Pending)>> = Vec::with_capacity(versions.len());
        for pending in versions {
            let sequence = self.next_sequence()?;
            let place = *places
                .entry(pending.version.key.clone())
                .or_insert(chains.len());
            match chains.get_mut(place) {
                Some(chain) => chain.push((sequence, pending)),
                None => chains.push(vec![(sequence, pending)]),
            }
        }
        chains
            .into_iter()
            .try_for_each(|chain| self.add_chain(chain, batches))
    }

    /// The last version of a resource becomes the current one, those before it go to
    /// `resource_version` at once.
    fn add_chain(
        &mut self,
        chain: Vec<(i64, Pending)>,
        batches: &mut Batches,
    ) -> Result<(), Error> {
        let Some((_, first)) = chain.first() else {
            return Ok(());
        };
        let base = self.known.remove(&first.version.key).flatten();
        let row = base
            .as_ref()
            .map(|base| base.stored.row)
            .or(first.row)
            .ok_or(Error::Conflict)?;
        let mut before = base.as_ref().map_or(0, |base| base.stored.version.number());
        let mut old = base
            .as_ref()
            .map(|base| Entries::from_json(&base.entries))
            .transpose()?;
        let table = if base.is_some() {
            batches.superseded.push(row);
            Table::Resource
        } else {
            Table::NewResource
        };
        self.has_changes = true;
        let last = chain.len().saturating_sub(1);
        for (place, (sequence, pending)) in chain.into_iter().enumerate() {
            let Pending {
                version, entries, ..
            } = pending;
            if version.version.number() != before + 1 {
                return Err(Error::Conflict);
            }
            before = version.version.number();
            batches.insert(Table::Change, change_row(sequence, row, &version)?);
            if place < last {
                batches.insert(
                    Table::ResourceVersion,
                    version_row(sequence, row, &version, self.texts)?,
                );
                continue;
            }
            let json = entries.to_json()?;
            let new = version.text.is_some().then_some(&entries);
            shape::note(batches, &version.key.resource_type, row, old.as_ref(), new);
            entries.replace(old.take().unwrap_or_default(), row, batches);
            let text = self.texts.keep(version.text.as_ref())?;
            batches.insert(table, resource_row(sequence, row, &version, &json, text)?);
            let stored = stored(row, &version);
            self.known.insert(
                version.key,
                Some(Base {
                    stored,
                    entries: json,
                }),
            );
        }
        Ok(())
    }
}

/// Takes the earlier versions of a resource away, by its key.
const PURGE_HISTORY: &[&str] = &[
    "DELETE FROM change WHERE sequence IN \
     (SELECT sequence FROM resource_version WHERE row_key = $1)",
    "DELETE FROM resource_version WHERE row_key = $1",
];

/// Takes the current version of a resource away, once nothing else of it is left.
const PURGE_CURRENT: &[&str] = &[
    "DELETE FROM change WHERE sequence IN (SELECT sequence FROM resource WHERE row_key = $1)",
    "DELETE FROM timer WHERE (subject_type, subject_id) IN \
     (SELECT resource_type, id FROM resource WHERE row_key = $1)",
    "DELETE FROM resource WHERE row_key = $1",
];

fn number(version: VersionId) -> Result<Bind, Error> {
    i64::try_from(version.number())
        .map(Bind::Integer)
        .map_err(|_| Error::TooLarge)
}

fn resource_row(
    sequence: i64,
    row: i64,
    version: &NewVersion,
    entries: &str,
    text: Bind,
) -> Result<Vec<Bind>, Error> {
    Ok(vec![
        row.into(),
        version.key.resource_type.as_str().into(),
        version.key.id.as_str().into(),
        number(version.version)?,
        version.last_updated.timestamp_micros().into(),
        version.kind.code().into(),
        sequence.into(),
        entries.into(),
        text,
    ])
}

fn version_row(
    sequence: i64,
    row: i64,
    version: &NewVersion,
    texts: &Texts,
) -> Result<Vec<Bind>, Error> {
    Ok(vec![
        sequence.into(),
        row.into(),
        number(version.version)?,
        version.last_updated.timestamp_micros().into(),
        version.kind.code().into(),
        texts.keep(version.text.as_ref())?,
    ])
}

fn change_row(sequence: i64, row: i64, version: &NewVersion) -> Result<Vec<Bind>, Error> {
    Ok(vec![
        sequence.into(),
        row.into(),
        version.key.resource_type.as_str().into(),
        number(version.version)?,
        version.kind.code().into(),
        version.last_updated.timestamp_micros().into(),
        version.cause.clone().into(),
    ])
}

fn audit_row(sequence: i64, audit: AuditRow) -> Result<Vec<Bind>, Error> {
    Ok(vec![
        sequence.into(),
        audit.at.timestamp_micros().into(),
        audit.caller.into(),
        audit.interaction.into(),
        audit.key.resource_type.as_str().into(),
        audit.key.id.as_str().into(),
        number(audit.version)?,
    ])
}

fn stored(row: i64, version: &NewVersion) -> Stored {
    Stored {
        row,
        key: version.key.clone(),
        version: version.version,
        last_updated: version.last_updated,
        kind: version.kind,
        text: version.text.clone(),
    }
}
