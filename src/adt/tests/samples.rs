//! What is mapped is valid R4, and mapping it again changes nothing: for every sample message of
//! the ADT folder, where there is one, and for anything in any field.
#![expect(
    clippy::disallowed_methods,
    reason = "a test may ask where the samples are"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use fhir_model::tree::{Limits, Tree};
use fhir_validation::{Options, Validator};
use hl7v2::{Message, batch};
use serde_json::Value;

use crate::adt::encounter::{References, encounter};
use crate::adt::tests::{message, received};
use crate::adt::visit::{Visit, fold};
use crate::adt::{
    Arrival, Put, VisitIdentifier, code_map, condition, coverage, patient, provenance,
    related_person,
};
use crate::config::Feed;

/// `$BATON_SHARED_DATA`, else `../shared/data` beside the repository.
fn samples() -> Vec<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = std::env::var("BATON_SHARED_DATA").map_or_else(|_| beside(), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(data.join("adt/messages")) else {
        println!("left out: the ADT samples are not at {}", data.display());
        return Vec::new();
    };
    let files = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "hl7"))
        .collect();
    files.sort();
    files
}

/// Ids in their order: `1`, `2`, …
fn ids() -> impl FnMut() -> String {
    let mut last = 0;
    move || {
        last += 1;
        last.to_string()
    }
}

/// All that the last of these messages becomes, with the visit that it has with the others, onto what there is already.
fn mapped(arrivals: &[Arrival<'_>], known: &[Value]) -> Vec<Value> {
    let arrival = arrivals.last().copied().unwrap();
    let feed = arrival.feed;
    let of_type = |name: &str| -> Vec<Value> {
        let of_type = known.iter().filter(|known| known["resourceType"] == name);
        of_type.cloned().collect()
    };
    let visit = arrival
        .visit_identifier()
        .and_then(|identifier| fold(&identifier, arrivals));
    let died = visit.as_ref().is_some_and(Visit::ended_in_death);
    let identifiers = arrival.patient_identifiers();
    let existing = of_type("Patient");
    let person = patient::patient(&arrival, &identifiers, "p", existing.first(), true, died);
    let mut resources = vec![person];
    if let Some(visit) = &visit {
        let known = of_type("Condition");
        let puts = condition::conditions(&visit.diagnoses, "e", "p", &known, ids());
        let diagnoses = puts.iter().zip(&visit.diagnoses);
        let diagnoses = diagnoses.map(|(put, diagnosis)| {
            let role = code_map::diagnosis_type(&diagnosis.kind).0;
            (put.reference(), role, diagnosis.rank)
        });
        let references = References {
            id: "e",
            patient_id: "p",
            diagnoses: diagnoses.collect(),
        };
        let existing = of_type("Encounter");
        resources.push(encounter(visit, feed, &references, existing.first()));
        resources.extend(puts.into_iter().map(|put| put.resource));
    }
    let known = of_type("RelatedPerson");
    let people = related_person::related_persons(&arrival, "p", &known, ids());
    let known = of_type("Coverage");
    let coverages = coverage::coverages(&arrival, "p", &known, ids());
    let relations = people.into_iter().chain(coverages);
    resources.extend(relations.map(|Put { resource, .. }| resource));
    let targets = ["Patient/p/_history/1".to_owned()];
    resources.push(provenance::provenance(
        &arrival,
        "v",
        "2026-12-31T00:00:00Z",
        &targets,
    ));
    resources
}

fn errors(validator: &Validator, resource: &Value) -> Vec<String> {
    let kind = resource["resourceType"].as_str().unwrap_or_default();
    let json = resource.to_string().into_bytes();
    let names = validator.definitions().names();
    let tree = match Tree::parse(json, names, &Limits::default()) {
        Ok(tree) => tree,
        Err(error) => return vec![format!("{kind}: {error}")],
    };
    let issues = validator.validate(tree.root(), kind, &[], &Options::default());
    let errors = issues.iter().filter(|issue| issue.is_error());
    errors.map(|issue| format!("{kind}: {issue}")).collect()
}

/// What senders put into fields where it does not belong.
const ODD: &[&str] = &[
    "\"\"",
    " ",
    "a  b",
    "\\X0109\\x",
    "\\.br\\",
    "1&2^3&4^5&6^7&8&ISO^9~",
    "x^y^z^&not an oid&ISO^M R^^bad",
    "^^^^^^",
    "20261399",
    "20260803250000+9900",
    "00000000",
    "-1",
    "0",
    "99999999999999999999",
    "Y",
    "\u{1F3E5}\u{A0}",
];

#[test]
fn anything_in_any_field_gives_valid_resources() {
    const SEGMENTS: &[(&str, usize)] = &[
        ("EVN", 6),
        ("PID", 40),
        ("PD1", 12),
        ("NK1", 7),
        ("PV1", 52),
        ("PV2", 22),
        ("DG1", 21),
        ("IN1", 36),
    ];
    let validator = Validator::new(crate::definitions::embedded());
    let feed = Feed::unclaimed();
    let mut wrong = Vec::new();
    for (segment, count) in SEGMENTS {
        for (field, odd) in (1..=*count).flat_map(|field| ODD.iter().map(move |odd| (field, odd))) {
            let line = format!(
                "A03 20260804110200 NK1-2 Example^Bert, DG1-3 I50.9^^I10, IN1-4 Payer, \
                 PV1-2 I, {segment}-{field} {odd}"
            );
            let message = message(&line);
            let arrival = Arrival {
                message: &message,
                feed: &feed,
                row: 1,
                received: received(),
            };
            let produced = mapped(&[arrival], &[]);
            assert_eq!(
                mapped(&[arrival], &produced),
                produced,
                "{segment}-{field} {odd:?}"
            );
            let errors = produced
                .iter()
                .flat_map(|resource| errors(&validator, resource));
            wrong.extend(errors.map(|error| format!("{segment}-{field} {odd:?}: {error}")));
        }
    }
    assert!(wrong.is_empty(), "{}: {:#?}", wrong.len(), wrong);
}

#[test]
fn what_samples_are_mapped_to_is_valid() {
    let validator = Validator::new(crate::definitions::embedded());
    let feed = Feed::unclaimed();
    let (mut messages, mut visits) = (0, 0);
    let mut resources: BTreeMap<String, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for path in samples() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        let parsed: Vec<Message> = batch::split(&bytes)
            .messages()
            .map(|bytes| hl7v2::parse(bytes).unwrap().message)
            .collect();
        let arrivals = parsed.iter().zip(1..).map(|(message, row)| Arrival {
            message,
            feed: &feed,
            row,
            received: received(),
        });
        let mut of_visits: HashMap<VisitIdentifier, Vec<Arrival<'_>>> = HashMap::new();
        for arrival in arrivals {
            let is_adt = arrival.message.message_code().as_deref() == Some("ADT");
            if !is_adt || arrival.event().is_none() {
                continue;
            }
            messages += 1;
            let together = match arrival.visit_identifier() {
                Some(visit) => {
                    let of_visit = of_visits.entry(visit).or_default();
                    of_visit.push(arrival);
                    visits += u32::from(of_visit.len() == 1);
                    of_visit.clone()
                }
                None => vec![arrival],
            };
            let produced = mapped(&together, &[]);
            assert_eq!(mapped(&together, &produced), produced, "{name}");
            for resource in produced {
                let kind = resource["resourceType"].as_str().unwrap_or_default();
                *resources.entry(kind.to_owned()).or_default() += 1;
                let errors = errors(&validator, &resource);
                wrong.extend(errors.iter().map(|error| format!("{name}: {error}")));
            }
        }
    }
    println!("{messages} messages, {visits} visits: {resources:?}");
    assert!(wrong.is_empty(), "{}: {:#?}", wrong.len(), wrong);
}
