//! Tokens to a syntax tree, by precedence climbing: <http://hl7.org/fhirpath/N1/grammar.html>.
//!
//! The parser guards the whole crate against deep nesting: a tree deeper than [`DEPTH_MAX`] is
//! refused, whether it nests by parentheses or by a long chain of steps, so that whoever walks one
//! may recurse.

use crate::ast::{Expr, ExprKind, Literal, Operator, SIGN_PRECEDENCE, TYPE_PRECEDENCE, TypeName};
use crate::error::{ParseError, ParseErrorKind};
use crate::lexer::{Token, TokenKind, tokens};
use crate::value::Unit;

/// The deepest tree that is built; no expression of R4 has more than 30 levels, but for unions.
pub const DEPTH_MAX: usize = 160;

/// The words that are operators and never names.
const RESERVED: &[&str] = &["and", "div", "false", "implies", "mod", "or", "true", "xor"];

/// The only function whose arguments may have a direction.
const SORT: &str = "sort";

/// Reads an expression.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    read(text).map_err(|error| error.in_text(text))
}

fn read(text: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    let (expression, _) = parser.expression(0)?;
    match parser.peek() {
        TokenKind::End => Ok(expression),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

/// An expression and how deep its tree is.
type Deep = (Expr, usize);

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// How many expressions are being read, each within the one before.
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &TokenKind {
        self.tokens
            .get(self.at)
            .map_or(&TokenKind::End, |token| &token.kind)
    }

    fn position(&self) -> usize {
        let token = self.tokens.get(self.at).or_else(|| self.tokens.last());
        token.map_or(0, |token| token.position)
    }

    fn fail<T>(&self, kind: ParseErrorKind) -> Result<T, ParseError> {
        let position = self.position();
        Err(ParseError::new(position, kind))
    }

    fn unexpected(&self, expected: &'static str) -> ParseError {
        ParseError::new(
            self.position(),
            ParseErrorKind::Expected {
                expected,
                found: self.peek().describe(),
            },
        )
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let is_there = matches!(self.peek(), TokenKind::Symbol(found) if *found == symbol);
        if is_there {
            self.at += 1;
        }
        is_there
    }

    fn expect_symbol(&mut self, symbol: &'static str) -> Result<(), ParseError> {
        if self.take_symbol(symbol) {
            return Ok(());
        }
        Err(self.unexpected(symbol))
    }

    /// Puts a node above others, if it does not get too deep.
    fn node(&self, position: usize, kind: ExprKind, below: usize) -> Result<Deep, ParseError> {
        if below >= DEPTH_MAX {
            return self.fail(ParseErrorKind::TooDeep { limit: DEPTH_MAX });
        }
        Ok((Expr { position, kind }, below + 1))
    }

    /// An expression of operators that bind at least so strongly.
    fn expression(&mut self, precedence_min: u8) -> Result<Deep, ParseError> {
        if self.depth >= DEPTH_MAX {
            return self.fail(ParseErrorKind::TooDeep { limit: DEPTH_MAX });
        }
        self.depth += 1;
        let mut left = self.operand()?;
        while let Some(word) = self.operator_word() {
            let position = self.position();
            if let Some(is_test) = is_type_operator(word) {
                if TYPE_PRECEDENCE < precedence_min {
                    break;
                }
                self.at += 1;
                let type_name = self.type_name()?;
                let kind = ExprKind::Type {
                    is_test,
                    operand: Box::new(left.0),
                    type_name,
                };
                left = self.node(position, kind, left.1)?;
                continue;
            }
            let Some((operator, precedence)) = Operator::parse(word) else {
                break;
            };
            if precedence < precedence_min {
                break;
            }
            self.at += 1;
            let right = self.expression(precedence + 1)?;
            let below = left.1.max(right.1);
            let kind = ExprKind::Binary {
                operator,
                left: Box::new(left.0),
                right: Box::new(right.0),
            };
            left = self.node(position, kind, below)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// The next token, if it may be an operator.
    fn operator_word(&self) -> Option<&str> {
        match self.peek() {
            TokenKind::Word(word) => Some(word),
            TokenKind::Symbol(symbol) => Some(symbol),
            _ => None,
        }
    }

    /// A signed operand, or a term with its steps.
    fn operand(&mut self) -> Result<Deep, ParseError> {
        let position = self.position();
        let is_negative = self.take_symbol("-");
        if is_negative || self.take_symbol("+") {
            let (operand, below) = self.expression(SIGN_PRECEDENCE)?;
            let kind = ExprKind::Sign {
                is_negative,
                operand: Box::new(operand),
            };
            return self.node(position, kind, below);
        }
        let mut left = self.term()?;
        loop {
            let position = self.position();
            if self.take_symbol(".") {
                left = self.invocation(Some(left))?;
            } else if self.take_symbol("[") {
                let (index, index_depth) = self.expression(0)?;
                self.expect_symbol("]")?;
                let below = left.1.max(index_depth);
                let kind = ExprKind::Indexer {
                    input: Box::new(left.0),
                    index: Box::new(index),
                };
                left = self.node(position, kind, below)?;
            } else {
                return Ok(left);
            }
        }
    }

    fn term(&mut self) -> Result<Deep, ParseError> {
        let position = self.position();
        let kind = match self.peek() {
            TokenKind::Symbol("(") => {
                self.at += 1;
                let inner = self.expression(0)?;
                self.expect_symbol(")")?;
                return Ok(inner);
            }
            TokenKind::Symbol("{") => {
                self.at += 1;
                self.expect_symbol("}")?;
                return self.node(position, ExprKind::Empty, 0);
            }
            TokenKind::External(name) => ExprKind::External(name.clone()),
            TokenKind::Word(_) | TokenKind::Delimited(_) | TokenKind::Special(_) => {
                if let Some(truth) = self.boolean() {
                    ExprKind::Literal(Literal::Boolean(truth))
                } else {
                    return self.invocation(None);
                }
            }
            TokenKind::Integer(_) | TokenKind::Decimal(_) => return self.number(),
            TokenKind::String(text) => ExprKind::Literal(Literal::String(text.clone())),
            TokenKind::Date(date) => ExprKind::Literal(Literal::Date(*date)),
            TokenKind::DateTime(moment) => ExprKind::Literal(Literal::DateTime(*moment)),
            TokenKind::Time(time) => ExprKind::Literal(Literal::Time(*time)),
            TokenKind::Symbol(_) | TokenKind::End => {
                return Err(self.unexpected("an expression"));
            }
        };
        self.at += 1;
        self.node(position, kind, 0)
    }

    fn boolean(&self) -> Option<bool> {
        match self.peek() {
            TokenKind::Word(word) if word == "true" => Some(true),
            TokenKind::Word(word) if word == "false" => Some(false),
            _ => None,
        }
    }

    /// A number, or a quantity if a unit follows it.
    fn number(&mut self) -> Result<Deep, ParseError> {
        let position = self.position();
        let literal = match self.peek() {
            TokenKind::Integer(number) => Literal::Integer(*number),
            TokenKind::Decimal(number) => Literal::Decimal(*number),
            _ => return Err(self.unexpected("a number")),
        };
        self.at += 1;
        let unit = match self.peek() {
            TokenKind::String(unit) => Some(Unit::ucum(unit.clone())),
            TokenKind::Word(word) => Unit::calendar(word),
            _ => None,
        };
        let Some(unit) = unit else {
            return self.node(position, ExprKind::Literal(literal), 0);
        };
        self.at += 1;
        let value = match literal {
            Literal::Integer(number) => number.into(),
            Literal::Decimal(number) => number,
            _ => return Err(self.unexpected("a number")),
        };
        self.node(
            position,
            ExprKind::Literal(Literal::Quantity(value, unit)),
            0,
        )
    }

    /// `name`, `exists()` or `$this`, after a dot or at the start.
    fn invocation(&mut self, input: Option<Deep>) -> Result<Deep, ParseError> {
        let position = self.position();
        if let TokenKind::Special(special) = *self.peek() {
            // The grammar admits `name.$this`; it means nothing that `$this` alone does not.
            if input.is_some() {
                return Err(self.unexpected("the name of an element or function"));
            }
            self.at += 1;
            let kind = match special {
                "index" => ExprKind::Index,
                "total" => ExprKind::Total,
                _ => ExprKind::This,
            };
            return self.node(position, kind, 0);
        }
        let name = self.identifier()?;
        let (input, mut below) = match input {
            Some((input, depth)) => (Some(Box::new(input)), depth),
            None => (None, 0),
        };
        if !self.take_symbol("(") {
            return self.node(position, ExprKind::Member { input, name }, below);
        }
        let mut arguments = Vec::new();
        if !self.take_symbol(")") {
            loop {
                let argument = self.expression(0)?;
                let (argument, depth) = match self.direction() {
                    Some(is_descending) if name == SORT => {
                        self.directed(argument, is_descending)?
                    }
                    _ => argument,
                };
                arguments.push(argument);
                below = below.max(depth);
                if !self.take_symbol(",") {
                    break;
                }
            }
            self.expect_symbol(")")?;
        }
        let kind = ExprKind::Call {
            input,
            name,
            arguments,
        };
        self.node(position, kind, below)
    }

    /// Whether `desc` or `asc` comes next: true for the former.
    fn direction(&self) -> Option<bool> {
        match self.peek() {
            TokenKind::Word(word) if word == "desc" => Some(true),
            TokenKind::Word(word) if word == "asc" => Some(false),
            _ => None,
        }
    }

    /// A key of `sort()` with its direction.
    fn directed(&mut self, key: Deep, is_descending: bool) -> Result<Deep, ParseError> {
        let position = self.position();
        self.at += 1;
        let kind = ExprKind::Direction {
            is_descending,
            key: Box::new(key.0),
        };
        self.node(position, kind, key.1)
    }

    fn identifier(&mut self) -> Result<String, ParseError> {
        let name = match self.peek() {
            TokenKind::Delimited(name) => name.clone(),
            TokenKind::Word(word) if !RESERVED.contains(&word.as_str()) => word.clone(),
            _ => return Err(self.unexpected("the name of an element or function")),
        };
        self.at += 1;
        Ok(name)
    }

    fn type_name(&mut self) -> Result<TypeName, ParseError> {
        let first = self.identifier()?;
        // `value is Quantity.not()` does not end in a type name: the dot belongs to a call, which
        // the grammar does not admit here; what follows the name tells the two apart.
        if !matches!(self.peek(), TokenKind::Symbol(".")) {
            let (namespace, name) = (None, first);
            return Ok(TypeName { namespace, name });
        }
        self.at += 1;
        let name = self.identifier()?;
        let namespace = Some(first);
        Ok(TypeName { namespace, name })
    }
}

/// Whether a word is `is` (true) or `as` (false).
fn is_type_operator(word: &str) -> Option<bool> {
    match word {
        "is" => Some(true),
        "as" => Some(false),
        _ => None,
    }
}
