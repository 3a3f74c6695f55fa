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
        let steps = steps(element, path).ok_or_else(|| illegal(element, path))?;
        let (first, below) = steps.split_first().ok_or_else(|| illegal(element, path))?;
        if first.name != type_name {
            return Err(illegal(element, path));
        }
        if below.len() > MAX_DEPTH {
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

/// A step on the way to an element.
#[derive(Clone, Copy)]
struct Step<'a> {
    /// The name of the element.
    name: &'a str,
    /// The name of its slice.
    slice: Option<&'a str>,
    /// Whether the slice is known; else the order of elements tells it.
    is_known: bool,
}

/// The steps of a path, with the slices of the id where that agrees; `None` where it is no path.
fn steps<'a>(element: &'a Object, path: &'a str) -> Option<Vec<Step<'a>>> {
    let names: Vec<&str> = path.split('.').collect();
    if !names.iter().all(|name| is_name(name)) {
        return None;
    }
    let slice = property::string(element, "sliceName");
    let of_id = property::string(element, "id").and_then(|id| steps_of_id(id, &names, slice));
    Some(of_id.unwrap_or_else(|| steps_of_path(&names, slice)))
}

fn steps_of_path<'a>(names: &[&'a str], slice: Option<&'a str>) -> Vec<Step<'a>> {
    let unknown = |name: &&'a str| Step {
        name,
        slice: None,
        is_known: false,
    };
    let mut steps: Vec<Step<'_>> = names.iter().map(unknown).collect();
    if let Some(last) = steps.last_mut() {
        last.slice = slice;
        last.is_known = true;
    }
    steps
}

/// The steps of an id, if it is that of the path and the slice name.
fn steps_of_id<'a>(
    id: &'a str,
    names: &[&'a str],
    slice: Option<&'a str>,
) -> Option<Vec<Step<'a>>> {
    let step = |part: &'a str| {
        let (name, slice) = match part.split_once(':') {
            Some((name, slice)) => (name, Some(slice)),
            None => (part, None),
        };
        Step {
            name,
            slice,
            is_known: true,
        }
    };
    let steps: Vec<Step<'_>> = id.split('.').map(step).collect();
    let has_names = steps.iter().map(|step| step.name).eq(names.iter().copied());
    let has_slice = steps.last().is_some_and(|last| last.slice == slice);
    (has_names && has_slice).then_some(steps)
}

/// Whether a part of a path may be a name: <https://hl7.org/fhir/R4/elementdefinition.html#path>.
fn is_name(name: &str) -> bool {
    let stem = name.strip_suffix("[x]").unwrap_or(name);
    let is_allowed = |character: char| {
        !character.is_whitespace() && !",:;'\"/|?!@#$%^&*()[]{}".contains(character)
    };
    !stem.is_empty() && name.len() <= 64 && stem.chars().all(is_allowed)
}

/// Puts an element where its steps lead.
fn insert<'a>(change: &mut Change<'a>, steps: &[Step<'a>], element: &'a Object, label: String) {
    let Some((step, below)) = steps.split_first() else {
        change.element = Some(element);
        change.label = label;
        return;
    };
    let place = place(change, *step, below.is_empty()).unwrap_or_else(|| {
        let child = Change::empty(step.name, step.slice, label.clone());
        change.children.push(child);
        change.children.len() - 1
    });
    if let Some(child) = change.children.get_mut(place) {
        insert(child, below, element, label);
    }
}

/// The child that an element, or an element below it, belongs to; the last one is the likeliest.
fn place(change: &Change<'_>, step: Step<'_>, is_end: bool) -> Option<usize> {
    change.children.iter().rposition(|child| {
        let is_it = child.name == step.name && (!step.is_known || child.slice == step.slice);
        // Two elements with one id are two elements.
        is_it && !(is_end && child.element.is_some())
    })
}
