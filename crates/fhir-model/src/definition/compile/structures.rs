//! Structure definitions and the elements of their snapshots.
//!
//! Types get their numbers before any element is compiled, so that the order of resources does
//! not matter; base structures come before profiles, which look up nested types in them.

use std::collections::HashMap;

use serde_json::Value;

use super::{Compiler, Lists, ProblemKind, decode, extensions, is_true, list_of, text_of};
use crate::definition::structure::{
    Aggregation, Binding, BindingStrength, Constraint, ConstraintId, ContextKind, Derivation,
    Discriminator, DiscriminatorKind, Element, ElementId, ElementType, ExtensionContext, Severity,
    Slicing, SlicingRules, Structure, StructureId, StructureKind, TypedValue,
};
use crate::definition::types::TypeId;
use crate::definition::{Span, Text, row};
use crate::name::Name;

/// `ElementDefinition.type.code` of a system type begins so.
const SYSTEM_TYPE_PREFIX: &str = "http://hl7.org/fhirpath/";

/// Where the types of the specification are defined.
const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Marks a constraint that is advice only.
const BEST_PRACTICE: &str =
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-bestpractice";

/// The smallest number of characters of a string.
const MIN_LENGTH: &str = "http://hl7.org/fhir/StructureDefinition/minLength";

/// Says that extensions do not stand in for the value, as R5 can say it.
const MUST_HAVE_VALUE: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.mustHaveValue";

/// The value set that codes must be of even where the binding is not required.
const MAX_VALUE_SET: &str = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet";

const KINDS: &[(&str, StructureKind)] = &[
    ("primitive-type", StructureKind::PrimitiveType),
    ("complex-type", StructureKind::ComplexType),
    ("resource", StructureKind::Resource),
];

const DERIVATIONS: &[(&str, Derivation)] = &[
    ("specialization", Derivation::Specialization),
    ("constraint", Derivation::Constraint),
];

const CONTEXTS: &[(&str, ContextKind)] = &[
    ("element", ContextKind::Element),
    ("extension", ContextKind::Extension),
    ("fhirpath", ContextKind::Fhirpath),
];

const STRENGTHS: &[(&str, BindingStrength)] = &[
    ("required", BindingStrength::Required),
    ("extensible", BindingStrength::Extensible),
    ("preferred", BindingStrength::Preferred),
    ("example", BindingStrength::Example),
];

const SEVERITIES: &[(&str, Severity)] =
    &[("error", Severity::Error), ("warning", Severity::Warning)];

const SLICING_RULES: &[(&str, SlicingRules)] = &[
    ("closed", SlicingRules::Closed),
    ("open", SlicingRules::Open),
    ("openAtEnd", SlicingRules::OpenAtEnd),
];

const DISCRIMINATORS: &[(&str, DiscriminatorKind)] = &[
    ("value", DiscriminatorKind::Value),
    ("exists", DiscriminatorKind::Exists),
    ("pattern", DiscriminatorKind::Pattern),
    ("type", DiscriminatorKind::Type),
    ("profile", DiscriminatorKind::Profile),
];

/// Lists and rows that many elements share.
struct Shared {
    canonicals: Lists<Text>,
    types: Lists<ElementType>,
    constraints: HashMap<Constraint, ConstraintId>,
    constraint_lists: Lists<ConstraintId>,
    discriminators: Lists<Discriminator>,
}

/// A `StructureDefinition` with the elements that cannot be missing.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) resource: &'a Value,
    pub(super) url: &'a str,
    pub(super) type_name: &'a str,
    pub(super) kind: StructureKind,
    pub(super) derivation: Option<Derivation>,
    pub(super) snapshot: &'a [Value],
}

impl Source<'_> {
    /// Whether it defines a type; else it constrains one.
    fn defines_type(&self) -> bool {
        self.derivation != Some(Derivation::Constraint)
    }
}

impl Compiler {
    pub(super) fn structures(&mut self, resources: &[Value]) {
        self.system_types();
        let mut sources: Vec<Source<'_>> = resources
            .iter()
            .filter_map(|resource| self.source(resource))
            .collect();
        sources.sort_by_key(|source| !source.defines_type());
        let bases = sources.partition_point(Source::defines_type);
        let (bases, profiles) = sources.split_at(bases);

        for source in bases {
            self.number_types(source);
        }
        self.index_types();
        let mut shared = self.shared();
        for source in bases {
            if let Some(structure) = self.structure(source, &mut shared) {
                self.complete_types(source, structure);
            }
        }
        for source in profiles {
            self.structure(source, &mut shared);
        }
        self.definitions.structures.by_url.sort();
    }

    /// Reads what a structure cannot do without. Logical models are passed over.
    fn source<'a>(&mut self, resource: &'a Value) -> Option<Source<'a>> {
        let kind = text_of(resource, "kind");
        if kind == Some("logical") {
            return None;
        }
        let required = |name: &'static str| text_of(resource, name).ok_or(name);
        let read = || {
            let kind = decode(kind, KINDS).ok_or("kind")?;
            Ok((required("url")?, required("type")?, kind))
        };
        let (url, type_name, kind) = match read() {
            Ok(found) => found,
            Err(missing) => {
                self.report(resource, ProblemKind::Missing(missing));
                return None;
            }
        };
        let snapshot = resource
            .get("snapshot")
            .map(|snapshot| list_of(snapshot, "element"));
        let Some(snapshot @ [_, ..]) = snapshot else {
            self.report(resource, ProblemKind::NoSnapshot);
            return None;
        };
        let base = text_of(resource, "baseDefinition").unwrap_or_default();
        let derivation = if base.strip_prefix(CORE) == Some(type_name) {
            // Whatever it says: what is based on a type and is of that type cannot define it.
            Some(Derivation::Constraint)
        } else {
            decode(text_of(resource, "derivation"), DERIVATIONS)
        };
        Some(Source {
            resource,
            url,
            type_name,
            kind,
            derivation,
            snapshot,
        })
    }

    fn shared(&self) -> Shared {
        let constraints = self.definitions.constraints();
        Shared {
            canonicals: Lists::new(),
            types: Lists::new(),
            constraints: constraints
                .map(|(id, constraint)| (*constraint, id))
                .collect(),
            constraint_lists: Lists::new(),
            discriminators: Lists::new(),
        }
    }

    /// Compiles a structure and its elements.
    fn structure(&mut self, source: &Source<'_>, shared: &mut Shared) -> Option<StructureId> {
        let Some(type_id) = self.definitions.type_named(source.type_name) else {
            let type_name = source.type_name.to_owned();
            self.report(source.resource, ProblemKind::UnknownType(type_name));
            return None;
        };
        let id = StructureId(row(self.definitions.structures.structures.len()));
        let root = ElementId(row(self.definitions.structures.elements.len()));
        let url = self.intern(source.url);
        let version = self.intern_property(source.resource, "version");
        let structure = Structure {
            url,
            version,
            name: self.intern(text_of(source.resource, "name").unwrap_or_default()),
            type_id,
            kind: source.kind,
            derivation: source.derivation,
            base: self.intern_property(source.resource, "baseDefinition"),
            is_abstract: is_true(source.resource, "abstract"),
            root,
            contexts: self.contexts(source.resource),
            context_invariants: {
                let list = self.intern_list(source.resource, "contextInvariant");
                shared
                    .canonicals
                    .store(&mut self.definitions.structures.canonicals, list)
            },
        };
        self.elements(source, id, type_id, shared);
        self.definitions.structures.structures.push(structure);
        self.definitions.structures.by_url.push(url, version, id.0);
        Some(id)
    }

    fn contexts(&mut self, resource: &Value) -> Span {
        let start = self.definitions.structures.contexts.len();
        for context in list_of(resource, "context") {
            let kind = decode(text_of(context, "type"), CONTEXTS);
            let expression = self.intern_property(context, "expression");
            if let (Some(kind), Some(expression)) = (kind, expression) {
                let row = ExtensionContext { kind, expression };
                self.definitions.structures.contexts.push(row);
            }
        }
        Span::since(start, &self.definitions.structures.contexts)
    }

    /// Compiles the snapshot of a structure.
    fn elements(
        &mut self,
        source: &Source<'_>,
        structure: StructureId,
        type_id: TypeId,
        shared: &mut Shared,
    ) {
        let start = self.definitions.structures.elements.len();
        // The element last seen at each depth, with the type that its children are properties of.
        let mut open: Vec<(ElementId, Option<TypeId>)> = Vec::new();
        for (number, definition) in source.snapshot.iter().enumerate() {
            let id = ElementId(row(start + number));
            let path = text_of(definition, "path").unwrap_or_default();
            let depth = path.matches('.').count().min(open.len());
            self.close(&mut open, depth, id);
            let parent = open.last().copied();
            let mut element = self.element(source, definition, shared);
            element.structure = structure;
            element.parent = parent.map(|(id, _)| id);
            let content = match parent {
                None => Some(type_id),
                Some((_, parent)) => {
                    self.element_types(source, definition, &mut element, parent, shared)
                }
            };
            open.push((id, content));
            self.definitions.structures.elements.push(element);
        }
        let end = ElementId(row(self.definitions.structures.elements.len()));
        self.close(&mut open, 0, end);
        self.content_references(source, start);
    }

    /// Tells the elements deeper than `depth` that they end before `end`.
    fn close(&mut self, open: &mut Vec<(ElementId, Option<TypeId>)>, depth: usize, end: ElementId) {
        for (id, _) in open.drain(depth..) {
            if let Some(element) = self.definitions.structures.elements.get_mut(id.index()) {
                element.end = end;
            }
        }
    }

    /// Compiles an element but for its types and its place in the tree.
    fn element(&mut self, source: &Source<'_>, definition: &Value, shared: &mut Shared) -> Element {
        let path = text_of(definition, "path").unwrap_or_default();
        let (name, is_choice) = match path.rsplit_once('.') {
            None => (Name::UNKNOWN, false),
            Some((_, last)) => {
                let name = last.strip_suffix("[x]");
                (
                    self.definitions.names.add(name.unwrap_or(last)),
                    name.is_some(),
                )
            }
        };
        let max = max_of(definition);
        let base_max = definition.get("base").map_or(max, max_of);
        let is_attribute = list_of(definition, "representation")
            .iter()
            .any(|representation| representation == "xmlAttr");
        let path = self.intern(path);
        Element {
            structure: StructureId(0),
            parent: None,
            end: ElementId(0),
            id: self.intern_property(definition, "id").unwrap_or(path),
            path,
            name,
            is_choice,
            is_array: base_max > 1,
            is_attribute,
            slice_name: self.intern_property(definition, "sliceName"),
            short: self.intern_property(definition, "short"),
            min: number_of(definition, "min").unwrap_or_default(),
            max,
            min_length: extensions(definition, MIN_LENGTH)
                .find_map(|extension| number_of(extension, "valueInteger")),
            max_length: number_of(definition, "maxLength"),
            must_have_value: extensions(definition, MUST_HAVE_VALUE)
                .any(|extension| is_true(extension, "valueBoolean")),
            content_reference: None,
            fixed: self.typed_value(definition, "fixed"),
            pattern: self.typed_value(definition, "pattern"),
            min_value: self.typed_value(definition, "minValue"),
            max_value: self.typed_value(definition, "maxValue"),
            binding: definition
                .get("binding")
                .and_then(|binding| self.binding(binding)),
            slicing: definition
                .get("slicing")
                .map(|slicing| self.slicing(slicing, shared)),
            is_modifier: is_true(definition, "isModifier"),
            is_summary: is_true(definition, "isSummary"),
            must_support: is_true(definition, "mustSupport"),
            types: Span::default(),
            constraints: self.constraints(source, definition, shared),
        }
    }

    /// Compiles the types of an element. Returns the type of its content where there is one only.
    fn element_types(
        &mut self,
        source: &Source<'_>,
        definition: &Value,
        element: &mut Element,
        parent: Option<TypeId>,
        shared: &mut Shared,
    ) -> Option<TypeId> {
        let nested = self.nested_type(source, element, parent);
        let mut types = Vec::new();
        for declared in list_of(definition, "type") {
            let Some(code) = text_of(declared, "code") else {
                continue;
            };
            let type_id = match code {
                "BackboneElement" | "Element" => nested.or_else(|| self.type_with_code(code)),
                _ if is_resource_id(definition) => self.type_with_code("id"),
                _ => self.type_with_code(code),
            };
            let type_id = type_id.unwrap_or_else(|| {
                self.report(source.resource, ProblemKind::UnknownType(code.to_owned()));
                self.type_with_code("Element").unwrap_or(TypeId(0))
            });
            let profiles = self.intern_list(declared, "profile");
            let targets = self.intern_list(declared, "targetProfile");
            let canonicals = &mut self.definitions.structures.canonicals;
            types.push(ElementType {
                type_id,
                profiles: shared.canonicals.store(canonicals, profiles),
                target_profiles: shared.canonicals.store(canonicals, targets),
                aggregation: aggregation(declared),
                code: self.intern(code),
            });
        }
        let content = match types.as_slice() {
            [only] => Some(only.type_id),
            [] => nested,
            _ => None,
        };
        element.types = shared
            .types
            .store(&mut self.definitions.structures.element_types, types);
        content
    }

    /// The nested type of an element: defined by its path in a base structure, found as a
    /// property of its parent's type in a profile.
    fn nested_type(
        &self,
        source: &Source<'_>,
        element: &Element,
        parent: Option<TypeId>,
    ) -> Option<TypeId> {
        if source.defines_type() {
            return self.definitions.type_by_text(element.path);
        }
        self.definitions
            .property(parent?, element.name)
            .map(|property| property.type_id)
    }

    pub(super) fn type_with_code(&self, code: &str) -> Option<TypeId> {
        self.definitions
            .type_named(code.strip_prefix(SYSTEM_TYPE_PREFIX).unwrap_or(code))
    }

    /// A property whose name begins with `prefix` and goes on with a type.
    fn typed_value(&mut self, definition: &Value, prefix: &str) -> Option<TypedValue> {
        let (type_name, value) = definition.as_object()?.iter().find_map(|(name, value)| {
            let type_name = name.strip_prefix(prefix)?;
            type_name
                .starts_with(|first: char| first.is_ascii_uppercase())
                .then_some(())?;
            Some((type_name, value))
        })?;
        let type_id = self
            .type_with_code(&with_first(type_name, |first| first.to_ascii_lowercase()))
            .or_else(|| self.type_with_code(type_name))?;
        let json = self.intern(&value.to_string());
        Some(TypedValue { type_id, json })
    }

    fn binding(&mut self, binding: &Value) -> Option<Binding> {
        let strength = decode(text_of(binding, "strength"), STRENGTHS)?;
        let value_set = self.intern_property(binding, "valueSet");
        let max_value_set = extensions(binding, MAX_VALUE_SET).find_map(|extension| {
            text_of(extension, "valueCanonical").or_else(|| text_of(extension, "valueUri"))
        });
        let max_value_set = max_value_set.map(|canonical| self.intern(canonical));
        Some(Binding {
            strength,
            value_set,
            max_value_set,
        })
    }

    fn slicing(&mut self, slicing: &Value, shared: &mut Shared) -> Slicing {
        let mut list = Vec::new();
        for discriminator in list_of(slicing, "discriminator") {
            let kind = decode(text_of(discriminator, "type"), DISCRIMINATORS);
            let path = self.intern_property(discriminator, "path");
            if let (Some(kind), Some(path)) = (kind, path) {
                list.push(Discriminator { kind, path });
            }
        }
        let table = &mut self.definitions.structures.discriminators;
        Slicing {
            rules: decode(text_of(slicing, "rules"), SLICING_RULES).unwrap_or(SlicingRules::Open),
            is_ordered: is_true(slicing, "ordered"),
            discriminators: shared.discriminators.store(table, list),
        }
    }

    fn constraints(
        &mut self,
        source: &Source<'_>,
        definition: &Value,
        shared: &mut Shared,
    ) -> Span {
        let mut list = Vec::new();
        for constraint in list_of(definition, "constraint") {
            let Some(key) = self.intern_property(constraint, "key") else {
                continue;
            };
            let severity = decode(text_of(constraint, "severity"), SEVERITIES);
            let compiled = Constraint {
                key,
                severity: severity.unwrap_or(Severity::Error),
                human: self.intern(text_of(constraint, "human").unwrap_or_default()),
                expression: self.intern_property(constraint, "expression"),
                source: self.intern(text_of(constraint, "source").unwrap_or(source.url)),
                is_best_practice: extensions(constraint, BEST_PRACTICE)
                    .any(|extension| is_true(extension, "valueBoolean")),
            };
            let table = &mut self.definitions.structures.constraints;
            list.push(*shared.constraints.entry(compiled).or_insert_with(|| {
                table.push(compiled);
                ConstraintId(row(table.len() - 1))
            }));
        }
        shared
            .constraint_lists
            .store(&mut self.definitions.structures.constraint_lists, list)
    }

    /// Resolves the content references of the structure whose elements begin at `start`.
    ///
    /// A reference is `#` and the id of an element of the same structure. With the URL of another
    /// structure before it, as generators write it into profiles, the base definition is meant,
    /// and so it is where a profile lacks the element.
    fn content_references(&mut self, source: &Source<'_>, start: usize) {
        for (number, definition) in source.snapshot.iter().enumerate() {
            let reference = text_of(definition, "contentReference");
            let Some((url, id)) = reference.and_then(|reference| reference.split_once('#')) else {
                continue;
            };
            let is_own = url.is_empty() || url == source.url;
            let target = self.definitions.find_text(id).and_then(|id| {
                let elements = self.definitions.structures.elements.get(start..)?;
                let at = elements.iter().position(|element| element.id == id);
                let own = at.filter(|_| is_own);
                own.map(|at| ElementId(row(start + at))).or_else(|| {
                    self.definitions
                        .type_of(self.definitions.type_by_text(id)?)
                        .element
                })
            });
            let elements = &mut self.definitions.structures.elements;
            if let Some(element) = elements.get_mut(start + number) {
                element.content_reference = target;
            }
        }
    }
}

/// `ElementDefinition.max`, or that of its `base`.
fn max_of(object: &Value) -> u32 {
    match text_of(object, "max") {
        Some("*") | None => Element::UNBOUNDED,
        Some(max) => max.parse().unwrap_or(Element::UNBOUNDED),
    }
}

/// A whole number that is not negative.
fn number_of(object: &Value, name: &str) -> Option<u32> {
    object
        .get(name)?
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
}

/// `Resource.id`, which the definitions call a string, is an `id`:
/// <https://hl7.org/fhir/R4/resource.html#Resource>.
fn is_resource_id(definition: &Value) -> bool {
    let base = definition
        .get("base")
        .and_then(|base| text_of(base, "path"));
    base == Some("Resource.id")
}

fn aggregation(declared: &Value) -> Aggregation {
    let has = |code: &str| {
        list_of(declared, "aggregation")
            .iter()
            .any(|mode| mode == code)
    };
    Aggregation {
        contained: has("contained"),
        referenced: has("referenced"),
        bundled: has("bundled"),
    }
}

/// The text with its first character changed; type names are ASCII.
pub(super) fn with_first(text: &str, change: impl Fn(char) -> char) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(change)
        .into_iter()
        .chain(characters)
        .collect()
}
