//! Where a reference leads: <https://hl7.org/fhir/R4/references.html>.
//!
//! What a reference says about its target (the type in its URL, its `type`, the contained resource
//! that it names) must fit the types that the element admits. Whether the target exists elsewhere
//! is asked by the server, not here.

use std::borrow::Cow;

use fhir_model::definition::{ElementId, TypeId};
use fhir_model::issue::{IssueType, Severity};
use fhir_model::reference::{Reference, Target};
use fhir_model::tree::Node;

use crate::finding::{About, Finding, any_of, quote};
use crate::walk::Walk;

/// Where types of `Reference.type` are defined when they are written as an absolute URL.
const TYPE_URL: &str = "http://hl7.org/fhir/StructureDefinition/";

impl<'a> Walk<'a> {
    /// A Reference whose target must be one of these types; any, if there are none.
    pub(crate) fn reference(&mut self, value: Node<'a>, targets: &[TypeId], rule: ElementId) {
        let names = &self.rules.known.names;
        let (reference, type_name) = (value.get(names.reference), value.get(names.type_name));
        if let Some(reference) = reference
            && let Some(url) = reference.as_str()
        {
            match Reference::parse(&url, None) {
                Reference::Contained("") => {}
                Reference::Contained(id) => self.contained_target(reference, id, targets, rule),
                Reference::Local(Target { resource_type, .. }) => {
                    self.judge(reference, resource_type, targets, rule);
                }
                target => self.far_target(reference, target, targets, rule),
            }
        }
        if let Some(type_name) = type_name {
            self.stated_type(type_name, reference, targets, rule);
        }
    }

    fn contained_target(
        &mut self,
        reference: Node<'a>,
        id: &str,
        targets: &[TypeId],
        rule: ElementId,
    ) {
        let names = &self.rules.known.names;
        let is_meant = |resource: &Node<'a>| {
            let found = resource.get(names.id).and_then(Node::as_str);
            found.as_deref() == Some(id)
        };
        let contained = self.container.get(names.contained);
        let found = contained.into_iter().flat_map(Node::items).find(is_meant);
        match found {
            Some(resource) => {
                let type_name = resource
                    .get_str("resourceType")
                    .and_then(Node::as_str)
                    .unwrap_or_default();
                // A contained resource of no known type was reported where it stands.
                if self.definitions.resource_type(&type_name).is_some() {
                    self.judge(reference, &type_name, targets, rule);
                }
            }
            None if self.is_own_id(id) => {}
            None => {
                let text = format!(
                    "No contained resource has the id {}; a reference with # leads to one",
                    quote(id)
                );
                self.wrong_target(reference, IssueType::NotFound, "ref-1".to_owned(), text);
            }
        }
    }

    /// Whether this is the id of the resource itself, which some write instead of a bare `#`.
    fn is_own_id(&self, id: &str) -> bool {
        let own = self.container.get(self.rules.known.names.id);
        own.and_then(Node::as_str).as_deref() == Some(id)
    }

    /// A reference elsewhere, which need not follow the REST interface: a type that is none says
    /// nothing.
    fn far_target(
        &mut self,
        reference: Node<'a>,
        target: Reference<'_>,
        targets: &[TypeId],
        rule: ElementId,
    ) {
        if let Some(type_name) = self.known_type(target) {
            self.judge(reference, type_name, targets, rule);
        }
    }

    fn known_type<'t>(&self, target: Reference<'t>) -> Option<&'t str> {
        target
            .resource_type()
            .filter(|name| self.definitions.resource_type(name).is_some())
    }

    /// `Reference.type`, which must fit the element and the URL beside it.
    fn stated_type(
        &mut self,
        member: Node<'a>,
        reference: Option<Node<'a>>,
        targets: &[TypeId],
        rule: ElementId,
    ) {
        let Some(stated) = member.as_str() else {
            return;
        };
        let stated = stated.strip_prefix(TYPE_URL).unwrap_or(&stated);
        let url: Option<Cow<'_, str>> = reference.and_then(Node::as_str);
        let target = url.as_deref().map(|url| Reference::parse(url, None));
        match target.and_then(|target| self.known_type(target)) {
            Some(in_url) if in_url != stated => {
                let text = format!(
                    "The type is {}, but the reference leads to {}",
                    quote(stated),
                    quote(in_url)
                );
                let rule = "Reference.type".to_owned();
                self.wrong_target(member, IssueType::Value, rule, text);
            }
            Some(_) => {}
            None => self.judge(member, stated, targets, rule),
        }
    }

    /// Whether a target of this type is admitted.
    fn judge(&mut self, node: Node<'a>, type_name: &str, targets: &[TypeId], rule: ElementId) {
        let Some(type_id) = self.definitions.resource_type(type_name) else {
            let text = format!(
                "{} is not a type of resource in R4; a reference is written as Type/id, as an \
                 absolute URL or as #id",
                quote(type_name)
            );
            return self.wrong_target(node, IssueType::Value, self.rule_of(rule), text);
        };
        if targets.is_empty() || targets.contains(&type_id) {
            return;
        }
        let wanted = targets
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
