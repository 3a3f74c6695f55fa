//! The text of a resource for people: <https://hl7.org/fhir/R4/narrative.html#xhtml>.
//!
//! The invariants txt-1 and txt-2 can say only that something is wrong; here it is said what. The
//! rules themselves are in [`fhirpath::narrative`], where `htmlChecks()` goes by them too.

use fhir_model::issue::{IssueType, Severity};
use fhir_model::tree::Node;
use fhirpath::narrative;

use crate::finding::{About, Finding};
use crate::walk::Walk;

impl<'a> Walk<'a> {
    /// A Narrative of the right shape.
    pub(crate) fn narrative(&mut self, narrative: Node<'a>) {
        let Some(div) = narrative.get_str("div").filter(|_| self.options.invariants) else {
            return;
        };
        let Some(text) = div.as_str() else { return };
        let (severity, rule, text) = match narrative::check(&text) {
            Ok(true) => return,
            // The specification demands it, and has examples that are empty.
            Ok(false) => (
                Severity::Warning,
                "txt-2",
                "There is nothing to see in this narrative".to_owned(),
            ),
            Err(breach) => (
                Severity::Error,
                "txt-1",
                format!("This is no narrative: {breach}"),
            ),
        };
        self.findings.push_once(Finding {
            node: div,
            severity,
            code: IssueType::Invariant,
            about: About::Rule,
            rule: rule.to_owned(),
            text,
        });
    }
}
