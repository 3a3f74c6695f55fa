//! `StructureDefinition`s as JSON by their canonicals, and the snapshots of those that have none.
//!
//! A profile may come as a differential only. Its snapshot follows from structures of the
//! standard, of packages and of what is stored; those are read when a snapshot needs them.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use fhir_model::snapshot::{Generator, Snapshot, SnapshotProblem};
use serde::Deserialize;
use serde_json::Value;

use crate::definitions::json;
use crate::package::coordinate::compare;
use crate::package::resolve::Resolution;

/// Every structure that can be meant by a canonical.
#[derive(Debug, Clone, Default)]
pub struct Structures {
    resolution: Arc<Resolution>,
    /// Those of packages: where they are. Made when the first one is asked for.
    packaged: Arc<OnceLock<HashMap<String, Vec<Place>>>>,
    /// Those that are given, in the order of loading.
    given: HashMap<String, Vec<Arc<Value>>>,
}

/// A structure of a package.
#[derive(Debug)]
struct Place {
    version: Option<String>,
    /// The number of the package.
    package: usize,
    file: String,
}

/// What is read of a resource to know which one it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    resource_type: Option<String>,
    url: Option<String>,
    version: Option<String>,
}

impl Structures {
    /// The structures of the program and of these packages.
    pub fn new(resolution: &Arc<Resolution>) -> Self {
        Self {
            resolution: Arc::clone(resolution),
            ..Self::default()
        }
    }

    /// Those of the program and of packages, and these, of which the last is meant where several
    /// have one URL.
    #[must_use]
    pub fn with(&self, given: impl IntoIterator<Item = Arc<Value>>) -> Self {
        let mut structures = Self {
            given: HashMap::new(),
            ..self.clone()
        };
        for structure in given {
            if let Some(url) = text(&structure, "url") {
                let same = structures.given.entry(url.to_owned()).or_default();
                same.push(structure);
            }
        }
        structures
    }

    /// The structure that a canonical means: a given one, else one of a package, else an embedded
    /// one; without a version the newest.
    pub fn get(&self, canonical: &str) -> Option<Arc<Value>> {
        let (url, version) = match canonical.split_once('|') {
            Some((url, version)) => (url, Some(version)),
            None => (canonical, None),
        };
        self.given(url, version)
            .or_else(|| self.packaged(url, version))
            .or_else(|| json::structure(url))
    }

    fn given(&self, url: &str, version: Option<&str>) -> Option<Arc<Value>> {
        let same = self.given.get(url)?.iter().rev();
        let mut meant = same.filter(|found| version.is_none() || text(found, "version") == version);
        meant.next().cloned()
    }

    fn packaged(&self, url: &str, version: Option<&str>) -> Option<Arc<Value>> {
        let packaged = self.packaged.get_or_init(|| index(&self.resolution));
        let same = packaged.get(url)?.iter();
        let meant = same.filter(|found| version.is_none() || found.version.as_deref() == version);
        let number = |place: &&Place| place.version.clone().unwrap_or_default();
        let place = meant.max_by(|left, right| compare(&number(left), &number(right)))?;
        let package = self.resolution.packages.get(place.package)?;
        let bytes = package.content.file(&place.file).ok()??;
        serde_json::from_slice(&bytes).ok().map(Arc::new)
    }

    /// A structure with the snapshot that follows from its differential.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn snapshot(&self, structure: &Value) -> Result<Snapshot, SnapshotProblem> {
        let source = |canonical: &str| self.get(canonical);
        Generator::new(&source).generate(structure)
    }
}

/// Whether a structure comes without a snapshot.
pub fn lacks_snapshot(structure: &Value) -> bool {
    let elements = structure.pointer("/snapshot/element");
    let elements = elements.and_then(Value::as_array);
    elements.is_none_or(Vec::is_empty)
}

/// Where each structure of the packages is.
fn index(resolution: &Resolution) -> HashMap<String, Vec<Place>> {
    let mut places: HashMap<String, Vec<Place>> = HashMap::new();
    for (package, found) in resolution.packages.iter().enumerate() {
        let visited = found.content.visit(&mut |file, bytes| {
            if let Ok(head) = serde_json::from_slice::<Head>(&bytes)
                && head.resource_type.as_deref() == Some("StructureDefinition")
                && let Some(url) = head.url
            {
                places.entry(url).or_default().push(Place {
                    version: head.version,
                    package,
                    file: file.to_owned(),
                });
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = visited {
            tracing::warn!(package = %found.coordinate, "{error}: no snapshots follow from it");
        }
    }
    places
}

fn text<'a>(resource: &'a Value, name: &str) -> Option<&'a str> {
    resource.get(name)?.as_str()
}
