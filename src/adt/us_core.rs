//! PID-10 and PID-22 → race and ethnicity of US Core:
//! <http://hl7.org/fhir/us/core/StructureDefinition-us-core-race.html>.
//!
//! Codes of the CDC code system (tables 0005 and 0189) are coded; local ones are told as text,
//! never guessed at.

use hl7v2::segment::data_type::Cwe;
use serde_json::{Value, json};

use crate::adt::data_type::text;

/// The extension for race.
pub const RACE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";
/// The extension for ethnicity.
pub const ETHNICITY: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity";

/// CDC race and ethnicity.
const CDC: &str = "urn:oid:2.16.840.1.113883.6.238";
/// Races told at most: more are no race.
const RACES_MAX: usize = 5;

/// Code of a feed, code of CDC, display: the categories of the Office of Management and Budget.
type Row = (&'static str, &'static str, &'static str);

const RACES: &[Row] = &[
    ("1002-5", "1002-5", "American Indian or Alaska Native"),
    ("2028-9", "2028-9", "Asian"),
    ("2054-5", "2054-5", "Black or African American"),
    (
        "2076-8",
        "2076-8",
        "Native Hawaiian or Other Pacific Islander",
    ),
    ("2106-3", "2106-3", "White"),
];
const ETHNICITIES: &[Row] = &[
    ("2135-2", "2135-2", "Hispanic or Latino"),
    ("H", "2135-2", "Hispanic or Latino"),
    ("2186-5", "2186-5", "Not Hispanic or Latino"),
    ("N", "2186-5", "Not Hispanic or Latino"),
];

/// PID-10 as the extension; `None` when nothing is told.
pub fn race<'m>(races: impl Iterator<Item = Cwe<'m>>) -> Option<Value> {
    extension(RACE, RACES, races.take(RACES_MAX))
}

/// PID-22 as the extension, of which one category may be told; `None` when nothing is told.
pub fn ethnicity<'m>(ethnicities: impl Iterator<Item = Cwe<'m>>) -> Option<Value> {
    extension(ETHNICITY, ETHNICITIES, ethnicities.take(1))
}

fn extension<'m>(
    url: &str,
    categories: &[Row],
    told: impl Iterator<Item = Cwe<'m>>,
) -> Option<Value> {
    let mut parts = Vec::new();
    let mut words = Vec::new();
    for told in told {
        let code = text(told.identifier());
        let row = categories
            .iter()
            .find(|(from, ..)| Some(*from) == code.as_deref());
        let part = match (row, &code) {
            (Some((_, code, display)), _) => Some(coded(
                "ombCategory",
                &json!({ "system": CDC, "code": code, "display": display }),
            )),
            (None, Some(code)) if is_cdc(code) => {
                Some(coded("detailed", &json!({ "system": CDC, "code": code })))
            }
            _ => None,
        };
        parts.extend(part.filter(|part| !parts.contains(part)));
        let display = row.map(|(_, _, display)| (*display).to_owned());
        let word = text(told.original_text()).or_else(|| text(told.text()));
        words.extend(word.or(display).or(code));
    }
    words.dedup();
    if words.is_empty() {
        return None;
    }
    parts.push(json!({ "url": "text", "valueString": words.join(", ") }));
    Some(json!({ "url": url, "extension": parts }))
}

fn coded(url: &str, coding: &Value) -> Value {
    json!({ "url": url, "valueCoding": coding })
}

/// `2106-3`: four digits and a check digit.
fn is_cdc(code: &str) -> bool {
    let is_digits = |part: &str, count: usize| {
        part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    code.split_once('-')
        .is_some_and(|(number, check)| is_digits(number, 4) && is_digits(check, 1))
}
