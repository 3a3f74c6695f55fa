//! Canonicals without a version mean, within a package, the version that the package was made with.
//!
//! Two versions of US Core define the same URLs. What a profile of 6.1.0 refers to must be of
//! 6.1.0, though 7.0.0 is loaded too. So a canonical that a package or something in its closure
//! defines gets the version from there before it is compiled:
//! <https://hl7.org/fhir/R4/references.html#canonical>. Instances are left as they are.

use std::collections::HashMap;

use serde_json::Value;

/// What a package defines: canonical URL → business version.
pub(super) type Versions = HashMap<String, String>;

/// Properties of an `ElementDefinition.type` that hold lists of canonicals.
const TYPE_LISTS: &[&str] = &["profile", "targetProfile"];

/// The value set that codes must be of even where the binding is not required.
const MAX_VALUE_SET: &str = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet";

/// Puts versions to the canonicals of a resource; `closure` is what its package can mean, the
/// nearest first.
pub(super) fn pin(resource: &mut Value, closure: &[&Versions]) {
    match resource.get("resourceType").and_then(Value::as_str) {
        Some("StructureDefinition") => pin_structure(resource, closure),
        Some("ValueSet") => pin_value_set(resource, closure),
        Some("SearchParameter") => {
            for component in list(resource, "component") {
                pin_member(component, "definition", closure);
            }
        }
        _ => {}
    }
}

fn pin_structure(structure: &mut Value, closure: &[&Versions]) {
    pin_member(structure, "baseDefinition", closure);
    for view in ["snapshot", "differential"] {
        let elements = structure.get_mut(view);
        let elements = elements.and_then(|view| view.get_mut("element"));
        for element in elements.and_then(Value::as_array_mut).into_iter().flatten() {
            pin_element(element, closure);
        }
    }
}

fn pin_element(element: &mut Value, closure: &[&Versions]) {
    for declared in list(element, "type") {
        for name in TYPE_LISTS {
            for canonical in list(declared, name) {
                pin_text(canonical, closure);
            }
        }
    }
    let Some(binding) = element.get_mut("binding") else {
        return;
    };
    pin_member(binding, "valueSet", closure);
    for extension in list(binding, "extension") {
        if extension.get("url").and_then(Value::as_str) == Some(MAX_VALUE_SET) {
            pin_member(extension, "valueCanonical", closure);
        }
    }
}

fn pin_value_set(value_set: &mut Value, closure: &[&Versions]) {
    let Some(compose) = value_set.get_mut("compose") else {
        return;
    };
    for name in ["include", "exclude"] {
        for component in list(compose, name) {
            for canonical in list(component, "valueSet") {
                pin_text(canonical, closure);
            }
        }
    }
}

fn pin_member(object: &mut Value, name: &str, closure: &[&Versions]) {
    if let Some(canonical) = object.get_mut(name) {
        pin_text(canonical, closure);
    }
}

fn pin_text(canonical: &mut Value, closure: &[&Versions]) {
    let Value::String(canonical) = canonical else {
        return;
    };
    if canonical.contains('|') {
        return;
    }
    let version = closure
        .iter()
        .find_map(|versions| versions.get(canonical.as_str()));
    if let Some(version) = version {
        canonical.push('|');
        canonical.push_str(version);
    }
}

fn list<'v>(value: &'v mut Value, name: &str) -> impl Iterator<Item = &'v mut Value> {
    let items = value.get_mut(name).and_then(Value::as_array_mut);
    items.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_closure_defines_gets_its_version() {
        let versions = |defined: &[(&str, &str)]| -> Versions {
            let defined = defined.iter();
            defined
                .map(|(url, version)| (url.to_string(), version.to_string()))
                .collect()
        };
        let own = versions(&[("http://a/P", "2")]);
        let dependency = versions(&[("http://a/P", "1"), ("http://a/V", "1")]);
        let mut profile = json!({
            "resourceType": "StructureDefinition",
            "baseDefinition": "http://a/P",
            "snapshot": {"element": [{
                "type": [{
                    "code": "Reference",
                    "profile": ["http://a/Q"],
                    "targetProfile": ["http://a/P|3", "http://a/P"]
                }],
                "binding": {
                    "valueSet": "http://a/V",
                    "extension": [{"url": MAX_VALUE_SET, "valueCanonical": "http://a/V"}]
                }
            }]}
        });
        pin(&mut profile, &[&own, &dependency]);
        let expected = json!({
            "resourceType": "StructureDefinition",
            "baseDefinition": "http://a/P|2",
            "snapshot": {"element": [{
                "type": [{
                    "code": "Reference",
                    "profile": ["http://a/Q"],
                    "targetProfile": ["http://a/P|3", "http://a/P|2"]
                }],
                "binding": {
                    "valueSet": "http://a/V|1",
                    "extension": [{"url": MAX_VALUE_SET, "valueCanonical": "http://a/V|1"}]
                }
            }]}
        });
        assert_eq!(profile, expected);
        let mut value_set = json!({
            "resourceType": "ValueSet",
            "compose": {"include": [{"valueSet": ["http://a/V"]}]}
        });
        pin(&mut value_set, &[&dependency]);
        assert_eq!(
            value_set["compose"]["include"][0]["valueSet"][0],
            "http://a/V|1"
        );
    }
}
