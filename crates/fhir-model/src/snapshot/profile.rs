//! What an element takes from the profile of its type: <https://hl7.org/fhir/R4/elementdefinition.html>.
//!
//! Extensions and resources start as what the root of their profile says; other types keep what
//! the element says and take the constraints of the profile's root besides. The children of a
//! profile are unfolded elsewhere.

use std::rc::Rc;

use serde_json::Value;

use super::SnapshotProblem;
use super::SnapshotProblemKind;
use super::differential::Change;
use super::merge::append;
use super::property::{self, Object};
use super::tree::{Node, Root};
use super::walk::Walk;

impl Walk<'_, '_> {
    /// Gives an extension, or a slice with a profile, the texts of its profile.
    ///
    /// Every extension would otherwise be described as "additional content defined by
    /// implementations".
    pub(super) fn describe(
        &mut self,
        element: &mut Object,
        base: &Node,
        change: &Change<'_>,
    ) -> Result<(), SnapshotProblem> {
        if change.element.is_none() {
            return Ok(());
        }
        if base.is_extension() {
            for text in ["comment", "requirements", "alias", "mapping"] {
                element.shift_remove(text);
            }
            element.insert("short".to_owned(), Value::from("Extension"));
            element.insert("definition".to_owned(), Value::from("An Extension"));
        }
        let Some(root) = self.describing(element, change)? else {
            return Ok(());
        };
        for text in [
            "short",
            "definition",
            "comment",
            "requirements",
            "alias",
            "mapping",
        ] {
            match root.element.get(text) {
                Some(value) => {
                    element.insert(text.to_owned(), value.clone());
                }
                None if matches!(text, "alias" | "mapping" | "short") => {
                    element.shift_remove(text);
                }
                None => {}
            }
        }
        Ok(())
    }

    /// The root of the profile that describes an element.
    fn describing(
        &mut self,
        element: &Object,
        change: &Change<'_>,
    ) -> Result<Option<Rc<Root>>, SnapshotProblem> {
        if change.slice.is_some()
            && let Some(profile) = property::only_profile(element)
            && let Some(root) = self.generator.root(profile)?
        {
            return Ok(Some(root));
        }
        let first = change
            .types()
            .first()
            .and_then(|of_type| property::profiles(of_type).next());
        let Some(profile) = first else {
            return Ok(None);
        };
        let root = self.generator.root(profile)?;
        if root.is_none() {
            self.note(
                change,
                SnapshotProblemKind::UnknownProfile(profile.to_owned()),
            );
        }
        Ok(root.filter(|root| root.is_resource || root.type_name == "Extension"))
    }

    /// Starts an extension, or a resource, from the root of the profile that it is to conform to.
    pub(super) fn start_from_profile(
        &mut self,
        element: &mut Object,
        change: &Change<'_>,
    ) -> Result<(), SnapshotProblem> {
        let Some((code, profile)) = new_profile(element, change) else {
            return Ok(());
        };
        let [of_base] = property::list(element, "type") else {
            return Ok(());
        };
        let is_open = property::profiles(of_base).next().is_none()
            && matches!(property::type_code(of_base), "Extension" | "Resource");
        if !is_open {
            return Ok(());
        }
        let Some(root) = self.generator.root(profile)? else {
            return Ok(());
        };
        let mut started = Object::clone(&root.element);
        started.shift_remove("sliceName");
        if root.is_resource {
            // `%resource` of its constraints would be another one here.
            started.shift_remove("constraint");
        }
        if code != "Extension" {
            for cardinality in ["min", "max"] {
                started.shift_remove(cardinality);
            }
        }
        fill_out(&mut started, std::mem::take(element));
        *element = started;
        Ok(())
    }

    /// Takes what the root of a newly demanded profile says more than the root of its type.
    pub(super) fn adopt_profile(
        &mut self,
        element: &mut Object,
        change: &Change<'_>,
    ) -> Result<(), SnapshotProblem> {
        let Some((code, profile)) = new_profile(element, change) else {
            return Ok(());
        };
        let Some(root) = self.generator.root(profile)? else {
            return Ok(());
        };
        if root.is_resource || root.type_name == "Extension" {
            return Ok(());
        }
        let Some(of_type) = self.generator.type_tree(code)? else {
            return Ok(());
        };
        for (name, value) in root.element.iter() {
            let inherited = of_type.root.element.get(name);
            match property::row(name) {
                Some((_, "constraint", _)) => {
                    let added = added_constraints(value, inherited);
                    append(element, name, &added, |item, other| {
                        item.get("key") == other.get("key")
                    });
                }
                Some((_, "fixed" | "pattern" | "mustSupport" | "binding", _))
                    if inherited != Some(value) =>
                {
                    element.insert(name.clone(), value.clone());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes over the cardinality of the root of a profile.
    pub(super) fn limit_by_profile(&mut self, element: &mut Object) -> Result<(), SnapshotProblem> {
        let Some(profile) = property::only_profile(element) else {
            return Ok(());
        };
        let Some(root) = self.generator.root(profile)? else {
            return Ok(());
        };
        if property::min(&root.element) > property::min(element) {
            element.insert("min".to_owned(), Value::from(property::min(&root.element)));
        }
        if property::max(&root.element) == Some(1) && property::max(element) != Some(0) {
            element.insert("max".to_owned(), Value::from("1"));
        }
        Ok(())
    }
}

/// Adds what an element says to what the root of its profile says; the root goes before.
fn fill_out(root: &mut Object, element: Object) {
    for (name, value) in element {
        match name.as_str() {
            "constraint" => append(root, &name, &value, |item, other| {
                item.get("key") == other.get("key")
            }),
            "code" | "alias" => append(root, &name, &value, |item, other| item == other),
            "base" | "sliceName" | "type" | "id" | "path" => {
                root.insert(name, value);
            }
            _ => {
                root.entry(name).or_insert(value);
            }
        }
    }
}

/// The constraints that are not among the inherited ones.
fn added_constraints(constraints: &Value, inherited: Option<&Value>) -> Value {
    let inherited = inherited.and_then(Value::as_array).map(Vec::as_slice);
    let inherited = inherited.unwrap_or_default();
    let is_added = |constraint: &&Value| {
        !inherited
            .iter()
            .any(|other| other.get("key") == constraint.get("key"))
    };
    let constraints = constraints.as_array().into_iter().flatten();
    constraints.filter(is_added).cloned().collect()
}

/// The type and profile that a differential newly demands of an element.
fn new_profile<'c>(element: &Object, change: &Change<'c>) -> Option<(&'c str, &'c str)> {
    let [of_type] = change.types() else {
        return None;
    };
    let profile = property::profiles(of_type).next()?;
    let code = property::type_code(of_type);
    let of_base = property::list(element, "type").first();
    let is_new = of_base.and_then(|of_type| property::profiles(of_type).next()) != Some(profile);
    (is_new && code != "Reference").then_some((code, profile))
}
