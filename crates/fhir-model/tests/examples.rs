//! Every example of the R4 specification goes through the tree and comes out with the same tokens.
//!
//! The archive of examples is not part of the repository; `conformance/README.md` says where it
//! comes from. Without it this prints what was left out.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test prints what it leaves out, and a failing one may panic"
)]

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use fhir_model::element::Element;
use fhir_model::name::Names;
use fhir_model::tree::{Limits, Tree};
use flate2::read::GzDecoder;

/// The folder of shared test data, if this machine has it.
fn shared_data() -> Option<PathBuf> {
    let beside = || {
        let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        repository.join("../shared/data")
    };
    let folder = std::env::var_os("BATON_SHARED_DATA").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// The examples whose path has this part, by path; all of them are JSON.
fn examples(part: &str) -> Vec<(String, String)> {
    let Some(folder) = shared_data() else {
        eprintln!("left out: no shared data, so the examples of {part} were not read");
        return Vec::new();
    };
    let archive = File::open(folder.join("tests/ig-examples.tgz")).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let mut examples = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if path.contains(part) && !path.ends_with('/') {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            examples.push((path, text));
        }
    }
    assert!(!examples.is_empty(), "the archive has no {part}");
    examples
}

/// The tokens of a JSON text: punctuation, strings with their escapes, and words.
fn tokens(json: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = json.trim_start_matches('\u{feff}').trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(match first {
            '{' | '}' | '[' | ']' | ':' | ',' => 1,
            '"' => string_len(rest),
            _ => rest
                .find(|next: char| next.is_whitespace() || "{}[]:,\"".contains(next))
                .unwrap_or(rest.len()),
        });
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// How long a string is, quotes included.
fn string_len(json: &str) -> usize {
    let mut is_escaped = true;
    let end = json.find(|next: char| {
        let is_end = next == '"' && !is_escaped;
        is_escaped = next == '\\' && !is_escaped;
        is_end
    });
    end.unwrap() + 1
}

fn element_count(element: Element<'_>) -> usize {
    1 + element.all_children().map(element_count).sum::<usize>()
}

#[test]
fn tokens_are_as_they_stand() {
    assert_eq!(
        tokens(" { \"a\\\"\\\\\" : [1.00,true , -2e+1]}\n"),
        [
            "{",
            "\"a\\\"\\\\\"",
            ":",
            "[",
            "1.00",
            ",",
            "true",
            ",",
            "-2e+1",
            "]",
            "}"
        ]
    );
}

#[test]
fn every_example_keeps_its_tokens() {
    let names = Names::new(["resourceType", "id", "extension", "name", "given"]);
    let mut bytes = 0;
    for (path, text) in examples("r4-spec/") {
        let tree = Tree::parse(text.as_str(), &names, &Limits::default())
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let compact = tree.to_json();
        let mut pretty = String::new();
        tree.write_pretty(tree.root().id(), &mut pretty);
        let sent = tokens(&text);
        assert!(sent == tokens(&compact), "{path}: compact");
        assert!(sent == tokens(&pretty), "{path}: indented");
        assert_eq!(
            sent.concat(),
            compact,
            "{path}: white space in the compact form"
        );
        let again = Tree::parse(compact.as_str(), &names, &Limits::default()).unwrap();
        assert_eq!(again.node_count(), tree.node_count(), "{path}");
        assert!(element_count(tree.element()) > 1, "{path}");
        bytes += text.len();
    }
    eprintln!("{bytes} bytes of examples");
}
