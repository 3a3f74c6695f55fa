//! Many clients at once, one resource: conditional create, update, patch and delete, alone and in
//! transactions, in one process and in two.
//!
//! <https://hl7.org/fhir/R4/http.html#ccreate>, `#cond-update`.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::rest::NOW;
use crate::support::database::on_each_url;
use crate::support::server::{Baton, on_each_store};

/// Clients of each race.
const CLIENTS: usize = 64;

const CONDITION: &str = "identifier=urn:mrn|1";

fn numbered(number: &str, family: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{ "system": "urn:mrn", "value": number }],
        "name": [{ "family": family }],
    })
}

/// What each client sends.
#[derive(Clone, Copy)]
enum Ask {
    Create,
    Update,
    Delete,
    Patch,
    /// A conditional create in a transaction, with a reference to what it creates.
    CreateInTransaction,
    UpdateInTransaction,
}

async fn ask(baton: &Baton, what: Ask, client: usize) -> u16 {
    let body = numbered("1", &format!("Aalto{client}"));
    let path = format!("/Patient?{CONDITION}");
    let full_url = format!("urn:uuid:0c3151bd-1cbf-4d64-b04d-{client:012}");
    let in_transaction = |request: Value| {
        json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            { "resource": {
                "resourceType": "Observation", "status": "final", "code": { "text": "x" },
                "subject": { "reference": full_url },
              }, "request": { "method": "POST", "url": "Observation" } },
            { "fullUrl": full_url, "resource": body, "request": request },
        ] })
    };
    let answer = match what {
        Ask::Create => {
            let request = baton
                .request("POST /Patient")
                .header("If-None-Exist", CONDITION);
            request.json(&body).send().await
        }
        // other content than what a create of the same client wrote: it is never the same already
        Ask::Update => {
            let other = numbered("1", &format!("Berg{client}"));
            baton.put(&path, &other).await
        }
        Ask::Delete => baton.delete(&path).await,
        Ask::Patch => {
            // each adds an element, and none may be lost
            let family = format!("Aalto{client}");
            let add = json!([{ "op": "add", "path": "/name/-", "value": { "family": family } }]);
            let request = baton.request(&format!("PATCH {path}"));
            request
                .text("application/json-patch+json", add.to_string())
                .send()
                .await
        }
        Ask::CreateInTransaction => {
            let request = json!({ "method": "POST", "url": "Patient", "ifNoneExist": CONDITION });
            baton.post("", &in_transaction(request)).await
        }
        Ask::UpdateInTransaction => {
            let request = json!({ "method": "PUT", "url": &path[1..] });
            baton.post("", &in_transaction(request)).await
        }
    };
    answer.status
}

/// How often each status was answered.
fn counted(mut statuses: Vec<u16>) -> Vec<(u16, usize)> {
    statuses.sort_unstable();
    let runs = statuses.chunk_by(|one, other| one == other);
    runs.map(|run| (run[0], run.len())).collect()
}

/// All clients at once, spread over the servers, which have one database.
async fn race(servers: &[&Baton], what: &[Ask]) -> Vec<(u16, usize)> {
    let clients = (0..CLIENTS).map(|client| {
        let server = servers[client % servers.len()];
        ask(server, what[client / servers.len() % what.len()], client)
    });
    counted(join_all(clients).await)
}

async fn check_races(servers: &[&Baton]) {
    let baton = servers[0];
    let path = format!("Patient?{CONDITION}");
    let the_one = async || {
        let mut found = baton.search(&path).await;
        assert_eq!(found.len(), 1);
        found.remove(0)
    };
    let created = race(servers, &[Ask::Create]).await;
    assert_eq!(created, [(200, CLIENTS - 1), (201, 1)]);
    assert_eq!(the_one().await["meta"]["versionId"], "1");

    assert_eq!(race(servers, &[Ask::Update]).await, [(200, CLIENTS)]);
    let updated = the_one().await;
    assert_eq!(updated["meta"]["versionId"], (CLIENTS + 1).to_string());

    assert_eq!(race(servers, &[Ask::Patch]).await, [(200, CLIENTS)]);
    assert_eq!(
        the_one().await["name"].as_array().unwrap().len(),
        CLIENTS + 1
    );

    assert_eq!(race(servers, &[Ask::Delete]).await, [(204, CLIENTS)]);
    assert!(baton.search(&path).await.is_empty());
    assert_eq!(race(servers, &[Ask::Patch]).await, [(404, CLIENTS)]);
    let first = format!("/Patient/{}", updated["id"].as_str().unwrap());
    assert_eq!(baton.versions(&first).await.len(), 2 * CLIENTS + 2);

    let updated = race(servers, &[Ask::Update]).await;
    assert_eq!(updated, [(200, CLIENTS - 1), (201, 1)]);
    assert_eq!(the_one().await["meta"]["versionId"], CLIENTS.to_string());
    baton.delete(&format!("/{path}")).await.expect(204);

    for what in [Ask::CreateInTransaction, Ask::UpdateInTransaction] {
        assert_eq!(race(servers, &[what]).await, [(200, CLIENTS)]);
        let id = the_one().await["id"].as_str().unwrap().to_owned();
        let referring = baton
            .search(&format!("Observation?subject=Patient/{id}"))
            .await;
        assert_eq!(referring.len(), CLIENTS, "all refer to the one");
        baton.delete(&format!("/{path}")).await.expect(204);
    }

    let all = [
        Ask::Create,
        Ask::Update,
        Ask::Delete,
        Ask::Patch,
        Ask::CreateInTransaction,
        Ask::UpdateInTransaction,
    ];
    let statuses = race(servers, &all).await;
    let is_good = |(status, _): &(u16, usize)| [200, 201, 204, 404].contains(status);
    assert!(statuses.iter().all(is_good), "{statuses:?}");
    assert!(baton.search(&path).await.len() <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_clients_one_creates_and_all_mean_the_same_resource() {
    on_each_store("", NOW, async |baton| check_races(&[baton]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_on_one_postgresql_create_one_resource() {
    on_each_url(async |url| {
        if !url.starts_with("postgres") {
            return; // a SQLite file belongs to one process
        }
        let one = Baton::start(&url, "", NOW).await;
        let two = Baton::start(&url, "", NOW).await;
        check_races(&[&one, &two]).await;
        one.stop().await;
        two.stop().await;
    })
    .await;
}

/// The condition names several resources by the time that it counts: nothing is done to any.
#[tokio::test]
async fn a_condition_that_matches_several_does_nothing() {
    on_each_store("", NOW, async |baton| {
        for family in ["Castor", "Pollux"] {
            baton.create(&numbered("1", family)).await;
        }
        let versions = baton.version_count().await;
        for what in [
            Ask::Create,
            Ask::Update,
            Ask::Delete,
            Ask::Patch,
            Ask::CreateInTransaction,
            Ask::UpdateInTransaction,
        ] {
            assert_eq!(ask(baton, what, 0).await, 412);
        }
        assert_eq!(baton.version_count().await, versions);
    })
    .await;
}
