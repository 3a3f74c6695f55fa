//! What a reference points at: a resource of this server, or something else by its URL.
//!
//! <https://hl7.org/fhir/R4/references.html#literal>. An absolute URL below the server's own base
//! means the same as what follows the base; a version (`/_history/2`) does not make another target.

use fhir_model::key::{LogicalId, ResourceKey, ResourceType};

use crate::search::normalise::truncated;
use crate::search::value::Target;

/// The schemes of absolute references that are no URL with `//`.
const URN: &str = "urn:";

/// The target of a literal reference; nothing for a contained resource (`#…`) and for what is
/// neither `Type/id` nor a URL.
pub fn target(text: &str, base_url: &str) -> Option<Target> {
    let relative = relative(text, base_url);
    if let Some((resource_type, id)) = local(relative) {
        return Some(Target::Local(resource_type, id));
    }
    is_absolute(text).then(|| Target::Url(truncated(text).to_owned()))
}

/// Whether the text is a URL or URN, not relative to a server.
pub fn is_absolute(text: &str) -> bool {
    text.starts_with(URN) || text.contains("://")
}

/// What follows the server's own base, or all of the text if it does not start with it.
fn relative<'a>(text: &'a str, base_url: &str) -> &'a str {
    text.strip_prefix(base_url.trim_end_matches('/'))
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(text)
}

/// Type and id of `Type/id` or `Type/id/_history/version`.
fn local(text: &str) -> Option<(ResourceType, LogicalId)> {
    let unversioned = match text.split_once("/_history/") {
        Some((unversioned, version)) if !version.contains('/') => unversioned,
        _ => text,
    };
    let key = ResourceKey::parse(unversioned).ok()?;
    Some((key.resource_type, key.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let actual = match target(text, "https://baton.example/fhir/") {
            Some(Target::Local(resource_type, id)) => format!("local {resource_type} {id}"),
            Some(Target::Url(url)) => format!("url {url}"),
            None => "-".to_owned(),
        };
        assert_eq!(actual, expected, "{text}");
    }

    #[test]
    fn a_reference_is_local_or_a_url() {
        check("Patient/23", "local Patient 23");
        check("Patient/23/_history/4", "local Patient 23");
        check("https://baton.example/fhir/Patient/23", "local Patient 23");
        check(
            "https://baton.example/fhirX/Patient/23",
            "url https://baton.example/fhirX/Patient/23",
        );
        check(
            "http://acme.org/fhir/Patient/23",
            "url http://acme.org/fhir/Patient/23",
        );
        check(
            "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
            "url urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        );
        check("urn:oid:1.2.3", "url urn:oid:1.2.3");
        check("#p1", "-");
        check("23", "-");
        check("patient/23", "-");
        check("Patient/a_b", "-");
        check("", "-");
    }
}
