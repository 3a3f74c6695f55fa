//! S05: duplicates, resends, a control id that is used again.

use crate::support::care::{Core, Patient, encounter, settings, text};
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::server::{Baton, each, on_each_store};

/// The statuses through which the versions of an Encounter went.
async fn statuses(baton: &Baton, id: &str) -> Vec<String> {
    let versions = baton.versions(&format!("/Encounter/{id}")).await;
    versions
        .iter()
        .map(|entry| text(&entry["resource"], "/status").to_owned())
        .collect()
}

#[tokio::test]
async fn s05_what_comes_twice_has_one_effect() {
    on_each_store(&settings(), "2026-05-18T08:00:00-04:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10005", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let admission = "A01 MSH-7 20260519070000, MSH-10 A-1, PV1-4 C, PV1-19 V1005, \
                         PV1-44 20260519064500";
        hospital.send("10005", admission).await;
        let discharge = "A03 MSH-7 20260521120500, MSH-10 A-2, PV1-19 V1005, PV1-36 01, \
                         PV1-45 20260521120000";
        let discharge = hospital.message("10005", discharge);
        let first = hospital
            .send_at("2026-05-21T12:05:05-04:00", &discharge)
            .await;
        let visit = encounter(baton, &GENHOSP, "V1005").await;
        let pathway = patient.pathway("tcm-30", &visit, 1);
        let core = Core {
            discharged: "2026-05-21",
            info: "2026-05-23",
            contact: "2026-05-26",
            visit: "2026-06-04",
            closeout: "2026-06-19",
            score: 2,
            risk: "low",
        };
        pathway.check_core(&core).await;
        let id = text(&visit, "/id");
        assert_eq!(statuses(baton, id).await, ["in-progress", "finished"]);

        let versions = baton.version_count().await;
        let second = hospital
            .send_at("2026-05-21T12:05:35-04:00", &discharge)
            .await;
        assert_eq!(second, first);
        assert_eq!(baton.version_count().await, versions);

        let replay = "A03 MSH-7 20260522020000, MSH-10 N-77, PV1-19 V1005, PV1-36 01, \
                      PV1-45 20260521120000";
        hospital.send("10005", replay).await;
        assert_eq!(
            encounter(baton, &GENHOSP, "V1005").await["meta"],
            visit["meta"]
        );
        pathway.check_core(&core).await;
        // What the one outbound notification will be made from: the visit finished once.
        assert_eq!(statuses(baton, id).await, ["in-progress", "finished"]);

        let other = "A01 MSH-7 20260601080500, MSH-10 A-2, PV1-19 V1055, PV1-44 20260601080000";
        hospital.send("10055", other).await;
        let visit = encounter(baton, &GENHOSP, "V1055").await;
        let is_flagged = each(&visit["meta"], "tag").any(|tag| tag["code"] == "control-id-reuse");
        assert!(is_flagged, "{}", visit["meta"]);
        assert_eq!(statuses(baton, id).await, ["in-progress", "finished"]);
    })
    .await;
}
