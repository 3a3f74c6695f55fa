//! Conformance resources that were written take effect before their writer is answered.
//!
//! What definitions are made of is followed by an engine that reads the change feed; it may be in
//! another process. So that a client can use what it has just written, a commit announces it to
//! the engine of this process and waits until the engine has it, with what the engine has to say.

use std::collections::HashMap;
use std::time::Duration;

use fhir_model::issue::{Issue, IssueType};
use fhir_model::key::{ResourceKey, ResourceType};
use fhir_model::snapshot::{SnapshotProblem, SnapshotProblemKind};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;
use crate::interaction::Services;
use crate::interaction::write::{Document, Outcome, Written};
use crate::package::lacks_snapshot;

/// The types of resources that definitions are made of.
pub const TYPES: &[&str] = &[
    "CodeSystem",
    "ConceptMap",
    "SearchParameter",
    "StructureDefinition",
    "ValueSet",
];

/// So long a writer waits until what it wrote has taken effect.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many writers may wait to be heard.
pub const ANNOUNCEMENTS_MAX: usize = 1024;

/// Resources that were written, and where to say that they are in force.
#[derive(Debug)]
pub struct Announcement {
    /// Which.
    pub keys: Vec<ResourceKey>,
    /// Takes what there is to say about each that has not its full effect.
    pub done: oneshot::Sender<Effects>,
}

/// What is wrong with conformance resources that were stored all the same.
pub type Effects = HashMap<ResourceKey, Vec<Issue>>;

/// Where conformance resources that were written are announced.
pub type Announcer = mpsc::Sender<Announcement>;

/// Whether definitions are made of resources of this type.
pub fn is_conformance(key: &ResourceKey) -> bool {
    TYPES.contains(&key.resource_type.as_str())
}

/// Refuses a profile that is a differential only and contradicts what it builds on. Where that is
/// not known yet, it may come later. Returns what else there is to say.
///
/// # Errors
/// [`Error::Unprocessable`] that names the elements.
pub fn check(
    services: &Services,
    resource_type: &ResourceType,
    document: &Document,
) -> Result<Vec<Issue>, Error> {
    if resource_type.as_str() != "StructureDefinition" {
        return Ok(Vec::new());
    }
    let text = document.node().raw_text();
    let structure: Value =
        serde_json::from_str(text).map_err(|error| Error::Internal(error.into()))?;
    let text = |name: &str| structure.get(name).and_then(Value::as_str);
    let is_profile = text("derivation") == Some("constraint") && text("kind") != Some("logical");
    if !is_profile || !lacks_snapshot(&structure) {
        return Ok(Vec::new());
    }
    let problems = match services.structures.snapshot(&structure) {
        Ok(snapshot) => snapshot.problems,
        Err(problem) if is_unknown(&problem.kind) => Vec::new(),
        Err(problem) => vec![problem],
    };
    let issues: Vec<Issue> = problems.iter().map(issue).collect();
    if issues.iter().any(Issue::is_error) {
        return Err(Error::Unprocessable(issues));
    }
    Ok(issues)
}

fn issue(problem: &SnapshotProblem) -> Issue {
    let text = format!("The snapshot of {problem}");
    let issue = Issue::new(problem.kind.severity(), IssueType::BusinessRule, text);
    issue.at("StructureDefinition.differential")
}

/// Whether a snapshot lacks nothing but another structure.
fn is_unknown(problem: &SnapshotProblemKind) -> bool {
    matches!(
        problem,
        SnapshotProblemKind::UnknownBase(_)
            | SnapshotProblemKind::UnknownType(_)
            | SnapshotProblemKind::UnknownProfile(_)
    )
}

/// Waits until what was written is in force, and notes what is not.
pub async fn take_effect<'w>(services: &Services, written: impl Iterator<Item = &'w mut Written>) {
    let mut written: Vec<&mut Written> = written.filter(|written| is_news(written)).collect();
    if written.is_empty() {
        return;
    }
    let keys = written.iter().filter_map(|written| key(written)).cloned();
    let (done, effects) = oneshot::channel();
    let announcement = Announcement {
        keys: keys.collect(),
        done,
    };
    let heard = async {
        services.announcer.send(announcement).await.ok()?;
        effects.await.ok()
    };
    let effects = tokio::time::timeout(PATIENCE, heard).await.ok().flatten();
    for written in &mut written {
        match (&effects, key(written)) {
            (Some(effects), Some(key)) => {
                let issues = effects.get(key).cloned().unwrap_or_default();
                written.issues.extend(issues);
            }
            _ => written.issues.push(Issue::warning(
                IssueType::Incomplete,
                "It is stored, and takes effect a little later",
            )),
        }
    }
}

fn key(written: &Written) -> Option<&ResourceKey> {
    written.stored.as_ref().map(|stored| &stored.key)
}

/// Whether a write changed something that definitions are made of.
fn is_news(written: &Written) -> bool {
    let is_written = matches!(
        written.outcome,
        Outcome::Created | Outcome::Updated | Outcome::Deleted
    );
    is_written && key(written).is_some_and(is_conformance)
}
