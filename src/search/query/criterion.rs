//! One alternative of a search value, read as the type of its parameter says.
//!
//! <https://hl7.org/fhir/R4/search.html#ptypes>. Alternatives are already separated here, still
//! with their escapes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use fhir_model::definition::{Definitions, Membership};
use fhir_model::key::{LogicalId, ResourceType};

use crate::search::codes::{self, CODES_MAX, Direction, NoCodes};
use crate::search::expression::{
    Criterion, DateCriterion, Prefix, ReferenceCriterion, StringMatching, TokenCriterion, TokenSet,
    UriMatching, ValueKind,
};
use crate::search::interval;
use crate::search::normalise::{fold, truncated};
use crate::search::parameter::{self, Parameter};
use crate::search::query::Context;
use crate::search::query::escape::{split, split_once, unescape};
use crate::search::query::refusal::Refusal;
use crate::search::target;
use crate::search::unit::{UCUM, Unit};
use crate::search::value::{IDENTIFIER, OF_TYPE, ParameterId, Target};

const NOT_COMPARABLE: &str = "has no character that could be compared";

/// Why a text is no value of a parameter; completes "The value of the parameter 'x' …".
#[derive(Debug)]
pub(super) enum Reason {
    /// It cannot be read, or makes no sense.
    Value(String),
    /// It names something that is not here.
    NotFound(String),
    /// It stands for more codes than can be searched by.
    TooManyCodes,
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Self::Value(text.to_owned())
    }
}

impl From<NoCodes> for Reason {
    fn from(error: NoCodes) -> Self {
        match error {
            NoCodes::NotFound(text) => Self::NotFound(text),
            NoCodes::TooCostly => Self::TooManyCodes,
        }
    }
}

impl Reason {
    /// The refusal of the parameter with this name.
    pub(super) fn refuse(&self, name: &str) -> Refusal {
        match self {
            Self::Value(reason) => Refusal::value(name, reason),
            Self::NotFound(reason) => Refusal::not_found(name, reason),
            Self::TooManyCodes => Refusal::limit("codes in a value set or hierarchy", CODES_MAX),
        }
    }
}

/// The part of a distance that "approximately" forgives: search.html#prefix.
const APPROXIMATE_PART: f64 = 0.1;

/// What a modifier does to a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Modifier {
    None,
    Missing,
    Not,
    Exact,
    Contains,
    Text,
    In,
    NotIn,
    OfType,
    Identifier,
    Below,
    Above,
    Type(ResourceType),
}

/// The modifiers by name; which of them a kind of parameter has says [`parameter::modifiers`].
const MODIFIERS: &[(&str, Modifier)] = &[
    ("missing", Modifier::Missing),
    ("not", Modifier::Not),
    ("exact", Modifier::Exact),
    ("contains", Modifier::Contains),
    ("text", Modifier::Text),
    ("in", Modifier::In),
    ("not-in", Modifier::NotIn),
    ("of-type", Modifier::OfType),
    ("identifier", Modifier::Identifier),
    ("below", Modifier::Below),
    ("above", Modifier::Above),
];

impl Modifier {
    /// The modifier of this name, if the parameter has it.
    pub(super) fn read(
        definitions: &Definitions,
        parameter: &Parameter<'_>,
        name: &str,
    ) -> Result<Self, Refusal> {
        let own = parameter::modifiers(parameter.kind);
        let mut known = MODIFIERS.iter().filter(|_| own.contains(&name));
        if let Some((_, modifier)) = known.find(|(known, _)| *known == name) {
            return Ok(modifier.clone());
        }
        let is_reference = parameter.kind == ValueKind::Reference;
        match ResourceType::parse(name) {
            Ok(target) if is_reference && is_known(definitions, &target) => Ok(Self::Type(target)),
            _ => Err(unsupported_modifier(parameter, name)),
        }
    }

    /// Whether what has one of the values is left out, and not what has none of them.
    pub(super) fn is_negated(&self) -> bool {
        matches!(self, Self::Not | Self::NotIn)
    }
}

pub(super) fn unsupported_modifier(parameter: &Parameter<'_>, name: &str) -> Refusal {
    let own = parameter::modifiers(parameter.kind).iter();
    let mut own: Vec<String> = own.map(|own| format!(":{own}")).collect();
    if parameter.kind == ValueKind::Reference {
        own.push("a type of resource".to_owned());
    }
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    Refusal::modifier(parameter.code, name, &own)
}

/// Reads alternatives of one parameter.
pub(super) struct Reader<'a> {
    context: &'a Context<'a>,
    parameter: Parameter<'a>,
    modifier: Modifier,
    targets: Vec<ResourceType>,
    /// Of a composite.
    components: Vec<Reader<'a>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        parameter: Parameter<'a>,
        modifier: Modifier,
    ) -> Self {
        let (mut targets, mut components) = (Vec::new(), Vec::new());
        match parameter.kind {
            ValueKind::Reference => targets = parameter.targets(context.definitions),
            ValueKind::Composite => {
                components = parameter
                    .components(context.definitions)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|component| Self::new(context, component.parameter, Modifier::None))
                    .collect();
            }
            _ => {}
        }
        Self {
            context,
            parameter,
            modifier,
            targets,
            components,
        }
    }

    /// What the values that the modifier asks for are kept under.
    pub(super) fn parameter_id(&self) -> ParameterId {
        match self.modifier {
            Modifier::OfType => self.parameter.id.aspect(OF_TYPE),
            Modifier::Identifier => self.parameter.id.aspect(IDENTIFIER),
            _ => self.parameter.id,
        }
    }

    /// The criterion that one alternative stands for.
    pub(super) fn read(&self, text: &str) -> Result<Criterion, Reason> {
        match self.parameter.kind {
            ValueKind::Reference if self.modifier == Modifier::Identifier => {
                self.token(text).map(Criterion::Token)
            }
            ValueKind::Token => self.modified_token(text).map(Criterion::Token),
            ValueKind::String => self.string(text),
            ValueKind::Date => date(text, self.context.now).map(Criterion::Date),
            ValueKind::Reference => self.reference(text).map(Criterion::Reference),
            ValueKind::Quantity => quantity(text),
            ValueKind::Number => {
                let (prefix, low, high) = number(text)?;
                Ok(Criterion::Number { prefix, low, high })
            }
            ValueKind::Uri => Ok(self.uri(text)),
            ValueKind::Composite => self.composite(text),
        }
    }

    /// `a$b`: a value for each component.
    fn composite(&self, text: &str) -> Result<Criterion, Reason> {
        let texts: Vec<&str> = split(text, '$').collect();
        if texts.len() != self.components.len() {
            let parts = self.components.iter().map(|part| part.parameter.code);
            let form = parts.collect::<Vec<_>>().join("$");
            return Err(Reason::Value(format!("is not of the form {form}")));
        }
        let parts = self.components.iter().zip(texts);
        let criteria = parts.map(|(part, text)| match text {
            "" => Err("has an empty component".into()),
            text => part.read(text),
        });
        criteria.collect::<Result<_, _>>().map(Criterion::Composite)
    }

    fn modified_token(&self, text: &str) -> Result<TokenCriterion, Reason> {
        match self.modifier {
            Modifier::Text => match fold(&unescape(text)) {
                text if text.is_empty() => Err(NOT_COMPARABLE.into()),
                text => Ok(TokenCriterion::Text(text)),
            },
            Modifier::In | Modifier::NotIn => {
                let canonical = unescape(text);
                let set = codes::of_value_set(self.context.definitions, &canonical)?;
                Ok(self.among(set))
            }
            Modifier::Above => self.hierarchy(text, Direction::Above),
            Modifier::Below => self.hierarchy(text, Direction::Below),
            Modifier::OfType => typed(text),
            _ => self.token(text),
        }
    }

    /// A code with its system, and what is above or below it.
    fn hierarchy(&self, text: &str, direction: Direction) -> Result<TokenCriterion, Reason> {
        let Some((system, code)) = split_once(text, '|') else {
            return Err("has no system, which this modifier needs".into());
        };
        let (system, code) = (unescape(system), unescape(code));
        let definitions = self.context.definitions;
        let set = codes::of_hierarchy(definitions, &system, &code, direction)?;
        Ok(self.among(set))
    }

    /// Elements of type `code` are kept without a system.
    fn among(&self, mut set: TokenSet) -> TokenCriterion {
        let finds_codes = self.parameter.code_value_sets(self.context.definitions);
        if finds_codes.is_some() {
            set = set
                .into_iter()
                .map(|(_, code)| (String::new(), code))
                .collect();
        }
        TokenCriterion::Among(Arc::new(set))
    }

    fn token(&self, text: &str) -> Result<TokenCriterion, Reason> {
        let code = |system: Option<&str>, text: &str| {
            let code = unescape(text);
            if self.parameter.ignores_case() {
                code.to_lowercase()
            } else {
                codes::settled(self.context.definitions, system, code).into_owned()
            }
        };
        let Some((system, value)) = split_once(text, '|') else {
            return Ok(TokenCriterion::Code(code(None, text)));
        };
        let system = unescape(system).into_owned();
        match (system.is_empty(), value.is_empty()) {
            (true, true) => Err("has neither a system nor a code".into()),
            (false, true) if self.is_implied(&system, None) => {
                Ok(TokenCriterion::System(String::new()))
            }
            (false, true) => Ok(TokenCriterion::System(system)),
            _ => {
                let code = code(Some(&system), value);
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
            return Err(NOT_COMPARABLE.into());
        }
        Ok(Criterion::String { text, matching })
    }

    fn reference(&self, text: &str) -> Result<ReferenceCriterion, Reason> {
        if matches!(self.modifier, Modifier::Above | Modifier::Below) {
            return self.canonical(text);
        }
        let text = unescape(text);
        if let Some(found) = target::target(&text, self.context.base_url) {
            return self.typed(found);
        }
        let Ok(id) = LogicalId::parse(&text) else {
            return Err("is neither an id, nor a type and an id, nor a URL".into());
        };
        Ok(match (&self.modifier, self.targets.as_slice()) {
            (Modifier::Type(only), _) | (_, [only]) => ReferenceCriterion::Local(only.clone(), id),
            _ => ReferenceCriterion::AnyType(id),
        })
    }

    /// A canonical, for `:above` and `:below`.
    fn canonical(&self, text: &str) -> Result<ReferenceCriterion, Reason> {
        match target::target(&unescape(text), self.context.base_url) {
            Some(Target::Url(url)) if self.modifier == Modifier::Below => {
                Ok(ReferenceCriterion::Below(url))
            }
            Some(Target::Url(url)) => Ok(ReferenceCriterion::Above(url)),
            _ => Err("is no canonical; hierarchies of resources are not searched".into()),
        }
    }

    fn typed(&self, found: Target) -> Result<ReferenceCriterion, Reason> {
        let (resource_type, id) = match found {
            Target::Url(url) => return Ok(ReferenceCriterion::Url(url)),
            Target::Local(resource_type, id) => (resource_type, id),
        };
        if !is_known(self.context.definitions, &resource_type) {
            return Err("names no type of resource".into());
        }
        if matches!(&self.modifier, Modifier::Type(only) if *only != resource_type) {
            return Err("names another type than the modifier".into());
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

/// `system|code|value`: the type of an identifier, and its value.
fn typed(text: &str) -> Result<TokenCriterion, Reason> {
    let parts: Vec<_> = split(text, '|').map(unescape).collect();
    match parts.as_slice() {
        [system, code, value] if !code.is_empty() && !value.is_empty() => {
            let code = codes::typed(code, value);
            Ok(TokenCriterion::SystemAndCode(system.to_string(), code))
        }
        _ => Err("is not of the form system|code|value".into()),
    }
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
        return Err("has more parts than number, system and code".into());
    }
    let unit = code.as_deref().filter(|_| system.as_deref() == Some(UCUM));
    let canonical = unit.and_then(|unit| canonical_quantity(prefix, low, high, unit));
    Ok(canonical.unwrap_or(Criterion::Quantity {
        prefix,
        low,
        high,
        system,
        code,
    }))
}

fn canonical_quantity(prefix: Prefix, low: f64, high: f64, unit: &str) -> Option<Criterion> {
    let unit = Unit::parse(unit)?;
    let (low, high) = unit.interval(Some(&low.to_string()), Some(&high.to_string()))?;
    let prefix = if unit.is_descending() {
        mirrored(prefix)
    } else {
        prefix
    };
    Some(Criterion::CanonicalQuantity {
        prefix,
        low,
        high,
        unit: unit.canonical().to_owned(),
    })
}

/// What a comparison becomes on a scale that goes the other way.
const fn mirrored(prefix: Prefix) -> Prefix {
    match prefix {
        Prefix::Gt => Prefix::Lt,
        Prefix::Lt => Prefix::Gt,
        Prefix::Ge => Prefix::Le,
        Prefix::Le => Prefix::Ge,
        Prefix::Sa => Prefix::Eb,
        Prefix::Eb => Prefix::Sa,
        Prefix::Eq | Prefix::Ne | Prefix::Ap => prefix,
    }
}
