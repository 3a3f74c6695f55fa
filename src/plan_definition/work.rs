//! The Task of an action: what is asked, of whom, and in which window.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use crate::plan_definition::condition::{Check, anchor_moment, check};
use crate::plan_definition::decide::Situation;
use crate::plan_definition::draft::Draft;
use crate::plan_definition::facts::{Moment, fhir_instant};
use crate::plan_definition::instance::PathwayKey;
use crate::plan_definition::resource::{concept, reference, set, set_parameter};
use crate::plan_definition::{Action, Dynamic, Plan, due, vocabulary as v};

/// When an action is done: from the moment of its anchor to its due instant.
pub(crate) struct Window {
    anchor: Moment,
    anchor_day: NaiveDate,
    pub(crate) due: DateTime<Utc>,
}

impl Window {
    /// The window that the rule of the action gives for the visit; none while its anchor is unknown.
    pub(crate) fn of(
        action: &Action,
        situation: &Situation<'_>,
        is_high_risk: bool,
    ) -> Option<Self> {
        let anchor = anchor_moment(action.due.anchor, situation.visit)?;
        let anchor_day = anchor.day(situation.visit.facility_zone);
        let policy = situation.policy;
        let day = action.due.date(anchor_day, is_high_risk, &policy.calendar);
        Some(Self {
            anchor,
            anchor_day,
            due: due::end_of_day(day, policy.care_zone),
        })
    }
}

/// The conditions of the action itself hold.
pub(crate) fn applies(action: &Action, plan: &Plan, situation: &Situation<'_>) -> bool {
    action
        .conditions
        .iter()
        .all(|applicability| check(applicability.condition, plan, situation) == Check::Met)
}

/// A Task before its window and its dynamic values are set.
pub(crate) fn new_task(
    draft: &Draft,
    task_id: &str,
    action: &Action,
    situation: &Situation<'_>,
    key: &PathwayKey,
    care_plan_id: Option<&str>,
) -> Value {
    let now = draft.now_text();
    let mut task = json!({
        "resourceType": "Task",
        "id": task_id,
        "meta": { "profile": [v::TCM_TASK] },
        "instantiatesCanonical": action.canonical,
    });
    if let Some(care_plan_id) = care_plan_id {
        set(
            &mut task,
            "basedOn",
            json!([reference("CarePlan", care_plan_id)]),
        );
    }
    set(&mut task, "groupIdentifier", key.identifier());
    set(&mut task, "status", json!("requested"));
    set(&mut task, "intent", json!("order"));
    set(&mut task, "priority", json!("routine"));
    let code = json!({
        "coding": [{ "system": v::CARE_TASK, "code": action.code, "display": action.display }]
    });
    set(&mut task, "code", code);
    set(&mut task, "description", json!(action.description));
    if let Some(care_plan_id) = care_plan_id {
        set(&mut task, "focus", reference("CarePlan", care_plan_id));
    }
    set(
        &mut task,
        "for",
        reference("Patient", &situation.patient.id),
    );
    set(
        &mut task,
        "encounter",
        reference("Encounter", &situation.visit.encounter_id),
    );
    set(&mut task, "authoredOn", json!(now));
    set(&mut task, "lastModified", json!(now));
    if let Some(organization) = &situation.policy.organization {
        set(&mut task, "requester", json!({ "reference": organization }));
    }
    if let Some(performer) = &action.performer {
        set(&mut task, "performerType", json!([{ "text": performer }]));
    }
    if let Some(owner) = &situation.patient.care_manager {
        set(&mut task, "owner", json!({ "reference": owner }));
    }
    task
}

/// Sets the window, which moves when the visit is corrected.
pub(crate) fn set_window(task: &mut Value, window: &Window, situation: &Situation<'_>) {
    let period = json!({
        "start": window.anchor.to_fhir(situation.visit.facility_zone),
        "end": fhir_instant(window.due, situation.policy.care_zone)
    });
    // Recipients and repetitions that a person set stay.
    let mut restriction = task
        .get("restriction")
        .cloned()
        .unwrap_or_else(|| json!({}));
    set(&mut restriction, "period", period);
    set(task, "restriction", restriction);
    let anchor_day = json!(window.anchor_day.to_string());
    set_parameter(task, "input", "anchor-date", ("valueDate", anchor_day));
}

/// Sets the values that depend on conditions.
pub(crate) fn set_dynamics(
    task: &mut Value,
    action: &Action,
    plan: &Plan,
    situation: &Situation<'_>,
    window: &Window,
) {
    for dynamic in &action.dynamics {
        match *dynamic {
            Dynamic::UrgentIf(condition) if check(condition, plan, situation) == Check::Met => {
                set(task, "priority", json!("urgent"));
            }
            Dynamic::CompletedIf(condition) if check(condition, plan, situation) == Check::Met => {
                complete_on_notice(task, situation, window);
            }
            Dynamic::UrgentIf(_) | Dynamic::CompletedIf(_) => {}
        }
    }
}

/// The notice is the work: its Task is completed from the start, with the time of receipt.
fn complete_on_notice(task: &mut Value, situation: &Situation<'_>, window: &Window) {
    let Some(received) = situation.visit.first_notified_at else {
        return;
    };
    set(task, "status", json!("completed"));
    if received > window.due {
        set(
            task,
            "businessStatus",
            concept(v::CARE_TASK_STATUS, "late-notification"),
        );
    }
    let received = json!(fhir_instant(received, situation.policy.care_zone));
    set_parameter(task, "output", "received-at", ("valueDateTime", received));
}
