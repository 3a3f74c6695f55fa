//! What a profile adds to its type, compiled from the snapshot into the rules that are tighter
//! than the base: <https://hl7.org/fhir/R4/profiling.html>.
//!
//! A snapshot repeats everything that the base says, and the base is checked anyway. So only what
//! differs becomes a rule, and an element without rules of its own or below is left out. [`compile`]
//! makes the rules, [`discriminator`] those that tell slices apart; [`apply`] and [`slicing`] hold
//! instances to them, [`matching`] says which slice one belongs to, and [`conformance`] whether one
//! satisfies a profile where several may be meant. What cannot be judged is reported as not checked:
//! a profile is checked less, never wrongly.

mod apply;
mod compile;
mod conformance;
mod discriminator;
mod limit;
mod matching;
mod slicing;
mod value;

use std::sync::Arc;

use fhir_model::definition::{ConstraintId, ElementId, StructureId, Text, TypeId};
use fhir_model::name::Name;
use fhir_model::tree::Tree;

use crate::extension::ExtensionRules;
use crate::reference_target::Targets;
use crate::rules::Bound;

pub(crate) use apply::Claim;
pub(crate) use conformance::Conformance;
use limit::Limits;

/// The rules that a profile adds to its type.
#[derive(Debug, Default)]
pub(crate) struct ProfileRules {
    /// Invariants of the resource or data type.
    constraints: Box<[ConstraintId]>,
    /// Rules on the elements of the resource or data type.
    elements: Box<[ElementRule]>,
    /// Where it may be used, if it defines an extension.
    pub(crate) extension: Option<ExtensionRules>,
}

/// What a profile demands of an element.
#[derive(Debug)]
pub(crate) struct ElementRule {
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
    /// The smallest and the largest value and length; most elements have none.
    limits: Option<Box<Limits>>,
    /// The types that a resource must be one of; all, if there are none.
    resource_types: Box<[TypeId]>,
    by_type: Box<[TypeRule]>,
    constraints: Box<[ConstraintId]>,
    elements: Box<[ElementRule]>,
    /// The element of the profile that defines the content, if it is another one.
    content: Option<ElementId>,
}

/// What an occurrence must satisfy if it is of this type.
#[derive(Debug)]
struct TypeRule {
    type_id: TypeId,
    binding: Option<Bound>,
    targets: Option<Targets>,
    profiles: OneOf,
}

/// Profiles of which a value must satisfy one; nothing is demanded if there are none.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct OneOf {
    known: Box<[StructureId]>,
    /// The canonicals of those that are not loaded.
    unknown: Box<[Text]>,
}

/// A value of a definition, kept as the tree `{"value": …}`.
#[derive(Debug)]
struct Expected(Tree);

/// How the occurrences of an element are told apart, and what each kind must satisfy.
#[derive(Debug)]
struct SlicingRule {
    is_closed: bool,
    is_ordered: bool,
    /// Whether what belongs to no slice comes after what does.
    is_open_at_end: bool,
    slices: Box<[Slice]>,
    /// Why the slices cannot be told apart, if so.
    unclear: Option<Box<str>>,
}

/// One kind of occurrence.
#[derive(Debug)]
struct Slice {
    name: Text,
    /// All of them must match.
    matchers: Box<[Matcher]>,
    /// Whether it takes what belongs to no other slice: `@default`.
    is_default: bool,
    min: u32,
    max: u32,
    value: ValueRules,
    /// The slices of the slice.
    slicing: Option<Box<SlicingRule>>,
}

/// A discriminator: it matches if all checks of one of its alternatives pass.
#[derive(Debug)]
struct Matcher {
    alternatives: Box<[Box<[Check]>]>,
}

/// Something to look at, and what it must be.
#[derive(Debug)]
struct Check {
    /// From the occurrence to what is tested.
    steps: Box<[Step]>,
    test: Test,
}

/// A step of the path of a discriminator.
#[derive(Clone, Debug)]
enum Step {
    /// The properties to follow.
    Child(Box<[Form]>),
    /// The extensions with this URL.
    Extension(Box<str>),
    /// What is of this type.
    OfType(TypeId),
    /// The resource that a reference leads to.
    Resolve,
}

/// What is tested.
#[derive(Debug)]
enum Test {
    Fixed(Arc<Expected>),
    Pattern(Arc<Expected>),
    /// Its code is in a value set that is known completely.
    Code(Bound),
    /// Whether there is anything at all.
    Exists(bool),
    Type(Box<[TypeId]>),
    /// It satisfies one of these profiles.
    Profile(Box<[StructureId]>),
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
            && self.limits.is_none()
            && self.resource_types.is_empty()
            && self.by_type.is_empty()
            && self.constraints.is_empty()
            && self.elements.is_empty()
            && self.content.is_none()
    }
}

impl OneOf {
    pub(crate) const fn is_empty(&self) -> bool {
        self.known.is_empty() && self.unknown.is_empty()
    }
}
