//! What a message says of people and contracts around the patient.

use std::sync::Arc;

use serde_json::Value;

use crate::adt::{Arrival, coverage, related_person};
use crate::error::Error;
use crate::intake::process::effects::Effects;
use crate::interaction::find;

impl Effects<'_, '_, '_> {
    /// Writes next of kin and insurances.
    pub(in crate::intake::process) async fn relations(
        &mut self,
        arrival: &Arrival<'_>,
        person: &Value,
    ) -> Result<(), Error> {
        let services = Arc::clone(self.services());
        let id = person["id"].as_str().unwrap_or_default();
        let now = services.clock.now();
        let mut puts = Vec::new();
        if arrival.message.segment("NK1").is_some() {
            let search = find::by_reference(&services, "RelatedPerson", "patient", "Patient", id)?;
            let known = find::matches(self.transaction, &search).await?;
            puts.extend(related_person::related_persons(arrival, id, &known, || {
                services.ids.next(now)
            }));
        }
        if arrival.message.segment("IN1").is_some() {
            let search = find::by_reference(&services, "Coverage", "beneficiary", "Patient", id)?;
            let known = find::matches(self.transaction, &search).await?;
            puts.extend(coverage::coverages(arrival, id, &known, || {
                services.ids.next(now)
            }));
        }
        self.put(puts).await
    }
}
