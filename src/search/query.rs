//! From the parameters of a search to the tree of what they mean.
//!
//! <https://hl7.org/fhir/R4/search.html>. Nothing is left out silently: what cannot be applied is
//! an error, or, where the standard or the client allows it, an issue beside the matches; and
//! [`Parsed::applied`] is what was. Decoding the URL, reading `Prefer` and shaping the answer are
//! left to REST; asking a database is left to the store.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use fhir_model::definition::{Definitions, TypeId};
use fhir_model::issue::{Issue, IssueType};
use fhir_model::key::ResourceType;
use fhir_model::reference::BaseUrl;

use crate::search::expression::{Cursor, Search, Types};
use crate::search::query::refusal::Refusal;
use crate::search::query::result::{Parser, RESULT_PARAMETERS};
use crate::search::value::ParameterId;

mod boolean;
mod chain;
mod criterion;
mod escape;
mod filter;
mod include;
mod name;
mod page;
mod refusal;
mod result;

pub use escape::escape;
pub use page::{PAGE_TOKEN_CHARS_MAX, PageKey};

/// The most parameters of one search.
pub const PARAMETERS_MAX: usize = 100;

/// The most alternatives (`a,b,c`) of one parameter.
pub const ALTERNATIVES_MAX: usize = 1_000;

/// The most links of a chain, forth or back: `a.b.c.d` has three.
pub const CHAIN_LINKS_MAX: usize = 8;

/// The most meanings that the parameters of one search may have: a parameter has one for each type
/// that it is asked of.
pub const BRANCHES_MAX: usize = 1_000;

/// The most keys of a `_sort`.
pub const SORT_KEYS_MAX: usize = 5;

/// The name of the parameter that carries where the previous page ended.
pub const PAGE: &str = "_page";

/// The name of the parameter that chooses types in a search over all.
const TYPE: &str = "_type";

/// The name of the parameter that asks how a search would be run.
pub const EXPLAIN: &str = "__explain";

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
    /// What signs page tokens.
    pub page_key: &'a PageKey,
}

impl Context<'_> {
    /// The name of a type of resource.
    fn type_name(&self, type_id: TypeId) -> Result<ResourceType, Refusal> {
        let name = self.definitions.type_name(type_id);
        ResourceType::parse(name).map_err(|_| Refusal::unsupported(name))
    }
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
    /// Not the matches are wanted, but how they would be found.
    pub explain: bool,
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

impl Summary {
    const ALL: [(&'static str, Self); 5] = [
        ("true", Self::True),
        ("text", Self::Text),
        ("data", Self::Data),
        ("count", Self::Count),
        ("false", Self::False),
    ];

    /// What is said of another word.
    pub const WORDS: &'static str = "is none of true, text, data, count, false";

    /// The summary with this name.
    pub fn parse(word: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(name, _)| *name == word);
        found.map(|(_, summary)| *summary)
    }
}

impl Parsed {
    /// The value of [`PAGE`] in the link to the page at `cursor`.
    pub fn page_token(&self, cursor: &Cursor, key: &PageKey) -> String {
        page::encode(cursor, key, &self.subject())
    }

    /// Tells searches apart that have other matches or another order.
    fn subject(&self) -> String {
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
        text
    }
}

/// Reads the parameters of a search, names and values URL-decoded. A search over all types may choose
/// some of them by `_type`.
///
/// # Errors
/// With every error there is, if there is one.
pub fn parse(
    context: &Context<'_>,
    types: &Types,
    parameters: &[(String, String)],
) -> Result<Parsed, Vec<Issue>> {
    if parameters.len() > PARAMETERS_MAX {
        return Err(vec![
            Refusal::limit("parameters", PARAMETERS_MAX).into_error(),
        ]);
    }
    let is_choice = |(name, _): &&(String, String)| types.is_all() && name == TYPE;
    let choices: Vec<_> = parameters.iter().filter(is_choice).collect();
    let types = match choices.as_slice() {
        [] => types.clone(),
        [(_, value)] => chosen(value).map_err(|refusal| vec![refusal.into_error()])?,
        _ => {
            let reason = "is given more than once";
            return Err(vec![Refusal::value(TYPE, reason).into_error()]);
        }
    };
    let mut parser = Parser::new(context, type_ids(context, &types)?, types);
    for parameter in parameters {
        if is_choice(&parameter) {
            parser.note(parameter);
        } else {
            parser.take(&parameter.0, &parameter.1);
        }
    }
    parser.finish()
}

/// The types that `_type` names.
fn chosen(value: &str) -> Result<Types, Refusal> {
    let names = value.split(',').map(ResourceType::parse);
    names
        .collect::<Result<_, _>>()
        .map(Types::new)
        .map_err(|_| Refusal::value(TYPE, "names no type of resource"))
}

fn type_ids(context: &Context<'_>, types: &Types) -> Result<Vec<TypeId>, Vec<Issue>> {
    let definitions = context.definitions;
    if types.is_all() {
        return Ok(definitions.concrete_resource_types().collect());
    }
    let ids = types.named().iter().map(|resource_type| {
        let type_id = definitions.resource_type(resource_type.as_str());
        type_id.ok_or_else(|| {
            let text = format!("There are no resources of type {resource_type}.");
            vec![Issue::error(IssueType::NotSupported, text)]
        })
    });
    ids.collect()
}

#[cfg(test)]
mod tests;
