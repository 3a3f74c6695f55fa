//! Search parameters and compartments.

use std::collections::HashMap;

use serde_json::Value;

use super::{Compiler, Lists, ProblemKind, decode, expression, list_of, text_of};
use crate::definition::compartment::{Compartment, CompartmentResource};
use crate::definition::search_parameter::{
    ResourceSearchParameter, SearchComponent, SearchParameter, SearchParameterId,
    SearchParameterType,
};
use crate::definition::types::{TypeId, TypeKind};
use crate::definition::{Definitions, Span, row};

impl Compiler {
    pub(super) fn search_parameters(&mut self, resources: &[Value]) {
        let mut lists = Lists::new();
        for resource in resources {
            let Some(parameter) = self.search_parameter(resource, &mut lists) else {
                continue;
            };
            let version = self.intern_property(resource, "version");
            let tables = &mut self.definitions.search;
            tables
                .by_url
                .push(parameter.url, version, row(tables.parameters.len()));
            tables.parameters.push(parameter);
        }
        self.definitions.search.by_url.sort();
        self.index_search_parameters();
    }

    fn search_parameter(
        &mut self,
        resource: &Value,
        lists: &mut Lists<crate::definition::Text>,
    ) -> Option<SearchParameter> {
        let required = |name: &'static str| text_of(resource, name).ok_or(name);
        let read = || {
            let kind =
                decode(text_of(resource, "type"), SearchParameterType::CODES).ok_or("type")?;
            if list_of(resource, "base").is_empty() {
                return Err("base");
            }
            Ok((required("url")?, required("code")?, kind))
        };
        let (url, code, kind) = match read() {
            Ok(found) => found,
            Err(missing) => {
                self.report(resource, ProblemKind::Missing(missing));
                return None;
            }
        };
        let mut list = |compiler: &mut Self, name: &str| {
            let texts = compiler.intern_list(resource, name);
            lists.store(&mut compiler.definitions.search.texts, texts)
        };
        Some(SearchParameter {
            bases: list(self, "base"),
            targets: list(self, "target"),
            modifiers: list(self, "modifier"),
            comparators: list(self, "comparator"),
            components: self.components(resource),
            url: self.intern(url),
            code: self.intern(code),
            kind,
            expression: self.intern_property(resource, "expression"),
            multiple_or: resource.get("multipleOr").and_then(Value::as_bool),
            multiple_and: resource.get("multipleAnd").and_then(Value::as_bool),
        })
    }

    fn components(&mut self, resource: &Value) -> Span {
        let start = self.definitions.search.components.len();
        for component in list_of(resource, "component") {
            let definition = self.intern_property(component, "definition");
            let expression = self.intern_property(component, "expression");
            if let (Some(definition), Some(expression)) = (definition, expression) {
                let row = SearchComponent {
                    definition,
                    expression,
                };
                self.definitions.search.components.push(row);
            }
        }
        Span::since(start, &self.definitions.search.components)
    }

    /// Gives each resource type its rows, from all parameters of the set.
    fn index_search_parameters(&mut self) {
        let resource_types = self.definitions.types.resource_types.clone();
        let mut by_resource = Vec::new();
        let mut resources = Vec::new();
        for resource_type in resource_types {
            let start = by_resource.len();
            for parameter in self.parameters_of(resource_type) {
                by_resource.push(self.resource_search_parameter(resource_type, parameter));
            }
            let definitions = &self.definitions;
            let rows = by_resource.get_mut(start..).unwrap_or_default();
            rows.sort_unstable_by_key(|row| definitions.text(row.code));
            resources.push((resource_type, Span::since(start, &by_resource)));
        }
        resources.sort_unstable_by_key(|(resource_type, _)| *resource_type);
        self.definitions.search.by_resource = by_resource;
        self.definitions.search.resources = resources;
    }

    /// The parameters that apply to a type, one per code: of two, the one for the more special
    /// type, and of these the one loaded last.
    fn parameters_of(&self, resource_type: TypeId) -> Vec<SearchParameterId> {
        let definitions = &self.definitions;
        let lineage: Vec<TypeId> = definitions.ancestors(resource_type).collect();
        let mut chosen: HashMap<_, (usize, SearchParameterId)> = HashMap::new();
        for (id, parameter) in definitions.all_search_parameters() {
            let distance = |base| lineage.iter().position(|ancestor| *ancestor == base);
            let Some(nearest) = definitions.bases(parameter).filter_map(distance).min() else {
                continue;
            };
            let best = chosen.entry(parameter.code).or_insert((nearest, id));
            if nearest <= best.0 {
                *best = (nearest, id);
            }
        }
        chosen.into_values().map(|(_, id)| id).collect()
    }

    fn resource_search_parameter(
        &mut self,
        resource_type: TypeId,
        parameter: SearchParameterId,
    ) -> ResourceSearchParameter {
        let definitions = &self.definitions;
        let found = definitions.search_parameter_of(parameter);
        let (code, expression) = (found.code, found.expression);
        let reduced = expression.and_then(|expression| {
            let concerns = |identifier: &str| concerns(definitions, resource_type, identifier);
            expression::reduce(definitions.text(expression), concerns)
        });
        let expression = reduced.map(|expression| self.intern(&expression));
        ResourceSearchParameter {
            code,
            parameter,
            expression,
        }
    }

    pub(super) fn compartments(&mut self, resources: &[Value]) {
        for resource in resources {
            let url = self.intern_property(resource, "url");
            let code = text_of(resource, "code").and_then(|code| self.definitions.type_named(code));
            let (Some(url), Some(code)) = (url, code) else {
                let missing = if url.is_none() { "url" } else { "code" };
                self.report(resource, ProblemKind::Missing(missing));
                continue;
            };
            let resources = self.compartment_resources(resource);
            let row = Compartment {
                url,
                code,
                resources,
            };
            self.definitions.compartments.compartments.push(row);
        }
    }

    fn compartment_resources(&mut self, compartment: &Value) -> Span {
        let start = self.definitions.compartments.resources.len();
        for resource in list_of(compartment, "resource") {
            let code = text_of(resource, "code");
            let Some(resource_type) = code.and_then(|code| self.definitions.type_named(code))
            else {
                continue;
            };
            let codes = self.intern_list(resource, "param");
            if codes.is_empty() {
                continue;
            }
            let tables = &mut self.definitions.compartments;
            let from = tables.parameters.len();
            tables.parameters.extend(codes);
            let parameters = Span::since(from, &tables.parameters);
            tables.resources.push(CompartmentResource {
                resource_type,
                parameters,
            });
        }
        let resources = &mut self.definitions.compartments.resources;
        let rows = resources.get_mut(start..).unwrap_or_default();
        rows.sort_unstable_by_key(|row| row.resource_type);
        Span::since(start, resources)
    }
}

/// Whether a branch that begins with this identifier concerns a resource type: it is the type or
/// one that it specialises, or it is no resource type and thus a path from the resource itself.
fn concerns(definitions: &Definitions, resource_type: TypeId, identifier: &str) -> bool {
    let Some(type_id) = definitions.type_named(identifier) else {
        return true;
    };
    definitions.type_of(type_id).kind != TypeKind::Resource
        || definitions.is_subtype_of(resource_type, type_id)
}
