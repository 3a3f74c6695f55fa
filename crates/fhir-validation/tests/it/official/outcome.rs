//! What the reference validator says of a case.

use std::fmt;

use serde_json::Value;

use crate::official::case::Archive;

/// The errors that the reference validator found.
pub(crate) struct Outcome {
    errors: Vec<String>,
}

impl Outcome {
    /// The outcome that the manifest holds or names, if it is in the archive.
    pub(crate) fn of(archive: &Archive, java: &Value) -> Option<Self> {
        match java {
            Value::String(name) => {
                let text = archive.text(&format!("outcomes/{name}"))?;
                let outcome = serde_json::from_str(text).unwrap();
                Some(Self::of_operation_outcome(&outcome))
            }
            Value::Object(inline) => {
                let count = inline["errorCount"].as_u64()?;
                let errors = (0..count).map(|_| inline["output"].to_string()).collect();
                Some(Self { errors })
            }
            _ => None,
        }
    }

    fn of_operation_outcome(outcome: &Value) -> Self {
        let issues = outcome["issue"].as_array().into_iter().flatten();
        let is_error =
            |issue: &&Value| issue["severity"] == "error" || issue["severity"] == "fatal";
        let line =
            |issue: &Value| format!("{} at {}", issue["details"]["text"], issue["expression"]);
        Self {
            errors: issues.filter(is_error).map(line).collect(),
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.errors
            .iter()
            .try_for_each(|error| writeln!(f, "        {error}"))
    }
}
