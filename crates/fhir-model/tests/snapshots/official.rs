//! Every profile of the packages of the official publisher, generated again from its differential.

use std::collections::BTreeMap;

use fhir_model::snapshot::Generator;
use serde_json::Value;

use crate::compare::compare;
use crate::packages::{Packages, find};

const CORE: &str = "hl7.fhir.r4.core-4.0.1";
const THO: &str = "hl7.terminology.r4-7.0.1";
const EXTENSIONS: &str = "hl7.fhir.uv.extensions.r4-5.3.0-ballot-tc1";
const SDC: &str = "hl7.fhir.uv.sdc-4.0.0-ballot";
const IPS: &str = "hl7.fhir.uv.ips-2.0.0";
const PFE: &str = "hl7.fhir.us.pacio-pfe-2.0.0-ballot";
const TOC: &str = "hl7.fhir.us.pacio-toc-1.0.0-ballot";
const US_CORE: [&str; 5] = [
    "hl7.fhir.us.core-3.1.1",
    "hl7.fhir.us.core-4.0.0",
    "hl7.fhir.us.core-6.1.0",
    "hl7.fhir.us.core-7.0.0",
    "hl7.fhir.us.core-8.0.0",
];

/// The packages, and those that they look into after themselves.
const PACKAGES: &[(&str, &[&str])] = &[
    (CORE, &[]),
    (THO, &[EXTENSIONS, CORE]),
    (EXTENSIONS, &[CORE]),
    (SDC, &[EXTENSIONS, CORE]),
    (IPS, &[EXTENSIONS, CORE]),
    (US_CORE[0], &[CORE]),
    (US_CORE[1], &[CORE]),
    (US_CORE[2], &[EXTENSIONS, SDC, CORE]),
    (US_CORE[3], &[EXTENSIONS, SDC, CORE]),
    (US_CORE[4], &[EXTENSIONS, SDC, CORE]),
    (PFE, &[US_CORE[2], EXTENSIONS, SDC, CORE]),
    (TOC, &[PFE, US_CORE[2], IPS, EXTENSIONS, SDC, CORE]),
];

#[test]
fn profiles_are_as_their_publishers_made_them() {
    let Some(mut packages) = Packages::new() else {
        return;
    };
    let verbose = std::env::var("SHOW").unwrap_or_default();
    let mut total = BTreeMap::new();
    let (mut profiles, mut same, mut elements, mut same_elements, mut same_texts) = (0, 0, 0, 0, 0);
    for (name, others) in PACKAGES {
        let mut names = vec![*name];
        names.extend(*others);
        let stack = packages.stack(&names);
        let source = |canonical: &str| find(&stack, canonical);
        let mut generator = Generator::new(&source);
        let (mut p, mut s) = (0, 0);
        for structure in &stack[0].structures {
            if structure["derivation"] != "constraint"
                || structure["snapshot"].is_null()
                || structure["differential"].is_null()
            {
                continue;
            }
            p += 1;
            let url = structure["url"].as_str().unwrap();
            let mut stripped = Value::clone(structure);
            stripped.as_object_mut().unwrap().shift_remove("snapshot");
            let generated = match generator.generate(&stripped) {
                Ok(generated) => generated,
                Err(problem) => {
                    println!("ERR {problem}");
                    *total.entry("failed").or_insert(0) += 1;
                    elements += crate::compare::elements(structure).len();
                    continue;
                }
            };
            for problem in &generated.problems {
                if problem.kind.severity() >= fhir_model::issue::Severity::Error {
                    println!("PROBLEM {problem}");
                }
            }
            let comparison = compare(&generated.structure, structure);
            elements += comparison.elements;
            same_elements += comparison.same;
            same_texts += comparison.same_texts;
            s += usize::from(comparison.differences.is_empty());
            for (property, differences) in &comparison.differences {
                *total.entry(property).or_insert(0) += differences.len();
                if verbose == "all" || verbose == *property {
                    for (id, words) in differences.iter().take(3) {
                        println!("{property} {url} {id} {words}");
                    }
                }
            }
        }
        println!("== {name} {s} of {p}");
        profiles += p;
        same += s;
    }
    println!(
        "{same} of {profiles} profiles, {same_elements} of {elements} elements, texts {same_texts}; {total:#?}"
    );
}
