//! Compartment search: <https://hl7.org/fhir/R4/http.html#vsearch>.

use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::{Baton, on_each_store};

fn observation(id: &str, more: &Value) -> Value {
    let mut observation = json!({
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": { "text": "weight" },
    });
    let more = more.as_object().unwrap().clone();
    observation.as_object_mut().unwrap().extend(more);
    observation
}

async fn record(baton: &Baton) {
    let to = |reference: &str| json!({ "reference": reference });
    let encounter = json!({
        "resourceType": "Encounter", "id": "e", "status": "finished",
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" },
        "subject": to("Patient/anna"),
        "participant": [{ "individual": to("Practitioner/p") }],
    });
    let resources = [
        patient("anna", "Miller"),
        json!({ "resourceType": "Practitioner", "id": "p" }),
        json!({ "resourceType": "Device", "id": "d" }),
        json!({ "resourceType": "RelatedPerson", "id": "r", "patient": to("Patient/anna") }),
        encounter,
        observation(
            "1",
            &json!({
                "subject": to("Patient/anna"), "encounter": to("Encounter/e"),
                "performer": [to("Practitioner/p")],
            }),
        ),
        observation("2", &json!({ "subject": to("Device/d") })),
        observation(
            "3",
            &json!({
                "subject": to("Patient/anna"), "device": to("Device/d"),
                "performer": [to("RelatedPerson/r")],
            }),
        ),
    ];
    for resource in resources {
        let (name, id) = (&resource["resourceType"], &resource["id"]);
        let path = format!("/{}/{}", name.as_str().unwrap(), id.as_str().unwrap());
        baton.put(&path, &resource).await.expect(201);
    }
}

#[tokio::test]
async fn a_compartment_is_what_its_definition_says() {
    on_each_store("", NOW, async |baton| {
        record(baton).await;
        for (query, expected) in [
            (
                "Patient/anna/Observation",
                &["Observation/1", "Observation/3"][..],
            ),
            ("Encounter/e/Observation", &["Observation/1"]),
            ("Encounter/e/Encounter", &["Encounter/e"]),
            ("Practitioner/p/Observation", &["Observation/1"]),
            ("Practitioner/p/Encounter", &["Encounter/e"]),
            ("RelatedPerson/r/Observation", &["Observation/3"]),
            // by subject, and by device
            ("Device/d/Observation", &["Observation/2", "Observation/3"]),
            (
                "Device/d/Observation?subject=Patient/anna",
                &["Observation/3"],
            ),
            ("Encounter/none/Observation", &[]),
            ("Encounter/e/*", &["Encounter/e", "Observation/1"]),
            (
                "Device/d/*?_type=Observation",
                &["Observation/2", "Observation/3"],
            ),
        ] {
            let mut found: Vec<String> = baton
                .search(query)
                .await
                .iter()
                .map(|it| {
                    let part = |name: &str| it[name].as_str().unwrap().to_owned();
                    format!("{}/{}", part("resourceType"), part("id"))
                })
                .collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{query}");
        }
        let page = baton.read("/Device/d/Observation?_count=1").await;
        let next = crate::support::server::link(&page, "next").unwrap();
        assert!(next.contains("/Device/d/Observation?"), "{next}");
    })
    .await;
}

#[tokio::test]
async fn what_is_in_no_compartment_is_refused() {
    on_each_store("", NOW, async |baton| {
        for (query, expected) in [
            (
                "/Organization/o/Observation",
                "501 not-supported there is no compartment of a Organization; there is one of \
                 Device, Encounter, Patient, Practitioner, RelatedPerson",
            ),
            (
                "/Patient/anna/Organization",
                "400 not-supported resources of type Organization are not in the compartment of a \
                 Patient",
            ),
            (
                "/Patient/anna/Foo",
                "404 not-supported Foo is not a resource type of FHIR R4",
            ),
        ] {
            assert_eq!(baton.get(query).await.refusal(), expected, "{query}");
        }
    })
    .await;
}
