//! What `$everything` is asked for: which types, written since when, of which time of care.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use fhir_model::issue::IssueType;
use fhir_model::key::ResourceType;

use crate::error::Error;
use crate::interaction::{Services, invalid};
use crate::operation::call::Input;
use crate::operation::everything::walk::Place;
use crate::search::interval;
use crate::search::value::ParameterId;

/// The parameter that says where a page starts.
pub(super) const PAGE: &str = "_page";
/// The parameter that says how long a page is.
pub(super) const COUNT: &str = "_count";

/// The search parameter that tells when the care of a record was given. Records without one, or
/// without a value of it, belong to every time: allergies, conditions, coverages.
const CARE_DATES: &[(&str, &str)] = &[
    ("Appointment", "date"),
    ("AuditEvent", "date"),
    ("CarePlan", "date"),
    ("CareTeam", "date"),
    ("ChargeItem", "occurrence"),
    ("Claim", "created"),
    ("ClaimResponse", "created"),
    ("ClinicalImpression", "date"),
    ("Communication", "sent"),
    ("CommunicationRequest", "authored"),
    ("Composition", "date"),
    ("Consent", "date"),
    ("DetectedIssue", "identified"),
    ("DiagnosticReport", "date"),
    ("DocumentManifest", "created"),
    ("DocumentReference", "date"),
    ("Encounter", "date"),
    ("EpisodeOfCare", "date"),
    ("ExplanationOfBenefit", "created"),
    ("Flag", "date"),
    ("ImagingStudy", "started"),
    ("Immunization", "date"),
    ("Invoice", "date"),
    ("List", "date"),
    ("MeasureReport", "date"),
    ("Media", "created"),
    ("MedicationAdministration", "effective-time"),
    ("MedicationDispense", "whenhandedover"),
    ("MedicationRequest", "authoredon"),
    ("MedicationStatement", "effective"),
    ("Observation", "date"),
    ("Procedure", "date"),
    ("Provenance", "recorded"),
    ("QuestionnaireResponse", "authored"),
    ("RequestGroup", "authored"),
    ("RiskAssessment", "date"),
    ("ServiceRequest", "authored"),
    ("Specimen", "collected"),
    ("Task", "period"),
];

/// What was asked for.
pub(super) struct Request {
    /// The types; all where there is none.
    pub(super) types: Vec<ResourceType>,
    /// Written at or after.
    pub(super) since: Option<DateTime<Utc>>,
    /// The time of care, `[low, high)` in microseconds.
    pub(super) care: Option<(i64, i64)>,
    /// How long a page is.
    pub(super) count: Option<u32>,
    /// Where the page starts.
    pub(super) page: Option<Place>,
    /// As it was asked.
    pub(super) pairs: Vec<(String, String)>,
    dates: HashMap<&'static str, ParameterId>,
}

impl Request {
    /// Reads the parameters.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the one that cannot be read.
    pub(super) fn read(services: &Services, input: &Input) -> Result<Self, Error> {
        let start = input.parsed("start", "date", interval::date)?;
        let end = input.parsed("end", "date", interval::date)?;
        let care = (start.is_some() || end.is_some()).then(|| {
            (
                start.map_or(i64::MIN, |(low, _)| low),
                end.map_or(i64::MAX, |(_, high)| high),
            )
        });
        if care.is_some_and(|(from, until)| from >= until) {
            return Err(invalid(IssueType::Value, "start is after end"));
        }
        let count = input.parsed(COUNT, "number above 0", |text| {
            text.parse().ok().filter(|count: &u32| *count > 0)
        })?;
        let page = input.parsed(PAGE, "place of ours", Place::parse)?;
        let dates = CARE_DATES
            .iter()
            .map(|(name, code)| (*name, ParameterId::new(name, code)));
        Ok(Self {
            types: types(services, input)?,
            since: input.parsed("_since", INSTANT, instant)?,
            care,
            count: count.map(|count| count.min(services.page_counts.max)),
            page,
            pairs: pairs(input),
            dates: dates.collect(),
        })
    }

    /// The parameter that tells when the care of records of a type was given, if that is asked.
    pub(super) fn care_date(&self, resource_type: &ResourceType) -> Option<ParameterId> {
        self.care?;
        self.dates.get(resource_type.as_str()).copied()
    }

    /// Whether records of a type are wanted.
    pub(super) fn wants(&self, resource_type: &ResourceType) -> bool {
        self.types.is_empty() || self.types.contains(resource_type)
    }
}

const INSTANT: &str = "instant such as 2026-03-06T16:10:00-05:00";

fn instant(text: &str) -> Option<DateTime<Utc>> {
    // In a URL `+` means a space, and clients forget to escape it.
    let instant = DateTime::parse_from_rfc3339(&text.replace(' ', "+"));
    instant.ok().map(Into::into)
}

fn types(services: &Services, input: &Input) -> Result<Vec<ResourceType>, Error> {
    let names = input.texts("_type").flat_map(|list| list.split(','));
    names
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            services.resource_type(name).map_err(|_| {
                let text = format!("_type: {name} is not a resource type of FHIR R4");
                invalid(IssueType::Value, text)
            })
        })
        .collect()
}

/// The parameters as a query, wherever they stood.
fn pairs(input: &Input) -> Vec<(String, String)> {
    let names = ["start", "end", "_since", "_type", COUNT, PAGE];
    names
        .iter()
        .flat_map(|name| input.texts(name).map(move |text| (name, text)))
        .map(|(name, text)| ((*name).to_owned(), text.to_owned()))
        .chain(input.general().iter().cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions;
    use crate::search::expression::ValueKind;
    use crate::search::parameter::{Lookup, find};

    #[test]
    fn every_care_date_is_a_date_of_the_standard() {
        assert!(CARE_DATES.is_sorted());
        let definitions = definitions::embedded();
        for (name, code) in CARE_DATES {
            let type_id = definitions.resource_type(name).unwrap();
            let Lookup::Supported(found) = find(&definitions, type_id, code) else {
                panic!("{name}.{code} is no parameter");
            };
            assert_eq!(found.kind, ValueKind::Date, "{name}.{code}");
        }
    }
}
