//! `FHIRPath` on FHIR R4: compile an expression once, evaluate it often.
//!
//! Standard: <http://hl7.org/fhirpath/N1/> with what <https://hl7.org/fhir/R4/fhirpath.html> adds.
//! Expressions work on the trees of `fhir-model` as they are: a path copies nothing.
//!
//! A reading order: [`Expression`] is the door; [`ast`] is what was written, `code` what it was
//! compiled to; `evaluate` runs it; `function` is the table of functions; [`Item`] is a value.
//! Time, other resources, terminology and profiles come in by the [`Context`]. Which invariants
//! hold is asked by the validator, what is searched for by the search module.
//!
//! No input makes it panic, and each loop and recursion has a limit: [`EXPRESSION_BYTES_MAX`] and
//! [`DEPTH_MAX`] for expressions, [`Limits`] for evaluations.

pub mod ast;
mod bundle;
mod code;
mod compile;
mod context;
mod error;
mod evaluate;
mod expression;
mod function;
mod lexer;
pub mod narrative;
mod parser;
mod value;

pub use bundle::BundleResolver;
pub use context::{Context, Limits, Profiles, Resolved, Resolver, Terminology, Trace};
pub use error::{EvaluateError, EvaluateErrorKind, ParseError, ParseErrorKind};
pub use expression::{Expression, Options};
pub use function::base64_bytes;
pub use lexer::EXPRESSION_BYTES_MAX;
pub use parser::{DEPTH_MAX, parse};
pub use value::{Collection, Item, Precision, Quantity, Temporal, TypeInfo, Unit};
