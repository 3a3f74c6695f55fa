//! The operations through the crate's public face.

mod official;
#[path = "../../../fhirpath/tests/support/shared.rs"]
mod shared;
