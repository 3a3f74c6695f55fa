//! What there is to say about a resource or a request: issues, and the OperationOutcome of them.
//!
//! <https://hl7.org/fhir/R4/operationoutcome.html>,
//! <https://hl7.org/fhir/R4/valueset-issue-type.html>. Which issue becomes which HTTP status is the
//! business of the server.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value, json};

use crate::tree::{LineColumn, Node, ParseError, ParseErrorKind, push_json_string};

/// How bad an issue is; the worst is the greatest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// No relation to the success of the action.
    Information,
    /// The action may be performed suboptimally.
    Warning,
    /// The action fails.
    Error,
    /// The action fails, and nothing further was checked.
    Fatal,
}

impl Severity {
    /// The code of <http://hl7.org/fhir/issue-severity>.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

/// The enum, its codes and the list of all, from one table.
macro_rules! issue_types {
    ($($(#[$doc:meta])+ $variant:ident = $code:literal,)+) => {
        /// What kind of issue it is: the codes of <http://hl7.org/fhir/issue-type>.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum IssueType {
            $($(#[$doc])+ $variant,)+
        }

        impl IssueType {
            /// All of them, in the order of the code system.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }
        }
    };
}

issue_types! {
    /// Content invalid against the specification or a profile.
    Invalid = "invalid",
    /// A structural issue in the content: unable to parse, invalid syntax.
    Structure = "structure",
    /// A required element is missing.
    Required = "required",
    /// An element or header value is invalid.
    Value = "value",
    /// A content validation rule failed.
    Invariant = "invariant",
    /// An authentication, authorization or permissions issue.
    Security = "security",
    /// The client needs to authenticate.
    Login = "login",
    /// The user or system was not able to be authenticated.
    Unknown = "unknown",
    /// The session expired.
    Expired = "expired",
    /// The user does not have the rights to perform this action.
    Forbidden = "forbidden",
    /// Some information was not or might not have been returned.
    Suppressed = "suppressed",
    /// Processing issues; no point in sending the same again.
    Processing = "processing",
    /// The interaction, operation, resource or profile is not supported.
    NotSupported = "not-supported",
    /// An attempt was made to create a duplicate record.
    Duplicate = "duplicate",
    /// Several records match where one is required.
    MultipleMatches = "multiple-matches",
    /// The reference provided was not found.
    NotFound = "not-found",
    /// The reference pointed to content that has been deleted.
    Deleted = "deleted",
    /// Provided content is too long.
    TooLong = "too-long",
    /// A code or system is not understood, or not valid in its value set.
    CodeInvalid = "code-invalid",
    /// An extension is not acceptable, or a modifier extension not recognized.
    Extension = "extension",
    /// The operation was stopped to protect the server.
    TooCostly = "too-costly",
    /// Content or operation failed a business rule.
    BusinessRule = "business-rule",
    /// An edit conflict.
    Conflict = "conflict",
    /// Transient processing issues; the same may be sent again.
    Transient = "transient",
    /// A resource or record locking failure.
    LockError = "lock-error",
    /// The store is unavailable.
    NoStore = "no-store",
    /// An unexpected internal error.
    Exception = "exception",
    /// An internal timeout.
    Timeout = "timeout",
    /// Not all sources answered in time.
    Incomplete = "incomplete",
    /// The system is too busy.
    Throttled = "throttled",
    /// Unrelated to the success of processing.
    Informational = "informational",
}

impl IssueType {
    /// The kind with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for IssueType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

/// One thing to say about a resource or a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of issue it is.
    pub code: IssueType,
    /// Where, as a FHIRPath: `Patient.name[0].given[1]`; empty if it concerns no element.
    pub location: String,
    /// What is wrong and what would be right, in a sentence.
    pub text: String,
    /// What says so: the key of an invariant, the canonical of a profile or value set.
    pub rule: Option<String>,
    /// Where in the text that was sent.
    pub place: Option<LineColumn>,
}

impl Issue {
    /// An issue of no element yet.
    pub fn new(severity: Severity, code: IssueType, text: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            location: String::new(),
            text: text.into(),
            rule: None,
            place: None,
        }
    }

    /// An error.
    pub fn error(code: IssueType, text: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, text)
    }

    /// A warning.
    pub fn warning(code: IssueType, text: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, text)
    }

    /// A piece of information.
    pub fn information(code: IssueType, text: impl Into<String>) -> Self {
        Self::new(Severity::Information, code, text)
    }

    /// The same issue at this FHIRPath.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = location.into();
        self
    }

    /// The same issue at this node: its FHIRPath, line and column.
    #[must_use]
    pub fn at_node(mut self, node: Node<'_>) -> Self {
        self.location = node.location();
        self.place = node.line_column();
        self
    }

    /// The same issue because of this rule.
    #[must_use]
    pub fn because_of(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }

    /// The same issue at this place of the text.
    #[must_use]
    pub fn in_text(mut self, place: LineColumn) -> Self {
        self.place = Some(place);
        self
    }

    /// Whether the action fails because of it.
    pub const fn is_error(&self) -> bool {
        matches!(self.severity, Severity::Error | Severity::Fatal)
    }

    /// Rule and place in words; nothing if there is neither.
    fn diagnostics(&self) -> Option<String> {
        let mut words = String::new();
        if let Some(rule) = &self.rule {
            words.push_str(rule);
        }
        if let Some(LineColumn { line, column }) = self.place {
            let comma = if words.is_empty() { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(words, "{comma}line {line}, column {column}");
        }
        (!words.is_empty()).then_some(words)
    }
}

impl fmt::Display for Issue {
    /// One line for a person: `error at Patient.birthDate: … (ele-1, line 3, column 5)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.severity.code())?;
        if !self.location.is_empty() {
            write!(formatter, " at {}", self.location)?;
        }
        write!(formatter, ": {}", self.text)?;
        match self.diagnostics() {
            Some(diagnostics) => write!(formatter, " ({diagnostics})"),
            None => Ok(()),
        }
    }
}

impl From<&ParseError> for Issue {
    fn from(error: &ParseError) -> Self {
        let code = match error.kind {
            ParseErrorKind::TooLarge { .. } | ParseErrorKind::TooManyNodes { .. } => {
                IssueType::TooLong
            }
            _ => IssueType::Structure,
        };
        let place = LineColumn {
            line: error.line,
            column: error.column,
        };
        Self::new(Severity::Fatal, code, error.kind.to_string())
            .at(error.path.clone())
            .in_text(place)
    }
}

/// The resource that reports issues.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperationOutcome {
    /// What there is to say, in the order it was found.
    pub issues: Vec<Issue>,
}

/// What an outcome says that has no issue, as R4 wants at least one.
const NO_ISSUES: &str = "No issues";

impl OperationOutcome {
    /// The outcome of these issues. If there are none, it says so in one that is informational,
    /// because `OperationOutcome.issue` is required.
    pub fn new(issues: Vec<Issue>) -> Self {
        let mut issues = issues;
        if issues.is_empty() {
            issues.push(Issue::information(IssueType::Informational, NO_ISSUES));
        }
        Self { issues }
    }

    /// Whether one of the issues is an error.
    pub fn has_errors(&self) -> bool {
        self.issues.iter().any(Issue::is_error)
    }

    /// The resource as compact JSON.
    pub fn to_json(&self) -> String {
        let mut out = String::from(r#"{"resourceType":"OperationOutcome","issue":["#);
        for (index, issue) in self.issues.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_issue(&mut out, issue);
        }
        out.push_str("]}");
        out
    }

    /// The resource as a value.
    pub fn to_value(&self) -> Value {
        let issues: Vec<Value> = self.issues.iter().map(issue_value).collect();
        json!({"resourceType": "OperationOutcome", "issue": issues})
    }
}

impl From<Issue> for OperationOutcome {
    fn from(issue: Issue) -> Self {
        Self {
            issues: vec![issue],
        }
    }
}

impl fmt::Display for OperationOutcome {
    /// A line per issue.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, issue) in self.issues.iter().enumerate() {
            if index > 0 {
                formatter.write_char('\n')?;
            }
            write!(formatter, "{issue}")?;
        }
        Ok(())
    }
}

fn push_issue(out: &mut String, issue: &Issue) {
    out.push_str(r#"{"severity":""#);
    out.push_str(issue.severity.code());
    out.push_str(r#"","code":""#);
    out.push_str(issue.code.code());
    out.push_str(r#"","details":{"text":"#);
    push_json_string(out, &issue.text);
    out.push('}');
    if let Some(diagnostics) = issue.diagnostics() {
        out.push_str(r#","diagnostics":"#);
        push_json_string(out, &diagnostics);
    }
    if !issue.location.is_empty() {
        out.push_str(r#","expression":["#);
        push_json_string(out, &issue.location);
        out.push(']');
    }
    out.push('}');
}

fn issue_value(issue: &Issue) -> Value {
    let mut value = Map::new();
    value.insert("severity".into(), issue.severity.code().into());
    value.insert("code".into(), issue.code.code().into());
    value.insert("details".into(), json!({"text": issue.text}));
    if let Some(diagnostics) = issue.diagnostics() {
        value.insert("diagnostics".into(), diagnostics.into());
    }
    if !issue.location.is_empty() {
        value.insert("expression".into(), json!([issue.location]));
    }
    Value::Object(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn birth_date() -> Issue {
        Issue::error(IssueType::Value, "\"yesterday\" is not a date")
            .at("Patient.birthDate")
            .because_of("date")
            .in_text(LineColumn { line: 3, column: 5 })
    }

    #[test]
    fn an_issue_is_one_line_for_a_person() {
        assert_eq!(
            birth_date().to_string(),
            "error at Patient.birthDate: \"yesterday\" is not a date (date, line 3, column 5)"
        );
        let plain = Issue::warning(IssueType::NotFound, "Patient/1 is not known");
        assert_eq!(plain.to_string(), "warning: Patient/1 is not known");
    }

    #[test]
    fn an_outcome_is_the_same_as_text_and_as_value() {
        let outcome = OperationOutcome::new(vec![
            birth_date(),
            Issue::information(IssueType::Informational, "line\nbreak"),
        ]);
        assert_eq!(
            outcome.to_json(),
            concat!(
                r#"{"resourceType":"OperationOutcome","issue":["#,
                r#"{"severity":"error","code":"value","details":"#,
                r#"{"text":"\"yesterday\" is not a date"},"#,
                r#""diagnostics":"date, line 3, column 5","expression":["Patient.birthDate"]},"#,
                r#"{"severity":"information","code":"informational","#,
                r#""details":{"text":"line\nbreak"}}]}"#,
            )
        );
        assert_eq!(outcome.to_json(), outcome.to_value().to_string());
        assert!(outcome.has_errors());
    }

    #[test]
    fn an_outcome_without_issues_says_so() {
        let outcome = OperationOutcome::new(Vec::new());
        assert!(!outcome.has_errors());
        assert_eq!(outcome.to_string(), "information: No issues");
    }

    #[test]
    fn every_issue_type_is_found_by_its_code() {
        assert_eq!(IssueType::ALL.len(), 31);
        for kind in IssueType::ALL {
            assert_eq!(IssueType::from_code(kind.code()), Some(*kind));
        }
        assert_eq!(IssueType::from_code("wrong"), None);
    }
}
