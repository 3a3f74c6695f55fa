//! The `batch` and `transaction` interactions: <https://hl7.org/fhir/R4/http.html#transaction>.
//!
//! A transaction is one commit: identities are resolved first (ids for what is created, conditions
//! under claims), references between entries are rewritten, then everything is applied in the order
//! of the specification (DELETE, POST, PUT, GET), or nothing is. A batch is as many requests as it
//! has entries, each on its own.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use fhir_model::issue::{Issue, IssueType};
use fhir_model::key::{LogicalId, ResourceKey, VersionId};
use fhir_model::tree::{Kind, Node, NodeId, Tree};
use futures_util::{StreamExt as _, stream};

use crate::error::Error;
use crate::interaction::bundle::{self, Entry, Response, Writer};
use crate::interaction::outcome::{outcome, status, status_line};
use crate::interaction::write::{
    self, Change, Condition, Document, Outcome, Prepared, Written, fresh_id,
};
use crate::interaction::{Context, Services, invalid, read, search};
use crate::search::query::Handling;
use crate::store::{Stored, Transaction, Work};

/// Entries of one Bundle at most.
const ENTRIES_MAX: usize = 100_000;
/// Entries of a batch that are under way at once, so that they share commits.
const BATCH_CONCURRENCY: usize = 16;

/// Does what a Bundle asks; the answer is a Bundle too.
///
/// # Errors
/// [`Error::Invalid`] for what is no batch or transaction; for a transaction, the first error of
/// an entry, its location put before the issue's own.
pub async fn process(context: &Context, tree: Tree, with_resources: bool) -> Result<String, Error> {
    let bundle_type = bundle_type(&tree)?;
    let requests = requests(&context.services, &tree)?;
    let answers = match bundle_type {
        BundleType::Transaction => transaction(context, tree, requests).await?,
        BundleType::Batch => batch(context, Arc::new(tree), requests).await,
    };
    Ok(respond(
        &context.services,
        bundle_type,
        &answers,
        with_resources,
    ))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BundleType {
    Batch,
    Transaction,
}

fn bundle_type(tree: &Tree) -> Result<BundleType, Error> {
    if tree.resource_type().as_deref() != Some("Bundle") {
        return Err(invalid(
            IssueType::Invalid,
            "a Bundle of type batch or transaction is expected here",
        ));
    }
    match text(tree.root(), "type").as_deref() {
        Some("transaction") => Ok(BundleType::Transaction),
        Some("batch") => Ok(BundleType::Batch),
        other => Err(at(
            "Bundle.type",
            IssueType::Value,
            format!(
                "Bundle.type is {}; batch or transaction is expected here",
                other.unwrap_or("absent")
            ),
        )),
    }
}

/// One entry, read.
#[derive(Clone)]
struct Request {
    full_url: Option<String>,
    resource: Option<NodeId>,
    verb: Verb,
}

/// What an entry asks for.
#[derive(Clone)]
enum Verb {
    Get(String),
    Create {
        unless: Option<Condition>,
    },
    Update {
        key: ResourceKey,
        expected: Option<VersionId>,
    },
    UpdateWhere {
        condition: Condition,
        expected: Option<VersionId>,
    },
    Delete {
        key: ResourceKey,
        expected: Option<VersionId>,
    },
    DeleteWhere {
        condition: Condition,
    },
}

impl Verb {
    /// The order in which a transaction is applied.
    fn rank(&self) -> u8 {
        match self {
            Self::Delete { .. } | Self::DeleteWhere { .. } => 0,
            Self::Create { .. } => 1,
            Self::Update { .. } | Self::UpdateWhere { .. } => 2,
            Self::Get(_) => 3,
        }
    }

    fn condition(&self) -> Option<&Condition> {
        match self {
            Self::Create { unless } => unless.as_ref(),
            Self::UpdateWhere { condition, .. } => Some(condition),
            Self::Get(_) | Self::Update { .. } | Self::Delete { .. } | Self::DeleteWhere { .. } => {
                None
            }
        }
    }
}

fn requests(services: &Services, tree: &Tree) -> Result<Vec<Result<Request, Error>>, Error> {
    let entries = tree.root().get_str("entry").map(Node::items);
    let entries: Vec<Node<'_>> = entries.into_iter().flatten().collect();
    if entries.len() > ENTRIES_MAX {
        return Err(at(
            "Bundle.entry",
            IssueType::TooLong,
            format!(
                "the Bundle has {} entries, at most {ENTRIES_MAX} are taken",
                entries.len()
            ),
        ));
    }
    Ok(entries
        .into_iter()
        .map(|entry| request(services, entry))
        .collect())
}

fn request(services: &Services, entry: Node<'_>) -> Result<Request, Error> {
    let location = entry.location();
    let request = entry
        .get_str("request")
        .ok_or_else(|| at(&location, IssueType::Required, "the entry has no request"))?;
    let method = text(request, "method")
        .ok_or_else(|| at(&location, IssueType::Required, "request.method is missing"))?;
    let url = text(request, "url")
        .ok_or_else(|| at(&location, IssueType::Required, "request.url is missing"))?;
    let url = relative(services, &url);
    let expected = expected(request, &location)?;
    let resource = entry.get_str("resource");
    let verb = match method.as_ref() {
        "GET" => Verb::Get(url.to_owned()),
        "POST" => create(services, request, url)?,
        "PUT" => update(services, url, expected)?,
        "DELETE" => delete(services, url, expected)?,
        other => {
            return Err(at(
                &location,
                IssueType::NotSupported,
                format!("request.method {other} is not supported; GET, POST, PUT and DELETE are"),
            ));
        }
    };
    let needs_resource = matches!(method.as_ref(), "POST" | "PUT");
    if needs_resource && resource.is_none() {
        return Err(at(
            &location,
            IssueType::Required,
            format!("{method} needs a resource"),
        ));
    }
    Ok(Request {
        full_url: text(entry, "fullUrl").map(Cow::into_owned),
        resource: resource.map(Node::id),
        verb,
    })
    .map_err(|error| within(&location, error))
}

/// The URL without our own base.
fn relative<'u>(services: &Services, url: &'u str) -> &'u str {
    url.strip_prefix(services.base_url.as_ref())
        .unwrap_or(url)
        .trim_start_matches('/')
}

fn expected(request: Node<'_>, location: &str) -> Result<Option<VersionId>, Error> {
    let Some(tag) = text(request, "ifMatch") else {
        return Ok(None);
    };
    let version = tag.trim().trim_start_matches("W/").trim_matches('"');
    VersionId::parse(version).map(Some).map_err(|error| {
        at(
            location,
            IssueType::Value,
            format!("request.ifMatch: {error}"),
        )
    })
}

fn create(services: &Services, request: Node<'_>, url: &str) -> Result<Verb, Error> {
    let resource_type = services.resource_type(url)?;
    let unless = text(request, "ifNoneExist")
        .map(|query| search::condition(services, &resource_type, query.trim_start_matches('?')))
        .transpose()?;
    Ok(Verb::Create { unless })
}

fn update(services: &Services, url: &str, expected: Option<VersionId>) -> Result<Verb, Error> {
    match url.split_once('?') {
        Some((resource_type, query)) => {
            let resource_type = services.resource_type(resource_type)?;
            let condition = search::condition(services, &resource_type, query)?;
            Ok(Verb::UpdateWhere {
                condition,
                expected,
            })
        }
        None => Ok(Verb::Update {
            key: key(services, url)?,
            expected,
        }),
    }
}

fn delete(services: &Services, url: &str, expected: Option<VersionId>) -> Result<Verb, Error> {
    match url.split_once('?') {
        Some((resource_type, query)) => {
            let resource_type = services.resource_type(resource_type)?;
            let condition = search::condition(services, &resource_type, query)?;
            Ok(Verb::DeleteWhere { condition })
        }
        None => Ok(Verb::Delete {
            key: key(services, url)?,
            expected,
        }),
    }
}

fn key(services: &Services, url: &str) -> Result<ResourceKey, Error> {
    match url.split_once('/') {
        Some((resource_type, id)) => services.key(resource_type, id),
        None => Err(invalid(
            IssueType::Value,
            format!("request.url {url} names no resource: Type/id is expected"),
        )),
    }
}

/// What an entry is answered with.
#[derive(Clone)]
enum Answer {
    Written(Written),
    Read(Stored),
    Bundle(String),
    Failed { status: u16, outcome: String },
}

impl Answer {
    fn failed(error: &Error) -> Self {
        if matches!(error, Error::Internal(_) | Error::Unavailable(_)) {
            tracing::error!(error = crate::error::chain(error), "Bundle entry failed");
        }
        Self::Failed {
            status: status(error),
            outcome: outcome(error).to_json(),
        }
    }
}

async fn batch(
    context: &Context,
    tree: Arc<Tree>,
    requests: Vec<Result<Request, Error>>,
) -> Vec<Answer> {
    stream::iter(requests)
        .map(|request| {
            let tree = Arc::clone(&tree);
            async move {
                let answer = match request {
                    Ok(request) => single(context, &tree, request).await,
                    Err(error) => Err(error),
                };
                answer.unwrap_or_else(|error| Answer::failed(&error))
            }
        })
        .buffered(BATCH_CONCURRENCY)
        .collect()
        .await
}

async fn single(context: &Context, tree: &Arc<Tree>, request: Request) -> Result<Answer, Error> {
    if let Verb::Get(url) = &request.verb {
        return get(&context.services, url).await;
    }
    let change = change(tree, &request, None)?;
    let written = write::commit(context, vec![change], "batch").await?;
    written
        .into_iter()
        .next()
        .map(Answer::Written)
        .ok_or_else(|| Error::Internal("a commit of one change gave no result".into()))
}

async fn get(services: &Services, url: &str) -> Result<Answer, Error> {
    match read_target(services, url)? {
        Get::Read(key) => Ok(Answer::Read(read::read(services, &key).await?)),
        Get::Vread(key, version) => Ok(Answer::Read(read::vread(services, &key, version).await?)),
        Get::Search(resource_type, query) => {
            let resource_type = services.resource_type(&resource_type)?;
            let found = search::search(services, &resource_type, &query, Handling::Default).await?;
            Ok(Answer::Bundle(found))
        }
    }
}

enum Get {
    Read(ResourceKey),
    Vread(ResourceKey, VersionId),
    Search(String, String),
}

fn read_target(services: &Services, url: &str) -> Result<Get, Error> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let segments: Vec<&str> = path.split('/').collect();
    match segments.as_slice() {
        [resource_type] => Ok(Get::Search((*resource_type).to_owned(), query.to_owned())),
        [resource_type, id] => Ok(Get::Read(services.key(resource_type, id)?)),
        [resource_type, id, "_history", version] => {
            let version = VersionId::parse(version)
                .map_err(|error| invalid(IssueType::Value, error.to_string()))?;
            Ok(Get::Vread(services.key(resource_type, id)?, version))
        }
        _ => Err(Error::NotSupported(format!(
            "GET {path} is not supported in a Bundle"
        ))),
    }
}

fn change(tree: &Arc<Tree>, request: &Request, id: Option<LogicalId>) -> Result<Change, Error> {
    let document = request.resource.map(|root| Document::within(tree, root));
    let document = || {
        document
            .clone()
            .ok_or_else(|| Error::Internal("an entry that writes has no resource".into()))
    };
    Ok(match request.verb.clone() {
        Verb::Create { unless } => Change::Create {
            document: document()?,
            unless,
            id,
        },
        Verb::Update { key, expected } => Change::Update {
            key,
            document: document()?,
            expected,
        },
        Verb::UpdateWhere {
            condition,
            expected,
        } => Change::UpdateWhere {
            document: document()?,
            condition,
            expected,
        },
        Verb::Delete { key, expected } => Change::Delete { key, expected },
        Verb::DeleteWhere { condition } => Change::DeleteWhere { condition },
        Verb::Get(url) => return Err(Error::Internal(format!("GET {url} is no change").into())),
    })
}

async fn transaction(
    context: &Context,
    tree: Tree,
    requests: Vec<Result<Request, Error>>,
) -> Result<Vec<Answer>, Error> {
    let requests: Vec<Request> = requests.into_iter().collect::<Result<_, _>>()?;
    once_each(&requests)?;
    let ids = requests
        .iter()
        .map(|request| match request.verb {
            Verb::Create { .. } | Verb::UpdateWhere { .. } => fresh_id(&context.services).map(Some),
            Verb::Get(_) | Verb::Update { .. } | Verb::Delete { .. } | Verb::DeleteWhere { .. } => {
                Ok(None)
            }
        })
        .collect::<Result<_, _>>()?;
    let mut plan = Plan {
        context: context.clone(),
        tree,
        requests,
        ids,
        conditional: Vec::new(),
        prepared: None,
    };
    plan.conditional = plan.conditional_references()?;
    // Without conditions everything is known now, and the writer need not wait for validation.
    if plan.conditional.is_empty()
        && plan
            .requests
            .iter()
            .all(|request| request.verb.condition().is_none())
    {
        plan.prepared = Some(plan.prepare(&HashMap::new())?);
    }
    let services = Arc::clone(&context.services);
    services.store.transact(plan).await
}

/// Two entries must not be about the same resource.
fn once_each(requests: &[Request]) -> Result<(), Error> {
    let mut seen = HashMap::new();
    for (index, request) in requests.iter().enumerate() {
        let (Verb::Update { key, .. } | Verb::Delete { key, .. }) = &request.verb else {
            continue;
        };
        if let Some(earlier) = seen.insert(key, index) {
            return Err(at(
                &format!("Bundle.entry[{index}]"),
                IssueType::Invalid,
                format!(
                    "{key} is written by entry {earlier} already; a transaction may name a resource once"
                ),
            ));
        }
    }
    Ok(())
}

/// A transaction, ready to be run (again, if the store asks for it).
struct Plan {
    context: Context,
    tree: Tree,
    requests: Vec<Request>,
    /// The id of what an entry creates.
    ids: Vec<Option<LogicalId>>,
    /// Conditional references: text → condition.
    conditional: Vec<(String, Condition)>,
    prepared: Option<Vec<(usize, Prepared)>>,
}

impl Work for Plan {
    type Output = Vec<Answer>;
    type Error = Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<Vec<Answer>, Error> {
        let (resolved, prepared);
        let prepared: &[(usize, Prepared)] = if let Some(prepared) = &self.prepared {
            prepared
        } else {
            resolved = self.resolve(transaction).await?;
            prepared = self.prepare(&resolved)?;
            &prepared
        };
        self.apply(transaction, prepared).await
    }
}

impl Plan {
    /// References such as `Patient?identifier=…` in the resources.
    fn conditional_references(&self) -> Result<Vec<(String, Condition)>, Error> {
        let services = &self.context.services;
        let mut found: HashMap<String, Condition> = HashMap::new();
        for (index, request) in self.requests.iter().enumerate() {
            let resource = request.resource.and_then(|id| self.tree.node(id));
            for node in resource.into_iter().flat_map(Node::descendants) {
                if node.kind() != Kind::String || !node.has_key("reference") {
                    continue;
                }
                let Some(reference) = node.as_str() else {
                    continue;
                };
                let Some((resource_type, query)) = reference.split_once('?') else {
                    continue;
                };
                if resource_type.contains(':') || found.contains_key(reference.as_ref()) {
                    continue;
                }
                let condition = services
                    .resource_type(resource_type)
                    .and_then(|resource_type| search::condition(services, &resource_type, query))
                    .map_err(|error| within(&format!("Bundle.entry[{index}]"), error))?;
                found.insert(reference.into_owned(), condition);
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Takes the claims of all conditions in one order, then finds what each singles out.
    async fn resolve(
        &self,
        transaction: &mut Transaction<'_>,
    ) -> Result<HashMap<String, ResourceKey>, Error> {
        let own = self
            .requests
            .iter()
            .filter_map(|request| request.verb.condition());
        let mut claims: Vec<_> = own
            .chain(self.conditional.iter().map(|(_, condition)| condition))
            .map(|condition| condition.claim.clone())
            .collect();
        claims.sort();
        claims.dedup();
        transaction.claim(&claims).await?;

        let mut resolved = HashMap::new();
        for (index, request) in self.requests.iter().enumerate() {
            let (Some(condition), Some(full_url)) = (request.verb.condition(), &request.full_url)
            else {
                continue;
            };
            let found = write::single(transaction, condition)
                .await
                .map_err(|error| within(&format!("Bundle.entry[{index}]"), error))?;
            if let Some(stored) = found {
                resolved.insert(full_url.clone(), stored.key);
            }
        }
        for (reference, condition) in &self.conditional {
            let found = write::single(transaction, condition)
                .await?
                .ok_or_else(|| {
                    invalid(
                        IssueType::NotFound,
                        format!(
                            "a conditional reference to {} matches nothing",
                            condition.search.resource_type
                        ),
                    )
                })?;
            resolved.insert(reference.clone(), found.key);
        }
        Ok(resolved)
    }

    /// Rewrites the references and validates every resource; in the order of application.
    fn prepare(
        &self,
        resolved: &HashMap<String, ResourceKey>,
    ) -> Result<Vec<(usize, Prepared)>, Error> {
        let services = &self.context.services;
        let identities = self.identities(resolved)?;
        let tree = Arc::new(self.rewritten(&identities)?);
        let mut order: Vec<usize> = (0..self.requests.len()).collect();
        order.sort_by_key(|index| self.requests.get(*index).map(|request| request.verb.rank()));
        let mut prepared = Vec::with_capacity(order.len());
        for index in order {
            let Some(request) = self.requests.get(index) else {
                continue;
            };
            if matches!(request.verb, Verb::Get(_)) {
                continue;
            }
            let id = self.ids.get(index).cloned().flatten();
            let change = change(&tree, request, id)?;
            let location = format!("Bundle.entry[{index}]");
            let ready =
                write::prepare(services, change).map_err(|error| within(&location, error))?;
            prepared.push((index, ready));
        }
        Ok(prepared)
    }

    /// What each `fullUrl` will be known by.
    fn identities(
        &self,
        resolved: &HashMap<String, ResourceKey>,
    ) -> Result<HashMap<String, ResourceKey>, Error> {
        let mut identities = resolved.clone();
        for (index, request) in self.requests.iter().enumerate() {
            let Some(full_url) = &request.full_url else {
                continue;
            };
            if identities.contains_key(full_url) {
                continue;
            }
            let key = match (&request.verb, self.ids.get(index).cloned().flatten()) {
                (Verb::Update { key, .. }, _) => key.clone(),
                (Verb::Create { .. } | Verb::UpdateWhere { .. }, Some(id)) => {
                    let resource = request.resource.and_then(|id| self.tree.node(id));
                    let name = resource.and_then(|node| text(node, "resourceType"));
                    let resource_type = self
                        .context
                        .services
                        .resource_type(&name.unwrap_or_default())?;
                    ResourceKey { resource_type, id }
                }
                _ => continue,
            };
            identities.insert(full_url.clone(), key);
        }
        Ok(identities)
    }

    fn rewritten(&self, identities: &HashMap<String, ResourceKey>) -> Result<Tree, Error> {
        let mut tree = self.tree.clone();
        let mut edits: Vec<(NodeId, String)> = Vec::new();
        for request in &self.requests {
            let resource = request.resource.and_then(|id| self.tree.node(id));
            for node in resource.into_iter().flat_map(Node::descendants) {
                edits.extend(rewrite(node, identities).map(|text| (node.id(), text)));
            }
        }
        for (node, text) in edits {
            tree.set_string(node, &text)
                .map_err(|error| Error::Internal(error.into()))?;
        }
        Ok(tree)
    }

    async fn apply(
        &self,
        transaction: &mut Transaction<'_>,
        prepared: &[(usize, Prepared)],
    ) -> Result<Vec<Answer>, Error> {
        let cause: Arc<str> = "transaction".into();
        let changes: Vec<&Prepared> = prepared.iter().map(|(_, ready)| ready).collect();
        let written = write::apply(transaction, &self.context, &changes, &cause).await?;
        let mut answers: Vec<Option<Answer>> = vec![None; self.requests.len()];
        for ((index, _), written) in prepared.iter().zip(written) {
            if let Some(answer) = answers.get_mut(*index) {
                *answer = Some(Answer::Written(written));
            }
        }
        for (index, answer) in answers.iter_mut().enumerate() {
            if let (
                None,
                Some(Request {
                    verb: Verb::Get(url),
                    ..
                }),
            ) = (&answer, self.requests.get(index))
            {
                let found = self.get(transaction, url).await;
                *answer =
                    Some(found.map_err(|error| within(&format!("Bundle.entry[{index}]"), error))?);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// A read inside the transaction sees what the transaction wrote.
    async fn get(&self, transaction: &mut Transaction<'_>, url: &str) -> Result<Answer, Error> {
        let services = &self.context.services;
        match read_target(services, url)? {
            Get::Read(key) => {
                let found = transaction
                    .read(std::slice::from_ref(&key))
                    .await?
                    .into_iter()
                    .next()
                    .flatten();
                let stored = found.ok_or_else(|| Error::NotFound(key.clone()))?;
                read::present(stored).map(Answer::Read)
            }
            Get::Vread(key, version) => {
                Ok(Answer::Read(read::vread(services, &key, version).await?))
            }
            Get::Search(resource_type, query) => {
                let resource_type = services.resource_type(&resource_type)?;
                let query = search::parse(services, &resource_type, &query, Handling::Default)?;
                let page = transaction.search(&query.search).await?;
                Ok(Answer::Bundle(search::bundle(
                    services,
                    resource_type.as_str(),
                    &query,
                    &page,
                )))
            }
        }
    }
}

/// The new text of a string that names another entry, if it does.
fn rewrite(node: Node<'_>, identities: &HashMap<String, ResourceKey>) -> Option<String> {
    if node.kind() != Kind::String {
        return None;
    }
    let text = node.as_str()?;
    let is_reference = node.has_key("reference");
    if is_reference || text.starts_with("urn:") {
        let (target, fragment) = text.split_once('#').unwrap_or((&text, ""));
        let key = identities.get(target)?;
        let tail = if fragment.is_empty() {
            String::new()
        } else {
            format!("#{fragment}")
        };
        return Some(format!("{key}{tail}"));
    }
    if node.has_key("div") && text.contains("urn:") {
        let rewritten = identities
            .iter()
            .fold(text.into_owned(), |narrative, (url, key)| {
                narrative.replace(url.as_str(), &key.to_string())
            });
        return Some(rewritten);
    }
    None
}

fn respond(
    services: &Services,
    bundle_type: BundleType,
    answers: &[Answer],
    with_resources: bool,
) -> String {
    let name = match bundle_type {
        BundleType::Batch => "batch-response",
        BundleType::Transaction => "transaction-response",
    };
    let now = services.clock.now();
    let mut writer = Writer::new(name, &services.ids.next(now), now, None, &[]);
    for answer in answers {
        writer.push(&entry(services, answer, with_resources));
    }
    writer.finish()
}

fn entry<'a>(services: &Services, answer: &'a Answer, with_resources: bool) -> Entry<'a> {
    match answer {
        Answer::Written(written) => written_entry(services, written, with_resources),
        Answer::Read(stored) => Entry {
            full_url: Some(format!("{}/{}", services.base_url, stored.key)),
            resource: stored.text.as_deref().map(Cow::Borrowed),
            response: Some(Response {
                location: None,
                ..versioned(services, stored, 200)
            }),
            ..Entry::default()
        },
        Answer::Bundle(text) => Entry {
            resource: Some(Cow::Borrowed(text)),
            response: Some(Response {
                status: status_line(200),
                ..Response::default()
            }),
            ..Entry::default()
        },
        Answer::Failed { status, outcome } => Entry {
            response: Some(Response {
                status: status_line(*status),
                outcome: Some(outcome.clone()),
                ..Response::default()
            }),
            ..Entry::default()
        },
    }
}

fn written_entry<'a>(services: &Services, written: &'a Written, with_resources: bool) -> Entry<'a> {
    let status = match written.outcome {
        Outcome::Created => 201,
        Outcome::Updated | Outcome::Unchanged | Outcome::Existing => 200,
        Outcome::Deleted | Outcome::Absent => 204,
    };
    let Some(stored) = &written.stored else {
        let response = Response {
            status: status_line(status),
            ..Response::default()
        };
        return Entry {
            response: Some(response),
            ..Entry::default()
        };
    };
    let text = stored.text.as_deref();
    Entry {
        full_url: text.map(|_| format!("{}/{}", services.base_url, stored.key)),
        resource: text.filter(|_| with_resources).map(Cow::Borrowed),
        response: Some(versioned(services, stored, status)),
        ..Entry::default()
    }
}

fn versioned(services: &Services, stored: &Stored, status: u16) -> Response {
    let location = format!("{}/{}", services.base_url, bundle::version_path(stored));
    Response {
        status: status_line(status),
        location: stored.text.is_some().then_some(location),
        etag: Some(bundle::etag(stored)),
        last_modified: Some(stored.last_updated),
        outcome: None,
    }
}

fn text<'a>(node: Node<'a>, key: &str) -> Option<Cow<'a, str>> {
    node.get_str(key)?.as_str()
}

fn at(location: &str, code: IssueType, text: impl Into<String>) -> Error {
    Error::Invalid(vec![Issue::error(code, text).at(location)])
}

/// The error of an entry, its place in the Bundle put first.
fn within(location: &str, error: Error) -> Error {
    let placed = |issues: Vec<Issue>| {
        let place = |issue: Issue| {
            let inner = issue.location.clone();
            if inner.starts_with("Bundle.") {
                return issue;
            }
            let tail = inner
                .split_once('.')
                .map(|(_, tail)| format!(".resource.{tail}"));
            issue.at(format!("{location}{}", tail.unwrap_or_default()))
        };
        issues.into_iter().map(place).collect()
    };
    match error {
        Error::Invalid(issues) => Error::Invalid(placed(issues)),
        Error::Unprocessable(issues) => Error::Unprocessable(placed(issues)),
        other => other,
    }
}
