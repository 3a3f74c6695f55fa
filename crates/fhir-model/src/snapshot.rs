//! Snapshots: what a `StructureDefinition` says together with everything that it inherits.
//!
//! A profile states differences only; <https://hl7.org/fhir/R4/profiling.html#snapshot> says how
//! the complete list of elements comes from them: the differential is laid over the snapshot of
//! the base, types and profiles are unfolded where it goes into them, slices inherit from the
//! element that they slice. Where the standard leaves a choice, this follows the reference
//! generator, so that profiles mean here what their publishers saw.
//!
//! A [`Generator`] is given the other structures by their canonical URLs, as JSON; finding them is
//! the business of its caller. It judges a differential only as far as it must be read; whether
//! instances conform is for the validator.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};

mod choice;
mod differential;
mod merge;
mod problem;
mod profile;
mod property;
mod slice;
mod tree;
mod unfold;
mod walk;

pub use problem::{SnapshotProblem, SnapshotProblemKind};

use tree::{Root, Tree};
use walk::Walk;

/// The structure that a canonical URL, with or without a version, means.
pub type Source<'a> = &'a dyn Fn(&str) -> Option<Arc<Value>>;

/// How deep elements may nest, counted through all structures whose snapshots wait for each other.
pub const MAX_DEPTH: usize = 128;

/// How many elements a differential may have.
pub const MAX_CHANGES: usize = 10_000;

/// How many elements a snapshot may have; the greatest of the published guides have some thousand.
pub const MAX_ELEMENTS: usize = 50_000;

/// Where the structures of the standard itself are.
const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Generates snapshots, and keeps what it read for the next one.
pub struct Generator<'a> {
    source: Source<'a>,
    /// The trees of structures that were needed, by canonical; nothing where there is none.
    trees: HashMap<String, Option<Rc<Tree>>>,
    /// The roots of structures of which nothing else was needed.
    roots: HashMap<String, Option<Rc<Root>>>,
    /// What is being generated now, outermost first.
    waiting: Vec<String>,
    /// How deep in elements and structures the walk is.
    depth: usize,
}

/// A structure with its snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The structure as it was given, with a complete `snapshot.element`.
    pub structure: Value,
    /// What is wrong with the differential, though a snapshot could be made.
    pub problems: Vec<SnapshotProblem>,
}

impl<'a> Generator<'a> {
    /// A generator that finds other structures by `source`.
    pub fn new(source: Source<'a>) -> Self {
        Self {
            source,
            trees: HashMap::new(),
            roots: HashMap::new(),
            waiting: Vec::new(),
            depth: 0,
        }
    }

    /// The structure with a snapshot generated from its differential; one that it has already is
    /// replaced.
    ///
    /// A base, type or profile that has no snapshot itself is generated on the way.
    pub fn generate(&mut self, structure: &Value) -> Result<Snapshot, SnapshotProblem> {
        let (tree, problems) = self.build(structure)?;
        let too_large = || problem_of(structure, SnapshotProblemKind::TooLarge);
        let elements = tree.elements().ok_or_else(too_large)?;
        let mut structure = structure.clone();
        if let Some(object) = structure.as_object_mut() {
            object.shift_remove("snapshot");
            let place = object.keys().position(|key| key == "differential");
            let place = place.unwrap_or(object.len());
            let snapshot = json!({ "element": elements });
            object.shift_insert(place, "snapshot".to_owned(), snapshot);
        }
        Ok(Snapshot {
            structure,
            problems,
        })
    }

    /// Lays the differential of a structure over its base.
    fn build(&mut self, structure: &Value) -> Result<Built, SnapshotProblem> {
        let url = property::text(structure, "url").unwrap_or_default();
        if self.waiting.iter().any(|waiting| waiting == url) {
            let mut cycle = self.waiting.clone();
            cycle.push(url.to_owned());
            return Err(problem_of(structure, SnapshotProblemKind::Cycle(cycle)));
        }
        self.waiting.push(url.to_owned());
        let built = self.deeper(structure, |generator| {
            Walk::new(generator, structure).and_then(Walk::finish)
        });
        self.waiting.pop();
        built
    }

    /// Goes a step deeper, if that is not too deep.
    fn deeper<T>(
        &mut self,
        structure: &Value,
        step: impl FnOnce(&mut Self) -> Result<T, SnapshotProblem>,
    ) -> Result<T, SnapshotProblem> {
        if self.depth >= MAX_DEPTH {
            return Err(problem_of(structure, SnapshotProblemKind::TooDeep));
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    /// The tree of the structure that a canonical means; nothing where it is not known.
    fn tree(&mut self, canonical: &str) -> Result<Option<Rc<Tree>>, SnapshotProblem> {
        if let Some(tree) = self.trees.get(canonical) {
            return Ok(tree.clone());
        }
        let tree = match (self.source)(canonical) {
            None => None,
            Some(structure) if has_snapshot(&structure) => {
                Some(Rc::new(Tree::of_snapshot(&structure)?))
            }
            Some(structure) => Some(self.build(&structure)?.0),
        };
        self.trees.insert(canonical.to_owned(), tree.clone());
        Ok(tree)
    }

    /// The tree of a type: of a name of the standard, or of the URL of a logical model.
    fn type_tree(&mut self, code: &str) -> Result<Option<Rc<Tree>>, SnapshotProblem> {
        if code.contains(':') {
            self.tree(code)
        } else {
            self.tree(&format!("{CORE}{code}"))
        }
    }

    /// The root element of a profile; nothing where it is not known.
    ///
    /// Texts and cardinality of an extension come from there. No snapshot is needed for it, so a
    /// structure may well use itself, as an extension that nests does.
    fn root(&mut self, canonical: &str) -> Result<Option<Rc<Root>>, SnapshotProblem> {
        if let Some(Some(tree)) = self.trees.get(canonical) {
            return Ok(Some(Rc::clone(&tree.facts)));
        }
        if let Some(root) = self.roots.get(canonical) {
            return Ok(root.clone());
        }
        let root = match (self.source)(canonical) {
            None => None,
            Some(structure) if has_snapshot(&structure) => {
                Root::of_snapshot(&structure).map(Rc::new)
            }
            Some(structure) => self.deeper(&structure, |generator| {
                let base = property::text(&structure, "baseDefinition");
                let base = base.map(|base| generator.root(base)).transpose()?;
                Ok(base.flatten().map(|base| Rc::new(base.derive(&structure))))
            })?,
        };
        self.roots.insert(canonical.to_owned(), root.clone());
        Ok(root)
    }
}

/// The tree of a structure, and what is wrong with its differential.
type Built = (Rc<Tree>, Vec<SnapshotProblem>);

fn has_snapshot(structure: &Value) -> bool {
    !property::elements(structure, "snapshot").is_empty()
}

fn problem_of(structure: &Value, kind: SnapshotProblemKind) -> SnapshotProblem {
    let url = property::text(structure, "url").unwrap_or_default();
    SnapshotProblem::of_structure(url, kind)
}
