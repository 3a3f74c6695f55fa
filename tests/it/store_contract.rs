//! What every engine of the store promises: one suite, run on SQLite always and on PostgreSQL when
//! `TEST_POSTGRES_URL` is set.

mod feed;
mod inbox;
mod jobs;
mod oracle;
mod paging;
mod processes;
mod purging;
mod resources;
mod searching;
mod together;

use std::pin::Pin;
use std::sync::Arc;

use baton::search::value::{ParameterId, SearchValues, Token};
use baton::store::{
    ChangeKind, ChangeRow, Error, NewVersion, Rows, Store, Stored, Transaction, Work,
};
use chrono::{DateTime, TimeDelta, Utc};
use fhir_model::key::{LogicalId, ResourceKey, ResourceType, VersionId};

type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A work made of a closure.
struct Script<F>(F);

impl<T, F> Work for Script<F>
where
    T: Send + 'static,
    F: for<'a, 't> FnMut(&'a mut Transaction<'t>) -> Step<'a, T> + Send + 'static,
{
    type Output = T;
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<T, Error> {
        (self.0)(transaction).await
    }
}

fn script<T, F>(steps: F) -> Script<F>
where
    F: for<'a, 't> FnMut(&'a mut Transaction<'t>) -> Step<'a, T>,
{
    Script(steps)
}

fn instant(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap() + TimeDelta::seconds(second)
}

fn resource_type(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

fn id(id: &str) -> LogicalId {
    LogicalId::parse(id).unwrap()
}

fn key(text: &str) -> ResourceKey {
    let (name, logical_id) = text.split_once('/').unwrap();
    ResourceKey {
        resource_type: resource_type(name),
        id: id(logical_id),
    }
}

fn version(number: u64) -> VersionId {
    VersionId::new(number).unwrap()
}

/// Version `number` of a resource, written at second `number`; a deletion where `text` is empty.
fn new_version(name: &str, number: u64, text: &str) -> NewVersion {
    let kind = match (number, text) {
        (_, "") => ChangeKind::Delete,
        (1, _) => ChangeKind::Create,
        _ => ChangeKind::Update,
    };
    NewVersion {
        key: key(name),
        version: version(number),
        last_updated: instant(i64::try_from(number).unwrap()),
        kind,
        text: (!text.is_empty()).then(|| text.into()),
        values: SearchValues::default(),
        patients: Vec::new(),
        cause: "test".into(),
    }
}

fn with_token(mut version: NewVersion, code: &str) -> NewVersion {
    let parameter = code_parameter(version.key.resource_type.as_str());
    version.values.tokens.push(Token {
        parameter,
        system: "urn:test".to_owned(),
        code: code.to_owned(),
    });
    version
}

fn code_parameter(resource_type: &str) -> ParameterId {
    ParameterId::new(resource_type, "code")
}

/// Writes versions as one work.
async fn write(store: &Store, versions: Vec<NewVersion>) -> Result<(), Error> {
    let append = script(move |transaction| {
        transaction.append(Rows {
            versions: versions.clone(),
            ..Rows::default()
        });
        Box::pin(async { Ok(()) })
    });
    store.transact(append).await
}

/// `Patient/a v2 text`, or `Patient/a v2 gone`.
fn shown(stored: &Stored) -> String {
    let text = stored.text.clone().unwrap_or_else(|| Arc::from("gone"));
    format!("{} v{} {text}", stored.key, stored.version.number())
}

fn all_shown(stored: &[Stored]) -> Vec<String> {
    stored.iter().map(shown).collect()
}

/// The first `count` changes, once the feed gives them: other tests' transactions on the same
/// server may still stand before them.
async fn changes(store: &Store, count: usize) -> Vec<ChangeRow> {
    eventually(async || {
        let changes = store.changes_after(0, 1_000).await.unwrap();
        (changes.len() >= count).then_some(changes)
    })
    .await
}

/// Asks until there is an answer.
async fn eventually<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..10_000 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("no answer");
}
