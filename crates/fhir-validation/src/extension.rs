//! Extensions: <https://hl7.org/fhir/R4/extensibility.html>.
//!
//! An extension whose definition is loaded is held to it, as to any profile. One that is not
//! known is none of our business, unless it may change the meaning of what it stands in.

use fhir_model::definition::Derivation;
use fhir_model::issue::{IssueType, Severity};
use fhir_model::tree::Node;

use crate::finding::{About, Finding, quote};
use crate::walk::Walk;

impl<'a> Walk<'a> {
    /// An extension against the definition that its URL names.
    pub(crate) fn extension(&mut self, extension: Node<'a>, is_modifier: bool) {
        self.either_value_or_extensions(extension);
        let url = extension.get(self.rules.known.names.url);
        let Some(url) = url.and_then(Node::as_str) else {
            return;
        };
        let definitions = self.definitions;
        let found = definitions.structure(&url).filter(|structure| {
            let structure = definitions.structure_of(*structure);
            structure.derivation == Some(Derivation::Constraint)
                && Some(structure.type_id) == self.rules.known.extension
        });
        match found {
            Some(structure) => self.apply(extension, structure),
            None if is_modifier => self.findings.push(Finding {
                node: extension,
                severity: Severity::Warning,
                code: IssueType::Extension,
                about: About::Rule,
                rule: "Extension.url".to_owned(),
                text: format!(
                    "The modifier extension {} is not known here, and it may change the meaning \
                     of the element that it stands in",
                    quote(&url)
                ),
            }),
            None => {}
        }
    }

    /// The invariant ext-1.
    fn either_value_or_extensions(&mut self, extension: Node<'a>) {
        let names = &self.rules.known.names;
        let is_other =
            |member: &Node<'a>| ![names.url, names.id, names.extension].contains(&member.name());
        let has_extensions = extension.get(names.extension).is_some();
        // What is none of the others is the value, else it was reported.
        let text = match (
            has_extensions,
            extension.children().any(|member| is_other(&member)),
        ) {
            (true, true) => "An extension has either a value or extensions, and this has both",
            (false, false) => "An extension has either a value or extensions, and this has neither",
            _ => return,
        };
        self.findings
            .error(extension, IssueType::Invariant, "ext-1", text.to_owned());
    }
}
