//! The only way into the store: validate, stamp, store, record.
//!
//! [`prepare`] does what needs no transaction (validation, search values); [`apply`] does the rest
//! inside one: conditions, version numbers, the rows of version, history, index, change feed and
//! audit. [`commit`] is both, for who has nothing else to do in the same transaction. One change is
//! a list of one. <https://hl7.org/fhir/R4/http.html#create>, `#update`, `#delete`.

use std::collections::HashMap;
use std::sync::Arc;

use fhir_model::element::Element;
use fhir_model::issue::{Issue, IssueType};
use fhir_model::key::{LogicalId, ResourceKey, ResourceType, VersionId};
use fhir_validation::{CodeServer, Elsewhere, Options};
use fhirpath::Temporal;

use crate::error::Error;
use crate::interaction::write::step::Step;
use crate::interaction::{Context, Services, codes, conformance, invalid};
use crate::search::expression::{Search, Total};
use crate::search::value::SearchValues;
use crate::store::{self, Claim, Rows, SearchPage, Stored, Transaction, Work};

mod document;
mod policy;
mod restore;
mod step;

pub use document::{Document, instant_text};
pub use policy::Policy;
pub use restore::restore;

/// What is to happen to one resource.
#[derive(Clone)]
pub enum Change {
    /// `create`; with a condition, only when nothing meets it.
    Create {
        /// The resource; its `id` is replaced.
        document: Document,
        /// `If-None-Exist`.
        unless: Option<Condition>,
        /// The id to give it, where the caller had to know it beforehand.
        id: Option<LogicalId>,
    },
    /// `update`, or create with the id of the client's choice.
    Update {
        /// What to update.
        key: ResourceKey,
        /// The resource; its `id` equals the key's.
        document: Document,
        /// `If-Match`.
        expected: Option<VersionId>,
    },
    /// `update` of the one resource that meets a condition; `create` when none does.
    UpdateWhere {
        /// The resource.
        document: Document,
        /// Which.
        condition: Condition,
        /// `If-Match`.
        expected: Option<VersionId>,
        /// The id to give it when it is created and has none, where the caller had to know it
        /// beforehand.
        id: Option<LogicalId>,
    },
    /// `delete`.
    Delete {
        /// What to delete.
        key: ResourceKey,
        /// `If-Match`.
        expected: Option<VersionId>,
    },
    /// `delete` of the one resource that meets a condition, if one does.
    DeleteWhere {
        /// Which.
        condition: Condition,
    },
}

impl Change {
    /// The resource that is to be stored.
    fn document(&self) -> Option<&Document> {
        match self {
            Self::Create { document, .. }
            | Self::Update { document, .. }
            | Self::UpdateWhere { document, .. } => Some(document),
            Self::Delete { .. } | Self::DeleteWhere { .. } => None,
        }
    }
}

/// A search that must single out a resource.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The type of the resource.
    pub resource_type: ResourceType,
    /// The search.
    pub search: Search,
    /// Its canonical text: who claims it first goes on.
    pub claim: Claim,
}

/// A change that passed everything that can be checked outside a transaction.
pub struct Prepared {
    change: Change,
    resource_type: ResourceType,
    fresh: Option<LogicalId>,
    values: SearchValues,
    patients: Patients,
    issues: Vec<Issue>,
}

/// In whose compartments a resource is.
struct Patients {
    others: Vec<LogicalId>,
    itself: bool,
}

impl Patients {
    fn with(&self, id: &LogicalId) -> Vec<LogicalId> {
        if self.itself {
            return vec![id.clone()];
        }
        self.others.clone()
    }
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// How it ended.
    pub outcome: Outcome,
    /// The version it made, or found; `None` when there was nothing to delete.
    pub stored: Option<Stored>,
    /// What validation said of the resource.
    pub issues: Vec<Issue>,
}

impl Written {
    fn new(outcome: Outcome, stored: Option<Stored>) -> Self {
        Self {
            outcome,
            stored,
            issues: Vec::new(),
        }
    }
}

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A resource was created.
    Created,
    /// A version was added.
    Updated,
    /// The resource was already so: no version was added.
    Unchanged,
    /// A conditional create found that a resource exists.
    Existing,
    /// The resource was deleted.
    Deleted,
    /// There was nothing to delete.
    Absent,
}

/// Checks changes and applies them in one transaction.
///
/// # Errors
/// The first reason that refuses a change; nothing is stored then.
pub async fn commit(
    context: &Context,
    changes: Vec<Change>,
    cause: &str,
) -> Result<Vec<Written>, Error> {
    for document in changes.iter().filter_map(Change::document) {
        let options = context.policy.options();
        codes::foresee(&context.services, document, None, &options).await;
    }
    let prepared: Result<Vec<_>, _> = changes
        .into_iter()
        .map(|change| prepare(context, change))
        .collect();
    let work = Commit {
        context: context.clone(),
        changes: prepared?,
        cause: cause.into(),
    };
    let mut written = context.services.store.transact(work).await?;
    conformance::take_effect(&context.services, written.iter_mut()).await;
    Ok(written)
}

struct Commit {
    context: Context,
    changes: Vec<Prepared>,
    cause: Arc<str>,
}

impl Work for Commit {
    type Output = Vec<Written>;
    type Error = Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<Vec<Written>, Error> {
        let changes: Vec<&Prepared> = self.changes.iter().collect();
        apply(transaction, &self.context, &changes, &self.cause).await
    }
}

/// Validates a change and finds its search values.
///
/// # Errors
/// [`Error::Unprocessable`] with every issue when the resource is wrong and the policy refuses that,
/// [`Error::Invalid`] when its id is not the one of the request.
pub fn prepare(context: &Context, mut change: Change) -> Result<Prepared, Error> {
    let services = &context.services;
    let (resource_type, document, fresh) = match &mut change {
        Change::Create { document, id, .. } => {
            let id = id.clone().map_or_else(|| fresh_id(services), Ok)?;
            (document.resource_type(services)?, Some(document), Some(id))
        }
        Change::Update { key, document, .. } => {
            agrees(&document.resource_type(services)?, &key.resource_type)?;
            same_id(document, &key.id)?;
            (key.resource_type.clone(), Some(document), None)
        }
        Change::UpdateWhere {
            document,
            condition,
            id,
            ..
        } => {
            let resource_type = document.resource_type(services)?;
            agrees(&resource_type, &condition.resource_type)?;
            let id = match (document.id(), id) {
                (None, Some(id)) => id.clone(),
                _ => id_of(services, document)?,
            };
            (resource_type, Some(document), Some(id))
        }
        Change::Delete { key, .. } => (key.resource_type.clone(), None, None),
        Change::DeleteWhere { condition } => (condition.resource_type.clone(), None, None),
    };
    let Some(document) = document else {
        let patients = Patients {
            others: Vec::new(),
            itself: false,
        };
        return Ok(Prepared {
            change,
            resource_type,
            fresh,
            values: SearchValues::default(),
            patients,
            issues: Vec::new(),
        });
    };
    let options = context.policy.options();
    let mut issues = issues(services, document, &resource_type, None, &options);
    let judged = context
        .policy
        .judge(services, document, &resource_type, &issues)?;
    if let Some(tagged) = judged {
        *document = tagged;
    }
    issues.extend(conformance::check(services, &resource_type, document)?);
    let type_id = services.type_id(&resource_type)?;
    let extracted = services
        .extractor
        .extract(Element::of(document.node()), type_id);
    for problem in &extracted.problems {
        // Nobody will find the resource by this parameter: a defect, but no reason to lose data.
        tracing::error!(
            parameter = %problem.code,
            reason = problem.reason,
            "{resource_type} cannot be indexed by {}",
            problem.code
        );
    }
    let patients = Patients {
        others: extracted.patients,
        itself: resource_type.as_str() == "Patient",
    };
    let values = extracted.values;
    Ok(Prepared {
        change,
        resource_type,
        fresh,
        values,
        patients,
        issues,
    })
}

/// Every issue that validation finds, errors or not.
pub fn issues(
    services: &Services,
    document: &Document,
    resource_type: &ResourceType,
    profile: Option<&str>,
    options: &Options,
) -> Vec<Issue> {
    let server = services.terminology_server.as_deref();
    let known = server.map(|server| server.asking(services.clock.now()));
    let codes = known.as_ref().map(|known| known as &dyn CodeServer);
    validated(services, document, resource_type, profile, options, codes)
}

/// The same, with somebody to ask for codes that are not here.
pub(super) fn validated(
    services: &Services,
    document: &Document,
    resource_type: &ResourceType,
    profile: Option<&str>,
    options: &Options,
    codes: Option<&dyn CodeServer>,
) -> Vec<Issue> {
    let configured = services.profiles.get(resource_type.as_str());
    let configured = configured.into_iter().flatten().map(String::as_str);
    let profiles: Vec<&str> = configured.chain(profile).collect();
    let elsewhere = Elsewhere {
        resolver: None,
        codes,
    };
    let options = Options {
        now: Temporal::parse_date_time(&instant_text(services.clock.now())),
        ..*options
    };
    services.validator.validate_with(
        document.node(),
        resource_type.as_str(),
        &profiles,
        &options,
        elsewhere,
    )
}

fn agrees(found: &ResourceType, wanted: &ResourceType) -> Result<(), Error> {
    if found == wanted {
        return Ok(());
    }
    Err(invalid(
        IssueType::Invalid,
        format!("the body is a {found}, the URL names {wanted}"),
    ))
}

fn same_id(document: &Document, id: &LogicalId) -> Result<(), Error> {
    match document.id() {
        Some(found) if found == id.as_str() => Ok(()),
        Some(found) => Err(invalid(
            IssueType::Invalid,
            format!("the id of the body is {found}, the URL names {id}"),
        )),
        None => Err(invalid(
            IssueType::Required,
            format!("the body of an update needs the id of the URL: \"id\": \"{id}\""),
        )),
    }
}

fn id_of(services: &Services, document: &Document) -> Result<LogicalId, Error> {
    match document.id() {
        Some(id) => {
            LogicalId::parse(&id).map_err(|error| invalid(IssueType::Value, error.to_string()))
        }
        None => fresh_id(services),
    }
}

/// A new server-made logical id.
///
/// # Errors
/// None in practice: what [`Ids`](crate::clock::Ids) makes is a FHIR id.
pub fn fresh_id(services: &Services) -> Result<LogicalId, Error> {
    let id = services.ids.next(services.clock.now());
    LogicalId::parse(&id).map_err(|error| Error::Internal(error.into()))
}

/// Applies prepared changes inside a transaction, in their order.
///
/// # Errors
/// The first reason that refuses a change; the transaction must be abandoned then.
pub async fn apply(
    transaction: &mut Transaction<'_>,
    context: &Context,
    changes: &[&Prepared],
    cause: &Arc<str>,
) -> Result<Vec<Written>, Error> {
    claim(transaction, changes).await?;
    let (targets, mut current) = resolve(transaction, changes).await?;
    let mut rows = Rows::default();
    let mut written = Vec::with_capacity(changes.len());
    for (prepared, target) in changes.iter().copied().zip(targets) {
        let result = match target {
            Target::Existing(stored) => Written::new(Outcome::Existing, Some(stored)),
            Target::Nothing => Written::new(Outcome::Absent, None),
            Target::New(key) if current.get(&key).is_some_and(Stored::is_live) => {
                return Err(Error::Conflict(format!("{key} exists already")));
            }
            Target::Key(key) | Target::New(key) | Target::Found(Stored { key, .. }) => {
                let before = current.get(&key).cloned();
                let change = Step {
                    context,
                    prepared,
                    key: &key,
                    before,
                    cause,
                };
                let result = Written {
                    issues: prepared.issues.clone(),
                    ..change.take(&mut rows)?
                };
                if let Some(stored) = &result.stored {
                    current.insert(key, stored.clone());
                }
                result
            }
        };
        written.push(result);
    }
    transaction.append(rows);
    Ok(written)
}

/// What a change is about, once its condition is resolved.
enum Target {
    /// What the change names.
    Key(ResourceKey),
    /// What is to be made; a resource that is there already is not to be written over.
    New(ResourceKey),
    /// What a condition singled out to be changed.
    Found(Stored),
    /// What makes a conditional create unnecessary.
    Existing(Stored),
    /// There is nothing to delete.
    Nothing,
}

/// How often conditions are resolved before the change is refused because of others.
const RESOLUTIONS_MAX: u32 = 4;

/// Resolves all conditions and locks what is to be changed. A search locks nothing: once the lock
/// is there, what it found may have a newer version, which the condition does not single out.
async fn resolve(
    transaction: &mut Transaction<'_>,
    changes: &[&Prepared],
) -> Result<(Vec<Target>, HashMap<ResourceKey, Stored>), Error> {
    for _ in 0..RESOLUTIONS_MAX {
        let targets = targets(transaction, changes).await?;
        let current = current(transaction, &targets).await?;
        let is_stale = |target: &Target| match target {
            Target::Found(found) => current
                .get(&found.key)
                .is_none_or(|now| now.version != found.version),
            _ => false,
        };
        if !targets.iter().any(is_stale) {
            return Ok((targets, current));
        }
    }
    Err(store::Error::Conflict.into())
}

async fn claim(transaction: &mut Transaction<'_>, changes: &[&Prepared]) -> Result<(), Error> {
    let mut claims: Vec<Claim> = changes
        .iter()
        .filter_map(|change| change.condition())
        .map(|condition| condition.claim.clone())
        .collect();
    if claims.is_empty() {
        return Ok(());
    }
    claims.sort();
    claims.dedup();
    Ok(transaction.claim(&claims).await?)
}

async fn targets(
    transaction: &mut Transaction<'_>,
    changes: &[&Prepared],
) -> Result<Vec<Target>, Error> {
    let mut targets = Vec::with_capacity(changes.len());
    for prepared in changes {
        let found = match prepared.condition() {
            Some(condition) => single(transaction, condition).await?,
            None => None,
        };
        targets.push(prepared.target(found)?);
    }
    Ok(targets)
}

/// The one resource that meets a condition, if any does.
///
/// # Errors
/// [`Error::MultipleMatches`] when several do.
pub async fn single(
    transaction: &mut Transaction<'_>,
    condition: &Condition,
) -> Result<Option<Stored>, Error> {
    let search = Search {
        count: 2,
        total: Total::None,
        ..condition.search.clone()
    };
    let SearchPage { mut matches, .. } = transaction.search(&search).await?;
    if matches.len() > 1 {
        return Err(Error::MultipleMatches(condition.resource_type.to_string()));
    }
    Ok(matches.pop())
}

async fn current(
    transaction: &mut Transaction<'_>,
    targets: &[Target],
) -> Result<HashMap<ResourceKey, Stored>, Error> {
    let keys: Vec<ResourceKey> = targets
        .iter()
        .filter_map(|target| match target {
            Target::Key(key) | Target::New(key) | Target::Found(Stored { key, .. }) => {
                Some(key.clone())
            }
            Target::Existing(_) | Target::Nothing => None,
        })
        .collect();
    let found = transaction.read(&keys).await?;
    Ok(keys
        .into_iter()
        .zip(found)
        .filter_map(|(key, stored)| Some((key, stored?)))
        .collect())
}

impl Prepared {
    fn condition(&self) -> Option<&Condition> {
        match &self.change {
            Change::Create { unless, .. } => unless.as_ref(),
            Change::UpdateWhere { condition, .. } | Change::DeleteWhere { condition } => {
                Some(condition)
            }
            Change::Update { .. } | Change::Delete { .. } => None,
        }
    }

    fn target(&self, found: Option<Stored>) -> Result<Target, Error> {
        Ok(match (&self.change, found) {
            (Change::Create { .. }, Some(existing)) => Target::Existing(existing),
            (Change::UpdateWhere { document, .. }, Some(existing)) => {
                if document.id().is_some() {
                    same_id(document, &existing.key.id)?;
                }
                Target::Found(existing)
            }
            (Change::DeleteWhere { .. }, Some(existing)) => Target::Found(existing),
            (Change::DeleteWhere { .. }, None) => Target::Nothing,
            (Change::Update { key, .. } | Change::Delete { key, .. }, _) => {
                Target::Key(key.clone())
            }
            (Change::Create { .. } | Change::UpdateWhere { .. }, None) => {
                let id = self.fresh.clone().ok_or_else(|| {
                    Error::Internal("a change that may create was prepared without an id".into())
                })?;
                Target::New(ResourceKey {
                    resource_type: self.resource_type.clone(),
                    id,
                })
            }
        })
    }
}
