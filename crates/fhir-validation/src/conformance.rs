//! Rules on definitions that are sent as resources, beyond their invariants. Whether a definition
//! can be worked with is found out where it is compiled.

use std::borrow::Cow;

use fhir_model::issue::IssueType;
use fhir_model::tree::Node;

use crate::finding::quote;
use crate::walk::Walk;

/// Where the types of the specification are defined.
const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

impl<'a> Walk<'a> {
    /// <https://hl7.org/fhir/R4/searchparameter.html>
    pub(crate) fn search_parameter(&mut self, parameter: Node<'a>) {
        let own = text(parameter, "type").unwrap_or_default();
        let components = parameter.get_str("component");
        let count = components.map_or(0, |components| components.items().count());
        if own == "composite" && count < 2 {
            let text = "A search parameter of type composite has two components at least";
            let rule = "SearchParameter.component";
            self.findings
                .error(parameter, IssueType::BusinessRule, rule, text.to_owned());
        }
        let definitions = self.definitions;
        let Some(member) = parameter.get_str("derivedFrom") else {
            return;
        };
        let base = member.as_str().unwrap_or_default();
        let Some(base) = definitions.search_parameter_by_url(&base) else {
            return;
        };
        let wanted = definitions.search_parameter_of(base).kind.code();
        if own != wanted {
            let text = format!(
                "The type is {}, and that of the search parameter that this is derived from is \
                 {wanted}",
                quote(&own)
            );
            let rule = "SearchParameter.derivedFrom";
            self.findings
                .error(member, IssueType::BusinessRule, rule, text);
        }
    }

    /// <https://hl7.org/fhir/R4/structuredefinition-definitions.html#StructureDefinition.type>
    pub(crate) fn structure_definition(&mut self, structure: Node<'a>) {
        let Some(member) = structure.get_str("type") else {
            return;
        };
        let type_name = member.as_str().unwrap_or_default();
        let is_specialization = text(structure, "derivation").as_deref() == Some("specialization");
        let is_relative = !type_name.contains(':');
        let is_known = self.definitions.type_named(&type_name).is_some();
        let is_of_specification =
            text(structure, "url").is_some_and(|url| url.strip_prefix(CORE) == Some(&*type_name));
        let message = if is_relative && !is_known && !is_of_specification {
            "Only types of the specification have a name; others have an absolute URL"
        } else if is_specialization && base_type(structure).as_deref() == Some(&*type_name) {
            "What specialises a type is of another type than that"
        } else {
            return;
        };
        let text = format!("{} is no type for this: {message}", quote(&type_name));
        let rule = "StructureDefinition.type";
        self.findings
            .error(member, IssueType::BusinessRule, rule, text);
    }
}

/// The type that a structure is based on.
fn base_type(structure: Node<'_>) -> Option<Cow<'_, str>> {
    let base = text(structure, "baseDefinition")?;
    Some(match base.strip_prefix(CORE) {
        Some(name) => Cow::Owned(name.to_owned()),
        None => base,
    })
}

fn text<'a>(node: Node<'a>, name: &str) -> Option<Cow<'a, str>> {
    node.get_str(name).and_then(Node::as_str)
}
