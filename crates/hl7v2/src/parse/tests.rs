//! Bytes in, segments and issues out.

use super::*;

const MSH: &str = "MSH|^~\\&|APP|FAC|||2025||ADT^A01|M1|P|2.5.1";

/// The issues of a message as `code@segment`, and its segments.
#[track_caller]
fn check(text: &str, issues: &[&str], segments: &[&str]) {
    check_bytes(text.as_bytes(), issues, segments);
}

#[track_caller]
fn check_bytes(bytes: &[u8], issues: &[&str], segments: &[&str]) {
    let parsed = parse(bytes).unwrap();
    let told = |issue: &Issue| format!("{}@{}", issue.code.code(), issue.segment);
    let found: Vec<_> = parsed.issues.iter().map(told).collect();
    assert_eq!(found, issues);
    let found: Vec<_> = parsed
        .message
        .all_segments()
        .map(|segment| segment.raw())
        .collect();
    assert_eq!(found, segments);
}

#[test]
fn segments_end_by_cr_lf_or_both() {
    let segments = [MSH, "EVN|A01", "PID|1"];
    for end in ["\r", "\n", "\r\n"] {
        check(&segments.join(end), &[], &segments);
        check(&(segments.join(end) + end), &[], &segments);
        check(&(segments.join(&end.repeat(2)) + end), &[], &segments);
    }
    let mixed = ["segment-ends-mixed@0"];
    check(&format!("{MSH}\rEVN|A01\nPID|1\r\n"), &mixed, &segments);
}

#[test]
fn what_stands_around_a_message_is_left_out() {
    let segments = [MSH, "PID|1"];
    check(&format!("\u{feff}{MSH}\rPID|1\r"), &[], &segments);
    check(&format!("\u{b}{MSH}\rPID|1\r\u{1c}\r"), &[], &segments);
    check(&format!("\r\n  {MSH}\rPID|1\r\0"), &[], &segments);
    check(&format!("{MSH}\rPID|1 "), &[], &[MSH, "PID|1 "]); // a blank may belong to a value
}

#[test]
fn no_segment_is_lost() {
    check(&format!("{MSH}\rPID\rZ99|x"), &[], &[MSH, "PID", "Z99|x"]);
    check(
        &format!("{MSH}\r  PID|1"),
        &["segment-indented@1"],
        &[MSH, "PID|1"],
    );
    check(&format!("{MSH}\r   \rPID|1"), &[], &[MSH, "PID|1"]);
    for name in ["PIDX|1", "PV|1", "free text", "pid|1", "|", "é|", "PIé|1"] {
        check(
            &format!("{MSH}\r{name}"),
            &["segment-name-invalid@1"],
            &[MSH, name],
        );
    }
}

#[test]
fn a_second_header_is_an_error() {
    let text = format!("{MSH}\rPID|1\r{MSH}\rPID|1");
    check(&text, &["second-header@2"], &[MSH, "PID|1", MSH, "PID|1"]);
    assert!(parse(text.as_bytes()).unwrap().has_errors());
    assert!(!parse(MSH.as_bytes()).unwrap().has_errors());
}

#[test]
fn a_short_header_is_read_as_far_as_it_goes() {
    let nothing = ["control-id-missing@0", "message-type-missing@0"];
    check("MSH|^~", &nothing, &["MSH|^~"]);
    check("MSH|^~\\&", &nothing, &["MSH|^~\\&"]);
    let invalid = ["encoding-characters-invalid@0", nothing[0], nothing[1]];
    check("MSH|", &invalid, &["MSH|"]);
    check("MSH||APP", &invalid, &["MSH||APP"]);
    check("MSH|APP|FAC", &invalid, &["MSH|APP|FAC"]);
    let text = MSH.replace("|M1|", "||");
    check(&text, &["control-id-missing@0"], &[&text]);
    let text = MSH.replace("|M1|", "|\"\"|");
    check(&text, &["control-id-missing@0"], &[&text]);
}

#[test]
fn what_has_no_header_is_no_message() {
    for (text, expected) in [
        ("", ParseError::Empty),
        (" \r\n", ParseError::Empty),
        ("\u{b}\u{1c}\r", ParseError::Empty),
        ("FOO|bar\rPID|1", ParseError::HeaderMissing),
        ("PID|1\rMSH|^~\\&|", ParseError::HeaderMissing),
        ("MSH", ParseError::HeaderMissing),
        ("MSH\r", ParseError::HeaderMissing),
        ("MSHA^~", ParseError::HeaderMissing),
        ("MS", ParseError::HeaderMissing),
        ("MSé|", ParseError::HeaderMissing),
        ("msh|^~\\&|", ParseError::HeaderMissing),
        ("FHS|^~\\&|", ParseError::Batch),
        ("BHS|^~\\&|", ParseError::Batch),
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn the_header_says_what_the_delimiters_are() {
    let parsed =
        parse(b"MSH#!@%*#APP#FAC###2025##ADT!A01#M1#P#2.5\rPID#1##12!!!MRN##DOE!JO%S%HN").unwrap();
    assert!(parsed.issues.is_empty());
    let value = |at| parsed.message.get(at).unwrap_or_default().into_owned();
    assert_eq!(value("MSH-1"), "#");
    assert_eq!(value("MSH-2"), "!@%*");
    assert_eq!(value("MSH-9.2"), "A01");
    assert_eq!(value("PID-3.4"), "MRN");
    assert_eq!(value("PID-5.2"), "JO!HN");
    // Five encoding characters, and two.
    let parsed = parse(b"MSH|^~\\&#|APP||||2025||ADT^A01|M1|P|2.7\rPID|||a&b#").unwrap();
    assert_eq!(parsed.message.get("PID-3.1.2").as_deref(), Some("b#"));
    let parsed = parse(b"MSH|^~|APP||||2025||ADT^A01|M1|P|2.3\rPID|||a&b\\F\\").unwrap();
    assert_eq!(parsed.message.get("PID-3").as_deref(), Some("a&b\\F\\"));
}

#[test]
fn doubts_about_the_character_set_are_told() {
    let with = |charset: &str| format!("{MSH}||||||{charset}\rPID|||||");
    for (charset, family, expected) in [
        ("8859/1", b"M\xFCller".as_slice(), None),
        ("", b"M\xFCller".as_slice(), Some("charset-guessed@0")),
        (
            "UNICODE UTF-8",
            b"M\xFCller".as_slice(),
            Some("charset-invalid@0"),
        ),
        (
            "ISO IR 999",
            b"M\xFCller".as_slice(),
            Some("charset-unknown@0"),
        ),
    ] {
        let text = with(charset);
        let bytes = [text.as_bytes(), family].concat();
        let issues: Vec<_> = expected.into_iter().collect();
        check_bytes(
            &bytes,
            &issues,
            &[text.split('\r').next().unwrap(), "PID|||||Müller"],
        );
    }
}

#[test]
fn there_are_limits() {
    let text = format!("{MSH}{}", "\rx".repeat(ISSUES_MAX + 1));
    assert_eq!(parse(text.as_bytes()).unwrap().issues.len(), ISSUES_MAX);
    let text = format!("{MSH}{}", "\rPID".repeat(SEGMENTS_MAX));
    let expected = ParseError::TooManySegments {
        limit: SEGMENTS_MAX,
    };
    assert_eq!(parse(text.as_bytes()).unwrap_err(), expected);
}

#[test]
fn every_issue_has_its_row() {
    for (code, name, severity) in ISSUES {
        assert_eq!((code.code(), code.severity()), (*name, *severity));
    }
}
