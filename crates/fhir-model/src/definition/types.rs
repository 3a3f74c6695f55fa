//! The type graph: which properties an object of a type may have, and of which type they are.
//!
//! One type per primitive, complex and resource type of R4, and one per nested element
//! (`Patient.contact`), so that walking an instance needs no paths. A property is named as in
//! JSON, so a choice element has one property per type (`valueQuantity`, `valueString`);
//! [`Definitions::choices`] leads from the name that `FHIRPath` uses (`value`) to them.
//!
//! Standard: <https://hl7.org/fhir/R4/datatypes.html>. Profiles add no types; what they demand
//! is in [`super::structure`].

use serde::{Deserialize, Serialize};

use super::structure::{ElementId, StructureId};
use super::{Definitions, Span, Text};
use crate::name::Name;

/// A type by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TypeId(pub(crate) u16);

impl TypeId {
    /// The number, to index with.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Type {
    /// `Patient`, `HumanName`, `string`; a nested type is named by its path: `Patient.contact`.
    pub name: Text,
    /// What kind of type it is.
    pub kind: TypeKind,
    /// The type that it specialises; `None` for `Element`, `Resource` and system types.
    pub base: Option<TypeId>,
    /// Whether no instance has exactly this type (`Resource`, `DomainResource`, `Element`, …).
    pub is_abstract: bool,
    /// The base structure that defines it (for a nested type, the one it is nested in).
    pub structure: Option<StructureId>,
    /// The element that defines it: the root of its structure, or the nested element.
    pub element: Option<ElementId>,
    pub(crate) properties: Span,
    pub(crate) choices: Span,
}

/// What kind of type a [`Type`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TypeKind {
    /// A FHIR primitive: a JSON scalar, with a `_` sibling for its id and extensions.
    Primitive(PrimitiveKind),
    /// A `FHIRPath` system type: a bare JSON scalar (`Extension.url`, `Element.id`).
    System(SystemKind),
    /// A complex data type such as `HumanName`.
    Complex,
    /// The unnamed type of a nested element such as `Patient.contact`.
    Backbone,
    /// A resource type.
    Resource,
}

/// The primitive types of R4: <https://hl7.org/fhir/R4/datatypes.html#primitive>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "each variant is the primitive type of that name"
)]
pub enum PrimitiveKind {
    Base64Binary,
    Boolean,
    Canonical,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Markdown,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Url,
    Uuid,
    Xhtml,
}

/// FHIR's spelling of each primitive type.
const PRIMITIVES: &[(&str, PrimitiveKind)] = &[
    ("base64Binary", PrimitiveKind::Base64Binary),
    ("boolean", PrimitiveKind::Boolean),
    ("canonical", PrimitiveKind::Canonical),
    ("code", PrimitiveKind::Code),
    ("date", PrimitiveKind::Date),
    ("dateTime", PrimitiveKind::DateTime),
    ("decimal", PrimitiveKind::Decimal),
    ("id", PrimitiveKind::Id),
    ("instant", PrimitiveKind::Instant),
    ("integer", PrimitiveKind::Integer),
    ("markdown", PrimitiveKind::Markdown),
    ("oid", PrimitiveKind::Oid),
    ("positiveInt", PrimitiveKind::PositiveInt),
    ("string", PrimitiveKind::String),
    ("time", PrimitiveKind::Time),
    ("unsignedInt", PrimitiveKind::UnsignedInt),
    ("uri", PrimitiveKind::Uri),
    ("url", PrimitiveKind::Url),
    ("uuid", PrimitiveKind::Uuid),
    ("xhtml", PrimitiveKind::Xhtml),
];

impl PrimitiveKind {
    /// The primitive type that FHIR spells so.
    pub fn parse(name: &str) -> Option<Self> {
        PRIMITIVES
            .iter()
            .find(|(spelling, _)| *spelling == name)
            .map(|(_, kind)| *kind)
    }
}

/// The system types of `FHIRPath` that R4 uses as element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the system type of that name")]
pub enum SystemKind {
    Boolean,
    Date,
    DateTime,
    Decimal,
    Integer,
    Quantity,
    String,
    Time,
}

/// The names of the system types in the order of their [`TypeId`]s: they come first in each set.
pub(crate) const SYSTEM_TYPES: &[(&str, SystemKind)] = &[
    ("System.Boolean", SystemKind::Boolean),
    ("System.Date", SystemKind::Date),
    ("System.DateTime", SystemKind::DateTime),
    ("System.Decimal", SystemKind::Decimal),
    ("System.Integer", SystemKind::Integer),
    ("System.Quantity", SystemKind::Quantity),
    ("System.String", SystemKind::String),
    ("System.Time", SystemKind::Time),
];

/// One JSON property of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// The name in JSON, with the type's name if the element is a choice: `valueQuantity`.
    pub name: Name,
    /// The type of its value, or of each of its values.
    pub type_id: TypeId,
    /// The element that defines it, in the base structure of the type.
    pub element: ElementId,
    /// Whether it is one of several for a choice element.
    pub is_choice: bool,
    /// Whether JSON writes it as an array.
    pub is_array: bool,
}

/// A choice element of a type: `value` of `Observation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The name without a type: `value`.
    pub name: Name,
    /// The element that defines it.
    pub element: ElementId,
    pub(crate) properties: Span,
}

/// The tables behind the type graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TypeTables {
    pub(crate) types: Vec<Type>,
    /// Sorted by name.
    pub(crate) by_name: Vec<(Text, TypeId)>,
    /// Those of a type are sorted by name.
    pub(crate) properties: Vec<Property>,
    /// Those of a type are sorted by name.
    pub(crate) choices: Vec<Choice>,
    pub(crate) choice_properties: Vec<Property>,
    /// Every resource type by name, the abstract ones among them.
    pub(crate) resource_types: Vec<TypeId>,
}

impl Definitions {
    /// The type with this number.
    ///
    /// # Panics
    ///
    /// If the number is of another set of definitions.
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "a number is only given out by the set it is of"
    )]
    pub fn type_of(&self, type_id: TypeId) -> &Type {
        &self.types.types[type_id.index()]
    }

    /// The name of a type: `Patient`, `string`, `Patient.contact`, `System.String`.
    #[inline]
    pub fn type_name(&self, type_id: TypeId) -> &str {
        self.text(self.type_of(type_id).name)
    }

    /// The type with this name, of whatever kind.
    pub fn type_named(&self, name: &str) -> Option<TypeId> {
        self.type_by_text(self.find_text(name)?)
    }

    pub(crate) fn type_by_text(&self, name: Text) -> Option<TypeId> {
        let by_name = &self.types.by_name;
        let at = by_name
            .binary_search_by_key(&name, |(name, _)| *name)
            .ok()?;
        by_name.get(at).map(|(_, type_id)| *type_id)
    }

    /// All types, with their numbers.
    pub fn types(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        (0..u16::MAX).map(TypeId).zip(&self.types.types)
    }

    /// The resource type with this name, if resources of it can exist: not `DomainResource`.
    pub fn resource_type(&self, name: &str) -> Option<TypeId> {
        self.type_named(name)
            .filter(|type_id| self.is_concrete_resource(*type_id))
    }

    /// The names of all resource types, sorted; `Resource` and `DomainResource` among them.
    pub fn resource_types(&self) -> impl Iterator<Item = &str> {
        self.types
            .resource_types
            .iter()
            .map(|type_id| self.type_name(*type_id))
    }

    /// The resource types of which resources can exist, sorted by name.
    pub fn concrete_resource_types(&self) -> impl Iterator<Item = TypeId> {
        self.types
            .resource_types
            .iter()
            .copied()
            .filter(|id| self.is_concrete_resource(*id))
    }

    fn is_concrete_resource(&self, type_id: TypeId) -> bool {
        let found = self.type_of(type_id);
        found.kind == TypeKind::Resource && !found.is_abstract
    }

    /// Whether `type_id` is `ancestor` or specialises it, directly or not.
    pub fn is_subtype_of(&self, type_id: TypeId, ancestor: TypeId) -> bool {
        self.ancestors(type_id)
            .any(|candidate| candidate == ancestor)
    }

    /// A type, its base, the base of that and so on.
    pub fn ancestors(&self, type_id: TypeId) -> impl Iterator<Item = TypeId> {
        std::iter::successors(Some(type_id), |current| self.type_of(*current).base)
    }

    /// The properties of a type, its inherited ones too, sorted by name number.
    ///
    /// `resourceType` is not among them. The `value` of a primitive type is not either: in JSON
    /// it is the scalar itself.
    #[inline]
    pub fn properties(&self, type_id: TypeId) -> &[Property] {
        self.type_of(type_id).properties.of(&self.types.properties)
    }

    /// The property of a type with this JSON name.
    #[inline]
    pub fn property(&self, type_id: TypeId, name: Name) -> Option<&Property> {
        let properties = self.properties(type_id);
        let at = properties
            .binary_search_by_key(&name, |property| property.name)
            .ok()?;
        properties.get(at)
    }

    /// The choice elements of a type, sorted by name number.
    pub fn choice_elements(&self, type_id: TypeId) -> &[Choice] {
        self.type_of(type_id).choices.of(&self.types.choices)
    }

    /// The properties that the choice element `name` (without a type) may appear as, in the order
    /// of the definition; empty if the type has no such choice.
    pub fn choices(&self, type_id: TypeId, name: Name) -> &[Property] {
        let choices = self.choice_elements(type_id);
        choices
            .binary_search_by_key(&name, |choice| choice.name)
            .ok()
            .and_then(|at| choices.get(at))
            .map_or(&[], |choice| {
                choice.properties.of(&self.types.choice_properties)
            })
    }
}
