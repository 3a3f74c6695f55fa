//! S09: an observation stay, Columbus Day, and a period that ends after the clock change.

use crate::support::care::{Core, Patient, encounter, settings};
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::server::on_each_store;

#[tokio::test]
async fn s09_an_observation_stay_is_followed_over_the_clock_change() {
    on_each_store(&settings(), "2026-10-07T08:00:00-04:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10011", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let arrival = "A04 MSH-7 20261008080300, PV1-2 V, PV1-4 E, PV1-19 V1011, \
                       PV1-44 20261008080000";
        hospital.send("10011", arrival).await;
        let discharge = "A03 MSH-7 20261009093200, PV1-2 V, PV1-19 V1011, PV1-36 01, \
                         PV1-45 20261009093000";
        hospital.send("10011", discharge).await;
        let visit = encounter(baton, &GENHOSP, "V1011").await;
        assert_eq!(visit["class"]["code"], "OBSENC");
        let pathway = patient.pathway("tcm-30", &visit, 1);
        pathway
            .check_core(&Core {
                discharged: "2026-10-09",
                info: "2026-10-11",
                contact: "2026-10-14",
                visit: "2026-10-23",
                closeout: "2026-11-07",
                score: 4,
                risk: "low",
            })
            .await;
        let closeout = pathway.task("tcm-closeout").await;
        assert_eq!(
            closeout["restriction"]["period"]["end"],
            "2026-11-07T23:59:59-05:00"
        );
    })
    .await;
}
