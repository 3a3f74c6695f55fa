//! Frames on the wire. In the tables `[` is VT, `]` FS, `;` CR and `/` LF.

use super::*;

const LIMITS: Limits = Limits {
    frame_bytes_max: 8,
    stray_bytes_max: 20,
};

fn wire(text: &str) -> Vec<u8> {
    let byte = |character| match character {
        '[' => VT,
        ']' => FS,
        ';' => CR,
        '/' => b'\n',
        other => u8::try_from(other).unwrap(),
    };
    text.chars().map(byte).collect()
}

fn told(decoder: &mut Decoder) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(event) = decoder.next() {
        told.push(match event {
            Event::Frame(message) => String::from_utf8(message).unwrap().replace('\u{1c}', "]"),
            Event::Warning(warning) => warning.code().to_owned(),
            Event::Fatal(fatal) => fatal.code().to_owned(),
        });
    }
    told
}

/// Pushes the bytes at once and then one by one.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let bytes = wire(text);
    let mut decoder = Decoder::new(LIMITS);
    decoder.push(&bytes);
    assert_eq!(told(&mut decoder), expected, "{text}");
    let mut decoder = Decoder::new(LIMITS);
    let mut one_by_one = Vec::new();
    for byte in &bytes {
        decoder.push(&[*byte]);
        one_by_one.extend(told(&mut decoder));
    }
    assert_eq!(one_by_one, expected, "{text}, byte by byte");
}

#[test]
fn frames_are_found() {
    check("", &[]);
    check("[a];", &["a"]);
    check("[a];[b];", &["a", "b"]);
    check("[a];[b", &["a"]);
    check("[a;b;];", &["a\rb\r"]);
    check("[12345678];", &["12345678"]);
}

#[test]
fn an_empty_frame_is_a_sign_of_life() {
    check("[];[b];", &["b"]);
    check("[;];[b];", &["b"]);
    check("[]", &[]);
}

#[test]
fn bytes_outside_frames_are_skipped_and_told_once() {
    check("hello world;/[a];", &["bytes-outside-frame", "a"]);
    check(
        "[a];xx[b];y",
        &["a", "bytes-outside-frame", "b", "bytes-outside-frame"],
    );
    check("[a];/[b];", &["a", "b"]); // a line end between frames is no fault
    check("a];[b];", &["bytes-outside-frame", "b"]);
    check("G[a];", &["bytes-outside-frame", "a"]); // could have become GET
    check(
        "123456789012345678901",
        &["bytes-outside-frame", "no-start-byte"],
    );
    check("/////////////////////", &["no-start-byte"]);
    check("12345678901234567890[a];", &["bytes-outside-frame", "a"]);
}

#[test]
fn a_frame_inside_a_frame_replaces_it() {
    check("[lost[a];", &["partial-frame-dropped", "a"]);
    check("[[a];", &["partial-frame-dropped", "a"]);
    let mut decoder = Decoder::new(LIMITS);
    decoder.push(&wire("[lost["));
    let expected = Event::Warning(Warning::PartialFrameDropped { bytes: 4 });
    assert_eq!(decoder.next(), Some(expected));
}

#[test]
fn a_missing_carriage_return_never_merges_messages() {
    check("[a][b];", &["carriage-return-missing", "a", "b"]);
    check(
        "[a]/[b]/",
        &[
            "carriage-return-missing",
            "a",
            "carriage-return-missing",
            "b",
        ],
    );
    check("[a]x];", &["end-byte-inside-message", "a]x"]);
    check("[a]];", &["end-byte-inside-message", "a]"]);
    check(
        "[a]x[b];",
        &["end-byte-inside-message", "partial-frame-dropped", "b"],
    );
}

#[test]
fn a_frame_without_its_carriage_return_is_taken_after_the_grace_time() {
    let mut decoder = Decoder::new(LIMITS);
    decoder.push(&wire("[a"));
    assert!(decoder.is_mid_frame() && !decoder.awaits_carriage_return());
    decoder.flush_after_grace();
    assert_eq!(told(&mut decoder), [""; 0]);
    decoder.push(&wire("]"));
    assert!(decoder.is_mid_frame() && decoder.awaits_carriage_return());
    assert_eq!(told(&mut decoder), [""; 0]);
    decoder.flush_after_grace();
    assert!(!decoder.is_mid_frame());
    assert_eq!(told(&mut decoder), ["carriage-return-missing", "a"]);
    decoder.push(&wire(";[b];")); // the CR after all
    assert_eq!(told(&mut decoder), ["b"]);
}

#[test]
fn the_end_of_the_connection_drops_what_is_not_complete() {
    for (text, expected) in [
        ("[a];", vec!["a"]),
        ("[a]", vec!["carriage-return-missing", "a"]),
        ("[a", vec!["partial-frame-dropped"]),
        ("GE", vec!["bytes-outside-frame"]),
        ("x", vec!["bytes-outside-frame"]),
    ] {
        let mut decoder = Decoder::new(LIMITS);
        decoder.push(&wire(text));
        decoder.finish();
        assert_eq!(told(&mut decoder), expected, "{text}");
        assert!(!decoder.is_mid_frame());
    }
}

#[test]
fn other_protocols_are_recognised() {
    check("GET / HTTP", &["http"]);
    check("POST /", &["http"]);
    check("PRI * HTTP", &["http"]);
    check("\u{16}\u{3}\u{1}", &["tls"]);
    check("GOT it", &["bytes-outside-frame"]);
}

#[test]
fn an_oversized_message_closes_the_connection() {
    check("[123456789", &["frame-too-large"]);
    check("[a];[123456789];[b];", &["a", "frame-too-large"]);
    check(
        "[1234567]89];",
        &["end-byte-inside-message", "frame-too-large"],
    );
    let mut decoder = Decoder::new(LIMITS);
    decoder.push(&wire("[MSH|^;PID|1"));
    let head = b"MSH|^".to_vec();
    assert_eq!(
        decoder.next(),
        Some(Event::Fatal(Fatal::FrameTooLarge {
            limit_bytes: 8,
            head
        }))
    );
    assert!(decoder.is_closed() && !decoder.is_mid_frame());
    decoder.push(&wire("[b];"));
    decoder.finish();
    assert_eq!(decoder.next(), None);
}

#[test]
fn no_more_than_the_limit_is_held() {
    let limits = Limits {
        frame_bytes_max: 1 << 20,
        ..Limits::default()
    };
    let mut decoder = Decoder::new(limits);
    decoder.push(&[VT]);
    let read = vec![b'A'; 64 * 1024];
    for _ in 0..100 {
        decoder.push(&read);
        assert!(decoder.frame.capacity() <= 2 << 20);
    }
    assert!(decoder.is_closed());
    assert_eq!(decoder.frame.capacity(), 0);
}

#[test]
fn what_is_encoded_is_decoded() {
    assert_eq!(encode(b"a"), wire("[a];"));
}
