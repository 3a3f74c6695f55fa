//! Visit → Encounter: <https://hl7.org/fhir/R4/encounter.html>.
//!
//! The projection owns the elements that messages speak of; what others wrote beside them
//! (`episodeOfCare`, narrative, extensions) stays.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON objects are indexed by name: a missing member reads as null and is made when written"
)]

use serde_json::{Map, Value, json};

use crate::adt::BATON;
use crate::adt::code_map;
use crate::adt::data_type::{insert, insert_all};
use crate::adt::time::When;
use crate::adt::visit::{Disposition, Past, Place, Status, Visit};
use crate::config::Feed;
use crate::disposition::{self, FHIR_SYSTEM, NUBC_SYSTEM};

/// Extension: when the first message about the visit reached Baton (evidence for TRC-NIA).
pub const FIRST_NOTIFIED: &str = "http://baton.health/fhir/StructureDefinition/first-notified";
/// Extension: the time zone of the facility. FHIR's own `tz-code` belongs to dates only.
pub const TIME_ZONE: &str = "http://baton.health/fhir/StructureDefinition/time-zone";
/// Extension: the feed by which the visit is known.
pub const FEED: &str = "http://baton.health/fhir/StructureDefinition/adt-feed";
/// Extension: when the visit is to begin (an element of R5).
pub const PLANNED_START: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.plannedStartDate";
/// Extension: when the visit is to end (an element of R5).
pub const PLANNED_END: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.plannedEndDate";

const PATIENT_CLASS: &str = "http://terminology.hl7.org/CodeSystem/v2-0004";
const ADMISSION_TYPE: &str = "http://terminology.hl7.org/CodeSystem/v2-0007";
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// Elements that the projection owns: absent from the visit, they are absent from the Encounter.
const OWNED: &[&str] = &[
    "identifier",
    "status",
    "statusHistory",
    "class",
    "classHistory",
    "type",
    "serviceType",
    "priority",
    "subject",
    "participant",
    "period",
    "reasonCode",
    "diagnosis",
    "hospitalization",
    "location",
    "serviceProvider",
];

/// What an Encounter refers to.
pub struct References<'a> {
    /// Logical id of the Encounter.
    pub id: &'a str,
    /// Logical id of the Patient.
    pub patient_id: &'a str,
    /// The Conditions of its diagnoses: reference, role, rank.
    pub diagnoses: Vec<(String, Option<&'static str>, Option<u64>)>,
}

/// The Encounter of a visit; `existing` is its current version.
pub fn encounter(
    visit: &Visit,
    feed: &Feed,
    references: &References<'_>,
    existing: Option<&Value>,
) -> Value {
    let owned = owned(visit, feed, references);
    let mut encounter = existing
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_else(|| {
            let mut new = Map::new();
            new.insert("resourceType".into(), json!("Encounter"));
            new.insert("id".into(), json!(references.id));
            new
        });
    tag(&mut encounter, &visit.flags);
    for label in &visit.labels {
        label.put_on(&mut encounter);
    }
    extensions(&mut encounter, visit, feed);
    for key in OWNED {
        match owned.get(*key) {
            Some(value) => {
                encounter.insert((*key).to_owned(), value.clone());
            }
            None => {
                encounter.shift_remove(*key);
            }
        }
    }
    Value::Object(encounter)
}

fn owned(visit: &Visit, feed: &Feed, references: &References<'_>) -> Map<String, Value> {
    let mut owned = Map::new();
    owned.insert(
        "identifier".into(),
        json!([{
            "type": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                "code": "VN",
            }] },
            "system": visit.identifier.system,
            "value": visit.identifier.value,
        }]),
    );
    owned.insert("status".into(), json!(visit.status.code()));
    insert_all(
        &mut owned,
        "statusHistory",
        visit.status_history.iter().map(past_status).collect(),
    );
    owned.insert(
        "class".into(),
        class(visit.class, visit.class_local.as_deref()),
    );
    insert_all(
        &mut owned,
        "classHistory",
        visit.class_history.iter().map(past_class).collect(),
    );
    let admission_type = visit.admission_type.as_deref();
    let patient_type = visit.patient_type.as_deref().map(|code| {
        let system = format!("urn:baton:feed:{}:patient-type", feed.name);
        json!({ "coding": [{ "system": system, "code": code }] })
    });
    let types = admission_type.map(|code| admission(code, feed));
    insert_all(
        &mut owned,
        "type",
        types.into_iter().chain(patient_type).collect(),
    );
    insert(&mut owned, "serviceType", visit.service.clone());
    let priority = admission_type
        .and_then(code_map::priority)
        .map(|(code, display)| {
            json!({ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActPriority",
            "code": code,
            "display": display,
        }] })
        });
    insert(&mut owned, "priority", priority);
    owned.insert(
        "subject".into(),
        json!({ "reference": format!("Patient/{}", references.patient_id) }),
    );
    let participants = visit.participants.iter().map(|participant| {
        json!({
            "type": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                "code": participant.role,
            }] }],
            "individual": participant.individual,
        })
    });
    insert_all(&mut owned, "participant", participants.collect());
    insert(
        &mut owned,
        "period",
        period(visit.start.as_ref(), visit.end.as_ref()),
    );
    insert_all(
        &mut owned,
        "reasonCode",
        visit.reason.clone().into_iter().collect(),
    );
    insert_all(
        &mut owned,
        "diagnosis",
        references.diagnoses.iter().map(diagnosis).collect(),
    );
    insert(&mut owned, "hospitalization", hospitalization(visit, feed));
    insert_all(&mut owned, "location", locations(visit, feed));
    owned.insert("serviceProvider".into(), organization(feed));
    owned
}

fn locations(visit: &Visit, feed: &Feed) -> Vec<Value> {
    let last = visit.places.len().saturating_sub(1);
    let places = visit.places.iter().enumerate().map(|(index, place)| {
        let status = match visit.status {
            Status::Planned => "planned",
            Status::Finished => "completed",
            _ if index < last => "completed",
            _ => "active",
        };
        location(place, feed, status)
    });
    let pending = visit.pending_place.iter().map(|place| {
        let place = Past {
            value: place.clone(),
            start: None,
            end: None,
        };
        location(&place, feed, "planned")
    });
    places.chain(pending).collect()
}

fn past_status(past: &Past<Status>) -> Value {
    let period = period(past.start.as_ref(), past.end.as_ref());
    json!({ "status": past.value.code(), "period": period.unwrap_or_else(|| json!({})) })
}

fn past_class(past: &Past<&'static str>) -> Value {
    let period = period(past.start.as_ref(), past.end.as_ref());
    json!({ "class": class(Some(past.value), None), "period": period.unwrap_or_else(|| json!({})) })
}

/// `class` is required; a class that no map knows stays as sent.
fn class(code: Option<&str>, local: Option<&str>) -> Value {
    match (code, local) {
        (Some(code), _) => {
            let mut coding = json!({ "system": ACT_CODE, "code": code });
            if let Some(display) = code_map::class_display(code) {
                coding["display"] = json!(display);
            }
            coding
        }
        (None, Some(local)) => {
            let mut coding = json!({});
            if code_map::has_code(PATIENT_CLASS, local) {
                coding["system"] = json!(PATIENT_CLASS);
            }
            coding["code"] = json!(local);
            coding
        }
        (None, None) => json!({
            "system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
            "code": "UNK",
            "display": "unknown",
        }),
    }
}

fn admission(code: &str, feed: &Feed) -> Value {
    let is_digit = code.bytes().all(|byte| byte.is_ascii_digit());
    let system = if is_digit {
        "https://www.nubc.org/CodeSystem/PriorityTypeOfAdmitOrVisit".to_owned()
    } else if code_map::has_code(ADMISSION_TYPE, code) {
        ADMISSION_TYPE.to_owned()
    } else {
        format!("urn:baton:feed:{}:admission-type", feed.name)
    };
    json!({ "coding": [{ "system": system, "code": code }] })
}

fn hospitalization(visit: &Visit, feed: &Feed) -> Option<Value> {
    let mut hospitalization = Map::new();
    insert(
        &mut hospitalization,
        "preAdmissionIdentifier",
        visit.preadmission.clone(),
    );
    insert(
        &mut hospitalization,
        "admitSource",
        visit.admit_source.as_deref().map(|code| {
            let mut codings = vec![json!({
                "system": "https://www.nubc.org/CodeSystem/PointOfOrigin",
                "code": code,
            })];
            codings.extend(code_map::admit_source(code).map(|code| {
                json!({
                    "system": "http://terminology.hl7.org/CodeSystem/admit-source",
                    "code": code,
                })
            }));
            json!({ "coding": codings })
        }),
    );
    insert(&mut hospitalization, "reAdmission", visit.is_readmission.then(|| {
        json!({ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0092", "code": "R" }] })
    }));
    let destination = visit.destination.as_deref().map(|code| {
        let system = format!("urn:baton:feed:{}:discharged-to-location", feed.name);
        json!({
            "type": "Location",
            "identifier": { "system": system, "value": code },
            "display": code,
        })
    });
    insert(&mut hospitalization, "destination", destination);
    let disposition = visit.disposition.as_ref();
    insert(
        &mut hospitalization,
        "dischargeDisposition",
        disposition.map(|known| discharge(known, feed)),
    );
    (!hospitalization.is_empty()).then_some(Value::Object(hospitalization))
}

fn discharge(known: &Disposition, feed: &Feed) -> Value {
    let row = known.nubc.as_deref().and_then(disposition::lookup);
    let mut codings = Vec::new();
    if let Some(nubc) = &known.nubc {
        let mut coding = json!({ "system": NUBC_SYSTEM, "code": nubc });
        if let Some(row) = row {
            coding["display"] = json!(row.display);
        }
        codings.push(coding);
    }
    if known.nubc.is_none() {
        codings.push(json!({
            "system": format!("urn:baton:feed:{}:discharge-disposition", feed.name),
            "code": known.local,
        }));
    }
    // What the table does not know may be anything; what it knows may be no end.
    if let Some(code) = row.map_or(Some("oth"), |row| row.fhir) {
        codings.push(json!({ "system": FHIR_SYSTEM, "code": code }));
    }
    json!({ "coding": codings, "text": known.local })
}

fn diagnosis((reference, role, rank): &(String, Option<&'static str>, Option<u64>)) -> Value {
    let mut diagnosis = json!({ "condition": { "reference": reference } });
    if let Some(role) = role {
        diagnosis["use"] = json!({ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/diagnosis-role",
            "code": role,
        }] });
    }
    if let Some(rank) = rank {
        diagnosis["rank"] = json!(rank);
    }
    diagnosis
}

fn location(place: &Past<Place>, feed: &Feed, status: &str) -> Value {
    let mut location = json!({
        "location": {
            "type": "Location",
            "identifier": {
                "system": format!("urn:baton:feed:{}:location", feed.name),
                "value": place.value.path,
            },
            "display": place.value.display,
        },
        "status": status,
    });
    if let Some(period) = period(place.start.as_ref(), place.end.as_ref()) {
        location["period"] = period;
    }
    location
}

/// The facility, by name: which resource it is, is known to whoever keeps Organizations.
pub fn organization(feed: &Feed) -> Value {
    json!({
        "type": "Organization",
        "identifier": { "system": format!("{BATON}/id/feed"), "value": feed.name },
        "display": feed.organization.as_deref().unwrap_or(&feed.name),
    })
}

/// A period; where a feed tells an end before its start, the end alone, because clocks run from it.
fn period(start: Option<&When>, end: Option<&When>) -> Option<Value> {
    let is_before_end = |start: &&When| end.is_none_or(|end| start.instant() <= end.instant());
    let start = start.filter(is_before_end);
    let mut period = Map::new();
    insert(&mut period, "start", start.map(|start| json!(start.text())));
    insert(&mut period, "end", end.map(|end| json!(end.text())));
    (!period.is_empty()).then_some(Value::Object(period))
}

fn tag(encounter: &mut Map<String, Value>, flags: &[&'static str]) {
    let system = format!("{BATON}/CodeSystem/visit-flag");
    for flag in flags {
        add_tag(encounter, &system, flag);
    }
}

/// Puts a tag into `meta.tag`, once.
pub fn add_tag(resource: &mut Map<String, Value>, system: &str, code: &str) {
    add_meta(resource, "tag", system, code);
}

/// Puts a coding into `meta.tag` or `meta.security`, once.
pub fn add_meta(resource: &mut Map<String, Value>, key: &str, system: &str, code: &str) {
    if !resource.contains_key("meta") {
        resource.insert("meta".into(), json!({}));
    }
    let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) else {
        return;
    };
    let codings = meta.entry(key).or_insert_with(|| json!([]));
    let Some(codings) = codings.as_array_mut() else {
        return;
    };
    let is_it = |coding: &Value| coding["system"] == system && coding["code"] == code;
    if !codings.iter().any(is_it) {
        codings.push(json!({ "system": system, "code": code }));
    }
}

fn extensions(encounter: &mut Map<String, Value>, visit: &Visit, feed: &Feed) {
    let notified = When::from_instant(visit.first_notified, feed.zone);
    set_extension(
        encounter,
        FIRST_NOTIFIED,
        "valueDateTime",
        json!(notified.text()),
    );
    set_extension(encounter, TIME_ZONE, "valueCode", json!(feed.zone.name()));
    set_extension(encounter, FEED, "valueString", json!(feed.name));
    let planned = [
        (PLANNED_START, &visit.planned_start),
        (PLANNED_END, &visit.planned_end),
    ];
    for (url, when) in planned {
        match when {
            Some(when) => set_extension(encounter, url, "valueDateTime", json!(when.text())),
            None => remove_extension(encounter, url),
        }
    }
}

fn remove_extension(resource: &mut Map<String, Value>, url: &str) {
    if let Some(extensions) = resource.get_mut("extension").and_then(Value::as_array_mut) {
        extensions.retain(|extension| extension["url"] != url);
    }
}

fn set_extension(resource: &mut Map<String, Value>, url: &str, key: &str, value: Value) {
    let extensions = resource.entry("extension").or_insert_with(|| json!([]));
    let Some(extensions) = extensions.as_array_mut() else {
        return;
    };
    if let Some(known) = extensions
        .iter_mut()
        .find(|extension| extension["url"] == url)
    {
        known[key] = value;
        return;
    }
    let mut extension = json!({ "url": url });
    extension[key] = value;
    extensions.push(extension);
}
