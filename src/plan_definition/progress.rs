//! What human work and the clock do to a pathway.
//!
//! The workflow engine reads the change feed and calls [`react`] for a Communication, an Encounter
//! or a Task that changed, [`on_timer`] for a Task whose due instant has passed, and [`recount`]
//! when the organisation changed its calendar. All look at the whole state, so calling twice
//! changes nothing the second time.

mod close_out;
mod contact;
mod face_to_face;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use crate::plan_definition::decide::Decision;
use crate::plan_definition::draft::Draft;
use crate::plan_definition::due::{self, Unit};
use crate::plan_definition::facts::{Policy, Reason, fhir_instant};
use crate::plan_definition::instance::Instance;
use crate::plan_definition::resource::{
    anchor_date, business_status, concept, due_instant, id, is_open, is_running, output_code,
    remove, resource_type, set, status, task_code,
};
use crate::plan_definition::transition::{self, CANCELLED};
use crate::plan_definition::{Plan, vocabulary as v};

/// With one of these a Task whose due instant has passed is not called overdue: the element is met,
/// or the status already says it.
const NOT_OVERDUE: &[&str] = &["attempts-met", "mdm-needed", "overdue", "late-notification"];

/// Everything that progress depends on.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The current version of the patient's EpisodeOfCare, CarePlan, Goal, RiskAssessment and Task
    /// resources, and of the Communications based on those Tasks, with `meta.versionId`.
    pub existing: &'a [Value],
    /// The plans in force.
    pub plans: &'a [Plan],
    /// The care organisation's choices.
    pub policy: &'a Policy,
    /// The time.
    pub now: DateTime<Utc>,
}

/// What a Communication, Encounter or Task, as it is now, means for the pathways of its patient.
/// Other types mean nothing.
pub fn react(changed: &Value, progress: &Progress<'_>) -> Decision {
    let mut draft = Draft::new(progress.now, progress.policy.care_zone);
    for instance in Instance::all(progress.existing)
        .iter()
        .filter(|it| it.is_alive())
    {
        match resource_type(changed) {
            "Communication" => contact::react(&mut draft, changed, instance, progress),
            "Encounter" => face_to_face::react(&mut draft, changed, instance),
            "Task" => react_to_task(&mut draft, changed, instance, progress),
            _ => {}
        }
    }
    draft.finish()
}

fn react_to_task(
    draft: &mut Draft,
    changed: &Value,
    instance: &Instance<'_>,
    progress: &Progress<'_>,
) {
    let Some(task) = instance.tasks.iter().find(|task| id(task) == id(changed)) else {
        return;
    };
    match task_code(task) {
        Some(v::FACE_TO_FACE) => face_to_face::visit_recorded(draft, task, instance),
        Some(v::CONFIRM_SETTING) if output_code(changed, "setting") == Some("facility") => {
            transition::end(draft, instance, CANCELLED, Reason::FacilityConfirmed);
        }
        Some(v::TCM_CLOSEOUT) if status(task) == "completed" => {
            close_out::close(draft, instance, progress);
        }
        _ => {}
    }
}

/// The due instant of a Task has passed: it is overdue, or it ends its pathway. A timer that comes
/// too early or for nothing gives nothing.
pub fn on_timer(task_id: &str, progress: &Progress<'_>) -> Decision {
    let mut draft = Draft::new(progress.now, progress.policy.care_zone);
    for instance in Instance::all(progress.existing)
        .iter()
        .filter(|it| it.is_alive())
    {
        let Some(task) = instance.tasks.iter().find(|task| id(task) == task_id) else {
            continue;
        };
        let is_past = due_instant(task).is_some_and(|due| due < progress.now);
        if !is_open(task) || !is_past {
            continue;
        }
        if task_code(task) == Some(v::TCM_CLOSEOUT) {
            close_out::close(&mut draft, instance, progress);
        } else {
            mark_overdue(&mut draft, task);
        }
    }
    draft.finish()
}

fn mark_overdue(draft: &mut Draft, task: &Value) {
    let says_so = business_status(task).is_some_and(|status| NOT_OVERDUE.contains(&status));
    if is_running(task) && !says_so {
        draft.edit(task, Reason::Progress, |task| {
            set(
                task,
                "businessStatus",
                concept(v::CARE_TASK_STATUS, "overdue"),
            );
        });
    }
}

/// The organisation's calendar changed: open Tasks that count business days are due anew.
pub fn recount(progress: &Progress<'_>) -> Decision {
    let mut draft = Draft::new(progress.now, progress.policy.care_zone);
    for instance in Instance::all(progress.existing)
        .iter()
        .filter(|it| it.is_alive())
    {
        let Some(plan) = progress
            .plans
            .iter()
            .find(|plan| plan.name == instance.key.plan)
        else {
            continue;
        };
        let counted = plan
            .actions
            .iter()
            .filter(|action| action.due.unit == Unit::BusinessDay);
        for action in counted {
            let Some(task) = instance.task(&action.code).filter(|task| is_open(task)) else {
                continue;
            };
            let Some(anchor) = anchor_date(task) else {
                continue;
            };
            let day = action.due.date(anchor, false, &progress.policy.calendar);
            let deadline = due::end_of_day(day, progress.policy.care_zone);
            if draft.edit(task, Reason::CalendarChange, |task| {
                set_due(task, deadline, progress);
            }) {
                draft.timer(id(task), deadline);
                draft.remark(&plan.url, Reason::CalendarChange);
            }
        }
    }
    draft.finish()
}

fn set_due(task: &mut Value, deadline: DateTime<Utc>, progress: &Progress<'_>) {
    if due_instant(task) == Some(deadline) {
        return;
    }
    if let Some(period) = task.pointer_mut("/restriction/period") {
        set(
            period,
            "end",
            json!(fhir_instant(deadline, progress.policy.care_zone)),
        );
    }
    let is_overdue = business_status(task) == Some("overdue");
    if deadline >= progress.now && is_overdue {
        remove(task, "businessStatus");
    } else if deadline < progress.now && business_status(task).is_none() && is_running(task) {
        set(
            task,
            "businessStatus",
            concept(v::CARE_TASK_STATUS, "overdue"),
        );
    }
}

/// The calendar day of a FHIR date or dateTime, as it is written.
fn written_day(text: &str) -> Option<NaiveDate> {
    text.get(..10)?.parse().ok()
}
