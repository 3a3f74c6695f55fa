//! PID, PD1, NK1 → Patient: <https://hl7.org/fhir/R4/patient.html>.
//!
//! A Patient may be known from elsewhere (a panel, another feed): identifiers and contact points are
//! added, names and addresses replace those of the same use, and nothing that a message is silent
//! about is taken away. A message that is older than others of its visit only fills gaps.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON objects are indexed by name: a missing member reads as null and is made when written"
)]

use hl7v2::Element;
use hl7v2::segment::{Nk1, Pd1, Pid, Pv1};
use serde_json::{Map, Value, json};

use crate::adt::data_type::{
    Identifier, address, codeable_concept, contact_point, date, human_name, practitioner, text,
};
use crate::adt::time::When;
use crate::adt::{Arrival, code_map, label, related_person, us_core};

/// The Patient as a message leaves it; `existing` is its current version. Whoever left a visit dead
/// is dead, also where PID-29 and PID-30 are empty.
pub fn patient(
    arrival: &Arrival<'_>,
    identifiers: &[Identifier],
    id: &str,
    existing: Option<&Value>,
    is_newest: bool,
    died_in_visit: bool,
) -> Value {
    let mut patient = existing
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_else(|| {
            let mut new = Map::new();
            new.insert("resourceType".into(), json!("Patient"));
            new.insert("id".into(), json!(id));
            new.insert("active".into(), json!(true));
            new
        });
    add_identifiers(&mut patient, identifiers);
    if let Some(pid) = arrival.message.view::<Pid<'_>>() {
        Update {
            patient: &mut patient,
            arrival,
            is_newest,
        }
        .pid(pid);
    }
    if died_in_visit && !patient.contains_key("deceasedDateTime") {
        patient.insert("deceasedBoolean".into(), json!(true));
    }
    Value::Object(patient)
}

fn add_identifiers(patient: &mut Map<String, Value>, identifiers: &[Identifier]) {
    if identifiers.is_empty() {
        return;
    }
    let known = patient.entry("identifier").or_insert_with(|| json!([]));
    let Some(known) = known.as_array_mut() else {
        return;
    };
    for identifier in identifiers {
        let same = |known: &Value| {
            known["system"] == identifier.system && known["value"] == identifier.value
        };
        if !known.iter().any(same) {
            known.push(identifier.to_fhir());
        }
    }
}

struct Update<'a> {
    patient: &'a mut Map<String, Value>,
    arrival: &'a Arrival<'a>,
    is_newest: bool,
}

impl Update<'_> {
    fn pid(&mut self, pid: Pid<'_>) {
        let names = pid
            .names()
            .chain(pid.aliases())
            .filter_map(human_name)
            .collect();
        self.merge("name", names, |left, right| left["use"] == right["use"]);
        let home = pid
            .home_phones()
            .filter_map(|xtn| contact_point(xtn, "home"));
        let work = pid
            .business_phones()
            .filter_map(|xtn| contact_point(xtn, "work"));
        let other = pid
            .telecommunication()
            .filter_map(|xtn| contact_point(xtn, "home"));
        let telecom = home.chain(work).chain(other).collect();
        self.merge("telecom", telecom, |left, right| {
            left["value"] == right["value"]
        });
        let sex = pid.administrative_sex().identifier();
        self.set(
            "gender",
            sex,
            text(sex)
                .and_then(|code| code_map::gender(&code))
                .map(Value::from),
        );
        self.set(
            "birthDate",
            pid.birth_date_time(),
            date(pid.birth_date_time()).map(Value::from),
        );
        self.deceased(pid);
        let addresses = pid.addresses().filter_map(address).collect();
        self.merge("address", addresses, |left, right| {
            left["use"] == right["use"]
        });
        let marital = text(pid.marital_status().identifier());
        let marital = marital.and_then(|code| code_map::marital_status(&code));
        self.set(
            "maritalStatus",
            pid.marital_status().element(),
            marital.map(|(system, code)| json!({ "coding": [{ "system": system, "code": code }] })),
        );
        self.multiple_birth(pid);
        self.language(pid);
        let fields = hl7v2::segment::SegmentView::segment(&pid);
        self.extension(us_core::RACE, fields.field(10), us_core::race(pid.races()));
        let ethnicity = us_core::ethnicity(pid.ethnic_groups());
        self.extension(us_core::ETHNICITY, fields.field(22), ethnicity);
        self.general_practitioner();
        for label in label::of_patient(self.arrival) {
            label.put_on(self.patient);
        }
        self.contacts();
    }

    /// Takes a single value by the presence rule: empty keeps, `""` deletes.
    fn set(&mut self, key: &str, field: Element<'_>, value: Option<Value>) {
        let known = self.patient.contains_key(key);
        if known && !self.is_newest {
            return;
        }
        match value {
            Some(value) => {
                self.patient.insert(key.to_owned(), value);
            }
            None if self.is_none(field) => {
                self.patient.shift_remove(key);
            }
            None => {}
        }
    }

    /// Takes an extension by the presence rule.
    fn extension(&mut self, url: &str, field: Element<'_>, value: Option<Value>) {
        let known = self.patient.get("extension").and_then(Value::as_array);
        let mut extensions = known.cloned().unwrap_or_default();
        let index = extensions.iter().position(|known| known["url"] == url);
        match (index, value) {
            (None, Some(value)) => extensions.push(value),
            (Some(_), _) if !self.is_newest => return,
            (Some(index), Some(value)) => extensions[index] = value,
            (Some(index), None) if self.is_none(field) => {
                extensions.remove(index);
            }
            (_, None) => return,
        }
        self.put_list("extension", extensions);
    }

    /// PD1-4 takes the place of what a feed told before; references to resources stay.
    fn general_practitioner(&mut self) {
        const KEY: &str = "generalPractitioner";
        let Some(pd1) = self.arrival.message.view::<Pd1<'_>>() else {
            return;
        };
        let feed = self.arrival.feed;
        let told = pd1.primary_care_providers();
        let told: Vec<Value> = told.filter_map(|xcn| practitioner(xcn, feed)).collect();
        let field = hl7v2::segment::SegmentView::segment(&pd1).field(4);
        if told.is_empty() && !self.is_none(field) {
            return;
        }
        let known = self.patient.get(KEY).and_then(Value::as_array).cloned();
        let (kept, former): (Vec<Value>, Vec<Value>) = known
            .unwrap_or_default()
            .into_iter()
            .partition(|known| known.get("reference").is_some());
        if !former.is_empty() && !self.is_newest {
            return;
        }
        self.put_list(KEY, kept.into_iter().chain(told).collect());
    }

    /// The field says that there is no value.
    fn is_none(&self, field: Element<'_>) -> bool {
        field.is_null() || (self.arrival.feed.snapshot && !field.is_valued())
    }

    fn put_list(&mut self, key: &str, values: Vec<Value>) {
        if values.is_empty() {
            self.patient.shift_remove(key);
        } else {
            self.patient.insert(key.to_owned(), Value::Array(values));
        }
    }

    /// Puts values into a list: each replaces the one it is `like`, or is added.
    fn merge(&mut self, key: &str, values: Vec<Value>, like: impl Fn(&Value, &Value) -> bool) {
        if values.is_empty() {
            return;
        }
        let known = self.patient.entry(key).or_insert_with(|| json!([]));
        let Some(known) = known.as_array_mut() else {
            return;
        };
        for value in values {
            match known.iter_mut().find(|known| like(known, &value)) {
                Some(known) if self.is_newest => *known = value,
                Some(_) => {}
                None => known.push(value),
            }
        }
    }

    /// Death is sticky: a later message that is silent, or says no, does not revive.
    fn deceased(&mut self, pid: Pid<'_>) {
        let died = When::read(pid.death_date_time(), self.arrival)
            .filter(|died| died.is_plausible(self.arrival.received));
        if let Some(died) = died {
            self.patient.shift_remove("deceasedBoolean");
            self.patient
                .insert("deceasedDateTime".into(), json!(died.text()));
            return;
        }
        let is_dead = text(pid.death_indicator()).as_deref() == Some("Y");
        if is_dead && !self.patient.contains_key("deceasedDateTime") {
            self.patient.insert("deceasedBoolean".into(), json!(true));
        }
    }

    fn multiple_birth(&mut self, pid: Pid<'_>) {
        let order = pid.birth_order().number().filter(|order| *order > 0);
        let indicator = text(pid.multiple_birth_indicator());
        match (order, indicator.as_deref()) {
            (Some(order), _) => {
                self.patient.shift_remove("multipleBirthBoolean");
                self.patient
                    .insert("multipleBirthInteger".into(), json!(order));
            }
            (None, Some(indicator @ ("Y" | "N")))
                if !self.patient.contains_key("multipleBirthInteger") =>
            {
                self.patient
                    .insert("multipleBirthBoolean".into(), json!(indicator == "Y"));
            }
            _ => {}
        }
    }

    fn language(&mut self, pid: Pid<'_>) {
        let field = pid.primary_language();
        let Some(mut language) = codeable_concept(field, self.arrival.feed, "language") else {
            return;
        };
        say_language(&mut language);
        if self.patient.contains_key("communication") && !self.is_newest {
            return;
        }
        self.patient.insert(
            "communication".into(),
            json!([{ "language": language, "preferred": true }]),
        );
        if needs_interpreter(self.arrival) {
            self.interpreter_required();
        }
    }

    fn interpreter_required(&mut self) {
        let url = "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired";
        let extensions = self.patient.entry("extension").or_insert_with(|| json!([]));
        let Some(extensions) = extensions.as_array_mut() else {
            return;
        };
        if !extensions.iter().any(|extension| extension["url"] == url) {
            extensions.push(json!({ "url": url, "valueBoolean": true }));
        }
    }

    /// Next of kin as `Patient.contact`, beside their RelatedPerson.
    fn contacts(&mut self) {
        let contacts: Vec<Value> = self
            .arrival
            .message
            .views::<Nk1<'_>>()
            .filter(|nk1| related_person::is_person(*nk1))
            .filter_map(contact)
            .collect();
        self.merge("contact", contacts, |left, right| {
            left["name"] == right["name"]
        });
    }
}

fn contact(nk1: Nk1<'_>) -> Option<Value> {
    let mut contact = json!({});
    if let Some(relationship) =
        text(nk1.contact_role().identifier()).and_then(|code| code_map::contact_role(&code))
    {
        contact["relationship"] = json!([{ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v2-0131",
            "code": relationship,
        }] }]);
    }
    contact["name"] = nk1.names().find_map(human_name)?;
    let telecom: Vec<Value> = related_person::telecom(nk1);
    if !telecom.is_empty() {
        contact["telecom"] = json!(telecom);
    }
    if let Some(address) = nk1.addresses().find_map(address) {
        contact["address"] = address;
    }
    Some(contact)
}

/// PV1-15 has `A8`, table 0009.
fn needs_interpreter(arrival: &Arrival<'_>) -> bool {
    let pv1: Option<Pv1<'_>> = arrival.message.view();
    pv1.into_iter()
        .flat_map(|pv1| pv1.ambulatory_statuses())
        .any(|status| text(status.identifier()).as_deref() == Some("A8"))
}

/// A language is coded in BCP 47; what is not of it is words.
fn say_language(language: &mut Value) {
    let sent = language["coding"].as_array().cloned().unwrap_or_default();
    let codes = sent.iter().filter_map(|coding| coding["code"].as_str());
    let found = codes.clone().find_map(code_map::language);
    let words = codes.map(str::to_owned).next();
    if let Some(members) = language.as_object_mut() {
        match found {
            Some(code) => {
                let coding = json!([{ "system": code_map::LANGUAGES, "code": code }]);
                members.insert("coding".into(), coding);
            }
            None => {
                members.shift_remove("coding");
                if let Some(words) = words {
                    members.entry("text").or_insert_with(|| json!(words));
                }
            }
        }
    }
}
