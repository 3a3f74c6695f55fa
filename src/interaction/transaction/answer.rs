//! What the entries of a batch or transaction are answered with.

use std::borrow::Cow;

use fhir_model::issue::{Issue, IssueType, OperationOutcome};

use crate::error::{Error, chain};
use crate::interaction::Services;
use crate::interaction::bundle::{self, Entry, Response, Writer};
use crate::interaction::outcome::{outcome, status, status_line};
use crate::interaction::transaction::Return;
use crate::interaction::write::{Outcome, Written};
use crate::store::Stored;

/// What an entry is answered with.
#[derive(Clone)]
pub(super) enum Answer {
    Written(Written),
    Read(Stored),
    /// The client has this version already.
    NotModified(Stored),
    /// A resource that was made to answer: a Bundle of matches or versions, a statement.
    Found(String),
    /// What would be found, without it.
    FoundHead,
    Failed {
        status: u16,
        outcome: String,
    },
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

    /// What was written, if something was.
    pub(super) fn written(&mut self) -> Option<&mut Written> {
        match self {
            Self::Written(written) => Some(written),
            _ => None,
        }
    }

    /// Bytes of what was read.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Read(stored) => stored.text.as_deref().map_or(0, str::len),
            Self::Found(text) => text.len(),
            _ => 0,
        }
    }

    /// The answer to `HEAD`: the same without the resource.
    pub(super) fn head(self) -> Self {
        match self {
            Self::Read(stored) => Self::Read(Stored {
                text: None,
                ..stored
            }),
            Self::Found(_) => Self::FoundHead,
            other => other,
        }
    }
}

/// The answers as a Bundle of type `name`.
pub(super) fn respond(
    services: &Services,
    name: &str,
    answers: &[Answer],
    returning: Option<Return>,
) -> String {
    let now = services.clock.now();
    let mut writer = Writer::new(name, &services.ids.next(now), now, None, &[]);
    for answer in answers {
        writer.push(&entry(services, answer, returning));
    }
    writer.finish()
}

fn entry<'a>(services: &Services, answer: &'a Answer, returning: Option<Return>) -> Entry<'a> {
    let of_status = |status: u16| Response {
        status: status_line(status),
        ..Response::default()
    };
    let (resource, response) = match answer {
        Answer::Written(written) => return written_entry(services, written, returning),
        Answer::Read(stored) => return read_entry(services, stored),
        Answer::NotModified(stored) => (
            None,
            Response {
                location: None,
                ..versioned(services, stored, 304)
            },
        ),
        Answer::Found(text) => (Some(Cow::Borrowed(text.as_str())), of_status(200)),
        Answer::FoundHead => (None, of_status(200)),
        Answer::Failed { status, outcome } => (
            None,
            Response {
                outcome: Some(outcome.clone()),
                ..of_status(*status)
            },
        ),
    };
    Entry {
        resource,
        response: Some(response),
        ..Entry::default()
    }
}

fn read_entry<'a>(services: &Services, stored: &'a Stored) -> Entry<'a> {
    let resource = stored.text.as_deref();
    Entry {
        full_url: resource.map(|_| format!("{}/{}", services.base_url, stored.key)),
        resource: resource.map(Cow::Borrowed),
        response: Some(Response {
            location: None,
            ..versioned(services, stored, 200)
        }),
        ..Entry::default()
    }
}

fn written_entry<'a>(
    services: &Services,
    written: &'a Written,
    returning: Option<Return>,
) -> Entry<'a> {
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
    let is_wanted = returning == Some(Return::Representation);
    Entry {
        full_url: text.map(|_| format!("{}/{}", services.base_url, stored.key)),
        resource: text.filter(|_| is_wanted).map(Cow::Borrowed),
        response: Some(Response {
            outcome: outcome_of(written, stored, returning),
            ..versioned(services, stored, status)
        }),
        ..Entry::default()
    }
}

/// What there is to say of what was written: what is wrong with it, or everything if it is wanted.
fn outcome_of(written: &Written, stored: &Stored, returning: Option<Return>) -> Option<String> {
    let is_wrong = written.issues.iter().any(Issue::is_error);
    let mut issues = written.issues.clone();
    if returning == Some(Return::OperationOutcome) {
        let text = format!("{} is at version {}", stored.key, stored.version);
        issues.insert(0, Issue::information(IssueType::Informational, text));
    } else if !is_wrong {
        return None;
    }
    Some(OperationOutcome::new(issues).to_json())
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
