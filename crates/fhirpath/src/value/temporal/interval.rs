//! The time between two dates or times, and the parts of one:
//! <http://hl7.org/fhirpath/#date-and-time-interval-functions>.

use crate::value::temporal::{
    MILLIS_PER_DAY, MILLIS_PER_HOUR, MILLIS_PER_MINUTE, MILLIS_PER_SECOND, Precision, Temporal,
};

/// A unit in which time between two moments is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    Year,
    Month,
    Week,
    Day,
    /// So many milliseconds, and the precision that a moment must have for it.
    Clock(i64, Precision),
}

/// 1970-01-01 was a Thursday, and weeks begin on Sunday.
const DAYS_SINCE_SUNDAY: i64 = 4;

const WEEK_DAYS: i64 = 7;

impl Period {
    /// The units of dates and times: first those of dates, then those of times.
    pub(crate) const ALL: &[(&str, Self)] = &[
        ("year", Self::Year),
        ("month", Self::Month),
        ("week", Self::Week),
        ("day", Self::Day),
        ("hour", Self::Clock(MILLIS_PER_HOUR, Precision::Hour)),
        ("minute", Self::Clock(MILLIS_PER_MINUTE, Precision::Minute)),
        ("second", Self::Clock(MILLIS_PER_SECOND, Precision::Second)),
        ("millisecond", Self::Clock(1, Precision::Second)),
    ];
    /// The units of dates.
    pub(crate) const OF_DATE: &[(&str, Self)] = Self::ALL.split_at(4).0;
    /// The units of times.
    pub(crate) const OF_TIME: &[(&str, Self)] = Self::ALL.split_at(4).1;

    /// How much must be known of a moment to count in this unit.
    const fn precision(self) -> Precision {
        match self {
            Self::Year => Precision::Year,
            Self::Month => Precision::Month,
            Self::Week | Self::Day => Precision::Day,
            Self::Clock(_, precision) => precision,
        }
    }
}

impl Temporal {
    /// One of its numbers, if it is known.
    pub(crate) fn part(&self, precision: Precision) -> Option<u16> {
        let value = match precision {
            Precision::Year => self.year,
            Precision::Month => self.month.into(),
            Precision::Day => self.day.into(),
            Precision::Hour => self.hour.into(),
            Precision::Minute => self.minute.into(),
            Precision::Second => self.second.into(),
            Precision::Millisecond => self.millisecond,
        };
        (self.precision >= precision).then_some(value)
    }

    /// How many whole periods lie between this and a later moment; negative for an earlier one.
    pub(crate) fn whole_periods(&self, other: &Self, period: Period) -> Option<i64> {
        self.is_known_to(other, period)?;
        let days = |count: i64| (other.first() - self.first()) / (count * MILLIS_PER_DAY);
        Some(match period {
            Period::Year => self.whole_months(other) / 12,
            Period::Month => self.whole_months(other),
            Period::Week => days(WEEK_DAYS),
            Period::Day => days(1),
            Period::Clock(length, _) => {
                (other.on_one_clock(self) - self.on_one_clock(other)) / length
            }
        })
    }

    /// How often a period begins between this and a later moment; negative for an earlier one.
    pub(crate) fn boundaries_crossed(&self, other: &Self, period: Period) -> Option<i64> {
        self.is_known_to(other, period)?;
        let day = |moment: &Self| moment.first().div_euclid(MILLIS_PER_DAY);
        let week = |moment: &Self| (day(moment) + DAYS_SINCE_SUNDAY).div_euclid(WEEK_DAYS);
        Some(match period {
            Period::Year => i64::from(other.year) - i64::from(self.year),
            Period::Month => other.month_number() - self.month_number(),
            Period::Week => week(other) - week(self),
            Period::Day => day(other) - day(self),
            Period::Clock(length, _) => {
                other.on_one_clock(self).div_euclid(length)
                    - self.on_one_clock(other).div_euclid(length)
            }
        })
    }

    fn is_known_to(&self, other: &Self, period: Period) -> Option<()> {
        let needed = period.precision();
        (self.precision >= needed && other.precision >= needed).then_some(())
    }

    fn month_number(&self) -> i64 {
        i64::from(self.year) * 12 + i64::from(self.month)
    }

    /// The whole months to another moment: a month is over on the same day at the same time.
    fn whole_months(&self, other: &Self) -> i64 {
        let months = other.month_number() - self.month_number();
        let within = |moment: &Self| {
            i64::from(moment.day) * MILLIS_PER_DAY + moment.first().rem_euclid(MILLIS_PER_DAY)
        };
        let rest = within(other) - within(self);
        match months {
            1.. if rest < 0 => months - 1,
            ..=-1 if rest > 0 => months + 1,
            _ => months,
        }
    }

    /// Milliseconds at Greenwich if both say how far they are from there, else on their own clocks.
    fn on_one_clock(&self, other: &Self) -> i64 {
        match (self.offset, other.offset) {
            (Some(offset), Some(_)) => self.first() - i64::from(offset) * MILLIS_PER_MINUTE,
            _ => self.first(),
        }
    }
}
