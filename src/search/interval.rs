//! The interval that a date or a number stands for by its precision, in the form that is indexed.
//!
//! `2013-01` is the whole of January 2013, `5.4` is everything that rounds to it:
//! <https://hl7.org/fhir/R4/search.html#date>, <https://hl7.org/fhir/R4/search.html#number>. How
//! intervals are compared is left to who asks.

use fhir_model::primitive::date::{DateTime, Precision};
use fhir_model::primitive::decimal;

/// The offset of dates and times that say none; the same for both sides of a comparison.
const DEFAULT_OFFSET_MINUTES: i16 = 0;

/// `[low, high)` in microseconds since 1970-01-01T00:00:00Z of a date, dateTime or instant, to any
/// precision from the year on; UTC where no offset is given.
///
/// Seconds may be missing, as they may in a query.
pub fn date(text: &str) -> Option<(i64, i64)> {
    let date = DateTime::parse(text)?;
    let is_complete = date.precision != Precision::Hour;
    is_complete.then(|| date.interval(DEFAULT_OFFSET_MINUTES))
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
    let exact = decimal::Decimal::parse(text)?;
    let (low, high) = exact.implicit_range();
    let interval = Decimal {
        value: exact.to_f64(),
        low: low.to_f64(),
        high: high.to_f64(),
    };
    (interval.low.is_finite() && interval.high.is_finite()).then_some(interval)
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
            "2013-01-14T10:00 01:00",
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
            "12345678901234567890123456789012345678",
        ] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
