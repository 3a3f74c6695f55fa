//! The forms of primitive values, type by type, from datatypes.html.

use proptest::prelude::*;

use crate::primitive::date::{DateTime, Time};
use crate::primitive::decimal::Decimal;
use crate::primitive::{Primitive, PrimitiveError, STRING_CHARS_MAX};
use crate::tree::Kind;

#[track_caller]
fn check(primitive: Primitive, right: &[&str], wrong: &[&str]) {
    for text in right {
        assert_eq!(primitive.check_text(text), Ok(()), "{primitive:?} {text}");
    }
    for text in wrong {
        assert!(primitive.check_text(text).is_err(), "{primitive:?} {text}");
    }
}

#[test]
fn numbers() {
    check(
        Primitive::Integer,
        &["0", "1", "-1", "2147483647", "-2147483648"],
        &[
            "",
            "-",
            "-0",
            "01",
            "+1",
            "1.0",
            "1e2",
            "2147483648",
            "-2147483649",
            " 1",
        ],
    );
    check(
        Primitive::UnsignedInt,
        &["0", "2147483647"],
        &["-1", "00", "2147483648", "1.0"],
    );
    check(
        Primitive::PositiveInt,
        &["1", "2147483647"],
        &["0", "-1", "01", ""],
    );
    check(
        Primitive::Decimal,
        &[
            "0",
            "-0",
            "1.00",
            "0.700",
            "1.2E+2",
            "-1e-9",
            "123456789012345678901234567890.5",
        ],
        &["", "01", "1.", ".5", "+1", "1e", "NaN"],
    );
    check(
        Primitive::Boolean,
        &["true", "false"],
        &["", "TRUE", "1", "yes"],
    );
}

#[test]
fn texts() {
    let longest = "é".repeat(STRING_CHARS_MAX);
    let longer = format!("{longest}e");
    check(
        Primitive::String,
        &["a", " ", "a\r\n\tb", "é\u{85}", &longest],
        &["", "a\u{0}", "a\u{b}b", &longer],
    );
    check(Primitive::Markdown, &["# a\n* b"], &["", "\u{1f}"]);
    check(
        Primitive::Code,
        &["a", "a b", "a-b/c"],
        &["", " a", "a ", "a  b", " ", "a\n\nb"],
    );
    check(Primitive::Id, &["a", "A-1.b"], &["", "a_b", "a b", "é"]);
    check(
        Primitive::Xhtml,
        &[
            "<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>",
            "<div>a</div>",
            "<div xmlns=\"http://www.w3.org/1999/xhtml\"/>",
        ],
        &[
            "",
            "a",
            "<p>a</p>",
            "<div>a",
            "<divx></divx>",
            "<div>a<br/>",
        ],
    );
}

#[test]
fn uris() {
    check(
        Primitive::Uri,
        &["http://a/b", "urn:oid:1.2", "a", "http://a|2"],
        &["", "a b", " a", "a\n", "a\u{0}"],
    );
    check(
        Primitive::Canonical,
        &["http://a/b|1.0#c", "#c"],
        &["", "a b"],
    );
    check(
        Primitive::Oid,
        &["urn:oid:1.2.3", "urn:oid:2.0"],
        &[
            "1.2.3",
            "urn:oid:",
            "urn:oid:1",
            "urn:oid:3.1",
            "urn:oid:1.02",
            "urn:oid:1.",
            "urn:oid:1.2.a",
        ],
    );
    check(
        Primitive::Uuid,
        &["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
        &[
            "c757873d-ec9a-4326-a141-556f43239520",
            "urn:uuid:C757873D-EC9A-4326-A141-556F43239520",
            "urn:uuid:c757873dec9a4326a141556f43239520",
            "urn:uuid:c757873d-ec9a-4326-a141-556f4323952",
            "urn:uuid:c757873d-ec9a-4326-a141-556f4323952g",
        ],
    );
    check(
        Primitive::Base64Binary,
        &["YQ==", "YWI=", "YWJj", "YWJj\nYWJj ", "Y W J j"],
        &["", " ", "Y", "YQ=", "YQ=a", "Y===", "====", "YW_-"],
    );
}

#[test]
fn dates_and_times() {
    check(
        Primitive::Date,
        &["2018", "1973-06", "1905-08-23", "2024-02-29"],
        &[
            "",
            "18",
            "2018-6",
            "2018-02-30",
            "2023-02-29",
            "0000",
            "2018-01-01T00:00:00Z",
        ],
    );
    check(
        Primitive::DateTime,
        &[
            "2018",
            "1973-06",
            "1905-08-23",
            "2015-02-07T13:28:17-05:00",
            "2017-01-01T00:00:00.000Z",
        ],
        &[
            "2015-02-07T13:28:17",
            "2015-02-07T13:28Z",
            "2015-02-07T24:00:00Z",
            "2015-02-07 13:28:17Z",
        ],
    );
    check(
        Primitive::Instant,
        &[
            "2015-02-07T13:28:17.239+02:00",
            "2017-01-01T00:00:00Z",
            "2016-12-31T23:59:60Z",
        ],
        &["2017-01-01", "2017-01-01T00:00:00", "2017-01-01T00:00Z"],
    );
    check(
        Primitive::Time,
        &["00:00:00", "23:59:60", "12:00:00.123"],
        &["12:00", "24:00:00", "12:00:00Z", "T12:00:00"],
    );
}

#[test]
fn every_type_is_found_by_its_code() {
    assert_eq!(Primitive::ALL.len(), 20);
    for primitive in Primitive::ALL {
        assert_eq!(Primitive::from_code(primitive.code()), Some(*primitive));
    }
    assert_eq!(Primitive::from_code("Quantity"), None);
}

#[test]
fn an_error_says_what_would_be_right() {
    let sentence = |result: Result<(), PrimitiveError>| result.unwrap_err().to_string();
    assert_eq!(
        sentence(Primitive::Integer.check(Kind::String, "1")),
        "integer is a JSON number, not string"
    );
    assert_eq!(
        sentence(Primitive::Id.check(Kind::String, "a_b")),
        "the value does not have the form of id: 1 to 64 letters, digits, '-' and '.'"
    );
    assert_eq!(Primitive::Boolean.check(Kind::Boolean, "true"), Ok(()));
}

proptest! {
    #[test]
    fn any_text_is_judged_without_panic(
        text in prop_oneof![any::<String>(), "[0-9:TZ.+é-]{0,30}", "(urn:(oid|uuid):)?[0-9a-f.=-]{0,40}"]
    ) {
        for primitive in Primitive::ALL {
            let _ = primitive.check_text(&text);
        }
        let _ = (Time::parse(&text), Decimal::parse(&text));
        if let Some(date) = DateTime::parse(&text) {
            let (low, high) = date.interval(0);
            prop_assert!(low < high);
        }
    }

    #[test]
    fn decimals_compare_as_integers_do(left in -10_000_i64..10_000, right in -10_000_i64..10_000, zeros in 0_usize..4) {
        let decimal = |number: i64, zeros: usize| {
            Decimal::parse(&format!("{number}.{}", "0".repeat(zeros + 1))).unwrap()
        };
        prop_assert_eq!(decimal(left, zeros).cmp(&decimal(right, 0)), left.cmp(&right));
    }
}
