//! `capabilities`: what the statement claims is served: <https://hl7.org/fhir/R4/http.html#capabilities>.

use serde_json::{Value, json};

use crate::rest::NOW;
use crate::support::server::{Baton, each, on_each_store};

/// The resource types of R4: 148, two of them abstract.
const TYPES: usize = 146;

/// Requests in one batch, so that each is answered in time on a busy machine.
const BATCH_ENTRIES: usize = 250;

/// Every interaction that the statement claims of a type.
const CLAIMED: [&str; 9] = [
    "create",
    "delete",
    "history-instance",
    "history-type",
    "patch",
    "read",
    "search-type",
    "update",
    "vread",
];

/// A value that a parameter of this type can have; a year can be anything.
fn value(name: &str, kind: &str) -> &'static str {
    match kind {
        "composite" if name.ends_with("-coordinate") => "2026$2026$2026",
        "composite" => "2026$2026",
        "date" => "2026-01-01",
        "number" | "quantity" => "1",
        "uri" => "urn:x",
        _ => "x",
    }
}

async fn batch(baton: &Baton, requests: &[(&str, String)]) -> Vec<(String, String)> {
    let entries: Vec<Value> = requests
        .iter()
        .map(|(method, url)| json!({ "request": { "method": method, "url": url } }))
        .collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": entries });
    let answer = baton.post("", &bundle).await.expect(200);
    let statuses = each(&answer, "entry").map(|entry| {
        let outcome = &entry["response"]["outcome"];
        // What is not done as it was asked is told in an entry of the Bundle that was found.
        let mut found = each(&entry["resource"], "entry");
        let told = found.find(|entry| entry["search"]["mode"] == "outcome");
        let outcome = told.map_or(outcome, |told| &told["resource"]);
        let text = outcome["issue"][0]["details"]["text"]
            .as_str()
            .unwrap_or_default();
        (
            entry["response"]["status"].as_str().unwrap().to_owned(),
            text.to_owned(),
        )
    });
    statuses.collect()
}

#[tokio::test]
async fn the_statement_says_who_it_is() {
    on_each_store("", NOW, async |baton| {
        let statement = baton.read("/metadata").await;
        assert_eq!(statement["resourceType"], "CapabilityStatement");
        assert_eq!(statement["status"], "active");
        assert_eq!(statement["kind"], "instance");
        assert_eq!(statement["fhirVersion"], "4.0.1");
        assert_eq!(statement["implementation"]["url"], baton.base());
        assert!(each(&statement, "format").any(|format| format == "application/fhir+json"));
        let rest = &statement["rest"][0];
        assert_eq!(rest["mode"], "server");
        assert_eq!(each(rest, "resource").count(), TYPES);
        for resource in each(rest, "resource") {
            let mut interactions: Vec<&str> = each(resource, "interaction")
                .map(|interaction| interaction["code"].as_str().unwrap())
                .collect();
            interactions.sort_unstable();
            assert_eq!(interactions, CLAIMED, "{}", resource["type"]);
        }
        let outcome = baton
            .post("/CapabilityStatement/$validate", &statement)
            .await
            .expect(200);
        let is_wrong = each(&outcome, "issue").any(|issue| issue["severity"] == "error");
        assert!(!is_wrong, "{outcome}");
    })
    .await;
}

#[tokio::test]
async fn every_claimed_search_parameter_and_include_is_served() {
    on_each_store("", NOW, async |baton| {
        let statement = baton.read("/metadata").await;
        let mut requests = Vec::new();
        for resource in each(&statement["rest"][0], "resource") {
            let resource_type = resource["type"].as_str().unwrap();
            for parameter in each(resource, "searchParam") {
                let (name, kind) = (&parameter["name"], parameter["type"].as_str().unwrap());
                let name = name.as_str().unwrap();
                requests.push((
                    "GET",
                    format!("{resource_type}?{name}={}", value(name, kind)),
                ));
            }
            for (list, name) in [
                ("searchInclude", "_include"),
                ("searchRevInclude", "_revinclude"),
            ] {
                for include in each(resource, list) {
                    let include = include.as_str().unwrap();
                    requests.push(("GET", format!("{resource_type}?{name}={include}&_count=1")));
                }
            }
        }
        assert!(requests.len() > TYPES * 3, "{}", requests.len());
        let mut answers = Vec::with_capacity(requests.len());
        for part in requests.chunks(BATCH_ENTRIES) {
            answers.extend(batch(baton, part).await);
        }
        let refused: Vec<String> = requests
            .iter()
            .zip(answers)
            .filter(|(_, (status, told))| status != "200 OK" || !told.is_empty())
            .map(|((_, url), (status, text))| format!("{url}: {status} {text}"))
            .collect();
        assert!(refused.is_empty(), "{}", refused.join("\n"));
    })
    .await;
}

#[tokio::test]
async fn every_type_is_read_searched_and_remembered() {
    on_each_store("", NOW, async |baton| {
        let statement = baton.read("/metadata").await;
        for resource in each(&statement["rest"][0], "resource") {
            let resource_type = resource["type"].as_str().unwrap();
            for (path, expected) in [
                (format!("/{resource_type}/never"), 404),
                (format!("/{resource_type}/never/_history/1"), 404),
                (format!("/{resource_type}/never/_history"), 404),
                (format!("/{resource_type}/_history"), 200),
                (format!("/{resource_type}"), 200),
            ] {
                let status = baton.get(&path).await.status;
                assert_eq!(status, expected, "{path}");
            }
        }
    })
    .await;
}

/// A bare resource of each type is a whole one where nothing is required; where something is, the
/// answer says what.
#[tokio::test]
async fn every_type_is_written() {
    on_each_store("", NOW, async |baton| {
        let statement = baton.read("/metadata").await;
        let mut created = 0;
        for resource in each(&statement["rest"][0], "resource") {
            let resource_type = resource["type"].as_str().unwrap();
            let path = format!("/{resource_type}/x");
            let mut body = json!({ "resourceType": resource_type, "id": "x", "language": "en" });
            let answer = baton.put(&path, &body).await;
            if answer.status == 422 {
                let refusal = answer.refusal();
                let is_told = refusal.contains("required") || refusal.contains("invariant");
                assert!(is_told, "{resource_type}: {refusal}");
                continue;
            }
            assert_eq!(answer.status, 201, "{resource_type}: {}", answer.text);
            created += 1;
            body["language"] = json!("de");
            baton.put(&path, &body).await.expect(200);
            assert_eq!(baton.read(&path).await["language"], "de");
            assert_eq!(baton.get(&format!("{path}/_history/1")).await.status, 200);
            let found = baton.search(&format!("{resource_type}?_id=x")).await;
            assert_eq!(found.len(), 1, "{resource_type}");
            baton.delete(&path).await.expect(204);
            assert_eq!(baton.versions(&path).await.len(), 3, "{resource_type}");
            baton
                .post(&format!("/{resource_type}"), &body)
                .await
                .expect(201);
        }
        assert!(created > 30, "{created}");
    })
    .await;
}

/// What is claimed of an operation is at least that it is known where it is claimed: it may miss
/// parameters or a resource.
#[tokio::test]
async fn every_claimed_operation_is_served() {
    on_each_store("", NOW, async |baton| {
        let statement = baton.read("/metadata").await;
        let rest = &statement["rest"][0];
        // A claim and the places where it may be served: on the type, on an instance, or on both.
        let mut claims: Vec<Vec<String>> = each(rest, "operation")
            .map(|operation| vec![format!("/${}", operation["name"].as_str().unwrap())])
            .collect();
        for resource in each(rest, "resource") {
            let resource_type = resource["type"].as_str().unwrap();
            for operation in each(resource, "operation") {
                assert!(operation["definition"].is_string());
                let name = operation["name"].as_str().unwrap();
                claims.push(vec![
                    format!("/{resource_type}/x/${name}"),
                    format!("/{resource_type}/${name}"),
                ]);
            }
        }
        assert!(claims.len() > TYPES * 4, "{}", claims.len());
        for places in claims {
            let mut is_served = false;
            for path in &places {
                let answer = baton.request(&format!("POST {path}")).send().await;
                is_served |=
                    answer.status == 200 || !answer.refusal().contains("there is no operation");
            }
            assert!(is_served, "{places:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_claimed_compartment_and_system_interaction_is_served() {
    on_each_store("", NOW, async |baton| {
        let statement = baton.read("/metadata").await;
        let rest = &statement["rest"][0];
        let mut compartments: Vec<&str> = each(rest, "compartment")
            .map(|url| url.as_str().unwrap().rsplit('/').next().unwrap())
            .collect();
        compartments.sort_unstable();
        assert_eq!(
            compartments,
            [
                "device",
                "encounter",
                "patient",
                "practitioner",
                "relatedPerson"
            ]
        );
        for name in [
            "Device",
            "Encounter",
            "Patient",
            "Practitioner",
            "RelatedPerson",
        ] {
            for member in ["Observation", "*"] {
                baton.get(&format!("/{name}/x/{member}")).await.expect(200);
            }
        }
        let codes: Vec<&str> = each(rest, "interaction")
            .map(|interaction| interaction["code"].as_str().unwrap())
            .collect();
        for (code, path) in [
            ("history-system", "/_history"),
            ("search-system", "/?_type=Patient"),
        ] {
            assert!(codes.contains(&code));
            baton.get(path).await.expect(200);
        }
        for (code, bundle_type) in [("transaction", "transaction"), ("batch", "batch")] {
            assert!(codes.contains(&code));
            let bundle = json!({ "resourceType": "Bundle", "type": bundle_type });
            baton.post("", &bundle).await.expect(200);
        }
        assert_eq!(codes.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn each_mode_has_its_statement() {
    on_each_store("", NOW, async |baton| {
        let terminology = baton.read("/metadata?mode=terminology").await;
        assert_eq!(terminology["resourceType"], "TerminologyCapabilities");
        let path = "/TerminologyCapabilities/$validate";
        let outcome = baton.post(path, &terminology).await.expect(200);
        let is_wrong = each(&outcome, "issue").any(|issue| issue["severity"] == "error");
        assert!(!is_wrong, "{outcome}");
        let mut systems = each(&terminology, "codeSystem");
        let gender = "http://hl7.org/fhir/administrative-gender";
        assert!(systems.any(|system| system["uri"] == gender));
        let normative = baton.read("/metadata?mode=normative").await;
        assert_eq!(each(&normative["rest"][0], "resource").count(), 11);
        assert_eq!(
            baton.read("/metadata?mode=full").await,
            baton.read("/metadata").await
        );
        assert_eq!(
            baton.get("/metadata?mode=all").await.refusal(),
            "400 value mode is full, normative or terminology"
        );
    })
    .await;
}

#[tokio::test]
async fn limits_and_what_is_not_searched_are_told() {
    on_each_store("", NOW, async |baton| {
        let statement = baton.read("/metadata").await;
        let rest = &statement["rest"][0];
        let text = rest["documentation"].as_str().unwrap();
        for limit in ["67108864 bytes", "50 matches", "1000 at most"] {
            assert!(text.contains(limit), "{text}");
        }
        let location = each(rest, "resource")
            .find(|it| it["type"] == "Location")
            .unwrap();
        let text = location["documentation"].as_str().unwrap();
        assert!(text.contains("near"), "{text}");
        for resource in each(rest, "resource") {
            let mut parameters = each(resource, "searchParam");
            assert!(parameters.all(|parameter| parameter["definition"].is_string()));
        }
    })
    .await;
}
