//! What is known of the items of an expression before it is evaluated.
//!
//! Careful by design: where anything else might come out, a shape is unknown.

use fhir_model::definition::{Definitions, SystemKind, TypeId, TypeKind};

use crate::ast::{Literal, Operator};
use crate::code::TypeTest;
use crate::value::system_name;

/// What items an expression may give.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Anything.
    Unknown,
    /// Anything, in no order that means something.
    Unordered,
    /// Values of a system type.
    System(SystemKind),
    /// Elements of one of these types, or of types that specialise them. None of them: nothing.
    Types(Vec<TypeId>),
}

impl Shape {
    /// Elements of a type, unless the type can stand for any.
    pub(crate) fn of(type_id: TypeId, definitions: &Definitions) -> Self {
        Self::of_all(vec![type_id], definitions)
    }

    /// Elements of these types.
    pub(crate) fn of_all(mut types: Vec<TypeId>, definitions: &Definitions) -> Self {
        if types.iter().any(|id| definitions.type_of(*id).is_abstract) {
            return Self::Unknown;
        }
        types.sort_unstable();
        types.dedup();
        Self::Types(types)
    }

    pub(crate) fn of_test(test: TypeTest, definitions: &Definitions) -> Self {
        match (test.fhir, test.system) {
            (Some(fhir), None) => Self::of(fhir, definitions),
            (None, Some(system)) => Self::System(system),
            _ => Self::Unknown,
        }
    }

    pub(crate) fn literal(literal: &Literal) -> Self {
        Self::System(match literal {
            Literal::Boolean(_) => SystemKind::Boolean,
            Literal::Integer(_) => SystemKind::Integer,
            Literal::Decimal(_) => SystemKind::Decimal,
            Literal::String(_) => SystemKind::String,
            Literal::Date(_) => SystemKind::Date,
            Literal::DateTime(_) => SystemKind::DateTime,
            Literal::Time(_) => SystemKind::Time,
            Literal::Quantity(..) => SystemKind::Quantity,
        })
    }

    pub(crate) fn of_operator(operator: Operator, left: &Self, right: &Self) -> Self {
        match operator {
            Operator::Union if left == right => left.clone(),
            Operator::Union => match (left, right) {
                (Self::Types(left), Self::Types(right)) => {
                    let mut types = left.clone();
                    types.extend(right);
                    types.sort_unstable();
                    types.dedup();
                    Self::Types(types)
                }
                _ => Self::Unknown,
            },
            Operator::Concatenate => Self::System(SystemKind::String),
            Operator::Multiply
            | Operator::Divide
            | Operator::Div
            | Operator::Mod
            | Operator::Add
            | Operator::Subtract => Self::Unknown,
            _ => Self::System(SystemKind::Boolean),
        }
    }

    /// What the elements of a member are, where the types do not say.
    pub(crate) fn member(&self) -> Self {
        match self {
            // `type().name` is all that a value has; the shape of that is not followed.
            Self::System(_) | Self::Unknown | Self::Types(_) => Self::Unknown,
            Self::Unordered => Self::Unordered,
        }
    }

    /// Whether nothing can come out.
    pub(crate) fn is_impossible(&self) -> bool {
        matches!(self, Self::Types(types) if types.is_empty())
    }

    /// The elements of these that are of a type, or `None` if none can be.
    pub(crate) fn narrowed(&self, type_id: TypeId, definitions: &Definitions) -> Option<Self> {
        let Self::Types(types) = self else {
            return match self {
                Self::System(_) => None,
                _ => Some(Self::of(type_id, definitions)),
            };
        };
        let fitting: Vec<TypeId> = types
            .iter()
            .copied()
            .filter(|own| definitions.is_subtype_of(*own, type_id))
            .collect();
        (!fitting.is_empty()).then_some(Self::Types(fitting))
    }

    /// Whether the items can only be elements with children, not values.
    pub(crate) fn is_complex(&self, definitions: &Definitions) -> bool {
        matches!(self, Self::Types(types) if !types.is_empty() && types.iter().all(|id| {
            let kind = definitions.type_of(*id).kind;
            !matches!(kind, TypeKind::Primitive(_) | TypeKind::System(_))
        }))
    }

    /// Whether an operator may be defined for two operands.
    pub(crate) fn are_operands(operator: Operator, left: &Self, right: &Self) -> bool {
        let (Self::System(left), Self::System(right)) = (left, right) else {
            return true;
        };
        let is_moment = matches!(
            left,
            SystemKind::Date | SystemKind::DateTime | SystemKind::Time
        );
        match operator {
            Operator::Add | Operator::Subtract if is_moment => *right == SystemKind::Quantity,
            _ => true,
        }
    }

    /// The name of the type, for a message.
    pub(crate) fn describe(&self, definitions: &Definitions) -> String {
        match self {
            Self::Unknown | Self::Unordered => "an unknown type".to_owned(),
            Self::System(kind) => system_name(*kind).to_owned(),
            Self::Types(types) => types.first().map_or_else(
                || "nothing".to_owned(),
                |first| definitions.type_name(*first).to_owned(),
            ),
        }
    }
}
