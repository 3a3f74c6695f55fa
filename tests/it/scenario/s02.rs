//! S02: a holiday observed on Friday, two failed attempts, high risk; and its variants.

use crate::support::care::{Core, Pathway, Patient, encounter, settings};
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::server::{Baton, on_each_store};

const START: &str = "2026-06-27T08:00:00-04:00";

async fn discharged(baton: &Baton) -> Patient<'_> {
    let patient = Patient::on_panel(baton, &GENHOSP, "10002", &["I50.9", "J44.9"]).await;
    let mut hospital = Hospital::connect(baton, &GENHOSP).await;
    let admission = "A01 MSH-7 20260628083000, PV1-4 E, PV1-19 V1002, PV1-44 20260628080000";
    hospital.send("10002", admission).await;
    let discharge = "A03 MSH-7 20260702140300, PV1-19 V1002, PV1-36 06, PV1-45 20260702140000";
    hospital.send("10002", discharge).await;
    patient
}

async fn pathway<'p>(baton: &Baton, patient: &'p Patient<'_>) -> Pathway<'p> {
    let visit = encounter(baton, &GENHOSP, "V1002").await;
    patient.pathway("tcm-30", &visit, 1)
}

#[tokio::test]
async fn s02_two_attempts_around_a_holiday_meet_the_contact_at_high_risk() {
    on_each_store(&settings(), START, async |baton| {
        let patient = discharged(baton).await;
        let pathway = pathway(baton, &patient).await;
        pathway
            .check_core(&Core {
                discharged: "2026-07-02",
                info: "2026-07-04",
                contact: "2026-07-07",
                visit: "2026-07-09",
                closeout: "2026-07-31",
                score: 12,
                risk: "high",
            })
            .await;
        for code in ["interactive-contact", "face-to-face"] {
            assert_eq!(pathway.task(code).await["priority"], "urgent", "{code}");
        }

        pathway
            .call("stopped", Some("voicemail"), "2026-07-06T09:30:00-04:00")
            .await;
        assert_eq!(
            pathway.task("interactive-contact").await["status"],
            "in-progress"
        );
        assert_eq!(
            pathway.business_status("interactive-contact").await,
            "attempted"
        );
        pathway
            .call("stopped", Some("no-answer"), "2026-07-07T16:45:00-04:00")
            .await;
        assert_eq!(
            pathway.business_status("interactive-contact").await,
            "attempts-met"
        );
        assert_eq!(
            pathway
                .output("interactive-contact", "contact-element")
                .await,
            ["attempts"]
        );

        baton.clock("2026-07-08T09:00:00-04:00").await;
        assert_eq!(
            pathway.task("interactive-contact").await["status"],
            "in-progress"
        );
        assert_eq!(
            pathway.business_status("interactive-contact").await,
            "attempts-met"
        );

        pathway
            .call("completed", None, "2026-07-08T10:00:00-04:00")
            .await;
        assert_eq!(
            pathway.task("interactive-contact").await["status"],
            "completed"
        );
        assert_eq!(
            pathway
                .output("interactive-contact", "contact-element")
                .await,
            ["attempts"]
        );

        pathway
            .office_visit("2026-07-09T10:00:00-04:00", "high")
            .await;
        pathway.reconcile_medications("2026-07-09").await;
        baton.clock("2026-08-01T00:00:00-04:00").await;
        assert_eq!(pathway.output("tcm-closeout", "result").await, ["99496"]);
    })
    .await;
}

#[tokio::test]
async fn s02_two_attempts_at_the_same_instant_are_one() {
    on_each_store(&settings(), START, async |baton| {
        let patient = discharged(baton).await;
        let pathway = pathway(baton, &patient).await;
        for _ in 0..2 {
            pathway
                .call("stopped", Some("voicemail"), "2026-07-06T09:30:00-04:00")
                .await;
        }
        assert_eq!(
            pathway.business_status("interactive-contact").await,
            "attempted"
        );
        baton.clock("2026-07-08T00:00:00-04:00").await;
        assert_eq!(
            pathway.business_status("interactive-contact").await,
            "overdue"
        );
        assert!(
            pathway
                .output("interactive-contact", "contact-element")
                .await
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn s02_the_organisation_works_on_the_observed_independence_day() {
    let works = "[care_organisation]\nholidays_removed = [\"2026-07-03\"]\n";
    let settings = settings().replace("[care_organisation]\n", works);
    on_each_store(&settings, START, async |baton| {
        let patient = discharged(baton).await;
        pathway(baton, &patient)
            .await
            .check(&[
                "discharge-info requested 2026-07-04",
                "interactive-contact requested 2026-07-06",
                "medication-reconciliation requested 2026-07-09",
                "face-to-face requested 2026-07-09",
                "tcm-closeout requested 2026-07-31",
            ])
            .await;
    })
    .await;
}
