//! The workflow engine: reads the change feed and the timers, and moves pathways.
//!
//! Nobody calls it from below. It is woken by commits and by the clock, and looks by itself from
//! time to time; every step is one transaction with the engine's position, so a crash loses nothing
//! and repeats nothing. Of several processes on one database one runs the engine, under a lease that
//! each of these transactions makes sure of; when it dies, another takes over within seconds. What
//! must be atomic with an ADT message happens in the intake's commit.

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
use crate::store::{ChangeRow, ReadPosition, SetPosition, Store, Timer, Transaction, Work};

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
/// Where another process runs the engine, this one asks so often whether it is dead.
const HOLD_PERIOD: Duration = Duration::from_secs(1);
/// The pause before the feed is asked for changes that an older transaction holds up.
const BEHIND_PAUSE: Duration = Duration::from_millis(20);
/// After a failure the engine waits so long.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Types whose changes can move a pathway.
const WATCHED: &[&str] = &["Communication", "Encounter", "Group", "Patient", "Task"];

/// Moves pathways.
pub struct Workflow {
    live: Arc<Live>,
    pathways: Arc<Pathways>,
    intake: Arc<Intake>,
    /// One step at a time; nothing while another process runs the engine.
    turn: Mutex<Option<Turn>>,
}

/// What the engine has as long as it runs in this process.
struct Turn {
    /// To be written to only as long as it does.
    store: Store,
    /// How far the feed was read.
    read: i64,
}

impl Workflow {
    /// An engine over the services in force.
    pub fn new(live: Arc<Live>, pathways: Arc<Pathways>, intake: Arc<Intake>) -> Self {
        Self {
            live,
            pathways,
            intake,
            turn: Mutex::default(),
        }
    }

    /// Takes the engine's turn at the start, where no other living process has it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start(&self) -> Result<(), Error> {
        self.hold(&mut *self.turn.lock().await).await.map(drop)
    }

    /// Runs until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut changed = self.services().store.changed();
        loop {
            let _ = changed.borrow_and_update();
            let pause = match AssertUnwindSafe(self.catch_up()).catch_unwind().await {
                Ok(Ok(Progress::Done)) => self.pause().await,
                Ok(Ok(Progress::Behind)) => BEHIND_PAUSE,
                Ok(Ok(Progress::Elsewhere)) => {
                    // Commits are no reason to ask again whether the other process is dead.
                    changed.mark_unchanged();
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(HOLD_PERIOD) => continue,
                    }
                }
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

    /// Takes the engine's turn, where no other living process has it; false where one has.
    async fn hold(&self, turn: &mut Option<Turn>) -> Result<bool, Error> {
        if turn.is_some() {
            return Ok(true); // until a transaction finds otherwise
        }
        let services = self.services();
        let Some(lease) = services.store.hold(ENGINE).await? else {
            return Ok(false);
        };
        let store = services.store.under(lease);
        self.follow_calendar(&store).await?;
        let read = store.transact(ReadPosition(ENGINE)).await?;
        tracing::info!("The workflow engine runs in this process");
        *turn = Some(Turn { store, read });
        Ok(true)
    }

    /// Does everything that is to do now.
    async fn catch_up(&self) -> Result<Progress, Error> {
        let mut held = self.turn.lock().await;
        if !self.hold(&mut held).await? {
            return Ok(Progress::Elsewhere);
        }
        // What fails may have failed because another process has taken over.
        let Some(mut turn) = held.take() else {
            return Ok(Progress::Elsewhere);
        };
        let read = self.read_changes(&mut turn).await?;
        self.fire_timers(&turn, self.services().clock.now()).await?;
        let is_behind = turn.store.changes_end().await? > read;
        *held = Some(turn);
        Ok(if is_behind {
            Progress::Behind
        } else {
            Progress::Done
        })
    }

    /// Waits until every message and every change so far has taken its effects.
    ///
    /// # Errors
    /// When the store fails, or another process runs the engine.
    pub async fn settle(&self) -> Result<(), Error> {
        self.intake.settle().await;
        let mut held = self.turn.lock().await;
        self.hold(&mut held).await?;
        let turn = held.as_mut().ok_or_else(elsewhere)?;
        self.read_every_change(turn).await?;
        self.fire_timers(turn, self.services().clock.now()).await
    }

    /// Moves a clock that is held by hand, firing every timer on the way at its own instant.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the instant lies in the past.
    pub async fn advance(&self, instant: Instant) -> Result<(), Error> {
        self.intake.settle().await;
        let mut held = self.turn.lock().await;
        self.hold(&mut held).await?;
        let turn = held.as_mut().ok_or_else(elsewhere)?;
        self.read_every_change(turn).await?;
        while let Some(due) = self
            .services()
            .store
            .next_timer()
            .await?
            .filter(|due| *due <= instant)
        {
            let now = self.services().clock.now();
            self.move_clock(due.max(now))?;
            self.fire_timers(turn, due.max(now)).await?;
            self.read_every_change(turn).await?;
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
    async fn read_every_change(&self, turn: &mut Turn) -> Result<(), Error> {
        let end = turn.store.changes_end().await?;
        let reading = async {
            while self.read_changes(turn).await? < end {
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
    async fn read_changes(&self, turn: &mut Turn) -> Result<i64, Error> {
        let mut kept = turn.read;
        loop {
            let changes = turn.store.changes_after(turn.read, CHANGES_MAX).await?;
            let Some(last) = changes.last() else {
                return Ok(turn.read);
            };
            let end = last.sequence;
            for change in changes.into_iter().filter(is_watched) {
                kept = change.sequence;
                self.take(&turn.store, change).await?;
            }
            if end - kept > UNKEPT_MAX {
                let position = SetPosition(ENGINE.into(), end);
                turn.store.transact(position).await?;
                kept = end;
            }
            turn.read = end;
        }
    }

    /// One change; one that cannot be acted on is left behind with a line in the log, because
    /// a wrong resource must not stop all others.
    async fn take(&self, store: &Store, change: ChangeRow) -> Result<(), Error> {
        if change.key.resource_type.as_str() == "Group" {
            return self.follow_panel(store, &change).await;
        }
        let sequence = change.sequence;
        let key = change.key.clone();
        let work = React {
            engine: self.context(),
            pathways: Arc::clone(&self.pathways),
            change,
        };
        match attempt(store, work).await {
            Err(error) if is_lasting(&error) => {
                tracing::error!(resource = %key, error = error::chain(&error), "A change of {key} could not be acted on");
                let position = SetPosition(ENGINE.into(), sequence);
                Ok(store.transact(position).await?)
            }
            other => other,
        }
    }

    /// Who joined a panel is followed from a discharge that lies within its thirty days; a
    /// transaction for each, as a panel may have thousands of members.
    async fn follow_panel(&self, store: &Store, change: &ChangeRow) -> Result<(), Error> {
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
            match attempt(store, work).await {
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
    async fn follow_calendar(&self, store: &Store) -> Result<(), Error> {
        let fingerprint = self.pathways.calendar_fingerprint();
        let services = self.services();
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

    async fn fire_timers(&self, turn: &Turn, until: Instant) -> Result<(), Error> {
        loop {
            // A timer's work may set further timers, so those are asked for again.
            let timers = turn.store.due_timers(until, TIMERS_MAX).await?;
            if timers.is_empty() {
                return Ok(());
            }
            for timer in timers {
                self.fire(&turn.store, timer).await?;
            }
        }
    }

    async fn fire(&self, store: &Store, timer: Timer) -> Result<(), Error> {
        let name = timer.name.clone();
        let work = Fire {
            engine: self.context(),
            pathways: Arc::clone(&self.pathways),
            timer,
        };
        match attempt(store, work).await {
            Err(error) if is_lasting(&error) => {
                tracing::error!(
                    timer = name,
                    error = error::chain(&error),
                    "A timer could not be acted on"
                );
                Ok(store.transact(DropTimer(name)).await?)
            }
            other => other,
        }
    }

    fn context(&self) -> Context {
        Context::engine(&self.services(), "workflow")
    }
}

/// How far the engine came.
enum Progress {
    /// Everything is done.
    Done,
    /// There are changes that the feed does not give out yet.
    Behind,
    /// Another process runs the engine.
    Elsewhere,
}

/// Why the engine cannot be asked for something here.
fn elsewhere() -> Error {
    Error::Conflict("another process on this database runs the workflow engine".to_owned())
}

/// Runs a work. A panic is a defect that one change or timer brings to light: it must not come
/// again for ever and keep all others from their turn.
async fn attempt(store: &Store, work: impl Work<Output = (), Error = Error>) -> Result<(), Error> {
    AssertUnwindSafe(store.transact(work))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(Error::Internal("the work panicked".into())))
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
