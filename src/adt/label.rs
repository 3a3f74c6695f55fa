//! What only few may read: PV1-16, PD1-12 and PV2-22 → `meta.security`.
//!
//! A label stays: that a later message is silent, or says no, makes nothing public. Taking it away
//! is for a person to decide. What a label forbids is the business of access control.

use hl7v2::segment::{Pd1, Pv1, Pv2};
use serde_json::{Map, Value};

use crate::adt::Arrival;
use crate::adt::data_type::text;
use crate::adt::encounter::add_meta;

/// A security label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// PD1-12 or PV2-22 is `Y`.
    Restricted,
    /// PV1-16: a person whom many know.
    Celebrity,
}

impl Label {
    fn coding(self) -> (&'static str, &'static str) {
        match self {
            Self::Restricted => (
                "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
                "R",
            ),
            Self::Celebrity => ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "CEL"),
        }
    }

    /// Puts the label on a resource, once.
    pub fn put_on(self, resource: &mut Map<String, Value>) {
        let (system, code) = self.coding();
        add_meta(resource, "security", system, code);
    }
}

/// Values of PV1-16 (table 0099, defined by each site) by which the patient is nobody special.
const NOT_VIP: &[&str] = &["N", "NO", "0", "F", "U"];

/// The labels that a message asks for on the Patient.
pub fn of_patient(arrival: &Arrival<'_>) -> impl Iterator<Item = Label> {
    let pd1: Option<Pd1<'_>> = arrival.message.view();
    let is_protected = pd1.is_some_and(|pd1| is_yes(pd1.protection_indicator()));
    let restricted = is_protected.then_some(Label::Restricted);
    restricted.into_iter().chain(celebrity(arrival))
}

/// The labels that a message asks for on the Encounter.
pub fn of_visit(arrival: &Arrival<'_>) -> impl Iterator<Item = Label> {
    let pv2: Option<Pv2<'_>> = arrival.message.view();
    let is_protected = pv2.is_some_and(|pv2| is_yes(pv2.visit_protection_indicator()));
    let restricted = is_protected.then_some(Label::Restricted);
    restricted.into_iter().chain(celebrity(arrival))
}

fn celebrity(arrival: &Arrival<'_>) -> Option<Label> {
    let pv1: Option<Pv1<'_>> = arrival.message.view();
    let indicator = text(pv1?.vip_indicator().identifier())?;
    let is_vip = !NOT_VIP.contains(&indicator.to_uppercase().as_str());
    is_vip.then_some(Label::Celebrity)
}

fn is_yes(field: hl7v2::Element<'_>) -> bool {
    text(field).as_deref() == Some("Y")
}
