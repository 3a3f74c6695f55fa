//! Rules of batch and transaction, one by one: <https://hl7.org/fhir/R4/http.html#trules>.

use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::{Answer, Baton, each, on_each_store};

const ANNA: &str = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0";
const BERT: &str = "urn:oid:1.2.36.146.595.217.0.1";
const OTHER: &str = "urn:uuid:aaaaaaaa-1cbf-4d64-b04d-cd9187a4c6e0";

async fn send(baton: &Baton, kind: &str, entries: Value) -> Answer {
    send_with(baton, kind, entries, None).await
}

async fn send_with(baton: &Baton, kind: &str, entries: Value, prefer: Option<&str>) -> Answer {
    let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": entries });
    let mut request = baton.request("POST ");
    if let Some(prefer) = prefer {
        request = request.header("Prefer", prefer);
    }
    request.json(&bundle).send().await
}

fn post(full_url: &str, resource: &Value) -> Value {
    let url = resource["resourceType"].clone();
    json!({ "fullUrl": full_url, "resource": resource, "request": { "method": "POST", "url": url } })
}

fn get(url: &str) -> Value {
    json!({ "request": { "method": "GET", "url": url } })
}

fn numbered(number: &str) -> Value {
    json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:mrn", "value": number }] })
}

fn observation(subject: &str) -> Value {
    json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" },
            "subject": { "reference": subject } })
}

fn statuses(bundle: &Value) -> Vec<String> {
    let status = |entry: &Value| entry["response"]["status"].as_str().unwrap().to_owned();
    each(bundle, "entry").map(status).collect()
}

/// `Type/id` of what an entry wrote.
fn place(bundle: &Value, entry: usize) -> String {
    let location = bundle["entry"][entry]["response"]["location"].as_str();
    let (_, path) = location.unwrap().split_once("/fhir/").unwrap();
    path.split("/_history/").next().unwrap().to_owned()
}

async fn written(baton: &Baton, bundle: &Value, entry: usize) -> Value {
    baton.read(&format!("/{}", place(bundle, entry))).await
}

/// Where the issues of a refusal are.
fn places(outcome: &Value) -> Vec<&str> {
    each(outcome, "issue")
        .map(|issue| issue["expression"][0].as_str().unwrap_or("nowhere"))
        .collect()
}

/// "resource references, elements of type uri, url, oid, uuid, and `<a href>` and `<img src>` in
/// the narrative. Elements of type canonical are not replaced." An oid and a uuid stay: in place of
/// one there can be no other link.
#[tokio::test]
async fn links_of_every_type_are_replaced_and_nothing_else() {
    on_each_store("", NOW, async |baton| {
        let carrier = json!({
            "resourceType": "Basic",
            "code": { "text": ANNA },
            "text": { "status": "generated", "div": format!(
                "<div xmlns=\"http://www.w3.org/1999/xhtml\" title=\"{ANNA}\"><a href='{ANNA}'>a</a>\
                 <img alt=\"x\" src=\"{ANNA}#p\"/> \"{ANNA}\"</div>") },
            "identifier": [{ "system": ANNA, "value": ANNA }],
            "subject": { "reference": ANNA, "display": ANNA },
            "extension": [
                { "url": "http://example.org/0", "valueUri": ANNA },
                { "url": "http://example.org/1", "valueUrl": format!("{ANNA}#part") },
                { "url": "http://example.org/2", "valueUuid": ANNA },
                { "url": "http://example.org/3", "valueOid": BERT },
                { "url": "http://example.org/4", "valueCanonical": ANNA },
                { "url": "http://example.org/5", "valueString": ANNA },
                { "url": "http://example.org/6", "valueUri": OTHER },
                { "url": "http://example.org/7",
                  "valueAttachment": { "url": BERT, "title": BERT } },
                { "url": "http://example.org/8", "valueReference": { "reference": OTHER } },
            ],
        });
        // Identities are of what is created and of what is updated alike.
        let bert = json!({ "fullUrl": BERT, "resource": patient("bert", "Berg"),
                           "request": { "method": "PUT", "url": "Patient/bert" } });
        let entries = json!([post(OTHER, &carrier), post(ANNA, &numbered("1")), bert]);
        let mut entries = entries;
        entries[0]["fullUrl"] = Value::Null;
        entries[0].as_object_mut().unwrap().remove("fullUrl");
        let answer = send(baton, "transaction", entries).await.expect(200);
        let anna = place(&answer, 1);
        let stored = written(baton, &answer, 0).await;
        for (pointer, expected) in [
            ("/code/text", ANNA),
            ("/identifier/0/system", anna.as_str()),
            ("/identifier/0/value", ANNA),
            ("/subject/reference", &anna),
            ("/subject/display", ANNA),
            ("/extension/0/valueUri", &anna),
            ("/extension/1/valueUrl", &format!("{anna}#part")),
            ("/extension/2/valueUuid", ANNA),
            ("/extension/3/valueOid", BERT),
            ("/extension/4/valueCanonical", ANNA),
            ("/extension/5/valueString", ANNA),
            ("/extension/6/valueUri", OTHER),
            ("/extension/7/valueAttachment/url", "Patient/bert"),
            ("/extension/7/valueAttachment/title", BERT),
            ("/extension/8/valueReference/reference", OTHER),
        ] {
            assert_eq!(stored.pointer(pointer).unwrap(), expected, "{pointer}");
        }
        let narrative = stored["text"]["div"].as_str().unwrap();
        for part in [
            format!("title=\"{ANNA}\""),
            format!("href='{anna}'"),
            format!("src=\"{anna}#p\""),
            format!(" \"{ANNA}\"<"),
        ] {
            assert!(narrative.contains(&part), "{part}: {narrative}");
        }
    })
    .await;
}

/// <https://hl7.org/fhir/R4/bundle.html#references>: a version-specific link matches the entry with
/// that `meta.versionId`.
#[tokio::test]
async fn a_link_to_a_version_leads_to_the_version_that_the_bundle_brings() {
    on_each_store("", NOW, async |baton| {
        let mut anna = numbered("1");
        anna["meta"] = json!({ "versionId": "3" });
        let full_url = "https://elsewhere.example/fhir/Patient/7";
        let version = |version: &str| observation(&format!("{full_url}/_history/{version}"));
        let mut relative = post(OTHER, &observation("Patient/7/_history/3"));
        relative["fullUrl"] = json!("https://elsewhere.example/fhir/Observation/8");
        let entries = json!([
            post(full_url, &anna),
            post("urn:uuid:1", &version("3")),
            post("urn:uuid:2", &version("2")),
            relative,
        ]);
        let answer = send(baton, "transaction", entries).await.expect(200);
        let first = format!("{}/_history/1", place(&answer, 0));
        for (entry, expected) in [
            (1, first.clone()),
            (2, format!("{full_url}/_history/2")),
            (3, first),
        ] {
            let stored = written(baton, &answer, entry).await;
            assert_eq!(stored["subject"]["reference"], expected, "entry {entry}");
        }
    })
    .await;
}

/// "Resolve any conditional references" is the last step: they see what the transaction does.
#[tokio::test]
async fn conditional_references_see_what_the_transaction_does() {
    on_each_store("", NOW, async |baton| {
        for (id, number) in [("one", "1"), ("two", "2"), ("old", "3")] {
            let mut resource = numbered(number);
            resource["id"] = json!(id);
            baton
                .put(&format!("/Patient/{id}"), &resource)
                .await
                .expect(201);
        }
        let mut renumbered = numbered("20");
        renumbered["id"] = json!("two");
        let refer = |number: &str| observation(&format!("Patient?identifier=urn:mrn|{number}"));
        let own = format!("{}/Patient?identifier=urn:mrn|1", baton.base());
        let mut synthea = numbered("5");
        synthea["id"] = json!("five");
        synthea["identifier"][0]["system"] = json!("https://example.org/synthea");
        baton.put("/Patient/five", &synthea).await.expect(201);
        let of_url = "Patient?identifier=https://example.org/synthea|5";
        let entries = json!([
            post("urn:uuid:1", &refer("1")),
            post("urn:uuid:2", &refer("20")),
            post("urn:uuid:3", &refer("3")),
            post("urn:uuid:4", &refer("4")),
            post("urn:uuid:5", &observation(&own)),
            post("urn:uuid:6", &observation(of_url)),
            post(ANNA, &numbered("3")),
            post(BERT, &numbered("4")),
            json!({ "resource": renumbered, "request": { "method": "PUT", "url": "Patient/two" } }),
            json!({ "request": { "method": "DELETE", "url": "Patient/old" } }),
        ]);
        let answer = send(baton, "transaction", entries).await.expect(200);
        for (entry, expected) in [
            (0, "Patient/one"),
            (1, "Patient/two"),
            (2, place(&answer, 6).as_str()),
            (3, place(&answer, 7).as_str()),
            (4, "Patient/one"),
            (5, "Patient/five"),
        ] {
            let stored = written(baton, &answer, entry).await;
            assert_eq!(stored["subject"]["reference"], expected, "entry {entry}");
        }
        let versions = baton.version_count().await;
        for (entries, expected, place) in [
            // what is renumbered or deleted has the number no more
            (
                json!([post(OTHER, &refer("2"))]),
                "400 not-found",
                "Bundle.entry[0]",
            ),
            // there before, and once more now
            (
                json!([post(OTHER, &numbered("1")), post(ANNA, &refer("1"))]),
                "412 multiple-matches",
                "Bundle.entry[1]",
            ),
            (
                json!([post(OTHER, &refer("1&gender=blue&colour=red"))]),
                "400 ",
                "Bundle.entry[0]",
            ),
            (
                json!([post(OTHER, &observation("Pacient?x=1"))]),
                "404 ",
                "Bundle.entry[0]",
            ),
        ] {
            let refused = send(baton, "transaction", entries.clone()).await;
            assert_eq!(places(&refused.json())[0], place, "{entries}");
            let refusal = refused.refusal();
            assert!(refusal.starts_with(expected), "{entries}: {refusal}");
        }
        assert_eq!(baton.version_count().await, versions);
    })
    .await;
}

/// Deletions come first: a create does not find what they delete.
#[tokio::test]
async fn a_create_does_not_find_what_is_deleted_before_it() {
    on_each_store("", NOW, async |baton| {
        let create = json!({ "fullUrl": ANNA, "resource": numbered("1"), "request": {
            "method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn:mrn|1" } });
        for deletion in ["Patient?identifier=urn:mrn|1", ""] {
            let old = baton.search("Patient?identifier=urn:mrn|1").await.pop();
            let old = match old {
                Some(old) => old,
                None => baton.create(&numbered("1")).await,
            };
            let old = format!("Patient/{}", old["id"].as_str().unwrap());
            let url = if deletion.is_empty() {
                old.as_str()
            } else {
                deletion
            };
            let entries = json!([
                post(OTHER, &observation(ANNA)),
                create,
                { "request": { "method": "DELETE", "url": url } },
            ]);
            let answer = send(baton, "transaction", entries).await.expect(200);
            assert_eq!(
                statuses(&answer),
                ["201 Created", "201 Created", "204 No Content"]
            );
            assert_ne!(place(&answer, 1), old);
            let stored = written(baton, &answer, 0).await;
            assert_eq!(stored["subject"]["reference"], place(&answer, 1));
            assert_eq!(baton.get(&format!("/{old}")).await.status, 410);
        }
    })
    .await;
}

#[tokio::test]
async fn conditions_of_entries_hold() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        let with = |method: &str, url: &str, name: &str, value: &str| {
            let mut entry = json!({ "request": { "method": method, "url": url } });
            entry["request"][name] = json!(value);
            if matches!(method, "PUT" | "POST") {
                entry["resource"] = patient("anna", "Berg");
            }
            entry
        };
        let anna = "Patient/anna";
        for kind in ["batch", "transaction"] {
            for (entry, expected) in [
                (
                    with("GET", anna, "ifNoneMatch", "W/\"1\""),
                    "304 Not Modified",
                ),
                (
                    with("HEAD", anna, "ifNoneMatch", "W/\"1\""),
                    "304 Not Modified",
                ),
                (with("GET", anna, "ifNoneMatch", "W/\"7\""), "200 OK"),
                (
                    with("GET", anna, "ifModifiedSince", NOW),
                    "304 Not Modified",
                ),
                (
                    with("GET", anna, "ifModifiedSince", "2026-03-06T16:09:59Z"),
                    "200 OK",
                ),
            ] {
                let answer = send(baton, kind, json!([entry])).await.expect(200);
                assert_eq!(statuses(&answer), [expected], "{entry}");
                let has_resource = answer["entry"][0].get("resource").is_some();
                let is_head = entry["request"]["method"] == "HEAD";
                assert_eq!(has_resource, expected == "200 OK" && !is_head, "{entry}");
                assert_eq!(answer["entry"][0]["response"]["etag"], "W/\"1\"", "{entry}");
            }
        }
        let versions = baton.version_count().await;
        for (entry, expected, place) in [
            (with("PUT", anna, "ifMatch", "W/\"2\""), "412 conflict", ""),
            (
                with("DELETE", anna, "ifMatch", "W/\"2\""),
                "412 conflict",
                "",
            ),
            (
                with("PUT", anna, "ifMatch", "two"),
                "400 value",
                ".request.ifMatch",
            ),
            (
                with("GET", anna, "ifMatch", "W/\"1\""),
                "400 invalid",
                ".request.ifMatch",
            ),
            (
                with("PUT", anna, "ifNoneMatch", "*"),
                "400 invalid",
                ".request.ifNoneMatch",
            ),
            (
                with("PUT", anna, "ifNoneExist", "_id=a"),
                "400 invalid",
                ".request.ifNoneExist",
            ),
            (
                with("GET", anna, "ifModifiedSince", "yesterday"),
                "400 value",
                ".request.ifModifiedSince",
            ),
            (
                with("DELETE", "Patient?_id=anna", "ifMatch", "W/\"1\""),
                "400 invalid",
                ".request.ifMatch",
            ),
        ] {
            let refused = send(baton, "transaction", json!([entry])).await;
            let place = format!("Bundle.entry[0]{place}");
            assert_eq!(places(&refused.json()), [place.as_str()], "{entry}");
            let refusal = refused.refusal();
            assert!(refusal.starts_with(expected), "{entry}: {refusal}");
        }
        assert_eq!(baton.version_count().await, versions);
        for entry in [
            with("PUT", anna, "ifMatch", "W/\"1\""),
            with("DELETE", anna, "ifMatch", "W/\"2\""),
        ] {
            send(baton, "transaction", json!([entry])).await.expect(200);
        }
        baton
            .check_effects("/Patient/anna", &["create 1", "update 2", "delete 3"])
            .await;
    })
    .await;
}

#[tokio::test]
async fn everything_that_is_wrong_is_named() {
    on_each_store("", NOW, async |baton| {
        let wrong = json!({ "resourceType": "Patient", "gender": "unsure" });
        let nested = json!({ "resourceType": "Bundle", "type": "colection" });
        let versions = baton.version_count().await;
        for (entries, status, expected) in [
            (
                json!([
                    post("urn:uuid:1", &wrong),
                    post("urn:uuid:2", &numbered("1")),
                    post("urn:uuid:3", &wrong),
                    post("urn:uuid:4", &nested),
                ]),
                422,
                vec![
                    "Bundle.entry[0].resource.gender",
                    "Bundle.entry[2].resource.gender",
                    "Bundle.entry[3].resource.type",
                ],
            ),
            (
                json!([
                    get("Patient/anna"),
                    { "request": { "method": "MOVE", "url": "Patient/anna" } },
                    { "resource": numbered("1") },
                    { "request": { "method": "PUT", "url": "Patient/anna" } },
                    { "resource": numbered("1"), "request": { "method": "POST", "url": "X" } },
                    { "request": { "method": "DELETE", "url": "Patient" } },
                ]),
                400,
                vec![
                    "Bundle.entry[1].request.method",
                    "Bundle.entry[2]",
                    "Bundle.entry[3]",
                    "Bundle.entry[4]",
                    "Bundle.entry[5]",
                ],
            ),
            (
                json!([post(ANNA, &numbered("1")), post(ANNA, &numbered("2"))]),
                400,
                vec!["Bundle.entry[1]"],
            ),
            (
                json!([get("Patient/never"), get("Patient/anna")]),
                404,
                vec!["Bundle.entry[0]"],
            ),
        ] {
            let outcome = send(baton, "transaction", entries.clone())
                .await
                .expect(status);
            assert_eq!(places(&outcome), expected, "{entries}: {outcome}");
        }
        assert_eq!(baton.version_count().await, versions);
    })
    .await;
}

#[tokio::test]
async fn an_entry_reads_what_a_request_reads() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Aalto"))
            .await
            .expect(201);
        let head = |url: &str| json!({ "request": { "method": "HEAD", "url": url } });
        let absolute = format!("{}/Patient/anna", baton.base());
        for kind in ["batch", "transaction"] {
            let entries = json!([
                get("Patient/anna"),
                get("/Patient/anna"),
                get(&absolute),
                head("Patient/anna"),
                get("Patient/anna/_history/1"),
                get("Patient/anna/_history"),
                get("Patient/_history?_count=1"),
                get("_history"),
                get("Patient?family=aalto"),
                head("Patient?family=aalto"),
                get("Patient/anna/Observation"),
                get("metadata"),
            ]);
            let answer = send(baton, kind, entries).await.expect(200);
            let expected = ["200 OK"; 12];
            assert_eq!(statuses(&answer), expected);
            let kinds: Vec<String> = each(&answer, "entry")
                .map(|entry| {
                    let resource = &entry["resource"];
                    let name = resource["type"]
                        .as_str()
                        .or(resource["resourceType"].as_str());
                    name.unwrap_or("-").to_owned()
                })
                .collect();
            let expected = [
                "Patient",
                "Patient",
                "Patient",
                "-",
                "Patient",
                "history",
                "history",
                "history",
                "searchset",
                "-",
                "searchset",
                "CapabilityStatement",
            ];
            assert_eq!(kinds, expected, "{kind}");
            assert_eq!(answer["entry"][3]["response"]["etag"], "W/\"1\"");
        }
        let wrong = json!([
            get("Patient/never"),
            get("Patient/never/_history"),
            get("Patient/anna/_history/9"),
            get("Patient/anna/$everything"),
            get("Patient/a/b/c/d"),
            get("Patient?colour=red"),
            { "resource": numbered("1"), "request": { "method": "POST", "url": "Patient/$x" } },
        ]);
        let answer = send(baton, "batch", wrong).await.expect(200);
        let expected = [
            "404 Not Found",
            "404 Not Found",
            "404 Not Found",
            "501 Not Implemented",
            "501 Not Implemented",
            "400 Bad Request",
            "501 Not Implemented",
        ];
        assert_eq!(statuses(&answer), expected);
    })
    .await;
}

/// What the transaction writes is in every kind of read.
#[tokio::test]
async fn reads_are_inside_the_transaction() {
    on_each_store("", NOW, async |baton| {
        let entries = json!([
            get("Patient/anna/_history"),
            get("Patient?family=aalto&_total=accurate"),
            { "resource": patient("anna", "Aalto"),
              "request": { "method": "PUT", "url": "Patient/anna" } },
        ]);
        let answer = send(baton, "transaction", entries).await.expect(200);
        let history = &answer["entry"][0]["resource"];
        assert_eq!(history["total"], 1, "{history}");
        assert_eq!(history["entry"][0]["request"]["method"], "PUT");
        assert_eq!(answer["entry"][1]["resource"]["total"], 1);
    })
    .await;
}

#[tokio::test]
async fn each_entry_returns_what_is_preferred() {
    on_each_store("", NOW, async |baton| {
        for kind in ["batch", "transaction"] {
            for (prefer, has_resource, has_outcome) in [
                (None, false, false),
                (Some("return=minimal"), false, false),
                (Some("return=representation"), true, false),
                (Some("return=OperationOutcome"), false, true),
            ] {
                let entries = json!([post(ANNA, &numbered("1")), post(BERT, &numbered("1"))]);
                let answer = send_with(baton, kind, entries, prefer).await.expect(200);
                for entry in each(&answer, "entry") {
                    assert_eq!(entry.get("resource").is_some(), has_resource, "{prefer:?}");
                    let outcome = entry["response"].get("outcome");
                    assert_eq!(outcome.is_some(), has_outcome, "{prefer:?}");
                    assert!(entry["response"]["location"].is_string(), "{prefer:?}");
                    assert!(entry["response"]["lastModified"].is_string(), "{prefer:?}");
                }
            }
        }
        let lenient = send_with(
            baton,
            "batch",
            json!([get("Patient?colour=red")]),
            Some("handling=lenient"),
        );
        assert_eq!(statuses(&lenient.await.expect(200)), ["200 OK"]);
    })
    .await;
}

#[tokio::test]
async fn a_bundle_of_another_type_is_told_where_to_go() {
    on_each_store("", NOW, async |baton| {
        for (kind, hint) in [
            ("message", "POST it to Bundle"),
            ("document", "POST it to Bundle"),
            ("collection", "POST it to Bundle"),
            ("searchset", "answer to a search"),
            ("history", "answer to a history"),
            ("batch-response", "answer to a batch"),
            ("transaction-response", "answer to a transaction"),
            ("unheard-of", "no such type"),
        ] {
            let refused = send(baton, kind, json!([])).await;
            assert_eq!(places(&refused.json()), ["Bundle.type"]);
            let refusal = refused.refusal();
            assert!(refusal.starts_with("400 value"), "{kind}: {refusal}");
            assert!(refusal.contains(hint), "{kind}: {refusal}");
        }
        let untyped = json!({ "resourceType": "Bundle", "entry": [] });
        let refusal = baton.post("", &untyped).await.refusal();
        assert!(refusal.starts_with("400 required"), "{refusal}");
        // as a resource it is stored, in an entry too
        let collection = json!({ "resourceType": "Bundle", "type": "collection", "entry": [
            { "fullUrl": ANNA, "resource": numbered("1") },
        ] });
        baton.create(&collection).await;
        let answer = send(baton, "batch", json!([post(OTHER, &collection)]))
            .await
            .expect(200);
        let stored = written(baton, &answer, 0).await;
        assert_eq!(stored["entry"][0]["fullUrl"], ANNA);
        assert_eq!(baton.search("Patient").await.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_bundle_with_too_many_entries_is_refused() {
    on_each_store("", NOW, async |baton| {
        let entries = Value::Array(vec![get("Patient/x"); 30_001]);
        for kind in ["batch", "transaction"] {
            let refusal = send(baton, kind, entries.clone()).await.refusal();
            assert!(refusal.starts_with("413 too-long"), "{refusal}");
            assert!(refusal.contains("at most 30000"), "{refusal}");
        }
    })
    .await;
}

/// A Parameters is a FHIRPath Patch, a Binary holds a JSON Patch.
#[tokio::test]
async fn an_entry_may_be_a_patch() {
    on_each_store("", NOW, async |baton| {
        baton.put("/Patient/anna", &patient("anna", "Aalto")).await.expect(201);
        let mut bert = numbered("7");
        bert["id"] = json!("bert");
        baton.put("/Patient/bert", &bert).await.expect(201);
        // [{"op":"add","path":"/active","value":true}]
        let json_patch = json!({
            "resourceType": "Binary", "contentType": "application/json-patch+json",
            "data": "W3sib3AiOiJhZGQiLCJwYXRoIjoiL2FjdGl2ZSIsInZhbHVlIjp0cnVlfV0=",
        });
        let add = |path: &str, name: &str, value: Value| {
            let mut parts = json!([
                { "name": "type", "valueCode": "add" },
                { "name": "path", "valueString": path },
                { "name": "name", "valueString": name },
            ]);
            parts.as_array_mut().unwrap().push(value);
            json!({ "resourceType": "Parameters",
                    "parameter": [{ "name": "operation", "part": parts }] })
        };
        let practitioner = add(
            "Patient",
            "generalPractitioner",
            json!({ "name": "value", "valueReference": { "reference": ANNA } }),
        );
        let patch = |url: &str, resource: &Value| {
            json!({ "resource": resource, "request": { "method": "PATCH", "url": url } })
        };
        let entries = json!([
            get("Patient/anna"),
            patch("Patient/anna", &json_patch),
            patch("Patient?identifier=urn:mrn|7", &practitioner),
            post(ANNA, &json!({ "resourceType": "Practitioner" })),
        ]);
        let answer = send(baton, "transaction", entries).await.expect(200);
        assert_eq!(statuses(&answer), ["200 OK", "200 OK", "200 OK", "201 Created"]);
        assert_eq!(answer["entry"][0]["resource"]["active"], true);
        let stored = baton.read("/Patient/bert").await;
        let reference = &stored["generalPractitioner"][0]["reference"];
        assert_eq!(*reference, place(&answer, 3), "links in a patch are replaced");
        for kind in ["/Patient/anna", "/Patient/bert"] {
            baton.check_effects(kind, &["create 1", "update 2"]).await;
        }
        for (entry, expected) in [
            (patch("Patient/never", &json_patch), "404 not-found"),
            (patch("Patient?identifier=urn:mrn|8", &json_patch), "404 not-found"),
            (patch("Patient/anna", &patient("anna", "Berg")), "400 not-supported"),
            (patch("Patient/anna", &json!({ "resourceType": "Binary" })), "400 not-supported"),
            (json!({ "request": { "method": "PATCH", "url": "Patient/anna" } }), "400 required"),
        ] {
            let refused = send(baton, "transaction", json!([entry])).await;
            assert_eq!(places(&refused.json()), ["Bundle.entry[0]"], "{entry}");
            let refusal = refused.refusal();
            assert!(refusal.starts_with(expected), "{entry}: {refusal}");
            let answer = send(baton, "batch", json!([entry])).await.expect(200);
            assert!(statuses(&answer)[0].starts_with(&expected[..3]), "{entry}");
        }
    })
    .await;
}

/// What is misspelt or of another kind is no condition, and no entry: more, or nothing, would be done.
#[tokio::test]
async fn a_bundle_has_the_shape_of_one() {
    on_each_store("", NOW, async |baton| {
        let put = |more: (&str, Value)| {
            let mut entry = json!({
                "resource": { "resourceType": "Patient", "id": "anna" },
                "request": { "method": "PUT", "url": "Patient/anna" },
            });
            entry["request"][more.0] = more.1;
            json!([entry])
        };
        let of =
            |entry: Value| json!({ "resourceType": "Bundle", "type": "batch", "entry": entry });
        let misspelt = json!({ "resourceType": "Bundle", "type": "batch", "entries": [] });
        for (bundle, place) in [
            (of(json!({ "request": {} })), "Bundle.entry"),
            (of(json!("x")), "Bundle.entry"),
            (misspelt, "Bundle"),
        ] {
            let refused = baton.post("", &bundle).await;
            assert_eq!(refused.status, 400, "{bundle}");
            assert_eq!(places(&refused.json())[0], place, "{bundle}");
        }
        for (entries, place) in [
            (
                put(("ifMatch", json!(7))),
                "Bundle.entry[0].request.ifMatch",
            ),
            (
                put(("ifmatch", json!("W/\"1\""))),
                "Bundle.entry[0].request",
            ),
            (json!(["x"]), "Bundle.entry[0]"),
        ] {
            let refused = send(baton, "transaction", entries.clone()).await;
            assert_eq!(refused.status, 400, "{entries}");
            assert_eq!(places(&refused.json())[0], place, "{entries}");
        }
        assert_eq!(baton.get("/Patient/anna").await.status, 404);
    })
    .await;
}
