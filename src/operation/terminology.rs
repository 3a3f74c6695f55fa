//! The operations on code systems, value sets and concept maps, over local content:
//! <https://hl7.org/fhir/R4/terminology-service.html>.
//!
//! What they mean is in `fhir-terminology`; here an instance is read from the store and the answer is
//! stamped. They compute, so they run where waiting requests are not kept from going on.

use std::sync::Arc;

use fhir_model::key::ResourceKey;
use fhir_terminology::expand::Stamp;
use fhir_terminology::{Operation, Parameters};
use serde_json::Value;

use crate::clock::Ids;
use crate::error::Error;
use crate::interaction::operations::On;
use crate::interaction::write::instant_text;
use crate::interaction::{Services, read};
use crate::operation::call::{Answer, Call};

/// Calls an operation on a type or a stored resource.
///
/// # Errors
/// [`Error::Terminology`] when there is no answer.
pub async fn call(call: Call, operation: &'static Operation) -> Result<Answer, Error> {
    let mut parameters = match call.input.body() {
        None => Parameters::default(),
        Some(body) => {
            let resource = body.node().tree().to_value(body.node().id());
            Parameters::from_resource(&resource).map_err(Error::Terminology)?
        }
    };
    parameters.extend(Parameters::from_query(call.input.query().iter().cloned()));
    let services = Arc::clone(&call.context.services);
    let answer = match &call.on {
        On::Instance(key) => on_instance(services, operation, key, parameters).await?,
        _ => on_type(services, operation, parameters).await?,
    };
    Ok(Answer::Resource(answer))
}

/// Calls an operation on a type. The answer is a resource as JSON text.
///
/// # Errors
/// [`Error::Terminology`] when there is no answer.
async fn on_type(
    services: Arc<Services>,
    operation: &'static Operation,
    parameters: Parameters,
) -> Result<String, Error> {
    let answer = tokio::task::spawn_blocking(move || {
        let now = services.clock.now();
        let identifier = Ids::uuid(now).urn().to_string();
        let timestamp = instant_text(now);
        let stamp = Stamp {
            identifier: &identifier,
            timestamp: &timestamp,
        };
        operation.call(&services.definitions, &parameters, &stamp)
    });
    let answer = answer
        .await
        .map_err(|error| Error::Internal(error.into()))?;
    Ok(answer.map_err(Error::Terminology)?.to_string())
}

/// Calls an operation on a stored resource, which goes the way of one that is sent.
///
/// # Errors
/// As [`on_type`]; [`Error::NotFound`] and [`Error::Gone`] as a read.
async fn on_instance(
    services: Arc<Services>,
    operation: &'static Operation,
    key: &ResourceKey,
    mut parameters: Parameters,
) -> Result<String, Error> {
    let Some(parameter) = operation.instance else {
        return Err(Error::UnknownOperation(format!("${}", operation.name)));
    };
    let stored = read::read(&services, key).await?;
    let text = stored.text.as_deref().unwrap_or_default();
    let resource: Value =
        serde_json::from_str(text).map_err(|error| Error::Internal(error.into()))?;
    parameters.push(parameter, resource);
    on_type(services, operation, parameters).await
}
