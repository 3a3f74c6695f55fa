//! The workflow engine: reads the change feed and the timers, and moves pathways.
//!
//! Nobody calls it from below. It is woken by commits and by the clock, and looks by itself from
//! time to time; every step is one transaction with the engine's position, so a crash loses nothing
//! and repeats nothing. What must be atomic with an ADT message happens in the intake's commit.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fhir_model::issue::IssueType;
use fhir_model::key::VersionId;
use fhir_model::reference::Reference;
use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::clock::Instant;
use crate::error::{self, Error};
use crate::intake::Intake;
use crate::interaction::live::Live;
use crate::interaction::{Context, Services, find, invalid};
use crate::operation::pathway::{Pathways, TASK_DUE};
use crate::store::{ChangeRow, ReadPosition, SetPosition, Timer, Transaction, Work};

/// The engine's name in the table of positions.
const ENGINE: &str = "workflow";
/// Changes read at once.
const CHANGES_MAX: u32 = 500;
/// So many changes that concern nobody may be passed over before the position is kept.
const UNKEPT_MAX: i64 = 10_000;
/// The pause before the feed is asked again for a change that it does not give out yet.
const FEED_PAUSE: Duration = Duration::from_millis(5);
/// So long an older transaction may keep changes from being given out.
const FEED_PATIENCE: Duration = Duration::from_secs(30);
/// Under this name the table of positions keeps which calendar the open Tasks were counted by.
const CALENDAR: &str = "workflow/calendar";
/// Open Tasks read at once.
const TASKS_PAGE: u32 = 500;
/// Timers fired at once.
const TIMERS_MAX: u32 = 100;
/// However quiet it is, the engine looks so often.
const PERIOD: Duration = Duration::from_secs(5);
/// After a failure the engine waits so long.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Types whose changes can move a pathway.
const WATCHED: &[&str] = &["Communication", "Encounter", "Group", "Patient", "Task"];

/// Moves pathways.
pub struct Workflow {
    live: Arc<Live>,
    pathways: Arc<Pathways>,
    intake: Arc<Intake>,
    /// One step at a time; how far the feed was read.
    turn: Mutex<Option<i64>>,
}

impl Workflow {
    /// An engine over the services in force.
    pub fn new(live: Arc<Live>, pathways: Arc<Pathways>, intake: Arc<Intake>) -> Self {
        Self {
            live,
            pathways,
            intake,
            turn: Mutex::new(None),
        }
    }

    /// Runs until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut changed = self.services().store.changed();
        loop {
            let _ = changed.borrow_and_update();
            let pause = match AssertUnwindSafe(self.catch_up()).catch_unwind().await {
                Ok(Ok(())) => self.pause().await,
                Err(_) => {
                    tracing::error!("The workflow engine panicked; it tries again");
                    FAILURE_PAUSE
                }
                Ok(Err(error)) => {
                    tracing::error!(
                        error = error::chain(&error),
                        "The workflow engine failed; it tries again"
                    );
                    FAILURE_PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = changed.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// How long there is nothing to do, unless a commit wakes the engine.
    async fn pause(&self) -> Duration {
        if self.services().clock.as_manual().is_some() {
            return PERIOD;
        }
        let next = self.services().store.next_timer().await.ok().flatten();
        let until = next.map(|due| due - self.services().clock.now());
        until.map_or(PERIOD, |until| {
            until.to_std().unwrap_or_default().min(PERIOD)
        })
    }

    /// Does everything that is to do now.
    async fn catch_up(&self) -> Result<(), Error> {
        let mut position = self.turn.lock().await;
        self.read_changes(&mut position).await?;
        self.fire_timers(self.services().clock.now()).await
    }

    /// Waits until every message and every change so far has taken its effects.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn settle(&self) -> Result<(), Error> {
        self.intake.settle().await;
        let mut position = self.turn.lock().await;
        self.read_every_change(&mut position).await?;
        self.fire_timers(self.services().clock.now()).await
    }

    /// Moves a clock that is held by hand, firing every timer on the way at its own instant.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the instant lies in the past.
    pub async fn advance(&self, instant: Instant) -> Result<(), Error> {
        self.intake.settle().await;
        let mut position = self.turn.lock().await;
        self.read_every_change(&mut position).await?;
        while let Some(due) = self
            .services()
            .store
            .next_timer()
            .await?
            .filter(|due| *due <= instant)
        {
            let now = self.services().clock.now();
            self.move_clock(due.max(now))?;
            self.fire_timers(due.max(now)).await?;
            self.read_every_change(&mut position).await?;
        }
        self.move_clock(instant)
    }

    fn move_clock(&self, instant: Instant) -> Result<(), Error> {
        let services = self.services();
        let Some(clock) = services.clock.as_manual() else {
            return Ok(());
        };
        clock.advance(instant).map_err(|now| {
            invalid(
                IssueType::Value,
                format!("the clock stands at {now} and moves forward only"),
            )
        })
    }

    /// Reads the feed up to the newest change that is committed now. PostgreSQL gives a change out
    /// only when no older transaction is open in the whole cluster, so that may take a moment.
    async fn read_every_change(&self, position: &mut Option<i64>) -> Result<(), Error> {
        let end = self.services().store.changes_end().await?;
        let reading = async {
            while self.read_changes(position).await? < end {
                tokio::time::sleep(FEED_PAUSE).await;
            }
            Ok(())
        };
        tokio::time::timeout(FEED_PATIENCE, reading)
            .await
            .unwrap_or_else(|elapsed| Err(Error::Unavailable(elapsed.into())))
    }

    /// Reads the feed to its end, and says where that is. What concerns nobody is passed over without a commit: after a
    /// crash it is read again, to no effect.
    async fn read_changes(&self, position: &mut Option<i64>) -> Result<i64, Error> {
        let mut read = match *position {
            Some(read) => read,
            None => self.services().store.transact(ReadPosition(ENGINE)).await?,
        };
        let mut kept = read;
        loop {
            let changes = self
                .services()
                .store
                .changes_after(read, CHANGES_MAX)
                .await?;
            let Some(last) = changes.last() else {
                return Ok(read);
            };
            let end = last.sequence;
            for change in changes.into_iter().filter(is_watched) {
                kept = change.sequence;
                self.take(change).await?;
            }
            if end - kept > UNKEPT_MAX {
                self.services()
                    .store
                    .transact(SetPosition(ENGINE.into(), end))
                    .await?;
                kept = end;
            }
            read = end;
            *position = Some(read);
        }
    }

    /// One change; one that cannot be acted on is left behind with a line in the log, because
    /// a wrong resource must not stop all others.
    async fn take(&self, change: ChangeRow) -> Result<(), Error> {
        if change.key.resource_type.as_str() == "Group" {
            return self.follow_panel(&change).await;
        }
        let sequence = change.sequence;
        let key = change.key.clone();
        let work = React {
            engine: self.context(),
            pathways: Arc::clone(&self.pathways),
            change,
        };
        match self.attempt(work).await {
            Err(error) if is_lasting(&error) => {
                tracing::error!(resource = %key, error = error::chain(&error), "A change of {key} could not be acted on");
                Ok(self
                    .services()
                    .store
                    .transact(SetPosition(ENGINE.into(), sequence))
                    .await?)
            }
            other => other,
        }
    }

    /// Runs a work. A panic is a defect that one change or timer brings to light: it must not come
    /// again for ever and keep all others from their turn.
    async fn attempt(&self, work: impl Work<Output = (), Error = Error>) -> Result<(), Error> {
        AssertUnwindSafe(self.services().store.transact(work))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Err(Error::Internal("the work panicked".into())))
    }

    /// Who joined a panel is followed from a discharge that lies within its thirty days; a
    /// transaction for each, as a panel may have thousands of members.
    async fn follow_panel(&self, change: &ChangeRow) -> Result<(), Error> {
        let services = self.services();
        let store = &services.store;
        let before = match VersionId::new(change.version.number() - 1) {
            Some(version) => store.vread(&change.key, version).await?,
            None => None,
        };
        let now = store.read(&change.key).await?;
        let [before, now] = [before, now].map(|stored| {
            let text = stored.and_then(|stored| stored.text)?;
            serde_json::from_str::<Value>(&text).ok()
        });
        let joined = now.map(|group| self.pathways.joined(before.as_ref(), &group));
        for patient_id in joined.into_iter().flatten() {
            let work = Join {
                engine: self.context(),
                pathways: Arc::clone(&self.pathways),
                patient_id,
            };
            match self.attempt(work).await {
                Err(error) if is_lasting(&error) => {
                    tracing::error!(resource = %change.key, error = error::chain(&error), "A member of {} cannot be followed", change.key);
                }
                other => other?,
            }
        }
        Ok(store
            .transact(SetPosition(ENGINE.into(), change.sequence))
            .await?)
    }

    /// When the organisation's calendar is another than at the last start, open Tasks that count
    /// business days are due anew.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn follow_calendar(&self) -> Result<(), Error> {
        let fingerprint = self.pathways.calendar_fingerprint();
        let services = self.services();
        let store = &services.store;
        if store.transact(ReadPosition(CALENDAR)).await? == fingerprint {
            return Ok(());
        }
        let mut search = self.pathways.open_tasks(&services)?;
        search.count = TASKS_PAGE;
        let mut patients = BTreeSet::new();
        loop {
            let page = store.search(&search).await?;
            for stored in &page.matches {
                if let Some(task) = find::value(stored)? {
                    patients.extend(patient_of(&services, &task));
                }
            }
            match page.next {
                Some(next) => search.after = Some(next),
                None => break,
            }
        }
        for patient_id in patients {
            let pathways = Arc::clone(&self.pathways);
            store
                .transact(Recount {
                    engine: self.context(),
                    pathways,
                    patient_id,
                })
                .await?;
        }
        Ok(store
            .transact(SetPosition(CALENDAR.into(), fingerprint))
            .await?)
    }

    fn services(&self) -> Arc<Services> {
        self.live.current()
    }

    async fn fire_timers(&self, until: Instant) -> Result<(), Error> {
        loop {
            // A timer's work may set further timers, so those are asked for again.
            let timers = self.services().store.due_timers(until, TIMERS_MAX).await?;
            if timers.is_empty() {
                return Ok(());
            }
            for timer in timers {
                self.fire(timer).await?;
            }
        }
    }

    async fn fire(&self, timer: Timer) -> Result<(), Error> {
        let name = timer.name.clone();
        let work = Fire {
            engine: self.context(),
            pathways: Arc::clone(&self.pathways),
            timer,
        };
        match self.attempt(work).await {
            Err(error) if is_lasting(&error) => {
                tracing::error!(
                    timer = name,
                    error = error::chain(&error),
                    "A timer could not be acted on"
                );
                Ok(self.services().store.transact(DropTimer(name)).await?)
            }
            other => other,
        }
    }

    fn context(&self) -> Context {
        Context::engine(&self.services(), "workflow")
    }
}

/// Whether trying again will not help.
fn is_lasting(error: &Error) -> bool {
    !matches!(
        error,
        Error::Unavailable(_) | Error::Conflict(_) | Error::VersionConflict { .. }
    )
}

/// Changes of pathways themselves and those of the intake have had their effects in their own commit.
fn is_watched(change: &ChangeRow) -> bool {
    let from_outside = change.cause != "pathway" && !change.cause.starts_with("adt_message/");
    from_outside && WATCHED.contains(&change.key.resource_type.as_str())
}

struct DropTimer(String);

impl Work for DropTimer {
    type Output = ();
    type Error = crate::store::Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<(), crate::store::Error> {
        transaction.take_timer(&self.0).await.map(drop)
    }
}

/// Acts on one change.
struct React {
    engine: Context,
    pathways: Arc<Pathways>,
    change: ChangeRow,
}

impl Work for React {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        let position = transaction.position(ENGINE).await?;
        if position >= self.change.sequence {
            return Ok(());
        }
        // The resource as it is now: what it was in between does not matter.
        if let Some(resource) = find::current(transaction, &self.change.key).await? {
            self.act(transaction, &resource).await?;
        }
        Ok(transaction
            .set_position(ENGINE, self.change.sequence)
            .await?)
    }
}

impl React {
    async fn act(&self, transaction: &mut Transaction<'_>, resource: &Value) -> Result<(), Error> {
        let services = &self.engine.services;
        let Some(patient_id) = patient_of(services, resource) else {
            return Ok(());
        };
        let resource_type = self.change.key.resource_type.as_str();
        if resource_type == "Encounter" {
            let key = services.key("Patient", &patient_id)?;
            if let Some(patient) = find::current(transaction, &key).await? {
                self.pathways
                    .visit_changed(transaction, &self.engine, resource, &patient)
                    .await?;
            }
        }
        if resource_type == "Patient" {
            self.pathways
                .patient_changed(transaction, &self.engine, resource)
                .await?;
        } else {
            self.pathways
                .resource_changed(transaction, &self.engine, resource, &patient_id)
                .await?;
        }
        Ok(())
    }
}

/// Acts on one timer, once.
struct Fire {
    engine: Context,
    pathways: Arc<Pathways>,
    timer: Timer,
}

impl Work for Fire {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        let Some(timer) = transaction.take_timer(&self.timer.name).await? else {
            return Ok(());
        };
        if timer.kind != TASK_DUE {
            return Ok(());
        }
        let Some(task) = find::current(transaction, &timer.subject).await? else {
            return Ok(());
        };
        let Some(patient_id) = patient_of(&self.engine.services, &task) else {
            return Ok(());
        };
        let task_id = timer.subject.id.as_str();
        self.pathways
            .task_due(transaction, &self.engine, task_id, &patient_id)
            .await?;
        Ok(())
    }
}

/// Follows one patient who joined a panel.
struct Join {
    engine: Context,
    pathways: Arc<Pathways>,
    patient_id: String,
}

impl Work for Join {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        let key = self.engine.services.key("Patient", &self.patient_id)?;
        if let Some(patient) = find::current(transaction, &key).await? {
            self.pathways
                .panel_joined(transaction, &self.engine, &patient)
                .await?;
        }
        Ok(())
    }
}

/// Counts the business days of one patient's open Tasks again.
struct Recount {
    engine: Context,
    pathways: Arc<Pathways>,
    patient_id: String,
}

impl Work for Recount {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        self.pathways
            .recount(transaction, &self.engine, &self.patient_id)
            .await
            .map(drop)
    }
}

/// The patient whom a resource concerns.
fn patient_of(services: &Services, resource: &Value) -> Option<String> {
    if resource["resourceType"] == "Patient" {
        return resource["id"].as_str().map(str::to_owned);
    }
    let reference = ["subject", "patient", "for"]
        .iter()
        .find_map(|key| resource.get(*key)?.get("reference")?.as_str())?;
    match Reference::parse(reference, Some(&services.own_base)) {
        Reference::Local(target) if target.resource_type == "Patient" => Some(target.id.to_owned()),
        _ => None,
    }
}
