//! Gives structures that come with a differential only their snapshots.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Compiler, ProblemKind, text_of};
use crate::issue::Severity;
use crate::snapshot::{Generator, SnapshotProblem, Source};

impl Compiler {
    /// The structures, each with a snapshot if one can be made.
    ///
    /// Logical models are not compiled, so they are left as they are.
    pub(super) fn with_snapshots(
        &mut self,
        structures: Vec<Arc<Value>>,
        source: Source<'_>,
    ) -> Vec<Arc<Value>> {
        if structures
            .iter()
            .all(|structure| !wants_snapshot(structure))
        {
            return structures;
        }
        let added = by_canonical(&structures);
        let find = |canonical: &str| {
            let url = canonical.split_once('|').map_or(canonical, |(url, _)| url);
            let added = added.get(canonical).or_else(|| added.get(url));
            added.map(Arc::clone).or_else(|| source(canonical))
        };
        let mut generator = Generator::new(&find);
        structures
            .iter()
            .filter_map(|structure| {
                if wants_snapshot(structure) {
                    self.with_snapshot(structure, &mut generator)
                } else {
                    Some(Arc::clone(structure))
                }
            })
            .collect()
    }

    /// The structure with a snapshot; `None` where none can be made.
    fn with_snapshot(
        &mut self,
        structure: &Arc<Value>,
        generator: &mut Generator<'_>,
    ) -> Option<Arc<Value>> {
        match generator.generate(structure) {
            Ok(generated) => {
                let is_error =
                    |problem: &SnapshotProblem| problem.kind.severity() >= Severity::Error;
                for problem in generated.problems.into_iter().filter(is_error) {
                    self.report(structure, ProblemKind::Differential(problem));
                }
                Some(Arc::new(generated.structure))
            }
            Err(problem) => {
                self.report(structure, ProblemKind::Differential(problem));
                None
            }
        }
    }
}

/// Structures by their URLs, with and without their versions; the last one added wins.
fn by_canonical(structures: &[Arc<Value>]) -> HashMap<String, Arc<Value>> {
    let mut by_canonical = HashMap::new();
    for structure in structures {
        let Some(url) = text_of(structure, "url") else {
            continue;
        };
        if let Some(version) = text_of(structure, "version") {
            by_canonical.insert(format!("{url}|{version}"), Arc::clone(structure));
        }
        by_canonical.insert(url.to_owned(), Arc::clone(structure));
    }
    by_canonical
}

/// Whether a structure has a differential, but no snapshot.
fn wants_snapshot(structure: &Value) -> bool {
    let has = |view: &str| {
        let elements = structure.get(view).and_then(|view| view.get("element"));
        elements
            .and_then(Value::as_array)
            .is_some_and(|elements| !elements.is_empty())
    };
    text_of(structure, "kind") != Some("logical") && has("differential") && !has("snapshot")
}
