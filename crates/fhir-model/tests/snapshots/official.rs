//! Every profile of the packages of the official publisher, generated again from its differential
//! and the published snapshots of other structures.
//!
//! Publishers of several years made them. Where they disagree among themselves, the newest is
//! followed; what then differs is listed below, by reason, with the number of differences.

use std::collections::BTreeMap;

use fhir_model::issue::Severity;
use fhir_model::snapshot::Generator;
use serde_json::Value;

use crate::compare::{Comparison, compare};
use crate::packages::{Packages, find};

const CORE: &str = "hl7.fhir.r4.core-4.0.1";
const THO: &str = "hl7.terminology.r4-7.0.1";
const EXTENSIONS: &str = "hl7.fhir.uv.extensions.r4-5.3.0-ballot-tc1";
const SDC: &str = "hl7.fhir.uv.sdc-4.0.0-ballot";
const IPS: &str = "hl7.fhir.uv.ips-2.0.0";
const PFE: &str = "hl7.fhir.us.pacio-pfe-2.0.0-ballot";
const TOC: &str = "hl7.fhir.us.pacio-toc-1.0.0-ballot";
const US_CORE_3: &str = "hl7.fhir.us.core-3.1.1";
const US_CORE_4: &str = "hl7.fhir.us.core-4.0.0";
const US_CORE_6: &str = "hl7.fhir.us.core-6.1.0";
const US_CORE_7: &str = "hl7.fhir.us.core-7.0.0";
const US_CORE_8: &str = "hl7.fhir.us.core-8.0.0";

/// The packages, and those that they look into after themselves.
const PACKAGES: &[(&str, &[&str])] = &[
    (CORE, &[]),
    (THO, &[EXTENSIONS, CORE]),
    (EXTENSIONS, &[CORE]),
    (SDC, &[EXTENSIONS, CORE]),
    (IPS, &[EXTENSIONS, CORE]),
    (US_CORE_3, &[CORE]),
    (US_CORE_4, &[CORE]),
    (US_CORE_6, &[EXTENSIONS, SDC, CORE]),
    (US_CORE_7, &[EXTENSIONS, SDC, CORE]),
    (US_CORE_8, &[EXTENSIONS, SDC, CORE]),
    (PFE, &[US_CORE_6, EXTENSIONS, SDC, CORE]),
    (TOC, &[PFE, US_CORE_6, IPS, EXTENSIONS, SDC, CORE]),
];

/// Profiles of a package by their ids, and how many differences each has.
type Differing = (&'static str, &'static [(&'static str, usize)]);

/// Why profiles differ from what was published, and which.
const DIFFERENCES: &[(&str, &[Differing])] = &[
    (
        "Publishers before 2023 took a short form such as `valueQuantity` to restrict the types of \
         `value[x]`. It restricts nothing but its own type, as newer ones know.",
        &[
            (
                CORE,
                &[
                    ("bodyheight", 2),
                    ("bodytemp", 2),
                    ("bodyweight", 2),
                    ("bp", 2),
                    ("headcircum", 2),
                    ("heartrate", 2),
                    ("oxygensat", 2),
                    ("resprate", 2),
                    ("triglyceride", 2),
                ],
            ),
            (
                US_CORE_3,
                &[
                    ("head-occipital-frontal-circumference-percentile", 2),
                    ("pediatric-bmi-for-age", 2),
                    ("pediatric-weight-for-height", 2),
                    ("us-core-goal", 2),
                ],
            ),
            (
                US_CORE_4,
                &[
                    ("head-occipital-frontal-circumference-percentile", 2),
                    ("pediatric-bmi-for-age", 2),
                    ("pediatric-weight-for-height", 2),
                    ("us-core-bmi", 2),
                    ("us-core-body-height", 2),
                    ("us-core-body-temperature", 2),
                    ("us-core-body-weight", 2),
                    ("us-core-head-circumference", 2),
                    ("us-core-heart-rate", 2),
                    ("us-core-respiratory-rate", 2),
                ],
            ),
        ],
    ),
    (
        "As above, and R4's own publisher added the constraints of SimpleQuantity to an element \
         that has been one in the base without them.",
        &[(
            CORE,
            &[
                ("cholesterol", 3),
                ("hdlcholesterol", 3),
                ("ldlcholesterol", 3),
            ],
        )],
    ),
    (
        "What a differential says of the children of an element that it slices holds for the \
         slices. Publishers write that into the slices since 2025.",
        &[
            (CORE, &[("provenance-relevant-history", 2)]),
            (
                US_CORE_3,
                &[
                    ("us-core-organization", 16),
                    ("us-core-practitioner", 8),
                    ("us-core-provenance", 13),
                ],
            ),
            (
                US_CORE_4,
                &[
                    ("us-core-organization", 16),
                    ("us-core-practitioner", 8),
                    ("us-core-provenance", 12),
                ],
            ),
            (
                US_CORE_6,
                &[
                    ("us-core-organization", 24),
                    ("us-core-practitioner", 8),
                    ("us-core-provenance", 10),
                ],
            ),
            (
                US_CORE_7,
                &[
                    ("us-core-average-blood-pressure", 2),
                    ("us-core-organization", 24),
                    ("us-core-practitioner", 8),
                    ("us-core-provenance", 10),
                ],
            ),
        ],
    ),
    (
        "It was made with another version of the extensions, of SDC, or of extensions for elements \
         of R5 than are here.",
        &[
            (
                SDC,
                &[
                    ("sdc-questionnaire-behave", 2),
                    ("sdc-questionnaireresponsecommon", 3),
                ],
            ),
            (US_CORE_6, &[("us-core-questionnaireresponse", 19)]),
            (US_CORE_7, &[("us-core-questionnaireresponse", 19)]),
            (US_CORE_8, &[("us-core-questionnaireresponse", 19)]),
        ],
    ),
    (
        "A differential that slices what does not repeat, without saying how; the publisher made \
         the slice of the element itself.",
        &[(CORE, &[("catalog", 1), ("familymemberhistory-genetic", 14)])],
    ),
    (
        "Older publishers went into elements that the differential does not go into: children of \
         extensions in an extension, and of an extension without changes.",
        &[
            (CORE, &[("elementdefinition-de", 8)]),
            (
                US_CORE_3,
                &[("us-core-ethnicity", 12), ("us-core-race", 12)],
            ),
            (
                US_CORE_4,
                &[("us-core-ethnicity", 12), ("us-core-race", 12)],
            ),
        ],
    ),
    (
        "Publishers of 2019 took the maximum of an extension from the profile only sometimes.",
        &[(CORE, &[("clinicaldocument", 1)])],
    ),
    (
        "The publisher of SDC started an element from the root of the profile of its type, which \
         newer ones do for extensions and resources only.",
        &[(SDC, &[("sdc-questionnaire-search", 2)])],
    ),
];

/// Official profiles that the reference generator complains of as well.
const FAULTY: &[(&str, &[&str])] = &[
    (CORE, &["catalog", "familymemberhistory-genetic"]),
    (US_CORE_4, &["us-core-vital-signs"]),
    (US_CORE_6, &["us-core-vital-signs"]),
    (US_CORE_7, &["us-core-vital-signs"]),
    (US_CORE_8, &["us-core-vital-signs"]),
];

/// What came of the profiles.
#[derive(Default)]
struct Outcome {
    profiles: usize,
    elements: usize,
    same_elements: usize,
    same_texts: usize,
    /// How many differences of each property there are.
    by_property: BTreeMap<&'static str, usize>,
    /// Profiles that differ, by package and id, with the number of differences.
    differing: BTreeMap<(&'static str, String), usize>,
    /// Profiles with errors.
    faulty: Vec<(&'static str, String)>,
}

#[test]
fn profiles_are_as_their_publishers_made_them() {
    let Some(mut packages) = Packages::new() else {
        return;
    };
    let mut outcome = Outcome::default();
    for (name, others) in PACKAGES {
        let mut names = vec![*name];
        names.extend(*others);
        let stack = packages.stack(&names);
        let source = |canonical: &str| find(&stack, canonical);
        let mut generator = Generator::new(&source);
        for structure in stack[0]
            .structures
            .iter()
            .filter(|structure| is_profile(structure))
        {
            outcome.judge(name, structure, &mut generator);
        }
    }
    outcome.print();
    assert_eq!(outcome.profiles, 1516);
    assert_eq!(outcome.differing, listed());
    assert_eq!(outcome.faulty, faulty());
    assert!(outcome.same_elements * 1000 > outcome.elements * 995);
    assert!(outcome.same_texts * 1000 > outcome.elements * 990);
}

/// Whether it is a profile of which the publisher made a snapshot.
fn is_profile(structure: &Value) -> bool {
    structure["derivation"] == "constraint"
        && !structure["snapshot"].is_null()
        && !structure["differential"].is_null()
}

impl Outcome {
    fn judge(&mut self, package: &'static str, published: &Value, generator: &mut Generator<'_>) {
        let id = published["id"].as_str().unwrap().to_owned();
        let mut stripped = published.clone();
        stripped.as_object_mut().unwrap().shift_remove("snapshot");
        let generated = generator.generate(&stripped).unwrap();
        let is_error = |severity: Severity| severity >= Severity::Error;
        if generated
            .problems
            .iter()
            .any(|problem| is_error(problem.kind.severity()))
        {
            self.faulty.push((package, id.clone()));
        }
        let comparison = compare(&generated.structure, published);
        self.count(&comparison);
        if !comparison.differences.is_empty() {
            self.differing
                .insert((package, id), comparison.differences.len());
        }
    }

    fn count(&mut self, comparison: &Comparison) {
        self.profiles += 1;
        self.elements += comparison.elements;
        self.same_elements += comparison.same;
        self.same_texts += comparison.same_texts;
        for difference in &comparison.differences {
            *self.by_property.entry(difference.property).or_default() += 1;
        }
    }

    fn print(&self) {
        let same = self.profiles - self.differing.len();
        println!("{same} of {} profiles are the same", self.profiles);
        println!("{} of {} elements are", self.same_elements, self.elements);
        println!("{} have the same texts", self.same_texts);
        for (property, count) in &self.by_property {
            println!("{count:4} × {property}");
        }
        for (why, packages) in DIFFERENCES {
            let profiles: usize = packages.iter().map(|(_, profiles)| profiles.len()).sum();
            println!("{profiles:4} profiles: {why}");
        }
    }
}

/// The profiles of [`DIFFERENCES`].
fn listed() -> BTreeMap<(&'static str, String), usize> {
    let packages = DIFFERENCES.iter().flat_map(|(_, packages)| *packages);
    packages
        .flat_map(|(package, profiles)| {
            profiles
                .iter()
                .map(|(id, count)| ((*package, (*id).to_owned()), *count))
        })
        .collect()
}

/// The profiles of [`FAULTY`].
fn faulty() -> Vec<(&'static str, String)> {
    FAULTY
        .iter()
        .flat_map(|(package, ids)| ids.iter().map(|id| (*package, (*id).to_owned())))
        .collect()
}
