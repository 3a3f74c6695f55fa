//! Dates, times and precision: `lowBoundary()`, `highBoundary()`, `precision()`, the parts of dates
//! and the time between two, as later versions of the specification define them:
//! <http://hl7.org/fhirpath/#boundary-functions>.

use fhir_model::definition::SystemKind;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::evaluate::{Failure, to_integer};
use crate::function::{Function, Invocation, Output};
use crate::value::{Item, Period, Precision, Quantity, Temporal};

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
    Function::single("yearOf", (0, 0), INTEGER, |at| part(at, Precision::Year)),
    Function::single("monthOf", (0, 0), INTEGER, |at| part(at, Precision::Month)),
    Function::single("dayOf", (0, 0), INTEGER, |at| part(at, Precision::Day)),
    Function::single("hourOf", (0, 0), INTEGER, |at| part(at, Precision::Hour)),
    Function::single("minuteOf", (0, 0), INTEGER, |at| {
        part(at, Precision::Minute)
    }),
    Function::single("secondOf", (0, 0), INTEGER, |at| {
        part(at, Precision::Second)
    }),
    Function::single("millisecondOf", (0, 0), INTEGER, |at| {
        part(at, Precision::Millisecond)
    }),
    Function::single(
        "timezoneOffsetOf",
        (0, 0),
        Output::System(SystemKind::Decimal),
        offset,
    ),
    Function::single("dateOf", (0, 0), Output::System(SystemKind::Date), date),
    Function::single("timeOf", (0, 0), Output::System(SystemKind::Time), time),
    Function::single("duration", (2, 2), INTEGER, |at| {
        between(at, Temporal::whole_periods)
    })
    .on_value(),
    Function::single("difference", (2, 2), INTEGER, |at| {
        between(at, Temporal::boundaries_crossed)
    })
    .on_value(),
];

const INTEGER: Output = Output::System(SystemKind::Integer);

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

/// A part of a date, date and time, or time; nothing if it does not have that part.
fn part<'a>(
    invocation: &Invocation<'_, 'a>,
    precision: Precision,
) -> Result<Option<Item<'a>>, Failure> {
    let is_of_date = precision <= Precision::Day;
    let value = match system_value(invocation)? {
        Some(Item::Date(date)) if is_of_date => date.part(precision),
        Some(Item::DateTime(moment)) => moment.part(precision),
        Some(Item::Time(time)) if !is_of_date => time.part(precision),
        _ => None,
    };
    Ok(value.map(|value| Item::Integer(value.into())))
}

/// The only item of the input as a value; what is none has no parts, and is no error.
fn system_value<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let (definitions, known) = (invocation.definitions(), invocation.evaluator.known);
    let item = invocation.input_single()?;
    Ok(item.and_then(|item| item.system(definitions, known)))
}

/// How many hours the clock is ahead of Greenwich.
fn offset<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let minutes = match system_value(invocation)? {
        Some(Item::DateTime(moment)) => moment.offset_minutes(),
        _ => None,
    };
    let hours = minutes.map(|minutes| Decimal::from(minutes) / Decimal::from(60));
    Ok(hours.map(|mut hours| {
        if hours.scale() == 0 {
            hours.rescale(1);
        }
        Item::Decimal(hours)
    }))
}

fn date<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    Ok(match system_value(invocation)? {
        Some(Item::Date(moment) | Item::DateTime(moment)) => Some(Item::Date(moment.date())),
        _ => None,
    })
}

fn time<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    Ok(match system_value(invocation)? {
        Some(Item::DateTime(moment)) => moment.time().map(Item::Time),
        _ => None,
    })
}

/// A count of units of time from the input to the first argument.
fn between<'a>(
    invocation: &Invocation<'_, 'a>,
    count: fn(&Temporal, &Temporal, Period) -> Option<i64>,
) -> Result<Option<Item<'a>>, Failure> {
    let (Some(from), Some(to), Some(unit)) = (
        invocation.input_value()?,
        invocation.argument_value(0)?,
        invocation.argument_text(1)?,
    ) else {
        return Ok(None);
    };
    let (from, to, units) = match (&from, &to) {
        (Item::Time(from), Item::Time(to)) => (from, to, Period::OF_TIME),
        (Item::Date(from), Item::Date(to)) => (from, to, Period::OF_DATE),
        (Item::Date(from) | Item::DateTime(from), Item::Date(to) | Item::DateTime(to)) => {
            (from, to, Period::ALL)
        }
        (_, other) => return Err(invocation.wrong_type(other)),
    };
    let Some((_, unit)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(invocation.wrong_argument("this is no unit of time of the input"));
    };
    let count = count(from, to, *unit);
    Ok(count.and_then(|count| i32::try_from(count).ok().map(Item::Integer)))
}
