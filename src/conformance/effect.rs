//! What effect a stored conformance resource has, and what to tell its writer where it has none.
//!
//! It is stored in any case; its status does not matter unless it is retired, as drafts are what
//! people try out.

use fhir_model::definition::{CodeSystemContent, Definitions, Expansion, Problem, TypeId};
use fhir_model::issue::{Issue, IssueType};
use fhirpath::Expression;
use serde_json::Value;

use crate::package::{Structures, lacks_snapshot};
use crate::search::parameter::{self, Lookup};

/// What becomes of a stored conformance resource.
pub(super) enum Judged {
    /// It is compiled.
    InForce,
    /// It has no effect, as its writer expects.
    Silent,
    /// It has no effect, and this says why.
    Without(Issue),
}

/// Whether a resource is to be compiled on top of these definitions.
pub(super) fn judge(base: &Definitions, resource: &Value) -> Judged {
    let text = |name: &str| resource.get(name).and_then(Value::as_str);
    if text("status") == Some("retired") {
        return Judged::Silent;
    }
    match text("resourceType") {
        Some("StructureDefinition") if text("kind") == Some("logical") => Judged::Silent,
        Some("StructureDefinition") if text("derivation") != Some("constraint") => {
            Judged::Without(without_effect(
                "it defines a type, and the types of R4 are fixed; profiles and extensions have \
                 the derivation constraint",
            ))
        }
        _ if redefines(base, resource) => Judged::Without(without_effect(
            "a package that is loaded defines the same, and a client cannot change what others \
             rely on",
        )),
        _ => Judged::InForce,
    }
}

/// Whether a resource would take the place of one of a package. What a package only names, such as a
/// code system without its codes, may be filled in.
fn redefines(base: &Definitions, resource: &Value) -> bool {
    let text = |name: &str| resource.get(name).and_then(Value::as_str);
    let url = text("url").unwrap_or_default();
    match text("resourceType") {
        Some("CodeSystem") => base
            .code_system(url)
            .is_some_and(|found| found.content == CodeSystemContent::Complete),
        Some("ValueSet") => base
            .value_set(url)
            .is_some_and(|found| base.expansion(found) == Expansion::Codes),
        Some("StructureDefinition") => base.structure(url).is_some(),
        Some("SearchParameter") => {
            let code = text("code").unwrap_or_default();
            let is_taken = |type_id| base.search_parameter(type_id, code).is_some();
            base.search_parameter_by_url(url).is_some()
                || concerned(base, resource).into_iter().any(is_taken)
        }
        _ => false,
    }
}

/// The types that a search parameter is for.
fn concerned(definitions: &Definitions, parameter: &Value) -> Vec<TypeId> {
    let bases = parameter.get("base").and_then(Value::as_array);
    let bases: Vec<TypeId> = bases
        .into_iter()
        .flatten()
        .filter_map(|base| definitions.type_named(base.as_str()?))
        .collect();
    let is_concerned = |type_id: &TypeId| {
        bases
            .iter()
            .any(|base| definitions.is_subtype_of(*type_id, *base))
    };
    definitions
        .concrete_resource_types()
        .filter(is_concerned)
        .collect()
}

/// A resource as it is compiled: a structure with its snapshot.
pub(super) fn complete(structures: &Structures, resource: &Value) -> Result<Value, Issue> {
    let is_structure = resource["resourceType"] == "StructureDefinition";
    if !is_structure || !lacks_snapshot(resource) {
        return Ok(resource.clone());
    }
    structures
        .snapshot(resource)
        .map(|snapshot| snapshot.structure)
        .map_err(|problem| without_effect(&problem.to_string()))
}

/// What there is to say about a resource that was compiled.
pub(super) fn issues(
    definitions: &Definitions,
    resource: &Value,
    problems: &[Problem],
) -> Vec<Issue> {
    let text = |name: &str| resource.get(name).and_then(Value::as_str);
    let name = text("url").or_else(|| text("resourceType"));
    let own = problems
        .iter()
        .filter(|problem| Some(problem.resource.as_str()) == name);
    let mut issues: Vec<Issue> = own
        .map(|problem| without_effect(&problem.kind.to_string()))
        .collect();
    if issues.is_empty() && text("resourceType") == Some("SearchParameter") {
        let code = text("code").unwrap_or_default();
        issues.extend(unsearchable(definitions, resource, code));
    }
    issues.extend(unusable_constraints(definitions, resource));
    issues
}

/// The constraints of a structure whose expressions are none: they are never checked.
fn unusable_constraints(definitions: &Definitions, resource: &Value) -> Vec<Issue> {
    let elements = ["/differential/element", "/snapshot/element"]
        .into_iter()
        .find_map(|view| resource.pointer(view)?.as_array());
    let mut issues = Vec::new();
    for element in elements.into_iter().flatten() {
        let constraints = element.get("constraint").and_then(Value::as_array);
        for constraint in constraints.into_iter().flatten() {
            let text = |of: &Value, name: &str| of.get(name)?.as_str().map(str::to_owned);
            let Some(expression) = text(constraint, "expression") else {
                continue;
            };
            if let Err(error) = Expression::compile(&expression, definitions, None) {
                let key = text(constraint, "key").unwrap_or_default();
                let path = text(element, "path").unwrap_or_default();
                issues.push(Issue::warning(
                    IssueType::NotSupported,
                    format!("The constraint {key} of {path} is not checked: {error}"),
                ));
            }
        }
    }
    issues
}

/// Why a search parameter cannot be searched by, for the first of its types where it cannot.
fn unsearchable(definitions: &Definitions, resource: &Value, code: &str) -> Option<Issue> {
    concerned(definitions, resource)
        .into_iter()
        .find_map(|type_id| {
            let reason = match parameter::find(definitions, type_id, code) {
                Lookup::Supported(found) => {
                    Expression::compile(found.expression, definitions, Some(type_id))
                        .err()?
                        .to_string()
                }
                Lookup::Unsupported => {
                    "composite and special parameters, and those without an expression, are not \
                 searched by"
                        .to_owned()
                }
                Lookup::Unknown => return None,
            };
            let type_name = definitions.type_name(type_id);
            Some(without_effect(&format!("{type_name}: {reason}")))
        })
}

fn without_effect(reason: &str) -> Issue {
    let text = format!("It is stored and has no effect: {reason}");
    Issue::error(IssueType::NotSupported, text)
}
