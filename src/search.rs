//! What FHIR search means, without a database.
//!
//! <https://hl7.org/fhir/R4/search.html>. A query string becomes a tree ([`query`] →
//! [`expression`]), a resource becomes values ([`extract`] → [`value`]); the store compares them,
//! as [`matching`] does in memory. [`parameter`], [`interval`], [`normalise`],
//! [`target`], [`codes`], [`mod@unit`] and [`lineage`] are what both sides must agree on.

pub mod codes;
pub mod expression;
pub mod extract;
pub mod interval;
pub mod lineage;
pub mod matching;
pub mod narrative;
pub mod normalise;
pub mod parameter;
pub mod query;
pub mod target;
pub mod unit;
pub mod value;
