//! The commands that look at resources: what they print, and how they end.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::server::on_each_store;

const PATIENT: &str = r#"{
  "resourceType": "Patient",
  "id": "anna",
  "name": [{"family": "Example", "given": ["Anna", "Maria"]}],
  "contact": [{"name": {"text": "Berta"}}],
  "birthDate": "1970-03-02",
  "multipleBirthInteger": 2
}"#;

/// The exit code, what was printed, and what was complained of.
struct Ended {
    code: i32,
    printed: String,
    complained: String,
}

/// Runs the program with these arguments and this standard input.
fn run(arguments: &[&str], standard_input: &str) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_baton"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments does not read.
    let _ = child
        .stdin
        .take()
        .unwrap()
        .write_all(standard_input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        printed: String::from_utf8(output.stdout).unwrap(),
        complained: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What `baton fhirpath` gives for the patient.
fn items(arguments: &[&str]) -> Value {
    let arguments = [&["fhirpath"], arguments].concat();
    let ended = run(&arguments, PATIENT);
    assert_eq!(ended.code, 0, "{}", ended.complained);
    serde_json::from_str(&ended.printed).unwrap()
}

#[test]
fn fhirpath_prints_types_and_values() {
    let row = |kind: &str, value: Value| json!({ "type": kind, "value": value });
    for (expression, expected) in [
        (
            "name.given",
            json!([
                row("FHIR.string", json!("Anna")),
                row("FHIR.string", json!("Maria"))
            ]),
        ),
        (
            "name",
            json!([row(
                "FHIR.HumanName",
                json!({"family": "Example", "given": ["Anna", "Maria"]})
            )]),
        ),
        (
            "contact",
            json!([row(
                "FHIR.BackboneElement",
                json!({"name": {"text": "Berta"}})
            )]),
        ),
        ("name.exists()", json!([row("System.Boolean", json!(true))])),
        ("multipleBirth", json!([row("FHIR.integer", json!(2))])),
        ("birthDate", json!([row("FHIR.date", json!("1970-03-02"))])),
        (
            "birthDate + 1 month",
            json!([row("System.Date", json!("1970-04-02"))]),
        ),
        (
            "4.00 'mg'",
            json!([row(
                "System.Quantity",
                serde_json::from_str(r#"{"value":4.00,"unit":"mg"}"#).unwrap()
            )]),
        ),
        ("photo", json!([])),
        ("now() > @2020", json!([row("System.Boolean", json!(true))])),
    ] {
        assert_eq!(items(&[expression, "-"]), expected, "{expression}");
    }
    let exact = run(&["fhirpath", "1.50 + 1", "-"], PATIENT);
    assert!(
        exact.printed.contains(r#""value": 2.50}"#),
        "{}",
        exact.printed
    );
}

#[test]
fn fhirpath_takes_a_context_and_variables() {
    let given = items(&[
        "--context",
        "name.given",
        "$this & %end",
        "--variable",
        "end='!'",
        "-",
    ]);
    assert_eq!(
        given,
        json!([
            { "type": "System.String", "value": "Anna!" },
            { "type": "System.String", "value": "Maria!" },
        ])
    );
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.json");
    std::fs::write(
        &other,
        r#"{"resourceType":"Basic","id":"b","code":{"text":"x"}}"#,
    )
    .unwrap();
    let resource = format!("other={}", other.display());
    let given = items(&["%other.code.text", "--resource", &resource, "-"]);
    assert_eq!(given, json!([{ "type": "FHIR.string", "value": "x" }]));
}

#[test]
fn fhirpath_follows_references_within_a_bundle() {
    let bundle = json!({
        "resourceType": "Bundle", "type": "collection", "entry": [
            { "fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
              "resource": { "resourceType": "Patient", "id": "anna" } },
            { "resource": { "resourceType": "Task", "status": "requested", "intent": "order",
              "for": { "reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0" },
              "owner": { "reference": "Patient/anna" } } },
        ],
    });
    let expression = "entry.resource.ofType(Task).select(for | owner).resolve().id";
    let ended = run(&["fhirpath", expression, "-"], &bundle.to_string());
    let given: Value = serde_json::from_str(&ended.printed).unwrap();
    assert_eq!(given[0]["value"], "anna");
    assert_eq!(given[1]["value"], "anna");
}

#[test]
fn fhirpath_shows_where_an_expression_is_wrong() {
    for (arguments, code, expected) in [
        (
            vec!["name.(", "-"],
            2,
            "name.(\n     ^\nbaton: line 1, column 6: ",
        ),
        (
            vec!["true\nand name.given.single()", "-"],
            1,
            "and name.given.single()\n               ^\nbaton: line 2, column 16: single takes one item",
        ),
        (
            vec!["--strict", "name.first", "-"],
            2,
            "name.first\n     ^\nbaton: line 1, column 6: HumanName has no element first",
        ),
        (
            vec!["name", "no-such-file.json"],
            2,
            "baton: cannot read no-such-file.json",
        ),
        (
            vec!["name", "-", "--variable", "x"],
            2,
            "baton: \"x\" is not NAME=VALUE",
        ),
    ] {
        let ended = run(&[&["fhirpath"], arguments.as_slice()].concat(), PATIENT);
        assert_eq!(ended.code, code, "{arguments:?}");
        assert!(
            ended.complained.starts_with(expected),
            "{arguments:?}: {}",
            ended.complained
        );
        assert_eq!(ended.printed, "", "{arguments:?}");
    }
    let no_type = run(&["fhirpath", "id", "-"], r#"{"resourceType":"Pacient"}"#);
    assert_eq!(no_type.code, 2);
}

const WRONG: &str = r#"{"resourceType": "Patient",
 "gender": "unsure",
 "birthDate": "02.03.1970"}"#;

const SOUND: &str = r#"{"resourceType":"Patient","gender":"female"}"#;

#[test]
fn validate_prints_a_line_for_each_issue() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (wrong, sound) = (write("wrong.json", WRONG), write("sound.json", SOUND));
    let lines = write(
        "lines.ndjson",
        &format!("{SOUND}\n\n{}\n", WRONG.replace('\n', " ")),
    );
    let ended = run(&["validate", &wrong, &sound, &lines, "-"], "{");
    assert_eq!(ended.code, 1);
    let found: Vec<&str> = ended.printed.lines().collect();
    let gender = "error Patient.gender Patient.gender \"unsure\" is not in the value set";
    let birth_date = "error Patient.birthDate Patient.birthDate \"02.03.1970\" is not of type date";
    let expected = [
        format!("{wrong}:2:12 {gender}"),
        format!("{wrong}:3:15 {birth_date}"),
        format!("{sound} valid"),
        format!("{lines}:1 valid"),
        format!("{lines}:3:40 {gender}"),
        format!("{lines}:3:64 {birth_date}"),
        "-:1:2 fatal - - ".to_owned(),
    ];
    assert_eq!(found.len(), expected.len(), "{}", ended.printed);
    for (found, expected) in found.iter().zip(&expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    assert_eq!(run(&["validate", &sound], "").code, 0);
    assert_eq!(run(&["validate", &sound, "no-such-file.json"], "").code, 2);
}

const TCM_TASK: &str = "http://baton.health/fhir/StructureDefinition/tcm-task";
const BARE_TASK: &str = r#"{"resourceType":"Task","status":"requested","intent":"order"}"#;

#[test]
fn validate_goes_by_profiles_and_levels() {
    let claimed = BARE_TASK.replace('{', &format!(r#"{{"meta":{{"profile":["{TCM_TASK}"]}},"#));
    for (arguments, text, code) in [
        (vec![], BARE_TASK, 0),
        (vec!["--profile", TCM_TASK], BARE_TASK, 1),
        (vec![], claimed.as_str(), 1),
        (vec!["--level", "base"], claimed.as_str(), 0),
        (vec!["--level", "off"], BARE_TASK, 2),
    ] {
        let ended = run(&[&["validate", "-"], arguments.as_slice()].concat(), text);
        assert_eq!(ended.code, code, "{arguments:?} {text}: {}", ended.printed);
    }
}

/// A package with one profile: Patients whose `active` must be there.
fn package(folder: &Path) -> String {
    let package = folder.join("package");
    std::fs::create_dir(&package).unwrap();
    let manifest =
        json!({ "name": "example.active", "version": "1.0.0", "fhirVersions": ["4.0.1"] });
    let profile = json!({
        "resourceType": "StructureDefinition", "id": "active", "name": "Active", "status": "draft",
        "url": "http://example.org/fhir/StructureDefinition/active", "abstract": false,
        "fhirVersion": "4.0.1", "kind": "resource", "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "snapshot": { "element": [
            { "id": "Patient", "path": "Patient", "min": 0, "max": "*" },
            { "id": "Patient.active", "path": "Patient.active", "min": 1, "max": "1",
              "type": [{ "code": "boolean" }] },
        ] },
    });
    std::fs::write(package.join("package.json"), manifest.to_string()).unwrap();
    let file = package.join("StructureDefinition-active.json");
    std::fs::write(file, profile.to_string()).unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn validate_takes_a_package() {
    let folder = tempfile::tempdir().unwrap();
    let package = package(folder.path());
    let profile = "http://example.org/fhir/StructureDefinition/active";
    let arguments = ["validate", "--profile", profile, "-"];
    let without = run(&arguments, SOUND);
    assert!(
        !without.printed.contains("Patient.active"),
        "{}",
        without.printed
    );
    let with = run(&[&arguments[..], &["--package", &package]].concat(), SOUND);
    assert_eq!(with.code, 1, "{} {}", with.printed, with.complained);
    assert!(with.printed.contains("Patient.active"), "{}", with.printed);
    let none = run(&["validate", "-", "--package", "/no/such/package"], SOUND);
    assert_eq!(none.code, 1);
    assert!(
        none.complained.contains("/no/such/package"),
        "{}",
        none.complained
    );
}

#[tokio::test]
async fn validate_says_what_the_server_says() {
    on_each_store("", "2026-03-06T16:10:00Z", async |baton| {
        for text in [WRONG, SOUND, BARE_TASK, "{\"resourceType\":\"Task\"}"] {
            let resource: Value = serde_json::from_str(text).unwrap();
            let kind = resource["resourceType"].as_str().unwrap();
            let answer = baton
                .request(&format!("POST /{kind}/$validate"))
                .text("application/fhir+json", text.to_owned())
                .send()
                .await;
            let printed = run(&["validate", "--json", "-"], text).printed;
            assert_eq!(printed.trim_end(), answer.text, "{text}");
        }
        let broken = baton
            .request("POST /Patient/$validate")
            .text("application/fhir+json", "{".to_owned())
            .send()
            .await;
        assert_eq!(broken.status, 400);
        let printed = run(&["validate", "--json", "-"], "{").printed;
        assert_eq!(printed.trim_end(), broken.text);
    })
    .await;
}

#[test]
fn schema_prints_the_schema_of_a_type() {
    let ended = run(&["schema", "Goal"], "");
    assert_eq!(ended.code, 0);
    let schema: Value = serde_json::from_str(&ended.printed).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let goal = json!({ "resourceType": "Goal", "lifecycleStatus": "active",
        "description": { "text": "walk" }, "subject": { "reference": "Patient/anna" } });
    assert!(validator.is_valid(&goal));
    let mut wrong = goal.clone();
    wrong["lifecycleStatus"] = json!("alive");
    assert!(!validator.is_valid(&wrong));
    assert!(!validator.is_valid(&json!({ "resourceType": "Patient" })));
    let unknown = run(&["schema", "Golf"], "");
    assert_eq!(unknown.code, 1);
    assert!(
        unknown
            .complained
            .contains("Golf is not a type of resource in R4")
    );
}

#[test]
fn both_commands_read_xml() {
    let xml = r#"<Patient xmlns="http://hl7.org/fhir">
  <name><given value="Anna"/></name>
  <gender value="unsure"/>
</Patient>"#;
    let ended = run(&["fhirpath", "name.given", "-"], xml);
    let printed: Value = serde_json::from_str(&ended.printed).unwrap();
    assert_eq!(printed, json!([{ "type": "FHIR.string", "value": "Anna" }]));
    let ended = run(&["validate", "-"], xml);
    assert_eq!(ended.code, 1, "{}", ended.complained);
    assert!(
        ended.printed.starts_with("-:3:") && ended.printed.contains("Patient.gender"),
        "{}",
        ended.printed
    );
}

#[test]
fn purge_takes_a_resource_away_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let refused = run(&["purge", "Patient/anna", "--data", data], "");
    assert_ne!(refused.code, 0);
    assert!(
        refused.complained.contains("there is no"),
        "{}",
        refused.complained
    );
    let file = folder.path().join("patients.ndjson");
    let line = PATIENT.replace('\n', " ");
    std::fs::write(&file, format!("{line}\n")).unwrap();
    let file = file.to_str().unwrap();
    let rejects = folder.path().join("rejects.ndjson");
    let rejects = rejects.to_str().unwrap();
    let imported = run(&["import", file, "--data", data, "--rejects", rejects], "");
    assert_eq!(imported.code, 0, "{}", imported.complained);
    let purged = run(&["purge", "Patient/anna", "--data", data], "");
    assert_eq!(
        purged.printed, "Patient/anna: 1 versions purged\n",
        "{}",
        purged.complained
    );
    let again = run(&["purge", "Patient/anna", "--data", data], "");
    assert_eq!(again.code, 1);
    assert!(
        again.complained.contains("Patient/anna is not known"),
        "{}",
        again.complained
    );
    let wrong = run(&["purge", "anna", "--data", data], "");
    assert!(wrong.complained.contains("TYPE/ID"), "{}", wrong.complained);
}
