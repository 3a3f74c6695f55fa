//! The integration tests: one binary, a module for each part of what can be seen from outside.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test may panic"
)]

mod cli;
mod cli_records;
mod damage;
mod examples;
mod intake;
mod packages;
mod patch_cases;
mod processes;
mod rest;
mod scenario;
mod schema;
mod search_values;
mod store_contract;
mod support;
mod us_core_search;
mod wire;
