//! Sends every file of a folder of HL7 v2 messages through a running Baton, over MLLP, and says
//! which were answered as they must be: `conformance/adt-samples FOLDER`.
//!
//! The expectations of `expectation.rs` come from the requirements of the intake and read the bytes
//! by themselves; nothing of the server's own parsing is used. Prints a report in Markdown and fails
//! when an answer is not the expected one, when none comes in time, or when anything panics.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a conformance run prints, and may panic"
)]

mod expectation;
mod report;
mod wire;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use baton::clock::Clock;
use baton::config::Config;
use baton::server::Server;
use baton::store::{MessageQuery, MessageState, StoredMessage};

use crate::expectation::Expectation;

/// Every sender is taken by the built-in feed, with every processing id.
const SETTINGS: &str = "[intake]\nunknown_sender = \"accept\"\n";

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// One frame of a file, what must come of it and what came.
pub(crate) struct Sample {
    file: String,
    /// Which frame of the file, from 1, and how many it has.
    place: (usize, usize),
    expected: Expectation,
    outcome: Outcome,
}

/// What came of a frame.
pub(crate) struct Outcome {
    /// MSA-1; `none`, or `none in time` when the connection did not end.
    answer: String,
    /// What is wrong with the header of the answer.
    misnamed: Option<&'static str>,
    /// The state in the inbox, and the reason, if it is there.
    inbox: Option<(MessageState, String)>,
    took: Duration,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(folder) = arguments.next() else {
        println!("usage: adt_samples FOLDER [DATABASE]");
        return ExitCode::from(64);
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        hook(panic);
    }));
    let records = tempfile::tempdir().unwrap();
    let database = arguments.next().map_or_else(
        || format!("sqlite:{}", records.path().join("samples.sqlite").display()),
        |url| url.to_string_lossy().into_owned(),
    );
    let started = Instant::now();
    let samples = play(&files(&folder), &database).await;
    let panics = PANICS.load(Ordering::SeqCst);
    println!("{}", report::print(&samples, panics, started.elapsed()));
    if panics == 0 && samples.iter().all(Sample::is_as_expected) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|ending| ending == "hl7"))
        .collect();
    files.sort();
    files
}

/// Sends the files one after another, each frame on a connection of its own, to one server.
async fn play(files: &[PathBuf], database: &str) -> Vec<Sample> {
    let server = Server::start(config(database), Clock::System)
        .await
        .unwrap();
    let mut sent = Vec::new();
    for path in files {
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(path).unwrap();
        let frames = wire::frames(&file, &bytes);
        for (index, frame) in frames.iter().enumerate() {
            let answer = wire::send(server.mllp, frame).await;
            let place = (index + 1, frames.len());
            sent.push((file.clone(), place, frame.clone(), answer));
        }
    }
    server.settle().await.unwrap();
    let inbox = inbox(&server).await;
    server.stop().await;
    let answers = sent.iter().filter_map(|(.., answer)| answer.control_id());
    let mut control_ids: Vec<Vec<u8>> = answers.collect();
    let count = control_ids.len();
    control_ids.sort();
    control_ids.dedup();
    assert_eq!(
        control_ids.len(),
        count,
        "each answer has a MSH-10 of its own (R4)"
    );
    sent.into_iter()
        .map(|(file, place, frame, answer)| Sample {
            file,
            place,
            expected: expectation::of(&frame),
            outcome: Outcome {
                misnamed: answer.misnames(&frame),
                answer: answer.code,
                inbox: inbox.get(&frame).map(|stored| {
                    let message = &stored.message;
                    (message.state, message.reason.clone())
                }),
                took: answer.took,
            },
        })
        .collect()
}

fn config(database: &str) -> Config {
    let mut config = Config::parse(SETTINGS).unwrap();
    config.listen.http = "127.0.0.1:0".into();
    config.listen.mllp = "127.0.0.1:0".into();
    config.store.database = Some(database.into());
    config
}

/// The inbox by what was received: two files with the same bytes share a row.
async fn inbox(server: &Server) -> HashMap<Vec<u8>, StoredMessage> {
    let query = MessageQuery {
        count: u32::MAX,
        ..MessageQuery::default()
    };
    let messages = server.live.current().store.messages(&query).await.unwrap();
    messages
        .into_iter()
        .map(|stored| (stored.message.bytes.clone(), stored))
        .collect()
}

impl Sample {
    /// Whether answer and inbox are as they must be.
    fn is_as_expected(&self) -> bool {
        let state = self.outcome.inbox.as_ref().map(|(state, _)| *state);
        self.outcome.misnamed.is_none()
            && self
                .expected
                .answers
                .contains(&self.outcome.answer.as_str())
            && self.expected.states.contains(&state)
    }
}
