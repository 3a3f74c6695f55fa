//! The visit as a projection of its messages.
//!
//! All accepted messages of a visit are folded in event order (MSH-7, MSH-13, EVN-2, rank of the
//! event, arrival), so late, repeated and corrected messages all give the same visit. A field that
//! is empty says nothing, `""` deletes; where a feed sends snapshots, empty means none.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use hl7v2::segment::data_type::Pl;
use serde_json::Value;

use crate::adt::data_type::text;
use crate::adt::label::Label;
use crate::adt::time::When;
use crate::adt::visit::fold::Fold;
use crate::adt::{Arrival, VisitIdentifier};
use crate::disposition::{self, Group};

mod fields;
mod fold;

/// `Encounter.status`, computed and never taken from one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `planned`
    Planned,
    /// `in-progress`
    InProgress,
    /// `onleave`
    OnLeave,
    /// `finished`
    Finished,
    /// `cancelled`
    Cancelled,
}

impl Status {
    /// The code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::InProgress => "in-progress",
            Self::OnLeave => "onleave",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A state that was, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past<T> {
    /// The state.
    pub value: T,
    /// Since when.
    pub start: Option<When>,
    /// Until when.
    pub end: Option<When>,
}

/// A place where the patient lay or lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Point of care, room and bed: `4N/401/1`.
    pub display: String,
    /// PL as sent, without its trailing empty parts: `4N^401^1`.
    pub path: String,
}

impl Place {
    fn read(pl: Pl<'_>) -> Option<Self> {
        let parts = [pl.point_of_care(), pl.room(), pl.bed()].map(text);
        let mut values: Vec<String> = parts.into_iter().map(Option::unwrap_or_default).collect();
        while values.last().is_some_and(String::is_empty) {
            values.pop();
        }
        if values.is_empty() {
            return None;
        }
        let named: Vec<&str> = values
            .iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        Some(Self {
            display: named.join("/"),
            path: values.join("^"),
        })
    }
}

/// Discharge disposition: the code of the feed, and the NUBC code where the feed's map or the code
/// itself gives one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// PV1-36 as sent.
    pub local: String,
    /// Two digits.
    pub nubc: Option<String>,
}

/// A diagnosis of DG1.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// DG1-3, with the text of DG1-4.
    pub code: Value,
    /// What the diagnosis is told apart by: its first coding, else its text.
    pub key: String,
    /// DG1-6, table 0052.
    pub kind: String,
    /// DG1-15.
    pub rank: Option<u64>,
    /// DG1-5.
    pub recorded: Option<When>,
    /// DG1-21 is `D`: taken back.
    pub is_deleted: bool,
}

/// A participant of the visit.
#[derive(Debug, Clone, PartialEq)]
pub struct Participant {
    /// v3-ParticipationType.
    pub role: &'static str,
    /// Reference to the Practitioner.
    pub individual: Value,
}

/// A visit as its messages leave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    /// Which.
    pub identifier: VisitIdentifier,
    /// Where it stands.
    pub status: Status,
    /// Where it stood.
    pub status_history: Vec<Past<Status>>,
    /// Its class: code of v3-ActCode.
    pub class: Option<&'static str>,
    /// PV1-2 as last sent.
    pub class_local: Option<String>,
    /// Its former classes.
    pub class_history: Vec<Past<&'static str>>,
    /// PV1-44.
    pub start: Option<When>,
    /// PV1-45, or the time of the A03.
    pub end: Option<When>,
    /// PV1-36.
    pub disposition: Option<Disposition>,
    /// Places, in order; the last one is where the patient is.
    pub places: Vec<Past<Place>>,
    /// PV1-4 as sent.
    pub admission_type: Option<String>,
    /// PV1-14 as sent.
    pub admit_source: Option<String>,
    /// PV1-10.
    pub service: Option<Value>,
    /// PV2-3.
    pub reason: Option<Value>,
    /// PV2-8.
    pub planned_start: Option<When>,
    /// PV2-9.
    pub planned_end: Option<When>,
    /// PV1-42: where the patient is to go next.
    pub pending_place: Option<Place>,
    /// PV1-5.
    pub preadmission: Option<Value>,
    /// PV1-18 as sent.
    pub patient_type: Option<String>,
    /// PV1-37 as sent.
    pub destination: Option<String>,
    /// PV1-13.
    pub is_readmission: bool,
    /// PV1-7, 8, 9, 17, 52.
    pub participants: Vec<Participant>,
    /// DG1.
    pub diagnoses: Vec<Diagnosis>,
    /// When the first message about the visit came.
    pub first_notified: DateTime<Utc>,
    /// Who may read of it.
    pub labels: Vec<Label>,
    /// What was odd, as codes for `Encounter.meta.tag`.
    pub flags: Vec<&'static str>,
}

impl Visit {
    /// The patient left it dead: the disposition says so, whether or not PID-30 does.
    pub fn ended_in_death(&self) -> bool {
        let nubc = self
            .disposition
            .as_ref()
            .and_then(|known| known.nubc.as_deref());
        nubc.and_then(disposition::lookup)
            .is_some_and(|row| row.group == Group::Expired)
    }
}

/// Folds the messages of a visit, in any order given. `None` when none of them speaks of a visit.
pub fn fold(identifier: &VisitIdentifier, arrivals: &[Arrival<'_>]) -> Option<Visit> {
    let mut ordered: Vec<&Arrival<'_>> = arrivals.iter().collect();
    ordered.sort_by(|left, right| event_order(left, right));
    let mut fold = Fold::default();
    for arrival in ordered {
        fold.take(arrival);
    }
    fold.finish(identifier, arrivals)
}

/// The order of events; arrival only breaks ties.
pub fn event_order(left: &Arrival<'_>, right: &Arrival<'_>) -> Ordering {
    let key = |arrival: &Arrival<'_>| {
        let sequence = arrival.message.header().field(13).number().unwrap_or(0);
        let occurred = arrival.occurred().instant();
        let rank = arrival.event().map_or(u8::MAX, |event| event.rank);
        (arrival.created(), sequence, occurred, rank, arrival.row)
    };
    key(left).cmp(&key(right))
}
