//! Code systems whose codes are made by a grammar: <https://hl7.org/fhir/R4/terminologies-systems.html>.

mod language;
mod media_type;

/// Whether a text is a code.
type Accepts = fn(&str) -> bool;

/// Code systems with a grammar, and what they accept.
const GRAMMARS: &[(&str, Accepts)] = &[
    ("http://unitsofmeasure.org", is_unit),
    ("urn:ietf:bcp:13", media_type::is_media_type),
    ("urn:ietf:bcp:47", language::is_language),
    ("urn:ietf:rfc:3986", is_uri),
    ("urn:iso:std:iso:3166:-2", is_subdivision),
];

/// Longest code that is looked at; longer ones are none.
const CODE_BYTES_MAX: usize = 1024;

/// Whether a code system with a grammar has a code; `None` if it is no such code system.
pub fn has_code(system: &str, code: &str) -> Option<bool> {
    let (_, accepts) = GRAMMARS.iter().find(|(url, _)| *url == system)?;
    let is_sane = !code.is_empty() && code.len() <= CODE_BYTES_MAX;
    Some(is_sane && accepts(code))
}

/// A unit of UCUM in its case-sensitive form.
fn is_unit(code: &str) -> bool {
    let expression = octofhir_ucum::parse_expression(code);
    expression.is_ok_and(|expression| octofhir_ucum::evaluate(&expression).is_ok())
}

/// A URI or a reference that is relative to one, RFC 3986: nothing in it may be a blank or a delimiter
/// of URIs in a text.
fn is_uri(code: &str) -> bool {
    !code.contains(|it: char| it.is_whitespace() || matches!(it, '<' | '>' | '"'))
}

/// A subdivision of a country: `US-MI`.
fn is_subdivision(code: &str) -> bool {
    rust_iso3166::iso3166_2::from_code(code).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(system: &str, code: &str, expected: Option<bool>) {
        assert_eq!(has_code(system, code), expected, "{system} {code}");
    }

    #[test]
    fn codes_follow_their_grammar() {
        let rows = [
            ("http://unitsofmeasure.org", "mg/dL", true),
            ("http://unitsofmeasure.org", "mm[Hg]", true),
            ("http://unitsofmeasure.org", "10*3/uL", true),
            ("http://unitsofmeasure.org", "{score}", true),
            ("http://unitsofmeasure.org", "%", true),
            ("http://unitsofmeasure.org", "1", true),
            ("http://unitsofmeasure.org", "mcg", false),
            ("http://unitsofmeasure.org", "mgs", false),
            ("http://unitsofmeasure.org", "per day", false),
            ("http://unitsofmeasure.org", "", false),
            ("urn:ietf:bcp:13", "text/plain", true),
            (
                "urn:ietf:bcp:13",
                "application/fhir+json; charset=utf-8",
                true,
            ),
            ("urn:ietf:bcp:13", "json", true),
            (
                "urn:ietf:bcp:13",
                "application/dicom; variant=IHE IID",
                true,
            ),
            ("urn:ietf:bcp:13", "text", false),
            ("urn:ietf:bcp:13", "text/", false),
            ("urn:ietf:bcp:13", "text/pl ain", false),
            ("urn:ietf:bcp:13", "words/plain", false),
            ("urn:ietf:bcp:47", "de-CH", true),
            ("urn:ietf:bcp:47", "zh-Hant-TW", true),
            ("urn:ietf:bcp:47", "en-x-private", true),
            ("urn:ietf:bcp:47", "english", false),
            ("urn:ietf:bcp:47", "en_US", false),
            ("urn:ietf:bcp:47", "en-ZZZZZ", false),
            ("urn:ietf:rfc:3986", "urn:oid:1.2.3", true),
            ("urn:ietf:rfc:3986", "https://example.org/a?b", true),
            ("urn:ietf:rfc:3986", "not a uri", false),
            ("urn:iso:std:iso:3166:-2", "US-MI", true),
            ("urn:iso:std:iso:3166:-2", "US-XX", false),
        ];
        for (system, code, expected) in rows {
            check(system, code, Some(expected));
        }
        check("http://snomed.info/sct", "39065001", None);
    }
}
