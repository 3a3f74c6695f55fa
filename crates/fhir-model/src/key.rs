//! The keys of resources: type, logical id and version, each in a type that cannot be wrong.
//!
//! <https://hl7.org/fhir/R4/resource.html#id>, <https://hl7.org/fhir/R4/datatypes.html#id>.
//! Whether a resource type exists is asked of the definitions; here it is well-formed.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most characters that a resource type may have; R4's longest has 32.
pub const RESOURCE_TYPE_CHARS_MAX: usize = 64;

/// The most characters that a logical id may have: datatypes.html#id.
pub const ID_CHARS_MAX: usize = 64;

/// Why a text is not part of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// Not the form of a resource type.
    #[error(
        "a resource type is a capital letter and up to {} more letters",
        RESOURCE_TYPE_CHARS_MAX - 1
    )]
    ResourceType,
    /// Not the form of an id.
    #[error("an id is 1 to {ID_CHARS_MAX} letters, digits, '-' and '.'")]
    LogicalId,
    /// Not a version that this server gives.
    #[error("a version is a number from 1, without leading zeros")]
    VersionId,
    /// Not `Type/id`.
    #[error("a resource is named as type/id")]
    ResourceKey,
}

/// Whether a text has the form of a resource type: `Patient`.
pub fn is_resource_type(text: &str) -> bool {
    text.len() <= RESOURCE_TYPE_CHARS_MAX
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Whether a text has the form of an id: `[A-Za-z0-9\-\.]{1,64}`.
pub fn is_logical_id(text: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// The name of a resource type, well-formed; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceType(Arc<str>);

/// The logical id of a resource, well-formed; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogicalId(Arc<str>);

impl ResourceType {
    /// Takes a name of the right form.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if is_resource_type(text) {
            Ok(Self(text.into()))
        } else {
            Err(KeyError::ResourceType)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LogicalId {
    /// Takes an id of the right form.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if is_logical_id(text) {
            Ok(Self(text.into()))
        } else {
            Err(KeyError::LogicalId)
        }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is the same for both kinds of text.
macro_rules! text_key {
    ($($key:ty),+) => {$(
        impl FromStr for $key {
            type Err = KeyError;

            fn from_str(text: &str) -> Result<Self, KeyError> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $key {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $key {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $key {
            fn eq(&self, other: &str) -> bool {
                *self.0 == *other
            }
        }

        impl PartialEq<&str> for $key {
            fn eq(&self, other: &&str) -> bool {
                *self.0 == **other
            }
        }

        impl fmt::Display for $key {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $key {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )+};
}

text_key!(ResourceType, LogicalId);

/// The version of a resource as this server counts: 1, 2, …
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(u64);

impl VersionId {
    /// The version of a resource that is new.
    pub const FIRST: Self = Self(1);

    /// The version with this number; there is no version 0.
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 {
            None
        } else {
            Some(Self(number))
        }
    }

    /// Takes the text of `meta.versionId`, of an `ETag` without its quotes, or of a URL.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        let number = text.parse().ok().filter(|_| is_plain);
        number.and_then(Self::new).ok_or(KeyError::VersionId)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl FromStr for VersionId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// Which resource, whatever its version: `Patient/123`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// The type.
    pub resource_type: ResourceType,
    /// The logical id.
    pub id: LogicalId,
}

impl ResourceKey {
    /// The key of these two.
    pub const fn new(resource_type: ResourceType, id: LogicalId) -> Self {
        Self { resource_type, id }
    }

    /// Takes `Patient/123`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (resource_type, id) = text.split_once('/').ok_or(KeyError::ResourceKey)?;
        Ok(Self {
            resource_type: ResourceType::parse(resource_type)?,
            id: LogicalId::parse(id)?,
        })
    }
}

impl FromStr for ResourceKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.resource_type, self.id)
    }
}

impl fmt::Debug for ResourceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, KeyError>) {
        let actual = ResourceKey::parse(text).map(|key| key.to_string());
        assert_eq!(actual, expected.map(str::to_owned));
    }

    #[test]
    fn a_resource_key_is_type_and_id() {
        let longest = format!("Patient/{}", "a".repeat(64));
        check("Patient/123", Ok("Patient/123"));
        check("Observation/a.B-9", Ok("Observation/a.B-9"));
        check(&longest, Ok(&longest));
        check(&format!("{longest}a"), Err(KeyError::LogicalId));
        check("Patient/", Err(KeyError::LogicalId));
        check("Patient/a_b", Err(KeyError::LogicalId));
        check("Patient/ä", Err(KeyError::LogicalId));
        check("Patient/1/2", Err(KeyError::LogicalId));
        check("patient/1", Err(KeyError::ResourceType));
        check("Patient1/1", Err(KeyError::ResourceType));
        check("/1", Err(KeyError::ResourceType));
        check("Patient", Err(KeyError::ResourceKey));
    }

    #[test]
    fn a_version_is_a_number_from_one() {
        let number = |text| VersionId::parse(text).map(VersionId::number);
        assert_eq!(number("1"), Ok(1));
        assert_eq!(number("18446744073709551615"), Ok(u64::MAX));
        for wrong in ["", "0", "01", "+1", "-1", "1.0", "18446744073709551616"] {
            assert_eq!(number(wrong), Err(KeyError::VersionId), "{wrong}");
        }
        assert_eq!(VersionId::FIRST.next().to_string(), "2");
    }
}
