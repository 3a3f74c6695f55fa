//! The name of a search parameter in a query: code, modifier and chain.
//!
//! `subject:Patient.name:exact` is the code `subject` with the modifier `Patient`, and then
//! `name:exact` of what it points at: <https://hl7.org/fhir/R4/search.html#modifiers>,
//! <https://hl7.org/fhir/R4/search.html#chaining>.

/// One link of a name, and the rest of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// The code of the parameter.
    pub(super) code: &'a str,
    /// What follows `:`.
    pub(super) modifier: Option<&'a str>,
    /// What follows `.`: a name of the target.
    pub(super) chained: Option<&'a str>,
}

impl<'a> Name<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let (link, chained) = match text.split_once('.') {
            Some((link, chained)) => (link, Some(chained)),
            None => (text, None),
        };
        let (code, modifier) = match link.split_once(':') {
            Some((code, modifier)) => (code, Some(modifier)),
            None => (link, None),
        };
        Self {
            code,
            modifier,
            chained,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, code: &str, modifier: Option<&str>, chained: Option<&str>) {
        let expected = Name {
            code,
            modifier,
            chained,
        };
        assert_eq!(Name::parse(text), expected, "{text}");
    }

    #[test]
    fn a_name_is_code_modifier_and_chain() {
        check("name", "name", None, None);
        check("name:exact", "name", Some("exact"), None);
        check("subject.name", "subject", None, Some("name"));
        check(
            "subject:Patient.name:exact",
            "subject",
            Some("Patient"),
            Some("name:exact"),
        );
        check("a.b.c", "a", None, Some("b.c"));
        check("", "", None, None);
        check(":.", "", Some(""), Some(""));
    }
}
