//! The face-to-face visit: a finished ambulatory, home or virtual Encounter within the period that
//! names the pathway's EpisodeOfCare, or the Task's own outputs as a person wrote them.
//!
//! The Task is complete when the day of the visit and its level of medical decision making are
//! known. A visit before the end of the contact window is also the interactive contact.

use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::plan_definition::draft::Draft;
use crate::plan_definition::facts::{Reason, VisitClass};
use crate::plan_definition::instance::Instance;
use crate::plan_definition::progress::contact::{set_contact_date, set_element};
use crate::plan_definition::progress::written_day;
use crate::plan_definition::resource::{
    coding, concept, each, extension, id, is_running, output_code, output_time, points_at,
    reference, remove, set, set_parameter, status, text,
};
use crate::plan_definition::vocabulary as v;

/// An Encounter changed: it may be the visit.
pub(super) fn react(draft: &mut Draft, encounter: &Value, instance: &Instance<'_>) {
    let Some(task) = instance
        .task(v::FACE_TO_FACE)
        .filter(|task| is_running(task))
    else {
        return;
    };
    let Some(day) = visit_day(encounter, instance) else {
        return;
    };
    let is_another =
        output_time(task, "face-to-face-date").is_some() && !is_recorded_for(task, encounter);
    if is_another {
        return;
    }
    let level = extension(encounter, v::MEDICAL_DECISION_MAKING)
        .and_then(|extension| text(extension, "/valueCode"));
    draft.edit(task, Reason::Progress, |task| {
        let date = json!(day.to_string());
        set_parameter(task, "output", "face-to-face-date", ("valueDate", date));
        let visit = reference("Encounter", id(encounter));
        set_parameter(
            task,
            "output",
            "face-to-face-encounter",
            ("valueReference", visit),
        );
        if let Some(level) = level {
            let level = coding(v::CARE_TASK_RESULT, level);
            set_parameter(
                task,
                "output",
                "medical-decision-making",
                ("valueCoding", level),
            );
        }
    });
    visit_recorded(draft, task, instance);
}

fn is_recorded_for(task: &Value, encounter: &Value) -> bool {
    each(task, "output")
        .any(|output| points_at(output.get("valueReference"), "Encounter", id(encounter)))
}

/// The day of the Encounter if it is a face-to-face visit of this instance.
fn visit_day(encounter: &Value, instance: &Instance<'_>) -> Option<NaiveDate> {
    let class = VisitClass::from_code(text(encounter, "/class/code")?);
    let is_face_to_face = matches!(
        class,
        VisitClass::Ambulatory | VisitClass::HomeHealth | VisitClass::Virtual
    );
    let episode = instance.episode?;
    let is_of_episode = each(encounter, "episodeOfCare")
        .any(|literal| points_at(Some(literal), "EpisodeOfCare", id(episode)));
    let is_index = id(encounter) == instance.key.encounter_id;
    if status(encounter) != "finished" || !is_face_to_face || !is_of_episode || is_index {
        return None;
    }
    let day = written_day(text(encounter, "/period/start")?)?;
    let period = instance.care_plan?.get("period")?;
    let first = written_day(text(period, "/start")?)?;
    let last = written_day(text(period, "/end")?)?;
    (first <= day && day <= last).then_some(day)
}

/// The Task's outputs may say that the visit took place: complete it, and the contact if it was
/// early enough.
pub(super) fn visit_recorded(draft: &mut Draft, task: &Value, instance: &Instance<'_>) {
    let current = draft.current(task).clone();
    let Some(date) = output_time(&current, "face-to-face-date") else {
        return;
    };
    if is_running(&current) {
        let is_complete = output_code(&current, "medical-decision-making").is_some();
        draft.edit(task, Reason::Progress, |task| {
            if is_complete {
                set(task, "status", json!("completed"));
                remove(task, "businessStatus");
            } else {
                set(task, "status", json!("in-progress"));
                set(
                    task,
                    "businessStatus",
                    concept(v::CARE_TASK_STATUS, "mdm-needed"),
                );
            }
        });
    }
    count_as_contact(draft, date, instance);
}

fn count_as_contact(draft: &mut Draft, date: &str, instance: &Instance<'_>) {
    let Some(contact) = instance
        .task(v::INTERACTIVE_CONTACT)
        .filter(|it| is_running(it))
    else {
        return;
    };
    let bound = |name: &str| text(contact, name).and_then(written_day);
    let (Some(day), Some(first), Some(last)) = (
        written_day(date),
        bound("/restriction/period/start"),
        bound("/restriction/period/end"),
    ) else {
        return;
    };
    if first <= day && day <= last {
        draft.edit(contact, Reason::Progress, |contact| {
            set(contact, "status", json!("completed"));
            set(
                contact,
                "businessStatus",
                concept(v::CARE_TASK_STATUS, "reached"),
            );
            set_element(contact, "reached");
            set_contact_date(contact, date);
        });
    }
}
