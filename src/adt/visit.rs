//! The visit as a projection of its messages.
//!
//! All accepted messages of a visit are folded in event order (MSH-7, MSH-13, EVN-2, rank of the
//! event, arrival), so late, repeated and corrected messages all give the same visit. A field that
//! is empty says nothing, `""` deletes; where a feed sends snapshots, empty means none.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON objects are indexed by name: a missing member reads as null and is made when written"
)]

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use hl7v2::segment::data_type::Pl;
use hl7v2::segment::{Dg1, Evn, Pv1, Pv2};
use hl7v2::{Element, Presence};
use serde_json::Value;

use crate::adt::data_type::{code, codeable_concept, identifier, practitioner, text};
use crate::adt::label::{self, Label};
use crate::adt::time::When;
use crate::adt::trigger_event::Movement;
use crate::adt::{Arrival, VisitIdentifier, code_map};
use crate::config::Feed;
use crate::disposition::{self, Group};

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

#[derive(Default)]
struct Fold {
    status: Option<Status>,
    status_since: Option<When>,
    status_history: Vec<Past<Status>>,
    class: Option<&'static str>,
    class_local: Option<String>,
    class_since: Option<When>,
    class_history: Vec<Past<&'static str>>,
    start: Option<When>,
    end: Option<When>,
    /// An A03 told the end, and no A13 took it back.
    is_discharged: bool,
    disposition: Option<Disposition>,
    places: Vec<Past<Place>>,
    admission_type: Option<String>,
    admit_source: Option<String>,
    service: Option<Value>,
    reason: Option<Value>,
    planned_start: Option<When>,
    planned_end: Option<When>,
    pending_place: Option<Place>,
    preadmission: Option<Value>,
    patient_type: Option<String>,
    destination: Option<String>,
    is_readmission: bool,
    participants: Vec<Participant>,
    diagnoses: Vec<Diagnosis>,
    labels: Vec<Label>,
    flags: Vec<&'static str>,
}

impl Fold {
    fn take(&mut self, arrival: &Arrival<'_>) {
        let Some(event) = arrival.event() else { return };
        let at = self.event_time(arrival, event.movement);
        if self.status == Some(Status::Cancelled) && !event.movement.begins() {
            // Nothing but a new beginning revives a visit that was taken back.
            return;
        }
        if let Some(pv1) = arrival.pv1() {
            self.fields(arrival, pv1, event.movement, &at);
        }
        self.movement(arrival, event.movement, &at);
        self.diagnoses(arrival);
        for label in label::of_visit(arrival) {
            if !self.labels.contains(&label) {
                self.labels.push(label);
            }
        }
    }

    /// When what the message tells happened.
    fn event_time(&mut self, arrival: &Arrival<'_>, movement: Movement) -> When {
        let pv1 = arrival.pv1();
        let stated = match movement {
            Movement::Admit | Movement::Register => pv1.map(|pv1| pv1.admit_date_time()),
            Movement::Discharge => pv1.map(|pv1| pv1.discharge_date_time()),
            _ => None,
        };
        let stated = stated.and_then(|field| self.believed(field, arrival));
        let occurred = self.event_occurred(arrival);
        occurred.or(stated).unwrap_or_else(|| arrival.occurred())
    }

    /// EVN-6.
    fn event_occurred(&mut self, arrival: &Arrival<'_>) -> Option<When> {
        let event: Option<Evn<'_>> = arrival.message.view();
        self.believed(event?.event_occurred(), arrival)
    }

    /// A time, unless it cannot be true; what is odd about it is noted.
    fn believed(&mut self, field: Element<'_>, arrival: &Arrival<'_>) -> Option<When> {
        let when = When::read(field, arrival)?;
        if let Some(flag) = when.flag() {
            self.flag(flag.code());
        }
        if !when.is_plausible(arrival.received) {
            self.flag("implausible-time");
            return None;
        }
        Some(when)
    }

    fn flag(&mut self, flag: &'static str) {
        if !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }

    fn fields(&mut self, arrival: &Arrival<'_>, pv1: Pv1<'_>, movement: Movement, at: &When) {
        let feed = arrival.feed;
        let begins = matches!(movement, Movement::Admit | Movement::Register);
        if let Some(start) = self.believed(pv1.admit_date_time(), arrival) {
            self.start = Some(start);
        } else if begins && self.start.is_none() {
            self.start = self.event_occurred(arrival);
        }
        self.class(pv1, feed, at);
        set(
            &mut self.admission_type,
            pv1.admission_type().element(),
            feed,
            code,
        );
        set(
            &mut self.admit_source,
            pv1.admit_source().element(),
            feed,
            code,
        );
        set(
            &mut self.service,
            pv1.hospital_service().element(),
            feed,
            |_| codeable_concept(pv1.hospital_service(), feed, "service"),
        );
        self.is_readmission |=
            text(pv1.readmission_indicator().identifier()).as_deref() == Some("R");
        self.participants(pv1, feed);
        self.prospects(arrival, pv1);
        if let Some(pv2) = arrival.message.view::<Pv2<'_>>() {
            set(&mut self.reason, pv2.admit_reason().element(), feed, |_| {
                codeable_concept(pv2.admit_reason(), feed, "admit-reason")
            });
        }
        self.place(pv1, movement, at);
        if !matches!(movement, Movement::CancelDischarge) {
            self.ending(arrival, pv1, at);
        }
    }

    /// Where the patient comes from and goes to, and when: as planned.
    fn prospects(&mut self, arrival: &Arrival<'_>, pv1: Pv1<'_>) {
        let feed = arrival.feed;
        let field = pv1.preadmit_number().element();
        set(&mut self.preadmission, field, feed, |_| {
            identifier(pv1.preadmit_number(), feed).map(|found| found.to_fhir())
        });
        let field = pv1.patient_type().element();
        set(&mut self.patient_type, field, feed, code);
        let field = pv1.discharged_to_location().element();
        set(&mut self.destination, field, feed, text);
        let field = pv1.pending_location().element();
        set(&mut self.pending_place, field, feed, |_| {
            Place::read(pv1.pending_location())
        });
        let Some(pv2) = arrival.message.view::<Pv2<'_>>() else {
            return;
        };
        let field = pv2.expected_admit_date_time();
        set(&mut self.planned_start, field, feed, |field| {
            When::read(field, arrival)
        });
        let field = pv2.expected_discharge_date_time();
        set(&mut self.planned_end, field, feed, |field| {
            When::read(field, arrival)
        });
    }

    fn class(&mut self, pv1: Pv1<'_>, feed: &Feed, at: &When) {
        let Some(local) = code(pv1.patient_class().identifier()) else {
            return;
        };
        let class = feed
            .classes
            .get(&local)
            .and_then(|code| code_map::class_display(code).and(known_class(code)))
            .or_else(|| code_map::encounter_class(&local).map(|(code, _)| code));
        self.class_local = Some(local);
        let Some(class) = class else {
            self.flag("unmapped-class");
            return;
        };
        if let Some(before) = self.class
            && before != class
        {
            self.class_history.push(Past {
                value: before,
                start: self.class_since.take().or_else(|| self.start.clone()),
                end: Some(at.clone()),
            });
        }
        if self.class != Some(class) {
            let first = self.class.is_none();
            self.class_since = if first {
                self.start.clone().or_else(|| Some(at.clone()))
            } else {
                Some(at.clone())
            };
        }
        self.class = Some(class);
    }

    fn participants(&mut self, pv1: Pv1<'_>, feed: &Feed) {
        let mut put = |role, field: Element<'_>, people: Vec<Value>| match field.presence() {
            Presence::Valued => {
                self.participants
                    .retain(|participant| participant.role != role);
                let people = people.into_iter();
                self.participants
                    .extend(people.map(|individual| Participant { role, individual }));
            }
            Presence::Null => self
                .participants
                .retain(|participant| participant.role != role),
            Presence::Absent | Presence::Empty if feed.snapshot => {
                self.participants
                    .retain(|participant| participant.role != role);
            }
            Presence::Absent | Presence::Empty => {}
        };
        let fields = pv1_segment(pv1);
        let person = |xcn| practitioner(xcn, feed);
        put(
            "ATND",
            fields.field(7),
            pv1.attending_doctors().filter_map(person).collect(),
        );
        put(
            "REF",
            fields.field(8),
            pv1.referring_doctors().filter_map(person).collect(),
        );
        put(
            "CON",
            fields.field(9),
            pv1.consulting_doctors().filter_map(person).collect(),
        );
        put(
            "ADM",
            fields.field(17),
            pv1.admitting_doctors().filter_map(person).collect(),
        );
        put(
            "PART",
            fields.field(52),
            pv1.other_healthcare_providers()
                .filter_map(person)
                .collect(),
        );
    }

    fn place(&mut self, pv1: Pv1<'_>, movement: Movement, at: &When) {
        let Some(place) = Place::read(pv1.assigned_location()) else {
            return;
        };
        if self.status == Some(Status::Finished)
            && movement != Movement::CancelDischarge
            && !self.places.is_empty()
            && self
                .end
                .as_ref()
                .is_none_or(|end| end.instant() <= at.instant())
        {
            // Nobody moves after the end.
            return;
        }
        let prior = Place::read(pv1.prior_location());
        if self.places.is_empty()
            && matches!(movement, Movement::Transfer | Movement::ChangeClass)
            && let Some(prior) = prior.filter(|prior| *prior != place)
        {
            let start = self.start.clone();
            self.places.push(Past {
                value: prior,
                start,
                end: None,
            });
        }
        match self.places.last_mut() {
            Some(current) if current.value == place => current.end = None,
            Some(current) => {
                current.end.get_or_insert_with(|| at.clone());
                self.places.push(Past {
                    value: place,
                    start: Some(at.clone()),
                    end: None,
                });
            }
            None => {
                let start = self.start.clone().or_else(|| Some(at.clone()));
                self.places.push(Past {
                    value: place,
                    start,
                    end: None,
                });
            }
        }
    }

    /// PV1-45 in any message means that the visit has ended; PV1-36 says how. An end that is deleted
    /// is none, unless an A03 told it.
    fn ending(&mut self, arrival: &Arrival<'_>, pv1: Pv1<'_>, at: &When) {
        let feed = arrival.feed;
        let field = pv1.discharge_disposition();
        set(&mut self.disposition, field.element(), feed, |_| {
            let local = code(field.identifier())?;
            let nubc = nubc(&local, feed);
            Some(Disposition { local, nubc })
        });
        let field = pv1.discharge_date_time();
        if let Some(end) = self.believed(field, arrival) {
            self.end = Some(end);
        } else if !self.is_discharged && (field.is_null() || (feed.snapshot && !field.is_valued()))
        {
            self.end = None;
            if self.status == Some(Status::Finished) {
                self.move_to(Status::InProgress, at);
            }
        }
    }

    fn movement(&mut self, arrival: &Arrival<'_>, movement: Movement, at: &When) {
        let ended = self.status == Some(Status::Finished);
        match movement {
            Movement::Preadmit if matches!(self.status, None | Some(Status::Cancelled)) => {
                self.move_to(Status::Planned, at);
            }
            Movement::CancelAdmit | Movement::CancelPreadmit => {
                self.forget_end();
                self.move_to(Status::Cancelled, at);
            }
            Movement::CancelDischarge => {
                self.forget_end();
                self.move_to(Status::InProgress, at);
            }
            Movement::LeaveOfAbsence if !ended => self.move_to(Status::OnLeave, at),
            Movement::ReturnFromLeave if !ended => self.move_to(Status::InProgress, at),
            Movement::Discharge => {
                self.is_discharged = true;
                if self.end.is_none() {
                    self.end = Some(at.clone());
                }
                self.finish_visit();
            }
            Movement::Person if self.status.is_some() && self.end.is_some() => self.finish_visit(),
            Movement::Person
            | Movement::Preadmit
            | Movement::LeaveOfAbsence
            | Movement::ReturnFromLeave => {}
            Movement::Admit
            | Movement::Register
            | Movement::ChangeClass
            | Movement::Transfer
            | Movement::CancelTransfer
            | Movement::Update => {
                let has_visit = arrival.pv1().is_some();
                let may_begin = movement.begins() || self.status.is_none();
                if self.end.is_some() && has_visit {
                    self.finish_visit();
                } else if !ended && may_begin && has_visit {
                    let since = self.start.clone().filter(|_| self.status.is_none());
                    self.move_to(Status::InProgress, &since.unwrap_or_else(|| at.clone()));
                }
            }
        }
    }

    fn forget_end(&mut self) {
        self.is_discharged = false;
        self.end = None;
        self.disposition = None;
        self.destination = None;
    }

    /// The visit has ended; a corrected end moves the end of what went before.
    fn finish_visit(&mut self) {
        let Some(end) = self.end.clone() else { return };
        if self.status == Some(Status::Finished) {
            if let Some(before) = self.status_history.last_mut() {
                before.end = Some(end.clone());
            }
            self.status_since = Some(end);
            return;
        }
        if self.status.is_none() {
            self.status = Some(Status::InProgress);
            self.status_since.clone_from(&self.start);
        }
        self.move_to(Status::Finished, &end);
    }

    fn move_to(&mut self, status: Status, at: &When) {
        if self.status == Some(status) {
            return;
        }
        if let Some(before) = self.status {
            let start = self.status_since.take().or_else(|| self.start.clone());
            self.status_history.push(Past {
                value: before,
                start,
                end: Some(at.clone()),
            });
        }
        self.status = Some(status);
        self.status_since = Some(at.clone());
    }

    fn diagnoses(&mut self, arrival: &Arrival<'_>) {
        for dg1 in arrival.message.views::<Dg1<'_>>() {
            let Some(diagnosis) = diagnosis(dg1, arrival) else {
                continue;
            };
            let same =
                |known: &Diagnosis| known.key == diagnosis.key && known.kind == diagnosis.kind;
            match self.diagnoses.iter_mut().find(|known| same(known)) {
                Some(known) => *known = diagnosis,
                None => self.diagnoses.push(diagnosis),
            }
        }
    }

    fn finish(mut self, identifier: &VisitIdentifier, arrivals: &[Arrival<'_>]) -> Option<Visit> {
        let status = self.status?;
        let first_notified = arrivals.iter().map(|arrival| arrival.received).min()?;
        if status == Status::Finished
            && let Some(last) = self.places.last_mut()
        {
            last.end.clone_from(&self.end);
        }
        let last = self.places.last();
        let is_there = last.map(|last| &last.value) == self.pending_place.as_ref();
        if is_there || status == Status::Finished {
            self.pending_place = None;
        }
        if is_after(self.start.as_ref(), self.end.as_ref()) {
            self.start = None;
            self.flag("end-before-start");
        }
        let planned = self
            .status_history
            .first()
            .is_some_and(|first| first.value == Status::Planned);
        settle(
            &mut self.status_history,
            self.start.as_ref().filter(|_| !planned),
        );
        settle(
            &mut self.class_history,
            self.start.as_ref().filter(|_| !planned),
        );
        settle(&mut self.places, self.start.as_ref().filter(|_| !planned));
        Some(Visit {
            identifier: identifier.clone(),
            status,
            status_history: self.status_history,
            class: self.class,
            class_local: self.class_local,
            class_history: self.class_history,
            start: self.start,
            end: self.end.filter(|_| status == Status::Finished),
            disposition: self.disposition.filter(|_| status == Status::Finished),
            places: self.places,
            admission_type: self.admission_type,
            admit_source: self.admit_source,
            service: self.service,
            reason: self.reason,
            planned_start: self.planned_start,
            planned_end: self.planned_end,
            pending_place: self.pending_place,
            preadmission: self.preadmission,
            patient_type: self.patient_type,
            destination: self.destination,
            is_readmission: self.is_readmission,
            participants: self.participants,
            diagnoses: self.diagnoses,
            first_notified,
            labels: self.labels,
            flags: self.flags,
        })
    }
}

impl Movement {
    /// Whether it begins a visit, also one that was taken back.
    fn begins(self) -> bool {
        matches!(
            self,
            Self::Preadmit | Self::Admit | Self::Register | Self::ChangeClass
        )
    }
}

/// Makes times agree: the first state holds since the visit began, and none ends before it begins.
fn settle<T>(states: &mut [Past<T>], start: Option<&When>) {
    if let (Some(first), Some(start)) = (states.first_mut(), start) {
        first.start = Some(start.clone());
    }
    for state in states {
        if is_after(state.start.as_ref(), state.end.as_ref()) {
            state.start.clone_from(&state.end);
        }
    }
}

fn is_after(start: Option<&When>, end: Option<&When>) -> bool {
    matches!((start, end), (Some(start), Some(end)) if start.instant() > end.instant())
}

/// Takes a field by the presence rule of HL7: empty keeps, `""` deletes.
fn set<T>(
    slot: &mut Option<T>,
    field: Element<'_>,
    feed: &Feed,
    read: impl FnOnce(Element<'_>) -> Option<T>,
) {
    match field.presence() {
        Presence::Valued => *slot = read(field).or_else(|| slot.take()),
        Presence::Null => *slot = None,
        Presence::Absent | Presence::Empty if feed.snapshot => *slot = None,
        Presence::Absent | Presence::Empty => {}
    }
}

fn pv1_segment(pv1: Pv1<'_>) -> hl7v2::Segment<'_> {
    hl7v2::segment::SegmentView::segment(&pv1)
}

/// A class of v3-ActCode as a static text.
fn known_class(code: &str) -> Option<&'static str> {
    const CLASSES: &[&str] = &[
        "AMB", "EMER", "FLD", "HH", "IMP", "ACUTE", "NONAC", "OBSENC", "PRENC", "SS", "VR",
    ];
    CLASSES.iter().find(|class| **class == code).copied()
}

/// The two-digit NUBC code of a disposition: by the feed's map, else if it is a number itself.
fn nubc(local: &str, feed: &Feed) -> Option<String> {
    if let Some(code) = feed.dispositions.get(local) {
        return Some(code.clone());
    }
    let is_number = matches!(local.len(), 1 | 2) && local.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("{local:0>2}"))
}

fn diagnosis(dg1: Dg1<'_>, arrival: &Arrival<'_>) -> Option<Diagnosis> {
    let coding_method = text(dg1.coding_method()).and_then(|name| code_map::code_system(&name));
    let mut code = codeable_concept(dg1.diagnosis(), arrival.feed, "diagnosis").unwrap_or_default();
    // Before v2.3 the coding system stood in DG1-2.
    let has_system = text(dg1.diagnosis().coding_system()).is_some();
    if let (false, Some(system), Some(coding)) =
        (has_system, coding_method, code.pointer_mut("/coding/0"))
    {
        coding["system"] = Value::from(system);
    }
    if let Some(words) = text(dg1.description())
        && code.get("text").is_none()
    {
        code["text"] = Value::from(words);
    }
    let part = |pointer: &str| code.pointer(pointer).and_then(Value::as_str);
    let key = match (part("/coding/0/system"), part("/coding/0/code")) {
        (Some(system), Some(code)) => format!("{system}|{code}"),
        _ => part("/text")?.to_owned(),
    };
    Some(Diagnosis {
        key,
        kind: text(dg1.diagnosis_type().identifier()).unwrap_or_default(),
        rank: dg1.priority().number().filter(|rank| *rank > 0),
        recorded: When::read(dg1.date_time(), arrival),
        is_deleted: text(dg1.action_code()).as_deref() == Some("D"),
        code,
    })
}
