//! Pathways inside a transaction: reads the facts out of resources, lets the pure functions of
//! `plan_definition` decide, and writes what they decide through `interaction::write`.
//!
//! The intake calls [`Pathways::visit_changed`] in the commit of the message that changed the visit;
//! the workflow engine calls the rest from the change feed and the timers.

mod facts;

use std::fmt::Write as _;
use std::sync::Arc;

use fhir_model::key::{LogicalId, ResourceKey, ResourceType, VersionId};
use serde_json::{Value, json};

use crate::config::Config;
use crate::error::Error;
use crate::interaction::write::{self, Change, Document, Outcome, Written, instant_text};
use crate::interaction::{Context, Services, find};
use crate::operation::pathway::facts::Reader;
use crate::plan_definition::decide::{Decision, Put, Situation, decide, died};
use crate::plan_definition::facts::{Policy, Reason, from_resource};
use crate::plan_definition::progress::{self, Progress};
use crate::plan_definition::{Plan, calendar::Calendar, decide};
use crate::search::expression::{Criterion, Search, TokenCriterion};
use crate::search::value::ParameterId;
use crate::store::{Rows, Timer, Transaction};

/// The plans in force and the policy they run under.
pub struct Pathways {
    plans: Vec<Plan>,
    policy: Policy,
    config: Arc<Config>,
}

/// `Timer.kind` of a Task whose due instant passes.
pub const TASK_DUE: &str = "task-due";

impl Pathways {
    /// The plans that ship with Baton, under the policy of the configuration.
    ///
    /// # Errors
    /// When a PlanDefinition cannot be read.
    pub fn new(config: &Arc<Config>) -> anyhow::Result<Self> {
        let organisation = &config.care_organisation;
        let mut policy = Policy::new(organisation.zone);
        policy.calendar = Calendar::us_federal_with(
            organisation.holidays_added.clone(),
            organisation.holidays_removed.clone(),
        );
        Ok(Self {
            plans: Plan::shipped()?,
            policy,
            config: Arc::clone(config),
        })
    }

    /// What a visit, as it stands now, means: starts, moves, holds and withdraws pathways.
    ///
    /// # Errors
    /// When the store fails, or a decision breaks a rule of a profile (a defect).
    pub async fn visit_changed(
        &self,
        transaction: &mut Transaction<'_>,
        context: &Context,
        encounter: &Value,
        patient: &Value,
    ) -> Result<Vec<Written>, Error> {
        let reader = self.reader(context);
        let Some(patient_id) = patient["id"].as_str() else {
            return Ok(Vec::new());
        };
        let panel = reader.panel(transaction, patient_id).await?;
        let existing = reader.existing(transaction, patient_id).await?;
        // Most patients of a feed are nobody's: nothing more is read for them.
        if panel.is_empty() && existing.is_empty() {
            return Ok(Vec::new());
        }
        let visit = reader.visit(encounter);
        let patient = reader.patient(transaction, patient, panel, &visit).await?;
        let now = context.services.clock.now();
        let situation = Situation {
            visit: &visit,
            patient: &patient,
            existing: &existing,
            plans: &self.plans,
            policy: &self.policy,
            now,
        };
        let decision = decide(&situation, &mut || context.services.ids.next(now));
        carry_out(transaction, context, decision).await
    }

    /// A Patient changed: what that means, seen from the latest visit.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn patient_changed(
        &self,
        transaction: &mut Transaction<'_>,
        context: &Context,
        patient: &Value,
    ) -> Result<Vec<Written>, Error> {
        let Some(id) = patient["id"].as_str() else {
            return Ok(Vec::new());
        };
        let reader = self.reader(context);
        if let Some(encounter) = reader.encounters(transaction, id).await?.pop() {
            return self
                .visit_changed(transaction, context, &encounter, patient)
                .await;
        }
        if !from_resource::is_deceased(patient) {
            return Ok(Vec::new());
        }
        let existing = reader.existing(transaction, id).await?;
        let now = context.services.clock.now();
        let decision = died(id, &existing, &self.plans, &self.policy, now);
        carry_out(transaction, context, decision).await
    }

    /// The patients who joined a panel by a change of its Group.
    pub fn joined(&self, before: Option<&Value>, group: &Value) -> Vec<String> {
        facts::joined(before, group)
    }

    /// Somebody joined a panel: the visits that they have had mean what they would have meant, with
    /// their own dates.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn panel_joined(
        &self,
        transaction: &mut Transaction<'_>,
        context: &Context,
        patient: &Value,
    ) -> Result<(), Error> {
        let id = patient["id"].as_str().unwrap_or_default();
        let encounters = self.reader(context).encounters(transaction, id).await?;
        for encounter in &encounters {
            self.visit_changed(transaction, context, encounter, patient)
                .await?;
        }
        Ok(())
    }

    /// What a Communication, Encounter or Task, as it is now, means for its patient's pathways.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn resource_changed(
        &self,
        transaction: &mut Transaction<'_>,
        context: &Context,
        changed: &Value,
        patient_id: &str,
    ) -> Result<Vec<Written>, Error> {
        let existing = self
            .existing_with_communications(transaction, context, patient_id)
            .await?;
        if existing.is_empty() {
            return Ok(Vec::new());
        }
        let decision = progress::react(changed, &self.progress(context, &existing));
        carry_out(transaction, context, decision).await
    }

    /// A Task's due instant has passed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn task_due(
        &self,
        transaction: &mut Transaction<'_>,
        context: &Context,
        task_id: &str,
        patient_id: &str,
    ) -> Result<Vec<Written>, Error> {
        let existing = self
            .existing_with_communications(transaction, context, patient_id)
            .await?;
        let decision = progress::on_timer(task_id, &self.progress(context, &existing));
        carry_out(transaction, context, decision).await
    }

    /// The organisation's calendar may have changed since a patient's Tasks were made.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn recount(
        &self,
        transaction: &mut Transaction<'_>,
        context: &Context,
        patient_id: &str,
    ) -> Result<Vec<Written>, Error> {
        let existing = self
            .existing_with_communications(transaction, context, patient_id)
            .await?;
        let decision = progress::recount(&self.progress(context, &existing));
        carry_out(transaction, context, decision).await
    }

    /// Tells calendars apart.
    pub fn calendar_fingerprint(&self) -> i64 {
        let organisation = &self.config.care_organisation;
        let mut days = String::new();
        for (sign, holidays) in [
            ('+', &organisation.holidays_added),
            ('-', &organisation.holidays_removed),
        ] {
            for day in holidays {
                let _ = write!(days, "{sign}{day}");
            }
        }
        i64::from(ParameterId::new(&days, organisation.zone.name()).0)
    }

    /// The Tasks that somebody still has to do.
    ///
    /// # Errors
    /// None in practice: Task is a resource type.
    pub fn open_tasks(&self, services: &Services) -> Result<Search, Error> {
        let open = [
            "requested",
            "received",
            "accepted",
            "in-progress",
            "on-hold",
        ];
        let criteria = open.map(|status| Criterion::Token(TokenCriterion::Code(status.to_owned())));
        find::by(services, "Task", "status", criteria.into())
    }

    fn reader<'a>(&'a self, context: &'a Context) -> Reader<'a> {
        Reader {
            services: &context.services,
            config: &self.config,
            policy: &self.policy,
        }
    }

    fn progress<'a>(&'a self, context: &Context, existing: &'a [Value]) -> Progress<'a> {
        Progress {
            existing,
            plans: &self.plans,
            policy: &self.policy,
            now: context.services.clock.now(),
        }
    }

    async fn existing_with_communications(
        &self,
        transaction: &mut Transaction<'_>,
        context: &Context,
        patient_id: &str,
    ) -> Result<Vec<Value>, Error> {
        let reader = self.reader(context);
        let mut existing = reader.existing(transaction, patient_id).await?;
        if !existing.is_empty() {
            existing.extend(reader.communications(transaction, patient_id).await?);
        }
        Ok(existing)
    }
}

/// Writes a decision: its resources, a Provenance for each reason, its timers.
async fn carry_out(
    transaction: &mut Transaction<'_>,
    context: &Context,
    decision: Decision,
) -> Result<Vec<Written>, Error> {
    if decision.changes.is_empty() && decision.timers.is_empty() {
        return Ok(Vec::new());
    }
    let services = &context.services;
    let mut reasons: Vec<Reason> = Vec::new();
    let mut prepared = Vec::with_capacity(decision.changes.len());
    for put in &decision.changes {
        prepared.push(write::prepare(context, change(services, put)?)?);
        if !reasons.contains(&put.reason) {
            reasons.push(put.reason);
        }
    }
    let cause: Arc<str> = "pathway".into();
    let references: Vec<&write::Prepared> = prepared.iter().collect();
    let mut written = write::apply(transaction, context, &references, &cause).await?;

    let mut provenances = Vec::new();
    for reason in reasons {
        let made = decision
            .changes
            .iter()
            .zip(&written)
            .filter(|(put, _)| put.reason == reason);
        let targets: Vec<String> = made
            .filter(|(_, written)| written.outcome != Outcome::Unchanged)
            .filter_map(|(_, written)| {
                let stored = written.stored.as_ref()?;
                Some(format!("{}/_history/{}", stored.key, stored.version))
            })
            .collect();
        if !targets.is_empty() {
            provenances.push(write::prepare(
                context,
                provenance(services, reason, &targets)?,
            )?);
        }
    }
    let references: Vec<&write::Prepared> = provenances.iter().collect();
    written.extend(write::apply(transaction, context, &references, &cause).await?);
    transaction.append(Rows {
        timers: timers(services, &decision.timers)?,
        ..Rows::default()
    });
    Ok(written)
}

fn change(services: &Services, put: &Put) -> Result<Change, Error> {
    let document = Document::from_value(services, &put.resource)?;
    let id = document.id().unwrap_or_default();
    let id = LogicalId::parse(&id).map_err(|error| Error::Internal(error.into()))?;
    let Some(expected) = &put.expected_version else {
        return Ok(Change::Create {
            document,
            unless: None,
            id: Some(id),
        });
    };
    let expected = VersionId::parse(expected).map_err(|error| Error::Internal(error.into()))?;
    let resource_type = document.resource_type(services)?;
    let key = ResourceKey::new(resource_type, id);
    Ok(Change::Update {
        key,
        document,
        expected: Some(expected.into()),
    })
}

fn provenance(services: &Services, reason: Reason, targets: &[String]) -> Result<Change, Error> {
    let now = services.clock.now();
    let targets: Vec<Value> = targets
        .iter()
        .map(|target| json!({ "reference": target }))
        .collect();
    let provenance = json!({
        "resourceType": "Provenance",
        "target": targets,
        "recorded": instant_text(now),
        "reason": [{ "coding": [{
            "system": "http://baton.health/fhir/CodeSystem/pathway-reason",
            "code": reason.code(),
        }] }],
        "agent": [{
            "type": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                "code": "author",
            }] },
            "who": { "type": "Device", "display": "Baton pathways" },
        }],
    });
    Ok(Change::Create {
        document: Document::from_value(services, &provenance)?,
        unless: None,
        id: None,
    })
}

fn timers(services: &Services, timers: &[decide::Timer]) -> Result<Vec<Timer>, Error> {
    let task_type: ResourceType = services.resource_type("Task")?;
    timers
        .iter()
        .map(|timer| {
            let id =
                LogicalId::parse(&timer.task_id).map_err(|error| Error::Internal(error.into()))?;
            Ok(Timer {
                name: format!("Task/{id}"),
                due: timer.at,
                subject: ResourceKey::new(task_type.clone(), id),
                kind: TASK_DUE.to_owned(),
            })
        })
        .collect()
}
