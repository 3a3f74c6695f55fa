//! How strictly is validated, and what becomes of what is wrong: `[validation]` of the configuration
//! and the headers `X-Validation-Level` and `X-Validation-On-Failure`.

use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::{Baton, each, on_each_store};

const OUTCOME: &str = "http://baton.health/fhir/CodeSystem/validation-outcome";
const TCM_TASK: &str = "http://baton.health/fhir/StructureDefinition/tcm-task";

/// Wrong by its base definition.
fn unsure() -> Value {
    json!({ "resourceType": "Patient", "gender": "unsure" })
}

/// Right by its base definition, wrong by the profile that it claims.
fn bare_task() -> Value {
    json!({ "resourceType": "Task", "meta": { "profile": [TCM_TASK] },
            "status": "requested", "intent": "order" })
}

/// Creates with these headers, and gives the status.
async fn create(baton: &Baton, resource: &Value, headers: &[(&str, &str)]) -> u16 {
    let kind = resource["resourceType"].as_str().unwrap();
    let request = baton.request(&format!("POST /{kind}")).json(resource);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    request.send().await.status
}

#[tokio::test]
async fn the_level_decides_what_is_refused() {
    for (settings, patient, task) in [
        ("", 422, 422),
        ("[validation]\nlevel = \"base\"", 422, 201),
        ("[validation]\nlevel = \"off\"", 201, 201),
    ] {
        on_each_store(settings, NOW, async |baton| {
            assert_eq!(create(baton, &unsure(), &[]).await, patient, "{settings}");
            assert_eq!(create(baton, &bare_task(), &[]).await, task, "{settings}");
            let no_type = json!({ "resourceType": "Pacient" });
            assert_eq!(create(baton, &no_type, &[]).await, 404, "{settings}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_request_may_ask_for_more_but_for_less_only_where_that_is_allowed() {
    let level = |level| [("X-Validation-Level", level)];
    on_each_store("[validation]\nlevel = \"base\"", NOW, async |baton| {
        assert_eq!(create(baton, &bare_task(), &level("base")).await, 201);
        assert_eq!(create(baton, &bare_task(), &level("profile")).await, 422);
        assert_eq!(create(baton, &unsure(), &level("off")).await, 400);
        assert_eq!(create(baton, &unsure(), &level("some")).await, 400);
        let warn = [("X-Validation-On-Failure", "warn")];
        assert_eq!(create(baton, &unsure(), &warn).await, 400);
        assert_eq!(baton.search("Patient").await, Vec::<Value>::new());
    })
    .await;
    on_each_store(
        "[validation]\nweaker_on_request = true",
        NOW,
        async |baton| {
            assert_eq!(create(baton, &unsure(), &[]).await, 422);
            assert_eq!(create(baton, &unsure(), &level("off")).await, 201);
            let warn = [("X-Validation-On-Failure", "warn")];
            assert_eq!(create(baton, &unsure(), &warn).await, 201);
        },
    )
    .await;
}

#[tokio::test]
async fn what_is_stored_although_wrong_is_answered_with_what_is_wrong() {
    on_each_store("[validation]\non_failure = \"warn\"", NOW, async |baton| {
        let created = baton.create(&unsure()).await;
        assert_eq!(created["gender"], "unsure");
        assert_eq!(created["meta"].get("tag"), None);
        let outcome = baton
            .request("POST /Patient")
            .header("Prefer", "return=OperationOutcome")
            .json(&unsure())
            .send()
            .await
            .expect(201);
        let names = |outcome: &Value, place: &str| {
            each(outcome, "issue").any(|issue| {
                issue["severity"] == "error" && issue["expression"] == json!([place])
            })
        };
        assert!(names(&outcome, "Patient.gender"), "{outcome}");

        let entry = |resource: Value| {
            json!({ "resource": resource, "request": { "method": "POST", "url": "Patient" } })
        };
        for kind in ["batch", "transaction"] {
            let bundle = json!({ "resourceType": "Bundle", "type": kind,
                "entry": [entry(unsure()), entry(json!({ "resourceType": "Patient" }))] });
            let answer = baton.post("/", &bundle).await.expect(200);
            let outcomes: Vec<_> = each(&answer, "entry")
                .map(|entry| entry["response"].get("outcome"))
                .collect();
            let place = "Bundle.entry[0].resource.gender";
            assert!(outcomes[0].is_some_and(|outcome| names(outcome, place)), "{answer}");
            assert_eq!(outcomes[1], None);
        }
    })
    .await;
}

#[tokio::test]
async fn a_tag_marks_what_is_wrong_until_it_is_right() {
    on_each_store("[validation]\non_failure = \"tag\"", NOW, async |baton| {
        let mut wrong = patient("anna", "Aalto");
        wrong["gender"] = json!("unsure");
        wrong["meta"] = json!({ "tag": [{ "system": "urn:example", "code": "kept" }] });
        let stored = baton.put("/Patient/anna", &wrong).await.expect(201);
        assert_eq!(
            stored["meta"]["tag"],
            json!([{ "system": "urn:example", "code": "kept" },
                   { "system": OUTCOME, "code": "invalid" }])
        );
        let found = baton
            .search(&format!("Patient?_tag={OUTCOME}|invalid"))
            .await;
        assert_eq!(found.len(), 1);
        let same = baton.put("/Patient/anna", &wrong).await.expect(200);
        assert_eq!(same["meta"]["versionId"], "1", "nothing changed");

        let mut right = stored;
        right["gender"] = json!("female");
        let stored = baton.put("/Patient/anna", &right).await.expect(200);
        assert_eq!(
            stored["meta"]["tag"],
            json!([{ "system": "urn:example", "code": "kept" }])
        );
        let found = baton
            .search(&format!("Patient?_tag={OUTCOME}|invalid"))
            .await;
        assert_eq!(found, Vec::<Value>::new());
    })
    .await;
}
