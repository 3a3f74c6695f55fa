//! What it takes to compare and compute with quantities of different units.
//!
//! UCUM (<https://ucum.org/ucum>) is left to a library, which reads units and knows their factors
//! exactly. The calendar's year and month are no units of it: <http://hl7.org/fhirpath/N1/#quantity>.

use std::borrow::Cow;
use std::cmp::Ordering;

use octofhir_ucum::{EvalResult, Number};
use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};

use crate::value::{Quantity, Unit};

/// Months in a year of the calendar.
const YEAR_MONTHS: i64 = 12;

/// How many digits of a value on a scale that is not linear (°F) are certain.
const CERTAIN_DIGITS: u32 = 12;

/// A UCUM unit's factor and dimension.
fn unit(code: &str) -> Option<EvalResult> {
    let expression = octofhir_ucum::parse_expression(code).ok()?;
    octofhir_ucum::evaluate(&expression).ok()
}

/// The value in base units of a unit with a factor.
fn in_base(value: Decimal, unit: &EvalResult) -> Option<Number> {
    let mantissa = Number::parse(&value.to_string())?;
    mantissa.checked_mul(unit.factor)
}

/// A number of the library as a decimal, if it fits.
fn decimal(number: Number) -> Option<Decimal> {
    let (integer, exponent) = number.to_integer_and_exponent();
    if let Ok(scale) = u32::try_from(exponent.checked_neg()?) {
        return Decimal::try_from_i128_with_scale(integer, scale).ok();
    }
    let power = 10_i128.checked_pow(u32::try_from(exponent).ok()?)?;
    Decimal::try_from_i128_with_scale(integer.checked_mul(power)?, 0).ok()
}

/// How many months a unit of the calendar has that is not counted in days.
fn months(code: &str) -> Option<i64> {
    match code {
        "year" => Some(YEAR_MONTHS),
        "month" => Some(1),
        _ => None,
    }
}

/// The value in another unit, if both measure the same.
fn convert(value: Decimal, from: &str, to: &str) -> Option<Decimal> {
    if from == to {
        return Some(value);
    }
    if let (Some(from), Some(to)) = (months(from), months(to)) {
        return value.checked_mul(from.into())?.checked_div(to.into());
    }
    let (source, target) = (unit(from)?, unit(to)?);
    if !source.is_commensurable(&target) {
        return None;
    }
    if source.special.is_some() || target.special.is_some() {
        let converted = octofhir_ucum::convert(value.to_f64()?, from, to).ok()?;
        return Decimal::from_f64(converted)?.round_sf(CERTAIN_DIGITS);
    }
    decimal(in_base(value, &source)?.checked_div(target.factor)?)
}

/// Which quantity is greater; `None` if their units do not measure the same.
pub(crate) fn compare(left: &Quantity<'_>, right: &Quantity<'_>) -> Option<Ordering> {
    compare_in(left, left.unit.code(), right, right.unit.code())
}

/// Whether two quantities measure the same.
pub(crate) fn are_comparable(left: &Quantity<'_>, right: &Quantity<'_>) -> bool {
    let (from, to) = (left.unit.code(), right.unit.code());
    let is_calendar = (months(from).is_some(), months(to).is_some());
    match is_calendar {
        (false, false) => unit(from)
            .zip(unit(to))
            .map_or(from == to, |(from, to)| from.is_commensurable(&to)),
        (from, to) => from == to,
    }
}

/// [`compare`] with codes that stand for the units.
fn compare_in(
    left: &Quantity<'_>,
    left_code: &str,
    right: &Quantity<'_>,
    right_code: &str,
) -> Option<Ordering> {
    if left_code == right_code {
        return Some(left.value.cmp(&right.value));
    }
    if months(left_code).is_none()
        && let (Some(first), Some(second)) = (unit(left_code), unit(right_code))
        && first.is_commensurable(&second)
        && first.special.is_none()
        && second.special.is_none()
    {
        // Both in base units, so that no quotient is rounded.
        let difference =
            in_base(left.value, &first)?.checked_sub(in_base(right.value, &second)?)?;
        return Some(if difference.is_zero() {
            Ordering::Equal
        } else if difference.is_negative() {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    }
    let value = convert(left.value, left_code, right_code)?;
    Some(value.cmp(&right.value))
}

/// The sum in the unit of the first.
pub(crate) fn add<'a>(
    left: &Quantity<'a>,
    right: &Quantity<'_>,
    is_negative: bool,
) -> Option<Quantity<'a>> {
    let other = convert(right.value, right.unit.code(), left.unit.code())?;
    let value = if is_negative {
        left.value.checked_sub(other)?
    } else {
        left.value.checked_add(other)?
    };
    let unit = left.unit.clone();
    Some(Quantity { value, unit })
}

/// The product.
pub(crate) fn multiply<'a>(left: &Quantity<'a>, right: &Quantity<'a>) -> Option<Quantity<'a>> {
    let value = left.value.checked_mul(right.value)?;
    let unit = match (left.unit.code(), right.unit.code()) {
        (_, "1") => left.unit.clone(),
        ("1", _) => right.unit.clone(),
        (left, right) => Unit::ucum(format!("{}.{}", factor(left), factor(right))),
    };
    Some(Quantity { value, unit })
}

/// The quotient.
pub(crate) fn divide<'a>(left: &Quantity<'a>, right: &Quantity<'a>) -> Option<Quantity<'a>> {
    let value = left.value.checked_div(right.value)?.normalize();
    let unit = match (left.unit.code(), right.unit.code()) {
        (_, "1") => left.unit.clone(),
        (left, right) if left == right => Unit::ONE,
        (left, right) => Unit::ucum(format!("{}/{}", factor(left), factor(right))),
    };
    Some(Quantity { value, unit })
}

/// A unit as a factor of a term, in parentheses if it is a term itself.
fn factor(code: &str) -> Cow<'_, str> {
    if code.contains(['/', '.']) {
        Cow::Owned(format!("({code})"))
    } else {
        Cow::Borrowed(code)
    }
}

/// A number as a quantity.
pub(crate) fn plain(value: Decimal) -> Quantity<'static> {
    let unit = Unit::ONE;
    Quantity { value, unit }
}

/// `=`: a year or month of the calendar is as long as the calendar says, one of UCUM always the
/// same; whether they are equal cannot be said.
pub(crate) fn equal(left: &Quantity<'_>, right: &Quantity<'_>) -> Option<bool> {
    let (from, to) = (left.unit.code(), right.unit.code());
    if months(from).is_some() != months(to).is_some() {
        return None;
    }
    compare(left, right).map(Ordering::is_eq)
}

/// `~`: a year and a month of the calendar are taken for those of UCUM.
pub(crate) fn equivalent(left: &Quantity<'_>, right: &Quantity<'_>) -> bool {
    let ucum = |code| match code {
        "year" => "a",
        "month" => "mo",
        other => other,
    };
    let (from, to) = (ucum(left.unit.code()), ucum(right.unit.code()));
    compare_in(left, from, right, to).is_some_and(Ordering::is_eq)
}

/// The quantity in another unit, given as a UCUM code or a word of the calendar.
pub(crate) fn in_unit<'a>(quantity: &Quantity<'_>, unit: Cow<'a, str>) -> Option<Quantity<'a>> {
    let unit = Unit::calendar(&unit).unwrap_or(Unit::ucum(unit));
    let value = convert(quantity.value, quantity.unit.code(), unit.code())?;
    Some(Quantity { value, unit })
}
