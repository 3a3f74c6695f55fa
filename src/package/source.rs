//! Where packages are looked for: a folder, the standard package cache, a registry.
//!
//! The folder of the operator holds archives (`hl7.fhir.us.core-6.1.0.tgz`) or unpacked packages;
//! the cache holds `NAME#VERSION/package/…`, as every FHIR tool keeps it:
//! <https://confluence.hl7.org/display/FHIR/FHIR+Package+Cache>. The network is asked only where
//! a registry is configured, and what it gives goes into the cache.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::package::content::Content;
use crate::package::coordinate::{Coordinate, compare};
use crate::package::registry::Registry;
use crate::package::{Error, Hash, Wanted};

/// Between name and version in the name of a file or folder.
const SEPARATORS: [char; 3] = ['#', '@', '-'];

/// The endings of archives.
const ENDINGS: [&str; 2] = [".tgz", ".tar.gz"];

/// The file beside a package of the cache that says what archive it was unpacked from.
pub(super) const ORIGIN: &str = ".baton-origin";

/// Where packages are looked for, in this order.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A folder of the operator.
    pub folder: Option<PathBuf>,
    /// The package cache.
    pub cache: Option<PathBuf>,
    /// A registry, if the network may be asked.
    pub registry: Option<String>,
}

/// A package that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Where its files are.
    pub content: Content,
    /// Which version it is, by the name of its file.
    version: String,
}

impl Sources {
    /// What the configuration says; the cache is that of the user unless it says otherwise.
    pub fn new(config: &Config) -> Self {
        let of_user = || std::env::home_dir().map(|home| home.join(".fhir").join("packages"));
        Self {
            folder: config.package_folder.clone(),
            cache: config.package_cache.clone().or_else(of_user),
            registry: config.package_registry.clone(),
        }
    }

    /// The package that is meant: of an open version the newest. The network is asked where it is
    /// allowed and nothing is here.
    pub(super) async fn find(&self, coordinate: &Coordinate) -> Result<Option<Found>, Error> {
        if let Some(found) = self.local(coordinate) {
            return Ok(Some(found));
        }
        let (Some(registry), Some(cache)) = (&self.registry, &self.cache) else {
            return Ok(None);
        };
        let registry = Registry::new(registry)?;
        let Some(fetched) = registry.fetch(coordinate, cache).await? else {
            return Ok(None);
        };
        Ok(self.local(&fetched))
    }

    /// The package that is meant, without asking the network.
    pub(super) fn local(&self, coordinate: &Coordinate) -> Option<Found> {
        let admitted = |found: &Found| coordinate.admits(&found.version);
        newest(self.versions(&coordinate.name).into_iter().filter(admitted))
    }

    /// The newest package of this name that is not older than what is meant.
    pub(super) fn later(&self, coordinate: &Coordinate) -> Option<Found> {
        let is_later = |found: &Found| compare(&found.version, &coordinate.version).is_gt();
        newest(self.versions(&coordinate.name).into_iter().filter(is_later))
    }

    /// Every version of a package that is here, those of the folder first.
    fn versions(&self, name: &str) -> Vec<Found> {
        let folders = [self.folder.as_deref(), self.cache.as_deref()];
        folders
            .into_iter()
            .flatten()
            .flat_map(|folder| versions_in(folder, name))
            .collect()
    }

    /// Where it was looked, for a person.
    pub(super) fn looked_in(&self) -> String {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let places = [path(&self.folder), path(&self.cache), self.registry.clone()];
        let places: Vec<String> = places.into_iter().flatten().collect();
        if places.is_empty() {
            "no place: none is configured".to_owned()
        } else {
            places.join(", ")
        }
    }
}

impl Found {
    /// A package at a place that is known.
    pub(super) fn new(content: Content, version: &str) -> Self {
        let version = version.to_owned();
        Self { content, version }
    }

    /// Checks that a package is what the configuration says it must be. One that was unpacked from
    /// an archive is known by the hash of that as long as its files are the same.
    pub(super) fn check(&self, wanted: &Wanted, hash: Hash) -> Result<(), Error> {
        let Some(expected) = wanted.hash else {
            return Ok(());
        };
        let origin = match &self.content {
            Content::Folder(folder) => origin(folder).filter(|(_, content)| *content == hash),
            Content::Archive(_) => None,
        };
        if expected == hash || origin.is_some_and(|(archive, _)| archive == expected) {
            return Ok(());
        }
        Err(Error::Hash {
            package: wanted.coordinate.clone(),
            path: self.content.path().to_owned(),
            expected: expected.to_string(),
            found: hash.to_string(),
        })
    }
}

/// The hash of the archive that a package was unpacked from, and that of what was unpacked.
fn origin(package: &Path) -> Option<(Hash, Hash)> {
    let text = fs::read_to_string(package.parent()?.join(ORIGIN)).ok()?;
    let (archive, content) = text.trim().split_once(' ')?;
    Some((Hash::parse(archive)?, Hash::parse(content)?))
}

/// The newest; of the same version the one found first.
fn newest(found: impl Iterator<Item = Found>) -> Option<Found> {
    found.reduce(|best, next| match compare(&next.version, &best.version) {
        std::cmp::Ordering::Greater => next,
        _ => best,
    })
}

fn versions_in(folder: &Path, name: &str) -> Vec<Found> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut found: Vec<Found> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let file = entry.file_name().into_string().ok()?;
            let version = version_of(&file, name)?.to_owned();
            let content = Content::at(&entry.path())?;
            Some(Found { content, version })
        })
        .collect();
    found.sort_by(|left, right| left.content.path().cmp(right.content.path()));
    found
}

/// The version in the name of a file of this package.
fn version_of<'f>(file: &'f str, name: &str) -> Option<&'f str> {
    let rest = file.strip_prefix(name)?.strip_prefix(SEPARATORS)?;
    let version = ENDINGS
        .iter()
        .find_map(|ending| rest.strip_suffix(ending))
        .unwrap_or(rest);
    version
        .starts_with(|first: char| first.is_ascii_digit())
        .then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_name_of_a_file() {
        let name = "hl7.fhir.us.core";
        for (file, expected) in [
            ("hl7.fhir.us.core-6.1.0.tgz", Some("6.1.0")),
            ("hl7.fhir.us.core#6.1.0", Some("6.1.0")),
            ("hl7.fhir.us.core@7.0.0-ballot.tar.gz", Some("7.0.0-ballot")),
            ("hl7.fhir.us.core-ehr-1.0.0.tgz", None),
            ("hl7.fhir.us.corex-1.0.0.tgz", None),
            ("hl7.fhir.us", None),
        ] {
            assert_eq!(version_of(file, name), expected, "{file}");
        }
    }
}
