//! Isolation: later pages of a search show what had been committed at its first page.
//!
//! A snapshot is taken in the transaction that reads the first page, so it is exactly what that page
//! saw. Later, resources whose current version is older than the snapshot come from the tables as
//! ever. Those changed since then are found by the feed of changes; for each the version that was
//! current in the snapshot is taken from the history, its search values are taken out of its text
//! once more, and the same conditions are put to a document with these.

use std::collections::HashMap;
use std::fmt::Write as _;

use fhir_model::key::{LogicalId, ResourceType};

use crate::search::expression::{Search, Snapshot};
use crate::search::value::SearchValues;
use crate::store::entries::Entries;
use crate::store::find::plan::Estimates;
use crate::store::search_sql::push_type;
use crate::store::sql::{Connection, Dialect, Row, Sql};
use crate::store::{Error, SEQUENCES_PER_TRANSACTION_BITS, Stored, read};

/// The most resources that may have been changed since the first page; after more than these the
/// search has to begin anew.
pub const CHANGED_MAX: usize = 5_000;

/// Resources of which the search values are taken out before others get their turn.
const EXTRACTED_AT_ONCE: usize = 64;

/// The search values in a text of a resource, and the patients whose compartment it is in.
pub type Extract<'e> =
    dyn Fn(&ResourceType, &str) -> Option<(SearchValues, Vec<LogicalId>)> + Sync + 'e;

/// What later pages of a search are isolated with.
#[derive(Clone, Copy)]
pub(crate) struct Isolation<'e> {
    /// PostgreSQL: what is added to a transaction id to make a sequence.
    pub(crate) epoch: i64,
    /// Takes search values out of superseded versions.
    pub(crate) extract: &'e Extract<'e>,
    /// How many resources there are.
    pub(crate) estimates: &'e Estimates,
}

/// What the present transaction sees.
pub(super) async fn take(connection: &mut Connection<'_>, epoch: i64) -> Result<Snapshot, Error> {
    let dialect = connection.dialect();
    let text = dialect.pick(
        "SELECT max(sequence) FROM change",
        "SELECT pg_current_snapshot()::text",
    );
    let row = connection
        .fetch_first(Sql::fixed(dialect, text, []))
        .await?;
    let row = row.ok_or(Error::Corrupt("snapshot"))?;
    if dialect == Dialect::Postgres {
        return parse(row.text(0)?, epoch).ok_or(Error::Corrupt("snapshot"));
    }
    let end = row.optional_integer(0)?.unwrap_or_default() + 1;
    Ok(Snapshot {
        before: end,
        end,
        running: Vec::new(),
    })
}

/// Reads `xmin:xmax:xip_list`, in numbers of the feed:
/// <https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT-PARTS>.
fn parse(text: &str, epoch: i64) -> Option<Snapshot> {
    let number = |text: &str| Some(text.parse::<i64>().ok()? + epoch);
    let mut parts = text.split(':');
    let (before, end) = (number(parts.next()?)?, number(parts.next()?)?);
    let running = parts.next()?.split(',').filter(|text| !text.is_empty());
    Some(Snapshot {
        before,
        end,
        running: running.map(number).collect::<Option<_>>()?,
    })
}

/// Adds the condition that a version with its place in the feed in `column` is in the snapshot.
pub(super) fn push_seen(sql: &mut Sql, column: &str, snapshot: &Snapshot) {
    let bits = bits(sql.dialect);
    if snapshot.running.is_empty() {
        sql.push(column).push(" < ").bind(snapshot.end << bits);
        return;
    }
    sql.push("(").push(column).push(" < ");
    sql.bind(snapshot.before << bits).push(" OR (");
    sql.push(column).push(" < ").bind(snapshot.end << bits);
    sql.push(" AND ").push(column).push(" >> ");
    sql.push_number(bits).push(" NOT IN ");
    sql.bind_list(snapshot.running.iter().copied()).push("))");
}

/// How much smaller the numbers of a snapshot are than those of the feed.
fn bits(dialect: Dialect) -> u32 {
    dialect.pick(0, SEQUENCES_PER_TRANSACTION_BITS)
}

/// Resources as they were in a snapshot, where they have been changed since then.
#[derive(Debug, Default)]
pub(super) struct Changed {
    versions: HashMap<i64, (Stored, Entries)>,
    /// `[[key, type, id, last updated, search values], …]`
    document: String,
}

impl Changed {
    /// Those that can be on the page asked for.
    pub(super) async fn read(
        connection: &mut Connection<'_>,
        search: &Search,
        isolation: Option<Isolation<'_>>,
    ) -> Result<Self, Error> {
        let snapshot = search.after.as_ref().and_then(|at| at.snapshot.as_ref());
        let (Some(snapshot), Some(isolation)) = (snapshot, isolation) else {
            return Ok(Self::default());
        };
        let sql = changed_since(connection.dialect(), search, snapshot);
        let rows = connection.fetch(sql).await?;
        if rows.len() > CHANGED_MAX {
            return Err(Error::Expired);
        }
        let mut changed = Self::default();
        for (place, row) in rows.iter().enumerate() {
            if place % EXTRACTED_AT_ONCE == EXTRACTED_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            changed.add(row, isolation.extract)?;
        }
        if !changed.is_empty() {
            changed.document.push(']');
        }
        Ok(changed)
    }

    fn add(&mut self, row: &Row, extract: &Extract<'_>) -> Result<(), Error> {
        if row.optional_integer(3)?.is_none() {
            return Err(Error::Expired); // the version is no longer kept
        }
        let stored = read::stored(row)?;
        let Some(text) = &stored.text else {
            return Ok(());
        };
        let key = &stored.key;
        let Some((values, patients)) = extract(&key.resource_type, text) else {
            return Err(Error::Corrupt("a superseded version"));
        };
        let entries = Entries::new(&values, &patients);
        // types and ids consist of letters, digits, - and . only: nothing to escape
        self.document
            .push_str(if self.is_empty() { "[" } else { "," });
        let entries_json = entries.to_json()?;
        let _ = write!(
            self.document,
            r#"[{},"{}","{}",{},{}]"#,
            stored.row,
            key.resource_type,
            key.id,
            stored.last_updated.timestamp_micros(),
            entries_json
        );
        self.versions.insert(stored.row, (stored, entries));
        Ok(())
    }

    /// Whether nothing was changed.
    pub(super) fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// The version of a resource.
    pub(super) fn get(&self, key: i64) -> Option<&(Stored, Entries)> {
        self.versions.get(&key)
    }

    /// Adds the resources as a table `r`, with the columns that conditions are put to.
    pub(super) fn push_table(&self, sql: &mut Sql) {
        let (before, after) = sql.dialect.pick(
            (
                "(SELECT value->>0 AS row_key, value->>1 AS resource_type, value->>2 AS id, \
                 value->>3 AS last_updated, value->4 AS entries, '' AS text FROM json_each(",
                ")) r",
            ),
            (
                "(SELECT (value->>0)::bigint AS row_key, (value->>1) COLLATE \"C\" AS resource_type, \
                 (value->>2) COLLATE \"C\" AS id, (value->>3)::bigint AS last_updated, \
                 value->4 AS entries, ''::text AS text FROM jsonb_array_elements(",
                "::jsonb) c (value)) r",
            ),
        );
        sql.push(before).bind(self.document.as_str()).push(after);
    }
}

/// Selects the versions that were current in a snapshot of resources changed since then: the one
/// before the first version that is not in it. A version that is no longer kept comes without one.
fn changed_since(dialect: Dialect, search: &Search, snapshot: &Snapshot) -> Sql {
    let mut sql = Sql::new(dialect);
    sql.push(
        "SELECT r.row_key, r.resource_type, r.id, v.version, v.last_updated, v.kind, v.text FROM \
         (SELECT c.row_key, min(c.version) AS version FROM change c WHERE c.sequence >= ",
    );
    sql.bind(snapshot.before << bits(dialect)).push(" AND ");
    push_type(&mut sql, "", "c", &search.types);
    if !snapshot.running.is_empty() {
        sql.push(" AND NOT ");
        push_seen(&mut sql, "c.sequence", snapshot);
    }
    if let Some(after) = search.after.as_ref().filter(|_| search.sort.is_empty()) {
        let operator = if after.is_backward { " < " } else { " > " };
        sql.push(" AND c.row_key").push(operator).bind(after.key);
    }
    sql.push(" GROUP BY c.row_key HAVING min(c.version) > 1 LIMIT ");
    sql.bind(i64::try_from(CHANGED_MAX + 1).unwrap_or(i64::MAX));
    sql.push(
        ") c JOIN resource r ON r.row_key = c.row_key \
         LEFT JOIN resource_version v ON v.row_key = c.row_key AND v.version = c.version - 1",
    );
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_of_postgres_reads_in_numbers_of_the_feed() {
        let check = |text: &str, expected: Option<(i64, i64, &[i64])>| {
            let expected = expected.map(|(before, end, running)| Snapshot {
                before,
                end,
                running: running.to_vec(),
            });
            assert_eq!(parse(text, 1_000), expected, "{text}");
        };
        check("10:10:", Some((1_010, 1_010, &[])));
        check(
            "10:20:10,14,15",
            Some((1_010, 1_020, &[1_010, 1_014, 1_015])),
        );
        check("10:20", None);
        check("10:x:", None);
    }
}
