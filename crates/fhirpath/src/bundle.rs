//! What references between the entries of a Bundle point to:
//! <https://hl7.org/fhir/R4/bundle.html#references>.
//!
//! Whoever has more than one Bundle to look in, or a store, writes a [`Resolver`] of its own.

use std::collections::HashMap;

use fhir_model::definition::Definitions;
use fhir_model::element::Element;
use fhir_model::reference::Reference;

use crate::context::{Resolved, Resolver};
use crate::value::Item;

/// The resources of a Bundle, by `fullUrl` and by type and id.
#[derive(Debug)]
pub struct BundleResolver<'t> {
    by_url: HashMap<String, Item<'t>>,
    by_key: HashMap<String, Item<'t>>,
}

impl<'t> BundleResolver<'t> {
    /// The entries of this resource; none if it is no Bundle.
    pub fn new(bundle: Element<'t>, definitions: &Definitions) -> Self {
        let mut resolver = Self {
            by_url: HashMap::new(),
            by_key: HashMap::new(),
        };
        for entry in bundle.children_by_key("entry") {
            let resource = entry.child_by_key("resource");
            let Some(resource) = resource.and_then(|found| Item::resource(found, definitions))
            else {
                continue;
            };
            if let Some(url) = entry.child_by_key("fullUrl").and_then(Element::value_text) {
                let url = url.into_owned();
                resolver.by_url.entry(url).or_insert(resource.clone());
            }
            let id = resource.element().and_then(Element::id);
            if let Some(id) = id {
                let key = format!("{}/{id}", resource.type_name(definitions));
                resolver.by_key.entry(key).or_insert(resource);
            }
        }
        resolver
    }
}

impl Resolver for BundleResolver<'_> {
    fn resolve<'a>(&'a self, reference: &str, _from: Option<Element<'a>>) -> Resolved<'a> {
        let found = self.by_url.get(reference).or_else(|| {
            let Reference::Local(target) = Reference::parse(reference, None) else {
                return None;
            };
            self.by_key
                .get(&format!("{}/{}", target.resource_type, target.id))
        });
        found.map_or(Resolved::Nothing, |found| Resolved::Resource(found.clone()))
    }
}
