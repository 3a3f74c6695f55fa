//! Subsetting: <http://hl7.org/fhirpath/N1/#subsetting>, and `sort()`.

use std::cmp::Ordering;

use crate::code::Code;
use crate::evaluate::{Failure, Flow, Sink, Stop, is_through};
use crate::function::{Argument, Function, Invocation, Output};
use crate::value::{Collection, Item};

/// The most keys that `sort()` takes.
const SORT_KEYS_MAX: usize = 16;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::single("single", (0, 0), Output::Input, single),
    Function::single("first", (0, 0), Output::Input, first).ordered(),
    Function::single("last", (0, 0), Output::Input, last).ordered(),
    Function::each("tail", (0, 0), Output::Input, tail).ordered(),
    Function::each("skip", (1, 1), Output::Input, skip).ordered(),
    Function::each("take", (1, 1), Output::Input, take).ordered(),
    Function::each("sort", (0, SORT_KEYS_MAX), Output::Input, sort).with(Argument::Lambda),
];

fn single<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    invocation.input_single()
}

fn first<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let mut found = None;
    is_through(invocation.each_input(&mut |item| {
        found = Some(item);
        Err(Stop::Enough)
    }))?;
    Ok(found)
}

fn last<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let mut found = None;
    is_through(invocation.each_input(&mut |item| {
        found = Some(item);
        Ok(())
    }))?;
    Ok(found)
}

fn tail<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    after(invocation, 1, sink)
}

fn skip<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    match invocation.argument_integer(0)? {
        Some(count) => after(invocation, count, sink),
        None => Ok(()),
    }
}

/// The items after so many.
fn after<'a>(invocation: &Invocation<'_, 'a>, count: i32, sink: Sink<'_, 'a>) -> Flow {
    let mut left = count;
    invocation.each_input(&mut |item| {
        if left > 0 {
            left -= 1;
            return Ok(());
        }
        sink(item)
    })
}

fn take<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let count = invocation.argument_integer(0)?.unwrap_or(0);
    let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
        return Ok(());
    };
    let mut items = Collection::new();
    is_through(invocation.each_input(&mut |item| {
        items.push(item);
        if items.len() == count {
            return Err(Stop::Enough);
        }
        Ok(())
    }))?;
    items.into_iter().try_for_each(sink)
}

/// The items by their keys, in a stable order. A key with a minus before it sorts the other way
/// round, strings too; items without a key come first.
fn sort<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let keys: Vec<(&'a Code, bool)> = match &*invocation.call.arguments {
        [] => vec![(&Code::This, false)],
        keys => keys.iter().map(direction).collect(),
    };
    let mut rows = Vec::new();
    for (index, item) in invocation.input()?.into_iter().enumerate() {
        let scope = invocation.scope.with(std::slice::from_ref(&item), index);
        let mut values = Vec::with_capacity(keys.len());
        for (key, _) in &keys {
            let (what, position) = (invocation.name(), invocation.call.position);
            let value = invocation.evaluator.single(key, &scope, what, position)?;
            values.push(value);
        }
        rows.push((values, item));
    }
    let mut failure = None;
    rows.sort_by(|(left, _), (right, _)| {
        let pairs = left.iter().zip(right).zip(&keys);
        for ((left, right), (_, is_descending)) in pairs {
            let ordering = match (left, right) {
                (Some(left), Some(right)) => {
                    let ordering = invocation.evaluator.comparer().compare(left, right);
                    ordering.unwrap_or_else(|()| {
                        failure = Some(invocation.wrong_type(right));
                        None
                    })
                }
                _ => Some(left.is_some().cmp(&right.is_some())),
            };
            match ordering.unwrap_or(Ordering::Equal) {
                Ordering::Equal => {}
                ordering if *is_descending => return ordering.reverse(),
                ordering => return ordering,
            }
        }
        Ordering::Equal
    });
    match failure {
        Some(failure) => Err(failure.into()),
        None => rows.into_iter().try_for_each(|(_, item)| sink(item)),
    }
}

/// A key of `sort()`, and whether it is to descend.
fn direction(key: &Code) -> (&Code, bool) {
    match key {
        Code::Sign(sign) if sign.is_negative => (&sign.operand, true),
        key => (key, false),
    }
}
