//! The door of the crate: a compiled expression.

use fhir_model::definition::{Definitions, TypeId};

use crate::code::Code;
use crate::compile::{self, Known};
use crate::context::Context;
use crate::error::{EvaluateError, ParseError};
use crate::evaluate::{Evaluator, Failure, Stop, is_through};
use crate::parser::parse;
use crate::value::{Collection, Item};

#[cfg(test)]
mod tests;

/// An expression, ready to be evaluated any number of times by any number of threads.
#[derive(Debug)]
pub struct Expression {
    text: Box<str>,
    code: Code,
    known: Known,
    options: Options,
}

/// How an expression is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The type of what the expression will be evaluated on, if it is known.
    pub root: Option<TypeId>,
    /// Refuse what cannot be right for that type: elements that it does not have, operators on
    /// types that they are not defined for.
    pub check: bool,
    /// Read names of types to the letter, and take `as()` and `iif()` on several items for an
    /// error, as the specification says.
    ///
    /// The invariants and search parameters of R4 need it otherwise: they write `as(DateTime)` for
    /// `as(dateTime)`, and `descendants().as(uri)`.
    pub exact: bool,
    /// Take the name that an element has in JSON, `valueDateTime` for `value`, too.
    ///
    /// Search parameters of guides are written so (`condition-asserted-date` of US Core).
    pub json_names: bool,
}

impl Expression {
    /// Compiles an expression of the specification, a guide or a profile.
    ///
    /// `root` is the type of what it will be evaluated on. It makes evaluation faster; an item of
    /// another type is evaluated just as well.
    pub fn compile(
        text: &str,
        definitions: &Definitions,
        root: Option<TypeId>,
    ) -> Result<Self, ParseError> {
        let options = Options {
            root,
            ..Options::default()
        };
        Self::compile_with(text, definitions, &options)
    }

    /// Compiles an expression that is to be read in a certain way.
    pub fn compile_with(
        text: &str,
        definitions: &Definitions,
        options: &Options,
    ) -> Result<Self, ParseError> {
        let syntax = parse(text)?;
        let known = Known::new(definitions);
        let code = compile::compile(&syntax, definitions, *options)
            .map_err(|error| error.in_text(text))?;
        Ok(Self {
            text: text.into(),
            code,
            known,
            options: *options,
        })
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What came out, or why not, with the place in the expression.
    fn finish<T>(
        &self,
        evaluator: &Evaluator<'_, '_>,
        result: Result<T, Failure>,
    ) -> Result<T, EvaluateError> {
        evaluator
            .finish(result)
            .map_err(|error| error.in_text(&self.text))
    }

    /// What the expression gives for an item, which is `%context`.
    pub fn evaluate<'a>(
        &'a self,
        context: &'a Context<'a>,
        item: Item<'a>,
    ) -> Result<Collection<'a>, EvaluateError> {
        let focus = [item];
        let evaluator = Evaluator::new(context, &self.known, &focus, self.options);
        let items = evaluator.gather(&self.code, &evaluator.scope());
        self.finish(&evaluator, items)
    }

    /// Calls a function with each item that the expression gives, until it gives `false`.
    ///
    /// Paths without functions that need all items at once keep none.
    pub fn for_each<'a>(
        &'a self,
        context: &'a Context<'a>,
        item: Item<'a>,
        mut visit: impl FnMut(Item<'a>) -> bool,
    ) -> Result<(), EvaluateError> {
        let focus = [item];
        let evaluator = Evaluator::new(context, &self.known, &focus, self.options);
        let flow = evaluator.each(&self.code, &evaluator.scope(), &mut |item| {
            if visit(item) {
                Ok(())
            } else {
                Err(Stop::Enough)
            }
        });
        self.finish(&evaluator, is_through(flow).map(|_| ()))
    }

    /// The truth of the expression for an item; `None` if it is empty, and so not known.
    ///
    /// One item that is no boolean counts as true: <http://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections>.
    pub fn evaluate_truth<'a>(
        &'a self,
        context: &'a Context<'a>,
        item: Item<'a>,
    ) -> Result<Option<bool>, EvaluateError> {
        let focus = [item];
        let evaluator = Evaluator::new(context, &self.known, &focus, self.options);
        let truth = evaluator.truth(&self.code, &evaluator.scope());
        self.finish(&evaluator, truth)
    }

    /// Whether an invariant holds: whether it is not false.
    ///
    /// Empty is not a breach. The invariants of R4 count on it: `ref-1` is empty for a reference
    /// with nothing but a display, `bdl-8` for an entry without `fullUrl`, and `per-1` for dates
    /// of different precision, of which it cannot be said which is first. Whoever needs to tell
    /// empty from true uses [`Expression::evaluate_truth`].
    pub fn evaluate_bool<'a>(
        &'a self,
        context: &'a Context<'a>,
        item: Item<'a>,
    ) -> Result<bool, EvaluateError> {
        self.evaluate_truth(context, item)
            .map(|truth| truth != Some(false))
    }
}
