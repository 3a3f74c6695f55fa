//! S13: a facility in another zone, a discharge near midnight.

use crate::support::care::{Core, Patient, encounter, settings};
use crate::support::hospital::{Hospital, LAKEHOSP};
use crate::support::server::{instant, on_each_store};

async fn check(discharge: &str, end: &str) {
    on_each_store(&settings(), "2026-03-27T08:00:00-04:00", async |baton| {
        let patient = Patient::on_panel(baton, &LAKEHOSP, "30015", &[]).await;
        let mut hospital = Hospital::connect(baton, &LAKEHOSP).await;
        let admission = "A01 MSH-7 20260328100000, PV1-4 C, PV1-19 L1015, PV1-44 20260328093000";
        hospital.send("30015", admission).await;
        hospital.send("30015", discharge).await;
        let visit = encounter(baton, &LAKEHOSP, "L1015").await;
        let found = visit["period"]["end"].as_str().unwrap();
        assert_eq!(instant(found), instant(end));
        patient
            .pathway("tcm-30", &visit, 1)
            .check_core(&Core {
                discharged: "2026-03-31",
                info: "2026-04-02",
                contact: "2026-04-02",
                visit: "2026-04-14",
                closeout: "2026-04-29",
                score: 3,
                risk: "low",
            })
            .await;
    })
    .await;
}

#[tokio::test]
async fn s13_the_day_of_discharge_is_the_day_at_the_facility() {
    check(
        "A03 MSH-7 20260331233500, PV1-19 L1015, PV1-36 01, PV1-45 20260331233000",
        "2026-03-31T23:30:00-05:00",
    )
    .await;
}

#[tokio::test]
async fn s13_an_instant_with_its_own_offset_is_the_same_day() {
    check(
        "A03 MSH-7 20260331233500, PV1-19 L1015, PV1-36 01, PV1-45 20260401043000+0000",
        "2026-03-31T23:30:00-05:00",
    )
    .await;
}

#[tokio::test]
async fn s13_the_offset_of_the_header_does_not_change_the_day() {
    check(
        "A03 MSH-7 20260331233500-0500, PV1-19 L1015, PV1-36 01, PV1-45 20260331233000",
        "2026-03-31T23:30:00-05:00",
    )
    .await;
}
