//! Which index drives a search.
//!
//! The plan is ours, not the database's. Filters that an index can answer are probed up to √(page ×
//! rows): as many rows as a walk would look at to fill a page if so many matched, evenly spread. A
//! sparse filter drives the statement. Where all are dense, resources are walked in the order asked
//! for and checked one by one, which fills a page soon; where it does not, because matches stand
//! close together, the walk ends after twice as many rows and the indexes are intersected instead.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::search::expression::{Search, SortBy, ValueKind};
use crate::store::Error;
use crate::store::find::snapshot::{Changed, push_seen};
use crate::store::search_sql::{
    has_rows, is_complement, is_ordered, push_check, push_ordered, push_probe, push_rows, push_type,
};
use crate::store::sql::{Connection, Dialect, Sql};

/// The fewest and the most rows of an index that are looked at to tell a sparse filter from a dense
/// one; the first also where nobody knows how many resources there are.
const PROBE_ROWS: (i64, i64) = (500, 20_000);

/// Resources of a type are counted up to this: twice as many would change little.
const ROWS_COUNTED_MAX: i64 = 1 << 18;

/// So long a count is good enough.
const COUNT_KEPT: Duration = Duration::from_mins(5);

/// About how many resources there are of each type.
#[derive(Debug, Default)]
pub(crate) struct Estimates(Mutex<HashMap<String, (i64, Instant)>>);

impl Estimates {
    async fn rows(&self, connection: &mut Connection<'_>, search: &Search) -> Result<i64, Error> {
        let name = search.types.to_string();
        let known = self.lock().get(&name).copied();
        if let Some((rows, _)) = known.filter(|(_, at)| at.elapsed() < COUNT_KEPT) {
            return Ok(rows);
        }
        let mut sql = Sql::new(connection.dialect());
        sql.push("SELECT count(*) FROM (SELECT 1 FROM resource r WHERE r.text IS NOT NULL AND ");
        push_type(&mut sql, "", "r", &search.types);
        sql.push(" LIMIT ").bind(ROWS_COUNTED_MAX).push(") counted");
        let row = connection.fetch_first(sql).await?;
        let rows = row.map_or(Ok(0), |row| row.integer(0))?;
        self.lock().insert(name, (rows, Instant::now()));
        Ok(rows)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (i64, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a statement goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    /// The resources of the type in the order of their keys.
    Walk,
    /// The rows of one filter's index, which are in the order of the keys.
    Ordered(usize),
    /// The rows of one filter, all of them.
    Sparse(usize),
    /// What the only sort key goes by, in its order.
    Sorted,
}

/// How a search is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) driver: Driver,
    /// Filters that are said as rows of their index.
    pub(super) rows: Vec<bool>,
    /// Filters that could be.
    pub(super) candidates: Vec<usize>,
    /// How many rows each of them was found to have; that many, or more.
    pub(super) counts: Vec<i64>,
    /// A walk of more rows than this is given up for the intersection of all candidates.
    pub(super) walked_max: Option<i64>,
}

impl Plan {
    /// All candidates as rows, for a walk that was given up.
    pub(super) fn intersection(&self) -> Self {
        let mut plan = self.clone();
        for candidate in &self.candidates {
            if let Some(is_rows) = plan.rows.get_mut(*candidate) {
                *is_rows = true;
            }
        }
        plan.driver = self
            .candidates
            .first()
            .map_or(Driver::Walk, |first| Driver::Sparse(*first));
        plan.walked_max = None;
        plan
    }

    /// Filters that ask for what is not there are no candidates where so many meet them.
    fn leave_out_complements(&mut self, search: &Search) {
        let is_left = |place: usize| !search.filters.get(place).is_some_and(is_complement);
        let left = self.candidates.iter().zip(&self.counts);
        let left = left.filter(|(place, _)| is_left(**place));
        (self.candidates, self.counts) = left.map(|(place, count)| (*place, *count)).unzip();
    }

    /// The same with another driver.
    pub(super) fn driven_by(&self, driver: Driver) -> Self {
        Self {
            driver,
            ..self.clone()
        }
    }
}

/// Where a statement finds resources.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'c> {
    /// In the tables; where there is a snapshot, those that are in it.
    Current,
    /// Among those that were changed since the snapshot.
    Changed(&'c Changed),
}

/// Decides how a search is run.
pub(super) async fn plan(
    connection: &mut Connection<'_>,
    search: &Search,
    estimates: Option<&Estimates>,
) -> Result<Plan, Error> {
    let candidates = candidates(search);
    let mut plan = Plan {
        driver: dense_driver(search),
        rows: vec![false; search.filters.len()],
        counts: Vec::new(),
        walked_max: None,
        candidates,
    };
    if is_settled(&plan) {
        return Ok(plan);
    }
    let limit = match estimates {
        Some(estimates) => probe_rows(search, estimates.rows(connection, search).await?),
        None => PROBE_ROWS.0,
    };
    plan.counts = probe(connection, search, &plan.candidates, limit).await?;
    let counted = plan
        .counts
        .iter()
        .copied()
        .zip(plan.candidates.iter().copied());
    let sparse: Vec<(i64, usize)> = counted.filter(|(count, _)| *count < limit).collect();
    for (_, candidate) in &sparse {
        if let Some(is_rows) = plan.rows.get_mut(*candidate) {
            *is_rows = true;
        }
    }
    if let Some((_, candidate)) = sparse.iter().min() {
        plan.driver = Driver::Sparse(*candidate);
    } else {
        plan.leave_out_complements(search);
        plan.walked_max = (!plan.candidates.is_empty()).then_some(2 * limit);
    }
    Ok(plan)
}

/// Filters that can be said as rows of their index.
fn candidates(search: &Search) -> Vec<usize> {
    let filters = search.filters.iter().enumerate();
    filters
        .filter(|(_, filter)| has_rows(filter) || is_complement(filter))
        .map(|(place, _)| place)
        .collect()
}

/// What drives a search of which every filter is dense.
fn dense_driver(search: &Search) -> Driver {
    match search.sort.as_slice() {
        [] => {
            let ordered = search.filters.iter().position(is_ordered);
            ordered.map_or(Driver::Walk, Driver::Ordered)
        }
        [sort] if search.types.only().is_some() && has_walk(sort.by) => Driver::Sorted,
        _ => Driver::Walk,
    }
}

/// Whether an index has the order of a sort key. Numbers come back from the document beside a
/// resource rounded, so their rows cannot be told apart by them.
fn has_walk(by: SortBy) -> bool {
    match by {
        SortBy::Id | SortBy::LastUpdated => true,
        SortBy::Parameter(_, kind) => matches!(
            kind,
            ValueKind::Token
                | ValueKind::String
                | ValueKind::Date
                | ValueKind::Reference
                | ValueKind::Uri
        ),
    }
}

/// Whether nothing that a probe could tell would make another plan.
fn is_settled(plan: &Plan) -> bool {
    match (plan.candidates.as_slice(), plan.driver) {
        ([], _) => true,
        ([only], Driver::Ordered(place)) => *only == place,
        _ => false,
    }
}

/// √(page × rows), within bounds.
fn probe_rows(search: &Search, rows: i64) -> i64 {
    let page = i64::from(search.count) + 1;
    page.saturating_mul(rows)
        .isqrt()
        .clamp(PROBE_ROWS.0, PROBE_ROWS.1)
}

/// How many rows the index has for each of the candidates, up to `limit`.
async fn probe(
    connection: &mut Connection<'_>,
    search: &Search,
    candidates: &[usize],
    limit: i64,
) -> Result<Vec<i64>, Error> {
    let mut sql = Sql::new(connection.dialect());
    sql.push("SELECT ");
    let filters = candidates
        .iter()
        .filter_map(|candidate| search.filters.get(*candidate));
    for (place, filter) in filters.enumerate() {
        sql.push(if place > 0 { ", " } else { "" });
        push_probe(&mut sql, filter, &search.types, limit);
    }
    let row = connection
        .fetch_first(sql)
        .await?
        .ok_or(Error::Corrupt("probe"))?;
    (0..candidates.len())
        .map(|column| row.integer(column))
        .collect()
}

/// The statement for the key at which a walk is given up; nothing where the walk ends before.
pub(super) fn walk_end(
    dialect: Dialect,
    search: &Search,
    plan: &Plan,
    walked_max: i64,
) -> Option<Sql> {
    let mut sql = Sql::new(dialect);
    sql.push("SELECT w.row_key FROM (");
    match plan.driver {
        Driver::Walk => {
            sql.push("SELECT r.row_key FROM resource r WHERE r.text IS NOT NULL AND ");
            push_type(&mut sql, "", "r", &search.types);
        }
        Driver::Ordered(place) => {
            push_rows(&mut sql, search.filters.get(place)?, &search.types, None);
        }
        Driver::Sparse(_) | Driver::Sorted => return None,
    }
    sql.push(") w");
    let is_backward = search.after.as_ref().is_some_and(|at| at.is_backward);
    if let Some(after) = &search.after {
        sql.push(" WHERE w.row_key")
            .push(if is_backward { " < " } else { " > " });
        sql.bind(after.key);
    }
    sql.push(" ORDER BY w.row_key")
        .push(if is_backward { " DESC" } else { "" });
    sql.push(" LIMIT 1 OFFSET ").bind(walked_max);
    Some(sql)
}

/// Adds ` FROM … WHERE …` for all matches; gives the column of the key in order.
pub(super) fn push_matches(
    sql: &mut Sql,
    search: &Search,
    plan: &Plan,
    source: Source<'_>,
) -> &'static str {
    let Source::Changed(changed) = source else {
        return push_current(sql, search, plan);
    };
    sql.push(" FROM ");
    changed.push_table(sql);
    sql.push(" WHERE 1 = 1");
    for filter in &search.filters {
        sql.push(" AND ");
        push_check(sql, filter, &search.types, "r");
    }
    "r.row_key"
}

fn push_current(sql: &mut Sql, search: &Search, plan: &Plan) -> &'static str {
    sql.push(" FROM ");
    let ordered = match plan.driver {
        Driver::Ordered(place) => search.filters.get(place),
        Driver::Walk | Driver::Sparse(_) | Driver::Sorted => None,
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
    // the resources of one type have an index that is in the order of keys; on SQLite a `+` keeps
    // a condition from choosing another
    let is_walk = plan.driver == Driver::Walk && search.types.only().is_some();
    let aside = if is_walk {
        ""
    } else {
        sql.dialect.pick("+", "")
    };
    push_conditions(sql, search, plan, aside);
    match ordered {
        Some(_) => "s.row_key",
        None => "r.row_key",
    }
}

/// Adds that the resource `r` is there, of the type, in the snapshot, and meets all filters but the
/// one that drives in the order of keys.
pub(super) fn push_conditions(sql: &mut Sql, search: &Search, plan: &Plan, aside: &str) {
    sql.push("r.text IS NOT NULL AND ");
    push_type(sql, aside, "r", &search.types);
    if let Some(snapshot) = search.after.as_ref().and_then(|at| at.snapshot.as_ref()) {
        sql.push(" AND ");
        push_seen(sql, "r.sequence", snapshot);
    }
    for (place, filter) in search.filters.iter().enumerate() {
        if plan.driver == Driver::Ordered(place) {
            continue;
        }
        sql.push(" AND ");
        if plan.rows.get(place) == Some(&true) {
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
}

/// The statement that counts all matches.
pub(super) fn total(dialect: Dialect, search: &Search, plan: &Plan, source: Source<'_>) -> Sql {
    let mut sql = Sql::new(dialect);
    sql.push("SELECT count(*)");
    let plan = match plan.driver {
        Driver::Sparse(_) => plan.clone(),
        // to count, all have to be looked at: by the indexes rather than by the documents
        _ => plan.intersection(),
    };
    push_matches(&mut sql, search, &plan, source);
    sql
}
