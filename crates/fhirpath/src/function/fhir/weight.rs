//! `weight()`, once `ordinal()`: the score of an answer,
//! <https://hl7.org/fhir/uv/sdc/expressions.html#fhirpath-supplements>.
//!
//! It is looked for where it may stand, the nearest first: on the element itself, on the option of
//! the `%questionnaire` that was chosen, in the code system.

use fhir_model::definition::TypeId;
use fhir_model::element::Element;

use crate::evaluate::{Flow, Sink, emit};
use crate::function::Invocation;
use crate::function::path::path_to;
use crate::value::{Item, parse_decimal};

/// The extensions that hold a score: what it is called, and what it was called before.
const SCORES: &[&str] = &[
    "http://hl7.org/fhir/StructureDefinition/itemWeight",
    "http://hl7.org/fhir/StructureDefinition/ordinalValue",
];

/// The variable that holds the Questionnaire.
const QUESTIONNAIRE: &str = "questionnaire";

/// Items of a Questionnaire nest at most so deep.
const DEPTH_MAX: usize = 64;

pub(super) fn weight<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let context = invocation.evaluator.context;
    invocation.each_input(&mut |item| {
        let Item::Node { element, type_id } = item else {
            return Ok(());
        };
        invocation.evaluator.step()?;
        let value = value_of(invocation, element, type_id);
        let score = own_score(invocation, element)
            .or_else(|| own_score(invocation, value.0))
            .or_else(|| option_score(invocation, value.0))
            .or_else(|| {
                let coded = Item::node(value.0, value.1);
                let score = context.terminology?.weight(&coded)?;
                Some(Item::Decimal(score))
            });
        emit(score, &mut *sink)
    })
}

/// The value of an answer; anything else is its own value.
fn value_of<'a>(
    invocation: &Invocation<'_, 'a>,
    element: Element<'a>,
    type_id: TypeId,
) -> (Element<'a>, TypeId) {
    let choices = invocation
        .definitions()
        .choices(type_id, invocation.evaluator.known.value);
    let mut values = choices.iter().filter_map(|choice| {
        let value = element.child(choice.name)?;
        Some((value, choice.type_id))
    });
    values.next().unwrap_or((element, type_id))
}

/// The score that an element has, or the Coding in it.
fn own_score<'a>(invocation: &Invocation<'_, 'a>, element: Element<'a>) -> Option<Item<'a>> {
    let known = invocation.evaluator.known;
    let elements = std::iter::once(element).chain(element.children(known.coding));
    let mut extensions = elements.flat_map(|element| element.children(known.extension));
    extensions.find_map(|extension| {
        let url = extension.child(known.url).and_then(Element::value_text)?;
        SCORES.contains(&&*url).then_some(())?;
        let score = extension.child_by_key("valueDecimal")?.value_text()?;
        parse_decimal(&score).map(Item::Decimal)
    })
}

/// The score of the option of the Questionnaire that has this value.
fn option_score<'a>(invocation: &Invocation<'_, 'a>, value: Element<'a>) -> Option<Item<'a>> {
    let evaluator = invocation.evaluator;
    let known = evaluator.known;
    let questionnaire = evaluator
        .variable_named(QUESTIONNAIRE)?
        .first()?
        .element()?;
    let response = evaluator.root_resource()?.element()?;
    let path = path_to(response, value)?;
    let item = path
        .iter()
        .rfind(|element| element.child(known.link_id).is_some())?;
    let link_id = item.child(known.link_id)?.value_text()?;
    let question = question(invocation, questionnaire, &link_id, DEPTH_MAX)?;
    let mut options = question.children(known.answer_option);
    let chosen = options.find(|option| {
        let mut values = option
            .all_children()
            .filter(|child| child.name_text().starts_with("value"));
        values.any(|other| is_same_answer(invocation, other, value))
    })?;
    let inner = chosen
        .all_children()
        .find_map(|child| own_score(invocation, child));
    own_score(invocation, chosen).or(inner)
}

/// The item of a Questionnaire with a `linkId`.
fn question<'a>(
    invocation: &Invocation<'_, 'a>,
    above: Element<'a>,
    link_id: &str,
    depth_left: usize,
) -> Option<Element<'a>> {
    let known = invocation.evaluator.known;
    let deeper = depth_left.checked_sub(1)?;
    above.children(known.item).find_map(|item| {
        let own = item.child(known.link_id).and_then(Element::value_text);
        if own.is_some_and(|own| own == link_id) {
            return Some(item);
        }
        question(invocation, item, link_id, deeper)
    })
}

/// Whether two answers are the same: Codings by system and code, all else by value.
fn is_same_answer(invocation: &Invocation<'_, '_>, left: Element<'_>, right: Element<'_>) -> bool {
    let known = invocation.evaluator.known;
    let text = |element: Element<'_>, name| {
        let child = element.child(name).and_then(Element::value_text);
        child.map(std::borrow::Cow::into_owned)
    };
    if left.has_value() || right.has_value() {
        return left.value_text() == right.value_text();
    }
    let code = text(left, known.code);
    code.is_some()
        && code == text(right, known.code)
        && text(left, known.system) == text(right, known.system)
}
