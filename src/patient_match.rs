//! How likely it is that two descriptions are of one patient.
//!
//! <https://hl7.org/fhir/R4/patient-operation-match.html>. Evidence is counted in points by the table
//! [`WEIGHTS`]; a score is the points out of [`POINTS_FULL`], a grade follows from the score by
//! [`GRADES`], and is held down by what `CAPS` says, whatever the points are: name and birth date
//! alone never make a certain match, and twins are two patients. Which patients are compared, and
//! what becomes of the grade, is left to who asks.

mod compare;
mod person;

pub use compare::{Likeness, date, given, name};
pub use person::Person;

/// How certain a match is: <https://hl7.org/fhir/R4/valueset-match-grade.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Two patients.
    CertainlyNot,
    /// Perhaps one patient: nothing to act on.
    Possible,
    /// Probably one patient: somebody should look.
    Probable,
    /// One patient.
    Certain,
}

impl Grade {
    /// The code of the grade.
    pub fn code(self) -> &'static str {
        match self {
            Self::CertainlyNot => "certainly-not",
            Self::Possible => "possible",
            Self::Probable => "probable",
            Self::Certain => "certain",
        }
    }
}

/// What was found of two descriptions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// From 0 to 1.
    pub score: f64,
    /// How certain that is.
    pub grade: Grade,
}

/// Something in which two descriptions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trait {
    /// An identifier: system and value. One without a system says nothing.
    Identifier,
    /// The family name.
    Family,
    /// The given names.
    Given,
    /// The date of birth.
    BirthDate,
    /// The administrative gender.
    Gender,
    /// A phone number or address of electronic mail.
    Telecom,
    /// The postal code, and with it the line.
    Address,
}

/// Points for what is the same, alike, and different; what one side does not say counts nothing.
pub const WEIGHTS: &[(Trait, i32, i32, i32)] = &[
    (Trait::Identifier, 45, 0, -5),
    (Trait::Family, 10, 7, -8),
    (Trait::Given, 8, 5, -6),
    (Trait::BirthDate, 16, 6, -14),
    (Trait::Gender, 2, 0, -6),
    (Trait::Telecom, 9, 0, 0),
    (Trait::Address, 10, 6, 0),
];

/// The points of a full score.
pub const POINTS_FULL: i32 = 50;

/// The least score of each grade, the highest first.
pub const GRADES: &[(Grade, f64)] = &[
    (Grade::Certain, 0.90),
    (Grade::Probable, 0.70),
    (Grade::Possible, 0.45),
];

/// What two descriptions have in common, trait by trait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Findings([Likeness; 7]);

impl Findings {
    /// What is found in one trait.
    pub fn of(self, wanted: Trait) -> Likeness {
        let place = WEIGHTS.iter().position(|(known, ..)| *known == wanted);
        place
            .and_then(|place| self.0.get(place))
            .copied()
            .unwrap_or(Likeness::Unknown)
    }

    fn is(self, wanted: Trait, likeness: Likeness) -> bool {
        self.of(wanted) == likeness
    }

    fn agrees(self, wanted: Trait) -> bool {
        matches!(self.of(wanted), Likeness::Same | Likeness::Alike)
    }

    fn points(self) -> i32 {
        let weights = WEIGHTS.iter().zip(self.0);
        weights
            .map(|((_, same, alike, different), likeness)| match likeness {
                Likeness::Same => *same,
                Likeness::Alike => *alike,
                Likeness::Different => *different,
                Likeness::Unknown => 0,
            })
            .sum()
    }
}

type Cap = (fn(Findings) -> bool, Grade);

/// The highest grade where something is so, whatever the points.
const CAPS: &[Cap] = &[
    // A merge of two birth dates or genders is never made without somebody who looks.
    (
        |it| it.is(Trait::BirthDate, Likeness::Different) && has_identifier(it),
        Grade::Probable,
    ),
    (
        |it| it.is(Trait::Gender, Likeness::Different),
        Grade::Probable,
    ),
    // Without an identifier …
    // … siblings share a family name, twins a birth date, and a household its phone.
    (
        |it| !has_identifier(it) && it.is(Trait::Given, Likeness::Different),
        Grade::Possible,
    ),
    (
        |it| !has_identifier(it) && it.is(Trait::BirthDate, Likeness::Different),
        Grade::Possible,
    ),
    // … other identifiers of the same system were given to other patients, or to one twice.
    (
        |it| it.is(Trait::Identifier, Likeness::Different),
        Grade::Probable,
    ),
    // … names and birth date that are whole, and a place or phone, are the least to be certain.
    (
        |it| !has_identifier(it) && !is_described(it),
        Grade::Probable,
    ),
];

fn has_identifier(findings: Findings) -> bool {
    findings.is(Trait::Identifier, Likeness::Same)
}

fn is_described(findings: Findings) -> bool {
    findings.agrees(Trait::Family)
        && findings.agrees(Trait::Given)
        && findings.is(Trait::BirthDate, Likeness::Same)
        && (findings.is(Trait::Telecom, Likeness::Same)
            || findings.is(Trait::Address, Likeness::Same))
}

/// Compares two descriptions.
pub fn compare(one: &Person, other: &Person) -> Match {
    if compare::are_of_one_birth(one, other) {
        return Match {
            score: 0.0,
            grade: Grade::CertainlyNot,
        };
    }
    let findings = Findings(compare::findings(one, other));
    let score = f64::from(findings.points().clamp(0, POINTS_FULL)) / f64::from(POINTS_FULL);
    let reached = GRADES.iter().find(|(_, least)| score >= *least);
    let reached = reached.map_or(Grade::CertainlyNot, |(grade, _)| *grade);
    let caps = CAPS.iter().filter(|(is_so, _)| is_so(findings));
    let grade = caps.map(|(_, grade)| *grade).fold(reached, Grade::min);
    Match { score, grade }
}

#[cfg(test)]
mod tests;
