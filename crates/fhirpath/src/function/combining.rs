//! Combining: <http://hl7.org/fhirpath/N1/#combining>, and what it takes to find equal items.

use std::collections::HashMap;

use crate::evaluate::{Evaluator, Failure, Flow, Sink};
use crate::function::{Argument, Function, Invocation, Output};
use crate::value::{Collection, Item};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::each("union", (1, 1), Output::Unknown, union),
    Function::each("combine", (1, 2), Output::Unknown, combine),
    Function::each("distinct", (0, 0), Output::Input, distinct_input),
    Function::each("intersect", (1, 1), Output::Input, intersect),
    Function::each("exclude", (1, 1), Output::Input, exclude),
    Function::each("coalesce", (1, 16), Output::Unknown, coalesce).with(Argument::Value),
];

/// Up to this many items are compared one by one; more are told apart by a hash first.
const LINEAR_ITEMS_MAX: usize = 16;

/// A set of items by equality.
pub(crate) struct Seen<'s, 'a> {
    evaluator: &'s Evaluator<'s, 'a>,
    items: Collection<'a>,
    /// The places of the items by their hash; empty while there are few.
    places: HashMap<u64, Vec<usize>>,
}

impl<'s, 'a> Seen<'s, 'a> {
    pub(crate) fn new(evaluator: &'s Evaluator<'s, 'a>) -> Self {
        Self {
            evaluator,
            items: Collection::new(),
            places: HashMap::new(),
        }
    }

    pub(crate) fn of(
        evaluator: &'s Evaluator<'s, 'a>,
        items: Collection<'a>,
    ) -> Result<Self, Failure> {
        let mut seen = Self::new(evaluator);
        for item in items {
            seen.insert(item)?;
        }
        Ok(seen)
    }

    /// Whether an equal item is there.
    pub(crate) fn contains(&self, item: &Item<'a>) -> Result<bool, Failure> {
        let comparer = self.evaluator.comparer();
        let is_equal = |other: &Item<'a>| comparer.equal(other, item) == Some(true);
        if self.items.len() <= LINEAR_ITEMS_MAX {
            self.evaluator.steps(self.items.len())?;
            return Ok(self.items.iter().any(is_equal));
        }
        let Some(places) = self.places.get(&comparer.hash(item)) else {
            return Ok(false);
        };
        self.evaluator.steps(places.len())?;
        Ok(places
            .iter()
            .filter_map(|place| self.items.get(*place))
            .any(is_equal))
    }

    /// Adds an item; whether there was no equal one.
    pub(crate) fn insert(&mut self, item: Item<'a>) -> Result<bool, Failure> {
        if self.contains(&item)? {
            return Ok(false);
        }
        self.items.push(item);
        self.evaluator.check_items(self.items.len())?;
        if self.items.len() > LINEAR_ITEMS_MAX {
            self.index();
        }
        Ok(true)
    }

    /// Enters the items that have no place yet: all of them the first time, later the last.
    fn index(&mut self) {
        let comparer = self.evaluator.comparer();
        let from = if self.places.is_empty() {
            0
        } else {
            self.items.len() - 1
        };
        for (place, item) in self.items.iter().enumerate().skip(from) {
            let places = self.places.entry(comparer.hash(item)).or_default();
            places.push(place);
        }
    }
}

/// The items without those that are equal to one before.
pub(crate) fn distinct<'a>(
    evaluator: &Evaluator<'_, 'a>,
    items: Collection<'a>,
) -> Result<Collection<'a>, Failure> {
    if items.len() < 2 {
        return Ok(items);
    }
    Seen::of(evaluator, items).map(|seen| seen.items)
}

fn distinct_input<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let items = distinct(invocation.evaluator, invocation.input()?)?;
    items.into_iter().try_for_each(sink)
}

fn union<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let mut items = invocation.input()?;
    items.extend(invocation.argument_items(0)?);
    distinct(invocation.evaluator, items)?
        .into_iter()
        .try_for_each(sink)
}

/// The input and then the argument: in order, whether `preserveOrder` asks for it or not.
fn combine<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    invocation.each_input(sink)?;
    match invocation.argument(0) {
        Some(code) => invocation.evaluator.each(code, invocation.scope, sink),
        None => Ok(()),
    }
}

fn intersect<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let items = distinct(invocation.evaluator, invocation.input()?)?;
    let others = Seen::of(invocation.evaluator, invocation.argument_items(0)?)?;
    for item in items {
        if others.contains(&item)? {
            sink(item)?;
        }
    }
    Ok(())
}

fn exclude<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let items = invocation.input()?;
    let others = Seen::of(invocation.evaluator, invocation.argument_items(0)?)?;
    for item in items {
        if !others.contains(&item)? {
            sink(item)?;
        }
    }
    Ok(())
}

/// The first argument that is not empty.
fn coalesce<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    for place in 0..invocation.call.arguments.len() {
        let items = invocation.argument_items(place)?;
        if !items.is_empty() {
            return items.into_iter().try_for_each(sink);
        }
    }
    Ok(())
}
