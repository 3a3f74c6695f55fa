//! The least that loading could cost: the same texts in a table with a key and nothing else.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};

use crate::Bundle;

/// What the bare insert gave.
pub(crate) struct Yardstick {
    pub(crate) rows: usize,
    pub(crate) per_second: f64,
    pub(crate) bytes: i64,
}

/// The texts of a bundle's resources.
fn texts(bundle: &Bundle) -> Vec<String> {
    let value: Value = serde_json::from_str(&bundle.text).unwrap();
    let entries = value["entry"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry["resource"].to_string())
        .collect()
}

pub(crate) async fn sqlite(path: &Path, bundles: &[Bundle]) -> Yardstick {
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
    let (mut rows, mut seconds) = (0, 0.0);
    for bundle in bundles {
        let texts = texts(bundle);
        let started = Instant::now();
        let mut transaction = connection.begin().await.unwrap();
        for text in &texts {
            sqlx::query("INSERT INTO r (t) VALUES (?)")
                .bind(text)
                .execute(&mut *transaction)
                .await
                .unwrap();
        }
        transaction.commit().await.unwrap();
        seconds += started.elapsed().as_secs_f64();
        rows += texts.len();
    }
    connection.close().await.unwrap();
    let bytes = std::fs::metadata(path).unwrap().len();
    yardstick(rows, seconds, bytes.try_into().unwrap())
}

pub(crate) async fn postgres(url: &str, bundles: &[Bundle]) -> Yardstick {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection
        .execute("CREATE TABLE r (k bigserial PRIMARY KEY, t text)")
        .await
        .unwrap();
    let (mut rows, mut seconds) = (0, 0.0);
    for bundle in bundles {
        let texts = texts(bundle);
        let started = Instant::now();
        sqlx::query("INSERT INTO r (t) SELECT unnest($1::text[])")
            .bind(&texts)
            .execute(&mut connection)
            .await
            .unwrap();
        seconds += started.elapsed().as_secs_f64();
        rows += texts.len();
    }
    let bytes = sqlx::query_scalar("SELECT pg_total_relation_size('r')")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    yardstick(rows, seconds, bytes)
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn yardstick(rows: usize, seconds: f64, bytes: i64) -> Yardstick {
    Yardstick {
        rows,
        per_second: rows as f64 / seconds,
        bytes,
    }
}

/// Two empty databases of a server: Baton's and the yardstick's.
pub(crate) async fn databases(url: &str) -> [String; 2] {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let (server, query) = url.split_once('?').unwrap_or((url, ""));
    let end = server.rfind('/').unwrap();
    let mut urls = [String::new(), String::new()];
    for (own, name) in urls.iter_mut().zip(["synthea_baton", "synthea_yardstick"]) {
        for statement in [
            format!("DROP DATABASE IF EXISTS {name}"),
            format!("CREATE DATABASE {name}"),
        ] {
            connection.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        *own = format!("{}/{name}?{query}", &server[..end]);
    }
    urls
}
