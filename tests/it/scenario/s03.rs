//! S03: A13 cancels the discharge; the patient is discharged again three days later.

use crate::support::care::{Core, Patient, encounter, settings, text};
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::server::{each, on_each_store};

#[tokio::test]
async fn s03_a_cancelled_discharge_is_not_a_discharge() {
    on_each_store(&settings(), "2026-08-02T08:00:00-04:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10003", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let admission = "A01 MSH-7 20260803120000, PV1-4 E, PV1-19 V1003, PV1-44 20260803113000, \
                         PV1-3 4N^401^1";
        hospital.send("10003", admission).await;
        let discharge = "A03 MSH-7 20260804110200, PV1-19 V1003, PV1-36 01, PV1-45 20260804110000";
        hospital.send("10003", discharge).await;
        let visit = encounter(baton, &GENHOSP, "V1003").await;
        let first = patient.pathway("tcm-30", &visit, 1);
        first
            .check_core(&Core {
                discharged: "2026-08-04",
                info: "2026-08-06",
                contact: "2026-08-06",
                visit: "2026-08-18",
                closeout: "2026-09-02",
                score: 4,
                risk: "low",
            })
            .await;

        let cancel = "A13 MSH-7 20260804141500, PV1-19 V1003, PV1-3 5W^512^1";
        hospital.send("10003", cancel).await;
        let visit = encounter(baton, &GENHOSP, "V1003").await;
        assert_eq!(visit["status"], "in-progress");
        assert_eq!(visit["period"].get("end"), None);
        assert_eq!(visit.pointer("/hospitalization/dischargeDisposition"), None);
        let active: Vec<&str> = each(&visit, "location")
            .filter(|location| location["status"] == "active")
            .map(|location| text(location, "/location/display"))
            .collect();
        assert_eq!(active, ["5W/512/1"]);
        first
            .check(&[
                "discharge-info cancelled (discharge-cancelled) 2026-08-06",
                "interactive-contact cancelled (discharge-cancelled) 2026-08-06",
                "medication-reconciliation cancelled (discharge-cancelled) 2026-08-18",
                "face-to-face cancelled (discharge-cancelled) 2026-08-18",
                "tcm-closeout cancelled (discharge-cancelled) 2026-09-02",
            ])
            .await;
        assert_eq!(first.status().await, ("revoked".into(), "cancelled".into()));

        let again = "A03 MSH-7 20260807100300, PV1-19 V1003, PV1-36 01, PV1-45 20260807100000";
        hospital.send("10003", again).await;
        let visit = encounter(baton, &GENHOSP, "V1003").await;
        let second = patient.pathway("tcm-30", &visit, 2);
        second
            .check_core(&Core {
                discharged: "2026-08-07",
                info: "2026-08-09",
                contact: "2026-08-11",
                visit: "2026-08-21",
                closeout: "2026-09-05",
                score: 7,
                risk: "moderate",
            })
            .await;
        let history: Vec<&str> = each(&visit, "statusHistory")
            .map(|past| text(past, "/status"))
            .collect();
        assert_eq!(history, ["in-progress", "finished", "in-progress"]);
        assert_eq!(visit["status"], "finished");
        assert_eq!(first.status().await, ("revoked".into(), "cancelled".into()));
        assert_eq!(patient.tasks_of("interactive-contact").await.len(), 2);
    })
    .await;
}
