//! From the snapshot of a profile to the rules that are tighter than the base.

use fhir_model::definition::{
    ConstraintId, Definitions, Derivation, Element, ElementId, Property, StructureId, TypeId,
    TypeKind,
};

use crate::extension::ExtensionRules;
use crate::invariant::constraints;
use crate::profile::{
    ElementRule, Expected, Form, Limits, OneOf, ProfileRules, TypeRule, ValueRules, slicing,
};
use crate::reference_target::Targets;
use crate::rules::{Content, ContentRules, Known, content, is_of_profile, types_of_element};

/// What the elements of a snapshot are compared with.
#[derive(Clone, Copy)]
pub(super) struct Compiler<'d> {
    pub(super) definitions: &'d Definitions,
    pub(super) known: &'d Known,
}

impl ProfileRules {
    /// The rules of a structure; none, if it defines a type instead of constraining one.
    pub(crate) fn compile(
        definitions: &Definitions,
        known: &Known,
        structure: StructureId,
    ) -> Self {
        let compiler = Compiler { definitions, known };
        let found = definitions.structure_of(structure);
        if found.derivation != Some(Derivation::Constraint) {
            return Self::default();
        }
        let base = definitions.type_of(found.type_id).element;
        Self {
            constraints: constraints(definitions, found.root, base.as_slice()),
            elements: compiler.elements(found.root, found.type_id),
            extension: (known.extension == Some(found.type_id))
                .then(|| ExtensionRules::compile(definitions, known, structure)),
        }
    }
}

impl ContentRules {
    /// What a profile demands of the content of one of its elements.
    pub(crate) fn compile(definitions: &Definitions, known: &Known, element: ElementId) -> Self {
        let compiler = Compiler { definitions, known };
        let [only] = definitions.types_of(definitions.element(element)) else {
            return Self {
                constraints: Box::default(),
                elements: Box::default(),
            };
        };
        let base = definitions.type_of(only.type_id).element;
        Self {
            constraints: constraints(definitions, element, base.as_slice()),
            elements: compiler.elements(element, only.type_id),
        }
    }
}

impl<'d> Compiler<'d> {
    /// The rules on the children of an element of this type.
    fn elements(self, parent: ElementId, type_id: TypeId) -> Box<[ElementRule]> {
        self.definitions
            .children(parent)
            .filter_map(|child| self.element(child, type_id))
            .collect()
    }

    /// The rules on an element, if there are any.
    fn element(self, element: ElementId, parent_type: TypeId) -> Option<ElementRule> {
        let found = self.definitions.element(element);
        let properties = self.properties(found, parent_type);
        let base = self.definitions.element(properties.first()?.element);
        let rule = ElementRule {
            forms: self.forms(found, properties),
            min: tighter_min(found, base),
            max: tighter_max(found, base),
            value: self.value(element, properties),
            slicing: slicing::compile(self, element, properties),
        };
        let is_idle = rule.min == 0
            && rule.max == Element::UNBOUNDED
            && rule.forms.iter().all(|form| form.is_allowed)
            && rule.value.is_empty()
            && rule.slicing.is_none();
        (!is_idle).then_some(rule)
    }

    /// The properties that an element of a profile stands for. Some snapshots spell a choice with
    /// its type (`Observation.valueQuantity`).
    pub(super) fn properties(self, element: &Element, parent_type: TypeId) -> &'d [Property] {
        if element.is_choice {
            return self.definitions.choices(parent_type, element.name);
        }
        self.definitions
            .property(parent_type, element.name)
            .map(std::slice::from_ref)
            .unwrap_or_default()
    }

    pub(super) fn forms(self, element: &Element, properties: &[Property]) -> Box<[Form]> {
        properties
            .iter()
            .map(|property| Form {
                name: property.name,
                type_id: property.type_id,
                is_allowed: self.is_allowed(element, property),
            })
            .collect()
    }

    /// Whether an element admits a type. Only a choice can leave out types; elsewhere profiles differ
    /// from the base in spelling only (`uri`, `System.String`). A primitive type is admitted by its
    /// own name only, another by that of a type that constrains it, such as `SimpleQuantity`.
    fn is_allowed(self, element: &Element, property: &Property) -> bool {
        let type_id = property.type_id;
        let types = self.definitions.types_of(element);
        let is_primitive = matches!(
            self.definitions.type_of(type_id).kind,
            TypeKind::Primitive(_)
        );
        let admits = |found: TypeId| {
            found == type_id || (!is_primitive && self.definitions.is_subtype_of(found, type_id))
        };
        !property.is_choice || types.is_empty() || types.iter().any(|found| admits(found.type_id))
    }

    /// What each occurrence of an element (or of a slice) must satisfy.
    pub(super) fn value(self, element: ElementId, properties: &[Property]) -> ValueRules {
        let found = self.definitions.element(element);
        let allowed = || {
            properties
                .iter()
                .filter(|property| self.is_allowed(found, property))
        };
        let base = properties
            .first()
            .map(|property| self.definitions.element(property.element));
        let only_type = match (allowed().next(), allowed().nth(1)) {
            (Some(only), None) => Some(only.type_id),
            _ => None,
        };
        let expected = |value| Expected::new(self.definitions, value);
        ValueRules {
            element,
            fixed: found.fixed.and_then(expected),
            pattern: found.pattern.and_then(expected),
            limits: Limits::compile(self.definitions, found, base),
            resource_types: only_type
                .map(|type_id| self.resource_types(found, type_id))
                .unwrap_or_default(),
            by_type: allowed()
                .flat_map(|property| self.of_property(found, property))
                .collect(),
            constraints: self.constraints(element, properties),
            elements: only_type
                .map(|type_id| self.elements(element, self.type_below(found, type_id)))
                .unwrap_or_default(),
            content: found
                .content_reference
                .filter(|target| is_of_profile(self.definitions, *target)),
        }
    }

    /// The invariants that the profile adds to an element: not those of the base element, of the
    /// types or, of a slice, of the element that it is a slice of.
    fn constraints(self, element: ElementId, properties: &[Property]) -> Box<[ConstraintId]> {
        let definitions = self.definitions;
        let found = definitions.element(element);
        let sliced = found
            .parent
            .filter(|_| found.slice_name.is_some())
            .and_then(|parent| definitions.child(parent, found.name));
        let bases = properties.iter().map(|property| property.element);
        let types = properties
            .iter()
            .filter_map(|property| definitions.type_of(property.type_id).element);
        let elsewhere: Vec<ElementId> = bases.chain(types).chain(sliced).collect();
        constraints(definitions, element, &elsewhere)
    }

    /// The types that a resource in an element is narrowed to.
    fn resource_types(self, element: &Element, type_id: TypeId) -> Box<[TypeId]> {
        if content(self.definitions, type_id) != Content::Resource {
            return Box::default();
        }
        let types = self.definitions.types_of(element);
        let is_abstract = |type_id: TypeId| self.definitions.type_of(type_id).is_abstract;
        if types.iter().any(|found| is_abstract(found.type_id)) {
            return Box::default();
        }
        types.iter().map(|found| found.type_id).collect()
    }

    /// The type whose properties the children of an element are: of a resource that is narrowed to
    /// one type, that one.
    fn type_below(self, element: &Element, type_id: TypeId) -> TypeId {
        match self.definitions.types_of(element) {
            [only] if content(self.definitions, type_id) == Content::Resource => only.type_id,
            _ => type_id,
        }
    }

    /// What is demanded of an occurrence of a property, by its type; of resources, by theirs.
    fn of_property(self, element: &Element, property: &Property) -> Vec<TypeRule> {
        let definitions = self.definitions;
        let mut types: Vec<TypeId> = Vec::new();
        for found in definitions.types_of(element) {
            let is_one = definitions.is_subtype_of(found.type_id, property.type_id);
            if is_one && !types.contains(&found.type_id) {
                types.push(found.type_id);
            }
        }
        let is_resource = content(definitions, property.type_id) == Content::Resource;
        if !is_resource {
            types.truncate(1);
        }
        let rule = |type_id: TypeId| {
            let actual = if is_resource {
                type_id
            } else {
                property.type_id
            };
            self.of_type(element, property, type_id, actual)
        };
        types.into_iter().filter_map(rule).collect()
    }

    /// What is demanded of an occurrence of one type, beyond what the base demands.
    fn of_type(
        self,
        element: &Element,
        property: &Property,
        listed: TypeId,
        actual: TypeId,
    ) -> Option<TypeRule> {
        let definitions = self.definitions;
        let base = definitions.element(property.element);
        let ours = types_of_element(definitions, element, listed);
        let theirs = types_of_element(definitions, base, property.type_id);
        let key = |element: &Element| {
            element
                .binding
                .map(|found| (found.strength, found.value_set))
        };
        let targets = Targets::compile(definitions, ours.clone());
        let is_new_target = targets != Targets::compile(definitions, theirs.clone());
        let is_reference = self.known.reference == Some(property.type_id);
        let profiles = OneOf::compile(definitions, ours);
        let is_new_profile = profiles != OneOf::compile(definitions, theirs);
        let rule = TypeRule {
            type_id: actual,
            binding: self
                .known
                .binding(definitions, element, property.type_id)
                .filter(|_| key(element) != key(base)),
            targets: (is_reference && is_new_target && !targets.is_unrestricted())
                .then_some(targets),
            profiles: if is_new_profile {
                profiles
            } else {
                OneOf::default()
            },
        };
        let is_idle = rule.binding.is_none() && rule.targets.is_none() && rule.profiles.is_empty();
        (!is_idle).then_some(rule)
    }
}

/// The minimum, if it is more than the base demands.
pub(super) fn tighter_min(element: &Element, base: &Element) -> u32 {
    if element.min > base.min {
        element.min
    } else {
        0
    }
}

/// The maximum, if it is less than the base admits.
pub(super) fn tighter_max(element: &Element, base: &Element) -> u32 {
    if element.max < base.max {
        element.max
    } else {
        Element::UNBOUNDED
    }
}
