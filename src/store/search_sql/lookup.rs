//! Where the criteria of a parameter are looked up: which rows of which table, which values of the
//! document beside a resource.
//!
//! Most criteria are one condition on one table. Some are better looked up in parts, each by an
//! index of its own; some look at values that are kept aside ([`ParameterId::aspect`]).

use crate::search::expression::{Criterion, Prefix, TokenCriterion, ValueKind};
use crate::search::value::{CANONICAL, ParameterId, TEXT, component};
use crate::store::search_sql::condition::{Condition, Place};
use crate::store::search_sql::{composite, layout, push_limit, push_values_of};
use crate::store::sql::Sql;

/// Lookups of one filter that are made one by one; more are made in one pass. SQLite takes 500 parts
/// in a `UNION`.
const LOOKUPS_UNION_MAX: usize = 100;

/// A criterion, or a part of it, in the place where its values are.
#[derive(Clone, Copy)]
pub(super) struct Lookup<'c> {
    /// What it is looked up among.
    pub(super) kind: ValueKind,
    /// What the values are kept under.
    pub(super) parameter: ParameterId,
    pub(super) criterion: &'c Criterion,
    pub(super) part: Part,
}

/// Which matches of a criterion a lookup finds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All.
    Whole,
    /// What lies below the number or date given, of those that are not equal.
    Low,
    /// What lies above: of numbers, where the lower end alone says so.
    High,
    /// Ranges of numbers whose upper end matters.
    Span,
    /// `:text`: concepts that say so themselves, whatever their codes are shown as.
    Said,
}

/// The lookups that together find the rows of any of these criteria.
pub(super) fn lookups(parameter: ParameterId, criteria: &[Criterion]) -> Vec<Lookup<'_>> {
    let lookups = criteria.iter().flat_map(|criterion| {
        let parts = parts(criterion).iter();
        parts.map(move |part| lookup(parameter, criterion, *part))
    });
    lookups.collect()
}

fn parts(criterion: &Criterion) -> &'static [Part] {
    match criterion {
        Criterion::Token(TokenCriterion::Text(_)) => &[Part::Whole, Part::Said],
        Criterion::Date(date) if date.prefix == Prefix::Ne => &[Part::Low, Part::High],
        Criterion::Quantity { prefix, .. }
        | Criterion::CanonicalQuantity { prefix, .. }
        | Criterion::Number { prefix, .. } => parts_of_numbers(*prefix),
        Criterion::Composite(criteria) => composite::parts(criteria),
        _ => &[Part::Whole],
    }
}

/// The parts of a comparison of numbers: those that ask for the upper end come apart.
pub(super) const fn parts_of_numbers(prefix: Prefix) -> &'static [Part] {
    match prefix {
        Prefix::Ne => &[Part::Low, Part::High, Part::Span],
        Prefix::Gt | Prefix::Ge | Prefix::Ap => &[Part::High, Part::Span],
        _ => &[Part::Whole],
    }
}

fn lookup(parameter: ParameterId, criterion: &Criterion, part: Part) -> Lookup<'_> {
    let kind = match criterion {
        Criterion::Token(_) if part == Part::Said => ValueKind::String,
        Criterion::Token(_) => ValueKind::Token,
        Criterion::String { .. } => ValueKind::String,
        Criterion::Date(_) => ValueKind::Date,
        Criterion::Reference(_) => ValueKind::Reference,
        Criterion::Quantity { .. } | Criterion::CanonicalQuantity { .. } => ValueKind::Quantity,
        Criterion::Number { .. } => ValueKind::Number,
        Criterion::Uri { .. } => ValueKind::Uri,
        Criterion::Composite(_) => ValueKind::Composite,
    };
    let parameter = match (criterion, part) {
        (_, Part::Said) => parameter.aspect(TEXT),
        (Criterion::CanonicalQuantity { .. }, _) => parameter.aspect(CANONICAL),
        _ => parameter,
    };
    Lookup {
        kind,
        parameter,
        criterion,
        part,
    }
}

/// Runs of lookups in the same place.
fn together<'l, 'c>(lookups: &'l [Lookup<'c>]) -> impl Iterator<Item = &'l [Lookup<'c>]> {
    lookups.chunk_by(|one, other| one.kind == other.kind && one.parameter == other.parameter)
}

/// Adds a `SELECT` of the keys of all that match, at most `limit` for each lookup.
pub(super) fn push_rows(
    sql: &mut Sql,
    parameter: ParameterId,
    criteria: &[Criterion],
    limit: Option<i64>,
) {
    let lookups = lookups(parameter, criteria);
    if lookups.is_empty() {
        sql.push("SELECT i.row_key FROM resource i WHERE 1 = 0");
        return;
    }
    let runs: Vec<&[Lookup<'_>]> = if lookups.len() > LOOKUPS_UNION_MAX {
        together(&lookups).collect()
    } else {
        lookups.chunks(1).collect()
    };
    for (place, run) in runs.into_iter().enumerate() {
        sql.push(if place > 0 { " UNION " } else { "" });
        sql.push(if limit.is_some() {
            "SELECT row_key FROM ("
        } else {
            ""
        });
        push_run(sql, run, limit.is_none());
        push_limit(sql, limit);
        sql.push(if limit.is_some() { ") part" } else { "" });
    }
}

/// Adds a `SELECT` of the keys of one run. Rows of composites are checked, where that is wanted: their
/// index has the values only roughly.
fn push_run(sql: &mut Sql, run: &[Lookup<'_>], is_exact: bool) {
    let Some(first) = run.first() else { return };
    let is_checked = is_exact && first.kind == ValueKind::Composite;
    sql.push("SELECT s.row_key FROM ")
        .push(layout(first.kind).table)
        .push(" s");
    if is_checked {
        sql.push(sql.dialect.pick(" CROSS JOIN", ","));
        sql.push(" resource i");
    }
    sql.push(" WHERE s.parameter = ")
        .bind(i64::from(first.parameter.0))
        .push(" AND ");
    push_any(sql, Place::Table, run);
    if is_checked {
        sql.push(" AND i.row_key = s.row_key AND ");
        let criteria: Vec<Criterion> = run.iter().map(|it| it.criterion.clone()).collect();
        push_check(sql, "i.entries", first.parameter, &criteria);
    }
}

/// Adds a condition that one of these lookups holds of a value.
fn push_any(sql: &mut Sql, place: Place, run: &[Lookup<'_>]) {
    sql.push(if run.len() > 1 { "(" } else { "" });
    for (number, lookup) in run.iter().enumerate() {
        sql.push(if number > 0 { " OR (" } else { "(" });
        match (lookup.criterion, place) {
            (Criterion::Composite(criteria), Place::Table) => {
                composite::push_rough(sql, criteria, lookup.part);
            }
            (Criterion::Composite(criteria), Place::Document) => push_all(sql, criteria),
            _ => Condition::new(sql, place, lookup.kind).lookup(lookup),
        }
        sql.push(")");
    }
    sql.push(if run.len() > 1 { ")" } else { "" });
}

/// Adds a condition that each criterion holds of its component, of the values `g` of one element.
fn push_all(sql: &mut Sql, criteria: &[Criterion]) {
    for (place, criterion) in criteria.iter().enumerate() {
        sql.push(if place > 0 { " AND " } else { "" });
        push_check(
            sql,
            "g.value",
            component(place),
            std::slice::from_ref(criterion),
        );
    }
}

/// Adds a check that one of these criteria holds of the values in a document.
pub(super) fn push_check(
    sql: &mut Sql,
    document: &str,
    parameter: ParameterId,
    criteria: &[Criterion],
) {
    let mut checks: Vec<Lookup<'_>> = Vec::with_capacity(criteria.len());
    for criterion in criteria {
        checks.push(lookup(parameter, criterion, Part::Whole));
        if matches!(criterion, Criterion::Token(TokenCriterion::Text(_))) {
            checks.push(lookup(parameter, criterion, Part::Said));
        }
    }
    checks.sort_by_key(|it| it.parameter);
    sql.push("(");
    sql.push(if checks.is_empty() { "1 = 0" } else { "" });
    for (place, run) in together(&checks).enumerate() {
        let Some(first) = run.first() else { continue };
        let alias = match first.kind {
            ValueKind::Composite => "g",
            _ => "e",
        };
        sql.push(if place > 0 { " OR " } else { "" });
        sql.push("EXISTS (SELECT 1 FROM ");
        push_values_of(sql, document, first.kind, first.parameter, alias);
        sql.push(" WHERE ");
        push_any(sql, Place::Document, run);
        sql.push(")");
    }
    sql.push(")");
}
