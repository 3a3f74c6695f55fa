//! From the packages that are asked for to those that are loaded: dependencies, versions, order.
//!
//! A dependency means the exact version that it names; several versions of one package are loaded
//! side by side. What is embedded in the program is there already. A dependency that is nowhere is
//! a [`Note`], as most profiles work without the terminology that they refer to.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;

use crate::definitions;
use crate::package::content::Content;
use crate::package::coordinate::{Coordinate, compare};
use crate::package::manifest::Manifest;
use crate::package::source::{Found, Sources};
use crate::package::{Error, Hash, Wanted};

/// Most packages that are loaded together.
const PACKAGES_MAX: usize = 200;

/// Packages that other packages name and that hold no definitions.
const NO_DEFINITIONS: &[&str] = &["hl7.fhir.r4.examples"];

/// A package that is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name and version.
    pub coordinate: Coordinate,
    /// Where it was found.
    pub content: Content,
    /// SHA-256 of its archive, or of the files of its folder.
    pub hash: Hash,
    /// The packages, by number, that it depends on directly.
    pub(super) dependencies: Vec<usize>,
}

/// Something about a dependency that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// It was not found.
    Missing {
        /// What.
        dependency: Coordinate,
        /// Who needs it.
        wanted_by: Coordinate,
    },
    /// A later version is used.
    Later {
        /// What.
        dependency: Coordinate,
        /// Who needs it.
        wanted_by: Coordinate,
        /// Which version is used.
        used: String,
    },
    /// It was found and cannot be used.
    Unusable {
        /// What.
        dependency: Coordinate,
        /// Who needs it.
        wanted_by: Coordinate,
        /// Why not.
        reason: String,
    },
}

impl Note {
    /// Whether everything that is referred to is there all the same.
    pub fn is_harmless(&self) -> bool {
        matches!(self, Self::Later { .. })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing {
                dependency,
                wanted_by,
            } => write!(
                formatter,
                "{wanted_by} depends on {dependency}, which was not found: what refers to it is \
                 not checked"
            ),
            Self::Later {
                dependency,
                wanted_by,
                used,
            } => write!(
                formatter,
                "{wanted_by} depends on {dependency}, which was not found: {used} is used instead"
            ),
            Self::Unusable {
                dependency,
                wanted_by,
                reason,
            } => write!(
                formatter,
                "{wanted_by} depends on {dependency}, which cannot be used: {reason}"
            ),
        }
    }
}

/// What is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// By name and, within a name, from the oldest version to the newest, so that a canonical
    /// without a version means the newest.
    pub packages: Vec<Package>,
    /// What is to be said about dependencies.
    pub notes: Vec<Note>,
}

/// The work in progress.
struct Resolver<'s> {
    sources: &'s Sources,
    packages: Vec<Package>,
    pending: VecDeque<(usize, Coordinate)>,
    notes: Vec<Note>,
}

/// Finds the packages that are asked for and everything that they depend on.
///
/// # Errors
/// When one that is asked for is not found or cannot be used.
pub async fn resolve(wanted: &[Wanted], sources: &Sources) -> Result<Resolution, Error> {
    let mut resolver = Resolver::new(sources);
    for wanted in wanted {
        let found = sources.find(&wanted.coordinate).await?;
        let found = found.ok_or_else(|| Error::NotFound {
            package: wanted.coordinate.clone(),
            looked_in: sources.looked_in(),
        })?;
        resolver.add(wanted, &found)?;
    }
    resolver.follow_all().await
}

/// The packages that lie at these paths, and everything that they depend on.
///
/// # Errors
/// When there is no package at a path, or it cannot be used.
pub async fn resolve_at(paths: &[PathBuf], sources: &Sources) -> Result<Resolution, Error> {
    let mut resolver = Resolver::new(sources);
    for path in paths {
        let content = Content::at(path).ok_or_else(|| Error::Content {
            path: path.clone(),
            reason: "it is neither an archive nor a folder with a package.json".to_owned(),
        })?;
        let coordinate = Manifest::read(&content)?.coordinate;
        let found = Found::new(content, &coordinate.version);
        let wanted = Wanted {
            coordinate,
            hash: None,
        };
        resolver.add(&wanted, &found)?;
    }
    resolver.follow_all().await
}

impl<'s> Resolver<'s> {
    fn new(sources: &'s Sources) -> Self {
        Self {
            sources,
            packages: Vec::new(),
            pending: VecDeque::new(),
            notes: Vec::new(),
        }
    }

    /// Finds what the packages depend on, until nothing is left to be found.
    async fn follow_all(mut self) -> Result<Resolution, Error> {
        while let Some((from, dependency)) = self.pending.pop_front() {
            self.follow(from, &dependency).await?;
        }
        Ok(self.finish())
    }

    /// Takes a package in, once. Returns its number.
    fn add(&mut self, wanted: &Wanted, found: &Found) -> Result<usize, Error> {
        let content = &found.content;
        let known = |package: &Package| package.content == *content;
        if let Some(number) = self.packages.iter().position(known) {
            found.check(wanted, self.hash_of(number))?;
            return Ok(number);
        }
        let manifest = Manifest::read(content)?;
        let is_meant = manifest.coordinate.name == wanted.coordinate.name;
        if !is_meant {
            let found = manifest.coordinate;
            return Err(content.broken(format!("its package.json is that of {found}")));
        }
        let hash = content.hash()?;
        found.check(wanted, hash)?;
        let number = self.packages.len();
        if number >= PACKAGES_MAX {
            return Err(Error::TooMany(PACKAGES_MAX));
        }
        let dependencies = manifest.dependencies.into_iter();
        self.pending
            .extend(dependencies.map(|dependency| (number, dependency)));
        self.packages.push(Package {
            coordinate: manifest.coordinate,
            content: content.clone(),
            hash,
            dependencies: Vec::new(),
        });
        Ok(number)
    }

    fn hash_of(&self, number: usize) -> Hash {
        self.packages
            .get(number)
            .map_or(Hash([0; 32]), |package| package.hash)
    }

    /// Finds what a package depends on.
    async fn follow(&mut self, from: usize, dependency: &Coordinate) -> Result<(), Error> {
        let name = dependency.name.as_str();
        let embedded = definitions::packages()
            .iter()
            .find(|package| package.name == name);
        let is_embedded = embedded.is_some_and(|package| dependency.admits(package.version));
        if is_embedded || NO_DEFINITIONS.contains(&name) {
            return Ok(());
        }
        let Some(wanted_by) = self.packages.get(from).map(|from| from.coordinate.clone()) else {
            return Ok(());
        };
        let note = match (self.sources.find(dependency).await?, embedded) {
            (Some(found), _) => {
                self.link(from, dependency, &found)
                    .err()
                    .map(|error| Note::Unusable {
                        dependency: dependency.clone(),
                        wanted_by,
                        reason: error.to_string(),
                    })
            }
            (None, Some(embedded)) => Some(Note::Later {
                dependency: dependency.clone(),
                wanted_by,
                used: embedded.version.to_owned(),
            }),
            (None, None) => Some(self.follow_later(from, dependency, wanted_by)),
        };
        self.notes.extend(note);
        Ok(())
    }

    /// Takes a later version of what is not there; says so, or that there is none.
    fn follow_later(
        &mut self,
        from: usize,
        dependency: &Coordinate,
        wanted_by: Coordinate,
    ) -> Note {
        let later = self.sources.later(dependency);
        let used = later.and_then(|found| self.link(from, dependency, &found).ok());
        let dependency = dependency.clone();
        match used {
            Some(used) => Note::Later {
                dependency,
                wanted_by,
                used,
            },
            None => Note::Missing {
                dependency,
                wanted_by,
            },
        }
    }

    /// Makes a package that was found a dependency. Returns its version.
    fn link(
        &mut self,
        from: usize,
        dependency: &Coordinate,
        found: &Found,
    ) -> Result<String, Error> {
        let wanted = Wanted {
            coordinate: dependency.clone(),
            hash: None,
        };
        let number = self.add(&wanted, found)?;
        if let Some(from) = self.packages.get_mut(from) {
            from.dependencies.push(number);
        }
        let found = self.packages.get(number);
        Ok(found.map_or_else(String::new, |found| found.coordinate.version.clone()))
    }

    /// Brings the packages into their order.
    fn finish(self) -> Resolution {
        let mut order: Vec<usize> = (0..self.packages.len()).collect();
        let coordinate = |number: &usize| {
            self.packages
                .get(*number)
                .map(|package| &package.coordinate)
        };
        order.sort_by(|left, right| match (coordinate(left), coordinate(right)) {
            (Some(left), Some(right)) => left
                .name
                .cmp(&right.name)
                .then_with(|| compare(&left.version, &right.version)),
            _ => std::cmp::Ordering::Equal,
        });
        let place = |number: &usize| order.iter().position(|at| at == number);
        let moved = |package: &Package| Package {
            dependencies: package.dependencies.iter().filter_map(place).collect(),
            ..package.clone()
        };
        Resolution {
            packages: order
                .iter()
                .filter_map(|number| self.packages.get(*number))
                .map(moved)
                .collect(),
            notes: self.notes,
        }
    }
}

impl Resolution {
    /// The numbers of the packages in the order of compiling: what a package depends on comes
    /// before it, and an older version of a package before a newer one.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.packages.len());
        let mut seen = BTreeSet::new();
        for package in 0..self.packages.len() {
            self.visit(package, &mut seen, &mut order);
        }
        order
    }

    /// Puts a package into the order, after all that has to come before. Its depth is bounded by the
    /// number of packages.
    fn visit(&self, number: usize, seen: &mut BTreeSet<usize>, order: &mut Vec<usize>) {
        let Some(package) = self.packages.get(number).filter(|_| seen.insert(number)) else {
            return;
        };
        let name = &package.coordinate.name;
        let is_older = |older: &usize| {
            let older = self.packages.get(*older);
            older.is_some_and(|older| older.coordinate.name == *name)
        };
        for earlier in (0..number).filter(is_older) {
            self.visit(earlier, seen, order);
        }
        for dependency in &package.dependencies {
            self.visit(*dependency, seen, order);
        }
        order.push(number);
    }

    /// A package and everything that it depends on, directly or not, the nearest first.
    pub(super) fn closure(&self, package: usize) -> Vec<usize> {
        let mut seen = BTreeSet::from([package]);
        let mut closure = vec![package];
        let mut at = 0;
        while let Some(package) = closure
            .get(at)
            .and_then(|number| self.packages.get(*number))
        {
            for dependency in &package.dependencies {
                if seen.insert(*dependency) {
                    closure.push(*dependency);
                }
            }
            at += 1;
        }
        closure
    }
}
