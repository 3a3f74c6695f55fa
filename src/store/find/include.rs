//! What the matches of a page bring with them: `_include` and `_revinclude`.
//!
//! <https://hl7.org/fhir/R4/search.html#include>. References are followed by the values that are
//! kept beside each resource; what refers to a match is found by the index of references.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use fhir_model::key::{ResourceKey, ResourceType};

use crate::search::expression::{Include, Search};
use crate::store::entries::Entries;
use crate::store::sql::{Connection, Sql};
use crate::store::{Error, SearchPage, read};

/// The most resources that `_include`, and again `_revinclude`, add to a page.
pub const INCLUDED_MAX: usize = 1_000;

/// Adds what the matches refer to, each once.
pub(super) async fn forth(
    connection: &mut Connection<'_>,
    search: &Search,
    entries: &[Entries],
    page: &mut SearchPage,
) -> Result<(), Error> {
    let mut targets: BTreeSet<(&str, &str)> = BTreeSet::new();
    for include in search
        .includes
        .iter()
        .filter(|i| search.types.contains(&i.source))
    {
        let parameter = include.parameter.map(|parameter| parameter.0);
        let is_wanted = |(target_type, _): &(&str, &str)| {
            include
                .target
                .as_ref()
                .is_none_or(|target| target.as_str() == *target_type)
        };
        for entries in entries {
            targets.extend(entries.local_references(parameter).filter(is_wanted));
        }
    }
    for stored in &page.matches {
        let ResourceKey { resource_type, id } = &stored.key;
        targets.remove(&(resource_type.as_str(), id.as_str()));
    }
    if targets.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new(connection.dialect());
    sql.push("SELECT ").push(read::STORED_COLUMNS);
    read::push_keyed(&mut sql, targets.into_iter().take(INCLUDED_MAX));
    sql.push(" WHERE r.text IS NOT NULL ORDER BY r.row_key");
    add_included(connection, sql, page).await
}

/// Adds what refers to the matches, each once.
pub(super) async fn back(
    connection: &mut Connection<'_>,
    search: &Search,
    page: &mut SearchPage,
) -> Result<(), Error> {
    let mut sql = Sql::new(connection.dialect());
    sql.push("SELECT ").push(read::STORED_COLUMNS);
    sql.push(" FROM resource r WHERE r.text IS NOT NULL AND r.row_key IN (");
    let mut matches: BTreeMap<&ResourceType, Vec<&str>> = BTreeMap::new();
    for stored in &page.matches {
        let of_type = matches.entry(&stored.key.resource_type).or_default();
        of_type.push(stored.key.id.as_str());
    }
    let mut parts = 0;
    for include in &search.revincludes {
        let is_possible =
            |of: &&ResourceType| include.target.as_ref().is_none_or(|target| target == *of);
        for (of, ids) in matches.iter().filter(|(of, _)| is_possible(of)) {
            sql.push(if parts > 0 { " UNION " } else { "" });
            parts += 1;
            push_referring(&mut sql, include, of, ids);
        }
    }
    if parts == 0 {
        return Ok(());
    }
    let limit = i64::try_from(INCLUDED_MAX + page.matches.len()).unwrap_or(i64::MAX);
    sql.push(") ORDER BY r.row_key LIMIT ").bind(limit);
    add_included(connection, sql, page).await
}

fn push_referring(sql: &mut Sql, include: &Include, of: &ResourceType, ids: &[&str]) {
    sql.push("SELECT s.row_key FROM search_reference s WHERE ");
    match include.parameter {
        Some(parameter) => sql.push("s.parameter = ").bind(i64::from(parameter.0)),
        None => sql
            .push("s.row_key IN (SELECT i.row_key FROM resource i WHERE i.resource_type = ")
            .bind(include.source.as_str())
            .push(")"),
    };
    sql.push(" AND s.target_type = ").bind(of.as_str());
    sql.push(" AND s.target_id IN ");
    sql.bind_ids(ids.iter().copied());
}

async fn add_included(
    connection: &mut Connection<'_>,
    sql: Sql,
    page: &mut SearchPage,
) -> Result<(), Error> {
    let there = page
        .matches
        .iter()
        .chain(&page.included)
        .map(|stored| stored.row);
    let mut seen: HashSet<i64> = there.collect();
    let room = page.included.len() + INCLUDED_MAX;
    for row in connection.fetch(sql).await? {
        let stored = read::stored(&row)?;
        if page.included.len() < room && seen.insert(stored.row) {
            page.included.push(stored);
        }
    }
    Ok(())
}
