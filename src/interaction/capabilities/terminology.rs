//! `TerminologyCapabilities`: `GET [base]/metadata?mode=terminology`.
//!
//! <https://hl7.org/fhir/R4/terminologycapabilities.html>. What the operations on terminology can
//! answer about follows from the code systems that are loaded.

use std::collections::BTreeMap;

use fhir_model::definition::{CodeSystem, CodeSystemContent};
use serde_json::{Value, json};

use crate::interaction::Services;
use crate::interaction::capabilities::{extend, head};

/// The parameters of `$expand` that count.
const EXPANSION: &[&str] = &[
    "url",
    "valueSet",
    "valueSetVersion",
    "filter",
    "offset",
    "count",
    "activeOnly",
    "excludeNested",
    "includeDesignations",
    "displayLanguage",
];

/// The statement.
pub(super) fn capabilities(services: &Services) -> Value {
    let mut statement = head(services, "TerminologyCapabilities");
    let expansion: Vec<Value> = EXPANSION
        .iter()
        .map(|name| json!({ "name": name }))
        .collect();
    let more = json!({
        "codeSystem": code_systems(services),
        "expansion": {
            "hierarchical": true,
            "paging": true,
            "incomplete": false,
            "parameter": expansion,
        },
        "codeSearch": "all",
        "validateCode": { "translations": false },
        "translation": { "needsMap": true },
    });
    extend(&mut statement, more);
    statement
}

/// The code systems whose concepts are here, by URL, with their versions.
fn code_systems(services: &Services) -> Vec<Value> {
    let definitions = &services.definitions;
    let has_concepts = |code_system: &&CodeSystem| {
        matches!(
            code_system.content,
            CodeSystemContent::Complete | CodeSystemContent::Fragment
        )
    };
    let mut by_url: BTreeMap<&str, Vec<&CodeSystem>> = BTreeMap::new();
    for code_system in definitions.code_systems().iter().filter(has_concepts) {
        let url = definitions.text(code_system.url);
        by_url.entry(url).or_default().push(code_system);
    }
    by_url
        .into_iter()
        .map(|(url, versions)| {
            let in_use = definitions.code_system(url);
            let versions = versions.into_iter().filter_map(|one| {
                let code = definitions.text(one.version?);
                let is_default = in_use.is_some_and(|in_use| std::ptr::eq(in_use, one));
                Some(json!({ "code": code, "isDefault": is_default }))
            });
            let versions: Vec<Value> = versions.collect();
            let mut code_system = json!({ "uri": url, "subsumption": true });
            if !versions.is_empty() {
                extend(&mut code_system, json!({ "version": versions }));
            }
            code_system
        })
        .collect()
}
