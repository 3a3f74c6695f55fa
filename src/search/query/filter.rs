//! Parameters that select: what each asks of a match.
//!
//! <https://hl7.org/fhir/R4/search.html#modifiers>. Chains are left to `chain`, `_filter` to `boolean`,
//! reading single values to `criterion`.

use std::cell::Cell;
use std::collections::BTreeSet;

use fhir_model::definition::TypeId;
use fhir_model::key::{LogicalId, ResourceType};

use crate::search::expression::{Criterion, Filter, StringMatching, ValueKind};
use crate::search::narrative;
use crate::search::parameter::{self, Lookup, Parameter};
use crate::search::query::criterion::{self, Modifier, Reader, unsupported_modifier};
use crate::search::query::escape::{split, unescape};
use crate::search::query::name::Name;
use crate::search::query::refusal::Refusal;
use crate::search::query::{ALTERNATIVES_MAX, BRANCHES_MAX, Context};
use crate::search::value::{IDENTIFIER, ParameterId, TEXT};

/// Parameters that mean the same for every type.
pub(super) const FOR_ALL_TYPES: &[&str] =
    &["_filter", "_has", "_id", "_lastUpdated", "_list", "_text"];

/// Parameters of the standard that this server refuses rather than ignores, as they are filters.
const UNSUPPORTED: &[&str] = &["_contained", "_containedType", "_content", "_query"];

/// What is the case unless it is asked otherwise: contained resources are not found by themselves.
const NOT_CONTAINED: (&str, &str) = ("_contained", "false");

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
        if UNSUPPORTED.contains(&parts.code) && (parts.code, value) != NOT_CONTAINED {
            return Err(Refusal::unsupported(parts.code));
        }
        match parts.code {
            "_contained" => column(parts, || Ok(Filter::And(Vec::new()))),
            "_id" => column(parts, || ids(name, value)),
            "_lastUpdated" => column(parts, || self.last_updated(name, value)),
            "_list" => column(parts, || self.list(value)),
            "_text" => column(parts, || self.text(types, value)),
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

    /// Resources whose narrative has all words of one of the alternatives.
    fn text(self, types: &[TypeId], value: &str) -> Result<Filter, Refusal> {
        let alternatives = alternatives("_text", value)?.into_iter();
        let alternatives: Vec<_> = alternatives
            .map(|text| narrative::words(&unescape(text)))
            .collect();
        if alternatives.iter().any(BTreeSet::is_empty) {
            return Err(Refusal::value("_text", "has an alternative without a word"));
        }
        self.by_type(types, |of| {
            let parameter = narrative::parameter(self.name(of)?.as_str());
            let one = |words: &BTreeSet<String>| Filter::And(words_of(parameter, words));
            Ok(match alternatives.as_slice() {
                [only] => one(only),
                several => Filter::Or(several.iter().map(one).collect()),
            })
        })
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
        let dates = alternatives(name, value)?.into_iter();
        let dates = dates.map(|text| criterion::date(text, self.context.now));
        dates
            .collect::<Result<_, _>>()
            .map(Filter::LastUpdated)
            .map_err(|reason| reason.refuse(name))
    }

    pub(super) fn any(
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

    /// The type that a modifier of a reference names.
    pub(super) fn type_of_modifier(
        self,
        parameter: Parameter<'_>,
        name: &str,
    ) -> Result<TypeId, Refusal> {
        let definitions = self.context.definitions;
        let type_id = match Modifier::read(definitions, &parameter, name)? {
            Modifier::Type(target) => definitions.resource_type(target.as_str()),
            _ => None,
        };
        type_id.ok_or_else(|| unsupported_modifier(&parameter, name))
    }
}

fn words_of(parameter: ParameterId, words: &BTreeSet<String>) -> Vec<Filter> {
    let words = words.iter().map(|word| Criterion::String {
        text: word.clone(),
        matching: StringMatching::Whole,
    });
    let filters = words.map(|criterion| Filter::Any {
        parameter,
        criteria: vec![criterion],
        negated: false,
    });
    filters.collect()
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
    let own = Filter::Missing {
        parameter: parameter.id,
        kind: parameter.kind,
        missing,
    };
    let Some((kind, aspect)) = aside(parameter.kind) else {
        return Ok(own);
    };
    let aside = Filter::Missing {
        parameter: parameter.id.aspect(aspect),
        kind,
        missing,
    };
    Ok(if missing {
        Filter::And(vec![own, aside])
    } else {
        Filter::Or(vec![own, aside])
    })
}

/// Where there is something though there is no value: a concept may be a text only, and a reference
/// an identifier.
const fn aside(kind: ValueKind) -> Option<(ValueKind, &'static str)> {
    match kind {
        ValueKind::Token => Some((ValueKind::String, TEXT)),
        ValueKind::Reference => Some((ValueKind::Token, IDENTIFIER)),
        _ => None,
    }
}
