//! `CapabilityStatement.rest.resource`: what is served of each type.

use std::collections::HashMap;

use fhir_model::definition::{Definitions, Derivation, StructureKind, TypeId};
use serde_json::{Value, json};

use crate::interaction::Services;
use crate::interaction::capabilities::{
    CONDITIONAL, TYPE_INTERACTIONS, canonical, codes, extend, offered,
};
use crate::interaction::operations::Scope;
use crate::search::expression::ValueKind;
use crate::search::parameter::{self, Lookup, Parameter};

/// Where the structures of the standard itself are.
const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Parameters that select in a way of their own, which the head of the statement tells.
const SPECIAL: &[&str] = &["_filter", "_has", "_list", "_text", "_type"];

/// Every type that is wanted.
pub(super) fn all(services: &Services, is_wanted: fn(&str) -> bool) -> Vec<Value> {
    let definitions = &services.definitions;
    let known = Known {
        services,
        referring: referring(definitions),
        profiles: supported_profiles(definitions),
    };
    definitions
        .concrete_resource_types()
        .filter(|type_id| is_wanted(definitions.type_name(*type_id)))
        .map(|type_id| known.resource(type_id))
        .collect()
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

/// Resource type → the parameters (`Type:code`) that refer to it: what `_revinclude` takes.
type Referring = HashMap<String, Vec<String>>;

fn referring(definitions: &Definitions) -> Referring {
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

/// What is worked out once for all types.
struct Known<'s> {
    services: &'s Services,
    referring: Referring,
    profiles: Profiles,
}

impl Known<'_> {
    fn resource(&self, type_id: TypeId) -> Value {
        let definitions = &self.services.definitions;
        let name = definitions.type_name(type_id);
        let parameters: Vec<_> = parameter::all(definitions, type_id).collect();
        let mut resource = json!({
            "type": name,
            "profile": format!("{CORE}{name}"),
            "interaction": codes(TYPE_INTERACTIONS),
            "versioning": "versioned-update",
            "readHistory": true,
            "updateCreate": true,
            "conditionalCreate": true,
            "conditionalUpdate": true,
            "referencePolicy": ["literal", "logical", "local"],
            "searchParam": self.search_parameters(&parameters),
            "operation": offered(self.services, |operation| {
                operation.is_about(name) && operation.scopes.iter().any(|it| *it != Scope::System)
            }),
        });
        for (element, code) in CONDITIONAL {
            extend(&mut resource, json!({ *element: code }));
        }
        let lists = [
            ("searchInclude", includes(name, &parameters)),
            ("searchRevInclude", self.revincludes(name)),
            ("supportedProfile", self.supported_profiles(type_id)),
        ];
        for (element, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            extend(&mut resource, json!({ element: list }));
        }
        if let Some(text) = self.not_searched(type_id) {
            extend(&mut resource, json!({ "documentation": text }));
        }
        resource
    }

    fn search_parameters(&self, parameters: &[Parameter<'_>]) -> Vec<Value> {
        let definitions = &self.services.definitions;
        let columns = [("_id", "token"), ("_lastUpdated", "date")].map(|(name, kind)| {
            json!({
                "name": name,
                "definition": format!("http://hl7.org/fhir/SearchParameter/Resource{}", name.replace('_', "-")),
                "type": kind,
            })
        });
        let others = parameters.iter().map(|found| {
            json!({
                "name": found.code,
                "definition": found.definition(definitions),
                "type": kind(found.kind),
            })
        });
        columns.into_iter().chain(others).collect()
    }

    fn revincludes(&self, name: &str) -> Vec<String> {
        self.referring.get(name).cloned().unwrap_or_default()
    }

    fn supported_profiles(&self, type_id: TypeId) -> Vec<String> {
        let name = self.services.definitions.type_name(type_id);
        let configured = self.services.profiles.get(name).into_iter().flatten();
        let loaded = self.profiles.get(&type_id).into_iter().flatten();
        let mut supported: Vec<String> = configured.chain(loaded).cloned().collect();
        supported.dedup();
        supported
    }

    /// The parameters of the standard that this server does not search by.
    fn not_searched(&self, type_id: TypeId) -> Option<String> {
        let definitions = &self.services.definitions;
        let rows = definitions.search_parameters(type_id).iter();
        let codes = rows.map(|row| definitions.text(row.code));
        let not_searched: Vec<&str> = codes
            .filter(|code| {
                let found = parameter::find(definitions, type_id, code);
                matches!(found, Lookup::Unsupported) && !SPECIAL.contains(code)
            })
            .collect();
        if not_searched.is_empty() {
            return None;
        }
        Some(format!("Not searched by: {}.", not_searched.join(", ")))
    }
}

fn includes(name: &str, parameters: &[Parameter<'_>]) -> Vec<String> {
    let references = parameters
        .iter()
        .filter(|found| found.kind == ValueKind::Reference);
    let listed: Vec<String> = references
        .map(|found| format!("{name}:{}", found.code))
        .collect();
    let any = (!listed.is_empty()).then(|| "*".to_owned());
    any.into_iter().chain(listed).collect()
}

/// The code of search-param-type.
pub(super) fn kind(kind: ValueKind) -> &'static str {
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
