//! Whether an item of a form is to be answered: `enableWhen`,
//! <https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen>.

use std::borrow::Cow;

use fhir_model::element::Element;
use fhir_model::tree::Node;
use fhirpath::{Context, Expression, Item};

use crate::compare::Relation;
use crate::questionnaire::form::{Value, items_of, text_of, value_of};
use crate::questionnaire_response::Filled;

/// Extensions that enable an item by an expression: of Structured Data Capture, and of the Finnish
/// national guide from before it.
const EXPRESSIONS: &[&str] = &[
    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-enableWhenExpression",
    "http://phr.kanta.fi/StructureDefinition/fiphr-ext-questionnaire-enablewhen",
];

/// Whether an item is to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Enabled {
    Yes,
    No,
    NotKnown,
}

impl From<bool> for Enabled {
    fn from(truth: bool) -> Self {
        if truth { Self::Yes } else { Self::No }
    }
}

impl<'a> Filled<'_, 'a> {
    /// Whether an item of the form is to be answered within an item of the response.
    pub(super) fn is_enabled(&self, item: Node<'a>, within: Option<usize>) -> Enabled {
        if let Some(expression) = expression(item) {
            return self.expression(&expression);
        }
        let mut conditions = items_of(item, "enableWhen").peekable();
        if conditions.peek().is_none() {
            return Enabled::Yes;
        }
        let mut holds = conditions.map(|condition| self.condition(condition, within));
        let is_any = text_of(item, "enableBehavior").as_deref() == Some("any");
        if is_any {
            fold(&mut holds, Enabled::Yes)
        } else {
            fold(&mut holds, Enabled::No)
        }
    }

    /// Whether an expression over the response is true. It may use variables that only whoever
    /// fills in the form has: then it is not known.
    fn expression(&self, expression: &str) -> Enabled {
        let definitions = self.walk.definitions;
        let truth = || {
            let root = Item::resource(Element::of(self.response), definitions)?;
            let expression = Expression::compile(expression, definitions, None).ok()?;
            let mut context = Context::new(definitions);
            context.resource = Some(root.clone());
            expression.evaluate_truth(&context, root).ok()
        };
        match truth() {
            Some(truth) => (truth == Some(true)).into(),
            None => Enabled::NotKnown,
        }
    }

    fn condition(&self, condition: Node<'a>, within: Option<usize>) -> Enabled {
        let question = text_of(condition, "question").unwrap_or_default();
        let Some(occurrences) = self.answers.nearest(&question, within) else {
            return Enabled::NotKnown;
        };
        let Some(wanted) = value_of(condition, "answer") else {
            return Enabled::NotKnown;
        };
        let mut answers = occurrences
            .into_iter()
            .flat_map(|node| items_of(node, "answer"))
            .filter_map(|answer| value_of(answer, "value"))
            .peekable();
        let operator = text_of(condition, "operator").unwrap_or_default();
        match &*operator {
            "exists" => {
                let is_answered = answers.peek().is_some();
                let is_wanted = wanted.element.value().and_then(Node::as_bool) == Some(true);
                (is_answered == is_wanted).into()
            }
            "=" => answers.any(|answer| self.is_equal(answer, wanted)).into(),
            "!=" => answers.any(|answer| !self.is_equal(answer, wanted)).into(),
            operator => match relation(operator) {
                Some(relation) => answers
                    .any(|answer| self.holds(relation, answer, wanted) == Some(true))
                    .into(),
                None => Enabled::NotKnown,
            },
        }
    }

    /// Whether two values mean the same: a Coding by its code, a reference by its text, all else as
    /// `FHIRPath` says.
    pub(super) fn is_equal(&self, value: Value<'a>, wanted: Value<'a>) -> bool {
        if value.suffix != wanted.suffix {
            return false;
        }
        let same = |name: &str| {
            let (one, other) = (value.element, wanted.element);
            let text = |element: Element<'a>| element.child_by_key(name)?.value_text();
            text(one) == text(other)
        };
        match wanted.suffix {
            "Coding" => {
                let has_system = wanted.element.child_by_key("system").is_some();
                same("code")
                    && (same("system") || !has_system)
                    && (wanted.element.child_by_key("code").is_some() || same("display"))
            }
            "Reference" => same("reference"),
            _ => self.holds(Relation::Equal, value, wanted) == Some(true),
        }
    }

    /// Whether a relation holds between two values; `None` if they cannot be compared.
    pub(super) fn holds(
        &self,
        relation: Relation,
        value: Value<'a>,
        wanted: Value<'a>,
    ) -> Option<bool> {
        let definitions = self.walk.definitions;
        let item = |value: Value<'a>| {
            let type_id = definitions.type_named(value.type_name)?;
            Some(Item::node(value.element, type_id))
        };
        let comparison = &self.walk.rules.comparison;
        comparison.holds(definitions, relation, item(value)?, item(wanted)?)
    }
}

/// The expression that enables an item.
fn expression(item: Node<'_>) -> Option<Cow<'_, str>> {
    let is_expression = |extension: &Node<'_>| {
        text_of(*extension, "url").is_some_and(|url| EXPRESSIONS.contains(&&*url))
    };
    let extension = items_of(item, "extension").find(is_expression)?;
    match extension.get_str("valueExpression") {
        Some(expression) => text_of(expression, "expression"),
        None => text_of(extension, "valueString"),
    }
}

/// All conditions or one of them: what decides ends it, and what is not known leaves it open.
fn fold(conditions: &mut dyn Iterator<Item = Enabled>, decisive: Enabled) -> Enabled {
    let mut result = if decisive == Enabled::Yes {
        Enabled::No
    } else {
        Enabled::Yes
    };
    for condition in conditions {
        if condition == decisive {
            return decisive;
        }
        if condition == Enabled::NotKnown {
            result = Enabled::NotKnown;
        }
    }
    result
}

fn relation(operator: &str) -> Option<Relation> {
    const OPERATORS: &[(&str, Relation)] = &[
        ("<", Relation::Less),
        (">", Relation::Greater),
        ("<=", Relation::AtMost),
        (">=", Relation::AtLeast),
    ];
    let (_, relation) = OPERATORS.iter().find(|(known, _)| *known == operator)?;
    Some(*relation)
}
