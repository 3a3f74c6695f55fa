//! S01: a Friday discharge, daylight saving starts on Sunday, a call on Saturday counts, low risk.

use crate::support::care::{Core, Patient, encounter, end_of, outputs, settings, text};
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::server::on_each_store;

#[tokio::test]
async fn s01_a_friday_discharge_before_daylight_saving_is_followed_to_its_end() {
    on_each_store(&settings(), "2026-03-02T08:00:00-05:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10001", &["E11.9"]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;

        let admission = "A01 MSH-7 20260303101500, PV1-2 I, PV1-4 C, PV1-19 V1001, \
                         PV1-44 20260303100000";
        hospital.send("10001", admission).await;
        let visit = encounter(baton, &GENHOSP, "V1001").await;
        assert_eq!(visit["status"], "in-progress");
        assert_eq!(visit["class"]["code"], "IMP");
        assert_eq!(visit["period"]["start"], "2026-03-03T10:00:00-05:00");
        assert_eq!(text(&visit, "/subject/reference"), patient.reference());
        let watch = patient.pathway("admission-watch", &visit, 1);
        watch
            .check(&[
                "admit-notice completed 2026-03-05",
                "inpatient-coordination requested 2026-03-04",
            ])
            .await;
        let notice = watch.task("admit-notice").await;
        let received = outputs(&notice, "received-at").next().unwrap();
        assert_eq!(received["valueDateTime"], "2026-03-03T10:15:05-05:00");

        let discharge = "A03 MSH-7 20260306161200, PV1-19 V1001, PV1-36 01, PV1-45 20260306161000";
        hospital.send("10001", discharge).await;
        let visit = encounter(baton, &GENHOSP, "V1001").await;
        assert_eq!(visit["status"], "finished");
        assert_eq!(visit["period"]["end"], "2026-03-06T16:10:00-05:00");
        let disposition = &visit["hospitalization"]["dischargeDisposition"]["coding"];
        assert_eq!(
            disposition[0]["system"],
            "https://www.nubc.org/CodeSystem/PatDischargeStatus"
        );
        assert_eq!(disposition[0]["code"], "01");
        assert_eq!(disposition[1]["code"], "home");
        watch
            .check(&[
                "admit-notice completed 2026-03-05",
                "inpatient-coordination cancelled (superseded) 2026-03-04",
            ])
            .await;
        let pathway = patient.pathway("tcm-30", &visit, 1);
        pathway
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
        let info = pathway.task("discharge-info").await;
        assert_eq!(
            info["restriction"]["period"]["end"],
            "2026-03-08T23:59:59-04:00"
        );
        assert_eq!(patient.tasks().await.len(), 7);

        pathway
            .call("completed", None, "2026-03-07T11:00:00-05:00")
            .await;
        assert_eq!(
            pathway.task("interactive-contact").await["status"],
            "completed"
        );
        assert_eq!(
            pathway
                .output("interactive-contact", "contact-element")
                .await,
            ["reached"]
        );

        pathway
            .office_visit("2026-03-19T10:00:00-04:00", "moderate")
            .await;
        pathway.reconcile_medications("2026-03-19").await;
        baton.clock(&end_of("2026-04-04")).await;
        assert_eq!(pathway.status().await, ("active".into(), "active".into()));
        baton.clock("2026-04-05T00:00:00-04:00").await;
        assert_eq!(pathway.output("tcm-closeout", "result").await, ["99495"]);
        assert_eq!(
            pathway.status().await,
            ("completed".into(), "finished".into())
        );
    })
    .await;
}
