//! Operations: what Baton does with several resources at once, or computes from definitions.
//!
//! <https://hl7.org/fhir/R4/operations.html>. The table of them is
//! [`interaction::operations`](crate::interaction::operations); [`call`] is what each is called with
//! and answers.

pub mod call;
pub mod document;
pub mod everything;
pub mod meta;
pub mod pathway;
pub mod patient_match;
pub mod purge;
pub mod reference;
pub mod terminology;
pub mod validate;
