//! `baton export`: what is stored, into a folder or to standard output, type by type.
//!
//! Everything is shown as it was when the export began. It is read in pages with a budget of bytes,
//! so memory stays the same. The folder has a `manifest.json` that says how far each type has come:
//! an export that was stopped goes on from there when the same command is given again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use fhir_model::key::ResourceType;
use serde::{Deserialize, Serialize};

use crate::cli::records::{Absent, Records};
use crate::cli::{STANDARD_INPUT, complain};
use crate::clock::{Clock, Instant};
use crate::interaction::Services;
use crate::interaction::write::instant_text;
use crate::store::{Stored, Walk};

/// The file that says how far an export has come.
const MANIFEST: &str = "manifest.json";
/// Bytes written before the manifest is kept again.
const UNKEPT_BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, Args)]
pub(super) struct Export {
    /// The folder to write into; - is standard output, NDJSON of all types one after the other.
    #[arg(value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    records: Records,
    /// Only resources of this type (may be repeated, or a list with commas).
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Only what was written at this instant or later.
    #[arg(long, value_name = "INSTANT")]
    since: Option<Instant>,
    /// All versions in their order, and deletions.
    #[arg(long)]
    history: bool,
    /// What to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What an export writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// A file for each type, a resource in each line.
    #[default]
    Ndjson,
    /// Files of batch Bundles that put the resources where they were; of type history where something is deleted.
    Bundle,
}

/// What is written, and how far that has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    /// Everything is as it was then: the `_since` of the next export.
    transaction_time: String,
    /// The same as a place in the feed.
    snapshot: i64,
    format: Format,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    history: bool,
    complete: bool,
    types: BTreeMap<String, Progress>,
}

/// How far a type has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<i64>,
    /// Versions written.
    count: u64,
    /// Files, and the bytes of the last one, that belong to them.
    files: u32,
    bytes: u64,
    complete: bool,
}

/// Writes everything that is asked for.
pub(super) async fn run(options: Export) -> anyhow::Result<ExitCode> {
    let config = options.records.settings()?;
    let services = options.records.open(&config, Absent::Refused).await?;
    let is_folder = options.to != Path::new(STANDARD_INPUT);
    let manifest = begin(&services, &options, is_folder).await?;
    let mut writer = Writer {
        folder: is_folder.then_some(options.to.as_path()),
        since: options.since,
        manifest,
        unkept: 0,
    };
    let types: Vec<String> = writer.manifest.types.keys().cloned().collect();
    for name in types {
        writer.resources(&services, &name).await?;
    }
    writer.manifest.complete = true;
    writer.keep()?;
    let written: u64 = writer.manifest.types.values().map(|it| it.count).sum();
    complain(&format!("{written} resources exported"));
    services.store.close().await;
    Ok(ExitCode::SUCCESS)
}

/// The manifest of an export that goes on, or of a new one.
async fn begin(services: &Services, options: &Export, is_folder: bool) -> anyhow::Result<Manifest> {
    // Before the place in the feed, so that the next export leaves nothing out.
    let now = Clock::System.now();
    let mut manifest = Manifest {
        transaction_time: instant_text(now),
        snapshot: services.store.snapshot().await?,
        format: options.format,
        since: options.since.map(instant_text),
        history: options.history,
        complete: false,
        types: BTreeMap::new(),
    };
    let stored = services.store.resource_types().await?;
    for name in &options.types {
        services.resource_type(name).map_err(anyhow::Error::new)?;
    }
    let is_wanted = |found: &&ResourceType| {
        options.types.is_empty() || options.types.iter().any(|name| name == found.as_str())
    };
    for found in stored.iter().filter(is_wanted) {
        let progress = Progress::default();
        manifest.types.insert(found.to_string(), progress);
    }
    if !is_folder {
        ensure!(
            options.format == Format::Ndjson,
            "Bundles are written into a folder"
        );
        return Ok(manifest);
    }
    fs::create_dir_all(&options.to)
        .with_context(|| format!("cannot make the folder {}", options.to.display()))?;
    let Ok(text) = fs::read_to_string(options.to.join(MANIFEST)) else {
        let mut files = fs::read_dir(&options.to)?;
        ensure!(files.next().is_none(), "the folder is not empty");
        return Ok(manifest);
    };
    let begun: Manifest = serde_json::from_str(&text).context("manifest.json cannot be read")?;
    if begun.complete {
        bail!("the folder holds an export that is complete; choose another");
    }
    let same = (begun.format, begun.history) == (manifest.format, manifest.history)
        && begun.since == manifest.since
        && (options.types.is_empty()
            || options
                .types
                .iter()
                .all(|name| begun.types.contains_key(name)));
    ensure!(
        same,
        "the folder holds an export with other options that is not complete"
    );
    complain("The export goes on where it was stopped");
    Ok(begun)
}

struct Writer<'f> {
    /// `None` for standard output.
    folder: Option<&'f Path>,
    since: Option<Instant>,
    manifest: Manifest,
    /// Bytes written since the manifest was kept.
    unkept: u64,
}

impl Writer<'_> {
    /// Writes the resources of a type, page by page.
    async fn resources(&mut self, services: &Services, name: &str) -> anyhow::Result<()> {
        let resource_type = services.resource_type(name).map_err(anyhow::Error::new)?;
        let mut progress = self.manifest.types.get(name).cloned().unwrap_or_default();
        while !progress.complete {
            let page = services
                .store
                .walk(&Walk {
                    resource_type: resource_type.clone(),
                    snapshot: self.manifest.snapshot,
                    since: self.since,
                    history: self.manifest.history,
                    after: progress.after,
                })
                .await?;
            if !page.versions.is_empty() {
                let text = match self.manifest.format {
                    Format::Ndjson => lines(&page.versions),
                    Format::Bundle => bundle(&page.versions),
                };
                self.write(name, &mut progress, &text)?;
                progress.count += u64::try_from(page.versions.len()).unwrap_or_default();
            }
            progress.complete = page.next.is_none();
            progress.after = page.next.or(progress.after);
            self.manifest
                .types
                .insert(name.to_owned(), progress.clone());
            if progress.complete || self.unkept > UNKEPT_BYTES_MAX {
                self.keep()?;
            }
        }
        if progress.count > 0 {
            complain(&format!("{name}: {}", progress.count));
        }
        Ok(())
    }

    /// Adds a page to the file of a type, or makes a file of it.
    fn write(&mut self, name: &str, progress: &mut Progress, text: &str) -> anyhow::Result<()> {
        let Some(folder) = self.folder else {
            if std::io::stdout().write_all(text.as_bytes()).is_err() {
                std::process::exit(0); // whoever reads has seen enough
            }
            return Ok(());
        };
        let is_new = self.manifest.format == Format::Bundle || progress.files == 0;
        if is_new {
            progress.files += 1;
            progress.bytes = 0;
        }
        let path = match self.manifest.format {
            Format::Ndjson => folder.join(format!("{name}.ndjson")),
            Format::Bundle => folder.join(format!("{name}-{:06}.json", progress.files)),
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        // What a stopped export wrote after it kept its manifest is written again.
        file.set_len(progress.bytes)?;
        let mut file = BufWriter::new(file);
        file.seek(SeekFrom::Start(progress.bytes))?;
        file.write_all(text.as_bytes())?;
        file.into_inner()?.sync_data()?;
        let bytes = u64::try_from(text.len()).unwrap_or_default();
        progress.bytes += bytes;
        self.unkept += bytes;
        Ok(())
    }

    /// Keeps the manifest, whole or not at all.
    fn keep(&mut self) -> anyhow::Result<()> {
        self.unkept = 0;
        let Some(folder) = self.folder else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(&self.manifest)?;
        let beside = folder.join(".manifest.json");
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        fs::rename(&beside, folder.join(MANIFEST))?;
        Ok(())
    }
}

fn lines(versions: &[Stored]) -> String {
    let mut text = String::new();
    for stored in versions {
        match &stored.text {
            Some(resource) => text.push_str(resource),
            None => push_bundle(&mut text, std::slice::from_ref(stored)),
        }
        text.push('\n');
    }
    text
}

fn bundle(versions: &[Stored]) -> String {
    let mut text = String::new();
    push_bundle(&mut text, versions);
    text
}

/// Adds a Bundle that makes these versions when it is carried out.
fn push_bundle(text: &mut String, versions: &[Stored]) {
    let has_deletions = versions.iter().any(|stored| stored.text.is_none());
    let bundle_type = if has_deletions { "history" } else { "batch" };
    let _ = write!(
        text,
        r#"{{"resourceType":"Bundle","type":"{bundle_type}","entry":["#
    );
    for (place, stored) in versions.iter().enumerate() {
        text.push_str(if place > 0 { ",{" } else { "{" });
        let method = match &stored.text {
            Some(resource) => {
                text.push_str(r#""resource":"#);
                text.push_str(resource);
                text.push(',');
                "PUT"
            }
            None => "DELETE",
        };
        let key = &stored.key;
        let _ = write!(text, r#""request":{{"method":"{method}","url":"{key}""#);
        let before = stored.version.number() - 1;
        if stored.text.is_none() && before > 0 {
            let _ = write!(text, r#","ifMatch":"W/\"{before}\"""#);
        }
        text.push_str("}}");
    }
    text.push_str("]}");
}
