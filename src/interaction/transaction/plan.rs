//! A transaction in one commit: identities, references between entries, order of application.

use std::collections::HashMap;
use std::sync::Arc;

use fhir_model::issue::IssueType;
use fhir_model::key::{LogicalId, ResourceKey};
use fhir_model::tree::{Kind, Node, NodeId, Tree};

use crate::error::Error;
use crate::interaction::transaction::answer::Answer;
use crate::interaction::transaction::request::{
    Get, Request, Verb, at, change, once_each, read_target, text, within,
};
use crate::interaction::write::{self, Condition, Outcome, Prepared, Written, fresh_id};
use crate::interaction::{Context, Services, invalid, read, search};
use crate::search::query::Handling;
use crate::store::{Transaction, Work};

/// A transaction, ready to be run (again, if the store asks for it).
pub(super) struct Plan {
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
    /// A plan for these entries. Without conditions everything is known now, and the writer need
    /// not wait for validation.
    pub(super) fn new(
        context: &Context,
        tree: Tree,
        requests: Vec<Request>,
    ) -> Result<Self, Error> {
        once_each(&requests)?;
        let ids = requests
            .iter()
            .map(|request| {
                request
                    .verb
                    .may_create()
                    .then(|| id_to_give(&context.services, &tree, request))
                    .transpose()
            })
            .collect::<Result<_, _>>()?;
        let mut plan = Self {
            context: context.clone(),
            tree,
            requests,
            ids,
            conditional: Vec::new(),
            prepared: None,
        };
        plan.conditional = plan.conditional_references()?;
        let awaits = |request: &Request| request.verb.awaits_identity();
        if plan.conditional.is_empty() && !plan.requests.iter().any(awaits) {
            plan.prepared = Some(plan.prepare(&HashMap::new())?);
        }
        Ok(plan)
    }

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
            let (Some(condition), Some(full_url), true) = (
                request.verb.condition(),
                &request.full_url,
                request.verb.awaits_identity(),
            ) else {
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
                            condition.resource_type
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
                write::prepare(&self.context, change).map_err(|error| within(&location, error))?;
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
            let server = request.full_url.as_deref().and_then(server_of);
            for node in resource.into_iter().flat_map(Node::descendants) {
                edits.extend(rewrite(node, server, identities).map(|text| (node.id(), text)));
            }
        }
        for (node, text) in edits {
            tree.set_string(node, &text)
                .map_err(|error| Error::Internal(error.into()))?;
        }
        Ok(tree)
    }

    /// Two entries must not have written the same resource: only now is known what their
    /// conditions singled out. <https://hl7.org/fhir/R4/http.html#trules>
    fn written_once(
        &self,
        prepared: &[(usize, Prepared)],
        written: &[Written],
    ) -> Result<(), Error> {
        let (mut keys, mut conditions) = (HashMap::new(), HashMap::new());
        let wrote = |written: &&Written| written.outcome != Outcome::Existing;
        for ((index, _), written) in prepared.iter().zip(written) {
            let Some(stored) = Some(written)
                .filter(wrote)
                .and_then(|it| it.stored.as_ref())
            else {
                continue;
            };
            let request = self.requests.get(*index);
            let condition = request.and_then(|request| request.verb.condition());
            let earlier = keys.insert(&stored.key, index).or_else(|| {
                let claim = condition.map(|condition| &condition.claim)?;
                conditions.insert(claim, index)
            });
            if let Some(earlier) = earlier {
                return Err(at(
                    &format!("Bundle.entry[{index}]"),
                    IssueType::Invalid,
                    format!(
                        "entry {earlier} is about the same resource; a transaction may name a resource once"
                    ),
                ));
            }
        }
        Ok(())
    }

    async fn apply(
        &self,
        transaction: &mut Transaction<'_>,
        prepared: &[(usize, Prepared)],
    ) -> Result<Vec<Answer>, Error> {
        let cause: Arc<str> = "transaction".into();
        let changes: Vec<&Prepared> = prepared.iter().map(|(_, ready)| ready).collect();
        let written = write::apply(transaction, &self.context, &changes, &cause).await?;
        self.written_once(prepared, &written)?;
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
                let found = transaction.vread(&key, version).await?;
                let stored = found.ok_or(Error::VersionNotFound(key, version))?;
                read::present(stored).map(Answer::Read)
            }
            Get::Search(resource_type, query) => {
                let resource_type = services.resource_type(&resource_type)?;
                let types = resource_type.clone().into();
                let query = search::parse(services, &types, &query, Handling::Default)?;
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

/// The id that an entry's resource will have if it is created: a conditional update may bring its
/// own.
fn id_to_give(services: &Services, tree: &Tree, request: &Request) -> Result<LogicalId, Error> {
    let resource = request.resource.and_then(|id| tree.node(id));
    let own = resource.and_then(|node| text(node, "id"));
    match (&request.verb, own) {
        (Verb::UpdateWhere { .. }, Some(id)) => {
            LogicalId::parse(&id).map_err(|error| invalid(IssueType::Value, error.to_string()))
        }
        _ => fresh_id(services),
    }
}

/// The server in a `fullUrl` of the form `server/Type/id`, on which the relative references of its entry are:
/// <https://hl7.org/fhir/R4/bundle.html#references>.
fn server_of(full_url: &str) -> Option<&str> {
    let (collection, _id) = full_url.rsplit_once('/')?;
    let (server, _type) = collection.rsplit_once('/')?;
    server.contains("://").then_some(server)
}

/// The new text of a string that names another entry, if it does: a reference, a `uri` of any kind,
/// or a link of a narrative.
fn rewrite(
    node: Node<'_>,
    server: Option<&str>,
    identities: &HashMap<String, ResourceKey>,
) -> Option<String> {
    if node.kind() != Kind::String {
        return None;
    }
    let text = node.as_str()?;
    if node.has_key("reference") || (text.starts_with("urn:") && !is_text(node)) {
        return renamed(&text, server, identities);
    }
    let has_links = node.has_key("div") && (text.contains("href=") || text.contains("src="));
    has_links
        .then(|| narrative(&text, server, identities))
        .flatten()
}

/// Strings that may hold a URI and are none: what a document is identified by stays, although its
/// entry has the same name.
fn is_text(node: Node<'_>) -> bool {
    ["value", "valueString", "title"]
        .iter()
        .any(|key| node.has_key(key))
}

/// What a link is called once the entry that it names has its place.
fn renamed(
    link: &str,
    server: Option<&str>,
    identities: &HashMap<String, ResourceKey>,
) -> Option<String> {
    let (target, fragment) = link.split_once('#').unwrap_or((link, ""));
    let key = identities.get(target).or_else(|| {
        let server = server.filter(|_| !target.is_empty() && !target.contains(':'))?;
        identities.get(&format!("{server}/{target}"))
    })?;
    Some(if fragment.is_empty() {
        key.to_string()
    } else {
        format!("{key}#{fragment}")
    })
}

/// A narrative whose attributes (`href`, `src`) name entries by their places, if any does. One pass:
/// a Bundle may have many entries and as many narratives.
fn narrative(
    text: &str,
    server: Option<&str>,
    identities: &HashMap<String, ResourceKey>,
) -> Option<String> {
    const QUOTES: [char; 2] = ['"', '\''];
    let mut rewritten = String::with_capacity(text.len());
    let mut has_changed = false;
    for piece in text.split_inclusive(QUOTES) {
        let (value, quote) = piece.split_at(piece.trim_end_matches(QUOTES).len());
        match renamed(value, server, identities) {
            Some(name) => {
                rewritten.push_str(&name);
                has_changed = true;
            }
            None => rewritten.push_str(value),
        }
        rewritten.push_str(quote);
    }
    has_changed.then_some(rewritten)
}
