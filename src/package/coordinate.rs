//! Names and versions of packages: `hl7.fhir.us.core@6.1.0`, `hl7.fhir.us.core@6.1.0#sha256:…`.
//!
//! <https://confluence.hl7.org/display/FHIR/NPM+Package+Specification>. A version may end in `x`
//! (`4.0.x`), which means the newest that is found. What is found where is left to the sources.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::package::{Error, Hash};

/// A package, exactly: name and version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coordinate {
    /// `hl7.fhir.us.core`.
    pub name: String,
    /// `6.1.0`, or `6.1.x` for what is asked for.
    pub version: String,
}

/// A package that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which one.
    pub coordinate: Coordinate,
    /// What the SHA-256 of it must be, if that is said.
    pub hash: Option<Hash>,
}

/// Longest name or version that is taken for one.
const PART_BYTES_MAX: usize = 128;

impl Coordinate {
    /// A name and a version, both well-formed: nothing that could be a path.
    pub fn new(name: &str, version: &str) -> Option<Self> {
        (is_part(name) && is_part(version)).then(|| Self {
            name: name.to_owned(),
            version: version.to_owned(),
        })
    }

    /// Whether it leaves its version open: `4.0.x`.
    pub fn is_open(&self) -> bool {
        self.version.split('.').any(|part| part == "x")
    }

    /// Whether this version is one that is meant: the same, or one that fills in an `x`.
    pub fn admits(&self, version: &str) -> bool {
        if !self.is_open() {
            return self.version == version;
        }
        let mut found = version.split('.');
        let mut wanted = self.version.split('.');
        wanted.all(|wanted| {
            found
                .next()
                .is_some_and(|part| wanted == "x" || wanted == part)
        }) && found.next().is_none()
    }
}

fn is_part(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
    let is_visible = text.bytes().any(|byte| byte.is_ascii_alphanumeric());
    is_visible
        && text.len() <= PART_BYTES_MAX
        && !text.starts_with('.')
        && text.bytes().all(is_allowed)
}

impl fmt::Display for Coordinate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.name, self.version)
    }
}

impl FromStr for Wanted {
    type Err = Error;

    /// `NAME@VERSION` or, as the package cache writes it, `NAME#VERSION`; `#sha256:…` may follow.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error::Name(text.to_owned());
        let (coordinate, hash) = match text.rsplit_once("#sha256:") {
            Some((coordinate, hash)) => (coordinate, Some(Hash::parse(hash).ok_or_else(refused)?)),
            None => (text, None),
        };
        let parts = coordinate.split_once(['@', '#']);
        let coordinate = parts.and_then(|(name, version)| Coordinate::new(name, version));
        Ok(Self {
            coordinate: coordinate.ok_or_else(refused)?,
            hash,
        })
    }
}

/// The order of versions: by number part after part, and `4.0.0-ballot` before `4.0.0`.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let split = |version: &str| match version.split_once('-') {
        Some((numbers, label)) => (numbers.to_owned(), Some(label.to_owned())),
        None => (version.to_owned(), None),
    };
    let ((left, left_label), (right, right_label)) = (split(left), split(right));
    parts(&left, &right).then_with(|| match (left_label, right_label) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(left), Some(right)) => parts(&left, &right),
    })
}

/// Compares dotted parts; numbers by value, and before words.
fn parts(left: &str, right: &str) -> Ordering {
    let key = |part: &str| {
        (
            part.parse::<u64>().map_or(u64::MAX, |number| number),
            part.to_owned(),
        )
    };
    left.split('.').map(key).cmp(right.split('.').map(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_package() {
        let hash = "ab".repeat(32);
        for (text, expected) in [
            ("hl7.fhir.us.core@6.1.0", Some("hl7.fhir.us.core@6.1.0")),
            ("hl7.fhir.us.core#6.1.0", Some("hl7.fhir.us.core@6.1.0")),
            (&format!("a@1.0.0#sha256:{hash}"), Some("a@1.0.0")),
            ("a@1.0.0#sha256:abc", None),
            ("hl7.fhir.us.core", None),
            ("../../etc@1.0.0", None),
            ("a@../1", None),
            ("a@..", None),
            ("a/b@1.0.0", None),
            ("@1.0.0", None),
        ] {
            let found = text.parse::<Wanted>().ok();
            let found = found.map(|wanted| wanted.coordinate.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn versions_have_an_order() {
        let sorted = [
            "0.18.0",
            "1.0.0-ballot",
            "1.0.0-ballot2",
            "1.0.0",
            "3.1.1",
            "5.3.0-ballot-tc1",
            "5.3.0",
            "10.0.0",
        ];
        for pair in sorted.windows(2) {
            let [left, right] = pair else { continue };
            assert_eq!(compare(left, right), Ordering::Less, "{left} {right}");
        }
        assert_eq!(compare("1.0.0", "1.0.0"), Ordering::Equal);
    }

    #[test]
    fn an_x_admits_any_part() {
        for (wanted, version, expected) in [
            ("4.0.x", "4.0.1", true),
            ("4.0.x", "4.1.0", false),
            ("4.x.x", "4.1.0", true),
            ("4.0.1", "4.0.1", true),
            ("4.0.1", "4.0.10", false),
            ("4.0.x", "4.0", false),
        ] {
            let wanted = Coordinate::new("a", wanted).unwrap();
            assert_eq!(wanted.admits(version), expected, "{wanted} {version}");
        }
    }
}
