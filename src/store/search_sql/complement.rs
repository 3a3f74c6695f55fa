//! Filters that ask for what a resource does not have: `:missing=true`, and `:not` of a code.
//!
//! As long as few resources are found they are found by an index: those of a shape without the
//! parameter (`store::shape`), those with another code. Where many are, a walk meets them soon, and
//! nothing here is asked.

use crate::search::expression::{Criterion, Filter, TokenCriterion, Types, ValueKind};
use crate::search::value::ParameterId;
use crate::store::entries::{indexed_text, system_hash};
use crate::store::search_sql::{push_check, push_limit, push_type};
use crate::store::shape;
use crate::store::sql::Sql;

/// What a filter says is not there.
enum Complement<'f> {
    /// Any value of these parameters.
    Values(Vec<(ValueKind, ParameterId)>),
    /// This code.
    Code(ParameterId, &'f TokenCriterion),
}

/// Whether the rows of a filter are those of what a resource does not have.
pub(crate) fn is_complement(filter: &Filter) -> bool {
    complement(filter).is_some()
}

fn complement(filter: &Filter) -> Option<Complement<'_>> {
    if let Filter::Any {
        parameter,
        criteria,
        negated: true,
    } = filter
    {
        return match criteria.as_slice() {
            [
                Criterion::Token(
                    token @ (TokenCriterion::Code(_) | TokenCriterion::SystemAndCode(..)),
                ),
            ] => Some(Complement::Code(*parameter, token)),
            _ => None,
        };
    }
    let parts = match filter {
        Filter::And(filters) if !filters.is_empty() => filters,
        single => std::slice::from_ref(single),
    };
    let missing = parts.iter().map(|part| match part {
        Filter::Missing {
            parameter,
            kind,
            missing: true,
        } => Some((*kind, *parameter)),
        _ => None,
    });
    missing.collect::<Option<_>>().map(Complement::Values)
}

/// Adds a `SELECT` of the keys that such a filter finds; with `limit` at most so many of each part,
/// some of which may have what they should not.
pub(crate) fn push_complement(sql: &mut Sql, filter: &Filter, types: &Types, limit: Option<i64>) {
    match complement(filter) {
        Some(Complement::Values(parameters)) => {
            shape::push_rows(sql, types, &parameters);
            push_limit(sql, limit);
        }
        Some(Complement::Code(parameter, token)) if limit.is_some() => {
            push_others(sql, parameter, token, types, limit);
        }
        Some(Complement::Code(parameter, token)) => {
            sql.push("SELECT i.row_key FROM resource i WHERE i.text IS NOT NULL AND ");
            push_type(sql, sql.dialect.pick("+", ""), "i", types);
            sql.push(" AND i.row_key IN (");
            push_others(sql, parameter, token, types, None);
            sql.push(") AND ");
            push_check(sql, filter, types, "i");
        }
        None => {}
    }
}

/// Adds a `SELECT` of the keys of what has another code, or none.
fn push_others(
    sql: &mut Sql,
    parameter: ParameterId,
    token: &TokenCriterion,
    types: &Types,
    limit: Option<i64>,
) {
    let (system, code) = match token {
        TokenCriterion::SystemAndCode(system, code) => (Some(system_hash(system)), code),
        TokenCriterion::Code(code) => (None, code),
        _ => return,
    };
    let code = indexed_text(code);
    for operator in [" < ", " > "] {
        push_part(sql, parameter, limit, |sql| {
            sql.push("s.code").push(operator).bind(code.as_str());
        });
    }
    if let Some(system) = system {
        for operator in [" < ", " > "] {
            push_part(sql, parameter, limit, |sql| {
                sql.push("s.code = ").bind(code.as_str());
                sql.push(" AND s.system").push(operator);
                sql.bind(system);
            });
        }
    }
    sql.push("SELECT row_key FROM (");
    shape::push_rows(sql, types, &[(ValueKind::Token, parameter)]);
    push_limit(sql, limit);
    sql.push(") part");
}

/// Adds a `SELECT` of the keys of the rows of a parameter that meet a condition, and ` UNION `.
fn push_part(
    sql: &mut Sql,
    parameter: ParameterId,
    limit: Option<i64>,
    condition: impl FnOnce(&mut Sql),
) {
    sql.push("SELECT row_key FROM (SELECT s.row_key FROM search_token s WHERE s.parameter = ");
    sql.bind(i64::from(parameter.0)).push(" AND ");
    condition(sql);
    push_limit(sql, limit);
    sql.push(") part UNION ");
}
