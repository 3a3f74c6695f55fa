//! Every file of a folder of HL7 v2 samples goes through a running server; the outcomes are counted.
//!
//! `conformance/adt-samples [FOLDER]` runs it (the folder of the shared data is
//! `../shared/data/adt/messages`). Prints the tables of `conformance/report.md`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that measures prints, and may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use baton::clock::Clock;
use baton::config::Config;
use baton::server::Server;
use baton::store::{MessageQuery, MessageState};
use hl7v2::mllp::{Decoder, Event, Limits, encode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer that does not come for so long does not come.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows of the inbox: more than any folder has messages.
const INBOX_ROWS: u32 = 1_000_000;

const SETTINGS: &str = "[intake]\nunknown_sender = \"accept\"\n";

#[tokio::main]
async fn main() {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.expect("usage: adt_samples FOLDER");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder can be read")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "hl7"))
        .collect();
    files.sort();

    let records = tempfile::tempdir().unwrap();
    let mut config = Config::parse(SETTINGS).unwrap();
    config.listen.http = "127.0.0.1:0".into();
    config.listen.mllp = "127.0.0.1:0".into();
    config.store.database = Some(format!(
        "sqlite:{}",
        records.path().join("samples.db").display()
    ));
    let server = Server::start(config, Clock::System).await.unwrap();
    let started = Instant::now();
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    let mut sent = 0_usize;
    for path in &files {
        let bytes = std::fs::read(path).unwrap();
        for frame in frames(&bytes) {
            let answer = send(&server, frame).await;
            *answers.entry(answer).or_default() += 1;
            sent += 1;
        }
    }
    server.settle().await.unwrap();
    let elapsed = started.elapsed();
    print(&answers, "answer");
    print(&inbox(&server).await, "in the inbox");
    println!(
        "{} files, {sent} frames, {:.1} s; no panic, no hang.",
        files.len(),
        elapsed.as_secs_f64()
    );
    server.stop().await;
}

/// The frames of a file: its messages one by one, or the file as it is where it holds none.
fn frames(bytes: &[u8]) -> Vec<&[u8]> {
    let batch = hl7v2::batch::split(bytes);
    let messages: Vec<&[u8]> = batch.messages().collect();
    if messages.is_empty() {
        vec![bytes]
    } else {
        messages
    }
}

/// Sends a frame on a connection of its own, as many engines do; gives the code and what is wrong.
async fn send(server: &Server, frame: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.mllp).await.unwrap();
    stream.write_all(&encode(frame)).await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, read(&mut stream))
        .await
        .ok()
        .flatten();
    let Some(answer) = answer else {
        return "none".to_owned();
    };
    let parsed = hl7v2::parse(&answer).expect("an answer is a message");
    let answer = hl7v2::acknowledgement::read(&parsed.message).expect("and an acknowledgement");
    let mut text = answer.code.as_str().to_owned();
    for error in &answer.errors {
        if let Some(words) = &error.text {
            text.push_str(": ");
            text.push_str(words);
        }
    }
    text
}

async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(Limits::default());
    let mut buffer = [0; 4096];
    loop {
        match decoder.next() {
            Some(Event::Frame(bytes)) => return Some(bytes),
            Some(_) => {}
            None => match stream.read(&mut buffer).await.ok()? {
                0 => return None,
                count => decoder.push(buffer.get(..count)?),
            },
        }
    }
}

/// How the messages stand, with the reason where there is one.
async fn inbox(server: &Server) -> BTreeMap<String, usize> {
    let query = MessageQuery {
        count: INBOX_ROWS,
        ..MessageQuery::default()
    };
    let mut counts = BTreeMap::new();
    for stored in server.services.store.messages(&query).await.unwrap() {
        let message = stored.message;
        let state = match message.state {
            MessageState::Received => "received",
            MessageState::Processed => "processed",
            MessageState::Ignored => "ignored",
            MessageState::SetAside => "set aside",
            MessageState::Failed => "failed",
        };
        let code = if message.acknowledgement.is_empty() {
            "none"
        } else {
            &message.acknowledgement
        };
        let reason = if message.reason.is_empty() {
            String::new()
        } else {
            format!(": {}", message.reason)
        };
        *counts
            .entry(format!("{state}, answered {code}{reason}"))
            .or_default() += 1;
    }
    counts
}

fn print(counts: &BTreeMap<String, usize>, title: &str) {
    println!("| {title} | messages |\n|---|---:|");
    for (name, count) in counts {
        println!("| {name} | {count} |");
    }
    println!();
}
