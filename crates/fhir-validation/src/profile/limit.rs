//! The smallest and the largest value and length that an element may have:
//! <https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.minValue_x_>.
//!
//! Values are compared as `FHIRPath` compares them: quantities in different units and dates of
//! different precision too, and where that gives no answer, there is no issue. A duration as the limit
//! of a point in time is counted from now, if the options say when that is.

use fhir_model::definition::{Definitions, Element as Definition, TypeId, TypedValue};
use fhir_model::element::Element as Instance;
use fhir_model::issue::IssueType;
use fhir_model::primitive::decimal::Decimal;
use fhir_model::tree::Node;
use fhirpath::{Context, Expression, Item, Temporal};

use crate::finding::shorten;
use crate::profile::{Expected, ValueRules};
use crate::walk::Walk;

/// What bounds the value of an element.
#[derive(Debug)]
pub(crate) struct Limits {
    least: Option<Bound>,
    greatest: Option<Bound>,
    length_min: Option<u32>,
    length_max: Option<u32>,
    /// Whether extensions do not stand in for the value.
    must_have_value: bool,
}

/// A value that must not be passed.
#[derive(Debug)]
struct Bound {
    value: Expected,
    type_id: TypeId,
    /// True of a value that passes it.
    is_passed: Expression,
    /// True of a point in time that passes it, if the limit is a duration from now.
    is_passed_by_time: Option<Expression>,
}

/// Which way a limit is.
#[derive(Clone, Copy)]
enum Side {
    Least,
    Greatest,
}

/// The types of points in time, which a duration limits as counted from now.
const TIMES: &[&str] = &["date", "dateTime", "instant"];

/// UCUM codes of durations, and what the calendar calls them.
const CALENDAR: &[(&str, &str)] = &[
    ("a", "years"),
    ("mo", "months"),
    ("wk", "weeks"),
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
];

impl Limits {
    /// The limits of an element, but for a length that the base has as well.
    pub(super) fn compile(
        definitions: &Definitions,
        element: &Definition,
        base: Option<&Definition>,
    ) -> Option<Box<Self>> {
        let bound = |value: Option<TypedValue>, side| {
            value.and_then(|value| Bound::compile(definitions, value, side))
        };
        let limits = Self {
            least: bound(element.min_value, Side::Least),
            greatest: bound(element.max_value, Side::Greatest),
            length_min: element.min_length,
            length_max: element
                .max_length
                .filter(|length| base.and_then(|base| base.max_length) != Some(*length)),
            must_have_value: element.must_have_value,
        };
        let is_idle = limits.least.is_none()
            && limits.greatest.is_none()
            && limits.length_min.is_none()
            && limits.length_max.is_none()
            && !limits.must_have_value;
        (!is_idle).then(|| Box::new(limits))
    }
}

impl Bound {
    fn compile(definitions: &Definitions, value: TypedValue, side: Side) -> Option<Self> {
        let (is_passed, from_now) = match side {
            Side::Least => ("$this < %limit", "$this < now() - "),
            Side::Greatest => ("$this > %limit", "$this > now() + "),
        };
        let compile = |text: &str| Expression::compile(text, definitions, None).ok();
        let expected = Expected::new(definitions, value)?;
        let duration = expected.node().and_then(duration);
        Some(Self {
            value: expected,
            type_id: value.type_id,
            is_passed: compile(is_passed)?,
            is_passed_by_time: duration
                .and_then(|duration| compile(&format!("{from_now}{duration}"))),
        })
    }

    /// What is true of a value of this type that passes the limit.
    fn condition(&self, type_name: &str) -> &Expression {
        self.is_passed_by_time
            .as_ref()
            .filter(|_| TIMES.contains(&type_name))
            .unwrap_or(&self.is_passed)
    }

    fn is_passed(
        &self,
        definitions: &Definitions,
        instance: Instance<'_>,
        type_id: TypeId,
        now: Option<Temporal>,
    ) -> bool {
        let Some(limit) = self.value.node() else {
            return false;
        };
        let limit = [Item::node(Instance::of(limit), self.type_id)];
        let variables: [(&str, &[Item<'_>]); 1] = [("limit", &limit)];
        let mut context = Context::new(definitions);
        context.variables = &variables;
        context.now = now;
        let truth = self
            .condition(definitions.type_name(type_id))
            .evaluate_truth(&context, Item::node(instance, type_id));
        matches!(truth, Ok(Some(true)))
    }
}

/// A duration as an expression has it: `100 years`.
fn duration(value: Node<'_>) -> Option<String> {
    let number = Decimal::parse(value.get_str("value")?.raw_text())?;
    let code = value.get_str("code").and_then(Node::as_str)?;
    let (_, unit) = CALENDAR.iter().find(|(ucum, _)| *ucum == code)?;
    Some(format!("{number} {unit}"))
}

impl<'a> Walk<'a> {
    /// An occurrence against the limits of its element.
    pub(super) fn limits(
        &mut self,
        instance: Instance<'a>,
        type_id: TypeId,
        rules: &'a ValueRules,
        limits: &'a Limits,
    ) {
        let Some(value) = instance.value() else {
            if limits.must_have_value {
                let text = "A value is needed here; an extension does not stand in for it";
                self.broken(
                    instance.node(),
                    IssueType::Required,
                    rules.element,
                    text.to_owned(),
                );
            }
            return;
        };
        let bounds = [(&limits.least, "least"), (&limits.greatest, "most")];
        for (bound, word) in bounds {
            if let Some(bound) = bound
                && bound.is_passed(self.definitions, instance, type_id, self.options.now)
            {
                let text = format!("This must be at {word} {}", shorten(bound.value.text()));
                self.broken(value, IssueType::Value, rules.element, text);
            }
        }
        if limits.length_min.is_some() || limits.length_max.is_some() {
            self.length(value, rules, limits);
        }
    }

    fn length(&mut self, value: Node<'a>, rules: &'a ValueRules, limits: &'a Limits) {
        let Some(text) = value.as_str() else { return };
        let length = text.chars().count();
        if let Some(max) = limits.length_max
            && length > max as usize
        {
            let text = format!("This has {length} characters, and {max} at most may be");
            self.broken(value, IssueType::TooLong, rules.element, text);
        }
        if let Some(min) = limits.length_min
            && length < min as usize
        {
            let text = format!("This has {length} characters, and {min} at least must be");
            self.broken(value, IssueType::Value, rules.element, text);
        }
    }
}
