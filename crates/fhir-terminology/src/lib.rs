//! FHIR terminology on compiled definitions: which codes a value set has, and the operations on
//! code systems, value sets and concept maps. Pure: identifiers and times are arguments.
//!
//! [`membership`] answers for the validator: a [`Verdict`] on a code and a value set. [`grammar`]
//! knows the codes that no list can hold (units, languages, media types), [`iso`] makes code systems
//! of countries and currencies. [`mod@expand`], [`mod@validate_code`], [`mod@lookup`],
//! [`mod@subsumes`] and [`mod@translate`] are the operations of
//! <https://hl7.org/fhir/R4/terminology-service.html>, each from [`Parameters`] to a resource.
//!
//! What is not here (SNOMED CT, LOINC, …) is *not checked*, never wrong, unless a value set lists
//! the code. HTTP, and asking another terminology server, are left to others.

pub mod error;
pub mod expand;
pub mod grammar;
pub mod iso;
pub mod lookup;
pub mod membership;
pub mod operation;
pub mod parameters;
pub mod subsumes;
pub mod translate;
pub mod validate_code;

pub use error::Error;
pub use expand::expand;
pub use lookup::lookup;
pub use membership::{CodeCheck, Coded, Found, Verdict, check_code, is_member};
pub use operation::{OPERATIONS, Operation};
pub use parameters::Parameters;
pub use subsumes::subsumes;
pub use translate::translate;
pub use validate_code::validate_code;
