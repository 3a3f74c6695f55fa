//! The functions: a table from name to arity, to what runs, to what is known of the result.
//!
//! Each file below has the rows of one section of the specification and the functions they name.

use std::borrow::Cow;

use fhir_model::definition::{Definitions, SystemKind};
use regex::Regex;

use crate::code::{Call, Code, TypeTest};
use crate::compile::Shape;
use crate::error::EvaluateErrorKind;
use crate::evaluate::{Evaluator, Failure, Flow, Scope, Sink};
use crate::value::{Collection, Item};

mod combining;
mod conversion;
mod existence;
mod fhir;
mod filtering;
mod math;
mod path;
mod string;
mod subsetting;
mod temporal;
mod types;
mod utility;

pub use string::base64_bytes;

pub(crate) use combining::distinct;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// The fewest and the most arguments.
    counts: (usize, usize),
    pub(crate) argument: Argument,
    /// What its input must be, as far as that can be told beforehand.
    input: Input,
    output: Output,
    /// Whether it means nothing without an order of its input.
    pub(crate) needs_order: bool,
    /// How its first argument becomes a regular expression, if it is one.
    pub(crate) regex: Option<fn(&str) -> Option<Regex>>,
    pub(crate) run: Run,
}

/// What the arguments of a function are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// Values, computed where the call stands.
    Value,
    /// Expressions, evaluated for each item of the input.
    Lambda,
    /// Expressions, evaluated for the input as a whole.
    Whole,
    /// Expressions, evaluated for items of which nothing is known before.
    Unknown,
    /// The name of a type.
    Type,
    /// The name of a variable, and an expression for its value: see `Compiler::definition`.
    Definition,
}

/// What a function works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Any,
    /// A value, and no element with children.
    Value,
}

/// What a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Unknown,
    Unordered,
    /// Items of its input.
    Input,
    /// What its first argument gives.
    Argument,
    System(SystemKind),
}

/// A function that tells whether something is so; `None` is empty.
pub(crate) type Truth = for<'s, 'a> fn(&Invocation<'s, 'a>) -> Result<Option<bool>, Failure>;
/// A function that gives at most one item.
pub(crate) type Single = for<'s, 'a> fn(&Invocation<'s, 'a>) -> Result<Option<Item<'a>>, Failure>;
/// A function that gives items one after another.
pub(crate) type Each = for<'s, 'a> fn(&Invocation<'s, 'a>, Sink<'_, 'a>) -> Flow;

/// What runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    Truth(Truth),
    Single(Single),
    Each(Each),
}

/// All rows.
const TABLES: &[&[Function]] = &[
    existence::FUNCTIONS,
    filtering::FUNCTIONS,
    subsetting::FUNCTIONS,
    combining::FUNCTIONS,
    conversion::FUNCTIONS,
    string::FUNCTIONS,
    math::FUNCTIONS,
    temporal::FUNCTIONS,
    types::FUNCTIONS,
    utility::FUNCTIONS,
    fhir::FUNCTIONS,
];

/// The function with this name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    TABLES
        .iter()
        .flat_map(|table| table.iter())
        .find(|function| function.name == name)
}

impl Function {
    const fn new(name: &'static str, counts: (usize, usize), output: Output, run: Run) -> Self {
        Self {
            name,
            counts,
            argument: Argument::Value,
            input: Input::Any,
            output,
            needs_order: false,
            regex: None,
            run,
        }
    }

    const fn truth(name: &'static str, counts: (usize, usize), run: Truth) -> Self {
        let output = Output::System(SystemKind::Boolean);
        Self::new(name, counts, output, Run::Truth(run))
    }

    const fn single(
        name: &'static str,
        counts: (usize, usize),
        output: Output,
        run: Single,
    ) -> Self {
        Self::new(name, counts, output, Run::Single(run))
    }

    const fn each(name: &'static str, counts: (usize, usize), output: Output, run: Each) -> Self {
        Self::new(name, counts, output, Run::Each(run))
    }

    const fn with(self, argument: Argument) -> Self {
        Self { argument, ..self }
    }

    const fn ordered(self) -> Self {
        Self {
            needs_order: true,
            ..self
        }
    }

    const fn on_value(self) -> Self {
        Self {
            input: Input::Value,
            ..self
        }
    }

    const fn with_regex(self, regex: fn(&str) -> Option<Regex>) -> Self {
        Self {
            regex: Some(regex),
            ..self
        }
    }

    /// Whether it takes so many arguments.
    pub(crate) fn takes(&self, count: usize) -> bool {
        (self.counts.0..=self.counts.1).contains(&count)
    }

    /// How many arguments it takes, in words.
    pub(crate) fn counts(&self) -> String {
        match self.counts {
            (min, max) if min == max => min.to_string(),
            (min, max) => format!("{min} to {max}"),
        }
    }

    /// Whether it may be called on such items.
    pub(crate) fn accepts(&self, from: &Shape, definitions: &Definitions) -> bool {
        self.input == Input::Any || !from.is_complex(definitions)
    }

    /// What it gives.
    pub(crate) fn shape(&self, from: &Shape, arguments: &[Shape]) -> Shape {
        match self.output {
            Output::Unknown => Shape::Unknown,
            Output::Unordered => Shape::Unordered,
            Output::Input => from.clone(),
            Output::Argument => arguments.first().cloned().unwrap_or(Shape::Unknown),
            Output::System(kind) => Shape::System(kind),
        }
    }
}

/// A call being evaluated.
#[derive(Clone, Copy)]
pub(crate) struct Invocation<'s, 'a> {
    pub(crate) evaluator: &'s Evaluator<'s, 'a>,
    pub(crate) call: &'a Call,
    pub(crate) scope: &'s Scope<'s, 'a>,
}

impl<'a> Invocation<'_, 'a> {
    pub(crate) fn name(&self) -> &'static str {
        self.call.function.name
    }

    pub(crate) fn failure(&self, kind: EvaluateErrorKind) -> Failure {
        Evaluator::failure(self.call.position, kind)
    }

    /// The error for an item that the function is not defined for.
    pub(crate) fn wrong_type(&self, item: &Item<'_>) -> Failure {
        self.evaluator
            .wrong_type(item, self.name(), self.call.position)
    }

    /// The error for an argument that the function cannot work with.
    pub(crate) fn wrong_argument(&self, reason: &'static str) -> Failure {
        let what = self.name();
        self.failure(EvaluateErrorKind::Argument { what, reason })
    }

    /// The error for something that the context does not have.
    pub(crate) fn unavailable(&self) -> Failure {
        let what = self.name();
        self.failure(EvaluateErrorKind::Unavailable { what })
    }

    pub(crate) fn definitions(&self) -> &'a Definitions {
        self.evaluator.context.definitions
    }

    pub(crate) fn argument(&self, place: usize) -> Option<&'a Code> {
        self.call.arguments.get(place)
    }

    /// The type that the argument names.
    pub(crate) fn test(&self) -> TypeTest {
        self.call.test.unwrap_or(TypeTest {
            system: None,
            fhir: None,
        })
    }

    /// Calls a function with each item of the input.
    pub(crate) fn each_input(&self, sink: Sink<'_, 'a>) -> Flow {
        self.evaluator.each(&self.call.input, self.scope, sink)
    }

    /// Calls a function with each item of the input, which stays where it is if it is `$this`.
    pub(crate) fn each_borrowed(&self, visit: &mut dyn FnMut(&Item<'a>) -> Flow) -> Flow {
        if matches!(self.call.input, Code::This) {
            self.evaluator.step()?;
            return self.scope.this.iter().try_for_each(visit);
        }
        self.each_input(&mut |item| visit(&item))
    }

    /// All items of the input.
    pub(crate) fn input(&self) -> Result<Collection<'a>, Failure> {
        self.evaluator.gather(&self.call.input, self.scope)
    }

    /// The only item of the input.
    pub(crate) fn input_single(&self) -> Result<Option<Item<'a>>, Failure> {
        self.evaluator.single(
            &self.call.input,
            self.scope,
            self.name(),
            self.call.position,
        )
    }

    /// The only item of the input as a value of a system type; an element with children is refused.
    pub(crate) fn input_value(&self) -> Result<Option<Item<'a>>, Failure> {
        let Some(item) = self.input_single()? else {
            return Ok(None);
        };
        self.value_of(&item)
    }

    fn value_of(&self, item: &Item<'a>) -> Result<Option<Item<'a>>, Failure> {
        let evaluator = self.evaluator;
        match item.system(self.definitions(), evaluator.known) {
            Some(value) => Ok(Some(value)),
            None if self.evaluator.lacks_value(item) => Ok(None),
            None => Err(self.wrong_type(item)),
        }
    }

    /// All items of an argument.
    pub(crate) fn argument_items(&self, place: usize) -> Result<Collection<'a>, Failure> {
        match self.argument(place) {
            Some(code) => self.evaluator.gather(code, self.scope),
            None => Ok(Collection::new()),
        }
    }

    /// The only item of the input as text; `None` if it is empty.
    pub(crate) fn input_text(&self) -> Result<Option<Cow<'a, str>>, Failure> {
        let item = self.input_single()?;
        self.text_of(item)
    }

    /// The only item of an argument as text; `None` if it is empty or not given.
    pub(crate) fn argument_text(&self, place: usize) -> Result<Option<Cow<'a, str>>, Failure> {
        let Some(code) = self.argument(place) else {
            return Ok(None);
        };
        let position = self.call.position;
        let item = self
            .evaluator
            .single(code, self.scope, self.name(), position)?;
        self.text_of(item)
    }

    fn text_of(&self, item: Option<Item<'a>>) -> Result<Option<Cow<'a, str>>, Failure> {
        let Some(item) = item else {
            return Ok(None);
        };
        match item.string(self.definitions()) {
            Some(text) => Ok(Some(text)),
            None if self.evaluator.lacks_value(&item) => Ok(None),
            None => Err(self.wrong_type(&item)),
        }
    }

    /// The only item of an argument as a value; `None` if it is empty or not given.
    pub(crate) fn argument_value(&self, place: usize) -> Result<Option<Item<'a>>, Failure> {
        let Some(code) = self.argument(place) else {
            return Ok(None);
        };
        let item = self
            .evaluator
            .single(code, self.scope, self.name(), self.call.position)?;
        match item {
            Some(item) => self.value_of(&item),
            None => Ok(None),
        }
    }

    /// An argument that must be an integer.
    pub(crate) fn argument_integer(&self, place: usize) -> Result<Option<i32>, Failure> {
        match self.argument_value(place)? {
            None => Ok(None),
            Some(Item::Integer(number)) => Ok(Some(number)),
            Some(other) => Err(self.wrong_type(&other)),
        }
    }

    /// Whether an argument is true for an item.
    pub(crate) fn is_true_for(
        &self,
        place: usize,
        item: &Item<'a>,
        index: usize,
    ) -> Result<Option<bool>, Failure> {
        match self.argument(place) {
            Some(code) => {
                let scope = self.scope.with(std::slice::from_ref(item), index);
                self.evaluator.truth(code, &scope)
            }
            None => Ok(Some(true)),
        }
    }
}
