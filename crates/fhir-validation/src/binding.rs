//! Codes against the value sets that they are bound to.
//!
//! Only required bindings decide (<https://hl7.org/fhir/R4/terminologies.html#required>). Which
//! codes a value set has is asked of the definitions; where they cannot know, nothing is claimed.

use fhir_model::definition::{ElementId, Expansion, Membership, Reason, ValueSetId};
use fhir_model::issue::{IssueType, Severity};
use fhir_model::tree::{Kind, Node};

use crate::finding::{About, Finding, any_of, quote};
use crate::rules::{Bound, CodedForm};
use crate::suggest::nearest;
use crate::walk::Walk;

/// What became of looking up the codes of a value.
#[derive(Clone, Copy)]
enum Verdict {
    Member,
    NotMember,
    Unknown(Reason),
    /// There is no code to look up, and an extension says why.
    Excused,
}

impl<'a> Walk<'a> {
    /// A coded value against the value set of a required binding.
    pub(crate) fn binding(&mut self, value: Node<'a>, bound: Bound, rule: ElementId) {
        match self.verdict(value, bound) {
            Verdict::Member | Verdict::Excused => {}
            Verdict::Unknown(reason) => self.binding_not_checked(value, bound, reason, rule),
            Verdict::NotMember => self.not_a_member(value, bound, rule),
        }
    }

    /// Whether a coded value is in a value set that is known completely.
    pub(crate) fn is_member(&self, value: Node<'a>, bound: Bound) -> bool {
        matches!(self.verdict(value, bound), Verdict::Member)
    }

    fn verdict(&self, value: Node<'a>, bound: Bound) -> Verdict {
        match bound.form {
            CodedForm::Code => self.code(value, bound.value_set),
            CodedForm::Coding => self.coding(value, bound.value_set),
            CodedForm::CodeableConcept => self.codeable_concept(value, bound.value_set),
        }
    }

    fn code(&self, value: Node<'a>, value_set: ValueSetId) -> Verdict {
        value.as_str().map_or(Verdict::Excused, |code| {
            self.look_up(value_set, None, &code)
        })
    }

    fn coding(&self, coding: Node<'a>, value_set: ValueSetId) -> Verdict {
        let names = &self.rules.known.names;
        let Some(code) = coding.get(names.code).and_then(Node::as_str) else {
            return if has_extension(coding) {
                Verdict::Excused
            } else {
                Verdict::NotMember
            };
        };
        let system = coding.get(names.system).and_then(Node::as_str);
        self.look_up(value_set, system.as_deref(), &code)
    }

    /// One coding that is in the value set is enough.
    fn codeable_concept(&self, concept: Node<'a>, value_set: ValueSetId) -> Verdict {
        let codings = concept.get(self.rules.known.names.coding);
        let mut verdict = if has_extension(concept) {
            Verdict::Excused
        } else {
            Verdict::NotMember
        };
        for coding in codings.into_iter().flat_map(Node::items) {
            match self.coding(coding, value_set) {
                Verdict::Member => return Verdict::Member,
                Verdict::NotMember => {}
                undecided => verdict = undecided,
            }
        }
        verdict
    }

    fn look_up(&self, value_set: ValueSetId, system: Option<&str>, code: &str) -> Verdict {
        match self.definitions.membership(value_set, system, code) {
            Membership::Member => Verdict::Member,
            Membership::NotMember => Verdict::NotMember,
            Membership::Unknown(reason) => Verdict::Unknown(reason),
        }
    }

    fn not_a_member(&mut self, value: Node<'a>, bound: Bound, rule: ElementId) {
        let sent = self.codes_in_words(value, bound.form);
        let set = self.definitions.value_set_of(bound.value_set);
        let (name, url) = (
            self.definitions.text(set.name),
            self.definitions.text(set.url),
        );
        let wanted = self.wanted_codes(bound.value_set, value);
        let text = match sent {
            Some(sent) => format!("{sent} is not in the value set {name} ({url}){wanted}"),
            None => format!("A code of the value set {name} ({url}) is needed{wanted}"),
        };
        self.findings.push_once(Finding {
            node: value,
            severity: Severity::Error,
            code: IssueType::CodeInvalid,
            about: About::Value,
            rule: self.rule_of(rule),
            text,
        });
    }

    /// The codes that were sent, as `system|code`.
    fn codes_in_words(&self, value: Node<'a>, form: CodedForm) -> Option<String> {
        let names = &self.rules.known.names;
        let coding = |coding: Node<'a>| {
            let code = coding.get(names.code)?.as_str()?;
            let system = coding.get(names.system).and_then(Node::as_str);
            Some(quote(&match system {
                Some(system) => format!("{system}|{code}"),
                None => code.into_owned(),
            }))
        };
        match form {
            CodedForm::Code => value.as_str().map(|code| quote(&code)),
            CodedForm::Coding => coding(value),
            CodedForm::CodeableConcept => {
                let codings = value.get(names.coding)?;
                let words: Vec<String> = codings.items().filter_map(coding).collect();
                (!words.is_empty()).then(|| any_of(words.iter().map(String::as_str)))
            }
        }
    }

    /// What would be right: the codes of the value set, if they are few, or the nearest of many.
    fn wanted_codes(&self, value_set: ValueSetId, value: Node<'a>) -> String {
        const LISTED_MAX: usize = 12;
        if self.definitions.expansion(value_set) != Expansion::Codes {
            return String::new();
        }
        let codes = || {
            let members = self.definitions.members(value_set);
            members.map(|(_, member)| self.definitions.text(member.code))
        };
        if codes().nth(LISTED_MAX).is_none() {
            return format!("; it may be {}", any_of(codes()));
        }
        value
            .as_str()
            .and_then(|code| nearest(&code, codes()))
            .map_or_else(String::new, |code| format!("; did you mean {code}?"))
    }

    fn binding_not_checked(
        &mut self,
        value: Node<'a>,
        bound: Bound,
        reason: Reason,
        rule: ElementId,
    ) {
        if !self.options.report_unchecked {
            return;
        }
        let set = self.definitions.value_set_of(bound.value_set);
        let because = match reason {
            Reason::Grammar => "its code system is defined by a grammar",
            Reason::CodeSystemNotHere => "a code system of it is not loaded",
            Reason::ValueSetNotHere => "a value set that it imports is not loaded",
            Reason::Filter => "a filter of it needs more than is loaded",
        };
        let text = format!(
            "Not checked whether the code is in the value set {}: {because}",
            self.definitions.text(set.url)
        );
        self.findings.push_once(Finding {
            node: value,
            severity: Severity::Information,
            code: IssueType::NotSupported,
            about: About::Rule,
            rule: self.rule_of(rule),
            text,
        });
    }
}

/// Whether an object says something by extension, as why it has no code.
fn has_extension(object: Node<'_>) -> bool {
    object.children().any(|member| {
        member.has_key("extension") || (member.is_shadow() && member.kind() == Kind::Object)
    })
}
