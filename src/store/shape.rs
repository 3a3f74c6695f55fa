//! The shape of a resource: which of the parameters it has values for.
//!
//! Nothing in the other indexes tells what a resource does not have, and `:missing=true` and `:not`
//! ask for just that. Resources of a type come in few shapes; each is written once, and a resource
//! has a row that names its own, so that those without a value are found by the shapes without one.
//! The row stands among the tokens, the shape among what belongs to no single resource.

use fhir_model::key::ResourceType;

use crate::search::expression::{Types, ValueKind};
use crate::search::value::ParameterId;
use crate::store::batch::{Batches, Table};
use crate::store::entries::{Entries, system_hash};
use crate::store::search_sql::document_name;
use crate::store::sql::{Bind, Sql};

/// Parameters that one row of a shape names; PostgreSQL takes 2,704 bytes in a row of an index.
const PARAMETERS_PER_ROW: usize = 100;

/// What shapes are kept under.
fn kept_under() -> ParameterId {
    ParameterId::new("Resource", "_shape")
}

/// How a shape names a parameter with values of a kind.
pub(crate) fn name(document: &str, parameter: i32) -> String {
    format!(" {document}{parameter};")
}

fn hash(of: &ResourceType, names: &[String]) -> i64 {
    system_hash(&format!("{of}{}", names.concat()))
}

fn row(hash: i64, row_key: i64) -> Vec<Bind> {
    let parameter = i64::from(kept_under().0);
    vec![parameter.into(), "".into(), hash.into(), row_key.into()]
}

/// Adds to `batches` what makes the tables say the shape of a resource; one that is deleted has none.
pub(crate) fn note(
    batches: &mut Batches,
    of: &ResourceType,
    row_key: i64,
    old: Option<&Entries>,
    new: Option<&Entries>,
) {
    let names = |entries: &Entries| entries.present();
    let (old, new) = (old.map(names), new.map(names));
    // without a value the old one may have been a deleted one
    let is_known = old.as_ref().is_some_and(|names| !names.is_empty());
    if is_known && old == new {
        return;
    }
    if let Some(old) = old {
        batches.delete(Table::Token, row(hash(of, &old), row_key));
    }
    let Some(new) = new else { return };
    let hash = hash(of, &new);
    batches.insert(Table::Token, row(hash, row_key));
    let of = of.as_str();
    let mut add = |names: String| {
        let display = (kept_under().0, names, of.to_owned(), hash);
        batches.displays.insert(display);
    };
    if new.is_empty() {
        add(String::new());
    }
    new.chunks(PARAMETERS_PER_ROW)
        .for_each(|names| add(names.concat()));
}

/// Adds a `SELECT` of the keys of the resources of these types that have no value for any of these
/// parameters.
pub(crate) fn push_rows(sql: &mut Sql, types: &Types, parameters: &[(ValueKind, ParameterId)]) {
    let kept_under = i64::from(kept_under().0);
    sql.push("SELECT s.row_key FROM search_token s WHERE s.parameter = ");
    sql.bind(kept_under)
        .push(" AND s.code = '' AND s.system IN ");
    sql.push("(SELECT d.system FROM search_display d WHERE d.parameter = ");
    sql.bind(kept_under);
    if !types.is_all() {
        sql.push(" AND d.code IN ");
        sql.bind_list(types.named().iter().map(ResourceType::as_str));
    }
    sql.push(" GROUP BY d.system HAVING ");
    for (place, (kind, parameter)) in parameters.iter().enumerate() {
        sql.push(if place > 0 { " AND " } else { "" });
        sql.push(sql.dialect.pick("max(instr(", "max(strpos("));
        sql.push("d.normalised, ");
        sql.bind(name(document_name(*kind), parameter.0));
        sql.push(")) = 0");
    }
    sql.push(")");
}
