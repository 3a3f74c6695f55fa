//! A `QuestionnaireResponse` against the Questionnaire that it answers:
//! <https://hl7.org/fhir/R4/questionnaireresponse.html#notes>.
//!
//! The Questionnaire is contained, or beside it in a Bundle, or the resolver has it. The items of
//! the response are those of the form, in its order and nesting; what is required is there once
//! the response is complete; answers are of the type and within the limits that the item states.
//! Whether an item may be answered at all is for `enabled`, what an answer may be for `answer`.
//! `Questionnaire.item.initial` and `readOnly` concern who fills in a form, and are not checked.

mod answer;
mod answers;
mod enabled;
mod option;

use std::borrow::Cow;

use fhir_model::issue::{IssueType, Severity};
use fhir_model::tree::Node;
use fhirpath::Resolved;

use crate::Level;
use crate::beside::Found;
use crate::finding::{About, Finding, any_of, quote};
use crate::questionnaire::form::{Asked, Form, FormItem, items_of, text_of};
use crate::questionnaire_response::answers::Answers;
use crate::questionnaire_response::enabled::Enabled;
use crate::walk::Walk;

/// How often a repeating item must and may be answered.
const MIN_OCCURS: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-minOccurs";
const MAX_OCCURS: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-maxOccurs";

/// In these states, everything that is required is there. Others may lack something yet.
const COMPLETE: &[&str] = &["completed", "amended"];

/// A response and the form that it fills in.
pub(crate) struct Filled<'w, 'a> {
    walk: &'w mut Walk<'a>,
    form: Form<'a>,
    answers: Answers<'a>,
    response: Node<'a>,
    /// The Questionnaire, as contained value sets are looked for in it.
    questionnaire: Node<'a>,
    canonical: Cow<'a, str>,
    is_complete: bool,
}

impl<'a> Walk<'a> {
    /// A `QuestionnaireResponse` of the right shape.
    pub(crate) fn questionnaire_response(&mut self, response: Node<'a>) {
        let member = response.get_str("questionnaire");
        let Some(member) = member.filter(|_| self.options.level == Level::Profile) else {
            return;
        };
        let canonical = member.as_str().unwrap_or_default();
        let Some(questionnaire) = self.questionnaire_of(&canonical, response) else {
            return self.questionnaire_not_here(&canonical, member);
        };
        let status = text_of(response, "status").unwrap_or_default();
        let mut filled = Filled {
            walk: self,
            form: Form::of(questionnaire),
            answers: Answers::of(response),
            response,
            questionnaire,
            canonical,
            is_complete: COMPLETE.contains(&&*status),
        };
        filled.level(response, None, None);
    }

    fn questionnaire_of(&self, canonical: &str, response: Node<'a>) -> Option<Node<'a>> {
        let is_questionnaire = |resource: &Node<'a>| {
            text_of(*resource, "resourceType").as_deref() == Some("Questionnaire")
        };
        if let Some(id) = canonical.strip_prefix('#') {
            let mut contained = items_of(response, "contained").filter(is_questionnaire);
            return contained.find(|resource| text_of(*resource, "id").as_deref() == Some(id));
        }
        let beside = self.beside.as_ref().and_then(|beside| {
            let by_url = || match beside.find(canonical, response.id()) {
                Found::Resource(resource) => Some(resource),
                Found::Several(_) | Found::Nothing => None,
            };
            beside.questionnaire(canonical).or_else(by_url)
        });
        if let Some(questionnaire) = beside.filter(is_questionnaire) {
            return Some(questionnaire);
        }
        match self.elsewhere.resolver?.resolve(canonical, None) {
            Resolved::Resource(item) => item.element()?.value().filter(is_questionnaire),
            Resolved::Type(_) | Resolved::Nothing => None,
        }
    }

    fn questionnaire_not_here(&mut self, canonical: &str, member: Node<'a>) {
        if !self.options.report_unchecked {
            return;
        }
        self.findings.push(Finding {
            node: member,
            severity: Severity::Information,
            code: IssueType::NotFound,
            about: About::Rule,
            rule: "QuestionnaireResponse.questionnaire".to_owned(),
            text: format!(
                "The questionnaire {} is not known here, so the answers were not checked by it",
                quote(canonical)
            ),
        });
    }
}

impl<'a> Filled<'_, 'a> {
    /// The items of the response in `node`, which stand in this item of the form and of the
    /// response.
    fn level(&mut self, node: Node<'a>, parent: Option<usize>, within: Option<usize>) {
        let mut occurrences: Vec<(usize, Node<'a>)> = Vec::new();
        let mut last = 0;
        for item in items_of(node, "item") {
            if self.walk.findings.is_full() {
                return;
            }
            if let Some(at) = self.place(item, parent) {
                if at < last {
                    self.out_of_order(item, last);
                }
                last = last.max(at);
                occurrences.push((at, item));
            }
        }
        // Occurrences of one item are together then, and each of them is looked at once.
        occurrences.sort_by_key(|(at, _)| *at);
        let mut rest = &*occurrences;
        for at in self.form.children(parent).to_vec() {
            let count = rest.iter().take_while(|(found, _)| *found == at).count();
            let (some, further) = rest.split_at_checked(count).unwrap_or_default();
            rest = further;
            self.item(node, at, some, within);
        }
    }

    /// The item of the form that an item of the response answers, if it may stand here.
    fn place(&mut self, item: Node<'a>, parent: Option<usize>) -> Option<usize> {
        let link_id = text_of(item, "linkId")?;
        let found = self.form.find(&link_id).and_then(|at| {
            let found = self.form.item(at)?;
            Some((at, found.parent))
        });
        match found {
            Some((at, place)) if place == parent => return Some(at),
            Some((_, place)) => {
                let place = match place.and_then(|place| self.form.item(place)) {
                    Some(place) => format!("in the item {}", quote(&place.link_id)),
                    None => "at the top".to_owned(),
                };
                let text = format!("The item {} belongs {place}", quote(&link_id));
                self.wrong(item, IssueType::Structure, &link_id, text);
            }
            None => {
                let text = format!("The questionnaire has no item {}", quote(&link_id));
                self.wrong(item, IssueType::NotFound, &link_id, text);
            }
        }
        None
    }

    fn out_of_order(&mut self, item: Node<'a>, last: usize) {
        let link_id = text_of(item, "linkId").unwrap_or_default();
        let before = self
            .form
            .item(last)
            .map_or(Cow::Borrowed(""), |item| item.link_id.clone());
        let text = format!(
            "Items follow the order of the questionnaire, and there {} is before {}",
            quote(&link_id),
            quote(&before)
        );
        self.wrong(item, IssueType::Structure, &link_id, text);
    }

    /// An item of the form and its occurrences in one place of the response.
    fn item(
        &mut self,
        parent: Node<'a>,
        at: usize,
        occurrences: &[(usize, Node<'a>)],
        within: Option<usize>,
    ) {
        let Some(item) = self.form.item(at) else {
            return;
        };
        let (asked, node, link_id) = (item.asked, item.node, item.link_id.clone());
        let enabled = self.is_enabled(node, within);
        if enabled == Enabled::No {
            return self.not_enabled(&link_id, occurrences);
        }
        let is_needed = enabled == Enabled::Yes && self.is_complete;
        match asked {
            Asked::Display => self.display(&link_id, occurrences),
            Asked::Group => self.group(parent, at, occurrences, is_needed),
            _ => self.question(parent, at, occurrences, is_needed),
        }
    }

    fn not_enabled(&mut self, link_id: &str, occurrences: &[(usize, Node<'a>)]) {
        for (_, occurrence) in occurrences {
            if occurrence.descendants().any(|node| node.has_key("answer")) {
                let text = format!(
                    "The item {} is answered, but the answers to other questions do not enable it",
                    quote(link_id)
                );
                self.wrong(*occurrence, IssueType::BusinessRule, link_id, text);
            }
        }
    }

    fn display(&mut self, link_id: &str, occurrences: &[(usize, Node<'a>)]) {
        for (_, occurrence) in occurrences {
            if occurrence.get_str("answer").is_some() {
                let text = format!(
                    "The item {} is there to be read, and has no answer",
                    quote(link_id)
                );
                self.wrong(*occurrence, IssueType::Structure, link_id, text);
            }
        }
    }

    fn group(
        &mut self,
        parent: Node<'a>,
        at: usize,
        occurrences: &[(usize, Node<'a>)],
        is_needed: bool,
    ) {
        let groups: Vec<Node<'a>> = occurrences.iter().map(|(_, node)| *node).collect();
        self.count(parent, at, &groups, is_needed);
        let Some(item) = self.form.item(at) else {
            return;
        };
        let (link_id, is_required) = (item.link_id.clone(), item.is("required"));
        for (_, occurrence) in occurrences {
            if occurrence.get_str("answer").is_some() {
                let text = format!("The item {} is a group, and has no answer", quote(&link_id));
                self.wrong(*occurrence, IssueType::Structure, &link_id, text);
            } else if is_required && is_needed && occurrence.get_str("item").is_none() {
                let text = format!(
                    "The group {} is required, and this is empty",
                    quote(&link_id)
                );
                self.wrong(*occurrence, IssueType::Required, &link_id, text);
            } else {
                let within = self.answers.at(*occurrence);
                self.level(*occurrence, Some(at), within);
            }
        }
    }

    fn question(
        &mut self,
        parent: Node<'a>,
        at: usize,
        occurrences: &[(usize, Node<'a>)],
        is_needed: bool,
    ) {
        let Some(item) = self.form.item(at) else {
            return;
        };
        let link_id = item.link_id.clone();
        for (_, further) in occurrences.iter().skip(1) {
            let text = format!(
                "The question {} is answered in one item, whatever the number of answers, and \
                 this is one more",
                quote(&link_id)
            );
            self.wrong(*further, IssueType::Structure, &link_id, text);
        }
        let here = occurrences.first().map_or(parent, |(_, first)| *first);
        let answers = occurrences.iter().take(1);
        let answers: Vec<Node<'a>> = answers
            .flat_map(|(_, item)| items_of(*item, "answer"))
            .collect();
        self.count(here, at, &answers, is_needed);
        for (_, occurrence) in occurrences {
            for answer in items_of(*occurrence, "answer") {
                self.answer(at, answer);
                let within = self.answers.at(*occurrence);
                self.level(answer, Some(at), within);
            }
        }
        self.exclusive_options(at, &answers);
    }

    /// How often an item is answered, or a group is there.
    fn count(&mut self, here: Node<'a>, at: usize, found: &[Node<'a>], is_needed: bool) {
        let Some(item) = self.form.item(at) else {
            return;
        };
        let link_id = item.link_id.clone();
        let count = found.len();
        let least = item
            .count(MIN_OCCURS)
            .unwrap_or(usize::from(item.is("required")));
        let most = if item.is("repeats") {
            item.count(MAX_OCCURS).unwrap_or(usize::MAX)
        } else {
            1
        };
        if count < least && is_needed {
            let text = match (count, least) {
                (0, 1) => format!(
                    "The questionnaire requires {}, and it is missing",
                    describe(item)
                ),
                _ => format!(
                    "The questionnaire requires {} at least {least} times, and there are {count}",
                    describe(item)
                ),
            };
            self.wrong(here, IssueType::Required, &link_id, text);
        } else if let Some(further) = found.get(most) {
            let text = match most {
                1 => format!("{} does not repeat, and there are {count}", describe(item)),
                _ => format!(
                    "{} is there {count} times, and {most} at most may be",
                    describe(item)
                ),
            };
            self.wrong(*further, IssueType::Structure, &link_id, text);
        }
    }

    /// What a response breaks, by the item of the form that says so.
    fn wrong(&mut self, node: Node<'a>, code: IssueType, link_id: &str, text: String) {
        self.tell(node, Severity::Error, code, link_id, text);
    }

    fn tell(
        &mut self,
        node: Node<'a>,
        severity: Severity,
        code: IssueType,
        link_id: &str,
        text: String,
    ) {
        let url = self.canonical.split('|').next().unwrap_or_default();
        let rule = format!("{url}#{link_id}");
        self.walk.findings.push_once(Finding {
            node,
            severity,
            code,
            about: About::Rule,
            rule,
            text,
        });
    }
}

/// An item in words: `an answer to "q1" (Do you smoke?)`.
fn describe(item: &FormItem<'_>) -> String {
    let what = if item.asked == Asked::Group {
        "the group"
    } else {
        "an answer to"
    };
    let text = text_of(item.node, "text").map_or_else(String::new, |text| {
        format!(" ({})", quote(&text).trim_matches('"'))
    });
    format!("{what} {}{text}", quote(&item.link_id))
}

/// The types of values in words.
fn types_in_words(types: &[&'static str]) -> String {
    any_of(types.iter().copied())
}
