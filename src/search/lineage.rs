//! What is above and below a URI.
//!
//! <https://hl7.org/fhir/R4/search.html#modifiers>: a URL is below another one that it continues by
//! whole segments; a URN is a name without parts. A canonical with a version is below the same one
//! with a shorter version: `url|1.2` is below `url|1`.

/// A text that is below `uri` is `uri` itself, or starts with this; nothing where only `uri` is.
pub fn below(uri: &str) -> Option<String> {
    if uri.contains('|') {
        return Some(format!("{uri}."));
    }
    uri.contains("://")
        .then(|| format!("{}/", uri.trim_end_matches('/')))
}

/// All that is above `uri`, itself included; `url` and `url/` are two texts.
pub fn above(uri: &str) -> Vec<&str> {
    let (separator, start) = match (uri.find('|'), uri.find("://")) {
        (Some(bar), _) => ('.', bar + 1),
        (None, Some(scheme)) => ('/', scheme + "://".len()),
        (None, None) => return vec![uri],
    };
    let rest = uri.get(start..).unwrap_or_default();
    let separators = rest.match_indices(separator).map(|(at, _)| start + at);
    let mut above: Vec<&str> = separators
        .flat_map(|at| [uri.get(..at), uri.get(..=at)])
        .flatten()
        .filter(|text| separator == '/' || !text.ends_with(separator))
        .collect();
    above.push(uri);
    above.dedup();
    above
}

/// Whether a text is below `uri`.
pub fn is_below(text: &str, uri: &str) -> bool {
    text == uri || below(uri).is_some_and(|start| text.starts_with(&start))
}

/// Whether a text is above `uri`.
pub fn is_above(text: &str, uri: &str) -> bool {
    above(uri).contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, uri: &str, expected_below: bool, expected_above: bool) {
        let actual = (is_below(text, uri), is_above(text, uri));
        assert_eq!(actual, (expected_below, expected_above), "{text} {uri}");
    }

    #[test]
    fn urls_are_above_and_below_by_segments() {
        check("http://acme.org/fhir", "http://acme.org/fhir", true, true);
        check(
            "http://acme.org/fhir/a",
            "http://acme.org/fhir",
            true,
            false,
        );
        check(
            "http://acme.org/fhir/a",
            "http://acme.org/fhir/",
            true,
            false,
        );
        check(
            "http://acme.org/fhirs",
            "http://acme.org/fhir",
            false,
            false,
        );
        check(
            "http://acme.org/fhir",
            "http://acme.org/fhir/a/b",
            false,
            true,
        );
        check(
            "http://acme.org/fhir/",
            "http://acme.org/fhir/a/b",
            false,
            true,
        );
        check("http://acme.org", "http://acme.org/fhir/a/b", false, true);
        check("http:", "http://acme.org/fhir", false, false);
        check("http://acme", "http://acme.org/fhir", false, false);
        check("urn:oid:1.2.3", "urn:oid:1.2", false, false);
        check("urn:oid:1.2", "urn:oid:1.2", true, true);
        check("urn:oid:1.2", "urn:oid:1.2.3", false, false);
    }

    #[test]
    fn canonicals_are_above_and_below_by_versions() {
        check("http://a.org/v|1.2", "http://a.org/v|1", true, false);
        check("http://a.org/v|1", "http://a.org/v|1.2.3", false, true);
        check("http://a.org/v|1.2", "http://a.org/v|1.2.3", false, true);
        check("http://a.org/v|10", "http://a.org/v|1", false, false);
        check("http://a.org/v", "http://a.org/v|1", false, false);
    }
}
