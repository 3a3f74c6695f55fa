//! One Provenance for a message: what it changed, who sent it, when.
//!
//! <https://hl7.org/fhir/R4/provenance.html>. The published map has no place for MSH-10; it is the
//! identifier of the source entity here.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON objects are indexed by name: a missing member reads as null and is made when written"
)]

use hl7v2::segment::Msh;
use serde_json::{Value, json};

use crate::adt::{Arrival, BATON, encounter};

/// The Provenance of a message; `targets` are versioned references to what it changed.
pub fn provenance(arrival: &Arrival<'_>, id: &str, recorded: &str, targets: &[String]) -> Value {
    let targets: Vec<Value> = targets
        .iter()
        .map(|target| json!({ "reference": target }))
        .collect();
    let event = arrival.event();
    let mut provenance = json!({
        "resourceType": "Provenance",
        "id": id,
        "target": targets,
        "occurredDateTime": arrival.occurred().text(),
        "recorded": recorded,
    });
    if let Some(event) = event {
        provenance["activity"] = json!({ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v2-0003",
            "code": event.code,
            "display": event.display,
        }] });
    }
    provenance["agent"] = json!([
        agent("author", &encounter::organization(arrival.feed)),
        agent(
            "assembler",
            &json!({ "type": "Device", "display": "Baton ADT intake" })
        ),
    ]);
    let header: Option<Msh<'_>> = arrival.message.view();
    let control_id = header.map(|header| header.control_id().text().into_owned());
    provenance["entity"] = json!([{
        "role": "source",
        "what": { "identifier": {
            "system": format!("{BATON}/id/message-control-id/{}", arrival.feed.name),
            "value": control_id.unwrap_or_default(),
        } },
    }]);
    provenance
}

fn agent(role: &str, who: &Value) -> Value {
    json!({
        "type": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
            "code": role,
        }] },
        "who": who,
    })
}
