//! What expressions give, function by function; expectations are those of the specification.

use std::cell::Cell;

use std::sync::LazyLock;

use fhir_model::definition::{Builder, Definitions};
use fhir_model::tree::{Limits as TreeLimits, Tree};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::context::{Limits, Profiles, Resolved, Resolver, Terminology};
use crate::value::Temporal;
use crate::{EvaluateErrorKind, ParseErrorKind, parse};

mod later;
#[path = "../../../fhir-model/tests/support/r4_core.rs"]
mod r4_core;

static DEFINITIONS: LazyLock<std::sync::Arc<Definitions>> = LazyLock::new(r4_core::definitions);

/// A patient, with what the expressions below look at.
const PATIENT: &str = r##"{
    "resourceType": "Patient",
    "id": "p",
    "contained": [{"resourceType": "Organization", "id": "org", "name": "Clinic"}],
    "extension": [{"url": "http://example.org/age", "valueAge": {
        "value": 42, "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"
    }}],
    "active": true,
    "name": [
        {"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
        {"use": "usual", "given": ["Jim"], "_given": [{"id": "g"}]}
    ],
    "gender": "male",
    "birthDate": "1974-12-25",
    "_birthDate": {"extension": [{"url": "http://example.org/time", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
    "_deceasedBoolean": {"extension": [{"url": "http://example.org/unknown", "valueCode": "asked"}]},
    "managingOrganization": {"reference": "#org"},
    "generalPractitioner": [
        {"reference": "Practitioner/1"},
        {"reference": "http://example.org/fhir/Organization/2"},
        {"type": "PractitionerRole", "identifier": {"value": "x"}},
        {"display": "somebody"}
    ]
}"##;

/// The values of an expression, as text between commas; `error` if it cannot be compiled or run.
fn outcome(text: &str, options: Options) -> String {
    let tree = Tree::parse(PATIENT, DEFINITIONS.names(), &TreeLimits::default()).unwrap();
    let expression = match Expression::compile_with(text, &DEFINITIONS, &options) {
        Ok(expression) => expression,
        Err(error) => return format!("error {error}"),
    };
    let item = Item::resource(tree.element(), &DEFINITIONS).unwrap();
    let encounter = [Item::Integer(7)];
    let variables = [("encounter", encounter.as_slice())];
    let context = Context {
        now: Temporal::parse_date_time("2026-03-02T10:00:00.000+01:00"),
        variables: &variables,
        ..Context::new(&DEFINITIONS)
    };
    match expression.evaluate(&context, item) {
        Err(error) => format!("error {error}"),
        Ok(items) => {
            let texts = items.iter().map(|item| {
                let text = item.text(&DEFINITIONS, &expression.known);
                text.map_or_else(|| format!("{item:?}"), std::borrow::Cow::into_owned)
            });
            texts.collect::<Vec<_>>().join(",")
        }
    }
}

/// Checked with and without knowledge of the type: both must give the same.
#[track_caller]
fn check(text: &str, expected: &str) {
    let root = DEFINITIONS.type_named("Patient");
    for root in [None, root] {
        let options = Options {
            root,
            ..Options::default()
        };
        assert_eq!(outcome(text, options), expected, "{text}, {root:?}");
    }
}

#[track_caller]
fn check_error(text: &str, part: &str) {
    let found = outcome(text, Options::default());
    assert!(
        found.starts_with("error") && found.contains(part),
        "{text}: {found}"
    );
}

#[test]
fn paths_find_elements() {
    check("name.given", "Peter,James,Jim");
    check("Patient.name.given", "Peter,James,Jim");
    check("Resource.id", "p");
    check("Observation.id", "");
    check("name[0].given[1]", "James");
    check("name[5].given", "");
    check("name.nothing", "");
    check("nothing.name", "");
    check("name.`given`", "Peter,James,Jim");
    check("birthDate.extension.url", "http://example.org/time");
    check("contained.name", "Clinic");
    check("resourceType", "");
    check("name.where(use = 'usual').given.id", "g");
}

#[test]
fn choices_are_found_without_their_type() {
    check("extension.value.value", "42");
    check("extension.valueAge", "");
    check("extension.value is Age", "true");
    check("extension.value is Quantity", "true");
    check("extension.value is Duration", "false");
    check("deceased.exists()", "true");
    check("deceased.hasValue()", "false");
    check("deceased.extension.value", "asked");
    check("(extension.value as Age).unit", "a");
    check("extension.value.as(Period)", "");
    check(
        "birthDate.extension.value.as(DateTime)",
        "1974-12-25T14:35:45-05:00",
    );
}

#[test]
fn a_choice_is_named_as_in_json_where_that_is_allowed() {
    let root = DEFINITIONS.type_named("Patient");
    for root in [None, root] {
        let options = Options {
            root,
            json_names: true,
            ..Options::default()
        };
        assert_eq!(outcome("extension.valueAge.value", options), "42");
        assert_eq!(outcome("extension.value.value", options), "42");
        assert_eq!(outcome("extension.valuePeriod", options), "");
        assert_eq!(
            outcome("birthDate.extension.valueDateTime", options),
            "1974-12-25T14:35:45-05:00"
        );
    }
}

#[test]
fn types_are_told_apart() {
    check("active is boolean", "true");
    check("active is System.Boolean", "false");
    check("gender is code", "true");
    check("gender is string", "true");
    check("gender.ofType(string)", "");
    check("1 is Integer", "true");
    check("'a' is String", "true");
    check("$this is DomainResource", "true");
    check("$this is Observation", "false");
    check("gender.type().name", "code");
    check("gender.type().namespace", "FHIR");
    check("name.first().type().name", "HumanName");
    check("1.5.type().name", "Decimal");
    check("@2015T is DateTime", "true");
    check_error("1 is Nonsense", "type Nonsense is not known");
    let exact = Options {
        exact: true,
        ..Options::default()
    };
    assert_eq!(outcome("active is Boolean", exact), "false");
    assert_eq!(outcome("active is Boolean", Options::default()), "true");
    assert!(outcome("name.as(HumanName)", exact).starts_with("error"));
    assert_eq!(
        outcome("name.as(HumanName).count()", Options::default()),
        "2"
    );
}

#[test]
fn existence() {
    check("name.exists()", "true");
    check("name.exists(use = 'old')", "false");
    check("photo.empty()", "true");
    check("{}.empty()", "true");
    check("name.all(given.exists())", "true");
    check("photo.all(false)", "true");
    check("(true | false).allTrue()", "false");
    check("(true | false).anyTrue()", "true");
    check("(true | false).allFalse()", "false");
    check("(true | false).anyFalse()", "true");
    check("{}.allTrue()", "true");
    check("(1 | 2).subsetOf(1 | 2 | 3)", "true");
    check("(1 | 4).subsetOf(1 | 2 | 3)", "false");
    check("(1 | 2 | 3).supersetOf(1 | 2)", "true");
    check("name.given.count()", "3");
    check("photo.count()", "0");
    check("1.combine(1).isDistinct()", "false");
    check("1.combine(1).distinct().count()", "1");
    check("{}.isDistinct()", "true");
    check_error("(1 | 'a').allTrue()", "allTrue");
}

#[test]
fn filtering_and_subsetting() {
    check("name.where(use = 'usual').given", "Jim");
    check("name.select(given.first())", "Peter,Jim");
    check("name.given.where($index > 0)", "James,Jim");
    check("name.given.first()", "Peter");
    check("name.given.last()", "Jim");
    check("name.given.tail()", "James,Jim");
    check("name.given.skip(2)", "Jim");
    check("name.given.skip(-1)", "Peter,James,Jim");
    check("name.given.take(2)", "Peter,James");
    check("name.given.take(0)", "");
    check("active.single()", "true");
    check("(1 | 2 | 3).intersect(2 | 4)", "2");
    check("(1 | 2 | 3).exclude(2)", "1,3");
    check("(3 | 1 | 2).sort()", "1,2,3");
    check("('b' | 'a').sort(-$this)", "b,a");
    check("1.union(1 | 2)", "1,2");
    check("1.combine(1 | 2)", "1,1,2");
    check("(1 | 2 | 3).aggregate($this + $total, 0)", "6");
    check("1.repeat(iif($this < 5, $this + 1, {}))", "2,3,4,5");
    check("contained.children().count()", "2");
    check("contained.descendants()", "org,Clinic");
    check("{}.coalesce({}, 1, 2)", "1");
    check_error("name.single()", "takes one item");
}

#[test]
fn three_valued_logic() {
    let table = [
        (
            "and",
            [
                "true", "false", "", "false", "false", "false", "", "false", "",
            ],
        ),
        (
            "or",
            ["true", "true", "true", "true", "false", "", "true", "", ""],
        ),
        (
            "xor",
            ["false", "true", "", "true", "false", "", "", "", ""],
        ),
        (
            "implies",
            ["true", "false", "", "true", "true", "true", "true", "", ""],
        ),
    ];
    let values = ["true", "false", "{}"];
    for (operator, expected) in table {
        let mut expected = expected.iter();
        for left in values {
            for right in values {
                check(
                    &format!("{left} {operator} {right}"),
                    expected.next().unwrap(),
                );
            }
        }
    }
    check("true.not()", "false");
    check("{}.not()", "");
    check("name.first() and true", "true");
    check_error("name and true", "takes one item");
}

#[test]
fn equality() {
    check("1 = 1.0", "true");
    check("1.10 = 1.1", "true");
    check("'a' = 'A'", "false");
    check("'a b' ~ 'A  B'", "true");
    check("1.01 ~ 1.0", "true");
    check("{} = 1", "");
    check("{} ~ {}", "true");
    check("(1 | 2) = (2 | 1)", "false");
    check("(1 | 2) ~ (2 | 1)", "true");
    check("name[0] = name[0]", "true");
    check("name[0] = name[1]", "false");
    check("gender = 'male'", "true");
    check("birthDate = @1974-12-25", "true");
    check("birthDate = @1974-12", "");
    check("birthDate = @1975", "false");
    check("birthDate ~ @1974-12", "false");
    check(
        "@2012-04-15T15:00:00+02:00 = @2012-04-15T16:00:00+03:00",
        "true",
    );
    check("@2012-04-15T15:00:00Z = @2012-04-15T15:00:00", "");
    check("@2012-04-15T15:00:00Z = @2012-04-17T15:00:00", "false");
    check("@T10:30 = @T10:30:00", "");
    check("1 in (1 | 2)", "true");
    check("(1 | 2) contains 3", "false");
    check("{} in (1 | 2)", "");
    check("1 != 2", "true");
    check("'a' !~ 'A'", "false");
    check("1 = 'a'", "false");
}

#[test]
fn order() {
    check("1 < 1.5", "true");
    check("'a' < 'b'", "true");
    check("@2018-03 < @2018-04-01", "true");
    check("@2018-03 < @2018-03-01", "");
    check("@2018-03-01T10:30:00 <= @2018-03-01T10:30:00.0", "true");
    check("@T10:00 < @T11", "true");
    check("birthDate < today()", "true");
    check("birthDate.extension.value < now()", "true");
    check("{} < 1", "");
    check_error("1 < 'a'", "< is not defined");
    check_error("name[0] < name[1]", "< is not defined");
    check_error("true < false", "< is not defined");
}

#[test]
fn quantities() {
    check("7 days = 1 week", "true");
    check("7 days = 1 'wk'", "true");
    check("1 year = 12 months", "true");
    check("1 year = 1 'a'", "");
    check("1 year ~ 1 'a'", "true");
    check("1 'cm' = 10 'mm'", "true");
    check("1 'kg' > 999 'g'", "true");
    check("1 '[in_i]' = 2.54 'cm'", "true");
    check("3 'mg' < 1 'cm'", "");
    check("1 'kg' + 1 'g'", "1.001 'kg'");
    check("4.0 'g' / 2.0 'm' = 2 'g/m'", "true");
    check("2 'm' * 3 'm' = 6 'm2'", "true");
    check("100 'Cel' = 212 '[degF]'", "true");
    check("5 = 5 '1'", "true");
    check("extension.value > 40 'a'", "true");
    check("'5.5 \\'mg\\''.toQuantity()", "5.5 'mg'");
    check("1 'kg'.toQuantity('g')", "1000 'g'");
    check("(-5 'mg').abs()", "5 'mg'");
    check("1 'mg' + 1 's'", "");
}

#[test]
fn arithmetic() {
    check("1 + 2 * 3", "7");
    check("(1 + 2) * 3", "9");
    check("7 / 2", "3.5");
    check("7 div 2", "3");
    check("-7 div 2", "-3");
    check("7 mod 2", "1");
    check("0.1 + 0.2", "0.3");
    check("1 / 0", "");
    check("1 div 0", "");
    check("2147483647 + 1", "");
    check("'a' + 'b'", "ab");
    check("'a' & {} & 'b'", "ab");
    check("'a' + {}", "");
    check("-(1 - 3)", "2");
    check("+3", "3");
    check_error("1 + 'a'", "+ is not defined");
    check_error("-'a'", "- is not defined");
    check_error("-1.convertsToInteger()", "- is not defined");
}

#[test]
fn dates_can_be_added_to() {
    check("@2016-02-29 + 1 year", "2017-02-28");
    check("@2016-01-31 + 1 month", "2016-02-29");
    check("@1973-12-25 + 7.7 days", "1974-01-01");
    check("@2016 + 365 days", "2017");
    check("@2016-02 - 2 months", "2015-12");
    check("@T23:00 + 2 hours", "01:00");
    check(
        "@2016-02-29T23:59:59.999Z + 1 'ms'",
        "2016-03-01T00:00:00.000Z",
    );
    check(
        "@2016-02-29T10:00:00+02:00 - 90 minutes",
        "2016-02-29T08:30:00+02:00",
    );
    check("@2016-02-29 + 23 hours", "2016-02-29");
    check("birthDate + 1 day", "1974-12-26");
    check("@9999-12-31 + 1 day", "");
    check_error("@2016 + 1 'a'", "+ is not defined");
    check_error("@2016 + 1", "+ is not defined");
}

#[test]
fn strings() {
    check("'héllo'.length()", "5");
    check("'héllo'.indexOf('l')", "2");
    check("'hello'.lastIndexOf('l')", "3");
    check("'hello'.indexOf('x')", "-1");
    check("'héllo'.substring(1, 2)", "él");
    check("'hello'.substring(9)", "");
    check("'hello'.substring(-1)", "");
    check("'hello'.startsWith('he')", "true");
    check("'hello'.endsWith('')", "true");
    check("'hello'.contains('ll')", "true");
    check("gender.upper()", "MALE");
    check("'ABC'.lower()", "abc");
    check("' a '.trim()", "a");
    check("'abcabc'.replace('b', 'x')", "axcaxc");
    check("'ab'.replace('', 'x')", "xaxbx");
    check("'a1b2'.replaceMatches('[0-9]', '#')", "a#b#");
    check("'2026-03'.matches('^\\\\d{4}-\\\\d\\\\d$')", "true");
    check("'xabcx'.matches('abc')", "true");
    check("'xabcx'.matchesFull('abc')", "false");
    check("'abc'.toChars()", "a,b,c");
    check("'a,b'.split(',')", "a,b");
    check("name.given.join('-')", "Peter-James-Jim");
    check("'subjects?_d'.encode('urlbase64')", "c3ViamVjdHM_X2Q=");
    check("'dGVzdA=='.decode('base64')", "test");
    check("'a\"b'.escape('json')", "a\\\"b");
    check("'a<b'.escape('html')", "a&lt;b");
    check("'a&lt;b &x'.unescape('html')", "a<b &x");
    check("{}.length()", "");
    check_error("'a'.matches('(')", "regular expression");
    check_error("name[0].length()", "length is not defined for HumanName");
    check_error("'a'.length(1)", "takes 0 arguments");
}

#[test]
fn numbers() {
    check("(-5).abs()", "5");
    check("1.1.ceiling()", "2");
    check("(-1.1).floor()", "-2");
    check("(-1.9).truncate()", "-1");
    check("2.5.round()", "3");
    check("3.14159.round(3)", "3.142");
    check("0.exp()", "1");
    check("1.ln()", "0");
    check("16.log(2)", "4");
    check("81.sqrt()", "9");
    check("(-1).sqrt()", "");
    check("2.power(3)", "8");
    check("2.5.power(2)", "6.25");
    check("(-1).power(0.5)", "");
    check("(1 | 2 | 4).sum()", "7");
    check("(1 | 2 | 3).avg()", "2");
    check("(3 | 1 | 2).min()", "1");
    check("(3 | 1 | 2).max()", "3");
}

#[test]
fn conversions() {
    check("'true'.toBoolean()", "true");
    check("'Y'.toBoolean()", "true");
    check("2.toBoolean()", "");
    check("'12'.toInteger()", "12");
    check("'1.2'.toInteger()", "");
    check("'4147483648'.toInteger()", "");
    check("'1.50'.toDecimal()", "1.50");
    check("'abc'.convertsToDecimal()", "false");
    check("{}.convertsToDecimal()", "");
    check("1.0.toString()", "1.0");
    check("birthDate.toString().length()", "10");
    check("'2015-02'.toDate()", "2015-02");
    check("'2015-13'.toDate()", "");
    check("'2015-02-04T14'.toDateTime()", "2015-02-04T14");
    check("'14:34:28.1'.toTime()", "14:34:28.100");
    check("'1 day'.toQuantity()", "1 day");
    check("'1 wk'.convertsToQuantity()", "false");
    check("true.toInteger()", "1");
}

#[test]
fn boundaries() {
    check("@2014.lowBoundary(6)", "2014-01");
    check("@2014-02.highBoundary(8)", "2014-02-28");
    check("@T10:30.highBoundary(9)", "10:30:59.999");
    check("1.587.lowBoundary()", "1.58650000");
    check("1.587.highBoundary(2)", "1.59");
    check("@2014-01-05T10:30.precision()", "12");
    check("1.58700.precision()", "5");
}

#[test]
fn the_environment_answers() {
    check("%ucum", "http://unitsofmeasure.org");
    check("%`vs-name`", "http://hl7.org/fhir/ValueSet/name");
    check(
        "%`ext-name`",
        "http://hl7.org/fhir/StructureDefinition/name",
    );
    check("%resource.id", "p");
    check("name.given.select(%context.id)", "p,p,p");
    check("%encounter + 1", "8");
    check("today()", "2026-03-02");
    check("now()", "2026-03-02T10:00:00.000+01:00");
    check("timeOfDay()", "10:00:00.000");
    check("name.given.trace('given').count()", "3");
    check("iif(active, 'yes', 1 / 'a')", "yes");
    check("iif({}, 'yes')", "");
    check_error("%nobody", "variable %nobody is not defined");
    check_error("gender.memberOf('x')", "not available");
    check_error("$this.conformsTo('x')", "not available");
}

#[test]
fn extensions_are_found_by_url() {
    check("extension('http://example.org/age').value.value", "42");
    check(
        "birthDate.extension('http://example.org/time').exists()",
        "true",
    );
    check("hasExtension('http://example.org/age')", "true");
    check("extension('nothing')", "");
    check("birthDate.hasValue()", "true");
    check("name.hasValue()", "false");
    check("birthDate.getValue() is System.Date", "true");
}

#[test]
fn references_are_resolved_as_far_as_possible() {
    check("managingOrganization.resolve().name", "Clinic");
    check("generalPractitioner.resolve().count()", "3");
    check(
        "generalPractitioner.where(resolve() is Practitioner).reference",
        "Practitioner/1",
    );
    check(
        "generalPractitioner.where(resolve() is Organization).count()",
        "1",
    );
    check(
        "generalPractitioner.where(resolve() is PractitionerRole).count()",
        "1",
    );
    check("'Practitioner/1'.resolve() is Practitioner", "true");
    check("generalPractitioner.resolve().id", "");
}

/// Says yes to everything that starts with `yes`, and finds a type.
struct Answers;

impl Terminology for Answers {
    fn member_of(&self, _: &Item<'_>, value_set: &str) -> Option<bool> {
        Some(value_set.starts_with("yes"))
    }
}

impl Profiles for Answers {
    fn conforms_to(&self, _: &Item<'_>, profile: &str) -> Option<bool> {
        profile.starts_with("yes").then_some(true)
    }
}

impl Resolver for Answers {
    fn resolve<'a>(
        &'a self,
        reference: &str,
        _: Option<fhir_model::element::Element<'a>>,
    ) -> Resolved<'a> {
        match (reference, DEFINITIONS.type_named("Device")) {
            ("Practitioner/1", Some(device)) => Resolved::Type(device),
            _ => Resolved::Nothing,
        }
    }
}

#[test]
fn what_the_caller_knows_is_asked() {
    let tree = Tree::parse(PATIENT, DEFINITIONS.names(), &TreeLimits::default()).unwrap();
    let context = Context {
        resolver: Some(&Answers),
        terminology: Some(&Answers),
        profiles: Some(&Answers),
        ..Context::new(&DEFINITIONS)
    };
    let holds = |text: &str| {
        let expression = Expression::compile(text, &DEFINITIONS, None).unwrap();
        let item = Item::resource(tree.element(), &DEFINITIONS).unwrap();
        expression.evaluate_truth(&context, item)
    };
    assert_eq!(holds("gender.memberOf('yes')"), Ok(Some(true)));
    assert_eq!(holds("gender.memberOf('no')"), Ok(Some(false)));
    assert_eq!(holds("conformsTo('yes')"), Ok(Some(true)));
    assert!(holds("conformsTo('no')").is_err());
    assert_eq!(
        holds("generalPractitioner[0].resolve() is Device"),
        Ok(Some(true))
    );
}

#[test]
fn an_invariant_that_is_empty_holds() {
    let tree = Tree::parse(PATIENT, DEFINITIONS.names(), &TreeLimits::default()).unwrap();
    let context = Context::new(&DEFINITIONS);
    for (text, expected) in [("{}", true), ("active", true), ("active.not()", false)] {
        let expression = Expression::compile(text, &DEFINITIONS, None).unwrap();
        let item = Item::resource(tree.element(), &DEFINITIONS).unwrap();
        assert_eq!(expression.evaluate_bool(&context, item), Ok(expected));
    }
}

#[test]
fn a_visitor_may_stop() {
    let tree = Tree::parse(PATIENT, DEFINITIONS.names(), &TreeLimits::default()).unwrap();
    let context = Context::new(&DEFINITIONS);
    let expression = Expression::compile("name.given", &DEFINITIONS, None).unwrap();
    let mut seen = 0;
    let item = Item::resource(tree.element(), &DEFINITIONS).unwrap();
    let done = expression.for_each(&context, item, |_| {
        seen += 1;
        seen < 2
    });
    assert_eq!((done, seen), (Ok(()), 2));
}

#[track_caller]
fn check_limit(text: &str, limits: Limits, expected: &EvaluateErrorKind) {
    let tree = Tree::parse(PATIENT, DEFINITIONS.names(), &TreeLimits::default()).unwrap();
    let context = Context {
        limits,
        ..Context::new(&DEFINITIONS)
    };
    let expression = Expression::compile(text, &DEFINITIONS, None).unwrap();
    let item = Item::resource(tree.element(), &DEFINITIONS).unwrap();
    let error = expression.evaluate(&context, item).unwrap_err();
    assert_eq!(&error.kind, expected, "{text}");
}

#[test]
fn work_has_limits() {
    let few = Limits {
        steps_max: 10_000,
        items_max: 100,
        string_bytes_max: 1_000,
    };
    check_limit(
        "1.repeat($this + 1)",
        few,
        &EvaluateErrorKind::TooManyItems { limit: 100 },
    );
    let steps = Limits {
        items_max: 1_000_000,
        ..few
    };
    check_limit(
        "1.repeat($this + 1)",
        steps,
        &EvaluateErrorKind::TooManySteps { limit: 10_000 },
    );
    check_limit(
        "(1 | 2 | 3 | 4 | 5 | 6).aggregate(iif($total.empty(), 'aaaaaaaaaaaaaaaa', $total.replace('a', 'aaaaaaaaaaaaaaaa')))",
        few,
        &EvaluateErrorKind::TooLong { limit_bytes: 1_000 },
    );
}

#[test]
fn evaluations_may_share_a_limit() {
    let tree = Tree::parse(PATIENT, DEFINITIONS.names(), &TreeLimits::default()).unwrap();
    let steps_left = Cell::new(1_000);
    let context = Context {
        steps_left: Some(&steps_left),
        ..Context::new(&DEFINITIONS)
    };
    let expression = Expression::compile("name.given.count()", &DEFINITIONS, None).unwrap();
    let mut evaluated = 0;
    let item = Item::resource(tree.element(), &DEFINITIONS).unwrap();
    let error = loop {
        let before = steps_left.get();
        match expression.evaluate(&context, item.clone()) {
            Ok(_) => evaluated += 1,
            Err(error) => break error,
        }
        assert!(steps_left.get() < before, "each takes something off");
    };
    assert!(evaluated > 1);
    assert!(matches!(error.kind, EvaluateErrorKind::TooManySteps { .. }));
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    let error = parse(text).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_syntax_error_says_where_and_why() {
    check_refused(
        "2 + 2 /",
        "at line 1, column 8: an expression is expected, found the end",
    );
    check_refused(
        "a.(b)",
        "at line 1, column 3: the name of an element or function is expected, found \"(\"",
    );
    check_refused(
        "a b",
        "at line 1, column 3: an operator or the end is expected, found b",
    );
    check_refused("'abc", "at line 1, column 1: the string has no end");
    check_refused(
        "'a\\x'",
        "at line 1, column 3: \"\\\\x\" is not an escape sequence",
    );
    check_refused(
        "@2015-13",
        "at line 1, column 1: @2015-13 is not a valid date",
    );
    check_refused("a # b", "at line 1, column 3: '#' is not expected here");
    check_refused("a /* b", "at line 1, column 3: the comment has no end");
    check_refused(
        "",
        "at line 1, column 1: an expression is expected, found the end",
    );
    let error = Expression::compile("name.foo()", &DEFINITIONS, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "at line 1, column 6: function foo is not known"
    );
}

#[track_caller]
fn check_printed(text: &str, expected: &str) {
    assert_eq!(parse(text).unwrap().to_string(), expected);
}

#[test]
fn an_expression_is_printed_as_it_is_understood() {
    check_printed("@T10:30=@2015T", "@T10:30 = @2015T");
    check_printed("1+2*3", "1 + (2 * 3)");
    check_printed("a.`div`.`b c`[0]", "a.`div`.`b c`[0]");
    check_printed("- 1.50 .abs()", "-1.50.abs()");
    check_printed(
        "value is System.Quantity and 4 days > 1 'wk'",
        "(value is System.Quantity) and ((4 days) > 1 'wk')",
    );
    check_printed("%`vs-a`|'it\\'s'", "%`vs-a` | 'it\\'s'");
    check_printed("iif($this,{},$index)", "iif($this, {}, $index)");
}

#[test]
fn deep_and_long_expressions_are_refused() {
    let deep = ParseErrorKind::TooDeep {
        limit: crate::DEPTH_MAX,
    };
    for text in [
        "(".repeat(100_000 / 2),
        "a".to_owned() + &".a".repeat(10_000),
        "-".repeat(10_000) + "1",
        "a[".repeat(10_000),
        "1".to_owned() + &"+1".repeat(10_000),
        "a(".repeat(10_000),
    ] {
        assert_eq!(parse(&text).map(|_| ()).unwrap_err().kind, deep);
    }
    let long = " ".repeat(crate::EXPRESSION_BYTES_MAX + 1);
    assert!(matches!(
        parse(&long).map(|_| ()).unwrap_err().kind,
        ParseErrorKind::TooLong { .. }
    ));
}

/// On the stack of a test's thread, in a build that is not optimised.
#[test]
fn the_deepest_expressions_that_are_admitted_can_be_evaluated() {
    let depth = crate::DEPTH_MAX - 2;
    let nest = |before: &str, inner: &str, after: &str| {
        before.repeat(depth) + inner + &after.repeat(depth)
    };
    check(&nest("iif(true, ", "1", ")"), "1");
    check(&nest("$this.select(", "id", ")"), "p");
    check(&(nest("where(", "true", ")") + ".id"), "p");
    check(&nest("1.repeat(", "{}", ")"), "");
    check(&nest("1.aggregate(", "1", ")"), "1");
    check(&("id".to_owned() + &".where(true)".repeat(depth)), "p");
    check(&("id".to_owned() + &".first()".repeat(depth)), "p");
    check(
        &("1".to_owned() + &" + 1".repeat(depth)),
        &(depth + 1).to_string(),
    );
    check(
        &("true".to_owned() + &".not()".repeat(depth / 2 * 2)),
        "true",
    );
    check(&("id".to_owned() + &" | id".repeat(depth)), "p");
}

#[test]
fn checked_expressions_name_what_cannot_be() {
    let options = Options {
        root: DEFINITIONS.type_named("Patient"),
        check: true,
        exact: true,
        json_names: false,
    };
    for (text, expected) in [
        (
            "name.given1",
            "error at line 1, column 6: HumanName has no element given1",
        ),
        (
            "Encounter.name",
            "error at line 1, column 1: the expression is about Encounter, the context is Patient",
        ),
        (
            "children().skip(1)",
            "error at line 1, column 12: skip depends on an order, but the items have none",
        ),
        (
            "@1974-12-25 + 7",
            "error at line 1, column 13: + cannot be used on Date",
        ),
        (
            "identifier.contains('a')",
            "error at line 1, column 12: contains() cannot be used on Identifier",
        ),
        ("name.given", "Peter,James,Jim"),
        ("extension.value.unit", "a"),
    ] {
        assert_eq!(outcome(text, options), expected);
    }
}

#[test]
fn compiled_expressions_can_be_shared_between_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Expression>();
}

#[test]
fn definitions_without_types_are_enough_for_values() {
    let (definitions, _) = Builder::new().finish();
    let tree = Tree::parse(
        json!({}).to_string(),
        definitions.names(),
        &TreeLimits::default(),
    );
    let expression = Expression::compile("1 + 1 = 2", &definitions, None).unwrap();
    let context = Context::new(&definitions);
    assert!(tree.is_ok());
    let truth = expression.evaluate_truth(&context, Item::Boolean(true));
    assert_eq!(truth, Ok(Some(true)));
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn words_of_the_language_never_panic(words in prop::collection::vec(word(), 0..14)) {
        let text = words.concat();
        let _ = outcome(&text, Options::default());
    }

    #[test]
    fn what_is_printed_parses_to_the_same(words in prop::collection::vec(word(), 0..10)) {
        if let Ok(syntax) = parse(&words.join(" ")) {
            let printed = syntax.to_string();
            let again = parse(&printed).map_err(|error| format!("{printed}: {error}")).unwrap();
            prop_assert_eq!(again.to_string(), printed);
        }
    }
}

/// Pieces that expressions are made of.
fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "name",
        "given",
        ".",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'a\\'b\\u00e9'",
        "1",
        "2.50",
        "-",
        "+",
        "*",
        "/",
        "&",
        "|",
        "=",
        "~",
        "!=",
        "<",
        ">=",
        " and ",
        " or ",
        " implies ",
        " is ",
        " as ",
        " in ",
        " contains ",
        " div ",
        " mod ",
        "Patient",
        "string",
        "System.Quantity",
        "where(",
        "exists()",
        "count()",
        "$this",
        "$index",
        "$total",
        "%resource",
        "%`vs-a`",
        "@2015-02",
        "@T10:30",
        "@2015-02-04T14:34:28.123+02:00",
        " 'mg'",
        " days",
        "`div`",
        ",",
        "repeat(",
        "select(",
        "descendants()",
        "iif(",
        "toString()",
        "substring(",
        "first()",
        "birthDate",
        "lowBoundary(",
        "true",
        "resolve()",
        "type()",
        "not()",
        "2147483647",
        "0.000000001",
        "aggregate(",
        "round(",
        "power(",
        "matches(",
        "@9999-12-31",
        "9 years",
    ])
}
