//! What the messages of a visit fold to, and what the visit is mapped to.

use chrono::{DateTime, Utc};
use hl7v2::Message;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::adt::encounter::{References, encounter};
use crate::adt::visit::{Status, Visit, fold};
use crate::adt::{Arrival, VisitIdentifier, patient};
use crate::config::Feed;

/// A feed in New York where `V` means observation.
fn feed() -> Feed {
    Feed {
        zone: chrono_tz::America::New_York,
        classes: [("V".to_owned(), "OBSENC".to_owned())].into(),
        ..Feed::unclaimed()
    }
}

fn received() -> DateTime<Utc> {
    "2026-12-31T00:00:00Z".parse().unwrap()
}

/// A message of visit V1: event, MSH-7, then fields as `PV1-2 I` or `DG1-3 I50.9`.
fn message(line: &str) -> Message {
    let mut words = line.splitn(3, ' ');
    let (event, created) = (words.next().unwrap(), words.next().unwrap());
    let mut segments = [
        ("PID", vec![String::new(); 31]),
        ("PV1", vec![String::new(); 46]),
        ("DG1", vec![String::new(); 22]),
    ];
    let defaults = "PID-3 7^^^H^MR, PID-5 EXAMPLE^ANNA, PV1-19 V1";
    for setting in defaults
        .split(", ")
        .chain(words.next().unwrap_or_default().split(", "))
    {
        let Some((field, value)) = setting.split_once(' ') else {
            continue;
        };
        let (segment, number) = field.split_once('-').unwrap();
        let (_, fields) = segments.iter_mut().find(|(id, _)| *id == segment).unwrap();
        fields[number.parse::<usize>().unwrap()] = value.to_owned();
    }
    let written = segments
        .iter()
        .filter(|(_, fields)| fields.iter().any(|field| !field.is_empty()));
    let lines: Vec<String> = written
        .map(|(id, fields)| format!("{id}{}", fields.join("|")))
        .collect();
    let text = lines.join("\r");
    let header =
        format!("MSH|^~\\&|APP|H|||{created}||ADT^{event}|C|P|2.5.1\rEVN|{event}|{created}\r");
    hl7v2::parse(format!("{header}{text}").as_bytes())
        .unwrap()
        .message
}

fn folded(messages: &[Message]) -> Visit {
    let feed = feed();
    let arrivals: Vec<Arrival<'_>> = messages
        .iter()
        .zip(1..)
        .map(|(message, row)| Arrival {
            message,
            feed: &feed,
            row,
            received: received(),
        })
        .collect();
    let identifier = arrivals[0].visit_identifier().unwrap();
    fold(&identifier, &arrivals).unwrap()
}

fn visit(lines: &[&str]) -> Visit {
    folded(&lines.iter().map(|line| message(line)).collect::<Vec<_>>())
}

/// Status, class, start, end, disposition, places, as one line.
fn summary(visit: &Visit) -> String {
    let text = |when: &Option<crate::adt::time::When>| {
        when.as_ref()
            .map_or_else(|| "-".to_owned(), |when| when.text().to_owned())
    };
    let disposition = visit
        .disposition
        .as_ref()
        .map_or("-", |known| known.local.as_str());
    let places: Vec<&str> = visit
        .places
        .iter()
        .map(|past| past.value.display.as_str())
        .collect();
    format!(
        "{} {} {} {} {disposition} {}",
        visit.status.code(),
        visit.class.unwrap_or("-"),
        text(&visit.start),
        text(&visit.end),
        places.join(",")
    )
}

#[track_caller]
fn check(lines: &[&str], expected: &str) {
    assert_eq!(summary(&visit(lines)), expected);
}

const ADMIT: &str = "A01 20260803120000 PV1-2 I, PV1-44 20260803113000, PV1-3 4N^401^1";
const DISCHARGE: &str = "A03 20260804110200 PV1-36 01, PV1-45 20260804110000";
const IN_PROGRESS: &str = "in-progress IMP 2026-08-03T11:30:00-04:00 - - 4N/401/1";
const FINISHED: &str =
    "finished IMP 2026-08-03T11:30:00-04:00 2026-08-04T11:00:00-04:00 01 4N/401/1";

#[test]
fn a_visit_begins_and_ends() {
    check(&[ADMIT], IN_PROGRESS);
    check(&[ADMIT, DISCHARGE], FINISHED);
    check(&["A05 20260803120000 PV1-2 P"], "planned PRENC - - - ");
}

#[test]
fn a_cancelled_discharge_is_no_discharge() {
    let cancel = "A13 20260804141500 PV1-3 5W^512^1";
    let again = "A03 20260807100300 PV1-36 01, PV1-45 20260807100000";
    let reopened = "in-progress IMP 2026-08-03T11:30:00-04:00 - - 4N/401/1,5W/512/1";
    check(&[ADMIT, DISCHARGE, cancel], reopened);
    let visit = visit(&[ADMIT, DISCHARGE, cancel, again]);
    assert_eq!(visit.status, Status::Finished);
    let history: Vec<Status> = visit.status_history.iter().map(|past| past.value).collect();
    assert_eq!(
        history,
        [Status::InProgress, Status::Finished, Status::InProgress]
    );
}

#[test]
fn corrections_move_the_end_and_silence_changes_nothing() {
    let moved = "A08 20260804150000 PV1-45 20260805003000, PV1-36 06";
    let expected = "finished IMP 2026-08-03T11:30:00-04:00 2026-08-05T00:30:00-04:00 06 4N/401/1";
    check(&[ADMIT, DISCHARGE, moved], expected);
    check(&[ADMIT, DISCHARGE, moved, "A08 20260804160000"], expected);
    check(
        &[ADMIT, "A08 20260804150000 PV1-45 20260804110000, PV1-36 01"],
        FINISHED,
    );
}

#[test]
fn late_messages_never_reopen() {
    check(&[ADMIT, DISCHARGE, "A08 20260805120000"], FINISHED);
    check(&[ADMIT, DISCHARGE, "A01 20260806120000 PV1-2 I"], FINISHED);
    let moved = "A02 20260804090000 PV1-3 5W^512^1";
    let expected =
        "finished IMP 2026-08-03T11:30:00-04:00 2026-08-04T11:00:00-04:00 01 4N/401/1,5W/512/1";
    check(&[ADMIT, DISCHARGE, moved], expected);
}

#[test]
fn what_never_was_stays_cancelled_until_it_begins_anew() {
    let cancel = "A11 20260803130000";
    let cancelled = "cancelled IMP 2026-08-03T11:30:00-04:00 - - 4N/401/1";
    check(&[ADMIT, cancel], cancelled);
    check(&[ADMIT, cancel, "A08 20260803140000"], cancelled);
    check(&[ADMIT, cancel, DISCHARGE], cancelled);
    check(&[ADMIT, cancel, "A01 20260803150000 PV1-2 I"], IN_PROGRESS);
}

#[test]
fn an_emergency_visit_that_becomes_inpatient_is_one_visit() {
    let register = "A04 20260908090000 PV1-2 E, PV1-44 20260908085500, PV1-3 ED";
    let change = "A06 20260908143000 PV1-2 I, PV1-3 4N^402^1, PV1-6 ED";
    let visit = visit(&[register, change]);
    assert_eq!(
        summary(&visit),
        "in-progress IMP 2026-09-08T08:55:00-04:00 - - ED,4N/402/1"
    );
    let [past] = visit.class_history.as_slice() else {
        panic!("{:?}", visit.class_history)
    };
    let [start, end] = [&past.start, &past.end].map(|when| when.as_ref().unwrap().text());
    assert_eq!(
        (past.value, start, end),
        (
            "EMER",
            "2026-09-08T08:55:00-04:00",
            "2026-09-08T14:30:00-04:00"
        )
    );
}

#[test]
fn a_class_is_mapped_by_the_feed_then_by_the_table() {
    for (local, expected) in [
        ("V", Some("OBSENC")),
        ("E", Some("EMER")),
        ("O", Some("AMB")),
        ("?", None),
    ] {
        assert_eq!(
            visit(&[&format!("A04 20260908090000 PV1-2 {local}")]).class,
            expected
        );
    }
}

#[test]
fn a_visit_is_named_by_its_number_then_by_account_then_by_alternate_id() {
    let feed = feed();
    for (fields, expected) in [
        ("PV1-19 V9, PID-18 A9", Some(("", "V9"))),
        ("PV1-19 , PID-18 A9", Some((":account", "A9"))),
        ("PV1-19 , PV1-2 I", None),
    ] {
        let message = message(&format!("A01 20260803120000 {fields}, PV1-2 I"));
        let arrival = Arrival {
            message: &message,
            feed: &feed,
            row: 1,
            received: received(),
        };
        let expected = expected.map(|(suffix, value)| VisitIdentifier {
            system: format!("{}{suffix}", feed.visit_system),
            value: value.to_owned(),
        });
        assert_eq!(arrival.visit_identifier(), expected, "{fields}");
    }
}

#[test]
fn times_that_cannot_be_true_are_flagged_and_not_used() {
    let visit = visit(&[ADMIT, "A03 20260804110200 PV1-36 01, PV1-45 22260804110000"]);
    assert!(visit.flags.contains(&"implausible-time"));
    assert_eq!(visit.end.unwrap().text(), "2026-08-04T11:02:00-04:00");
    let twice = "A01 20261101120000 PV1-2 I, PV1-44 20261101013000";
    let visit = self::visit(&[twice]);
    assert_eq!(visit.flags, ["ambiguous-local-time"]);
    assert_eq!(visit.start.unwrap().text(), "2026-11-01T01:30:00-04:00");
}

#[test]
fn death_is_sticky_and_null_deletes() {
    let feed = feed();
    let apply = |line: &str, existing: Option<&Value>| {
        let message = message(line);
        let arrival = Arrival {
            message: &message,
            feed: &feed,
            row: 1,
            received: received(),
        };
        patient::patient(
            &arrival,
            &arrival.patient_identifiers(),
            "p",
            existing,
            true,
            false,
        )
    };
    let dead = apply(
        "A31 20260625090000 PID-29 20260624213000, PID-30 Y, PID-7 19500131",
        None,
    );
    assert_eq!(dead["deceasedDateTime"], "2026-06-24T21:30:00-04:00");
    for line in ["A08 20260626090000", "A08 20260626090000 PID-30 N"] {
        let later = apply(line, Some(&dead));
        assert_eq!(
            later["deceasedDateTime"], dead["deceasedDateTime"],
            "{line}"
        );
        assert_eq!(
            later["birthDate"], "1950-01-31",
            "an empty field says nothing"
        );
    }
    assert_eq!(
        apply("A08 20260626090000 PID-7 \"\"", Some(&dead)).get("birthDate"),
        None
    );
    assert_eq!(
        apply("A08 20260626090000", Some(&dead)),
        dead,
        "nothing new changes nothing"
    );
}

#[test]
fn mapping_again_onto_its_own_result_changes_nothing() {
    let feed = feed();
    let visit = visit(&[ADMIT, DISCHARGE]);
    let references = References {
        id: "e",
        patient_id: "p",
        diagnoses: Vec::new(),
    };
    let first = encounter(&visit, &feed, &references, None);
    let mut stored = first.clone();
    stored["episodeOfCare"] = json!([{ "reference": "EpisodeOfCare/x" }]);
    assert_eq!(encounter(&visit, &feed, &references, Some(&first)), first);
    let kept = encounter(&visit, &feed, &references, Some(&stored));
    assert_eq!(
        kept, stored,
        "what others wrote beside the projection stays"
    );
}

/// Messages of one visit with different times.
const STORY: &[&str] = &[
    "A04 20260803090000 PV1-2 E, PV1-44 20260803085500, PV1-3 ED, PV1-4 E",
    "A06 20260803120000 PV1-2 I, PV1-3 4N^401^1, PV1-6 ED, PV1-7 1^CHEN",
    "A02 20260803180000 PV1-3 5W^512^1",
    "A08 20260803190000 DG1-3 I50.9^Heart failure^I10, DG1-6 W",
    "A03 20260804110200 PV1-36 01, PV1-45 20260804110000",
    "A13 20260804141500 PV1-3 5W^514^1",
    "A08 20260804150000 DG1-3 I50.9^Heart failure^I10, DG1-6 F",
    "A03 20260807100300 PV1-36 06, PV1-45 20260807100000",
    "A08 20260807120000 PV1-45 20260807093000",
];

proptest! {
    #[test]
    fn any_order_and_any_repetition_of_messages_gives_the_same_visit(
        order in Just((0..STORY.len()).collect::<Vec<_>>()).prop_shuffle(),
        again in prop::collection::vec(0..STORY.len(), 0..6),
    ) {
        let expected = visit(STORY);
        let lines: Vec<&str> = order.iter().chain(&again).map(|index| STORY[*index]).collect();
        prop_assert_eq!(visit(&lines), expected);
    }
}
