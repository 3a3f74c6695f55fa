//! JSON → XML: <https://hl7.org/fhir/R4/xml.html>.

use fhir_model::xml::{self, WriteErrorKind};

use crate::{definitions, tree};

/// Writes a Patient: its XML after the declaration and the start tag.
#[track_caller]
fn check(members: &str, expected: &str) {
    let tree = tree(&format!(r#"{{{members},"resourceType":"Patient"}}"#));
    let written = xml::from_tree(tree.root(), &definitions()).unwrap();
    let start = r#"<?xml version="1.0" encoding="UTF-8"?><Patient xmlns="http://hl7.org/fhir""#;
    assert_eq!(written, format!("{start}{expected}"));
}

#[track_caller]
fn check_refused(json: &str, path: &str, said: &str) {
    let error = xml::from_tree(tree(json).root(), &definitions()).unwrap_err();
    assert_eq!(
        (error.path.as_str(), error.kind.to_string().as_str()),
        (path, said)
    );
}

#[test]
fn elements_come_in_the_order_of_the_definition() {
    check(
        r#""birthDate":"1974-12-25","name":[{"given":["A","B"],"use":"official","family":"F"}],"active":true,"id":"anna""#,
        r#"><id value="anna"/><active value="true"/><name><use value="official"/><family value="F"/><given value="A"/><given value="B"/></name><birthDate value="1974-12-25"/></Patient>"#,
    );
    check(
        r#""extension":[{"valueDecimal":1.00,"url":"u","id":"e"}]"#,
        r#"><extension id="e" url="u"><valueDecimal value="1.00"/></extension></Patient>"#,
    );
}

#[test]
fn both_halves_of_a_primitive_are_one_element() {
    check(
        r#""_birthDate":{"extension":[{"url":"u","valueBoolean":true}],"id":"b"},"birthDate":"1974""#,
        r#"><birthDate id="b" value="1974"><extension url="u"><valueBoolean value="true"/></extension></birthDate></Patient>"#,
    );
    check(
        r#""name":[{"given":["A",null],"_given":[null,{"id":"g"}]}]"#,
        r#"><name><given value="A"/><given id="g"/></name></Patient>"#,
    );
}

#[test]
fn characters_are_escaped_so_that_they_come_back() {
    check(
        r#""name":[{"family":"<>&'\"\n\r\t\u00c4\ud83d\ude00"}]"#,
        "><name><family value=\"&lt;&gt;&amp;'&quot;&#10;&#13;&#9;\u{c4}\u{1f600}\"/></name></Patient>",
    );
}

#[test]
fn a_resource_stands_in_an_element_of_its_type() {
    check(
        r#""contained":[{"resourceType":"Basic","id":"b"},{"resourceType":"Basic"}]"#,
        r#"><contained><Basic><id value="b"/></Basic></contained><contained><Basic/></contained></Patient>"#,
    );
}

#[test]
fn a_narrative_is_part_of_the_xml() {
    check(
        r#""text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">1 &lt; 2 <br/></div>"}"#,
        r#"><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">1 &lt; 2 <br/></div></text></Patient>"#,
    );
    // JSON without the namespace, which FHIR requires; XML without it would mean another element.
    check(
        r#""text":{"div":" <div class=\"a\">x</div>\n"}"#,
        r#"><text><div xmlns="http://www.w3.org/1999/xhtml" class="a">x</div></text></Patient>"#,
    );
}

#[test]
fn a_human_reader_gets_a_line_per_element() {
    let tree = tree(r#"{"resourceType":"Patient","active":true,"name":[{"given":["A"]}]}"#);
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<Patient xmlns="http://hl7.org/fhir">
  <active value="true"/>
  <name>
    <given value="A"/>
  </name>
</Patient>
"#;
    assert_eq!(
        xml::from_tree_pretty(tree.root(), &definitions()).unwrap(),
        expected
    );
}

#[test]
fn what_has_no_form_in_xml_is_refused() {
    check_refused("{}", "", "the resource type is not known");
    check_refused(
        r#"{"resourceType":"Pateint"}"#,
        "Pateint",
        "the resource type is not known",
    );
    let undefined = "the property is not defined";
    check_refused(
        r#"{"resourceType":"Patient","nam":1}"#,
        "Patient.nam",
        undefined,
    );
    // An attribute has no room for more than its value.
    check_refused(
        r#"{"resourceType":"Patient","extension":[{"url":"u","_url":{"id":"b"}}]}"#,
        "Patient.extension[0].url",
        "the value is not of the kind that is defined",
    );
    let kind = "the value is not of the kind that is defined";
    check_refused(
        r#"{"resourceType":"Patient","name":["x"]}"#,
        "Patient.name[0]",
        kind,
    );
    check_refused(
        r#"{"resourceType":"Patient","active":{"id":"a"}}"#,
        "Patient.active",
        kind,
    );
    check_refused(
        r#"{"resourceType":"Patient","name":[[{}]]}"#,
        "Patient.name[0]",
        kind,
    );
    check_refused(
        r#"{"resourceType":"Patient","name":[{"family":"a\u0001"}]}"#,
        "Patient.name[0].family",
        "the character U+0001 is not allowed in XML",
    );
}

#[test]
fn a_narrative_cannot_break_out_of_its_element() {
    for div in [
        "<div>",
        "<div></div><x/>",
        "<div></div></text>",
        "<div>&nbsp;</div>",
        "<div a='1' a='2'/>",
        "<!DOCTYPE a><div/>",
        "<p></p>",
        "text",
        "",
        "<div xmlns='urn:x'/>",
        "<div><f:p/></div>",
    ] {
        let json = format!(r#"{{"resourceType":"Patient","text":{{"div":"{div}"}}}}"#);
        let error = xml::from_tree(tree(&json).root(), &definitions()).unwrap_err();
        assert!(
            matches!(error.kind, WriteErrorKind::Narrative(_)),
            "{div}: {error}"
        );
        assert_eq!(error.path, "Patient.text.div");
    }
}
