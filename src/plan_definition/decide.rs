//! What a visit, as it stands now, means for the pathways of its patient.
//!
//! [`decide`] compares what the plans ask for with what exists and gives the difference: resources
//! to write and instants to wake up at. It looks at states and not at events, so a replayed, a
//! late or a corrected message all go the same way, and deciding again on its own result gives
//! nothing.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::disposition::Group;
use crate::plan_definition::condition::{self, Check};
use crate::plan_definition::draft::Draft;
use crate::plan_definition::facts::{PatientFacts, Policy, Reason, VisitFacts};
use crate::plan_definition::instance::{Instance, Standing};
use crate::plan_definition::transition::{self, CANCELLED};
use crate::plan_definition::{Plan, enrol, readmission, recompute};

/// Everything a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The visit after the message.
    pub visit: &'a VisitFacts,
    /// Its patient.
    pub patient: &'a PatientFacts,
    /// The current version of the patient's EpisodeOfCare, CarePlan, Goal, RiskAssessment, Task
    /// and Flag resources, with `meta.versionId`, **whatever their status**: an ended pathway is
    /// what keeps a replayed message from starting another. Other types are ignored.
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
    /// Resources. CarePlan and Tasks refer to each other, so they belong in one commit.
    pub changes: Vec<Put>,
    /// Timers to set.
    pub timers: Vec<Timer>,
    /// One line per pathway that changed.
    pub reasons: Vec<Remark>,
}

/// What the visit, as it stands, means for the pathways of its patient. `ids` gives the logical
/// ids of new resources.
pub fn decide(situation: &Situation<'_>, ids: &mut dyn FnMut() -> String) -> Decision {
    let mut draft = Draft::new(situation.now, situation.policy.care_zone);
    let instances = Instance::all(situation.existing);
    if condition::is_dead(situation) {
        let (patient_id, plans) = (&situation.patient.id, situation.plans);
        readmission::close_after_death(&mut draft, patient_id, situation.existing, plans);
        return draft.finish();
    }
    for plan in situation.plans {
        own_pathway(&mut draft, plan, &instances, situation, ids);
        readmission::admit(&mut draft, plan, &instances, situation);
        if plan.programme.is_some() {
            readmission::hold_or_resume(&mut draft, plan, &instances, situation, ids);
        }
    }
    draft.finish()
}

/// The patient died, and no visit says so: everything that is open ends. [`decide`] does the same
/// where the patient is deceased or the visit ended with a death.
pub fn died(
    patient_id: &str,
    existing: &[Value],
    plans: &[Plan],
    policy: &Policy,
    now: DateTime<Utc>,
) -> Decision {
    let mut draft = Draft::new(now, policy.care_zone);
    readmission::close_after_death(&mut draft, patient_id, existing, plans);
    draft.finish()
}

/// The pathway of this plan for this visit: withdraw it, move it, or start it.
fn own_pathway(
    draft: &mut Draft,
    plan: &Plan,
    instances: &[Instance<'_>],
    situation: &Situation<'_>,
    ids: &mut dyn FnMut() -> String,
) {
    let own = || {
        instances.iter().filter(|instance| {
            instance.key.plan == plan.name
                && instance.key.encounter_id == situation.visit.encounter_id
        })
    };
    let verdict = condition::verdict(plan, situation);
    if let Some(instance) = own().find(|instance| instance.is_alive()) {
        match verdict {
            Check::Withdraw(reason) => {
                transition::end(draft, instance, CANCELLED, reason);
                draft.remark(&plan.url, reason);
            }
            Check::Met | Check::Unmet => {
                recompute::recompute(draft, plan, instance, situation, Reason::AdtCorrection, ids);
            }
        }
        return;
    }
    let may_start = own().all(|instance| instance.standing() == Standing::Withdrawn);
    if verdict != Check::Met || !may_start {
        return;
    }
    if plan.programme.is_some() {
        if readmission::is_outrun(plan, instances, situation) {
            return;
        }
        readmission::supersede(draft, plan, instances, situation, ids);
        if situation.visit.disposition_group() == Group::CommunityAma {
            let encounter_id = &situation.visit.encounter_id;
            readmission::raise_flag(draft, situation, "ama", encounter_id, ids);
        }
    }
    let number = own().map(|instance| instance.key.number).max().unwrap_or(0) + 1;
    enrol::start(draft, plan, situation, number, ids);
}
