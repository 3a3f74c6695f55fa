//! Whether a Bundle of requests has the shape of one.
//!
//! <https://hl7.org/fhir/R4/bundle.html>. Resources are validated as they are written; what stands
//! around them is read here. A condition that is misspelt or no text would not be one: more would be
//! done than was asked for.

use fhir_model::definition::{Definitions, TypeId};
use fhir_model::element::Element;
use fhir_model::issue::{Issue, IssueType};
use fhir_model::tree::{Kind, Node};

use crate::error::Error;

/// Elements of an entry's request, all of them texts.
const REQUEST: &[&str] = &[
    "method",
    "url",
    "ifNoneMatch",
    "ifModifiedSince",
    "ifMatch",
    "ifNoneExist",
];

/// Refuses a Bundle with elements that a Bundle does not have, or entries that are no list.
pub(super) fn of_bundle(definitions: &Definitions, bundle: Node<'_>) -> Result<(), Error> {
    let mut issues = Vec::new();
    unknown(
        definitions,
        bundle,
        type_at(definitions, &[]),
        "Bundle",
        &mut issues,
    );
    kind(bundle, "type", Kind::String, "Bundle", &mut issues);
    kind(bundle, "entry", Kind::Array, "Bundle", &mut issues);
    settled(issues)
}

/// The same of an entry, but for its resource.
pub(super) fn of_entry(
    definitions: &Definitions,
    index: usize,
    entry: Node<'_>,
) -> Result<(), Error> {
    let mut issues = Vec::new();
    let place = format!("Bundle.entry[{index}]");
    if entry.kind() != Kind::Object {
        let text = "an entry is an object";
        return settled(vec![Issue::error(IssueType::Structure, text).at(place)]);
    }
    let type_id = type_at(definitions, &["entry"]);
    unknown(definitions, entry, type_id, &place, &mut issues);
    kind(entry, "fullUrl", Kind::String, &place, &mut issues);
    kind(entry, "resource", Kind::Object, &place, &mut issues);
    kind(entry, "request", Kind::Object, &place, &mut issues);
    if let Some(request) = entry.get_str("request") {
        let place = format!("{place}.request");
        let type_id = type_at(definitions, &["entry", "request"]);
        unknown(definitions, request, type_id, &place, &mut issues);
        for name in REQUEST {
            kind(request, name, Kind::String, &place, &mut issues);
        }
    }
    settled(issues)
}

fn settled(issues: Vec<Issue>) -> Result<(), Error> {
    if issues.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(issues))
}

/// The type at a path below Bundle.
fn type_at(definitions: &Definitions, path: &[&str]) -> Option<TypeId> {
    let bundle = definitions.resource_type("Bundle")?;
    path.iter().try_fold(bundle, |type_id, name| {
        let name = definitions.names().get(name)?;
        definitions
            .property(type_id, name)
            .map(|property| property.type_id)
    })
}

/// Notes elements that the type does not have.
fn unknown(
    definitions: &Definitions,
    node: Node<'_>,
    type_id: Option<TypeId>,
    place: &str,
    issues: &mut Vec<Issue>,
) {
    let Some(type_id) = type_id.filter(|_| node.kind() == Kind::Object) else {
        return;
    };
    for child in node.children() {
        let key = child.key();
        let is_known = key == "resourceType"
            || key.starts_with('_')
            || definitions
                .property(type_id, Element::of(child).name())
                .is_some();
        if !is_known {
            let text = format!("there is no element '{key}'");
            issues.push(Issue::error(IssueType::Structure, text).at(place));
        }
    }
}

/// Notes an element that is there and is not of this kind.
fn kind(node: Node<'_>, name: &str, kind: Kind, place: &str, issues: &mut Vec<Issue>) {
    let is_wrong = node.get_str(name).is_some_and(|it| it.kind() != kind);
    if is_wrong {
        let kind = match kind {
            Kind::Array => "an array",
            Kind::Object => "an object",
            _ => "a string",
        };
        let text = format!("{name} is {kind}");
        issues.push(Issue::error(IssueType::Structure, text).at(format!("{place}.{name}")));
    }
}
