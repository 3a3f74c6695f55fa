//! What the entries of a batch or transaction are answered with.

use std::borrow::Cow;

use fhir_model::issue::{Issue, OperationOutcome};

use crate::error::{Error, chain};
use crate::interaction::Services;
use crate::interaction::bundle::{self, Entry, Response, Writer};
use crate::interaction::outcome::{outcome, status, status_line};
use crate::interaction::write::{Outcome, Written};
use crate::store::Stored;

/// What an entry is answered with.
#[derive(Clone)]
pub(super) enum Answer {
    Written(Written),
    Read(Stored),
    Bundle(String),
    Failed { status: u16, outcome: String },
}

impl Answer {
    pub(super) fn failed(error: &Error) -> Self {
        if matches!(error, Error::Internal(_) | Error::Unavailable(_)) {
            tracing::error!(error = chain(error), "Bundle entry failed");
        }
        Self::Failed {
            status: status(error),
            outcome: outcome(error).to_json(),
        }
    }
}

/// The answers as a Bundle of type `name`.
pub(super) fn respond(
    services: &Services,
    name: &str,
    answers: &[Answer],
    with_resources: bool,
) -> String {
    let now = services.clock.now();
    let mut writer = Writer::new(name, &services.ids.next(now), now, None, &[]);
    for answer in answers {
        writer.push(&entry(services, answer, with_resources));
    }
    writer.finish()
}

fn entry<'a>(services: &Services, answer: &'a Answer, with_resources: bool) -> Entry<'a> {
    match answer {
        Answer::Written(written) => written_entry(services, written, with_resources),
        Answer::Read(stored) => Entry {
            full_url: Some(format!("{}/{}", services.base_url, stored.key)),
            resource: stored.text.as_deref().map(Cow::Borrowed),
            response: Some(Response {
                location: None,
                ..versioned(services, stored, 200)
            }),
            ..Entry::default()
        },
        Answer::Bundle(text) => Entry {
            resource: Some(Cow::Borrowed(text)),
            response: Some(Response {
                status: status_line(200),
                ..Response::default()
            }),
            ..Entry::default()
        },
        Answer::Failed { status, outcome } => Entry {
            response: Some(Response {
                status: status_line(*status),
                outcome: Some(outcome.clone()),
                ..Response::default()
            }),
            ..Entry::default()
        },
    }
}

fn written_entry<'a>(services: &Services, written: &'a Written, with_resources: bool) -> Entry<'a> {
    let status = match written.outcome {
        Outcome::Created => 201,
        Outcome::Updated | Outcome::Unchanged | Outcome::Existing => 200,
        Outcome::Deleted | Outcome::Absent => 204,
    };
    let Some(stored) = &written.stored else {
        let response = Response {
            status: status_line(status),
            ..Response::default()
        };
        return Entry {
            response: Some(response),
            ..Entry::default()
        };
    };
    let text = stored.text.as_deref();
    Entry {
        full_url: text.map(|_| format!("{}/{}", services.base_url, stored.key)),
        resource: text.filter(|_| with_resources).map(Cow::Borrowed),
        response: Some(Response {
            outcome: outcome_of(written),
            ..versioned(services, stored, status)
        }),
        ..Entry::default()
    }
}

/// What is wrong with a resource that was written all the same.
fn outcome_of(written: &Written) -> Option<String> {
    let is_wrong = written.issues.iter().any(Issue::is_error);
    is_wrong.then(|| OperationOutcome::new(written.issues.clone()).to_json())
}

fn versioned(services: &Services, stored: &Stored, status: u16) -> Response {
    let location = format!("{}/{}", services.base_url, bundle::version_path(stored));
    Response {
        status: status_line(status),
        location: stored.text.is_some().then_some(location),
        etag: Some(bundle::etag(stored)),
        last_modified: Some(stored.last_updated),
        outcome: None,
    }
}
