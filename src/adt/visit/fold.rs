//! What trigger events do to a visit: its status, its class and its places over time.

use hl7v2::Element;
use hl7v2::segment::{Evn, Pv1};
use serde_json::Value;

use crate::adt::label::{self, Label};
use crate::adt::time::When;
use crate::adt::trigger_event::Movement;
use crate::adt::visit::{Diagnosis, Disposition, Participant, Past, Place, Status, Visit};
use crate::adt::{Arrival, VisitIdentifier};

#[derive(Default)]
pub(super) struct Fold {
    pub(super) status: Option<Status>,
    pub(super) status_since: Option<When>,
    pub(super) status_history: Vec<Past<Status>>,
    pub(super) class: Option<&'static str>,
    pub(super) class_local: Option<String>,
    pub(super) class_since: Option<When>,
    pub(super) class_history: Vec<Past<&'static str>>,
    pub(super) start: Option<When>,
    pub(super) end: Option<When>,
    /// An A03 told the end, and no A13 took it back.
    pub(super) is_discharged: bool,
    pub(super) disposition: Option<Disposition>,
    pub(super) places: Vec<Past<Place>>,
    pub(super) admission_type: Option<String>,
    pub(super) admit_source: Option<String>,
    pub(super) service: Option<Value>,
    pub(super) reason: Option<Value>,
    pub(super) planned_start: Option<When>,
    pub(super) planned_end: Option<When>,
    pub(super) pending_place: Option<Place>,
    pub(super) preadmission: Option<Value>,
    pub(super) patient_type: Option<String>,
    pub(super) destination: Option<String>,
    pub(super) is_readmission: bool,
    pub(super) participants: Vec<Participant>,
    pub(super) diagnoses: Vec<Diagnosis>,
    pub(super) labels: Vec<Label>,
    pub(super) flags: Vec<&'static str>,
}

impl Fold {
    pub(super) fn take(&mut self, arrival: &Arrival<'_>) {
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
    pub(super) fn event_time(&mut self, arrival: &Arrival<'_>, movement: Movement) -> When {
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
    pub(super) fn event_occurred(&mut self, arrival: &Arrival<'_>) -> Option<When> {
        let event: Option<Evn<'_>> = arrival.message.view();
        self.believed(event?.event_occurred(), arrival)
    }

    /// A time, unless it cannot be true; what is odd about it is noted.
    pub(super) fn believed(&mut self, field: Element<'_>, arrival: &Arrival<'_>) -> Option<When> {
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

    pub(super) fn flag(&mut self, flag: &'static str) {
        if !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }

    pub(super) fn place(&mut self, pv1: Pv1<'_>, movement: Movement, at: &When) {
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
    pub(super) fn finish_visit(&mut self) {
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

    pub(super) fn move_to(&mut self, status: Status, at: &When) {
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

    pub(super) fn finish(
        mut self,
        identifier: &VisitIdentifier,
        arrivals: &[Arrival<'_>],
    ) -> Option<Visit> {
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
