//! Reduces the expression of a search parameter to the branches that concern one type.
//!
//! The expressions of R4 that serve many types are unions of branches that each begin with a
//! type (<https://hl7.org/fhir/R4/searchparameter-registry.html>). Only the union at the top and
//! one in leading parentheses are looked at; the rest is left to `FHIRPath`.

/// The branches of `expression` for which `concerns` accepts the type that they begin with.
///
/// `concerns` is asked with the first identifier of a branch, whether it is a type or not.
/// `None` if nothing remains.
pub(super) fn reduce(expression: &str, concerns: impl Fn(&str) -> bool) -> Option<String> {
    let kept: Vec<&str> = branches(expression)
        .into_iter()
        .filter(|branch| first_identifiers(branch).any(&concerns))
        .collect();
    (!kept.is_empty()).then(|| kept.join(" | "))
}

/// The operands of the union at the top of an expression.
fn branches(expression: &str) -> Vec<&str> {
    let mut branches = Vec::new();
    let mut start = 0;
    for (at, character) in top_level(expression) {
        if character == '|' {
            branches.push(expression.get(start..at).unwrap_or_default().trim());
            start = at + 1;
        }
    }
    branches.push(expression.get(start..).unwrap_or_default().trim());
    branches
}

/// The characters outside of parentheses, brackets and quotes, each with its place; an opening
/// parenthesis is inside, a closing one outside again.
fn top_level(expression: &str) -> impl Iterator<Item = (usize, char)> {
    let mut depth = 0_u32;
    let mut quote = None;
    let mut is_escaped = false;
    expression.char_indices().filter(move |(_, character)| {
        if let Some(open) = quote {
            if is_escaped {
                is_escaped = false;
            } else if *character == '\\' {
                is_escaped = true;
            } else if *character == open {
                quote = None;
            }
            return false;
        }
        match character {
            '\'' | '"' | '`' => quote = Some(*character),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && quote.is_none()
    })
}

/// The identifiers that a branch begins with: one, or one for each branch of a union in leading
/// parentheses.
fn first_identifiers(branch: &str) -> impl Iterator<Item = &str> {
    let mut pending = vec![branch];
    std::iter::from_fn(move || {
        loop {
            let branch = pending.pop()?;
            match branch.strip_prefix('(') {
                Some(inside) => pending.extend(branches(in_parentheses(branch, inside))),
                None => return Some(identifier(branch)),
            }
        }
    })
}

/// What stands before the parenthesis that closes the one `branch` begins with.
fn in_parentheses<'a>(branch: &'a str, inside: &'a str) -> &'a str {
    let closing = top_level(branch).find(|(_, character)| *character == ')');
    closing
        .and_then(|(at, _)| branch.get(1..at))
        .unwrap_or(inside)
}

/// The identifier at the start of a text; empty if there is none.
fn identifier(text: &str) -> &str {
    let end = text.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: Option<&str>) {
        let concerns = |identifier: &str| {
            ["Patient", "Resource"].contains(&identifier)
                || !identifier.starts_with(|character: char| character.is_ascii_uppercase())
        };
        assert_eq!(reduce(expression, concerns).as_deref(), expected);
    }

    #[test]
    fn branches_of_other_types_are_left_out() {
        check("Patient.name", Some("Patient.name"));
        check("Patient.name | Practitioner.name", Some("Patient.name"));
        check(
            "Practitioner.name|Patient.name|Patient.alias",
            Some("Patient.name | Patient.alias"),
        );
        check("Practitioner.name", None);
        check("PatientX.name | Person.name", None);
        check(
            "(Group.a as Reference) | (Patient.b as uri)",
            Some("(Patient.b as uri)"),
        );
        check("Person.a.where(x = '|') | Patient.b", Some("Patient.b"));
        check(
            "Patient.a.where(x = ')|\\'(') | Group.b",
            Some("Patient.a.where(x = ')|\\'(')"),
        );
        check("Patient.a.where(b | c)", Some("Patient.a.where(b | c)"));
        check(
            "(Group.a | Patient.b).value",
            Some("(Group.a | Patient.b).value"),
        );
        check("(Group.a | Person.b).value", None);
        check("((Patient.a) as uri)", Some("((Patient.a) as uri)"));
        check("Resource.id", Some("Resource.id"));
        check("name", Some("name"));
    }
}
