//! What a compiler does not check: the floors of the house, headers, purity, migrations, documents.
//!
//! The tables in this file are the law; `docs/ARCHITECTURE.md` explains them. Standard library only,
//! so that it runs in milliseconds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every module of `src/lib.rs` and its floor: a module uses lower floors only.
const FLOORS: &[(&str, u32)] = &[
    ("clock", 1),
    ("config", 1),
    ("definitions", 2),
    ("disposition", 2),
    ("access", 3),
    ("adt", 3),
    ("package", 3),
    ("patch", 3),
    ("plan_definition", 3),
    ("search", 3),
    ("terminology_server", 3),
    ("patient_match", 4),
    ("store", 4),
    ("error", 5),
    ("interaction", 6),
    ("conformance", 7),
    ("operation", 7),
    ("intake", 8),
    ("job", 8),
    ("workflow", 9),
    ("mllp", 10),
    ("rest", 10),
    ("telemetry", 11),
    ("server", 11),
    ("cli", 12),
];

/// Uses of a module that does not lie lower, each with its reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Modules without effects: no waiting, no clock, no files, no network, no database.
const PURE: &[&str] = &[
    "access",
    "adt",
    "patch",
    "patient_match",
    "plan_definition",
    "search",
];

/// What a pure module or crate must not name.
const EFFECTS: &[&str] = &[
    "async ",
    "tokio::",
    "sqlx::",
    "axum::",
    "reqwest::",
    "std::fs",
    "std::net",
    "std::env",
    "Utc::now",
    "Instant::now",
];

/// Libraries that pure crates must not depend on.
const EFFECTFUL_LIBRARIES: &[&str] = &[
    "tokio",
    "tokio-util",
    "axum",
    "hyper",
    "tower",
    "tower-http",
    "sqlx",
    "reqwest",
    "tracing",
];

/// Libraries of the edges, and the only modules that may name them.
const EDGES: &[(&str, &[&str])] = &[
    ("axum::", &["rest", "server"]),
    ("tower_http::", &["rest"]),
    ("hyper::", &["rest"]),
    ("hyper_util::", &["rest"]),
    ("sqlx::", &["store"]),
    ("reqwest::", &["cli", "package", "terminology_server"]),
    ("rustls::", &["package"]),
    ("clap::", &["cli", "main"]),
];

/// A source file of the server: its path, its module and its text.
struct Source {
    path: String,
    module: String,
    text: String,
}

#[test]
fn every_module_has_its_floor() {
    let text = read("src/lib.rs");
    let declared = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let declared: Vec<&str> = declared.collect();
    let known: BTreeSet<&str> = FLOORS.iter().map(|(module, _)| *module).collect();
    let unknown: Vec<&&str> = declared
        .iter()
        .filter(|module| !known.contains(**module))
        .collect();
    assert!(
        unknown.is_empty(),
        "src/lib.rs declares modules without a floor: {unknown:?}"
    );
    assert_eq!(
        declared.len(),
        known.len(),
        "the table of floors names modules that are gone"
    );
}

#[test]
fn a_module_uses_lower_floors_only() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(own) = floor(&source.module) else {
            continue;
        };
        for used in modules_used(&source.text) {
            let is_lower = floor(&used).is_none_or(|floor| floor < own);
            let is_excepted = EXCEPTIONS
                .iter()
                .any(|(from, to, _)| *from == source.module && *to == used);
            if used != source.module && !is_lower && !is_excepted {
                wrong.push(format!("{} uses crate::{used}", source.path));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "against the direction of the floors:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_exception_is_needed() {
    for (from, to, reason) in EXCEPTIONS {
        let is_used = sources()
            .iter()
            .any(|source| source.module == *from && modules_used(&source.text).contains(*to));
        assert!(
            is_used,
            "no file of {from} uses {to} any more ({reason}): take the exception away"
        );
    }
}

#[test]
fn pure_modules_have_no_effects() {
    let mut wrong = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| PURE.contains(&source.module.as_str()))
    {
        wrong.extend(effects(&source.path, &source.text));
    }
    for path in rust_files("crates")
        .iter()
        .filter(|path| path.contains("/src/"))
    {
        wrong.extend(effects(path, &read(path)));
    }
    // Tests may read their data.
    wrong.retain(|found| !found.contains("/tests.rs:") && !found.contains("/tests/"));
    assert!(
        wrong.is_empty(),
        "effects where none may be:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn pure_crates_depend_on_nothing_with_effects() {
    for manifest in files("crates")
        .iter()
        .filter(|path| path.ends_with("Cargo.toml"))
    {
        let text = read(manifest);
        let mut section = "";
        for line in text.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            let is_wrong = section == "[dependencies]" && EFFECTFUL_LIBRARIES.contains(&name);
            assert!(!is_wrong, "{manifest} depends on {name}");
        }
    }
}

#[test]
fn libraries_of_the_edges_stay_at_the_edges() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (library, allowed) in EDGES {
            let is_named = code(&source.text).any(|(_, line)| names(line, library));
            if is_named && !allowed.contains(&source.module.as_str()) {
                wrong.push(format!("{} names {library}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut files: Vec<String> = ["src", "crates", "tests", "benches"]
        .iter()
        .flat_map(|folder| rust_files(folder))
        .collect();
    files.push("build.rs".to_owned());
    let silent: Vec<&String> = files
        .iter()
        .filter(|path| !read(path).starts_with("//! "))
        .collect();
    assert!(silent.is_empty(), "files without a //! header: {silent:#?}");
}

#[test]
fn a_module_stands_beside_its_folder() {
    let mut files = rust_files("src");
    files.extend(rust_files("crates"));
    let wrong: Vec<&String> = files
        .iter()
        .filter(|path| path.ends_with("/mod.rs"))
        .collect();
    assert!(
        wrong.is_empty(),
        "x.rs stands beside x/, never x/mod.rs: {wrong:?}"
    );
}

#[test]
fn nothing_is_left_to_do_in_a_comment() {
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let mut files = rust_files("src");
    files.extend(rust_files("crates"));
    files.extend(rust_files("tests"));
    for path in files {
        let text = read(&path);
        let found = marks.iter().find(|mark| text.contains(mark.as_str()));
        assert!(
            found.is_none(),
            "{path} holds a {found:?}: do it, or file an issue"
        );
    }
}

#[test]
fn both_databases_have_the_same_migrations() {
    let sqlite = names_in("migrations/sqlite");
    assert_eq!(sqlite, names_in("migrations/postgres"));
    let numbers: Vec<&str> = sqlite
        .iter()
        .filter_map(|name| name.split('_').next())
        .collect();
    for (index, number) in numbers.iter().enumerate() {
        assert_eq!(
            number.parse::<usize>().unwrap(),
            index + 1,
            "numbered without gaps: {sqlite:?}"
        );
    }
}

/// `UPDATE_DOCS=1 cargo test --test tidy` writes it anew.
#[test]
fn the_page_on_configuration_is_fresh() {
    let path = "docs/CONFIGURATION.md";
    let expected = baton::config::documentation();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(path), &expected).unwrap();
    }
    assert!(
        read(path) == expected,
        "{path} is stale; write it anew: UPDATE_DOCS=1 cargo test --test tidy"
    );
}

#[test]
fn the_published_configuration_is_valid() {
    if let Err(problems) = baton::config::Config::parse(&read("docs/example.toml")) {
        panic!("docs/example.toml: {problems}");
    }
}

/// Links in documents lead to files that exist.
#[test]
fn documents_link_to_files() {
    let documents = files("docs").into_iter().chain(names_in("."));
    for path in documents.filter(|path| Path::new(path).extension() == Some("md".as_ref())) {
        let text = read(&path);
        let folder = Path::new(&path)
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            assert!(
                root().join(&folder).join(target).exists(),
                "{path} links to {target}"
            );
        }
    }
}

/// A table that proves rules by tests is worth as much as the tests are there.
#[test]
fn every_test_that_proves_a_rule_exists() {
    const TABLE: &str = "conformance/rest.md";
    let table = read(TABLE);
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let mut missing = Vec::new();
    let mut count = 0;
    for row in rows.filter(|row| !row.starts_with("| section ")) {
        let named = row.rsplit('|').nth(1).unwrap_or_default();
        let tests: Vec<&str> = named
            .split('`')
            .filter(|part| part.contains("::"))
            .collect();
        if tests.is_empty() {
            missing.push(format!("no test: {row}"));
        }
        count += tests.len();
        missing.extend(
            tests
                .into_iter()
                .filter(|test| !is_test(test))
                .map(str::to_owned),
        );
    }
    assert!(count > 0, "{TABLE} names no tests");
    assert!(
        missing.is_empty(),
        "{TABLE} names tests that are not there:\n{}",
        missing.join("\n")
    );
}

/// Whether `file::name` is a function of that file, which is below `tests/it` or the checkout.
fn is_test(test: &str) -> bool {
    let Some((file, name)) = test.rsplit_once("::") else {
        return false;
    };
    ["tests/it/", ""].iter().any(|folder| {
        let path = root().join(format!("{folder}{file}.rs"));
        fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("fn {name}()")))
    })
}

fn floor(module: &str) -> Option<u32> {
    FLOORS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, floor)| *floor)
}

/// The first segment of every `crate::` path: `crate::a::b`, and `use crate::{a, b::c}`.
fn modules_used(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let lines: Vec<&str> = code(text).map(|(_, line)| line).collect();
    let text = lines.join("\n");
    for rest in text.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => used.extend(group_members(group)),
            None => used.extend(Some(identifier(rest))),
        }
    }
    used.retain(|name| !name.is_empty());
    used
}

/// The first segments of the members of a group, up to its closing brace.
fn group_members(group: &str) -> Vec<String> {
    let mut depth = 0_u32;
    let mut members = vec![String::new()];
    for character in group.chars() {
        match character {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(String::new()),
            other => {
                if let Some(member) = members.last_mut() {
                    member.push(other);
                }
            }
        }
    }
    members
        .iter()
        .map(|member| identifier(member.trim_start()))
        .collect()
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|it| it.is_ascii_alphanumeric() || *it == '_')
        .collect()
}

/// The lines of a file that are code: no comments, no unit tests at its end.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// A line names a library, not something whose name ends like it.
fn names(line: &str, library: &str) -> bool {
    line.match_indices(library).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|it| !it.is_ascii_alphanumeric() && it != '_' && it != ':')
    })
}

fn effects<'t>(path: &'t str, text: &'t str) -> impl Iterator<Item = String> + use<'t> {
    code(text).filter_map(move |(number, line)| {
        let found = EFFECTS.iter().find(|effect| line.contains(**effect))?;
        Some(format!("{path}:{}: {found}", number + 1))
    })
}

fn sources() -> Vec<Source> {
    rust_files("src")
        .into_iter()
        .map(|path| {
            let first = path.trim_start_matches("src/").split(['/', '.']).next();
            Source {
                module: first.unwrap_or_default().to_owned(),
                text: read(&path),
                path,
            }
        })
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let bytes = fs::read(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    String::from_utf8(bytes).unwrap_or_else(|_| panic!("{path} is not UTF-8"))
}

fn names_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).into_iter().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// All files below a folder, relative to the root, sorted; build output left out.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for name in names_in(folder) {
        let path = format!("{folder}/{name}");
        match root().join(&path).is_dir() {
            true if name == "target" => {}
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

fn rust_files(folder: &str) -> Vec<String> {
    let mut found = files(folder);
    found.retain(|path| Path::new(path).extension().is_some_and(|it| it == "rs"));
    found
}
