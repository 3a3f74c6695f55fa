//! Pairs of descriptions and their grade: the cases that the practice of matching knows.

use serde_json::{Value, json};

use super::*;

/// `family, given, birth date, gender, phone, postal code, line, MRN, order of birth`; `-` for none.
fn person(text: &str) -> Person {
    let parts: Vec<Option<&str>> = text
        .split(',')
        .map(|part| Some(part.trim()).filter(|part| *part != "-"))
        .collect();
    let part = |place: usize| parts.get(place).copied().flatten();
    let mut name = json!({});
    if let Some(family) = part(0) {
        name["family"] = json!(family);
    }
    if let Some(given) = part(1) {
        name["given"] = json!(given.split(' ').collect::<Vec<_>>());
    }
    let mut patient = json!({ "resourceType": "Patient", "name": [name] });
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            patient[key] = value;
        }
    };
    set("birthDate", part(2).map(|date| json!(date)));
    set("gender", part(3).map(|code| json!(code)));
    set(
        "telecom",
        part(4).map(|value| json!([{ "system": "phone", "value": value }])),
    );
    set(
        "address",
        part(5).map(|code| json!([{ "postalCode": code, "line": part(6) }])),
    );
    if let Some(line) = part(6) {
        patient["address"][0]["line"] = json!([line]);
    }
    if let Some(mrn) = part(7) {
        let identifier = match mrn.split_once('|') {
            Some((system, value)) => json!({ "system": system, "value": value }),
            None => json!({ "value": mrn }),
        };
        patient["identifier"] = json!([identifier]);
    }
    if let Some(order) = part(8) {
        patient["multipleBirthInteger"] = json!(order.parse::<i64>().unwrap());
    }
    Person::of(&patient)
}

#[track_caller]
fn check(one: &str, other: &str, expected: Grade) {
    let (one, other) = (person(one), person(other));
    let found = compare(&one, &other);
    assert_eq!(found.grade, expected, "score {}", found.score);
    assert_eq!(compare(&other, &one), found, "both ways");
    assert!((0.0..=1.0).contains(&found.score));
}

const ANNA: &str =
    "Miller, Anna, 1950-01-31, female, (555) 010-1234, 10001-1234, 1 Main St, urn:a|1";

#[test]
fn the_table_holds_every_trait_once() {
    for (place, (one, ..)) in WEIGHTS.iter().enumerate() {
        let first = WEIGHTS.iter().position(|(other, ..)| other == one);
        assert_eq!(first, Some(place));
    }
    assert!(GRADES.is_sorted_by(|(_, one), (_, other)| one > other));
}

#[test]
fn an_identifier_of_one_system_is_certain() {
    check(ANNA, "-, -, -, -, -, -, -, urn:a|1", Grade::Certain);
    check(ANNA, ANNA, Grade::Certain);
    // after a marriage
    check(
        ANNA,
        "Jones, Anna, 1950-01-31, female, -, -, -, urn:a|1",
        Grade::Certain,
    );
    // the same number of another authority, or of none
    check(ANNA, "-, -, -, -, -, -, -, urn:b|1", Grade::CertainlyNot);
    check(ANNA, "-, -, -, -, -, -, -, 1", Grade::CertainlyNot);
}

#[test]
fn an_identifier_that_is_contradicted_is_looked_at() {
    check(
        ANNA,
        "Miller, Anna, 1985-12-01, female, -, -, -, urn:a|1",
        Grade::Probable,
    );
    check(
        ANNA,
        "Miller, Anna, 1950-01-31, male, -, -, -, urn:a|1",
        Grade::Probable,
    );
    check(
        ANNA,
        "Miller, Anna, 1950-01-31, female, 555-010-1234, 10001, 1 Main St, urn:a|2",
        Grade::Probable,
    );
}

#[test]
fn names_and_birth_date_alone_are_never_certain() {
    check(ANNA, "Miller, Anna, 1950-01-31, female", Grade::Probable);
    check(ANNA, "Miller, Anna, 1950-01-31", Grade::Possible);
    check(ANNA, "Miller, Anna", Grade::CertainlyNot);
    check(ANNA, "-, -, 1950-01-31, female", Grade::CertainlyNot);
}

#[test]
fn names_birth_date_and_a_phone_or_address_are() {
    check(
        ANNA,
        "Miller, Anna, 1950-01-31, female, +1 555 010 1234",
        Grade::Certain,
    );
    check(
        ANNA,
        "Miller, Anna, 1950-01-31, female, -, 10001, 1 Main St",
        Grade::Certain,
    );
    check(
        ANNA,
        "MILLER, Anna Maria, 1950-01-31, female, 5550101234",
        Grade::Certain,
    );
    // a postal code has thousands of people
    check(
        ANNA,
        "Miller, Anna, 1950-01-31, female, -, 10001",
        Grade::Probable,
    );
}

#[test]
fn slips_of_hands_lower_the_grade() {
    check(
        ANNA,
        "Millar, Ana, 1950-01-31, female, 555 010 1234, 10001, 1 Main St",
        Grade::Certain,
    );
    check(ANNA, "Millar, Anna, 1950-01-31, female", Grade::Possible);
    check(
        ANNA,
        "Miller, Anna, 1950-01-13, female, 555 010 1234, 10001, 1 Main St",
        Grade::Possible,
    );
    check(
        ANNA,
        "Miller, Anna, 1950-01-30, female, 555 010 1234, 10001, 1 Main St",
        Grade::Probable,
    );
}

#[test]
fn families_are_not_one_patient() {
    // a sister, a daughter of the same name, a spouse
    check(
        ANNA,
        "Miller, Berta, 1950-01-31, female, 555 010 1234, 10001, 1 Main St",
        Grade::Possible,
    );
    check(
        ANNA,
        "Miller, Anna, 1985-12-01, female, 555 010 1234, 10001, 1 Main St",
        Grade::Possible,
    );
    check(
        ANNA,
        "Miller, Paul, 1948-05-05, male, 555 010 1234, 10001, 1 Main St",
        Grade::CertainlyNot,
    );
}

#[test]
fn newborns_need_more_than_what_their_mother_has() {
    let baby = "Miller, -, 2026-03-01, female, 555 010 1234, 10001, 1 Main St, -, 1";
    let twin = "Miller, -, 2026-03-01, female, 555 010 1234, 10001, 1 Main St, -, 2";
    let other = "Miller, -, 2026-03-01, female, 555 010 1234, 10001, 1 Main St";
    check(baby, twin, Grade::CertainlyNot);
    check(baby, other, Grade::Probable);
    check(baby, ANNA, Grade::CertainlyNot);
}

#[test]
fn nothing_is_nobody() {
    check("-", "-", Grade::CertainlyNot);
    check(ANNA, "-", Grade::CertainlyNot);
}
