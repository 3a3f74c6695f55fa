//! How strictly a request wants its resources validated: `X-Validation-Level` and
//! `X-Validation-On-Failure`.
//!
//! A client may always ask for more than the configuration does, for less only where the operator
//! allows it.

use axum::http::HeaderMap;
use fhir_model::issue::IssueType;
use fhir_validation::Level;

use crate::config::{OnFailure, ValidationLevel};
use crate::error::Error;
use crate::interaction::write::Policy;
use crate::interaction::{Services, invalid};

const LEVEL: &str = "x-validation-level";
const ON_FAILURE: &str = "x-validation-on-failure";

const LEVELS: &[(&str, ValidationLevel)] = &[
    ("off", ValidationLevel::Off),
    ("base", ValidationLevel::Base),
    ("profile", ValidationLevel::Profile),
];

const FAILURES: &[(&str, OnFailure)] = &[
    ("warn", OnFailure::Warn),
    ("tag", OnFailure::Tag),
    ("reject", OnFailure::Reject),
];

/// The policy of the configuration, as the headers of the request change it.
///
/// # Errors
/// [`Error::Invalid`] for a value that is none of the header's, and for less than the operator
/// allows.
pub(super) fn policy(services: &Services, headers: &HeaderMap) -> Result<Policy, Error> {
    let configured = services.policy;
    let wanted = Policy {
        level: choice(headers, LEVEL, LEVELS)?.unwrap_or(configured.level),
        on_failure: choice(headers, ON_FAILURE, FAILURES)?.unwrap_or(configured.on_failure),
    };
    if wanted.is_weaker_than(configured) && !services.weaker_on_request {
        return Err(invalid(
            IssueType::Forbidden,
            format!(
                "{LEVEL} and {ON_FAILURE} ask for less validation than this server does; its setting \
                 validation.weaker_on_request would allow it"
            ),
        ));
    }
    Ok(wanted)
}

/// How much `$validate` is to check, which writes nothing and may do less than the configuration
/// says.
///
/// # Errors
/// [`Error::Invalid`] for a value that is none of the header's, and for `off`, by which there would
/// be nothing to say.
pub(super) fn level(headers: &HeaderMap) -> Result<Option<Level>, Error> {
    match choice(headers, LEVEL, LEVELS)? {
        None => Ok(None),
        Some(ValidationLevel::Base) => Ok(Some(Level::Base)),
        Some(ValidationLevel::Profile) => Ok(Some(Level::Profile)),
        Some(ValidationLevel::Off) => Err(invalid(
            IssueType::Value,
            format!("{LEVEL}: off leaves nothing to validate"),
        )),
    }
}

fn choice<T: Copy>(
    headers: &HeaderMap,
    header: &str,
    table: &[(&str, T)],
) -> Result<Option<T>, Error> {
    let Some(value) = headers.get(header) else {
        return Ok(None);
    };
    let value = value.to_str().unwrap_or_default().trim();
    let found = table.iter().find(|(word, _)| *word == value);
    found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| {
        let words: Vec<&str> = table.iter().map(|(word, _)| *word).collect();
        invalid(
            IssueType::Value,
            format!("{header} is one of {}", words.join(", ")),
        )
    })
}
