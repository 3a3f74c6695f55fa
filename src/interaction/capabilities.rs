//! The `capabilities` interaction: the CapabilityStatement, computed from the registries.
//!
//! <https://hl7.org/fhir/R4/capabilitystatement.html>. Nothing is claimed that is not served.

use std::collections::HashMap;

use fhir_model::definition::{Definitions, Derivation, StructureKind, TypeId};
use fhir_terminology::OPERATIONS;
use serde_json::{Value, json};

use crate::interaction::Services;
use crate::interaction::write::instant_text;
use crate::search::expression::ValueKind;
use crate::search::parameter;

/// What every resource type can do.
const INTERACTIONS: &[&str] = &[
    "read",
    "vread",
    "update",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
];

/// The CapabilityStatement as JSON text; made at the first call.
pub fn capabilities(services: &Services) -> String {
    services
        .statement
        .get_or_init(|| statement(services).to_string())
        .clone()
}

fn statement(services: &Services) -> Value {
    let guides: Vec<String> = services
        .guides
        .iter()
        .map(|guide| canonical(&guide.url, guide.version.as_deref()))
        .collect();
    let profiles = supported_profiles(&services.definitions);
    let referring = referring(services);
    let resources: Vec<Value> = services
        .definitions
        .concrete_resource_types()
        .map(|type_id| resource(services, type_id, &referring, &profiles))
        .collect();
    let mut statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant_text(services.clock.now()),
        "kind": "instance",
        "software": { "name": "Baton", "version": env!("CARGO_PKG_VERSION") },
        "implementation": {
            "description": "Baton: FHIR R4 for care management and transitional care",
            "url": services.base_url.as_ref(),
        },
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json", "xml", "application/fhir+xml"],
        "rest": [{
            "mode": "server",
            "documentation": "Validation against the base definitions and profiles on every write.",
            "security": {
                "description": "No authentication is configured: loopback only, unless allowed."
            },
            "resource": resources,
            "interaction": [
                { "code": "transaction" }, { "code": "batch" }, { "code": "history-system" },
            ],
        }],
    });
    if let Some(statement) = statement.as_object_mut()
        && !guides.is_empty()
    {
        statement.insert("implementationGuide".to_owned(), json!(guides));
    }
    statement
}

/// Resource type → the profiles of it that are loaded, but for those of the standard itself.
type Profiles = HashMap<TypeId, Vec<String>>;

fn supported_profiles(definitions: &Definitions) -> Profiles {
    let mut profiles = Profiles::new();
    for (_, structure) in definitions.structures() {
        let url = definitions.text(structure.url);
        let is_profile = structure.derivation == Some(Derivation::Constraint)
            && structure.kind == StructureKind::Resource;
        if is_profile && !url.starts_with(CORE) {
            let version = structure.version.map(|version| definitions.text(version));
            let of_type = profiles.entry(structure.type_id).or_default();
            of_type.push(canonical(url, version));
        }
    }
    profiles
}

/// Where the structures of the standard itself are.
const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

fn canonical(url: &str, version: Option<&str>) -> String {
    version.map_or_else(|| url.to_owned(), |version| format!("{url}|{version}"))
}

/// Resource type → the parameters (`Type:code`) that refer to it: what `_revinclude` takes.
type Referring = HashMap<String, Vec<String>>;

fn referring(services: &Services) -> Referring {
    let definitions = &services.definitions;
    let mut referring = Referring::new();
    for type_id in definitions.concrete_resource_types() {
        let name = definitions.type_name(type_id);
        let parameters = parameter::all(definitions, type_id);
        for found in parameters.filter(|found| found.kind == ValueKind::Reference) {
            for target in found.targets(definitions) {
                let includes = referring.entry(target.to_string()).or_default();
                includes.push(format!("{name}:{}", found.code));
            }
        }
    }
    referring
}

fn resource(
    services: &Services,
    type_id: TypeId,
    referring: &Referring,
    profiles: &Profiles,
) -> Value {
    let definitions = &services.definitions;
    let name = definitions.type_name(type_id);
    let interactions: Vec<Value> = INTERACTIONS
        .iter()
        .map(|code| json!({ "code": code }))
        .collect();
    let parameters: Vec<_> = parameter::all(definitions, type_id).collect();
    let mut search_parameters = vec![
        json!({ "name": "_id", "type": "token" }),
        json!({ "name": "_lastUpdated", "type": "date" }),
    ];
    search_parameters.extend(
        parameters
            .iter()
            .map(|found| json!({ "name": found.code, "type": kind(found.kind) })),
    );
    let references = parameters
        .iter()
        .filter(|found| found.kind == ValueKind::Reference);
    let includes: Vec<String> = references
        .map(|found| format!("{name}:{}", found.code))
        .collect();
    let mut resource = json!({
        "type": name,
        "profile": format!("http://hl7.org/fhir/StructureDefinition/{name}"),
        "interaction": interactions,
        "versioning": "versioned-update",
        "readHistory": true,
        "updateCreate": true,
        "conditionalCreate": true,
        "conditionalRead": "full-support",
        "conditionalUpdate": true,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical", "local"],
        "searchParam": search_parameters,
        "operation": operations(name),
    });
    if let Some(resource) = resource.as_object_mut() {
        if !includes.is_empty() {
            resource.insert("searchInclude".to_owned(), json!(includes));
        }
        if let Some(includes) = referring.get(name) {
            resource.insert("searchRevInclude".to_owned(), json!(includes));
        }
        let configured = services.profiles.get(name).into_iter().flatten();
        let loaded = profiles.get(&type_id).into_iter().flatten();
        let mut supported: Vec<&String> = configured.chain(loaded).collect();
        supported.dedup();
        if !supported.is_empty() {
            resource.insert("supportedProfile".to_owned(), json!(supported));
        }
    }
    resource
}

/// The operations on a type.
fn operations(resource_type: &str) -> Vec<Value> {
    let validate = json!({
        "name": "validate",
        "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate",
    });
    let terminology = OPERATIONS
        .iter()
        .filter(|operation| operation.resource_type == resource_type)
        .map(|it| json!({ "name": it.name, "definition": it.definition }));
    std::iter::once(validate).chain(terminology).collect()
}

/// The code of search-param-type.
fn kind(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Token => "token",
        ValueKind::String => "string",
        ValueKind::Date => "date",
        ValueKind::Reference => "reference",
        ValueKind::Quantity => "quantity",
        ValueKind::Number => "number",
        ValueKind::Uri => "uri",
        ValueKind::Composite => "composite",
    }
}
