//! JSON Merge Patch (RFC 7396): the elements that are to be different; `null` takes one away.
//!
//! R4 does not name it. Clients that replace whole elements send it (fhirpy, and those of Aidbox).

use fhir_model::tree::{Kind, Node, Tree, push_json_string};

/// A JSON Merge Patch document.
#[derive(Debug)]
pub struct MergePatch(Tree);

impl MergePatch {
    pub(super) const fn new(document: Tree) -> Self {
        Self(document)
    }

    /// What becomes of a resource, as text.
    pub(super) fn apply(&self, resource: &Tree) -> String {
        let mut out = String::with_capacity(resource.source().len());
        merge(Some(resource.root()), self.0.root(), &mut out);
        out
    }
}

/// RFC 7396, section 2: `MergePatch(Target, Patch)`. Both were parsed within a limit of depth.
fn merge(target: Option<Node<'_>>, patch: Node<'_>, out: &mut String) {
    if patch.kind() != Kind::Object {
        patch.write(out);
        return;
    }
    let target = target.filter(|target| target.kind() == Kind::Object);
    let kept = target.into_iter().flat_map(Node::children);
    let added = patch
        .children()
        .filter(|change| target.is_none_or(|target| target.get_str(&change.key()).is_none()));
    out.push('{');
    let mut is_first = true;
    let mut member = |out: &mut String, name: &str| {
        if !std::mem::take(&mut is_first) {
            out.push(',');
        }
        push_json_string(out, name);
        out.push(':');
    };
    for node in kept {
        let name = node.key();
        match patch.get_str(&name) {
            None => {
                member(out, &name);
                node.write(out);
            }
            Some(change) if change.kind() == Kind::Null => {}
            Some(change) => {
                member(out, &name);
                merge(Some(node), change, out);
            }
        }
    }
    for change in added.filter(|change| change.kind() != Kind::Null) {
        member(out, &change.key());
        merge(None, change, out);
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use fhir_model::name::Names;
    use fhir_model::tree::Limits;

    use super::*;

    #[track_caller]
    fn check(resource: &str, patch: &str, expected: &str) {
        let limits = Limits::default();
        let parse = |text: &str| Tree::parse(text, &Names::default(), &limits).unwrap();
        let patch = MergePatch::new(parse(patch));
        assert_eq!(patch.apply(&parse(resource)), expected);
    }

    #[test]
    fn the_cases_of_the_rfc_hold() {
        // RFC 7396, appendix A, those of objects.
        check(r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
        check(r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#);
        check(r#"{"a":"b"}"#, r#"{"a":null}"#, "{}");
        check(r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#);
        check(r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
        check(r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#);
        check(
            r#"{"a":{"b":"c"}}"#,
            r#"{"a":{"b":"d","c":null}}"#,
            r#"{"a":{"b":"d"}}"#,
        );
        check(r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#);
        check(r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#);
        check("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#);
    }

    #[test]
    fn digits_are_kept() {
        check(
            r#"{"a":1.50,"b":1}"#,
            r#"{"b":2.10}"#,
            r#"{"a":1.50,"b":2.10}"#,
        );
    }
}
