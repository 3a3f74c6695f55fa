//! Which slice an occurrence belongs to, by the checks that [`crate::profile::discriminator`]
//! compiles: <https://hl7.org/fhir/R4/profiling.html#discriminator>.
//!
//! The answer may be that it cannot be told: behind a reference that leads out of sight, no more
//! than the type is known.

use fhir_model::definition::TypeId;
use fhir_model::element::Element as Instance;
use fhir_model::tree::{Kind, Node};

use crate::profile::{Check, Matcher, Slice, SlicingRule, Step, Test};
use crate::walk::Walk;

/// The slice that an occurrence belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    To(usize),
    ToNone,
    /// That cannot be told.
    Unclear,
}

impl<'a> Walk<'a> {
    /// The slice that an occurrence of this type belongs to: the first that it matches.
    pub(super) fn slice_of(
        &mut self,
        slicing: &'a SlicingRule,
        instance: Instance<'a>,
        type_id: TypeId,
    ) -> Belongs {
        let mut otherwise = if slicing.unclear.is_some() {
            Belongs::Unclear
        } else {
            Belongs::ToNone
        };
        for (at, slice) in slicing.slices.iter().enumerate() {
            if slice.matchers.is_empty() {
                continue;
            }
            match self.belongs(slice, instance, type_id) {
                Some(true) => return Belongs::To(at),
                Some(false) => {}
                None => otherwise = Belongs::Unclear,
            }
        }
        match slicing.slices.iter().position(|slice| slice.is_default) {
            Some(at) if otherwise == Belongs::ToNone => Belongs::To(at),
            _ => otherwise,
        }
    }

    /// Whether an occurrence matches all discriminators of a slice.
    fn belongs(
        &mut self,
        slice: &'a Slice,
        instance: Instance<'a>,
        type_id: TypeId,
    ) -> Option<bool> {
        let mut all = Some(true);
        for matcher in &slice.matchers {
            match self.matches(matcher, instance, type_id) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => all = None,
            }
        }
        all
    }

    fn matches(
        &mut self,
        matcher: &'a Matcher,
        instance: Instance<'a>,
        type_id: TypeId,
    ) -> Option<bool> {
        any(&matcher.alternatives, |checks| {
            let mut all = Some(true);
            for check in checks {
                match self.holds(check, instance, type_id) {
                    Some(true) => {}
                    Some(false) => return Some(false),
                    None => all = None,
                }
            }
            all
        })
    }

    fn holds(&mut self, check: &'a Check, instance: Instance<'a>, type_id: TypeId) -> Option<bool> {
        let found = self.look(&check.steps, instance, type_id, &check.test);
        match check.test {
            Test::Exists(wanted) => found.map(|found| found == wanted),
            _ => found,
        }
    }

    /// Whether something that the steps lead to passes the test. As deep as the steps are many.
    fn look(
        &mut self,
        steps: &'a [Step],
        instance: Instance<'a>,
        type_id: TypeId,
        test: &'a Test,
    ) -> Option<bool> {
        let Some((step, further)) = steps.split_first() else {
            return self.passes(test, instance, type_id);
        };
        match step {
            Step::Child(forms) => any(forms, |form| {
                any(instance.children(form.name), |child| {
                    self.look(further, child, form.type_id, test)
                })
            }),
            Step::Extension(url) => {
                let extension = self.rules.known.extension?;
                let of_url = instance
                    .extensions()
                    .filter(|extension| has_url(*extension, url));
                any(of_url, |found| self.look(further, found, extension, test))
            }
            Step::OfType(wanted) => {
                if self.is_of_type(instance, type_id, &[*wanted]) {
                    self.look(further, instance, type_id, test)
                } else {
                    Some(false)
                }
            }
            Step::Resolve => self.look_behind(further, instance, test),
        }
    }

    /// Goes on at the resource that a reference leads to.
    fn look_behind(
        &mut self,
        further: &'a [Step],
        instance: Instance<'a>,
        test: &'a Test,
    ) -> Option<bool> {
        let names = &self.rules.known.names;
        let value = instance.value()?;
        let (reference, stated) = match value.kind() {
            Kind::Object => (value.get(names.reference), value.get(names.type_name)),
            _ => (Some(value), None),
        };
        let found = reference.and_then(|reference| self.resolve(reference));
        if let Some((resource, is_contained)) = found {
            let type_id = self
                .definitions
                .resource_type(&resource.get(names.resource_type)?.as_str()?)?;
            return self.within_target(resource, is_contained, |walk| {
                walk.look(further, Instance::of(resource), type_id, test)
            });
        }
        let type_id = reference
            .and_then(|reference| self.type_by_url(reference))
            .or_else(|| self.definitions.resource_type(&stated?.as_str()?))?;
        self.passes_by_type(further, type_id, test)
    }

    /// What can be told of a resource of which only the type is known.
    fn passes_by_type(&self, further: &[Step], type_id: TypeId, test: &Test) -> Option<bool> {
        let is_of = |wanted: TypeId| self.definitions.is_subtype_of(type_id, wanted);
        match (further, test) {
            ([], Test::Type(types)) => Some(types.iter().any(|wanted| is_of(*wanted))),
            // It may well be of the type and still not satisfy the profile.
            ([], Test::Profile(profiles)) => {
                let wanted = |profile| self.definitions.structure_of(profile).type_id;
                let may_be = profiles.iter().any(|profile| is_of(wanted(*profile)));
                (!may_be).then_some(false)
            }
            ([], Test::Exists(_)) => Some(true),
            _ => None,
        }
    }

    fn passes(&mut self, test: &'a Test, instance: Instance<'a>, type_id: TypeId) -> Option<bool> {
        let value = instance.value();
        Some(match test {
            Test::Fixed(expected) => value.is_some_and(|value| expected.is_equal_to(value)),
            Test::Pattern(expected) => value.is_some_and(|value| expected.is_contained_in(value)),
            Test::Code(bound) => value.is_some_and(|value| self.is_member(value, *bound)),
            Test::Type(types) => self.is_of_type(instance, type_id, types),
            Test::Profile(profiles) => {
                let value = value?;
                profiles
                    .iter()
                    .any(|profile| self.satisfies(value, *profile))
            }
            Test::Exists(_) => true,
        })
    }

    fn is_of_type(&self, instance: Instance<'a>, type_id: TypeId, types: &[TypeId]) -> bool {
        let actual = match instance.value() {
            Some(value) => self.actual_type(value, type_id),
            None => Some(type_id),
        };
        actual.is_some_and(|actual| {
            let mut types = types.iter();
            types.any(|wanted| self.definitions.is_subtype_of(actual, *wanted))
        })
    }
}

fn has_url(extension: Instance<'_>, url: &str) -> bool {
    let own = extension.value().and_then(|node| node.get_str("url"));
    own.and_then(Node::as_str).as_deref() == Some(url)
}

/// Whether one of several passes; nothing if none does, and of one it cannot be told.
fn any<T>(
    items: impl IntoIterator<Item = T>,
    mut passes: impl FnMut(T) -> Option<bool>,
) -> Option<bool> {
    let mut found = Some(false);
    for item in items {
        match passes(item) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => found = None,
        }
    }
    found
}
