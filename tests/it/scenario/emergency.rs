//! S08: emergency visits: treated and released, and one that becomes an inpatient stay.

use serde_json::json;

use crate::support::care::{Core, Patient, encounter, settings, text};
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::server::on_each_store;

#[tokio::test]
async fn s08a_an_emergency_visit_with_many_conditions_is_followed_until_an_admission() {
    on_each_store(&settings(), "2026-09-04T08:00:00-04:00", async |baton| {
        let conditions = ["I50.22", "N18.31", "F33.1"];
        let patient = Patient::on_panel(baton, &GENHOSP, "10008", &conditions).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let arrival = "A04 MSH-7 20260905201000, PV1-2 E, PV1-19 V1008, PV1-44 20260905200500";
        hospital.send("10008", arrival).await;
        let release = "A03 MSH-7 20260906012500, PV1-2 E, PV1-19 V1008, PV1-36 01, \
                       PV1-45 20260906012000";
        hospital.send("10008", release).await;
        let visit = encounter(baton, &GENHOSP, "V1008").await;
        assert_eq!(visit["class"]["code"], "EMER");
        assert_eq!(visit["status"], "finished");
        assert!(
            baton
                .search(&format!("CarePlan?patient={}", patient.id))
                .await
                .is_empty()
        );
        assert!(
            baton
                .search(&format!("EpisodeOfCare?patient={}", patient.id))
                .await
                .is_empty()
        );
        let follow_up = patient.pathway("ed-follow-up", &visit, 1);
        follow_up
            .check(&["ed-follow-up requested 2026-09-13"])
            .await;
        assert_eq!(patient.tasks().await.len(), 1);

        let admission = "A01 MSH-7 20260910060500, PV1-2 I, PV1-19 V1108, PV1-44 20260910060000";
        hospital.send("10008", admission).await;
        follow_up
            .check(&["ed-follow-up cancelled (admitted) 2026-09-13"])
            .await;
    })
    .await;
}

#[tokio::test]
async fn s08b_an_emergency_visit_without_conditions_needs_no_follow_up() {
    on_each_store(&settings(), "2026-09-04T08:00:00-04:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10009", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let arrival = "A04 MSH-7 20260905201000, PV1-2 E, PV1-19 V1009, PV1-44 20260905200500";
        hospital.send("10009", arrival).await;
        let release = "A03 MSH-7 20260906012500, PV1-2 E, PV1-19 V1009, PV1-36 01, \
                       PV1-45 20260906012000";
        hospital.send("10009", release).await;
        let visit = encounter(baton, &GENHOSP, "V1009").await;
        assert_eq!(visit["status"], "finished");
        assert!(patient.tasks().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn s08c_an_emergency_visit_that_becomes_inpatient_is_one_stay() {
    on_each_store(&settings(), "2026-09-07T08:00:00-04:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10010", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let arrival = "A04 MSH-7 20260908090000, PV1-2 E, PV1-4 E, PV1-19 V1010, \
                       PV1-44 20260908085500, PV1-3 ED^^";
        hospital.send("10010", arrival).await;
        let inpatient = "A06 MSH-7 20260908143000, PV1-2 I, PV1-19 V1010, PV1-3 4N^402^1, \
                         PV1-6 ED^^";
        hospital.send("10010", inpatient).await;
        let discharge = "A03 MSH-7 20260911120300, PV1-19 V1010, PV1-36 01, PV1-45 20260911120000";
        hospital.send("10010", discharge).await;
        let visit = encounter(baton, &GENHOSP, "V1010").await;
        assert_eq!(visit["class"]["code"], "IMP");
        let past = &visit["classHistory"];
        assert_eq!(past.as_array().unwrap().len(), 1);
        assert_eq!(text(past, "/0/class/code"), "EMER");
        assert_eq!(
            past[0]["period"],
            json!({ "start": "2026-09-08T08:55:00-04:00", "end": "2026-09-08T14:30:00-04:00" })
        );
        let of_patient = format!("Encounter?patient={}", patient.id);
        assert_eq!(baton.search(&of_patient).await.len(), 1);
        assert!(patient.tasks_of("ed-follow-up").await.is_empty());
        patient
            .pathway("tcm-30", &visit, 1)
            .check_core(&Core {
                discharged: "2026-09-11",
                info: "2026-09-13",
                contact: "2026-09-15",
                visit: "2026-09-25",
                closeout: "2026-10-10",
                score: 6,
                risk: "moderate",
            })
            .await;
    })
    .await;
}
