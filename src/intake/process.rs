//! Processing: one message of the inbox takes its effects, in one commit with its new state.

use std::sync::Arc;
use std::time::Duration;

use fhir_model::key::{LogicalId, ResourceKey, VersionId};
use hl7v2::Message;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::adt::data_type::Identifier;
use crate::adt::encounter::{References, add_tag};
use crate::adt::visit::{self, Visit};
use crate::adt::{
    Arrival, BATON, Put, VisitIdentifier, code_map, condition, coverage, encounter, patient,
    provenance, related_person,
};
use crate::config::{Config, Feed};
use crate::error::{self, Error};
use crate::intake::lanes::Queue;
use crate::intake::{Intake, context};
use crate::interaction::write::{self, Change, Document, Outcome, Written, instant_text};
use crate::interaction::{Context, Services};
use crate::operation::pathway::Pathways;
use crate::search::expression::{
    Criterion, Filter, ReferenceCriterion, Search, TokenCriterion, Total,
};
use crate::search::value::ParameterId;
use crate::store::{
    Claim, MessageQuery, MessageState, StoredMessage, Transaction, VisitMessage, Work,
};

/// How often rows that no lane holds are looked for.
const SWEEP_PERIOD: Duration = Duration::from_secs(30);
/// Rows of the inbox looked at in one sweep.
const SWEEP_ROWS_MAX: u32 = 1000;
/// The pause after a failed attempt; doubled at each further one.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Merges followed from a Patient to its survivor.
const MERGES_MAX: usize = 32;
/// Existing resources of one kind that a message is compared with.
const EXISTING_MAX: u32 = 1000;

impl Intake {
    /// The worker of a lane: processes its rows one after another until the lane closes.
    pub async fn process(self: Arc<Self>, mut queue: Queue, stop: CancellationToken) {
        loop {
            let row = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                row = queue.next() => row,
            };
            let Some(row) = row else { return };
            self.process_row(row).await;
            queue.done();
        }
    }

    /// Queues the rows that are durable and not processed: at the start, and those that got lost
    /// between the store and a lane.
    pub async fn sweep(self: Arc<Self>, stop: CancellationToken) {
        loop {
            if let Err(error) = self.queue_unprocessed().await {
                tracing::error!(error = error::chain(&error), "The inbox could not be read");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP_PERIOD) => {}
            }
        }
    }

    async fn queue_unprocessed(&self) -> Result<(), crate::store::Error> {
        for state in [MessageState::Received, MessageState::Failed] {
            let mut after = None;
            loop {
                let query = MessageQuery {
                    state: Some(state),
                    feed: None,
                    after,
                    count: SWEEP_ROWS_MAX,
                };
                let rows = self.services.store.messages(&query).await?;
                let Some(last) = rows.last() else { break };
                after = Some(last.row);
                for stored in rows {
                    let key = match hl7v2::parse(&stored.message.bytes) {
                        Ok(parsed) => super::lane_key(&parsed.message, &stored),
                        Err(_) => String::new(),
                    };
                    self.lanes.push(key, stored.row).await;
                }
            }
        }
        Ok(())
    }

    /// Processes a row; tries again when it fails for a reason that may pass, then sets it aside.
    async fn process_row(&self, row: i64) {
        let mut pause = RETRY_PAUSE;
        for attempt in 1..=self.config.intake.attempts_max {
            let work = Process {
                context: context(&self.services),
                config: Arc::clone(&self.config),
                unclaimed: Arc::clone(&self.unclaimed),
                pathways: Arc::clone(&self.pathways),
                row,
            };
            match self.services.store.transact(work).await {
                Ok(()) => return,
                Err(error) => {
                    let cause = error::chain(&error);
                    tracing::warn!(
                        message.row = row,
                        attempt,
                        error = cause,
                        "Processing a message failed"
                    );
                    if !may_pass(&error) || attempt == self.config.intake.attempts_max {
                        self.set_aside(row, &error).await;
                        return;
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn set_aside(&self, row: i64, error: &Error) {
        // The kind of error and the place in our own resource: nothing of the message.
        let reason = match error {
            Error::Unprocessable(issues) => {
                let places: Vec<String> = issues
                    .iter()
                    .filter(|issue| issue.is_error())
                    .map(|issue| issue.location.clone())
                    .collect();
                format!(
                    "what the message was mapped to is not valid: {}",
                    places.join(", ")
                )
            }
            other => other.to_string(),
        };
        let work = SetAside { row, reason };
        if let Err(error) = self.services.store.transact(work).await {
            tracing::error!(
                message.row = row,
                error = error::chain(&error),
                "A message could not be set aside; it will be tried again"
            );
        }
    }
}

/// Whether the same attempt may succeed later.
fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::Unavailable(_) | Error::Conflict(_) | Error::VersionConflict { .. }
    )
}

struct SetAside {
    row: i64,
    reason: String,
}

impl Work for SetAside {
    type Output = ();
    type Error = crate::store::Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<(), crate::store::Error> {
        transaction
            .set_message_state(self.row, MessageState::SetAside, &self.reason)
            .await
    }
}

/// A message and its feed, read from the inbox.
struct Read {
    stored: StoredMessage,
    message: Message,
    feed: Arc<Feed>,
}

impl Read {
    fn arrival(&self) -> Arrival<'_> {
        Arrival {
            message: &self.message,
            feed: &self.feed,
            row: self.stored.row,
            received: self.stored.message.received,
        }
    }
}

struct Process {
    context: Context,
    config: Arc<Config>,
    unclaimed: Arc<Feed>,
    pathways: Arc<Pathways>,
    row: i64,
}

impl Work for Process {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        let Some(stored) = transaction.message(self.row).await? else {
            return Ok(());
        };
        if !matches!(
            stored.message.state,
            MessageState::Received | MessageState::Failed
        ) {
            return Ok(());
        }
        let Some(read) = self.read(stored) else {
            let reason = "the message can no longer be read";
            transaction
                .set_message_state(self.row, MessageState::SetAside, reason)
                .await?;
            return Ok(());
        };
        self.take_effect(transaction, &read).await?;
        transaction
            .set_message_state(self.row, MessageState::Processed, "")
            .await?;
        Ok(())
    }
}

impl Process {
    fn read(&self, stored: StoredMessage) -> Option<Read> {
        let message = hl7v2::parse(&stored.message.bytes).ok()?.message;
        let named = |feed: &&Arc<Feed>| feed.name == *stored.message.feed;
        let feed = self
            .config
            .feeds
            .iter()
            .find(named)
            .unwrap_or(&self.unclaimed);
        let feed = Arc::clone(feed);
        Some(Read {
            stored,
            message,
            feed,
        })
    }

    async fn take_effect(
        &self,
        transaction: &mut Transaction<'_>,
        read: &Read,
    ) -> Result<(), Error> {
        let arrival = read.arrival();
        let identifiers = arrival.patient_identifiers();
        let visit_identifier = arrival.visit_identifier();
        self.claim(transaction, &identifiers, visit_identifier.as_ref())
            .await?;

        let messages = match &visit_identifier {
            Some(identifier) => self.visit_messages(transaction, read, identifier).await?,
            None => Vec::new(),
        };
        let arrivals: Vec<Arrival<'_>> = messages.iter().map(Read::arrival).collect();
        let is_newest = arrivals
            .iter()
            .all(|other| visit::event_order(other, &arrival).is_le());
        let mut effects = Effects {
            process: self,
            transaction,
            written: Vec::new(),
        };
        let person = effects.patient(&arrival, &identifiers, is_newest).await?;
        let visit = visit_identifier
            .as_ref()
            .and_then(|identifier| visit::fold(identifier, &arrivals));
        let encounter = match &visit {
            Some(visit) => {
                let reused = read.stored.control_id_reused;
                Some(effects.visit(visit, &read.feed, &person, reused).await?)
            }
            None => None,
        };
        effects.relations(&arrival, &person).await?;
        effects
            .provenance(&arrival, read.stored.message.received)
            .await?;
        let Effects { transaction, .. } = effects;
        let (context, pathways) = (&self.context, &self.pathways);
        match encounter {
            Some(encounter) => {
                pathways
                    .visit_changed(transaction, context, &encounter, &person)
                    .await?;
            }
            None => {
                pathways
                    .patient_changed(transaction, context, &person)
                    .await?;
            }
        }
        Ok(())
    }

    /// Identities under construction, in one order: two messages never wait for each other.
    async fn claim(
        &self,
        transaction: &mut Transaction<'_>,
        identifiers: &[Identifier],
        visit: Option<&VisitIdentifier>,
    ) -> Result<(), Error> {
        let people = identifiers
            .iter()
            .map(|identifier| format!("Patient|{}", identifier.token()));
        let visits = visit.map(|visit| format!("Encounter|{}", visit.token()));
        let mut claims: Vec<Claim> = people.chain(visits).map(Claim).collect();
        claims.sort();
        claims.dedup();
        Ok(transaction.claim(&claims).await?)
    }

    /// Puts the message in its visit; gives all messages of it.
    async fn visit_messages(
        &self,
        transaction: &mut Transaction<'_>,
        read: &Read,
        identifier: &VisitIdentifier,
    ) -> Result<Vec<Read>, Error> {
        let visit = identifier.token();
        transaction
            .put_in_visit(&VisitMessage {
                visit: visit.clone(),
                row: self.row,
            })
            .await?;
        let mut messages = Vec::new();
        for stored in transaction.visit_messages(&visit).await? {
            messages.extend(
                self.read(stored)
                    .filter(|other| other.feed.name == read.feed.name),
            );
        }
        Ok(messages)
    }
}

/// What a message changes, as it is being written.
struct Effects<'p, 't, 'c> {
    process: &'p Process,
    transaction: &'t mut Transaction<'c>,
    /// What was written, for the Provenance.
    written: Vec<Written>,
}

impl Effects<'_, '_, '_> {
    fn services(&self) -> &Arc<Services> {
        &self.process.context.services
    }

    fn fresh_id(&self) -> String {
        let services = self.services();
        services.ids.next(services.clock.now())
    }

    /// Finds or makes the Patient.
    async fn patient(
        &mut self,
        arrival: &Arrival<'_>,
        identifiers: &[Identifier],
        is_newest: bool,
    ) -> Result<Value, Error> {
        let existing = self.matching_patient(identifiers).await?;
        let id = match &existing {
            Some(existing) => existing["id"].as_str().unwrap_or_default().to_owned(),
            None => self.fresh_id(),
        };
        let resource = patient::patient(arrival, identifiers, &id, existing.as_ref(), is_newest);
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
            let search = by_identifier(
                self.services(),
                "Patient",
                &identifier.system,
                &identifier.value,
            )?;
            let Some(mut found) = find(self.transaction, &search).await?.into_iter().next() else {
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
    async fn visit(
        &mut self,
        visit: &Visit,
        feed: &Feed,
        person: &Value,
        control_id_reused: bool,
    ) -> Result<Value, Error> {
        let services = Arc::clone(self.services());
        let patient_id = person["id"].as_str().unwrap_or_default();
        let identifier = &visit.identifier;
        let search = by_identifier(
            &services,
            "Encounter",
            &identifier.system,
            &identifier.value,
        )?;
        let existing = find(self.transaction, &search).await?.into_iter().next();
        let id = match &existing {
            Some(existing) => existing["id"].as_str().unwrap_or_default().to_owned(),
            None => self.fresh_id(),
        };
        let known = match &existing {
            Some(_) if !visit.diagnoses.is_empty() => {
                let search = by_reference(&services, "Condition", "encounter", "Encounter", &id)?;
                find(self.transaction, &search).await?
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

    /// Writes next of kin and insurances.
    async fn relations(&mut self, arrival: &Arrival<'_>, person: &Value) -> Result<(), Error> {
        let services = Arc::clone(self.services());
        let id = person["id"].as_str().unwrap_or_default();
        let now = services.clock.now();
        let mut puts = Vec::new();
        if arrival.message.segment("NK1").is_some() {
            let search = by_reference(&services, "RelatedPerson", "patient", "Patient", id)?;
            let known = find(self.transaction, &search).await?;
            puts.extend(related_person::related_persons(arrival, id, &known, || {
                services.ids.next(now)
            }));
        }
        if arrival.message.segment("IN1").is_some() {
            let search = by_reference(&services, "Coverage", "beneficiary", "Patient", id)?;
            let known = find(self.transaction, &search).await?;
            puts.extend(coverage::coverages(arrival, id, &known, || {
                services.ids.next(now)
            }));
        }
        self.put(puts).await
    }

    /// One Provenance for what the message changed; none when it changed nothing.
    async fn provenance(
        &mut self,
        arrival: &Arrival<'_>,
        received: crate::clock::Instant,
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

    async fn put(&mut self, puts: Vec<Put>) -> Result<(), Error> {
        if puts.is_empty() {
            return Ok(());
        }
        let services = Arc::clone(self.services());
        let mut prepared = Vec::with_capacity(puts.len());
        for put in puts {
            prepared.push(write::prepare(&services, change(&services, &put)?)?);
        }
        let references: Vec<&write::Prepared> = prepared.iter().collect();
        let cause: Arc<str> = format!("adt_message/{}", self.process.row).into();
        let written =
            write::apply(self.transaction, &self.process.context, &references, &cause).await?;
        self.written.extend(written);
        Ok(())
    }

    /// A resource as it now is, inside the transaction.
    async fn current(&mut self, resource_type: &str, id: &str) -> Result<Value, Error> {
        let key = self.services().key(resource_type, id)?;
        let found = self
            .transaction
            .read(std::slice::from_ref(&key))
            .await?
            .into_iter()
            .next()
            .flatten();
        let text = found
            .and_then(|stored| stored.text)
            .ok_or_else(|| Error::NotFound(key))?;
        serde_json::from_str(&text).map_err(|error| Error::Internal(error.into()))
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
        expected,
    })
}

/// The Patient that replaced this one, by `Patient.link`.
fn survivor(patient: &Value) -> Option<String> {
    let links = patient["link"].as_array()?;
    let link = links.iter().find(|link| link["type"] == "replaced-by")?;
    let reference = link.pointer("/other/reference")?.as_str()?;
    Some(reference.strip_prefix("Patient/")?.to_owned())
}

fn by_identifier(
    services: &Services,
    resource_type: &str,
    system: &str,
    value: &str,
) -> Result<Search, Error> {
    let criterion = TokenCriterion::SystemAndCode(system.to_owned(), value.to_owned());
    search(
        services,
        resource_type,
        "identifier",
        Criterion::Token(criterion),
    )
}

fn by_reference(
    services: &Services,
    resource_type: &str,
    parameter: &str,
    target: &str,
    id: &str,
) -> Result<Search, Error> {
    let key = services.key(target, id)?;
    let criterion = ReferenceCriterion::Local(key.resource_type, key.id);
    search(
        services,
        resource_type,
        parameter,
        Criterion::Reference(criterion),
    )
}

fn search(
    services: &Services,
    resource_type: &str,
    parameter: &str,
    criterion: Criterion,
) -> Result<Search, Error> {
    Ok(Search {
        resource_type: services.resource_type(resource_type)?,
        filters: vec![Filter::Any {
            parameter: ParameterId::new(resource_type, parameter),
            criteria: vec![criterion],
            negated: false,
        }],
        sort: Vec::new(),
        count: EXISTING_MAX,
        after: None,
        includes: Vec::new(),
        revincludes: Vec::new(),
        total: Total::None,
    })
}

async fn find(transaction: &mut Transaction<'_>, search: &Search) -> Result<Vec<Value>, Error> {
    let page = transaction.search(search).await?;
    page.matches
        .iter()
        .filter_map(|stored| stored.text.as_deref())
        .map(|text| serde_json::from_str(text).map_err(|error| Error::Internal(error.into())))
        .collect()
}
