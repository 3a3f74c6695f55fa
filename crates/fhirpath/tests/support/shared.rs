//! The official cases and examples, which are not part of this repository.
//!
//! `$BATON_SHARED_DATA`, else `../shared/data` beside the repository. Where they are missing, the
//! tests say so and pass.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// The files of an archive by their paths; `None`, and a line of print, if it is not there.
pub(crate) fn archive(
    name: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Option<Vec<(String, String)>> {
    let path = folder()?.join("tests").join(name);
    let Ok(file) = File::open(&path) else {
        println!("left out: {} is not there", path.display());
        return None;
    };
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
    Some(files)
}

#[expect(clippy::disallowed_methods, reason = "a test finds its data so")]
fn folder() -> Option<PathBuf> {
    let folder = std::env::var("BATON_SHARED_DATA").map(PathBuf::from);
    let folder = folder
        .unwrap_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    if folder.is_dir() {
        return Some(folder);
    }
    println!("left out: {} is not there", folder.display());
    None
}
