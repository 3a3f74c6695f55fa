//! Countries and currencies as `CodeSystem` resources, to be compiled with the packages.
//!
//! FHIR refers to ISO 3166 and ISO 4217, and no package lists their codes. The codes come from
//! libraries that follow the standards.

use iso_currency::{Currency, IntoEnumIterator};
use serde_json::{Value, json};

/// The code systems.
pub fn code_systems() -> [Value; 2] {
    [countries(), currencies()]
}

/// ISO 3166-1: two letters, three letters and three digits for each country.
fn countries() -> Value {
    let forms: [fn(&rust_iso3166::CountryCode) -> String; 3] = [
        |country| country.alpha2.to_owned(),
        |country| country.alpha3.to_owned(),
        rust_iso3166::CountryCode::numeric_str,
    ];
    let concepts: Vec<Value> = forms
        .iter()
        .flat_map(|form| {
            let all = rust_iso3166::ALL.iter();
            all.map(move |it| json!({ "code": form(it), "display": it.name }))
        })
        .collect();
    code_system("urn:iso:std:iso:3166", "ISO3166Part1", &concepts)
}

/// ISO 4217: three letters for each currency.
fn currencies() -> Value {
    let concepts: Vec<Value> = Currency::iter()
        .map(|currency| json!({ "code": currency.code(), "display": currency.name() }))
        .collect();
    code_system("urn:iso:std:iso:4217", "ISO4217", &concepts)
}

fn code_system(url: &str, name: &str, concepts: &[Value]) -> Value {
    json!({
        "resourceType": "CodeSystem",
        "url": url,
        "name": name,
        "status": "active",
        "caseSensitive": true,
        "content": "complete",
        "concept": concepts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_have_their_codes() {
        let [countries, currencies] = code_systems();
        let has = |system: &Value, code: &str, display: &str| {
            let concepts = system.get("concept").and_then(Value::as_array).unwrap();
            assert!(
                concepts.contains(&json!({ "code": code, "display": display })),
                "{code}"
            );
        };
        has(&countries, "CH", "Switzerland");
        has(&countries, "CHE", "Switzerland");
        has(&countries, "756", "Switzerland");
        has(&countries, "008", "Albania");
        has(&currencies, "CHF", "Swiss franc");
    }
}
