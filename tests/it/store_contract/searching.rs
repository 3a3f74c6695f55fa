//! Search against the oracle: every criterion with every prefix alone, then random combinations
//! with sorting and paging.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use baton::search::expression::{
    Criterion, DateCriterion, Filter, Include, Prefix, ReferenceCriterion, Search, Sort, SortBy,
    StringMatching, TokenCriterion, Total, Types, UriMatching, ValueKind,
};
use baton::search::value::{
    CANONICAL, Composite, DateRange, Display, IDENTIFIER, Number, ParameterId, Quantity, Reference,
    SearchValues, TEXT, Target, Text, Token, Uri, component,
};
use baton::store::Store;
use fhir_model::key::LogicalId;
use futures_util::future::join;

use super::oracle::{SortKey, World, sort_key};
use super::together::by_code;
use super::{id, instant, new_version, resource_type, with_token, write};
use crate::support::database::on_each_engine;

const KINDS: [ValueKind; 7] = [
    ValueKind::Token,
    ValueKind::String,
    ValueKind::Date,
    ValueKind::Reference,
    ValueKind::Quantity,
    ValueKind::Number,
    ValueKind::Uri,
];
const PREFIXES: [Prefix; 9] = [
    Prefix::Eq,
    Prefix::Ne,
    Prefix::Gt,
    Prefix::Lt,
    Prefix::Ge,
    Prefix::Le,
    Prefix::Sa,
    Prefix::Eb,
    Prefix::Ap,
];
const SYSTEMS: [&str; 3] = ["", "urn:a", "urn:b"];
const CODES: [&str; 4] = ["x", "X", "x%", "é'\"\\"];
const TEXTS: [&str; 7] = ["", "anna", "ann", "a%", "a_", "annb\u{10ffff}", "zoe"];
const DATES: [(i64, i64); 6] = [
    (0, 10),
    (0, 20),
    (10, 20),
    (12, 13),
    (i64::MIN, 15),
    (15, i64::MAX),
];
const NUMBERS: [(f64, f64); 7] = [
    (100.0, 100.0),
    (99.5, 100.5),
    (0.1, 0.1),
    (-5.0, -5.0),
    (5.4, 5.4),
    (f64::MIN, 5.35),
    (100.0, f64::MAX),
];
const URIS: [&str; 7] = [
    "http://a/b",
    "http://a/b/c",
    "http://a/bc",
    "http://a",
    "urn:uuid:1",
    "http://v|1",
    "http://v|1.2",
];
const IDS: [&str; 4] = ["1", "2", "3", "9"];
const UNITS: [&str; 2] = ["g", "m"];

/// Kinds of the components of composites.
const COMPOSITES: [&[ValueKind]; 6] = [
    &[ValueKind::Token, ValueKind::Quantity],
    &[ValueKind::Token, ValueKind::Date],
    &[ValueKind::Token, ValueKind::Token],
    &[ValueKind::Reference, ValueKind::Token],
    &[ValueKind::Token, ValueKind::Number, ValueKind::Number],
    &[ValueKind::String, ValueKind::Uri],
];

fn composite_of(name: &str, place: usize) -> ParameterId {
    ParameterId::new(name, &format!("composite{place}"))
}

fn parameter(kind: ValueKind) -> ParameterId {
    parameter_of("Observation", kind)
}

fn parameter_of(name: &str, kind: ValueKind) -> ParameterId {
    ParameterId::new(name, &format!("{kind:?}"))
}

/// Numbers that look random and are the same in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    pub(super) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }

    /// Mostly one, sometimes none or several.
    fn few(&mut self) -> usize {
        self.one(&[0, 1, 1, 1, 2, 3])
    }
}

fn random_target(dice: &mut Dice) -> Target {
    match dice.roll(5) {
        0 => Target::Url(dice.one(&URIS).to_owned()),
        1 => Target::Local(resource_type("Group"), id(dice.one(&IDS))),
        2 => Target::Local(resource_type("Observation"), id(dice.one(&IDS))),
        _ => Target::Local(resource_type("Patient"), id(dice.one(&IDS))),
    }
}

/// What a code is shown as, whoever sends it.
fn display(code: &str) -> String {
    match code {
        "x" => "fever",
        "X" => "fever of unknown origin",
        _ => "cough",
    }
    .to_owned()
}

/// Adds a value of a kind, and what its modifiers look at.
fn push_random(
    values: &mut SearchValues,
    dice: &mut Dice,
    kind: ValueKind,
    parameter: ParameterId,
) {
    let (system, code) = (dice.one(&SYSTEMS).to_owned(), dice.one(&CODES).to_owned());
    match kind {
        ValueKind::Token => {
            let normalised = display(&code);
            values.displays.push(Display {
                parameter,
                system: system.clone(),
                code: code.clone(),
                normalised,
            });
            values.tokens.push(Token {
                parameter,
                system,
                code,
            });
        }
        ValueKind::String => {
            let normalised = dice.one(&TEXTS).to_owned();
            let exact = if dice.roll(2) == 0 {
                normalised.to_uppercase()
            } else {
                normalised.clone()
            };
            values.strings.push(Text {
                parameter,
                normalised,
                exact,
            });
        }
        ValueKind::Date => {
            let (low, high) = dice.one(&DATES);
            values.dates.push(DateRange {
                parameter,
                low,
                high,
            });
        }
        ValueKind::Reference => {
            let target = random_target(dice);
            values.references.push(Reference { parameter, target });
        }
        ValueKind::Quantity => {
            let (low, high) = dice.one(&NUMBERS);
            values.quantities.push(Quantity {
                parameter,
                system,
                code,
                low,
                high,
            });
            if dice.roll(2) == 0 {
                let (low, high) = dice.one(&NUMBERS);
                let (parameter, system) = (parameter.aspect(CANONICAL), String::new());
                let code = dice.one(&UNITS).to_owned();
                values.quantities.push(Quantity {
                    parameter,
                    system,
                    code,
                    low,
                    high,
                });
            }
        }
        ValueKind::Number => {
            let (low, high) = dice.one(&NUMBERS);
            values.numbers.push(Number {
                parameter,
                low,
                high,
            });
        }
        ValueKind::Uri => {
            let uri = dice.one(&URIS).to_owned();
            values.uris.push(Uri { parameter, uri });
        }
        ValueKind::Composite => panic!("a composite is made of other kinds"),
    }
}

pub(super) fn random_values(dice: &mut Dice, of: &str) -> SearchValues {
    let mut values = SearchValues::default();
    for kind in KINDS {
        for _ in 0..dice.few() {
            push_random(&mut values, dice, kind, parameter_of(of, kind));
        }
    }
    // A concept that says something itself, and a reference by an identifier.
    if dice.roll(4) == 0 {
        values.strings.push(Text {
            parameter: parameter_of(of, ValueKind::Token).aspect(TEXT),
            normalised: dice.one(&["fever", "unwell"]).to_owned(),
            exact: String::new(),
        });
    }
    if dice.roll(4) == 0 {
        values.tokens.push(Token {
            parameter: parameter_of(of, ValueKind::Reference).aspect(IDENTIFIER),
            system: dice.one(&SYSTEMS).to_owned(),
            code: dice.one(&CODES).to_owned(),
        });
    }
    for (place, kinds) in COMPOSITES.iter().enumerate() {
        for _ in 0..dice.few() {
            let mut together = SearchValues::default();
            for (place, kind) in kinds.iter().enumerate() {
                for _ in 0..=dice.roll(2) {
                    push_random(&mut together, dice, *kind, component(place));
                }
            }
            let parameter = composite_of(of, place);
            values.composites.push(Composite {
                parameter,
                values: together,
            });
        }
    }
    values
}

/// None, one or two.
pub(super) fn random_patients(dice: &mut Dice) -> Vec<LogicalId> {
    (0..dice.roll(3)).map(|_| id(dice.one(&IDS))).collect()
}

/// Writes a world of observations and patients, some of them updated, some deleted.
async fn populate(store: &Store) -> World {
    let mut dice = Dice(1);
    let mut world = Vec::new();
    for patient in ["1", "2", "3"] {
        let mut version = new_version(&format!("Patient/{patient}"), 1, "patient");
        version.values = random_values(&mut dice, "Patient");
        version.patients = vec![id(patient)];
        world.push(version);
    }
    for number in 0..120 {
        let mut version = new_version(&format!("Observation/{number}"), 1, "observation");
        version.last_updated = instant(i64::try_from(dice.roll(20)).unwrap());
        version.values = random_values(&mut dice, "Observation");
        version.patients = random_patients(&mut dice);
        world.push(version);
    }
    write(store, world.clone()).await.unwrap();
    let mut updates = Vec::new();
    for version in world.iter_mut().skip(3) {
        if dice.roll(3) == 0 {
            version.version = version.version.next();
            version.values = random_values(&mut dice, "Observation");
            version.patients = random_patients(&mut dice);
            updates.push(version.clone());
        }
    }
    for version in world.iter().skip(3) {
        if version.version.number() == 1 && dice.roll(5) == 0 {
            updates.push(new_version(&version.key.to_string(), 2, ""));
        }
    }
    world.retain(|version| {
        !updates
            .iter()
            .any(|u| u.key == version.key && u.text.is_none())
    });
    write(store, updates).await.unwrap();
    World(world)
}

pub(super) fn search(filters: Vec<Filter>) -> Search {
    Search {
        filters,
        ..by_code("Observation", "x")
    }
}

fn of_tokens() -> Vec<Criterion> {
    let mut criteria = Vec::new();
    for code in CODES {
        criteria.push(Criterion::Token(TokenCriterion::Code(code.to_owned())));
        for system in SYSTEMS {
            criteria.push(Criterion::Token(TokenCriterion::SystemAndCode(
                system.to_owned(),
                code.to_owned(),
            )));
        }
    }
    for system in SYSTEMS {
        criteria.push(Criterion::Token(TokenCriterion::System(system.to_owned())));
    }
    for text in ["f", "fever", "fever of", "unw", "none"] {
        criteria.push(Criterion::Token(TokenCriterion::Text(text.to_owned())));
    }
    let among = |codes: &[(&str, &str)]| {
        let codes = codes.iter();
        let set = codes.map(|(system, code)| ((*system).to_owned(), (*code).to_owned()));
        Criterion::Token(TokenCriterion::Among(Arc::new(set.collect())))
    };
    criteria.push(among(&[]));
    criteria.push(among(&[
        ("urn:a", "x"),
        ("urn:b", "X"),
        ("", "x%"),
        ("urn:c", "x"),
    ]));
    criteria
}

/// Every criterion that the small domains allow.
pub(super) fn criteria() -> Vec<Criterion> {
    let mut criteria = of_tokens();
    for text in TEXTS
        .into_iter()
        .chain(["n", "ANNA", "%", "_", "zo", "annb"])
    {
        for matching in [
            StringMatching::StartsWith,
            StringMatching::Contains,
            StringMatching::Exact,
            StringMatching::Whole,
            StringMatching::Ends,
        ] {
            criteria.push(Criterion::String {
                text: text.to_owned(),
                matching,
            });
        }
    }
    for prefix in PREFIXES {
        for (low, high) in DATES.into_iter().chain([(10, 15), (20, 30)]) {
            criteria.push(Criterion::Date(DateCriterion { prefix, low, high }));
        }
        for (low, high) in NUMBERS.into_iter().chain([
            (99.5, 100.5),
            (0.05, 0.15),
            (5.35, 5.45),
            (5.0, 5.4),
            (-5.5, -4.5),
        ]) {
            criteria.push(Criterion::Number { prefix, low, high });
            criteria.push(Criterion::CanonicalQuantity {
                prefix,
                low,
                high,
                unit: "g".to_owned(),
            });
            for system in [None, Some("urn:a")] {
                for code in [None, Some("x")] {
                    criteria.push(Criterion::Quantity {
                        prefix,
                        low,
                        high,
                        system: system.map(str::to_owned),
                        code: code.map(str::to_owned),
                    });
                }
            }
        }
    }
    for target in IDS {
        criteria.push(Criterion::Reference(ReferenceCriterion::AnyType(id(
            target,
        ))));
        for name in ["Patient", "Group"] {
            let local = ReferenceCriterion::Local(resource_type(name), id(target));
            criteria.push(Criterion::Reference(local));
        }
    }
    let more = ["http://a/b/c/d", "http://a/", "http://v|1.2.3", "http://v"];
    for uri in URIS.into_iter().chain(more) {
        for form in [
            ReferenceCriterion::Url,
            ReferenceCriterion::Below,
            ReferenceCriterion::Above,
        ] {
            criteria.push(Criterion::Reference(form(uri.to_owned())));
        }
        for matching in [UriMatching::Equal, UriMatching::Below, UriMatching::Above] {
            criteria.push(Criterion::Uri {
                uri: uri.to_owned(),
                matching,
            });
        }
    }
    criteria
}

fn kind(criterion: &Criterion) -> ValueKind {
    match criterion {
        Criterion::Token(_) => ValueKind::Token,
        Criterion::String { .. } => ValueKind::String,
        Criterion::Date(_) => ValueKind::Date,
        Criterion::Reference(_) => ValueKind::Reference,
        Criterion::Quantity { .. } | Criterion::CanonicalQuantity { .. } => ValueKind::Quantity,
        Criterion::Number { .. } => ValueKind::Number,
        Criterion::Uri { .. } => ValueKind::Uri,
        Criterion::Composite(_) => ValueKind::Composite,
    }
}

fn any(criterion: Criterion, negated: bool) -> Filter {
    Filter::Any {
        parameter: parameter(kind(&criterion)),
        criteria: vec![criterion],
        negated,
    }
}

/// The ids of all matches, page by page.
async fn found(store: &Store, search: &Search) -> Vec<String> {
    let mut search = search.clone();
    let mut ids = Vec::new();
    loop {
        let page = store.search(&search).await.unwrap();
        assert!(page.matches.len() <= search.count as usize);
        ids.extend(
            page.matches
                .iter()
                .map(|stored| stored.key.id.as_str().to_owned()),
        );
        match page.next {
            Some(next) => search.after = Some(next),
            None => return ids,
        }
    }
}

/// What the oracle finds, in the order asked for.
pub(super) fn expected(world: &World, search: &Search) -> Vec<String> {
    let mut found = world.matches(search);
    found.sort_by(|a, b| {
        let compare = |sort: &Sort| {
            let key = |resource| sort_key(resource, sort.by, sort.descending);
            missing_last(key(a), key(b), sort.descending)
        };
        search
            .sort
            .iter()
            .map(compare)
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    found
        .iter()
        .map(|resource| resource.key.id.as_str().to_owned())
        .collect()
}

fn missing_last(a: Option<SortKey>, b: Option<SortKey>, descending: bool) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Greater,
        (_, None) => Ordering::Less,
        (Some(a), Some(b)) if descending => b.partial_cmp(&a).unwrap(),
        (Some(a), Some(b)) => a.partial_cmp(&b).unwrap(),
    }
}

async fn check(store: &Store, world: &World, search: &Search) {
    let expected = expected(world, search);
    assert_eq!(found(store, search).await, expected, "{search:?}");
    let counted = Search {
        total: Total::Only,
        ..search.clone()
    };
    let page = store.search(&counted).await.unwrap();
    assert_eq!(page.total, Some(expected.len() as u64), "{search:?}");
    assert!(page.matches.is_empty());
}

#[tokio::test]
async fn every_criterion_finds_what_the_oracle_finds() {
    on_each_engine(async |store| {
        let world = populate(&store).await;
        for criterion in criteria() {
            for negated in [false, true] {
                check(
                    &store,
                    &world,
                    &search(vec![any(criterion.clone(), negated)]),
                )
                .await;
            }
        }
        for kind in KINDS {
            for missing in [false, true] {
                let filter = Filter::Missing {
                    parameter: parameter(kind),
                    kind,
                    missing,
                };
                check(&store, &world, &search(vec![filter])).await;
            }
        }
        for prefix in PREFIXES {
            let second = |second| instant(second).timestamp_micros();
            let date = DateCriterion {
                prefix,
                low: second(5),
                high: second(10),
            };
            check(
                &store,
                &world,
                &search(vec![Filter::LastUpdated(vec![date])]),
            )
            .await;
        }
        for patient in IDS {
            check(
                &store,
                &world,
                &search(vec![Filter::Compartment(id(patient))]),
            )
            .await;
        }
        let ids: Vec<LogicalId> = ["3", "7", "none"].map(id).into();
        check(&store, &world, &search(vec![Filter::Id(ids)])).await;
        check(&store, &world, &search(vec![Filter::Id(Vec::new())])).await;
        check(&store, &world, &search(vec![Filter::Nothing])).await;
        check(&store, &world, &search(Vec::new())).await;
    })
    .await;
}

/// A criterion for each component of a composite; modifiers are not for components.
fn random_composite(dice: &mut Dice, criteria: &[Criterion], kinds: &[ValueKind]) -> Criterion {
    let is_plain = |criterion: &&Criterion| {
        !matches!(
            criterion,
            Criterion::Token(TokenCriterion::Text(_) | TokenCriterion::Among(_))
        )
    };
    let parts = kinds.iter().map(|of| {
        let alike = criteria.iter().filter(|it| kind(it) == *of);
        let alike: Vec<Criterion> = alike.filter(is_plain).cloned().collect();
        dice.one(&alike)
    });
    Criterion::Composite(parts.collect())
}

#[tokio::test]
async fn composites_find_what_holds_of_one_element() {
    on_each_engine(async |store| {
        let world = populate(&store).await;
        let criteria = criteria();
        let mut dice = Dice(11);
        for (place, kinds) in COMPOSITES.iter().enumerate() {
            let parameter = composite_of("Observation", place);
            for number in 0..60 {
                let count = 1 + number % 2;
                let composites = (0..count).map(|_| random_composite(&mut dice, &criteria, kinds));
                let filter = Filter::Any {
                    parameter,
                    criteria: composites.collect(),
                    negated: false,
                };
                check(&store, &world, &search(vec![filter])).await;
            }
            for missing in [false, true] {
                let kind = ValueKind::Composite;
                let filter = Filter::Missing {
                    parameter,
                    kind,
                    missing,
                };
                check(&store, &world, &search(vec![filter])).await;
            }
        }
    })
    .await;
}

pub(super) fn random_filter(
    dice: &mut Dice,
    criteria: &[Criterion],
    depth: usize,
    of: &str,
) -> Filter {
    match dice.roll(14) {
        0 => Filter::Compartment(id(dice.one(&IDS))),
        1 => {
            let kind = dice.one(&KINDS);
            Filter::Missing {
                parameter: parameter_of(of, kind),
                kind,
                missing: dice.roll(2) == 0,
            }
        }
        2 => Filter::Id(
            (0..60)
                .map(|number| id(&(number * 2).to_string()))
                .collect(),
        ),
        3 => {
            let low = instant(3).timestamp_micros();
            let high = instant(12).timestamp_micros();
            let mut date = || DateCriterion {
                prefix: dice.one(&PREFIXES),
                low,
                high,
            };
            Filter::LastUpdated(vec![date(), date()])
        }
        4..=8 if depth > 0 => random_combination(dice, criteria, depth - 1, of),
        _ => {
            let first = dice.one(criteria);
            let wanted = kind(&first);
            let alike: Vec<Criterion> = criteria
                .iter()
                .filter(|criterion| kind(criterion) == wanted)
                .cloned()
                .collect();
            let criteria = std::iter::once(first)
                .chain((0..dice.few()).map(|_| dice.one(&alike)))
                .collect();
            Filter::Any {
                parameter: parameter_of(of, wanted),
                criteria,
                negated: dice.roll(4) == 0,
            }
        }
    }
}

/// A filter made of filters.
fn random_combination(dice: &mut Dice, criteria: &[Criterion], depth: usize, of: &str) -> Filter {
    let some = |dice: &mut Dice, of: &str| -> Vec<Filter> {
        (0..=dice.roll(2))
            .map(|_| random_filter(dice, criteria, depth, of))
            .collect()
    };
    match dice.roll(6) {
        0 => {
            let parameter = parameter_of(of, ValueKind::Reference);
            let target = dice.one(&["Patient", "Patient", "Observation"]);
            let filters = some(dice, target);
            let target = resource_type(target).into();
            Filter::Chain {
                parameter,
                target,
                filters,
            }
        }
        1 => Filter::Chain {
            parameter: parameter_of(of, ValueKind::Reference),
            target: Types::new(TWO_TYPES.map(resource_type).into()),
            filters: vec![random_branches(dice, criteria, depth)],
        },
        2 => {
            let source = dice.one(&TWO_TYPES);
            Filter::Has {
                source: resource_type(source),
                parameter: parameter_of(source, ValueKind::Reference),
                filters: some(dice, source),
            }
        }
        3 => Filter::And(some(dice, of)),
        4 => Filter::Or(some(dice, of)),
        _ => Filter::Not(Box::new(random_filter(dice, criteria, depth, of))),
    }
}

const TWO_TYPES: [&str; 2] = ["Observation", "Patient"];

fn random_branches(dice: &mut Dice, criteria: &[Criterion], depth: usize) -> Filter {
    let branch = |of| (resource_type(of), random_filter(dice, criteria, depth, of));
    Filter::ByType(TWO_TYPES.map(branch).into())
}

pub(super) fn random_sort(dice: &mut Dice) -> Sort {
    let by = match dice.roll(9) {
        0 => SortBy::Id,
        1 => SortBy::LastUpdated,
        kind => SortBy::Parameter(parameter(KINDS[kind - 2]), KINDS[kind - 2]),
    };
    Sort {
        by,
        descending: dice.roll(2) == 0,
    }
}

#[tokio::test]
async fn combinations_find_what_the_oracle_finds_in_order() {
    on_each_engine(async |store| {
        let world = populate(&store).await;
        let criteria = criteria();
        let mut dice = Dice(7);
        for _ in 0..400 {
            let filters = (0..dice.roll(4))
                .map(|_| random_filter(&mut dice, &criteria, 3, "Observation"))
                .collect();
            let sort = (0..dice.roll(3)).map(|_| random_sort(&mut dice)).collect();
            let count = dice.one(&[3, 10, 200]);
            check(
                &store,
                &world,
                &Search {
                    sort,
                    count,
                    ..search(filters)
                },
            )
            .await;
        }
    })
    .await;
}

#[tokio::test]
async fn searches_of_several_types_find_what_the_oracle_finds_in_order() {
    on_each_engine(async |store| {
        let world = populate(&store).await;
        let criteria = criteria();
        let mut dice = Dice(11);
        for round in 0..200 {
            let filters = (0..dice.roll(3))
                .map(|_| random_branches(&mut dice, &criteria, 2))
                .collect();
            let by = dice.one(&[SortBy::Id, SortBy::LastUpdated]);
            let sort = (0..dice.roll(2)).map(|_| Sort {
                by,
                descending: false,
            });
            let types = match round % 2 {
                0 => Types::new(TWO_TYPES.map(resource_type).into()),
                _ => Types::ALL,
            };
            check(
                &store,
                &world,
                &Search {
                    types,
                    sort: sort.collect(),
                    count: dice.one(&[3, 10, 200]),
                    ..search(filters)
                },
            )
            .await;
        }
    })
    .await;
}

fn include(source: &str, parameters: &[ParameterId], target: Option<&str>) -> Include {
    Include {
        source: Some(resource_type(source)),
        parameters: parameters.into(),
        target: target.map(resource_type),
        iterate: false,
    }
}

async fn included(store: &Store, search: &Search) -> BTreeSet<String> {
    let page = store.search(search).await.unwrap();
    let included: Vec<String> = page
        .included
        .iter()
        .map(|stored| stored.key.to_string())
        .collect();
    let set: BTreeSet<String> = included.iter().cloned().collect();
    assert_eq!(set.len(), included.len(), "included twice");
    set
}

#[tokio::test]
async fn includes_follow_references_both_ways() {
    on_each_engine(async |store| {
        let subject = ParameterId::new("Observation", "subject");
        let performer = ParameterId::new("Observation", "performer");
        let refer = |name, to: &[(ParameterId, &str, &str)]| {
            let mut version = with_token(new_version(name, 1, "text"), "x");
            for (parameter, target, target_id) in to {
                let target = Target::Local(resource_type(target), id(target_id));
                version.values.references.push(Reference {
                    parameter: *parameter,
                    target,
                });
            }
            version
        };
        let versions = vec![
            refer("Patient/p", &[]),
            refer("Patient/gone", &[]),
            refer("Practitioner/d", &[]),
            refer(
                "Observation/1",
                &[(subject, "Patient", "p"), (performer, "Practitioner", "d")],
            ),
            refer("Observation/2", &[(subject, "Patient", "p")]),
            refer("Observation/3", &[(subject, "Patient", "gone")]),
            refer("Observation/4", &[(subject, "Patient", "never")]),
        ];
        write(&store, versions).await.unwrap();
        write(&store, vec![new_version("Patient/gone", 2, "")])
            .await
            .unwrap();
        let check = async |name: &str, includes: Vec<Include>, reverse: bool, expected: &[&str]| {
            let mut search = by_code(name, "x");
            *(if reverse {
                &mut search.revincludes
            } else {
                &mut search.includes
            }) = includes;
            let expected: BTreeSet<String> = expected.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(included(&store, &search).await, expected, "{search:?}");
        };
        let forth =
            |parameters: &[ParameterId], target| vec![include("Observation", parameters, target)];
        check(
            "Observation",
            forth(&[subject], None),
            false,
            &["Patient/p"],
        )
        .await;
        check(
            "Observation",
            forth(&[], None),
            false,
            &["Patient/p", "Practitioner/d"],
        )
        .await;
        check(
            "Observation",
            forth(&[], Some("Practitioner")),
            false,
            &["Practitioner/d"],
        )
        .await;
        check("Patient", forth(&[subject], None), false, &[]).await;
        let two = &["Observation/1", "Observation/2"];
        check("Patient", forth(&[subject], None), true, two).await;
        check(
            "Patient",
            forth(&[subject, performer], Some("Patient")),
            true,
            two,
        )
        .await;
        check("Patient", forth(&[performer], None), true, &[]).await;
        check(
            "Practitioner",
            forth(&[subject, performer], None),
            true,
            &["Observation/1"],
        )
        .await;
        check(
            "Practitioner",
            forth(&[subject, performer], Some("Patient")),
            true,
            &[],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn paging_while_others_write_shows_every_match_once() {
    on_each_engine(async |store| {
        let name = |number: usize| format!("Observation/{number:03}");
        let versions = (0..60)
            .map(|n| with_token(new_version(&name(n), 1, "text"), "x"))
            .collect();
        write(&store, versions).await.unwrap();
        let search = Search {
            count: 7,
            ..by_code("Observation", "x")
        };
        let page = found(&store, &search);
        let change = async {
            for number in 0..60 {
                let (other, this) = (name(100 + number), name(number));
                let versions = vec![
                    with_token(new_version(&other, 1, "text"), "x"),
                    with_token(new_version(&this, 2, "text"), "x"),
                ];
                write(&store, versions).await.unwrap();
            }
        };
        let (found, ()) = join(page, change).await;
        let set: BTreeSet<&String> = found.iter().collect();
        assert_eq!(set.len(), found.len(), "a match came twice");
        for number in 0..60 {
            assert!(set.contains(&format!("{number:03}")), "a match was hidden");
        }
    })
    .await;
}

#[tokio::test]
async fn a_dense_filter_finds_what_a_sparse_one_finds() {
    on_each_engine(async |store| {
        let mut versions = Vec::new();
        for number in 0..1_500 {
            let name = format!("Observation/{number:04}");
            let mut version = with_token(new_version(&name, 1, "text"), "x");
            let date = DateRange {
                parameter: parameter(ValueKind::Date),
                low: number,
                high: number + 1,
            };
            version.values.dates.push(date);
            versions.push(version);
        }
        write(&store, versions).await.unwrap();
        let date = |prefix, low| {
            let criteria = vec![Criterion::Date(DateCriterion {
                prefix,
                low,
                high: low + 1,
            })];
            Filter::Any {
                parameter: parameter(ValueKind::Date),
                criteria,
                negated: false,
            }
        };
        let code = by_code("Observation", "x").filters.remove(0);
        for (filters, expected) in [
            (vec![code.clone()], 1_500),
            (vec![code.clone(), date(Prefix::Ge, 100)], 1_400),
            (vec![date(Prefix::Ge, 100), date(Prefix::Lt, 1_400)], 1_300),
            (vec![code, date(Prefix::Eq, 700)], 1),
        ] {
            let all = Search {
                count: 400,
                ..search(filters)
            };
            let ids = found(&store, &all).await;
            assert_eq!(ids.len(), expected);
            assert!(ids.is_sorted());
            let sort = vec![Sort {
                by: SortBy::Parameter(parameter(ValueKind::Date), ValueKind::Date),
                descending: true,
            }];
            let mut descending = found(&store, &Search { sort, ..all }).await;
            descending.reverse();
            assert_eq!(descending, ids);
        }
    })
    .await;
}
