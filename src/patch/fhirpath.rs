//! `FHIRPath` Patch: operations in a Parameters resource, JSON or XML alike.
//!
//! <https://hl7.org/fhir/R4/fhirpatch.html>. Reading them is here; what each does is in `edit`, and
//! what they bring in is in `content`.

use std::cell::Cell;

use fhir_model::definition::Definitions;
use fhir_model::tree::{Node, NodeId, Tree};

use crate::patch::fhirpath::edit::Edit;
use crate::patch::{OPERATIONS_MAX, PatchError, parsed};

mod content;
mod edit;
mod occurrence;
mod place;

/// The work that all paths of a patch may cause together.
const STEPS_MAX: u64 = 5_000_000;

/// The operations of a Parameters resource.
#[derive(Debug)]
pub struct FhirpathPatch {
    parameters: Tree,
    operations: Vec<Operation>,
}

#[derive(Debug)]
struct Operation {
    path: String,
    action: Action,
}

/// What an operation does; a value is the part that has it.
#[derive(Debug)]
enum Action {
    Add { name: String, value: NodeId },
    Insert { index: usize, value: NodeId },
    Delete,
    Replace { value: NodeId },
    Move { source: usize, destination: usize },
}

impl Action {
    const fn name(&self) -> &'static str {
        match self {
            Self::Add { .. } => "add",
            Self::Insert { .. } => "insert",
            Self::Delete => "delete",
            Self::Replace { .. } => "replace",
            Self::Move { .. } => "move",
        }
    }
}

/// How the parts of an operation become its action.
type Reader = fn(&Parts<'_>) -> Result<Action, PatchError>;

/// The operations of the specification.
const ACTIONS: &[(&str, Reader)] = &[
    ("add", |parts| {
        Ok(Action::Add {
            name: parts.text("name")?,
            value: parts.get("value")?.id(),
        })
    }),
    ("insert", |parts| {
        Ok(Action::Insert {
            index: parts.number("index")?,
            value: parts.get("value")?.id(),
        })
    }),
    ("delete", |_| Ok(Action::Delete)),
    ("replace", |parts| {
        Ok(Action::Replace {
            value: parts.get("value")?.id(),
        })
    }),
    ("move", |parts| {
        Ok(Action::Move {
            source: parts.number("source")?,
            destination: parts.number("destination")?,
        })
    }),
];

/// The names that parts of an operation may have.
const PARTS: &[&str] = &[
    "type",
    "path",
    "name",
    "value",
    "index",
    "source",
    "destination",
];

impl FhirpathPatch {
    pub(super) fn read(parameters: Tree) -> Result<Self, PatchError> {
        if parameters.resource_type().as_deref() != Some("Parameters") {
            return Err(malformed("a FHIRPath Patch is a Parameters resource"));
        }
        let list = parameters.root().get_str("parameter");
        let list: Vec<Node<'_>> = list.into_iter().flat_map(Node::items).collect();
        if list.len() > OPERATIONS_MAX {
            return Err(malformed(format!(
                "the patch has {} operations, at most {OPERATIONS_MAX} are taken",
                list.len()
            )));
        }
        let operations: Result<Vec<Operation>, PatchError> = list
            .iter()
            .enumerate()
            .map(|(index, node)| {
                operation(*node).map_err(|error| error.of_operation(index + 1, "parameter"))
            })
            .collect();
        Ok(Self {
            operations: operations?,
            parameters,
        })
    }

    /// What becomes of a resource; each operation sees what those before it have done.
    pub(super) fn apply(
        &self,
        resource: &Tree,
        definitions: &Definitions,
    ) -> Result<Tree, PatchError> {
        let steps_left = Cell::new(STEPS_MAX);
        let mut current: Option<Tree> = None;
        for (index, operation) in self.operations.iter().enumerate() {
            let edit = Edit {
                definitions,
                parameters: &self.parameters,
                resource: current.as_ref().unwrap_or(resource),
                steps_left: &steps_left,
            };
            let text = edit
                .take(operation)
                .map_err(|error| error.of_operation(index + 1, operation.action.name()))?;
            if let Some(text) = text {
                current = Some(parsed(text, definitions)?);
            }
        }
        Ok(current.unwrap_or_else(|| resource.clone()))
    }
}

fn operation(parameter: Node<'_>) -> Result<Operation, PatchError> {
    let name = parameter.get_str("name").and_then(Node::as_str);
    if name.as_deref() != Some("operation") {
        return Err(malformed(
            "the parameters of a FHIRPath Patch are named \"operation\"",
        ));
    }
    let parts = Parts::of(parameter)?;
    let wanted = parts.text("type")?;
    let (_, read) = ACTIONS
        .iter()
        .find(|(name, _)| *name == wanted)
        .ok_or_else(|| malformed("the type is one of add, insert, delete, replace and move"))?;
    Ok(Operation {
        path: parts.text("path")?,
        action: read(&parts)?,
    })
}

/// The parts of an operation.
struct Parts<'p>(Vec<(&'static str, Node<'p>)>);

impl<'p> Parts<'p> {
    fn of(parameter: Node<'p>) -> Result<Self, PatchError> {
        let mut parts: Vec<(&'static str, Node<'p>)> = Vec::new();
        let list = parameter.get_str("part");
        for part in list.into_iter().flat_map(Node::items) {
            let name = part.get_str("name").and_then(Node::as_str);
            let known = PARTS.iter().find(|known| name.as_deref() == Some(**known));
            let known = known.ok_or_else(|| {
                let names = PARTS.join(", ");
                malformed(format!("the parts of an operation are {names}"))
            })?;
            if parts.iter().any(|(earlier, _)| earlier == known) {
                return Err(malformed(format!("the part \"{known}\" is given twice")));
            }
            parts.push((known, part));
        }
        Ok(Self(parts))
    }

    fn get(&self, name: &str) -> Result<Node<'p>, PatchError> {
        let found = self.0.iter().find(|(part, _)| *part == name);
        found
            .map(|(_, part)| *part)
            .ok_or_else(|| malformed(format!("the part \"{name}\" is missing")))
    }

    /// The scalar value of a part, whatever its type.
    fn scalar(&self, name: &str) -> Result<Node<'p>, PatchError> {
        let part = self.get(name)?;
        let value = part
            .children()
            .find(|member| !member.is_shadow() && member.name_text().starts_with("value"));
        value.ok_or_else(|| malformed(format!("the part \"{name}\" has no value")))
    }

    fn text(&self, name: &str) -> Result<String, PatchError> {
        let text = self.scalar(name)?.as_str();
        text.map(Into::into)
            .ok_or_else(|| malformed(format!("the part \"{name}\" is no string")))
    }

    fn number(&self, name: &str) -> Result<usize, PatchError> {
        let number = self.scalar(name)?.raw_text().parse();
        number.map_err(|_| malformed(format!("the part \"{name}\" is no integer from 0")))
    }
}

fn malformed(text: impl Into<String>) -> PatchError {
    PatchError::Malformed(text.into())
}
