//! `Patient/$match`: which patients a description may be of.
//!
//! <https://hl7.org/fhir/R4/patient-operation-match.html>. Candidates are found by indexed searches of
//! what is rarely shared (identifiers, phone, birth date with a name), each for a bounded number, and
//! compared by [`crate::patient_match`]. Nothing of a description is logged.

use std::borrow::Cow;
use std::collections::BTreeMap;

use fhir_model::issue::{Issue, IssueType, OperationOutcome};
use fhir_model::tree::Node;
use serde_json::Value;

use crate::error::Error;
use crate::interaction::bundle::{Entry, Writer};
use crate::interaction::{Services, find, invalid, search, url};
use crate::operation::call::{Answer, Call};
use crate::patient_match::{Grade, Match, Person, compare};
use crate::search::query::Handling;
use crate::store::Stored;

/// Patients that one search for candidates gives at most.
const CANDIDATES_MAX: u32 = 100;
/// Searches for candidates at most.
const SEARCHES_MAX: usize = 24;
/// Matches when `count` is absent, and at most.
const MATCHES_MAX: usize = 50;
/// Letters of a family name by which candidates are found.
const PREFIX_LETTERS: usize = 3;

/// `Patient/$match`.
///
/// # Errors
/// [`Error::Invalid`] without a Patient, or with one that says too little.
pub async fn patient_match(call: Call) -> Result<Answer, Error> {
    let services = &call.context.services;
    let described = described(&call)?;
    let only_certain = call.input.boolean("onlyCertainMatches")?.unwrap_or(false);
    let count = call
        .input
        .parsed("count", "number above 0", |text| {
            text.parse().ok().filter(|count: &usize| *count > 0)
        })?
        .unwrap_or(MATCHES_MAX)
        .min(MATCHES_MAX);
    let (candidates, is_cut) = candidates(services, &described).await?;
    let mut matches = graded(&described.person, candidates)?;
    let mut notes = Vec::new();
    if is_cut {
        notes.push(Issue::warning(
            IssueType::Incomplete,
            "more patients have something of this description than were compared",
        ));
    }
    if only_certain {
        matches.retain(|(found, _)| found.grade == Grade::Certain);
        if matches.len() > 1 {
            let text = "more than one patient is a certain match: none is told";
            notes.push(Issue::warning(IssueType::MultipleMatches, text));
            matches.clear();
        }
    }
    matches.truncate(count);
    Ok(Answer::Resource(bundle(services, &matches, notes)))
}

/// What was sent, and how candidates for it are found.
struct Described {
    person: Person,
    searches: Vec<Query>,
}

/// The names and values of a search.
type Query = Vec<(String, String)>;

/// The Patient that was sent.
fn described(call: &Call) -> Result<Described, Error> {
    let sent = call.input.part("resource").ok_or_else(|| {
        invalid(
            IssueType::Required,
            "a Patient is expected, as the body or as the parameter \"resource\"",
        )
    })?;
    let node = sent.node();
    let resource_type = node.get_str("resourceType").and_then(Node::as_str);
    if resource_type.as_deref() != Some("Patient") {
        return Err(invalid(IssueType::Invalid, "the resource is no Patient"));
    }
    let patient = node.tree().to_value(node.id());
    let person = Person::of(&patient);
    let searches = searches(&person, &patient);
    if searches.is_empty() {
        return Err(invalid(
            IssueType::Required,
            "too little is said of the patient: an identifier with a system, a phone number or \
             address of electronic mail, or two of family name, given name and birth date are needed",
        ));
    }
    Ok(Described { person, searches })
}

/// The searches that find who has something of a description that few have.
fn searches(person: &Person, patient: &Value) -> Vec<Query> {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let mut searches: Vec<Query> = Vec::new();
    for (system, value) in &person.identifiers {
        let token = format!("{}|{}", escaped(system), escaped(value));
        searches.push(vec![pair("identifier", token)]);
    }
    for telecom in telecoms(patient) {
        searches.push(vec![pair("telecom", escaped(telecom))]);
    }
    let given = |names: &Vec<String>| names.first().cloned();
    let givens: Vec<String> = person.givens.iter().filter_map(given).collect();
    if let Some(birth_date) = &person.birth_date {
        let born = || pair("birthdate", birth_date.clone());
        for family in &person.families {
            searches.push(vec![born(), pair("family", escaped(&prefix(family)))]);
        }
        for given in &givens {
            searches.push(vec![born(), pair("given", escaped(given))]);
        }
    }
    for family in &person.families {
        for given in &givens {
            searches.push(vec![
                pair("family", escaped(family)),
                pair("given", escaped(&prefix(given))),
            ]);
        }
    }
    searches.truncate(SEARCHES_MAX);
    searches
}

/// Phone numbers and addresses as they are written, by which they are indexed.
fn telecoms(patient: &Value) -> impl Iterator<Item = &str> {
    let list = patient.get("telecom").and_then(Value::as_array);
    let values = list.into_iter().flatten();
    values
        .filter_map(|telecom| telecom.get("value")?.as_str())
        .filter(|value| !value.trim().is_empty())
}

fn prefix(name: &str) -> String {
    name.chars().take(PREFIX_LETTERS).collect()
}

/// A value of a search in which nothing has another meaning:
/// <https://hl7.org/fhir/R4/search.html#escaping>.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, '\\' | ',' | '|' | '$') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// The patients that have something of the description, and whether there may be more.
async fn candidates(
    services: &Services,
    described: &Described,
) -> Result<(Vec<Stored>, bool), Error> {
    let patient = services.resource_type("Patient")?.into();
    let mut found = BTreeMap::new();
    let mut is_cut = described.searches.len() == SEARCHES_MAX;
    for query in &described.searches {
        let query = url::encode(query);
        let mut parsed = search::parse(services, &patient, &query, Handling::Strict)?;
        parsed.search.count = CANDIDATES_MAX;
        let page = services.store.search(&parsed.search).await?;
        is_cut |= page.next.is_some();
        found.extend(page.matches.into_iter().map(|stored| (stored.row, stored)));
    }
    Ok((found.into_values().collect(), is_cut))
}

/// The candidates that may be the one described, the likeliest first.
fn graded(person: &Person, candidates: Vec<Stored>) -> Result<Vec<(Match, Stored)>, Error> {
    let mut matches = Vec::with_capacity(candidates.len());
    for stored in candidates {
        let Some(patient) = find::value(&stored)? else {
            continue;
        };
        let found = compare(person, &Person::of(&patient));
        if found.grade != Grade::CertainlyNot {
            matches.push((found, stored));
        }
    }
    matches.sort_by(|(one, _), (other, _)| {
        let by_grade = other.grade.cmp(&one.grade);
        by_grade.then_with(|| other.score.total_cmp(&one.score))
    });
    Ok(matches)
}

fn bundle(services: &Services, matches: &[(Match, Stored)], notes: Vec<Issue>) -> String {
    let now = services.clock.now();
    let total = u64::try_from(matches.len()).ok();
    let id = services.ids.next(now);
    let mut writer = Writer::new("searchset", &id, now, total, &[]);
    for (found, stored) in matches {
        writer.push(&Entry {
            full_url: Some(format!("{}/{}", services.base_url, stored.key)),
            resource: stored.text.as_deref().map(Cow::Borrowed),
            search_mode: Some("match"),
            score: Some((found.score, found.grade.code())),
            ..Entry::default()
        });
    }
    if !notes.is_empty() {
        writer.push(&Entry {
            resource: Some(Cow::Owned(OperationOutcome::new(notes).to_json())),
            search_mode: Some("outcome"),
            ..Entry::default()
        });
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn candidates_are_found_by_what_few_have() {
        let patient = json!({
            "resourceType": "Patient",
            "identifier": [{ "system": "urn:a,b", "value": "1|2" }, { "value": "3" }],
            "name": [{ "family": "Müller", "given": ["Anna", "Maria"] }],
            "birthDate": "1950-01-31",
            "telecom": [{ "system": "phone", "value": "(555) 010-1234" }],
        });
        let searches = searches(&Person::of(&patient), &patient);
        let shown: Vec<String> = searches
            .iter()
            .map(|query| {
                let pairs: Vec<String> = query
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                pairs.join("&")
            })
            .collect();
        assert_eq!(
            shown,
            [
                r"identifier=urn:a\,b|1\|2",
                "telecom=(555) 010-1234",
                "birthdate=1950-01-31&family=mul",
                "birthdate=1950-01-31&given=anna",
                "family=muller&given=ann",
            ]
        );
    }
}
