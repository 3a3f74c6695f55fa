//! The panel of the demo: invented people, loaded by one FHIR transaction.
//!
//! <https://hl7.org/fhir/R4/http.html#transaction>. A panel is a Group of type person with the code
//! `panel`; a pathway starts for a patient whose membership covers the day of discharge.

use serde_json::{Value, json};
use uuid::Uuid;

/// `Identifier.system` of the hospital's medical record numbers, as `docs/example.toml` has it.
pub(super) const RECORD_NUMBER: &str = "urn:oid:2.16.840.1.113883.3.9999.1";
/// The identifier of the panel: by it a second run knows the records again.
pub(super) const PANEL: (&str, &str) = ("http://baton.health/fhir/id/demo", "panel");

const TERMINOLOGY: &str = "http://terminology.hl7.org/CodeSystem";
const PANEL_SINCE: &str = "2026-01-01";
/// The Accountable Health Communities screening for social needs, by LOINC.
const SCREENING: &str = "http://loinc.org/q/96777-8";

/// One invented patient.
struct Person {
    record_number: &'static str,
    given: &'static str,
    family: &'static str,
    gender: &'static str,
    birth_date: &'static str,
    telephone: &'static str,
    address: &'static str,
    /// ICD-10-CM codes of chronic conditions with their names.
    conditions: &'static [(&'static str, &'static str)],
    /// When social needs were screened.
    screened: Option<&'static str>,
}

const HEART_FAILURE: (&str, &str) = ("I50.22", "Chronic systolic (congestive) heart failure");
const COPD: (&str, &str) = (
    "J44.9",
    "Chronic obstructive pulmonary disease, unspecified",
);
const DIABETES: (&str, &str) = ("E11.9", "Type 2 diabetes mellitus without complications");
const KIDNEY_DISEASE: (&str, &str) = ("N18.31", "Chronic kidney disease, stage 3a");

#[rustfmt::skip]
const PEOPLE: &[Person] = &[
    Person { record_number: "20001", given: "Ada", family: "Quillfeather", gender: "female",
        birth_date: "1948-03-14", telephone: "555-0101", address: "1 Inkwell Lane",
        conditions: &[HEART_FAILURE, COPD], screened: Some("2026-06-10T10:30:00-04:00") },
    Person { record_number: "20002", given: "Bruno", family: "Marmalade", gender: "male",
        birth_date: "1953-07-22", telephone: "555-0102", address: "2 Breakfast Row",
        conditions: &[DIABETES], screened: Some("2026-07-02T09:15:00-04:00") },
    Person { record_number: "20003", given: "Clementine", family: "Oddsock", gender: "female",
        birth_date: "1961-01-05", telephone: "555-0103", address: "3 Drawer Street",
        conditions: &[], screened: Some("2026-05-20T14:00:00-04:00") },
    Person { record_number: "20004", given: "Dorothea", family: "Lanternfish", gender: "female",
        birth_date: "1945-11-30", telephone: "555-0104", address: "4 Deepwater Drive",
        conditions: &[COPD], screened: None },
    Person { record_number: "20005", given: "Edgar", family: "Thistledown", gender: "male",
        birth_date: "1957-04-09", telephone: "555-0105", address: "5 Windy Hill",
        conditions: &[HEART_FAILURE, KIDNEY_DISEASE], screened: None },
    Person { record_number: "20006", given: "Florence", family: "Nightjar", gender: "female",
        birth_date: "1950-08-18", telephone: "555-0106", address: "6 Evening Close",
        conditions: &[DIABETES], screened: None },
];

/// The transaction that loads the panel.
pub(super) fn transaction() -> Value {
    let organization = urn();
    let mut entries = vec![entry(&organization, &care_organization())];
    let mut members = Vec::new();
    for person in PEOPLE {
        let patient = urn();
        entries.push(entry(&patient, &person.patient(&organization)));
        let conditions = person
            .conditions
            .iter()
            .map(|coded| condition(*coded, &patient));
        entries.extend(conditions.map(|resource| entry(&urn(), &resource)));
        let screening = person
            .screened
            .map(|authored| screening(authored, &patient));
        entries.extend(screening.map(|resource| entry(&urn(), &resource)));
        members.push(json!({
            "entity": { "reference": patient },
            "period": { "start": PANEL_SINCE },
        }));
    }
    entries.push(entry(&urn(), &group(&members, &organization)));
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries })
}

fn urn() -> String {
    format!("urn:uuid:{}", Uuid::new_v4())
}

fn entry(full_url: &str, resource: &Value) -> Value {
    json!({
        "fullUrl": full_url,
        "resource": resource,
        "request": { "method": "POST", "url": resource.get("resourceType") },
    })
}

fn care_organization() -> Value {
    json!({
        "resourceType": "Organization",
        "active": true,
        "name": "Riverside Primary Care",
        "telecom": [{ "system": "phone", "value": "555-0100", "use": "work" }],
    })
}

impl Person {
    fn patient(&self, organization: &str) -> Value {
        json!({
            "resourceType": "Patient",
            "identifier": [{
                "type": { "coding": [{ "system": format!("{TERMINOLOGY}/v2-0203"), "code": "MR" }] },
                "system": RECORD_NUMBER,
                "value": self.record_number,
            }],
            "active": true,
            "name": [{ "use": "official", "family": self.family, "given": [self.given] }],
            "telecom": [{ "system": "phone", "value": self.telephone, "use": "home" }],
            "gender": self.gender,
            "birthDate": self.birth_date,
            "address": [{
                "line": [self.address], "city": "Testville", "state": "NY", "postalCode": "12345",
            }],
            "managingOrganization": { "reference": organization },
        })
    }
}

fn condition((code, display): (&str, &str), patient: &str) -> Value {
    json!({
        "resourceType": "Condition",
        "clinicalStatus": { "coding": [{
            "system": format!("{TERMINOLOGY}/condition-clinical"), "code": "active",
        }] },
        "verificationStatus": { "coding": [{
            "system": format!("{TERMINOLOGY}/condition-ver-status"), "code": "confirmed",
        }] },
        "category": [{ "coding": [{
            "system": format!("{TERMINOLOGY}/condition-category"), "code": "problem-list-item",
        }] }],
        "code": { "coding": [{
            "system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code, "display": display,
        }] },
        "subject": { "reference": patient },
    })
}

fn screening(authored: &str, patient: &str) -> Value {
    json!({
        "resourceType": "QuestionnaireResponse",
        "questionnaire": SCREENING,
        "status": "completed",
        "subject": { "reference": patient },
        "authored": authored,
    })
}

fn group(members: &[Value], organization: &str) -> Value {
    let (system, value) = PANEL;
    json!({
        "resourceType": "Group",
        "identifier": [{ "system": system, "value": value }],
        "active": true,
        "type": "person",
        "actual": true,
        "code": { "coding": [{
            "system": "http://baton.health/fhir/CodeSystem/group-type", "code": "panel",
        }] },
        "name": "Transitional care, Riverside Primary Care",
        "quantity": members.len(),
        "managingEntity": { "reference": organization },
        "member": members,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_is_to_an_entry() {
        let bundle = transaction();
        let entries = bundle["entry"].as_array().unwrap();
        let urls: Vec<&str> = entries
            .iter()
            .filter_map(|entry| entry["fullUrl"].as_str())
            .collect();
        let text = bundle.to_string();
        let references = text.split("\"reference\":\"").skip(1);
        for reference in references.filter_map(|rest| rest.split('"').next()) {
            assert!(urls.contains(&reference), "{reference}");
        }
    }
}
