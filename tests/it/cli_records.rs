//! The commands that work on records: what is exported comes back, imports go on where they were
//! stopped, and a check finds and repairs what does not belong together.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use baton::store::Store;
use fhir_model::key::ResourceKey;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

use crate::support::database::on_each_url;
use crate::support::server::Baton;

const START: &str = "2026-03-02T09:00:00Z";

/// Starts the program on a database; `arguments` are the command and its options, in words.
fn start(database: &str, folder: &Path, arguments: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_baton"))
        .args(arguments.split_whitespace())
        .args(["--database", database])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs it to its end: the exit code, and everything that it said.
fn run(database: &str, folder: &Path, arguments: &str) -> (i32, String) {
    let output = start(database, folder, arguments)
        .wait_with_output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

#[track_caller]
fn succeeds(database: &str, folder: &Path, arguments: &str) -> String {
    let (code, said) = run(database, folder, arguments);
    assert_eq!(code, 0, "baton {arguments}: {said}");
    said
}

/// A Patient with two versions, one that was deleted, and what belongs to the first.
async fn fill(database: &str) {
    let baton = Baton::start(database, "", START).await;
    let anna = |family: &str| {
        json!({
            "resourceType": "Patient", "id": "anna",
            "identifier": [{ "system": "urn:mrn", "value": "7" }],
            "name": [{ "family": family }],
        })
    };
    baton
        .put("/Patient/anna", &anna("Example"))
        .await
        .expect(201);
    baton
        .put("/Patient/anna", &anna("Sample"))
        .await
        .expect(200);
    let bert = json!({ "resourceType": "Patient", "id": "bert", "active": true });
    baton.put("/Patient/bert", &bert).await.expect(201);
    baton.delete("/Patient/bert").await;
    let observation = json!({
        "resourceType": "Observation", "id": "pulse", "status": "final",
        "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4" }] },
        "subject": { "reference": "Patient/anna" },
        "effectiveDateTime": "2026-03-01T08:00:00Z",
        "valueQuantity": { "value": 72.50, "unit": "/min" },
    });
    baton
        .put("/Observation/pulse", &observation)
        .await
        .expect(201);
    baton.stop().await;
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != "manifest.json")
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_is_exported_and_imported_is_the_same_to_the_byte() {
    on_each_url(async |url| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let first = format!("sqlite:{}", folder.join("first.db").display());
        fill(&first).await;
        succeeds(&first, folder, "export one --history");
        assert!(folder.join("one/Patient.ndjson").is_file());
        succeeds(&url, folder, "import one --keep-meta");
        succeeds(&url, folder, "export two --history");
        assert_eq!(files(&folder.join("one")), files(&folder.join("two")));
        // Once more, nothing is new.
        let said = succeeds(&url, folder, "import one --keep-meta --again");
        assert!(
            said.contains("\n0 written, ") || said.starts_with("0 written, "),
            "{said}"
        );
        succeeds(&url, folder, "check");
    })
    .await;
}

#[tokio::test]
async fn an_export_holds_current_versions_of_the_types_asked_for() {
    on_each_url(async |url| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fill(&url).await;
        let said = succeeds(&url, folder, "export - --type Patient,Observation");
        let resources: Vec<Value> = said
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let ids: Vec<&str> = resources
            .iter()
            .map(|resource| resource["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["pulse", "anna"], "{said}");
        assert_eq!(resources[1]["meta"]["versionId"], "2");
        let said = succeeds(
            &url,
            folder,
            "export - --type Patient --since 2026-03-03T00:00:00Z",
        );
        assert!(!said.contains("anna"), "{said}");
        succeeds(
            &url,
            folder,
            "export bundles --type Patient --format bundle",
        );
        let text = fs::read_to_string(folder.join("bundles/Patient-000001.json")).unwrap();
        let bundle: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bundle["entry"][0]["request"]["url"], "Patient/anna");
        let (code, said) = run(&url, folder, "export - --type Nonsense");
        assert_eq!(code, 1, "{said}");
    })
    .await;
}

#[tokio::test]
async fn an_export_that_was_stopped_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let url = format!("sqlite:{}", folder.join("store.db").display());
    fill(&url).await;
    succeeds(&url, folder, "export out");
    let before = files(&folder.join("out"));
    let (code, _) = run(&url, folder, "export out");
    assert_eq!(code, 1, "a complete export is not written over");
    let manifest = folder.join("out/manifest.json");
    let mut value: Value = serde_json::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
    value["complete"] = json!(false);
    value["types"]["Patient"] = json!({ "count": 0, "files": 0, "bytes": 0, "complete": false });
    fs::write(&manifest, value.to_string()).unwrap();
    fs::write(folder.join("out/Patient.ndjson"), "half a li").unwrap();
    succeeds(&url, folder, "export out");
    assert_eq!(files(&folder.join("out")), before);
}

#[tokio::test]
async fn an_import_tells_what_it_refuses_and_goes_on() {
    on_each_url(async |url| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let lines = [
            r#"{"resourceType":"Patient","id":"a","active":true}"#,
            r#"{"resourceType":"Patient","id":"b","active":"yes"}"#,
            r"{",
            r#"{"resourceType":"Patient","active":true}"#,
            r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"c"}}]}"#,
            r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient","id":"d"},"request":{"method":"PUT","url":"Patient/d"}}]}"#,
        ];
        fs::write(folder.join("p.ndjson"), lines.join("\n")).unwrap();
        let (code, said) = run(&url, folder, "import p.ndjson");
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("3 written, 0 unchanged, 1 Bundles carried out, 3 refused"), "{said}");
        let rejects = fs::read_to_string(folder.join("rejects.ndjson")).unwrap();
        let outcomes: Vec<Value> = rejects
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let places: Vec<&str> = outcomes
            .iter()
            .map(|outcome| outcome["issue"][0]["details"]["text"].as_str().unwrap())
            .collect();
        assert_eq!(places.len(), 3, "{rejects}");
        for line in [2, 3, 4] {
            assert!(places.contains(&format!("p.ndjson:{line}").as_str()), "{rejects}");
        }
        let said = succeeds(&url, folder, "import p.ndjson");
        assert!(said.contains("goes on after 6"), "{said}");
        let (_, said) = run(&url, folder, "import p.ndjson --again --validation-level off");
        assert!(said.contains("2 written, 2 unchanged"), "{said}");
        let (code, _) = run(&url, folder, "import nowhere.ndjson");
        assert_eq!(code, 1);
    })
    .await;
}

#[tokio::test]
async fn a_killed_import_goes_on_and_doubles_nothing() {
    on_each_url(async |url| {
        const LINES: usize = 2_000;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let lines: Vec<String> = (0..LINES)
            .map(|number| {
                format!(r#"{{"resourceType":"Basic","id":"b{number}","code":{{"text":"x"}}}}"#)
            })
            .collect();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, lines.join("\n").as_bytes()).unwrap();
        fs::write(folder.join("b.ndjson.gz"), packed.finish().unwrap()).unwrap();
        let mut child = start(&url, folder, "import b.ndjson.gz");
        std::thread::sleep(Duration::from_millis(1_500));
        child.kill().unwrap();
        child.wait().unwrap();
        succeeds(&url, folder, "import b.ndjson.gz");
        let said = succeeds(&url, folder, "export - --type Basic --history");
        let written = said.lines().filter(|line| line.starts_with('{')).count();
        assert_eq!(written, LINES);
        succeeds(&url, folder, "check");
    })
    .await;
}

/// Runs a statement past Baton.
async fn execute(url: &str, statement: &str) {
    let statement = AssertSqlSafe(statement.to_owned());
    let rows = if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        let done = connection.execute(statement).await.unwrap();
        connection.close().await.unwrap();
        done.rows_affected()
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let done = connection.execute(statement).await.unwrap();
        connection.close().await.unwrap();
        done.rows_affected()
    };
    assert!(rows > 0, "nothing was damaged");
}

const ANNA: &str = "(SELECT row_key FROM resource WHERE id = 'anna')";

#[tokio::test]
async fn a_check_finds_damage_and_repairs_it() {
    on_each_url(async |url| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fill(&url).await;
        succeeds(&url, folder, "check");
        for (statement, found) in [
            (
                format!("DELETE FROM search_token WHERE row_key = {ANNA}"),
                "Patient/anna search_token",
            ),
            (
                format!("UPDATE search_string SET normalised = 'no' WHERE row_key = {ANNA}"),
                "Patient/anna search_string",
            ),
            (
                format!("DELETE FROM compartment WHERE row_key = {ANNA}"),
                "Patient/anna compartment",
            ),
            (
                format!("UPDATE resource SET entries = '{{}}' WHERE row_key = {ANNA}"),
                "Patient/anna resource",
            ),
            (
                "INSERT INTO search_uri (parameter, uri, row_key) VALUES (1, 'urn:x', -2)"
                    .to_owned(),
                "- search_uri",
            ),
        ] {
            execute(&url, &statement).await;
            let (code, said) = run(&url, folder, "check");
            assert_eq!(code, 1, "{said}");
            assert!(said.lines().any(|line| line == found), "{found}: {said}");
            succeeds(&url, folder, "check --repair");
            succeeds(&url, folder, "check");
        }
        execute(
            &url,
            &format!("DELETE FROM resource_version WHERE row_key = {ANNA}"),
        )
        .await;
        for command in ["check", "check --repair"] {
            let (code, said) = run(&url, folder, command);
            assert_eq!(code, 1, "{said}");
            assert!(said.contains("Patient/anna resource_version"), "{said}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_was_committed_is_not_repeated_after_a_kill() {
    on_each_url(async |url| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let bundle = |family: &str| {
            json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
                "resource": { "resourceType": "Patient", "name": [{ "family": family }] },
                "request": { "method": "POST", "url": "Patient" },
            }]})
            .to_string()
        };
        let text = [bundle("one"), bundle("two")].join("\n");
        fs::write(folder.join("b.ndjson"), text).unwrap();
        succeeds(&url, folder, "import b.ndjson");
        // As if the kill had come between the commit of the second and the note that it is done.
        let back = "UPDATE engine_position SET sequence = sequence - 1 \
                    WHERE engine LIKE 'import/%' AND engine NOT LIKE '%/begun%'";
        execute(&url, back).await;
        let said = succeeds(&url, folder, "import b.ndjson");
        assert!(said.contains("0 Bundles carried out"), "{said}");
        let said = succeeds(&url, folder, "export - --type Patient");
        assert_eq!(said.matches("\"family\"").count(), 2, "{said}");
    })
    .await;
}

#[tokio::test]
async fn texts_are_read_back_whatever_they_were_written_with() {
    on_each_url(async |url| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let lines: Vec<String> = (0..1_800)
            .map(|number| {
                let (code, kind) = (number % 97, number % 89);
                format!(
                    r#"{{"resourceType":"Observation","id":"o{number}","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}-4","display":"A measurement of kind {kind}"}}]}},"valueQuantity":{{"value":{number}.50,"unit":"mg"}}}}"#
                )
            })
            .collect();
        fs::write(folder.join("o.ndjson"), lines.join("\n")).unwrap();
        succeeds(&url, folder, "import o.ndjson --validation-level off");
        execute(&url, "UPDATE text_dictionary SET lesson = lesson").await;
        // The first texts have no dictionary, the last ones have.
        let store = Store::open(&url).await.unwrap();
        for number in ["0", "999", "1799"] {
            let key = ResourceKey::parse(&format!("Observation/o{number}")).unwrap();
            let text = store.read(&key).await.unwrap().unwrap().text.unwrap();
            assert!(text.contains(&format!(r#""value":{number}.50"#)), "{text}");
        }
        store.close().await;
        let said = succeeds(&url, folder, "export - --type Observation");
        assert_eq!(said.lines().filter(|line| line.starts_with('{')).count(), 1_800);
    })
    .await;
}
