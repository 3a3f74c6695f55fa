//! When an action is due.
//!
//! The anchor is a calendar day on the facility's wall; days are counted in the care
//! organisation's calendar; the deadline is the last second of the day in the care organisation's
//! zone. Days are never hours: a day that loses or gains one to daylight saving is one day.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::plan_definition::calendar::{self, Calendar};

/// The day from which a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The end of the visit.
    Discharge,
    /// Its start.
    Admit,
}

/// What a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Every day.
    CalendarDay,
    /// Business days of the care organisation.
    BusinessDay,
}

/// A due rule, as extension `due-rule` says it: to the end of the `offset`-th day after the anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRule {
    /// Day zero.
    pub anchor: Anchor,
    /// So many units after it.
    pub offset: u32,
    /// Fewer units for a patient at high risk.
    pub high_risk_offset: Option<u32>,
    /// What is counted.
    pub unit: Unit,
}

impl DueRule {
    /// The last day on which the action is in time.
    pub fn date(
        &self,
        anchor_day: NaiveDate,
        is_high_risk: bool,
        calendar: &Calendar,
    ) -> NaiveDate {
        let offset = match self.high_risk_offset {
            Some(high_risk) if is_high_risk => high_risk,
            _ => self.offset,
        };
        match self.unit {
            Unit::CalendarDay => calendar::add_calendar_days(anchor_day, offset),
            Unit::BusinessDay => calendar.add_business_days(anchor_day, offset),
        }
    }
}

/// 23:59:59 of `day` in `zone`. Where the clock shows it twice the later one counts; where a zone
/// skips it, UTC decides.
pub fn end_of_day(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let last_second = NaiveTime::from_hms_opt(23, 59, 59).unwrap_or_default();
    let local = day.and_time(last_second);
    zone.from_local_datetime(&local)
        .latest()
        .map_or_else(|| local.and_utc(), |deadline| deadline.with_timezone(&Utc))
}

/// The first instant at which a deadline has passed.
pub fn passed_at(deadline: DateTime<Utc>) -> DateTime<Utc> {
    deadline + TimeDelta::seconds(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_definition::facts::fhir_instant;
    use chrono_tz::America::New_York;

    #[track_caller]
    fn check(day: &str, expected: &str) {
        let deadline = end_of_day(day.parse().unwrap(), New_York);
        assert_eq!(fhir_instant(deadline, New_York), expected);
    }

    #[test]
    fn a_day_ends_by_the_clock_on_the_wall() {
        check("2026-03-07", "2026-03-07T23:59:59-05:00");
        check("2026-03-08", "2026-03-08T23:59:59-04:00"); // daylight saving began at 02:00
        check("2026-11-01", "2026-11-01T23:59:59-05:00"); // and ended at 02:00
    }

    #[test]
    fn a_rule_counts_days_from_its_anchor() {
        let anchor = "2026-07-02".parse().unwrap();
        let calendar = Calendar::us_federal();
        let mut rule = DueRule {
            anchor: Anchor::Discharge,
            offset: 14,
            high_risk_offset: Some(7),
            unit: Unit::CalendarDay,
        };
        assert_eq!(
            rule.date(anchor, false, &calendar).to_string(),
            "2026-07-16"
        );
        assert_eq!(rule.date(anchor, true, &calendar).to_string(), "2026-07-09");
        rule = DueRule {
            offset: 2,
            high_risk_offset: None,
            unit: Unit::BusinessDay,
            ..rule
        };
        assert_eq!(rule.date(anchor, true, &calendar).to_string(), "2026-07-07");
    }
}
