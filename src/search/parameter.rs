//! A search parameter of a resource type, as queries and extraction need it.
//!
//! <https://hl7.org/fhir/R4/searchparameter-registry.html>. What the definitions say is the base;
//! here is what follows from it: which table holds the values, what a reference may point at.

use std::fmt::Write as _;

use fhir_model::definition::{
    Definitions, Element, ElementId, Property, ResourceSearchParameter, SearchComponent,
    SearchParameterType, TypeId, ValueSetId,
};
use fhir_model::key::ResourceType;

use crate::search::expression::ValueKind;
use crate::search::value::{ParameterId, component};

/// Parameters that are columns of every resource, not values taken out of it.
pub const COLUMNS: &[&str] = &["_id", "_lastUpdated"];

/// Parameters whose tokens disregard case: phone numbers and addresses of electronic mail.
const CASE_INSENSITIVE: &[&str] = &["email", "phone", "telecom"];

/// The modifiers of each kind of parameter, beside `:[type]` of a reference:
/// <https://hl7.org/fhir/R4/search.html#modifiers>.
pub const MODIFIERS: &[(ValueKind, &[&str])] = &[
    (ValueKind::Composite, &["missing"]),
    (ValueKind::Date, &["missing"]),
    (ValueKind::Number, &["missing"]),
    (ValueKind::Quantity, &["missing"]),
    (
        ValueKind::Reference,
        &["above", "below", "identifier", "missing"],
    ),
    (ValueKind::String, &["contains", "exact", "missing"]),
    (
        ValueKind::Token,
        &[
            "above", "below", "in", "missing", "not", "not-in", "of-type", "text",
        ],
    ),
    (ValueKind::Uri, &["above", "below", "missing"]),
];

/// The modifiers of parameters of a kind, beside `:[type]` of a reference.
pub fn modifiers(kind: ValueKind) -> &'static [&'static str] {
    let mut rows = MODIFIERS.iter();
    rows.find(|(of, _)| *of == kind)
        .map_or(&[], |(_, modifiers)| modifiers)
}

/// A part of a composite parameter.
#[derive(Debug, Clone, Copy)]
pub struct Component<'a> {
    /// What its values are like; their id is the component's place in the composite.
    pub parameter: Parameter<'a>,
    /// Its `FHIRPath` expression, from what the composite's own expression finds.
    pub expression: &'a str,
}

/// A search parameter that can be searched by.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// What values of it are kept under.
    pub id: ParameterId,
    /// The name in a search URL.
    pub code: &'a str,
    /// Which table holds the values.
    pub kind: ValueKind,
    /// The `FHIRPath` expression for the type.
    pub expression: &'a str,
    resource_type: TypeId,
    row: &'a ResourceSearchParameter,
}

/// What a name in a query means for a resource type.
#[derive(Debug, Clone, Copy)]
pub enum Lookup<'a> {
    /// A parameter to search by.
    Supported(Parameter<'a>),
    /// A parameter of the standard that this server does not search by.
    Unsupported,
    /// No parameter of the type.
    Unknown,
}

/// What the parameter `code` of a resource type is.
pub fn find<'a>(definitions: &'a Definitions, resource_type: TypeId, code: &str) -> Lookup<'a> {
    match definitions.search_parameter(resource_type, code) {
        None => Lookup::Unknown,
        Some(row) => supported(definitions, resource_type, row)
            .map_or(Lookup::Unsupported, Lookup::Supported),
    }
}

/// The parameters that resources of a type can be searched by, without [`COLUMNS`].
pub fn all(
    definitions: &Definitions,
    resource_type: TypeId,
) -> impl Iterator<Item = Parameter<'_>> {
    definitions
        .search_parameters(resource_type)
        .iter()
        .filter_map(move |row| supported(definitions, resource_type, row))
        .filter(|parameter| !COLUMNS.contains(&parameter.code))
}

fn supported<'a>(
    definitions: &'a Definitions,
    resource_type: TypeId,
    row: &'a ResourceSearchParameter,
) -> Option<Parameter<'a>> {
    let parameter = plain(definitions, resource_type, row)?;
    let is_whole = parameter.kind != ValueKind::Composite
        || parameter
            .components(definitions)
            .is_some_and(|parts| !parts.is_empty());
    is_whole.then_some(parameter)
}

/// A parameter, whose components may be out of reach if it is a composite.
fn plain<'a>(
    definitions: &'a Definitions,
    resource_type: TypeId,
    row: &'a ResourceSearchParameter,
) -> Option<Parameter<'a>> {
    let definition = definitions.search_parameter_of(row.parameter);
    let code = definitions.text(row.code);
    Some(Parameter {
        id: ParameterId::new(definitions.type_name(resource_type), code),
        code,
        kind: value_kind(definition.kind)?,
        expression: definitions.text(row.expression?),
        resource_type,
        row,
    })
}

const fn value_kind(kind: SearchParameterType) -> Option<ValueKind> {
    match kind {
        SearchParameterType::Number => Some(ValueKind::Number),
        SearchParameterType::Date => Some(ValueKind::Date),
        SearchParameterType::String => Some(ValueKind::String),
        SearchParameterType::Token => Some(ValueKind::Token),
        SearchParameterType::Reference => Some(ValueKind::Reference),
        SearchParameterType::Quantity => Some(ValueKind::Quantity),
        SearchParameterType::Uri => Some(ValueKind::Uri),
        SearchParameterType::Composite => Some(ValueKind::Composite),
        SearchParameterType::Special => None,
    }
}

impl<'a> Parameter<'a> {
    /// The components of a composite, in order; nothing where one of them is a composite itself, or
    /// like a parameter that is not here.
    pub fn components(&self, definitions: &'a Definitions) -> Option<Vec<Component<'a>>> {
        let definition = definitions.search_parameter_of(self.row.parameter);
        let components = definitions.components(definition).iter().enumerate();
        components
            .map(|(place, found)| self.component(definitions, place, *found))
            .collect()
    }

    fn component(
        &self,
        definitions: &'a Definitions,
        place: usize,
        found: SearchComponent,
    ) -> Option<Component<'a>> {
        let own = self.like(definitions, found);
        let like = match own {
            Some(row) => row.parameter,
            None => definitions.search_parameter_by_url(definitions.text(found.definition))?,
        };
        let kind = value_kind(definitions.search_parameter_of(like).kind)?;
        let own = own.and_then(|row| plain(definitions, self.resource_type, row));
        (kind != ValueKind::Composite).then_some(Component {
            parameter: Parameter {
                id: component(place),
                kind,
                ..own.unwrap_or(*self)
            },
            expression: definitions.text(found.expression),
        })
    }

    /// The parameter of the resource type that a component is like: the one that its definition
    /// names, unless that of another component has its expression. R4 has the two of
    /// `DocumentReference-relationship` the wrong way round.
    fn like(
        &self,
        definitions: &'a Definitions,
        component: SearchComponent,
    ) -> Option<&'a ResourceSearchParameter> {
        let row = |component: SearchComponent| {
            let url = definitions.text(component.definition);
            let parameter = definitions.search_parameter_by_url(url)?;
            let mut own = definitions.search_parameters(self.resource_type).iter();
            own.find(|row| row.parameter == parameter)
        };
        let step = definitions.text(component.expression);
        let path = format!("{}.{step}", self.expression);
        let is_its = |row: &&ResourceSearchParameter| {
            row.expression
                .is_some_and(|text| definitions.text(text) == path)
        };
        let definition = definitions.search_parameter_of(self.row.parameter);
        let components = definitions.components(definition).iter().copied();
        let mut rows = components.filter_map(row);
        rows.find(is_its).or_else(|| row(component))
    }

    /// A number that changes with the values that it finds in a resource; never 0.
    pub fn fingerprint(&self, definitions: &'a Definitions) -> i64 {
        let mut way = format!("{:?} {}", self.kind, self.ignores_case());
        for component in self.components(definitions).unwrap_or_default() {
            let (kind, expression) = (component.parameter.kind, component.expression);
            let _ = write!(way, " {kind:?} {expression}"); // a String takes everything
        }
        i64::from(ParameterId::new(&way, self.expression).0) | 1 << 32
    }

    /// The canonical URL of its definition.
    pub fn definition<'d>(&self, definitions: &'d Definitions) -> &'d str {
        definitions.text(definitions.search_parameter_of(self.row.parameter).url)
    }

    /// Whether tokens of this parameter are kept and looked for in lower case.
    pub fn ignores_case(&self) -> bool {
        CASE_INSENSITIVE.contains(&self.code)
    }

    /// The types of resources that a reference parameter can point at; empty if it may be any.
    ///
    /// A `SearchParameter` shared by many types lists the targets of all (`patient`: Patient and
    /// Group); the elements that the expression names for this type know better.
    pub fn targets(&self, definitions: &Definitions) -> Vec<ResourceType> {
        let definition = definitions.search_parameter_of(self.row.parameter);
        let listed = definitions.targets(definition);
        let listed: Vec<&str> = listed.map(|id| definitions.type_name(id)).collect();
        let targets = match self.element_targets(definitions) {
            Some(reached) => reached
                .into_iter()
                .filter(|target| listed.is_empty() || listed.contains(target))
                .collect(),
            None => listed,
        };
        let names = targets.into_iter();
        names
            .filter_map(|name| ResourceType::parse(name).ok())
            .collect()
    }

    /// The value sets that codes of this parameter are of, if it finds elements of type `code` only,
    /// which have no system of their own but that of their binding.
    pub fn code_value_sets(&self, definitions: &Definitions) -> Option<Vec<ValueSetId>> {
        let branches = self.expression.split('|').map(str::trim);
        branches
            .map(|branch| {
                let element = definitions.element(walk(definitions, self.resource_type, branch)?);
                let is_code = definitions
                    .types_of(element)
                    .iter()
                    .all(|of| definitions.text(of.code) == "code");
                let value_set = definitions.text(element.binding?.value_set?);
                definitions.value_set(value_set).filter(|_| is_code)
            })
            .collect()
    }

    /// What the elements of the expression may refer to; nothing where one of them may refer to
    /// any resource or the expression is more than paths.
    fn element_targets<'d>(&self, definitions: &'d Definitions) -> Option<Vec<&'d str>> {
        let mut targets = Vec::new();
        for branch in self.expression.split('|') {
            for target in branch_targets(definitions, self.resource_type, branch)? {
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
        Some(targets)
    }
}

/// The targets of one branch of an expression, such as `CarePlan.subject.where(resolve() is
/// Patient)` or `(ActivityDefinition.useContext.value as Reference)`.
fn branch_targets<'d>(
    definitions: &'d Definitions,
    resource_type: TypeId,
    branch: &str,
) -> Option<Vec<&'d str>> {
    let branch = branch.trim();
    if let Some((path, condition)) = branch.split_once(".where(resolve() is ") {
        let named = condition.strip_suffix(')')?;
        let type_id = definitions.resource_type(named)?;
        // The path must be one, though the condition already says what it leads to.
        walk(definitions, resource_type, path)?;
        return Some(vec![definitions.type_name(type_id)]);
    }
    let element = walk(definitions, resource_type, branch)?;
    referable(definitions, element)
}

/// The element at the end of a plain path.
fn walk(definitions: &Definitions, resource_type: TypeId, path: &str) -> Option<ElementId> {
    let mut steps = path.split('.');
    let start = steps.next()?;
    if start != definitions.type_name(resource_type) {
        return None;
    }
    let mut type_id = resource_type;
    let mut element = None;
    for step in steps {
        let property = property(definitions, type_id, step)?;
        type_id = property.type_id;
        element = Some(property.element);
    }
    element
}

/// The property of this name; of a choice, the one that refers.
fn property<'d>(definitions: &'d Definitions, type_id: TypeId, name: &str) -> Option<&'d Property> {
    let name = definitions.names().get(name)?;
    definitions.property(type_id, name).or_else(|| {
        let choices = definitions.choices(type_id, name).iter();
        let refers = |property: &&Property| definitions.type_name(property.type_id) == "Reference";
        choices.into_iter().find(refers)
    })
}

/// The resource types that an element may refer to; nothing if it may be any.
fn referable(definitions: &Definitions, element: ElementId) -> Option<Vec<&str>> {
    let element: &Element = definitions.element(element);
    let mut targets = Vec::new();
    for element_type in definitions.types_of(element) {
        for profile in definitions.target_profiles(element_type) {
            let name = definitions.text(*profile).rsplit('/').next()?;
            let type_id = definitions.resource_type(name)?;
            targets.push(definitions.type_name(type_id));
        }
    }
    (!targets.is_empty()).then_some(targets)
}
