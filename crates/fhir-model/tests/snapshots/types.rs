//! Every type and resource of R4, generated again from its differential.
//!
//! R4's own build made them with rules of its own, which are listed here; its tools for profiles,
//! which are followed, do not have them.

use std::collections::BTreeMap;

use fhir_model::snapshot::Generator;
use serde_json::Value;

use crate::compare::{Difference, compare};
use crate::packages::{Packages, find};

/// What differs by such a rule, how often, and what the rule is.
const RULES: &[(&str, usize, &str)] = &[
    (
        "constraint",
        4_726,
        "the build gave elements the constraints of their types, `ele-1` and `ext-1`",
    ),
    (
        "slicing",
        756,
        "the build took no slicing of extensions over from DomainResource and Element",
    ),
    (
        "value",
        5,
        "the build took no limits of a value over into a narrower primitive type",
    ),
];

#[test]
fn types_are_as_r4_defines_them() {
    let Some(mut packages) = Packages::new() else {
        return;
    };
    let stack = packages.stack(&["hl7.fhir.r4.core-4.0.1"]);
    let source = |canonical: &str| find(&stack, canonical);
    let mut generator = Generator::new(&source);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut types = 0;
    for structure in stack[0]
        .structures
        .iter()
        .filter(|structure| defines_type(structure))
    {
        types += 1;
        let mut stripped = Value::clone(structure);
        stripped.as_object_mut().unwrap().shift_remove("snapshot");
        let generated = generator.generate(&stripped).unwrap();
        assert_eq!(generated.problems, []);
        for difference in compare(&generated.structure, structure).differences {
            assert!(
                is_of_a_rule(&difference),
                "{}: {difference}",
                structure["id"]
            );
            *counts.entry(difference.property).or_default() += 1;
        }
    }
    println!("{types} types and resources, in which differ");
    for (property, count, rule) in RULES {
        println!("{count:5} × {property}: {rule}");
    }
    let expected: BTreeMap<&str, usize> = RULES
        .iter()
        .map(|(property, count, _)| (*property, *count))
        .collect();
    assert_eq!(types, 209);
    assert_eq!(counts, expected);
}

fn defines_type(structure: &Value) -> bool {
    structure["derivation"] != "constraint"
        && structure["kind"] != "logical"
        && !structure["differential"].is_null()
}

/// Whether a difference is one of [`RULES`].
fn is_of_a_rule(difference: &Difference) -> bool {
    match difference.property {
        "constraint" => {
            let published = difference.published.as_array().unwrap().iter();
            let others = published.filter(|key| **key != "ele-1" && **key != "ext-1");
            others.eq(difference.generated.as_array().unwrap())
        }
        "slicing" => difference.published.is_null() && difference.element.contains("xtension"),
        "value" => difference.published == Value::Array(Vec::new()),
        _ => false,
    }
}
