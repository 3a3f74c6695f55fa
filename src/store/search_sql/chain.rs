//! Filters made of filters: chains, reverse chains, and the combinations of `_filter`.
//!
//! <https://hl7.org/fhir/R4/search.html#chaining>, <https://hl7.org/fhir/R4/search.html#has>. Said as
//! rows, a chain starts at what its innermost filter finds and follows references from there; said
//! as a check it starts at the resource in hand. Nothing is bound twice, nothing is looked up twice.

use fhir_model::key::ResourceType;

use crate::search::expression::{Filter, Types, ValueKind};
use crate::search::value::ParameterId;
use crate::store::search_sql::{
    has_rows, is_complement, push_check, push_rows, push_type, push_values,
};
use crate::store::sql::{Dialect, Sql};

/// Whether one of these filters can be said as rows: what a chain starts at.
pub(super) fn driver(filters: &[Filter]) -> Option<usize> {
    filters.iter().position(has_rows)
}

/// Adds how many rows a filter has, up to `limit`. A chain of which the inner filter has so many is
/// said to have as many itself, without following it.
pub(crate) fn push_probe(sql: &mut Sql, filter: &Filter, types: &Types, limit: i64) {
    match filter {
        complement if is_complement(complement) => push_count(sql, complement, types, limit),
        Filter::Chain {
            target, filters, ..
        } => push_inner_probe(sql, filter, types, (filters, target), limit),
        Filter::Has {
            source, filters, ..
        } => {
            let source = Types::from(source.clone());
            push_inner_probe(sql, filter, types, (filters, &source), limit);
        }
        Filter::And(filters) => {
            if let Some(driver) = driver(filters).and_then(|driver| filters.get(driver)) {
                push_probe(sql, driver, types, limit);
            }
        }
        Filter::Or(filters) => {
            let parts: Vec<_> = filters.iter().map(|filter| (filter, types)).collect();
            push_sum(sql, &parts, limit);
        }
        Filter::ByType(branches) => {
            let owned: Vec<_> = branches
                .iter()
                .map(|(of, filter)| (filter, Types::from(of.clone())))
                .collect();
            let parts: Vec<_> = owned.iter().map(|(filter, of)| (*filter, of)).collect();
            push_sum(sql, &parts, limit);
        }
        _ => push_count(sql, filter, types, limit),
    }
}

fn push_count(sql: &mut Sql, filter: &Filter, types: &Types, limit: i64) {
    sql.push("(SELECT count(*) FROM (SELECT 1 FROM (");
    push_rows(sql, filter, types, Some(limit));
    sql.push(") found LIMIT ").bind(limit).push(") capped)");
}

fn push_inner_probe(
    sql: &mut Sql,
    filter: &Filter,
    types: &Types,
    (inner, of): (&[Filter], &Types),
    limit: i64,
) {
    let Some(driver) = driver(inner).and_then(|driver| inner.get(driver)) else {
        sql.bind(limit);
        return;
    };
    sql.push("CASE WHEN ");
    push_probe(sql, driver, of, limit);
    sql.push(" >= ").bind(limit).push(" THEN ").bind(limit);
    sql.push(" ELSE ");
    push_count(sql, filter, types, limit);
    sql.push(" END");
}

fn push_sum(sql: &mut Sql, parts: &[(&Filter, &Types)], limit: i64) {
    sql.push("(");
    for (place, (filter, types)) in parts.iter().enumerate() {
        sql.push(if place > 0 { " + " } else { "" });
        push_probe(sql, filter, types, limit);
    }
    sql.push(")");
}

/// Adds the rows of any of these filters.
pub(super) fn push_or_rows(sql: &mut Sql, filters: &[Filter], types: &Types, limit: Option<i64>) {
    for (place, filter) in filters.iter().enumerate() {
        sql.push(if place > 0 { " UNION " } else { "" });
        sql.push("SELECT row_key FROM (");
        push_rows(sql, filter, types, limit);
        sql.push(") part");
    }
}

/// Adds the rows of each type that its filter finds.
pub(super) fn push_rows_by_type(
    sql: &mut Sql,
    branches: &[(ResourceType, Filter)],
    limit: Option<i64>,
) {
    for (place, (of, filter)) in branches.iter().enumerate() {
        let types = Types::from(of.clone());
        sql.push(if place > 0 { " UNION " } else { "" });
        sql.push("SELECT row_key FROM (");
        if is_of_one_type(filter) {
            push_rows(sql, filter, &types, limit);
        } else {
            push_and_rows(sql, std::slice::from_ref(filter), &types);
        }
        sql.push(") part");
    }
}

/// Whether the rows of a filter are of the type that it was read for: a parameter belongs to a type,
/// a compartment has resources of all.
fn is_of_one_type(filter: &Filter) -> bool {
    match filter {
        Filter::Compartment(_) => false,
        Filter::Or(filters) => filters.iter().all(is_of_one_type),
        _ => true,
    }
}

/// Adds the rows of all of these filters together: those of the first that has rows, checked.
pub(super) fn push_and_rows(sql: &mut Sql, filters: &[Filter], types: &Types) {
    sql.push("SELECT t.row_key FROM resource t WHERE t.text IS NOT NULL AND ");
    push_type(sql, sql.dialect.pick("+", ""), "t", types);
    push_inner(sql, filters, types);
}

/// Adds the rows of a chain, from what it leads to.
pub(super) fn push_chain_rows(
    sql: &mut Sql,
    parameter: ParameterId,
    target: &Types,
    filters: &[Filter],
) {
    sql.push("SELECT s.row_key FROM resource t ");
    sql.push(sql.dialect.pick("CROSS JOIN", "JOIN"))
        .push(" search_reference s ON s.parameter = ")
        .bind(i64::from(parameter.0));
    sql.push(" AND s.target_id = t.id AND s.target_type = ");
    match target.only() {
        Some(only) => sql.bind(only.as_str()),
        None => sql.push("t.resource_type"),
    };
    sql.push(" WHERE t.text IS NOT NULL AND ");
    push_type(sql, aside(sql.dialect, filters), "t", target);
    push_inner(sql, filters, target);
}

/// Adds the rows of a reverse chain, from what refers to them.
pub(super) fn push_has_rows(
    sql: &mut Sql,
    parameter: ParameterId,
    source: &Types,
    filters: &[Filter],
    types: &Types,
) {
    sql.push("SELECT DISTINCT i.row_key FROM resource t CROSS JOIN ");
    push_values(sql, "t", ValueKind::Reference, parameter);
    sql.push(" CROSS JOIN resource i WHERE t.text IS NOT NULL AND ");
    push_type(sql, aside(sql.dialect, filters), "t", source);
    push_inner(sql, filters, source);
    push_target(sql, "i");
    sql.push(" AND ");
    push_type(sql, sql.dialect.pick("+", ""), "i", types);
}

/// On SQLite a `+` keeps the type from choosing the index where a filter has rows.
fn aside(dialect: Dialect, filters: &[Filter]) -> &'static str {
    match driver(filters) {
        Some(_) => dialect.pick("+", ""),
        None => "",
    }
}

/// Adds ` AND …` for the inner filters of `t`: the first that has rows by them, the others as checks.
fn push_inner(sql: &mut Sql, filters: &[Filter], types: &Types) {
    let driver = driver(filters);
    for (place, filter) in filters.iter().enumerate() {
        sql.push(" AND ");
        if driver == Some(place) {
            sql.push("t.row_key IN (");
            push_rows(sql, filter, types, None);
            sql.push(")");
        } else {
            push_check(sql, filter, types, "t");
        }
    }
}

/// Adds ` AND …`: the resource `alias` is what the reference value `e` points at.
fn push_target(sql: &mut Sql, alias: &str) {
    for part in [
        " AND ",
        alias,
        ".resource_type = e.value->>1 AND ",
        alias,
        ".id = e.value->>0",
    ] {
        sql.push(part);
    }
}

/// Adds a check of a chain on the resource `alias`.
pub(super) fn push_chain_check(
    sql: &mut Sql,
    parameter: ParameterId,
    target: &Types,
    filters: &[Filter],
    alias: &str,
) {
    let inner = inner_alias(alias);
    sql.push("EXISTS (SELECT 1 FROM ");
    push_values(sql, alias, ValueKind::Reference, parameter);
    sql.push(" CROSS JOIN resource ").push(inner);
    sql.push(" WHERE ").push(inner).push(".text IS NOT NULL");
    push_target(sql, inner);
    sql.push(" AND ");
    push_type(sql, sql.dialect.pick("+", ""), inner, target);
    push_checks(sql, filters, target, inner);
    push_one_by_one(sql);
}

/// Adds a check of a reverse chain on the resource `alias`.
pub(super) fn push_has_check(
    sql: &mut Sql,
    parameter: ParameterId,
    source: &Types,
    filters: &[Filter],
    alias: &str,
) {
    let inner = inner_alias(alias);
    sql.push("EXISTS (SELECT 1 FROM search_reference s CROSS JOIN resource ");
    sql.push(inner).push(" WHERE s.parameter = ");
    sql.bind(i64::from(parameter.0));
    for part in [
        " AND s.target_id = ",
        alias,
        ".id AND s.target_type = ",
        alias,
        ".resource_type AND ",
        inner,
        ".row_key = s.row_key",
    ] {
        sql.push(part);
    }
    push_checks(sql, filters, source, inner);
    sql.push(")");
}

/// Closes the check of a chain. PostgreSQL would make a join of it, over all there is, where a page is soon full of
/// those that are checked one by one: with an `OFFSET` it does not.
fn push_one_by_one(sql: &mut Sql) {
    sql.push(sql.dialect.pick(")", " OFFSET 0)"));
}

fn push_checks(sql: &mut Sql, filters: &[Filter], types: &Types, alias: &str) {
    for filter in filters {
        sql.push(" AND ");
        push_check(sql, filter, types, alias);
    }
}

/// Adds a check that all, or any, of these filters hold of the resource `alias`.
pub(super) fn push_all(
    sql: &mut Sql,
    filters: &[Filter],
    between: &str,
    types: &Types,
    alias: &str,
) {
    sql.push("(");
    if filters.is_empty() {
        sql.push(if between == " AND " { "1 = 1" } else { "1 = 0" });
    }
    for (place, filter) in filters.iter().enumerate() {
        sql.push(if place > 0 { between } else { "" });
        push_check(sql, filter, types, alias);
    }
    sql.push(")");
}

/// Adds a check that the filter of its own type holds of the resource `alias`.
pub(super) fn push_by_type(sql: &mut Sql, branches: &[(ResourceType, Filter)], alias: &str) {
    sql.push("(");
    for (place, (of, filter)) in branches.iter().enumerate() {
        sql.push(if place > 0 { " OR (" } else { "(" });
        let types = Types::from(of.clone());
        push_type(sql, sql.dialect.pick("+", ""), alias, &types);
        sql.push(" AND ");
        push_check(sql, filter, &types, alias);
        sql.push(")");
    }
    sql.push(")");
}

/// A name for the resource that is looked at from `alias`: only these two ever meet.
fn inner_alias(alias: &str) -> &'static str {
    if alias == "t" { "u" } else { "t" }
}
