//! Compares a generated snapshot with a published one by what it means.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// What is compared of each element, in words and by what it means.
const PROPERTIES: &[(&str, fn(&Value) -> Value)] = &[
    ("path", |element| element["path"].clone()),
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
    /// What differs.
    pub(crate) differences: Vec<Difference>,
}

/// One property of one element that is not as published.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The property, or in words that the element is missing, additional or in another place.
    pub(crate) property: &'static str,
    /// The id of the element.
    pub(crate) element: String,
    /// What was generated.
    pub(crate) generated: Value,
    /// What was published.
    pub(crate) published: Value,
}

/// Compares the elements of two structures.
pub(crate) fn compare(generated: &Value, published: &Value) -> Comparison {
    let generated = &effective(elements(generated));
    let published = &effective(elements(published));
    let mut comparison = Comparison {
        elements: published.len(),
        ..Comparison::default()
    };
    comparison.compare_lists(generated, published);
    let by_id: HashMap<&str, &Value> = by_id(generated);
    for element in published {
        let Some(ours) = by_id.get(id(element)) else {
            continue;
        };
        let before = comparison.differences.len();
        for (name, meaning) in PROPERTIES {
            let (ours, theirs) = (meaning(ours), meaning(element));
            if ours != theirs {
                comparison.add(name, id(element), ours, theirs);
            }
        }
        comparison.same += usize::from(comparison.differences.len() == before);
        let has_same = |name: &&str| linked(&ours[*name]) == linked(&element[*name]);
        comparison.same_texts += usize::from(TEXTS.iter().all(has_same));
    }
    comparison
}

/// What a property of an element means, if it is one that is compared.
pub(crate) fn meaning(property: &str, element: &Value) -> Option<Value> {
    let (_, meaning) = PROPERTIES.iter().find(|(name, _)| *name == property)?;
    Some(meaning(element))
}

/// Elements by their ids.
pub(crate) fn by_id(elements: &[Value]) -> HashMap<&str, &Value> {
    elements
        .iter()
        .map(|element| (id(element), element))
        .collect()
}

impl Comparison {
    /// Compares which elements there are, and their order.
    fn compare_lists(&mut self, generated: &[Value], published: &[Value]) {
        let ours: HashSet<&str> = generated.iter().map(id).collect();
        let theirs: HashSet<&str> = published.iter().map(id).collect();
        let common = |id: &&str| ours.contains(id) && theirs.contains(id);
        let our_order = generated.iter().map(id).filter(common);
        if !our_order.eq(published.iter().map(id).filter(common)) {
            self.add("order", "", Value::Null, Value::Null);
        }
        for id in generated.iter().map(id).filter(|id| !theirs.contains(id)) {
            self.add("additional element", id, Value::Null, Value::Null);
        }
        for id in published.iter().map(id).filter(|id| !ours.contains(id)) {
            self.add("missing element", id, Value::Null, Value::Null);
        }
    }

    fn add(&mut self, property: &'static str, id: &str, generated: Value, published: Value) {
        self.differences.push(Difference {
            property,
            element: id.to_owned(),
            generated,
            published,
        });
    }
}

/// Elements that are as mandatory as their slices are together, whether they say so or not.
///
/// Newer publishers raise the minimum of an element whose slicing is not stated; nothing that is
/// valid by one is invalid by the other.
fn effective(elements: &[Value]) -> Vec<Value> {
    let mut of_slices: HashMap<&str, u64> = HashMap::new();
    for element in elements {
        if let Some((sliced, slice)) = id(element).rsplit_once(':')
            && !slice.contains(['.', '/'])
        {
            *of_slices.entry(sliced).or_default() += element["min"].as_u64().unwrap();
        }
    }
    let raised = |element: &Value| {
        let mut element = element.clone();
        let of_slices = of_slices.get(id(&element)).copied().unwrap_or_default();
        if of_slices > element["min"].as_u64().unwrap() {
            element["min"] = Value::from(of_slices);
        }
        element
    };
    elements.iter().map(raised).collect()
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

/// A text with its links relative, as the standard writes them; newer publishers write them out.
fn linked(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    let bases = ["http://hl7.org/fhir/R4/", "http://hl7.org/fhir/"];
    bases.iter().fold(text.to_owned(), |text, base| {
        text.replace(&format!("]({base}"), "](")
    })
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
