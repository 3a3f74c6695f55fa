//! `Patient/$match`.

use serde_json::{Value, json};

use super::parameters;
use crate::rest::NOW;
use crate::support::server::{Baton, each, on_each_store};

fn anna() -> Value {
    json!({
        "resourceType": "Patient",
        "id": "anna",
        "identifier": [{ "system": "urn:mrn", "value": "10|7" }],
        "name": [{ "family": "Müller-Smith", "given": ["Anna", "Maria"] }],
        "birthDate": "1950-01-31",
        "gender": "female",
        "telecom": [{ "system": "phone", "value": "(555) 010-1234" }],
        "address": [{ "line": ["1 Main St"], "postalCode": "10001" }],
    })
}

async fn record(baton: &Baton) {
    baton.put("/Patient/anna", &anna()).await.expect(201);
    let mut sister = anna();
    sister["id"] = json!("berta");
    sister["identifier"][0]["value"] = json!("11");
    sister["name"][0]["given"] = json!(["Berta"]);
    baton.put("/Patient/berta", &sister).await.expect(201);
    let other = json!({
        "resourceType": "Patient", "id": "carl", "gender": "male", "birthDate": "1950-01-31",
        "name": [{ "family": "Mulligan", "given": ["Carl"] }],
    });
    baton.put("/Patient/carl", &other).await.expect(201);
}

/// `anna certain 1.00; …`
fn shown(bundle: &Value) -> String {
    let matches = each(bundle, "entry").filter(|entry| entry["search"]["mode"] == "match");
    let matches: Vec<String> = matches
        .map(|entry| {
            let search = &entry["search"];
            let grade = &search["extension"][0]["valueCode"];
            let id = &entry["resource"]["id"];
            format!("{} {}", id.as_str().unwrap(), grade.as_str().unwrap())
        })
        .collect();
    matches.join("; ")
}

async fn check(baton: &Baton, described: &Value, expected: &str) {
    let found = baton.post("/Patient/$match", described).await.expect(200);
    assert_eq!(found["type"], "searchset");
    assert_eq!(shown(&found), expected, "{found}");
}

#[tokio::test]
async fn patients_are_matched_by_what_is_said_of_them() {
    on_each_store("", NOW, async |baton| {
        record(baton).await;
        check(
            baton,
            &json!({ "resourceType": "Patient",
                     "identifier": [{ "system": "urn:mrn", "value": "10|7" }] }),
            "anna certain",
        )
        .await;
        check(
            baton,
            &json!({ "resourceType": "Patient", "birthDate": "1950-01-31", "gender": "female",
                     "name": [{ "family": "MULLER", "given": ["Anna"] }],
                     "telecom": [{ "value": "(555) 010-1234" }] }),
            "anna probable; berta possible",
        )
        .await;
        check(
            baton,
            &json!({ "resourceType": "Patient", "birthDate": "1950-01-31",
                     "name": [{ "family": "Mueller", "given": ["Zoe"] }] }),
            "",
        )
        .await;
        check(
            baton,
            &json!({ "resourceType": "Patient",
                     "identifier": [{ "system": "urn:other", "value": "10|7" }] }),
            "",
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn certain_matches_only_and_so_many() {
    on_each_store("", NOW, async |baton| {
        record(baton).await;
        let described = json!({
            "resourceType": "Patient", "birthDate": "1950-01-31", "gender": "female",
            "name": [{ "family": "Müller-Smith", "given": ["Anna"] }],
            "telecom": [{ "value": "(555) 010-1234" }],
        });
        let ask = async |more: &[(&str, &str, Value)]| {
            let mut body = parameters(more);
            let resource = json!({ "name": "resource", "resource": described });
            body["parameter"].as_array_mut().unwrap().push(resource);
            baton.post("/Patient/$match", &body).await.expect(200)
        };
        let all = ask(&[]).await;
        assert_eq!(shown(&all), "anna certain; berta possible");
        assert_eq!(all["total"], 2);
        let score = &all["entry"][0]["search"]["score"];
        assert!(score.as_f64().unwrap() >= 0.9, "{score}");
        let certain = ask(&[("onlyCertainMatches", "valueBoolean", json!(true))]).await;
        assert_eq!(shown(&certain), "anna certain");
        let one = ask(&[("count", "valueInteger", json!(1))]).await;
        assert_eq!(shown(&one), "anna certain");
        // the same patient registered twice: no certain match
        let mut twice = anna();
        twice["id"] = json!("again");
        twice["identifier"] = json!([]);
        twice.as_object_mut().unwrap().remove("identifier");
        baton.put("/Patient/again", &twice).await.expect(201);
        let certain = ask(&[("onlyCertainMatches", "valueBoolean", json!(true))]).await;
        assert_eq!(shown(&certain), "");
        let outcome = &certain["entry"][0]["resource"]["issue"][0]["code"];
        assert_eq!(outcome, "multiple-matches");
    })
    .await;
}

#[tokio::test]
async fn a_description_must_say_something() {
    on_each_store("", NOW, async |baton| {
        let nothing = json!({ "resourceType": "Patient", "name": [{ "family": "Miller" }] });
        let refusal = baton.post("/Patient/$match", &nothing).await.refusal();
        assert!(
            refusal.starts_with("400 required too little is said of the patient"),
            "{refusal}"
        );
        let wrong = json!({ "resourceType": "Practitioner" });
        let refusal = baton.post("/Patient/$match", &wrong).await.refusal();
        assert_eq!(refusal, "400 invalid the resource is no Patient");
        assert_eq!(
            baton.get("/Patient/$match").await.refusal(),
            "400 required a Patient is expected, as the body or as the parameter \"resource\""
        );
    })
    .await;
}
