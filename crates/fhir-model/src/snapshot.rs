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

use tree::Tree;
use walk::Walk;

/// The structure that a canonical URL, with or without a version, means.
pub type Source<'a> = &'a dyn Fn(&str) -> Option<Arc<Value>>;

/// How many structures may wait for each other: bases of bases, and the types and profiles that
/// their differentials go into.
pub const MAX_WAITING: usize = 64;

/// How deep elements may nest.
pub const MAX_DEPTH: usize = 64;

/// Where the structures of the standard itself are.
const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Generates snapshots, and keeps what it read for the next one.
pub struct Generator<'a> {
    source: Source<'a>,
    /// The trees of structures that were needed, by canonical; nothing where there is none.
    trees: HashMap<String, Option<Rc<Tree>>>,
    /// What is being generated now, outermost first.
    waiting: Vec<String>,
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
            waiting: Vec::new(),
        }
    }

    /// The structure with a snapshot generated from its differential; one that it has already is
    /// replaced.
    ///
    /// A base, type or profile that has no snapshot itself is generated on the way.
    pub fn generate(&mut self, structure: &Value) -> Result<Snapshot, SnapshotProblem> {
        let (tree, problems) = self.build(structure)?;
        let mut structure = structure.clone();
        if let Some(object) = structure.as_object_mut() {
            object.shift_remove("snapshot");
            let place = object.keys().position(|key| key == "differential");
            let place = place.unwrap_or(object.len());
            let snapshot = json!({ "element": tree.elements() });
            object.shift_insert(place, "snapshot".to_owned(), snapshot);
        }
        Ok(Snapshot {
            structure,
            problems,
        })
    }

    /// Lays the differential of a structure over its base.
    fn build(
        &mut self,
        structure: &Value,
    ) -> Result<(Rc<Tree>, Vec<SnapshotProblem>), SnapshotProblem> {
        let url = property::text(structure, "url").unwrap_or_default();
        let fail = |kind| SnapshotProblem::of_structure(url, kind);
        if self.waiting.iter().any(|waiting| waiting == url) {
            let mut cycle = self.waiting.clone();
            cycle.push(url.to_owned());
            return Err(fail(SnapshotProblemKind::Cycle(cycle)));
        }
        if self.waiting.len() >= MAX_WAITING {
            return Err(fail(SnapshotProblemKind::TooDeep));
        }
        self.waiting.push(url.to_owned());
        let built = Walk::new(self, structure).and_then(Walk::finish);
        self.waiting.pop();
        built
    }

    /// The tree of the structure that a canonical means; nothing where it is not known.
    fn tree(&mut self, canonical: &str) -> Result<Option<Rc<Tree>>, SnapshotProblem> {
        if let Some(tree) = self.trees.get(canonical) {
            return Ok(tree.clone());
        }
        let tree = match (self.source)(canonical) {
            None => None,
            Some(structure) if !property::elements(&structure, "snapshot").is_empty() => {
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

    /// The root element of a profile, also of one that is just being generated.
    ///
    /// Texts and cardinality of an extension come from there. A structure may well use itself so,
    /// as an extension that nests does, which is no cycle.
    fn root(&mut self, canonical: &str) -> Result<Option<Rc<tree::Root>>, SnapshotProblem> {
        let is_waiting = |waiting: &String| waiting == tree::without_version(canonical);
        if !self.waiting.iter().any(is_waiting) {
            return Ok(self
                .tree(canonical)?
                .map(|tree| Rc::clone(&tree.root_facts)));
        }
        let Some(structure) = (self.source)(canonical) else {
            return Ok(None);
        };
        Walk::root_of(self, &structure)
    }
}
