//! From a resource down to one of its elements: elements know no parents.

use std::fmt::Write as _;

use fhir_model::definition::{Definitions, TypeId};
use fhir_model::element::Element;

use crate::evaluate::own_type;

/// The elements between a resource and one within it, that one included; `None` if it is not
/// within.
pub(super) fn path_to<'a>(resource: Element<'a>, wanted: Element<'a>) -> Option<Vec<Element<'a>>> {
    let location = wanted.location();
    let mut rest = location.strip_prefix(&resource.location())?;
    let mut path = Vec::new();
    let mut above = resource;
    while !rest.is_empty() {
        let step = rest.strip_prefix('.')?;
        let end = step.find('.').unwrap_or(step.len());
        let (step, after) = step.split_at_checked(end)?;
        let (name, position) = match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
            Some((name, position)) => (name, Some(position.parse::<usize>().ok()?)),
            None => (step, None),
        };
        above = above
            .children_by_key(name)
            .find(|child| child.position() == position)?;
        path.push(above);
        rest = after;
    }
    (above.node() == wanted.node()).then_some(path)
}

/// A path as an expression that leads there and nowhere else: `Patient.name[0].family[0]`.
///
/// A short one leaves the number out where there cannot be several.
pub(super) fn write_path(
    type_id: TypeId,
    path: &[Element<'_>],
    is_short: bool,
    definitions: &Definitions,
) -> Option<String> {
    let mut written = definitions.type_name(type_id).to_owned();
    let mut above = type_id;
    for element in path {
        let property = definitions.property(above, element.name())?;
        let name = definitions.element(property.element).name;
        written.push('.');
        written.push_str(definitions.names().text(name));
        if !is_short || property.is_array {
            // Writing to a String cannot fail.
            let _ = write!(written, "[{}]", element.position().unwrap_or(0));
        }
        above = own_type(*element, property.type_id, definitions);
    }
    Some(written)
}
