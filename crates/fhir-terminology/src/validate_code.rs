//! `ValueSet/$validate-code` and `CodeSystem/$validate-code`:
//! <https://hl7.org/fhir/R4/valueset-operation-validate-code.html>,
//! <https://hl7.org/fhir/R4/codesystem-operation-validate-code.html>.
//!
//! The answer is a `Parameters` resource with `result`, `message` and `display`, and with what R5 and
//! today's terminology servers add: the code as it was found, and `issues` with the codes of
//! `tx-issue-type` and the place of each.

mod display;
mod issues;
mod judge;
mod sent;

use std::borrow::Cow;

use fhir_model::definition::{Definitions, Expansion, Reason, ValueSetId};
use serde_json::{Value, json};

use crate::expand::{name_of, value_set};
use crate::grammar;
use crate::lookup::code_system;
use crate::parameters::{Known, Use};
use crate::validate_code::issues::Issues;
use crate::validate_code::judge::{Judge, Judged};
use crate::validate_code::sent::Sent;
use crate::{Error, Parameters};

/// Which of the two operations is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Whether a code is in a value set.
    ValueSet,
    /// Whether a code is in a code system.
    CodeSystem,
}

const OF_VALUE_SET: Known = &[
    ("url", Use::Used),
    ("valueSet", Use::Used),
    ("valueSetVersion", Use::Used),
    ("code", Use::Used),
    ("system", Use::Used),
    ("systemVersion", Use::Used),
    ("display", Use::Used),
    ("coding", Use::Used),
    ("codeableConcept", Use::Used),
    ("abstract", Use::Used),
    ("activeOnly", Use::Used),
    ("displayLanguage", Use::Used),
    ("inferSystem", Use::Ignored),
    ("valueset-membership-only", Use::Refused),
    ("default-valueset-version", Use::Refused),
    ("system-version", Use::Refused),
    ("check-system-version", Use::Refused),
    ("force-system-version", Use::Refused),
    ("context", Use::Refused),
    ("date", Use::Refused),
    ("useSupplement", Use::Refused),
];

const OF_CODE_SYSTEM: Known = &[
    ("url", Use::Used),
    ("codeSystem", Use::Used),
    ("code", Use::Used),
    ("version", Use::Used),
    ("display", Use::Used),
    ("coding", Use::Used),
    ("codeableConcept", Use::Used),
    ("abstract", Use::Used),
    ("displayLanguage", Use::Used),
    ("date", Use::Refused),
    ("useSupplement", Use::Refused),
];

/// Whether a code is in a value set or code system, and whether what was sent beside it is right.
pub fn validate_code(
    definitions: &Definitions,
    scope: Scope,
    parameters: &Parameters,
) -> Result<Value, Error> {
    match scope {
        Scope::ValueSet => in_value_set(definitions, parameters),
        Scope::CodeSystem => in_code_system(definitions, parameters),
    }
}

fn in_value_set(definitions: &Definitions, parameters: &Parameters) -> Result<Value, Error> {
    parameters.check(OF_VALUE_SET)?;
    let (definitions, id) = value_set(definitions, parameters)?;
    refuse_circles(&definitions, id)?;
    let judge = judge(&definitions, Some(id), parameters)?;
    let sent = Sent::new(parameters, parameters.text("system")?, "systemVersion")?;
    Ok(answer(&judge, &sent))
}

fn in_code_system(definitions: &Definitions, parameters: &Parameters) -> Result<Value, Error> {
    parameters.check(OF_CODE_SYSTEM)?;
    let url = parameters.text("url")?;
    let (definitions, system) = if parameters.has("codeSystem") {
        let (definitions, id) = code_system(definitions, parameters, None, None)?;
        let url = definitions.code_system_of(id).url;
        let url = definitions.text(url).to_owned();
        (definitions, Some(url))
    } else {
        (Cow::Borrowed(definitions), url.map(str::to_owned))
    };
    if let Some(url) = url {
        let is_grammar = grammar::has_code(url, "").is_some();
        if !is_grammar && definitions.code_system(url).is_none() {
            return Err(Error::NotFound(format!(
                "The code system {url} is not known here"
            )));
        }
    }
    if parameters.has("code") && system.is_none() {
        return Err(Error::Invalid("The parameter url is missing".to_owned()));
    }
    let judge = judge(&definitions, None, parameters)?;
    let sent = Sent::new(parameters, system.as_deref(), "version")?;
    Ok(answer(&judge, &sent))
}

fn judge<'a>(
    definitions: &'a Definitions,
    value_set: Option<ValueSetId>,
    parameters: &'a Parameters,
) -> Result<Judge<'a>, Error> {
    Ok(Judge {
        definitions,
        value_set,
        admits_abstract: parameters.flag("abstract")?.unwrap_or(true),
        active_only: parameters.flag("activeOnly")?.unwrap_or_default(),
        language: parameters.language()?,
    })
}

/// Value sets that import one another in a circle say nothing of any code.
fn refuse_circles(definitions: &Definitions, id: ValueSetId) -> Result<(), Error> {
    let Expansion::NotEnumerable(reasons) = definitions.expansion(id) else {
        return Ok(());
    };
    if !reasons.iter().any(|it| it.reason == Reason::ImportCut) {
        return Ok(());
    }
    Err(Error::Unusable(format!(
        "The value sets that {} imports import one another in a circle, or too deeply",
        name_of(definitions, definitions.value_set_of(id))
    )))
}

/// Judges the codes; one that is in the value set is enough.
fn answer(judge: &Judge<'_>, sent: &Sent<'_>) -> Value {
    let mut issues = Issues::default();
    let mut found: Option<Judged> = None;
    for placed in &sent.codes {
        let judged = judge.judge(placed, &mut issues);
        if found
            .as_ref()
            .is_none_or(|found| !found.is_member && judged.is_member)
        {
            found = Some(judged);
        }
    }
    let is_member = found.as_ref().is_some_and(|found| found.is_member);
    if sent.concept.is_some() && judge.value_set.is_some() && !is_member {
        let name = judge.value_set_name();
        let text = format!("No valid coding was found for the value set '{name}'");
        issues.say(issues::NOT_IN_VALUE_SET, text, None);
    }
    judge.say_status(&mut issues);
    let result = is_member && !issues.has_errors();
    let mut parameters = vec![json!({ "name": "result", "valueBoolean": result })];
    if let Some(message) = issues.message() {
        parameters.push(json!({ "name": "message", "valueString": message }));
    }
    let found = found.filter(|found| found.is_member || sent.concept.is_none());
    parameters.extend(found.into_iter().flat_map(|found| found.parameters));
    if let Some(concept) = sent.concept {
        parameters.push(json!({ "name": "codeableConcept", "valueCodeableConcept": concept }));
    }
    if let Some(outcome) = issues.outcome() {
        parameters.push(json!({ "name": "issues", "resource": outcome }));
    }
    json!({ "resourceType": "Parameters", "parameter": parameters })
}

impl Judge<'_> {
    /// Says if the value set, or a code system that it draws from, is not for use yet or any more.
    fn say_status(&self, issues: &mut Issues) {
        let Some(id) = self.value_set else { return };
        let set = self.definitions.value_set_of(id);
        let text = |text| self.definitions.text(text);
        if set.status.map(text) == Some("retired") {
            let name = name_of(self.definitions, set);
            let text = format!("Reference to retired ValueSet {name}");
            issues.say(issues::STATUS, text, None);
        }
    }
}
