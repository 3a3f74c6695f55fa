//! Compiles conformance resources into [`Definitions`].
//!
//! The same compiler works ahead of time, for the packages embedded in the program, and at run
//! time, for what is installed later. It never refuses a whole package: what it cannot use it
//! leaves out and names in a [`Problem`]. It judges no resource beyond what it needs to read.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use serde_json::Value;

use super::{Definitions, Span, Text};
use crate::snapshot::{SnapshotProblem, Source};

mod expression;
mod search;
mod snapshots;
mod structures;
mod terminology;
mod types;

/// Adds conformance resources to a set of definitions.
///
/// The order in which resources are added does not matter, but that of two with the same canonical
/// URL: the last one is found when no version is asked for. A base structure that is added again
/// replaces the properties of its type. A value set of the starting set is answered from what is
/// added too: a code system that it lacked, or a newer one that it means.
#[derive(Debug, Default)]
pub struct Builder {
    base: Definitions,
    structures: Vec<Arc<Value>>,
    search_parameters: Vec<Value>,
    compartments: Vec<Value>,
    code_systems: Vec<Value>,
    value_sets: Vec<Value>,
    concept_maps: Vec<Value>,
}

/// What is wrong with a conformance resource, or with a part of it that was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{resource}: {kind}")]
pub struct Problem {
    /// Its canonical URL, else its type.
    pub resource: String,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// The kinds of [`Problem`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// The resource lacks an element that it cannot do without; it is left out.
    #[error("{0} is missing or has no usable value")]
    Missing(&'static str),
    /// The structure has neither a snapshot nor a differential; it is left out.
    #[error("it has no snapshot")]
    NoSnapshot,
    /// What is wrong with a differential that a snapshot was to be made of. Where that is fatal,
    /// the structure is left out.
    #[error("{}{}", .0.element.as_ref().map(|id| format!("element {id}: ")).unwrap_or_default(), .0.kind)]
    Differential(SnapshotProblem),
    /// An element refers to a type that no definition knows; the type is taken as `Element`.
    #[error("type {0} is not defined")]
    UnknownType(String),
    /// There are more types than numbers for them.
    #[error("there are too many types")]
    TooManyTypes,
    /// A value set imports this one in a circle, or imports go too deep; it is not followed.
    #[error("the import of {0} leads in a circle or too far")]
    ImportCut(String),
}

impl Builder {
    /// A builder that starts with nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A builder that starts with a set of definitions, the numbers of which stay valid.
    ///
    /// The tables are copied; they take a few megabytes.
    pub fn extending(base: &Definitions) -> Self {
        Self {
            base: base.clone(),
            ..Self::default()
        }
    }

    /// Adds a resource. Returns whether it is of a kind that is compiled; others are ignored.
    pub fn add(&mut self, resource: Value) -> bool {
        let list = match text_of(&resource, "resourceType") {
            Some("StructureDefinition") => {
                self.structures.push(Arc::new(resource));
                return true;
            }
            Some("SearchParameter") => &mut self.search_parameters,
            Some("CompartmentDefinition") => &mut self.compartments,
            Some("CodeSystem") => &mut self.code_systems,
            Some("ValueSet") => &mut self.value_sets,
            Some("ConceptMap") => &mut self.concept_maps,
            _ => return false,
        };
        list.push(resource);
        true
    }

    /// Adds a resource given as JSON text, as [`Builder::add`] does.
    pub fn add_json(&mut self, json: &str) -> Result<bool, serde_json::Error> {
        serde_json::from_str(json).map(|resource| self.add(resource))
    }

    /// Compiles what was added. The problems are in no particular order.
    ///
    /// A structure without a snapshot gets one from its differential, if everything that this
    /// takes was added too.
    pub fn finish(self) -> (Definitions, Vec<Problem>) {
        self.finish_with(&|_| None)
    }

    /// As [`Builder::finish`], with a source of the structures that are compiled already, or are
    /// not to be, but that snapshots are made of.
    pub fn finish_with(self, source: Source<'_>) -> (Definitions, Vec<Problem>) {
        let mut compiler = Compiler {
            definitions: self.base,
            problems: Vec::new(),
        };
        let structures = compiler.with_snapshots(self.structures, source);
        compiler.structures(&structures);
        compiler.search_parameters(&self.search_parameters);
        compiler.compartments(&self.compartments);
        compiler.code_systems(&self.code_systems);
        compiler.value_sets(&self.value_sets);
        compiler.concept_maps(&self.concept_maps);
        (compiler.definitions, compiler.problems)
    }
}

/// Whether a resource of the specification's own package is an example of its kind rather than a
/// definition to work by. Such resources share packages, URLs and search codes with real ones.
pub fn is_example(resource: &Value) -> bool {
    let url = text_of(resource, "url").unwrap_or_default();
    let id = url.rsplit('/').next().unwrap_or_default();
    id == "example" || id.starts_with("example-")
}

/// The work in progress.
struct Compiler {
    definitions: Definitions,
    problems: Vec<Problem>,
}

impl Compiler {
    /// The number of a string.
    fn intern(&mut self, text: &str) -> Text {
        self.definitions
            .pool
            .intern(text)
            .expect("all definitions together stay below 4 GiB")
    }

    /// The number of a string property, if there is one.
    fn intern_property(&mut self, object: &Value, name: &str) -> Option<Text> {
        text_of(object, name).map(|text| self.intern(text))
    }

    /// The numbers of the strings of an array property.
    fn intern_list(&mut self, object: &Value, name: &str) -> Vec<Text> {
        let texts = list_of(object, name).iter().filter_map(Value::as_str);
        texts.map(|text| self.intern(text)).collect()
    }

    fn report(&mut self, resource: &Value, kind: ProblemKind) {
        let name = text_of(resource, "url").or_else(|| text_of(resource, "resourceType"));
        self.problems.push(Problem {
            resource: name.unwrap_or_default().to_owned(),
            kind,
        });
    }
}

/// Lists that many rows share, each stored once.
struct Lists<T> {
    seen: HashMap<Vec<T>, Span>,
}

impl<T: Clone + Eq + Hash> Lists<T> {
    fn new() -> Self {
        Self {
            seen: HashMap::new(),
        }
    }

    /// Where the list is in `table`; added if it is not there.
    fn store(&mut self, table: &mut Vec<T>, list: Vec<T>) -> Span {
        if list.is_empty() {
            return Span::default();
        }
        if let Some(span) = self.seen.get(&list) {
            return *span;
        }
        let start = table.len();
        table.extend_from_slice(&list);
        let span = Span::since(start, table);
        self.seen.insert(list, span);
        span
    }
}

/// A string property of an object.
fn text_of<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

/// Whether a boolean property of an object is true.
fn is_true(object: &Value, name: &str) -> bool {
    object
        .get(name)
        .and_then(Value::as_bool)
        .unwrap_or_default()
}

/// The items of an array property of an object; none if it has no such property.
fn list_of<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object
        .get(name)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// The extensions of an object that have this URL.
fn extensions<'a>(object: &'a Value, url: &'a str) -> impl Iterator<Item = &'a Value> {
    let of_url = move |extension: &&Value| text_of(extension, "url") == Some(url);
    list_of(object, "extension").iter().filter(of_url)
}

/// The meaning of a code in a table of codes.
fn decode<T: Copy>(code: Option<&str>, table: &[(&str, T)]) -> Option<T> {
    let code = code?;
    table
        .iter()
        .find(|(spelling, _)| *spelling == code)
        .map(|(_, meaning)| *meaning)
}
