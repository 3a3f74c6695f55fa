//! The operations through the crate's public face.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failing test may panic, and what is left out is printed"
)]

mod official;
#[path = "../../../fhirpath/tests/support/shared.rs"]
mod shared;
