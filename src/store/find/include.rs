//! What the matches of a page bring with them: `_include` and `_revinclude`.
//!
//! <https://hl7.org/fhir/R4/search.html#include>. References are followed by the values that are
//! kept beside each resource; what refers to a match is found by the index of references. One round
//! asks for all references at once; `:iterate` goes on from what a round brought.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use fhir_model::key::{ResourceKey, ResourceType};

use crate::search::expression::{Include, Search};
use crate::store::entries::Entries;
use crate::store::sql::{Connection, Row, Sql};
use crate::store::{Error, Stored, read};

/// The most resources that are included in a page.
pub const INCLUDED_MAX: usize = 1_000;

/// How often `:iterate` goes on from what it brought.
pub const ITERATIONS_MAX: usize = 10;

/// A resource whose references are followed.
pub(super) struct Held {
    key: ResourceKey,
    row: i64,
    entries: Entries,
}

impl Held {
    /// The resource of a row whose column `entries` is its document of search values.
    pub(super) fn new(row: &Row, stored: &Stored, entries: usize) -> Result<Self, Error> {
        Ok(Self {
            key: stored.key.clone(),
            row: stored.row,
            entries: Entries::from_json(row.text(entries)?)?,
        })
    }
}

/// What is included, each once, and without the matches.
#[derive(Default)]
pub(super) struct Included {
    pub(super) resources: Vec<Stored>,
    /// There is more than [`INCLUDED_MAX`], or more than [`ITERATIONS_MAX`] lead to.
    pub(super) is_cut: bool,
}

/// Whether a search includes anything.
pub(super) fn is_wanted(search: &Search) -> bool {
    !search.includes.is_empty() || !search.revincludes.is_empty()
}

/// Finds what the matches include.
pub(super) async fn gather(
    connection: &mut Connection<'_>,
    search: &Search,
    matches: &[Held],
) -> Result<Included, Error> {
    let mut gathering = Gathering {
        seen: matches.iter().map(|held| held.row).collect(),
        found: Included::default(),
        iterates: search.includes.iter().any(|include| include.iterate)
            || search.revincludes.iter().any(|include| include.iterate),
    };
    let mut brought = gathering
        .round(connection, search, matches, |_| true)
        .await?;
    for _ in 0..ITERATIONS_MAX {
        if brought.is_empty() || gathering.found.is_cut {
            return Ok(gathering.found);
        }
        brought = gathering
            .round(connection, search, &brought, |include| include.iterate)
            .await?;
    }
    gathering.found.is_cut |= !brought.is_empty();
    Ok(gathering.found)
}

struct Gathering {
    /// Rows that are matches, or included.
    seen: HashSet<i64>,
    found: Included,
    iterates: bool,
}

impl Gathering {
    /// Follows the references of some resources, forth and back; gives what is new, if references of
    /// it may be followed.
    async fn round(
        &mut self,
        connection: &mut Connection<'_>,
        search: &Search,
        from: &[Held],
        is_wanted: impl Fn(&Include) -> bool,
    ) -> Result<Vec<Held>, Error> {
        let mut brought = Vec::new();
        let includes: Vec<&Include> = search.includes.iter().filter(|i| is_wanted(i)).collect();
        let targets = targets(&includes, from);
        if !targets.is_empty() {
            let mut sql = self.select(connection);
            let room = INCLUDED_MAX + self.seen.len() + 1;
            read::push_keyed(&mut sql, targets.into_iter().take(room));
            sql.push(" WHERE r.text IS NOT NULL");
            self.add(connection, sql, &mut brought).await?;
        }
        let revincludes: Vec<&Include> =
            search.revincludes.iter().filter(|i| is_wanted(i)).collect();
        if !from.is_empty() && !revincludes.is_empty() {
            let mut sql = self.select(connection);
            sql.push(" FROM resource r WHERE r.text IS NOT NULL AND r.row_key IN (");
            if push_referring(&mut sql, &revincludes, from) {
                sql.push(")");
                self.add(connection, sql, &mut brought).await?;
            }
        }
        Ok(brought)
    }

    fn select(&self, connection: &Connection<'_>) -> Sql {
        let mut sql = Sql::new(connection.dialect());
        sql.push("SELECT ").push(read::STORED_COLUMNS);
        if self.iterates {
            sql.push(sql.dialect.pick(", r.entries", ", r.entries::text"));
        }
        sql
    }

    async fn add(
        &mut self,
        connection: &mut Connection<'_>,
        mut sql: Sql,
        brought: &mut Vec<Held>,
    ) -> Result<(), Error> {
        // what is there already may come again, and one more says that there is more
        let limit = INCLUDED_MAX + self.seen.len() + 1;
        sql.push(" ORDER BY r.row_key LIMIT ")
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        for row in connection.fetch(sql).await? {
            let stored = read::stored(&row)?;
            if !self.seen.insert(stored.row) {
                continue;
            }
            if self.found.resources.len() == INCLUDED_MAX {
                self.found.is_cut = true;
                return Ok(());
            }
            if self.iterates {
                brought.push(Held::new(&row, &stored, read::STORED_WIDTH)?);
            }
            self.found.resources.push(stored);
        }
        Ok(())
    }
}

/// What these resources refer to: (type, id).
fn targets<'h>(includes: &[&Include], from: &'h [Held]) -> BTreeSet<(&'h str, &'h str)> {
    let mut targets = BTreeSet::new();
    for include in includes {
        let is_target = |(of, _): &(&str, &str)| {
            let mut target = include.target.iter();
            target.all(|target| target.as_str() == *of)
        };
        let is_source = |held: &&Held| {
            let mut source = include.source.iter();
            source.all(|source| *source == held.key.resource_type)
        };
        for held in from.iter().filter(is_source) {
            if include.parameters.is_empty() {
                targets.extend(held.entries.local_references(None).filter(is_target));
            }
            for parameter in &include.parameters {
                let references = held.entries.local_references(Some(parameter.0));
                targets.extend(references.filter(is_target));
            }
        }
    }
    for held in from {
        targets.remove(&(held.key.resource_type.as_str(), held.key.id.as_str()));
    }
    targets
}

/// Adds the rows of what refers to these resources; says whether anything can.
fn push_referring(sql: &mut Sql, includes: &[&Include], to: &[Held]) -> bool {
    let mut ids: BTreeMap<&ResourceType, Vec<&str>> = BTreeMap::new();
    for held in to {
        let of_type = ids.entry(&held.key.resource_type).or_default();
        of_type.push(held.key.id.as_str());
    }
    let mut parts = 0;
    for include in includes {
        let is_target = |of: &ResourceType| include.target.iter().all(|target| target == of);
        for (of, ids) in ids.iter().filter(|(of, _)| is_target(of)) {
            sql.push(if parts > 0 { " UNION " } else { "" });
            parts += 1;
            sql.push("SELECT s.row_key FROM search_reference s WHERE s.parameter ");
            match include.parameters.as_slice() {
                [only] => sql.push("= ").bind(i64::from(only.0)),
                several => {
                    let keys = several.iter().map(|parameter| i64::from(parameter.0));
                    sql.push("IN ").bind_keys(keys.collect())
                }
            };
            sql.push(" AND s.target_type = ").bind(of.as_str());
            sql.push(" AND s.target_id IN ");
            sql.bind_ids(ids.iter().copied());
        }
    }
    parts > 0
}
