//! "Did you mean …?": the candidate nearest to a word that was not understood.

/// Longer words are not compared: nobody mistypes them by a letter, and the table is square.
const COMPARED_CHARS_MAX: usize = 40;

/// The nearest candidate, if one is near: a third of the letters may differ, and case does not
/// count.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = lower_case(word)?;
    let distance_max = (word.len() / 3).clamp(1, 3);
    candidates
        .filter_map(|candidate| {
            let distance = distance(&word, &lower_case(candidate)?);
            (distance <= distance_max).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn lower_case(word: &str) -> Option<Vec<char>> {
    let letters: Vec<char> = word.chars().take(COMPARED_CHARS_MAX + 1).collect();
    let is_comparable = (1..=COMPARED_CHARS_MAX).contains(&letters.len());
    is_comparable.then(|| letters.into_iter().flat_map(char::to_lowercase).collect())
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour
/// (optimal string alignment).
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, left_letter) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, right_letter) in right.iter().enumerate() {
            let at = |cells: &[usize], column: usize| {
                cells.get(column).copied().unwrap_or(usize::MAX - 1)
            };
            let replaced = at(&above, column) + usize::from(left_letter != right_letter);
            let removed = at(&above, column + 1) + 1;
            let inserted = at(&current, column) + 1;
            let is_swap = row > 0
                && column > 0
                && left.get(row - 1) == Some(right_letter)
                && right.get(column - 1) == Some(left_letter);
            let swapped = if is_swap {
                at(&before, column - 1) + 1
            } else {
                usize::MAX
            };
            current.push(replaced.min(removed).min(inserted).min(swapped));
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        let candidates = ["birthDate", "gender", "name", "active", "valueQuantity"];
        assert_eq!(nearest(word, candidates.into_iter()), expected);
    }

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        check("birthdate", Some("birthDate"));
        check("birtDate", Some("birthDate"));
        check("brithDate", Some("birthDate"));
        check("genders", Some("gender"));
        check("naem", Some("name"));
        check("valueQantity", Some("valueQuantity"));
        check("colour", None);
        check("", None);
        check(&"name".repeat(1000), None);
    }
}
