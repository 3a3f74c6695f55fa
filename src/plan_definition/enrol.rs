//! The resources of a new pathway instance, and how new facts move the ones of a running one.
//!
//! Both use the same functions: a resource is created, then every element that depends on the
//! visit is set; later facts set the same elements again, and what does not differ is not written.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use crate::plan_definition::condition::{Check, anchor_day, anchor_moment, check, last_due_day};
use crate::plan_definition::decide::Situation;
use crate::plan_definition::draft::Draft;
use crate::plan_definition::facts::{Moment, Policy, Reason, VisitFacts, fhir_instant};
use crate::plan_definition::instance::{Instance, PathwayKey};
use crate::plan_definition::lace::{Lace, Risk};
use crate::plan_definition::resource::{
    anchor_date, business_status, concept, due_instant, id, is_open, push, reference, remove, set,
    set_extension, set_parameter, status, text,
};
use crate::plan_definition::{
    Action, Condition, Dynamic, Plan, Programme, calendar, comorbidity, due, transition,
    vocabulary as v,
};

/// TRC-NIA: notice of an admission is in time on the day of admission and two days after.
const ADMISSION_NOTICE_DAYS: u32 = 2;
/// Terminology of `RiskAssessment.prediction.qualitativeRisk`.
const RISK_PROBABILITY: &str = "http://terminology.hl7.org/CodeSystem/risk-probability";
/// Terminology of the category that US Core asks of a CarePlan.
const US_CORE_CARE_PLAN_CATEGORY: &str = "http://hl7.org/fhir/us/core/CodeSystem/careplan-category";

/// When an action is done: from the moment of its anchor to its due instant.
struct Window {
    anchor: Moment,
    anchor_day: NaiveDate,
    due: DateTime<Utc>,
}

impl Window {
    fn of(action: &Action, situation: &Situation<'_>, is_high_risk: bool) -> Option<Self> {
        let anchor = anchor_moment(action.due.anchor, situation.visit)?;
        let anchor_day = anchor.day(situation.visit.facility_zone);
        let policy = situation.policy;
        let day = action.due.date(anchor_day, is_high_risk, &policy.calendar);
        Some(Self {
            anchor,
            anchor_day,
            due: due::end_of_day(day, policy.care_zone),
        })
    }
}

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

fn applies(action: &Action, plan: &Plan, situation: &Situation<'_>) -> bool {
    action
        .conditions
        .iter()
        .all(|applicability| check(applicability.condition, plan, situation) == Check::Met)
}

fn new_task(
    draft: &Draft,
    task_id: &str,
    action: &Action,
    situation: &Situation<'_>,
    key: &PathwayKey,
    care_plan_id: Option<&str>,
) -> Value {
    let now = draft.now_text();
    let mut task = json!({
        "resourceType": "Task",
        "id": task_id,
        "meta": { "profile": [v::TCM_TASK] },
        "instantiatesCanonical": action.canonical,
    });
    if let Some(care_plan_id) = care_plan_id {
        set(
            &mut task,
            "basedOn",
            json!([reference("CarePlan", care_plan_id)]),
        );
    }
    set(&mut task, "groupIdentifier", key.identifier());
    set(&mut task, "status", json!("requested"));
    set(&mut task, "intent", json!("order"));
    set(&mut task, "priority", json!("routine"));
    let code = json!({
        "coding": [{ "system": v::CARE_TASK, "code": action.code, "display": action.display }]
    });
    set(&mut task, "code", code);
    set(&mut task, "description", json!(action.description));
    if let Some(care_plan_id) = care_plan_id {
        set(&mut task, "focus", reference("CarePlan", care_plan_id));
    }
    set(
        &mut task,
        "for",
        reference("Patient", &situation.patient.id),
    );
    set(
        &mut task,
        "encounter",
        reference("Encounter", &situation.visit.encounter_id),
    );
    set(&mut task, "authoredOn", json!(now));
    set(&mut task, "lastModified", json!(now));
    if let Some(organization) = &situation.policy.organization {
        set(&mut task, "requester", json!({ "reference": organization }));
    }
    if let Some(performer) = &action.performer {
        set(&mut task, "performerType", json!([{ "text": performer }]));
    }
    if let Some(owner) = &situation.patient.care_manager {
        set(&mut task, "owner", json!({ "reference": owner }));
    }
    task
}

fn set_window(task: &mut Value, window: &Window, situation: &Situation<'_>) {
    let period = json!({
        "start": window.anchor.to_fhir(situation.visit.facility_zone),
        "end": fhir_instant(window.due, situation.policy.care_zone)
    });
    set(task, "restriction", json!({ "period": period }));
    let anchor_day = json!(window.anchor_day.to_string());
    set_parameter(task, "input", "anchor-date", ("valueDate", anchor_day));
}

fn set_dynamics(
    task: &mut Value,
    action: &Action,
    plan: &Plan,
    situation: &Situation<'_>,
    window: &Window,
) {
    for dynamic in &action.dynamics {
        match *dynamic {
            Dynamic::UrgentIf(condition) if check(condition, plan, situation) == Check::Met => {
                set(task, "priority", json!("urgent"));
            }
            Dynamic::CompletedIf(condition) if check(condition, plan, situation) == Check::Met => {
                complete_on_notice(task, situation, window);
            }
            Dynamic::UrgentIf(_) | Dynamic::CompletedIf(_) => {}
        }
    }
}

/// The notice is the work: its Task is completed from the start, with the time of receipt.
fn complete_on_notice(task: &mut Value, situation: &Situation<'_>, window: &Window) {
    let Some(received) = situation.visit.first_notified_at else {
        return;
    };
    set(task, "status", json!("completed"));
    if received > window.due {
        set(
            task,
            "businessStatus",
            concept(v::CARE_TASK_STATUS, "late-notification"),
        );
    }
    let received = json!(fhir_instant(received, situation.policy.care_zone));
    set_parameter(task, "output", "received-at", ("valueDateTime", received));
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

fn activity(task_id: &str) -> Value {
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
struct Days {
    first: NaiveDate,
    last: NaiveDate,
}

impl Days {
    fn of(plan: &Plan, situation: &Situation<'_>) -> Option<Self> {
        let first = anchor_day(plan.trigger, situation.visit)?;
        Some(Self {
            first,
            last: last_due_day(plan, situation)?,
        })
    }
}

fn set_episode(episode: &mut Value, days: &Days, situation: &Situation<'_>) {
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

fn set_score(risk: &mut Value, lace: &Lace) {
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

fn set_care_plan(care_plan: &mut Value, days: &Days) {
    let period = json!({ "start": days.first.to_string(), "end": days.last.to_string() });
    set(care_plan, "period", period);
}

/// Moves a running instance to the facts as they are now.
pub(crate) fn recompute(
    draft: &mut Draft,
    plan: &Plan,
    instance: &Instance<'_>,
    situation: &Situation<'_>,
    reason: Reason,
    ids: &mut dyn FnMut() -> String,
) {
    let Some(days) = Days::of(plan, situation) else {
        return;
    };
    let lace = Lace::of(situation.visit, situation.patient);
    let risk_before = instance
        .risk
        .and_then(|risk| text(risk, "/prediction/0/qualitativeRisk/coding/0/code"))
        .map(str::to_owned);
    let mut changed = false;
    if let Some(risk) = instance.risk {
        changed |= draft.edit(risk, reason, |risk| correct_score(risk, &lace));
    }
    if let Some(episode) = instance.episode {
        changed |= draft.edit(episode, reason, |episode| {
            set_episode(episode, &days, situation);
        });
    }
    if let Some(goal) = instance.goal {
        changed |= draft.edit(goal, reason, |goal| correct_goal(goal, &days));
    }
    if let Some(care_plan) = instance.care_plan {
        changed |= draft.edit(care_plan, reason, |care_plan| {
            set_care_plan(care_plan, &days);
        });
    }
    let moved = Moved {
        plan,
        situation,
        lace: &lace,
        risk_before: risk_before.as_deref(),
        reason,
    };
    for action in &plan.actions {
        changed |= match instance.task(&action.code) {
            Some(task) => moved.task(draft, action, task),
            None if asks_for_setting(action) && applies(action, plan, situation) => {
                moved.add_task(draft, action, instance, ids)
            }
            None => false,
        };
    }
    if changed {
        draft.remark(&plan.url, reason);
    }
}

/// A corrected assessment says so, `final` only if nothing changed.
fn correct_score(risk: &mut Value, lace: &Lace) {
    let before = risk.clone();
    set_score(risk, lace);
    if *risk != before {
        set(risk, "status", json!("corrected"));
    }
}

/// People may have added targets; only the dates of our own are moved.
fn correct_goal(goal: &mut Value, days: &Days) {
    set(goal, "startDate", json!(days.first.to_string()));
    if let Some(target) = goal.pointer_mut("/target/0") {
        set(target, "dueDate", json!(days.last.to_string()));
    }
}

/// The step exists only while the setting is in doubt.
fn asks_for_setting(action: &Action) -> bool {
    action
        .conditions
        .iter()
        .any(|applicability| applicability.condition == Condition::SettingUnconfirmed)
}

/// What new facts do to the Tasks of an instance.
struct Moved<'a> {
    plan: &'a Plan,
    situation: &'a Situation<'a>,
    lace: &'a Lace,
    risk_before: Option<&'a str>,
    reason: Reason,
}

impl Moved<'_> {
    /// A Task that is done stays as it is; an open one gets the new window.
    fn task(&self, draft: &mut Draft, action: &Action, task: &Value) -> bool {
        if !is_open(task) {
            return false;
        }
        if asks_for_setting(action) && !applies(action, self.plan, self.situation) {
            transition::cancel_task(draft, task, Reason::Superseded);
            return true;
        }
        let Some(window) = self.window(action, task) else {
            return false;
        };
        let now = self.situation.now;
        let changed = draft.edit(task, self.reason, |task| {
            set_window(task, &window, self.situation);
            if now <= window.due
                && matches!(business_status(task), Some("overdue" | "late-notification"))
            {
                remove(task, "businessStatus");
            }
            self.set_priority(task, action);
        });
        if changed {
            draft.timer(id(task), window.due);
        }
        changed
    }

    /// The window of an existing Task. A risk that turns out high too late to act on does not make
    /// a Task overdue that was in time.
    fn window(&self, action: &Action, task: &Value) -> Option<Window> {
        let is_high_risk = self.lace.risk() == Risk::High;
        let window = Window::of(action, self.situation, is_high_risk)?;
        if window.due < self.situation.now && self.has_usual_window(action, task) {
            return Window::of(action, self.situation, false);
        }
        Some(window)
    }

    /// The Task is due as for a patient who is not at high risk.
    fn has_usual_window(&self, action: &Action, task: &Value) -> bool {
        let policy = self.situation.policy;
        let usual = anchor_date(task).map(|anchor| {
            let day = action.due.date(anchor, false, &policy.calendar);
            due::end_of_day(day, policy.care_zone)
        });
        usual.is_some() && usual == due_instant(task)
    }

    /// A changed risk changes the priority; otherwise it belongs to the care manager.
    fn set_priority(&self, task: &mut Value, action: &Action) {
        let is_risk_unchanged = self.risk_before == Some(self.lace.risk().code());
        let urgent_if = action.dynamics.iter().find_map(|dynamic| match *dynamic {
            Dynamic::UrgentIf(condition) => Some(condition),
            Dynamic::CompletedIf(_) => None,
        });
        let Some(condition) = urgent_if.filter(|_| !is_risk_unchanged) else {
            return;
        };
        let is_urgent = check(condition, self.plan, self.situation) == Check::Met;
        set(
            task,
            "priority",
            json!(if is_urgent { "urgent" } else { "routine" }),
        );
    }

    fn add_task(
        &self,
        draft: &mut Draft,
        action: &Action,
        instance: &Instance<'_>,
        ids: &mut dyn FnMut() -> String,
    ) -> bool {
        let is_high_risk = self.lace.risk() == Risk::High;
        let Some(window) = Window::of(action, self.situation, is_high_risk) else {
            return false;
        };
        let task_id = ids();
        let care_plan_id = instance.care_plan.map(id);
        let mut task = new_task(
            draft,
            &task_id,
            action,
            self.situation,
            &instance.key,
            care_plan_id,
        );
        set_window(&mut task, &window, self.situation);
        if let Some(care_plan) = instance.care_plan {
            draft.edit(care_plan, self.reason, |care_plan| {
                push(care_plan, "activity", activity(&task_id));
            });
        }
        draft.create(task, self.reason);
        draft.timer(&task_id, window.due);
        true
    }
}
