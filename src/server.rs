//! The composition root: opens the store, reads the definitions, starts edges and engines, and
//! stops them in order.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use fhir_model::reference::BaseUrl;
use fhir_model::tree::{self, Tree};
use fhir_validation::Validator;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{Clock, Ids};
use crate::config::Config;
use crate::conformance::Conformance;
use crate::definitions;
use crate::error::Error;
use crate::intake::{Intake, Lanes};
use crate::interaction::conformance::{ANNOUNCEMENTS_MAX, Announcer};
use crate::interaction::live::Live;
use crate::interaction::write::{self, Change, Document, Policy};
use crate::interaction::{Context, PageCounts, Services};
use crate::job::{JOBS_AT_ONCE, Jobs};
use crate::operation::pathway::Pathways;
use crate::package::{Loaded, Structures};
use crate::search::extract::Extractor;
use crate::store::Store;
use crate::terminology_server::TerminologyServer;
use crate::workflow::Workflow;
use crate::{mllp, package, rest};

/// How long stopping waits for what is under way.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// A running Baton.
pub struct Server {
    /// What its interactions work with, as it is now.
    pub live: Arc<Live>,
    /// Where the FHIR API listens.
    pub http: SocketAddr,
    /// Where the MLLP listener listens.
    pub mllp: SocketAddr,
    workflow: Arc<Workflow>,
    stop: CancellationToken,
    workers: TaskTracker,
}

impl Server {
    /// Opens the store and starts everything.
    ///
    /// # Errors
    /// When an address may not or cannot be bound, or the store cannot be opened.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        package::install_tls();
        let http = bind(&config, &config.listen.http, "HTTP").await?;
        let mllp = bind(&config, &config.listen.mllp, "MLLP").await?;
        let store = open(&config).await?;
        let http_address = http.local_addr()?;
        let mllp_address = mllp.local_addr()?;
        let packages = package::load(&config).await?;
        let (announcer, announcements) = mpsc::channel(ANNOUNCEMENTS_MAX);
        let services = services(&config, clock, store, http_address, &packages, announcer)?;
        let live = Arc::new(Live::new(services));
        let stop = CancellationToken::new();
        let workers = TaskTracker::new();
        let conformance = Conformance::start(Arc::clone(&live), announcements).await?;
        workers.spawn(conformance.run(stop.clone()));
        publish_own_resources(&live.current()).await?;
        workers.spawn(live.current().store.clone().keep_learning(stop.clone()));
        let config = Arc::new(config);
        let pathways = Arc::new(Pathways::new(&config)?);
        let (lanes, queues) = Lanes::new();
        let intake = Arc::new(Intake::new(
            Arc::clone(&live),
            Arc::clone(&config),
            Arc::clone(&pathways),
            lanes,
        ));
        for queue in queues {
            workers.spawn(Arc::clone(&intake).process(queue, stop.clone()));
        }
        workers.spawn(Arc::clone(&intake).sweep(stop.clone()));
        let workflow = Arc::new(Workflow::new(
            Arc::clone(&live),
            pathways,
            Arc::clone(&intake),
        ));
        workflow.start().await?;
        workers.spawn(Arc::clone(&workflow).run(stop.clone()));
        let jobs = Arc::new(Jobs::new(Arc::clone(&live)));
        for _ in 0..JOBS_AT_ONCE {
            workers.spawn(Arc::clone(&jobs).work(stop.clone()));
        }
        workers.spawn(Arc::clone(&jobs).expire(stop.clone()));
        let router = rest::router(Arc::clone(&live), Arc::clone(&workflow), jobs, &config.rest);
        let (settings, connections, stopped) = (Arc::clone(&config), workers.clone(), stop.clone());
        workers.spawn(async move {
            rest::serve(http, router, &settings.rest, connections, stopped).await;
        });
        let intake_limits = Arc::new(config.intake.clone());
        let connections = workers.clone();
        let stopped = stop.clone();
        workers.spawn(async move {
            intake.resume().await;
            mllp::listen(mllp, intake, intake_limits, connections, stopped).await;
        });
        workers.close();
        tracing::info!(http = %http_address, mllp = %mllp_address, "Baton is serving");
        Ok(Self {
            live,
            http: http_address,
            mllp: mllp_address,
            workflow,
            stop,
            workers,
        })
    }

    /// Waits until every message received and every change made so far has taken its effects.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn settle(&self) -> anyhow::Result<()> {
        Ok(self.workflow.settle().await?)
    }

    /// Stops accepting, lets what is under way finish, closes the store.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_PATIENCE, self.workers.wait())
            .await
            .is_err()
        {
            tracing::warn!("Stopping: some connections were still open and are cut");
        }
        self.live.current().store.close().await;
        tracing::info!("Baton has stopped");
    }
}

/// Our own plans, profiles and code systems are resources that clients read; those that
/// are as before write nothing.
async fn publish_own_resources(services: &Arc<Services>) -> anyhow::Result<()> {
    let context = Context::engine(services, "server");
    let changes: Result<Vec<Change>, Error> = definitions::own_resources()
        .iter()
        .map(|own| {
            // The limits of the configuration are for what clients send.
            let limits = &tree::Limits::CEILING;
            let tree = Tree::parse(own.json, services.definitions.names(), limits)
                .map_err(|error| Error::Internal(error.into()))?;
            let key = services.key(own.resource_type, own.id)?;
            Ok(Change::Update {
                key,
                document: Document::new(tree),
                expected: None,
            })
        })
        .collect();
    write::commit(&context, changes?, "server")
        .await
        .context("our own resources are refused")?;
    Ok(())
}

/// The services of a server that does not listen, with what is stored in force: for commands that
/// work on its records.
///
/// # Errors
/// When the store cannot be opened or a package is missing.
pub async fn offline(config: &Config, clock: Clock) -> anyhow::Result<Arc<Services>> {
    package::install_tls();
    let address = &config.listen.http;
    let http = tokio::net::lookup_host(address)
        .await
        .ok()
        .and_then(|mut addresses| addresses.next())
        .with_context(|| format!("HTTP: {address} is no address"))?;
    let store = open(config).await?;
    let packages = package::load(config).await?;
    let (announcer, announcements) = mpsc::channel(ANNOUNCEMENTS_MAX);
    let services = services(config, clock, store, http, &packages, announcer)?;
    let live = Arc::new(Live::new(services));
    Conformance::start(Arc::clone(&live), announcements).await?;
    Ok(live.current())
}

async fn open(config: &Config) -> anyhow::Result<Store> {
    let database = config.store.database.as_deref();
    let database = database.context("no database is named")?;
    Store::open_with(database, &config.store)
        .await
        .context("the store cannot be opened")
}

fn services(
    config: &Config,
    clock: Clock,
    store: Store,
    http: SocketAddr,
    packages: &Loaded,
    announcer: Announcer,
) -> anyhow::Result<Services> {
    let terminology_server = TerminologyServer::new(&config.terminology)
        .context("no client can be made for the terminology server")?;
    let definitions = Arc::clone(&packages.definitions);
    let base_url = base_url(config, http)?;
    Ok(Services {
        store,
        validator: Validator::new(Arc::clone(&definitions)),
        extractor: Extractor::new(Arc::clone(&definitions), BaseUrl::new(&base_url)),
        definitions,
        unindexed: Arc::default(),
        clock,
        ids: Arc::new(Ids::default()),
        own_base: BaseUrl::new(&base_url),
        base_url: base_url.into(),
        profiles: Arc::new(config.validation.profiles.clone()),
        structures: Structures::new(&packages.resolution),
        guides: Arc::clone(&packages.guides),
        announcer,
        policy: Policy {
            level: config.validation.level,
            on_failure: config.validation.on_failure,
        },
        terminology_server: terminology_server.map(Arc::new),
        weaker_on_request: config.validation.weaker_on_request,
        purge_by_rest: config.rest.purge,
        parse_limits: tree::Limits {
            depth_max: config.rest.depth_max,
            bytes_max: config.rest.body_bytes_max,
            ..tree::Limits::default()
        },
        statement: OnceLock::new(),
        search_deadline: Duration::from_millis(config.search.deadline_ms),
        page_counts: PageCounts {
            default: config.rest.page_count_default,
            max: config.rest.page_count_max,
        },
    })
}

/// The FHIR base as clients see it. An address that stands for all of a machine is none that a client
/// could use.
fn base_url(config: &Config, http: SocketAddr) -> anyhow::Result<String> {
    match &config.listen.base_url {
        Some(base_url) => Ok(base_url.clone()),
        None if http.ip().is_unspecified() => bail!(
            "HTTP: {http} is every address of this machine, and links in answers must name one; say \
             which by listen.base_url"
        ),
        None => Ok(format!("http://{http}/fhir")),
    }
}

/// Binds an address; one that others can reach only when that was asked for in so many words.
async fn bind(config: &Config, address: &str, name: &str) -> anyhow::Result<TcpListener> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(address)
        .await
        .with_context(|| format!("{name}: {address} is no address"))?
        .collect();
    let open = addresses.iter().any(|address| !address.ip().is_loopback());
    if open && !config.listen.without_authentication {
        bail!(
            "{name}: {address} can be reached from other machines and no authentication is \
             configured; bind 127.0.0.1, or say --without-authentication"
        );
    }
    TcpListener::bind(addresses.as_slice())
        .await
        .with_context(|| format!("{name}: {address} cannot be bound"))
}
