//! Validation of what is written, and `$validate`:
//! <https://hl7.org/fhir/R4/resource-operation-validate.html>.

use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::{each, on_each_store};

/// What is wrong, the code of the issue, and where it is.
fn faults() -> Vec<(Value, &'static str, &'static str)> {
    let patient = |key: &str, value: Value| json!({ "resourceType": "Patient", key: value });
    vec![
        (
            patient("surname", json!("x")),
            "structure",
            "Patient.surname",
        ),
        (
            patient("active", json!("yes")),
            "structure",
            "Patient.active",
        ),
        (
            patient("birthDate", json!("31.01.1950")),
            "value",
            "Patient.birthDate",
        ),
        (
            patient("birthDate", json!("1950-02-30")),
            "value",
            "Patient.birthDate",
        ),
        (
            patient("gender", json!("unsure")),
            "code-invalid",
            "Patient.gender",
        ),
        (
            patient("name", json!({ "family": "x" })),
            "structure",
            "Patient.name",
        ),
        (
            patient("name", json!([{ "family": ["x"] }])),
            "structure",
            "Patient.name[0].family",
        ),
        (
            patient("link", json!([{ "type": "seealso" }])),
            "required",
            "Patient.link[0]",
        ),
        (
            json!({ "resourceType": "Patient", "deceasedBoolean": true,
                    "deceasedDateTime": "2026-01-01" }),
            "structure",
            "Patient",
        ),
        (
            patient(
                "managingOrganization",
                json!({ "reference": "Patient/anna" }),
            ),
            "value",
            "Patient.managingOrganization",
        ),
        (
            json!({ "resourceType": "Observation", "status": "final" }),
            "required",
            "Observation",
        ),
        (
            json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" },
                    "valueQuantity": { "value": "1" } }),
            "structure",
            "Observation.value",
        ),
    ]
}

#[tokio::test]
async fn what_breaks_the_rules_of_its_type_is_refused_and_located() {
    on_each_store("", NOW, async |baton| {
        let versions = baton.version_count().await;
        let mut wrong = Vec::new();
        for (body, code, place) in faults() {
            let resource_type = body["resourceType"].as_str().unwrap();
            let answer = baton.post(&format!("/{resource_type}"), &body).await;
            let outcome = answer.json();
            let is_named = each(&outcome, "issue").any(|issue| {
                let at = issue["expression"][0].as_str().unwrap_or_default();
                issue["severity"] == "error" && issue["code"] == code && at.starts_with(place)
            });
            if answer.status != 422 || !is_named {
                wrong.push(format!(
                    "{body} ({code} at {place}): {} {outcome}",
                    answer.status
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(baton.version_count().await, versions);
    })
    .await;
}

#[tokio::test]
async fn validating_says_what_writing_would() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        let versions = baton.version_count().await;
        let good = json!({ "resourceType": "Patient", "gender": "female" });
        let bad = json!({ "resourceType": "Patient", "gender": "unsure" });
        let parameters = |resource: &Value| {
            json!({ "resourceType": "Parameters",
                    "parameter": [{ "name": "resource", "resource": resource }] })
        };
        for (path, body, severity) in [
            ("/Patient/$validate", good.clone(), "information"),
            ("/Patient/$validate", bad.clone(), "error"),
            ("/Patient/$validate", parameters(&good), "information"),
            ("/Patient/$validate", parameters(&bad), "error"),
            ("/Patient/anna/$validate", bad.clone(), "error"),
        ] {
            let outcome = baton.post(path, &body).await.expect(200);
            assert_eq!(outcome["resourceType"], "OperationOutcome");
            assert_eq!(
                outcome["issue"][0]["severity"], severity,
                "{path} {body}: {outcome}"
            );
        }
        let stored = baton
            .request("POST /Patient/anna/$validate")
            .send()
            .await
            .expect(200);
        assert_eq!(stored["issue"][0]["severity"], "information");
        for (path, body) in [
            ("/Person/$validate", good.clone()),
            (
                "/Patient/$validate",
                json!({ "resourceType": "Parameters" }),
            ),
        ] {
            let refusal = baton.post(path, &body).await.refusal();
            assert!(refusal.starts_with("400"), "{path} {body}: {refusal}");
        }
        assert_eq!(baton.version_count().await, versions);
    })
    .await;
}

#[tokio::test]
async fn a_profile_is_enforced_where_it_is_named() {
    const TASK: &str = "http://baton.health/fhir/StructureDefinition/tcm-task";
    on_each_store("", NOW, async |baton| {
        let bare = json!({ "resourceType": "Task", "status": "requested", "intent": "order" });
        let path = "/Task/$validate";
        let without = baton.post(path, &bare).await.expect(200);
        assert_eq!(without["issue"][0]["severity"], "information", "{without}");
        let named = baton
            .post(&format!("{path}?profile={TASK}"), &bare)
            .await
            .expect(200);
        assert!(
            each(&named, "issue").any(|issue| issue["severity"] == "error"),
            "{named}"
        );

        let mut claimed = bare.clone();
        claimed["meta"] = json!({ "profile": [TASK] });
        assert_eq!(baton.post("/Task", &claimed).await.status, 422);
        assert_eq!(baton.post("/Task", &bare).await.status, 201);
    })
    .await;
    let settings = format!("[validation.profiles]\nTask = [\"{TASK}\"]\n");
    on_each_store(&settings, NOW, async |baton| {
        let bare = json!({ "resourceType": "Task", "status": "requested", "intent": "order" });
        assert_eq!(baton.post("/Task", &bare).await.status, 422);
    })
    .await;
}
