//! What an import reads: files, folders and archives, compressed or not, as a stream of items.
//!
//! A thread reads and waits while as many items as the channel holds are not taken, so memory does
//! not grow with the input. An item is a line of NDJSON or a whole JSON file.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tokio::sync::mpsc;

use crate::cli::STANDARD_INPUT;

/// Largest line or JSON file.
const ITEM_BYTES_MAX: u64 = 256 << 20;
/// Items that wait.
const ITEMS_MAX: usize = 64;
const BUFFER_BYTES: usize = 1 << 20;

/// Something to import, or why no more of a file can be read.
pub(super) struct Item {
    /// The file, and its place in an archive.
    pub(super) file: String,
    /// The line, of NDJSON.
    pub(super) line: Option<u64>,
    /// What is there.
    pub(super) bytes: anyhow::Result<Vec<u8>>,
}

/// All files below these paths, in the order of their names.
pub(super) fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        add_files(path, &mut found)?;
    }
    Ok(found)
}

fn add_files(path: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        ensure!(
            path == Path::new(STANDARD_INPUT) || path.is_file(),
            "there is no {}",
            path.display()
        );
        found.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path)
        .with_context(|| format!("cannot read the folder {}", path.display()))?;
    let mut names: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    names.sort();
    for name in names {
        let is_ours = |name: &str| {
            let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
            let known = [".ndjson", ".json", ".tar", ".tgz"];
            known.iter().any(|ending| name.ends_with(ending)) && name != "manifest.json"
        };
        let file_name = name.file_name().and_then(|name| name.to_str());
        if name.is_dir() || file_name.is_some_and(is_ours) {
            add_files(&name, found)?;
        }
    }
    Ok(())
}

/// Reads a file on a thread of its own.
pub(super) fn read(path: PathBuf) -> mpsc::Receiver<Item> {
    let (sender, items) = mpsc::channel(ITEMS_MAX);
    std::thread::spawn(move || {
        let reading = Reading { sender };
        let shown = path.display().to_string();
        if let Err(error) = reading.path(&path, &shown) {
            let _ = reading.send(&shown, None, Err(error)); // whoever imports has given up
        }
    });
    items
}

struct Reading {
    sender: mpsc::Sender<Item>,
}

/// Whoever imports has given up.
struct Unheard;

impl Reading {
    fn send(
        &self,
        file: &str,
        line: Option<u64>,
        bytes: anyhow::Result<Vec<u8>>,
    ) -> Result<(), Unheard> {
        let file = file.to_owned();
        self.sender
            .blocking_send(Item { file, line, bytes })
            .map_err(|_| Unheard)
    }

    fn path(&self, path: &Path, shown: &str) -> anyhow::Result<()> {
        if path == Path::new(STANDARD_INPUT) {
            return self.lines(std::io::stdin().lock(), shown);
        }
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        self.stream(file, shown, shown)
    }

    /// What a stream holds, by the ending of its name.
    fn stream(&self, stream: impl Read, name: &str, shown: &str) -> anyhow::Result<()> {
        let stream: Box<dyn Read + '_> = Box::new(stream);
        if let Some(inner) = name.strip_suffix(".gz") {
            let stream = flate2::read::MultiGzDecoder::new(BufReader::new(stream));
            return self.plain(Box::new(stream), inner, shown);
        }
        if let Some(inner) = name.strip_suffix(".zst") {
            let stream = zstd::stream::read::Decoder::new(stream)?;
            return self.plain(Box::new(stream), inner, shown);
        }
        if let Some(inner) = name.strip_suffix(".tgz") {
            let stream = flate2::read::MultiGzDecoder::new(BufReader::new(stream));
            return self.plain(Box::new(stream), &format!("{inner}.tar"), shown);
        }
        self.plain(stream, name, shown)
    }

    fn plain(&self, stream: Box<dyn Read + '_>, name: &str, shown: &str) -> anyhow::Result<()> {
        if name.ends_with(".tar") {
            return self.archive(stream, shown);
        }
        if name.ends_with(".ndjson") {
            return self.lines(BufReader::with_capacity(BUFFER_BYTES, stream), shown);
        }
        let mut bytes = Vec::new();
        stream.take(ITEM_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        ensure_size(bytes.len(), shown)?;
        let _ = self.send(shown, None, Ok(bytes));
        Ok(())
    }

    fn archive(&self, stream: Box<dyn Read + '_>, shown: &str) -> anyhow::Result<()> {
        let mut archive = tar::Archive::new(stream);
        for entry in archive.entries()? {
            let entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = entry.path()?.display().to_string();
            let is_json = [".json", ".ndjson"]
                .iter()
                .any(|ending| name.trim_end_matches(".gz").ends_with(ending));
            if is_json {
                let shown = format!("{shown}/{name}");
                let name = name.trim_end_matches(".gz").to_owned();
                self.plain(Box::new(entry), &name, &shown)?;
            }
        }
        Ok(())
    }

    fn lines(&self, mut stream: impl std::io::BufRead, shown: &str) -> anyhow::Result<()> {
        for number in 1.. {
            let mut line = Vec::new();
            let limited = &mut (&mut stream).take(ITEM_BYTES_MAX + 1);
            if BufReader::new(limited).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            ensure_size(line.len(), shown)?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            if self.send(shown, Some(number), Ok(line)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

fn ensure_size(bytes: usize, shown: &str) -> anyhow::Result<()> {
    let is_fine = u64::try_from(bytes).is_ok_and(|bytes| bytes <= ITEM_BYTES_MAX);
    ensure!(
        is_fine,
        "{shown} holds more than {ITEM_BYTES_MAX} bytes in one resource"
    );
    Ok(())
}
