//! The interactive contact: each Communication based on its Task is one outreach.
//!
//! `completed` reached the patient or caregiver, `stopped` was an attempt. The window is the Task's
//! own: from the discharge to the end of the second business day. Where only a day is known, days
//! are compared.

use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::plan_definition::draft::Draft;
use crate::plan_definition::facts::{Moment, Reason};
use crate::plan_definition::instance::Instance;
use crate::plan_definition::progress::{Progress, written_day};
use crate::plan_definition::resource::{
    business_status, coding, concept, each, id, is_running, points_at, reference, resource_type,
    set, set_parameter, status, text,
};
use crate::plan_definition::vocabulary as v;

/// Business statuses that a further attempt does not replace.
const STRONGER_THAN_ATTEMPTED: &[&str] = &["overdue", "late-notification", "attempts-met"];

/// One outreach.
struct Outreach<'a> {
    communication: &'a Value,
    sent: &'a str,
    moment: Moment,
}

/// The window of a contact Task.
struct Window<'a> {
    start: &'a str,
    end: &'a str,
    zone: Tz,
}

impl Window<'_> {
    /// At or after the discharge.
    fn has_begun(&self, outreach: &Outreach<'_>) -> bool {
        match (outreach.moment, Moment::parse(self.start)) {
            (Moment::Instant(sent), Some(Moment::Instant(start))) => sent >= start,
            _ => written_day(outreach.sent) >= written_day(self.start),
        }
    }

    fn contains(&self, outreach: &Outreach<'_>) -> bool {
        let is_not_over = match (outreach.moment, Moment::parse(self.end)) {
            (Moment::Instant(sent), Some(Moment::Instant(end))) => sent <= end,
            (moment, Some(end)) => moment.day(self.zone) <= end.day(self.zone),
            (_, None) => false,
        };
        self.has_begun(outreach) && is_not_over
    }
}

/// Evaluates all outreach for the contact Task that the changed Communication is based on.
pub(super) fn react(
    draft: &mut Draft,
    changed: &Value,
    instance: &Instance<'_>,
    progress: &Progress<'_>,
) {
    let Some(task) = instance.task(v::INTERACTIVE_CONTACT) else {
        return;
    };
    if !is_based_on(changed, task) || !is_running(task) {
        return;
    }
    let (Some(start), Some(end)) = (
        text(task, "/restriction/period/start"),
        text(task, "/restriction/period/end"),
    ) else {
        return;
    };
    let window = Window {
        start,
        end,
        zone: progress.policy.care_zone,
    };
    let outreach = |wanted: &'static str| {
        progress
            .existing
            .iter()
            .filter(|resource| id(resource) != id(changed))
            .chain(std::iter::once(changed))
            .filter(move |it| resource_type(it) == "Communication" && status(it) == wanted)
            .filter(|communication| is_based_on(communication, task))
            .filter(|communication| is_with_patient_or_caregiver(communication))
            .filter_map(read)
            .filter(|outreach| window.has_begun(outreach))
            .collect::<Vec<_>>()
    };
    let timely_attempts = distinct(outreach("stopped").iter().filter(|it| window.contains(it)));
    let is_attempts_met = timely_attempts >= progress.policy.contact_attempts_needed;
    let reached = outreach("completed");
    let first = reached.iter().min_by_key(|outreach| outreach.sent_key());
    if let Some(first) = first {
        let element = if window.contains(first) {
            "reached"
        } else if is_attempts_met {
            "attempts"
        } else {
            "late"
        };
        draft.edit(task, Reason::Progress, |task| {
            complete(task, first, element);
        });
    } else if is_attempts_met {
        draft.edit(task, Reason::Progress, |task| {
            attempted(task, "attempts-met");
            set_element(task, "attempts");
        });
    } else if !outreach("stopped").is_empty() {
        draft.edit(task, Reason::Progress, |task| attempted(task, "attempted"));
    }
}

impl Outreach<'_> {
    /// Orders by instant, days before the instants of the same day.
    fn sent_key(
        &self,
    ) -> (
        Option<chrono::NaiveDate>,
        Option<chrono::DateTime<chrono::Utc>>,
    ) {
        let instant = match self.moment {
            Moment::Instant(instant) => Some(instant),
            Moment::Day(_) => None,
        };
        (written_day(self.sent), instant)
    }
}

fn read(communication: &Value) -> Option<Outreach<'_>> {
    let sent = text(communication, "/sent")?;
    Some(Outreach {
        communication,
        sent,
        moment: Moment::parse(sent)?,
    })
}

/// Attempts at the same instant are one.
fn distinct<'a>(attempts: impl Iterator<Item = &'a Outreach<'a>>) -> usize {
    let mut keys: Vec<_> = attempts.map(Outreach::sent_key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.len()
}

fn is_based_on(communication: &Value, task: &Value) -> bool {
    each(communication, "basedOn").any(|based_on| points_at(Some(based_on), "Task", id(task)))
}

/// A recipient is the patient or a related person, or none is named.
fn is_with_patient_or_caregiver(communication: &Value) -> bool {
    let mut recipients = each(communication, "recipient").peekable();
    recipients.peek().is_none()
        || recipients.any(|recipient| {
            text(recipient, "/reference").is_some_and(|literal| {
                literal.starts_with("Patient/") || literal.starts_with("RelatedPerson/")
            })
        })
}

fn complete(task: &mut Value, first: &Outreach<'_>, element: &str) {
    set(task, "status", json!("completed"));
    set(
        task,
        "businessStatus",
        concept(v::CARE_TASK_STATUS, "reached"),
    );
    set_element(task, element);
    set_contact_date(task, first.sent);
    let communication = reference("Communication", id(first.communication));
    set_parameter(task, "output", "contact", ("valueReference", communication));
}

pub(super) fn set_element(task: &mut Value, element: &str) {
    let element = coding(v::CARE_TASK_RESULT, element);
    set_parameter(task, "output", "contact-element", ("valueCoding", element));
}

pub(super) fn set_contact_date(task: &mut Value, sent: &str) {
    set_parameter(
        task,
        "output",
        "contact-date",
        ("valueDateTime", json!(sent)),
    );
}

fn attempted(task: &mut Value, business: &str) {
    set(task, "status", json!("in-progress"));
    let is_stronger = business == "attempted"
        && business_status(task).is_some_and(|it| STRONGER_THAN_ATTEMPTED.contains(&it));
    if !is_stronger {
        set(
            task,
            "businessStatus",
            concept(v::CARE_TASK_STATUS, business),
        );
    }
}
