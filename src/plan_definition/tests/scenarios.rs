//! S01 to S10 and S13: every date is the one of the scenario.

use serde_json::json;

use crate::disposition::Group;
use crate::plan_definition::calendar::Calendar;
use crate::plan_definition::facts::{ConditionFacts, VisitClass, VisitFacts, VisitStatus};
use crate::plan_definition::resource::{extension, id, text};
use crate::plan_definition::tests::stage::{
    Stage, admitted, at, communication, emergent, ended, office_visit, reconcile, zone,
};
use crate::plan_definition::vocabulary as v;

#[test]
fn s01_a_friday_discharge_before_daylight_saving() {
    let mut stage = Stage::new(&["E11.9"]);
    let mut visit = admitted("V1001", "2026-03-03T10:00:00-05:00");
    visit.first_notified_at = Some(at("2026-03-03T10:15:05-05:00"));
    stage.message(&visit, "2026-03-03T10:15:05-05:00");
    stage.check(&[
        "admit-notice completed 2026-03-05T23:59:59-05:00",
        "inpatient-coordination requested 2026-03-04T23:59:59-05:00",
    ]);
    assert_eq!(
        text(stage.task("admit-notice"), "/output/0/valueDateTime"),
        Some("2026-03-03T10:15:05-05:00")
    );

    let visit = ended(&visit, "2026-03-06T16:10:00-05:00", "01");
    stage.message(&visit, "2026-03-06T16:12:05-05:00");
    stage.check(&[
        "admit-notice completed 2026-03-05T23:59:59-05:00",
        "inpatient-coordination cancelled (superseded) 2026-03-04T23:59:59-05:00",
        "discharge-info requested 2026-03-08T23:59:59-04:00",
        "interactive-contact requested 2026-03-10T23:59:59-04:00",
        "medication-reconciliation requested 2026-03-20T23:59:59-04:00",
        "face-to-face requested 2026-03-20T23:59:59-04:00",
        "tcm-closeout requested 2026-04-04T23:59:59-04:00",
    ]);
    assert_eq!(stage.score(), 4);
    assert_eq!(
        text(
            stage.last("RiskAssessment"),
            "/prediction/0/qualitativeRisk/coding/0/code"
        ),
        Some("low")
    );
    assert_eq!(
        stage.last("CarePlan")["period"],
        json!({ "start": "2026-03-06", "end": "2026-04-04" })
    );
    assert_eq!(
        stage.last("EpisodeOfCare")["period"],
        json!({ "start": "2026-03-06" })
    );
    assert_eq!(stage.pathway(), ("active", "active"));
    assert_eq!(
        text(stage.task("face-to-face"), "/restriction/period/start"),
        Some("2026-03-06T16:10:00-05:00")
    );

    let call = communication(&stage, "c1", "completed", "2026-03-07T11:00:00-05:00");
    stage.human(call, "2026-03-07T11:05:00-05:00");
    assert_eq!(stage.task("interactive-contact")["status"], "completed");
    assert_eq!(
        stage.output("interactive-contact", "contact-element"),
        Some("reached")
    );

    stage.clock("2026-03-09T00:00:00-04:00");
    assert_eq!(stage.business("discharge-info"), Some("overdue"));
    assert_eq!(stage.business("face-to-face"), None);
    let office = office_visit(&stage, "2026-03-19", Some("moderate"));
    stage.human(office, "2026-03-19T11:00:00-04:00");
    assert_eq!(stage.task("face-to-face")["status"], "completed");
    reconcile(&mut stage, "2026-03-19");
    stage.clock("2026-04-04T23:59:59-04:00");
    assert_eq!(stage.pathway(), ("active", "active"));
    stage.clock("2026-04-05T00:00:00-04:00");
    assert_eq!(stage.output("tcm-closeout", "result"), Some("99495"));
    assert_eq!(stage.pathway(), ("completed", "finished"));
    assert_eq!(stage.last("Goal")["lifecycleStatus"], "completed");

    // A replay after the end starts nothing.
    let decision = stage.message(&visit, "2026-04-05T01:00:00-04:00");
    assert!(decision.changes.is_empty());
}

fn s02() -> (Stage, VisitFacts) {
    let mut stage = Stage::new(&["I50.9", "J44.9"]);
    let visit = emergent(admitted("V1002", "2026-06-28T08:00:00-04:00"));
    stage.message(&visit, "2026-06-28T08:30:05-04:00");
    let visit = ended(&visit, "2026-07-02T14:00:00-04:00", "06");
    stage.message(&visit, "2026-07-02T14:03:05-04:00");
    (stage, visit)
}

#[test]
fn s02_two_attempts_around_a_holiday_at_high_risk() {
    let (mut stage, _) = s02();
    assert_eq!(stage.score(), 12);
    assert_eq!(
        stage.tasks()[2..],
        [
            "discharge-info requested 2026-07-04T23:59:59-04:00",
            "interactive-contact requested 2026-07-07T23:59:59-04:00",
            "medication-reconciliation requested 2026-07-09T23:59:59-04:00",
            "face-to-face requested 2026-07-09T23:59:59-04:00",
            "tcm-closeout requested 2026-07-31T23:59:59-04:00",
        ]
    );
    for (code, priority) in [
        ("discharge-info", "routine"),
        ("interactive-contact", "urgent"),
        ("face-to-face", "urgent"),
        ("tcm-closeout", "routine"),
    ] {
        assert_eq!(stage.task(code)["priority"], priority, "{code}");
    }

    let voicemail = communication(&stage, "c1", "stopped", "2026-07-06T09:30:00-04:00");
    stage.human(voicemail, "2026-07-06T09:31:00-04:00");
    assert_eq!(stage.task("interactive-contact")["status"], "in-progress");
    assert_eq!(stage.business("interactive-contact"), Some("attempted"));
    let no_answer = communication(&stage, "c2", "stopped", "2026-07-07T16:45:00-04:00");
    stage.human(no_answer, "2026-07-07T16:46:00-04:00");
    assert_eq!(stage.business("interactive-contact"), Some("attempts-met"));
    assert_eq!(
        stage.output("interactive-contact", "contact-element"),
        Some("attempts")
    );
    stage.clock("2026-07-08T09:00:00-04:00");
    assert_eq!(stage.task("interactive-contact")["status"], "in-progress");
    assert_eq!(stage.business("interactive-contact"), Some("attempts-met"));

    let call = communication(&stage, "c3", "completed", "2026-07-08T10:00:00-04:00");
    stage.human(call, "2026-07-08T10:05:00-04:00");
    assert_eq!(stage.task("interactive-contact")["status"], "completed");
    assert_eq!(
        stage.output("interactive-contact", "contact-element"),
        Some("attempts")
    );
    let office = office_visit(&stage, "2026-07-09", Some("high"));
    stage.human(office, "2026-07-09T11:00:00-04:00");
    reconcile(&mut stage, "2026-07-09");
    stage.clock("2026-08-01T00:00:00-04:00");
    assert_eq!(stage.output("tcm-closeout", "result"), Some("99496"));
    assert_eq!(stage.pathway(), ("completed", "finished"));
}

#[test]
fn s02_two_attempts_at_the_same_instant_are_one() {
    let (mut stage, _) = s02();
    for name in ["c1", "c2"] {
        let attempt = communication(&stage, name, "stopped", "2026-07-06T09:30:00-04:00");
        stage.human(attempt, "2026-07-06T09:31:00-04:00");
    }
    assert_eq!(stage.business("interactive-contact"), Some("attempted"));
    stage.clock("2026-07-08T00:00:00-04:00");
    assert_eq!(stage.business("interactive-contact"), Some("overdue"));
    assert_eq!(stage.output("interactive-contact", "contact-element"), None);
}

#[test]
fn s02_the_organisation_works_on_independence_day() {
    let (mut stage, visit) = s02();
    stage.policy.calendar = Calendar::us_federal_with([], ["2026-07-03".parse().unwrap()]);
    stage.recount("2026-07-02T15:00:00-04:00");
    assert_eq!(
        stage.tasks()[3],
        "interactive-contact requested 2026-07-06T23:59:59-04:00"
    );
    assert!(
        stage
            .message(&visit, "2026-07-02T16:00:00-04:00")
            .changes
            .is_empty()
    );
    stage.clock("2026-07-07T00:00:00-04:00");
    assert_eq!(stage.business("interactive-contact"), Some("overdue"));
}

#[test]
fn s03_a_cancelled_discharge_is_not_a_discharge() {
    let mut stage = Stage::new(&[]);
    let admitted = emergent(admitted("V1003", "2026-08-03T11:30:00-04:00"));
    stage.message(&admitted, "2026-08-03T12:00:05-04:00");
    let visit = ended(&admitted, "2026-08-04T11:00:00-04:00", "01");
    stage.message(&visit, "2026-08-04T11:02:05-04:00");
    assert_eq!(
        stage.tasks()[3],
        "interactive-contact requested 2026-08-06T23:59:59-04:00"
    );

    stage.message(&admitted, "2026-08-04T14:15:05-04:00");
    assert_eq!(
        stage.tasks()[2..],
        [
            "discharge-info cancelled (discharge-cancelled) 2026-08-06T23:59:59-04:00",
            "interactive-contact cancelled (discharge-cancelled) 2026-08-06T23:59:59-04:00",
            "medication-reconciliation cancelled (discharge-cancelled) 2026-08-18T23:59:59-04:00",
            "face-to-face cancelled (discharge-cancelled) 2026-08-18T23:59:59-04:00",
            "tcm-closeout cancelled (discharge-cancelled) 2026-09-02T23:59:59-04:00",
        ]
    );
    assert_eq!(stage.pathway(), ("revoked", "cancelled"));

    let visit = ended(&admitted, "2026-08-07T10:00:00-04:00", "01");
    stage.message(&visit, "2026-08-07T10:03:05-04:00");
    assert_eq!(
        stage.tasks()[7..],
        [
            "discharge-info requested 2026-08-09T23:59:59-04:00",
            "interactive-contact requested 2026-08-11T23:59:59-04:00",
            "medication-reconciliation requested 2026-08-21T23:59:59-04:00",
            "face-to-face requested 2026-08-21T23:59:59-04:00",
            "tcm-closeout requested 2026-09-05T23:59:59-04:00",
        ]
    );
    assert_eq!(stage.score(), 7);
    assert_eq!(stage.pathway(), ("active", "active"));
    let identifiers: Vec<_> = stage
        .all("EpisodeOfCare")
        .into_iter()
        .map(|episode| text(episode, "/identifier/0/value").unwrap())
        .collect();
    assert_eq!(identifiers, ["tcm-30/V1003/1", "tcm-30/V1003/2"]);
}

#[test]
fn s04_a_correction_moves_the_date_and_then_the_place() {
    let mut stage = Stage::new(&[]);
    let admitted = admitted("V1004", "2026-04-13T08:30:00-04:00");
    stage.message(&admitted, "2026-04-13T09:00:05-04:00");
    let visit = ended(&admitted, "2026-04-16T23:55:00-04:00", "01");
    stage.message(&visit, "2026-04-16T23:58:05-04:00");
    let ids: Vec<String> = stage
        .all("Task")
        .into_iter()
        .map(|it| id(it).to_owned())
        .collect();
    stage.edit("discharge-info", "2026-04-17T09:00:00-04:00", |task| {
        task["status"] = json!("completed");
    });

    let visit = ended(&admitted, "2026-04-17T00:30:00-04:00", "06");
    let decision = stage.message(&visit, "2026-04-17T10:10:05-04:00");
    assert!(
        decision
            .changes
            .iter()
            .all(|put| put.reason.code() == "adt-correction")
    );
    assert_eq!(
        stage.tasks()[2..],
        [
            "discharge-info completed 2026-04-18T23:59:59-04:00",
            "interactive-contact requested 2026-04-21T23:59:59-04:00",
            "medication-reconciliation requested 2026-05-01T23:59:59-04:00",
            "face-to-face requested 2026-05-01T23:59:59-04:00",
            "tcm-closeout requested 2026-05-16T23:59:59-04:00",
        ]
    );
    let same: Vec<String> = stage
        .all("Task")
        .into_iter()
        .map(|it| id(it).to_owned())
        .collect();
    assert_eq!(ids, same);

    let visit = ended(&admitted, "2026-04-17T00:30:00-04:00", "03");
    stage.message(&visit, "2026-04-17T16:00:05-04:00");
    assert_eq!(
        stage.tasks()[2..],
        [
            "discharge-info completed 2026-04-18T23:59:59-04:00",
            "interactive-contact cancelled (not-community) 2026-04-21T23:59:59-04:00",
            "medication-reconciliation cancelled (not-community) 2026-05-01T23:59:59-04:00",
            "face-to-face cancelled (not-community) 2026-05-01T23:59:59-04:00",
            "tcm-closeout cancelled (not-community) 2026-05-16T23:59:59-04:00",
        ]
    );
    assert_eq!(stage.pathway(), ("revoked", "cancelled"));
}

#[test]
fn s05_a_resent_discharge_changes_nothing() {
    let mut stage = Stage::new(&[]);
    let visit = admitted("V1005", "2026-05-19T06:45:00-04:00");
    stage.message(&visit, "2026-05-19T07:00:05-04:00");
    let visit = ended(&visit, "2026-05-21T12:00:00-04:00", "01");
    stage.message(&visit, "2026-05-21T12:05:05-04:00");
    assert_eq!(
        stage.tasks()[3],
        "interactive-contact requested 2026-05-26T23:59:59-04:00"
    );
    assert_eq!(
        stage.tasks()[6],
        "tcm-closeout requested 2026-06-19T23:59:59-04:00"
    );
    assert!(
        stage
            .message(&visit, "2026-05-22T02:00:05-04:00")
            .changes
            .is_empty()
    );
}

#[test]
fn s06_the_discharge_comes_before_the_admission() {
    let mut stage = Stage::new(&[]);
    let visit = VisitFacts {
        first_notified_at: Some(at("2026-08-18T15:02:05-04:00")),
        ..emergent(ended(
            &admitted("V1006", "2026-08-15T03:00:00-04:00"),
            "2026-08-18T15:00:00-04:00",
            "01",
        ))
    };
    stage.message(&visit, "2026-08-18T15:02:05-04:00");
    let expected = [
        "discharge-info requested 2026-08-20T23:59:59-04:00",
        "interactive-contact requested 2026-08-20T23:59:59-04:00",
        "medication-reconciliation requested 2026-09-01T23:59:59-04:00",
        "face-to-face requested 2026-09-01T23:59:59-04:00",
        "tcm-closeout requested 2026-09-16T23:59:59-04:00",
    ];
    stage.check(&expected);
    assert_eq!(stage.score(), 6);
    assert!(
        stage
            .message(&visit, "2026-08-18T15:10:05-04:00")
            .changes
            .is_empty()
    );
    stage.check(&expected);
    assert!(stage.all("Flag").is_empty());
    let evidence = extension(stage.last("EpisodeOfCare"), v::ADMISSION_NOTIFICATION).unwrap();
    assert_eq!(
        evidence["extension"],
        json!([
            { "url": "received-at", "valueDateTime": "2026-08-18T15:02:05-04:00" },
            { "url": "due", "valueDateTime": "2026-08-17T23:59:59-04:00" },
            { "url": "timely", "valueBoolean": false }
        ])
    );
}

fn emergency(encounter_id: &str, start: &str, end: &str) -> VisitFacts {
    VisitFacts {
        class: VisitClass::Emergency,
        ..ended(&admitted(encounter_id, start), end, "01")
    }
}

#[test]
fn s08a_an_emergency_visit_is_followed_up_until_the_patient_is_admitted() {
    let mut stage = Stage::new(&["I50.22", "N18.31", "F33.1"]);
    let visit = emergency(
        "V1008",
        "2026-09-05T20:05:00-04:00",
        "2026-09-06T01:20:00-04:00",
    );
    stage.message(&visit, "2026-09-06T01:25:05-04:00");
    stage.check(&["ed-follow-up requested 2026-09-13T23:59:59-04:00"]);
    assert!(stage.all("CarePlan").is_empty());

    stage.patient.other_visits.push(visit.clone());
    let stay = admitted("V1108", "2026-09-10T06:00:00-04:00");
    stage.message(&stay, "2026-09-10T06:05:05-04:00");
    assert_eq!(
        stage.tasks()[0],
        "ed-follow-up cancelled (admitted) 2026-09-13T23:59:59-04:00"
    );
    // A late A08 of the emergency visit does not bring it back.
    stage.patient.other_visits = vec![stay];
    assert!(
        stage
            .message(&visit, "2026-09-10T07:00:00-04:00")
            .changes
            .is_empty()
    );
}

#[test]
fn s08b_one_condition_group_is_not_enough() {
    for conditions in [&[][..], &["I50.9"], &["I50.9", "I11.0"]] {
        let mut stage = Stage::new(conditions);
        let visit = emergency(
            "V1009",
            "2026-09-05T20:05:00-04:00",
            "2026-09-06T01:20:00-04:00",
        );
        stage.message(&visit, "2026-09-06T01:25:05-04:00");
        stage.check(&[]);
    }
}

#[test]
fn s08c_an_emergency_visit_becomes_a_stay() {
    let mut stage = Stage::new(&["I50.22", "N18.31"]);
    stage.patient.conditions.clear();
    let arrived = VisitFacts {
        class: VisitClass::Emergency,
        ..emergent(admitted("V1010", "2026-09-08T08:55:00-04:00"))
    };
    stage.message(&arrived, "2026-09-08T09:00:05-04:00");
    stage.check(&[]);
    let stay = VisitFacts {
        class: VisitClass::Inpatient,
        class_history: vec![VisitClass::Emergency],
        ..arrived
    };
    stage.message(&stay, "2026-09-08T14:30:05-04:00");
    let visit = ended(&stay, "2026-09-11T12:00:00-04:00", "01");
    stage.message(&visit, "2026-09-11T12:03:05-04:00");
    assert_eq!(stage.score(), 6);
    assert_eq!(
        stage.tasks()[3..],
        [
            "interactive-contact requested 2026-09-15T23:59:59-04:00",
            "medication-reconciliation requested 2026-09-25T23:59:59-04:00",
            "face-to-face requested 2026-09-25T23:59:59-04:00",
            "tcm-closeout requested 2026-10-10T23:59:59-04:00",
        ]
    );
}

#[test]
fn s09_an_observation_stay_over_the_end_of_daylight_saving() {
    let mut stage = Stage::new(&[]);
    let visit = VisitFacts {
        class: VisitClass::Observation,
        ..emergent(admitted("V1011", "2026-10-08T08:00:00-04:00"))
    };
    let visit = ended(&visit, "2026-10-09T09:30:00-04:00", "01");
    stage.message(&visit, "2026-10-09T09:32:05-04:00");
    stage.check(&[
        "discharge-info requested 2026-10-11T23:59:59-04:00",
        "interactive-contact requested 2026-10-14T23:59:59-04:00",
        "medication-reconciliation requested 2026-10-23T23:59:59-04:00",
        "face-to-face requested 2026-10-23T23:59:59-04:00",
        "tcm-closeout requested 2026-11-07T23:59:59-05:00",
    ]);
    assert_eq!(stage.score(), 4);
}

#[test]
fn s10_a_readmission_holds_the_pathway_and_a_new_discharge_replaces_it() {
    let mut stage = Stage::new(&[]);
    let first = ended(
        &admitted("V1012", "2026-09-13T07:00:00-04:00"),
        "2026-09-15T11:00:00-04:00",
        "01",
    );
    stage.message(&first, "2026-09-15T11:05:05-04:00");
    let call = communication(&stage, "c1", "completed", "2026-09-16T10:00:00-04:00");
    stage.human(call, "2026-09-16T10:05:00-04:00");

    stage.patient.other_visits.push(first.clone());
    let stay = emergent(admitted("V1112", "2026-09-27T03:00:00-04:00"));
    stage.message(&stay, "2026-09-27T03:15:05-04:00");
    let held = [
        "discharge-info on-hold (readmitted) 2026-09-17T23:59:59-04:00",
        "interactive-contact completed (reached) 2026-09-17T23:59:59-04:00",
        "medication-reconciliation on-hold (readmitted) 2026-09-29T23:59:59-04:00",
        "face-to-face on-hold (readmitted) 2026-09-29T23:59:59-04:00",
        "tcm-closeout on-hold (readmitted) 2026-10-14T23:59:59-04:00",
    ];
    assert_eq!(stage.tasks()[..5], held);
    assert_eq!(stage.pathway(), ("on-hold", "onhold"));
    assert_eq!(
        text(stage.last("Flag"), "/code/coding/0/code"),
        Some("readmission")
    );
    stage.clock("2026-09-30T00:00:00-04:00");
    assert_eq!(stage.tasks()[..5], held);

    let second = ended(&stay, "2026-10-02T14:00:00-04:00", "01");
    stage.message(&second, "2026-10-02T14:03:05-04:00");
    assert_eq!(
        stage.tasks()[..5],
        [
            "discharge-info cancelled (superseded) 2026-09-17T23:59:59-04:00",
            "interactive-contact completed (reached) 2026-09-17T23:59:59-04:00",
            "medication-reconciliation cancelled (superseded) 2026-09-29T23:59:59-04:00",
            "face-to-face cancelled (superseded) 2026-09-29T23:59:59-04:00",
            "tcm-closeout cancelled (superseded) 2026-10-14T23:59:59-04:00",
        ]
    );
    assert_eq!(
        stage.tasks()[7..],
        [
            "discharge-info requested 2026-10-04T23:59:59-04:00",
            "interactive-contact requested 2026-10-06T23:59:59-04:00",
            "medication-reconciliation requested 2026-10-16T23:59:59-04:00",
            "face-to-face requested 2026-10-16T23:59:59-04:00",
            "tcm-closeout requested 2026-10-31T23:59:59-04:00",
        ]
    );
    assert_eq!(stage.score(), 7);
    let statuses = |name: &str| -> Vec<String> {
        stage
            .all(name)
            .into_iter()
            .map(|it| it["status"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(statuses("CarePlan"), ["revoked", "active"]);
    assert_eq!(statuses("EpisodeOfCare"), ["finished", "active"]);
    let conflicts = stage
        .all("Flag")
        .into_iter()
        .filter(|flag| text(flag, "/code/coding/0/code") == Some("tcm-claim-conflict"))
        .map(|flag| text(flag, "/encounter/reference").unwrap());
    assert_eq!(
        conflicts.collect::<Vec<_>>(),
        ["Encounter/V1012", "Encounter/V1112"]
    );

    // A late A08 of the first stay starts nothing.
    stage.patient.other_visits = vec![second];
    assert!(
        stage
            .message(&first, "2026-10-02T15:00:00-04:00")
            .changes
            .is_empty()
    );
}

#[test]
fn s10_a_cancelled_readmission_gives_the_pathway_back() {
    let mut stage = Stage::new(&[]);
    let first = ended(
        &admitted("V1012", "2026-09-13T07:00:00-04:00"),
        "2026-09-15T11:00:00-04:00",
        "01",
    );
    stage.message(&first, "2026-09-15T11:05:05-04:00");
    let attempt = communication(&stage, "c1", "stopped", "2026-09-16T10:00:00-04:00");
    stage.human(attempt, "2026-09-16T10:05:00-04:00");
    let before = stage.tasks();
    let stay = admitted("V1112", "2026-09-27T03:00:00-04:00");
    stage.message(&stay, "2026-09-27T03:15:05-04:00");
    assert_eq!(stage.pathway(), ("on-hold", "onhold"));
    let cancelled = VisitFacts {
        status: VisitStatus::Cancelled,
        ..stay
    };
    stage.message(&cancelled, "2026-09-27T04:00:05-04:00");
    assert_eq!(stage.tasks()[..5], before[..]);
    assert_eq!(stage.pathway(), ("active", "active"));
    assert_eq!(stage.last("Flag")["status"], "entered-in-error");
    assert_eq!(
        stage.tasks()[6],
        "inpatient-coordination cancelled (admission-cancelled) 2026-09-28T23:59:59-04:00"
    );
}

#[test]
fn s11_a_death_ends_everything_that_is_open() {
    let mut stage = Stage::new(&[]);
    let visit = ended(
        &admitted("V1014", "2026-06-16T08:00:00-04:00"),
        "2026-06-18T15:00:00-04:00",
        "01",
    );
    stage.message(&visit, "2026-06-18T15:03:05-04:00");
    assert_eq!(
        stage.tasks()[1],
        "interactive-contact requested 2026-06-23T23:59:59-04:00"
    );
    let call = communication(&stage, "c1", "completed", "2026-06-22T10:00:00-04:00");
    stage.human(call, "2026-06-22T10:05:00-04:00");
    stage.resources.push(json!({
        "resourceType": "Task", "id": "ccm", "meta": { "versionId": "1" }, "status": "requested",
        "for": { "reference": "Patient/p" }
    }));
    stage.patient.is_deceased = true;
    stage.message(&visit, "2026-06-25T09:00:05-04:00");
    for (index, task) in stage.all("Task").into_iter().enumerate() {
        let expected = if index == 1 { "completed" } else { "cancelled" };
        assert_eq!(task["status"], expected, "Task {index}");
    }
    assert_eq!(stage.pathway(), ("revoked", "cancelled"));
}

#[test]
fn s13_the_day_of_discharge_is_the_day_at_the_facility() {
    for end in ["2026-03-31T23:30:00-05:00", "2026-04-01T04:30:00Z"] {
        let mut stage = Stage::new(&[]);
        let visit = VisitFacts {
            facility_zone: zone("America/Chicago"),
            ..ended(&admitted("L1015", "2026-03-28T09:30:00-05:00"), end, "01")
        };
        stage.message(&visit, "2026-03-31T23:35:05-05:00");
        stage.check(&[
            "discharge-info requested 2026-04-02T23:59:59-04:00",
            "interactive-contact requested 2026-04-02T23:59:59-04:00",
            "medication-reconciliation requested 2026-04-14T23:59:59-04:00",
            "face-to-face requested 2026-04-14T23:59:59-04:00",
            "tcm-closeout requested 2026-04-29T23:59:59-04:00",
        ]);
        assert_eq!(
            text(stage.task("tcm-closeout"), "/restriction/period/start"),
            Some("2026-03-31T23:30:00-05:00")
        );
    }
}

#[test]
fn a_discharge_learnt_late_starts_with_what_is_already_past() {
    let mut stage = Stage::new(&[]);
    let visit = ended(
        &admitted("V1", "2026-02-09T13:30:00-05:00"),
        "2026-02-13T11:00:00-05:00",
        "01",
    );
    stage.message(&visit, "2026-02-17T10:00:00-05:00");
    stage.check(&[
        "discharge-info requested (late-notification) 2026-02-15T23:59:59-05:00",
        "interactive-contact requested 2026-02-18T23:59:59-05:00",
        "medication-reconciliation requested 2026-02-27T23:59:59-05:00",
        "face-to-face requested 2026-02-27T23:59:59-05:00",
        "tcm-closeout requested 2026-03-14T23:59:59-04:00",
    ]);
}

#[test]
fn only_a_living_adult_of_the_panel_who_went_home_lately_is_enrolled() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut Stage, &mut VisitFacts), now: &str, expected: usize) {
        let mut stage = Stage::new(&[]);
        let mut visit = ended(
            &admitted("V1", "2026-04-13T08:30:00-04:00"),
            "2026-04-16T12:00:00-04:00",
            "01",
        );
        change(&mut stage, &mut visit);
        stage.message(&visit, now);
        assert_eq!(stage.all("CarePlan").len(), expected);
    }
    let now = "2026-04-16T12:05:00-04:00";
    check(|_, _| {}, now, 1);
    check(|_, _| {}, "2026-05-15T23:00:00-04:00", 1); // the 30th day
    check(|_, _| {}, "2026-05-16T00:00:00-04:00", 0);
    check(|stage, _| stage.patient.panel.clear(), now, 0);
    check(
        |stage, _| stage.patient.panel[0].end = "2026-04-15".parse().ok(),
        now,
        0,
    );
    check(
        |stage, _| stage.patient.birth_date = "2008-04-16".parse().ok(),
        now,
        1,
    );
    check(
        |stage, _| stage.patient.birth_date = "2008-04-17".parse().ok(),
        now,
        0,
    );
    check(|stage, _| stage.patient.birth_date = None, now, 1);
    check(|stage, _| stage.patient.is_deceased = true, now, 0);
    check(|_, visit| visit.class = VisitClass::Ambulatory, now, 0);
    check(|_, visit| visit.class = VisitClass::Observation, now, 1);
    for (code, group, expected) in [
        ("07", Group::CommunityAma, 1),
        ("03", Group::Facility, 0),
        ("02", Group::Transfer, 0),
        ("50", Group::Hospice, 0),
        ("20", Group::Expired, 0),
        ("21", Group::Custody, 0),
        ("30", Group::Continuing, 0),
    ] {
        let set = |_: &mut Stage, visit: &mut VisitFacts| {
            visit.disposition = Some(code.to_owned());
            assert_eq!(visit.disposition_group(), group);
        };
        check(set, now, expected);
    }
}

#[test]
fn a_doubtful_setting_is_confirmed_and_the_question_goes_when_it_is_answered() {
    let mut stage = Stage::new(&[]);
    let stay = admitted("V1", "2026-04-13T08:30:00-04:00");
    let visit = VisitFacts {
        disposition: None,
        ..ended(&stay, "2026-04-17T12:00:00-04:00", "01")
    };
    stage.message(&visit, "2026-04-17T12:05:00-04:00");
    assert_eq!(
        stage.tasks()[5],
        "confirm-setting requested 2026-04-20T23:59:59-04:00"
    );
    let visit = ended(&stay, "2026-04-17T12:00:00-04:00", "01");
    stage.message(&visit, "2026-04-17T13:00:00-04:00");
    assert_eq!(
        stage.tasks()[5],
        "confirm-setting cancelled (superseded) 2026-04-20T23:59:59-04:00"
    );
    assert_eq!(stage.pathway(), ("active", "active"));
}

#[test]
fn social_needs_are_screened_unless_they_were_lately() {
    for (screened, expected) in [
        (None, 1),
        (Some("2025-10-18"), 1),
        (Some("2025-10-19"), 0),
        (Some("2026-04-17"), 0),
    ] {
        let mut stage = Stage::new(&[]);
        stage.patient.sdoh_screened_on = screened.map(|day| day.parse().unwrap());
        let visit = ended(
            &admitted("V1", "2026-04-13T08:30:00-04:00"),
            "2026-04-16T12:00:00-04:00",
            "01",
        );
        stage.message(&visit, "2026-04-16T12:05:00-04:00");
        let screenings = stage
            .tasks()
            .into_iter()
            .filter(|line| line == "sdoh-screening requested 2026-04-30T23:59:59-04:00")
            .count();
        assert_eq!(screenings, expected, "screened {screened:?}");
    }
}

#[test]
fn final_diagnoses_raise_the_risk_while_there_is_time() {
    let visit = ended(
        &emergent(admitted("V1", "2026-04-12T08:30:00-04:00")),
        "2026-04-16T12:00:00-04:00",
        "01",
    );
    for (now, due, priority) in [
        ("2026-04-20T09:00:00-04:00", "2026-04-23", "urgent"),
        ("2026-04-27T09:00:00-04:00", "2026-04-30", "urgent"),
    ] {
        let mut stage = Stage::new(&["E11.9"]);
        stage.message(&visit, "2026-04-16T12:05:00-04:00");
        assert_eq!(stage.score(), 8);
        stage.patient.conditions[0].icd10 = Some("C79.51".to_owned());
        stage.message(&visit, now);
        assert_eq!(stage.score(), 12);
        assert_eq!(stage.last("RiskAssessment")["status"], "corrected");
        let task = stage.task("face-to-face");
        assert!(
            text(task, "/restriction/period/end")
                .unwrap()
                .starts_with(due),
            "{now}"
        );
        assert_eq!(task["priority"], priority);
    }
}

#[test]
fn an_early_visit_is_also_the_contact_and_waits_for_its_level() {
    let (mut stage, _) = s02();
    let office = office_visit(&stage, "2026-07-06", None);
    stage.human(office, "2026-07-06T12:00:00-04:00");
    assert_eq!(stage.business("face-to-face"), Some("mdm-needed"));
    assert_eq!(
        stage.output("interactive-contact", "contact-element"),
        Some("reached")
    );
    stage.edit("face-to-face", "2026-07-06T13:00:00-04:00", |task| {
        let output = json!({
            "type": { "coding": [{
                "system": v::CARE_TASK_PARAMETER, "code": "medical-decision-making"
            }] },
            "valueCodeableConcept": { "coding": [{ "code": "high" }] }
        });
        task["output"].as_array_mut().unwrap().push(output);
    });
    assert_eq!(stage.task("face-to-face")["status"], "completed");
    reconcile(&mut stage, "2026-07-07");
    stage.clock("2026-08-01T00:00:00-04:00");
    assert_eq!(stage.output("tcm-closeout", "result"), Some("not-met"));
    assert_eq!(
        stage.output("tcm-closeout", "result-reason"),
        Some("medication-reconciliation-late")
    );
}

#[test]
fn a_pathway_without_work_ends_with_its_reasons() {
    let (mut stage, _) = s02();
    let attempt = communication(&stage, "c1", "stopped", "2026-07-06T09:30:00-04:00");
    stage.human(attempt, "2026-07-06T09:31:00-04:00");
    stage.clock("2026-08-01T00:00:00-04:00");
    let reasons: Vec<_> = stage.task("tcm-closeout")["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| text(output, "/valueCoding/code").unwrap())
        .collect();
    assert_eq!(
        reasons,
        [
            "not-met",
            "contact-missing",
            "face-to-face-missing",
            "medication-reconciliation-missing"
        ]
    );
    assert_eq!(
        stage.tasks()[2..6],
        [
            "discharge-info cancelled (closed-out) 2026-07-04T23:59:59-04:00",
            "interactive-contact cancelled (closed-out) 2026-07-07T23:59:59-04:00",
            "medication-reconciliation cancelled (closed-out) 2026-07-09T23:59:59-04:00",
            "face-to-face cancelled (closed-out) 2026-07-09T23:59:59-04:00",
        ]
    );
    assert_eq!(stage.pathway(), ("completed", "finished"));
}

#[test]
fn a_contact_after_a_skilled_nursing_stay_counts_the_hospital_for_the_score() {
    let mut stage = Stage::new(&[]);
    stage.patient.other_visits.push(ended(
        &emergent(admitted("V1007", "2026-03-27T03:30:00-04:00")),
        "2026-04-01T11:00:00-04:00",
        "03",
    ));
    let visit = VisitFacts {
        is_post_acute: true,
        ..ended(
            &admitted("S700", "2026-04-01T16:45:00-04:00"),
            "2026-04-24T10:00:00-04:00",
            "01",
        )
    };
    stage.message(&visit, "2026-04-24T10:02:05-04:00");
    assert_eq!(stage.score(), 7);
    assert_eq!(
        stage.tasks()[1],
        "interactive-contact requested 2026-04-28T23:59:59-04:00"
    );
}

#[test]
fn work_that_fell_due_on_hold_is_overdue_when_the_pathway_goes_on() {
    let mut stage = Stage::new(&[]);
    let first = ended(
        &admitted("V1", "2026-09-13T07:00:00-04:00"),
        "2026-09-15T11:00:00-04:00",
        "01",
    );
    stage.message(&first, "2026-09-15T11:05:05-04:00");
    let stay = admitted("V2", "2026-09-16T03:00:00-04:00");
    stage.message(&stay, "2026-09-16T03:15:05-04:00");
    stage.clock("2026-09-18T09:00:00-04:00");
    assert_eq!(stage.business("interactive-contact"), Some("readmitted"));
    let cancelled = VisitFacts {
        status: VisitStatus::Cancelled,
        ..stay
    };
    stage.message(&cancelled, "2026-09-18T10:00:00-04:00");
    stage.clock("2026-09-18T10:00:01-04:00");
    assert_eq!(stage.business("interactive-contact"), Some("overdue"));
    assert_eq!(stage.business("face-to-face"), None);
}

#[test]
fn a_pathway_on_hold_is_closed_when_its_period_ends() {
    let mut stage = Stage::new(&[]);
    let first = ended(
        &admitted("V1", "2026-09-13T07:00:00-04:00"),
        "2026-09-15T11:00:00-04:00",
        "01",
    );
    stage.message(&first, "2026-09-15T11:05:05-04:00");
    let stay = admitted("V2", "2026-09-16T03:00:00-04:00");
    stage.message(&stay, "2026-09-16T03:15:05-04:00");
    stage.clock("2026-10-15T00:00:00-04:00");
    assert_eq!(
        stage.tasks()[4],
        "tcm-closeout completed 2026-10-14T23:59:59-04:00"
    );
    assert_eq!(stage.pathway(), ("completed", "finished"));
    // The discharge after the period starts a pathway of its own, without a conflict.
    stage.patient.other_visits.push(first);
    let second = ended(&stay, "2026-10-16T14:00:00-04:00", "01");
    stage.message(&second, "2026-10-16T14:03:05-04:00");
    assert_eq!(stage.pathway(), ("active", "active"));
    assert_eq!(stage.all("Flag").len(), 1);
}

#[test]
fn a_nursing_facility_ends_the_pathway_for_good() {
    let mut stage = Stage::new(&[]);
    let stay = admitted("V1", "2026-04-13T08:30:00-04:00");
    let visit = ended(&stay, "2026-04-17T12:00:00-04:00", "04");
    stage.message(&visit, "2026-04-17T12:05:00-04:00");
    stage.edit("confirm-setting", "2026-04-20T09:00:00-04:00", |task| {
        task["status"] = json!("completed");
        task["output"] = json!([{
            "type": { "coding": [{ "system": v::CARE_TASK_PARAMETER, "code": "setting" }] },
            "valueCoding": { "system": v::CARE_TASK_RESULT, "code": "facility" }
        }]);
    });
    assert_eq!(stage.pathway(), ("revoked", "cancelled"));
    assert!(
        stage
            .message(&visit, "2026-04-20T10:00:00-04:00")
            .changes
            .is_empty()
    );
}

#[test]
fn leaving_against_advice_is_flagged() {
    let mut stage = Stage::new(&[]);
    let stay = admitted("V1", "2026-04-13T08:30:00-04:00");
    stage.message(
        &ended(&stay, "2026-04-17T12:00:00-04:00", "07"),
        "2026-04-17T12:05:00-04:00",
    );
    assert_eq!(stage.pathway(), ("active", "active"));
    assert_eq!(text(stage.last("Flag"), "/code/coding/0/code"), Some("ama"));
}

#[test]
fn a_contact_counts_only_from_the_discharge_and_with_the_patient_or_caregiver() {
    for (sent, recipient, now, expected) in [
        (
            "2026-07-02T13:59:59-04:00",
            "Patient/p",
            "2026-07-02T15:00:00-04:00",
            None,
        ),
        (
            "2026-07-02T14:00:00-04:00",
            "Patient/p",
            "2026-07-02T15:00:00-04:00",
            Some("reached"),
        ),
        (
            "2026-07-02",
            "Patient/p",
            "2026-07-02T15:00:00-04:00",
            Some("reached"),
        ),
        ("2026-07-01", "Patient/p", "2026-07-02T15:00:00-04:00", None),
        (
            "2026-07-04T20:00:00-04:00",
            "RelatedPerson/d",
            "2026-07-04T21:00:00-04:00",
            Some("reached"),
        ),
        (
            "2026-07-07T23:59:59-04:00",
            "Patient/p",
            "2026-07-08T00:00:00-04:00",
            Some("reached"),
        ),
        (
            "2026-07-08T00:00:00-04:00",
            "Patient/p",
            "2026-07-08T00:00:00-04:00",
            Some("late"),
        ),
        (
            "2026-07-03T10:00:00-04:00",
            "Practitioner/x",
            "2026-07-03T11:00:00-04:00",
            None,
        ),
    ] {
        let (mut stage, _) = s02();
        let mut call = communication(&stage, "c1", "completed", sent);
        call["recipient"] = json!([{ "reference": recipient }]);
        stage.human(call, now);
        assert_eq!(
            stage.output("interactive-contact", "contact-element"),
            expected,
            "{sent} {recipient}"
        );
    }
}

#[test]
fn emergency_visits_of_the_last_six_months_count_without_the_one_that_led_here() {
    fn visit(encounter_id: &str, start: &str) -> VisitFacts {
        let end = start.replace("T08", "T20");
        emergency(encounter_id, start, &end)
    }
    let stay = ended(
        &admitted("V1", "2026-07-10T08:00:00-04:00"),
        "2026-07-10T20:00:00-04:00",
        "01",
    );
    for (visits, expected) in [
        (vec![], 0),
        (vec![visit("a", "2026-07-10T08:00:00-04:00")], 0), // the index visit
        (vec![visit("a", "2026-07-09T08:00:00-04:00")], 1),
        (vec![visit("a", "2026-01-10T08:00:00-05:00")], 1),
        (vec![visit("a", "2026-01-09T08:00:00-05:00")], 0),
        (
            (1..=6)
                .map(|day| visit(&day.to_string(), &format!("2026-05-0{day}T08:00:00-04:00")))
                .collect(),
            4,
        ),
    ] {
        let mut stage = Stage::new(&["Z00.0"]);
        stage.patient.other_visits = visits;
        stage.message(&stay, "2026-07-10T20:05:00-04:00");
        assert_eq!(stage.score(), expected);
    }
}

#[test]
fn what_the_score_does_not_know_is_said() {
    #[track_caller]
    fn check(codes: &[&str], is_uncoded_too: bool, expected: &str) {
        let mut stage = Stage::new(codes);
        if is_uncoded_too {
            stage.patient.conditions.push(ConditionFacts {
                id: None,
                icd10: None,
            });
        }
        let stay = VisitFacts {
            start: None,
            ..admitted("V1", "2026-07-08T08:00:00-04:00")
        };
        stage.message(
            &ended(&stay, "2026-07-10T20:00:00-04:00", "01"),
            "2026-07-10T20:05:00-04:00",
        );
        assert_eq!(
            text(stage.last("RiskAssessment"), "/note/0/text"),
            Some(expected)
        );
    }
    check(
        &[],
        false,
        "L 0 + A 0 + C 0 + E 0 = 0; the length of the acute stay is not known; no coded \
         conditions are on file; emergency visits before the admission are not known",
    );
    check(
        &["E11.9"],
        true,
        "L 0 + A 0 + C 1 + E 0 = 1; the length of the acute stay is not known; conditions \
         without an ICD-10 code are not counted; emergency visits before the admission are not known",
    );
}
