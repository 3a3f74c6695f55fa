//! Types: <http://hl7.org/fhirpath/N1/#types-2>, and `ofType()`.

use crate::evaluate::{Failure, Flow, Sink, emit};
use crate::function::{Argument, Function, Invocation, Output};
use crate::value::Item;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::truth("is", (1, 1), is).with(Argument::Type),
    Function::each("as", (1, 1), Output::Argument, cast).with(Argument::Type),
    Function::each("ofType", (1, 1), Output::Argument, of_type).with(Argument::Type),
    Function::each("type", (0, 0), Output::Unknown, type_of),
];

fn is(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    let item = invocation.input_single()?;
    Ok(item.map(|item| invocation.test().is(&item, invocation.definitions())))
}

fn of_type<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let (test, definitions) = (invocation.test(), invocation.definitions());
    invocation.each_input(&mut |item| {
        if test.selects(&item, definitions) {
            sink(item)
        } else {
            Ok(())
        }
    })
}

/// `as()`: of several items those of the type, as the invariants of R4 need it, unless the
/// expression is to be read to the letter.
fn cast<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    if !invocation.evaluator.is_exact {
        return of_type(invocation, sink);
    }
    let item = invocation.input_single()?;
    let (test, definitions) = (invocation.test(), invocation.definitions());
    emit(item.filter(|item| test.selects(item, definitions)), sink)
}

fn type_of<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let definitions = invocation.definitions();
    invocation.each_input(&mut |item| sink(Item::Type(item.type_info(definitions))))
}
