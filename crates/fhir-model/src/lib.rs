//! The FHIR R4 data model without I/O: one parse of a resource, and what can be said of it.
//!
//! [`tree`] reads JSON once into a compact tree; [`element`] shows that tree as FHIR sees it.
//! [`key`], [`mod@reference`] and [`primitive`] are the small values a resource is made of, [`issue`]
//! is what there is to say about a wrong one. [`xml`] is the other format, a transcoder to and from
//! the tree; [`mod@format`] reads either. [`snapshot`] completes structures that only say how they
//! differ from others. What a resource *may* contain is the business of the definitions and of the
//! validation crate.

pub mod definition;
pub mod element;
pub mod format;
pub mod issue;
pub mod key;
pub mod name;
mod pool;
pub mod primitive;
pub mod reference;
pub mod snapshot;
pub mod tree;
pub mod xml;
