//! One answer and what its question admits: its type, its length, its limits, its units.
//!
//! The limits are extensions of the standard and of Structured Data Capture:
//! <https://hl7.org/fhir/extensions/extension-registry.html>,
//! <https://hl7.org/fhir/uv/sdc/behavior.html>.

use fhir_model::definition::Membership;
use fhir_model::element::Element;
use fhir_model::issue::IssueType;
use fhir_model::reference::Reference;
use fhir_model::tree::Node;
use fhirpath::Item;

use crate::attachment::byte_count;
use crate::compare::Relation;
use crate::finding::{any_of, quote, shorten};
use crate::questionnaire::form::{Asked, FormItem, Value, text_of, value_of};
use crate::questionnaire_response::{Filled, types_in_words};

const MIN_LENGTH: &str = "http://hl7.org/fhir/StructureDefinition/minLength";
const REGEX: &str = "http://hl7.org/fhir/StructureDefinition/regex";
const MAX_DECIMAL_PLACES: &str = "http://hl7.org/fhir/StructureDefinition/maxDecimalPlaces";
const MIME_TYPE: &str = "http://hl7.org/fhir/StructureDefinition/mimeType";
const MAX_SIZE: &str = "http://hl7.org/fhir/StructureDefinition/maxSize";
const UNIT_OPTION: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-unitOption";
const UNIT_VALUE_SET: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-unitValueSet";
const REFERENCE_RESOURCE: &str =
    "http://hl7.org/fhir/StructureDefinition/questionnaire-referenceResource";

/// Extensions that bound a value: a value that stands so to theirs is wrong, as it must be…
const LIMITS: &[(&str, Relation, &str)] = &[
    (
        "http://hl7.org/fhir/StructureDefinition/minValue",
        Relation::Less,
        "at least",
    ),
    (
        "http://hl7.org/fhir/StructureDefinition/maxValue",
        Relation::Greater,
        "at most",
    ),
    (
        "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-minQuantity",
        Relation::Less,
        "at least",
    ),
    (
        "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-maxQuantity",
        Relation::Greater,
        "at most",
    ),
];

/// The bytes of one megabyte of `maxSize`.
const MEGABYTE: f64 = 1e6;

impl<'a> Filled<'_, 'a> {
    /// An answer to a question of the form.
    pub(super) fn answer(&mut self, question: usize, answer: Node<'a>) {
        let Some(value) = value_of(answer, "value") else {
            return;
        };
        let Some(item) = self.form.item(question) else {
            return;
        };
        let node = value.element.node();
        if let Some(text) = type_breach(item, value) {
            let link_id = item.link_id.clone();
            return self.wrong(node, IssueType::Value, &link_id, text);
        }
        // What has an extension instead of a value, as why there is none, is within all limits.
        if value.element.value().is_none() {
            return;
        }
        let breach = self
            .length_breach(item, value)
            .or_else(|| self.limit_breach(item, value))
            .or_else(|| decimal_breach(item, value))
            .or_else(|| self.unit_breach(item, value))
            .or_else(|| attachment_breach(item, value))
            .or_else(|| reference_breach(item, value));
        let link_id = item.link_id.clone();
        match breach {
            Some(text) => self.wrong(node, IssueType::Value, &link_id, text),
            None => self.option(question, value),
        }
    }

    fn length_breach(&self, item: &FormItem<'a>, value: Value<'a>) -> Option<String> {
        let text = value.element.value()?.as_str()?;
        if !matches!(value.suffix, "String" | "Uri") {
            return None;
        }
        let length = text.chars().count();
        let most = item.node.get_str("maxLength").and_then(Node::as_number);
        let most: Option<usize> = most.and_then(|most| most.parse().ok());
        if let Some(most) = most.filter(|most| length > *most) {
            return Some(format!(
                "This has {length} characters, and {most} at most may be"
            ));
        }
        if let Some(least) = item.count(MIN_LENGTH).filter(|least| length < *least) {
            return Some(format!(
                "This has {length} characters, and {least} at least must be"
            ));
        }
        let regex = item.extensions(REGEX).next()?.element.value_text()?;
        let wanted = Item::String(regex.clone());
        let definitions = self.walk.definitions;
        let comparison = &self.walk.rules.comparison;
        let value = Item::String(text);
        let is_match = comparison.holds(definitions, Relation::Matches, value, wanted);
        (is_match == Some(false)).then(|| {
            format!(
                "This is not of the form that the question asks for: {}",
                shorten(&regex)
            )
        })
    }

    fn limit_breach(&self, item: &FormItem<'a>, value: Value<'a>) -> Option<String> {
        LIMITS.iter().find_map(|(url, relation, word)| {
            let limit = item
                .extensions(url)
                .find(|limit| limit.suffix == value.suffix)?;
            let shown = in_words(limit.element);
            match self.holds(*relation, value, limit) {
                Some(true) => Some(format!("This must be {word} {shown}")),
                None if value.suffix == "Quantity" => Some(format!(
                    "This must be {word} {shown}, and its unit cannot be compared with that"
                )),
                Some(false) | None => None,
            }
        })
    }

    /// A unit that is not among those that the question offers.
    fn unit_breach(&self, item: &FormItem<'a>, value: Value<'a>) -> Option<String> {
        if value.suffix != "Quantity" {
            return None;
        }
        let quantity = value.element.value()?;
        let mut options = item.extensions(UNIT_OPTION).peekable();
        if options.peek().is_some() {
            let same = |option: Node<'a>, name| text_of(option, name) == text_of(quantity, name);
            let is_option = |option: Value<'a>| {
                option
                    .element
                    .value()
                    .is_some_and(|option| same(option, "code") && same(option, "system"))
            };
            if options.any(is_option) {
                return None;
            }
            let options = item.extensions(UNIT_OPTION).filter_map(|option| {
                let option = option.element.value()?;
                text_of(option, "code").or_else(|| text_of(option, "display"))
            });
            let options: Vec<_> = options.collect();
            let words = any_of(options.iter().map(|option| &**option));
            return Some(format!("The unit of this must be {words}"));
        }
        let canonical = item
            .extensions(UNIT_VALUE_SET)
            .next()?
            .element
            .value_text()?;
        let value_set = self.walk.definitions.value_set(&canonical)?;
        let system = text_of(quantity, "system");
        let code = text_of(quantity, "code");
        let membership = code.map_or(Membership::NotMember, |code| {
            self.walk
                .definitions
                .membership(value_set, system.as_deref(), &code)
        });
        matches!(membership, Membership::NotMember).then(|| {
            format!(
                "The unit of this must be a code of the value set {}",
                quote(&canonical)
            )
        })
    }
}

/// An attachment of another type or larger than the question admits.
fn attachment_breach(item: &FormItem<'_>, value: Value<'_>) -> Option<String> {
    if value.suffix != "Attachment" {
        return None;
    }
    let attachment = value.element.value()?;
    let mut types = item.extensions(MIME_TYPE).peekable();
    let own = text_of(attachment, "contentType");
    if types.peek().is_some() && !types.any(|admitted| admitted.element.value_text() == own) {
        let types: Vec<_> = item
            .extensions(MIME_TYPE)
            .filter_map(|admitted| admitted.element.value_text())
            .collect();
        let words = any_of(types.iter().map(|admitted| &**admitted));
        return Some(format!("The content type of this must be {words}"));
    }
    let limit = item.extensions(MAX_SIZE).next()?.element;
    let bytes = byte_count(attachment)?;
    let megabytes: f64 = limit.value_text()?.parse().ok()?;
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    (f64::from(bytes) > megabytes * MEGABYTE)
        .then(|| format!("This is larger than {} megabytes", in_words(limit)))
}

/// What is wrong with the type of an answer.
fn type_breach(item: &FormItem<'_>, value: Value<'_>) -> Option<String> {
    let options;
    let types: &[&'static str] = match item.asked {
        Asked::Answer(types) => types,
        Asked::Choice { is_open } => {
            options = super::option::types(item, is_open);
            &options
        }
        Asked::Group | Asked::Display | Asked::Anything => return None,
    };
    (!types.contains(&value.suffix)).then(|| {
        let found = value.type_name;
        let wanted = types_in_words(types);
        format!("The question asks for an answer of type {wanted}, and this is a {found}")
    })
}

/// More decimal places than the question admits.
fn decimal_breach(item: &FormItem<'_>, value: Value<'_>) -> Option<String> {
    let number = match value.suffix {
        "Decimal" => value.element,
        "Quantity" => value.element.child_by_key("value")?,
        _ => return None,
    };
    let most = item.count(MAX_DECIMAL_PLACES)?;
    let text = number.value_text()?;
    let digits = text.split(['e', 'E']).next()?;
    let count = digits.split_once('.').map_or(0, |(_, places)| places.len());
    (count > most).then(|| format!("This has {count} decimal places, and {most} at most may be"))
}

/// A reference to a resource of another type than the question asks for.
fn reference_breach(item: &FormItem<'_>, value: Value<'_>) -> Option<String> {
    if value.suffix != "Reference" {
        return None;
    }
    let types: Vec<_> = item
        .extensions(REFERENCE_RESOURCE)
        .filter_map(|admitted| admitted.element.value_text())
        .collect();
    let reference = value.element.child_by_key("reference")?.value_text()?;
    let target = Reference::parse(&reference, None).resource_type()?;
    let is_admitted = types.is_empty() || types.iter().any(|admitted| admitted == target);
    (!is_admitted).then(|| {
        let words = any_of(types.iter().map(|admitted| &**admitted));
        format!("The question asks for a reference to {words}, and this leads to {target}")
    })
}

/// A limit as a person reads it: its value, or the value and unit of a quantity.
fn in_words(limit: Element<'_>) -> String {
    if let Some(text) = limit.value_text() {
        return shorten(&text).to_owned();
    }
    let text = |name| limit.child_by_key(name).and_then(Element::value_text);
    let unit = text("unit").or_else(|| text("code")).unwrap_or_default();
    let value = text("value").unwrap_or_default();
    format!("{value} {unit}").trim().to_owned()
}
