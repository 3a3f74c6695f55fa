//! The values of `FHIRPath`: items and collections, <http://hl7.org/fhirpath/N1/#types>.
//!
//! An item is a value of a system type or an element of a resource. Elements stay where they are
//! in their tree; they become system values only where an operator needs one, and their texts
//! are borrowed. How items compare is in [`compare`].

use std::borrow::Cow;
use std::fmt;

use fhir_model::definition::{Definitions, PrimitiveKind, SystemKind, TypeId, TypeKind};
use fhir_model::element::Element;
use fhir_model::tree::{Kind, Node};
use rust_decimal::Decimal;
use smallvec::SmallVec;

use crate::compile::Known;

pub(crate) mod compare;
mod json;
mod quantity;
mod temporal;
pub(crate) mod units;

pub(crate) use json::name_of;
pub use quantity::{Quantity, Unit};
pub(crate) use temporal::{Period, TimeText, TimeUnit};
pub use temporal::{Precision, Temporal};

/// What an expression gives: items in order. One or two, which are most, need no allocation.
pub type Collection<'a> = SmallVec<[Item<'a>; 2]>;

/// A value, or an element of a resource.
#[derive(Clone)]
#[expect(
    missing_docs,
    reason = "the first eight are the system types of that name"
)]
pub enum Item<'a> {
    Boolean(bool),
    Integer(i32),
    Decimal(Decimal),
    String(Cow<'a, str>),
    Date(Temporal),
    DateTime(Temporal),
    Time(Temporal),
    Quantity(Box<Quantity<'a>>),
    /// An element of a resource, or a resource.
    Node {
        /// Where it is.
        element: Element<'a>,
        /// Its type: of a choice, the one it has; of a resource, its own.
        type_id: TypeId,
    },
    /// A resource of which only the type is known: what a reference points to.
    Resource(TypeId),
    /// What `type()` gives.
    Type(TypeInfo),
}

/// A type as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeInfo {
    /// A type of `FHIRPath`.
    System(SystemKind),
    /// A type of FHIR.
    Fhir(TypeId),
}

impl<'a> Item<'a> {
    /// An element with its type.
    pub const fn node(element: Element<'a>, type_id: TypeId) -> Self {
        Self::Node { element, type_id }
    }

    /// The resource at the top of a tree, if a definition knows its type.
    pub fn resource(element: Element<'a>, definitions: &Definitions) -> Option<Self> {
        let type_id = definitions.resource_type(&element.resource_type()?)?;
        Some(Self::Node { element, type_id })
    }

    /// The element, if it is one.
    pub const fn element(&self) -> Option<Element<'a>> {
        match self {
            Self::Node { element, .. } => Some(*element),
            _ => None,
        }
    }

    /// Its type.
    pub(crate) fn type_info(&self, definitions: &Definitions) -> TypeInfo {
        let kind = match self {
            Self::Node { type_id, .. } => {
                return match definitions.type_of(*type_id).kind {
                    TypeKind::System(kind) => TypeInfo::System(kind),
                    _ => TypeInfo::Fhir(*type_id),
                };
            }
            Self::Resource(type_id) => return TypeInfo::Fhir(*type_id),
            Self::Boolean(_) => SystemKind::Boolean,
            Self::Integer(_) => SystemKind::Integer,
            Self::Decimal(_) => SystemKind::Decimal,
            Self::String(_) | Self::Type(_) => SystemKind::String,
            Self::Date(_) => SystemKind::Date,
            Self::DateTime(_) => SystemKind::DateTime,
            Self::Time(_) => SystemKind::Time,
            Self::Quantity(_) => SystemKind::Quantity,
        };
        TypeInfo::System(kind)
    }

    /// The name of its type, to show: `Patient`, `string`, `System.String`.
    pub fn type_name<'d>(&self, definitions: &'d Definitions) -> &'d str {
        match self.type_info(definitions) {
            TypeInfo::System(kind) => system_name(kind),
            TypeInfo::Fhir(type_id) => definitions.type_name(type_id),
        }
    }

    /// Its value of a system type: that of a primitive or of a quantity; `None` for all else.
    pub(crate) fn system(&self, definitions: &Definitions, known: &Known) -> Option<Self> {
        match self {
            Self::Node { element, type_id } => node_value(*element, *type_id, definitions, known),
            Self::Resource(_) | Self::Type(_) => None,
            value => Some(value.clone()),
        }
    }

    /// Its text, if it is a string or a primitive of FHIR that is written as one.
    pub(crate) fn string(&self, definitions: &Definitions) -> Option<Cow<'a, str>> {
        match self {
            Self::String(text) => Some(text.clone()),
            Self::Node { element, type_id } => {
                is_text(definitions.type_of(*type_id).kind).then(|| element.value_text())?
            }
            _ => None,
        }
    }

    /// Its value as text, as `toString()` gives it; `None` for what has no value.
    pub(crate) fn text(&self, definitions: &Definitions, known: &Known) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Boolean(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Decimal(number) => Cow::Owned(number.to_string()),
            Self::String(text) => text.clone(),
            Self::Date(date) => Cow::Owned(date.to_string()),
            Self::DateTime(moment) => Cow::Owned(moment.to_string()),
            Self::Time(time) => Cow::Owned(time.time_text()),
            Self::Quantity(quantity) => Cow::Owned(quantity.to_string()),
            Self::Node { element, .. } if element.has_value() => element.value_text()?,
            Self::Node { .. } => return self.system(definitions, known)?.text(definitions, known),
            Self::Resource(_) | Self::Type(_) => return None,
        })
    }
}

/// Whether a type is written as a string of no further structure.
fn is_text(kind: TypeKind) -> bool {
    match kind {
        TypeKind::System(kind) => kind == SystemKind::String,
        TypeKind::Primitive(kind) => matches!(
            kind,
            PrimitiveKind::Base64Binary
                | PrimitiveKind::Canonical
                | PrimitiveKind::Code
                | PrimitiveKind::Id
                | PrimitiveKind::Markdown
                | PrimitiveKind::Oid
                | PrimitiveKind::String
                | PrimitiveKind::Uri
                | PrimitiveKind::Url
                | PrimitiveKind::Uuid
                | PrimitiveKind::Xhtml
        ),
        _ => false,
    }
}

/// The system value of an element: <https://hl7.org/fhir/R4/fhirpath.html#types>.
fn node_value<'a>(
    element: Element<'a>,
    type_id: TypeId,
    definitions: &Definitions,
    known: &Known,
) -> Option<Item<'a>> {
    match definitions.type_of(type_id).kind {
        TypeKind::Primitive(kind) => primitive(element, system_kind(kind)),
        TypeKind::System(kind) => primitive(element, kind),
        TypeKind::Complex if known.is_quantity(type_id, definitions) => quantity(element, known),
        _ => None,
    }
}

/// The system type that the value of a primitive type has.
pub(crate) const fn system_kind(kind: PrimitiveKind) -> SystemKind {
    match kind {
        PrimitiveKind::Boolean => SystemKind::Boolean,
        PrimitiveKind::Integer | PrimitiveKind::PositiveInt | PrimitiveKind::UnsignedInt => {
            SystemKind::Integer
        }
        PrimitiveKind::Decimal => SystemKind::Decimal,
        PrimitiveKind::Date => SystemKind::Date,
        PrimitiveKind::DateTime | PrimitiveKind::Instant => SystemKind::DateTime,
        PrimitiveKind::Time => SystemKind::Time,
        _ => SystemKind::String,
    }
}

/// The value of a primitive; text that is not of its type stays text.
fn primitive(element: Element<'_>, kind: SystemKind) -> Option<Item<'_>> {
    let text = element.value_text()?;
    let value = match kind {
        SystemKind::Boolean => element.value().and_then(Node::as_bool).map(Item::Boolean),
        SystemKind::Integer => text.parse().ok().map(Item::Integer),
        SystemKind::Decimal => parse_decimal(&text).map(Item::Decimal),
        SystemKind::Date => Temporal::parse_date(&text).map(Item::Date),
        SystemKind::DateTime => Temporal::parse_date_time(&text).map(Item::DateTime),
        SystemKind::Time => Temporal::parse_time(&text).map(Item::Time),
        SystemKind::String | SystemKind::Quantity => None,
    };
    Some(value.unwrap_or(Item::String(text)))
}

/// A FHIR quantity as one of `FHIRPath`: <https://hl7.org/fhir/R4/fhirpath.html#quantity>.
fn quantity<'a>(element: Element<'a>, known: &Known) -> Option<Item<'a>> {
    let child = |name| element.child(name).and_then(Element::value_text);
    let value = parse_decimal(&child(known.value)?)?;
    let unit = child(known.code).or_else(|| child(known.unit));
    let unit = unit.map_or(Unit::ONE, Unit::ucum);
    Some(Item::Quantity(Box::new(Quantity { value, unit })))
}

/// A decimal as JSON and `FHIRPath` write it, with or without an exponent.
pub(crate) fn parse_decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) {
        return Decimal::from_scientific(text).ok();
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.ends_with(|last: char| last.is_ascii_digit())
        && !digits.contains('_');
    is_number.then(|| text.parse().ok())?
}

/// How the specification calls a system type.
pub(crate) const fn system_name(kind: SystemKind) -> &'static str {
    match kind {
        SystemKind::Boolean => "Boolean",
        SystemKind::Date => "Date",
        SystemKind::DateTime => "DateTime",
        SystemKind::Decimal => "Decimal",
        SystemKind::Integer => "Integer",
        SystemKind::Quantity => "Quantity",
        SystemKind::String => "String",
        SystemKind::Time => "Time",
    }
}

/// Whether a node is an object: what has children rather than a value.
pub(crate) fn is_object(element: Element<'_>) -> bool {
    element
        .value()
        .is_some_and(|node| node.kind() == Kind::Object)
}

impl fmt::Debug for Item<'_> {
    /// Never shows the content of an element.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(truth) => write!(formatter, "{truth}"),
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Decimal(number) => write!(formatter, "{number}"),
            Self::String(text) => write!(formatter, "{text:?}"),
            Self::Date(date) => write!(formatter, "@{date}"),
            Self::DateTime(moment) => write!(formatter, "@{moment}"),
            Self::Time(time) => write!(formatter, "@T{}", TimeText(time)),
            Self::Quantity(quantity) => write!(formatter, "{quantity}"),
            Self::Node { element, .. } => write!(formatter, "{element:?}"),
            Self::Resource(type_id) => write!(formatter, "Resource({})", type_id.index()),
            Self::Type(info) => write!(formatter, "{info:?}"),
        }
    }
}
