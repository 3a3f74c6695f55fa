//! Reads that follow no search: the members of a compartment in the order of their keys, resources
//! by their names, examples of the values of a parameter.
//!
//! <https://hl7.org/fhir/R4/compartmentdefinition.html>. A compartment is one range scan: of its own
//! index for a patient, of a few ranges of references for others.

use fhir_model::key::{ResourceKey, ResourceType};

use crate::search::expression::ValueKind;
use crate::search::value::ParameterId;
use crate::store::read::{STORED_COLUMNS, push_keyed, stored};
use crate::store::sql::{Bind, Connection, Dialect, Sql};
use crate::store::{CompartmentQuery, Error, Members, Stored};

/// The resources of a compartment, in the order of their keys.
pub(crate) async fn members(
    connection: &mut Connection<'_>,
    query: &CompartmentQuery,
) -> Result<Vec<Stored>, Error> {
    let sql = members_sql(connection.dialect(), query);
    connection.fetch(sql).await?.iter().map(stored).collect()
}

fn members_sql(dialect: Dialect, query: &CompartmentQuery) -> Sql {
    let mut sql = Sql::new(dialect);
    let after = query.after.unwrap_or(i64::MIN);
    sql.push("SELECT ").push(STORED_COLUMNS);
    match &query.members {
        Members::Patient(patient) => {
            sql.push(" FROM compartment s JOIN resource r ON r.row_key = s.row_key");
            sql.push(" WHERE s.patient = ").bind(patient.as_str());
            sql.push(" AND s.row_key > ").bind(after);
        }
        Members::Referring { target, parameters } => {
            sql.push(" FROM resource r WHERE r.row_key IN (SELECT s.row_key ");
            push_referring(&mut sql, target, parameters);
            sql.push(" AND s.row_key > ").bind(after).push(")");
        }
    }
    sql.push(" AND r.text IS NOT NULL");
    if !query.types.is_empty() {
        sql.push(" AND r.resource_type IN ");
        sql.bind_ids(query.types.iter().map(ResourceType::as_str));
    }
    if let Some(since) = query.since {
        sql.push(" AND r.last_updated >= ");
        sql.bind(since.timestamp_micros());
    }
    sql.push(" ORDER BY r.row_key LIMIT ");
    sql.bind(i64::from(query.count));
    sql
}

/// Adds `FROM search_reference s WHERE …` for the references to a resource by these parameters.
pub(crate) fn push_referring(sql: &mut Sql, target: &ResourceKey, parameters: &[ParameterId]) {
    sql.push("FROM search_reference s WHERE s.parameter IN (");
    for (place, parameter) in parameters.iter().enumerate() {
        sql.push(if place > 0 { "," } else { "" });
        sql.push_number(parameter.0);
    }
    sql.push(if parameters.is_empty() { "NULL" } else { "" });
    sql.push(") AND s.target_id = ").bind(target.id.as_str());
    sql.push(" AND s.target_type = ");
    sql.bind(target.resource_type.as_str());
}

/// Those of these resources that there are, by type and id.
pub(crate) async fn read_all(
    connection: &mut Connection<'_>,
    keys: &[ResourceKey],
) -> Result<Vec<Stored>, Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(connection.dialect());
    sql.push("SELECT ").push(STORED_COLUMNS);
    let names = keys
        .iter()
        .map(|key| (key.resource_type.as_str(), key.id.as_str()));
    push_keyed(&mut sql, names);
    sql.push(" WHERE r.text IS NOT NULL ORDER BY r.resource_type, r.id");
    connection.fetch(sql).await?.iter().map(stored).collect()
}

/// A resource for each value of these parameters, found value by value: one probe of an index each,
/// however many resources have it.
pub(crate) async fn examples(
    connection: &mut Connection<'_>,
    parameters: &[(ParameterId, ValueKind)],
    count: usize,
) -> Result<Vec<Stored>, Error> {
    let mut rows = Vec::new();
    for (parameter, kind) in parameters {
        let mut last: Option<Vec<Bind>> = None;
        while rows.len() < count {
            let sql = next_value(connection.dialect(), *parameter, *kind, last.take());
            let Some(row) = connection.fetch_first(sql).await? else {
                break;
            };
            rows.push(row.integer(0)?);
            let mut value = vec![row.text(1)?.into()];
            if *kind == ValueKind::Token {
                value.push(row.integer(2)?.into());
            }
            last = Some(value);
        }
    }
    rows.sort_unstable();
    rows.dedup();
    let mut sql = Sql::new(connection.dialect());
    sql.push("SELECT ").push(STORED_COLUMNS);
    sql.push(" FROM resource r WHERE r.row_key IN ");
    sql.bind_keys(rows).push(" AND r.text IS NOT NULL");
    connection.fetch(sql).await?.iter().map(stored).collect()
}

/// Selects the first value of a parameter after another one.
fn next_value(
    dialect: Dialect,
    parameter: ParameterId,
    kind: ValueKind,
    last: Option<Vec<Bind>>,
) -> Sql {
    let (table, columns) = match kind {
        ValueKind::Token => ("search_token", "code, system"),
        _ => ("search_uri", "uri"),
    };
    let mut sql = Sql::new(dialect);
    sql.push("SELECT row_key, ").push(columns).push(" FROM ");
    sql.push(table).push(" WHERE parameter = ");
    sql.push_number(parameter.0);
    if let Some(last) = last {
        sql.push(" AND (").push(columns).push(") > ");
        sql.bind_list(last);
    }
    sql.push(" ORDER BY ").push(columns).push(" LIMIT 1");
    sql
}
