//! What a pathway decision is made from: the visit, the patient, the policy, as plain values.
//!
//! Intake and the workflow engine read these out of resources and configuration; the rules of this
//! module's neighbours then need neither a store nor a clock.

pub mod from_resource;

use std::fmt;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use chrono_tz::Tz;

use crate::disposition::{self, Group};
use crate::plan_definition::calendar::Calendar;

/// A time as precise as its source knew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Only the day is known (at the facility).
    Day(NaiveDate),
    /// The instant is known.
    Instant(DateTime<Utc>),
}

impl Moment {
    /// Reads a FHIR `dateTime`; years and months alone are too coarse for a clock and give `None`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(day) = text.parse::<NaiveDate>() {
            return Some(Self::Day(day));
        }
        let instant = DateTime::parse_from_rfc3339(text).ok()?;
        Some(Self::Instant(instant.with_timezone(&Utc)))
    }

    /// The calendar day in `zone`.
    pub fn day(self, zone: Tz) -> NaiveDate {
        match self {
            Self::Day(day) => day,
            Self::Instant(instant) => instant.with_timezone(&zone).date_naive(),
        }
    }

    /// The FHIR `dateTime`, written with the offset of `zone`.
    pub fn to_fhir(self, zone: Tz) -> String {
        match self {
            Self::Day(day) => day.to_string(),
            Self::Instant(instant) => fhir_instant(instant, zone),
        }
    }
}

/// An instant as a FHIR `dateTime` with the offset of `zone`.
pub fn fhir_instant(instant: DateTime<Utc>, zone: Tz) -> String {
    instant
        .with_timezone(&zone)
        .to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// `Encounter.status`, as far as pathways tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisitStatus {
    /// `planned`: nobody has come yet.
    Planned,
    /// `arrived`, `triaged`, `in-progress`, `onleave`: the visit runs.
    InProgress,
    /// `finished`.
    Finished,
    /// `cancelled`, `entered-in-error`: the visit never was.
    Cancelled,
    /// `unknown`: says nothing, changes nothing.
    Unknown,
}

impl VisitStatus {
    /// Reads `Encounter.status`.
    pub fn from_code(code: &str) -> Self {
        match code {
            "planned" => Self::Planned,
            "arrived" | "triaged" | "in-progress" | "onleave" => Self::InProgress,
            "finished" => Self::Finished,
            "cancelled" | "entered-in-error" => Self::Cancelled,
            _ => Self::Unknown,
        }
    }
}

/// `Encounter.class` (v3-ActCode), as far as pathways tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisitClass {
    /// `IMP` and its kinds `ACUTE` and `NONAC`.
    Inpatient,
    /// `OBSENC`.
    Observation,
    /// `EMER`.
    Emergency,
    /// `AMB`.
    Ambulatory,
    /// `HH`.
    HomeHealth,
    /// `VR`.
    Virtual,
    /// Anything else.
    Other,
}

impl VisitClass {
    /// Reads `Encounter.class.code`.
    pub fn from_code(code: &str) -> Self {
        match code {
            "IMP" | "ACUTE" | "NONAC" => Self::Inpatient,
            "OBSENC" => Self::Observation,
            "EMER" => Self::Emergency,
            "AMB" => Self::Ambulatory,
            "HH" => Self::HomeHealth,
            "VR" => Self::Virtual,
            _ => Self::Other,
        }
    }

    /// A stay in the hospital's care: inpatient or observation, never the emergency department.
    pub fn is_stay(self) -> bool {
        matches!(self, Self::Inpatient | Self::Observation)
    }
}

/// One visit as its projection stands now.
#[derive(Debug, Clone, PartialEq)]
pub struct VisitFacts {
    /// Logical id of the Encounter.
    pub encounter_id: String,
    /// Where the visit stands.
    pub status: VisitStatus,
    /// Its class now.
    pub class: VisitClass,
    /// Classes it had before, oldest first (`Encounter.classHistory`).
    pub class_history: Vec<VisitClass>,
    /// `Encounter.period.start`.
    pub start: Option<Moment>,
    /// `Encounter.period.end`.
    pub end: Option<Moment>,
    /// NUBC discharge status, after the feed's own codes were mapped; `None` if absent or unmapped.
    pub disposition: Option<String>,
    /// The admission was acute or emergent (PV1-4 in E, U, A or NUBC 1, 2, 5).
    pub is_emergent: bool,
    /// The facility is post-acute (SNF, rehabilitation, LTCH): its stays do not make a LACE score.
    pub is_post_acute: bool,
    /// IANA zone of the facility: the day of discharge is the day on its wall.
    pub facility_zone: Tz,
    /// When the first message about this visit reached us: evidence for TRC-NIA.
    pub first_notified_at: Option<DateTime<Utc>>,
}

impl VisitFacts {
    /// The group of the disposition.
    pub fn disposition_group(&self) -> Group {
        disposition::group(self.disposition.as_deref())
    }

    /// The admission was emergent by its type or because the visit began in the emergency
    /// department.
    pub fn began_as_emergency(&self) -> bool {
        self.is_emergent || self.class_history.contains(&VisitClass::Emergency)
    }

    /// The day of admission at the facility.
    pub fn start_day(&self) -> Option<NaiveDate> {
        self.start.map(|start| start.day(self.facility_zone))
    }

    /// The day of discharge at the facility.
    pub fn end_day(&self) -> Option<NaiveDate> {
        self.end.map(|end| end.day(self.facility_zone))
    }
}

/// A condition the patient has or had, as a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionFacts {
    /// Logical id of the Condition, for references.
    pub id: Option<String>,
    /// ICD-10-CM code with or without the dot; `None` where the Condition carries none.
    pub icd10: Option<String>,
}

/// The patient, as far as pathways ask.
#[derive(Debug, Clone, PartialEq)]
pub struct PatientFacts {
    /// Logical id of the Patient.
    pub id: String,
    /// `Patient.birthDate`, if it is a full date.
    pub birth_date: Option<NaiveDate>,
    /// `deceasedBoolean` true or `deceasedDateTime` present.
    pub is_deceased: bool,
    /// Periods in which the patient is on a panel for transitional care, both ends included.
    pub panel: Vec<PanelPeriod>,
    /// All conditions that are not entered in error, this visit's diagnoses included.
    pub conditions: Vec<ConditionFacts>,
    /// The other visits of the patient that are not cancelled, in any order.
    pub other_visits: Vec<VisitFacts>,
    /// Day of the newest screening for social needs.
    pub sdoh_screened_on: Option<NaiveDate>,
    /// Who owns the work, as a literal reference (`CareTeam/…`, `PractitionerRole/…`).
    pub care_manager: Option<String>,
}

/// A period on the panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PanelPeriod {
    /// First day.
    pub start: NaiveDate,
    /// Last day; `None` while it runs.
    pub end: Option<NaiveDate>,
}

impl PatientFacts {
    /// The patient is on the panel on `day`.
    pub fn is_on_panel(&self, day: NaiveDate) -> bool {
        self.panel
            .iter()
            .any(|period| period.start <= day && period.end.is_none_or(|end| day <= end))
    }
}

/// The care organisation's choices where the rules are silent.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// IANA zone in which a deadline ends.
    pub care_zone: Tz,
    /// Its business days.
    pub calendar: Calendar,
    /// The organisation as a literal reference, for `managingOrganization` and `requester`.
    pub organization: Option<String>,
    /// Youngest patient, in years at the anchor date.
    pub age_min_years: u32,
    /// A screening for social needs counts as fresh for so many days.
    pub sdoh_fresh_days: i64,
    /// So many condition groups make an emergency visit one to follow up.
    pub ed_condition_groups_min: usize,
    /// So many timely attempts meet the contact element.
    pub contact_attempts_needed: usize,
}

impl Policy {
    /// The defaults, for an organisation in `care_zone`.
    pub fn new(care_zone: Tz) -> Self {
        Self {
            care_zone,
            calendar: Calendar::us_federal(),
            organization: None,
            age_min_years: 18,
            sdoh_fresh_days: 180,
            ed_condition_groups_min: 2,
            contact_attempts_needed: 2,
        }
    }
}

/// What happened, for Provenance and reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A pathway began.
    Started,
    /// New facts about the visit moved dates, risk or evidence.
    AdtCorrection,
    /// The organisation's calendar changed.
    CalendarChange,
    /// The discharge was taken back, or the whole visit was.
    DischargeCancelled,
    /// The admission was taken back.
    AdmissionCancelled,
    /// The patient did not go home after all.
    NotCommunity,
    /// The patient died.
    Deceased,
    /// Something newer took its place.
    Superseded,
    /// The patient was admitted.
    Admitted,
    /// The patient is back in hospital: the pathway waits.
    Readmitted,
    /// The readmission was taken back: the pathway goes on.
    Resumed,
    /// Somebody ought to know.
    Flagged,
    /// A person found that the patient went to a nursing facility.
    FacilityConfirmed,
    /// Work of a person, or the clock, moved a Task.
    Progress,
    /// The period is over.
    ClosedOut,
}

impl Reason {
    /// The code, as `Task.statusReason` and `Provenance.reason` carry it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::AdtCorrection => "adt-correction",
            Self::CalendarChange => "calendar-change",
            Self::DischargeCancelled => "discharge-cancelled",
            Self::AdmissionCancelled => "admission-cancelled",
            Self::NotCommunity => "not-community",
            Self::Deceased => "deceased",
            Self::Superseded => "superseded",
            Self::Admitted => "admitted",
            Self::Readmitted => "readmitted",
            Self::Resumed => "resumed",
            Self::Flagged => "flagged",
            Self::FacilityConfirmed => "facility-confirmed",
            Self::Progress => "progress",
            Self::ClosedOut => "closed-out",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::America::{Chicago, New_York};

    #[test]
    fn a_moment_keeps_its_precision() {
        let moment = Moment::parse("2026-03-31T23:30:00-05:00").unwrap();
        assert_eq!(moment.to_fhir(Chicago), "2026-03-31T23:30:00-05:00");
        assert_eq!(moment.to_fhir(New_York), "2026-04-01T00:30:00-04:00");
        assert_eq!(moment.day(Chicago).to_string(), "2026-03-31");
        assert_eq!(
            Moment::parse("2026-03-31").unwrap().to_fhir(Chicago),
            "2026-03-31"
        );
        assert_eq!(Moment::parse("2026-03"), None);
    }
}
