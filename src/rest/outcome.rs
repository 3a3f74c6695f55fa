//! Errors as HTTP answers: always an OperationOutcome.

use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use fhir_model::issue::{Issue, IssueType, OperationOutcome};

use crate::error::{Error, chain};
use crate::interaction::outcome;
use crate::rest::FHIR_JSON;

/// Why a request got no other answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// An interaction failed.
    Interaction(Error),
    /// HTTP itself stands in the way: a status and what to say.
    Http(StatusCode, IssueType, String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Interaction(error)
    }
}

/// Why a body could not be read: it is too large, or it ended early or is not what it says.
impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        let status = rejection.status();
        let (status, code, text) = if status == StatusCode::PAYLOAD_TOO_LARGE {
            let text = "the body is larger than rest.body_bytes_max allows";
            (status, IssueType::TooLong, text)
        } else {
            let text = "the body ended early, or is not encoded as Content-Encoding says";
            (StatusCode::BAD_REQUEST, IssueType::Structure, text)
        };
        Self::Http(status, code, text.to_owned())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        match self {
            Self::Interaction(error) => {
                let status = StatusCode::from_u16(outcome::status(&error))
                    .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
                    tracing::error!(error = chain(&error), "Request failed");
                }
                answer(status, &outcome::outcome(&error))
            }
            Self::Http(status, code, text) => answer(
                status,
                &OperationOutcome::new(vec![Issue::error(code, text)]),
            ),
        }
    }
}

/// An OperationOutcome as an answer.
pub(super) fn answer(status: StatusCode, outcome: &OperationOutcome) -> Response<Body> {
    let mut response = Response::new(Body::from(outcome.to_json()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
    response
}
