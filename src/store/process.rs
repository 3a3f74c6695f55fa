//! Processes that share a database, and what only one of them does at a time.
//!
//! A process says every [`BEAT`] that it lives, and counts as dead when it has not for [`LIFE`], by
//! the clock of the database. A lease is good as long as its process lives. Whoever works under a
//! lease, or on a job, works through a store with a [`Fence`]: each transaction first makes sure
//! that the lease or job is still its own, and holds that until its end, so that a process that was
//! slow and not dead cannot write what another one does by now.

use std::sync::Arc;
use std::time::Duration;

use crate::store::sql::{Dialect, Sql};
use crate::store::{Engine, Error, JobLease, Store, Transaction, Work};

/// How often a process says that it lives.
pub(crate) const BEAT: Duration = Duration::from_secs(1);
/// A process that has said nothing for so long is dead: others take over what it had.
pub(crate) const LIFE: Duration = Duration::from_secs(5);

/// The instant of the database, in microseconds.
pub(crate) fn now(dialect: Dialect) -> &'static str {
    dialect.pick(
        "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
    )
}

/// That the process in `column` lives.
pub(crate) fn push_lives(sql: &mut Sql, column: &str) {
    let now = now(sql.dialect);
    sql.push("EXISTS (SELECT 1 FROM process p WHERE p.process = ")
        .push(column)
        .push(" AND p.expires > ")
        .push(now)
        .push(")");
}

/// Says that a process lives for `life` from now.
pub(crate) fn live(dialect: Dialect, process: i64, life: Duration) -> Sql {
    let mut sql = Sql::new(dialect);
    sql.push("INSERT INTO process (process, expires) VALUES (")
        .bind(process)
        .push(", ")
        .push(now(dialect))
        .push(" + ")
        .bind(micros(life))
        .push(") ON CONFLICT (process) DO UPDATE SET expires = excluded.expires");
    sql
}

/// A duration as the database counts it.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

/// What this process does alone, until it dies or is held to be dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What.
    pub name: &'static str,
    /// Grows whenever another process takes the lease.
    pub token: i64,
}

/// What a transaction makes sure of before it does anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fence {
    /// That this process has the lease.
    Lease(Lease),
    /// That it works on the job; which step of it, where its steps are written one by one.
    Job(JobLease, Option<u32>),
}

impl Store {
    /// Takes what only one process does at a time, where no living process has it; gives nothing where
    /// another one has.
    pub async fn hold(&self, name: &'static str) -> Result<Option<Lease>, Error> {
        match &self.0 {
            // No other process has the file open.
            Engine::Sqlite(_) => Ok(Some(Lease { name, token: 0 })),
            Engine::Postgres(_) => self.run(Hold(name)).await,
        }
    }

    /// The same database, to be written to only as long as this process has the lease.
    #[must_use]
    pub fn under(&self, lease: Lease) -> Self {
        Self(self.0.clone(), Some(Arc::new(Fence::Lease(lease))))
    }

    /// Gives a lease back, where it is still this process's.
    pub async fn release(&self, lease: Lease) -> Result<(), Error> {
        match &self.0 {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(_) => self.run(Release(lease)).await,
        }
    }
}

/// Takes a lease that nobody living has. Gives it, or nothing where another process has it.
struct Hold(&'static str);

impl Work for Hold {
    type Output = Option<Lease>;
    type Error = Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<Option<Lease>, Error> {
        transaction.hold(self.0).await
    }
}

/// Gives a lease back.
struct Release(Lease);

impl Work for Release {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        transaction.release(&self.0).await
    }
}

/// A work behind a fence.
pub(crate) struct Fenced<W> {
    pub(crate) fence: Arc<Fence>,
    pub(crate) work: W,
}

impl<W: Work> Work for Fenced<W> {
    type Output = W::Output;
    type Error = W::Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<W::Output, W::Error> {
        transaction.enter(&self.fence).await?;
        let output = self.work.run(transaction).await?;
        transaction.leave().await?;
        Ok(output)
    }
}
