//! The narrative: a `div` that stays as it is, once it is known to be well-formed.
//!
//! <https://hl7.org/fhir/R4/narrative.html#xhtml>. Which elements and attributes a narrative may
//! have is an invariant (`txt-1`) and left to the validation crate. Here a text is only kept from
//! breaking the XML it is put into: it must be whole, know no entities but XML's, and need no
//! declarations from outside.

use quick_xml::Reader;
use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesStart, Event};

use crate::xml::XHTML;
use crate::xml::error::XmlErrorKind;
use crate::xml::text::{TextFault, check_references, ill_formed, illegal_character, named};

/// How deep a narrative may nest.
const DEPTH_MAX: u32 = 256;

/// How many attributes an element of a narrative may have; each is compared with the others.
const ATTRIBUTES_MAX: usize = 64;

/// Reads on to the end of the element whose start tag was just read; else what is wrong and where.
pub(super) fn read_to_end(xml: &mut Reader<&[u8]>) -> Result<(), TextFault> {
    let mut depth = 1_u32;
    while depth > 0 {
        let at = usize::try_from(xml.buffer_position()).unwrap_or_default();
        let event = xml.read_event().map_err(|error| (at, ill_formed(error)))?;
        step(&event, &mut depth).map_err(|kind| (at, kind))?;
    }
    Ok(())
}

fn step(event: &Event<'_>, depth: &mut u32) -> Result<(), XmlErrorKind> {
    match event {
        Event::Start(tag) => {
            check_tag(tag)?;
            *depth += 1;
            if *depth > DEPTH_MAX {
                return Err(XmlErrorKind::TooDeep { limit: DEPTH_MAX });
            }
        }
        Event::Empty(tag) => {
            check_tag(tag)?;
        }
        Event::End(_) => *depth -= 1,
        Event::GeneralRef(reference) => {
            named(reference)?;
        }
        Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::PI(_) => {}
        Event::Decl(_) => return Err(ill_formed("a declaration inside an element")),
        Event::DocType(_) => return Err(XmlErrorKind::DocumentType),
        Event::Eof => return Err(XmlErrorKind::UnexpectedEnd),
    }
    Ok(())
}

/// Whether the start tag says that the element is XHTML.
pub(super) fn check_tag(tag: &BytesStart<'_>) -> Result<bool, XmlErrorKind> {
    if !is_name(tag.name().0) {
        return Err(XmlErrorKind::NotXhtml);
    }
    check_attributes(tag.attributes())
}

fn check_attributes(attributes: Attributes<'_>) -> Result<bool, XmlErrorKind> {
    let mut is_declared = false;
    let mut count = 0;
    for attribute in attributes {
        let attribute = attribute.map_err(ill_formed)?;
        count += 1;
        if count > ATTRIBUTES_MAX {
            return Err(XmlErrorKind::TooManyAttributes {
                limit: ATTRIBUTES_MAX,
            });
        }
        let (name, value) = (attribute.key.0, attribute.value.as_ref());
        if name == "xmlns" {
            is_declared = value == XHTML;
        }
        let is_known = is_name(name.strip_prefix("xml:").unwrap_or(name));
        if !is_known || (name == "xmlns" && !is_declared) {
            return Err(XmlErrorKind::NotXhtml);
        }
        if value.contains('<') {
            return Err(ill_formed("'<' in an attribute"));
        }
        check_references(value).map_err(|(_, kind)| kind)?;
    }
    Ok(is_declared)
}

/// A name without a prefix; XHTML has no others than these.
fn is_name(name: &str) -> bool {
    let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_inner =
        |byte: u8| is_start(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    name.bytes().next().is_some_and(is_start) && name.bytes().all(is_inner)
}

/// The narrative of a JSON string, checked: its text from `<div` on, and whether that tag declares
/// the namespace.
pub(super) fn check(narrative: &str) -> Result<(&str, bool), XmlErrorKind> {
    let text = narrative.trim_ascii();
    if let Some((_, char)) = illegal_character(text) {
        return Err(XmlErrorKind::Character { code: char.into() });
    }
    let mut xml = Reader::from_str(text);
    xml.config_mut().check_comments = true;
    let is_declared = match xml.read_event().map_err(ill_formed)? {
        Event::Start(tag) if tag.name().0 == "div" => {
            let is_declared = check_tag(&tag)?;
            read_to_end(&mut xml).map_err(|(_, kind)| kind)?;
            is_declared
        }
        Event::Empty(tag) if tag.name().0 == "div" => check_tag(&tag)?,
        _ => return Err(XmlErrorKind::NotXhtml),
    };
    match xml.read_event().map_err(ill_formed)? {
        Event::Eof => Ok((text, is_declared)),
        _ => Err(XmlErrorKind::TrailingData),
    }
}
