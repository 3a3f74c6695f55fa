//! Elements of several types, sliced by type: <https://hl7.org/fhir/R4/profiling.html#choice>.
//!
//! `value[x]:valueQuantity` and its short form `valueQuantity` are the same; neither needs the
//! slicing to be stated. A slice for a type constrains only instances of that type; it is closed
//! where every type has a slice.

use std::rc::Rc;

use serde_json::{Value, json};

use super::differential::Change;
use super::property::{self, Object};
use super::slice::{Place, Role, set};
use super::tree::{Node, Tree};
use super::walk::Walk;
use super::{SnapshotProblem, SnapshotProblemKind};

/// What a differential says of a slice for a type.
struct TypeSlice<'s, 'c> {
    change: &'s Change<'c>,
    /// The name of the slice.
    name: String,
    /// The type, where one is named.
    code: Option<String>,
}

impl Walk<'_, '_> {
    /// An element of several types with slices for them.
    pub(super) fn choice(
        &mut self,
        base: &Rc<Node>,
        unsliced: Option<&Change<'_>>,
        changes: &[&Change<'_>],
        scope: &Rc<Tree>,
    ) -> Result<Rc<Node>, SnapshotProblem> {
        if let Some(unsliced) = unsliced {
            self.check_slicing_by_type(unsliced);
        }
        let slices: Vec<TypeSlice<'_, '_>> = changes
            .iter()
            .map(|change| type_slice(base, change))
            .collect();
        let mut node = self.unsliced(base, unsliced, scope)?;
        node.slices = Vec::new();
        let mut left = base.slices.clone();
        let mut mandatory = None;
        for slice in &slices {
            self.check_name(base, slice);
            if slice
                .change
                .element
                .is_some_and(|element| property::min(element) > 0)
            {
                if slices.len() > 1 {
                    self.note(slice.change, SnapshotProblemKind::SeveralMandatory);
                }
                mandatory = slice.code.clone();
                set(&mut node, "min", Value::from(1));
            }
            let existing = left
                .iter()
                .position(|existing| is_slice_of(existing, slice));
            let made = match existing {
                Some(place) => self.node(&left.remove(place), slice.change, scope, &Role::Same)?,
                None => self.slice_of_type(base, slice, scope)?,
            };
            node.slices.push(Rc::new(made));
        }
        node.slices.extend(left);
        if let Some(code) = mandatory {
            keep_types(&mut node, |of_type| of_type == code);
        }
        let is_short = unsliced.is_none() && is_extension_value(base);
        close(&mut node, is_short);
        Ok(Rc::new(node))
    }

    /// An element of several types that the differential only names in its short form, where that
    /// is no slice.
    ///
    /// Within a slice, `valueQuantity` makes `value[x]` a Quantity. Elsewhere, what is below a
    /// `valueQuantity` that is not named itself is below `value[x]` where that can only be a
    /// Quantity.
    pub(super) fn narrowed(
        &mut self,
        base: &Rc<Node>,
        changes: &[&Change<'_>],
        place: &Place<'_>,
    ) -> Result<Option<Rc<Node>>, SnapshotProblem> {
        let (mut plain, short): (Vec<&Change<'_>>, Vec<&Change<'_>>) = changes
            .iter()
            .partition(|change| change.name == &*base.name);
        let [short] = short.as_slice() else {
            return Ok(None);
        };
        if !base.is_choice()
            || short.slice.is_some()
            || plain.iter().any(|change| change.slice.is_some())
        {
            return Ok(None);
        }
        let stated = plain.pop();
        let codes = match stated.map(Change::types) {
            Some(types @ [_, ..]) => codes_of(types),
            _ => type_codes(&base.element),
        };
        let is_only = codes.len() == 1 && short.element.is_none();
        let is_within = stated.is_none() && place.is_in_slice;
        let Some(code) = type_slice(base, short)
            .code
            .filter(|_| is_only || is_within)
        else {
            return Ok(None);
        };
        let mut narrowed = Node::clone(base);
        if stated.is_none() {
            keep_types(&mut narrowed, |of_type| of_type == code);
        }
        let mut change = stated.map_or_else(|| Change::clone(short), Change::clone);
        if stated.is_some() {
            change.children.extend(short.children.iter().cloned());
        }
        self.unsliced(&Rc::new(narrowed), Some(&change), place.scope)
            .map(Rc::new)
            .map(Some)
    }

    /// A new slice for a type.
    fn slice_of_type(
        &mut self,
        base: &Rc<Node>,
        slice: &TypeSlice<'_, '_>,
        scope: &Rc<Tree>,
    ) -> Result<Node, SnapshotProblem> {
        let role = Role::First {
            slice: &slice.name,
            keeps_min: true,
        };
        let mut typed = Node {
            slices: Vec::new(),
            ..Node::clone(base)
        };
        if let Some(code) = &slice.code
            && slice.change.types().is_empty()
        {
            let is_inherited = property::list(&base.element, "type")
                .iter()
                .any(|of_type| property::type_code(of_type) == code);
            if !is_inherited {
                let kind = SnapshotProblemKind::TypeNotAllowed {
                    code: code.clone(),
                    allowed: type_codes(&base.element),
                };
                return Err(self.fail(Some(&slice.change.label), kind));
            }
            keep_types(&mut typed, |of_type| of_type == code);
        }
        self.node(&Rc::new(typed), slice.change, scope, &role)
    }

    /// Slicing by type cannot say anything but that it is.
    fn check_slicing_by_type(&mut self, unsliced: &Change<'_>) {
        let Some(slicing) = unsliced.element.and_then(|element| element.get("slicing")) else {
            return;
        };
        let is_ordered = slicing.get("ordered").and_then(Value::as_bool) == Some(true);
        let discriminators = slicing.get("discriminator").and_then(Value::as_array);
        let is_by_type = discriminators.is_none_or(|discriminators| {
            matches!(discriminators.as_slice(), [only]
                if property::text(only, "type") == Some("type")
                    && property::text(only, "path") == Some("$this"))
        });
        if is_ordered || !is_by_type {
            self.note(unsliced, SnapshotProblemKind::NotByType);
        }
    }

    /// The name of a slice for a type is that of the property in an instance.
    fn check_name(&mut self, base: &Node, slice: &TypeSlice<'_, '_>) {
        let Some(code) = &slice.code else { return };
        let name = format!("{}{}", base.stem(), capitalized(code));
        if slice.name != name {
            self.note(slice.change, SnapshotProblemKind::SliceName(name));
        }
    }
}

/// What a differential says of a slice, with the type that it is for.
fn type_slice<'s, 'c>(base: &Node, change: &'s Change<'c>) -> TypeSlice<'s, 'c> {
    let stated = match change.types() {
        [only] => Some(property::type_code(only).to_owned()),
        _ => None,
    };
    let suffix = |name: &str| {
        let suffix = name.strip_prefix(base.stem())?;
        let codes = type_codes(&base.element).into_iter();
        codes.into_iter().find(|code| capitalized(code) == suffix)
    };
    let of_name = suffix(change.name).or_else(|| suffix(change.slice?));
    TypeSlice {
        change,
        name: change.slice.unwrap_or(change.name).to_owned(),
        code: stated.or(of_name),
    }
}

/// Whether a slice of the base is the one that a differential means, by its type or name.
fn is_slice_of(existing: &Node, slice: &TypeSlice<'_, '_>) -> bool {
    let types = type_codes(&existing.element);
    match (types.as_slice(), &slice.code) {
        ([only], Some(code)) if only == code => true,
        _ => existing.slice.as_deref() == Some(&*slice.name),
    }
}

/// Sets the slicing of an element with slices for types: closed where each type has one.
fn close(node: &mut Node, is_extension_value: bool) {
    let sliced: Vec<(String, bool)> = node
        .slices
        .iter()
        .filter_map(|slice| match type_codes(&slice.element).as_slice() {
            [only] => Some((only.clone(), property::max(&slice.element) == Some(0))),
            _ => None,
        })
        .collect();
    let has_slice = |code: &str| sliced.iter().any(|(of_slice, _)| of_slice == code);
    let is_prohibited = property::max(&node.element) == Some(0);
    let mut is_closed =
        is_prohibited || type_codes(&node.element).iter().all(|code| has_slice(code));
    if !is_closed && is_extension_value {
        keep_types(node, has_slice);
        is_closed = true;
    }
    let prohibited = |code: &str| {
        sliced
            .iter()
            .any(|(of_slice, none)| of_slice == code && *none)
    };
    if type_codes(&node.element).len() > 1 {
        keep_types(node, |code| !prohibited(code));
    }
    let slicing = json!({
        "discriminator": [{ "type": "type", "path": "$this" }],
        "ordered": false,
        "rules": if is_closed { "closed" } else { "open" },
    });
    set(node, "slicing", slicing);
}

/// Whether it is the value of an extension.
fn is_extension_value(base: &Node) -> bool {
    let path = base
        .element
        .get("base")
        .and_then(|base| property::text(base, "path"));
    path == Some("Extension.value[x]")
}

/// Drops the types of an element that are not wanted.
fn keep_types(node: &mut Node, is_wanted: impl Fn(&str) -> bool) {
    let element = Rc::make_mut(&mut node.element);
    if let Some(Value::Array(types)) = element.get_mut("type") {
        types.retain(|of_type| is_wanted(property::type_code(of_type)));
    }
}

fn type_codes(element: &Object) -> Vec<String> {
    codes_of(property::list(element, "type"))
}

fn codes_of(types: &[Value]) -> Vec<String> {
    types
        .iter()
        .map(|of_type| property::type_code(of_type).to_owned())
        .collect()
}

fn capitalized(code: &str) -> String {
    let mut characters = code.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}
