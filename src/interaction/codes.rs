//! Codes that only a terminology server knows: asked for before a resource is validated, so that
//! validation itself waits for nobody.

use std::sync::Arc;

use fhir_validation::{CodeServer, Options};

use crate::error::Error;
use crate::interaction::write::{Document, validated};
use crate::interaction::{Services, aside};

/// Asks the terminology server, if there is one, for what validation will want to know of a
/// resource. A resource of a type that is not one is left to whoever validates it.
///
/// # Errors
/// As [`aside::work`].
pub async fn foresee(
    services: &Arc<Services>,
    document: &Document,
    profile: Option<&str>,
    options: &Options,
) -> Result<(), Error> {
    let Some(server) = services.terminology_server.clone() else {
        return Ok(());
    };
    let Ok(resource_type) = document.resource_type(services) else {
        return Ok(());
    };
    let now = services.clock.now();
    let services = Arc::clone(services);
    let asked = (document.clone(), profile.map(str::to_owned), *options);
    let look = Arc::clone(&server);
    let look = move || {
        let (document, profile, options) = asked;
        let asking = look.asking(now);
        let profile = profile.as_deref();
        let asks = Some(&asking as &dyn CodeServer);
        validated(
            &services,
            &document,
            &resource_type,
            profile,
            &options,
            asks,
        );
        asking.missed()
    };
    let questions = aside::work(document.size(), look).await?;
    if !questions.is_empty() {
        server.ask(questions, now).await;
    }
    Ok(())
}
