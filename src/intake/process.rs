//! Processing: one message of the inbox takes its effects, in one commit with its new state.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt as _;
use hl7v2::Message;
use tokio_util::sync::CancellationToken;

use crate::adt::data_type::Identifier;
use crate::adt::trigger_event::Movement;
use crate::adt::visit::{self, Visit};
use crate::adt::{Arrival, VisitIdentifier};
use crate::config::{Config, Feed};
use crate::error::{self, Error};
use crate::intake::lanes::Queue;
use crate::intake::process::effects::Effects;
use crate::intake::{Intake, context};
use crate::interaction::{Context, search};
use crate::operation::pathway::Pathways;
use crate::store::{
    Claim, MessageQuery, MessageState, StoredMessage, Transaction, VisitMessage, Work,
};

mod effects;

/// How often rows that no lane holds are looked for.
const SWEEP_PERIOD: Duration = Duration::from_secs(30);
/// A row that has waited for so long is in no lane.
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
            // A panic is a defect that one message brings to light: the others of the lane go on.
            if AssertUnwindSafe(self.process_row(row))
                .catch_unwind()
                .await
                .is_err()
            {
                tracing::error!(message.row = row, "Processing a message panicked");
                self.set_aside(row, "processing the message failed by a defect of Baton")
                    .await;
            }
            queue.done();
        }
    }

    /// Queues what was durable and not processed when Baton stopped. It comes before all that is
    /// received from now on, so that the messages of a patient keep their order.
    pub async fn resume(&self) {
        self.queue_waiting(TimeDelta::zero()).await;
        self.lanes.resumed();
    }

    /// Queues, from time to time, the rows that got lost between the store and a lane, and those
    /// whose processing failed for a reason that may have passed.
    pub async fn sweep(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP_PERIOD) => {}
            }
            self.queue_waiting(TimeDelta::seconds(SWEEP_AGE_SECS)).await;
        }
    }

    async fn queue_waiting(&self, age: TimeDelta) {
        if let Err(error) = self.queue_unprocessed(age).await {
            tracing::error!(error = error::chain(&error), "The inbox could not be read");
        }
    }

    /// Queues what has waited for at least `age`: younger rows are in their lanes.
    async fn queue_unprocessed(&self, age: TimeDelta) -> Result<(), crate::store::Error> {
        let until = self.services().clock.now() - age;
        for state in [MessageState::Received, MessageState::Failed] {
            let mut after = None;
            loop {
                let query = MessageQuery {
                    state: Some(state),
                    feed: None,
                    after,
                    count: SWEEP_ROWS_MAX,
                };
                let rows = self.services().store.messages(&query).await?;
                let Some(last) = rows.last() else { break };
                after = Some(last.row);
                let waiting = |stored: &StoredMessage| stored.message.received <= until;
                for stored in rows.into_iter().filter(waiting) {
                    let key = match hl7v2::parse(&stored.message.bytes) {
                        Ok(parsed) => super::lane_key(&parsed.message, &stored),
                        Err(_) => String::new(),
                    };
                    self.lanes.push(key, stored.row).await;
                }
            }
        }
        Ok(())
    }

    /// Processes a row. One that cannot succeed is set aside; one that fails for a reason that may
    /// pass is tried again soon, then left for the next sweeps, and set aside in the end.
    async fn process_row(&self, row: i64) {
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
                Ok(()) => return,
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
                        return;
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

/// A message and its feed, read from the inbox.
struct Read {
    stored: StoredMessage,
    message: Message,
    feed: Arc<Feed>,
}

impl Read {
    fn arrival(&self) -> Arrival<'_> {
        Arrival {
            message: &self.message,
            feed: &self.feed,
            row: self.stored.row,
            received: self.stored.message.received,
        }
    }
}

/// Why a message of a visit is set aside although the person it names was brought up to date.
const NO_VISIT: &str = "no PV1, or neither PV1-19 nor PID-18 nor PV1-50 says which visit it is";

/// How much of a message took effect.
enum Effect {
    /// All that Baton makes of such a message.
    Whole,
    /// The message speaks of a visit and does not say of which: an operator has to.
    PersonOnly,
}

struct Process {
    context: Context,
    config: Arc<Config>,
    unclaimed: Arc<Feed>,
    pathways: Arc<Pathways>,
    row: i64,
}

impl Work for Process {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        let Some(stored) = transaction.message(self.row).await? else {
            return Ok(());
        };
        if !matches!(
            stored.message.state,
            MessageState::Received | MessageState::Failed
        ) {
            return Ok(());
        }
        let Some(read) = self.read(stored) else {
            let reason = "the message can no longer be read";
            transaction.set_message_state(self.row, MessageState::SetAside, reason);
            return Ok(());
        };
        let (state, reason) = match self.take_effect(transaction, &read).await? {
            Effect::Whole => (MessageState::Processed, ""),
            Effect::PersonOnly => (MessageState::SetAside, NO_VISIT),
        };
        transaction.set_message_state(self.row, state, reason);
        Ok(())
    }
}

impl Process {
    fn read(&self, stored: StoredMessage) -> Option<Read> {
        let message = hl7v2::parse(&stored.message.bytes).ok()?.message;
        let named = |feed: &&Arc<Feed>| feed.name == *stored.message.feed;
        let feed = self
            .config
            .feeds
            .iter()
            .find(named)
            .unwrap_or(&self.unclaimed);
        let feed = Arc::clone(feed);
        Some(Read {
            stored,
            message,
            feed,
        })
    }

    async fn take_effect(
        &self,
        transaction: &mut Transaction<'_>,
        read: &Read,
    ) -> Result<Effect, Error> {
        let arrival = read.arrival();
        let identifiers = arrival.patient_identifiers();
        let visit_identifier = arrival.visit_identifier();
        self.claim(transaction, &identifiers, visit_identifier.as_ref())
            .await?;

        let others = match &visit_identifier {
            Some(identifier) => self.enter_visit(transaction, read, identifier).await?,
            None => Vec::new(),
        };
        let mut arrivals: Vec<Arrival<'_>> = others.iter().map(Read::arrival).collect();
        if visit_identifier.is_some() {
            let place = arrivals.partition_point(|other| other.row < self.row);
            arrivals.insert(place, read.arrival());
        }
        let is_newest = arrivals
            .iter()
            .all(|other| visit::event_order(other, &arrival).is_le());
        let visit = visit_identifier
            .as_ref()
            .and_then(|identifier| visit::fold(identifier, &arrivals));
        let died_in_visit = visit.as_ref().is_some_and(Visit::ended_in_death);
        let mut effects = Effects::new(&self.context, transaction, self.row);
        let person = effects
            .patient(&arrival, &identifiers, is_newest, died_in_visit)
            .await?;
        let encounter = match &visit {
            Some(visit) => {
                let reused = read.stored.control_id_reused;
                Some(effects.visit(visit, &read.feed, &person, reused).await?)
            }
            None => None,
        };
        effects.relations(&arrival, &person).await?;
        effects
            .provenance(&arrival, read.stored.message.received)
            .await?;
        let (context, pathways) = (&self.context, &self.pathways);
        match encounter {
            Some(encounter) => {
                pathways
                    .visit_changed(transaction, context, &encounter, &person)
                    .await?;
            }
            None => {
                pathways
                    .patient_changed(transaction, context, &person)
                    .await?;
            }
        }
        let names_no_visit = visit_identifier.is_none()
            && arrival
                .event()
                .is_some_and(|event| event.movement != Movement::Person);
        Ok(if names_no_visit {
            Effect::PersonOnly
        } else {
            Effect::Whole
        })
    }

    /// Identities under construction, in one order: two messages never wait for each other.
    async fn claim(
        &self,
        transaction: &mut Transaction<'_>,
        identifiers: &[Identifier],
        visit: Option<&VisitIdentifier>,
    ) -> Result<(), Error> {
        let people = identifiers
            .iter()
            .map(|identifier| ("Patient", identifier.token()));
        let visits = visit.map(|visit| ("Encounter", visit.token()));
        let mut claims: Vec<Claim> = people
            .chain(visits)
            .map(|(name, token)| search::claim(name, &format!("identifier={token}")))
            .collect();
        claims.sort();
        claims.dedup();
        Ok(transaction.claim(&claims).await?)
    }

    /// Puts the message in its visit; gives the others that are there, in order of arrival.
    async fn enter_visit(
        &self,
        transaction: &mut Transaction<'_>,
        read: &Read,
        identifier: &VisitIdentifier,
    ) -> Result<Vec<Read>, Error> {
        let visit = identifier.token();
        let mut others = Vec::new();
        for stored in transaction.visit_messages(&visit).await? {
            if stored.row != self.row {
                let other = self.read(stored);
                others.extend(other.filter(|other| other.feed.name == read.feed.name));
            }
        }
        transaction.put_in_visit(VisitMessage {
            visit,
            row: self.row,
        });
        Ok(others)
    }
}
