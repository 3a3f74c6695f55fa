//! Slicing: <https://hl7.org/fhir/R4/profiling.html#slicing>.
//!
//! The slices of an element are compiled with the checks that tell them apart; each occurrence is
//! taken for the first slice that it matches ([`crate::profile::matching`]), held to the rules of that slice, and counted. Where it cannot be told which slice an
//! occurrence belongs to, as behind a reference that cannot be followed, nothing is claimed that
//! depends on it.

use fhir_model::definition::{
    Discriminator, DiscriminatorKind, ElementId, Property, SlicingRules, TypeId,
};
use fhir_model::element::Element as Instance;
use fhir_model::issue::IssueType;

use crate::finding::any_of;
use crate::profile::apply::is_misshapen;
use crate::profile::compile::{Compiler, tighter_max};
use crate::profile::discriminator::matcher;
use crate::profile::matching::Belongs;
use crate::profile::{ElementRule, Slice, SlicingRule};
use crate::walk::Walk;

/// The slice that takes what belongs to no other.
const DEFAULT: &str = "@default";

/// The slices of an element; nothing if it has none.
pub(super) fn compile(
    compiler: Compiler<'_>,
    element: ElementId,
    properties: &[Property],
) -> Option<SlicingRule> {
    let definitions = compiler.definitions;
    definitions.slices(element).next()?;
    let found = definitions.element(element);
    let slicing = found.slicing;
    let implied = implied(compiler, element);
    let discriminators = slicing
        .as_ref()
        .map(|slicing| definitions.discriminators(slicing))
        .filter(|list| !list.is_empty())
        .or(implied.as_ref().map(std::slice::from_ref))
        .unwrap_or_default();
    let mut unclear = None;
    let slices = definitions
        .slices(element)
        .map(|slice| slice_rule(compiler, slice, properties, discriminators, &mut unclear))
        .collect();
    let rules = slicing.map_or(SlicingRules::Open, |slicing| slicing.rules);
    Some(SlicingRule {
        is_closed: rules == SlicingRules::Closed,
        is_open_at_end: rules == SlicingRules::OpenAtEnd,
        is_ordered: slicing.is_some_and(|slicing| slicing.is_ordered),
        slices,
        unclear,
    })
}

/// How slices are told apart where the profile need not say: extensions by their URL, choices by
/// their type.
fn implied(compiler: Compiler<'_>, element: ElementId) -> Option<Discriminator> {
    let definitions = compiler.definitions;
    let found = definitions.element(element);
    let names = &compiler.known.names;
    let (kind, path) = if found.name == names.extension || found.name == names.modifier_extension {
        (DiscriminatorKind::Value, "url")
    } else if found.is_choice {
        (DiscriminatorKind::Type, "$this")
    } else {
        return None;
    };
    let path = definitions.find_text(path)?;
    Some(Discriminator { kind, path })
}

fn slice_rule(
    compiler: Compiler<'_>,
    slice: ElementId,
    properties: &[Property],
    discriminators: &[Discriminator],
    unclear: &mut Option<Box<str>>,
) -> Slice {
    let definitions = compiler.definitions;
    let found = definitions.element(slice);
    let name = found.slice_name.unwrap_or(found.id);
    let is_default = definitions.text(name).rsplit('/').next() == Some(DEFAULT);
    let mut matchers = Vec::new();
    for discriminator in discriminators {
        match matcher(compiler, slice, properties, *discriminator) {
            Ok(found) => matchers.extend(found),
            Err(reason) => {
                matchers.clear();
                unclear.get_or_insert_with(|| reason.into());
                break;
            }
        }
    }
    if matchers.is_empty() && !is_default {
        let reason = || format!("nothing tells {} from others", definitions.text(name));
        unclear.get_or_insert_with(|| reason().into());
    }
    let base = properties
        .first()
        .map(|property| definitions.element(property.element));
    Slice {
        name,
        matchers: matchers.into_boxed_slice(),
        is_default,
        min: found.min,
        max: base.map_or(found.max, |base| tighter_max(found, base)),
        value: compiler.value(slice, properties),
        slicing: compile(compiler, slice, properties).map(Box::new),
    }
}

/// The occurrences that belong to one slice, to be sliced again.
#[derive(Clone, Copy)]
struct Within<'s, 'a> {
    slicing: &'a SlicingRule,
    slice: usize,
    outer: Option<&'s Within<'s, 'a>>,
}

/// What was seen of the occurrences up to one.
#[derive(Default)]
struct Seen {
    /// The furthest slice.
    last: Option<usize>,
    /// The first occurrence that belongs to no slice.
    other: bool,
    /// Whether there was one of which it cannot be told where it belongs.
    unclear: bool,
}

impl<'a> Walk<'a> {
    /// The occurrences of a sliced element, each with the slice that it belongs to.
    pub(super) fn slices(
        &mut self,
        parent: Instance<'a>,
        rule: &'a ElementRule,
        slicing: &'a SlicingRule,
    ) {
        self.sliced(parent, rule, slicing, rule.value.element, None);
    }

    fn sliced(
        &mut self,
        parent: Instance<'a>,
        rule: &'a ElementRule,
        slicing: &'a SlicingRule,
        element: ElementId,
        within: Option<&Within<'_, 'a>>,
    ) {
        // Counts stand on one stack for all slicings that are open, so that none is allocated.
        let start = self.counts.len();
        self.counts.resize(start + slicing.slices.len(), 0);
        let mut seen = Seen::default();
        for form in &rule.forms {
            for instance in parent.children(form.name) {
                if self.is_within(within, instance, form.type_id) {
                    self.occurrence(instance, form.type_id, slicing, element, (start, &mut seen));
                }
            }
        }
        if !seen.unclear {
            self.too_few_of_slices(parent, rule, slicing, start);
        }
        self.counts.truncate(start);
        for (slice, found) in slicing.slices.iter().enumerate() {
            if let Some(inner) = &found.slicing {
                let within = Within {
                    slicing,
                    slice,
                    outer: within,
                };
                self.sliced(parent, rule, inner, found.value.element, Some(&within));
            }
        }
    }

    fn is_within(
        &mut self,
        within: Option<&Within<'_, 'a>>,
        instance: Instance<'a>,
        type_id: TypeId,
    ) -> bool {
        let Some(within) = within else { return true };
        self.is_within(within.outer, instance, type_id)
            && self.slice_of(within.slicing, instance, type_id) == Belongs::To(within.slice)
    }

    fn occurrence(
        &mut self,
        instance: Instance<'a>,
        type_id: TypeId,
        slicing: &'a SlicingRule,
        element: ElementId,
        (start, seen): (usize, &mut Seen),
    ) {
        match self.slice_of(slicing, instance, type_id) {
            Belongs::To(at) => {
                let Some(slice) = slicing.slices.get(at) else {
                    return;
                };
                let count = self.counts.get_mut(start + at).map_or(0, |count| {
                    *count += 1;
                    *count
                });
                if count > slice.max {
                    self.too_many(instance, slice.value.element, slice.max);
                }
                self.order(instance, slicing, slice, at, seen);
                self.value_rules(instance, type_id, &slice.value);
            }
            Belongs::ToNone => {
                seen.other = true;
                if slicing.is_closed {
                    self.no_slice(instance, element, slicing);
                }
            }
            Belongs::Unclear => {
                seen.unclear = true;
                self.unclear_slice(instance, element, slicing);
            }
        }
    }

    /// Whether an occurrence stands where its slice has its place.
    fn order(
        &mut self,
        instance: Instance<'a>,
        slicing: &'a SlicingRule,
        slice: &'a Slice,
        at: usize,
        seen: &mut Seen,
    ) {
        let earlier = seen.last.filter(|last| slicing.is_ordered && *last > at);
        if let Some(earlier) = earlier.and_then(|last| slicing.slices.get(last)) {
            let text = format!(
                "The slices come in order, and {} comes before {}",
                self.definitions.text(slice.name),
                self.definitions.text(earlier.name)
            );
            self.broken(
                instance.node(),
                IssueType::Structure,
                slice.value.element,
                text,
            );
        }
        if slicing.is_open_at_end && seen.other {
            let text = format!(
                "What belongs to no slice comes at the end, and this one, of {}, comes after it",
                self.definitions.text(slice.name)
            );
            self.broken(
                instance.node(),
                IssueType::Structure,
                slice.value.element,
                text,
            );
        }
        seen.last = seen.last.max(Some(at));
    }

    fn too_few_of_slices(
        &mut self,
        parent: Instance<'a>,
        rule: &'a ElementRule,
        slicing: &'a SlicingRule,
        start: usize,
    ) {
        for (at, slice) in slicing.slices.iter().enumerate() {
            let count = self.counts.get(start + at).copied().unwrap_or_default();
            let can_count = slice.is_default || !slice.matchers.is_empty();
            if can_count && count < slice.min && !is_misshapen(parent, rule) {
                let counts = (count, slice.min);
                self.too_few(parent, slice.value.element, counts, Some(slice.name));
            }
        }
    }

    fn no_slice(&mut self, instance: Instance<'a>, element: ElementId, slicing: &'a SlicingRule) {
        let slices = slicing.slices.iter().filter(|slice| slice.max > 0);
        let text = format!(
            "This is none of the kinds that the profile admits here: {}",
            any_of(slices.map(|slice| self.definitions.text(slice.name)))
        );
        self.broken(instance.node(), IssueType::Structure, element, text);
    }

    fn unclear_slice(
        &mut self,
        instance: Instance<'a>,
        element: ElementId,
        slicing: &'a SlicingRule,
    ) {
        let text = match &slicing.unclear {
            Some(reason) => format!("Not checked which slice this is: {reason}"),
            None if self.options.report_unchecked => {
                "Not checked which slice this is: the reference cannot be followed".to_owned()
            }
            None => return,
        };
        self.not_checked(instance.node(), element, text);
    }
}
