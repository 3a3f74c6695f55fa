//! Codes as their code systems have them, and sets of codes that a query asks for by one name.
//!
//! <https://hl7.org/fhir/R4/search.html#token>: `:in`, `:not-in`, `:above`, `:below`. What is loaded
//! and what is stored is known alike; nothing is asked of another server.

use std::borrow::Cow;
use std::collections::BTreeSet;

use fhir_model::definition::{
    CodeSystem, ConceptId, Definitions, Expansion, NotEnumerable, Reason,
};

use crate::search::expression::TokenSet;

/// The most codes that a value set, or a part of a hierarchy, may have to search by it.
pub const CODES_MAX: usize = 10_000;

/// Why there is no set of codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCodes {
    /// No such value set, code system or code is here.
    NotFound(String),
    /// There are more than [`CODES_MAX`].
    TooCostly,
}

/// A code as its code system writes it, where that ignores case; else as it is.
pub fn settled<'a>(
    definitions: &Definitions,
    system: Option<&str>,
    code: Cow<'a, str>,
) -> Cow<'a, str> {
    let code_system = system.and_then(|system| definitions.code_system(system));
    let Some(code_system) = code_system.filter(|found| !found.is_case_sensitive) else {
        return code;
    };
    match definitions.concept_id(code_system, &code) {
        Some(concept) => {
            let defined = definitions.text(definitions.concept_of(concept).code);
            if *code == *defined {
                code
            } else {
                Cow::Owned(defined.to_owned())
            }
        }
        None => code,
    }
}

/// The type and the value of an identifier, as the code of one token.
pub fn typed(type_code: &str, value: &str) -> String {
    format!("{type_code}|{value}")
}

/// The codes of a value set, by its canonical.
///
/// # Errors
/// When it is not known, not completely, or too large.
pub fn of_value_set(definitions: &Definitions, canonical: &str) -> Result<TokenSet, NoCodes> {
    let Some(id) = definitions.value_set(canonical) else {
        let text = "names a value set that is not known here, by its canonical URL".to_owned();
        return Err(NoCodes::NotFound(text));
    };
    if let Expansion::NotEnumerable(reasons) = definitions.expansion(id) {
        return Err(not_enumerable(definitions, reasons));
    }
    let mut set = TokenSet::default();
    for (system, member) in definitions.members_with_abstract(id) {
        let (system, code) = (definitions.text(system), definitions.text(member.code));
        set.insert((system.to_owned(), code.to_owned()));
        if set.len() > CODES_MAX {
            return Err(NoCodes::TooCostly);
        }
    }
    Ok(set)
}

fn not_enumerable(definitions: &Definitions, reasons: &[NotEnumerable]) -> NoCodes {
    let Some(first) = reasons.first() else {
        return NoCodes::TooCostly;
    };
    let system = first
        .system
        .map_or("a code system", |it| definitions.text(it));
    match first.reason {
        Reason::Grammar => NoCodes::TooCostly,
        Reason::CodeSystemNotHere | Reason::Filter => NoCodes::NotFound(format!(
            "names a value set whose codes are not all known here: it draws from {system}"
        )),
        Reason::ValueSetNotHere | Reason::ImportCut => NoCodes::NotFound(
            "names a value set that imports one that is not known here".to_owned(),
        ),
    }
}

/// Which way a hierarchy is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To what subsumes the code.
    Above,
    /// To what the code subsumes.
    Below,
}

/// A code and what is above or below it in its code system.
///
/// # Errors
/// When the code is not known, or too much is below it.
pub fn of_hierarchy(
    definitions: &Definitions,
    system: &str,
    code: &str,
    direction: Direction,
) -> Result<TokenSet, NoCodes> {
    let Some(code_system) = definitions.code_system(system) else {
        let text = "names a code system that is not known here".to_owned();
        return Err(NoCodes::NotFound(text));
    };
    let Some(start) = definitions.concept_id(code_system, code) else {
        let text = "names a code that is not known in its code system".to_owned();
        return Err(NoCodes::NotFound(text));
    };
    let mut seen = BTreeSet::new();
    let mut pending = vec![start];
    while let Some(concept) = pending.pop() {
        if seen.insert(concept) {
            pending.extend(next(definitions, code_system, concept, direction));
        }
        if seen.len() > CODES_MAX {
            return Err(NoCodes::TooCostly);
        }
    }
    let code = |concept| {
        definitions
            .text(definitions.concept_of(concept).code)
            .to_owned()
    };
    let tokens = seen
        .into_iter()
        .map(|concept| (system.to_owned(), code(concept)));
    Ok(tokens.collect())
}

/// Where the hierarchy does not mean subsumption, nothing is above or below.
fn next(
    definitions: &Definitions,
    code_system: &CodeSystem,
    concept: ConceptId,
    direction: Direction,
) -> Vec<ConceptId> {
    match direction {
        _ if !code_system.is_subsumption() => Vec::new(),
        Direction::Above => definitions.parent_concepts(concept).collect(),
        Direction::Below => definitions.child_concepts(concept).collect(),
    }
}
