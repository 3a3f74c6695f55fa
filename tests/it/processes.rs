//! Two servers on one database: both serve, one of them is killed, and the other goes on.

use std::collections::VecDeque;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use baton::store::Store;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::damage;
use crate::support::care::{Patient, settings};
use crate::support::child::Process;
use crate::support::database::on_postgres_url;
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::mllp::Sender;
use crate::support::server::{Baton, each};

/// What a process left behind may take so long to be done.
const PATIENCE: Duration = Duration::from_mins(1);

/// A client of the child processes.
struct Client(reqwest::Client);

impl Client {
    fn new() -> Self {
        baton::package::install_tls();
        let client = reqwest::Client::builder().timeout(PATIENCE).build();
        Self(client.unwrap())
    }

    /// Status and body of an answer; nothing where there is none.
    async fn send(&self, request: reqwest::RequestBuilder) -> Option<(u16, Value)> {
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    async fn get(&self, url: &str) -> (u16, Value) {
        self.send(self.0.get(url)).await.unwrap()
    }

    async fn post(&self, url: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.0.post(url);
        let request = request.header("Content-Type", "application/fhir+json");
        self.send(request.body(body.to_string())).await
    }

    /// The number of matches.
    async fn total(&self, process: &Process, query: &str) -> u64 {
        let url = format!("{}/{query}&_summary=count", process.base());
        self.get(&url).await.1["total"].as_u64().unwrap()
    }
}

fn numbered(number: &str) -> Value {
    json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:mrn", "value": number }] })
}

/// Settings in a file of their own, for as long as the folder is there.
fn settings_file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("baton.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_serve_the_same_records() {
    on_postgres_url(async |url| {
        let (_folder, settings) = settings_file("");
        // Both at once, on an empty database.
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(|| Process::start(["--database", &url], &settings));
            let other = Process::start(["--database", &url], &settings);
            (one.join().unwrap(), other)
        });
        let client = Client::new();
        let created = client
            .post(&format!("{}/Patient", one.base()), &numbered("1"))
            .await;
        let (status, created) = created.unwrap();
        assert_eq!(status, 201);
        let id = created["id"].as_str().unwrap();
        let (status, read) = client.get(&format!("{}/Patient/{id}", other.base())).await;
        assert_eq!((status, &read["id"]), (200, &created["id"]));
        assert_eq!(
            client.total(&other, "Patient?identifier=urn:mrn|1").await,
            1
        );

        let conditional = (0..32).map(|number| {
            let process = if number % 2 == 0 { &one } else { &other };
            let request = client.0.post(format!("{}/Patient", process.base()));
            let request = request
                .header("Content-Type", "application/fhir+json")
                .header("If-None-Exist", "identifier=urn:mrn|2")
                .body(numbered("2").to_string());
            client.send(request)
        });
        let statuses: Vec<u16> = join_all(conditional)
            .await
            .into_iter()
            .map(|answer| answer.unwrap().0)
            .collect();
        let made = statuses.iter().filter(|status| **status == 201).count();
        let found = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!((made, found), (1, 31), "{statuses:?}");
        assert_eq!(client.total(&one, "Patient?identifier=urn:mrn|2").await, 1);
    })
    .await;
}

/// What one process has learned to write shorter, another reads: also when a search is what meets it.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_compresses_another_finds() {
    on_postgres_url(async |url| {
        let (_folder, settings) = settings_file("");
        let one = Process::start(["--database", &url], &settings);
        let other = Process::start(["--database", &url], &settings);
        let client = Client::new();
        let entries: Vec<Value> = (0..1_200)
            .map(|number| {
                let request = json!({ "method": "POST", "url": "Patient" });
                json!({ "resource": numbered(&format!("many-{number}")), "request": request })
            })
            .collect();
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
        let (status, _) = client.post(&one.base(), &bundle).await.unwrap();
        assert_eq!(status, 200);
        let mut database = PgConnection::connect(&url).await.unwrap();
        let started = Instant::now();
        let learned = "SELECT count(*) FROM text_dictionary";
        while sqlx::query_scalar::<_, i64>(learned)
            .fetch_one(&mut database)
            .await
            .unwrap()
            == 0
        {
            assert!(started.elapsed() < PATIENCE, "nothing is learned");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let patients = format!("{}/Patient", one.base());
        let (status, _) = client.post(&patients, &numbered("late")).await.unwrap();
        assert_eq!(status, 201);
        let query = format!("{}/Patient?identifier=urn:mrn|late", other.base());
        let (status, found) = client.get(&query).await;
        assert_eq!(status, 200, "{found}");
        assert_eq!(each(&found, "entry").count(), 1);
    })
    .await;
}

#[test]
fn a_second_process_on_a_file_says_why_it_does_not_start() {
    let (folder, settings) = settings_file("");
    let data = folder.path().to_str().unwrap();
    let first = Process::start(["--data", data], &settings);
    let second = Command::new(env!("CARGO_BIN_EXE_baton"))
        .args([
            "serve",
            "--http",
            "127.0.0.1:0",
            "--mllp",
            "127.0.0.1:0",
            "--data",
            data,
        ])
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("SQLite serves one Baton at a time"), "{said}");
    drop(first);
    // A process that was killed has let go of the file.
    drop(Process::start(["--data", data], &settings));
}

/// Senders to both, one of them killed: its senders go on with the other.
#[tokio::test(flavor = "multi_thread")]
async fn messages_are_processed_once_although_a_process_is_killed() {
    on_postgres_url(async |url| {
        let (_folder, settings) = settings_file(damage::SETTINGS);
        let mut one = Process::start(["--database", &url], &settings);
        let other = Process::start(["--database", &url], &settings);
        let mut feeds: Vec<VecDeque<String>> = (0..damage::SENDERS).map(damage::feed).collect();
        let total = damage::left(&feeds);
        let acknowledged = AtomicUsize::new(0);
        thread::scope(|scope| {
            for (number, feed) in feeds.iter_mut().enumerate() {
                let first = if number % 2 == 0 {
                    one.mllp
                } else {
                    other.mllp
                };
                let (acknowledged, second) = (&acknowledged, other.mllp);
                scope.spawn(move || {
                    damage::send_until_broken(feed, first, acknowledged);
                    damage::send_until_broken(feed, second, acknowledged);
                });
            }
            while acknowledged.load(Ordering::SeqCst) < total / 3 {
                thread::yield_now();
            }
            one.kill();
        });
        assert_eq!(damage::left(&feeds), 0);
        damage::until_processed(&url, total).await;
        damage::check_effects(&url, total).await;
    })
    .await;
}

const CORRECTIONS: usize = 40;

/// The correction of a person, with a name that says which it is.
fn correction(number: usize) -> String {
    let second = format!("202603041000{number:02}");
    format!(
        "MSH|^~\\&|APP|GENHOSP|BATON|RPC|{second}||ADT^A31^ADT_A05|C{number}|P|2.5.1\r\
         EVN|A31|{second}\r\
         PID|1||77^^^GENHOSP^MR||PERSON{number}^EXAMPLE||19500131|F\r"
    )
}

/// A sender that has an acknowledgement goes on with the other process: what it said first has taken
/// effect first.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_patient_keep_their_order_across_processes() {
    on_postgres_url(async |url| {
        let (_folder, settings) = settings_file(damage::SETTINGS);
        let one = Process::start(["--database", &url], &settings);
        let other = Process::start(["--database", &url], &settings);
        let mut senders = [&one, &other].map(|process| Sender::connect(process.mllp).unwrap());
        for number in 0..CORRECTIONS {
            let (code, _) = senders[number % 2].send(&correction(number)).unwrap();
            assert_eq!(code, "AA");
        }
        damage::until_processed(&url, CORRECTIONS).await;
        let client = Client::new();
        let query = format!("{}/Patient?identifier=urn:patient|77", one.base());
        let found = client.get(&query).await.1;
        let id = found["entry"][0]["resource"]["id"].as_str().unwrap();
        let url = format!("{}/Patient/{id}/_history?_count=100", other.base());
        let history = client.get(&url).await.1;
        let mut names: Vec<&str> = each(&history, "entry")
            .map(|entry| entry["resource"]["name"][0]["family"].as_str().unwrap())
            .collect();
        names.reverse();
        let expected: Vec<String> = (0..CORRECTIONS).map(|n| format!("PERSON{n}")).collect();
        assert_eq!(names, expected);
    })
    .await;
}

const JOBS: usize = 24;
const ENTRIES: usize = 12;

/// A batch or a transaction that creates Patients with numbers of its own.
fn bundle(job: usize) -> Value {
    let kind = if job.is_multiple_of(2) {
        "batch"
    } else {
        "transaction"
    };
    let entry = |entry| {
        json!({
            "resource": numbered(&format!("{job}-{entry}")),
            "request": { "method": "POST", "url": "Patient" },
        })
    };
    let entries: Vec<Value> = (0..ENTRIES).map(entry).collect();
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries })
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_done_once_although_a_process_is_killed() {
    on_postgres_url(async |url| {
        let (_folder, settings) = settings_file("");
        let mut one = Process::start(["--database", &url], &settings);
        let other = Process::start(["--database", &url], &settings);
        let client = Client::new();
        let mut ids = Vec::new();
        for job in 0..JOBS {
            let request = client.0.post(one.base());
            let request = request
                .header("Content-Type", "application/fhir+json")
                .header("Prefer", "respond-async")
                .body(bundle(job).to_string());
            let response = request.send().await.unwrap();
            assert_eq!(response.status().as_u16(), 202);
            let place = response.headers()["content-location"].to_str().unwrap();
            ids.push(place.rsplit_once('/').unwrap().1.to_owned());
        }
        while client.total(&other, "Patient?_lastUpdated=gt2000").await == 0 {
            thread::yield_now();
        }
        one.kill();
        let begun = Instant::now();
        for (job, id) in ids.iter().enumerate() {
            let url = format!("{}/_async/{id}", other.base());
            let result = loop {
                let (status, result) = client.get(&url).await;
                if status != 202 {
                    assert_eq!(status, 200, "{result}");
                    break result;
                }
                assert!(begun.elapsed() < PATIENCE, "job {job} is not done");
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            let made = each(&result, "entry")
                .filter(|entry| entry["response"]["status"] == "201 Created")
                .count();
            assert_eq!(made, ENTRIES, "{result}");
        }
        for job in 0..JOBS {
            for entry in 0..ENTRIES {
                let query = format!("Patient?identifier=urn:mrn|{job}-{entry}");
                assert_eq!(client.total(&other, &query).await, 1, "{query}");
            }
        }
    })
    .await;
}

const DISCHARGED: &str = "2026-07-02T14:05:00-04:00";
const LATER: &str = "2026-08-20T12:00:00-04:00";
const PATIENTS: usize = 8;

/// Patients who were discharged; gives how many versions there are.
async fn discharged(url: &str) -> u64 {
    let baton = Baton::start(url, &settings(), "2026-07-01T08:00:00-04:00").await;
    let mut hospital = Hospital::connect(&baton, &GENHOSP).await;
    for number in 0..PATIENTS {
        let number = format!("2000{number}");
        Patient::on_panel(&baton, &GENHOSP, &number, &[]).await;
        let discharge = format!(
            "A03 MSH-7 20260702140{number:.1}00, MSH-10 D{number}, PV1-19 V{number}, PV1-36 01, \
             PV1-44 20260628080000, PV1-45 20260702140000"
        );
        hospital.send(&number, &discharge).await;
    }
    let versions = baton.version_count().await;
    drop(hospital);
    baton.stop().await;
    versions
}

/// Moves the clock of a process; gives the status, or nothing when it was killed meanwhile.
async fn advance(client: &Client, base: &str) -> Option<u16> {
    let body = json!({
        "resourceType": "Parameters",
        "parameter": [{ "name": "instant", "valueInstant": LATER }],
    });
    let (status, _) = client.post(&format!("{base}/$clock"), &body).await?;
    Some(status)
}

/// The deadlines of pathways pass while the process that watches them is killed.
#[tokio::test(flavor = "multi_thread")]
async fn timers_fire_once_although_the_process_that_fires_them_is_killed() {
    // What happens where nobody is killed.
    let undisturbed = {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        let before = discharged(&url).await;
        let baton = Baton::start(&url, &settings(), DISCHARGED).await;
        baton.clock(LATER).await;
        let after = baton.version_count().await;
        baton.stop().await;
        (before, after)
    };
    on_postgres_url(async |url| {
        let before = discharged(&url).await;
        assert_eq!(before, undisturbed.0);
        let (_folder, settings) = settings_file(&settings());
        let clock = ["--manual-clock", DISCHARGED];
        let mut one = Process::start_with(["--database", &url], &settings, &clock);
        let other = Process::start_with(["--database", &url], &settings, &clock);
        let client = Client::new();
        assert_eq!(
            advance(&client, &other.base()).await,
            Some(409),
            "not its turn"
        );
        let base = one.base();
        let versions = async || {
            let url = format!("{}/_history?_count=1", other.base());
            client.get(&url).await.1["total"].as_u64().unwrap()
        };
        let kill = async {
            while versions().await < before + 10 {}
            one.kill();
        };
        let (advanced, ()) = join(advance(&client, &base), kill).await;
        assert_eq!(advanced, None, "it was killed in the middle");
        let begun = Instant::now();
        while advance(&client, &other.base()).await != Some(200) {
            assert!(begun.elapsed() < PATIENCE, "nobody takes over");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("taken over after {:?}", begun.elapsed());
        assert_eq!(versions().await, undisturbed.1);
        let store = Store::open(&url).await.unwrap();
        assert_eq!(
            store
                .due_timers(baton::clock::Instant::MAX_UTC, 9)
                .await
                .unwrap(),
            []
        );
        store.close().await;
    })
    .await;
}
