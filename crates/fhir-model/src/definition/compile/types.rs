//! The type graph, from the snapshots of base structures.
//!
//! A base structure defines its own type and one for every element that has children. Profiles
//! define none.

use super::structures::{Source, with_first};
use super::{Compiler, ProblemKind, is_true, list_of, text_of};
use crate::definition::structure::{Element, ElementId, ElementType, StructureId, StructureKind};
use crate::definition::types::{
    Choice, PrimitiveKind, Property, SYSTEM_TYPES, Type, TypeId, TypeKind,
};
use crate::definition::{Span, Text};

impl Compiler {
    /// The system types of `FHIRPath`, unless they are there already.
    pub(super) fn system_types(&mut self) {
        if !self.definitions.types.types.is_empty() {
            return;
        }
        self.definitions.names.add("resourceType");
        for (name, kind) in SYSTEM_TYPES {
            let name = self.intern(name);
            self.definitions
                .types
                .types
                .push(new_type(name, TypeKind::System(*kind)));
        }
        self.index_types();
    }

    /// Gives numbers to the type that a structure defines and to its nested types.
    pub(super) fn number_types(&mut self, source: &Source<'_>) {
        let kind = match (source.kind, PrimitiveKind::parse(source.type_name)) {
            (StructureKind::PrimitiveType, Some(primitive)) => TypeKind::Primitive(primitive),
            (StructureKind::Resource, _) => TypeKind::Resource,
            _ => TypeKind::Complex,
        };
        self.number_type(source, source.type_name, kind);
        let paths = source
            .snapshot
            .iter()
            .map(|element| text_of(element, "path"));
        let nested = paths.clone().zip(paths.skip(1)).filter_map(|(path, next)| {
            let path = path.filter(|path| path.contains('.'))?;
            next?.strip_prefix(path)?.starts_with('.').then_some(path)
        });
        for path in nested {
            self.number_type(source, path, TypeKind::Backbone);
        }
    }

    fn number_type(&mut self, source: &Source<'_>, name: &str, kind: TypeKind) {
        if self.definitions.types.types.len() >= usize::from(u16::MAX) {
            self.report(source.resource, ProblemKind::TooManyTypes);
            return;
        }
        let name = self.intern(name);
        if self
            .definitions
            .types
            .types
            .iter()
            .all(|known| known.name != name)
        {
            self.definitions.types.types.push(new_type(name, kind));
        }
    }

    /// Makes the types that have numbers findable by name.
    pub(super) fn index_types(&mut self) {
        let definitions = &mut self.definitions;
        let tables = &mut definitions.types;
        tables.by_name = (0..u16::MAX)
            .map(TypeId)
            .zip(&tables.types)
            .map(|(type_id, found)| (found.name, type_id))
            .collect();
        tables.by_name.sort_unstable();
        let numbered = (0..u16::MAX).map(TypeId).zip(&tables.types);
        let mut resource_types: Vec<(TypeId, Text)> = numbered
            .filter(|(_, found)| found.kind == TypeKind::Resource)
            .map(|(type_id, found)| (type_id, found.name))
            .collect();
        resource_types.sort_by_key(|(_, name)| definitions.pool.text(*name));
        tables.resource_types = resource_types
            .into_iter()
            .map(|(type_id, _)| type_id)
            .collect();
    }

    /// Fills in the types that a base structure defines.
    pub(super) fn complete_types(&mut self, source: &Source<'_>, structure: StructureId) {
        let definitions = &self.definitions;
        let compiled = definitions.structure_of(structure);
        let root = compiled.root;
        let base = text_of(source.resource, "baseDefinition")
            .and_then(|base| self.type_with_code(base.rsplit('/').next().unwrap_or_default()));
        let ids: Vec<ElementId> = definitions.elements(compiled).map(|(id, _)| id).collect();
        for id in ids {
            let path = self.definitions.element(id).path;
            let Some(type_id) = self.definitions.type_by_text(path) else {
                continue;
            };
            let base = if id == root {
                base
            } else {
                self.declared_type(source, root, id)
            };
            // Types that specialise one another in a circle would never come to an end.
            let base = base.filter(|base| !self.definitions.is_subtype_of(*base, type_id));
            let (properties, choices) = self.properties(id);
            let is_abstract = id == root && is_true(source.resource, "abstract");
            if let Some(found) = self.definitions.types.types.get_mut(type_id.index()) {
                found.base = base;
                found.is_abstract = is_abstract;
                found.structure = Some(structure);
                found.element = Some(id);
                found.properties = properties;
                found.choices = choices;
            }
        }
    }

    /// `BackboneElement` or `Element`: what the definition of a nested element says it is.
    fn declared_type(&self, source: &Source<'_>, root: ElementId, id: ElementId) -> Option<TypeId> {
        let definition = source.snapshot.get(id.index() - root.index())?;
        self.type_with_code(text_of(list_of(definition, "type").first()?, "code")?)
    }

    /// The properties and the choices of the type that an element of a base structure defines.
    fn properties(&mut self, parent: ElementId) -> (Span, Span) {
        let children: Vec<ElementId> = self.definitions.children(parent).collect();
        let mut properties = Vec::new();
        let mut choices = Vec::new();
        for child in children {
            let element = self.definitions.element(child).clone();
            if element.is_choice {
                let list = self.choice_properties(child, &element);
                properties.extend_from_slice(&list);
                let table = &mut self.definitions.types.choice_properties;
                let start = table.len();
                table.extend(list);
                let properties = Span::since(start, table);
                choices.push(Choice {
                    name: element.name,
                    element: child,
                    properties,
                });
            } else if let Some(type_id) = self.property_type(&element) {
                properties.push(Property {
                    name: element.name,
                    type_id,
                    element: child,
                    is_choice: false,
                    is_array: element.is_array,
                });
            }
        }
        properties.sort_unstable_by_key(|property| property.name);
        choices.sort_unstable_by_key(|choice| choice.name);
        let tables = &mut self.definitions.types;
        let starts = (tables.properties.len(), tables.choices.len());
        tables.properties.extend(properties);
        tables.choices.extend(choices);
        (
            Span::since(starts.0, &tables.properties),
            Span::since(starts.1, &tables.choices),
        )
    }

    /// One property per type of a choice element.
    fn choice_properties(&mut self, id: ElementId, element: &Element) -> Vec<Property> {
        let types = self.definitions.types_of(element).to_vec();
        let base = self.definitions.names.text(element.name).to_owned();
        let property = |declared: ElementType| {
            let code = self.definitions.pool.text(declared.code);
            let name = with_first(code, |first| first.to_ascii_uppercase());
            Property {
                name: self.definitions.names.add(&format!("{base}{name}")),
                type_id: declared.type_id,
                element: id,
                is_choice: true,
                is_array: false,
            }
        };
        types.into_iter().map(property).collect()
    }

    /// The type of a property that is no choice; `None` for the scalar of a primitive type.
    fn property_type(&self, element: &Element) -> Option<TypeId> {
        let definitions = &self.definitions;
        if let Some(target) = element.content_reference {
            return definitions.type_by_text(definitions.element(target).path);
        }
        let parent = definitions.element(element.parent?);
        let parent = definitions.type_by_text(parent.path)?;
        let is_primitive = matches!(definitions.type_of(parent).kind, TypeKind::Primitive(_));
        if is_primitive && definitions.names.text(element.name) == "value" {
            return None;
        }
        definitions
            .types_of(element)
            .first()
            .map(|declared| declared.type_id)
    }
}

/// A type of which only name and kind are known so far.
fn new_type(name: Text, kind: TypeKind) -> Type {
    Type {
        name,
        kind,
        base: None,
        is_abstract: false,
        structure: None,
        element: None,
        properties: Span::default(),
        choices: Span::default(),
    }
}
