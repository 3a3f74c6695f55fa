//! DG1 → Condition of category encounter-diagnosis: <https://hl7.org/fhir/R4/condition.html>.
//!
//! A Condition is told apart by its Encounter, code and type; a diagnosis of a feed never becomes
//! an item of the problem list by itself.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON objects are indexed by name: a missing member reads as null and is made when written"
)]

use serde_json::{Value, json};

use crate::adt::visit::Diagnosis;
use crate::adt::{BATON, Put, code_map};

/// The identifier system by which a Condition of a feed is found again.
fn system() -> String {
    format!("{BATON}/id/encounter-diagnosis")
}

/// The Conditions of a visit's diagnoses, in their order; `existing` are those of the Encounter.
pub fn conditions(
    diagnoses: &[Diagnosis],
    encounter_id: &str,
    patient_id: &str,
    existing: &[Value],
    mut fresh_id: impl FnMut() -> String,
) -> Vec<Put> {
    diagnoses
        .iter()
        .map(|diagnosis| {
            let value = format!("{}|{}", diagnosis.key, diagnosis.kind);
            let known = existing.iter().find(|known| identified_by(known, &value));
            let id = known
                .and_then(|known| known["id"].as_str())
                .map_or_else(&mut fresh_id, str::to_owned);
            let resource = condition(diagnosis, &id, &value, encounter_id, patient_id, known);
            Put {
                resource,
                exists: known.is_some(),
            }
        })
        .collect()
}

fn identified_by(condition: &Value, value: &str) -> bool {
    let identifiers = condition["identifier"].as_array();
    identifiers
        .into_iter()
        .flatten()
        .any(|identifier| identifier["system"] == system() && identifier["value"] == value)
}

fn condition(
    diagnosis: &Diagnosis,
    id: &str,
    identifier: &str,
    encounter_id: &str,
    patient_id: &str,
    existing: Option<&Value>,
) -> Value {
    let mut condition = existing.cloned().unwrap_or_else(|| {
        json!({
            "resourceType": "Condition",
            "id": id,
            "identifier": [{ "system": system(), "value": identifier }],
            "clinicalStatus": coding("condition-clinical", "active"),
        })
    });
    let status = if diagnosis.is_deleted {
        "entered-in-error"
    } else {
        code_map::diagnosis_type(&diagnosis.kind).1
    };
    condition["verificationStatus"] = coding("condition-ver-status", status);
    if diagnosis.is_deleted
        && let Some(condition) = condition.as_object_mut()
    {
        // Invariant con-5: what was never true has no clinical status.
        condition.shift_remove("clinicalStatus");
    }
    condition["category"] = json!([coding("condition-category", "encounter-diagnosis")]);
    condition["code"] = diagnosis.code.clone();
    condition["subject"] = json!({ "reference": format!("Patient/{patient_id}") });
    condition["encounter"] = json!({ "reference": format!("Encounter/{encounter_id}") });
    if let Some(recorded) = &diagnosis.recorded {
        condition["recordedDate"] = json!(recorded.text());
    }
    condition
}

fn coding(system: &str, code: &str) -> Value {
    let system = format!("http://terminology.hl7.org/CodeSystem/{system}");
    json!({ "coding": [{ "system": system, "code": code }] })
}
