//! What a message changes: the Patient, the visit, relations, their Provenance.

use std::sync::Arc;

use fhir_model::key::{LogicalId, ResourceKey, VersionId};
use serde_json::Value;

use crate::adt::data_type::Identifier;
use crate::adt::encounter::{References, add_tag};
use crate::adt::visit::Visit;
use crate::adt::{Arrival, BATON, Put, code_map, condition, encounter, patient, provenance};
use crate::clock::Instant;
use crate::config::Feed;
use crate::error::Error;
use crate::interaction::write::{self, Change, Document, Outcome, Written, instant_text};
use crate::interaction::{Context, Services, find};
use crate::store::Transaction;

mod relations;

/// Merges followed from a Patient to its survivor.
const MERGES_MAX: usize = 32;

/// What a message changes, as it is being written.
pub(super) struct Effects<'p, 't, 'c> {
    context: &'p Context,
    /// Names the message in the change feed.
    cause: Arc<str>,
    transaction: &'t mut Transaction<'c>,
    /// What was written, for the Provenance.
    written: Vec<Written>,
}

impl<'p, 't, 'c> Effects<'p, 't, 'c> {
    /// Nothing written yet; `row` is the message's place in the inbox.
    pub(super) fn new(
        context: &'p Context,
        transaction: &'t mut Transaction<'c>,
        row: i64,
    ) -> Self {
        let cause = format!("adt_message/{row}").into();
        Self {
            context,
            cause,
            transaction,
            written: Vec::new(),
        }
    }

    pub(super) fn services(&self) -> &Arc<Services> {
        &self.context.services
    }

    fn fresh_id(&self) -> String {
        let services = self.services();
        services.ids.next(services.clock.now())
    }

    /// Finds or makes the Patient.
    pub(super) async fn patient(
        &mut self,
        arrival: &Arrival<'_>,
        identifiers: &[Identifier],
        is_newest: bool,
        died_in_visit: bool,
    ) -> Result<Value, Error> {
        let existing = self.matching_patient(identifiers).await?;
        let id = match &existing {
            Some(existing) => existing["id"].as_str().unwrap_or_default().to_owned(),
            None => self.fresh_id(),
        };
        let resource = patient::patient(
            arrival,
            identifiers,
            &id,
            existing.as_ref(),
            is_newest,
            died_in_visit,
        );
        self.put(vec![Put {
            resource,
            exists: existing.is_some(),
        }])
        .await?;
        self.current("Patient", &id).await
    }

    /// The Patient with the strongest identifier that anybody has; after a merge, its survivor.
    async fn matching_patient(
        &mut self,
        identifiers: &[Identifier],
    ) -> Result<Option<Value>, Error> {
        for identifier in identifiers {
            let search = find::by_identifier(
                self.services(),
                "Patient",
                &identifier.system,
                &identifier.value,
            )?;
            let Some(mut found) = find::matches(self.transaction, &search)
                .await?
                .into_iter()
                .next()
            else {
                continue;
            };
            for _ in 0..MERGES_MAX {
                let Some(survivor) = survivor(&found) else {
                    break;
                };
                found = self.current("Patient", &survivor).await?;
            }
            return Ok(Some(found));
        }
        Ok(None)
    }

    /// Writes the Conditions and the Encounter of a visit; gives the Encounter as it now is.
    pub(super) async fn visit(
        &mut self,
        visit: &Visit,
        feed: &Feed,
        person: &Value,
        control_id_reused: bool,
    ) -> Result<Value, Error> {
        let services = Arc::clone(self.services());
        let patient_id = person["id"].as_str().unwrap_or_default();
        let identifier = &visit.identifier;
        let search = find::by_identifier(
            &services,
            "Encounter",
            &identifier.system,
            &identifier.value,
        )?;
        let existing = find::matches(self.transaction, &search)
            .await?
            .into_iter()
            .next();
        let id = match &existing {
            Some(existing) => existing["id"].as_str().unwrap_or_default().to_owned(),
            None => self.fresh_id(),
        };
        let known = match &existing {
            Some(_) if !visit.diagnoses.is_empty() => {
                let search =
                    find::by_reference(&services, "Condition", "encounter", "Encounter", &id)?;
                find::matches(self.transaction, &search).await?
            }
            _ => Vec::new(),
        };
        let now = services.clock.now();
        let conditions = condition::conditions(&visit.diagnoses, &id, patient_id, &known, || {
            services.ids.next(now)
        });
        let diagnoses = conditions
            .iter()
            .zip(&visit.diagnoses)
            .filter(|(_, diagnosis)| !diagnosis.is_deleted)
            .map(|(put, diagnosis)| {
                (
                    put.reference(),
                    code_map::diagnosis_type(&diagnosis.kind).0,
                    diagnosis.rank,
                )
            })
            .collect();
        let references = References {
            id: &id,
            patient_id,
            diagnoses,
        };
        let mut resource = encounter::encounter(visit, feed, &references, existing.as_ref());
        if control_id_reused && let Some(resource) = resource.as_object_mut() {
            add_tag(
                resource,
                &format!("{BATON}/CodeSystem/visit-flag"),
                "control-id-reuse",
            );
        }
        let mut puts = vec![Put {
            resource,
            exists: existing.is_some(),
        }];
        puts.extend(conditions);
        self.put(puts).await?;
        self.current("Encounter", &id).await
    }

    /// One Provenance for what the message changed; none when it changed nothing.
    pub(super) async fn provenance(
        &mut self,
        arrival: &Arrival<'_>,
        received: Instant,
    ) -> Result<(), Error> {
        let targets: Vec<String> = self
            .written
            .iter()
            .filter(|written| matches!(written.outcome, Outcome::Created | Outcome::Updated))
            .filter_map(|written| written.stored.as_ref())
            .map(|stored| format!("{}/_history/{}", stored.key, stored.version))
            .collect();
        if targets.is_empty() {
            return Ok(());
        }
        let id = self.fresh_id();
        let resource = provenance::provenance(arrival, &id, &instant_text(received), &targets);
        self.put(vec![Put {
            resource,
            exists: false,
        }])
        .await
    }

    pub(super) async fn put(&mut self, puts: Vec<Put>) -> Result<(), Error> {
        if puts.is_empty() {
            return Ok(());
        }
        let services = Arc::clone(self.services());
        let mut prepared = Vec::with_capacity(puts.len());
        for put in puts {
            prepared.push(write::prepare(self.context, change(&services, &put)?)?);
        }
        let references: Vec<&write::Prepared> = prepared.iter().collect();
        let written =
            write::apply(self.transaction, self.context, &references, &self.cause).await?;
        self.written.extend(written);
        Ok(())
    }

    /// A resource that was just written or referred to.
    async fn current(&mut self, resource_type: &str, id: &str) -> Result<Value, Error> {
        let key = self.services().key(resource_type, id)?;
        let found = find::current(self.transaction, &key).await?;
        found.ok_or_else(|| Error::NotFound(key))
    }
}

fn change(services: &Services, put: &Put) -> Result<Change, Error> {
    let document = Document::from_value(services, &put.resource)?;
    let resource_type = document.resource_type(services)?;
    let id = document.id().unwrap_or_default();
    let id = LogicalId::parse(&id).map_err(|error| Error::Internal(error.into()))?;
    if !put.exists {
        return Ok(Change::Create {
            document,
            unless: None,
            id: Some(id),
        });
    }
    let expected = put
        .resource
        .pointer("/meta/versionId")
        .and_then(Value::as_str);
    let expected = expected.and_then(|version| VersionId::parse(version).ok());
    Ok(Change::Update {
        key: ResourceKey::new(resource_type, id),
        document,
        expected: expected.map(Into::into),
    })
}

/// The Patient that replaced this one, by `Patient.link`.
fn survivor(patient: &Value) -> Option<String> {
    let links = patient["link"].as_array()?;
    let link = links.iter().find(|link| link["type"] == "replaced-by")?;
    let reference = link.pointer("/other/reference")?.as_str()?;
    Some(reference.strip_prefix("Patient/")?.to_owned())
}
