//! A compiled expression: names are numbers, functions are found, literals are values.

use fhir_model::definition::{Definitions, SystemKind, TypeId, TypeKind};
use fhir_model::name::Name;
use regex::Regex;

use crate::ast::{Literal, Operator};
use crate::function::Function;
use crate::value::{Item, TypeInfo};

/// A part of a compiled expression.
#[derive(Debug)]
pub(crate) enum Code {
    Empty,
    Literal(Literal),
    This,
    Index,
    Total,
    Variable(Box<Variable>),
    /// What an enclosing [`Let`] keeps here.
    Slot(usize),
    Let(Box<Let>),
    /// The name of a type at the start of a path: the context, if it is of that type.
    Start(TypeId),
    Member(Box<Member>),
    Indexer(Box<Binary>),
    Sign(Box<Sign>),
    Binary(Box<Binary>),
    Type(Box<TypeStep>),
    Call(Box<Call>),
}

/// `%name`
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) position: usize,
    pub(crate) name: Box<str>,
    pub(crate) meaning: Meaning,
}

/// A path that `defineVariable()` divides: what stands before it, its value, and the rest.
#[derive(Debug)]
pub(crate) struct Let {
    pub(crate) position: usize,
    /// What `defineVariable()` is called on, and passes on.
    pub(crate) input: Code,
    /// The value of the variable; the input itself if none is given.
    pub(crate) value: Option<Code>,
    /// Where the input is kept.
    pub(crate) input_slot: usize,
    /// Where the value is kept.
    pub(crate) value_slot: usize,
    /// The rest, which takes both from there.
    pub(crate) body: Code,
}

/// What a variable means.
#[derive(Debug)]
pub(crate) enum Meaning {
    Context,
    Resource,
    RootResource,
    /// The URL that it stands for.
    Text(Box<str>),
    /// What the caller says.
    External,
}

/// A step to the elements with a name.
#[derive(Debug)]
pub(crate) struct Member {
    /// What the step starts from; [`Code::This`] if the expression starts with it.
    pub(crate) input: Code,
    /// The name as a number; unknown if no definition has such an element.
    pub(crate) name: Name,
    /// The name, for what is no element: `type().name`.
    pub(crate) text: Box<str>,
    /// How the types that the path is expected to come from have it.
    pub(crate) expected: Box<[(TypeId, Access)]>,
}

/// How a type has an element.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// By a property of this type.
    Property(TypeId),
    /// By a property that holds resources.
    Resource(TypeId),
    /// By one of several properties, sorted by name.
    Choice(Box<[(Name, TypeId)]>),
}

/// A signed operand.
#[derive(Debug)]
pub(crate) struct Sign {
    pub(crate) position: usize,
    pub(crate) is_negative: bool,
    pub(crate) operand: Code,
}

/// Two operands, or a collection and an index.
#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) position: usize,
    pub(crate) operator: Operator,
    pub(crate) left: Code,
    pub(crate) right: Code,
    /// Whether the left side is the count of a path of elements, which need not be counted to the
    /// end.
    pub(crate) is_count: bool,
}

/// `is` and `as`.
#[derive(Debug)]
pub(crate) struct TypeStep {
    pub(crate) position: usize,
    pub(crate) is_test: bool,
    pub(crate) operand: Code,
    pub(crate) test: TypeTest,
}

/// A call of a function.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) position: usize,
    pub(crate) function: &'static Function,
    /// What the function works on; [`Code::This`] if nothing stands before it.
    pub(crate) input: Code,
    pub(crate) arguments: Box<[Code]>,
    /// The type that the argument names, if the function takes one.
    pub(crate) test: Option<TypeTest>,
    /// The regular expression that the argument holds, if it is a literal.
    pub(crate) regex: Option<Regex>,
}

/// A type that items may have: of FHIR, of `FHIRPath`, or either if the name does not say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TypeTest {
    pub(crate) system: Option<SystemKind>,
    pub(crate) fhir: Option<TypeId>,
}

impl TypeTest {
    /// `is`: whether an item has the type or one that specialises it.
    pub(crate) fn is(self, item: &Item<'_>, definitions: &Definitions) -> bool {
        match item.type_info(definitions) {
            TypeInfo::System(kind) => self.system == Some(kind),
            TypeInfo::Fhir(type_id) => self
                .fhir
                .is_some_and(|fhir| type_id == fhir || definitions.is_subtype_of(type_id, fhir)),
        }
    }

    /// `as`, `ofType()`: the same, but a primitive must have exactly the type, as the reference
    /// implementation reads it: `Patient.gender.as(string)` is empty, since it is a code.
    pub(crate) fn selects(self, item: &Item<'_>, definitions: &Definitions) -> bool {
        if let Item::Node { type_id, .. } = item
            && Some(*type_id) == self.fhir
        {
            return true;
        }
        match item.type_info(definitions) {
            TypeInfo::Fhir(type_id)
                if matches!(definitions.type_of(type_id).kind, TypeKind::Primitive(_)) =>
            {
                self.fhir == Some(type_id)
            }
            _ => self.is(item, definitions),
        }
    }
}
