//! The least that a durable create could cost: one row with the same bytes, by the same driver.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};

use crate::rest::patient;
use crate::table::{PERIOD, Row, row};

/// Rows to a commit.
const GROUPS: &[usize] = &[1, 64];

pub(crate) async fn sqlite(path: &Path) -> Vec<Row> {
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
    for &group in GROUPS {
        let mut times = Vec::new();
        let started = Instant::now();
        while started.elapsed() < PERIOD {
            let begun = Instant::now();
            let mut transaction = connection.begin().await.unwrap();
            for number in 0..group {
                sqlx::query("INSERT INTO r (t) VALUES (?)")
                    .bind(patient(number).to_string())
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
            }
            transaction.commit().await.unwrap();
            times.extend(std::iter::repeat_n(begun.elapsed(), group));
        }
        rows.push(inserted(group, times, started.elapsed()));
    }
    rows
}

pub(crate) async fn postgres(url: &str) -> Vec<Row> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection
        .execute("CREATE TABLE r (k bigserial PRIMARY KEY, t text)")
        .await
        .unwrap();
    let mut rows = Vec::new();
    for &group in GROUPS {
        let mut times = Vec::new();
        let started = Instant::now();
        while started.elapsed() < PERIOD {
            let begun = Instant::now();
            let texts: Vec<String> = (0..group)
                .map(|number| patient(number).to_string())
                .collect();
            sqlx::query("INSERT INTO r (t) SELECT unnest($1::text[])")
                .bind(texts)
                .execute(&mut connection)
                .await
                .unwrap();
            times.extend(std::iter::repeat_n(begun.elapsed(), group));
        }
        rows.push(inserted(group, times, started.elapsed()));
    }
    rows
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

fn inserted(group: usize, times: Vec<Duration>, elapsed: Duration) -> Row {
    row(
        &format!("bare insert of the same bytes, {group} to a commit"),
        1,
        times,
        0,
        elapsed,
    )
}
