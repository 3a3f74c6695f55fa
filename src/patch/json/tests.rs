//! RFC 6902: what each operation does, and where it is refused.

use super::*;

fn apply(document: &str, patch: &str) -> Result<String, PatchError> {
    let limits = Limits::default();
    let document = Tree::parse(document, &Names::default(), &limits).unwrap();
    JsonPatch::parse(patch.as_bytes(), &limits)?.apply(&document)
}

#[track_caller]
fn check(document: &str, patch: &str, expected: &str) {
    assert_eq!(apply(document, patch).as_deref(), Ok(expected), "{patch}");
}

/// `malformed` or `conflict`, and part of the text.
#[track_caller]
fn check_refused(document: &str, patch: &str, expected: (&str, &str)) {
    let found = match apply(document, patch) {
        Err(PatchError::Malformed(text)) => ("malformed", text),
        Err(PatchError::Conflict(text)) => ("conflict", text),
        other => panic!("{patch}: {other:?}"),
    };
    assert_eq!(found.0, expected.0, "{patch}: {}", found.1);
    assert!(found.1.contains(expected.1), "{patch}: {}", found.1);
}

#[test]
fn what_is_not_touched_keeps_its_letters() {
    check(
        r#"{"a":1.2E+2, "b":[1.00,"\u00e4"],"c":{}}"#,
        r#"[{"op":"add","path":"/c/d","value":-0.0}]"#,
        r#"{"a":1.2E+2,"b":[1.00,"\u00e4"],"c":{"d":-0.0}}"#,
    );
}

#[test]
fn each_operation_does_what_it_says() {
    let document = r#"{"a":{"b":1},"l":[1,2,3],"t":"x"}"#;
    for (patch, expected) in [
        (
            r#"[{"op":"add","path":"/l/-","value":4}]"#,
            r#"{"a":{"b":1},"l":[1,2,3,4],"t":"x"}"#,
        ),
        (
            r#"[{"op":"add","path":"/l/0","value":0}]"#,
            r#"{"a":{"b":1},"l":[0,1,2,3],"t":"x"}"#,
        ),
        (
            r#"[{"op":"add","path":"/t","value":"y"}]"#,
            r#"{"a":{"b":1},"l":[1,2,3],"t":"y"}"#,
        ),
        (
            r#"[{"op":"remove","path":"/l/1"},{"op":"remove","path":"/a"}]"#,
            r#"{"l":[1,3],"t":"x"}"#,
        ),
        (
            r#"[{"op":"replace","path":"/a/b","value":null}]"#,
            r#"{"a":{"b":null},"l":[1,2,3],"t":"x"}"#,
        ),
        (
            r#"[{"op":"move","from":"/a/b","path":"/l/3"}]"#,
            r#"{"a":{},"l":[1,2,3,1],"t":"x"}"#,
        ),
        (
            r#"[{"op":"copy","from":"/l","path":"/a/l"}]"#,
            r#"{"a":{"b":1,"l":[1,2,3]},"l":[1,2,3],"t":"x"}"#,
        ),
        (
            r#"[{"op":"test","path":"/l","value":[1.0,2,30e-1]},{"op":"remove","path":"/l"}]"#,
            r#"{"a":{"b":1},"t":"x"}"#,
        ),
        (r#"[{"op":"add","path":"","value":{"n":1}}]"#, r#"{"n":1}"#),
        ("[]", document),
    ] {
        check(document, patch, expected);
    }
}

#[test]
fn pointers_have_two_escapes() {
    check(
        r#"{"a/b":1,"m~n":2,"":3}"#,
        r#"[{"op":"remove","path":"/a~1b"},{"op":"remove","path":"/m~0n"},{"op":"test","path":"/","value":3}]"#,
        r#"{"":3}"#,
    );
    check(
        r#"{"~1":1}"#,
        r#"[{"op":"test","path":"/~01","value":1}]"#,
        r#"{"~1":1}"#,
    );
}

#[test]
fn objects_are_the_same_in_any_order() {
    check(
        r#"{"o":{"a":"\u0041","b":[true,null]}}"#,
        r#"[{"op":"test","path":"/o","value":{"b":[true,null],"a":"A"}}]"#,
        r#"{"o":{"a":"\u0041","b":[true,null]}}"#,
    );
    for value in [
        r#"{"a":"A"}"#,
        r#"{"a":"A","b":[null,true]}"#,
        r#""A""#,
        "1",
    ] {
        check_refused(
            r#"{"o":{"a":"A","b":[true,null]}}"#,
            &format!(r#"[{{"op":"test","path":"/o","value":{value}}}]"#),
            ("conflict", "operation 1 (test)"),
        );
    }
}

#[test]
fn what_cannot_be_done_names_the_operation_and_the_place() {
    let document = r#"{"a":[1],"s":"x"}"#;
    for (patch, expected) in [
        (r#"{"op":"add"}"#, ("malformed", "array of operations")),
        (r#"[],"x":[]"#, ("malformed", "array of operations")),
        ("[", ("malformed", "no JSON")),
        ("[1]", ("malformed", "\"op\" is missing")),
        (r#"[{"op":"put","path":"/a"}]"#, ("malformed", "one of add")),
        (
            r#"[{"op":"add","path":"/a/0"}]"#,
            ("malformed", "\"value\" is missing"),
        ),
        (
            r#"[{"op":"move","path":"/a/0"}]"#,
            ("malformed", "\"from\" is missing"),
        ),
        (r#"[{"op":"remove"}]"#, ("malformed", "\"path\" is missing")),
        (
            r#"[{"op":"remove","path":"a"}]"#,
            ("malformed", "begins with /"),
        ),
        (
            r#"[{"op":"remove","path":"/a~2"}]"#,
            ("malformed", "not ~0 or ~1"),
        ),
        (
            r#"[{"op":"remove","path":""}]"#,
            ("malformed", "whole resource"),
        ),
        (
            r#"[{"op":"move","from":"/a","path":"/a/0"}]"#,
            ("malformed", "into itself"),
        ),
        (
            r#"[{"op":"test","path":"/s","value":"x"},{"op":"remove","path":"/b"}]"#,
            (
                "conflict",
                "operation 2 (remove): there is nothing at \"/b\"",
            ),
        ),
        (
            r#"[{"op":"replace","path":"/b","value":1}]"#,
            ("conflict", "/b"),
        ),
        (
            r#"[{"op":"add","path":"/b/c","value":1}]"#,
            ("conflict", "/b/c"),
        ),
        (
            r#"[{"op":"add","path":"/s/c","value":1}]"#,
            ("conflict", "/s/c"),
        ),
        (
            r#"[{"op":"add","path":"/a/2","value":1}]"#,
            ("conflict", "/a/2"),
        ),
        (
            r#"[{"op":"add","path":"/a/01","value":1}]"#,
            ("conflict", "no place"),
        ),
        (r#"[{"op":"remove","path":"/a/-"}]"#, ("conflict", "/a/-")),
        (
            r#"[{"op":"copy","from":"/b","path":"/c"}]"#,
            ("conflict", "/b"),
        ),
    ] {
        check_refused(document, patch, expected);
    }
}

#[test]
fn a_patch_that_grows_without_bounds_is_refused() {
    let copies = vec![r#"{"op":"copy","from":"","path":"/a"}"#; 64].join(",");
    let refused = apply(r#"{"x":1}"#, &format!("[{copies}]")).unwrap_err();
    assert!(matches!(refused, PatchError::Malformed(_)), "{refused}");
    let many = vec![r#"{"op":"test","path":"/x","value":1}"#; OPERATIONS_MAX + 1].join(",");
    let refused = apply(r#"{"x":1}"#, &format!("[{many}]")).unwrap_err();
    assert!(refused.to_string().contains("at most 1000"), "{refused}");
    let path = "/a".repeat(TOKENS_MAX + 1);
    check_refused(
        r#"{"x":1}"#,
        &format!(r#"[{{"op":"remove","path":"{path}"}}]"#),
        ("malformed", "at most 64"),
    );
}

#[test]
fn what_a_resource_loses_leaves_nothing_empty() {
    let limits = Limits::default();
    let resource = r#"{"resourceType":"Patient","name":[{"given":["A"],"_given":[{"id":"x"}]}],"active":true}"#;
    let resource = Tree::parse(resource, &Names::default(), &limits).unwrap();
    let patch = r#"[{"op":"remove","path":"/name/0/given/0"},{"op":"remove","path":"/name/0/_given/0/id"}]"#;
    let patch = JsonPatch::parse(patch.as_bytes(), &limits).unwrap();
    assert_eq!(
        patch.apply_to_resource(&resource).as_deref(),
        Ok(r#"{"resourceType":"Patient","active":true}"#)
    );
}
