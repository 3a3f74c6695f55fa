//! The named applicability conditions, evaluated from typed facts.
//!
//! A condition that fails either only keeps a pathway from starting ([`Check::Unmet`]: the panel,
//! the age, lateness), or also takes back one that runs ([`Check::Withdraw`]: the visit or the
//! patient is not what the plan is for). One `match` is the whole table.

use chrono::{Datelike, NaiveDate, TimeDelta};

use crate::disposition::Group;
use crate::plan_definition::due::Anchor;
use crate::plan_definition::facts::{Moment, Reason, VisitClass, VisitFacts, VisitStatus};
use crate::plan_definition::lace::{Lace, Risk};
use crate::plan_definition::{Condition, Plan, Trigger, comorbidity, decide::Situation};

/// A stay that begins so many hours before the end of an emergency visit belongs to it.
const ADMITTED_BEFORE_HOURS: i64 = 2;

/// What a condition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// It holds.
    Met,
    /// It does not: nothing starts, what runs goes on.
    Unmet,
    /// It does not: what runs is taken back for this reason.
    Withdraw(Reason),
}

/// The day from which the rules of a plan count by its trigger.
pub(crate) fn anchor_day(trigger: Trigger, visit: &VisitFacts) -> Option<NaiveDate> {
    match trigger {
        Trigger::EncounterStart => visit.start_day(),
        Trigger::EncounterEnd => visit.end_day(),
    }
}

/// The moment of an anchor.
pub(crate) fn anchor_moment(anchor: Anchor, visit: &VisitFacts) -> Option<Moment> {
    match anchor {
        Anchor::Admit => visit.start,
        Anchor::Discharge => visit.end,
    }
}

/// The last day on which anything of the plan is due.
pub(crate) fn last_due_day(plan: &Plan, situation: &Situation<'_>) -> Option<NaiveDate> {
    let zone = situation.visit.facility_zone;
    plan.actions
        .iter()
        .filter_map(|action| {
            let anchor = anchor_moment(action.due.anchor, situation.visit)?.day(zone);
            Some(action.due.date(anchor, false, &situation.policy.calendar))
        })
        .max()
}

/// All conditions of a plan: the first withdrawal wins, then anything unmet.
pub(crate) fn verdict(plan: &Plan, situation: &Situation<'_>) -> Check {
    let mut verdict = Check::Met;
    for applicability in &plan.conditions {
        match check(applicability.condition, plan, situation) {
            Check::Met => {}
            Check::Unmet => verdict = Check::Unmet,
            withdraw @ Check::Withdraw(_) => return withdraw,
        }
    }
    verdict
}

/// One condition.
pub(crate) fn check(condition: Condition, plan: &Plan, situation: &Situation<'_>) -> Check {
    let visit = situation.visit;
    let anchor = anchor_day(plan.trigger, visit);
    match condition {
        Condition::InpatientOrObservation if visit.class.is_stay() => Check::Met,
        Condition::InpatientOrObservation => Check::Withdraw(Reason::Superseded),
        Condition::EmergencyVisit => match visit.class {
            VisitClass::Emergency => Check::Met,
            VisitClass::Inpatient | VisitClass::Observation => Check::Withdraw(Reason::Admitted),
            _ => Check::Withdraw(Reason::Superseded),
        },
        Condition::VisitInProgress => in_progress(visit),
        Condition::VisitFinished => finished(visit),
        Condition::DischargedToCommunity => to_community(visit.disposition_group()),
        Condition::Alive if is_dead(situation) => Check::Withdraw(Reason::Deceased),
        Condition::Adult => met_if(anchor.is_some_and(|day| is_adult(day, situation))),
        Condition::OnPanel => met_if(anchor.is_some_and(|day| situation.patient.is_on_panel(day))),
        Condition::PeriodNotOver => {
            let today = situation
                .now
                .with_timezone(&situation.policy.care_zone)
                .date_naive();
            met_if(last_due_day(plan, situation).is_some_and(|last| today <= last))
        }
        Condition::NotAdmitted if is_admitted_after(plan, situation) => {
            Check::Withdraw(Reason::Admitted)
        }
        Condition::Alive | Condition::NotAdmitted => Check::Met,
        Condition::MultipleChronicConditions => {
            met_if(follow_up_groups(situation) >= situation.policy.ed_condition_groups_min)
        }
        Condition::SocialNeedsNotScreened => {
            met_if(anchor.is_some_and(|day| !is_screened(day, situation)))
        }
        Condition::SettingUnconfirmed => met_if(matches!(
            visit.disposition_group(),
            Group::Ambiguous | Group::Unknown
        )),
        Condition::AdmissionNotified => met_if(visit.first_notified_at.is_some()),
        Condition::HighRisk => met_if(Lace::of(visit, situation.patient).risk() == Risk::High),
    }
}

fn met_if(holds: bool) -> Check {
    if holds { Check::Met } else { Check::Unmet }
}

fn in_progress(visit: &VisitFacts) -> Check {
    match visit.status {
        VisitStatus::InProgress => met_if(visit.start.is_some()),
        VisitStatus::Finished => Check::Withdraw(Reason::Superseded),
        VisitStatus::Cancelled | VisitStatus::Planned => {
            Check::Withdraw(Reason::AdmissionCancelled)
        }
        VisitStatus::Unknown => Check::Unmet,
    }
}

fn finished(visit: &VisitFacts) -> Check {
    match visit.status {
        VisitStatus::Finished => met_if(visit.end.is_some()),
        VisitStatus::InProgress | VisitStatus::Planned | VisitStatus::Cancelled => {
            Check::Withdraw(Reason::DischargeCancelled)
        }
        VisitStatus::Unknown => Check::Unmet,
    }
}

fn to_community(group: Group) -> Check {
    match group {
        Group::Community | Group::CommunityAma | Group::Ambiguous | Group::Unknown => Check::Met,
        Group::Continuing => Check::Withdraw(Reason::DischargeCancelled),
        Group::Expired => Check::Withdraw(Reason::Deceased),
        Group::Facility | Group::Transfer | Group::Hospice | Group::Custody => {
            Check::Withdraw(Reason::NotCommunity)
        }
    }
}

/// The Patient is deceased, or the visit ended with a death.
pub(crate) fn is_dead(situation: &Situation<'_>) -> bool {
    let visit = situation.visit;
    let died_here =
        visit.status == VisitStatus::Finished && visit.disposition_group() == Group::Expired;
    situation.patient.is_deceased || died_here
}

/// Old enough on `day`. An unknown birth date does not keep anybody from care.
fn is_adult(day: NaiveDate, situation: &Situation<'_>) -> bool {
    situation.patient.birth_date.is_none_or(|birth_date| {
        let had_birthday = (day.month(), day.day()) >= (birth_date.month(), birth_date.day());
        let age = day.year() - birth_date.year() - i32::from(!had_birthday);
        u32::try_from(age).is_ok_and(|age| age >= situation.policy.age_min_years)
    })
}

fn is_screened(day: NaiveDate, situation: &Situation<'_>) -> bool {
    situation.patient.sdoh_screened_on.is_some_and(|screened| {
        day.signed_duration_since(screened).num_days() < situation.policy.sdoh_fresh_days
    })
}

fn follow_up_groups(situation: &Situation<'_>) -> usize {
    comorbidity::follow_up_groups(
        situation
            .patient
            .conditions
            .iter()
            .filter_map(|condition| condition.icd10.as_deref()),
    )
}

/// An inpatient or observation stay of the patient begins between two hours before the end of the
/// visit and the last due day of the plan.
fn is_admitted_after(plan: &Plan, situation: &Situation<'_>) -> bool {
    let visit = situation.visit;
    let (Some(end), Some(last)) = (visit.end, last_due_day(plan, situation)) else {
        return false;
    };
    situation
        .patient
        .other_visits
        .iter()
        .any(|stay| is_stay_between(stay, end, visit.end_day(), last))
}

/// Whether `stay` took place and began between `end`, less two hours, and the day `last`.
pub(crate) fn is_stay_between(
    stay: &VisitFacts,
    end: Moment,
    end_day: Option<NaiveDate>,
    last: NaiveDate,
) -> bool {
    let took_place = matches!(stay.status, VisitStatus::InProgress | VisitStatus::Finished);
    let (Some(start), Some(start_day)) = (stay.start, stay.start_day()) else {
        return false;
    };
    let is_after = match (start, end) {
        (Moment::Instant(start), Moment::Instant(end)) => {
            start >= end - TimeDelta::hours(ADMITTED_BEFORE_HOURS)
        }
        _ => end_day.is_some_and(|end_day| start_day >= end_day),
    };
    stay.class.is_stay() && took_place && is_after && start_day <= last
}
