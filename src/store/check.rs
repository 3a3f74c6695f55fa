//! Compares the rows that resources are found by with what they should be, and puts them right.
//!
//! What they should be is worked out by the caller from the texts; the store turns it into rows, as
//! it does for a write, so every table that is written is checked. No table has an index by
//! resource: each is read once for a span of keys.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fhir_model::key::{LogicalId, ResourceKey, VersionId};

use crate::search::value::SearchValues;
use crate::store::batch::{Batches, Column, Table};
use crate::store::entries::Entries;
use crate::store::shape;
use crate::store::sql::{Bind, Connection, Dialect, Row, Sql};
use crate::store::{Error, Store, Transaction, Work};

/// What one resource is to be found by.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The store's key of it.
    pub row: i64,
    /// Type and logical id.
    pub key: ResourceKey,
    /// The version that it was worked out from.
    pub version: VersionId,
    /// Whether it is deleted.
    pub is_deleted: bool,
    /// Its search values; none of a deleted one.
    pub values: SearchValues,
    /// The patients in whose compartment it is.
    pub patients: Vec<LogicalId>,
}

/// A span of keys, and all resources that have one of them.
#[derive(Debug, Clone)]
pub struct Span {
    /// The first key.
    pub first: i64,
    /// The last key.
    pub last: i64,
    /// The resources.
    pub expected: Vec<Expected>,
}

/// Something stored is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Of which resource; `None` of one that does not exist.
    pub key: Option<ResourceKey>,
    /// In which table.
    pub table: &'static str,
}

/// Where a span differs from what is expected.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Rows that should not be, or stand there twice.
    extra: Vec<(Table, i64, Vec<Bind>)>,
    /// Rows that should be there.
    missing: Vec<(Table, i64, Vec<Bind>)>,
    /// Documents of search values.
    documents: BTreeMap<i64, String>,
    /// Resources whose versions or changes are not all there.
    broken: Vec<(i64, &'static str)>,
}

impl Store {
    /// Where a span of resources is not as it should be.
    pub async fn differences(&self, span: &Span) -> Result<Vec<Difference>, Error> {
        let mut reader = self.reader().await?;
        let found = compare(&mut reader.connection(), span).await?;
        Ok(differences(span, &found))
    }

    /// Puts a span of resources right; those that were changed meanwhile are left alone. Gives what
    /// is still different.
    pub async fn repair(&self, span: Span) -> Result<Vec<Difference>, Error> {
        self.transact(Repair(span)).await
    }
}

fn differences(span: &Span, found: &Comparison) -> Vec<Difference> {
    let keys: HashMap<i64, &ResourceKey> = span
        .expected
        .iter()
        .map(|expected| (expected.row, &expected.key))
        .collect();
    let of_rows = found.extra.iter().chain(&found.missing);
    let rows = of_rows.map(|(table, row, _)| (*row, table.name()));
    let documents = found.documents.keys().map(|row| (*row, "resource"));
    let all = rows.chain(documents).chain(found.broken.iter().copied());
    let different: BTreeSet<Difference> = all
        .map(|(row, table)| Difference {
            key: keys.get(&row).copied().cloned(),
            table,
        })
        .collect();
    different.into_iter().collect()
}

struct Repair(Span);

impl Work for Repair {
    type Output = Vec<Difference>;
    type Error = Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<Vec<Difference>, Error> {
        let span = &self.0;
        let keys: Vec<ResourceKey> = span.expected.iter().map(|it| it.key.clone()).collect();
        let current = transaction.read(&keys).await?;
        let is_changed = |(expected, now): (&Expected, Option<_>)| {
            let now: Option<crate::store::Stored> = now;
            let is_same = now.is_some_and(|now| now.version == expected.version);
            (!is_same).then_some(expected.row)
        };
        let changed: BTreeSet<i64> = span
            .expected
            .iter()
            .zip(current)
            .filter_map(is_changed)
            .collect();
        let found = transaction.compare(span).await?;
        let mut batches = Batches::default();
        let is_wanted = |row: &i64| !changed.contains(row);
        let expected: HashMap<i64, &Expected> =
            span.expected.iter().map(|it| (it.row, it)).collect();
        for (table, row, values) in found.extra.into_iter().filter(|(_, row, _)| is_wanted(row)) {
            let again = expected.get(&row).is_some_and(|expected| {
                let mut own = rows(expected);
                own.take_inserts(table).contains(&values)
            });
            if again {
                batches.insert(table, values.clone());
            }
            batches.delete(table, values);
        }
        for (table, row, values) in found.missing {
            if is_wanted(&row) {
                if let Some(expected) = expected.get(&row) {
                    batches.displays.append(&mut rows(expected).displays);
                }
                batches.insert(table, values);
            }
        }
        transaction.send_batches(batches).await?;
        for (row, json) in found.documents {
            if is_wanted(&row) {
                transaction.set_entries(row, json).await?;
            }
        }
        let left = transaction.compare(span).await?;
        Ok(differences(span, &left))
    }
}

/// The rows of one resource.
fn rows(expected: &Expected) -> Batches {
    let mut batches = Batches::default();
    let entries = entries(expected);
    let new = (!expected.is_deleted).then_some(&entries);
    shape::note(
        &mut batches,
        &expected.key.resource_type,
        expected.row,
        None,
        new,
    );
    entries.replace(Entries::default(), expected.row, &mut batches);
    batches
}

fn entries(expected: &Expected) -> Entries {
    Entries::new(&expected.values, &expected.patients)
}

/// Compares what is stored for a span with what is expected.
pub(crate) async fn compare(
    connection: &mut Connection<'_>,
    span: &Span,
) -> Result<Comparison, Error> {
    let mut comparison = Comparison::default();
    let mut expected: BTreeMap<Table, Vec<(i64, Vec<Bind>)>> = BTreeMap::new();
    for resource in &span.expected {
        let mut own = rows(resource);
        for table in Table::SEARCH {
            let inserts = own.take_inserts(table).into_iter();
            let of_table = expected.entry(table).or_default();
            of_table.extend(inserts.map(|values| (resource.row, values)));
        }
    }
    for table in Table::SEARCH {
        let wanted = expected.remove(&table).unwrap_or_default();
        compare_table(connection, span, table, wanted, &mut comparison).await?;
    }
    compare_documents(connection, span, &mut comparison).await?;
    for (table, text) in CONTINUITY {
        let sql = Sql::fixed(
            connection.dialect(),
            text,
            [span.first.into(), span.last.into()],
        );
        for row in connection.fetch(sql).await? {
            comparison.broken.push((row.integer(0)?, table));
        }
    }
    Ok(comparison)
}

/// Statements that find resources whose versions are not 1 to n, or whose current version is not in
/// the feed.
const CONTINUITY: &[(&str, &str)] = &[
    (
        "resource_version",
        "SELECT r.row_key FROM resource r LEFT JOIN \
         (SELECT row_key, count(*) AS number, min(version) AS lowest, max(version) AS highest \
          FROM resource_version WHERE row_key BETWEEN $1 AND $2 GROUP BY row_key) v \
         ON v.row_key = r.row_key WHERE r.row_key BETWEEN $1 AND $2 AND \
         (coalesce(v.number, 0) <> r.version - 1 OR v.lowest <> 1 OR v.highest <> r.version - 1)",
    ),
    (
        "change",
        "SELECT r.row_key FROM resource r LEFT JOIN change c ON c.sequence = r.sequence \
         AND c.row_key = r.row_key AND c.version = r.version \
         WHERE r.row_key BETWEEN $1 AND $2 AND c.sequence IS NULL",
    ),
];

async fn compare_table(
    connection: &mut Connection<'_>,
    span: &Span,
    table: Table,
    wanted: Vec<(i64, Vec<Bind>)>,
    comparison: &mut Comparison,
) -> Result<(), Error> {
    let mut wanted: HashMap<String, (i64, Vec<Bind>)> = wanted
        .into_iter()
        .map(|(row, values)| (format!("{values:?}"), (row, values)))
        .collect();
    let dialect = connection.dialect();
    let mut sql = Sql::new(dialect);
    sql.push("SELECT s.row_key");
    for (name, column) in table.columns() {
        sql.push(", s.").push(name);
        if dialect == Dialect::Postgres && *column == Column::Integer {
            sql.push("::bigint");
        }
    }
    sql.push(" FROM ").push(table.name());
    sql.push(" s WHERE s.row_key BETWEEN ").bind(span.first);
    sql.push(" AND ").bind(span.last);
    for row in connection.fetch(sql).await? {
        let values: Result<Vec<Bind>, Error> = (1..)
            .zip(table.columns())
            .map(|(place, (_, column))| value(&row, place, *column))
            .collect();
        let values = values?;
        if wanted.remove(&format!("{values:?}")).is_none() {
            comparison.extra.push((table, row.integer(0)?, values));
        }
    }
    let missing = wanted.into_values();
    comparison
        .missing
        .extend(missing.map(|(row, values)| (table, row, values)));
    Ok(())
}

fn value(row: &Row, place: usize, column: Column) -> Result<Bind, Error> {
    Ok(match column {
        Column::Integer | Column::Sequence => Bind::Integer(row.integer(place)?),
        Column::Real => Bind::Real(row.optional_real(place)?.unwrap_or_default()),
        Column::Text | Column::Json | Column::Bytes => Bind::Text(row.text(place)?.to_owned()),
    })
}

async fn compare_documents(
    connection: &mut Connection<'_>,
    span: &Span,
    comparison: &mut Comparison,
) -> Result<(), Error> {
    let mut sql = Sql::new(connection.dialect());
    sql.push("SELECT r.row_key");
    sql.push(
        connection
            .dialect()
            .pick(", r.entries", ", r.entries::text"),
    );
    sql.push(" FROM resource r WHERE r.row_key BETWEEN ")
        .bind(span.first);
    sql.push(" AND ").bind(span.last);
    let mut kept: HashMap<i64, String> = HashMap::new();
    for row in connection.fetch(sql).await? {
        kept.insert(row.integer(0)?, row.text(1)?.to_owned());
    }
    for resource in &span.expected {
        let wanted = entries(resource).of_one_resource();
        let found = kept.get(&resource.row).map(|json| Entries::from_json(json));
        let is_same = matches!(found, Some(Ok(found)) if found == wanted);
        if !is_same {
            comparison.documents.insert(resource.row, wanted.to_json()?);
        }
    }
    Ok(())
}
