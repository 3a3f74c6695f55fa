//! The gate of search: each kind of parameter at its sparse and its dense extreme, a first page of 20
//! on a million resources, warm. Fails where a median is above 10 ms.
//!
//! `cargo bench --bench search [-- RESOURCES]`; with `TEST_POSTGRES_URL` (`scripts/with-postgres`)
//! PostgreSQL as well. The SQLite file is kept in the target directory for the next run.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark talks to a person, and stops at the first failure"
)]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use baton::search::expression::{
    Criterion, DateCriterion, Filter, Prefix, ReferenceCriterion, Search, Sort, SortBy,
    StringMatching, TokenCriterion, Total, UriMatching, ValueKind,
};
use baton::search::value::{
    DateRange, Number, ParameterId, Quantity, Reference, SearchValues, Target, Text, Token, Uri,
};
use baton::store::{ChangeKind, Error, NewVersion, Rows, Store, Transaction, Work};
use chrono::{DateTime, TimeDelta, Utc};
use fhir_model::key::{LogicalId, ResourceKey, ResourceType, VersionId};
use sqlx::{Connection as _, Executor as _, PgConnection};

const RESOURCES: u64 = 1_000_000;
/// One resource in so many has the rare value of each parameter.
const RARE: u64 = 50_000;
const PATIENTS: u64 = 1_000;
const BATCH: u64 = 2_000;
const PAGE: u32 = 20;
const RUNS: usize = 21;
const GATE_MS: f64 = 10.0;
const TIME: Duration = Duration::from_mins(10);
const SECOND: i64 = 1_000_000;

fn resource_type(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

fn id(text: &str) -> LogicalId {
    LogicalId::parse(text).unwrap()
}

fn parameter(code: &str) -> ParameterId {
    ParameterId::new("Observation", code)
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_600_000_000, 0).unwrap()
}

/// When an observation was made: one a minute.
fn at(number: u64) -> DateTime<Utc> {
    start() + TimeDelta::minutes(i64::try_from(number).unwrap())
}

fn micros(number: u64) -> i64 {
    at(number).timestamp_micros()
}

/// The rare value, or a common one.
fn word(number: u64) -> &'static str {
    if number % RARE == RARE / 2 {
        "rare"
    } else {
        "common"
    }
}

fn token(parameter: ParameterId, code: &str) -> Token {
    Token {
        parameter,
        system: "urn:test".to_owned(),
        code: code.to_owned(),
    }
}

fn observation(number: u64) -> NewVersion {
    let word = word(number);
    let is_rare = word == "rare";
    let patient = if is_rare {
        "p0".to_owned()
    } else {
        format!("p{}", 1 + number % 3)
    };
    let value = if is_rare { 1e9 } else { 5.0 };
    let low = micros(number);
    let mut tokens = vec![
        token(parameter("code"), word),
        token(parameter("status"), "final"),
    ];
    tokens.extend(is_rare.then(|| token(parameter("flag"), "yes")));
    let values = SearchValues {
        tokens,
        strings: vec![Text {
            parameter: parameter("text"),
            normalised: format!("{word} {number}"),
            exact: format!("{word} {number}"),
        }],
        dates: vec![DateRange {
            parameter: parameter("date"),
            low,
            high: low + SECOND,
        }],
        references: vec![Reference {
            parameter: parameter("subject"),
            target: Target::Local(resource_type("Patient"), id(&patient)),
        }],
        quantities: vec![Quantity {
            parameter: parameter("quantity"),
            system: "http://unitsofmeasure.org".to_owned(),
            code: "mg".to_owned(),
            low: value,
            high: value,
        }],
        numbers: vec![Number {
            parameter: parameter("number"),
            low: value,
            high: value,
        }],
        uris: vec![Uri {
            parameter: parameter("uri"),
            uri: format!("http://test/{word}"),
        }],
        ..SearchValues::default()
    };
    version(
        "Observation",
        &format!("o{number}"),
        at(number),
        values,
        &patient,
    )
}

/// The first patient has the rare observations, the next three the others; half are male.
fn patient(number: u64) -> NewVersion {
    let gender = if number % 2 == 1 { "male" } else { "female" };
    let family = if number == 0 { "rare" } else { "common" };
    let values = SearchValues {
        tokens: vec![token(ParameterId::new("Patient", "gender"), gender)],
        strings: vec![Text {
            parameter: ParameterId::new("Patient", "family"),
            normalised: family.to_owned(),
            exact: family.to_owned(),
        }],
        ..SearchValues::default()
    };
    let name = format!("p{number}");
    version("Patient", &name, start(), values, &name)
}

fn version(
    name: &str,
    logical_id: &str,
    at: DateTime<Utc>,
    values: SearchValues,
    patient: &str,
) -> NewVersion {
    NewVersion {
        key: ResourceKey {
            resource_type: resource_type(name),
            id: id(logical_id),
        },
        version: VersionId::FIRST,
        last_updated: at,
        kind: ChangeKind::Create,
        text: Some(format!(r#"{{"resourceType":"{name}","id":"{logical_id}"}}"#).into()),
        values,
        patients: vec![id(patient)],
        cause: "bench".into(),
    }
}

/// Writes resources in one transaction.
struct Write(std::ops::Range<u64>, fn(u64) -> NewVersion);

impl Work for Write {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        transaction.append(Rows {
            versions: self.0.clone().map(self.1).collect(),
            ..Rows::default()
        });
        Ok(())
    }
}

async fn fill(store: &Store, resources: u64) {
    let started = Instant::now();
    store.transact(Write(0..PATIENTS, patient)).await.unwrap();
    let mut first = 0;
    while first < resources {
        let end = (first + BATCH).min(resources);
        store
            .transact(Write(first..end, observation))
            .await
            .unwrap();
        first = end;
    }
    println!("{resources} resources written in {:?}", started.elapsed());
}

fn any(code: &str, criterion: Criterion) -> Filter {
    Filter::Any {
        parameter: parameter(code),
        criteria: vec![criterion],
        negated: false,
    }
}

fn is(value: &str) -> Criterion {
    Criterion::Token(TokenCriterion::SystemAndCode(
        "urn:test".to_owned(),
        value.to_owned(),
    ))
}

fn not(filter: Filter) -> Filter {
    match filter {
        Filter::Any {
            parameter,
            criteria,
            ..
        } => Filter::Any {
            parameter,
            criteria,
            negated: true,
        },
        other => other,
    }
}

fn code(value: &str) -> Filter {
    any("code", is(value))
}

fn text(value: &str) -> Filter {
    any(
        "text",
        Criterion::String {
            text: value.to_owned(),
            matching: StringMatching::StartsWith,
        },
    )
}

fn since(prefix: Prefix, number: u64) -> DateCriterion {
    DateCriterion {
        prefix,
        low: micros(number),
        high: micros(number) + SECOND,
    }
}

fn date(prefix: Prefix, number: u64) -> Filter {
    any("date", Criterion::Date(since(prefix, number)))
}

fn subject(patient: &str) -> Filter {
    let target = ReferenceCriterion::Local(resource_type("Patient"), id(patient));
    any("subject", Criterion::Reference(target))
}

fn number(prefix: Prefix, value: f64) -> Filter {
    any(
        "number",
        Criterion::Number {
            prefix,
            low: value,
            high: value,
        },
    )
}

fn quantity(prefix: Prefix, value: f64) -> Filter {
    any(
        "quantity",
        Criterion::Quantity {
            prefix,
            low: value,
            high: value,
            system: None,
            code: None,
        },
    )
}

fn uri(word: &str) -> Filter {
    any(
        "uri",
        Criterion::Uri {
            uri: format!("http://test/{word}"),
            matching: UriMatching::Equal,
        },
    )
}

fn of_patient(code: &str, criterion: Criterion) -> Filter {
    Filter::Any {
        parameter: ParameterId::new("Patient", code),
        criteria: vec![criterion],
        negated: false,
    }
}

fn chain(filter: Filter) -> Filter {
    Filter::Chain {
        parameter: parameter("subject"),
        target: resource_type("Patient").into(),
        filters: vec![filter],
    }
}

fn has(filter: Filter) -> Filter {
    Filter::Has {
        source: resource_type("Observation"),
        parameter: parameter("subject"),
        filters: vec![filter],
    }
}

fn missing(code: &str, kind: ValueKind, missing: bool) -> Filter {
    Filter::Missing {
        parameter: parameter(code),
        kind,
        missing,
    }
}

fn search(name: &str, filters: Vec<Filter>, sort: Option<SortBy>) -> Search {
    Search {
        types: resource_type(name).into(),
        filters,
        sort: sort
            .into_iter()
            .map(|by| Sort {
                by,
                descending: true,
            })
            .collect(),
        count: PAGE,
        after: None,
        includes: Vec::new(),
        revincludes: Vec::new(),
        total: Total::None,
    }
}

/// What is asked: a name and a search.
fn questions(resources: u64) -> Vec<(&'static str, Search)> {
    let mut all = of_one_kind(resources);
    all.extend(of_several_kinds(resources));
    all
}

/// Each kind of value by itself, at its sparse and its dense extreme.
fn of_one_kind(resources: u64) -> Vec<(&'static str, Search)> {
    let late = resources - resources / 10;
    let observations = |filter: Filter| search("Observation", vec![filter], None);
    vec![
        ("token, sparse", observations(code("rare"))),
        ("token, dense", observations(code("common"))),
        ("string, sparse", observations(text("rare"))),
        ("string, dense", observations(text("common"))),
        (
            "date, sparse",
            observations(date(Prefix::Eq, resources / 2)),
        ),
        (
            "date, dense",
            observations(date(Prefix::Ge, resources / 10)),
        ),
        (
            "date, dense, far from where a walk begins",
            observations(date(Prefix::Ge, late)),
        ),
        ("reference, sparse", observations(subject("p0"))),
        ("reference, dense", observations(subject("p1"))),
        ("quantity, sparse", observations(quantity(Prefix::Gt, 1e6))),
        ("quantity, dense", observations(quantity(Prefix::Lt, 1e6))),
        ("number, sparse", observations(number(Prefix::Gt, 1e6))),
        ("number, dense", observations(number(Prefix::Lt, 1e6))),
        ("uri, sparse", observations(uri("rare"))),
        ("uri, dense", observations(uri("common"))),
    ]
}

/// Chains, several filters, orders and negations.
fn of_several_kinds(resources: u64) -> Vec<(&'static str, Search)> {
    let family = |text: &str| {
        of_patient(
            "family",
            Criterion::String {
                text: text.to_owned(),
                matching: StringMatching::StartsWith,
            },
        )
    };
    let by_date = Some(SortBy::Parameter(parameter("date"), ValueKind::Date));
    let observations = |filter: Filter| search("Observation", vec![filter], None);
    vec![
        ("chain, sparse", observations(chain(family("rare")))),
        (
            "chain, dense",
            observations(chain(of_patient("gender", is("male")))),
        ),
        (
            "_has, sparse",
            search("Patient", vec![has(code("rare"))], None),
        ),
        (
            "_has, dense",
            search("Patient", vec![has(code("common"))], None),
        ),
        (
            "_lastUpdated, sparse",
            observations(Filter::LastUpdated(vec![since(Prefix::Ge, resources - 10)])),
        ),
        (
            "_lastUpdated, dense",
            observations(Filter::LastUpdated(vec![since(Prefix::Ge, 10)])),
        ),
        (
            "two filters, one sparse",
            search(
                "Observation",
                vec![code("rare"), date(Prefix::Ge, 10)],
                None,
            ),
        ),
        (
            "two filters, dense",
            search(
                "Observation",
                vec![code("common"), date(Prefix::Ge, 10)],
                None,
            ),
        ),
        (
            "sort by date, sparse",
            search("Observation", vec![code("rare")], by_date),
        ),
        (
            "sort by date, dense",
            search("Observation", vec![code("common")], by_date),
        ),
        (
            "sort by date, all",
            search("Observation", Vec::new(), by_date),
        ),
        (
            "sort by _lastUpdated, dense",
            search(
                "Observation",
                vec![code("common")],
                Some(SortBy::LastUpdated),
            ),
        ),
        (":not, dense", observations(not(code("rare")))),
        (":not, sparse", observations(not(code("common")))),
        (
            ":missing=false, dense",
            observations(missing("code", ValueKind::Token, false)),
        ),
        (
            ":missing=false, sparse",
            observations(missing("flag", ValueKind::Token, false)),
        ),
        (
            ":missing=true, dense",
            observations(missing("flag", ValueKind::Token, true)),
        ),
        (
            ":missing=true, sparse",
            observations(missing("code", ValueKind::Token, true)),
        ),
    ]
}

/// Half of the runs take no longer, in milliseconds; and how many matches are on the page.
async fn median(store: &Store, search: &Search) -> (f64, usize) {
    let mut times = Vec::with_capacity(RUNS);
    let mut matches = 0;
    for _ in 0..RUNS {
        let started = Instant::now();
        let page = store
            .search_isolated(search, &|_, _| None, TIME)
            .await
            .unwrap();
        times.push(started.elapsed().as_secs_f64() * 1_000.0);
        matches = page.matches.len();
        if started.elapsed() > Duration::from_secs(1) && times.len() > 2 {
            break; // slow enough to be told from few
        }
    }
    times.sort_by(f64::total_cmp);
    (times.get(times.len() / 2).copied().unwrap(), matches)
}

/// How many questions were answered too slowly.
async fn ask(engine: &str, store: &Store, resources: u64) -> usize {
    let mut slow = 0;
    for (name, search) in questions(resources) {
        let (ms, matches) = median(store, &search).await;
        let verdict = if ms > GATE_MS { "too slow" } else { "" };
        slow += usize::from(ms > GATE_MS);
        println!("| {engine} | {name} | {matches} | {ms:.2} | {verdict} |");
    }
    slow
}

/// The file of an earlier run, or a new one.
async fn sqlite(resources: u64) -> Store {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("search-{resources}.db"));
    let url = |path: &Path| format!("sqlite:{}", path.display());
    if !path.exists() {
        let unfinished = folder.join("search-unfinished.db");
        let _ = std::fs::remove_file(&unfinished);
        let store = Store::open(&url(&unfinished)).await.unwrap();
        fill(&store, resources).await;
        store.close().await;
        std::fs::rename(&unfinished, &path).unwrap();
    }
    Store::open(&url(&path)).await.unwrap()
}

async fn postgres(server: &str, resources: u64) -> Store {
    let store = Store::open(server).await.unwrap();
    fill(&store, resources).await;
    let mut admin = PgConnection::connect(server).await.unwrap();
    admin.execute("VACUUM ANALYZE").await.unwrap();
    store
}

#[tokio::main]
async fn main() -> ExitCode {
    let number = std::env::args().find_map(|text| text.parse().ok());
    let resources = number.unwrap_or(RESOURCES);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "{resources} resources, a page of {PAGE}, load {}",
        load.trim()
    );
    let store = sqlite(resources).await;
    println!("| engine | search | matches | median, ms | |");
    println!("|---|---|---|---|---|");
    let mut slow = ask("SQLite", &store, resources).await;
    store.close().await;
    if let Ok(server) = std::env::var("TEST_POSTGRES_URL") {
        let store = postgres(&server, resources).await;
        slow += ask("PostgreSQL", &store, resources).await;
        store.close().await;
    }
    if slow > 0 {
        println!("{slow} searches take longer than {GATE_MS} ms");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
