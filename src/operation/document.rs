//! `$document`: a document of a composition and all that it refers to.
//!
//! <https://hl7.org/fhir/R4/composition-operation-document.html>,
//! <https://hl7.org/fhir/R4/documents.html#content>. The Composition comes first; what it refers to
//! must be here, and what that refers to in turn is taken along where it is here. Each resource is
//! in the document once. Signatures and stylesheets are left to who sends the document.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use fhir_model::issue::{Issue, IssueType};
use fhir_model::key::{ResourceKey, VersionId};
use fhir_model::reference::Reference;
use fhir_model::tree::push_json_string;
use uuid::Uuid;

use crate::clock::Ids;
use crate::error::Error;
use crate::interaction::bundle::{Entry, Writer};
use crate::interaction::operations::On;
use crate::interaction::write::{self, Change, Document, fresh_id, instant_text};
use crate::interaction::{Services, invalid, read};
use crate::operation::call::{Answer, Call};
use crate::operation::reference::{self, Target};
use crate::store::Stored;

/// Resources of one document at most.
const RESOURCES_MAX: usize = 5_000;
/// Resources that are read at once.
const READ_MAX: usize = 100;

/// `Composition/[id]/$document`, and `Composition/$document?id=[id]`.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Gone`] as a read; [`Error::Unprocessable`] with every reference
/// of the composition that leads nowhere, and for a document that would be too large.
pub async fn document(call: Call) -> Result<Answer, Error> {
    if call.input.text("graph").is_some() {
        return Err(invalid(
            IssueType::NotSupported,
            "graph is not supported: a document has all that its composition leads to",
        ));
    }
    let services = Arc::clone(&call.context.services);
    let key = composition(&services, &call)?;
    let persist = call.input.boolean("persist")?.unwrap_or(false);
    let composition = read::read(&services, &key).await?;
    let resources = collect(&services, composition).await?;
    let text = bundle(&services, &resources)?;
    if !persist {
        return Ok(Answer::Resource(text));
    }
    store(call, &text).await
}

/// Which composition is meant.
fn composition(services: &Services, call: &Call) -> Result<ResourceKey, Error> {
    let named = call.input.text("id");
    match (&call.on, named) {
        (On::Instance(key), None) => Ok(key.clone()),
        (On::Instance(_), Some(_)) => Err(invalid(
            IssueType::Invalid,
            "the composition is named in the URL already: id is not allowed here",
        )),
        (_, None) => Err(invalid(
            IssueType::Required,
            "which composition? Composition/[id]/$document, or the parameter id",
        )),
        (_, Some(text)) => match Reference::parse(text, Some(&services.own_base)) {
            Reference::Local(target) if target.resource_type == "Composition" => {
                services.key("Composition", target.id)
            }
            Reference::Malformed(id) => services.key("Composition", id),
            _ => Err(invalid(
                IssueType::NotSupported,
                "id is the id or the URL of a composition of this server",
            )),
        },
    }
}

/// The composition and all that it leads to, in the order of finding.
async fn collect(services: &Services, composition: Stored) -> Result<Vec<Stored>, Error> {
    let mut seen = HashSet::from([composition.key.clone()]);
    let mut queue = VecDeque::new();
    let missing = follow_composition(services, &composition, &mut seen, &mut queue)?;
    let mut resources = vec![composition];
    let direct = queue.len();
    let mut found_direct = HashSet::new();
    let mut place = 0;
    while !queue.is_empty() {
        let batch: Vec<(ResourceKey, Option<VersionId>)> =
            queue.drain(..queue.len().min(READ_MAX)).collect();
        for stored in read_batch(services, &batch).await? {
            for found in reference::all(
                reference::tree(services, &stored)?.root(),
                &services.own_base,
            ) {
                if let Target::Local(key, version) = found.target
                    && seen.insert(key.clone())
                {
                    queue.push_back((key, version));
                }
            }
            if place < direct {
                found_direct.insert(stored.key.clone());
            }
            resources.push(stored);
        }
        place += batch.len();
        if seen.len() > RESOURCES_MAX {
            let text = format!("the document would have more than {RESOURCES_MAX} resources");
            let issue = Issue::error(IssueType::TooCostly, text);
            return Err(Error::Unprocessable(vec![issue]));
        }
    }
    let missing: Vec<Issue> = missing
        .into_iter()
        .filter_map(|(key, issue)| match key {
            Some(key) if found_direct.contains(&key) => None,
            _ => Some(issue),
        })
        .collect();
    if missing.is_empty() {
        Ok(resources)
    } else {
        Err(Error::Unprocessable(missing))
    }
}

type Queue = VecDeque<(ResourceKey, Option<VersionId>)>;

/// Queues what the composition itself refers to; what is to be said of each reference where that
/// is not here.
fn follow_composition(
    services: &Services,
    composition: &Stored,
    seen: &mut HashSet<ResourceKey>,
    queue: &mut Queue,
) -> Result<Vec<(Option<ResourceKey>, Issue)>, Error> {
    let tree = reference::tree(services, composition)?;
    let mut issues = Vec::new();
    for found in reference::all(tree.root(), &services.own_base) {
        // Which document this one takes the place of is said, not part of it.
        let place = found.node.location();
        if place.starts_with("Composition.relatesTo") {
            continue;
        }
        match found.target {
            Target::Local(key, _) if key == composition.key => {}
            Target::Local(key, version) => {
                let text = format!("{key} is referred to and is not here");
                let issue = Issue::error(IssueType::NotFound, text).at(place);
                issues.push((Some(key.clone()), issue));
                if seen.insert(key.clone()) {
                    queue.push_back((key, version));
                }
            }
            Target::Elsewhere(url) => {
                let text = format!("{url} is not of this server, which gets nothing from others");
                issues.push((None, Issue::error(IssueType::NotSupported, text).at(place)));
            }
        }
    }
    Ok(issues)
}

/// Reads resources, in the order of the names; those that are not here are left out.
async fn read_batch(
    services: &Services,
    batch: &[(ResourceKey, Option<VersionId>)],
) -> Result<Vec<Stored>, Error> {
    let current = batch.iter().filter(|(_, version)| version.is_none());
    let keys: Vec<ResourceKey> = current.map(|(key, _)| key.clone()).collect();
    let mut read = services.store.read_all(&keys).await?;
    for (key, version) in batch {
        let Some(version) = version else { continue };
        let found = services.store.vread(key, *version).await?;
        read.extend(found.filter(Stored::is_live));
    }
    let place = |stored: &Stored| batch.iter().position(|(key, _)| *key == stored.key);
    read.sort_by_key(place);
    Ok(read)
}

fn bundle(services: &Services, resources: &[Stored]) -> Result<String, Error> {
    let now = services.clock.now();
    let id = fresh_id(services)?;
    let mut writer = Writer::new("document", id.as_str(), now, None, &[]);
    writer.raw("identifier", &identifier(Ids::uuid(now)));
    let mut timestamp = String::new();
    push_json_string(&mut timestamp, &instant_text(now));
    writer.raw("timestamp", &timestamp);
    for stored in resources {
        writer.push(&Entry {
            full_url: Some(format!("{}/{}", services.base_url, stored.key)),
            resource: stored.text.as_deref().map(Cow::Borrowed),
            ..Entry::default()
        });
    }
    Ok(writer.finish())
}

/// The identifier of a document, which stays when it is copied: invariant bdl-9.
fn identifier(uuid: Uuid) -> String {
    format!(r#"{{"system":"urn:ietf:rfc:3986","value":"urn:uuid:{uuid}"}}"#)
}

/// Stores the document as a Bundle of its own, under the id that it has.
async fn store(call: Call, text: &str) -> Result<Answer, Error> {
    let services = Arc::clone(&call.context.services);
    let tree = fhir_model::tree::Tree::parse(
        text.to_owned(),
        services.definitions.names(),
        &fhir_model::tree::Limits::CEILING,
    );
    let document = Document::new(tree.map_err(|error| Error::Internal(error.into()))?);
    let id = document.id().unwrap_or_default();
    let id = services.key("Bundle", &id)?.id;
    let change = Change::Create {
        document,
        unless: None,
        id: Some(id),
    };
    let written = write::commit(&call.context, vec![change], "document").await?;
    let stored = written
        .into_iter()
        .next()
        .and_then(|written| written.stored);
    let stored = stored.ok_or_else(|| Error::Internal("a create stored nothing".into()))?;
    Ok(Answer::Stored {
        location: format!("{}/{}", services.base_url, stored.key),
        text: stored.text.as_deref().unwrap_or_default().to_owned(),
    })
}
