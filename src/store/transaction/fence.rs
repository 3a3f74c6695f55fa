//! Leases, and what a transaction makes sure of before it does anything.

use std::sync::Arc;

use fhir_model::key::{ResourceKey, VersionId};

use crate::store::process::{self, Fence};
use crate::store::sql::{Bind, Dialect, Sql};
use crate::store::transaction::{Transaction, number};
use crate::store::{Error, JobLease, JobState, Lease};

impl Transaction<'_> {
    /// Takes a lease that nobody living has.
    pub(crate) async fn hold(&mut self, name: &'static str) -> Result<Option<Lease>, Error> {
        // Most ask in vain, or have it already: neither waits for who works under it.
        match self.holder(name, "").await? {
            Some(found) if found.is_own || found.lives => return Ok(found.lease(name)),
            Some(_) => {}
            None => {
                let text = "INSERT INTO lease (name, process, token) VALUES ($1, 0, 0) \
                            ON CONFLICT DO NOTHING";
                self.write(Sql::fixed(Dialect::Postgres, text, [name.into()]))
                    .await?;
            }
        }
        let Some(found) = self.holder(name, " FOR UPDATE OF l").await? else {
            return Err(Error::Corrupt("lease"));
        };
        if found.is_own || found.lives {
            return Ok(found.lease(name));
        }
        let token = found.token + 1;
        let text = "UPDATE lease SET process = $2, token = $3 WHERE name = $1";
        let binds = [name.into(), self.keys.process().into(), token.into()];
        self.write(Sql::fixed(Dialect::Postgres, text, binds))
            .await?;
        Ok(Some(Lease { name, token }))
    }

    /// Gives a lease back, where it is still this process's.
    pub(crate) async fn release(&mut self, lease: &Lease) -> Result<(), Error> {
        let text = "UPDATE lease SET process = 0 WHERE name = $1 AND process = $2 AND token = $3";
        let process = self.keys.process();
        let binds = [lease.name.into(), process.into(), lease.token.into()];
        self.write(Sql::fixed(Dialect::Postgres, text, binds)).await
    }

    async fn holder(&mut self, name: &str, lock: &str) -> Result<Option<Holder>, Error> {
        let mut sql = Sql::new(Dialect::Postgres);
        sql.push("SELECT l.process, l.token, CASE WHEN ");
        process::push_lives(&mut sql, "l.process");
        sql.push(" THEN 1::bigint ELSE 0 END FROM lease l WHERE l.name = ")
            .bind(name)
            .push(lock);
        let rows = self.fetch(sql).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        Ok(Some(Holder {
            is_own: row.integer(0)? == self.keys.process(),
            token: row.integer(1)?,
            lives: row.integer(2)? != 0,
        }))
    }

    /// Makes sure of a fence, and that it stands until the end.
    pub(crate) async fn enter(&mut self, fence: &Arc<Fence>) -> Result<(), Error> {
        let sql = match fence.as_ref() {
            Fence::Lease(_) if self.connection.dialect() == Dialect::Sqlite => None,
            Fence::Lease(lease) => Some(self.lease_check(lease)),
            Fence::Job(lease, _) => Some(self.job_check(lease)),
        };
        if let Some(sql) = sql
            && self.fetch(sql).await?.is_empty()
        {
            return Err(Error::NotHeld);
        }
        self.fence = Some(Arc::clone(fence));
        Ok(())
    }

    fn lease_check(&self, lease: &Lease) -> Sql {
        let text = "SELECT token FROM lease WHERE name = $1 AND process = $2 AND token = $3 \
                    FOR SHARE";
        let process = self.keys.process();
        let binds = [lease.name.into(), process.into(), lease.token.into()];
        Sql::fixed(Dialect::Postgres, text, binds)
    }

    /// Selects the job of a lease that is still good.
    fn job_check(&self, lease: &JobLease) -> Sql {
        let mut sql = Sql::new(self.connection.dialect());
        sql.push("SELECT row_key FROM job WHERE ");
        self.push_own_job(&mut sql, lease);
        sql.push(sql.dialect.pick("", " FOR SHARE"));
        sql
    }

    /// That a job is the one of a lease that is still good.
    pub(super) fn push_own_job(&self, sql: &mut Sql, lease: &JobLease) {
        sql.push("row_key = ").bind(lease.row);
        sql.push(" AND attempts = ").bind(lease.attempt);
        sql.push(" AND process = ").bind(self.keys.process());
        sql.push(" AND state = ").bind(JobState::Running.code());
    }

    /// Writes down what a step of a job has made, before the fence is left.
    pub(crate) async fn leave(&mut self) -> Result<(), Error> {
        let fence = self.fence.take();
        let made = std::mem::take(&mut self.made);
        let Some(Fence::Job(lease, Some(step))) = fence.as_deref() else {
            return Ok(());
        };
        for (place, (key, version)) in (0..).zip(made) {
            self.write_step(lease, i64::from(*step), place, &key, version)
                .await?;
        }
        Ok(())
    }

    async fn write_step(
        &mut self,
        lease: &JobLease,
        step: i64,
        place: i64,
        key: &ResourceKey,
        version: VersionId,
    ) -> Result<(), Error> {
        let text = "INSERT INTO job_step (job, step, place, resource_type, id, version) \
                    VALUES ($1, $2, $3, $4, $5, $6)";
        let binds: [Bind; 6] = [
            lease.row.into(),
            step.into(),
            place.into(),
            key.resource_type.as_str().into(),
            key.id.as_str().into(),
            number(version)?,
        ];
        self.write(Sql::fixed(self.connection.dialect(), text, binds))
            .await
    }
}

/// Who has a lease.
struct Holder {
    is_own: bool,
    lives: bool,
    token: i64,
}

impl Holder {
    /// The lease, where it is this process's.
    fn lease(&self, name: &'static str) -> Option<Lease> {
        let token = self.token;
        self.is_own.then_some(Lease { name, token })
    }
}
