//! `Prefer: respond-async`: <https://hl7.org/fhir/R4/async.html>.
//!
//! A batch, a transaction or a search becomes a job, once everything is refused that can be refused
//! at once. The answer names a URL: 202 while the job is under way, then its result (for as long as
//! `store::RESULT_KEPT`), or the error with its own status. DELETE takes the job away.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use fhir_model::issue::{Issue, IssueType, OperationOutcome};

use crate::interaction::Services;
use crate::job::Jobs;
use crate::job::request::Request;
use crate::rest::interactions::Segments;
use crate::rest::negotiate::preferences;
use crate::rest::outcome::{Refusal, answer};
use crate::rest::respond;
use crate::store::{Job, JobState};

/// How far a job is, in words.
const X_PROGRESS: HeaderName = HeaderName::from_static("x-progress");
/// Seconds after which it is worth asking again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Whether the client does not wait for the answer.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    preferences(headers).any(|preference| preference == "respond-async")
}

/// Queues a request, and says where its result will be.
pub(super) async fn accept(
    jobs: &Jobs,
    services: &Services,
    request: &Request,
) -> Result<Response<Body>, Refusal> {
    let Some(id) = jobs.submit(request).await? else {
        return Err(Refusal::Http(
            StatusCode::TOO_MANY_REQUESTS,
            IssueType::Throttled,
            "too many asynchronous requests are under way; try again later".to_owned(),
        ));
    };
    let place = format!("{}/_async/{id}", services.base_url);
    let text = format!("the request is accepted; {place} says how it stands");
    let mut response = informed(StatusCode::ACCEPTED, text);
    insert(&mut response, header::CONTENT_LOCATION, &place);
    Ok(response)
}

/// `GET [base]/_async/[id]`
pub(super) async fn status(
    Extension(jobs): Extension<Arc<Jobs>>,
    Segments(id): Segments<String>,
) -> Result<Response<Body>, Refusal> {
    let job = jobs.find(&id).await?.ok_or_else(unknown)?;
    let Some(result) = job.result.as_deref() else {
        return Ok(under_way(&job));
    };
    let status = StatusCode::from_u16(job.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond::json(status, result.to_owned());
    if let Some(expires) = job.expires {
        insert(&mut response, header::EXPIRES, &respond::http_date(expires));
    }
    Ok(response)
}

fn under_way(job: &Job) -> Response<Body> {
    let progress = match job.state {
        JobState::Queued => "queued",
        _ if job.progress.is_empty() => "running",
        _ => &job.progress,
    };
    let mut response = informed(StatusCode::ACCEPTED, progress.to_owned());
    insert(&mut response, X_PROGRESS, progress);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// `DELETE [base]/_async/[id]`
pub(super) async fn cancel(
    State(_): State<Arc<Services>>,
    Extension(jobs): Extension<Arc<Jobs>>,
    Segments(id): Segments<String>,
) -> Result<Response<Body>, Refusal> {
    if !jobs.cancel(&id).await? {
        return Err(unknown());
    }
    let text = "the request is cancelled, its result deleted".to_owned();
    Ok(informed(StatusCode::ACCEPTED, text))
}

fn unknown() -> Refusal {
    Refusal::Http(
        StatusCode::NOT_FOUND,
        IssueType::NotFound,
        "there is no such asynchronous request, or its result was kept long enough".to_owned(),
    )
}

fn informed(status: StatusCode, text: String) -> Response<Body> {
    let issue = Issue::information(IssueType::Informational, text);
    answer(status, &OperationOutcome::new(vec![issue]))
}

fn insert(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
