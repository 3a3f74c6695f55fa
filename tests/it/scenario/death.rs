//! S11: death in hospital, and death after the discharge.
//!
//! The Task `identity-review` for a death that is taken back does not exist yet.

use serde_json::{Value, json};

use crate::support::care::{Core, Patient, encounter, settings, text};
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::server::{Baton, on_each_store};

/// A Task of another programme.
async fn chronic_care_task(baton: &Baton, patient: &Patient<'_>) -> Value {
    let task = json!({
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": { "text": "monthly call" },
        "for": { "reference": patient.reference() },
    });
    baton.create(&task).await
}

#[tokio::test]
async fn s11a_who_died_in_hospital_is_not_followed() {
    on_each_store(&settings(), "2026-06-05T08:00:00-04:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10013", &[]).await;
        let task = chronic_care_task(baton, &patient).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let admission = "A01 MSH-7 20260606090500, PV1-19 V1013, PV1-44 20260606090000";
        hospital.send("10013", admission).await;
        let discharge = "A03 MSH-7 20260610041500, PV1-19 V1013, PV1-36 20, PV1-45 20260610040000";
        hospital.send("10013", discharge).await;

        let visit = encounter(baton, &GENHOSP, "V1013").await;
        let disposition = &visit["hospitalization"]["dischargeDisposition"]["coding"];
        assert_eq!(disposition[0]["code"], "20");
        assert_eq!(disposition[1]["code"], "exp");
        let person = baton.read(&format!("/{}", patient.reference())).await;
        assert_eq!(person["deceasedBoolean"], true);
        let of_patient = format!("?patient={}", patient.id);
        assert!(
            baton
                .search(&format!("CarePlan{of_patient}"))
                .await
                .is_empty()
        );
        assert!(patient.tasks_of("interactive-contact").await.is_empty());
        let task = baton.read(&format!("/Task/{}", text(&task, "/id"))).await;
        assert_eq!(task["status"], "cancelled");
        assert_eq!(text(&task, "/statusReason/coding/0/code"), "deceased");
    })
    .await;
}

#[tokio::test]
async fn s11b_a_death_after_the_discharge_ends_the_pathway() {
    on_each_store(&settings(), "2026-06-15T08:00:00-04:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10014", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let admission = "A01 MSH-7 20260616080500, PV1-4 C, PV1-19 V1014, PV1-44 20260616080000";
        hospital.send("10014", admission).await;
        let discharge = "A03 MSH-7 20260618150300, PV1-19 V1014, PV1-36 01, PV1-45 20260618150000";
        hospital.send("10014", discharge).await;
        let visit = encounter(baton, &GENHOSP, "V1014").await;
        let pathway = patient.pathway("tcm-30", &visit, 1);
        pathway
            .check_core(&Core {
                discharged: "2026-06-18",
                info: "2026-06-20",
                contact: "2026-06-23",
                visit: "2026-07-02",
                closeout: "2026-07-17",
                score: 2,
                risk: "low",
            })
            .await;
        pathway
            .call("completed", None, "2026-06-22T10:00:00-04:00")
            .await;

        let death = "A31 MSH-7 20260625090000, PID-29 20260624213000, PID-30 Y";
        hospital.send("10014", death).await;
        let ended = [
            "discharge-info cancelled (deceased) 2026-06-20",
            "interactive-contact completed 2026-06-23",
            "medication-reconciliation cancelled (deceased) 2026-07-02",
            "face-to-face cancelled (deceased) 2026-07-02",
            "tcm-closeout cancelled (deceased) 2026-07-17",
        ];
        pathway.check(&ended).await;
        assert_eq!(pathway.care_plan().await["status"], "revoked");
        assert!(pathway.output("tcm-closeout", "result").await.is_empty());

        let silent = "A08 MSH-7 20260626090000, PV1-19 V1014";
        let revived = "A08 MSH-7 20260627090000, PV1-19 V1014, PID-30 N";
        for line in [silent, revived] {
            hospital.send("10014", line).await;
            let person = baton.read(&format!("/{}", patient.reference())).await;
            assert_eq!(
                person["deceasedDateTime"], "2026-06-24T21:30:00-04:00",
                "{line}"
            );
            pathway.check(&ended).await;
        }
    })
    .await;
}
