//! `$meta`, `$meta-add` and `$meta-delete`: profiles, tags and security labels.
//!
//! <https://hl7.org/fhir/R4/resource-operation-meta.html>, `resource-operation-meta-add.html`,
//! `resource-operation-meta-delete.html`. A change is an update like any other: read, changed and
//! written in one transaction, with a version of its own; one that changes nothing makes none.

use std::sync::Arc;

use fhir_model::issue::IssueType;
use fhir_model::key::ResourceKey;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::interaction::operations::On;
use crate::interaction::read::present;
use crate::interaction::write::{self, Change, Document, Written};
use crate::interaction::{Context, Services, conformance, find, invalid, read};
use crate::operation::call::{Answer, Call};
use crate::search::expression::ValueKind;
use crate::search::value::ParameterId;
use crate::store::{Stored, Transaction, Work};

/// Labels of the system or of a type at most.
const LABELS_MAX: usize = 1_000;

/// The search parameters by which labels are found.
const LABELS: &[(&str, ValueKind)] = &[
    ("_profile", ValueKind::Uri),
    ("_tag", ValueKind::Token),
    ("_security", ValueKind::Token),
];

/// The lists of a `Meta` that are sets.
const SETS: &[&str] = &["profile", "security", "tag"];

/// What is done to the labels of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// They are added.
    Add,
    /// They are taken off.
    Delete,
}

/// `$meta`, on anything.
///
/// # Errors
/// As a read of a resource or a version.
pub async fn meta(call: Call) -> Result<Answer, Error> {
    let services = &call.context.services;
    let stored = match &call.on {
        On::System => return labels(services, None).await,
        On::Type(resource_type) => return labels(services, Some(resource_type.as_str())).await,
        On::Instance(key) => read::read(services, key).await?,
        On::Version(key, version) => read::vread(services, key, *version).await?,
    };
    let resource = value(&stored)?;
    let meta = resource.get("meta").cloned();
    Ok(answer(&meta.unwrap_or_else(|| json!({}))))
}

/// All labels that are in use, by the system or by a type.
async fn labels(services: &Services, resource_type: Option<&str>) -> Result<Answer, Error> {
    let definitions = &services.definitions;
    let all = definitions.concrete_resource_types();
    let types: Vec<&str> = match resource_type {
        Some(resource_type) => vec![resource_type],
        None => all.map(|type_id| definitions.type_name(type_id)).collect(),
    };
    let parameters: Vec<(ParameterId, ValueKind)> = types
        .iter()
        .flat_map(|name| LABELS.iter().map(move |(code, kind)| (name, code, kind)))
        .map(|(name, code, kind)| (ParameterId::new(name, code), *kind))
        .collect();
    let mut meta = Map::new();
    for stored in services.store.examples(&parameters, LABELS_MAX).await? {
        let resource = value(&stored)?;
        let found = resource.get("meta").and_then(Value::as_object);
        add(&mut meta, found.unwrap_or(&Map::new()));
    }
    Ok(answer(&Value::Object(meta)))
}

fn value(stored: &Stored) -> Result<Value, Error> {
    find::value(stored).map(Option::unwrap_or_default)
}

fn answer(meta: &Value) -> Answer {
    let parameters = json!({
        "resourceType": "Parameters",
        "parameter": [{ "name": "return", "valueMeta": meta }],
    });
    Answer::Resource(parameters.to_string())
}

/// `$meta-add` and `$meta-delete`.
///
/// # Errors
/// As an update; [`Error::Invalid`] without a `meta`.
pub async fn change(call: Call, edit: Edit) -> Result<Answer, Error> {
    let On::Instance(key) = call.on else {
        return Err(invalid(
            IssueType::Invalid,
            "a resource is named in the URL",
        ));
    };
    let sent = call.input.part("meta").ok_or_else(|| {
        invalid(
            IssueType::Required,
            "Parameters with a parameter \"meta\" (valueMeta) are expected",
        )
    })?;
    let labels = sent.node().tree().to_value(sent.node().id());
    let labels = labels.as_object().cloned().unwrap_or_default();
    let services = Arc::clone(&call.context.services);
    let work = Relabel {
        context: call.context,
        key,
        labels,
        edit,
    };
    let mut written = services.store.transact(work).await?;
    conformance::take_effect(&services, std::iter::once(&mut written)).await;
    let resource = written.stored.as_ref().map(value).transpose()?;
    let meta = resource.and_then(|resource| resource.get("meta").cloned());
    Ok(answer(&meta.unwrap_or_else(|| json!({}))))
}

struct Relabel {
    context: Context,
    key: ResourceKey,
    labels: Map<String, Value>,
    edit: Edit,
}

impl Work for Relabel {
    type Output = Written;
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<Written, Error> {
        let found = transaction.read(std::slice::from_ref(&self.key)).await?;
        let found = found.into_iter().next().flatten();
        let stored = present(found.ok_or_else(|| Error::NotFound(self.key.clone()))?)?;
        let mut resource = value(&stored)?;
        relabel(&mut resource, &self.labels, self.edit);
        let change = Change::Update {
            key: self.key.clone(),
            document: Document::from_value(&self.context.services, &resource)?,
            expected: Some(stored.version.into()),
        };
        let prepared = write::prepare(&self.context, change)?;
        let cause: Arc<str> = match self.edit {
            Edit::Add => "meta-add".into(),
            Edit::Delete => "meta-delete".into(),
        };
        let written = write::apply(transaction, &self.context, &[&prepared], &cause).await?;
        let first = written.into_iter().next();
        first.ok_or_else(|| Error::Internal("a commit of one change gave no result".into()))
    }
}

fn relabel(resource: &mut Value, labels: &Map<String, Value>, edit: Edit) {
    let Some(resource) = resource.as_object_mut() else {
        return;
    };
    let meta = resource.entry("meta").or_insert_with(|| json!({}));
    let Some(meta) = meta.as_object_mut() else {
        return;
    };
    match edit {
        Edit::Add => add(meta, labels),
        Edit::Delete => delete(meta, labels),
    }
}

/// Adds what is not there yet.
fn add(meta: &mut Map<String, Value>, labels: &Map<String, Value>) {
    for set in SETS {
        for label in items(labels, set) {
            let own = meta.entry(*set).or_insert_with(|| json!([]));
            if let Some(own) = own.as_array_mut()
                && !own.iter().any(|known| is_same(known, label))
            {
                own.push(label.clone());
            }
        }
    }
}

/// Takes off what is there; a list that is empty then goes, too.
fn delete(meta: &mut Map<String, Value>, labels: &Map<String, Value>) {
    for set in SETS {
        let Some(own) = meta.get_mut(*set).and_then(Value::as_array_mut) else {
            continue;
        };
        own.retain(|known| !items(labels, set).any(|label| is_same(known, label)));
        if own.is_empty() {
            meta.remove(*set);
        }
    }
}

fn items<'m>(meta: &'m Map<String, Value>, set: &str) -> impl Iterator<Item = &'m Value> {
    meta.get(set)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// A profile is known by its URL, a label by system and code.
fn is_same(one: &Value, other: &Value) -> bool {
    let part = |label: &Value, name: &str| label.get(name).cloned();
    match (one, other) {
        (Value::String(one), Value::String(other)) => one == other,
        _ => ["system", "code"]
            .iter()
            .all(|name| part(one, name) == part(other, name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(edit: Edit, before: &Value, labels: &Value, expected: &Value) {
        let mut resource = json!({ "resourceType": "Patient", "meta": before });
        relabel(&mut resource, labels.as_object().unwrap(), edit);
        assert_eq!(resource.get("meta").unwrap(), expected);
    }

    #[test]
    fn labels_are_sets_by_system_and_code() {
        let a = json!({ "system": "s", "code": "a" });
        let shown = json!({ "system": "s", "code": "a", "display": "A", "version": "2" });
        let b = json!({ "code": "b" });
        check(
            Edit::Add,
            &json!({}),
            &json!({ "tag": [a] }),
            &json!({ "tag": [a] }),
        );
        check(
            Edit::Add,
            &json!({ "tag": [a] }),
            &json!({ "tag": [shown, b], "security": [a], "profile": ["urn:p"] }),
            &json!({ "tag": [a, b], "profile": ["urn:p"], "security": [a] }),
        );
        check(
            Edit::Delete,
            &json!({ "tag": [shown, b], "profile": ["urn:p", "urn:q"] }),
            &json!({ "tag": [a], "profile": ["urn:p", "urn:r"], "security": [b] }),
            &json!({ "tag": [b], "profile": ["urn:q"] }),
        );
        check(
            Edit::Delete,
            &json!({ "versionId": "3", "tag": [b] }),
            &json!({ "versionId": "4", "tag": [b] }),
            &json!({ "versionId": "3" }),
        );
    }
}
