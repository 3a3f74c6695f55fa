//! What people enter because no feed tells it has the same effect.

use serde_json::json;

use crate::support::care::{Core, Patient, encounter, settings};
use crate::support::hospital::{GENHOSP, Hospital};
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

#[tokio::test]
async fn a_death_entered_by_hand_ends_the_pathway() {
    on_each_store(&settings(), "2026-03-02T08:00:00-05:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10001", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let discharge = "A03 MSH-7 20260306161200, PV1-19 V1001, PV1-36 01, \
                         PV1-44 20260303100000, PV1-45 20260306161000";
        hospital.send("10001", discharge).await;
        let path = format!("/{}", patient.reference());
        let mut person = baton.read(&path).await;
        person["deceasedDateTime"] = json!("2026-03-08");
        baton.clock("2026-03-09T09:00:00-04:00").await;
        baton.put(&path, &person).await.expect(200);
        baton.settle().await;
        let visit = encounter(baton, &GENHOSP, "V1001").await;
        let pathway = patient.pathway("tcm-30", &visit, 1);
        for task in pathway.tasks().await {
            assert_eq!(task["status"], "cancelled");
            assert_eq!(task["statusReason"]["coding"][0]["code"], "deceased");
        }
        assert_eq!(
            pathway.status().await,
            ("revoked".into(), "cancelled".into())
        );
    })
    .await;
}

#[tokio::test]
async fn who_joins_the_panel_after_the_discharge_is_followed_from_the_discharge() {
    on_each_store(&settings(), "2026-03-02T08:00:00-05:00", async |baton| {
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let discharge = "A03 MSH-7 20260306161200, PV1-19 V1001, PV1-36 01, PV1-4 C, \
                         PV1-44 20260303100000, PV1-45 20260306161000";
        hospital.send("10001", discharge).await;
        let person = baton.search("Patient").await.remove(0);
        let office = json!({
            "resourceType": "Encounter",
            "subject": { "reference": format!("Patient/{}", person["id"].as_str().unwrap()) },
            "status": "finished",
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB",
            },
            "period": { "start": "2026-03-06T18:00:00-05:00", "end": "2026-03-06T18:30:00-05:00" },
        });
        baton.clock("2026-03-07T09:00:00-05:00").await;
        baton.create(&office).await;
        let patient = Patient::join_panel(baton, &person, &[]).await;
        let visit = encounter(baton, &GENHOSP, "V1001").await;
        patient
            .pathway("tcm-30", &visit, 1)
            .check(&[
                "discharge-info requested 2026-03-08",
                "interactive-contact requested 2026-03-10",
                "medication-reconciliation requested 2026-03-20",
                "face-to-face requested 2026-03-20",
                "tcm-closeout requested 2026-04-04",
            ])
            .await;
    })
    .await;
}
