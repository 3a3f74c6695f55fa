//! Rates of the REST API, and of a bare handler that returns the bytes of the read.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use reqwest::Client;
use serde_json::{Value, json};

use crate::CONNECTIONS;
use crate::table::{Row, measure};

/// Entries of a transaction.
pub(crate) const ENTRIES: usize = 20;

pub(crate) async fn rows(server: SocketAddr) -> Vec<Row> {
    let client = Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let base = format!("http://{server}/fhir");
    let first = create(&client, &base, 0).await.unwrap();
    let bare_read = bare(get_text(&client, &first).await).await;
    let mut rows = vec![
        ask(
            "bare axum handler, the bytes of the read",
            &client,
            move |_| bare_read.clone(),
        )
        .await,
        ask("read by id", &client, move |_| first.clone()).await,
        creates(&client, &base).await,
    ];
    let by_identifier = {
        let base = base.clone();
        move |number| format!("{base}/Patient?identifier=urn:load%7C{}", number % 1000)
    };
    rows.push(ask("search by identifier", &client, by_identifier).await);
    let by_name = {
        let base = base.clone();
        move |number| format!("{base}/Patient?name=load{}&_count=20", number % 10)
    };
    let bare_page = bare(get_text(&client, &by_name(0)).await).await;
    rows.push(
        ask(
            "bare axum handler, the bytes of the search by name",
            &client,
            move |_| bare_page.clone(),
        )
        .await,
    );
    rows.push(ask("search by name (20 of many)", &client, by_name).await);
    rows.push(transactions(&client, &base).await);
    rows
}

async fn get_text(client: &Client, url: &str) -> String {
    client.get(url).send().await.unwrap().text().await.unwrap()
}

/// Asks for URLs that must be answered 200 with a Patient.
async fn ask(
    name: &str,
    client: &Client,
    url: impl Fn(usize) -> String + Send + Sync + 'static,
) -> Row {
    let client = client.clone();
    measure(name, CONNECTIONS, move |number| {
        let request = client.get(url(number));
        async move {
            match request.send().await {
                Ok(response) if response.status() == 200 => response
                    .text()
                    .await
                    .is_ok_and(|text| text.contains("urn:load:account")),
                _ => false,
            }
        }
    })
    .await
}

async fn creates(client: &Client, base: &str) -> Row {
    let (client, base) = (client.clone(), base.to_owned());
    measure("create, validated, durable", CONNECTIONS, move |number| {
        let (client, base) = (client.clone(), base.clone());
        async move { create(&client, &base, number).await.is_some() }
    })
    .await
}

/// Creates a Patient; gives its URL.
async fn create(client: &Client, base: &str, number: usize) -> Option<String> {
    let request = client
        .post(format!("{base}/Patient"))
        .body(patient(number).to_string());
    let response = request
        .header("Content-Type", "application/fhir+json")
        .send()
        .await
        .ok()?;
    (response.status() == 201).then_some(())?;
    let location = response
        .headers()
        .get("Location")?
        .to_str()
        .ok()?
        .to_owned();
    let body = response.bytes().await.ok()?;
    (!body.is_empty()).then(|| {
        location
            .split("/_history")
            .next()
            .unwrap_or_default()
            .to_owned()
    })
}

async fn transactions(client: &Client, base: &str) -> Row {
    let (client, base) = (client.clone(), base.to_owned());
    let name = format!("transaction of {ENTRIES} entries (× {ENTRIES} resources)");
    measure(&name, CONNECTIONS, move |number| {
        let body = bundle(number).to_string();
        let request = client
            .post(&base)
            .header("Content-Type", "application/fhir+json");
        async move {
            match request.body(body).send().await {
                Ok(response) => response.status() == 200 && response.bytes().await.is_ok(),
                Err(_) => false,
            }
        }
    })
    .await
}

/// A transaction: a Patient and Observations about it.
pub(crate) fn bundle(number: usize) -> Value {
    let subject = format!("urn:uuid:00000000-0000-4000-8000-{number:012}");
    let entry = |url: &str, full_url: Option<&str>, resource: Value| {
        let mut entry =
            json!({ "resource": resource, "request": { "method": "POST", "url": url } });
        if let Some(full_url) = full_url {
            entry["fullUrl"] = json!(full_url);
        }
        entry
    };
    let mut entries = vec![entry("Patient", Some(&subject), patient(number))];
    entries.extend((1..ENTRIES).map(|index| {
        let observation = json!({
            "resourceType": "Observation",
            "status": "final",
            "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4" }] },
            "subject": { "reference": subject },
            "effectiveDateTime": "2026-03-04T10:00:00-05:00",
            "valueQuantity": {
                "value": 60 + index,
                "unit": "/min",
                "system": "http://unitsofmeasure.org",
                "code": "/min",
            },
        });
        entry("Observation", None, observation)
    }));
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries })
}

/// A Patient such as a registration desk sends.
pub(crate) fn patient(number: usize) -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [
            { "system": "urn:load", "value": number.to_string() },
            { "system": "urn:load:account", "value": format!("A{number}") },
        ],
        "active": true,
        "name": [{ "use": "official", "family": format!("Load{}", number % 1000), "given": ["Ada", "May"] }],
        "telecom": [
            { "system": "phone", "value": "555-0100", "use": "home" },
            { "system": "email", "value": "ada@example.org" },
        ],
        "gender": "female",
        "birthDate": "1950-01-31",
        "address": [{
            "use": "home",
            "line": ["1 Example Street"],
            "city": "Springfield",
            "state": "NY",
            "postalCode": "12345",
            "country": "US",
        }],
        "maritalStatus": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus",
            "code": "M",
        }] },
    })
}

/// A server that does nothing but answer with a text; gives its URL.
async fn bare(text: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", get(move || async move { text.clone() }));
    #[expect(clippy::disallowed_methods, reason = "it ends with the program")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
