//! What holds for every expression: nothing panics, everything ends within its limits, and knowing
//! the type beforehand changes nothing but the speed.

#![expect(
    clippy::unwrap_used,
    clippy::panic_in_result_fn,
    reason = "a failing test may panic"
)]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use fhir_model::definition::Definitions;
use fhir_model::tree::{Limits as TreeLimits, Tree};
use fhirpath::{BundleResolver, Context, Expression, Item, Limits, Options, Temporal, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

#[path = "../../fhir-model/tests/support/r4_core.rs"]
mod r4_core;

static DEFINITIONS: LazyLock<Arc<Definitions>> = LazyLock::new(r4_core::definitions);

/// A few examples of the specification, which are part of the repository.
static EXAMPLES: LazyLock<Vec<Tree>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/resources/r4-spec");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    let trees = paths.iter().step_by(5).map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        Tree::parse(text, DEFINITIONS.names(), &TreeLimits::default()).unwrap()
    });
    trees.collect()
});

/// Small, so that expressions that only work hard are soon done with.
const LIMITS: Limits = Limits {
    steps_max: 50_000,
    items_max: 5_000,
    string_bytes_max: 1 << 16,
};

/// Functions that take no argument.
const PLAIN: &[&str] = &[
    "exists",
    "empty",
    "not",
    "count",
    "distinct",
    "isDistinct",
    "allTrue",
    "anyFalse",
    "single",
    "first",
    "last",
    "tail",
    "children",
    "descendants",
    "toString",
    "toInteger",
    "toDecimal",
    "toQuantity",
    "toDate",
    "toDateTime",
    "toTime",
    "toBoolean",
    "convertsToDate",
    "length",
    "upper",
    "trim",
    "toChars",
    "abs",
    "ceiling",
    "round",
    "sqrt",
    "ln",
    "exp",
    "type",
    "hasValue",
    "getValue",
    "resolve",
    "htmlChecks",
    "lowBoundary",
    "highBoundary",
    "precision",
    "yearOf",
    "timezoneOffsetOf",
    "timeOf",
    "sum",
    "min",
    "avg",
    "sort",
    "pathname",
    "weight",
    "today",
    "checkModifiers",
    "join",
];

/// Functions that take one.
const WITH_ONE: &[&str] = &[
    "where",
    "select",
    "all",
    "exists",
    "repeat",
    "repeatAll",
    "aggregate",
    "skip",
    "take",
    "intersect",
    "exclude",
    "union",
    "combine",
    "subsetOf",
    "indexOf",
    "substring",
    "startsWith",
    "contains",
    "matches",
    "split",
    "join",
    "encode",
    "escape",
    "power",
    "log",
    "comparable",
    "extension",
    "trace",
    "toQuantity",
    "lowBoundary",
    "sort",
];

const OPERATORS: &[&str] = &[
    "*", "/", "div", "mod", "+", "-", "&", "|", "<=", "<", ">=", ">", "=", "~", "!=", "!~", "in",
    "contains", "and", "xor", "or", "implies",
];

/// Elements, which may follow a dot too.
const NAMES: &[&str] = &[
    "name",
    "given",
    "status",
    "code",
    "coding",
    "subject",
    "reference",
    "extension",
    "value",
    "period",
    "start",
    "item",
    "answer",
    "text",
    "`div`",
    "id",
    "contained",
    "description",
    "onset",
    "target",
    "due",
    "birthDate",
    "deceased",
];

/// What an expression may start with.
const STARTS: &[&str] = &[
    "$this",
    "$index",
    "$total",
    "%resource",
    "%context",
    "%rootResource",
    "%ucum",
    "%x",
    "Patient",
    "Goal",
];

const LITERALS: &[&str] = &[
    "true",
    "false",
    "{}",
    "0",
    "1",
    "7",
    "2.50",
    "100000000000",
    "'a'",
    "''",
    "'2015-02'",
    "@2015",
    "@2015-02-04",
    "@2015-02-04T14:34:28.123+02:00",
    "@T14:34",
    "4 'mg'",
    "1 year",
    "3 days",
    "'[0-9]+'",
    "'http://example.org'",
];

fn leaf() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(NAMES).prop_map(str::to_owned),
        2 => select(STARTS).prop_map(str::to_owned),
        3 => select(LITERALS).prop_map(str::to_owned),
        1 => "'[a-z%.()|*+?$^ ]{0,8}'",
    ]
}

/// Expressions by the grammar.
fn expression() -> impl Strategy<Value = String> {
    leaf().prop_recursive(6, 40, 3, |inner| {
        prop_oneof![
            3 => (inner.clone(), select(PLAIN)).prop_map(|(input, name)| format!("({input}).{name}()")),
            3 => (inner.clone(), select(WITH_ONE), inner.clone())
                .prop_map(|(input, name, argument)| format!("({input}).{name}({argument})")),
            3 => (inner.clone(), select(OPERATORS), inner.clone())
                .prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})")),
            2 => (inner.clone(), select(NAMES)).prop_map(|(input, name)| format!("({input}).{name}")),
            1 => (inner.clone(), inner.clone()).prop_map(|(input, index)| format!("({input})[{index}]")),
            1 => inner.clone().prop_map(|operand| format!("-({operand})")),
            1 => (inner.clone(), select(vec!["is", "as"]), select(vec!["string", "Quantity", "System.Integer", "FHIR.code"]))
                .prop_map(|(operand, operator, name)| format!("({operand}) {operator} {name}")),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(test, yes, no)| format!("iif({test}, {yes}, {no})")),
            1 => (inner.clone(), inner.clone(), inner)
                .prop_map(|(input, value, rest)| format!("({input}).defineVariable('x', {value}).select({rest})")),
        ]
    })
}

/// What an expression gives for a resource: items as JSON, or why there are none.
fn outcome(text: &str, tree: &Tree, options: Options) -> Result<String, String> {
    let definitions = &*DEFINITIONS;
    let item = Item::resource(tree.element(), definitions).unwrap();
    let expression =
        Expression::compile_with(text, definitions, &options).map_err(|error| error.to_string())?;
    let resolver = BundleResolver::new(tree.element(), definitions);
    let context = Context {
        resolver: Some(&resolver),
        now: Temporal::parse_date_time("2026-03-02T10:00:00.000+01:00"),
        limits: LIMITS,
        ..Context::new(definitions)
    };
    let items = expression.evaluate(&context, item.clone());
    let mut json = String::new();
    let mut visited = 0;
    let visit = expression.for_each(&context, item.clone(), |_| {
        visited += 1;
        true
    });
    match items {
        Ok(items) => {
            for item in &items {
                json.push_str(&item.qualified_type_name(definitions));
                json.push(' ');
                item.write_json(definitions, &mut json);
                json.push('\n');
            }
            assert_eq!(visited, items.len(), "{text}");
            if let Ok(truth) = expression.evaluate_bool(&context, item) {
                assert!(truth || items.len() == 1, "{text}");
            }
            Ok(json)
        }
        Err(error) => {
            assert!(error.position <= text.len(), "{text}");
            // A visitor keeps nothing, so that it may go further than a collection.
            assert!(
                visit.is_err() || visited > LIMITS.items_max,
                "{text}: {error}"
            );
            Err(error.kind.to_string())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_expression_ends_and_its_type_only_makes_it_quicker(text in expression()) {
        for tree in EXAMPLES.iter() {
            let root = DEFINITIONS.resource_type(&tree.resource_type().unwrap());
            let untyped = outcome(&text, tree, Options::default());
            let typed = outcome(&text, tree, Options { root, ..Options::default() });
            // Both count their steps, and not alike.
            if let (Ok(untyped), Ok(typed)) = (&untyped, &typed) {
                prop_assert_eq!(untyped, typed, "{}", text);
            }
            let _ = outcome(&text, tree, Options { root, check: true, exact: true, ..Options::default() });
        }
    }

    #[test]
    fn what_is_written_by_the_grammar_is_printed_and_read_again(text in expression()) {
        let printed = parse(&text).map_err(|error| error.to_string()).unwrap().to_string();
        let again = parse(&printed).map_err(|error| format!("{printed}: {error}")).unwrap();
        prop_assert_eq!(again.to_string(), printed);
    }

    #[test]
    fn any_text_is_an_expression_or_is_refused_with_its_place(pieces in vec(any::<String>(), 0..4)) {
        let text = pieces.concat();
        if let Err(error) = parse(&text) {
            prop_assert!(error.position <= text.len());
            prop_assert!(error.place.line >= 1 && error.place.column >= 1);
        }
    }
}

/// Texts that have brought engines down: by their depth, their length, their numbers, or by the work
/// that they ask for.
fn malicious() -> Vec<String> {
    let many = 100_000;
    let few = 5_000;
    let mut texts = vec![
        "(".repeat(many),
        ")".repeat(many),
        format!("{}1{}", "(".repeat(few), ")".repeat(few)),
        format!("{}1", "-".repeat(few)),
        format!("{}1", "- ".repeat(few)),
        format!("1{}", " + 1".repeat(few)),
        format!("name{}", ".name".repeat(few)),
        format!("name{}", "[0]".repeat(few)),
        format!("name{}", ".first()".repeat(few)),
        format!("{}1{}", "iif(true, ".repeat(few), ")".repeat(few)),
        format!("{}true{}", "where(".repeat(few), ")".repeat(few)),
        format!("{}{}", "{".repeat(few), "}".repeat(few)),
        format!("a{}", " is string".repeat(few)),
        format!("'{}'", "a".repeat(many)),
        format!("'{}", "\\".repeat(few)),
        format!("`{}", "a".repeat(few)),
        format!("%{}", "a".repeat(many)),
        format!("{}", "9".repeat(few)),
        format!("1.{}", "9".repeat(few)),
        format!("1 '{}'", "m".repeat(few)),
        format!("1 '{}' = 1 'm'", "m.".repeat(few)),
        format!("1 '{}m{}' = 1 'm'", "(".repeat(few), ")".repeat(few)),
        format!("'a'.matches('{}')", "(a*)*".repeat(few)),
        format!("'a'.matches('{}')", "(".repeat(few)),
        format!("'a'.matches('a{{{many}}}')"),
        format!("'{}'.matches('(a+)+b')", "a".repeat(few)),
        format!("/*{}", "/*".repeat(few)),
        "\u{0}".repeat(few),
        "\u{feff}name".to_owned(),
        "%".to_owned(),
        "$".to_owned(),
        "@".to_owned(),
        "@T".to_owned(),
        "@2015-".to_owned(),
        "@0000".to_owned(),
        "@2015-02-30".to_owned(),
        "@2015-02-04T25:00".to_owned(),
        "'\\u'".to_owned(),
        "'\\ud800'".to_owned(),
        "'\\udc00\\ud800'".to_owned(),
        "é".to_owned(),
        "2147483648".to_owned(),
        "-2147483648".to_owned(),
        "(-2147483647 - 1).abs()".to_owned(),
        "(-2147483647 - 1) div -1".to_owned(),
        "(-2147483647 - 1) mod -1".to_owned(),
        "1 div 0".to_owned(),
        "1 mod 0".to_owned(),
        "1.0 / 0.0".to_owned(),
        "2147483647 + 1".to_owned(),
        "79228162514264337593543950335 * 79228162514264337593543950335".to_owned(),
        "10.power(1000000)".to_owned(),
        "(-1).power(0.5)".to_owned(),
        "0.ln()".to_owned(),
        "1.round(-1)".to_owned(),
        "1.round(2147483647)".to_owned(),
        "1.5.lowBoundary(2147483647)".to_owned(),
        "@2015.lowBoundary(-2147483648)".to_owned(),
        "@9999-12-31 + 2147483647 years".to_owned(),
        "@0001-01-01 - 2147483647 days".to_owned(),
        "@T23:59 + 100000000000 hours".to_owned(),
        "'abc'.substring(2147483647, 2147483647)".to_owned(),
        "'abc'.substring(-1, -1)".to_owned(),
        "name.skip(-2147483648).take(2147483647)".to_owned(),
        "name[-1]".to_owned(),
        "name[2147483647]".to_owned(),
        "repeat(1)".to_owned(),
        "repeatAll(1)".to_owned(),
        "1.repeat($this + 1)".to_owned(),
        "'a'.repeat($this & $this)".to_owned(),
        "'a'.repeatAll(toChars() | toChars())".to_owned(),
        "descendants().descendants().descendants().descendants()".to_owned(),
        "descendants().select(%resource.descendants()).select(%resource.descendants()).count()"
            .to_owned(),
        "descendants() = descendants() and descendants() ~ descendants()".to_owned(),
        "(1|2|3|4|5|6|7|8|9).aggregate($total.combine($total).combine($this), 1)".to_owned(),
        "descendants().aggregate($total & $total & 'aaaaaaaa', 'a').length()".to_owned(),
        "descendants().aggregate($total.replace('a', 'aa'), 'a').length()".to_owned(),
        "defineVariable('x', descendants()).select(%x.select(%x.select(%x))).count()".to_owned(),
        "descendants().sort(%resource.descendants().count(), -%resource.descendants().count())"
            .to_owned(),
    ];
    texts.push(texts.concat());
    texts
}

#[test]
fn texts_that_bring_engines_down_are_refused_or_end() {
    let tree = EXAMPLES.first().unwrap();
    for text in malicious() {
        for exact in [false, true] {
            let options = Options {
                exact,
                ..Options::default()
            };
            let _ = outcome(&text, tree, options);
        }
    }
}
