//! Slicing, as far as it can be judged without evaluating `FHIRPath` over other resources:
//! <https://hl7.org/fhir/R4/profiling.html#slicing>.
//!
//! Discriminators by value, pattern, existence and type on plain paths (`url`, `coding.code`,
//! `$this`) are compiled; if one of a slicing is of another kind, none of its slices is checked,
//! because an occurrence could then be taken for the wrong one. Order and re-slicing are not
//! checked.

use fhir_model::definition::{
    Definitions, Discriminator, DiscriminatorKind, Element, ElementId, Expansion, Property,
    SlicingRules, StructureId, TypeId,
};
use fhir_model::element::Element as Instance;
use fhir_model::name::Name;

use crate::profile::compile::{Compiler, tighter_max};
use crate::profile::{Expected, Form, Matcher, Slice, SlicingRule, Test};
use crate::rules::{Content, content};
use crate::walk::Walk;

/// The slices of an element; nothing if it has none or they cannot be told apart here.
pub(super) fn compile(
    compiler: Compiler<'_>,
    element: ElementId,
    properties: &[Property],
) -> Option<SlicingRule> {
    let definitions = compiler.definitions;
    let slicing = definitions.element(element).slicing?;
    let discriminators = definitions.discriminators(&slicing);
    if discriminators.is_empty() {
        return None;
    }
    let slices: Option<Box<[Slice]>> = definitions
        .slices(element)
        .map(|slice| slice_rule(compiler, slice, properties, discriminators))
        .collect();
    let rule = SlicingRule {
        is_closed: slicing.rules == SlicingRules::Closed,
        slices: slices?,
    };
    (!rule.slices.is_empty()).then_some(rule)
}

fn slice_rule(
    compiler: Compiler<'_>,
    slice: ElementId,
    properties: &[Property],
    discriminators: &[Discriminator],
) -> Option<Slice> {
    let definitions = compiler.definitions;
    let found = definitions.element(slice);
    let base = definitions.element(properties.first()?.element);
    let mut matchers = Vec::new();
    for discriminator in discriminators {
        matchers.extend(matcher(compiler, slice, properties, *discriminator)?);
    }
    Some(Slice {
        name: found.slice_name?,
        matchers: matchers.into_boxed_slice(),
        min: found.min,
        max: tighter_max(found, base),
        value: compiler.value(slice, properties),
    })
}

/// Where a discriminator leads in the definition of a slice.
struct Place {
    /// The element there; nothing where the definition ends before the path does.
    element: Option<ElementId>,
    steps: Vec<Box<[Form]>>,
    /// The profile that the element before was demanded to have, if it is an extension's.
    extension_url: Option<String>,
}

/// The tests of a discriminator; nothing if there is one that cannot be made.
fn matcher(
    compiler: Compiler<'_>,
    slice: ElementId,
    properties: &[Property],
    discriminator: Discriminator,
) -> Option<Vec<Matcher>> {
    let definitions = compiler.definitions;
    let place = follow(
        compiler,
        slice,
        properties,
        definitions.text(discriminator.path),
    )?;
    let steps = place.steps.into_boxed_slice();
    let Some(element) = place.element else {
        let url = place.extension_url?;
        let test = Test::Fixed(Expected::string(definitions, &url)?);
        return Some(vec![Matcher { steps, test }]);
    };
    let found = definitions.element(element);
    match discriminator.kind {
        DiscriminatorKind::Value | DiscriminatorKind::Pattern => {
            value_tests(compiler, element, &steps)
        }
        DiscriminatorKind::Exists => {
            let test = Test::Exists(exists(found)?);
            Some(vec![Matcher { steps, test }])
        }
        DiscriminatorKind::Type => {
            let types = definitions.types_of(found);
            let test = Test::Type(types.iter().map(|found| found.type_id).collect());
            (!types.is_empty()).then(|| vec![Matcher { steps, test }])
        }
        DiscriminatorKind::Profile => None,
    }
}

/// Whether a slice is of those that have the element, or of those that have not.
fn exists(element: &Element) -> Option<bool> {
    match (element.min, element.max) {
        (_, 0) => Some(false),
        (0, _) => None,
        _ => Some(true),
    }
}

/// How deep fixed values below a discriminator's element are looked for.
const NESTED_MAX: usize = 4;

/// Tests of a value: of the element, else of all that is fixed below it.
fn value_tests(
    compiler: Compiler<'_>,
    element: ElementId,
    steps: &[Box<[Form]>],
) -> Option<Vec<Matcher>> {
    let definitions = compiler.definitions;
    let steps = || steps.to_vec().into_boxed_slice();
    if let Some(test) = value_test(compiler, element) {
        return Some(vec![Matcher {
            steps: steps(),
            test,
        }]);
    }
    let type_id = only_type(definitions, definitions.element(element))?;
    let mut tests = Vec::new();
    nested_tests(
        compiler,
        element,
        type_id,
        &mut steps().into_vec(),
        &mut tests,
    );
    (!tests.is_empty()).then_some(tests)
}

fn nested_tests(
    compiler: Compiler<'_>,
    element: ElementId,
    type_id: TypeId,
    steps: &mut Vec<Box<[Form]>>,
    tests: &mut Vec<Matcher>,
) {
    let definitions = compiler.definitions;
    if steps.len() > NESTED_MAX {
        return;
    }
    for child in definitions.children(element) {
        let found = definitions.element(child);
        let properties = compiler.properties(found, type_id);
        steps.push(compiler.forms(found, properties));
        match value_test(compiler, child) {
            Some(test @ (Test::Fixed(_) | Test::Pattern(_))) => tests.push(Matcher {
                steps: steps.clone().into_boxed_slice(),
                test,
            }),
            _ => {
                if let Some(below) = only_type(definitions, found) {
                    nested_tests(compiler, child, below, steps, tests);
                }
            }
        }
        steps.pop();
    }
}

fn value_test(compiler: Compiler<'_>, element: ElementId) -> Option<Test> {
    let definitions = compiler.definitions;
    let found = definitions.element(element);
    if let Some(fixed) = found.fixed {
        return Expected::new(definitions, fixed).map(Test::Fixed);
    }
    if let Some(pattern) = found.pattern {
        return Expected::new(definitions, pattern).map(Test::Pattern);
    }
    let type_id = only_type(definitions, found)?;
    compiler
        .known
        .required_binding(definitions, found, type_id)
        .filter(|bound| definitions.expansion(bound.value_set) == Expansion::Codes)
        .map(Test::Code)
}

fn only_type(definitions: &Definitions, element: &Element) -> Option<TypeId> {
    match definitions.types_of(element) {
        [only] => Some(only.type_id),
        _ => None,
    }
}

/// Follows a plain path through the definition of a slice, and through the profile that the slice
/// demands of its type where its own definition ends.
fn follow(
    compiler: Compiler<'_>,
    slice: ElementId,
    properties: &[Property],
    path: &str,
) -> Option<Place> {
    let definitions = compiler.definitions;
    let mut place = Place {
        element: Some(slice),
        steps: Vec::new(),
        extension_url: None,
    };
    let mut type_id = match properties {
        [only] => Some(only.type_id),
        _ => only_type(definitions, definitions.element(slice)),
    };
    let segments = path.split('.').filter(|segment| *segment != "$this");
    for segment in segments {
        let element = place.element?;
        let above = type_id?;
        let name = definitions.names().get(segment)?;
        let profile = type_profile(definitions, definitions.element(element));
        let child = definitions.child(element, name).or_else(|| {
            let structure = profile.and_then(|canonical| definitions.structure(canonical))?;
            definitions.child(root_of(definitions, structure), name)
        });
        let is_extension_url =
            compiler.known.extension == Some(above) && name == compiler.known.names.url;
        if is_extension_url && child.is_none() {
            place.extension_url = profile.map(str::to_owned);
        }
        let forms = step(compiler, above, child, name)?;
        let only_form = match &*forms {
            [only] => Some(only.type_id),
            _ => None,
        };
        type_id = child
            .and_then(|child| only_type(definitions, definitions.element(child)))
            .or(only_form);
        place.steps.push(forms);
        place.element = child;
    }
    let is_usable = place.element.is_some() || place.extension_url.is_some();
    is_usable.then_some(place)
}

/// The properties that a step of a path may follow, whatever the slice admits.
fn step(
    compiler: Compiler<'_>,
    above: TypeId,
    child: Option<ElementId>,
    name: Name,
) -> Option<Box<[Form]>> {
    let definitions = compiler.definitions;
    let properties = if let Some(child) = child {
        compiler.properties(definitions.element(child), above)
    } else {
        definitions
            .property(above, name)
            .map(std::slice::from_ref)
            .unwrap_or_default()
    };
    let form = |property: &Property| Form {
        name: property.name,
        type_id: property.type_id,
        is_allowed: true,
    };
    (!properties.is_empty()).then(|| properties.iter().map(form).collect())
}

fn root_of(definitions: &Definitions, structure: StructureId) -> ElementId {
    definitions.structure_of(structure).root
}

/// The one profile that an element demands of its one type.
fn type_profile<'d>(definitions: &'d Definitions, element: &Element) -> Option<&'d str> {
    let [only] = definitions.types_of(element) else {
        return None;
    };
    match definitions.profiles(only) {
        [canonical] => Some(definitions.text(*canonical)),
        _ => None,
    }
}

impl<'a> Walk<'a> {
    /// The slice that an occurrence of this type belongs to.
    pub(super) fn slice_of(
        &self,
        slicing: &'a SlicingRule,
        instance: Instance<'a>,
        type_id: TypeId,
    ) -> Option<usize> {
        slicing.slices.iter().position(|slice| {
            slice
                .matchers
                .iter()
                .all(|matcher| self.matches(matcher, instance, type_id))
        })
    }

    fn matches(&self, matcher: &Matcher, instance: Instance<'a>, type_id: TypeId) -> bool {
        match &matcher.test {
            Test::Exists(wanted) => {
                let is_there = leads_to(&matcher.steps, instance, type_id, &|_, _| true);
                is_there == *wanted
            }
            test => leads_to(&matcher.steps, instance, type_id, &|instance, type_id| {
                self.passes(test, instance, type_id)
            }),
        }
    }

    fn passes(&self, test: &Test, instance: Instance<'a>, type_id: TypeId) -> bool {
        let value = instance.value();
        match test {
            Test::Fixed(expected) => value.is_some_and(|value| expected.is_equal_to(value)),
            Test::Pattern(expected) => value.is_some_and(|value| expected.is_contained_in(value)),
            Test::Code(bound) => value.is_some_and(|value| self.is_member(value, *bound)),
            Test::Type(types) => self.is_of_type(instance, type_id, types),
            Test::Exists(_) => true,
        }
    }

    fn is_of_type(&self, instance: Instance<'a>, type_id: TypeId, types: &[TypeId]) -> bool {
        let is_wanted = |actual: TypeId| {
            types
                .iter()
                .any(|wanted| self.definitions.is_subtype_of(actual, *wanted))
        };
        if content(self.definitions, type_id) != Content::Resource {
            return is_wanted(type_id);
        }
        instance
            .resource_type()
            .and_then(|name| self.definitions.resource_type(&name))
            .is_some_and(is_wanted)
    }
}

/// Whether something that the steps lead to satisfies the condition. As deep as the steps are many.
fn leads_to<'a>(
    steps: &[Box<[Form]>],
    instance: Instance<'a>,
    type_id: TypeId,
    condition: &dyn Fn(Instance<'a>, TypeId) -> bool,
) -> bool {
    let Some((step, further)) = steps.split_first() else {
        return condition(instance, type_id);
    };
    step.iter().any(|form| {
        instance
            .children(form.name)
            .any(|child| leads_to(further, child, form.type_id, condition))
    })
}
