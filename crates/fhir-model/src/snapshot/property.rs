//! The properties of an `ElementDefinition`: their order, and how a differential changes each.
//!
//! One row per property (<https://hl7.org/fhir/R4/elementdefinition.html>); the fourth column of
//! the table there, "may change", is the last column here.

use serde_json::{Map, Value};

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// What a differential does to what is inherited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Decided elsewhere, as for the path.
    Keep,
    /// The differential's replaces it.
    Replace,
    /// As `Replace`, but the type of the value is part of the name.
    ReplaceChoice,
    /// As `Replace`, but a text that begins with `...` is appended.
    Text,
    /// Items that are not there yet are added.
    Append,
    /// Items are added where none has the same value of this property.
    AppendBy(&'static str),
    /// Only a type or an extension may say it.
    DefinitionOnly,
    /// Follows rules of its own.
    Extensions,
    /// Follows rules of its own.
    Slicing,
    /// Follows rules of its own.
    Types,
    /// Follows rules of its own.
    Binding,
}

/// All properties in the order of the standard.
const PROPERTIES: &[(&str, Rule)] = &[
    ("id", Rule::Keep),
    ("extension", Rule::Extensions),
    ("modifierExtension", Rule::Replace),
    ("path", Rule::Keep),
    ("representation", Rule::DefinitionOnly),
    ("sliceName", Rule::Replace),
    ("sliceIsConstraining", Rule::Replace),
    ("label", Rule::Text),
    ("code", Rule::Append),
    ("slicing", Rule::Slicing),
    ("short", Rule::Replace),
    ("definition", Rule::Text),
    ("comment", Rule::Text),
    ("requirements", Rule::Text),
    ("alias", Rule::Append),
    ("min", Rule::Replace),
    ("max", Rule::Replace),
    ("base", Rule::Keep),
    ("contentReference", Rule::DefinitionOnly),
    ("type", Rule::Types),
    ("defaultValue", Rule::DefinitionOnly),
    ("meaningWhenMissing", Rule::DefinitionOnly),
    ("orderMeaning", Rule::DefinitionOnly),
    ("fixed", Rule::ReplaceChoice),
    ("pattern", Rule::ReplaceChoice),
    ("example", Rule::Append),
    ("minValue", Rule::ReplaceChoice),
    ("maxValue", Rule::ReplaceChoice),
    ("maxLength", Rule::Replace),
    ("condition", Rule::Append),
    ("constraint", Rule::AppendBy("key")),
    ("mustHaveValue", Rule::Replace),
    ("valueAlternatives", Rule::Append),
    ("mustSupport", Rule::Replace),
    ("isModifier", Rule::DefinitionOnly),
    ("isModifierReason", Rule::DefinitionOnly),
    ("isSummary", Rule::Replace),
    ("binding", Rule::Binding),
    ("mapping", Rule::Append),
];

/// The row of a property: its place, its name without the type of a choice, and its rule.
pub(super) fn row(name: &str) -> Option<(usize, &'static str, Rule)> {
    let name = name.strip_prefix('_').unwrap_or(name);
    let of_choice = |property: &str| {
        let rest = name.strip_prefix(property)?;
        rest.starts_with(|first: char| first.is_ascii_uppercase())
            .then_some(())
    };
    PROPERTIES
        .iter()
        .enumerate()
        .find(|(_, (property, rule))| match rule {
            Rule::ReplaceChoice => of_choice(property).is_some(),
            _ if *property == "defaultValue" => of_choice(property).is_some(),
            _ => *property == name,
        })
        .map(|(place, (property, rule))| (place, *property, *rule))
}

/// The object with its properties in the order of the standard.
pub(super) fn ordered(object: Object) -> Object {
    let place = |name: &str| row(name).map_or(usize::MAX, |(place, ..)| place);
    let is_ordered = object.keys().is_sorted_by_key(|name| place(name));
    if is_ordered {
        return object;
    }
    let mut entries: Vec<(usize, String, Value)> = object
        .into_iter()
        .map(|(name, value)| (place(&name), name, value))
        .collect();
    entries.sort_by_key(|(place, ..)| *place);
    entries
        .into_iter()
        .map(|(_, name, value)| (name, value))
        .collect()
}

/// A string property of a JSON value.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// A string property of an element.
pub(super) fn string<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

/// The items of an array property of an element.
pub(super) fn list<'a>(object: &'a Object, name: &str) -> &'a [Value] {
    object
        .get(name)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// The elements of the `snapshot` or `differential` of a structure.
pub(super) fn elements<'a>(structure: &'a Value, view: &str) -> &'a [Value] {
    structure
        .get(view)
        .and_then(|view| view.get("element"))
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// The minimum; 0 where nothing is said.
pub(super) fn min(element: &Object) -> u64 {
    element.get("min").and_then(Value::as_u64).unwrap_or(0)
}

/// The maximum; `None` is no limit.
pub(super) fn max(element: &Object) -> Option<u64> {
    string(element, "max")?.parse().ok()
}

/// Whether a maximum is greater than another.
pub(super) fn exceeds(max: Option<u64>, limit: Option<u64>) -> bool {
    match (max, limit) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(max), Some(limit)) => max > limit,
    }
}

/// The URL of the extension that says which FHIR type a System type is.
const FHIR_TYPE: &str = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type";

/// The FHIR type of a `type` item, also where it is written as a `FHIRPath` System type.
pub(super) fn type_code(of_type: &Value) -> &str {
    let code = text(of_type, "code").unwrap_or_default();
    let Some(system) = code.strip_prefix("http://hl7.org/fhirpath/System.") else {
        return code;
    };
    let extensions = of_type.get("extension").and_then(Value::as_array);
    let stated = extensions.into_iter().flatten();
    let stated = stated
        .filter(|extension| text(extension, "url") == Some(FHIR_TYPE))
        .find_map(|extension| text(extension, "valueUrl").or_else(|| text(extension, "valueUri")));
    stated.unwrap_or(match system {
        "String" => "string",
        "Boolean" => "boolean",
        "Integer" => "integer",
        "Decimal" => "decimal",
        "DateTime" => "dateTime",
        "Date" => "date",
        "Time" => "time",
        _ => system,
    })
}

/// The profiles of a `type` item.
pub(super) fn profiles(of_type: &Value) -> impl Iterator<Item = &str> {
    let list = of_type.get("profile").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// The profile of an element that has one type with exactly one profile.
pub(super) fn only_profile(element: &Object) -> Option<&str> {
    let [only] = list(element, "type") else {
        return None;
    };
    let mut profiles = profiles(only);
    profiles.next().filter(|_| profiles.next().is_none())
}
