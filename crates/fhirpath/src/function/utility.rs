//! Utility functions: <http://hl7.org/fhirpath/N1/#utility-functions>, and `iif()`.

use crate::error::EvaluateErrorKind;
use crate::evaluate::{Failure, Flow, Sink};
use crate::function::{Argument, Function, Invocation, Output};
use crate::value::{Item, Temporal};
use fhir_model::definition::SystemKind;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::each("iif", (2, 3), Output::Unknown, iif).with(Argument::Whole),
    Function::each("trace", (1, 2), Output::Input, trace).with(Argument::Lambda),
    Function::single("now", (0, 0), Output::System(SystemKind::DateTime), now),
    Function::single("today", (0, 0), Output::System(SystemKind::Date), today),
    Function::single(
        "timeOfDay",
        (0, 0),
        Output::System(SystemKind::Time),
        time_of_day,
    ),
];

/// One of two branches, of which only that one is evaluated. `$this` is the input.
fn iif<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let evaluator = invocation.evaluator;
    let input = invocation.input()?;
    if evaluator.is_exact && input.len() > 1 {
        let what = invocation.name();
        return Err(invocation
            .failure(EvaluateErrorKind::NotSingle { what })
            .into());
    }
    let scope = invocation.scope.with(&input, invocation.scope.index);
    let Some(criterion) = invocation.argument(0) else {
        return Ok(());
    };
    let place = match evaluator.truth(criterion, &scope)? {
        Some(true) => 1,
        _ => 2,
    };
    match invocation.argument(place) {
        Some(branch) => evaluator.each(branch, &scope, sink),
        None => Ok(()),
    }
}

/// Passes its input on. It prints nothing: resources are not for logs.
fn trace<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    invocation.each_input(sink)
}

/// The moment that the context says is now.
fn moment(invocation: &Invocation<'_, '_>) -> Result<Temporal, Failure> {
    let now = invocation.evaluator.context.now;
    now.ok_or_else(|| invocation.unavailable())
}

fn now<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    moment(invocation).map(|now| Some(Item::DateTime(now)))
}

fn today<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    moment(invocation).map(|now| Some(Item::Date(now.date())))
}

fn time_of_day<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    moment(invocation).map(|now| now.time().map(Item::Time))
}
