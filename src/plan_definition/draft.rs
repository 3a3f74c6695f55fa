//! The changes of one decision while it is being made.
//!
//! Several rules may touch the same resource; each sees what the one before it did, and what ends
//! up as it was is not written.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::plan_definition::decide::{Decision, Put, Remark, Timer};
use crate::plan_definition::due;
use crate::plan_definition::facts::{Reason, fhir_instant};
use crate::plan_definition::resource::{id, resource_type, set, text};

pub(crate) struct Draft {
    /// The time of the decision.
    pub(crate) now: DateTime<Utc>,
    /// The zone in which we write times.
    pub(crate) zone: Tz,
    decision: Decision,
}

impl Draft {
    pub(crate) fn new(now: DateTime<Utc>, zone: Tz) -> Self {
        Self {
            now,
            zone,
            decision: Decision::default(),
        }
    }

    /// Now, as FHIR writes it.
    pub(crate) fn now_text(&self) -> String {
        fhir_instant(self.now, self.zone)
    }

    /// Today in our zone, as FHIR writes it.
    pub(crate) fn today(&self) -> String {
        self.now.with_timezone(&self.zone).date_naive().to_string()
    }

    pub(crate) fn create(&mut self, resource: Value, reason: Reason) {
        self.decision.changes.push(Put {
            resource,
            expected_version: None,
            reason,
        });
    }

    /// The resource after the changes made so far.
    pub(crate) fn current<'a>(&'a self, original: &'a Value) -> &'a Value {
        self.decision
            .changes
            .iter()
            .find(|put| is_same(&put.resource, original))
            .map_or(original, |put| &put.resource)
    }

    /// Applies `change`; says whether it changed anything.
    pub(crate) fn edit(
        &mut self,
        original: &Value,
        reason: Reason,
        change: impl FnOnce(&mut Value),
    ) -> bool {
        let current = self.current(original);
        let mut resource = current.clone();
        change(&mut resource);
        if resource == *current {
            return false;
        }
        if resource_type(&resource) == "Task" {
            set(&mut resource, "lastModified", json!(self.now_text()));
        }
        match self
            .decision
            .changes
            .iter_mut()
            .find(|put| is_same(&put.resource, original))
        {
            Some(put) => put.resource = resource,
            None => self.decision.changes.push(Put {
                expected_version: text(original, "/meta/versionId").map(str::to_owned),
                resource,
                reason,
            }),
        }
        true
    }

    /// Wakes up for a Task when its due instant has passed, unless it already has.
    pub(crate) fn timer(&mut self, task_id: &str, due: DateTime<Utc>) {
        if due >= self.now {
            self.wake(task_id, due);
        }
    }

    /// Wakes up for a Task when its due instant has passed; at once if it already has.
    pub(crate) fn wake(&mut self, task_id: &str, due: DateTime<Utc>) {
        let at = due::passed_at(due);
        self.decision.timers.push(Timer {
            task_id: task_id.to_owned(),
            at,
        });
    }

    pub(crate) fn remark(&mut self, plan: &str, reason: Reason) {
        let remark = Remark {
            plan: plan.to_owned(),
            reason,
        };
        if !self.decision.reasons.contains(&remark) {
            self.decision.reasons.push(remark);
        }
    }

    pub(crate) fn finish(self) -> Decision {
        self.decision
    }
}

fn is_same(left: &Value, right: &Value) -> bool {
    id(left) == id(right) && resource_type(left) == resource_type(right)
}
