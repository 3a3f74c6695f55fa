//! `baton validate`: resources against the base definitions and their profiles, offline.
//!
//! It says what `$validate` says, in the same words: a line per issue for a person, or the
//! OperationOutcome for a program.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use fhir_model::definition::Definitions;
use fhir_model::format::Format;
use fhir_model::issue::{Issue, OperationOutcome};
use fhir_model::tree::{Limits, LineColumn};
use fhir_validation::{Options, Validator};
use fhirpath::Temporal;

use crate::cli::{complain, input, say};
use crate::clock::Clock;
use crate::interaction::write::instant_text;
use crate::{definitions, package};

/// The exit code where something could not be read.
const UNREADABLE: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct Validate {
    /// FHIR files, JSON or XML, a resource each, or of .ndjson files one in each line; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Check against this profile too (canonical URL; may be repeated).
    #[arg(long, value_name = "URL")]
    profile: Vec<String>,
    /// Use this package too: a .tgz or a folder (may be repeated). What it depends on is looked for
    /// beside it and in ~/.fhir/packages.
    #[arg(long, value_name = "PATH")]
    package: Vec<PathBuf>,
    /// How much is checked.
    #[arg(long, value_enum, default_value_t)]
    level: Level,
    /// Print an OperationOutcome for each resource, a line each, as $validate gives it.
    #[arg(long)]
    json: bool,
}

/// How much is checked.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Level {
    /// The base definitions of the types.
    Base,
    /// Those, and the profiles that are claimed or asked for.
    #[default]
    Profile,
}

impl From<Level> for fhir_validation::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Base => Self::Base,
            Level::Profile => Self::Profile,
        }
    }
}

/// Prints every issue; fails with 1 when one is an error, with 2 when a file cannot be read.
pub(super) async fn run(options: Validate) -> anyhow::Result<ExitCode> {
    let definitions = definitions(&options.package).await?;
    let judge = Judge {
        validator: Validator::new(definitions),
        options: &options,
    };
    let mut wrong = 0;
    let mut unreadable = 0;
    for path in &options.files {
        match input(path) {
            Ok(bytes) => wrong += judge.file(path, bytes),
            Err(error) => {
                complain(&format!("baton: {error:#}"));
                unreadable += 1;
            }
        }
    }
    Ok(match (unreadable, wrong) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::FAILURE,
        _ => UNREADABLE.into(),
    })
}

/// The embedded definitions, and those of the packages.
async fn definitions(packages: &[PathBuf]) -> anyhow::Result<Arc<Definitions>> {
    if packages.is_empty() {
        return Ok(definitions::embedded());
    }
    let loaded = package::load_at(packages).await?;
    for note in &loaded.resolution.notes {
        complain(&format!("baton: {note}"));
    }
    Ok(loaded.definitions)
}

struct Judge<'o> {
    validator: Validator,
    options: &'o Validate,
}

impl Judge<'_> {
    /// The resources of a file; how many of them have errors.
    fn file(&self, path: &Path, bytes: Vec<u8>) -> usize {
        let is_lines = path.extension().is_some_and(|ending| ending == "ndjson");
        if !is_lines {
            return usize::from(self.resource(path, None, bytes));
        }
        let lines = (1_u32..).zip(bytes.split(|byte| *byte == b'\n'));
        let resources = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
        resources
            .filter(|(number, line)| self.resource(path, Some(*number), line.to_vec()))
            .count()
    }

    /// Prints what there is to say about one resource; whether it has errors.
    fn resource(&self, path: &Path, line: Option<u32>, bytes: Vec<u8>) -> bool {
        let issues = self.issues(line, bytes);
        let is_wrong = issues.iter().any(Issue::is_error);
        if self.options.json {
            say(&OperationOutcome::new(issues).to_json());
            return is_wrong;
        }
        let shown = path.display().to_string();
        if issues.is_empty() {
            say(&format!("{} valid", place(&shown, line, None)));
        }
        for issue in &issues {
            say(&in_words(&shown, line, issue));
        }
        is_wrong
    }

    fn issues(&self, line: Option<u32>, bytes: Vec<u8>) -> Vec<Issue> {
        let definitions = self.validator.definitions();
        let read = Format::of(&bytes).parse(bytes, definitions, &Limits::default());
        let mut issues = match read {
            Ok(tree) => {
                let resource_type = tree.resource_type().unwrap_or_default();
                let profiles: Vec<&str> = self.options.profile.iter().map(String::as_str).collect();
                let options = Options {
                    level: self.options.level.into(),
                    report_unchecked: true,
                    now: Temporal::parse_date_time(&instant_text(Clock::System.now())),
                    ..Options::default()
                };
                self.validator
                    .validate(tree.root(), &resource_type, &profiles, &options)
            }
            Err(issue) => vec![issue],
        };
        for place in issues.iter_mut().filter_map(|issue| issue.place.as_mut()) {
            place.line = line.unwrap_or(place.line);
        }
        issues
    }
}

/// `FILE:LINE:COLUMN severity location rule message`; a dash for what there is not.
fn in_words(file: &str, line: Option<u32>, issue: &Issue) -> String {
    let location = Some(issue.location.as_str()).filter(|location| !location.is_empty());
    format!(
        "{} {} {} {} {}",
        place(file, line, issue.place),
        issue.severity,
        location.unwrap_or("-"),
        issue.rule.as_deref().unwrap_or("-"),
        issue.text,
    )
}

/// `FILE:LINE:COLUMN`, as far as it is known.
fn place(file: &str, line: Option<u32>, place: Option<LineColumn>) -> String {
    match (place, line) {
        (Some(LineColumn { line, column }), _) => format!("{file}:{line}:{column}"),
        (None, Some(line)) => format!("{file}:{line}"),
        (None, None) => file.to_owned(),
    }
}
