//! What the client wants back, and how: `Accept`, `_format`, `_pretty`, `Prefer`, `Content-Type`.
//!
//! <https://hl7.org/fhir/R4/http.html#mime-type>, `#ops`.

use axum::http::{HeaderMap, StatusCode, header};
use fhir_model::issue::IssueType;

use crate::rest::outcome::Refusal;
use crate::search::query::Handling;

/// What a write answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Return {
    /// The resource: also without a `Prefer` header, because the common clients rely on it.
    #[default]
    Representation,
    /// Nothing.
    Minimal,
    /// An OperationOutcome.
    OperationOutcome,
}

/// `Prefer: return=…`.
pub(super) fn prefer_return(headers: &HeaderMap) -> Option<Return> {
    preferences(headers).find_map(|preference| match preference {
        "return=representation" => Some(Return::Representation),
        "return=minimal" => Some(Return::Minimal),
        "return=OperationOutcome" => Some(Return::OperationOutcome),
        _ => None,
    })
}

/// `Prefer: handling=…`.
pub(super) fn prefer_handling(headers: &HeaderMap) -> Handling {
    preferences(headers)
        .find_map(|preference| match preference {
            "handling=strict" => Some(Handling::Strict),
            "handling=lenient" => Some(Handling::Lenient),
            _ => None,
        })
        .unwrap_or(Handling::Default)
}

fn preferences(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all("prefer")
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .map(str::trim)
}

/// Refuses a format that Baton does not write: `_format` wins over `Accept`.
pub(super) fn acceptable(format: Option<&str>, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .peekable();
    let accepted = format.map_or_else(|| ranges.peek().is_none() || ranges.any(is_json), is_json);
    if accepted {
        return Ok(());
    }
    Err(Refusal::Http(
        StatusCode::NOT_ACCEPTABLE,
        IssueType::NotSupported,
        "Baton answers in application/fhir+json; no accepted format is JSON".into(),
    ))
}

/// Refuses a body that is not JSON.
pub(super) fn readable(headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or("?"));
    if content_type.is_none_or(is_json) {
        return Ok(());
    }
    Err(Refusal::Http(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        IssueType::NotSupported,
        "Baton reads application/fhir+json; send the body with this Content-Type".into(),
    ))
}

/// Refuses the body of a search that is no form.
pub(super) fn readable_form(headers: &HeaderMap) -> Result<(), Refusal> {
    const FORM: &str = "application/x-www-form-urlencoded";
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or("?"));
    let mime = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
    if mime.is_none_or(|mime| mime.eq_ignore_ascii_case(FORM)) {
        return Ok(());
    }
    Err(Refusal::Http(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        IssueType::NotSupported,
        format!("the body of a search is a form; send it with Content-Type {FORM}"),
    ))
}

/// Whether a MIME type, a range of them or a value of `_format` admits FHIR JSON.
fn is_json(text: &str) -> bool {
    let mime = text.split(';').next().unwrap_or_default().trim();
    // In a URL `+` means a space, and clients forget to escape it.
    let mime = mime.replace(' ', "+").to_ascii_lowercase();
    matches!(
        mime.as_str(),
        "*/*"
            | "application/*"
            | "json"
            | "application/json"
            | "application/fhir+json"
            | "application/json+fhir"
            | "text/json"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &[&str], expected: bool) {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        assert_eq!(acceptable(None, &headers).is_ok(), expected, "{accept:?}");
    }

    #[test]
    fn json_is_what_we_write() {
        check(&[], true);
        check(&["*/*"], true);
        check(&["application/fhir+json; fhirVersion=4.0"], true);
        check(&["application/fhir+xml, application/json;q=0.5"], true);
        check(&["application/fhir+xml"], false);
        check(&["text/html"], false);
    }

    #[test]
    fn the_format_parameter_wins() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, "application/fhir+json".parse().unwrap());
        assert!(acceptable(Some("xml"), &headers).is_err());
        assert!(acceptable(Some("application/fhir json"), &headers).is_ok());
    }
}
