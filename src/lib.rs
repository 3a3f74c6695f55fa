//! Baton: a FHIR R4 server, an ADT intake and a care-pathway engine over one store.
//!
//! The modules below are the floors of the house, from the ground up; a module uses lower floors
//! only (`tests/tidy.rs` is the law, `docs/ARCHITECTURE.md` the map).

// Floor 1: ground.
pub mod clock;
pub mod config;

// Floor 2: what the profiles and code tables say.
pub mod definitions;
pub mod disposition;

// Floor 3: meaning; pure functions, but for what finds packages.
pub mod access;
pub mod adt;
pub mod package;
pub mod patch;
pub mod plan_definition;
pub mod search;
pub mod terminology_server;

// Floor 4: who is who, a pure function; the store, and the only SQL.
pub mod patient_match;
pub mod store;

// Floor 5: what can go wrong, in a client's terms.
pub mod error;

// Floor 6: the FHIR interactions; `interaction::write` is the only way into the store.
pub mod interaction;
pub mod job;

// Floor 7: what takes several interactions in one transaction; the engine that keeps the definitions
// in force.
pub mod conformance;
pub mod operation;

// Floors 8 and 9: engines. The workflow waits for the intake when a clock is moved by hand.
pub mod intake;
pub mod workflow;

// Floor 10: edges; bytes and HTTP in, HTTP and bytes out.
pub mod mllp;
pub mod rest;

// Floors 11 and 12: the composition root, how it logs, and the commands.
pub mod cli;
pub mod server;
pub mod telemetry;
