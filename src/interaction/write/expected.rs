//! What `If-Match` demands of the version that is current:
//! <https://hl7.org/fhir/R4/http.html#concurrency>, RFC 9110, section 13.1.1.

use std::fmt;

use fhir_model::key::VersionId;

use crate::store::Stored;

/// The version that a change must find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// `*`: whichever, but there must be a resource.
    Any,
    /// That there is no resource.
    Nothing,
    /// One of these.
    OneOf(Vec<VersionId>),
}

impl Expected {
    /// Reads the value of the header: `*`, or entity tags such as `W/"3"`, and what clients write
    /// instead of those; nothing when one of them names no version.
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        let versions: Option<Vec<VersionId>> = text.split(',').map(version_of).collect();
        versions.map(Self::OneOf)
    }

    /// Whether what is stored is what was expected.
    pub(super) fn admits(&self, stored: Option<&Stored>) -> bool {
        match self {
            Self::Any => stored.is_some_and(Stored::is_live),
            Self::Nothing => !stored.is_some_and(Stored::is_live),
            Self::OneOf(versions) => stored.is_some_and(|it| versions.contains(&it.version)),
        }
    }
}

impl From<VersionId> for Expected {
    fn from(version: VersionId) -> Self {
        Self::OneOf(vec![version])
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("any version"),
            Self::Nothing => formatter.write_str("no resource"),
            Self::OneOf(versions) => {
                let texts: Vec<String> = versions.iter().map(ToString::to_string).collect();
                write!(formatter, "version {}", texts.join(" or "))
            }
        }
    }
}

/// The version in an entity tag: `W/"3"`, `"3"` or `3`.
pub fn version_of(tag: &str) -> Option<VersionId> {
    VersionId::parse(tag.trim().trim_start_matches("W/").trim_matches('"')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let found = Expected::parse(text).map(|found| found.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn entity_tags_name_versions() {
        check("W/\"3\"", Some("version 3"));
        check("\"3\"", Some("version 3"));
        check("3", Some("version 3"));
        check(" W/\"1\" ,\"2\"", Some("version 1 or 2"));
        check("*", Some("any version"));
        check("latest", None);
        check("W/\"1\", x", None);
        check("", None);
    }
}
