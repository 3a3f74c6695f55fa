//! Structure definitions and their elements: base types, profiles and extensions.
//!
//! A structure holds the snapshot of a `StructureDefinition` as a flat list of elements in
//! preorder, as FHIR writes it: <https://hl7.org/fhir/R4/elementdefinition.html>. Slices stand
//! beside the element that they slice; [`Definitions::children`] leaves them out and
//! [`Definitions::slices`] lists them. Differentials are not here: snapshots are made before.

use serde::{Deserialize, Serialize};

use super::types::TypeId;
use super::{CanonicalIndex, Definitions, Span, Text};
use crate::name::Name;

/// A structure by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StructureId(pub(crate) u32);

/// An element definition by its number: unique over all structures of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ElementId(pub(crate) u32);

impl ElementId {
    /// The number, to index with.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The next element in preorder.
    const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A constraint by its number; a constraint that many elements share has one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConstraintId(pub(crate) u32);

impl ConstraintId {
    /// The number, to index with.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A `StructureDefinition`: of a base type, a profile or an extension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Structure {
    /// The canonical URL, without a version.
    pub url: Text,
    /// The business version.
    pub version: Option<Text>,
    /// The computer-friendly name.
    pub name: Text,
    /// The type that it defines or constrains.
    pub type_id: TypeId,
    /// What kind of thing it defines.
    pub kind: StructureKind,
    /// Whether it defines a type or constrains one; `None` for `Element` and `Resource`.
    pub derivation: Option<Derivation>,
    /// The canonical URL of the structure that it derives from.
    pub base: Option<Text>,
    /// Whether the type is abstract.
    pub is_abstract: bool,
    /// The root of its snapshot.
    pub root: ElementId,
    pub(crate) contexts: Span,
    pub(crate) context_invariants: Span,
}

/// `StructureDefinition.kind`; logical models describe no instances and are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the code of that name")]
pub enum StructureKind {
    PrimitiveType,
    ComplexType,
    Resource,
}

/// `StructureDefinition.derivation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Derivation {
    /// It defines a new type.
    Specialization,
    /// It adds rules to an existing type: a profile or an extension.
    Constraint,
}

/// Where an extension may be used: `StructureDefinition.context`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExtensionContext {
    /// How to read the expression.
    pub kind: ContextKind,
    /// An element path or type, a `FHIRPath` expression or the URL of an extension.
    pub expression: Text,
}

/// `StructureDefinition.context.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the code of that name")]
pub enum ContextKind {
    Element,
    Extension,
    Fhirpath,
}

/// An `ElementDefinition` of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "ElementDefinition has as many independent flags"
)]
pub struct Element {
    /// The structure that it belongs to.
    pub structure: StructureId,
    /// The element it is a child of; `None` for the root.
    pub parent: Option<ElementId>,
    pub(crate) end: ElementId,
    /// `Observation.component:systolic.code`.
    pub id: Text,
    /// `Observation.component.code`.
    pub path: Text,
    /// The last part of the path, without `[x]`; [`Name::UNKNOWN`] for the root.
    pub name: Name,
    /// Whether the path ends in `[x]`.
    pub is_choice: bool,
    /// Whether JSON writes it as an array; a profile does not change this.
    pub is_array: bool,
    /// Whether XML writes it as an attribute.
    pub is_attribute: bool,
    /// The name of the slice that it defines.
    pub slice_name: Option<Text>,
    /// A concise label.
    pub short: Option<Text>,
    /// The smallest number of occurrences.
    pub min: u32,
    /// The largest number of occurrences; [`Element::UNBOUNDED`] for `*`.
    pub max: u32,
    /// The smallest number of characters (the extension `minLength`).
    pub min_length: Option<u32>,
    /// The largest number of characters.
    pub max_length: Option<u32>,
    /// Whether extensions do not stand in for the value (the extension `mustHaveValue` of R5).
    pub must_have_value: bool,
    /// The element that defines its content, if not itself.
    pub content_reference: Option<ElementId>,
    /// The exact value that it must have.
    pub fixed: Option<TypedValue>,
    /// The value that it must contain.
    pub pattern: Option<TypedValue>,
    /// The smallest value.
    pub min_value: Option<TypedValue>,
    /// The largest value.
    pub max_value: Option<TypedValue>,
    /// Which codes it may have.
    pub binding: Option<Binding>,
    /// How it is sliced.
    pub slicing: Option<Slicing>,
    /// Whether it changes the meaning of others.
    pub is_modifier: bool,
    /// Whether `_summary=true` keeps it.
    pub is_summary: bool,
    /// Whether the profile demands that implementations support it.
    pub must_support: bool,
    pub(crate) types: Span,
    pub(crate) constraints: Span,
}

impl Element {
    /// The value of [`Element::max`] for `*`.
    pub const UNBOUNDED: u32 = u32::MAX;
}

/// A type that an element may have, with the profiles demanded of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ElementType {
    /// The type; of a nested element, its nested type.
    pub type_id: TypeId,
    /// `ElementDefinition.type.code` as written.
    pub code: Text,
    /// How a reference may reach its target.
    pub aggregation: Aggregation,
    pub(crate) profiles: Span,
    pub(crate) target_profiles: Span,
}

/// `ElementDefinition.type.aggregation`: which kinds of references are admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Aggregation {
    /// References to contained resources.
    pub contained: bool,
    /// References to resources elsewhere.
    pub referenced: bool,
    /// References to resources of the same bundle.
    pub bundled: bool,
}

impl Aggregation {
    /// Whether the definition says nothing, so that every kind is admitted.
    pub const fn is_unrestricted(self) -> bool {
        !self.contained && !self.referenced && !self.bundled
    }
}

/// A value given in a definition (`fixed[x]`, `pattern[x]`, `minValue[x]`, `maxValue[x]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypedValue {
    /// Its type.
    pub type_id: TypeId,
    /// The value as JSON text: `"final"`, `{"coding":[…]}`.
    pub json: Text,
}

/// `ElementDefinition.binding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// How strictly.
    pub strength: BindingStrength,
    /// The canonical of the value set.
    pub value_set: Option<Text>,
    /// The canonical of the value set that codes must be of in any case (`maxValueSet`).
    pub max_value_set: Option<Text>,
}

/// <https://hl7.org/fhir/R4/terminologies.html#strength>, from strict to lax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the code of that name")]
pub enum BindingStrength {
    Required,
    Extensible,
    Preferred,
    Example,
}

/// An invariant: `ElementDefinition.constraint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Constraint {
    /// `pat-1`.
    pub key: Text,
    /// What breaking it means.
    pub severity: Severity,
    /// The rule in words.
    pub human: Text,
    /// The rule in `FHIRPath`.
    pub expression: Option<Text>,
    /// The canonical of the structure that introduced it.
    pub source: Text,
    /// Whether it is advice only (`elementdefinition-bestpractice`).
    pub is_best_practice: bool,
}

/// `ElementDefinition.constraint.severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the code of that name")]
pub enum Severity {
    Error,
    Warning,
}

/// `ElementDefinition.slicing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slicing {
    /// Whether other content than the slices may appear.
    pub rules: SlicingRules,
    /// Whether the slices must appear in order.
    pub is_ordered: bool,
    pub(crate) discriminators: Span,
}

/// `ElementDefinition.slicing.rules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the code of that name")]
pub enum SlicingRules {
    Closed,
    Open,
    OpenAtEnd,
}

/// What tells slices apart: `ElementDefinition.slicing.discriminator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Discriminator {
    /// What is compared.
    pub kind: DiscriminatorKind,
    /// Where, as restricted `FHIRPath` from the sliced element.
    pub path: Text,
}

/// `ElementDefinition.slicing.discriminator.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the code of that name")]
pub enum DiscriminatorKind {
    Value,
    Exists,
    Pattern,
    Type,
    Profile,
}

/// The tables behind the structures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StructureTables {
    pub(crate) structures: Vec<Structure>,
    pub(crate) by_url: CanonicalIndex,
    pub(crate) elements: Vec<Element>,
    pub(crate) element_types: Vec<ElementType>,
    pub(crate) canonicals: Vec<Text>,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) constraint_lists: Vec<ConstraintId>,
    pub(crate) discriminators: Vec<Discriminator>,
    pub(crate) contexts: Vec<ExtensionContext>,
}

#[expect(
    clippy::indexing_slicing,
    reason = "a number is only given out by the set it is of"
)]
impl Definitions {
    /// The structure with this number.
    ///
    /// # Panics
    ///
    /// If the number is of another set of definitions.
    pub fn structure_of(&self, structure: StructureId) -> &Structure {
        &self.structures.structures[structure.0 as usize]
    }

    /// The element with this number.
    ///
    /// # Panics
    ///
    /// If the number is of another set of definitions.
    #[inline]
    pub fn element(&self, element: ElementId) -> &Element {
        &self.structures.elements[element.index()]
    }

    /// The constraint with this number.
    ///
    /// # Panics
    ///
    /// If the number is of another set of definitions.
    #[inline]
    pub fn constraint(&self, constraint: ConstraintId) -> &Constraint {
        &self.structures.constraints[constraint.index()]
    }
}

impl Definitions {
    /// The structure that a canonical means: `url` (the last one loaded) or `url|version`.
    pub fn structure(&self, canonical: &str) -> Option<StructureId> {
        self.structures
            .by_url
            .find(&self.pool, canonical)
            .map(StructureId)
    }

    /// All structures, with their numbers, in the order of loading.
    pub fn structures(&self) -> impl Iterator<Item = (StructureId, &Structure)> {
        (0..).map(StructureId).zip(&self.structures.structures)
    }

    /// Where an extension may be used; empty for everything else.
    pub fn contexts(&self, structure: &Structure) -> &[ExtensionContext] {
        structure.contexts.of(&self.structures.contexts)
    }

    /// `FHIRPath` expressions that must hold where an extension is used.
    pub fn context_invariants(&self, structure: &Structure) -> &[Text] {
        structure.context_invariants.of(&self.structures.canonicals)
    }

    /// The elements of a structure in preorder, the root first.
    pub fn elements(&self, structure: &Structure) -> impl Iterator<Item = (ElementId, &Element)> {
        let root = structure.root;
        let end = self.element(root).end;
        let elements = self.structures.elements.get(root.index()..end.index());
        (root.0..end.0)
            .map(ElementId)
            .zip(elements.unwrap_or_default())
    }

    /// The children of an element, without slices. A content reference is not followed.
    pub fn children(&self, element: ElementId) -> impl Iterator<Item = ElementId> {
        let end = self.element(element).end;
        let first = Some(element.next()).filter(|first| *first < end);
        std::iter::successors(first, move |child| {
            Some(self.element(*child).end).filter(|next| *next < end)
        })
        .filter(|child| self.element(*child).slice_name.is_none())
    }

    /// The child of an element with this name (without `[x]`), not a slice.
    pub fn child(&self, element: ElementId, name: Name) -> Option<ElementId> {
        self.children(element)
            .find(|child| self.element(*child).name == name)
    }

    /// The slices of an element, in order. For a slice: the slices of that slice (`a/b`).
    pub fn slices(&self, element: ElementId) -> impl Iterator<Item = ElementId> {
        let sliced = self.element(element);
        let end = sliced
            .parent
            .map_or(sliced.end, |parent| self.element(parent).end);
        let first = Some(sliced.end).filter(|first| *first < end);
        std::iter::successors(first, move |sibling| {
            Some(self.element(*sibling).end).filter(|next| *next < end)
        })
        .take_while(move |sibling| self.is_same_element(self.element(*sibling), sliced))
        .filter(move |sibling| self.is_slice_of(self.element(*sibling), sliced))
    }

    /// Whether two siblings are one element: of the same name, or a choice and one of its types,
    /// as some snapshots spell its slices (`value[x]`, then `valueQuantity`).
    fn is_same_element(&self, sibling: &Element, sliced: &Element) -> bool {
        let is_spelled_with_type = || {
            let rest = self
                .names
                .text(sibling.name)
                .strip_prefix(self.names.text(sliced.name));
            rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
        };
        sibling.name == sliced.name
            || (sliced.is_choice && sibling.slice_name.is_some() && is_spelled_with_type())
    }

    /// Whether `slice`, a sibling of the same name, is a direct slice of `sliced`.
    fn is_slice_of(&self, slice: &Element, sliced: &Element) -> bool {
        let Some(slice_name) = slice.slice_name.map(|name| self.text(name)) else {
            return false;
        };
        match sliced.slice_name.map(|name| self.text(name)) {
            None => !slice_name.contains('/'),
            Some(outer) => slice_name
                .strip_prefix(outer)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|rest| !rest.contains('/')),
        }
    }

    /// The types that an element may have.
    #[inline]
    pub fn types_of(&self, element: &Element) -> &[ElementType] {
        element.types.of(&self.structures.element_types)
    }

    /// The canonicals of the profiles of which a value of this type must satisfy one.
    pub fn profiles(&self, element_type: &ElementType) -> &[Text] {
        element_type.profiles.of(&self.structures.canonicals)
    }

    /// The canonicals of the profiles of which the target of a reference must satisfy one.
    pub fn target_profiles(&self, element_type: &ElementType) -> &[Text] {
        element_type.target_profiles.of(&self.structures.canonicals)
    }

    /// The constraints of an element, those of its type among them as the snapshot lists them.
    #[inline]
    pub fn constraints_of(&self, element: &Element) -> &[ConstraintId] {
        element.constraints.of(&self.structures.constraint_lists)
    }

    /// All constraints, with their numbers: to compile each expression once.
    pub fn constraints(&self) -> impl Iterator<Item = (ConstraintId, &Constraint)> {
        (0..).map(ConstraintId).zip(&self.structures.constraints)
    }

    /// What tells the slices apart.
    pub fn discriminators(&self, slicing: &Slicing) -> &[Discriminator] {
        slicing.discriminators.of(&self.structures.discriminators)
    }
}
