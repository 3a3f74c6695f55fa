//! What an element takes from the profile of its type: <https://hl7.org/fhir/R4/elementdefinition.html>.
//!
//! Extensions and resources start as what the root of their profile says. Elements of other types
//! keep what they say: that an instance must conform to the profile as well is what `type.profile`
//! means, which is for the validator. The children of a profile are unfolded elsewhere.

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
            describe_extension(element);
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

    /// Takes over the cardinality of the root of a profile.
    pub(super) fn limit_by_profile(
        &mut self,
        element: &mut Object,
        change: &Change<'_>,
    ) -> Result<(), SnapshotProblem> {
        let profile = change.element.and_then(property::only_profile);
        let Some(profile) = profile else {
            return Ok(());
        };
        let Some(root) = self.generator.root(profile)? else {
            return Ok(());
        };
        if !change.has("min") && property::min(&root.element) > property::min(element) {
            element.insert("min".to_owned(), Value::from(property::min(&root.element)));
        }
        if !change.has("max") && property::max(&root.element) == Some(1) {
            element.insert("max".to_owned(), Value::from("1"));
        }
        Ok(())
    }
}

/// Gives an extension a text of its own: what the standard says of all of them does not help.
pub(super) fn describe_extension(element: &mut Object) {
    for text in ["comment", "requirements", "alias", "mapping"] {
        element.shift_remove(text);
    }
    element.insert("short".to_owned(), Value::from("Extension"));
    element.insert("definition".to_owned(), Value::from("An Extension"));
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
