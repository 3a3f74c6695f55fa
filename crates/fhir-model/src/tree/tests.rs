//! Tests of reading, walking, editing and writing trees.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::key::VersionId;
use crate::name::Names;
use crate::tree::{
    EditError, Kind, Limits, ParseError, ParseErrorKind, Stamp, TagStamp, Tree, text,
};

fn names() -> Names {
    Names::new([
        "resourceType",
        "id",
        "meta",
        "name",
        "given",
        "birthDate",
        "extension",
    ])
}

#[track_caller]
fn parse(source: &str) -> Tree {
    Tree::parse(source, &names(), &Limits::default()).unwrap()
}

fn parse_error(source: &[u8]) -> ParseError {
    Tree::parse(source, &names(), &Limits::default()).unwrap_err()
}

#[track_caller]
fn check_error(source: &str, expected: ParseErrorKind, offset: usize) {
    let error = parse_error(source.as_bytes());
    assert_eq!((error.kind, error.offset), (expected, offset), "{source}");
}

#[track_caller]
fn check_compact(source: &str, expected: &str) {
    assert_eq!(parse(source).to_json(), expected);
}

#[test]
fn white_space_goes_and_everything_else_stays() {
    check_compact("{}", "{}");
    check_compact("\u{feff} { } \r\n\t", "{}");
    check_compact(r#"{"a":[],"b":{}}"#, r#"{"a":[],"b":{}}"#);
    check_compact(
        " { \"a\" : [ 1.00 , -0 , 1.2E+2 , [ ] , { } , [ [ null ] ] ] , \"b\" : { \"c\" : true } } ",
        r#"{"a":[1.00,-0,1.2E+2,[],{},[[null]]],"b":{"c":true}}"#,
    );
    check_compact(
        r#"{ "\u0061\"": "\u00e4\/\n ä 😀 \ud83d\ude00 \\" }"#,
        r#"{"\u0061\"":"\u00e4\/\n ä 😀 \ud83d\ude00 \\"}"#,
    );
    check_compact(" {\"\":\"\"} ", r#"{"":""}"#);
}

#[test]
fn what_is_not_json_is_refused_where_it_is_not() {
    use ParseErrorKind as Kind;
    check_error("", Kind::Empty, 0);
    check_error("\u{feff} ", Kind::Empty, 4);
    check_error("[]", Kind::NotAnObject, 0);
    check_error("\"a\"", Kind::NotAnObject, 0);
    check_error("{", Kind::UnexpectedEnd, 1);
    check_error(r#"{"a"#, Kind::UnexpectedEnd, 3);
    check_error(r#"{"a""#, Kind::UnexpectedEnd, 4);
    check_error(r#"{"a":"#, Kind::UnexpectedEnd, 5);
    check_error(r#"{"a":1"#, Kind::UnexpectedEnd, 6);
    check_error(r#"{"a":1,"#, Kind::UnexpectedEnd, 7);
    check_error(r#"{"a":1,}"#, Kind::KeyExpected, 7);
    check_error(r#"{,"a":1}"#, Kind::KeyExpected, 1);
    check_error(r"{'a':1}", Kind::KeyExpected, 1);
    check_error(r"{a:1}", Kind::KeyExpected, 1);
    check_error(r#"{"a" 1}"#, Kind::ColonExpected, 5);
    check_error(r#"{"a":}"#, Kind::ValueExpected, 5);
    check_error(r#"{"a":[1,]}"#, Kind::ValueExpected, 8);
    check_error(r#"{"a":[,1]}"#, Kind::ValueExpected, 6);
    check_error(r#"{"a":nul}"#, Kind::ValueExpected, 5);
    check_error(r#"{"a":NaN}"#, Kind::ValueExpected, 5);
    check_error(r#"{"a":True}"#, Kind::ValueExpected, 5);
    check_error(r#"{"a":truee}"#, Kind::CommaExpected { close: '}' }, 9);
    check_error(r#"{"a":1 "b":2}"#, Kind::CommaExpected { close: '}' }, 7);
    check_error(r#"{"a":[1 2]}"#, Kind::CommaExpected { close: ']' }, 8);
    check_error(r#"{"a":[1}"#, Kind::CommaExpected { close: ']' }, 7);
    check_error(r#"{"a":1]"#, Kind::CommaExpected { close: '}' }, 6);
    check_error(r#"{"a":1}}"#, Kind::TrailingData, 7);
    check_error("{} /* */", Kind::TrailingData, 3);
    check_error("{}\u{a0}", Kind::TrailingData, 2);
}

#[test]
fn numbers_are_those_of_json() {
    for number in [
        "0",
        "-0",
        "10",
        "1.0",
        "-1.50e10",
        "1E-2",
        "0.0e+0",
        "123456789012345678901234567890",
    ] {
        let tree = parse(&format!(r#"{{"a":{number}}}"#));
        assert_eq!(tree.root().get_str("a").unwrap().as_number(), Some(number));
    }
    for wrong in [
        "-", "01", "-01", "+1", ".5", "1.", "1.e1", "1e", "1e+", "0x1", "1_0", "1.2.3", "--1", "-a",
    ] {
        check_error(
            &format!(r#"{{"a":{wrong}}}"#),
            ParseErrorKind::InvalidNumber,
            5,
        );
    }
}

#[test]
fn strings_are_those_of_json() {
    use ParseErrorKind as Kind;
    check_error(r#"{"a":"\x"}"#, Kind::InvalidEscape, 6);
    check_error(r#"{"a":"\u12g4"}"#, Kind::InvalidEscape, 6);
    check_error(r#"{"a":"\u+123"}"#, Kind::InvalidEscape, 6);
    check_error(r#"{"a":"\ud83d"}"#, Kind::LoneSurrogate, 6);
    check_error(r#"{"a":"\ud83d\n"}"#, Kind::LoneSurrogate, 6);
    check_error(r#"{"a":"\ud83d\u0041"}"#, Kind::LoneSurrogate, 6);
    check_error(r#"{"a":"x\ude00"}"#, Kind::LoneSurrogate, 7);
    check_error(
        "{\"a\":\"12345678\n\"}",
        Kind::ControlCharacter { code: 10 },
        14,
    );
    check_error("{\"a\":\"\0\"}", Kind::ControlCharacter { code: 0 }, 6);
    check_error("{\"a\tb\":1}", Kind::ControlCharacter { code: 9 }, 3);
    check_error(r#"{"a":"\"#, Kind::UnexpectedEnd, 6);
    let tree = parse(r#"{"a":"\b\f\n\r\t\"\\\/ \u00E4 \uD83D\uDE00 \u0000é\uffff"}"#);
    assert_eq!(
        tree.root().get_str("a").unwrap().as_str().unwrap(),
        "\u{8}\u{c}\n\r\t\"\\/ ä 😀 \0é\u{ffff}"
    );
}

#[test]
fn bytes_that_are_not_utf8_are_refused_where_they_stand() {
    let error = parse_error(b"{\"a\":\"\n\xff\"}");
    assert_eq!(error.kind, ParseErrorKind::NotUtf8);
    assert_eq!((error.offset, error.line, error.column), (7, 2, 1));
}

#[test]
fn a_key_given_twice_is_refused_however_it_is_spelled() {
    let twice = |key: &str| ParseErrorKind::DuplicateKey {
        key: key.to_owned(),
    };
    check_error(r#"{"id":1,"id":2}"#, twice("id"), 8);
    check_error(r#"{"x":1,"y":2,"x":3}"#, twice("x"), 13);
    check_error(r#"{"id":1,"\u0069d":2}"#, twice("id"), 8);
    check_error(r#"{"_id":1,"\u005fid":2}"#, twice("_id"), 9);
    check_error(r#"{"":1,"":2}"#, twice(""), 6);
    check_compact(
        r#"{"id":{"id":1},"_id":{"id":2}}"#,
        r#"{"id":{"id":1},"_id":{"id":2}}"#,
    );
}

#[test]
fn a_key_given_twice_is_found_among_many() {
    let many: Vec<String> = (0..5_000)
        .map(|number| format!("\"key{number}\":1"))
        .collect();
    let many = many.join(",");
    assert_eq!(parse(&format!("{{{many}}}")).node_count(), 5_001);
    let error = parse_error(format!("{{{many},\"key4321\":2}}").as_bytes());
    assert_eq!(
        error.kind.to_string(),
        "the property \"key4321\" is given twice in one object"
    );
    assert_eq!(
        (error.offset, error.path.as_str()),
        (many.len() + 2, "key4321")
    );
}

#[test]
fn limits_are_kept_and_named() {
    let check = |source: &str, limits: Limits, expected: &str| {
        let error = Tree::parse(source, &names(), &limits).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let limits = Limits::default();
    check(
        r#"{"id":[[1]]}"#,
        Limits {
            depth_max: 2,
            ..limits
        },
        "objects and arrays nest deeper than 2 levels (line 1, column 8, at id[0])",
    );
    check(
        r#"{"id":1}"#,
        Limits {
            bytes_max: 7,
            ..limits
        },
        "the text is longer than 7 bytes (line 1, column 1)",
    );
    check(
        r#"{"id":[1,2]}"#,
        Limits {
            nodes_max: 3,
            ..limits
        },
        "there are more than 3 JSON values (line 1, column 10, at id[1])",
    );
    for (limits, accepted) in [(limits, false), (Limits::CEILING, false)] {
        let deep = format!("{{\"a\":{}", "[".repeat(1_000_000));
        assert_eq!(Tree::parse(deep, &names(), &limits).is_ok(), accepted);
    }
    let depth = Limits::DEPTH_CEILING as usize - 1;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let tree = Tree::parse(deep.as_str(), &names(), &Limits::CEILING).unwrap();
    assert_eq!(tree.to_json(), deep);
    assert!(tree.to_value(tree.root().id()).is_object());
}

#[test]
fn an_error_says_line_column_and_path() {
    let source =
        "{\n  \"resourceType\": \"Patient\",\n  \"name\": [{}, {\"given\": [\"é\", 01]}]\n}";
    assert_eq!(
        parse_error(source.as_bytes()).to_string(),
        "this is not a JSON number (line 3, column 32, at Patient.name[1].given[1])"
    );
    let source = "{\"resourceType\":\"Patient\",\"_birthDate\":{\"id\":+1}}";
    assert_eq!(parse_error(source.as_bytes()).path, "Patient.birthDate.id");
    assert_eq!(parse_error(b"{\"name\":[{}] \"x\"}").path, "");
}

#[test]
fn nodes_know_their_property() {
    let names = names();
    let tree = parse(r#"{"name":[{"given":["A","B"]}],"_birthDate":{"id":"x"},"\u005fnew":[1]}"#);
    let name = tree.root().get(names.get("name").unwrap()).unwrap();
    assert_eq!((name.kind(), name.is_member()), (Kind::Array, true));
    let item = name.items().next().unwrap();
    assert_eq!(item.name(), name.name());
    assert!(!item.is_member());
    assert_eq!(item.key(), "name");
    let given = item.get_str("given").unwrap();
    assert_eq!(given.items().count(), 2);
    assert_eq!(given.items().nth(1).unwrap().location(), "name[0].given[1]");
    let shadow = tree.root().get_str("_birthDate").unwrap();
    assert!(shadow.is_shadow());
    assert_eq!(Some(shadow.name()), names.get("birthDate"));
    assert_eq!(shadow.name_text(), "birthDate");
    assert_eq!(tree.root().get(shadow.name()), None);
    let new = tree.root().get_str("_new").unwrap();
    assert!(new.is_shadow() && !new.name().is_known());
    assert_eq!(
        (new.key().as_ref(), new.name_text().as_ref()),
        ("_new", "new")
    );
    assert_eq!(tree.root().get(new.name()), None);
    assert_eq!(tree.root().descendants().count(), tree.node_count() - 1);
}

#[test]
fn nodes_know_their_place() {
    let mut tree = parse("{\n \"resourceType\":\"Patient\",\n \"é\": \"x\" }");
    let node = tree.root().get_str("é").unwrap();
    let place = node.line_column().unwrap();
    assert_eq!((place.line, place.column), (3, 7));
    let id = node.id();
    tree.set_string(id, "").unwrap();
    assert_eq!(tree.node(id).unwrap().line_column(), None);
    assert_eq!(tree.location(id), "Patient.é");
}

#[test]
fn an_edited_string_is_written_escaped() {
    let mut tree = parse(r#"{"id":"a","name":[1,"\n"]}"#);
    let id = tree.root().get_str("id").unwrap().id();
    let items: Vec<_> = tree
        .root()
        .get_str("name")
        .unwrap()
        .items()
        .map(super::Node::id)
        .collect();
    tree.set_string(id, "b\"\\\u{1}ä").unwrap();
    for item in &items {
        tree.set_string(*item, "plain").unwrap();
    }
    assert_eq!(
        tree.to_json(),
        "{\"id\":\"b\\\"\\\\\\u0001ä\",\"name\":[\"plain\",\"plain\"]}"
    );
    assert_eq!(tree.node(id).unwrap().as_str().unwrap(), "b\"\\\u{1}ä");
    assert_eq!(tree.source(), r#"{"id":"a","name":[1,"\n"]}"#);
    let root = tree.root().id();
    assert_eq!(tree.set_string(root, "x"), Err(EditError::NotScalar));
}

#[track_caller]
fn check_stamp(source: &str, stamp: Stamp<'_>, expected: &str) {
    let tree = parse(source);
    let mut out = String::new();
    tree.write_stamped(tree.root().id(), stamp, &mut out);
    assert_eq!(out, expected);
}

#[test]
fn a_stamp_replaces_or_inserts_and_leaves_the_rest() {
    let stamp = Stamp {
        resource_type: None,
        id: Some("7"),
        version_id: VersionId::new(2),
        last_updated: Some("2026-03-02T10:00:00Z"),
        tag: None,
    };
    check_stamp(
        r#"{ "resourceType": "Patient", "active": true }"#,
        stamp,
        r#"{"resourceType":"Patient","id":"7","meta":{"versionId":"2","lastUpdated":"2026-03-02T10:00:00Z"},"active":true}"#,
    );
    check_stamp(
        r#"{"active":true,"id":"old","x":1.00,"resourceType":"Patient"}"#,
        stamp,
        r#"{"resourceType":"Patient","active":true,"id":"7","meta":{"versionId":"2","lastUpdated":"2026-03-02T10:00:00Z"},"x":1.00}"#,
    );
    check_stamp(
        r#"{"resourceType":"Patient","meta":{"profile":["p"],"lastUpdated":"then","tag":[]},"_id":{"id":"q"}}"#,
        stamp,
        r#"{"resourceType":"Patient","id":"7","meta":{"versionId":"2","profile":["p"],"lastUpdated":"2026-03-02T10:00:00Z","tag":[]},"_id":{"id":"q"}}"#,
    );
    check_stamp(
        r#"{"resourceType":"Patient","meta":[1]}"#,
        Stamp {
            version_id: VersionId::new(1),
            ..Stamp::default()
        },
        r#"{"resourceType":"Patient","meta":{"versionId":"1"}}"#,
    );
    let as_sent = r#"{"resourceType":"Patient","a":[1.0],"meta":{"versionId":"9"},"id":"x"}"#;
    check_stamp(as_sent, Stamp::default(), as_sent);
    check_stamp(
        "{}",
        Stamp {
            resource_type: Some("Basic"),
            ..Stamp::default()
        },
        r#"{"resourceType":"Basic"}"#,
    );
}

#[test]
fn a_tag_of_the_server_comes_and_goes_and_others_stay() {
    let tag = |code| Stamp {
        tag: Some(TagStamp {
            system: "urn:ours",
            code,
        }),
        ..Stamp::default()
    };
    let (plain, tagged) = (
        r#"{"resourceType":"Patient","active":true}"#,
        r#"{"resourceType":"Patient","active":true,"meta":{"tag":[{"system":"urn:ours","code":"a"}]}}"#,
    );
    check_stamp(
        r#"{"resourceType":"Patient","id":"1","active":true}"#,
        tag(Some("a")),
        r#"{"resourceType":"Patient","id":"1","meta":{"tag":[{"system":"urn:ours","code":"a"}]},"active":true}"#,
    );
    check_stamp(plain, Stamp::default(), plain);
    check_stamp(tagged, tag(Some("a")), tagged);
    check_stamp(
        r#"{"resourceType":"Patient","meta":{"tag":[{"system":"urn:ours","code":"b"},{"system":"urn:x","code":"b"}],"source":"s"}}"#,
        tag(Some("a")),
        r#"{"resourceType":"Patient","meta":{"source":"s","tag":[{"system":"urn:x","code":"b"},{"system":"urn:ours","code":"a"}]}}"#,
    );
    check_stamp(
        r#"{"resourceType":"Patient","meta":{"source":"s","tag":[{"system":"urn:ours","code":"b"}]}}"#,
        tag(None),
        r#"{"resourceType":"Patient","meta":{"source":"s"}}"#,
    );
}

#[test]
fn pretty_json_has_a_line_per_value() {
    let tree = parse(r#"{"a":[],"b":{},"c":[1,{"d":"e"}]}"#);
    let mut out = String::new();
    tree.write_pretty(tree.root().id(), &mut out);
    let expected = serde_json::to_string_pretty(&tree.to_value(tree.root().id())).unwrap();
    assert_eq!(out, expected);
}

#[test]
fn values_become_trees_and_trees_values() {
    let value = json!({"resourceType": "Patient", "a": [1, null, true, "\n"], "b": {}});
    let tree = Tree::from_value(&value, &names()).unwrap();
    assert_eq!(tree.to_value(tree.root().id()), value);
    assert_eq!(tree.resource_type().unwrap(), "Patient");
    assert!(Tree::from_value(&json!([]), &names()).is_err());
    let tree = parse(r#"{"a":[1.00,0.10,123456789012345678901234567890.5]}"#);
    assert_eq!(
        tree.to_value(tree.root().id()).to_string(),
        r#"{"a":[1.00,0.10,123456789012345678901234567890.5]}"#
    );
}

/// JSON objects with keys and strings of all kinds.
fn json_object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[\"\\\\\u{0}-\u{20}a]{0,12}".prop_map(Value::from),
    ];
    let key = || prop_oneof!["_?(id|name|given|new)", ".{0,4}"];
    let value = leaf.prop_recursive(5, 60, 60, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..60)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop::collection::vec((key(), value), 0..8)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    #[test]
    fn what_is_written_is_what_was_read(value in json_object()) {
        let compact = value.to_string();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        for source in [&compact, &pretty] {
            let tree = Tree::parse(source.as_str(), &names(), &Limits::default()).unwrap();
            prop_assert_eq!(tree.to_json(), compact.as_str());
            let root = tree.root().id();
            let mut out = String::new();
            tree.write_pretty(root, &mut out);
            prop_assert_eq!(&out, &pretty);
            prop_assert_eq!(tree.to_value(root), value.clone());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Tree::parse(bytes, &names(), &Limits::default());
    }

    #[test]
    fn nearly_json_is_judged_as_serde_json_does(
        source in r#"\{("[a-c]{0,2}" ?: ?([0-9.eE+-]{1,4}|"[a\\un0-9]{0,6}"|true|\[[0-9,]{0,4}\]),?){0,3}\}"#
    ) {
        match Tree::parse(source.as_str(), &names(), &Limits::default()) {
            Ok(tree) => {
                let value: Value = serde_json::from_str(&source).unwrap();
                prop_assert_eq!(tree.to_value(tree.root().id()), value);
            }
            Err(ParseError { kind: ParseErrorKind::DuplicateKey { .. }, .. }) => {}
            Err(_) => prop_assert!(serde_json::from_str::<Value>(&source).is_err(), "{}", source),
        }
    }

    #[test]
    fn a_cut_or_changed_text_never_panics(value in json_object(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        let _ = Tree::parse(&bytes[..at], &names(), &Limits::default());
        bytes[at] = byte;
        if let Ok(tree) = Tree::parse(bytes, &names(), &Limits::default()) {
            for node in tree.root().descendants() {
                let _ = (node.key(), node.as_str(), node.line_column(), node.location());
            }
        }
    }

    #[test]
    fn escapes_come_off_as_they_went_on(plain in any::<String>()) {
        let mut raw = String::new();
        let is_escaped = text::push_escaped(&mut raw, &plain);
        prop_assert_eq!(is_escaped, raw != plain);
        prop_assert_eq!(text::unescape(&raw), plain);
        prop_assert_eq!(text::plain_len(raw.as_bytes()) == raw.len(), !is_escaped);
    }
}
