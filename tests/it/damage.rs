//! A server that is killed during a feed: what was acknowledged is not lost, and has one effect.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use baton::interaction::find;
use baton::search::expression::{Criterion, Filter, Search, TokenCriterion, Total};
use baton::store::{HistoryQuery, HistoryScope, MessageQuery, MessageState, Store};
use fhir_model::key::ResourceType;

use crate::support::child::Process;
use crate::support::mllp::Sender;

/// Times that the server is killed.
const KILLS: usize = 20;
/// Connections that send at once.
const SENDERS: usize = 4;
/// Visits of each connection: admitted, moved, discharged.
const VISITS: usize = 80;
/// Messages of a visit.
const MESSAGES: usize = 3;
/// The inbox may take so long to be worked off at the end.
const PATIENCE: Duration = Duration::from_mins(1);

const SETTINGS: &str = "[[feed]]\nname = \"GENHOSP\"\nzone = \"America/New_York\"\n\
    visit_system = \"urn:visit\"\n[feed.authorities]\nGENHOSP = \"urn:patient\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_during_a_feed_lose_nothing_and_repeat_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let settings = folder.path().join("baton.toml");
    std::fs::write(&settings, SETTINGS).unwrap();
    let mut feeds: Vec<VecDeque<String>> = (0..SENDERS).map(feed).collect();
    let total = SENDERS * VISITS * MESSAGES;
    let mut chance = 20_261_124_u64;
    for round in 0..KILLS {
        let mut process = Process::start(["--data", data], &settings);
        let sent = total - left(&feeds);
        // The kills are spread over the feed; none of them waits for a quiet moment.
        let until = sent + 1 + random(&mut chance, total / (KILLS + 1));
        let acknowledged = AtomicUsize::new(sent);
        thread::scope(|scope| {
            for feed in &mut feeds {
                let (acknowledged, address) = (&acknowledged, process.mllp);
                scope.spawn(move || send_until_broken(feed, address, acknowledged));
            }
            while acknowledged.load(Ordering::SeqCst) < until {
                thread::yield_now();
            }
            process.kill();
        });
        assert!(left(&feeds) > 0, "the feed was over before kill {round}");
    }
    let process = Process::start(["--data", data], &settings);
    for feed in &mut feeds {
        send_until_broken(feed, process.mllp, &AtomicUsize::new(0));
    }
    assert_eq!(
        left(&feeds),
        0,
        "a server that is left alone takes everything"
    );
    until_processed(folder.path(), total).await;
    assert!(process.terminate().success(), "SIGTERM is an orderly stop");
    check_effects(folder.path(), total).await;
}

/// Times that the server is asked to stop.
const STOPS: usize = 3;
/// A stop may take so long.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// An orderly stop takes no longer than what is under way: what was acknowledged is in the inbox, and
/// senders that try again lose nothing.
#[tokio::test(flavor = "multi_thread")]
async fn stopping_during_a_feed_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let settings = folder.path().join("baton.toml");
    std::fs::write(&settings, SETTINGS).unwrap();
    let mut feeds: Vec<VecDeque<String>> = (0..SENDERS).map(feed).collect();
    let total = left(&feeds);
    for stop in 1..=STOPS {
        let process = Process::start(["--data", data], &settings);
        let acknowledged = AtomicUsize::new(total - left(&feeds));
        thread::scope(|scope| {
            for feed in &mut feeds {
                let (acknowledged, address) = (&acknowledged, process.mllp);
                scope.spawn(move || send_until_broken(feed, address, acknowledged));
            }
            while acknowledged.load(Ordering::SeqCst) < total * stop / (STOPS + 1) {
                thread::yield_now();
            }
            let begun = Instant::now();
            assert!(process.terminate().success(), "SIGTERM is an orderly stop");
            assert!(begun.elapsed() < STOP_PATIENCE, "{:?}", begun.elapsed());
        });
        assert!(left(&feeds) > 0, "the feed was over before stop {stop}");
    }
    let process = Process::start(["--data", data], &settings);
    for feed in &mut feeds {
        send_until_broken(feed, process.mllp, &AtomicUsize::new(0));
    }
    assert_eq!(left(&feeds), 0);
    until_processed(folder.path(), total).await;
    assert!(process.terminate().success());
    check_effects(folder.path(), total).await;
}

/// The messages of one connection: visit after visit, in the order in which things happen.
fn feed(sender: usize) -> VecDeque<String> {
    let visits = (0..VISITS).map(|visit| sender * VISITS + visit);
    visits
        .flat_map(|visit| (0..MESSAGES).map(move |step| message(visit, step)))
        .collect()
}

fn message(visit: usize, step: usize) -> String {
    let (event, place, end) = [
        ("A01", "ED", "||||||||||||||||||||||||"),
        ("A02", "4N^401^1", "||||||||||||||||||||||||"),
        ("A03", "4N^401^1", "|||||||||||||||||01|||||||"),
    ][step];
    let second = format!("2026030410000{step}");
    let end_time = if step == 2 { "|20260304110000" } else { "" };
    format!(
        "MSH|^~\\&|APP|GENHOSP|BATON|RPC|{second}||ADT^{event}|M{visit}-{step}|P|2.5.1\r\
         EVN|{event}|{second}\r\
         PID|1||{visit}^^^GENHOSP^MR||EXAMPLE^PERSON{visit}||19500131|F\r\
         PV1|1|I|{place}|C|||||||||||||||V{visit}{end}|20260304100000{end_time}\r"
    )
}

fn left(feeds: &[VecDeque<String>]) -> usize {
    feeds.iter().map(VecDeque::len).sum()
}

/// Sends until the feed is over or the connection breaks; what was not acknowledged stays in it.
fn send_until_broken(
    feed: &mut VecDeque<String>,
    address: std::net::SocketAddr,
    acknowledged: &AtomicUsize,
) {
    let Ok(mut sender) = Sender::connect(address) else {
        return;
    };
    while let Some(message) = feed.front() {
        let Ok((code, control_id)) = sender.send(message) else {
            return;
        };
        assert_eq!(code, "AA");
        assert!(message.contains(&format!("|{control_id}|")));
        feed.pop_front();
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

/// A number below `limit`, the next of a fixed sequence.
fn random(state: &mut u64, limit: usize) -> usize {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap() % limit
}

async fn until_processed(folder: &Path, total: usize) {
    let store = open(folder).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let counts = store.message_counts().await.unwrap();
        let processed: u64 = counts
            .iter()
            .filter(|(_, state, _)| *state == MessageState::Processed)
            .map(|(.., count)| count)
            .sum();
        if usize::try_from(processed).unwrap() == total {
            break;
        }
        assert!(Instant::now() < deadline, "{counts:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.close().await;
}

async fn open(folder: &Path) -> Store {
    let url = format!("sqlite:{}", folder.join("baton.sqlite").display());
    Store::open(&url).await.unwrap()
}

async fn check_effects(folder: &Path, total: usize) {
    let store = open(folder).await;
    let query = MessageQuery {
        count: u32::MAX,
        ..MessageQuery::default()
    };
    let messages = store.messages(&query).await.unwrap();
    assert_eq!(messages.len(), total, "each message is in the inbox once");
    assert!(
        messages
            .iter()
            .all(|stored| stored.message.state == MessageState::Processed)
    );
    for visit in 0..SENDERS * VISITS {
        let found = one(&store, "Encounter", &format!("V{visit}")).await;
        assert_eq!(found.text["status"], "finished");
        assert_eq!(
            found.versions, MESSAGES,
            "one version for each message of visit {visit}"
        );
        let patient = one(&store, "Patient", &visit.to_string()).await;
        assert_eq!(patient.versions, 1);
    }
    assert_eq!(
        count(&store, "Provenance").await,
        total,
        "one Provenance for each message"
    );
    store.close().await;
}

struct Found {
    text: serde_json::Value,
    versions: usize,
}

/// The one resource with an identifier.
async fn one(store: &Store, resource_type: &str, identifier: &str) -> Found {
    let criterion = Criterion::Token(TokenCriterion::Code(identifier.to_owned()));
    let search = search(
        resource_type,
        vec![find::any(resource_type, "identifier", vec![criterion])],
    );
    let page = store.search(&search).await.unwrap();
    assert_eq!(page.matches.len(), 1, "{resource_type} {identifier}");
    let query = HistoryQuery {
        scope: HistoryScope::Instance(page.matches[0].key.clone()),
        since: None,
        count: 100,
        before: None,
    };
    let versions = store.history(&query).await.unwrap().versions.len();
    let text = serde_json::from_str(page.matches[0].text.as_deref().unwrap()).unwrap();
    Found { text, versions }
}

async fn count(store: &Store, resource_type: &str) -> usize {
    let mut search = search(resource_type, Vec::new());
    search.total = Total::Only;
    let total = store.search(&search).await.unwrap().total.unwrap();
    usize::try_from(total).unwrap()
}

fn search(resource_type: &str, filters: Vec<Filter>) -> Search {
    Search {
        types: ResourceType::parse(resource_type).unwrap().into(),
        filters,
        sort: Vec::new(),
        count: 10,
        after: None,
        includes: Vec::new(),
        revincludes: Vec::new(),
        total: Total::None,
    }
}
