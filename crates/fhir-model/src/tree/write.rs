//! Trees back to JSON text: compact, indented, or compact with a server's stamp.
//!
//! Property order, escapes and the digits of numbers are those of the source, as
//! <https://hl7.org/fhir/R4/json.html> asks of decimals; only white space is ours.

use crate::key::VersionId;
use crate::tree::text::push_json_string;
use crate::tree::{Flags, Kind, Node, NodeId, Tree};

/// Spaces per level of [`Tree::write_pretty`].
const INDENT: usize = 2;

/// What a server puts into a resource that it stores; nothing where the resource stays as sent.
///
/// The texts are the server's own: `last_updated` is an `instant`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stamp<'a> {
    /// Replaces `resourceType`.
    pub resource_type: Option<&'a str>,
    /// Replaces `id`.
    pub id: Option<&'a str>,
    /// Replaces `meta.versionId`.
    pub version_id: Option<VersionId>,
    /// Replaces `meta.lastUpdated`.
    pub last_updated: Option<&'a str>,
    /// Replaces what `meta.tag` says in one system.
    pub tag: Option<TagStamp<'a>>,
}

/// A tag that only the server gives and takes away.
#[derive(Clone, Copy, Debug)]
pub struct TagStamp<'a> {
    /// The code system that is the server's own.
    pub system: &'a str,
    /// The one code of it that the resource shall have; nothing takes those away that are there.
    pub code: Option<&'a str>,
}

impl Node<'_> {
    /// Appends the value as compact JSON.
    pub fn write(self, out: &mut String) {
        if self.tree.verbatim {
            push_scalar_or_span(self, out);
        } else {
            self.tree.write_subtree(self, Layout::Compact, out);
        }
    }
}

impl Tree {
    /// Appends a node as compact JSON.
    pub fn write(&self, id: NodeId, out: &mut String) {
        if let Some(node) = self.node(id) {
            node.write(out);
        }
    }

    /// Appends a node as JSON with a line per value, indented by two spaces.
    pub fn write_pretty(&self, id: NodeId, out: &mut String) {
        let Some(node) = self.node(id) else { return };
        self.write_subtree(node, Layout::Indented, out);
    }

    /// The whole object as compact JSON.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(self.text.len());
        self.write(self.root().id(), &mut out);
        out
    }

    /// Appends a resource as compact JSON with what a server knows better than the sender.
    ///
    /// `resourceType` comes first, whatever its place was. An `id`, `meta`, `meta.versionId` or
    /// `meta.lastUpdated` that is there is replaced in its place; what is not there is inserted:
    /// `id` after `resourceType`, `meta` after `id`, its members at its start. Everything else is
    /// as sent.
    pub fn write_stamped(&self, resource: NodeId, stamp: Stamp<'_>, out: &mut String) {
        let Some(node) = self.node(resource) else {
            return;
        };
        let mut members = Members::open(out);
        let sent_type = node.get_str("resourceType");
        match (stamp.resource_type, sent_type) {
            (Some(text), _) => members.string("resourceType", text),
            (None, Some(sent)) => members.as_sent(sent),
            (None, None) => {}
        }
        let sent_id = node.get_str("id");
        let has_meta = node.get_str("meta").is_some();
        if sent_id.is_none() {
            if let Some(id) = stamp.id {
                members.string("id", id);
            }
            if !has_meta {
                members.meta(None, stamp);
            }
        }
        for member in node.children() {
            if Some(member) == sent_type {
                continue;
            }
            if Some(member) == sent_id {
                match stamp.id {
                    Some(id) => members.string("id", id),
                    None => members.as_sent(member),
                }
                if !has_meta {
                    members.meta(None, stamp);
                }
            } else if member.has_key("meta") {
                members.meta(Some(member), stamp);
            } else {
                members.as_sent(member);
            }
        }
        members.close();
    }

    fn push_key(&self, node: Node<'_>, out: &mut String) {
        out.push('"');
        out.push_str(self.raw_key(node.entry));
        out.push_str("\":");
    }

    /// Walks the subtree in document order and keeps the ends of what is open, so it needs no
    /// recursion.
    fn write_subtree(&self, top: Node<'_>, layout: Layout, out: &mut String) {
        let mut open: Vec<(u32, char)> = Vec::new();
        let mut is_first = true;
        for index in top.id..top.entry.next {
            let node = self.at(index);
            while let Some((_, close)) = open.pop_if(|(end, _)| *end <= index) {
                layout.end(is_first, open.len(), out);
                out.push(close);
                is_first = false;
            }
            if index != top.id {
                layout.separate(is_first, open.len(), out);
                if node.entry.flags.has(Flags::MEMBER) {
                    self.push_key(node, out);
                    layout.after_key(out);
                }
            }
            is_first = match node.kind() {
                Kind::Object => {
                    out.push('{');
                    open.push((node.entry.next, '}'));
                    true
                }
                Kind::Array => {
                    out.push('[');
                    open.push((node.entry.next, ']'));
                    true
                }
                _ => {
                    push_scalar_or_span(node, out);
                    false
                }
            };
        }
        while let Some((_, close)) = open.pop() {
            layout.end(is_first, open.len(), out);
            out.push(close);
            is_first = false;
        }
    }
}

/// What a node is when nothing in it needs rewriting: its text, with quotes if a string.
#[inline]
fn push_scalar_or_span(node: Node<'_>, out: &mut String) {
    if node.kind() == Kind::String {
        out.push('"');
        out.push_str(node.raw_text());
        out.push('"');
    } else {
        out.push_str(node.raw_text());
    }
}

/// Where white space goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Compact,
    Indented,
}

impl Layout {
    /// Before a member or item.
    fn separate(self, is_first: bool, depth: usize, out: &mut String) {
        if !is_first {
            out.push(',');
        }
        self.new_line(depth, out);
    }

    /// Before the end of an object or array.
    fn end(self, is_empty: bool, depth: usize, out: &mut String) {
        if !is_empty {
            self.new_line(depth, out);
        }
    }

    fn after_key(self, out: &mut String) {
        if self == Self::Indented {
            out.push(' ');
        }
    }

    fn new_line(self, depth: usize, out: &mut String) {
        if self == Self::Indented {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', depth * INDENT));
        }
    }
}

/// The members of one object, written one after another.
struct Members<'o> {
    out: &'o mut String,
    is_first: bool,
}

impl<'o> Members<'o> {
    fn open(out: &'o mut String) -> Self {
        out.push('{');
        Self {
            out,
            is_first: true,
        }
    }

    fn close(self) {
        self.out.push('}');
    }

    fn separate(&mut self) {
        if !self.is_first {
            self.out.push(',');
        }
        self.is_first = false;
    }

    fn as_sent(&mut self, member: Node<'_>) {
        self.separate();
        member.tree().push_key(member, self.out);
        member.tree().write(member.id(), self.out);
    }

    fn key(&mut self, key: &str) {
        self.separate();
        push_json_string(self.out, key);
        self.out.push(':');
    }

    fn string(&mut self, key: &str, text: &str) {
        self.key(key);
        push_json_string(self.out, text);
    }

    /// Writes `meta` with the stamp; nothing if there is neither.
    fn meta(&mut self, sent: Option<Node<'_>>, stamp: Stamp<'_>) {
        let version_id = stamp.version_id.map(|version_id| version_id.to_string());
        let stamped = [
            ("versionId", version_id.as_deref()),
            ("lastUpdated", stamp.last_updated),
        ];
        if stamped.iter().all(|(_, text)| text.is_none()) && stamp.tag.is_none() {
            if let Some(sent) = sent {
                self.as_sent(sent);
            }
            return;
        }
        self.key("meta");
        // A `meta` that is no object is not FHIR; the stamp takes its place.
        let sent = sent.filter(|sent| sent.kind() == Kind::Object);
        let mut members = Members::open(self.out);
        let is_sent = |key| sent.is_some_and(|sent| sent.get_str(key).is_some());
        for (key, text) in stamped {
            if let Some(text) = text.filter(|_| !is_sent(key)) {
                members.string(key, text);
            }
        }
        for member in sent.into_iter().flat_map(Node::children) {
            let replaced = stamped.iter().find(|(key, _)| member.has_key(key));
            match (replaced, stamp.tag) {
                (Some((key, Some(text))), _) => members.string(key, text),
                (_, Some(_)) if member.has_key("tag") => {}
                _ => members.as_sent(member),
            }
        }
        if let Some(tag) = stamp.tag {
            members.tags(sent.and_then(|sent| sent.get_str("tag")), tag);
        }
        members.close();
    }

    /// Writes `tag`: what was sent in other systems, then the stamp; nothing if there is neither.
    fn tags(&mut self, sent: Option<Node<'_>>, stamp: TagStamp<'_>) {
        let is_ours = |coding: &Node<'_>| {
            let system = coding.get_str("system").and_then(Node::as_str);
            system.as_deref() == Some(stamp.system)
        };
        let mut tags: Vec<String> = Vec::new();
        for coding in sent.into_iter().flat_map(Node::items) {
            if !is_ours(&coding) {
                let mut text = String::new();
                coding.tree().write(coding.id(), &mut text);
                tags.push(text);
            }
        }
        if let Some(code) = stamp.code {
            let mut text = String::new();
            let mut members = Members::open(&mut text);
            members.string("system", stamp.system);
            members.string("code", code);
            members.close();
            tags.push(text);
        }
        if !tags.is_empty() {
            self.key("tag");
            self.out.push('[');
            self.out.push_str(&tags.join(","));
            self.out.push(']');
        }
    }
}
