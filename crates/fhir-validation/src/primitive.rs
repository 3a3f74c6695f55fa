//! One primitive value: the JSON scalar that it is written as, and the form of its text.
//!
//! The forms themselves are known to [`fhir_model::primitive`]; here a wrong one becomes an issue.

use fhir_model::definition::SystemKind;
use fhir_model::issue::IssueType;
use fhir_model::primitive::{Primitive, PrimitiveError};
use fhir_model::tree::{Kind, Node};

use crate::finding::{path, quote, shorten};
use crate::rules::PropertyRule;
use crate::walk::{NULL_VALUE, Walk, with_article};

/// The form of values of a system type, which `Extension.url` and the ids of elements have.
pub(crate) const fn of_system(kind: SystemKind) -> Primitive {
    match kind {
        SystemKind::Boolean => Primitive::Boolean,
        SystemKind::Date => Primitive::Date,
        SystemKind::DateTime => Primitive::DateTime,
        SystemKind::Decimal => Primitive::Decimal,
        SystemKind::Integer => Primitive::Integer,
        SystemKind::Time => Primitive::Time,
        SystemKind::Quantity | SystemKind::String => Primitive::String,
    }
}

impl<'a> Walk<'a> {
    /// Whether a value is of the primitive type of its element.
    pub(crate) fn primitive(
        &mut self,
        value: Node<'a>,
        primitive: Primitive,
        rule: &PropertyRule,
    ) -> bool {
        let text = value.as_str();
        let text = text.as_deref().unwrap_or_else(|| value.raw_text());
        let Err(error) = primitive.check(value.kind(), text) else {
            self.doubtful(value, text, primitive, rule);
            return true;
        };
        let (code, message) = match error {
            PrimitiveError::Kind { .. } if value.kind() == Kind::Null => {
                (IssueType::Structure, NULL_VALUE.to_owned())
            }
            PrimitiveError::Kind {
                expected, actual, ..
            } => {
                let text = format!(
                    "A value of type {} is written as {}, and this is {}",
                    primitive.code(),
                    in_words(expected),
                    with_article(actual),
                );
                (IssueType::Structure, text)
            }
            PrimitiveError::Form { form, .. } => {
                let shown = if value.kind() == Kind::String {
                    quote(text)
                } else {
                    shorten(text).to_owned()
                };
                let text = format!("{shown} is not of type {}: {form}", primitive.code());
                (IssueType::Value, text)
            }
        };
        let element = path(self.definitions, rule.element);
        self.findings.error(value, code, element, message);
        false
    }
}

/// How a JSON scalar is written.
const fn in_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "true or false without quotes",
        Kind::Number => "a number without quotes",
        _ => "a string in quotes",
    }
}
