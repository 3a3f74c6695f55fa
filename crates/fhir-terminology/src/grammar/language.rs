//! Language tags: BCP 47 (RFC 5646), well-formed and made of registered subtags.

use language_tags::LanguageTag;

/// Whether a text is a language tag of registered subtags.
///
/// The registry is that of the library; a subtag registered later than it is not known.
pub(super) fn is_language(code: &str) -> bool {
    LanguageTag::parse(code).is_ok_and(|tag| tag.is_valid())
}
