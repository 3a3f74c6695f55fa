//! Conditions on one value: a row of a search table, or a value of the document beside a resource.
//!
//! <https://hl7.org/fhir/R4/search.html#ptypes>; `search::matching` says the same in memory.

use std::sync::Arc;

use crate::search::expression::{
    Criterion, Prefix, ReferenceCriterion, StringMatching, TokenCriterion, TokenSet, UriMatching,
    ValueKind,
};
use crate::search::lineage;
use crate::search::normalise::fold;
use crate::search::value::ParameterId;
use crate::store::entries::{indexed_text, indexed_time, system_hash};
use crate::store::search_sql::layout;
use crate::store::search_sql::lookup::{Lookup, Part};
use crate::store::sql::{Bind, Dialect, Sql};

/// Where the columns of a condition come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A search table with alias `s`.
    Table,
    /// One value `e` of the document beside the resource.
    Document,
}

/// A condition on one value, being written.
pub(super) struct Condition<'s> {
    sql: &'s mut Sql,
    place: Place,
    kind: ValueKind,
}

impl<'s> Condition<'s> {
    pub(super) fn new(sql: &'s mut Sql, place: Place, kind: ValueKind) -> Self {
        Self { sql, place, kind }
    }

    /// Adds a column, by its place in the table.
    pub(super) fn column(&mut self, place: usize) -> &mut Self {
        let layout = layout(self.kind);
        let Some((name, cast)) = layout.columns.get(place) else {
            return self;
        };
        match self.place {
            Place::Table => {
                self.sql.push("s.").push(name);
            }
            Place::Document => {
                self.sql.push("(e.value->>");
                self.sql
                    .push_number(i64::try_from(place).unwrap_or_default())
                    .push(")");
                if self.sql.dialect == Dialect::Postgres {
                    self.sql.push(cast);
                }
            }
        }
        self
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.sql.push(text);
        self
    }

    fn bind(&mut self, value: impl Into<Bind>) -> &mut Self {
        self.sql.bind(value);
        self
    }

    /// `column <operator> value`.
    pub(super) fn compare(
        &mut self,
        column: usize,
        operator: &str,
        value: impl Into<Bind>,
    ) -> &mut Self {
        self.column(column).push(operator).bind(value)
    }

    fn also(&mut self, column: usize, operator: &str, value: impl Into<Bind>) -> &mut Self {
        self.push(" AND ").compare(column, operator, value)
    }

    pub(super) fn starts_with(&mut self, column: usize, prefix: &str) {
        let prefix = indexed_text(prefix);
        let after = after_prefix(&prefix);
        self.compare(column, " >= ", prefix);
        if let Some(after) = after {
            self.also(column, " < ", after);
        }
    }

    /// Adds the condition of a lookup.
    pub(super) fn lookup(&mut self, lookup: &Lookup<'_>) {
        match lookup.criterion {
            Criterion::Token(TokenCriterion::Text(text)) if lookup.part == Part::Said => {
                self.starts_with(0, text);
            }
            Criterion::Token(token) => self.token(token, lookup.parameter),
            Criterion::String { text, matching } => self.string(text, *matching),
            Criterion::Date(date) => {
                let (low, high) = (indexed_time(date.low), indexed_time(date.high));
                self.date(date.prefix, low, high, lookup.part);
            }
            Criterion::Reference(reference) => self.reference(reference),
            Criterion::Quantity {
                prefix,
                low,
                high,
                system,
                code,
            } => {
                self.number(*prefix, *low, *high, lookup.part);
                if let Some(system) = system {
                    self.also(2, " = ", system_hash(system));
                }
                if let Some(code) = code {
                    self.also(3, " = ", indexed_text(code));
                }
            }
            Criterion::CanonicalQuantity {
                prefix,
                low,
                high,
                unit,
            } => {
                self.number(*prefix, *low, *high, lookup.part);
                self.also(3, " = ", indexed_text(unit));
            }
            Criterion::Number { prefix, low, high } => {
                self.number(*prefix, *low, *high, lookup.part);
            }
            Criterion::Uri { uri, matching } => self.uri(uri, *matching),
            // It is more than one value: see `composite`.
            Criterion::Composite(_) => {}
        }
    }

    fn token(&mut self, token: &TokenCriterion, parameter: ParameterId) {
        match token {
            TokenCriterion::Code(code) => {
                self.compare(0, " = ", indexed_text(code));
            }
            TokenCriterion::SystemAndCode(system, code) => {
                self.compare(0, " = ", indexed_text(code));
                self.also(1, " = ", system_hash(system));
            }
            TokenCriterion::System(system) => {
                self.compare(1, " = ", system_hash(system));
            }
            TokenCriterion::Among(set) => self.among(set),
            TokenCriterion::Text(text) => self.shown_as(text, parameter),
        }
    }

    /// `(code, system) IN (`: what follows is closed by whoever writes it.
    fn pair(&mut self) -> &mut Self {
        self.push("(").column(0).push(", ").column(1).push(") IN (")
    }

    fn among(&mut self, set: &TokenSet) {
        self.pair();
        let rows = set.iter();
        let rows = rows.map(|(system, code)| (indexed_text(code), system_hash(system)));
        match self.sql.dialect {
            Dialect::Sqlite => {
                let rows: Vec<_> = rows.collect();
                let json = serde_json::to_string(&rows).unwrap_or_default();
                self.push("SELECT value ->> 0, value ->> 1 FROM json_each(");
                self.bind(json).push("))");
            }
            Dialect::Postgres => {
                let (codes, systems): (Vec<_>, Vec<_>) = rows.unzip();
                let codes = codes.into_iter().map(|code| Some(Arc::from(code)));
                self.push("SELECT * FROM unnest(");
                self.bind(Bind::Texts(codes.collect())).push("::text[], ");
                self.bind(Bind::Integers(systems)).push("::bigint[]))");
            }
        }
    }

    /// A code of which the display starts with a text.
    fn shown_as(&mut self, text: &str, parameter: ParameterId) {
        let text = indexed_text(text);
        self.pair()
            .push("SELECT d.code, d.system FROM search_display d WHERE d.parameter = ")
            .bind(i64::from(parameter.0));
        let after = after_prefix(&text);
        self.push(" AND d.normalised >= ").bind(text);
        if let Some(after) = after {
            self.push(" AND d.normalised < ").bind(after);
        }
        self.push(")");
    }

    fn string(&mut self, text: &str, matching: StringMatching) {
        match matching {
            StringMatching::StartsWith => self.starts_with(0, text),
            StringMatching::Contains => {
                let function = self.sql.dialect.pick("instr(", "strpos(");
                self.push(function)
                    .column(0)
                    .push(", ")
                    .bind(indexed_text(text))
                    .push(") > 0");
            }
            StringMatching::Exact => {
                // What is equal is equal when it is normalised, which the index is by.
                self.starts_with(0, &fold(text));
                self.also(1, " = ", indexed_text(text));
            }
            StringMatching::Whole => {
                self.compare(0, " = ", indexed_text(text));
            }
            StringMatching::Ends if text.is_empty() => {
                self.push("1 = 1");
            }
            StringMatching::Ends => {
                let text = indexed_text(text);
                let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
                let (before, sign) = self.sql.dialect.pick(("substr(", -1), ("right(", 1));
                self.push(before).column(0).push(", ");
                self.sql.push_number(sign * length);
                self.push(") = ").bind(text);
            }
        }
    }

    fn reference(&mut self, reference: &ReferenceCriterion) {
        match reference {
            ReferenceCriterion::Local(resource_type, id) => {
                self.compare(0, " = ", id.as_str());
                self.also(1, " = ", resource_type.as_str());
            }
            ReferenceCriterion::AnyType(id) => {
                self.compare(0, " = ", id.as_str());
                self.push(" AND ").column(1).push(" <> ''");
            }
            ReferenceCriterion::Url(url) => self.url(url, UriMatching::Equal),
            ReferenceCriterion::Below(url) => self.url(url, UriMatching::Below),
            ReferenceCriterion::Above(url) => self.url(url, UriMatching::Above),
        }
    }

    fn url(&mut self, url: &str, matching: UriMatching) {
        self.uri(url, matching);
        self.push(" AND ").column(1).push(" = ''");
    }

    fn uri(&mut self, uri: &str, matching: UriMatching) {
        match matching {
            UriMatching::Equal => {
                self.compare(0, " = ", indexed_text(uri));
            }
            UriMatching::Below => self.below(uri),
            UriMatching::Above => {
                let above = lineage::above(uri).into_iter().map(indexed_text);
                self.column(0).push(" IN ");
                self.sql.bind_list(above);
            }
        }
    }

    /// The first two comparisons follow from the others; they bound the scan of the index.
    fn below(&mut self, uri: &str) {
        let Some(start) = lineage::below(uri) else {
            self.compare(0, " = ", indexed_text(uri));
            return;
        };
        let (first, start) = (indexed_text(uri), indexed_text(&start));
        let after = after_prefix(&start);
        self.compare(0, " >= ", first.clone().min(start.clone()));
        if let Some(after) = &after {
            self.also(0, " < ", after.as_str());
        }
        self.push(" AND (").compare(0, " = ", first).push(" OR ");
        self.compare(0, " >= ", start).push(")");
    }

    /// The prefixes on intervals, `[low, high)` of the value against that of the query:
    /// <https://hl7.org/fhir/R4/search.html#prefix>.
    fn date(&mut self, prefix: Prefix, low: i64, high: i64, part: Part) {
        match (prefix, part) {
            (Prefix::Eq, _) => {
                // the second comparison follows from the others; it bounds the scan of the index
                self.compare(0, " >= ", low).also(0, " < ", high);
                self.also(1, " <= ", high);
            }
            (Prefix::Lt, _) | (Prefix::Ne, Part::Low) => {
                self.compare(0, " < ", low);
            }
            (Prefix::Gt, _) | (Prefix::Ne, Part::High) => {
                self.compare(1, " > ", high);
            }
            (Prefix::Ne, _) => {
                self.push("(").compare(0, " < ", low).push(" OR ");
                self.compare(1, " > ", high).push(")");
            }
            (Prefix::Ge, _) => {
                self.compare(1, " > ", low).push(" AND (");
                self.compare(1, " > ", high).push(" OR ");
                self.compare(0, " >= ", low).push(")");
            }
            (Prefix::Le, _) => {
                self.compare(0, " < ", high).push(" AND (");
                self.compare(0, " < ", low).push(" OR ");
                self.compare(1, " <= ", high).push(")");
            }
            (Prefix::Sa, _) => {
                self.compare(0, " >= ", high);
            }
            (Prefix::Eb, _) => {
                self.compare(1, " <= ", low);
            }
            (Prefix::Ap, _) => {
                self.compare(0, " < ", high).also(1, " > ", low);
            }
        }
    }

    /// The same for numbers. Nearly all are points, so that the index by the lower end serves;
    /// ranges, which it may miss, are looked up apart ([`Part::Span`]).
    fn number(&mut self, prefix: Prefix, low: f64, high: f64, part: Part) {
        // Where both ends are one number, the end is included.
        let before_end = if low < high { " < " } else { " <= " };
        let from_end = if low < high { " >= " } else { " > " };
        match part {
            Part::Span => {
                self.column(1).push(" > ").column(0).push(" AND ");
            }
            Part::Low if prefix == Prefix::Ne => {
                self.compare(0, " < ", low);
                return;
            }
            _ => {}
        }
        let is_point = part == Part::High;
        match prefix {
            Prefix::Eq => {
                self.compare(0, " >= ", low).also(0, before_end, high);
                self.also(1, " <= ", high);
            }
            Prefix::Ne if is_point => {
                self.compare(0, from_end, high);
            }
            Prefix::Ne if part == Part::Span => {
                self.compare(1, " > ", high);
            }
            Prefix::Ne => {
                self.push("(").compare(0, " < ", low).push(" OR ");
                self.compare(0, from_end, high).push(" OR ");
                self.compare(1, " > ", high).push(")");
            }
            Prefix::Gt => {
                self.compare(usize::from(!is_point), " > ", high);
            }
            Prefix::Ge => {
                self.compare(usize::from(!is_point), " >= ", high);
            }
            Prefix::Lt => {
                self.compare(0, " < ", low);
            }
            Prefix::Le => {
                self.compare(0, " <= ", low);
            }
            Prefix::Sa => {
                self.compare(0, " > ", high);
            }
            Prefix::Eb => {
                self.compare(0, " < ", low).also(1, " < ", low);
            }
            Prefix::Ap => {
                self.compare(0, " <= ", high);
                self.also(usize::from(!is_point), " >= ", low);
            }
        }
    }
}

/// The first text, in the order of bytes, after all those that start with `prefix`.
pub(super) fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}
