//! From a resource to the values it is found by, and to the patients it belongs to.
//!
//! <https://hl7.org/fhir/R4/search.html>, <https://hl7.org/fhir/R4/compartmentdefinition.html>.
//! The `FHIRPath` expression of each search parameter finds elements, the table of
//! `extract/rule.rs` makes values of them; of a composite parameter, those of its components for each
//! element. `_id` and `_lastUpdated` are columns of the store and not taken out here; special
//! parameters are not supported.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use fhir_model::definition::{Definitions, TypeId};
use fhir_model::element::Element;
use fhir_model::key::LogicalId;
use fhir_model::reference::BaseUrl;
use fhirpath::{Context, EvaluateError, Expression, Item, Options, ParseError};

use crate::search::expression::ValueKind;
use crate::search::extract::rule::{Fields, RULES, Rule, Sink};
use crate::search::matching::has_value;
use crate::search::narrative;
use crate::search::parameter::{self, Parameter};
use crate::search::value::{Composite, ParameterId, SearchValues, Target};

mod rule;

/// The most values of a component that one element is found by.
const COMPONENT_VALUES_MAX: usize = 16;

/// The compartment whose members are told.
const PATIENT: &str = "Patient";

/// Takes search values out of resources.
///
/// The expressions of a resource type are compiled when the first resource of it comes.
pub struct Extractor {
    definitions: Arc<Definitions>,
    base_url: BaseUrl,
    fields: Fields,
    rules: HashMap<(TypeId, ValueKind), Rule>,
    /// By the number of the type.
    plans: Box<[OnceLock<Plan>]>,
}

/// What is taken out of one resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extracted {
    /// What it is found by: in order, each value once.
    pub values: SearchValues,
    /// The patients whose compartment it is in; of a Patient, itself.
    pub patients: Vec<LogicalId>,
    /// Parameters that it cannot be found by, as their expression does not work on it.
    pub problems: Vec<Problem>,
}

/// A parameter whose expression cannot be compiled or evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The code of the parameter.
    pub code: Arc<str>,
    /// What is wrong with the expression; nothing about the resource.
    pub reason: String,
}

/// How the resources of one type are taken apart.
#[derive(Default)]
struct Plan {
    parameters: Vec<Planned>,
    /// The parameters by which a resource is in the compartment of a patient.
    of_patients: Vec<ParameterId>,
    /// Whether a resource is a compartment itself.
    is_patient: bool,
    /// Expressions that cannot be compiled.
    problems: Vec<Problem>,
}

struct Planned {
    id: ParameterId,
    code: Arc<str>,
    kind: ValueKind,
    ignores_case: bool,
    expression: Expression,
    /// Of a composite; evaluated on what its expression finds.
    components: Vec<Planned>,
    is_component: bool,
}

impl Extractor {
    /// An extractor for the search parameters of these definitions; references below `base_url`
    /// are local. Nothing is compiled yet.
    pub fn new(definitions: Arc<Definitions>, base_url: BaseUrl) -> Self {
        let types = definitions.types().count();
        let rules = RULES.iter().filter_map(|(kind, name, rule)| {
            let type_id = definitions.type_named(name)?;
            Some(((type_id, *kind), *rule))
        });
        Self {
            fields: Fields::new(&definitions),
            rules: rules.collect(),
            plans: std::iter::repeat_with(OnceLock::new).take(types).collect(),
            definitions,
            base_url,
        }
    }

    /// The values of a resource, its type known.
    pub fn extract(&self, resource: Element<'_>, resource_type: TypeId) -> Extracted {
        let Some(plan) = self.plan(resource_type) else {
            return Extracted::default();
        };
        let mut extracted = Extracted {
            problems: plan.problems.clone(),
            ..Extracted::default()
        };
        let root = Item::node(resource, resource_type);
        let context = Context {
            resource: Some(root.clone()),
            ..Context::new(&self.definitions)
        };
        for planned in &plan.parameters {
            let taken = self.take_all(planned, &context, &root, &mut extracted.values);
            if let Err(error) = taken {
                extracted.problems.push(Problem {
                    code: Arc::clone(&planned.code),
                    reason: error.to_string(),
                });
            }
        }
        let type_name = self.definitions.type_name(resource_type);
        let words = narrative::values(resource, type_name);
        extracted.values.strings.extend(words);
        extracted.values.settle();
        extracted.patients = plan.patients(resource, &extracted.values);
        extracted
    }

    /// Adds the values of a parameter: of all that its expression finds.
    fn take_all<'a>(
        &self,
        planned: &'a Planned,
        context: &'a Context<'a>,
        item: &Item<'a>,
        values: &mut SearchValues,
    ) -> Result<(), EvaluateError> {
        let mut result = Ok(());
        let found = planned.expression.for_each(context, item.clone(), |found| {
            if planned.components.is_empty() {
                self.take(planned, &found, values);
            } else {
                result = self.take_together(planned, context, &found, values);
            }
            result.is_ok()
        });
        found.and(result)
    }

    /// Adds the values of an element for the components of a composite, if each has one.
    fn take_together<'a>(
        &self,
        composite: &'a Planned,
        context: &'a Context<'a>,
        element: &Item<'a>,
        values: &mut SearchValues,
    ) -> Result<(), EvaluateError> {
        let mut together = SearchValues::default();
        for component in &composite.components {
            self.take_all(component, context, element, &mut together)?;
            if !has_value(&together, component.id, component.kind) {
                return Ok(());
            }
        }
        together.settle();
        together.keep_first(COMPONENT_VALUES_MAX);
        values.composites.push(Composite {
            parameter: composite.id,
            values: together,
        });
        Ok(())
    }

    /// Adds the values of what an expression found.
    fn take(&self, planned: &Planned, found: &Item<'_>, values: &mut SearchValues) {
        let mut sink = Sink {
            definitions: &self.definitions,
            fields: &self.fields,
            base_url: &self.base_url,
            parameter: planned.id,
            ignores_case: planned.ignores_case,
            is_component: planned.is_component,
            values,
        };
        match found {
            Item::Node { element, type_id } => {
                if let Some(rule) = self.rules.get(&(*type_id, planned.kind)) {
                    rule(&mut sink, *element);
                }
            }
            // What an expression works out itself: whether a Patient is deceased.
            Item::Boolean(truth) if planned.kind == ValueKind::Token => sink.push_boolean(*truth),
            _ => {}
        }
    }

    fn plan(&self, resource_type: TypeId) -> Option<&Plan> {
        let slot = self.plans.get(resource_type.index())?;
        Some(slot.get_or_init(|| self.compile(resource_type)))
    }

    fn compile(&self, resource_type: TypeId) -> Plan {
        let mut plan = Plan::default();
        for parameter in parameter::all(&self.definitions, resource_type) {
            let code: Arc<str> = parameter.code.into();
            match self.planned(&parameter, resource_type) {
                Ok(planned) => plan.parameters.push(planned),
                Err(error) => plan.problems.push(Problem {
                    code,
                    reason: error.to_string(),
                }),
            }
        }
        let Some(compartment) = self.definitions.compartment(PATIENT) else {
            return plan;
        };
        let type_name = self.definitions.type_name(resource_type);
        let codes = self
            .definitions
            .compartment_parameters(compartment, resource_type);
        plan.of_patients = codes
            .iter()
            .map(|code| ParameterId::new(type_name, self.definitions.text(*code)))
            .collect();
        plan.is_patient = resource_type == compartment.code;
        plan
    }
}

impl Extractor {
    fn planned(&self, found: &Parameter<'_>, of: TypeId) -> Result<Planned, ParseError> {
        let mut planned = self.part(found, found.expression, Some(of))?;
        for component in found.components(&self.definitions).unwrap_or_default() {
            let mut part = self.part(&component.parameter, component.expression, None)?;
            part.is_component = true;
            planned.components.push(part);
        }
        Ok(planned)
    }

    fn part(
        &self,
        parameter: &Parameter<'_>,
        expression: &str,
        root: Option<TypeId>,
    ) -> Result<Planned, ParseError> {
        let options = Options {
            root,
            json_names: true,
            ..Options::default()
        };
        Ok(Planned {
            id: parameter.id,
            code: parameter.code.into(),
            kind: parameter.kind,
            ignores_case: parameter.ignores_case(),
            expression: Expression::compile_with(expression, &self.definitions, &options)?,
            components: Vec::new(),
            is_component: false,
        })
    }
}

impl fmt::Debug for Extractor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compiled = self.plans.iter().filter(|plan| plan.get().is_some());
        formatter
            .debug_struct("Extractor")
            .field("compiled", &compiled.count())
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// The patients that a resource belongs to, each once.
    fn patients(&self, resource: Element<'_>, values: &SearchValues) -> Vec<LogicalId> {
        let own = self.is_patient.then(|| resource.id()).flatten();
        let own = own.and_then(|id| LogicalId::parse(&id).ok());
        let referred = values
            .references
            .iter()
            .filter_map(|reference| match &reference.target {
                Target::Local(resource_type, id)
                    if *resource_type == PATIENT
                        && self.of_patients.contains(&reference.parameter) =>
                {
                    Some(id.clone())
                }
                _ => None,
            });
        let mut patients: Vec<LogicalId> = own.into_iter().chain(referred).collect();
        patients.sort_unstable();
        patients.dedup();
        patients
    }
}

#[cfg(test)]
mod tests;
