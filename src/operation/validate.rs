//! `$validate` as an operation of the registry: what it means is in
//! [`interaction::validate`](crate::interaction::validate).

use crate::error::Error;
use crate::interaction::invalid;
use crate::interaction::operations::On;
use crate::interaction::validate::{self, Question};
use crate::operation::call::{Answer, Call};
use fhir_model::issue::IssueType;

/// `[type]/$validate` and `[type]/[id]/$validate`.
///
/// # Errors
/// As the interaction.
pub async fn validate(call: Call) -> Result<Answer, Error> {
    let services = &call.context.services;
    let of_query = |name: &str| {
        let mut query = call.input.query().iter();
        query.find_map(|(own, value)| (own == name).then(|| value.clone()))
    };
    let (mode, profile) = (of_query("mode"), of_query("profile"));
    let question = Question::new(mode.as_deref(), profile.as_deref(), call.level)?;
    let sent = call.input.body().cloned();
    let outcome = match &call.on {
        On::Type(resource_type) => {
            validate::of_type(services, resource_type, sent, question).await?
        }
        On::Instance(key) => validate::of_instance(services, key, sent, question).await?,
        On::System | On::Version(..) => {
            return Err(invalid(IssueType::Invalid, "$validate is about a type"));
        }
    };
    Ok(Answer::Resource(outcome.to_json()))
}
