//! What the client wants back, and how: `Accept`, `_format`, `_pretty`, `Prefer`, `Content-Type`.
//!
//! <https://hl7.org/fhir/R4/http.html#mime-type>, `#ops`.

use axum::http::{HeaderMap, StatusCode, header};
use fhir_model::format::Format;
use fhir_model::issue::IssueType;

use crate::interaction::subset::Subset;
use crate::interaction::transaction::Return;
use crate::interaction::url::parameter;
use crate::patch::JSON_PATCH;
use crate::rest::FHIR_JSON;
use crate::rest::outcome::Refusal;
use crate::search::query::Handling;

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

/// The preferences of all `Prefer` headers.
pub(super) fn preferences(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all("prefer")
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .map(str::trim)
}

/// How an answer is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) format: Format,
    /// What `Content-Type` says.
    pub(super) mime: &'static str,
    /// Indented for a human reader.
    pub(super) is_pretty: bool,
    /// The part of resources that is wanted.
    pub(super) subset: Option<Subset>,
}

/// The names of formats in `_format`, `Accept` and `Content-Type`, and what an answer to them is
/// called: <https://hl7.org/fhir/R4/http.html#mime-type> wants the generic types given back.
const FORMATS: &[(&str, Format, &str)] = &[
    ("application/fhir+json", Format::Json, FHIR_JSON),
    ("application/fhir+xml", Format::Xml, FHIR_XML),
    ("json", Format::Json, FHIR_JSON),
    ("xml", Format::Xml, FHIR_XML),
    (
        "application/json",
        Format::Json,
        "application/json;charset=utf-8",
    ),
    (
        "application/xml",
        Format::Xml,
        "application/xml;charset=utf-8",
    ),
    ("text/json", Format::Json, "text/json;charset=utf-8"),
    ("text/xml", Format::Xml, "text/xml;charset=utf-8"),
    ("application/json+fhir", Format::Json, FHIR_JSON),
    ("application/xml+fhir", Format::Xml, FHIR_XML),
];

/// Ranges of `Accept` that admit everything; JSON is what Baton stores.
const RANGES: &[&str] = &["*/*", "application/*"];

/// The MIME type of FHIR XML.
const FHIR_XML: &str = "application/fhir+xml;charset=utf-8";

impl Layout {
    /// What a client gets that does not say what it wants.
    const DEFAULT: Self = Self {
        format: Format::Json,
        mime: FHIR_JSON,
        is_pretty: false,
        subset: None,
    };

    /// What the client wants, `_format` before `Accept`; refuses formats that Baton does not write.
    pub(super) fn of(query: &str, headers: &HeaderMap) -> Result<Self, Refusal> {
        let found = match parameter(query, "_format") {
            Some(format) => format_named(&format),
            None => accepted(headers),
        };
        let layout = found.ok_or_else(|| {
                Refusal::Http(
                    StatusCode::NOT_ACCEPTABLE,
                    IssueType::NotSupported,
                    "Baton answers in application/fhir+json and application/fhir+xml, fhirVersion 4.0, in \
                     UTF-8; no accepted format is one of them"
                        .into(),
                )
            })?;
        Ok(Self {
            is_pretty: parameter(query, "_pretty").as_deref() == Some("true"),
            subset: Subset::of(query)?,
            ..layout
        })
    }
}

/// What parameters of a MIME type must say, where they are given: R4, in UTF-8.
/// <https://hl7.org/fhir/R4/http.html#version-parameter>
const MIME_PARAMETERS: &[(&str, &[&str])] = &[
    ("fhirversion", &["4.0", "4.0.1"]),
    ("charset", &["utf-8", "utf8", "us-ascii"]),
];

fn is_served(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let value = value.trim().trim_matches('"').to_ascii_lowercase();
    let name = name.trim();
    let mut rules = MIME_PARAMETERS.iter();
    rules.all(|(rule, values)| !name.eq_ignore_ascii_case(rule) || values.contains(&value.as_str()))
}

/// The format with this name, if what parameters of the MIME type ask for is served.
fn format_named(text: &str) -> Option<Layout> {
    let mut parts = text.split(';');
    let mime = parts.next().unwrap_or_default().trim();
    if !parts.all(is_served) {
        return None;
    }
    // In a URL `+` means a space, and clients forget to escape it.
    let mime = mime.replace(' ', "+");
    FORMATS
        .iter()
        .find(|(name, ..)| name.eq_ignore_ascii_case(&mime))
        .map(|(_, format, mime)| Layout {
            format: *format,
            mime,
            ..Layout::DEFAULT
        })
}

/// The format of the greatest weight; of several the one that is named first.
fn accepted(headers: &HeaderMap) -> Option<Layout> {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .peekable();
    if ranges.peek().is_none() {
        return Some(Layout::DEFAULT);
    }
    let mut best = None;
    for range in ranges {
        let weight = weight(range);
        let is_better = best.as_ref().is_none_or(|(_, greatest)| weight > *greatest);
        if let Some(layout) = range_layout(range).filter(|_| weight > 0.0 && is_better) {
            best = Some((layout, weight));
        }
    }
    best.map(|(layout, _)| layout)
}

fn range_layout(range: &str) -> Option<Layout> {
    let mime = range.split(';').next().unwrap_or_default().trim();
    if RANGES.contains(&mime) {
        return Some(Layout::DEFAULT);
    }
    format_named(range)
}

/// The weight of a range of `Accept`: `;q=0.5`, else 1.
fn weight(range: &str) -> f32 {
    let mut parameters = range.split(';').skip(1).map(str::trim);
    let weight = parameters.find_map(|parameter| parameter.strip_prefix("q="));
    weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
}

/// The format of a body; refuses others than Baton reads.
pub(super) fn body_format(headers: &HeaderMap) -> Result<Format, Refusal> {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Format::Json);
    };
    let found = content_type.to_str().ok().and_then(format_named);
    found.map(|layout| layout.format).ok_or_else(|| {
        Refusal::Http(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            IssueType::NotSupported,
            "Baton reads application/fhir+json and application/fhir+xml, fhirVersion 4.0, in UTF-8; send \
             the body with the Content-Type that it has"
                .into(),
        )
    })
}

/// The formats of patches: <https://hl7.org/fhir/R4/http.html#patch>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatchFormat {
    /// JSON Patch.
    JsonPatch,
    /// JSON Merge Patch.
    MergePatch,
    /// `FHIRPath` Patch: a Parameters resource in this format.
    Parameters(Format),
    /// `application/json` may be either of the two last.
    Json,
}

/// The MIME type of JSON Merge Patch.
const MERGE_PATCH: &str = "application/merge-patch+json";

/// What patches are called that are no FHIR resources.
const PATCHES: &[(&str, PatchFormat)] = &[
    (JSON_PATCH, PatchFormat::JsonPatch),
    (MERGE_PATCH, PatchFormat::MergePatch),
    ("application/json", PatchFormat::Json),
];

/// The format of a patch, which must be said; XML Patch is not offered.
pub(super) fn patch_format(headers: &HeaderMap) -> Result<PatchFormat, Refusal> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let mime = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
    let known = PATCHES
        .iter()
        .find(|(name, _)| mime.is_some_and(|mime| mime.eq_ignore_ascii_case(name)));
    if let Some((_, format)) = known {
        return Ok(*format);
    }
    let parameters = content_type.and_then(format_named);
    parameters
        .map(|layout| PatchFormat::Parameters(layout.format))
        .ok_or_else(|| {
            Refusal::Http(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                IssueType::NotSupported,
                format!(
                    "a patch is JSON Patch ({JSON_PATCH}), JSON Merge Patch ({MERGE_PATCH}), or FHIRPath \
                     Patch: a Parameters resource (application/fhir+json or application/fhir+xml)"
                ),
            )
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        headers
    }

    /// The MIME type that is answered, without its character set.
    #[track_caller]
    fn check(query: &str, accept: &[&str], expected: Option<&str>) {
        let layout = Layout::of(query, &headers(accept)).ok();
        let mime = layout.and_then(|layout| layout.mime.strip_suffix(";charset=utf-8"));
        assert_eq!(mime, expected, "{query} {accept:?}");
    }

    #[test]
    fn the_accept_header_chooses() {
        let json = Some("application/fhir+json");
        let xml = Some("application/fhir+xml");
        check("", &[], json);
        check("", &["*/*"], json);
        check("", &["application/fhir+json; fhirVersion=4.0"], json);
        check("", &["Application/FHIR+XML;charset=utf-8"], xml);
        check("", &["application/fhir+json, application/fhir+xml"], json);
        check("", &["application/fhir+xml, */*;q=0.8"], xml);
        check(
            "",
            &["application/fhir+xml;q=0.5", "application/fhir+json"],
            json,
        );
        check(
            "",
            &["application/fhir+json;q=0, application/fhir+xml; q=0.1"],
            xml,
        );
        check("", &["text/html, application/*;q=0.2"], json);
        check("", &["text/html"], None);
        check("", &["application/fhir+json; fhirVersion=\"4.0.1\""], json);
        check("", &["application/fhir+json; fhirVersion=5.0"], None);
        check(
            "",
            &["application/fhir+json; fhirVersion=3.0, application/fhir+xml;fhirVersion=4.0;q=0.5"],
            xml,
        );
        check("", &["application/fhir+json; charset=iso-8859-1"], None);
        check("", &["application/fhir+json;q=0"], None);
        check("", &["application/fhir+turtle"], None);
    }

    #[test]
    fn a_generic_type_is_given_back() {
        check("", &["application/json"], Some("application/json"));
        check("", &["text/xml"], Some("text/xml"));
        check("_format=application/xml", &[], Some("application/xml"));
    }

    #[test]
    fn the_format_parameter_wins() {
        let xml = Some("application/fhir+xml");
        check("_format=xml", &["application/fhir+json"], xml);
        check("_format=application/fhir+xml", &["text/html"], xml);
        check("_format=application%2Ffhir%2Bxml", &[], xml);
        check(
            "_format=json",
            &["application/fhir+xml"],
            Some("application/fhir+json"),
        );
        check("_format=html", &["application/fhir+json"], None);
    }

    #[test]
    fn a_body_says_what_it_is() {
        let format = |content_type: &str| {
            let mut headers = HeaderMap::new();
            headers.append(header::CONTENT_TYPE, content_type.parse().unwrap());
            body_format(&headers).ok()
        };
        assert_eq!(body_format(&HeaderMap::new()).ok(), Some(Format::Json));
        assert_eq!(
            format("application/fhir+xml; charset=UTF-8"),
            Some(Format::Xml)
        );
        assert_eq!(format("text/xml"), Some(Format::Xml));
        assert_eq!(format("application/json"), Some(Format::Json));
        assert_eq!(format("application/octet-stream"), None);
        assert_eq!(
            format("application/fhir+json; fhirVersion=4.0"),
            Some(Format::Json)
        );
        assert_eq!(format("application/fhir+json; fhirVersion=5.0"), None);
        assert_eq!(format("application/fhir+xml; charset=utf-16"), None);
        assert_eq!(format("*/*"), None);
    }
}
