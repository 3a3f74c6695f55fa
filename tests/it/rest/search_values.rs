//! Values of each type in a query, end to end: <https://hl7.org/fhir/R4/search.html#ptypes>.

use serde_json::{Value, json};

use crate::rest::NOW;
use crate::support::server::{Baton, each, on_each_store};

const LOINC: &str = "http://loinc.org";
const UCUM: &str = "http://unitsofmeasure.org";

fn quantity(value: f64, unit: &str) -> Value {
    json!({ "value": value, "unit": unit, "system": UCUM, "code": unit })
}

fn loinc(code: &str, display: &str) -> Value {
    json!({ "coding": [{ "system": LOINC, "code": code, "display": display }] })
}

async fn prepare(baton: &Baton) {
    let clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    let condition = |id: &str, status: &str, text: &str| {
        json!({
            "resourceType": "Condition", "id": id, "subject": { "reference": "Patient/anna" },
            "clinicalStatus": { "coding": [{ "system": clinical, "code": status }] },
            "code": { "text": text },
        })
    };
    let pressure = |id: &str, systolic: f64, diastolic: f64| {
        json!({
            "resourceType": "Observation", "id": id, "status": "final",
            "code": loinc("85354-9", "Blood pressure panel"),
            "component": [
                { "code": loinc("8480-6", "Systolic"), "valueQuantity": quantity(systolic, "mm[Hg]") },
                { "code": loinc("8462-4", "Diastolic"), "valueQuantity": quantity(diastolic, "mm[Hg]") },
            ],
        })
    };
    for resource in [
        json!({
            "resourceType": "Patient", "id": "anna", "name": [{ "family": "O'Hara-Smith" }],
            "identifier": [{
                "system": "urn:mrn", "value": "1", "type": { "text": "Record number", "coding": [
                    { "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR" },
                ] },
            }],
            "managingOrganization": { "identifier": { "system": "urn:npi", "value": "9" } },
        }),
        json!({ "resourceType": "Patient", "id": "bert", "name": [{ "family": "Percent_100%" }] }),
        condition("pain", "active", "Chest pain"),
        condition("cough", "resolved", "Cough"),
        pressure("high", 150.0, 95.0),
        pressure("low", 95.0, 60.0),
        json!({
            "resourceType": "Observation", "id": "weight", "status": "final",
            "code": loinc("29463-7", "Body weight"),
            "valueQuantity": quantity(70_000.0, "g"),
        }),
        json!({
            "resourceType": "ValueSet", "id": "mine", "status": "active",
            "url": "http://acme.org/fhir/ValueSet/mine", "version": "1.2",
            "compose": { "include": [{ "system": LOINC, "concept": [{ "code": "29463-7" }] }] },
        }),
    ] {
        let text = |key: &str| resource[key].as_str().unwrap().to_owned();
        let path = format!("/{}/{}", text("resourceType"), text("id"));
        baton.put(&path, &resource).await.expect(201);
    }
}

/// Asserts what each query matches, in any order.
async fn check(rows: &[(&str, &str)]) {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (query, expected) in rows {
            let bundle = baton.get(&format!("/{query}")).await.expect(200);
            let mut found: Vec<&str> = each(&bundle, "entry")
                .map(|entry| entry["resource"]["id"].as_str().unwrap())
                .collect();
            found.sort_unstable();
            assert_eq!(found.join(" "), *expected, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn composites_match_within_one_element() {
    check(&[
        (
            "Observation?component-code-value-quantity=8480-6$gt140",
            "high",
        ),
        ("Observation?component-code-value-quantity=8480-6$95", "low"),
        (
            "Observation?component-code-value-quantity=8462-4$95",
            "high",
        ),
        (
            "Observation?component-code-value-quantity=http://loinc.org|8480-6$ge95",
            "high low",
        ),
        (
            "Observation?component-code-value-quantity=http://other.org|8480-6$ge95",
            "",
        ),
        (
            "Observation?combo-code-value-quantity=8480-6$lt13|http://unitsofmeasure.org|kPa",
            "low",
        ),
        (
            "Observation?code-value-quantity=29463-7$70|http://unitsofmeasure.org|kg",
            "weight",
        ),
        (
            "Observation?code-value-quantity=29463-7$lt1,29463-7$gt60000",
            "weight",
        ),
        ("Observation?code-value-quantity:missing=false", "weight"),
        (
            "Observation?component-code-value-quantity:missing=true",
            "weight",
        ),
    ])
    .await;
}

#[tokio::test]
async fn quantities_are_equal_whatever_their_unit() {
    check(&[
        (
            "Observation?value-quantity=70|http://unitsofmeasure.org|kg",
            "weight",
        ),
        (
            "Observation?value-quantity=70000|http://unitsofmeasure.org|g",
            "weight",
        ),
        (
            "Observation?value-quantity=gt70|http://unitsofmeasure.org|kg",
            "",
        ),
        (
            "Observation?value-quantity=ge70|http://unitsofmeasure.org|kg",
            "weight",
        ),
        (
            "Observation?value-quantity=ap154|http://unitsofmeasure.org|[lb_av]",
            "weight",
        ),
        ("Observation?value-quantity=70||kg", ""),
        ("Observation?value-quantity=70000||g", "weight"),
        (
            "Observation?value-quantity=70|http://unitsofmeasure.org|m",
            "",
        ),
    ])
    .await;
}

#[tokio::test]
async fn modifiers_change_what_is_compared() {
    check(&[
        ("Condition?code:text=chest", "pain"),
        ("Observation?code:text=blood%20press", "high low"),
        ("Observation?component-code:text=sys", "high low"),
        ("Observation?code:in=http://acme.org/fhir/ValueSet/mine", "weight"),
        ("Observation?code:not-in=http://acme.org/fhir/ValueSet/mine", "high low"),
        (
            "Condition?clinical-status:below=http://terminology.hl7.org/CodeSystem/condition-clinical|inactive",
            "cough",
        ),
        ("Condition?clinical-status:not=active", "cough"),
        (
            "Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|1",
            "anna",
        ),
        (
            "Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|SS|1",
            "",
        ),
        ("Patient?organization:identifier=urn:npi|9", "anna"),
        ("Patient?organization:missing=false", "anna"),
        ("ValueSet?url:below=http://acme.org/fhir", "mine"),
        ("ValueSet?url:below=http://acme.org/fh", ""),
        ("ValueSet?url:above=http://acme.org/fhir/ValueSet/mine/more", "mine"),
    ])
    .await;
}

#[tokio::test]
async fn punctuation_does_not_count_in_strings() {
    check(&[
        ("Patient?family=ohara", "anna"),
        ("Patient?family=O'Hara%20Smith", ""),
        ("Patient?family=O%E2%80%99HARA-S", "anna"),
        ("Patient?family:exact=O'Hara-Smith", "anna"),
        ("Patient?family:exact=o'hara-smith", ""),
        ("Patient?family=percent_100%25", "bert"),
        ("Patient?family=%25", ""),
        ("Patient?family=_", ""),
        ("Patient?_lastUpdated=lt2026-03-06,ge2026-03-07", ""),
        ("Patient?_lastUpdated=lt2026-03-06,2026-03-06", "anna bert"),
    ])
    .await;
}

#[tokio::test]
async fn a_value_set_that_is_not_known_is_an_error() {
    on_each_store("", NOW, async |baton| {
        let answer = baton.get("/Condition?code:in=http://acme.org/none").await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["issue"][0]["code"], "not-found");
    })
    .await;
}
