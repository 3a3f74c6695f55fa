//! A sorted search of which all filters are dense: the index of the sort key is walked in its order.
//!
//! A resource with several values stands in the index several times; it is taken where the value is
//! that which it is sorted by. Those without a value come last: they are a search of their own, by
//! the store's key, of what has no value.

use crate::search::expression::{Search, Sort, SortBy, SortValue, ValueKind};
use crate::search::value::ParameterId;
use crate::store::find::page::{Part, bind_sort_value, push_columns};
use crate::store::find::plan::{Driver, Plan, Source, push_conditions};
use crate::store::search_sql::{
    is_ordered, layout, push_earlier_value, push_sort_value, push_values,
};
use crate::store::sql::{Dialect, Sql};

/// Where in the index a walk begins.
enum Start<'v> {
    /// At its end that comes first.
    First,
    /// Beyond this value and key.
    Beyond(&'v SortValue, i64),
}

/// The search for matches that have no value to be sorted by.
pub(super) fn without_value(search: &Search) -> Option<(Search, Part)> {
    let [sort] = search.sort.as_slice() else {
        return None;
    };
    let SortBy::Parameter(parameter, kind) = sort.by else {
        return None; // every resource has an id and an instant
    };
    let mut search = search.clone();
    search.sort.clear();
    search.after = search.after.map(|mut after| {
        let has_value = after.values.iter().any(Option::is_some);
        after.values.clear();
        if has_value {
            after.key = if after.is_backward {
                i64::MAX
            } else {
                i64::MIN
            };
        }
        after
    });
    Some((search, Part::Without(parameter, kind)))
}

/// The plan for it.
pub(super) fn plan_without_value(search: &Search, plan: &Plan) -> Plan {
    let ordered = search.filters.iter().position(is_ordered);
    plan.driven_by(ordered.map_or(Driver::Walk, Driver::Ordered))
}

/// The statement for the matches with a value, one more than the page has; `until` is the value at
/// which the walk is given up.
pub(super) fn page_of(
    dialect: Dialect,
    search: &Search,
    plan: &Plan,
    until: Option<&SortValue>,
) -> Option<Sql> {
    let sort = search.sort.first()?;
    let mut sql = Sql::new(dialect);
    push_columns(&mut sql, search, Source::Current);
    sql.push(" FROM ");
    let column = push_index(&mut sql, search, *sort);
    sql.push(" AND ");
    push_conditions(&mut sql, search, plan, dialect.pick("+", ""));
    push_range(&mut sql, search, *sort, &column);
    if let Some(until) = until {
        sql.push(" AND ").push(&column);
        sql.push(if is_descending(search, *sort) {
            " >= "
        } else {
            " <= "
        });
        bind_sort_value(&mut sql, until);
    }
    push_order(&mut sql, search, *sort, &column);
    sql.push(" LIMIT ").bind(i64::from(search.count) + 1);
    Some(sql)
}

/// The statement for the value at which the walk is given up; nothing comes where it ends before.
pub(super) fn walk_end(dialect: Dialect, search: &Search, walked_max: i64) -> Option<Sql> {
    let sort = search.sort.first()?;
    let mut sql = Sql::new(dialect);
    let column = match sort.by {
        SortBy::Id | SortBy::LastUpdated => {
            let column = own_column(sort.by);
            sql.push("SELECT ").push(column).push(" FROM resource r");
            push_own_index(&mut sql, sort.by);
            sql.push(" WHERE r.text IS NOT NULL AND r.resource_type = ");
            sql.bind(search.types.only()?.as_str());
            column.to_owned()
        }
        SortBy::Parameter(parameter, kind) => {
            let layout = layout(kind);
            let column = format!("s.{}", layout.first_column());
            sql.push("SELECT ").push(&column).push(" FROM ");
            sql.push(layout.table).push(" s WHERE s.parameter = ");
            sql.bind(i64::from(parameter.0));
            column
        }
    };
    push_range(&mut sql, search, *sort, &column);
    sql.push(" ORDER BY ").push(&column);
    sql.push(if is_descending(search, *sort) {
        " DESC"
    } else {
        ""
    });
    sql.push(" LIMIT 1 OFFSET ").bind(walked_max);
    Some(sql)
}

fn own_column(by: SortBy) -> &'static str {
    if by == SortBy::Id {
        "r.id"
    } else {
        "r.last_updated"
    }
}

/// SQLite is told which index has the order.
fn push_own_index(sql: &mut Sql, by: SortBy) {
    sql.push(match (sql.dialect, by) {
        (Dialect::Sqlite, SortBy::Id) => " INDEXED BY resource_identity",
        (Dialect::Sqlite, _) => " INDEXED BY resource_updated",
        (Dialect::Postgres, _) => "",
    });
}

/// Adds the index of the sort key, joined with the resources `r`; gives its column.
fn push_index(sql: &mut Sql, search: &Search, sort: Sort) -> String {
    let SortBy::Parameter(parameter, kind) = sort.by else {
        sql.push("resource r");
        push_own_index(sql, sort.by);
        sql.push(" WHERE r.resource_type = ");
        sql.bind(search.types.only().map_or("", |only| only.as_str()));
        return own_column(sort.by).to_owned();
    };
    let layout = layout(kind);
    sql.push(layout.table)
        .push(" s CROSS JOIN resource r WHERE r.row_key = s.row_key");
    sql.push(" AND s.parameter = ").bind(i64::from(parameter.0));
    sql.push(" AND ");
    push_once(sql, kind, parameter, sort.descending);
    format!("s.{}", layout.first_column())
}

/// Adds that the row `s` is the one which its resource is sorted by. PostgreSQL is not told how
/// few rows of a table meet that by themselves: it would give up the order of the index.
fn push_once(sql: &mut Sql, kind: ValueKind, parameter: ParameterId, descending: bool) {
    let (before, after) = sql
        .dialect
        .pick(("", ""), ("CASE WHEN ", " THEN true ELSE false END"));
    sql.push(before)
        .push("s.")
        .push(layout(kind).first_column())
        .push(" = ");
    push_sort_value(sql, kind, parameter, descending);
    if layout(kind).second_column().is_some() {
        sql.push(" AND NOT EXISTS (SELECT 1 FROM ");
        push_values(sql, "r", kind, parameter);
        sql.push(" WHERE ");
        push_earlier_value(sql, kind);
        sql.push(")");
    }
    sql.push(after);
}

/// Whether the index is walked from its upper end.
fn is_descending(search: &Search, sort: Sort) -> bool {
    let is_backward = search.after.as_ref().is_some_and(|at| at.is_backward);
    sort.descending != is_backward
}

fn start(search: &Search) -> Start<'_> {
    let after = search.after.as_ref();
    let value = after.and_then(|after| after.values.first()?.as_ref());
    match (after, value) {
        (Some(after), Some(value)) => Start::Beyond(value, after.key),
        _ => Start::First,
    }
}

/// Adds ` AND …`: beyond the cursor. The first comparison bounds the scan of the index.
fn push_range(sql: &mut Sql, search: &Search, sort: Sort, column: &str) {
    let Start::Beyond(value, key) = start(search) else {
        return;
    };
    let is_descending = is_descending(search, sort);
    let is_backward = search.after.as_ref().is_some_and(|at| at.is_backward);
    sql.push(" AND ").push(column);
    sql.push(if is_descending { " <= " } else { " >= " });
    bind_sort_value(sql, value);
    sql.push(" AND (").push(column);
    sql.push(if is_descending { " < " } else { " > " });
    bind_sort_value(sql, value);
    let key_column = match sort.by {
        SortBy::Id | SortBy::LastUpdated => "r.row_key",
        SortBy::Parameter(..) => "s.row_key",
    };
    sql.push(" OR ").push(key_column);
    sql.push(if is_backward { " < " } else { " > " })
        .bind(key)
        .push(")");
}

fn push_order(sql: &mut Sql, search: &Search, sort: Sort, column: &str) {
    let is_backward = search.after.as_ref().is_some_and(|at| at.is_backward);
    sql.push(" ORDER BY ").push(column);
    sql.push(if is_descending(search, sort) {
        " DESC, "
    } else {
        ", "
    });
    sql.push("r.row_key")
        .push(if is_backward { " DESC" } else { "" });
}
