//! Quantities and numbers of elements.
//!
//! <https://hl7.org/fhir/R4/search.html#quantity>, <https://hl7.org/fhir/R4/search.html#number>. How
//! precisely a number is written does not matter: a value is compared as a point, and what has two
//! ends as a range.

use std::borrow::Cow;

use fhir_model::element::Element;

use crate::search::extract::rule::{Fields, Sink, child_text};
use crate::search::interval;
use crate::search::unit::{UCUM, Unit};
use crate::search::value::{CANONICAL, Number, ParameterId, Quantity};

/// The code system of `Money.currency`: <https://hl7.org/fhir/R4/valueset-currencies.html>.
const CURRENCY_SYSTEM: &str = "urn:iso:std:iso:4217";

/// The ends of a range as decimals; none is open.
type Ends<'a> = (Option<Cow<'a, str>>, Option<Cow<'a, str>>);

/// How a unit is given.
#[derive(Default)]
struct Given<'a> {
    system: Cow<'a, str>,
    code: Option<Cow<'a, str>>,
    text: Option<Cow<'a, str>>,
}

impl<'a> Given<'a> {
    fn of(fields: &Fields, element: Element<'a>) -> Self {
        Self {
            system: child_text(element, fields.system).unwrap_or_default(),
            code: child_text(element, fields.code),
            text: child_text(element, fields.unit),
        }
    }
}

/// Adds a quantity: as sent; by the text of its unit, where that is not its code; and in the
/// canonical unit.
fn push(sink: &mut Sink<'_>, ends: &Ends<'_>, given: Given<'_>) {
    let Some(numbers) = numbers(ends) else { return };
    let parameter = sink.parameter;
    let mut add = |parameter: ParameterId, (low, high), system: &str, code: &str| {
        sink.values.quantities.push(Quantity {
            parameter,
            system: system.to_owned(),
            code: code.to_owned(),
            low,
            high,
        });
    };
    let Some(code) = given.code else {
        add(
            parameter,
            numbers,
            &given.system,
            &given.text.unwrap_or_default(),
        );
        return;
    };
    add(parameter, numbers, &given.system, &code);
    if let Some(text) = given.text.filter(|text| *text != code) {
        add(parameter, numbers, "", &text);
    }
    let unit = (given.system == UCUM).then(|| Unit::parse(&code)).flatten();
    let (low, high) = ends;
    let canonical = unit.and_then(|unit| {
        let ends = unit.interval(low.as_deref(), high.as_deref())?;
        Some((ends, unit))
    });
    if let Some((ends, unit)) = canonical {
        add(parameter.aspect(CANONICAL), ends, "", unit.canonical());
    }
}

/// The ends as numbers; nothing where one is none, or both are open.
fn numbers((low, high): &Ends<'_>) -> Option<(f64, f64)> {
    let number = |end: &Option<Cow<'_, str>>, open| match end {
        Some(text) => interval::decimal(text).map(|decimal| decimal.value),
        None => Some(open),
    };
    let is_empty = low.is_none() && high.is_none();
    let ends = (number(low, f64::MIN)?, number(high, f64::MAX)?);
    (!is_empty).then_some(ends)
}

/// What a comparator (`<`, `<=`, `>`, `>=`) makes of a number.
fn compared<'a>(number: Cow<'a, str>, comparator: Option<&str>) -> Ends<'a> {
    match comparator.and_then(|comparator| comparator.chars().next()) {
        Some('<') => (None, Some(number)),
        Some('>') => (Some(number), None),
        _ => (Some(number.clone()), Some(number)),
    }
}

pub(super) fn plain(sink: &mut Sink<'_>, element: Element<'_>) {
    let fields = sink.fields;
    if let Some(number) = child_text(element, fields.value) {
        let comparator = child_text(element, fields.comparator);
        let ends = compared(number, comparator.as_deref());
        push(sink, &ends, Given::of(fields, element));
    }
}

pub(super) fn money(sink: &mut Sink<'_>, element: Element<'_>) {
    if let Some(number) = child_text(element, sink.fields.value) {
        let currency = child_text(element, sink.fields.currency);
        let given = Given {
            system: currency.as_ref().map_or("", |_| CURRENCY_SYSTEM).into(),
            code: currency,
            text: None,
        };
        push(sink, &(Some(number.clone()), Some(number)), given);
    }
}

/// The ends of a Range; an end that is not there is open.
fn ends<'a>(fields: &Fields, element: Element<'a>) -> Ends<'a> {
    let end = |name| child_text(element.child(name)?, fields.value);
    (end(fields.low), end(fields.high))
}

pub(super) fn range(sink: &mut Sink<'_>, element: Element<'_>) {
    let fields = sink.fields;
    let end = element
        .child(fields.low)
        .or_else(|| element.child(fields.high));
    if let Some(end) = end {
        push(sink, &ends(fields, element), Given::of(fields, end));
    }
}

/// The bounds of the values: the search parameters that find them say so.
pub(super) fn sampled_data(sink: &mut Sink<'_>, element: Element<'_>) {
    let fields = sink.fields;
    let (Some(origin), Some(data)) = (
        element.child(fields.origin),
        child_text(element, fields.data),
    ) else {
        return;
    };
    let number = |text: Option<Cow<'_, str>>| text.and_then(|text| text.parse::<f64>().ok());
    let zero = number(child_text(origin, fields.value)).unwrap_or(0.0);
    let factor = number(child_text(element, fields.factor)).unwrap_or(1.0);
    let limits = [("L", fields.lower_limit), ("U", fields.upper_limit)];
    let bounds = data
        .split_whitespace()
        .filter_map(
            |point| match limits.iter().find(|(sign, _)| *sign == point) {
                Some((_, limit)) => number(child_text(element, *limit)),
                None => point.parse().ok(),
            },
        )
        .map(|point: f64| point.mul_add(factor, zero))
        .fold(None, |bounds: Option<(f64, f64)>, point| {
            let (low, high) = bounds.unwrap_or((point, point));
            Some((low.min(point), high.max(point)))
        });
    if let Some((low, high)) = bounds {
        let text = |end: f64| Some(Cow::Owned(end.to_string()));
        push(sink, &(text(low), text(high)), Given::of(fields, origin));
    }
}

pub(super) fn number_range(sink: &mut Sink<'_>, element: Element<'_>) {
    if let Some(ends) = numbers(&ends(sink.fields, element)) {
        push_number(sink, ends);
    }
}

pub(super) fn number(sink: &mut Sink<'_>, element: Element<'_>) {
    if let Some(number) = element
        .value_text()
        .and_then(|text| interval::decimal(&text))
    {
        push_number(sink, (number.value, number.value));
    }
}

fn push_number(sink: &mut Sink<'_>, (low, high): (f64, f64)) {
    sink.values.numbers.push(Number {
        parameter: sink.parameter,
        low,
        high,
    });
}
