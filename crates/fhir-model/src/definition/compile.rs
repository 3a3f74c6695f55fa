//! Compiles conformance resources into [`Definitions`](super::Definitions).

/// Adds conformance resources to a set of definitions.
#[derive(Debug)]
pub struct Builder;

/// What is wrong with a conformance resource.
#[derive(Debug)]
pub struct Problem;
