//! Contained resources have a connection to the resource around them: the invariant dom-3.
//! <https://hl7.org/fhir/R4/references.html#contained>
//!
//! Its expression walks all descendants several times over, and knows nothing of narratives, which
//! may show a contained image (<https://hl7.org/fhir/R4/narrative.html#id>). So it is checked here:
//! once through the resource, noting everything that begins with `#`.

use std::borrow::Cow;
use std::collections::HashSet;

use fhir_model::issue::IssueType;
use fhir_model::tree::{Kind, Node};

use crate::finding::quote;
use crate::walk::Walk;

/// The names of what follows `#`, here and there in a resource.
type Fragments<'a> = HashSet<Cow<'a, str>>;

impl<'a> Walk<'a> {
    /// Each contained resource is referred to, or refers to the resource around it.
    pub(crate) fn connected(&mut self, resource: Node<'a>) {
        let Some(contained) = resource.get(self.rules.known.names.contained) else {
            return;
        };
        let fragments = fragments(resource);
        for inner in contained.items().filter(|item| item.kind() == Kind::Object) {
            let id = inner
                .get(self.rules.known.names.id)
                .and_then(Node::as_str)
                .unwrap_or_default();
            let is_named = !id.is_empty() && fragments.contains(id.as_ref());
            if is_named || refers_to_container(inner) {
                continue;
            }
            let text = format!(
                "The contained resource {} is not referred to from elsewhere in the resource, and \
                 does not refer to it by #; a contained resource has no life of its own",
                quote(&id)
            );
            self.findings
                .error(inner, IssueType::Invariant, "dom-3", text);
        }
    }
}

fn refers_to_container(contained: Node<'_>) -> bool {
    contained
        .descendants()
        .any(|node| node.kind() == Kind::String && node.raw_text() == "#")
}

fn fragments(resource: Node<'_>) -> Fragments<'_> {
    let mut found = HashSet::new();
    for node in resource
        .descendants()
        .filter(|node| node.kind() == Kind::String)
    {
        if node.has_key("div") {
            let div = node.as_str().unwrap_or_default();
            found.extend(in_narrative(&div).map(Cow::Owned));
        } else if node.raw_text().starts_with('#') {
            found.extend(node.as_str().map(without_hash));
        }
    }
    found
}

fn without_hash(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_start_matches('#')),
        Cow::Owned(text) => Cow::Owned(text.trim_start_matches('#').to_owned()),
    }
}

/// What the attributes of a narrative refer to.
fn in_narrative(div: &str) -> impl Iterator<Item = String> + '_ {
    let attributes = ["\"#", "'#"]
        .into_iter()
        .flat_map(|opening| div.split(opening).skip(1));
    attributes.filter_map(|rest| rest.split(['"', '\'']).next().map(str::to_owned))
}
