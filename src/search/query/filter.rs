//! Parameters that select: what each asks of a match.
//!
//! <https://hl7.org/fhir/R4/search.html#modifiers>, <https://hl7.org/fhir/R4/search.html#chaining>.
//! Reading single values is left to `criterion`.

use fhir_model::definition::TypeId;
use fhir_model::key::{LogicalId, ResourceType};

use crate::search::expression::{Filter, ValueKind};
use crate::search::parameter::{self, Lookup, Parameter};
use crate::search::query::criterion::{self, Modifier, Reader, unsupported_modifier};
use crate::search::query::escape::split;
use crate::search::query::name::Name;
use crate::search::query::refusal::Refusal;
use crate::search::query::{ALTERNATIVES_MAX, CHAIN_LINKS_MAX, Context};

/// The most types that are named where a chain must say which it means.
const NAMED_TARGETS_MAX: usize = 5;

/// Parameters of the standard that this server refuses rather than ignores, as they are filters.
const UNSUPPORTED: &[&str] = &[
    "_contained",
    "_containedType",
    "_content",
    "_filter",
    "_has",
    "_list",
    "_query",
    "_text",
    "_type",
];

/// Reads parameters that select.
#[derive(Clone, Copy)]
pub(super) struct Filters<'a> {
    pub(super) context: &'a Context<'a>,
    /// How many links of a chain lead here.
    pub(super) links: usize,
}

impl Filters<'_> {
    /// The filter that a parameter of a resource type stands for.
    pub(super) fn read(self, type_id: TypeId, name: &str, value: &str) -> Result<Filter, Refusal> {
        let parts = Name::parse(name);
        if UNSUPPORTED.contains(&parts.code) {
            return Err(Refusal::unsupported(parts.code));
        }
        match parts.code {
            "_id" => return column(parts, || ids(name, value)),
            "_lastUpdated" => return column(parts, || self.last_updated(name, value)),
            _ => {}
        }
        let definitions = self.context.definitions;
        let parameter = match parameter::find(definitions, type_id, parts.code) {
            Lookup::Supported(parameter) => parameter,
            Lookup::Unsupported => return Err(Refusal::unsupported(parts.code)),
            Lookup::Unknown => return Err(self.unknown(type_id, parts.code)),
        };
        if self.context.unindexed.contains(&parameter.id) {
            return Err(Refusal::unindexed(parameter.code));
        }
        match parts.chained {
            Some(chained) => self.chain(parameter, parts, chained, value),
            None => self.any(parameter, parts, value),
        }
    }

    fn unknown(self, type_id: TypeId, code: &str) -> Refusal {
        if code.starts_with('_') {
            return Refusal::unknown_result_parameter(code);
        }
        let definitions = self.context.definitions;
        let own = parameter::all(definitions, type_id).map(|parameter| parameter.code);
        let mut known: Vec<&str> = parameter::COLUMNS.iter().copied().chain(own).collect();
        known.sort_unstable();
        Refusal::unknown(code, definitions.type_name(type_id), &known)
    }

    fn last_updated(self, name: &str, value: &str) -> Result<Filter, Refusal> {
        let dates = alternatives(name, value)?.into_iter();
        let dates = dates.map(|text| criterion::date(text, self.context.now));
        dates
            .collect::<Result<_, _>>()
            .map(Filter::LastUpdated)
            .map_err(|reason| reason.refuse(name))
    }

    fn any(
        self,
        parameter: Parameter<'_>,
        parts: Name<'_>,
        value: &str,
    ) -> Result<Filter, Refusal> {
        let modifier = match parts.modifier {
            Some(name) => Modifier::read(self.context.definitions, &parameter, name)?,
            None => Modifier::None,
        };
        if modifier == Modifier::Missing {
            return missing(parameter, value);
        }
        let negated = modifier.is_negated();
        let reader = Reader::new(self.context, parameter, modifier);
        let criteria = alternatives(parameter.code, value)?
            .into_iter()
            .map(|text| reader.read(text))
            .collect::<Result<_, _>>()
            .map_err(|reason| reason.refuse(parameter.code))?;
        Ok(Filter::Any {
            parameter: reader.parameter_id(),
            criteria,
            negated,
        })
    }

    fn chain(
        self,
        parameter: Parameter<'_>,
        parts: Name<'_>,
        chained: &str,
        value: &str,
    ) -> Result<Filter, Refusal> {
        if self.links == CHAIN_LINKS_MAX {
            return Err(Refusal::limit("links in a chain", CHAIN_LINKS_MAX));
        }
        if parameter.kind != ValueKind::Reference {
            let reason = "is asked for by a chain, but the parameter is no reference";
            return Err(Refusal::value(parameter.code, reason));
        }
        let target = match parts.modifier {
            Some(name) => match Modifier::read(self.context.definitions, &parameter, name)? {
                Modifier::Type(target) => target,
                _ => return Err(unsupported_modifier(&parameter, name)),
            },
            None => self.only_target(parameter, chained)?,
        };
        let definitions = self.context.definitions;
        let Some(target_id) = definitions.resource_type(target.as_str()) else {
            return Err(Refusal::value(parameter.code, "names no type of resource"));
        };
        let inner = Self {
            links: self.links + 1,
            ..self
        };
        let filter = inner.read(target_id, chained, value)?;
        Ok(Filter::Chain {
            parameter: parameter.id,
            target: target.into(),
            filters: vec![filter],
        })
    }

    /// The one type that the reference may point at and that has the chained parameter.
    fn only_target(self, parameter: Parameter<'_>, chained: &str) -> Result<ResourceType, Refusal> {
        let definitions = self.context.definitions;
        let targets = parameter.targets(definitions);
        if let [only] = targets.as_slice() {
            return Ok(only.clone());
        }
        let code = Name::parse(chained).code;
        let has_parameter = |target: &&ResourceType| {
            let target = definitions.resource_type(target.as_str());
            parameter::COLUMNS.contains(&code)
                || target.is_some_and(|target| definitions.search_parameter(target, code).is_some())
        };
        let candidates: Vec<&ResourceType> = targets.iter().filter(has_parameter).collect();
        match candidates.as_slice() {
            [only] => Ok((*only).clone()),
            [] if !targets.is_empty() => Err(Refusal::value(
                parameter.code,
                &format!("refers to no type that has the parameter '{code}'"),
            )),
            several => {
                let types = match several.len() {
                    1..=NAMED_TARGETS_MAX => {
                        let names = several.iter().map(|target| target.as_str());
                        names.collect::<Vec<_>>().join(", ")
                    }
                    _ => "many types".to_owned(),
                };
                let reason = format!("may refer to {types}; say which, as in subject:Patient.name");
                Err(Refusal::value(parameter.code, &reason))
            }
        }
    }
}

/// A parameter that is a column has neither modifiers nor targets.
fn column(
    parts: Name<'_>,
    read: impl FnOnce() -> Result<Filter, Refusal>,
) -> Result<Filter, Refusal> {
    match (parts.modifier, parts.chained) {
        (Some(modifier), _) => Err(Refusal::modifier(parts.code, modifier, &[])),
        (None, Some(_)) => Err(Refusal::value(
            parts.code,
            "is asked for by a chain, but the parameter is no reference",
        )),
        (None, None) => read(),
    }
}

/// The ids among the alternatives; what cannot be an id matches nothing.
fn ids(name: &str, value: &str) -> Result<Filter, Refusal> {
    let ids: Vec<LogicalId> = alternatives(name, value)?
        .into_iter()
        .filter_map(|text| LogicalId::parse(text).ok())
        .collect();
    Ok(if ids.is_empty() {
        Filter::Nothing
    } else {
        Filter::Id(ids)
    })
}

fn alternatives<'v>(name: &str, value: &'v str) -> Result<Vec<&'v str>, Refusal> {
    let alternatives: Vec<&str> = split(value, ',').take(ALTERNATIVES_MAX + 1).collect();
    if alternatives.len() > ALTERNATIVES_MAX {
        return Err(Refusal::limit(
            "alternatives per parameter",
            ALTERNATIVES_MAX,
        ));
    }
    if alternatives.contains(&"") {
        return Err(Refusal::value(name, "has an empty alternative"));
    }
    Ok(alternatives)
}

fn missing(parameter: Parameter<'_>, value: &str) -> Result<Filter, Refusal> {
    let missing = match value {
        "true" => true,
        "false" => false,
        _ => {
            let name = format!("{}:missing", parameter.code);
            return Err(Refusal::value(&name, "is neither true nor false"));
        }
    };
    Ok(Filter::Missing {
        parameter: parameter.id,
        kind: parameter.kind,
        missing,
    })
}
