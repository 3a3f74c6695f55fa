//! What a visit, as it stands now, means for the pathways of its patient.
//!
//! [`decide`] compares what the plans ask for with what exists and gives the difference: resources
//! to write and instants to wake up at. It looks at states and not at events, so a replayed, a
//! late or a corrected message all go the same way, and deciding again on its own result gives
//! nothing.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::plan_definition::Plan;
use crate::plan_definition::facts::{PatientFacts, Policy, Reason, VisitFacts};

/// Everything a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The visit after the message.
    pub visit: &'a VisitFacts,
    /// Its patient.
    pub patient: &'a PatientFacts,
    /// The current version of the patient's EpisodeOfCare, CarePlan, Goal, RiskAssessment, Task
    /// and Flag resources, with `meta.versionId`. Others are ignored.
    pub existing: &'a [Value],
    /// The plans in force.
    pub plans: &'a [Plan],
    /// The care organisation's choices.
    pub policy: &'a Policy,
    /// The time of the decision.
    pub now: DateTime<Utc>,
}

/// A resource to create or update.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// The whole resource with its `id`.
    pub resource: Value,
    /// `meta.versionId` of the version it was computed from; `None` to create.
    pub expected_version: Option<String>,
    /// Why, for Provenance.
    pub reason: Reason,
}

/// An instant at which a Task is to be looked at again. A later timer for the same Task replaces an
/// earlier one; one that comes too early or for nothing does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Logical id of the Task.
    pub task_id: String,
    /// The first instant after the due instant.
    pub at: DateTime<Utc>,
}

/// Something to say about a pathway as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The plan's url.
    pub plan: String,
    /// What happened to its pathway.
    pub reason: Reason,
}

/// What to do, all of it in one commit, or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// Resources, in an order in which references point backwards.
    pub changes: Vec<Put>,
    /// Timers to set.
    pub timers: Vec<Timer>,
    /// One line per pathway that changed.
    pub reasons: Vec<Remark>,
}
