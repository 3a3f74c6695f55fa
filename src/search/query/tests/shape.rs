//! Chains forth and back, `_filter`, `_list`, and searches of several types.

use super::*;

#[test]
fn a_chain_means_every_type_that_has_the_parameter() {
    check(
        "Observation?subject.name=peter",
        r#"Observation.subject -> Location,Patient (Location.name StartsWith "peter" / Patient.name StartsWith "peter")"#,
    );
    check(
        "Observation?subject:Patient.name=peter",
        r#"Observation.subject -> Patient (Patient.name StartsWith "peter")"#,
    );
    check(
        "Observation?subject.birthdate=1970",
        "Observation.subject -> Patient (Patient.birthdate Eq 1970-01-01T00:00:00 1971-01-01T00:00:00)",
    );
    check(
        "Observation?subject._id=1",
        "Observation.subject -> Device,Group,Location,Patient (id [1])",
    );
    check(
        "Observation?patient._lastUpdated=2020",
        "Observation.patient -> Patient (lastUpdated Eq 2020-01-01T00:00:00 2021-01-01T00:00:00)",
    );
    check(
        "Observation?encounter.patient._tag=urn:x|y",
        "Observation.encounter -> Encounter (Encounter.patient -> Patient (Patient._tag urn:x|y))",
    );
    check(
        "Provenance?target.birthdate=1970",
        "Provenance.target -> Patient,Person,RelatedPerson (\
         Patient.birthdate Eq 1970-01-01T00:00:00 1971-01-01T00:00:00 / \
         Person.birthdate Eq 1970-01-01T00:00:00 1971-01-01T00:00:00 / \
         RelatedPerson.birthdate Eq 1970-01-01T00:00:00 1971-01-01T00:00:00)",
    );
}

#[test]
fn a_reverse_chain_starts_at_what_refers() {
    check(
        "Patient?_has:Observation:patient:code=1234-5",
        "Observation by Observation.patient (Observation.code *|1234-5)",
    );
    check(
        "Patient?_has:Observation:patient:code:not=1",
        "Observation by Observation.patient (Observation.code not *|1)",
    );
    check(
        "Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/1",
        "Observation by Observation.patient (\
         AuditEvent by AuditEvent.entity (AuditEvent.agent Practitioner/1))",
    );
    check(
        "Encounter?patient._has:Group:member:_id=102",
        "Encounter.patient -> Patient (Group by Group.member (id [102]))",
    );
    check(
        "Patient?_has:Observation:subject:encounter.class=AMB",
        "Observation by Observation.subject (\
         Observation.encounter -> Encounter (Encounter.class *|AMB))",
    );
    check("Patient?_list=42", "List by List.item (id [42])");
    check(
        "Patient?_list=List/42,43",
        "List by List.item (id [42, 43])",
    );
}

#[test]
fn what_is_wrong_with_a_reverse_chain_is_named() {
    let check = |url: &str, expected: &str| check_refused(Handling::Lenient, url, &[expected]);
    let value = |reason: &str| format!("The value of the parameter '_has' {reason}.");
    let form = value("is not asked for as in _has:Observation:patient:code");
    check("Patient?_has=x", &form);
    check("Patient?_has:Observation=x", &form);
    check("Patient?_has:Observation:patient=x", &form);
    check(
        "Patient?_has:Foo:patient:code=x",
        &value("starts with no type of resource"),
    );
    let reference = value("names no reference parameter of the type it starts with");
    check("Patient?_has:Observation:code:code=x", &reference);
    check("Patient?_has:Observation:foo:code=x", &reference);
    let other = value("names a parameter that does not refer to what is searched");
    check("Patient?_has:Observation:encounter:code=x", &other);
    let deep = "_has:Group:member:".repeat(9);
    check(
        &format!("Group?{deep}_id=x"),
        "A search has at most 8 links in a chain.",
    );
    check(
        "Patient?_list=$current-problems",
        "The value of the parameter '_list' names a functional list, which is not supported; \
         the id of a List is.",
    );
}

#[test]
fn a_filter_is_made_of_conditions() {
    let check =
        |of: &str, text: &str, expected: &str| check(&format!("{of}?_filter={text}"), expected);
    // https://hl7.org/fhir/R4/search_filter.html
    check(
        "Patient",
        r#"name co "pet""#,
        r#"Patient.name Contains "pet""#,
    );
    check(
        "Patient",
        r#"given eq "Peter" and birthdate ge 2014-10-10"#,
        r#"Patient.given Whole "peter" AND Patient.birthdate Ge 2014-10-10T00:00:00 2014-10-11T00:00:00"#,
    );
    check(
        "Observation",
        "code eq http://loinc.org|1234-5",
        "Observation.code http://loinc.org|1234-5",
    );
    check(
        "Observation",
        r#"subject:Patient.name co "pet""#,
        r#"Observation.subject -> Patient (Patient.name Contains "pet")"#,
    );
    check(
        "Observation",
        r#"patient[gender eq male].name sw "pet""#,
        r#"Observation.patient -> Patient (Patient.gender *|male and Patient.name StartsWith "pet")"#,
    );
    check(
        "Observation",
        "has-member re Observation/4",
        "Observation.has-member Observation/4",
    );
    check(
        "Patient",
        "not (gender eq male or active eq true) or name pr false",
        "(not ((Patient.gender *|male or Patient.active *|true)) or Patient.name missing true String)",
    );
    check(
        "Patient",
        "gender ne male",
        "Patient.gender missing false Token AND not (Patient.gender *|male)",
    );
    check(
        "Patient",
        r#"family ew "A,b""#,
        r#"Patient.family Ends "a,b""#,
    );
    check(
        "Encounter",
        "date po 2020-01",
        "Encounter.date Ap 2020-01-01T00:00:00 2020-02-01T00:00:00",
    );
    check(
        "Patient",
        "_id eq 7 and _lastUpdated gt 2020",
        "id [7] AND lastUpdated Gt 2020-01-01T00:00:00 2021-01-01T00:00:00",
    );
    check(
        "Observation",
        "value-quantity gt 5.4||mg",
        "Observation.value-quantity Gt 5.4 5.4 *|mg",
    );
}

#[test]
fn what_is_wrong_with_a_filter_is_named_with_its_place() {
    let check = |text: &str, expected: &str| {
        let expected =
            format!("The value of the parameter '_filter' is wrong at character {expected}.");
        check_refused(
            Handling::Lenient,
            &format!("Patient?_filter={text}"),
            &[&expected],
        );
    };
    check(
        "name xx 1",
        "5: an operator was expected, one of eq, ne, co, sw, ew, gt, lt, ge, le, ap, sa, eb, pr, po, ss, sb, in, ni, re",
    );
    check(
        "name eq 1 and gender gt male",
        "21: 'gt' means nothing for the parameter 'gender'",
    );
    check(
        "birthdate gt x",
        "0: The value of the parameter 'birthdate' is no date",
    );
    check("name eq", "7: a value was expected");
    check(
        "name pr x",
        "0: The value of the parameter 'name' is neither true nor false",
    );
    check(
        "name.family eq x",
        "0: The value of the parameter 'name' is asked for by a chain, but the parameter is no reference",
    );
}

#[test]
fn a_search_may_be_over_several_types() {
    let of = |url: &str| read(Handling::Default, url).unwrap();
    assert_eq!(of("?_id=1").search.types, Types::ALL);
    let two = of("?_type=Patient,Observation&_id=1");
    assert_eq!(two.search.types.to_string(), "Observation,Patient");
    assert_eq!(
        two.applied[0],
        ("_type".to_owned(), "Patient,Observation".to_owned())
    );
    check("?_type=Patient&name=a", r#"Patient.name StartsWith "a""#);
    check(
        "?_type=Condition,Procedure&patient=1",
        "Condition.patient Patient/1 / Procedure.patient Patient/1",
    );
    check("?_id=1&_list=2", "id [1] AND List by List.item (id [2])");
    check(
        "?_type=Patient,Person&_has:Provenance:target:agent=Practitioner/1",
        "Provenance by Provenance.target (Provenance.agent Practitioner/1)",
    );
    assert!(
        matches!(of("?_tag=a").search.filters.as_slice(), [Filter::ByType(all)] if all.len() > 140)
    );
}

#[test]
fn what_is_wrong_with_a_search_of_several_types_is_named() {
    let check = |url: &str, expected: &str| check_refused(Handling::Default, url, &[expected]);
    check("?_type=Foo", "There are no resources of type Foo.");
    check(
        "?_type=_",
        "The value of the parameter '_type' names no type of resource.",
    );
    check(
        "?_type=Patient&_type=Person",
        "The value of the parameter '_type' is given more than once.",
    );
    check(
        "?_type=Patient,Person&_sort=name",
        "The value of the parameter '_sort' is _id and _lastUpdated, and nothing else, in a search of several types.",
    );
    check(
        "Patient?_type=Person",
        "The value of the parameter '_type' chooses types in a search across types, and this is one of a type.",
    );
    let tags = "_tag=a&".repeat(7);
    check(
        &format!("?{tags}"),
        "A search has at most 1000 types for which its parameters mean something else.",
    );
}

#[test]
fn includes_may_go_on_from_what_they_bring() {
    let parsed = read(
        Handling::Default,
        "Observation?_include:iterate=Encounter:location&_revinclude:recurse=Provenance:target&_revinclude=*",
    )
    .unwrap();
    assert!(parsed.search.includes[0].iterate);
    assert!(parsed.search.revincludes[0].iterate);
    let all = &parsed.search.revincludes[1];
    assert!(all.source.is_none() && all.parameters.len() > 400);
    check_refused(
        Handling::Lenient,
        "Observation?_include:foo=Observation:subject&_include=Observation:foo",
        &[
            "The modifier ':foo' of '_include' is not supported; supported are :iterate.",
            "The value of the parameter '_include' names no reference parameter of the type it starts with.",
        ],
    );
}
