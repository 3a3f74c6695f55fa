//! Whatever hospitals send in whatever order: deciding again changes nothing, and a visit never has
//! two pathways of one plan.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::plan_definition::facts::{Moment, VisitClass, VisitFacts, VisitStatus};
use crate::plan_definition::instance::{Instance, Standing};
use crate::plan_definition::resource::{is_open, status};
use crate::plan_definition::tests::stage::{Stage, admitted, at};

/// One message: which visit, and how it stands after it.
#[derive(Debug, Clone)]
struct Message {
    visit: usize,
    status: VisitStatus,
    class: VisitClass,
    start_day: u32,
    stay_days: u32,
    disposition: Option<&'static str>,
    is_deceased: bool,
}

fn message() -> impl Strategy<Value = Message> {
    (
        0usize..3,
        prop_oneof![
            3 => Just(VisitStatus::InProgress),
            5 => Just(VisitStatus::Finished),
            1 => Just(VisitStatus::Cancelled),
            1 => Just(VisitStatus::Unknown),
        ],
        prop_oneof![
            4 => Just(VisitClass::Inpatient),
            1 => Just(VisitClass::Observation),
            2 => Just(VisitClass::Emergency),
            1 => Just(VisitClass::Ambulatory),
        ],
        1u32..20,
        0u32..9,
        prop_oneof![
            6 => Just(Some("01")),
            1 => Just(Some("03")),
            1 => Just(Some("04")),
            1 => Just(Some("07")),
            1 => Just(Some("30")),
            1 => Just(None),
        ],
        prop::bool::weighted(0.03),
    )
        .prop_map(
            |(visit, status, class, start_day, stay_days, disposition, is_deceased)| Message {
                visit,
                status,
                class,
                start_day,
                stay_days,
                disposition,
                is_deceased,
            },
        )
}

impl Message {
    fn visit(&self) -> VisitFacts {
        let day = |day: u32| format!("2026-04-{day:02}T12:00:00-04:00");
        let has_end = self.status == VisitStatus::Finished;
        VisitFacts {
            status: self.status,
            class: self.class,
            end: has_end.then(|| Moment::Instant(at(&day(self.start_day + self.stay_days)))),
            disposition: self.disposition.filter(|_| has_end).map(str::to_owned),
            ..admitted(&format!("V{}", self.visit), &day(self.start_day))
        }
    }
}

fn check_invariants(stage: &Stage) {
    let mut standing: BTreeMap<(String, String), usize> = BTreeMap::new();
    for instance in Instance::all(&stage.resources) {
        let key = (instance.key.plan.clone(), instance.key.encounter_id.clone());
        if instance.standing() != Standing::Withdrawn {
            *standing.entry(key).or_default() += 1;
        }
        if !instance.is_alive() {
            assert!(
                !instance.tasks.iter().any(|task| is_open(task)),
                "{}",
                instance.key
            );
        }
        if let (Some(episode), Some(care_plan)) = (instance.episode, instance.care_plan) {
            let expected = match status(episode) {
                "active" => "active",
                "onhold" => "on-hold",
                _ => "revoked",
            };
            assert_eq!(status(care_plan), expected);
        }
    }
    assert!(standing.values().all(|count| *count == 1), "{standing:?}");
    let active = stage
        .all("EpisodeOfCare")
        .into_iter()
        .filter(|episode| status(episode) == "active");
    assert!(active.count() <= 1, "one patient, one transition at a time");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_order_of_messages_gives_at_most_one_pathway_per_visit(
        messages in prop::collection::vec(message(), 1..12)
    ) {
        let mut stage = Stage::new(&["I50.9", "N18.31"]);
        let mut visits: BTreeMap<usize, VisitFacts> = BTreeMap::new();
        for (index, message) in messages.iter().enumerate() {
            let visit = message.visit();
            stage.patient.is_deceased |= message.is_deceased;
            stage.patient.other_visits = visits
                .iter()
                .filter(|(other, _)| **other != message.visit)
                .map(|(_, other)| other.clone())
                .collect();
            // `message` decides twice and insists that the second time gives nothing.
            stage.message(&visit, &format!("2026-04-29T12:{index:02}:00-04:00"));
            visits.insert(message.visit, visit);
            check_invariants(&stage);
        }
    }
}
