//! `patch`, by JSON Patch and `FHIRPath` Patch: <https://hl7.org/fhir/R4/http.html#patch>.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::{Answer, Baton, on_each_store};

const JSON_PATCH: &str = "application/json-patch+json";
const FHIR: &str = "application/fhir+json";

async fn json_patch(baton: &Baton, path: &str, patch: &Value) -> Answer {
    let request = baton.request(&format!("PATCH {path}"));
    request.text(JSON_PATCH, patch.to_string()).send().await
}

async fn fhirpath_patch(baton: &Baton, path: &str, patch: &Value) -> Answer {
    let request = baton.request(&format!("PATCH {path}"));
    request.text(FHIR, patch.to_string()).send().await
}

/// Parameters with one operation, of parts with strings.
fn operation(parts: &[(&str, Value)]) -> Value {
    let parts: Vec<Value> = parts
        .iter()
        .map(|(name, value)| {
            let mut part = value.clone();
            part["name"] = json!(name);
            part
        })
        .collect();
    json!({
        "resourceType": "Parameters",
        "parameter": [{ "name": "operation", "part": parts }],
    })
}

fn text(value: &str) -> Value {
    json!({ "valueString": value })
}

async fn anna(baton: &Baton) {
    baton
        .put("/Patient/anna", &patient("anna", "Aalto"))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_patch_makes_a_version_like_an_update() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        let patch = json!([{ "op": "replace", "path": "/name/0/family", "value": "Berg" }]);
        let patched = json_patch(baton, "/Patient/anna", &patch).await;
        assert_eq!(patched.header("etag"), Some("W/\"2\""));
        let place = format!("{}/Patient/anna/_history/2", baton.base());
        assert_eq!(patched.header("location"), Some(place.as_str()));
        let patched = patched.expect(200);
        assert_eq!(patched["meta"]["versionId"], "2");
        assert_eq!(patched["name"][0]["family"], "Berg");
        assert_eq!(baton.read("/Patient/anna").await, patched);
        assert_eq!(baton.search("Patient?family=berg").await, [patched]);
        assert!(baton.search("Patient?family=aalto").await.is_empty());

        let patch = operation(&[
            ("type", json!({ "valueCode": "add" })),
            ("path", text("Patient")),
            ("name", text("birthDate")),
            ("value", json!({ "valueDate": "1970-01-01" })),
        ]);
        let patched = fhirpath_patch(baton, "/Patient/anna", &patch).await;
        assert_eq!(patched.expect(200)["birthDate"], "1970-01-01");
        baton
            .check_effects("/Patient/anna", &["create 1", "update 2", "update 3"])
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_patch_in_xml_is_one_too() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        let patch = r#"<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>
            <part><name value="type"/><valueCode value="insert"/></part>
            <part><name value="path"/><valueString value="Patient.name.given"/></part>
            <part><name value="index"/><valueInteger value="0"/></part>
            <part><name value="value"/><valueString value="Anna"/></part>
            </parameter></Parameters>"#;
        let request = baton.request("PATCH /Patient/anna");
        let request = request.header("Accept", FHIR);
        let patched = request.text("application/fhir+xml", patch).send().await;
        assert_eq!(patched.expect(200)["name"][0]["given"], json!(["Anna"]));
    })
    .await;
}

#[tokio::test]
async fn digits_and_their_order_survive_a_patch() {
    on_each_store("", NOW, async |baton| {
        let written = concat!(
            r#"{"resourceType":"Observation","id":"o","code":{"text":"x"},"status":"final","#,
            r#""valueQuantity":{"value":1.00,"unit":"kg"}}"#
        );
        let request = baton.request("PUT /Observation/o").text(FHIR, written);
        request.send().await.expect(201);
        let patch = json!([{ "op": "replace", "path": "/valueQuantity/unit", "value": "g" }]);
        let patched = json_patch(baton, "/Observation/o", &patch).await;
        assert!(
            patched.text.contains(r#"{"value":1.00,"unit":"g"}"#),
            "{}",
            patched.text
        );
    })
    .await;
}

#[tokio::test]
async fn a_patch_that_changes_nothing_makes_no_version() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        let patch = json!([{ "op": "test", "path": "/name/0/family", "value": "Aalto" }]);
        let same = json_patch(baton, "/Patient/anna", &patch).await;
        assert_eq!(same.header("etag"), Some("W/\"1\""));
        same.expect(200);
        let patch = operation(&[
            ("type", json!({ "valueCode": "delete" })),
            ("path", text("Patient.birthDate")),
        ]);
        fhirpath_patch(baton, "/Patient/anna", &patch)
            .await
            .expect(200);
        baton.check_effects("/Patient/anna", &["create 1"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_patch_that_cannot_be_applied_says_why_and_does_nothing() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        for (patch, expected) in [
            (json!({ "op": "add" }), "400 invalid"),
            (json!([{ "op": "put", "path": "/active" }]), "400 invalid"),
            (
                json!([{ "op": "test", "path": "/name/0/family", "value": "Berg" }]),
                "409 conflict operation 1 (test)",
            ),
            (
                json!([{ "op": "remove", "path": "/birthDate" }]),
                "409 conflict operation 1 (remove): there is nothing at \"/birthDate\"",
            ),
            (
                json!([{ "op": "add", "path": "/gender", "value": "x" }]),
                "422 ",
            ),
            (
                json!([{ "op": "add", "path": "/pet", "value": "x" }]),
                "422 ",
            ),
            (
                json!([{ "op": "replace", "path": "/id", "value": "bert" }]),
                "422 processing",
            ),
            (json!([{ "op": "remove", "path": "/id" }]), "422 processing"),
            (
                json!([{ "op": "replace", "path": "/resourceType", "value": "Person" }]),
                "422 processing",
            ),
            (
                json!([{ "op": "replace", "path": "", "value": "x" }]),
                "422 processing",
            ),
        ] {
            let refusal = json_patch(baton, "/Patient/anna", &patch).await.refusal();
            assert!(refusal.starts_with(expected), "{patch}: {refusal}");
        }
        baton.check_effects("/Patient/anna", &["create 1"]).await;
    })
    .await;
}

#[tokio::test]
async fn an_operation_of_fhirpath_patch_must_fit_the_resource() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        let value = |value: Value| ("value", value);
        let kind = |code: &str| ("type", json!({ "valueCode": code }));
        let path = |path: &str| ("path", text(path));
        let from_to = [("source", 0), ("destination", 1)]
            .map(|(name, at)| (name, json!({ "valueInteger": at })));
        for (parts, expected) in [
            (vec![kind("put"), path("Patient")], "400 invalid"),
            (vec![kind("delete")], "400 invalid"),
            (vec![kind("delete"), path("Patient.")], "400 invalid"),
            (vec![kind("delete"), path("Patient.pet")], "400 invalid"),
            (vec![kind("delete"), path("Patient")], "400 invalid"),
            (vec![kind("delete"), path("'x'")], "400 invalid"),
            (
                vec![kind("delete"), path("Patient.name.family | Patient.name")],
                "409 conflict operation 1 (delete): the path gives 2",
            ),
            (
                vec![kind("replace"), path("Patient.birthDate"), value(text("x"))],
                "409 conflict operation 1 (replace): the path gives nothing",
            ),
            (
                vec![
                    kind("add"),
                    path("Patient.name"),
                    ("name", text("family")),
                    value(text("Berg")),
                ],
                "409 conflict",
            ),
            (
                vec![
                    kind("insert"),
                    path("Patient.name"),
                    ("index", json!({ "valueInteger": 2 })),
                    value(json!({ "valueHumanName": { "text": "x" } })),
                ],
                "409 conflict operation 1 (insert): there is no place 2 in a list of 1",
            ),
            (
                vec![
                    kind("insert"),
                    path("Patient.birthDate"),
                    ("index", json!({ "valueInteger": 0 })),
                    value(json!({ "valueDate": "1970-01-01" })),
                ],
                "422 processing operation 1 (insert): birthDate does not repeat",
            ),
            (
                vec![
                    kind("move"),
                    path("Patient.name"),
                    from_to[0].clone(),
                    from_to[1].clone(),
                ],
                "409 conflict",
            ),
        ]
        .into_iter()
        .chain(
            [
                ("pet", text("Rex")),
                ("maritalStatus", text("M")),
                ("active", text("true")),
                ("deceased", json!({ "valueInteger": 1 })),
            ]
            .map(|(name, wrong)| {
                let name = ("name", text(name));
                let parts = vec![kind("add"), path("Patient"), name, value(wrong)];
                (parts, "422 processing")
            }),
        ) {
            let patch = operation(&parts);
            let refusal = fhirpath_patch(baton, "/Patient/anna", &patch).await;
            let refusal = refusal.refusal();
            assert!(refusal.starts_with(expected), "{patch}: {refusal}");
        }
        baton.check_effects("/Patient/anna", &["create 1"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_choice_may_change_its_type_and_halves_stay_together() {
    on_each_store("", NOW, async |baton| {
        let observation = json!({
            "resourceType": "Observation", "id": "o", "status": "final", "code": { "text": "x" },
            "valueString": "y", "_valueString": { "id": "v" },
        });
        baton.put("/Observation/o", &observation).await.expect(201);
        let patch = operation(&[
            ("type", json!({ "valueCode": "replace" })),
            ("path", text("Observation.value")),
            ("value", json!({ "valueInteger": 7 })),
        ]);
        let patched = fhirpath_patch(baton, "/Observation/o", &patch).await;
        let patched = patched.expect(200);
        assert_eq!(patched["valueInteger"], 7);
        assert!(patched.get("valueString").is_none(), "{patched}");
        assert!(patched.get("_valueString").is_none(), "{patched}");

        let name = json!([{ "given": ["A", "B", "C"], "_given": [null, { "id": "b" }, null] }]);
        let patient = json!({ "resourceType": "Patient", "id": "p", "name": name });
        baton.put("/Patient/p", &patient).await.expect(201);
        let patch = operation(&[
            ("type", json!({ "valueCode": "move" })),
            ("path", text("Patient.name[0].given")),
            ("source", json!({ "valueInteger": 1 })),
            ("destination", json!({ "valueInteger": 0 })),
        ]);
        let patched = fhirpath_patch(baton, "/Patient/p", &patch)
            .await
            .expect(200);
        let expected = json!([{ "given": ["B", "A", "C"], "_given": [{ "id": "b" }, null, null] }]);
        assert_eq!(patched["name"], expected);
        let patch = operation(&[
            ("type", json!({ "valueCode": "delete" })),
            ("path", text("Patient.name[0].given[0]")),
        ]);
        let patched = fhirpath_patch(baton, "/Patient/p", &patch)
            .await
            .expect(200);
        assert_eq!(patched["name"], json!([{ "given": ["A", "C"] }]));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_cannot_be_patched() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        baton.delete("/Patient/anna").await.expect(204);
        let patch = json!([{ "op": "add", "path": "/active", "value": true }]);
        for (path, expected) in [
            ("/Patient/anna", "410 deleted"),
            ("/Patient/never", "404 not-found"),
            ("/Patient?identifier=urn:x|1", "404 not-found"),
            ("/Patient", "400 required"),
            ("/Pacient/anna", "404 not-supported"),
        ] {
            let refusal = json_patch(baton, path, &patch).await.refusal();
            assert!(refusal.starts_with(expected), "{path}: {refusal}");
        }
        baton
            .check_effects("/Patient/anna", &["create 1", "delete 2"])
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_condition_singles_out_what_is_patched() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        for id in ["bert", "carl"] {
            baton
                .put(&format!("/Patient/{id}"), &patient(id, "Berg"))
                .await
                .expect(201);
        }
        let patch = json!([{ "op": "add", "path": "/active", "value": true }]);
        let patched = json_patch(baton, "/Patient?family=aalto", &patch).await;
        assert_eq!(patched.expect(200)["id"], "anna");
        let refusal = json_patch(baton, "/Patient?family=berg", &patch).await;
        let refusal = refusal.refusal();
        assert!(refusal.starts_with("412 multiple-matches"), "{refusal}");
    })
    .await;
}

#[tokio::test]
async fn formats_of_patches_that_are_not_offered_are_refused_by_name() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        for content_type in ["application/xml-patch+xml", "text/plain"] {
            let request = baton.request("PATCH /Patient/anna");
            let refusal = request.text(content_type, "[]").send().await.refusal();
            assert!(refusal.starts_with("415 not-supported"), "{refusal}");
            assert!(refusal.contains(JSON_PATCH) && refusal.contains("FHIRPath Patch"));
        }
        let request = baton.request("PATCH /Patient/anna");
        let refusal = request
            .json(&patient("anna", "Berg"))
            .send()
            .await
            .refusal();
        assert!(refusal.starts_with("400 invalid"), "{refusal}");
    })
    .await;
}

#[tokio::test]
async fn headers_of_an_update_hold_for_a_patch() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        let patch = |family: &str| {
            json!([{ "op": "replace", "path": "/name/0/family", "value": family }]).to_string()
        };
        for (header, value, family, expected) in [
            ("If-Match", "W/\"2\"", "Berg", 412),
            ("If-Match", "W/\"1\"", "Berg", 200),
            ("If-Match", "W/\"1\", W/\"2\"", "Carlsen", 200),
            ("If-Match", "*", "Dahl", 200),
            ("Prefer", "return=minimal", "Eder", 200),
        ] {
            let request = baton.request("PATCH /Patient/anna").header(header, value);
            let answer = request.text(JSON_PATCH, patch(family)).send().await;
            assert_eq!(answer.status, expected, "{header}: {value}");
            assert_eq!(answer.text.is_empty(), header == "Prefer");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn patches_at_the_same_time_all_take_effect() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        let patches = (0..16).map(|number| async move {
            let value = json!({ "system": "urn:n", "value": number.to_string() });
            let patch = operation(&[
                ("type", json!({ "valueCode": "add" })),
                ("path", text("Patient")),
                ("name", text("identifier")),
                ("value", json!({ "valueIdentifier": value })),
            ]);
            fhirpath_patch(baton, "/Patient/anna", &patch).await.status
        });
        assert_eq!(join_all(patches).await, [200; 16]);
        let patched = baton.read("/Patient/anna").await;
        assert_eq!(patched["meta"]["versionId"], "17");
        assert_eq!(patched["identifier"].as_array().unwrap().len(), 16);
    })
    .await;
}

/// RFC 7396, as fhirpy sends it: the elements that are to be different.
#[tokio::test]
async fn a_merge_patch_replaces_elements() {
    on_each_store("", NOW, async |baton| {
        anna(baton).await;
        let patch = json!({ "gender": "other", "birthDate": null });
        for (content_type, version) in [
            ("application/merge-patch+json", "2"),
            ("application/json", "2"),
        ] {
            let request = baton.request("PATCH /Patient/anna");
            let answer = request.text(content_type, patch.to_string()).send().await;
            let patched = answer.expect(200);
            assert_eq!(patched["gender"], "other");
            assert_eq!(patched["birthDate"], Value::Null);
            assert_ne!(patched["name"], Value::Null);
            assert_eq!(
                patched["meta"]["versionId"], version,
                "the same is no version"
            );
        }
        for (patch, expected) in [
            (json!({ "gender": "purple" }), 422),
            (json!({ "id": "bert" }), 422),
            (json!([]), 400),
        ] {
            let request = baton.request("PATCH /Patient/anna");
            let answer = request
                .text("application/merge-patch+json", patch.to_string())
                .send()
                .await;
            assert_eq!(answer.status, expected, "{patch}: {}", answer.text);
        }
    })
    .await;
}
