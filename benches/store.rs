//! How fast the store writes and reads, beside a bare insert of the same bytes in the same groups.
//!
//! `cargo bench --bench store`; with `TEST_POSTGRES_URL` (`scripts/with-postgres`, with
//! `WITH_POSTGRES_FSYNC=on` to be fair) PostgreSQL as well. Prints a table.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark talks to a person, and stops at the first failure"
)]

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use baton::search::expression::{Criterion, Filter, Search, TokenCriterion, Total};
use baton::search::value::{DateRange, ParameterId, Reference, SearchValues, Target, Text, Token};
use baton::store::{
    AuditRow, ChangeKind, Claim, Error, NewVersion, Rows, Store, Transaction, Work,
};
use chrono::{DateTime, Utc};
use fhir_model::key::{LogicalId, ResourceKey, ResourceType, VersionId};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection};
use uuid::Uuid;

const RUN: Duration = Duration::from_secs(3);
const PATIENTS: u64 = 500;

static NEXT: AtomicU64 = AtomicU64::new(0);

fn resource_type(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

fn id(text: &str) -> LogicalId {
    LogicalId::parse(text).unwrap()
}

fn key(number: u64) -> ResourceKey {
    let id = id(&format!("0190c5a4-7e2b-7000-8000-{number:012}"));
    ResourceKey {
        resource_type: resource_type("Observation"),
        id,
    }
}

/// About 1,500 bytes, as JSON has them: quotes and all.
fn text(number: u64) -> Arc<str> {
    let mut text = format!(r#"{{"resourceType":"Observation","id":"{number}","component":["#);
    while text.len() < 1_480 {
        let _ = write!(
            text,
            r#"{{"code":{{"text":"systolic"}},"valueQuantity":{{"value":1.20}}}},"#
        );
    }
    text.push_str("null]}");
    text.into()
}

/// Twelve search values.
fn values(number: u64) -> SearchValues {
    let parameter = |code: &str| ParameterId::new("Observation", code);
    let token = |name: &str, system: &str, code: String| Token {
        parameter: parameter(name),
        system: system.to_owned(),
        code,
    };
    let refer = |name: &str, target: &str, number: u64| Reference {
        parameter: parameter(name),
        target: Target::Local(resource_type(target), id(&format!("{target}-{number}"))),
    };
    let low = i64::try_from(number).unwrap() * 1_000_000;
    SearchValues {
        tokens: vec![
            token(
                "identifier",
                "urn:oid:2.16.840.1.113883.19.5",
                format!("{number}"),
            ),
            token("code", "http://loinc.org", format!("{}-4", number % 300)),
            token(
                "status",
                "http://hl7.org/fhir/observation-status",
                "final".to_owned(),
            ),
            token(
                "category",
                "http://terminology.hl7.org/CodeSystem/observation-category",
                "laboratory".to_owned(),
            ),
            token(
                "combo-code",
                "http://loinc.org",
                format!("{}-4", number % 300),
            ),
            token(
                "combo-code",
                "http://snomed.info/sct",
                format!("{}", number % 900),
            ),
        ],
        strings: vec![Text {
            parameter: parameter("value-string"),
            normalised: format!("value {}", number % 5_000),
            exact: format!("Value {}", number % 5_000),
        }],
        dates: vec![
            DateRange {
                parameter: parameter("date"),
                low,
                high: low + 1,
            },
            DateRange {
                parameter: parameter("issued"),
                low,
                high: low + 1,
            },
        ],
        references: vec![
            refer("subject", "Patient", number % PATIENTS),
            refer("patient", "Patient", number % PATIENTS),
            refer("encounter", "Encounter", number % (PATIENTS * 4)),
        ],
        ..SearchValues::default()
    }
}

fn new_version(number: u64, version: u64) -> NewVersion {
    NewVersion {
        key: key(number),
        version: VersionId::new(version).unwrap(),
        last_updated: Utc::now(),
        kind: if version == 1 {
            ChangeKind::Create
        } else {
            ChangeKind::Update
        },
        text: Some(text(number)),
        values: values(number),
        patients: vec![id(&format!("Patient-{}", number % PATIENTS))],
        cause: "create".into(),
    }
}

fn rows(number: u64, version: u64, at: DateTime<Utc>) -> Rows {
    let new = new_version(number, version);
    let audit = AuditRow {
        at,
        caller: "bench".into(),
        interaction: "create",
        key: new.key.clone(),
        version: new.version,
    };
    Rows {
        versions: vec![new],
        audit: vec![audit],
        ..Rows::default()
    }
}

struct Create(u64);

impl Work for Create {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        transaction.append(rows(self.0, 1, Utc::now()));
        Ok(())
    }
}

/// A create that first looks whether its identifier is there.
struct CreateIfNone(u64);

impl Work for CreateIfNone {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        transaction
            .claim(&[Claim(format!("Observation?identifier={}", self.0))])
            .await?;
        if transaction
            .search(&by_identifier(self.0))
            .await?
            .matches
            .is_empty()
        {
            transaction.append(rows(self.0, 1, Utc::now()));
        }
        Ok(())
    }
}

struct Update(u64);

impl Work for Update {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        let found = transaction.read(&[key(self.0)]).await?;
        let before = found
            .first()
            .and_then(Option::as_ref)
            .map_or(0, |s| s.version.number());
        transaction.append(rows(self.0, before + 1, Utc::now()));
        Ok(())
    }
}

fn token_filter(parameter: &str, system: &str, code: &str) -> Filter {
    let token = TokenCriterion::SystemAndCode(system.to_owned(), code.to_owned());
    Filter::Any {
        parameter: ParameterId::new("Observation", parameter),
        criteria: vec![Criterion::Token(token)],
        negated: false,
    }
}

fn search(filters: Vec<Filter>, count: u32) -> Search {
    Search {
        types: resource_type("Observation").into(),
        filters,
        sort: Vec::new(),
        count,
        after: None,
        includes: Vec::new(),
        revincludes: Vec::new(),
        total: Total::None,
    }
}

fn by_identifier(number: u64) -> Search {
    let code = number.to_string();
    search(
        vec![token_filter(
            "identifier",
            "urn:oid:2.16.840.1.113883.19.5",
            &code,
        )],
        2,
    )
}

/// A page of a code, of which a category and a status say nothing.
fn by_code(number: u64) -> Search {
    let code = format!("{}-4", number % 300);
    let filters = vec![
        token_filter("code", "http://loinc.org", &code),
        token_filter("status", "http://hl7.org/fhir/observation-status", "final"),
    ];
    search(filters, 20)
}

/// Runs `act` from `connections` tasks for [`RUN`]; gives how often per second.
async fn measure<F>(connections: usize, act: impl Fn(u64) -> F) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let started = Instant::now();
    let loops = (0..connections).map(|_| async {
        let mut count = 0_u32;
        while started.elapsed() < RUN {
            act(NEXT.fetch_add(1, Ordering::Relaxed)).await;
            count += 1;
        }
        count
    });
    let counts = futures_util::future::join_all(loops).await;
    f64::from(counts.into_iter().sum::<u32>()) / started.elapsed().as_secs_f64()
}

fn show(engine: &str, what: &str, per_second: f64) {
    println!("| {engine} | {what} | {per_second:.0} |");
}

async fn bench_store(engine: &str, store: &Store) {
    for connections in [1, 64] {
        let per_second = measure(connections, |number| {
            let store = store.clone();
            async move { store.transact(Create(number)).await.unwrap() }
        })
        .await;
        show(
            engine,
            &format!("create, {connections} at once"),
            per_second,
        );
    }
    let first = NEXT.load(Ordering::Relaxed);
    let some = move |number: u64| number.wrapping_mul(7_919) % first;
    for connections in [1, 64] {
        let per_second = measure(connections, |number| {
            let store = store.clone();
            async move { store.transact(Update(some(number))).await.unwrap() }
        })
        .await;
        show(
            engine,
            &format!("update, {connections} at once"),
            per_second,
        );
    }
    let per_second = measure(64, |number| {
        let store = store.clone();
        async move { store.transact(CreateIfNone(number)).await.unwrap() }
    })
    .await;
    show(engine, "conditional create, 64 at once", per_second);
    for connections in [1, 64] {
        let per_second = measure(connections, |number| {
            let store = store.clone();
            async move { drop(store.read(&key(some(number))).await.unwrap()) }
        })
        .await;
        show(engine, &format!("read, {connections} at once"), per_second);
    }
    for (what, query) in [
        (
            "search by identifier, 64 at once",
            by_identifier as fn(u64) -> Search,
        ),
        ("search by code and status, 20 of many, 64 at once", by_code),
    ] {
        let per_second = measure(64, |number| {
            let store = store.clone();
            async move { drop(store.search(&query(some(number))).await.unwrap()) }
        })
        .await;
        show(engine, what, per_second);
    }
}

/// What SQLite and its driver give for the same bytes: resource and index rows, one statement
/// per table with rows from JSON, one commit per group.
async fn bench_bare(path: &std::path::Path) {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(8_192)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-65536");
    let mut connection = options.connect().await.unwrap();
    for schema in [
        include_str!("../migrations/sqlite/0001_resource.sql"),
        include_str!("../migrations/sqlite/0002_search.sql"),
    ] {
        sqlx::raw_sql(schema)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let mut row = 0;
    for group in [1, 64] {
        let started = Instant::now();
        let mut count = 0_u32;
        while started.elapsed() < RUN {
            bare_group(&mut connection, row, group).await;
            row += group;
            count += u32::try_from(group).unwrap();
        }
        let per_second = f64::from(count) / started.elapsed().as_secs_f64();
        show(
            "bare sqlx, json_each",
            &format!("insert, {group} per commit"),
            per_second,
        );
    }
}

/// The statements, and for each the rows as JSON.
async fn bare_group(connection: &mut SqliteConnection, first: u64, group: u64) {
    const STATEMENTS: [&str; 5] = [
        "INSERT INTO resource (row_key, resource_type, id, version, last_updated, kind, sequence, \
         entries, text) SELECT value->>0, 'Observation', value->>1, 1, 0, 0, value->>0, '', \
         value->>2 FROM json_each($1)",
        "INSERT INTO search_token (parameter, code, system, row_key) \
         SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each($1)",
        "INSERT INTO search_string (parameter, normalised, exact, row_key) \
         SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each($1)",
        "INSERT INTO search_date (parameter, low, high, row_key) \
         SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each($1)",
        "INSERT INTO search_reference (parameter, target_id, target_type, row_key) \
         SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each($1)",
    ];
    let mut rows: [Vec<serde_json::Value>; 5] = Default::default();
    let [resources, tokens, strings, dates, references] = &mut rows;
    for number in first..first + group {
        let values = values(number);
        resources.push(serde_json::json!([
            number,
            Uuid::now_v7().to_string(),
            text(number)
        ]));
        for token in values.tokens {
            tokens.push(serde_json::json!([
                token.parameter.0,
                token.code,
                77_777_777_777_i64,
                number
            ]));
        }
        for text in values.strings {
            strings.push(serde_json::json!([
                text.parameter.0,
                text.normalised,
                text.exact,
                number
            ]));
        }
        for date in values.dates {
            dates.push(serde_json::json!([
                date.parameter.0,
                date.low,
                date.high,
                number
            ]));
        }
        for reference in values.references {
            if let Target::Local(name, id) = reference.target {
                references.push(serde_json::json!([
                    reference.parameter.0,
                    id.as_str(),
                    name.as_str(),
                    number
                ]));
            }
        }
    }
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut *connection)
        .await
        .unwrap();
    for (statement, rows) in STATEMENTS.into_iter().zip(rows) {
        let json = serde_json::to_string(&rows).unwrap();
        sqlx::query(statement)
            .bind(json)
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    sqlx::query("COMMIT")
        .execute(&mut *connection)
        .await
        .unwrap();
}

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir_in(".").unwrap();
    println!("| engine | what | per second |\n|---|---|---|");
    bench_bare(&directory.path().join("bare.db")).await;
    let url = format!("sqlite:{}", directory.path().join("store.db").display());
    let store = Store::open(&url).await.unwrap();
    bench_store("sqlite", &store).await;
    store.close().await;
    if let Ok(server) = std::env::var("TEST_POSTGRES_URL") {
        let store = Store::open(&server).await.unwrap();
        NEXT.store(0, Ordering::Relaxed);
        bench_store("postgres", &store).await;
        store.close().await;
    }
}
