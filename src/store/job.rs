//! Durable work: a job is queued, claimed by a living process, tried again when that dies, and its
//! result is kept for a while.
//!
//! The store knows when a job may run and who has it, not what it does. Its instants are those of
//! the database.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use fhir_model::key::{ResourceKey, VersionId};

use crate::store::process::Fence;
use crate::store::{Error, Store, Transaction, Work, read};

/// The result of a job is kept for so long.
pub const RESULT_KEPT: Duration = Duration::from_hours(24);
/// Jobs that may be queued or running at a time, in the whole database.
const JOBS_OPEN_MAX: i64 = 1_000;
/// Jobs with old results that are deleted at once.
const EXPIRED_MAX: i64 = 1_000;

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Waits for a process, for the first time or again.
    Queued,
    /// A process works on it, or did before it died.
    Running,
    /// It has its result.
    Done,
    /// It ended with an error.
    Failed,
}

impl JobState {
    const ALL: [Self; 4] = [Self::Queued, Self::Running, Self::Done, Self::Failed];

    pub(crate) fn code(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Running => 1,
            Self::Done => 2,
            Self::Failed => 3,
        }
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

/// A job to queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// By which it is asked for: nobody can guess it.
    pub id: String,
    /// Which handler does it.
    pub kind: &'static str,
    /// What the handler needs, as JSON.
    pub parameters: String,
    /// When it was asked for.
    pub created: DateTime<Utc>,
}

/// A job as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// How it stands.
    pub state: JobState,
    /// How far it is, in words.
    pub progress: String,
    /// The HTTP status of its result.
    pub status: u16,
    /// Its result, a FHIR resource as JSON; `None` while it has none.
    pub result: Option<String>,
    /// When the result is deleted.
    pub expires: Option<DateTime<Utc>>,
}

/// That a process works on a job: good until it is cancelled or somebody else claims it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLease {
    /// Which job.
    pub row: i64,
    /// Which attempt: the next one has another lease.
    pub attempt: i64,
}

/// A job that this process has to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    /// Under this lease.
    pub lease: JobLease,
    /// Which handler does it.
    pub kind: String,
    /// What the handler needs, as JSON.
    pub parameters: String,
}

/// A version that a step of a job made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStep {
    /// Which step.
    pub step: u32,
    /// Of which resource.
    pub key: ResourceKey,
    /// Which version.
    pub version: VersionId,
}

impl Store {
    /// Queues a job; false where too many are queued or running.
    pub async fn submit_job(&self, job: NewJob) -> Result<bool, Error> {
        self.run(Submit(job)).await
    }

    /// Claims the oldest job of these kinds that may run; whose process died may run again.
    pub async fn claim_job(&self, kinds: Vec<&'static str>) -> Result<Option<ClaimedJob>, Error> {
        self.run(ClaimJob(kinds)).await
    }

    /// The same database, to be written to only as long as this process works on the job.
    #[must_use]
    pub fn for_job(&self, lease: JobLease) -> Self {
        Self(self.0.clone(), Some(Arc::new(Fence::Job(lease, None))))
    }

    /// The same database for one of the job's steps: what that makes is written down with it. Without
    /// a job there are no steps.
    #[must_use]
    pub fn for_step(&self, step: u32) -> Self {
        let fence = match self.1.as_deref() {
            Some(Fence::Job(lease, _)) => Some(Arc::new(Fence::Job(lease.clone(), Some(step)))),
            _ => self.1.clone(),
        };
        Self(self.0.clone(), fence)
    }

    /// What the steps of the job have made in earlier attempts, step by step.
    pub async fn steps_done(&self) -> Result<Vec<JobStep>, Error> {
        let Some(Fence::Job(lease, _)) = self.1.as_deref() else {
            return Ok(Vec::new());
        };
        read::job_steps(&mut self.reader().await?.connection(), lease.row).await
    }

    /// Ends an attempt at a job; nothing happens where that is no longer this process's.
    pub async fn end_attempt(&self, lease: JobLease, end: AttemptEnd) -> Result<(), Error> {
        self.run(EndAttempt(lease, end)).await
    }

    /// Says how far a job is; false where it is no longer this process's.
    pub async fn set_job_progress(&self, lease: JobLease, progress: String) -> Result<bool, Error> {
        self.run(Progress(lease, progress)).await
    }

    /// A job by its id.
    pub async fn job(&self, id: &str) -> Result<Option<Job>, Error> {
        read::job(&mut self.reader().await?.connection(), id).await
    }

    /// Takes a job away, with its result; false where there is none.
    pub async fn cancel_job(&self, id: String) -> Result<bool, Error> {
        self.run(CancelJob(id)).await
    }

    /// Deletes the results of jobs that were kept long enough.
    pub async fn expire_jobs(&self) -> Result<(), Error> {
        self.run(Expire).await
    }
}

/// Queues a job; false where too many are open.
struct Submit(NewJob);

impl Work for Submit {
    type Output = bool;
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<bool, Error> {
        transaction.submit_job(&self.0, JOBS_OPEN_MAX).await
    }
}

/// Claims the oldest job of these kinds that may run.
struct ClaimJob(Vec<&'static str>);

impl Work for ClaimJob {
    type Output = Option<ClaimedJob>;
    type Error = Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<Option<ClaimedJob>, Error> {
        transaction.claim_job(&self.0).await
    }
}

/// Ends an attempt, if the job is still this process's.
struct EndAttempt(JobLease, AttemptEnd);

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEnd {
    /// With a result: its status and text.
    Done(u16, String),
    /// With an error for whoever asked: its status and OperationOutcome.
    Failed(u16, String),
    /// It may be tried again after a pause.
    Again(Duration),
}

impl Work for EndAttempt {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        transaction.end_attempt(&self.0, &self.1).await
    }
}

/// Says how far a job is; false where it is no longer this process's.
struct Progress(JobLease, String);

impl Work for Progress {
    type Output = bool;
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<bool, Error> {
        transaction.set_job_progress(&self.0, &self.1).await
    }
}

/// Takes a job away, with its result; false where there is none.
struct CancelJob(String);

impl Work for CancelJob {
    type Output = bool;
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<bool, Error> {
        transaction.cancel_job(&self.0).await
    }
}

/// Deletes results that were kept long enough.
struct Expire;

impl Work for Expire {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        transaction.expire_jobs(EXPIRED_MAX).await
    }
}
