//! A differential as a tree: what it says of each element, and of what is below it.
//!
//! A differential leaves out what it says nothing about, also elements between the root and one
//! that it names. Elements are put where their ids say, if these agree with the paths; else where
//! they stand.

use serde_json::Value;

use super::property::{self, Object};
use super::{MAX_DEPTH, SnapshotProblemKind};

/// What a differential says of an element.
#[derive(Clone, Debug)]
pub(super) struct Change<'a> {
    /// The last part of its path.
    pub(super) name: &'a str,
    /// Its name as a slice.
    pub(super) slice: Option<&'a str>,
    /// What is said of the element itself, if anything.
    pub(super) element: Option<&'a Object>,
    /// Where it stands in the differential, for messages.
    pub(super) label: String,
    /// What is said of its children and their slices, in order.
    pub(super) children: Vec<Change<'a>>,
}

impl<'a> Change<'a> {
    /// A change that says nothing itself.
    pub(super) fn empty(name: &'a str, slice: Option<&'a str>, label: String) -> Self {
        Self {
            name,
            slice,
            element: None,
            label,
            children: Vec::new(),
        }
    }

    /// Whether the differential says something of the element by this property.
    pub(super) fn has(&self, property: &str) -> bool {
        self.element
            .is_some_and(|element| element.contains_key(property))
    }

    /// The types that it names.
    pub(super) fn types(&self) -> &'a [Value] {
        self.element
            .map(|element| property::list(element, "type"))
            .unwrap_or_default()
    }
}

/// A path that is none, and the element that has it.
pub(super) type PathProblem = (Option<String>, SnapshotProblemKind);

/// The tree of the elements of a differential of the type with this name.
pub(super) fn read<'a>(
    elements: &'a [Value],
    type_name: &'a str,
) -> Result<Change<'a>, PathProblem> {
    let mut root = Change::empty(type_name, None, type_name.to_owned());
    for element in elements {
        let Value::Object(element) = element else {
            return Err((None, SnapshotProblemKind::Missing("differential.element")));
        };
        let Some(path) = property::string(element, "path") else {
            return Err((
                None,
                SnapshotProblemKind::Missing("differential.element.path"),
            ));
        };
        let parts = parts(element, path).ok_or_else(|| illegal(element, path))?;
        let ((first, _), below) = parts.split_first().ok_or_else(|| illegal(element, path))?;
        if *first != type_name {
            return Err(illegal(element, path));
        }
        if parts.len() > MAX_DEPTH {
            return Err((Some(path.to_owned()), SnapshotProblemKind::TooDeep));
        }
        insert(&mut root, below, element, label(element, path));
    }
    Ok(root)
}

fn illegal(element: &Object, path: &str) -> PathProblem {
    let kind = SnapshotProblemKind::IllegalPath(path.to_owned());
    (Some(label(element, path)), kind)
}

fn label(element: &Object, path: &str) -> String {
    property::string(element, "id").unwrap_or(path).to_owned()
}

/// The steps to an element: names, and slices where they are known.
type Parts<'a> = Vec<(&'a str, Option<Option<&'a str>>)>;

/// The parts of a path, with the slices of the id where that agrees; `None` where it is no path.
///
/// The slice of a part is `None` where only the order of elements tells it.
fn parts<'a>(element: &'a Object, path: &'a str) -> Option<Parts<'a>> {
    let names: Vec<&str> = path.split('.').collect();
    if !names.iter().all(|name| is_name(name)) {
        return None;
    }
    let slice = property::string(element, "sliceName");
    let of_id = property::string(element, "id").and_then(|id| parts_of_id(id, &names, slice));
    Some(of_id.unwrap_or_else(|| {
        let mut parts: Parts<'_> = names.iter().map(|name| (*name, None)).collect();
        if let Some(last) = parts.last_mut() {
            last.1 = Some(slice);
        }
        parts
    }))
}

/// The parts of an id, if it is that of the path and the slice name.
fn parts_of_id<'a>(id: &'a str, names: &[&'a str], slice: Option<&'a str>) -> Option<Parts<'a>> {
    let mut parts = Parts::new();
    for (part, name) in id.split('.').zip(names) {
        let (of_id, slice) = match part.split_once(':') {
            Some((of_id, slice)) => (of_id, Some(slice)),
            None => (part, None),
        };
        if of_id != *name {
            return None;
        }
        parts.push((*name, Some(slice)));
    }
    let is_whole = parts.len() == names.len() && id.split('.').count() == names.len();
    let agrees = parts.last().is_some_and(|(_, of_id)| *of_id == Some(slice));
    (is_whole && agrees).then_some(parts)
}

/// Whether a part of a path may be a name: <https://hl7.org/fhir/R4/elementdefinition.html#path>.
fn is_name(name: &str) -> bool {
    let stem = name.strip_suffix("[x]").unwrap_or(name);
    let is_allowed = |character: char| {
        !character.is_whitespace() && !",:;'\"/|?!@#$%^&*()[]{}".contains(character)
    };
    !stem.is_empty() && name.len() <= 64 && stem.chars().all(is_allowed)
}

/// Puts an element where its parts say.
fn insert<'a>(
    change: &mut Change<'a>,
    parts: &[(&'a str, Option<Option<&'a str>>)],
    element: &'a Object,
    label: String,
) {
    let Some(((name, slice), below)) = parts.split_first() else {
        change.element = Some(element);
        change.label = label;
        return;
    };
    let place = place(change, name, *slice, below.is_empty());
    let place = place.unwrap_or_else(|| {
        let slice = slice.unwrap_or_default();
        change
            .children
            .push(Change::empty(name, slice, label.clone()));
        change.children.len() - 1
    });
    if let Some(child) = change.children.get_mut(place) {
        insert(child, below, element, label);
    }
}

/// The child that an element, or an element below it, belongs to; the last one is the likeliest.
fn place(
    change: &Change<'_>,
    name: &str,
    slice: Option<Option<&str>>,
    is_end: bool,
) -> Option<usize> {
    change.children.iter().rposition(|child| {
        let is_it = child.name == name && slice.is_none_or(|slice| child.slice == slice);
        // Two elements with one id are two elements.
        is_it && !(is_end && child.element.is_some())
    })
}
