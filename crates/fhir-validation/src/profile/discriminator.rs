//! From a discriminator and the definition of a slice to the checks that tell whether an
//! occurrence belongs to it: <https://hl7.org/fhir/R4/profiling.html#discriminator>.
//!
//! The path is followed through the definition of the slice, on through the profiles that it
//! demands of its types, and by `resolve()` through those of its targets. Where several profiles
//! may be meant, each gives an alternative. At the end stands what the definition fixes there; a
//! discriminator of which it says nothing does not tell this slice from others.

mod path;

use std::sync::Arc;

use fhir_model::definition::{
    BindingStrength, Definitions, Derivation, Discriminator, DiscriminatorKind, Element, ElementId,
    Expansion, Property, StructureId, Text, TypeId,
};
use fhir_model::name::Name;

use crate::profile::compile::Compiler;
use crate::profile::discriminator::path::{Segment, segments};
use crate::profile::{Check, Expected, Form, Matcher, Step, Test};

/// How many profiles may be meant along one path.
const ALTERNATIVES_MAX: usize = 64;

/// How deep fixed values below a discriminator's element are looked for.
const NESTED_MAX: usize = 4;

/// Where a path leads in the definition of a slice.
#[derive(Clone, Default)]
struct Place {
    /// The elements that say something of it.
    elements: Vec<ElementId>,
    /// The type, where there is one only.
    type_id: Option<TypeId>,
    /// Behind a reference: the profile that its target must satisfy.
    target: Option<StructureId>,
    /// What the values of the elements above give for it.
    given: Vec<Arc<Expected>>,
    steps: Vec<Step>,
}

/// The test of a discriminator; nothing if the slice leaves it open. An error is the reason why it
/// cannot be made.
pub(super) fn matcher(
    compiler: Compiler<'_>,
    slice: ElementId,
    properties: &[Property],
    discriminator: Discriminator,
) -> Result<Option<Matcher>, String> {
    let path = compiler.definitions.text(discriminator.path);
    let places = follow(compiler, slice, properties, path)?;
    let mut alternatives = Vec::new();
    for place in places {
        let checks = checks(compiler, slice, &place, discriminator.kind)?;
        if checks.is_empty() {
            return Ok(None);
        }
        alternatives.push(checks.into_boxed_slice());
    }
    Ok((!alternatives.is_empty()).then(|| Matcher {
        alternatives: alternatives.into_boxed_slice(),
    }))
}

fn follow(
    compiler: Compiler<'_>,
    slice: ElementId,
    properties: &[Property],
    path: &str,
) -> Result<Vec<Place>, String> {
    let start = Place {
        elements: vec![slice],
        type_id: match properties {
            [only] => Some(only_type(compiler.definitions, slice).unwrap_or(only.type_id)),
            _ => only_type(compiler.definitions, slice),
        },
        ..Place::default()
    };
    let mut places = vec![start];
    for segment in segments(path)? {
        let mut further = Vec::new();
        for place in places {
            further.extend(place.step(compiler, &segment)?);
        }
        if further.len() > ALTERNATIVES_MAX {
            return Err("too many profiles may be meant".to_owned());
        }
        places = further;
    }
    Ok(places)
}

impl Place {
    fn step(self, compiler: Compiler<'_>, segment: &Segment<'_>) -> Result<Vec<Self>, String> {
        match segment {
            Segment::Name(name) => self.child(compiler, name),
            Segment::Extension(url) => Ok(vec![self.extension(compiler, url)]),
            Segment::OfType(type_name) => {
                self.of_type(compiler, type_name).map(|place| vec![place])
            }
            Segment::Resolve => self.resolve(compiler),
        }
    }

    /// The profiles that the elements demand of their types, in alternatives.
    fn profiles(&self, definitions: &Definitions) -> Vec<StructureId> {
        if let Some(target) = self.target {
            return vec![target];
        }
        let mut profiles: Vec<StructureId> = Vec::new();
        for canonical in self.canonicals(definitions) {
            let found = definitions.structure(definitions.text(canonical));
            if let Some(found) = found.filter(|found| is_profile(definitions, *found))
                && !profiles.contains(&found)
            {
                profiles.push(found);
            }
        }
        profiles
    }

    fn canonicals(&self, definitions: &Definitions) -> Vec<Text> {
        let elements = self.elements.iter().map(|id| definitions.element(*id));
        elements
            .flat_map(|element| definitions.types_of(element))
            .flat_map(|found| definitions.profiles(found))
            .copied()
            .collect()
    }

    fn child(self, compiler: Compiler<'_>, text: &str) -> Result<Vec<Self>, String> {
        let definitions = compiler.definitions;
        let text = text.strip_suffix("[x]").unwrap_or(text);
        let Some(name) = definitions.names().get(text) else {
            return Err(format!("no type has an element {text}"));
        };
        let own: Vec<ElementId> = self
            .elements
            .iter()
            .filter_map(|element| child_of(definitions, *element, name))
            .collect();
        let profiles = self.profiles(definitions);
        if profiles.is_empty() {
            let type_id = self.type_id;
            return Ok(vec![self.below(compiler, name, own, type_id)?]);
        }
        let mut places = Vec::new();
        for profile in profiles {
            let structure = definitions.structure_of(profile);
            let mut elements = own.clone();
            elements.extend(child_of(definitions, structure.root, name));
            let type_id = Some(structure.type_id);
            places.push(self.clone().below(compiler, name, elements, type_id)?);
        }
        Ok(places)
    }

    /// The place of a child that these elements define.
    fn below(
        mut self,
        compiler: Compiler<'_>,
        name: Name,
        elements: Vec<ElementId>,
        above: Option<TypeId>,
    ) -> Result<Self, String> {
        let definitions = compiler.definitions;
        let Some(above) = above else {
            return Err("the path leads through a choice of types".to_owned());
        };
        let properties = match definitions.choices(above, name) {
            [] => definitions.property(above, name).map(std::slice::from_ref),
            choices => Some(choices),
        };
        let Some(properties) = properties else {
            let (type_name, name) = (definitions.type_name(above), definitions.names().text(name));
            return Err(format!("{type_name} has no element {name}"));
        };
        self.given = self.given_below(compiler, name, above);
        self.steps.push(Step::Child(forms(properties)));
        self.type_id = elements
            .iter()
            .find_map(|element| only_type(definitions, *element))
            .or(match properties {
                [only] => Some(only.type_id),
                _ => None,
            });
        self.elements = elements;
        self.target = None;
        Ok(self)
    }

    /// What the fixed values and patterns here say of a child; of the URL of an extension, what
    /// the canonical of its profile says, whether that is loaded or not.
    fn given_below(&self, compiler: Compiler<'_>, name: Name, above: TypeId) -> Vec<Arc<Expected>> {
        let definitions = compiler.definitions;
        let text = definitions.names().text(name);
        let elements = self.elements.iter().map(|id| definitions.element(*id));
        let values = elements.flat_map(|element| element.fixed.into_iter().chain(element.pattern));
        let own = values.filter_map(|value| Expected::new(definitions, value));
        let mut given: Vec<Arc<Expected>> = own
            .filter_map(|value| value.member(definitions, text))
            .chain(
                self.given
                    .iter()
                    .filter_map(|value| value.member(definitions, text)),
            )
            .map(Arc::new)
            .collect();
        let is_url = compiler.known.extension == Some(above) && name == compiler.known.names.url;
        let canonical = self
            .canonicals(definitions)
            .first()
            .copied()
            .filter(|_| is_url);
        let url = canonical.map(|canonical| definitions.text(canonical).split('|').next());
        let url = url
            .flatten()
            .and_then(|url| Expected::string(definitions, url));
        given.extend(url.map(Arc::new));
        given
    }

    /// The extension with a URL, as a slice of the elements and as its definition has it.
    fn extension(mut self, compiler: Compiler<'_>, url: &str) -> Self {
        let definitions = compiler.definitions;
        let name = compiler.known.names.extension;
        let is_meant = |slice: &ElementId| {
            definitions
                .types_of(definitions.element(*slice))
                .iter()
                .flat_map(|found| definitions.profiles(found))
                .any(|canonical| definitions.text(*canonical).split('|').next() == Some(url))
        };
        let sliced = self.elements.iter();
        let sliced = sliced.filter_map(|element| child_of(definitions, *element, name));
        let mut elements: Vec<ElementId> = sliced
            .flat_map(|element| definitions.slices(element))
            .filter(is_meant)
            .collect();
        let definition = definitions.structure(url);
        elements.extend(definition.map(|found| definitions.structure_of(found).root));
        self.steps.push(Step::Extension(url.into()));
        self.type_id = compiler.known.extension;
        self.elements = elements;
        self.given.clear();
        self.target = None;
        self
    }

    fn of_type(mut self, compiler: Compiler<'_>, type_name: &str) -> Result<Self, String> {
        let definitions = compiler.definitions;
        let type_name = type_name.strip_prefix("FHIR.").unwrap_or(type_name);
        let Some(type_id) = definitions.type_named(type_name) else {
            return Err(format!("{type_name} is not a type"));
        };
        let slices: Vec<ElementId> = self
            .elements
            .iter()
            .flat_map(|element| definitions.slices(*element))
            .filter(|slice| only_type(definitions, *slice) == Some(type_id))
            .collect();
        self.elements.extend(slices);
        self.type_id = Some(type_id);
        self.steps.push(Step::OfType(type_id));
        Ok(self)
    }

    /// The target of a reference, for each of the profiles that it may have.
    fn resolve(mut self, compiler: Compiler<'_>) -> Result<Vec<Self>, String> {
        let definitions = compiler.definitions;
        self.steps.push(Step::Resolve);
        let elements = self.elements.iter().map(|id| definitions.element(*id));
        let canonicals: Vec<Text> = elements
            .flat_map(|element| definitions.types_of(element))
            .flat_map(|found| definitions.target_profiles(found))
            .copied()
            .collect();
        let mut places = Vec::new();
        for canonical in canonicals {
            let canonical = definitions.text(canonical);
            let Some(structure) = definitions.structure(canonical) else {
                return Err(format!("the profile {canonical} is not loaded"));
            };
            let found = definitions.structure_of(structure);
            places.push(Self {
                elements: vec![found.root],
                type_id: Some(found.type_id),
                target: Some(structure),
                given: Vec::new(),
                steps: self.steps.clone(),
            });
        }
        if places.is_empty() {
            places.push(Self {
                steps: self.steps,
                ..Self::default()
            });
        }
        Ok(places)
    }

    fn check(&self, test: Test) -> Check {
        Check {
            steps: self.steps.clone().into_boxed_slice(),
            test,
        }
    }
}

/// What must hold of a place, as the definition of the slice says.
fn checks(
    compiler: Compiler<'_>,
    slice: ElementId,
    place: &Place,
    kind: DiscriminatorKind,
) -> Result<Vec<Check>, String> {
    let definitions = compiler.definitions;
    match kind {
        DiscriminatorKind::Value | DiscriminatorKind::Pattern => {
            Ok(value_checks(compiler, slice, place))
        }
        DiscriminatorKind::Exists => {
            let mut found = place.elements.iter();
            let exists = found.find_map(|id| exists(definitions.element(*id)));
            Ok(exists
                .map(|exists| place.check(Test::Exists(exists)))
                .into_iter()
                .collect())
        }
        DiscriminatorKind::Type => Ok(type_check(definitions, place).into_iter().collect()),
        DiscriminatorKind::Profile => profile_check(definitions, place),
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

fn type_check(definitions: &Definitions, place: &Place) -> Option<Check> {
    if let Some(target) = place.target {
        let type_id = definitions.structure_of(target).type_id;
        return Some(place.check(Test::Type([type_id].into())));
    }
    let elements = place.elements.iter().map(|id| definitions.element(*id));
    let types = elements
        .map(|element| definitions.types_of(element))
        .find(|types| !types.is_empty())?;
    let types = types.iter().map(|found| found.type_id).collect();
    Some(place.check(Test::Type(types)))
}

fn profile_check(definitions: &Definitions, place: &Place) -> Result<Vec<Check>, String> {
    if let Some(target) = place
        .target
        .filter(|target| !is_profile(definitions, *target))
    {
        let type_id = definitions.structure_of(target).type_id;
        return Ok(vec![place.check(Test::Type([type_id].into()))]);
    }
    let is_unknown = |canonical: &Text| {
        definitions
            .structure(definitions.text(*canonical))
            .is_none()
    };
    let unknown = place.canonicals(definitions).into_iter().find(is_unknown);
    if let Some(unknown) = unknown.filter(|_| place.target.is_none()) {
        let canonical = definitions.text(unknown);
        return Err(format!("the profile {canonical} is not loaded"));
    }
    let profiles = place.profiles(definitions);
    if profiles.is_empty() {
        return Ok(type_check(definitions, place).into_iter().collect());
    }
    Ok(vec![
        place.check(Test::Profile(profiles.into_boxed_slice())),
    ])
}

/// Checks of a value: what the elements fix, or what is fixed below them, or else whether there
/// must be something at all.
fn value_checks(compiler: Compiler<'_>, slice: ElementId, place: &Place) -> Vec<Check> {
    let definitions = compiler.definitions;
    let mut checks = Vec::new();
    for element in &place.elements {
        match value_test(compiler, *element) {
            Some(test) => checks.push(place.check(test)),
            None => nested_checks(compiler, *element, place, NESTED_MAX, &mut checks),
        }
    }
    if !checks.is_empty() {
        return checks;
    }
    if let Some(given) = place.given.first() {
        return vec![place.check(Test::Pattern(Arc::clone(given)))];
    }
    let mut elements = place.elements.iter().filter(|element| **element != slice);
    let exists = elements.find_map(|id| exists(definitions.element(*id)));
    exists
        .map(|exists| place.check(Test::Exists(exists)))
        .into_iter()
        .collect()
}

/// Checks of all that is fixed below an element.
fn nested_checks(
    compiler: Compiler<'_>,
    element: ElementId,
    place: &Place,
    depth: usize,
    checks: &mut Vec<Check>,
) {
    let definitions = compiler.definitions;
    if depth == 0 || place.target.is_some() {
        return;
    }
    let above = only_type(definitions, element).or(place.type_id);
    for child in definitions.children(element) {
        let name = definitions.element(child).name;
        let Ok(below) = place.clone().below(compiler, name, vec![child], above) else {
            continue;
        };
        match value_test(compiler, child) {
            Some(test @ (Test::Fixed(_) | Test::Pattern(_))) => checks.push(below.check(test)),
            _ => nested_checks(compiler, child, &below, depth - 1, checks),
        }
    }
}

fn value_test(compiler: Compiler<'_>, element: ElementId) -> Option<Test> {
    let definitions = compiler.definitions;
    let found = definitions.element(element);
    if let Some(fixed) = found.fixed {
        return Expected::new(definitions, fixed)
            .map(Arc::new)
            .map(Test::Fixed);
    }
    if let Some(pattern) = found.pattern {
        return Expected::new(definitions, pattern)
            .map(Arc::new)
            .map(Test::Pattern);
    }
    let type_id = only_type(definitions, element)?;
    compiler
        .known
        .binding(definitions, found, type_id)
        .filter(|bound| bound.strength == BindingStrength::Required)
        .filter(|bound| {
            let expansion = bound.value_set.map(|id| definitions.expansion(id));
            expansion == Some(Expansion::Codes)
        })
        .map(Test::Code)
}

fn forms(properties: &[Property]) -> Box<[Form]> {
    let form = |property: &Property| Form {
        name: property.name,
        type_id: property.type_id,
        is_allowed: true,
    };
    properties.iter().map(form).collect()
}

/// A child by its name, where the element says what its content is or another one does for it.
fn child_of(definitions: &Definitions, element: ElementId, name: Name) -> Option<ElementId> {
    definitions.child(element, name).or_else(|| {
        let content = definitions.element(element).content_reference?;
        definitions.child(content, name)
    })
}

fn only_type(definitions: &Definitions, element: ElementId) -> Option<TypeId> {
    match definitions.types_of(definitions.element(element)) {
        [] => None,
        [first, others @ ..] => others
            .iter()
            .all(|other| other.type_id == first.type_id)
            .then_some(first.type_id),
    }
}

fn is_profile(definitions: &Definitions, structure: StructureId) -> bool {
    definitions.structure_of(structure).derivation == Some(Derivation::Constraint)
}
