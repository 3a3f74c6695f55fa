//! What FHIR adds: <https://hl7.org/fhir/R4/fhirpath.html#functions>.

use std::borrow::Cow;

use fhir_model::definition::SystemKind;
use fhir_model::element::Element;
use fhir_model::reference::Reference;

use crate::context::Resolved;
use crate::evaluate::{Failure, Flow, Sink, Stop, is_through};
use crate::function::{Function, Invocation, Output};
use crate::narrative;
use crate::value::Item;

mod weight;

const DECIMAL: Output = Output::System(SystemKind::Decimal);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::each("extension", (1, 1), Output::Unknown, extension),
    Function::truth("hasExtension", (1, 1), has_extension),
    Function::truth("hasValue", (0, 0), has_value),
    Function::single("getValue", (0, 0), Output::Unknown, get_value),
    Function::each("resolve", (0, 0), Output::Unknown, resolve),
    Function::truth("memberOf", (1, 1), member_of),
    Function::truth("subsumes", (1, 1), subsumes),
    Function::truth("subsumedBy", (1, 1), subsumed_by),
    Function::truth("conformsTo", (1, 1), conforms_to),
    Function::each("checkModifiers", (0, 16), Output::Input, check_modifiers),
    Function::each("slice", (2, 2), Output::Input, slice),
    Function::each(
        "elementDefinition",
        (0, 0),
        Output::Unknown,
        element_definition,
    ),
    Function::each("weight", (0, 0), DECIMAL, weight::weight),
    // What SDC called it before.
    Function::each("ordinal", (0, 0), DECIMAL, weight::weight),
    Function::truth("htmlChecks", (0, 0), |at| {
        html_checks(at, |text| narrative::check(text).is_ok())
    }),
    Function::truth("htmlChecks2", (0, 0), |at| {
        html_checks(at, |text| narrative::check(text) == Ok(true))
    }),
];

/// The extensions with a URL.
fn extension<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let Some(url) = invocation.argument_text(0)? else {
        return Ok(());
    };
    let known = invocation.evaluator.known;
    let Some(type_id) = known.extension_type else {
        return Ok(());
    };
    invocation.each_input(&mut |item| {
        let Item::Node { element, .. } = item else {
            return Ok(());
        };
        for extension in element.children(known.extension) {
            invocation.evaluator.step()?;
            let own = extension.child(known.url).and_then(Element::value_text);
            if own.is_some_and(|own| own == url) {
                sink(Item::node(extension, type_id))?;
            }
        }
        Ok(())
    })
}

fn has_extension(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    let flow = extension(invocation, &mut |_| Err(Stop::Enough));
    is_through(flow).map(|is_through| Some(!is_through))
}

/// Whether the input is one primitive that has a value.
fn has_value(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    let mut count = 0;
    let mut is_found = false;
    is_through(invocation.each_input(&mut |item| {
        count += 1;
        is_found = match item {
            Item::Node { element, .. } => element.has_value(),
            Item::Resource(_) | Item::Type(_) => false,
            _ => true,
        };
        if count > 1 { Err(Stop::Enough) } else { Ok(()) }
    }))?;
    Ok(Some(count == 1 && is_found))
}

/// The value of a primitive as one of a system type.
fn get_value<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let item = invocation.input_single()?;
    let (definitions, known) = (invocation.definitions(), invocation.evaluator.known);
    Ok(item.and_then(|item| item.system(definitions, known)))
}

fn resolve<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    invocation.each_input(&mut |item| {
        let (text, from) = reference(invocation, &item);
        let found = match &text {
            Some(text) => target(invocation, text, from),
            None => None,
        };
        let found = found.or_else(|| stated_type(invocation, from?));
        found.map_or(Ok(()), &mut *sink)
    })
}

/// The text of a reference, and the `Reference` if it is one.
fn reference<'a>(
    invocation: &Invocation<'_, 'a>,
    item: &Item<'a>,
) -> (Option<Cow<'a, str>>, Option<Element<'a>>) {
    match item {
        Item::Node { element, .. } if !element.has_value() => {
            let known = invocation.evaluator.known;
            let text = element.child(known.reference);
            (text.and_then(Element::value_text), Some(*element))
        }
        _ => (item.string(invocation.definitions()), None),
    }
}

/// What a reference points to: a contained resource, what the resolver finds, or only a type.
fn target<'a>(
    invocation: &Invocation<'_, 'a>,
    text: &str,
    from: Option<Element<'a>>,
) -> Option<Item<'a>> {
    if let Some(id) = text.strip_prefix('#') {
        return contained(invocation, id);
    }
    let context = invocation.evaluator.context;
    if let Some(resolver) = context.resolver {
        match resolver.resolve(text, from) {
            Resolved::Resource(item) => return Some(item),
            Resolved::Type(type_id) => return Some(Item::Resource(type_id)),
            Resolved::Nothing => {}
        }
    }
    let type_name = Reference::parse(text, None).resource_type()?;
    let type_id = context.definitions.resource_type(type_name)?;
    Some(Item::Resource(type_id))
}

/// The contained resource with an id; the container itself for `#`.
fn contained<'a>(invocation: &Invocation<'_, 'a>, id: &str) -> Option<Item<'a>> {
    let evaluator = invocation.evaluator;
    let root = evaluator.root_resource()?;
    if id.is_empty() {
        return Some(root.clone());
    }
    let found = root
        .element()?
        .children(evaluator.known.contained)
        .find(|resource| resource.id().is_some_and(|own| own == id))?;
    Item::resource(found, evaluator.context.definitions)
}

/// The type that a `Reference` states itself: `type`, for one by identifier only.
fn stated_type<'a>(invocation: &Invocation<'_, 'a>, from: Element<'a>) -> Option<Item<'a>> {
    let name = from
        .child(invocation.evaluator.known.kind)
        .and_then(Element::value_text)?;
    let type_id = invocation.definitions().resource_type(&name)?;
    Some(Item::Resource(type_id))
}

/// The terminology that the context has.
fn terminology<'a>(
    invocation: &Invocation<'_, 'a>,
) -> Result<&'a dyn crate::context::Terminology, Failure> {
    let terminology = invocation.evaluator.context.terminology;
    terminology.ok_or_else(|| invocation.unavailable())
}

fn member_of(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    let (Some(item), Some(value_set)) = (invocation.input_single()?, invocation.argument_text(0)?)
    else {
        return Ok(None);
    };
    Ok(terminology(invocation)?.member_of(&item, &value_set))
}

/// The input and the argument, one item each.
fn pair<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<(Item<'a>, Item<'a>)>, Failure> {
    let other = match invocation.argument(0) {
        Some(code) => invocation.evaluator.single(
            code,
            invocation.scope,
            invocation.name(),
            invocation.call.position,
        )?,
        None => None,
    };
    Ok(invocation.input_single()?.zip(other))
}

fn subsumes(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    match pair(invocation)? {
        Some((item, other)) => Ok(terminology(invocation)?.subsumes(&item, &other)),
        None => Ok(None),
    }
}

fn subsumed_by(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    match pair(invocation)? {
        Some((item, other)) => Ok(terminology(invocation)?.subsumes(&other, &item)),
        None => Ok(None),
    }
}

fn conforms_to(invocation: &Invocation<'_, '_>) -> Result<Option<bool>, Failure> {
    let (Some(item), Some(profile)) = (invocation.input_single()?, invocation.argument_text(0)?)
    else {
        return Ok(None);
    };
    match profiles(invocation)?.conforms_to(&item, &profile) {
        Some(conforms) => Ok(Some(conforms)),
        None => Err(invocation.wrong_argument("the profile is not known")),
    }
}

/// Passes elements on; one with a modifier extension that is not among those named is an error.
fn check_modifiers<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let mut admitted = Vec::new();
    for place in 0..invocation.call.arguments.len() {
        admitted.extend(invocation.argument_text(place)?);
    }
    let known = invocation.evaluator.known;
    let is_admitted = |url: &str| {
        let mut urls = admitted.iter().flat_map(|urls| urls.split(','));
        urls.any(|admitted| admitted.trim() == url)
    };
    invocation.each_input(&mut |item| {
        let modifiers = item
            .element()
            .map(|element| element.children(known.modifier_extension));
        for modifier in modifiers.into_iter().flatten() {
            invocation.evaluator.step()?;
            let url = modifier.child(known.url).and_then(Element::value_text);
            if !url.is_some_and(|url| is_admitted(&url)) {
                let reason = "an element has a modifier extension that is not among those named";
                return Err(invocation.wrong_argument(reason).into());
            }
        }
        sink(item)
    })
}

/// The profiles that the context has.
fn profiles<'a>(
    invocation: &Invocation<'_, 'a>,
) -> Result<&'a dyn crate::context::Profiles, Failure> {
    let profiles = invocation.evaluator.context.profiles;
    profiles.ok_or_else(|| invocation.unavailable())
}

/// The elements that are in a slice of a profile.
fn slice<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let (Some(profile), Some(name)) = (invocation.argument_text(0)?, invocation.argument_text(1)?)
    else {
        return Ok(());
    };
    let profiles = profiles(invocation)?;
    invocation.each_input(
        &mut |item| match profiles.is_in_slice(&item, &profile, &name) {
            Some(true) => sink(item),
            Some(false) => Ok(()),
            None => Err(invocation.wrong_argument("the slice is not known").into()),
        },
    )
}

/// What the profiles at hand say of elements.
fn element_definition<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let profiles = profiles(invocation)?;
    invocation.each_input(&mut |item| {
        let definition = profiles.element_definition(&item);
        definition.map_or(Ok(()), &mut *sink)
    })
}

/// Whether the input is XHTML that satisfies some of the rules of narratives.
fn html_checks(
    invocation: &Invocation<'_, '_>,
    holds: fn(&str) -> bool,
) -> Result<Option<bool>, Failure> {
    let text = invocation.input_text()?;
    Ok(text.map(|text| holds(&text)))
}
