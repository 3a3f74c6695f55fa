//! Answers that are chosen: from the options that an item lists, or from a value set.
//! <https://hl7.org/fhir/R4/questionnaire.html#choices>

use std::borrow::Cow;

use fhir_model::issue::IssueType;
use fhir_model::tree::Node;
use fhir_terminology::{Coded, Verdict, is_member};

use crate::finding::{any_of, quote};
use crate::questionnaire::form::{FormItem, Value, extensions, items_of, text_of, value_of};
use crate::questionnaire_response::Filled;

/// An option that excludes all others.
const OPTION_EXCLUSIVE: &str =
    "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive";

/// The types of answers to a choice: those of its options, or codes of its value set.
pub(super) fn types(item: &FormItem<'_>, is_open: bool) -> Vec<&'static str> {
    let mut types: Vec<&'static str> = Vec::new();
    for option in options(item) {
        if !types.contains(&option.suffix) {
            types.push(option.suffix);
        }
    }
    if types.is_empty() {
        types.push("Coding");
    }
    if is_open && !types.contains(&"String") {
        types.push("String");
    }
    types
}

fn options<'a>(item: &FormItem<'a>) -> impl Iterator<Item = Value<'a>> + use<'a> {
    items_of(item.node, "answerOption").filter_map(|option| value_of(option, "value"))
}

impl<'a> Filled<'_, 'a> {
    /// An answer against the options of its question.
    pub(super) fn option(&mut self, question: usize, value: Value<'a>) {
        let Some(item) = self.form.item(question) else {
            return;
        };
        let super::Asked::Choice { is_open } = item.asked else {
            return;
        };
        if is_open && value.suffix == "String" {
            return;
        }
        let text = if options(item).next().is_some() {
            self.option_breach(item, value)
        } else {
            self.value_set_breach(item, value)
        };
        if let Some(text) = text {
            let link_id = item.link_id.clone();
            self.wrong(value.element.node(), IssueType::CodeInvalid, &link_id, text);
        }
    }

    fn option_breach(&self, item: &FormItem<'a>, value: Value<'a>) -> Option<String> {
        if options(item).any(|option| self.is_equal(value, option)) {
            return None;
        }
        let words: Vec<_> = options(item).filter_map(in_words).collect();
        let words = any_of(words.iter().map(|word| &**word));
        Some(format!(
            "This is none of the options of the question: {words}"
        ))
    }

    fn value_set_breach(&self, item: &FormItem<'a>, value: Value<'a>) -> Option<String> {
        let coding = value.element.value().filter(|_| value.suffix == "Coding")?;
        let canonical = text_of(item.node, "answerValueSet")?;
        // A code without a system says too little to be looked up.
        let (system, code) = (text_of(coding, "system")?, text_of(coding, "code")?);
        let membership = if let Some(id) = canonical.strip_prefix('#') {
            self.contained_membership(id, &system, &code)
        } else {
            let definitions = self.walk.definitions;
            let value_set = definitions.value_set(&canonical)?;
            let coded = Coded {
                system: Some(&system),
                code: &code,
                ..Coded::default()
            };
            match is_member(definitions, value_set, &coded) {
                Verdict::Member(_) => Some(true),
                Verdict::NotMember | Verdict::UnknownSystem => Some(false),
                // A code that its code system does not have is said where the Coding was looked at.
                Verdict::UnknownCode | Verdict::NotChecked(_) => None,
            }
        };
        (membership == Some(false)).then(|| {
            format!(
                "{} is not in the value set of the question, {}",
                quote(&format!("{system}|{code}")),
                quote(&canonical)
            )
        })
    }

    /// Whether a code is in a value set that the Questionnaire contains, if that enumerates it.
    fn contained_membership(&self, id: &str, system: &str, code: &str) -> Option<bool> {
        let has_id = |resource: &Node<'a>| text_of(*resource, "id").as_deref() == Some(id);
        let value_set = items_of(self.questionnaire, "contained").find(has_id)?;
        let compose = value_set.get_str("compose")?;
        let mut is_complete = compose.get_str("exclude").is_none();
        for include in items_of(compose, "include") {
            let is_plain =
                include.get_str("filter").is_none() && include.get_str("valueSet").is_none();
            if text_of(include, "system").as_deref() != Some(system) {
                is_complete &= is_plain;
                continue;
            }
            let mut concepts = items_of(include, "concept").peekable();
            is_complete &= is_plain && concepts.peek().is_some();
            if concepts.any(|concept| text_of(concept, "code").as_deref() == Some(code)) {
                return Some(true);
            }
        }
        is_complete.then_some(false)
    }

    /// An option that excludes others is chosen alone.
    pub(super) fn exclusive_options(&mut self, question: usize, answers: &[Node<'a>]) {
        let Some(item) = self.form.item(question).filter(|_| answers.len() > 1) else {
            return;
        };
        let is_exclusive = |option: &Node<'a>| {
            let mut values = extensions(*option, OPTION_EXCLUSIVE);
            values.any(|value| value.element.value().and_then(Node::as_bool) == Some(true))
        };
        let exclusive = items_of(item.node, "answerOption").filter(is_exclusive);
        let exclusive: Vec<Value<'a>> = exclusive
            .filter_map(|option| value_of(option, "value"))
            .collect();
        let link_id = item.link_id.clone();
        for answer in answers {
            let is_chosen = value_of(*answer, "value")
                .is_some_and(|value| exclusive.iter().any(|option| self.is_equal(value, *option)));
            if is_chosen {
                let text = "This option excludes all others, and others are chosen too".to_owned();
                self.wrong(*answer, IssueType::BusinessRule, &link_id, text);
            }
        }
    }
}

/// An option as a person reads it.
fn in_words(option: Value<'_>) -> Option<Cow<'_, str>> {
    let text = |name| option.element.child_by_key(name)?.value_text();
    match option.suffix {
        "Coding" => text("display").or_else(|| text("code")),
        "Reference" => text("reference"),
        _ => option.element.value_text(),
    }
}
