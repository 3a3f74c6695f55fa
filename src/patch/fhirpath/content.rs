//! What an operation brings in: `value[x]`, parts for an element without a named type, or a
//! resource; and as which property of its parent.

use fhir_model::definition::{Definitions, PrimitiveKind, Property, SystemKind, TypeId, TypeKind};
use fhir_model::tree::{Kind, Node};

use crate::patch::PatchError;
use crate::patch::draft::{DEPTH_MAX, Draft, Member};
use crate::patch::fhirpath::malformed;
use crate::patch::fhirpath::occurrence::{Occurrence, Occurrences};

/// What a part of the patch has for a value.
enum Content<'p> {
    /// `value[x]`: its suffix and both halves.
    Value {
        suffix: String,
        value: Option<Node<'p>>,
        shadow: Option<Node<'p>>,
    },
    /// The parts of an element without a named type.
    Parts(Vec<Node<'p>>),
    /// A resource.
    Resource(Node<'p>),
}

/// A new occurrence of an element, and the property that it is.
pub(super) struct New<'d, 'p> {
    pub(super) name: &'d str,
    pub(super) property: Property,
    pub(super) occurrence: Occurrence<'p>,
}

/// What a part brings in as an element `name` of a type.
pub(super) fn new<'d, 'p>(
    definitions: &'d Definitions,
    parent: TypeId,
    name: &str,
    part: Node<'p>,
) -> Result<New<'d, 'p>, PatchError> {
    nested(definitions, parent, name, part, 0)
}

fn nested<'d, 'p>(
    definitions: &'d Definitions,
    parent: TypeId,
    name: &str,
    part: Node<'p>,
    depth: usize,
) -> Result<New<'d, 'p>, PatchError> {
    let content = content(part)?;
    let property = property(definitions, parent, name, &content)?;
    let occurrence = match content {
        Content::Value { value, shadow, .. } => Occurrence {
            value: value.map(Draft::Kept),
            shadow: shadow.map(Draft::Kept),
        },
        Content::Resource(resource) => Occurrence {
            value: Some(Draft::Kept(resource)),
            shadow: None,
        },
        Content::Parts(_) if depth >= DEPTH_MAX => {
            return Err(malformed(format!(
                "parts nest deeper than {DEPTH_MAX} levels"
            )));
        }
        Content::Parts(parts) => {
            let members = members(definitions, property.type_id, &parts, depth + 1)?;
            Occurrence {
                value: Some(Draft::Object(members)),
                shadow: None,
            }
        }
    };
    Ok(New {
        name: definitions.names().text(property.name),
        property,
        occurrence,
    })
}

fn members<'p>(
    definitions: &Definitions,
    type_id: TypeId,
    parts: &[Node<'p>],
    depth: usize,
) -> Result<Vec<Member<'p>>, PatchError> {
    let mut members = Vec::new();
    for part in parts {
        let name = part.get_str("name").and_then(Node::as_str);
        let name = name.ok_or_else(|| malformed("a part of a value has no name"))?;
        let new = nested(definitions, type_id, &name, *part, depth)?;
        let mut occurrences = Occurrences::take(&mut members, new.name);
        if !new.property.is_array && !occurrences.list.is_empty() {
            return Err(malformed(format!("the part \"{name}\" is given twice")));
        }
        occurrences.list.push(new.occurrence);
        occurrences.put(&mut members, new.name, new.property.is_array);
    }
    Ok(members)
}

fn content(part: Node<'_>) -> Result<Content<'_>, PatchError> {
    let nothing = || malformed("the value of an operation is value[x], parts or a resource");
    if let Some(parts) = part.get_str("part") {
        return Ok(Content::Parts(parts.items().collect()));
    }
    if let Some(resource) = part.get_str("resource") {
        return Ok(Content::Resource(resource));
    }
    let is_value = |member: &Node<'_>| member.name_text().starts_with("value");
    let found = part.children().find(is_value).ok_or_else(nothing)?;
    let name = found.name_text();
    let half = |is_shadow| {
        part.children()
            .find(|member| member.is_shadow() == is_shadow && member.name_text() == name)
    };
    let suffix = name.strip_prefix("value").ok_or_else(nothing)?;
    Ok(Content::Value {
        suffix: suffix.to_owned(),
        value: half(false),
        shadow: half(true),
    })
}

/// The property of a type that content becomes under a name: of a choice, that of its own type.
fn property(
    definitions: &Definitions,
    parent: TypeId,
    name: &str,
    content: &Content<'_>,
) -> Result<Property, PatchError> {
    let unknown = || {
        let parent = definitions.type_name(parent);
        PatchError::Unprocessable(format!("{parent} has no element {name}"))
    };
    let known = definitions.names().get(name).ok_or_else(unknown)?;
    let choices = match definitions.property(parent, known) {
        Some(property) if !property.is_choice => {
            return fits(definitions, *property, name, content);
        }
        // A choice, named with a type: another type may be put in its place.
        Some(property) => definitions
            .choice_elements(parent)
            .iter()
            .find(|choice| choice.element == property.element)
            .map(|choice| choice.name),
        None => Some(known),
    };
    let choice = choices.ok_or_else(unknown)?;
    let candidates = definitions.choices(parent, choice);
    if candidates.is_empty() {
        return Err(unknown());
    }
    let base = definitions.names().text(choice);
    let Content::Value { suffix, .. } = content else {
        return Err(PatchError::Unprocessable(format!(
            "{base}[x] is given as value[x]"
        )));
    };
    let is_it = |property: &&Property| {
        let name = definitions.names().text(property.name);
        name.strip_prefix(base) == Some(suffix)
    };
    let found = candidates.iter().find(is_it).copied();
    found.ok_or_else(|| PatchError::Unprocessable(format!("{base}[x] is never a {suffix}")))
}

/// Whether content is of the type of a property.
fn fits(
    definitions: &Definitions,
    property: Property,
    name: &str,
    content: &Content<'_>,
) -> Result<Property, PatchError> {
    let wanted = definitions.type_of(property.type_id);
    let is_right = match (content, wanted.kind) {
        (Content::Value { value, .. }, TypeKind::Primitive(_) | TypeKind::System(_)) => {
            value.is_none_or(|value| value.kind() == scalar_kind(wanted.kind))
        }
        (Content::Value { suffix, .. }, TypeKind::Complex) => {
            definitions.type_named(suffix).is_some_and(|given| {
                definitions.is_subtype_of(given, property.type_id)
                    || definitions.is_subtype_of(property.type_id, given)
            })
        }
        (Content::Parts(_), TypeKind::Complex | TypeKind::Backbone)
        | (Content::Resource(_), TypeKind::Resource) => true,
        _ => false,
    };
    if is_right {
        return Ok(property);
    }
    let text = match wanted.kind {
        TypeKind::Backbone => format!("{name} has no type of its own: give its elements as parts"),
        TypeKind::Resource => format!("{name} is a resource: give it as \"resource\""),
        _ => {
            let wanted = definitions.type_name(property.type_id);
            format!("{name} is a {wanted}, and the value is none")
        }
    };
    Err(PatchError::Unprocessable(text))
}

/// What JSON writes a primitive type as.
const fn scalar_kind(kind: TypeKind) -> Kind {
    match kind {
        TypeKind::Primitive(PrimitiveKind::Boolean) | TypeKind::System(SystemKind::Boolean) => {
            Kind::Boolean
        }
        TypeKind::Primitive(
            PrimitiveKind::Decimal
            | PrimitiveKind::Integer
            | PrimitiveKind::PositiveInt
            | PrimitiveKind::UnsignedInt,
        )
        | TypeKind::System(SystemKind::Decimal | SystemKind::Integer) => Kind::Number,
        _ => Kind::String,
    }
}
