//! Parameters that select: what each asks of a match.
//!
//! <https://hl7.org/fhir/R4/search.html#modifiers>. Chains are left to `chain`, `_filter` to `boolean`,
//! reading single values to `criterion`.

use std::cell::Cell;

use fhir_model::definition::TypeId;
use fhir_model::key::{LogicalId, ResourceType};

use crate::search::expression::{Filter, ValueKind};
use crate::search::parameter::{self, Lookup, Parameter};
use crate::search::query::criterion::{self, Modifier, Reader, is_known};
use crate::search::query::escape::split;
use crate::search::query::name::Name;
use crate::search::query::refusal::Refusal;
use crate::search::query::{ALTERNATIVES_MAX, BRANCHES_MAX, Context};

/// Parameters that mean the same for every type.
pub(super) const FOR_ALL_TYPES: &[&str] = &["_filter", "_has", "_id", "_lastUpdated", "_list"];

/// Parameters of the standard that this server refuses rather than ignores, as they are filters.
const UNSUPPORTED: &[&str] = &[
    "_contained",
    "_containedType",
    "_content",
    "_query",
    "_text",
];

/// Reads parameters that select.
#[derive(Clone, Copy)]
pub(super) struct Filters<'a> {
    pub(super) context: &'a Context<'a>,
    /// How many links of a chain lead here.
    pub(super) links: usize,
    /// Counts what parameters mean for each type.
    pub(super) branches: &'a Cell<usize>,
}

impl Filters<'_> {
    /// The filter that a parameter of these resource types stands for.
    pub(super) fn read(self, types: &[TypeId], name: &str, value: &str) -> Result<Filter, Refusal> {
        if let Some(asked) = name.strip_prefix("_has:") {
            return self.has(types, asked, value);
        }
        let parts = Name::parse(name);
        if UNSUPPORTED.contains(&parts.code) {
            return Err(Refusal::unsupported(parts.code));
        }
        match parts.code {
            "_id" => column(parts, || ids(name, value)),
            "_lastUpdated" => column(parts, || self.last_updated(name, value)),
            "_list" => column(parts, || self.list(value)),
            "_filter" => column(parts, || self.boolean(types, value)),
            "_has" => self.has(types, parts.modifier.unwrap_or_default(), value),
            "_type" => {
                let reason = "chooses types in a search across types, and this is one of a type";
                Err(Refusal::value("_type", reason))
            }
            _ => self.by_type(types, |type_id| {
                let parameter = self.parameter(type_id, parts.code)?;
                match parts.chained {
                    Some(chained) => self.chain(parameter, parts, chained, value),
                    None => self.any(parameter, parts, value),
                }
            }),
        }
    }

    /// What a parameter means for each type; one filter if it is the same for all.
    pub(super) fn by_type(
        self,
        types: &[TypeId],
        read: impl Fn(TypeId) -> Result<Filter, Refusal>,
    ) -> Result<Filter, Refusal> {
        if let [only] = types {
            return read(*only);
        }
        self.branches.set(self.branches.get() + types.len());
        if self.branches.get() > BRANCHES_MAX {
            return Err(Refusal::limit(
                "types for which its parameters mean something else",
                BRANCHES_MAX,
            ));
        }
        let branches = types.iter().map(|of| Ok((self.name(*of)?, read(*of)?)));
        let mut branches: Vec<(ResourceType, Filter)> = branches.collect::<Result<_, _>>()?;
        branches.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(match branches.as_slice() {
            [(_, first), rest @ ..] if rest.iter().all(|(_, filter)| filter == first) => {
                first.clone()
            }
            [] => Filter::Nothing,
            _ => Filter::ByType(branches),
        })
    }

    /// The parameter of a type.
    pub(super) fn parameter(&self, type_id: TypeId, code: &str) -> Result<Parameter<'_>, Refusal> {
        match parameter::find(self.context.definitions, type_id, code) {
            Lookup::Supported(found) if self.context.unindexed.contains(&found.id) => {
                Err(Refusal::unindexed(found.code))
            }
            Lookup::Supported(found) => Ok(found),
            Lookup::Unsupported => Err(Refusal::unsupported(code)),
            Lookup::Unknown => Err(self.unknown(type_id, code)),
        }
    }

    /// The name of a type.
    pub(super) fn name(self, type_id: TypeId) -> Result<ResourceType, Refusal> {
        self.context.type_name(type_id)
    }

    fn unknown(self, type_id: TypeId, code: &str) -> Refusal {
        if code.starts_with('_') {
            return Refusal::unknown_result_parameter(code);
        }
        let definitions = self.context.definitions;
        let own = parameter::all(definitions, type_id).map(|parameter| parameter.code);
        let mut known: Vec<&str> = FOR_ALL_TYPES.iter().copied().chain(own).collect();
        known.sort_unstable();
        Refusal::unknown(code, definitions.type_name(type_id), &known)
    }

    fn last_updated(self, name: &str, value: &str) -> Result<Filter, Refusal> {
        if split(value, ',').count() > 1 {
            return Err(Refusal::value(
                name,
                "has alternatives, which is not supported",
            ));
        }
        criterion::date(value, self.context.now)
            .map(Filter::LastUpdated)
            .map_err(|reason| Refusal::value(name, &reason))
    }

    pub(super) fn any(
        self,
        parameter: Parameter<'_>,
        parts: Name<'_>,
        value: &str,
    ) -> Result<Filter, Refusal> {
        if parts.modifier == Some("missing") {
            return missing(parameter, value);
        }
        let negated = parts.modifier == Some("not") && parameter.kind == ValueKind::Token;
        let modifier = match parts.modifier {
            Some(_) if negated => Modifier::None,
            Some(modifier) => self.modifier(parameter, modifier)?,
            None => Modifier::None,
        };
        let reader = Reader::new(self.context, parameter, modifier);
        let criteria = alternatives(parameter.code, value)?
            .into_iter()
            .map(|text| reader.read(text))
            .collect::<Result<_, _>>()
            .map_err(|reason| Refusal::value(parameter.code, &reason))?;
        Ok(Filter::Any {
            parameter: parameter.id,
            criteria,
            negated,
        })
    }

    fn modifier(self, parameter: Parameter<'_>, modifier: &str) -> Result<Modifier, Refusal> {
        Ok(match (parameter.kind, modifier) {
            (ValueKind::String, "exact") => Modifier::Exact,
            (ValueKind::String, "contains") => Modifier::Contains,
            (ValueKind::Uri, "below") => Modifier::Below,
            (ValueKind::Uri, "above") => Modifier::Above,
            (ValueKind::Reference, modifier) => match ResourceType::parse(modifier) {
                Ok(target) if is_known(self.context.definitions, &target) => Modifier::Type(target),
                _ => return Err(unsupported_modifier(parameter, modifier)),
            },
            _ => return Err(unsupported_modifier(parameter, modifier)),
        })
    }

    /// The type that a modifier of a reference names.
    pub(super) fn type_of_modifier(
        self,
        parameter: Parameter<'_>,
        modifier: &str,
    ) -> Result<TypeId, Refusal> {
        let type_id = match self.modifier(parameter, modifier)? {
            Modifier::Type(target) => self.context.definitions.resource_type(target.as_str()),
            _ => None,
        };
        type_id.ok_or_else(|| unsupported_modifier(parameter, modifier))
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

pub(super) fn alternatives<'v>(name: &str, value: &'v str) -> Result<Vec<&'v str>, Refusal> {
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

fn unsupported_modifier(parameter: Parameter<'_>, modifier: &str) -> Refusal {
    let supported: &[&str] = match parameter.kind {
        ValueKind::Token => &[":missing", ":not"],
        ValueKind::String => &[":contains", ":exact", ":missing"],
        ValueKind::Reference => &[":missing", "a type of resource"],
        ValueKind::Uri => &[":above", ":below", ":missing"],
        ValueKind::Date | ValueKind::Quantity | ValueKind::Number => &[":missing"],
    };
    Refusal::modifier(parameter.code, modifier, supported)
}
