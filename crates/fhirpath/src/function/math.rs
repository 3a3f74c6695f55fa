//! Numbers: <http://hl7.org/fhirpath/N1/#math>.
//!
//! Sums, rounding and comparison are exact. Roots, powers and logarithms are computed in binary and
//! rounded to the digits that are certain.

use fhir_model::definition::SystemKind;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::evaluate::{Failure, Flow, Sink, emit};
use crate::function::{Function, Invocation, Output};
use crate::value::compare::number;
use crate::value::{Item, units};

const DECIMAL: Output = Output::System(SystemKind::Decimal);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::single("abs", (0, 0), Output::Unknown, abs).on_value(),
    Function::single("ceiling", (0, 0), Output::Unknown, |at| {
        whole(at, Decimal::ceil)
    })
    .on_value(),
    Function::single("floor", (0, 0), Output::Unknown, |at| {
        whole(at, Decimal::floor)
    })
    .on_value(),
    Function::single("truncate", (0, 0), Output::Unknown, |at| {
        whole(at, Decimal::trunc)
    })
    .on_value(),
    Function::single("round", (0, 1), Output::Unknown, round).on_value(),
    Function::single("exp", (0, 0), DECIMAL, |at| real(at, f64::exp)).on_value(),
    Function::single("ln", (0, 0), DECIMAL, |at| real(at, f64::ln)).on_value(),
    Function::single("sqrt", (0, 0), DECIMAL, |at| real(at, f64::sqrt)).on_value(),
    Function::single("log", (1, 1), DECIMAL, log).on_value(),
    Function::single("power", (1, 1), Output::Unknown, power).on_value(),
    Function::each("sum", (0, 0), Output::Unknown, sum).on_value(),
    Function::each("avg", (0, 0), Output::Unknown, average).on_value(),
    Function::each("min", (0, 0), Output::Input, |at, sink| {
        extreme(at, sink, true)
    })
    .on_value(),
    Function::each("max", (0, 0), Output::Input, |at, sink| {
        extreme(at, sink, false)
    })
    .on_value(),
    Function::truth("comparable", (1, 1), comparable).on_value(),
];

/// The number of the input.
fn input_number(invocation: &Invocation<'_, '_>) -> Result<Option<Decimal>, Failure> {
    match invocation.input_value()? {
        None => Ok(None),
        Some(item) => number(&item)
            .map(Some)
            .ok_or_else(|| invocation.wrong_type(&item)),
    }
}

/// The number of the first argument.
fn argument_number(invocation: &Invocation<'_, '_>) -> Result<Option<Decimal>, Failure> {
    match invocation.argument_value(0)? {
        None => Ok(None),
        Some(item) => number(&item)
            .map(Some)
            .ok_or_else(|| invocation.wrong_type(&item)),
    }
}

fn abs<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    Ok(match invocation.input_value()? {
        None => None,
        Some(Item::Integer(number)) => number.checked_abs().map(Item::Integer),
        Some(Item::Decimal(number)) => Some(Item::Decimal(number.abs())),
        Some(Item::Quantity(mut quantity)) => {
            quantity.value = quantity.value.abs();
            Some(Item::Quantity(quantity))
        }
        Some(other) => return Err(invocation.wrong_type(&other)),
    })
}

fn whole<'a>(
    invocation: &Invocation<'_, 'a>,
    rounding: impl Fn(&Decimal) -> Decimal,
) -> Result<Option<Item<'a>>, Failure> {
    if let Some(Item::Quantity(mut quantity)) = invocation.input_value()? {
        quantity.value = rounding(&quantity.value);
        return Ok(Some(Item::Quantity(quantity)));
    }
    let number = input_number(invocation)?;
    Ok(number.and_then(|number| rounding(&number).to_i32().map(Item::Integer)))
}

fn round<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let digits = invocation.argument_integer(0)?.unwrap_or(0);
    let Ok(digits) = u32::try_from(digits) else {
        return Err(invocation.wrong_argument("the precision is negative"));
    };
    let round = |number: Decimal| {
        number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
    };
    if let Some(Item::Quantity(mut quantity)) = invocation.input_value()? {
        quantity.value = round(quantity.value);
        return Ok(Some(Item::Quantity(quantity)));
    }
    let number = input_number(invocation)?;
    Ok(number.map(|number| Item::Decimal(round(number))))
}

/// How many digits of a binary result are certain.
const CERTAIN_DIGITS: u32 = 15;

/// A binary result as a decimal; `None` if it is none, or too large.
fn certain<'a>(result: f64) -> Option<Item<'a>> {
    let exact = Decimal::from_f64(result)?;
    Some(Item::Decimal(exact.round_sf(CERTAIN_DIGITS)?.normalize()))
}

fn real<'a>(
    invocation: &Invocation<'_, 'a>,
    function: fn(f64) -> f64,
) -> Result<Option<Item<'a>>, Failure> {
    let number = input_number(invocation)?;
    Ok(number.and_then(|number| certain(function(number.to_f64()?))))
}

fn log<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let (Some(number), Some(base)) = (input_number(invocation)?, argument_number(invocation)?)
    else {
        return Ok(None);
    };
    let (Some(number), Some(base)) = (number.to_f64(), base.to_f64()) else {
        return Ok(None);
    };
    Ok(certain(number.ln() / base.ln()))
}

fn power<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let (base, exponent) = (invocation.input_value()?, invocation.argument_value(0)?);
    let (Some(base), Some(exponent)) = (base, exponent) else {
        return Ok(None);
    };
    if let (Item::Integer(base), Item::Integer(exponent)) = (&base, &exponent)
        && let Ok(exponent) = u32::try_from(*exponent)
    {
        return Ok(base.checked_pow(exponent).map(Item::Integer));
    }
    let Some(base) = number(&base) else {
        return Err(invocation.wrong_type(&base));
    };
    let Some(exponent) = number(&exponent) else {
        return Err(invocation.wrong_type(&exponent));
    };
    let (Some(base), Some(exponent)) = (base.to_f64(), exponent.to_f64()) else {
        return Ok(None);
    };
    Ok(certain(base.powf(exponent)))
}

/// The values of the input.
fn values<'a>(invocation: &Invocation<'_, 'a>) -> Result<Vec<Item<'a>>, Failure> {
    let (definitions, known) = (invocation.definitions(), invocation.evaluator.known);
    let items = invocation.input()?;
    items
        .iter()
        .map(|item| {
            item.system(definitions, known)
                .ok_or_else(|| invocation.wrong_type(item))
        })
        .collect()
}

/// The sum of numbers; `None` if it is too large.
fn total(invocation: &Invocation<'_, '_>, items: &[Item<'_>]) -> Result<Option<Decimal>, Failure> {
    let mut sum = Decimal::ZERO;
    for item in items {
        let number = number(item).ok_or_else(|| invocation.wrong_type(item))?;
        let Some(next) = sum.checked_add(number) else {
            return Ok(None);
        };
        sum = next;
    }
    Ok(Some(sum))
}

/// The sum of quantities in the unit of the first; `None` if it is no quantity, the units do not
/// measure the same, or the sum is too large.
fn total_quantity<'a>(
    invocation: &Invocation<'_, 'a>,
    items: &[Item<'a>],
) -> Result<Option<Item<'a>>, Failure> {
    let Some((Item::Quantity(first), rest)) = items.split_first() else {
        return Ok(None);
    };
    let mut sum = (**first).clone();
    for item in rest {
        let Item::Quantity(next) = item else {
            return Err(invocation.wrong_type(item));
        };
        let Some(next) = units::add(&sum, next, false) else {
            return Ok(None);
        };
        sum = next;
    }
    Ok(Some(Item::Quantity(Box::new(sum))))
}

/// Whether two quantities measure the same, so that they can be compared:
/// <https://hl7.org/fhir/R5/fhirpath.html#functions>.
fn comparable(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    let (Some(left), Some(right)) = (invocation.input_value()?, invocation.argument_value(0)?)
    else {
        return Ok(None);
    };
    match (&left, &right) {
        (Item::Quantity(left), Item::Quantity(right)) => {
            Ok(Some(units::are_comparable(left, right)))
        }
        (Item::Quantity(_), other) | (other, _) => Err(invocation.wrong_type(other)),
    }
}

fn sum<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let items = values(invocation)?;
    if let Some(Item::Quantity(_)) = items.first() {
        return emit(total_quantity(invocation, &items)?, sink);
    }
    if items.is_empty() {
        return Ok(());
    }
    let is_whole = items.iter().all(|item| matches!(item, Item::Integer(_)));
    let total = total(invocation, &items)?;
    let sum = match total {
        Some(total) if is_whole => total.to_i32().map(Item::Integer),
        total => total.map(Item::Decimal),
    };
    emit(sum, sink)
}

fn average<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let items = values(invocation)?;
    let count = Decimal::from(items.len());
    if let Some(Item::Quantity(mut total)) = total_quantity(invocation, &items)? {
        let value = total.value.checked_div(count);
        let average = value.map(|value| {
            total.value = value;
            Item::Quantity(total)
        });
        return emit(average, sink);
    }
    let total = total(invocation, &items)?;
    emit(
        total
            .and_then(|total| total.checked_div(count))
            .map(Item::Decimal),
        sink,
    )
}

/// The least or the greatest item.
fn extreme<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>, is_least: bool) -> Flow {
    let comparer = invocation.evaluator.comparer();
    let mut best: Option<Item<'a>> = None;
    for item in invocation.input()? {
        let is_better = match &best {
            None => true,
            Some(best) => match comparer.compare(&item, best) {
                Ok(Some(ordering)) => ordering.is_lt() == is_least && ordering.is_ne(),
                Ok(None) => return Ok(()),
                Err(()) => return Err(invocation.wrong_type(&item).into()),
            },
        };
        if is_better {
            best = Some(item);
        }
    }
    emit(best, sink)
}
