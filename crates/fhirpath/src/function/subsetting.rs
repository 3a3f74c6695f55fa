//! Subsetting: <http://hl7.org/fhirpath/N1/#subsetting>.

use crate::evaluate::{Failure, Flow, Sink, Stop, is_through};
use crate::function::{Function, Invocation, Output};
use crate::value::{Collection, Item};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::single("single", (0, 0), Output::Input, single),
    Function::single("first", (0, 0), Output::Input, first).ordered(),
    Function::single("last", (0, 0), Output::Input, last).ordered(),
    Function::each("tail", (0, 0), Output::Input, tail).ordered(),
    Function::each("skip", (1, 1), Output::Input, skip).ordered(),
    Function::each("take", (1, 1), Output::Input, take).ordered(),
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
