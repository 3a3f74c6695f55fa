//! FHIR XML: a transcoder between its text and the tree, driven by the definitions.
//!
//! There is one model, the tree over JSON; XML is another spelling of it. Reading makes JSON text
//! of XML ([`to_json`]) or the tree of that text ([`parse`]); writing makes XML of a tree
//! ([`from_tree`]). What an element is called, whether it repeats, whether it is an attribute and
//! which kind of JSON value it has is looked up in the [`Definitions`], never guessed:
//! <https://hl7.org/fhir/R4/xml.html>, <https://hl7.org/fhir/R4/json.html>.
//!
//! Reading is strict where meaning could be lost: an element, attribute or text that R4 does not
//! define is refused with its place, as are a DTD (and with it every entity of one's own), other
//! encodings than UTF-8, and what passes a limit. Comments and processing instructions are left
//! out. Whether what is read is a valid resource is left to the validation crate.
//!
//! Narrative is not translated: JSON holds the XHTML `div` as it stands in the XML.

mod error;
mod json;
mod namespace;
mod read;
mod text;
mod write;
mod xhtml;

use crate::definition::Definitions;
use crate::tree::{Limits, Tree};

pub use crate::xml::error::{WriteError, WriteErrorKind, XmlError, XmlErrorKind};
pub use crate::xml::write::{from_tree, from_tree_pretty};

/// The namespace of everything but the narrative.
const FHIR: &str = "http://hl7.org/fhir";

/// The namespace of the narrative.
const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// The JSON text of a resource in XML, within the default [`Limits`].
///
/// Properties come in the order of the document, the items of one in one array. The text is
/// compact and has no duplicate keys, so [`Tree::parse`] takes it.
pub fn to_json(xml: impl AsRef<[u8]>, definitions: &Definitions) -> Result<String, XmlError> {
    read::read(xml.as_ref(), definitions, &Limits::default()).map(|(json, _)| json.text)
}

/// The tree of a resource in XML; its nodes know their places in the XML.
///
/// The limits are those of its JSON: depth counts arrays too.
pub fn parse(
    xml: impl AsRef<[u8]>,
    definitions: &Definitions,
    limits: &Limits,
) -> Result<Tree, XmlError> {
    let (json, source) = read::read(xml.as_ref(), definitions, limits)?;
    let tree = Tree::parse(json.text, definitions.names(), &Limits::CEILING)?;
    Ok(tree.made_of(source, json.offsets))
}
