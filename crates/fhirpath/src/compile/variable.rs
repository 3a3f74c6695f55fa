//! Variables: those that every expression has, and those that `defineVariable()` makes for the rest of
//! a path: <http://hl7.org/fhirpath/#definevariable>.
//!
//! A path with a definition becomes a [`Let`]: what stands before it is kept, and the rest takes it
//! from there, so that the variable is there whatever the rest evaluates first.

use crate::ast::{Expr, ExprKind, Literal};
use crate::code::{Code, Let, Meaning, Variable};
use crate::compile::{Compiler, Shape, Typed};
use crate::error::{ParseError, ParseErrorKind};

/// A variable, where its value is kept and what that is.
pub(super) struct Defined {
    name: String,
    slot: usize,
    shape: Shape,
}

/// A [`Let`] whose body is not compiled yet.
pub(super) struct Pending {
    position: usize,
    input: Code,
    value: Option<Code>,
    input_slot: usize,
    value_slot: usize,
}

/// Makes the meaning of a variable.
type MakeMeaning = fn() -> Meaning;

/// The variables that every expression has.
const VARIABLES: &[(&str, MakeMeaning)] = &[
    ("context", || Meaning::Context),
    ("resource", || Meaning::Resource),
    ("rootResource", || Meaning::RootResource),
    ("ucum", || Meaning::Text("http://unitsofmeasure.org".into())),
    ("sct", || Meaning::Text("http://snomed.info/sct".into())),
    ("loinc", || Meaning::Text("http://loinc.org".into())),
];

/// Variables that stand for URLs: what they start with and what the URLs start with.
const VARIABLE_PREFIXES: &[(&str, &str)] = &[
    ("vs-", "http://hl7.org/fhir/ValueSet/"),
    ("ext-", "http://hl7.org/fhir/StructureDefinition/"),
];

impl Compiler<'_> {
    /// An expression of its own: variables that it defines end with it.
    pub(super) fn scoped(&mut self, expression: &Expr, this: &Shape) -> Result<Typed, ParseError> {
        let count = self.variables.len();
        let outer = std::mem::take(&mut self.pending);
        let (code, shape) = self.expression(expression, this)?;
        self.variables.truncate(count);
        let pending = std::mem::replace(&mut self.pending, outer);
        let code = pending.into_iter().rev().fold(code, |body, pending| {
            Code::Let(Box::new(Let {
                position: pending.position,
                input: pending.input,
                value: pending.value,
                input_slot: pending.input_slot,
                value_slot: pending.value_slot,
                body,
            }))
        });
        Ok((code, shape))
    }

    fn slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// `%name`: what `defineVariable()` has made, or what every expression has.
    pub(super) fn variable(&self, name: &str, position: usize) -> Typed {
        let defined = self.variables.iter().rfind(|defined| defined.name == name);
        match defined {
            Some(defined) => (Code::Slot(defined.slot), defined.shape.clone()),
            None => (named(name, position), Shape::Unknown),
        }
    }

    /// `defineVariable(name, value)`: the rest of the path is compiled with the variable.
    pub(super) fn definition(
        &mut self,
        (input, from): Typed,
        arguments: &[Expr],
        position: usize,
    ) -> Result<Typed, ParseError> {
        let refused = |name: String| {
            let kind = ParseErrorKind::VariableName(name);
            Err(ParseError::new(position, kind))
        };
        let name = match arguments.first().map(|argument| &argument.kind) {
            Some(ExprKind::Literal(Literal::String(name))) => name.clone(),
            Some(_) => return refused("an expression".to_owned()),
            None => return refused("nothing".to_owned()),
        };
        let is_taken = self.variables.iter().any(|defined| defined.name == name)
            || VARIABLES.iter().any(|(fixed, _)| *fixed == name);
        if is_taken {
            return refused(name);
        }
        let (value, shape) = match arguments.get(1) {
            Some(value) => {
                let (code, shape) = self.scoped(value, &from)?;
                (Some(code), shape)
            }
            None => (None, from.clone()),
        };
        let (input_slot, slot) = (self.slot(), self.slot());
        self.pending.push(Pending {
            position,
            input,
            value,
            input_slot,
            value_slot: slot,
        });
        self.variables.push(Defined { name, slot, shape });
        Ok((Code::Slot(input_slot), from))
    }
}

/// A variable that no `defineVariable()` has made.
fn named(name: &str, position: usize) -> Code {
    let fixed = VARIABLES.iter().find(|(fixed, _)| *fixed == name);
    let meaning = match fixed {
        Some((_, meaning)) => meaning(),
        None => VARIABLE_PREFIXES
            .iter()
            .find_map(|(prefix, url)| Some(format!("{url}{}", name.strip_prefix(prefix)?)))
            .map_or(Meaning::External, |url| Meaning::Text(url.into())),
    };
    Code::Variable(Box::new(Variable {
        position,
        name: name.into(),
        meaning,
    }))
}
