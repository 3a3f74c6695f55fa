//! How fast the Synthea patients load by transaction, and how many bytes they take:
//! `WITH_POSTGRES_FSYNC=on scripts/with-postgres cargo bench --bench synthea`.
//!
//! The bundles (samply/blaze's test data: 120 synthetic patients, 92,114 resources) are read from
//! `$BATON_SHARED_DATA/synthea`, else `../shared/data/synthea`; `SYNTHEA_PATIENTS=12` takes the
//! small archive. The yardstick inserts the same texts, uncompressed and found by nothing, in
//! transactions of the same size. What is printed stands in `conformance/report.md`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark prints, and may panic"
)]

#[path = "../../tests/it/support/child.rs"]
#[expect(dead_code, reason = "only the tests kill a server")]
mod child;
mod size;
#[path = "../load/table.rs"]
#[expect(dead_code, reason = "only one of its measures is taken here")]
mod table;
mod yardstick;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use reqwest::Client;
use serde_json::Value;

use crate::child::Process;

/// Bundles that are sent at once, after those that all others refer to.
const CONNECTIONS: usize = 4;
/// The settings of the server: a large transaction may take its time.
const SETTINGS: &str = "[rest]\ntimeout_secs = 600\n";
const TIMEOUT: Duration = Duration::from_mins(10);

/// A transaction or a batch.
pub(crate) struct Bundle {
    name: String,
    text: String,
    pub(crate) entries: usize,
}

#[tokio::main]
async fn main() {
    baton::package::install_tls();
    let folder = data();
    let patients = variable("SYNTHEA_PATIENTS").unwrap_or_else(|| "120".into());
    let archive = folder.join(format!("synthea-r4-{patients}-patients.tar.zst"));
    if !archive.is_file() {
        println!("Synthea left out: there is no {}", archive.display());
        return;
    }
    let bundles = bundles(&archive);
    let work = tempfile::tempdir().unwrap();
    let settings = work.path().join("baton.toml");
    std::fs::write(&settings, SETTINGS).unwrap();
    let records = work.path().join("records");
    let records = records.to_str().unwrap().to_owned();
    println!("<!-- synthea -->\n");
    let yard = yardstick::sqlite(&work.path().join("yardstick.db"), &bundles).await;
    let loaded = load(["--data", &records], &settings, &bundles, &folder).await;
    let size = size::sqlite(&format!("{records}/baton.sqlite")).await;
    print("SQLite", &patients, &yard, &loaded, &size);
    match variable("TEST_POSTGRES_URL") {
        Some(url) => {
            let [own, yard] = yardstick::databases(&url).await;
            let yard = yardstick::postgres(&yard, &bundles).await;
            let loaded = load(["--database", &own], &settings, &bundles, &folder).await;
            let size = size::postgres(&own).await;
            print("PostgreSQL", &patients, &yard, &loaded, &size);
        }
        None => println!("PostgreSQL left out: TEST_POSTGRES_URL is not set"),
    }
    println!("<!-- end of synthea -->");
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok())
}

fn data() -> PathBuf {
    let folder = variable("BATON_SHARED_DATA").unwrap_or_else(|| "../shared/data".into());
    Path::new(&folder).join("synthea")
}

/// The bundles of an archive; those that others refer to by condition have names that begin with 0.
fn bundles(archive: &Path) -> Vec<Bundle> {
    let file = std::fs::File::open(archive).unwrap();
    let mut archive = tar::Archive::new(zstd::stream::read::Decoder::new(file).unwrap());
    let mut bundles = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        bundles.push(Bundle {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            entries: value["entry"].as_array().unwrap().len(),
            text,
        });
    }
    bundles.sort_by(|one, other| one.name.cmp(&other.name));
    bundles
}

/// What a run of the server gave.
struct Loaded {
    resources: usize,
    elapsed: Duration,
    failed: Vec<String>,
    reads: table::Row,
    large: String,
}

async fn load(place: [&str; 2], settings: &Path, bundles: &[Bundle], folder: &Path) -> Loaded {
    let process = Process::start(place, settings);
    let client = Client::builder().timeout(TIMEOUT).build().unwrap();
    let base = format!("http://{}/fhir", process.http);
    let (first, others): (Vec<&Bundle>, Vec<&Bundle>) = bundles
        .iter()
        .partition(|bundle| bundle.name.starts_with("0-"));
    let started = Instant::now();
    let mut failed = Vec::new();
    for bundle in first {
        failed.extend(send(&client, &base, bundle).await);
    }
    let answers: Vec<Option<String>> = stream::iter(others)
        .map(|bundle| send(&client, &base, bundle))
        .buffer_unordered(CONNECTIONS)
        .collect()
        .await;
    failed.extend(answers.into_iter().flatten());
    let elapsed = started.elapsed();
    let reads = reads(&client, &base).await;
    // In a database of its own, so that the sizes are those of the patients.
    let large = folder.join("synthea-r4-one-big-transaction.json.zst");
    let large = large_transaction(&client, settings, &large, bundles).await;
    assert!(process.terminate().success());
    Loaded {
        resources: bundles.iter().map(|bundle| bundle.entries).sum(),
        elapsed,
        failed,
        reads,
        large,
    }
}

/// Sends a bundle; says what went wrong.
async fn send(client: &Client, base: &str, bundle: &Bundle) -> Option<String> {
    let answer = client
        .post(base)
        .header("Content-Type", "application/fhir+json")
        .header("Prefer", "return=minimal")
        .body(bundle.text.clone())
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    let all_well = status == 200 && !text.contains(r#""status":"4"#);
    (!all_well).then(|| format!("{}: {status} {}", bundle.name, first_chars(&text)))
}

fn first_chars(text: &str) -> &str {
    text.get(..text.floor_char_boundary(300))
        .unwrap_or_default()
}

async fn reads(client: &Client, base: &str) -> table::Row {
    let page = client
        .get(format!("{base}/Observation?_count=500"))
        .send()
        .await
        .unwrap();
    let page: Value = serde_json::from_str(&page.text().await.unwrap()).unwrap();
    let urls: Vec<String> = page["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            format!(
                "{base}/Observation/{}",
                entry["resource"]["id"].as_str().unwrap()
            )
        })
        .collect();
    let client = client.clone();
    table::measure("read by id", 16, move |number| {
        let request = client.get(&urls[number % urls.len()]);
        async move {
            match request.send().await {
                Ok(answer) => answer.status() == 200 && answer.bytes().await.is_ok(),
                Err(_) => false,
            }
        }
    })
    .await
}

/// The transaction of 25,000 entries, on a SQLite database that has only what it refers to.
async fn large_transaction(
    client: &Client,
    settings: &Path,
    file: &Path,
    bundles: &[Bundle],
) -> String {
    let Ok(file) = std::fs::File::open(file) else {
        return "left out".into();
    };
    let mut text = String::new();
    zstd::stream::read::Decoder::new(file)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(["--data", folder.path().to_str().unwrap()], settings);
    let bundle = Bundle {
        name: "25,000 entries".into(),
        text,
        entries: 25_000,
    };
    let base = format!("http://{}/fhir", process.http);
    for first in bundles.iter().filter(|it| it.name.starts_with("0-")) {
        if let Some(reason) = send(client, &base, first).await {
            return reason;
        }
    }
    let started = Instant::now();
    let answer = send(client, &base, &bundle).await;
    let seconds = started.elapsed().as_secs_f64();
    let what = answer.unwrap_or_else(|| "loaded".into());
    format!(
        "{what} in {seconds:.1} s, memory at its peak {}",
        peak(process.id())
    )
}

/// The largest memory of a process so far, where Linux says it.
fn peak(id: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or("unknown", str::trim).to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn print(
    name: &str,
    patients: &str,
    yard: &yardstick::Yardstick,
    loaded: &Loaded,
    size: &size::Size,
) {
    let resources = loaded.resources as f64;
    let seconds = loaded.elapsed.as_secs_f64();
    println!(
        "### {name}: {patients} Synthea patients\n\n\
         {} resources by transaction on {CONNECTIONS} connections: {:.0} resources/s; \
         bare insert of the same texts: {:.0}/s. Read by id afterwards: {:.0}/s. \
         A transaction of 25,000 entries (SQLite): {}.\n\n\
         {} resources take {:.0} bytes each, indexes, history and audit included; \
         their texts alone, inserted bare: {:.0}.\n",
        loaded.resources,
        resources / seconds,
        yard.per_second,
        loaded.reads.per_second,
        loaded.large,
        size.resources,
        size.bytes as f64 / size.resources as f64,
        yard.bytes as f64 / yard.rows as f64,
    );
    for failed in &loaded.failed {
        println!("failed: {failed}");
    }
    println!("| table or index | bytes per resource |\n|---|---:|");
    for (name, bytes) in &size.parts {
        let each = *bytes as f64 / size.resources as f64;
        if each >= 1.0 {
            println!("| {name} | {each:.0} |");
        }
    }
    println!();
}
