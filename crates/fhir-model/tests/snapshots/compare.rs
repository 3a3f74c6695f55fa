//! Compares a generated snapshot with a published one by what it means.

use std::collections::BTreeMap;

use serde_json::Value;

/// What is compared of each element, in words and by what it means.
const PROPERTIES: &[(&str, fn(&Value) -> Value)] = &[
    ("min", |element| element["min"].clone()),
    ("max", |element| element["max"].clone()),
    ("base", |element| element["base"].clone()),
    ("type", types),
    ("binding", binding),
    ("slicing", slicing),
    ("sliceName", |element| element["sliceName"].clone()),
    ("value", values),
    ("constraint", constraints),
    ("contentReference", content_reference),
    ("mustSupport", |element| is_true(element, "mustSupport")),
    ("isModifier", |element| is_true(element, "isModifier")),
    ("isSummary", |element| is_true(element, "isSummary")),
];

/// The texts, which are counted apart.
const TEXTS: &[&str] = &["short", "definition", "comment", "requirements"];

/// How two snapshots differ.
#[derive(Default)]
pub(crate) struct Comparison {
    /// How many elements the published one has.
    pub(crate) elements: usize,
    /// How many of those are the same in meaning.
    pub(crate) same: usize,
    /// How many have the same texts.
    pub(crate) same_texts: usize,
    /// Element ids by the property that differs, with what is there and what was published.
    pub(crate) differences: BTreeMap<&'static str, Vec<(String, String)>>,
}

/// Compares the elements of two structures.
pub(crate) fn compare(generated: &Value, published: &Value) -> Comparison {
    let generated = elements(generated);
    let published = elements(published);
    let mut comparison = Comparison {
        elements: published.len(),
        ..Comparison::default()
    };
    let by_id: BTreeMap<&str, &Value> = generated
        .iter()
        .map(|element| (id(element), element))
        .collect();
    let ids: Vec<&str> = published.iter().map(id).collect();
    let common = |element: &&Value| ids.contains(&id(element));
    let in_order: Vec<&str> = generated.iter().filter(common).map(id).collect();
    let expected: Vec<&str> = ids
        .iter()
        .copied()
        .filter(|id| by_id.contains_key(id))
        .collect();
    if in_order != expected {
        comparison.add("order", "", String::new());
    }
    for element in generated.iter().filter(|element| !common(element)) {
        comparison.add("additional element", id(element), String::new());
    }
    for element in published {
        let Some(ours) = by_id.get(id(element)) else {
            comparison.add("missing element", id(element), String::new());
            continue;
        };
        let mut is_same = true;
        for (name, meaning) in PROPERTIES {
            let (ours, theirs) = (meaning(ours), meaning(element));
            if ours != theirs {
                is_same = false;
                comparison.add(name, id(element), format!("{ours} for {theirs}"));
            }
        }
        comparison.same += usize::from(is_same);
        let has_same = |name: &&str| ours[*name] == element[*name];
        comparison.same_texts += usize::from(TEXTS.iter().all(has_same.clone()));
    }
    comparison
}

impl Comparison {
    fn add(&mut self, property: &'static str, id: &str, words: String) {
        self.differences
            .entry(property)
            .or_default()
            .push((id.to_owned(), words));
    }
}

pub(crate) fn elements(structure: &Value) -> &[Value] {
    structure["snapshot"]["element"].as_array().unwrap()
}

fn id(element: &Value) -> &str {
    element["id"].as_str().unwrap()
}

fn is_true(element: &Value, name: &str) -> Value {
    Value::Bool(element[name] == Value::Bool(true))
}

fn types(element: &Value) -> Value {
    let Some(types) = element["type"].as_array() else {
        return Value::Null;
    };
    let of_type = |of_type: &Value| {
        serde_json::json!([
            of_type["code"],
            unversioned(&of_type["profile"]),
            unversioned(&of_type["targetProfile"]),
            of_type["aggregation"]
        ])
    };
    types.iter().map(of_type).collect()
}

fn binding(element: &Value) -> Value {
    let binding = &element["binding"];
    serde_json::json!([binding["strength"], unversioned(&binding["valueSet"])])
}

/// Canonicals without the versions that newer publishers pin.
fn unversioned(canonicals: &Value) -> Value {
    match canonicals {
        Value::Array(items) => items.iter().map(unversioned).collect(),
        Value::String(text) => Value::from(text.split('|').next()),
        other => other.clone(),
    }
}

fn slicing(element: &Value) -> Value {
    let slicing = &element["slicing"];
    if slicing.is_null() {
        return Value::Null;
    }
    let ordered = slicing["ordered"] == Value::Bool(true);
    serde_json::json!([slicing["discriminator"], ordered, slicing["rules"]])
}

fn values(element: &Value) -> Value {
    let is_value = |name: &str| {
        ["fixed", "pattern", "minValue", "maxValue", "maxLength"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let object = element.as_object().unwrap();
    let mut values: Vec<(&String, &Value)> =
        object.iter().filter(|(name, _)| is_value(name)).collect();
    values.sort_by_key(|(name, _)| *name);
    serde_json::json!(values)
}

fn constraints(element: &Value) -> Value {
    let list = element["constraint"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut keys: Vec<&str> = list
        .iter()
        .map(|constraint| constraint["key"].as_str().unwrap())
        .collect();
    keys.sort_unstable();
    serde_json::json!(keys)
}

fn content_reference(element: &Value) -> Value {
    let text = element["contentReference"].as_str();
    text.map_or(Value::Null, |text| Value::from(text.rsplit('#').next()))
}
