//! `search`: <https://hl7.org/fhir/R4/search.html>.

use serde_json::{Value, json};

use crate::rest::NOW;
use crate::support::server::{Baton, each, link, on_each_store};

/// Three patients, an organisation, two visits, two measurements.
async fn prepare(baton: &Baton) {
    for resource in [
        json!({ "resourceType": "Organization", "id": "clinic", "name": "Harbor Clinic" }),
        json!({
            "resourceType": "Patient", "id": "anna", "active": true, "gender": "female",
            "birthDate": "1950-01-31",
            "identifier": [{ "system": "urn:mrn", "value": "1" }],
            "name": [{ "family": "Müller", "given": ["Anna", "Eva"] }],
            "managingOrganization": { "reference": "Organization/clinic" },
        }),
        json!({
            "resourceType": "Patient", "id": "bert", "active": false, "gender": "male",
            "birthDate": "1962-07",
            "identifier": [{ "value": "7" }],
            "name": [{ "family": "Muller-Smith", "given": ["Bert"] }],
        }),
        json!({
            "resourceType": "Patient", "id": "cleo", "gender": "female", "birthDate": "1971",
            "identifier": [{ "system": "urn:other", "value": "1" }],
            "name": [{ "family": "Smith", "given": ["Cleo"] }],
        }),
        json!({
            "resourceType": "Encounter", "id": "stay", "status": "finished",
            "class": { "system": "urn:class", "code": "IMP" },
            "subject": { "reference": "Patient/anna" },
            "period": { "start": "2026-03-01", "end": "2026-03-03" },
        }),
        json!({
            "resourceType": "Encounter", "id": "visit", "status": "in-progress",
            "class": { "system": "urn:class", "code": "AMB" },
            "subject": { "reference": "Patient/bert" },
            "period": { "start": "2026-03-05T10:00:00-05:00" },
        }),
        measurement("low", "anna", "2026-03-02T09:30:00Z", 120),
        measurement("high", "bert", "2026-03-05T15:30:00Z", 140),
    ] {
        let path = format!(
            "/{}/{}",
            text(&resource, "resourceType"),
            text(&resource, "id")
        );
        baton.put(&path, &resource).await.expect(201);
    }
}

fn measurement(id: &str, subject: &str, at: &str, value: u32) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "code": { "coding": [{ "system": "http://loinc.org", "code": "8480-6" }] },
        "subject": { "reference": format!("Patient/{subject}") },
        "effectiveDateTime": at,
        "valueQuantity": {
            "value": value, "unit": "mm[Hg]",
            "system": "http://unitsofmeasure.org", "code": "mm[Hg]",
        },
    })
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The ids of the entries with this mode, in their order.
fn ids(bundle: &Value, mode: &str) -> Vec<String> {
    each(bundle, "entry")
        .filter(|entry| entry["search"]["mode"] == mode)
        .map(|entry| text(&entry["resource"], "id").to_owned())
        .collect()
}

/// Asserts what each query matches, in any order.
async fn check(rows: &[(&str, &str)]) {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (query, expected) in rows {
            let answer = baton.get(&format!("/{query}")).await;
            assert_eq!(answer.status, 200, "{query}: {}", answer.text);
            let bundle = answer.json();
            assert_eq!(bundle["type"], "searchset");
            let mut found = ids(&bundle, "match");
            found.sort();
            assert_eq!(found.join(" "), *expected, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn tokens() {
    check(&[
        ("Patient?_id=anna", "anna"),
        ("Patient?_id=anna,cleo,never", "anna cleo"),
        ("Patient?identifier=urn:mrn|1", "anna"),
        ("Patient?identifier=1", "anna cleo"),
        ("Patient?identifier=|7", "bert"),
        ("Patient?identifier=|1", ""),
        ("Patient?identifier=urn:mrn|", "anna"),
        ("Patient?identifier=urn:mrn|1,7", "anna bert"),
        ("Patient?gender=female", "anna cleo"),
        ("Patient?gender:not=female", "bert"),
        ("Patient?gender=female&active=true", "anna"),
        ("Patient?active=false", "bert"),
        ("Patient?active:missing=true", "cleo"),
        ("Patient?active:missing=false", "anna bert"),
        ("Observation?code=http://loinc.org|8480-6", "high low"),
        ("Observation?code=8480-6&subject=Patient/anna", "low"),
        ("Encounter?class=urn:class|IMP", "stay"),
        ("Encounter?status=finished,in-progress", "stay visit"),
    ])
    .await;
}

#[tokio::test]
async fn strings() {
    check(&[
        ("Patient?family=m%C3%BCll", "anna bert"),
        ("Patient?family=MULLER", "anna bert"),
        ("Patient?family=ller", ""),
        ("Patient?family:contains=ller", "anna bert"),
        ("Patient?family:contains=SMITH", "bert cleo"),
        ("Patient?family:exact=M%C3%BCller", "anna"),
        ("Patient?family:exact=m%C3%BCller", ""),
        ("Patient?name=eva", "anna"),
        ("Patient?given=anna,cleo", "anna cleo"),
        ("Patient?family=smith&given=cleo", "cleo"),
    ])
    .await;
}

#[tokio::test]
async fn dates() {
    check(&[
        ("Patient?birthdate=1950-01-31", "anna"),
        ("Patient?birthdate=1950", "anna"),
        ("Patient?birthdate=1962-07-15", ""),
        ("Patient?birthdate=1962", "bert"),
        ("Patient?birthdate=ne1950", "bert cleo"),
        ("Patient?birthdate=lt1960", "anna"),
        ("Patient?birthdate=ge1962", "bert cleo"),
        ("Patient?birthdate=gt1962-07", "cleo"),
        ("Patient?birthdate=le1962-07", "anna bert"),
        ("Patient?birthdate=sa1962-07", "cleo"),
        ("Patient?birthdate=eb1962", "anna"),
        ("Patient?birthdate=ge1951&birthdate=lt1970", "bert"),
        ("Encounter?date=2026-03", "stay"),
        ("Encounter?date=2026-03-02", ""),
        ("Encounter?date=ge2026-03-04", "visit"),
        ("Encounter?date=lt2026-03-02", "stay"),
        ("Observation?date=2026-03-02T09:30:00Z", "low"),
        ("Observation?date=2026-03-02T04:30:00-05:00", "low"),
        ("Observation?date=gt2026-03-02T09:30:00Z", "high"),
        ("Patient?_lastUpdated=2026-03-06", "anna bert cleo"),
        ("Patient?_lastUpdated=lt2026-03-06", ""),
    ])
    .await;
}

#[tokio::test]
async fn references_and_chains() {
    check(&[
        ("Encounter?subject=Patient/anna", "stay"),
        ("Encounter?subject=anna", "stay"),
        ("Encounter?subject:Patient=anna", "stay"),
        ("Encounter?subject=Group/anna", ""),
        ("Encounter?patient=anna,bert", "stay visit"),
        (
            "Encounter?subject=https://elsewhere.example/Patient/anna",
            "",
        ),
        ("Encounter?subject:Patient.family=smith", ""),
        ("Encounter?subject:Patient.family:contains=smith", "visit"),
        ("Encounter?patient.name=anna", "stay"),
        ("Encounter?patient.identifier=urn:mrn|1", "stay"),
        ("Encounter?patient.organization.name=harbor", "stay"),
        ("Patient?organization.name=harbor", "anna"),
        ("Patient?organization:missing=true", "bert cleo"),
        ("Patient/anna/Encounter", "stay"),
        ("Patient/anna/Observation?code=8480-6", "low"),
        ("Patient/cleo/Encounter", ""),
    ])
    .await;
}

#[tokio::test]
async fn quantities() {
    check(&[
        ("Observation?value-quantity=gt130", "high"),
        ("Observation?value-quantity=120", "low"),
        (
            "Observation?value-quantity=le120|http://unitsofmeasure.org|mm[Hg]",
            "low",
        ),
        ("Observation?value-quantity=ge100||mm[Hg]", "high low"),
        (
            "Observation?value-quantity=ge100|http://unitsofmeasure.org|kg",
            "",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_reference_by_our_own_url_is_local() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let query = format!("Encounter?subject={}/Patient/anna", baton.base());
        let found = baton.search(&query).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["id"], "stay");
    })
    .await;
}

#[tokio::test]
async fn matches_come_in_the_order_asked_for() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (sort, expected) in [
            ("birthdate", "anna bert cleo"),
            ("-birthdate", "cleo bert anna"),
            ("family", "anna bert cleo"),
            ("-family", "cleo bert anna"),
            ("gender,-birthdate", "cleo anna bert"),
            ("_id", "anna bert cleo"),
            ("-_id", "cleo bert anna"),
        ] {
            let bundle = baton
                .get(&format!("/Patient?_sort={sort}"))
                .await
                .expect(200);
            assert_eq!(ids(&bundle, "match").join(" "), expected, "{sort}");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    on_each_store("", NOW, async |baton| {
        for number in 0..7 {
            let patient = json!({
                "resourceType": "Patient", "id": format!("p{number}"),
                "birthDate": format!("19{}-01-01", 50 + number / 2),
            });
            baton
                .put(&format!("/Patient/p{number}"), &patient)
                .await
                .expect(201);
        }
        for query in [
            "_count=2",
            "_count=3&_sort=birthdate",
            "_count=1&_sort=-birthdate,_id",
        ] {
            let mut url = format!("{}/Patient?{query}&_total=accurate", baton.base());
            let mut found = Vec::new();
            loop {
                let page = baton
                    .request(&format!("GET {url}"))
                    .send()
                    .await
                    .expect(200);
                assert_eq!(page["total"], 7, "{query}");
                found.extend(ids(&page, "match"));
                assert!(found.len() <= 7, "{query}: {found:?}");
                let Some(next) = link(&page, "next") else {
                    break;
                };
                url = next.to_owned();
            }
            if query.contains("-birthdate") {
                assert_eq!(found, ["p6", "p4", "p5", "p2", "p3", "p0", "p1"], "{query}");
            }
            found.sort();
            assert_eq!(found.join(" "), "p0 p1 p2 p3 p4 p5 p6", "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn only_the_number_of_matches() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for query in ["_summary=count", "_count=0"] {
            let path = format!("/Patient?gender=female&{query}");
            let bundle = baton.get(&path).await.expect(200);
            assert_eq!(bundle["total"], 2, "{query}");
            assert_eq!(bundle.get("entry"), None, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_belongs_to_the_matches_is_included() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (query, matches, includes) in [
            (
                "Encounter?_id=stay&_include=Encounter:subject",
                "stay",
                "anna",
            ),
            (
                "Encounter?_include=Encounter:patient",
                "stay visit",
                "anna bert",
            ),
            (
                "Patient?_include=Patient:organization",
                "anna bert cleo",
                "clinic",
            ),
            ("Patient?_id=cleo&_include=Patient:organization", "cleo", ""),
            (
                "Patient?_id=anna&_revinclude=Encounter:subject",
                "anna",
                "stay",
            ),
            (
                "Patient?_id=anna&_revinclude=Encounter:subject&_revinclude=Observation:subject",
                "anna",
                "low stay",
            ),
            (
                "Encounter?_id=stay&_include=Encounter:subject:Group",
                "stay",
                "",
            ),
        ] {
            let bundle = baton.get(&format!("/{query}")).await.expect(200);
            let sorted = |mode| {
                let mut found = ids(&bundle, mode);
                found.sort();
                found.join(" ")
            };
            assert_eq!(sorted("match"), matches, "{query}");
            assert_eq!(sorted("include"), includes, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_parameter_that_is_not_known_is_not_passed_over() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (handling, query, expected) in [
            ("", "Patient?colour=red", "400 not-supported"),
            ("handling=strict", "Patient?colour=red", "400 not-supported"),
            (
                "handling=strict",
                "Patient?_colour=red",
                "400 not-supported",
            ),
            (
                "handling=lenient",
                "Patient?family:wrong=x",
                "400 not-supported",
            ),
            (
                "handling=lenient",
                "Patient?birthdate=tomorrow",
                "400 value",
            ),
            ("", "Patient?_sort=colour", "400"),
            ("", "Patient?_count=some", "400 value"),
            ("", "Patient?_include=Patient:colour", "400"),
            ("", "Pacient?_id=x", "404 not-supported"),
        ] {
            let request = baton
                .request(&format!("GET /{query}"))
                .header("Prefer", handling);
            let refusal = request.send().await.refusal();
            assert!(
                refusal.starts_with(expected),
                "{handling} {query}: {refusal}"
            );
        }
        let refusal = baton.get("/Patient?colour=red").await.refusal();
        for known in [
            "birthdate",
            "family",
            "general-practitioner",
            "_lastUpdated",
        ] {
            assert!(refusal.contains(known), "{refusal}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_passed_over_is_reported() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (handling, query) in [
            ("", "gender=male&_colour=red"),
            ("handling=lenient", "gender=male&_colour=red"),
            ("handling=lenient", "gender=male&colour=red"),
        ] {
            let request = baton.request(&format!("GET /Patient?{query}"));
            let bundle = request.header("Prefer", handling).send().await.expect(200);
            assert_eq!(ids(&bundle, "match"), ["bert"], "{query}");
            let outcome = each(&bundle, "entry")
                .find(|entry| entry["search"]["mode"] == "outcome")
                .unwrap();
            let issue = &outcome["resource"]["issue"][0];
            assert_eq!(issue["severity"], "warning", "{query}");
            assert!(issue.to_string().contains("colour"), "{issue}");
            let own = link(&bundle, "self").unwrap();
            assert!(own.ends_with("/Patient?gender=male"), "{own}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_search_may_come_as_a_form() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (line, form, expected) in [
            (
                "POST /Patient/_search",
                "gender=female&family=smith",
                "cleo",
            ),
            (
                "POST /Patient/_search?gender=female",
                "family=m%C3%BCller",
                "anna",
            ),
            ("POST /Patient/_search?gender=male", "", "bert"),
        ] {
            let request = baton
                .request(line)
                .text("application/x-www-form-urlencoded", form);
            let bundle = request.send().await.expect(200);
            assert_eq!(ids(&bundle, "match").join(" "), expected, "{line} {form}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_search_by_post_that_is_no_form_is_refused() {
    on_each_store("", NOW, async |baton| {
        let request = baton.request("POST /Patient/_search");
        let refusal = request
            .text("application/fhir+json", "{}")
            .send()
            .await
            .refusal();
        assert!(refusal.starts_with("415 not-supported"), "{refusal}");
    })
    .await;
}

#[tokio::test]
async fn a_resource_is_found_by_what_it_is_now() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let mut anna = baton.read("/Patient/anna").await;
        anna["name"][0]["family"] = json!("Zander");
        anna.as_object_mut()
            .unwrap()
            .shift_remove("managingOrganization");
        baton.put("/Patient/anna", &anna).await.expect(200);
        for (query, expected) in [
            ("Patient?family=muller", "bert"),
            ("Patient?family=zander", "anna"),
            ("Patient?organization=clinic", ""),
            ("Encounter?subject:Patient.family=zander", "stay"),
        ] {
            let bundle = baton.get(&format!("/{query}")).await.expect(200);
            assert_eq!(ids(&bundle, "match").join(" "), expected, "{query}");
        }
    })
    .await;
}

/// Matches without a value come last, whichever way the order goes, and on some page.
#[tokio::test]
async fn matches_without_a_value_are_on_the_last_pages() {
    on_each_store("", NOW, async |baton| {
        for (id, birth_date) in [
            ("a", "1971"),
            ("b", ""),
            ("c", "1950"),
            ("d", ""),
            ("e", "1960"),
        ] {
            let mut patient = json!({ "resourceType": "Patient", "id": id, "language": "en" });
            if !birth_date.is_empty() {
                patient["birthDate"] = json!(birth_date);
            }
            baton
                .put(&format!("/Patient/{id}"), &patient)
                .await
                .expect(201);
        }
        for (sort, expected) in [("birthdate", "c e a"), ("-birthdate", "a e c")] {
            for count in 1..=3 {
                let query = format!("Patient?_sort={sort}&_count={count}");
                let found = baton.search(&query).await;
                let mut found: Vec<&str> = found.iter().map(|found| text(found, "id")).collect();
                let mut last = found.split_off(3);
                last.sort_unstable();
                assert_eq!(found.join(" "), expected, "{query}");
                assert_eq!(last, ["b", "d"], "{query}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_written_between_pages_does_not_move_them() {
    on_each_store("", NOW, async |baton| {
        for id in ["a", "c", "e"] {
            let patient = json!({ "resourceType": "Patient", "id": id, "birthDate": "1950" });
            baton
                .put(&format!("/Patient/{id}"), &patient)
                .await
                .expect(201);
        }
        let first = baton.get("/Patient?_sort=_id&_count=2").await.expect(200);
        assert_eq!(ids(&first, "match"), ["a", "c"]);
        let earlier = json!({ "resourceType": "Patient", "id": "b", "birthDate": "1950" });
        baton.put("/Patient/b", &earlier).await.expect(201);
        baton.delete("/Patient/a").await.expect(204);
        let next = link(&first, "next").unwrap();
        let second = baton
            .request(&format!("GET {next}"))
            .send()
            .await
            .expect(200);
        assert_eq!(ids(&second, "match"), ["e"]);
        assert_eq!(link(&second, "next"), None);
    })
    .await;
}

#[tokio::test]
async fn a_resource_is_in_the_answer_once() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let mut stay = baton.read("/Encounter/stay").await;
        stay["partOf"] = json!({ "reference": "Encounter/visit" });
        baton.put("/Encounter/stay", &stay).await.expect(200);
        let query = "Encounter?_include=Encounter:part-of&_include=Encounter:subject\
                     &_include=Encounter:patient";
        let bundle = baton.get(&format!("/{query}")).await.expect(200);
        let mut matches = ids(&bundle, "match");
        matches.sort();
        assert_eq!(matches, ["stay", "visit"]);
        let mut includes = ids(&bundle, "include");
        includes.sort();
        assert_eq!(includes, ["anna", "bert"]);
    })
    .await;
}
