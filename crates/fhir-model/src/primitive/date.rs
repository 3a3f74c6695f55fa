//! Points in time that are known only so precisely: `2026`, `2026-03`, `2026-03-02T10:00:00.12Z`.
//!
//! <https://hl7.org/fhir/R4/datatypes.html#dateTime>, and for the interval that such a value stands
//! for <https://hl7.org/fhir/R4/search.html#date>. Reading is lenient where a search value or a
//! FHIRPath literal may stop earlier than an element may (`2026-03-02T10:00`); which precision an
//! element may have is the business of [`crate::primitive::Primitive`].

use std::fmt;

/// How precisely a date or time is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Precision {
    /// `2026`
    Year,
    /// `2026-03`
    Month,
    /// `2026-03-02`
    Day,
    /// `2026-03-02T10`
    Hour,
    /// `2026-03-02T10:00`
    Minute,
    /// `2026-03-02T10:00:00`
    Second,
    /// `2026-03-02T10:00:00.1`, with this many digits.
    Fraction(u8),
}

/// Microseconds in a second.
pub const SECOND_MICROS: i64 = 1_000_000;

const MINUTE_SECONDS: i64 = 60;
const HOUR_SECONDS: i64 = 60 * MINUTE_SECONDS;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;

/// The greatest offset from UTC that FHIR allows, either way: 14:00.
pub const OFFSET_MINUTES_MAX: i16 = 14 * 60;

/// Digits of a fraction that count; further ones are read and dropped.
const FRACTION_DIGITS_KEPT: usize = 9;

/// A time of day.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Time {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60; 60 is a leap second.
    pub second: u8,
    /// 0 to 999,999,999.
    pub nanosecond: u32,
    /// [`Precision::Hour`] or finer.
    pub precision: Precision,
}

impl Time {
    const MIDNIGHT: Self = Self {
        hour: 0,
        minute: 0,
        second: 0,
        nanosecond: 0,
        precision: Precision::Hour,
    };

    /// Reads `10`, `10:00`, `10:00:00` or `10:00:00.123`.
    pub fn parse(text: &str) -> Option<Self> {
        let (time, rest) = Self::read(text)?;
        rest.is_empty().then_some(time)
    }

    /// Reads a time and gives what follows it.
    fn read(text: &str) -> Option<(Self, &str)> {
        let (hour, rest) = number(text, 2, 0, 23)?;
        let mut time = Self {
            hour: small(hour),
            ..Self::MIDNIGHT
        };
        let Some(rest) = rest.strip_prefix(':') else {
            return Some((time, rest));
        };
        let (minute, rest) = number(rest, 2, 0, 59)?;
        time.minute = small(minute);
        time.precision = Precision::Minute;
        let Some(rest) = rest.strip_prefix(':') else {
            return Some((time, rest));
        };
        let (second, rest) = number(rest, 2, 0, 60)?;
        time.second = small(second);
        time.precision = Precision::Second;
        let Some(rest) = rest.strip_prefix('.') else {
            return Some((time, rest));
        };
        let len = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = rest.split_at_checked(len)?;
        time.nanosecond = nanoseconds(digits)?;
        time.precision = Precision::Fraction(u8::try_from(len).unwrap_or(u8::MAX));
        Some((time, rest))
    }

    /// Microseconds from midnight.
    const fn micros(self) -> i64 {
        let seconds = self.hour as i64 * HOUR_SECONDS
            + self.minute as i64 * MINUTE_SECONDS
            + self.second as i64;
        seconds * SECOND_MICROS + self.nanosecond as i64 / 1_000
    }
}

/// A date, or a date and time, with the precision it was written with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DateTime {
    /// 1 to 9999.
    pub year: u16,
    /// 1 to 12; 1 if unknown.
    pub month: u8,
    /// 1 to 31; 1 if unknown.
    pub day: u8,
    /// The time of day; midnight if unknown.
    pub time: Time,
    /// What was written.
    pub precision: Precision,
    /// Minutes east of UTC, if written.
    pub offset_minutes: Option<i16>,
}

impl DateTime {
    /// Reads a date, or a date and time with or without an offset, as far as it goes.
    ///
    /// The day must exist in its month.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, rest) = number(text, 4, 1, 9999)?;
        let mut date = Self {
            year,
            month: 1,
            day: 1,
            time: Time::MIDNIGHT,
            precision: Precision::Year,
            offset_minutes: None,
        };
        if rest.is_empty() {
            return Some(date);
        }
        let (month, rest) = number(rest.strip_prefix('-')?, 2, 1, 12)?;
        date.month = small(month);
        date.precision = Precision::Month;
        if rest.is_empty() {
            return Some(date);
        }
        let day_max = days_in_month(year, date.month);
        let (day, rest) = number(rest.strip_prefix('-')?, 2, 1, u16::from(day_max))?;
        date.day = small(day);
        date.precision = Precision::Day;
        if rest.is_empty() {
            return Some(date);
        }
        let (time, rest) = Time::read(rest.strip_prefix('T')?)?;
        date.time = time;
        date.precision = time.precision;
        date.offset_minutes = offset(rest)?;
        Some(date)
    }

    /// Whether there is a time of day.
    pub fn has_time(self) -> bool {
        self.precision >= Precision::Hour
    }

    /// What the value stands for, as microseconds from 1970-01-01T00:00:00Z: from the first that
    /// is part of it to the first that is not any more.
    ///
    /// `default_offset_minutes` counts where none was written.
    pub fn interval(self, default_offset_minutes: i16) -> (i64, i64) {
        let offset_minutes = self.offset_minutes.unwrap_or(default_offset_minutes);
        let offset_micros = i64::from(offset_minutes) * MINUTE_SECONDS * SECOND_MICROS;
        let (low, high) = self.local_interval();
        (low - offset_micros, high - offset_micros)
    }

    /// The same as the clock on the wall shows it, whatever the offset: to look up the offset of a
    /// time zone.
    pub fn local_interval(self) -> (i64, i64) {
        let low = self.local_micros();
        let high = match self.precision {
            Precision::Year => first_of_month(i64::from(self.year) + 1, 1),
            Precision::Month => first_of_month(i64::from(self.year), i64::from(self.month) + 1),
            Precision::Day => low + DAY_SECONDS * SECOND_MICROS,
            Precision::Hour => low + HOUR_SECONDS * SECOND_MICROS,
            Precision::Minute => low + MINUTE_SECONDS * SECOND_MICROS,
            Precision::Second => low + SECOND_MICROS,
            Precision::Fraction(digits) => low + fraction_micros(digits),
        };
        (low, high)
    }

    fn local_micros(self) -> i64 {
        let days = days_from_epoch(
            i64::from(self.year),
            i64::from(self.month),
            i64::from(self.day),
        );
        days * DAY_SECONDS * SECOND_MICROS + self.time.micros()
    }
}

/// How long the unit of the last of so many digits is, and at least a microsecond.
const fn fraction_micros(digits: u8) -> i64 {
    let mut micros = SECOND_MICROS;
    let mut counted = 0;
    while counted < digits && micros > 1 {
        micros /= 10;
        counted += 1;
    }
    micros
}

/// The first microsecond of a month; month 13 is January of the next year.
const fn first_of_month(year: i64, month: i64) -> i64 {
    let days = if month > 12 {
        days_from_epoch(year + 1, 1, 1)
    } else {
        days_from_epoch(year, month, 1)
    };
    days * DAY_SECONDS * SECOND_MICROS
}

/// Days from 1970-01-01 in the Gregorian calendar, also before it was in use.
///
/// Years start in March, so that the day that may be missing is the last.
const fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// How many days a month has.
pub const fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// Reads a number of so many digits within a range, and gives what follows it.
fn number(text: &str, len: usize, min: u16, max: u16) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(len)?;
    let value = digits.bytes().try_fold(0_u16, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        Some(value * 10 + u16::from(digit))
    })?;
    (min..=max).contains(&value).then_some((value, rest))
}

/// A number that [`number`] found to have two digits.
#[expect(clippy::cast_possible_truncation, reason = "two digits")]
const fn small(number: u16) -> u8 {
    number as u8
}

fn nanoseconds(digits: &str) -> Option<u32> {
    let kept = digits.get(..FRACTION_DIGITS_KEPT).unwrap_or(digits);
    let missing = FRACTION_DIGITS_KEPT.checked_sub(kept.len())?;
    let value: u32 = kept.parse().ok()?;
    Some(value * 10_u32.pow(u32::try_from(missing).ok()?))
}

/// Reads what follows a time: nothing, `Z`, `+05:00` or `-05:00`.
#[expect(
    clippy::option_option,
    reason = "not an offset, no offset, and an offset are three things"
)]
fn offset(text: &str) -> Option<Option<i16>> {
    let (sign, rest) = match text.as_bytes() {
        [] => return Some(None),
        b"Z" => return Some(Some(0)),
        [b'+', ..] => (1, text.strip_prefix('+')?),
        [b'-', ..] => (-1, text.strip_prefix('-')?),
        _ => return None,
    };
    let (hours, rest) = number(rest, 2, 0, 14)?;
    let (minutes, rest) = number(rest.strip_prefix(':')?, 2, 0, 59)?;
    let minutes = i16::try_from(hours * 60 + minutes).ok()?;
    (rest.is_empty() && minutes <= OFFSET_MINUTES_MAX).then_some(Some(sign * minutes))
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}", self.hour)?;
        if self.precision >= Precision::Minute {
            write!(formatter, ":{:02}", self.minute)?;
        }
        if self.precision >= Precision::Second {
            write!(formatter, ":{:02}", self.second)?;
        }
        if let Precision::Fraction(digits) = self.precision {
            let kept = FRACTION_DIGITS_KEPT.min(usize::from(digits));
            let fraction = format!("{:09}", self.nanosecond);
            write!(formatter, ".{}", fraction.get(..kept).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl fmt::Display for DateTime {
    /// As it was written, but a fraction with no more than nine digits and `+00:00` as `Z`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}", self.year)?;
        if self.precision >= Precision::Month {
            write!(formatter, "-{:02}", self.month)?;
        }
        if self.precision >= Precision::Day {
            write!(formatter, "-{:02}", self.day)?;
        }
        if self.has_time() {
            write!(formatter, "T{}", self.time)?;
        }
        match self.offset_minutes {
            None => Ok(()),
            Some(0) => formatter.write_str("Z"),
            Some(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let minutes = minutes.unsigned_abs();
                write!(formatter, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, default_offset_minutes: i16, low: &str, high: &str) {
        let at = |text| DateTime::parse(text).unwrap().interval(0).0;
        let interval = DateTime::parse(text)
            .unwrap()
            .interval(default_offset_minutes);
        assert_eq!(interval, (at(low), at(high)), "{text}");
    }

    #[test]
    fn a_value_stands_for_the_interval_of_its_precision() {
        check("2026", 0, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        check("2024-02", 0, "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
        check("2024-12", 0, "2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z");
        check(
            "2024-02-29",
            -300,
            "2024-02-29T05:00:00Z",
            "2024-03-01T05:00:00Z",
        );
        check(
            "2024-02-29T10",
            60,
            "2024-02-29T09:00:00Z",
            "2024-02-29T10:00:00Z",
        );
        check(
            "2024-02-29T10:30",
            0,
            "2024-02-29T10:30:00Z",
            "2024-02-29T10:31:00Z",
        );
        check(
            "2024-02-29T23:30:10+05:30",
            -300,
            "2024-02-29T18:00:10Z",
            "2024-02-29T18:00:11Z",
        );
        check(
            "2024-02-29T10:30:10.25Z",
            0,
            "2024-02-29T10:30:10.25Z",
            "2024-02-29T10:30:10.26Z",
        );
        check(
            "2016-12-31T23:59:60Z",
            0,
            "2017-01-01T00:00:00Z",
            "2017-01-01T00:00:01Z",
        );
        check("9999", 0, "9999-01-01T00:00:00Z", "9999-12-31T23:59:60Z");
    }

    #[test]
    fn micros_count_from_1970() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("2000-03-01T00:00:00Z", 951_868_800_000_000),
            ("2026-03-02T10:00:00.123456789Z", 1_772_445_600_123_456),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ] {
            assert_eq!(
                DateTime::parse(text).unwrap().interval(0).0,
                micros,
                "{text}"
            );
        }
        let finest = DateTime::parse("1970-01-01T00:00:00.0000000001Z").unwrap();
        assert_eq!(finest.interval(0), (0, 1));
    }

    #[test]
    fn what_is_read_is_written_again() {
        for text in [
            "2026",
            "2026-03",
            "2026-03-02",
            "2026-03-02T10",
            "2026-03-02T10:05",
            "2026-03-02T10:05:00",
            "2026-03-02T10:05:00.120",
            "2026-03-02T10:05:00Z",
            "2026-03-02T10:05:00.5-05:00",
            "2026-03-02T10:05+14:00",
            "0001-02-28",
        ] {
            assert_eq!(DateTime::parse(text).unwrap().to_string(), text);
        }
        for text in ["00", "23:59", "10:05:60", "10:05:01.000"] {
            assert_eq!(Time::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_date_or_time_is_refused() {
        for wrong in [
            "",
            "26",
            "0000",
            "2026-",
            "2026-1",
            "2026-13",
            "2026-00",
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-03-02T",
            "2026-03-02T24:00",
            "2026-03-02T10:60",
            "2026-03-02 10:00",
            "2026-03-02T10:00:61",
            "2026-03-02T10:00:00.",
            "2026-03-02T10:00:00z",
            "2026-03-02T10:00:00+5",
            "2026-03-02T10:00:00+15:00",
            "2026-03-02T10:00:00+14:01",
            "2026-03-02T10:00:00+05:00x",
            "2026-03-02Z",
            "2026é",
            "+202",
            "20260302",
        ] {
            assert!(DateTime::parse(wrong).is_none(), "{wrong}");
        }
        for wrong in ["", "1", "24", "10:0", "10:00:00.", "10:00Z", "T10:00"] {
            assert!(Time::parse(wrong).is_none(), "{wrong}");
        }
    }
}
