//! Durable work: what is not done while its client waits.
//!
//! A job is a row of the store: queued with what it needs, claimed by a living process, tried again
//! from the start when that process dies or the store was away, and ended with a result that is kept
//! for a while. Its handler works through a store behind a fence: what it writes is written once,
//! whatever happens, because each of its transactions makes sure that the job is still its own and
//! leaves a mark of what it did.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fhir_model::issue::{Issue, IssueType, OperationOutcome};
use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::{self, Error};
use crate::interaction::live::Live;
use crate::interaction::outcome::{outcome, status};
use crate::job::request::Request;
use crate::store::{AttemptEnd, ClaimedJob, Job, JobLease, NewJob, Store};

pub mod request;

/// Jobs under way at once in this process.
pub const JOBS_AT_ONCE: usize = 2;
/// How often a job is tried at most.
const ATTEMPTS_MAX: i64 = 5;
/// The pause after the first attempt that failed; doubled at each further one.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How often jobs of other processes, and those to be tried again, are looked for.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// How often a running job is looked at: whether it was cancelled.
const WATCH_PERIOD: Duration = Duration::from_secs(1);
/// How often old results are deleted.
const EXPIRE_PERIOD: Duration = Duration::from_mins(1);

/// Queues jobs, and does them.
pub struct Jobs {
    live: Arc<Live>,
    queued: Notify,
}

impl Jobs {
    /// Jobs of the services in force.
    pub fn new(live: Arc<Live>) -> Self {
        Self {
            live,
            queued: Notify::new(),
        }
    }

    /// Queues a job; gives the id by which it is asked for, which nobody can guess, or nothing where
    /// too many are waiting.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn submit(&self, request: &Request) -> Result<Option<String>, Error> {
        let services = self.live.current();
        let id = Uuid::new_v4().to_string();
        let job = NewJob {
            id: id.clone(),
            kind: request.kind(),
            parameters: request.to_json()?,
            created: services.clock.now(),
        };
        if !services.store.submit_job(job).await? {
            return Ok(None);
        }
        self.queued.notify_one();
        Ok(Some(id))
    }

    /// A job, with its result when it has one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find(&self, id: &str) -> Result<Option<Job>, Error> {
        Ok(self.store().job(id).await?)
    }

    /// Takes a job away, with its result; one that is running stops. False where there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cancel(&self, id: &str) -> Result<bool, Error> {
        Ok(self.store().cancel_job(id.to_owned()).await?)
    }

    fn store(&self) -> Store {
        self.live.current().store.clone()
    }

    /// Does jobs, one after another, until `stop`; what is under way then is done by another process,
    /// or after the next start.
    pub async fn work(self: Arc<Self>, stop: CancellationToken) {
        let working = async {
            loop {
                match self.store().claim_job(Request::KINDS.to_vec()).await {
                    Ok(Some(job)) => self.attempt(job).await,
                    Ok(None) => self.wait().await,
                    Err(error) => {
                        tracing::error!(error = error::chain(&error), "Jobs could not be read");
                        tokio::time::sleep(LOOK_PERIOD).await;
                    }
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = working => {}
        }
    }

    /// Deletes old results from time to time, until `stop`.
    pub async fn expire(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EXPIRE_PERIOD) => {}
            }
            if let Err(error) = self.store().expire_jobs().await {
                let error = error::chain(&error);
                tracing::error!(error, "Old results could not be deleted");
            }
        }
    }

    async fn wait(&self) {
        tokio::select! {
            () = self.queued.notified() => {}
            () = tokio::time::sleep(LOOK_PERIOD) => {}
        }
    }

    /// Does a job, unless it is cancelled meanwhile, and keeps how that ended.
    async fn attempt(&self, job: ClaimedJob) {
        let lease = job.lease.clone();
        let end = tokio::select! {
            end = self.perform(job) => end,
            () = self.cancelled(&lease) => {
                tracing::info!(job.row = lease.row, "A job was cancelled");
                return;
            }
        };
        if let Err(error) = self.store().end_attempt(lease.clone(), end).await {
            tracing::error!(
                job.row = lease.row,
                error = error::chain(&error),
                "The end of a job could not be kept; it will be done again"
            );
        }
    }

    /// Returns when the job is no longer this process's.
    async fn cancelled(&self, lease: &JobLease) {
        loop {
            tokio::time::sleep(WATCH_PERIOD).await;
            let progress = format!("running, attempt {}", lease.attempt);
            let is_held = self.store().set_job_progress(lease.clone(), progress).await;
            if matches!(is_held, Ok(false)) {
                return;
            }
        }
    }

    async fn perform(&self, job: ClaimedJob) -> AttemptEnd {
        let attempt = job.lease.attempt;
        if attempt > ATTEMPTS_MAX {
            return given_up("the server stopped whenever it did this");
        }
        let services = self.live.current();
        let performing = AssertUnwindSafe(request::perform(&services, job)).catch_unwind();
        match performing.await {
            Ok(Ok(result)) => AttemptEnd::Done(200, result),
            Ok(Err(Error::Unavailable(cause))) if attempt < ATTEMPTS_MAX => {
                tracing::warn!(error = error::chain(cause.as_ref()), "A job is tried again");
                AttemptEnd::Again(RETRY_PAUSE * 2_u32.pow(u32::try_from(attempt - 1).unwrap_or(0)))
            }
            Ok(Err(error)) => AttemptEnd::Failed(status(&error), outcome(&error).to_json()),
            Err(_) => {
                tracing::error!("A job panicked");
                given_up("internal error")
            }
        }
    }
}

fn given_up(why: &str) -> AttemptEnd {
    let issue = Issue::error(IssueType::Exception, why);
    AttemptEnd::Failed(500, OperationOutcome::new(vec![issue]).to_json())
}
