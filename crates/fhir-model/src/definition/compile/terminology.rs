//! Code systems, value sets and concept maps.
//!
//! First what the resources say is put into tables, then [`link`] finds what it refers to. What a
//! code means for a value set is answered from the tables (`definition::terminology::value_set`).

mod code_system;
mod concept_map;
mod filter;
mod link;
mod value_set;

use serde_json::Value;

use super::{Compiler, list_of, text_of};
use crate::definition::terminology::Designation;
use crate::definition::{Span, Text};

impl Compiler {
    /// A nested object as JSON text.
    fn intern_json(&mut self, object: &Value, name: &str) -> Option<Text> {
        let value = object.get(name)?;
        Some(self.intern(&value.to_string()))
    }

    /// The designations of a concept, here or in a value set.
    fn designations(&mut self, concept: &Value) -> Span {
        let designations = list_of(concept, "designation");
        let start = self.definitions.terminology.designations.len();
        for designation in designations {
            let Some(value) = self.intern_property(designation, "value") else {
                continue;
            };
            let compiled = Designation {
                language: self.intern_property(designation, "language"),
                use_coding: self.intern_json(designation, "use"),
                value,
            };
            self.definitions.terminology.designations.push(compiled);
        }
        if designations.is_empty() {
            return Span::default();
        }
        Span::since(start, &self.definitions.terminology.designations)
    }
}

/// A number that is not negative.
fn count_of(object: &Value, name: &str) -> Option<u32> {
    object.get(name)?.as_u64()?.try_into().ok()
}

/// The language of a resource.
fn language_of(compiler: &mut Compiler, resource: &Value) -> Option<Text> {
    text_of(resource, "language").map(|language| compiler.intern(language))
}
