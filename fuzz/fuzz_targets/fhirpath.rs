//! FHIRPath: any expression on any resource ends, within its limits, without a panic; what is
//! printed is read again as the same.
//!
//! An input is an expression, a line with nothing but `---`, and a resource; without the line the
//! resource is a Patient.

#![no_main]

use baton_fuzz::definitions;
use fhir_model::tree::{Limits as TreeLimits, Tree};
use fhirpath::{
    BundleResolver, Context, Expression, Item, Limits, Options, ParseErrorKind, Temporal,
};
use libfuzzer_sys::fuzz_target;

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","active":true,"name":[{"use":"official",
"family":"A","given":["B","C"]}],"birthDate":"1974-12-25","multipleBirthInteger":2,
"extension":[{"url":"u","valueQuantity":{"value":1.50,"unit":"mg","code":"mg"}}]}"#;

/// Small, so that an input that only works hard is soon done with.
const LIMITS: Limits = Limits {
    steps_max: 20_000,
    items_max: 2_000,
    string_bytes_max: 1 << 16,
};

fuzz_target!(|data: &str| {
    let (text, resource) = data.split_once("\n---\n").unwrap_or((data, PATIENT));
    let Ok(syntax) = fhirpath::parse(text) else {
        return;
    };
    let printed = syntax.to_string();
    match fhirpath::parse(&printed) {
        Ok(again) => assert_eq!(again.to_string(), printed),
        // Parentheses show how it is understood, and count.
        Err(error) => assert!(
            matches!(error.kind, ParseErrorKind::TooDeep { .. }),
            "{error}"
        ),
    }
    let definitions = definitions();
    let Ok(tree) = Tree::parse(resource, definitions.names(), &TreeLimits::default()) else {
        return;
    };
    let Some(item) = Item::resource(tree.element(), &definitions) else {
        return;
    };
    let Item::Node { type_id, .. } = item else {
        return;
    };
    let resolver = BundleResolver::new(tree.element(), &definitions);
    let context = Context {
        resolver: Some(&resolver),
        now: Temporal::parse_date_time("2026-03-02T10:00:00Z"),
        limits: LIMITS,
        ..Context::new(&definitions)
    };
    for (root, check, exact) in [(None, false, false), (Some(type_id), true, true)] {
        let options = Options { root, check, exact, json_names: false };
        let Ok(expression) = Expression::compile_with(text, &definitions, &options) else {
            continue;
        };
        if let Ok(items) = expression.evaluate(&context, item.clone()) {
            let mut json = String::new();
            for item in &items {
                item.write_json(&definitions, &mut json);
            }
        }
        let _ = expression.evaluate_bool(&context, item.clone());
    }
});
