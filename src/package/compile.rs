//! Extends the embedded definitions by the resources of packages.

use std::ops::ControlFlow;
use std::sync::Arc;

use fhir_model::definition::{Builder, Definitions};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::package::Error;
use crate::package::image::Guide;
use crate::package::pin::{self, Versions};
use crate::package::resolve::{Package, Resolution};
use crate::package::structures::{Structures, lacks_snapshot};

/// The resources of a package that definitions are made of.
const COMPILED: &[&str] = &[
    "CodeSystem",
    "ConceptMap",
    "SearchParameter",
    "StructureDefinition",
    "ValueSet",
];

/// What makes up half of a package and is for people: left out before anything is compiled.
const PROSE: &[&str] = &[
    "contact",
    "copyright",
    "description",
    "identifier",
    "jurisdiction",
    "mapping",
    "publisher",
    "purpose",
    "text",
    "useContext",
];

/// The same of the elements of a structure.
const ELEMENT_PROSE: &[&str] = &[
    "alias",
    "comment",
    "definition",
    "example",
    "isModifierReason",
    "mapping",
    "meaningWhenMissing",
    "requirements",
];

/// What came out of a package.
pub(super) struct Compiled {
    pub(super) definitions: Definitions,
    pub(super) guides: Vec<Guide>,
    pub(super) problems: Vec<String>,
}

/// What a package defines, known without compiling it.
#[derive(Default)]
struct Heads {
    versions: Versions,
    guide: Option<Guide>,
}

/// What is read of a resource to know which one it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    resource_type: Option<String>,
    url: Option<String>,
    version: Option<String>,
}

/// Compiles packages on top of a set of definitions, one after another: the resources of one are
/// gone from memory before those of the next are read.
pub(super) fn compile(base: &Definitions, resolution: &Arc<Resolution>) -> Result<Compiled, Error> {
    let heads: Vec<Heads> = resolution
        .packages
        .iter()
        .map(Heads::read)
        .collect::<Result<_, _>>()?;
    let structures = Structures::new(resolution);
    let mut problems = Vec::new();
    let mut compiled: Option<Definitions> = None;
    for number in resolution.order() {
        let Some(package) = resolution.packages.get(number) else {
            continue;
        };
        let mut builder = match compiled.take() {
            Some(before) => Builder::extending(&before),
            None => Builder::extending(base),
        };
        let closure = resolution.closure(number);
        let closure: Vec<&Versions> = closure
            .into_iter()
            .filter_map(|number| heads.get(number))
            .map(|heads| &heads.versions)
            .collect();
        each(package, &mut |mut resource| {
            if is_compiled(&resource) {
                complete(&mut resource, &structures, &mut problems);
                pin::pin(&mut resource, &closure);
                builder.add(resource);
            }
        })?;
        let (definitions, found) = builder.finish();
        problems.extend(found.iter().map(ToString::to_string));
        compiled = Some(definitions);
    }
    Ok(Compiled {
        definitions: compiled.unwrap_or_else(|| base.clone()),
        guides: heads.into_iter().filter_map(|heads| heads.guide).collect(),
        problems,
    })
}

/// Shows each resource of a package.
fn each<T: DeserializeOwned>(package: &Package, take: &mut dyn FnMut(T)) -> Result<(), Error> {
    let mut broken = None;
    package.content.visit(&mut |name, bytes| {
        match serde_json::from_slice(&bytes) {
            Ok(resource) => take(resource),
            Err(error) => broken = Some(format!("{name}: {error}")),
        }
        match broken {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    })?;
    broken.map_or(Ok(()), |reason| Err(package.content.broken(reason)))
}

impl Heads {
    fn read(package: &Package) -> Result<Self, Error> {
        let mut found = Self::default();
        each(package, &mut |head: Head| {
            let Some(url) = head.url else {
                return;
            };
            if head.resource_type.as_deref() == Some("ImplementationGuide") {
                found.guide = Some(Guide {
                    url,
                    version: head.version,
                });
            } else if let Some(version) = head.version {
                found.versions.insert(url, version);
            }
        })?;
        Ok(found)
    }
}

/// Whether definitions are made of a resource. One that defines a type is passed over: the types
/// of R4 are fixed.
fn is_compiled(resource: &Value) -> bool {
    let text = |name: &str| resource.get(name).and_then(Value::as_str);
    let is_of_kind = text("resourceType").is_some_and(|found| COMPILED.contains(&found));
    is_of_kind && text("derivation") != Some("specialization")
}

/// Gives a structure its snapshot, and takes away what nothing is made of.
fn complete(resource: &mut Value, structures: &Structures, problems: &mut Vec<String>) {
    if is_structure(resource) && lacks_snapshot(resource) {
        match structures.snapshot(resource) {
            Ok(generated) => {
                problems.extend(generated.problems.iter().map(ToString::to_string));
                *resource = generated.structure;
            }
            Err(problem) => problems.push(problem.to_string()),
        }
    }
    shorten(resource);
}

fn is_structure(resource: &Value) -> bool {
    resource.get("resourceType").and_then(Value::as_str) == Some("StructureDefinition")
}

/// Takes away what nothing is made of.
fn shorten(resource: &mut Value) {
    let Some(object) = resource.as_object_mut() else {
        return;
    };
    object.retain(|name, _| !PROSE.contains(&name.as_str()));
    if object.contains_key("snapshot") {
        object.remove("differential");
    }
    let snapshot = object.get_mut("snapshot");
    let elements = snapshot.and_then(|snapshot| snapshot.get_mut("element"));
    for element in elements.and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(element) = element.as_object_mut() else {
            continue;
        };
        element.retain(|name, _| !ELEMENT_PROSE.contains(&name.as_str()));
        let constraints = element.get_mut("constraint").and_then(Value::as_array_mut);
        for constraint in constraints.into_iter().flatten() {
            if let Some(constraint) = constraint.as_object_mut() {
                constraint.remove("xpath");
            }
        }
    }
}
