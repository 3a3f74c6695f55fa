//! Archives of published cases and examples, which are not part of the repository.
//!
//! `conformance/README.md` says where they come from. Where they are missing, what is left out is
//! printed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// The folder of shared test data, if this machine has it.
pub(crate) fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("BATON_SHARED_DATA").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// The files of an archive whose name ends so, by path; none where there is no archive.
pub(crate) fn archived(archive: &str, suffix: &str) -> Vec<(String, Vec<u8>)> {
    let Some(folder) = folder() else {
        eprintln!("left out: no shared data, so nothing of {archive} was read");
        return Vec::new();
    };
    let archive = File::open(folder.join("tests").join(archive)).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if path.ends_with(suffix) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.push((path, bytes));
        }
    }
    assert!(!files.is_empty());
    files
}

/// The file with this name among those of an archive.
pub(crate) fn file_named<'a>(files: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    let is_named = |path: &str| path.rsplit('/').next() == Some(name);
    let found = files.iter().find(|(path, _)| is_named(path));
    found.map(|(_, bytes)| bytes.as_slice())
}
