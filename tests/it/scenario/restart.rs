//! What a server that is started again still knows, and what it does when its settings changed.

use crate::support::care::{Patient, encounter, settings, text};
use crate::support::database::on_each_url;
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::server::{Baton, each};

#[tokio::test]
async fn a_changed_calendar_counts_open_tasks_anew() {
    on_each_url(async |url| {
        let start = "2026-07-01T08:00:00-04:00";
        let baton = Baton::start(&url, &settings(), start).await;
        let patient = Patient::on_panel(&baton, &GENHOSP, "10002", &[]).await;
        let mut hospital = Hospital::connect(&baton, &GENHOSP).await;
        let discharge = "A03 MSH-7 20260702140300, PV1-19 V1002, PV1-36 01, \
                         PV1-44 20260628080000, PV1-45 20260702140000";
        hospital.send("10002", discharge).await;
        let contact = ["interactive-contact"];
        patient
            .check_tasks(&contact, &["interactive-contact requested 2026-07-07"])
            .await;
        let id = patient.id.clone();
        drop(hospital);
        baton.stop().await;

        let works = "[care_organisation]\nholidays_removed = [\"2026-07-03\"]\n";
        let settings = settings().replace("[care_organisation]\n", works);
        let baton = Baton::start(&url, &settings, "2026-07-02T15:00:00-04:00").await;
        let patient = Patient::known(&baton, id);
        patient
            .check_tasks(&contact, &["interactive-contact requested 2026-07-06"])
            .await;
        let visit = encounter(&baton, &GENHOSP, "V1002").await;
        let task = patient
            .pathway("tcm-30", &visit, 1)
            .task("interactive-contact")
            .await;
        let query = format!("Provenance?target=Task/{}", text(&task, "/id"));
        let provenances = baton.search(&query).await;
        let is_recount = |provenance: &serde_json::Value| {
            each(provenance, "reason")
                .any(|reason| text(reason, "/coding/0/code") == "calendar-change")
        };
        assert!(provenances.iter().any(is_recount), "{provenances:?}");
        baton.stop().await;
    })
    .await;
}

#[tokio::test]
async fn deadlines_outlive_a_restart() {
    on_each_url(async |url| {
        let baton = Baton::start(&url, &settings(), "2026-07-01T08:00:00-04:00").await;
        let patient = Patient::on_panel(&baton, &GENHOSP, "10002", &[]).await;
        let mut hospital = Hospital::connect(&baton, &GENHOSP).await;
        let discharge = "A03 MSH-7 20260702140300, MSH-10 D-1, PV1-19 V1002, PV1-36 01, \
                         PV1-44 20260628080000, PV1-45 20260702140000";
        hospital.send("10002", discharge).await;
        let id = patient.id.clone();
        drop(hospital);
        baton.stop().await;

        let baton = Baton::start(&url, &settings(), "2026-07-02T14:05:00-04:00").await;
        let versions = baton.version_count().await;
        let mut hospital = Hospital::connect(&baton, &GENHOSP).await;
        let again = hospital.message("10002", discharge);
        hospital.send_at("2026-07-02T14:05:10-04:00", &again).await;
        assert_eq!(baton.version_count().await, versions);

        let patient = Patient::known(&baton, id);
        let visit = encounter(&baton, &GENHOSP, "V1002").await;
        let pathway = patient.pathway("tcm-30", &visit, 1);
        baton.clock("2026-07-08T00:00:00-04:00").await;
        assert_eq!(
            pathway.business_status("interactive-contact").await,
            "overdue"
        );
        assert_ne!(pathway.business_status("face-to-face").await, "overdue");
        drop(hospital);
        baton.stop().await;
    })
    .await;
}
