//! The syntax tree of an expression, as the parser gives it and as it is printed.
//!
//! It says what was written, not what it means: names of types, elements and functions are texts.
//! `Display` writes an expression that parses to the same tree.

use std::fmt;

use rust_decimal::Decimal;

use crate::value::{Temporal, TimeText, Unit};

/// A part of an expression, with the place where it starts or has its operator.
#[derive(Clone, Debug)]
pub struct Expr {
    /// The byte of the text.
    pub position: usize,
    /// What it is.
    pub kind: ExprKind,
}

/// What a part of an expression is.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `{}`
    Empty,
    /// A literal.
    Literal(Literal),
    /// `%resource`
    External(String),
    /// `$this`
    This,
    /// `$index`
    Index,
    /// `$total`
    Total,
    /// `name`, `Patient`, `Patient.name`
    Member {
        /// What stands before the dot.
        input: Option<Box<Expr>>,
        /// What stands after it.
        name: String,
    },
    /// `exists()`, `name.where(use = 'official')`
    Call {
        /// What stands before the dot.
        input: Option<Box<Expr>>,
        /// The name of the function.
        name: String,
        /// What stands in the parentheses.
        arguments: Vec<Expr>,
    },
    /// `name[0]`
    Indexer {
        /// What is indexed.
        input: Box<Expr>,
        /// The number.
        index: Box<Expr>,
    },
    /// `-1`, `+1`
    Sign {
        /// Whether the sign is a minus.
        is_negative: bool,
        /// What stands after it.
        operand: Box<Expr>,
    },
    /// `a and b`
    Binary {
        /// The operator.
        operator: Operator,
        /// What stands before it.
        left: Box<Expr>,
        /// What stands after it.
        right: Box<Expr>,
    },
    /// `family desc`: a key of `sort()`, and which way it sorts.
    Direction {
        /// Whether the greatest comes first.
        is_descending: bool,
        /// What is compared.
        key: Box<Expr>,
    },
    /// `value is Quantity`, `value as Quantity`
    Type {
        /// Whether it asks (`is`) or filters (`as`).
        is_test: bool,
        /// What stands before it.
        operand: Box<Expr>,
        /// The name of the type.
        type_name: TypeName,
    },
}

/// A literal value.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each variant is a literal of that type")]
pub enum Literal {
    Boolean(bool),
    Integer(i32),
    Decimal(Decimal),
    String(String),
    Date(Temporal),
    DateTime(Temporal),
    Time(Temporal),
    Quantity(Decimal, Unit<'static>),
}

/// `Quantity`, `FHIR.Quantity`, `System.Quantity`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    /// What stands before the dot.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl Expr {
    /// The type that an expression names, where the grammar has an expression but a type is meant:
    /// `ofType(FHIR.Quantity)`.
    pub fn type_name(&self) -> Option<TypeName> {
        let ExprKind::Member { input, name } = &self.kind else {
            return None;
        };
        let namespace = match input.as_deref() {
            None => None,
            Some(Self {
                kind:
                    ExprKind::Member {
                        input: None,
                        name: namespace,
                    },
                ..
            }) => Some(namespace.clone()),
            Some(_) => return None,
        };
        let name = name.clone();
        Some(TypeName { namespace, name })
    }

    /// Whether it is written without an operator, so that a dot may follow it.
    fn is_term(&self) -> bool {
        match &self.kind {
            ExprKind::Sign { .. }
            | ExprKind::Binary { .. }
            | ExprKind::Direction { .. }
            | ExprKind::Type { .. } => false,
            ExprKind::Literal(Literal::Quantity(_, unit)) => !unit.is_calendar(),
            _ => true,
        }
    }
}

/// An operator with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the operator of that name")]
pub enum Operator {
    Multiply,
    Divide,
    Div,
    Mod,
    Add,
    Subtract,
    Concatenate,
    Union,
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
    Equivalent,
    NotEqual,
    NotEquivalent,
    In,
    Contains,
    And,
    Xor,
    Or,
    Implies,
}

/// How strongly `is` and `as` bind: between `+` and `|`.
pub(crate) const TYPE_PRECEDENCE: u8 = 7;
/// How strongly a sign binds: more than any operator with two operands.
pub(crate) const SIGN_PRECEDENCE: u8 = 10;

/// Every operator, how it is written and how strongly it binds:
/// <http://hl7.org/fhirpath/N1/#operator-precedence>.
const OPERATORS: &[(Operator, &str, u8)] = &[
    (Operator::Multiply, "*", 9),
    (Operator::Divide, "/", 9),
    (Operator::Div, "div", 9),
    (Operator::Mod, "mod", 9),
    (Operator::Add, "+", 8),
    (Operator::Subtract, "-", 8),
    (Operator::Concatenate, "&", 8),
    (Operator::Union, "|", 6),
    (Operator::LessOrEqual, "<=", 5),
    (Operator::Less, "<", 5),
    (Operator::GreaterOrEqual, ">=", 5),
    (Operator::Greater, ">", 5),
    (Operator::Equal, "=", 4),
    (Operator::Equivalent, "~", 4),
    (Operator::NotEqual, "!=", 4),
    (Operator::NotEquivalent, "!~", 4),
    (Operator::In, "in", 3),
    (Operator::Contains, "contains", 3),
    (Operator::And, "and", 2),
    (Operator::Xor, "xor", 1),
    (Operator::Or, "or", 1),
    (Operator::Implies, "implies", 0),
];

impl Operator {
    /// The operator that is written so, and how strongly it binds.
    pub(crate) fn parse(text: &str) -> Option<(Self, u8)> {
        OPERATORS
            .iter()
            .find(|(_, spelling, _)| *spelling == text)
            .map(|(operator, _, precedence)| (*operator, *precedence))
    }

    /// How it is written.
    pub fn text(self) -> &'static str {
        OPERATORS
            .iter()
            .find(|(operator, _, _)| *operator == self)
            .map_or("", |(_, spelling, _)| spelling)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Empty => formatter.write_str("{}"),
            ExprKind::Literal(literal) => literal.fmt(formatter),
            ExprKind::External(name) => write!(formatter, "%{}", Quoted(name, '`')),
            ExprKind::This => formatter.write_str("$this"),
            ExprKind::Index => formatter.write_str("$index"),
            ExprKind::Total => formatter.write_str("$total"),
            ExprKind::Member { input, name } => {
                write_input(formatter, input.as_deref())?;
                Identifier(name).fmt(formatter)
            }
            ExprKind::Call {
                input,
                name,
                arguments,
            } => {
                write_input(formatter, input.as_deref())?;
                write_call(formatter, name, arguments)
            }
            ExprKind::Indexer { input, index } => write!(formatter, "{}[{index}]", Term(input)),
            ExprKind::Sign {
                is_negative,
                operand,
            } => {
                let sign = if *is_negative { '-' } else { '+' };
                write!(formatter, "{sign}{}", Term(operand))
            }
            ExprKind::Binary {
                operator,
                left,
                right,
            } => write!(
                formatter,
                "{} {} {}",
                Term(left),
                operator.text(),
                Term(right)
            ),
            ExprKind::Direction { is_descending, key } => {
                let direction = if *is_descending { "desc" } else { "asc" };
                write!(formatter, "{key} {direction}")
            }
            ExprKind::Type {
                is_test,
                operand,
                type_name,
            } => {
                let operator = if *is_test { "is" } else { "as" };
                write!(formatter, "{} {operator} {type_name}", Term(operand))
            }
        }
    }
}

fn write_input(formatter: &mut fmt::Formatter<'_>, input: Option<&Expr>) -> fmt::Result {
    match input {
        Some(input) => write!(formatter, "{}.", Term(input)),
        None => Ok(()),
    }
}

fn write_call(formatter: &mut fmt::Formatter<'_>, name: &str, arguments: &[Expr]) -> fmt::Result {
    write!(formatter, "{}(", Identifier(name))?;
    for (place, argument) in arguments.iter().enumerate() {
        if place > 0 {
            formatter.write_str(", ")?;
        }
        write!(formatter, "{argument}")?;
    }
    formatter.write_str(")")
}

/// An expression in parentheses where it needs them to stand before a dot or in an operator.
struct Term<'a>(&'a Expr);

impl fmt::Display for Term<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_term() {
            self.0.fmt(formatter)
        } else {
            write!(formatter, "({})", self.0)
        }
    }
}

/// A name, in backticks where it is not a word or is an operator.
struct Identifier<'a>(&'a str);

impl fmt::Display for Identifier<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_word = self
            .0
            .starts_with(|first: char| first.is_ascii_alphabetic())
            && self.0.chars().all(|next| next.is_ascii_alphanumeric())
            && Operator::parse(self.0).is_none()
            && !matches!(self.0, "is" | "as" | "true" | "false");
        if is_word && !Unit::is_calendar_word(self.0) {
            formatter.write_str(self.0)
        } else {
            Quoted(self.0, '`').fmt(formatter)
        }
    }
}

/// A text between quotes, with the escapes that it needs.
struct Quoted<'a>(&'a str, char);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, quote) = self;
        write!(formatter, "{quote}")?;
        for next in text.chars() {
            if next == *quote || next == '\\' {
                formatter.write_str("\\")?;
            }
            write!(formatter, "{next}")?;
        }
        write!(formatter, "{quote}")
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(truth) => truth.fmt(formatter),
            Self::Integer(number) => number.fmt(formatter),
            Self::Decimal(number) => number.fmt(formatter),
            Self::String(text) => Quoted(text, '\'').fmt(formatter),
            Self::Date(date) => write!(formatter, "@{date}"),
            Self::DateTime(moment) if moment.has_time() => write!(formatter, "@{moment}"),
            Self::DateTime(moment) => write!(formatter, "@{moment}T"),
            Self::Time(time) => write!(formatter, "@T{}", TimeText(time)),
            Self::Quantity(value, unit) if unit.is_calendar() => {
                write!(formatter, "{value} {}", unit.text())
            }
            Self::Quantity(value, unit) => {
                write!(formatter, "{value} {}", Quoted(unit.text(), '\''))
            }
        }
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(formatter, "{}.", Identifier(namespace))?;
        }
        Identifier(&self.name).fmt(formatter)
    }
}
