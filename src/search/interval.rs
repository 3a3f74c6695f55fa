//! The interval that a date or a number stands for by its precision.
//!
//! `2013-01` is the whole of January 2013, `5.4` is everything that rounds to it:
//! <https://hl7.org/fhir/R4/search.html#date>, <https://hl7.org/fhir/R4/search.html#number>. How
//! intervals are compared is left to who asks.

use chrono::{Days, Months, NaiveDate, TimeDelta};

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;

/// Digits of a decimal that are taken into account; FHIR asks for 18.
const DECIMAL_DIGITS_MAX: usize = 34;

/// `[low, high)` in microseconds since 1970-01-01T00:00:00Z of a date, dateTime or instant in
/// FHIR's form, to any precision from the year on; UTC where no offset is given.
///
/// Seconds may be missing, as they may in a query, and so may the `+` of an offset, which arrives
/// as a space where a client did not encode it.
pub fn date(text: &str) -> Option<(i64, i64)> {
    let Some((day, time)) = text.split_once('T') else {
        return days(text);
    };
    let (midnight, _) = days(day).filter(|_| day.len() == "2013-01-14".len())?;
    let (clock, offset) = split_offset(time)?;
    let (low, high) = within_day(clock)?;
    Some((midnight + low - offset, midnight + high - offset))
}

/// The interval of a year, a month or a day in UTC.
fn days(text: &str) -> Option<(i64, i64)> {
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map(|part| digits(part, 2));
    let day = parts.next().map(|part| digits(part, 2));
    if parts.next().is_some() || year == 0 {
        return None;
    }
    let (month, day, precision) = match (month, day) {
        (None, _) => (1, 1, Precision::Months(12)),
        (Some(month), None) => (month?, 1, Precision::Months(1)),
        (Some(month), Some(day)) => (month?, day?, Precision::Day),
    };
    let first = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let after = match precision {
        Precision::Months(months) => first.checked_add_months(Months::new(months))?,
        Precision::Day => first.checked_add_days(Days::new(1))?,
    };
    Some((midnight(first), midnight(after)))
}

enum Precision {
    Months(u32),
    Day,
}

fn midnight(day: NaiveDate) -> i64 {
    (day - NaiveDate::default()).num_seconds() * MICROSECONDS_PER_SECOND
}

/// Exactly so many digits, as a number.
fn digits(text: &str, count: usize) -> Option<u32> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The time of day, and the offset from UTC in microseconds.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(at) = text.rfind(['+', '-', ' ']) else {
        return Some((text, 0));
    };
    let (clock, offset) = text.split_at_checked(at)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let size = TimeDelta::minutes(i64::from(hours * 60 + minutes)).num_microseconds()?;
    Some((clock, if offset.starts_with('-') { -size } else { size }))
}

/// The interval of a time of day, from midnight.
fn within_day(text: &str) -> Option<(i64, i64)> {
    let mut parts = text.split(':');
    let hour = i64::from(digits(parts.next()?, 2).filter(|hour| *hour < 24)?);
    let minute = i64::from(digits(parts.next()?, 2).filter(|minute| *minute < 60)?);
    let low = (hour * 60 + minute) * 60 * MICROSECONDS_PER_SECOND;
    let Some(seconds) = parts.next() else {
        return Some((low, low + 60 * MICROSECONDS_PER_SECOND));
    };
    if parts.next().is_some() {
        return None;
    }
    let (whole, fraction) = match seconds.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (seconds, None),
    };
    // Second 60 is a leap second: the first second of the next minute to every clock here.
    let whole = i64::from(digits(whole, 2).filter(|second| *second <= 60)?);
    let low = low + whole * MICROSECONDS_PER_SECOND;
    let Some(fraction) = fraction else {
        return Some((low, low + MICROSECONDS_PER_SECOND));
    };
    let (fraction, width) = microseconds(fraction)?;
    Some((low + fraction, low + fraction + width))
}

/// A fraction of a second in microseconds, and how much its last digit is worth. Digits beyond
/// microseconds are cut off.
fn microseconds(fraction: &str) -> Option<(i64, i64)> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept = fraction.get(..fraction.len().min(6))?;
    let missing = u32::try_from(6 - kept.len()).ok()?;
    let width = 10_i64.pow(missing);
    Some((kept.parse::<i64>().ok()? * width, width))
}

/// A decimal: what it says, and the interval of all that rounds to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decimal {
    /// The number itself.
    pub value: f64,
    /// Half a unit of the last digit below.
    pub low: f64,
    /// Half a unit of the last digit above.
    pub high: f64,
}

/// Reads a decimal as JSON and FHIR write it: `5`, `-5.40`, `1.2e3`.
pub fn decimal(text: &str) -> Option<Decimal> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let count = unsigned.len() + fraction.len();
    let is_complete = !unsigned.is_empty() && (!fraction.is_empty() || !digits.contains('.'));
    if !is_complete || !is_plain(unsigned) || !is_plain(fraction) || count > DECIMAL_DIGITS_MAX {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let unit = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    // By way of text each end is the nearest float, so that equal decimals make equal floats.
    let end = |tenths: i128| {
        let end = format!("{}e{}", mantissa * 10 + tenths, unit.checked_sub(1)?);
        end.parse::<f64>().ok().filter(|end| end.is_finite())
    };
    Some(Decimal {
        value: end(0)?,
        low: end(-5)?,
        high: end(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[track_caller]
    fn check_date(text: &str, low: &str, high: &str) {
        let instant = |text: &str| DateTime::parse_from_rfc3339(text).unwrap();
        assert_eq!(
            date(text),
            Some((
                instant(low).timestamp_micros(),
                instant(high).timestamp_micros()
            )),
            "{text}"
        );
    }

    #[test]
    fn a_date_is_an_interval_of_its_precision() {
        check_date("2013", "2013-01-01T00:00:00Z", "2014-01-01T00:00:00Z");
        check_date("2012-02", "2012-02-01T00:00:00Z", "2012-03-01T00:00:00Z");
        check_date("2012-12", "2012-12-01T00:00:00Z", "2013-01-01T00:00:00Z");
        check_date("2013-01-14", "2013-01-14T00:00:00Z", "2013-01-15T00:00:00Z");
        check_date("1965-08-04", "1965-08-04T00:00:00Z", "1965-08-05T00:00:00Z");
        check_date(
            "2013-01-14T10:00",
            "2013-01-14T10:00:00Z",
            "2013-01-14T10:01:00Z",
        );
        check_date(
            "2013-01-14T10:00:05Z",
            "2013-01-14T10:00:05Z",
            "2013-01-14T10:00:06Z",
        );
        check_date(
            "2013-01-14T23:59:60Z",
            "2013-01-15T00:00:00Z",
            "2013-01-15T00:00:01Z",
        );
        check_date(
            "2013-01-14T10:00:05.25+01:00",
            "2013-01-14T09:00:05.25Z",
            "2013-01-14T09:00:05.26Z",
        );
        check_date(
            "2013-01-14T10:00:05.1234567-05:30",
            "2013-01-14T15:30:05.123456Z",
            "2013-01-14T15:30:05.123457Z",
        );
        check_date(
            "2013-01-14T10:00 01:00",
            "2013-01-14T09:00:00Z",
            "2013-01-14T09:01:00Z",
        );
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "13",
            "0000",
            "2013-1",
            "2013-13",
            "2013-02-29",
            "2013-01-14-01",
            "20130114",
            "2013-01-14T",
            "2013-01-14T10",
            "2013-01-14T25:00",
            "2013-01-14T10:60",
            "2013T10:00",
            "2013-01T10:00",
            "2013-01-14T10:00:61",
            "2013-01-14T10:00:00.",
            "2013-01-14T10:00:00+1",
            "2013-01-14T10:00:00+15:00",
            "2013-01-14t10:00:00",
            "+013-01-14",
            "2013-01-14Z",
            "é013",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[track_caller]
    fn check_decimal(text: &str, value: f64, low: f64, high: f64) {
        assert_eq!(decimal(text), Some(Decimal { value, low, high }), "{text}");
    }

    #[test]
    fn a_decimal_is_an_interval_of_its_digits() {
        // The examples of search.html#number.
        check_decimal("100", 100.0, 99.5, 100.5);
        check_decimal("100.00", 100.0, 99.995, 100.005);
        // There [95, 105) is given for `1e2`, a figure more than the one that it says it has.
        check_decimal("1.0e2", 100.0, 95.0, 105.0);
        check_decimal("1e2", 100.0, 50.0, 150.0);
        check_decimal("5.4", 5.4, 5.35, 5.45);
        check_decimal("5.40e-3", 0.0054, 0.005_395, 0.005_405);
        check_decimal("-2", -2.0, -2.5, -1.5);
        check_decimal("0", 0.0, -0.5, 0.5);
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "1e",
            "1e1.5",
            "0x1",
            "NaN",
            "inf",
            "1e999",
            "1e2147483648",
            "1e-2147483648",
            "1 ",
            "--1",
            "+-1",
            "12345678901234567890123456789012345",
        ] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
