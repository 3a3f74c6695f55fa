//! Conditions in headers: `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-None-Exist`.
//!
//! <https://hl7.org/fhir/R4/http.html#concurrency>, `#cread`, `#ccreate`.

use std::borrow::Cow;

use axum::http::{HeaderMap, StatusCode, header};
use chrono::{DateTime, NaiveDateTime, Utc};
use fhir_model::issue::IssueType;

use crate::interaction::write::{Expected, version_of};
use crate::rest::outcome::Refusal;
use crate::store::Stored;

/// What an update demands of what is there: `If-Match`, or that there is nothing, by
/// `If-None-Match: *` (RFC 9110, section 13.1.2).
pub(super) fn of_update(headers: &HeaderMap) -> Result<Option<Expected>, Refusal> {
    match text(headers, header::IF_NONE_MATCH.as_str()) {
        Some(value) if value.trim() == "*" => Ok(Some(Expected::Nothing)),
        _ => if_match(headers),
    }
}

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
        .and_then(|since| http_date(&since))
        // HTTP dates have no fractions.
        .is_some_and(|since| stored.last_updated.timestamp() <= since.timestamp())
}

/// The obsolete forms of a date that RFC 9110, section 5.6.7, has recipients understand.
const DATES: &[&str] = &["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

fn http_date(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(date) = DateTime::parse_from_rfc2822(text) {
        return Some(date.into());
    }
    let mut forms = DATES.iter();
    forms.find_map(|form| Some(NaiveDateTime::parse_from_str(text, form).ok()?.and_utc()))
}

/// A header that is there is never taken for absent, whatever its bytes are.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<Cow<'h, str>> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_of_a_date_are_understood() {
        for text in [
            "Fri, 06 Mar 2026 16:10:00 GMT",
            "Friday, 06-Mar-26 16:10:00 GMT",
            "Fri Mar  6 16:10:00 2026",
        ] {
            let date = http_date(text).map(|date| date.to_rfc3339());
            assert_eq!(date.as_deref(), Some("2026-03-06T16:10:00+00:00"), "{text}");
        }
        assert_eq!(http_date("2026-03-06"), None);
    }
}
