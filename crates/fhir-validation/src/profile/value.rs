//! Values of an instance against those given in a definition (`fixed[x]`, `pattern[x]`):
//! <https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.fixed_x_>.

use fhir_model::definition::{Definitions, TypedValue};
use fhir_model::primitive::decimal::Decimal;
use fhir_model::tree::{Kind, Limits, Node, Tree};

use crate::profile::Expected;

/// The property that an expected value is wrapped in, because a tree has an object at its top.
const WRAPPER: &str = "value";

impl Expected {
    /// The value of a definition; nothing if its JSON cannot be read.
    pub(super) fn new(definitions: &Definitions, value: TypedValue) -> Option<Self> {
        Self::parse(definitions, definitions.text(value.json))
    }

    /// A string.
    pub(super) fn string(definitions: &Definitions, text: &str) -> Option<Self> {
        let mut json = String::new();
        fhir_model::tree::push_json_string(&mut json, text);
        Self::parse(definitions, &json)
    }

    fn parse(definitions: &Definitions, json: &str) -> Option<Self> {
        let wrapped = format!("{{\"{WRAPPER}\":{json}}}");
        Tree::parse(wrapped, definitions.names(), &Limits::CEILING)
            .ok()
            .map(Self)
    }

    pub(super) fn node(&self) -> Option<Node<'_>> {
        self.0.root().get_str(WRAPPER)
    }

    /// The value as JSON text, for messages.
    pub(super) fn text(&self) -> &str {
        let source = self.0.source();
        source
            .get(WRAPPER.len() + 4..source.len().saturating_sub(1))
            .unwrap_or_default()
    }

    /// What it says of a member: of the first that it has, if that repeats.
    pub(super) fn member(&self, definitions: &Definitions, name: &str) -> Option<Self> {
        let first = |node: Node<'_>| match node.kind() {
            Kind::Array => node.items().next().map(Node::id),
            _ => Some(node.id()),
        };
        let node = self.node()?.get_str(name)?;
        let found = self.0.node(first(node)?)?;
        match found.as_str() {
            Some(text) => Self::string(definitions, &text),
            None => Self::parse(definitions, found.raw_text()),
        }
    }

    /// Whether it is the value of a primitive.
    pub(super) fn is_scalar(&self) -> bool {
        let is_scalar = |node: Node<'_>| !matches!(node.kind(), Kind::Object | Kind::Array);
        self.node().is_some_and(is_scalar)
    }

    /// Whether a value is exactly this one.
    pub(super) fn is_equal_to(&self, value: Node<'_>) -> bool {
        self.node()
            .is_some_and(|expected| is_equal(value, expected))
    }

    /// Whether a value has at least what this one has.
    pub(super) fn is_contained_in(&self, value: Node<'_>) -> bool {
        self.node()
            .is_some_and(|expected| contains(value, expected))
    }
}

fn is_equal(value: Node<'_>, expected: Node<'_>) -> bool {
    match (value.kind(), expected.kind()) {
        (Kind::Object, Kind::Object) => {
            value.children().count() == expected.children().count()
                && expected.children().all(|member| {
                    value
                        .get_str(&member.key())
                        .is_some_and(|found| is_equal(found, member))
                })
        }
        (Kind::Array, Kind::Array) => {
            let (mut values, mut wanted) = (value.items(), expected.items());
            loop {
                match (values.next(), wanted.next()) {
                    (Some(value), Some(expected)) if is_equal(value, expected) => {}
                    (None, None) => return true,
                    _ => return false,
                }
            }
        }
        _ => is_same_scalar(value, expected),
    }
}

/// Every member of the pattern is there, and every item of an array has one that fits it.
fn contains(value: Node<'_>, pattern: Node<'_>) -> bool {
    match (value.kind(), pattern.kind()) {
        (Kind::Object, Kind::Object) => pattern.children().all(|member| {
            value
                .get_str(&member.key())
                .is_some_and(|found| contains(found, member))
        }),
        (Kind::Array, Kind::Array) => pattern
            .items()
            .all(|wanted| value.items().any(|found| contains(found, wanted))),
        _ => is_same_scalar(value, pattern),
    }
}

fn is_same_scalar(value: Node<'_>, expected: Node<'_>) -> bool {
    match (value.kind(), expected.kind()) {
        (Kind::String, Kind::String) => value.as_str() == expected.as_str(),
        (Kind::Number, Kind::Number) => is_same_number(value.raw_text(), expected.raw_text()),
        (Kind::Object | Kind::Array, _) => false,
        (left, right) => left == right && value.raw_text() == expected.raw_text(),
    }
}

/// Whether two numbers have the same value: `1.0` and `1.00` have.
fn is_same_number(left: &str, right: &str) -> bool {
    left == right
        || matches!(
            (Decimal::parse(left), Decimal::parse(right)),
            (Some(left), Some(right)) if left == right
        )
}
