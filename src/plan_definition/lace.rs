//! LACE: the risk of an unplanned return within thirty days after discharge.
//!
//! `lace-2010/ds-1`: the grid of van Walraven et al. 2010 with the comorbidity weights of
//! [`comorbidity`]. What is not known is said in [`Lace::missing`], never counted as zero in
//! silence.

use chrono::{Months, NaiveDate};

use crate::plan_definition::comorbidity;
use crate::plan_definition::facts::{PatientFacts, VisitClass, VisitFacts};

/// From this score on the risk is high.
const HIGH_MIN: u32 = 10;
/// From this score on the risk is moderate.
const MODERATE_MIN: u32 = 5;
/// Emergency visits count so many months before the admission.
const EMERGENCY_MONTHS: u32 = 6;
/// So many emergency visits count at most.
const EMERGENCY_POINTS_MAX: u32 = 4;

/// Days of stay (at least) and their points, longest first.
const LENGTH_POINTS: &[(i64, u32)] = &[(14, 7), (7, 5), (4, 4), (3, 3), (2, 2), (1, 1)];

/// The band of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Risk {
    /// 0 to 4.
    Low,
    /// 5 to 9.
    Moderate,
    /// 10 to 19.
    High,
}

impl Risk {
    /// Code of `http://terminology.hl7.org/CodeSystem/risk-probability`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Moderate => "moderate",
            Self::High => "high",
        }
    }
}

/// A LACE score and its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lace {
    /// Length of stay, 0 to 7.
    pub length: u32,
    /// Acute admission, 0 or 3.
    pub acute: u32,
    /// Comorbidity, 0 to 5.
    pub comorbidity: u32,
    /// Emergency visits of the last six months, 0 to 4.
    pub emergency: u32,
    /// What was not known, in words.
    pub missing: Vec<&'static str>,
}

impl Lace {
    /// The score of the acute stay that `visit` ends: the visit itself, or after a post-acute stay
    /// the acute one before it.
    pub fn of(visit: &VisitFacts, patient: &PatientFacts) -> Self {
        let stay = if visit.is_post_acute {
            acute_stay(visit, patient)
        } else {
            Some(visit)
        };
        let mut missing = Vec::new();
        let length = stay.and_then(length_of_stay).map_or_else(
            || {
                missing.push("the length of the acute stay is not known");
                0
            },
            length_points,
        );
        let codes = || {
            patient
                .conditions
                .iter()
                .filter_map(|condition| condition.icd10.as_deref())
        };
        if codes().next().is_none() {
            missing.push("no coded conditions are on file");
        } else if patient
            .conditions
            .iter()
            .any(|condition| condition.icd10.is_none())
        {
            missing.push("conditions without an ICD-10 code are not counted");
        }
        let emergency = stay.and_then(VisitFacts::start_day).map_or_else(
            || {
                missing.push("emergency visits before the admission are not known");
                0
            },
            |admitted| emergency_points(visit, patient, admitted),
        );
        Self {
            length,
            acute: if stay.is_some_and(VisitFacts::began_as_emergency) {
                3
            } else {
                0
            },
            comorbidity: comorbidity_points(
                comorbidity::lace_groups(codes())
                    .iter()
                    .map(|group| group.lace_weight)
                    .sum(),
            ),
            emergency,
            missing,
        }
    }

    /// The sum, 0 to 19.
    pub fn score(&self) -> u32 {
        self.length + self.acute + self.comorbidity + self.emergency
    }

    /// The band of the score.
    pub fn risk(&self) -> Risk {
        match self.score() {
            HIGH_MIN.. => Risk::High,
            MODERATE_MIN.. => Risk::Moderate,
            _ => Risk::Low,
        }
    }

    /// The parts and what is missing, for people.
    pub fn note(&self) -> String {
        let mut note = format!(
            "L {} + A {} + C {} + E {} = {}",
            self.length,
            self.acute,
            self.comorbidity,
            self.emergency,
            self.score()
        );
        for missing in &self.missing {
            note.push_str("; ");
            note.push_str(missing);
        }
        note
    }
}

/// The newest acute stay that ended before the post-acute one began.
fn acute_stay<'a>(visit: &VisitFacts, patient: &'a PatientFacts) -> Option<&'a VisitFacts> {
    let began = visit.start_day()?;
    patient
        .other_visits
        .iter()
        .filter(|other| other.class.is_stay() && !other.is_post_acute)
        .filter(|other| other.end_day().is_some_and(|end| end <= began))
        .max_by_key(|other| other.end_day())
}

fn length_of_stay(stay: &VisitFacts) -> Option<i64> {
    Some(
        stay.end_day()?
            .signed_duration_since(stay.start_day()?)
            .num_days(),
    )
}

fn length_points(days: i64) -> u32 {
    LENGTH_POINTS
        .iter()
        .find(|(least, _)| *least <= days)
        .map_or(0, |(_, points)| *points)
}

/// The grid of 2010: four and more give five.
fn comorbidity_points(weights: u32) -> u32 {
    if weights >= 4 { 5 } else { weights }
}

/// Emergency visits in the six months before the admission, without the one that led to it.
fn emergency_points(visit: &VisitFacts, patient: &PatientFacts, admitted: NaiveDate) -> u32 {
    let from = admitted
        .checked_sub_months(Months::new(EMERGENCY_MONTHS))
        .unwrap_or(admitted);
    let visits = patient
        .other_visits
        .iter()
        .filter(|other| other.encounter_id != visit.encounter_id)
        .filter(|other| other.class == VisitClass::Emergency)
        .filter(|other| {
            other
                .start_day()
                .is_some_and(|day| from <= day && day < admitted)
        })
        .filter(|other| other.end_day() != Some(admitted))
        .count();
    u32::try_from(visits)
        .unwrap_or(u32::MAX)
        .min(EMERGENCY_POINTS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_of_stay_gives_points_by_the_grid() {
        for (days, points) in [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 3),
            (4, 4),
            (6, 4),
            (7, 5),
            (13, 5),
            (14, 7),
            (400, 7),
        ] {
            assert_eq!(length_points(days), points, "{days} days");
        }
    }

    #[test]
    fn four_and_more_comorbidity_weights_give_five_points() {
        for (weights, points) in [(0, 0), (1, 1), (3, 3), (4, 5), (12, 5)] {
            assert_eq!(comorbidity_points(weights), points, "weights {weights}");
        }
    }

    #[track_caller]
    fn check(parts: [u32; 4], score: u32, risk: Risk) {
        let [length, acute, comorbidity, emergency] = parts;
        let lace = Lace {
            length,
            acute,
            comorbidity,
            emergency,
            missing: Vec::new(),
        };
        assert_eq!((lace.score(), lace.risk()), (score, risk));
    }

    #[test]
    fn ten_is_high() {
        check([3, 0, 1, 0], 4, Risk::Low);
        check([4, 0, 1, 0], 5, Risk::Moderate);
        check([4, 3, 2, 0], 9, Risk::Moderate);
        check([4, 3, 3, 0], 10, Risk::High);
        check([4, 3, 5, 0], 12, Risk::High);
        check([7, 3, 5, 4], 19, Risk::High);
    }
}
