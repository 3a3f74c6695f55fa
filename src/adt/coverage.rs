//! IN1 → Coverage: <https://hl7.org/fhir/R4/coverage.html>.
//!
//! The subscriber's number goes to `subscriberId`, which R4 has (the published map uses an
//! extension of R5). A Coverage is told apart by payor, subscriber and group; that one is missing
//! from a message never cancels it.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON objects are indexed by name: a missing member reads as null and is made when written"
)]

use hl7v2::segment::In1;
use serde_json::{Map, Value, json};

use crate::adt::data_type::{code, date, insert, insert_all, text};
use crate::adt::{Arrival, Put, code_map};

/// The Coverages of a message; `existing` are those of the patient.
pub fn coverages(
    arrival: &Arrival<'_>,
    patient_id: &str,
    existing: &[Value],
    mut fresh_id: impl FnMut() -> String,
) -> Vec<Put> {
    let mut puts: Vec<Put> = Vec::new();
    for in1 in arrival.message.views::<In1<'_>>() {
        let Some(new) = coverage(in1, arrival, patient_id) else {
            continue;
        };
        let key = key_of(&new);
        if puts.iter().any(|put| key_of(&put.resource) == key) {
            continue;
        }
        let known = existing.iter().find(|known| key_of(known) == key);
        let mut resource = known
            .cloned()
            .unwrap_or_else(|| json!({ "resourceType": "Coverage", "id": fresh_id() }));
        if let (Some(resource), Value::Object(new)) = (resource.as_object_mut(), new) {
            resource.extend(new);
        }
        puts.push(Put {
            resource,
            exists: known.is_some(),
        });
    }
    puts
}

fn coverage(in1: In1<'_>, arrival: &Arrival<'_>, patient_id: &str) -> Option<Value> {
    let payor = payor(in1, arrival)?;
    let relationship = text(in1.insured_relationship().identifier());
    let is_self = relationship
        .as_deref()
        .is_none_or(|code| code_map::subscriber_relationship(code) == "self");
    let subscriber_id = in1
        .insured_ids()
        .find_map(|cx| text(cx.id()))
        .or_else(|| text(in1.policy_number()));
    let mut coverage = Map::new();
    coverage.insert("status".into(), json!("active"));
    insert(
        &mut coverage,
        "type",
        code(in1.plan_type().identifier()).map(|code| {
            let system = format!("urn:baton:feed:{}:plan-type", arrival.feed.name);
            json!({ "coding": [{ "system": system, "code": code }] })
        }),
    );
    let patient = json!({ "reference": format!("Patient/{patient_id}") });
    insert(
        &mut coverage,
        "subscriber",
        is_self.then(|| patient.clone()),
    );
    insert(
        &mut coverage,
        "subscriberId",
        subscriber_id.map(Value::from),
    );
    coverage.insert("beneficiary".into(), patient);
    insert(
        &mut coverage,
        "relationship",
        relationship.map(|code| {
            json!({ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/subscriber-relationship",
            "code": code_map::subscriber_relationship(&code),
        }] })
        }),
    );
    let mut period = Map::new();
    insert(
        &mut period,
        "start",
        date(in1.plan_effective_date()).map(Value::from),
    );
    insert(
        &mut period,
        "end",
        date(in1.plan_expiration_date()).map(Value::from),
    );
    insert(
        &mut coverage,
        "period",
        (!period.is_empty()).then_some(Value::Object(period)),
    );
    coverage.insert("payor".into(), json!([payor]));
    let classes = [
        (
            "group",
            text(in1.group_number()),
            in1.group_names().find_map(|name| text(name.name())),
        ),
        (
            "plan",
            text(in1.plan().identifier()),
            text(in1.plan().text()),
        ),
    ];
    let classes = classes.into_iter().filter_map(|(kind, value, name)| {
        let mut class = json!({
            "type": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/coverage-class",
                "code": kind,
            }] },
            "value": value?,
        });
        if let Some(name) = name {
            class["name"] = json!(name);
        }
        Some(class)
    });
    insert_all(&mut coverage, "class", classes.collect());
    let order = in1
        .coordination_of_benefits_priority()
        .number()
        .filter(|order| *order > 0);
    insert(&mut coverage, "order", order.map(Value::from));
    Some(Value::Object(coverage))
}

/// IN1-3 and IN1-4 as a reference to an Organization by identifier and name.
fn payor(in1: In1<'_>, arrival: &Arrival<'_>) -> Option<Value> {
    let id = in1.company_ids().find_map(|cx| text(cx.id()));
    let name = in1.company_names().find_map(|xon| text(xon.name()));
    if id.is_none() && name.is_none() {
        return None;
    }
    let mut payor = json!({ "type": "Organization" });
    if let Some(id) = id {
        let system = format!("urn:baton:feed:{}:payor", arrival.feed.name);
        payor["identifier"] = json!({ "system": system, "value": id });
    }
    if let Some(name) = name {
        payor["display"] = json!(name);
    }
    Some(payor)
}

fn key_of(coverage: &Value) -> (Value, Value, Value) {
    let payor = &coverage["payor"][0];
    let payor = payor
        .pointer("/identifier/value")
        .or_else(|| payor.get("display"));
    let group = coverage["class"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|class| {
            class
                .pointer("/type/coding/0/code")
                .is_some_and(|code| code == "group")
        });
    (
        payor.cloned().unwrap_or_default(),
        coverage["subscriberId"].clone(),
        group
            .map(|class| class["value"].clone())
            .unwrap_or_default(),
    )
}
