//! A whole Baton in this process, with ports, a database and a clock of its own, and a FHIR client.

use std::sync::Arc;
use std::time::Duration;

use baton::clock::Clock;
use baton::config::Config;
use baton::interaction::Services;
use baton::server::Server;
use baton::store::ChangeKind;
use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::support::database::on_each_url;

/// A request that is not answered for so long has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// So long the trails may take to show what was committed: PostgreSQL gives rows of a trail out
/// once no earlier transaction of the whole cluster is open.
const TRAIL_PATIENCE: Duration = Duration::from_secs(20);
const TRAIL_PAUSE: Duration = Duration::from_millis(20);
/// Rows of a trail read at once: more than any test writes.
const TRAIL_ROWS: u32 = 10_000;

/// A running Baton.
pub(crate) struct Baton {
    server: Server,
    client: reqwest::Client,
}

/// Runs a test against a server over each store; `settings` is a configuration file, `start` the
/// instant at which its clock stands.
pub(crate) async fn on_each_store(settings: &str, start: &str, test: impl AsyncFn(&Baton)) {
    on_each_url(async |url| {
        let baton = Baton::start(&url, settings, start).await;
        test(&baton).await;
        baton.stop().await;
    })
    .await;
}

impl Baton {
    pub(crate) async fn start(database: &str, settings: &str, start: &str) -> Self {
        let mut config = Config::parse(settings).unwrap();
        config.listen.http = "127.0.0.1:0".into();
        config.listen.mllp = "127.0.0.1:0".into();
        config.store.database = Some(database.into());
        let server = Server::start(config, Clock::manual(instant(start)))
            .await
            .unwrap();
        let client = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .build()
            .unwrap();
        Self { server, client }
    }

    pub(crate) async fn stop(self) {
        let Self { server, client } = self;
        drop(client);
        server.stop().await;
    }

    pub(crate) fn services(&self) -> Arc<Services> {
        self.server.live.current()
    }

    pub(crate) fn mllp(&self) -> std::net::SocketAddr {
        self.server.mllp
    }

    /// The FHIR base.
    pub(crate) fn base(&self) -> String {
        format!("http://{}/fhir", self.server.http)
    }

    /// A request, as `GET /Patient/anna` below the FHIR base or with a whole URL.
    pub(crate) fn request(&self, line: &str) -> Request {
        let (method, url) = line.split_once(' ').unwrap();
        let url = if url.is_empty() || url.starts_with('/') {
            format!("{}{url}", self.base())
        } else {
            url.to_owned()
        };
        Request(self.client.request(method.parse().unwrap(), url))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(&format!("GET {path}")).send().await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.request(&format!("DELETE {path}")).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(&format!("POST {path}"))
            .json(body)
            .send()
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.request(&format!("PUT {path}")).json(body).send().await
    }

    /// Creates a resource; gives it as stored.
    pub(crate) async fn create(&self, resource: &Value) -> Value {
        let resource_type = resource["resourceType"].as_str().unwrap();
        self.post(&format!("/{resource_type}"), resource)
            .await
            .expect(201)
    }

    /// A resource as it is now.
    pub(crate) async fn read(&self, path: &str) -> Value {
        self.get(path).await.expect(200)
    }

    /// Everything that a search matches.
    pub(crate) async fn search(&self, query: &str) -> Vec<Value> {
        let mut bundle = self.get(&format!("/{query}")).await.expect(200);
        let mut found = Vec::new();
        loop {
            found.extend(
                each(&bundle, "entry")
                    .filter(|entry| entry["search"]["mode"] == "match")
                    .map(|entry| entry["resource"].clone()),
            );
            let Some(next) = link(&bundle, "next") else {
                return found;
            };
            bundle = self
                .request(&format!("GET {next}"))
                .send()
                .await
                .expect(200);
        }
    }

    /// The versions of a resource, the oldest first.
    pub(crate) async fn versions(&self, path: &str) -> Vec<Value> {
        let history = self
            .get(&format!("{path}/_history?_count=1000"))
            .await
            .expect(200);
        let mut versions: Vec<Value> = each(&history, "entry").cloned().collect();
        versions.reverse();
        versions
    }

    /// Moves the clock; every timer on the way fires, and everything received has its effects.
    pub(crate) async fn clock(&self, instant: &str) {
        let body = json!({
            "resourceType": "Parameters",
            "parameter": [{ "name": "instant", "valueInstant": instant }],
        });
        self.post("/$clock", &body).await.expect(200);
    }

    /// What the clock says.
    pub(crate) async fn now(&self) -> String {
        let parameters = self.read("/$clock").await;
        parameters["parameter"][0]["valueInstant"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Waits until everything written has had its effects.
    pub(crate) async fn settle(&self) {
        self.clock(&self.now().await).await;
    }

    /// How many versions there are in the whole store.
    pub(crate) async fn version_count(&self) -> u64 {
        self.read("/_history?_count=1").await["total"]
            .as_u64()
            .unwrap()
    }

    /// Asserts what was ever done to a resource, as `create 1`, `update 2`, `delete 3`: its versions,
    /// its rows of the audit trail and its rows of the change feed must all say the same.
    pub(crate) async fn check_effects(&self, path: &str, expected: &[&str]) {
        let versions: Vec<String> = self.versions(path).await.iter().map(version_line).collect();
        assert_eq!(versions, expected, "versions of {path}");
        let key = path.trim_start_matches('/');
        let deadline = tokio::time::Instant::now() + TRAIL_PATIENCE;
        loop {
            let (audit, feed) = (self.audit(key).await, self.feed(key).await);
            if audit == expected && feed == expected {
                return;
            }
            let is_over = tokio::time::Instant::now() > deadline;
            if is_over || audit.len() > expected.len() || feed.len() > expected.len() {
                assert_eq!(audit, expected, "audit trail of {key}");
                assert_eq!(feed, expected, "change feed of {key}");
            }
            tokio::time::sleep(TRAIL_PAUSE).await;
        }
    }

    async fn audit(&self, key: &str) -> Vec<String> {
        let rows = self
            .services()
            .store
            .audit_after(0, TRAIL_ROWS)
            .await
            .unwrap();
        let rows = rows.iter().filter(|row| row.key.to_string() == key);
        rows.map(|row| format!("{} {}", row.interaction, row.version))
            .collect()
    }

    async fn feed(&self, key: &str) -> Vec<String> {
        let rows = self
            .services()
            .store
            .changes_after(0, TRAIL_ROWS)
            .await
            .unwrap();
        let rows = rows.iter().filter(|row| row.key.to_string() == key);
        rows.map(|row| format!("{} {}", kind(row.kind), row.version))
            .collect()
    }
}

fn version_line(entry: &Value) -> String {
    let kind = match entry["response"]["status"].as_str().unwrap() {
        "201 Created" => "create",
        "200 OK" => "update",
        "204 No Content" => "delete",
        other => other,
    };
    let etag = entry["response"]["etag"].as_str().unwrap();
    format!("{kind} {}", etag.trim_start_matches("W/").trim_matches('"'))
}

fn kind(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Create | ChangeKind::CreateByUpdate => "create",
        ChangeKind::Update => "update",
        ChangeKind::Delete => "delete",
    }
}

/// A request that is being put together.
pub(crate) struct Request(reqwest::RequestBuilder);

impl Request {
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// A header of any bytes.
    pub(crate) fn header_bytes(self, name: &str, value: &[u8]) -> Self {
        Self(self.0.header(name, value))
    }

    /// A FHIR body.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.text("application/fhir+json", body.to_string())
    }

    /// Any body.
    pub(crate) fn text(self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.header("Content-Type", content_type).body(body))
    }

    /// The body as it comes, compressed if it is.
    pub(crate) async fn send_bytes(self) -> Vec<u8> {
        let response = self.0.send().await.unwrap();
        response.bytes().await.unwrap().to_vec()
    }

    pub(crate) async fn send(self) -> Answer {
        let response = self.0.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body of an answer with this status; null when it is empty.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Status, and code and text of every issue: `404 not-found Patient/x is not known`.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        let outcome = self.json();
        assert_eq!(outcome["resourceType"], "OperationOutcome", "{}", self.text);
        let content_type = self.header("content-type").unwrap_or_default();
        assert!(
            content_type.starts_with("application/fhir+json"),
            "{content_type}"
        );
        let issues = each(&outcome, "issue").map(|issue| {
            let text = issue["details"]["text"]
                .as_str()
                .or(issue["diagnostics"].as_str());
            format!(
                " {} {}",
                issue["code"].as_str().unwrap(),
                text.unwrap_or("(no text)")
            )
        });
        format!("{}{}", self.status, issues.collect::<Vec<_>>().join(";"))
    }
}

/// An instant as FHIR writes it.
pub(crate) fn instant(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().into()
}

/// The members of an array that may be absent.
pub(crate) fn each<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// A link of a Bundle.
pub(crate) fn link<'a>(bundle: &'a Value, relation: &str) -> Option<&'a str> {
    each(bundle, "link").find(|link| link["relation"] == relation)?["url"].as_str()
}
