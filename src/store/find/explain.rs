//! `__explain`: how a search is run, for people who wonder why one is slow.
//!
//! Shown are the filters, what the probe counted, what was decided, the statement of a page with its
//! values, and the steps in which the database runs it. The values are those of the question; nothing
//! of what is stored is shown.

use crate::search::expression::Search;
use crate::store::Error;
use crate::store::find::page::{Part, page_of};
use crate::store::find::plan::{self, Driver, Plan, Source};
use crate::store::find::snapshot::Isolation;
use crate::store::find::sorted;
use crate::store::sql::{Connection, Dialect, Sql};

/// What is said about a search: names and texts, in order.
pub type Explanation = Vec<(&'static str, String)>;

/// Explains a search.
pub(crate) async fn explain(
    connection: &mut Connection<'_>,
    search: &Search,
    isolation: Isolation<'_>,
) -> Result<Explanation, Error> {
    let plan = plan::plan(connection, search, Some(isolation.estimates)).await?;
    let mut lines = vec![("types", search.types.to_string())];
    let filters = search.filters.iter().enumerate();
    lines.extend(filters.map(|(place, filter)| ("filter", format!("{place}: {filter:?}"))));
    lines.extend(search.sort.iter().map(|sort| ("sort", format!("{sort:?}"))));
    let counts = plan.candidates.iter().zip(&plan.counts);
    lines.extend(counts.map(|(place, count)| ("probe", format!("{place}: {count} rows"))));
    lines.push(("branch", branch(&plan)));
    let dialect = connection.dialect();
    let sql = match plan.driver {
        Driver::Sorted => sorted::page_of(dialect, search, &plan, None),
        _ => Some(page_of(dialect, search, &plan, Source::Current, Part::All)),
    };
    if let Some(sql) = sql {
        add_statement(connection, sql, &mut lines).await?;
    }
    Ok(lines)
}

fn branch(plan: &Plan) -> String {
    let end = plan.walked_max.map_or_else(String::new, |rows| {
        format!("; after {rows} rows in vain, the indexes of all filters are intersected")
    });
    let way = match plan.driver {
        Driver::Walk => "dense: the resources of the type are walked in the order of their keys",
        Driver::Ordered(place) => {
            return format!("the index of filter {place} is walked in the order of keys{end}");
        }
        Driver::Sparse(place) => return format!("sparse: filter {place} drives"),
        Driver::Sorted => "dense: the index of the sort key is walked in its order",
    };
    format!("{way}{end}")
}

async fn add_statement(
    connection: &mut Connection<'_>,
    sql: Sql,
    lines: &mut Explanation,
) -> Result<(), Error> {
    lines.push(("statement", sql.text().to_owned()));
    lines.extend(sql.shown_binds().map(|bind| ("value", bind)));
    let column = match connection.dialect() {
        Dialect::Sqlite => 3,
        Dialect::Postgres => 0,
    };
    for row in connection.fetch(sql.explained()).await? {
        lines.push(("step", row.text(column)?.to_owned()));
    }
    Ok(())
}
