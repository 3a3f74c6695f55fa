//! Who is meant: identifiers of patients in all their shapes.

use chrono::Utc;

use crate::adt::Arrival;
use crate::adt::data_type::Identifier;
use crate::adt::tests::{feed, message};
use crate::config::Feed;

#[test]
fn blanks_name_no_visit() {
    let feed = feed();
    for (fields, expected) in [
        ("PV1-19  V9 , PV1-2 I", Some("V9")),
        ("PV1-19   , PID-18 A9", Some("A9")),
        ("PV1-19   , PID-18   ", None),
        ("PV1-19 \"\", PV1-2 I", None),
    ] {
        let message = message(&format!("A01 20260803120000 {fields}"));
        let arrival = Arrival {
            message: &message,
            feed: &feed,
            row: 1,
            received: chrono::DateTime::<Utc>::MAX_UTC,
        };
        let found = arrival.visit_identifier().map(|found| found.value);
        assert_eq!(found.as_deref(), expected, "{fields}");
    }
}

#[test]
fn identifiers_of_a_patient_the_strongest_first() {
    #[track_caller]
    fn check(fields: &str, expected: &[&str]) {
        let authorities = [("H", "urn:oid:1.1"), ("*", "urn:oid:1.9")];
        let authorities = authorities.map(|(name, system)| (name.to_owned(), system.to_owned()));
        let feed = Feed {
            authorities: authorities.into(),
            ..feed()
        };
        let message = message(&format!("A01 20260803120000 {fields}"));
        let arrival = Arrival {
            message: &message,
            feed: &feed,
            row: 1,
            received: chrono::DateTime::<Utc>::MAX_UTC,
        };
        let identifiers = arrival.patient_identifiers();
        let tokens: Vec<String> = identifiers.iter().map(Identifier::token).collect();
        assert_eq!(tokens, expected, "{fields}");
    }
    check("PID-3 7^^^H^MR", &["urn:oid:1.1|7"]);
    check("PID-3 7", &["urn:oid:1.9|7"]);
    check("PID-3 7^^^ELSE^MR", &["urn:baton:feed:default:ELSE|7"]);
    check("PID-3 7^^^EL SE^MR", &["urn:baton:feed:default:EL_SE|7"]);
    check("PID-3 7^^^X&2.16.9&ISO^MR", &["urn:oid:2.16.9|7"]);
    check("PID-3 7^^^X&http://a.org/ids&URI", &["http://a.org/ids|7"]);
    check(
        "PID-3 7^^^X&6F9619FF-8B86-D011-B42D-00CF4FC964FF&UUID",
        &["urn:uuid:6f9619ff-8b86-d011-b42d-00cf4fc964ff|7"],
    );
    // What is no OID, UUID or URI makes no system.
    for universal in ["2.16 9&ISO", "none&ISO", "no-uuid&UUID", "http://a b&URI"] {
        let fields = format!("PID-3 7^^^X&{universal}^MR");
        check(&fields, &["urn:baton:feed:default:X|7"]);
    }
    check(
        "PID-3 123456789^^^SSA^SS~5^^^^MC~7^^^H^MR",
        &[
            "urn:oid:1.1|7",
            "urn:oid:1.9|5",
            "http://hl7.org/fhir/sid/us-ssn|123456789",
        ],
    );
    check("PID-3 7^^^H^MR~7^^^H^PI", &["urn:oid:1.1|7"]);
    check("PID-3 , PID-2 8^^^H", &["urn:oid:1.1|8"]);
    check("PID-3 , PID-4 9^^^H", &["urn:oid:1.1|9"]);
    check("PID-3 \"\"", &[]);
    check("PID-3 , PID-4 ", &[]);
}
