//! Codes against the value sets that they are bound to.
//!
//! How grave it is that a code is not in its value set is a matter of the binding's strength
//! (<https://hl7.org/fhir/R4/terminologies.html#strength>): an error if it is required, a warning if
//! it is extensible, advice if it is preferred. Where it cannot be known, nothing is claimed, but a
//! required binding whose value set is not loaded is never passed over in silence. Whether a code is
//! one of its code system is looked at whether it is bound or not (`coded`). Additional bindings are
//! not looked at.

use fhir_model::definition::{BindingStrength, ElementId, Expansion, Reason, ValueSetId};
use fhir_model::issue::{IssueType, Severity};
use fhir_model::tree::Node;
use fhir_terminology::Verdict;

use crate::coded::{Answer, Set};
use crate::finding::{About, Finding, any_of, quote};
use crate::rules::{Bound, CodedForm};
use crate::suggest::nearest;
use crate::walk::Walk;

impl<'a> Walk<'a> {
    /// A coded value against the value sets of a binding.
    pub(crate) fn binding(&mut self, value: Node<'a>, bound: Bound, rule: ElementId) {
        if let Some(severity) = self.severity(bound.strength) {
            self.bound_to(value, bound, bound.value_set, severity, rule);
        }
        if bound.max_value_set.is_some() && bound.strength != BindingStrength::Required {
            self.bound_to(value, bound, bound.max_value_set, Severity::Error, rule);
        }
    }

    /// How grave it is that a code is not in its value set; `None` if nobody asks.
    fn severity(&self, strength: BindingStrength) -> Option<Severity> {
        match strength {
            BindingStrength::Required => Some(Severity::Error),
            BindingStrength::Extensible => Some(Severity::Warning),
            BindingStrength::Preferred if self.options.best_practice => Some(Severity::Information),
            BindingStrength::Preferred | BindingStrength::Example => None,
        }
    }

    fn bound_to(
        &mut self,
        value: Node<'a>,
        bound: Bound,
        value_set: Option<ValueSetId>,
        severity: Severity,
        rule: ElementId,
    ) {
        let Some(value_set) = value_set else {
            return self.bound_elsewhere(value, bound, severity, rule);
        };
        match self.ask(value, bound.form, Set::Loaded(value_set)) {
            Answer::Excused | Answer::Code(Verdict::Member(_)) => {}
            // Said where the Coding was looked at; an element of type code has no code system.
            Answer::Code(Verdict::UnknownCode) if bound.form != CodedForm::Code => {}
            Answer::Code(Verdict::NotChecked(reason)) => {
                self.binding_not_checked(value, value_set, reason, rule);
            }
            // Words alone say what no code does; that is advised against at most.
            Answer::Missing
                if bound.strength != BindingStrength::Required && !self.options.best_practice => {}
            Answer::Missing | Answer::Code(_) => {
                self.not_a_member(value, bound.form, value_set, severity, rule);
            }
        }
    }

    /// A value set that is not loaded: who may know it is asked.
    fn bound_elsewhere(
        &mut self,
        value: Node<'a>,
        bound: Bound,
        severity: Severity,
        rule: ElementId,
    ) {
        let canonical = self.definitions.text(bound.canonical);
        match self.ask(value, bound.form, Set::Elsewhere(canonical)) {
            Answer::Code(Verdict::Member(_)) => {}
            Answer::Code(Verdict::NotMember) => {
                let sent = self.codes_in_words(value, bound.form);
                let sent = sent.unwrap_or_else(|| "The code".to_owned());
                let text = format!("{sent} is not in the value set {canonical}");
                self.findings.push_once(Finding {
                    node: value,
                    severity,
                    code: IssueType::CodeInvalid,
                    about: About::Rule,
                    rule: self.rule_of(rule),
                    text,
                });
            }
            _ => self.value_set_not_loaded(value, bound, rule),
        }
    }

    fn not_a_member(
        &mut self,
        value: Node<'a>,
        form: CodedForm,
        value_set: ValueSetId,
        severity: Severity,
        rule: ElementId,
    ) {
        let sent = self.codes_in_words(value, form);
        let set = self.definitions.value_set_of(value_set);
        let (name, url) = (
            self.definitions.text(set.name),
            self.definitions.text(set.url),
        );
        let wanted = self.wanted_codes(value_set, value);
        let (verb, unless) = match severity {
            Severity::Warning => ("should be used", ", unless none of them fits"),
            Severity::Information => ("is preferred", ""),
            _ => ("is needed", ""),
        };
        let text = match sent {
            Some(sent) if severity >= Severity::Error => {
                format!("{sent} is not in the value set {name} ({url}){wanted}")
            }
            Some(sent) => format!(
                "{sent} is not in the value set {name} ({url}), and a code of it {verb}{unless}\
                 {wanted}"
            ),
            None => format!("A code of the value set {name} ({url}) {verb}{unless}{wanted}"),
        };
        self.findings.push_once(Finding {
            node: value,
            severity,
            code: IssueType::CodeInvalid,
            about: if severity >= Severity::Error {
                About::Value
            } else {
                About::Rule
            },
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

    fn value_set_not_loaded(&mut self, value: Node<'a>, bound: Bound, rule: ElementId) {
        let is_required = bound.strength == BindingStrength::Required;
        if !is_required && !self.options.report_unchecked {
            return;
        }
        let canonical = self.definitions.text(bound.canonical);
        let text = format!(
            "Not checked whether the code is in the value set {canonical}, because that is not \
             loaded"
        );
        self.not_checked(value, rule, text);
    }

    fn binding_not_checked(
        &mut self,
        value: Node<'a>,
        value_set: ValueSetId,
        reason: Reason,
        rule: ElementId,
    ) {
        if !self.options.report_unchecked {
            return;
        }
        let set = self.definitions.value_set_of(value_set);
        let because = match reason {
            Reason::Grammar => "its code system is defined by a grammar",
            Reason::CodeSystemNotHere => "a code system of it is not loaded",
            Reason::ValueSetNotHere => "it has no content, or a value set it imports is not loaded",
            Reason::ImportCut => "value sets import one another in a circle, or too deeply",
            Reason::Filter => "a filter of it needs more than is loaded",
        };
        let text = format!(
            "Not checked whether the code is in the value set {}: {because}",
            self.definitions.text(set.url)
        );
        self.not_checked(value, rule, text);
    }
}
