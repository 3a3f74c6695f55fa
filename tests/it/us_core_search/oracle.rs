//! What a search finds, told from the resources themselves.

use std::collections::{BTreeMap, BTreeSet};

use baton::definitions;
use chrono::{DateTime, Datelike as _, Days, Duration, Months, NaiveDate, TimeZone as _, Utc};
use fhir_model::definition::Definitions;
use fhir_model::format::Format;
use fhir_model::tree::Limits;
use fhirpath::{Context, Expression, Item};
use serde_json::Value;

use crate::support::server::Baton;

/// What a parameter finds in a resource, as JSON.
type Found = Vec<Value>;

/// All resources of a type, and what the parameters of the guide find in each.
pub(super) struct Oracle {
    resource_type: String,
    /// By parameter: its type.
    kinds: BTreeMap<String, String>,
    /// By id, and by parameter.
    resources: BTreeMap<String, BTreeMap<String, Found>>,
}

/// A search: parameters with one value each.
pub(super) struct Question {
    resource_type: String,
    parameters: Vec<(String, String)>,
}

impl Question {
    pub(super) fn url(&self) -> String {
        let encoded = self.parameters.iter().map(|(name, value)| {
            let value = reqwest::Url::parse_with_params("http://x/", [("v", value)]).unwrap();
            format!(
                "{name}={}",
                value.query().unwrap().split_once('=').unwrap().1
            )
        });
        let parameters = encoded.collect::<Vec<_>>().join("&");
        format!("{}?{parameters}&_count=1000", self.resource_type)
    }
}

impl Oracle {
    /// Reads all resources of a type, and evaluates the guide's expressions on them.
    pub(super) async fn of(
        baton: &Baton,
        resource_type: &str,
        parameters: &BTreeMap<(String, String), (String, String)>,
    ) -> Self {
        let definitions = definitions::embedded();
        let of_type = parameters
            .iter()
            .filter(|((base, _), _)| base == resource_type);
        let mut kinds = BTreeMap::new();
        let mut expressions = BTreeMap::new();
        for ((_, code), (expression, kind)) in of_type {
            kinds.insert(code.clone(), kind.clone());
            // A choice is named as FHIRPath names it, not as JSON does.
            let text = expression.replace(".valueDateTime", ".value");
            let expression = Expression::compile(&text, &definitions, None).unwrap();
            expressions.insert(code.clone(), expression);
        }
        let mut resources = BTreeMap::new();
        for resource in baton.search(&format!("{resource_type}?_count=1000")).await {
            let found = expressions.iter().map(|(code, expression)| {
                let kind = kinds[code].as_str();
                (
                    code.clone(),
                    evaluate(expression, kind, &resource, &definitions),
                )
            });
            resources.insert(resource["id"].as_str().unwrap().to_owned(), found.collect());
        }
        Self {
            resource_type: resource_type.to_owned(),
            kinds,
            resources,
        }
    }

    /// Questions about each combination of parameters, made from what some of the resources have.
    pub(super) fn questions(
        &self,
        combinations: &BTreeSet<Vec<String>>,
        max: usize,
    ) -> Vec<Question> {
        let mut questions = Vec::new();
        for names in combinations {
            let has_all = |found: &&BTreeMap<String, Found>| {
                let values = names.iter().map(|name| found.get(name));
                values
                    .into_iter()
                    .all(|values| values.is_some_and(|found| !found.is_empty()))
            };
            let mut asked = BTreeSet::new();
            for found in self.resources.values().filter(has_all).take(max) {
                for variant in 0..VARIANTS {
                    let value = |name: &String| {
                        let (kind, found) = (self.kinds[name].as_str(), &found[name]);
                        Some((name.clone(), value(kind, found, variant)?))
                    };
                    let Some(parameters) = names.iter().map(value).collect::<Option<Vec<_>>>()
                    else {
                        continue;
                    };
                    if asked.insert(parameters.clone()) {
                        let resource_type = self.resource_type.clone();
                        questions.push(Question {
                            resource_type,
                            parameters,
                        });
                    }
                }
            }
        }
        questions
    }

    /// The ids of the resources that a question finds.
    pub(super) fn answer(&self, question: &Question) -> BTreeSet<String> {
        let is_match = |found: &BTreeMap<String, Found>| {
            question.parameters.iter().all(|(name, asked)| {
                let values = &found[name];
                asked
                    .split(',')
                    .any(|one| matches(&self.kinds[name], values, one))
            })
        };
        let matching = self.resources.iter().filter(|(_, found)| is_match(found));
        matching.map(|(id, _)| id.clone()).collect()
    }
}

fn evaluate(
    expression: &Expression,
    kind: &str,
    resource: &Value,
    definitions: &Definitions,
) -> Found {
    let text = resource.to_string().into_bytes();
    let tree = Format::Json
        .parse(text, definitions, &Limits::default())
        .unwrap();
    let item = Item::resource(tree.element(), definitions).unwrap();
    let context = Context::new(definitions);
    let items = expression.evaluate(&context, item).unwrap();
    // A choice of a date and a text (`occurrence`) is searched by as a date.
    let is_text = |item: &&Item<'_>| item.type_name(definitions) == "string";
    let dates_only = kind == "date";
    let items = items.iter().filter(|item| !(dates_only && is_text(item)));
    let json = items.map(|item| {
        let mut json = String::new();
        item.write_json(definitions, &mut json);
        serde_json::from_str(&json).unwrap()
    });
    json.collect()
}

/// In so many ways a value is asked for.
const VARIANTS: usize = 10;

/// A value to search by, taken from what was found; nothing where that is only a text for people.
fn value(kind: &str, found: &Found, variant: usize) -> Option<String> {
    Some(match kind {
        "token" => {
            let tokens = tokens(&found[0]);
            let (system, code) = tokens.get(variant % tokens.len().max(1))?;
            match (variant % 4, system) {
                (0 | 1, Some(system)) => format!("{system}|{code}"),
                (2, Some(system)) => format!("{system}|"),
                (3, _) => format!("{code},none"),
                _ => code.clone(),
            }
        }
        "reference" => {
            let target = found[0]["reference"]
                .as_str()
                .or(found[0].as_str())
                .unwrap();
            let is_key = target.matches('/').count() == 1;
            match target.rsplit_once('/') {
                Some((_, id)) if is_key && variant % 2 == 1 => id.to_owned(),
                _ => target.to_owned(),
            }
        }
        "date" => {
            let (start, _) = interval(&found[0]);
            let day = start.format("%Y-%m-%d");
            let prefixes = ["", "eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", ""];
            match variant {
                9 => start.format("%Y").to_string(),
                _ => format!("{}{day}", prefixes[variant]),
            }
        }
        "string" => {
            let texts = texts(&found[0]);
            let text = &texts[variant % texts.len()];
            text.chars()
                .take(2 + variant)
                .collect::<String>()
                .trim()
                .to_uppercase()
                .replace(',', "\\,")
        }
        other => panic!("parameters of type {other} are not asked for"),
    })
}

fn matches(kind: &str, found: &Found, asked: &str) -> bool {
    found.iter().any(|found| match kind {
        "token" => tokens(found)
            .iter()
            .any(|token| token_matches(token, asked)),
        "reference" => {
            let target = found["reference"]
                .as_str()
                .or(found.as_str())
                .unwrap_or_default();
            target == asked || target.rsplit_once('/').is_some_and(|(_, id)| id == asked)
        }
        "date" => date_matches(interval(found), asked),
        _ => {
            let asked = asked.replace("\\,", ",").to_lowercase();
            texts(found)
                .iter()
                .any(|text| text.to_lowercase().starts_with(&asked))
        }
    })
}

/// System and code: of a Coding, of each coding of a `CodeableConcept`, of an Identifier, of a code
/// (whose system is not said here).
fn tokens(found: &Value) -> Vec<(Option<String>, String)> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    if let Some(codings) = found["coding"].as_array() {
        return codings.iter().flat_map(tokens).collect();
    }
    if let Some(code) = text(&found["code"]).or(text(&found["value"])) {
        return vec![(text(&found["system"]), code)];
    }
    text(found)
        .map(|code| vec![(None, code)])
        .unwrap_or_default()
}

fn token_matches((system, code): &(Option<String>, String), asked: &str) -> bool {
    match asked.split_once('|') {
        None => code == asked,
        Some((wanted, "")) => system.as_deref() == Some(wanted),
        Some((wanted, asked)) => system.as_deref() == Some(wanted) && code == asked,
    }
}

/// The parts of a text, a `HumanName` or an Address that a string parameter looks at.
fn texts(found: &Value) -> Vec<String> {
    match found {
        Value::String(text) => vec![text.clone()],
        Value::Array(several) => several.iter().flat_map(texts).collect(),
        Value::Object(parts) => {
            let looked_at = parts.iter().filter(|(name, _)| {
                !["use", "type", "period", "extension", "id"].contains(&name.as_str())
                    && !name.starts_with('_')
            });
            looked_at.flat_map(|(_, part)| texts(part)).collect()
        }
        _ => Vec::new(),
    }
}

type Interval = (DateTime<Utc>, DateTime<Utc>);

/// The first instant inside and the first after: of a date in its precision, of a Period.
fn interval(found: &Value) -> Interval {
    match found {
        Value::String(text) => text_interval(text),
        period => {
            let end = |name: &str| period[name].as_str().map(text_interval);
            let low = end("start").map_or(DateTime::<Utc>::MIN_UTC, |(low, _)| low);
            let high = end("end").map_or(DateTime::<Utc>::MAX_UTC, |(_, high)| high);
            (low, high)
        }
    }
}

fn text_interval(text: &str) -> Interval {
    let midnight = |date: NaiveDate| Utc.from_utc_datetime(&date.and_hms_opt(0, 0, 0).unwrap());
    let number = |range| {
        text.get(range)
            .and_then(|digits: &str| digits.parse::<u32>().ok())
    };
    let year = text[..4].parse().unwrap();
    match text.len() {
        4 => {
            let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
            (
                midnight(first),
                midnight(first.with_year(year + 1).unwrap()),
            )
        }
        7 => {
            let first = NaiveDate::from_ymd_opt(year, number(5..7).unwrap(), 1).unwrap();
            (midnight(first), midnight(first + Months::new(1)))
        }
        10 => {
            let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").unwrap();
            (midnight(day), midnight(day + Days::new(1)))
        }
        _ => {
            let low: DateTime<Utc> = DateTime::parse_from_rfc3339(text).unwrap().into();
            let precision = match text.split_once('.') {
                Some(_) => Duration::milliseconds(1),
                None => Duration::seconds(1),
            };
            (low, low + precision)
        }
    }
}

/// <https://hl7.org/fhir/R4/search.html#prefix>, word for word.
fn date_matches((low, high): Interval, asked: &str) -> bool {
    let (prefix, date) = match asked.get(..2) {
        Some(prefix) if prefix.chars().all(char::is_alphabetic) => (prefix, &asked[2..]),
        _ => ("eq", asked),
    };
    let (from, until) = text_interval(date);
    let within = from <= low && high <= until;
    match prefix {
        "eq" => within,
        "ne" => !within,
        "gt" => high > until,
        "lt" => low < from,
        "ge" => high > until || within,
        "le" => low < from || within,
        "sa" => low >= until,
        "eb" => high <= from,
        other => panic!("the prefix {other} is not asked for"),
    }
}

/// What the references of a resource name under a parameter of an include of the guide.
pub(super) fn references(source: &str, code: &str, resource: &Value) -> Vec<String> {
    let elements: Vec<&Value> = match (source, code) {
        ("Provenance", "target") => resource["target"]
            .as_array()
            .into_iter()
            .flatten()
            .collect(),
        ("CareTeam", "participant") => {
            let participants = resource["participant"].as_array().into_iter().flatten();
            participants
                .map(|participant| &participant["member"])
                .collect()
        }
        (_, "medication") => vec![&resource["medicationReference"]],
        (_, "practitioner") => vec![&resource["practitioner"]],
        (_, "endpoint") => resource["endpoint"]
            .as_array()
            .into_iter()
            .flatten()
            .collect(),
        other => panic!("the guide has no include {other:?}"),
    };
    let references = elements
        .into_iter()
        .filter_map(|element| element["reference"].as_str());
    let elsewhere = references.filter(|reference| !reference.starts_with('#'));
    elsewhere.map(ToOwned::to_owned).collect()
}
