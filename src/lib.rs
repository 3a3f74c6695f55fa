//! Baton.

pub mod plan_definition;
