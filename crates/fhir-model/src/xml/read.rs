//! XML → a [`Document`]: the elements that R4 defines, each under its parent.
//!
//! One walk over the events of the XML. An element is looked up among the properties of the type
//! it stands in; the elements of one property are linked as they come, so that the writer of JSON
//! finds an array in one place even where the XML has its items apart.

use quick_xml::Reader;
use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesDecl, BytesStart, Event};

use crate::definition::{Definitions, PrimitiveKind, Property, SystemKind, TypeId, TypeKind};
use crate::name::Name;
use crate::tree::{Limits, is_number};
use crate::xml::XHTML;
use crate::xml::error::{XmlError, XmlErrorKind};
use crate::xml::json::{Content, Document, Json, NONE, Node};
use crate::xml::namespace::{Namespaces, Space};
use crate::xml::text::{decode, ill_formed, illegal_character, is_blank, is_plain};
use crate::xml::xhtml;

/// More attributes than an element of FHIR can have: three of its own, the rest declarations.
const ATTRIBUTES_MAX: usize = 64;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The JSON text of a resource in XML, and the text that its offsets are places of.
pub(super) fn read<'x>(
    xml: &'x [u8],
    definitions: &Definitions,
    limits: &Limits,
) -> Result<(Json, &'x str), XmlError> {
    let fail = |kind, offset| XmlError::new(kind, xml, offset, String::new());
    let bytes_max = limits.bytes_max.min(Limits::BYTES_CEILING / 2);
    if xml.len() > bytes_max {
        let limit_bytes = bytes_max;
        return Err(fail(XmlErrorKind::TooLarge { limit_bytes }, bytes_max));
    }
    let text = std::str::from_utf8(xml)
        .map_err(|error| fail(XmlErrorKind::NotUtf8, error.valid_up_to()))?;
    if let Some((at, char)) = illegal_character(text) {
        return Err(fail(XmlErrorKind::Character { code: char.into() }, at));
    }
    let source = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut reading = Reading::new(source, definitions, limits);
    match reading.run() {
        Ok(()) => Ok((reading.document.to_json(definitions), source)),
        Err(fault) => {
            let offset = fault.offset + (text.len() - source.len());
            Err(XmlError::new(fault.kind, xml, offset, reading.path()))
        }
    }
}

/// What is wrong, and at which byte.
struct Fault {
    kind: XmlErrorKind,
    offset: usize,
}

/// Boxed, so that what goes well stays small.
type Step<T = ()> = Result<T, Box<Fault>>;

/// An element whose end has not come yet.
#[derive(Clone, Copy)]
struct Frame {
    node: u32,
    /// The type whose properties its children are; of a container, none.
    type_id: TypeId,
    role: Role,
    /// How deep its JSON nests.
    depth: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// An element of a data type.
    Element,
    /// An element such as `contained` or `Bundle.entry.resource`: its child names the type.
    Container { is_filled: bool },
    /// The element named by the type of a resource; of a container it shares the node.
    Resource,
}

/// A start tag, cut up.
struct Tag<'x> {
    prefix: &'x str,
    local: &'x str,
    /// Where it starts.
    at: usize,
}

/// An attribute, its value as it stands in the text.
struct Attribute<'x> {
    key: &'x str,
    raw: &'x str,
}

struct Reading<'x, 'd> {
    source: &'x str,
    definitions: &'d Definitions,
    limits: &'d Limits,
    xml: Reader<&'x [u8]>,
    namespaces: Namespaces<'x>,
    document: Document<'x>,
    open: Vec<Frame>,
    /// The attributes of the current tag but for declarations.
    attributes: Vec<Attribute<'x>>,
}

impl<'x, 'd> Reading<'x, 'd> {
    fn new(source: &'x str, definitions: &'d Definitions, limits: &'d Limits) -> Self {
        let mut xml = Reader::from_str(source);
        xml.config_mut().check_comments = true;
        Self {
            source,
            definitions,
            limits,
            xml,
            namespaces: Namespaces::default(),
            document: Document::new(source),
            open: Vec::new(),
            attributes: Vec::new(),
        }
    }

    fn run(&mut self) -> Step {
        // The reader would pass over a second mark without counting its bytes.
        if self.source.starts_with(BYTE_ORDER_MARK) {
            return Err(fault(XmlErrorKind::Text, 0));
        }
        loop {
            let at = self.position();
            let event = self.xml.read_event();
            match event.map_err(|error| fault(ill_formed(error), at))? {
                Event::Start(tag) => self.start(&tag, at, false)?,
                Event::Empty(tag) => self.start(&tag, at, true)?,
                Event::End(_) => self.leave(at)?,
                Event::Text(text) if is_blank(&text) => {}
                Event::Text(text) => {
                    let blank = text.len() - text.trim_ascii_start().len();
                    return Err(fault(XmlErrorKind::Text, at + blank));
                }
                Event::CData(_) | Event::GeneralRef(_) => {
                    return Err(fault(XmlErrorKind::Text, at));
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::Decl(declaration) => check_declaration(&declaration, at)?,
                Event::DocType(_) => return Err(fault(XmlErrorKind::DocumentType, at)),
                Event::Eof => return self.end(at),
            }
        }
    }

    fn end(&self, at: usize) -> Step {
        if self.document.is_empty() {
            return Err(fault(XmlErrorKind::Empty, at));
        }
        if !self.open.is_empty() {
            return Err(fault(XmlErrorKind::UnexpectedEnd, at));
        }
        Ok(())
    }

    fn start(&mut self, tag: &BytesStart<'_>, at: usize, is_empty: bool) -> Step {
        let node = self.enter(tag, at)?;
        let is_narrative = self.document.at(node).content == Content::Xhtml;
        if is_narrative {
            self.narrative(tag, node, at, is_empty)?;
        }
        if is_narrative || is_empty {
            self.leave(at)?;
        }
        Ok(())
    }

    /// Enters an element: its node, its attributes, its frame.
    fn enter(&mut self, start: &BytesStart<'_>, at: usize) -> Step<u32> {
        let name_len = start.name().0.len();
        let name = self.source.get(at + 1..at + 1 + name_len);
        let name = name.unwrap_or_default();
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let tag = Tag { prefix, local, at };
        self.take_attributes(start.len(), name_len, at)?;
        let space = self.namespaces.of(prefix);
        let node = match self.open.last().copied() {
            None if self.document.is_empty() => self.enter_resource(&tag, space, NONE)?,
            None => return Err(fault(XmlErrorKind::TrailingData, at)),
            Some(frame) => match frame.role {
                Role::Container { is_filled: true } => {
                    return Err(fault(XmlErrorKind::SeveralResources, at));
                }
                Role::Container { is_filled: false } => {
                    self.enter_resource(&tag, space, frame.node)?
                }
                Role::Element | Role::Resource => self.enter_element(&tag, space, frame)?,
            },
        };
        Ok(node)
    }

    /// An element named by the type of a resource: the root, or what a container holds.
    fn enter_resource(&mut self, tag: &Tag<'x>, space: Space, container: u32) -> Step<u32> {
        require(space == Space::Fhir, || namespace(tag))?;
        let type_id = self.definitions.resource_type(tag.local).ok_or_else(|| {
            let name = tag.local.to_owned();
            fault(XmlErrorKind::UnknownResource { name }, tag.at)
        })?;
        let depth = self.open.last().map_or(1, |frame| frame.depth);
        let node = if let Some(frame) = self.open.last_mut() {
            frame.role = Role::Container { is_filled: true };
            self.document.set_type(container, type_id);
            container
        } else {
            self.add(
                NONE,
                Node::new(Name::UNKNOWN, type_id, Content::Resource),
                tag.at,
            )?
        };
        self.open.push(Frame {
            node,
            type_id,
            role: Role::Resource,
            depth,
        });
        self.apply_attributes(node, type_id)?;
        Ok(node)
    }

    fn enter_element(&mut self, tag: &Tag<'x>, space: Space, parent: Frame) -> Step<u32> {
        let property = *self
            .property(parent.type_id, tag.local, false)
            .ok_or_else(|| {
                let name = tag.local.to_owned();
                fault(XmlErrorKind::UnknownElement { name }, tag.at)
            })?;
        let content = content_of(self.definitions.type_of(property.type_id).kind);
        if content == Content::Xhtml {
            let is_narrative = space == Space::Xhtml && tag.prefix.is_empty();
            require(is_narrative, || fault(XmlErrorKind::NotXhtml, tag.at))?;
        } else {
            require(space == Space::Fhir, || namespace(tag))?;
        }
        let node = self.add_property(parent.node, &property, content, tag.at)?;
        let depth = parent.depth + 1 + u32::from(property.is_array);
        let limit = self.limits.depth_max.min(Limits::DEPTH_CEILING);
        if depth > limit {
            return Err(fault(XmlErrorKind::TooDeep { limit }, tag.at));
        }
        self.open.push(Frame {
            node,
            type_id: property.type_id,
            role: if content == Content::Resource {
                Role::Container { is_filled: false }
            } else {
                Role::Element
            },
            depth,
        });
        if content != Content::Xhtml {
            self.apply_attributes(node, property.type_id)?;
        }
        Ok(node)
    }

    /// The property of a type that XML spells so, as an attribute or as an element.
    fn property(&self, type_id: TypeId, name: &str, is_attribute: bool) -> Option<&'d Property> {
        let name = self.definitions.names().get(name)?;
        let property = self.definitions.property(type_id, name)?;
        let element = self.definitions.element(property.element);
        (element.is_attribute == is_attribute).then_some(property)
    }

    fn add_property(
        &mut self,
        parent: u32,
        property: &Property,
        content: Content,
        at: usize,
    ) -> Step<u32> {
        let mut node = Node::new(property.name, property.type_id, content);
        node.is_array = property.is_array;
        self.add(parent, node, at)
    }

    fn add(&mut self, parent: u32, node: Node, at: usize) -> Step<u32> {
        if self.document.len() >= self.limits.nodes_max as usize {
            let limit = self.limits.nodes_max;
            return Err(fault(XmlErrorKind::TooManyElements { limit }, at));
        }
        self.document.add(parent, node, at).ok_or_else(|| {
            let name = self.definitions.names().text(node.name).to_owned();
            fault(XmlErrorKind::Repeated { name }, at)
        })
    }

    /// Takes the attributes of a start tag apart, and the declarations from among them.
    fn take_attributes(&mut self, tag_len: usize, name_len: usize, at: usize) -> Step {
        self.attributes.clear();
        let tag = self.source.get(at + 1..at + 1 + tag_len);
        let tag = tag.unwrap_or_default();
        let depth = self.open.len() + 1;
        for attribute in Attributes::new(tag, name_len).with_checks(false) {
            let attribute = attribute.map_err(|error| fault(ill_formed(error), at))?;
            let raw = match attribute.value {
                std::borrow::Cow::Borrowed(raw) => raw,
                std::borrow::Cow::Owned(_) => "",
            };
            let key = attribute.key.0;
            if let Some(prefix) = Namespaces::declared_by(key) {
                self.namespaces
                    .declare(prefix, raw, depth)
                    .map_err(|kind| fault(kind, at))?;
            } else if self.attributes.len() < ATTRIBUTES_MAX {
                self.attributes.push(Attribute { key, raw });
            } else {
                let limit = ATTRIBUTES_MAX;
                return Err(fault(XmlErrorKind::TooManyAttributes { limit }, at));
            }
        }
        Ok(())
    }

    /// Gives a node what its attributes say.
    fn apply_attributes(&mut self, node: u32, type_id: TypeId) -> Step {
        for index in 0..self.attributes.len() {
            let Some(Attribute { key, raw }) = self.attributes.get(index) else {
                break;
            };
            let (key, raw) = (*key, *raw);
            let at = self.offset_of(key);
            if self.is_schema_location(key) {
                continue;
            }
            if key == "value" && self.document.at(node).content.is_scalar() {
                self.set_value(node, key, raw)?;
                continue;
            }
            let property = *self.property(type_id, key, true).ok_or_else(|| {
                let name = key.to_owned();
                fault(XmlErrorKind::UnknownAttribute { name }, at)
            })?;
            let content = content_of(self.definitions.type_of(property.type_id).kind);
            let child = self
                .add_property(node, &property, content, at)
                .map_err(|fault| repeated_attribute(fault, key))?;
            self.set_value(child, key, raw)?;
        }
        Ok(())
    }

    /// `xsi:schemaLocation`: a hint for tools that FHIR allows and that says nothing.
    fn is_schema_location(&self, key: &str) -> bool {
        key.split_once(':')
            .is_some_and(|(prefix, _)| self.namespaces.of(prefix) == Space::SchemaInstance)
    }

    fn set_value(&mut self, node: u32, key: &str, raw: &str) -> Step {
        let at = self.offset_of(raw);
        let (mut start, mut end) = (at, at + raw.len());
        if !is_plain(raw) {
            (start, end) = self
                .document
                .decoded(|text| decode(raw, text))
                .map_err(|(offset, kind)| fault(kind, at + offset))?;
        }
        let content = self.document.at(node).content;
        let value = self.document.slice(start, end);
        let is_form = match content {
            Content::Boolean => matches!(value, "true" | "false"),
            Content::Number => {
                // The pattern of integers allows a sign that JSON does not.
                start += usize::from(value.starts_with('+'));
                is_number(value.strip_prefix('+').unwrap_or(value))
            }
            Content::Text | Content::Xhtml | Content::Object | Content::Resource => true,
        };
        if !is_form {
            let type_name = self.definitions.type_name(self.document.at(node).type_id);
            let type_name = type_name.to_owned();
            return Err(fault(XmlErrorKind::Value { type_name }, at));
        }
        if !self.document.set_value(node, start, end) {
            let name = key.to_owned();
            return Err(fault(XmlErrorKind::RepeatedAttribute { name }, at));
        }
        Ok(())
    }

    /// Keeps a narrative as it stands, from its start tag to its end. Where the XML declares its
    /// namespace further out, it is declared again in what is kept.
    fn narrative(&mut self, tag: &BytesStart<'_>, node: u32, at: usize, is_empty: bool) -> Step {
        let is_declared = xhtml::check_tag(tag).map_err(|kind| fault(kind, at))?;
        if !is_empty {
            xhtml::read_to_end(&mut self.xml).map_err(|(at, kind)| fault(kind, at))?;
        }
        let end = self.position();
        let (start, end) = if is_declared {
            (at, end)
        } else {
            let div = self.source.get(at..end).unwrap_or_default();
            self.document.declared_narrative(XHTML, div)
        };
        self.document.set_value(node, start, end);
        Ok(())
    }

    fn leave(&mut self, at: usize) -> Step {
        let depth = self.open.len();
        self.namespaces.leave(depth);
        match self.open.pop() {
            Some(Frame {
                role: Role::Container { is_filled: false },
                ..
            }) => Err(fault(XmlErrorKind::ResourceExpected, at)),
            _ => Ok(()),
        }
    }

    fn position(&self) -> usize {
        usize::try_from(self.xml.buffer_position()).unwrap_or(usize::MAX)
    }

    /// Where a part of the source stands in it.
    fn offset_of(&self, part: &str) -> usize {
        part.as_ptr().addr() - self.source.as_ptr().addr()
    }

    /// The innermost element that is known, as a FHIRPath.
    fn path(&self) -> String {
        let Some(root) = self.open.first() else {
            return String::new();
        };
        let mut path = self.definitions.type_name(root.type_id).to_owned();
        for (outer, inner) in self.open.iter().zip(self.open.iter().skip(1)) {
            // A resource in a container shares its node.
            if outer.node != inner.node {
                self.document
                    .push_step(outer.node, inner.node, self.definitions, &mut path);
            }
        }
        path
    }
}

/// What kind of JSON value a type is.
fn content_of(kind: TypeKind) -> Content {
    match kind {
        TypeKind::Primitive(PrimitiveKind::Boolean) | TypeKind::System(SystemKind::Boolean) => {
            Content::Boolean
        }
        TypeKind::Primitive(
            PrimitiveKind::Decimal
            | PrimitiveKind::Integer
            | PrimitiveKind::PositiveInt
            | PrimitiveKind::UnsignedInt,
        )
        | TypeKind::System(SystemKind::Decimal | SystemKind::Integer) => Content::Number,
        TypeKind::Primitive(PrimitiveKind::Xhtml) => Content::Xhtml,
        TypeKind::Primitive(_) | TypeKind::System(_) => Content::Text,
        TypeKind::Complex | TypeKind::Backbone => Content::Object,
        TypeKind::Resource => Content::Resource,
    }
}

/// A declaration comes first, if at all, and says UTF-8, if anything.
fn check_declaration(declaration: &BytesDecl<'_>, at: usize) -> Step {
    if at > 0 {
        let reason = "the XML declaration is not at the start";
        return Err(fault(ill_formed(reason), at));
    }
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(encoding)) if encoding.eq_ignore_ascii_case("utf-8") => Ok(()),
        Some(Ok(_)) => Err(fault(XmlErrorKind::NotUtf8, at)),
        Some(Err(error)) => Err(fault(ill_formed(error), at)),
    }
}

fn require(is_so: bool, fault: impl FnOnce() -> Box<Fault>) -> Step {
    if is_so { Ok(()) } else { Err(fault()) }
}

#[cold]
#[expect(clippy::unnecessary_box_returns, reason = "a Step holds it boxed")]
fn fault(kind: XmlErrorKind, offset: usize) -> Box<Fault> {
    Box::new(Fault { kind, offset })
}

#[cold]
#[expect(clippy::unnecessary_box_returns, reason = "a Step holds it boxed")]
fn namespace(tag: &Tag<'_>) -> Box<Fault> {
    let name = tag.local.to_owned();
    fault(XmlErrorKind::Namespace { name }, tag.at)
}

/// A repeated attribute is told as one.
#[expect(clippy::unnecessary_box_returns, reason = "a Step holds it boxed")]
fn repeated_attribute(fault: Box<Fault>, key: &str) -> Box<Fault> {
    match fault.kind {
        XmlErrorKind::Repeated { .. } => {
            let name = key.to_owned();
            self::fault(XmlErrorKind::RepeatedAttribute { name }, fault.offset)
        }
        _ => fault,
    }
}
