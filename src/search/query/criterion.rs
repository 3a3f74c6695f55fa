//! One alternative of a search value, read as the type of its parameter says.
//!
//! <https://hl7.org/fhir/R4/search.html#ptypes>. Alternatives are already separated here, still
//! with their escapes.

use chrono::{DateTime, Utc};
use fhir_model::definition::{Definitions, Membership};
use fhir_model::key::{LogicalId, ResourceType};

use crate::search::expression::{
    Criterion, DateCriterion, Prefix, ReferenceCriterion, StringMatching, TokenCriterion,
    UriMatching, ValueKind,
};
use crate::search::interval;
use crate::search::normalise::{fold, truncated};
use crate::search::parameter::Parameter;
use crate::search::query::Context;
use crate::search::query::escape::{split, split_once, unescape};
use crate::search::target;
use crate::search::value::Target;

/// Why a text is no value of a parameter; completes "The value of the parameter 'x' …".
pub(super) type Reason = String;

/// The part of a distance that "approximately" forgives: search.html#prefix.
const APPROXIMATE_PART: f64 = 0.1;

/// A modifier that changes how values are read or compared; `:missing` and `:not` do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Modifier {
    None,
    Exact,
    Contains,
    Below,
    Above,
    Type(ResourceType),
}

/// Reads alternatives of one parameter.
pub(super) struct Reader<'a> {
    context: &'a Context<'a>,
    parameter: Parameter<'a>,
    modifier: Modifier,
    targets: Vec<ResourceType>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        parameter: Parameter<'a>,
        modifier: Modifier,
    ) -> Self {
        let targets = match parameter.kind {
            ValueKind::Reference => parameter.targets(context.definitions),
            _ => Vec::new(),
        };
        Self {
            context,
            parameter,
            modifier,
            targets,
        }
    }

    /// The criterion that one alternative stands for.
    pub(super) fn read(&self, text: &str) -> Result<Criterion, Reason> {
        match self.parameter.kind {
            ValueKind::Token => self.token(text).map(Criterion::Token),
            ValueKind::String => self.string(text),
            ValueKind::Date => date(text, self.context.now).map(Criterion::Date),
            ValueKind::Reference => self.reference(text).map(Criterion::Reference),
            ValueKind::Quantity => quantity(text),
            ValueKind::Number => {
                let (prefix, low, high) = number(text)?;
                Ok(Criterion::Number { prefix, low, high })
            }
            ValueKind::Uri => Ok(self.uri(text)),
        }
    }

    fn token(&self, text: &str) -> Result<TokenCriterion, Reason> {
        let code = |text: &str| {
            let code = unescape(text);
            if self.parameter.ignores_case() {
                code.to_lowercase()
            } else {
                code.into_owned()
            }
        };
        let Some((system, value)) = split_once(text, '|') else {
            return Ok(TokenCriterion::Code(code(text)));
        };
        let system = unescape(system).into_owned();
        match (system.is_empty(), value.is_empty()) {
            (true, true) => Err("has neither a system nor a code".to_owned()),
            (false, true) if self.is_implied(&system, None) => {
                Ok(TokenCriterion::System(String::new()))
            }
            (false, true) => Ok(TokenCriterion::System(system)),
            _ => {
                let code = code(value);
                let is_implied = self.is_implied(&system, Some(&code));
                let system = if is_implied { String::new() } else { system };
                Ok(TokenCriterion::SystemAndCode(system, code))
            }
        }
    }

    /// Whether the parameter finds elements of type `code`, and they are bound to this code or to
    /// any of this system: such elements are kept without a system.
    fn is_implied(&self, system: &str, code: Option<&str>) -> bool {
        let definitions = self.context.definitions;
        let value_sets = self.parameter.code_value_sets(definitions);
        value_sets
            .unwrap_or_default()
            .into_iter()
            .any(|value_set| match code {
                Some(code) => {
                    definitions.membership(value_set, Some(system), code) == Membership::Member
                }
                None => definitions
                    .members(value_set)
                    .any(|(of, _)| definitions.text(of) == system),
            })
    }

    fn string(&self, text: &str) -> Result<Criterion, Reason> {
        let text = unescape(text);
        let (text, matching) = match self.modifier {
            Modifier::Exact => (truncated(&text).to_owned(), StringMatching::Exact),
            Modifier::Contains => (fold(&text), StringMatching::Contains),
            _ => (fold(&text), StringMatching::StartsWith),
        };
        if text.is_empty() {
            return Err("has no character that could be compared".to_owned());
        }
        Ok(Criterion::String { text, matching })
    }

    fn reference(&self, text: &str) -> Result<ReferenceCriterion, Reason> {
        let text = unescape(text);
        if let Some(found) = target::target(&text, self.context.base_url) {
            return self.typed(found);
        }
        let Ok(id) = LogicalId::parse(&text) else {
            return Err("is neither an id, nor a type and an id, nor a URL".to_owned());
        };
        Ok(match (&self.modifier, self.targets.as_slice()) {
            (Modifier::Type(only), _) | (_, [only]) => ReferenceCriterion::Local(only.clone(), id),
            _ => ReferenceCriterion::AnyType(id),
        })
    }

    fn typed(&self, found: Target) -> Result<ReferenceCriterion, Reason> {
        let (resource_type, id) = match found {
            Target::Url(url) => return Ok(ReferenceCriterion::Url(url)),
            Target::Local(resource_type, id) => (resource_type, id),
        };
        if !is_known(self.context.definitions, &resource_type) {
            return Err("names no type of resource".to_owned());
        }
        if matches!(&self.modifier, Modifier::Type(only) if *only != resource_type) {
            return Err("names another type than the modifier".to_owned());
        }
        Ok(ReferenceCriterion::Local(resource_type, id))
    }

    fn uri(&self, text: &str) -> Criterion {
        let matching = match self.modifier {
            Modifier::Below => UriMatching::Below,
            Modifier::Above => UriMatching::Above,
            _ => UriMatching::Equal,
        };
        let uri = unescape(text).into_owned();
        Criterion::Uri { uri, matching }
    }
}

pub(super) fn is_known(definitions: &Definitions, resource_type: &ResourceType) -> bool {
    definitions.resource_type(resource_type.as_str()).is_some()
}

/// The codes of <https://hl7.org/fhir/R4/search.html#prefix>.
const PREFIXES: &[(&str, Prefix)] = &[
    ("eq", Prefix::Eq),
    ("ne", Prefix::Ne),
    ("gt", Prefix::Gt),
    ("lt", Prefix::Lt),
    ("ge", Prefix::Ge),
    ("le", Prefix::Le),
    ("sa", Prefix::Sa),
    ("eb", Prefix::Eb),
    ("ap", Prefix::Ap),
];

fn prefixed(text: &str) -> (Prefix, &str) {
    PREFIXES
        .iter()
        .find_map(|(code, prefix)| Some((*prefix, text.strip_prefix(code)?)))
        .unwrap_or((Prefix::Eq, text))
}

/// A date with a prefix. "Approximately" forgives a tenth of the time between the date and `now`.
pub(super) fn date(text: &str, now: DateTime<Utc>) -> Result<DateCriterion, Reason> {
    let (prefix, date) = prefixed(text);
    // A `+` that a client did not encode arrives as a space; no date has one.
    let date = date.replace(' ', "+");
    let (low, high) = interval::date(&date).ok_or("is no date")?;
    if prefix != Prefix::Ap {
        return Ok(DateCriterion { prefix, low, high });
    }
    let now = now.timestamp_micros();
    let distance = if now < low {
        low - now
    } else {
        now.saturating_sub(high).max(0)
    };
    let slack = distance / 10;
    Ok(DateCriterion {
        prefix,
        low: low.saturating_sub(slack),
        high: high.saturating_add(slack),
    })
}

/// A number with a prefix. Without one, and for "not equal", the number stands for all that rounds
/// to it; a comparison takes it to the letter: search.html#number.
fn number(text: &str) -> Result<(Prefix, f64, f64), Reason> {
    let (prefix, number) = prefixed(text);
    let decimal = interval::decimal(number).ok_or("is no number")?;
    let (low, high) = match prefix {
        Prefix::Eq | Prefix::Ne => (decimal.low, decimal.high),
        Prefix::Ap => {
            let slack = decimal.value.abs() * APPROXIMATE_PART;
            (
                decimal.low.min(decimal.value - slack),
                decimal.high.max(decimal.value + slack),
            )
        }
        Prefix::Gt | Prefix::Lt | Prefix::Ge | Prefix::Le | Prefix::Sa | Prefix::Eb => {
            (decimal.value, decimal.value)
        }
    };
    Ok((prefix, low, high))
}

/// `5.4`, `5.4|http://unitsofmeasure.org|mg` or `5.4||mg`.
fn quantity(text: &str) -> Result<Criterion, Reason> {
    let mut parts = split(text, '|');
    let (prefix, low, high) = number(parts.next().unwrap_or_default())?;
    let mut part = || {
        let text = unescape(parts.next().unwrap_or_default());
        (!text.is_empty()).then(|| text.into_owned())
    };
    let (system, code) = (part(), part());
    if parts.next().is_some() {
        return Err("has more parts than number, system and code".to_owned());
    }
    Ok(Criterion::Quantity {
        prefix,
        low,
        high,
        system,
        code,
    })
}
