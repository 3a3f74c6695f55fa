//! Quantities: a decimal number with a unit, <http://hl7.org/fhirpath/N1/#quantity>.

use std::borrow::Cow;
use std::fmt;

use rust_decimal::Decimal;

/// A number with a unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity<'a> {
    /// The number.
    pub value: Decimal,
    /// The unit.
    pub unit: Unit<'a>,
}

/// A unit: a word of the calendar (`days`) or a UCUM code (`mg`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit<'a> {
    text: Cow<'a, str>,
    is_calendar: bool,
}

/// The words of the calendar, and the codes that stand for them in arithmetic. A year and a month
/// have no UCUM code: those of UCUM have a fixed length.
const CALENDAR: &[(&str, &str, &str)] = &[
    ("year", "years", "year"),
    ("month", "months", "month"),
    ("week", "weeks", "wk"),
    ("day", "days", "d"),
    ("hour", "hours", "h"),
    ("minute", "minutes", "min"),
    ("second", "seconds", "s"),
    ("millisecond", "milliseconds", "ms"),
];

impl<'a> Unit<'a> {
    /// The unit of plain numbers.
    pub const ONE: Unit<'static> = Unit {
        text: Cow::Borrowed("1"),
        is_calendar: false,
    };

    /// The unit with this UCUM code.
    pub fn ucum(code: impl Into<Cow<'a, str>>) -> Self {
        Self {
            text: code.into(),
            is_calendar: false,
        }
    }

    /// The unit that a word of the calendar means.
    pub fn calendar(word: &str) -> Option<Unit<'static>> {
        let (one, many, _) = CALENDAR
            .iter()
            .find(|(one, many, _)| *one == word || *many == word)?;
        Some(Unit {
            text: Cow::Borrowed(if *one == word { one } else { many }),
            is_calendar: true,
        })
    }

    /// Whether a word is one of the calendar.
    pub(crate) fn is_calendar_word(word: &str) -> bool {
        CALENDAR
            .iter()
            .any(|(one, many, _)| *one == word || *many == word)
    }

    /// Whether it is a word of the calendar.
    pub const fn is_calendar(&self) -> bool {
        self.is_calendar
    }

    /// The word or code.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The code to compare and compute with: the same for `days` and `'d'`.
    pub fn code(&self) -> &str {
        if !self.is_calendar {
            return &self.text;
        }
        CALENDAR
            .iter()
            .find(|(one, many, _)| *one == self.text || *many == self.text)
            .map_or(&self.text, |(_, _, code)| code)
    }
}

impl Quantity<'_> {
    /// `1 day`, `1 'mg'`, `1`: the texts that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Quantity<'static>> {
        let text = text.trim();
        let end = text
            .find(|next: char| !(next.is_ascii_digit() || matches!(next, '.' | '+' | '-')))
            .unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(end)?;
        let value = super::parse_decimal(number)?;
        let has_space = unit.starts_with(char::is_whitespace);
        let unit = unit.trim_start();
        let unit = match unit.strip_prefix('\'') {
            _ if unit.is_empty() => Unit::ONE,
            Some(quoted) => {
                let code = quoted.strip_suffix('\'')?;
                if code.is_empty() || code.contains('\'') {
                    return None;
                }
                Unit::ucum(code.to_owned())
            }
            None if has_space => Unit::calendar(unit)?,
            None => return None,
        };
        Some(Quantity { value, unit })
    }
}

impl fmt::Display for Quantity<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unit.is_calendar {
            write!(formatter, "{} {}", self.value, self.unit.text)
        } else {
            write!(formatter, "{} '{}'", self.value, self.unit.text)
        }
    }
}
