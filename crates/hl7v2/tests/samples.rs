//! Reads every sample message of the ADT folder, when there is one: nothing panics and no segment
//! is lost.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test may say what it left out, and ask where the samples are"
)]

use std::path::{Path, PathBuf};

use hl7v2::charset::Knowledge;
use hl7v2::{Charset, ParseOptions, batch, parse, parse_with};

/// `$BATON_SHARED_DATA`, else `../shared/data` beside the repository.
fn samples() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var("BATON_SHARED_DATA").map_or_else(|_| beside(), PathBuf::from);
    let messages = data.join("adt/messages");
    if messages.is_dir() {
        return Some(messages);
    }
    println!(
        "left out: the ADT samples are not at {}",
        messages.display()
    );
    None
}

/// The lines that have something in them, counted without this crate.
fn lines(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let wrapping = |character| matches!(character, ' ' | '\t' | '\u{b}' | '\u{1c}' | '\u{feff}');
    text.split(['\r', '\n'])
        .filter(|line| !line.trim_matches(wrapping).is_empty())
        .count()
}

#[test]
fn no_segment_of_the_samples_is_lost() {
    let Some(folder) = samples() else { return };
    let mut files = 0;
    let mut messages = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "hl7") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let file = batch::split(&bytes);
        let around = file
            .batches
            .iter()
            .flat_map(|batch| [batch.header, batch.trailer]);
        let mut found = around.chain([file.header, file.trailer]).flatten().count();
        found += file.stray.len();
        for message in file.messages() {
            let parsed = parse(message).unwrap();
            let utf_8 = Knowledge {
                forced: Some(Charset::UTF_8),
                default: None,
            };
            let options = ParseOptions { charset: utf_8 };
            let written = parse_with(parsed.message.to_er7().as_bytes(), &options).unwrap();
            assert_eq!(
                written.message.to_er7(),
                parsed.message.to_er7(),
                "{}",
                path.display()
            );
            found += parsed.message.segment_count();
            messages += 1;
        }
        assert_eq!(found, lines(&bytes), "{}", path.display());
        files += 1;
    }
    println!("{files} files, {messages} messages");
    assert!(files > 0 && messages >= files);
}
