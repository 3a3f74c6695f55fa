//! The transaction that a [`Work`](crate::store::Work) runs in, the same for both engines.
//!
//! What a work appends is buffered: reads look into the buffer first, a search sends it, and
//! whatever is left goes out before the commit. On SQLite one transaction holds a group of works;
//! a work that only appends needs no savepoint, because forgetting its rows is enough.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fhir_model::key::{LogicalId, ResourceKey, VersionId};

use crate::search::expression::{Filter, Search};
use crate::search::value::{ParameterId, SearchValues};
use crate::store::batch::{Batches, Table};
use crate::store::entries::Entries;
use crate::store::keys::Keys;
use crate::store::sql::{Bind, Connection, Dialect, Row, Sql};
use crate::store::text::Texts;
use crate::store::{
    AuditRow, Claim, Error, MessageState, NewMessage, NewVersion, Purge, Received, Rows,
    SEQUENCES_PER_TRANSACTION_BITS, SearchPage, Span, Stored, StoredMessage, Timer, VisitMessage,
    check, compartment, find, read,
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

#[derive(Debug)]
struct Pending {
    row: Option<i64>,
    version: NewVersion,
    entries: Entries,
    previous: Option<usize>,
}

#[derive(Debug)]
enum TimerChange {
    Set(Timer),
    Cancel(String),
}

impl TimerChange {
    fn name(&self) -> &str {
        match self {
            Self::Set(timer) => &timer.name,
            Self::Cancel(name) => name,
        }
    }
}

/// How a message of the inbox stands after one more attempt.
#[derive(Debug)]
struct StateChange {
    row: i64,
    state: MessageState,
    reason: String,
}

#[derive(Debug, Default)]
struct Buffer {
    versions: Vec<Pending>,
    latest: HashMap<ResourceKey, usize>,
    audit: Vec<AuditRow>,
    timers: Vec<TimerChange>,
    places: Vec<VisitMessage>,
    states: Vec<StateChange>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Mark {
    versions: usize,
    audit: usize,
    timers: usize,
    places: usize,
    states: usize,
}

impl Buffer {
    fn mark(&self) -> Mark {
        Mark {
            versions: self.versions.len(),
            audit: self.audit.len(),
            timers: self.timers.len(),
            places: self.places.len(),
            states: self.states.len(),
        }
    }

    fn push(&mut self, row: Option<i64>, version: NewVersion, entries: Entries) {
        let previous = self.latest.insert(version.key.clone(), self.versions.len());
        self.versions.push(Pending {
            row,
            version,
            entries,
            previous,
        });
    }

    fn latest(&self, key: &ResourceKey) -> Option<&Pending> {
        self.latest
            .get(key)
            .and_then(|index| self.versions.get(*index))
    }

    fn latest_timer(&self, name: &str) -> Option<&TimerChange> {
        self.timers
            .iter()
            .rev()
            .find(|change| change.name() == name)
    }

    /// A message as the buffer says that it stands.
    fn with_state(&self, mut stored: StoredMessage) -> StoredMessage {
        for change in self.states.iter().filter(|change| change.row == stored.row) {
            stored.message.state = change.state;
            stored.message.reason.clone_from(&change.reason);
            stored.attempts += 1;
        }
        stored
    }

    /// Whether what is buffered may change what a search finds. Most conditional creates find that
    /// it does not, and so leave their neighbours' rows to be written together.
    fn may_change(&self, search: &Search) -> bool {
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

    fn truncate(&mut self, mark: Mark) {
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
    fn take_before(&mut self, mark: Mark) -> Self {
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
        let found = find::search(&mut self.connection, search).await;
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
        for mut version in rows.versions {
            let entries = Entries::new(&std::mem::take(&mut version.values), &version.patients);
            let row = match self.buffer.latest(&version.key) {
                Some(pending) => pending.row,
                None if version.version == VersionId::FIRST => {
                    Some(self.keys.next(version.last_updated))
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

    /// Puts a message into the inbox, unless the same bytes came before by the same feed.
    pub async fn receive(&mut self, message: &NewMessage) -> Result<Received, Error> {
        let sql = read::earlier_message(self.connection.dialect(), message);
        let earlier = match self.fetch(sql).await?.first() {
            Some(row) => Some(self.buffer.with_state(read::message(row)?)),
            None => None,
        };
        let control_id_reused = match earlier {
            Some(earlier) if earlier.message.hash == message.hash => {
                return Ok(Received::Duplicate(earlier));
            }
            earlier => earlier.is_some(),
        };
        let stored = StoredMessage {
            row: self.keys.next(message.received),
            message: message.clone(),
            attempts: 0,
            control_id_reused,
        };
        self.write(read::insert_message(self.connection.dialect(), &stored))
            .await?;
        Ok(Received::New(stored))
    }

    /// A message of the inbox, locked until the end.
    pub async fn message(&mut self, row: i64) -> Result<Option<StoredMessage>, Error> {
        let sql = read::message_for_update(self.connection.dialect(), row);
        let rows = self.fetch(sql).await?;
        let found = rows.first().map(read::message).transpose()?;
        Ok(found.map(|stored| self.buffer.with_state(stored)))
    }

    /// Says how a message stands after one more attempt.
    pub fn set_message_state(&mut self, row: i64, state: MessageState, reason: &str) {
        self.buffer.states.push(StateChange {
            row,
            state,
            reason: reason.to_owned(),
        });
    }

    /// Takes in a message that was refused before: it has a feed, a state and an answer now.
    pub async fn take_in(&mut self, row: i64, message: &NewMessage) -> Result<(), Error> {
        let text = "UPDATE adt_message SET feed = $2, state = $3, acknowledgement = $4, reason = $5 \
                    WHERE row_key = $1";
        let binds = [
            row.into(),
            message.feed.as_ref().into(),
            message.state.code().into(),
            message.acknowledgement.as_str().into(),
            message.reason.as_str().into(),
        ];
        self.write(Sql::fixed(self.connection.dialect(), text, binds))
            .await
    }

    /// Puts a message into a visit; nothing happens when it is there already.
    pub fn put_in_visit(&mut self, place: VisitMessage) {
        self.buffer.places.push(place);
    }

    /// The messages of a visit in order of arrival.
    pub async fn visit_messages(&mut self, visit: &str) -> Result<Vec<StoredMessage>, Error> {
        if self.buffer.places.iter().any(|place| place.visit == visit) {
            self.expose().await?;
        }
        let sql = read::visit_messages(self.connection.dialect(), visit);
        let rows = self.fetch(sql).await?;
        let messages = rows.iter().map(read::message);
        messages
            .map(|found| found.map(|stored| self.buffer.with_state(stored)))
            .collect()
    }

    /// Takes a timer away; `None` when there is none, or somebody else took it.
    pub async fn take_timer(&mut self, name: &str) -> Result<Option<Timer>, Error> {
        let timer = match self.buffer.latest_timer(name) {
            Some(TimerChange::Set(timer)) => Some(timer.clone()),
            Some(TimerChange::Cancel(_)) => None,
            None => {
                let sql = read::timer_for_update(self.connection.dialect(), name);
                self.fetch(sql)
                    .await?
                    .first()
                    .map(read::timer)
                    .transpose()?
            }
        };
        if timer.is_some() {
            self.buffer
                .timers
                .push(TimerChange::Cancel(name.to_owned()));
        }
        Ok(timer)
    }

    /// How far an engine has read the change feed, 0 at first; locked until the end.
    pub async fn position(&mut self, engine: &str) -> Result<i64, Error> {
        let dialect = self.connection.dialect();
        let locked = || read::position_for_update(dialect, engine);
        if let Some(row) = self.fetch(locked()).await?.first() {
            return row.integer(0);
        }
        if dialect == Dialect::Postgres {
            let text = "INSERT INTO engine_position (engine, sequence) VALUES ($1, 0) \
                        ON CONFLICT DO NOTHING";
            self.write(Sql::fixed(dialect, text, [engine.into()]))
                .await?;
            if let Some(row) = self.fetch(locked()).await?.first() {
                return row.integer(0);
            }
        }
        Ok(0)
    }

    /// Says how far an engine has read the change feed.
    pub async fn set_position(&mut self, engine: &str, sequence: i64) -> Result<(), Error> {
        let text = "INSERT INTO engine_position (engine, sequence) VALUES ($1, $2) \
                    ON CONFLICT (engine) DO UPDATE SET sequence = excluded.sequence";
        let binds = [engine.into(), sequence.into()];
        self.write(Sql::fixed(self.connection.dialect(), text, binds))
            .await
    }

    /// The positions whose names begin so.
    pub async fn positions(&mut self, prefix: &str) -> Result<Vec<(String, i64)>, Error> {
        let text = "SELECT engine, sequence FROM engine_position \
                    WHERE substr(engine, 1, length($1)) = $1 ORDER BY engine";
        let sql = Sql::fixed(self.connection.dialect(), text, [prefix.into()]);
        let rows = self.fetch(sql).await?;
        rows.iter()
            .map(|row| Ok((row.text(0)?.to_owned(), row.integer(1)?)))
            .collect()
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

fn matches_all(entries: &Entries, filters: &[Filter]) -> bool {
    filters.iter().all(|filter| entries.may_match(filter))
}

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

/// Only the last word on each timer is written.
fn add_timers(changes: Vec<TimerChange>, batches: &mut Batches) {
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
fn add_states(changes: Vec<StateChange>, batches: &mut Batches) {
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
