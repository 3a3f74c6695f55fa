//! Requests that a client does not wait for: <https://hl7.org/fhir/R4/async.html>.
//!
//! A transaction keeps its answer in its own commit. The entries of a batch are steps of the job: one
//! that has written is not done again by a later attempt. A search changes nothing and may run again.

use std::sync::Arc;

use fhir_model::tree::Tree;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::access::Caller;
use crate::config::{OnFailure, ValidationLevel};
use crate::error::Error;
use crate::interaction::search::Scope;
use crate::interaction::transaction::{Preferences, Return};
use crate::interaction::write::Policy;
use crate::interaction::{Context, Services, search, transaction};
use crate::search::expression::Types;
use crate::search::query::Handling;
use crate::store::ClaimedJob;

/// What is to be done.
#[derive(Debug)]
pub enum Request {
    /// A batch or transaction.
    Bundle(BundleRequest),
    /// A search.
    Search(SearchRequest),
}

/// A batch or transaction.
#[derive(Debug, Serialize, Deserialize)]
pub struct BundleRequest {
    caller: String,
    level: ValidationLevel,
    on_failure: OnFailure,
    returning: Option<Return>,
    strict: Option<bool>,
    bundle: Box<RawValue>,
}

impl BundleRequest {
    /// What a Bundle asks, on behalf of the context's caller.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no batch or transaction, or a transaction that cannot be read.
    pub fn new(context: &Context, tree: &Tree, preferences: Preferences) -> Result<Self, Error> {
        transaction::check(&context.services, tree)?;
        let text = tree.root().raw_text().to_owned();
        Ok(Self {
            caller: context.caller.name.to_string(),
            level: context.policy.level,
            on_failure: context.policy.on_failure,
            returning: preferences.returning,
            strict: strict(preferences.handling),
            bundle: RawValue::from_string(text).map_err(internal)?,
        })
    }
}

/// A search.
#[derive(Debug, Serialize, Deserialize)]
pub struct SearchRequest {
    /// Whose compartment.
    whose: Option<String>,
    /// All types where there are none.
    types: Vec<String>,
    query: String,
    strict: Option<bool>,
}

impl SearchRequest {
    /// A search, perhaps within a compartment.
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is wrong with the query.
    pub fn new(
        services: &Services,
        scope: &Scope,
        query: &str,
        handling: Handling,
    ) -> Result<Self, Error> {
        search::parse_within(services, scope, query, handling)?;
        Ok(Self {
            whose: scope.whose.as_ref().map(ToString::to_string),
            types: scope
                .types
                .named()
                .iter()
                .map(ToString::to_string)
                .collect(),
            query: query.to_owned(),
            strict: strict(handling),
        })
    }
}

const BUNDLE: &str = "bundle";
const SEARCH: &str = "search";

impl Request {
    /// The kinds of jobs that requests are.
    pub const KINDS: [&str; 2] = [BUNDLE, SEARCH];

    /// The kind of job that it is.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Bundle(_) => BUNDLE,
            Self::Search(_) => SEARCH,
        }
    }

    pub(crate) fn to_json(&self) -> Result<String, Error> {
        match self {
            Self::Bundle(request) => serde_json::to_string(request),
            Self::Search(request) => serde_json::to_string(request),
        }
        .map_err(internal)
    }
}

/// Does what a job asks for; gives the Bundle that is its result.
pub(crate) async fn perform(services: &Arc<Services>, job: ClaimedJob) -> Result<String, Error> {
    match job.kind.as_str() {
        BUNDLE => bundle(services, job).await,
        SEARCH => {
            let request = serde_json::from_str(&job.parameters).map_err(internal)?;
            searched(services, &request).await
        }
        other => Err(Error::Internal(
            format!("nobody does jobs of kind {other}").into(),
        )),
    }
}

async fn bundle(services: &Arc<Services>, job: ClaimedJob) -> Result<String, Error> {
    let request: BundleRequest = serde_json::from_str(&job.parameters).map_err(internal)?;
    let names = services.definitions.names();
    let tree = Tree::parse(request.bundle.get(), names, &services.parse_limits);
    let tree = tree.map_err(|error| Error::Internal(error.into()))?;
    let context = Context {
        services: Arc::clone(services),
        store: services.store.for_job(job.lease),
        caller: Caller {
            name: request.caller.into(),
        },
        policy: Policy {
            level: request.level,
            on_failure: request.on_failure,
        },
    };
    let preferences = Preferences {
        returning: request.returning,
        handling: handling(request.strict),
    };
    transaction::process(&context, tree, preferences).await
}

/// The answer of a search, as the one entry of a `batch-response`.
async fn searched(services: &Services, request: &SearchRequest) -> Result<String, Error> {
    let types = request
        .types
        .iter()
        .map(|name| services.resource_type(name));
    let whose = request.whose.as_ref().map(|whose| {
        let (resource_type, id) = whose.split_once('/').unwrap_or((whose, ""));
        services.key(resource_type, id)
    });
    let scope = Scope {
        whose: whose.transpose()?,
        types: Types::new(types.collect::<Result<_, _>>()?),
    };
    let found = search::search(services, &scope, &request.query, handling(request.strict)).await?;
    Ok(transaction::batch_response(services, found))
}

/// `handling` as a job keeps it.
fn strict(handling: Handling) -> Option<bool> {
    match handling {
        Handling::Strict => Some(true),
        Handling::Lenient => Some(false),
        Handling::Default => None,
    }
}

fn handling(strict: Option<bool>) -> Handling {
    match strict {
        Some(true) => Handling::Strict,
        Some(false) => Handling::Lenient,
        None => Handling::Default,
    }
}

fn internal(error: serde_json::Error) -> Error {
    Error::Internal(error.into())
}
