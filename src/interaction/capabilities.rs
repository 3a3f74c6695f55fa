//! The `capabilities` interaction: the CapabilityStatement, computed from the registries.
//!
//! <https://hl7.org/fhir/R4/capabilitystatement.html>. Nothing is claimed that is not served.

use std::collections::HashMap;

use fhir_model::definition::TypeId;
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
    let referring = referring(services);
    let resources: Vec<Value> = services
        .definitions
        .concrete_resource_types()
        .map(|type_id| resource(services, type_id, &referring))
        .collect();
    json!({
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
    })
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

fn resource(services: &Services, type_id: TypeId, referring: &Referring) -> Value {
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
        "operation": [{
            "name": "validate",
            "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate",
        }],
    });
    if let Some(resource) = resource.as_object_mut() {
        if !includes.is_empty() {
            resource.insert("searchInclude".to_owned(), json!(includes));
        }
        if let Some(includes) = referring.get(name) {
            resource.insert("searchRevInclude".to_owned(), json!(includes));
        }
        if let Some(profiles) = services.profiles.get(name) {
            resource.insert("supportedProfile".to_owned(), json!(profiles));
        }
    }
    resource
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
    }
}
