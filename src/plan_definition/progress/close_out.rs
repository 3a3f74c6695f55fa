//! The end of the thirty days: what the pathway came to, and why not more.
//!
//! 99496: contact, high medical decision making, visit by day 7. 99495: contact, at least moderate,
//! visit by day 14. Both need medications reconciled no later than the day of the visit.

use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::plan_definition::calendar;
use crate::plan_definition::draft::Draft;
use crate::plan_definition::facts::{Moment, Reason};
use crate::plan_definition::instance::{Instance, Standing};
use crate::plan_definition::progress::{Progress, written_day};
use crate::plan_definition::resource::{
    anchor_date, business_status, coding, concept, is_open, output_code, output_time, push, set,
    status, text,
};
use crate::plan_definition::transition::{self, COMPLETED};
use crate::plan_definition::vocabulary as v;

/// Calendar days after discharge for a visit of high medical decision making: 99496.
const HIGH_VISIT_DAYS: u32 = 7;
/// Calendar days after discharge for any visit that counts: 99495.
const VISIT_DAYS: u32 = 14;

/// What a pathway came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// A CPT code.
    Met(&'static str),
    /// Codes of [`v::CARE_TASK_RESULT`].
    NotMet(Vec<&'static str>),
}

/// Closes an instance, once.
pub(super) fn close(draft: &mut Draft, instance: &Instance<'_>, progress: &Progress<'_>) {
    let Some(closeout) = instance.task(v::TCM_CLOSEOUT) else {
        return;
    };
    let outcome = outcome(instance, closeout);
    draft.edit(closeout, Reason::ClosedOut, |task| record(task, &outcome));
    if let Some(contact) = instance
        .task(v::INTERACTIVE_CONTACT)
        .filter(|it| is_open(it))
    {
        draft.edit(contact, Reason::ClosedOut, give_up_contact);
    }
    transition::end(draft, instance, COMPLETED, Reason::ClosedOut);
    if let Some(plan) = progress
        .plans
        .iter()
        .find(|plan| plan.name == instance.key.plan)
    {
        draft.remark(&plan.url, Reason::ClosedOut);
    }
}

fn record(closeout: &mut Value, outcome: &Outcome) {
    set(closeout, "status", json!("completed"));
    transition::forget_hold(closeout);
    if output_code(closeout, "result").is_some() {
        return;
    }
    let output = |code: &str, value: Value| json!({ "type": concept(v::CARE_TASK_PARAMETER, code), "valueCoding": value });
    match outcome {
        Outcome::Met(code) => push(closeout, "output", output("result", coding(v::CPT, code))),
        Outcome::NotMet(reasons) => {
            let not_met = coding(v::CARE_TASK_RESULT, "not-met");
            push(closeout, "output", output("result", not_met));
            for reason in reasons {
                let reason = coding(v::CARE_TASK_RESULT, reason);
                push(closeout, "output", output("result-reason", reason));
            }
        }
    }
}

/// Attempts were made and nobody was reached in the whole period.
fn give_up_contact(contact: &mut Value) {
    if matches!(business_status(contact), Some("attempts-met" | "attempted")) {
        let unable = concept(v::CARE_TASK_STATUS, "unable-to-reach");
        set(contact, "status", json!("cancelled"));
        set(contact, "statusReason", unable.clone());
        set(contact, "businessStatus", unable);
    }
}

fn outcome(instance: &Instance<'_>, closeout: &Value) -> Outcome {
    let Some(discharged) = anchor_date(closeout) else {
        return Outcome::NotMet(vec!["contact-missing", "face-to-face-missing"]);
    };
    let visit = instance.task(v::FACE_TO_FACE);
    let visit_day = visit
        .and_then(|task| output_time(task, "face-to-face-date"))
        .and_then(written_day)
        .filter(|day| *day >= discharged);
    let level = visit.and_then(|task| output_code(task, "medical-decision-making"));
    let mut reasons = Vec::new();
    if !is_contact_met(instance, closeout, visit_day) {
        reasons.push("contact-missing");
    }
    reasons.extend(visit_fault(discharged, visit_day));
    if visit_day.is_some() {
        reasons.extend(level_fault(level));
    }
    reasons.extend(reconciliation_fault(instance, discharged, visit_day));
    if !reasons.is_empty() && instance.standing() == Standing::Held {
        reasons.push("readmitted");
    }
    if !reasons.is_empty() {
        return Outcome::NotMet(reasons);
    }
    let is_early = visit_day
        .is_some_and(|day| day <= calendar::add_calendar_days(discharged, HIGH_VISIT_DAYS));
    Outcome::Met(if is_early && level == Some("high") {
        "99496"
    } else {
        "99495"
    })
}

/// Reached or attempted in the window, by a contact that a corrected discharge did not overtake, or
/// by an early visit.
fn is_contact_met(instance: &Instance<'_>, closeout: &Value, visit_day: Option<NaiveDate>) -> bool {
    let Some(contact) = instance.task(v::INTERACTIVE_CONTACT) else {
        return false;
    };
    let last = text(contact, "/restriction/period/end").and_then(written_day);
    if visit_day.is_some_and(|day| Some(day) <= last) {
        return true;
    }
    match output_code(contact, "contact-element") {
        Some("attempts") => true,
        Some("reached") => output_time(contact, "contact-date")
            .zip(text(closeout, "/restriction/period/start"))
            .is_none_or(|(sent, discharged)| is_not_before(sent, discharged)),
        _ => false,
    }
}

fn is_not_before(sent: &str, discharged: &str) -> bool {
    match (Moment::parse(sent), Moment::parse(discharged)) {
        (Some(Moment::Instant(sent)), Some(Moment::Instant(discharged))) => sent >= discharged,
        _ => written_day(sent) >= written_day(discharged),
    }
}

fn visit_fault(discharged: NaiveDate, visit_day: Option<NaiveDate>) -> Option<&'static str> {
    match visit_day {
        None => Some("face-to-face-missing"),
        Some(day) if day > calendar::add_calendar_days(discharged, VISIT_DAYS) => {
            Some("face-to-face-late")
        }
        Some(_) => None,
    }
}

fn level_fault(level: Option<&str>) -> Option<&'static str> {
    match level {
        None => Some("medical-decision-making-missing"),
        Some("moderate" | "high") => None,
        Some(_) => Some("medical-decision-making-too-low"),
    }
}

fn reconciliation_fault(
    instance: &Instance<'_>,
    discharged: NaiveDate,
    visit_day: Option<NaiveDate>,
) -> Option<&'static str> {
    let reconciled = instance
        .task(v::MEDICATION_RECONCILIATION)
        .filter(|task| status(task) == "completed")
        .and_then(|task| output_time(task, "medication-reconciliation-date"))
        .and_then(written_day)
        .filter(|day| *day >= discharged);
    match (reconciled, visit_day) {
        (None, _) => Some("medication-reconciliation-missing"),
        (Some(day), Some(visit)) if day > visit => Some("medication-reconciliation-late"),
        (Some(_), _) => None,
    }
}
