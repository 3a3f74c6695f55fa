//! What is kept, and how it is asked: the narrow boundary between FHIR and a database.
//!
//! The store knows rows, not FHIR: resources arrive as text with their search values and leave as
//! text. It has two implementations, SQLite and PostgreSQL, and one contract suite that both pass
//! (`tests/it/store_contract.rs`). All SQL of the project is in this module's files.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use fhir_model::key::{LogicalId, ResourceKey, ResourceType, VersionId};

use crate::search::expression::{Cursor, Filter, Search};
use crate::search::value::SearchValues;

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

/// What a version did to its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// The first version, or the first after a deletion made by an update.
    Create,
    /// A further version.
    Update,
    /// A deletion.
    Delete,
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
    /// Versions on one page, newest first.
    pub count: u32,
    /// The change sequence where the previous page ended (exclusive).
    pub before: Option<i64>,
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
    /// Number of all versions in scope.
    pub total: u64,
}

/// One page of a search.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchPage {
    /// The matches, in order.
    pub matches: Vec<Stored>,
    /// What `_include` and `_revinclude` add, each once, without the matches.
    pub included: Vec<Stored>,
    /// Where the next page goes on; `None` at the end.
    pub next: Option<Cursor>,
    /// The number of all matches, when asked for.
    pub total: Option<u64>,
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

/// What goes wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer, or not as expected.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
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
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The URL names no database that Baton knows.
    #[error("a database URL starts with sqlite: or postgres:")]
    Url,
    /// The writer has stopped.
    #[error("the store is closed")]
    Closed,
    /// What was read back is not what was written.
    #[error("the store holds a row that cannot be read: {0}")]
    Corrupt(&'static str),
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
