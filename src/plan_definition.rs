//! Care pathways as data and as pure functions.
//!
//! A pathway is a FHIR R4 [PlanDefinition](https://hl7.org/fhir/R4/plandefinition.html) with its
//! `ActivityDefinition`s. This file reads them into a [`Plan`]; [`decide`](mod@decide) says what a
//! visit means for them, [`progress`] what human work and the clock mean. Nothing here knows a
//! store, a clock or the network.
//!
//! Conditions keep their FHIRPath text for other systems; here each is evaluated by its name
//! ([`Condition`]) from typed facts.

pub mod calendar;
pub mod comorbidity;
mod condition;
pub mod decide;
mod draft;
pub mod due;
mod enrol;
pub mod facts;
pub mod instance;
pub mod lace;
pub mod progress;
mod readmission;
mod recompute;
mod resource;
mod transition;
pub mod vocabulary;
mod work;

use serde_json::Value;

use crate::plan_definition::due::{Anchor, DueRule, Unit};

/// Why a PlanDefinition cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A needed element is absent.
    #[error("{element}: required")]
    Missing {
        /// FHIRPath of the element.
        element: String,
    },
    /// An element says something that is not supported.
    #[error("{element}: '{value}' is not supported, use one of: {allowed}")]
    Unsupported {
        /// FHIRPath of the element.
        element: String,
        /// What it says.
        value: String,
        /// What it could say.
        allowed: String,
    },
    /// An action names an ActivityDefinition that was not given.
    #[error("{element}: '{canonical}' is not among the ActivityDefinitions")]
    UnknownActivity {
        /// FHIRPath of the element.
        element: String,
        /// The canonical.
        canonical: String,
    },
}

/// The event of a visit that a plan waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// `encounter-start`.
    EncounterStart,
    /// `encounter-end`.
    EncounterEnd,
}

/// A named applicability condition; its name is `expression.name` in the PlanDefinition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// The visit is an inpatient or observation stay.
    InpatientOrObservation,
    /// The visit is an emergency visit and became nothing else.
    EmergencyVisit,
    /// It runs.
    VisitInProgress,
    /// It ended, and when is known.
    VisitFinished,
    /// It ended at home, or may have.
    DischargedToCommunity,
    /// The patient lives.
    Alive,
    /// The patient is old enough.
    Adult,
    /// The patient is on the panel at the anchor date.
    OnPanel,
    /// The last action of the plan is not yet past due.
    PeriodNotOver,
    /// No inpatient or observation stay begins around the end of the visit or within the period.
    NotAdmitted,
    /// The patient has enough of the condition groups that make an emergency visit one to follow up.
    MultipleChronicConditions,
    /// No recent screening for social needs.
    SocialNeedsNotScreened,
    /// The disposition does not say for certain that the patient went home.
    SettingUnconfirmed,
    /// LACE 10 or more.
    HighRisk,
    /// A message told us of the admission.
    AdmissionNotified,
}

/// Names of the conditions.
const CONDITIONS: &[(&str, Condition)] = &[
    (
        "inpatient-or-observation",
        Condition::InpatientOrObservation,
    ),
    ("emergency-visit", Condition::EmergencyVisit),
    ("visit-in-progress", Condition::VisitInProgress),
    ("visit-finished", Condition::VisitFinished),
    ("discharged-to-community", Condition::DischargedToCommunity),
    ("alive", Condition::Alive),
    ("adult", Condition::Adult),
    ("on-panel", Condition::OnPanel),
    ("period-not-over", Condition::PeriodNotOver),
    ("not-admitted", Condition::NotAdmitted),
    (
        "multiple-chronic-conditions",
        Condition::MultipleChronicConditions,
    ),
    (
        "social-needs-not-screened",
        Condition::SocialNeedsNotScreened,
    ),
    ("setting-unconfirmed", Condition::SettingUnconfirmed),
    ("high-risk", Condition::HighRisk),
    ("admission-notified", Condition::AdmissionNotified),
];

/// A condition with the text that other systems read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applicability {
    /// What we evaluate.
    pub condition: Condition,
    /// The FHIRPath of the PlanDefinition.
    pub expression: String,
}

/// An element of the Task whose value depends on a condition (`action.dynamicValue`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dynamic {
    /// `Task.priority` is urgent if the condition holds.
    UrgentIf(Condition),
    /// `Task.status` is completed from the start if the condition holds.
    CompletedIf(Condition),
}

/// One step of a plan: a Task to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// `Task.code` in [`vocabulary::CARE_TASK`].
    pub code: String,
    /// Its display.
    pub display: String,
    /// What to do, for people.
    pub description: String,
    /// `Task.instantiatesCanonical`.
    pub canonical: String,
    /// Who does it, in words.
    pub performer: Option<String>,
    /// When it is due.
    pub due: DueRule,
    /// The Task is made only if these hold.
    pub conditions: Vec<Applicability>,
    /// Values that depend on the patient.
    pub dynamics: Vec<Dynamic>,
}

/// A PlanDefinition, ready to decide by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Canonical without version: two versions of a plan are the same pathway.
    pub url: String,
    /// `CarePlan.instantiatesCanonical`: with version.
    pub canonical: String,
    /// Last part of the url: first part of the pathway identifier.
    pub name: String,
    /// `CarePlan.title`.
    pub title: String,
    /// `EpisodeOfCare.type`. A plan with a programme enrols: it makes EpisodeOfCare, CarePlan, Goal
    /// and RiskAssessment; one without makes Tasks only.
    pub programme: Option<Programme>,
    /// What it waits for.
    pub trigger: Trigger,
    /// When it applies.
    pub conditions: Vec<Applicability>,
    /// Its steps.
    pub actions: Vec<Action>,
}

/// What a plan enrols the patient in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programme {
    /// Code in [`vocabulary::PATHWAY_TYPE`].
    pub code: String,
    /// Its display.
    pub display: String,
    /// The goal, in words.
    pub goal: String,
}

impl Plan {
    /// Reads a PlanDefinition; `activities` holds at least the `ActivityDefinition`s it names.
    pub fn read(plan: &Value, activities: &[Value]) -> Result<Self, PlanError> {
        let at = Element {
            value: plan,
            path: "PlanDefinition".to_owned(),
        };
        let url = at.text("url")?;
        let version = at.text("version")?;
        let root = at.first("action")?;
        let steps = root.each("action");
        if steps.is_empty() {
            return Err(PlanError::Missing {
                element: format!("{}.action", root.path),
            });
        }
        Ok(Self {
            canonical: format!("{url}|{version}"),
            name: url.rsplit('/').next().unwrap_or(url).to_owned(),
            url: url.to_owned(),
            title: at.text("title")?.to_owned(),
            programme: programme(&at)?,
            trigger: trigger(&root.first("trigger")?)?,
            conditions: conditions(&root)?,
            actions: steps
                .iter()
                .map(|step| action(step, activities))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The plans that ship with Baton, from `fhir-profiles/baton`.
    pub fn shipped() -> Result<Vec<Self>, PlanError> {
        let activities: Vec<Value> = SHIPPED_ACTIVITIES
            .iter()
            .map(|text| shipped(text))
            .collect();
        SHIPPED_PLANS
            .iter()
            .map(|text| Self::read(&shipped(text), &activities))
            .collect()
    }
}

fn shipped(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

const SHIPPED_PLANS: &[&str] = &[
    include_str!("../fhir-profiles/baton/PlanDefinition-tcm-30.json"),
    include_str!("../fhir-profiles/baton/PlanDefinition-admission-watch.json"),
    include_str!("../fhir-profiles/baton/PlanDefinition-ed-follow-up.json"),
];

const SHIPPED_ACTIVITIES: &[&str] = &[
    include_str!("../fhir-profiles/baton/ActivityDefinition-discharge-info.json"),
    include_str!("../fhir-profiles/baton/ActivityDefinition-interactive-contact.json"),
    include_str!("../fhir-profiles/baton/ActivityDefinition-medication-reconciliation.json"),
    include_str!("../fhir-profiles/baton/ActivityDefinition-face-to-face.json"),
    include_str!("../fhir-profiles/baton/ActivityDefinition-sdoh-screening.json"),
    include_str!("../fhir-profiles/baton/ActivityDefinition-tcm-closeout.json"),
    include_str!("../fhir-profiles/baton/ActivityDefinition-confirm-setting.json"),
    include_str!("../fhir-profiles/baton/ActivityDefinition-admit-notice.json"),
    include_str!("../fhir-profiles/baton/ActivityDefinition-inpatient-coordination.json"),
    include_str!("../fhir-profiles/baton/ActivityDefinition-ed-follow-up.json"),
];

/// A JSON value and where it stands, for errors.
struct Element<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Element<'a> {
    fn child(&self, name: &str) -> Option<Element<'a>> {
        let value = self.value.get(name)?;
        Some(Element {
            value,
            path: format!("{}.{name}", self.path),
        })
    }

    fn required(&self, name: &str) -> Result<Element<'a>, PlanError> {
        self.child(name).ok_or_else(|| PlanError::Missing {
            element: format!("{}.{name}", self.path),
        })
    }

    fn text(&self, name: &str) -> Result<&'a str, PlanError> {
        self.value
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| PlanError::Missing {
                element: format!("{}.{name}", self.path),
            })
    }

    fn each(&self, name: &str) -> Vec<Element<'a>> {
        let entries = self.value.get(name).and_then(Value::as_array);
        entries
            .into_iter()
            .flatten()
            .enumerate()
            .map(|(index, value)| Element {
                value,
                path: format!("{}.{name}[{index}]", self.path),
            })
            .collect()
    }

    fn first(&self, name: &str) -> Result<Element<'a>, PlanError> {
        self.each(name)
            .into_iter()
            .next()
            .ok_or_else(|| PlanError::Missing {
                element: format!("{}.{name}", self.path),
            })
    }

    fn extension(&self, url: &str) -> Option<Element<'a>> {
        self.each("extension")
            .into_iter()
            .find(|extension| extension.value.get("url").and_then(Value::as_str) == Some(url))
    }

    /// The table's value for the code in `name`.
    fn code<T: Copy>(&self, name: &str, table: &[(&str, T)]) -> Result<T, PlanError> {
        let code = self.text(name)?;
        table
            .iter()
            .find(|(known, _)| *known == code)
            .map(|(_, value)| *value)
            .ok_or_else(|| PlanError::Unsupported {
                element: format!("{}.{name}", self.path),
                value: code.to_owned(),
                allowed: table
                    .iter()
                    .map(|(known, _)| *known)
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }
}

fn trigger(at: &Element<'_>) -> Result<Trigger, PlanError> {
    at.code("type", &[("named-event", ())])?;
    at.code(
        "name",
        &[
            ("encounter-start", Trigger::EncounterStart),
            ("encounter-end", Trigger::EncounterEnd),
        ],
    )
}

fn applicability(at: &Element<'_>) -> Result<Applicability, PlanError> {
    at.code("kind", &[("applicability", ())])?;
    let expression = at.required("expression")?;
    Ok(Applicability {
        condition: expression.code("name", CONDITIONS)?,
        expression: expression.text("expression")?.to_owned(),
    })
}

fn conditions(at: &Element<'_>) -> Result<Vec<Applicability>, PlanError> {
    at.each("condition").iter().map(applicability).collect()
}

fn dynamic(at: &Element<'_>) -> Result<Dynamic, PlanError> {
    let condition = at.required("expression")?.code("name", CONDITIONS)?;
    let build: fn(Condition) -> Dynamic = at.code(
        "path",
        &[
            ("priority", Dynamic::UrgentIf as fn(Condition) -> Dynamic),
            ("status", Dynamic::CompletedIf),
        ],
    )?;
    Ok(build(condition))
}

/// The programme is the `useContext` of type `program`; the goal is the plan's first.
fn programme(at: &Element<'_>) -> Result<Option<Programme>, PlanError> {
    let is_programme = |context: &Element<'_>| {
        context.value.pointer("/code/code").and_then(Value::as_str) == Some("program")
    };
    let Some(context) = at.each("useContext").into_iter().find(is_programme) else {
        return Ok(None);
    };
    let coding = context.required("valueCodeableConcept")?.first("coding")?;
    Ok(Some(Programme {
        code: coding.text("code")?.to_owned(),
        display: coding.text("display")?.to_owned(),
        goal: at
            .first("goal")?
            .required("description")?
            .text("text")?
            .to_owned(),
    }))
}

fn action(at: &Element<'_>, activities: &[Value]) -> Result<Action, PlanError> {
    let canonical = at.text("definitionCanonical")?;
    let activity = activities
        .iter()
        .find(|activity| is_named_by(activity, canonical))
        .ok_or_else(|| PlanError::UnknownActivity {
            element: format!("{}.definitionCanonical", at.path),
            canonical: canonical.to_owned(),
        })?;
    let name = activity
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or(canonical);
    let activity = Element {
        value: activity,
        path: format!("ActivityDefinition/{name}"),
    };
    activity.code("kind", &[("Task", ())])?;
    let coding = activity.required("code")?.first("coding")?;
    let due = match at.extension(vocabulary::DUE_RULE) {
        Some(own) => due_rule(&own)?,
        None => due_rule(&activity.extension(vocabulary::DUE_RULE).ok_or_else(|| {
            PlanError::Missing {
                element: format!("{}.extension('{}')", activity.path, vocabulary::DUE_RULE),
            }
        })?)?,
    };
    Ok(Action {
        code: coding.text("code")?.to_owned(),
        display: coding.text("display")?.to_owned(),
        description: activity.text("description")?.to_owned(),
        canonical: canonical.to_owned(),
        performer: activity
            .value
            .pointer("/participant/0/role/text")
            .and_then(Value::as_str)
            .map(str::to_owned),
        due,
        conditions: conditions(at)?,
        dynamics: at
            .each("dynamicValue")
            .iter()
            .map(dynamic)
            .collect::<Result<_, _>>()?,
    })
}

/// A canonical names a definition by its url, and by its version if it has one.
fn is_named_by(definition: &Value, canonical: &str) -> bool {
    let (url, version) = match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version)),
        None => (canonical, None),
    };
    let text = |name: &str| definition.get(name).and_then(Value::as_str);
    text("url") == Some(url) && (version.is_none() || text("version") == version)
}

/// Reads extension `due-rule`.
fn due_rule(at: &Element<'_>) -> Result<DueRule, PlanError> {
    let part = |name: &str| {
        at.extension(name).ok_or_else(|| PlanError::Missing {
            element: format!("{}.extension('{name}')", at.path),
        })
    };
    let days = |element: Element<'_>| {
        element
            .value
            .get("valueInteger")
            .and_then(Value::as_u64)
            .and_then(|days| u32::try_from(days).ok())
            .ok_or_else(|| PlanError::Missing {
                element: format!("{}.valueInteger", element.path),
            })
    };
    let end_of_day = part("end-of-day")?;
    if end_of_day.value.get("valueBoolean") != Some(&Value::Bool(true)) {
        return Err(PlanError::Unsupported {
            element: format!("{}.valueBoolean", end_of_day.path),
            value: end_of_day
                .value
                .get("valueBoolean")
                .map(Value::to_string)
                .unwrap_or_default(),
            allowed: "true".to_owned(),
        });
    }
    Ok(DueRule {
        anchor: part("anchor")?.code(
            "valueCode",
            &[("discharge", Anchor::Discharge), ("admit", Anchor::Admit)],
        )?,
        offset: days(part("offset")?)?,
        high_risk_offset: at.extension("high-risk-offset").map(days).transpose()?,
        unit: part("unit")?.code(
            "valueCode",
            &[
                ("calendar-day", Unit::CalendarDay),
                ("business-day", Unit::BusinessDay),
            ],
        )?,
    })
}

#[cfg(test)]
mod tests;
