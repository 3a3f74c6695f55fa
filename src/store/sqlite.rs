//! The store on SQLite: one writer that commits in groups, and readers beside it.
//!
//! The writer takes whatever is queued, without waiting for more, runs it in one transaction and
//! commits once: while one group is being made durable the next one gathers.

use std::any::Any;
use std::fs::{File, TryLockError};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::search::query::PageKey;
use crate::store::find::Estimates;
use crate::store::keys::Keys;
use crate::store::migrate::migrate;
use crate::store::sql::{Connection, Dialect, Sql};
use crate::store::text::Texts;
use crate::store::{Error, Transaction, Work, process, setting};

/// Works that wait for the writer; who comes when it is full waits to be queued.
const QUEUE_MAX: usize = 1_024;
/// Works in one commit.
const WORKS_PER_COMMIT_MAX: usize = 256;
/// Connections that read.
const READERS_MAX: u32 = 4;
/// How long a connection waits for a lock, such as that of a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 512;
/// As long as it has the file, a process lives.
const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 1_000);
const PAGE_BYTES: u32 = 8_192;
/// Page cache of the writer and of each reader.
const CACHE_KIB: u32 = 65_536;
const MMAP_BYTES: u64 = 1 << 30;
/// Pages in the write-ahead log before they are copied into the database.
const CHECKPOINT_PAGES: u32 = 4_000;

/// A database in a file.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    readers: SqlitePool,
    queue: Mutex<Option<mpsc::Sender<Box<dyn Queued>>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    changed: watch::Sender<u64>,
    texts: Arc<Texts>,
    process: i64,
    /// Locked as long as this process has the database.
    lock: Mutex<Option<File>>,
    page_key: PageKey,
    estimates: Estimates,
    /// Removed with the store.
    temporary: Option<PathBuf>,
}

impl SqliteStore {
    /// Opens the database, creates and migrates it as needed, and starts the writer.
    pub(crate) async fn open(url: &str) -> Result<Self, Error> {
        let (path, temporary) = if url == "sqlite::memory:" {
            let path = std::env::temp_dir().join(format!("baton-{}.db", Uuid::new_v4()));
            (path.clone(), Some(path))
        } else {
            (path(url), None)
        };
        let lock = match temporary {
            Some(_) => None,
            None => Some(lock(&path)?),
        };
        let options = options(&path, temporary.is_some());
        let mut connection = options.connect().await.map_err(Error::database)?;
        migrate(&mut Connection::Sqlite(&mut connection)).await?;
        let keys = keys(&mut connection).await?;
        let texts = Arc::new(Texts::default());
        texts.read(&mut Connection::Sqlite(&mut connection)).await?;
        let page_key = setting::page_key(&mut Connection::Sqlite(&mut connection)).await?;
        let process = keys.process();
        alone(&mut connection, process).await?;
        let readers = readers(options).await?;
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        let changed = watch::Sender::new(0);
        let writer = Writer {
            connection,
            keys,
            texts: Arc::clone(&texts),
            changed: changed.clone(),
        };
        let writer = start(writer, queued).map_err(|error| Error::Writer(Arc::new(error)))?;
        Ok(Self {
            readers,
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(Some(writer)),
            changed,
            texts,
            process,
            lock: Mutex::new(lock),
            page_key,
            estimates: Estimates::default(),
            temporary,
        })
    }

    /// Opens the database for reading only, whoever has it.
    pub(crate) async fn open_to_read(url: &str) -> Result<Self, Error> {
        let readers = readers(options(&path(url), false)).await?;
        let texts = Arc::new(Texts::default());
        let mut connection = readers.acquire().await.map_err(Error::database)?;
        texts.read(&mut Connection::Sqlite(&mut connection)).await?;
        let page_key = setting::known_page_key(&mut Connection::Sqlite(&mut connection)).await?;
        drop(connection);
        Ok(Self {
            readers,
            texts,
            page_key,
            estimates: Estimates::default(),
            queue: Mutex::new(None),
            writer: Mutex::new(None),
            changed: watch::Sender::new(0),
            process: 0,
            lock: Mutex::new(None),
            temporary: None,
        })
    }

    /// The number of this process.
    pub(crate) fn process(&self) -> i64 {
        self.process
    }

    pub(crate) async fn reader(&self) -> Result<PoolConnection<Sqlite>, Error> {
        self.readers.acquire().await.map_err(Error::database)
    }

    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    pub(crate) fn estimates(&self) -> &Estimates {
        &self.estimates
    }

    pub(crate) fn page_key(&self) -> &PageKey {
        &self.page_key
    }

    /// Queues a work and waits for its commit.
    pub(crate) async fn transact<W: Work>(&self, work: W) -> Result<W::Output, W::Error> {
        let (reply, answer) = oneshot::channel();
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let queue = queue.ok_or(Error::Closed)?;
        let queued = Box::new(QueuedWork {
            work,
            outcome: None,
            reply,
        });
        queue.send(queued).await.map_err(|_| Error::Closed)?;
        drop(queue);
        match answer.await.map_err(|_| Error::Closed)? {
            Outcome::Returned(result) => result,
            Outcome::Panicked(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Lets the writer finish its queue, then closes all connections.
    pub(crate) async fn close(&self) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            let joined = tokio::task::spawn_blocking(move || writer.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("The writer of the store stopped by a panic");
            }
        }
        self.readers.close().await;
        self.lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        let Some(path) = &self.temporary else { return };
        for suffix in ["", "-wal", "-shm"] {
            let mut path = path.clone().into_os_string();
            path.push(suffix);
            let _ = std::fs::remove_file(path); // nothing depends on it being gone
        }
    }
}

fn path(url: &str) -> PathBuf {
    PathBuf::from(url.trim_start_matches("sqlite:").trim_start_matches("//"))
}

/// Takes the database for this process, until it ends in whatever way. The lock is on a file of its
/// own: those on the database are SQLite's.
fn lock(path: &Path) -> Result<File, Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(beside);
    let file = file.map_err(|error| Error::database(sqlx::Error::Io(error)))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse),
        Err(TryLockError::Error(error)) => Err(Error::database(sqlx::Error::Io(error))),
    }
}

/// Says that this process has the database, and every earlier one is dead.
async fn alone(connection: &mut SqliteConnection, process: i64) -> Result<(), Error> {
    command(connection, "DELETE FROM process").await?;
    let sql = process::live(Dialect::Sqlite, process, FOR_EVER);
    Connection::Sqlite(connection).execute(sql).await
}

async fn readers(options: SqliteConnectOptions) -> Result<SqlitePool, Error> {
    SqlitePoolOptions::new()
        .max_connections(READERS_MAX)
        .test_before_acquire(false)
        .connect_with(options.read_only(true).create_if_missing(false))
        .await
        .map_err(Error::database)
}

fn options(path: &Path, is_temporary: bool) -> SqliteConnectOptions {
    let durable = if is_temporary {
        SqliteSynchronous::Off
    } else {
        SqliteSynchronous::Full
    };
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(durable)
        .foreign_keys(false)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENTS_MAX)
        .pragma("cache_size", format!("-{CACHE_KIB}"))
        .pragma("mmap_size", MMAP_BYTES.to_string())
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("temp_store", "memory")
}

/// Goes on after the keys and sequences that the database holds.
async fn keys(connection: &mut SqliteConnection) -> Result<Keys, Error> {
    let text = "SELECT max(coalesce((SELECT max(row_key) FROM resource), 0), \
                           coalesce((SELECT max(row_key) FROM adt_message), 0), \
                           coalesce((SELECT max(row_key) FROM job), 0)), \
                       max(coalesce((SELECT max(sequence) FROM change), 0), \
                           coalesce((SELECT max(sequence) FROM audit), 0))";
    let mut connection = Connection::Sqlite(connection);
    let row = connection
        .fetch_first(Sql::fixed(Dialect::Sqlite, text, []))
        .await?;
    let row = row.ok_or(Error::Corrupt("keys"))?;
    Ok(Keys::new(row.integer(0)?, row.integer(1)?))
}

/// What became of a work.
enum Outcome<T> {
    Returned(T),
    /// The panic goes on in who asked.
    Panicked(Box<dyn Any + Send>),
}

/// A work in the queue, whatever its types.
trait Queued: Send {
    /// Runs it; true when it is to be kept. It may run again.
    fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;

    /// Answers with its outcome, or with the error that kept the group from being committed.
    fn answer(self: Box<Self>, error: Option<Error>);
}

struct QueuedWork<W: Work> {
    work: W,
    outcome: Option<Outcome<Result<W::Output, W::Error>>>,
    reply: oneshot::Sender<Outcome<Result<W::Output, W::Error>>>,
}

impl<W: Work> Queued for QueuedWork<W> {
    fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            let ran = AssertUnwindSafe(self.work.run(transaction))
                .catch_unwind()
                .await;
            let outcome = match (ran, transaction.failure()) {
                (Ok(Ok(_)), Some(error)) => Outcome::Returned(Err(error.into())),
                (Ok(result), _) => Outcome::Returned(result),
                (Err(panic), _) => Outcome::Panicked(panic),
            };
            let keep = matches!(outcome, Outcome::Returned(Ok(_)));
            self.outcome = Some(outcome);
            keep
        })
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn answer(self: Box<Self>, error: Option<Error>) {
        let outcome = match (self.outcome, error) {
            (Some(Outcome::Returned(Ok(_))) | None, Some(error)) => {
                Outcome::Returned(Err(error.into()))
            }
            (Some(outcome), _) => outcome,
            (None, None) => Outcome::Returned(Err(Error::Closed.into())),
        };
        let _ = self.reply.send(outcome); // whoever asked may be gone
    }
}

struct Writer {
    connection: SqliteConnection,
    keys: Keys,
    texts: Arc<Texts>,
    changed: watch::Sender<u64>,
}

fn start(
    mut writer: Writer,
    mut queue: mpsc::Receiver<Box<dyn Queued>>,
) -> Result<JoinHandle<()>, std::io::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let mut works = Vec::with_capacity(WORKS_PER_COMMIT_MAX);
                while queue.recv_many(&mut works, WORKS_PER_COMMIT_MAX).await > 0 {
                    works.retain(|work| !work.is_abandoned());
                    writer.write(&mut works).await;
                }
                if let Err(error) = writer.connection.close().await {
                    tracing::error!(%error, "The writer's connection did not close");
                }
            });
        })
}

/// Why a group was not committed.
enum Failed {
    /// The commit itself failed: so it did for all.
    Commit(Error),
    /// A statement failed before the commit: each is tried alone.
    Before(Error),
}

impl Writer {
    /// Commits a group of works and answers them.
    async fn write(&mut self, works: &mut Vec<Box<dyn Queued>>) {
        let result = self.commit(works).await;
        let error = match result {
            Ok(()) => None,
            Err(Failed::Commit(error)) => Some(error),
            Err(Failed::Before(error)) if works.len() < 2 => Some(error),
            Err(Failed::Before(_)) => {
                for work in works.drain(..) {
                    let mut alone = vec![work];
                    let error = match self.commit(&mut alone).await {
                        Ok(()) => None,
                        Err(Failed::Commit(error) | Failed::Before(error)) => Some(error),
                    };
                    answer(alone, error.as_ref());
                }
                return;
            }
        };
        answer(works.drain(..), error.as_ref());
    }

    /// Runs works in one transaction and commits it, or rolls everything back.
    async fn commit(&mut self, works: &mut [Box<dyn Queued>]) -> Result<(), Failed> {
        let Self {
            connection,
            keys,
            texts,
            changed,
        } = self;
        command(connection, "BEGIN IMMEDIATE")
            .await
            .map_err(Failed::Before)?;
        let written = run(connection, keys, texts, works)
            .await
            .map_err(Failed::Before);
        let committed = match written {
            Ok(has_changes) => match command(connection, "COMMIT").await {
                Ok(()) => Ok(has_changes),
                Err(error) => Err(Failed::Commit(error)),
            },
            Err(failed) => Err(failed),
        };
        match committed {
            Ok(has_changes) => {
                if has_changes {
                    changed.send_modify(|count| *count += 1);
                }
                Ok(())
            }
            Err(failed) => {
                // fails where SQLite has rolled back by itself, which comes to the same
                let _ = command(connection, "ROLLBACK").await;
                Err(failed)
            }
        }
    }
}

/// Runs works one after the other; true when a change row was written.
async fn run(
    connection: &mut SqliteConnection,
    keys: &Keys,
    texts: &Texts,
    works: &mut [Box<dyn Queued>],
) -> Result<bool, Error> {
    let mut transaction = Transaction::new(Connection::Sqlite(connection), keys, texts, 0);
    for work in works {
        transaction.start_work();
        let keep = work.run(&mut transaction).await;
        if transaction.is_broken() {
            return Err(Error::Closed);
        }
        transaction.end_work(keep).await?;
    }
    transaction.finish().await?;
    Ok(transaction.has_changes())
}

async fn command(connection: &mut SqliteConnection, text: &str) -> Result<(), Error> {
    Connection::Sqlite(connection)
        .execute(Sql::fixed(Dialect::Sqlite, text, []))
        .await
}

fn answer(works: impl IntoIterator<Item = Box<dyn Queued>>, error: Option<&Error>) {
    for work in works {
        work.answer(error.map(Error::again));
    }
}
