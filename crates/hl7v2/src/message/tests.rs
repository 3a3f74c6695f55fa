//! Finding the parts of one message.

use super::*;
use crate::parse::parse;

const MESSAGE: &str = "MSH|^~\\&|APP^1.2^ISO|FAC|||20250314153000+0100||ADT^A03^ADT_A03|M 1|P|2.5.1\r\
     EVN||202503141530\r\
     PID|1||7^^^FAC&1.2.3&ISO^MR~8^^^^SS||O\\T\\Neil^\"\"^^||\"\"|F||||\r\
     NK1|1|A\rNK1|2|B\r\
     ZXX";

fn message() -> Message {
    parse(MESSAGE.as_bytes()).unwrap().message
}

#[track_caller]
fn check(location: &str, presence: Presence, raw: &str, value: Option<&str>) {
    let message = message();
    let element = message.at(&location.parse().unwrap()).unwrap();
    assert_eq!(
        (element.presence(), element.raw()),
        (presence, raw),
        "{location}"
    );
    assert_eq!(message.get(location).as_deref(), value, "{location}");
}

#[test]
fn parts_are_found_by_number() {
    use Presence::{Absent, Empty, Null, Valued};
    check("MSH-1", Valued, "|", Some("|"));
    check("MSH-2", Valued, "^~\\&", Some("^~\\&"));
    check("MSH-2.2", Absent, "", None);
    check("MSH-3", Valued, "APP^1.2^ISO", Some("APP"));
    check("MSH-3.2", Valued, "1.2", Some("1.2"));
    check("MSH-5", Empty, "", None);
    check("MSH-10", Valued, "M 1", Some("M 1"));
    check("MSH-13", Absent, "", None);
    check("PID-2", Empty, "", None);
    check("PID-3", Valued, "7^^^FAC&1.2.3&ISO^MR~8^^^^SS", Some("7"));
    check("PID-3.4", Valued, "FAC&1.2.3&ISO", Some("FAC"));
    check("PID-3.4.2", Valued, "1.2.3", Some("1.2.3"));
    check("PID-3[2].5", Valued, "SS", Some("SS"));
    check("PID-3[3]", Absent, "", None);
    check("PID-5.1", Valued, "O\\T\\Neil", Some("O&Neil"));
    check("PID-5.2", Null, "\"\"", None);
    check("PID-5.4", Empty, "", None);
    check("PID-5.5", Absent, "", None);
    check("PID-7", Null, "\"\"", None);
    check("PID-8.1.1", Valued, "F", Some("F"));
    check("PID-12", Empty, "", None);
    check("PID-13", Absent, "", None);
    check("NK1[2]-2", Valued, "B", Some("B"));
    check("ZXX", Valued, "ZXX", Some("ZXX"));
    check("ZXX-1", Absent, "", None);
}

#[test]
fn what_is_not_there_has_no_value() {
    let message = message();
    for location in ["PV1-2", "NK1[3]-2", "PID-3[0]", "PID", "nonsense", ""] {
        let value = message.get(location).filter(|_| location != "PID");
        assert_eq!(value, None, "{location}");
    }
}

#[test]
fn fields_are_counted() {
    let message = message();
    let counts: Vec<_> = message
        .all_segments()
        .map(|segment| segment.field_count())
        .collect();
    assert_eq!(counts, [12, 2, 12, 2, 2, 0]);
    assert_eq!(message.segment_count(), 6);
    assert_eq!(
        message.segment("PID").unwrap().field(0).presence(),
        Presence::Absent
    );
    assert_eq!(message.header().field(0).presence(), Presence::Absent);
    assert_eq!(
        message.header().field(usize::MAX).presence(),
        Presence::Absent
    );
    assert_eq!(
        message.segment("PID").unwrap().field(usize::MAX).presence(),
        Presence::Absent
    );
}

#[test]
fn repetitions_and_parts_are_listed() {
    let message = message();
    let pid = message.segment("PID").unwrap();
    let raw = |elements: Vec<Element<'_>>| -> Vec<String> {
        elements
            .iter()
            .map(|element| element.raw().to_owned())
            .collect()
    };
    assert_eq!(
        raw(pid.field(3).repetitions().collect()),
        ["7^^^FAC&1.2.3&ISO^MR", "8^^^^SS"]
    );
    assert_eq!(
        raw(pid.field(3).components().collect()),
        ["7", "", "", "FAC&1.2.3&ISO", "MR"]
    );
    let authority = pid.field(3).component(4);
    assert_eq!(
        raw(authority.subcomponents().collect()),
        ["FAC", "1.2.3", "ISO"]
    );
    assert_eq!(raw(pid.field(2).repetitions().collect()), [""; 0]);
    assert_eq!(raw(pid.field(99).repetitions().collect()), [""; 0]);
    assert_eq!(
        raw(message.header().field(2).repetitions().collect()),
        ["^~\\&"]
    );
}

#[test]
fn free_text_keeps_its_separators() {
    let parsed = parse(b"MSH|^~\\&|||||||ADT^A01|1|P|2.5\rNTE|1||Smith & Sons\\.br\\^ok").unwrap();
    let comment = parsed.message.segment("NTE").unwrap().field(3);
    assert_eq!(comment.text(), "Smith & Sons\n^ok");
    assert_eq!(comment.value().as_deref(), Some("Smith "));
}

#[test]
fn the_header_is_read() {
    let message = message();
    assert_eq!(message.control_id(), "M 1");
    assert_eq!(message.message_code().as_deref(), Some("ADT"));
    assert_eq!(message.trigger_event().as_deref(), Some("A03"));
    assert_eq!(message.message_structure().as_deref(), Some("ADT_A03"));
    assert_eq!(message.version(), Some(Version::new(2, 5, 1)));
    let created = message.header().field(7).timestamp().unwrap().unwrap();
    assert_eq!(created.to_string(), "20250314153000+0100");
}

#[test]
fn the_trigger_event_may_stand_in_evn() {
    for (message_type, evn, expected) in [
        ("ADT^A01", "A04", Some("A01")),
        ("ADT", "A04", Some("A04")),
        ("ADT^", "A04", Some("A04")),
        ("ADT", "", None),
    ] {
        let text = format!("MSH|^~\\&|||||||{message_type}|1|P|2.1\rEVN|{evn}");
        let message = parse(text.as_bytes()).unwrap().message;
        assert_eq!(
            message.trigger_event().as_deref(),
            expected,
            "{message_type}"
        );
    }
}

#[test]
fn a_message_is_cut_into_groups() {
    let text = "MSH|^~\\&|||||||ADT^A40|1|P|2.5\rEVN|A40\rPID|1\rMRG|a\rPID|2\rMRG|b\rPV1|1";
    let message = parse(text.as_bytes()).unwrap().message;
    let groups: Vec<Vec<&str>> = message
        .groups("PID")
        .map(|group| group.all_segments().map(|segment| segment.raw()).collect())
        .collect();
    assert_eq!(
        groups,
        [vec!["PID|1", "MRG|a"], vec!["PID|2", "MRG|b", "PV1|1"]]
    );
    assert_eq!(message.groups("ZZZ").count(), 0);
}

#[test]
fn a_message_is_written_as_it_was_read() {
    assert_eq!(message().to_er7(), format!("{MESSAGE}\r"));
}

#[test]
fn versions_are_ordered() {
    for (text, expected) in [
        ("2.1", Some(Version::new(2, 1, 0))),
        ("2.5.1", Some(Version::new(2, 5, 1))),
        (" 2.3 ", Some(Version::new(2, 3, 0))),
        ("2.", None),
        ("2", None),
        ("2.5.1.1", None),
        ("v2.5", None),
    ] {
        assert_eq!(text.parse().ok(), expected, "{text}");
    }
    assert!(Version::new(2, 3, 1) < Version::new(2, 5, 0));
    assert_eq!(Version::new(2, 5, 1).to_string(), "2.5.1");
    assert_eq!(Version::new(2, 5, 0).to_string(), "2.5");
}

#[test]
fn debug_output_shows_no_text() {
    let message = message();
    let pid = message.segment("PID").unwrap();
    let shown = format!("{message:?} {pid:?} {:?}", pid.field(5));
    assert!(
        !shown.contains("Neil") && !shown.contains("PID|"),
        "{shown}"
    );
}
