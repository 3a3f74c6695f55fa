//! Plays the wire-level cases of `framing.json` to the decoder, the parser and the
//! acknowledgements, where that file is present.
//!
//! The receiver here keeps nothing and has no clock: what the file says about storing, timers and
//! retransmission is left to the tests of the listener.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test may panic, say what it left out, and ask where the cases are"
)]

use std::path::{Path, PathBuf};

use hl7v2::acknowledgement::{
    AckCode, AckError, AckPolicy, Acknowledgement, Disposition, mode, read,
};
use hl7v2::mllp::{Decoder, Event, Limits};
use hl7v2::parse;
use serde_json::Value;

/// `$BATON_SHARED_DATA`, else `../shared/data` beside the repository.
fn cases() -> Option<Vec<Value>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var("BATON_SHARED_DATA").map_or_else(|_| beside(), PathBuf::from);
    let file = data.join("adt/framing.json");
    let Ok(text) = std::fs::read(&file) else {
        println!("left out: the framing cases are not at {}", file.display());
        return None;
    };
    let cases: Value = serde_json::from_slice(&text).unwrap();
    Some(cases.get("cases").unwrap().as_array().unwrap().clone())
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in text.bytes().filter(|byte| *byte != b'=') {
        let value = ALPHABET.iter().position(|letter| *letter == digit).unwrap();
        bits = ((bits << 6) | u32::try_from(value).unwrap()) & 0xFFFF;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xFF).unwrap());
        }
    }
    bytes
}

/// What a receiver that accepts whatever it can would have done.
#[derive(Debug, Default)]
struct Outcome {
    /// MSA-1 and MSA-2 of what was answered.
    answers: Vec<(AckCode, String)>,
    warned: bool,
    /// Closed at once, or because a frame was not completed in time.
    closed: bool,
}

impl Outcome {
    fn frame(&mut self, bytes: &[u8]) {
        let Ok(parsed) = parse(bytes) else {
            self.warned = true;
            return;
        };
        let plan = mode(&parsed.message, AckPolicy::AsAsked);
        self.warned |= plan.unknown_condition || !parsed.issues.is_empty();
        let disposition = if parsed.has_errors() {
            Disposition::Error
        } else {
            Disposition::Accepted
        };
        let Some(code) = plan.immediate(disposition) else {
            return;
        };
        let told = parsed
            .issues
            .iter()
            .filter_map(|issue| AckError::of_issue(issue.code));
        let errors: Vec<AckError> = told.collect();
        let created = "20250314153000+0000".parse().unwrap();
        let answer = Acknowledgement {
            code,
            control_id: "B1",
            created,
            errors: &errors,
        };
        let answer = parse(&answer.answer(&parsed.message)).unwrap().message;
        let answer = read(&answer).unwrap();
        self.answers
            .push((answer.code, answer.control_id.to_owned()));
    }
}

fn play(case: &Value) -> Outcome {
    let limits = Limits {
        frame_bytes_max: 64 * 1024,
        ..Limits::default()
    };
    let mut decoder = Decoder::new(limits);
    let mut outcome = Outcome::default();
    for write in case.get("writes").unwrap().as_array().unwrap() {
        decoder.push(&base64(write.get("b64").unwrap().as_str().unwrap()));
    }
    if case.get("append").is_some() {
        decoder.push(&vec![b'A'; limits.frame_bytes_max + (1 << 20)]);
    }
    decoder.flush_after_grace();
    outcome.closed = decoder.is_closed() || decoder.is_mid_frame();
    while let Some(event) = decoder.next() {
        match event {
            Event::Frame(bytes) => outcome.frame(&bytes),
            Event::Warning(_) | Event::Fatal(_) => outcome.warned = true,
        }
    }
    outcome
}

fn meets(outcome: &Outcome, expected: &Value) -> bool {
    let answers_fit = match expected.get("acks") {
        Some(Value::Array(acks)) => {
            let fits = |(ack, (code, control_id)): (&Value, &(AckCode, String))| {
                let codes = ack.get("msa1").unwrap().as_str().unwrap();
                codes.split('|').any(|one| one == code.as_str())
                    && ack.get("msa2").unwrap() == control_id
            };
            acks.len() == outcome.answers.len() && acks.iter().zip(&outcome.answers).all(fits)
        }
        Some(Value::String(acks)) if acks == "none_or_negative" => {
            outcome.answers.iter().all(|(code, _)| !code.is_positive())
        }
        _ => true,
    };
    // A warning about a message that was seen before is the inbox's business.
    let warning_fits =
        expected.get("warning").is_none() || expected.get("effects").is_some() || outcome.warned;
    let closing_fits = expected.get("closed").is_none() || outcome.closed;
    answers_fit && warning_fits && closing_fits
}

#[test]
fn the_framing_cases_are_met() {
    let Some(cases) = cases() else { return };
    for case in &cases {
        let id = case.get("id").unwrap();
        let expected = case.get("expect").unwrap();
        let outcome = play(case);
        assert!(meets(&outcome, expected), "{id}: {outcome:?}");
        if let Some(Value::Array(choices)) = expected.get("one_of") {
            assert!(
                choices.iter().any(|choice| meets(&outcome, choice)),
                "{id}: {outcome:?}"
            );
        }
        if let Some(Value::Array(lost)) = expected.get("never_positive") {
            let accepted = outcome
                .answers
                .iter()
                .filter(|(code, _)| code.is_positive());
            assert!(
                accepted
                    .into_iter()
                    .all(|(_, id)| lost.iter().all(|lost| lost != id)),
                "{id}"
            );
        }
    }
    println!("{} cases", cases.len());
}
