//! Nothing that is sent makes the reader panic, and what it takes is JSON that comes back.

use fhir_model::definition::Definitions;
use fhir_model::tree::Limits;
use fhir_model::xml;
use proptest::prelude::*;

use crate::{definitions, tree};

/// Something of everything, to mutilate.
const PATIENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Patient xmlns="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <id value="anna"/><!-- comment -->
  <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p class="a">1 &lt; 2<br/></p></div></text>
  <contained><Organization><id value="o"/></Organization></contained>
  <extension url="u"><valueDecimal value="1.00"/></extension>
  <active value="true"/>
  <name id="n"><family value="&#65;&amp;"/><given value="A"><extension url="v"/></given><given id="g"/></name>
  <multipleBirthInteger value="+2"/>
</Patient>"#;

/// What mutilation puts in.
const PIECES: &[&str] = &[
    "<",
    ">",
    "/",
    "\"",
    "'",
    "&",
    ";",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?",
    "?>",
    "<!DOCTYPE a>",
    "<div>",
    "</div>",
    "<id/>",
    "xmlns=\"\"",
    "xmlns:f='http://hl7.org/fhir'",
    "\u{feff}",
    "\u{0}",
    "Ä",
    " ",
    "",
];

/// Reads a text: no panic, and JSON if it is taken, which makes XML again.
fn read(text: &[u8], definitions: &Definitions) {
    let limits = Limits::default();
    let Ok(json) = xml::to_json(text, definitions) else {
        return;
    };
    let tree = xml::parse(text, definitions, &limits).unwrap();
    assert_eq!(tree.source(), json);
    if let Ok(written) = xml::from_tree(tree.root(), definitions) {
        let again = xml::to_json(written, definitions).unwrap();
        let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(value(&again), value(&json));
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes, &definitions());
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30)) {
        let start = "<Patient xmlns=\"http://hl7.org/fhir\">";
        read(pieces.concat().as_bytes(), &definitions());
        read(format!("{start}{}</Patient>", pieces.concat()).as_bytes(), &definitions());
    }

    #[test]
    fn a_mutilated_patient(
        cuts in prop::collection::vec((0..PATIENT.len(), 0..40_usize, prop::sample::select(PIECES)), 1..4),
    ) {
        let mut bytes = PATIENT.as_bytes().to_vec();
        for (at, len, piece) in cuts {
            let start = at.min(bytes.len());
            let end = (start + len).min(bytes.len());
            bytes.splice(start..end, piece.bytes());
        }
        read(&bytes, &definitions());
    }

    #[test]
    fn any_string_comes_back(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]*") {
        let value = serde_json::json!({"resourceType": "Patient", "name": [{"family": text}]});
        let written = xml::from_tree(tree(&value.to_string()).root(), &definitions()).unwrap();
        let back = xml::to_json(written, &definitions()).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&back).unwrap(), value);
    }

    #[test]
    fn any_narrative_is_refused_or_comes_back(text in "[<>/a-z &;\"'=!-]*") {
        let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{text}</div>");
        let value = serde_json::json!({"resourceType": "Patient", "text": {"div": div}});
        if let Ok(written) = xml::from_tree(tree(&value.to_string()).root(), &definitions()) {
            let back = xml::to_json(written, &definitions()).unwrap();
            assert_eq!(serde_json::from_str::<serde_json::Value>(&back).unwrap(), value);
        }
    }
}
