//! Who is followed, and how: the policy of the care organisation at its edges.

use crate::support::care::{Patient, encounter, settings, text};
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::server::{Baton, on_each_store};
use serde_json::json;

const START: &str = "2026-03-02T08:00:00-05:00";

const FIVE: [&str; 5] = [
    "discharge-info requested 2026-03-08",
    "interactive-contact requested 2026-03-10",
    "medication-reconciliation requested 2026-03-20",
    "face-to-face requested 2026-03-20",
    "tcm-closeout requested 2026-04-04",
];

/// A stay of three days that ends on Friday 2026-03-06 with this disposition.
async fn stay(baton: &Baton, number: &str, disposition: &str) {
    let mut hospital = Hospital::connect(baton, &GENHOSP).await;
    let admission = "A01 MSH-7 20260303101500, PV1-4 C, PV1-19 V1, PV1-44 20260303100000";
    hospital.send(number, admission).await;
    let discharge =
        format!("A03 MSH-7 20260306161200, PV1-19 V1, PV1-36 {disposition}, PV1-45 20260306161000");
    hospital.send(number, &discharge).await;
}

async fn check_nobody_follows(baton: &Baton) {
    let visit = encounter(baton, &GENHOSP, "V1").await;
    assert_eq!(visit["status"], "finished");
    for resource_type in [
        "Task",
        "CarePlan",
        "EpisodeOfCare",
        "RiskAssessment",
        "Goal",
    ] {
        assert!(
            baton.search(resource_type).await.is_empty(),
            "{resource_type}"
        );
    }
}

#[tokio::test]
async fn who_is_on_no_panel_is_not_followed() {
    on_each_store(&settings(), START, async |baton| {
        stay(baton, "1", "01").await;
        check_nobody_follows(baton).await;
    })
    .await;
}

#[tokio::test]
async fn who_has_left_the_panel_is_not_followed() {
    on_each_store(&settings(), START, async |baton| {
        Patient::on_panel(baton, &GENHOSP, "1", &[]).await;
        let mut group = baton.search("Group").await.remove(0);
        group["member"][0]["period"]["end"] = json!("2026-03-01");
        let path = format!("/Group/{}", text(&group, "/id"));
        baton.put(&path, &group).await.expect(200);
        stay(baton, "1", "01").await;
        check_nobody_follows(baton).await;
    })
    .await;
}

#[tokio::test]
async fn a_child_is_not_followed_through_a_transition() {
    on_each_store(&settings(), START, async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "1", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let discharge = "A03 MSH-7 20260306161200, PV1-19 V1, PV1-36 01, PID-7 20150131, \
                         PV1-44 20260303100000, PV1-45 20260306161000";
        hospital.send("1", discharge).await;
        assert!(patient.tasks_of("interactive-contact").await.is_empty());
        assert!(baton.search("CarePlan").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn who_was_not_screened_for_social_needs_is_asked() {
    on_each_store(&settings(), START, async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "1", &[]).await;
        let screening = baton.search("QuestionnaireResponse").await.remove(0);
        let path = format!("/QuestionnaireResponse/{}", text(&screening, "/id"));
        baton.delete(&path).await.expect(204);
        stay(baton, "1", "01").await;
        let visit = encounter(baton, &GENHOSP, "V1").await;
        let expected = [&FIVE[..], &["sdoh-screening requested 2026-03-20"]].concat();
        patient.pathway("tcm-30", &visit, 1).check(&expected).await;
    })
    .await;
}

#[tokio::test]
async fn who_left_against_advice_is_followed_and_flagged() {
    on_each_store(&settings(), START, async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "1", &[]).await;
        stay(baton, "1", "07").await;
        let visit = encounter(baton, &GENHOSP, "V1").await;
        patient.pathway("tcm-30", &visit, 1).check(&FIVE).await;
        assert_eq!(patient.flags().await, ["ama"]);
    })
    .await;
}

#[tokio::test]
async fn where_nobody_knows_whether_it_is_home_somebody_asks() {
    for disposition in ["04", "84", "ZZ"] {
        on_each_store(&settings(), START, async |baton| {
            let patient = Patient::on_panel(baton, &GENHOSP, "1", &[]).await;
            stay(baton, "1", disposition).await;
            let visit = encounter(baton, &GENHOSP, "V1").await;
            let expected = [&FIVE[..], &["confirm-setting requested 2026-03-09"]].concat();
            patient.pathway("tcm-30", &visit, 1).check(&expected).await;
        })
        .await;
    }
}

#[tokio::test]
async fn who_goes_on_to_a_facility_is_not_at_home() {
    for disposition in ["02", "03", "51", "62", "66"] {
        on_each_store(&settings(), START, async |baton| {
            let patient = Patient::on_panel(baton, &GENHOSP, "1", &[]).await;
            stay(baton, "1", disposition).await;
            assert!(baton.search("CarePlan").await.is_empty(), "{disposition}");
            assert!(
                patient.tasks_of("interactive-contact").await.is_empty(),
                "{disposition}"
            );
        })
        .await;
    }
}

#[tokio::test]
async fn a_discharge_that_is_told_late_starts_with_what_is_late_already() {
    on_each_store(&settings(), START, async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "1", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let discharge = "A03 MSH-7 20260306161200, PV1-19 V1, PV1-36 01, \
                         PV1-44 20260303100000, PV1-45 20260306161000";
        let discharge = hospital.message("1", discharge);
        hospital
            .send_at("2026-03-12T09:00:00-04:00", &discharge)
            .await;
        let visit = encounter(baton, &GENHOSP, "V1").await;
        let pathway = patient.pathway("tcm-30", &visit, 1);
        pathway.check(&FIVE).await;
        for (code, is_late) in [
            ("discharge-info", true),
            ("interactive-contact", true),
            ("face-to-face", false),
            ("tcm-closeout", false),
        ] {
            let business_status = pathway.business_status(code).await;
            assert_eq!(business_status == "late-notification", is_late, "{code}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_discharge_of_long_ago_is_history() {
    on_each_store(&settings(), START, async |baton| {
        Patient::on_panel(baton, &GENHOSP, "1", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let discharge = "A03 MSH-7 20260306161200, PV1-19 V1, PV1-36 01, \
                         PV1-44 20260303100000, PV1-45 20260306161000";
        let discharge = hospital.message("1", discharge);
        hospital
            .send_at("2026-04-05T00:00:01-04:00", &discharge)
            .await;
        check_nobody_follows(baton).await;
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_readmission_gives_the_pathway_back() {
    on_each_store(&settings(), START, async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "1", &[]).await;
        stay(baton, "1", "01").await;
        let visit = encounter(baton, &GENHOSP, "V1").await;
        let pathway = patient.pathway("tcm-30", &visit, 1);
        pathway
            .call("stopped", Some("no-answer"), "2026-03-09T10:00:00-04:00")
            .await;

        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let again = "A01 MSH-7 20260309120500, PV1-4 E, PV1-19 V2, PV1-44 20260309120000";
        hospital.send("1", again).await;
        assert_eq!(pathway.status().await, ("on-hold".into(), "onhold".into()));
        let cancelled = "A11 MSH-7 20260309130000, PV1-19 V2";
        hospital.send("1", cancelled).await;
        assert_eq!(
            encounter(baton, &GENHOSP, "V2").await["status"],
            "cancelled"
        );
        pathway
            .check(&[
                "discharge-info requested 2026-03-08",
                "interactive-contact in-progress 2026-03-10",
                "medication-reconciliation requested 2026-03-20",
                "face-to-face requested 2026-03-20",
                "tcm-closeout requested 2026-04-04",
            ])
            .await;
        assert_eq!(
            pathway.business_status("interactive-contact").await,
            "attempted"
        );
        assert_eq!(pathway.status().await, ("active".into(), "active".into()));
        for code in ["admit-notice", "inpatient-coordination"] {
            let of_visit = patient.tasks_of(code).await;
            assert!(
                !of_visit.iter().any(|task| task["status"] == "requested"),
                "{code}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_task_is_overdue_from_the_second_after_it_was_due() {
    on_each_store(&settings(), START, async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "1", &[]).await;
        stay(baton, "1", "01").await;
        let visit = encounter(baton, &GENHOSP, "V1").await;
        let pathway = patient.pathway("tcm-30", &visit, 1);
        baton.clock("2026-03-20T23:59:59-04:00").await;
        assert_ne!(pathway.business_status("face-to-face").await, "overdue");
        baton.clock("2026-03-21T00:00:00-04:00").await;
        assert_eq!(pathway.business_status("face-to-face").await, "overdue");
        assert_eq!(pathway.task("face-to-face").await["status"], "requested");
        baton.clock("2026-04-05T00:00:00-04:00").await;
        assert_eq!(pathway.output("tcm-closeout", "result").await, ["not-met"]);
        let reasons = pathway.output("tcm-closeout", "result-reason").await;
        assert!(!reasons.is_empty());
        assert_eq!(
            pathway.status().await,
            ("completed".into(), "finished".into())
        );
    })
    .await;
}
