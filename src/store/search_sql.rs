//! The conditions of a search as SQL, for both dialects.
//!
//! A filter can be said in two ways: as the *rows* that it finds in its index, and as a *check* of
//! one resource, made on the values that are kept beside it. Which of the two a statement uses for
//! which filter is the plan's business (`store::find`).

use fhir_model::key::{LogicalId, ResourceType};

use crate::search::expression::{
    Criterion, DateCriterion, Filter, Prefix, ReferenceCriterion, TokenCriterion, Types,
    UriMatching, ValueKind,
};
use crate::search::value::ParameterId;
use crate::store::entries::document;
use crate::store::search_sql::condition::{Condition, Place};
use crate::store::sql::{Dialect, Sql};

mod chain;
mod complement;
mod composite;
mod condition;
mod lookup;

pub(crate) use chain::push_probe;
pub(crate) use complement::is_complement;
pub(crate) use composite::key;

/// Where a filter's values are kept.
pub(crate) struct Layout {
    /// The table.
    pub(crate) table: &'static str,
    /// The kind's name in the document beside the resource.
    document: &'static str,
    /// The columns, and what PostgreSQL has to be told about them when they come from a document.
    columns: &'static [(&'static str, &'static str)],
}

impl Layout {
    /// The column that values are sorted by.
    pub(crate) fn first_column(&self) -> &'static str {
        self.columns.first().map_or("", |(name, _)| name)
    }

    /// The column behind it in the index, if there is one.
    pub(crate) fn second_column(&self) -> Option<&'static str> {
        self.columns.get(1).map(|(name, _)| *name)
    }
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
        ValueKind::Composite => (
            "search_composite",
            "c",
            &[("key", TEXT), ("low", REAL), ("high", REAL)],
        ),
    };
    Layout {
        table,
        document,
        columns,
    }
}

/// What the values of a kind are under in the document beside a resource.
pub(crate) fn document_name(kind: ValueKind) -> &'static str {
    layout(kind).document
}

/// Whether rows of an index find what matches. A part of a text (`:contains`) and a system without a
/// code are looked for among all rows of the parameter, which are fewer and smaller than resources.
fn is_indexed(criterion: &Criterion) -> bool {
    match criterion {
        Criterion::Composite(criteria) => composite::is_indexed(criteria),
        _ => true,
    }
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
        Filter::Missing { missing, .. } => !missing,
        Filter::Not(_) | Filter::Nothing => false,
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
            let lookups = lookup::lookups(*parameter, criteria);
            let Some(lookup) = lookups.first() else {
                return;
            };
            sql.push(layout(lookup.kind).table)
                .push(" s CROSS JOIN resource r WHERE ");
            sql.push("r.row_key = s.row_key AND s.parameter = ")
                .bind(i64::from(lookup.parameter.0));
            sql.push(" AND ");
            Condition::new(sql, Place::Table, lookup.kind).lookup(lookup);
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
        complement if is_complement(complement) => {
            complement::push_complement(sql, complement, types, limit);
        }
        Filter::Any {
            parameter,
            criteria,
            ..
        } => lookup::push_rows(sql, *parameter, criteria, limit),
        Filter::Id(ids) => {
            sql.push("SELECT i.row_key FROM resource i WHERE ");
            push_type(sql, "", "i", types);
            sql.push(" AND i.id IN ");
            sql.bind_ids(ids.iter().map(fhir_model::key::LogicalId::as_str));
        }
        Filter::LastUpdated(dates) => {
            sql.push("SELECT i.row_key FROM resource i WHERE i.text IS NOT NULL AND ");
            push_type(sql, "", "i", types);
            sql.push(" AND ");
            push_instants(sql, "i.last_updated", dates);
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

/// Adds a condition that checks a filter on the resource `alias`.
pub(crate) fn push_check(sql: &mut Sql, filter: &Filter, types: &Types, alias: &str) {
    match filter {
        Filter::Id(ids) => {
            sql.push(alias).push(".id IN ");
            sql.bind_ids(ids.iter().map(fhir_model::key::LogicalId::as_str));
        }
        Filter::LastUpdated(dates) => {
            push_instants(sql, &format!("{alias}.last_updated"), dates);
        }
        Filter::Any {
            parameter,
            criteria,
            negated,
        } => {
            sql.push(if *negated { "NOT " } else { "" });
            lookup::push_check(sql, &format!("{alias}.entries"), *parameter, criteria);
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
            push_patient_check(sql, patient, alias);
        }
        Filter::Nothing => {
            sql.push("1 = 0");
        }
    }
}

/// Adds a check that the resource `alias` is in the compartment of a patient.
fn push_patient_check(sql: &mut Sql, patient: &LogicalId, alias: &str) {
    let (before, between, after) = sql.dialect.pick(
        (
            "EXISTS (SELECT 1 FROM json_each(",
            ".entries, '$.p') e WHERE e.value = ",
            ")",
        ),
        ("coalesce(jsonb_exists(", ".entries->'p', ", "), false)"),
    );
    sql.push(before).push(alias).push(between);
    sql.bind(patient.as_str()).push(after);
}

/// Adds the values `e` of a parameter of the resource `alias`, from the document beside it.
pub(crate) fn push_values(sql: &mut Sql, alias: &str, kind: ValueKind, parameter: ParameterId) {
    push_values_of(sql, &format!("{alias}.entries"), kind, parameter, "e");
}

/// Adds the values of a parameter in a document, as `alias`.
fn push_values_of(
    sql: &mut Sql,
    document: &str,
    kind: ValueKind,
    parameter: ParameterId,
    alias: &str,
) {
    let (of_kind, key) = (layout(kind).document, document::key(parameter.0));
    // Values that another parameter has too are written once.
    let same = document::SAME;
    let text = match sql.dialect {
        Dialect::Sqlite => format!(
            "json_each({document}, '$.{of_kind}.\"' || \
             coalesce({document} ->> '$.{of_kind}.\"{same}\".\"{key}\"', '{key}') || '\"') "
        ),
        Dialect::Postgres => format!(
            "jsonb_array_elements({document}->'{of_kind}'->\
             coalesce({document}->'{of_kind}'->'{same}'->>'{key}', '{key}')) "
        ),
    };
    sql.push(&text).push(alias);
    sql.push(sql.dialect.pick("", " (value)"));
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
    Condition::new(sql, Place::Document, kind).column(0);
    sql.push(") FROM ");
    push_values(sql, "r", kind, parameter);
    sql.push(")");
}

/// Adds a condition on the values `e` of a resource: the index has that value right before the row
/// `s`, as the first columns of both are the same.
pub(crate) fn push_earlier_value(sql: &mut Sql, kind: ValueKind) {
    let layout = layout(kind);
    let mut condition = Condition::new(sql, Place::Document, kind);
    condition
        .column(0)
        .push(" = s.")
        .push(layout.first_column());
    let rest = || layout.columns.iter().enumerate().skip(1);
    condition.push(" AND (");
    for (place, _) in rest() {
        condition
            .push(if place > 1 { ", " } else { "" })
            .column(place);
    }
    condition.push(") < (");
    for (place, (name, _)) in rest() {
        condition
            .push(if place > 1 { ", s." } else { "s." })
            .push(name);
    }
    condition.push(")");
}

/// An instant compared with one of several intervals.
fn push_instants(sql: &mut Sql, column: &str, dates: &[DateCriterion]) {
    sql.push("(");
    for (place, date) in dates.iter().enumerate() {
        sql.push(if place > 0 { " OR (" } else { "(" });
        push_instant(sql, column, *date);
        sql.push(")");
    }
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
