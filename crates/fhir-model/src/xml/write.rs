//! A tree → FHIR XML.
//!
//! XML has the elements in the order of the definitions, whatever order the JSON has, and what is
//! an attribute there (`id`, `url`) before all of them: <https://hl7.org/fhir/R4/xml.html>.

use crate::definition::{Definitions, PrimitiveKind, Property, TypeId, TypeKind};
use crate::element::Element;
use crate::tree::Node;
use crate::xml::error::{WriteError, WriteErrorKind};
use crate::xml::text::{illegal_character, push_escaped};
use crate::xml::{FHIR, XHTML, xhtml};

/// What an XML document of ours starts with.
const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

/// Spaces per level of [`from_tree_pretty`].
const INDENT: usize = 2;

/// The XML of a resource, compact.
pub fn from_tree(resource: Node<'_>, definitions: &Definitions) -> Result<String, WriteError> {
    Writer::new(resource, definitions, false).document(resource)
}

/// The XML of a resource with a line per element, indented by two spaces.
pub fn from_tree_pretty(
    resource: Node<'_>,
    definitions: &Definitions,
) -> Result<String, WriteError> {
    Writer::new(resource, definitions, true).document(resource)
}

/// A child of an element, with what is known of it.
#[derive(Clone, Copy)]
struct Child<'t, 'd> {
    property: &'d Property,
    element: Element<'t>,
    is_attribute: bool,
}

struct Writer<'t, 'd> {
    definitions: &'d Definitions,
    out: String,
    is_pretty: bool,
    depth: usize,
    /// The children of all elements that are open, to bring them into order.
    children: Vec<Child<'t, 'd>>,
}

type Step = Result<(), Box<WriteError>>;

impl<'t, 'd> Writer<'t, 'd> {
    fn new(resource: Node<'t>, definitions: &'d Definitions, is_pretty: bool) -> Self {
        let json_len = resource.raw_text().len();
        Self {
            definitions,
            out: String::with_capacity(json_len + json_len / 4 + 256),
            is_pretty,
            depth: 0,
            children: Vec::new(),
        }
    }

    fn document(mut self, resource: Node<'t>) -> Result<String, WriteError> {
        self.out.push_str(DECLARATION);
        let element = Element::of(resource);
        let namespace = (" xmlns=\"", FHIR);
        match self.resource(element, Some(namespace)) {
            Ok(()) => {
                if self.is_pretty {
                    self.out.push('\n');
                }
                Ok(self.out)
            }
            Err(error) => Err(*error),
        }
    }

    /// The element named by the type of a resource.
    fn resource(&mut self, element: Element<'t>, namespace: Option<(&str, &str)>) -> Step {
        let definitions = self.definitions;
        let type_id = element
            .resource_type()
            .and_then(|name| definitions.resource_type(&name))
            .ok_or_else(|| fault(WriteErrorKind::UnknownResource, element))?;
        let name = definitions.type_name(type_id);
        self.open(name);
        if let Some((attribute, value)) = namespace {
            self.out.push_str(attribute);
            self.out.push_str(value);
            self.out.push('"');
        }
        self.content(element, type_id, name)
    }

    /// Everything after the name of an open start tag, to the end tag.
    fn content(&mut self, element: Element<'t>, type_id: TypeId, name: &str) -> Step {
        let from = self.children.len();
        self.collect(element, type_id)?;
        let to = self.children.len();
        for index in from..to {
            if let Some(child) = self.child(index).filter(|child| child.is_attribute) {
                let name = self.definitions.names().text(child.property.name);
                if child.element.shadow().is_some() {
                    return Err(fault(WriteErrorKind::Kind, child.element));
                }
                self.attribute(name, child.element)?;
            }
        }
        if element.has_value() {
            self.attribute("value", element)?;
        }
        let elements = (from..to).filter_map(|index| self.child(index));
        if elements.clone().all(|child| child.is_attribute) {
            self.out.push_str("/>");
        } else {
            self.out.push('>');
            self.depth += 1;
            for index in from..to {
                if let Some(child) = self.child(index).filter(|child| !child.is_attribute) {
                    self.element(child)?;
                }
            }
            self.depth -= 1;
            self.close(name);
        }
        self.children.truncate(from);
        Ok(())
    }

    fn child(&self, index: usize) -> Option<Child<'t, 'd>> {
        self.children.get(index).copied()
    }

    /// Puts the children of an element on the stack, in the order of their definition.
    fn collect(&mut self, element: Element<'t>, type_id: TypeId) -> Step {
        let definitions = self.definitions;
        let is_resource = definitions.type_of(type_id).kind == TypeKind::Resource;
        let from = self.children.len();
        for child in element.all_children() {
            let Some(property) = definitions.property(type_id, child.name()) else {
                if is_resource && child.node().has_key("resourceType") {
                    continue;
                }
                return Err(fault(WriteErrorKind::UnknownProperty, child));
            };
            self.children.push(Child {
                property,
                element: child,
                is_attribute: definitions.element(property.element).is_attribute,
            });
        }
        let children = self.children.get_mut(from..).unwrap_or_default();
        if !children.is_sorted_by_key(|child| child.property.element) {
            children.sort_by_key(|child| child.property.element);
        }
        Ok(())
    }

    fn element(&mut self, child: Child<'t, 'd>) -> Step {
        let element = child.element;
        let type_id = child.property.type_id;
        let name = self.definitions.names().text(child.property.name);
        let kind = self.definitions.type_of(type_id).kind;
        let is_right = match kind {
            TypeKind::Primitive(_) | TypeKind::System(_) => !element.is_complex(),
            TypeKind::Complex | TypeKind::Backbone | TypeKind::Resource => element.is_complex(),
        };
        if !is_right || (element.value().is_some() && !element.has_value() && !element.is_complex())
        {
            return Err(fault(WriteErrorKind::Kind, element));
        }
        match kind {
            TypeKind::Resource => {
                self.open(name);
                self.out.push('>');
                self.depth += 1;
                self.resource(element, None)?;
                self.depth -= 1;
                self.close(name);
                Ok(())
            }
            TypeKind::Primitive(PrimitiveKind::Xhtml) => self.narrative(element),
            _ => {
                self.open(name);
                self.content(element, type_id, name)
            }
        }
    }

    /// A narrative stands in the XML as it stands in the JSON string.
    fn narrative(&mut self, element: Element<'t>) -> Step {
        let text = element
            .value_text()
            .filter(|_| element.shadow().is_none())
            .ok_or_else(|| fault(WriteErrorKind::Kind, element))?;
        let (div, is_declared) = xhtml::check(&text)
            .map_err(|kind| fault(WriteErrorKind::Narrative(Box::new(kind)), element))?;
        self.new_line();
        if is_declared {
            self.out.push_str(div);
            return Ok(());
        }
        self.out.push_str("<div xmlns=\"");
        self.out.push_str(XHTML);
        self.out.push('"');
        self.out
            .push_str(div.strip_prefix("<div").unwrap_or_default());
        Ok(())
    }

    fn attribute(&mut self, name: &str, element: Element<'t>) -> Step {
        let value = element
            .value_text()
            .ok_or_else(|| fault(WriteErrorKind::Kind, element))?;
        if let Some((_, char)) = illegal_character(&value) {
            let code = char.into();
            return Err(fault(WriteErrorKind::Character { code }, element));
        }
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        push_escaped(&mut self.out, &value);
        self.out.push('"');
        Ok(())
    }

    fn open(&mut self, name: &str) {
        self.new_line();
        self.out.push('<');
        self.out.push_str(name);
    }

    fn close(&mut self, name: &str) {
        self.new_line();
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    fn new_line(&mut self) {
        if self.is_pretty {
            self.out.push('\n');
            let spaces = std::iter::repeat_n(' ', self.depth * INDENT);
            self.out.extend(spaces);
        }
    }
}

#[cold]
#[expect(clippy::unnecessary_box_returns, reason = "a Step holds it boxed")]
fn fault(kind: WriteErrorKind, element: Element<'_>) -> Box<WriteError> {
    Box::new(WriteError {
        kind,
        path: element.location(),
    })
}
