//! Generated snapshots beside those that the publishers made, and the official cases.

mod cases;
mod compare;
mod official;
mod packages;
#[path = "../support/r4_core.rs"]
mod r4_core;
