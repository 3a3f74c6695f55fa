//! The FHIR R4 data model as the definitions describe it, without I/O.

pub mod definition;
pub mod name;
mod pool;
