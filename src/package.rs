//! FHIR packages at run time: found, checked, resolved, compiled once, kept as an image.
//!
//! The configuration names packages (`hl7.fhir.us.core@6.1.0`). [`load`] finds them and what they
//! depend on (`source`, `resolve`), gives canonicals without a version the one that the package
//! was made with (`pin`), and extends the embedded definitions by them (`compile`). What came out
//! is kept in a file (`image`), so that a start with the same packages reads that and no JSON.
//! What follows from the definitions is left to those who use them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fhir_model::definition::Definitions;

use crate::config::{Config, MissingDependency};

mod compile;
mod content;
mod coordinate;
mod image;
mod manifest;
mod pin;
mod registry;
mod resolve;
mod source;
mod structures;

pub use content::Content;
pub use coordinate::{Coordinate, Wanted};
pub use image::Guide;
pub use registry::install_tls;
pub use resolve::{Note, Package, Resolution, resolve, resolve_at};
pub use source::Sources;
pub use structures::{Structures, lacks_snapshot};

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub(crate) [u8; 32]);

impl Hash {
    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|digit| digit.to_digit(16).and_then(|digit| digit.try_into().ok()))
            .collect();
        let bytes: Vec<u8> = digits?
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        (text.len() == 64).then(|| bytes.try_into().ok().map(Self))?
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hash({self})")
    }
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Why packages cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What should name a package does not.
    #[error("{0:?} names no package; write NAME@VERSION, as hl7.fhir.us.core@6.1.0")]
    Name(String),
    /// A package that is asked for is nowhere.
    #[error(
        "package {package} was not found; looked in {looked_in}; put it into package_folder, or \
         name a package_registry and run: baton packages get {package}"
    )]
    NotFound {
        /// Which.
        package: Coordinate,
        /// Where it was looked for.
        looked_in: String,
    },
    /// A package is not the one that it must be.
    #[error(
        "package {package} in {path} has the hash {found}, and {expected} is expected: it was damaged or exchanged; get it again"
    )]
    Hash {
        /// Which.
        package: Coordinate,
        /// Where it is.
        path: PathBuf,
        /// The hash that it must have.
        expected: String,
        /// The hash that it has.
        found: String,
    },
    /// A package is for another version of FHIR.
    #[error(
        "package {package} is for FHIR {versions}, and Baton works by R4 (4.0.1); choose its R4 edition"
    )]
    FhirVersion {
        /// Which.
        package: Coordinate,
        /// What it is for.
        versions: String,
    },
    /// An archive or a folder is no package, or breaks a limit.
    #[error("{path} cannot be used as a package: {reason}")]
    Content {
        /// Where it is.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Packages pull in too many others.
    #[error("more than {0} packages would be loaded")]
    TooMany(usize),
    /// Dependencies are missing, and the configuration does not allow that.
    #[error("{0}; put it into package_folder, or set package_dependencies = \"warn\"")]
    Dependency(String),
    /// A registry does not do what is asked.
    #[error("the package registry at {url} cannot be used: {reason}")]
    Registry {
        /// What was asked for.
        url: String,
        /// Why.
        reason: String,
    },
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("{path} cannot be written")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The definitions of the program and of all packages together.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Everything, the embedded definitions first.
    pub definitions: Arc<Definitions>,
    /// The implementation guides among the packages.
    pub guides: Arc<[Guide]>,
    /// Which packages, and from where.
    pub resolution: Arc<Resolution>,
    /// Whether an image was read, rather than packages compiled.
    pub is_from_image: bool,
}

/// Finds and loads the packages of a configuration; without any, the embedded definitions.
///
/// # Errors
/// When a package is not found or cannot be used.
pub async fn load(config: &Config) -> Result<Loaded, Error> {
    let wanted: Vec<Wanted> = config
        .packages
        .iter()
        .map(|name| name.parse())
        .collect::<Result<_, _>>()?;
    let resolution = resolve(&wanted, &Sources::new(config)).await?;
    for note in &resolution.notes {
        if config.package_dependencies == MissingDependency::Refuse && !note.is_harmless() {
            return Err(Error::Dependency(note.to_string()));
        }
        tracing::warn!("{note}");
    }
    image::load(resolution, config.image_folder().as_deref())
}

/// Loads the packages at these paths and what they depend on, as far as that lies beside the first
/// of them or in the package cache: the network is not asked.
///
/// # Errors
/// When there is no package at a path, or it cannot be used.
pub async fn load_at(paths: &[PathBuf]) -> Result<Loaded, Error> {
    let beside = paths.first().and_then(|path| path.parent());
    let sources = Sources {
        folder: beside.map(Path::to_owned),
        registry: None,
        ..Sources::new(&Config::default())
    };
    let resolution = resolve_at(paths, &sources).await?;
    image::load(resolution, None)
}
