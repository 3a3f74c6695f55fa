//! What the demo knows of the server: its FHIR API and its MLLP listener, nothing else.

use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde_json::{Value, json};

use crate::cli::adt::{Sender, describe};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Most changes that one step of the story makes.
const CHANGES_MAX: usize = 500;

/// An instant with the offset that it was written with.
pub(super) type Time = DateTime<FixedOffset>;

/// A resource that changed.
pub(super) struct Change {
    /// When.
    pub(super) at: Time,
    /// It was created, not updated.
    pub(super) is_new: bool,
    /// As it is after the change.
    pub(super) resource: Value,
}

/// A client of the server.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    sender: Sender,
}

impl Client {
    /// A client of the FHIR API at `base` and of the MLLP listener at `mllp`.
    pub(super) async fn connect(base: &str, mllp: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .build()?;
        let sender = Sender::connect(mllp).await?;
        Ok(Self {
            http,
            base: base.to_owned(),
            sender,
        })
    }

    /// The FHIR base.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// `GET [base]/path`
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        answer(self.http.get(format!("{}/{path}", self.base)), path).await
    }

    /// `POST [base]/path`; the base itself with an empty path.
    pub(super) async fn post(&self, path: &str, resource: &Value) -> anyhow::Result<Value> {
        let url = match path {
            "" => self.base.clone(),
            path => format!("{}/{path}", self.base),
        };
        answer(self.http.post(url).json(resource), path).await
    }

    /// The resources that a search finds, with those that it includes.
    pub(super) async fn search(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        let bundle = self.get(query).await?;
        let resources = each(&bundle, "entry").filter_map(|entry| entry.get("resource"));
        Ok(resources.cloned().collect())
    }

    /// Sends a message; gives the acknowledgement in words.
    pub(super) async fn send(&mut self, message: &[u8]) -> anyhow::Result<String> {
        Ok(describe(&self.sender.send(message).await?))
    }

    /// Moves the server's clock: answers when everything up to then has taken its effects.
    pub(super) async fn move_clock(&self, to: Time) -> anyhow::Result<()> {
        let instant = json!({
            "resourceType": "Parameters",
            "parameter": [{ "name": "instant", "valueInstant": to.to_rfc3339() }],
        });
        self.post("$clock", &instant).await.map(|_| ())
    }

    /// When anything changed last.
    pub(super) async fn newest_change(&self) -> anyhow::Result<Time> {
        let bundle = self.get("_history?_count=1").await?;
        changed_at(bundle.pointer("/entry/0").unwrap_or(&Value::Null))
    }

    /// The resources changed from `since` on, oldest change first, each as it was at the end of an
    /// instant.
    pub(super) async fn changes(&self, since: Time) -> anyhow::Result<Vec<Change>> {
        // `+` would mean a space in a query: UTC is written with a Z.
        let since = since.to_utc().to_rfc3339_opts(SecondsFormat::Millis, true);
        let bundle = self
            .get(&format!("_history?_since={since}&_count={CHANGES_MAX}"))
            .await?;
        let mut changes: Vec<Change> = Vec::new();
        for entry in each(&bundle, "entry").rev() {
            let Some(resource) = entry.get("resource") else {
                continue;
            };
            let change = Change {
                at: changed_at(entry)?,
                is_new: text(resource, "/meta/versionId") == "1",
                resource: resource.clone(),
            };
            match changes.iter_mut().find(|earlier| earlier.is_same(&change)) {
                Some(earlier) => earlier.resource = change.resource,
                None => changes.push(change),
            }
        }
        Ok(changes)
    }
}

impl Change {
    /// The same resource at the same instant.
    fn is_same(&self, other: &Self) -> bool {
        let is_equal = |pointer| text(&self.resource, pointer) == text(&other.resource, pointer);
        self.at == other.at && is_equal("/resourceType") && is_equal("/id")
    }
}

fn changed_at(entry: &Value) -> anyhow::Result<Time> {
    let written = text(entry, "/response/lastModified");
    DateTime::parse_from_rfc3339(written).context("an entry of a history says when")
}

/// The body of a good answer; the words of an OperationOutcome otherwise.
async fn answer(request: reqwest::RequestBuilder, path: &str) -> anyhow::Result<Value> {
    let response = request.send().await?;
    let status = response.status();
    let body: Value = response.json().await?;
    if !status.is_success() {
        let words: Vec<String> = each(&body, "issue")
            .map(|issue| {
                let details = [text(issue, "/details/text"), text(issue, "/diagnostics")];
                format!("{} {}", text(issue, "/expression/0"), details.join(" "))
            })
            .collect();
        bail!("{path} was answered {status}: {}", words.join("; "));
    }
    Ok(body)
}

/// The string at a JSON pointer, or nothing.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The elements of an array; none where it is absent.
pub(super) fn each<'v>(value: &'v Value, name: &str) -> std::slice::Iter<'v, Value> {
    let elements = value.get(name).and_then(Value::as_array);
    elements.map(Vec::as_slice).unwrap_or_default().iter()
}
