//! Filtering and projection: <http://hl7.org/fhirpath/N1/#filtering-and-projection>, tree
//! navigation, and `aggregate()`.

use std::collections::VecDeque;

use fhir_model::definition::TypeId;
use fhir_model::element::Element;
use fhir_model::name::Name;

use crate::evaluate::{Evaluator, Flow, Scope, Sink, own_type};
use crate::function::combining::Seen;
use crate::function::{Argument, Function, Invocation, Output};
use crate::value::Item;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::each("where", (1, 1), Output::Input, filter).with(Argument::Lambda),
    Function::each("select", (1, 1), Output::Argument, select).with(Argument::Lambda),
    Function::each("repeat", (1, 1), Output::Unknown, repeat).with(Argument::Unknown),
    Function::each("repeatAll", (1, 1), Output::Unknown, repeat_all).with(Argument::Unknown),
    Function::each("aggregate", (1, 2), Output::Unknown, aggregate).with(Argument::Unknown),
    Function::each("children", (0, 0), Output::Unordered, children),
    Function::each("descendants", (0, 0), Output::Unordered, descendants),
];

fn filter<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let mut index = 0;
    invocation.each_input(&mut |item| {
        let truth = invocation.is_true_for(0, &item, index)?;
        index += 1;
        if truth == Some(true) {
            sink(item)
        } else {
            Ok(())
        }
    })
}

fn select<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let Some(projection) = invocation.argument(0) else {
        return Ok(());
    };
    let mut index = 0;
    invocation.each_input(&mut |item| {
        let scope = invocation.scope.with(std::slice::from_ref(&item), index);
        index += 1;
        invocation.evaluator.each(projection, &scope, sink)
    })
}

/// What the projection finds, what it finds from that, and so on, each once.
fn repeat<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let Some(projection) = invocation.argument(0) else {
        return Ok(());
    };
    let evaluator = invocation.evaluator;
    let mut seen = Seen::new(evaluator);
    let mut pending: VecDeque<Item<'a>> = invocation.input()?.into_iter().collect();
    while let Some(item) = pending.pop_front() {
        let scope = invocation.scope.with(std::slice::from_ref(&item), 0);
        for found in evaluator.gather(projection, &scope)? {
            if seen.insert(found.clone())? {
                sink(found.clone())?;
                pending.push_back(found);
            }
        }
    }
    Ok(())
}

/// As [`repeat`], but what is found again is there again: only the limits end it.
fn repeat_all<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let Some(projection) = invocation.argument(0) else {
        return Ok(());
    };
    let evaluator = invocation.evaluator;
    let mut count = 0;
    let mut pending: VecDeque<Item<'a>> = invocation.input()?.into_iter().collect();
    while let Some(item) = pending.pop_front() {
        let scope = invocation.scope.with(std::slice::from_ref(&item), 0);
        let found = evaluator.gather(projection, &scope)?;
        count += found.len();
        evaluator.check_items(count)?;
        pending.extend(found.iter().cloned());
        found.into_iter().try_for_each(&mut *sink)?;
    }
    Ok(())
}

fn aggregate<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let Some(aggregator) = invocation.argument(0) else {
        return Ok(());
    };
    let mut total = invocation.argument_items(1)?;
    for (index, item) in invocation.input()?.into_iter().enumerate() {
        let scope = Scope {
            this: std::slice::from_ref(&item),
            index,
            total: &total,
        };
        let next = invocation.evaluator.gather(aggregator, &scope)?;
        total = next;
    }
    total.into_iter().try_for_each(sink)
}

fn children<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    invocation.each_input(&mut |item| match item {
        Item::Node { element, type_id } => each_child(
            invocation.evaluator,
            element,
            type_id,
            &mut |element, type_id| sink(Item::Node { element, type_id }),
        ),
        _ => Ok(()),
    })
}

/// Calls a function with each element one level below that the type has, and its type.
fn each_child<'a>(
    evaluator: &Evaluator<'_, 'a>,
    element: Element<'a>,
    type_id: TypeId,
    visit: &mut dyn FnMut(Element<'a>, TypeId) -> Flow,
) -> Flow {
    let definitions = evaluator.context.definitions;
    // The items of a list have one name, so that one look at the type serves them all.
    let mut last = (Name::UNKNOWN, None);
    for child in element.all_children() {
        evaluator.step()?;
        let name = child.name();
        if name != last.0 {
            let property = definitions.property(type_id, name);
            last = (name, property.map(|property| property.type_id));
        }
        // `resourceType` is no element, and what no definition knows has no type.
        if let Some(type_id) = last.1 {
            visit(child, own_type(child, type_id, definitions))?;
        }
    }
    Ok(())
}

/// All elements below, parents before their children.
fn descendants<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let evaluator = invocation.evaluator;
    invocation.each_input(&mut |item| {
        let Item::Node { element, type_id } = item else {
            return Ok(());
        };
        let mut pending = vec![(element, type_id)];
        let mut found = Vec::new();
        while let Some((element, type_id)) = pending.pop() {
            each_child(evaluator, element, type_id, &mut |element, type_id| {
                found.push((element, type_id));
                sink(Item::Node { element, type_id })
            })?;
            evaluator.check_items(pending.len() + found.len())?;
            pending.extend(found.drain(..).rev());
        }
        Ok(())
    })
}
