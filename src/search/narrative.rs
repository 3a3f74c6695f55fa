//! The words of a narrative: what `_text` looks for.
//!
//! <https://hl7.org/fhir/R4/search.html#content>, <https://hl7.org/fhir/R4/narrative.html>. A word is
//! kept like any other string, once for each resource, so that it is written with the resource and
//! means the same on every store. Neither stems nor synonyms are known.

use std::borrow::Cow;
use std::collections::BTreeSet;

use fhir_model::element::Element;

use crate::search::normalise::fold;
use crate::search::value::{ParameterId, Text};

/// The name of the parameter.
pub const TEXT: &str = "_text";

/// The most different words of one narrative that are kept; those that come later are not found.
pub const NARRATIVE_WORDS_MAX: usize = 1_000;

/// What the words of narratives of a type are kept under.
pub fn parameter(resource_type: &str) -> ParameterId {
    ParameterId::new(resource_type, TEXT)
}

/// The words of the narrative of a resource.
pub fn values(resource: Element<'_>, resource_type: &str) -> Vec<Text> {
    let div = resource.child_by_key("text");
    let div = div.and_then(|text| text.child_by_key("div"));
    let Some(xhtml) = div.and_then(Element::value_text) else {
        return Vec::new();
    };
    let parameter = parameter(resource_type);
    let words = words(&plain(&xhtml)).into_iter();
    words
        .map(|normalised| Text {
            parameter,
            normalised,
            exact: String::new(),
        })
        .collect()
}

/// The different words of a text, folded.
pub fn words(text: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for word in text.split(|char: char| !char.is_alphanumeric()) {
        let word = fold(word);
        if !word.is_empty() {
            words.insert(word);
        }
        if words.len() == NARRATIVE_WORDS_MAX {
            break;
        }
    }
    words
}

/// The text of XHTML: elements stand for a space, references to characters for these.
fn plain(xhtml: &str) -> Cow<'_, str> {
    if !xhtml.contains(['<', '&']) {
        return Cow::Borrowed(xhtml);
    }
    let mut text = String::with_capacity(xhtml.len());
    let mut rest = xhtml;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        let end = if after.starts_with('<') { '>' } else { ';' };
        let Some((mark, remaining)) = after.split_once(end) else {
            rest = "";
            break;
        };
        text.push(mark.strip_prefix('&').and_then(character).unwrap_or(' '));
        rest = remaining;
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The character that `#228` or `#xE4` stands for; those with names are no parts of words.
fn character(reference: &str) -> Option<char> {
    let number = reference.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(xhtml: &str, expected: &str) {
        let words: Vec<String> = words(&plain(xhtml)).into_iter().collect();
        assert_eq!(words.join(" "), expected, "{xhtml}");
    }

    #[test]
    fn a_narrative_is_words() {
        check(
            "<div>Anna <b>Müller</b>, aged 76</div>",
            "76 aged anna muller",
        );
        check("<p>left</p><p>right</p>", "left right");
        check("M&#252;ller &amp; S&#xF6;hne&nbsp;AG", "ag muller sohne");
        check(r#"<img src="secret.png" alt="no"/>seen"#, "seen");
        check("once Once ONCE", "once");
        check("open <b", "open");
        check("open &amp", "open");
        check("", "");
    }
}
