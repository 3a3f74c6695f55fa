//! From the parameters of a search to the tree of what they mean.
//!
//! <https://hl7.org/fhir/R4/search.html>. Nothing is left out silently: what cannot be applied is
//! an error, or, where the standard or the client allows it, an issue beside the matches; and
//! [`Parsed::applied`] is what was. Decoding the URL, reading `Prefer` and shaping the answer are
//! left to REST; asking a database is left to the store.

use chrono::{DateTime, Utc};
use fhir_model::definition::{Definitions, TypeId};
use fhir_model::issue::{Issue, IssueType};
use fhir_model::key::{LogicalId, ResourceType};
use fhir_model::reference::BaseUrl;

use crate::search::expression::{Cursor, Filter, Include, Search, Sort, SortBy, Total, ValueKind};
use crate::search::parameter::{self, Lookup, Parameter};
use crate::search::query::criterion::{Modifier, Reader, is_known};
use crate::search::query::escape::split;
use crate::search::query::name::Name;
use crate::search::query::refusal::Refusal;
use crate::search::value::ParameterId;

mod criterion;
mod escape;
mod name;
mod page;
mod refusal;

pub use escape::escape;
pub use page::PAGE_TOKEN_CHARS_MAX;

/// The most parameters of one search.
pub const PARAMETERS_MAX: usize = 64;

/// The most alternatives (`a,b,c`) of one parameter.
pub const ALTERNATIVES_MAX: usize = 500;

/// The most links of a chain: `a.b.c.d` has three.
pub const CHAIN_LINKS_MAX: usize = 3;

/// The most types that are named where a chain must say which it means.
const NAMED_TARGETS_MAX: usize = 5;

/// The most keys of a `_sort`.
pub const SORT_KEYS_MAX: usize = 5;

/// The name of the parameter that carries where the previous page ended.
pub const PAGE: &str = "_page";

/// Parameters of the standard that this server refuses rather than ignores, as they are filters.
const UNSUPPORTED: &[&str] = &[
    "_contained",
    "_containedType",
    "_content",
    "_filter",
    "_has",
    "_list",
    "_query",
    "_text",
    "_type",
];

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
        let mut text = self.search.resource_type.as_str().to_owned();
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

/// A query half read.
struct Parser<'a> {
    context: &'a Context<'a>,
    type_id: TypeId,
    parsed: Parsed,
    errors: Vec<Issue>,
    page: Option<String>,
    /// The result parameters seen that may be given once only.
    seen: Vec<&'static str>,
}

/// Reads a parameter that shapes the result, and gives back its value as applied.
type ResultParameter = fn(&mut Parser<'_>, &str) -> Result<String, Refusal>;

/// The parameters that select nothing: <https://hl7.org/fhir/R4/search.html#return>. The form of the
/// answer is left to REST.
const RESULT_PARAMETERS: &[(&str, ResultParameter)] = &[
    ("_count", |parser, value| parser.count(value)),
    ("_elements", |parser, value| parser.elements(value)),
    ("_format", |_, value| Ok(value.to_owned())),
    ("_include", |parser, value| parser.include(value)),
    (PAGE, |parser, value| parser.page(value)),
    ("_pretty", |_, value| Ok(value.to_owned())),
    ("_revinclude", |parser, value| parser.revinclude(value)),
    ("_sort", |parser, value| parser.sort(value)),
    ("_summary", |parser, value| parser.summary(value)),
    ("_total", |parser, value| parser.total(value)),
];

/// The result parameters that may be given more than once.
const REPEATABLE: &[&str] = &["_elements", "_include", "_revinclude", "_sort"];

impl<'a> Parser<'a> {
    fn new(context: &'a Context<'a>, type_id: TypeId, resource_type: ResourceType) -> Self {
        Self {
            context,
            type_id,
            parsed: Parsed {
                search: Search {
                    resource_type,
                    filters: Vec::new(),
                    sort: Vec::new(),
                    count: context.count_default.min(context.count_max),
                    after: None,
                    includes: Vec::new(),
                    revincludes: Vec::new(),
                    total: Total::None,
                },
                applied: Vec::new(),
                issues: Vec::new(),
                summary: Summary::default(),
                elements: Vec::new(),
            },
            errors: Vec::new(),
            page: None,
            seen: Vec::new(),
        }
    }

    /// Applies one parameter, or notes why not.
    fn take(&mut self, name: &str, value: &str) {
        match self.apply(name, value) {
            Ok(_) if name == PAGE => {}
            Ok(applied) => self.parsed.applied.push((name.to_owned(), applied)),
            Err(refusal) => match refusal.settle(self.context.handling) {
                Ok(issue) => self.parsed.issues.push(issue),
                Err(issue) => self.errors.push(issue),
            },
        }
    }

    fn apply(&mut self, name: &str, value: &str) -> Result<String, Refusal> {
        let parts = Name::parse(name);
        if let Some((code, read)) = RESULT_PARAMETERS.iter().find(|row| row.0 == parts.code) {
            if let Some(modifier) = parts.modifier {
                return Err(Refusal::modifier(code, modifier, &[]));
            }
            self.once(code)?;
            return read(self, value);
        }
        if value.is_empty() {
            return Err(Refusal::empty(name));
        }
        let filters = Filters {
            context: self.context,
            links: 0,
        };
        let filter = filters.read(self.type_id, name, value)?;
        self.parsed.search.filters.push(filter);
        Ok(value.to_owned())
    }

    fn once(&mut self, code: &'static str) -> Result<(), Refusal> {
        if REPEATABLE.contains(&code) {
            return Ok(());
        }
        if self.seen.contains(&code) {
            return Err(Refusal::value(code, "is given more than once"));
        }
        self.seen.push(code);
        Ok(())
    }

    fn finish(self) -> Result<Parsed, Vec<Issue>> {
        let (mut parsed, mut errors) = (self.parsed, self.errors);
        if parsed.summary == Summary::Count || parsed.search.count == 0 {
            parsed.search.total = Total::Only;
        }
        if let Some(token) = self.page {
            parsed.search.after =
                page::decode(&token, parsed.fingerprint(), parsed.search.sort.len());
            if parsed.search.after.is_none() && errors.is_empty() {
                let reason = "is not of a page of this search";
                errors.push(Refusal::value(PAGE, reason).into_error());
            }
        }
        if errors.is_empty() {
            Ok(parsed)
        } else {
            Err(errors)
        }
    }

    // The methods below are rows of RESULT_PARAMETERS and share its signature.

    fn count(&mut self, value: &str) -> Result<String, Refusal> {
        let is_plain = value.bytes().all(|byte| byte.is_ascii_digit());
        if value.is_empty() || !is_plain {
            return Err(Refusal::value("_count", "is no number from 0 on"));
        }
        // More digits than a number has are just a very large number.
        let count = value
            .parse()
            .unwrap_or(u32::MAX)
            .min(self.context.count_max);
        self.parsed.search.count = count;
        Ok(count.to_string())
    }

    fn page(&mut self, value: &str) -> Result<String, Refusal> {
        if value.len() > PAGE_TOKEN_CHARS_MAX {
            return Err(Refusal::limit(
                "characters in a page token",
                PAGE_TOKEN_CHARS_MAX,
            ));
        }
        self.page = Some(value.to_owned());
        Ok(String::new())
    }

    fn summary(&mut self, value: &str) -> Result<String, Refusal> {
        self.parsed.summary = match value {
            "true" => Summary::True,
            "text" => Summary::Text,
            "data" => Summary::Data,
            "count" => Summary::Count,
            "false" => Summary::False,
            _ => {
                let reason = "is none of true, text, data, count, false";
                return Err(Refusal::value("_summary", reason));
            }
        };
        Ok(value.to_owned())
    }

    fn total(&mut self, value: &str) -> Result<String, Refusal> {
        self.parsed.search.total = match value {
            "none" => Total::None,
            // An exact number is a good estimate.
            "estimate" | "accurate" => Total::Accurate,
            _ => {
                let reason = "is none of none, estimate, accurate";
                return Err(Refusal::value("_total", reason));
            }
        };
        Ok(value.to_owned())
    }

    fn elements(&mut self, value: &str) -> Result<String, Refusal> {
        let names = value.split(',').map(str::trim);
        let names: Vec<String> = names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        if names.is_empty() {
            return Err(Refusal::empty("_elements"));
        }
        self.parsed.elements.extend(names);
        Ok(value.to_owned())
    }

    fn sort(&mut self, value: &str) -> Result<String, Refusal> {
        for key in value.split(',') {
            let (code, descending) = match key.strip_prefix('-') {
                Some(code) => (code, true),
                None => (key, false),
            };
            let by = self.sort_by(code)?;
            let sort = &mut self.parsed.search.sort;
            if sort.len() == SORT_KEYS_MAX {
                return Err(Refusal::limit("sort keys", SORT_KEYS_MAX));
            }
            sort.push(Sort { by, descending });
        }
        Ok(value.to_owned())
    }

    fn sort_by(&self, code: &str) -> Result<SortBy, Refusal> {
        match code {
            "_id" => return Ok(SortBy::Id),
            "_lastUpdated" => return Ok(SortBy::LastUpdated),
            _ => {}
        }
        match parameter::find(self.context.definitions, self.type_id, code) {
            Lookup::Supported(found) => Ok(SortBy::Parameter(found.id, found.kind)),
            Lookup::Unsupported | Lookup::Unknown => {
                let reason = "names no parameter of the resource type to sort by";
                Err(Refusal::value("_sort", reason))
            }
        }
    }

    fn include(&mut self, value: &str) -> Result<String, Refusal> {
        let searched = self.parsed.search.resource_type.clone();
        let include = if value == "*" {
            Include {
                source: searched,
                parameter: None,
                target: None,
            }
        } else {
            self.read_include("_include", value)?
        };
        if include.source != self.parsed.search.resource_type {
            let reason = "starts with another type than the one searched";
            return Err(Refusal::value("_include", reason));
        }
        self.parsed.search.includes.push(include);
        Ok(value.to_owned())
    }

    fn revinclude(&mut self, value: &str) -> Result<String, Refusal> {
        let include = self.read_include("_revinclude", value)?;
        self.parsed.search.revincludes.push(include);
        Ok(value.to_owned())
    }

    /// `Source:parameter[:target]`, the parameter may be `*`.
    fn read_include(&self, name: &str, value: &str) -> Result<Include, Refusal> {
        let mut parts = value.split(':');
        let (source, code) = (parts.next().unwrap_or_default(), parts.next());
        let target = parts.next().map(|target| self.resource_type(name, target));
        let (Some(code), None) = (code, parts.next()) else {
            let reason = "is not of the form Type:parameter or Type:parameter:target";
            return Err(Refusal::value(name, reason));
        };
        let (source, source_id) = self.resource_type(name, source)?;
        let target = target.transpose()?.map(|(target, _)| target);
        let parameter = match code {
            "*" => None,
            code => Some(self.reference_parameter(name, source_id, code)?),
        };
        Ok(Include {
            source,
            parameter,
            target,
        })
    }

    fn resource_type(&self, name: &str, text: &str) -> Result<(ResourceType, TypeId), Refusal> {
        let type_id = self.context.definitions.resource_type(text);
        let resource_type = ResourceType::parse(text).ok();
        resource_type
            .zip(type_id)
            .ok_or_else(|| Refusal::value(name, "names no type of resource"))
    }

    fn reference_parameter(
        &self,
        name: &str,
        source: TypeId,
        code: &str,
    ) -> Result<ParameterId, Refusal> {
        match parameter::find(self.context.definitions, source, code) {
            Lookup::Supported(found) if found.kind == ValueKind::Reference => Ok(found.id),
            _ => {
                let reason = "names no reference parameter of the type it starts with";
                Err(Refusal::value(name, reason))
            }
        }
    }
}

/// Reads parameters that select.
#[derive(Clone, Copy)]
struct Filters<'a> {
    context: &'a Context<'a>,
    /// How many links of a chain lead here.
    links: usize,
}

impl Filters<'_> {
    fn read(self, type_id: TypeId, name: &str, value: &str) -> Result<Filter, Refusal> {
        let parts = Name::parse(name);
        if UNSUPPORTED.contains(&parts.code) {
            return Err(Refusal::unsupported(parts.code));
        }
        match parts.code {
            "_id" => return column(parts, || ids(name, value)),
            "_lastUpdated" => return column(parts, || self.last_updated(name, value)),
            _ => {}
        }
        let definitions = self.context.definitions;
        let parameter = match parameter::find(definitions, type_id, parts.code) {
            Lookup::Supported(parameter) => parameter,
            Lookup::Unsupported => return Err(Refusal::unsupported(parts.code)),
            Lookup::Unknown => return Err(self.unknown(type_id, parts.code)),
        };
        match parts.chained {
            Some(chained) => self.chain(parameter, parts, chained, value),
            None => self.any(parameter, parts, value),
        }
    }

    fn unknown(self, type_id: TypeId, code: &str) -> Refusal {
        if code.starts_with('_') {
            return Refusal::unknown_result_parameter(code);
        }
        let definitions = self.context.definitions;
        let own = parameter::all(definitions, type_id).map(|parameter| parameter.code);
        let mut known: Vec<&str> = parameter::COLUMNS.iter().copied().chain(own).collect();
        known.sort_unstable();
        Refusal::unknown(code, definitions.type_name(type_id), &known)
    }

    fn last_updated(self, name: &str, value: &str) -> Result<Filter, Refusal> {
        if split(value, ',').count() > 1 {
            return Err(Refusal::value(
                name,
                "has alternatives, which is not supported",
            ));
        }
        criterion::date(value, self.context.now)
            .map(Filter::LastUpdated)
            .map_err(|reason| Refusal::value(name, &reason))
    }

    fn any(
        self,
        parameter: Parameter<'_>,
        parts: Name<'_>,
        value: &str,
    ) -> Result<Filter, Refusal> {
        if parts.modifier == Some("missing") {
            return missing(parameter, value);
        }
        let negated = parts.modifier == Some("not") && parameter.kind == ValueKind::Token;
        let modifier = match parts.modifier {
            Some(_) if negated => Modifier::None,
            Some(modifier) => self.modifier(parameter, modifier)?,
            None => Modifier::None,
        };
        let reader = Reader::new(self.context, parameter, modifier);
        let criteria = alternatives(parameter.code, value)?
            .into_iter()
            .map(|text| reader.read(text))
            .collect::<Result<_, _>>()
            .map_err(|reason| Refusal::value(parameter.code, &reason))?;
        Ok(Filter::Any {
            parameter: parameter.id,
            criteria,
            negated,
        })
    }

    fn modifier(self, parameter: Parameter<'_>, modifier: &str) -> Result<Modifier, Refusal> {
        Ok(match (parameter.kind, modifier) {
            (ValueKind::String, "exact") => Modifier::Exact,
            (ValueKind::String, "contains") => Modifier::Contains,
            (ValueKind::Uri, "below") => Modifier::Below,
            (ValueKind::Uri, "above") => Modifier::Above,
            (ValueKind::Reference, modifier) => match ResourceType::parse(modifier) {
                Ok(target) if is_known(self.context.definitions, &target) => Modifier::Type(target),
                _ => return Err(unsupported_modifier(parameter, modifier)),
            },
            _ => return Err(unsupported_modifier(parameter, modifier)),
        })
    }

    fn chain(
        self,
        parameter: Parameter<'_>,
        parts: Name<'_>,
        chained: &str,
        value: &str,
    ) -> Result<Filter, Refusal> {
        if self.links == CHAIN_LINKS_MAX {
            return Err(Refusal::limit("links in a chain", CHAIN_LINKS_MAX));
        }
        if parameter.kind != ValueKind::Reference {
            let reason = "is asked for by a chain, but the parameter is no reference";
            return Err(Refusal::value(parameter.code, reason));
        }
        let target = match parts.modifier {
            Some(modifier) => match self.modifier(parameter, modifier)? {
                Modifier::Type(target) => target,
                _ => return Err(unsupported_modifier(parameter, modifier)),
            },
            None => self.only_target(parameter, chained)?,
        };
        let definitions = self.context.definitions;
        let Some(target_id) = definitions.resource_type(target.as_str()) else {
            return Err(Refusal::value(parameter.code, "names no type of resource"));
        };
        let inner = Self {
            links: self.links + 1,
            ..self
        };
        let filter = inner.read(target_id, chained, value)?;
        Ok(Filter::Chain {
            parameter: parameter.id,
            target,
            filters: vec![filter],
        })
    }

    /// The one type that the reference may point at and that has the chained parameter.
    fn only_target(self, parameter: Parameter<'_>, chained: &str) -> Result<ResourceType, Refusal> {
        let definitions = self.context.definitions;
        let targets = parameter.targets(definitions);
        if let [only] = targets.as_slice() {
            return Ok(only.clone());
        }
        let code = Name::parse(chained).code;
        let has_parameter = |target: &&ResourceType| {
            let target = definitions.resource_type(target.as_str());
            parameter::COLUMNS.contains(&code)
                || target.is_some_and(|target| definitions.search_parameter(target, code).is_some())
        };
        let candidates: Vec<&ResourceType> = targets.iter().filter(has_parameter).collect();
        match candidates.as_slice() {
            [only] => Ok((*only).clone()),
            [] if !targets.is_empty() => Err(Refusal::value(
                parameter.code,
                &format!("refers to no type that has the parameter '{code}'"),
            )),
            several => {
                let types = match several.len() {
                    1..=NAMED_TARGETS_MAX => {
                        let names = several.iter().map(|target| target.as_str());
                        names.collect::<Vec<_>>().join(", ")
                    }
                    _ => "many types".to_owned(),
                };
                let reason = format!("may refer to {types}; say which, as in subject:Patient.name");
                Err(Refusal::value(parameter.code, &reason))
            }
        }
    }
}

/// A parameter that is a column has neither modifiers nor targets.
fn column(
    parts: Name<'_>,
    read: impl FnOnce() -> Result<Filter, Refusal>,
) -> Result<Filter, Refusal> {
    match (parts.modifier, parts.chained) {
        (Some(modifier), _) => Err(Refusal::modifier(parts.code, modifier, &[])),
        (None, Some(_)) => Err(Refusal::value(
            parts.code,
            "is asked for by a chain, but the parameter is no reference",
        )),
        (None, None) => read(),
    }
}

/// The ids among the alternatives; what cannot be an id matches nothing.
fn ids(name: &str, value: &str) -> Result<Filter, Refusal> {
    let ids: Vec<LogicalId> = alternatives(name, value)?
        .into_iter()
        .filter_map(|text| LogicalId::parse(text).ok())
        .collect();
    Ok(if ids.is_empty() {
        Filter::Nothing
    } else {
        Filter::Id(ids)
    })
}

fn alternatives<'v>(name: &str, value: &'v str) -> Result<Vec<&'v str>, Refusal> {
    let alternatives: Vec<&str> = split(value, ',').take(ALTERNATIVES_MAX + 1).collect();
    if alternatives.len() > ALTERNATIVES_MAX {
        return Err(Refusal::limit(
            "alternatives per parameter",
            ALTERNATIVES_MAX,
        ));
    }
    if alternatives.contains(&"") {
        return Err(Refusal::value(name, "has an empty alternative"));
    }
    Ok(alternatives)
}

fn missing(parameter: Parameter<'_>, value: &str) -> Result<Filter, Refusal> {
    let missing = match value {
        "true" => true,
        "false" => false,
        _ => {
            let name = format!("{}:missing", parameter.code);
            return Err(Refusal::value(&name, "is neither true nor false"));
        }
    };
    Ok(Filter::Missing {
        parameter: parameter.id,
        kind: parameter.kind,
        missing,
    })
}

fn unsupported_modifier(parameter: Parameter<'_>, modifier: &str) -> Refusal {
    let supported: &[&str] = match parameter.kind {
        ValueKind::Token => &[":missing", ":not"],
        ValueKind::String => &[":contains", ":exact", ":missing"],
        ValueKind::Reference => &[":missing", "a type of resource"],
        ValueKind::Uri => &[":above", ":below", ":missing"],
        ValueKind::Date | ValueKind::Quantity | ValueKind::Number => &[":missing"],
    };
    Refusal::modifier(parameter.code, modifier, supported)
}

#[cfg(test)]
mod tests;
