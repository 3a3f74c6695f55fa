//! Rules on definitions that are sent as resources, beyond their invariants. Whether a definition
//! can be worked with is found out where it is compiled.

use std::borrow::Cow;

use fhir_model::definition::{TypeId, TypeKind};
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

    /// <https://hl7.org/fhir/R4/structuredefinition.html>
    pub(crate) fn structure_definition(&mut self, structure: Node<'a>) {
        self.type_of_structure(structure);
        let Some(type_id) = self.constrained_type(structure) else {
            return;
        };
        let differential = structure.get_str("differential");
        let elements = differential.and_then(|differential| differential.get_str("element"));
        for element in elements.into_iter().flat_map(Node::items) {
            if let Some(path) = element.get_str("path") {
                self.element_path(path, type_id);
            }
        }
    }

    /// The type that a profile is of, if we know it.
    fn constrained_type(&self, structure: Node<'a>) -> Option<TypeId> {
        let is_profile = text(structure, "derivation").as_deref() == Some("constraint");
        let type_name = text(structure, "type").filter(|_| is_profile)?;
        self.definitions.type_named(&type_name)
    }

    /// The path of an element of a profile leads through elements of the type.
    fn element_path(&mut self, member: Node<'a>, type_id: TypeId) {
        let path = member.as_str().unwrap_or_default();
        let mut type_id = type_id;
        for step in path.split('.').skip(1) {
            match self.step(type_id, step) {
                Step::To(next) => type_id = next,
                Step::Unsure => return,
                Step::Nowhere => {
                    let type_name = self.definitions.type_name(type_id);
                    let text = format!(
                        "The path {} leads nowhere: {type_name} has no element {}",
                        quote(&path),
                        quote(step)
                    );
                    let rule = "ElementDefinition.path";
                    return self
                        .findings
                        .error(member, IssueType::BusinessRule, rule, text);
                }
            }
        }
    }

    fn step(&self, type_id: TypeId, step: &str) -> Step {
        let definitions = self.definitions;
        let found = definitions.type_of(type_id);
        if found.kind == TypeKind::Resource && found.is_abstract {
            return Step::Unsure;
        }
        let is_choice = step.ends_with("[x]");
        let name = definitions.names().get(step.trim_end_matches("[x]"));
        let Some(name) = name else {
            return Step::Nowhere;
        };
        if is_choice {
            return match definitions.choices(type_id, name) {
                [] => Step::Nowhere,
                _ => Step::Unsure,
            };
        }
        match definitions.property(type_id, name) {
            Some(property) => Step::To(property.type_id),
            // The value of a primitive is no property of its JSON.
            None if matches!(found.kind, TypeKind::Primitive(_) | TypeKind::System(_)) => {
                Step::Unsure
            }
            None => Step::Nowhere,
        }
    }

    /// <https://hl7.org/fhir/R4/structuredefinition-definitions.html#StructureDefinition.type>
    fn type_of_structure(&mut self, structure: Node<'a>) {
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

/// Where a step of a path leads.
enum Step {
    To(TypeId),
    /// It depends on what the instance has.
    Unsure,
    Nowhere,
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
