//! The `capabilities` interaction: the CapabilityStatement, computed from the registries.
//!
//! <https://hl7.org/fhir/R4/http.html#capabilities>,
//! <https://hl7.org/fhir/R4/capabilitystatement.html>. Nothing is claimed that is not served: types
//! and search parameters come from the definitions in force, operations from
//! [`operations`], interactions from the tables in this file.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::interaction::operations::{self, Operation, Scope};
use crate::interaction::write::instant_text;
use crate::interaction::{Services, transaction};
use crate::search::parameter;

mod resource;
mod terminology;

/// What every resource type can do: codes of type-restful-interaction.
pub const TYPE_INTERACTIONS: &[&str] = &[
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
];

/// What the server as a whole can do: codes of system-restful-interaction.
pub const SYSTEM_INTERACTIONS: &[&str] =
    &["transaction", "batch", "history-system", "search-system"];

/// How conditional interactions are done, the same for every type.
const CONDITIONAL: &[(&str, &str)] = &[
    ("conditionalRead", "full-support"),
    ("conditionalDelete", "single"),
];

/// The formats of bodies.
const FORMATS: &[&str] = &[
    "json",
    "application/fhir+json",
    "xml",
    "application/fhir+xml",
];

/// The formats of patches.
const PATCH_FORMATS: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/fhir+json",
    "application/fhir+xml",
];

/// The parameter `mode`: which statement is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All of the CapabilityStatement.
    Full,
    /// Its part about what is normative in R4.
    Normative,
    /// The `TerminologyCapabilities`.
    Terminology,
}

impl Mode {
    /// The mode of this code.
    pub fn parse(code: &str) -> Option<Self> {
        match code {
            "full" => Some(Self::Full),
            "normative" => Some(Self::Normative),
            "terminology" => Some(Self::Terminology),
            _ => None,
        }
    }
}

/// Types that are normative in R4: <https://hl7.org/fhir/R4/resourcelist.html>.
const NORMATIVE: &[&str] = &[
    "Binary",
    "Bundle",
    "CapabilityStatement",
    "CodeSystem",
    "Observation",
    "OperationDefinition",
    "OperationOutcome",
    "Parameters",
    "Patient",
    "StructureDefinition",
    "ValueSet",
];

/// The CapabilityStatement as JSON text; made at the first call.
pub fn capabilities(services: &Services) -> String {
    services
        .statement
        .get_or_init(|| statement(services, |_| true).to_string())
        .clone()
}

/// The statement that a mode means, as JSON text.
pub fn in_mode(services: &Services, mode: Mode) -> String {
    match mode {
        Mode::Full => capabilities(services),
        Mode::Normative => statement(services, |name| NORMATIVE.contains(&name)).to_string(),
        Mode::Terminology => terminology::capabilities(services).to_string(),
    }
}

fn statement(services: &Services, is_wanted: fn(&str) -> bool) -> Value {
    let resources = resource::all(services, is_wanted);
    let mut statement = head(services, "CapabilityStatement");
    let more = json!({
        "fhirVersion": "4.0.1",
        "format": FORMATS,
        "patchFormat": PATCH_FORMATS,
        "rest": [{
            "mode": "server",
            "documentation": documentation(services),
            "security": {
                "description": "No authentication is configured: loopback only, unless allowed."
            },
            "resource": resources,
            "interaction": codes(SYSTEM_INTERACTIONS),
            "operation": offered(services, |operation| {
                operation.scopes.contains(&Scope::System)
            }),
            "compartment": compartments(services),
        }],
    });
    extend(&mut statement, more);
    let guides = services.guides.iter();
    let guides: Vec<String> = guides
        .map(|guide| canonical(&guide.url, guide.version.as_deref()))
        .collect();
    if !guides.is_empty() {
        extend(&mut statement, json!({ "implementationGuide": guides }));
    }
    statement
}

/// What the statements begin with.
fn head(services: &Services, resource_type: &str) -> Value {
    json!({
        "resourceType": resource_type,
        "status": "active",
        "date": instant_text(services.clock.now()),
        "kind": "instance",
        "software": { "name": "Baton", "version": env!("CARGO_PKG_VERSION") },
        "implementation": {
            "description": "Baton: FHIR R4 for care management and transitional care",
            "url": services.base_url.as_ref(),
        },
    })
}

fn extend(object: &mut Value, more: Value) {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
}

fn codes(codes: &[&str]) -> Vec<Value> {
    codes.iter().map(|code| json!({ "code": code })).collect()
}

fn canonical(url: &str, version: Option<&str>) -> String {
    version.map_or_else(|| url.to_owned(), |version| format!("{url}|{version}"))
}

/// What the elements of a statement have no place for: the limits.
fn documentation(services: &Services) -> String {
    let mut text = String::from(
        "Resources are validated against the base definitions and profiles on every write.",
    );
    let _ = write!(
        text,
        " Limits: a body has {} bytes at most, a Bundle {} entries; a page has {} matches when \
         _count is absent, {} at most.",
        services.parse_limits.bytes_max,
        transaction::ENTRIES_MAX,
        services.page_counts.default,
        services.page_counts.max,
    );
    text.push_str(" Modifiers of search parameters:");
    for (kind, modifiers) in parameter::MODIFIERS {
        let _ = write!(text, " {} {};", resource::kind(*kind), modifiers.join(" "));
    }
    text.push_str(
        " a reference the type of its target. Beside the parameters that are listed: _has, _filter, _list, _text, _type (system); _sort, \
         _count, _include, _revinclude (* and :iterate too), _summary, _elements, _total. Not searched \
         by: near, _content, _query, _contained.",
    );
    text
}

/// The operations that are offered and are as they are wanted.
fn offered(services: &Services, is_wanted: impl Fn(&Operation) -> bool) -> Vec<Value> {
    operations::all()
        .filter(|operation| is_wanted(operation) && (operation.is_offered)(services))
        .map(|operation| json!({ "name": operation.name, "definition": operation.definition }))
        .collect()
}

/// The definitions of the compartments.
fn compartments(services: &Services) -> Vec<&str> {
    let definitions = &services.definitions;
    let compartments = definitions.compartments().iter();
    compartments
        .map(|compartment| definitions.text(compartment.url))
        .collect()
}
