//! NK1 → RelatedPerson: <https://hl7.org/fhir/R4/relatedperson.html>.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON objects are indexed by name: a missing member reads as null and is made when written"
)]

use hl7v2::segment::Nk1;
use serde_json::{Value, json};

use crate::adt::data_type::{address, codeable_concept, contact_point, human_name, text};
use crate::adt::{Arrival, Put, code_map};

/// Relationships and roles that are no kin: employer, emergency service, insurer and the like.
const NOT_KIN: &[&str] = &["EMR", "E", "F", "I", "S"];

/// Whether an NK1 names a person close to the patient.
pub fn is_person(nk1: Nk1<'_>) -> bool {
    let relationship = text(nk1.relationship().identifier()).unwrap_or_default();
    !NOT_KIN.contains(&relationship.as_str()) && nk1.names().any(|name| human_name(name).is_some())
}

/// The RelatedPersons of a message; `existing` are those of the patient. They are told apart by
/// name and relationship.
pub fn related_persons(
    arrival: &Arrival<'_>,
    patient_id: &str,
    existing: &[Value],
    mut fresh_id: impl FnMut() -> String,
) -> Vec<Put> {
    let mut puts: Vec<Put> = Vec::new();
    for nk1 in arrival
        .message
        .views::<Nk1<'_>>()
        .filter(|nk1| is_person(*nk1))
    {
        let Some(name) = nk1.names().find_map(human_name) else {
            continue;
        };
        let relationship = relationship(nk1, arrival);
        let key = (fold(&name), relationship.clone());
        let is_same = |person: &Value| key_of(person) == key;
        if puts.iter().any(|put| is_same(&put.resource)) {
            continue;
        }
        let known = existing.iter().find(|person| is_same(person));
        let mut person = known.cloned().unwrap_or_else(
            || json!({ "resourceType": "RelatedPerson", "id": fresh_id(), "active": true }),
        );
        person["patient"] = json!({ "reference": format!("Patient/{patient_id}") });
        if let Some(relationship) = relationship {
            person["relationship"] = json!([relationship]);
        }
        person["name"] = json!([name]);
        let telecom = telecom(nk1);
        if !telecom.is_empty() {
            person["telecom"] = json!(telecom);
        }
        let addresses: Vec<Value> = nk1.addresses().filter_map(address).collect();
        if !addresses.is_empty() {
            person["address"] = json!(addresses);
        }
        puts.push(Put {
            resource: person,
            exists: known.is_some(),
        });
    }
    puts
}

/// NK1-5 and NK1-6.
pub(super) fn telecom(nk1: Nk1<'_>) -> Vec<Value> {
    let home = nk1.phones().filter_map(|xtn| contact_point(xtn, "home"));
    let work = nk1
        .business_phones()
        .filter_map(|xtn| contact_point(xtn, "work"));
    home.chain(work).collect()
}

fn relationship(nk1: Nk1<'_>, arrival: &Arrival<'_>) -> Option<Value> {
    let field = nk1.relationship();
    let mapped = text(field.identifier()).and_then(|code| code_map::relationship(&code));
    let Some((system, code)) = mapped else {
        return codeable_concept(field, arrival.feed, "relationship");
    };
    let mut concept = json!({ "coding": [{ "system": system, "code": code }] });
    if let Some(words) = text(field.text()) {
        concept["text"] = json!(words);
    }
    Some(concept)
}

fn key_of(person: &Value) -> (String, Option<Value>) {
    (
        fold(&person["name"][0]),
        person["relationship"].get(0).cloned(),
    )
}

/// Name parts in lower case.
fn fold(name: &Value) -> String {
    let given = name["given"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let parts: Vec<String> = name["family"]
        .as_str()
        .into_iter()
        .chain(given)
        .map(str::to_lowercase)
        .collect();
    parts.join(" ")
}
