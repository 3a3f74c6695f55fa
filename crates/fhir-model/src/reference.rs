//! What a reference string points to: <https://hl7.org/fhir/R4/references.html#literal>.
//!
//! An absolute URL below our own base is the same as the relative reference, so it is parsed as
//! such. Whether the target exists, and is of an allowed type, is the business of the server and of
//! validation.

use std::fmt;

use crate::key::{self, LogicalId, ResourceKey, ResourceType};

/// The base URL of this server, in the form in which it is compared.
///
/// Compared without its scheme, because a server behind a proxy is named by `http:` and `https:`
/// alike, and without a slash at its end.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BaseUrl {
    text: String,
    /// Where the text after `http://` starts.
    authority: usize,
}

impl BaseUrl {
    /// The base with this URL: `https://example.org/fhir`.
    pub fn new(url: &str) -> Self {
        let text = url.trim_end_matches('/').to_owned();
        let authority = text.len() - without_scheme(&text).unwrap_or(&text).len();
        Self { text, authority }
    }

    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What follows this base and its slash, if the URL is below it.
    pub fn strip<'a>(&self, url: &'a str) -> Option<&'a str> {
        let authority = self.text.get(self.authority..).unwrap_or_default();
        without_scheme(url)?
            .strip_prefix(authority)?
            .strip_prefix('/')
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn without_scheme(url: &str) -> Option<&str> {
    url.strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
}

/// Type, id and version as a URL of the REST interface has them, well-formed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Target<'a> {
    /// The type: `Patient`.
    pub resource_type: &'a str,
    /// The logical id.
    pub id: &'a str,
    /// The version, if the reference is to one.
    pub version: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Takes `Patient/1` and `Patient/1/_history/2`.
    pub fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.split('/');
        let resource_type = parts.next()?;
        let id = parts.next()?;
        let version = match (parts.next(), parts.next(), parts.next()) {
            (None, _, _) => None,
            (Some("_history"), Some(version), None) => Some(version),
            _ => return None,
        };
        let is_well_formed = key::is_resource_type(resource_type)
            && key::is_logical_id(id)
            && version.is_none_or(key::is_logical_id);
        is_well_formed.then_some(Self {
            resource_type,
            id,
            version,
        })
    }

    /// The key, without the version.
    pub fn key(self) -> Option<ResourceKey> {
        let resource_type = ResourceType::parse(self.resource_type).ok()?;
        let id = LogicalId::parse(self.id).ok()?;
        Some(ResourceKey::new(resource_type, id))
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.resource_type, self.id)?;
        match self.version {
            Some(version) => write!(formatter, "/_history/{version}"),
            None => Ok(()),
        }
    }
}

/// What the text of `Reference.reference` points to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reference<'a> {
    /// A resource of this server: `Patient/1`, or the same as a URL below our base.
    Local(Target<'a>),
    /// A resource of another server.
    Remote {
        /// The base URL of that server, without a slash at its end.
        base: &'a str,
        /// The resource there.
        target: Target<'a>,
    },
    /// A resource that the same resource contains: the id after `#`; empty for the container.
    Contained(&'a str),
    /// `urn:uuid:`, as between the entries of a Bundle: the whole text.
    Uuid(&'a str),
    /// `urn:oid:`: the whole text.
    Oid(&'a str),
    /// A search that finds one resource, in a transaction: `Patient?identifier=s|v`.
    Conditional {
        /// The type to search.
        resource_type: &'a str,
        /// What follows the `?`.
        query: &'a str,
    },
    /// The canonical URL of a definition, with its version: `http://example.org/plan|2`.
    Canonical(Canonical<'a>),
    /// Another URI: it may name a resource, but does not say which type or id.
    Uri(&'a str),
    /// None of these, and no URI either: `patient 1`, or an empty text.
    Malformed(&'a str),
}

impl<'a> Reference<'a> {
    /// Tells what a reference points to, as seen from the server with this base.
    pub fn parse(text: &'a str, own: Option<&BaseUrl>) -> Self {
        if let Some(id) = text.strip_prefix('#') {
            return Self::contained(id, text);
        }
        if text.starts_with("urn:uuid:") {
            return Self::Uuid(text);
        }
        if text.starts_with("urn:oid:") {
            return Self::Oid(text);
        }
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Self::Malformed(text);
        }
        if without_scheme(text).is_some() {
            return Self::url(text, own);
        }
        if let Some(target) = Target::parse(text) {
            return Self::Local(target);
        }
        Self::conditional(text).unwrap_or_else(|| {
            if has_scheme(text) {
                Self::canonical(text)
            } else {
                Self::Malformed(text)
            }
        })
    }

    /// The resource of this server that is meant, if it is one.
    pub fn local(self) -> Option<Target<'a>> {
        match self {
            Self::Local(target) => Some(target),
            _ => None,
        }
    }

    /// The type of the resource, if the text says so.
    pub fn resource_type(self) -> Option<&'a str> {
        match self {
            Self::Local(target) | Self::Remote { target, .. } => Some(target.resource_type),
            Self::Conditional { resource_type, .. } => Some(resource_type),
            _ => None,
        }
    }

    fn contained(id: &'a str, text: &'a str) -> Self {
        if id.is_empty() || key::is_logical_id(id) {
            Self::Contained(id)
        } else {
            Self::Malformed(text)
        }
    }

    fn url(text: &'a str, own: Option<&BaseUrl>) -> Self {
        if let Some(path) = own.and_then(|own| own.strip(text)) {
            if let Some(target) = Target::parse(path) {
                return Self::Local(target);
            }
            if let Some(conditional) = Self::conditional(path) {
                return conditional;
            }
        }
        match split_remote(text) {
            Some((base, target)) => Self::Remote { base, target },
            None => Self::canonical(text),
        }
    }

    fn conditional(text: &'a str) -> Option<Self> {
        let (resource_type, query) = text.split_once('?')?;
        (key::is_resource_type(resource_type) && !query.is_empty()).then_some(Self::Conditional {
            resource_type,
            query,
        })
    }

    fn canonical(text: &'a str) -> Self {
        let canonical = Canonical::parse(text);
        if canonical.version.is_some() {
            Self::Canonical(canonical)
        } else {
            Self::Uri(text)
        }
    }
}

/// Splits `http://other/base/Patient/1/_history/2` before the type.
fn split_remote(url: &str) -> Option<(&str, Target<'_>)> {
    let after_version = url.rfind("/_history/").unwrap_or(url.len());
    let versionless = url.get(..after_version)?;
    let before_id = versionless.rfind('/')?;
    let before_type = versionless.get(..before_id)?.rfind('/')?;
    let base = url.get(..before_type)?;
    let has_authority = without_scheme(base).is_some_and(|authority| !authority.is_empty());
    let target = Target::parse(url.get(before_type + 1..)?)?;
    has_authority.then_some((base, target))
}

/// Whether a text starts as a URI does: `scheme:`.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        let is_scheme =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(is_scheme)
            && !rest.is_empty()
    })
}

/// A canonical URL with what may follow it: <https://hl7.org/fhir/R4/references.html#canonical>.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Canonical<'a> {
    /// The URL of the definition.
    pub url: &'a str,
    /// The business version after `|`.
    pub version: Option<&'a str>,
    /// The part within the definition after `#`.
    pub fragment: Option<&'a str>,
}

impl<'a> Canonical<'a> {
    /// Splits `url|version#fragment`; a `|` or `#` with nothing after it counts as not there.
    pub fn parse(text: &'a str) -> Self {
        let (rest, fragment) = split_non_empty(text, '#');
        let (url, version) = split_non_empty(rest, '|');
        Self {
            url,
            version,
            fragment,
        }
    }
}

fn split_non_empty(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((before, after)) => (before, (!after.is_empty()).then_some(after)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Reference<'_>) {
        let own = BaseUrl::new("https://baton.example.org/fhir/");
        assert_eq!(Reference::parse(text, Some(&own)), expected);
    }

    fn target<'a>(resource_type: &'a str, id: &'a str, version: Option<&'a str>) -> Target<'a> {
        Target {
            resource_type,
            id,
            version,
        }
    }

    #[test]
    fn a_url_below_our_base_is_the_relative_reference() {
        let patient = Reference::Local(target("Patient", "1", None));
        check("Patient/1", patient);
        check("https://baton.example.org/fhir/Patient/1", patient);
        check("http://baton.example.org/fhir/Patient/1", patient);
        check(
            "https://baton.example.org/fhir/Patient/1/_history/2",
            Reference::Local(target("Patient", "1", Some("2"))),
        );
        check(
            "Patient/1/_history/2",
            Reference::Local(target("Patient", "1", Some("2"))),
        );
        let url = "https://baton.example.org/Patient/1";
        check(
            url,
            Reference::Remote {
                base: "https://baton.example.org",
                target: target("Patient", "1", None),
            },
        );
        check(
            "https://baton.example.org/fhir2/Patient/1",
            Reference::Remote {
                base: "https://baton.example.org/fhir2",
                target: target("Patient", "1", None),
            },
        );
    }

    #[test]
    fn a_url_elsewhere_keeps_its_base() {
        check(
            "http://other.example.org:8080/r4/Observation/a.b-c/_history/v1",
            Reference::Remote {
                base: "http://other.example.org:8080/r4",
                target: target("Observation", "a.b-c", Some("v1")),
            },
        );
        for uri in [
            "http://other.example.org",
            "http://Patient/1",
            "http://other.example.org/files/report.pdf",
            "http://other.example.org/Patient/a_b",
            "http://other.example.org/Patient/1/_history/",
            "ftp://other.example.org/Patient/1",
            "mailto:nobody@example.org",
        ] {
            check(uri, Reference::Uri(uri));
        }
    }

    #[test]
    fn what_is_no_url_of_a_resource_is_told_apart() {
        check("#", Reference::Contained(""));
        check("#p1", Reference::Contained("p1"));
        let uuid = "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7";
        check(uuid, Reference::Uuid(uuid));
        check("urn:oid:1.2.3", Reference::Oid("urn:oid:1.2.3"));
        check(
            "Patient?identifier=http://example.org|1",
            Reference::Conditional {
                resource_type: "Patient",
                query: "identifier=http://example.org|1",
            },
        );
        check(
            "http://example.org/PlanDefinition/tcm|1.0",
            Reference::Canonical(Canonical {
                url: "http://example.org/PlanDefinition/tcm",
                version: Some("1.0"),
                fragment: None,
            }),
        );
        for wrong in [
            "",
            " ",
            "Patient",
            "Patient/",
            "patient/1",
            "/Patient/1",
            "Patient/1/",
            "Patient/1/2",
            "Patient/1/_history",
            "#a_b",
            "Patient?",
            "Patient/a b",
            ":x",
        ] {
            check(wrong, Reference::Malformed(wrong));
        }
    }

    #[test]
    fn a_canonical_has_version_and_fragment() {
        let parts = |text| {
            let canonical = Canonical::parse(text);
            (canonical.url, canonical.version, canonical.fragment)
        };
        assert_eq!(parts("http://a/b"), ("http://a/b", None, None));
        assert_eq!(parts("http://a/b|2"), ("http://a/b", Some("2"), None));
        assert_eq!(
            parts("http://a/b|2#c"),
            ("http://a/b", Some("2"), Some("c"))
        );
        assert_eq!(parts("http://a/b#c"), ("http://a/b", None, Some("c")));
        assert_eq!(parts("http://a/b|"), ("http://a/b", None, None));
    }

    #[test]
    fn a_target_gives_its_key() {
        let target = target("Patient", "1", Some("2"));
        assert_eq!(target.to_string(), "Patient/1/_history/2");
        assert_eq!(target.key().unwrap().to_string(), "Patient/1");
    }
}
