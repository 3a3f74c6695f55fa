//! Reading and writing the few elements of FHIR JSON that pathways touch.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value, json};

use crate::plan_definition::facts::Moment;
use crate::plan_definition::vocabulary as v;

/// Statuses of a Task from which nothing leads on.
const TERMINAL: &[&str] = &[
    "completed",
    "failed",
    "cancelled",
    "rejected",
    "entered-in-error",
];

/// The string at a JSON pointer.
pub(crate) fn text<'a>(resource: &'a Value, pointer: &str) -> Option<&'a str> {
    resource.pointer(pointer).and_then(Value::as_str)
}

/// The elements of an array; none if it is absent.
pub(crate) fn each<'a>(resource: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    resource
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// `resourceType`, or nothing.
pub(crate) fn resource_type(resource: &Value) -> &str {
    text(resource, "/resourceType").unwrap_or_default()
}

/// `id`, or nothing.
pub(crate) fn id(resource: &Value) -> &str {
    text(resource, "/id").unwrap_or_default()
}

/// `status`, or nothing.
pub(crate) fn status(resource: &Value) -> &str {
    text(resource, "/status").unwrap_or_default()
}

/// The literal reference to a resource.
pub(crate) fn reference(resource_type: &str, id: &str) -> Value {
    json!({ "reference": format!("{resource_type}/{id}") })
}

/// Whether `value`, a Reference, points at this resource of ours, with or without a version.
pub(crate) fn points_at(value: Option<&Value>, resource_type: &str, id: &str) -> bool {
    let literal = value
        .and_then(|value| text(value, "/reference"))
        .unwrap_or_default();
    let literal = literal.split("/_history/").next().unwrap_or_default();
    literal
        .strip_prefix(resource_type)
        .and_then(|rest| rest.strip_prefix('/'))
        == Some(id)
}

/// A Coding.
pub(crate) fn coding(system: &str, code: &str) -> Value {
    json!({ "system": system, "code": code })
}

/// A CodeableConcept of one Coding.
pub(crate) fn concept(system: &str, code: &str) -> Value {
    json!({ "coding": [coding(system, code)] })
}

/// The code that a CodeableConcept gives in `system`.
pub(crate) fn code_in<'a>(concept: Option<&'a Value>, system: &str) -> Option<&'a str> {
    each(concept?, "coding")
        .find(|coding| text(coding, "/system") == Some(system))
        .and_then(|coding| text(coding, "/code"))
}

/// `Task.code` in our system.
pub(crate) fn task_code(task: &Value) -> Option<&str> {
    code_in(task.get("code"), v::CARE_TASK)
}

/// `Task.businessStatus` in our system.
pub(crate) fn business_status(task: &Value) -> Option<&str> {
    code_in(task.get("businessStatus"), v::CARE_TASK_STATUS)
}

/// The Task can still move.
pub(crate) fn is_open(task: &Value) -> bool {
    !TERMINAL.contains(&status(task))
}

/// The Task is open and not on hold.
pub(crate) fn is_running(task: &Value) -> bool {
    is_open(task) && status(task) != "on-hold"
}

/// Sets one element; what is not an object stays as it is.
pub(crate) fn set(resource: &mut Value, name: &str, value: Value) {
    if let Some(object) = resource.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// Sets one element, or takes it away.
pub(crate) fn set_or_remove(resource: &mut Value, name: &str, value: Option<Value>) {
    match value {
        Some(value) => set(resource, name, value),
        None => remove(resource, name),
    }
}

/// Takes one element away.
pub(crate) fn remove(resource: &mut Value, name: &str) {
    if let Some(object) = resource.as_object_mut() {
        object.shift_remove(name);
    }
}

/// Appends to an array element, making it if absent.
pub(crate) fn push(resource: &mut Value, name: &str, value: Value) {
    let Some(object) = resource.as_object_mut() else {
        return;
    };
    match object.get_mut(name).and_then(Value::as_array_mut) {
        Some(array) => array.push(value),
        None => {
            object.insert(name.to_owned(), json!([value]));
        }
    }
}

/// An extension of the resource, or of another extension, by url.
pub(crate) fn extension<'a>(resource: &'a Value, url: &str) -> Option<&'a Value> {
    each(resource, "extension").find(|extension| text(extension, "/url") == Some(url))
}

/// Takes the extensions with this url away, and an array that is then empty.
pub(crate) fn remove_extension(resource: &mut Value, url: &str) {
    let Some(array) = resource.get_mut("extension").and_then(Value::as_array_mut) else {
        return;
    };
    array.retain(|extension| text(extension, "/url") != Some(url));
    if array.is_empty() {
        remove(resource, "extension");
    }
}

/// Puts an extension in the place of the one with the same url, or at the end.
pub(crate) fn set_extension(resource: &mut Value, new: Value) {
    let url = text(&new, "/url").map(str::to_owned);
    let existing = resource
        .get_mut("extension")
        .and_then(Value::as_array_mut)
        .and_then(|array| {
            array
                .iter_mut()
                .find(|old| text(old, "/url") == url.as_deref())
        });
    match existing {
        Some(old) => *old = new,
        None => push(resource, "extension", new),
    }
}

/// `Task.input` or `Task.output` of one of our parameter types.
pub(crate) fn parameter<'a>(task: &'a Value, element: &str, code: &str) -> Option<&'a Value> {
    each(task, element)
        .find(|entry| code_in(entry.get("type"), v::CARE_TASK_PARAMETER) == Some(code))
}

/// Sets a `Task.input` or `Task.output` of one of our parameter types; `value` is the pair of
/// element name (`valueDate`) and value.
pub(crate) fn set_parameter(task: &mut Value, element: &str, code: &str, value: (&str, Value)) {
    let mut entry = Map::new();
    entry.insert("type".to_owned(), concept(v::CARE_TASK_PARAMETER, code));
    entry.insert(value.0.to_owned(), value.1);
    let entry = Value::Object(entry);
    let existing = task
        .get_mut(element)
        .and_then(Value::as_array_mut)
        .and_then(|array| {
            array
                .iter_mut()
                .find(|old| code_in(old.get("type"), v::CARE_TASK_PARAMETER) == Some(code))
        });
    match existing {
        Some(old) => *old = entry,
        None => push(task, element, entry),
    }
}

/// The code of an output: `valueCoding` as we write it, `valueCode` or `valueCodeableConcept` as
/// others may.
pub(crate) fn output_code<'a>(task: &'a Value, code: &str) -> Option<&'a str> {
    let entry = parameter(task, "output", code)?;
    [
        "/valueCoding/code",
        "/valueCode",
        "/valueCodeableConcept/coding/0/code",
    ]
    .into_iter()
    .find_map(|pointer| text(entry, pointer))
}

/// The time of an output: `valueDate` or `valueDateTime`.
pub(crate) fn output_time<'a>(task: &'a Value, code: &str) -> Option<&'a str> {
    let entry = parameter(task, "output", code)?;
    ["/valueDate", "/valueDateTime", "/valueInstant"]
        .into_iter()
        .find_map(|pointer| text(entry, pointer))
}

/// `Task.restriction.period.end`: the due instant.
pub(crate) fn due_instant(task: &Value) -> Option<DateTime<Utc>> {
    match Moment::parse(text(task, "/restriction/period/end")?)? {
        Moment::Instant(instant) => Some(instant),
        Moment::Day(_) => None,
    }
}

/// The day from which the due date of a Task is counted.
pub(crate) fn anchor_date(task: &Value) -> Option<NaiveDate> {
    text(parameter(task, "input", "anchor-date")?, "/valueDate")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_points_at_a_type_and_an_id() {
        let literal = json!({ "reference": "Task/1/_history/3" });
        assert!(points_at(Some(&literal), "Task", "1"));
        assert!(!points_at(Some(&literal), "Task", "13"));
        assert!(!points_at(
            Some(&json!({ "reference": "TaskX/1" })),
            "Task",
            "1"
        ));
        assert!(!points_at(None, "Task", "1"));
    }

    #[test]
    fn an_extension_replaces_its_elder() {
        let mut resource = json!({});
        set_extension(&mut resource, json!({ "url": "a", "valueCode": "1" }));
        set_extension(&mut resource, json!({ "url": "b", "valueCode": "2" }));
        set_extension(&mut resource, json!({ "url": "a", "valueCode": "3" }));
        assert_eq!(
            resource,
            json!({ "extension": [
                { "url": "a", "valueCode": "3" }, { "url": "b", "valueCode": "2" }
            ] })
        );
        remove_extension(&mut resource, "a");
        remove_extension(&mut resource, "b");
        assert_eq!(resource, json!({}));
    }
}
