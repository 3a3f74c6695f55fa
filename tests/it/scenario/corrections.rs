//! S04: A08 after A03 moves the date over midnight, then the disposition to a nursing facility.
//!
//! Its `snf-check-in` belongs to the plan `snf-watch`, which does not exist yet.

use crate::support::care::{Core, Patient, encounter, settings, text};
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::server::{each, on_each_store};

#[tokio::test]
async fn s04_a_correction_moves_the_dates_and_then_ends_the_pathway() {
    on_each_store(&settings(), "2026-04-12T08:00:00-04:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10004", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let admission = "A01 MSH-7 20260413090000, PV1-4 C, PV1-19 V1004, PV1-44 20260413083000";
        hospital.send("10004", admission).await;
        let discharge = "A03 MSH-7 20260416235800, PV1-19 V1004, PV1-36 01, PV1-45 20260416235500";
        hospital.send("10004", discharge).await;
        let visit = encounter(baton, &GENHOSP, "V1004").await;
        let pathway = patient.pathway("tcm-30", &visit, 1);
        pathway
            .check_core(&Core {
                discharged: "2026-04-16",
                info: "2026-04-18",
                contact: "2026-04-20",
                visit: "2026-04-30",
                closeout: "2026-05-15",
                score: 3,
                risk: "low",
            })
            .await;
        let mut ids: Vec<String> = pathway
            .tasks()
            .await
            .iter()
            .map(|task| text(task, "/id").to_owned())
            .collect();
        ids.sort();
        baton.clock("2026-04-17T09:00:00-04:00").await;
        pathway.complete("discharge-info", None).await;

        let later = "A08 MSH-7 20260417101000, PV1-19 V1004, PV1-45 20260417003000, PV1-36 06";
        hospital.send("10004", later).await;
        let mut same: Vec<String> = pathway
            .tasks()
            .await
            .iter()
            .map(|task| text(task, "/id").to_owned())
            .collect();
        same.sort();
        assert_eq!(same, ids);
        let moved = [
            "interactive-contact requested 2026-04-21",
            "medication-reconciliation requested 2026-05-01",
            "face-to-face requested 2026-05-01",
            "tcm-closeout requested 2026-05-16",
        ];
        let codes = [
            "interactive-contact",
            "medication-reconciliation",
            "face-to-face",
            "tcm-closeout",
        ];
        patient.check_tasks(&codes, &moved).await;
        assert_eq!(pathway.task("discharge-info").await["status"], "completed");
        let visit = encounter(baton, &GENHOSP, "V1004").await;
        assert_eq!(visit["status"], "finished");
        assert_eq!(
            text(
                &visit,
                "/hospitalization/dischargeDisposition/coding/0/code"
            ),
            "06"
        );
        let contact = pathway.task("interactive-contact").await;
        let target = format!("Provenance?target=Task/{}", text(&contact, "/id"));
        let reasons = baton.search(&target).await;
        let is_correction = |provenance: &serde_json::Value| {
            each(provenance, "reason")
                .any(|reason| text(reason, "/coding/0/code") == "adt-correction")
        };
        assert!(reasons.iter().any(is_correction), "{reasons:?}");

        let silent = "A08 MSH-7 20260417150000, PV1-19 V1004";
        hospital.send("10004", silent).await;
        patient.check_tasks(&codes, &moved).await;
        assert_eq!(
            encounter(baton, &GENHOSP, "V1004").await["meta"],
            visit["meta"]
        );

        let facility = "A08 MSH-7 20260417160000, PV1-19 V1004, PV1-36 03";
        hospital.send("10004", facility).await;
        patient
            .check_tasks(
                &codes,
                &[
                    "interactive-contact cancelled (not-community) 2026-04-21",
                    "medication-reconciliation cancelled (not-community) 2026-05-01",
                    "face-to-face cancelled (not-community) 2026-05-01",
                    "tcm-closeout cancelled (not-community) 2026-05-16",
                ],
            )
            .await;
        assert_eq!(pathway.task("discharge-info").await["status"], "completed");
        assert_eq!(pathway.care_plan().await["status"], "revoked");
    })
    .await;
}
