//! Where an element is: found by `FHIRPath`, said as names and places from the resource, which still
//! hold when the resource has been taken apart for editing.

use fhir_model::definition::{Definitions, TypeId, TypeKind};
use fhir_model::tree::{Kind, Node, Tree};

use crate::patch::draft::Draft;

/// One step from an element to one below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The property as JSON names it, without `_`.
    pub(super) name: String,
    /// The place, where the property is an array.
    pub(super) position: Option<usize>,
}

/// The steps from the resource to a node.
pub(super) fn steps(resource: &Tree, node: Node<'_>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut above = resource.root();
    while above.id() != node.id() {
        let before = above.children().enumerate();
        let Some((position, child)) = before.take_while(|(_, it)| it.id() <= node.id()).last()
        else {
            break;
        };
        match steps.last_mut() {
            Some(step) if !child.is_member() => step.position = Some(position),
            _ => steps.push(Step {
                name: child.name_text().into_owned(),
                position: None,
            }),
        }
        above = child;
    }
    steps
}

/// The type of the element at some steps.
pub(super) fn type_at(
    definitions: &Definitions,
    resource: &Tree,
    steps: &[Step],
) -> Option<TypeId> {
    let mut type_id = definitions.resource_type(&resource.resource_type()?)?;
    let mut node = resource.root();
    for step in steps {
        let name = definitions.names().get(&step.name)?;
        let property = definitions.property(type_id, name)?;
        node = object_below(node, step)?;
        let resource_type = node.get_str("resourceType").and_then(Node::as_str);
        let is_resource = definitions.type_of(property.type_id).kind == TypeKind::Resource;
        type_id = match resource_type.filter(|_| is_resource) {
            Some(name) => definitions.resource_type(&name)?,
            None => property.type_id,
        };
    }
    Some(type_id)
}

/// The object one step below: of a primitive, what `_name` says about it.
fn object_below<'t>(node: Node<'t>, step: &Step) -> Option<Node<'t>> {
    let halves = [step.name.clone(), format!("_{}", step.name)];
    halves.into_iter().find_map(|key| {
        let half = node.get_str(&key)?;
        let found = match step.position {
            Some(position) => half.items().nth(position)?,
            None => half,
        };
        (found.kind() == Kind::Object).then_some(found)
    })
}

/// The object at some steps, in a resource under edit.
pub(super) fn descend<'d, 't>(
    mut draft: &'d mut Draft<'t>,
    steps: &[Step],
) -> Option<&'d mut Draft<'t>> {
    for step in steps {
        let is_object = |draft: &mut Draft<'t>| {
            half(draft, &step.name, step.position).is_some_and(|it| it.kind() == Kind::Object)
        };
        let key = if is_object(draft) {
            step.name.clone()
        } else {
            format!("_{}", step.name)
        };
        draft = half(draft, &key, step.position)?;
    }
    Some(draft)
}

fn half<'d, 't>(
    draft: &'d mut Draft<'t>,
    key: &str,
    position: Option<usize>,
) -> Option<&'d mut Draft<'t>> {
    let value = draft.get(key)?;
    match position {
        Some(position) => value.items()?.get_mut(position),
        None => Some(value),
    }
}
