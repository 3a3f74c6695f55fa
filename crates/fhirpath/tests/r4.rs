//! Every expression of the R4 specification: search parameters and invariants.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failing test may panic, and says what it left out"
)]

use std::collections::BTreeMap;

use fhir_model::definition::{ConstraintId, Definitions, Severity, TypeId};
use fhir_model::element::Element;
use fhir_model::tree::{Limits, Tree};
use fhirpath::{Context, Expression, Item, Options};

#[path = "../../fhir-model/tests/support/r4_core.rs"]
mod r4_core;
#[path = "support/shared.rs"]
mod shared;

#[test]
fn search_parameters_compile() {
    let definitions = r4_core::definitions();
    let mut count = 0;
    for resource_type in definitions.concrete_resource_types() {
        for parameter in definitions.search_parameters(resource_type) {
            let Some(text) = parameter.expression else {
                continue;
            };
            let text = definitions.text(text);
            compiles(text, &definitions, Some(resource_type), true);
            count += 1;
        }
    }
    for (_, parameter) in definitions.all_search_parameters() {
        if let Some(text) = parameter.expression {
            compiles(definitions.text(text), &definitions, None, false);
            count += 1;
        }
        for component in definitions.components(parameter) {
            compiles(
                definitions.text(component.expression),
                &definitions,
                None,
                false,
            );
            count += 1;
        }
    }
    assert!(count > 3_000, "{count}");
}

#[test]
fn invariants_compile() {
    let definitions = r4_core::definitions();
    let mut count = 0;
    for (_, constraint) in definitions.constraints() {
        if let Some(text) = constraint.expression {
            compiles(definitions.text(text), &definitions, None, false);
            count += 1;
        }
    }
    assert!(count > 200, "{count}");
}

#[track_caller]
fn compiles(text: &str, definitions: &Definitions, root: Option<TypeId>, check: bool) {
    let options = Options {
        root,
        check,
        ..Options::default()
    };
    if let Err(error) = Expression::compile_with(text, definitions, &options) {
        panic!("{text}: {error}");
    }
}

#[test]
fn invariants_hold_on_the_official_examples() {
    let Some(files) = shared::archive("ig-examples.tgz", |path| {
        path.contains("/r4-spec/") && !path.ends_with('/')
    }) else {
        return;
    };
    let definitions = r4_core::definitions();
    let invariants = Invariants::new(&definitions);
    let mut checked = 0;
    let mut broken = Vec::new();
    for (path, text) in files {
        let tree = Tree::parse(text, definitions.names(), &Limits::default()).unwrap();
        let item = Item::resource(tree.element(), &definitions).unwrap();
        let failures = invariants.check(&item).into_iter();
        broken.extend(failures.map(|failure| format!("{path}: {failure}")));
        checked += 1;
    }
    assert!(checked > 300, "{checked}");
    assert_eq!(broken, Vec::<String>::new());
}

/// The invariants of the specification, compiled.
struct Invariants<'a> {
    definitions: &'a Definitions,
    compiled: BTreeMap<ConstraintId, Expression>,
}

impl<'a> Invariants<'a> {
    fn new(definitions: &'a Definitions) -> Self {
        let compiled = definitions
            .constraints()
            .filter(|(_, constraint)| {
                constraint.severity == Severity::Error && !constraint.is_best_practice
            })
            .filter_map(|(id, constraint)| {
                let text = definitions.text(constraint.expression?);
                Some((id, Expression::compile(text, definitions, None).unwrap()))
            })
            .collect();
        Self {
            definitions,
            compiled,
        }
    }

    /// The keys and places of the invariants that do not hold in a resource.
    fn check(&self, resource: &Item<'_>) -> Vec<String> {
        let mut broken = Vec::new();
        if let Item::Node { element, type_id } = resource {
            self.check_element(*element, *type_id, resource, resource, &mut broken);
        }
        broken
    }

    fn check_element<'t>(
        &self,
        element: Element<'t>,
        type_id: TypeId,
        resource: &Item<'t>,
        root: &Item<'t>,
        broken: &mut Vec<String>,
    ) {
        let context = Context {
            resource: Some(resource.clone()),
            root_resource: Some(root.clone()),
            ..Context::new(self.definitions)
        };
        let definition = self.definitions.type_of(type_id).element;
        self.check_constraints(element, type_id, definition, &context, broken);
        for child in element.all_children() {
            let Some(property) = self.definitions.property(type_id, child.name()) else {
                continue;
            };
            let inner = Item::resource(child, self.definitions);
            if let Some(inner @ Item::Node { type_id, .. }) = &inner {
                let is_contained = child.name_text() == "contained";
                let root = if is_contained { root } else { inner };
                self.check_element(child, *type_id, inner, root, broken);
                continue;
            }
            let type_id = property.type_id;
            self.check_constraints(child, type_id, Some(property.element), &context, broken);
            self.check_element(child, type_id, resource, root, broken);
        }
    }

    fn check_constraints(
        &self,
        element: Element<'_>,
        type_id: TypeId,
        definition: Option<fhir_model::definition::ElementId>,
        context: &Context<'_>,
        broken: &mut Vec<String>,
    ) {
        let Some(definition) = definition else { return };
        let definition = self.definitions.element(definition);
        for id in self.definitions.constraints_of(definition) {
            let Some(expression) = self.compiled.get(id) else {
                continue;
            };
            let holds = expression.evaluate_bool(context, Item::node(element, type_id));
            if holds != Ok(true) {
                let key = self.definitions.text(self.definitions.constraint(*id).key);
                broken.push(format!("{key} at {}: {holds:?}", element.location()));
            }
        }
    }
}
