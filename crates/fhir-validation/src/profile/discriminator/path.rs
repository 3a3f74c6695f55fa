//! The path of a discriminator: a restricted `FHIRPath` of elements, `extension(url)`,
//! `ofType(type)` and `resolve()`. <https://hl7.org/fhir/R4/profiling.html#discriminator>

/// A part of the path of a discriminator.
#[derive(Debug, PartialEq)]
pub(super) enum Segment<'p> {
    Name(&'p str),
    Extension(&'p str),
    OfType(&'p str),
    Resolve,
}

/// The segments of a path; an error if it is none of the restricted kind.
pub(super) fn segments(path: &str) -> Result<Vec<Segment<'_>>, String> {
    let mut segments = Vec::new();
    for part in split(path) {
        let part = part.trim();
        if part == "$this" || part.is_empty() {
            continue;
        }
        if let Some((name, type_name)) = infix_as(part) {
            segments.push(Segment::Name(name));
            segments.push(Segment::OfType(type_name));
            continue;
        }
        segments.push(match part.split_once('(') {
            None => Segment::Name(part),
            Some(("resolve", ")")) => Segment::Resolve,
            Some((function, argument)) => {
                let argument = argument.strip_suffix(')').unwrap_or(argument).trim();
                let argument = argument.trim_matches(['\'', '"']);
                match function {
                    "extension" => Segment::Extension(argument),
                    "ofType" | "as" => Segment::OfType(argument),
                    _ => return Err(format!("{function}() is no part of a discriminator")),
                }
            }
        });
    }
    Ok(segments)
}

/// Splits a path at the dots that are in no parentheses.
fn split(path: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    path.split(move |at: char| {
        match at {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at == '.' && depth == 0
    })
}

/// `value as Quantity`, in parentheses or not.
fn infix_as(part: &str) -> Option<(&str, &str)> {
    let inner = part
        .strip_prefix('(')
        .and_then(|part| part.strip_suffix(')'));
    let (name, type_name) = inner.unwrap_or(part).split_once(" as ")?;
    Some((name.trim(), type_name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &[Segment<'_>]) {
        assert_eq!(segments(path).unwrap(), expected, "{path}");
    }

    #[test]
    fn a_path_is_restricted_fhirpath() {
        use Segment::{Extension, Name, OfType, Resolve};
        check("$this", &[]);
        check("code", &[Name("code")]);
        check("$this.code.coding", &[Name("code"), Name("coding")]);
        check(
            "item.resolve().code",
            &[Name("item"), Resolve, Name("code")],
        );
        check(
            "value.ofType(Reference).resolve()",
            &[Name("value"), OfType("Reference"), Resolve],
        );
        check(
            "(value as Quantity).code",
            &[Name("value"), OfType("Quantity"), Name("code")],
        );
        check("value.as(Coding)", &[Name("value"), OfType("Coding")]);
        check(
            "extension('http://a.org/b.c').value",
            &[Extension("http://a.org/b.c"), Name("value")],
        );
        assert!(segments("where(use = 'home').value").is_err());
    }
}
