//! Codes that only a terminology server knows: asked for before a resource is validated, so that
//! validation itself waits for nobody.

use fhir_validation::Options;

use crate::interaction::Services;
use crate::interaction::write::{Document, validated};

/// Asks the terminology server, if there is one, for what validation will want to know of a
/// resource. A resource of a type that is not one is left to whoever validates it.
pub async fn foresee(
    services: &Services,
    document: &Document,
    profile: Option<&str>,
    options: &Options,
) {
    let Some(server) = services.terminology_server.as_deref() else {
        return;
    };
    let Ok(resource_type) = document.resource_type(services) else {
        return;
    };
    let now = services.clock.now();
    let asking = server.asking(now);
    validated(
        services,
        document,
        &resource_type,
        profile,
        options,
        Some(&asking),
    );
    let questions = asking.missed();
    if !questions.is_empty() {
        server.ask(questions, now).await;
    }
}
