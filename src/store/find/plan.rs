//! Which index drives a search.
//!
//! The plan is ours, not the database's: filters that an index can answer are probed up to
//! [`PROBE_ROWS_MAX`] rows; a sparse one drives the statement, and where all are dense the
//! resources are walked in order and checked one by one, which fills a page soon.

use crate::search::expression::{Search, Total};
use crate::store::Error;
use crate::store::find::snapshot::{Changed, push_seen};
use crate::store::search_sql::{
    has_rows, is_ordered, push_check, push_ordered, push_probe, push_rows, push_type,
};
use crate::store::sql::{Connection, Dialect, Sql};

/// Rows of an index that are looked at to tell a sparse filter from a dense one.
const PROBE_ROWS_MAX: i64 = 1_000;

/// What a statement goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    /// The resources of the type in the order of their keys.
    Walk,
    /// The rows of one filter's index, which are in the order of the keys.
    Ordered(usize),
    /// The rows of one filter, all of them.
    Sparse(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) driver: Driver,
    /// Filters of which the index has few rows.
    pub(super) sparse: Vec<bool>,
}

/// Where a statement finds resources.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'c> {
    /// In the tables; where there is a snapshot, those that are in it.
    Current,
    /// Among those that were changed since the snapshot.
    Changed(&'c Changed),
}

pub(super) async fn plan(connection: &mut Connection<'_>, search: &Search) -> Result<Plan, Error> {
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
pub(super) fn push_matches(
    sql: &mut Sql,
    search: &Search,
    plan: &Plan,
    source: Source<'_>,
) -> &'static str {
    match source {
        Source::Current => push_current(sql, search, plan),
        Source::Changed(changed) => {
            sql.push(" FROM ");
            changed.push_table(sql);
            sql.push(" WHERE 1 = 1");
            for filter in &search.filters {
                sql.push(" AND ");
                push_check(sql, filter, &search.types, "r");
            }
            "r.row_key"
        }
    }
}

fn push_current(sql: &mut Sql, search: &Search, plan: &Plan) -> &'static str {
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
    if let Some(snapshot) = search.after.as_ref().and_then(|at| at.snapshot.as_ref()) {
        sql.push(" AND ");
        push_seen(sql, "r.sequence", snapshot);
    }
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

/// Matches that `_total=estimate` counts at most: where there are more, it says that many.
pub(super) const ESTIMATE_MAX: i64 = 10_000;

/// The statement that counts all matches, or of an estimate no more than [`ESTIMATE_MAX`].
pub(super) fn total(dialect: Dialect, search: &Search, plan: &Plan, source: Source<'_>) -> Sql {
    let mut sql = Sql::new(dialect);
    let is_estimate = search.total == Total::Estimate;
    sql.push("SELECT count(*)");
    sql.push(if is_estimate { " FROM (SELECT 1" } else { "" });
    push_matches(&mut sql, search, plan, source);
    if is_estimate {
        sql.push(" LIMIT ").bind(ESTIMATE_MAX).push(") counted");
    }
    sql
}
