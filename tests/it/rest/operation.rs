//! Operations: <https://hl7.org/fhir/R4/operations.html>.

mod document;
mod everything;
mod meta;
mod openapi;
mod patient_match;
mod purge;

use serde_json::{Value, json};

use crate::rest::{NOW, patient};
use crate::support::server::on_each_store;

/// A Parameters of named values: `("meta", "valueMeta", …)`.
fn parameters(values: &[(&str, &str, Value)]) -> Value {
    let parameters: Vec<Value> = values
        .iter()
        .map(|(name, key, value)| json!({ "name": name, *key: value }))
        .collect();
    json!({ "resourceType": "Parameters", "parameter": parameters })
}

#[tokio::test]
async fn what_is_not_offered_is_refused_in_words() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Miller"))
            .await
            .expect(201);
        for (request, expected) in [
            (
                "GET /$nothing",
                "404 not-supported $nothing is not a resource type of FHIR R4",
            ),
            (
                "GET /Patient/$everything",
                "404 not-supported there is no operation $everything on Patient (there is \
                 Patient/[id]/$everything, Encounter/[id]/$everything) here; /fhir/metadata says \
                 which there are",
            ),
            (
                "GET /Practitioner/p/$everything",
                "404 not-supported there is no operation $everything on Practitioner/p (there is \
                 Patient/[id]/$everything, Encounter/[id]/$everything) here; /fhir/metadata says \
                 which there are",
            ),
            (
                "GET /Patient/anna/$meta-add",
                "405 not-supported GET is not supported here; /fhir/metadata says what is",
            ),
            (
                "GET /Patient/anna/$everything?_sort=name",
                "400 invalid $everything has no parameter _sort; it has start, end, _since, _type, \
                 _count, _page",
            ),
            (
                "GET /Patient/anna/$meta?x=1",
                "400 invalid $meta has no parameter x; it has none",
            ),
            (
                "GET /Patient/anna/$everything?start=2020&start=2021",
                "400 invalid the parameter start may be given once",
            ),
            (
                "GET /Patientx/$meta",
                "404 not-supported Patientx is not a resource type of FHIR R4",
            ),
            (
                "GET /Patient/none/$meta",
                "404 not-found Patient/none is not known",
            ),
        ] {
            assert_eq!(
                baton.request(request).send().await.refusal(),
                expected,
                "{request}"
            );
        }
        let wrong = baton
            .post("/Patient/anna/$meta", &patient("anna", "Miller"))
            .await;
        assert_eq!(
            wrong.refusal(),
            "400 invalid $meta takes a resource of type Parameters"
        );
        let unnamed = json!({ "resourceType": "Parameters", "parameter": [{ "valueCode": "x" }] });
        let unnamed = baton.post("/Patient/anna/$meta-add", &unnamed).await;
        assert_eq!(
            unnamed.refusal(),
            "400 required Parameters.parameter[0] has no name"
        );
    })
    .await;
}

#[tokio::test]
async fn an_answer_comes_as_it_is_wanted() {
    on_each_store("", NOW, async |baton| {
        baton
            .put("/Patient/anna", &patient("anna", "Miller"))
            .await
            .expect(201);
        let xml = baton.get("/Patient/anna/$meta?_format=xml").await;
        assert_eq!(xml.status, 200);
        assert!(xml.text.contains("<Parameters xmlns"), "{}", xml.text);
        let body = "<Parameters xmlns=\"http://hl7.org/fhir\"><parameter><name value=\"meta\"/>\
                    <valueMeta><tag><code value=\"x\"/></tag></valueMeta></parameter></Parameters>";
        let request = baton.request("POST /Patient/anna/$meta-add");
        let added = request
            .text("application/fhir+xml", body)
            .send()
            .await
            .expect(200);
        assert_eq!(added["parameter"][0]["valueMeta"]["tag"][0]["code"], "x");
    })
    .await;
}
