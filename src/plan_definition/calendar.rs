//! Business days of a care organisation.
//!
//! CMS counts Monday to Friday except holidays and names no list. The default is the federal
//! holidays of 5 U.S.C. 6103 on the day they are observed, computed by rule; an organisation adds
//! and removes days.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate, Weekday};

/// The search for a business day gives up after so many calendar days.
const SCAN_DAYS_MAX: usize = 3_660;

/// How the law fixes a federal holiday.
#[derive(Debug, Clone, Copy)]
enum Holiday {
    /// A date; on a Saturday it is observed the Friday before, on a Sunday the Monday after.
    Fixed { month: u32, day: u32 },
    /// The n-th weekday of a month.
    Nth { month: u32, weekday: Weekday, n: u8 },
    /// The last weekday of a month.
    Last { month: u32, weekday: Weekday },
}

/// 5 U.S.C. 6103(a), in calendar order.
const FEDERAL_HOLIDAYS: &[Holiday] = &[
    Holiday::Fixed { month: 1, day: 1 },
    Holiday::Nth {
        month: 1,
        weekday: Weekday::Mon,
        n: 3,
    },
    Holiday::Nth {
        month: 2,
        weekday: Weekday::Mon,
        n: 3,
    },
    Holiday::Last {
        month: 5,
        weekday: Weekday::Mon,
    },
    Holiday::Fixed { month: 6, day: 19 },
    Holiday::Fixed { month: 7, day: 4 },
    Holiday::Nth {
        month: 9,
        weekday: Weekday::Mon,
        n: 1,
    },
    Holiday::Nth {
        month: 10,
        weekday: Weekday::Mon,
        n: 2,
    },
    Holiday::Fixed { month: 11, day: 11 },
    Holiday::Nth {
        month: 11,
        weekday: Weekday::Thu,
        n: 4,
    },
    Holiday::Fixed { month: 12, day: 25 },
];

impl Holiday {
    /// The day on which the holiday of `year` is observed; it may lie in the year before.
    fn observed(self, year: i32) -> Option<NaiveDate> {
        match self {
            Self::Fixed { month, day } => {
                let date = NaiveDate::from_ymd_opt(year, month, day)?;
                match date.weekday() {
                    Weekday::Sat => date.pred_opt(),
                    Weekday::Sun => date.succ_opt(),
                    _ => Some(date),
                }
            }
            Self::Nth { month, weekday, n } => {
                NaiveDate::from_weekday_of_month_opt(year, month, weekday, n)
            }
            Self::Last { month, weekday } => (4..=5)
                .rev()
                .find_map(|n| NaiveDate::from_weekday_of_month_opt(year, month, weekday, n)),
        }
    }
}

/// The observed federal holidays whose name belongs to `year`, New Year first.
pub fn federal_holidays(year: i32) -> impl Iterator<Item = NaiveDate> {
    FEDERAL_HOLIDAYS
        .iter()
        .filter_map(move |holiday| holiday.observed(year))
}

/// Whether a federal holiday is observed on `day`. New Year of the next year may be.
fn is_federal_holiday(day: NaiveDate) -> bool {
    let year = day.year();
    federal_holidays(year)
        .chain(federal_holidays(year + 1).take(1))
        .any(|holiday| holiday == day)
}

/// The holidays of one organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    added: BTreeSet<NaiveDate>,
    removed: BTreeSet<NaiveDate>,
}

impl Calendar {
    /// The federal holidays as they are.
    pub fn us_federal() -> Self {
        Self::default()
    }

    /// The federal holidays, with `added` days off and `removed` holidays on which work goes on.
    pub fn us_federal_with(
        added: impl IntoIterator<Item = NaiveDate>,
        removed: impl IntoIterator<Item = NaiveDate>,
    ) -> Self {
        Self {
            added: added.into_iter().collect(),
            removed: removed.into_iter().collect(),
        }
    }

    /// Monday to Friday and no holiday here. A day both added and removed is a holiday.
    pub fn is_business_day(&self, day: NaiveDate) -> bool {
        let is_weekend = matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
        let is_holiday =
            self.added.contains(&day) || (is_federal_holiday(day) && !self.removed.contains(&day));
        !is_weekend && !is_holiday
    }

    /// The `business_days`-th business day after `day`; `day` itself never counts, zero gives `day`.
    pub fn add_business_days(&self, day: NaiveDate, business_days: u32) -> NaiveDate {
        let Some(index) = (business_days as usize).checked_sub(1) else {
            return day;
        };
        day.iter_days()
            .skip(1)
            .take(SCAN_DAYS_MAX)
            .filter(|candidate| self.is_business_day(*candidate))
            .nth(index)
            .unwrap_or(NaiveDate::MAX)
    }
}

/// The calendar day `days` after `day`.
pub fn add_calendar_days(day: NaiveDate, days: u32) -> NaiveDate {
    day.checked_add_days(Days::new(u64::from(days)))
        .unwrap_or(NaiveDate::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// `domain/rules.md` §1.3, from the law, not from this code.
    const OBSERVED: &[(i32, &[&str])] = &[
        (
            2025,
            &[
                "2025-01-01",
                "2025-01-20",
                "2025-02-17",
                "2025-05-26",
                "2025-06-19",
                "2025-07-04",
                "2025-09-01",
                "2025-10-13",
                "2025-11-11",
                "2025-11-27",
                "2025-12-25",
            ],
        ),
        (
            2026,
            &[
                "2026-01-01",
                "2026-01-19",
                "2026-02-16",
                "2026-05-25",
                "2026-06-19",
                "2026-07-03",
                "2026-09-07",
                "2026-10-12",
                "2026-11-11",
                "2026-11-26",
                "2026-12-25",
            ],
        ),
        (
            2027,
            &[
                "2027-01-01",
                "2027-01-18",
                "2027-02-15",
                "2027-05-31",
                "2027-06-18",
                "2027-07-05",
                "2027-09-06",
                "2027-10-11",
                "2027-11-11",
                "2027-11-25",
                "2027-12-24",
            ],
        ),
        (2028, &["2027-12-31", "2028-01-17"]),
    ];

    #[test]
    fn federal_holidays_are_observed_as_the_law_says() {
        for (year, expected) in OBSERVED {
            let observed: Vec<String> = federal_holidays(*year)
                .take(expected.len())
                .map(|d| d.to_string())
                .collect();
            assert_eq!(&observed, expected);
        }
    }

    #[track_caller]
    fn check(from: &str, business_days: u32, expected: &str) {
        let due = Calendar::us_federal().add_business_days(day(from), business_days);
        assert_eq!(due, day(expected));
    }

    #[test]
    fn weekends_and_holidays_do_not_count() {
        check("2026-03-06", 2, "2026-03-10"); // Friday to Tuesday
        check("2026-03-02", 2, "2026-03-04"); // Monday to Wednesday
        check("2026-03-07", 1, "2026-03-09"); // Saturday to Monday
        check("2026-07-02", 2, "2026-07-07"); // Independence Day, observed on Friday
        check("2026-05-21", 2, "2026-05-26"); // Memorial Day
        check("2026-10-09", 2, "2026-10-14"); // Columbus Day
        check("2027-12-30", 1, "2028-01-03"); // New Year 2028, observed in 2027
        check("2026-11-25", 1, "2026-11-27"); // the day after Thanksgiving is a business day
        check("2026-12-24", 0, "2026-12-24");
    }

    #[test]
    fn an_organisation_adds_and_removes_holidays() {
        let calendar = Calendar::us_federal_with([day("2026-07-06")], [day("2026-07-03")]);
        assert_eq!(
            calendar.add_business_days(day("2026-07-02"), 1),
            day("2026-07-03")
        );
        assert_eq!(
            calendar.add_business_days(day("2026-07-02"), 2),
            day("2026-07-07")
        );
    }

    proptest! {
        #[test]
        fn business_days_only_go_forward(offset in 0u64..20_000, more in 0u64..40, count in 0u32..25) {
            let calendar = Calendar::us_federal();
            let early = day("2000-01-01") + Days::new(offset);
            let late = early + Days::new(more);
            let due = calendar.add_business_days(early, count);
            prop_assert!(due <= calendar.add_business_days(late, count));
            prop_assert!(due >= early);
            if count > 0 {
                prop_assert!(calendar.is_business_day(due));
                prop_assert!(due < calendar.add_business_days(early, count + 1));
            }
        }
    }
}
