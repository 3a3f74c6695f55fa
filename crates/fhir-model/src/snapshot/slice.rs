//! Slicing: <https://hl7.org/fhir/R4/profiling.html#slicing>.
//!
//! A slice starts as what the element is in the base, or in the profile of its type, and goes on
//! from there; it inherits nothing that this differential says of the unsliced element but its
//! maximum. A slice whose minimum is not stated is optional, unless slicing is closed.

use std::rc::Rc;

use serde_json::{Value, json};

use super::differential::Change;
use super::profile::describe_extension;
use super::property::{self, Object};
use super::tree::{Node, Tree};
use super::walk::Walk;
use super::{SnapshotProblem, SnapshotProblemKind};

/// Where the children of an element stand.
pub(super) struct Place<'p> {
    /// The tree that they are of in the base.
    pub(super) scope: &'p Rc<Tree>,
    /// Whether the element is a slice.
    pub(super) is_in_slice: bool,
}

/// What an element of the base is to become.
pub(super) enum Role<'r> {
    /// The same element, or the same slice.
    Same,
    /// A slice of an element that was not sliced yet.
    First {
        /// The name of the slice.
        slice: &'r str,
        /// Whether it keeps the minimum of the element.
        keeps_min: bool,
    },
    /// A slice beside others of the base.
    Added(&'r str),
    /// A slice of a slice.
    Again(&'r str),
}

impl Role<'_> {
    /// The name of the slice that the element becomes.
    pub(super) fn slice(&self) -> Option<&str> {
        match self {
            Self::Same => None,
            Self::First { slice, .. } | Self::Added(slice) | Self::Again(slice) => Some(slice),
        }
    }

    /// Whether the minimum is that of the base where none is stated.
    fn keeps_min(&self) -> bool {
        match self {
            Self::Same => true,
            Self::First { keeps_min, .. } => *keeps_min,
            Self::Added(_) | Self::Again(_) => false,
        }
    }
}

impl Walk<'_, '_> {
    /// An element of the base, and its slices, with what the differential says of them.
    pub(super) fn child(
        &mut self,
        base: &Rc<Node>,
        changes: &[&Change<'_>],
        place: &Place<'_>,
    ) -> Result<Rc<Node>, SnapshotProblem> {
        let scope = place.scope;
        if let Some(narrowed) = self.narrowed(base, changes, place)? {
            return Ok(narrowed);
        }
        let is_plain = |change: &&&Change<'_>| {
            change.slice.is_none() && !(base.is_choice() && change.name != &*base.name)
        };
        let (plain, slices): (Vec<&Change<'_>>, Vec<&Change<'_>>) =
            changes.iter().partition(is_plain);
        for again in plain.iter().skip(1) {
            self.note(again, SnapshotProblemKind::SliceUnnamed);
        }
        let unsliced = plain.first().copied();
        if slices.is_empty() {
            return self.unsliced(base, unsliced, scope).map(Rc::new);
        }
        if base.is_choice() {
            return self.choice(base, unsliced, &slices, scope);
        }
        self.sliced(base, unsliced, &slices, scope)
    }

    /// The element without its slices, but with those that the base has.
    pub(super) fn unsliced(
        &mut self,
        base: &Rc<Node>,
        change: Option<&Change<'_>>,
        scope: &Rc<Tree>,
    ) -> Result<Node, SnapshotProblem> {
        let mut node = match change {
            Some(change) => self.node(base, change, scope, &Role::Same)?,
            None => Node::clone(base),
        };
        node.slices = base.slices.clone();
        Ok(node)
    }

    /// An element that is sliced, here or in the base already.
    fn sliced(
        &mut self,
        base: &Rc<Node>,
        unsliced: Option<&Change<'_>>,
        changes: &[&Change<'_>],
        scope: &Rc<Tree>,
    ) -> Result<Rc<Node>, SnapshotProblem> {
        let was_sliced = base.element.contains_key("slicing");
        let mut node = self.unsliced(base, unsliced, scope)?;
        if let Some(first) = changes.first() {
            self.check_slicing(base, unsliced, first);
        }
        if !node.element.contains_key("slicing") && base.is_extension() {
            describe_extension(Rc::make_mut(&mut node.element));
            set(&mut node, "slicing", by_url());
        }
        let is_closed = slicing_rules(&node.element) == Some("closed");
        for change in changes {
            let name = change.slice.unwrap_or_default();
            let place = node
                .slices
                .iter()
                .position(|slice| slice.slice.as_deref() == Some(name));
            if let Some(place) = place {
                let Some(slice) = node.slices.get(place).cloned() else {
                    continue;
                };
                if base.slice_named(name).is_none() {
                    self.note(change, SnapshotProblemKind::SliceTwice);
                }
                let slice = self.for_all_slices(&slice, unsliced, scope)?;
                let constrained = self.node(&slice, change, scope, &Role::Same)?;
                if let Some(slot) = node.slices.get_mut(place) {
                    *slot = Rc::new(constrained);
                }
                continue;
            }
            let (parent, end) = resliced(&node, name);
            let role = if parent.is_some() {
                Role::Again(name)
            } else if was_sliced {
                if is_closed && slicing_rules(&base.element) == Some("closed") {
                    self.note(change, SnapshotProblemKind::SlicingClosed);
                }
                Role::Added(name)
            } else {
                Role::First {
                    slice: name,
                    keeps_min: false,
                }
            };
            let parent = parent.unwrap_or_else(|| Rc::clone(base));
            let parent = self.for_all_slices(&parent, unsliced, scope)?;
            let mut slice = self.node(&parent, change, scope, &role)?;
            if !was_sliced {
                cap_max(&mut slice, &node);
            }
            node.slices.insert(end, Rc::new(slice));
        }
        self.raise_min(&mut node, unsliced, changes);
        Ok(Rc::new(node))
    }

    /// What a slice starts with, with what the differential says of the children of all slices
    /// where it sets up slicing.
    fn for_all_slices(
        &mut self,
        slice: &Rc<Node>,
        unsliced: Option<&Change<'_>>,
        scope: &Rc<Tree>,
    ) -> Result<Rc<Node>, SnapshotProblem> {
        match unsliced {
            Some(all) if all.has("slicing") && !all.children.is_empty() => {
                let children = Change {
                    element: None,
                    ..all.clone()
                };
                self.node(slice, &children, scope, &Role::Same).map(Rc::new)
            }
            _ => Ok(Rc::clone(slice)),
        }
    }

    /// Whether slicing may begin, or go on, as the differential wants.
    fn check_slicing(&mut self, base: &Node, unsliced: Option<&Change<'_>>, first: &Change<'_>) {
        let stated = unsliced.and_then(|change| change.element?.get("slicing"));
        let change = unsliced.unwrap_or(first);
        if let Some(inherited) = base.element.get("slicing") {
            if stated.is_some_and(|stated| !continues(stated, inherited)) {
                self.note(change, SnapshotProblemKind::SlicingChanged);
            }
            return;
        }
        if stated.is_none() && !base.is_extension() {
            self.note(change, SnapshotProblemKind::NotSliced);
        }
        let repeats = property::exceeds(property::max(&base.element), Some(1));
        let to_one = unsliced.is_some_and(|change| {
            change
                .element
                .is_some_and(|element| property::max(element) == Some(1))
        });
        if !repeats && !to_one {
            self.note(change, SnapshotProblemKind::DoesNotRepeat);
        }
    }

    /// Sees to it that the element is as mandatory as its slices are together.
    fn raise_min(
        &mut self,
        node: &mut Node,
        unsliced: Option<&Change<'_>>,
        changes: &[&Change<'_>],
    ) {
        let repeats = node
            .element
            .get("base")
            .is_some_and(|base| property::text(base, "max") != Some("1"));
        let is_top = |slice: &&Rc<Node>| !slice.slice.as_deref().unwrap_or_default().contains('/');
        let slices: u64 = node
            .slices
            .iter()
            .filter(is_top)
            .map(|slice| property::min(&slice.element))
            .sum();
        let min = property::min(&node.element);
        if slices <= min || !repeats {
            return;
        }
        match (unsliced, changes.first()) {
            (Some(change), _) => {
                self.note(change, SnapshotProblemKind::MinOfSlices { slices, min });
            }
            (None, _) => set(node, "min", Value::from(slices)),
        }
    }

    /// What an element starts with, before the differential is laid over it.
    pub(super) fn inherited(
        &mut self,
        base: &Rc<Node>,
        change: &Change<'_>,
        role: &Role<'_>,
    ) -> Result<Object, SnapshotProblem> {
        let mut element = Object::clone(&base.element);
        if let Some(slice) = role.slice() {
            element.shift_remove("slicing");
            element.insert("sliceName".to_owned(), Value::from(slice));
        }
        if matches!(role, Role::Same | Role::First { .. }) {
            self.start_from_profile(&mut element, change)?;
        }
        if !role.keeps_min() && !change.has("min") {
            element.insert("min".to_owned(), Value::from(0));
        }
        if matches!(role, Role::Added(_)) {
            self.limit_by_profile(&mut element, change)?;
        }
        Ok(property::ordered(element))
    }
}

/// The slice that a slice of this name is a slice of, and where the new one belongs.
fn resliced(node: &Node, name: &str) -> (Option<Rc<Node>>, usize) {
    let end = node.slices.len();
    let Some((parent, _)) = name.rsplit_once('/') else {
        return (None, end);
    };
    let Some(slice) = node.slice_named(parent) else {
        return (None, end);
    };
    let is_of_parent = |slice: &Rc<Node>| {
        let slice = slice.slice.as_deref().unwrap_or_default();
        slice
            .strip_prefix(parent)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let last = node.slices.iter().rposition(is_of_parent);
    (Some(Rc::clone(slice)), last.map_or(end, |last| last + 1))
}

/// Slicing of extensions, which needs no words: <https://hl7.org/fhir/R4/profiling.html#extension>.
fn by_url() -> Value {
    json!({
        "discriminator": [{ "type": "value", "path": "url" }],
        "ordered": false,
        "rules": "open",
    })
}

/// The rules of the slicing of an element.
pub(super) fn slicing_rules(element: &Object) -> Option<&str> {
    property::text(element.get("slicing")?, "rules")
}

/// Whether slicing goes on as in the base: in the same order, by the same discriminators and
/// more, no less closed.
fn continues(slicing: &Value, base: &Value) -> bool {
    let ordered = |slicing: &Value| slicing.get("ordered").and_then(Value::as_bool);
    let discriminators = |slicing: &'_ Value| {
        slicing
            .get("discriminator")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let same_order = match (ordered(slicing), ordered(base)) {
        (Some(own), Some(inherited)) => own == inherited,
        _ => true,
    };
    let (own, inherited) = (discriminators(slicing), discriminators(base));
    let same_discriminators = own.is_empty() || own.starts_with(&inherited);
    let same_rules = match (
        property::text(slicing, "rules"),
        property::text(base, "rules"),
    ) {
        (None, _) | (_, None | Some("open")) => true,
        (Some(own), Some(inherited)) => {
            own == inherited || inherited == "openAtEnd" && own == "closed"
        }
    };
    same_order && same_discriminators && same_rules
}

/// Sets a property of the element of a node.
pub(super) fn set(node: &mut Node, name: &str, value: Value) {
    let element = Rc::make_mut(&mut node.element);
    element.insert(name.to_owned(), value);
    *element = property::ordered(std::mem::take(element));
}

/// Keeps a slice from repeating more often than what it slices.
fn cap_max(slice: &mut Node, sliced: &Node) {
    if property::exceeds(
        property::max(&slice.element),
        property::max(&sliced.element),
    ) && let Some(max) = sliced.element.get("max").cloned()
    {
        set(slice, "max", max);
    }
}
