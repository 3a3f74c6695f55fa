//! Baton: a FHIR R4 server, an ADT intake and a care-pathway engine over one store.

pub mod clock;
pub mod search;
pub mod store;
