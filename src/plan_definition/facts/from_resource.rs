//! Facts read out of stored resources: Encounter, Condition, Patient.
//!
//! What no resource says (the facility's zone, whether it is post-acute, when the first message
//! came) the caller adds.

use chrono::NaiveDate;
use chrono_tz::Tz;
use serde_json::Value;

use crate::disposition;
use crate::plan_definition::facts::{ConditionFacts, Moment, VisitClass, VisitFacts, VisitStatus};
use crate::plan_definition::resource::{each, id, status, text};

/// Systems of ICD-10 codes.
const ICD10_SYSTEMS: &[&str] = &[
    "http://hl7.org/fhir/sid/icd-10-cm",
    "http://hl7.org/fhir/sid/icd-10",
];
/// NUBC discharge status: today's system, and the one of older samples with one-digit codes.
const DISPOSITION_SYSTEMS: &[&str] = &[
    disposition::NUBC_SYSTEM,
    "http://terminology.hl7.org/CodeSystem/nubc-UB92",
];
/// Admission types and priorities that are acute or emergent, by system.
const EMERGENT: &[(&str, &[&str])] = &[
    (
        "http://terminology.hl7.org/CodeSystem/v2-0007",
        &["A", "E", "U", "1", "2", "5"],
    ),
    (
        "https://www.nubc.org/CodeSystem/PriorityTypeOfAdmitOrVisit",
        &["1", "2", "5"],
    ),
    (
        "http://terminology.hl7.org/CodeSystem/v3-ActPriority",
        &["EM", "UR"],
    ),
];

/// Reads an Encounter of a facility in `facility_zone`.
pub fn visit(encounter: &Value, facility_zone: Tz) -> VisitFacts {
    let moment = |pointer| text(encounter, pointer).and_then(Moment::parse);
    let class = |class: Option<&str>| VisitClass::from_code(class.unwrap_or_default());
    VisitFacts {
        encounter_id: id(encounter).to_owned(),
        status: VisitStatus::from_code(status(encounter)),
        class: class(text(encounter, "/class/code")),
        class_history: each(encounter, "classHistory")
            .map(|entry| class(text(entry, "/class/code")))
            .collect(),
        start: moment("/period/start"),
        end: moment("/period/end"),
        disposition: disposition(encounter),
        is_emergent: is_emergent(encounter),
        is_post_acute: false,
        facility_zone,
        first_notified_at: None,
    }
}

/// The NUBC code, two digits where the table knows it.
fn disposition(encounter: &Value) -> Option<String> {
    let disposition = encounter.pointer("/hospitalization/dischargeDisposition")?;
    let coding = each(disposition, "coding").find(|coding| {
        text(coding, "/system").is_some_and(|system| DISPOSITION_SYSTEMS.contains(&system))
    })?;
    let code = text(coding, "/code")?;
    Some(
        disposition::lookup(code)
            .map_or(code, |row| row.code)
            .to_owned(),
    )
}

fn is_emergent(encounter: &Value) -> bool {
    each(encounter, "type")
        .chain(encounter.get("priority"))
        .flat_map(|concept| each(concept, "coding"))
        .filter_map(|coding| Some((text(coding, "/system")?, text(coding, "/code")?)))
        .any(|(system, code)| {
            EMERGENT
                .iter()
                .any(|(known, codes)| *known == system && codes.contains(&code))
        })
}

/// Reads a Condition; one that is refuted or entered in error is none.
pub fn condition(condition: &Value) -> Option<ConditionFacts> {
    let verification = text(condition, "/verificationStatus/coding/0/code");
    if matches!(verification, Some("entered-in-error" | "refuted")) {
        return None;
    }
    let icd10 = condition
        .get("code")
        .into_iter()
        .flat_map(|concept| each(concept, "coding"))
        .find(|coding| {
            text(coding, "/system").is_some_and(|system| ICD10_SYSTEMS.contains(&system))
        })
        .and_then(|coding| text(coding, "/code"));
    Some(ConditionFacts {
        id: Some(id(condition).to_owned()),
        icd10: icd10.map(str::to_owned),
    })
}

/// `Patient.birthDate`, if it is a full date.
pub fn birth_date(patient: &Value) -> Option<NaiveDate> {
    text(patient, "/birthDate")?.parse().ok()
}

/// `Patient.deceased[x]` says that the patient died.
pub fn is_deceased(patient: &Value) -> bool {
    patient.get("deceasedBoolean") == Some(&Value::Bool(true))
        || patient.get("deceasedDateTime").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::America::New_York;
    use serde_json::json;

    #[test]
    fn an_encounter_is_read_as_the_intake_writes_it() {
        let encounter = json!({
            "resourceType": "Encounter",
            "id": "e",
            "status": "finished",
            "class": { "code": "IMP" },
            "classHistory": [{ "class": { "code": "EMER" } }],
            "type": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v2-0007", "code": "E"
            }] }],
            "period": { "start": "2026-03-03", "end": "2026-03-06T16:10:00-05:00" },
            "hospitalization": { "dischargeDisposition": { "coding": [
                { "system": disposition::FHIR_SYSTEM, "code": "home" },
                { "system": "http://terminology.hl7.org/CodeSystem/nubc-UB92", "code": "1" }
            ] } }
        });
        let visit = visit(&encounter, New_York);
        assert_eq!(visit.status, VisitStatus::Finished);
        assert_eq!(visit.class, VisitClass::Inpatient);
        assert_eq!(visit.class_history, [VisitClass::Emergency]);
        assert_eq!(visit.start, Moment::parse("2026-03-03"));
        assert_eq!(visit.end, Moment::parse("2026-03-06T21:10:00Z"));
        assert_eq!(visit.disposition.as_deref(), Some("01"));
        assert!(visit.is_emergent);
    }

    #[track_caller]
    fn check(value: &Value, expected: &str) {
        let read = condition(value).map_or_else(
            || "none".to_owned(),
            |it| it.icd10.unwrap_or("uncoded".to_owned()),
        );
        assert_eq!(read, expected);
    }

    #[test]
    fn a_condition_counts_unless_it_is_refuted() {
        let coded = json!({ "coding": [
            { "system": "http://snomed.info/sct", "code": "84114007" },
            { "system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I50.9" }
        ] });
        check(&json!({ "id": "c", "code": coded }), "I50.9");
        check(
            &json!({ "id": "c", "code": { "text": "heart failure" } }),
            "uncoded",
        );
        let refuted = json!({ "coding": [{ "code": "entered-in-error" }] });
        check(
            &json!({ "id": "c", "code": coded, "verificationStatus": refuted }),
            "none",
        );
    }
}
