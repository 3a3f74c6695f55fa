//! The resources that stand beside one another in a Bundle or in Parameters, and which of them a
//! reference leads to: <https://hl7.org/fhir/R4/bundle.html#references>.
//!
//! A reference is made absolute by the `fullUrl` of the entry that it is in, if that is a URL of
//! the REST interface, and looked for among the `fullUrl`s. Parameters have none, so there a
//! relative reference is looked for by type and id. The index is made when a reference asks first,
//! so a Bundle without references pays nothing. Contained resources are found elsewhere.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;

use fhir_model::element::Element;
use fhir_model::reference::Reference;
use fhir_model::tree::{Node, NodeId};

/// The URL of an entry of Parameters, which R4 knows by this extension.
const PARAMETERS_FULL_URL: &str = "http://hl7.org/fhir/StructureDefinition/parameters-fullUrl";

/// How deep parts of parameters are looked into.
const PART_DEPTH_MAX: usize = 8;

/// The resources in a Bundle or in Parameters.
#[derive(Debug)]
pub(crate) struct Beside<'a> {
    /// The Bundle or the Parameters.
    holder: Node<'a>,
    /// Of a resource that is looked at alone: where it begins, and whether its entry names a server.
    alone: Option<(NodeId, OnceCell<bool>)>,
    index: OnceCell<Index<'a>>,
    /// The Questionnaires among the resources.
    questionnaires: OnceCell<Box<[Node<'a>]>>,
}

/// What a reference leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Resource(Node<'a>),
    /// As many, and nothing tells which is meant.
    Several(usize),
    Nothing,
}

#[derive(Debug, Default)]
struct Index<'a> {
    /// In document order.
    entries: Vec<Entry<'a>>,
    /// The first entry of each URL.
    by_url: HashMap<Cow<'a, str>, usize>,
    /// A Bundle of earlier versions, the newest first.
    is_history: bool,
    /// Relative references are looked for as they are.
    is_by_key: bool,
}

#[derive(Debug)]
struct Entry<'a> {
    /// Where it begins.
    id: NodeId,
    full_url: Option<Cow<'a, str>>,
    resource: Option<Node<'a>>,
    /// The next entry with the same URL.
    next: Option<usize>,
}

impl<'a> Beside<'a> {
    /// The resources in a Bundle or in Parameters.
    pub(crate) const fn new(holder: Node<'a>) -> Self {
        Self {
            holder,
            alone: None,
            index: OnceCell::new(),
            questionnaires: OnceCell::new(),
        }
    }

    /// The Bundle or the Parameters around a resource that is looked at alone.
    pub(crate) fn around(resource: Node<'a>) -> Option<Self> {
        let tree = resource.tree();
        let is_holder = tree.root() != resource
            && matches!(
                tree.resource_type().as_deref(),
                Some("Bundle" | "Parameters")
            );
        is_holder.then(|| Self {
            alone: Some((resource.id(), OnceCell::new())),
            ..Self::new(tree.root())
        })
    }

    /// Whether a relative reference of a resource that is looked at alone can lead to no entry, as
    /// that of the resource names no server. The index of a long Bundle need not be made for each of
    /// its entries to find that out.
    fn leads_nowhere(&self) -> bool {
        let Some((resource, names_server)) = &self.alone else {
            return false;
        };
        let names_server = names_server.get_or_init(|| {
            if !has_text(self.holder, "resourceType", "Bundle") {
                return true;
            }
            let entries = self
                .holder
                .get_str("entry")
                .into_iter()
                .flat_map(Node::items);
            let entry = entries.take_while(|entry| entry.id() <= *resource).last();
            let url = entry.and_then(|entry| entry.get_str("fullUrl")?.as_str());
            url.is_some_and(|url| base_of(&url).is_some())
        });
        !names_server
    }

    /// The resource that a reference at a node leads to.
    pub(crate) fn find(&self, reference: &str, from: NodeId) -> Found<'a> {
        if !reference.contains(':') && self.leads_nowhere() {
            return Found::Nothing;
        }
        let index = self.index.get_or_init(|| Index::of(self.holder));
        let (url, version) = match reference.split_once("/_history/") {
            Some((url, version)) => (url, Some(version)),
            None => (reference, None),
        };
        if url.contains(':') {
            return index.find(url, version);
        }
        match index.base_at(from) {
            Some(base) => index.find(&format!("{base}/{url}"), version),
            None if index.is_by_key => index.find(url, version),
            None => Found::Nothing,
        }
    }

    /// The Questionnaire that a canonical URL means, with its version or without.
    pub(crate) fn questionnaire(&self, canonical: &str) -> Option<Node<'a>> {
        let index = self.index.get_or_init(|| Index::of(self.holder));
        let questionnaires = self.questionnaires.get_or_init(|| {
            let resources = index.entries.iter().filter_map(|entry| entry.resource);
            let has_type =
                |resource: &Node<'a>| has_text(*resource, "resourceType", "Questionnaire");
            resources.filter(has_type).collect()
        });
        let (url, version) = canonical
            .split_once('|')
            .map_or((canonical, None), |(url, version)| (url, Some(version)));
        let is_meant = |resource: &&Node<'a>| {
            has_text(**resource, "url", url)
                && version.is_none_or(|version| has_text(**resource, "version", version))
        };
        questionnaires.iter().find(is_meant).copied()
    }

    /// The resource whose entry is identified by a UUID alone, which some write as an id.
    pub(crate) fn by_uuid(&self, id: &str) -> Option<Node<'a>> {
        let index = self.index.get_or_init(|| Index::of(self.holder));
        let at = index.by_url.get(format!("urn:uuid:{id}").as_str())?;
        index.entries.get(*at)?.resource
    }
}

impl<'a> Index<'a> {
    fn of(holder: Node<'a>) -> Self {
        let mut index = Self::default();
        let text = |name| holder.get_str(name).and_then(Node::as_str);
        if text("resourceType").as_deref() == Some("Parameters") {
            index.is_by_key = true;
            index.add_parameters(holder, "parameter", PART_DEPTH_MAX);
            return index;
        }
        index.is_history = text("type").as_deref() == Some("history");
        let entries = holder.get_str("entry");
        for entry in entries.into_iter().flat_map(Node::items) {
            let full_url = entry.get_str("fullUrl").and_then(Node::as_str);
            index.add(entry, full_url, entry.get_str("resource"));
        }
        index
    }

    fn add_parameters(&mut self, parent: Node<'a>, name: &str, depth: usize) {
        let parameters = parent.get_str(name);
        for parameter in parameters.into_iter().flat_map(Node::items) {
            if let Some(resource) = parameter.get_str("resource") {
                let url = parameter_url(parameter).or_else(|| key_of(resource).map(Cow::Owned));
                self.add(parameter, url, Some(resource));
            }
            if depth > 0 {
                self.add_parameters(parameter, "part", depth - 1);
            }
        }
    }

    fn add(&mut self, entry: Node<'a>, full_url: Option<Cow<'a, str>>, resource: Option<Node<'a>>) {
        let at = self.entries.len();
        if let Some(url) = full_url.clone().filter(|_| resource.is_some()) {
            match self.by_url.get(&url).copied() {
                Some(first) => self.append(first, at),
                None => {
                    self.by_url.insert(url, at);
                }
            }
        }
        self.entries.push(Entry {
            id: entry.id(),
            full_url,
            resource,
            next: None,
        });
    }

    /// Puts an entry at the end of those with the same URL, which begin at `first`.
    fn append(&mut self, first: usize, at: usize) {
        let mut last = first;
        while let Some(next) = self.entries.get(last).and_then(|entry| entry.next) {
            last = next;
        }
        if let Some(entry) = self.entries.get_mut(last) {
            entry.next = Some(at);
        }
    }

    fn find(&self, url: &str, version: Option<&str>) -> Found<'a> {
        let first = self.by_url.get(url).and_then(|at| self.entries.get(*at));
        let same = std::iter::successors(first, |entry| self.entries.get(entry.next?));
        let mut resources = same
            .filter_map(|entry| entry.resource)
            .filter(|resource| version.is_none_or(|version| has_version(*resource, version)));
        match (resources.next(), resources.count()) {
            (None, _) => Found::Nothing,
            (Some(resource), 0) => Found::Resource(resource),
            (Some(resource), _) if self.is_history => Found::Resource(resource),
            (Some(_), others) => Found::Several(others + 1),
        }
    }

    /// The base URL of the server that the entry around a node is from, if its URL says so.
    fn base_at(&self, from: NodeId) -> Option<&str> {
        let after = self.entries.partition_point(|entry| entry.id <= from);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        base_of(entry.full_url.as_deref()?)
    }
}

/// The base URL of the server that a `fullUrl` names.
fn base_of(full_url: &str) -> Option<&str> {
    match Reference::parse(full_url, None) {
        Reference::Remote { base, .. } => Some(base),
        _ => None,
    }
}

fn has_text(node: Node<'_>, name: &str, text: &str) -> bool {
    node.get_str(name).and_then(Node::as_str).as_deref() == Some(text)
}

fn has_version(resource: Node<'_>, version: &str) -> bool {
    let meta = resource.get_str("meta");
    let own = meta.and_then(|meta| meta.get_str("versionId"));
    own.and_then(Node::as_str).as_deref() == Some(version)
}

fn parameter_url(parameter: Node<'_>) -> Option<Cow<'_, str>> {
    Element::of(parameter)
        .extensions()
        .find(|extension| {
            let url = extension.child_by_key("url").and_then(Element::value_text);
            url.as_deref() == Some(PARAMETERS_FULL_URL)
        })?
        .child_by_key("valueUri")?
        .value_text()
}

/// `Patient/1`.
fn key_of(resource: Node<'_>) -> Option<String> {
    let text = |name| resource.get_str(name).and_then(Node::as_str);
    Some(format!("{}/{}", text("resourceType")?, text("id")?))
}

#[cfg(test)]
mod tests {
    use fhir_model::name::Names;
    use fhir_model::tree::{Limits, Tree};

    use super::*;

    const BUNDLE: &str = r#"{"resourceType": "Bundle", "type": "document", "entry": [
        {"fullUrl": "http://a.org/fhir/Patient/1", "resource": {"resourceType": "Patient", "id": "1"}},
        {"fullUrl": "http://a.org/fhir/Basic/2", "resource": {"resourceType": "Basic", "id": "2", "meta": {"versionId": "1"}}},
        {"fullUrl": "http://a.org/fhir/Basic/2", "resource": {"resourceType": "Basic", "id": "2", "meta": {"versionId": "3"}}},
        {"fullUrl": "urn:uuid:5d9588d8-3cd6-4b32-8fb7-ad13694e069d", "resource": {"resourceType": "Group", "id": "4"}},
        {"resource": {"resourceType": "Task", "id": "5"}}
    ]}"#;

    const PARAMETERS: &str = r#"{"resourceType": "Parameters", "parameter": [
        {"name": "a", "resource": {"resourceType": "Patient", "id": "1"}},
        {"name": "b", "part": [{"name": "c", "resource": {"resourceType": "Group", "id": "2"}}]},
        {"name": "d", "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/parameters-fullUrl", "valueUri": "urn:uuid:7"}],
            "resource": {"resourceType": "Task", "id": "3"}}
    ]}"#;

    /// From the resource with this id, the reference leads to a resource of this type and version.
    #[track_caller]
    fn check(holder: &str, from: &str, reference: &str, expected: &str) {
        let tree = Tree::parse(holder, &Names::new([]), &Limits::default()).unwrap();
        let has_id = |node: &Node<'_>| {
            let id = node.get_str("id").and_then(Node::as_str);
            id.as_deref() == Some(from)
        };
        let from = tree.root().descendants().find(has_id).unwrap();
        let found = match Beside::new(tree.root()).find(reference, from.id()) {
            Found::Nothing => "nothing".to_owned(),
            Found::Several(count) => count.to_string(),
            Found::Resource(resource) => {
                let version = resource
                    .get_str("meta")
                    .and_then(|meta| meta.get_str("versionId"))
                    .and_then(Node::as_str)
                    .map_or_else(String::new, |version| format!(" {version}"));
                let name = resource.get_str("resourceType").and_then(Node::as_str);
                format!("{}{version}", name.unwrap())
            }
        };
        assert_eq!(found, expected, "{reference}");
    }

    #[test]
    fn a_reference_is_resolved_by_the_rules_of_bundles() {
        check(BUNDLE, "1", "http://a.org/fhir/Patient/1", "Patient");
        check(BUNDLE, "2", "Patient/1", "Patient");
        check(BUNDLE, "1", "Patient/2", "nothing");
        check(BUNDLE, "1", "Basic/2", "2");
        check(BUNDLE, "1", "Basic/2/_history/3", "Basic 3");
        check(BUNDLE, "1", "Basic/2/_history/2", "nothing");
        check(BUNDLE, "1", "http://b.org/fhir/Patient/1", "nothing");
        check(
            BUNDLE,
            "1",
            "urn:uuid:5d9588d8-3cd6-4b32-8fb7-ad13694e069d",
            "Group",
        );
        // Where the entry's own URL is no URL of the REST interface, nothing is relative to it.
        check(BUNDLE, "4", "Patient/1", "nothing");
        check(BUNDLE, "5", "Patient/1", "nothing");
        let history = BUNDLE.replace("document", "history");
        check(&history, "1", "Basic/2", "Basic 1");
    }

    #[test]
    fn parameters_are_found_by_type_and_id_or_by_their_url() {
        check(PARAMETERS, "1", "Group/2", "Group");
        check(PARAMETERS, "2", "Patient/1", "Patient");
        check(PARAMETERS, "2", "urn:uuid:7", "Task");
        check(PARAMETERS, "2", "Patient/7", "nothing");
    }
}
