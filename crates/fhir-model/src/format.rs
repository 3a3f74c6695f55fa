//! The formats of a resource's text: <https://hl7.org/fhir/R4/formats.html#wire>.
//!
//! Whoever reads resources from elsewhere reads both here and gets the same tree of either.

use crate::definition::Definitions;
use crate::issue::Issue;
use crate::tree::{Limits, Tree};
use crate::xml;

/// A format that is read and written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// <https://hl7.org/fhir/R4/json.html>
    Json,
    /// <https://hl7.org/fhir/R4/xml.html>
    Xml,
}

impl Format {
    /// The format of a text that does not come with its name: XML starts with `<`, which no JSON
    /// does.
    pub fn of(text: &[u8]) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        match text.trim_ascii_start().first() {
            Some(b'<') => Self::Xml,
            _ => Self::Json,
        }
    }

    /// The tree of a resource in this format, or what is wrong with the text and where.
    pub fn parse(
        self,
        text: impl Into<Vec<u8>>,
        definitions: &Definitions,
        limits: &Limits,
    ) -> Result<Tree, Issue> {
        match self {
            Self::Json => {
                Tree::parse(text, definitions.names(), limits).map_err(|error| Issue::from(&error))
            }
            Self::Xml => {
                xml::parse(text.into(), definitions, limits).map_err(|error| Issue::from(&error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_is_told_by_its_first_character() {
        assert_eq!(Format::of(b"\xef\xbb\xbf \n<Patient/>"), Format::Xml);
        assert_eq!(Format::of(b" {\"a\":\"<\"}"), Format::Json);
        assert_eq!(Format::of(b""), Format::Json);
    }
}
