//! What is not FHIR XML is refused, with the line, the column and the element.

use fhir_model::issue::{Issue, IssueType, Severity};
use fhir_model::tree::Limits;
use fhir_model::xml::{self, XmlErrorKind};

use crate::definitions;

/// Reads the content of a Patient, which starts on the second line.
#[track_caller]
fn check(content: &str, place: (u32, u32), path: &str, said: &str) {
    let xml = format!("<Patient xmlns=\"http://hl7.org/fhir\">\n{content}\n</Patient>");
    check_text(&xml, place, path, said);
}

#[track_caller]
fn check_text(xml: &str, place: (u32, u32), path: &str, said: &str) {
    let error = xml::to_json(xml, &definitions()).unwrap_err();
    assert_eq!(
        (
            error.kind.to_string().as_str(),
            error.line,
            error.column,
            error.path.as_str()
        ),
        (said, place.0, place.1, path),
    );
}

#[test]
fn what_r4_does_not_define() {
    check(
        "<name/>\n <name><givn value='x'/></name>",
        (3, 8),
        "Patient.name[1]",
        "the element 'givn' is not defined here",
    );
    check(
        "<name><given value='x' lang='y'/></name>",
        (2, 24),
        "Patient.name[0].given[0]",
        "the attribute 'lang' is not defined here",
    );
    check(
        "<name value='x'/>",
        (2, 7),
        "Patient.name[0]",
        "the attribute 'value' is not defined here",
    );
    // `url` of an extension and `id` of an element are attributes, `id` of a resource is none.
    check(
        "<extension><url value='u'/></extension>",
        (2, 12),
        "Patient.extension[0]",
        "the element 'url' is not defined here",
    );
    check_text(
        "<Patient xmlns='http://hl7.org/fhir' id='a'/>",
        (1, 38),
        "Patient",
        "the attribute 'id' is not defined here",
    );
    check(
        "<value value='1'/>",
        (2, 1),
        "Patient",
        "the element 'value' is not defined here",
    );
    check(
        "<contained><HumanName/></contained>",
        (2, 12),
        "Patient.contained[0]",
        "'HumanName' is not a resource type of R4",
    );
    check_text(
        "<Pateint xmlns='http://hl7.org/fhir'/>",
        (1, 1),
        "",
        "'Pateint' is not a resource type of R4",
    );
    check_text(
        "<DomainResource xmlns='http://hl7.org/fhir'/>",
        (1, 1),
        "",
        "'DomainResource' is not a resource type of R4",
    );
}

#[test]
fn text_is_not_lost_silently() {
    let said = "text is not allowed here: FHIR has values in attributes";
    check("<active>\n true</active>", (3, 2), "Patient.active", said);
    check("<name>&#32;</name>", (2, 7), "Patient.name[0]", said);
    check("<![CDATA[ ]]>", (2, 1), "Patient", said);
    // Only four characters are white space in XML.
    check("\u{3000}", (2, 1), "Patient", said);
    check_text("{\"resourceType\":\"Patient\"}", (1, 1), "", said);
}

#[test]
fn what_must_not_repeat() {
    check(
        "<active value='true'/>\n<active value='true'/>",
        (3, 1),
        "Patient",
        "the element 'active' must not repeat",
    );
    check(
        "<active value='true' value='true'/>",
        (2, 29),
        "Patient.active",
        "the attribute 'value' is given twice",
    );
    check(
        "<name id='a' id='b'/>",
        (2, 14),
        "Patient.name[0]",
        "the attribute 'id' is given twice",
    );
    check(
        "<contained><Basic/><Basic/></contained>",
        (2, 20),
        "Patient.contained[0]",
        "one resource is expected in this element, not several",
    );
    check(
        "<contained></contained>",
        (2, 12),
        "Patient",
        "a resource is expected in this element",
    );
    check_text(
        "<Basic xmlns='http://hl7.org/fhir'/>\n<Basic xmlns='http://hl7.org/fhir'/>",
        (2, 1),
        "",
        "there is something after the end of the resource",
    );
}

#[test]
fn values_that_json_has_no_spelling_for() {
    check(
        "<active value='TRUE'/>",
        (2, 16),
        "Patient.active",
        "the value does not have the form of boolean",
    );
    check(
        "<multipleBirthInteger value='01'/>",
        (2, 30),
        "Patient.multipleBirthInteger",
        "the value does not have the form of integer",
    );
    check(
        "<multipleBirthInteger value=''/>",
        (2, 30),
        "Patient.multipleBirthInteger",
        "the value does not have the form of integer",
    );
}

#[test]
fn other_namespaces() {
    let said =
        |name: &str| format!("the element '{name}' is not in the namespace http://hl7.org/fhir");
    check_text("<Patient/>", (1, 1), "", &said("Patient"));
    check_text(
        "<f:Patient xmlns='http://hl7.org/fhir'/>",
        (1, 1),
        "",
        &said("Patient"),
    );
    check(
        "<active xmlns='' value='true'/>",
        (2, 1),
        "Patient",
        &said("active"),
    );
    check(
        "<x:active xmlns:x='urn:x' value='true'/>",
        (2, 1),
        "Patient",
        &said("active"),
    );
    let said =
        "the narrative is a div in the namespace http://www.w3.org/1999/xhtml, without prefixes";
    check("<text><div>x</div></text>", (2, 7), "Patient.text", said);
    check(
        "<text><h:div xmlns:h='http://www.w3.org/1999/xhtml'/></text>",
        (2, 7),
        "Patient.text",
        said,
    );
    check(
        "<text><div xmlns='http://www.w3.org/1999/xhtml'>\n<f:p/></div></text>",
        (3, 1),
        "Patient.text.div",
        said,
    );
    check(
        "<text><div xmlns='http://www.w3.org/1999/xhtml'><p xmlns='urn:x'/></div></text>",
        (2, 49),
        "Patient.text.div",
        said,
    );
}

#[test]
fn no_entities_of_ones_own() {
    check_text(
        "<!DOCTYPE p [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>\n<Patient xmlns='http://hl7.org/fhir'/>",
        (1, 1),
        "",
        "a document type declaration is not allowed",
    );
    check(
        "<name><family value='a&b;'/></name>",
        (2, 23),
        "Patient.name[0].family",
        "the entity 'b' is not defined; write the character itself",
    );
    check(
        "<text><div xmlns='http://www.w3.org/1999/xhtml'>a&nbsp;b</div></text>",
        (2, 50),
        "Patient.text.div",
        "the entity 'nbsp' is not defined; write the character itself",
    );
    check(
        "<name><family value='&#0;'/></name>",
        (2, 22),
        "Patient.name[0].family",
        "the character U+0000 is not allowed in XML",
    );
    check(
        "<name><family value='\u{1}'/></name>",
        (2, 22),
        "",
        "the character U+0001 is not allowed in XML",
    );
}

#[test]
fn what_is_not_well_formed() {
    let kind = |xml: &str| xml::to_json(xml, &definitions()).unwrap_err().kind;
    for xml in [
        "<Patient xmlns='http://hl7.org/fhir'></Person>",
        "</Patient>",
        "<Patient xmlns='http://hl7.org/fhir'><id value=a/></Patient>",
        "<Patient xmlns='http://hl7.org/fhir'><id value/></Patient>",
        "<Patient xmlns='http://hl7.org/fhir'><id value='a</Patient>",
        "<Patient xmlns='http://hl7.org/fhir'><id value='<'/></Patient>",
        "<Patient xmlns='http://hl7.org/fhir'><id value='&'/></Patient>",
        "<Patient xmlns='http://hl7.org/fhir'><id value='&#x;'/></Patient>",
        "<Patient xmlns='http://hl7.org/fhir'><!-- a -- b --></Patient>",
        " <?xml version='1.0'?><Patient xmlns='http://hl7.org/fhir'/>",
        "<Patient xmlns='http://hl7.org/fhir'><text><div xmlns='http://www.w3.org/1999/xhtml'><p></div></text></Patient>",
        "<Patient xmlns='http://hl7.org/fhir'><text><div xmlns='http://www.w3.org/1999/xhtml'><p a='1' a='2'/></div></text></Patient>",
    ] {
        let kind = kind(xml);
        assert!(
            matches!(kind, XmlErrorKind::NotWellFormed { .. }),
            "{xml}: {kind}"
        );
    }
    assert_eq!(kind(""), XmlErrorKind::Empty);
    assert_eq!(kind("<!-- c -->"), XmlErrorKind::Empty);
    assert_eq!(
        kind("<Patient xmlns='http://hl7.org/fhir'><name>"),
        XmlErrorKind::UnexpectedEnd
    );
    assert_eq!(
        kind(
            "<Patient xmlns='http://hl7.org/fhir'><text><div xmlns='http://www.w3.org/1999/xhtml'>"
        ),
        XmlErrorKind::UnexpectedEnd
    );
}

#[test]
fn other_encodings() {
    let latin_1 =
        "<?xml version='1.0' encoding='ISO-8859-1'?><Patient xmlns='http://hl7.org/fhir'/>";
    let mut bytes =
        b"<Patient xmlns='http://hl7.org/fhir'>\n<name><family value='M\xfc'/></name></Patient>"
            .to_vec();
    let error = xml::to_json(&bytes, &definitions()).unwrap_err();
    assert_eq!(
        (error.kind, error.line, error.column),
        (XmlErrorKind::NotUtf8, 2, 23)
    );
    bytes.splice(0..0, *b"\xff\xfe");
    for text in [latin_1.as_bytes(), &bytes] {
        let error = xml::to_json(text, &definitions()).unwrap_err();
        assert_eq!(error.kind, XmlErrorKind::NotUtf8);
    }
}

#[test]
fn what_passes_a_limit() {
    let limits = Limits {
        depth_max: 4,
        bytes_max: 300,
        nodes_max: 6,
    };
    let kind = |content: &str| {
        let xml = format!("<Patient xmlns='http://hl7.org/fhir'>{content}</Patient>");
        xml::parse(xml, &definitions(), &limits)
            .map(|_| ())
            .map_err(|error| error.kind)
    };
    // An array counts, as it does in JSON: Patient, name, its item, period.
    assert_eq!(kind("<name><period/></name>"), Ok(()));
    assert_eq!(
        kind("<name><period><start/></period></name>"),
        Err(XmlErrorKind::TooDeep { limit: 4 })
    );
    assert_eq!(kind("<name/><name/><name/><name/><name/>"), Ok(()));
    assert_eq!(
        kind("<name/><name/><name/><name/><name/><name/>"),
        Err(XmlErrorKind::TooManyElements { limit: 6 })
    );
    let limit_bytes = 300;
    assert_eq!(
        kind(&" ".repeat(300)),
        Err(XmlErrorKind::TooLarge { limit_bytes })
    );
}

#[test]
fn attributes_and_declarations_have_limits() {
    let kind = |content: &str| {
        let xml = format!("<Patient xmlns='http://hl7.org/fhir'>{content}</Patient>");
        xml::to_json(xml, &definitions()).unwrap_err().kind
    };
    let many = |attribute: fn(u32) -> String| (0..100).map(attribute).collect::<Vec<_>>().concat();
    let declarations = many(|number| format!(" xmlns:a{number}='urn:a'"));
    assert_eq!(
        kind(&format!("<name{declarations}/>")),
        XmlErrorKind::TooManyNamespaces { limit: 64 }
    );
    let attributes = many(|number| format!(" a{number}='1'"));
    assert_eq!(
        kind(&format!("<name{attributes}/>")),
        XmlErrorKind::TooManyAttributes { limit: 64 }
    );
    assert_eq!(
        kind(&format!(
            "<text><div xmlns='http://www.w3.org/1999/xhtml'><p{attributes}/></div></text>"
        )),
        XmlErrorKind::TooManyAttributes { limit: 64 }
    );
    assert_eq!(
        kind(&format!(
            "<text><div xmlns='http://www.w3.org/1999/xhtml'>{}",
            "<p>".repeat(300)
        )),
        XmlErrorKind::TooDeep { limit: 256 }
    );
}

#[test]
fn an_error_is_an_issue() {
    let error = xml::to_json(
        "<Patient xmlns='http://hl7.org/fhir'>\n<nam/></Patient>",
        &definitions(),
    );
    let error = error.unwrap_err();
    let issue = Issue::from(&error);
    assert_eq!(
        (issue.severity, issue.code),
        (Severity::Fatal, IssueType::Structure)
    );
    assert_eq!(
        issue.to_string(),
        "fatal at Patient: the element 'nam' is not defined here (line 2, column 1)"
    );
    assert_eq!(
        error.to_string(),
        "the element 'nam' is not defined here (line 2, column 1, at Patient)"
    );
}
