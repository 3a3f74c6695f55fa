//! One page of matches: a keyset of sort values and the store's key, walked in both directions.
//!
//! One match more than the page has tells whether another page follows; nothing is counted. A
//! missing sort value comes last, and first when walked backwards.

use std::cmp::Ordering;

use crate::search::expression::{Cursor, Search, Snapshot, Sort, SortBy, SortValue, ValueKind};
use crate::search::value::ParameterId;
use crate::store::entries::Entries;
use crate::store::find::plan::{self, Driver, Plan, Source, push_matches};
use crate::store::find::snapshot::{self, Changed, Isolation};
use crate::store::find::{include, sorted};
use crate::store::search_sql::{push_sort_value, push_values};
use crate::store::sql::{Connection, Dialect, Row, Sql};
use crate::store::{Error, Stored, read};

/// A match, with where it stands.
pub(super) struct Found {
    pub(super) stored: Stored,
    /// Its search values, where they are needed for `_include`.
    pub(super) entries: Option<Entries>,
    values: Vec<Option<SortValue>>,
}

/// One page.
#[derive(Default)]
pub(super) struct Page {
    pub(super) found: Vec<Found>,
    pub(super) next: Option<Cursor>,
    pub(super) previous: Option<Cursor>,
    snapshot: Option<Snapshot>,
}

impl Page {
    /// Leaves no more than so many matches on the page; the next one goes on behind them.
    pub(super) fn shorten(&mut self, count: usize) {
        if count >= self.found.len() {
            return;
        }
        self.found.truncate(count);
        let last = self.found.last();
        self.next = last.map(|last| last.cursor(false, self.snapshot.as_ref()));
    }
}

impl Found {
    /// Where a page ends, or begins, with this match.
    fn cursor(&self, is_backward: bool, snapshot: Option<&Snapshot>) -> Cursor {
        Cursor {
            values: self.values.clone(),
            key: self.stored.row,
            is_backward,
            snapshot: snapshot.cloned(),
        }
    }
}

/// Which matches a statement is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// All.
    All,
    /// Those up to a key.
    Until(i64),
    /// Those without a value of a parameter.
    Without(ParameterId, ValueKind),
}

/// Reads a page.
pub(super) async fn read(
    connection: &mut Connection<'_>,
    search: &Search,
    plan: &Plan,
    changed: &Changed,
    isolation: Option<Isolation<'_>>,
) -> Result<Page, Error> {
    let mut found = match plan.driver {
        Driver::Sorted => in_sorted_order(connection, search, plan).await?,
        _ => in_any_order(connection, search, plan).await?,
    };
    if !changed.is_empty() {
        let source = Source::Changed(changed);
        let sql = page_of(connection.dialect(), search, plan, source, Part::All);
        for row in connection.fetch(sql).await? {
            found.extend(as_it_was(search, &row, changed)?);
        }
        found.sort_by(|one, other| in_order(search, one, other));
    }
    // with what it includes a page may become too large, and another one follow
    let may_go_on = found.len() > count(search) || include::is_wanted(search);
    let snapshot = match (&search.after, isolation.filter(|_| may_go_on)) {
        (Some(after), _) => after.snapshot.clone(),
        (None, Some(isolation)) => Some(snapshot::take(connection, isolation.epoch).await?),
        (None, None) => None,
    };
    Ok(cut(search, found, snapshot))
}

/// By key, or sorted after all matches were found.
async fn in_any_order(
    connection: &mut Connection<'_>,
    search: &Search,
    plan: &Plan,
) -> Result<Vec<Found>, Error> {
    let dialect = connection.dialect();
    let Some(walked_max) = plan.walked_max else {
        let sql = page_of(dialect, search, plan, Source::Current, Part::All);
        return fetch(connection, search, sql).await;
    };
    let sql = plan::walk_end(dialect, search, plan, walked_max);
    if let Some(sql) = sql.filter(|_| search.sort.is_empty()) {
        let end = connection.fetch_first(sql).await?;
        let end = end.map(|row| row.integer(0)).transpose()?;
        let sql = page_of(
            dialect,
            search,
            plan,
            Source::Current,
            end.map_or(Part::All, Part::Until),
        );
        let found = fetch(connection, search, sql).await?;
        if end.is_none() || found.len() > count(search) {
            return Ok(found);
        }
    }
    let plan = plan.intersection();
    let sql = page_of(dialect, search, &plan, Source::Current, Part::All);
    fetch(connection, search, sql).await
}

/// By the index that has the order: matches with a value, then those without.
async fn in_sorted_order(
    connection: &mut Connection<'_>,
    search: &Search,
    plan: &Plan,
) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    let is_among_missing = search
        .after
        .as_ref()
        .is_some_and(|at| at.values.iter().all(Option::is_none));
    let parts = if is_backward(search) {
        [is_among_missing, true, false]
    } else {
        [false, !is_among_missing, true]
    };
    for (part, is_wanted) in parts.into_iter().enumerate() {
        if !is_wanted || found.len() > count(search) {
            continue;
        }
        if part != 1 {
            found.extend(missing(connection, search, plan, found.len()).await?);
        } else if let Some(valued) = valued(connection, search, plan).await? {
            found.extend(valued);
        } else {
            let plan = plan.intersection();
            let sql = page_of(
                connection.dialect(),
                search,
                &plan,
                Source::Current,
                Part::All,
            );
            return fetch(connection, search, sql).await;
        }
    }
    found.truncate(count(search) + 1);
    Ok(found)
}

/// The matches with a sort value; nothing where the walk was given up.
async fn valued(
    connection: &mut Connection<'_>,
    search: &Search,
    plan: &Plan,
) -> Result<Option<Vec<Found>>, Error> {
    let dialect = connection.dialect();
    let end = plan
        .walked_max
        .and_then(|walked_max| sorted::walk_end(dialect, search, walked_max));
    let end = match (end, search.sort.first()) {
        (Some(sql), Some(sort)) => {
            let row = connection.fetch_first(sql).await?;
            row.map(|row| sort_value(&row, 0, sort.by))
                .transpose()?
                .flatten()
        }
        _ => None,
    };
    let Some(sql) = sorted::page_of(dialect, search, plan, end.as_ref()) else {
        return Ok(None);
    };
    let found = fetch(connection, search, sql).await?;
    let is_given_up = end.is_some() && found.len() <= count(search);
    Ok((!is_given_up).then_some(found))
}

/// The matches without a sort value, where so many others are on the page.
async fn missing(
    connection: &mut Connection<'_>,
    search: &Search,
    plan: &Plan,
    others: usize,
) -> Result<Vec<Found>, Error> {
    let Some((mut without, part)) = sorted::without_value(search) else {
        return Ok(Vec::new());
    };
    without.count -= u32::try_from(others).unwrap_or(0).min(without.count);
    let plan = sorted::plan_without_value(&without, plan);
    let sql = page_of(connection.dialect(), &without, &plan, Source::Current, part);
    let mut found = fetch(connection, &without, sql).await?;
    for found in &mut found {
        found.values = vec![None];
    }
    Ok(found)
}

async fn fetch(
    connection: &mut Connection<'_>,
    search: &Search,
    sql: Sql,
) -> Result<Vec<Found>, Error> {
    let rows = connection.fetch(sql).await?;
    rows.iter().map(|row| current(search, row)).collect()
}

fn count(search: &Search) -> usize {
    usize::try_from(search.count).unwrap_or(usize::MAX)
}

/// A match in a row of the tables.
fn current(search: &Search, row: &Row) -> Result<Found, Error> {
    let entries = (!search.includes.is_empty())
        .then(|| Entries::from_json(row.text(read::STORED_WIDTH)?))
        .transpose()?;
    Ok(Found {
        stored: read::stored(row)?,
        entries,
        values: sort_values(search, row, first_sort_column(search))?,
    })
}

/// A match in a row of what was changed since the first page.
fn as_it_was(search: &Search, row: &Row, changed: &Changed) -> Result<Option<Found>, Error> {
    let values = sort_values(search, row, 1)?;
    let version = changed.get(row.integer(0)?);
    Ok(version.map(|(stored, entries)| Found {
        stored: stored.clone(),
        entries: Some(entries.clone()),
        values,
    }))
}

fn first_sort_column(search: &Search) -> usize {
    read::STORED_WIDTH + usize::from(!search.includes.is_empty())
}

/// Leaves in what belongs on the page, and says where it goes on in both directions.
fn cut(search: &Search, mut found: Vec<Found>, snapshot: Option<Snapshot>) -> Page {
    let count = count(search);
    let is_more = found.len() > count;
    found.truncate(count);
    let is_backward = is_backward(search);
    if is_backward {
        found.reverse();
    }
    let has_next = is_more || is_backward;
    let has_previous = search.after.is_some() && (is_more || !is_backward);
    let next = found
        .last()
        .filter(|_| has_next)
        .map(|last| last.cursor(false, snapshot.as_ref()));
    let previous = found.first().filter(|_| has_previous);
    let previous = previous.map(|first| first.cursor(true, snapshot.as_ref()));
    Page {
        found,
        next,
        previous,
        snapshot,
    }
}

fn is_backward(search: &Search) -> bool {
    search.after.as_ref().is_some_and(|at| at.is_backward)
}

/// The order in which a page is read.
fn in_order(search: &Search, one: &Found, other: &Found) -> Ordering {
    let values = one.values.iter().zip(&other.values).zip(&search.sort);
    let mut orders =
        values.map(|((one, other), sort)| value_order(*sort, one.as_ref(), other.as_ref()));
    let order = orders.find(|order| order.is_ne());
    let order = order.unwrap_or_else(|| one.stored.row.cmp(&other.stored.row));
    if is_backward(search) {
        order.reverse()
    } else {
        order
    }
}

fn value_order(sort: Sort, one: Option<&SortValue>, other: Option<&SortValue>) -> Ordering {
    let order = match (one, other) {
        (None, None) => return Ordering::Equal,
        (None, Some(_)) => return Ordering::Greater,
        (Some(_), None) => return Ordering::Less,
        (Some(SortValue::Integer(one)), Some(SortValue::Integer(other))) => one.cmp(other),
        (Some(SortValue::Real(one)), Some(SortValue::Real(other))) => {
            f64::from_bits(*one).total_cmp(&f64::from_bits(*other))
        }
        (Some(SortValue::Text(one)), Some(SortValue::Text(other))) => one.cmp(other),
        _ => Ordering::Equal, // values of one sort key are of one kind
    };
    if sort.descending {
        order.reverse()
    } else {
        order
    }
}

/// The statement for a page and one match more. From the tables it gives what is stored, then
/// search values where something is included, then sort values; of what was changed since the
/// first page only keys and sort values.
pub(super) fn page_of(
    dialect: Dialect,
    search: &Search,
    plan: &Plan,
    source: Source<'_>,
    part: Part,
) -> Sql {
    let mut sql = Sql::new(dialect);
    let is_sorted = !search.sort.is_empty();
    sql.push(if is_sorted { "SELECT r.* FROM (" } else { "" });
    push_columns(&mut sql, search, source);
    let key = push_matches(&mut sql, search, plan, source);
    match part {
        Part::All => {}
        Part::Until(until) => {
            sql.push(" AND ").push(key);
            sql.push(if is_backward(search) { " >= " } else { " <= " });
            sql.bind(until);
        }
        Part::Without(parameter, kind) => {
            sql.push(" AND NOT EXISTS (SELECT 1 FROM ");
            push_values(&mut sql, "r", kind, parameter);
            sql.push(")");
        }
    }
    sql.push(if is_sorted { ") r" } else { "" });
    if let Some(after) = &search.after {
        sql.push(if is_sorted { " WHERE " } else { " AND " });
        push_beyond(&mut sql, &search.sort, after, key);
    }
    push_order(&mut sql, search, key);
    sql.push(" LIMIT ").bind(i64::from(search.count) + 1);
    sql
}

/// Adds `SELECT` and the columns of [`page_of`].
pub(super) fn push_columns(sql: &mut Sql, search: &Search, source: Source<'_>) {
    sql.push("SELECT ");
    match source {
        Source::Changed(_) => sql.push("r.row_key"),
        Source::Current => sql.push(read::STORED_COLUMNS),
    };
    if matches!(source, Source::Current) && !search.includes.is_empty() {
        sql.push(sql.dialect.pick(", r.entries", ", r.entries::text"));
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
                push_sort_value(sql, kind, parameter, sort.descending);
            }
        }
        sql.push(" AS ");
        push_sort_name(sql, place);
    }
}

fn push_order(sql: &mut Sql, search: &Search, key: &str) {
    let is_backward = is_backward(search);
    let direction = |descending| if descending { " DESC, " } else { ", " };
    sql.push(" ORDER BY ");
    for (place, sort) in search.sort.iter().enumerate() {
        if matches!(sort.by, SortBy::Parameter(..)) {
            push_sort_column(sql, place);
            sql.push(" IS NULL").push(direction(is_backward));
        }
        push_sort_column(sql, place);
        sql.push(direction(sort.descending != is_backward));
    }
    sql.push(if search.sort.is_empty() {
        key
    } else {
        "r.row_key"
    });
    sql.push(if is_backward { " DESC" } else { "" });
}

fn push_sort_name(sql: &mut Sql, place: usize) {
    sql.push("sort_")
        .push_number(i64::try_from(place).unwrap_or_default());
}

fn push_sort_column(sql: &mut Sql, place: usize) {
    sql.push("r.");
    push_sort_name(sql, place);
}

/// Adds the condition that a match stands beyond the cursor: beyond it in the first sort value that
/// differs, or else by its key.
fn push_beyond(sql: &mut Sql, sort: &[Sort], at: &Cursor, key: &str) {
    let values = || sort.iter().zip(&at.values).enumerate();
    let is_sorted = !sort.is_empty();
    sql.push(if is_sorted { "(" } else { "" });
    for (place, (sort, value)) in values() {
        if value.is_none() && !at.is_backward {
            continue; // nothing comes after a missing value
        }
        push_same(sql, values().take(place));
        push_value_beyond(sql, place, *sort, value.as_ref(), at.is_backward);
        sql.push(" OR ");
    }
    push_same(sql, values());
    sql.push(if is_sorted { "r.row_key" } else { key });
    sql.push(if at.is_backward { " < " } else { " > " });
    sql.bind(at.key).push(if is_sorted { ")" } else { "" });
}

fn push_value_beyond(
    sql: &mut Sql,
    place: usize,
    sort: Sort,
    value: Option<&SortValue>,
    is_backward: bool,
) {
    let Some(value) = value else {
        push_sort_column(sql, place);
        sql.push(" IS NOT NULL");
        return;
    };
    sql.push("(");
    push_sort_column(sql, place);
    sql.push(if sort.descending == is_backward {
        " > "
    } else {
        " < "
    });
    bind_sort_value(sql, value);
    if !is_backward {
        sql.push(" OR ");
        push_sort_column(sql, place);
        sql.push(" IS NULL");
    }
    sql.push(")");
}

/// Adds that these sort values are those of the cursor, each followed by ` AND `.
fn push_same<'v>(
    sql: &mut Sql,
    values: impl Iterator<Item = (usize, (&'v Sort, &'v Option<SortValue>))>,
) {
    for (place, (_, value)) in values {
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

/// Adds a sort value.
pub(super) fn bind_sort_value(sql: &mut Sql, value: &SortValue) {
    match value {
        SortValue::Integer(value) => sql.bind(*value),
        SortValue::Real(bits) => sql.bind(f64::from_bits(*bits)),
        SortValue::Text(text) => sql.bind(text.as_str()),
    };
}

fn sort_values(search: &Search, row: &Row, first: usize) -> Result<Vec<Option<SortValue>>, Error> {
    let sorts = search.sort.iter().enumerate();
    sorts
        .map(|(place, sort)| sort_value(row, first + place, sort.by))
        .collect()
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
