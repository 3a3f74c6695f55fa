//! The report, in Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use baton::store::MessageState;

use crate::{Outcome, Sample};

pub(crate) fn print(samples: &[Sample], panics: usize, elapsed: Duration) -> String {
    let files: BTreeSet<&str> = samples.iter().map(|sample| sample.file.as_str()).collect();
    let is_hanging = |sample: &&Sample| sample.outcome.answer == "none in time";
    let unexpected: Vec<&Sample> = samples
        .iter()
        .filter(|sample| !sample.is_as_expected())
        .collect();
    let mut text = format!(
        "{} files, {} frames: {} answered and kept as expected, {} not; {panics} panics, {} without \
         an answer in time. Slowest answer {} ms; everything processed after {:.1} s.\n\n",
        files.len(),
        samples.len(),
        samples.len() - unexpected.len(),
        unexpected.len(),
        samples.iter().filter(is_hanging).count(),
        samples
            .iter()
            .map(|sample| sample.outcome.took.as_millis())
            .max()
            .unwrap_or_default(),
        elapsed.as_secs_f64(),
    );
    text.push_str(&outcomes(samples));
    text.push_str(&rules(samples));
    text.push_str(&differences(&unexpected));
    text
}

fn outcomes(samples: &[Sample]) -> String {
    let mut counts: BTreeMap<[String; 3], usize> = BTreeMap::new();
    for sample in samples {
        let outcome = &sample.outcome;
        let key = [
            outcome.answer.clone(),
            inbox(outcome).to_owned(),
            reason(outcome).to_owned(),
        ];
        *counts.entry(key).or_default() += 1;
    }
    let mut text = String::from("| answer | inbox | reason | frames |\n|---|---|---|---:|\n");
    for ([answer, state, reason], count) in counts {
        let _ = writeln!(text, "| {answer} | {state} | {reason} | {count} |");
    }
    text
}

fn rules(samples: &[Sample]) -> String {
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for sample in samples {
        let [all, right] = counts.entry(sample.expected.rule).or_default();
        *all += 1;
        *right += usize::from(sample.is_as_expected());
    }
    let mut text = String::from("\n| rule | frames | as expected |\n|---|---:|---:|\n");
    for (rule, [all, right]) in counts {
        let _ = writeln!(text, "| {rule} | {all} | {right} |");
    }
    text
}

fn differences(unexpected: &[&Sample]) -> String {
    if unexpected.is_empty() {
        return "\nNo answer differs from the expected one.\n".into();
    }
    let mut text = String::from(
        "\nNot as expected:\n\n| file | rule | expected | came | reason |\n|---|---|---|---|---|\n",
    );
    for sample in unexpected {
        let (index, count) = sample.place;
        let states: Vec<&str> = sample
            .expected
            .states
            .iter()
            .map(|state| name(*state))
            .collect();
        let _ = writeln!(
            text,
            "| {} ({index}/{count}) | {} | {}, {} | {}, {} | {} |",
            sample.file,
            sample.expected.rule,
            sample.expected.answers.join(" or "),
            states.join(" or "),
            sample.outcome.answer,
            inbox(&sample.outcome),
            sample
                .outcome
                .misnamed
                .unwrap_or_else(|| reason(&sample.outcome)),
        );
    }
    text
}

fn inbox(outcome: &Outcome) -> &'static str {
    name(outcome.inbox.as_ref().map(|(state, _)| *state))
}

fn reason(outcome: &Outcome) -> &str {
    outcome
        .inbox
        .as_ref()
        .map_or("", |(_, reason)| reason.as_str())
}

fn name(state: Option<MessageState>) -> &'static str {
    match state {
        None => "not kept",
        Some(MessageState::Received) => "received",
        Some(MessageState::Processed) => "processed",
        Some(MessageState::Ignored) => "ignored",
        Some(MessageState::SetAside) => "set aside",
        Some(MessageState::Failed) => "failed",
    }
}
