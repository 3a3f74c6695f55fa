//! What a reference points at: a resource of this server, or something else by its URL.
//!
//! <https://hl7.org/fhir/R4/references.html#literal>. A version (`/_history/2`) does not make
//! another target; the version of a canonical may (`url|2`), so that both forms are kept.

use fhir_model::reference::{BaseUrl, Reference};

use crate::search::value::Target;

/// The target of a literal reference; nothing for a contained resource (`#…`), for a conditional
/// reference and for what is neither `Type/id` nor a URL.
pub fn target(text: &str, base_url: &BaseUrl) -> Option<Target> {
    match Reference::parse(text, Some(base_url)) {
        Reference::Local(target) => {
            let key = target.key()?;
            Some(Target::Local(key.resource_type, key.id))
        }
        Reference::Remote { base, target } => Some(url(&format!(
            "{base}/{}/{}",
            target.resource_type, target.id
        ))),
        Reference::Uuid(text) | Reference::Oid(text) | Reference::Uri(text) => Some(url(text)),
        Reference::Canonical(_) => Some(url(text)),
        Reference::Contained(_) | Reference::Conditional { .. } | Reference::Malformed(_) => None,
    }
}

fn url(text: &str) -> Target {
    Target::Url(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let actual = match target(text, &BaseUrl::new("https://baton.example/fhir/")) {
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
        check(
            "http://acme.org/fhir/Patient/23/_history/1",
            "url http://acme.org/fhir/Patient/23",
        );
        check("http://acme.org/plan|2", "url http://acme.org/plan|2");
        check("Patient?identifier=1", "-");
        check("#p1", "-");
        check("23", "-");
        check("patient/23", "-");
        check("Patient/a_b", "-");
        check("", "-");
    }
}
