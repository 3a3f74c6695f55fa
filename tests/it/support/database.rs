//! A database of its own for each test, on each engine that is there.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::Once;

use baton::store::Store;
use futures_util::FutureExt as _;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

/// Names the PostgreSQL server to test on; without it PostgreSQL is left out, and a line says so.
const TEST_POSTGRES_URL: &str = "TEST_POSTGRES_URL";

/// Runs a test on an empty database of SQLite, and of PostgreSQL where there is one.
pub(crate) async fn on_each_engine<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    on_each_url(async |url| {
        let store = Store::open(&url).await.unwrap();
        test(store.clone()).await;
        store.close().await;
    })
    .await;
}

/// Runs a test with the URL of an empty database: of SQLite, and of PostgreSQL where there is one.
pub(crate) async fn on_each_url(test: impl AsyncFn(String)) {
    let directory = tempfile::tempdir().unwrap();
    test(format!(
        "sqlite:{}",
        directory.path().join("store.db").display()
    ))
    .await;
    match postgres_url() {
        Some(server) => on_postgres(&server, &test).await,
        None => say_left_out(),
    }
}

/// Says once, past the test harness's capture, that PostgreSQL was left out.
fn say_left_out() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let _ = writeln!(
            std::io::stderr(),
            "PostgreSQL left out: {TEST_POSTGRES_URL} is not set"
        );
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration to read it from"
)]
pub(crate) fn postgres_url() -> Option<String> {
    std::env::var(TEST_POSTGRES_URL).ok()
}

async fn on_postgres(server: &str, test: &impl AsyncFn(String)) {
    let mut admin = PgConnection::connect(server).await.unwrap();
    let name = format!("test_{}", Uuid::new_v4().simple());
    admin
        .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .await
        .unwrap();
    let outcome = AssertUnwindSafe(test(with_database(server, &name)))
        .catch_unwind()
        .await;
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    admin.execute(AssertSqlSafe(drop)).await.unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// `postgres://…/name?…` with another database name.
fn with_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').unwrap_or((server, ""));
    let (host, _) = address.rsplit_once('/').unwrap();
    format!("{host}/{name}?{query}")
}
