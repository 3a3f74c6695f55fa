//! The codes in a value: what a value set says of them, and what their own code system does.
//!
//! A Coding is wrong whatever it is bound to if its code system is known completely and does not
//! have the code: <https://hl7.org/fhir/R4/datatypes.html#Coding>. That its display is another one is
//! a warning, or an error if the options say so. A code system that is not loaded says nothing.

use std::borrow::Cow;

use fhir_model::definition::{Reason, ValueSetId};
use fhir_model::issue::{IssueType, Severity};
use fhir_model::tree::{Kind, Node};
use fhir_terminology::{CodeCheck, Coded, Found, Verdict, check_code, is_member};

use crate::finding::{About, Finding, quote};
use crate::rules::{Bound, CodedForm};
use crate::walk::Walk;

/// The rule that is named when a Coding is wrong in itself.
const RULE: &str = "Coding";

/// What became of looking up the codes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What the value set says of the code, or of the one that fits best.
    Code(Verdict),
    /// There is no code to look up.
    Missing,
    /// There is no code to look up, and an extension says why.
    Excused,
}

/// The parts of a Coding as they were sent.
struct Parts<'a> {
    system: Option<Cow<'a, str>>,
    version: Option<Cow<'a, str>>,
    code: Cow<'a, str>,
    display: Option<Cow<'a, str>>,
}

impl Parts<'_> {
    fn coded(&self) -> Coded<'_> {
        Coded {
            system: self.system.as_deref(),
            version: self.version.as_deref(),
            code: &self.code,
            display: self.display.as_deref(),
        }
    }
}

/// The value set that codes are looked up in.
#[derive(Clone, Copy)]
pub(crate) enum Set<'s> {
    /// One that is loaded.
    Loaded(ValueSetId),
    /// The canonical of one that is not.
    Elsewhere(&'s str),
}

impl<'a> Walk<'a> {
    /// Whether a coded value is in a value set that is known completely.
    pub(crate) fn is_member(&self, value: Node<'a>, bound: Bound) -> bool {
        bound.value_set.is_some_and(|value_set| {
            let answer = self.ask(value, bound.form, Set::Loaded(value_set));
            matches!(answer, Answer::Code(Verdict::Member(_)))
        })
    }

    /// What a value set says of a coded value.
    pub(crate) fn ask(&self, value: Node<'_>, form: CodedForm, set: Set<'_>) -> Answer {
        match form {
            CodedForm::Code => value.as_str().map_or(Answer::Excused, |code| {
                let code = &*code;
                let coded = Coded {
                    code,
                    ..Coded::default()
                };
                Answer::Code(self.verdict(set, &coded))
            }),
            CodedForm::Coding => self.ask_coding(value, set),
            CodedForm::CodeableConcept => self.ask_concept(value, set),
        }
    }

    /// What a value set says of a code; what cannot be known here is asked elsewhere.
    pub(crate) fn verdict(&self, set: Set<'_>, coded: &Coded<'_>) -> Verdict {
        let (canonical, verdict) = match set {
            Set::Elsewhere(canonical) => (canonical, Verdict::NotChecked(Reason::ValueSetNotHere)),
            Set::Loaded(value_set) => {
                let url = self.definitions.value_set_of(value_set).url;
                let verdict = is_member(self.definitions, value_set, coded);
                (self.definitions.text(url), verdict)
            }
        };
        let (Verdict::NotChecked(_), Some(server)) = (verdict, self.elsewhere.codes) else {
            return verdict;
        };
        match server.is_member(canonical, coded) {
            Some(true) => Verdict::Member(Found::default()),
            Some(false) => Verdict::NotMember,
            None => verdict,
        }
    }

    fn ask_coding(&self, coding: Node<'_>, set: Set<'_>) -> Answer {
        match self.parts(coding) {
            Some(parts) => {
                // The version that was sent need not be the one that the value set means.
                let coded = Coded {
                    version: None,
                    ..parts.coded()
                };
                Answer::Code(self.verdict(set, &coded))
            }
            None if has_extension(coding) => Answer::Excused,
            None => Answer::Missing,
        }
    }

    /// One coding that is in the value set is enough; else one that may be, else one that is wrong
    /// in itself.
    fn ask_concept(&self, concept: Node<'_>, set: Set<'_>) -> Answer {
        let codings = concept.get(self.rules.known.names.coding);
        let mut best = if has_extension(concept) {
            Answer::Excused
        } else {
            Answer::Missing
        };
        for coding in codings.into_iter().flat_map(Node::items) {
            let answer = self.ask_coding(coding, set);
            if let Answer::Code(Verdict::Member(_)) = answer {
                return answer;
            }
            if rank(answer) > rank(best) {
                best = answer;
            }
        }
        best
    }

    fn parts<'n>(&self, coding: Node<'n>) -> Option<Parts<'n>> {
        let names = &self.rules.known.names;
        let text = |name| coding.get(name).and_then(Node::as_str);
        Some(Parts {
            code: text(names.code)?,
            system: text(names.system),
            version: text(names.version),
            display: text(names.display),
        })
    }

    /// A Coding, or the unit of a Quantity, against its own code system. A Quantity says its unit in
    /// words too, so that a wrong code is graver in a Coding.
    pub(crate) fn coding(&mut self, coding: Node<'a>, is_quantity: bool) {
        let Some(parts) = self.parts(coding) else {
            return;
        };
        let Some(system) = parts.system.as_deref() else {
            return;
        };
        match check_code(self.definitions, &parts.coded()) {
            CodeCheck::Valid(found) => {
                if found.display_differs {
                    self.wrong_display(coding, &parts, found.concept);
                }
            }
            CodeCheck::UnknownCode => {
                let text = format!(
                    "{} is not a code of the code system {system}",
                    quote(&parts.code)
                );
                let severity = if is_quantity {
                    Severity::Warning
                } else {
                    Severity::Error
                };
                self.wrong_coding(coding, severity, text);
            }
            CodeCheck::UnknownSystem => self.unknown_system(coding, system),
            CodeCheck::UnknownVersion | CodeCheck::NotChecked => {}
        }
    }

    fn wrong_display(
        &mut self,
        coding: Node<'a>,
        parts: &Parts<'_>,
        concept: Option<fhir_model::definition::ConceptId>,
    ) {
        let concept = concept.map(|id| self.definitions.concept_of(id));
        let right = concept
            .and_then(|concept| concept.display)
            .map_or("", |display| self.definitions.text(display));
        let sent = parts.display.as_deref().unwrap_or_default();
        let text = format!(
            "{} is not the display of the code {}, which is {}",
            quote(sent),
            quote(&parts.code),
            quote(right)
        );
        self.wrong_coding(coding, self.options.wrong_displays.severity(), text);
    }

    /// Nothing is known of a code system; but something of what it should look like.
    fn unknown_system(&mut self, coding: Node<'a>, system: &str) {
        let text = if !system.contains(':') {
            format!(
                "A code system is named by an absolute URI, and {} is none",
                quote(system)
            )
        } else if self.definitions.value_set(system).is_some() {
            format!("{system} is a value set, and not a code system")
        } else if self.definitions.is_supplement(system) {
            format!("{system} only adds to another code system, and has no codes of its own")
        } else {
            return;
        };
        self.wrong_coding(coding, Severity::Error, text);
    }

    fn wrong_coding(&mut self, coding: Node<'a>, severity: Severity, text: String) {
        self.findings.push_once(Finding {
            node: coding,
            severity,
            code: IssueType::CodeInvalid,
            about: About::Rule,
            rule: RULE.to_owned(),
            text,
        });
    }
}

/// Which answer on a coding of several says most of the concept.
const fn rank(answer: Answer) -> u8 {
    match answer {
        Answer::Missing => 0,
        Answer::Code(Verdict::NotMember | Verdict::UnknownSystem) => 1,
        Answer::Excused => 2,
        Answer::Code(Verdict::UnknownCode) => 3,
        Answer::Code(Verdict::NotChecked(_)) => 4,
        Answer::Code(Verdict::Member(_)) => 5,
    }
}

/// Whether an object says something by extension, as why it has no code.
fn has_extension(object: Node<'_>) -> bool {
    object.children().any(|member| {
        member.has_key("extension") || (member.is_shadow() && member.kind() == Kind::Object)
    })
}
