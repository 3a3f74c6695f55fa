//! The XML transcoder: any bytes are a resource or are refused; what was read is written and read
//! again as the same.

#![no_main]

use baton_fuzz::definitions;
use fhir_model::tree::{Limits, Tree};
use fhir_model::xml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let definitions = definitions();
    let Ok(json) = xml::to_json(data, &definitions) else {
        return;
    };
    let tree = Tree::parse(json.as_str(), definitions.names(), &Limits::CEILING)
        .expect("what the transcoder makes is JSON");
    if let Ok(written) = xml::from_tree(tree.root(), &definitions) {
        let again = xml::to_json(written, &definitions).expect("what is written can be read");
        assert_eq!(again, json);
    }
});
