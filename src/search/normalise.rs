//! How text is made comparable before it is kept or looked for.
//!
//! A string search disregards case, accents, punctuation and superfluous white space:
//! <https://hl7.org/fhir/R4/search.html#string>. Both sides of the comparison come through here.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The most bytes of a text that are kept and compared.
pub const TEXT_BYTES_MAX: usize = 512;

/// The most bytes of a text that are looked at: a letter with its marks is longer than what is kept.
const FOLDED_BYTES_MAX: usize = 4 * TEXT_BYTES_MAX;

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

/// Punctuation that names and addresses are written with or without: it does not count. Signs that
/// carry a meaning of their own do (`%`, `_`, `&`, `/`, `#`).
const PUNCTUATION: &[char] = &[
    '\'', '"', '`', '´', '’', '‘', '‚', '‛', '“', '”', '„', '«', '»', 'ʼ', '.', ',', ';', ':', '!',
    '?', '¿', '¡', '…', '-', '‐', '‑', '‒', '–', '—', '―', '(', ')', '[', ']', '{', '}',
];

/// Lower case, without accents and punctuation, with single spaces between words and none around.
/// A text that is nothing but punctuation keeps it.
pub fn fold(text: &str) -> String {
    let folded = fold_all(text);
    if folded.contains(PUNCTUATION) {
        let bare = fold_all(&folded.replace(PUNCTUATION, ""));
        if !bare.is_empty() {
            return bare;
        }
    }
    folded
}

/// Lower case, without accents, with single spaces.
fn fold_all(text: &str) -> String {
    if text.is_ascii() {
        return join(text, |folded, word| {
            folded.extend(word.chars().map(|char| char.to_ascii_lowercase()));
        });
    }
    let text = without_marks(beginning(text, FOLDED_BYTES_MAX));
    join(&text, |folded, word| {
        for char in word.chars() {
            match FOLDED.iter().find(|(letter, _)| *letter == char) {
                Some((_, letters)) => folded.push_str(letters),
                None => folded.push(char),
            }
        }
    })
}

/// Base letters in lower case; some marks stand alone and leave a space.
fn without_marks(text: &str) -> String {
    text.nfkd()
        .filter(|char| !is_combining_mark(*char))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The words of a text, each written by `push`, until there is enough.
fn join(text: &str, push: impl Fn(&mut String, &str)) -> String {
    let mut joined = String::with_capacity(text.len().min(TEXT_BYTES_MAX));
    for word in text.split_whitespace() {
        if joined.len() >= TEXT_BYTES_MAX {
            break;
        }
        if !joined.is_empty() {
            joined.push(' ');
        }
        push(&mut joined, word);
    }
    joined.truncate(truncated(&joined).trim_end().len());
    joined
}

/// The beginning of a text, at most [`TEXT_BYTES_MAX`] long.
pub fn truncated(text: &str) -> &str {
    beginning(text, TEXT_BYTES_MAX)
}

/// At most so many bytes, between characters.
fn beginning(text: &str, bytes_max: usize) -> &str {
    let end = text.floor_char_boundary(bytes_max);
    text.get(..end).unwrap_or(text)
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
        check("MÜLLER-Lüdenscheidt", "mullerludenscheidt");
        check("Straße", "strasse");
        check("Ærøskøbing", "aeroskobing");
        check("Łódź", "lodz");
        check("İstanbul", "istanbul");
        check("Σίσυφος", "σισυφος");
        check("山田 太郎", "山田 太郎");
        check("", "");
        check(" \u{a0} ", "");
        // Marks that stand alone leave a space when they are taken off.
        check("a\u{ffe3}b", "a b");
    }

    #[test]
    fn punctuation_does_not_count_unless_there_is_nothing_else() {
        check("O'Hara", "ohara");
        check("O’Hara", "ohara");
        check("Dr. Eve (Ada) O-Hara", "dr eve ada ohara");
        check("1 Main St., Apt. 4", "1 main st apt 4");
        check("100%_ & more", "100%_ & more");
        check(" - ", "-");
        check("?!", "?!");
        // Nor does what becomes punctuation when it is taken apart.
        check("㈀", "ᄀ");
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
