//! Pathway instances among the resources of a patient.
//!
//! An instance is one run of a plan for one index Encounter. Its resources carry its key as an
//! identifier, its Tasks as `groupIdentifier`.

use std::fmt;

use serde_json::{Value, json};

use crate::plan_definition::resource::{
    code_in, each, extension, is_open, resource_type, status, task_code, text,
};
use crate::plan_definition::vocabulary as v;

/// Reasons after which the same visit may start the plan again.
const RESTARTABLE: &[&str] = &[
    "discharge-cancelled",
    "admission-cancelled",
    "not-community",
    "wrong-patient",
];

/// The key of an instance: `{plan}/{Encounter id}/{number}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathwayKey {
    /// Name of the plan.
    pub plan: String,
    /// Logical id of the index Encounter.
    pub encounter_id: String,
    /// 1 for the first, 2 after a discharge was cancelled and repeated.
    pub number: u32,
}

impl PathwayKey {
    /// Reads an identifier's value.
    pub fn parse(value: &str) -> Option<Self> {
        let (plan, rest) = value.split_once('/')?;
        let (encounter_id, number) = rest.rsplit_once('/')?;
        Some(Self {
            plan: plan.to_owned(),
            encounter_id: encounter_id.to_owned(),
            number: number.parse().ok()?,
        })
    }

    /// The key that a resource carries.
    pub fn of(resource: &Value) -> Option<Self> {
        each(resource, "identifier")
            .chain(resource.get("groupIdentifier"))
            .find(|identifier| text(identifier, "/system") == Some(v::PATHWAY_IDENTIFIER))
            .and_then(|identifier| text(identifier, "/value"))
            .and_then(Self::parse)
    }

    /// The FHIR Identifier.
    pub(crate) fn identifier(&self) -> Value {
        json!({ "system": v::PATHWAY_IDENTIFIER, "value": self.to_string() })
    }
}

impl fmt::Display for PathwayKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}/{}/{}",
            self.plan, self.encounter_id, self.number
        )
    }
}

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It runs.
    Live,
    /// It waits.
    Held,
    /// It is over; the same visit does not start it again.
    Ended,
    /// It was taken back by the hospital; the same visit may start it again.
    Withdrawn,
}

/// The resources of one instance.
#[derive(Debug)]
pub(crate) struct Instance<'a> {
    pub(crate) key: PathwayKey,
    pub(crate) episode: Option<&'a Value>,
    pub(crate) care_plan: Option<&'a Value>,
    pub(crate) goal: Option<&'a Value>,
    pub(crate) risk: Option<&'a Value>,
    pub(crate) tasks: Vec<&'a Value>,
}

impl<'a> Instance<'a> {
    /// All instances, in the order in which their first resource is given.
    pub(crate) fn all(existing: &'a [Value]) -> Vec<Self> {
        let mut instances: Vec<Self> = Vec::new();
        for resource in existing {
            let Some(key) = PathwayKey::of(resource) else {
                continue;
            };
            if let Some(instance) = instances.iter_mut().find(|instance| instance.key == key) {
                instance.add(resource);
            } else {
                let mut instance = Self::empty(key);
                instance.add(resource);
                instances.push(instance);
            }
        }
        instances
    }

    fn empty(key: PathwayKey) -> Self {
        Self {
            key,
            episode: None,
            care_plan: None,
            goal: None,
            risk: None,
            tasks: Vec::new(),
        }
    }

    fn add(&mut self, resource: &'a Value) {
        match resource_type(resource) {
            "EpisodeOfCare" => self.episode = Some(resource),
            "CarePlan" => self.care_plan = Some(resource),
            "Goal" => self.goal = Some(resource),
            "RiskAssessment" => self.risk = Some(resource),
            "Task" => self.tasks.push(resource),
            _ => {}
        }
    }

    /// An instance of a plan with a programme stands where its EpisodeOfCare stands, another where
    /// its Tasks stand.
    pub(crate) fn standing(&self) -> Standing {
        let Some(episode) = self.episode else {
            return self.standing_of_tasks();
        };
        match status(episode) {
            "onhold" => Standing::Held,
            "cancelled" if pathway_reason(episode).is_some_and(is_restartable) => {
                Standing::Withdrawn
            }
            "cancelled" | "finished" | "entered-in-error" => Standing::Ended,
            _ => Standing::Live,
        }
    }

    fn standing_of_tasks(&self) -> Standing {
        if self.tasks.iter().any(|task| is_open(task)) {
            Standing::Live
        } else if self
            .tasks
            .iter()
            .any(|task| is_restartable(task_reason(task)))
        {
            Standing::Withdrawn
        } else {
            Standing::Ended
        }
    }

    /// It runs or waits.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.standing(), Standing::Live | Standing::Held)
    }

    /// The day it began, as written.
    pub(crate) fn start_day(&self) -> Option<&'a str> {
        self.episode
            .and_then(|episode| text(episode, "/period/start"))
    }

    /// Its Task with this code; the newest if there are several.
    pub(crate) fn task(&self, code: &str) -> Option<&'a Value> {
        self.tasks
            .iter()
            .rev()
            .copied()
            .find(|task| task_code(task) == Some(code))
    }
}

/// `Task.statusReason` in our system, or nothing.
fn task_reason(task: &Value) -> &str {
    code_in(task.get("statusReason"), v::CARE_TASK_STATUS).unwrap_or_default()
}

fn is_restartable(code: &str) -> bool {
    RESTARTABLE.contains(&code)
}

/// The reason an EpisodeOfCare or CarePlan has its status.
fn pathway_reason(resource: &Value) -> Option<&str> {
    let reason = extension(resource, v::PATHWAY_STATUS_REASON)?;
    text(extension(reason, "code")?, "/valueCoding/code")
}

/// The Encounter that caused the status, as a Reference.
pub(crate) fn pathway_reason_encounter(resource: &Value) -> Option<&Value> {
    let reason = extension(resource, v::PATHWAY_STATUS_REASON)?;
    extension(reason, "encounter")?.get("valueReference")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let key = PathwayKey::parse("tcm-30/0198-a.b/2").unwrap();
        assert_eq!(
            (key.plan.as_str(), key.encounter_id.as_str(), key.number),
            ("tcm-30", "0198-a.b", 2)
        );
        assert_eq!(key.to_string(), "tcm-30/0198-a.b/2");
        assert_eq!(PathwayKey::parse("tcm-30/e"), None);
        assert_eq!(PathwayKey::parse("tcm-30/e/x"), None);
    }
}
