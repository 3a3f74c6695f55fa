//! What one visit means for the pathways of other visits: a readmission, a newer discharge, an
//! admission after an emergency visit, a death.

use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::disposition::Group;
use crate::plan_definition::condition::is_stay_between;
use crate::plan_definition::decide::Situation;
use crate::plan_definition::draft::Draft;
use crate::plan_definition::facts::{Moment, Reason, VisitStatus};
use crate::plan_definition::instance::{Instance, Standing, pathway_reason_encounter};
use crate::plan_definition::resource::{
    code_in, concept, is_open, points_at, reference, resource_type, set, status, text,
};
use crate::plan_definition::transition::{self, CANCELLED, CUT_SHORT};
use crate::plan_definition::{Condition, Plan, calendar, vocabulary as v};

/// Days after a discharge within which only one practitioner claims.
const CLAIM_DAYS: u32 = 30;

/// The patient died: everything that is open ends.
pub(crate) fn close_after_death(
    draft: &mut Draft,
    patient_id: &str,
    existing: &[Value],
    plans: &[Plan],
) {
    for instance in Instance::all(existing)
        .iter()
        .filter(|instance| instance.is_alive())
    {
        let was_seen = instance
            .task(v::FACE_TO_FACE)
            .is_some_and(|task| status(task) == "completed");
        let ending = if was_seen { CUT_SHORT } else { CANCELLED };
        transition::end(draft, instance, ending, Reason::Deceased);
        draft.remark(&plan_url(plans, instance), Reason::Deceased);
    }
    for task in existing {
        let is_ours = points_at(task.get("for"), "Patient", patient_id);
        if resource_type(task) == "Task" && is_ours && is_open(task) {
            transition::cancel_task(draft, task, Reason::Deceased);
        }
    }
}

fn plan_url(plans: &[Plan], instance: &Instance<'_>) -> String {
    plans
        .iter()
        .find(|plan| plan.name == instance.key.plan)
        .map_or_else(|| instance.key.plan.clone(), |plan| plan.url.clone())
}

/// Pathways of other visits wait while this stay runs or went on elsewhere, and go on when the
/// stay turns out not to have been.
pub(crate) fn hold_or_resume(
    draft: &mut Draft,
    plan: &Plan,
    instances: &[Instance<'_>],
    situation: &Situation<'_>,
    ids: &mut dyn FnMut() -> String,
) {
    let visit = situation.visit;
    for instance in others(plan, instances, situation) {
        match instance.standing() {
            Standing::Live if is_readmission(instance, situation) => {
                let stay = reference("Encounter", &visit.encounter_id);
                transition::hold(draft, instance, &stay);
                if !visit.is_post_acute {
                    raise_flag(draft, situation, "readmission", &visit.encounter_id, ids);
                }
                draft.remark(&plan.url, Reason::Readmitted);
            }
            Standing::Held if is_held_for_nothing(instance, situation) => {
                transition::resume(draft, instance);
                lower_flag(draft, situation, "readmission", &visit.encounter_id);
                draft.remark(&plan.url, Reason::Resumed);
            }
            _ => {}
        }
    }
}

/// Instances of the plan whose index is another visit.
fn others<'a, 'b>(
    plan: &'b Plan,
    instances: &'b [Instance<'a>],
    situation: &'b Situation<'_>,
) -> impl Iterator<Item = &'b Instance<'a>> {
    instances.iter().filter(move |instance| {
        instance.key.plan == plan.name && instance.key.encounter_id != situation.visit.encounter_id
    })
}

fn day(text: Option<&str>) -> Option<NaiveDate> {
    text?.get(..10)?.parse().ok()
}

/// First and last day of an enrolling instance.
fn days(instance: &Instance<'_>) -> Option<(NaiveDate, NaiveDate)> {
    let last = instance
        .care_plan
        .and_then(|care_plan| text(care_plan, "/period/end"));
    Some((day(instance.start_day())?, day(last)?))
}

/// The visit is a stay that began after the discharge, within the period of the instance, and has
/// not ended at home.
fn is_readmission(instance: &Instance<'_>, situation: &Situation<'_>) -> bool {
    let visit = situation.visit;
    let discharged = instance
        .task(v::TCM_CLOSEOUT)
        .and_then(|task| text(task, "/restriction/period/start"))
        .and_then(Moment::parse);
    let (Some((first, last)), Some(discharged)) = (days(instance), discharged) else {
        return false;
    };
    let is_away = visit.status == VisitStatus::InProgress
        || matches!(
            visit.disposition_group(),
            Group::Facility | Group::Transfer | Group::Hospice | Group::Custody
        );
    is_away && is_stay_between(visit, discharged, Some(first), last)
}

/// This visit holds the instance but is no stay, or never was.
fn is_held_for_nothing(instance: &Instance<'_>, situation: &Situation<'_>) -> bool {
    let visit = situation.visit;
    let is_holder = instance.episode.is_some_and(|episode| {
        points_at(
            pathway_reason_encounter(episode),
            "Encounter",
            &visit.encounter_id,
        )
    });
    is_holder && (visit.status == VisitStatus::Cancelled || !visit.class.is_stay())
}

/// A living instance of a later discharge keeps an earlier one from starting.
pub(crate) fn is_outrun(
    plan: &Plan,
    instances: &[Instance<'_>],
    situation: &Situation<'_>,
) -> bool {
    let Some(discharged) = situation.visit.end_day() else {
        return false;
    };
    others(plan, instances, situation)
        .filter(|instance| instance.is_alive())
        .filter_map(|instance| day(instance.start_day()))
        .any(|start| start > discharged)
}

/// A new discharge home takes the place of the pathways of earlier ones.
pub(crate) fn supersede(
    draft: &mut Draft,
    plan: &Plan,
    instances: &[Instance<'_>],
    situation: &Situation<'_>,
    ids: &mut dyn FnMut() -> String,
) {
    let Some(discharged) = situation.visit.end_day() else {
        return;
    };
    for instance in others(plan, instances, situation).filter(|instance| instance.is_alive()) {
        transition::end(draft, instance, CUT_SHORT, Reason::Superseded);
        let is_conflict = day(instance.start_day())
            .is_some_and(|start| discharged < calendar::add_calendar_days(start, CLAIM_DAYS));
        if is_conflict {
            for encounter_id in [&instance.key.encounter_id, &situation.visit.encounter_id] {
                raise_flag(draft, situation, "tcm-claim-conflict", encounter_id, ids);
            }
        }
        draft.remark(&plan.url, Reason::Superseded);
    }
}

/// A stay that begins in the window of an emergency visit's follow-up takes its place.
pub(crate) fn admit(
    draft: &mut Draft,
    plan: &Plan,
    instances: &[Instance<'_>],
    situation: &Situation<'_>,
) {
    let waits_for_admission = plan
        .conditions
        .iter()
        .any(|applicability| applicability.condition == Condition::NotAdmitted);
    if !waits_for_admission {
        return;
    }
    for instance in others(plan, instances, situation).filter(|instance| instance.is_alive()) {
        if instance
            .tasks
            .iter()
            .any(|task| is_in_window(task, situation))
        {
            transition::end(draft, instance, CANCELLED, Reason::Admitted);
            draft.remark(&plan.url, Reason::Admitted);
        }
    }
}

/// The visit is a stay that begins within the window of the Task.
fn is_in_window(task: &Value, situation: &Situation<'_>) -> bool {
    let from = text(task, "/restriction/period/start");
    let last = day(text(task, "/restriction/period/end"));
    let (Some(end), Some(last)) = (from.and_then(Moment::parse), last) else {
        return false;
    };
    is_stay_between(situation.visit, end, day(from), last)
}

fn flags<'a>(
    situation: &Situation<'a>,
    code: &'a str,
    encounter_id: &'a str,
) -> impl Iterator<Item = &'a Value> {
    situation.existing.iter().filter(move |flag| {
        resource_type(flag) == "Flag"
            && status(flag) == "active"
            && code_in(flag.get("code"), v::CARE_FLAG) == Some(code)
            && points_at(flag.get("encounter"), "Encounter", encounter_id)
    })
}

/// Raises a Flag unless it is up.
pub(crate) fn raise_flag(
    draft: &mut Draft,
    situation: &Situation<'_>,
    code: &str,
    encounter_id: &str,
    ids: &mut dyn FnMut() -> String,
) {
    if flags(situation, code, encounter_id).next().is_some() {
        return;
    }
    let flag = json!({
        "resourceType": "Flag",
        "id": ids(),
        "status": "active",
        "code": concept(v::CARE_FLAG, code),
        "subject": reference("Patient", &situation.patient.id),
        "period": { "start": draft.now_text() },
        "encounter": reference("Encounter", encounter_id),
    });
    draft.create(flag, Reason::Flagged);
}

fn lower_flag(draft: &mut Draft, situation: &Situation<'_>, code: &str, encounter_id: &str) {
    for flag in flags(situation, code, encounter_id) {
        draft.edit(flag, Reason::Resumed, |flag| {
            set(flag, "status", json!("entered-in-error"));
        });
    }
}
