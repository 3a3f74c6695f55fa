//! `search`: chains, reverse chains, `_filter`, `_list`, several types, and what is included:
//! <https://hl7.org/fhir/R4/search.html>.

use serde_json::{Value, json};

use crate::rest::NOW;
use crate::support::server::{Baton, each, link, on_each_store};

fn reference(to: &str) -> Value {
    json!({ "reference": to })
}

fn observation(id: &str, subject: &str, code: &str, more: &Value) -> Value {
    let mut resource = json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "code": { "coding": [{ "system": "http://loinc.org", "code": code }] },
        "subject": reference(subject),
    });
    let fields = more.as_object().cloned().unwrap_or_default();
    resource.as_object_mut().unwrap().extend(fields);
    resource
}

/// Two patients and a group, two organisations one part of the other, visits, measurements, a list.
fn world() -> Vec<Value> {
    let encounter = json!({ "encounter": reference("Encounter/stay") });
    let members =
        json!({ "hasMember": [reference("Observation/low"), reference("Observation/high")] });
    vec![
        json!({ "resourceType": "Organization", "id": "system", "name": "Harbor Health" }),
        json!({
            "resourceType": "Organization", "id": "clinic", "name": "Harbor Clinic",
            "partOf": reference("Organization/system"),
        }),
        json!({ "resourceType": "Practitioner", "id": "joe", "name": [{ "family": "Joe" }] }),
        json!({
            "resourceType": "Patient", "id": "anna", "gender": "female", "birthDate": "1950-01-31",
            "name": [{ "family": "Müller", "given": ["Anna"] }],
            "meta": { "tag": [{ "system": "urn:tags", "code": "panel" }] },
            "text": {
                "status": "generated",
                "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">Lives with <b>her cat</b></div>",
            },
            "managingOrganization": reference("Organization/clinic"),
            "generalPractitioner": [reference("Practitioner/joe")],
        }),
        json!({
            "resourceType": "Patient", "id": "bert", "gender": "male", "birthDate": "1962-07-01",
            "name": [{ "family": "Smith", "given": ["Bert"] }],
        }),
        json!({
            "resourceType": "Location", "id": "ward", "name": "Anna ward",
            "managingOrganization": reference("Organization/clinic"),
        }),
        json!({
            "resourceType": "Encounter", "id": "stay", "status": "finished",
            "class": { "system": "urn:class", "code": "IMP" },
            "subject": reference("Patient/anna"),
            "location": [{ "location": reference("Location/ward") }],
            "serviceProvider": reference("Organization/clinic"),
        }),
        observation("low", "Patient/anna", "8480-6", &encounter),
        observation(
            "high",
            "Patient/bert",
            "8480-6",
            &json!({ "valueString": "high" }),
        ),
        observation("room", "Location/ward", "60832-3", &json!({})),
        observation("panel", "Patient/anna", "85354-9", &members),
        json!({
            "resourceType": "List", "id": "mine", "status": "current", "mode": "working",
            "entry": [{ "item": reference("Patient/bert") }, { "item": reference("Observation/low") }],
        }),
        json!({
            "resourceType": "Condition", "id": "flu", "subject": reference("Patient/anna"),
            "meta": { "tag": [{ "system": "urn:tags", "code": "panel" }] },
        }),
    ]
}

async fn prepare(baton: &Baton) {
    for resource in world() {
        let path = format!(
            "/{}/{}",
            text(&resource, "resourceType"),
            text(&resource, "id")
        );
        baton.put(&path, &resource).await.expect(201);
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// `Type/id` of the entries with this mode, in their order.
fn keys(bundle: &Value, mode: &str) -> Vec<String> {
    each(bundle, "entry")
        .filter(|entry| entry["search"]["mode"] == mode)
        .map(|entry| &entry["resource"])
        .map(|resource| {
            format!(
                "{}/{}",
                text(resource, "resourceType"),
                text(resource, "id")
            )
        })
        .collect()
}

async fn search(baton: &Baton, query: &str) -> Value {
    let answer = baton.get(&format!("/{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    answer.json()
}

/// Asserts what each query finds, in any order: matches, or what they include.
async fn check(mode: &str, rows: &[(&str, &str)]) {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for (query, expected) in rows {
            let mut found = keys(&search(baton, query).await, mode);
            found.sort();
            assert_eq!(found.join(" "), *expected, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn chains_lead_to_every_type_that_has_the_parameter() {
    check(
        "match",
        &[
            // a patient and a place
            (
                "Observation?subject.name=anna",
                "Observation/low Observation/panel Observation/room",
            ),
            (
                "Observation?subject:Patient.name=anna",
                "Observation/low Observation/panel",
            ),
            ("Observation?subject:Location.name=anna", "Observation/room"),
            ("Observation?subject.gender=male", "Observation/high"),
            ("Observation?subject._id=ward", "Observation/room"),
            (
                "Observation?subject._tag=urn:tags|panel",
                "Observation/low Observation/panel",
            ),
            ("Observation?patient._lastUpdated=gt2030", ""),
            (
                "Observation?patient.organization.partof.name=harbor%20health",
                "Observation/low Observation/panel",
            ),
            (
                "Observation?encounter.location.organization.partof._id=system",
                "Observation/low",
            ),
            (
                "Observation?patient.gender:not=male",
                "Observation/low Observation/panel",
            ),
            (
                "Observation?patient.organization:missing=true",
                "Observation/high",
            ),
            (
                "Observation?has-member.subject:Patient.name=smith",
                "Observation/panel",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn reverse_chains_start_at_what_refers() {
    check(
        "match",
        &[
            (
                "Patient?_has:Observation:patient:code=http://loinc.org|8480-6",
                "Patient/anna Patient/bert",
            ),
            (
                "Patient?_has:Observation:patient:code=85354-9",
                "Patient/anna",
            ),
            ("Patient?_has:Observation:subject:code=60832-3", ""),
            (
                "Location?_has:Observation:subject:code=60832-3",
                "Location/ward",
            ),
            (
                "Patient?_has:Observation:patient:code:not=8480-6",
                "Patient/anna",
            ),
            (
                "Patient?_has:Observation:patient:_id=low,high&gender=male",
                "Patient/bert",
            ),
            (
                "Patient?_has:Observation:patient:encounter.class=IMP",
                "Patient/anna",
            ),
            (
                "Patient?_has:Observation:patient:_has:Observation:has-member:code=85354-9",
                "Patient/anna Patient/bert",
            ),
            (
                "Organization?_has:Patient:organization:_has:Encounter:patient:class=IMP",
                "Organization/clinic",
            ),
            (
                "Encounter?patient._has:Observation:patient:code=85354-9",
                "Encounter/stay",
            ),
            (
                "Observation?patient._has:List:item:_id=mine",
                "Observation/high",
            ),
            (
                "Patient?_has:Observation:patient:value-string=high",
                "Patient/bert",
            ),
            ("Patient?_list=mine", "Patient/bert"),
            ("Observation?_list=mine", "Observation/low"),
            ("Observation?_list=none", ""),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_words_of_narratives_are_found() {
    check(
        "match",
        &[
            ("Patient?_text=CAT", "Patient/anna"),
            ("Patient?_text=cat%20lives", "Patient/anna"),
            ("Patient?_text=cat%20dog", ""),
            ("Patient?_text=dog,cat", "Patient/anna"),
            ("Patient?_text=xhtml", ""),
            (
                "Observation?subject:Patient._text=cat",
                "Observation/low Observation/panel",
            ),
            ("?_text=cat", "Patient/anna"),
        ],
    )
    .await;
}

#[tokio::test]
async fn filters_are_conditions_joined_by_words() {
    check("match", &[
        ("Patient?_filter=name%20co%20%22ull%22", "Patient/anna"),
        ("Patient?_filter=given%20eq%20%22anna%22%20and%20birthdate%20ge%201950-01-31", "Patient/anna"),
        ("Patient?_filter=given%20eq%20%22ann%22", ""),
        ("Patient?_filter=family%20ew%20ith", "Patient/bert"),
        ("Patient?_filter=gender%20eq%20male%20or%20family%20sw%20m", "Patient/anna Patient/bert"),
        ("Patient?_filter=not%20(gender%20eq%20male)", "Patient/anna"),
        ("Patient?_filter=gender%20ne%20male", "Patient/anna"),
        ("Patient?_filter=organization%20pr%20false", "Patient/bert"),
        ("Patient?_filter=birthdate%20po%201962", "Patient/bert"),
        ("Patient?_filter=birthdate%20gt%201950-02&gender=male", "Patient/bert"),
        ("Observation?_filter=code%20eq%20http://loinc.org|8480-6%20and%20subject:Patient.name%20co%20%22smi%22", "Observation/high"),
        ("Observation?_filter=subject:Patient[gender%20eq%20female].birthdate%20lt%201960", "Observation/low Observation/panel"),
        ("Observation?_filter=has-member%20re%20Observation/low", "Observation/panel"),
        ("?_type=Patient,Observation&_filter=_id%20eq%20anna%20or%20_id%20eq%20low", "Observation/low Patient/anna"),
    ])
    .await;
}

#[tokio::test]
async fn a_search_goes_over_several_types() {
    check(
        "match",
        &[
            (
                "?_type=Patient,Location&_count=50",
                "Location/ward Patient/anna Patient/bert",
            ),
            ("?_type=Patient&gender=male", "Patient/bert"),
            ("?_tag=urn:tags|panel", "Condition/flu Patient/anna"),
            ("?_id=anna,low", "Observation/low Patient/anna"),
            (
                "?_type=Observation,Condition&patient=anna",
                "Condition/flu Observation/low Observation/panel",
            ),
            (
                "?_type=Patient,Location&name=anna",
                "Location/ward Patient/anna",
            ),
            ("?_list=mine", "Observation/low Patient/bert"),
            (
                "?_type=Patient,Location&_has:Observation:subject:_id=low,room",
                "Location/ward Patient/anna",
            ),
            (
                "Patient/anna/*",
                "Condition/flu Encounter/stay Observation/low Observation/panel Patient/anna",
            ),
            (
                "Patient/anna/*?_type=Condition,Encounter",
                "Condition/flu Encounter/stay",
            ),
            ("Patient/anna/Observation?code=8480-6", "Observation/low"),
        ],
    )
    .await;
}

#[tokio::test]
async fn pages_of_several_types_follow_each_other() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        for sort in ["", "&_sort=-_lastUpdated,_id", "&_sort=_id"] {
            let mut found = Vec::new();
            let mut url = format!("?_type=Patient,Observation,Organization&_count=3{sort}");
            loop {
                let bundle = search(baton, &url).await;
                found.extend(keys(&bundle, "match"));
                match link(&bundle, "next") {
                    Some(next) => url = format!("?{}", next.split_once('?').unwrap().1),
                    None => break,
                }
            }
            let all: std::collections::BTreeSet<_> = found.iter().collect();
            assert_eq!((found.len(), all.len()), (8, 8), "{sort}: {found:?}");
        }
        let counted = search(baton, "?_type=Patient,Observation&_summary=count").await;
        assert_eq!(counted["total"], 6);
    })
    .await;
}

#[tokio::test]
async fn a_form_may_search_all_types() {
    on_each_store("", NOW, async |baton| {
        prepare(baton).await;
        let request = baton.request("POST /_search?_type=Patient");
        let form = request.text("application/x-www-form-urlencoded", "gender=male");
        let bundle = form.send().await.expect(200);
        assert_eq!(keys(&bundle, "match"), ["Patient/bert"]);
        let itself = link(&bundle, "self").unwrap();
        assert!(
            itself.ends_with("/fhir?_type=Patient&gender=male"),
            "{itself}"
        );
    })
    .await;
}

#[tokio::test]
async fn includes_go_on_where_they_iterate() {
    check("include", &[
        ("Observation?_id=low&_include=*", "Encounter/stay Patient/anna"),
        ("Observation?_id=low&_include=Observation:*", "Encounter/stay Patient/anna"),
        ("Observation?_id=low&_include=Observation:subject:Location", ""),
        ("Observation?_id=low&_include=Observation:encounter&_include:iterate=Encounter:location", "Encounter/stay Location/ward"),
        (
            "Observation?_id=low&_include=Observation:encounter&_include:iterate=Encounter:service-provider&_include:iterate=Organization:partof",
            "Encounter/stay Organization/clinic Organization/system",
        ),
        ("Observation?_id=panel&_include:iterate=Observation:has-member&_include:iterate=Observation:subject",
            "Observation/high Observation/low Patient/anna Patient/bert"),
        ("Organization?_id=system&_revinclude:iterate=Organization:partof&_revinclude:iterate=Patient:organization",
            "Organization/clinic Patient/anna"),
        ("Organization?_id=system&_revinclude=Organization:partof&_revinclude=Patient:organization", "Organization/clinic"),
        ("Patient?_id=anna&_revinclude=*", "Condition/flu Encounter/stay Observation/low Observation/panel"),
        ("Patient?_id=bert&_revinclude=Observation:*", "Observation/high"),
        ("Patient?_id=bert&_revinclude=Observation:subject&_revinclude:iterate=Observation:has-member", "Observation/high Observation/panel"),
        ("Patient?_id=anna&_revinclude=Observation:encounter", ""),
        ("?_type=Patient,Encounter&_id=anna,stay&_include=Patient:general-practitioner&_include=Encounter:location", "Location/ward Practitioner/joe"),
    ])
    .await;
}

#[tokio::test]
async fn what_a_page_cannot_include_is_led_to() {
    on_each_store("", NOW, async |baton| {
        for patient in ["few", "many"] {
            let resource = json!({ "resourceType": "Patient", "id": patient });
            baton
                .put(&format!("/Patient/{patient}"), &resource)
                .await
                .expect(201);
        }
        let entries: Vec<Value> = (0..1_005)
            .map(|number| if number == 0 { "few" } else { "many" })
            .map(|patient| observation("", &format!("Patient/{patient}"), "1", &json!({})))
            .map(|mut resource| {
                resource.as_object_mut().unwrap().remove("id");
                let request = json!({ "method": "POST", "url": "Observation" });
                json!({ "resource": resource, "request": request })
            })
            .collect();
        let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": entries });
        baton.post("/", &bundle).await.expect(200);
        let query = "Patient?_revinclude=Observation:subject&_count=2";
        // the page is made shorter, and the next one goes on
        let first = search(baton, query).await;
        assert_eq!(keys(&first, "match"), ["Patient/few"]);
        assert_eq!(keys(&first, "include").len(), 1);
        assert_eq!(keys(&first, "outcome").len(), 0);
        let next = link(&first, "next").unwrap();
        let (_, next) = next.rsplit_once('/').unwrap();
        let second = search(baton, next).await;
        assert_eq!(keys(&second, "match"), ["Patient/many"]);
        assert_eq!(keys(&second, "include").len(), 1_000);
        let outcome = each(&second, "entry").last().unwrap();
        assert_eq!(outcome["resource"]["issue"][0]["code"], "too-costly");
        let related = link(&second, "related").unwrap();
        let (_, related) = related.rsplit_once("/fhir/").unwrap();
        assert_eq!(related, "Observation?subject=Patient/many");
        let rest = search(baton, &format!("{related}&_summary=count")).await;
        assert_eq!(rest["total"], 1_004);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_supported_is_refused_with_its_reason() {
    on_each_store("", NOW, async |baton| {
        for (query, reason) in [
            ("Patient?_contained=true", "'_contained' is not supported"),
            (
                "Patient?_containedType=container",
                "'_containedType' is not supported",
            ),
            ("Patient?_query=mine", "'_query' is not supported"),
            ("Patient?_list=$current-allergies", "functional list"),
            (
                "Patient?_filter=name%20xx%20a",
                "at character 5: an operator was expected",
            ),
            (
                "Patient?_include=Patient:nothing",
                "names no reference parameter",
            ),
            (
                "Patient?_has:Observation:encounter:code=1",
                "does not refer to what is searched",
            ),
            ("?name=a", "is not known"),
        ] {
            let answer = baton.get(&format!("/{query}")).await;
            assert_eq!(answer.status, 400, "{query}: {}", answer.text);
            assert!(answer.text.contains(reason), "{query}: {}", answer.text);
        }
    })
    .await;
}
