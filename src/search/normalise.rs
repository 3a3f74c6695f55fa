//! How text is made comparable before it is kept or looked for.
//!
//! A string search disregards case, accents and superfluous white space:
//! <https://hl7.org/fhir/R4/search.html#string>. Both sides of the comparison come through here.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The most bytes of a text that are kept and compared.
pub const TEXT_BYTES_MAX: usize = 512;

/// Letters that are no base letter with a mark, but are written for one.
const FOLDED: &[(char, &str)] = &[
    ('ß', "ss"),
    ('æ', "ae"),
    ('œ', "oe"),
    ('ø', "o"),
    ('ł', "l"),
    ('đ', "d"),
    ('ð', "d"),
    ('þ', "th"),
    ('ı', "i"),
];

/// Lower case, without accents, with single spaces between words and none around.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if folded.len() >= TEXT_BYTES_MAX {
            break;
        }
        if !folded.is_empty() {
            folded.push(' ');
        }
        push_folded(&mut folded, word);
    }
    folded.truncate(truncated(&folded).trim_end().len());
    folded
}

fn push_folded(folded: &mut String, word: &str) {
    if word.is_ascii() {
        folded.extend(word.chars().map(|char| char.to_ascii_lowercase()));
        return;
    }
    let plain = word.nfkd().flat_map(char::to_lowercase);
    for char in plain.filter(|char| !is_combining_mark(*char)) {
        match FOLDED.iter().find(|(letter, _)| *letter == char) {
            Some((_, letters)) => folded.push_str(letters),
            None => folded.push(char),
        }
    }
}

/// The beginning of a text, at most [`TEXT_BYTES_MAX`] long.
pub fn truncated(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(fold(text), expected, "{text}");
    }

    #[test]
    fn case_accents_and_white_space_do_not_count() {
        check("Eve", "eve");
        check("  Anna \t  Maria\n", "anna maria");
        check("Hélène", "helene");
        check("He\u{301}le\u{300}ne", "helene");
        check("MÜLLER-Lüdenscheidt", "muller-ludenscheidt");
        check("Straße", "strasse");
        check("Ærøskøbing", "aeroskobing");
        check("Łódź", "lodz");
        check("İstanbul", "istanbul");
        check("Σίσυφος", "σισυφος");
        check("山田 太郎", "山田 太郎");
        check("", "");
        check(" \u{a0} ", "");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let text = format!("a{}", "é".repeat(TEXT_BYTES_MAX));
        assert_eq!(truncated(&text).len(), TEXT_BYTES_MAX - 1);
        assert_eq!(fold(&text).len(), TEXT_BYTES_MAX);
        assert_eq!(truncated("short"), "short");
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
