//! One parse: the JSON text of a resource and a compact tree over it.
//!
//! The tree keeps the source text and describes it by one vector of nodes in document order
//! (a node, then its subtree, then its next sibling). Strings keep their escapes and numbers their
//! digits, so what is written back is what was sent:
//! <https://hl7.org/fhir/R4/json.html>, <https://www.rfc-editor.org/rfc/rfc8259>.
//!
//! The tree knows JSON only. Pairing `birthDate` with `_birthDate` is the business of
//! [`crate::element`]; which property may stand where is the business of the definitions.

mod edit;
mod parse;
mod parse_error;
mod places;
mod text;
mod write;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::{Arc, OnceLock};

use crate::element::Element;
use crate::name::{Name, Names};

pub use crate::tree::edit::{EditError, FromValueError};
pub(crate) use crate::tree::parse::is_number;
pub use crate::tree::parse_error::{Limits, ParseError, ParseErrorKind};
use crate::tree::places::Places;
pub(crate) use crate::tree::text::line_column;
pub use crate::tree::text::push_json_string;
pub use crate::tree::write::{Stamp, TagStamp};

/// Stands for "no node" and "no key".
pub(crate) const NONE: u32 = u32::MAX;

/// What kind of JSON value a node is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number, with its digits as sent.
    Number,
    /// `true` or `false`
    Boolean,
    /// `null`
    Null,
}

impl Kind {
    /// The word for this kind in a sentence: `object`, `string` …
    pub const fn word(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Null => "null",
        }
    }
}

/// One JSON value; 20 bytes, because a large Bundle has millions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The property; items of an array have the name of the array.
    pub(crate) name: Name,
    pub(crate) kind: Kind,
    pub(crate) flags: Flags,
    /// Where the key's text starts, after its quote; [`NONE`] for the root.
    pub(crate) key: u32,
    /// Where the value's text starts; for a string, after its quote.
    pub(crate) start: u32,
    /// Where the value's text ends; for a string, before its quote.
    pub(crate) end: u32,
    /// The node after this one's subtree.
    pub(crate) next: u32,
}

/// Facts about a node, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flags(u8);

impl Flags {
    /// None of them.
    pub(crate) const EMPTY: Self = Self(0);
    /// A member of an object: it has a key of its own.
    pub(crate) const MEMBER: Self = Self(1);
    /// The key starts with `_`.
    pub(crate) const SHADOW: Self = Self(1 << 1);
    /// The string has escapes.
    pub(crate) const ESCAPED: Self = Self(1 << 2);
    /// The key has escapes.
    pub(crate) const KEY_ESCAPED: Self = Self(1 << 3);
    /// The object has a member whose key starts with `_`.
    pub(crate) const HAS_SHADOW: Self = Self(1 << 4);

    pub(crate) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) const fn with(self, flag: Self) -> Self {
        Self(self.0 | flag.0)
    }

    pub(crate) const fn without(self, flag: Self) -> Self {
        Self(self.0 & !flag.0)
    }
}

/// A node by its number in the tree, in document order; 0 is the root.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// The number, to index with.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A JSON object, parsed once.
#[derive(Clone)]
pub struct Tree {
    /// The source as sent, then the texts of edits.
    text: String,
    /// How much of `text` is the source.
    source_len: u32,
    nodes: Vec<Entry>,
    /// No white space between tokens and nothing edited: a subtree's text is its compact form.
    verbatim: bool,
    origin: Option<Arc<Origin>>,
    /// Where everything is, once it is asked for in a large tree.
    places: OnceLock<Arc<Places>>,
}

/// The text of another format that a tree's source was made of: what a sender knows places of.
struct Origin {
    text: String,
    /// Where the value of each node stands in it.
    offsets: Vec<u32>,
}

/// What a lookup by a wrong number finds. Numbers are made by the tree only, so nobody sees it.
const ABSENT: Entry = Entry {
    name: Name::UNKNOWN,
    kind: Kind::Null,
    flags: Flags::EMPTY,
    key: NONE,
    start: 0,
    end: 0,
    next: NONE,
};

impl Tree {
    /// Reads a JSON object, strictly by RFC 8259, refusing duplicate keys and what passes a limit.
    ///
    /// Takes `&[u8]`, `Vec<u8>`, `&str` and `String`; what is owned is kept without a copy.
    pub fn parse(
        source: impl Into<Vec<u8>>,
        names: &Names,
        limits: &Limits,
    ) -> Result<Self, ParseError> {
        parse::parse(source.into(), names, limits)
    }

    /// The object at the top.
    #[inline]
    pub fn root(&self) -> Node<'_> {
        self.at(0)
    }

    /// The object at the top as a FHIR element.
    #[inline]
    pub fn element(&self) -> Element<'_> {
        Element::of(self.root())
    }

    /// The node with this number, if this tree has one.
    #[inline]
    pub fn node(&self, id: NodeId) -> Option<Node<'_>> {
        let entry = self.nodes.get(id.index())?;
        Some(Node {
            tree: self,
            entry,
            id: id.0,
        })
    }

    /// How many JSON values the tree has.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The JSON text that was parsed.
    pub fn source(&self) -> &str {
        self.slice(0, self.source_len)
    }

    /// The text that was sent, which offsets and lines are places of: the source, unless that was
    /// made of another format.
    pub fn sent(&self) -> &str {
        match &self.origin {
            Some(origin) => &origin.text,
            None => self.source(),
        }
    }

    /// The same tree, made of this text: for each node, where its value stands in it.
    #[must_use]
    pub(crate) fn made_of(mut self, text: &str, offsets: Vec<u32>) -> Self {
        self.origin = Some(Arc::new(Origin {
            text: text.to_owned(),
            offsets,
        }));
        self.places = OnceLock::new();
        self
    }

    /// The `resourceType` of the object at the top, if it is a string.
    pub fn resource_type(&self) -> Option<Cow<'_, str>> {
        self.root().get_str("resourceType")?.as_str()
    }

    /// Where a node is, as a FHIRPath: `Patient.name[0].given[1]`.
    ///
    /// Property names are those of JSON (`valueQuantity`), without the `_` of a primitive's sibling.
    /// Found by descent from the root, so that nobody has to carry paths along while all is well.
    pub fn location(&self, id: NodeId) -> String {
        let mut path = self.resource_type().unwrap_or_default().into_owned();
        let Some(node) = self.node(id) else {
            return path;
        };
        for (position, node) in node.path() {
            push_step(&mut path, node, position);
        }
        path
    }

    /// Where everything is, in a tree that is too large to look anew for each node.
    fn places(&self) -> Option<&Places> {
        if self.nodes.len() < Places::NODES_MIN && self.text.len() < Places::BYTES_MIN {
            return None;
        }
        Some(self.places.get_or_init(|| Arc::new(Places::of(self))))
    }

    #[inline]
    pub(crate) fn entry(&self, index: u32) -> &Entry {
        self.nodes.get(index as usize).unwrap_or(&ABSENT)
    }

    #[inline]
    pub(crate) fn at(&self, index: u32) -> Node<'_> {
        Node {
            tree: self,
            entry: self.entry(index),
            id: index,
        }
    }

    #[inline]
    pub(crate) fn slice(&self, start: u32, end: u32) -> &str {
        self.text
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    /// Whether this text and a quote stand here.
    #[inline]
    fn has_quoted(&self, from: usize, text: &str) -> bool {
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        rest.strip_prefix(text.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b'"'))
    }

    /// A key as it stands in the text, escapes included.
    #[inline]
    fn raw_key(&self, entry: &Entry) -> &str {
        let from = self.text.get(entry.key as usize..).unwrap_or_default();
        from.get(..text::end_of_string(from.as_bytes()))
            .unwrap_or_default()
    }
}

/// Appends `.given` for a member, `[1]` for an item.
fn push_step(path: &mut String, node: Node<'_>, position: usize) {
    if node.is_member() {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&node.name_text());
    } else {
        // Writing to a String cannot fail.
        let _ = write!(path, "[{position}]");
    }
}

impl fmt::Debug for Tree {
    /// Never shows content: trees hold what patients trust us with.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Tree({} nodes, {} bytes)",
            self.nodes.len(),
            self.text.len()
        )
    }
}

/// A place in the document, and a line as editors count: both start at 1, columns are characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LineColumn {
    /// The line, from 1.
    pub line: u32,
    /// The character in the line, from 1.
    pub column: u32,
}

/// A JSON value in a tree; as cheap to copy as a reference.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) entry: &'a Entry,
    pub(crate) id: u32,
}

impl<'a> Node<'a> {
    /// The number of this node.
    #[inline]
    pub const fn id(self) -> NodeId {
        NodeId(self.id)
    }

    /// The tree this node is of.
    #[inline]
    pub const fn tree(self) -> &'a Tree {
        self.tree
    }

    /// What kind of JSON value it is.
    #[inline]
    pub const fn kind(self) -> Kind {
        self.entry.kind
    }

    /// The property, without a leading `_`; an item of an array has the name of the array.
    #[inline]
    pub const fn name(self) -> Name {
        self.entry.name
    }

    /// Whether the property starts with `_`: the `id` and `extension` of a primitive.
    #[inline]
    pub const fn is_shadow(self) -> bool {
        self.entry.flags.has(Flags::SHADOW)
    }

    /// Whether this is a member of an object, rather than an item of an array or the root.
    #[inline]
    pub const fn is_member(self) -> bool {
        self.entry.flags.has(Flags::MEMBER)
    }

    /// The key as sent, `_` included; for an item, the key of its array; empty for the root.
    pub fn key(self) -> Cow<'a, str> {
        if self.entry.key == NONE {
            return Cow::Borrowed("");
        }
        let raw = self.tree.raw_key(self.entry);
        if self.entry.flags.has(Flags::KEY_ESCAPED) {
            return Cow::Owned(text::unescape(raw));
        }
        Cow::Borrowed(raw)
    }

    /// The key without a leading `_`.
    pub fn name_text(self) -> Cow<'a, str> {
        match self.key() {
            key if !self.is_shadow() => key,
            Cow::Borrowed(key) => Cow::Borrowed(key.strip_prefix('_').unwrap_or(key)),
            Cow::Owned(key) => Cow::Owned(key.strip_prefix('_').unwrap_or(&key).to_owned()),
        }
    }

    /// Whether the key, `_` included, is this one.
    #[inline]
    pub fn has_key(self, key: &str) -> bool {
        if self.entry.flags.has(Flags::KEY_ESCAPED) {
            return self.key() == key;
        }
        self.entry.key != NONE && self.tree.has_quoted(self.entry.key as usize, key)
    }

    /// Whether the key without a leading `_` is this one.
    #[inline]
    pub fn has_name(self, name: &str) -> bool {
        if self.entry.flags.has(Flags::KEY_ESCAPED) {
            return self.name_text() == name;
        }
        let underscore = usize::from(self.is_shadow());
        self.entry.key != NONE
            && self
                .tree
                .has_quoted(self.entry.key as usize + underscore, name)
    }

    /// The string without its escapes, if this is a string.
    #[inline]
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        if self.entry.kind != Kind::String {
            return None;
        }
        let raw = self.raw_text();
        Some(if self.entry.flags.has(Flags::ESCAPED) {
            Cow::Owned(text::unescape(raw))
        } else {
            Cow::Borrowed(raw)
        })
    }

    /// The digits as sent, if this is a number.
    #[inline]
    pub fn as_number(self) -> Option<&'a str> {
        (self.entry.kind == Kind::Number).then(|| self.raw_text())
    }

    /// The truth, if this is a boolean.
    #[inline]
    pub fn as_bool(self) -> Option<bool> {
        (self.entry.kind == Kind::Boolean).then(|| self.raw_text() == "true")
    }

    /// The text as it stands in the document; of a string, without quotes but with escapes.
    #[inline]
    pub fn raw_text(self) -> &'a str {
        self.tree.slice(self.entry.start, self.entry.end)
    }

    /// The members of an object or the items of an array, in document order.
    #[inline]
    pub fn children(self) -> Children<'a> {
        let end = match self.entry.kind {
            Kind::Object | Kind::Array => self.entry.next,
            _ => 0,
        };
        Children {
            tree: self.tree,
            next: self.id + 1,
            end,
        }
    }

    /// The items of an array; nothing for what is not an array.
    #[inline]
    pub fn items(self) -> Children<'a> {
        let mut items = self.children();
        if self.entry.kind != Kind::Array {
            items.end = 0;
        }
        items
    }

    /// Everything below, in document order.
    pub fn descendants(self) -> impl Iterator<Item = Node<'a>> {
        (self.id + 1..self.entry.next).map(move |index| self.tree.at(index))
    }

    /// The member with this name, not its `_` sibling.
    #[inline]
    pub fn get(self, name: Name) -> Option<Node<'a>> {
        if self.entry.kind != Kind::Object || !name.is_known() {
            return None;
        }
        self.children()
            .find(|node| node.entry.name == name && !node.is_shadow())
    }

    /// The member with this key; `_birthDate` finds the sibling.
    #[inline]
    pub fn get_str(self, key: &str) -> Option<Node<'a>> {
        if self.entry.kind != Kind::Object {
            return None;
        }
        self.children().find(|node| node.has_key(key))
    }

    /// Whether an object or array has nothing in it, or this is neither.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.entry.next <= self.id + 1
    }

    /// The byte of the text that was sent ([`Tree::sent`]) where the value starts; nothing for what
    /// was edited.
    pub fn offset(self) -> Option<usize> {
        if self.entry.start >= self.tree.source_len {
            return None;
        }
        if let Some(origin) = &self.tree.origin {
            let offset = origin.offsets.get(self.id as usize);
            return offset.map(|offset| *offset as usize);
        }
        let quote = u32::from(self.entry.kind == Kind::String);
        Some((self.entry.start - quote) as usize)
    }

    /// Where the value stands in the text that was sent; nothing for what was edited.
    ///
    /// Counts lines, so it is for what is reported, not for every node.
    pub fn line_column(self) -> Option<LineColumn> {
        let (offset, sent) = (self.offset()?, self.tree.sent());
        Some(match self.tree.places() {
            Some(places) => places.line_column(sent, offset),
            None => text::line_column(sent.as_bytes(), offset),
        })
    }

    /// The nodes that lead from the root to this one, which is the last, each with its position
    /// among its neighbours.
    pub fn path(self) -> Vec<(usize, Self)> {
        if let Some(places) = self.tree.places() {
            return places.path(self);
        }
        let mut path = Vec::new();
        let mut above = self.tree.root();
        while above.id < self.id {
            let mut children = above.children().enumerate();
            let Some(step) = children.find(|(_, node)| node.entry.next > self.id) else {
                break;
            };
            path.push(step);
            above = step.1;
        }
        path
    }

    /// Where the node is, as a FHIRPath; see [`Tree::location`].
    pub fn location(self) -> String {
        self.tree.location(self.id())
    }
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && std::ptr::eq(self.tree, other.tree)
    }
}

impl Eq for Node<'_> {}

impl fmt::Debug for Node<'_> {
    /// Never shows content.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Node({}, {})", self.id, self.entry.kind.word())
    }
}

/// The members of an object or the items of an array.
#[derive(Clone)]
pub struct Children<'a> {
    tree: &'a Tree,
    next: u32,
    end: u32,
}

impl<'a> Iterator for Children<'a> {
    type Item = Node<'a>;

    #[inline]
    fn next(&mut self) -> Option<Node<'a>> {
        if self.next >= self.end {
            return None;
        }
        let node = self.tree.at(self.next);
        self.next = node.entry.next;
        Some(node)
    }
}
