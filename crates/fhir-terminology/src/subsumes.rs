//! `CodeSystem/$subsumes`: <https://hl7.org/fhir/R4/codesystem-operation-subsumes.html>.
//!
//! What is under a concept is one of its kind only where the code system means that
//! (`hierarchyMeaning`); where it says nothing, it is taken to mean it.

use fhir_model::definition::{CodeSystem, ConceptId, Definitions};
use serde_json::{Value, json};

use crate::lookup::code_system;
use crate::parameters::{Known, Use, text_of};
use crate::{Error, Parameters};

const KNOWN: Known = &[
    ("codeA", Use::Used),
    ("codeB", Use::Used),
    ("system", Use::Used),
    ("version", Use::Used),
    ("codingA", Use::Used),
    ("codingB", Use::Used),
    ("codeSystem", Use::Used),
];

/// How two concepts relate: `Parameters` with an `outcome`.
pub fn subsumes(definitions: &Definitions, parameters: &Parameters) -> Result<Value, Error> {
    parameters.check(KNOWN)?;
    let (first, second) = (side(parameters, "A")?, side(parameters, "B")?);
    let system = match (first.system, second.system, parameters.text("system")?) {
        (Some(first), Some(second), _) if first != second => {
            return Err(Error::Invalid(format!(
                "Both codes are of one code system, and these are of {first} and {second}"
            )));
        }
        (Some(system), ..) | (None, Some(system), _) | (None, None, Some(system)) => Some(system),
        (None, None, None) => None,
    };
    let version = parameters.text("version")?;
    let (definitions, id) = code_system(definitions, parameters, system, version)?;
    let code_system = definitions.code_system_of(id);
    let concept = |code: &str| {
        let id = definitions.concept_id(code_system, code);
        id.ok_or_else(|| unknown_code(&definitions, code_system, code))
    };
    let outcome = relation(
        &definitions,
        code_system,
        concept(first.code)?,
        concept(second.code)?,
    );
    Ok(json!({
        "resourceType": "Parameters",
        "parameter": [{ "name": "outcome", "valueCode": outcome }],
    }))
}

/// How two concepts of a code system relate, as a code of `concept-subsumption-outcome`.
pub fn relation(
    definitions: &Definitions,
    code_system: &CodeSystem,
    first: ConceptId,
    second: ConceptId,
) -> &'static str {
    if first == second {
        "equivalent"
    } else if !code_system.is_subsumption() {
        "not-subsumed"
    } else if definitions.is_above(first, second) {
        "subsumes"
    } else if definitions.is_above(second, first) {
        "subsumed-by"
    } else {
        "not-subsumed"
    }
}

pub(crate) fn unknown_code(
    definitions: &Definitions,
    code_system: &CodeSystem,
    code: &str,
) -> Error {
    let url = definitions.text(code_system.url);
    Error::NotFound(format!("The code {code} is not known in {url}"))
}

/// One of the two codes.
struct Side<'a> {
    system: Option<&'a str>,
    code: &'a str,
}

fn side<'a>(parameters: &'a Parameters, name: &str) -> Result<Side<'a>, Error> {
    let (code, coding) = if name == "A" {
        ("codeA", "codingA")
    } else {
        ("codeB", "codingB")
    };
    match (parameters.text(code)?, parameters.object(coding)?) {
        (Some(code), None) => Ok(Side { system: None, code }),
        (None, Some(coding)) => Ok(Side {
            system: text_of(coding, "system"),
            code: text_of(coding, "code")
                .ok_or_else(|| Error::Invalid("A Coding has no code".to_owned()))?,
        }),
        _ => Err(Error::Invalid(format!(
            "Either {code} or {coding} is needed"
        ))),
    }
}
