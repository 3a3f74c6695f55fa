//! Whether a code is in a value set, and whether it is a code at all.
//!
//! Standard: <https://hl7.org/fhir/R4/terminologies.html>. A code that cannot be looked up is
//! [`Verdict::NotChecked`], never wrong. What a binding makes of a verdict is left to the validator.

use fhir_model::definition::{
    CodeSystem, CodeSystemContent, CodeSystemId, ConceptId, Definitions, Membership, Question,
    Reason, ValueSetId,
};

use crate::grammar;

/// A code with what was sent beside it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coded<'a> {
    /// The code system; none for an element of type `code`.
    pub system: Option<&'a str>,
    /// The version of the code system.
    pub version: Option<&'a str>,
    /// The code.
    pub code: &'a str,
    /// What is shown to a person.
    pub display: Option<&'a str>,
}

/// What a value set says of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the value set.
    Member(Found),
    /// It is not in the value set.
    NotMember,
    /// Its code system, known completely, does not have it; so no value set does.
    UnknownCode,
    /// Nothing is known of its code system, and the value set has no codes of it.
    UnknownSystem,
    /// That part of the value set is not known here.
    NotChecked(Reason),
}

/// A code that is in its code system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The concept, where the code system lists it.
    pub concept: Option<ConceptId>,
    /// Whether the code was sent in other case than it is defined.
    pub case_differs: bool,
    /// Whether the display that was sent is none of those of the concept.
    pub display_differs: bool,
    /// Whether it is not to be used any more.
    pub is_inactive: bool,
}

/// What its code system says of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeCheck {
    /// It has it.
    Valid(Found),
    /// It does not have it.
    UnknownCode,
    /// No such code system is known.
    UnknownSystem,
    /// The code system is known, but not this version of it.
    UnknownVersion,
    /// The codes of the code system are not here, or not all.
    NotChecked,
}

/// Whether a code is in a value set. Abstract concepts are not, unless they are listed.
pub fn is_member(definitions: &Definitions, value_set: ValueSetId, coded: &Coded<'_>) -> Verdict {
    let question = Question {
        system: coded.system,
        version: coded.version,
        code: coded.code,
        admits_abstract: false,
        grammars: Some(&grammar::has_code),
    };
    match definitions.answer(value_set, &question) {
        Membership::Member => Verdict::Member(member(definitions, value_set, coded)),
        Membership::Unknown(reason) => match check_code(definitions, coded) {
            CodeCheck::UnknownCode => Verdict::UnknownCode,
            _ => Verdict::NotChecked(reason),
        },
        Membership::NotMember => match check_code(definitions, coded) {
            CodeCheck::UnknownCode => Verdict::UnknownCode,
            CodeCheck::UnknownSystem if coded.system.is_some() => Verdict::UnknownSystem,
            _ => Verdict::NotMember,
        },
    }
}

/// Whether a code is in its code system. Without a system, nothing is known of it.
pub fn check_code(definitions: &Definitions, coded: &Coded<'_>) -> CodeCheck {
    let Some(system) = coded.system else {
        return CodeCheck::UnknownSystem;
    };
    if let Some(is_code) = grammar::has_code(system, coded.code) {
        return if is_code {
            CodeCheck::Valid(Found::default())
        } else {
            CodeCheck::UnknownCode
        };
    }
    let Some(id) = definitions.code_system_version(system, coded.version) else {
        return match definitions.code_system(system) {
            Some(_) => CodeCheck::UnknownVersion,
            None => CodeCheck::UnknownSystem,
        };
    };
    let code_system = definitions.code_system_of(id);
    match definitions.concept_id(code_system, coded.code) {
        Some(concept) => CodeCheck::Valid(found(definitions, code_system, concept, coded)),
        None if code_system.content == CodeSystemContent::Complete => CodeCheck::UnknownCode,
        None => CodeCheck::NotChecked,
    }
}

/// What there is to say of a member of a value set.
fn member(definitions: &Definitions, value_set: ValueSetId, coded: &Coded<'_>) -> Found {
    let concept = concept_of_member(definitions, value_set, coded);
    let Some((id, concept)) = concept else {
        return Found {
            display_differs: differs_from_list(definitions, value_set, coded),
            ..Found::default()
        };
    };
    let code_system = definitions.code_system_of(id);
    let mut found = found(definitions, code_system, concept, coded);
    found.display_differs =
        found.display_differs && differs_from_list(definitions, value_set, coded);
    found
}

/// The concept of a member: of its system, else of the first that the value set draws from.
pub(crate) fn concept_of_member(
    definitions: &Definitions,
    value_set: ValueSetId,
    coded: &Coded<'_>,
) -> Option<(CodeSystemId, ConceptId)> {
    let concept = |id: CodeSystemId| {
        let code_system = definitions.code_system_of(id);
        Some((id, definitions.concept_id(code_system, coded.code)?))
    };
    if let Some(system) = coded.system {
        return concept(definitions.code_system_version(system, coded.version)?);
    }
    definitions
        .systems_of(value_set)
        .filter_map(|(_, _, id)| id)
        .find_map(concept)
}

fn found(
    definitions: &Definitions,
    code_system: &CodeSystem,
    id: ConceptId,
    coded: &Coded<'_>,
) -> Found {
    let concept = definitions.concept_of(id);
    let designations = definitions.designations(concept);
    let own = concept.display.into_iter();
    let mut displays = own.chain(designations.iter().map(|it| it.value));
    let has_displays = concept.display.is_some() || !designations.is_empty();
    let mut is_right =
        |sent: &str| displays.any(|display| is_same_text(definitions.text(display), sent));
    Found {
        concept: Some(id),
        case_differs: !code_system.is_case_sensitive
            && definitions.text(concept.code) != coded.code,
        display_differs: has_displays && coded.display.is_some_and(|sent| !is_right(sent)),
        is_inactive: concept.is_inactive,
    }
}

/// Whether a display is none of those that the value set itself gives.
fn differs_from_list(definitions: &Definitions, value_set: ValueSetId, coded: &Coded<'_>) -> bool {
    let Some(sent) = coded.display else {
        return false;
    };
    let mut displays = definitions
        .listed_displays(value_set, coded.system, coded.code)
        .peekable();
    displays.peek().is_some() && !displays.any(|it| is_same_text(definitions.text(it), sent))
}

/// Whether two texts say the same: case does not matter.
pub(crate) fn is_same_text(left: &str, right: &str) -> bool {
    left == right || left.to_lowercase() == right.to_lowercase()
}
