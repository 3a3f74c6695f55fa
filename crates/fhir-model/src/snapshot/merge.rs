//! Lays what a differential says of an element over what the element inherits.
//!
//! Property by property, by the table of [`property`]. Types are checked elsewhere, as that needs
//! other structures.

use serde_json::Value;

use super::SnapshotProblemKind;
use super::property::{self, Object, Rule};

/// Extensions of an element that those who build on it do not inherit.
const NOT_INHERITED: &[&str] = &[
    "http://hl7.org/fhir/tools/StructureDefinition/binding-definition",
    "http://hl7.org/fhir/tools/StructureDefinition/no-binding",
    "http://hl7.org/fhir/tools/StructureDefinition/obligation-profile",
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-isCommonBinding",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-category",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-explicit-type-name",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-fmm",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-implements",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-normative-version",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-security-category",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status-reason",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-summary",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-wg",
];

/// Extensions of an element that replace an inherited one instead of standing beside it.
const REPLACING: &[&str] = &[
    "http://hl7.org/fhir/StructureDefinition/designNote",
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-allowedUnits",
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-question",
    "http://hl7.org/fhir/StructureDefinition/entryFormat",
    "http://hl7.org/fhir/StructureDefinition/maxDecimalPlaces",
    "http://hl7.org/fhir/StructureDefinition/maxSize",
    "http://hl7.org/fhir/StructureDefinition/mimeType",
    "http://hl7.org/fhir/StructureDefinition/minLength",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-display-hint",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-explicit-type-name",
    "http://hl7.org/fhir/tools/StructureDefinition/elementdefinition-date-format",
    "http://hl7.org/fhir/tools/StructureDefinition/elementdefinition-date-rules",
];

/// Extensions of an element that only its first definition may state.
const FIXED: &[&str] = &[
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-defaulttype",
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-translatable",
    "http://hl7.org/fhir/tools/StructureDefinition/elementdefinition-json-name",
    "http://hl7.org/fhir/tools/StructureDefinition/implied-string-prefix",
    "http://hl7.org/fhir/tools/StructureDefinition/json-empty-behavior",
    "http://hl7.org/fhir/tools/StructureDefinition/json-nullable",
    "http://hl7.org/fhir/tools/StructureDefinition/json-primitive-choice",
    "http://hl7.org/fhir/tools/StructureDefinition/json-property-key",
    "http://hl7.org/fhir/tools/StructureDefinition/type-specifier",
    "http://hl7.org/fhir/tools/StructureDefinition/xml-choice-group",
];

/// What a differential says of an element, laid over what is inherited.
///
/// `may_define` is true for a new type and for extensions, which say more than constraints.
pub(super) fn merge(
    inherited: Object,
    change: &Object,
    may_define: bool,
    problems: &mut Vec<SnapshotProblemKind>,
) -> Object {
    let mut element = inherited;
    check(&element, change, problems);
    if !change.contains_key("extension") {
        merge_extensions(&mut element, &[]);
    }
    if !change.contains_key("binding") {
        drop_extensions(element.get_mut("binding"));
    }
    for (name, value) in change {
        let (property, rule) = property::row(name)
            .map_or((name.as_str(), Rule::Replace), |(_, property, rule)| {
                (property, rule)
            });
        match rule {
            Rule::Keep => {}
            Rule::DefinitionOnly if !may_define => {}
            Rule::Replace | Rule::Types | Rule::DefinitionOnly => {
                replace(&mut element, name, value, change)
            }
            Rule::ReplaceChoice => replace_choice(&mut element, property, name, value),
            Rule::Text => append_text(&mut element, name, value, change),
            Rule::Append => append(&mut element, name, value, |item, other| item == other),
            Rule::AppendBy(key) => append(&mut element, name, value, |item, other| {
                item.get(key) == other.get(key)
            }),
            Rule::Extensions => {
                merge_extensions(
                    &mut element,
                    value.as_array().map(Vec::as_slice).unwrap_or_default(),
                );
            }
            Rule::Slicing => merge_slicing(&mut element, value),
            Rule::Binding => merge_binding(&mut element, value),
        }
    }
    property::ordered(element)
}

/// What the differential may not say of an element that is constrained already.
fn check(base: &Object, change: &Object, problems: &mut Vec<SnapshotProblemKind>) {
    let is_slice = change.contains_key("sliceName");
    let (min, base_min) = (property::min(change), property::min(base));
    if change.contains_key("min") && min < base_min && !is_slice {
        problems.push(SnapshotProblemKind::MinBelowBase {
            min,
            base: base_min,
        });
    }
    if let (Some(max), Some(base_max)) = (
        property::string(change, "max"),
        property::string(base, "max"),
    ) && property::exceeds(property::max(change), property::max(base))
    {
        problems.push(SnapshotProblemKind::MaxAboveBase {
            max: max.to_owned(),
            base: base_max.to_owned(),
        });
    }
    let is_true = |element: &Object| element.get("mustSupport").and_then(Value::as_bool);
    if is_true(base) == Some(true) && is_true(change) == Some(false) {
        problems.push(SnapshotProblemKind::MustSupportTakenBack);
    }
    let strength = |element: &'_ Object| {
        let binding = element.get("binding")?;
        property::text(binding, "strength").map(str::to_owned)
    };
    if strength(base).as_deref() == Some("required")
        && let Some(weaker) = strength(change).filter(|strength| strength != "required")
    {
        problems.push(SnapshotProblemKind::BindingWeakened(weaker));
    }
}

/// Sets a property; extensions of the replaced primitive go with it.
fn replace(element: &mut Object, name: &str, value: &Value, change: &Object) {
    if !name.starts_with('_') {
        let extensions = format!("_{name}");
        if !change.contains_key(&extensions) {
            element.shift_remove(&extensions);
        }
    }
    element.insert(name.to_owned(), value.clone());
}

/// Sets a property whose name ends with a type.
fn replace_choice(element: &mut Object, property: &str, name: &str, value: &Value) {
    if !name.starts_with('_') {
        let is_same =
            |other: &str| property::row(other).is_some_and(|(_, of_other, _)| of_other == property);
        element.retain(|other, _| !is_same(other));
    }
    element.insert(name.to_owned(), value.clone());
}

/// Sets a text, or appends one that begins with `...`.
fn append_text(element: &mut Object, name: &str, value: &Value, change: &Object) {
    let addition = value.as_str().and_then(|text| text.strip_prefix("..."));
    match (addition, property::string(element, name)) {
        (Some(addition), Some(text)) => {
            let text = format!("{text}\r\n{addition}");
            element.insert(name.to_owned(), Value::String(text));
        }
        (Some(addition), None) => {
            element.insert(name.to_owned(), Value::String(addition.to_owned()));
        }
        (None, _) => replace(element, name, value, change),
    }
}

/// Adds the items of an array that are not there yet.
pub(super) fn append(
    element: &mut Object,
    name: &str,
    value: &Value,
    is_same: impl Fn(&Value, &Value) -> bool,
) {
    let additions = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let items = element
        .entry(name)
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(items) = items {
        for addition in additions {
            if !items.iter().any(|item| is_same(item, addition)) {
                items.push(addition.clone());
            }
        }
    }
}

fn is_of(extension: &Value, urls: &[&str]) -> bool {
    property::text(extension, "url").is_some_and(|url| urls.contains(&url))
}

/// Drops extensions that are not inherited, and adds those of the differential.
fn merge_extensions(element: &mut Object, additions: &[Value]) {
    let is_replaced = |extension: &Value| {
        is_of(extension, REPLACING)
            && additions
                .iter()
                .any(|addition| addition.get("url") == extension.get("url"))
    };
    let mut extensions: Vec<Value> = property::list(element, "extension")
        .iter()
        .filter(|extension| !is_of(extension, NOT_INHERITED) && !is_replaced(extension))
        .cloned()
        .collect();
    let inherited = extensions.len();
    for addition in additions {
        let same = |extension: &Value| extension.get("url") == addition.get("url");
        let is_fixed = is_of(addition, FIXED) && extensions.iter().take(inherited).any(same);
        if !is_fixed && !extensions.contains(addition) {
            extensions.push(addition.clone());
        }
    }
    if extensions.is_empty() {
        element.shift_remove("extension");
    } else {
        element.insert("extension".to_owned(), Value::Array(extensions));
    }
}

/// Drops the extensions of a complex property that are not inherited.
fn drop_extensions(property: Option<&mut Value>) {
    if let Some(Value::Object(property)) = property
        && property.contains_key("extension")
    {
        merge_extensions(property, &[]);
    }
}

/// Lays slicing over slicing: discriminators are added, the rest is replaced.
fn merge_slicing(element: &mut Object, value: &Value) {
    let (Some(Value::Object(slicing)), Value::Object(change)) = (element.get_mut("slicing"), value)
    else {
        element.insert("slicing".to_owned(), value.clone());
        return;
    };
    for (name, value) in change {
        match name.as_str() {
            "discriminator" => append(slicing, name, value, |item, other| {
                item.get("type") == other.get("type") && item.get("path") == other.get("path")
            }),
            "ordered" | "rules" => {
                slicing.insert(name.clone(), value.clone());
            }
            _ => {}
        }
    }
}

/// Lays a binding over a binding: what describes the old one goes.
fn merge_binding(element: &mut Object, value: &Value) {
    let Value::Object(change) = value else {
        return;
    };
    let inherited = match element.get("binding") {
        Some(Value::Object(inherited)) if element.get("binding") != Some(value) => inherited,
        _ => {
            element.insert("binding".to_owned(), value.clone());
            return;
        }
    };
    const DESCRIBING: &[&str] = &["id", "extension", "description", "_description"];
    let mut binding = Object::new();
    for name in [
        "id",
        "extension",
        "strength",
        "description",
        "_description",
        "valueSet",
    ] {
        let kept = inherited.get(name).filter(|_| !DESCRIBING.contains(&name));
        if let Some(value) = change.get(name).or(kept) {
            binding.insert(name.to_owned(), value.clone());
        }
    }
    for (name, value) in inherited.iter().chain(change) {
        if !binding.contains_key(name) && !DESCRIBING.contains(&name.as_str()) {
            binding.insert(name.clone(), value.clone());
        }
    }
    element.insert("binding".to_owned(), Value::Object(binding));
}
