//! A patient, a visit and the resources so far: what a server would keep between two messages.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::America::New_York;
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::plan_definition::Plan;
use crate::plan_definition::decide::{Decision, Situation, Timer, decide};
use crate::plan_definition::facts::{
    ConditionFacts, Moment, PanelPeriod, PatientFacts, Policy, VisitClass, VisitFacts, VisitStatus,
};
use crate::plan_definition::progress::{self, Progress};
use crate::plan_definition::resource::{
    business_status, code_in, id, output_code, resource_type, status, task_code, text,
};
use crate::plan_definition::vocabulary as v;

pub(super) fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text)
        .unwrap()
        .with_timezone(&Utc)
}

/// An acute inpatient visit that has begun.
pub(super) fn admitted(encounter_id: &str, start: &str) -> VisitFacts {
    VisitFacts {
        encounter_id: encounter_id.to_owned(),
        status: VisitStatus::InProgress,
        class: VisitClass::Inpatient,
        class_history: Vec::new(),
        start: Some(Moment::parse(start).unwrap()),
        end: None,
        disposition: None,
        is_emergent: false,
        is_post_acute: false,
        facility_zone: New_York,
        first_notified_at: Some(at(start)),
    }
}

pub(super) fn ended(visit: &VisitFacts, end: &str, disposition: &str) -> VisitFacts {
    VisitFacts {
        status: VisitStatus::Finished,
        end: Some(Moment::parse(end).unwrap()),
        disposition: Some(disposition.to_owned()),
        ..visit.clone()
    }
}

pub(super) fn emergent(visit: VisitFacts) -> VisitFacts {
    VisitFacts {
        is_emergent: true,
        ..visit
    }
}

pub(super) struct Stage {
    pub(super) patient: PatientFacts,
    pub(super) policy: Policy,
    pub(super) resources: Vec<Value>,
    timers: BTreeMap<String, DateTime<Utc>>,
    plans: Vec<Plan>,
    next_id: u32,
}

impl Stage {
    /// The fixture: on the panel, screened lately, nothing else known.
    pub(super) fn new(icd10: &[&str]) -> Self {
        let conditions = icd10
            .iter()
            .enumerate()
            .map(|(index, code)| ConditionFacts {
                id: Some(format!("condition-{index}")),
                icd10: Some((*code).to_owned()),
            })
            .collect();
        let panel = PanelPeriod {
            start: "2026-01-01".parse().unwrap(),
            end: None,
        };
        Self {
            patient: PatientFacts {
                id: "p".to_owned(),
                birth_date: Some("1950-01-31".parse().unwrap()),
                is_deceased: false,
                panel: vec![panel],
                conditions,
                other_visits: Vec::new(),
                sdoh_screened_on: Some("2026-12-01".parse().unwrap()),
                care_manager: None,
            },
            policy: Policy::new(New_York),
            resources: Vec::new(),
            timers: BTreeMap::new(),
            plans: Plan::shipped().unwrap(),
            next_id: 0,
        }
    }

    fn decision(&mut self, visit: &VisitFacts, now: &str) -> Decision {
        let mut next_id = self.next_id;
        let mut ids = || {
            next_id += 1;
            format!("r{next_id:03}")
        };
        let situation = Situation {
            visit,
            patient: &self.patient,
            existing: &self.resources,
            plans: &self.plans,
            policy: &self.policy,
            now: at(now),
        };
        let decision = decide(&situation, &mut ids);
        self.next_id = next_id;
        decision
    }

    /// A message was folded into the visit. Deciding twice must change nothing.
    #[track_caller]
    pub(super) fn message(&mut self, visit: &VisitFacts, now: &str) -> Decision {
        let decision = self.decision(visit, now);
        self.store(&decision);
        let again = self.decision(visit, now);
        assert_eq!(
            again,
            Decision::default(),
            "a second decision changes nothing"
        );
        decision
    }

    fn store(&mut self, decision: &Decision) {
        for put in &decision.changes {
            let mut resource = put.resource.clone();
            let old = self.resources.iter().position(|old| {
                id(old) == id(&resource) && resource_type(old) == resource_type(&resource)
            });
            let current = old.map(|index| text(&self.resources[index], "/meta/versionId").unwrap());
            assert_eq!(put.expected_version.as_deref(), current);
            let version = current.map_or(1, |current| current.parse::<u32>().unwrap() + 1);
            if resource.get("meta").is_none() {
                resource["meta"] = json!({});
            }
            resource["meta"]["versionId"] = json!(version.to_string());
            match old {
                Some(index) => self.resources[index] = resource,
                None => self.resources.push(resource),
            }
        }
        for Timer { task_id, at } in &decision.timers {
            self.timers.insert(task_id.clone(), *at);
        }
    }

    fn progress(&self, now: DateTime<Utc>) -> Progress<'_> {
        Progress {
            existing: &self.resources,
            plans: &self.plans,
            policy: &self.policy,
            now,
        }
    }

    /// A person writes a resource; the workflow engine reads the change.
    #[track_caller]
    pub(super) fn human(&mut self, mut resource: Value, now: &str) {
        resource["meta"]["versionId"] = json!("1");
        let key = (
            id(&resource).to_owned(),
            resource_type(&resource).to_owned(),
        );
        if let Some(index) = self
            .resources
            .iter()
            .position(|old| id(old) == key.0 && resource_type(old) == key.1)
        {
            resource["meta"]["versionId"] = self.resources[index]["meta"]["versionId"].clone();
            self.resources[index] = resource.clone();
        } else {
            self.resources.push(resource.clone());
        }
        let decision = progress::react(&resource, &self.progress(at(now)));
        self.store(&decision);
        let again = progress::react(&resource, &self.progress(at(now)));
        assert_eq!(
            again.changes,
            Vec::new(),
            "a second reaction changes nothing"
        );
    }

    /// A person changes the Task with this code.
    #[track_caller]
    pub(super) fn edit(&mut self, code: &str, now: &str, change: impl FnOnce(&mut Value)) {
        let mut task = self.task(code).clone();
        change(&mut task);
        self.human(task, now);
    }

    pub(super) fn recount(&mut self, now: &str) {
        let decision = progress::recount(&self.progress(at(now)));
        self.store(&decision);
    }

    /// The clock moves on; timers fire in order.
    pub(super) fn clock(&mut self, now: &str) {
        let now = at(now);
        loop {
            let next = self
                .timers
                .iter()
                .filter(|(_, at)| **at <= now)
                .min_by_key(|(_, at)| **at)
                .map(|(task_id, at)| (task_id.clone(), *at));
            let Some((task_id, at)) = next else { return };
            self.timers.remove(&task_id);
            let decision = progress::on_timer(&task_id, &self.progress(at));
            self.store(&decision);
        }
    }

    pub(super) fn all(&self, wanted: &str) -> Vec<&Value> {
        self.resources
            .iter()
            .filter(|it| resource_type(it) == wanted)
            .collect()
    }

    /// The newest Task with this code.
    #[track_caller]
    pub(super) fn task(&self, code: &str) -> &Value {
        self.all("Task")
            .into_iter()
            .rev()
            .find(|task| task_code(task) == Some(code))
            .unwrap_or_else(|| panic!("no Task {code}"))
    }

    pub(super) fn last(&self, wanted: &str) -> &Value {
        self.all(wanted).pop().unwrap_or(&Value::Null)
    }

    /// One line per Task, in the order of creation: code, status, reason or business status, due.
    pub(super) fn tasks(&self) -> Vec<String> {
        self.all("Task").into_iter().map(line).collect()
    }

    #[track_caller]
    pub(super) fn check(&self, expected: &[&str]) {
        assert_eq!(self.tasks(), expected);
    }

    /// Status of CarePlan and EpisodeOfCare, newest instance.
    pub(super) fn pathway(&self) -> (&str, &str) {
        (
            status(self.last("CarePlan")),
            status(self.last("EpisodeOfCare")),
        )
    }

    pub(super) fn score(&self) -> i64 {
        let risk = self.last("RiskAssessment");
        assert_eq!(text(risk, "/extension/0/url"), Some(v::SCORE));
        risk.pointer("/extension/0/valueInteger")
            .and_then(Value::as_i64)
            .unwrap()
    }

    pub(super) fn output(&self, code: &str, output: &str) -> Option<&str> {
        output_code(self.task(code), output)
    }

    pub(super) fn business(&self, code: &str) -> Option<&str> {
        business_status(self.task(code))
    }
}

fn line(task: &Value) -> String {
    let why = code_in(task.get("statusReason"), v::CARE_TASK_STATUS)
        .or_else(|| business_status(task))
        .map(|why| format!(" ({why})"))
        .unwrap_or_default();
    format!(
        "{} {}{why} {}",
        task_code(task).unwrap_or("?"),
        status(task),
        text(task, "/restriction/period/end").unwrap_or("?")
    )
}

/// A Communication about the contact Task of the stage.
pub(super) fn communication(stage: &Stage, name: &str, outcome: &str, sent: &str) -> Value {
    json!({
        "resourceType": "Communication",
        "id": name,
        "status": outcome,
        "basedOn": [{ "reference": format!("Task/{}", id(stage.task("interactive-contact"))) }],
        "subject": { "reference": "Patient/p" },
        "recipient": [{ "reference": "Patient/p" }],
        "sent": sent,
    })
}

/// A finished visit at the practice that names the pathway.
pub(super) fn office_visit(stage: &Stage, day: &str, level: Option<&str>) -> Value {
    let episode = id(stage.last("EpisodeOfCare")).to_owned();
    let mut encounter = json!({
        "resourceType": "Encounter",
        "id": format!("visit-{day}"),
        "status": "finished",
        "class": { "code": "AMB" },
        "subject": { "reference": "Patient/p" },
        "episodeOfCare": [{ "reference": format!("EpisodeOfCare/{episode}") }],
        "period": { "start": format!("{day}T10:00:00-04:00") },
    });
    if let Some(level) = level {
        encounter["extension"] = json!([{ "url": v::MEDICAL_DECISION_MAKING, "valueCode": level }]);
    }
    encounter
}

/// Completes medication reconciliation as a client does.
pub(super) fn reconcile(stage: &mut Stage, day: &str) {
    let now = format!("{day}T12:00:00-04:00");
    stage.edit("medication-reconciliation", &now, |task| {
        task["status"] = json!("completed");
        task["output"] = json!([{
            "type": { "coding": [{
                "system": v::CARE_TASK_PARAMETER, "code": "medication-reconciliation-date"
            }] },
            "valueDate": day
        }]);
    });
}

pub(super) fn zone(name: &str) -> Tz {
    name.parse().unwrap()
}
