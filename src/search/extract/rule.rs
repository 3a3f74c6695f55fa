//! Which values an element has for a parameter, by the types of both.
//!
//! The table follows those of <https://hl7.org/fhir/R4/search.html#token> and its neighbours. An
//! element of a type that is not in the table has no value for such a parameter. Tokens and
//! quantities, which are more than one value each, have files of their own.

use std::borrow::Cow;

use fhir_model::definition::Definitions;
use fhir_model::element::Element;
use fhir_model::name::Name;
use fhir_model::reference::{BaseUrl, Canonical};

use crate::search::expression::ValueKind;
use crate::search::interval;
use crate::search::normalise::{fold, truncated};
use crate::search::target;
use crate::search::value::{DateRange, ParameterId, Reference, SearchValues, Target, Text, Uri};

mod quantity;
mod token;

/// The names of the elements that rules look at, from the table of those that are used.
macro_rules! fields {
    ($($field:ident = $name:literal,)+) => {
        /// The elements that rules look at, by number.
        #[derive(Debug)]
        pub(super) struct Fields {
            $($field: Name,)+
        }

        impl Fields {
            pub(super) fn new(definitions: &Definitions) -> Self {
                let name = |text| definitions.names().get(text).unwrap_or(Name::UNKNOWN);
                Self {
                    $($field: name($name),)+
                }
            }
        }
    };
}

fields! {
    bounds_period = "boundsPeriod",
    city = "city",
    code = "code",
    coding = "coding",
    comparator = "comparator",
    country = "country",
    currency = "currency",
    data = "data",
    display = "display",
    district = "district",
    end = "end",
    event = "event",
    family = "family",
    given = "given",
    factor = "factor",
    high = "high",
    identifier = "identifier",
    line = "line",
    low = "low",
    lower_limit = "lowerLimit",
    origin = "origin",
    postal_code = "postalCode",
    prefix = "prefix",
    reference = "reference",
    repeat = "repeat",
    start = "start",
    state = "state",
    suffix = "suffix",
    system = "system",
    text = "text",
    r#type = "type",
    unit = "unit",
    upper_limit = "upperLimit",
    value = "value",
}

/// Where the values of one parameter go.
pub(super) struct Sink<'a> {
    pub(super) definitions: &'a Definitions,
    pub(super) fields: &'a Fields,
    pub(super) base_url: &'a BaseUrl,
    pub(super) parameter: ParameterId,
    /// Whether tokens are kept in lower case.
    pub(super) ignores_case: bool,
    /// Whether the parameter is a component of another one, which takes no modifiers.
    pub(super) is_component: bool,
    pub(super) values: &'a mut SearchValues,
}

impl Sink<'_> {
    /// Adds the code of a boolean.
    pub(super) fn push_boolean(&mut self, truth: bool) {
        token::push(self, if truth { "true" } else { "false" });
    }
}

/// Adds the values of an element.
pub(super) type Rule = fn(&mut Sink<'_>, Element<'_>);

/// One row for each pair of a parameter's and an element's type that means something.
pub(super) const RULES: &[(ValueKind, &str, Rule)] = &[
    (ValueKind::Token, "CodeableConcept", token::codeable_concept),
    (ValueKind::Token, "Coding", token::coding),
    (ValueKind::Token, "ContactPoint", token::contact_point),
    (ValueKind::Token, "Identifier", token::identifier),
    (ValueKind::Token, "boolean", token::plain),
    (ValueKind::Token, "code", token::plain),
    (ValueKind::Token, "id", token::plain),
    (ValueKind::Token, "oid", token::plain),
    (ValueKind::Token, "string", token::plain),
    (ValueKind::Token, "uri", token::plain),
    (ValueKind::Token, "url", token::plain),
    (ValueKind::Token, "uuid", token::plain),
    (ValueKind::String, "Address", address),
    (ValueKind::String, "HumanName", human_name),
    (ValueKind::String, "code", plain_string),
    (ValueKind::String, "id", plain_string),
    (ValueKind::String, "markdown", plain_string),
    (ValueKind::String, "string", plain_string),
    (ValueKind::String, "uri", plain_string),
    (ValueKind::Date, "Period", period),
    (ValueKind::Date, "Timing", timing),
    (ValueKind::Date, "date", plain_date),
    (ValueKind::Date, "dateTime", plain_date),
    (ValueKind::Date, "instant", plain_date),
    (ValueKind::Reference, "Reference", reference),
    (ValueKind::Reference, "canonical", canonical_reference),
    (ValueKind::Reference, "uri", canonical_reference),
    (ValueKind::Reference, "url", canonical_reference),
    (ValueKind::Quantity, "Age", quantity::plain),
    (ValueKind::Quantity, "Count", quantity::plain),
    (ValueKind::Quantity, "Distance", quantity::plain),
    (ValueKind::Quantity, "Duration", quantity::plain),
    (ValueKind::Quantity, "Money", quantity::money),
    (ValueKind::Quantity, "MoneyQuantity", quantity::plain),
    (ValueKind::Quantity, "Quantity", quantity::plain),
    (ValueKind::Quantity, "Range", quantity::range),
    (ValueKind::Quantity, "SampledData", quantity::sampled_data),
    (ValueKind::Quantity, "SimpleQuantity", quantity::plain),
    (ValueKind::Number, "Range", quantity::number_range),
    (ValueKind::Number, "decimal", quantity::number),
    (ValueKind::Number, "integer", quantity::number),
    (ValueKind::Number, "positiveInt", quantity::number),
    (ValueKind::Number, "unsignedInt", quantity::number),
    (ValueKind::Uri, "canonical", canonical_uri),
    (ValueKind::Uri, "id", uri),
    (ValueKind::Uri, "oid", uri),
    (ValueKind::Uri, "uri", uri),
    (ValueKind::Uri, "url", uri),
    (ValueKind::Uri, "uuid", uri),
];

/// The primitive value of a child.
fn child_text(element: Element<'_>, name: Name) -> Option<Cow<'_, str>> {
    element.child(name)?.value_text()
}

fn push_string(sink: &mut Sink<'_>, text: &str) {
    let normalised = fold(text);
    if !normalised.is_empty() {
        sink.values.strings.push(Text {
            parameter: sink.parameter,
            normalised,
            exact: truncated(text).to_owned(),
        });
    }
}

fn plain_string(sink: &mut Sink<'_>, element: Element<'_>) {
    if let Some(text) = element.value_text() {
        push_string(sink, &text);
    }
}

fn push_parts(sink: &mut Sink<'_>, element: Element<'_>, parts: &[Name]) {
    for part in parts {
        for item in element.children(*part) {
            plain_string(sink, item);
        }
    }
}

/// Each part of a name, its text, and given and family names in a row.
fn human_name(sink: &mut Sink<'_>, element: Element<'_>) {
    let fields = sink.fields;
    let parts = [
        fields.family,
        fields.given,
        fields.prefix,
        fields.suffix,
        fields.text,
    ];
    push_parts(sink, element, &parts);
    let mut whole = String::new();
    let mut count = 0;
    for name in [fields.given, fields.family] {
        for text in element.children(name).filter_map(Element::value_text) {
            if count > 0 {
                whole.push(' ');
            }
            whole.push_str(&text);
            count += 1;
        }
    }
    if count > 1 {
        push_string(sink, &whole);
    }
}

fn address(sink: &mut Sink<'_>, element: Element<'_>) {
    let fields = sink.fields;
    let parts = [
        fields.line,
        fields.city,
        fields.district,
        fields.state,
        fields.postal_code,
        fields.country,
        fields.text,
    ];
    push_parts(sink, element, &parts);
}

fn push_date(sink: &mut Sink<'_>, low: i64, high: i64) {
    sink.values.dates.push(DateRange {
        parameter: sink.parameter,
        low,
        high,
    });
}

fn date_interval(element: Element<'_>) -> Option<(i64, i64)> {
    interval::date(&element.value_text()?)
}

fn plain_date(sink: &mut Sink<'_>, element: Element<'_>) {
    if let Some((low, high)) = date_interval(element) {
        push_date(sink, low, high);
    }
}

/// From the first moment of the start to the last of the end; an end that is not there is open.
fn period_interval(fields: &Fields, element: Element<'_>) -> Option<(i64, i64)> {
    let start = element.child(fields.start).and_then(date_interval);
    let end = element.child(fields.end).and_then(date_interval);
    if start.is_none() && end.is_none() {
        return None;
    }
    let low = start.map_or(i64::MIN, |(low, _)| low);
    Some((low, end.map_or(i64::MAX, |(_, high)| high)))
}

fn period(sink: &mut Sink<'_>, element: Element<'_>) {
    if let Some((low, high)) = period_interval(sink.fields, element) {
        push_date(sink, low, high);
    }
}

/// Only the outer limits of a schedule matter: search.html#date.
fn timing(sink: &mut Sink<'_>, element: Element<'_>) {
    let fields = sink.fields;
    let events = element.children(fields.event).filter_map(date_interval);
    let bounds = element
        .child(fields.repeat)
        .and_then(|repeat| repeat.child(fields.bounds_period))
        .and_then(|bounds| period_interval(fields, bounds));
    let limits = events
        .chain(bounds)
        .reduce(|(low, high), (from, to)| (low.min(from), high.max(to)));
    if let Some((low, high)) = limits {
        push_date(sink, low, high);
    }
}

fn push_reference(sink: &mut Sink<'_>, target: Target) {
    sink.values.references.push(Reference {
        parameter: sink.parameter,
        target,
    });
}

/// A reference by an identifier alone points at no resource that is known; `:identifier` finds it.
fn reference(sink: &mut Sink<'_>, element: Element<'_>) {
    let text = child_text(element, sink.fields.reference);
    if let Some(target) = text.and_then(|text| target::target(&text, sink.base_url)) {
        push_reference(sink, target);
    }
    if let Some(identifier) = element.child(sink.fields.identifier) {
        token::of_reference(sink, identifier);
    }
}

fn canonical_reference(sink: &mut Sink<'_>, element: Element<'_>) {
    let Some(text) = element.value_text() else {
        return;
    };
    let canonical = Canonical::parse(&text);
    for text in with_and_without_version(canonical) {
        if let Some(target) = target::target(&text, sink.base_url) {
            push_reference(sink, target);
        }
    }
}

/// `url`, and `url|version` where there is a version.
fn with_and_without_version(canonical: Canonical<'_>) -> impl Iterator<Item = String> {
    let versioned = canonical
        .version
        .map(|version| format!("{}|{version}", canonical.url));
    std::iter::once(canonical.url.to_owned()).chain(versioned)
}

fn push_uri(sink: &mut Sink<'_>, uri: String) {
    sink.values.uris.push(Uri {
        parameter: sink.parameter,
        uri,
    });
}

fn uri(sink: &mut Sink<'_>, element: Element<'_>) {
    if let Some(text) = element.value_text() {
        push_uri(sink, text.into_owned());
    }
}

fn canonical_uri(sink: &mut Sink<'_>, element: Element<'_>) {
    if let Some(text) = element.value_text() {
        for uri in with_and_without_version(Canonical::parse(&text)) {
            push_uri(sink, uri);
        }
    }
}
