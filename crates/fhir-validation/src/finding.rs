//! What was found while walking, and how it becomes the issues that a client reads.
//!
//! A finding remembers the node only. Locations, lines and columns are worked out once the walk is
//! over, because most resources have nothing wrong with them.

use std::fmt::Write as _;

use fhir_model::definition::{Definitions, ElementId, Text, TypeId, TypeKind};
use fhir_model::issue::{Issue, IssueType, Severity};
use fhir_model::name::Name;
use fhir_model::tree::{Kind, Node};

/// Something to say about a node.
#[derive(Clone, Debug)]
pub(crate) struct Finding<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) severity: Severity,
    pub(crate) code: IssueType,
    /// What exactly it is about, to say one thing once.
    pub(crate) about: About,
    /// The key of an invariant, the path of an element, the canonical of a profile.
    pub(crate) rule: String,
    pub(crate) text: String,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The value itself: whatever else is said of it follows from this.
    Value,
    /// An element that the object lacks, or of which it has too few; of a slice, by its name.
    Missing(Name, Option<Text>),
    /// A rule that the value breaks, one of perhaps several.
    Rule,
}

/// Where findings are collected.
#[derive(Debug)]
pub(crate) struct Findings<'a> {
    list: Vec<Finding<'a>>,
    issues_max: usize,
    error_count: usize,
    misshapen_count: usize,
    /// How many were left out because there was no room.
    left_out_count: usize,
    is_full: bool,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(issues_max: usize) -> Self {
        Self {
            list: Vec::new(),
            issues_max,
            error_count: 0,
            misshapen_count: 0,
            left_out_count: 0,
            is_full: false,
        }
    }

    /// Whether there is no room for an error, so that looking further is in vain.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// How many errors there are up to now because of which an expression cannot be relied on.
    #[inline]
    pub(crate) fn misshapen_count(&self) -> usize {
        self.misshapen_count
    }

    /// Adds a finding if there is room: errors and what is less are counted apart, so that
    /// warnings never keep an error from being found.
    pub(crate) fn push(&mut self, finding: Finding<'a>) {
        let is_error = finding.severity >= Severity::Error;
        let is_misshapen =
            is_error && !matches!(finding.code, IssueType::Invariant | IssueType::Extension);
        self.misshapen_count += usize::from(is_misshapen);
        let count = if is_error {
            self.error_count
        } else {
            self.list.len() - self.error_count
        };
        if count < self.issues_max {
            self.error_count += usize::from(is_error);
            self.list.push(finding);
        } else {
            self.left_out_count += 1;
            self.is_full |= is_error;
        }
    }

    /// Whether there is an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.error_count > 0
    }

    /// How many errors there are.
    pub(crate) fn error_count(&self) -> usize {
        self.error_count
    }

    /// The first error.
    pub(crate) fn first_error(&self) -> Option<&Finding<'a>> {
        let is_error = |finding: &&Finding<'_>| finding.severity >= Severity::Error;
        self.list.iter().find(is_error)
    }

    /// Whether the same was said of some node already.
    pub(crate) fn is_said(&self, text: &str) -> bool {
        self.list.iter().any(|earlier| earlier.text == text)
    }

    /// An error in a value.
    pub(crate) fn error(
        &mut self,
        node: Node<'a>,
        code: IssueType,
        rule: impl Into<String>,
        text: String,
    ) {
        self.push(Finding {
            node,
            severity: Severity::Error,
            code,
            about: About::Value,
            rule: rule.into(),
            text,
        });
    }

    /// Adds a finding unless it only repeats what is said already, in other words.
    pub(crate) fn push_once(&mut self, finding: Finding<'a>) {
        if !self.list.iter().any(|earlier| earlier.covers(&finding)) {
            self.push(finding);
        }
    }

    /// The issues, in the order in which they were found.
    pub(crate) fn into_issues(self, definitions: &Definitions) -> Vec<Issue> {
        let mut issues: Vec<Issue> = self
            .list
            .into_iter()
            .map(|finding| {
                let mut issue = Issue::new(finding.severity, finding.code, finding.text)
                    .at(location(definitions, finding.node))
                    .because_of(finding.rule);
                issue.place = finding.node.line_column();
                issue
            })
            .collect();
        if self.left_out_count > 0 {
            let rest = if self.is_full {
                "the rest was not checked"
            } else {
                "further warnings are left out"
            };
            let text = format!("There are more than {} issues; {rest}", self.issues_max);
            issues.push(Issue::information(IssueType::TooCostly, text));
        }
        issues
    }
}

impl Finding<'_> {
    /// Whether `later` is the same problem.
    fn covers(&self, later: &Finding<'_>) -> bool {
        let is_as_bad = self.severity >= later.severity;
        let is_covered = match self.about {
            About::Value => true,
            About::Missing(..) => self.about == later.about,
            About::Rule => self.rule == later.rule || self.text == later.text,
        };
        is_as_bad && is_covered && self.node == later.node
    }
}

/// Where a node is, as the subset of `FHIRPath` that `OperationOutcome.issue.expression` asks for:
/// `Observation.value`, not `Observation.valueQuantity`.
pub(crate) fn location(definitions: &Definitions, node: Node<'_>) -> String {
    let root = node.tree().root();
    let mut type_id = resource_type(definitions, root);
    let mut path = root
        .get_str("resourceType")
        .and_then(Node::as_str)
        .map_or_else(String::new, |name| shorten(&name).to_owned());
    for (position, child) in node.path() {
        if child.is_member() {
            type_id = push_member(&mut path, definitions, type_id, child);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(path, "[{position}]");
        }
        if child.kind() == Kind::Object && is_resource(definitions, type_id) {
            type_id = resource_type(definitions, child);
        }
    }
    path
}

/// Appends the name of a member and returns its type.
fn push_member(
    path: &mut String,
    definitions: &Definitions,
    type_id: Option<TypeId>,
    member: Node<'_>,
) -> Option<TypeId> {
    let property = type_id.and_then(|type_id| definitions.property(type_id, member.name()));
    path.push('.');
    match property {
        Some(property) if property.is_choice => {
            let element = definitions.element(property.element);
            path.push_str(definitions.names().text(element.name));
        }
        _ => path.push_str(shorten(&member.name_text())),
    }
    property.map(|property| property.type_id)
}

fn is_resource(definitions: &Definitions, type_id: Option<TypeId>) -> bool {
    type_id.is_some_and(|type_id| definitions.type_of(type_id).kind == TypeKind::Resource)
}

fn resource_type(definitions: &Definitions, resource: Node<'_>) -> Option<TypeId> {
    let name = resource.get_str("resourceType")?.as_str()?;
    definitions.resource_type(&name)
}

/// The path of an element: `Observation.component.code`.
pub(crate) fn path(definitions: &Definitions, element: ElementId) -> &str {
    definitions.text(definitions.element(element).path)
}

/// The most characters of a client's text that are quoted in a message.
const QUOTED_CHARS_MAX: usize = 60;

/// The beginning of a text that may be long.
pub(crate) fn shorten(text: &str) -> &str {
    text.char_indices()
        .nth(QUOTED_CHARS_MAX)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

/// A text of the client in quotes, with an ellipsis if it is cut.
pub(crate) fn quote(text: &str) -> String {
    let short = shorten(text);
    let ellipsis = if short.len() < text.len() { "…" } else { "" };
    format!("\"{}{ellipsis}\"", short.escape_debug())
}

/// The same for a canonical, whose end says the most.
pub(crate) fn quote_canonical(canonical: &str) -> String {
    const BYTES_MAX: usize = 256;
    if canonical.len() > BYTES_MAX {
        return quote(canonical);
    }
    format!("\"{}\"", canonical.escape_debug())
}

/// `a`, `a or b`, `a, b or c`; of a long list, the beginning.
pub(crate) fn any_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    const LISTED_MAX: usize = 12;
    let mut words = words.peekable();
    let mut text = String::new();
    for count in 0.. {
        let Some(word) = words.next() else { break };
        if count == LISTED_MAX {
            text.push_str(" …");
            break;
        }
        match (count, words.peek()) {
            (0, _) => {}
            (_, None) => text.push_str(" or "),
            _ => text.push_str(", "),
        }
        text.push_str(word);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_as_a_sentence_does() {
        let check = |words: &[&str], expected| {
            assert_eq!(any_of(words.iter().copied()), expected);
        };
        check(&[], "");
        check(&["a"], "a");
        check(&["a", "b"], "a or b");
        check(&["a", "b", "c"], "a, b or c");
        check(&["x"; 14], "x, x, x, x, x, x, x, x, x, x, x, x …");
    }

    #[test]
    fn what_a_client_sent_is_quoted_in_part() {
        assert_eq!(quote("a\"b\n"), r#""a\"b\n""#);
        let long = quote(&"ä".repeat(100));
        assert_eq!(long.chars().count(), QUOTED_CHARS_MAX + 3);
        assert!(long.ends_with("ä…\""));
    }
}
