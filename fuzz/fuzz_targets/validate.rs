//! The tree parser and the validator: any bytes are a tree or are refused with their place; any tree
//! is validated without a panic, and written as JSON that is read as the same.

#![no_main]

use std::sync::LazyLock;

use baton_fuzz::definitions;
use fhir_model::tree::{Limits, Tree};
use fhir_validation::{Options, Validator};
use libfuzzer_sys::fuzz_target;

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| Validator::new(definitions()));

fuzz_target!(|data: &[u8]| {
    let validator = &*VALIDATOR;
    let names = validator.definitions().names();
    let Ok(tree) = Tree::parse(data, names, &Limits::default()) else {
        return;
    };
    let written = tree.to_json();
    let again = Tree::parse(written.as_str(), names, &Limits::CEILING).expect("what is written can be read");
    assert_eq!(again.to_json(), written);
    let resource_type = tree.resource_type().unwrap_or_default();
    let issues = validator.validate(tree.root(), &resource_type, &[], &Options::default());
    assert!(issues.len() <= Options::default().issues_max + 1);
});
