//! Why an expression cannot be compiled or evaluated; both kinds say where in the expression.
//!
//! An error never holds content of a resource: only words of the expression and names of types.
//! Inside the crate it knows its byte; line and column are counted at the door, where the text is.

use std::fmt;

use fhir_model::tree::LineColumn;

/// Why a text is not an expression that can be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The byte of the expression at which it is found.
    pub position: usize,
    /// The line and column of that byte, in characters from 1.
    pub place: LineColumn,
    /// What is wrong.
    pub kind: ParseErrorKind,
}

impl ParseError {
    pub(crate) const fn new(position: usize, kind: ParseErrorKind) -> Self {
        Self {
            position,
            place: START,
            kind,
        }
    }

    /// The same with its place in the expression.
    pub(crate) fn in_text(self, text: &str) -> Self {
        let place = place(text, self.position);
        Self { place, ..self }
    }
}

/// Where an expression starts.
const START: LineColumn = LineColumn { line: 1, column: 1 };

/// The line and column of a byte of an expression.
fn place(text: &str, position: usize) -> LineColumn {
    let before = text.get(..position).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = before.get(line_start..).unwrap_or_default();
    let count = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
    LineColumn {
        line: count(before.matches('\n').count()),
        column: count(line.chars().count()),
    }
}

/// The kinds of [`ParseError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// The text is longer than the limit.
    #[error("the expression is longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// Parentheses, operators or steps nest deeper than the limit.
    #[error("the expression nests deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A character that starts nothing.
    #[error("{0:?} is not expected here")]
    UnexpectedCharacter(char),
    /// A string, delimited identifier or comment without an end.
    #[error("{0} has no end")]
    Unterminated(&'static str),
    /// A backslash with something after it that is no escape.
    #[error("{0:?} is not an escape sequence")]
    Escape(String),
    /// A literal that is not of its type: month 13, a number with too many digits.
    #[error("{text} is not a valid {kind}")]
    Literal {
        /// What it should be.
        kind: &'static str,
        /// The literal.
        text: String,
    },
    /// Something else was to come.
    #[error("{expected} is expected, found {found}")]
    Expected {
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// No function has this name.
    #[error("function {0} is not known")]
    UnknownFunction(String),
    /// The function takes another number of arguments.
    #[error("function {name} takes {expected} arguments, found {found}")]
    ArgumentCount {
        /// The function.
        name: &'static str,
        /// How many it takes: `1`, `1 to 2`.
        expected: String,
        /// How many there are.
        found: usize,
    },
    /// No type has this name.
    #[error("type {0} is not known")]
    UnknownType(String),
    /// The argument of a function must name a type.
    #[error("the argument of {0} must be the name of a type")]
    TypeExpected(&'static str),
    /// A regular expression that cannot be read.
    #[error("{0:?} is not a regular expression that is supported")]
    Regex(String),
    /// The types that the path starts from have no such property.
    #[error("{type_name} has no element {name}")]
    UnknownElement {
        /// The type, or the first of several.
        type_name: String,
        /// The element.
        name: String,
    },
    /// The path starts with a type that the context cannot have.
    #[error("the expression is about {expected}, the context is {found}")]
    WrongContext {
        /// The type that the path starts with.
        expected: String,
        /// The type of the context.
        found: String,
    },
    /// An operator or a function is given something that it is not defined for.
    #[error("{what} cannot be used on {type_name}")]
    WrongType {
        /// The operator or function.
        what: String,
        /// The type that it is given.
        type_name: String,
    },
    /// `defineVariable()` with a name that is computed, or that something has already.
    #[error("defineVariable() takes a name as a literal that is not in use: {0} is")]
    VariableName(String),
    /// A function that depends on the order is used where there is none.
    #[error("{0} depends on an order, but the items have none")]
    Unordered(&'static str),
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_error(formatter, self.place, &self.kind)
    }
}

impl std::error::Error for ParseError {}

fn write_error(
    formatter: &mut fmt::Formatter<'_>,
    place: LineColumn,
    kind: &dyn fmt::Display,
) -> fmt::Result {
    let LineColumn { line, column } = place;
    write!(formatter, "at line {line}, column {column}: {kind}")
}

/// Why the evaluation of an expression was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluateError {
    /// The byte of the expression that was being evaluated.
    pub position: usize,
    /// The line and column of that byte, in characters from 1.
    pub place: LineColumn,
    /// What went wrong.
    pub kind: EvaluateErrorKind,
}

impl EvaluateError {
    pub(crate) const fn new(position: usize, kind: EvaluateErrorKind) -> Self {
        Self {
            position,
            place: START,
            kind,
        }
    }

    /// The same with its place in the expression.
    pub(crate) fn in_text(self, text: &str) -> Self {
        let place = place(text, self.position);
        Self { place, ..self }
    }
}

/// The kinds of [`EvaluateError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateErrorKind {
    /// The evaluation took more steps than the limit.
    #[error("the evaluation takes more than {limit} steps")]
    TooManySteps {
        /// The limit.
        limit: u32,
    },
    /// A collection grew beyond the limit.
    #[error("a collection has more than {limit} items")]
    TooManyItems {
        /// The limit.
        limit: usize,
    },
    /// A string grew beyond the limit.
    #[error("a string is longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// One item is wanted, there are several.
    #[error("{what} takes one item, there are several")]
    NotSingle {
        /// The operator or function.
        what: &'static str,
    },
    /// An operator or a function is given something that it is not defined for.
    #[error("{what} is not defined for {found}")]
    WrongType {
        /// The operator or function.
        what: &'static str,
        /// What it is given.
        found: String,
    },
    /// An environment variable that nobody defined.
    #[error("variable %{0} is not defined")]
    UnknownVariable(String),
    /// An argument that the function cannot work with.
    #[error("{what}: {reason}")]
    Argument {
        /// The function.
        what: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The context lacks what the function needs: a clock, a terminology, profiles.
    #[error("{what} is not available in this context")]
    Unavailable {
        /// The function.
        what: &'static str,
    },
}

impl fmt::Display for EvaluateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_error(formatter, self.place, &self.kind)
    }
}

impl std::error::Error for EvaluateError {}
