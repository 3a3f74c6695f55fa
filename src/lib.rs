//! Baton: a FHIR R4 server, an ADT intake and a care-pathway engine over one store.
//!
//! The modules below are the floors of the house, from the ground up; a module uses lower floors
//! only (`tests/tidy.rs` is the law, `docs/ARCHITECTURE.md` the map).

// Floor 1: ground.
pub mod clock;
pub mod config;

// Floor 2: what the profiles say.
pub mod definitions;

// Floor 3: meaning; pure functions.
pub mod access;
pub mod adt;
pub mod plan_definition;
