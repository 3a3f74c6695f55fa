//! Utility functions: <http://hl7.org/fhirpath/N1/#utility-functions>, and `iif()`.

use fhir_model::definition::SystemKind;
use fhir_model::element::Element;

use crate::error::EvaluateErrorKind;
use crate::evaluate::{Failure, Flow, Sink, emit};
use crate::function::path::{path_to, write_path};
use crate::function::{Argument, Function, Invocation, Output};
use crate::value::{Collection, Item, Temporal};

const STRING: Output = Output::System(SystemKind::String);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::each("iif", (2, 3), Output::Unknown, iif).with(Argument::Whole),
    Function::each("trace", (1, 2), Output::Input, trace).with(Argument::Lambda),
    Function::each("defineVariable", (1, 2), Output::Input, |at, sink| {
        at.each_input(sink)
    })
    .with(Argument::Definition),
    Function::each("pathname", (0, 1), STRING, pathname),
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

/// Passes its input on, and shows it to whoever the context says wants to see it.
fn trace<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let Some(trace) = invocation.evaluator.context.trace else {
        return invocation.each_input(sink);
    };
    let name = invocation.argument_text(0)?.unwrap_or_default();
    let items = invocation.input()?;
    match invocation.argument(1) {
        None => trace.trace(&name, &items),
        Some(projection) => {
            let mut shown = Collection::new();
            for (index, item) in items.iter().enumerate() {
                let scope = invocation.scope.with(std::slice::from_ref(item), index);
                shown.extend(invocation.evaluator.gather(projection, &scope)?);
                invocation.evaluator.check_items(shown.len())?;
            }
            trace.trace(&name, &shown);
        }
    }
    items.into_iter().try_for_each(sink)
}

/// The paths that lead to the elements of the input and to nothing else; values have none.
fn pathname<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let is_short = match invocation.argument_value(0)? {
        None => false,
        Some(Item::Boolean(is_short)) => is_short,
        Some(other) => return Err(invocation.wrong_type(&other).into()),
    };
    invocation.each_input(&mut |item| match item.element() {
        Some(element) => emit(path_of(invocation, element, is_short), sink),
        None => Ok(()),
    })
}

/// The path from `%rootResource` to an element; `None` if it is outside of that.
fn path_of<'a>(
    invocation: &Invocation<'_, 'a>,
    wanted: Element<'a>,
    is_short: bool,
) -> Option<Item<'a>> {
    let Item::Node { element, type_id } = invocation.evaluator.root_resource()? else {
        return None;
    };
    let path = path_to(*element, wanted)?;
    let written = write_path(*type_id, &path, is_short, invocation.definitions())?;
    Some(Item::String(written.into()))
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
