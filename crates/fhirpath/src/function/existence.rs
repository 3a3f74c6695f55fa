//! Existence: <http://hl7.org/fhirpath/N1/#existence>, and `not()`.

use fhir_model::definition::SystemKind;

use crate::evaluate::{Failure, Stop, is_through, to_integer};
use crate::function::combining::Seen;
use crate::function::{Argument, Function, Invocation, Output};
use crate::value::Item;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::truth("empty", (0, 0), empty),
    Function::truth("exists", (0, 1), exists).with(Argument::Lambda),
    Function::truth("not", (0, 0), not),
    Function::truth("all", (1, 1), all).with(Argument::Lambda),
    Function::truth("allTrue", (0, 0), all_true),
    Function::truth("anyTrue", (0, 0), any_true),
    Function::truth("allFalse", (0, 0), all_false),
    Function::truth("anyFalse", (0, 0), any_false),
    Function::truth("subsetOf", (1, 1), subset_of),
    Function::truth("supersetOf", (1, 1), superset_of),
    Function::single("count", (0, 0), Output::System(SystemKind::Integer), count),
    Function::truth("isDistinct", (0, 0), is_distinct),
];

fn empty(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    let exists = invocation
        .evaluator
        .exists(&invocation.call.input, invocation.scope)?;
    Ok(Some(!exists))
}

fn exists(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    if invocation.argument(0).is_none() {
        let exists = invocation
            .evaluator
            .exists(&invocation.call.input, invocation.scope)?;
        return Ok(Some(exists));
    }
    any(invocation, |truth| truth == Some(true)).map(Some)
}

/// Whether the argument has a certain truth for any item of the input.
fn any(
    invocation: &Invocation<'_, '_>,
    is_wanted: fn(Option<bool>) -> bool,
) -> Result<bool, Failure> {
    let mut index = 0;
    let flow = invocation.each_input(&mut |item| {
        let truth = invocation.is_true_for(0, &item, index)?;
        index += 1;
        if is_wanted(truth) {
            return Err(Stop::Enough);
        }
        Ok(())
    });
    is_through(flow).map(|is_through| !is_through)
}

fn all(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    any(invocation, |truth| truth != Some(true)).map(|fails| Some(!fails))
}

fn not(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    let evaluator = invocation.evaluator;
    let truth = evaluator.truth(&invocation.call.input, invocation.scope)?;
    Ok(truth.map(|truth| !truth))
}

/// Whether any item of the input is the boolean that is looked for.
fn any_is(invocation: &Invocation<'_, '_>, wanted: bool) -> Result<bool, Failure> {
    let flow = invocation.each_input(&mut |item| {
        let value = item.system(invocation.definitions(), invocation.evaluator.known);
        match value {
            Some(Item::Boolean(truth)) if truth == wanted => Err(Stop::Enough),
            Some(Item::Boolean(_)) => Ok(()),
            _ => Err(invocation.wrong_type(&item).into()),
        }
    });
    is_through(flow).map(|is_through| !is_through)
}

fn all_true(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    any_is(invocation, false).map(|is_any| Some(!is_any))
}

fn any_true(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    any_is(invocation, true).map(Some)
}

fn all_false(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    any_is(invocation, true).map(|is_any| Some(!is_any))
}

fn any_false(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    any_is(invocation, false).map(Some)
}

fn subset_of(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    let (items, others) = (invocation.input()?, invocation.argument_items(0)?);
    let others = Seen::of(invocation.evaluator, others)?;
    is_within(&others, &items).map(Some)
}

fn superset_of(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    let (items, others) = (invocation.input()?, invocation.argument_items(0)?);
    let items = Seen::of(invocation.evaluator, items)?;
    is_within(&items, &others).map(Some)
}

/// Whether all items are among others.
fn is_within<'a>(others: &Seen<'_, 'a>, items: &[Item<'a>]) -> Result<bool, Failure> {
    for item in items {
        if !others.contains(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn count<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let mut count = 0;
    is_through(invocation.each_input(&mut |_| {
        count += 1;
        Ok(())
    }))?;
    Ok(Some(Item::Integer(to_integer(count))))
}

fn is_distinct(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    let mut seen = Seen::new(invocation.evaluator);
    let flow = invocation.each_input(&mut |item| {
        if seen.insert(item)? {
            Ok(())
        } else {
            Err(Stop::Enough)
        }
    });
    is_through(flow).map(Some)
}
