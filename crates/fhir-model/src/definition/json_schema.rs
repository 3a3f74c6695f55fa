//! A JSON Schema for the resources of a type: <https://json-schema.org/draft/2020-12>.
//!
//! For integrators whose tools know schemas and not FHIR, and as a second opinion on what the
//! validator says of structure: <https://hl7.org/fhir/R4/json.html>. A schema knows which
//! properties there are, how often, of which type and form, and small lists of codes. It does not
//! know invariants, profiles, references, larger value sets, nor whether a day exists.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::structure::{BindingStrength, Element, ElementId};
use super::types::{Property, SystemKind, TypeId, TypeKind};
use super::{Definitions, Expansion};
use crate::primitive::{Primitive, STRING_CHARS_MAX};

/// The dialect that the schemas are written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A list of codes that is longer than this is not written into a schema.
const CODES_MAX: usize = 100;

/// The definition of any resource: what is contained, an entry of a Bundle, a parameter.
const ANY_RESOURCE: &str = "Resource";

/// The definition of what `_birthDate` says of `birthDate`.
const SIBLING: &str = "Element";

/// How far a schema describes the resources within a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nested {
    /// Whatever says that it is a resource of a known type.
    #[default]
    Named,
    /// To the last element, which takes the definitions of all types.
    Described,
}

impl Definitions {
    /// The schema of the resources of a type; `None` if there are none of that type.
    pub fn json_schema(&self, resource_type: &str, nested: Nested) -> Option<Value> {
        let root = self.resource_type(resource_type)?;
        let mut writer = Writer {
            definitions: self,
            nested,
            written: BTreeMap::new(),
            pending: vec![root],
        };
        while let Some(type_id) = writer.pending.pop() {
            writer.write(type_id);
        }
        let written = writer.written.into_iter();
        let definitions: Map<String, Value> = written
            .map(|(type_id, schema)| (self.type_name(type_id).to_owned(), schema))
            .collect();
        Some(json!({
            "$schema": DIALECT,
            "title": resource_type,
            "$ref": reference(resource_type),
            "$defs": definitions,
        }))
    }
}

fn reference(name: &str) -> String {
    format!("#/$defs/{name}")
}

struct Writer<'a> {
    definitions: &'a Definitions,
    nested: Nested,
    written: BTreeMap<TypeId, Value>,
    /// The types that are referred to and may not be written yet.
    pending: Vec<TypeId>,
}

impl Writer<'_> {
    fn write(&mut self, type_id: TypeId) {
        if self.written.contains_key(&type_id) {
            return;
        }
        // A type that refers to itself must not be written twice.
        self.written.insert(type_id, Value::Null);
        let found = self.definitions.type_of(type_id);
        let schema = match found.kind {
            TypeKind::Primitive(_) | TypeKind::System(_) => self.primitive(type_id),
            TypeKind::Resource if found.is_abstract => self.any_resource(),
            TypeKind::Resource | TypeKind::Complex | TypeKind::Backbone => self.object(type_id),
        };
        self.written.insert(type_id, schema);
    }

    fn refer(&mut self, type_id: TypeId) -> Value {
        self.pending.push(type_id);
        json!({"$ref": reference(self.definitions.type_name(type_id))})
    }

    fn refer_to(&mut self, name: &str) -> Value {
        match self.definitions.type_named(name) {
            Some(type_id) => self.refer(type_id),
            None => Value::Bool(true),
        }
    }

    fn primitive(&self, type_id: TypeId) -> Value {
        let found = self.definitions.type_of(type_id);
        let primitive = match found.kind {
            TypeKind::System(SystemKind::Boolean) => Some(Primitive::Boolean),
            TypeKind::System(SystemKind::Integer) => Some(Primitive::Integer),
            TypeKind::System(SystemKind::Decimal) => Some(Primitive::Decimal),
            TypeKind::System(SystemKind::Date) => Some(Primitive::Date),
            TypeKind::System(SystemKind::DateTime) => Some(Primitive::DateTime),
            TypeKind::System(SystemKind::Time) => Some(Primitive::Time),
            TypeKind::System(_) => Some(Primitive::String),
            _ => Primitive::from_code(self.definitions.type_name(type_id)),
        };
        primitive.map_or(Value::Bool(true), form)
    }

    /// One of the resources that the definitions know.
    fn any_resource(&mut self) -> Value {
        let types: Vec<TypeId> = self.definitions.concrete_resource_types().collect();
        let names: Vec<&str> = types
            .iter()
            .map(|type_id| self.definitions.type_name(*type_id))
            .collect();
        let mut schema = json!({
            "type": "object",
            "required": ["resourceType"],
            "properties": {"resourceType": {"enum": names}},
        });
        if self.nested == Nested::Described {
            let described = types.iter().map(|type_id| {
                json!({
                    "if": {"properties": {"resourceType": {"const": self.definitions.type_name(*type_id)}}},
                    "then": self.refer(*type_id),
                })
            });
            let described: Vec<Value> = described.collect();
            set(&mut schema, "allOf", described);
        }
        schema
    }

    /// An object: its properties, and which of them must be there, or not together.
    fn object(&mut self, type_id: TypeId) -> Value {
        let mut properties = Map::new();
        let mut rules = Vec::new();
        if self.definitions.type_of(type_id).kind == TypeKind::Resource {
            let name = self.definitions.type_name(type_id);
            properties.insert("resourceType".into(), json!({"const": name}));
            rules.push(json!({"required": ["resourceType"]}));
        } else {
            rules.push(json!({"minProperties": 1}));
            // What has nothing but an id says nothing, unless it says the id of a primitive.
            if self.definitions.type_name(type_id) != SIBLING {
                rules.push(json!({"not": {"maxProperties": 1, "required": ["id"]}}));
            }
        }
        for (element, choices) in self.elements(type_id) {
            let element = self.definitions.element(element);
            for property in &choices {
                self.property(element, property, &mut properties);
            }
            rules.extend(self.presence(element, &choices));
        }
        json!({
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
            "allOf": rules,
        })
    }

    /// The elements of a type in the order of its definition, each with the properties that it may
    /// appear as.
    fn elements(&self, type_id: TypeId) -> BTreeMap<ElementId, Vec<Property>> {
        let mut elements: BTreeMap<ElementId, Vec<Property>> = BTreeMap::new();
        for property in self.definitions.properties(type_id) {
            let properties = elements.entry(property.element).or_default();
            properties.push(*property);
        }
        elements
    }

    /// A property, and the sibling of a primitive.
    fn property(
        &mut self,
        element: &Element,
        property: &Property,
        properties: &mut Map<String, Value>,
    ) {
        let name = self.definitions.names().text(property.name);
        let value = self.value(element, property);
        let is_primitive = self.has_sibling(property);
        let mut schema = match (property.is_array, is_primitive) {
            (false, _) => value,
            (true, false) => many(element, &value),
            // What has no value but extensions is null here, and in its place in the sibling.
            (true, true) => many(element, &json!({"anyOf": [value, {"type": "null"}]})),
        };
        if let Some(short) = element.short {
            set(&mut schema, "description", self.definitions.text(short));
        }
        properties.insert(name.to_owned(), schema);
        if is_primitive {
            let sibling = self.refer_to(SIBLING);
            let sibling = if property.is_array {
                many(element, &json!({"anyOf": [sibling, {"type": "null"}]}))
            } else {
                sibling
            };
            properties.insert(format!("_{name}"), sibling);
        }
    }

    /// Whether a property has a sibling for its id and extensions.
    fn has_sibling(&self, property: &Property) -> bool {
        let kind = self.definitions.type_of(property.type_id).kind;
        matches!(kind, TypeKind::Primitive(_))
    }

    /// One value of a property; of a code, one of those that its value set lists.
    fn value(&mut self, element: &Element, property: &Property) -> Value {
        let mut value = match self.definitions.type_of(property.type_id).kind {
            TypeKind::Resource => self.refer_to(ANY_RESOURCE),
            _ => self.refer(property.type_id),
        };
        if self.has_sibling(property)
            && let Some(codes) = self.codes(element)
        {
            set(&mut value, "enum", codes.into_iter().collect::<Vec<_>>());
        }
        value
    }

    /// The codes that an element must have, if they are few and all known.
    fn codes(&self, element: &Element) -> Option<BTreeSet<&str>> {
        let binding = element.binding?;
        if binding.strength != BindingStrength::Required {
            return None;
        }
        let canonical = self.definitions.text(binding.value_set?);
        let value_set = self.definitions.value_set(canonical)?;
        if !matches!(self.definitions.expansion(value_set), Expansion::Codes) {
            return None;
        }
        let members = self.definitions.members(value_set);
        let codes: BTreeSet<&str> = members
            .map(|(_, member)| self.definitions.text(member.code))
            .collect();
        (1..=CODES_MAX).contains(&codes.len()).then_some(codes)
    }

    /// Whether an element must be there, and that it is there once.
    fn presence(&self, element: &Element, choices: &[Property]) -> Option<Value> {
        let is_required = element.min > 0;
        if let [only] = choices {
            return is_required.then(|| self.is_there(only));
        }
        let mut alternatives: Vec<Value> =
            choices.iter().map(|choice| self.is_there(choice)).collect();
        if !is_required {
            let none = json!({"not": {"anyOf": alternatives.clone()}});
            alternatives.push(none);
        }
        Some(json!({"oneOf": alternatives}))
    }

    /// A property is there, or says in its sibling why it has no value.
    fn is_there(&self, property: &Property) -> Value {
        let name = self.definitions.names().text(property.name);
        if self.has_sibling(property) {
            let sibling = format!("_{name}");
            json!({"anyOf": [{"required": [name]}, {"required": [sibling]}]})
        } else {
            json!({"required": [name]})
        }
    }
}

/// Sets a member of a schema that is an object.
fn set(schema: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(members) = schema {
        members.insert(key.to_owned(), value.into());
    }
}

/// A list of values, as many as the element admits. FHIR knows no empty list.
fn many(element: &Element, item: &Value) -> Value {
    let mut schema = json!({"type": "array", "items": item, "minItems": element.min.max(1)});
    if element.max != Element::UNBOUNDED {
        set(&mut schema, "maxItems", element.max);
    }
    schema
}

/// The form of a primitive: <https://hl7.org/fhir/R4/datatypes.html#primitive>, whose regular
/// expressions these are, as far as they say all that there is to say.
fn form(primitive: Primitive) -> Value {
    let pattern = match primitive {
        Primitive::Boolean => return json!({"type": "boolean"}),
        Primitive::Decimal => return json!({"type": "number"}),
        Primitive::Integer => return whole(i32::MIN),
        Primitive::UnsignedInt => return whole(0),
        Primitive::PositiveInt => return whole(1),
        Primitive::String | Primitive::Markdown => {
            return json!({
                "type": "string",
                "minLength": 1,
                "maxLength": STRING_CHARS_MAX,
                "pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f]+$",
            });
        }
        Primitive::Code => r"^\S+(\s\S+)*$",
        Primitive::Id => r"^[A-Za-z0-9.\-]{1,64}$",
        Primitive::Uri | Primitive::Url | Primitive::Canonical => r"^\S+$",
        Primitive::Oid => r"^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$",
        Primitive::Uuid => {
            r"^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
        }
        Primitive::Base64Binary => {
            r"^\s*(([A-Za-z0-9+/]\s*){4})*([A-Za-z0-9+/]\s*){2}(([A-Za-z0-9+/]\s*){2}|[A-Za-z0-9+/]\s*=\s*|=\s*=\s*)$"
        }
        Primitive::Date => {
            r"^([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$"
        }
        Primitive::DateTime => {
            r"^([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00)))?)?)?$"
        }
        Primitive::Instant => {
            r"^([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))$"
        }
        Primitive::Time => r"^([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?$",
        Primitive::Xhtml => r"^\s*<div[\s/>]",
    };
    json!({"type": "string", "pattern": pattern})
}

/// A whole number of 32 bits.
fn whole(minimum: i32) -> Value {
    json!({"type": "integer", "minimum": minimum, "maximum": i32::MAX})
}
