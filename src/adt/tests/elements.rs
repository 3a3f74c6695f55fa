//! Elements of the Encounter, one field after another.

use serde_json::{Value, json};

use crate::adt::Arrival;
use crate::adt::encounter::{References, encounter};
use crate::adt::tests::{feed, message, received};
use crate::adt::visit::fold;

#[track_caller]
fn encounter_of(lines: &[&str], existing: Option<&Value>) -> Value {
    let feed = feed();
    let messages: Vec<_> = lines.iter().map(|line| message(line)).collect();
    let arrivals: Vec<Arrival<'_>> = messages
        .iter()
        .zip(1..)
        .map(|(message, row)| Arrival {
            message,
            feed: &feed,
            row,
            received: received(),
        })
        .collect();
    let identifier = arrivals[0].visit_identifier().unwrap();
    let visit = fold(&identifier, &arrivals).unwrap();
    let references = References {
        id: "e",
        patient_id: "p",
        diagnoses: Vec::new(),
    };
    encounter(&visit, &feed, &references, existing)
}

const ADMIT: &str = "A01 20260803120000 PV1-2 I, PV1-3 4N";

#[test]
fn fields_become_elements() {
    #[track_caller]
    fn check(fields: &str, pointer: &str, expected: &Value) {
        let encounter = encounter_of(&[ADMIT, &format!("A08 20260803130000 {fields}")], None);
        let found = encounter.pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(found, expected, "{fields}");
    }
    check("PV1-4 E^Emergency", "/type/0/coding/0/code", &json!("E"));
    check("PV1-4 E", "/priority/coding/0/code", &json!("EM"));
    check("PV1-18 TEACH", "/type/0/coding/0/code", &json!("TEACH"));
    let system = json!("urn:baton:feed:default:patient-type");
    check("PV1-18 TEACH", "/type/0/coding/0/system", &system);
    check(
        "PV1-13 R",
        "/hospitalization/reAdmission/coding/0/code",
        &json!("R"),
    );
    let source = "/hospitalization/admitSource/coding/1/code";
    check("PV1-14 7", source, &json!("emd"));
    check("PV1-14 5", source, &json!("nursing"));
    check(
        "PV1-5 PRE9",
        "/hospitalization/preAdmissionIdentifier/value",
        &json!("PRE9"),
    );
    check(
        "PV1-37 OAKS",
        "/hospitalization/destination/display",
        &json!("OAKS"),
    );
    check(
        "PV1-52 5^Roe",
        "/participant/0/type/0/coding/0/code",
        &json!("PART"),
    );
    check("PV1-42 5W^1", "/location/1/status", &json!("planned"));
    check(
        "PV1-42 5W^1",
        "/location/1/location/display",
        &json!("5W/1"),
    );
    check("PV1-42 5W^1", "/location/0/status", &json!("active"));
    check("PV1-42 4N", "/location/1", &Value::Null);
    check(
        "PV2-3 ^Chest pain",
        "/reasonCode/0/text",
        &json!("Chest pain"),
    );
    check("PV2-22 Y", "/meta/security/0/code", &json!("R"));
}

#[test]
fn what_is_planned_is_told_and_taken_back() {
    let urls = |encounter: &Value| -> Vec<String> {
        let extensions = encounter["extension"].as_array().unwrap().iter();
        let planned = extensions.filter_map(|extension| {
            let (_, name) = extension["url"].as_str()?.split_once("Encounter.")?;
            Some(format!("{name} {}", extension["valueDateTime"].as_str()?))
        });
        planned.collect()
    };
    let plan = "A05 20260801080000 PV1-2 P, PV2-8 20260803, PV2-9 202608051200, PV1-3 4N";
    let planned = encounter_of(&[plan], None);
    assert_eq!(
        urls(&planned),
        [
            "plannedStartDate 2026-08-03",
            "plannedEndDate 2026-08-05T12:00:00-04:00"
        ]
    );
    assert_eq!(planned["location"][0]["status"], "planned");
    let delete = "A08 20260802080000 PV2-8 \"\"";
    let later = encounter_of(&[plan, delete], Some(&planned));
    assert_eq!(urls(&later), ["plannedEndDate 2026-08-05T12:00:00-04:00"]);
}
