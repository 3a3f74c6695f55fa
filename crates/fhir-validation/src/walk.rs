//! A resource against the base definitions: unknown properties, cardinality, types, and the rules
//! of FHIR's JSON form (<https://hl7.org/fhir/R4/json.html>).
//!
//! The walk follows the JSON, because that is where the mistakes are; each value is judged once.
//! What is wrong in its shape is not looked into, so that one mistake gives one issue. The depth of
//! a tree is limited by its reader ([`fhir_model::tree::Limits::DEPTH_CEILING`]), and so is the
//! recursion here.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;

use fhir_model::definition::{Definitions, ElementId, StructureId, TypeId, TypeKind};
use fhir_model::element::Element;
use fhir_model::issue::{Issue, IssueType, Severity};
use fhir_model::name::Name;
use fhir_model::tree::{Kind, Node, NodeId};
use fhirpath::Item;

use crate::beside::Beside;
use crate::finding::{About, Finding, Findings, any_of, path, quote};
use crate::profile::Conformance;
use crate::rules::{Content, PropertyRule, Rules, TypeRules};
use crate::suggest::nearest;
use crate::{Elsewhere, Level, Options};

/// One validation: what it goes by, what it found, where it is.
pub(crate) struct Walk<'a> {
    pub(crate) definitions: &'a Definitions,
    pub(crate) rules: &'a Rules,
    pub(crate) options: &'a Options,
    pub(crate) findings: Findings<'a>,
    /// The resource that is walked.
    pub(crate) resource: Option<Item<'a>>,
    /// The same, or the one that contains it.
    pub(crate) root: Option<Item<'a>>,
    /// The resource whose contained resources a reference `#id` leads to.
    pub(crate) container: Node<'a>,
    /// The resources in the Bundle or the Parameters that we are in.
    pub(crate) beside: Option<Rc<Beside<'a>>>,
    /// What finds resources that are not in the tree.
    pub(crate) elsewhere: Elsewhere<'a>,
    /// The objects that we are in, the resource first.
    pub(crate) places: Vec<Place<'a>>,
    /// The profiles that were applied to nodes, to apply each once.
    pub(crate) applied: HashSet<(NodeId, StructureId)>,
    /// Which values satisfy which profiles, as far as that was asked.
    pub(crate) conformance: Conformance,
    /// The URLs of extensions that were said to be unknown.
    pub(crate) unknown_extensions: HashSet<String>,
    /// Occurrences of slices, of all slicings that are being checked.
    pub(crate) counts: Vec<u32>,
    /// How many validations this one is within, by `conformsTo()`.
    pub(crate) depth: usize,
    /// What all invariants together may still cost; shared with the validations within this one.
    pub(crate) steps_left: Rc<Cell<u64>>,
}

/// Steps that all invariants of one validation may do together: so many, and more for each byte of the
/// resource. The invariants of R4 need less than one a byte; one that somebody uploaded may want any
/// number.
const STEPS_MIN: u64 = 5_000_000;
const STEPS_PER_BYTE: u64 = 4;

fn steps_for(resource: Node<'_>) -> u64 {
    let bytes = u64::try_from(resource.raw_text().len()).unwrap_or(u64::MAX);
    bytes
        .saturating_mul(STEPS_PER_BYTE)
        .saturating_add(STEPS_MIN)
}

/// An object that the walk is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) node: Node<'a>,
    /// Its element, of a choice without the type; unknown for a resource.
    pub(crate) name: Name,
    pub(crate) type_id: TypeId,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        definitions: &'a Definitions,
        rules: &'a Rules,
        options: &'a Options,
        resource: Node<'a>,
        elsewhere: Elsewhere<'a>,
    ) -> Self {
        Self {
            definitions,
            rules,
            options,
            resource: None,
            root: None,
            findings: Findings::new(options.issues_max),
            container: resource,
            beside: Beside::around(resource).map(Rc::new),
            elsewhere,
            places: Vec::new(),
            applied: HashSet::new(),
            conformance: Conformance::default(),
            unknown_extensions: HashSet::new(),
            counts: Vec::new(),
            depth: 0,
            steps_left: Rc::new(Cell::new(steps_for(resource))),
        }
    }

    pub(crate) fn into_issues(self) -> Vec<Issue> {
        self.findings.into_issues(self.definitions)
    }

    /// A resource and everything in it. Returns its type, if it says a right one.
    pub(crate) fn check_resource(&mut self, resource: Node<'a>) -> Option<TypeId> {
        let type_id = self.type_of_resource(resource)?;
        self.resource = Some(Item::node(Element::of(resource), type_id));
        if resource == self.container {
            self.root.clone_from(&self.resource);
        }
        let known = &self.rules.known;
        if [known.bundle, known.parameters].contains(&Some(type_id)) {
            self.beside = Some(Rc::new(Beside::new(resource)));
        }
        let misshapen = self.findings.misshapen_count();
        self.object(resource, Name::UNKNOWN, type_id, type_id);
        if self.options.invariants && self.findings.misshapen_count() == misshapen {
            self.connected(resource);
        }
        if self.options.level == Level::Profile {
            self.declared_profiles(resource, type_id);
        }
        Some(type_id)
    }

    fn type_of_resource(&mut self, resource: Node<'a>) -> Option<TypeId> {
        if resource.kind() != Kind::Object {
            self.not_an_object(resource, "a resource");
            return None;
        }
        let Some(member) = resource.get_str("resourceType") else {
            let text = "A resource says its type in resourceType, and that is missing".to_owned();
            self.findings
                .error(resource, IssueType::Required, "Resource", text);
            return None;
        };
        let name = member.as_str().unwrap_or_default();
        let type_id = self.definitions.resource_type(&name);
        if type_id.is_none() {
            let names = self.definitions.resource_types();
            let hint = did_you_mean(nearest(&name, names));
            let text = format!("{} is not a type of resource in R4{hint}", quote(&name));
            self.findings
                .error(member, IssueType::Value, "Resource", text);
        }
        type_id
    }

    /// An object of an element and its type: its members, and those that it lacks. The object
    /// beside a primitive has the content of another type, `Element`.
    pub(crate) fn object(&mut self, node: Node<'a>, name: Name, type_id: TypeId, content: TypeId) {
        if self.is_hollow(node) {
            return self.hollow(node, self.definitions.type_name(content));
        }
        self.places.push(Place {
            node,
            name,
            type_id,
        });
        self.members(node, content);
        self.places.pop();
    }

    fn members(&mut self, object: Node<'a>, type_id: TypeId) {
        let misshapen = self.findings.misshapen_count();
        let Some(rules) = self.rules.of_type(self.definitions, type_id) else {
            return;
        };
        let mut seen = 0;
        for member in object.children() {
            if self.findings.is_full() {
                return;
            }
            let Some(rule) = rules.property(member.name()) else {
                self.unknown_property(member, type_id, rules);
                continue;
            };
            if rule.is_choice && seen & rule.bit != 0 {
                self.second_choice(object, member, rule, rules);
            }
            seen |= rule.bit;
            let before = self.findings.misshapen_count();
            self.member(object, member, rule);
            if !rule.constraints.is_empty() && self.findings.misshapen_count() == before {
                self.member_invariants(object, rule);
            }
        }
        let missing = rules.required & !seen;
        if missing != 0 {
            for element in rules.elements(missing) {
                self.missing(object, type_id, element);
            }
        }
        // An expression is meant for what has the right shape.
        if self.findings.misshapen_count() == misshapen {
            self.invariants(Element::of(object), type_id, &rules.constraints);
            self.beyond(object, type_id);
        }
    }

    /// Whether an object has nothing in it, or an id only. A resource has its type.
    fn is_hollow(&self, object: Node<'a>) -> bool {
        let is_id = |member: Node<'a>| member.name() == self.rules.known.names.id;
        object.children().all(is_id)
    }

    fn hollow(&mut self, object: Node<'a>, type_name: &str) {
        let text = format!(
            "This {type_name} has no content; what is left out is written as nothing at all"
        );
        self.findings
            .error(object, IssueType::Structure, "ele-1", text);
    }

    /// The invariants that an element adds to those of its type.
    fn member_invariants(&mut self, object: Node<'a>, rule: &'a PropertyRule) {
        for element in Element::of(object).children(rule.name) {
            self.invariants(element, rule.type_id, &rule.constraints);
        }
    }

    fn missing(&mut self, object: Node<'a>, type_id: TypeId, element: ElementId) {
        let found = self.definitions.element(element);
        let choice = if found.is_choice { "[x]" } else { "" };
        let short = found
            .short
            .map(|short| format!(" ({})", self.definitions.text(short)))
            .unwrap_or_default();
        self.findings.push(Finding {
            node: object,
            severity: Severity::Error,
            code: IssueType::Required,
            about: About::Missing(found.name, None),
            rule: path(self.definitions, element).to_owned(),
            text: format!(
                "{} must have {}{choice}{short}",
                self.definitions.type_name(type_id),
                self.definitions.names().text(found.name),
            ),
        });
    }

    /// A property that the type does not have, with what may have been meant.
    fn unknown_property(&mut self, member: Node<'a>, type_id: TypeId, rules: &'a TypeRules) {
        let names = &self.rules.known.names;
        let is_resource = self.definitions.type_of(type_id).kind == TypeKind::Resource;
        if is_resource && member.name() == names.resource_type && !member.is_shadow() {
            return;
        }
        let type_name = self.definitions.type_name(type_id);
        let key = member.name_text();
        let hint = self
            .choice_hint(&key, rules)
            .unwrap_or_else(|| did_you_mean(nearest(&key, self.property_names(rules))));
        let text = format!("{type_name} has no element {}{hint}", quote(&key));
        self.findings
            .error(member, IssueType::Structure, type_name, text);
    }

    fn property_names(&self, rules: &'a TypeRules) -> impl Iterator<Item = &'a str> {
        let names = self.definitions.names();
        rules.properties().iter().map(|rule| names.text(rule.name))
    }

    /// If a property begins as a choice element does: what it may be written as.
    fn choice_hint(&self, key: &str, rules: &TypeRules) -> Option<String> {
        let names = self.definitions.names();
        let stem = rules.tracked.iter().find_map(|element| {
            let found = self.definitions.element(*element);
            let stem = names.text(found.name);
            let suffix = key.strip_prefix(stem).filter(|_| found.is_choice)?;
            let is_type = suffix.is_empty() || suffix.starts_with(|at: char| at.is_uppercase());
            is_type.then_some((*element, stem))
        });
        let (element, stem) = stem?;
        let written = rules
            .properties()
            .iter()
            .filter(|rule| rule.element == element)
            .map(|rule| names.text(rule.name));
        Some(format!("; {stem}[x] is written as {}", any_of(written)))
    }

    /// A choice element that is there already, if with another type.
    fn second_choice(
        &mut self,
        object: Node<'a>,
        member: Node<'a>,
        rule: &PropertyRule,
        rules: &TypeRules,
    ) {
        let earlier = object
            .children()
            .take_while(|other| other.id() < member.id())
            .filter(|other| other.name() != member.name())
            .find(|other| {
                rules
                    .property(other.name())
                    .is_some_and(|other| other.element == rule.element)
            });
        if let Some(earlier) = earlier {
            let element = path(self.definitions, rule.element);
            let text = format!(
                "{element} may be given once, and there is {} already; keep one of the two",
                earlier.name_text()
            );
            self.findings
                .error(member, IssueType::Structure, element, text);
        }
    }

    /// One property of an object, as a value, an array or the `_` sibling of a primitive.
    fn member(&mut self, object: Node<'a>, member: Node<'a>, rule: &'a PropertyRule) {
        if member.is_shadow() {
            return self.sibling(object, member, rule);
        }
        match (rule.is_array, member.kind()) {
            (true, Kind::Array) => self.items(object, member, rule),
            (false, Kind::Array) => {
                let text = format!(
                    "{} occurs once at most, so it is not written as an array",
                    member.name_text()
                );
                self.wrong(member, rule, text);
            }
            (true, _) => {
                let text = format!(
                    "{} may repeat, so it is written as an array, even of one",
                    member.name_text()
                );
                self.wrong(member, rule, text);
            }
            (false, _) => self.value(member, rule),
        }
    }

    fn items(&mut self, object: Node<'a>, array: Node<'a>, rule: &'a PropertyRule) {
        if array.is_empty() {
            return self.wrong(array, rule, EMPTY_ARRAY.to_owned());
        }
        let sibling = sibling_of(object, array).filter(|_| is_primitive(rule));
        let mut siblings = sibling.into_iter().flat_map(Node::items);
        // That the two are not side by side is said once, where the sibling is looked at.
        let is_uneven = sibling.is_some_and(|sibling| item_count(sibling) != item_count(array));
        let mut count = 0_u32;
        for item in array.items() {
            if self.findings.is_full() {
                return;
            }
            let beside = siblings.next();
            count = count.saturating_add(1);
            if item.kind() == Kind::Null && is_primitive(rule) {
                if !is_uneven && beside.is_none_or(|beside| beside.kind() == Kind::Null) {
                    self.wrong(item, rule, NULL_ITEM.to_owned());
                }
                continue;
            }
            self.value(item, rule);
        }
        if count > rule.max {
            let text = format!("There are {count}, and {} at most may be", rule.max);
            self.wrong(array, rule, text);
        } else if count < rule.min {
            let text = format!("There are {count}, and {} at least must be", rule.min);
            self.wrong(array, rule, text);
        }
    }

    /// `_name` beside `name`: the id and extensions of a primitive.
    fn sibling(&mut self, object: Node<'a>, sibling: Node<'a>, rule: &'a PropertyRule) {
        if !is_primitive(rule) {
            let name = sibling.name_text();
            let text = format!(
                "Only a primitive has a sibling with _; id and extension of {name} are written \
                 inside {name}"
            );
            return self.wrong(sibling, rule, text);
        }
        match (rule.is_array, sibling.kind()) {
            (false, Kind::Object) => {
                let has_value = object.get(sibling.name()).is_some();
                self.element(sibling, rule, has_value);
            }
            (true, Kind::Array) => self.sibling_array(object, sibling, rule),
            (false, _) => self.wrong(sibling, rule, SIBLING_OBJECT.to_owned()),
            (true, _) => self.wrong(sibling, rule, SIBLING_ARRAY.to_owned()),
        }
    }

    fn sibling_array(&mut self, object: Node<'a>, sibling: Node<'a>, rule: &'a PropertyRule) {
        let value = object
            .get(sibling.name())
            .filter(|value| value.kind() == Kind::Array);
        if sibling.is_empty() {
            return self.wrong(sibling, rule, EMPTY_ARRAY.to_owned());
        }
        if let Some(value) = value {
            let (values, siblings) = (item_count(value), item_count(sibling));
            if values != siblings {
                let text = format!(
                    "{} and its sibling with _ go side by side, but have {values} and {siblings} \
                     items; null fills the gaps",
                    sibling.name_text()
                );
                return self.wrong(sibling, rule, text);
            }
        }
        let mut values = value.into_iter().flat_map(Node::items);
        for item in sibling.items() {
            let beside = values.next();
            match item.kind() {
                Kind::Object => {
                    let has_value = beside.is_some_and(|beside| beside.kind() != Kind::Null);
                    self.element(item, rule, has_value);
                }
                // That there is a value in its place is seen to where the values are walked.
                Kind::Null if value.is_some() => {}
                Kind::Null => self.wrong(item, rule, NULL_ITEM.to_owned()),
                _ => self.wrong(item, rule, SIBLING_OBJECT.to_owned()),
            }
        }
    }

    /// The object of a `_` sibling, which may have an id only if there is a value beside it.
    fn element(&mut self, node: Node<'a>, rule: &'a PropertyRule, has_value: bool) {
        let has_id_only = has_value && !node.is_empty() && self.is_hollow(node);
        if let Some(element) = self.rules.known.element.filter(|_| !has_id_only) {
            self.object(node, rule.element_name, rule.type_id, element);
        }
    }

    /// One value: its JSON kind, its content, and what the element demands of it.
    fn value(&mut self, value: Node<'a>, rule: &'a PropertyRule) {
        match rule.content {
            Content::Primitive(primitive) => {
                if self.primitive(value, primitive, rule)
                    && let Some(bound) = rule.binding
                {
                    self.binding(value, bound, rule.element);
                }
            }
            Content::Scalar(primitive) => {
                self.primitive(value, primitive, rule);
            }
            Content::Object => self.complex(value, rule),
            Content::Resource => self.inner_resource(value),
        }
    }

    /// An object of a data type or nested element, and what the element demands of it.
    fn complex(&mut self, value: Node<'a>, rule: &'a PropertyRule) {
        if value.kind() != Kind::Object {
            return self.not_an_object(value, self.definitions.type_name(rule.type_id));
        }
        self.object(value, rule.element_name, rule.type_id, rule.type_id);
        if self.is_hollow(value) {
            return;
        }
        let known = &self.rules.known;
        let is_quantity = known.is_quantity(rule.type_id);
        if is_quantity || known.is_coding(rule.type_id) {
            self.coding(value, is_quantity);
        }
        if let Some(bound) = rule.binding {
            self.binding(value, bound, rule.element);
        }
        if known.reference == Some(rule.type_id) {
            self.reference(value, &rule.targets, rule.element);
        } else if known.extension == Some(rule.type_id) {
            self.extension(value, rule.name == known.names.modifier_extension);
        }
        if !rule.profiles.is_empty() {
            self.one_of(value, &rule.profiles, rule.element);
        }
    }

    /// A resource in a property. References within look into the outermost one, but those of a
    /// Bundle's entry or of a parameter are resources of their own.
    fn inner_resource(&mut self, value: Node<'a>) {
        let outer = (
            self.container,
            self.resource.clone(),
            self.root.clone(),
            self.beside.clone(),
        );
        if value.name() != self.rules.known.names.contained {
            self.container = value;
        }
        self.check_resource(value);
        (self.container, self.resource, self.root, self.beside) = outer;
    }

    fn not_an_object(&mut self, value: Node<'a>, wanted: &str) {
        let text = match value.kind() {
            Kind::Null => NULL_VALUE.to_owned(),
            kind => format!(
                "{wanted} is written as an object, and this is {}",
                with_article(kind)
            ),
        };
        self.findings
            .error(value, IssueType::Structure, wanted, text);
    }

    /// An error in the shape of a value.
    fn wrong(&mut self, node: Node<'a>, rule: &PropertyRule, text: String) {
        let element = path(self.definitions, rule.element);
        self.findings
            .error(node, IssueType::Structure, element, text);
    }
}

const EMPTY_ARRAY: &str = "An array must not be empty; a property without values is left out";
pub(crate) const NULL_VALUE: &str =
    "null is no value in FHIR; a property without a value is left out";
const NULL_ITEM: &str =
    "null is allowed only where the sibling array (with or without _) has something in its place";
const SIBLING_OBJECT: &str =
    "The sibling with _ is written as an object with the id and extensions of the primitive";
const SIBLING_ARRAY: &str =
    "The sibling with _ of a repeating primitive is written as an array, as the values are";

fn is_primitive(rule: &PropertyRule) -> bool {
    matches!(rule.content, Content::Primitive(_))
}

/// The array beside that of a repeating primitive: `_given` for `given`.
fn sibling_of<'a>(object: Node<'a>, array: Node<'a>) -> Option<Node<'a>> {
    object
        .children()
        .find(|other| other.is_shadow() && other.name() == array.name())
        .filter(|other| other.kind() == Kind::Array)
}

fn item_count(array: Node<'_>) -> usize {
    array.items().count()
}

fn did_you_mean(candidate: Option<&str>) -> String {
    candidate.map_or_else(String::new, |candidate| {
        format!("; did you mean {candidate}?")
    })
}

pub(crate) fn with_article(kind: Kind) -> String {
    match kind {
        Kind::Object | Kind::Array => format!("an {}", kind.word()),
        Kind::Null => "null".to_owned(),
        _ => format!("a {}", kind.word()),
    }
}
