//! What the fields of a message say of its visit.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON objects are indexed by name: a missing member reads as null and is made when written"
)]

use hl7v2::segment::{Dg1, Pv1, Pv2};
use hl7v2::{Element, Presence};
use serde_json::Value;

use crate::adt::data_type::{code, codeable_concept, identifier, practitioner, text};
use crate::adt::time::When;
use crate::adt::trigger_event::Movement;
use crate::adt::visit::fold::Fold;
use crate::adt::visit::{Diagnosis, Disposition, Participant, Past, Place, Status};
use crate::adt::{Arrival, code_map};
use crate::config::Feed;

impl Fold {
    pub(super) fn fields(
        &mut self,
        arrival: &Arrival<'_>,
        pv1: Pv1<'_>,
        movement: Movement,
        at: &When,
    ) {
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

    pub(super) fn diagnoses(&mut self, arrival: &Arrival<'_>) {
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
pub(super) fn nubc(local: &str, feed: &Feed) -> Option<String> {
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
