//! Where a reference leads: <https://hl7.org/fhir/R4/references.html>.
//!
//! What a reference says about its target (the type in its URL, its `type`, the resource that it
//! leads to, if that is contained or in the same Bundle) must fit the types and profiles that the
//! element admits, and the way there must be one of the element's aggregations. Targets elsewhere
//! are asked of the resolver, if the options say so.

use std::borrow::Cow;

use fhir_model::definition::{
    Aggregation, Definitions, Derivation, ElementId, ElementType, StructureId, TypeId,
};
use fhir_model::issue::{IssueType, Severity};
use fhir_model::reference::{Reference, Target};
use fhir_model::tree::Node;
use fhirpath::Resolved;

use crate::References;
use crate::beside::Found;
use crate::finding::{About, Finding, any_of, quote};
use crate::walk::Walk;

/// Where types of `Reference.type` are defined when they are written as an absolute URL.
const TYPE_URL: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Where a reference may lead: `targetProfile` and `aggregation` of a type, by text no more.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Targets {
    /// The types of resources; any, if there are none.
    types: Box<[TypeId]>,
    /// Profiles of which a target of their type must satisfy one. A type without a profile here
    /// needs none.
    profiles: Box<[StructureId]>,
    aggregation: Aggregation,
}

/// How a reference reaches its target: <https://hl7.org/fhir/R4/valueset-resource-aggregation-mode.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Contained,
    /// By the Bundle or the Parameters that both are in.
    Bundled,
    Far,
}

/// What is known of the target of a reference.
enum Known<'a> {
    Resource(Node<'a>, Way),
    /// The resource that the reference is in, or that contains it.
    Container,
    NotContained,
    Several(usize),
    TypeOnly(TypeId),
    /// Asked for elsewhere, and not there.
    Missing,
    Nothing,
}

impl Targets {
    /// What these types together say of references. A target profile that is not loaded could
    /// admit anything.
    pub(crate) fn compile<'d>(
        definitions: &Definitions,
        element_types: impl Iterator<Item = &'d ElementType> + Clone,
    ) -> Self {
        let aggregation = aggregation(element_types.clone());
        let canonicals = element_types.flat_map(|found| definitions.target_profiles(found));
        let structures: Option<Vec<StructureId>> = canonicals
            .map(|canonical| definitions.structure(definitions.text(*canonical)))
            .collect();
        let mut targets = Self::of_structures(definitions, &structures.unwrap_or_default());
        targets.aggregation = aggregation;
        targets
    }

    fn of_structures(definitions: &Definitions, structures: &[StructureId]) -> Self {
        let type_of = |structure: &StructureId| definitions.structure_of(*structure).type_id;
        let is_profile = |structure: &StructureId| {
            definitions.structure_of(*structure).derivation == Some(Derivation::Constraint)
        };
        if structures
            .iter()
            .any(|structure| definitions.type_of(type_of(structure)).is_abstract)
        {
            return Self::default();
        }
        let mut types: Vec<TypeId> = Vec::new();
        for type_id in structures.iter().map(type_of) {
            if !types.contains(&type_id) {
                types.push(type_id);
            }
        }
        let needs_none = |structure: &StructureId| {
            structures
                .iter()
                .any(|other| type_of(other) == type_of(structure) && !is_profile(other))
        };
        let profiles = structures.iter().copied();
        Self {
            types: types.into_boxed_slice(),
            profiles: profiles.filter(|found| !needs_none(found)).collect(),
            aggregation: Aggregation::default(),
        }
    }

    /// Whether a reference may lead anywhere in any way.
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.types.is_empty() && self.aggregation.is_unrestricted()
    }

    fn admits(&self, way: Way) -> bool {
        let modes = self.aggregation;
        modes.is_unrestricted()
            || match way {
                Way::Contained => modes.contained,
                // What is in the same Bundle is referenced too.
                Way::Bundled => modes.bundled || modes.referenced,
                Way::Far => modes.referenced,
            }
    }
}

/// Every kind that one of the types admits.
fn aggregation<'d>(element_types: impl Iterator<Item = &'d ElementType> + Clone) -> Aggregation {
    let modes = element_types.map(|found| found.aggregation);
    if modes.clone().any(Aggregation::is_unrestricted) {
        return Aggregation::default();
    }
    modes.fold(Aggregation::default(), |all, one| Aggregation {
        contained: all.contained || one.contained,
        referenced: all.referenced || one.referenced,
        bundled: all.bundled || one.bundled,
    })
}

impl<'a> Walk<'a> {
    /// A Reference and where it leads.
    pub(crate) fn reference(&mut self, value: Node<'a>, targets: &'a Targets, rule: ElementId) {
        let names = &self.rules.known.names;
        let (reference, type_name) = (value.get(names.reference), value.get(names.type_name));
        let url = reference.and_then(Node::as_str);
        let mut target_type = None;
        if let (Some(reference), Some(url)) = (reference, &url) {
            let parsed = Reference::parse(url, None);
            let known = self.known_target(url, parsed, reference);
            target_type = self.type_of_target(&known, parsed);
            self.target(reference, &known, parsed, targets, rule);
        }
        if let Some(type_name) = type_name {
            self.stated_type(type_name, target_type, targets, rule);
        }
    }

    /// The resource that a reference leads to, if it is contained or in the same Bundle, or else
    /// if the resolver has it.
    pub(crate) fn resolve(&self, reference: Node<'a>) -> Option<(Node<'a>, bool)> {
        let url = reference.as_str()?;
        match self.known_target(&url, Reference::parse(&url, None), reference) {
            Known::Resource(resource, way) => Some((resource, way == Way::Contained)),
            Known::Container => Some((self.container, false)),
            _ => None,
        }
    }

    /// The type that a reference says it leads to, where no resource is found.
    pub(crate) fn type_by_url(&self, reference: Node<'a>) -> Option<TypeId> {
        let url = reference.as_str()?;
        let name = Reference::parse(&url, None).resource_type()?;
        self.definitions.resource_type(name)
    }

    fn known_target(&self, url: &str, parsed: Reference<'_>, from: Node<'a>) -> Known<'a> {
        if let Reference::Contained(id) = parsed {
            return self.contained_target(id);
        }
        let found = self
            .beside
            .as_deref()
            .map(|beside| beside.find(url, from.id()));
        match found {
            Some(Found::Resource(resource)) => Known::Resource(resource, Way::Bundled),
            Some(Found::Several(count)) => Known::Several(count),
            Some(Found::Nothing) | None => self.far_target(url, parsed, from),
        }
    }

    fn contained_target(&self, id: &str) -> Known<'a> {
        let names = &self.rules.known.names;
        let has_id = |resource: Node<'a>| {
            let found = resource.get(names.id).and_then(Node::as_str);
            found.as_deref() == Some(id)
        };
        let contained = self.container.get(names.contained);
        let mut contained = contained.into_iter().flat_map(Node::items);
        match contained.find(|resource| has_id(*resource)) {
            Some(resource) => Known::Resource(resource, Way::Contained),
            // Some write the id of the resource itself instead of a bare `#`.
            None if id.is_empty() || has_id(self.container) => Known::Container,
            None => Known::NotContained,
        }
    }

    /// What the resolver knows, if it is to be asked.
    fn far_target(&self, url: &str, parsed: Reference<'_>, from: Node<'a>) -> Known<'a> {
        let is_resource = matches!(parsed, Reference::Local(_) | Reference::Remote { .. });
        let resolver = self
            .elsewhere
            .resolver
            .filter(|_| is_resource && self.options.references != References::Inside);
        let Some(resolver) = resolver else {
            return Known::Nothing;
        };
        match resolver.resolve(url, Some(fhir_model::element::Element::of(from))) {
            Resolved::Resource(item) => item.element().map_or(Known::Nothing, |element| {
                Known::Resource(element.node(), Way::Far)
            }),
            Resolved::Type(type_id) => Known::TypeOnly(type_id),
            Resolved::Nothing => Known::Missing,
        }
    }

    fn target(
        &mut self,
        reference: Node<'a>,
        known: &Known<'a>,
        parsed: Reference<'_>,
        targets: &'a Targets,
        rule: ElementId,
    ) {
        match known {
            Known::Container => {}
            Known::NotContained => self.not_contained(reference),
            Known::Several(count) => self.ambiguous(reference, *count),
            Known::Resource(resource, way) => {
                self.aggregation(reference, *way, targets, rule);
                self.known_resource(reference, (*resource, *way), parsed, targets, rule);
            }
            Known::TypeOnly(_) | Known::Nothing | Known::Missing => {
                if matches!(known, Known::Missing)
                    && self.options.references == References::MustExist
                {
                    return self.missing_target(reference);
                }
                self.aggregation(reference, Way::Far, targets, rule);
                self.target_elsewhere(reference, known, parsed, targets, rule);
            }
        }
    }

    /// A target of which no more than the type is known, if that.
    fn target_elsewhere(
        &mut self,
        reference: Node<'a>,
        known: &Known<'a>,
        parsed: Reference<'_>,
        targets: &'a Targets,
        rule: ElementId,
    ) {
        match (known, parsed) {
            (Known::TypeOnly(type_id), _) => {
                self.judge(
                    reference,
                    self.definitions.type_name(*type_id),
                    targets,
                    rule,
                );
            }
            (
                _,
                Reference::Local(Target {
                    resource_type, id, ..
                }),
            ) => {
                self.judge(reference, resource_type, targets, rule);
                self.uuid_as_id(reference, resource_type, id);
            }
            (_, Reference::Malformed(url)) => self.malformed(reference, url, rule),
            // A reference elsewhere need not follow the REST interface: a type that is none says
            // nothing.
            _ => {
                if let Some(type_name) = self.known_type(parsed) {
                    self.judge(reference, type_name, targets, rule);
                }
            }
        }
    }

    /// What is neither a URL nor of the REST interface. A relative path of another form may still
    /// lead somewhere on a server that does not follow that.
    fn malformed(&mut self, reference: Node<'a>, url: &str, rule: ElementId) {
        let is_path = url.contains('/') && !url.contains(char::is_whitespace);
        let text = format!(
            "{} is no reference; it is written as Type/id, as an absolute URL or as #id",
            quote(url)
        );
        self.findings.push_once(Finding {
            node: reference,
            severity: if is_path {
                Severity::Warning
            } else {
                Severity::Error
            },
            code: IssueType::Value,
            about: About::Value,
            rule: self.rule_of(rule),
            text,
        });
    }

    fn known_type<'t>(&self, target: Reference<'t>) -> Option<&'t str> {
        target
            .resource_type()
            .filter(|name| self.definitions.resource_type(name).is_some())
    }

    fn type_of_target<'t>(&self, known: &Known<'a>, parsed: Reference<'t>) -> Option<Cow<'t, str>>
    where
        'a: 't,
    {
        match known {
            Known::Resource(resource, _) => type_name_of(*resource),
            Known::Container => type_name_of(self.container),
            Known::TypeOnly(type_id) => Some(Cow::Borrowed(self.definitions.type_name(*type_id))),
            _ => self.known_type(parsed).map(Cow::Borrowed),
        }
    }

    /// A resource at the end of a reference: its type, and the profiles that the element demands.
    fn known_resource(
        &mut self,
        reference: Node<'a>,
        (resource, way): (Node<'a>, Way),
        parsed: Reference<'_>,
        targets: &'a Targets,
        rule: ElementId,
    ) {
        // A resource of no known type was reported where it stands.
        let Some(type_name) = type_name_of(resource) else {
            return;
        };
        let Some(type_id) = self.definitions.resource_type(&type_name) else {
            return;
        };
        if let Some(named) = self.known_type(parsed)
            && named != type_name
        {
            return self.other_type(reference, named, &type_name);
        }
        self.judge(reference, &type_name, targets, rule);
        let is_of_type =
            |structure: &StructureId| self.definitions.structure_of(*structure).type_id == type_id;
        let is_admitted = targets.types.contains(&type_id);
        if is_admitted && targets.profiles.iter().any(is_of_type) {
            self.target_profiles(reference, (resource, way == Way::Contained), targets, rule);
        }
    }

    fn target_profiles(
        &mut self,
        reference: Node<'a>,
        (resource, is_contained): (Node<'a>, bool),
        targets: &'a Targets,
        rule: ElementId,
    ) {
        let Some(failure) = self.target_satisfies(resource, is_contained, &targets.profiles) else {
            return;
        };
        let text = format!("This leads to a resource that does not fit the element: {failure}");
        self.wrong_target(reference, IssueType::Value, self.rule_of(rule), text);
    }

    fn other_type(&mut self, reference: Node<'a>, named: &str, actual: &str) {
        let text = format!(
            "The reference names the type {}, but leads to a resource of type {}",
            quote(named),
            quote(actual)
        );
        self.wrong_target(
            reference,
            IssueType::Value,
            "Reference.reference".to_owned(),
            text,
        );
    }

    /// `Patient/5d95…` for the entry `urn:uuid:5d95…`: meant for another type, it cannot be right.
    fn uuid_as_id(&mut self, reference: Node<'a>, named: &str, id: &str) {
        const UUID_LENGTH: usize = 36;
        if id.len() != UUID_LENGTH {
            return;
        }
        let beside = self.beside.as_deref();
        let actual = beside
            .and_then(|beside| beside.by_uuid(id))
            .and_then(type_name_of);
        if let Some(actual) = actual.filter(|actual| actual != named) {
            self.other_type(reference, named, &actual);
        }
    }

    fn not_contained(&mut self, reference: Node<'a>) {
        let url = reference.as_str().unwrap_or_default();
        let text = format!(
            "No contained resource has the id {}; a reference with # leads to one",
            quote(url.strip_prefix('#').unwrap_or(&url))
        );
        self.wrong_target(reference, IssueType::NotFound, "ref-1".to_owned(), text);
    }

    fn ambiguous(&mut self, reference: Node<'a>, count: usize) {
        let text = format!(
            "{count} entries of the Bundle match this reference; a version (/_history/…) tells \
             which is meant"
        );
        let rule = "Bundle.entry.fullUrl".to_owned();
        self.wrong_target(reference, IssueType::MultipleMatches, rule, text);
    }

    fn missing_target(&mut self, reference: Node<'a>) {
        let url = reference.as_str().unwrap_or_default();
        let text = format!("There is no resource {}", quote(&url));
        let rule = "Reference.reference".to_owned();
        self.wrong_target(reference, IssueType::NotFound, rule, text);
    }

    fn aggregation(&mut self, reference: Node<'a>, way: Way, targets: &Targets, rule: ElementId) {
        if targets.admits(way) {
            return;
        }
        let modes = targets.aggregation;
        let wanted = [
            (modes.contained, "contained in this one"),
            (modes.bundled, "in the same Bundle"),
            (modes.referenced, "elsewhere"),
        ];
        let wanted = wanted.iter().filter(|(is_admitted, _)| *is_admitted);
        let text = format!(
            "The resource that this leads to must be {}",
            any_of(wanted.map(|(_, words)| *words))
        );
        self.wrong_target(reference, IssueType::Value, self.rule_of(rule), text);
    }

    /// `Reference.type`, which must fit the element and what the reference leads to.
    fn stated_type(
        &mut self,
        member: Node<'a>,
        actual: Option<Cow<'_, str>>,
        targets: &'a Targets,
        rule: ElementId,
    ) {
        let Some(stated) = member.as_str() else {
            return;
        };
        let stated = stated.strip_prefix(TYPE_URL).unwrap_or(&stated);
        match actual {
            Some(actual) if actual != stated => {
                let text = format!(
                    "The type is {}, but the reference leads to {}",
                    quote(stated),
                    quote(&actual)
                );
                let rule = "Reference.type".to_owned();
                self.wrong_target(member, IssueType::Value, rule, text);
            }
            Some(_) => {}
            None => self.judge(member, stated, targets, rule),
        }
    }

    /// Whether a target of this type is admitted.
    fn judge(&mut self, node: Node<'a>, type_name: &str, targets: &Targets, rule: ElementId) {
        let Some(type_id) = self.definitions.resource_type(type_name) else {
            let text = format!(
                "{} is not a type of resource in R4; a reference is written as Type/id, as an \
                 absolute URL or as #id",
                quote(type_name)
            );
            return self.wrong_target(node, IssueType::Value, self.rule_of(rule), text);
        };
        if targets.types.is_empty() || targets.types.contains(&type_id) {
            return;
        }
        let wanted = targets
            .types
            .iter()
            .map(|target| self.definitions.type_name(*target));
        let text = format!(
            "This leads to a resource of type {type_name}, but must lead to {}",
            any_of(wanted)
        );
        self.wrong_target(node, IssueType::Value, self.rule_of(rule), text);
    }

    fn wrong_target(&mut self, node: Node<'a>, code: IssueType, rule: String, text: String) {
        self.findings.push_once(Finding {
            node,
            severity: Severity::Error,
            code,
            about: About::Value,
            rule,
            text,
        });
    }
}

fn type_name_of(resource: Node<'_>) -> Option<Cow<'_, str>> {
    resource.get_str("resourceType")?.as_str()
}
