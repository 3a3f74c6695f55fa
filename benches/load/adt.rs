//! Rates of the ADT intake: acknowledged (durable), and processed (effects committed).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::child::Process;
use crate::mllp::Sender;
use crate::table::{PERIOD, Row, counted, row};

/// How many stop-and-wait senders there are at once, from row to row.
const SENDERS: &[usize] = &[1, 8, 64];
/// The inbox may take so long to be worked off.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often the inbox is looked at: rarely enough not to be part of the load.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) async fn rows(process: &Process) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let mut rows = Vec::new();
    for &senders in SENDERS {
        let before = next.load(Ordering::SeqCst);
        let started = Instant::now();
        let (times, errors) = feed(process.mllp, senders, &next);
        rows.push(row(
            "ADT^A01 acknowledged (stored)",
            senders,
            times,
            errors,
            started.elapsed(),
        ));
        let sent = next.load(Ordering::SeqCst);
        let processed = until_processed(process.http, sent).await - before;
        rows.push(counted(
            "ADT^A01 whole path, to the end of the inbox",
            senders,
            processed,
            sent - before - processed,
            started.elapsed(),
        ));
    }
    rows
}

/// Sends admissions for a while; gives the time of each acknowledgement.
fn feed(address: SocketAddr, senders: usize, next: &AtomicUsize) -> (Vec<Duration>, usize) {
    let started = Instant::now();
    let own = thread::scope(|scope| {
        let workers: Vec<_> = (0..senders)
            .map(|_| {
                scope.spawn(move || {
                    let mut sender = Sender::connect(address).unwrap();
                    let (mut times, mut errors) = (Vec::new(), 0);
                    while started.elapsed() < PERIOD {
                        let begun = Instant::now();
                        let number = next.fetch_add(1, Ordering::SeqCst);
                        match sender.send(&message(number)) {
                            Ok((code, _)) if code == "AA" => times.push(begun.elapsed()),
                            _ => errors += 1,
                        }
                    }
                    (times, errors)
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect::<Vec<_>>()
    });
    let errors = own.iter().map(|(_, errors)| errors).sum();
    (
        own.into_iter().flat_map(|(times, _)| times).collect(),
        errors,
    )
}

/// Waits until every admission is an Encounter; gives how many are.
async fn until_processed(server: SocketAddr, sent: usize) -> usize {
    let url = format!("http://{server}/fhir/Encounter?_summary=count");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let bundle: Value = serde_json::from_str(&text).unwrap();
        let total = usize::try_from(bundle["total"].as_u64().unwrap()).unwrap();
        if total >= sent || Instant::now() > deadline {
            return total;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// An admission such as an interface engine sends.
pub(crate) fn message(number: usize) -> String {
    format!(
        "MSH|^~\\&|APP|GENHOSP|BATON|RPC|20260304100000||ADT^A01^ADT_A01|L{number}|P|2.5.1\r\
         EVN|A01|20260304100000\r\
         PID|1||{number}^^^GENHOSP^MR||EXAMPLE^PERSON{number}^MAY||19500131|F|||1 EXAMPLE STREET^^SPRINGFIELD^NY^12345||5550100\r\
         NK1|1|EXAMPLE^OTHER|SPO|1 EXAMPLE STREET^^SPRINGFIELD^NY^12345|5550101\r\
         PV1|1|I|4N^401^1|C|||1999^CHEN^MAY|||MED|||||||||V{number}|||||||||||||||||||||||||20260304095500\r\
         DG1|1||I50.9^Heart failure, unspecified^I10|||A\r"
    )
}
