//! The visit as its messages leave it, with all its times: scenarios S01, S03, S06, S08c, and what
//! feeds do wrong.

use std::fmt::Write as _;

use proptest::prelude::*;

use crate::adt::encounter::{References, encounter};
use crate::adt::tests::{feed, message, received};
use crate::adt::time::When;
use crate::adt::visit::{Past, Visit, fold};
use crate::adt::{Arrival, VisitIdentifier};
use crate::config::Feed;

fn visit(feed: &Feed, lines: &[&str]) -> Option<Visit> {
    let messages: Vec<_> = lines.iter().map(|line| message(line)).collect();
    let arrivals: Vec<Arrival<'_>> = messages
        .iter()
        .zip(1..)
        .map(|(message, row)| Arrival {
            message,
            feed,
            row,
            received: received(),
        })
        .collect();
    let identifier = VisitIdentifier {
        system: "urn:visits".into(),
        value: "V1".into(),
    };
    fold(&identifier, &arrivals)
}

/// All that a visit says, for people to read.
fn describe(visit: &Visit) -> String {
    let mut text = format!("{} {}", visit.status.code(), visit.class.unwrap_or("?"));
    let times = span(visit.start.as_ref(), visit.end.as_ref());
    write!(text, " {times}").unwrap();
    if let Some(known) = &visit.disposition {
        write!(text, " to {}", known.local).unwrap();
    }
    section(&mut text, "was", &visit.status_history, |status| {
        status.code()
    });
    section(&mut text, "class", &visit.class_history, |class| class);
    section(&mut text, "at", &visit.places, |place| &place.display);
    for participant in &visit.participants {
        let name = participant.individual["display"].as_str().unwrap_or("?");
        write!(text, "\n{} {name}", participant.role).unwrap();
    }
    for flag in &visit.flags {
        write!(text, "\nflag {flag}").unwrap();
    }
    text
}

fn section<T>(text: &mut String, name: &str, past: &[Past<T>], show: impl Fn(&T) -> &str) {
    for past in past {
        let times = span(past.start.as_ref(), past.end.as_ref());
        write!(text, "\n{name} {} {times}", show(&past.value)).unwrap();
    }
}

/// Times of 2026 as `08-03T11:30-04`.
fn span(start: Option<&When>, end: Option<&When>) -> String {
    let short = |when: Option<&When>| {
        let text = when.map_or("", When::text).trim_start_matches("2026-");
        text.replace(":00-04:00", "-04").replace(":00-05:00", "-05")
    };
    format!("{}..{}", short(start), short(end))
}

#[track_caller]
fn check_by(feed: &Feed, lines: &[&str], expected: &str) {
    let visit = visit(feed, lines);
    let found = visit.map_or_else(|| "no visit".to_owned(), |visit| describe(&visit));
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(found, expected.join("\n"), "{lines:#?}");
}

#[track_caller]
fn check(lines: &[&str], expected: &str) {
    check_by(&feed(), lines, expected);
}

const ADMIT: &str = "A01 20260803120000 PV1-2 I, PV1-44 20260803113000, PV1-3 4N^401^1";
const DISCHARGE: &str = "A03 20260804110200 PV1-36 01, PV1-45 20260804110000";

#[test]
fn an_admission_and_a_discharge() {
    // S01: the clocks go forward two days later.
    let admit = "A01 20260303101500 PV1-2 I, PV1-4 C, PV1-44 20260303100000";
    check(&[admit], "in-progress IMP 03-03T10:00-05..");
    let discharge = "A03 20260306161200 PV1-36 01, PV1-45 20260306161000";
    check(
        &[admit, discharge],
        "finished IMP 03-03T10:00-05..03-06T16:10-05 to 01
        was in-progress 03-03T10:00-05..03-06T16:10-05",
    );
}

#[test]
fn a_discharge_that_is_taken_back() {
    // S03.
    let cancel = "A13 20260804141500 PV1-3 5W^512^1";
    let again = "A03 20260807100300 PV1-36 01, PV1-45 20260807100000";
    check(
        &[ADMIT, DISCHARGE, cancel],
        "in-progress IMP 08-03T11:30-04..
        was in-progress 08-03T11:30-04..08-04T11:00-04
        was finished 08-04T11:00-04..08-04T14:15-04
        at 4N/401/1 08-03T11:30-04..08-04T14:15-04
        at 5W/512/1 08-04T14:15-04..",
    );
    check(
        &[ADMIT, DISCHARGE, cancel, again],
        "finished IMP 08-03T11:30-04..08-07T10:00-04 to 01
        was in-progress 08-03T11:30-04..08-04T11:00-04
        was finished 08-04T11:00-04..08-04T14:15-04
        was in-progress 08-04T14:15-04..08-07T10:00-04
        at 4N/401/1 08-03T11:30-04..08-04T14:15-04
        at 5W/512/1 08-04T14:15-04..08-07T10:00-04",
    );
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    // S06, in all six orders; only the discharge tells when the visit began.
    let lines = [
        "A03 20260818150200 PV1-44 20260815030000, PV1-45 20260818150000, PV1-36 01",
        "A02 20260816101500 PV1-3 4N^410^2, PV1-6 ED^^",
        "A01 20260815031000 PV1-2 I, PV1-3 ED^^, PV1-7 1999^CHEN",
    ];
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        check(
            &order.map(|index: usize| lines[index]),
            "finished IMP 08-15T03:00-04..08-18T15:00-04 to 01
            was in-progress 08-15T03:00-04..08-18T15:00-04
            at ED 08-15T03:00-04..08-16T10:15-04
            at 4N/410/2 08-16T10:15-04..08-18T15:00-04
            ATND CHEN",
        );
    }
}

#[test]
fn an_emergency_visit_becomes_a_stay() {
    // S08c.
    check(
        &[
            "A04 20260908090000 PV1-2 E, PV1-44 20260908085500, PV1-3 ED^^",
            "A06 20260908143000 PV1-2 I, PV1-3 4N^402^1, PV1-6 ED^^",
            "A03 20260911120300 PV1-36 01, PV1-45 20260911120000",
        ],
        "finished IMP 09-08T08:55-04..09-11T12:00-04 to 01
        was in-progress 09-08T08:55-04..09-11T12:00-04
        class EMER 09-08T08:55-04..09-08T14:30-04
        at ED 09-08T08:55-04..09-08T14:30-04
        at 4N/402/1 09-08T14:30-04..09-11T12:00-04",
    );
}

const FINISHED: &str = "finished IMP 08-03T11:30-04..08-04T11:00-04 to 01
    was in-progress 08-03T11:30-04..08-04T11:00-04
    at 4N/401/1 08-03T11:30-04..08-04T11:00-04";

#[test]
fn corrections_after_the_discharge() {
    check(
        &[
            ADMIT,
            DISCHARGE,
            "A08 20260805010000 PV1-45 20260805003000, PV1-36 06",
        ],
        "finished IMP 08-03T11:30-04..08-05T00:30-04 to 06
        was in-progress 08-03T11:30-04..08-05T00:30-04
        at 4N/401/1 08-03T11:30-04..08-05T00:30-04",
    );
    // What comes late or is told again neither reopens nor moves anybody.
    check(&[ADMIT, DISCHARGE, "A08 20260805010000"], FINISHED);
    check(&[ADMIT, DISCHARGE, ADMIT], FINISHED);
    check(&[ADMIT, DISCHARGE, "A01 20260806000000 PV1-2 I"], FINISHED);
    check(
        &[ADMIT, DISCHARGE, "A02 20260806000000 PV1-3 9X^1"],
        FINISHED,
    );
    check(&[ADMIT, DISCHARGE, "A21 20260806000000"], FINISHED);
}

#[test]
fn an_end_in_any_event_is_an_end() {
    let end = "PV1-36 01, PV1-45 20260804110000";
    let update = format!("A08 20260804110200 {end}");
    check(&[ADMIT, &update], FINISHED);
    check(&[ADMIT, &format!("A31 20260804110200 {end}")], FINISHED);
    let delete = "A08 20260804120000 PV1-45 \"\", PV1-36 \"\"";
    check(
        &[ADMIT, &update, delete],
        "in-progress IMP 08-03T11:30-04..
        was in-progress 08-03T11:30-04..08-04T11:00-04
        was finished 08-04T11:00-04..08-04T12:00-04
        at 4N/401/1 08-03T11:30-04..",
    );
    // Only an A13 takes an A03 back.
    let delete = "A08 20260804120000 PV1-45 \"\"";
    check(&[ADMIT, DISCHARGE, delete], FINISHED);
}

#[test]
fn a_visit_that_is_taken_back() {
    let cancel = "A11 20260803130000";
    let cancelled = "cancelled IMP 08-03T11:30-04..
        was in-progress 08-03T11:30-04..08-03T13:00-04
        at 4N/401/1 08-03T11:30-04..";
    check(&[ADMIT, cancel], cancelled);
    check(&[ADMIT, cancel, cancel], cancelled);
    check(&[ADMIT, cancel, "A08 20260803140000 PV1-3 5W"], cancelled);
    check(&[ADMIT, cancel, DISCHARGE], cancelled);
    let again = "A01 20260803150000 PV1-2 I";
    check(
        &[ADMIT, cancel, again],
        "in-progress IMP 08-03T11:30-04..
        was in-progress 08-03T11:30-04..08-03T13:00-04
        was cancelled 08-03T13:00-04..08-03T15:00-04
        at 4N/401/1 08-03T11:30-04..",
    );
    // What ended before it was taken back has not ended when it begins again.
    let again = "A01 20260804130000 PV1-2 I";
    check(
        &[ADMIT, DISCHARGE, "A11 20260804120000", again],
        "in-progress IMP 08-03T11:30-04..
        was in-progress 08-03T11:30-04..08-04T11:00-04
        was finished 08-04T11:00-04..08-04T12:00-04
        was cancelled 08-04T12:00-04..08-04T13:00-04
        at 4N/401/1 08-03T11:30-04..",
    );
}

#[test]
fn plans_and_leaves() {
    let plan = "A05 20260801080000 PV1-2 P";
    check(&[plan], "planned PRENC ..");
    let cancel = "A38 20260802080000";
    check(
        &[plan, cancel],
        "cancelled PRENC ..
        was planned 08-01T08:00-04..08-02T08:00-04",
    );
    check(
        &[plan, cancel, "A05 20260803080000"],
        "planned PRENC ..
        was planned 08-01T08:00-04..08-02T08:00-04
        was cancelled 08-02T08:00-04..08-03T08:00-04",
    );
    check(
        &[ADMIT, "A21 20260804080000", "A22 20260805080000"],
        "in-progress IMP 08-03T11:30-04..
        was in-progress 08-03T11:30-04..08-04T08:00-04
        was onleave 08-04T08:00-04..08-05T08:00-04
        at 4N/401/1 08-03T11:30-04..",
    );
    check(&["A31 20260801080000"], "no visit");
    check(&["A99 20260801080000"], "no visit");
}

#[test]
fn without_pv1_44_a_visit_begins_when_its_event_occurred() {
    check(
        &["A01 20260803120000 PV1-2 I, EVN-6 20260803113000"],
        "in-progress IMP 08-03T11:30-04..",
    );
    // The time of a message is no beginning.
    check(&["A01 20260803120000 PV1-2 I"], "in-progress IMP ..");
    check(
        &["A08 20260803120000 PV1-2 I, EVN-6 20260803113000"],
        "in-progress IMP ..",
    );
}

#[test]
fn an_empty_field_keeps_and_two_quotes_delete() {
    let admit =
        "A01 20260803120000 PV1-2 I, PV1-44 20260803113000, PV1-7 1^Chen~2^Ngo, PV1-17 3^Low";
    let without = "in-progress IMP 08-03T11:30-04..
        ADM Low";
    check(
        &[admit, "A08 20260803130000"],
        "in-progress IMP 08-03T11:30-04..
        ATND Chen
        ATND Ngo
        ADM Low",
    );
    check(&[admit, "A08 20260803130000 PV1-7 \"\""], without);
    check(
        &[admit, "A08 20260803130000 PV1-7 4^Diaz"],
        "in-progress IMP 08-03T11:30-04..
        ADM Low
        ATND Diaz",
    );
    let snapshots = Feed {
        snapshot: true,
        ..feed()
    };
    check_by(
        &snapshots,
        &[admit, "A08 20260803130000 PV1-17 3^Low"],
        without,
    );
}

#[test]
fn times_around_a_change_of_the_clocks_and_times_that_cannot_be() {
    #[track_caller]
    fn starts(time: &str, expected: &str) {
        let line = format!("A01 20261130000000 PV1-2 I, PV1-44 {time}");
        check(&[&line], &format!("in-progress IMP {expected}"));
    }
    starts("20260307120000", "03-07T12:00-05..");
    starts("20260308120000", "03-08T12:00-04..");
    starts(
        "20261101013000",
        "11-01T01:30-04..\nflag ambiguous-local-time",
    );
    starts(
        "20260308023000",
        "03-08T03:30-04..\nflag nonexistent-local-time",
    );
    starts("20260803113000+0000", "08-03T11:30:00+00:00..");
    starts("202608031130", "08-03T11:30-04..");
    starts("20260803", "08-03..");
    starts("17760704", "..\nflag implausible-time");
    starts("29990101", "..\nflag implausible-time");
    starts("yesterday", "..");
}

#[test]
fn an_end_before_the_beginning_makes_no_impossible_period() {
    check(
        &[ADMIT, "A03 20260803130000 PV1-45 20260803100000, PV1-3 5W"],
        "finished IMP ..08-03T10:00-04
        was in-progress 08-03T10:00-04..08-03T10:00-04
        at 4N/401/1 08-03T10:00-04..08-03T10:00-04
        at 5W 08-03T10:00-04..08-03T10:00-04
        flag end-before-start",
    );
}

#[test]
fn where_the_patient_goes() {
    #[track_caller]
    fn check(code: &str, expected: &[&str]) {
        let mut feed = feed();
        feed.dispositions.insert("HOME".into(), "01".into());
        let discharge = format!("A03 20260804110200 PV1-45 20260804110000, PV1-36 {code}");
        let visit = visit(&feed, &[ADMIT, &discharge]).unwrap();
        let references = References {
            id: "e",
            patient_id: "p",
            diagnoses: Vec::new(),
        };
        let encounter = encounter(&visit, &feed, &references, None);
        let disposition = &encounter["hospitalization"]["dischargeDisposition"];
        let codings = disposition["coding"].as_array().into_iter().flatten();
        let codes: Vec<&str> = codings
            .filter_map(|coding| coding["code"].as_str())
            .collect();
        assert_eq!(codes, expected, "{code}");
    }
    check("01", &["01", "home"]);
    check("1", &["01", "home"]);
    check("HOME", &["01", "home"]);
    check("03", &["03", "snf"]);
    check("04", &["04", "long"]);
    check("07", &["07", "aadvice"]);
    check("20", &["20", "exp"]);
    check("30", &["30"]);
    check("51", &["51", "hosp"]);
    check("62", &["62", "rehab"]);
    check("65", &["65", "psy"]);
    check("86", &["86", "home"]);
    check("77", &["77", "oth"]);
    check("SOMEWHERE", &["SOMEWHERE", "oth"]);
    check("", &[]);
}

/// Messages of one visit, with every movement and much that does not fit together.
fn tangled() -> Vec<String> {
    const EVENTS: [&str; 14] = [
        "A05", "A04", "A06", "A02", "A08", "A21", "A22", "A03", "A13", "A31", "A03", "A11", "A01",
        "A03",
    ];
    let told = EVENTS.iter().zip(8..).map(|(event, hour)| {
        let (ward, class) = (hour % 4, if hour < 10 { "E" } else { "I" });
        let end = match *event {
            "A03" => format!(", PV1-45 20260803{hour:02}0000, PV1-36 01"),
            "A08" => ", PV1-45 \"\", PV1-7 \"\"".to_owned(),
            _ => String::new(),
        };
        format!(
            "{event} 20260803{hour:02}0500 PV1-2 {class}, PV1-3 W{ward}, PV1-44 20260803073000, \
             PV1-17 {hour}^Chen, DG1-3 I50.{ward}^^I10, DG1-6 F{end}"
        )
    });
    told.collect()
}

proptest! {
    #[test]
    fn whichever_messages_come_they_give_one_visit_in_any_order_and_number(
        (told, delivered) in prop::sample::subsequence(tangled(), 1..=14).prop_flat_map(|told| {
            let again = prop::sample::subsequence(told.clone(), 0..=told.len());
            let told_again = told.clone();
            let delivered = again
                .prop_map(move |again| [told_again.clone(), again].concat())
                .prop_shuffle();
            (Just(told), delivered)
        })
    ) {
        let visit = |lines: &[String]| {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            visit(&feed(), &lines)
        };
        prop_assert_eq!(visit(&delivered), visit(&told));
    }
}
