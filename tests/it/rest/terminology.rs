//! The operations on value sets, code systems and concept maps:
//! <https://hl7.org/fhir/R4/terminology-service.html>. The statuses are those of `docs/API.md`.

use serde_json::{Value, json};

use crate::rest::NOW;
use crate::support::server::{Answer, Baton, each, on_each_store};

const GENDER: &str = "http://hl7.org/fhir/administrative-gender";
const GENDERS: &str = "http://hl7.org/fhir/ValueSet/administrative-gender";
const V3_ACT: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// A code system with a hierarchy, a value set of it, and a map from it.
async fn prepare(baton: &Baton) {
    let animals = json!({
        "resourceType": "CodeSystem", "id": "animals", "url": "http://example.org/animals",
        "version": "1", "name": "Animals", "status": "active", "content": "complete",
        "caseSensitive": true, "hierarchyMeaning": "is-a",
        "concept": [
            { "code": "bird", "display": "Bird", "concept": [
                { "code": "owl", "display": "Owl",
                  "designation": [{ "language": "de", "value": "Eule" }] },
                { "code": "emu", "display": "Emu" },
            ]},
            { "code": "cat", "display": "Cat" },
        ],
    });
    let birds = json!({
        "resourceType": "ValueSet", "id": "birds", "url": "http://example.org/birds",
        "name": "Birds", "status": "active",
        "compose": { "include": [{
            "system": "http://example.org/animals",
            "filter": [{ "property": "concept", "op": "is-a", "value": "bird" }],
        }]},
    });
    let sounds = json!({
        "resourceType": "ConceptMap", "id": "sounds", "url": "http://example.org/sounds",
        "name": "Sounds", "status": "active",
        "group": [{
            "source": "http://example.org/animals", "target": "http://example.org/sound",
            "element": [{ "code": "owl",
                          "target": [{ "code": "hoot", "equivalence": "relatedto" }] }],
            "unmapped": { "mode": "fixed", "code": "silence" },
        }],
    });
    for resource in [animals, birds, sounds] {
        let path = format!(
            "/{}/{}",
            resource["resourceType"].as_str().unwrap(),
            resource["id"].as_str().unwrap()
        );
        baton.put(&path, &resource).await.expect(201);
    }
}

/// The codes of an expansion, nested ones in brackets.
fn codes(value: &Value) -> String {
    let codes = each(value, "contains").map(|entry| {
        let within = codes(entry);
        let code = entry["code"].as_str().unwrap();
        if within.is_empty() {
            code.to_owned()
        } else {
            format!("{code}({within})")
        }
    });
    codes.collect::<Vec<_>>().join(" ")
}

/// The value of a parameter of an answer.
fn out(answer: &Value, name: &str) -> Value {
    let mut parameters = each(answer, "parameter");
    let found = parameters.find(|parameter| parameter["name"] == name);
    let found = found.and_then(Value::as_object);
    let value = found.and_then(|it| it.iter().find(|(key, _)| key.starts_with("value")));
    value.map_or(Value::Null, |(_, value)| value.clone())
}

/// Status, and what an error is about.
fn line(answer: &Answer) -> String {
    match answer.status {
        200 => "200".to_owned(),
        status => format!("{status} {}", answer.json()["issue"][0]["code"]),
    }
}

#[tokio::test]
async fn a_value_set_is_expanded() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (path, expected, total) in [
            (
                format!("/ValueSet/$expand?url={GENDERS}"),
                "male female other unknown",
                4,
            ),
            (
                format!("/ValueSet/$expand?url={GENDERS}&offset=1&count=2"),
                "female other",
                4,
            ),
            (
                format!("/ValueSet/$expand?url={GENDERS}&filter=MALE"),
                "male female",
                2,
            ),
            ("/ValueSet/birds/$expand".to_owned(), "bird(owl emu)", 3),
            (
                "/ValueSet/birds/$expand?excludeNested=true".to_owned(),
                "bird owl emu",
                3,
            ),
        ] {
            let answer = baton.get(&path).await.expect(200);
            assert_eq!(codes(&answer["expansion"]), expected, "{path}");
            assert_eq!(answer["expansion"]["total"], total, "{path}");
            assert_eq!(
                answer["expansion"]["timestamp"],
                NOW.replace('Z', ".000Z"),
                "{path}"
            );
        }
        let german = "/ValueSet/birds/$expand?displayLanguage=de&excludeNested=true";
        let answer = baton.get(german).await.expect(200);
        assert_eq!(answer["expansion"]["contains"][1]["display"], "Eule");
        let inline = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "valueSet", "resource": {
                "resourceType": "ValueSet", "status": "active", "compose": {
                    "include": [{ "system": GENDER }],
                    "exclude": [{ "system": GENDER, "concept": [{ "code": "other" }] }],
                },
            }},
        ]});
        let answer = baton.post("/ValueSet/$expand", &inline).await.expect(200);
        assert_eq!(codes(&answer["expansion"]), "male female unknown");
        assert_eq!(answer["url"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_code_is_validated() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (path, expected) in [
            (
                format!("/ValueSet/$validate-code?url={GENDERS}&code=male"),
                true,
            ),
            (
                format!("/ValueSet/$validate-code?url={GENDERS}&code=male&system={GENDER}"),
                true,
            ),
            (
                format!("/ValueSet/$validate-code?url={GENDERS}&code=m&system={GENDER}"),
                false,
            ),
            (
                format!(
                    "/ValueSet/$validate-code?url={GENDERS}&code=male&system={GENDER}&display=x"
                ),
                false,
            ),
            (
                format!("/CodeSystem/$validate-code?url={GENDER}&code=male"),
                true,
            ),
            (
                format!("/CodeSystem/$validate-code?url={GENDER}&code=m"),
                false,
            ),
            (
                "/ValueSet/birds/$validate-code?code=owl&system=http://example.org/animals".into(),
                true,
            ),
            (
                "/ValueSet/birds/$validate-code?code=cat&system=http://example.org/animals".into(),
                false,
            ),
            (
                "/CodeSystem/animals/$validate-code?code=cat&display=Cat".into(),
                true,
            ),
        ] {
            let answer = baton.get(&path).await.expect(200);
            assert_eq!(out(&answer, "result"), expected, "{path}: {answer}");
            assert_eq!(
                out(&answer, "message").is_null(),
                expected,
                "{path}: {answer}"
            );
        }
        let concept = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "url", "valueUri": GENDERS },
            { "name": "codeableConcept", "valueCodeableConcept": {
                "coding": [{ "system": GENDER, "code": "male" }] } },
        ]});
        let answer = baton
            .post("/ValueSet/$validate-code", &concept)
            .await
            .expect(200);
        assert_eq!(out(&answer, "result"), true);
        assert_eq!(out(&answer, "display"), "Male");
    })
    .await;
}

#[tokio::test]
async fn a_concept_is_looked_up_compared_and_translated() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let path = format!("/CodeSystem/$lookup?system={V3_ACT}&code=IMP");
        let answer = baton.get(&path).await.expect(200);
        assert_eq!(out(&answer, "display"), "inpatient encounter");
        for (first, second, expected) in [
            ("bird", "owl", "subsumes"),
            ("owl", "bird", "subsumed-by"),
            ("owl", "owl", "equivalent"),
            ("owl", "cat", "not-subsumed"),
        ] {
            let path = format!("/CodeSystem/animals/$subsumes?codeA={first}&codeB={second}");
            let answer = baton.get(&path).await.expect(200);
            assert_eq!(out(&answer, "outcome"), expected, "{path}");
        }
        for (path, code) in [
            ("/ConceptMap/sounds/$translate?system=http://example.org/animals&code=owl", "hoot"),
            ("/ConceptMap/sounds/$translate?system=http://example.org/animals&code=emu", "silence"),
            (
                "/ConceptMap/sounds/$translate?system=http://example.org/sound&code=hoot&reverse=true",
                "owl",
            ),
            (
                "/ConceptMap/$translate?url=http://hl7.org/fhir/ConceptMap/cm-administrative-gender-v2\
                 &system=http://hl7.org/fhir/administrative-gender&code=female",
                "F",
            ),
        ] {
            let answer = baton.get(path).await.expect(200);
            assert_eq!(out(&answer, "result"), true, "{path}");
            let mut parameters = each(&answer, "parameter");
            let found = parameters.find(|parameter| parameter["name"] == "match").unwrap();
            let mut parts = each(found, "part");
            let concept = parts.find(|part| part["name"] == "concept").unwrap();
            assert_eq!(concept["valueCoding"]["code"], code, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_has_no_answer_is_refused_by_the_table() {
    on_each_store("", NOW, async |baton| {
        let sct = "http://snomed.info/sct";
        for (path, expected) in [
            (
                "/ValueSet/$expand?url=http://example.org/none".to_owned(),
                r#"404 "not-found""#,
            ),
            ("/ValueSet/none/$expand".to_owned(), r#"404 "not-found""#),
            (
                "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/body-site".to_owned(),
                r#"404 "not-found""#,
            ),
            ("/ValueSet/$expand".to_owned(), r#"400 "invalid""#),
            (
                format!("/ValueSet/$expand?url={GENDERS}&count=x"),
                r#"400 "invalid""#,
            ),
            (
                format!("/ValueSet/$expand?url={GENDERS}&surprise=1"),
                r#"400 "invalid""#,
            ),
            (
                format!("/ValueSet/$expand?url={GENDERS}&context=x"),
                r#"400 "not-supported""#,
            ),
            (
                "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/ucum-units".to_owned(),
                r#"422 "too-costly""#,
            ),
            (
                "/ValueSet/$expand?url=http://terminology.hl7.org/ValueSet/snomed-intl-gps"
                    .to_owned(),
                r#"422 "too-costly""#,
            ),
            (
                format!("/CodeSystem/$lookup?system={sct}&code=39065001"),
                r#"404 "not-found""#,
            ),
            (
                format!("/CodeSystem/$lookup?system={V3_ACT}&code=none"),
                r#"404 "not-found""#,
            ),
            (
                format!("/CodeSystem/$lookup?system={V3_ACT}"),
                r#"400 "invalid""#,
            ),
            (
                "/CodeSystem/$validate-code?url=http://example.org/none&code=x".to_owned(),
                r#"404 "not-found""#,
            ),
            (
                format!("/CodeSystem/$subsumes?system={V3_ACT}&codeA=IMP&codeB=none"),
                r#"404 "not-found""#,
            ),
            (
                "/ConceptMap/$translate?url=http://example.org/none&code=x".to_owned(),
                r#"404 "not-found""#,
            ),
            ("/CodeSystem/$closure".to_owned(), r#"404 "not-supported""#),
            ("/Patient/$expand".to_owned(), r#"404 "not-supported""#),
            ("/CodeSystem/x/$lookup".to_owned(), r#"404 "not-supported""#),
        ] {
            assert_eq!(line(&baton.get(&path).await), expected, "{path}");
        }
        let not_parameters = json!({ "resourceType": "Patient" });
        let answer = baton.post("/ValueSet/$expand", &not_parameters).await;
        assert_eq!(line(&answer), r#"400 "invalid""#);
    })
    .await;
}

#[tokio::test]
async fn the_statement_lists_the_operations() {
    on_each_store("", NOW, async |baton| {
        let statement = baton.get("/metadata").await.expect(200);
        for (resource_type, expected) in [
            ("ValueSet", "validate expand validate-code"),
            ("CodeSystem", "validate validate-code lookup subsumes"),
            ("ConceptMap", "validate translate"),
            ("Patient", "validate everything match"),
            ("Goal", "validate"),
        ] {
            let mut resources = each(&statement["rest"][0], "resource");
            let found = resources.find(|it| it["type"] == resource_type).unwrap();
            let names: Vec<_> = each(found, "operation")
                .map(|it| it["name"].as_str().unwrap())
                .filter(|name| !name.starts_with("meta"))
                .collect();
            assert_eq!(names.join(" "), expected);
        }
    })
    .await;
}
