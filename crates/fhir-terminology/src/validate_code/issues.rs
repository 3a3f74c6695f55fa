//! What `$validate-code` has to say, in the words and codes of today's terminology servers:
//! <http://hl7.org/fhir/tools/CodeSystem/tx-issue-type>.

use serde_json::{Value, json};

/// The code system of the kinds of issues.
const TX_ISSUE_TYPE: &str = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type";

/// How grave an issue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Warning,
    Information,
}

impl Severity {
    const fn code(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

/// A kind of issue: severity, code of `issue-type`, code of `tx-issue-type`.
pub(super) type Kind = (Severity, &'static str, &'static str);

pub(super) const ABSTRACT: Kind = (Severity::Error, "business-rule", "code-rule");
pub(super) const CANNOT_INFER: Kind = (Severity::Error, "not-found", "cannot-infer");
pub(super) const CASE: Kind = (Severity::Information, "business-rule", "code-rule");
pub(super) const DISPLAY: Kind = (Severity::Error, "invalid", "invalid-display");
pub(super) const DISPLAY_LANGUAGE: Kind = (Severity::Information, "invalid", "invalid-display");
pub(super) const INACTIVE: Kind = (Severity::Warning, "business-rule", "code-comment");
pub(super) const INVALID_VALUE_SET: Kind = (Severity::Error, "invalid", "vs-invalid");
pub(super) const NO_SYSTEM: Kind = (Severity::Warning, "invalid", "invalid-data");
pub(super) const NOT_ACTIVE: Kind = (Severity::Error, "business-rule", "code-rule");
pub(super) const NOT_FOUND: Kind = (Severity::Error, "not-found", "not-found");
pub(super) const NOT_IN_VALUE_SET: Kind = (Severity::Error, "code-invalid", "not-in-vs");
pub(super) const OTHER_VERSION: Kind = (Severity::Warning, "invalid", "vs-invalid");
pub(super) const STATUS: Kind = (Severity::Information, "business-rule", "status-check");
pub(super) const THIS_NOT_IN_VALUE_SET: Kind =
    (Severity::Information, "code-invalid", "this-code-not-in-vs");
pub(super) const UNKNOWN_CODE: Kind = (Severity::Error, "code-invalid", "invalid-code");
pub(super) const UNKNOWN_IN_FRAGMENT: Kind = (Severity::Warning, "code-invalid", "invalid-code");
pub(super) const UNUSABLE_SYSTEM: Kind = (Severity::Error, "invalid", "invalid-data");

/// Something to say about a code.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Issue {
    kind: Kind,
    text: String,
    /// What it is about: `Coding.code`.
    expression: Option<String>,
}

impl Issue {
    fn to_json(&self) -> Value {
        let (severity, code, kind) = self.kind;
        let mut issue = json!({
            "severity": severity.code(),
            "code": code,
            "details": {
                "coding": [{ "system": TX_ISSUE_TYPE, "code": kind }],
                "text": self.text,
            },
        });
        if let (Some(expression), Some(members)) = (&self.expression, issue.as_object_mut()) {
            members.insert("expression".to_owned(), json!([expression]));
        }
        issue
    }
}

/// What was found, in the order of finding.
#[derive(Debug, Default)]
pub(super) struct Issues(Vec<Issue>);

impl Issues {
    /// Says something once.
    pub(super) fn say(&mut self, kind: Kind, text: String, expression: Option<String>) {
        let issue = Issue {
            kind,
            text,
            expression,
        };
        if !self.0.contains(&issue) {
            self.0.push(issue);
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.0.iter().any(|it| it.kind.0 == Severity::Error)
    }

    /// The errors, or else the warnings, as one text.
    pub(super) fn message(&self) -> Option<String> {
        let of = |severity| {
            let those = self.0.iter().filter(|it| it.kind.0 == severity);
            those.map(|it| it.text.as_str()).collect::<Vec<_>>()
        };
        let mut texts = of(Severity::Error);
        if texts.is_empty() {
            texts = of(Severity::Warning);
        }
        (!texts.is_empty()).then(|| texts.join("; "))
    }

    /// All of it as an `OperationOutcome`.
    pub(super) fn outcome(&self) -> Option<Value> {
        let issues: Vec<Value> = self.0.iter().map(Issue::to_json).collect();
        (!issues.is_empty()).then(|| json!({ "resourceType": "OperationOutcome", "issue": issues }))
    }
}
