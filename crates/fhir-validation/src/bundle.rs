//! A Bundle beyond its invariants: <https://hl7.org/fhir/R4/bundle.html>.
//!
//! The URL of an entry says the same type and id as its resource. A document holds what its
//! Composition names, and nothing that has no connection to it
//! (<https://hl7.org/fhir/R4/documents.html#content>); a message holds what its header is about
//! (<https://hl7.org/fhir/R4/messaging.html>). What an entry of a transaction asks for fits the
//! resource that it has (<https://hl7.org/fhir/R4/http.html#transaction-bundles>).

mod document;
mod request;

use std::borrow::Cow;

use fhir_model::issue::{IssueType, Severity};
use fhir_model::reference::Reference;
use fhir_model::tree::{Kind, Node};

use crate::beside::{Beside, Found};
use crate::finding::{About, Finding, quote};
use crate::walk::Walk;

/// The kinds of Bundles in which each entry has a URL: references between entries go by it.
const WITH_URLS: &[&str] = &["document", "message"];

impl<'a> Walk<'a> {
    /// A Bundle of the right shape.
    pub(crate) fn bundle(&mut self, bundle: Node<'a>) {
        let kind = text(bundle, "type").unwrap_or_default();
        let entries: Vec<Node<'a>> = items(bundle, "entry").collect();
        for entry in &entries {
            if self.findings.is_full() {
                return;
            }
            match entry.get_str("fullUrl") {
                Some(url) => self.full_url(*entry, url),
                None if WITH_URLS.contains(&&*kind) => self.no_full_url(*entry, &kind),
                None => {}
            }
        }
        match &*kind {
            "document" => self.document(bundle, &entries),
            "message" => self.message(&entries),
            "transaction" | "batch" => self.requests(&entries),
            _ => {}
        }
    }

    fn no_full_url(&mut self, entry: Node<'a>, kind: &str) {
        let text = format!("Each entry of a {kind} has a fullUrl, as others refer to it by that");
        self.findings
            .error(entry, IssueType::Required, "Bundle.entry.fullUrl", text);
    }

    /// The URL of an entry does not disagree with the resource.
    fn full_url(&mut self, entry: Node<'a>, member: Node<'a>) {
        let Some(resource) = entry.get_str("resource") else {
            return;
        };
        let url = member.as_str().unwrap_or_default();
        let id = text(resource, "id");
        let target = match Reference::parse(&url, None) {
            Reference::Remote { target, .. } => target,
            Reference::Local(_) | Reference::Malformed(_) | Reference::Contained(_) => {
                let text = format!("{} is no absolute URL, as a fullUrl is", quote(&url));
                return self.wrong_url(member, text);
            }
            _ => return,
        };
        let type_name = text(resource, "resourceType").unwrap_or_default();
        // A URL that only looks like one of the REST interface has another word before the id.
        if self
            .definitions
            .resource_type(target.resource_type)
            .is_none()
        {
            return;
        }
        if target.version.is_some() {
            return;
        }
        let text = match id {
            _ if target.resource_type != type_name => {
                format!(
                    "{} names another type than the resource has, {type_name}",
                    quote(&url)
                )
            }
            None => format!(
                "{} is a URL of the REST interface, and the resource has no id",
                quote(&url)
            ),
            Some(id) if id != target.id => {
                format!(
                    "{} names another id than the resource has, {}",
                    quote(&url),
                    quote(&id)
                )
            }
            Some(_) => return,
        };
        self.wrong_url(member, text);
    }

    fn wrong_url(&mut self, member: Node<'a>, text: String) {
        self.findings
            .error(member, IssueType::Value, "Bundle.entry.fullUrl", text);
    }

    /// What the header of a message is about is in it.
    fn message(&mut self, entries: &[Node<'a>]) {
        let Some(header) = entries.first().and_then(|entry| entry.get_str("resource")) else {
            return;
        };
        for focus in items(header, "focus") {
            self.included(focus, "MessageHeader.focus");
        }
    }

    /// A reference whose target the Bundle must have.
    fn included(&mut self, reference: Node<'a>, rule: &str) {
        let Some(member) = reference.get_str("reference") else {
            return;
        };
        let url = member.as_str().unwrap_or_default();
        let Some(beside) = self.beside.clone().filter(|_| !url.starts_with('#')) else {
            return;
        };
        if beside.find(&url, member.id()) == Found::Nothing {
            let text = format!(
                "No entry of the Bundle is {}, and it must be in it",
                quote(&url)
            );
            self.findings.push_once(Finding {
                node: member,
                severity: Severity::Error,
                code: IssueType::NotFound,
                about: About::Rule,
                rule: rule.to_owned(),
                text,
            });
        }
    }
}

/// The objects of a property, whether it repeats or not.
fn items<'a>(node: Node<'a>, name: &str) -> impl Iterator<Item = Node<'a>> + use<'a> {
    let member = node.get_str(name);
    let one = member.filter(|member| member.kind() == Kind::Object);
    let several = member.into_iter().flat_map(Node::items);
    one.into_iter()
        .chain(several.filter(|item| item.kind() == Kind::Object))
}

fn text<'a>(node: Node<'a>, name: &str) -> Option<Cow<'a, str>> {
    node.get_str(name).and_then(Node::as_str)
}

/// The resource that a text at a node leads to, in the same Bundle.
fn target<'a>(beside: &Beside<'a>, reference: &str, from: Node<'a>) -> Option<Node<'a>> {
    match beside.find(reference, from.id()) {
        Found::Resource(resource) => Some(resource),
        Found::Several(_) | Found::Nothing => None,
    }
}
