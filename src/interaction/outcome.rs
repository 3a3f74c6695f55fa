//! The one place where an error becomes a status and an OperationOutcome.
//!
//! A REST answer and the entry of a batch answer say the same of the same error:
//! <https://hl7.org/fhir/R4/http.html#summary>, <https://hl7.org/fhir/R4/operationoutcome.html>.

use fhir_model::issue::{Issue, IssueType, OperationOutcome};

use crate::error::{EntryError, Error};

/// The HTTP status of an error.
pub fn status(error: &Error) -> u16 {
    match error {
        Error::Invalid(_) => 400,
        Error::Unprocessable(_) => 422,
        Error::UnknownType(_)
        | Error::UnknownOperation(_)
        | Error::NotFound(_)
        | Error::NoMatch(_)
        | Error::VersionNotFound(..) => 404,
        Error::Terminology(error) => of_terminology(error).0,
        Error::Gone { .. } | Error::Expired(_) => 410,
        Error::VersionConflict { .. } | Error::MultipleMatches(_) => 412,
        Error::Conflict(_) => 409,
        Error::TooLarge(_) => 413,
        Error::Entries(entries) => of_entries(entries),
        Error::Forbidden(_) => 403,
        Error::NotSupported(_) => 501,
        Error::Unavailable(_) | Error::TooCostly => 503,
        Error::Internal(_) => 500,
    }
}

/// The status that all entries have in common, if they have one.
fn of_entries(entries: &[EntryError]) -> u16 {
    let mut statuses = entries.iter().map(|entry| status(&entry.error));
    let first = statuses.next().unwrap_or(400);
    if statuses.all(|status| status == first) {
        first
    } else {
        400
    }
}

/// Status and issue code of a terminology operation that gives no answer.
fn of_terminology(error: &fhir_terminology::Error) -> (u16, IssueType) {
    match error {
        fhir_terminology::Error::NotFound(_) => (404, IssueType::NotFound),
        fhir_terminology::Error::Invalid(_) => (400, IssueType::Invalid),
        fhir_terminology::Error::NotSupported(_) => (400, IssueType::NotSupported),
        fhir_terminology::Error::TooCostly(_) => (422, IssueType::TooCostly),
        fhir_terminology::Error::Unusable(_) => (422, IssueType::Processing),
    }
}

/// Status code and reason phrase, as an entry of a batch answer has them: `404 Not Found`.
pub fn status_line(status: u16) -> String {
    let phrase = match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Payload Too Large",
        422 => "Unprocessable Entity",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => return status.to_string(),
    };
    format!("{status} {phrase}")
}

/// What the client is told of an error; causes stay inside.
pub fn outcome(error: &Error) -> OperationOutcome {
    let code = match error {
        Error::Invalid(issues) | Error::Unprocessable(issues) => {
            return OperationOutcome::new(issues.clone());
        }
        Error::Entries(entries) => {
            return OperationOutcome::new(entries.iter().flat_map(placed).collect());
        }
        Error::UnknownType(_) | Error::UnknownOperation(_) | Error::NotSupported(_) => {
            IssueType::NotSupported
        }
        Error::Terminology(error) => of_terminology(error).1,
        Error::NotFound(_) | Error::NoMatch(_) | Error::VersionNotFound(..) => IssueType::NotFound,
        Error::Forbidden(_) => IssueType::Forbidden,
        Error::Gone { .. } => IssueType::Deleted,
        Error::Expired(_) => IssueType::Expired,
        Error::TooCostly => IssueType::TooCostly,
        Error::VersionConflict { .. } | Error::Conflict(_) => IssueType::Conflict,
        Error::MultipleMatches(_) => IssueType::MultipleMatches,
        Error::TooLarge(_) => IssueType::TooLong,
        Error::Unavailable(_) => IssueType::Transient,
        Error::Internal(_) => IssueType::Exception,
    };
    OperationOutcome::new(vec![Issue::error(code, error.to_string())])
}

/// The issues of an entry, its place put before their own: `Bundle.entry[1].resource.gender`.
fn placed(entry: &EntryError) -> Vec<Issue> {
    let EntryError { place, error } = entry;
    let put = |issue: Issue| {
        if issue.location.starts_with(place) {
            return issue;
        }
        let tail = issue.location.split_once('.').map(|(_, tail)| tail);
        let location = match tail {
            Some(tail) => format!("{place}.resource.{tail}"),
            None => place.clone(),
        };
        issue.at(location)
    };
    outcome(error).issues.into_iter().map(put).collect()
}
