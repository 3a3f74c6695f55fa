//! Wire-level MLLP cases: what is written to a connection, and what must come back.
//!
//! The cases come from the shared data folder (`$BATON_SHARED_DATA`, else `../shared/data`); where
//! it is missing, a line says so. `stored` counts what was not refused; `stored_raw` all that is
//! in the inbox. What the cases say of warnings, logs and memory is left out.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use baton::store::{MessageQuery, MessageState, StoredMessage};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use crate::support::mllp::msa;
use crate::support::server::{Baton, each};
use crate::support::shared;

/// The limits of the server in these cases.
const FRAME_BYTES_MAX: usize = 1 << 20;
const FRAME_TIMEOUT: Duration = Duration::from_secs(2);
/// Cases that are played at once: most of their time is waiting.
const CASES_AT_ONCE: usize = 10;
/// When nothing has come for so long, nothing comes.
const QUIET: Duration = Duration::from_millis(700);
/// A write without a CR after its FS is taken as whole after two seconds of grace.
const GRACE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn every_wire_case_is_answered_as_it_must_be() {
    let Some(cases) = cases() else { return };
    assert_eq!(each(&cases, "cases").count(), 30);
    let problems = stream::iter(each(&cases, "cases").cloned())
        .map(problem)
        .buffer_unordered(CASES_AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let failures: Vec<String> = problems.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Plays one case against a server of its own; gives what is wrong.
async fn problem(case: Value) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("wire.db").display());
    let baton = Baton::start(&url, &settings(), "2025-03-14T20:00:00Z").await;
    let address = baton.mllp();
    let expect = case["expect"].clone();
    let name = case["id"].as_str().unwrap().to_owned();
    let outcome = tokio::task::spawn_blocking(move || play(address, &case))
        .await
        .unwrap();
    baton.settle().await;
    let query = MessageQuery {
        count: 100,
        ..MessageQuery::default()
    };
    let inbox = baton.services().store.messages(&query).await.unwrap();
    let mut problem = Seen { outcome, inbox }.check(&expect).err();
    if let Some(family) = expect["family"].as_str()
        && baton
            .search(&format!("Patient?family:exact={family}"))
            .await
            .len()
            != 1
    {
        problem = Some(format!("nobody is called {family}"));
    }
    // Each message that has effects leaves one Provenance.
    if let Some(effects) = expect["effects"].as_u64() {
        let found = baton.search("Provenance").await.len();
        if usize::try_from(effects).unwrap() != found {
            problem = Some(format!("{effects} effects are expected, {found} came"));
        }
    }
    baton.stop().await;
    problem.map(|problem| format!("{name}: {problem}"))
}

fn settings() -> String {
    format!(
        "[intake]\nunknown_sender = \"accept\"\nframe_bytes_max = {FRAME_BYTES_MAX}\n\
         frame_timeout_secs = {}\n",
        FRAME_TIMEOUT.as_secs()
    )
}

fn cases() -> Option<Value> {
    let data = shared::folder();
    let path = data.join("adt/framing.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        shared::say("wire cases left out: the shared data folder is missing");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// What came back on the connection.
struct Outcome {
    acknowledgements: Vec<(String, String)>,
    is_closed: bool,
}

fn play(address: SocketAddr, case: &Value) -> Outcome {
    if case["reset"] == true {
        let stream = write(address, case);
        reset(stream);
        std::thread::sleep(QUIET);
        // The sender never learns what became of the message, so it sends it again.
    }
    let mut stream = write(address, case);
    let must_close = case["expect"]["closed"] == true || case["expect"]["one_of"].is_array();
    read(
        &mut stream,
        if must_close {
            FRAME_TIMEOUT + GRACE
        } else {
            GRACE
        },
    )
}

/// Ends a connection as a crash does: RST, nothing more is sent or taken.
fn reset(stream: TcpStream) {
    stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    stream.set_zero_linger().unwrap();
}

fn write(address: SocketAddr, case: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    for write in each(case, "writes") {
        // The server may have hung up already: that is an outcome, not a failure of the test.
        let _ = stream.write_all(&decode(write["b64"].as_str().unwrap()));
        let pause = write["delay_ms"].as_u64().unwrap();
        std::thread::sleep(Duration::from_millis(pause.min(600)));
    }
    if let Some(append) = case.get("append") {
        let byte = u8::try_from(append["byte"].as_u64().unwrap()).unwrap();
        let chunk = vec![byte; 64 * 1024];
        for _ in 0..(FRAME_BYTES_MAX + (1 << 20)) / chunk.len() {
            if stream.write_all(&chunk).is_err() {
                break;
            }
        }
    }
    stream
}

/// Reads until the peer closes, or nothing has come for a while.
fn read(stream: &mut TcpStream, patience: Duration) -> Outcome {
    stream.set_read_timeout(Some(QUIET)).unwrap();
    let started = Instant::now();
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let is_closed = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if started.elapsed() > patience || (!bytes.is_empty() && patience == GRACE) {
                    break false;
                }
            }
            Err(_) => break true,
        }
    };
    let frames = bytes
        .split(|byte| *byte == 0x0b)
        .filter(|frame| !frame.is_empty());
    Outcome {
        acknowledgements: frames.map(msa).collect(),
        is_closed,
    }
}

/// What is to be compared with an expectation.
struct Seen {
    outcome: Outcome,
    inbox: Vec<StoredMessage>,
}

impl Seen {
    fn check(&self, expect: &Value) -> Result<(), String> {
        if let Some(alternatives) = expect["one_of"].as_array() {
            let problems: Vec<String> = alternatives
                .iter()
                .filter_map(|expect| self.check(expect).err())
                .collect();
            if problems.len() == alternatives.len() {
                return Err(problems.join(" / "));
            }
        }
        for lost in each(expect, "never_positive") {
            let answered =
                |(code, id): &(String, String)| id == lost.as_str().unwrap() && is_positive(code);
            if self.outcome.acknowledgements.iter().any(answered) {
                return Err(format!("a lost message was acknowledged: {lost}"));
            }
        }
        if expect["replay_safe"] == true
            && !matches!(self.outcome.acknowledgements.as_slice(), [(code, _)] if is_positive(code))
        {
            return Err("the message sent again is not acknowledged once".to_owned());
        }
        self.check_acknowledgements(&expect["acks"])?;
        self.check_inbox(expect)?;
        match (expect.get("open"), expect.get("closed")) {
            (Some(_), _) if self.outcome.is_closed => Err("the connection was closed".to_owned()),
            (_, Some(_)) if !self.outcome.is_closed => Err("the connection stayed open".to_owned()),
            _ => Ok(()),
        }
    }

    fn check_acknowledgements(&self, expected: &Value) -> Result<(), String> {
        let found = &self.outcome.acknowledgements;
        let is_right = match expected {
            Value::String(_) if found.len() > 1 => false,
            Value::String(words) if words == "none_or_negative" => {
                found.iter().all(|(code, _)| !is_positive(code))
            }
            // Positive or negative both; what matters then is the inbox.
            Value::Null | Value::String(_) => true,
            expected => {
                let expected = expected.as_array().unwrap();
                expected.len() == found.len()
                    && expected
                        .iter()
                        .zip(found)
                        .all(|(expected, (code, control_id))| {
                            let codes = expected["msa1"].as_str().unwrap();
                            let id_is_right = expected["msa2"]
                                .as_str()
                                .is_none_or(|wanted| wanted == control_id);
                            id_is_right && codes.split('|').any(|wanted| wanted == code)
                        })
            }
        };
        if is_right {
            Ok(())
        } else {
            Err(format!("{expected} is expected, {found:?} came"))
        }
    }

    fn check_inbox(&self, expect: &Value) -> Result<(), String> {
        let states: Vec<MessageState> = self
            .inbox
            .iter()
            .map(|stored| stored.message.state)
            .collect();
        let refused = |stored: &&StoredMessage| is_negative(&stored.message.acknowledgement);
        let accepted = self.inbox.len() - self.inbox.iter().filter(refused).count();
        if let Some(stored) = expect["stored"].as_u64()
            && usize::try_from(stored).unwrap() != accepted
        {
            return Err(format!(
                "{stored} accepted messages are expected: {states:?}"
            ));
        }
        let is_merged = |stored: &StoredMessage| {
            let bytes = stored.message.bytes.windows(4);
            bytes.filter(|bytes| *bytes == b"MSH|").count() > 1
        };
        if expect["never_merge"] == true && self.inbox.iter().any(is_merged) {
            return Err("two messages became one".to_owned());
        }
        if expect["stored_raw"] == true && states.is_empty() {
            return Err("the bytes are not in the inbox".to_owned());
        }
        let must_be_kept = expect["status"] == "error" || expect["status_not"] == "processed";
        if must_be_kept && states != [MessageState::SetAside] {
            return Err(format!("an operator must see the message: {states:?}"));
        }
        Ok(())
    }
}

fn is_positive(code: &str) -> bool {
    matches!(code, "AA" | "CA")
}

fn is_negative(code: &str) -> bool {
    matches!(code, "AE" | "AR" | "CE" | "CR")
}

/// Base64 (RFC 4648).
fn decode(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter(|byte| *byte != b'=').map(|byte| {
        u32::try_from(ALPHABET.iter().position(|digit| *digit == byte).unwrap()).unwrap()
    });
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits {
        bits = (bits << 6) | digit;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).unwrap());
        }
    }
    bytes
}
