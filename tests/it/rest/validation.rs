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

/// The body of `$validate`: a Parameters with these parameters.
fn asked(parameters: &Value) -> Value {
    json!({ "resourceType": "Parameters", "parameter": parameters })
}

#[tokio::test]
async fn a_mode_says_what_validating_is_for() {
    const TASK: &str = "http://baton.health/fhir/StructureDefinition/tcm-task";
    on_each_store("", NOW, async |baton| {
        let task = json!({ "resourceType": "Task", "id": "call", "status": "requested",
                           "intent": "order" });
        baton.put("/Task/call", &task).await.expect(201);
        let mut unnamed = task.clone();
        unnamed.as_object_mut().unwrap().remove("id");
        let versions = baton.version_count().await;
        let with = |mode: &str, resource: &Value| {
            asked(&json!([{ "name": "mode", "valueCode": mode },
                          { "name": "resource", "resource": resource }]))
        };
        let only = |mode: &str| asked(&json!([{ "name": "mode", "valueCode": mode }]));
        let profile = asked(&json!([{ "name": "mode", "valueCode": "profile" },
                                    { "name": "profile", "valueUri": TASK }]));
        for (path, body, expected) in [
            (
                "/Task/$validate",
                with("create", &unnamed),
                "200 information",
            ),
            ("/Task/$validate", with("update", &task), "200 information"),
            ("/Task/$validate", with("update", &unnamed), "200 error"),
            ("/Task/$validate", with("delete", &task), "400 error"),
            ("/Task/$validate", with("profile", &task), "400 error"),
            ("/Task/$validate", with("upsert", &task), "400 error"),
            ("/Task/$validate", only("create"), "400 error"),
            (
                "/Task/call/$validate",
                with("update", &task),
                "200 information",
            ),
            (
                "/Task/call/$validate",
                with("update", &unnamed),
                "200 error",
            ),
            ("/Task/call/$validate", with("create", &task), "400 error"),
            ("/Task/call/$validate", only("update"), "400 error"),
            ("/Task/call/$validate", only("delete"), "200 information"),
            ("/Task/none/$validate", only("delete"), "404 error"),
            ("/Task/call/$validate", profile, "200 error"),
            ("/Task/call/$validate", only("profile"), "400 error"),
            ("/Task/call/$validate", with("profile", &task), "400 error"),
        ] {
            let answer = baton.post(path, &body).await;
            let severity = answer.json()["issue"][0]["severity"].clone();
            let found = format!("{} {}", answer.status, severity.as_str().unwrap());
            assert_eq!(found, expected, "{path} {body}: {}", answer.text);
        }
        assert_eq!(baton.version_count().await, versions);
    })
    .await;
}

#[tokio::test]
async fn what_is_stored_can_be_validated_by_get() {
    const TASK: &str = "http://baton.health/fhir/StructureDefinition/tcm-task";
    on_each_store("", NOW, async |baton| {
        let task = json!({ "resourceType": "Task", "id": "call", "status": "requested",
                           "intent": "order" });
        baton.put("/Task/call", &task).await.expect(201);
        let severity = async |path: &str, level: &str| {
            let request = baton.request(&format!("GET {path}"));
            let answer = request.header("X-Validation-Level", level).send().await;
            let severity = answer.json()["issue"][0]["severity"].clone();
            format!("{} {}", answer.status, severity.as_str().unwrap())
        };
        let named = format!("/Task/call/$validate?profile={TASK}");
        assert_eq!(
            severity("/Task/call/$validate", "profile").await,
            "200 information"
        );
        assert_eq!(severity(&named, "profile").await, "200 error");
        assert_eq!(severity(&named, "base").await, "200 information");
        assert_eq!(severity(&named, "off").await, "400 error");
        assert_eq!(severity(&named, "some").await, "400 error");
        assert_eq!(severity("/Task/none/$validate", "base").await, "404 error");
        assert_eq!(
            severity(&format!("{named}&mode=profile"), "profile").await,
            "200 error"
        );
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

/// Ignored, they would let pass what should have been validated otherwise.
#[tokio::test]
async fn an_unknown_parameter_of_validate_is_refused() {
    on_each_store("", NOW, async |baton| {
        let good = patient("anna", "Aalto");
        let with_unknown = asked(&json!([
            { "name": "resource", "resource": good },
            { "name": "profil", "valueUri": "http://example.org/x" },
        ]));
        for (path, body) in [
            ("/Patient/$validate?profil=http://example.org/x", &good),
            ("/Patient/$validate?strict=true&mode=create", &good),
            ("/Patient/$validate", &with_unknown),
            ("/Patient/anna/$validate", &with_unknown),
        ] {
            let refusal = baton.post(path, body).await.refusal();
            assert!(refusal.starts_with("400 invalid"), "{path}: {refusal}");
        }
        let known = "/Patient/$validate?mode=create&_format=json&_pretty=true";
        baton.post(known, &good).await.expect(200);
    })
    .await;
}
