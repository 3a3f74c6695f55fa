//! Links between the entries of a transaction, rewritten to where their resources will be.
//!
//! <https://hl7.org/fhir/R4/http.html#trules>: "Servers SHALL replace all matching links in the
//! bundle, whether they are found in the resource ids, resource references, elements of type uri,
//! url, oid, uuid, and `<a href="" & <img src=""` in the narrative. Elements of type canonical are
//! not replaced." Elements of type oid and uuid stay as well: what is written in their place would
//! be neither. How links in a Bundle are read: <https://hl7.org/fhir/R4/bundle.html#references>.

use std::collections::HashMap;

use fhir_model::definition::{Definitions, PrimitiveKind, TypeId, TypeKind};
use fhir_model::element::Element;
use fhir_model::key::{ResourceKey, VersionId};
use fhir_model::tree::{Kind, Node, NodeId};

/// What the resource of an entry will be known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) key: ResourceKey,
    /// Where the entry creates the resource: the version that it had where it comes from, which is
    /// the first one here.
    pub(super) version_sent: Option<String>,
}

/// What links are replaced by.
pub(super) struct Links<'l> {
    pub(super) definitions: &'l Definitions,
    /// By `fullUrl`.
    pub(super) identities: &'l HashMap<String, Identity>,
    /// Conditional references, by their text.
    pub(super) conditional: &'l HashMap<String, ResourceKey>,
}

/// The primitive types whose values may be links to any place.
const LINKS: &[PrimitiveKind] = &[PrimitiveKind::Uri, PrimitiveKind::Url];

/// The server in a `fullUrl` of the form `server/Type/id`, on which the relative references of its
/// entry are.
fn server_of(full_url: &str) -> Option<&str> {
    let (collection, _id) = full_url.rsplit_once('/')?;
    let (server, _type) = collection.rsplit_once('/')?;
    server.contains("://").then_some(server)
}

impl Links<'_> {
    /// What has to be written where in a resource whose entry has this `fullUrl`.
    pub(super) fn edits(
        &self,
        resource: Node<'_>,
        full_url: Option<&str>,
        edits: &mut Vec<(NodeId, String)>,
    ) {
        let server = full_url.and_then(server_of);
        self.walk(resource, None, server, edits);
    }

    /// A tree is no deeper than it may be when it is parsed, so this recursion has an end.
    fn walk(
        &self,
        node: Node<'_>,
        type_id: Option<TypeId>,
        server: Option<&str>,
        edits: &mut Vec<(NodeId, String)>,
    ) {
        match node.kind() {
            Kind::Object => {
                let own = Element::of(node).resource_type();
                let own = own.and_then(|name| self.definitions.resource_type(&name));
                let type_id = own.or(type_id);
                for child in node.children() {
                    let name = Element::of(child).name();
                    let property = type_id.and_then(|of| self.definitions.property(of, name));
                    let of_child = property.map(|property| property.type_id);
                    self.walk(child, of_child, server, edits);
                }
            }
            Kind::Array => {
                for item in node.children() {
                    self.walk(item, type_id, server, edits);
                }
            }
            Kind::String => {
                let text = self.rewritten(node, type_id, server);
                edits.extend(text.map(|text| (node.id(), text)));
            }
            _ => {}
        }
    }

    /// The new text of a string that leads to another entry, if it does.
    fn rewritten(
        &self,
        node: Node<'_>,
        type_id: Option<TypeId>,
        server: Option<&str>,
    ) -> Option<String> {
        let TypeKind::Primitive(kind) = self.definitions.type_of(type_id?).kind else {
            return None;
        };
        match kind {
            PrimitiveKind::String if node.has_key("reference") => {
                let text = node.as_str()?;
                let conditional = self.conditional.get(text.as_ref());
                conditional
                    .map(ResourceKey::to_string)
                    .or_else(|| self.renamed(&text, server))
            }
            PrimitiveKind::Xhtml => self.narrative(&node.as_str()?, server),
            kind if LINKS.contains(&kind) => self.renamed(&node.as_str()?, server),
            _ => None,
        }
    }

    /// What a link is called once the entry that it names has its place.
    fn renamed(&self, link: &str, server: Option<&str>) -> Option<String> {
        let (target, fragment) = match link.split_once('#') {
            Some((target, fragment)) => (target, Some(fragment)),
            None => (link, None),
        };
        let place = match self.identity(target, server) {
            Some(identity) => identity.key.to_string(),
            None => self.of_version(target, server)?,
        };
        Some(match fragment {
            Some(fragment) => format!("{place}#{fragment}"),
            None => place,
        })
    }

    fn identity(&self, target: &str, server: Option<&str>) -> Option<&Identity> {
        self.identities.get(target).or_else(|| {
            let server = server.filter(|_| !target.is_empty() && !target.contains(':'))?;
            self.identities.get(&format!("{server}/{target}"))
        })
    }

    /// A link to the very version that an entry brings leads to the version that it becomes. All
    /// other versions are none of the Bundle's, and links to them stay.
    fn of_version(&self, target: &str, server: Option<&str>) -> Option<String> {
        let (target, version) = target.split_once("/_history/")?;
        let identity = self.identity(target, server)?;
        let is_it = identity.version_sent.as_deref() == Some(version);
        is_it.then(|| format!("{}/_history/{}", identity.key, VersionId::FIRST))
    }

    /// A narrative whose `href` and `src` lead to entries, if any does. One pass: a Bundle may have
    /// many entries and as many narratives.
    fn narrative(&self, text: &str, server: Option<&str>) -> Option<String> {
        const QUOTES: [char; 2] = ['"', '\''];
        if !text.contains("href") && !text.contains("src") {
            return None;
        }
        let mut rewritten = String::with_capacity(text.len());
        let mut has_changed = false;
        let mut is_link = false;
        for piece in text.split_inclusive(QUOTES) {
            let (value, quote) = piece.split_at(piece.trim_end_matches(QUOTES).len());
            match is_link.then(|| self.renamed(value, server)).flatten() {
                Some(name) => {
                    rewritten.push_str(&name);
                    has_changed = true;
                }
                None => rewritten.push_str(value),
            }
            rewritten.push_str(quote);
            is_link = opens_link(value);
        }
        has_changed.then_some(rewritten)
    }
}

/// Whether the text before a quote is that of an attribute that links.
fn opens_link(before: &str) -> bool {
    let Some(attribute) = before.trim_end().strip_suffix('=') else {
        return false;
    };
    let attribute = attribute.trim_end();
    attribute.ends_with("href") || attribute.ends_with("src")
}
