//! The FHIR interactions, without HTTP: <https://hl7.org/fhir/R4/http.html>.
//!
//! Each file is one interaction and reads like its section of the specification. All that changes a
//! resource goes through [`mod@write`]; a REST request, a bundle entry, an ADT message and a pathway
//! step take the same way.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use fhir_model::definition::{Definitions, TypeId};
use fhir_model::element::Element;
use fhir_model::issue::{Issue, IssueType};
use fhir_model::key::{LogicalId, ResourceKey, ResourceType};
use fhir_model::reference::BaseUrl;
use fhir_model::tree::{self, Tree};
use fhir_validation::Validator;

use crate::access::Caller;
use crate::clock::{Clock, Ids};
use crate::error::Error;
use crate::interaction::conformance::Announcer;
use crate::interaction::write::Policy;
use crate::package::{Guide, Structures};
use crate::search::extract::{Extracted, Extractor};
use crate::search::value::ParameterId;
use crate::store::Store;
use crate::terminology_server::TerminologyServer;

pub mod aside;
pub mod bundle;
pub mod capabilities;
pub mod codes;
pub mod compartment;
pub mod conformance;
pub mod find;
pub mod history;
pub mod live;
pub mod openapi;
pub mod operations;
pub mod outcome;
pub mod read;
pub mod search;
pub mod subset;
pub mod transaction;
pub mod url;
pub mod validate;
pub mod write;

/// What every interaction needs and nobody owns, as a request sees it from its start to its end.
///
/// What is opened once is shared by all; what follows from definitions is made anew when they
/// change ([`live::Live`]).
pub struct Services {
    /// Where records are kept.
    pub store: Store,
    /// What the profiles say.
    pub definitions: Arc<Definitions>,
    /// Checks resources.
    pub validator: Validator,
    /// Finds the search values of resources.
    pub extractor: Extractor,
    /// Search parameters by which not everything that is stored is found yet.
    pub unindexed: Arc<ArcSwap<HashSet<ParameterId>>>,
    /// Tells the time.
    pub clock: Clock,
    /// Makes logical ids.
    pub ids: Arc<Ids>,
    /// The FHIR base as clients see it, without a slash at its end.
    pub base_url: Arc<str>,
    /// The same, for telling our own references from others'.
    pub own_base: BaseUrl,
    /// Profiles in force beside `meta.profile`: resource type → canonical URLs.
    pub profiles: Arc<BTreeMap<String, Vec<String>>>,
    /// Structures as JSON, to generate snapshots from.
    pub structures: Structures,
    /// The implementation guides that were loaded.
    pub guides: Arc<[Guide]>,
    /// Where conformance resources that were written are announced.
    pub announcer: Announcer,
    /// Whom to ask for codes that are not here.
    pub terminology_server: Option<Arc<TerminologyServer>>,
    /// How strictly resources of clients are validated.
    pub policy: Policy,
    /// Whether a request may ask for less.
    pub weaker_on_request: bool,
    /// Whether clients may purge.
    pub purge_by_rest: bool,
    /// Limits on what is parsed.
    pub parse_limits: tree::Limits,
    /// The CapabilityStatement, once made.
    pub statement: OnceLock<String>,
    /// How long a search may take.
    pub search_deadline: Duration,
    /// Matches on a page: when `_count` is absent, and at most.
    pub page_counts: PageCounts,
}

/// How many matches a page has.
#[derive(Debug, Clone, Copy)]
pub struct PageCounts {
    /// When `_count` is absent.
    pub default: u32,
    /// At most.
    pub max: u32,
}

/// One request's surroundings: the services, and who asks.
#[derive(Clone)]
pub struct Context {
    /// What every interaction needs.
    pub services: Arc<Services>,
    /// Where it writes: the store of the services, behind a fence where a job does it.
    pub store: Store,
    /// On whose behalf.
    pub caller: Caller,
    /// How strictly what is written is validated.
    pub policy: Policy,
}

impl Context {
    /// For a client that writes nothing.
    pub fn reader(services: &Arc<Services>) -> Self {
        Self {
            services: Arc::clone(services),
            store: services.store.clone(),
            caller: Caller::anonymous(),
            policy: services.policy,
        }
    }

    /// For an engine of Baton, which is held to everything.
    pub fn engine(services: &Arc<Services>, name: &str) -> Self {
        Self {
            services: Arc::clone(services),
            store: services.store.clone(),
            caller: Caller::engine(name),
            policy: Policy::STRICT,
        }
    }

    /// The same for one step of a job: what it writes is written once.
    #[must_use]
    pub fn for_step(&self, step: u32) -> Self {
        Self {
            store: self.store.for_step(step),
            ..self.clone()
        }
    }
}

impl Services {
    /// The same with other definitions, in which all types have the numbers that they had.
    #[must_use]
    pub fn with(&self, definitions: Arc<Definitions>, structures: Structures) -> Self {
        Self {
            store: self.store.clone(),
            validator: Validator::new(Arc::clone(&definitions)),
            extractor: Extractor::new(Arc::clone(&definitions), BaseUrl::new(&self.base_url)),
            definitions,
            unindexed: Arc::clone(&self.unindexed),
            clock: self.clock.clone(),
            ids: Arc::clone(&self.ids),
            base_url: Arc::clone(&self.base_url),
            own_base: BaseUrl::new(&self.base_url),
            profiles: Arc::clone(&self.profiles),
            structures,
            guides: Arc::clone(&self.guides),
            announcer: self.announcer.clone(),
            policy: self.policy,
            terminology_server: self.terminology_server.clone(),
            weaker_on_request: self.weaker_on_request,
            purge_by_rest: self.purge_by_rest,
            parse_limits: self.parse_limits,
            statement: OnceLock::new(),
            page_counts: self.page_counts,
            search_deadline: self.search_deadline,
        }
    }

    /// What a stored text is found by.
    pub fn extracted(&self, resource_type: &ResourceType, text: &str) -> Option<Extracted> {
        let tree = Tree::parse(text, self.definitions.names(), &tree::Limits::CEILING).ok()?;
        let type_id = self.type_id(resource_type).ok()?;
        Some(self.extractor.extract(Element::of(tree.root()), type_id))
    }

    /// The resource type of this name, if R4 has it.
    ///
    /// # Errors
    /// [`Error::UnknownType`] otherwise.
    pub fn resource_type(&self, name: &str) -> Result<ResourceType, Error> {
        self.definitions
            .resource_type(name)
            .and_then(|_| ResourceType::parse(name).ok())
            .ok_or_else(|| Error::UnknownType(name.to_owned()))
    }

    /// The definition of a resource type.
    ///
    /// # Errors
    /// [`Error::UnknownType`] when R4 has no such type.
    pub fn type_id(&self, resource_type: &ResourceType) -> Result<TypeId, Error> {
        self.definitions
            .resource_type(resource_type.as_str())
            .ok_or_else(|| Error::UnknownType(resource_type.to_string()))
    }

    /// The key `resource_type/id`, both well-formed and the type known.
    ///
    /// # Errors
    /// [`Error::UnknownType`], or [`Error::Invalid`] when the id is not a FHIR id.
    pub fn key(&self, resource_type: &str, id: &str) -> Result<ResourceKey, Error> {
        let resource_type = self.resource_type(resource_type)?;
        if id.starts_with('$') {
            return Err(Error::UnknownOperation(id.to_owned()));
        }
        let id =
            LogicalId::parse(id).map_err(|error| invalid(IssueType::Value, error.to_string()))?;
        Ok(ResourceKey { resource_type, id })
    }
}

/// [`Error::Invalid`] with one issue.
pub fn invalid(code: IssueType, text: impl Into<String>) -> Error {
    Error::Invalid(vec![Issue::error(code, text)])
}
