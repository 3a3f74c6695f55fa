//! The FHIR REST API, interaction by interaction: <https://hl7.org/fhir/R4/http.html>.
//!
//! What a client sees is asserted: status, headers, body; for what is written also the versions, the
//! audit trail and the change feed.

mod asynchronous;
mod capabilities;
mod compartment;
mod conditional;
mod create;
mod delete;
mod edges;
mod format;
mod history;
mod operation;
mod paging;
mod patch;
mod races;
mod read;
mod refusal;
mod search;
mod search_shape;
mod search_values;
mod summary;
mod terminology;
mod terminology_server;
mod transaction;
mod transaction_rules;
mod update;
mod validation;
mod validation_policy;

use serde_json::{Value, json};

/// Where the clock stands in these tests.
const NOW: &str = "2026-03-06T16:10:00Z";
/// The same as HTTP writes it.
const NOW_HTTP: &str = "Fri, 06 Mar 2026 16:10:00 GMT";

/// A Patient with this id and family name.
fn patient(id: &str, family: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id, "name": [{ "family": family }] })
}
