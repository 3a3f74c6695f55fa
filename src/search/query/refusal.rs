//! Why a parameter of a query cannot be applied, and when it may be left out instead.
//!
//! A filter that is silently left out shows more patients than were asked for, so almost nothing
//! is: <https://hl7.org/fhir/R4/search.html#errors>.

use fhir_model::issue::{Issue, IssueType};

use crate::search::query::Handling;

/// A parameter that cannot be applied.
#[derive(Debug)]
pub(super) struct Refusal {
    code: IssueType,
    text: String,
    ignorable: Ignorable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ignorable {
    /// By default: a parameter that shapes the answer in a way that we do not know.
    UnlessStrict,
    /// When the client says so by `Prefer: handling=lenient`.
    WhenLenient,
    /// A wrong value or an unknown modifier is an error in any case.
    Never,
}

impl Refusal {
    /// No such parameter, and its name says that it is none of a resource.
    pub(super) fn unknown_result_parameter(name: &str) -> Self {
        Self {
            code: IssueType::NotSupported,
            text: format!("The parameter '{name}' is not known."),
            ignorable: Ignorable::UnlessStrict,
        }
    }

    /// No such parameter.
    pub(super) fn unknown(name: &str, resource_type: &str, known: &[&str]) -> Self {
        let known = known.join(", ");
        Self {
            code: IssueType::NotSupported,
            text: format!(
                "The search parameter '{name}' of {resource_type} is not known; known are {known}."
            ),
            ignorable: Ignorable::WhenLenient,
        }
    }

    /// A parameter of the standard that this server does not serve.
    pub(super) fn unsupported(name: &str) -> Self {
        Self {
            code: IssueType::NotSupported,
            text: format!("The search parameter '{name}' is not supported."),
            ignorable: Ignorable::WhenLenient,
        }
    }

    /// A parameter that would not find everything yet. A client must not take a part for the whole.
    pub(super) fn unindexed(name: &str) -> Self {
        Self::never(
            IssueType::Transient,
            format!(
                "The search parameter '{name}' is new, and what is stored is still being indexed by \
                 it; try again later."
            ),
        )
    }

    /// A parameter without a value.
    pub(super) fn empty(name: &str) -> Self {
        Self {
            code: IssueType::Value,
            text: format!("The parameter '{name}' has no value."),
            ignorable: Ignorable::WhenLenient,
        }
    }

    /// A value that is none of the parameter's type. The value itself is not repeated.
    pub(super) fn value(name: &str, reason: &str) -> Self {
        Self::never(
            IssueType::Value,
            format!("The value of the parameter '{name}' {reason}."),
        )
    }

    /// A value that names something that is not here.
    pub(super) fn not_found(name: &str, reason: &str) -> Self {
        Self::never(
            IssueType::NotFound,
            format!("The value of the parameter '{name}' {reason}."),
        )
    }

    /// A modifier that the parameter does not have.
    pub(super) fn modifier(name: &str, modifier: &str, supported: &[&str]) -> Self {
        let supported = match supported {
            [] => "there is none".to_owned(),
            some => format!("supported are {}", some.join(", ")),
        };
        Self::never(
            IssueType::NotSupported,
            format!("The modifier ':{modifier}' of '{name}' is not supported; {supported}."),
        )
    }

    /// More of something than one query may have.
    pub(super) fn limit(what: &str, limit: usize) -> Self {
        Self::never(
            IssueType::TooCostly,
            format!("A search has at most {limit} {what}."),
        )
    }

    fn never(code: IssueType, text: String) -> Self {
        Self {
            code,
            text,
            ignorable: Ignorable::Never,
        }
    }

    /// The issue to report beside the matches, if the parameter may be left out; else the error.
    pub(super) fn settle(self, handling: Handling) -> Result<Issue, Issue> {
        let is_ignored = match self.ignorable {
            Ignorable::UnlessStrict => handling != Handling::Strict,
            Ignorable::WhenLenient => handling == Handling::Lenient,
            Ignorable::Never => false,
        };
        if is_ignored {
            let text = format!("{} It was ignored.", self.text);
            Ok(Issue::warning(self.code, text))
        } else {
            Err(self.into_error())
        }
    }

    /// The error, whatever the handling.
    pub(super) fn into_error(self) -> Issue {
        Issue::error(self.code, self.text)
    }
}
