//! What an object of one type may contain, compiled from the base definitions for quick walking.
//!
//! One [`TypeRules`] per type of the type graph, made when an instance of the type is first met
//! and kept as long as the validator lives. Everything that needs a search by text (value sets,
//! target types, type profiles) is resolved here once.

use std::collections::HashMap;
use std::sync::OnceLock;

use fhir_model::definition::{
    BindingStrength, ConstraintId, Definitions, Derivation, Element, ElementId, ElementType,
    PrimitiveKind, Property, StructureId, Text, TypeId, TypeKind, ValueSetId,
};
use fhir_model::name::Name;
use fhir_model::primitive::Primitive;

use crate::beyond::Beyond;
use crate::compare::Comparison;
use crate::invariant::{Expressions, constraints};
use crate::primitive::of_system;
use crate::profile::{ElementRule, OneOf, ProfileRules};
use crate::reference_target::Targets;

/// All rules of a set of definitions, compiled on demand.
#[derive(Debug)]
pub(crate) struct Rules {
    types: Box<[OnceLock<TypeRules>]>,
    profiles: HashMap<StructureId, OnceLock<ProfileRules>>,
    /// What content references of profiles lead to.
    contents: HashMap<ElementId, OnceLock<ContentRules>>,
    pub(crate) expressions: Expressions,
    pub(crate) comparison: Comparison,
    pub(crate) beyond: Beyond,
    pub(crate) known: Known,
}

/// What a profile demands of the content of an element that others refer to.
#[derive(Debug)]
pub(crate) struct ContentRules {
    pub(crate) constraints: Box<[ConstraintId]>,
    pub(crate) elements: Box<[ElementRule]>,
}

/// Types and names that have rules of their own.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) element: Option<TypeId>,
    pub(crate) extension: Option<TypeId>,
    pub(crate) reference: Option<TypeId>,
    pub(crate) bundle: Option<TypeId>,
    pub(crate) parameters: Option<TypeId>,
    coding: Option<TypeId>,
    codeable_concept: Option<TypeId>,
    quantity: Option<TypeId>,
    pub(crate) names: KnownNames,
}

/// Property names that have rules of their own; unknown if the definitions do not have them.
#[derive(Debug)]
pub(crate) struct KnownNames {
    pub(crate) resource_type: Name,
    pub(crate) id: Name,
    pub(crate) meta: Name,
    pub(crate) profile: Name,
    pub(crate) contained: Name,
    pub(crate) url: Name,
    pub(crate) extension: Name,
    pub(crate) modifier_extension: Name,
    pub(crate) reference: Name,
    pub(crate) type_name: Name,
    pub(crate) coding: Name,
    pub(crate) system: Name,
    pub(crate) code: Name,
    pub(crate) version: Name,
    pub(crate) display: Name,
}

impl KnownNames {
    fn new(definitions: &Definitions) -> Self {
        let name = |text| definitions.names().get(text).unwrap_or(Name::UNKNOWN);
        Self {
            resource_type: name("resourceType"),
            id: name("id"),
            meta: name("meta"),
            profile: name("profile"),
            contained: name("contained"),
            url: name("url"),
            extension: name("extension"),
            modifier_extension: name("modifierExtension"),
            reference: name("reference"),
            type_name: name("type"),
            coding: name("coding"),
            system: name("system"),
            code: name("code"),
            version: name("version"),
            display: name("display"),
        }
    }
}

/// What an object of one type may contain.
#[derive(Debug)]
pub(crate) struct TypeRules {
    /// Sorted by name.
    properties: Box<[PropertyRule]>,
    /// Required and choice elements, by the bit that stands for them.
    pub(crate) tracked: Box<[ElementId]>,
    /// The bits of the required ones.
    pub(crate) required: u128,
    /// The invariants of the type.
    pub(crate) constraints: Box<[ConstraintId]>,
}

/// What one property may be.
#[derive(Debug)]
pub(crate) struct PropertyRule {
    pub(crate) name: Name,
    /// The name of the element, of a choice without the type.
    pub(crate) element_name: Name,
    pub(crate) type_id: TypeId,
    pub(crate) content: Content,
    /// The element that defines it.
    pub(crate) element: ElementId,
    /// The bit of [`TypeRules::tracked`] to set when it is there; 0 if nobody asks.
    pub(crate) bit: u128,
    pub(crate) is_choice: bool,
    pub(crate) is_array: bool,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// The binding, if the element is coded.
    pub(crate) binding: Option<Bound>,
    /// Where a reference may lead.
    pub(crate) targets: Targets,
    /// Profiles on the type, such as `SimpleQuantity`.
    pub(crate) profiles: OneOf,
    /// Invariants of the element that are not of its type already.
    pub(crate) constraints: Box<[ConstraintId]>,
}

/// What kind of JSON value stands for a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A scalar with a `_` sibling.
    Primitive(Primitive),
    /// A bare scalar: the id of an element, the URL of an extension.
    Scalar(Primitive),
    /// An object of the type.
    Object,
    /// An object that says its type itself.
    Resource,
}

/// A binding that is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) strength: BindingStrength,
    /// The value set as the binding names it.
    pub(crate) canonical: Text,
    /// The value set, if it is loaded.
    pub(crate) value_set: Option<ValueSetId>,
    /// The value set that codes must be of in any case, if it is loaded.
    pub(crate) max_value_set: Option<ValueSetId>,
    pub(crate) form: CodedForm,
}

/// Where the codes of a coded element are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodedForm {
    /// The value is the code.
    Code,
    /// `system` and `code`.
    Coding,
    /// A list of codings.
    CodeableConcept,
}

/// As many elements of one type can be watched; R4's largest type has fewer than half.
const TRACKED_MAX: usize = 128;

impl Rules {
    pub(crate) fn new(definitions: &Definitions) -> Self {
        let type_named = |name| definitions.type_named(name);
        Self {
            types: definitions.types().map(|_| OnceLock::new()).collect(),
            profiles: definitions
                .structures()
                .map(|(structure, _)| (structure, OnceLock::new()))
                .collect(),
            contents: contents(definitions),
            expressions: Expressions::new(definitions),
            comparison: Comparison::new(definitions),
            beyond: Beyond::new(definitions),
            known: Known {
                element: type_named("Element"),
                extension: type_named("Extension"),
                reference: type_named("Reference"),
                bundle: type_named("Bundle"),
                parameters: type_named("Parameters"),
                coding: type_named("Coding"),
                codeable_concept: type_named("CodeableConcept"),
                quantity: type_named("Quantity"),
                names: KnownNames::new(definitions),
            },
        }
    }

    /// The rules of a type.
    #[inline]
    pub(crate) fn of_type(&self, definitions: &Definitions, type_id: TypeId) -> Option<&TypeRules> {
        let rules = self.types.get(type_id.index())?;
        Some(rules.get_or_init(|| TypeRules::compile(definitions, &self.known, type_id)))
    }

    /// The rules that a profile adds to its type.
    pub(crate) fn of_profile(
        &self,
        definitions: &Definitions,
        structure: StructureId,
    ) -> Option<&ProfileRules> {
        let rules = self.profiles.get(&structure)?;
        Some(rules.get_or_init(|| ProfileRules::compile(definitions, &self.known, structure)))
    }

    /// What a profile demands of the content of an element that others refer to.
    pub(crate) fn of_content(
        &self,
        definitions: &Definitions,
        element: ElementId,
    ) -> Option<&ContentRules> {
        let rules = self.contents.get(&element)?;
        Some(rules.get_or_init(|| ContentRules::compile(definitions, &self.known, element)))
    }
}

/// A place for each element of a profile that a content reference leads to. Those of base
/// definitions need none: the nested type says it all.
fn contents(definitions: &Definitions) -> HashMap<ElementId, OnceLock<ContentRules>> {
    let profiles = definitions
        .structures()
        .filter(|(_, structure)| structure.derivation == Some(Derivation::Constraint));
    profiles
        .flat_map(|(_, structure)| definitions.elements(structure))
        .filter_map(|(_, element)| element.content_reference)
        .filter(|target| is_of_profile(definitions, *target))
        .map(|target| (target, OnceLock::new()))
        .collect()
}

/// Whether an element is of a profile, rather than of the definition of a type.
pub(crate) fn is_of_profile(definitions: &Definitions, element: ElementId) -> bool {
    let structure = definitions.element(element).structure;
    definitions.structure_of(structure).derivation == Some(Derivation::Constraint)
}

impl Known {
    /// Where the codes of a value of this type are, if it is coded.
    pub(crate) fn coded_form(
        &self,
        definitions: &Definitions,
        type_id: TypeId,
    ) -> Option<CodedForm> {
        let is = |known: Option<TypeId>| {
            known.is_some_and(|known| definitions.is_subtype_of(type_id, known))
        };
        if is(self.codeable_concept) {
            return Some(CodedForm::CodeableConcept);
        }
        if is(self.coding) || is(self.quantity) {
            return Some(CodedForm::Coding);
        }
        let TypeKind::Primitive(kind) = definitions.type_of(type_id).kind else {
            return None;
        };
        let is_textual = matches!(
            kind,
            PrimitiveKind::Code
                | PrimitiveKind::String
                | PrimitiveKind::Uri
                | PrimitiveKind::Url
                | PrimitiveKind::Canonical
        );
        is_textual.then_some(CodedForm::Code)
    }

    /// The binding of an element for a value of this type, but for one that gives examples only.
    pub(crate) fn binding(
        &self,
        definitions: &Definitions,
        element: &Element,
        type_id: TypeId,
    ) -> Option<Bound> {
        let binding = element.binding?;
        let is_idle =
            binding.strength == BindingStrength::Example && binding.max_value_set.is_none();
        let canonical = binding.value_set.or(binding.max_value_set)?;
        let form = self.coded_form(definitions, type_id).filter(|_| !is_idle)?;
        let value_set = |canonical: Text| definitions.value_set(definitions.text(canonical));
        Some(Bound {
            strength: binding.strength,
            canonical,
            value_set: binding.value_set.and_then(value_set),
            max_value_set: binding.max_value_set.and_then(value_set),
            form,
        })
    }

    /// Whether a value of this type is a Coding.
    pub(crate) fn is_coding(&self, type_id: TypeId) -> bool {
        self.coding == Some(type_id)
    }

    /// Whether a value of this type is a Quantity, whose unit is coded as a Coding is.
    pub(crate) fn is_quantity(&self, type_id: TypeId) -> bool {
        self.quantity == Some(type_id)
    }
}

impl TypeRules {
    fn compile(definitions: &Definitions, known: &Known, type_id: TypeId) -> Self {
        let properties = definitions.properties(type_id);
        let tracked = tracked(definitions, properties);
        let required = bits(&tracked, |element| definitions.element(element).min > 0);
        let is_resource = definitions.type_of(type_id).kind == TypeKind::Resource;
        let rule = |property: &Property| {
            let bit = bits(&tracked, |element| element == property.element);
            let mut rule = PropertyRule::compile(definitions, known, property, bit);
            if is_resource && property.name == known.names.id {
                rule.content = Content::Primitive(Primitive::Id);
            }
            rule
        };
        Self {
            properties: properties.iter().map(rule).collect(),
            tracked,
            required,
            constraints: definitions
                .type_of(type_id)
                .element
                .map_or_else(Box::default, |root| constraints(definitions, root, &[])),
        }
    }

    /// The rule of a property.
    #[inline]
    pub(crate) fn property(&self, name: Name) -> Option<&PropertyRule> {
        let at = self
            .properties
            .binary_search_by_key(&name, |rule| rule.name)
            .ok()?;
        self.properties.get(at)
    }

    /// All properties.
    pub(crate) fn properties(&self) -> &[PropertyRule] {
        &self.properties
    }

    /// The elements that these bits stand for.
    pub(crate) fn elements(&self, bits: u128) -> impl Iterator<Item = ElementId> {
        let is_set = move |(at, _): &(usize, &ElementId)| bits & (1 << at) != 0;
        self.tracked
            .iter()
            .enumerate()
            .filter(is_set)
            .map(|(_, element)| *element)
    }
}

/// The elements whose presence matters beyond the property itself.
fn tracked(definitions: &Definitions, properties: &[Property]) -> Box<[ElementId]> {
    let mut elements: Vec<ElementId> = properties
        .iter()
        .filter(|property| property.is_choice || definitions.element(property.element).min > 0)
        .map(|property| property.element)
        .collect();
    elements.sort_unstable();
    elements.dedup();
    elements.truncate(TRACKED_MAX);
    elements.into_boxed_slice()
}

/// A bit for each tracked element that satisfies the condition.
fn bits(tracked: &[ElementId], condition: impl Fn(ElementId) -> bool) -> u128 {
    tracked
        .iter()
        .enumerate()
        .filter(|(_, element)| condition(**element))
        .fold(0, |bits, (at, _)| bits | 1 << at)
}

impl PropertyRule {
    fn compile(definitions: &Definitions, known: &Known, property: &Property, bit: u128) -> Self {
        let element = definitions.element(property.element);
        let types = types_of_element(definitions, element, property.type_id);
        Self {
            name: property.name,
            element_name: element.name,
            type_id: property.type_id,
            content: content(definitions, property.type_id),
            element: property.element,
            bit,
            is_choice: property.is_choice,
            is_array: property.is_array,
            min: element.min,
            max: element.max,
            binding: known.binding(definitions, element, property.type_id),
            targets: Targets::compile(definitions, types.clone()),
            profiles: OneOf::compile(definitions, types),
            constraints: constraints(
                definitions,
                property.element,
                definitions.type_of(property.type_id).element.as_slice(),
            ),
        }
    }
}

/// What the element says of this type: usually once, but a type may be listed with one profile
/// after the other.
pub(crate) fn types_of_element<'a>(
    definitions: &'a Definitions,
    element: &Element,
    type_id: TypeId,
) -> impl Iterator<Item = &'a ElementType> + Clone {
    let types = definitions.types_of(element).iter();
    types.filter(move |found| found.type_id == type_id)
}

/// The JSON form of a type.
pub(crate) fn content(definitions: &Definitions, type_id: TypeId) -> Content {
    match definitions.type_of(type_id).kind {
        TypeKind::Primitive(_) => Primitive::from_code(definitions.type_name(type_id))
            .map_or(Content::Object, Content::Primitive),
        TypeKind::System(kind) => Content::Scalar(of_system(kind)),
        TypeKind::Complex | TypeKind::Backbone => Content::Object,
        TypeKind::Resource => Content::Resource,
    }
}
