//! Jobs, inside a transaction.

use crate::store::process;
use crate::store::process::Fence;
use crate::store::sql::{Bind, Row, Sql};
use crate::store::transaction::Transaction;
use crate::store::{AttemptEnd, ClaimedJob, Error, JobLease, JobState, NewJob, RESULT_KEPT};

impl Transaction<'_> {
    /// Queues a job; false where `open_max` are open already.
    pub(crate) async fn submit_job(&mut self, job: &NewJob, open_max: i64) -> Result<bool, Error> {
        let dialect = self.connection.dialect();
        let open = "SELECT count(*) FROM job WHERE state < 2";
        let open = self.fetch(Sql::fixed(dialect, open, [])).await?;
        if open.first().map(|row| row.integer(0)).transpose()? >= Some(open_max) {
            return Ok(false);
        }
        let mut sql = Sql::new(dialect);
        sql.push(
            "INSERT INTO job (row_key, id, kind, state, attempts, process, not_before, created, \
             progress, status, parameters) VALUES ",
        );
        sql.bind_list([
            Bind::Integer(self.next_key(job.created)),
            job.id.as_str().into(),
            job.kind.into(),
            JobState::Queued.code().into(),
            0.into(),
            0.into(),
            0.into(),
            job.created.timestamp_micros().into(),
            "".into(),
            0.into(),
            job.parameters.as_str().into(),
        ]);
        self.write(sql).await?;
        Ok(true)
    }

    /// Claims the oldest job of these kinds that may run: one that waits, or one whose process died.
    pub(crate) async fn claim_job(&mut self, kinds: &[&str]) -> Result<Option<ClaimedJob>, Error> {
        let dialect = self.connection.dialect();
        let mut sql = Sql::new(dialect);
        sql.push("UPDATE job SET state = ")
            .bind(JobState::Running.code())
            .push(", attempts = attempts + 1, process = ")
            .bind(self.keys.process())
            .push(" WHERE row_key IN (SELECT j.row_key FROM job j WHERE j.state < 2 AND ((j.state = 0 AND j.not_before <= ")
            .push(process::now(dialect))
            .push(") OR (j.state = 1 AND NOT ");
        process::push_lives(&mut sql, "j.process");
        sql.push(")) AND j.kind IN ")
            .bind_list(kinds.iter().copied());
        sql.push(" ORDER BY j.row_key LIMIT 1")
            .push(dialect.pick("", " FOR UPDATE OF j SKIP LOCKED"));
        sql.push(") RETURNING row_key, attempts, kind, parameters");
        let rows = self.write_fetching(sql).await?;
        rows.first().map(claimed).transpose()
    }

    /// Ends an attempt. One whose job is no longer this process's, or has its result already, changes
    /// nothing.
    pub(crate) async fn end_attempt(
        &mut self,
        lease: &JobLease,
        end: &AttemptEnd,
    ) -> Result<(), Error> {
        let dialect = self.connection.dialect();
        let mut sql = Sql::new(dialect);
        sql.push("UPDATE job SET state = ");
        match end {
            AttemptEnd::Done(status, result) => {
                push_result(&mut sql, JobState::Done, *status, result);
            }
            AttemptEnd::Failed(status, result) => {
                push_result(&mut sql, JobState::Failed, *status, result);
            }
            AttemptEnd::Again(pause) => {
                sql.bind(JobState::Queued.code())
                    .push(", not_before = ")
                    .push(process::now(dialect))
                    .push(" + ")
                    .bind(process::micros(*pause));
            }
        }
        sql.push(" WHERE ");
        self.push_own_job(&mut sql, lease);
        sql.push(" RETURNING row_key");
        let ended = self.write_fetching(sql).await?;
        if ended.is_empty() || matches!(end, AttemptEnd::Again(_)) {
            return Ok(());
        }
        let text = "DELETE FROM job_step WHERE job = $1";
        self.write(Sql::fixed(dialect, text, [lease.row.into()]))
            .await
    }

    /// Whether this transaction is all that a job does, so that its result can be kept with it.
    pub fn is_whole_job(&self) -> bool {
        matches!(self.fence.as_deref(), Some(Fence::Job(_, None)))
    }

    /// Keeps the result of the job that this transaction is.
    pub async fn finish_job(&mut self, status: u16, result: String) -> Result<(), Error> {
        let Some(Fence::Job(lease, None)) = self.fence.as_deref().cloned() else {
            return Ok(());
        };
        self.end_attempt(&lease, &AttemptEnd::Done(status, result))
            .await
    }

    /// Says how far a job is; false where it is no longer this process's.
    pub(crate) async fn set_job_progress(
        &mut self,
        lease: &JobLease,
        progress: &str,
    ) -> Result<bool, Error> {
        let mut sql = Sql::new(self.connection.dialect());
        sql.push("UPDATE job SET progress = ").bind(progress);
        sql.push(" WHERE ");
        self.push_own_job(&mut sql, lease);
        sql.push(" RETURNING row_key");
        Ok(!self.write_fetching(sql).await?.is_empty())
    }

    /// Takes a job away; false where there is none.
    pub(crate) async fn cancel_job(&mut self, id: &str) -> Result<bool, Error> {
        let dialect = self.connection.dialect();
        let text = "DELETE FROM job WHERE id = $1 RETURNING row_key";
        let gone = self
            .write_fetching(Sql::fixed(dialect, text, [id.into()]))
            .await?;
        let Some(row) = gone.first() else {
            return Ok(false);
        };
        let job = row.integer(0)?;
        let text = "DELETE FROM job_step WHERE job = $1";
        self.write(Sql::fixed(dialect, text, [job.into()])).await?;
        Ok(true)
    }

    /// Deletes results that were kept long enough.
    pub(crate) async fn expire_jobs(&mut self, count: i64) -> Result<(), Error> {
        let dialect = self.connection.dialect();
        let mut sql = Sql::new(dialect);
        sql.push("DELETE FROM job WHERE row_key IN (SELECT row_key FROM job WHERE expires <= ")
            .push(process::now(dialect))
            .push(" LIMIT ")
            .bind(count)
            .push(")");
        self.write(sql).await
    }
}

/// Sets the columns of a job that has ended.
fn push_result(sql: &mut Sql, state: JobState, status: u16, result: &str) {
    let now = process::now(sql.dialect);
    sql.bind(state.code());
    sql.push(", status = ").bind(i64::from(status));
    sql.push(", result = ").bind(result);
    sql.push(", parameters = '', progress = '', finished = ")
        .push(now);
    sql.push(", expires = ").push(now).push(" + ");
    sql.bind(process::micros(RESULT_KEPT));
}

fn claimed(row: &Row) -> Result<ClaimedJob, Error> {
    Ok(ClaimedJob {
        lease: JobLease {
            row: row.integer(0)?,
            attempt: row.integer(1)?,
        },
        kind: row.text(2)?.to_owned(),
        parameters: row.text(3)?.to_owned(),
    })
}
