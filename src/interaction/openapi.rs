//! The description of the API for tools that know HTTP and not FHIR: `OpenAPI` 3.1.
//!
//! <https://spec.openapis.org/oas/v3.1.0>. It is made of what the CapabilityStatement is made of. All
//! types share generic paths; those that care is managed with have paths of their own, with their
//! search parameters, so that a generated client has names for them. Resources themselves are
//! described by the standard: `baton schema TYPE` prints a JSON Schema.

use fhir_model::definition::TypeId;
use serde_json::{Map, Value, json};

use crate::interaction::Services;
use crate::interaction::capabilities::{SYSTEM_INTERACTIONS, TYPE_INTERACTIONS};
use crate::interaction::operations::{self, Operation, Scope};
use crate::search::expression::ValueKind;
use crate::search::parameter;

/// The types that have paths of their own.
pub const SPELLED_OUT: &[&str] = &[
    "CarePlan",
    "Condition",
    "Goal",
    "Patient",
    "QuestionnaireResponse",
    "ServiceRequest",
    "Task",
];

/// An interaction as a request.
struct Request {
    /// The code of the interaction, as the CapabilityStatement has it.
    code: &'static str,
    method: &'static str,
    path: &'static str,
    about: &'static str,
    /// Names of `components.parameters`.
    parameters: &'static [&'static str],
    body: Option<Body>,
    /// The statuses of a good answer, and the type of its body; none where it has none.
    answers: &'static [(&'static str, Option<&'static str>)],
}

#[derive(Clone, Copy)]
enum Body {
    /// A resource of the type of the path.
    Resource,
    /// A batch or a transaction.
    Bundle,
    /// A form of search parameters.
    Form,
    /// A patch.
    Patch,
}

/// Interactions on types and on the system; those that are not served are left out.
const REQUESTS: &[Request] = &[
    Request {
        code: "read",
        method: "get",
        path: "/{type}/{id}",
        about: "The current version of a resource",
        parameters: &["type", "id", "If-None-Match"],
        body: None,
        answers: &[("200", Some("Resource")), ("304", None)],
    },
    Request {
        code: "update",
        method: "put",
        path: "/{type}/{id}",
        about: "Takes the place of the current version, or makes the resource",
        parameters: &["type", "id", "If-Match", "Prefer"],
        body: Some(Body::Resource),
        answers: &[("200", Some("Resource")), ("201", Some("Resource"))],
    },
    Request {
        code: "patch",
        method: "patch",
        path: "/{type}/{id}",
        about: "Changes parts of the current version",
        parameters: &["type", "id", "If-Match", "Prefer"],
        body: Some(Body::Patch),
        answers: &[("200", Some("Resource"))],
    },
    Request {
        code: "delete",
        method: "delete",
        path: "/{type}/{id}",
        about: "Deletes a resource; its history stays",
        parameters: &["type", "id", "If-Match"],
        body: None,
        answers: &[("204", None)],
    },
    Request {
        code: "vread",
        method: "get",
        path: "/{type}/{id}/_history/{version}",
        about: "One version of a resource",
        parameters: &["type", "id", "version"],
        body: None,
        answers: &[("200", Some("Resource"))],
    },
    Request {
        code: "history-instance",
        method: "get",
        path: "/{type}/{id}/_history",
        about: "All versions of a resource, newest first",
        parameters: &["type", "id", "_since", "_count"],
        body: None,
        answers: &[("200", Some("Bundle"))],
    },
    Request {
        code: "history-type",
        method: "get",
        path: "/{type}/_history",
        about: "All versions of all resources of a type, newest first",
        parameters: &["type", "_since", "_count"],
        body: None,
        answers: &[("200", Some("Bundle"))],
    },
    Request {
        code: "create",
        method: "post",
        path: "/{type}",
        about: "Makes a resource, under an id of the server",
        parameters: &["type", "If-None-Exist", "Prefer"],
        body: Some(Body::Resource),
        answers: &[("200", Some("Resource")), ("201", Some("Resource"))],
    },
    Request {
        code: "search-type",
        method: "get",
        path: "/{type}",
        about: "Searches a type",
        parameters: &[
            "type",
            "search",
            "_count",
            "_sort",
            "_include",
            "_revinclude",
            "_total",
        ],
        body: None,
        answers: &[("200", Some("Bundle"))],
    },
    Request {
        code: "search-type",
        method: "post",
        path: "/{type}/_search",
        about: "Searches a type, by a form",
        parameters: &["type"],
        body: Some(Body::Form),
        answers: &[("200", Some("Bundle"))],
    },
    Request {
        code: "transaction",
        method: "post",
        path: "/",
        about: "A batch, or a transaction that is done as a whole or not at all",
        parameters: &["Prefer"],
        body: Some(Body::Bundle),
        answers: &[("200", Some("Bundle"))],
    },
    Request {
        code: "search-system",
        method: "get",
        path: "/",
        about: "Searches several types",
        parameters: &["search", "_count", "_sort", "_total"],
        body: None,
        answers: &[("200", Some("Bundle"))],
    },
    Request {
        code: "history-system",
        method: "get",
        path: "/_history",
        about: "All versions of all resources, newest first",
        parameters: &["_since", "_count"],
        body: None,
        answers: &[("200", Some("Bundle"))],
    },
];

/// Parameters that many requests have: name, where it is, type, and what it says.
const PARAMETERS: &[(&str, &str, &str, &str)] = &[
    ("id", "path", "string", "The logical id of the resource"),
    ("version", "path", "string", "The id of the version"),
    (
        "If-Match",
        "header",
        "string",
        "Only at this version: W/\"3\"",
    ),
    (
        "If-None-Match",
        "header",
        "string",
        "The version that is known already",
    ),
    (
        "If-None-Exist",
        "header",
        "string",
        "Only when this search finds nothing",
    ),
    (
        "Prefer",
        "header",
        "string",
        "return=minimal, representation or OperationOutcome",
    ),
    ("_count", "query", "integer", "Entries on a page"),
    (
        "_since",
        "query",
        "string",
        "Only what was written at or after this instant",
    ),
    (
        "_sort",
        "query",
        "string",
        "Parameters to sort by, - before those that descend",
    ),
    (
        "_include",
        "query",
        "string",
        "What matches refer to: Type:parameter",
    ),
    (
        "_revinclude",
        "query",
        "string",
        "What refers to matches: Type:parameter",
    ),
    ("_total", "query", "string", "none, estimate or accurate"),
];

/// The description.
pub fn document(services: &Services) -> Value {
    let mut paths = Map::new();
    let mut add = |path: String, method: &str, operation: Value| {
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(method.to_owned(), operation);
        }
    };
    add("/metadata".to_owned(), "get", metadata());
    for request in REQUESTS.iter().filter(|request| request.is_served()) {
        add(
            request.path.to_owned(),
            request.method,
            request.describe(services, None),
        );
        if request.path.starts_with("/{type}") {
            for name in SPELLED_OUT {
                let path = request.path.replacen("{type}", name, 1);
                add(path, request.method, request.describe(services, Some(name)));
            }
        }
    }
    let offered = operations::all().filter(|operation| (operation.is_offered)(services));
    for operation in offered {
        for (path, id) in places(operation) {
            if !operation.affects_state {
                add(path.clone(), "get", by_get(operation, &path, &id));
            }
            add(path.clone(), "post", by_post(operation, &path, &id));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Baton",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "HL7 FHIR R4 for care management and transitional care. \
                            GET /metadata gives the CapabilityStatement.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "externalDocs": { "url": "https://hl7.org/fhir/R4/http.html" },
        "servers": [{ "url": services.base_url.as_ref() }],
        "paths": paths,
        "components": { "parameters": parameters(services), "schemas": schemas(), "responses": {
            "Error": {
                "description": "What is wrong, as an OperationOutcome",
                "content": content("OperationOutcome"),
            },
        } },
    })
}

impl Request {
    fn is_served(&self) -> bool {
        TYPE_INTERACTIONS.contains(&self.code) || SYSTEM_INTERACTIONS.contains(&self.code)
    }

    fn describe(&self, services: &Services, resource_type: Option<&str>) -> Value {
        let names = self.parameters.iter();
        let mut parameters: Vec<Value> = names
            .filter(|name| resource_type.is_none() || !matches!(**name, "type" | "search"))
            .map(|name| reference("parameters", name))
            .collect();
        if let Some(name) = resource_type
            && self.parameters.contains(&"search")
        {
            parameters.extend(search_parameters(services, name));
        }
        let mut responses = Map::new();
        for (status, body) in self.answers {
            responses.insert((*status).to_owned(), answer(*body));
        }
        responses.insert("default".to_owned(), reference("responses", "Error"));
        let mut operation = json!({
            "operationId": operation_id(self.method, self.path, resource_type),
            "summary": self.about,
            "tags": [resource_type.unwrap_or("any type")],
            "parameters": parameters,
            "responses": responses,
        });
        if let (Some(body), Some(operation)) = (self.body, operation.as_object_mut()) {
            operation.insert("requestBody".to_owned(), body.describe());
        }
        operation
    }
}

impl Body {
    fn describe(self) -> Value {
        let content = match self {
            Self::Resource => content("Resource"),
            Self::Bundle => content("Bundle"),
            Self::Form => json!({
                "application/x-www-form-urlencoded": {
                    "schema": { "type": "object", "additionalProperties": { "type": "string" } }
                }
            }),
            Self::Patch => json!({
                "application/json-patch+json": { "schema": { "type": "array" } },
                "application/fhir+json": { "schema": reference("schemas", "Parameters") },
            }),
        };
        json!({ "required": true, "content": content })
    }
}

/// A name for generated code: `getPatientById`.
fn operation_id(method: &str, path: &str, resource_type: Option<&str>) -> String {
    let mut id = method.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let part = match part {
            "{type}" => resource_type.unwrap_or("Type"),
            "{id}" => "ById",
            "{version}" => "Version",
            part => part.trim_start_matches(['_', '$']),
        };
        for word in part.split('-') {
            let mut letters = word.chars();
            id.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            id.push_str(letters.as_str());
        }
    }
    id
}

fn metadata() -> Value {
    json!({
        "operationId": "getMetadata",
        "summary": "What the server can do",
        "tags": ["system"],
        "parameters": [{
            "name": "mode",
            "in": "query",
            "schema": { "enum": ["full", "normative", "terminology"] },
        }],
        "responses": { "200": answer(Some("Resource")) },
    })
}

/// The parameters of a search of a type.
fn search_parameters(services: &Services, resource_type: &str) -> Vec<Value> {
    let definitions = &services.definitions;
    let Some(type_id) = definitions.resource_type(resource_type) else {
        return Vec::new();
    };
    let columns = parameter::COLUMNS.iter().map(|name| (*name, "string"));
    let others = all_parameters(services, type_id);
    columns
        .map(|(name, kind)| (name.to_owned(), kind))
        .chain(others)
        .map(|(name, kind)| {
            json!({
                "name": name,
                "in": "query",
                "schema": { "type": kind },
                "style": "form",
                "explode": true,
            })
        })
        .collect()
}

/// Values have prefixes and lists of alternatives, so that most are texts.
fn all_parameters(services: &Services, type_id: TypeId) -> Vec<(String, &'static str)> {
    let all = parameter::all(&services.definitions, type_id);
    let known = |kind: ValueKind| match kind {
        ValueKind::Number => "number",
        _ => "string",
    };
    all.map(|found| (found.code.to_owned(), known(found.kind)))
        .collect()
}

/// The paths of an operation, with the parameters in them.
fn places(operation: &Operation) -> Vec<(String, Vec<&'static str>)> {
    let types: Vec<(String, Option<&'static str>)> = if operation.types.is_empty() {
        vec![("{type}".to_owned(), Some("type"))]
    } else {
        let types = operation.types.iter();
        types.map(|name| ((*name).to_owned(), None)).collect()
    };
    let mut places = Vec::new();
    for scope in operation.scopes {
        if *scope == Scope::System {
            places.push((format!("/${}", operation.name), Vec::new()));
            continue;
        }
        for (name, parameter) in &types {
            let (below, more): (&str, &[&'static str]) = match scope {
                Scope::Instance => ("/{id}", &["id"]),
                Scope::Version => ("/{id}/_history/{version}", &["id", "version"]),
                Scope::System | Scope::Type => ("", &[]),
            };
            let parameters = parameter.iter().chain(more).copied().collect();
            places.push((format!("/{name}{below}/${}", operation.name), parameters));
        }
    }
    places
}

fn by_get(operation: &Operation, path: &str, in_path: &[&str]) -> Value {
    let mut described = common(operation, "get", path, in_path);
    let own: Vec<Value> = match operation.parameters {
        Some(known) => known.iter().filter_map(in_query).collect(),
        // Operations on terminology have many, which their definitions tell.
        None => vec![reference("parameters", "search")],
    };
    if let Some(parameters) = described
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
    {
        parameters.extend(own);
    }
    described
}

fn by_post(operation: &Operation, path: &str, in_path: &[&str]) -> Value {
    let mut described = common(operation, "post", path, in_path);
    let body = json!({ "content": content("Resource") });
    if let Some(described) = described.as_object_mut() {
        described.insert("requestBody".to_owned(), body);
    }
    described
}

fn common(operation: &Operation, method: &str, path: &str, in_path: &[&str]) -> Value {
    let parameters: Vec<Value> = in_path
        .iter()
        .map(|name| reference("parameters", name))
        .collect();
    json!({
        "operationId": operation_id(method, path, None),
        "summary": operation.about,
        "externalDocs": { "url": operation.definition },
        "tags": ["operations"],
        "parameters": parameters,
        "responses": {
            "200": answer(Some("Resource")),
            "default": reference("responses", "Error"),
        },
    })
}

/// A parameter of an operation in a query, where only primitives fit.
fn in_query(parameter: &operations::Parameter) -> Option<Value> {
    let kind = match parameter.kind {
        "boolean" => "boolean",
        "integer" => "integer",
        kind if kind.starts_with(char::is_lowercase) => "string",
        _ => return None,
    };
    Some(json!({
        "name": parameter.name,
        "in": "query",
        "schema": { "type": kind },
    }))
}

fn reference(section: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{section}/{name}") })
}

fn content(schema: &str) -> Value {
    let schema = json!({ "schema": reference("schemas", schema) });
    json!({ "application/fhir+json": schema, "application/fhir+xml": {} })
}

fn answer(body: Option<&str>) -> Value {
    match body {
        None => json!({ "description": "Done; there is no body" }),
        Some(schema) => json!({ "description": "Done", "content": content(schema) }),
    }
}

fn parameters(services: &Services) -> Value {
    let definitions = &services.definitions;
    let types = definitions.concrete_resource_types();
    let types: Vec<&str> = types
        .map(|type_id| definitions.type_name(type_id))
        .collect();
    let mut parameters = json!({
        "type": {
            "name": "type",
            "in": "path",
            "required": true,
            "description": "The type of the resource",
            "schema": { "enum": types },
        },
        "search": {
            "name": "search",
            "in": "query",
            "description": "Parameters by their names, as the CapabilityStatement and the \
                            definitions of operations tell them",
            "schema": { "type": "object", "additionalProperties": { "type": "string" } },
            "style": "form",
            "explode": true,
        },
    });
    if let Some(parameters) = parameters.as_object_mut() {
        for (name, place, kind, about) in PARAMETERS {
            let parameter = json!({
                "name": name,
                "in": place,
                "required": *place == "path",
                "description": about,
                "schema": { "type": kind },
            });
            parameters.insert((*name).to_owned(), parameter);
        }
    }
    parameters
}

/// Resources are described no further than by what tools need.
fn schemas() -> Value {
    let resource = |name: Option<&str>| {
        let resource_type = match name {
            None => json!({ "type": "string" }),
            Some(name) => json!({ "const": name }),
        };
        json!({
            "type": "object",
            "required": ["resourceType"],
            "properties": { "resourceType": resource_type, "id": { "type": "string" } },
            "externalDocs": {
                "url": format!(
                    "https://hl7.org/fhir/R4/{}.html",
                    name.unwrap_or("resource").to_lowercase()
                )
            },
        })
    };
    json!({
        "Resource": resource(None),
        "Bundle": resource(Some("Bundle")),
        "OperationOutcome": resource(Some("OperationOutcome")),
        "Parameters": resource(Some("Parameters")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_names_for_generated_code() {
        for (method, path, resource_type, expected) in [
            ("get", "/{type}/{id}", Some("Patient"), "getPatientById"),
            (
                "get",
                "/{type}/{id}/_history/{version}",
                None,
                "getTypeByIdHistoryVersion",
            ),
            ("post", "/Patient/$match", None, "postPatientMatch"),
            (
                "post",
                "/{type}/{id}/$meta-add",
                None,
                "postTypeByIdMetaAdd",
            ),
        ] {
            assert_eq!(operation_id(method, path, resource_type), expected);
        }
    }

    #[test]
    fn what_requests_refer_to_is_described() {
        let known: Vec<&str> = PARAMETERS.iter().map(|(name, ..)| *name).collect();
        for request in REQUESTS {
            for name in request.parameters {
                assert!(
                    ["type", "search"].contains(name) || known.contains(name),
                    "{name}"
                );
            }
            for part in request.path.split(['{', '}']).skip(1).step_by(2) {
                assert!(request.parameters.contains(&part), "{}", request.path);
            }
        }
    }
}
