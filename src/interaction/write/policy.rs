//! How strictly a change is validated, and what becomes of a resource with errors.
//!
//! What Baton makes itself is held to everything ([`Policy::STRICT`]); what clients send, to what
//! the configuration and the request say.

use fhir_model::issue::Issue;
use fhir_model::key::ResourceType;
use fhir_validation::{Level, Options};

use crate::config::{OnFailure, ValidationLevel};
use crate::error::Error;
use crate::interaction::Services;
use crate::interaction::write::Document;

/// The system of the tag of resources that were stored although they are wrong.
const OUTCOME_SYSTEM: &str = "http://baton.health/fhir/CodeSystem/validation-outcome";

/// The code of that tag.
const INVALID: &str = "invalid";

/// How strictly a change is validated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// How much is checked.
    pub level: ValidationLevel,
    /// What becomes of a resource with errors.
    pub on_failure: OnFailure,
}

impl Policy {
    /// Everything is checked, and what is wrong is refused.
    pub const STRICT: Self = Self {
        level: ValidationLevel::Profile,
        on_failure: OnFailure::Reject,
    };

    /// Whether something could pass by this policy that another would hold back.
    pub fn is_weaker_than(self, other: Self) -> bool {
        self.level < other.level || self.on_failure < other.on_failure
    }

    /// The validator's options.
    pub fn options(self) -> Options {
        Options {
            level: match self.level {
                ValidationLevel::Off => Level::Off,
                ValidationLevel::Base => Level::Base,
                ValidationLevel::Profile => Level::Profile,
            },
            ..Options::default()
        }
    }

    /// What the issues mean for the resource: the resource as it is to be stored, if it is another
    /// than was sent.
    ///
    /// # Errors
    /// [`Error::Unprocessable`] with every issue when the resource is refused.
    pub(super) fn judge(
        self,
        services: &Services,
        document: &Document,
        resource_type: &ResourceType,
        issues: &[Issue],
    ) -> Result<Option<Document>, Error> {
        let errors = issues.iter().filter(|issue| issue.is_error()).count();
        match self.on_failure {
            OnFailure::Reject if errors > 0 => Err(Error::Unprocessable(issues.to_vec())),
            OnFailure::Reject => Ok(None),
            OnFailure::Warn => {
                report(resource_type, errors);
                Ok(None)
            }
            OnFailure::Tag => {
                report(resource_type, errors);
                let is_tagged = document.has_tag(OUTCOME_SYSTEM);
                let code = (errors > 0).then_some(INVALID);
                (code.is_some() || is_tagged)
                    .then(|| document.tagged(services, OUTCOME_SYSTEM, code))
                    .transpose()
            }
        }
    }
}

fn report(resource_type: &ResourceType, errors: usize) {
    if errors > 0 {
        tracing::warn!(%resource_type, errors, "Storing a resource although it is invalid");
    }
}
