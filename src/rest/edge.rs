//! What holds for every request whatever it asks: how large its head may be, how its body may be
//! encoded, which ids tell it from others, and who may read the answer in a browser.
//!
//! <https://hl7.org/fhir/R4/http.html#custom>, `#security`.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use fhir_model::issue::IssueType;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use uuid::Uuid;

use crate::rest::outcome::Refusal;

/// The longest URL, in bytes; a longer search is sent by POST.
pub(super) const URL_BYTES_MAX: usize = 16 << 10;

/// All headers of a request together, in bytes.
pub(super) const HEADER_BYTES_MAX: usize = 16 << 10;

/// The longest id of a request that is given back.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// How long a browser may remember what it is allowed to.
const PREFLIGHT_AGE: Duration = Duration::from_hours(1);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// What `Content-Encoding` of a body may be.
const ENCODINGS: &[&str] = &["gzip", "x-gzip", "identity"];

/// Refuses what is too large or cannot be decoded before anybody looks at it.
pub(super) async fn checked(request: Request, next: Next) -> Response<Body> {
    match refusal(&request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(request: &Request) -> Option<Refusal> {
    let url_bytes = request.uri().to_string().len();
    if url_bytes > URL_BYTES_MAX {
        return Some(Refusal::Http(
            StatusCode::URI_TOO_LONG,
            IssueType::TooLong,
            format!(
                "the URL is longer than {URL_BYTES_MAX} bytes; send a long search by POST to _search"
            ),
        ));
    }
    let headers = request.headers();
    let lengths = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    if lengths.sum::<usize>() > HEADER_BYTES_MAX {
        return Some(Refusal::Http(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            IssueType::TooLong,
            format!("the headers are longer than {HEADER_BYTES_MAX} bytes"),
        ));
    }
    let encoding = headers.get(header::CONTENT_ENCODING)?.to_str();
    let is_known = encoding.is_ok_and(|text| {
        let mut known = ENCODINGS.iter();
        known.any(|known| text.trim().eq_ignore_ascii_case(known))
    });
    (!is_known).then(|| {
        Refusal::Http(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            IssueType::NotSupported,
            "Content-Encoding is gzip, or there is none".to_owned(),
        )
    })
}

/// Gives each answer the id of its request: the client's, else a new one.
pub(super) async fn identified(request: Request, next: Next) -> Response<Body> {
    let correlation = id_sent(&request, &CORRELATION_ID);
    let id = id_sent(&request, &REQUEST_ID)
        .or_else(|| HeaderValue::from_str(&Uuid::new_v4().to_string()).ok());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [(REQUEST_ID, id), (CORRELATION_ID, correlation)] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    response
}

fn id_sent(request: &Request, name: &HeaderName) -> Option<HeaderValue> {
    let value = request.headers().get(name)?;
    (value.len() <= REQUEST_ID_BYTES_MAX).then(|| value.clone())
}

/// Lets pages of these origins use the API in a browser; none, without any.
///
/// Nobody is let in by default: there is no authentication yet, so whatever page a user of this
/// machine opens could read and change everything on a loopback address.
pub(super) fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origin = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let origins = origins.iter();
        AllowOrigin::list(origins.filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    Some(
        CorsLayer::new()
            .allow_origin(origin)
            .allow_methods([
                Method::GET,
                Method::HEAD,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([
                header::CONTENT_LOCATION,
                header::ETAG,
                header::LAST_MODIFIED,
                header::LOCATION,
                header::RETRY_AFTER,
                REQUEST_ID,
                CORRELATION_ID,
                HeaderName::from_static("x-progress"),
            ])
            .max_age(PREFLIGHT_AGE),
    )
}
