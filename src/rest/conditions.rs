//! Conditions in headers: `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-None-Exist`.
//!
//! <https://hl7.org/fhir/R4/http.html#concurrency>, `#cread`, `#ccreate`.

use std::borrow::Cow;

use axum::http::{HeaderMap, StatusCode, header};
use chrono::{DateTime, Utc};
use fhir_model::issue::IssueType;

use crate::interaction::write::{Expected, version_of};
use crate::rest::outcome::Refusal;
use crate::store::Stored;

/// The version that `If-Match` demands.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Expected>, Refusal> {
    let Some(value) = text(headers, header::IF_MATCH.as_str()) else {
        return Ok(None);
    };
    Expected::parse(&value).map(Some).ok_or_else(|| {
        Refusal::Http(
            StatusCode::BAD_REQUEST,
            IssueType::Value,
            format!("If-Match names no version; write it as W/\"3\", not as {value}"),
        )
    })
}

/// The query of `If-None-Exist`.
pub(super) fn if_none_exist(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(value) = headers.get("if-none-exist") else {
        return Ok(None);
    };
    // A condition that cannot be read must not become a create without one.
    let query = std::str::from_utf8(value.as_bytes()).map_err(|_| {
        Refusal::Http(
            StatusCode::BAD_REQUEST,
            IssueType::Value,
            "If-None-Exist is not UTF-8".into(),
        )
    })?;
    Ok(Some(query.trim_start_matches('?')))
}

/// Whether the client has this version already (`304 Not Modified`).
pub(super) fn is_fresh(headers: &HeaderMap, stored: &Stored) -> bool {
    if let Some(tags) = text(headers, header::IF_NONE_MATCH.as_str()) {
        return tags
            .split(',')
            .any(|tag| tag.trim() == "*" || version_of(tag) == Some(stored.version));
    }
    text(headers, header::IF_MODIFIED_SINCE.as_str())
        .and_then(|since| DateTime::parse_from_rfc2822(&since).ok())
        .is_some_and(|since| seconds(stored.last_updated) <= since.timestamp())
}

/// HTTP dates have no fractions.
fn seconds(instant: DateTime<Utc>) -> i64 {
    instant.timestamp()
}

/// A header that is there is never taken for absent, whatever its bytes are.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<Cow<'h, str>> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()))
}
