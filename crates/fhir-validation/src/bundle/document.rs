//! A Bundle that is a document: <https://hl7.org/fhir/R4/documents.html#content>.

use std::collections::HashMap;

use fhir_model::issue::{IssueType, Severity};
use fhir_model::reference::Reference;
use fhir_model::tree::{Kind, Node, NodeId};

use crate::beside::{Beside, Found};
use crate::bundle::{items, target, text};
use crate::finding::{About, Finding, quote};
use crate::walk::Walk;

/// Where a Composition names what must be in the document: steps, the last to a Reference.
const NAMED: &[&[&str]] = &[
    &["subject"],
    &["encounter"],
    &["author"],
    &["attester", "party"],
    &["custodian"],
    &["event", "detail"],
];

/// The same in a section, which may have sections.
const NAMED_IN_SECTION: &[&str] = &["author", "focus", "entry"];

/// Whether an entry has a connection to the Composition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connection {
    None,
    /// It refers to what the Composition leads to.
    Backward,
    /// The Composition leads to it.
    Forward,
}

/// Which entries refer to which.
struct Links {
    forward: Vec<Vec<usize>>,
    backward: Vec<Vec<usize>>,
}

impl<'a> Walk<'a> {
    /// A document: its Composition comes first, as the invariants say.
    pub(super) fn document(&mut self, bundle: Node<'a>, entries: &[Node<'a>]) {
        let composition = entries.first().and_then(|entry| entry.get_str("resource"));
        let is_composition =
            |resource: &Node<'a>| text(*resource, "resourceType").as_deref() == Some("Composition");
        let Some(composition) = composition.filter(is_composition) else {
            return;
        };
        for path in NAMED {
            for reference in along(composition, path) {
                self.included(reference, &format!("Composition.{}", path.join(".")));
            }
        }
        self.sections(composition);
        let Some(beside) = self.beside.clone() else {
            return;
        };
        self.stylesheets(bundle, composition, &beside);
        self.connections(entries, &beside);
    }

    fn sections(&mut self, composition: Node<'a>) {
        let mut open: Vec<Node<'a>> = items(composition, "section").collect();
        while let Some(section) = open.pop() {
            for name in NAMED_IN_SECTION {
                for reference in items(section, name) {
                    self.included(reference, &format!("Composition.section.{name}"));
                }
            }
            open.extend(items(section, "section"));
        }
    }

    /// A stylesheet that is named by a relative URL is in the document.
    fn stylesheets(&mut self, bundle: Node<'a>, composition: Node<'a>, beside: &Beside<'a>) {
        for link in items(bundle, "link") {
            let is_stylesheet = text(link, "relation").as_deref() == Some("stylesheet");
            let Some(member) = link.get_str("url").filter(|_| is_stylesheet) else {
                continue;
            };
            let url = member.as_str().unwrap_or_default();
            let is_relative = matches!(Reference::parse(&url, None), Reference::Local(_));
            if is_relative && beside.find(&url, composition.id()) == Found::Nothing {
                let text = format!("No entry of the document is the stylesheet {}", quote(&url));
                self.findings
                    .error(member, IssueType::NotFound, "Bundle.link.url", text);
            }
        }
    }

    /// Each entry is connected with the Composition by references, forward if it is not a
    /// Provenance.
    fn connections(&mut self, entries: &[Node<'a>], beside: &Beside<'a>) {
        let links = Links::of(entries, beside);
        let connections = links.connections();
        for (entry, connection) in entries.iter().zip(connections) {
            let resource = entry.get_str("resource");
            let type_name = resource.and_then(|resource| text(resource, "resourceType"));
            let (severity, what) = match (connection, type_name.as_deref()) {
                (Connection::Forward, _)
                | (_, None | Some("Binary"))
                | (Connection::Backward, Some("Provenance")) => continue,
                (Connection::Backward, _) => (
                    Severity::Warning,
                    "The Composition does not lead to this entry, which only refers to others; \
                     only a Provenance may do that",
                ),
                (Connection::None, _) => (
                    Severity::Error,
                    "This entry has no connection to the Composition by references, as each in a \
                     document has",
                ),
            };
            self.findings.push_once(Finding {
                node: *entry,
                severity,
                code: IssueType::BusinessRule,
                about: About::Rule,
                rule: "Bundle.entry".to_owned(),
                text: what.to_owned(),
            });
        }
    }
}

impl Links {
    fn of<'a>(entries: &[Node<'a>], beside: &Beside<'a>) -> Self {
        let resources = || entries.iter().map(|entry| entry.get_str("resource"));
        let places: HashMap<NodeId, usize> = resources()
            .enumerate()
            .filter_map(|(at, resource)| Some((resource?.id(), at)))
            .collect();
        let mut links = Self {
            forward: vec![Vec::new(); entries.len()],
            backward: vec![Vec::new(); entries.len()],
        };
        for (at, resource) in resources().enumerate() {
            let mut link = |reference: &str, from: Node<'a>| {
                let found = target(beside, reference, from);
                if let Some(to) = found.and_then(|found| places.get(&found.id())) {
                    links.add(at, *to);
                }
            };
            if let Some(resource) = resource {
                for_each_link(resource, &mut link);
            }
        }
        links
    }

    fn add(&mut self, from: usize, to: usize) {
        if let Some(list) = self.forward.get_mut(from) {
            list.push(to);
        }
        if let Some(list) = self.backward.get_mut(to) {
            list.push(from);
        }
    }

    /// How each entry is connected with the first.
    fn connections(&self) -> Vec<Connection> {
        let mut connections = vec![Connection::None; self.forward.len()];
        for (connection, ways) in [
            (Connection::Forward, &[&self.forward] as &[_]),
            (Connection::Backward, &[&self.forward, &self.backward]),
        ] {
            let mut seen = vec![false; self.forward.len()];
            let mut open = vec![0];
            while let Some(at) = open.pop() {
                let Some(is_seen) = seen.get_mut(at) else {
                    continue;
                };
                if std::mem::replace(is_seen, true) {
                    continue;
                }
                if let Some(found) = connections.get_mut(at)
                    && *found == Connection::None
                {
                    *found = connection;
                }
                let further = ways.iter().filter_map(|way| way.get(at)).flatten();
                open.extend(further.copied());
            }
        }
        connections
    }
}

/// What a resource refers to: by references, by URLs, and by the images of its narrative.
fn for_each_link<'a>(resource: Node<'a>, link: &mut dyn FnMut(&str, Node<'a>)) {
    for node in resource
        .descendants()
        .filter(|node| node.kind() == Kind::String)
    {
        let Some(text) = node.as_str() else { continue };
        if node.has_key("reference") || node.has_key("url") {
            link(&text, node);
        } else if node.has_key("div") {
            for rest in text.split("src=\"").skip(1) {
                link(rest.split('"').next().unwrap_or_default(), node);
            }
        }
    }
}

/// The objects at the end of a path.
fn along<'a>(node: Node<'a>, path: &[&str]) -> Vec<Node<'a>> {
    path.iter().fold(vec![node], |nodes, name| {
        nodes
            .into_iter()
            .flat_map(|node| items(node, name))
            .collect()
    })
}
