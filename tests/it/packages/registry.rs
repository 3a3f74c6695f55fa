//! Packages from folders, the cache and a registry (a stand-in in this process): what is found, what
//! is refused, what versions mean.

use std::path::Path;

use axum::Router;
use axum::extract::Path as UrlPath;
use axum::http::StatusCode;
use axum::routing::get;
use baton::clock::Clock;
use baton::config::Config;
use baton::package::{self, Loaded, Sources, Wanted};
use baton::server::Server;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::packages::{archive, basic, manifest, profile, publish, value_set};
use crate::support::server::instant;

const SHADED: &str = "http://example.org/StructureDefinition/shaded";

/// A configuration with these packages and everything else in a folder of the test.
fn config(packages: &[&str], home: &Path) -> Config {
    Config {
        packages: packages.iter().map(ToString::to_string).collect(),
        package_folder: Some(home.join("packages")),
        package_cache: Some(home.join("cache")),
        package_images: Some(home.join("images")),
        ..Config::default()
    }
}

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("packages")).unwrap();
    home
}

async fn load(packages: &[&str], home: &Path) -> Result<Loaded, package::Error> {
    package::load(&config(packages, home)).await
}

/// Whether a code is accepted by a profile.
fn accepts(loaded: &Loaded, profile: &str, code: &str) -> bool {
    use fhir_model::tree::{Limits, Tree};
    let definitions = &loaded.definitions;
    assert!(definitions.structure(profile).is_some(), "{profile}");
    let validator = fhir_validation::Validator::new(definitions.clone());
    let text = basic(profile, code).to_string();
    let tree = Tree::parse(text, definitions.names(), &Limits::default()).unwrap();
    let options = fhir_validation::Options::default();
    let issues = validator.validate(tree.root(), "Basic", &[], &options);
    !issues.iter().any(fhir_model::issue::Issue::is_error)
}

/// A registry with some packages.
async fn registry(packages: Vec<(&'static str, Value, Vec<u8>)>) -> String {
    let packages: &'static [_] = Vec::leak(packages);
    let listing = async move |UrlPath(name): UrlPath<String>| {
        let found = packages.iter().find(|(found, ..)| *found == name);
        found.map_or((StatusCode::NOT_FOUND, String::new()), |(_, listing, _)| {
            (StatusCode::OK, listing.to_string())
        })
    };
    let content = async move |UrlPath((name, _)): UrlPath<(String, String)>| {
        let found = packages.iter().find(|(found, ..)| *found == name);
        found.map_or((StatusCode::NOT_FOUND, Vec::new()), |(_, _, bytes)| {
            (StatusCode::OK, bytes.clone())
        })
    };
    let router = Router::new()
        .route("/{name}", get(listing))
        .route("/{name}/{version}", get(content));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with the runtime of its test"
    )]
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn shades() -> Vec<u8> {
    let resources = [value_set("1.0.0", "grey"), profile("shaded", "1.0.0")];
    archive(&manifest("test.shades", "1.0.0", &json!({})), &resources)
}

fn listing(shasum: &str) -> Value {
    json!({ "versions": { "1.0.0": { "dist": { "shasum": shasum } } } })
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().concat()
}

fn sha1(bytes: &[u8]) -> String {
    hex(&sha1::Sha1::digest(bytes))
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[tokio::test]
async fn a_registry_is_asked_once_and_what_it_gives_is_kept() {
    let home = home();
    let bytes = shades();
    let listing = listing(&sha1(&bytes));
    let hashed = format!("test.shades@1.0.0#sha256:{}", sha256(&bytes));
    let url = registry(vec![("test.shades", listing, bytes)]).await;
    for wanted in ["test.shades@1.0.x", "test.shades@1.0.0", &hashed] {
        let mut config = config(&[wanted], home.path());
        config.package_registry = Some(url.clone());
        let loaded = package::load(&config).await.unwrap();
        assert!(accepts(&loaded, SHADED, "grey"));
        assert!(!accepts(&loaded, SHADED, "red"));
    }
    // From now on the network is not needed, and the hash still holds.
    let loaded = load(&[&hashed], home.path()).await.unwrap();
    assert!(loaded.is_from_image);
    let cached = home.path().join("cache/test.shades#1.0.0/package");
    assert!(cached.join("package.json").is_file());
    let entries = std::fs::read_dir(home.path().join("cache")).unwrap();
    assert_eq!(entries.count(), 1, "nothing half done is left");
    // Somebody changes a file of the cache: it is not what the configuration names any more.
    std::fs::write(cached.join("ValueSet-shade.json"), "{}").unwrap();
    let error = load(&[&hashed], home.path()).await.unwrap_err();
    assert!(
        error.to_string().contains("damaged or exchanged"),
        "{error}"
    );
}

#[tokio::test]
async fn what_a_registry_sends_is_checked() {
    let bytes = shades();
    let other = |name: &str| archive(&manifest(name, "1.0.0", &json!({})), &[]);
    let url = registry(vec![
        ("test.shades", listing("00"), bytes.clone()),
        ("test.other", json!({}), other("test.shades")),
        ("test.html", json!({}), b"<html>no archive</html>".to_vec()),
    ])
    .await;
    for (wanted, expected) in [
        ("test.shades@1.0.0", "has the hash"),
        ("test.other@1.0.0", "that of test.shades@1.0.0"),
        ("test.html@1.0.0", "cannot be used as a package"),
        (
            "test.absent@1.0.0",
            "package test.absent@1.0.0 was not found",
        ),
    ] {
        let home = home();
        let mut config = config(&[wanted], home.path());
        config.package_registry = Some(url.clone());
        let error = package::load(&config).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{wanted}: {error}");
    }
}

#[tokio::test]
async fn what_cannot_be_loaded_says_why_and_what_to_do() {
    let home = home();
    let folder = home.path().join("packages");
    publish(&folder, "test.shades", "1.0.0", &json!({}), &[]);
    let mut r5 = manifest("test.r5", "1.0.0", &json!({}));
    r5["fhirVersions"] = json!(["5.0.0"]);
    std::fs::write(folder.join("test.r5-1.0.0.tgz"), archive(&r5, &[])).unwrap();
    let hash = format!("test.shades@1.0.0#sha256:{}", "0".repeat(64));
    for (wanted, expected) in [
        ("test.shades", "write NAME@VERSION"),
        ("test.shades@2.0.0", "baton packages get test.shades@2.0.0"),
        ("test.shades@2.0.0", "cache"),
        ("test.r5@1.0.0", "test.r5@1.0.0 is for FHIR 5.0.0"),
        (&hash, "is expected"),
    ] {
        let error = load(&[wanted], home.path()).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{wanted}: {error}");
    }
}

#[tokio::test]
async fn two_versions_of_a_package_do_not_mix() {
    let home = home();
    let folder = home.path().join("packages");
    for (version, code) in [("1.0.0", "grey"), ("2.0.0", "red")] {
        publish(
            &folder,
            "test.codes",
            version,
            &json!({}),
            &[value_set(version, code)],
        );
        let dependencies = json!({ "test.codes": version, "hl7.fhir.r4.core": "4.0.1" });
        let resources = [profile("shaded", version)];
        publish(&folder, "test.shades", version, &dependencies, &resources);
    }
    let wanted = ["test.shades@1.0.0", "test.shades@2.0.0"];
    let loaded = load(&wanted, home.path()).await.unwrap();
    assert_eq!(loaded.resolution.notes, []);
    for (profile, code, expected) in [
        (format!("{SHADED}|1.0.0"), "grey", true),
        (format!("{SHADED}|1.0.0"), "red", false),
        (format!("{SHADED}|2.0.0"), "grey", false),
        (format!("{SHADED}|2.0.0"), "red", true),
        // An instance that names no version means the newest.
        (SHADED.to_owned(), "grey", false),
        (SHADED.to_owned(), "red", true),
    ] {
        assert_eq!(
            accepts(&loaded, &profile, code),
            expected,
            "{profile} {code}"
        );
    }
}

#[tokio::test]
async fn a_dependency_that_is_nowhere_is_named() {
    let home = home();
    let folder = home.path().join("packages");
    publish(&folder, "test.codes", "1.2.0", &json!({}), &[]);
    let dependencies = json!({ "test.codes": "1.0.0", "test.absent": "3.0.0" });
    publish(&folder, "test.shades", "1.0.0", &dependencies, &[]);
    let wanted = ["test.shades@1.0.0"];
    let loaded = load(&wanted, home.path()).await.unwrap();
    let mut notes: Vec<String> = loaded
        .resolution
        .notes
        .iter()
        .map(ToString::to_string)
        .collect();
    notes.sort();
    let [absent, later] = notes.as_slice() else {
        panic!("{notes:?}");
    };
    assert!(
        absent.contains("test.shades@1.0.0 depends on test.absent@3.0.0"),
        "{absent}"
    );
    assert!(
        later.contains("test.codes@1.0.0, which was not found: 1.2.0 is used"),
        "{later}"
    );
    let mut strict = config(&wanted, home.path());
    strict.package_dependencies = baton::config::MissingDependency::Refuse;
    let error = package::load(&strict).await.unwrap_err().to_string();
    assert!(error.contains("test.absent@3.0.0"), "{error}");
}

#[tokio::test]
async fn an_image_is_used_and_made_anew_when_it_is_damaged() {
    let home = home();
    let resources = [value_set("1.0.0", "grey"), profile("shaded", "1.0.0")];
    publish(
        &home.path().join("packages"),
        "test.shades",
        "1.0.0",
        &json!({}),
        &resources,
    );
    let wanted = ["test.shades@1.0.0"];
    assert!(!load(&wanted, home.path()).await.unwrap().is_from_image);
    assert!(load(&wanted, home.path()).await.unwrap().is_from_image);
    let images = std::fs::read_dir(home.path().join("images")).unwrap();
    let image = images.map(|entry| entry.unwrap().path()).next().unwrap();
    let bytes = std::fs::read(&image).unwrap();
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damaged in [&flipped, &bytes[..bytes.len() - 1], &bytes[..10], &[]] {
        std::fs::write(&image, damaged).unwrap();
        let loaded = load(&wanted, home.path()).await.unwrap();
        assert!(!loaded.is_from_image);
        assert!(accepts(&loaded, SHADED, "grey") && !accepts(&loaded, SHADED, "red"));
        assert_eq!(
            std::fs::read(&image).unwrap().len(),
            bytes.len(),
            "made anew"
        );
    }
}

#[tokio::test]
async fn a_package_is_found_without_a_registry_by_sources_alone() {
    let home = home();
    publish(
        &home.path().join("packages"),
        "test.shades",
        "1.0.0",
        &json!({}),
        &[],
    );
    let sources = Sources::new(&config(&[], home.path()));
    let wanted: Wanted = "test.shades#1.0.0".parse().unwrap();
    let resolution = package::resolve(&[wanted], &sources).await.unwrap();
    let [package] = resolution.packages.as_slice() else {
        panic!("{resolution:?}");
    };
    let bytes = std::fs::read(package.content.path()).unwrap();
    assert_eq!(package.hash.to_string(), sha256(&bytes));
}

/// The statement names the guides that are loaded, and the profiles that a type may claim.
#[tokio::test]
async fn the_statement_names_guides_and_profiles() {
    let home = home();
    let guide = json!({
        "resourceType": "ImplementationGuide", "id": "shades", "status": "active",
        "url": "http://example.org/ImplementationGuide/shades", "version": "1.0.0",
        "packageId": "test.shades", "name": "Shades", "fhirVersion": ["4.0.1"],
    });
    let resources = [
        value_set("1.0.0", "grey"),
        profile("shaded", "1.0.0"),
        guide,
    ];
    publish(
        &home.path().join("packages"),
        "test.shades",
        "1.0.0",
        &json!({}),
        &resources,
    );
    let mut config = config(&["test.shades@1.0.0"], home.path());
    config.listen.http = "127.0.0.1:0".into();
    config.listen.mllp = "127.0.0.1:0".into();
    config.store.database = Some("sqlite::memory:".into());
    let server = Server::start(config, Clock::manual(instant("2026-01-05T12:00:00Z")))
        .await
        .unwrap();
    let url = format!("http://{}/fhir/metadata", server.http);
    let statement: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(
        statement["implementationGuide"],
        json!(["http://example.org/ImplementationGuide/shades|1.0.0"])
    );
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let basic = resources
        .iter()
        .find(|found| found["type"] == "Basic")
        .unwrap();
    assert_eq!(
        basic["supportedProfile"],
        json!([format!("{SHADED}|1.0.0")])
    );
    let account = resources
        .iter()
        .find(|found| found["type"] == "Account")
        .unwrap();
    assert_eq!(account.get("supportedProfile"), None);
    server.stop().await;
}
