//! Conformance resources that clients write take effect with the answer, also after a restart and
//! in another process.

use serde_json::{Value, json};

use crate::packages::{NOW, basic, profile, value_set};
use crate::support::database::on_each_url;
use crate::support::server::{Baton, on_each_store};

const SHADED: &str = "http://example.org/StructureDefinition/shaded";

/// The status of a create of a Basic with this code that claims the profile.
async fn create(baton: &Baton, code: &str) -> u16 {
    baton.post("/Basic", &basic(SHADED, code)).await.status
}

async fn put(baton: &Baton, resource: &Value) -> u16 {
    let [resource_type, id] = ["resourceType", "id"].map(|key| resource[key].as_str().unwrap());
    baton
        .put(&format!("/{resource_type}/{id}"), resource)
        .await
        .status
}

#[tokio::test]
async fn a_profile_is_in_force_with_the_answer_to_its_writer() {
    on_each_store("", NOW, async |baton| {
        assert_eq!(create(baton, "red").await, 201, "nobody knows the profile");
        assert_eq!(put(baton, &value_set("1", "grey")).await, 201);
        assert_eq!(put(baton, &profile("shaded", "1")).await, 201);
        assert_eq!(create(baton, "grey").await, 201);
        assert_eq!(create(baton, "red").await, 422);
        // An update of what the profile refers to.
        assert_eq!(put(baton, &value_set("1", "red")).await, 200);
        assert_eq!(create(baton, "grey").await, 422);
        assert_eq!(create(baton, "red").await, 201);
        // Without the profile everything is allowed again.
        assert_eq!(
            baton.delete("/StructureDefinition/shaded").await.status,
            204
        );
        assert_eq!(create(baton, "grey").await, 201);
    })
    .await;
}

#[tokio::test]
async fn what_packages_define_is_not_changed_by_clients() {
    const GENDER: &str = "http://hl7.org/fhir/administrative-gender";
    on_each_store("", NOW, async |baton| {
        let code_system = json!({
            "resourceType": "CodeSystem", "id": "gender", "url": GENDER, "version": "99",
            "status": "active", "content": "complete", "concept": [{ "code": "klingon" }],
        });
        let parameter = json!({
            "resourceType": "SearchParameter", "id": "gender", "status": "active", "type": "string",
            "url": "http://example.org/SearchParameter/gender", "name": "gender",
            "code": "gender", "description": "gender", "base": ["Patient"],
            "expression": "Patient.name.family",
        });
        for resource in [code_system, parameter] {
            let line = format!("PUT /{}/gender", resource["resourceType"].as_str().unwrap());
            let answer = baton
                .request(&line)
                .header("Prefer", "return=OperationOutcome")
                .json(&resource)
                .send()
                .await;
            assert_eq!(answer.status, 201, "{}", answer.text);
            assert!(
                answer.text.contains("a package that is loaded"),
                "{}",
                answer.text
            );
        }
        baton
            .create(&json!({ "resourceType": "Patient", "gender": "male" }))
            .await;
        assert_eq!(baton.search("Patient?gender=male").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_transaction_is_in_force_as_a_whole() {
    on_each_store("", NOW, async |baton| {
        let entry = |resource: Value| {
            let [resource_type, id] =
                ["resourceType", "id"].map(|key| resource[key].as_str().unwrap().to_owned());
            json!({
                "resource": resource,
                "request": { "method": "PUT", "url": format!("{resource_type}/{id}") },
            })
        };
        let bundle = json!({
            "resourceType": "Bundle", "type": "transaction",
            "entry": [entry(value_set("1", "grey")), entry(profile("shaded", "1"))],
        });
        baton.post("", &bundle).await.expect(200);
        assert_eq!(create(baton, "red").await, 422);
        assert_eq!(create(baton, "grey").await, 201);
    })
    .await;
}

#[tokio::test]
async fn what_is_stored_is_in_force_after_a_restart() {
    on_each_url(async |url| {
        let baton = Baton::start(&url, "", NOW).await;
        assert_eq!(put(&baton, &value_set("1", "grey")).await, 201);
        assert_eq!(put(&baton, &profile("shaded", "1")).await, 201);
        baton.stop().await;
        let baton = Baton::start(&url, "", NOW).await;
        assert_eq!(create(&baton, "red").await, 422);
        assert_eq!(create(&baton, "grey").await, 201);
        baton.stop().await;
    })
    .await;
}

/// So often another process reads the feed, and some patience.
const OTHER_PROCESS: std::time::Duration = std::time::Duration::from_mins(2);

#[tokio::test]
async fn another_process_on_the_same_database_follows() {
    on_each_url(async |url| {
        if url.starts_with("sqlite:") {
            return;
        }
        let one = Baton::start(&url, "", NOW).await;
        let other = Baton::start(&url, "", NOW).await;
        assert_eq!(put(&one, &value_set("1", "grey")).await, 201);
        assert_eq!(put(&one, &profile("shaded", "1")).await, 201);
        let follows = async {
            while create(&other, "red").await != 422 {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(OTHER_PROCESS, follows).await.unwrap();
        other.stop().await;
        one.stop().await;
    })
    .await;
}

/// A profile of `base` as people write it: what is different only.
fn differential(id: &str, base: &str, element: &Value) -> Value {
    json!({
        "resourceType": "StructureDefinition", "id": id, "status": "draft", "kind": "resource",
        "url": format!("http://example.org/StructureDefinition/{id}"),
        "name": "Dated", "abstract": false, "type": "Basic",
        "baseDefinition": base, "derivation": "constraint",
        "differential": { "element": [{ "id": "Basic", "path": "Basic" }, element] },
    })
}

const BASIC: &str = "http://hl7.org/fhir/StructureDefinition/Basic";

#[tokio::test]
async fn a_differential_is_enough() {
    let dated = json!({ "id": "Basic.created", "path": "Basic.created", "min": 1 });
    let authored = json!({ "id": "Basic.author", "path": "Basic.author", "min": 1 });
    let unknown = json!({ "id": "Basic.colour", "path": "Basic.colour", "min": 1 });
    let claims = |profile: &str| {
        json!({
            "resourceType": "Basic", "code": { "text": "x" }, "created": "2026-01-01",
            "meta": { "profile": [format!("http://example.org/StructureDefinition/{profile}")] },
        })
    };
    on_each_store("", NOW, async |baton| {
        let refused = baton
            .put(
                "/StructureDefinition/wrong",
                &differential("wrong", BASIC, &unknown),
            )
            .await;
        assert_eq!(refused.status, 422);
        assert!(refused.text.contains("Basic.colour"), "{}", refused.text);
        // What a profile builds on may come later, and may change.
        let base = "http://example.org/StructureDefinition/dated";
        assert_eq!(
            put(baton, &differential("authored", base, &authored)).await,
            201
        );
        assert_eq!(baton.post("/Basic", &claims("authored")).await.status, 201);
        assert_eq!(put(baton, &differential("dated", BASIC, &dated)).await, 201);
        assert_eq!(baton.post("/Basic", &claims("dated")).await.status, 201);
        assert_eq!(
            baton.post("/Basic", &claims("authored")).await.status,
            422,
            "no author"
        );
        let mut undated = claims("dated");
        undated.as_object_mut().unwrap().remove("created");
        assert_eq!(baton.post("/Basic", &undated).await.status, 422);
    })
    .await;
}

#[tokio::test]
async fn what_has_no_effect_is_stored_and_says_why() {
    let parameter = |changes: Value| {
        let mut parameter = json!({
            "resourceType": "SearchParameter", "id": "shade", "status": "draft",
            "url": "http://example.org/SearchParameter/shade", "name": "shade", "code": "shade",
            "description": "shade", "base": ["Basic"], "type": "token",
            "expression": "Basic.code",
        });
        for (key, value) in changes.as_object().unwrap() {
            parameter[key] = value.clone();
        }
        parameter
    };
    let mut broken_rule = profile("ruled", "1");
    broken_rule["snapshot"]["element"][0]["constraint"] = json!([{
        "key": "sh-1", "severity": "error", "human": "x", "expression": "foo(((",
    }]);
    let mut new_type = profile("shaded", "1");
    new_type["derivation"] = json!("specialization");
    // That a type of the specification is specialised by itself is wrong besides.
    on_each_store("[validation]\non_failure = \"warn\"", NOW, async |baton| {
        for (resource, expected) in [
            (parameter(json!({})), None),
            (
                parameter(json!({ "expression": "Basic.code.where(" })),
                Some("Basic: "),
            ),
            (
                parameter(json!({ "type": "special" })),
                Some("composite and special"),
            ),
            (new_type.clone(), Some("the types of R4 are fixed")),
            (
                broken_rule.clone(),
                Some("The constraint sh-1 of Basic is not checked"),
            ),
        ] {
            let [resource_type, id] =
                ["resourceType", "id"].map(|key| resource[key].as_str().unwrap());
            let answer = baton
                .request(&format!("PUT /{resource_type}/{id}"))
                .header("Prefer", "return=OperationOutcome")
                .json(&resource)
                .send()
                .await;
            assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
            match expected {
                Some(expected) => assert!(answer.text.contains(expected), "{}", answer.text),
                None => assert!(!answer.text.contains("no effect"), "{}", answer.text),
            }
            assert_eq!(
                baton.get(&format!("/{resource_type}/{id}")).await.status,
                200
            );
        }
    })
    .await;
}

/// More resources than are indexed before the writer of a parameter is answered.
const MANY: usize = 450;

/// So long indexing what is stored may take.
const INDEXING: std::time::Duration = std::time::Duration::from_mins(1);

fn colour(expression: &str) -> Value {
    json!({
        "resourceType": "SearchParameter", "id": "colour", "status": "draft",
        "url": "http://example.org/SearchParameter/colour", "name": "colour", "code": "colour",
        "description": "colour", "base": ["Basic"], "type": "token", "expression": expression,
    })
}

/// How many a search finds; nothing while it is refused.
async fn found(baton: &Baton, query: &str) -> Option<u64> {
    let answer = baton.get(query).await;
    if answer.status == 400 {
        assert!(
            answer.text.contains("still being indexed"),
            "{}",
            answer.text
        );
        return None;
    }
    answer.expect(200)["total"].as_u64()
}

/// The same once it is not refused any more.
async fn found_at_last(baton: &Baton, query: &str) -> u64 {
    let finds = async {
        loop {
            match found(baton, query).await {
                Some(total) => return total,
                None => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(INDEXING, finds).await.unwrap()
}

#[tokio::test]
async fn a_search_parameter_finds_what_is_stored_and_what_comes() {
    const RED: &str = "/Basic?colour=red&_summary=count";
    on_each_store("", NOW, async |baton| {
        let plain = |code: &str| json!({ "resourceType": "Basic", "code": { "coding": [{ "code": code }] } });
        baton.create(&plain("red")).await;
        baton.create(&plain("blue")).await;
        assert_eq!(baton.get(RED).await.status, 400, "nobody knows the parameter");
        // Where little is stored, all of it is found with the answer to the writer.
        assert_eq!(put(baton, &colour("Basic.code")).await, 201);
        assert_eq!(found(baton, RED).await, Some(1));
        baton.create(&plain("red")).await;
        assert_eq!(found(baton, RED).await, Some(2));
        // Another expression finds other values, of what is stored too; and the first again.
        assert_eq!(put(baton, &colour("Basic.code.text")).await, 200);
        assert_eq!(found_at_last(baton, RED).await, 0);
        assert_eq!(put(baton, &colour("Basic.code")).await, 200);
        assert_eq!(found_at_last(baton, RED).await, 2);
        // What is written while nobody knows the parameter is found when it comes back.
        assert_eq!(baton.delete("/SearchParameter/colour").await.status, 204);
        assert_eq!(baton.get(RED).await.status, 400);
        baton.create(&plain("red")).await;
        assert_eq!(put(baton, &colour("Basic.code")).await, 201);
        assert_eq!(found_at_last(baton, RED).await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_part_of_the_matches_is_never_shown_as_the_whole() {
    const RED: &str = "/Basic?colour=red&_summary=count";
    on_each_url(async |url| {
        let baton = Baton::start(&url, "", NOW).await;
        let entry = json!({
            "resource": { "resourceType": "Basic", "code": { "coding": [{ "code": "red" }] } },
            "request": { "method": "POST", "url": "Basic" },
        });
        let bundle = json!({
            "resourceType": "Bundle", "type": "transaction", "entry": vec![entry; MANY],
        });
        baton.post("", &bundle).await.expect(200);
        assert_eq!(put(&baton, &colour("Basic.code")).await, 201);
        let is_all = |total: u64| total == MANY as u64;
        assert!(
            found(&baton, RED).await.is_none_or(is_all),
            "a part is not shown"
        );
        baton.stop().await;
        // Half done work is taken up again.
        let baton = Baton::start(&url, "", NOW).await;
        assert_eq!(found_at_last(&baton, RED).await, MANY as u64);
        baton.stop().await;
    })
    .await;
}
