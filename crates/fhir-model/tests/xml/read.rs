//! XML → JSON: <https://hl7.org/fhir/R4/xml.html> beside <https://hl7.org/fhir/R4/json.html>.

use fhir_model::tree::Limits;
use fhir_model::xml;

use crate::definitions;

/// Reads the content of a Patient.
#[track_caller]
fn check(content: &str, expected: &str) {
    let xml = format!(r#"<Patient xmlns="http://hl7.org/fhir">{content}</Patient>"#);
    check_text(&xml, &format!(r#"{{"resourceType":"Patient",{expected}}}"#));
}

#[track_caller]
fn check_text(xml: &str, expected: &str) {
    assert_eq!(xml::to_json(xml, &definitions()).unwrap(), expected);
}

#[test]
fn a_value_has_the_json_kind_of_its_type() {
    check(r#"<active value="true"/>"#, r#""active":true"#);
    check(r#"<id value="anna"/>"#, r#""id":"anna""#);
    check(
        r#"<multipleBirthInteger value="2"/>"#,
        r#""multipleBirthInteger":2"#,
    );
    // A leading + is a number there and none here.
    check(
        r#"<multipleBirthInteger value="+2"/>"#,
        r#""multipleBirthInteger":2"#,
    );
    check(
        r#"<multipleBirthBoolean value="false"/>"#,
        r#""multipleBirthBoolean":false"#,
    );
    check(r#"<birthDate value="1974"/>"#, r#""birthDate":"1974""#);
}

#[test]
fn a_decimal_keeps_its_digits() {
    let extension = |value: &str| {
        (
            format!(r#"<extension url="u"><valueDecimal value="{value}"/></extension>"#),
            format!(r#""extension":[{{"url":"u","valueDecimal":{value}}}]"#),
        )
    };
    for value in ["1.00", "-0.0", "1e2", "1E-05", "100000000000000000000.001"] {
        let (content, expected) = extension(value);
        check(&content, &expected);
    }
}

#[test]
fn a_property_that_repeats_is_an_array() {
    check(
        r#"<name><given value="A"/><given value="B"/></name>"#,
        r#""name":[{"given":["A","B"]}]"#,
    );
    // XML has the items of one element together; where they are not, nothing is lost.
    check(
        r#"<name><given value="A"/><family value="F"/><given value="B"/></name>"#,
        r#""name":[{"given":["A","B"],"family":"F"}]"#,
    );
}

#[test]
fn what_is_said_about_a_primitive_is_its_sibling() {
    check(r#"<birthDate id="b"/>"#, r#""_birthDate":{"id":"b"}"#);
    check(
        r#"<birthDate id="b" value="1974"><extension url="u"><valueCode value="c"/></extension></birthDate>"#,
        r#""birthDate":"1974","_birthDate":{"id":"b","extension":[{"url":"u","valueCode":"c"}]}"#,
    );
    check(
        r#"<name><given value="A"/><given id="g"/><given value="C"/></name>"#,
        r#""name":[{"given":["A",null,"C"],"_given":[null,{"id":"g"},null]}]"#,
    );
    check(
        r#"<name id="n"><given id="g1"/><given id="g2"/></name>"#,
        r#""name":[{"id":"n","_given":[{"id":"g1"},{"id":"g2"}]}]"#,
    );
    // FHIR has no element without content; the validator has to see it.
    check("<birthDate/>", r#""_birthDate":{}"#);
    check("<name/>", r#""name":[{}]"#);
}

#[test]
fn characters_come_as_xml_means_them() {
    let family = |xml: &str, json: &str| {
        check(
            &format!(r#"<name><family value="{xml}"/></name>"#),
            &format!(r#""name":[{{"family":"{json}"}}]"#),
        );
    };
    family("&lt;&gt;&amp;&apos;&quot;", r#"<>&'\""#);
    family("&#65;&#x1F600;&#x41;", "A\u{1f600}A");
    family("&#10;&#13;&#9;", r"\n\r\t");
    // Attribute-value normalization: a line end as such is a space, <https://www.w3.org/TR/xml/#AVNormalize>.
    family("a\nb\tc\r\nd\re", "a b c d e");
    family(r"\n", r"\\n");
    family(" Ä \u{3000}", " Ä \u{3000}");
    check(
        "<name><family value='a\"b'/></name>",
        r#""name":[{"family":"a\"b"}]"#,
    );
    family("", "");
}

#[test]
fn a_resource_stands_in_an_element_of_its_type() {
    check(
        r##"<contained><Organization><id value="o"/></Organization></contained><contained><Basic/></contained><managingOrganization><reference value="#o"/></managingOrganization>"##,
        r##""contained":[{"resourceType":"Organization","id":"o"},{"resourceType":"Basic"}],"managingOrganization":{"reference":"#o"}"##,
    );
    check_text(
        r#"<Bundle xmlns="http://hl7.org/fhir"><entry><resource><Patient><id value="a"/></Patient></resource></entry><entry><response><status value="200"/><outcome><OperationOutcome/></outcome></response></entry></Bundle>"#,
        r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"a"}},{"response":{"status":"200","outcome":{"resourceType":"OperationOutcome"}}}]}"#,
    );
    check_text(
        r#"<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="p"/><resource><Basic/></resource></parameter></Parameters>"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"p","resource":{"resourceType":"Basic"}}]}"#,
    );
}

#[test]
fn an_element_may_be_defined_elsewhere() {
    check_text(
        r#"<Questionnaire xmlns="http://hl7.org/fhir"><item><linkId value="1"/><item><linkId value="1.1"/></item></item></Questionnaire>"#,
        r#"{"resourceType":"Questionnaire","item":[{"linkId":"1","item":[{"linkId":"1.1"}]}]}"#,
    );
}

#[test]
fn a_narrative_stays_as_it_stands() {
    let narrative = |div: &str, json: &str| {
        check(
            &format!(r#"<text><status value="generated"/>{div}</text>"#),
            &format!(r#""text":{{"status":"generated","div":"{json}"}}"#),
        );
    };
    narrative(
        r#"<div xmlns="http://www.w3.org/1999/xhtml"> <p class='x' >1 &lt; 2&#160;<br/></p ><!-- c --><![CDATA[<]]></div>"#,
        r#"<div xmlns=\"http://www.w3.org/1999/xhtml\"> <p class='x' >1 &lt; 2&#160;<br/></p ><!-- c --><![CDATA[<]]></div>"#,
    );
    narrative(
        r#"<div id="d" xmlns="http://www.w3.org/1999/xhtml" />"#,
        r#"<div id=\"d\" xmlns=\"http://www.w3.org/1999/xhtml\" />"#,
    );
}

#[test]
fn a_namespace_may_be_declared_further_out() {
    check_text(
        r#"<f:Patient xmlns:f="http://hl7.org/fhir"><f:active value="true"/></f:Patient>"#,
        r#"{"resourceType":"Patient","active":true}"#,
    );
    check_text(
        r#"<f:Patient xmlns:f="http://hl7.org/fhir" xmlns="http://www.w3.org/1999/xhtml"><f:text><div title="a>b">x</div></f:text></f:Patient>"#,
        r#"{"resourceType":"Patient","text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\" title=\"a>b\">x</div>"}}"#,
    );
    check_text(
        r#"<Patient xmlns="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir ../fhir.xsd"/>"#,
        r#"{"resourceType":"Patient"}"#,
    );
}

#[test]
fn what_says_nothing_is_left_out() {
    check_text(
        "\u{feff}<?xml version='1.0' encoding='utf-8' standalone='yes'?>\r\n<?xml-stylesheet href='a'?>\n<!-- a --><Patient xmlns='http://hl7.org/fhir'>\n\t<!-- b --><active value='true'/><?p i?>\n</Patient>\n<!-- c -->\n",
        r#"{"resourceType":"Patient","active":true}"#,
    );
}

#[test]
fn white_space_in_base64_stays_white_space() {
    check(
        "<photo><data value=\"AAAA\n  BBBB\"/></photo>",
        r#""photo":[{"data":"AAAA   BBBB"}]"#,
    );
}

#[test]
fn a_node_knows_its_place_in_the_xml() {
    let xml = "\u{feff}<Patient xmlns=\"http://hl7.org/fhir\">\n  <birthDate id=\"b\"\n    value=\"1974\"/>\n\
               <name><given value=\"A\"/> <given id=\"g\"/>\n<family value=\"F\"/></name>\n\
               <contained><Basic><id value=\"b\"/></Basic></contained></Patient>";
    let tree = xml::parse(xml, &definitions(), &Limits::default()).unwrap();
    let places: Vec<(String, u32, u32)> = std::iter::once(tree.root())
        .chain(tree.root().descendants())
        .map(|node| {
            let place = node.line_column().unwrap();
            let underscore = if node.is_shadow() { "_" } else { "" };
            (
                format!("{underscore}{}", node.location()),
                place.line,
                place.column,
            )
        })
        .collect();
    let expected = [
        ("Patient", 1, 1),
        ("Patient.resourceType", 1, 1),
        ("Patient.birthDate", 2, 3),
        ("_Patient.birthDate", 2, 3),
        ("Patient.birthDate.id", 2, 14),
        ("Patient.name", 4, 1),
        ("Patient.name[0]", 4, 1),
        ("Patient.name[0].given", 4, 7),
        ("Patient.name[0].given[0]", 4, 7),
        ("Patient.name[0].given[1]", 4, 26),
        ("_Patient.name[0].given", 4, 7),
        ("_Patient.name[0].given[0]", 4, 7),
        ("_Patient.name[0].given[1]", 4, 26),
        ("Patient.name[0].given[1].id", 4, 33),
        ("Patient.name[0].family", 5, 1),
        ("Patient.contained", 6, 1),
        ("Patient.contained[0]", 6, 1),
        ("Patient.contained[0].resourceType", 6, 1),
        ("Patient.contained[0].id", 6, 19),
    ];
    let expected = expected.map(|(path, line, column)| (path.to_owned(), line, column));
    assert_eq!(places, expected);
}
