//! Syntax to code: names become numbers, functions are looked up, constants folded.
//!
//! Where the type of the context is known, types are carried along the path, so that a step knows
//! its property before any resource is seen. With [`Options::check`] what cannot be right for the
//! types is refused; without it, it is simply empty.

use fhir_model::definition::{Definitions, SystemKind, TypeId, TypeKind};
use fhir_model::name::Name;

use crate::ast::{Expr, ExprKind, Literal, Operator, TypeName};
use crate::code::{Access, Binary, Call, Code, Member, Sign, TypeStep, TypeTest};
use crate::error::{ParseError, ParseErrorKind};
use crate::expression::Options;
use crate::function::{self, Argument, Function};

mod known;
mod shape;
mod variable;

pub(crate) use known::Known;
pub(crate) use shape::Shape;
use variable::{Defined, Pending};

/// The code of an expression.
pub(crate) fn compile(
    expression: &Expr,
    definitions: &Definitions,
    options: Options,
) -> Result<Code, ParseError> {
    let mut compiler = Compiler {
        definitions,
        options,
        variables: Vec::new(),
        pending: Vec::new(),
        slots: 0,
    };
    let this = match options.root {
        Some(root) => Shape::of(root, definitions),
        None => Shape::Unknown,
    };
    compiler.scoped(expression, &this).map(|(code, _)| code)
}

/// Code and what it gives, as far as that is known.
type Typed = (Code, Shape);

struct Compiler<'a> {
    definitions: &'a Definitions,
    options: Options,
    /// The variables that `defineVariable()` has made here, the innermost last.
    variables: Vec<Defined>,
    /// The definitions in the path that is being compiled, which end with it.
    pending: Vec<Pending>,
    /// How many slots there are.
    slots: usize,
}

/// The names of the system types.
const SYSTEM_NAMES: &[(&str, SystemKind)] = &[
    ("Boolean", SystemKind::Boolean),
    ("Date", SystemKind::Date),
    ("DateTime", SystemKind::DateTime),
    ("Decimal", SystemKind::Decimal),
    ("Integer", SystemKind::Integer),
    ("Quantity", SystemKind::Quantity),
    ("String", SystemKind::String),
    ("Time", SystemKind::Time),
];

impl Compiler<'_> {
    /// A key of `sort()`: one that descends is written with a sign, as FHIRPath once had it.
    fn directed(
        &mut self,
        is_descending: bool,
        key: &Expr,
        this: &Shape,
        position: usize,
    ) -> Result<Typed, ParseError> {
        let (operand, shape) = self.scoped(key, this)?;
        if !is_descending {
            return Ok((operand, shape));
        }
        let sign = Sign {
            position,
            is_negative: true,
            operand,
        };
        Ok((Code::Sign(Box::new(sign)), shape))
    }

    fn expression(&mut self, expression: &Expr, this: &Shape) -> Result<Typed, ParseError> {
        let position = expression.position;
        Ok(match &expression.kind {
            ExprKind::Empty => (Code::Empty, Shape::Unknown),
            ExprKind::Literal(literal) => (Code::Literal(literal.clone()), Shape::literal(literal)),
            ExprKind::This => (Code::This, this.clone()),
            ExprKind::Index => (Code::Index, Shape::System(SystemKind::Integer)),
            ExprKind::Total => (Code::Total, Shape::Unknown),
            ExprKind::External(name) => self.variable(name, position),
            ExprKind::Direction { is_descending, key } => {
                return self.directed(*is_descending, key, this, position);
            }
            ExprKind::Member { input, name } => {
                return self.member(input.as_deref(), name, this, position);
            }
            ExprKind::Call {
                input,
                name,
                arguments,
            } => return self.call(input.as_deref(), name, arguments, this, position),
            ExprKind::Indexer { input, index } => {
                let (left, shape) = self.expression(input, this)?;
                let (right, _) = self.scoped(index, this)?;
                self.check_ordered(&shape, "[]", position)?;
                let indexer = Binary {
                    position,
                    operator: Operator::Contains,
                    left,
                    right,
                    is_count: false,
                };
                (Code::Indexer(Box::new(indexer)), shape)
            }
            ExprKind::Sign {
                is_negative,
                operand,
            } => self.sign(*is_negative, operand, this, position)?,
            ExprKind::Binary {
                operator,
                left,
                right,
            } => {
                let left = self.scoped(left, this)?;
                let right = self.scoped(right, this)?;
                self.check_operands(*operator, &left.1, &right.1, position)?;
                let shape = Shape::of_operator(*operator, &left.1, &right.1);
                let binary = Binary {
                    position,
                    operator: *operator,
                    is_count: is_count(&left.0),
                    left: left.0,
                    right: right.0,
                };
                (Code::Binary(Box::new(binary)), shape)
            }
            ExprKind::Type {
                is_test,
                operand,
                type_name,
            } => {
                let (operand, _) = self.scoped(operand, this)?;
                let test = self.type_test(type_name, position)?;
                let shape = if *is_test {
                    Shape::System(SystemKind::Boolean)
                } else {
                    Shape::of_test(test, self.definitions)
                };
                let step = TypeStep {
                    position,
                    is_test: *is_test,
                    operand,
                    test,
                };
                (Code::Type(Box::new(step)), shape)
            }
        })
    }

    /// A signed number is a literal.
    fn sign(
        &mut self,
        is_negative: bool,
        operand: &Expr,
        this: &Shape,
        position: usize,
    ) -> Result<Typed, ParseError> {
        let (operand, shape) = self.scoped(operand, this)?;
        let folded = match &operand {
            Code::Literal(literal) if is_negative => negated(literal),
            Code::Literal(Literal::Integer(_) | Literal::Decimal(_)) => {
                return Ok((operand, shape));
            }
            _ => None,
        };
        let code = folded.map_or_else(
            || {
                Code::Sign(Box::new(Sign {
                    position,
                    is_negative,
                    operand,
                }))
            },
            Code::Literal,
        );
        Ok((code, shape))
    }

    fn member(
        &mut self,
        input: Option<&Expr>,
        name: &str,
        this: &Shape,
        position: usize,
    ) -> Result<Typed, ParseError> {
        let (input, from) = match input {
            Some(input) => self.expression(input, this)?,
            None => match self.start(name, this, position)? {
                Some(start) => return Ok(start),
                None => (Code::This, this.clone()),
            },
        };
        let number = self.definitions.names().get(name);
        let number = number.unwrap_or(Name::UNKNOWN);
        let (expected, shape) = self.accesses(&from, number);
        if self.options.check && expected.is_empty() && shape.is_impossible() {
            return Err(ParseError::new(
                position,
                ParseErrorKind::UnknownElement {
                    type_name: from.describe(self.definitions),
                    name: name.to_owned(),
                },
            ));
        }
        let member = Member {
            input,
            name: number,
            text: name.into(),
            expected,
        };
        Ok((Code::Member(Box::new(member)), shape))
    }

    /// The name of a type at the start of a path.
    fn start(
        &self,
        name: &str,
        this: &Shape,
        position: usize,
    ) -> Result<Option<Typed>, ParseError> {
        let is_type = name.starts_with(|first: char| first.is_ascii_uppercase());
        let Some(type_id) = self.definitions.type_named(name).filter(|_| is_type) else {
            return Ok(None);
        };
        let shape = match this.narrowed(type_id, self.definitions) {
            Some(shape) => shape,
            None if self.options.check => {
                return Err(ParseError::new(
                    position,
                    ParseErrorKind::WrongContext {
                        expected: name.to_owned(),
                        found: this.describe(self.definitions),
                    },
                ));
            }
            None => Shape::of(type_id, self.definitions),
        };
        Ok(Some((Code::Start(type_id), shape)))
    }

    /// How each of the types has the element, and of which types it then is.
    fn accesses(&self, from: &Shape, name: Name) -> (Box<[(TypeId, Access)]>, Shape) {
        let Shape::Types(types) = from else {
            return (Box::default(), from.member());
        };
        let mut accesses = Vec::new();
        let mut found = Vec::new();
        for type_id in types {
            let Some(access) = access(self.definitions, *type_id, name, self.options.json_names)
            else {
                continue;
            };
            match &access {
                Access::Property(type_id) | Access::Resource(type_id) => found.push(*type_id),
                Access::Choice(choices) => found.extend(choices.iter().map(|(_, id)| *id)),
            }
            accesses.push((*type_id, access));
        }
        (accesses.into(), Shape::of_all(found, self.definitions))
    }

    fn call(
        &mut self,
        input: Option<&Expr>,
        name: &str,
        arguments: &[Expr],
        this: &Shape,
        position: usize,
    ) -> Result<Typed, ParseError> {
        let fail = |kind| Err(ParseError::new(position, kind));
        let Some(function) = function::find(name) else {
            return fail(ParseErrorKind::UnknownFunction(name.to_owned()));
        };
        if !function.takes(arguments.len()) {
            return fail(ParseErrorKind::ArgumentCount {
                name: function.name,
                expected: function.counts(),
                found: arguments.len(),
            });
        }
        let (input, from) = match input {
            Some(input) => self.expression(input, this)?,
            None => (Code::This, this.clone()),
        };
        self.check_input(function, &from, position)?;
        match function.argument {
            Argument::Type => return self.type_call(function, (input, from), arguments, position),
            Argument::Definition => return self.definition((input, from), arguments, position),
            _ => {}
        }
        let inner = match function.argument {
            Argument::Value | Argument::Type | Argument::Definition => this,
            Argument::Lambda | Argument::Whole => &from,
            Argument::Unknown => &Shape::Unknown,
        };
        let mut shapes = Vec::new();
        let mut codes = Vec::new();
        for argument in arguments {
            let (code, shape) = self.scoped(argument, inner)?;
            codes.push(code);
            shapes.push(shape);
        }
        let regex = regex(function, codes.first(), position)?;
        let shape = function.shape(&from, &shapes);
        let call = Call {
            position,
            function,
            input,
            arguments: codes.into(),
            test: None,
            regex,
        };
        Ok((Code::Call(Box::new(call)), shape))
    }

    /// `is(T)`, `as(T)`, `ofType(T)`
    fn type_call(
        &mut self,
        function: &'static Function,
        (input, from): Typed,
        arguments: &[Expr],
        position: usize,
    ) -> Result<Typed, ParseError> {
        let type_name = arguments.first().and_then(Expr::type_name);
        let Some(type_name) = type_name else {
            return Err(ParseError::new(
                position,
                ParseErrorKind::TypeExpected(function.name),
            ));
        };
        let test = self.type_test(&type_name, position)?;
        let shape = function.shape(&from, &[Shape::of_test(test, self.definitions)]);
        let call = Call {
            position,
            function,
            input,
            arguments: Box::default(),
            test: Some(test),
            regex: None,
        };
        Ok((Code::Call(Box::new(call)), shape))
    }

    /// What a type name means: <https://hl7.org/fhir/R4/fhirpath.html#types>.
    fn type_test(&self, name: &TypeName, position: usize) -> Result<TypeTest, ParseError> {
        let namespace = name.namespace.as_deref();
        let system = SYSTEM_NAMES
            .iter()
            .find(|(system, _)| *system == name.name)
            .map(|(_, kind)| *kind)
            .filter(|_| namespace != Some("FHIR"));
        let fhir = self
            .definitions
            .type_named(&name.name)
            .filter(|_| namespace != Some("System"));
        let is_alike = !self.options.exact && namespace.is_none() && fhir.is_none();
        let fhir = fhir.or_else(|| {
            let (first, rest) = name.name.split_at_checked(1)?;
            let alike = format!("{}{rest}", first.to_ascii_lowercase());
            self.definitions.type_named(&alike).filter(|_| is_alike)
        });
        let is_namespace = matches!(namespace, None | Some("FHIR" | "System"));
        if system.is_none() && fhir.is_none() || !is_namespace {
            return Err(ParseError::new(
                position,
                ParseErrorKind::UnknownType(name.to_string()),
            ));
        }
        Ok(TypeTest { system, fhir })
    }

    fn check_input(
        &self,
        function: &'static Function,
        from: &Shape,
        position: usize,
    ) -> Result<(), ParseError> {
        if function.needs_order {
            self.check_ordered(from, function.name, position)?;
        }
        if self.options.check && !function.accepts(from, self.definitions) {
            return Err(ParseError::new(
                position,
                ParseErrorKind::WrongType {
                    what: format!("{}()", function.name),
                    type_name: from.describe(self.definitions),
                },
            ));
        }
        Ok(())
    }

    fn check_ordered(
        &self,
        from: &Shape,
        what: &'static str,
        position: usize,
    ) -> Result<(), ParseError> {
        if self.options.check && *from == Shape::Unordered {
            let kind = ParseErrorKind::Unordered(what);
            return Err(ParseError::new(position, kind));
        }
        Ok(())
    }

    fn check_operands(
        &self,
        operator: Operator,
        left: &Shape,
        right: &Shape,
        position: usize,
    ) -> Result<(), ParseError> {
        if self.options.check && !Shape::are_operands(operator, left, right) {
            return Err(ParseError::new(
                position,
                ParseErrorKind::WrongType {
                    what: operator.text().to_owned(),
                    type_name: left.describe(self.definitions),
                },
            ));
        }
        Ok(())
    }
}

/// How a type has an element with this name.
fn access(
    definitions: &Definitions,
    type_id: TypeId,
    name: Name,
    has_json_names: bool,
) -> Option<Access> {
    if let Some(property) = definitions.property(type_id, name) {
        // `valueQuantity` is how JSON spells it; in a path the element is `value`.
        if property.is_choice && !has_json_names {
            return None;
        }
        return Some(match definitions.type_of(property.type_id).kind {
            TypeKind::Resource => Access::Resource(property.type_id),
            _ => Access::Property(property.type_id),
        });
    }
    let choices = definitions.choices(type_id, name);
    if choices.is_empty() {
        return None;
    }
    let mut sorted: Vec<(Name, TypeId)> = choices
        .iter()
        .map(|choice| (choice.name, choice.type_id))
        .collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    Some(Access::Choice(sorted.into()))
}

/// Whether code is the count of a path of elements, which cannot fail.
fn is_count(code: &Code) -> bool {
    matches!(code, Code::Call(call) if call.function.name == "count" && is_path(&call.input))
}

/// Whether code gives elements below the context, and cannot fail.
fn is_path(code: &Code) -> bool {
    match code {
        Code::This => true,
        Code::Member(member) => is_path(&member.input),
        Code::Call(call) => {
            matches!(call.function.name, "children" | "descendants") && is_path(&call.input)
        }
        _ => false,
    }
}

/// A literal with the other sign.
fn negated(literal: &Literal) -> Option<Literal> {
    Some(match literal {
        Literal::Integer(number) => Literal::Integer(number.checked_neg()?),
        Literal::Decimal(number) => Literal::Decimal(-*number),
        Literal::Quantity(value, unit) => Literal::Quantity(-*value, unit.clone()),
        _ => return None,
    })
}

/// The regular expression of a function that takes one, if it is a literal.
fn regex(
    function: &Function,
    argument: Option<&Code>,
    position: usize,
) -> Result<Option<regex::Regex>, ParseError> {
    let Some(prepare) = function.regex else {
        return Ok(None);
    };
    let Some(Code::Literal(Literal::String(pattern))) = argument else {
        return Ok(None);
    };
    match prepare(pattern) {
        Some(regex) => Ok(Some(regex)),
        None => Err(ParseError::new(
            position,
            ParseErrorKind::Regex(pattern.clone()),
        )),
    }
}
