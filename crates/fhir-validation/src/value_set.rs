//! A `ValueSet` beyond its invariants: what it draws from code systems that are loaded must be there.
//! <https://hl7.org/fhir/R4/valueset.html#compositions>
//!
//! Listed codes, and the codes that filters compare Codings with. A value set may have parameters, by
//! an extension that the tools of HL7 go by: the expressions of its filters ask for those that it
//! declares. Which codes the value set has is left to `fhir-terminology`.

use fhir_model::definition::ConceptPropertyKind;
use fhir_model::issue::{IssueType, Severity};
use fhir_model::tree::Node;
use fhir_terminology::{CodeCheck, Coded, check_code};

use crate::finding::{About, Finding, quote};
use crate::questionnaire::form::{items_of, text_of};
use crate::walk::Walk;

/// Declares a parameter of a value set.
const PARAMETER: &str = "http://hl7.org/fhir/tools/StructureDefinition/valueset-parameter";
/// Gives a value as an expression.
const EXPRESSION: &str = "http://hl7.org/fhir/StructureDefinition/cqf-expression";
/// The language that parameters are asked for in.
const LANGUAGE: &str = "text/fhirpath";
/// Between the code system and the code in the value of a filter.
const SEPARATORS: &[char] = &['#', '|'];

impl<'a> Walk<'a> {
    /// A `ValueSet` of the right shape.
    pub(crate) fn value_set(&mut self, value_set: Node<'a>) {
        let Some(compose) = value_set.get_str("compose") else {
            return;
        };
        let parts = ["include", "exclude"].into_iter();
        for part in parts.flat_map(|name| items_of(compose, name)) {
            self.listed_codes(part);
            for filter in items_of(part, "filter") {
                self.filter_value(part, filter);
                self.filter_expressions(value_set, filter);
            }
        }
    }

    /// The codes that are listed are codes of the code system.
    fn listed_codes(&mut self, part: Node<'a>) {
        let (system, version) = (text_of(part, "system"), text_of(part, "version"));
        for concept in items_of(part, "concept") {
            let Some(member) = concept.get_str("code") else {
                continue;
            };
            let code = member.as_str().unwrap_or_default();
            let coded = Coded {
                system: system.as_deref(),
                version: version.as_deref(),
                code: &code,
                display: None,
            };
            if check_code(self.definitions, &coded) == CodeCheck::UnknownCode {
                let system = system.as_deref().unwrap_or_default();
                let text = format!("{} is not a code of the code system {system}", quote(&code));
                self.wrong_part(member, "ValueSet.compose.include.concept.code", text);
            }
        }
    }

    /// A property that has Codings is compared with one that there is.
    fn filter_value(&mut self, part: Node<'a>, filter: Node<'a>) {
        let Some(property) = text_of(filter, "property") else {
            return;
        };
        let Some(member) = filter.get_str("value") else {
            return;
        };
        let is_equal = text_of(filter, "op").as_deref() == Some("=");
        if !is_equal || !self.has_codings(part, &property) {
            return;
        }
        let value = member.as_str().unwrap_or_default();
        let Some((of_system, code)) = value.rsplit_once(SEPARATORS) else {
            return;
        };
        let coded = Coded {
            system: Some(of_system),
            code,
            ..Coded::default()
        };
        if check_code(self.definitions, &coded) == CodeCheck::UnknownCode {
            let text = format!(
                "The property {} is compared with {}, and {} is not a code of the code system \
                 {of_system}",
                quote(&property),
                quote(&value),
                quote(code)
            );
            self.wrong_part(member, "ValueSet.compose.include.filter.value", text);
        }
    }

    /// Whether the values of a declared property of the code system are Codings.
    fn has_codings(&self, part: Node<'a>, property: &str) -> bool {
        let definitions = self.definitions;
        let system = text_of(part, "system");
        let Some(code_system) = system.and_then(|system| definitions.code_system(&system)) else {
            return false;
        };
        let declared = definitions.property_definitions(code_system).iter();
        let mut declared = declared.map(|declared| declared.code);
        let Some(code) = declared.find(|code| definitions.text(*code) == property) else {
            return false;
        };
        let concepts = definitions.concepts(code_system).iter();
        let mut values = concepts.flat_map(|concept| definitions.concept_properties(concept));
        values
            .find(|value| value.code == code)
            .is_some_and(|value| value.kind == ConceptPropertyKind::Coding)
    }

    /// What a value set with parameters asks for in a filter is one of them.
    fn filter_expressions(&mut self, value_set: Node<'a>, filter: Node<'a>) {
        let Some(beside) = filter.get_str("_value") else {
            return;
        };
        let has_parameters = parameters(value_set).next().is_some();
        for extension in extensions(beside, EXPRESSION).filter(|_| has_parameters) {
            let Some(expression) = extension.get_str("valueExpression") else {
                continue;
            };
            let language = text_of(expression, "language").unwrap_or_default();
            let written = text_of(expression, "expression").unwrap_or_default();
            let wanted = written.strip_prefix('%').unwrap_or_default();
            let is_declared =
                || parameters(value_set).any(|name| name.as_str().as_deref() == Some(wanted));
            let text = if language != LANGUAGE {
                format!(
                    "The parameters of a value set are asked for in {LANGUAGE}, not in {}",
                    quote(&language)
                )
            } else if is_name(wanted) && !is_declared() {
                format!("The value set has no parameter {}", quote(wanted))
            } else {
                continue;
            };
            self.wrong_part(expression, "ValueSet.compose.include.filter.value", text);
        }
    }

    fn wrong_part(&mut self, node: Node<'a>, rule: &str, text: String) {
        self.findings.push_once(Finding {
            node,
            severity: Severity::Error,
            code: IssueType::CodeInvalid,
            about: About::Rule,
            rule: rule.to_owned(),
            text,
        });
    }
}

/// The names of the parameters that a value set declares.
fn parameters(value_set: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    let declarations = extensions(value_set, PARAMETER);
    declarations
        .flat_map(|declaration| extensions(declaration, "name"))
        .filter_map(|name| name.get_str("valueCode"))
}

fn extensions<'a>(node: Node<'a>, url: &'static str) -> impl Iterator<Item = Node<'a>> {
    items_of(node, "extension")
        .filter(move |extension| text_of(*extension, "url").as_deref() == Some(url))
}

/// Whether an expression is nothing but a name.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "-_".contains(c))
}
