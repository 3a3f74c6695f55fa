//! Media types: BCP 13 (RFC 6838), with parameters as RFC 2045 writes them.
//!
//! Subtypes are registered by the thousand and used unregistered; only the form of names is checked.

/// The top-level types: <https://www.iana.org/assignments/top-level-media-types>.
const TYPES: &[&str] = &[
    "application",
    "audio",
    "chemical",
    "example",
    "font",
    "haptics",
    "image",
    "message",
    "model",
    "multipart",
    "text",
    "video",
];

/// What FHIR lets stand for its own media types, as in `CapabilityStatement.format`:
/// <https://hl7.org/fhir/R4/http.html#mime-type>.
const FHIR_FORMATS: &[&str] = &["xml", "json", "ttl"];

/// Longest name of a type or subtype.
const NAME_BYTES_MAX: usize = 127;

/// Whether a text is a media type.
pub(super) fn is_media_type(code: &str) -> bool {
    if FHIR_FORMATS.contains(&code) {
        return true;
    }
    let mut parts = code.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    name.split_once('/').is_some_and(|(main, sub)| {
        let is_type = TYPES.iter().any(|known| known.eq_ignore_ascii_case(main));
        (is_type || is_private(main)) && is_name(sub)
    }) && parts.all(is_parameter)
}

fn is_private(main: &str) -> bool {
    main.get(..2)
        .is_some_and(|start| start.eq_ignore_ascii_case("x-"))
        && is_name(main)
}

/// A `restricted-name`, or `*` as in a range of types.
fn is_name(name: &str) -> bool {
    let is_letter = |it: u8| it.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&it);
    let starts_well = name
        .bytes()
        .next()
        .is_some_and(|it| it.is_ascii_alphanumeric());
    name == "*" || (starts_well && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_letter))
}

/// `name=value`. The value is often written without the quotes that it needs.
fn is_parameter(parameter: &str) -> bool {
    parameter
        .split_once('=')
        .is_some_and(|(name, value)| is_name(name) && !value.is_empty())
}
