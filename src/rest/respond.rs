//! Resources as HTTP answers: `ETag`, `Location`, `Last-Modified`, body.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use chrono::{DateTime, Utc};
use fhir_model::issue::{Issue, IssueType, OperationOutcome};

use crate::interaction::transaction::Return;
use crate::interaction::write::{Outcome, Written};
use crate::interaction::{Services, bundle};
use crate::rest::FHIR_JSON;
use crate::store::Stored;

/// A FHIR body.
pub(super) fn json(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
    response
}

/// A version that was read; the bytes are those of the store.
pub(super) fn version(stored: &Stored) -> Response<Body> {
    let body = stored
        .text
        .as_deref()
        .map(str::to_owned)
        .unwrap_or_default();
    versioned(json(StatusCode::OK, body), stored)
}

/// The client has this version already.
pub(super) fn not_modified(stored: &Stored) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    versioned(response, stored)
}

/// What became of a create, update or delete.
pub(super) fn written(services: &Services, written: &Written, wanted: Return) -> Response<Body> {
    let status = match written.outcome {
        Outcome::Created => StatusCode::CREATED,
        Outcome::Updated | Outcome::Unchanged | Outcome::Existing => StatusCode::OK,
        Outcome::Deleted | Outcome::Absent => StatusCode::NO_CONTENT,
    };
    let is_gone = matches!(written.outcome, Outcome::Deleted | Outcome::Absent);
    if is_gone && wanted == Return::OperationOutcome {
        let text = match (&written.outcome, &written.stored) {
            (Outcome::Deleted, Some(stored)) => format!("{} is deleted", stored.key),
            _ => "there was nothing to delete".to_owned(),
        };
        let issue = Issue::information(IssueType::Informational, text);
        let response = json(StatusCode::OK, OperationOutcome::new(vec![issue]).to_json());
        return match &written.stored {
            Some(stored) => versioned(response, stored),
            None => response,
        };
    }
    let Some(stored) = &written.stored else {
        return empty(status);
    };
    let response = match (&stored.text, wanted) {
        (None, _) | (Some(_), Return::Minimal) => empty(status),
        (Some(text), Return::Representation) => json(status, text.as_ref().to_owned()),
        (Some(_), Return::OperationOutcome) => {
            let text = format!("{} is at version {}", stored.key, stored.version);
            let mut issues = vec![Issue::information(IssueType::Informational, text)];
            issues.extend_from_slice(&written.issues);
            json(status, OperationOutcome::new(issues).to_json())
        }
    };
    let mut response = versioned(response, stored);
    if stored.text.is_some() {
        let location = format!("{}/{}", services.base_url, bundle::version_path(stored));
        insert(&mut response, header::LOCATION, &location);
    }
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn versioned(mut response: Response<Body>, stored: &Stored) -> Response<Body> {
    insert(&mut response, header::ETAG, &bundle::etag(stored));
    insert(
        &mut response,
        header::LAST_MODIFIED,
        &http_date(stored.last_updated),
    );
    response
}

fn insert(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// An instant as RFC 9110 writes it.
fn http_date(instant: DateTime<Utc>) -> String {
    instant.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
