//! Where an extension may stand: `StructureDefinition.context`.
//! <https://hl7.org/fhir/R4/defining-extensions.html#context>
//!
//! A context by element is the name of a type or a path from one; it is compared with the objects
//! that the walk is in, from the inside. One by extension names the extension around, or the one
//! whose value it is in. One by `FHIRPath` gives the elements of the resource that may have it.
//! What cannot be judged is taken as given.

use fhir_model::definition::{ContextKind, Definitions, ExtensionContext, Text, TypeKind};
use fhir_model::element::Element;
use fhir_model::issue::IssueType;
use fhir_model::tree::Node;
use fhirpath::{Expression, Item};

use crate::finding::{any_of, quote};
use crate::surroundings::Surroundings;
use crate::walk::{Place, Walk};

/// A place where an extension may stand.
#[derive(Debug)]
pub(super) struct Context {
    text: Text,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The type that the path begins with and the elements after it, the last first.
    Element(Box<str>, Box<[Box<str>]>),
    Extension(Box<str>),
    /// Nothing if the expression cannot be compiled.
    FhirPath(Option<Expression>),
}

/// A rule that must hold where an extension stands.
#[derive(Debug)]
pub(super) struct ContextInvariant {
    text: Box<str>,
    expression: Option<Expression>,
}

/// Types that stand for everything that can have an extension, here or in R5.
const ANYWHERE: &[&str] = &[
    "Element",
    "Base",
    "DataType",
    "PrimitiveType",
    "BackboneType",
    "*",
];

/// What R5 calls the resources that have a canonical URL.
const CANONICAL: &[&str] = &["CanonicalResource", "MetadataResource"];

impl Context {
    pub(super) fn compile(definitions: &Definitions, context: ExtensionContext) -> Self {
        let text = definitions.text(context.expression);
        let kind = match context.kind {
            ContextKind::Element => element_kind(text),
            ContextKind::Extension => {
                Kind::Extension(text.split('#').next().unwrap_or(text).into())
            }
            ContextKind::Fhirpath => {
                Kind::FhirPath(Expression::compile(text, definitions, None).ok())
            }
        };
        Self {
            text: context.expression,
            kind,
        }
    }
}

/// `Patient.contact.name`, also as an element of a profile, `http://…#Patient.contact:x.name`.
fn element_kind(text: &str) -> Kind {
    let path = text.rsplit('#').next().unwrap_or(text);
    let mut parts = path.split('.').map(|part| {
        let part = part.split(':').next().unwrap_or(part);
        part.strip_suffix("[x]").unwrap_or(part)
    });
    let type_name = parts.next().unwrap_or_default();
    let mut names: Vec<Box<str>> = parts.map(Into::into).collect();
    names.reverse();
    Kind::Element(type_name.into(), names.into_boxed_slice())
}

impl ContextInvariant {
    pub(super) fn compile(definitions: &Definitions, text: &str) -> Self {
        Self {
            text: text.into(),
            expression: Expression::compile(text, definitions, None).ok(),
        }
    }
}

impl<'a> Walk<'a> {
    /// An extension of the innermost object against the places where it may stand.
    pub(super) fn context(
        &mut self,
        extension: Node<'a>,
        url: &str,
        contexts: &'a [Context],
        invariants: &'a [ContextInvariant],
    ) {
        let Some(place) = self.places.last().copied() else {
            return;
        };
        let fits = |context: &Context| self.is_in(place, &context.kind);
        if !contexts.is_empty() && !contexts.iter().any(fits) {
            let wanted = contexts
                .iter()
                .map(|context| self.definitions.text(context.text));
            let text = format!(
                "The extension {} does not belong here; it may stand in {}",
                quote(url),
                any_of(wanted)
            );
            return self.wrong_extension(extension, "StructureDefinition.context", text);
        }
        for invariant in invariants {
            if self.is_broken(place, extension, invariant) {
                let text = format!(
                    "The extension {} may stand here only if {}",
                    quote(url),
                    invariant.text
                );
                let rule = "StructureDefinition.contextInvariant";
                self.findings
                    .error(extension, IssueType::Extension, rule, text);
            }
        }
    }

    fn is_in(&self, place: Place<'a>, kind: &Kind) -> bool {
        match kind {
            Kind::Element(type_name, names) => self.is_in_element(type_name, names),
            Kind::Extension(url) => self.is_in_extension(url),
            Kind::FhirPath(None) => true,
            Kind::FhirPath(Some(expression)) => self.is_selected(place, expression),
        }
    }

    fn is_in_element(&self, type_name: &str, names: &[Box<str>]) -> bool {
        if ANYWHERE.contains(&type_name) {
            return true;
        }
        let definitions = self.definitions;
        if CANONICAL.contains(&type_name) && names.is_empty() {
            let has_url = |place: &Place<'_>| {
                let url = definitions.property(place.type_id, self.rules.known.names.url);
                url.is_some() && definitions.type_of(place.type_id).kind == TypeKind::Resource
            };
            return self.places.last().is_some_and(has_url);
        }
        let places = self.places.iter().rev();
        // A nested type is named by its path, wherever a content reference leads to it.
        let is_nested = || {
            let innermost = self.places.last();
            let name = innermost.map(|place| definitions.type_name(place.type_id));
            name.is_some_and(|name| is_path(name, type_name, names))
        };
        let matched = places
            .clone()
            .zip(names)
            .take_while(|(place, name)| *definitions.names().text(place.name) == ***name)
            .count();
        let is_of_type = |place: &Place<'_>| {
            definitions
                .ancestors(place.type_id)
                .any(|type_id| definitions.type_name(type_id) == type_name)
        };
        let outermost = places.clone().nth(names.len());
        (matched == names.len() && outermost.is_some_and(is_of_type)) || is_nested()
    }

    /// Whether the innermost object is that extension, or its value.
    fn is_in_extension(&self, url: &str) -> bool {
        let names = &self.rules.known.names;
        let mut places = self.places.iter().rev().take(2);
        places.any(|place| {
            let own = place.node.get(names.url).and_then(Node::as_str);
            Some(place.type_id) == self.rules.known.extension && own.as_deref() == Some(url)
        })
    }

    /// Whether an expression on the resource gives the object.
    fn is_selected(&self, place: Place<'a>, expression: &Expression) -> bool {
        let Some(resource) = &self.resource else {
            return true;
        };
        let surroundings = Surroundings(self);
        let context = self.expression_context(&surroundings);
        let mut is_found = false;
        let selected = expression.for_each(&context, resource.clone(), |item| {
            is_found |= item
                .element()
                .is_some_and(|element| is_of(element, place.node));
            !is_found
        });
        is_found || selected.is_err()
    }

    /// Whether a rule is broken for the object that has the extension.
    fn is_broken(
        &self,
        place: Place<'a>,
        extension: Node<'a>,
        invariant: &ContextInvariant,
    ) -> bool {
        let Some(expression) = &invariant.expression else {
            return false;
        };
        let Some(type_id) = self.rules.known.extension else {
            return false;
        };
        let extension = [Item::node(Element::of(extension), type_id)];
        let variables: [(&str, &[Item<'_>]); 1] = [("extension", &extension)];
        let surroundings = Surroundings(self);
        let mut context = self.expression_context(&surroundings);
        context.variables = &variables;
        let item = Item::node(Element::of(place.node), place.type_id);
        matches!(expression.evaluate_truth(&context, item), Ok(Some(false)))
    }
}

fn is_of(element: Element<'_>, node: Node<'_>) -> bool {
    element.value() == Some(node) || element.shadow() == Some(node)
}

/// Whether a dotted path consists of a type and these names, the last first.
fn is_path(path: &str, type_name: &str, names: &[Box<str>]) -> bool {
    let mut parts = path.rsplit('.');
    names.iter().all(|name| parts.next() == Some(name))
        && parts.next() == Some(type_name)
        && parts.next().is_none()
}
