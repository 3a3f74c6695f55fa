//! FHIR XML, read and written: the rules of the standard, the examples, the official cases.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test prints what it leaves out, and a failing one may panic"
)]

#[path = "../support/r4_core.rs"]
mod r4_core;

mod examples;
mod official;
mod properties;
mod read;
mod refuse;
mod shared;
mod write;

use fhir_model::tree::{Limits, Tree};

use r4_core::definitions;

/// The tree of a JSON text that is one.
#[track_caller]
fn tree(json: &str) -> Tree {
    Tree::parse(json, definitions().names(), &Limits::default()).unwrap()
}
