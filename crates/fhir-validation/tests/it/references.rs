//! References: types and profiles of targets, contained, in Bundles, elsewhere.
//! <https://hl7.org/fhir/R4/references.html>

use std::sync::OnceLock;

use fhir_model::element::Element;
use fhir_model::tree::Tree;
use fhir_validation::{Elsewhere, Options, References, Validator};
use fhirpath::{Item, Resolved, Resolver};
use serde_json::{Value, json};

use crate::support::{core, core_with, errors, parse, profile, quiet};

const TARGETS: &str = "http://example.org/StructureDefinition/targets";
const NAMED: &str = "http://example.org/StructureDefinition/named";
const FEMALE: &str = "http://example.org/StructureDefinition/female";
const LINKED: &str = "http://example.org/StructureDefinition/linked";

fn patient_profile(url: &str, more: &Value) -> String {
    profile(
        url,
        "Patient",
        &[
            json!({"path": "Patient", "min": 0, "max": "*"}),
            more.clone(),
        ],
    )
}

/// An observation of a patient who is named or female, made by who is contained or in the Bundle.
fn targets() -> String {
    let subject = json!([{"code": "Reference", "targetProfile": [NAMED, FEMALE, "http://hl7.org/fhir/StructureDefinition/Device"]}]);
    let performer = json!([{"code": "Reference", "aggregation": ["contained", "bundled"]}]);
    profile(
        TARGETS,
        "Observation",
        &[
            json!({"path": "Observation", "min": 0, "max": "*"}),
            json!({"path": "Observation.subject", "min": 0, "max": "1", "type": subject}),
            json!({"path": "Observation.performer", "min": 0, "max": "*", "type": performer}),
        ],
    )
}

/// A patient who is linked to such a patient.
fn linked() -> String {
    let other = json!([{"code": "Reference", "targetProfile": [LINKED]}]);
    profile(
        LINKED,
        "Patient",
        &[
            json!({"path": "Patient", "min": 0, "max": "*"}),
            json!({"path": "Patient.active", "min": 1, "max": "1", "type": [{"code": "boolean"}]}),
            json!({"path": "Patient.link", "min": 0, "max": "*", "type": [{"code": "BackboneElement"}]}),
            json!({"path": "Patient.link.other", "min": 1, "max": "1", "type": other}),
        ],
    )
}

fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| {
        let resources = [
            targets(),
            patient_profile(NAMED, &json!({"path": "Patient.name", "min": 1, "max": "*", "type": [{"code": "HumanName"}]})),
            patient_profile(FEMALE, &json!({"path": "Patient.gender", "min": 1, "max": "1", "type": [{"code": "code"}], "fixedCode": "female"})),
            linked(),
        ];
        core_with(&resources.each_ref().map(String::as_str))
    })
}

#[track_caller]
fn check(resource: &Value, profiles: &[&str], expected: &[&str]) {
    let tree = parse(validator(), &resource.to_string());
    let resource_type = tree.resource_type().unwrap();
    let issues = validator().validate(tree.root(), &resource_type, profiles, &quiet());
    assert_eq!(errors(&issues), expected, "{issues:#?}");
}

fn observation(subject: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": subject}})
}

#[test]
fn a_contained_target_satisfies_one_of_the_profiles_of_its_type() {
    let with = |patient: Value| {
        let mut resource = observation("#p");
        resource["contained"] = json!([patient]);
        resource
    };
    let wrong = "Observation.subject.reference Observation.subject";
    check(
        &with(json!({"resourceType": "Patient", "id": "p", "name": [{"text": "A"}]})),
        &[TARGETS],
        &[],
    );
    check(
        &with(json!({"resourceType": "Patient", "id": "p", "gender": "female"})),
        &[TARGETS],
        &[],
    );
    check(
        &with(json!({"resourceType": "Device", "id": "p", "status": "active"})),
        &[TARGETS],
        &[],
    );
    check(
        &with(json!({"resourceType": "Patient", "id": "p", "gender": "male"})),
        &[TARGETS],
        &[wrong],
    );
    check(
        &with(json!({"resourceType": "Group", "id": "p", "type": "person", "actual": true})),
        &[TARGETS],
        &[wrong],
    );
    // Elsewhere only the type is known.
    check(&observation("Patient/1"), &[TARGETS], &[]);
    check(&observation("Group/1"), &[TARGETS], &[wrong]);
    check(
        &observation("urn:uuid:5d9588d8-3cd6-4b32-8fb7-ad13694e069d"),
        &[TARGETS],
        &[],
    );
}

fn bundle(entries: &[(&str, Value)]) -> Value {
    let entries: Vec<Value> = entries
        .iter()
        .map(|(url, resource)| {
            let mut resource = resource.clone();
            if resource["id"].is_null() {
                resource["id"] = json!(url.rsplit(['/', ':']).next());
            }
            json!({"fullUrl": url, "resource": resource})
        })
        .collect();
    json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
}

#[test]
fn a_target_in_the_same_bundle_is_looked_at() {
    const UUID: &str = "urn:uuid:5d9588d8-3cd6-4b32-8fb7-ad13694e069d";
    let claiming = |subject: &str| {
        let mut resource = observation(subject);
        resource["meta"] = json!({"profile": [TARGETS]});
        resource
    };
    let patient = |more: Value| {
        let mut resource = json!({"resourceType": "Patient", "id": "1"});
        resource
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        resource
    };
    let (male, female) = (
        patient(json!({"gender": "male"})),
        patient(json!({"gender": "female"})),
    );
    let wrong = "Bundle.entry[0].resource.subject.reference Observation.subject";
    let here = "http://example.org/fhir/Observation/1";
    let there = "http://example.org/fhir/Patient/1";
    check(
        &bundle(&[(here, claiming("Patient/1")), (there, female.clone())]),
        &[],
        &[],
    );
    check(
        &bundle(&[(here, claiming("Patient/1")), (there, male.clone())]),
        &[],
        &[wrong],
    );
    check(
        &bundle(&[(here, claiming(there)), (there, male.clone())]),
        &[],
        &[wrong],
    );
    check(
        &bundle(&[(here, claiming(UUID)), (UUID, male.clone())]),
        &[],
        &[wrong],
    );
    check(&bundle(&[(here, claiming(UUID)), (UUID, female)]), &[], &[]);
    // Another server's patient is not meant.
    check(
        &bundle(&[
            (here, claiming("Patient/1")),
            ("http://example.com/fhir/Patient/1", male),
        ]),
        &[],
        &[],
    );
    // Of the wrong type, whatever the text of the reference says.
    let list = json!({"resourceType": "Basic", "code": {"text": "x"}});
    check(
        &bundle(&[(here, observation(UUID)), (UUID, list.clone())]),
        &[],
        &["Bundle.entry[0].resource.subject.reference Observation.subject"],
    );
    check(
        &bundle(&[(here, observation("Patient/1")), (there, list)]),
        &[],
        &["Bundle.entry[0].resource.subject.reference Reference.reference"],
    );
}

#[test]
fn a_reference_to_several_entries_is_ambiguous() {
    let patient = |version: &str| json!({"resourceType": "Patient", "id": "1", "meta": {"versionId": version}, "active": true});
    let url = "http://example.org/fhir/Patient/1";
    let entries = |subject: &str| {
        bundle(&[
            (
                "http://example.org/fhir/Observation/1",
                observation(subject),
            ),
            (url, patient("1")),
            (url, patient("2")),
        ])
    };
    check(&entries("Patient/1/_history/2"), &[], &[]);
    check(
        &entries("Patient/1"),
        &[],
        &["Bundle.entry[0].resource.subject.reference Bundle.entry.fullUrl"],
    );
}

#[test]
fn a_reference_goes_the_way_that_the_profile_admits() {
    let with = |performer: &str| {
        let mut resource = observation("Device/1");
        resource["contained"] =
            json!([{"resourceType": "Practitioner", "id": "p", "active": true}]);
        resource["performer"] = json!([{"reference": performer}, {"reference": "#p"}]);
        resource
    };
    check(&with("#p"), &[TARGETS], &[]);
    check(
        &with("Practitioner/1"),
        &[TARGETS],
        &["Observation.performer[0].reference Observation.performer"],
    );
}

#[test]
fn resources_that_refer_to_each_other_satisfy_what_they_would_alone() {
    let patient = |id: &str, other: &str, is_active: bool| {
        let mut resource = json!({"resourceType": "Patient", "id": id, "meta": {"profile": [LINKED]},
            "link": [{"other": {"reference": format!("Patient/{other}")}, "type": "seealso"}]});
        if is_active {
            resource["active"] = json!(true);
        }
        (format!("http://example.org/fhir/Patient/{id}"), resource)
    };
    let circle = |is_active: bool| {
        let (a, b) = (patient("a", "b", true), patient("b", "a", is_active));
        bundle(&[(&a.0, a.1), (&b.0, b.1)])
    };
    check(&circle(true), &[], &[]);
    check(
        &circle(false),
        &[],
        &[
            "Bundle.entry[0].resource.link[0].other.reference Patient.link.other",
            "Bundle.entry[1].resource Patient.active",
        ],
    );
}

#[test]
fn a_long_chain_of_references_is_followed_to_its_limit() {
    const LENGTH: usize = 2_000;
    let entries: Vec<Value> = (0..LENGTH)
        .map(|number| json!({"fullUrl": format!("http://example.org/fhir/Patient/{number}"),
            "resource": {"resourceType": "Patient", "id": number.to_string(), "active": true, "meta": {"profile": [LINKED]},
                "link": [{"other": {"reference": format!("Patient/{}", number + 1)}, "type": "seealso"}]}}))
        .collect();
    check(
        &json!({"resourceType": "Bundle", "type": "collection", "entry": entries}),
        &[],
        &[],
    );
}

#[test]
fn contained_resources_are_referred_to() {
    let patient = |contained: Value, more: Value| {
        let mut resource = json!({"resourceType": "Patient", "contained": [contained]});
        resource
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        resource
    };
    let clinic = json!({"resourceType": "Organization", "id": "c", "name": "x"});
    let orphan = ["Patient.contained[0] dom-3"];
    check(
        &patient(
            clinic.clone(),
            json!({"managingOrganization": {"reference": "#c"}}),
        ),
        &[],
        &[],
    );
    check(&patient(clinic, json!({"active": true})), &[], &orphan);
    let about = json!({"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}, "subject": {"reference": "#"}});
    check(&patient(about, json!({"active": true})), &[], &[]);
    let image =
        json!({"resourceType": "Binary", "id": "i", "contentType": "image/png", "data": "AAAA"});
    let narrative = |source: &str| json!({"text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><img src=\"{source}\" alt=\"x\"/></div>")}});
    check(&patient(image.clone(), narrative("#i")), &[], &[]);
    check(&patient(image, narrative("#other")), &[], &orphan);
}

#[test]
fn an_invariant_follows_references_and_asks_for_profiles() {
    const URL: &str = "http://example.org/StructureDefinition/asking";
    let constraint = |key: &str, expression: &str| json!({"key": key, "severity": "error", "human": "Words", "expression": expression, "source": URL});
    let asking = profile(
        URL,
        "Observation",
        &[
            json!({"path": "Observation", "min": 0, "max": "*", "constraint": [
                constraint("own-1", "subject.resolve().active"),
                constraint("own-2", &format!("subject.resolve().conformsTo('{NAMED}')")),
            ]}),
        ],
    );
    let named = patient_profile(
        NAMED,
        &json!({"path": "Patient.name", "min": 1, "max": "*", "type": [{"code": "HumanName"}]}),
    );
    let validator = core_with(&[&asking, &named]);
    let errors_of = |patient: Value| {
        let mut resource = observation("Patient/1");
        resource["meta"] = json!({"profile": [URL]});
        let bundle = bundle(&[
            ("http://example.org/fhir/Observation/1", resource),
            ("http://example.org/fhir/Patient/1", patient),
        ]);
        let tree = parse(&validator, &bundle.to_string());
        errors(&validator.validate(tree.root(), "Bundle", &[], &quiet()))
    };
    let patient = |is_active: bool, name: Value| json!({"resourceType": "Patient", "id": "1", "active": is_active, "name": name});
    assert_eq!(errors_of(patient(true, json!([{"text": "A"}]))), [""; 0]);
    assert_eq!(
        errors_of(patient(false, json!([{"text": "A"}]))),
        ["Bundle.entry[0].resource own-1"]
    );
    let nameless = json!({"resourceType": "Patient", "id": "1", "active": true});
    assert_eq!(errors_of(nameless), ["Bundle.entry[0].resource own-2"]);
}

/// A server with one patient, who is male.
struct Server(Tree);

impl Resolver for Server {
    fn resolve<'a>(&'a self, reference: &str, _: Option<Element<'a>>) -> Resolved<'a> {
        match reference {
            "Patient/1" => Item::resource(self.0.element(), core().definitions())
                .map_or(Resolved::Nothing, Resolved::Resource),
            _ => Resolved::Nothing,
        }
    }
}

#[test]
fn targets_elsewhere_are_asked_for_if_the_options_say_so() {
    let server = Server(parse(
        validator(),
        r#"{"resourceType": "Patient", "id": "1", "gender": "male"}"#,
    ));
    let errors_of = |subject: &str, references: References| {
        let options = Options {
            references,
            ..quiet()
        };
        let tree = parse(validator(), &observation(subject).to_string());
        let issues = validator().validate_with(
            tree.root(),
            "Observation",
            &[TARGETS],
            &options,
            Elsewhere::resources(&server),
        );
        errors(&issues)
    };
    let profile = ["Observation.subject.reference Observation.subject"];
    assert_eq!(errors_of("Patient/1", References::Inside), [""; 0]);
    assert_eq!(errors_of("Patient/1", References::IfFound), profile);
    assert_eq!(errors_of("Patient/2", References::IfFound), [""; 0]);
    assert_eq!(
        errors_of("Patient/2", References::MustExist),
        ["Observation.subject.reference Reference.reference"]
    );
}
