//! How fast a whole Baton is beside the least that could do the same, measured in one run:
//! `WITH_POSTGRES_FSYNC=on scripts/with-postgres cargo bench --bench load`.
//!
//! Without that variable the throw-away PostgreSQL does not wait for the disk; the heading of each
//! table says how durable a commit was, as the database itself tells it.
//! The server is a process of its own; client, server and database share the machine's cores, so
//! read the ratios. Yardsticks: an axum handler that returns the same bytes, and an insert of the
//! same bytes by the same driver, with as many rows to a commit as the server's requests can share
//! (SQLite) and on as many connections (PostgreSQL).
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark prints, and may panic"
)]

mod adt;
#[path = "../../tests/it/support/child.rs"]
#[expect(dead_code, reason = "only the tests kill a server")]
mod child;
#[path = "../../tests/it/support/mllp.rs"]
mod mllp;
mod rest;
mod start;
mod table;
mod yardstick;

use std::path::Path;

use crate::child::Process;
use crate::table::Row;

/// Connections that ask at once, unless a row says otherwise.
const CONNECTIONS: usize = 16;

const SETTINGS: &str = "[[feed]]\nname = \"GENHOSP\"\nzone = \"America/New_York\"\n\
    visit_system = \"urn:visit\"\n[feed.authorities]\nGENHOSP = \"urn:patient\"\n";

#[tokio::main]
async fn main() {
    baton::package::install_tls();
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("baton.toml");
    std::fs::write(&settings, SETTINGS).unwrap();
    println!(
        "Client, server and database share {} cores.\n\n{}",
        std::thread::available_parallelism().unwrap(),
        start::measure(&settings)
    );
    let data = folder.path().join("records");
    let data = data.to_str().unwrap();
    let (durability, yardsticks) = yardstick::sqlite(&folder.path().join("yardstick.db")).await;
    let name = format!("SQLite ({durability})");
    report(&name, ["--data", data], &settings, yardsticks).await;
    match std::env::var_os("TEST_POSTGRES_URL") {
        Some(url) => {
            let (own, yard) = yardstick::postgres_databases(url.to_str().unwrap()).await;
            let (durability, yardsticks) = yardstick::postgres(&yard).await;
            let name = format!("PostgreSQL ({durability})");
            report(&name, ["--database", &own], &settings, yardsticks).await;
        }
        None => println!("PostgreSQL left out: TEST_POSTGRES_URL is not set"),
    }
}

async fn report(name: &str, place: [&str; 2], settings: &Path, mut rows: Vec<Row>) {
    let process = Process::start(place, settings);
    rows.extend(rest::rows(process.http).await);
    rows.extend(adt::rows(&process).await);
    drop(process);
    println!("{}", table::print(name, &rows));
}
