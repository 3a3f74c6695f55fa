//! The conditions of a search as SQL, for both dialects.
//!
//! A filter can be said in two ways: as the *rows* that it finds in its index, and as a *check* of
//! one resource, made on the values that are kept beside it. Which of the two a statement uses for
//! which filter is the plan's business (`store::find`).

use fhir_model::key::ResourceType;

use crate::search::expression::{
    Criterion, DateCriterion, Filter, Prefix, ReferenceCriterion, StringMatching, TokenCriterion,
    Types, UriMatching, ValueKind,
};
use crate::search::value::ParameterId;
use crate::store::entries::{indexed_text, indexed_time, system_hash};
use crate::store::sql::{Bind, Dialect, Sql};

mod chain;

pub(crate) use chain::push_probe;

/// Criteria of one filter that are looked up one by one; more are looked up in one pass. SQLite
/// takes 500 parts in a `UNION`.
const CRITERIA_UNION_MAX: usize = 100;

/// How far a number's midpoint may lie beside what was asked for, relative to it, and still be
/// equal: the ends of an interval are rounded to a float.
const ROUNDING: f64 = 1e-12;

/// Where a filter's values are kept.
pub(crate) struct Layout {
    /// The table.
    pub(crate) table: &'static str,
    /// The kind's name in the document beside the resource.
    document: &'static str,
    /// The columns, and what PostgreSQL has to be told about them when they come from a document.
    columns: &'static [(&'static str, &'static str)],
}

const TEXT: &str = " COLLATE \"C\"";
const INTEGER: &str = "::bigint";
const REAL: &str = "::float8";

/// Where values of a kind are kept. The first column is what they are sorted by.
pub(crate) fn layout(kind: ValueKind) -> Layout {
    let (table, document, columns): (_, _, &'static [(&str, &str)]) = match kind {
        ValueKind::Token => ("search_token", "t", &[("code", TEXT), ("system", INTEGER)]),
        ValueKind::String => (
            "search_string",
            "s",
            &[("normalised", TEXT), ("exact", TEXT)],
        ),
        ValueKind::Date => ("search_date", "d", &[("low", INTEGER), ("high", INTEGER)]),
        ValueKind::Reference => (
            "search_reference",
            "r",
            &[("target_id", TEXT), ("target_type", TEXT)],
        ),
        ValueKind::Quantity => (
            "search_quantity",
            "q",
            &[
                ("low", REAL),
                ("high", REAL),
                ("system", INTEGER),
                ("code", TEXT),
            ],
        ),
        ValueKind::Number => ("search_number", "n", &[("low", REAL), ("high", REAL)]),
        ValueKind::Uri => ("search_uri", "u", &[("uri", TEXT)]),
    };
    Layout {
        table,
        document,
        columns,
    }
}

/// Where the columns of a condition come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A search table with alias `s`.
    Table,
    /// One value `e` of the document beside the resource.
    Document,
}

/// A condition on one value, being written.
struct Condition<'s> {
    sql: &'s mut Sql,
    place: Place,
    kind: ValueKind,
}

impl Condition<'_> {
    fn column(&mut self, place: usize) -> &mut Self {
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

    fn push(&mut self, text: &str) -> &mut Self {
        self.sql.push(text);
        self
    }

    fn bind(&mut self, value: impl Into<Bind>) -> &mut Self {
        self.sql.bind(value);
        self
    }

    /// `column <operator> value`.
    fn compare(&mut self, column: usize, operator: &str, value: impl Into<Bind>) -> &mut Self {
        self.column(column).push(operator).bind(value)
    }

    fn starts_with(&mut self, column: usize, prefix: &str) {
        let prefix = indexed_text(prefix);
        let after = after_prefix(&prefix);
        self.compare(column, " >= ", prefix);
        if let Some(after) = after {
            self.push(" AND ").compare(column, " < ", after);
        }
    }

    fn criterion(&mut self, criterion: &Criterion) {
        match criterion {
            Criterion::Token(token) => self.token(token),
            Criterion::String { text, matching } => self.string(text, *matching),
            Criterion::Date(date) => {
                let (low, high) = (indexed_time(date.low), indexed_time(date.high));
                self.interval(date.prefix, low.into(), high.into());
            }
            Criterion::Reference(reference) => self.reference(reference),
            Criterion::Quantity {
                prefix,
                low,
                high,
                system,
                code,
            } => {
                self.number(*prefix, *low, *high);
                if let Some(system) = system {
                    self.push(" AND ").compare(2, " = ", system_hash(system));
                }
                if let Some(code) = code {
                    self.push(" AND ").compare(3, " = ", indexed_text(code));
                }
            }
            Criterion::Number { prefix, low, high } => self.number(*prefix, *low, *high),
            Criterion::Uri { uri, matching } => self.uri(uri, *matching),
        }
    }

    fn token(&mut self, token: &TokenCriterion) {
        match token {
            TokenCriterion::Code(code) => {
                self.compare(0, " = ", indexed_text(code));
            }
            TokenCriterion::SystemAndCode(system, code) => {
                self.compare(0, " = ", indexed_text(code));
                self.push(" AND ").compare(1, " = ", system_hash(system));
            }
            TokenCriterion::System(system) => {
                self.compare(1, " = ", system_hash(system));
            }
        }
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
                self.compare(1, " = ", indexed_text(text));
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
                self.push(" AND ").compare(1, " = ", resource_type.as_str());
            }
            ReferenceCriterion::AnyType(id) => {
                self.compare(0, " = ", id.as_str());
                self.push(" AND ").column(1).push(" <> ''");
            }
            ReferenceCriterion::Url(url) => {
                self.compare(0, " = ", indexed_text(url));
                self.push(" AND ").column(1).push(" = ''");
            }
        }
    }

    fn uri(&mut self, uri: &str, matching: UriMatching) {
        match matching {
            UriMatching::Equal => {
                self.compare(0, " = ", indexed_text(uri));
            }
            UriMatching::Below => self.starts_with(0, uri),
            UriMatching::Above => {
                let function = self.sql.dialect.pick("instr(", "strpos(");
                self.push(function)
                    .bind(indexed_text(uri))
                    .push(", ")
                    .column(0)
                    .push(") = 1");
            }
        }
    }

    /// The prefixes on intervals, `[low, high)` of the value against that of the query:
    /// <https://hl7.org/fhir/R4/search.html#prefix>.
    fn interval(&mut self, prefix: Prefix, low: Bind, high: Bind) {
        match prefix {
            Prefix::Eq => {
                // the second comparison follows from the others; it bounds the scan of the index
                self.compare(0, " >= ", low)
                    .push(" AND ")
                    .compare(0, " < ", high.clone());
                self.push(" AND ").compare(1, " <= ", high);
            }
            Prefix::Ne => {
                self.push("(").compare(0, " < ", low).push(" OR ");
                self.compare(1, " > ", high).push(")");
            }
            Prefix::Gt => {
                self.compare(1, " > ", high);
            }
            Prefix::Lt => {
                self.compare(0, " < ", low);
            }
            Prefix::Ge => {
                self.compare(1, " > ", low.clone()).push(" AND (");
                self.compare(1, " > ", high)
                    .push(" OR ")
                    .compare(0, " >= ", low)
                    .push(")");
            }
            Prefix::Le => {
                self.compare(0, " < ", high.clone()).push(" AND (");
                self.compare(0, " < ", low)
                    .push(" OR ")
                    .compare(1, " <= ", high)
                    .push(")");
            }
            Prefix::Sa => {
                self.compare(0, " >= ", high);
            }
            Prefix::Eb => {
                self.compare(1, " <= ", low);
            }
            Prefix::Ap => {
                self.compare(0, " < ", high)
                    .push(" AND ")
                    .compare(1, " > ", low);
            }
        }
    }

    /// The prefixes on numbers: equality goes by the interval that the digits stand for, order by
    /// the number itself, which is the middle of the value's interval:
    /// <https://hl7.org/fhir/R4/search.html#number>.
    fn number(&mut self, prefix: Prefix, low: f64, high: f64) {
        let middle = f64::midpoint(low, high);
        let slack = middle.abs() * ROUNDING;
        match prefix {
            Prefix::Eq => {
                self.compare(0, " >= ", low)
                    .push(" AND ")
                    .compare(0, " <= ", high);
                self.push(" AND ").compare(1, " <= ", high);
            }
            Prefix::Ne => {
                self.push("(").compare(0, " < ", low).push(" OR ");
                self.compare(1, " > ", high).push(")");
            }
            Prefix::Gt | Prefix::Sa => {
                self.compare(1, " > ", middle).push(" AND ");
                self.middle(" > ", middle + slack);
            }
            Prefix::Ge => {
                self.compare(1, " >= ", middle - slack).push(" AND ");
                self.middle(" >= ", middle - slack);
            }
            Prefix::Lt | Prefix::Eb => {
                self.compare(0, " < ", middle).push(" AND ");
                self.middle(" < ", middle - slack);
            }
            Prefix::Le => {
                self.compare(0, " <= ", middle + slack).push(" AND ");
                self.middle(" <= ", middle + slack);
            }
            Prefix::Ap => {
                self.compare(0, " <= ", high)
                    .push(" AND ")
                    .compare(1, " >= ", low);
            }
        }
    }

    fn middle(&mut self, operator: &str, value: f64) {
        self.push("(")
            .column(0)
            .push(" + ")
            .column(1)
            .push(") / 2.0")
            .push(operator)
            .bind(value);
    }
}

/// The first text, in the order of bytes, after all those that start with `prefix`.
fn after_prefix(prefix: &str) -> Option<String> {
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

/// The kind of value that a criterion compares with.
fn kind(criterion: &Criterion) -> ValueKind {
    match criterion {
        Criterion::Token(_) => ValueKind::Token,
        Criterion::String { .. } => ValueKind::String,
        Criterion::Date(_) => ValueKind::Date,
        Criterion::Reference(_) => ValueKind::Reference,
        Criterion::Quantity { .. } => ValueKind::Quantity,
        Criterion::Number { .. } => ValueKind::Number,
        Criterion::Uri { .. } => ValueKind::Uri,
    }
}

/// Whether an index finds what matches without looking at much else.
fn is_indexed(criterion: &Criterion) -> bool {
    !matches!(
        criterion,
        Criterion::Token(TokenCriterion::System(_))
            | Criterion::String {
                matching: StringMatching::Contains | StringMatching::Exact | StringMatching::Ends,
                ..
            }
            | Criterion::Uri {
                matching: UriMatching::Above,
                ..
            }
            | Criterion::Date(DateCriterion {
                prefix: Prefix::Ne,
                ..
            })
            | Criterion::Number {
                prefix: Prefix::Ne,
                ..
            }
            | Criterion::Quantity {
                prefix: Prefix::Ne,
                ..
            }
    )
}

/// Whether a filter can be said as rows of an index.
pub(crate) fn has_rows(filter: &Filter) -> bool {
    match filter {
        Filter::Id(_) | Filter::LastUpdated(_) | Filter::Compartment(_) => true,
        Filter::Chain { filters, .. } | Filter::Has { filters, .. } | Filter::And(filters) => {
            chain::driver(filters).is_some()
        }
        Filter::Or(filters) => filters.iter().all(has_rows),
        Filter::ByType(branches) => branches.iter().all(|(_, filter)| has_rows(filter)),
        Filter::Any {
            criteria, negated, ..
        } => !negated && criteria.iter().all(is_indexed),
        Filter::Missing { .. } | Filter::Not(_) | Filter::Nothing => false,
    }
}

/// A filter whose rows come from its index in the order of their keys, each once: the table, to
/// be joined as `s`, and its condition.
pub(crate) fn push_ordered(sql: &mut Sql, filter: &Filter) {
    match filter {
        Filter::Any {
            parameter,
            criteria,
            ..
        } => {
            let Some(criterion) = criteria.first() else {
                return;
            };
            sql.push(layout(kind(criterion)).table)
                .push(" s CROSS JOIN resource r WHERE ");
            sql.push("r.row_key = s.row_key AND s.parameter = ")
                .bind(i64::from(parameter.0));
            sql.push(" AND ");
            Condition {
                sql,
                place: Place::Table,
                kind: kind(criterion),
            }
            .criterion(criterion);
        }
        Filter::Compartment(patient) => {
            sql.push("compartment s CROSS JOIN resource r WHERE r.row_key = s.row_key ");
            sql.push("AND s.patient = ").bind(patient.as_str());
        }
        _ => {}
    }
}

/// Whether [`push_ordered`] can say a filter.
pub(crate) fn is_ordered(filter: &Filter) -> bool {
    match filter {
        Filter::Compartment(_) => true,
        Filter::Any {
            criteria,
            negated: false,
            ..
        } => matches!(
            criteria.as_slice(),
            [Criterion::Token(TokenCriterion::SystemAndCode(..))
                | Criterion::Reference(ReferenceCriterion::Local(..) | ReferenceCriterion::Url(_))
                | Criterion::Uri {
                    matching: UriMatching::Equal,
                    ..
                }]
        ),
        _ => false,
    }
}

/// Adds a `SELECT` of the keys that a filter finds, at most `limit` of each criterion.
pub(crate) fn push_rows(sql: &mut Sql, filter: &Filter, types: &Types, limit: Option<i64>) {
    match filter {
        Filter::Any {
            parameter,
            criteria,
            ..
        } => push_index(sql, *parameter, criteria, limit),
        Filter::Id(ids) => {
            sql.push("SELECT i.row_key FROM resource i WHERE ");
            push_type(sql, "", "i", types);
            sql.push(" AND i.id IN ");
            sql.bind_ids(ids.iter().map(fhir_model::key::LogicalId::as_str));
        }
        Filter::LastUpdated(date) => {
            sql.push("SELECT i.row_key FROM resource i WHERE i.text IS NOT NULL AND ");
            push_type(sql, "", "i", types);
            sql.push(" AND ");
            push_instant(sql, "i.last_updated", *date);
            push_limit(sql, limit);
        }
        Filter::Chain {
            parameter,
            target,
            filters,
        } => {
            chain::push_chain_rows(sql, *parameter, target, filters);
            push_limit(sql, limit);
        }
        Filter::Has {
            source,
            parameter,
            filters,
        } => {
            chain::push_has_rows(sql, *parameter, &source.clone().into(), filters, types);
            push_limit(sql, limit);
        }
        Filter::And(filters) => {
            chain::push_and_rows(sql, filters, types);
            push_limit(sql, limit);
        }
        Filter::Or(filters) => chain::push_or_rows(sql, filters, types, limit),
        Filter::ByType(branches) => chain::push_rows_by_type(sql, branches, limit),
        Filter::Compartment(patient) => {
            sql.push("SELECT s.row_key FROM compartment s WHERE s.patient = ");
            sql.bind(patient.as_str());
            push_limit(sql, limit);
        }
        Filter::Missing {
            parameter, kind, ..
        } => {
            sql.push("SELECT s.row_key FROM ").push(layout(*kind).table);
            sql.push(" s WHERE s.parameter = ")
                .bind(i64::from(parameter.0));
            push_limit(sql, limit);
        }
        Filter::Not(_) | Filter::Nothing => {
            sql.push("SELECT i.row_key FROM resource i WHERE 1 = 0");
        }
    }
}

/// Adds the condition that the resource `alias` is of one of these types. On SQLite `aside` may be
/// a `+`, which keeps it from choosing the index.
pub(crate) fn push_type(sql: &mut Sql, aside: &str, alias: &str, types: &Types) {
    if types.is_all() {
        sql.push("1 = 1");
        return;
    }
    sql.push(aside).push(alias).push(".resource_type");
    match types.only() {
        Some(only) => sql.push(" = ").bind(only.as_str()),
        None => sql
            .push(" IN ")
            .bind_list(types.named().iter().map(ResourceType::as_str)),
    };
}

fn push_limit(sql: &mut Sql, limit: Option<i64>) {
    if let Some(limit) = limit {
        sql.push(" LIMIT ").bind(limit);
    }
}

fn push_index(sql: &mut Sql, parameter: ParameterId, criteria: &[Criterion], limit: Option<i64>) {
    let Some(first) = criteria.first() else {
        sql.push("SELECT i.row_key FROM resource i WHERE 1 = 0");
        return;
    };
    let size = if criteria.len() > CRITERIA_UNION_MAX {
        criteria.len()
    } else {
        1
    };
    for (place, together) in criteria.chunks(size).enumerate() {
        sql.push(if place > 0 { " UNION " } else { "" });
        sql.push(if limit.is_some() {
            "SELECT row_key FROM ("
        } else {
            ""
        });
        sql.push("SELECT s.row_key FROM ")
            .push(layout(kind(first)).table);
        sql.push(" s WHERE s.parameter = ")
            .bind(i64::from(parameter.0))
            .push(" AND ");
        push_any(sql, Place::Table, together);
        push_limit(sql, limit);
        sql.push(if limit.is_some() { ") part" } else { "" });
    }
}

fn push_any(sql: &mut Sql, place: Place, criteria: &[Criterion]) {
    sql.push(if criteria.len() > 1 { "(" } else { "" });
    for (number, criterion) in criteria.iter().enumerate() {
        sql.push(if number > 0 { " OR (" } else { "(" });
        Condition {
            sql,
            place,
            kind: kind(criterion),
        }
        .criterion(criterion);
        sql.push(")");
    }
    sql.push(if criteria.len() > 1 { ")" } else { "" });
}

/// Adds a condition that checks a filter on the resource `alias`.
pub(crate) fn push_check(sql: &mut Sql, filter: &Filter, types: &Types, alias: &str) {
    match filter {
        Filter::Id(ids) => {
            sql.push(alias).push(".id IN ");
            sql.bind_ids(ids.iter().map(fhir_model::key::LogicalId::as_str));
        }
        Filter::LastUpdated(date) => {
            push_instant(sql, &format!("{alias}.last_updated"), *date);
        }
        Filter::Any {
            parameter,
            criteria,
            negated,
        } => {
            let Some(first) = criteria.first() else {
                sql.push(if *negated { "1 = 1" } else { "1 = 0" });
                return;
            };
            sql.push(if *negated { "NOT EXISTS (" } else { "EXISTS (" });
            sql.push("SELECT 1 FROM ");
            push_values(sql, alias, kind(first), *parameter);
            sql.push(" WHERE ");
            push_any(sql, Place::Document, criteria);
            sql.push(")");
        }
        Filter::Missing {
            parameter,
            kind,
            missing,
        } => {
            sql.push(if *missing { "NOT EXISTS (" } else { "EXISTS (" });
            sql.push("SELECT 1 FROM ");
            push_values(sql, alias, *kind, *parameter);
            sql.push(")");
        }
        Filter::Chain {
            parameter,
            target,
            filters,
        } => chain::push_chain_check(sql, *parameter, target, filters, alias),
        Filter::Has {
            source,
            parameter,
            filters,
        } => {
            chain::push_has_check(sql, *parameter, &source.clone().into(), filters, alias);
        }
        Filter::And(filters) => chain::push_all(sql, filters, " AND ", types, alias),
        Filter::Or(filters) => chain::push_all(sql, filters, " OR ", types, alias),
        Filter::Not(filter) => {
            sql.push("NOT (");
            push_check(sql, filter, types, alias);
            sql.push(")");
        }
        Filter::ByType(branches) => chain::push_by_type(sql, branches, alias),
        Filter::Compartment(patient) => {
            sql.push("EXISTS (SELECT 1 FROM compartment s WHERE s.patient = ");
            sql.bind(patient.as_str())
                .push(" AND s.row_key = ")
                .push(alias)
                .push(".row_key)");
        }
        Filter::Nothing => {
            sql.push("1 = 0");
        }
    }
}

/// Adds the values `e` of a parameter of the resource `alias`, from the document beside it.
fn push_values(sql: &mut Sql, alias: &str, kind: ValueKind, parameter: ParameterId) {
    let document = layout(kind).document;
    if sql.dialect == Dialect::Sqlite {
        sql.push("json_each(")
            .push(alias)
            .push(".entries, '$.")
            .push(document)
            .push(".\"");
        sql.push_number(parameter.0).push("\"') e");
    } else {
        sql.push("jsonb_array_elements(")
            .push(alias)
            .push(".entries->'")
            .push(document);
        sql.push("'->'")
            .push_number(parameter.0)
            .push("') e (value)");
    }
}

/// Adds the value that a resource `r` is sorted by: its lowest, or its highest.
pub(crate) fn push_sort_value(
    sql: &mut Sql,
    kind: ValueKind,
    parameter: ParameterId,
    descending: bool,
) {
    sql.push(if descending {
        "(SELECT max("
    } else {
        "(SELECT min("
    });
    Condition {
        sql,
        place: Place::Document,
        kind,
    }
    .column(0);
    sql.push(") FROM ");
    push_values(sql, "r", kind, parameter);
    sql.push(")");
}

/// An instant compared with an interval; it lasts a microsecond.
fn push_instant(sql: &mut Sql, column: &str, date: DateCriterion) {
    let DateCriterion { prefix, low, high } = date;
    let mut compare = |operator: &str, value: i64| {
        sql.push(column).push(operator).bind(value);
    };
    match prefix {
        Prefix::Eq | Prefix::Ap => {
            compare(" >= ", low);
            sql.push(" AND ").push(column).push(" < ").bind(high);
        }
        Prefix::Ne => {
            sql.push("(").push(column).push(" < ").bind(low);
            sql.push(" OR ")
                .push(column)
                .push(" >= ")
                .bind(high)
                .push(")");
        }
        Prefix::Gt | Prefix::Sa => compare(" >= ", high),
        Prefix::Ge => compare(" >= ", low),
        Prefix::Lt | Prefix::Eb => compare(" < ", low),
        Prefix::Le => compare(" < ", high),
    }
}
