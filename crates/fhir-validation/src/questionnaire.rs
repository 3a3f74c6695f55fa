//! A Questionnaire beyond its invariants: what `enableWhen` may ask for.
//! <https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen>

pub(crate) mod form;

use fhir_model::issue::{IssueType, Severity};
use fhir_model::tree::Node;

use crate::finding::{About, Finding, quote};
use crate::questionnaire::form::{Form, items_of, text_of};
use crate::walk::Walk;

/// Where a question stands as seen from the item whose condition names it.
enum Place {
    Before,
    After,
    /// The item itself, or in it.
    Within,
}

impl<'a> Walk<'a> {
    /// A Questionnaire of the right shape.
    pub(crate) fn questionnaire(&mut self, questionnaire: Node<'a>) {
        let form = Form::of(questionnaire);
        for at in 0..form.len() {
            let Some(item) = form.item(at) else { return };
            let mut count = 0;
            for condition in items_of(item.node, "enableWhen") {
                count += 1;
                self.enable_when(&form, at, condition);
            }
            // The expression of que-12 lets two conditions pass, its words do not.
            if count == 2 && item.node.get_str("enableBehavior").is_none() {
                let text =
                    "If there are more than one enableWhen, enableBehavior must be specified";
                self.findings
                    .error(item.node, IssueType::Invariant, "que-12", text.to_owned());
            }
        }
    }

    /// A condition asks for the answer to another question, which stands outside of the item.
    fn enable_when(&mut self, form: &Form<'a>, at: usize, condition: Node<'a>) {
        let Some(question) = text_of(condition, "question") else {
            return;
        };
        let (severity, text) = match form.find(&question).map(|target| place(form, at, target)) {
            Some(Place::Before) => return,
            Some(Place::After) => (
                Severity::Warning,
                format!("The item {} comes after this one only", quote(&question)),
            ),
            Some(Place::Within) => (
                Severity::Error,
                format!(
                    "The item {} stands in this one, so it can never be answered to enable it",
                    quote(&question)
                ),
            ),
            None => (
                Severity::Error,
                format!("The questionnaire has no item {}", quote(&question)),
            ),
        };
        self.findings.push(Finding {
            node: condition,
            severity,
            code: IssueType::BusinessRule,
            about: About::Rule,
            rule: "Questionnaire.item.enableWhen.question".to_owned(),
            text,
        });
    }
}

fn place(form: &Form<'_>, at: usize, target: usize) -> Place {
    let parent = |item: &usize| form.item(*item)?.parent;
    if std::iter::successors(Some(target), parent).any(|item| item == at) {
        return Place::Within;
    }
    let node = |at: usize| form.item(at).map(|item| item.node.id());
    if node(target) < node(at) {
        Place::Before
    } else {
        Place::After
    }
}
