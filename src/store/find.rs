//! How a search is run: which index drives it, one page of matches, what they include.
//!
//! The plan is ours, not the database's: filters that an index can answer are probed up to
//! [`PROBE_ROWS_MAX`] rows; a sparse one drives the statement, and where all are dense the
//! resources are walked in order and checked one by one, which fills a page soon.

use crate::search::expression::{
    Cursor, Filter, Search, Sort, SortBy, SortValue, Total, ValueKind,
};
use crate::store::find::include::Held;
pub use crate::store::find::include::{INCLUDED_MAX, ITERATIONS_MAX};
use crate::store::search_sql::{
    has_rows, is_ordered, push_check, push_ordered, push_probe, push_rows, push_sort_value,
    push_type,
};
use crate::store::sql::{Connection, Dialect, Row, Sql};
use crate::store::{Error, SearchPage, Stored, read};

/// Rows of an index that are looked at to tell a sparse filter from a dense one.
const PROBE_ROWS_MAX: i64 = 1_000;

/// Matches that `_total=estimate` counts at most: where there are more, it says that many.
const ESTIMATE_MAX: i64 = 10_000;

/// What a statement goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Driver {
    /// The resources of the type in the order of their keys.
    Walk,
    /// The rows of one filter's index, which are in the order of the keys.
    Ordered(usize),
    /// The rows of one filter, all of them.
    Sparse(usize),
}

#[derive(Debug, Clone)]
struct Plan {
    driver: Driver,
    /// Filters of which the index has few rows.
    sparse: Vec<bool>,
}

/// Runs a search.
pub(crate) async fn search(
    connection: &mut Connection<'_>,
    search: &Search,
) -> Result<SearchPage, Error> {
    let mut page = SearchPage::default();
    if search.filters.contains(&Filter::Nothing) {
        page.total = (search.total != Total::None).then_some(0);
        return Ok(page);
    }
    let plan = plan(connection, search).await?;
    if search.total != Total::None {
        let row = connection
            .fetch_first(total(connection.dialect(), search, &plan))
            .await?;
        let total = row
            .map(|row| row.integer(0))
            .transpose()?
            .unwrap_or_default();
        page.total = u64::try_from(total).ok();
    }
    if search.total == Total::Only || search.count == 0 {
        return Ok(page);
    }
    let rows = connection
        .fetch(page_of(connection.dialect(), search, &plan))
        .await?;
    let wanted = usize::try_from(search.count).unwrap_or(usize::MAX);
    for row in rows.iter().take(wanted) {
        page.matches.push(read::stored(row)?);
    }
    if include::is_wanted(search) {
        include(connection, search, &rows, &mut page).await?;
    }
    if rows.len() > page.matches.len() {
        let last = rows
            .get(page.matches.len().saturating_sub(1))
            .zip(page.matches.last());
        page.next = last
            .map(|(row, stored)| cursor(search, row, stored))
            .transpose()?;
    }
    Ok(page)
}

/// Adds what the matches include. Where that is too much the page is made shorter, so that the next
/// one leads to the rest, down to a single match.
async fn include(
    connection: &mut Connection<'_>,
    search: &Search,
    rows: &[Row],
    page: &mut SearchPage,
) -> Result<(), Error> {
    let matches = rows.iter().zip(&page.matches);
    let mut held = matches
        .map(|(row, stored)| Held::new(row, stored, read::STORED_WIDTH))
        .collect::<Result<Vec<_>, _>>()?;
    let mut found = include::gather(connection, search, &held).await?;
    while found.is_cut && held.len() > 1 {
        held.truncate(held.len().div_ceil(2));
        found = include::gather(connection, search, &held).await?;
    }
    page.matches.truncate(held.len());
    page.included = found.resources;
    page.is_cut = found.is_cut;
    Ok(())
}

async fn plan(connection: &mut Connection<'_>, search: &Search) -> Result<Plan, Error> {
    let filters = &search.filters;
    let candidates: Vec<usize> = filters
        .iter()
        .enumerate()
        .filter(|(_, filter)| has_rows(filter))
        .map(|(n, _)| n)
        .collect();
    let ordered = filters
        .iter()
        .position(is_ordered)
        .filter(|_| search.sort.is_empty());
    let mut sparse = vec![false; filters.len()];
    let dense = |sparse| {
        let driver = ordered.map_or(Driver::Walk, Driver::Ordered);
        Plan { driver, sparse }
    };
    let is_settled = candidates.is_empty() || (candidates.len() == 1 && ordered.is_some());
    if is_settled {
        return Ok(dense(sparse));
    }
    let counts = probe(connection, search, &candidates).await?;
    let mut best: Option<(i64, usize)> = None;
    for (count, candidate) in counts.into_iter().zip(candidates) {
        if count < PROBE_ROWS_MAX {
            if let Some(is_sparse) = sparse.get_mut(candidate) {
                *is_sparse = true;
            }
            let found = (count, candidate);
            best = Some(best.map_or(found, |best| best.min(found)));
        }
    }
    Ok(match best {
        Some((_, candidate)) => Plan {
            driver: Driver::Sparse(candidate),
            sparse,
        },
        None => dense(sparse),
    })
}

/// How many rows the index has for each of the candidates, up to [`PROBE_ROWS_MAX`].
async fn probe(
    connection: &mut Connection<'_>,
    search: &Search,
    candidates: &[usize],
) -> Result<Vec<i64>, Error> {
    let mut sql = Sql::new(connection.dialect());
    sql.push("SELECT ");
    let filters = candidates
        .iter()
        .filter_map(|candidate| search.filters.get(*candidate));
    for (place, filter) in filters.enumerate() {
        sql.push(if place > 0 { ", " } else { "" });
        push_probe(&mut sql, filter, &search.types, PROBE_ROWS_MAX);
    }
    let row = connection
        .fetch_first(sql)
        .await?
        .ok_or(Error::Corrupt("probe"))?;
    (0..candidates.len())
        .map(|column| row.integer(column))
        .collect()
}

/// Adds ` FROM … WHERE …` for all matches; gives the column of the key in order.
fn push_matches(sql: &mut Sql, search: &Search, plan: &Plan) -> &'static str {
    sql.push(" FROM ");
    let ordered = match plan.driver {
        Driver::Ordered(place) => search.filters.get(place),
        Driver::Walk | Driver::Sparse(_) => None,
    };
    match ordered {
        Some(filter) => {
            push_ordered(sql, filter);
            sql.push(" AND ");
        }
        None => {
            sql.push("resource r WHERE ");
        }
    }
    // the resources of one type have an index that is in the order of keys
    let is_walk = plan.driver == Driver::Walk && search.types.only().is_some();
    // on SQLite a `+` keeps a condition from choosing the index
    let aside = if is_walk {
        ""
    } else {
        sql.dialect.pick("+", "")
    };
    sql.push("r.text IS NOT NULL AND ");
    push_type(sql, aside, "r", &search.types);
    for (place, filter) in search.filters.iter().enumerate() {
        if plan.driver == Driver::Ordered(place) {
            continue;
        }
        sql.push(" AND ");
        if plan.sparse.get(place) == Some(&true) {
            let is_driver = plan.driver == Driver::Sparse(place);
            sql.push(if is_driver {
                ""
            } else {
                sql.dialect.pick("+", "")
            });
            sql.push("r.row_key IN (");
            push_rows(sql, filter, &search.types, None);
            sql.push(")");
        } else {
            push_check(sql, filter, &search.types, "r");
        }
    }
    if ordered.is_some() {
        "s.row_key"
    } else {
        "r.row_key"
    }
}

/// Counts the matches; for an estimate no more than [`ESTIMATE_MAX`].
fn total(dialect: Dialect, search: &Search, plan: &Plan) -> Sql {
    let mut sql = Sql::new(dialect);
    let is_estimate = search.total == Total::Estimate;
    sql.push("SELECT count(*)");
    sql.push(if is_estimate { " FROM (SELECT 1" } else { "" });
    push_matches(&mut sql, search, plan);
    if is_estimate {
        sql.push(" LIMIT ").bind(ESTIMATE_MAX).push(") counted");
    }
    sql
}

fn page_of(dialect: Dialect, search: &Search, plan: &Plan) -> Sql {
    let mut sql = Sql::new(dialect);
    let limit = i64::from(search.count) + 1;
    let is_sorted = !search.sort.is_empty();
    sql.push(if is_sorted { "SELECT r.* FROM (" } else { "" });
    sql.push("SELECT ").push(read::STORED_COLUMNS);
    if include::is_wanted(search) {
        sql.push(dialect.pick(", r.entries", ", r.entries::text"));
    }
    for (place, sort) in search.sort.iter().enumerate() {
        sql.push(", ");
        match sort.by {
            SortBy::Id => {
                sql.push("r.id");
            }
            SortBy::LastUpdated => {
                sql.push("r.last_updated");
            }
            SortBy::Parameter(parameter, kind) => {
                push_sort_value(&mut sql, kind, parameter, sort.descending);
            }
        }
        sql.push(" AS ");
        push_sort_name(&mut sql, place);
    }
    let key = push_matches(&mut sql, search, plan);
    if !is_sorted {
        if let Some(after) = &search.after {
            sql.push(" AND ").push(key).push(" > ").bind(after.key);
        }
        sql.push(" ORDER BY ").push(key).push(" LIMIT ").bind(limit);
        return sql;
    }
    sql.push(") r");
    if let Some(after) = &search.after {
        sql.push(" WHERE ");
        push_after(&mut sql, &search.sort, after);
    }
    sql.push(" ORDER BY ");
    for (place, sort) in search.sort.iter().enumerate() {
        if matches!(sort.by, SortBy::Parameter(..)) {
            push_sort_column(&mut sql, place);
            sql.push(" IS NULL, ");
        }
        push_sort_column(&mut sql, place);
        sql.push(if sort.descending { " DESC, " } else { ", " });
    }
    sql.push("r.row_key LIMIT ").bind(limit);
    sql
}

fn push_sort_name(sql: &mut Sql, place: usize) {
    sql.push("sort_")
        .push_number(i64::try_from(place).unwrap_or_default());
}

fn push_sort_column(sql: &mut Sql, place: usize) {
    sql.push("r.");
    push_sort_name(sql, place);
}

/// Adds the condition that a match comes after the last of the page before: greater in the first
/// sort value that differs, or else by its key. A missing value comes last.
fn push_after(sql: &mut Sql, sort: &[Sort], after: &Cursor) {
    let values = || sort.iter().zip(&after.values).enumerate();
    sql.push("(");
    for (place, (sort, value)) in values() {
        let Some(value) = value else { continue };
        push_same(
            sql,
            values()
                .take(place)
                .map(|(place, (_, value))| (place, value.as_ref())),
        );
        sql.push("(");
        push_sort_column(sql, place);
        sql.push(if sort.descending { " < " } else { " > " });
        bind_sort_value(sql, value);
        sql.push(" OR ");
        push_sort_column(sql, place);
        sql.push(" IS NULL) OR ");
    }
    push_same(
        sql,
        values().map(|(place, (_, value))| (place, value.as_ref())),
    );
    sql.push("r.row_key > ").bind(after.key).push(")");
}

/// Adds that these sort values are those of the page's end, each followed by ` AND `.
fn push_same<'v>(sql: &mut Sql, values: impl Iterator<Item = (usize, Option<&'v SortValue>)>) {
    for (place, value) in values {
        push_sort_column(sql, place);
        match value {
            Some(value) => {
                sql.push(" = ");
                bind_sort_value(sql, value);
            }
            None => {
                sql.push(" IS NULL");
            }
        }
        sql.push(" AND ");
    }
}

fn bind_sort_value(sql: &mut Sql, value: &SortValue) {
    match value {
        SortValue::Integer(value) => sql.bind(*value),
        SortValue::Real(bits) => sql.bind(f64::from_bits(*bits)),
        SortValue::Text(text) => sql.bind(text.as_str()),
    };
}

fn cursor(search: &Search, row: &Row, last: &Stored) -> Result<Cursor, Error> {
    let first = read::STORED_WIDTH + usize::from(include::is_wanted(search));
    let value = |(place, sort): (usize, &Sort)| sort_value(row, first + place, sort.by);
    let values = search
        .sort
        .iter()
        .enumerate()
        .map(value)
        .collect::<Result<_, _>>()?;
    Ok(Cursor {
        values,
        key: last.row,
    })
}

fn sort_value(row: &Row, column: usize, by: SortBy) -> Result<Option<SortValue>, Error> {
    Ok(match by {
        SortBy::LastUpdated | SortBy::Parameter(_, ValueKind::Date) => {
            row.optional_integer(column)?.map(SortValue::Integer)
        }
        SortBy::Parameter(_, ValueKind::Number | ValueKind::Quantity) => row
            .optional_real(column)?
            .map(|value| SortValue::Real(value.to_bits())),
        SortBy::Id | SortBy::Parameter(..) => row
            .optional_text(column)?
            .map(|text| SortValue::Text(text.to_owned())),
    })
}

mod include;
#[cfg(test)]
mod tests;
