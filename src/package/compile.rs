//! Extends the embedded definitions by the resources of packages.

use std::ops::ControlFlow;
use std::sync::Arc;

use fhir_model::definition::{Builder, Definitions};
use serde_json::Value;

use crate::package::Error;
use crate::package::image::Guide;
use crate::package::pin::{self, Versions};
use crate::package::resolve::{Package, Resolution};
use crate::package::structures::{Structures, lacks_snapshot};

/// The resources of a package that definitions are made of.
const COMPILED: &[&str] = &[
    "CodeSystem",
    "SearchParameter",
    "StructureDefinition",
    "ValueSet",
];

/// What makes up half of a package and is for people: left out before anything is compiled.
const PROSE: &[&str] = &["text", "contact", "useContext", "copyright", "mapping"];

/// The same of the elements of a structure.
const ELEMENT_PROSE: &[&str] = &["alias", "comment", "definition", "mapping", "requirements"];

/// What came out of a package.
pub(super) struct Compiled {
    pub(super) definitions: Definitions,
    pub(super) guides: Vec<Guide>,
    pub(super) problems: Vec<String>,
}

/// What a package holds.
#[derive(Default)]
struct Resources {
    compiled: Vec<Value>,
    versions: Versions,
    guide: Option<Guide>,
}

/// Compiles packages on top of a set of definitions.
pub(super) fn compile(base: &Definitions, resolution: &Arc<Resolution>) -> Result<Compiled, Error> {
    let mut packages = Vec::with_capacity(resolution.packages.len());
    for package in &resolution.packages {
        packages.push(Resources::read(package)?);
    }
    let structures = Structures::new(resolution);
    let mut problems = Vec::new();
    let mut builder = Builder::extending(base);
    for number in 0..packages.len() {
        let Some(package) = packages.get_mut(number) else {
            continue;
        };
        let resources = std::mem::take(&mut package.compiled);
        let closure = resolution.closure(number);
        let closure: Vec<&Versions> = closure
            .into_iter()
            .filter_map(|number| packages.get(number))
            .map(|package| &package.versions)
            .collect();
        for mut resource in resources {
            if is_structure(&resource) && lacks_snapshot(&resource) {
                match structures.snapshot(&resource) {
                    Ok(generated) => {
                        problems.extend(generated.problems.iter().map(ToString::to_string));
                        resource = generated.structure;
                    }
                    Err(problem) => problems.push(problem.to_string()),
                }
            }
            pin::pin(&mut resource, &closure);
            builder.add(resource);
        }
    }
    let (definitions, found) = builder.finish();
    problems.extend(found.iter().map(ToString::to_string));
    Ok(Compiled {
        definitions,
        guides: packages
            .into_iter()
            .filter_map(|package| package.guide)
            .collect(),
        problems,
    })
}

impl Resources {
    fn read(package: &Package) -> Result<Self, Error> {
        let mut found = Self::default();
        let mut broken = None;
        package.content.visit(&mut |name, bytes| {
            match serde_json::from_slice::<Value>(&bytes) {
                Ok(resource) => found.take(resource),
                Err(error) => broken = Some(format!("{name}: {error}")),
            }
            match broken {
                None => ControlFlow::Continue(()),
                Some(_) => ControlFlow::Break(()),
            }
        })?;
        if let Some(reason) = broken {
            return Err(package.content.broken(reason));
        }
        found.versions = pin::versions(found.compiled.iter());
        Ok(found)
    }

    fn take(&mut self, mut resource: Value) {
        let resource_type = resource.get("resourceType").and_then(Value::as_str);
        if resource_type == Some("ImplementationGuide") {
            self.guide = self.guide.take().or_else(|| Guide::of(&resource));
        }
        if resource_type.is_none_or(|found| !COMPILED.contains(&found)) || defines_type(&resource) {
            return;
        }
        shorten(&mut resource);
        self.compiled.push(resource);
    }
}

fn is_structure(resource: &Value) -> bool {
    resource.get("resourceType").and_then(Value::as_str) == Some("StructureDefinition")
}

/// Whether a structure defines a type rather than constrains one: the types of R4 are fixed.
fn defines_type(resource: &Value) -> bool {
    let derivation = resource.get("derivation").and_then(Value::as_str);
    derivation == Some("specialization")
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
        if let Some(element) = element.as_object_mut() {
            element.retain(|name, _| !ELEMENT_PROSE.contains(&name.as_str()));
        }
    }
}
