//! What is stored is indexed anew when search parameters come, change or go.
//!
//! Writes extract search values by the definitions in force, so only older versions lack what a
//! new parameter finds in them. For each parameter that is not the embedded one, a mark in the table
//! of positions says by which expression everything stored is indexed. Where that is another
//! than the present one, all resources of the type are gone through, page by page; until that is
//! done, a search by the parameter is refused rather than answered with a part of the matches. What
//! was being written by older definitions meanwhile is found in the change feed at the end.
//!
//! Of several processes on one database one goes through what is stored, under a lease; the others
//! wait for its marks, and one of them begins anew when it dies.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fhir_model::definition::Definitions;
use fhir_model::key::{LogicalId, ResourceKey, ResourceType, VersionId};
use tokio::time::Instant;

use crate::definitions;
use crate::error::Error;
use crate::interaction::{Services, find};
use crate::search::expression::Cursor;
use crate::search::parameter;
use crate::search::value::{ParameterId, SearchValues};
use crate::store::{self, Lease, Positions, SetPosition, Store, Stored, Transaction, Work};

/// Marks have names that begin so.
const MARK: &str = "index/";
/// Resources that are indexed in one transaction.
const PAGE: u32 = 200;
/// Names the lease of the process that indexes.
const LEASE: &str = "index";
/// So long after a change of definitions somebody may still write by the old ones: another process
/// that has not read the feed, a request under way.
const SETTLING: Duration = Duration::from_secs(3);

/// A parameter of a type by which everything stored has to be found.
struct Parameter {
    mark: String,
    id: ParameterId,
    /// Says which expression it has.
    fingerprint: i64,
}

/// The resources of one type are to be indexed.
struct Job {
    resource_type: ResourceType,
    parameters: Vec<Parameter>,
    state: State,
    /// The feed was read up to here when it began.
    since: i64,
}

enum State {
    /// Going through what is stored, from here.
    Passing(Option<Cursor>),
    /// Everything is indexed but what may have been written meanwhile; that is looked for then.
    Settling(Instant),
}

/// How far what is stored is indexed by the parameters in force.
pub(super) struct Index {
    /// The fingerprints of the embedded parameters.
    baseline: HashMap<ParameterId, i64>,
    marks: BTreeMap<String, i64>,
    jobs: Vec<Job>,
    /// The lease, while this process indexes.
    lease: Option<Lease>,
}

impl Index {
    /// Reads the marks. The embedded parameters need none.
    pub(super) async fn read(services: &Services) -> Result<Self, Error> {
        let marks = services.store.transact(Positions(MARK)).await?;
        Ok(Self {
            baseline: HashMap::new(),
            marks: marks.into_iter().collect(),
            jobs: Vec::new(),
            lease: None,
        })
    }

    /// Whether there is something to do at once.
    pub(super) fn is_busy(&self) -> bool {
        let is_passing = |job: &Job| matches!(job.state, State::Passing(_));
        self.lease.is_some() && self.jobs.iter().any(is_passing)
    }

    /// Finds out what has to be indexed by new definitions, before they are in force. `read` is how
    /// far the feed was read.
    pub(super) async fn plan(
        &mut self,
        services: &Services,
        definitions: &Arc<Definitions>,
        read: i64,
    ) -> Result<(), Error> {
        if self.marks.is_empty() && definitions::is_embedded(definitions) {
            self.jobs.clear();
            self.publish(services);
            return Ok(());
        }
        if self.baseline.is_empty() {
            let embedded = definitions::read();
            let of_embedded = parameters(&embedded);
            self.baseline = of_embedded
                .map(|(_, parameter)| (parameter.id, parameter.fingerprint))
                .collect();
        }
        let mut wanted: BTreeMap<ResourceType, Vec<Parameter>> = BTreeMap::new();
        let mut gone: BTreeMap<String, i64> = self.marks.clone();
        for (resource_type, parameter) in parameters(definitions) {
            let indexed = gone.remove(&parameter.mark);
            let indexed = indexed.or_else(|| self.baseline.get(&parameter.id).copied());
            if indexed != Some(parameter.fingerprint) {
                wanted.entry(resource_type).or_default().push(parameter);
            }
        }
        // What nobody is indexed by any more is not indexed when it comes back.
        for (mark, _) in gone
            .into_iter()
            .filter(|(_, fingerprint)| *fingerprint != 0)
        {
            self.mark(&services.store, mark, 0).await?;
        }
        let job = |(resource_type, parameters)| Job {
            resource_type,
            parameters,
            state: State::Passing(None),
            since: read,
        };
        self.jobs = wanted.into_iter().map(job).collect();
        self.publish(services);
        Ok(())
    }

    /// Does a page of what is to be done, if it is time and no other process does it.
    pub(super) async fn step(&mut self, services: &Services) -> Result<(), Error> {
        if self.jobs.is_empty() {
            return Ok(());
        }
        if self.lease.is_none() {
            self.lease = services.store.hold(LEASE).await?;
        }
        let Some(lease) = self.lease.clone() else {
            return self.follow(services).await;
        };
        let store = services.store.under(lease.clone());
        let stepped = self.step_under(services, &store).await;
        if stepped.is_err() {
            self.lease = None; // perhaps because another process has taken over
        } else if self.jobs.is_empty() {
            self.lease = None;
            services.store.release(lease).await?;
        }
        stepped
    }

    /// Takes note of what another process has indexed.
    async fn follow(&mut self, services: &Services) -> Result<(), Error> {
        let marks = services.store.transact(Positions(MARK)).await?;
        self.marks = marks.into_iter().collect();
        let marks = &self.marks;
        self.jobs.retain(|job| {
            let is_done =
                |parameter: &Parameter| marks.get(&parameter.mark) == Some(&parameter.fingerprint);
            !job.parameters.iter().all(is_done)
        });
        self.publish(services);
        Ok(())
    }

    async fn step_under(&mut self, services: &Services, store: &Store) -> Result<(), Error> {
        let now = Instant::now();
        let is_due = |job: &Job| match job.state {
            State::Passing(_) => true,
            State::Settling(until) => until <= now,
        };
        let Some(at) = self.jobs.iter().position(is_due) else {
            return Ok(());
        };
        let mut job = self.jobs.swap_remove(at);
        match job.state {
            State::Passing(after) => {
                let next = pass(services, store, &job.resource_type, after.clone()).await;
                job.state = match &next {
                    Ok(Some(next)) => State::Passing(Some(next.clone())),
                    Ok(None) => State::Settling(now + SETTLING),
                    Err(_) => State::Passing(after),
                };
                self.jobs.push(job);
                self.publish(services);
                next.map(drop)
            }
            State::Settling(_) => match settle(services, store, &job).await {
                Ok(()) => {
                    let resource_type = &job.resource_type;
                    tracing::info!("Everything stored of type {resource_type} is indexed anew");
                    for parameter in job.parameters {
                        self.mark(store, parameter.mark, parameter.fingerprint)
                            .await?;
                    }
                    Ok(())
                }
                Err(error) => {
                    self.jobs.push(job);
                    Err(error)
                }
            },
        }
    }

    async fn mark(&mut self, store: &Store, mark: String, at: i64) -> Result<(), Error> {
        let position = SetPosition(mark.clone().into(), at);
        store.transact(position).await?;
        self.marks.insert(mark, at);
        Ok(())
    }

    /// Tells searches which parameters do not find everything yet.
    fn publish(&self, services: &Services) {
        let passing = self
            .jobs
            .iter()
            .filter(|job| matches!(job.state, State::Passing(_)));
        let parameters = passing.flat_map(|job| &job.parameters);
        let unindexed: HashSet<ParameterId> = parameters.map(|parameter| parameter.id).collect();
        services.unindexed.store(Arc::new(unindexed));
    }
}

/// Every parameter that can be searched by.
fn parameters(definitions: &Definitions) -> impl Iterator<Item = (ResourceType, Parameter)> + '_ {
    definitions
        .concrete_resource_types()
        .flat_map(move |type_id| {
            let name = definitions.type_name(type_id);
            parameter::all(definitions, type_id).filter_map(move |found| {
                let parameter = Parameter {
                    mark: format!("{MARK}{name}:{}", found.code),
                    id: found.id,
                    fingerprint: found.fingerprint(definitions),
                };
                Some((ResourceType::parse(name).ok()?, parameter))
            })
        })
}

/// Indexes a page of the resources of a type. Returns where the next one begins.
async fn pass(
    services: &Services,
    store: &Store,
    resource_type: &ResourceType,
    after: Option<Cursor>,
) -> Result<Option<Cursor>, Error> {
    let mut search = find::every(services, resource_type.as_str())?;
    search.count = PAGE;
    search.after = after;
    let page = store.search(&search).await?;
    index(services, store, &page.matches).await?;
    Ok(page.next)
}

/// Indexes what changed since a job began.
async fn settle(services: &Services, store: &Store, job: &Job) -> Result<(), Error> {
    let mut position = job.since;
    loop {
        let changes = store.changes_after(position, PAGE).await?;
        let Some(last) = changes.last() else {
            return Ok(());
        };
        position = last.sequence;
        let mut current = Vec::new();
        for change in changes {
            if change.key.resource_type == job.resource_type {
                current.extend(store.read(&change.key).await?);
            }
        }
        index(services, store, &current).await?;
    }
}

async fn index(services: &Services, store: &Store, resources: &[Stored]) -> Result<(), Error> {
    let found = resources
        .iter()
        .filter_map(|stored| found(services, stored));
    let work = Reindex(found.collect());
    Ok(store.transact(work).await?)
}

/// What a resource is found by now.
fn found(services: &Services, stored: &Stored) -> Option<Found> {
    let text = stored.text.as_deref()?;
    let extracted = services.extracted(&stored.key.resource_type, text)?;
    Some(Found {
        key: stored.key.clone(),
        version: stored.version,
        values: extracted.values,
        patients: extracted.patients,
    })
}

struct Found {
    key: ResourceKey,
    version: VersionId,
    values: SearchValues,
    patients: Vec<LogicalId>,
}

/// Replaces the search rows of some resources.
struct Reindex(Vec<Found>);

impl Work for Reindex {
    type Output = ();
    type Error = store::Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<(), store::Error> {
        let keys: Vec<ResourceKey> = self.0.iter().map(|found| found.key.clone()).collect();
        // All at once, so that they are locked in one order.
        transaction.read(&keys).await?;
        for found in &self.0 {
            transaction
                .reindex(&found.key, found.version, &found.values, &found.patients)
                .await?;
        }
        Ok(())
    }
}
