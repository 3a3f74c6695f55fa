//! What a profile adds to its type, compiled from the snapshot into the rules that are tighter
//! than the base: <https://hl7.org/fhir/R4/profiling.html>.
//!
//! A snapshot repeats everything that the base says, and the base is checked anyway. So only what
//! differs becomes a rule, and an element without rules of its own or below is left out. What
//! cannot be judged soundly here (a slicing by `resolve()`, one of several type profiles) becomes
//! no rule at all: a profile is checked less, never wrongly. [`apply`] holds instances to it.

mod apply;
mod compile;
mod slicing;
mod value;

use fhir_model::definition::{ConstraintId, ElementId, StructureId, Text, TypeId};
use fhir_model::name::Name;
use fhir_model::tree::Tree;

use crate::rules::Bound;

/// The rules that a profile adds to its type.
#[derive(Debug, Default)]
pub(crate) struct ProfileRules {
    /// Invariants of the resource or data type.
    constraints: Box<[ConstraintId]>,
    /// Rules on the elements of the resource or data type.
    elements: Box<[ElementRule]>,
}

/// What a profile demands of an element.
#[derive(Debug)]
struct ElementRule {
    /// The properties that the element may be written as.
    forms: Box<[Form]>,
    min: u32,
    max: u32,
    /// What each occurrence must satisfy.
    value: ValueRules,
    slicing: Option<SlicingRule>,
}

/// A property that an element may be written as.
#[derive(Clone, Copy, Debug)]
struct Form {
    name: Name,
    type_id: TypeId,
    /// Whether the profile admits the type.
    is_allowed: bool,
}

/// What one occurrence of an element must satisfy.
#[derive(Debug)]
struct ValueRules {
    /// The element (or slice) of the profile, to name the rule.
    element: ElementId,
    /// Exactly this value.
    fixed: Option<Expected>,
    /// At least what is in this value.
    pattern: Option<Expected>,
    max_length: Option<u32>,
    /// The types that a resource must be one of; all, if there are none.
    resource_types: Box<[TypeId]>,
    by_type: Box<[TypeRule]>,
    constraints: Box<[ConstraintId]>,
    elements: Box<[ElementRule]>,
}

/// What an occurrence must satisfy if it is of this type.
#[derive(Debug)]
struct TypeRule {
    type_id: TypeId,
    binding: Option<Bound>,
    targets: Box<[TypeId]>,
    profiles: Box<[StructureId]>,
}

/// A value of a definition, kept as the tree `{"value": …}`.
#[derive(Debug)]
struct Expected(Tree);

/// How the occurrences of an element are told apart, and what each kind must satisfy.
#[derive(Debug)]
struct SlicingRule {
    is_closed: bool,
    slices: Box<[Slice]>,
}

/// One kind of occurrence.
#[derive(Debug)]
struct Slice {
    name: Text,
    /// All of them must match.
    matchers: Box<[Matcher]>,
    min: u32,
    max: u32,
    value: ValueRules,
}

/// A test that says whether an occurrence belongs to a slice.
#[derive(Debug)]
struct Matcher {
    /// From the occurrence to what is tested: per step, the properties to follow.
    steps: Box<[Box<[Form]>]>,
    test: Test,
}

/// What is tested.
#[derive(Debug)]
enum Test {
    Fixed(Expected),
    Pattern(Expected),
    /// Its code is in a value set that is known completely.
    Code(Bound),
    /// Whether there is anything at all.
    Exists(bool),
    Type(Box<[TypeId]>),
}

impl ProfileRules {
    fn is_empty(&self) -> bool {
        self.constraints.is_empty() && self.elements.is_empty()
    }
}

impl ValueRules {
    fn is_empty(&self) -> bool {
        self.fixed.is_none()
            && self.pattern.is_none()
            && self.max_length.is_none()
            && self.resource_types.is_empty()
            && self.by_type.is_empty()
            && self.constraints.is_empty()
            && self.elements.is_empty()
    }
}
