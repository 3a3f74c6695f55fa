//! The validator as its users see it: JSON in, issues out.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failing test may panic, and says what it left out"
)]

mod any_json;
mod broken;
mod bundles;
mod doubtful;
mod examples;
mod extensions;
mod invariants;
mod official;
mod profiles;
mod questionnaires;
mod references;
mod slicing;
mod support;
mod type_profiles;
mod us_core;
mod value_sets;
mod values;
