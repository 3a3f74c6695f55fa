//! Going through what is stored, page by page, for an export or a check.
//!
//! A page has a budget of bytes beside a number of rows, so that memory stays the same whatever
//! is stored. An export shows everything as it was at one place in the feed.

use chrono::{DateTime, Utc};
use fhir_model::key::ResourceType;

use crate::store::read::{self, STORED_COLUMNS, STORED_WIDTH};
use crate::store::sql::{Connection, Dialect, Row, Sql};
use crate::store::{Error, SEQUENCES_PER_TRANSACTION_BITS, Store, Stored};

/// Versions on a page.
const PAGE_ROWS_MAX: i64 = 500;
/// Bytes of texts on a page, as they are kept; the version that exceeds it is the last.
const PAGE_BYTES_MAX: i64 = 1 << 20;

/// What is gone through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The resources of this type.
    pub resource_type: ResourceType,
    /// As they were at this place in the feed; those that were deleted since are left out.
    pub snapshot: i64,
    /// Only versions written at or after.
    pub since: Option<DateTime<Utc>>,
    /// All versions in the order of the feed, deletions among them, and not the current ones only.
    pub history: bool,
    /// The `next` of the page before.
    pub after: Option<i64>,
}

/// A part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WalkPage {
    /// In order.
    pub versions: Vec<Stored>,
    /// Where the next page goes on; `None` at the end.
    pub next: Option<i64>,
}

impl Store {
    /// The place in the feed up to which everything is settled: nothing can come to stand before it.
    pub async fn snapshot(&self) -> Result<i64, Error> {
        let mut reader = self.reader().await?;
        let connection = &mut reader.connection();
        if connection.dialect() == Dialect::Sqlite {
            return read::changes_end(connection).await;
        }
        let mut sql = Sql::new(Dialect::Postgres);
        sql.push("SELECT ((pg_snapshot_xmin(pg_current_snapshot())::text::bigint + ");
        sql.bind(self.epoch()).push(") << ");
        sql.push_number(SEQUENCES_PER_TRANSACTION_BITS)
            .push(") - 1");
        let row = connection.fetch_first(sql).await?;
        row.ok_or(Error::Corrupt("feed"))?.integer(0)
    }

    /// The types of which there are resources, in order.
    pub async fn resource_types(&self) -> Result<Vec<ResourceType>, Error> {
        let mut reader = self.reader().await?;
        let connection = &mut reader.connection();
        let text = "SELECT DISTINCT resource_type FROM resource ORDER BY resource_type";
        let rows = connection
            .fetch(Sql::fixed(connection.dialect(), text, []))
            .await?;
        let parse = |row: &Row| {
            ResourceType::parse(row.text(0)?).map_err(|_| Error::Corrupt("resource type"))
        };
        rows.iter().map(parse).collect()
    }

    /// A page of what is gone through.
    pub async fn walk(&self, walk: &Walk) -> Result<WalkPage, Error> {
        reading!(self, versions, walk)
    }

    /// The resources of all types after a key, deleted ones too, in the order of their keys.
    pub async fn resources_after(&self, row: Option<i64>) -> Result<WalkPage, Error> {
        reading!(self, resources, row)
    }
}

async fn versions(connection: &mut Connection<'_>, walk: &Walk) -> Result<WalkPage, Error> {
    let mut sql = Sql::new(connection.dialect());
    let after = walk.after.unwrap_or(i64::MIN);
    if walk.history {
        push_history(&mut sql, walk, after);
    } else {
        push_current(&mut sql, walk, after);
    }
    page(connection, sql).await
}

fn push_current(sql: &mut Sql, walk: &Walk, after: i64) {
    sql.push("SELECT r.row_key, r.resource_type, r.id");
    for column in ["version", "last_updated", "kind", "text"] {
        sql.push(", CASE WHEN r.sequence <= ").bind(walk.snapshot);
        sql.push(" THEN r.")
            .push(column)
            .push(" ELSE v.")
            .push(column);
        sql.push(" END AS ").push(column);
    }
    sql.push(", r.row_key AS place FROM resource r LEFT JOIN resource_version v ON r.sequence > ");
    sql.bind(walk.snapshot);
    sql.push(" AND v.sequence = (SELECT max(w.sequence) FROM resource_version w WHERE ");
    sql.push("w.row_key = r.row_key AND w.sequence <= ")
        .bind(walk.snapshot);
    sql.push(") WHERE r.text IS NOT NULL AND r.resource_type = ");
    sql.bind(walk.resource_type.as_str());
    sql.push(" AND r.row_key > ").bind(after);
    sql.push(" AND (r.sequence <= ").bind(walk.snapshot);
    sql.push(" OR v.text IS NOT NULL)");
    if let Some(since) = walk.since {
        // a version of the snapshot is older than the current one
        sql.push(" AND r.last_updated >= ")
            .bind(since.timestamp_micros());
        sql.push(" AND coalesce(v.last_updated, r.last_updated) >= ");
        sql.bind(since.timestamp_micros());
    }
}

fn push_history(sql: &mut Sql, walk: &Walk, after: i64) {
    sql.push(
        "SELECT c.row_key, r.resource_type, r.id, c.version, c.at AS last_updated, c.kind, \
         CASE WHEN r.sequence = c.sequence THEN r.text ELSE v.text END AS text, \
         c.sequence AS place FROM change c JOIN resource r ON r.row_key = c.row_key \
         LEFT JOIN resource_version v ON v.sequence = c.sequence WHERE c.resource_type = ",
    );
    sql.bind(walk.resource_type.as_str());
    sql.push(" AND c.sequence > ").bind(after);
    sql.push(" AND c.sequence <= ").bind(walk.snapshot);
    if let Some(since) = walk.since {
        sql.push(" AND c.at >= ").bind(since.timestamp_micros());
    }
}

async fn resources(connection: &mut Connection<'_>, row: Option<i64>) -> Result<WalkPage, Error> {
    let mut sql = Sql::new(connection.dialect());
    sql.push("SELECT ").push(STORED_COLUMNS);
    sql.push(", r.row_key AS place FROM resource r WHERE r.row_key > ");
    sql.bind(row.unwrap_or(i64::MIN));
    page(connection, sql).await
}

/// The first rows of a statement by their `place`, as many as the budget allows.
async fn page(connection: &mut Connection<'_>, inner: Sql) -> Result<WalkPage, Error> {
    let mut sql = inner.after(
        "SELECT * FROM (SELECT p.*, \
         sum(length(p.text)) OVER (ORDER BY p.place) - length(p.text) AS before FROM (",
    );
    sql.push(" ORDER BY place LIMIT ").bind(PAGE_ROWS_MAX);
    sql.push(") p) q WHERE coalesce(before, 0) < ")
        .bind(PAGE_BYTES_MAX);
    sql.push(" ORDER BY place");
    let rows = connection.fetch(sql).await?;
    let next = rows
        .last()
        .map(|row| row.integer(STORED_WIDTH))
        .transpose()?;
    let versions: Result<_, _> = rows.iter().map(read::stored).collect();
    Ok(WalkPage {
        versions: versions?,
        next,
    })
}
