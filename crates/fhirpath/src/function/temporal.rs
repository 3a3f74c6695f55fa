//! Dates, times and precision: `lowBoundary()`, `highBoundary()`, `precision()` and the parts of
//! dates, as later versions of the specification define them:
//! <http://hl7.org/fhirpath/#boundary-functions>.

use fhir_model::definition::SystemKind;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::evaluate::{Failure, to_integer};
use crate::function::{Function, Invocation, Output};
use crate::value::{Item, Quantity};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::single("lowBoundary", (0, 1), Output::Unknown, |at| {
        boundary(at, true)
    })
    .on_value(),
    Function::single("highBoundary", (0, 1), Output::Unknown, |at| {
        boundary(at, false)
    })
    .on_value(),
    Function::single(
        "precision",
        (0, 0),
        Output::System(SystemKind::Integer),
        precision,
    )
    .on_value(),
];

/// Digits after the point that a boundary of a decimal has by default.
const DECIMAL_DIGITS: i32 = 8;
/// The most digits that a decimal can have.
const DECIMAL_DIGITS_MAX: u32 = 28;
/// Digits of a boundary by default: of a date, a date and time, a time.
const DATE_DIGITS: i32 = 8;
const DATE_TIME_DIGITS: i32 = 17;
const TIME_DIGITS: i32 = 9;

/// The least or greatest value that the input may mean, with so many digits.
fn boundary<'a>(
    invocation: &Invocation<'_, 'a>,
    is_low: bool,
) -> Result<Option<Item<'a>>, Failure> {
    let digits = match invocation.argument(0) {
        None => None,
        Some(_) => match invocation.argument_integer(0)? {
            None => return Ok(None),
            digits => digits,
        },
    };
    let Some(value) = invocation.input_value()? else {
        return Ok(None);
    };
    Ok(match value {
        Item::Integer(number) => decimal(number.into(), is_low, digits).map(Item::Decimal),
        Item::Decimal(number) => decimal(number, is_low, digits).map(Item::Decimal),
        Item::Quantity(quantity) => decimal(quantity.value, is_low, digits).map(|value| {
            let unit = quantity.unit.clone();
            Item::Quantity(Box::new(Quantity { value, unit }))
        }),
        Item::Date(date) => date
            .boundary(is_low, digits.unwrap_or(DATE_DIGITS), false)
            .map(Item::Date),
        Item::DateTime(moment) => moment
            .boundary(is_low, digits.unwrap_or(DATE_TIME_DIGITS), false)
            .map(Item::DateTime),
        Item::Time(time) => time
            .boundary(is_low, digits.unwrap_or(TIME_DIGITS), true)
            .map(Item::Time),
        other => return Err(invocation.wrong_type(&other)),
    })
}

/// The number minus or plus half a unit of its last digit, with so many digits after the point.
fn decimal(number: Decimal, is_low: bool, digits: Option<i32>) -> Option<Decimal> {
    let digits = u32::try_from(digits.unwrap_or(DECIMAL_DIGITS)).ok()?;
    if digits > DECIMAL_DIGITS_MAX {
        return None;
    }
    let half = Decimal::try_from_i128_with_scale(5, number.scale() + 1).ok()?;
    let edge = if is_low {
        number.checked_sub(half)?
    } else {
        number.checked_add(half)?
    };
    let strategy = if is_low {
        RoundingStrategy::ToNegativeInfinity
    } else {
        RoundingStrategy::ToPositiveInfinity
    };
    let mut rounded = edge.round_dp_with_strategy(digits, strategy);
    rounded.rescale(digits);
    (rounded.scale() == digits).then_some(rounded)
}

/// How many digits the input has: after the point, or of a date.
fn precision<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let Some(value) = invocation.input_value()? else {
        return Ok(None);
    };
    let digits = match value {
        Item::Integer(_) => 0,
        Item::Decimal(number) => to_integer(usize::try_from(number.scale()).unwrap_or_default()),
        Item::Date(moment) | Item::DateTime(moment) => moment.digits(false),
        Item::Time(time) => time.digits(true),
        other => return Err(invocation.wrong_type(&other)),
    };
    Ok(Some(Item::Integer(digits)))
}
