//! Values that have the form of their type, and are doubtful all the same: markup in strings and
//! URLs of examples, if the options refuse them, and canonicals that are not absolute.

use fhir_model::issue::{IssueType, Severity};
use fhir_model::primitive::Primitive;
use fhir_model::tree::Node;

use crate::Doubtful;
use crate::finding::{About, Finding, path, quote};
use crate::rules::PropertyRule;
use crate::walk::Walk;

/// Domains that are kept for examples (<https://www.rfc-editor.org/rfc/rfc2606>), and one that many
/// examples are from.
const EXAMPLE_DOMAINS: &[&str] = &["example.org", "example.com", "example.net", "acme.com"];

impl<'a> Walk<'a> {
    /// A value of the right form.
    pub(crate) fn doubtful(
        &mut self,
        value: Node<'a>,
        text: &str,
        primitive: Primitive,
        rule: &PropertyRule,
    ) {
        let refuses = |doubtful: Doubtful| doubtful == Doubtful::Refuse;
        let (severity, message) = match primitive {
            Primitive::String if refuses(self.options.markup) && has_markup(text) => (
                Severity::Error,
                format!(
                    "{} has markup in it, which is not admitted here",
                    quote(text)
                ),
            ),
            Primitive::Uri | Primitive::Url | Primitive::Canonical
                if refuses(self.options.example_urls) && is_of_example(text) =>
            {
                (
                    Severity::Error,
                    format!(
                        "{} is a URL for examples, which are not admitted here",
                        quote(text)
                    ),
                )
            }
            Primitive::Canonical if !text.contains(':') && !text.starts_with('#') => (
                self.options.relative_canonicals.severity(),
                format!(
                    "{} is no absolute URL, as canonical URLs are, nor #id",
                    quote(text)
                ),
            ),
            _ => return,
        };
        self.findings.push_once(Finding {
            node: value,
            severity,
            code: IssueType::Value,
            about: About::Rule,
            rule: path(self.definitions, rule.element).to_owned(),
            text: message,
        });
    }
}

/// Whether there is something that a browser takes for a tag or a comment.
fn has_markup(text: &str) -> bool {
    let opens = |after: &str| {
        after.starts_with(|next: char| next.is_ascii_alphabetic() || "/!?".contains(next))
    };
    text.split('<').skip(1).any(opens)
}

/// Whether a URL is of a domain for examples, or of one below it.
fn is_of_example(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let host = rest.split(['/', ':', '?', '#']).next().unwrap_or_default();
    EXAMPLE_DOMAINS.iter().any(|domain| {
        host.strip_suffix(domain)
            .is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_what_a_browser_takes_for_it() {
        for (text, expected) in [
            ("a < b, c > d", false),
            ("x<5", false),
            ("<b>bold</b>", true),
            ("<!-- -->", true),
            ("</p>", true),
        ] {
            assert_eq!(has_markup(text), expected, "{text}");
        }
    }

    #[test]
    fn examples_are_known_by_their_domain() {
        for (url, expected) in [
            ("http://example.org/a", true),
            ("https://repository.example.org:8080", true),
            ("http://myexample.org/a", false),
            ("urn:oid:1.2", false),
            ("http://hl7.org/example.org", false),
        ] {
            assert_eq!(is_of_example(url), expected, "{url}");
        }
    }
}
