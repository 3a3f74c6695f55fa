//! How long a search may take, on either engine.
//!
//! SQLite asks from time to time, while it works, whether to go on; PostgreSQL looks at the clock
//! itself. Both leave the connection as it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::SqliteConnection;
use tokio::time::Instant;

use crate::store::Error;

/// SQLite's steps between two looks at the clock: less than a millisecond's work.
const STEPS: i32 = 4_000;

/// A deadline of a connection to SQLite, until it is dropped.
#[derive(Debug)]
pub(crate) struct Deadline(Arc<AtomicBool>);

impl Drop for Deadline {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Stops what the connection does once so much time has passed.
pub(crate) async fn set(
    connection: &mut SqliteConnection,
    time: Duration,
) -> Result<Deadline, Error> {
    let end = Instant::now() + time;
    let is_set = Arc::new(AtomicBool::new(true));
    let deadline = Deadline(Arc::clone(&is_set));
    let mut handle = connection.lock_handle().await.map_err(Error::database)?;
    handle.set_progress_handler(STEPS, move || {
        !is_set.load(Ordering::Relaxed) || Instant::now() < end
    });
    Ok(deadline)
}

/// What begins a transaction on PostgreSQL that only reads, all of it as of one moment, and no
/// statement of which takes longer.
pub(crate) fn begin(time: Duration) -> String {
    let ms = time.as_millis().max(1);
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {ms}")
}
