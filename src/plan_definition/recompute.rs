//! How new facts about a visit move a running instance: same resources, new dates, risk and
//! evidence. What is completed stays, what does not differ is not written.

use serde_json::{Value, json};

use crate::plan_definition::condition::{Check, check};
use crate::plan_definition::decide::Situation;
use crate::plan_definition::draft::Draft;
use crate::plan_definition::enrol::{Days, activity, set_care_plan, set_episode, set_score};
use crate::plan_definition::facts::Reason;
use crate::plan_definition::instance::Instance;
use crate::plan_definition::lace::{Lace, Risk};
use crate::plan_definition::resource::{
    anchor_date, business_status, due_instant, id, is_open, push, remove, set, text,
};
use crate::plan_definition::work::{Window, applies, new_task, set_window};
use crate::plan_definition::{Action, Condition, Dynamic, Plan, due, transition};

/// Moves a running instance to the facts as they are now.
pub(crate) fn recompute(
    draft: &mut Draft,
    plan: &Plan,
    instance: &Instance<'_>,
    situation: &Situation<'_>,
    reason: Reason,
    ids: &mut dyn FnMut() -> String,
) {
    let Some(days) = Days::of(plan, situation) else {
        return;
    };
    let lace = Lace::of(situation.visit, situation.patient);
    let risk_before = instance
        .risk
        .and_then(|risk| text(risk, "/prediction/0/qualitativeRisk/coding/0/code"))
        .map(str::to_owned);
    let mut changed = false;
    if let Some(risk) = instance.risk {
        changed |= draft.edit(risk, reason, |risk| correct_score(risk, &lace));
    }
    if let Some(episode) = instance.episode {
        changed |= draft.edit(episode, reason, |episode| {
            set_episode(episode, &days, situation);
        });
    }
    if let Some(goal) = instance.goal {
        changed |= draft.edit(goal, reason, |goal| correct_goal(goal, &days));
    }
    if let Some(care_plan) = instance.care_plan {
        changed |= draft.edit(care_plan, reason, |care_plan| {
            set_care_plan(care_plan, &days);
        });
    }
    let moved = Moved {
        plan,
        situation,
        lace: &lace,
        risk_before: risk_before.as_deref(),
        reason,
    };
    for action in &plan.actions {
        changed |= match instance.task(&action.code) {
            Some(task) => moved.task(draft, action, task),
            None if asks_for_setting(action) && applies(action, plan, situation) => {
                moved.add_task(draft, action, instance, ids)
            }
            None => false,
        };
    }
    if changed {
        draft.remark(&plan.url, reason);
    }
}

/// A corrected assessment says so, `final` only if nothing changed.
fn correct_score(risk: &mut Value, lace: &Lace) {
    let before = risk.clone();
    set_score(risk, lace);
    if *risk != before {
        set(risk, "status", json!("corrected"));
    }
}

/// People may have added targets; only the dates of our own are moved.
fn correct_goal(goal: &mut Value, days: &Days) {
    set(goal, "startDate", json!(days.first.to_string()));
    if let Some(target) = goal.pointer_mut("/target/0") {
        set(target, "dueDate", json!(days.last.to_string()));
    }
}

/// The step exists only while the setting is in doubt.
fn asks_for_setting(action: &Action) -> bool {
    action
        .conditions
        .iter()
        .any(|applicability| applicability.condition == Condition::SettingUnconfirmed)
}

/// What new facts do to the Tasks of an instance.
struct Moved<'a> {
    plan: &'a Plan,
    situation: &'a Situation<'a>,
    lace: &'a Lace,
    risk_before: Option<&'a str>,
    reason: Reason,
}

impl Moved<'_> {
    /// A Task that is done stays as it is; an open one gets the new window.
    fn task(&self, draft: &mut Draft, action: &Action, task: &Value) -> bool {
        if !is_open(task) {
            return false;
        }
        if asks_for_setting(action) && !applies(action, self.plan, self.situation) {
            transition::cancel_task(draft, task, Reason::Superseded);
            return true;
        }
        let Some(window) = self.window(action, task) else {
            return false;
        };
        let now = self.situation.now;
        let changed = draft.edit(task, self.reason, |task| {
            set_window(task, &window, self.situation);
            if now <= window.due
                && matches!(business_status(task), Some("overdue" | "late-notification"))
            {
                remove(task, "businessStatus");
            }
            self.set_priority(task, action);
        });
        if changed {
            draft.timer(id(task), window.due);
        }
        changed
    }

    /// The window of an existing Task. A risk that turns out high too late to act on does not make
    /// a Task overdue that was in time.
    fn window(&self, action: &Action, task: &Value) -> Option<Window> {
        let is_high_risk = self.lace.risk() == Risk::High;
        let window = Window::of(action, self.situation, is_high_risk)?;
        if window.due < self.situation.now && self.has_usual_window(action, task) {
            return Window::of(action, self.situation, false);
        }
        Some(window)
    }

    /// The Task is due as for a patient who is not at high risk.
    fn has_usual_window(&self, action: &Action, task: &Value) -> bool {
        let policy = self.situation.policy;
        let usual = anchor_date(task).map(|anchor| {
            let day = action.due.date(anchor, false, &policy.calendar);
            due::end_of_day(day, policy.care_zone)
        });
        usual.is_some() && usual == due_instant(task)
    }

    /// A changed risk changes the priority; otherwise it belongs to the care manager.
    fn set_priority(&self, task: &mut Value, action: &Action) {
        let is_risk_unchanged = self.risk_before == Some(self.lace.risk().code());
        let urgent_if = action.dynamics.iter().find_map(|dynamic| match *dynamic {
            Dynamic::UrgentIf(condition) => Some(condition),
            Dynamic::CompletedIf(_) => None,
        });
        let Some(condition) = urgent_if.filter(|_| !is_risk_unchanged) else {
            return;
        };
        let is_urgent = check(condition, self.plan, self.situation) == Check::Met;
        set(
            task,
            "priority",
            json!(if is_urgent { "urgent" } else { "routine" }),
        );
    }

    fn add_task(
        &self,
        draft: &mut Draft,
        action: &Action,
        instance: &Instance<'_>,
        ids: &mut dyn FnMut() -> String,
    ) -> bool {
        let is_high_risk = self.lace.risk() == Risk::High;
        let Some(window) = Window::of(action, self.situation, is_high_risk) else {
            return false;
        };
        let task_id = ids();
        let care_plan_id = instance.care_plan.map(id);
        let mut task = new_task(
            draft,
            &task_id,
            action,
            self.situation,
            &instance.key,
            care_plan_id,
        );
        set_window(&mut task, &window, self.situation);
        if let Some(care_plan) = instance.care_plan {
            draft.edit(care_plan, self.reason, |care_plan| {
                push(care_plan, "activity", activity(&task_id));
            });
        }
        draft.create(task, self.reason);
        draft.timer(&task_id, window.due);
        true
    }
}
