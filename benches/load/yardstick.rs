//! The least that a durable write could cost: a row with the same bytes, by the same driver.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};

use crate::CONNECTIONS;
use crate::adt::message;
use crate::rest::{ENTRIES, bundle, patient};
use crate::table::{Row, row};

/// How long each yardstick is measured.
const PERIOD: Duration = Duration::from_secs(2);

/// What is inserted.
struct Yardstick {
    what: &'static str,
    /// Rows to a commit.
    group: usize,
    /// Connections at once, where the store takes more than one writer.
    connections: usize,
    text: fn(usize) -> String,
}

const fn yardstick(
    what: &'static str,
    group: usize,
    connections: usize,
    text: fn(usize) -> String,
) -> Yardstick {
    Yardstick {
        what,
        group,
        connections,
        text,
    }
}

fn patient_text(number: usize) -> String {
    patient(number).to_string()
}

/// One entry of the transaction.
fn entry_text(number: usize) -> String {
    bundle(number)["entry"][number % ENTRIES]["resource"].to_string()
}

/// What one writer can do when as many requests share a commit as there are connections.
const SQLITE: &[Yardstick] = &[
    yardstick("the created Patient", 1, 1, patient_text),
    yardstick("the created Patient", CONNECTIONS, 1, patient_text),
    yardstick("an entry of the transaction", ENTRIES, 1, entry_text),
    yardstick("the ADT message", 1, 1, message),
    yardstick("the ADT message", 8, 1, message),
    yardstick("the ADT message", 64, 1, message),
];

/// What as many connections can do, each with commits of its own.
const POSTGRES: &[Yardstick] = &[
    yardstick("the created Patient", 1, 1, patient_text),
    yardstick("the created Patient", 1, CONNECTIONS, patient_text),
    yardstick(
        "an entry of the transaction",
        ENTRIES,
        CONNECTIONS,
        entry_text,
    ),
    yardstick("the ADT message", 1, 1, message),
    yardstick("the ADT message", 1, 8, message),
    yardstick("the ADT message", 1, 64, message),
];

/// How durable a commit is, and the rows.
pub(crate) async fn sqlite(path: &Path) -> (String, Vec<Row>) {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await
        .unwrap();
    connection
        .execute("CREATE TABLE r (k INTEGER PRIMARY KEY, t TEXT)")
        .await
        .unwrap();
    let mut rows = Vec::new();
    for yardstick in SQLITE {
        let texts: Vec<String> = (0..yardstick.group).map(yardstick.text).collect();
        let mut times = Vec::new();
        let started = Instant::now();
        while started.elapsed() < PERIOD {
            let begun = Instant::now();
            let mut transaction = connection.begin().await.unwrap();
            for text in &texts {
                sqlx::query("INSERT INTO r (t) VALUES (?)")
                    .bind(text)
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
            }
            transaction.commit().await.unwrap();
            times.extend(std::iter::repeat_n(begun.elapsed(), yardstick.group));
        }
        rows.push(inserted(yardstick, times, started.elapsed()));
    }
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    (format!("WAL, synchronous={synchronous}"), rows)
}

/// How durable a commit is, and the rows.
pub(crate) async fn postgres(url: &str) -> (String, Vec<Row>) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection
        .execute("CREATE TABLE r (k bigserial PRIMARY KEY, t text)")
        .await
        .unwrap();
    let mut rows = Vec::new();
    for yardstick in POSTGRES {
        let mut connections = Vec::new();
        for _ in 0..yardstick.connections {
            connections.push(PgConnection::connect(url).await.unwrap());
        }
        let started = Instant::now();
        let inserting = connections
            .into_iter()
            .map(|connection| insert(connection, yardstick, started));
        let times = futures_util::future::join_all(inserting).await.concat();
        rows.push(inserted(yardstick, times, started.elapsed()));
    }
    let mut settings = Vec::new();
    for setting in ["fsync", "synchronous_commit"] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        settings.push(format!("{setting}={value}"));
    }
    (settings.join(", "), rows)
}

/// Inserts on one connection for a while; gives the time of each row.
async fn insert(
    mut connection: PgConnection,
    yardstick: &Yardstick,
    started: Instant,
) -> Vec<Duration> {
    let texts: Vec<String> = (0..yardstick.group).map(yardstick.text).collect();
    let mut times = Vec::new();
    while started.elapsed() < PERIOD {
        let begun = Instant::now();
        sqlx::query("INSERT INTO r (t) SELECT unnest($1::text[])")
            .bind(&texts)
            .execute(&mut connection)
            .await
            .unwrap();
        times.extend(std::iter::repeat_n(begun.elapsed(), yardstick.group));
    }
    times
}

/// Two empty databases of a server: Baton's and the yardstick's.
pub(crate) async fn postgres_databases(url: &str) -> (String, String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let mut urls = Vec::new();
    for name in ["load_baton", "load_yardstick"] {
        for statement in [
            format!("DROP DATABASE IF EXISTS {name}"),
            format!("CREATE DATABASE {name}"),
        ] {
            connection.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        let (server, query) = url
            .split_once('?')
            .map_or((url, String::new()), |(server, query)| {
                (server, format!("?{query}"))
            });
        let end = server.rfind('/').unwrap();
        urls.push(format!("{}/{name}{query}", &server[..end]));
    }
    (urls.remove(0), urls.remove(0))
}

fn inserted(yardstick: &Yardstick, times: Vec<Duration>, elapsed: Duration) -> Row {
    let Yardstick {
        what,
        group,
        connections,
        ..
    } = yardstick;
    let name = format!("bare insert of {what}, {group} to a commit");
    row(&name, *connections, times, 0, elapsed)
}
