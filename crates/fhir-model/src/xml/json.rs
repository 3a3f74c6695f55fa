//! A [`Document`] → JSON text: <https://hl7.org/fhir/R4/json.html>.
//!
//! The nodes of a document are elements and attributes of XML. Below a node they hang in two
//! directions: from one property to the next, and from one item of a property to the next, as JSON
//! groups them.

use std::fmt::Write as _;

use crate::definition::{Definitions, TypeId};
use crate::name::Name;
use crate::tree::push_json_string;

/// Stands for "no node" and "no value".
pub(super) const NONE: u32 = u32::MAX;

/// Which JSON value an element becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// An object of a data type.
    Object,
    /// An object with a `resourceType`.
    Resource,
    /// A string, as are dates and everything that is none of the others.
    Text,
    /// A number, with its digits as they stand.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A string: the XHTML of a narrative.
    Xhtml,
}

impl Content {
    /// Whether XML has the value in the attribute `value`.
    pub(super) const fn is_scalar(self) -> bool {
        matches!(self, Self::Text | Self::Number | Self::Boolean)
    }

    const fn is_object(self) -> bool {
        matches!(self, Self::Object | Self::Resource)
    }
}

/// An element or attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The property.
    pub(super) name: Name,
    /// The type of its value; of a resource, its own.
    pub(super) type_id: TypeId,
    pub(super) content: Content,
    pub(super) is_array: bool,
    /// Where it stands in the source.
    at: u32,
    /// Where its value is in the text; [`NONE`] if it has none.
    start: u32,
    end: u32,
    /// The first item of its first and of its last property.
    first: u32,
    last: u32,
    /// The first item of the next property of the same parent.
    next_property: u32,
    /// The next item of the same property.
    next_item: u32,
    /// Of a first item, the last one.
    last_item: u32,
}

impl Node {
    pub(super) const fn new(name: Name, type_id: TypeId, content: Content) -> Self {
        Self {
            name,
            type_id,
            content,
            is_array: false,
            at: 0,
            start: NONE,
            end: NONE,
            first: NONE,
            last: NONE,
            next_property: NONE,
            next_item: NONE,
            last_item: NONE,
        }
    }

    const fn has_value(&self) -> bool {
        self.start != NONE
    }

    /// Whether a primitive has something to say beside its value; one that says nothing at all is
    /// an empty object there, for the validator to see.
    const fn has_shadow(&self) -> bool {
        self.first != NONE || !self.has_value()
    }
}

/// What a lookup by a wrong number finds. Numbers are made by the document only.
const ABSENT: Node = Node::new(Name::UNKNOWN, TypeId(0), Content::Text);

/// The elements of a resource, in a vector; the first is the resource.
pub(super) struct Document<'x> {
    source: &'x str,
    /// Values that do not stand in the source as they are; they count on from its end.
    decoded: String,
    nodes: Vec<Node>,
}

impl<'x> Document<'x> {
    pub(super) fn new(source: &'x str) -> Self {
        Self {
            source,
            decoded: String::new(),
            // About as many as there are, for text that is indented.
            nodes: Vec::with_capacity(source.len() / 48 + 1),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    #[inline]
    pub(super) fn at(&self, node: u32) -> &Node {
        self.nodes.get(node as usize).unwrap_or(&ABSENT)
    }

    fn change(&mut self, node: u32, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            change(node);
        }
    }

    /// Hangs a node, which stands here, under its parent; nothing if its property is there and must
    /// not repeat.
    pub(super) fn add(&mut self, parent: u32, node: Node, at: usize) -> Option<u32> {
        let number = offset(self.nodes.len());
        let first_item = self.first_item(parent, node.name);
        if first_item != NONE && !node.is_array {
            return None;
        }
        self.nodes.push(Node {
            at: offset(at),
            last_item: number,
            ..node
        });
        if first_item == NONE {
            let last = self.at(parent).last;
            self.change(last, |last| last.next_property = number);
            self.change(parent, |parent| {
                parent.last = number;
                if parent.first == NONE {
                    parent.first = number;
                }
            });
        } else {
            let last_item = self.at(first_item).last_item;
            self.change(last_item, |last| last.next_item = number);
            self.change(first_item, |first| first.last_item = number);
        }
        Some(number)
    }

    /// The first item that a parent has of a property. The last property is the usual one; there
    /// are never more than a type has.
    fn first_item(&self, parent: u32, name: Name) -> u32 {
        let last = self.at(parent).last;
        if last == NONE || self.at(last).name == name {
            return last;
        }
        self.properties(parent)
            .find(|item| self.at(*item).name == name)
            .unwrap_or(NONE)
    }

    /// The first items of the properties of a node.
    fn properties(&self, parent: u32) -> impl Iterator<Item = u32> {
        chain(self.at(parent).first, |item| self.at(item).next_property)
    }

    /// The items of a property from its first on.
    fn items(&self, first: u32) -> impl Iterator<Item = u32> {
        chain(first, |item| self.at(item).next_item)
    }

    pub(super) fn set_type(&mut self, node: u32, type_id: TypeId) {
        self.change(node, |node| node.type_id = type_id);
    }

    /// Gives a node its value, unless it has one.
    pub(super) fn set_value(&mut self, node: u32, start: usize, end: usize) -> bool {
        let is_first = !self.at(node).has_value();
        self.change(node, |node| {
            node.start = offset(start);
            node.end = offset(end);
        });
        is_first
    }

    /// Keeps a value that is written by `write`: where it starts and ends.
    pub(super) fn decoded<E>(
        &mut self,
        write: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<(usize, usize), E> {
        let start = self.source.len() + self.decoded.len();
        write(&mut self.decoded)?;
        Ok((start, self.source.len() + self.decoded.len()))
    }

    /// A part of the source or of what was decoded.
    pub(super) fn slice(&self, start: usize, end: usize) -> &str {
        let source = self.source.len();
        let slice = match start.checked_sub(source) {
            Some(start) if end >= source => self.decoded.get(start..end - source),
            _ => self.source.get(start..end),
        };
        slice.unwrap_or_default()
    }

    fn value(&self, node: &Node) -> &str {
        self.slice(node.start as usize, node.end as usize)
    }

    /// Keeps a narrative with a declaration of its namespace: where it starts and ends.
    pub(super) fn declared_narrative(&mut self, namespace: &str, div: &str) -> (usize, usize) {
        const START: &str = "<div";
        let start = self.source.len() + self.decoded.len();
        let rest = div.strip_prefix(START).unwrap_or(div);
        self.decoded
            .extend([START, " xmlns=\"", namespace, "\"", rest]);
        (start, self.source.len() + self.decoded.len())
    }

    /// Appends the step from a parent to one of its nodes, as in a FHIRPath: `.given[1]`.
    pub(super) fn push_step(
        &self,
        parent: u32,
        node: u32,
        definitions: &Definitions,
        path: &mut String,
    ) {
        let name = self.at(node).name;
        path.push('.');
        path.push_str(definitions.names().text(name));
        if self.at(node).is_array {
            let first = self.first_item(parent, name);
            let position = self.items(first).take_while(|item| *item != node).count();
            // Writing to a String cannot fail.
            let _ = write!(path, "[{position}]");
        }
    }

    /// The document as compact JSON.
    pub(super) fn to_json(&self, definitions: &Definitions) -> Json {
        let mut writer = Writer {
            document: self,
            definitions,
            out: String::with_capacity(self.source.len()),
            offsets: Vec::with_capacity(self.nodes.len() * 2),
        };
        writer.object(0);
        Json {
            text: writer.out,
            offsets: writer.offsets,
        }
    }
}

/// A node and those that follow it by one of its links.
fn chain(first: u32, next: impl Fn(u32) -> u32) -> impl Iterator<Item = u32> {
    let some = |node: u32| (node != NONE).then_some(node);
    std::iter::successors(some(first), move |node| some(next(*node)))
}

/// A document has at most half as many bytes as an offset can count.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}

/// JSON text, and for each of its values, in their order, where it stands in the XML.
pub(super) struct Json {
    pub(super) text: String,
    pub(super) offsets: Vec<u32>,
}

/// Recursion is as deep as the limits let elements nest.
struct Writer<'a, 'x> {
    document: &'a Document<'x>,
    definitions: &'a Definitions,
    out: String,
    offsets: Vec<u32>,
}

impl Writer<'_, '_> {
    /// The properties of an element as an object.
    fn object(&mut self, node: u32) {
        let found = self.document.at(node);
        self.offsets.push(found.at);
        self.out.push('{');
        let mut is_first = true;
        if found.content == Content::Resource {
            self.key("", "resourceType", is_first);
            self.offsets.push(found.at);
            self.out.push('"');
            self.out.push_str(self.definitions.type_name(found.type_id));
            self.out.push('"');
            is_first = false;
        }
        let document = self.document;
        for first in document.properties(node) {
            if document.at(first).content.is_object() {
                self.objects(first, is_first);
            } else {
                self.scalars(first, is_first);
            }
            is_first = false;
        }
        self.out.push('}');
    }

    fn key(&mut self, prefix: &str, name: &str, is_first: bool) {
        self.out.push_str(if is_first { "\"" } else { ",\"" });
        self.out.push_str(prefix);
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    /// One value, or the items of an array.
    fn values(&mut self, first: u32, write: impl Fn(&mut Self, u32)) {
        if !self.document.at(first).is_array {
            write(self, first);
            return;
        }
        let document = self.document;
        self.offsets.push(document.at(first).at);
        let mut separator = '[';
        for item in document.items(first) {
            self.out.push(separator);
            separator = ',';
            write(self, item);
        }
        self.out.push(']');
    }

    fn objects(&mut self, first: u32, is_first: bool) {
        let name = self.definitions.names().text(self.document.at(first).name);
        self.key("", name, is_first);
        self.values(first, Self::object);
    }

    /// A primitive property: its values, and beside them what is said about them.
    fn scalars(&mut self, first: u32, is_first: bool) {
        let document = self.document;
        let name = self.definitions.names().text(document.at(first).name);
        let any = |has: fn(&Node) -> bool| document.items(first).any(|item| has(document.at(item)));
        let has_values = any(Node::has_value);
        if has_values {
            self.key("", name, is_first);
            self.values(first, Self::scalar);
        }
        if any(Node::has_shadow) {
            self.key("_", name, is_first && !has_values);
            self.values(first, Self::shadow);
        }
    }

    fn scalar(&mut self, item: u32) {
        let node = self.document.at(item);
        let value = self.document.value(node);
        self.offsets.push(node.at);
        match node.content {
            _ if !node.has_value() => self.out.push_str("null"),
            Content::Boolean | Content::Number => self.out.push_str(value),
            _ => push_json_string(&mut self.out, value),
        }
    }

    fn shadow(&mut self, item: u32) {
        if self.document.at(item).has_shadow() {
            self.object(item);
        } else {
            self.offsets.push(self.document.at(item).at);
            self.out.push_str("null");
        }
    }
}
