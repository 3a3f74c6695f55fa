//! Instances against the rules of a profile.
//!
//! Works on FHIR elements, not on JSON: what is wrong in the JSON was said by the base already,
//! and a finding that only repeats it is dropped.

use fhir_model::definition::{Derivation, ElementId, StructureId, Text, TypeId};
use fhir_model::element::Element as Instance;
use fhir_model::issue::{IssueType, Severity};
use fhir_model::tree::{Kind, Node};

use crate::finding::{About, Finding, any_of, path, quote_canonical, shorten};
use crate::profile::{ElementRule, TypeRule, ValueRules};
use crate::walk::Walk;

/// Why a resource is held to a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It says so itself, in `meta.profile`.
    Own,
    /// Whoever validates asks for it.
    Requested,
}

/// The definitions of a version of FHIR, which R5 and later profiles are known by:
/// <https://hl7.org/fhir/R4/versions.html#extensions>.
const VERSIONED: &str = "http://hl7.org/fhir/";
const STRUCTURE_DEFINITION: &str = "/StructureDefinition/";

/// Ours.
const FHIR_VERSION: &str = "4.0";

impl<'a> Walk<'a> {
    /// A resource against the profiles that it claims in `meta.profile`.
    pub(crate) fn declared_profiles(&mut self, resource: Node<'a>, type_id: TypeId) {
        let names = &self.rules.known.names;
        let claimed = resource
            .get(names.meta)
            .and_then(|meta| meta.get(names.profile));
        for claim in claimed.into_iter().flat_map(Node::items) {
            if let Some(canonical) = claim.as_str() {
                self.profile((resource, type_id), &canonical, Claim::Own, claim);
            }
        }
    }

    /// A resource against a profile; that it is not known, or not of this type, is said at `at`.
    pub(crate) fn profile(
        &mut self,
        (resource, type_id): (Node<'a>, TypeId),
        canonical: &str,
        claim: Claim,
        at: Node<'a>,
    ) {
        let definitions = self.definitions;
        let Some(structure) = self.structure(canonical) else {
            return self.unknown_profile(canonical, claim, at);
        };
        let wanted = definitions.structure_of(structure).type_id;
        if !definitions.is_subtype_of(type_id, wanted) {
            let text = format!(
                "The profile {} is for {}, and this is a resource of type {}",
                quote_canonical(canonical),
                definitions.type_name(wanted),
                definitions.type_name(type_id),
            );
            return self.findings.push_once(Finding {
                node: at,
                severity: Severity::Error,
                code: IssueType::Invalid,
                about: About::Rule,
                rule: "Meta.profile".to_owned(),
                text,
            });
        }
        self.apply(resource, structure);
    }

    /// The structure that a canonical means. What is named as of our own version of FHIR is known
    /// without it.
    fn structure(&self, canonical: &str) -> Option<StructureId> {
        let definitions = self.definitions;
        definitions.structure(canonical).or_else(|| {
            let (version, name) = versioned(canonical)?;
            let name = name.split('|').next()?;
            (version == FHIR_VERSION)
                .then(|| {
                    definitions
                        .structure(&format!("http://hl7.org/fhir{STRUCTURE_DEFINITION}{name}"))
                })
                .flatten()
        })
    }

    /// A profile that nobody knows is named once, however many resources claim it.
    fn unknown_profile(&mut self, canonical: &str, claim: Claim, at: Node<'a>) {
        let other_version = versioned(canonical)
            .map(|(version, _)| version)
            .filter(|version| *version != FHIR_VERSION);
        let (severity, text) = match (other_version, claim) {
            (Some(version), Claim::Own) => (
                Severity::Information,
                format!(
                    "The profile {} is for version {version} of FHIR, so it was not checked",
                    quote_canonical(canonical)
                ),
            ),
            (_, Claim::Own) => (
                Severity::Warning,
                format!(
                    "The profile {} is not known here, so it was not checked{}",
                    quote_canonical(canonical),
                    self.other_versions(canonical)
                ),
            ),
            (_, Claim::Requested) => (
                Severity::Error,
                format!(
                    "The profile {} is not known here; load the package that defines it{}",
                    quote_canonical(canonical),
                    self.other_versions(canonical)
                ),
            ),
        };
        if !self.findings.is_said(&text) {
            self.findings.push(Finding {
                node: at,
                severity,
                code: IssueType::NotFound,
                about: About::Rule,
                rule: "Meta.profile".to_owned(),
                text,
            });
        }
    }

    /// Which version of a profile is loaded, if it is another one.
    fn other_versions(&self, canonical: &str) -> String {
        let definitions = self.definitions;
        let found = canonical
            .split_once('|')
            .and_then(|(url, _)| definitions.structure(url))
            .and_then(|structure| definitions.structure_of(structure).version);
        found.map_or_else(String::new, |version| {
            format!("; version {} is", definitions.text(version))
        })
    }

    /// A value against a profile of its type, unless that is done already.
    pub(crate) fn apply(&mut self, value: Node<'a>, structure: StructureId) {
        let Some(rules) = self.rules.of_profile(self.definitions, structure) else {
            return;
        };
        if rules.is_empty() || !self.applied.insert((value.id(), structure)) {
            return;
        }
        let type_id = self.definitions.structure_of(structure).type_id;
        self.within_value(value, type_id, |walk| {
            let misshapen = walk.findings.misshapen_count();
            let instance = Instance::of(value);
            walk.element_rules(instance, &rules.elements);
            if walk.findings.misshapen_count() == misshapen {
                walk.invariants(instance, type_id, &rules.constraints);
            }
        });
    }

    fn element_rules(&mut self, parent: Instance<'a>, rules: &'a [ElementRule]) {
        for rule in rules {
            if self.findings.is_full() {
                return;
            }
            self.element_rule(parent, rule);
        }
    }

    fn element_rule(&mut self, parent: Instance<'a>, rule: &'a ElementRule) {
        let mut count = 0;
        for form in &rule.forms {
            for instance in parent.children(form.name) {
                count += 1;
                if count > rule.max {
                    self.too_many(instance, rule.value.element, rule.max);
                }
                if form.is_allowed {
                    self.value_rules(instance, form.type_id, &rule.value);
                } else {
                    self.wrong_type(instance, rule, form.type_id);
                }
            }
        }
        if count < rule.min && !is_misshapen(parent, rule) {
            self.too_few(parent, rule.value.element, (count, rule.min), None);
        }
        if let Some(slicing) = &rule.slicing {
            self.slices(parent, rule, slicing);
        }
    }

    /// One occurrence of an element or of a slice.
    pub(super) fn value_rules(
        &mut self,
        instance: Instance<'a>,
        type_id: TypeId,
        rules: &'a ValueRules,
    ) {
        let misshapen = self.findings.misshapen_count();
        self.given_value(instance, rules);
        if let Some(limits) = &rules.limits {
            self.limits(instance, type_id, rules, limits);
        }
        let value = instance.value();
        let actual = value.map_or(Some(type_id), |value| self.actual_type(value, type_id));
        if let (Some(value), Some(actual)) = (value, actual) {
            self.type_rules(value, actual, rules);
        }
        if !rules.elements.is_empty() {
            self.within_value(instance.node(), type_id, |walk| {
                walk.element_rules(instance, &rules.elements);
            });
        }
        let content = rules.content;
        let content = content.and_then(|element| self.rules.of_content(self.definitions, element));
        if let Some(content) = content {
            self.element_rules(instance, &content.elements);
        }
        if self.findings.misshapen_count() == misshapen {
            let actual = actual.unwrap_or(type_id);
            self.invariants(instance, actual, &rules.constraints);
            if let Some(content) = content {
                self.invariants(instance, actual, &content.constraints);
            }
        }
    }

    fn type_rules(&mut self, value: Node<'a>, actual: TypeId, rules: &'a ValueRules) {
        let definitions = self.definitions;
        if !rules.resource_types.is_empty() {
            self.resource_type_rule(value, actual, rules);
        }
        for rule in &rules.by_type {
            if definitions.is_subtype_of(actual, rule.type_id) {
                self.type_rule(value, rule, rules.element);
            }
        }
    }

    /// The value against those that the profile gives. Extensions do not stand in for one.
    fn given_value(&mut self, instance: Instance<'a>, rules: &'a ValueRules) {
        let value = instance.value();
        if let Some(fixed) = &rules.fixed {
            if !value.is_some_and(|value| fixed.is_equal_to(value)) {
                let text = format!("This must be exactly {}", shorten(fixed.text()));
                self.broken(instance.node(), IssueType::Value, rules.element, text);
            } else if fixed.is_scalar() && instance.extensions().next().is_some() {
                let text = format!(
                    "This must be exactly {}, without extensions",
                    shorten(fixed.text())
                );
                self.broken(instance.node(), IssueType::Value, rules.element, text);
            }
        }
        if let Some(pattern) = &rules.pattern
            && !value.is_some_and(|value| pattern.is_contained_in(value))
        {
            let text = format!("This must contain {}", shorten(pattern.text()));
            self.broken(instance.node(), IssueType::Value, rules.element, text);
        }
    }

    /// A resource against the types that the profile narrows it to.
    fn resource_type_rule(&mut self, resource: Node<'a>, type_id: TypeId, rules: &'a ValueRules) {
        let definitions = self.definitions;
        let mut types = rules.resource_types.iter();
        if !types.any(|wanted| definitions.is_subtype_of(type_id, *wanted)) {
            let types = rules.resource_types.iter();
            let text = format!(
                "A resource of type {} is needed here, not {}",
                any_of(types.map(|wanted| definitions.type_name(*wanted))),
                definitions.type_name(type_id),
            );
            self.broken(resource, IssueType::Structure, rules.element, text);
        }
    }

    fn type_rule(&mut self, value: Node<'a>, rule: &'a TypeRule, element: ElementId) {
        if let Some(bound) = rule.binding {
            self.binding(value, bound, element);
        }
        if let Some(targets) = &rule.targets {
            self.reference(value, targets, element);
        }
        self.one_of(value, &rule.profiles, element);
    }

    pub(super) fn too_many(&mut self, instance: Instance<'a>, element: ElementId, max: u32) {
        let name = self.element_name(element);
        let text = match max {
            0 => format!("The profile admits no {name} here"),
            max => format!("The profile admits {max} {name} at most, and this is one more"),
        };
        self.broken(instance.node(), IssueType::Structure, element, text);
    }

    /// Too few occurrences of an element, or of one of its slices.
    pub(super) fn too_few(
        &mut self,
        parent: Instance<'a>,
        element: ElementId,
        (count, min): (u32, u32),
        slice: Option<Text>,
    ) {
        let name = self.element_name(element);
        let text = match (count, min) {
            (0, 1) => format!("The profile demands {name}, and it is missing"),
            _ => format!("The profile demands at least {min} {name}, and there are {count}"),
        };
        let found = self.definitions.element(element);
        self.findings.push_once(Finding {
            node: parent.node(),
            severity: Severity::Error,
            code: IssueType::Required,
            about: About::Missing(found.name, slice),
            rule: self.rule_of(element),
            text,
        });
    }

    fn wrong_type(&mut self, instance: Instance<'a>, rule: &'a ElementRule, type_id: TypeId) {
        let allowed = rule.forms.iter().filter(|form| form.is_allowed);
        let text = format!(
            "The profile admits the type {}, not {}",
            any_of(allowed.map(|form| self.definitions.type_name(form.type_id))),
            self.definitions.type_name(type_id),
        );
        self.broken(
            instance.node(),
            IssueType::Structure,
            rule.value.element,
            text,
        );
    }

    pub(super) fn broken(
        &mut self,
        node: Node<'a>,
        code: IssueType,
        element: ElementId,
        text: String,
    ) {
        self.findings.push_once(Finding {
            node,
            severity: Severity::Error,
            code,
            about: About::Rule,
            rule: self.rule_of(element),
            text,
        });
    }

    /// The name of an element, with that of its slice: `identifier:mrn`.
    fn element_name(&self, element: ElementId) -> String {
        let definitions = self.definitions;
        let found = definitions.element(element);
        let mut name = definitions.names().text(found.name).to_owned();
        if found.is_choice {
            name.push_str("[x]");
        }
        if let Some(slice) = found.slice_name {
            name.push(':');
            name.push_str(definitions.text(slice));
        }
        name
    }

    /// How an element names the rule that it makes: by its path, if it is of a base definition,
    /// else by the canonical of the profile and its id there.
    pub(crate) fn rule_of(&self, element: ElementId) -> String {
        let definitions = self.definitions;
        let found = definitions.element(element);
        let structure = definitions.structure_of(found.structure);
        if structure.derivation == Some(Derivation::Constraint) {
            let (url, id) = (structure.url, found.id);
            return format!("{}#{}", definitions.text(url), definitions.text(id));
        }
        path(definitions, element).to_owned()
    }
}

/// Whether the element is there in a form that the base has found wrong, so that it is not missing
/// as well.
pub(super) fn is_misshapen(parent: Instance<'_>, rule: &ElementRule) -> bool {
    let is_own = |member: Node<'_>| rule.forms.iter().any(|form| form.name == member.name());
    parent
        .value()
        .into_iter()
        .chain(parent.shadow())
        .filter(|node| node.kind() == Kind::Object)
        .flat_map(Node::children)
        .any(|member| is_own(member) && (member.is_empty() && member.kind() == Kind::Array))
}

/// The version and the name of `http://hl7.org/fhir/5.0/StructureDefinition/Patient`.
fn versioned(canonical: &str) -> Option<(&str, &str)> {
    let (version, name) = canonical
        .strip_prefix(VERSIONED)?
        .split_once(STRUCTURE_DEFINITION)?;
    let is_version = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    is_version(version).then_some((version, name))
}
