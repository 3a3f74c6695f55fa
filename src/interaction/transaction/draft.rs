//! A transaction as it is drawn up before the store is asked to run it: ids of what it creates,
//! what its conditions single out, references rewritten, resources validated.
//!
//! What conditions single out is looked up beforehand, so that everything costly is done while
//! nobody waits, and once more under claims when the transaction runs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use fhir_model::element::Element;
use fhir_model::issue::IssueType;
use fhir_model::key::{LogicalId, ResourceKey};
use fhir_model::tree::{Kind, Node, Tree};

use crate::error::Error;
use crate::interaction::transaction::all;
use crate::interaction::transaction::link::{Identity, Links};
use crate::interaction::transaction::read::Source;
use crate::interaction::transaction::request::{Request, Verb, change, once_each, text};
use crate::interaction::write::{self, Condition, Prepared, fresh_id};
use crate::interaction::{Context, Services, aside, invalid, search};
use crate::search::extract::Extracted;
use crate::search::matching::{Candidate, matches};
use crate::store::{Claim, Stored};

/// Conditional references of one transaction that are not the same: each is a search.
const CONDITIONAL_REFERENCES_MAX: usize = 5_000;

/// A transaction whose entries were read.
pub(super) struct Draft {
    pub(super) context: Context,
    pub(super) requests: Vec<Request>,
    tree: Arc<Tree>,
    /// The id of what an entry creates.
    ids: Vec<Option<LogicalId>>,
    /// Conditional references by their text, with the first entry that has each.
    conditional: BTreeMap<String, (usize, Condition)>,
    /// What is written of the types that conditional references are about, by entry, with what it
    /// is found by.
    candidates: BTreeMap<usize, Extracted>,
}

/// What the conditions of a transaction single out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The resource that is there already, by entry.
    existing: BTreeMap<usize, ResourceKey>,
    /// What conditional references lead to.
    conditional: HashMap<String, ResourceKey>,
}

impl Draft {
    /// A draft of these entries.
    ///
    /// # Errors
    /// What refuses entries before anything is looked up.
    pub(super) async fn new(
        context: &Context,
        tree: Tree,
        requests: Vec<Request>,
    ) -> Result<Arc<Self>, Error> {
        let (context, size) = (context.clone(), tree.source().len());
        let draw_up = move || Self::draw_up(context, tree, requests).map(Arc::new);
        aside::work(size, draw_up).await?
    }

    fn draw_up(context: Context, tree: Tree, requests: Vec<Request>) -> Result<Self, Error> {
        once_each(&requests)?;
        let services = &context.services;
        let id = |request: &Request| {
            let is_needed = request.verb.may_create();
            let id = is_needed.then(|| id_to_give(services, &tree, request));
            id.transpose()
                .map_err(|error| error.of_entry(request.index))
        };
        let ids = all(requests.iter().map(id).collect())?;
        let conditional = conditional_references(services, &tree, &requests)?;
        let candidates = candidates(services, &tree, &requests, &conditional)?;
        Ok(Self {
            context,
            requests,
            tree: Arc::new(tree),
            ids,
            conditional,
            candidates,
        })
    }

    /// The claims of the entries' conditions. A conditional reference needs none: it reads.
    pub(super) fn claims(&self) -> Vec<Claim> {
        let conditions = self.requests.iter();
        let conditions = conditions.filter_map(|request| request.verb.condition());
        let mut claims: Vec<Claim> = conditions
            .map(|condition| condition.claim.clone())
            .collect();
        claims.sort();
        claims.dedup();
        claims
    }

    /// Finds what the conditions single out that references depend on.
    pub(super) async fn resolve(&self, source: &mut Source<'_, '_>) -> Result<Resolved, Error> {
        let mut resolved = Resolved::default();
        if !self.awaits_store() {
            return Ok(resolved);
        }
        let deleted = self.deleted(source).await?;
        for request in &self.requests {
            let Some(condition) = request.verb.condition() else {
                continue;
            };
            if !request.verb.awaits_identity() {
                continue;
            }
            let is_create = matches!(request.verb, Verb::Create { .. });
            let beside = if is_create { &deleted } else { &HashSet::new() };
            let mut found = found(source, condition, beside)
                .await
                .map_err(|error| error.of_entry(request.index))?;
            match (found.pop(), found.is_empty()) {
                (Some(found), true) => {
                    resolved.existing.insert(request.index, found.key);
                }
                (None, _) => {}
                (Some(_), false) => {
                    let several = Error::MultipleMatches(condition.resource_type.to_string());
                    return Err(several.of_entry(request.index));
                }
            }
        }
        let written = self.written(&resolved)?;
        let mut gone = deleted;
        gone.extend(written.iter().map(|(key, _)| key.clone()));
        let mut references = Vec::with_capacity(self.conditional.len());
        for (reference, (index, condition)) in &self.conditional {
            let target = self.target(source, condition, &written, &gone).await;
            let target = target.map_err(|error| error.of_entry(*index));
            references.push(target.map(|key| (reference.clone(), key)));
        }
        resolved.conditional = all(references)?.into_iter().collect();
        Ok(resolved)
    }

    /// Whether only the store can tell what some links lead to.
    fn awaits_store(&self) -> bool {
        let mut requests = self.requests.iter();
        !self.conditional.is_empty() || requests.any(|request| request.verb.awaits_identity())
    }

    /// What the transaction deletes, which comes first.
    async fn deleted(&self, source: &mut Source<'_, '_>) -> Result<HashSet<ResourceKey>, Error> {
        let mut deleted = HashSet::new();
        for request in &self.requests {
            match &request.verb {
                Verb::Delete { key, .. } => {
                    deleted.insert(key.clone());
                }
                Verb::DeleteWhere { condition } => {
                    let found = found(source, condition, &HashSet::new()).await?;
                    deleted.extend(found.into_iter().map(|stored| stored.key));
                }
                _ => {}
            }
        }
        Ok(deleted)
    }

    /// What the transaction writes of the types that conditional references are about.
    fn written(&self, resolved: &Resolved) -> Result<Vec<(ResourceKey, &Extracted)>, Error> {
        let mut written = Vec::with_capacity(self.candidates.len());
        for (index, extracted) in &self.candidates {
            let Some(request) = self.requests.get(*index) else {
                continue;
            };
            let is_create = matches!(request.verb, Verb::Create { .. });
            if is_create && resolved.existing.contains_key(index) {
                continue;
            }
            let identity = self.identity(request, resolved)?;
            written.extend(identity.map(|identity| (identity.key, extracted)));
        }
        Ok(written)
    }

    /// What a conditional reference leads to. References are resolved last, so this may be what the
    /// transaction writes, and nothing that was there and is `gone` by then.
    async fn target(
        &self,
        source: &mut Source<'_, '_>,
        condition: &Condition,
        written: &[(ResourceKey, &Extracted)],
        gone: &HashSet<ResourceKey>,
    ) -> Result<ResourceKey, Error> {
        let found = found(source, condition, gone).await?;
        let mut keys: Vec<ResourceKey> = found.into_iter().map(|stored| stored.key).collect();
        let now = self.context.services.clock.now().timestamp_micros();
        let resource_type = &condition.resource_type;
        let world: Vec<Candidate<'_>> = written
            .iter()
            .map(|(key, extracted)| Candidate {
                resource_type: &key.resource_type,
                id: &key.id,
                last_updated: now,
                patients: &extracted.patients,
                values: &extracted.values,
            })
            .collect();
        for candidate in &world {
            let mut filters = condition.search.filters.iter();
            if candidate.resource_type == resource_type
                && filters.all(|filter| matches(*candidate, filter, &world))
            {
                keys.push(ResourceKey::new(
                    resource_type.clone(),
                    candidate.id.clone(),
                ));
            }
        }
        match (keys.pop(), keys.is_empty()) {
            (Some(key), true) => Ok(key),
            (Some(_), false) => Err(Error::MultipleMatches(resource_type.to_string())),
            (None, _) => Err(invalid(
                IssueType::NotFound,
                format!("a conditional reference to {resource_type} matches nothing"),
            )),
        }
    }

    /// What the resource of an entry will be known by; of a deletion and a read, nothing.
    fn identity(&self, request: &Request, resolved: &Resolved) -> Result<Option<Identity>, Error> {
        let is = |key: ResourceKey| Identity {
            key,
            version_sent: None,
        };
        if let Some(key) = resolved.existing.get(&request.index) {
            return Ok(Some(is(key.clone())));
        }
        let id = self.ids.get(request.index).cloned().flatten();
        match (&request.verb, id) {
            (Verb::Update { key, .. } | Verb::Patch { key, .. }, _) => Ok(Some(is(key.clone()))),
            (Verb::Create { .. } | Verb::UpdateWhere { .. }, Some(id)) => {
                let resource = request.resource.and_then(|id| self.tree.node(id));
                let name = resource.and_then(|node| text(node, "resourceType"));
                let name = name.unwrap_or_default();
                let resource_type = self.context.services.resource_type(&name)?;
                let meta = resource.and_then(|node| node.get_str("meta"));
                let version_sent = meta.and_then(|meta| text(meta, "versionId"));
                Ok(Some(Identity {
                    key: ResourceKey { resource_type, id },
                    version_sent: version_sent.map(std::borrow::Cow::into_owned),
                }))
            }
            _ => Ok(None),
        }
    }

    /// Rewrites the references and validates every resource; in the order of application.
    pub(super) async fn prepare(
        self: &Arc<Self>,
        resolved: &Resolved,
    ) -> Result<Vec<(usize, Prepared)>, Error> {
        let (draft, resolved) = (Arc::clone(self), resolved.clone());
        let size = self.tree.source().len();
        let changes = aside::work(size, move || draft.changes(&resolved)).await??;
        let (indices, changes): (Vec<usize>, Vec<write::Change>) = changes.into_iter().unzip();
        let prepared = write::prepare_all(&self.context, changes).await?;
        let prepared = indices.into_iter().zip(prepared).map(|(index, prepared)| {
            prepared
                .map(|prepared| (index, prepared.of_entry(index)))
                .map_err(|error| error.of_entry(index))
        });
        all(prepared.collect())
    }

    fn changes(&self, resolved: &Resolved) -> Result<Vec<(usize, write::Change)>, Error> {
        let tree = self.rewritten(resolved)?;
        let mut order: Vec<&Request> = self.requests.iter().collect();
        order.sort_by_key(|request| request.verb.rank());
        let changes = order
            .into_iter()
            .filter(|request| !matches!(request.verb, Verb::Read(_)))
            .map(|request| {
                let id = self.ids.get(request.index).cloned().flatten();
                let change = change(&self.context.services, &tree, request, id);
                let change = change.map_err(|error| error.of_entry(request.index))?;
                Ok((request.index, change))
            });
        all(changes.collect())
    }

    /// The Bundle with its links rewritten: itself, where there are none.
    fn rewritten(&self, resolved: &Resolved) -> Result<Arc<Tree>, Error> {
        let mut identities = HashMap::new();
        for request in &self.requests {
            if let (Some(full_url), Some(identity)) =
                (&request.full_url, self.identity(request, resolved)?)
            {
                identities.insert(full_url.clone(), identity);
            }
        }
        let links = Links {
            definitions: &self.context.services.definitions,
            identities: &identities,
            conditional: &resolved.conditional,
        };
        let mut edits = Vec::new();
        for request in &self.requests {
            if let Some(resource) = request.resource.and_then(|id| self.tree.node(id)) {
                links.edits(resource, request.full_url.as_deref(), &mut edits);
            }
        }
        if edits.is_empty() {
            return Ok(Arc::clone(&self.tree));
        }
        let mut tree = Tree::clone(&self.tree);
        for (node, text) in edits {
            tree.set_string(node, &text)
                .map_err(|error| Error::Internal(error.into()))?;
        }
        Ok(Arc::new(tree))
    }
}

/// References such as `Patient?identifier=…` in the resources.
fn conditional_references(
    services: &Services,
    tree: &Tree,
    requests: &[Request],
) -> Result<BTreeMap<String, (usize, Condition)>, Error> {
    let mut found: HashMap<String, usize> = HashMap::new();
    for request in requests {
        let resource = request.resource.and_then(|id| tree.node(id));
        for node in resource.into_iter().flat_map(Node::descendants) {
            if node.kind() != Kind::String || !node.has_key("reference") {
                continue;
            }
            let Some(reference) = node.as_str().filter(|text| text.contains('?')) else {
                continue;
            };
            let below = services.own_base.strip(&reference).unwrap_or(&reference);
            // The condition may hold URLs of its own, those of systems.
            let target = below.split('?').next().unwrap_or_default();
            if !target.contains("://") && !found.contains_key(reference.as_ref()) {
                found.insert(reference.into_owned(), request.index);
            }
        }
    }
    if found.len() > CONDITIONAL_REFERENCES_MAX {
        return Err(Error::TooLarge(format!(
            "the transaction has {} conditional references, at most {CONDITIONAL_REFERENCES_MAX} \
             are taken; send it in parts",
            found.len()
        )));
    }
    let read = found.into_iter().map(|(reference, index)| {
        let condition = condition(services, &reference);
        let condition = condition.map_err(|error| error.of_entry(index))?;
        Ok((reference, (index, condition)))
    });
    Ok(all(read.collect())?.into_iter().collect())
}

/// What is written of the types that conditional references are about.
fn candidates(
    services: &Services,
    tree: &Tree,
    requests: &[Request],
    conditional: &BTreeMap<String, (usize, Condition)>,
) -> Result<BTreeMap<usize, Extracted>, Error> {
    let conditions = conditional.values();
    let types: HashSet<&str> = conditions
        .map(|(_, condition)| condition.resource_type.as_str())
        .collect();
    let mut candidates = BTreeMap::new();
    for request in requests {
        let Some(node) = request.resource.and_then(|id| tree.node(id)) else {
            continue;
        };
        let name = text(node, "resourceType").unwrap_or_default();
        if types.contains(name.as_ref()) {
            let type_id = services.type_id(&services.resource_type(&name)?)?;
            let extracted = services.extractor.extract(Element::of(node), type_id);
            candidates.insert(request.index, extracted);
        }
    }
    Ok(candidates)
}

fn condition(services: &Services, reference: &str) -> Result<Condition, Error> {
    let below = services.own_base.strip(reference).unwrap_or(reference);
    let (resource_type, query) = below.split_once('?').unwrap_or((below, ""));
    let resource_type = services.resource_type(resource_type.trim_start_matches('/'))?;
    search::condition(services, &resource_type, query)
}

/// What meets a condition, beside some that do not count; as far as it matters: two are too many.
async fn found(
    source: &mut Source<'_, '_>,
    condition: &Condition,
    beside: &HashSet<ResourceKey>,
) -> Result<Vec<Stored>, Error> {
    let of_type = beside
        .iter()
        .filter(|key| key.resource_type == condition.resource_type);
    let search = condition.search_beside(of_type.count());
    let mut found = source.search(&search).await?.matches;
    found.retain(|stored| !beside.contains(&stored.key));
    Ok(found)
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
