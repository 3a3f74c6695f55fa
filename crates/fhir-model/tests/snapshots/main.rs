//! Generated snapshots beside those that the publishers made, and the official cases.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing test may panic, and what is left out or differs is printed"
)]

mod cases;
mod compare;
mod example;
mod official;
mod packages;
mod problems;
#[path = "../support/r4_core.rs"]
mod r4_core;
mod rules;
mod types;
