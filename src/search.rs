//! What FHIR search means, without a database.

pub mod expression;
pub mod value;
