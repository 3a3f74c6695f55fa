//! What is answered to which message, and what is read from an answer.

use super::*;
use crate::acknowledgement::error::TABLE_0357;
use crate::location::{Location, SegmentId};
use crate::parse::{IssueCode, ParseError, parse};
use crate::timestamp::Timestamp;

fn message(text: &str) -> Message {
    parse(text.as_bytes()).unwrap().message
}

fn msh(version: &str, rest: &str) -> String {
    format!("MSH|^~\\&|APP|FAC|US|HERE|2025||ADT^A03|M1|P|{version}{rest}\rEVN|A03")
}

fn created() -> Timestamp {
    "20250314153000+0100".parse().unwrap()
}

#[track_caller]
fn check_answer(text: &str, code: AckCode, errors: &[AckError], expected: &[&str]) {
    let answer = Acknowledgement {
        code,
        control_id: "B1",
        created: created(),
        errors,
    };
    let bytes = answer.answer(&message(text));
    let found = String::from_utf8(bytes).unwrap();
    assert_eq!(found.split_terminator('\r').collect::<Vec<_>>(), expected);
}

fn missing(field: usize) -> AckError {
    let pid = SegmentId::new("PID").unwrap();
    AckError::at(
        ErrorCondition::RequiredFieldMissing,
        Location::field(pid, field),
    )
}

#[test]
fn the_answer_is_addressed_to_the_sender_in_its_version() {
    let answer = |version: &str, message_type: &str| {
        format!("MSH|^~\\&|US|HERE|APP|FAC|20250314153000+0100||{message_type}|B1|P|{version}")
    };
    for (version, message_type) in [
        ("2.1", "ACK"),
        ("2.2", "ACK"),
        ("2.3", "ACK^A03"),
        ("2.3.1", "ACK^A03^ACK"),
        ("2.5.1", "ACK^A03^ACK"),
        ("2.9", "ACK^A03^ACK"),
        ("2.", "ACK^A03^ACK"),
    ] {
        let header = answer(version, message_type);
        check_answer(&msh(version, ""), AckCode::AA, &[], &[&header, "MSA|AA|M1"]);
    }
}

#[test]
fn the_delimiters_and_the_control_id_of_the_sender_are_kept() {
    let text = "MSH#!@%*#A!1.2!ISO#F#US#HERE#2025##ADT!A03# M%F%1 #P#2.5";
    let header = "MSH#!@%*#US#HERE#A!1.2!ISO#F#20250314153000+0100##ACK!A03!ACK#B1#P#2.5";
    check_answer(text, AckCode::CA, &[], &[header, "MSA#CA# M%F%1 "]);
}

#[test]
fn without_a_control_id_there_is_no_positive_answer() {
    let text = msh("2.5", "").replace("|M1|", "||");
    let header = "MSH|^~\\&|US|HERE|APP|FAC|20250314153000+0100||ACK^A03^ACK|B1|P|2.5";
    for (code, written) in [
        (AckCode::AA, "MSA|AE"),
        (AckCode::CA, "MSA|CE"),
        (AckCode::AR, "MSA|AR"),
    ] {
        check_answer(&text, code, &[], &[header, written]);
    }
}

#[test]
fn errors_are_told_as_the_version_has_it() {
    let errors = [
        missing(3),
        AckError::new(ErrorCondition::DataTypeError).saying("bad | date"),
    ];
    for (version, expected) in [
        (
            "2.5.1",
            vec![
                "MSA|AE|M1|Required field missing",
                "ERR||PID^1^3^1|101^Required field missing^HL70357|E||||Required field missing",
                "ERR|||102^Data type error^HL70357|E||||bad \\F\\ date",
            ],
        ),
        (
            "2.7",
            vec![
                "MSA|AE|M1",
                "ERR||PID^1^3^1|101^Required field missing^HL70357|E||||Required field missing",
                "ERR|||102^Data type error^HL70357|E||||bad \\F\\ date",
            ],
        ),
        (
            "2.4",
            vec![
                "MSA|AE|M1|Required field missing|||101^Required field missing^HL70357",
                "ERR|PID^1^3^101&Required field missing&HL70357~^^^102&Data type error&HL70357",
            ],
        ),
        (
            "2.2",
            vec![
                "MSA|AE|M1|Required field missing",
                "ERR|PID^1^3^101&Required field missing&HL70357~^^^102&Data type error&HL70357",
            ],
        ),
        ("2.1", vec!["MSA|AE|M1|Required field missing"]),
    ] {
        let answer = Acknowledgement {
            code: AckCode::AE,
            control_id: "B1",
            created: created(),
            errors: &errors,
        };
        let found = String::from_utf8(answer.answer(&message(&msh(version, "")))).unwrap();
        let found: Vec<_> = found.split_terminator('\r').skip(1).collect();
        assert_eq!(found, expected, "{version}");
    }
}

#[test]
fn what_cannot_be_read_is_never_accepted() {
    let errors = [AckError::new(ErrorCondition::SegmentSequenceError)];
    let answer = Acknowledgement {
        code: AckCode::AA,
        control_id: "B1",
        created: created(),
        errors: &errors,
    };
    let expected = "MSH|^~\\&|||||20250314153000+0100||ACK|B1|P|2.5.1\r\
                    MSA|AE||Segment sequence error\r\
                    ERR|||100^Segment sequence error^HL70357|E||||Segment sequence error\r";
    assert_eq!(
        String::from_utf8(answer.answer_unreadable()).unwrap(),
        expected
    );
}

#[test]
fn the_answer_is_in_the_character_set_of_the_message() {
    let bytes = b"MSH|^~\\&|APP|FAC|US|HERE|2025||ADT^A03|M\xFC|P|2.5||||||8859/1\r";
    let message = parse(bytes).unwrap().message;
    let answer = Acknowledgement {
        code: AckCode::AA,
        control_id: "B1",
        created: created(),
        errors: &[],
    };
    let expected = b"MSH|^~\\&|US|HERE|APP|FAC|20250314153000+0100||ACK^A03^ACK|B1|P|2.5||||||8859/1\rMSA|AA|M\xFC\r";
    assert_eq!(answer.answer(&message), expected);
}

#[test]
fn an_echo_cannot_end_the_frame() {
    let text = "MSH|^~\\&|APP|FAC|US|HERE|2025||ADT^A03|M\u{1c}1|P|2.5\r";
    let answer = Acknowledgement {
        code: AckCode::AA,
        control_id: "B1",
        created: created(),
        errors: &[],
    };
    assert!(!answer.answer(&message(text)).contains(&0x1C));
}

#[track_caller]
fn check_plan(asked: &str, policy: AckPolicy, expected: [&str; 3], deferred: &str, unknown: bool) {
    let plan = mode(&message(&msh("2.5", &format!("|||{asked}"))), policy);
    let all = [
        Disposition::Accepted,
        Disposition::Error,
        Disposition::Rejected,
    ];
    let codes = all.map(|disposition| plan.immediate(disposition).map_or("", AckCode::as_str));
    assert_eq!(codes, expected, "{asked}");
    let later = plan
        .deferred(Disposition::Accepted)
        .map_or("", AckCode::as_str);
    assert_eq!(
        (later, plan.unknown_condition),
        (deferred, unknown),
        "{asked}"
    );
}

#[test]
fn the_message_says_which_acknowledgements_it_wants() {
    let asked = AckPolicy::AsAsked;
    check_plan("", asked, ["AA", "AE", "AR"], "", false);
    check_plan("AL", asked, ["CA", "CE", "CR"], "", false);
    check_plan("AL|NE", asked, ["CA", "CE", "CR"], "", false);
    check_plan("AL|AL", asked, ["CA", "CE", "CR"], "AA", false);
    check_plan("NE|AL", asked, ["AA", "AE", "AR"], "", false);
    check_plan("|AL", asked, ["AA", "AE", "AR"], "", false);
    check_plan("NE|NE", asked, ["", "", ""], "", false);
    check_plan("NE", asked, ["", "", ""], "", false);
    check_plan("ER", asked, ["", "CE", "CR"], "", false);
    check_plan("SU", asked, ["CA", "", ""], "", false);
    check_plan("ER|SU", asked, ["AA", "CE", "CR"], "", false);
    check_plan("XX", asked, ["AA", "AE", "AR"], "", true);
    check_plan("XX|AL", asked, ["AA", "AE", "AR"], "", true);
    check_plan("AL|XX", asked, ["CA", "CE", "CR"], "", true);
}

#[test]
fn a_source_may_be_answered_otherwise_than_it_asks() {
    check_plan(
        "NE|NE",
        AckPolicy::Application,
        ["AA", "AE", "AR"],
        "",
        false,
    );
    check_plan("", AckPolicy::Commit, ["CA", "CE", "CR"], "", false);
    check_plan("AL|AL", AckPolicy::Silent, ["", "", ""], "", false);
}

#[test]
fn an_acknowledgement_is_never_acknowledged() {
    for (text, expected) in [
        (
            "MSH|^~\\&|A|B|C|D|2025||ACK^A03|Q1|P|2.5.1\rMSA|AA|ZZZ",
            true,
        ),
        ("MSH|^~\\&|A|B|C|D|2025||ACK|Q1|P|2.5.1", true),
        (
            "MSH|^~\\&|A|B|C|D|2025||ORR^O02|Q1|P|2.5.1\rMSA|AA|ZZZ",
            true,
        ),
        ("MSH|^~\\&|A|B|C|D|2025||ADT^A01|Q1|P|2.5.1\rEVN|A01", false),
    ] {
        let message = message(text);
        assert_eq!(is_acknowledgement(&message), expected, "{text}");
        let plan = mode(&message, AckPolicy::Application);
        assert_eq!(
            plan.immediate(Disposition::Accepted).is_none(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn received_acknowledgements_are_read() {
    let sent = message(&msh("2.5", ""));
    for version in ["2.3", "2.5.1"] {
        let errors = [missing(5)];
        let answer = Acknowledgement {
            code: AckCode::AR,
            control_id: "B1",
            created: created(),
            errors: &errors,
        };
        let bytes = answer.answer(&message(&msh(version, "")));
        let received = parse(&bytes).unwrap().message;
        let answer = read(&received).unwrap();
        assert_eq!(
            (answer.code, answer.control_id),
            (AckCode::AR, sent.control_id())
        );
        assert_eq!(answer.text.as_deref(), Some("Required field missing"));
        let [error] = answer.errors.as_slice() else {
            panic!("one error")
        };
        assert_eq!(error.condition, Some(ErrorCondition::RequiredFieldMissing));
        assert_eq!(
            error.location.map(|at| at.to_string()).as_deref(),
            Some("PID-5")
        );
        assert_eq!(error.text.as_deref(), Some("Required field missing"));
    }
}

#[test]
fn a_received_acknowledgement_may_be_poor() {
    let header = "MSH|^~\\&|A|B|C|D|2025||ACK|Q1|P|2.3";
    let poor = message(&format!("{header}\rMSA|AE| M1 |no \\T\\ no|||207^broken"));
    let answer = read(&poor).unwrap();
    assert_eq!((answer.code, answer.control_id), (AckCode::AE, " M1 "));
    assert_eq!(answer.text.as_deref(), Some("no & no"));
    assert_eq!(
        answer.errors[0].condition,
        Some(ErrorCondition::ApplicationInternalError)
    );
    let local = message(&format!("{header}\rMSA|AE|M1\rERR|||X9^odd^L|F|||detail"));
    let answer = read(&local).unwrap();
    let error = &answer.errors[0];
    assert_eq!((error.code.as_deref(), error.condition), (Some("X9"), None));
    assert_eq!(error.severity, Some(ErrorSeverity::Fatal));
    assert_eq!(error.text.as_deref(), Some("detail"));
    let none = read(&message(&format!("{header}\rMSA|OK|M1"))).unwrap_err();
    assert_eq!(none, AnswerError::UnknownCode);
    assert_eq!(
        read(&message(header)).unwrap_err(),
        AnswerError::NotAnAcknowledgement
    );
}

#[test]
fn every_code_has_its_row() {
    for (text, code, negative) in ACK_CODES {
        assert_eq!((AckCode::read(text), code.as_str()), (Some(*code), *text));
        assert!(!negative.is_positive());
    }
    for (condition, code, text) in TABLE_0357 {
        assert_eq!(ErrorCondition::read(code), Some(*condition));
        assert_eq!((condition.code(), condition.text()), (*code, *text));
    }
}

#[test]
fn an_issue_that_is_an_error_can_be_told() {
    for (code, _, severity) in crate::parse::ISSUES {
        let told = AckError::of_issue(*code).is_some();
        assert_eq!(told, *severity == crate::parse::Severity::Error, "{code:?}");
    }
    let error = AckError::of_issue(IssueCode::ControlIdMissing).unwrap();
    assert_eq!(
        error.location.map(|at| at.to_string()).as_deref(),
        Some("MSH-10")
    );
    let error = AckError::of_parse_error(ParseError::HeaderMissing);
    assert_eq!(error.condition.code(), "100");
}
