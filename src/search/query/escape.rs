//! Separators in values, and how a value that contains one escapes it.
//!
//! `,` separates alternatives, `|` the parts of a token or quantity, `$` those of a composite;
//! `\` before one of them, or before itself, takes its meaning away:
//! <https://hl7.org/fhir/R4/search.html#escaping>.

use std::borrow::Cow;

const ESCAPABLE: [char; 4] = [',', '|', '$', '\\'];

/// The parts between separators that are not escaped; still escaped themselves.
pub(super) fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (part, remaining) = match split_once(text, separator) {
            Some((part, remaining)) => (part, Some(remaining)),
            None => (text, None),
        };
        rest = remaining;
        Some(part)
    })
}

/// What is before and after the first separator that is not escaped.
pub(super) fn split_once(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    for (at, char) in text.char_indices() {
        if char == separator && !is_escaped {
            let (before, after) = text.split_at_checked(at)?;
            return Some((before, after.get(separator.len_utf8()..)?));
        }
        is_escaped = char == '\\' && !is_escaped;
    }
    None
}

/// The text that was meant. A `\` before any other character stands for itself.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let escaped = chars.next_if(|next| char == '\\' && ESCAPABLE.contains(next));
        plain.push(escaped.unwrap_or(char));
    }
    Cow::Owned(plain)
}

/// The text with its separators escaped, so that a value is taken to the letter.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if ESCAPABLE.contains(&char) {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let parts: Vec<_> = split(text, ',').map(unescape).collect();
        assert_eq!(parts, expected, "{text}");
    }

    #[test]
    fn a_value_is_split_at_separators_that_are_not_escaped() {
        check("a,b", &["a", "b"]);
        check(r"a\,b,c", &["a,b", "c"]);
        check(r"a\\,b", &[r"a\", "b"]);
        check(r"a\\\,b", &[r"a\,b"]);
        check(r"a\|b\$c", &["a|b$c"]);
        check(r"c:\path", &[r"c:\path"]);
        check(r"end\", &[r"end\"]);
        check("", &[""]);
        check(",", &["", ""]);
        check("é,ü", &["é", "ü"]);
    }

    proptest! {
        #[test]
        fn an_escaped_text_is_one_part_and_means_itself(text in "[a,|$\\\\é]{0,12}") {
            let escaped = escape(&text);
            for separator in [',', '|', '$'] {
                prop_assert_eq!(split(&escaped, separator).count(), 1);
            }
            prop_assert_eq!(unescape(&escaped), text);
        }
    }
}
