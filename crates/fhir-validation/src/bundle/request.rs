//! What an entry of a transaction or batch asks for, and the resource that it has for it:
//! <https://hl7.org/fhir/R4/http.html#transaction-bundles>.

use fhir_model::issue::IssueType;
use fhir_model::tree::Node;

use crate::bundle::text;
use crate::finding::quote;
use crate::walk::Walk;

/// Methods that write what the entry has.
const WITH_RESOURCE: &[&str] = &["POST", "PUT"];

impl<'a> Walk<'a> {
    /// The entries of a transaction or batch.
    pub(super) fn requests(&mut self, entries: &[Node<'a>]) {
        for entry in entries {
            if let Some(request) = entry.get_str("request") {
                self.request(*entry, request);
            }
        }
    }

    fn request(&mut self, entry: Node<'a>, request: Node<'a>) {
        let method = text(request, "method").unwrap_or_default();
        if !WITH_RESOURCE.contains(&&*method) {
            return;
        }
        let url = text(request, "url").unwrap_or_default();
        let path = url.split('?').next().unwrap_or_default();
        let (type_name, id) = path
            .split_once('/')
            .map_or((path, None), |(type_name, id)| (type_name, Some(id)));
        // `$` starts an operation, which takes what it likes; what has no type is another Bundle.
        if self.definitions.resource_type(type_name).is_none() || path.contains('$') {
            return;
        }
        let Some(resource) = entry.get_str("resource") else {
            let text = format!("An entry that asks for {method} has a resource");
            return self
                .findings
                .error(entry, IssueType::Required, "Bundle.entry.resource", text);
        };
        let own_type = text(resource, "resourceType").unwrap_or_default();
        let own_id = text(resource, "id");
        let is_search = method == "POST" && id == Some("_search");
        let what = if is_search {
            return;
        } else if own_type != type_name {
            format!("type, {own_type}")
        } else if let (Some(id), Some(own_id)) = (id, &own_id)
            && method == "PUT"
            && id != own_id
        {
            format!("id, {}", quote(own_id))
        } else {
            return;
        };
        let text = format!(
            "{method} {} does not fit the resource of another {what}",
            quote(&url)
        );
        let node = request.get_str("url").unwrap_or(request);
        self.findings
            .error(node, IssueType::Value, "Bundle.entry.request.url", text);
    }
}
