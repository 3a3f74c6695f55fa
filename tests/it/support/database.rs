//! A database of its own for each test, on each engine that is there.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::Once;

use baton::store::Store;
use futures_util::FutureExt as _;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// Names the PostgreSQL server to test on; without it PostgreSQL is left out, and a line says so.
const TEST_POSTGRES_URL: &str = "TEST_POSTGRES_URL";

/// So many tests may run at the same time; each has a database, which later tests use again.
const DATABASES_MAX: i64 = 64;
/// The advisory locks of the databases are counted from here.
const DATABASE_LOCK: i64 = 0x4261_746f_6e00;

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

/// Runs a test with the URL of an empty database of PostgreSQL, where there is one.
pub(crate) async fn on_postgres_url(test: impl AsyncFn(String)) {
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
    let name = free_database(&mut admin).await;
    let url = with_database(server, &name);
    empty(&mut admin, &name, &url).await;
    let outcome = AssertUnwindSafe(test(url)).catch_unwind().await;
    admin.close().await.unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// The name of a database that no other test uses: a lock on it is held until `admin` is closed.
async fn free_database(admin: &mut PgConnection) -> String {
    for slot in 0..DATABASES_MAX {
        let is_free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(DATABASE_LOCK + slot)
            .fetch_one(&mut *admin)
            .await
            .unwrap();
        if is_free {
            return format!("baton_test_{slot}");
        }
    }
    panic!("{DATABASES_MAX} tests run at the same time");
}

/// Makes a database, or empties it: making one takes long, and meanwhile PostgreSQL gives out no
/// change that is committed anywhere in the cluster.
async fn empty(admin: &mut PgConnection, name: &str, url: &str) {
    let known: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1")
        .bind(name)
        .fetch_optional(&mut *admin)
        .await
        .unwrap();
    if known.is_none() {
        admin
            .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .await
            .unwrap();
        return;
    }
    // A test that failed may have left connections.
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
        .bind(name)
        .execute(&mut *admin)
        .await
        .unwrap();
    let mut inside = PgConnection::connect(url).await.unwrap();
    inside
        .execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await
        .unwrap();
    inside.close().await.unwrap();
}

/// `postgres://…/name?…` with another database name.
fn with_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').unwrap_or((server, ""));
    let (host, _) = address.rsplit_once('/').unwrap();
    format!("{host}/{name}?{query}")
}
