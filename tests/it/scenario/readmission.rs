//! S10: a readmission inside the thirty days, and the discharge after it.
//!
//! The row of the readmission report comes with the reports.

use crate::support::care::{Core, Patient, encounter, settings};
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::server::on_each_store;

#[tokio::test]
async fn s10_a_readmission_holds_the_pathway_and_the_next_discharge_replaces_it() {
    on_each_store(&settings(), "2026-09-12T08:00:00-04:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10012", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let admission = "A01 MSH-7 20260913070500, PV1-4 C, PV1-19 V1012, PV1-44 20260913070000";
        hospital.send("10012", admission).await;
        let discharge = "A03 MSH-7 20260915110500, PV1-19 V1012, PV1-36 01, PV1-45 20260915110000";
        hospital.send("10012", discharge).await;
        let visit = encounter(baton, &GENHOSP, "V1012").await;
        let first = patient.pathway("tcm-30", &visit, 1);
        first
            .check_core(&Core {
                discharged: "2026-09-15",
                info: "2026-09-17",
                contact: "2026-09-17",
                visit: "2026-09-29",
                closeout: "2026-10-14",
                score: 2,
                risk: "low",
            })
            .await;
        first
            .call("completed", None, "2026-09-16T10:00:00-04:00")
            .await;

        let again = "A01 MSH-7 20260927031500, PV1-2 I, PV1-4 E, PV1-19 V1112, \
                     PV1-44 20260927030000";
        hospital.send("10012", again).await;
        first
            .check(&[
                "discharge-info on-hold (readmitted) 2026-09-17",
                "interactive-contact completed 2026-09-17",
                "medication-reconciliation on-hold (readmitted) 2026-09-29",
                "face-to-face on-hold (readmitted) 2026-09-29",
                "tcm-closeout on-hold (readmitted) 2026-10-14",
            ])
            .await;
        assert_eq!(first.status().await, ("on-hold".into(), "onhold".into()));
        assert_eq!(patient.flags().await, ["readmission"]);

        let discharge = "A03 MSH-7 20261002140300, PV1-19 V1112, PV1-36 01, PV1-45 20261002140000";
        hospital.send("10012", discharge).await;
        first
            .check(&[
                "discharge-info cancelled (superseded) 2026-09-17",
                "interactive-contact completed 2026-09-17",
                "medication-reconciliation cancelled (superseded) 2026-09-29",
                "face-to-face cancelled (superseded) 2026-09-29",
                "tcm-closeout cancelled (superseded) 2026-10-14",
            ])
            .await;
        assert_eq!(first.status().await, ("revoked".into(), "finished".into()));
        let visit = encounter(baton, &GENHOSP, "V1112").await;
        patient
            .pathway("tcm-30", &visit, 1)
            .check_core(&Core {
                discharged: "2026-10-02",
                info: "2026-10-04",
                contact: "2026-10-06",
                visit: "2026-10-16",
                closeout: "2026-10-31",
                score: 7,
                risk: "moderate",
            })
            .await;
        assert!(
            patient
                .flags()
                .await
                .iter()
                .any(|flag| flag == "tcm-claim-conflict")
        );
    })
    .await;
}
