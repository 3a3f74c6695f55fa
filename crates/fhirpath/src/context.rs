//! What an expression may ask of the world around the resource.
//!
//! Everything comes in as an argument: the time, other resources, terminology, profiles. What is
//! not given is not there: a function that needs it says so.

use std::cell::Cell;

use fhir_model::definition::{Definitions, TypeId};
use fhir_model::element::Element;

use rust_decimal::Decimal;

use crate::value::{Item, Temporal};

/// How much work one evaluation may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many parts of the expression may be evaluated and items produced.
    pub steps_max: u32,
    /// How many items a collection may have that must be kept.
    pub items_max: usize,
    /// How long a string may get.
    pub string_bytes_max: usize,
}

impl Default for Limits {
    /// Room for invariants over a Bundle of some ten thousand entries.
    fn default() -> Self {
        Self {
            steps_max: 20_000_000,
            items_max: 1_000_000,
            string_bytes_max: 16 << 20,
        }
    }
}

/// What surrounds an evaluation.
#[derive(Clone)]
pub struct Context<'a> {
    /// The definitions that the expression was compiled with, or a set extended from them.
    pub definitions: &'a Definitions,
    /// `%resource`: the resource that the context is in. By default the context itself.
    pub resource: Option<Item<'a>>,
    /// `%rootResource`: the resource that contains it, if it is a contained one. By default
    /// `%resource`.
    pub root_resource: Option<Item<'a>>,
    /// Finds what references point to, beyond contained resources.
    pub resolver: Option<&'a dyn Resolver>,
    /// Answers `memberOf()`.
    pub terminology: Option<&'a dyn Terminology>,
    /// Answers `conformsTo()`.
    pub profiles: Option<&'a dyn Profiles>,
    /// Further variables, by name without `%`.
    pub variables: &'a [(&'a str, &'a [Item<'a>])],
    /// Is told what `trace()` sees; without it `trace()` does nothing.
    pub trace: Option<&'a dyn Trace>,
    /// What `now()`, `today()` and `timeOfDay()` say.
    pub now: Option<Temporal>,
    /// How much work may be done.
    pub limits: Limits,
    /// The steps that several evaluations may do together: what this one does is taken off. Without
    /// it each has its own limit only.
    pub steps_left: Option<&'a Cell<u64>>,
}

impl<'a> Context<'a> {
    /// A context with definitions and nothing else.
    pub fn new(definitions: &'a Definitions) -> Self {
        Self {
            definitions,
            resource: None,
            root_resource: None,
            resolver: None,
            terminology: None,
            profiles: None,
            variables: &[],
            trace: None,
            now: None,
            limits: Limits::default(),
            steps_left: None,
        }
    }
}

/// What a reference points to.
#[derive(Clone, Debug)]
pub enum Resolved<'a> {
    /// The resource.
    Resource(Item<'a>),
    /// A resource of this type; more is not known.
    Type(TypeId),
    /// Nothing that we know.
    Nothing,
}

/// Finds what references point to.
pub trait Resolver {
    /// What a reference points to; `from` is the `Reference`, if it was one and no bare text.
    ///
    /// Contained resources have been looked for before. Where this gives [`Resolved::Nothing`], the
    /// type that the text names is taken, so that `resolve() is Patient` can be answered.
    fn resolve<'a>(&'a self, reference: &str, from: Option<Element<'a>>) -> Resolved<'a>;
}

/// Answers questions about codes.
pub trait Terminology {
    /// Whether a code, Coding or `CodeableConcept` is a member of a value set; `None` if that cannot
    /// be said.
    fn member_of(&self, item: &Item<'_>, value_set: &str) -> Option<bool>;

    /// Whether the first code subsumes the second; `None` if that cannot be said.
    fn subsumes(&self, ancestor: &Item<'_>, descendant: &Item<'_>) -> Option<bool> {
        let _ = (ancestor, descendant);
        None
    }

    /// The score of a code, Coding or `CodeableConcept` by its code system, for `weight()`;
    /// `None` if it has none.
    fn weight(&self, item: &Item<'_>) -> Option<Decimal> {
        let _ = item;
        None
    }
}

/// Answers questions about profiles.
pub trait Profiles {
    /// Whether a resource or element conforms to a profile; `None` if the profile is not known.
    fn conforms_to(&self, item: &Item<'_>, profile: &str) -> Option<bool>;

    /// Whether an element is in a slice of a profile; `None` if there is no such slice.
    fn is_in_slice(&self, item: &Item<'_>, profile: &str, slice: &str) -> Option<bool> {
        let _ = (item, profile, slice);
        None
    }

    /// The `ElementDefinition` of an element; `None` if it is not at hand.
    fn element_definition<'a>(&'a self, item: &Item<'_>) -> Option<Item<'a>> {
        let _ = item;
        None
    }
}

/// Is told what `trace()` sees. Resources are not for logs: show it to whoever wrote the
/// expression, and to nobody else.
pub trait Trace {
    /// The name that `trace()` was given, and its input or what its projection made of it.
    fn trace(&self, name: &str, items: &[Item<'_>]);
}
