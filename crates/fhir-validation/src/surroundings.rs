//! What an invariant may ask of the world around the element: other resources of the same Bundle
//! for `resolve()`, and profiles for `conformsTo()`. What it may ask of codes is in `terminology`.

use std::rc::Rc;

use fhir_model::element::Element;
use fhir_model::name::Name;
use fhir_model::tree::Kind;
use fhirpath::{Context, Item, Profiles, Resolved, Resolver};

use crate::Elsewhere;
use crate::beside::Found;
use crate::walk::Walk;

/// How deep a profile may ask, by an invariant, whether something conforms to a profile.
const CONFORMS_DEPTH_MAX: usize = 4;

/// What a validation knows, for expressions.
pub(crate) struct Surroundings<'w, 'a>(pub(crate) &'w Walk<'a>);

impl<'a> Walk<'a> {
    /// The context that expressions are evaluated in.
    pub(crate) fn expression_context<'w>(
        &'w self,
        surroundings: &'w Surroundings<'w, 'a>,
    ) -> Context<'w> {
        let mut context: Context<'w> = Context::new(self.definitions);
        context.resource.clone_from(&self.resource);
        context.root_resource.clone_from(&self.root);
        context.resolver = Some(surroundings);
        context.profiles = Some(surroundings);
        context.terminology = Some(surroundings);
        context.now = self.options.now;
        context.steps_left = Some(&self.steps_left);
        context
    }
}

impl Resolver for Surroundings<'_, '_> {
    fn resolve<'r>(&'r self, reference: &str, from: Option<Element<'r>>) -> Resolved<'r> {
        let walk = self.0;
        let at = from.map_or(walk.container.id(), |element| element.node().id());
        let beside = walk.beside.as_deref();
        if let Some(Found::Resource(resource)) = beside.map(|beside| beside.find(reference, at)) {
            let item = Item::resource(Element::of(resource), walk.definitions);
            return item.map_or(Resolved::Nothing, Resolved::Resource);
        }
        match walk.elsewhere.resolver {
            Some(resolver) => resolver.resolve(reference, from),
            None => Resolved::Nothing,
        }
    }
}

impl Profiles for Surroundings<'_, '_> {
    fn conforms_to(&self, item: &Item<'_>, profile: &str) -> Option<bool> {
        let walk = self.0;
        let Item::Node { element, type_id } = item else {
            return None;
        };
        let structure = walk.definitions.structure(profile)?;
        if walk.depth == CONFORMS_DEPTH_MAX {
            return None;
        }
        let node = element.value()?;
        let wanted = walk.definitions.structure_of(structure);
        if !walk.definitions.is_subtype_of(*type_id, wanted.type_id) {
            return Some(false);
        }
        let elsewhere = Elsewhere {
            resolver: None,
            ..walk.elsewhere
        };
        let mut inner = Walk::new(walk.definitions, walk.rules, walk.options, node, elsewhere);
        inner.depth = walk.depth + 1;
        inner.steps_left = Rc::clone(&walk.steps_left);
        inner.resource = Item::resource(Element::of(node), walk.definitions);
        inner.root.clone_from(&inner.resource);
        if inner.resource.is_none() {
            inner.container = walk.container;
            inner.resource.clone_from(&walk.resource);
            inner.root.clone_from(&walk.root);
        }
        if node.kind() == Kind::Object {
            inner.object(node, Name::UNKNOWN, *type_id, *type_id);
        }
        inner.apply(node, structure);
        Some(!inner.findings.has_errors())
    }
}
