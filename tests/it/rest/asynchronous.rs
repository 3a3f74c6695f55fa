//! `Prefer: respond-async`: <https://hl7.org/fhir/R4/async.html>.

use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::{Answer, Baton, each, on_each_store};

const PATIENCE: usize = 3_000;

/// Sends a request that is not waited for.
async fn later(baton: &Baton, line: &str, body: Option<&Value>) -> Answer {
    let request = baton
        .request(line)
        .header("Prefer", "respond-async, return=representation");
    match body {
        Some(body) => request.json(body).send().await,
        None => request.send().await,
    }
}

/// The URL of an answer that is not there yet.
#[track_caller]
fn place(accepted: &Answer) -> String {
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    assert_eq!(accepted.json()["resourceType"], "OperationOutcome");
    accepted.header("content-location").unwrap().to_owned()
}

/// Asks until there is a result.
async fn result(baton: &Baton, place: &str) -> Answer {
    for _ in 0..PATIENCE {
        let answer = baton.request(&format!("GET {place}")).send().await;
        if answer.status != 202 {
            return answer;
        }
        assert!(
            answer
                .header("x-progress")
                .is_some_and(|text| text.len() < 100)
        );
        assert!(answer.header("retry-after").is_some());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("no result");
}

fn bundle(kind: &str, entries: &[Value]) -> Value {
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries })
}

fn create(resource: &Value) -> Value {
    let resource_type = resource["resourceType"].as_str().unwrap();
    json!({ "resource": resource, "request": { "method": "POST", "url": resource_type } })
}

fn statuses(bundle: &Value) -> Vec<&str> {
    each(bundle, "entry")
        .map(|entry| entry["response"]["status"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_transaction_is_answered_later() {
    on_each_store("", NOW, async |baton| {
        let entries = [create(&patient("a", "One")), create(&patient("b", "Two"))];
        let accepted = later(baton, "POST ", Some(&bundle("transaction", &entries))).await;
        let place = place(&accepted);
        assert!(place.starts_with(&format!("{}/_async/", baton.base())));
        let answer = result(baton, &place).await;
        assert!(answer.header("expires").is_some());
        let answer = answer.expect(200);
        assert_eq!(answer["type"], "transaction-response");
        assert_eq!(statuses(&answer), ["201 Created", "201 Created"]);
        assert_eq!(answer["entry"][1]["resource"]["name"][0]["family"], "Two");
        assert_eq!(baton.search("Patient").await.len(), 2);
        // The result is there as often as it is asked for, until it is deleted.
        result(baton, &place).await.expect(200);
        let delete = format!("DELETE {place}");
        baton.request(&delete).send().await.expect(202);
        assert!(
            baton
                .request(&delete)
                .send()
                .await
                .refusal()
                .starts_with("404 not-found ")
        );
        assert_eq!(result(baton, &place).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn the_entries_of_a_batch_succeed_and_fail_for_themselves() {
    on_each_store("", NOW, async |baton| {
        let wrong = json!({ "resourceType": "Patient", "gender": "?" });
        let read = json!({ "request": { "method": "GET", "url": "Patient/nobody" } });
        let entries = [create(&patient("a", "One")), create(&wrong), read];
        let accepted = later(baton, "POST ", Some(&bundle("batch", &entries))).await;
        let answer = result(baton, &place(&accepted)).await.expect(200);
        assert_eq!(answer["type"], "batch-response");
        assert_eq!(
            statuses(&answer),
            ["201 Created", "422 Unprocessable Entity", "404 Not Found"]
        );
    })
    .await;
}

#[tokio::test]
async fn a_search_is_answered_later() {
    on_each_store("", NOW, async |baton| {
        for id in ["a", "b"] {
            baton
                .put(&format!("/Patient/{id}"), &patient(id, "Example"))
                .await
                .expect(201);
        }
        for line in [
            "GET /Patient?name=example&_sort=_id",
            "POST /Patient/_search?_sort=_id",
        ] {
            let accepted = later(baton, line, None).await;
            let answer = result(baton, &place(&accepted)).await.expect(200);
            assert_eq!(answer["type"], "batch-response");
            assert_eq!(statuses(&answer), ["200 OK"]);
            let found = &answer["entry"][0]["resource"];
            assert_eq!(found["type"], "searchset");
            let ids: Vec<&Value> = each(found, "entry")
                .map(|entry| &entry["resource"]["id"])
                .collect();
            assert_eq!(ids, ["a", "b"]);
        }
    })
    .await;
}

#[tokio::test]
async fn what_can_be_refused_at_once_is() {
    on_each_store("", NOW, async |baton| {
        let check = async |line: &str, body: Option<Value>, expected: &str| {
            let answer = later(baton, line, body.as_ref()).await;
            assert!(
                answer.refusal().starts_with(expected),
                "{line}: {}",
                answer.text
            );
        };
        check("GET /Patient?unknown=1", None, "400 ").await;
        check("GET /Nothing?name=a", None, "404 not-supported").await;
        check("POST ", Some(bundle("history", &[])), "400 value").await;
        check("POST ", Some(patient("a", "One")), "400 invalid").await;
        let broken = json!({ "resource": patient("a", "One") });
        check(
            "POST ",
            Some(bundle("transaction", &[broken])),
            "400 required",
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_error_of_the_request_has_its_own_status() {
    on_each_store("", NOW, async |baton| {
        let wrong = json!({ "resourceType": "Patient", "gender": "?" });
        let entries = [create(&patient("a", "One")), create(&wrong)];
        let accepted = later(baton, "POST ", Some(&bundle("transaction", &entries))).await;
        let answer = result(baton, &place(&accepted)).await;
        assert!(
            answer.refusal().starts_with("422 code-invalid"),
            "{}",
            answer.text
        );
        assert_eq!(baton.search("Patient").await.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn nobody_can_guess_what_was_asked() {
    on_each_store("", NOW, async |baton| {
        let accepted = later(baton, "GET /Patient", None).await;
        let place = place(&accepted);
        let (_, id) = place.rsplit_once('/').unwrap();
        assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 4);
        let other = format!("/_async/{}", uuid::Uuid::new_v4());
        assert!(
            baton
                .get(&other)
                .await
                .refusal()
                .starts_with("404 not-found ")
        );
    })
    .await;
}
