//! How a search is run: planned, read page by page, counted where wanted, included.

use crate::search::expression::{Filter, Search, Total};
use crate::store::find::include::{Held, Included};
use crate::store::find::page::Page;
use crate::store::find::plan::{Plan, Source};
use crate::store::find::snapshot::Changed;
use crate::store::sql::Connection;
use crate::store::{Error, SearchPage};

pub use crate::store::find::explain::Explanation;
pub use crate::store::find::include::{INCLUDED_MAX, ITERATIONS_MAX};
pub use crate::store::find::snapshot::{CHANGED_MAX, Extract};

pub(crate) use crate::store::find::explain::explain;
pub(crate) use crate::store::find::plan::Estimates;
pub(crate) use crate::store::find::snapshot::Isolation;

mod explain;
mod include;
mod page;
mod plan;
mod snapshot;
mod sorted;

/// Runs a search. Without isolation each page sees what is committed when it is read.
pub(crate) async fn search(
    connection: &mut Connection<'_>,
    search: &Search,
    isolation: Option<Isolation<'_>>,
) -> Result<SearchPage, Error> {
    let mut page = SearchPage::default();
    if search.filters.contains(&Filter::Nothing) {
        page.total = (search.total != Total::None).then_some(0);
        return Ok(page);
    }
    let estimates = isolation.map(|isolation| isolation.estimates);
    let plan = plan::plan(connection, search, estimates).await?;
    let changed = Changed::read(connection, search, isolation).await?;
    if search.total == Total::Only || search.count == 0 {
        page.total = Some(total(connection, search, &plan, &changed).await?);
        return Ok(page);
    }
    let mut read = page::read(connection, search, &plan, &changed, isolation).await?;
    if include::is_wanted(search) {
        let included = include(connection, search, &mut read).await?;
        (page.included, page.is_cut) = (included.resources, included.is_cut);
    }
    (page.next, page.previous) = (read.next, read.previous);
    page.matches = read.found.into_iter().map(|found| found.stored).collect();
    if search.total == Total::Accurate {
        // the last statement: where it takes too long the page is there, and nothing follows
        match total(connection, search, &plan, &changed).await {
            Ok(total) => page.total = Some(total),
            Err(Error::TooCostly) => page.is_uncounted = true,
            Err(error) => return Err(error),
        }
    }
    Ok(page)
}

/// Finds what the matches include. Where that is too much the page is made shorter, so that the next
/// one leads to the rest, down to a single match.
async fn include(
    connection: &mut Connection<'_>,
    search: &Search,
    page: &mut Page,
) -> Result<Included, Error> {
    let mut held: Vec<Held> = page.found.iter_mut().map(Held::from).collect();
    let mut included = include::gather(connection, search, &held).await?;
    while included.is_cut && held.len() > 1 {
        held.truncate(held.len().div_ceil(2));
        included = include::gather(connection, search, &held).await?;
    }
    page.shorten(held.len());
    Ok(included)
}

async fn total(
    connection: &mut Connection<'_>,
    search: &Search,
    plan: &Plan,
    changed: &Changed,
) -> Result<u64, Error> {
    let mut total = 0;
    for source in [Source::Current, Source::Changed(changed)] {
        if matches!(source, Source::Changed(changed) if changed.is_empty()) {
            continue;
        }
        let sql = plan::total(connection.dialect(), search, plan, source);
        let row = connection.fetch_first(sql).await?;
        total += row.map_or(Ok(0), |row| row.integer(0))?;
    }
    Ok(u64::try_from(total).unwrap_or_default())
}

#[cfg(test)]
mod tests;
