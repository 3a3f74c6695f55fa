//! HL7 v2 ADT → FHIR R4: what messages say, as resources.
//!
//! The visit is a projection: [`visit::fold`] reads all messages of a visit in event order and gives
//! the visit as it stands; messages are never applied blindly one after another. The files beside
//! this one map the visit and its last message to resources, element by element, after the HL7
//! v2-to-FHIR implementation guide with the corrections of our own mapping table.
//!
//! Everything here is pure: what exists already comes in as JSON, ids come in as a function.

pub mod code_map;
pub mod condition;
pub mod coverage;
pub mod data_type;
pub mod encounter;
pub mod patient;
pub mod provenance;
pub mod related_person;
pub mod time;
pub mod trigger_event;
pub mod visit;

use chrono::{DateTime, Utc};
use hl7v2::Message;
use hl7v2::segment::{Evn, Msh, Pid, Pv1};
use serde_json::Value;

use crate::adt::data_type::{Identifier, identifier};
use crate::adt::time::When;
use crate::adt::trigger_event::TriggerEvent;
use crate::config::Feed;

/// Base of the canonicals, systems and extensions that are Baton's own.
pub const BATON: &str = "http://baton.health/fhir";

/// A message with what is known of it beside its text.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// The message.
    pub message: &'a Message,
    /// The feed it came by.
    pub feed: &'a Feed,
    /// Its place in the inbox: the order of arrival.
    pub row: i64,
    /// When it arrived.
    pub received: DateTime<Utc>,
}

impl<'a> Arrival<'a> {
    /// The trigger event, if Baton acts on it.
    pub fn event(&self) -> Option<&'static TriggerEvent> {
        trigger_event::find(&self.message.trigger_event()?)
    }

    /// MSH-7, else the time of arrival.
    pub fn created(&self) -> DateTime<Utc> {
        let header: Option<Msh<'_>> = self.message.view();
        let created = header.and_then(|header| When::read(header.date_time(), self));
        created.map_or(self.received, |when| when.instant())
    }

    /// When the event happened: EVN-6, else EVN-2, else MSH-7.
    pub fn occurred(&self) -> When {
        let event: Option<Evn<'a>> = self.message.view();
        event
            .and_then(|event| {
                When::read(event.event_occurred(), self)
                    .or_else(|| When::read(event.recorded_date_time(), self))
            })
            .or_else(|| {
                let header: Option<Msh<'a>> = self.message.view();
                header.and_then(|header| When::read(header.date_time(), self))
            })
            .unwrap_or_else(|| When::from_instant(self.received, self.feed.zone))
    }

    /// The identifiers of the patient, the strongest first: PID-3, then PID-2 and PID-4.
    pub fn patient_identifiers(&self) -> Vec<Identifier> {
        let Some(pid): Option<Pid<'a>> = self.message.view() else {
            return Vec::new();
        };
        let all = pid
            .patient_identifiers()
            .chain([pid.patient_id()])
            .chain(pid.alternate_patient_ids());
        let mut identifiers: Vec<Identifier> = Vec::new();
        for identifier in all.filter_map(|cx| identifier(cx, self.feed)) {
            if !identifiers.iter().any(|known| known.is_same(&identifier)) {
                identifiers.push(identifier);
            }
        }
        identifiers.sort_by_key(Identifier::weakness);
        identifiers
    }

    /// The visit: PV1-19, else PID-18, else PV1-50. Never a fabricated one.
    pub fn visit_identifier(&self) -> Option<VisitIdentifier> {
        let pv1: Option<Pv1<'a>> = self.message.view();
        let pid: Option<Pid<'a>> = self.message.view();
        let number = pv1.and_then(|pv1| pv1.visit_number().id().value());
        let account = || {
            pv1.and(pid)
                .and_then(|pid| pid.account_number().id().value())
        };
        let alternate = || pv1.and_then(|pv1| pv1.alternate_visit_id().id().value());
        let (kind, value) = number
            .map(|number| (VisitKind::Visit, number))
            .or_else(|| account().map(|account| (VisitKind::Account, account)))
            .or_else(|| alternate().map(|alternate| (VisitKind::Alternate, alternate)))?;
        Some(VisitIdentifier {
            system: kind.system(self.feed),
            value: value.into_owned(),
        })
    }

    /// PV1, if the message speaks of a visit.
    pub fn pv1(&self) -> Option<Pv1<'a>> {
        self.message.view()
    }
}

/// The business identifier of a visit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VisitIdentifier {
    /// `Identifier.system`.
    pub system: String,
    /// `Identifier.value`.
    pub value: String,
}

impl VisitIdentifier {
    /// `system|value`: names the visit in the inbox.
    pub fn token(&self) -> String {
        format!("{}|{}", self.system, self.value)
    }
}

/// Which field names a visit.
#[derive(Debug, Clone, Copy)]
enum VisitKind {
    Visit,
    Account,
    Alternate,
}

impl VisitKind {
    /// An account number that equals a visit number is still another visit.
    fn system(self, feed: &Feed) -> String {
        match self {
            Self::Visit => feed.visit_system.clone(),
            Self::Account => format!("{}:account", feed.visit_system),
            Self::Alternate => format!("{}:alternate", feed.visit_system),
        }
    }
}

/// A resource that a message changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// The whole resource, `id` included.
    pub resource: Value,
    /// Whether it exists already.
    pub exists: bool,
}

impl Put {
    /// `Type/id`.
    pub fn reference(&self) -> String {
        let part = |key| {
            self.resource
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        format!("{}/{}", part("resourceType"), part("id"))
    }
}

#[cfg(test)]
mod tests;
