//! Resources → the facts that pathways decide by.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, NaiveTime};
use chrono_tz::Tz;
use serde_json::Value;

use crate::adt::encounter::{FEED, FIRST_NOTIFIED, TIME_ZONE};
use crate::config::{Config, FacilityKind};
use crate::error::Error;
use crate::interaction::{Services, find};
use crate::plan_definition::facts::{
    Moment, PanelPeriod, PatientFacts, Policy, VisitFacts, VisitStatus, from_resource,
};
use crate::search::expression::Search;
use crate::store::Transaction;

/// `Group.code` of a panel: the patients that the care organisation follows.
const PANEL_SYSTEM: &str = "http://baton.health/fhir/CodeSystem/group-type";
const PANEL_CODE: &str = "panel";

/// LOINC panels of screenings for social needs: AHC-HRSN, PRAPARE, Hunger Vital Sign.
const SOCIAL_NEEDS_PANELS: &[&str] = &["96777-8", "93025-5", "88121-9"];

/// What a pathway consists of.
const PATHWAY_TYPES: &[(&str, &str)] = &[
    ("EpisodeOfCare", "patient"),
    ("CarePlan", "patient"),
    ("Goal", "patient"),
    ("RiskAssessment", "patient"),
    ("Task", "patient"),
    ("Flag", "patient"),
];

/// Reads facts in a transaction.
pub(super) struct Reader<'a> {
    pub(super) services: &'a Services,
    pub(super) config: &'a Config,
    pub(super) policy: &'a Policy,
}

impl Reader<'_> {
    /// The periods in which a patient is on a panel.
    pub(super) async fn panel(
        &self,
        transaction: &mut Transaction<'_>,
        patient_id: &str,
    ) -> Result<Vec<PanelPeriod>, Error> {
        let mut search = self.search("Group", "member", patient_id)?;
        search.filters.push(find::any(
            "Group",
            "code",
            vec![find::token(PANEL_SYSTEM, PANEL_CODE)],
        ));
        let groups = find::matches(transaction, &search).await?;
        let reference = format!("Patient/{patient_id}");
        let members = groups.iter().flat_map(|group| each(group, "member"));
        Ok(members
            .filter(|member| text(member, "/entity/reference") == Some(&reference))
            .filter(|member| member["inactive"] != true)
            .map(|member| PanelPeriod {
                start: day(member, "/period/start").unwrap_or(NaiveDate::MIN),
                end: day(member, "/period/end"),
            })
            .collect())
    }

    /// The resources of a patient's pathways.
    pub(super) async fn existing(
        &self,
        transaction: &mut Transaction<'_>,
        patient_id: &str,
    ) -> Result<Vec<Value>, Error> {
        let mut existing = Vec::new();
        for (resource_type, parameter) in PATHWAY_TYPES {
            let search = self.search(resource_type, parameter, patient_id)?;
            existing.extend(find::matches(transaction, &search).await?);
        }
        Ok(existing)
    }

    /// The visits of a patient, in the order in which they began.
    pub(super) async fn encounters(
        &self,
        transaction: &mut Transaction<'_>,
        patient_id: &str,
    ) -> Result<Vec<Value>, Error> {
        let search = self.search("Encounter", "patient", patient_id)?;
        let mut encounters = find::matches(transaction, &search).await?;
        let start = |encounter: &Value| {
            let moment = text(encounter, "/period/start").and_then(Moment::parse);
            moment.map(|moment| match moment {
                Moment::Day(day) => day.and_time(NaiveTime::MIN).and_utc(),
                Moment::Instant(instant) => instant,
            })
        };
        encounters.sort_by_key(start);
        Ok(encounters)
    }

    /// Attempts to reach a patient.
    pub(super) async fn communications(
        &self,
        transaction: &mut Transaction<'_>,
        patient_id: &str,
    ) -> Result<Vec<Value>, Error> {
        let search = self.search("Communication", "patient", patient_id)?;
        find::matches(transaction, &search).await
    }

    /// The patient, with conditions, other visits and screenings.
    pub(super) async fn patient(
        &self,
        transaction: &mut Transaction<'_>,
        patient: &Value,
        panel: Vec<PanelPeriod>,
        visit: &VisitFacts,
    ) -> Result<PatientFacts, Error> {
        let id = text(patient, "/id").unwrap_or_default();
        let conditions =
            find::matches(transaction, &self.search("Condition", "patient", id)?).await?;
        let encounters =
            find::matches(transaction, &self.search("Encounter", "patient", id)?).await?;
        Ok(PatientFacts {
            id: id.to_owned(),
            birth_date: text(patient, "/birthDate").and_then(|text| text.parse().ok()),
            is_deceased: patient["deceasedBoolean"] == true
                || patient.get("deceasedDateTime").is_some(),
            panel,
            conditions: conditions
                .iter()
                .filter_map(from_resource::condition)
                .collect(),
            other_visits: encounters
                .iter()
                .filter(|other| text(other, "/id") != Some(&visit.encounter_id))
                .map(|other| self.visit(other))
                .filter(|other| other.status != VisitStatus::Cancelled)
                .collect(),
            sdoh_screened_on: self.social_needs_screened_on(transaction, id).await?,
            care_manager: None,
        })
    }

    /// The day of the newest screening for social needs.
    async fn social_needs_screened_on(
        &self,
        transaction: &mut Transaction<'_>,
        patient_id: &str,
    ) -> Result<Option<NaiveDate>, Error> {
        let search = self.search("QuestionnaireResponse", "patient", patient_id)?;
        let responses = find::matches(transaction, &search).await?;
        let is_screening = |response: &&Value| {
            let questionnaire = text(response, "/questionnaire").unwrap_or_default();
            let is_done = matches!(text(response, "/status"), Some("completed" | "amended"));
            is_done
                && SOCIAL_NEEDS_PANELS
                    .iter()
                    .any(|panel| questionnaire.contains(panel))
        };
        let days = responses
            .iter()
            .filter(is_screening)
            .filter_map(|response| {
                Some(Moment::parse(text(response, "/authored")?)?.day(self.policy.care_zone))
            });
        Ok(days.max())
    }

    /// The facts of an Encounter, and what its feed says of the facility.
    pub(super) fn visit(&self, encounter: &Value) -> VisitFacts {
        let zone = extension(encounter, TIME_ZONE)
            .and_then(|extension| text(extension, "/valueCode")?.parse::<Tz>().ok())
            .unwrap_or(self.policy.care_zone);
        VisitFacts {
            is_post_acute: self.is_post_acute(encounter),
            first_notified_at: extension(encounter, FIRST_NOTIFIED)
                .and_then(|extension| {
                    DateTime::parse_from_rfc3339(text(extension, "/valueDateTime")?).ok()
                })
                .map(Into::into),
            ..from_resource::visit(encounter, zone)
        }
    }

    fn is_post_acute(&self, encounter: &Value) -> bool {
        let name = extension(encounter, FEED).and_then(|extension| text(extension, "/valueString"));
        let feed = name.and_then(|name| self.config.feeds.iter().find(|feed| feed.name == name));
        feed.is_some_and(|feed| match feed.kind {
            FacilityKind::Acute | FacilityKind::Psychiatric => false,
            FacilityKind::SkilledNursing
            | FacilityKind::Rehabilitation
            | FacilityKind::LongTermCare => true,
        })
    }

    /// All resources of a type that refer to the patient by a parameter.
    fn search(
        &self,
        resource_type: &str,
        parameter: &str,
        patient_id: &str,
    ) -> Result<Search, Error> {
        find::by_reference(
            self.services,
            resource_type,
            parameter,
            "Patient",
            patient_id,
        )
    }
}

/// The patients whose membership of a panel is new, or another, since `before`.
pub(super) fn joined(before: Option<&Value>, group: &Value) -> Vec<String> {
    let is_panel = group.get("code").is_some_and(|code| {
        each(code, "coding").any(|coding| {
            text(coding, "/system") == Some(PANEL_SYSTEM)
                && text(coding, "/code") == Some(PANEL_CODE)
        })
    });
    if !is_panel {
        return Vec::new();
    }
    let old: HashSet<String> = before
        .into_iter()
        .flat_map(|group| each(group, "member"))
        .map(Value::to_string)
        .collect();
    each(group, "member")
        .filter(|member| !old.contains(&member.to_string()))
        .filter_map(|member| text(member, "/entity/reference")?.strip_prefix("Patient/"))
        .map(str::to_owned)
        .collect()
}

fn extension<'a>(resource: &'a Value, url: &str) -> Option<&'a Value> {
    each(resource, "extension").find(|extension| text(extension, "/url") == Some(url))
}

fn day(value: &Value, pointer: &str) -> Option<NaiveDate> {
    text(value, pointer)?.get(..10)?.parse().ok()
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

fn each<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
