//! What is kept, and how it is asked: the narrow boundary between FHIR and a database.
//!
//! The store knows rows, not FHIR: resources arrive as text with their search values and leave as
//! text. It has two implementations, SQLite and PostgreSQL, and one contract suite that both pass
//! (`tests/it/store_contract.rs`). All SQL of the project is in this module's files.

/// Reads; once more where another process has just made a dictionary.
macro_rules! reading {
    ($store:expr, $read:path, $($argument:expr),*) => {{
        let mut reader = $store.reader().await?;
        match $read(&mut reader.connection(), $($argument),*).await {
            Err(Error::Dictionary) => {
                $store.texts().read(&mut reader.connection()).await?;
                $read(&mut reader.connection(), $($argument),*).await
            }
            result => result,
        }
    }};
}

mod batch;
mod check;
mod compartment;
mod deadline;
mod entries;
mod find;
mod inbox;
mod job;
mod keys;
mod migrate;
mod position;
mod postgres;
mod process;
mod read;
mod search_sql;
mod setting;
mod shape;
mod sql;
mod sqlite;
mod text;
mod transaction;
mod walk;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use fhir_model::key::{LogicalId, ResourceKey, ResourceType, VersionId};
use sha2::{Digest as _, Sha256};
use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::watch;

pub use crate::store::check::{Difference, Expected, Span};
use crate::store::find::Estimates;
pub use crate::store::find::{CHANGED_MAX, Explanation, Extract, INCLUDED_MAX, ITERATIONS_MAX};
pub use crate::store::inbox::TakeOrphans;
pub use crate::store::job::{
    AttemptEnd, ClaimedJob, Job, JobLease, JobState, JobStep, NewJob, RESULT_KEPT,
};
pub use crate::store::position::{Positions, ReadPosition, SetPosition};
use crate::store::postgres::PostgresStore;
pub use crate::store::process::Lease;
use crate::store::process::{Fence, Fenced};
use crate::store::sql::Connection;
use crate::store::sqlite::SqliteStore;
use crate::store::text::Texts;
pub use crate::store::transaction::Transaction;
pub use crate::store::walk::{Walk, WalkPage};

use crate::config;
use crate::search::expression::{Cursor, Search, ValueKind};
use crate::search::query::PageKey;
use crate::search::value::{ParameterId, SearchValues};

/// Bits of a sequence number that count within one PostgreSQL transaction; the bits above are the
/// transaction. So many change rows, and so many audit rows, fit in one transaction.
const SEQUENCES_PER_TRANSACTION_BITS: u32 = 16;

/// What a statement that was stopped ends with: `SQLITE_INTERRUPT`, `query_canceled`.
const INTERRUPTED: [&str; 2] = ["9", "57014"];

/// So many versions of a history are counted: counting more would take longer than the page.
pub const VERSIONS_COUNTED_MAX: u32 = 100_000;

/// A database of resources. Clones are cheap and speak to the same database; one may have a fence,
/// which each of its transactions makes sure of first.
#[derive(Debug, Clone)]
pub struct Store(Engine, Option<Arc<Fence>>);

#[derive(Debug, Clone)]
enum Engine {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

/// A connection for reading, out of a pool.
enum Reader {
    Sqlite(sqlx::pool::PoolConnection<sqlx::Sqlite>),
    Postgres(sqlx::pool::PoolConnection<sqlx::Postgres>),
}

/// Whether a URL names a database of PostgreSQL.
fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}

impl Reader {
    fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(connection) => Connection::Sqlite(connection),
            Self::Postgres(connection) => Connection::Postgres(connection),
        }
    }
}

impl Store {
    /// Opens `sqlite:PATH`, `sqlite::memory:` (a temporary file) or `postgres://…`; creates and
    /// migrates it as needed.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::open_with(url, &config::Store::default()).await
    }

    /// Opens a database with these limits.
    pub async fn open_with(url: &str, limits: &config::Store) -> Result<Self, Error> {
        let engine = if url.starts_with("sqlite:") {
            Engine::Sqlite(Arc::new(SqliteStore::open(url).await?))
        } else if is_postgres(url) {
            Engine::Postgres(Arc::new(PostgresStore::open(url, limits).await?))
        } else {
            return Err(Error::Url);
        };
        Ok(Self(engine, None))
    }

    /// Opens a database of SQLite for reading only, also while a server has it: nothing is migrated,
    /// and a transaction is refused. PostgreSQL is opened as ever.
    pub async fn open_to_read(url: &str) -> Result<Self, Error> {
        if !url.starts_with("sqlite:") {
            return Self::open(url).await;
        }
        let store = SqliteStore::open_to_read(url).await?;
        Ok(Self(Engine::Sqlite(Arc::new(store)), None))
    }

    async fn reader(&self) -> Result<Reader, Error> {
        match &self.0 {
            Engine::Sqlite(store) => store.reader().await.map(Reader::Sqlite),
            Engine::Postgres(store) => store.connection().await.map(Reader::Postgres),
        }
    }

    fn texts(&self) -> &Texts {
        match &self.0 {
            Engine::Sqlite(store) => store.texts(),
            Engine::Postgres(store) => store.texts(),
        }
    }

    /// What signs the page tokens of this database, in every process that has it open.
    pub fn page_key(&self) -> &PageKey {
        match &self.0 {
            Engine::Sqlite(store) => store.page_key(),
            Engine::Postgres(store) => store.page_key(),
        }
    }

    fn epoch(&self) -> i64 {
        match &self.0 {
            Engine::Sqlite(_) => 0,
            Engine::Postgres(store) => store.epoch(),
        }
    }

    /// The current version of a resource; a deletion is a version without text.
    pub async fn read(&self, key: &ResourceKey) -> Result<Option<Stored>, Error> {
        reading!(self, read::read, key)
    }

    /// One version of a resource.
    pub async fn vread(
        &self,
        key: &ResourceKey,
        version: VersionId,
    ) -> Result<Option<Stored>, Error> {
        reading!(self, read::vread, key, version)
    }

    /// A page of a history, newest first.
    pub async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, Error> {
        reading!(self, read::history, query)
    }

    /// A page of the matches of a search, with what they include.
    pub async fn search(&self, search: &Search) -> Result<SearchPage, Error> {
        reading!(self, find::search, search, None)
    }

    /// The same within a time, and isolated: the pages after the first show what had been committed
    /// at the first. `extract` takes search values out of texts that were superseded in between.
    ///
    /// # Errors
    /// [`Error::TooCostly`] where the time is not enough, [`Error::Expired`] where too much was
    /// changed since the first page.
    pub async fn search_isolated(
        &self,
        search: &Search,
        extract: &Extract<'_>,
        time: Duration,
    ) -> Result<SearchPage, Error> {
        match self.search_once(search, extract, time).await {
            Err(Error::Dictionary) => {
                self.texts()
                    .read(&mut self.reader().await?.connection())
                    .await?;
                self.search_once(search, extract, time).await
            }
            result => result,
        }
    }

    async fn search_once(
        &self,
        search: &Search,
        extract: &Extract<'_>,
        time: Duration,
    ) -> Result<SearchPage, Error> {
        let isolation = Some(find::Isolation {
            epoch: self.epoch(),
            extract,
            estimates: self.estimates(),
        });
        match self.reader().await? {
            Reader::Sqlite(mut pooled) => {
                let _deadline = deadline::set(&mut pooled, time).await?;
                let mut open = pooled.begin().await.map_err(Error::database)?;
                find::search(&mut Connection::Sqlite(&mut open), search, isolation).await
            }
            Reader::Postgres(mut pooled) => {
                let begin = AssertSqlSafe(deadline::begin(time));
                let mut open = pooled.begin_with(begin).await.map_err(Error::database)?;
                find::search(&mut Connection::Postgres(&mut open), search, isolation).await
            }
        }
    }

    /// How a search is run.
    pub async fn explain(&self, search: &Search, time: Duration) -> Result<Explanation, Error> {
        let isolation = find::Isolation {
            epoch: self.epoch(),
            extract: &|_, _| None,
            estimates: self.estimates(),
        };
        match self.reader().await? {
            Reader::Sqlite(mut pooled) => {
                let _deadline = deadline::set(&mut pooled, time).await?;
                find::explain(&mut Connection::Sqlite(&mut pooled), search, isolation).await
            }
            Reader::Postgres(mut pooled) => {
                let begin = AssertSqlSafe(deadline::begin(time));
                let mut open = pooled.begin_with(begin).await.map_err(Error::database)?;
                find::explain(&mut Connection::Postgres(&mut open), search, isolation).await
            }
        }
    }

    fn estimates(&self) -> &Estimates {
        match &self.0 {
            Engine::Sqlite(store) => store.estimates(),
            Engine::Postgres(store) => store.estimates(),
        }
    }

    /// A part of the resources of a compartment, in the order of their keys.
    pub async fn compartment(&self, query: &CompartmentQuery) -> Result<Vec<Stored>, Error> {
        reading!(self, compartment::members, query)
    }

    /// Those of these resources that there are, by type and id.
    pub async fn read_all(&self, keys: &[ResourceKey]) -> Result<Vec<Stored>, Error> {
        reading!(self, compartment::read_all, keys)
    }

    /// A resource for each value that these parameters have anywhere, of type token or uri; some may
    /// have several of them. At most so many values are looked up.
    pub async fn examples(
        &self,
        parameters: &[(ParameterId, ValueKind)],
        count: usize,
    ) -> Result<Vec<Stored>, Error> {
        reading!(self, compartment::examples, parameters, count)
    }

    /// Runs a work in a transaction of its own, and gives its output once that is durable.
    pub async fn transact<W: Work>(&self, work: W) -> Result<W::Output, W::Error> {
        match &self.1 {
            None => self.run(work).await,
            Some(fence) => {
                let fence = Arc::clone(fence);
                self.run(Fenced { fence, work }).await
            }
        }
    }

    async fn run<W: Work>(&self, work: W) -> Result<W::Output, W::Error> {
        match &self.0 {
            Engine::Sqlite(store) => store.transact(work).await,
            Engine::Postgres(store) => store.transact(work).await,
        }
    }

    /// The changes after a place in the feed, in order. A change that commits later never comes
    /// to stand before one that was given out.
    pub async fn changes_after(&self, sequence: i64, count: u32) -> Result<Vec<ChangeRow>, Error> {
        let epoch = self.epoch();
        read::changes_after(
            &mut self.reader().await?.connection(),
            sequence,
            count,
            epoch,
        )
        .await
    }

    /// The place of the newest change that is committed, whether it is given out yet or not.
    pub async fn changes_end(&self) -> Result<i64, Error> {
        read::changes_end(&mut self.reader().await?.connection()).await
    }

    /// The timers due at or before `until`, by due instant and name.
    pub async fn due_timers(&self, until: DateTime<Utc>, count: u32) -> Result<Vec<Timer>, Error> {
        read::due_timers(&mut self.reader().await?.connection(), until, count).await
    }

    /// When the next timer is due.
    pub async fn next_timer(&self) -> Result<Option<DateTime<Utc>>, Error> {
        read::next_timer(&mut self.reader().await?.connection()).await
    }

    /// Messages of the inbox, in order of arrival.
    pub async fn messages(&self, query: &MessageQuery) -> Result<Vec<StoredMessage>, Error> {
        read::messages(&mut self.reader().await?.connection(), query).await
    }

    /// Messages that this process has to see to and that were received at or before `until`: rows and
    /// lanes, in order of arrival.
    pub async fn waiting_messages(
        &self,
        until: DateTime<Utc>,
        after: Option<i64>,
        count: u32,
    ) -> Result<Vec<(i64, i64)>, Error> {
        let process = match &self.0 {
            Engine::Sqlite(store) => store.process(),
            Engine::Postgres(store) => store.process(),
        };
        let mut reader = self.reader().await?;
        read::waiting_messages(&mut reader.connection(), process, until, after, count).await
    }

    /// How many messages each feed has in each state.
    pub async fn message_counts(&self) -> Result<Vec<(String, MessageState, u64)>, Error> {
        read::message_counts(&mut self.reader().await?.connection()).await
    }

    /// Ticks after every commit of this process that wrote a change row, and soon after those of
    /// other processes. A tick may get lost: a reader of the feed also looks from time to time.
    pub fn changed(&self) -> watch::Receiver<u64> {
        match &self.0 {
            Engine::Sqlite(store) => store.changed(),
            Engine::Postgres(store) => store.changed(),
        }
    }

    /// The audit rows after a place in the trail, in order.
    pub async fn audit_after(&self, row: i64, count: u32) -> Result<Vec<AuditRecord>, Error> {
        let epoch = self.epoch();
        read::audit_after(&mut self.reader().await?.connection(), row, count, epoch).await
    }

    /// Whether the database answers.
    pub async fn health(&self) -> Result<(), Error> {
        read::next_timer(&mut self.reader().await?.connection())
            .await
            .map(|_| ())
    }

    /// Finishes what is queued, and closes the database.
    pub async fn close(&self) {
        match &self.0 {
            Engine::Sqlite(store) => store.close().await,
            Engine::Postgres(store) => store.close().await,
        }
    }
}

/// A resource as stored: one version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The store's time-ordered key of the resource (not of the version).
    pub row: i64,
    /// Type and logical id.
    pub key: ResourceKey,
    /// The version.
    pub version: VersionId,
    /// When this version was written.
    pub last_updated: DateTime<Utc>,
    /// What brought the version about.
    pub kind: ChangeKind,
    /// The resource as JSON text, `meta` stamped; `None` for a deletion.
    pub text: Option<Arc<str>>,
}

impl Stored {
    /// Whether there is a resource, and not only the mark of its deletion.
    pub fn is_live(&self) -> bool {
        self.text.is_some()
    }
}

/// What a version did to its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// The first version, made by a create.
    Create,
    /// A further version.
    Update,
    /// A deletion.
    Delete,
    /// The first version, or the first after a deletion, made by an update.
    CreateByUpdate,
}

impl ChangeKind {
    const ALL: [Self; 4] = [
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::CreateByUpdate,
    ];

    fn code(self) -> i64 {
        match self {
            Self::Create => 0,
            Self::Update => 1,
            Self::Delete => 2,
            Self::CreateByUpdate => 3,
        }
    }

    fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// A version to write.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// Type and logical id.
    pub key: ResourceKey,
    /// One more than the current version.
    pub version: VersionId,
    /// When it is written.
    pub last_updated: DateTime<Utc>,
    /// What it does.
    pub kind: ChangeKind,
    /// The stamped text; `None` for a deletion.
    pub text: Option<Arc<str>>,
    /// What it is found by; empty for a deletion.
    pub values: SearchValues,
    /// The patients whose compartment it is in.
    pub patients: Vec<LogicalId>,
    /// Why: the interaction or the message, for the change feed.
    pub cause: Arc<str>,
}

/// One row of the append-only audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: the caller's name, never a patient's.
    pub caller: Arc<str>,
    /// The interaction (`create`, `update`, …).
    pub interaction: &'static str,
    /// On what.
    pub key: ResourceKey,
    /// Which version it made.
    pub version: VersionId,
}

/// A row of the audit trail as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place in the trail; grows, with gaps.
    pub row: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub caller: String,
    /// The interaction.
    pub interaction: String,
    /// On what.
    pub key: ResourceKey,
    /// Which version it made.
    pub version: VersionId,
}

/// One row of the change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// Position in the feed; grows, with gaps.
    pub sequence: i64,
    /// What changed.
    pub key: ResourceKey,
    /// To which version.
    pub version: VersionId,
    /// How.
    pub kind: ChangeKind,
    /// Why.
    pub cause: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A durable deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Names the timer; setting it again moves it.
    pub name: String,
    /// When it is due.
    pub due: DateTime<Utc>,
    /// What it concerns.
    pub subject: ResourceKey,
    /// What is to be done (`overdue`, `close-out`).
    pub kind: String,
}

/// Selects the versions of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Of which resources.
    pub scope: HistoryScope,
    /// `_since`: only versions written at or after.
    pub since: Option<DateTime<Utc>>,
    /// `_at`: only versions that were current at some time of `[low, high)`, in microseconds, and
    /// deletions within it.
    pub during: Option<(i64, i64)>,
    /// Versions on one page, newest first.
    pub count: u32,
    /// The `next` of the previous page.
    pub before: Option<i64>,
    /// Whether all versions are counted: what the first page says, the others need not find again.
    pub is_counted: bool,
}

/// Whose history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryScope {
    /// One resource.
    Instance(ResourceKey),
    /// All resources of a type.
    Type(ResourceType),
    /// All resources.
    System,
}

/// One page of a history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryPage {
    /// Newest first.
    pub versions: Vec<Stored>,
    /// Pass as `before` for the next page; `None` at the end.
    pub next: Option<i64>,
    /// Number of all versions in scope; `None` when not asked for, and when there are more than
    /// [`VERSIONS_COUNTED_MAX`].
    pub total: Option<u64>,
}

/// Selects a part of the resources of a compartment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompartmentQuery {
    /// Whose compartment.
    pub members: Members,
    /// Only resources of these types; of all where there is none.
    pub types: Vec<ResourceType>,
    /// Only resources written at or after.
    pub since: Option<DateTime<Utc>>,
    /// Only resources after this key of the store.
    pub after: Option<i64>,
    /// At most so many.
    pub count: u32,
}

/// How the resources of a compartment are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Members {
    /// By the index of the compartments of patients.
    Patient(LogicalId),
    /// By the references of these parameters to a resource.
    Referring {
        /// The resource.
        target: ResourceKey,
        /// The parameters.
        parameters: Vec<ParameterId>,
    },
}

/// How much of a resource is purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// The versions before the current one.
    History,
    /// Everything: as if it had never been there.
    Everything,
}

/// One page of a search.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchPage {
    /// The matches, in order.
    pub matches: Vec<Stored>,
    /// What `_include` and `_revinclude` add, each once, without the matches.
    pub included: Vec<Stored>,
    /// There is more to include of the one match of the page than a page takes.
    pub is_cut: bool,
    /// Where the next page goes on; `None` at the end.
    pub next: Option<Cursor>,
    /// The same of the page before; `None` at the beginning.
    pub previous: Option<Cursor>,
    /// The number of all matches, when asked for.
    pub total: Option<u64>,
    /// They were to be counted, but that takes too long.
    pub is_uncounted: bool,
}

/// An HL7 message as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// The feed it came by.
    pub feed: Arc<str>,
    /// Who sent it (MSH-3, MSH-4), as it stands in the message.
    pub sender: String,
    /// MSH-10 as it stands in the message.
    pub control_id: String,
    /// SHA-256 of the bytes.
    pub hash: [u8; 32],
    /// When the last byte arrived.
    pub received: DateTime<Utc>,
    /// Message type and trigger event, such as `ADT^A01`; empty when unknown.
    pub event: String,
    /// The bytes as received.
    pub bytes: Vec<u8>,
    /// Messages of one lane take effect one after another.
    pub lane: i64,
    /// The state it enters the inbox with.
    pub state: MessageState,
    /// The acknowledgement code it was answered with (table 0008); empty when none was.
    pub acknowledgement: String,
    /// Why, for states that need a reason; never content of the message.
    pub reason: String,
}

/// A message in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// The store's time-ordered key.
    pub row: i64,
    /// As it came in, and how it stands now.
    pub message: NewMessage,
    /// How often processing was tried.
    pub attempts: u32,
    /// An earlier message of the same sender had the same control id and other content.
    pub control_id_reused: bool,
}

/// How a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// Stored and acknowledged, not yet processed.
    Received,
    /// Its effects are committed.
    Processed,
    /// Deliberately without effect (an event that we do not act on, a filter).
    Ignored,
    /// Refused, or not usable: kept for an operator.
    SetAside,
    /// Processing failed and will be tried again.
    Failed,
}

impl MessageState {
    const ALL: [Self; 5] = [
        Self::Received,
        Self::Processed,
        Self::Ignored,
        Self::SetAside,
        Self::Failed,
    ];

    fn code(self) -> i64 {
        match self {
            Self::Received => 0,
            Self::Processed => 1,
            Self::Ignored => 2,
            Self::SetAside => 3,
            Self::Failed => 4,
        }
    }

    fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

/// What became of an arriving message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// It is new (perhaps with a reused control id).
    New(StoredMessage),
    /// The same bytes came before; nothing was stored; answer as then.
    Duplicate(StoredMessage),
}

/// A message's place in a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitMessage {
    /// Names the visit: feed-scoped system and value of its identifier.
    pub visit: String,
    /// The message.
    pub row: i64,
}

/// How messages in the inbox are counted and listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageQuery {
    /// Only in this state.
    pub state: Option<MessageState>,
    /// Only by this feed.
    pub feed: Option<String>,
    /// Only after this row.
    pub after: Option<i64>,
    /// At most so many.
    pub count: u32,
}

/// Identity under construction: whoever takes it first goes on, others wait for the end of that
/// transaction. Taken in sorted order, so that two transactions never wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim(pub String);

impl Claim {
    /// Stands for the claim: of one length, and without names and numbers of patients.
    fn digest(&self) -> String {
        let digest = Sha256::digest(self.0.as_bytes());
        digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Everything one change writes beside reading: buffered, sent in few statements.
#[derive(Debug, Default)]
pub struct Rows {
    /// New versions, each with history, search values, compartments and change row.
    pub versions: Vec<NewVersion>,
    /// Audit rows.
    pub audit: Vec<AuditRow>,
    /// Timers set or moved.
    pub timers: Vec<Timer>,
    /// Timers taken back, by name.
    pub timers_cancelled: Vec<String>,
}

fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_none_or(|code| match code.parse::<i64>() {
            Ok(number) if code.len() < SQLSTATE_CHARS => {
                PASSING_CODES.contains(&(number & PRIMARY_CODE))
            }
            _ => PASSING_CLASSES.iter().any(|class| code.starts_with(class)),
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// An SQLSTATE has so many characters; the codes of SQLite are shorter.
const SQLSTATE_CHARS: usize = 5;

/// What goes wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer, or not as expected.
    #[error("the database failed")]
    Database(#[source] Arc<sqlx::Error>),
    /// The database was written by a newer Baton.
    #[error("the database has schema {found}, this Baton knows {known}")]
    NewerSchema {
        /// The newest migration found.
        found: i64,
        /// The newest migration known.
        known: i64,
    },
    /// A migration failed.
    #[error("a migration failed")]
    Migration(#[source] Arc<sqlx::migrate::MigrateError>),
    /// The URL names no database that Baton knows.
    #[error("a database URL starts with sqlite: or postgres:")]
    Url,
    /// The thread that writes could not be started.
    #[error("the writer could not be started")]
    Writer(#[source] Arc<std::io::Error>),
    /// The database did not answer in the time it was given.
    #[error("the database did not answer in time")]
    TooSlow,
    /// The writer has stopped.
    #[error("the store is closed")]
    Closed,
    /// Another process has the file.
    #[error(
        "another process has this database open: SQLite serves one Baton at a time; stop the other, \
         or use PostgreSQL, which serves several"
    )]
    InUse,
    /// Another process does by now what this one did.
    #[error("another process has taken this over")]
    NotHeld,
    /// A version was appended that does not follow the current one.
    #[error("a version does not follow the one before")]
    Conflict,
    /// One transaction would write more than it can.
    #[error("a transaction is too large")]
    TooLarge,
    /// A text was written with a dictionary that another process has just made.
    #[error("a dictionary is not known")]
    Dictionary,
    /// A search takes longer than it may.
    #[error("the search takes too long")]
    TooCostly,
    /// What a search was about at its first page cannot be told any more.
    #[error("the search cannot go on where the page ended")]
    Expired,
    /// What was read back is not what was written.
    #[error("the store holds a row that cannot be read: {0}")]
    Corrupt(&'static str),
}

/// Classes of SQLSTATE that pass: connection, resources, operator intervention, transaction rollback.
const PASSING_CLASSES: &[&str] = &["08", "40", "53", "57"];

/// Result codes of SQLite that pass: busy, locked, I/O, full, cannot open, protocol.
const PASSING_CODES: &[i64] = &[5, 6, 10, 13, 14, 15];

/// The primary result code is in the low byte of an extended one.
const PRIMARY_CODE: i64 = 0xff;

impl Error {
    /// Whether trying again later may help: the database cannot be reached or is busy, rather than
    /// that what was asked of it is wrong.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::TooSlow | Self::Closed | Self::InUse | Self::NotHeld => true,
            Self::Database(error) => is_passing(error),
            _ => false,
        }
    }

    fn database(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(DatabaseError::code);
        if code.is_some_and(|code| INTERRUPTED.contains(&code.as_ref())) {
            return Self::TooCostly;
        }
        Self::Database(Arc::new(error))
    }

    /// The same error once more: one failed commit is the answer to many.
    fn again(&self) -> Self {
        match self {
            Self::Database(error) => Self::Database(Arc::clone(error)),
            Self::NewerSchema { found, known } => Self::NewerSchema {
                found: *found,
                known: *known,
            },
            Self::Migration(error) => Self::Migration(Arc::clone(error)),
            Self::Url => Self::Url,
            Self::Writer(error) => Self::Writer(Arc::clone(error)),
            Self::TooSlow => Self::TooSlow,
            Self::Closed => Self::Closed,
            Self::InUse => Self::InUse,
            Self::NotHeld => Self::NotHeld,
            Self::Conflict => Self::Conflict,
            Self::TooLarge => Self::TooLarge,
            Self::Dictionary => Self::Dictionary,
            Self::TooCostly => Self::TooCostly,
            Self::Expired => Self::Expired,
            Self::Corrupt(what) => Self::Corrupt(what),
        }
    }
}

/// Work that reads and writes in one transaction: all of it is kept, or nothing.
///
/// It may run more than once (a serialisation failure is tried again from the start), so it must
/// not take its inputs apart.
pub trait Work: Send + 'static {
    /// What it gives once committed.
    type Output: Send + 'static;
    /// Why it stopped; everything is rolled back then.
    type Error: From<Error> + Send + 'static;

    /// Does the work.
    fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send + 'a;
}
