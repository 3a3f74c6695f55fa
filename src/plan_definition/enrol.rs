//! The resources of a new pathway instance.
//!
//! A resource is created, then the elements that depend on the visit are set; later facts set the
//! same elements again (`recompute`), by the same functions.

use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::plan_definition::condition::{anchor_day, last_due_day};
use crate::plan_definition::decide::Situation;
use crate::plan_definition::draft::Draft;
use crate::plan_definition::facts::{Policy, Reason, VisitFacts, fhir_instant};
use crate::plan_definition::instance::PathwayKey;
use crate::plan_definition::lace::{Lace, Risk};
use crate::plan_definition::resource::{concept, reference, set, set_extension, status};
use crate::plan_definition::work::{Window, applies, new_task, set_dynamics, set_window};
use crate::plan_definition::{Plan, Programme, calendar, comorbidity, due, vocabulary as v};

/// TRC-NIA: notice of an admission is in time on the day of admission and two days after.
const ADMISSION_NOTICE_DAYS: u32 = 2;
/// Terminology of `RiskAssessment.prediction.qualitativeRisk`.
const RISK_PROBABILITY: &str = "http://terminology.hl7.org/CodeSystem/risk-probability";
/// Terminology of the category that US Core asks of a CarePlan.
const US_CORE_CARE_PLAN_CATEGORY: &str = "http://hl7.org/fhir/us/core/CodeSystem/careplan-category";

/// Starts a plan for the visit.
pub(crate) fn start(
    draft: &mut Draft,
    plan: &Plan,
    situation: &Situation<'_>,
    number: u32,
    ids: &mut dyn FnMut() -> String,
) {
    let key = PathwayKey {
        plan: plan.name.clone(),
        encounter_id: situation.visit.encounter_id.clone(),
        number,
    };
    let lace = Lace::of(situation.visit, situation.patient);
    let is_high_risk = lace.risk() == Risk::High;
    let care_plan_id = plan.programme.as_ref().map(|_| ids());
    let mut task_ids = Vec::new();
    let mut tasks = Vec::new();
    for action in plan
        .actions
        .iter()
        .filter(|action| applies(action, plan, situation))
    {
        let Some(window) = Window::of(action, situation, is_high_risk) else {
            continue;
        };
        let task_id = ids();
        let mut task = new_task(
            draft,
            &task_id,
            action,
            situation,
            &key,
            care_plan_id.as_deref(),
        );
        set_window(&mut task, &window, situation);
        set_dynamics(&mut task, action, plan, situation, &window);
        if status(&task) != "completed" {
            if window.due < situation.now {
                let late = concept(v::CARE_TASK_STATUS, "late-notification");
                set(&mut task, "businessStatus", late);
            }
            draft.timer(&task_id, window.due);
        }
        task_ids.push(task_id);
        tasks.push(task);
    }
    if let (Some(programme), Some(care_plan_id)) = (&plan.programme, care_plan_id) {
        let enrolment = Enrolment {
            plan,
            programme,
            key: &key,
            lace: &lace,
        };
        enrolment.create(draft, situation, &care_plan_id, &task_ids, ids);
    }
    for task in tasks {
        draft.create(task, Reason::Started);
    }
    draft.remark(&plan.url, Reason::Started);
}

/// What the enrolling resources of one instance have in common.
struct Enrolment<'a> {
    plan: &'a Plan,
    programme: &'a Programme,
    key: &'a PathwayKey,
    lace: &'a Lace,
}

impl Enrolment<'_> {
    fn create(
        &self,
        draft: &mut Draft,
        situation: &Situation<'_>,
        care_plan_id: &str,
        task_ids: &[String],
        ids: &mut dyn FnMut() -> String,
    ) {
        let (episode_id, risk_id, goal_id) = (ids(), ids(), ids());
        let Some(days) = Days::of(self.plan, situation) else {
            return;
        };
        let mut episode = self.episode(&episode_id, situation);
        set_episode(&mut episode, &days, situation);
        let mut risk = self.risk(draft, &risk_id, situation);
        set_score(&mut risk, self.lace);
        let mut goal = self.goal(&goal_id, situation);
        set_goal(&mut goal, &days);
        let mut care_plan = self.care_plan(draft, care_plan_id, situation);
        set_care_plan(&mut care_plan, &days);
        let supporting = json!([
            reference("RiskAssessment", &risk_id),
            reference("EpisodeOfCare", &episode_id)
        ]);
        set(&mut care_plan, "supportingInfo", supporting);
        set(&mut care_plan, "goal", json!([reference("Goal", &goal_id)]));
        let activities: Vec<Value> = task_ids.iter().map(|task_id| activity(task_id)).collect();
        set(&mut care_plan, "activity", json!(activities));
        for resource in [episode, risk, goal, care_plan] {
            draft.create(resource, Reason::Started);
        }
    }

    fn episode(&self, episode_id: &str, situation: &Situation<'_>) -> Value {
        let mut episode = json!({
            "resourceType": "EpisodeOfCare",
            "id": episode_id,
            "meta": { "profile": [v::TCM_EPISODE_OF_CARE] },
            "identifier": [self.key.identifier()],
            "status": "active",
            "type": [self.programme_concept()],
            "patient": reference("Patient", &situation.patient.id),
        });
        if let Some(organization) = &situation.policy.organization {
            set(
                &mut episode,
                "managingOrganization",
                json!({ "reference": organization }),
            );
        }
        match &situation.patient.care_manager {
            Some(team) if is_care_team(team) => {
                set(&mut episode, "team", json!([{ "reference": team }]));
            }
            Some(person) => set(&mut episode, "careManager", json!({ "reference": person })),
            None => {}
        }
        episode
    }

    fn programme_concept(&self) -> Value {
        json!({ "coding": [{
            "system": v::PATHWAY_TYPE,
            "code": self.programme.code,
            "display": self.programme.display
        }] })
    }

    fn risk(&self, draft: &Draft, risk_id: &str, situation: &Situation<'_>) -> Value {
        let mut basis = vec![reference("Encounter", &situation.visit.encounter_id)];
        basis.extend(counted_conditions(situation));
        json!({
            "resourceType": "RiskAssessment",
            "id": risk_id,
            "identifier": [self.key.identifier()],
            "status": "final",
            "method": concept(v::RISK_METHOD, v::LACE_METHOD),
            "subject": reference("Patient", &situation.patient.id),
            "encounter": reference("Encounter", &situation.visit.encounter_id),
            "occurrenceDateTime": draft.now_text(),
            "basis": basis,
        })
    }

    fn goal(&self, goal_id: &str, situation: &Situation<'_>) -> Value {
        json!({
            "resourceType": "Goal",
            "id": goal_id,
            "meta": { "profile": [v::TCM_GOAL] },
            "identifier": [self.key.identifier()],
            "lifecycleStatus": "active",
            "description": { "text": self.programme.goal },
            "subject": reference("Patient", &situation.patient.id),
        })
    }

    fn care_plan(&self, draft: &Draft, care_plan_id: &str, situation: &Situation<'_>) -> Value {
        let mut care_plan = json!({
            "resourceType": "CarePlan",
            "id": care_plan_id,
            "meta": { "profile": [v::TCM_CARE_PLAN] },
            "identifier": [self.key.identifier()],
            "instantiatesCanonical": [self.plan.canonical],
            "status": "active",
            "intent": "plan",
            "category": [
                concept(US_CORE_CARE_PLAN_CATEGORY, "assess-plan"), self.programme_concept()
            ],
            "title": self.plan.title,
            "subject": reference("Patient", &situation.patient.id),
            "encounter": reference("Encounter", &situation.visit.encounter_id),
            "created": draft.now_text(),
        });
        if let Some(organization) = &situation.policy.organization {
            set(
                &mut care_plan,
                "author",
                json!({ "reference": organization }),
            );
        }
        if let Some(team) = situation
            .patient
            .care_manager
            .as_deref()
            .filter(|it| is_care_team(it))
        {
            set(&mut care_plan, "careTeam", json!([{ "reference": team }]));
        }
        let addresses: Vec<Value> = counted_conditions(situation).collect();
        if !addresses.is_empty() {
            set(&mut care_plan, "addresses", json!(addresses));
        }
        care_plan
    }
}

/// `CarePlan.activity` for a Task.
pub(crate) fn activity(task_id: &str) -> Value {
    json!({ "reference": reference("Task", task_id) })
}

fn is_care_team(literal: &str) -> bool {
    literal.starts_with("CareTeam/")
}

/// The Conditions that the score counts.
fn counted_conditions<'a>(situation: &Situation<'a>) -> impl Iterator<Item = Value> + use<'a> {
    situation.patient.conditions.iter().filter_map(|condition| {
        let code = condition.icd10.as_deref()?;
        let is_counted = !comorbidity::lace_groups([code]).is_empty();
        let condition_id = condition.id.as_deref().filter(|_| is_counted)?;
        Some(reference("Condition", condition_id))
    })
}

/// First and last day of an instance.
pub(crate) struct Days {
    pub(crate) first: NaiveDate,
    pub(crate) last: NaiveDate,
}

impl Days {
    pub(crate) fn of(plan: &Plan, situation: &Situation<'_>) -> Option<Self> {
        let first = anchor_day(plan.trigger, situation.visit)?;
        Some(Self {
            first,
            last: last_due_day(plan, situation)?,
        })
    }
}

/// Sets what the visit says about the EpisodeOfCare.
pub(crate) fn set_episode(episode: &mut Value, days: &Days, situation: &Situation<'_>) {
    // An end, once there, stays.
    let mut period = episode.get("period").cloned().unwrap_or_else(|| json!({}));
    set(&mut period, "start", json!(days.first.to_string()));
    set(episode, "period", period);
    if let Some(notification) = admission_notification(situation.visit, situation.policy) {
        set_extension(episode, notification);
    }
}

/// Evidence for TRC-NIA: when we learnt of the admission, and whether that was in time.
fn admission_notification(visit: &VisitFacts, policy: &Policy) -> Option<Value> {
    let received = visit.first_notified_at?;
    let last = calendar::add_calendar_days(visit.start_day()?, ADMISSION_NOTICE_DAYS);
    let due = due::end_of_day(last, policy.care_zone);
    Some(json!({ "url": v::ADMISSION_NOTIFICATION, "extension": [
        { "url": "received-at", "valueDateTime": fhir_instant(received, policy.care_zone) },
        { "url": "due", "valueDateTime": fhir_instant(due, policy.care_zone) },
        { "url": "timely", "valueBoolean": received <= due }
    ] }))
}

/// Sets the score of the RiskAssessment.
pub(crate) fn set_score(risk: &mut Value, lace: &Lace) {
    set_extension(
        risk,
        json!({ "url": v::SCORE, "valueInteger": lace.score() }),
    );
    let prediction = json!([{
        "outcome": { "text": "Unplanned return to hospital within 30 days after discharge" },
        "qualitativeRisk": concept(RISK_PROBABILITY, lace.risk().code())
    }]);
    set(risk, "prediction", prediction);
    set(risk, "note", json!([{ "text": lace.note() }]));
}

fn set_goal(goal: &mut Value, days: &Days) {
    set(goal, "startDate", json!(days.first.to_string()));
    let target = json!([{ "dueDate": days.last.to_string() }]);
    set(goal, "target", target);
}

/// Sets the period of the CarePlan.
pub(crate) fn set_care_plan(care_plan: &mut Value, days: &Days) {
    let period = json!({ "start": days.first.to_string(), "end": days.last.to_string() });
    set(care_plan, "period", period);
}
