//! `_filter`: conditions joined by `and`, `or` and `not`.
//!
//! <https://hl7.org/fhir/R4/search_filter.html>. What an operator means for a kind of parameter says a
//! table; names and values are read as those of other parameters are. The grammar is `syntax`.

use std::borrow::Cow;

use fhir_model::definition::TypeId;

use crate::search::expression::{Criterion, Filter, Prefix, StringMatching, ValueKind};
use crate::search::parameter::Parameter;
use crate::search::query::boolean::syntax::{Condition, Node, Step, Value};
use crate::search::query::escape::escape;
use crate::search::query::filter::{FOR_ALL_TYPES, Filters};
use crate::search::query::name::Name;
use crate::search::query::refusal::Refusal;

mod syntax;

/// What an operator asks of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    /// What the parameter means without a modifier.
    Plain,
    /// What the parameter means with a modifier.
    Modifier(&'static str),
    /// What the prefix of the same name means.
    Prefix,
    /// The string as a whole is the value; values are never case sensitive.
    Whole,
    /// The string ends with the value.
    Ends,
    /// Intervals overlap.
    Overlaps,
    /// There are values, and none is this.
    Unequal,
    /// There are values (`true`), or there are none.
    Present,
}

/// What operators mean for the kinds of parameters; no kinds stand for all of them. The first row
/// that fits decides.
const OPERATORS: &[(&str, &[ValueKind], Test)] = &[
    ("eq", &[ValueKind::String], Test::Whole),
    ("eq", &[], Test::Plain),
    ("ne", ORDERED, Test::Prefix),
    ("ne", &[], Test::Unequal),
    ("co", &[ValueKind::String], Test::Modifier("contains")),
    ("sw", &[ValueKind::String], Test::Plain),
    ("sw", &[ValueKind::Uri], Test::Modifier("below")),
    ("ew", &[ValueKind::String], Test::Ends),
    ("gt", ORDERED, Test::Prefix),
    ("lt", ORDERED, Test::Prefix),
    ("ge", ORDERED, Test::Prefix),
    ("le", ORDERED, Test::Prefix),
    ("ap", ORDERED, Test::Prefix),
    ("sa", ORDERED, Test::Prefix),
    ("eb", ORDERED, Test::Prefix),
    ("pr", &[], Test::Present),
    ("po", &[ValueKind::Date], Test::Overlaps),
    // a value that subsumes what is found is above it, so that what is found is below the value
    ("ss", &[ValueKind::Token], Test::Modifier("below")),
    ("sb", &[ValueKind::Token], Test::Modifier("above")),
    ("in", &[ValueKind::Token], Test::Modifier("in")),
    ("ni", &[ValueKind::Token], Test::Modifier("not-in")),
    ("re", &[ValueKind::Reference], Test::Plain),
];

const ORDERED: &[ValueKind] = &[ValueKind::Date, ValueKind::Number, ValueKind::Quantity];

/// What an operator means for a kind of parameter, if it means something.
fn operation(operator: &str, kind: ValueKind) -> Option<Test> {
    OPERATORS
        .iter()
        .find(|(code, kinds, _)| *code == operator && (kinds.is_empty() || kinds.contains(&kind)))
        .map(|(_, _, test)| *test)
}

impl Filters<'_> {
    /// The filter that an expression stands for.
    pub(super) fn boolean(self, types: &[TypeId], text: &str) -> Result<Filter, Refusal> {
        let node = syntax::parse(text).map_err(|problem| wrong(problem.at, &problem.reason))?;
        self.node(types, &node)
    }

    fn node(self, types: &[TypeId], node: &Node<'_>) -> Result<Filter, Refusal> {
        let all = |nodes: &[Node<'_>]| {
            let filters = nodes.iter().map(|node| self.node(types, node));
            filters.collect::<Result<Vec<Filter>, Refusal>>()
        };
        Ok(match node {
            Node::And(nodes) => Filter::And(all(nodes)?),
            Node::Or(nodes) => Filter::Or(all(nodes)?),
            Node::Not(node) => Filter::Not(Box::new(self.node(types, node)?)),
            Node::Condition(condition) => self.path(types, &condition.path, condition)?,
        })
    }

    /// The condition on what a path leads to.
    fn path(
        self,
        types: &[TypeId],
        path: &[Step<'_>],
        condition: &Condition<'_>,
    ) -> Result<Filter, Refusal> {
        let [step, rest @ ..] = path else {
            return Ok(Filter::Nothing);
        };
        let at = |refusal: Refusal| wrong(step.at, &refusal.into_error().text);
        let Some(next) = rest.first() else {
            return self.test(types, step, condition);
        };
        let parts = Name::parse(step.name);
        self.by_type(types, |of| {
            let parameter = self.parameter(of, parts.code).map_err(at)?;
            let code = Name::parse(next.name).code;
            let (targets, inner) = self.link(parameter, parts.modifier, code).map_err(at)?;
            let mut filters = Vec::new();
            if let Some(filter) = &step.filter {
                filters.push(inner.node(&targets, filter)?);
            }
            filters.push(inner.path(&targets, rest, condition)?);
            self.chain_to(parameter, &targets, filters)
        })
    }

    fn test(
        self,
        types: &[TypeId],
        step: &Step<'_>,
        condition: &Condition<'_>,
    ) -> Result<Filter, Refusal> {
        let Condition {
            operator, value, ..
        } = condition;
        if !OPERATORS.iter().any(|(code, ..)| code == operator) {
            let mut known: Vec<&str> = OPERATORS.iter().map(|(code, ..)| *code).collect();
            known.dedup();
            let reason = format!("an operator was expected, one of {}", known.join(", "));
            return Err(wrong(condition.operator_at, &reason));
        }
        let at = |refusal: Refusal| wrong(step.at, &refusal.into_error().text);
        let name = Name::parse(step.name);
        if FOR_ALL_TYPES.contains(&name.code) {
            let test = column(name.code, operator)
                .ok_or_else(|| wrong(condition.operator_at, &not_for(operator, name.code)))?;
            let value = value.of_column();
            return self
                .tested_column(types, step.name, test, &value)
                .map_err(at);
        }
        self.by_type(types, |of| {
            let parameter = self.parameter(of, name.code).map_err(at)?;
            let test = operation(operator, parameter.kind)
                .ok_or_else(|| wrong(condition.operator_at, &not_for(operator, name.code)))?;
            let value = value.of_kind(parameter.kind);
            let tested = self.tested(parameter, name, (operator, test), &value);
            tested.map_err(at)
        })
    }

    fn tested(
        self,
        parameter: Parameter<'_>,
        name: Name<'_>,
        (operator, test): (&str, Test),
        value: &str,
    ) -> Result<Filter, Refusal> {
        let with = |modifier| Name { modifier, ..name };
        let plain = || self.any(parameter, name, value);
        Ok(match test {
            Test::Plain => plain()?,
            Test::Modifier(modifier) => self.any(parameter, with(Some(modifier)), value)?,
            Test::Prefix => self.any(parameter, name, &format!("{operator}{value}"))?,
            Test::Whole => compared(plain()?, |criterion| {
                strings(criterion, StringMatching::Whole)
            }),
            Test::Ends => compared(plain()?, |criterion| {
                strings(criterion, StringMatching::Ends)
            }),
            Test::Overlaps => compared(plain()?, overlap),
            Test::Unequal => Filter::And(vec![
                self.any(parameter, with(Some("missing")), "false")?,
                Filter::Not(Box::new(plain()?)),
            ]),
            Test::Present => {
                let missing = match value {
                    "true" => "false",
                    "false" => "true",
                    _ => return Err(Refusal::value(name.code, "is neither true nor false")),
                };
                self.any(parameter, with(Some("missing")), missing)?
            }
        })
    }

    /// A parameter that means the same for every type.
    fn tested_column(
        self,
        types: &[TypeId],
        name: &str,
        test: ColumnTest,
        value: &str,
    ) -> Result<Filter, Refusal> {
        match test {
            ColumnTest::Equal => self.read(types, name, value),
            ColumnTest::Unequal => Ok(Filter::Not(Box::new(self.read(types, name, value)?))),
            ColumnTest::Prefix(prefix) => self.read(types, name, &format!("{prefix}{value}")),
        }
    }
}

/// What an operator asks of a parameter that means the same for every type.
enum ColumnTest {
    Equal,
    Unequal,
    Prefix(&'static str),
}

fn column(code: &str, operator: &str) -> Option<ColumnTest> {
    let ordered = ["ne", "gt", "lt", "ge", "le", "ap", "sa", "eb"];
    match (code, operator) {
        ("_filter", _) => None,
        (_, "eq") => Some(ColumnTest::Equal),
        ("_lastUpdated", operator) => {
            let prefix = ordered.into_iter().find(|prefix| *prefix == operator);
            prefix.map(ColumnTest::Prefix)
        }
        (_, "ne") => Some(ColumnTest::Unequal),
        _ => None,
    }
}

impl Value<'_> {
    /// The value as the parameters of a kind are read: what is escaped in a text says so, and a comma
    /// does not separate alternatives.
    fn of_kind(&self, kind: ValueKind) -> Cow<'_, str> {
        let is_text = matches!(kind, ValueKind::String | ValueKind::Uri);
        match self {
            Self::Text(text) if is_text => Cow::Owned(escape(text)),
            Self::Token(text) if is_text => Cow::Owned(escape(text)),
            _ => self.of_column(),
        }
    }

    fn of_column(&self) -> Cow<'_, str> {
        let text = match self {
            Self::Text(text) => text,
            Self::Token(text) => *text,
        };
        if text.contains(',') {
            Cow::Owned(text.replace(',', "\\,"))
        } else {
            Cow::Borrowed(text)
        }
    }
}

/// The filter with its criteria changed.
fn compared(filter: Filter, change: impl Fn(Criterion) -> Criterion) -> Filter {
    match filter {
        Filter::Any {
            parameter,
            criteria,
            negated,
        } => Filter::Any {
            parameter,
            criteria: criteria.into_iter().map(change).collect(),
            negated,
        },
        other => other,
    }
}

fn strings(criterion: Criterion, matching: StringMatching) -> Criterion {
    match criterion {
        Criterion::String { text, .. } => Criterion::String { text, matching },
        other => other,
    }
}

fn overlap(criterion: Criterion) -> Criterion {
    match criterion {
        Criterion::Date(mut date) => {
            date.prefix = Prefix::Ap;
            Criterion::Date(date)
        }
        other => other,
    }
}

fn not_for(operator: &str, code: &str) -> String {
    format!("'{operator}' means nothing for the parameter '{code}'")
}

fn wrong(at: usize, reason: &str) -> Refusal {
    let reason = reason.trim_end_matches('.');
    Refusal::value("_filter", &format!("is wrong at character {at}: {reason}"))
}
