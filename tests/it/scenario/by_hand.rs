//! A discharge that a care manager enters, because no feed tells it, starts the same pathway.

use serde_json::json;

use crate::support::care::{Core, Patient, settings};
use crate::support::hospital::GENHOSP;
use crate::support::server::on_each_store;

#[tokio::test]
async fn a_discharge_entered_by_hand_starts_the_pathway() {
    on_each_store(&settings(), "2026-03-02T08:00:00-05:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10001", &["E11.9"]).await;
        baton.clock("2026-03-06T16:12:05-05:00").await;
        let visit = json!({
            "resourceType": "Encounter",
            "status": "finished",
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP",
            },
            "subject": { "reference": patient.reference() },
            "period": {
                "start": "2026-03-03T10:00:00-05:00", "end": "2026-03-06T16:10:00-05:00",
            },
            "hospitalization": { "dischargeDisposition": { "coding": [{
                "system": "https://www.nubc.org/CodeSystem/PatDischargeStatus", "code": "01",
            }] } },
        });
        let visit = baton.create(&visit).await;
        baton.settle().await;
        patient
            .pathway("tcm-30", &visit, 1)
            .check_core(&Core {
                discharged: "2026-03-06",
                info: "2026-03-08",
                contact: "2026-03-10",
                visit: "2026-03-20",
                closeout: "2026-04-04",
                score: 4,
                risk: "low",
            })
            .await;
    })
    .await;
}
