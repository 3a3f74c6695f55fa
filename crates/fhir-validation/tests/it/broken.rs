//! Sound resources, broken in one place each: exactly one issue, at that place, by that rule.

use crate::support::{core, quiet, validate};

const PATIENT: &str = r##"{
  "resourceType": "Patient",
  "id": "anna",
  "meta": {"lastUpdated": "2026-03-02T10:00:00Z", "tag": [{"system": "http://example.org/tags", "code": "panel"}]},
  "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">Anna</div>"},
  "contained": [{"resourceType": "Organization", "id": "clinic", "name": "Clinic"}],
  "extension": [{"url": "http://example.org/note", "valueString": "calls back"}],
  "identifier": [{"use": "usual", "system": "http://example.org/mrn", "value": "17"}],
  "active": true,
  "name": [{"family": "Example", "given": ["Anna", null, "Maria"], "_given": [null, {"extension": [{"url": "http://example.org/initial", "valueString": "B"}]}, null]}],
  "telecom": [{"system": "phone", "value": "+1 555 0100", "rank": 1}],
  "gender": "female",
  "birthDate": "1970-03-02",
  "_birthDate": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueDateTime": "1970-03-02T04:05:06Z"}]},
  "deceasedBoolean": false,
  "maritalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M"}]},
  "contact": [{"relationship": [{"text": "son"}], "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@example.org"}]}],
  "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]}, "preferred": true}],
  "managingOrganization": {"reference": "#clinic"},
  "link": [{"other": {"reference": "Patient/berta", "type": "Patient"}, "type": "seealso"}]
}"##;

const OBSERVATION: &str = r#"{
  "resourceType": "Observation",
  "status": "final",
  "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}], "text": "Body weight"},
  "subject": {"reference": "Patient/anna"},
  "effectiveDateTime": "2026-03-02T10:00:00+01:00",
  "issued": "2026-03-02T10:00:00.123Z",
  "valueQuantity": {"value": 71.50, "comparator": "<", "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
  "referenceRange": [{"low": {"value": 50, "unit": "kg"}, "text": "adult"}],
  "component": [{"code": {"text": "part"}, "valueInteger": 3}]
}"#;

const BUNDLE: &str = r#"{
  "resourceType": "Bundle",
  "type": "transaction",
  "entry": [
    {
      "fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
      "resource": {"resourceType": "Patient", "gender": "male", "generalPractitioner": [{"reference": "Practitioner/1"}]},
      "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=a|b"}
    },
    {
      "resource": {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
        "period": {"start": "2026-03-01", "end": "2026-03-02T11:30:00-05:00"},
        "location": [{"location": {"reference": "http://example.org/fhir/Location/3/_history/2"}}]
      },
      "request": {"method": "PUT", "url": "Encounter?identifier=a|b"}
    }
  ]
}"#;

const PARAMETERS: &str = r#"{
  "resourceType": "Parameters",
  "parameter": [
    {"name": "resource", "resource": {"resourceType": "Task", "status": "requested", "intent": "order", "input": [{"type": {"text": "due"}, "valueDuration": {"value": 2, "unit": "d"}}]}},
    {"name": "parts", "part": [{"name": "instant", "valueInstant": "2026-03-02T10:00:00Z"}]}
  ]
}"#;

#[test]
fn the_resources_are_sound() {
    for json in [PATIENT, OBSERVATION, BUNDLE, PARAMETERS] {
        let issues = validate(core(), json, &quiet());
        assert!(issues.is_empty(), "{issues:?}");
    }
}

/// `sound` with `from` replaced by `to` has one error, at this location and by this rule.
#[track_caller]
fn check(sound: &str, (from, to): (&str, &str), location: &str, rule: &str) {
    assert_eq!(sound.matches(from).count(), 1, "{from} must occur once");
    let broken = sound.replace(from, to);
    let issues = validate(core(), &broken, &quiet());
    let found: Vec<_> = issues
        .iter()
        .map(|issue| (issue.location.as_str(), issue.rule.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(found, [(location, rule)], "{issues:#?}");
    assert!(issues[0].is_error(), "{}", issues[0]);
    assert!(issues[0].place.is_some());
}

type Row = ((&'static str, &'static str), &'static str, &'static str);

#[track_caller]
fn check_all(sound: &str, rows: &[Row]) {
    for (change, location, rule) in rows {
        check(sound, *change, location, rule);
    }
}

#[test]
fn unknown_elements_are_found() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ((r#""active""#, r#""activ""#), "Patient.activ", "Patient"),
        ((r#""active""#, r#""status""#), "Patient.status", "Patient"),
        ((r#""family""#, r#""lastName""#), "Patient.name[0].lastName", "HumanName"),
        ((r#""rank""#, r#""ranks""#), "Patient.telecom[0].ranks", "ContactPoint"),
        ((r#""relationship""#, r#""relation""#), "Patient.contact[0].relation", "Patient.contact"),
        ((r#""name": "Clinic""#, r#""title": "Clinic""#), "Patient.contained[0].title", "Organization"),
        ((r#""deceasedBoolean": false"#, r#""deceasedString": "no""#), "Patient.deceasedString", "Patient"),
        ((r#""deceasedBoolean": false"#, r#""deceased": false"#), "Patient.deceased", "Patient"),
        ((r#""_birthDate""#, r#""_birthdate""#), "Patient.birthdate", "Patient"),
        ((r#""active": true"#, r#""active": true, "fhir_comments": ["x"]"#), "Patient.fhir_comments", "Patient"),
        ((r#""family": "Example""#, r#""family": "Example", "resourceType": "HumanName""#), "Patient.name[0].resourceType", "HumanName"),
    ];
    check_all(PATIENT, rows);
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ((r#""gender""#, r#""sex""#), "Bundle.entry[0].resource.sex", "Patient"),
        ((r#""ifNoneExist""#, r#""ifNone""#), "Bundle.entry[0].request.ifNone", "Bundle.entry.request"),
    ];
    check_all(BUNDLE, rows);
}

#[test]
fn what_must_be_there_is_missed_where_it_should_be() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ((r#""status": "final","#, ""), "Observation", "Observation.status"),
        ((r#""code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}], "text": "Body weight"},"#, ""), "Observation", "Observation.code"),
        ((r#""code": {"text": "part"}, "#, ""), "Observation.component[0]", "Observation.component.code"),
    ];
    check_all(OBSERVATION, rows);
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ((r#""other": {"reference": "Patient/berta", "type": "Patient"}, "#, ""), "Patient.link[0]", "Patient.link.other"),
        ((r#""url": "http://example.org/note", "#, ""), "Patient.extension[0]", "Extension.url"),
        ((r#""url": "http://example.org/initial", "#, ""), "Patient.name[0].given[1].extension[0]", "Extension.url"),
        ((r#""status": "generated", "#, ""), "Patient.text", "Narrative.status"),
        ((r#""resourceType": "Organization", "#, ""), "Patient.contained[0]", "Resource"),
    ];
    check_all(PATIENT, rows);
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ((r#""type": "transaction","#, ""), "Bundle", "Bundle.type"),
        ((r#""status": "finished","#, ""), "Bundle.entry[1].resource", "Encounter.status"),
        ((r#""method": "POST", "#, ""), "Bundle.entry[0].request", "Bundle.entry.request.method"),
    ];
    check_all(BUNDLE, rows);
    check(
        PARAMETERS,
        (
            r#""valueDuration": {"value": 2, "unit": "d"}"#,
            r#""id": "x""#,
        ),
        "Parameters.parameter[0].resource.input[0]",
        "Task.input.value[x]",
    );
}

#[test]
fn wrong_json_types_are_found() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ((r#""active": true"#, r#""active": "true""#), "Patient.active", "Patient.active"),
        ((r#""active": true"#, r#""active": null"#), "Patient.active", "Patient.active"),
        ((r#""active": true"#, r#""active": [true]"#), "Patient.active", "Patient.active"),
        ((r#""active": true"#, r#""active": {}"#), "Patient.active", "Patient.active"),
        ((r#""rank": 1"#, r#""rank": "1""#), "Patient.telecom[0].rank", "ContactPoint.rank"),
        ((r#""gender": "female""#, r#""gender": 2"#), "Patient.gender", "Patient.gender"),
        ((r#""value": "17""#, r#""value": 17"#), "Patient.identifier[0].value", "Identifier.value"),
        ((r##""managingOrganization": {"reference": "#clinic"}"##, r##""managingOrganization": "#clinic""##), "Patient.managingOrganization", "Reference"),
        ((r#""contact": [{"relationship": [{"text": "son"}]"#, r#""contact": [{"relationship": {"text": "son"}"#), "Patient.contact[0].relationship", "Patient.contact.relationship"),
        ((r#""link": [{"other""#, r#""link": [[], {"other""#), "Patient.link[0]", "Patient.link"),
        ((r#""link": [{"other""#, r#""link": [null, {"other""#), "Patient.link[0]", "Patient.link"),
        ((r#"{"resourceType": "Organization", "id": "clinic", "name": "Clinic"}"#, r#"{"resourceType": "Organization", "id": "clinic", "name": "Clinic"}, "x""#), "Patient.contained[1]", "a resource"),
        ((r#""url": "http://example.org/note""#, r#""url": 7"#), "Patient.extension[0].url", "Extension.url"),
    ];
    check_all(PATIENT, rows);
    check(
        OBSERVATION,
        (r#""value": 71.50"#, r#""value": "71.50""#),
        "Observation.value.value",
        "Quantity.value",
    );
}

#[test]
fn rules_of_the_json_form_are_kept() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ((r#""link": [{"other": {"reference": "Patient/berta", "type": "Patient"}, "type": "seealso"}]"#, r#""link": []"#), "Patient.link", "Patient.link"),
        ((r##"{"reference": "#clinic"}"##, "{}"), "Patient.managingOrganization", "ele-1"),
        ((r#""family": "Example""#, r#""family": """#), "Patient.name[0].family", "HumanName.family"),
        ((r#""_given": [null, "#, r#""_given": ["#), "Patient.name[0].given", "HumanName.given"),
        ((r#""given": ["Anna", null,"#, r#""given": ["Anna", null, null,"#), "Patient.name[0].given", "HumanName.given"),
        ((r#""_birthDate": {"#, r#""_active": {}, "_birthDate": {"#), "Patient.active", "ele-1"),
        ((r#""_birthDate": {"#, r#""_active": [{"id": "x"}], "_birthDate": {"#), "Patient.active", "Patient.active"),
        ((r#""_birthDate": {"#, r#""_active": "x", "_birthDate": {"#), "Patient.active", "Patient.active"),
        ((r#""_birthDate": {"#, r#""_link": [{"id": "x"}], "_birthDate": {"#), "Patient.link", "Patient.link"),
        ((r#""_birthDate": {"#, r#""_birthDate": {"value": 1, "#), "Patient.birthDate.value", "Element"),
    ];
    check_all(PATIENT, rows);
}

#[test]
fn what_has_no_content_is_found() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ((r##"{"reference": "#clinic"}"##, r#"{"id": "x"}"#), "Patient.managingOrganization", "ele-1"),
        ((r#""_birthDate": {"#, r#""_active": {"id": "x"}, "_gender": {"id": "x"}, "_multipleBirthBoolean": {"id": "x"}, "_birthDate": {"#), "Patient.multipleBirth", "ele-1"),
        ((r#", "valueString": "calls back""#, ""), "Patient.extension[0]", "ext-1"),
        ((r#""valueString": "calls back""#, r#""valueString": "x", "extension": [{"url": "http://example.org/x", "valueString": "y"}]"#), "Patient.extension[0]", "ext-1"),
        ((r#"{"url": "http://example.org/note", "valueString": "calls back"}"#, "{}"), "Patient.extension[0]", "ele-1"),
    ];
    check_all(PATIENT, rows);
}

#[test]
fn wrong_forms_of_primitives_are_found() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ((r#""birthDate": "1970-03-02""#, r#""birthDate": "1970-02-30""#), "Patient.birthDate", "Patient.birthDate"),
        ((r#""birthDate": "1970-03-02""#, r#""birthDate": "02.03.1970""#), "Patient.birthDate", "Patient.birthDate"),
        ((r#""birthDate": "1970-03-02""#, r#""birthDate": "1970-03-02T10:00:00Z""#), "Patient.birthDate", "Patient.birthDate"),
        ((r#""lastUpdated": "2026-03-02T10:00:00Z""#, r#""lastUpdated": "2026-03-02""#), "Patient.meta.lastUpdated", "Meta.lastUpdated"),
        ((r#""rank": 1"#, r#""rank": 0"#), "Patient.telecom[0].rank", "ContactPoint.rank"),
        ((r#""rank": 1"#, r#""rank": 1.5"#), "Patient.telecom[0].rank", "ContactPoint.rank"),
        ((r#""id": "anna""#, r#""id": "anna_1""#), "Patient.id", "Patient.id"),
        ((r#""system": "http://example.org/mrn""#, r#""system": "my system""#), "Patient.identifier[0].system", "Identifier.system"),
        ((r#"<div xmlns=\"http://www.w3.org/1999/xhtml\">Anna</div>"#, "Anna"), "Patient.text.div", "Narrative.div"),
    ];
    check_all(PATIENT, rows);
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ((r#""effectiveDateTime": "2026-03-02T10:00:00+01:00""#, r#""effectiveDateTime": "2026-03-02T10:00""#), "Observation.effective", "Observation.effective[x]"),
        ((r#""issued": "2026-03-02T10:00:00.123Z""#, r#""issued": "2026-03-02T10:00:00""#), "Observation.issued", "Observation.issued"),
        ((r#""valueInteger": 3"#, r#""valueInteger": 3.0"#), "Observation.component[0].value", "Observation.component.value[x]"),
    ];
    check_all(OBSERVATION, rows);
}

#[test]
fn codes_outside_required_value_sets_are_found() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ((r#""gender": "female""#, r#""gender": "F""#), "Patient.gender", "Patient.gender"),
        ((r#""telecom": [{"system": "phone", "value": "+1"#, r#""telecom": [{"system": "telephone", "value": "+1"#), "Patient.telecom[0].system", "ContactPoint.system"),
        ((r#"{"system": "email""#, r#"{"system": "e-mail""#), "Patient.contact[0].telecom[1].system", "ContactPoint.system"),
        ((r#""use": "usual""#, r#""use": "primary""#), "Patient.identifier[0].use", "Identifier.use"),
        ((r#""type": "seealso""#, r#""type": "see-also""#), "Patient.link[0].type", "Patient.link.type"),
    ];
    check_all(PATIENT, rows);
    check(
        OBSERVATION,
        (r#""status": "final""#, r#""status": "done""#),
        "Observation.status",
        "Observation.status",
    );
    check(
        OBSERVATION,
        (r#""comparator": "<""#, r#""comparator": "=""#),
        "Observation.value.comparator",
        "Quantity.comparator",
    );
    check(
        BUNDLE,
        (r#""method": "PUT""#, r#""method": "UPDATE""#),
        "Bundle.entry[1].request.method",
        "Bundle.entry.request.method",
    );
    check(
        PARAMETERS,
        (r#""intent": "order""#, r#""intent": "wish""#),
        "Parameters.parameter[0].resource.intent",
        "Task.intent",
    );
}

#[test]
fn choices_are_made_once() {
    check(
        PATIENT,
        (
            r#""deceasedBoolean": false"#,
            r#""deceasedBoolean": false, "deceasedDateTime": "2026""#,
        ),
        "Patient.deceased",
        "Patient.deceased[x]",
    );
    check(
        OBSERVATION,
        (
            r#""valueInteger": 3"#,
            r#""valueInteger": 3, "valueString": "3""#,
        ),
        "Observation.component[0].value",
        "Observation.component.value[x]",
    );
    check(
        OBSERVATION,
        (r#""valueInteger": 3"#, r#""valueDecimal": 3.0"#),
        "Observation.component[0].valueDecimal",
        "Observation.component",
    );
    check(
        PATIENT,
        (
            r#""valueString": "calls back""#,
            r#""valueText": "calls back""#,
        ),
        "Patient.extension[0].valueText",
        "Extension",
    );
}

#[test]
fn references_lead_to_the_types_that_are_admitted() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ((r##""reference": "#clinic""##, r##""reference": "#clinik""##), "Patient.managingOrganization.reference", "ref-1"),
        ((r##""reference": "#clinic""##, r#""reference": "Patient/berta""#), "Patient.managingOrganization.reference", "Patient.managingOrganization"),
        ((r#"{"resourceType": "Organization", "id": "clinic", "name": "Clinic"}"#, r#"{"resourceType": "Location", "id": "clinic", "name": "Clinic"}"#), "Patient.managingOrganization.reference", "Patient.managingOrganization"),
        ((r#""reference": "Patient/berta", "type": "Patient""#, r#""reference": "Patient/berta", "type": "RelatedPerson""#), "Patient.link[0].other.type", "Reference.type"),
        ((r#""reference": "Patient/berta", "type": "Patient""#, r#""reference": "http://example.org/x?y=1", "type": "Device""#), "Patient.link[0].other.type", "Patient.link.other"),
        ((r#""reference": "Patient/berta", "type": "Patient""#, r#""reference": "Person/berta""#), "Patient.link[0].other.reference", "Patient.link.other"),
        ((r#""reference": "Patient/berta", "type": "Patient""#, r#""reference": "Patients/berta""#), "Patient.link[0].other.reference", "Patient.link.other"),
    ];
    check_all(PATIENT, rows);
    check(
        OBSERVATION,
        (
            r#""reference": "Patient/anna""#,
            r#""reference": "Practitioner/anna""#,
        ),
        "Observation.subject.reference",
        "Observation.subject",
    );
    check(
        BUNDLE,
        (
            "http://example.org/fhir/Location/3/_history/2",
            "http://example.org/fhir/Patient/3",
        ),
        "Bundle.entry[1].resource.location[0].location.reference",
        "Encounter.location.location",
    );
}

#[test]
fn resources_say_a_type_that_exists() {
    check(
        PATIENT,
        (
            r#""resourceType": "Organization""#,
            r#""resourceType": "Organisation""#,
        ),
        "Patient.contained[0].resourceType",
        "Resource",
    );
    check(
        BUNDLE,
        (
            r#""resourceType": "Encounter""#,
            r#""resourceType": "DomainResource""#,
        ),
        "Bundle.entry[1].resource.resourceType",
        "Resource",
    );
    check(
        BUNDLE,
        (r#""resourceType": "Encounter""#, r#""resourceType": 5"#),
        "Bundle.entry[1].resource.resourceType",
        "Resource",
    );
}

#[test]
fn known_extensions_and_type_profiles_are_held_to_their_definitions() {
    check(
        PATIENT,
        (
            r#""valueDateTime": "1970-03-02T04:05:06Z""#,
            r#""valueString": "four""#,
        ),
        "Patient.birthDate.extension[0].value",
        "http://hl7.org/fhir/StructureDefinition/patient-birthTime#Extension.value[x]",
    );
    check(
        OBSERVATION,
        (
            r#""low": {"value": 50,"#,
            r#""low": {"comparator": ">", "value": 50,"#,
        ),
        "Observation.referenceRange[0].low.comparator",
        "http://hl7.org/fhir/StructureDefinition/SimpleQuantity#Quantity.comparator",
    );
}
