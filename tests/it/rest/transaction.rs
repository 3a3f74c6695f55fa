//! `batch` and `transaction`: <https://hl7.org/fhir/R4/http.html#transaction>.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::{Answer, Baton, each, on_each_store};

const ANNA: &str = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0";
const STAY: &str = "urn:uuid:5b1c4f5e-7f0a-4b57-9f7e-2a6f5f0a1b11";

async fn send(baton: &Baton, kind: &str, entries: Value) -> Answer {
    baton
        .post(
            "",
            &json!({ "resourceType": "Bundle", "type": kind, "entry": entries }),
        )
        .await
}

fn encounter(subject: &str) -> Value {
    json!({
        "resourceType": "Encounter", "status": "finished",
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" },
        "subject": { "reference": subject },
    })
}

fn numbered(number: &str) -> Value {
    json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:mrn", "value": number }] })
}

fn statuses(bundle: &Value) -> Vec<&str> {
    each(bundle, "entry")
        .map(|entry| entry["response"]["status"].as_str().unwrap())
        .collect()
}

/// `Type/id` of what an entry wrote.
fn place(bundle: &Value, entry: usize) -> String {
    let location = bundle["entry"][entry]["response"]["location"]
        .as_str()
        .unwrap();
    let (_, path) = location.split_once("/fhir/").unwrap_or(("", location));
    path.split("/_history/").next().unwrap().to_owned()
}

#[tokio::test]
async fn entries_refer_to_each_other() {
    on_each_store("", NOW, async |baton| {
        let mut anna = numbered("1");
        anna["text"] = json!({
            "status": "generated",
            "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"{STAY}\">s</a></div>"),
        });
        let entries = json!([
            { "fullUrl": STAY, "resource": encounter(ANNA),
              "request": { "method": "POST", "url": "Encounter" } },
            { "fullUrl": ANNA, "resource": anna,
              "request": { "method": "POST", "url": "Patient" } },
        ]);
        let answer = send(baton, "transaction", entries).await.expect(200);
        assert_eq!(answer["type"], "transaction-response");
        assert_eq!(statuses(&answer), ["201 Created", "201 Created"]);
        assert_eq!(answer["entry"][0]["response"]["etag"], "W/\"1\"");
        assert_eq!(answer["entry"][0]["response"]["lastModified"], "2026-03-06T16:10:00.000Z");
        let (stay, anna) = (place(&answer, 0), place(&answer, 1));
        let stored = baton.read(&format!("/{stay}")).await;
        assert_eq!(stored["subject"]["reference"], anna);
        let narrative = baton.read(&format!("/{anna}")).await["text"]["div"].to_string();
        assert!(narrative.contains(&stay), "{narrative}");
        let by_patient = format!("Encounter?subject={anna}");
        assert_eq!(baton.search(&by_patient).await.len(), 1);
        for path in [stay, anna] {
            baton.check_effects(&format!("/{path}"), &["create 1"]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn entries_may_refer_to_each_other_in_a_circle() {
    on_each_store("", NOW, async |baton| {
        let part_of = |other: &str| {
            let mut encounter = encounter("Patient/anna");
            encounter["partOf"] = json!({ "reference": other });
            encounter
        };
        let entries = json!([
            { "fullUrl": ANNA, "resource": part_of(STAY),
              "request": { "method": "POST", "url": "Encounter" } },
            { "fullUrl": STAY, "resource": part_of(ANNA),
              "request": { "method": "POST", "url": "Encounter" } },
        ]);
        let answer = send(baton, "transaction", entries).await.expect(200);
        let (first, second) = (place(&answer, 0), place(&answer, 1));
        let part_of =
            async |path: &str| baton.read(&format!("/{path}")).await["partOf"]["reference"].clone();
        assert_eq!(part_of(&first).await, second);
        assert_eq!(part_of(&second).await, first);
    })
    .await;
}

#[tokio::test]
async fn all_is_written_or_nothing() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        for family in ["Castor", "Pollux"] {
            let mut twin = numbered("7");
            twin["name"] = json!([{ "family": family }]);
            baton.create(&twin).await;
        }
        let versions = baton.version_count().await;
        let good = json!({ "resource": numbered("1"),
                           "request": { "method": "POST", "url": "Patient" } });
        let wrong =
            |resource: Value, request: Value| json!({ "resource": resource, "request": request });
        for (bad, expected) in [
            (
                wrong(
                    json!({ "resourceType": "Patient", "surname": "x" }),
                    json!({ "method": "POST", "url": "Patient" }),
                ),
                "422 ",
            ),
            (
                wrong(
                    patient("anna", "Berg"),
                    json!({ "method": "PUT", "url": "Patient/anna", "ifMatch": "W/\"9\"" }),
                ),
                "412 conflict",
            ),
            (
                wrong(
                    numbered("7"),
                    json!({ "method": "POST", "url": "Patient", "ifNoneExist": "identifier=7" }),
                ),
                "412 multiple-matches",
            ),
            (
                wrong(
                    encounter("Patient?identifier=urn:mrn|none"),
                    json!({ "method": "POST", "url": "Encounter" }),
                ),
                "400 not-found",
            ),
            (
                wrong(
                    encounter("Patient?identifier=urn:mrn|7"),
                    json!({ "method": "POST", "url": "Encounter" }),
                ),
                "412 multiple-matches",
            ),
            (
                json!({ "request": { "method": "GET", "url": "Patient/never" } }),
                "404 not-found",
            ),
            (
                json!({ "request": { "method": "POST", "url": "Patient" } }),
                "400 required",
            ),
            (json!({ "resource": numbered("2") }), "400 required"),
            (
                wrong(numbered("2"), json!({ "method": "POST", "url": "Pacient" })),
                "404 not-supported",
            ),
        ] {
            let refusal = send(baton, "transaction", json!([good, bad]))
                .await
                .refusal();
            assert!(refusal.starts_with(expected), "{bad}: {refusal}");
            assert_eq!(baton.version_count().await, versions, "{bad}");
        }
        assert!(
            baton
                .search("Patient?identifier=urn:mrn|1")
                .await
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_found_by_its_place() {
    on_each_store("", NOW, async |baton| {
        let entries = json!([
            { "resource": numbered("1"), "request": { "method": "POST", "url": "Patient" } },
            { "resource": { "resourceType": "Patient", "gender": "unsure" },
              "request": { "method": "POST", "url": "Patient" } },
        ]);
        let outcome = send(baton, "transaction", entries).await.expect(422);
        let place = &outcome["issue"][0]["expression"][0];
        assert_eq!(place, "Bundle.entry[1].resource.gender", "{outcome}");
    })
    .await;
}

#[tokio::test]
async fn a_resource_is_named_once() {
    on_each_store("", NOW, async |baton| {
        let put = json!({ "resource": patient("anna", "Aalto"),
                          "request": { "method": "PUT", "url": "Patient/anna" } });
        let refusal = send(baton, "transaction", json!([put, put]))
            .await
            .refusal();
        assert!(refusal.starts_with("400"), "{refusal}");
        assert_eq!(baton.get("/Patient/anna").await.status, 404);
    })
    .await;
}

/// <https://hl7.org/fhir/R4/http.html#trules>: "If any resource identities (including resolved
/// identities from conditional update/delete) overlap, then the transaction SHALL fail."
#[tokio::test]
async fn a_resource_is_named_once_also_by_conditions() {
    on_each_store("", NOW, async |baton| {
        let mut anna = numbered("1");
        anna["id"] = json!("anna");
        baton.put("/Patient/anna", &anna).await.expect(201);
        let versions = baton.version_count().await;
        let where_number = |number: &str, gender: &str| {
            let mut patient = numbered(number);
            patient["gender"] = json!(gender);
            json!({ "resource": patient, "request": {
                "method": "PUT", "url": format!("Patient?identifier=urn:mrn|{number}"),
            } })
        };
        let unless = json!({ "resource": numbered("2"), "request": {
            "method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn:mrn|2",
        } });
        let put =
            json!({ "resource": anna, "request": { "method": "PUT", "url": "Patient/anna" } });
        let delete = json!({ "request": { "method": "DELETE", "url": "Patient/anna" } });
        for entries in [
            json!([put, where_number("1", "female")]),
            json!([delete, where_number("1", "female")]),
            json!([where_number("1", "female"), where_number("1", "male")]),
            json!([where_number("3", "female"), where_number("3", "male")]),
            json!([unless, unless]),
        ] {
            let refusal = send(baton, "transaction", entries.clone()).await.refusal();
            assert!(refusal.starts_with("400 invalid"), "{entries}: {refusal}");
            assert_eq!(baton.version_count().await, versions, "{entries}");
        }
    })
    .await;
}

#[tokio::test]
async fn conditions_lead_to_what_exists() {
    on_each_store("", NOW, async |baton| {
        let anna = baton.create(&numbered("1")).await;
        let anna = format!("Patient/{}", anna["id"].as_str().unwrap());
        let entries = json!([
            { "fullUrl": ANNA, "resource": numbered("1"),
              "request": { "method": "POST", "url": "Patient",
                           "ifNoneExist": "identifier=urn:mrn|1" } },
            { "resource": encounter(ANNA), "request": { "method": "POST", "url": "Encounter" } },
            { "resource": encounter("Patient?identifier=urn:mrn|1"),
              "request": { "method": "POST", "url": "Encounter" } },
        ]);
        let answer = send(baton, "transaction", entries).await.expect(200);
        assert_eq!(statuses(&answer), ["200 OK", "201 Created", "201 Created"]);
        assert_eq!(place(&answer, 0), anna);
        for entry in [1, 2] {
            let stored = baton.read(&format!("/{}", place(&answer, entry))).await;
            assert_eq!(stored["subject"]["reference"], anna);
        }
        baton
            .check_effects(&format!("/{anna}"), &["create 1"])
            .await;
    })
    .await;
}

#[tokio::test]
async fn deletions_come_first_and_reads_last() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/old", &patient("old", "Aalto"))
            .await
            .expect(201);
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        let entries = json!([
            { "request": { "method": "GET", "url": "Patient?family=aalto" } },
            { "request": { "method": "GET", "url": "Patient/anna" } },
            { "resource": patient("anna", "Berg"),
              "request": { "method": "PUT", "url": "Patient/anna" } },
            { "resource": patient("x", "Aalto"),
              "request": { "method": "POST", "url": "Patient" } },
            { "request": { "method": "DELETE", "url": "Patient/old" } },
        ]);
        let answer = send(baton, "transaction", entries).await.expect(200);
        assert_eq!(
            statuses(&answer),
            [
                "200 OK",
                "200 OK",
                "200 OK",
                "201 Created",
                "204 No Content"
            ]
        );
        let found = &answer["entry"][0]["resource"];
        assert_eq!(each(found, "entry").count(), 1, "{found}");
        assert_eq!(answer["entry"][1]["resource"]["name"][0]["family"], "Berg");
        baton
            .check_effects("/Patient/old", &["create 1", "delete 2"])
            .await;
        baton
            .check_effects("/Patient/anna", &["create 1", "update 2"])
            .await;
    })
    .await;
}

#[tokio::test]
async fn conditional_writes_inside_a_transaction() {
    on_each_store("", NOW, async |baton| {
        let one = baton.create(&numbered("1")).await;
        let two = baton.create(&numbered("2")).await;
        let mut changed = numbered("1");
        changed["gender"] = json!("female");
        let entries = json!([
            { "resource": changed,
              "request": { "method": "PUT", "url": "Patient?identifier=urn:mrn|1" } },
            { "request": { "method": "DELETE", "url": "Patient?identifier=urn:mrn|2" } },
            { "resource": numbered("3"),
              "request": { "method": "PUT", "url": "Patient?identifier=urn:mrn|3" } },
        ]);
        let answer = send(baton, "transaction", entries).await.expect(200);
        assert_eq!(
            statuses(&answer),
            ["200 OK", "204 No Content", "201 Created"]
        );
        let path = |resource: &Value| format!("/Patient/{}", resource["id"].as_str().unwrap());
        baton
            .check_effects(&path(&one), &["create 1", "update 2"])
            .await;
        baton
            .check_effects(&path(&two), &["create 1", "delete 2"])
            .await;
    })
    .await;
}

#[tokio::test]
async fn the_client_may_want_the_resources_back() {
    on_each_store("", NOW, async |baton| {
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            { "resource": numbered("1"), "request": { "method": "POST", "url": "Patient" } },
        ] });
        let request = baton
            .request("POST ")
            .header("Prefer", "return=representation");
        let answer = request.json(&bundle).send().await.expect(200);
        assert_eq!(
            answer["entry"][0]["resource"]["identifier"][0]["value"],
            "1"
        );
    })
    .await;
}

#[tokio::test]
async fn each_entry_of_a_batch_stands_alone() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        let entries = json!([
            { "resource": numbered("1"), "request": { "method": "POST", "url": "Patient" } },
            { "resource": { "resourceType": "Patient", "surname": "x" },
              "request": { "method": "POST", "url": "Patient" } },
            { "request": { "method": "GET", "url": "Patient/anna" } },
            { "request": { "method": "GET", "url": "Patient/never" } },
            { "request": { "method": "GET", "url": "Patient?family=aalto" } },
            { "request": { "method": "DELETE", "url": "Patient/anna" } },
            { "request": { "method": "GET", "url": "Patient?colour=red" } },
            { "resource": patient("bert", "Berg"),
              "request": { "method": "PUT", "url": "Patient/bert", "ifMatch": "W/\"3\"" } },
        ]);
        let answer = send(baton, "batch", entries).await.expect(200);
        assert_eq!(answer["type"], "batch-response");
        let expected = [
            "201 Created",
            "422 Unprocessable Entity",
            "200 OK",
            "404 Not Found",
            "200 OK",
            "204 No Content",
            "400 Bad Request",
        ];
        assert_eq!(statuses(&answer)[..7], expected);
        assert!(["404 Not Found", "412 Precondition Failed"].contains(&statuses(&answer)[7]));
        for refused in [1, 3, 6, 7] {
            let outcome = &answer["entry"][refused]["response"]["outcome"];
            assert_eq!(outcome["resourceType"], "OperationOutcome", "{refused}");
        }
        assert_eq!(answer["entry"][2]["resource"]["id"], "anna");
        assert_eq!(answer["entry"][4]["resource"]["type"], "searchset");
        baton
            .check_effects("/Patient/anna", &["create 1", "delete 2"])
            .await;
        baton
            .check_effects(&format!("/{}", place(&answer, 0)), &["create 1"])
            .await;
    })
    .await;
}

#[tokio::test]
async fn only_a_batch_or_a_transaction_is_taken() {
    on_each_store("", NOW, async |baton| {
        for body in [
            json!({ "resourceType": "Patient" }),
            json!({ "resourceType": "Bundle", "type": "searchset" }),
            json!({ "resourceType": "Bundle" }),
        ] {
            let refusal = baton.post("", &body).await.refusal();
            assert!(refusal.starts_with("400"), "{body}: {refusal}");
        }
        let empty = json!({ "resourceType": "Bundle", "type": "transaction" });
        let answer = baton.post("", &empty).await.expect(200);
        assert_eq!(answer["type"], "transaction-response");
    })
    .await;
}

#[tokio::test]
async fn an_entry_may_refer_to_what_a_conditional_update_creates() {
    on_each_store("", NOW, async |baton| {
        for with_id in [false, true] {
            let number = if with_id { "2" } else { "1" };
            let mut anna = numbered(number);
            if with_id {
                anna["id"] = json!("anna");
            }
            let url = format!("Patient?identifier=urn:mrn|{number}");
            let entries = json!([
                { "resource": encounter(ANNA),
                  "request": { "method": "POST", "url": "Encounter" } },
                { "fullUrl": ANNA, "resource": anna, "request": { "method": "PUT", "url": url } },
            ]);
            let answer = send(baton, "transaction", entries).await.expect(200);
            assert_eq!(statuses(&answer), ["201 Created", "201 Created"]);
            let stored = baton.read(&format!("/{}", place(&answer, 0))).await;
            assert_eq!(
                stored["subject"]["reference"],
                place(&answer, 1),
                "id {with_id}"
            );
        }
    })
    .await;
}

/// <https://hl7.org/fhir/R4/bundle.html#references>: a relative reference is relative to the server
/// of its entry's `fullUrl`.
#[tokio::test]
async fn a_relative_reference_leads_to_the_entry_with_that_url() {
    on_each_store("", NOW, async |baton| {
        let entries = json!([
            { "fullUrl": "https://elsewhere.example/fhir/Encounter/7",
              "resource": encounter("Patient/7"),
              "request": { "method": "POST", "url": "Encounter" } },
            { "fullUrl": "https://elsewhere.example/fhir/Encounter/8",
              "resource": encounter("https://elsewhere.example/fhir/Patient/7"),
              "request": { "method": "POST", "url": "Encounter" } },
            { "fullUrl": "https://elsewhere.example/fhir/Patient/7", "resource": numbered("7"),
              "request": { "method": "POST", "url": "Patient" } },
        ]);
        let answer = send(baton, "transaction", entries).await.expect(200);
        let patient = place(&answer, 2);
        for entry in [0, 1] {
            let stored = baton.read(&format!("/{}", place(&answer, entry))).await;
            assert_eq!(stored["subject"]["reference"], patient, "entry {entry}");
        }
    })
    .await;
}

/// Half of the transactions name the two patients in the other order; none may wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_transactions_one_creates() {
    on_each_store("", NOW, async |baton| {
        let unless = |number: &str| {
            json!({ "resource": numbered(number), "request": {
                "method": "POST", "url": "Patient",
                "ifNoneExist": format!("identifier=urn:mrn|{number}"),
            } })
        };
        let visit = json!({ "resource": encounter("Patient/anna"),
                            "request": { "method": "POST", "url": "Encounter" } });
        let mixed = (0..32).map(|number| {
            let entries = if number % 2 == 0 {
                json!([unless("1"), unless("2"), visit])
            } else {
                json!([visit, unless("2"), unless("1")])
            };
            async move { send(baton, "transaction", entries).await.status }
        });
        assert_eq!(join_all(mixed).await, [200; 32]);
        assert_eq!(baton.search("Patient?identifier=urn:mrn|").await.len(), 2);
        assert_eq!(baton.search("Encounter").await.len(), 32);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transactions_that_write_the_same_resources_come_one_after_another() {
    on_each_store("", NOW, async |baton| {
        let put = |id: &str, number: u32| {
            json!({ "resource": patient(id, &format!("Aalto{number}")),
                    "request": { "method": "PUT", "url": format!("Patient/{id}") } })
        };
        let mixed = (0..32).map(|number| {
            let entries = if number % 2 == 0 {
                json!([put("anna", number), put("bert", number)])
            } else {
                json!([put("bert", number), put("anna", number)])
            };
            async move { send(baton, "transaction", entries).await.status }
        });
        assert_eq!(join_all(mixed).await, [200; 32]);
        let (anna, bert) = (
            baton.read("/Patient/anna").await,
            baton.read("/Patient/bert").await,
        );
        assert_eq!(anna["meta"]["versionId"], "32");
        assert_eq!(bert["meta"]["versionId"], "32");
        assert_eq!(
            anna["name"], bert["name"],
            "the last transaction wrote both"
        );
    })
    .await;
}

#[tokio::test]
async fn only_links_are_rewritten() {
    on_each_store("", NOW, async |baton| {
        let document = json!({
            "resourceType": "DocumentReference", "status": "current",
            "masterIdentifier": { "system": "urn:ietf:rfc:3986", "value": STAY },
            "content": [{ "attachment": { "url": ANNA, "title": ANNA } }],
            "text": { "status": "generated", "div": format!(
                "<div xmlns=\"http://www.w3.org/1999/xhtml\">{ANNA}x <a href='{ANNA}#top'>p</a></div>"
            ) },
        });
        let entries = json!([
            { "fullUrl": STAY, "resource": document,
              "request": { "method": "POST", "url": "DocumentReference" } },
            { "fullUrl": ANNA, "resource": numbered("1"),
              "request": { "method": "POST", "url": "Patient" } },
        ]);
        let answer = send(baton, "transaction", entries).await.expect(200);
        let (document, anna) = (place(&answer, 0), place(&answer, 1));
        let stored = baton.read(&format!("/{document}")).await;
        assert_eq!(stored["masterIdentifier"]["value"], STAY);
        assert_eq!(stored["content"][0]["attachment"]["url"], anna);
        let narrative = stored["text"]["div"].as_str().unwrap();
        assert!(narrative.contains(&format!("<a href='{anna}#top'>")), "{narrative}");
        assert!(narrative.contains(&format!("{ANNA}x")), "{narrative}");
    })
    .await;
}

#[tokio::test]
async fn a_resource_is_of_the_type_that_its_url_names() {
    on_each_store("", NOW, async |baton| {
        let versions = baton.version_count().await;
        let request = json!({ "method": "POST", "url": "Person",
                              "ifNoneExist": "identifier=urn:mrn|1" });
        let entry = json!([{ "resource": numbered("1"), "request": request }]);
        let refusal = send(baton, "transaction", entry).await.refusal();
        assert!(refusal.starts_with("400 invalid"), "{refusal}");
        assert_eq!(baton.version_count().await, versions);
    })
    .await;
}

/// More transactions than there are connections: none may need a second one.
#[tokio::test]
async fn versions_are_read_inside_the_transaction() {
    on_each_store("", NOW, async |baton| {
        let anna = patient("anna", "Aalto");
        baton.put("/Patient/anna", &anna).await.expect(201);
        let entries = json!([
            { "request": { "method": "GET", "url": "Patient/anna/_history/2" } },
            { "resource": patient("anna", "Berg"),
              "request": { "method": "PUT", "url": "Patient/anna" } },
        ]);
        let answer = send(baton, "transaction", entries).await.expect(200);
        let read = &answer["entry"][0]["resource"];
        assert_eq!(read["name"][0]["family"], "Berg", "{answer}");
        let read = json!([{ "request": { "method": "GET", "url": "Patient/anna/_history/1" } }]);
        let sent = (0..40).map(|_| send(baton, "transaction", read.clone()));
        for answer in join_all(sent).await {
            answer.expect(200);
        }
    })
    .await;
}
