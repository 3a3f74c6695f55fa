//! What it takes to compare and compute with quantities of different units.

use std::borrow::Cow;
use std::cmp::Ordering;

use rust_decimal::Decimal;

use crate::value::{Quantity, Unit};

/// Units of time with a fixed length, in milliseconds.
const DURATIONS: &[(&str, i64)] = &[
    ("wk", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("min", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The value in another unit, if both measure the same.
fn convert(value: Decimal, from: &str, to: &str) -> Option<Decimal> {
    if from == to {
        return Some(value);
    }
    let factor = |code: &str| {
        let row = DURATIONS.iter().find(|(spelling, _)| *spelling == code)?;
        Some(Decimal::from(row.1))
    };
    value.checked_mul(factor(from)?)?.checked_div(factor(to)?)
}

/// Which quantity is greater; `None` if their units do not measure the same.
pub(crate) fn compare(left: &Quantity<'_>, right: &Quantity<'_>) -> Option<Ordering> {
    let value = convert(left.value, left.unit.code(), right.unit.code())?;
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
        (left, right) => Unit::ucum(format!("{left}.{right}")),
    };
    Some(Quantity { value, unit })
}

/// The quotient.
pub(crate) fn divide<'a>(left: &Quantity<'a>, right: &Quantity<'a>) -> Option<Quantity<'a>> {
    let value = left.value.checked_div(right.value)?;
    let unit = match (left.unit.code(), right.unit.code()) {
        (_, "1") => left.unit.clone(),
        (left, right) if left == right => Unit::ONE,
        (left, right) => Unit::ucum(format!("{left}/{right}")),
    };
    Some(Quantity { value, unit })
}

/// A number as a quantity.
pub(crate) fn plain(value: Decimal) -> Quantity<'static> {
    let unit = Unit::ONE;
    Quantity { value, unit }
}

/// `~`: a year and a month of the calendar are taken for those of UCUM.
pub(crate) fn equivalent(left: &Quantity<'_>, right: &Quantity<'_>) -> bool {
    let ucum = |code: &str| match code {
        "year" => "a".to_owned(),
        "month" => "mo".to_owned(),
        other => other.to_owned(),
    };
    convert(
        left.value,
        &ucum(left.unit.code()),
        &ucum(right.unit.code()),
    )
    .is_some_and(|value| value == right.value)
}

/// The quantity in another unit, given as a UCUM code or a word of the calendar.
pub(crate) fn in_unit<'a>(quantity: &Quantity<'_>, unit: Cow<'a, str>) -> Option<Quantity<'a>> {
    let unit = Unit::calendar(&unit).unwrap_or(Unit::ucum(unit));
    let value = convert(quantity.value, quantity.unit.code(), unit.code())?;
    Some(Quantity { value, unit })
}
