//! The person: race, ethnicity, doctor of the patient, labels.

use serde_json::{Value, json};

use crate::adt::tests::{feed, message, received};
use crate::adt::{Arrival, coverage, patient, related_person, us_core};

/// The Patient after these messages, each the newest.
fn person(lines: &[&str]) -> Value {
    let feed = feed();
    let mut person = None;
    for line in lines {
        let message = message(line);
        let arrival = Arrival {
            message: &message,
            feed: &feed,
            row: 1,
            received: received(),
        };
        let identifiers = arrival.patient_identifiers();
        let known = person.as_ref();
        person = Some(patient::patient(
            &arrival,
            &identifiers,
            "p",
            known,
            true,
            false,
        ));
    }
    person.unwrap()
}

/// Parts of an extension: `ombCategory 2106-3`, `text White`.
fn parts(person: &Value, url: &str) -> Vec<String> {
    let extensions = person["extension"].as_array().into_iter().flatten();
    let parts = extensions
        .filter(|extension| extension["url"] == url)
        .flat_map(|extension| extension["extension"].as_array().unwrap());
    parts
        .map(|part| {
            let code = part.pointer("/valueCoding/code");
            let value = code.or_else(|| part.get("valueString")).unwrap();
            format!(
                "{} {}",
                part["url"].as_str().unwrap(),
                value.as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn race_and_ethnicity_are_coded_where_the_code_is_known() {
    #[track_caller]
    fn check(field: &str, url: &str, expected: &[&str]) {
        let person = person(&[&format!("A31 20260803120000 {field}")]);
        assert_eq!(parts(&person, url), expected, "{field}");
    }
    check(
        "PID-10 2106-3^White^HL70005",
        us_core::RACE,
        &["ombCategory 2106-3", "text White"],
    );
    check(
        "PID-10 2106-3",
        us_core::RACE,
        &["ombCategory 2106-3", "text White"],
    );
    check(
        "PID-10 2028-9^Asian~2076-8",
        us_core::RACE,
        &[
            "ombCategory 2028-9",
            "ombCategory 2076-8",
            "text Asian, Native Hawaiian or Other Pacific Islander",
        ],
    );
    check(
        "PID-10 2034-7^Chinese",
        us_core::RACE,
        &["detailed 2034-7", "text Chinese"],
    );
    check("PID-10 W^Caucasian", us_core::RACE, &["text Caucasian"]);
    check("PID-10 W", us_core::RACE, &["text W"]);
    check("PID-10 ", us_core::RACE, &[]);
    check(
        "PID-22 H",
        us_core::ETHNICITY,
        &["ombCategory 2135-2", "text Hispanic or Latino"],
    );
    check(
        "PID-22 2186-5^Not Hispanic",
        us_core::ETHNICITY,
        &["ombCategory 2186-5", "text Not Hispanic"],
    );
    check("PID-22 U^Unknown", us_core::ETHNICITY, &["text Unknown"]);
}

#[test]
fn race_is_kept_by_silence_and_deleted_by_two_quotes() {
    let told = "A31 20260803120000 PID-10 2106-3, PID-22 N";
    let kept = person(&[told, "A31 20260804120000"]);
    assert_eq!(parts(&kept, us_core::RACE).len(), 2);
    let deleted = person(&[told, "A31 20260804120000 PID-10 \"\""]);
    assert!(parts(&deleted, us_core::RACE).is_empty());
    assert_eq!(parts(&deleted, us_core::ETHNICITY).len(), 2);
}

#[test]
fn the_doctor_of_the_patient_is_the_one_told_last() {
    let first = "A31 20260803120000 PD1-4 1^Ngo^^^^^^^NPI";
    let doctor = |lines: &[&str]| person(lines).get("generalPractitioner").cloned();
    let ngo = json!([{
        "type": "Practitioner",
        "identifier": { "system": "http://hl7.org/fhir/sid/us-npi", "value": "1" },
        "display": "Ngo",
    }]);
    assert_eq!(doctor(&[first]), Some(ngo.clone()));
    assert_eq!(doctor(&[first, "A31 20260804120000"]), Some(ngo));
    let other = doctor(&[first, "A31 20260804120000 PD1-4 2^Diaz"]).unwrap();
    assert_eq!(other.as_array().unwrap().len(), 1);
    assert_eq!(other[0]["display"], "Diaz");
    assert_eq!(doctor(&[first, "A31 20260804120000 PD1-4 \"\""]), None);
}

#[test]
fn labels_are_put_on_and_stay() {
    #[track_caller]
    fn check(lines: &[&str], expected: &[&str]) {
        let person = person(lines);
        let labels = person["meta"]["security"].as_array().into_iter().flatten();
        let codes: Vec<&str> = labels
            .map(|label| label["code"].as_str().unwrap())
            .collect();
        assert_eq!(codes, expected, "{lines:?}");
    }
    check(&["A08 20260803120000"], &[]);
    check(&["A08 20260803120000 PV1-16 N, PD1-12 N"], &[]);
    let both = "A08 20260803120000 PV1-16 Y, PD1-12 Y";
    check(&[both], &["R", "CEL"]);
    check(&[both, both], &["R", "CEL"]);
    check(
        &[both, "A08 20260804120000 PV1-16 N, PD1-12 N"],
        &["R", "CEL"],
    );
}

#[test]
fn kin_and_insurance_are_found_again() {
    let feed = feed();
    let line = "A08 20260803120000 NK1-2 Example^Bert, NK1-3 SPO, NK1-5 555-1, IN1-2 P, \
                IN1-3 42, IN1-4 Payer, IN1-36 S7, IN1-17 SEL";
    let message = message(line);
    let arrival = Arrival {
        message: &message,
        feed: &feed,
        row: 1,
        received: received(),
    };
    let id = || "1".to_owned();
    let people = related_person::related_persons(&arrival, "p", &[], id);
    let [kin] = people.as_slice() else {
        panic!("{people:?}")
    };
    assert_eq!(kin.resource["relationship"][0]["coding"][0]["code"], "SPS");
    let again =
        related_person::related_persons(&arrival, "p", std::slice::from_ref(&kin.resource), id);
    assert!(again[0].exists);
    assert_eq!(again[0].resource, kin.resource);
    let coverages = coverage::coverages(&arrival, "p", &[], id);
    let [insurance] = coverages.as_slice() else {
        panic!("{coverages:?}")
    };
    assert_eq!(insurance.resource["subscriberId"], "S7");
    assert_eq!(insurance.resource["payor"][0]["display"], "Payer");
    let again = coverage::coverages(&arrival, "p", std::slice::from_ref(&insurance.resource), id);
    assert!(again[0].exists);
    assert_eq!(again[0].resource, insurance.resource);
}

/// PID-15 and the codings and words that come of it.
#[test]
fn a_language_has_its_tag_beside_what_was_sent() {
    let v2 = "http://terminology.hl7.org/CodeSystem/v2-0296";
    let local = "urn:baton:feed:default:language";
    let bcp = "urn:ietf:bcp:47";
    let check = |field: &str, codings: &[(&str, &str)], text: Option<&str>| {
        let person = person(&[&format!("A31 20260803120000 PID-15 {field}")]);
        let language = &person["communication"][0]["language"];
        let found: Vec<(&str, &str)> = language["coding"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|coding| {
                let part = |key: &str| coding[key].as_str().unwrap_or_default();
                (part("system"), part("code"))
            })
            .collect();
        assert_eq!(found, codings, "{field}: {language}");
        assert_eq!(language["text"].as_str(), text, "{field}");
    };
    check(
        "ENG^English^HL70296",
        &[(bcp, "en"), (v2, "ENG")],
        Some("English"),
    );
    check("es", &[(bcp, "es"), (local, "es")], None);
    check("nav", &[(bcp, "nv"), (local, "nav")], None);
    check("hmn", &[(bcp, "hmn"), (local, "hmn")], None);
    check("1^Klingon", &[], Some("Klingon"));
    check("ZZZ", &[], Some("ZZZ"));
}

#[test]
fn a_kind_of_identifier_that_table_0203_has_not_stays_as_words() {
    let person = person(&["A31 20260803120000 PID-3 7^^^GEN^MR~8^^^GEN^MRN"]);
    let kinds: Vec<&Value> = person["identifier"]
        .as_array()
        .unwrap()
        .iter()
        .map(|identifier| &identifier["type"])
        .collect();
    let table = "http://terminology.hl7.org/CodeSystem/v2-0203";
    assert_eq!(
        kinds,
        [
            &json!({ "coding": [{ "system": table, "code": "MR" }] }),
            &json!({ "text": "MRN" }),
        ]
    );
}
