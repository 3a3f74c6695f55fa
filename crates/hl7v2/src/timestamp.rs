//! Points in time as HL7 writes them: DTM and TS (HL7 v2.9, section 2A.2.22).
//!
//! `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][±ZZZZ]`: a time is as exact as it was written. Which time zone
//! holds when none is written is known to the caller; [`Timestamp::resolve`] applies it.

use std::fmt;
use std::str::FromStr;

use chrono::{
    DateTime, Datelike, Duration, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime,
    NaiveTime, Offset, TimeZone, Timelike,
};

/// How exact a timestamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// `YYYY`.
    Year,
    /// `YYYYMM`.
    Month,
    /// `YYYYMMDD`.
    Day,
    /// `YYYYMMDDHH`.
    Hour,
    /// `YYYYMMDDHHMM`.
    Minute,
    /// `YYYYMMDDHHMMSS`.
    Second,
    /// `YYYYMMDDHHMMSS.S…`.
    Fraction {
        /// How many digits the fraction of the second has: 1 to 9.
        digits: u8,
    },
}

/// A point in time with the precision and the offset that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    start: NaiveDateTime,
    precision: Precision,
    offset: Option<FixedOffset>,
}

/// Text that is not a timestamp. It does not repeat the text: that may be a date of birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// Not of the form `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][±ZZZZ]`.
    #[error("not of the form YYYY[MM[DD[HH[MM[SS[.S]]]]]][+/-ZZZZ]")]
    Form,
    /// There is no such day or time of day.
    #[error("no such day or time of day")]
    Range,
    /// There is no such offset from UTC.
    #[error("no such offset from UTC")]
    Offset,
}

/// What was odd about a local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalTimeFlag {
    /// The clocks were put back and the time came twice: the first was taken.
    Ambiguous,
    /// The clocks were put forward and the time never came: it was shifted forward.
    Nonexistent,
}

impl LocalTimeFlag {
    /// A name for reports and records.
    pub fn code(self) -> &'static str {
        match self {
            Self::Ambiguous => "ambiguous-local-time",
            Self::Nonexistent => "nonexistent-local-time",
        }
    }
}

/// A timestamp placed on the time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The first moment that the timestamp can mean.
    pub instant: DateTime<FixedOffset>,
    /// What was odd about the local time.
    pub flag: Option<LocalTimeFlag>,
}

impl Timestamp {
    /// The time of an instant, to the second, with its offset.
    pub fn from_instant(instant: DateTime<FixedOffset>) -> Self {
        let local = instant.naive_local();
        Self {
            start: local.with_nanosecond(0).unwrap_or(local),
            precision: Precision::Second,
            offset: Some(*instant.offset()),
        }
    }

    /// How exact it is.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The offset from UTC, if one was written.
    pub fn offset(&self) -> Option<FixedOffset> {
        self.offset
    }

    /// The same time, with `offset` unless it has one: the offset of MSH-7 holds for the message.
    #[must_use]
    pub fn or_offset(self, offset: Option<FixedOffset>) -> Self {
        Self {
            offset: self.offset.or(offset),
            ..self
        }
    }

    /// The day; the first day of a year or month.
    pub fn date(&self) -> NaiveDate {
        self.start.date()
    }

    /// The first local time that it can mean.
    pub fn naive(&self) -> NaiveDateTime {
        self.start
    }

    /// Whether a time of day was written.
    pub fn has_time(&self) -> bool {
        self.precision >= Precision::Hour
    }

    /// The instant: by its own offset, else in `zone`.
    pub fn resolve<Tz: TimeZone>(&self, zone: &Tz) -> Resolved {
        match self.offset {
            Some(offset) => resolve_in(&offset, self.start),
            None => resolve_in(zone, self.start),
        }
    }
}

fn resolve_in<Tz: TimeZone>(zone: &Tz, local: NaiveDateTime) -> Resolved {
    let (offset, flag) = match zone.offset_from_local_datetime(&local) {
        MappedLocalTime::Single(offset) => (offset.fix(), None),
        MappedLocalTime::Ambiguous(first, _) => (first.fix(), Some(LocalTimeFlag::Ambiguous)),
        MappedLocalTime::None => (
            offset_before_gap(zone, local),
            Some(LocalTimeFlag::Nonexistent),
        ),
    };
    // With the offset from before the gap, a time in the gap is the moment just as long after
    // the clocks changed; it is then told in the offset that holds at that moment.
    let utc = local.checked_sub_offset(offset).unwrap_or(local);
    let told_in = match flag {
        Some(LocalTimeFlag::Nonexistent) => zone.offset_from_utc_datetime(&utc).fix(),
        _ => offset,
    };
    Resolved {
        instant: DateTime::from_naive_utc_and_offset(utc, told_in),
        flag,
    }
}

/// The offset that held before the clocks were put forward over `local`.
fn offset_before_gap<Tz: TimeZone>(zone: &Tz, local: NaiveDateTime) -> FixedOffset {
    /// No zone changes its clocks in smaller parts of an hour today.
    const STEP_MINUTES: i64 = 15;
    /// The widest gap is a whole day (Samoa, 30 December 2011).
    const STEPS_MAX: i64 = 26 * 60 / STEP_MINUTES;
    (1..=STEPS_MAX)
        .filter_map(|step| local.checked_sub_signed(Duration::minutes(step * STEP_MINUTES)))
        .find_map(|earlier| zone.offset_from_local_datetime(&earlier).latest())
        .unwrap_or_else(|| zone.offset_from_utc_datetime(&local))
        .fix()
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads a timestamp; blanks around it do not count.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let text = text.trim();
        let (local, offset) = match text
            .find(['+', '-'])
            .and_then(|at| text.split_at_checked(at))
        {
            Some((local, offset)) => (local, Some(read_offset(offset)?)),
            None => (text, None),
        };
        let (digits, fraction) = match local.split_once('.') {
            Some((digits, fraction)) => (digits, Some(fraction)),
            None => (local, None),
        };
        let (start, precision) = read_digits(digits)?;
        let (start, precision) = match fraction {
            None => (start, precision),
            Some(fraction) if precision == Precision::Second => add_fraction(start, fraction)?,
            Some(_) => return Err(TimestampError::Form),
        };
        Ok(Self {
            start,
            precision,
            offset,
        })
    }
}

fn read_digits(digits: &str) -> Result<(NaiveDateTime, Precision), TimestampError> {
    let precision = match digits.len() {
        4 => Precision::Year,
        6 => Precision::Month,
        8 => Precision::Day,
        10 => Precision::Hour,
        12 => Precision::Minute,
        14 => Precision::Second,
        _ => return Err(TimestampError::Form),
    };
    let part = |range: std::ops::Range<usize>, absent: u32| match digits.get(range) {
        Some(part) => decimal(part),
        None if digits.is_ascii() => Ok(absent),
        None => Err(TimestampError::Form),
    };
    let year = i32::try_from(part(0..4, 0)?).map_err(|_| TimestampError::Range)?;
    let date = NaiveDate::from_ymd_opt(year, part(4..6, 1)?, part(6..8, 1)?);
    let time = NaiveTime::from_hms_opt(part(8..10, 0)?, part(10..12, 0)?, part(12..14, 0)?);
    match (date, time) {
        (Some(date), Some(time)) if year > 0 => Ok((date.and_time(time), precision)),
        _ => Err(TimestampError::Range),
    }
}

fn add_fraction(
    start: NaiveDateTime,
    fraction: &str,
) -> Result<(NaiveDateTime, Precision), TimestampError> {
    /// The standard has four; some senders write microseconds or nanoseconds.
    const DIGITS_MAX: usize = 9;
    let digits = u8::try_from(fraction.len()).map_err(|_| TimestampError::Form)?;
    if !(1..=DIGITS_MAX).contains(&fraction.len()) {
        return Err(TimestampError::Form);
    }
    let nanoseconds = decimal(&format!("{fraction:0<DIGITS_MAX$}"))?;
    let start = start
        .with_nanosecond(nanoseconds)
        .ok_or(TimestampError::Range)?;
    Ok((start, Precision::Fraction { digits }))
}

fn read_offset(text: &str) -> Result<FixedOffset, TimestampError> {
    let (sign, digits) = text.split_at_checked(1).ok_or(TimestampError::Form)?;
    let (hours, minutes) = digits.split_at_checked(2).ok_or(TimestampError::Form)?;
    if minutes.len() != 2 {
        return Err(TimestampError::Form);
    }
    let (hours, minutes) = (decimal(hours)?, decimal(minutes)?);
    let seconds = i32::try_from(hours * 3600 + minutes * 60).map_err(|_| TimestampError::Offset)?;
    let east = if sign == "-" { -seconds } else { seconds };
    // From Baker Island (-12:00) to Kiribati (+14:00).
    let exists = (-12 * 3600..=14 * 3600).contains(&east) && minutes < 60;
    FixedOffset::east_opt(east)
        .filter(|_| exists)
        .ok_or(TimestampError::Offset)
}

fn decimal(digits: &str) -> Result<u32, TimestampError> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().map_err(|_| TimestampError::Form)
    } else {
        Err(TimestampError::Form)
    }
}

impl fmt::Display for Timestamp {
    /// Writes it as it is read: to its precision, with the offset it has.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}", self.start.year())?;
        let parts = [
            (Precision::Month, self.start.month()),
            (Precision::Day, self.start.day()),
            (Precision::Hour, self.start.hour()),
            (Precision::Minute, self.start.minute()),
            (Precision::Second, self.start.second()),
        ];
        for (_, value) in parts
            .iter()
            .filter(|(precision, _)| *precision <= self.precision)
        {
            write!(formatter, "{value:02}")?;
        }
        if let Precision::Fraction { digits } = self.precision {
            let nanoseconds = format!("{:09}", self.start.nanosecond());
            write!(
                formatter,
                ".{}",
                nanoseconds.get(..usize::from(digits)).unwrap_or_default()
            )?;
        }
        let Some(offset) = self.offset else {
            return Ok(());
        };
        let minutes = offset.local_minus_utc() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        write!(
            formatter,
            "{sign}{:02}{:02}",
            minutes.abs() / 60,
            minutes.abs() % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Tz;

    #[track_caller]
    fn check(text: &str, expected: Result<Precision, TimestampError>) {
        let read = text.parse::<Timestamp>();
        assert_eq!(read.map(|read| read.precision()), expected, "{text}");
        if let Ok(read) = read {
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn a_timestamp_is_as_exact_as_it_is_written() {
        check("2025", Ok(Precision::Year));
        check("202503", Ok(Precision::Month));
        check("20250314", Ok(Precision::Day));
        check("2025031415", Ok(Precision::Hour));
        check("202503141530", Ok(Precision::Minute));
        check("20250314153045", Ok(Precision::Second));
        check("20250314153045.1", Ok(Precision::Fraction { digits: 1 }));
        check("20250314153045.1234", Ok(Precision::Fraction { digits: 4 }));
        check(
            "20250314153045.123456789",
            Ok(Precision::Fraction { digits: 9 }),
        );
        check(
            "20080818183002.1-0700",
            Ok(Precision::Fraction { digits: 1 }),
        );
        check("198808181126+0215", Ok(Precision::Minute));
        check("2025+0100", Ok(Precision::Year));
        check("20240229", Ok(Precision::Day));
    }

    #[test]
    fn what_is_no_timestamp_is_refused() {
        for wrong in [
            "",
            "20",
            "20250",
            "2025-03-14",
            "2025031415304",
            "PHILIPSPACS",
            "19_610_615",
            "2018080800000000000",
            "202503141530.5",
            "20250314153045.",
            "20250314153045.1234567890",
            "20250314153045+01",
            "20250314153045+01:00",
            "20250314153045Z",
            "202503ü4",
            "+0100",
            "20250314 15:30",
        ] {
            check(wrong, Err(TimestampError::Form));
        }
        for wrong in [
            "20251301",
            "20250230",
            "00000000",
            "2025031424",
            "20250314153060",
        ] {
            check(wrong, Err(TimestampError::Range));
        }
        for wrong in ["2025+1500", "2025-1300", "2025+0160"] {
            check(wrong, Err(TimestampError::Offset));
        }
    }

    #[track_caller]
    fn check_resolved(text: &str, zone: Tz, expected: &str, flag: Option<LocalTimeFlag>) {
        let resolved = text.parse::<Timestamp>().unwrap().resolve(&zone);
        assert_eq!(
            (resolved.instant.to_rfc3339().as_str(), resolved.flag),
            (expected, flag)
        );
    }

    #[test]
    fn local_times_are_resolved_in_their_zone() {
        let zone = Tz::America__New_York;
        let ambiguous = Some(LocalTimeFlag::Ambiguous);
        let nonexistent = Some(LocalTimeFlag::Nonexistent);
        check_resolved("20250114153000", zone, "2025-01-14T15:30:00-05:00", None);
        check_resolved("20250714153000", zone, "2025-07-14T15:30:00-04:00", None);
        check_resolved(
            "20250714153000+0200",
            zone,
            "2025-07-14T15:30:00+02:00",
            None,
        );
        check_resolved("20250714", zone, "2025-07-14T00:00:00-04:00", None);
        check_resolved("2025", zone, "2025-01-01T00:00:00-05:00", None);
        check_resolved(
            "20251102013000",
            zone,
            "2025-11-02T01:30:00-04:00",
            ambiguous,
        );
        check_resolved(
            "20250309023000",
            zone,
            "2025-03-09T03:30:00-04:00",
            nonexistent,
        );
        check_resolved(
            "20250309020000",
            zone,
            "2025-03-09T03:00:00-04:00",
            nonexistent,
        );
        check_resolved("20250309030000", zone, "2025-03-09T03:00:00-04:00", None);
        // Half an hour, and a whole day.
        let zone = Tz::Australia__Lord_Howe;
        check_resolved(
            "20251005021500",
            zone,
            "2025-10-05T02:45:00+11:00",
            nonexistent,
        );
        let zone = Tz::Pacific__Apia;
        check_resolved(
            "20111230120000",
            zone,
            "2011-12-31T12:00:00+14:00",
            nonexistent,
        );
        // Midnight itself can be missing.
        let zone = Tz::America__Sao_Paulo;
        check_resolved("20181104", zone, "2018-11-04T01:00:00-02:00", nonexistent);
    }

    #[test]
    fn the_offset_of_the_header_is_a_default() {
        let header = FixedOffset::east_opt(3600);
        let with = |text: &str| {
            text.parse::<Timestamp>()
                .unwrap()
                .or_offset(header)
                .to_string()
        };
        assert_eq!(with("202503141530"), "202503141530+0100");
        assert_eq!(with("202503141530-0500"), "202503141530-0500");
    }

    #[test]
    fn an_instant_is_written_to_the_second() {
        let instant = DateTime::parse_from_rfc3339("2025-03-14T15:30:45.678-05:30").unwrap();
        assert_eq!(
            Timestamp::from_instant(instant).to_string(),
            "20250314153045-0530"
        );
    }
}
