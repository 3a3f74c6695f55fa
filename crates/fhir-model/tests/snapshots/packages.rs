//! The structures of the published packages, from the shared data.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use serde_json::Value;

/// The structures of a package, in the order of their URLs.
pub(crate) struct Package {
    pub(crate) structures: Vec<Arc<Value>>,
    by_url: HashMap<String, Arc<Value>>,
}

/// Packages that are looked into one after another.
pub(crate) type Stack = Vec<Arc<Package>>;

impl Package {
    pub(crate) fn new(structures: Vec<Value>) -> Self {
        let mut by_url = HashMap::new();
        let mut structures: Vec<Arc<Value>> = structures.into_iter().map(Arc::new).collect();
        structures.sort_by(|one, other| one["url"].as_str().cmp(&other["url"].as_str()));
        for structure in &structures {
            by_url.insert(
                structure["url"].as_str().unwrap().to_owned(),
                Arc::clone(structure),
            );
        }
        Self { structures, by_url }
    }
}

/// The structure that a canonical means in these packages.
pub(crate) fn find(stack: &Stack, canonical: &str) -> Option<Arc<Value>> {
    let url = canonical.split('|').next().unwrap();
    stack
        .iter()
        .find_map(|package| package.by_url.get(url).cloned())
}

/// Reads packages once each.
pub(crate) struct Packages {
    folder: PathBuf,
    read: HashMap<String, Arc<Package>>,
}

impl Packages {
    /// `None`, and a word about it, where the shared data is not there.
    pub(crate) fn new() -> Option<Self> {
        let folder = shared_data().join("packages");
        if !folder.is_dir() {
            println!("left out: {} is not there", folder.display());
            return None;
        }
        Some(Self {
            folder,
            read: HashMap::new(),
        })
    }

    /// A package by its name and version.
    pub(crate) fn package(&mut self, name: &str) -> Arc<Package> {
        if let Some(package) = self.read.get(name) {
            return Arc::clone(package);
        }
        let path = self.folder.join(format!("{name}.tgz"));
        let is_structure = |path: &str| path.contains("/StructureDefinition-");
        let structures = files(&path, is_structure)
            .into_iter()
            .map(|(_, text)| serde_json::from_str(&text).unwrap())
            .filter(|structure| !fhir_model::definition::compile::is_example(structure))
            .collect();
        let package = Arc::new(Package::new(structures));
        self.read.insert(name.to_owned(), Arc::clone(&package));
        package
    }

    /// Packages that are looked into one after another.
    pub(crate) fn stack(&mut self, names: &[&str]) -> Stack {
        names.iter().map(|name| self.package(name)).collect()
    }
}

/// The text files of an archive.
pub(crate) fn files(path: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let file = std::fs::File::open(path).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if is_wanted(&path) {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            files.push((path, text));
        }
    }
    files
}

/// Where the shared data is, if it is there.
#[expect(clippy::disallowed_methods, reason = "a test finds its data so")]
pub(crate) fn shared_data() -> PathBuf {
    std::env::var("BATON_SHARED_DATA").map_or_else(
        |_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    )
}
