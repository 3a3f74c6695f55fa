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
}
