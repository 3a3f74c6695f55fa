//! What came after the normative release, what R4 and SDC add, and whether anything is missing.

use std::cell::RefCell;

use super::{DEFINITIONS, PATIENT, check, check_error};
use crate::context::{Context, Profiles, Terminology, Trace};
use crate::expression::{Expression, Options};
use crate::function;
use crate::value::Item;
use fhir_model::tree::{Limits as TreeLimits, Tree};

/// The functions of <http://hl7.org/fhirpath/N1/>, of its release 3, of
/// <https://hl7.org/fhir/R4/fhirpath.html>, of R5 and of SDC.
const SPECIFIED: &[(&str, &[&str])] = &[
    (
        "FHIRPath N1",
        &[
            "empty",
            "exists",
            "all",
            "allTrue",
            "anyTrue",
            "allFalse",
            "anyFalse",
            "subsetOf",
            "supersetOf",
            "count",
            "distinct",
            "isDistinct",
            "where",
            "select",
            "repeat",
            "ofType",
            "single",
            "first",
            "last",
            "tail",
            "skip",
            "take",
            "intersect",
            "exclude",
            "union",
            "combine",
            "iif",
            "toBoolean",
            "convertsToBoolean",
            "toInteger",
            "convertsToInteger",
            "toDate",
            "convertsToDate",
            "toDateTime",
            "convertsToDateTime",
            "toDecimal",
            "convertsToDecimal",
            "toQuantity",
            "convertsToQuantity",
            "toString",
            "convertsToString",
            "toTime",
            "convertsToTime",
            "indexOf",
            "substring",
            "startsWith",
            "endsWith",
            "contains",
            "upper",
            "lower",
            "replace",
            "matches",
            "replaceMatches",
            "length",
            "toChars",
            "abs",
            "ceiling",
            "exp",
            "floor",
            "ln",
            "log",
            "power",
            "round",
            "sqrt",
            "truncate",
            "children",
            "descendants",
            "trace",
            "now",
            "timeOfDay",
            "today",
            "is",
            "as",
            "not",
            "aggregate",
            "type",
        ],
    ),
    (
        "FHIRPath 3.0",
        &[
            "sort",
            "repeatAll",
            "coalesce",
            "lastIndexOf",
            "matchesFull",
            "encode",
            "decode",
            "escape",
            "unescape",
            "trim",
            "split",
            "join",
            "pathname",
            "defineVariable",
            "lowBoundary",
            "highBoundary",
            "precision",
            "yearOf",
            "monthOf",
            "dayOf",
            "hourOf",
            "minuteOf",
            "secondOf",
            "millisecondOf",
            "timezoneOffsetOf",
            "dateOf",
            "timeOf",
            "duration",
            "difference",
            "comparable",
            "sum",
            "min",
            "max",
            "avg",
            "toLong",
            "convertsToLong",
        ],
    ),
    (
        "FHIR R4",
        &[
            "extension",
            "hasValue",
            "getValue",
            "resolve",
            "ofType",
            "elementDefinition",
            "slice",
            "checkModifiers",
            "conformsTo",
            "memberOf",
            "subsumes",
            "subsumedBy",
            "htmlChecks",
        ],
    ),
    ("FHIR R5", &["lowBoundary", "highBoundary", "comparable"]),
    ("SDC", &["weight", "ordinal"]),
];

/// What is left out, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("toLong", "for trial use; R4 has no integer64"),
    ("convertsToLong", "for trial use; R4 has no integer64"),
];

#[test]
fn every_specified_function_is_there_or_left_out_for_a_reason() {
    for (specification, names) in SPECIFIED {
        for name in *names {
            let is_left_out = LEFT_OUT.iter().any(|(left_out, _)| left_out == name);
            let is_there = function::find(name).is_some();
            assert_ne!(is_there, is_left_out, "{name} of {specification}");
        }
    }
}

#[test]
fn variables_are_defined_for_the_rest_of_a_path() {
    check(
        "name.first().defineVariable('n').given.select(%n.family & ' ' & $this)",
        "Chalmers Peter,Chalmers James",
    );
    check(
        "name.select(defineVariable('n').given.select(%n.use & ' ' & $this))",
        "official Peter,official James,usual Jim",
    );
    check("defineVariable('x', 1 + 1).select(%x * 3)", "6");
    check(
        "name.defineVariable('all', given.count()).select(%all)",
        "3,3",
    );
    check("name.given.defineVariable('n', 2).skip(%n)", "Jim");
    check("name.given.defineVariable('n', 1)[%n]", "James");
    check(
        "name.given.defineVariable('all').where($this = %all.last())",
        "Jim",
    );
    check(
        "defineVariable('a', 1).defineVariable('b', %a + 1).select(%a + %b)",
        "3",
    );
    check("defineVariable('a', name).exists() and true", "true");
    check(
        "(1 | 2).select(defineVariable('x', $this)).select($this)",
        "1,2",
    );
    check(
        "select(defineVariable('x', 1).select(%x)) | select(defineVariable('x', 2).select(%x))",
        "1,2",
    );
    check(
        "iif(defineVariable('x', true).select(%x), 'yes', 'no')",
        "yes",
    );
    check_error(
        "select(defineVariable('x', 1)).select(%x)",
        "variable %x is not defined",
    );
    check_error("defineVariable('x', 1) | %x", "variable %x is not defined");
    check_error(
        "defineVariable('x', 1).defineVariable('x', 2)",
        "line 1, column 24: defineVariable() takes",
    );
    check_error("defineVariable('resource', 1)", "resource is");
    check_error("defineVariable('a' & 'b', 1)", "an expression is");
}

#[test]
fn sorting_has_a_direction() {
    check("(3 | 1 | 2).sort($this desc)", "3,2,1");
    check("(3 | 1 | 2).sort($this asc)", "1,2,3");
    check("('c' | 'a' | 'b').sort($this desc)", "c,b,a");
    check(
        "name.sort(use desc, given.first() asc).given",
        "Jim,Peter,James",
    );
    check("name.sort(family desc).use", "official,usual");
    check("name.sort(family).use", "usual,official");
    check("(@2015 | @2014).sort(-yearOf())", "2015,2014");
    check("desc.exists()", "false");
    check_error("(1 | 'a').sort()", "sort");
}

#[test]
fn what_is_found_again_is_there_again() {
    check("contained.repeatAll(children()).count()", "2");
    check(
        "1.repeatAll(iif($this < 3, ($this + 1).combine($this + 1), {}))",
        "2,2,3,3,3,3",
    );
    check_error("1.repeatAll(1)", "more than");
    check("1.combine(2, true)", "1,2");
}

#[test]
fn regular_expressions_have_flags() {
    check("'Abc'.matches('aB', 'i')", "true");
    check("'Abc'.matches('aB')", "false");
    check("'a\\nb'.matches('^b$', 'm')", "true");
    check("'a\\nb'.matches('^b$')", "false");
    check("'ABC'.matchesFull('abc', 'i')", "true");
    check("'ABC'.replaceMatches('b', 'x', 'i')", "AxC");
    check_error("'a'.matches('a', 'z')", "the flags are not among");
}

#[test]
fn dates_have_parts() {
    let parts = [
        ("yearOf", "2012"),
        ("monthOf", "1"),
        ("dayOf", "5"),
        ("hourOf", "16"),
        ("minuteOf", "30"),
        ("secondOf", "40"),
        ("millisecondOf", "2"),
        ("timezoneOffsetOf", "-7.0"),
        ("dateOf", "2012-01-05"),
        ("timeOf", "16:30:40.002"),
    ];
    for (name, expected) in parts {
        check(
            &format!("@2012-01-05T16:30:40.002-07:00.{name}()"),
            expected,
        );
    }
    check("@2012-01-01T12:30:00.000+08:45.timezoneOffsetOf()", "8.75");
    check("@2012.monthOf()", "");
    check("@T16:30.hourOf()", "16");
    check("@T16:30.yearOf()", "");
    check("@2012-01-01.hourOf()", "");
    check("'a'.yearOf()", "");
    check("birthDate.yearOf()", "1974");
    check_error("(@2012 | @2013).yearOf()", "takes one item");
}

#[test]
fn time_between_two_moments_is_counted() {
    check("@2025-01-02.duration(@2025-01-07, 'week')", "0");
    check("@2025-01-01.duration(@2025-09-01, 'year')", "0");
    check("@2024-12-01.duration(@2025-09-01, 'year')", "0");
    check("@2024-12-01.difference(@2025-09-01, 'year')", "1");
    check("@2024-01-31.duration(@2024-02-29, 'month')", "0");
    check("@2024-01-31.difference(@2024-02-01, 'month')", "1");
    check("@2024-02-29.duration(@2024-01-31, 'month')", "0");
    check("@2025-09-01.duration(@2024-01-01, 'year')", "-1");
    // A Saturday and the Sunday after it.
    check("@2025-01-04.difference(@2025-01-05, 'week')", "1");
    check("@2025-01-05.difference(@2025-01-11, 'week')", "0");
    check(
        "@2025-01-01T10:30:00Z.duration(@2025-01-01T12:00:00Z, 'hour')",
        "1",
    );
    check(
        "@2025-01-01T10:30:00Z.difference(@2025-01-01T12:00:00Z, 'hour')",
        "2",
    );
    check(
        "@2025-01-01T10:00:00+01:00.duration(@2025-01-01T10:00:00Z, 'minute')",
        "60",
    );
    check("@T10:00.duration(@T11:30, 'minute')", "90");
    check("@2025.duration(@2026-01-01, 'day')", "");
    check("{}.duration(@2025, 'year')", "");
    check_error(
        "@2025-01-01.duration(@2025-01-02, 'hour')",
        "no unit of time",
    );
    check_error("@T10:00.duration(@T11:30, 'day')", "no unit of time");
    check_error("@T10:00.duration(@2025, 'hour')", "not defined for");
}

#[test]
fn quantities_are_computed_with() {
    check("(1.5 'mg').ceiling()", "2 'mg'");
    check("(1.55 'mg').round(1)", "1.6 'mg'");
    check("(1 'g').combine(500 'mg').sum()", "1.5 'g'");
    check("(1 'g').combine(500 'mg').avg() = 0.75 'g'", "true");
    check("(1 'g').combine(1 'm').sum()", "");
    check("(1 'g').comparable(1 'mg')", "true");
    check("(1 'g').comparable(1 's')", "false");
    check("(1 year).comparable(2 months)", "true");
    check("(1 year).comparable(1 'a')", "false");
    check("(1 'g').comparable({})", "");
    check_error("(1 'g').comparable('a')", "not defined for");
}

#[test]
fn elements_know_their_path() {
    check("name.given[1].pathname()", "Patient.name[0].given[1]");
    check("birthDate.pathname()", "Patient.birthDate[0]");
    check("birthDate.pathname(true)", "Patient.birthDate");
    check(
        "extension.value.value.pathname()",
        "Patient.extension[0].value[0].value[0]",
    );
    check("contained.name.pathname(true)", "Patient.contained[0].name");
    check("(name.family & 'x').pathname()", "");
    check("$this.pathname()", "Patient");
}

#[test]
fn modifiers_are_checked() {
    check("name.checkModifiers('http://example.org/a').count()", "2");
    check("name.checkModifiers().count()", "2");
    check_on(
        r#"{"resourceType":"Patient","modifierExtension":[{"url":"http://example.org/a"}]}"#,
        "checkModifiers('http://example.org/b,http://example.org/a').exists()",
        "true",
    );
    check_on(
        r#"{"resourceType":"Patient","modifierExtension":[{"url":"http://example.org/a"}]}"#,
        "checkModifiers('http://example.org/b').exists()",
        "error at line 1, column 1: checkModifiers: an element has a modifier extension that is not among those named",
    );
}

/// What a guide says of slices, made up.
struct Guide;

impl Profiles for Guide {
    fn conforms_to(&self, _: &Item<'_>, _: &str) -> Option<bool> {
        None
    }

    fn is_in_slice(&self, item: &Item<'_>, profile: &str, slice: &str) -> Option<bool> {
        let name = (profile == "http://example.org/p").then(|| item.element())??;
        Some(name.child_by_key("use")?.value_text()? == slice)
    }
}

impl Terminology for Guide {
    fn member_of(&self, _: &Item<'_>, _: &str) -> Option<bool> {
        None
    }

    fn weight(&self, item: &Item<'_>) -> Option<rust_decimal::Decimal> {
        let code = item.element()?.child_by_key("code")?.value_text()?;
        (code == "scored").then(|| 7.into())
    }
}

#[track_caller]
fn check_on(resource: &str, text: &str, expected: &str) {
    let questionnaire = Tree::parse(QUESTIONNAIRE, DEFINITIONS.names(), &TreeLimits::default());
    let questionnaire = questionnaire.unwrap();
    let questionnaire = [Item::resource(questionnaire.element(), &DEFINITIONS).unwrap()];
    let variables = [("questionnaire", questionnaire.as_slice())];
    let tree = Tree::parse(resource, DEFINITIONS.names(), &TreeLimits::default()).unwrap();
    let item = Item::resource(tree.element(), &DEFINITIONS).unwrap();
    let expression = Expression::compile_with(text, &DEFINITIONS, &Options::default()).unwrap();
    let context = Context {
        profiles: Some(&Guide),
        terminology: Some(&Guide),
        variables: &variables,
        ..Context::new(&DEFINITIONS)
    };
    let found = match expression.evaluate(&context, item) {
        Err(error) => format!("error {error}"),
        Ok(items) => {
            let texts = items.iter().map(|item| {
                let text = item.text(&DEFINITIONS, &expression.known);
                text.map_or_else(|| format!("{item:?}"), std::borrow::Cow::into_owned)
            });
            texts.collect::<Vec<_>>().join(",")
        }
    };
    assert_eq!(found, expected, "{text}");
}

#[test]
fn profiles_are_asked_for_slices() {
    check_on(
        PATIENT,
        "name.slice('http://example.org/p', 'usual').given",
        "Jim",
    );
    check_on(
        PATIENT,
        "name.slice('http://example.org/other', 'usual').given",
        "error at line 1, column 6: slice: the slice is not known",
    );
    check_on(PATIENT, "name.elementDefinition().exists()", "false");
    check_error("name.slice('a', 'b')", "slice is not available");
    check_error(
        "name.elementDefinition()",
        "elementDefinition is not available",
    );
}

const QUESTIONNAIRE: &str = r#"{
    "resourceType": "Questionnaire",
    "status": "draft",
    "item": [{"linkId": "g", "type": "group", "item": [{
        "linkId": "q", "type": "choice",
        "answerOption": [
            {
                "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/itemWeight", "valueDecimal": 2}],
                "valueCoding": {"system": "s", "code": "two"}
            },
            {"valueCoding": {
                "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": 3.0}],
                "system": "s", "code": "three"
            }}
        ]
    }]}]
}"#;

#[test]
fn answers_have_a_weight() {
    let response = r#"{
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "item": [{"linkId": "g", "item": [{"linkId": "q", "answer": [
            {"valueCoding": {"system": "s", "code": "two"}},
            {"valueCoding": {"system": "s", "code": "three"}},
            {"valueCoding": {
                "system": "s", "code": "own",
                "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/itemWeight", "valueDecimal": 4}]
            }},
            {"valueCoding": {"system": "s", "code": "scored"}},
            {"valueCoding": {"system": "s", "code": "none"}}
        ]}]}]
    }"#;
    check_on(response, "item.item.answer.value.weight()", "2,3.0,4,7");
    check_on(response, "item.item.answer.weight()", "2,3.0,4,7");
    check_on(response, "item.item.answer.value.ordinal().sum()", "16.0");
    check_on(response, "%questionnaire.item.linkId", "g");
}

/// Keeps what it is told.
#[derive(Default)]
struct Heard(RefCell<Vec<String>>);

impl Trace for Heard {
    fn trace(&self, name: &str, items: &[Item<'_>]) {
        self.0
            .borrow_mut()
            .push(format!("{name}: {} items", items.len()));
    }
}

#[test]
fn whoever_wants_to_hears_of_traces() {
    let tree = Tree::parse(PATIENT, DEFINITIONS.names(), &TreeLimits::default()).unwrap();
    let item = Item::resource(tree.element(), &DEFINITIONS).unwrap();
    let text = "name.trace('names', given).given.trace('given').count()";
    let expression = Expression::compile(text, &DEFINITIONS, None).unwrap();
    let heard = Heard::default();
    let context = Context {
        trace: Some(&heard),
        ..Context::new(&DEFINITIONS)
    };
    let count = expression.evaluate(&context, item).unwrap();
    assert!(matches!(*count, [Item::Integer(3)]));
    assert_eq!(*heard.0.borrow(), ["names: 3 items", "given: 3 items"]);
}

#[test]
fn an_error_says_where_in_a_text_of_several_lines() {
    check_error("name\n  .given.\n", "at line 3, column 1: the name of");
    check_error("'ä' & ä", "at line 1, column 7: 'ä' is not expected");
    check_error(
        "true\n and name.single().exists()",
        "at line 2, column 11: single takes",
    );
}
