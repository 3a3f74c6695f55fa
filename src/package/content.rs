//! The files of a package, out of an archive (`.tgz`) or a folder, under limits.
//!
//! Only `package/package.json` and the resources directly in `package/` are read; examples and
//! other formats lie in folders of their own. Nothing of an archive is written to disk here, so a
//! path in it leads nowhere; one that tries is refused all the same.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256};

use crate::package::{Error, Hash};

/// Largest archive, compressed.
pub(super) const ARCHIVE_BYTES_MAX: u64 = 256 << 20;
/// Most bytes that an archive may unpack to, whatever it holds.
pub(super) const UNPACKED_BYTES_MAX: u64 = 1 << 30;
/// Largest file of a package; the largest code system of HL7's own has a tenth of it.
pub(super) const FILE_BYTES_MAX: u64 = 64 << 20;
/// Most files of a package.
pub(super) const FILES_MAX: usize = 50_000;

/// The folder inside a package that holds its resources.
const FOLDER: &str = "package";

/// Where the files of a package are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A `.tgz`.
    Archive(PathBuf),
    /// The folder with `package.json`.
    Folder(PathBuf),
}

/// A file of a package: its name and its bytes.
pub(super) type Visit<'v> = &'v mut dyn FnMut(&str, Vec<u8>) -> ControlFlow<()>;

impl Content {
    /// What lies at a path, if it can be a package: an archive, or a folder with `package.json`
    /// in it or in its `package/`.
    pub(super) fn at(path: &Path) -> Option<Self> {
        if path.is_file() {
            return Some(Self::Archive(path.to_owned()));
        }
        let inner = path.join(FOLDER);
        [inner.as_path(), path]
            .into_iter()
            .find(|folder| folder.join("package.json").is_file())
            .map(|folder| Self::Folder(folder.to_owned()))
    }

    /// Where it is, for a person.
    pub fn path(&self) -> &Path {
        match self {
            Self::Archive(path) | Self::Folder(path) => path,
        }
    }

    /// Shows each file directly in `package/` until the visitor has seen enough.
    pub(super) fn visit(&self, visit: Visit<'_>) -> Result<(), Error> {
        match self {
            Self::Archive(path) => {
                let file = self.open(path)?;
                visit_archive(file, &mut |path, bytes| match in_folder(path) {
                    Some(name) => visit(name, bytes),
                    None => ControlFlow::Continue(()),
                })
                .map_err(|reason| self.broken(reason))
            }
            Self::Folder(folder) => self.visit_folder(folder, visit),
        }
    }

    /// One file.
    pub(super) fn file(&self, wanted: &str) -> Result<Option<Vec<u8>>, Error> {
        if let Self::Folder(folder) = self {
            let path = folder.join(wanted);
            if !path.is_file() {
                return Ok(None);
            }
            return self.read(&path).map(Some);
        }
        let mut found = None;
        self.visit(&mut |name, bytes| {
            if name != wanted {
                return ControlFlow::Continue(());
            }
            found = Some(bytes);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// The SHA-256 of an archive; of a folder, that of the names and bytes of its files.
    pub(super) fn hash(&self) -> Result<Hash, Error> {
        let mut digest = Sha256::new();
        match self {
            Self::Archive(path) => {
                let mut file = self.open(path)?;
                let mut buffer = vec![0; BUFFER_BYTES];
                loop {
                    let count = file.read(&mut buffer).map_err(|error| self.unread(error))?;
                    let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                        break;
                    };
                    digest.update(bytes);
                }
            }
            Self::Folder(folder) => self.visit_folder(folder, &mut |name, bytes| {
                digest.update(name);
                digest.update(u64::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
                digest.update(bytes);
                ControlFlow::Continue(())
            })?,
        }
        Ok(Hash(digest.finalize().into()))
    }

    fn open(&self, path: &Path) -> Result<BufReader<File>, Error> {
        let file = File::open(path).map_err(|error| self.unread(error))?;
        let bytes = file.metadata().map_err(|error| self.unread(error))?.len();
        if bytes > ARCHIVE_BYTES_MAX {
            return Err(self.broken(too_large("the archive", ARCHIVE_BYTES_MAX)));
        }
        Ok(BufReader::with_capacity(BUFFER_BYTES, file))
    }

    /// The JSON files of a folder, by name.
    fn visit_folder(&self, folder: &Path, visit: Visit<'_>) -> Result<(), Error> {
        let entries = fs::read_dir(folder).map_err(|error| self.unread(error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| self.unread(error))?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            match entry.file_name().into_string() {
                Ok(name) if is_file && is_json(&name) => names.push(name),
                _ => {}
            }
        }
        if names.len() > FILES_MAX {
            return Err(self.broken(too_many_files()));
        }
        names.sort_unstable();
        for name in names {
            let bytes = self.read(&folder.join(&name))?;
            if visit(&name, bytes).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let file = File::open(path).map_err(|error| self.unread(error))?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.unread(error))?;
        if u64::try_from(bytes.len()).is_ok_and(|bytes| bytes > FILE_BYTES_MAX) {
            return Err(self.broken(too_large(&path.display().to_string(), FILE_BYTES_MAX)));
        }
        Ok(bytes)
    }

    fn unread(&self, source: io::Error) -> Error {
        Error::Read {
            path: self.path().to_owned(),
            source,
        }
    }

    pub(super) fn broken(&self, reason: String) -> Error {
        Error::Content {
            path: self.path().to_owned(),
            reason,
        }
    }
}

/// Bytes read at a time.
const BUFFER_BYTES: usize = 1 << 16;

/// Shows every file of a gzipped tar with its path; what is wrong with it comes as text.
pub(super) fn visit_archive(
    archive: impl Read,
    visit: &mut dyn FnMut(&Path, Vec<u8>) -> ControlFlow<()>,
) -> Result<(), String> {
    let unpacked = GzDecoder::new(archive).take(UNPACKED_BYTES_MAX + 1);
    let mut archive = tar::Archive::new(unpacked);
    let entries = archive.entries().map_err(|error| error.to_string())?;
    let (mut files, mut bytes_read) = (0, 0_u64);
    for entry in entries {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let kind = entry.header().entry_type();
        let path = entry
            .path()
            .map_err(|error| error.to_string())?
            .into_owned();
        if !is_inside(&path) {
            return Err(format!("{} leads out of the package", path.display()));
        }
        files += 1;
        if files > FILES_MAX {
            return Err(too_many_files());
        }
        bytes_read = bytes_read.saturating_add(entry.size());
        if bytes_read > UNPACKED_BYTES_MAX {
            return Err(too_large("its content", UNPACKED_BYTES_MAX));
        }
        if !kind.is_file() {
            continue;
        }
        if entry.size() > FILE_BYTES_MAX {
            return Err(too_large(&path.display().to_string(), FILE_BYTES_MAX));
        }
        let mut bytes = Vec::new();
        entry
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        if visit(&path, bytes).is_break() {
            break;
        }
    }
    Ok(())
}

/// Whether a path of an archive stays in the folder that it is unpacked to.
fn is_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The name of a JSON file directly in `package/`.
fn in_folder(path: &Path) -> Option<&str> {
    let path = path.strip_prefix(".").unwrap_or(path);
    let name = path.strip_prefix(FOLDER).ok()?.to_str()?;
    (!name.contains('/') && is_json(name)).then_some(name)
}

/// Resources and `package.json`; not `.index.json`.
fn is_json(name: &str) -> bool {
    let extension = Path::new(name).extension();
    !name.starts_with('.') && extension.is_some_and(|extension| extension == "json")
}

fn too_large(what: &str, limit: u64) -> String {
    format!("{what} is larger than {limit} bytes")
}

fn too_many_files() -> String {
    format!("it has more than {FILES_MAX} files")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            // As an attacker would: the library itself refuses to write such a path.
            let name = header.as_gnu_mut().unwrap();
            name.name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&[&str], &str>) {
        let mut names = Vec::new();
        let result = visit_archive(bytes, &mut |path, _| {
            names.extend(in_folder(path).map(str::to_owned));
            ControlFlow::Continue(())
        });
        match (result, expected) {
            (Ok(()), Ok(expected)) => assert_eq!(names, expected),
            (Err(reason), Err(expected)) => assert!(reason.contains(expected), "{reason}"),
            (result, expected) => panic!("{result:?}, not {expected:?}"),
        }
    }

    #[test]
    fn only_what_lies_in_the_package_is_read() {
        let files: &[(&str, &[u8])] = &[
            ("package/package.json", b"{}"),
            ("package/.index.json", b"{}"),
            ("package/Patient.json", b"{}"),
            ("./package/ValueSet.json", b"{}"),
            ("package/example/Patient-a.json", b"{}"),
            ("package/readme.md", b""),
            ("other/a.json", b"{}"),
        ];
        check(
            &archive(files),
            Ok(&["package.json", "Patient.json", "ValueSet.json"]),
        );
    }

    #[test]
    fn a_path_that_leads_out_is_refused() {
        check(
            &archive(&[("package/../../etc/cron.d/a.json", b"{}")]),
            Err("leads out"),
        );
        check(&archive(&[("/etc/a.json", b"{}")]), Err("leads out"));
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        check(b"no archive at all", Err("gzip"));
        let whole = archive(&[("package/a.json", &[b' '; 4096])]);
        check(&whole[..whole.len() / 2], Err(""));
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut header = tar::Header::new_gnu();
        header.set_path("package/a.json").unwrap();
        header.set_size(FILE_BYTES_MAX + 1);
        header.set_cksum();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(header.as_bytes()).unwrap();
        check(&gzip.finish().unwrap(), Err("larger than 67108864 bytes"));
    }
}
