//! Reading a PlanDefinition, and that our own conformance resources hang together.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::plan_definition::due::{Anchor, DueRule, Unit};
use crate::plan_definition::{Condition, Dynamic, Plan, Trigger, vocabulary as v};

fn own() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fhir-profiles/baton");
    let mut resources: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (
                path.file_stem().unwrap().to_str().unwrap().to_owned(),
                text.parse().unwrap(),
            )
        })
        .collect();
    resources.sort_by(|left, right| left.0.cmp(&right.0));
    resources
}

#[test]
fn every_file_is_named_after_its_resource_and_under_our_base() {
    for (name, resource) in own() {
        let kind = resource["resourceType"].as_str().unwrap();
        let id = resource["id"].as_str().unwrap();
        assert_eq!(name, format!("{kind}-{id}"));
        assert_eq!(resource["url"], format!("{}/{kind}/{id}", v::BASE));
        assert_eq!(resource["version"], "1.0.0", "{name}");
    }
}

/// Every string that starts with our base.
fn canonicals(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.starts_with(v::BASE) => {
            found.insert(text.split('|').next().unwrap_or_default().to_owned());
        }
        Value::Array(values) => values.iter().for_each(|value| canonicals(value, found)),
        Value::Object(members) => members.values().for_each(|value| canonicals(value, found)),
        _ => {}
    }
}

#[test]
fn every_canonical_that_is_used_is_defined() {
    let own = own();
    let defined: BTreeSet<String> = own
        .iter()
        .map(|(_, resource)| resource["url"].as_str().unwrap().to_owned())
        .collect();
    let mut used = BTreeSet::new();
    for (_, resource) in &own {
        canonicals(resource, &mut used);
    }
    let named = [
        v::CARE_TASK,
        v::CARE_TASK_STATUS,
        v::CARE_TASK_PARAMETER,
        v::CARE_TASK_RESULT,
        v::PATHWAY_TYPE,
        v::CARE_FLAG,
        v::RISK_METHOD,
        v::DUE_RULE,
        v::SCORE,
        v::PATHWAY_STATUS_REASON,
        v::HELD_STATUS,
        v::ADMISSION_NOTIFICATION,
        v::MEDICAL_DECISION_MAKING,
        v::TCM_CARE_PLAN,
        v::TCM_GOAL,
        v::TCM_EPISODE_OF_CARE,
        v::TCM_TASK,
        v::TCM_30,
        v::ADMISSION_WATCH,
        v::ED_FOLLOW_UP,
    ];
    used.extend(named.map(str::to_owned));
    let missing: Vec<_> = used.difference(&defined).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_shipped_plans_say_what_the_pathways_need() {
    let plans = Plan::shipped().unwrap();
    let names: Vec<_> = plans
        .iter()
        .map(|plan| (plan.name.as_str(), plan.trigger))
        .collect();
    assert_eq!(
        names,
        [
            ("tcm-30", Trigger::EncounterEnd),
            ("admission-watch", Trigger::EncounterStart),
            ("ed-follow-up", Trigger::EncounterEnd)
        ]
    );
    let tcm = &plans[0];
    assert_eq!(
        tcm.canonical,
        "http://baton.health/fhir/PlanDefinition/tcm-30|1.0.0"
    );
    assert_eq!(tcm.programme.as_ref().unwrap().code, "tcm");
    let visit = tcm
        .actions
        .iter()
        .find(|action| action.code == "face-to-face")
        .unwrap();
    assert_eq!(
        visit.due,
        DueRule {
            anchor: Anchor::Discharge,
            offset: 14,
            high_risk_offset: Some(7),
            unit: Unit::CalendarDay
        }
    );
    assert_eq!(visit.dynamics, [Dynamic::UrgentIf(Condition::HighRisk)]);
    assert!(plans[1..].iter().all(|plan| plan.programme.is_none()));
}

#[test]
fn an_error_names_the_element() {
    #[track_caller]
    fn check(pointer: &str, value: Value, expected: &str) {
        let own = own();
        let find = |name: &str| {
            own.iter()
                .find(|(own, _)| own == name)
                .map(|(_, resource)| resource.clone())
                .unwrap()
        };
        let mut plan = find("PlanDefinition-ed-follow-up");
        let mut activity = find("ActivityDefinition-ed-follow-up");
        let target = if pointer.starts_with("/extension") {
            &mut activity
        } else {
            &mut plan
        };
        *target.pointer_mut(pointer).unwrap() = value;
        assert_eq!(
            Plan::read(&plan, &[activity]).unwrap_err().to_string(),
            expected
        );
    }
    check("/url", Value::Null, "PlanDefinition.url: required");
    check("/action", json!([]), "PlanDefinition.action: required");
    check(
        "/action/0/action",
        json!([]),
        "PlanDefinition.action[0].action: required",
    );
    check(
        "/action/0/trigger/0/name",
        json!("encounter-middle"),
        "PlanDefinition.action[0].trigger[0].name: 'encounter-middle' is not supported, use one \
         of: encounter-start, encounter-end",
    );
    check(
        "/action/0/action/0/definitionCanonical",
        json!("http://baton.health/fhir/ActivityDefinition/ed-follow-up|2.0.0"),
        "PlanDefinition.action[0].action[0].definitionCanonical: \
         'http://baton.health/fhir/ActivityDefinition/ed-follow-up|2.0.0' is not among the \
         ActivityDefinitions",
    );
    check(
        "/extension/0/extension/3/valueBoolean",
        json!(false),
        "ActivityDefinition/ed-follow-up.extension[0].extension[3].valueBoolean: 'false' is not \
         supported, use one of: true",
    );
    check(
        "/extension/0/extension/1/valueInteger",
        json!(-1),
        "ActivityDefinition/ed-follow-up.extension[0].extension[1].valueInteger: required",
    );
}

#[test]
fn an_action_overrides_the_due_rule_of_its_activity() {
    let own = own();
    let find = |name: &str| {
        own.iter()
            .find(|(own, _)| own == name)
            .map(|(_, resource)| resource.clone())
            .unwrap()
    };
    let activity = find("ActivityDefinition-ed-follow-up");
    let mut plan = find("PlanDefinition-ed-follow-up");
    let mut rule = activity["extension"][0].clone();
    rule["extension"][1]["valueInteger"] = json!(3);
    plan["action"][0]["action"][0]["extension"] = json!([rule]);
    let plan = Plan::read(&plan, &[activity]).unwrap();
    assert_eq!(plan.actions[0].due.offset, 3);
}
