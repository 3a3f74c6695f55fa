//! Parameters of other resources: chains, reverse chains and lists.
//!
//! <https://hl7.org/fhir/R4/search.html#chaining>, <https://hl7.org/fhir/R4/search.html#has>,
//! <https://hl7.org/fhir/R4/search.html#list>. Where a reference may point at several types, all that
//! have the parameter are meant.

use fhir_model::definition::TypeId;
use fhir_model::key::{LogicalId, ResourceType};

use crate::search::expression::{Filter, Types, ValueKind};
use crate::search::parameter::{self, Lookup, Parameter};
use crate::search::query::CHAIN_LINKS_MAX;
use crate::search::query::filter::{FOR_ALL_TYPES, Filters, alternatives};
use crate::search::query::name::Name;
use crate::search::query::refusal::Refusal;
use crate::search::value::ParameterId;

/// How a reverse chain is written, for the refusal of what is not.
const HAS_FORM: &str = "is not asked for as in _has:Observation:patient:code";

impl Filters<'_> {
    /// What `chained` is of the resource that a reference parameter points at.
    pub(super) fn chain(
        self,
        parameter: Parameter<'_>,
        parts: Name<'_>,
        chained: &str,
        value: &str,
    ) -> Result<Filter, Refusal> {
        let (targets, inner) = self.link(parameter, parts.modifier, Name::parse(chained).code)?;
        let filter = inner.read(&targets, chained, value)?;
        self.chain_to(parameter, &targets, vec![filter])
    }

    /// A chain whose target these filters hold of.
    pub(super) fn chain_to(
        self,
        parameter: Parameter<'_>,
        targets: &[TypeId],
        filters: Vec<Filter>,
    ) -> Result<Filter, Refusal> {
        let targets = targets.iter().map(|target| self.name(*target));
        Ok(Filter::Chain {
            parameter: parameter.id,
            target: Types::new(targets.collect::<Result<_, _>>()?),
            filters,
        })
    }

    /// The types that a link of a chain leads to, of those that have the parameter `code`, and what
    /// reads their parameters.
    pub(super) fn link(
        self,
        parameter: Parameter<'_>,
        modifier: Option<&str>,
        code: &str,
    ) -> Result<(Vec<TypeId>, Self), Refusal> {
        let inner = self.deeper()?;
        if parameter.kind != ValueKind::Reference {
            let reason = "is asked for by a chain, but the parameter is no reference";
            return Err(Refusal::value(parameter.code, reason));
        }
        let targets = match modifier {
            Some(modifier) => vec![self.type_of_modifier(parameter, modifier)?],
            None => self.targets_with(parameter, code)?,
        };
        Ok((targets, inner))
    }

    fn deeper(self) -> Result<Self, Refusal> {
        if self.links == CHAIN_LINKS_MAX {
            return Err(Refusal::limit("links in a chain", CHAIN_LINKS_MAX));
        }
        Ok(Self {
            links: self.links + 1,
            ..self
        })
    }

    /// The types that a reference may point at and that have a parameter.
    fn targets_with(self, parameter: Parameter<'_>, code: &str) -> Result<Vec<TypeId>, Refusal> {
        let definitions = self.context.definitions;
        let targets = parameter.targets(definitions);
        let mut types: Vec<TypeId> = if targets.is_empty() {
            definitions.concrete_resource_types().collect()
        } else {
            let names = targets.iter().map(ResourceType::as_str);
            names
                .filter_map(|name| definitions.resource_type(name))
                .collect()
        };
        let is_for_all = FOR_ALL_TYPES.contains(&code);
        types.retain(|of| is_for_all || definitions.search_parameter(*of, code).is_some());
        if types.is_empty() {
            let reason = format!("refers to no type that has the parameter '{code}'");
            return Err(Refusal::value(parameter.code, &reason));
        }
        Ok(types)
    }

    /// A reverse chain; `asked` is what follows `_has:`.
    pub(super) fn has(self, types: &[TypeId], asked: &str, value: &str) -> Result<Filter, Refusal> {
        let inner = self.deeper()?;
        let mut parts = asked.splitn(3, ':');
        let (Some(source), Some(code), Some(name)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::value("_has", HAS_FORM));
        };
        let definitions = self.context.definitions;
        let Some(source_id) = definitions.resource_type(source) else {
            return Err(Refusal::value("_has", "starts with no type of resource"));
        };
        let parameter = match parameter::find(definitions, source_id, code) {
            Lookup::Supported(found) if found.kind == ValueKind::Reference => found,
            _ => {
                let reason = "names no reference parameter of the type it starts with";
                return Err(Refusal::value("_has", reason));
            }
        };
        if self.context.unindexed.contains(&parameter.id) {
            return Err(Refusal::unindexed(parameter.code));
        }
        if !self.may_refer(parameter, types) {
            let reason = "names a parameter that does not refer to what is searched";
            return Err(Refusal::value("_has", reason));
        }
        Ok(Filter::Has {
            source: self.name(source_id)?,
            parameter: parameter.id,
            filters: vec![inner.read(&[source_id], name, value)?],
        })
    }

    fn may_refer(self, parameter: Parameter<'_>, types: &[TypeId]) -> bool {
        let targets = parameter.targets(self.context.definitions);
        let is_target = |of: &TypeId| self.name(*of).is_ok_and(|of| targets.contains(&of));
        targets.is_empty() || types.iter().any(is_target)
    }

    /// `_list`: what is an entry of one of these Lists.
    pub(super) fn list(self, value: &str) -> Result<Filter, Refusal> {
        let alternatives = alternatives("_list", value)?;
        if alternatives.iter().any(|text| text.starts_with('$')) {
            let reason = "names a functional list, which is not supported; the id of a List is";
            return Err(Refusal::value("_list", reason));
        }
        let ids = alternatives.into_iter().map(|text| {
            let id = text.strip_prefix("List/").unwrap_or(text);
            LogicalId::parse(id).map_err(|_| Refusal::value("_list", "is no id of a List"))
        });
        let ids = ids.collect::<Result<_, _>>()?;
        let list = self.context.definitions.resource_type("List");
        let list = list.ok_or_else(|| Refusal::unsupported("_list"))?;
        Ok(Filter::Has {
            source: self.name(list)?,
            parameter: ParameterId::new("List", "item"),
            filters: vec![Filter::Id(ids)],
        })
    }
}
