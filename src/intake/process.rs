//! Processing: one message of the inbox takes its effects, in one commit with its new state.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::error::{self, Error};
use crate::intake::lanes::Queue;
use crate::intake::process::work::Process;
use crate::intake::{Intake, context};
use crate::store::{MessageState, TakeOrphans, Transaction, Work};

mod effects;
mod work;

/// How often messages of processes that died are looked for.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// Every so many looks, rows that no lane holds are looked for.
const LOOKS_PER_SWEEP: u32 = 30;
/// A row that has waited for so long and is in no lane has got lost, or is to be tried again.
const SWEEP_AGE_SECS: i64 = 60;
/// Rows of the inbox read at once in a sweep.
const SWEEP_ROWS_MAX: u32 = 1000;
/// How often processing is tried in one go: another transaction may be in the way for a moment.
const TRIES_MAX: u32 = 5;
/// The pause after a failed attempt; doubled at each further one.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

impl Intake {
    /// The worker of a lane: processes its rows one after another until the lane closes.
    pub async fn process(self: Arc<Self>, mut queue: Queue, stop: CancellationToken) {
        loop {
            let row = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                row = queue.next() => row,
            };
            let Some(row) = row else { return };
            self.process_in_turn(row).await;
            queue.done(row);
        }
    }

    /// Processes a row, after those that wait before it in its lane: another process may have received
    /// them, and be as far as this one or dead. Whoever comes to it first processes it.
    async fn process_in_turn(&self, row: i64) {
        let mut before = None;
        while let Some(earlier) = self.process_safely(row).await {
            if before.replace(earlier) == Some(earlier) {
                return; // the store is away: a sweep comes back to both
            }
            self.process_safely(earlier).await;
        }
    }

    /// Processes a row. A panic is a defect that one message brings to light: the others go on.
    async fn process_safely(&self, row: i64) -> Option<i64> {
        let processing = AssertUnwindSafe(self.process_row(row)).catch_unwind();
        if let Ok(earlier) = processing.await {
            return earlier;
        }
        tracing::error!(message.row = row, "Processing a message panicked");
        self.set_aside(row, "processing the message failed by a defect of Baton")
            .await;
        None
    }

    /// Queues what was durable and not processed when Baton stopped. It comes before all that is
    /// received from now on, so that the messages of a patient keep their order.
    pub async fn resume(&self) {
        note_failure(self.queue_orphans(true).await);
        self.lanes.resumed();
    }

    /// Queues what a process that died has left, soon; and from time to time the rows that got lost
    /// between the store and a lane, and those whose processing failed for a reason that may have
    /// passed.
    pub async fn sweep(self: Arc<Self>, stop: CancellationToken) {
        let mut looks = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_PERIOD) => {}
            }
            looks = (looks + 1) % LOOKS_PER_SWEEP;
            note_failure(self.queue_orphans(looks == 0).await);
            if looks == 0 {
                note_failure(self.queue_waiting().await);
            }
        }
    }

    /// Takes over messages whose process is dead. `is_thorough` looks through the inbox although
    /// no process is known to have died.
    async fn queue_orphans(&self, is_thorough: bool) -> Result<(), crate::store::Error> {
        let work = TakeOrphans {
            count: SWEEP_ROWS_MAX,
            is_thorough,
        };
        loop {
            let taken = self.services().store.transact(work).await?;
            if taken.is_empty() {
                return Ok(());
            }
            tracing::info!(
                "{} messages of a process that ended are taken over",
                taken.len()
            );
            for (row, lane) in taken {
                self.lanes.push(lane, row).await;
            }
        }
    }

    /// Queues own rows that have waited for long, if they are in no lane.
    async fn queue_waiting(&self) -> Result<(), crate::store::Error> {
        let services = self.services();
        let until = services.clock.now() - TimeDelta::seconds(SWEEP_AGE_SECS);
        let mut after = None;
        loop {
            let waiting = services
                .store
                .waiting_messages(until, after, SWEEP_ROWS_MAX)
                .await?;
            let Some((last, _)) = waiting.last() else {
                return Ok(());
            };
            after = Some(*last);
            for (row, lane) in waiting {
                self.lanes.push(lane, row).await;
            }
        }
    }

    /// Processes a row. One that cannot succeed is set aside; one that fails for a reason that may
    /// pass is tried again soon, then left for the next sweeps, and set aside in the end. Gives the
    /// row that has to be processed before.
    async fn process_row(&self, row: i64) -> Option<i64> {
        let mut pause = RETRY_PAUSE;
        for attempt in 1..=TRIES_MAX {
            let work = Process {
                context: context(&self.services()),
                config: Arc::clone(&self.config),
                unclaimed: Arc::clone(&self.unclaimed),
                pathways: Arc::clone(&self.pathways),
                row,
            };
            match self.services().store.transact(work).await {
                Ok(earlier) => return earlier,
                Err(error) => {
                    let cause = error::chain(&error);
                    tracing::warn!(
                        message.row = row,
                        attempt,
                        error = cause,
                        "Processing a message failed"
                    );
                    if !may_pass(&error) {
                        self.set_aside(row, &reason(&error)).await;
                        return None;
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        let attempts_max = self.config.intake.attempts_max;
        self.give_up(
            row,
            "the store refuses what the message causes",
            attempts_max,
        )
        .await;
        None
    }

    async fn set_aside(&self, row: i64, reason: &str) {
        self.give_up(row, reason, 1).await;
    }

    /// Keeps an attempt that failed with its message; the last one sets it aside. What fails because
    /// the store is away is not counted, as that cannot be kept either.
    async fn give_up(&self, row: i64, reason: &str, attempts_max: u32) {
        let work = GiveUp {
            row,
            reason: reason.to_owned(),
            attempts_max,
        };
        if let Err(error) = self.services().store.transact(work).await {
            tracing::error!(
                message.row = row,
                error = error::chain(&error),
                "That processing a message failed could not be kept; it will be tried again"
            );
        }
    }
}

fn note_failure(result: Result<(), crate::store::Error>) {
    if let Err(error) = result {
        tracing::error!(error = error::chain(&error), "The inbox could not be read");
    }
}

/// Why a message was set aside: the kind of error and the place in our own resource, nothing of
/// the message.
fn reason(error: &Error) -> String {
    let Error::Unprocessable(issues) = error else {
        return error.to_string();
    };
    let errors = issues.iter().filter(|issue| issue.is_error());
    let places: Vec<&str> = errors.map(|issue| issue.location.as_str()).collect();
    format!(
        "what the message was mapped to is not valid: {}",
        places.join(", ")
    )
}

/// Whether the same attempt may succeed later.
fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::Unavailable(_) | Error::Conflict(_) | Error::VersionConflict { .. }
    )
}

struct GiveUp {
    row: i64,
    reason: String,
    attempts_max: u32,
}

impl Work for GiveUp {
    type Output = ();
    type Error = crate::store::Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<(), crate::store::Error> {
        let Some(stored) = transaction.message(self.row).await? else {
            return Ok(());
        };
        let state = if stored.attempts + 1 < self.attempts_max {
            MessageState::Failed
        } else {
            MessageState::SetAside
        };
        transaction.set_message_state(self.row, state, &self.reason);
        Ok(())
    }
}
