//! The rules of <https://hl7.org/fhir/R4/xml.html>, on definitions as small as they can be.

use super::*;
use crate::definition::Builder;
use crate::issue::Issue;

/// What a definition says of an element, beside its path: `min..max`, type, more JSON.
type Line = (&'static str, &'static str, &'static str, &'static str);

const ID: Line = (
    "id",
    "1",
    "http://hl7.org/fhirpath/System.String",
    r#","representation":["xmlAttr"]"#,
);
const EXTENSION: Line = ("extension", "*", "Extension", "");

fn structure(name: &str, kind: &str, lines: &[Line]) -> String {
    let mut elements = format!(r#"{{"id":"{name}","path":"{name}","min":0,"max":"*"}}"#);
    for (path, max, type_code, more) in lines {
        let types = type_code.split('|').filter(|code| !code.is_empty());
        let types: Vec<String> = types
            .map(|code| format!(r#"{{"code":"{code}"}}"#))
            .collect();
        let types = types.join(",");
        elements.push_str(&format!(
            r#",{{"id":"{name}.{path}","path":"{name}.{path}","min":0,"max":"{max}","base":{{"path":"{name}.{path}","min":0,"max":"{max}"}},"type":[{types}]{more}}}"#
        ));
    }
    format!(
        r#"{{"resourceType":"StructureDefinition","url":"http://hl7.org/fhir/StructureDefinition/{name}","name":"{name}","kind":"{kind}","abstract":{},"type":"{name}","derivation":"specialization","snapshot":{{"element":[{elements}]}}}}"#,
        name == "Resource"
    )
}

/// Two resource types and the data types that they need.
fn definitions() -> Definitions {
    let mut builder = Builder::new();
    for primitive in [
        "string", "boolean", "decimal", "integer", "date", "uri", "xhtml", "code",
    ] {
        let lines = [
            ID,
            EXTENSION,
            ("value", "1", "http://hl7.org/fhirpath/System.String", ""),
        ];
        builder
            .add_json(&structure(primitive, "primitive-type", &lines))
            .unwrap();
    }
    for (name, kind, lines) in [
        (
            "Extension",
            "complex-type",
            vec![
                ID,
                EXTENSION,
                (
                    "url",
                    "1",
                    "http://hl7.org/fhirpath/System.String",
                    r#","representation":["xmlAttr"]"#,
                ),
                ("value[x]", "1", "string|boolean|decimal|integer", ""),
            ],
        ),
        (
            "Narrative",
            "complex-type",
            vec![ID, ("status", "1", "code", ""), ("div", "1", "xhtml", "")],
        ),
        (
            "HumanName",
            "complex-type",
            vec![
                ID,
                EXTENSION,
                ("family", "1", "string", ""),
                ("given", "*", "string", ""),
            ],
        ),
        (
            "Resource",
            "resource",
            vec![("id", "1", "http://hl7.org/fhirpath/System.String", "")],
        ),
        (
            "Patient",
            "resource",
            vec![
                ("id", "1", "http://hl7.org/fhirpath/System.String", ""),
                ("text", "1", "Narrative", ""),
                ("contained", "*", "Resource", ""),
                EXTENSION,
                ("active", "1", "boolean", ""),
                ("name", "*", "HumanName", ""),
                ("birthDate", "1", "date", ""),
                ("contact", "*", "BackboneElement", ""),
                ("contact.name", "1", "HumanName", ""),
            ],
        ),
        (
            "Basic",
            "resource",
            vec![("id", "1", "http://hl7.org/fhirpath/System.String", "")],
        ),
    ] {
        builder.add_json(&structure(name, kind, &lines)).unwrap();
    }
    builder.finish().0
}

const START: &str = r#"<Patient xmlns="http://hl7.org/fhir">"#;

fn patient(content: &str) -> String {
    format!("{START}{content}</Patient>")
}

/// Reads the content of a Patient, and back again where XML says all that JSON does.
#[track_caller]
fn check(content: &str, expected: &str) {
    let json = to_json(patient(content), &definitions()).unwrap();
    let expected = match expected {
        "" => r#"{"resourceType":"Patient"}"#.to_owned(),
        _ => format!(r#"{{"resourceType":"Patient",{expected}}}"#),
    };
    assert_eq!(json, expected);
}

/// Refuses the content of a Patient: line, column and path, and what is said.
#[track_caller]
fn check_refused(content: &str, place: (u32, u32), path: &str, kind: &XmlErrorKind) {
    check_text_refused(&format!("{START}\n{content}</Patient>"), place, path, kind);
}

#[track_caller]
fn check_text_refused(xml: &str, place: (u32, u32), path: &str, kind: &XmlErrorKind) {
    let error = to_json(xml, &definitions()).unwrap_err();
    assert_eq!(&error.kind, kind);
    assert_eq!((error.line, error.column), place, "{error}");
    assert_eq!(error.path, path);
}

#[test]
fn values_are_attributes_there_and_json_values_here() {
    check(r#"<active value="true"/>"#, r#""active":true"#);
}
