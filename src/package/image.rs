//! The compiled form of a list of packages, kept in a file.
//!
//! The name of the file is a hash of everything that it follows from: the embedded image, the
//! compiler and the packages with their hashes. It begins with a hash of its own content; one that
//! is damaged is made anew, and one that cannot be written costs time at the next start only.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use fhir_model::definition::Definitions;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::definitions;
use crate::package::compile::{Compiled, compile};
use crate::package::resolve::Resolution;
use crate::package::{Error, Hash, Loaded};

/// So many images are kept: one for each of the last few configurations.
const IMAGES_KEPT: usize = 4;

/// The ending of their names.
const ENDING: &str = "image";

/// An implementation guide, as the statement of the server names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guide {
    /// Its canonical URL.
    pub url: String,
    /// Its version.
    pub version: Option<String>,
}

/// Reads the image of these packages, or compiles them and writes it.
pub(super) fn load(resolution: Resolution, folder: Option<&Path>) -> Result<Loaded, Error> {
    let resolution = Arc::new(resolution);
    if resolution.packages.is_empty() {
        return Ok(Loaded {
            definitions: definitions::embedded(),
            guides: Arc::new([]),
            resolution,
            is_from_image: true,
        });
    }
    let path = folder.map(|folder| folder.join(format!("{}.{ENDING}", key(&resolution))));
    let kept = path.as_deref().and_then(read);
    let is_from_image = kept.is_some();
    let (definitions, guides) = match kept {
        Some(kept) => kept,
        None => make(&resolution, path.as_deref())?,
    };
    Ok(Loaded {
        definitions: Arc::new(definitions),
        guides: guides.into(),
        resolution,
        is_from_image,
    })
}

/// Compiles the packages, and writes the image.
fn make(
    resolution: &Arc<Resolution>,
    path: Option<&Path>,
) -> Result<(Definitions, Vec<Guide>), Error> {
    let compiled = compile(&definitions::embedded(), resolution)?;
    for problem in &compiled.problems {
        tracing::debug!("Compiling packages: {problem}");
    }
    if let Some(path) = path
        && let Err(error) = write(path, &compiled)
    {
        let shown = path.display();
        tracing::warn!("The image of the packages cannot be kept in {shown}: {error}");
    }
    Ok((compiled.definitions, compiled.guides))
}

/// A hash of everything that an image follows from.
fn key(resolution: &Resolution) -> Hash {
    let mut digest = Sha256::new();
    digest.update(definitions::COMPILER);
    for package in &resolution.packages {
        digest.update(package.coordinate.to_string());
        digest.update(package.hash.0);
        for dependency in &package.dependencies {
            digest.update(dependency.to_string());
            digest.update(b" ");
        }
        digest.update(b"\n");
    }
    Hash(digest.finalize().into())
}

/// Reads an image; nothing if there is none or it is damaged.
fn read(path: &Path) -> Option<(Definitions, Vec<Guide>)> {
    let bytes = fs::read(path).ok()?;
    let content = checked(&bytes);
    let read = content.and_then(|content| {
        let (length, rest) = content.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
        let (guides, image) = rest.split_at_checked(length)?;
        let guides = serde_json::from_slice(guides).ok()?;
        Some((Definitions::from_image(image).ok()?, guides))
    });
    if read.is_none() {
        let shown = path.display();
        tracing::warn!("The image of the packages in {shown} is damaged and is made anew");
    }
    read
}

/// The content, if its hash is the one that it begins with.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (hash, content) = bytes.split_first_chunk::<32>()?;
    let found: [u8; 32] = Sha256::digest(content).into();
    (found == *hash).then_some(content)
}

/// Writes an image beside its place and moves it there, so that nobody reads half of it.
fn write(path: &Path, compiled: &Compiled) -> Result<(), Box<dyn std::error::Error>> {
    let guides = serde_json::to_vec(&compiled.guides)?;
    let mut content = u64::try_from(guides.len())?.to_be_bytes().to_vec();
    content.extend_from_slice(&guides);
    content.extend_from_slice(&compiled.definitions.to_image()?);
    let mut bytes = Sha256::digest(&content).to_vec();
    bytes.append(&mut content);
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let partial = path.with_extension(std::process::id().to_string());
    fs::write(&partial, bytes)?;
    fs::rename(&partial, path)?;
    forget_old(folder);
    Ok(())
}

/// Removes all images but the newest.
fn forget_old(folder: &Path) {
    let mut images: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let is_image = path.extension().is_some_and(|found| found == ENDING);
            let modified = is_image.then(|| path.metadata().ok()?.modified().ok())??;
            Some((modified, path))
        })
        .collect();
    images.sort_unstable_by(|left, right| right.cmp(left));
    for (_, path) in images.iter().skip(IMAGES_KEPT) {
        let _ = fs::remove_file(path);
    }
}
