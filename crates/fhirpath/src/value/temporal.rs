//! Dates and times with a precision: <http://hl7.org/fhirpath/N1/#datetime>.
//!
//! A date, a date and time, and a time of day are one structure here, since they parse, compare
//! and add alike; [`crate::Item`] says which of them a value is.

use std::cmp::Ordering;
use std::fmt;

mod interval;

pub(crate) use interval::Period;

/// How much of a date or time is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each variant is the precision of that name")]
pub enum Precision {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

/// A date, a date and time, or a time of day.
///
/// What is not known has its smallest value; a time of day has the date 0001-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Temporal {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    millisecond: u16,
    precision: Precision,
    /// Minutes east of Greenwich.
    offset: Option<i16>,
}

const MILLIS_PER_SECOND: i64 = 1_000;
const MILLIS_PER_MINUTE: i64 = 60 * MILLIS_PER_SECOND;
const MILLIS_PER_HOUR: i64 = 60 * MILLIS_PER_MINUTE;
const MILLIS_PER_DAY: i64 = 24 * MILLIS_PER_HOUR;

/// The clocks of the world are at most this far from Greenwich, to the east.
const OFFSET_MINUTES_MAX: i16 = 14 * 60;
/// … and to the west.
const OFFSET_MINUTES_MIN: i16 = -12 * 60;

/// The last year that can be written.
const YEAR_MAX: i64 = 9999;

/// A unit of time that can be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    Months(i64),
    Millis(i64),
}

/// What may be added to dates and times: <http://hl7.org/fhirpath/N1/#datetime-arithmetic>.
/// The UCUM units of a year and a month are not among them: their lengths are fixed.
const TIME_UNITS: &[(&str, TimeUnit)] = &[
    ("year", TimeUnit::Months(12)),
    ("month", TimeUnit::Months(1)),
    ("wk", TimeUnit::Millis(7 * MILLIS_PER_DAY)),
    ("d", TimeUnit::Millis(MILLIS_PER_DAY)),
    ("h", TimeUnit::Millis(MILLIS_PER_HOUR)),
    ("min", TimeUnit::Millis(MILLIS_PER_MINUTE)),
    ("s", TimeUnit::Millis(MILLIS_PER_SECOND)),
    ("ms", TimeUnit::Millis(1)),
];

impl TimeUnit {
    pub(crate) fn parse(code: &str) -> Option<Self> {
        TIME_UNITS
            .iter()
            .find(|(spelling, _)| *spelling == code)
            .map(|(_, unit)| *unit)
    }
}

/// What [`Temporal::parse_parts`] takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Date,
    DateTime,
    Time,
}

impl Temporal {
    /// `2015`, `2015-02`, `2015-02-04`
    pub fn parse_date(text: &str) -> Option<Self> {
        Self::parse_parts(text, Form::Date)
    }

    /// `2015`, `2015-02-04T14`, `2015-02-04T14:34:28.123+10:00`
    pub fn parse_date_time(text: &str) -> Option<Self> {
        Self::parse_parts(text, Form::DateTime)
    }

    /// `14`, `14:34`, `14:34:28.123`
    pub fn parse_time(text: &str) -> Option<Self> {
        Self::parse_parts(text, Form::Time)
    }

    fn parse_parts(text: &str, form: Form) -> Option<Self> {
        let mut reader = Reader {
            bytes: text.as_bytes(),
        };
        let mut read = Self::START;
        if form != Form::Time {
            read.read_date(&mut reader)?;
        }
        let has_time = match form {
            Form::Date => false,
            Form::Time => true,
            Form::DateTime => read.precision == Precision::Day && reader.take(b'T'),
        };
        // `2015T` is how a literal says that a year is meant as a date and time.
        if has_time && !(form == Form::DateTime && reader.bytes.is_empty()) {
            read.read_time(&mut reader)?;
            if form == Form::DateTime {
                read.offset = reader.offset().ok()?;
            }
        }
        reader.bytes.is_empty().then_some(read)
    }

    /// The first moment that can be written.
    const START: Self = Self {
        year: 1,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        millisecond: 0,
        precision: Precision::Year,
        offset: None,
    };

    fn read_date(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        self.year = reader.number(4)?;
        if self.year == 0 {
            return None;
        }
        if reader.take(b'-') {
            self.month = reader.number_within(1, 12)?;
            self.precision = Precision::Month;
            if reader.take(b'-') {
                self.day = reader.number_within(1, days_in_month(self.year, self.month))?;
                self.precision = Precision::Day;
            }
        }
        Some(())
    }

    fn read_time(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        self.hour = reader.number_within(0, 23)?;
        self.precision = Precision::Hour;
        if reader.take(b':') {
            self.minute = reader.number_within(0, 59)?;
            self.precision = Precision::Minute;
            if reader.take(b':') {
                // A leap second is taken for the second before: it cannot be counted.
                self.second = reader.number_within(0, 60)?.min(59);
                self.precision = Precision::Second;
                if reader.take(b'.') {
                    self.millisecond = reader.fraction()?;
                    self.precision = Precision::Millisecond;
                }
            }
        }
        Some(())
    }

    /// How much of it is known.
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    /// Whether a time of day is known, not only a date.
    pub fn has_time(&self) -> bool {
        self.precision >= Precision::Hour
    }

    /// The offset from Greenwich in minutes, if it is known.
    pub const fn offset_minutes(&self) -> Option<i16> {
        self.offset
    }

    /// Its date, with what is known of it.
    #[must_use]
    pub fn date(self) -> Self {
        Self {
            precision: self.precision.min(Precision::Day),
            hour: 0,
            minute: 0,
            second: 0,
            millisecond: 0,
            offset: None,
            ..self
        }
    }

    /// Its time of day, if it has one.
    pub fn time(self) -> Option<Self> {
        self.has_time().then_some(Self {
            year: 1,
            month: 1,
            day: 1,
            offset: None,
            ..self
        })
    }

    /// The first moment that it may mean, in milliseconds on its own clock.
    fn first(&self) -> i64 {
        let days = days_from_civil(i64::from(self.year), self.month, self.day);
        days * MILLIS_PER_DAY
            + i64::from(self.hour) * MILLIS_PER_HOUR
            + i64::from(self.minute) * MILLIS_PER_MINUTE
            + i64::from(self.second) * MILLIS_PER_SECOND
            + i64::from(self.millisecond)
    }

    /// The last moment that it may mean, in milliseconds on its own clock.
    fn last(&self) -> i64 {
        let first = self.first();
        let length = match self.precision {
            Precision::Year => i64::from(days_in_year(self.year)) * MILLIS_PER_DAY,
            Precision::Month => i64::from(days_in_month(self.year, self.month)) * MILLIS_PER_DAY,
            Precision::Day => MILLIS_PER_DAY,
            Precision::Hour => MILLIS_PER_HOUR,
            Precision::Minute => MILLIS_PER_MINUTE,
            // Seconds and milliseconds are one precision with a fraction.
            Precision::Second | Precision::Millisecond => 1,
        };
        first + length - 1
    }

    /// The moments that it may mean, in milliseconds at Greenwich.
    ///
    /// Where the offset is not known, every offset there is comes into question.
    fn interval(&self) -> (i64, i64) {
        let minutes = |offset: i16| i64::from(offset) * MILLIS_PER_MINUTE;
        match self.offset {
            Some(offset) => (
                self.first() - minutes(offset),
                self.last() - minutes(offset),
            ),
            None => (
                self.first() - minutes(OFFSET_MINUTES_MAX),
                self.last() - minutes(OFFSET_MINUTES_MIN),
            ),
        }
    }

    /// The moments that each of two may mean, on one clock.
    fn intervals(&self, other: &Self) -> ((i64, i64), (i64, i64)) {
        let is_known = self.offset.is_some() && other.offset.is_some();
        // A date is what the calendar on the wall said: it is compared with the date that the
        // other names, wherever that was written.
        let is_civil = self.offset.is_none() && other.offset.is_none()
            || !self.has_time()
            || !other.has_time();
        if is_known || !is_civil {
            return (self.interval(), other.interval());
        }
        ((self.first(), self.last()), (other.first(), other.last()))
    }

    /// Which comes first; `None` where the precision does not suffice to say.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        let (own, others) = self.intervals(other);
        if self.same_precision(other) && !self.is_uncertain(other) {
            return Some(own.0.cmp(&others.0));
        }
        if own.1 < others.0 {
            return Some(Ordering::Less);
        }
        (own.0 > others.1).then_some(Ordering::Greater)
    }

    /// Whether one of two is on a clock that is not known, the other on one that is.
    fn is_uncertain(&self, other: &Self) -> bool {
        self.has_time() && other.has_time() && self.offset.is_some() != other.offset.is_some()
    }

    /// Whether as much is known of both; a second is a second with a fraction of zero.
    pub(crate) fn same_precision(&self, other: &Self) -> bool {
        self.precision.min(Precision::Second) == other.precision.min(Precision::Second)
    }

    /// This moment and so many units; what is finer than the precision is left out.
    ///
    /// `None` if there is no such date, or the unit is finer than a time of day can tell.
    pub(crate) fn add(self, count: i64, unit: TimeUnit, is_time: bool) -> Option<Self> {
        match unit {
            TimeUnit::Months(_) if is_time => None,
            TimeUnit::Months(months) => self.add_months(count.checked_mul(months)?),
            TimeUnit::Millis(millis) => self.add_millis(count.checked_mul(millis)?, is_time),
        }
    }

    fn add_months(self, months: i64) -> Option<Self> {
        let step = if self.precision == Precision::Year {
            months / 12 * 12
        } else {
            months
        };
        let total = i64::from(self.year) * 12 + i64::from(self.month) - 1;
        let total = total.checked_add(step)?;
        let year = to_year(total.div_euclid(12))?;
        let month = u8::try_from(total.rem_euclid(12) + 1).ok()?;
        let day = self.day.min(days_in_month(year, month));
        Some(Self {
            year,
            month,
            day,
            ..self
        })
    }

    fn add_millis(self, millis: i64, is_time: bool) -> Option<Self> {
        // A year or month knows no days: as many are taken as a calendar of 30 and 365 has.
        let whole_days = millis / MILLIS_PER_DAY;
        match self.precision {
            Precision::Year => return self.add_months(whole_days / 365 * 12),
            Precision::Month => return self.add_months(whole_days / 30),
            _ => {}
        }
        let grain = match self.precision {
            Precision::Day => MILLIS_PER_DAY,
            Precision::Hour => MILLIS_PER_HOUR,
            Precision::Minute => MILLIS_PER_MINUTE,
            _ => 1,
        };
        let total = self.first().checked_add(millis / grain * grain)?;
        let moved = Self::from_millis(total, self.precision, self.offset, is_time)?;
        let gained_fraction = moved.precision == Precision::Second && moved.millisecond != 0;
        Some(Self {
            precision: if gained_fraction {
                Precision::Millisecond
            } else {
                moved.precision
            },
            ..moved
        })
    }

    /// The moment so many milliseconds after 1970 on its own clock; of a time, within its day.
    fn from_millis(
        total: i64,
        precision: Precision,
        offset: Option<i16>,
        is_time: bool,
    ) -> Option<Self> {
        let (days, within) = (
            total.div_euclid(MILLIS_PER_DAY),
            total.rem_euclid(MILLIS_PER_DAY),
        );
        let (year, month, day) = if is_time {
            (1, 1, 1)
        } else {
            civil_from_days(days)?
        };
        Some(Self {
            year,
            month,
            day,
            hour: u8::try_from(within / MILLIS_PER_HOUR).ok()?,
            minute: u8::try_from(within / MILLIS_PER_MINUTE % 60).ok()?,
            second: u8::try_from(within / MILLIS_PER_SECOND % 60).ok()?,
            millisecond: u16::try_from(within % MILLIS_PER_SECOND).ok()?,
            precision,
            offset,
        })
    }

    /// How many digits it has: <http://hl7.org/fhirpath/#precision-integer>.
    pub(crate) fn digits(&self, is_time: bool) -> i32 {
        let digits = digits_of(self.precision);
        if is_time { digits - 8 } else { digits }
    }

    /// The first or last moment that it may mean, with so many digits.
    ///
    /// Where the offset is not known it is the one that makes the moment earliest or latest.
    pub(crate) fn boundary(&self, is_low: bool, digits: i32, is_time: bool) -> Option<Self> {
        let digits = if is_time { digits + 8 } else { digits };
        let precision = PRECISIONS
            .iter()
            .find(|(_, count)| *count == digits)
            .map(|(precision, _)| *precision)?;
        let wanted_offset = if is_low {
            OFFSET_MINUTES_MAX
        } else {
            OFFSET_MINUTES_MIN
        };
        let millis = match (is_low, self.precision) {
            (true, _) => self.first(),
            (false, Precision::Second) => self.first() + MILLIS_PER_SECOND - 1,
            (false, _) => self.last(),
        };
        let offset = self.offset.or(Some(wanted_offset));
        let offset = offset.filter(|_| !is_time && precision >= Precision::Hour);
        let full = Self::from_millis(millis, precision, offset, is_time)?;
        Some(full.truncated(precision))
    }

    /// The same with nothing that is finer than the precision.
    fn truncated(self, precision: Precision) -> Self {
        let keep = |least: Precision| precision >= least;
        Self {
            month: if keep(Precision::Month) {
                self.month
            } else {
                1
            },
            day: if keep(Precision::Day) { self.day } else { 1 },
            hour: if keep(Precision::Hour) { self.hour } else { 0 },
            minute: if keep(Precision::Minute) {
                self.minute
            } else {
                0
            },
            second: if keep(Precision::Second) {
                self.second
            } else {
                0
            },
            millisecond: if keep(Precision::Millisecond) {
                self.millisecond
            } else {
                0
            },
            precision,
            ..self
        }
    }

    /// Writes the time of day.
    fn write_time(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}", self.hour)?;
        if self.precision >= Precision::Minute {
            write!(formatter, ":{:02}", self.minute)?;
        }
        if self.precision >= Precision::Second {
            write!(formatter, ":{:02}", self.second)?;
        }
        if self.precision >= Precision::Millisecond {
            write!(formatter, ".{:03}", self.millisecond)?;
        }
        Ok(())
    }

    /// The text of a time of day.
    pub(crate) fn time_text(&self) -> String {
        TimeText(self).to_string()
    }
}

/// How many digits each precision has, for a date and time.
const PRECISIONS: &[(Precision, i32)] = &[
    (Precision::Year, 4),
    (Precision::Month, 6),
    (Precision::Day, 8),
    (Precision::Hour, 10),
    (Precision::Minute, 12),
    (Precision::Second, 14),
    (Precision::Millisecond, 17),
];

fn digits_of(precision: Precision) -> i32 {
    PRECISIONS
        .iter()
        .find(|(candidate, _)| *candidate == precision)
        .map_or(0, |(_, digits)| *digits)
}

/// Shows a value as a time of day.
pub(crate) struct TimeText<'a>(pub(crate) &'a Temporal);

impl fmt::Display for TimeText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_time(formatter)
    }
}

/// Writes a date, or a date and time, as FHIR does. A time of day is shown by `TimeText`.
impl fmt::Display for Temporal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}", self.year)?;
        if self.precision >= Precision::Month {
            write!(formatter, "-{:02}", self.month)?;
        }
        if self.precision >= Precision::Day {
            write!(formatter, "-{:02}", self.day)?;
        }
        if !self.has_time() {
            return Ok(());
        }
        formatter.write_str("T")?;
        self.write_time(formatter)?;
        match self.offset {
            None => Ok(()),
            Some(0) => formatter.write_str("Z"),
            Some(offset) => {
                let sign = if offset < 0 { '-' } else { '+' };
                let minutes = offset.unsigned_abs();
                write!(formatter, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

/// Takes numbers of a fixed width from a text.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, wanted: u8) -> bool {
        match self.bytes.split_first() {
            Some((first, rest)) if *first == wanted => {
                self.bytes = rest;
                true
            }
            _ => false,
        }
    }

    fn number(&mut self, digits: usize) -> Option<u16> {
        let (number, rest) = self.bytes.split_at_checked(digits)?;
        self.bytes = rest;
        number.iter().try_fold(0_u16, |sum, digit| {
            let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
            Some(sum * 10 + digit)
        })
    }

    fn number_within(&mut self, min: u8, max: u8) -> Option<u8> {
        let number = u8::try_from(self.number(2)?).ok()?;
        (min..=max).contains(&number).then_some(number)
    }

    /// The digits after the seconds as milliseconds; more than three are cut.
    fn fraction(&mut self) -> Option<u16> {
        let len = self
            .bytes
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if len == 0 {
            return None;
        }
        let (digits, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        let padded = digits.iter().copied().chain(std::iter::repeat(b'0'));
        Some(
            padded
                .take(3)
                .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')),
        )
    }

    /// `Z`, `+10:00`, or nothing; an error if it is none of these.
    fn offset(&mut self) -> Result<Option<i16>, ()> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        if self.take(b'Z') {
            return Ok(Some(0));
        }
        self.signed_offset().map(Some).ok_or(())
    }

    /// `+10:00`, `-05:00`
    fn signed_offset(&mut self) -> Option<i16> {
        let is_west = self.take(b'-');
        if !is_west && !self.take(b'+') {
            return None;
        }
        let hours = i16::from(self.number_within(0, 14)?);
        if !self.take(b':') {
            return None;
        }
        let minutes = hours * 60 + i16::from(self.number_within(0, 59)?);
        Some(if is_west { -minutes } else { minutes })
    }
}

fn to_year(year: i64) -> Option<u16> {
    (1..=YEAR_MAX)
        .contains(&year)
        .then(|| u16::try_from(year).ok())
        .flatten()
}

const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

const fn days_in_year(year: u16) -> u16 {
    if is_leap(year) { 366 } else { 365 }
}

const fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date of the Gregorian calendar, by counting years that start in March:
/// <https://howardhinnant.github.io/date_algorithms.html>.
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The reverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> Option<(u16, u8, u8)> {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some((
        to_year(year)?,
        u8::try_from(month).ok()?,
        u8::try_from(day).ok()?,
    ))
}
