//! One trait of two descriptions: the same, alike, or different.

use crate::patient_match::Person;

/// How one trait of two descriptions compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// One of them says nothing.
    Unknown,
    /// Neither the same nor alike.
    Different,
    /// Not the same, but as one is when written by different hands.
    Alike,
    /// The same.
    Same,
}

/// Letters of a name that are compared: comparing takes time by their square.
const NAME_LETTERS_MAX: usize = 40;

/// All traits, in the order of the table of weights.
pub(super) fn findings(one: &Person, other: &Person) -> [Likeness; 7] {
    [
        identifiers(one, other),
        best(&one.families, &other.families, |a, b| name(a, b)),
        best(&one.givens, &other.givens, |a, b| given(a, b)),
        both(
            one.birth_date.as_ref(),
            other.birth_date.as_ref(),
            |a, b| date(a, b),
        ),
        both(one.gender.as_ref(), other.gender.as_ref(), |a, b| {
            same(a, b)
        }),
        best(&one.telecoms, &other.telecoms, same),
        best(&one.addresses, &other.addresses, address),
    ]
}

/// Whether the two were born together and are not the same one.
pub(super) fn are_of_one_birth(one: &Person, other: &Person) -> bool {
    let is_one = identifiers(one, other) == Likeness::Same;
    let orders = one.birth_order.zip(other.birth_order);
    !is_one && orders.is_some_and(|(one, other)| one != other)
}

fn same<T: PartialEq + ?Sized>(one: &T, other: &T) -> Likeness {
    if one == other {
        Likeness::Same
    } else {
        Likeness::Different
    }
}

fn rank(likeness: Likeness) -> u8 {
    match likeness {
        Likeness::Unknown => 0,
        Likeness::Different => 1,
        Likeness::Alike => 2,
        Likeness::Same => 3,
    }
}

fn both<T>(one: Option<T>, other: Option<T>, compare: impl Fn(T, T) -> Likeness) -> Likeness {
    one.zip(other)
        .map_or(Likeness::Unknown, |(one, other)| compare(one, other))
}

/// The best that any two values have in common.
fn best<T>(one: &[T], other: &[T], compare: impl Fn(&T, &T) -> Likeness) -> Likeness {
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
    pairs
        .map(|(a, b)| compare(a, b))
        .max_by_key(|likeness| rank(*likeness))
        .unwrap_or(Likeness::Unknown)
}

/// One that both have; different only where a system gave them different ones.
fn identifiers(one: &Person, other: &Person) -> Likeness {
    let pairs = one
        .identifiers
        .iter()
        .flat_map(|a| other.identifiers.iter().map(move |b| (a, b)));
    let comparable = pairs.filter(|((system, _), (other, _))| system == other);
    comparable
        .map(|((_, value), (_, other))| same(value, other))
        .max_by_key(|likeness| rank(*likeness))
        .unwrap_or(Likeness::Unknown)
}

/// Two family names, or two given names, folded.
pub fn name(one: &str, other: &str) -> Likeness {
    if one == other {
        return Likeness::Same;
    }
    let words = |name: &str| -> Vec<String> {
        let words = name.split([' ', '-', '\'']).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let (one_words, other_words) = (words(one), words(other));
    if one_words.concat() == other_words.concat() {
        return Likeness::Same;
    }
    let (fewer, more) = if one_words.len() <= other_words.len() {
        (&one_words, &other_words)
    } else {
        (&other_words, &one_words)
    };
    let is_part = !fewer.is_empty() && fewer.iter().all(|word| more.contains(word));
    if is_part || is_slip(one, other) || sounds_alike(one, other) {
        Likeness::Alike
    } else {
        Likeness::Different
    }
}

/// The given names of two names: the first one tells, an initial stands for a name.
pub fn given(one: &[String], other: &[String]) -> Likeness {
    let (Some(first), Some(second)) = (one.first(), other.first()) else {
        return Likeness::Unknown;
    };
    let likeness = name(first, second);
    let initial = |short: &str, long: &str| {
        let short = short.trim_end_matches('.');
        short.chars().count() == 1 && long.starts_with(short)
    };
    let is_initial = initial(first, second) || initial(second, first);
    // Some go by their second name.
    let is_second = one.contains(second) || other.contains(first);
    match likeness {
        Likeness::Different if is_initial || is_second => Likeness::Alike,
        likeness => likeness,
    }
}

/// Two dates of birth: alike where one is less precise, day and month are swapped, or one digit differs.
pub fn date(one: &str, other: &str) -> Likeness {
    if one == other {
        return Likeness::Same;
    }
    let is_less_precise = one.starts_with(other) || other.starts_with(one);
    let parts = |date: &str| -> Vec<String> { date.split('-').map(str::to_owned).collect() };
    let (one_parts, other_parts) = (parts(one), parts(other));
    let is_swapped = match (one_parts.as_slice(), other_parts.as_slice()) {
        ([year, month, day], [other_year, other_month, other_day]) => {
            year == other_year && month == other_day && day == other_month
        }
        _ => false,
    };
    let differing = one.chars().zip(other.chars()).filter(|(a, b)| a != b);
    let is_one_digit = one.len() == other.len() && differing.count() == 1;
    if is_less_precise || is_swapped || is_one_digit {
        Likeness::Alike
    } else {
        Likeness::Different
    }
}

/// The same where code and line are, alike where the code is.
fn address(one: &(String, String), other: &(String, String)) -> Likeness {
    if one.0 != other.0 {
        return Likeness::Different;
    }
    let is_line = !one.1.is_empty() && (one.1 == other.1 || is_slip(&one.1, &other.1));
    if is_line {
        Likeness::Same
    } else {
        Likeness::Alike
    }
}

/// Whether one is the other with a letter or, in long names, two typed wrongly.
fn is_slip(one: &str, other: &str) -> bool {
    let letters = one.chars().count().min(other.chars().count());
    let allowed = match letters {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    };
    allowed > 0 && distance(one, other) <= allowed
}

/// Letters to add, take away, change or swap with their neighbour (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let letters = |text: &str| -> Vec<char> { text.chars().take(NAME_LETTERS_MAX).collect() };
    let (one, other) = (letters(one), letters(other));
    let cell = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let changed = cell(&above, j) + usize::from(a != b);
            let added = cell(&row, j) + 1;
            let taken = cell(&above, j + 1) + 1;
            let mut least = changed.min(added).min(taken);
            let is_swap =
                i > 0 && j > 0 && one.get(i - 1) == Some(b) && other.get(j - 1) == Some(a);
            if is_swap {
                least = least.min(cell(&before, j - 1) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or_default()
}

/// So different two names may be written that sound alike.
const SOUND_DISTANCE_MAX: usize = 3;
/// Letters of a name whose sound says something: many short names have one code.
const SOUND_LETTERS_MIN: usize = 3;

fn sounds_alike(one: &str, other: &str) -> bool {
    let letters = one.chars().count().min(other.chars().count());
    let sounds = soundex(one).zip(soundex(other));
    letters >= SOUND_LETTERS_MIN
        && sounds.is_some_and(|(one, other)| one == other)
        && distance(one, other) <= SOUND_DISTANCE_MAX
}

/// Letters and the digit that stands for them in Soundex.
const SOUNDS: &[(&str, char)] = &[
    ("bfpv", '1'),
    ("cgjkqsxz", '2'),
    ("dt", '3'),
    ("l", '4'),
    ("mn", '5'),
    ("r", '6'),
];

/// American Soundex of a folded name; none for a name in another script.
fn soundex(name: &str) -> Option<String> {
    let letters = || name.chars().filter(char::is_ascii_lowercase);
    let digit = |letter: char| {
        SOUNDS
            .iter()
            .find(|(of, _)| of.contains(letter))
            .map(|it| it.1)
    };
    let first = letters().next()?;
    let mut code = String::from(first);
    let mut last = digit(first);
    for letter in letters().skip(1) {
        let sound = digit(letter);
        if let Some(sound) = sound.filter(|_| sound != last) {
            code.push(sound);
        }
        // h and w do not separate letters of one sound, vowels do.
        if !matches!(letter, 'h' | 'w') {
            last = sound;
        }
    }
    Some(code.chars().chain("000".chars()).take(4).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_coded_by_sound() {
        // the examples of the National Archives
        for (name, code) in [
            ("washington", "w252"),
            ("lee", "l000"),
            ("gutierrez", "g362"),
            ("pfister", "p236"),
            ("jackson", "j250"),
            ("tymczak", "t522"),
            ("ashcraft", "a261"),
        ] {
            assert_eq!(soundex(name).as_deref(), Some(code), "{name}");
        }
        assert_eq!(soundex("李"), None);
    }

    #[test]
    fn letters_are_counted() {
        for (one, other, expected) in [
            ("", "", 0),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("martha", "marhta", 1),
            ("smith", "smyth", 1),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    #[track_caller]
    fn check_name(one: &str, other: &str, expected: Likeness) {
        assert_eq!(name(one, other), expected, "{one} {other}");
        assert_eq!(name(other, one), expected, "{other} {one}");
    }

    #[test]
    fn names_are_alike_when_written_by_different_hands() {
        check_name("smith", "smith", Likeness::Same);
        check_name("o'brien", "obrien", Likeness::Same);
        check_name("de la cruz", "delacruz", Likeness::Same);
        check_name("garcia-lopez", "garcia", Likeness::Alike);
        check_name("smith", "smyth", Likeness::Alike);
        check_name("catherine", "katherine", Likeness::Alike);
        check_name("meyer", "maier", Likeness::Alike);
        check_name("li", "lu", Likeness::Different);
        check_name("smith", "jones", Likeness::Different);
        check_name("anna", "maria", Likeness::Different);
    }

    #[test]
    fn given_names_may_be_initials_or_second_names() {
        let list =
            |names: &str| -> Vec<String> { names.split_whitespace().map(str::to_owned).collect() };
        for (one, other, expected) in [
            ("anna", "anna maria", Likeness::Same),
            ("a.", "anna", Likeness::Alike),
            ("maria", "anna maria", Likeness::Alike),
            ("anna", "berta", Likeness::Different),
            ("b", "anna", Likeness::Different),
            ("", "anna", Likeness::Unknown),
        ] {
            assert_eq!(given(&list(one), &list(other)), expected, "{one} {other}");
        }
    }

    #[test]
    fn dates_are_alike_after_a_slip() {
        for (one, other, expected) in [
            ("1950-01-31", "1950-01-31", Likeness::Same),
            ("1950-01", "1950-01-31", Likeness::Alike),
            ("1950-03-04", "1950-04-03", Likeness::Alike),
            ("1950-01-31", "1950-01-30", Likeness::Alike),
            ("1950-01-31", "1951-02-28", Likeness::Different),
        ] {
            assert_eq!(date(one, other), expected, "{one} {other}");
        }
    }
}
