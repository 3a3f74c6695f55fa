//! Conversions: <http://hl7.org/fhirpath/N1/#conversion>.
//!
//! For each type there is one function from a value to a value, `None` where there is none; both
//! `toX()` and `convertsToX()` are made of it.

use std::borrow::Cow;

use fhir_model::definition::SystemKind;

use crate::evaluate::{Evaluator, Failure};
use crate::function::{Function, Invocation, Output};
use crate::value::{Item, Quantity, Temporal, parse_decimal, units};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::single(
        "toBoolean",
        (0, 0),
        Output::System(SystemKind::Boolean),
        |at| convert(at, to_boolean),
    ),
    Function::single(
        "toInteger",
        (0, 0),
        Output::System(SystemKind::Integer),
        |at| convert(at, to_integer),
    ),
    Function::single(
        "toDecimal",
        (0, 0),
        Output::System(SystemKind::Decimal),
        |at| convert(at, to_decimal),
    ),
    Function::single(
        "toString",
        (0, 0),
        Output::System(SystemKind::String),
        |at| convert(at, to_string),
    ),
    Function::single("toDate", (0, 0), Output::System(SystemKind::Date), |at| {
        convert(at, to_date)
    }),
    Function::single(
        "toDateTime",
        (0, 0),
        Output::System(SystemKind::DateTime),
        |at| convert(at, to_date_time),
    ),
    Function::single("toTime", (0, 0), Output::System(SystemKind::Time), |at| {
        convert(at, to_time)
    }),
    Function::single(
        "toQuantity",
        (0, 1),
        Output::System(SystemKind::Quantity),
        convert_quantity,
    ),
    Function::truth("convertsToBoolean", (0, 0), |at| converts(at, to_boolean)),
    Function::truth("convertsToInteger", (0, 0), |at| converts(at, to_integer)),
    Function::truth("convertsToDecimal", (0, 0), |at| converts(at, to_decimal)),
    Function::truth("convertsToString", (0, 0), |at| converts(at, to_string)),
    Function::truth("convertsToDate", (0, 0), |at| converts(at, to_date)),
    Function::truth("convertsToDateTime", (0, 0), |at| {
        converts(at, to_date_time)
    }),
    Function::truth("convertsToTime", (0, 0), |at| converts(at, to_time)),
    Function::truth("convertsToQuantity", (0, 1), |at| {
        if at.input_single()?.is_none() {
            return Ok(None);
        }
        convert_quantity(at).map(|quantity| Some(quantity.is_some()))
    }),
];

/// A conversion of one value.
type Conversion = for<'a> fn(&Evaluator<'_, 'a>, &Item<'a>) -> Option<Item<'a>>;

/// The only item of the input, converted.
fn convert<'a>(
    invocation: &Invocation<'_, 'a>,
    conversion: Conversion,
) -> Result<Option<Item<'a>>, Failure> {
    let Some(item) = invocation.input_single()? else {
        return Ok(None);
    };
    Ok(converted(invocation, &item, conversion))
}

fn converted<'a>(
    invocation: &Invocation<'_, 'a>,
    item: &Item<'a>,
    conversion: Conversion,
) -> Option<Item<'a>> {
    let evaluator = invocation.evaluator;
    // A decimal of FHIR keeps the text that it was sent with.
    if let Item::Node { element, .. } = item
        && element.has_value()
        && std::ptr::fn_addr_eq(conversion, to_string as Conversion)
    {
        return element.value_text().map(Item::String);
    }
    let value = item.system(invocation.definitions(), evaluator.known)?;
    conversion(evaluator, &value)
}

fn converts(
    invocation: &Invocation<'_, '_>,
    conversion: Conversion,
) -> Result<Option<bool>, Failure> {
    let Some(item) = invocation.input_single()? else {
        return Ok(None);
    };
    Ok(Some(converted(invocation, &item, conversion).is_some()))
}

/// The texts that mean a truth, in lower case.
const TRUTHS: &[(&str, bool)] = &[
    ("true", true),
    ("t", true),
    ("yes", true),
    ("y", true),
    ("1", true),
    ("1.0", true),
    ("false", false),
    ("f", false),
    ("no", false),
    ("n", false),
    ("0", false),
    ("0.0", false),
];

fn to_boolean<'a>(_: &Evaluator<'_, 'a>, value: &Item<'a>) -> Option<Item<'a>> {
    let truth = match value {
        Item::Boolean(truth) => *truth,
        Item::Integer(0) => false,
        Item::Integer(1) => true,
        Item::Decimal(number) if number.is_zero() => false,
        Item::Decimal(number) if *number == 1.into() => true,
        Item::String(text) => {
            TRUTHS
                .iter()
                .find(|(spelling, _)| spelling.eq_ignore_ascii_case(text))?
                .1
        }
        _ => return None,
    };
    Some(Item::Boolean(truth))
}

fn to_integer<'a>(_: &Evaluator<'_, 'a>, value: &Item<'a>) -> Option<Item<'a>> {
    let number = match value {
        Item::Integer(number) => *number,
        Item::Boolean(truth) => i32::from(*truth),
        Item::String(text) => text.parse().ok()?,
        _ => return None,
    };
    Some(Item::Integer(number))
}

fn to_decimal<'a>(_: &Evaluator<'_, 'a>, value: &Item<'a>) -> Option<Item<'a>> {
    let number = match value {
        Item::Decimal(number) => *number,
        Item::Integer(number) => (*number).into(),
        Item::Boolean(truth) => i32::from(*truth).into(),
        Item::String(text) => parse_decimal(text)?,
        _ => return None,
    };
    Some(Item::Decimal(number))
}

fn to_string<'a>(evaluator: &Evaluator<'_, 'a>, value: &Item<'a>) -> Option<Item<'a>> {
    value
        .text(evaluator.context.definitions, evaluator.known)
        .map(Item::String)
}

fn to_date<'a>(_: &Evaluator<'_, 'a>, value: &Item<'a>) -> Option<Item<'a>> {
    match value {
        Item::Date(date) => Some(Item::Date(*date)),
        Item::DateTime(moment) => Some(Item::Date(moment.date())),
        Item::String(text) => {
            Temporal::parse_date_time(text).map(|moment| Item::Date(moment.date()))
        }
        _ => None,
    }
}

fn to_date_time<'a>(_: &Evaluator<'_, 'a>, value: &Item<'a>) -> Option<Item<'a>> {
    match value {
        Item::Date(moment) | Item::DateTime(moment) => Some(Item::DateTime(*moment)),
        Item::String(text) => Temporal::parse_date_time(text).map(Item::DateTime),
        _ => None,
    }
}

fn to_time<'a>(_: &Evaluator<'_, 'a>, value: &Item<'a>) -> Option<Item<'a>> {
    match value {
        Item::Time(time) => Some(Item::Time(*time)),
        Item::String(text) => {
            let text = text.strip_prefix('T').unwrap_or(text);
            Temporal::parse_time(text).map(Item::Time)
        }
        _ => None,
    }
}

fn to_quantity<'a>(_: &Evaluator<'_, 'a>, value: &Item<'a>) -> Option<Item<'a>> {
    let quantity = match value {
        Item::Quantity(quantity) => (**quantity).clone(),
        Item::Integer(number) => units::plain((*number).into()),
        Item::Decimal(number) => units::plain(*number),
        Item::Boolean(truth) => units::plain(i32::from(*truth).into()),
        Item::String(text) => Quantity::parse(text)?,
        _ => return None,
    };
    Some(Item::Quantity(Box::new(quantity)))
}

/// `toQuantity()`, in another unit if one is given.
fn convert_quantity<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let converted = convert(invocation, to_quantity)?;
    let Some(unit) = invocation.argument_text(0)? else {
        return Ok(converted);
    };
    let Some(Item::Quantity(quantity)) = converted else {
        return Ok(None);
    };
    let in_unit = units::in_unit(&quantity, Cow::Owned(unit.into_owned()));
    Ok(in_unit.map(|quantity| Item::Quantity(Box::new(quantity))))
}
