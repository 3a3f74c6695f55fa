//! A whole query, and the parameters that shape its result instead of selecting.
//!
//! <https://hl7.org/fhir/R4/search.html#return>. Parameters that select are left to `filter`, what
//! is included to `include`.

use std::cell::Cell;

use fhir_model::definition::TypeId;
use fhir_model::issue::Issue;

use crate::search::expression::{Filter, Search, Sort, SortBy, Total, Types};
use crate::search::parameter::{self, Lookup};
use crate::search::query::filter::Filters;
use crate::search::query::name::Name;
use crate::search::query::refusal::Refusal;
use crate::search::query::{
    Context, PAGE, PAGE_TOKEN_CHARS_MAX, Parsed, SORT_KEYS_MAX, Summary, include, page,
};

/// A query half read.
pub(super) struct Parser<'a> {
    context: &'a Context<'a>,
    types: Vec<TypeId>,
    parsed: Parsed,
    errors: Vec<Issue>,
    page: Option<String>,
    branches: Cell<usize>,
    /// The result parameters seen that may be given once only.
    seen: Vec<&'static str>,
}

/// Reads a parameter that shapes the result, and gives back its value as applied.
type ResultParameter = fn(&mut Parser<'_>, Name<'_>, &str) -> Result<String, Refusal>;

/// The parameters that select nothing: <https://hl7.org/fhir/R4/search.html#return>. The form of the
/// answer is left to REST.
pub(super) const RESULT_PARAMETERS: &[(&str, ResultParameter)] = &[
    ("_count", |parser, _, value| parser.count(value)),
    ("_elements", |parser, _, value| parser.elements(value)),
    ("_format", |_, _, value| Ok(value.to_owned())),
    ("_include", |parser, name, value| {
        parser.include(name, value)
    }),
    (PAGE, |parser, _, value| parser.page(value)),
    ("_pretty", |_, _, value| Ok(value.to_owned())),
    ("_revinclude", |parser, name, value| {
        parser.revinclude(name, value)
    }),
    ("_sort", |parser, _, value| parser.sort(value)),
    ("_summary", |parser, _, value| parser.summary(value)),
    ("_total", |parser, _, value| parser.total(value)),
];

/// The result parameters that may be given more than once.
const REPEATABLE: &[&str] = &["_elements", "_include", "_revinclude", "_sort"];

/// The result parameters that may have a modifier.
const WITH_MODIFIER: &[&str] = &["_include", "_revinclude"];

impl<'a> Parser<'a> {
    /// For a search over these types, which are `named` in it.
    pub(super) fn new(context: &'a Context<'a>, types: Vec<TypeId>, named: Types) -> Self {
        Self {
            context,
            types,
            parsed: Parsed {
                search: Search {
                    types: named,
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
            branches: Cell::new(0),
            seen: Vec::new(),
        }
    }

    /// Applies one parameter, or notes why not.
    pub(super) fn take(&mut self, name: &str, value: &str) {
        match self.apply(name, value) {
            Ok(_) if name == PAGE => {}
            Ok(applied) => self.parsed.applied.push((name.to_owned(), applied)),
            Err(refusal) => match refusal.settle(self.context.handling) {
                Ok(issue) => self.parsed.issues.push(issue),
                Err(issue) => self.errors.push(issue),
            },
        }
    }

    /// Notes a parameter that was applied before.
    pub(super) fn note(&mut self, parameter: &(String, String)) {
        self.parsed.applied.push(parameter.clone());
    }

    fn apply(&mut self, name: &str, value: &str) -> Result<String, Refusal> {
        let parts = Name::parse(name);
        if let Some((code, read)) = RESULT_PARAMETERS.iter().find(|row| row.0 == parts.code) {
            if let Some(modifier) = parts.modifier.filter(|_| !WITH_MODIFIER.contains(code)) {
                return Err(Refusal::modifier(code, modifier, &[]));
            }
            self.once(code)?;
            return read(self, parts, value);
        }
        if value.is_empty() {
            return Err(Refusal::empty(name));
        }
        let filters = Filters {
            context: self.context,
            links: 0,
            branches: &self.branches,
        };
        match filters.read(&self.types, name, value)? {
            // each may drive the search
            Filter::And(all) => self.parsed.search.filters.extend(all),
            filter => self.parsed.search.filters.push(filter),
        }
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

    /// What was understood, or every error.
    pub(super) fn finish(self) -> Result<Parsed, Vec<Issue>> {
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
            "estimate" => Total::Estimate,
            "accurate" => Total::Accurate,
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
        let [only] = self.types.as_slice() else {
            let reason = "is _id and _lastUpdated, and nothing else, in a search of several types";
            return Err(Refusal::value("_sort", reason));
        };
        match parameter::find(self.context.definitions, *only, code) {
            Lookup::Supported(found) if self.context.unindexed.contains(&found.id) => {
                Err(Refusal::unindexed(found.code))
            }
            Lookup::Supported(found) => Ok(SortBy::Parameter(found.id, found.kind)),
            Lookup::Unsupported | Lookup::Unknown => {
                let reason = "names no parameter of the resource type to sort by";
                Err(Refusal::value("_sort", reason))
            }
        }
    }

    fn include(&mut self, name: Name<'_>, value: &str) -> Result<String, Refusal> {
        let include = self.includes().forth(name.modifier, value)?;
        self.parsed.search.includes.push(include);
        Ok(value.to_owned())
    }

    fn revinclude(&mut self, name: Name<'_>, value: &str) -> Result<String, Refusal> {
        let include = self.includes().back(name.modifier, value)?;
        self.parsed.search.revincludes.push(include);
        Ok(value.to_owned())
    }

    fn includes(&self) -> include::Reader<'_> {
        include::Reader {
            context: self.context,
            types: &self.types,
        }
    }
}
