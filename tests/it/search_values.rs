//! Whatever value a resource has, there is a query that names it and finds the resource: of every
//! example of the specification in memory, of the examples of this repository through each store.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::sync::{Arc, LazyLock};

use baton::definitions::embedded;
use baton::search::expression::Search;
use baton::search::extract::{Extracted, Extractor};
use baton::search::matching::{Candidate, matches};
use baton::search::query::{Context, Handling, PageKey, escape, parse};
use baton::search::value::{
    CANONICAL, IDENTIFIER, OF_TYPE, ParameterId, SearchValues, TEXT, Target, component,
};
use baton::search::{narrative, parameter};
use baton::store::{ChangeKind, NewVersion, Rows, Store, Transaction, Work};
use chrono::{DateTime, Utc};
use fhir_model::definition::Definitions;
use fhir_model::key::{LogicalId, ResourceKey, ResourceType, VersionId};
use fhir_model::reference::BaseUrl;
use fhir_model::tree::{Limits, Tree};
use flate2::read::GzDecoder;

use crate::examples::examples;
use crate::support::database::on_each_engine;
use crate::support::shared;

const BASE_URL: &str = "https://baton.example/fhir";

/// Of the queries for the resources of this repository, one of so many is asked of the stores.
const ASKED_OF: usize = 5;

static DEFINITIONS: LazyLock<Arc<Definitions>> = LazyLock::new(embedded);
static EXTRACTOR: LazyLock<Extractor> =
    LazyLock::new(|| Extractor::new(embedded(), BaseUrl::new(BASE_URL)));

/// A resource and what it is found by.
struct Found {
    key: ResourceKey,
    extracted: Extracted,
}

impl Found {
    fn of(text: &str) -> Self {
        let tree = Tree::parse(text, DEFINITIONS.names(), &Limits::default()).unwrap();
        let resource = tree.element();
        let name = resource.resource_type().unwrap().into_owned();
        let type_id = DEFINITIONS.resource_type(&name).unwrap();
        let id = resource.id().unwrap_or_else(|| "none".into());
        Self {
            key: ResourceKey {
                resource_type: ResourceType::parse(&name).unwrap(),
                id: LogicalId::parse(&id).unwrap(),
            },
            extracted: EXTRACTOR.extract(resource, type_id),
        }
    }

    /// The names by which values are asked for, and whether these are in the canonical unit.
    fn names(&self) -> HashMap<ParameterId, (String, bool)> {
        let type_id = DEFINITIONS
            .resource_type(self.key.resource_type.as_str())
            .unwrap();
        let mut names = HashMap::new();
        for found in parameter::all(&DEFINITIONS, type_id) {
            let (id, code) = (found.id, found.code);
            names.insert(id, (code.to_owned(), false));
            names.insert(id.aspect(CANONICAL), (code.to_owned(), true));
            for aspect in [TEXT, OF_TYPE, IDENTIFIER] {
                names.insert(id.aspect(aspect), (format!("{code}:{aspect}"), false));
            }
        }
        let of = self.key.resource_type.as_str();
        names.insert(
            narrative::parameter(of),
            (narrative::TEXT.to_owned(), false),
        );
        names
    }

    /// For each value a query that names it.
    fn queries(&self) -> Vec<(String, String)> {
        let (names, values) = (self.names(), &self.extracted.values);
        let mut queries = Vec::new();
        for (parameter, value) in plain_queries(values) {
            let (name, is_canonical) = &names[&parameter];
            let value = if *is_canonical {
                value.replacen("||", "|http://unitsofmeasure.org|", 1)
            } else {
                value
            };
            queries.push((name.clone(), value));
        }
        for display in &values.displays {
            let name = format!("{}:text", names[&display.parameter].0);
            queries.push((name, escape(&display.normalised)));
        }
        for composite in &values.composites {
            let plain = plain_queries(&composite.values);
            let value = |place| {
                let mut plain = plain.iter();
                plain.find(|(parameter, _)| *parameter == component(place))
            };
            let values: Option<Vec<&str>> = (0..)
                .take_while(|place| has_component(&composite.values, component(*place)))
                .map(|place| value(place).map(|(_, value)| value.as_str()))
                .collect();
            if let Some(values) = values {
                queries.push((names[&composite.parameter].0.clone(), values.join("$")));
            }
        }
        queries
    }

    fn search(&self, name: &str, value: &str) -> Search {
        let context = Context {
            definitions: &DEFINITIONS,
            unindexed: &HashSet::new(),
            base_url: &BaseUrl::new(BASE_URL),
            handling: Handling::Strict,
            count_default: 1_000,
            count_max: 1_000,
            now: DateTime::<Utc>::UNIX_EPOCH,
            page_key: &PageKey([0; 32]),
        };
        let pairs = [(name.to_owned(), value.to_owned())];
        let parsed = parse(&context, &self.key.resource_type.clone().into(), &pairs);
        parsed
            .unwrap_or_else(|issues| panic!("{name}={value}: {issues:?}"))
            .search
    }
}

fn has_component(values: &SearchValues, place: ParameterId) -> bool {
    values.tokens.iter().any(|it| it.parameter == place)
        || values.strings.iter().any(|it| it.parameter == place)
        || values.dates.iter().any(|it| it.parameter == place)
        || values.references.iter().any(|it| it.parameter == place)
        || values.quantities.iter().any(|it| it.parameter == place)
        || values.numbers.iter().any(|it| it.parameter == place)
        || values.uris.iter().any(|it| it.parameter == place)
}

/// Queries for the values that are of one kind.
fn plain_queries(values: &SearchValues) -> Vec<(ParameterId, String)> {
    let mut queries = Vec::new();
    for token in &values.tokens {
        let system = escape(&token.system);
        let value = match (system.as_str(), token.code.split_once('|')) {
            // The type and the value of an identifier are separated, not part of a code.
            (_, Some((code, value))) => format!("{system}|{}|{}", escape(code), escape(value)),
            ("", None) => escape(&token.code),
            (_, None) => format!("{system}|{}", escape(&token.code)),
        };
        queries.push((token.parameter, value));
    }
    for text in &values.strings {
        let text_of = match text.exact.as_str() {
            "" => &text.normalised,
            _ => &text.exact,
        };
        queries.push((text.parameter, escape(text_of)));
    }
    for date in values.dates.iter().filter(|date| date.low != i64::MIN) {
        let low = DateTime::from_timestamp_micros(date.low).unwrap();
        let value = format!("ge{}", low.format("%Y-%m-%dT%H:%M:%S%.6fZ"));
        queries.push((date.parameter, value));
    }
    for reference in &values.references {
        let target = match &reference.target {
            Target::Local(resource_type, id) => format!("{resource_type}/{id}"),
            Target::Url(url) => url.clone(),
        };
        queries.push((reference.parameter, escape(&target)));
    }
    for quantity in &values.quantities {
        let Some(number) = point(quantity.low, quantity.high) else {
            continue;
        };
        let value = match (quantity.system.as_str(), quantity.code.as_str()) {
            ("", "") => number,
            (system, code) => format!("{number}|{}|{}", escape(system), escape(code)),
        };
        queries.push((quantity.parameter, value));
    }
    for number in &values.numbers {
        queries.extend(point(number.low, number.high).map(|value| (number.parameter, value)));
    }
    for uri in &values.uris {
        queries.push((uri.parameter, escape(&uri.uri)));
    }
    queries
}

/// A query for a point, or for what a range that is open at one end is beyond.
fn point(low: f64, high: f64) -> Option<String> {
    match (low.abs() < f64::MAX, high.abs() < f64::MAX) {
        (true, true) if low < high => Some(format!("ap{low}")),
        (true, true) => Some(low.to_string()),
        (true, false) => Some(format!("ge{low}")),
        (false, true) => Some(format!("le{high}")),
        (false, false) => None,
    }
}

/// The examples of the specification; none, with a word why, where they are not at hand.
fn specification() -> Vec<(String, String)> {
    let folder = shared::folder();
    let Ok(archive) = File::open(folder.join("tests/ig-examples.tgz")) else {
        shared::say("left out: the examples of the specification are not at hand");
        return Vec::new();
    };
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let mut examples = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if path.contains("/r4-spec/") && !path.ends_with('/') {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            examples.push((path, text));
        }
    }
    assert!(examples.len() > 300);
    examples
}

#[test]
fn every_example_is_found_by_its_values() {
    let (mut resources, mut asked) = (0, 0);
    for (path, text) in specification() {
        let found = Found::of(&text);
        assert_eq!(found.extracted.problems, [], "{path}");
        let candidate = Candidate {
            resource_type: &found.key.resource_type,
            id: &found.key.id,
            last_updated: 0,
            patients: &found.extracted.patients,
            values: &found.extracted.values,
        };
        resources += 1;
        for (name, value) in found.queries() {
            assert!(!value.is_empty(), "{path}: {name}");
            let search = found.search(&name, &value);
            let mut filters = search.filters.iter();
            let is_found = filters.all(|filter| matches(candidate, filter, &[]));
            assert!(is_found, "{path}: {name}={value}");
            asked += 1;
        }
    }
    println!("{resources} resources, {asked} queries");
}

/// Writes resources.
struct Write(Vec<NewVersion>);

impl Work for Write {
    type Output = ();
    type Error = baton::store::Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<(), baton::store::Error> {
        transaction.append(Rows {
            versions: self.0.clone(),
            ..Rows::default()
        });
        Ok(())
    }
}

async fn write(store: &Store, resources: &[Found]) {
    let version = |found: &Found| NewVersion {
        key: found.key.clone(),
        version: VersionId::new(1).unwrap(),
        last_updated: DateTime::<Utc>::UNIX_EPOCH,
        kind: ChangeKind::Create,
        text: Some("{}".into()),
        values: found.extracted.values.clone(),
        patients: found.extracted.patients.clone(),
        cause: "test".into(),
    };
    let versions = resources.iter().map(version).collect();
    store.transact(Write(versions)).await.unwrap();
}

#[tokio::test]
async fn stored_resources_are_found_by_their_values() {
    let texts = examples()
        .into_iter()
        .map(|path| std::fs::read_to_string(path).unwrap());
    let resources: Vec<Found> = texts.map(|text| Found::of(&text)).collect();
    on_each_engine(async |store| {
        write(&store, &resources).await;
        let queries = resources
            .iter()
            .flat_map(|found| found.queries().into_iter().map(move |query| (found, query)));
        let mut asked = 0;
        for (found, (name, value)) in queries.step_by(ASKED_OF) {
            let page = store.search(&found.search(&name, &value)).await.unwrap();
            let is_found = page.matches.iter().any(|stored| stored.key == found.key);
            assert!(is_found, "{}?{name}={value}", found.key.resource_type);
            asked += 1;
        }
        println!("{} resources, {asked} queries", resources.len());
    })
    .await;
}
