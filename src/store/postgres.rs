//! The store on PostgreSQL, and on engines that speak its protocol.
//!
//! One transaction per work, READ COMMITTED; rows are locked in the order of type and id. What
//! the database refuses because of another transaction is tried again from the start.

use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres};
use tokio::sync::watch;
use uuid::Uuid;

use crate::store::keys::Keys;
use crate::store::migrate::migrate;
use crate::store::sql::{Connection, Dialect, Sql};
use crate::store::text::Texts;
use crate::store::{Error, SEQUENCES_PER_TRANSACTION_BITS, Transaction, Work};

/// Connections; more do not make a small server faster.
const CONNECTIONS_MAX: u32 = 16;
/// How long to wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that was idle for longer is tested before it is used.
const UNTESTED_IDLE_MAX: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 256;
/// How often a work runs at most.
const ATTEMPTS_MAX: u32 = 10;
/// The longest pause after the first attempt; it doubles with each further one.
const PAUSE_MS: u64 = 2;
/// SQLSTATE of failures that another transaction caused: serialization failure, deadlock, and a
/// unique key that another one just took.
const TRY_AGAIN: [&str; 3] = ["40001", "40P01", "23505"];

/// A database on a server.
#[derive(Debug)]
pub(crate) struct PostgresStore {
    pool: PgPool,
    keys: Keys,
    texts: Texts,
    epoch: i64,
    changed: watch::Sender<u64>,
}

impl PostgresStore {
    /// Opens the database and migrates it as needed.
    pub(crate) async fn open(url: &str) -> Result<Self, Error> {
        let options: PgConnectOptions = url.parse().map_err(Error::database)?;
        let options = options
            .application_name("baton")
            .statement_cache_capacity(STATEMENTS_MAX)
            // a plan for the values at hand, never a generic one on skewed values
            .options([("plan_cache_mode", "force_custom_plan"), ("jit", "off")]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > UNTESTED_IDLE_MAX {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options)
            .await
            .map_err(Error::database)?;
        let mut pooled = pool.acquire().await.map_err(Error::database)?;
        let mut connection = Connection::Postgres(&mut pooled);
        migrate(&mut connection).await?;
        let epoch = epoch(&mut connection).await?;
        let last = last_key(&mut connection).await?;
        let texts = Texts::default();
        texts.read(&mut connection).await?;
        drop(pooled);
        Ok(Self {
            pool,
            keys: Keys::new(last, 0),
            texts,
            epoch,
            changed: watch::Sender::new(0),
        })
    }

    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, Error> {
        self.pool.acquire().await.map_err(Error::database)
    }

    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    pub(crate) fn epoch(&self) -> i64 {
        self.epoch
    }

    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Runs a work, again where another transaction was in its way.
    pub(crate) async fn transact<W: Work>(&self, mut work: W) -> Result<W::Output, W::Error> {
        let mut attempt = 1;
        loop {
            match self.attempt(&mut work).await {
                Ok(output) => return Ok(output),
                Err((_, true)) if attempt < ATTEMPTS_MAX => {
                    tokio::time::sleep(pause(attempt)).await;
                    attempt += 1;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Runs a work once. An error comes with whether trying again can help.
    async fn attempt<W: Work>(&self, work: &mut W) -> Result<W::Output, (W::Error, bool)> {
        let stopped = |error: Error| {
            let again = is_worth_again(&error);
            (W::Error::from(error), again)
        };
        let mut pooled = self.connection().await.map_err(stopped)?;
        let mut open = pooled
            .begin()
            .await
            .map_err(Error::database)
            .map_err(stopped)?;
        let (result, has_changes, lacks_dictionary) = {
            let connection = Connection::Postgres(&mut open);
            let mut transaction = Transaction::new(connection, &self.keys, &self.texts, self.epoch);
            let mut result = work.run(&mut transaction).await;
            if result.is_ok()
                && transaction.may_be_kept()
                && let Err(error) = transaction.finish().await
            {
                result = Err(error.into());
            }
            let failure = transaction.failure();
            let lacks_dictionary = matches!(failure, Some(Error::Dictionary));
            let result = match (result, failure) {
                (Ok(_), Some(error)) => Err(stopped(error)),
                (Err(own), Some(error)) => Err((own, is_worth_again(&error))),
                (Ok(output), None) => Ok(output),
                (Err(own), None) => Err((own, false)),
            };
            (result, transaction.has_changes(), lacks_dictionary)
        };
        match result {
            Ok(output) => {
                open.commit()
                    .await
                    .map_err(Error::database)
                    .map_err(stopped)?;
                if has_changes {
                    self.changed.send_modify(|count| *count += 1);
                }
                Ok(output)
            }
            Err(failed) => {
                // fails where the connection is gone, and the transaction with it
                let _ = open.rollback().await;
                if lacks_dictionary {
                    let mut connection = Connection::Postgres(&mut pooled);
                    self.texts.read(&mut connection).await.map_err(stopped)?;
                }
                Err(failed)
            }
        }
    }
}

/// Whether another transaction was in the way.
fn is_worth_again(error: &Error) -> bool {
    match error {
        Error::Conflict | Error::Dictionary => true,
        Error::Database(error) => {
            let code = error.as_database_error().and_then(DatabaseError::code);
            code.is_some_and(|code| TRY_AGAIN.contains(&code.as_ref()))
        }
        _ => false,
    }
}

/// A random part of a time that doubles with each attempt.
fn pause(attempt: u32) -> Duration {
    let longest = PAUSE_MS << attempt.min(8);
    let random = Uuid::new_v4().as_u64_pair().0;
    Duration::from_micros(random % (longest * 1_000))
}

/// What has to be added to transaction ids so that sequences grow although the server was
/// replaced, and its transaction ids began anew.
async fn epoch(connection: &mut Connection<'_>) -> Result<i64, Error> {
    let text = format!(
        "UPDATE change_epoch SET epoch = greatest(epoch, \
         (greatest((SELECT coalesce(max(sequence), 0) FROM change), \
                   (SELECT coalesce(max(sequence), 0) FROM audit)) \
          >> {SEQUENCES_PER_TRANSACTION_BITS}) + 1 - pg_current_xact_id()::text::bigint) \
         RETURNING epoch"
    );
    let row = connection
        .fetch_first(Sql::fixed(Dialect::Postgres, &text, []))
        .await?;
    row.ok_or(Error::Corrupt("change_epoch"))?.integer(0)
}

async fn last_key(connection: &mut Connection<'_>) -> Result<i64, Error> {
    let text = "SELECT greatest((SELECT coalesce(max(row_key), 0) FROM resource), \
                                (SELECT coalesce(max(row_key), 0) FROM adt_message))";
    let row = connection
        .fetch_first(Sql::fixed(Dialect::Postgres, text, []))
        .await?;
    row.ok_or(Error::Corrupt("keys"))?.integer(0)
}
