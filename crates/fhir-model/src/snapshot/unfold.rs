//! Types: what an element is made of where the snapshot does not show it, and what it may become.

use std::rc::Rc;

use serde_json::Value;

use super::differential::Change;
use super::property::{self, Object};
use super::tree::{Node, Tree};
use super::walk::Walk;
use super::{MAX_WAITING, SnapshotProblem, SnapshotProblemKind};

/// The extension of a profile's canonical that names an element within the profile.
const PROFILE_ELEMENT: &str =
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-profile-element";

/// The extension that marks a type whose values may be bound to a value set.
const BINDING_STYLE: &str = "http://hl7.org/fhir/tools/StructureDefinition/binding-style";

/// Extensions of a type that a constraint does not lose: <https://hl7.org/fhir/R4/elementdefinition.html>.
const KEPT: &[&str] = &[
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-type-must-support",
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-pattern",
    "http://hl7.org/fhir/StructureDefinition/obligation",
];

/// The types of the standard whose values may be bound to a value set.
const BINDABLE: &[&str] = &[
    "code",
    "Coding",
    "CodeableConcept",
    "CodeableReference",
    "Quantity",
    "string",
    "uri",
];

/// Children, and the tree that they are of.
type Unfolded = (Vec<Rc<Node>>, Rc<Tree>);

impl Walk<'_, '_> {
    /// The children of an element that are defined elsewhere: by its type, by the profile of its
    /// type, or by the element that its content refers to, of which it then takes the type.
    pub(super) fn unfold(
        &mut self,
        element: &mut Object,
        change: &Change<'_>,
        scope: &Rc<Tree>,
    ) -> Result<Unfolded, SnapshotProblem> {
        if let Some(content) = property::string(element, "contentReference") {
            let (node, scope) = self.content(content, change, scope)?;
            element.shift_remove("contentReference");
            if let Some(types) = node.element.get("type") {
                element.insert("type".to_owned(), types.clone());
            }
            *element = property::ordered(std::mem::take(element));
            return Ok((node.children.clone(), scope));
        }
        let types = property::list(element, "type");
        let mut codes: Vec<&str> = types.iter().map(property::type_code).collect();
        codes.dedup();
        let code = match codes.as_slice() {
            [] => {
                let kind = SnapshotProblemKind::UnknownType(String::new());
                return Err(self.fail(Some(&change.label), kind));
            }
            [code] => *code,
            _ => "Element",
        };
        if let Some(profile) = property::only_profile(element)
            && let Some(unfolded) = self.profile(profile, types)?
        {
            return Ok(unfolded);
        }
        match self.generator.type_tree(code)? {
            Some(tree) => Ok((tree.root.children.clone(), tree)),
            None => {
                let kind = SnapshotProblemKind::UnknownType(code.to_owned());
                Err(self.fail(Some(&change.label), kind))
            }
        }
    }

    /// The children that a profile, or an element of it, has.
    fn profile(
        &mut self,
        profile: &str,
        types: &[Value],
    ) -> Result<Option<Unfolded>, SnapshotProblem> {
        let Some(tree) = self.generator.tree(profile)? else {
            return Ok(None);
        };
        let node = match types.first().and_then(profile_element) {
            Some(id) => tree.find(id),
            None => Some(&tree.root),
        };
        Ok(node.map(|node| (node.children.clone(), Rc::clone(&tree))))
    }

    /// The element that a content reference means: one of the same structure, or of another.
    fn content(
        &mut self,
        content: &str,
        change: &Change<'_>,
        scope: &Rc<Tree>,
    ) -> Result<(Rc<Node>, Rc<Tree>), SnapshotProblem> {
        let (url, id) = content.split_once('#').unwrap_or(("", content));
        let tree = if url.is_empty() || url == scope.url {
            Some(Rc::clone(scope))
        } else {
            self.generator.tree(url)?
        };
        let found = tree.and_then(|tree| Some((Rc::clone(tree.find(id)?), tree)));
        found.ok_or_else(|| {
            let kind = SnapshotProblemKind::UnknownContent(content.to_owned());
            self.fail(Some(&change.label), kind)
        })
    }

    /// Checks that the types of a differential are among those that are inherited.
    pub(super) fn check_types(
        &mut self,
        inherited: &Object,
        change: &Change<'_>,
    ) -> Result<(), SnapshotProblem> {
        let allowed = property::list(inherited, "type");
        if allowed.is_empty() {
            return Ok(());
        }
        for of_type in change.types() {
            let code = property::type_code(of_type);
            let mut is_allowed = false;
            for base in allowed {
                is_allowed = is_allowed || self.is_a(code, property::type_code(base))?;
            }
            if !is_allowed {
                let allowed = allowed
                    .iter()
                    .map(|base| property::type_code(base).to_owned());
                let kind = SnapshotProblemKind::TypeNotAllowed {
                    code: code.to_owned(),
                    allowed: allowed.collect(),
                };
                return Err(self.fail(Some(&change.label), kind));
            }
            self.check_profiles(of_type, code, change)?;
        }
        Ok(())
    }

    /// Checks that the profiles of a type constrain that type.
    fn check_profiles(
        &mut self,
        of_type: &Value,
        code: &str,
        change: &Change<'_>,
    ) -> Result<(), SnapshotProblem> {
        if profile_element(of_type).is_some() {
            return Ok(());
        }
        for profile in property::profiles(of_type) {
            let Some(root) = self.generator.root(profile)? else {
                continue;
            };
            if !self.is_a(&root.type_name, code)? {
                let kind = SnapshotProblemKind::ProfileOfOtherType {
                    profile: profile.to_owned(),
                    found: root.type_name.clone(),
                    wanted: code.to_owned(),
                };
                self.note(change, kind);
            }
        }
        Ok(())
    }

    /// Whether a type is another one, or is derived from it.
    fn is_a(&mut self, code: &str, wanted: &str) -> Result<bool, SnapshotProblem> {
        let mut code = code.to_owned();
        for _ in 0..MAX_WAITING {
            if code == wanted {
                return Ok(true);
            }
            let Some(tree) = self.generator.type_tree(&code)? else {
                return Ok(false);
            };
            match &tree.base_type {
                Some(base) => code.clone_from(base),
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Gives the types of an element the extensions that a constraint does not lose.
    pub(super) fn copy_type_extensions(&self, base: &Object, element: &mut Object) {
        let Some(Value::Array(types)) = element.get_mut("type") else {
            return;
        };
        for of_type in types.iter_mut().filter_map(Value::as_object_mut) {
            let code = of_type.get("code").cloned();
            let inherited = property::list(base, "type")
                .iter()
                .filter(|base| base.get("code") == code.as_ref())
                .filter_map(|base| base.get("extension")?.as_array())
                .flatten()
                .filter(|extension| {
                    property::text(extension, "url").is_some_and(|url| KEPT.contains(&url))
                })
                .cloned()
                .collect::<Vec<_>>();
            if !inherited.is_empty() {
                let inherited = Value::Array(inherited);
                super::merge::append(of_type, "extension", &inherited, |item, other| {
                    item == other
                });
            }
        }
    }

    /// Whether an element has a type that can be bound to a value set.
    pub(super) fn is_bindable(&mut self, element: &Object) -> Result<bool, SnapshotProblem> {
        for of_type in property::list(element, "type") {
            let code = property::type_code(of_type);
            if BINDABLE.contains(&code) {
                return Ok(true);
            }
            if code.contains(':') && self.has_binding_style(code)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has_binding_style(&mut self, code: &str) -> Result<bool, SnapshotProblem> {
        let tree = self.generator.type_tree(code)?;
        Ok(tree.is_some_and(|tree| tree.extensions.iter().any(|url| url == BINDING_STYLE)))
    }
}

/// The element within the profile of a type, where it is not the root.
fn profile_element(of_type: &Value) -> Option<&str> {
    let companions = of_type.get("_profile")?.as_array()?;
    let extensions = companions.first()?.get("extension")?.as_array()?;
    let extension = extensions
        .iter()
        .find(|extension| property::text(extension, "url") == Some(PROFILE_ELEMENT))?;
    property::text(extension, "valueString")
}
