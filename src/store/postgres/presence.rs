//! How processes on one database know of each other: one says that it lives, tells others that it
//! changed something, and hears of their changes.
//!
//! All of it goes over two connections of its own, so that it waits for no work. A NOTIFY inside a
//! work's transaction would make PostgreSQL commit such transactions one after another; here one
//! notice follows many commits, at most every [`NOTICE_PAUSE`]. A notice may get lost, and some
//! databases that speak PostgreSQL's protocol know none: whoever says that it lives looks at the same
//! time whether the feed has grown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::store::Error;
use crate::store::process::{BEAT, LIFE, live, now};
use crate::store::sql::{Connection, Dialect, Sql};

/// One listens, one speaks.
const CONNECTIONS: u32 = 2;
/// Notices are so far apart at least; the first goes out at once.
const NOTICE_PAUSE: Duration = Duration::from_millis(50);
/// The channel on which processes tell each other that they changed something.
const CHANNEL: &str = "baton_change";
/// Where LISTEN fails, it is tried again after so long.
const LISTEN_PAUSE: Duration = Duration::from_mins(1);

/// What one process says and hears.
#[derive(Debug, Clone)]
pub(crate) struct Presence {
    pool: PgPool,
    process: i64,
    /// Whether there is somebody to tell.
    has_others: Arc<AtomicBool>,
}

impl Presence {
    /// Says that the process lives, from now on.
    pub(crate) async fn start(options: PgConnectOptions, process: i64) -> Result<Self, Error> {
        // Nothing that is said here has to outlive a crash of the database.
        let options = options.options([("synchronous_commit", "off")]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(Error::database)?;
        let presence = Self {
            pool,
            process,
            has_others: Arc::new(AtomicBool::new(true)),
        };
        presence.say(LIFE).await?;
        Ok(presence)
    }

    /// Keeps saying it, tells others what is written here, and ticks `changed` for what they write.
    pub(crate) fn keep(
        &self,
        written: watch::Receiver<u64>,
        changed: &watch::Sender<u64>,
        tasks: &mut JoinSet<()>,
    ) {
        tasks.spawn(self.clone().beat(changed.clone()));
        tasks.spawn(self.clone().tell(written));
        tasks.spawn(self.clone().hear(changed.clone()));
    }

    /// Says that the process is gone: others may take over at once.
    pub(crate) async fn leave(&self) {
        if let Err(error) = self.say(Duration::ZERO).await {
            tracing::warn!(%error, "Others learn only later that this process has stopped");
        }
        self.pool.close().await;
    }

    /// Says that the process lives for so long.
    async fn say(&self, life: Duration) -> Result<(), Error> {
        let mut pooled = self.pool.acquire().await.map_err(Error::database)?;
        let sql = live(Dialect::Postgres, self.process, life);
        Connection::Postgres(&mut pooled).execute(sql).await
    }

    async fn beat(self, changed: watch::Sender<u64>) {
        let mut seen = None;
        loop {
            match self.look().await {
                Ok(end) => {
                    if seen.replace(end).is_some_and(|seen| seen != end) {
                        changed.send_modify(|count| *count += 1);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "Others may hold this process to be dead");
                }
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Says that the process lives, and looks how far the feed is and whether others live.
    async fn look(&self) -> Result<i64, Error> {
        self.say(LIFE).await?;
        let mut sql = Sql::new(Dialect::Postgres);
        sql.push(
            "SELECT (SELECT coalesce(max(sequence), 0) FROM change), \
             (SELECT count(*) FROM process WHERE expires > ",
        );
        sql.push(now(Dialect::Postgres)).push(")");
        let mut pooled = self.pool.acquire().await.map_err(Error::database)?;
        let row = Connection::Postgres(&mut pooled).fetch_first(sql).await?;
        let row = row.ok_or(Error::Corrupt("process"))?;
        self.has_others
            .store(row.integer(1)? > 1, Ordering::Relaxed);
        row.integer(0)
    }

    /// Tells others that something was written here.
    async fn tell(self, mut written: watch::Receiver<u64>) {
        while written.changed().await.is_ok() {
            if self.has_others.load(Ordering::Relaxed)
                && let Err(error) = self.notify().await
            {
                tracing::debug!(%error, "Others learn of a change by looking for it");
            }
            tokio::time::sleep(NOTICE_PAUSE).await;
        }
    }

    async fn notify(&self) -> Result<(), Error> {
        let mut pooled = self.pool.acquire().await.map_err(Error::database)?;
        let binds = [CHANNEL.into(), self.process.to_string().into()];
        let sql = Sql::fixed(Dialect::Postgres, "SELECT pg_notify($1, $2)", binds);
        Connection::Postgres(&mut pooled).execute(sql).await
    }

    /// Ticks whenever another process tells that it has written.
    async fn hear(self, changed: watch::Sender<u64>) {
        let mut is_said = false;
        loop {
            if let Err(error) = self.hear_on(&changed).await
                && !std::mem::replace(&mut is_said, true)
            {
                tracing::warn!(
                    %error,
                    "This database has no LISTEN: what other processes change is seen up to {} ms later",
                    BEAT.as_millis()
                );
            }
            tokio::time::sleep(LISTEN_PAUSE).await;
        }
    }

    async fn hear_on(&self, changed: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
        let own = self.process.to_string();
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        loop {
            if listener.recv().await?.payload() != own {
                changed.send_modify(|count| *count += 1);
            }
        }
    }
}
