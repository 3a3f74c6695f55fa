//! Operations: what Baton does with several resources at once, or computes from definitions.
//!
//! <https://hl7.org/fhir/R4/operations.html>. [`registry`] is the one table of them, from which
//! routes, the CapabilityStatement and the OpenAPI document are made; [`call`] is what every
//! operation is called with and answers.

pub mod call;
pub mod capabilities;
pub mod document;
pub mod everything;
pub mod meta;
pub mod openapi;
pub mod pathway;
pub mod patient_match;
pub mod purge;
pub mod reference;
pub mod registry;
pub mod terminology;
pub mod validate;
