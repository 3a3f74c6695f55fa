//! The engine that keeps the definitions in force: the embedded ones, those of packages, and what
//! clients have stored.
//!
//! It reads the change feed, as every engine does, so that what another process wrote takes effect
//! here too; a writer in this process announces its resources and is answered when they are in
//! force. Whichever way it learns of a change, it looks at the resources as they are now, compiles
//! all stored ones on top of the packages and puts new services in the place of the old
//! ([`Live`]). A resource that cannot be compiled is left out, and says why in `effect`.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fhir_model::definition::{Builder, Definitions};
use fhir_model::key::{ResourceKey, VersionId};
use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::conformance::effect::{Judged, judge};
use crate::conformance::index::Index;
use crate::definitions;
use crate::error::{self, Error};
use crate::interaction::conformance::{self, Announcement, Effects};
use crate::interaction::live::Live;
use crate::interaction::{Services, find};
use crate::store::{ReadPosition, SetPosition, Stored};

mod effect;
mod index;

/// The engine's name in the table of positions.
const ENGINE: &str = "conformance";
/// Changes, and resources, read at once.
const PAGE: u32 = 500;
/// So many changes may be read before the position is kept.
const UNKEPT_MAX: i64 = 10_000;
/// The feed is read so often: this late may what another process wrote take effect here.
const PERIOD: Duration = Duration::from_secs(1);

/// Keeps the definitions in force.
pub struct Conformance {
    live: Arc<Live>,
    /// What is in force without anything stored.
    base: Arc<Definitions>,
    announcements: mpsc::Receiver<Announcement>,
    /// What is stored and in force.
    stored: BTreeMap<ResourceKey, Resource>,
    /// What there is to say about it.
    issues: Effects,
    /// Resources to be looked at.
    pending: BTreeSet<ResourceKey>,
    /// Whether something was noted that is not in force yet.
    is_stale: bool,
    position: i64,
    kept: i64,
    index: Index,
}

/// A stored resource as it is in force.
struct Resource {
    version: VersionId,
    /// The store's time-ordered key.
    row: i64,
    content: Arc<Value>,
}

impl Conformance {
    /// An engine that answers these announcements, and puts what is stored in force.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start(
        live: Arc<Live>,
        announcements: mpsc::Receiver<Announcement>,
    ) -> Result<Self, Error> {
        let services = live.current();
        // First how far the feed was read, then what is there: nothing is between them.
        let position = services.store.transact(ReadPosition(ENGINE)).await?;
        let mut engine = Self {
            base: Arc::clone(&services.definitions),
            live,
            announcements,
            stored: BTreeMap::new(),
            issues: Effects::new(),
            pending: BTreeSet::new(),
            is_stale: false,
            position,
            kept: position,
            index: Index::read(&services).await?,
        };
        for resource_type in conformance::TYPES {
            let mut search = find::every(&services, resource_type)?;
            search.count = PAGE;
            loop {
                let page = services.store.search(&search).await?;
                for stored in page.matches {
                    engine.note(&stored.key.clone(), Some(stored))?;
                }
                match page.next {
                    Some(next) => search.after = Some(next),
                    None => break,
                }
            }
        }
        if engine.is_stale {
            engine.rebuild().await?;
        } else {
            let definitions = Arc::clone(&services.definitions);
            engine.index.plan(&services, &definitions, position).await?;
        }
        Ok(engine)
    }

    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut has_failed = false;
        loop {
            let pause = if has_failed { PERIOD } else { self.pause() };
            let first = tokio::select! {
                () = stop.cancelled() => return,
                first = self.announcements.recv() => first,
                () = tokio::time::sleep(pause) => None,
            };
            let mut heard: Vec<Announcement> = first.into_iter().collect();
            while let Ok(next) = self.announcements.try_recv() {
                heard.push(next);
            }
            let turn = AssertUnwindSafe(self.turn(&heard)).catch_unwind().await;
            has_failed = !matches!(turn, Ok(Ok(())));
            match turn {
                Ok(Ok(())) => self.answer(heard),
                Ok(Err(error)) => tracing::error!(
                    error = error::chain(&error),
                    "Conformance resources could not be put in force; it is tried again"
                ),
                Err(_) => {
                    tracing::error!("Putting conformance resources in force panicked");
                }
            }
        }
    }

    /// How long there is nothing to do, unless somebody announces something.
    fn pause(&self) -> Duration {
        if self.index.is_busy() {
            Duration::ZERO
        } else {
            PERIOD
        }
    }

    /// Puts in force what was announced, or what the feed tells.
    async fn turn(&mut self, heard: &[Announcement]) -> Result<(), Error> {
        let announced = heard.iter().flat_map(|announcement| &announcement.keys);
        self.pending.extend(announced.cloned());
        if heard.is_empty() {
            self.read_changes().await?;
        }
        let services = self.live.current();
        while let Some(key) = self.pending.first().cloned() {
            let stored = services.store.read(&key).await?;
            self.note(&key, stored)?;
            self.pending.remove(&key);
        }
        if self.is_stale {
            self.rebuild().await?;
        }
        // A writer of a search parameter is answered after the first page, which often is all.
        self.index.step(&self.live.current()).await
    }

    fn answer(&self, heard: Vec<Announcement>) {
        for announcement in heard {
            let effects = announcement.keys.iter().filter_map(|key| {
                let issues = self.issues.get(key)?;
                Some((key.clone(), issues.clone()))
            });
            // A writer that no longer waits needs no answer.
            let _ = announcement.done.send(effects.collect());
        }
    }

    /// Reads the feed to its end.
    async fn read_changes(&mut self) -> Result<(), Error> {
        let services = self.live.current();
        loop {
            let changes = services.store.changes_after(self.position, PAGE).await?;
            let Some(last) = changes.last() else {
                return Ok(());
            };
            let end = last.sequence;
            let keys = changes.into_iter().map(|change| change.key);
            self.pending
                .extend(keys.filter(conformance::is_conformance));
            self.position = end;
            if end - self.kept > UNKEPT_MAX {
                services
                    .store
                    .transact(SetPosition(ENGINE.into(), end))
                    .await?;
                self.kept = end;
            }
        }
    }

    /// Takes note of a resource as it is now.
    fn note(&mut self, key: &ResourceKey, stored: Option<Stored>) -> Result<(), Error> {
        let version = stored.as_ref().map(|stored| stored.version);
        let known = self.stored.get(key).map(|known| known.version);
        if version.is_some() && version == known {
            return Ok(());
        }
        let content = match &stored {
            Some(stored) => find::value(stored)?,
            None => None,
        };
        let content = content.filter(|content| !is_own(key, content));
        match (stored, content) {
            (Some(stored), Some(content)) => {
                let resource = Resource {
                    version: stored.version,
                    row: stored.row,
                    content: Arc::new(content),
                };
                self.stored.insert(key.clone(), resource);
                self.is_stale = true;
            }
            _ => self.is_stale |= self.stored.remove(key).is_some(),
        }
        Ok(())
    }

    /// Compiles everything that is stored, and puts it in force.
    async fn rebuild(&mut self) -> Result<(), Error> {
        let mut resources: Vec<(ResourceKey, i64, Arc<Value>)> = self
            .stored
            .iter()
            .map(|(key, resource)| (key.clone(), resource.row, Arc::clone(&resource.content)))
            .collect();
        // Of two with one canonical URL, the one that was made later is meant.
        resources.sort_by_key(|(_, row, _)| *row);
        let base = Arc::clone(&self.base);
        let services = self.live.current();
        let compiled = tokio::task::spawn_blocking(move || compile(&base, &services, resources));
        let (services, issues) = match compiled.await {
            Ok(compiled) => compiled,
            Err(error) => {
                // A defect; it would come again, so the definitions stay until the next change.
                self.is_stale = false;
                return Err(Error::Internal(error.into()));
            }
        };
        let definitions = Arc::clone(&services.definitions);
        let read = self.position;
        self.index.plan(&services, &definitions, read).await?;
        let count = self.stored.len();
        tracing::info!(
            resources = count,
            "{count} stored conformance resources are in force"
        );
        self.live.replace(services);
        self.issues = issues;
        self.is_stale = false;
        Ok(())
    }
}

/// Services by the base definitions and these resources, and what is to be said about those.
fn compile(
    base: &Arc<Definitions>,
    services: &Services,
    resources: Vec<(ResourceKey, i64, Arc<Value>)>,
) -> (Services, Effects) {
    let mut issues = Effects::new();
    let mut builder = Builder::extending(base);
    let mut compiled = Vec::new();
    let given = resources.iter().map(|(_, _, content)| content);
    let given = given.filter(|content| content["resourceType"] == "StructureDefinition");
    let structures = services.structures.with(given.cloned());
    for (key, _, content) in resources {
        match judge(base, &content) {
            Judged::InForce => match effect::complete(&structures, &content) {
                Ok(complete) => {
                    builder.add(complete);
                    compiled.push((key, content));
                }
                Err(issue) => {
                    issues.insert(key, vec![issue]);
                }
            },
            Judged::Silent => {}
            Judged::Without(issue) => {
                issues.insert(key, vec![issue]);
            }
        }
    }
    if compiled.is_empty() {
        return (services.with(Arc::clone(base), structures), issues);
    }
    let (definitions, problems) = builder.finish();
    for (key, content) in compiled {
        let found = effect::issues(&definitions, &content, &problems);
        if !found.is_empty() {
            issues.insert(key, found);
        }
    }
    (services.with(Arc::new(definitions), structures), issues)
}

/// Whether a stored resource is one of our own, unchanged: those are embedded.
fn is_own(key: &ResourceKey, content: &Value) -> bool {
    let own = definitions::own_resource(key.resource_type.as_str(), key.id.as_str());
    own.is_some_and(|own| {
        let own: Option<Value> = serde_json::from_str(own.json).ok();
        own.map(without_meta).as_ref() == Some(&without_meta(content.clone()))
    })
}

fn without_meta(mut resource: Value) -> Value {
    if let Some(object) = resource.as_object_mut() {
        object.remove("meta");
    }
    resource
}
