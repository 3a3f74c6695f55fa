//! `baton import`: resources out of files, stored as the server stores them: validated, indexed,
//! with history, changes and audit.
//!
//! A resource is put at its id; when it is there as it is, nothing happens, so an import can be
//! repeated. A Bundle of type transaction or batch is carried out, others are taken as lists of
//! resources. How far each file has come is kept in the database: an import that was stopped goes
//! on from there.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use fhir_model::issue::{Issue, IssueType, OperationOutcome};
use fhir_model::key::VersionId;
use fhir_model::tree::{Limits, Tree};
use sha2::{Digest as _, Sha256};

use crate::cli::complain;
use crate::cli::records::{Absent, Records};
use crate::config::ValidationLevel;
use crate::error::{Error, chain};
use crate::interaction::outcome::outcome;
use crate::interaction::write::{Change, Document};
use crate::interaction::{Context, Services, codes, invalid, transaction};
use crate::store::{Positions, SetPosition};

mod batch;
mod source;

use batch::{Batch, Candidate};
use source::Item;

/// The exit code where something could not be read.
const UNREADABLE: u8 = 2;
/// Names of positions in the database begin so.
const POSITION: &str = "import/";
/// Items between two lines of progress.
const PROGRESS_ITEMS: u64 = 5_000;

#[derive(Debug, Args)]
pub(super) struct Import {
    /// Files (.ndjson, .json, .tar, each perhaps .gz or .zst) and folders of them; - is NDJSON on
    /// standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    records: Records,
    /// How much is checked; as the server is configured without it.
    #[arg(long, value_enum, value_name = "LEVEL")]
    validation_level: Option<Level>,
    /// Only resources of this type (may be repeated, or a list with commas); Bundles that are
    /// carried out are left out.
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Keep `meta.versionId` and `meta.lastUpdated`; the versions must follow one another.
    #[arg(long)]
    keep_meta: bool,
    /// Where to write what is refused, an OperationOutcome in each line.
    #[arg(long, value_name = "FILE", default_value = "rejects.ndjson")]
    rejects: PathBuf,
    /// Begin files anew of which a part, or all, was imported before.
    #[arg(long)]
    again: bool,
}

/// How much is checked.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    /// That it is JSON and of a type of R4.
    Off,
    /// The base definitions of the types.
    Base,
    /// Those, and profiles.
    Profile,
}

impl From<Level> for ValidationLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::Off,
            Level::Base => Self::Base,
            Level::Profile => Self::Profile,
        }
    }
}

/// Imports everything; fails with 1 when something is refused, with 2 when a file cannot be read.
pub(super) async fn run(options: Import) -> anyhow::Result<ExitCode> {
    let config = options.records.settings()?;
    let services = options.records.open(&config, Absent::Made).await?;
    let mut policy = services.policy;
    if let Some(level) = options.validation_level {
        policy.level = level.into();
    }
    for name in &options.types {
        services.resource_type(name).map_err(anyhow::Error::new)?;
    }
    let mut importer = Importer {
        context: Context {
            policy,
            ..Context::engine(&services, "import")
        },
        options: &options,
        batch: Batch::new(options.keep_meta),
        rejects: None,
        counts: Counts::default(),
    };
    let files = source::files(&options.paths)?;
    for file in &files {
        importer.file(file).await?;
    }
    importer.counts.report();
    let counts = importer.counts;
    if let Some(mut rejects) = importer.rejects.take() {
        rejects.flush()?;
    }
    services.store.close().await;
    Ok(match (counts.unreadable, counts.rejected) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::FAILURE,
        _ => UNREADABLE.into(),
    })
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    written: u64,
    unchanged: u64,
    bundles: u64,
    rejected: u64,
    unreadable: u64,
}

impl Counts {
    fn report(self) {
        complain(&format!(
            "{} written, {} unchanged, {} Bundles carried out, {} refused",
            self.written, self.unchanged, self.bundles, self.rejected
        ));
    }
}

struct Importer<'o> {
    context: Context,
    options: &'o Import,
    batch: Batch,
    rejects: Option<BufWriter<File>>,
    counts: Counts,
}

impl Importer<'_> {
    fn services(&self) -> &Arc<Services> {
        &self.context.services
    }

    /// Imports the items of a file that were not imported before.
    async fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let position = position(path);
        let done = match &position {
            Some(name) if !self.options.again => self.done(name).await?,
            _ => 0,
        };
        if done > 0 {
            complain(&format!("{}: goes on after {done}", path.display()));
        }
        let mut items = source::read(path.to_owned());
        let mut number = 0;
        while let Some(item) = items.recv().await {
            number += 1;
            if number <= done {
                continue;
            }
            self.item(item).await?;
            if self.batch.is_full() {
                self.flush().await?;
            }
            if self.batch.is_empty()
                && let Some(name) = &position
            {
                self.keep(name, number).await?;
            }
            if number.is_multiple_of(PROGRESS_ITEMS) {
                self.counts.report();
            }
        }
        self.flush().await?;
        if let Some(name) = &position {
            self.keep(name, number.max(done)).await?;
        }
        Ok(())
    }

    async fn done(&self, name: &str) -> anyhow::Result<u64> {
        let positions = self.services().store.transact(Positions(POSITION)).await?;
        let found = positions.into_iter().find(|(found, _)| found == name);
        Ok(found.map_or(0, |(_, number)| u64::try_from(number).unwrap_or(0)))
    }

    async fn keep(&self, name: &str, number: u64) -> anyhow::Result<()> {
        let number = i64::try_from(number).context("a file has too many items")?;
        let position = SetPosition(name.to_owned().into(), number);
        self.services().store.transact(position).await?;
        Ok(())
    }

    async fn item(&mut self, item: Item) -> anyhow::Result<()> {
        let place = match item.line {
            Some(line) => format!("{}:{line}", item.file),
            None => item.file.clone(),
        };
        let bytes = match item.bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                self.counts.unreadable += 1;
                complain(&format!("baton: {error:#}"));
                return Ok(());
            }
        };
        let names = self.services().definitions.names();
        match Tree::parse(bytes, names, &Limits::CEILING) {
            Ok(tree) => self.resource(&place, tree).await,
            Err(error) => self.refuse(&place, &[Issue::from(&error)]),
        }
    }

    async fn resource(&mut self, place: &str, tree: Tree) -> anyhow::Result<()> {
        if tree.resource_type().as_deref() != Some("Bundle") {
            return self.put(place, Document::new(tree)).await;
        }
        let bundle_type = tree.root().get_str("type").and_then(|it| it.as_str());
        match bundle_type.as_deref() {
            Some("transaction" | "batch") => self.carry_out(place, tree).await,
            _ => self.contents(place, tree).await,
        }
    }

    /// Does what a Bundle asks, after what was read before it.
    async fn carry_out(&mut self, place: &str, tree: Tree) -> anyhow::Result<()> {
        if !self.options.types.is_empty() {
            return Ok(());
        }
        if self.options.keep_meta {
            return self.contents(place, tree).await;
        }
        self.flush().await?;
        match transaction::process(&self.context, tree, false).await {
            Ok(answer) => {
                self.counts.bundles += 1;
                self.judge(place, &answer)?;
            }
            Err(error) => self.failed(place, error)?,
        }
        self.services().store.learn().await?;
        Ok(())
    }

    /// Tells the entries of a batch that failed.
    fn judge(&mut self, place: &str, answer: &str) -> anyhow::Result<()> {
        let answer: serde_json::Value = serde_json::from_str(answer)?;
        let entries = answer.get("entry").and_then(serde_json::Value::as_array);
        for (number, entry) in entries.into_iter().flatten().enumerate() {
            let Some(response) = entry.get("response") else {
                continue;
            };
            let status = response.get("status").and_then(serde_json::Value::as_str);
            if status.is_some_and(|status| status.starts_with('2')) {
                self.counts.written += 1;
                continue;
            }
            let text = format!(
                "{place}: entry {number} is answered {}",
                status.unwrap_or("-")
            );
            self.refuse(
                &text,
                &[Issue::error(IssueType::Processing, "the entry failed")],
            )?;
        }
        Ok(())
    }

    /// Takes a Bundle as a list of resources, and of deletions.
    async fn contents(&mut self, place: &str, tree: Tree) -> anyhow::Result<()> {
        let tree = Arc::new(tree);
        let mut entries = Vec::new();
        if let Some(list) = tree.root().get_str("entry") {
            for entry in list.items() {
                let request = entry.get_str("request");
                let text = |name: &str| {
                    let value = request.and_then(|request| request.get_str(name)?.as_str());
                    value.map(std::borrow::Cow::into_owned)
                };
                let resource = entry.get_str("resource").map(|node| node.id());
                let deleted = (text("method").as_deref() == Some("DELETE"))
                    .then(|| text("url").map(|url| (url, text("ifMatch"))))
                    .flatten();
                entries.push((resource, deleted));
            }
        }
        for (number, (resource, deleted)) in entries.into_iter().enumerate() {
            let place = format!("{place} entry {number}");
            match (resource, deleted) {
                (Some(node), _) => self.put(&place, Document::within(&tree, node)).await?,
                (None, Some((url, of))) => self.delete(&place, &url, of.as_deref())?,
                (None, None) => {}
            }
            if self.batch.is_full() {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Adds a deletion; one that keeps its place in a history is that of one version.
    fn delete(&mut self, place: &str, url: &str, of: Option<&str>) -> anyhow::Result<()> {
        let of = of.filter(|_| self.options.keep_meta);
        let version = of.map(|tag| tag.trim_start_matches("W/").trim_matches('"'));
        let expected = version.and_then(|version| VersionId::parse(version).ok());
        let (name, id) = url.split_once('/').unwrap_or((url, ""));
        match self.services().key(name, id) {
            Ok(key) => {
                self.batch.push(Candidate {
                    place: place.to_owned(),
                    change: Change::Delete { key, expected },
                });
                Ok(())
            }
            Err(error) => self.failed(place, error),
        }
    }

    /// Adds a resource to what is written next.
    async fn put(&mut self, place: &str, document: Document) -> anyhow::Result<()> {
        let services = Arc::clone(self.services());
        let key = document.resource_type(&services).and_then(|resource_type| {
            let id = document.id().ok_or_else(|| {
                invalid(
                    IssueType::Required,
                    "a resource that is imported needs an id",
                )
            })?;
            services.key(resource_type.as_str(), &id)
        });
        let key = match key {
            Ok(key) => key,
            Err(error) => return self.failed(place, error),
        };
        let is_wanted = |name: &String| name == key.resource_type.as_str();
        if !self.options.types.is_empty() && !self.options.types.iter().any(is_wanted) {
            return Ok(());
        }
        let checked = self.context.policy.options();
        codes::foresee(&services, &document, None, &checked).await;
        self.batch.push(Candidate {
            place: place.to_owned(),
            change: Change::Update {
                key,
                document,
                expected: None,
            },
        });
        Ok(())
    }

    /// Writes what was gathered.
    async fn flush(&mut self) -> anyhow::Result<()> {
        let done = self.batch.write(&self.context).await;
        self.counts.written += done.written;
        self.counts.unchanged += done.unchanged;
        for (place, error) in done.refused {
            self.failed(&place, error)?;
        }
        self.services().store.learn().await?;
        Ok(())
    }

    /// Tells why something was not stored; a store that fails ends the import.
    fn failed(&mut self, place: &str, error: Error) -> anyhow::Result<()> {
        if matches!(error, Error::Unavailable(_) | Error::Internal(_)) {
            anyhow::bail!("{place}: {}", chain(&error));
        }
        self.refuse(place, &outcome(&error).issues)
    }

    fn refuse(&mut self, place: &str, issues: &[Issue]) -> anyhow::Result<()> {
        self.counts.rejected += 1;
        let mut all = vec![Issue::information(IssueType::Informational, place)];
        all.extend_from_slice(issues);
        if self.rejects.is_none() {
            let path = &self.options.rejects;
            let file = File::options().create(true).append(true).open(path);
            let file = file.with_context(|| format!("cannot write {}", path.display()))?;
            self.rejects = Some(BufWriter::new(file));
        }
        if let Some(rejects) = &mut self.rejects {
            writeln!(rejects, "{}", OperationOutcome::new(all).to_json())?;
            rejects.flush()?;
        }
        Ok(())
    }
}

/// Names a file as it is now; `None` for standard input, which cannot be read again.
fn position(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    let whole = std::fs::canonicalize(path).ok()?;
    let modified = metadata.modified().ok()?;
    let text = format!("{}\n{}\n{modified:?}", whole.display(), metadata.len());
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some(format!("{POSITION}{hex}"))
}
