//! One operation on a resource: what its path finds, and what becomes of that.

use std::cell::Cell;

use fhir_model::definition::{Definitions, Property, TypeId};
use fhir_model::element::Element;
use fhir_model::tree::{NodeId, Tree};
use fhirpath::{Context, Expression, Item, Options};

use crate::patch::PatchError;
use crate::patch::draft::{Draft, Member};
use crate::patch::fhirpath::content::{self, New};
use crate::patch::fhirpath::occurrence::Occurrences;
use crate::patch::fhirpath::place::{Step, descend, steps, type_at};
use crate::patch::fhirpath::{Action, Operation, malformed};

/// One operation on a resource.
pub(super) struct Edit<'a> {
    pub(super) definitions: &'a Definitions,
    pub(super) parameters: &'a Tree,
    pub(super) resource: &'a Tree,
    pub(super) steps_left: &'a Cell<u64>,
}

/// An element that a path found: the way to the object that it is in, and its own step.
type Found = (Vec<Step>, Step);

impl<'a> Edit<'a> {
    /// The text of what comes out; nothing when there is nothing to do.
    pub(super) fn take(&self, operation: &Operation) -> Result<Option<String>, PatchError> {
        let path = &operation.path;
        let mut draft = Draft::Kept(self.resource.root());
        match &operation.action {
            Action::Add { name, value } => self.add(&mut draft, path, name, *value)?,
            Action::Insert { index, value } => self.insert(&mut draft, path, *index, *value)?,
            Action::Replace { value } => self.replace(&mut draft, path, *value)?,
            Action::Move {
                source,
                destination,
            } => self.relocate(&mut draft, path, *source, *destination)?,
            Action::Delete => {
                if !self.delete(&mut draft, path)? {
                    return Ok(None);
                }
            }
        }
        draft.prune();
        let mut text = String::with_capacity(self.resource.source().len());
        draft.write(&mut text);
        Ok(Some(text))
    }

    fn add(
        &self,
        draft: &mut Draft<'a>,
        path: &str,
        name: &str,
        value: NodeId,
    ) -> Result<(), PatchError> {
        let container = self.one(path)?;
        self.append(draft, &container, name, value)
    }

    /// Adds an occurrence of an element behind those that are there.
    fn append(
        &self,
        draft: &mut Draft<'a>,
        container: &[Step],
        name: &str,
        value: NodeId,
    ) -> Result<(), PatchError> {
        let parent = self.type_at(container)?;
        let new = self.new_element(parent, name, value)?;
        let members = members_at(draft, container)?;
        let mut names = vec![new.name];
        if new.property.is_choice {
            names = self.names_of_choice(parent, &new);
        }
        let is_there = |name: &str| {
            let mut keys = members.iter().map(|member| member.key.as_ref());
            keys.any(|key| key.strip_prefix('_').unwrap_or(key) == name)
        };
        if !new.property.is_array && names.into_iter().any(is_there) {
            return Err(PatchError::Conflict(format!(
                "there is a {name} already, and it does not repeat"
            )));
        }
        let mut occurrences = Occurrences::take(members, new.name);
        occurrences.list.push(new.occurrence);
        occurrences.put(members, new.name, new.property.is_array);
        Ok(())
    }

    fn insert(
        &self,
        draft: &mut Draft<'a>,
        path: &str,
        index: usize,
        value: NodeId,
    ) -> Result<(), PatchError> {
        let Some((above, name)) = self.list(path)? else {
            // A list without elements is no list that a path could give.
            let (container, name) = split(path)?;
            if index > 0 {
                return Err(beyond(index, 0));
            }
            let container = self.one(container)?;
            repeats(&self.new_element(self.type_at(&container)?, name, value)?)?;
            return self.append(draft, &container, name, value);
        };
        let new = self.new_element(self.type_at(&above)?, &name, value)?;
        repeats(&new)?;
        let members = members_at(draft, &above)?;
        let mut occurrences = Occurrences::take(members, &name);
        if index > occurrences.list.len() {
            return Err(beyond(index, occurrences.list.len()));
        }
        occurrences.list.insert(index, new.occurrence);
        occurrences.put(members, &name, true);
        Ok(())
    }

    fn replace(&self, draft: &mut Draft<'a>, path: &str, value: NodeId) -> Result<(), PatchError> {
        let (above, step) = below_root(self.one(path)?)?;
        let new = self.new_element(self.type_at(&above)?, &step.name, value)?;
        let members = members_at(draft, &above)?;
        let mut occurrences = Occurrences::take(members, &step.name);
        if let Some(place) = occurrences.list.get_mut(step.position.unwrap_or_default()) {
            *place = new.occurrence;
        }
        occurrences.put(members, new.name, new.property.is_array);
        Ok(())
    }

    /// Whether there was something to delete: <https://hl7.org/fhir/R4/fhirpatch.html> deletes "if
    /// found".
    fn delete(&self, draft: &mut Draft<'a>, path: &str) -> Result<bool, PatchError> {
        let Some(found) = self.at_most_one(path)? else {
            return Ok(false);
        };
        let (above, step) = below_root(found)?;
        let members = members_at(draft, &above)?;
        let mut occurrences = Occurrences::take(members, &step.name);
        let position = step.position.unwrap_or_default();
        if position < occurrences.list.len() {
            occurrences.list.remove(position);
        }
        occurrences.put(members, &step.name, step.position.is_some());
        Ok(true)
    }

    fn relocate(
        &self,
        draft: &mut Draft<'a>,
        path: &str,
        source: usize,
        destination: usize,
    ) -> Result<(), PatchError> {
        let Some((above, name)) = self.list(path)? else {
            return Err(nothing());
        };
        let members = members_at(draft, &above)?;
        let mut occurrences = Occurrences::take(members, &name);
        let count = occurrences.list.len();
        if let Some(index) = [source, destination].into_iter().find(|it| *it >= count) {
            return Err(beyond(index, count));
        }
        let moved = occurrences.list.remove(source);
        occurrences.list.insert(destination, moved);
        occurrences.put(members, &name, true);
        Ok(())
    }

    fn new_element(
        &self,
        parent: TypeId,
        name: &str,
        value: NodeId,
    ) -> Result<New<'a, 'a>, PatchError> {
        let part = self.parameters.node(value);
        let part = part.ok_or_else(|| malformed("the part \"value\" is missing"))?;
        content::new(self.definitions, parent, name, part)
    }

    fn names_of_choice(&self, parent: TypeId, new: &New<'_, '_>) -> Vec<&'a str> {
        let is_same = |property: &&Property| property.element == new.property.element;
        let properties = self.definitions.properties(parent).iter().filter(is_same);
        properties
            .map(|property| self.definitions.names().text(property.name))
            .collect()
    }

    fn type_at(&self, place: &[Step]) -> Result<TypeId, PatchError> {
        type_at(self.definitions, self.resource, place).ok_or_else(|| {
            PatchError::Conflict("the path leads through elements that R4 does not define".into())
        })
    }

    /// The way to the one element that a path must give.
    fn one(&self, path: &str) -> Result<Vec<Step>, PatchError> {
        self.at_most_one(path)?.ok_or_else(nothing)
    }

    fn at_most_one(&self, path: &str) -> Result<Option<Vec<Step>>, PatchError> {
        let mut found = self.evaluate(path)?;
        if found.len() > 1 {
            return Err(PatchError::Conflict(format!(
                "the path gives {} elements, and one is needed",
                found.len()
            )));
        }
        Ok(found.pop())
    }

    /// The list that a path gives: the way to its object, and its name; nothing if it gives nothing.
    fn list(&self, path: &str) -> Result<Option<(Vec<Step>, String)>, PatchError> {
        let found: Result<Vec<Found>, PatchError> =
            self.evaluate(path)?.into_iter().map(below_root).collect();
        let found = found?;
        let Some((above, first)) = found.first() else {
            return Ok(None);
        };
        let is_same = |(other, step): &Found| other == above && step.name == first.name;
        if !found.iter().all(is_same) {
            return Err(PatchError::Conflict(
                "the path gives elements of more than one list".into(),
            ));
        }
        Ok(Some((above.clone(), first.name.clone())))
    }

    fn evaluate(&self, path: &str) -> Result<Vec<Vec<Step>>, PatchError> {
        let root = Item::resource(self.resource.element(), self.definitions)
            .ok_or_else(|| PatchError::Unprocessable("this is no resource of R4".into()))?;
        let resource_type = self.resource.resource_type().unwrap_or_default();
        let options = Options {
            root: self.definitions.resource_type(&resource_type),
            check: true,
            ..Options::default()
        };
        let expression = Expression::compile_with(path, self.definitions, &options)
            .map_err(|error| malformed(format!("the path is refused: {error}")))?;
        let context = Context {
            steps_left: Some(self.steps_left),
            ..Context::new(self.definitions)
        };
        let items = expression
            .evaluate(&context, root)
            .map_err(|error| malformed(format!("the path is refused: {error}")))?;
        let places = items.iter().map(|item| {
            let node = item.element().map(Element::node);
            let own = node.filter(|node| std::ptr::eq(node.tree(), self.resource));
            own.map(|node| steps(self.resource, node))
                .ok_or_else(|| malformed("the path gives values, and elements are needed"))
        });
        places.collect()
    }
}

/// The members of the object at some steps.
fn members_at<'d, 't>(
    draft: &'d mut Draft<'t>,
    place: &[Step],
) -> Result<&'d mut Vec<Member<'t>>, PatchError> {
    descend(draft, place)
        .and_then(Draft::members)
        .ok_or_else(|| PatchError::Conflict("the path gives a value without elements".into()))
}

/// The way to the object that an element is in, and the element's own step.
fn below_root(mut place: Vec<Step>) -> Result<Found, PatchError> {
    let step = place.pop();
    let step = step.ok_or_else(|| malformed("the path gives the whole resource"))?;
    Ok((place, step))
}

/// The path of what an element is in, and the name of the element: `Patient.name`, `given`.
fn split(path: &str) -> Result<(&str, &str), PatchError> {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    path.trim()
        .rsplit_once('.')
        .filter(|(above, name)| !above.is_empty() && !name.is_empty() && is_name(name))
        .ok_or_else(nothing)
}

fn repeats(new: &New<'_, '_>) -> Result<(), PatchError> {
    if new.property.is_array {
        return Ok(());
    }
    Err(PatchError::Unprocessable(format!(
        "{} does not repeat",
        new.name
    )))
}

fn beyond(index: usize, count: usize) -> PatchError {
    PatchError::Conflict(format!("there is no place {index} in a list of {count}"))
}

fn nothing() -> PatchError {
    PatchError::Conflict("the path gives nothing".into())
}
