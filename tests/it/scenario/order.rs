//! S06: the discharge comes before the transfer, and the admission comes last.

use crate::support::care::{Core, Patient, encounter, settings, text};
use crate::support::hospital::{GENHOSP, Hospital};
use crate::support::server::{each, on_each_store};

#[tokio::test]
async fn s06_messages_out_of_order_give_the_same_visit() {
    on_each_store(&settings(), "2026-08-14T08:00:00-04:00", async |baton| {
        let patient = Patient::on_panel(baton, &GENHOSP, "10006", &[]).await;
        let mut hospital = Hospital::connect(baton, &GENHOSP).await;
        let discharge = "A03 MSH-7 20260818150200, PV1-4 E, PV1-19 V1006, PV1-36 01, \
                         PV1-44 20260815030000, PV1-45 20260818150000";
        hospital.send("10006", discharge).await;
        let visit = encounter(baton, &GENHOSP, "V1006").await;
        assert_eq!(visit["status"], "finished");
        assert_eq!(visit["period"]["start"], "2026-08-15T03:00:00-04:00");
        assert_eq!(visit["period"]["end"], "2026-08-18T15:00:00-04:00");
        let pathway = patient.pathway("tcm-30", &visit, 1);
        let core = Core {
            discharged: "2026-08-18",
            info: "2026-08-20",
            contact: "2026-08-20",
            visit: "2026-09-01",
            closeout: "2026-09-16",
            score: 6,
            risk: "moderate",
        };
        pathway.check_core(&core).await;

        let transfer = "A02 MSH-7 20260816101500, PV1-19 V1006, PV1-3 4N^410^2, PV1-6 ED^^";
        let transfer = hospital.message("10006", transfer);
        hospital
            .send_at("2026-08-18T15:06:00-04:00", &transfer)
            .await;
        let admission = "A01 MSH-7 20260815031000, PV1-19 V1006, PV1-3 ED^^, PV1-7 1999^CHEN";
        let admission = hospital.message("10006", admission);
        hospital
            .send_at("2026-08-18T15:10:00-04:00", &admission)
            .await;

        let visit = encounter(baton, &GENHOSP, "V1006").await;
        assert_eq!(visit["status"], "finished");
        let places: Vec<(&str, &str)> = each(&visit, "location")
            .map(|place| (text(place, "/location/display"), text(place, "/status")))
            .collect();
        assert_eq!(places[0], ("ED", "completed"));
        assert_eq!(places[1].0, "4N/410/2");
        assert_eq!(places.len(), 2);
        let attending: Vec<&str> = each(&visit, "participant")
            .filter(|participant| text(participant, "/type/0/coding/0/code") == "ATND")
            .map(|participant| text(participant, "/individual/display"))
            .collect();
        assert_eq!(attending.len(), 1);
        assert!(
            attending[0].to_lowercase().contains("chen"),
            "{attending:?}"
        );
        assert!(patient.tasks_of("admit-notice").await.is_empty());
        assert!(patient.tasks_of("inpatient-coordination").await.is_empty());
        assert!(patient.flags().await.is_empty());
        pathway.check_core(&core).await;

        let episode = pathway.episode().await;
        let evidence = each(&episode, "extension")
            .find(|extension| text(extension, "/url").ends_with("/admission-notification"))
            .unwrap();
        let part = |url| {
            each(evidence, "extension")
                .find(|part| part["url"] == url)
                .unwrap()
        };
        assert_eq!(
            part("received-at")["valueDateTime"],
            "2026-08-18T15:02:05-04:00"
        );
        assert_eq!(part("due")["valueDateTime"], "2026-08-17T23:59:59-04:00");
        assert_eq!(part("timely")["valueBoolean"], false);
    })
    .await;
}
