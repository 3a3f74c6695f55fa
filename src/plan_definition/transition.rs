//! Status changes of the resources of a pathway, each in one place.

use serde_json::{Value, json};

use crate::plan_definition::draft::Draft;
use crate::plan_definition::facts::Reason;
use crate::plan_definition::instance::Instance;
use crate::plan_definition::resource::{
    coding, concept, due_instant, each, extension, id, is_open, push, remove_extension, set,
    set_extension, set_or_remove, status, text,
};
use crate::plan_definition::vocabulary as v;

/// Statuses that an instance ends with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    pub(crate) episode: &'static str,
    pub(crate) care_plan: &'static str,
    pub(crate) goal: &'static str,
}

/// The hospital took it back, or the patient died before anything was done.
pub(crate) const CANCELLED: Ending = Ending {
    episode: "cancelled",
    care_plan: "revoked",
    goal: "cancelled",
};
/// It ran for a while and was cut short.
pub(crate) const CUT_SHORT: Ending = Ending {
    episode: "finished",
    care_plan: "revoked",
    goal: "cancelled",
};
/// It ran to its end.
pub(crate) const COMPLETED: Ending = Ending {
    episode: "finished",
    care_plan: "completed",
    goal: "completed",
};

/// Ends an instance: open Tasks are cancelled, what was completed stays.
pub(crate) fn end(draft: &mut Draft, instance: &Instance<'_>, ending: Ending, reason: Reason) {
    for task in &instance.tasks {
        cancel_task(draft, task, reason);
    }
    if let Some(goal) = instance.goal {
        draft.edit(goal, reason, |goal| {
            set(goal, "lifecycleStatus", json!(ending.goal));
        });
    }
    if let Some(care_plan) = instance.care_plan {
        draft.edit(care_plan, reason, |care_plan| {
            set(care_plan, "status", json!(ending.care_plan));
            set_pathway_reason(care_plan, reason, None);
        });
    }
    if let Some(episode) = instance.episode {
        let today = draft.today();
        set_episode_status(draft, episode, ending.episode, reason, |episode| {
            set_pathway_reason(episode, reason, None);
            if let Some(period) = episode.get_mut("period") {
                // An episode that is taken back on the day it began must not end before it.
                let start = text(period, "/start").unwrap_or_default().to_owned();
                set(period, "end", json!(today.max(start)));
            }
        });
    }
}

/// Cancels a Task that is still open.
pub(crate) fn cancel_task(draft: &mut Draft, task: &Value, reason: Reason) {
    if !is_open(draft.current(task)) {
        return;
    }
    draft.edit(task, reason, |task| {
        set(task, "status", json!("cancelled"));
        set(
            task,
            "statusReason",
            concept(v::CARE_TASK_STATUS, reason.code()),
        );
        set(
            task,
            "businessStatus",
            concept(v::CARE_TASK_STATUS, reason.code()),
        );
        remove_extension(task, v::HELD_STATUS);
    });
}

/// Puts an instance on hold because of a stay.
pub(crate) fn hold(draft: &mut Draft, instance: &Instance<'_>, stay: &Value) {
    let reason = Reason::Readmitted;
    for task in instance.tasks.iter().filter(|task| is_open(task)) {
        draft.edit(task, reason, hold_task);
    }
    if let Some(care_plan) = instance.care_plan {
        draft.edit(care_plan, reason, |care_plan| {
            set(care_plan, "status", json!("on-hold"));
            set_pathway_reason(care_plan, reason, Some(stay));
        });
    }
    if let Some(episode) = instance.episode {
        set_episode_status(draft, episode, "onhold", reason, |episode| {
            set_pathway_reason(episode, reason, Some(stay));
        });
    }
}

fn hold_task(task: &mut Value) {
    if status(task) == "on-hold" {
        return;
    }
    let mut held = vec![json!({ "url": "status", "valueCode": status(task) })];
    if let Some(coding) = task.pointer("/businessStatus/coding/0") {
        held.push(json!({ "url": "business-status", "valueCoding": coding }));
    }
    set_extension(task, json!({ "url": v::HELD_STATUS, "extension": held }));
    set(task, "status", json!("on-hold"));
    let readmitted = concept(v::CARE_TASK_STATUS, Reason::Readmitted.code());
    set(task, "statusReason", readmitted.clone());
    set(task, "businessStatus", readmitted);
}

/// Takes an instance off hold; each Task goes back to what it was.
pub(crate) fn resume(draft: &mut Draft, instance: &Instance<'_>) {
    let reason = Reason::Resumed;
    for task in &instance.tasks {
        if draft.edit(task, reason, resume_task)
            && let Some(due) = due_instant(task)
        {
            draft.wake(id(task), due);
        }
    }
    if let Some(care_plan) = instance.care_plan {
        draft.edit(care_plan, reason, |care_plan| {
            set(care_plan, "status", json!("active"));
            remove_extension(care_plan, v::PATHWAY_STATUS_REASON);
        });
    }
    if let Some(episode) = instance.episode {
        set_episode_status(draft, episode, "active", reason, |episode| {
            remove_extension(episode, v::PATHWAY_STATUS_REASON);
        });
    }
}

fn resume_task(task: &mut Value) {
    let Some(held) = extension(task, v::HELD_STATUS).cloned() else {
        return;
    };
    if status(task) == "on-hold" {
        let before = extension(&held, "status").and_then(|held| text(held, "/valueCode"));
        set(task, "status", json!(before.unwrap_or("requested")));
        let business = extension(&held, "business-status")
            .and_then(|held| held.get("valueCoding"))
            .map(|coding| json!({ "coding": [coding] }));
        set_or_remove(task, "businessStatus", business);
        set_or_remove(task, "statusReason", None);
    }
    remove_extension(task, v::HELD_STATUS);
}

/// Sets the status of an EpisodeOfCare and keeps the one before in `statusHistory`.
fn set_episode_status(
    draft: &mut Draft,
    episode: &Value,
    new: &str,
    reason: Reason,
    also: impl FnOnce(&mut Value),
) {
    // The episode began on a day, so its history is told in days.
    let today = draft.today();
    draft.edit(episode, reason, |episode| {
        if status(episode) != new {
            let since = each(episode, "statusHistory")
                .last()
                .and_then(|entry| text(entry, "/period/end"))
                .or_else(|| text(episode, "/period/start"))
                .unwrap_or(&today);
            let until = today.as_str().max(since);
            let entry = json!({
                "status": status(episode),
                "period": { "start": since, "end": until }
            });
            push(episode, "statusHistory", entry);
            set(episode, "status", json!(new));
        }
        also(episode);
    });
}

/// Says why an EpisodeOfCare or CarePlan has its status.
fn set_pathway_reason(resource: &mut Value, reason: Reason, encounter: Option<&Value>) {
    let mut parts =
        vec![json!({ "url": "code", "valueCoding": coding(v::CARE_TASK_STATUS, reason.code()) })];
    if let Some(encounter) = encounter {
        parts.push(json!({ "url": "encounter", "valueReference": encounter }));
    }
    set_extension(
        resource,
        json!({ "url": v::PATHWAY_STATUS_REASON, "extension": parts }),
    );
}

/// A Task that ends while on hold no longer says so.
pub(crate) fn forget_hold(task: &mut Value) {
    if extension(task, v::HELD_STATUS).is_some() {
        remove_extension(task, v::HELD_STATUS);
        set_or_remove(task, "statusReason", None);
        set_or_remove(task, "businessStatus", None);
    }
}
