//! `$everything` of a patient and of an encounter.

use std::collections::BTreeSet;

use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::{Baton, each, link, on_each_store};

fn keys(bundle: &Value) -> Vec<String> {
    let resources = each(bundle, "entry").map(|entry| &entry["resource"]);
    resources
        .map(|resource| {
            let part = |name: &str| resource[name].as_str().unwrap_or("-").to_owned();
            format!("{}/{}", part("resourceType"), part("id"))
        })
        .collect()
}

fn observation(id: &str, patient: &str, date: &str) -> Value {
    json!({
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": { "text": "weight" },
        "subject": { "reference": format!("Patient/{patient}") },
        "performer": [{ "reference": "Practitioner/p" }],
        "effectiveDateTime": date,
        "encounter": { "reference": "Encounter/e" },
    })
}

/// A record of two patients who share a practitioner.
async fn record(baton: &Baton) {
    let mut anna = patient("anna", "Miller");
    anna["managingOrganization"] = json!({ "reference": "Organization/o" });
    let encounter = json!({
        "resourceType": "Encounter",
        "id": "e",
        "status": "finished",
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" },
        "subject": { "reference": "Patient/anna" },
        "location": [{ "location": { "reference": "Location/l" } }],
        "period": { "start": "2026-01-10", "end": "2026-01-12" },
    });
    let resources = [
        json!({ "resourceType": "Organization", "id": "o", "name": "Org" }),
        json!({ "resourceType": "Organization", "id": "unrelated", "name": "Other" }),
        json!({
            "resourceType": "Location", "id": "l", "name": "Ward",
            "managingOrganization": { "reference": "Organization/of-ward" },
        }),
        json!({ "resourceType": "Organization", "id": "of-ward", "name": "House" }),
        json!({ "resourceType": "Practitioner", "id": "p" }),
        patient("berta", "Smith"),
        observation("b1", "berta", "2026-01-11"),
        anna,
        encounter,
        observation("a1", "anna", "2026-01-11"),
        observation("a2", "anna", "2026-02-11"),
        json!({
            "resourceType": "AllergyIntolerance", "id": "x",
            "clinicalStatus": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                "code": "active",
            }] },
            "patient": { "reference": "Patient/anna" },
            "recorder": { "reference": "Practitioner/missing" },
        }),
    ];
    for resource in resources {
        let (name, id) = (&resource["resourceType"], &resource["id"]);
        let path = format!("/{}/{}", name.as_str().unwrap(), id.as_str().unwrap());
        baton.put(&path, &resource).await.expect(201);
    }
}

const MEMBERS: [&str; 5] = [
    "Patient/anna",
    "Encounter/e",
    "Observation/a1",
    "Observation/a2",
    "AllergyIntolerance/x",
];
const OUTSIDE: [&str; 4] = [
    "Location/l",
    "Organization/o",
    "Organization/of-ward",
    "Practitioner/p",
];

async fn check(baton: &Baton, query: &str, expected: &[&str]) {
    let bundle = baton.read(query).await;
    assert_eq!(bundle["type"], "searchset");
    assert_eq!(keys(&bundle), expected, "{query}");
}

#[tokio::test]
async fn everything_of_a_patient_and_nothing_of_others() {
    on_each_store("", NOW, async |baton| {
        record(baton).await;
        let all = [&MEMBERS[..], &OUTSIDE[..]].concat();
        check(baton, "/Patient/anna/$everything", &all).await;
        let bundle = baton.read("/Patient/anna/$everything").await;
        let modes: Vec<&str> = each(&bundle, "entry")
            .map(|entry| entry["search"]["mode"].as_str().unwrap())
            .collect();
        assert_eq!(modes[..5], ["match"; 5]);
        assert_eq!(modes[5..], ["include"; 4]);
        let url = format!("{}/Patient/anna/$everything", baton.base());
        assert_eq!(link(&bundle, "self"), Some(url.as_str()));
        let posted = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "_type", "valueCode": "Observation" },
        ] });
        let posted = baton
            .post("/Patient/anna/$everything", &posted)
            .await
            .expect(200);
        assert_eq!(keys(&posted), ["Observation/a1", "Observation/a2"]);
        let xml = baton.get("/Patient/anna/$everything?_format=xml").await;
        assert_eq!(xml.text.matches("<fullUrl").count(), all.len());
        baton.delete("/Patient/berta").await.expect(204);
        assert_eq!(baton.get("/Patient/berta/$everything").await.status, 410);
        assert_eq!(baton.get("/Patient/never/$everything").await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn a_part_may_be_asked_for() {
    on_each_store("", NOW, async |baton| {
        record(baton).await;
        let path = "/Patient/anna/$everything";
        for (query, expected) in [
            ("_type=Observation,Patient", &["Patient/anna", "Observation/a1", "Observation/a2"][..]),
            ("_type=Observation&_type=Encounter", &["Encounter/e", "Observation/a1", "Observation/a2"]),
            ("_type=Organization", &["Organization/o", "Organization/of-ward"]),
            ("_type=Goal", &[]),
            ("_since=2027-01-01T00:00:00Z", &[]),
            (
                "start=2026-01-11&end=2026-01-31&_type=Patient,Encounter,Observation,AllergyIntolerance",
                &["Patient/anna", "Encounter/e", "Observation/a1", "AllergyIntolerance/x"],
            ),
            ("start=2026-02&_type=Encounter,Observation", &["Observation/a2"]),
            ("end=2025&_type=Encounter,Observation", &[]),
        ] {
            check(baton, &format!("{path}?{query}"), expected).await;
        }
        let practitioner = json!({ "resourceType": "Practitioner", "id": "p", "active": true });
        baton.clock("2026-03-08T00:00:00Z").await;
        baton.put("/Practitioner/p", &practitioner).await.expect(200);
        check(baton, &format!("{path}?_since=2026-03-07T00:00:00Z"), &["Practitioner/p"]).await;
        for (query, expected) in [
            ("_type=Foo", "400 value _type: Foo is not a resource type of FHIR R4"),
            ("start=soon", "400 value start is no date"),
            ("_since=2026", "400 value _since is no instant such as 2026-03-06T16:10:00-05:00"),
            ("_count=0", "400 value _count is no number above 0"),
            ("_page=x", "400 value _page is no place of ours"),
        ] {
            let refusal = baton.get(&format!("{path}?{query}")).await.refusal();
            assert_eq!(refusal, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn everything_comes_in_pages_each_once() {
    on_each_store("", NOW, async |baton| {
        record(baton).await;
        let all = [&MEMBERS[..], &OUTSIDE[..]].concat();
        for count in 1..11 {
            let mut found = Vec::new();
            let mut next = Some(format!(
                "{}/Patient/anna/$everything?_count={count}",
                baton.base()
            ));
            while let Some(url) = next {
                let page = baton
                    .request(&format!("GET {url}"))
                    .send()
                    .await
                    .expect(200);
                let keys = keys(&page);
                assert!(keys.len() <= count, "{keys:?}");
                found.extend(keys);
                next = link(&page, "next").map(str::to_owned);
            }
            assert_eq!(found, all, "{count}");
        }
    })
    .await;
}

#[tokio::test]
async fn everything_of_an_encounter() {
    on_each_store("", NOW, async |baton| {
        record(baton).await;
        let expected = [
            "Encounter/e",
            "Observation/b1",
            "Observation/a1",
            "Observation/a2",
            "Location/l",
            "Organization/o",
            "Organization/of-ward",
            "Patient/anna",
            "Practitioner/p",
        ];
        check(baton, "/Encounter/e/$everything", &expected).await;
        check(
            baton,
            "/Encounter/e/$everything?_type=Patient",
            &["Patient/anna"],
        )
        .await;
    })
    .await;
}

/// Resources of one patient in the test of a long record.
const MANY: usize = 3_000;

#[tokio::test]
async fn a_long_record_is_sent_whole() {
    on_each_store("[validation]\nlevel = \"off\"\n", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Miller"))
            .await
            .expect(201);
        let note = "x".repeat(1_000);
        let entries: Vec<Value> = (0..MANY)
            .map(|number| {
                let mut resource = observation(&format!("o{number}"), "anna", "2026-01-11");
                resource["note"] = json!([{ "text": note }]);
                resource["performer"][0]["reference"] =
                    json!(format!("Practitioner/p{}", number % 50));
                let url = format!("Observation/o{number}");
                json!({ "resource": resource, "request": { "method": "PUT", "url": url } })
            })
            .collect();
        let practitioners = (0..50).map(|number| {
            let resource = json!({ "resourceType": "Practitioner", "id": format!("p{number}") });
            let url = format!("Practitioner/p{number}");
            json!({ "resource": resource, "request": { "method": "PUT", "url": url } })
        });
        let entries: Vec<Value> = practitioners.chain(entries).collect();
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
        baton.post("", &bundle).await.expect(200);
        let request = baton.request("GET /Patient/anna/$everything");
        let packed = request.header("Accept-Encoding", "gzip").send_bytes().await;
        let mut unpacked = String::new();
        GzDecoder::new(packed.as_slice())
            .read_to_string(&mut unpacked)
            .unwrap();
        assert!(unpacked.ends_with("]}"), "compressed, it comes to its end");
        let answer = baton.get("/Patient/anna/$everything").await;
        // sent in pieces, so that nobody knew the length before
        assert_eq!(answer.header("content-length"), None);
        assert!(
            answer.text.len() > MANY * note.len(),
            "{}",
            answer.text.len()
        );
        let keys = keys(&answer.expect(200));
        assert_eq!(keys.len(), 1 + MANY + 50);
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
    })
    .await;
}
