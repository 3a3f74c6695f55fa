//! From the parameters of a search to the tree of what they mean.
//!
//! <https://hl7.org/fhir/R4/search.html>. Nothing is left out silently: what cannot be applied is
//! an error, or, where the standard or the client allows it, an issue beside the matches; and
//! [`Parsed::applied`] is what was. Decoding the URL, reading `Prefer` and shaping the answer are
//! left to REST; asking a database is left to the store.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use fhir_model::definition::Definitions;
use fhir_model::issue::{Issue, IssueType};
use fhir_model::key::ResourceType;
use fhir_model::reference::BaseUrl;

use crate::search::expression::{Cursor, Search};
use crate::search::query::refusal::Refusal;
use crate::search::query::result::{Parser, RESULT_PARAMETERS};
use crate::search::value::ParameterId;

mod criterion;
mod escape;
mod filter;
mod name;
mod page;
mod refusal;
mod result;

pub use escape::escape;
pub use page::PAGE_TOKEN_CHARS_MAX;

/// The most parameters of one search.
pub const PARAMETERS_MAX: usize = 64;

/// The most alternatives (`a,b,c`) of one parameter.
pub const ALTERNATIVES_MAX: usize = 500;

/// The most links of a chain: `a.b.c.d` has three.
pub const CHAIN_LINKS_MAX: usize = 3;

/// The most keys of a `_sort`.
pub const SORT_KEYS_MAX: usize = 5;

/// The name of the parameter that carries where the previous page ended.
pub const PAGE: &str = "_page";

/// `Prefer: handling`: what becomes of parameters that are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Handling {
    /// Neither was preferred: unknown parameters are errors, but for those that begin with `_`.
    #[default]
    Default,
    /// Every parameter that is not known is an error.
    Strict,
    /// Parameters that are not known are ignored, and reported.
    Lenient,
}

/// What a query is read with.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The search parameters there are.
    pub definitions: &'a Definitions,
    /// Parameters by which not everything that is stored is found yet.
    pub unindexed: &'a HashSet<ParameterId>,
    /// The server's own base URL: references below it are local.
    pub base_url: &'a BaseUrl,
    /// What becomes of unknown parameters.
    pub handling: Handling,
    /// Matches on a page where `_count` does not say.
    pub count_default: u32,
    /// The most matches on a page; a greater `_count` is lowered to it.
    pub count_max: u32,
    /// The present, for "approximately" (`ap`).
    pub now: DateTime<Utc>,
}

/// A query that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// What to ask the store.
    pub search: Search,
    /// The parameters that were applied, for the `self` link: without ignored ones and `_page`.
    pub applied: Vec<(String, String)>,
    /// What was ignored; to be reported in the Bundle.
    pub issues: Vec<Issue>,
    /// `_summary`.
    pub summary: Summary,
    /// `_elements`.
    pub elements: Vec<String>,
}

/// `_summary`: <https://hl7.org/fhir/R4/search.html#summary>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Summary {
    /// Whole resources.
    #[default]
    False,
    /// Elements marked as summary.
    True,
    /// Text, id and meta.
    Text,
    /// All but the text.
    Data,
    /// Only the number of matches.
    Count,
}

impl Parsed {
    /// The value of [`PAGE`] in the link to the page after `cursor`.
    pub fn page_token(&self, cursor: &Cursor) -> String {
        page::encode(cursor, self.fingerprint())
    }

    /// Tells searches apart that have other matches or another order.
    fn fingerprint(&self) -> u32 {
        let mut text = self.search.types.to_string();
        for (name, value) in &self.applied {
            let shapes_only = RESULT_PARAMETERS.iter().any(|(code, _)| code == name);
            if !shapes_only || name == "_sort" {
                for part in [name, value] {
                    text.push('\n');
                    text.push_str(part);
                }
            }
        }
        ParameterId::new(&text, "").0.cast_unsigned()
    }
}

/// Reads the parameters of a search over resources of one type, names and values URL-decoded.
///
/// # Errors
/// With every error there is, if there is one.
pub fn parse(
    context: &Context<'_>,
    resource_type: &ResourceType,
    parameters: &[(String, String)],
) -> Result<Parsed, Vec<Issue>> {
    let Some(type_id) = context.definitions.resource_type(resource_type.as_str()) else {
        let text = format!("There are no resources of type {resource_type}.");
        return Err(vec![Issue::error(IssueType::NotSupported, text)]);
    };
    if parameters.len() > PARAMETERS_MAX {
        return Err(vec![
            Refusal::limit("parameters", PARAMETERS_MAX).into_error(),
        ]);
    }
    let mut parser = Parser::new(context, type_id, resource_type.clone());
    for (name, value) in parameters {
        parser.take(name, value);
    }
    parser.finish()
}

#[cfg(test)]
mod tests;
